//! The file of the embedded store.

use std::sync::Arc;

use commands::store::{self, OpenError, SqliteStore};
use domain::envelope::Position;
use domain::ports::EventReader;

use super::bed::Bed;
use super::made::{Show, append};

#[tokio::test]
async fn a_file_has_one_owner() {
    let bed = Bed::sqlite().await;
    let refused = SqliteStore::open(bed.url(), &bed.options()).await.err().expect("is refused");
    let text = refused.to_string();
    assert!(text.contains("an embedded store has one owner"), "{text}");
    assert!(text.contains(&bed.folder().join("onair.db.lock").display().to_string()), "{text}");
    assert!(matches!(store::migrate(bed.url()).await, Err(OpenError::Owned { .. })));
    append(bed.store.as_ref(), [Show::new().scheduled(&[])]).await;
}

#[tokio::test]
async fn a_closed_store_is_free_at_once() {
    let bed = Bed::sqlite().await;
    let url = format!("sqlite://{}", bed.folder().join("second.db").display());
    for round in 1..=3 {
        let store = SqliteStore::open(&url, &bed.options()).await.expect("opens");
        assert_eq!(append(&store, [Show::new().scheduled(&[])]).await, Position(round));
        store.close().await;
    }
}

#[tokio::test]
async fn a_reader_reads_while_the_owner_writes() {
    let bed = Bed::sqlite().await;
    let reader: Arc<dyn EventReader> =
        store::open_reader(bed.url(), &bed.options()).await.expect("opens");
    let show = Show::new();
    append(bed.store.as_ref(), [show.scheduled(&[])]).await;
    assert_eq!(reader.head().await.expect("reads"), Position(1));
    for place in 2..10 {
        append(bed.store.as_ref(), [show.noted(place)]).await;
        while reader.head().await.expect("reads") < Position(place) {
            reader.wait(Position(place - 1)).await;
        }
    }
    assert_eq!(reader.read(Position::START, 99).await.expect("reads").len(), 9);
}

#[tokio::test]
async fn a_reader_reads_what_a_dead_owner_left() {
    let bed = Bed::sqlite().await;
    append(bed.store.as_ref(), [Show::new().scheduled(&[])]).await;
    // a copy of the file and its log, as they lie on the disk in mid-flight
    let dead = bed.folder().join("dead.db");
    for suffix in ["", "-wal"] {
        let from = bed.folder().join(format!("onair.db{suffix}"));
        std::fs::copy(from, format!("{}{suffix}", dead.display())).expect("copies");
    }
    let url = format!("sqlite://{}", dead.display());
    let reader = SqliteStore::open_read_only(&url, &bed.options()).await.expect("opens");
    assert_eq!(reader.head().await.expect("reads"), Position(1));
}

#[tokio::test]
async fn a_reader_makes_no_file() {
    let bed = Bed::sqlite().await;
    let path = bed.folder().join("none.db");
    let url = format!("sqlite://{}", path.display());
    assert!(store::open_reader(&url, &bed.options()).await.is_err());
    assert!(!path.exists());
    std::fs::write(&path, "").expect("writes");
    let refused = store::open_reader(&url, &bed.options()).await.err();
    assert!(matches!(refused, Some(OpenError::NotMigrated(1))), "{refused:?}");
}

#[tokio::test]
async fn only_files_and_servers_are_stores() {
    let bed = Bed::memory();
    for url in ["", "onair.db", "mysql://u:secret@host/db", "sqlite::memory:"] {
        let refused = store::open(url, &bed.options()).await.err().expect("is refused");
        assert!(matches!(refused, OpenError::Scheme(_)), "{refused:?}");
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }
}
