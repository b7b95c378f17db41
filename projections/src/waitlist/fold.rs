//! The fold of one viewer's waiting.

use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{OrderId, SellerId, SpotlightId, ViewerId, ViewerRef, derive_id};
use domain::line::Lines;
use domain::spotlight::{SpotlightEvent, WaitOutcome};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::NAME;
use crate::key_table::Fold;

/// Where a viewer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitStatus {
    /// In line.
    Waiting,
    /// Has an offer that waits for its payment.
    Offered,
    /// The offer was paid.
    Accepted,
    /// The viewer left, or cancelled the offer.
    Declined,
    /// The offer ran out.
    Expired,
    /// The line ended.
    Ended,
}

impl From<WaitOutcome> for WaitStatus {
    fn from(outcome: WaitOutcome) -> Self {
        match outcome {
            WaitOutcome::Accepted => Self::Accepted,
            WaitOutcome::Declined => Self::Declined,
            WaitOutcome::Expired => Self::Expired,
            WaitOutcome::Ended => Self::Ended,
        }
    }
}

/// One viewer's waiting for one spotlight; the last one, where there were several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitRow {
    /// Which spotlight.
    pub spotlight_id: SpotlightId,
    /// Whose it is.
    pub seller: SellerId,
    /// Who.
    pub viewer_ref: ViewerRef,
    /// Their name in tokens and channels; absent after it was shredded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewer: Option<ViewerId>,
    /// What is waited for.
    pub lines: Lines,
    /// Where the viewer stands.
    pub status: WaitStatus,
    /// What the order of the line follows from: the position of the joining.
    pub joined: Position,
    /// The order of the offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Until when the offer can be paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer_expires_at: Option<Timestamp>,
}

/// The fold by spotlight and viewer.
#[derive(Debug)]
pub struct WaitlistFold;

impl WaitlistFold {
    /// The key of a row.
    pub fn key_of(spotlight: SpotlightId, viewer: &ViewerRef) -> Uuid {
        derive_id(NAME, &[spotlight.0.as_bytes(), viewer.as_str().as_bytes()])
    }

    /// The viewer whom an event of a line is about.
    pub fn viewer_of(event: &Event) -> Option<&ViewerRef> {
        let Event::Spotlight(event) = event else { return None };
        match event {
            SpotlightEvent::WaitlistJoined { wait, .. } => Some(&wait.viewer_ref),
            SpotlightEvent::WaitlistOffered { viewer_ref, .. }
            | SpotlightEvent::WaitlistEnded { viewer_ref, .. } => Some(viewer_ref),
            _ => None,
        }
    }
}

impl Fold for WaitlistFold {
    const NAME: &'static str = NAME;
    const VERSION: i32 = 1;
    const EVENTS: &'static [&'static str] = &["WaitlistJoined", "WaitlistOffered", "WaitlistEnded"];
    type Row = WaitRow;

    fn key(recorded: &Recorded) -> Option<Uuid> {
        let viewer = Self::viewer_of(&recorded.event)?;
        Some(Self::key_of(SpotlightId(recorded.key.0), viewer))
    }

    fn fold(row: Option<WaitRow>, recorded: &Recorded) -> Option<WaitRow> {
        let Event::Spotlight(event) = &recorded.event else { return row };
        if let SpotlightEvent::WaitlistJoined { spotlight_id, wait, .. } = event {
            return Some(WaitRow {
                spotlight_id: *spotlight_id,
                seller: recorded.metadata.seller.clone(),
                viewer_ref: wait.viewer_ref.clone(),
                viewer: wait.personal.viewer.clone(),
                lines: wait.lines.clone(),
                status: WaitStatus::Waiting,
                joined: recorded.position,
                order_id: None,
                offer_expires_at: None,
            });
        }
        let mut row = row?;
        match event {
            SpotlightEvent::WaitlistOffered { order_id, expires_at, .. } => {
                row.status = WaitStatus::Offered;
                row.order_id = Some(*order_id);
                row.offer_expires_at = Some(*expires_at);
            }
            // the end of an earlier offer says nothing of a later waiting
            SpotlightEvent::WaitlistEnded { outcome, order_id, .. }
                if *order_id == row.order_id =>
            {
                row.status = (*outcome).into();
                row.offer_expires_at = None;
            }
            _ => {}
        }
        Some(row)
    }

    fn spotlight(row: &WaitRow) -> SpotlightId {
        row.spotlight_id
    }

    fn place(row: &WaitRow) -> Option<Position> {
        (row.status == WaitStatus::Waiting).then_some(row.joined)
    }
}
