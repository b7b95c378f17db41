//! A long log: verified and rebuilt in bounded memory, killed in the middle and resumed. A slice in
//! `scripts/test`, a million events in `scripts/soak`.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use commands::clock::SystemClock;
use commands::store::{StoreOptions, import, open_audit};
use domain::envelope::Position;
use domain::ports::{PortError, RowReader};
use domain::row::StoredRow;
use domain::seal::{KeyRecord, Seal, SealedBlock};
use projections::read_model::{self, Slot};
use projections::rebuild::{self, Model, compare};
use serde_json::Value;
use uuid::Uuid;

use super::program::replay;
use super::show::Rows;
use crate::support::events::Story;
use crate::support::process::binary;
use crate::support::{eventually, fresh_database, slice};

const EVENTS: usize = 1_000_000;
const EVENTS_IN_SLICE: usize = 30_000;
/// Orders of the show that is repeated.
const ORDERS: u32 = 200;
/// What no command may need, however long the log is.
const MEMORY_MAX_KIB: u64 = 400 * 1_024;
const WITHIN: Duration = Duration::from_mins(1);

/// One show again and again, under other ids each time; made as it is read.
struct Repeated {
    show: Vec<StoredRow>,
    shows: u64,
}

/// The ids of a text under another show's number.
fn renumbered(text: &[u8], show: u64) -> Vec<u8> {
    let mut text = text.to_vec();
    let mut at = 0;
    while at + 36 <= text.len() {
        let found = std::str::from_utf8(&text[at..at + 36])
            .ok()
            .filter(|part| part.as_bytes()[8] == b'-' && part.as_bytes()[23] == b'-')
            .and_then(|part| Uuid::try_parse(part).ok());
        if let Some(id) = found {
            text[at..at + 36].copy_from_slice(other(id, show).to_string().as_bytes());
            at += 36;
        } else {
            at += 1;
        }
    }
    text
}

/// An id under another show's number: in the lower bits, which hold neither version nor variant.
fn other(id: Uuid, show: u64) -> Uuid {
    Uuid::from_u128(id.as_u128() ^ (u128::from(show) << 24))
}

fn number(size: usize) -> u64 {
    size.try_into().expect("fits")
}

impl Repeated {
    fn of(events: usize) -> Self {
        let mut story = Story::new();
        let broadcast = story.live("Friday night");
        let terms = story.terms(broadcast, &[("CUP", ORDERS)]);
        let spotlight = story.schedule(terms, true);
        for number in 0..ORDERS {
            let order = story.place(spotlight, &format!("viewer-{number}"), &[("CUP", 1)]);
            story.capture(order);
        }
        story.end(broadcast);
        let show = Rows::of(story.log()).0;
        let shows = number(events.div_ceil(show.len()));
        Self { show, shows }
    }

    fn row(&self, place: u64) -> StoredRow {
        let length = number(self.show.len());
        let (show, at) = (place / length, place % length);
        let mut row = self.show[usize::try_from(at).expect("fits")].clone();
        let before = Position(show * length);
        row.position.0 += before.0;
        if row.prev > Position::START {
            row.prev.0 += before.0;
        }
        row.event_id = other(row.event_id, show);
        row.stream_key = other(row.stream_key, show);
        row.aggregate_id = renumbered(&row.aggregate_id, show);
        row.payload = renumbered(&row.payload, show);
        row.metadata = renumbered(&row.metadata, show);
        let mut metadata: Value = serde_json::from_slice(&row.metadata).expect("JSON");
        let offset: u64 = metadata["offset"].as_str().expect("a text").parse().expect("a number");
        metadata["offset"] = (offset + show * 100_000).to_string().into();
        row.metadata = metadata.to_string().into_bytes();
        row
    }
}

#[async_trait]
impl RowReader for Repeated {
    async fn rows(&self, after: Position, limit: usize) -> Result<Vec<StoredRow>, PortError> {
        let end = self.last_row().await?.0;
        let until = (after.0 + number(limit)).min(end);
        Ok((after.0..until).map(|place| self.row(place)).collect())
    }
    async fn last_row(&self) -> Result<Position, PortError> {
        Ok(Position(self.shows * number(self.show.len())))
    }
    async fn seals(&self, _: u64, _: usize) -> Result<Vec<Seal>, PortError> {
        Ok(vec![])
    }
    async fn block(&self, _: u64) -> Result<Option<SealedBlock>, PortError> {
        Ok(None)
    }
    async fn keys(&self) -> Result<Vec<KeyRecord>, PortError> {
        Ok(vec![])
    }
}

