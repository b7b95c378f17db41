//! A hot standby of the PostgreSQL: every command that only reads answers there as on its primary,
//! every other one says why it does not.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use commands::clock::SystemClock;
use commands::intake::{ReceiptSigner, receipt_leaf};
use commands::store::{self, OpenError, StoreOptions, open_audit};
use domain::envelope::Position;
use domain::event::Event;
use domain::order::OrderEvent;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use super::program::{Said, replay};
use super::rebuild::{follow, sql};
use super::show::{Show, show, write};
use crate::support::{eventually, fresh_database, required};

const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const BY: [&str; 7] =
    ["--apply", "--author", "kim", "--ticket", "DPO-7", "--reason", "asked to be forgotten"];
/// How long a replica may take to replay what everybody writes.
const REPLAYED: Duration = Duration::from_mins(1);

/// A database with a show in it, on the primary and on its replica.
struct Pair {
    primary: String,
    replica: String,
    dir: TempDir,
    show: Show,
    seal_key: String,
}

/// Waits until the replica has replayed what the primary holds; tells its address of a database.
async fn replayed(primary: &str) -> String {
    let server = required("ONAIR_TEST_POSTGRES_REPLICA");
    let mut writes = PgConnection::connect(primary).await.expect("connects");
    let end: String = sqlx::query_scalar("SELECT pg_current_wal_flush_lsn()::text")
        .fetch_one(&mut writes)
        .await
        .expect("is a primary");
    let mut reads = PgConnection::connect(&server).await.expect("connects");
    eventually("the replica has replayed the primary's log", REPLAYED, async || {
        let replayed = sqlx::query_scalar("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn");
        let replayed: bool = replayed.bind(&end).fetch_one(&mut reads).await.expect("a standby");
        replayed.then_some(())
    })
    .await;
    let (server, _) = server.rsplit_once('/').expect("a URL with a database name");
    let (_, name) = primary.rsplit_once('/').expect("a URL with a database name");
    format!("{server}/{name}")
}

impl Pair {
    /// Written by a writer, folded into the read models, sealed twice.
    async fn filled() -> Self {
        let (primary, show) = (fresh_database().await, show());
        let dir = tempfile::tempdir().expect("a folder");
        let seal_key = dir.path().join("seal.key").display().to_string();
        std::fs::write(&seal_key, KEY).expect("writes");
        let log = show.story.log();
        // between two commands, as between two batches of a writer
        let command = |at: usize| log[at].metadata.command_id;
        let middle = (log.len() / 2..log.len()).find(|at| command(*at) != command(at - 1));
        let (first, rest) = log.split_at(middle.expect("another command"));
        for events in [first, rest] {
            write(&primary, events).await;
            replay(dir.path(), &primary, &["seal", "--key-file", &seal_key]).ended(0);
        }
        follow(&primary).await;
        replay(dir.path(), &primary, &["rebuild", "order_book", "--shadow"]).ended(0);
        let replica = replayed(&primary).await;
        Self { primary, replica, dir, show, seal_key }
    }

    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn on_replica(&self, arguments: &[&str]) -> Said {
        replay(self.dir.path(), &self.replica, arguments)
    }

    /// Asks both: how it ends and what it says is the same, but for how long it took.
    fn ask(&self, arguments: &[&str], code: i32) {
        let answer = |url: &str| timeless(&replay(self.dir.path(), url, arguments).ended(code));
        assert_eq!(answer(&self.replica), answer(&self.primary), "{arguments:?}");
    }

    /// It writes, and the replica says so before it does anything.
    fn refuses(&self, arguments: &[&str]) {
        check_refusal(arguments, self.on_replica(arguments));
    }
}

fn check_refusal(arguments: &[&str], said: Said) {
    let said = said.ended(2);
    let named = said.errors.contains("read-only") && said.errors.contains("primary");
    assert!(named, "{arguments:?}: {}", said.errors);
    assert_eq!(said.out, "", "{arguments:?}");
}

