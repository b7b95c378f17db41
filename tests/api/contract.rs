//! What the committed OpenAPI document says, asked of a server by Schemathesis: no 500, no status
//! that the document does not name, no answer that does not fit its schema.

use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use tokio::process::Command;

use super::server::{SELLER, Server, order_of, token_of, viewer};
use crate::support::slice;

/// Cases that are drawn for each operation.
const CASES: usize = 5;
/// The same in `scripts/soak`.
const CASES_IN_SOAK: usize = 100;
/// Walks over what answers link to.
const WALKS: usize = 120;
/// The same in `scripts/soak`.
const WALKS_IN_SOAK: usize = 600;
/// Links that these walks go over at least, of 29.
const LINKS_COVERED_AT_LEAST: usize = 8;
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance";

/// What both runs share.
fn schemathesis(server: &Server, ids: &serde_json::Value) -> Command {
    let tokens = ["host", "viewer", "moderator", "admin", "auditor"]
        .map(|role| (role.to_owned(), json!(token_of(SELLER, role, "ana"))));
    let tokens = serde_json::Value::Object(tokens.into_iter().collect());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/openapi.json");
    let mut command = Command::new(folder.join(".venv/bin/schemathesis"));
    command
        .args(["--config-file", "schemathesis.toml", "run"])
        .arg(document)
        .args(["--url", &server.base, "--checks", CHECKS, "--continue-on-failure", "--no-color"])
        .args(["--seed", "7", "--generation-database", "none", "--request-timeout", "60"])
        .current_dir(&folder)
        .env("PYTHONPATH", &folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "contract")
        .env("ONAIR_TOKENS", tokens.to_string())
        .env("ONAIR_IDS", ids.to_string())
        .stdin(Stdio::null());
    command
}

/// Runs it to its end; answers with what it said.
async fn passes(mut command: Command) -> String {
    let output = command.output().await.expect("Schemathesis is installed: run `scripts/test`");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_does_what_its_document_says() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 3, json!({})).await;
    let order = server.order(&viewer("ana"), "k", &order_of(&spotlight, 1)).await.expect(202).id();
    let ids = json!({"broadcasts": broadcast, "spotlights": spotlight, "orders": order});
    let mut command = schemathesis(&server, &ids);
    command.args(["--phases", "coverage,fuzzing"]);
    command.args(["--max-examples", &slice(CASES, CASES_IN_SOAK).to_string()]);
    let said = passes(command).await;
    assert!(said.contains("Fuzzing"), "{said}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_links_to_works_on_what_it_made() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 500, json!({})).await;
    let ids = json!({"broadcasts": broadcast, "spotlights": spotlight});
    let own = tempfile::tempdir().expect("a folder");
    let walked = own.path().join("walked");
    let mut command = schemathesis(&server, &ids);
    command.args(["--phases", "stateful", "--mode", "positive"]);
    command.args(["--max-examples", &slice(WALKS, WALKS_IN_SOAK).to_string()]);
    command.env("ONAIR_WALKED", &walked);
    let said = passes(command).await;
    let covered = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("API Links:"))
        .and_then(|line| line.split_whitespace().next())
        .and_then(|covered| covered.parse::<usize>().ok());
    assert!(covered.is_some_and(|covered| covered >= LINKS_COVERED_AT_LEAST), "{said}");
    check_walks(&std::fs::read_to_string(&walked).expect("something was linked to"));
    server.stop().await;
}

/// The links were walked: something was done with a broadcast, with a spotlight and with an order
/// that an earlier answer had made.
fn check_walks(walked: &str) {
    let calls: Vec<(&str, u16)> = walked
        .lines()
        .map(|line| line.split_once(' ').expect("an operation and a status"))
        .map(|(operation, status)| (operation, status.parse().expect("a status")))
        .collect();
    let of_a_broadcast = ["readBroadcast", "startBroadcast", "joinBroadcast", "listSpotlights"];
    let of_a_spotlight =
        ["readSpotlight", "adjustStock", "changeOffer", "closeSpotlight", "pauseSpotlight"];
    let of_an_order = ["readOrder", "cancelOrder", "refundOrder", "payOrder"];
    for made in [&of_a_broadcast[..], &of_a_spotlight[..], &of_an_order[..]] {
        let mut did = calls.iter().filter(|(name, _)| made.contains(name));
        let done = did.any(|(_, status)| (200..300).contains(status));
        assert!(done, "none of {made:?} did its work over a link:\n{walked}");
    }
}