/// `onair replay …` that is looked at while it runs.
struct Running(Child);

impl Running {
    fn start(url: &str, arguments: &[&str]) -> Self {
        let child = Command::new(binary())
            .arg("replay")
            .args(arguments)
            .args(["--database", url])
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.expect("starts"))
    }

    /// The most memory that it had so far, in KiB; nothing where it has ended.
    fn peak(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Its answer, and its peak.
    async fn finish(self) -> (Value, u64) {
        self.finish_with(0).await
    }

    async fn finish_with(mut self, code: i32) -> (Value, u64) {
        let mut peak = 0;
        while self.0.try_wait().expect("waits").is_none() {
            peak = peak.max(self.peak().unwrap_or_default());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let output = self.0.wait_with_output().expect("ended");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{errors}");
        (serde_json::from_slice(&output.stdout).expect("JSON"), peak)
    }
}

async fn follow(url: &str) {
    let options = StoreOptions::new(Arc::new(SystemClock));
    let reader = open_audit(url, &options).await.expect("opens").events;
    let orders = read_model::open(url).await.expect("opens").orders;
    let mut after = Position::START;
    loop {
        let page = reader.read(after, 5_000).await.expect("reads");
        if page.is_empty() {
            return;
        }
        after = orders.apply(&page).await.expect("applies");
    }
}

async fn check(url: &str, name: &str) {
    let log = Repeated::of(slice(EVENTS_IN_SLICE, EVENTS));
    let filled = import(url, &log, None, &mut |_| {}).await.expect("fills");
    assert_eq!(filled.without_ledger, None);
    follow(url).await;
    let head = log.last_row().await.expect("is there");
    let begun = Instant::now();
    let (report, peak) = Running::start(url, &["verify", "--json", "--jobs", "2"]).finish().await;
    assert_eq!(
        (&report["verdict"], &report["events"]),
        (&"good".into(), &head.0.into()),
        "{report:#}"
    );
    println!("{name}: {head} events verified in {:?}, peak {peak} KiB", begun.elapsed());
    assert!(peak < MEMORY_MAX_KIB, "{peak} KiB");
    resume_verification(url, name, &report).await;
    // slow enough to be killed in the middle
    let rate = (head.0 / 20).to_string();
    let mut killed = Running::start(url, &["rebuild", "order_book", "--shadow", "--rate", &rate]);
    let tables = rebuild::open(url, Model::OrderBook).await.expect("opens");
    eventually("some of it is built", WITHIN, async || {
        let at = tables.slots().await.expect("reads").shadow?;
        (at > Position::START).then_some(())
    })
    .await;
    killed.0.kill().expect("is killed");
    killed.0.wait().expect("has ended");
    let begun = Instant::now();
    let asked = ["rebuild", "order_book", "--shadow", "--jobs", "2", "--json"];
    let (built, peak) = Running::start(url, &asked).finish().await;
    let from = built["from"].as_u64().expect("a number");
    assert!(from > 0 && from < head.0, "it went on where it was: {built}");
    println!("{name}: rebuilt from {from} in {:?}, peak {peak} KiB", begun.elapsed());
    assert!(peak < MEMORY_MAX_KIB, "{peak} KiB");
    let options = StoreOptions::new(Arc::new(SystemClock));
    let reader = open_audit(url, &options).await.expect("opens").events;
    let found = compare(tables.as_ref(), &reader, Slot::Shadow).await.expect("compares");
    assert!(found.equal && found.position == head, "{found:?}");
}

/// A verification that was killed goes on where it was, and says what a whole one says.
async fn resume_verification(url: &str, name: &str, whole: &Value) {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("verify.checkpoint");
    let path = file.display().to_string();
    let head = whole["last_position"].as_u64().expect("a number");
    kill_in_the_middle(url, head, &["verify", "--checkpoint", &path, "--json"]).await;
    let begun = Instant::now();
    let asked = ["verify", "--checkpoint", &path, "--jobs", "2", "--json"];
    let (mut report, peak) = Running::start(url, &asked).finish().await;
    let from = report["resumed_from"].as_u64().expect("it went on");
    assert!(from > 0 && from < head, "{from} of {head}");
    println!("{name}: verified from {from} in {:?}, peak {peak} KiB", begun.elapsed());
    assert!(peak < MEMORY_MAX_KIB, "{peak} KiB");
    assert!(!file.exists(), "it is removed at the end");
    let mut whole = whole.clone();
    for report in [&mut report, &mut whole] {
        let report = report.as_object_mut().expect("an object");
        for name in ["duration_ms", "events_per_second", "resumed_from"] {
            report.remove(name);
        }
    }
    assert_eq!(report, whole);
}

/// Lets a verification with a checkpoint run until that was kept, and kills it.
async fn kill_in_the_middle(url: &str, head: u64, arguments: &[&str]) {
    let place = arguments.iter().position(|word| *word == "--checkpoint").expect("is there");
    let file = std::path::Path::new(arguments[place + 1]);
    // slow enough to be killed in the middle
    let rate = (head / 30).to_string();
    let mut running = Running::start(url, &[arguments, &["--rate", &rate]].concat());
    eventually("how far it is was kept", WITHIN, async || file.exists().then_some(())).await;
    running.0.kill().expect("is killed");
    running.0.wait().expect("has ended");
}

/// What is changed before the checkpoint while nobody verifies is found all the same: seals are
/// compared from the first one on.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_before_the_checkpoint_is_found_after_a_resume() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let log = Repeated::of(EVENTS_IN_SLICE);
    let head = log.last_row().await.expect("is there").0;
    let sqlite = format!("sqlite://{}", dir.join("onair.db").display());
    import(&sqlite, &log, None, &mut |_| {}).await.expect("fills");
    let run = |arguments: &[&str]| replay(dir, &sqlite, arguments).ended(0);
    std::fs::write(dir.join("seal.key"), "05".repeat(32)).expect("writes");
    run(&["seal", "--key-file", "seal.key"]);
    run(&["witness", "export", "witness.ndjson"]);
    run(&["export", "log.ndjson"]);
    let (witness, file) = (dir.join("witness.ndjson"), dir.join("log.ndjson"));
    let (witness, file) = (witness.display().to_string(), file.display().to_string());
    let checkpoint = dir.join("checkpoint").display().to_string();
    let asked = ["verify", "--checkpoint", &checkpoint, "--witness", &witness, "--json"];
    for database in [&sqlite, &file] {
        kill_in_the_middle(database, head, &asked).await;
        if *database == sqlite {
            let change = "UPDATE events SET payload = replace(payload, '19900', '19901') \
                          WHERE position = 7";
            super::rebuild::sql(&sqlite, change).await;
        } else {
            let text = std::fs::read_to_string(&file).expect("reads");
            let lines = text.lines().enumerate().map(|(at, line)| match at {
                6 => line.replace("19900", "19901"),
                _ => line.to_owned(),
            });
            let changed = lines.collect::<Vec<_>>().join("\n") + "\n";
            assert_ne!(changed, text);
            std::fs::write(&file, changed).expect("writes");
        }
        let (report, _) = Running::start(database, &asked).finish_with(1).await;
        assert!(report["resumed_from"].as_u64() > Some(7), "{report:#}");
        let seals = &report["invariants"][10];
        assert_eq!(seals["id"], "I11");
        let found = seals["violations"].as_array().expect("a list");
        // an exported file has no hashes of rows: there it is the block
        let expected = if *database == sqlite { 7 } else { 1 };
        assert_eq!((found.len(), &found[0]["position"]), (1, &expected.into()), "{report:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_on_a_file_is_verified_and_rebuilt_in_bounded_memory() {
    let dir = tempfile::tempdir().expect("a folder");
    check(&format!("sqlite://{}", dir.path().join("onair.db").display()), "SQLite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_on_postgres_is_verified_and_rebuilt_in_bounded_memory() {
    check(&fresh_database().await, "PostgreSQL").await;
}
