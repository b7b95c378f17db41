//! `replay export` and `replay import`.

use commands::clock::SystemClock;
use commands::store::{ImportError, StoreOptions, open_audit};
use domain::envelope::Position;
use domain::ports::{EventReader, PortError, RowReader};
use domain::row::StoredRow;
use projections::replay::export::{EXPORT_FRAME_ROWS, ExportFile, FileError, Format, export};

use super::program::replay;
use super::show::{Base, Rows, fill, show};
use crate::support::fresh_database;

const FILES: [(&str, &str); 6] = [
    ("log.ndjson", "ndjson"),
    ("log.ndjson.zst", "ndjson"),
    ("log.ce", "cloudevents"),
    ("log.ce.zst", "cloudevents"),
    ("log.csv", "csv"),
    ("log.csv.zst", "csv"),
];

async fn rows_of(url: &str) -> Vec<StoredRow> {
    let options = StoreOptions::new(std::sync::Arc::new(SystemClock));
    let readers = open_audit(url, &options).await.expect("opens");
    readers.rows.rows(Position::START, 1_000_000).await.expect("reads")
}

fn last_of(rows: &Rows) -> u64 {
    rows.0.last().expect("is not empty").position.0
}

/// Writes rows to a file.
async fn write(path: &std::path::Path, rows: &Rows, format: Format, compressed: bool) {
    let mut file = std::fs::File::create(path).expect("creates");
    export(rows, &mut file, (format, compressed), &mut |_, _| {}).await.expect("exports");
}

#[tokio::test]
async fn what_is_exported_and_imported_has_the_same_positions_and_bytes_on_both_stores() {
    let show = show();
    let rows = Rows::of(show.story.log());
    for base in Base::both(&rows).await {
        assert_eq!(rows_of(&base.url).await, rows.0);
        for (name, format) in FILES {
            let file = base.file(name);
            let said = replay(base.dir.path(), &base.url, &["export", &file, "--format", format]);
            said.ended(0);
            let copy = format!("sqlite://{}", base.file(&format!("{name}.db")));
            let said = replay(base.dir.path(), &copy, &["import", &file, "--json"]).ended(0);
            assert_eq!(said.json("import")["events"], rows.0.len());
            assert_eq!(rows_of(&copy).await, rows.0, "{name}");
        }
        let other = fresh_database().await;
        let said = replay(base.dir.path(), &other, &["import", &base.file("log.csv.zst")]);
        said.ended(0).golden("import");
        assert_eq!(rows_of(&other).await, rows.0);
    }
}

#[tokio::test]
async fn a_writer_can_go_on_from_an_imported_store() {
    let show = show();
    let base = Base::sqlite(&Rows::of(show.story.log())).await;
    let options = StoreOptions::new(std::sync::Arc::new(SystemClock));
    let store = commands::store::open(&base.url, &options).await.expect("opens");
    let ledger = store.ledger(show.spotlight).await.expect("reads");
    let row = ledger.get(&crate::support::events::sku("CUP")).expect("is there");
    assert_eq!((row.limit, row.held, row.confirmed), (2, 0, 1));
    let key = show.spotlight.into();
    let own = show.story.log().iter().rev().find(|event| event.key == key).expect("has events");
    assert_eq!(store.key_head(key).await.expect("reads"), own.position);
}

#[tokio::test]
async fn a_store_that_is_not_empty_and_a_file_that_is_there_are_refused() {
    let rows = Rows::of(show().story.log());
    for base in Base::both(&rows).await {
        let dir = base.dir.path();
        let file = base.file("log.ndjson");
        let said = replay(dir, &base.url, &["export", &file, "--json"]).ended(0);
        let told = said.json("export");
        assert_eq!(
            (&told["events"], &told["last_position"]),
            (&rows.0.len().into(), &rows.0.len().into())
        );
        replay(dir, &base.url, &["export", &file]).ended(2);
        replay(dir, &base.url, &["import", &file]).ended(2);
        replay(dir, &file, &["import", &file]).ended(2);
        assert!(matches!(fill(&base.url, &rows).await, Err(ImportError::NotEmpty(_))));
        replay(dir, "no-such-file", &["verify"]).ended(3);
        replay(dir, "ftp://x", &["verify"]).ended(2);
    }
}

