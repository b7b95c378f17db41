//! Stores that releases before this one have written: migrated, verified, read and rebuilt.

use std::path::Path;
use std::str::FromStr;

use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Executor};

use super::program::{onair, replay, root};
use crate::support::fresh_database;

/// Every dump under `tests/fixtures/stores`, with the number of its events, and whether an older
/// release wrote names in plain.
const STORES: [(&str, u64, bool); 2] = [("migration-42", 28, true), ("migration-50", 29, false)];

/// The store as its release left it.
async fn restored(dir: &Path, name: &str) -> String {
    let dump = root(&format!("fixtures/stores/{name}.sql"));
    let dump = std::fs::read_to_string(dump).expect("is there");
    let url = format!("sqlite://{}", dir.join("onair.db").display());
    let options = SqliteConnectOptions::from_str(&url).expect("an address");
    let mut file: SqliteConnection =
        options.create_if_missing(true).connect().await.expect("opens");
    file.execute("PRAGMA writable_schema = OFF").await.expect("is plain");
    file.execute(dump.as_str()).await.expect("is SQL");
    url
}

#[test]
fn every_dump_is_tried() {
    let found = std::fs::read_dir(root("fixtures/stores")).expect("is there");
    let dumps = found.filter(|entry| {
        entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|it| it == "sql"))
    });
    assert_eq!(dumps.count(), STORES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_each_release_is_migrated_verified_and_rebuilt() {
    for (name, events, plain) in STORES {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path();
        let url = restored(dir, name).await;
        onair(dir, &["migrate", "--database", &url]).ended(0);
        let report = replay(dir, &url, &["verify", "--json"]).ended(0).json("verify");
        assert_eq!((&report["verdict"], &report["events"]), (&json!("good"), &json!(events)));
        let linted = replay(dir, &url, &["upcasters", "lint", "--json"]).ended(0);
        linted.json("upcasters");
        for model in ["order_book", "sales_board"] {
            replay(dir, &url, &["rebuild", model, "--shadow"]).ended(0);
            let found = replay(dir, &url, &["compare", model, "--json"]).ended(0);
            assert_eq!(found.json("compare")["equal"], true, "{name} {model}");
        }
        // taken home, and into the other store
        replay(dir, &url, &["export", "log.ndjson"]).ended(0);
        assert_eq!(dir.join("log.ndjson.keys").exists(), !plain, "{name}");
        let other = fresh_database().await;
        replay(dir, &other, &["import", "log.ndjson"]).ended(0);
        for database in ["log.ndjson", other.as_str()] {
            let again = replay(dir, database, &["verify", "--json"]).ended(0).json("verify");
            assert_eq!(again["events"], events, "{name} {database}");
        }
        let text = std::fs::read_to_string(dir.join("log.ndjson")).expect("reads");
        assert_eq!(text.contains("\"viewer\":"), plain, "{name}");
    }
}
