//! What the committed OpenAPI document says, asked of a server by Schemathesis: no 500, no status
//! that the document does not name, no answer that does not fit its schema.

use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use tokio::process::Command;

use super::server::{SELLER, Server, order_of, token_of, viewer};
use crate::support::slice;

/// Cases that are drawn for each operation, and walks over what answers link to.
const CASES: usize = 5;
/// The same in `scripts/soak`.
const CASES_IN_SOAK: usize = 100;
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance";

#[tokio::test(flavor = "multi_thread")]
async fn the_server_does_what_its_document_says() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 3, json!({})).await;
    let order = server.order(&viewer("ana"), "k", &order_of(&spotlight, 1)).await.expect(202).id();
    let tokens = ["host", "viewer", "moderator", "admin", "auditor"]
        .map(|role| (role.to_owned(), json!(token_of(SELLER, role, "ana"))));
    let tokens = serde_json::Value::Object(tokens.into_iter().collect());
    let ids = json!({"broadcasts": broadcast, "spotlights": spotlight, "orders": order});
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/openapi.json");
    let output = Command::new(folder.join(".venv/bin/schemathesis"))
        .arg("run")
        .arg(document)
        .args(["--url", &server.base, "--phases", "coverage,fuzzing,stateful"])
        .args(["--checks", CHECKS, "--continue-on-failure", "--no-color", "--seed", "7"])
        .args(["--max-examples", &slice(CASES, CASES_IN_SOAK).to_string()])
        .args(["--generation-database", "none", "--request-timeout", "60"])
        .current_dir(&folder)
        .env("PYTHONPATH", &folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "contract")
        .env("ONAIR_TOKENS", tokens.to_string())
        .env("ONAIR_IDS", ids.to_string())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("Schemathesis is installed: run `scripts/test`");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("Stateful"), "{said}");
    server.stop().await;
}