#[tokio::test]
async fn verify_gives_the_same_answer_on_a_store_and_on_its_export() {
    let good = show();
    let mut broken = Rows::of(good.story.log());
    // the confirmation of ana's order stands there twice
    let copy = broken.0.iter().find(|row| row.event_type == b"OrderConfirmed").cloned();
    let mut copy = copy.expect("is confirmed");
    let last = broken.0.last().expect("is there").clone();
    copy.position = Position(last.position.0 + 1);
    copy.sequence += 1;
    copy.event_id = uuid::Uuid::from_u128(7);
    let key = copy.stream_key;
    let before = broken.0.iter().rev().find(|row| row.stream_key == key).expect("is there");
    copy.prev = before.position;
    broken.0.push(copy);
    for (rows, code) in [(Rows::of(good.story.log()), 0), (broken, 1)] {
        for base in Base::both(&rows).await {
            let dir = base.dir.path();
            let mut answers = vec![];
            let of_store = replay(dir, &base.url, &["verify", "--json"]);
            // the read models of an imported store are not built yet
            answers.push(of_store.ended(code).json("verify"));
            for (name, format) in FILES {
                let file = base.file(name);
                replay(dir, &base.url, &["export", &file, "--format", format]).ended(0);
                for database in [file.clone(), format!("export://{file}")] {
                    answers.push(
                        replay(dir, &database, &["verify", "--json"]).ended(code).json("verify"),
                    );
                }
            }
            for answer in &mut answers {
                for name in ["duration_ms", "events_per_second"] {
                    answer[name] = 0.into();
                }
                // read models stand beside a store only
                answer["invariants"][7] = serde_json::Value::Null;
            }
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
        }
    }
}

#[tokio::test]
async fn what_was_damaged_is_written_and_read_as_it_is() {
    let mut rows = Rows::of(show().story.log());
    rows.0[2].payload = b"{\"a\":\n1}".to_vec();
    rows.0[3].payload = vec![b'"', 0xff, b'"'];
    rows.0[4].metadata = vec![0x80];
    rows.0[5].payload = b" {} ".to_vec();
    let dir = tempfile::tempdir().expect("a folder");
    for (format, name) in Format::ALL {
        for compressed in [false, true] {
            let path = dir.path().join(format!("{name}-{compressed}"));
            write(&path, &rows, format, compressed).await;
            let file = ExportFile::open(&path).expect("opens");
            assert_eq!((file.format(), file.is_compressed()), (format, compressed));
            let read = file.rows(Position::START, 1_000).await.expect("reads");
            assert_eq!(read, rows.0, "{name}");
        }
    }
    let url = format!("sqlite://{}", dir.path().join("damaged.db").display());
    let imported = fill(&url, &rows).await.expect("fills");
    assert!(imported.without_ledger.is_some());
    assert_eq!(rows_of(&url).await, rows.0);
}

#[tokio::test]
async fn a_long_file_is_read_from_any_place_and_never_whole() {
    let mut rows = Rows::of(show().story.log());
    let row = rows.0[0].clone();
    let frame = u64::try_from(EXPORT_FRAME_ROWS).expect("fits");
    for position in last_of(&rows) + 1..=2 * frame + 77 {
        rows.0.push(StoredRow { position: Position(position), ..row.clone() });
    }
    let last = last_of(&rows);
    let dir = tempfile::tempdir().expect("a folder");
    for (format, name) in Format::ALL {
        for compressed in [false, true] {
            let path = dir.path().join(format!("{name}-{compressed}"));
            write(&path, &rows, format, compressed).await;
            let file = ExportFile::open(&path).expect("opens");
            assert_eq!(file.head().await.expect("has a head").0, last);
            for after in [0, 1, 4_094, 4_095, 4_096, 4_097, 8_192, 8_250, 8_268, 8_269, 3] {
                let page = file.rows(Position(after), 5).await.expect("reads");
                let wanted: Vec<u64> = (after + 1..=last).take(5).collect();
                let found: Vec<u64> = page.iter().map(|row| row.position.0).collect();
                assert_eq!(found, wanted, "{name} {compressed} after {after}");
            }
        }
    }
}