fn timeless(said: &Said) -> String {
    assert!(!said.out.is_empty(), "{}", said.errors);
    let Ok(mut value) = serde_json::from_str::<Value>(&said.out) else {
        // the heading of `verify` tells how long it took
        let untimed = |line: &&str| !line.contains(" events/s)");
        return said.out.lines().filter(untimed).collect::<Vec<_>>().join("\n");
    };
    if let Some(answer) = value.as_object_mut() {
        answer.retain(|name, _| name != "duration_ms" && name != "events_per_second");
    }
    value.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_answers_as_its_primary_does() {
    let pair = Pair::filled().await;
    let (ana, dana) = (pair.show.ana.to_string(), pair.show.dana.to_string());
    let spotlight = pair.show.spotlight.to_string();
    let sold_out = format!(r#"spotlights["{spotlight}"].stock["CUP"].remaining == 0"#);
    let first = &pair.show.story.log()[0].metadata;
    let (seller, correlation) = (first.seller.to_string(), first.correlation.to_string());
    for (code, asked) in [
        (0, vec!["verify"]),
        (0, vec!["verify", "--jobs", "2"]),
        (0, vec!["at", "9"]),
        (1, vec!["diff", "3", "20", "--order", &ana]),
        (0, vec!["bisect", "--predicate", &sold_out]),
        (0, vec!["timeline", &ana]),
        (0, vec!["trace", &correlation]),
        (0, vec!["why", &dana]),
        (0, vec!["why", "--viewer", "dana", "--spotlight", &spotlight]),
        (0, vec!["prove", "9"]),
        (0, vec!["prove", "--consistency", "1", "2"]),
        (0, vec!["whatif", "--set", "limit:CUP=1"]),
        (0, vec!["fairness"]),
        (0, vec!["upcasters", "lint"]),
        (0, vec!["parked"]),
        (0, vec!["compare", "order_book"]),
        (0, vec!["watch", "--count", "1"]),
        (0, vec!["shred", "ana", "--seller", &seller]),
        (1, vec!["shred", "verify", "ana", "--seller", &seller]),
    ] {
        pair.ask(&asked, code);
        pair.ask(&[&asked[..], &["--json"]].concat(), code);
    }
    pair.ask(&["trace", &correlation, "--format", "dot"], 0);
    pair.ask(&["why", &dana, "--lang", "ko"], 0);
    // the seals and the read models are looked at there, not skipped
    let report = pair.on_replica(&["verify", "--json"]).ended(0).json("verify");
    for invariant in report["invariants"].as_array().expect("a list") {
        if ["I8", "I11"].map(Into::into).contains(&invariant["id"]) {
            assert!(invariant.get("skipped").is_none(), "{invariant}");
        }
    }
}

/// The files of a folder and what is in them.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entry = |file: std::io::Result<std::fs::DirEntry>| {
        let path = file.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read(&path).expect("reads"))
    };
    let mut found: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(entry).collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_gives_the_same_files() {
    let pair = Pair::filled().await;
    let both = [("primary", &pair.primary), ("replica", &pair.replica)];
    let [of_primary, of_replica] = both.map(|(name, url)| {
        let folder = pair.dir.path().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        for arguments in [
            &["export", "log.ndjson"][..],
            &["export", "log.csv.zst", "--format", "csv"],
            &["export", "log.json", "--format", "cloudevents", "--pseudonymize"],
            &["witness", "export", "witness.ndjson"],
        ] {
            replay(&folder, url, arguments).ended(0);
        }
        files(&folder)
    });
    assert_eq!(of_primary, of_replica);
    assert!(of_replica.iter().any(|(name, _)| name == "log.ndjson.keys"));

    // what the log promised is there too, and a pack can be made of it
    let witness = pair.dir.path().join("replica/witness.ndjson").display().to_string();
    pair.on_replica(&["verify", "--witness", &witness]).ended(0);
    let (receipt, key) = receipt_of(&pair).await;
    pair.ask(&["receipt", "check", &receipt, "--key", &key, "--json"], 0);
    let broadcast = pair.show.story.log()[0].key.0.to_string();
    let pack = pair.file("pack");
    let asked = ["export", &pack, "--evidence", &broadcast, "--key-file", &pair.seal_key, "--json"];
    let told = pair.on_replica(&asked).ended(0).json("evidence");
    assert_eq!((&told["orders"], &told["unproven"]), (&4.into(), &0.into()));
}

/// A receipt of ana's order, and the key that it is signed with.
async fn receipt_of(pair: &Pair) -> (String, String) {
    let options = StoreOptions::new(Arc::new(SystemClock));
    let readers = open_audit(&pair.primary, &options).await.expect("opens");
    let events = readers.events.read(Position::START, 10_000).await.expect("reads");
    let accepted = events.iter().find_map(|event| match &event.event {
        Event::Order(OrderEvent::OrderAccepted { accepted }) => Some((accepted, &event.metadata)),
        _ => None,
    });
    let (accepted, metadata) = accepted.expect("is there");
    let signer = ReceiptSigner::from_seed(&[7; 32]);
    let receipts = signer.sign(&[receipt_leaf(accepted, &metadata.source)]);
    let file = pair.file("receipt.json");
    std::fs::write(&file, serde_json::to_vec(&receipts[0]).expect("serialises")).expect("writes");
    (file, hex::encode(signer.public_key()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_writes_is_refused_on_a_replica_and_nothing_is_changed() {
    let pair = Pair::filled().await;
    let seller = pair.show.story.log()[0].metadata.seller.to_string();
    pair.refuses(&["seal", "--key-file", &pair.seal_key]);
    for model in ["order_book", "sales_board", "unmet_demand", "waitlist"] {
        pair.refuses(&["rebuild", model]);
        pair.refuses(&["rebuild", model, "--shadow", "--fresh"]);
        pair.refuses(&["swap", model]);
        pair.refuses(&["rollback", model]);
    }
    pair.refuses(&["reconcile", "readmodels"]);
    pair.refuses(&[&["reconcile", "readmodels"][..], &BY].concat());
    pair.refuses(&[&["shred", "ana", "--seller", &seller][..], &BY].concat());
    let id = uuid::Uuid::from_u128(7).to_string();
    for verb in ["retry", "discard"] {
        let asked = ["parked", "--database", &pair.replica, verb, &id];
        let asked = [&asked[..], &["--author", "kim", "--reason", "why not"]].concat();
        check_refusal(&asked, replay(pair.dir.path(), "", &asked));
    }
    let migrated = store::migrate(&pair.replica).await;
    assert!(matches!(migrated, Err(OpenError::ReadOnly)), "{migrated:?}");

    let file = pair.file("log.ndjson");
    replay(pair.dir.path(), &pair.primary, &["export", &file]).ended(0);
    let empty = replayed(&fresh_database().await).await;
    let asked = ["import", &file];
    check_refusal(&asked, replay(pair.dir.path(), &empty, &asked));

    // ana can be read and what was built aside is there, on either
    pair.ask(&["shred", "verify", "ana", "--seller", &seller], 1);
    pair.ask(&["compare", "order_book", "--json"], 0);
    pair.ask(&["verify", "--json"], 0);

    // to compare what stands elsewhere it would have to be moved
    let behind = "UPDATE projection_checkpoint SET position = 0 WHERE name LIKE 'order_book_%'";
    sql(&pair.primary, behind).await;
    replayed(&pair.primary).await;
    pair.refuses(&["compare", "order_book"]);
}
