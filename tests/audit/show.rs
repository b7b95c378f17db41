//! A small show, in a store.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use commands::store::{self, ImportError, Imported};
use domain::actor::Role;
use domain::envelope::{Position, Recorded};
use domain::ids::{OrderId, SpotlightId};
use domain::payment::{DeclineKind, PaymentResult};
use domain::ports::{PortError, RowReader};
use domain::row::StoredRow;
use domain::seal::{KeyRecord, Seal, SealedBlock};
use tempfile::TempDir;

use super::program::replay;
use crate::support::events::Story;
use crate::support::fresh_database;

/// Two cups: ana buys one, bora's hold runs out, chun's card is declined, dana comes too late and
/// finds both taken, and calls it off.
pub struct Show {
    pub story: Story,
    pub spotlight: SpotlightId,
    pub ana: OrderId,
    pub bora: OrderId,
    pub chun: OrderId,
    pub dana: OrderId,
}

pub fn show() -> Show {
    let mut story = Story::new();
    let broadcast = story.live("Friday night");
    let terms = story.terms(broadcast, &[("CUP", 2)]);
    let spotlight = story.schedule(terms, true);
    story.pass(1);
    let ana = story.place(spotlight, "ana", &[("CUP", 1)]);
    story.pass(1);
    let chun = story.place(spotlight, "chun", &[("CUP", 1)]);
    story.pass(1);
    let dana = story.place(spotlight, "dana", &[("CUP", 1)]);
    story.pass(1);
    story.capture(ana);
    let code = "do_not_honor".to_owned();
    story.answer(chun, PaymentResult::Declined { kind: DeclineKind::Hard, code });
    story.pass(1);
    let bora = story.place(spotlight, "bora", &[("CUP", 1)]);
    story.pass(1);
    story.cancel(bora, Role::Viewer).expect("may be called off");
    story.end(broadcast);
    Show { story, spotlight, ana, bora, chun, dana }
}

/// A log in a list, as bytes.
pub struct Rows(pub Vec<StoredRow>);

impl Rows {
    /// The events of one command have its offset, as the writer gives it.
    pub fn of(events: &[Recorded]) -> Self {
        let mut offsets = BTreeMap::new();
        let row = |event: &Recorded| {
            let mut event = event.clone();
            let command = event.metadata.command_id.0;
            let offset = event.metadata.source.offset;
            event.metadata.source.offset = *offsets.entry(command).or_insert(offset);
            StoredRow::of(&event).expect("serialises")
        };
        Self(events.iter().map(row).collect())
    }
}

#[async_trait]
impl RowReader for Rows {
    async fn rows(&self, after: Position, limit: usize) -> Result<Vec<StoredRow>, PortError> {
        Ok(self.0.iter().filter(|row| row.position > after).take(limit).cloned().collect())
    }
    async fn last_row(&self) -> Result<Position, PortError> {
        Ok(self.0.last().map_or(Position::START, |row| row.position))
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

/// A database with these rows in it, and the read models that follow from them.
pub struct Base {
    pub url: String,
    pub dir: Arc<TempDir>,
}

pub async fn fill(url: &str, rows: &Rows) -> Result<Imported, ImportError> {
    store::import(url, rows, None, &mut |_| {}).await
}

impl Base {
    pub async fn sqlite(rows: &Rows) -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("a folder"));
        let url = format!("sqlite://{}", dir.path().join("onair.db").display());
        fill(&url, rows).await.expect("fills");
        Self { url, dir }
    }

    pub async fn postgres(rows: &Rows) -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("a folder"));
        let url = fresh_database().await;
        fill(&url, rows).await.expect("fills");
        Self { url, dir }
    }

    /// Both stores.
    pub async fn both(rows: &Rows) -> [Self; 2] {
        [Self::sqlite(rows).await, Self::postgres(rows).await]
    }

    /// A file in the folder.
    pub fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }
}

/// The stores and their exports: the same answer from each.
pub async fn everywhere(rows: &Rows) -> Vec<(Base, String)> {
    let mut places = vec![];
    for base in Base::both(rows).await {
        for (name, format) in [("log.csv", "csv"), ("log.zst", "cloudevents")] {
            let file = base.file(name);
            replay(base.dir.path(), &base.url, &["export", &file, "--format", format]).ended(0);
            places.push((Base { url: file, dir: base.dir.clone() }, name.to_owned()));
        }
        places.push((base, "store".to_owned()));
    }
    places
}

/// Writes a log as a writer does: batch by batch, with keys of its own for what is personal.
pub async fn write(url: &str, events: &[Recorded]) {
    let options = store::StoreOptions::new(Arc::new(commands::clock::SystemClock));
    store::migrate(url).await.expect("migrates");
    let store = store::open(url, &options).await.expect("opens");
    let rows = Rows::of(events);
    let events: Vec<Recorded> = rows.0.iter().map(|row| row.decode().expect("decodes")).collect();
    for events in events.chunks(7) {
        let new = |event: &Recorded| domain::envelope::NewEvent {
            event_id: event.event_id,
            stream: event.stream.clone(),
            sequence: event.sequence,
            key: event.key,
            event: event.event.clone(),
            metadata: event.metadata.clone(),
        };
        let batch = domain::ports::Batch {
            events: events.iter().map(new).collect(),
            ..domain::ports::Batch::default()
        };
        store.append(&batch).await.expect("appends");
    }
    drop(store);
    options.tasks.close();
    options.tasks.wait().await;
}