#[tokio::test]
async fn a_file_that_was_changed_is_named() {
    let rows = Rows::of(show().story.log());
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("log.ndjson");
    write(&path, &rows, Format::Ndjson, false).await;
    let text = std::fs::read_to_string(&path).expect("reads");
    let lines: Vec<&str> = text.lines().collect();

    let mut swapped = lines.clone();
    swapped.swap(4, 5);
    std::fs::write(&path, swapped.join("\n")).expect("writes");
    assert!(matches!(
        ExportFile::open(&path),
        Err(FileError::Damaged { line: 6, position: 7, .. })
    ));
    let said = replay(dir.path(), "log.ndjson", &["verify"]).ended(1);
    assert!(said.out.contains("position 5 stands after position 6"), "{}", said.out);
    replay(dir.path(), "log.ndjson", &["export", "again.csv"]).ended(2);

    let mut deleted = lines.clone();
    deleted.remove(4);
    std::fs::write(&path, deleted.join("\n")).expect("writes");
    let said = replay(dir.path(), "log.ndjson", &["verify"]).ended(1);
    assert!(said.out.contains("position 6 follows 4"), "{}", said.out);

    let broken = lines[4].replacen("{\"", "{'", 1);
    let mut garbled = lines.clone();
    garbled[4] = &broken;
    std::fs::write(&path, garbled.join("\n")).expect("writes");
    let file = ExportFile::open(&path).expect("opens");
    assert!(matches!(file.rows(Position(4), 1).await, Err(PortError::Corrupt { .. })));
    let said = replay(dir.path(), "log.ndjson", &["verify"]).ended(1);
    assert!(said.out.contains("position 5"), "{}", said.out);

    let packed = dir.path().join("log.zst");
    write(&packed, &rows, Format::Csv, true).await;
    let bytes = std::fs::read(&packed).expect("reads");
    std::fs::write(&packed, &bytes[..bytes.len() - 9]).expect("writes");
    let said = replay(dir.path(), "log.zst", &["verify"]).ended(1);
    assert!(said.out.contains("the compressed frame ends there"), "{}", said.out);

    std::fs::write(&path, "hello\n").expect("writes");
    assert!(matches!(ExportFile::open(&path), Err(FileError::NoExport)));
    replay(dir.path(), "log.ndjson", &["verify"]).ended(2);
}

#[tokio::test]
async fn a_pseudonymized_export_names_nobody_and_can_be_audited() {
    let show = show();
    for base in Base::both(&Rows::of(show.story.log())).await {
        let dir = base.dir.path();
        let (file, whole) = (base.file("people.ndjson"), base.file("whole.ndjson"));
        replay(dir, &base.url, &["export", &whole]).ended(0);
        replay(dir, &base.url, &["export", &file, "--pseudonymize", "--json"])
            .ended(0)
            .json("export");
        let text = |file: &str| std::fs::read_to_string(file).expect("reads");
        assert!(text(&whole).contains("\"personal\"") && text(&whole).contains("\"ana\""));
        for name in ["\"personal\"", "\"ana\"", "\"bora\"", "\"chun\"", "\"dana\""] {
            assert!(!text(&file).contains(name), "{name}");
        }
        let report = replay(dir, &file, &["verify", "--json"]).ended(0).json("verify");
        assert_eq!(report["events"], show.story.log().len());
        let copy = format!("sqlite://{}", base.file("copy.db"));
        replay(dir, &copy, &["import", &file]).ended(0);
        assert_eq!(rows_of(&copy).await.len(), show.story.log().len());
        let order = show.chun.to_string();
        let said = replay(dir, &file, &["why", &order]).ended(0);
        assert_eq!(said.out, replay(dir, &whole, &["why", &order]).ended(0).out);
        let folder = base.file("pack");
        let both = ["export", &folder, "--pseudonymize", "--evidence", &order];
        replay(dir, &base.url, &both).ended(2);
    }
}
