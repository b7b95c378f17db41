//! The conformance suite of RFC 6455, from `PyPI`, against the sockets as they are.

use std::collections::BTreeMap;
use std::path::Path;

use api::live::echo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;

/// Cases of an extension that is not offered.
const COMPRESSION: [&str; 2] = ["12.", "13."];
/// Cases of everything else.
const CASES_MIN: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_outside_compression_passes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::task::spawn(async move {
        axum::serve(listener, echo::router()).await.unwrap();
    });
    let reports = tempfile::tempdir().unwrap();
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk/.venv/bin/kosoku");
    let output = Command::new(suite)
        .args(["--mode", "fuzzingclient", "--parallelism", "4"])
        .args(["--exclude", "12.*", "--exclude", "13.*", "--outdir"])
        .arg(reports.path())
        .arg(format!("ws://{address}{}", echo::ECHO_PATH))
        .output()
        .await
        .expect("the suite runs: see scripts/test");
    server.abort();
    let text = std::fs::read_to_string(reports.path().join("index.json"));
    let text = text.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let report: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_str(&text).unwrap();
    let cases = report.into_values().next().expect("one server was tried");
    let failed: BTreeMap<_, _> = cases
        .iter()
        .filter(|(name, _)| !COMPRESSION.iter().any(|part| name.starts_with(part)))
        .filter(|(_, case)| {
            let fine = |member: &str| {
                let verdict = case[member].as_str().unwrap_or_default();
                ["OK", "NON-STRICT", "INFORMATIONAL"].contains(&verdict)
            };
            !(fine("behavior") && fine("behaviorClose"))
        })
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(cases.len() >= CASES_MIN, "{} cases", cases.len());
}
