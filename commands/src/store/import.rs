//! Filling an empty store from another log, position by position and byte by byte.

use std::collections::BTreeMap;

use domain::envelope::Position;
use domain::event::Event;
use domain::ids::{Sku, SpotlightId, ViewerRef};
use domain::ledger::{LedgerRow, for_each_ledger_change, units_change};
use domain::personal_key::PERSONAL_KEY_BYTES;
use domain::ports::{PersonalKeys, PortError, RowReader};
use domain::row::StoredRow;
use domain::spotlight::SpotlightEvent;

use super::OpenError;

/// Rows that are read and written at a time.
pub const IMPORT_PAGE_ROWS: usize = 1_000;

/// Why an import did not happen. Nothing was written then.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store has events already.
    #[error("the store is not empty: it ends at position {0}")]
    NotEmpty(Position),
    /// The store refuses a row.
    #[error("the store refuses a row after position {after}")]
    Refused {
        /// The last position that it took.
        after: Position,
        /// Why.
        source: sqlx::Error,
    },
    /// What is imported cannot be read.
    #[error(transparent)]
    Source(#[from] PortError),
}

/// What was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// How many events.
    pub events: u64,
    /// The last position.
    pub last: Position,
    /// Why the stock ledger was not restored: the log breaks an invariant, and a writer must not go
    /// on from there.
    pub without_ledger: Option<String>,
}

/// What a writer keeps beside the events, summed up again: one entry per SKU, and per viewer who
/// holds or has bought something where there is a limit.
#[derive(Debug, Default)]
pub(super) struct Derived {
    pub ledger: BTreeMap<(SpotlightId, Sku), LedgerRow>,
    pub units: BTreeMap<(SpotlightId, ViewerRef), i64>,
    pub limits: BTreeMap<SpotlightId, u32>,
    /// Why the sums cannot be trusted.
    pub broken: Option<String>,
}

impl Derived {
    fn take(&mut self, row: &StoredRow) {
        let event = match row.decode() {
            Ok(recorded) => recorded.event,
            Err(error) => {
                self.broken.get_or_insert(error.to_string());
                return;
            }
        };
        if let Event::Spotlight(SpotlightEvent::SpotlightScheduled { terms }) = &event
            && let Some(limit) = terms.per_viewer_limit
        {
            self.limits.insert(terms.spotlight_id, limit);
        }
        let position = row.position;
        for_each_ledger_change(&event, |change| {
            let row = self.ledger.entry((change.spotlight, change.sku.clone())).or_default();
            row.limit = row.limit.saturating_add(change.limit);
            row.held = row.held.saturating_add(change.held);
            row.confirmed = row.confirmed.saturating_add(change.confirmed);
            if !row.is_sound() {
                self.broken.get_or_insert(format!("the stock is broken at position {position}"));
            }
        });
        let Event::Reservation(reservation) = &event else { return };
        let spotlight = reservation.spotlight_id();
        let (Some((viewer, change)), Some(limit)) =
            (units_change(&event), self.limits.get(&spotlight))
        else {
            return;
        };
        let units = self.units.entry((spotlight, viewer.clone())).or_default();
        *units = units.saturating_add(change);
        if *units < 0 || *units > i64::from(*limit) {
            self.broken.get_or_insert(format!("a viewer's limit is broken at position {position}"));
        }
        if *units == 0 {
            self.units.remove(&(spotlight, viewer.clone()));
        }
    }
}

/// Where rows go: one transaction, committed at the end or not at all.
#[async_trait::async_trait]
pub(super) trait RowSink: Send {
    async fn head(&mut self) -> Result<Position, sqlx::Error>;
    async fn insert(&mut self, rows: &[StoredRow]) -> Result<(), sqlx::Error>;
    /// Keys of personal parts, in lists: each begins at a position.
    async fn keys(&mut self, first: Position, keys: &[u8]) -> Result<(), sqlx::Error>;
    async fn derive(&mut self, derived: Option<&Derived>) -> Result<(), sqlx::Error>;
    async fn commit(self: Box<Self>) -> Result<(), sqlx::Error>;
}

/// Fills an empty store, which is migrated first; `progress` is told of every page.
///
/// # Errors
/// [`ImportError`]; nothing was written.
pub async fn import(
    database: &str,
    from: &dyn RowReader,
    keys: Option<&dyn PersonalKeys>,
    progress: &mut (dyn FnMut(Position) + Send),
) -> Result<Imported, ImportError> {
    let mut sink = super::open::sink(database).await?;
    let refused = |after| move |source| ImportError::Refused { after, source };
    let head = sink.head().await.map_err(refused(Position::START))?;
    if head > Position::START {
        return Err(ImportError::NotEmpty(head));
    }
    let (mut derived, mut events, mut last) = (Derived::default(), 0_u64, Position::START);
    loop {
        let page = from.rows(last, IMPORT_PAGE_ROWS).await?;
        let Some(end) = page.last().map(|row| row.position) else { break };
        sink.insert(&page).await.map_err(refused(last))?;
        if let Some(keys) = keys {
            import_keys(sink.as_mut(), keys, &page).await?;
        }
        for row in &page {
            derived.take(row);
        }
        events += u64::try_from(page.len()).unwrap_or(0);
        last = end;
        progress(last);
    }
    let whole = derived.broken.is_none().then_some(&derived);
    sink.derive(whole).await.map_err(refused(last))?;
    sink.commit().await.map_err(refused(last))?;
    Ok(Imported { events, last, without_ledger: derived.broken })
}

/// The keys of a page, as a list; a position that stands far from the others, as only a damaged log
/// has it, begins another one.
async fn import_keys(
    sink: &mut dyn RowSink,
    from: &dyn PersonalKeys,
    page: &[StoredRow],
) -> Result<(), ImportError> {
    let positions: Vec<Position> = page.iter().map(|row| row.position).collect();
    let mut lists: Vec<(Position, Vec<u8>)> = vec![];
    for (position, key) in from.keys(&positions).await? {
        let slot = lists.last().map_or(usize::MAX, |(first, _)| {
            usize::try_from(position.0.saturating_sub(first.0)).unwrap_or(usize::MAX)
        });
        match lists.last_mut().filter(|_| slot < IMPORT_PAGE_ROWS) {
            Some((_, list)) => {
                list.resize(slot.saturating_mul(PERSONAL_KEY_BYTES), 0);
                list.extend_from_slice(key.as_bytes());
            }
            None => lists.push((position, key.as_bytes().to_vec())),
        }
    }
    for (first, list) in lists {
        let refused = |source| ImportError::Refused { after: first, source };
        sink.keys(first, &list).await.map_err(refused)?;
    }
    Ok(())
}
