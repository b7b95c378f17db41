//! Putting tables in the place of those that serve.

use std::sync::Arc;

use domain::envelope::Position;
use domain::ports::EventReader;
use serde::Serialize;

use super::RebuildError;
use super::build::PAGE_EVENTS;
use super::tables::{Aligned, Tables};
use crate::read_model::Slot;

/// Steps in which tables may come nearer to the live ones before it is given up.
const STEPS_MAX: usize = 1_000_000;

/// What was put in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Swapped {
    /// The position at which it happened.
    pub position: Position,
}

/// Brings a slot to where the live tables are, and perhaps puts it in their place in the same
/// transaction.
pub(super) async fn bring(
    tables: &dyn Tables,
    reader: &Arc<dyn EventReader>,
    slot: Slot,
    swap: bool,
) -> Result<Position, RebuildError> {
    let missing = |advice| {
        let (model, slot) = (tables.model().name(), slot.as_str());
        RebuildError::Missing { model, slot, advice }
    };
    let slots = tables.slots().await?;
    let advice = match slot {
        Slot::Previous => "nothing was swapped yet",
        Slot::Live | Slot::Shadow => "`onair replay rebuild NAME --shadow` makes them",
    };
    let mut at = slots.of(slot).ok_or_else(|| missing(advice))?;
    let mut live = slots.live;
    for _ in 0..STEPS_MAX {
        // first all but the last steps, each in a transaction that keeps nobody waiting
        let page = reader.read(at, PAGE_EVENTS).await?;
        let is_last = page.last().is_none_or(|event| event.position >= live);
        if !is_last {
            at = tables.apply(slot, &page).await?;
            continue;
        }
        match tables.align(slot, &page, swap).await? {
            Aligned::At(position) => return Ok(position),
            Aligned::Behind { at: reached, live: now } => {
                if page.is_empty() {
                    break;
                }
                (at, live) = (reached, now);
            }
        }
    }
    Err(RebuildError::Apart { model: tables.model().name(), live, other: at })
}

/// Puts the shadow tables in the place of the live ones, which become the previous ones: in one
/// transaction, at one position, while the server runs.
///
/// # Errors
/// There are no shadow tables, or the database cannot be reached; what serves is as it was.
pub async fn swap(
    tables: &dyn Tables,
    reader: &Arc<dyn EventReader>,
) -> Result<Swapped, RebuildError> {
    Ok(Swapped { position: bring(tables, reader, Slot::Shadow, true).await? })
}

/// Takes the last swap back: the previous tables serve again, after they were given what happened
/// since.
///
/// # Errors
/// As of [`swap`].
pub async fn roll_back(
    tables: &dyn Tables,
    reader: &Arc<dyn EventReader>,
) -> Result<Swapped, RebuildError> {
    Ok(Swapped { position: bring(tables, reader, Slot::Previous, true).await? })
}
