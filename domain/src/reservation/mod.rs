//! Units held for one order until a deadline; ends exactly once: confirmed or released.

mod command;
mod error;
mod event;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use command::ReservationCommand;
pub use error::ReservationError;
pub use event::{ReleaseReason, ReservationEvent};

use crate::Timestamp;
use crate::ids::{OrderId, SpotlightId, ViewerRef};
use crate::line::Lines;
use crate::spotlight::UnitsBySku;

/// What is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// For which order.
    pub order_id: OrderId,
    /// Of which spotlight.
    pub spotlight_id: SpotlightId,
    /// By whom.
    pub viewer_ref: ViewerRef,
    /// What.
    pub lines: Lines,
    /// Until when.
    pub deadline: Timestamp,
}

/// The state of a reservation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Reservation {
    /// Nothing was reserved.
    #[default]
    Absent,
    /// Units are held.
    Held {
        /// What.
        hold: Hold,
    },
    /// The units are sold.
    Confirmed,
    /// The units are free again.
    Released,
}

impl Reservation {
    /// What a command leads to.
    ///
    /// # Errors
    /// [`ReservationError`] where the reservation has ended, or never began.
    pub fn decide(
        &self,
        command: &ReservationCommand,
    ) -> Result<ReservationEvent, ReservationError> {
        if let ReservationCommand::Reserve {
            order_id,
            spotlight_id,
            viewer_ref,
            lines,
            epoch,
            admission_no,
            deadline,
        } = command
        {
            return match self {
                Self::Absent => Ok(ReservationEvent::StockReserved {
                    order_id: *order_id,
                    spotlight_id: *spotlight_id,
                    viewer_ref: viewer_ref.clone(),
                    lines: lines.clone(),
                    epoch: *epoch,
                    admission_no: *admission_no,
                    deadline: *deadline,
                }),
                _ => Err(ReservationError::Exists),
            };
        }
        let hold = match self {
            Self::Held { hold } => hold.clone(),
            Self::Absent => return Err(ReservationError::NotFound),
            Self::Confirmed => return Err(ReservationError::AlreadyConfirmed),
            Self::Released => return Err(ReservationError::AlreadyReleased),
        };
        let Hold { order_id, spotlight_id, viewer_ref, lines, .. } = hold;
        Ok(match command {
            ReservationCommand::Release { reason } => ReservationEvent::ReservationReleased {
                order_id,
                spotlight_id,
                viewer_ref,
                lines,
                reason: *reason,
                kept: UnitsBySku::new(),
            },
            _ => {
                ReservationEvent::ReservationConfirmed { order_id, spotlight_id, viewer_ref, lines }
            }
        })
    }

    /// Takes a fact in; cannot fail.
    pub fn apply(&mut self, event: &ReservationEvent) {
        *self = match event {
            ReservationEvent::StockReserved {
                order_id,
                spotlight_id,
                viewer_ref,
                lines,
                deadline,
                ..
            } => Self::Held {
                hold: Hold {
                    order_id: *order_id,
                    spotlight_id: *spotlight_id,
                    viewer_ref: viewer_ref.clone(),
                    lines: lines.clone(),
                    deadline: *deadline,
                },
            },
            ReservationEvent::ReservationConfirmed { .. } => Self::Confirmed,
            ReservationEvent::ReservationReleased { .. } => Self::Released,
        };
    }

    /// The hold, while there is one.
    pub const fn hold(&self) -> Option<&Hold> {
        match self {
            Self::Held { hold } => Some(hold),
            _ => None,
        }
    }
}

impl Aggregate for Reservation {
    const TYPE: &'static str = "reservation";
    type Command = ReservationCommand;
    type Event = ReservationEvent;
    type Error = ReservationError;
    type Services = ();

    async fn handle(
        &mut self,
        command: ReservationCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), ReservationError> {
        let event = self.decide(&command)?;
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: ReservationEvent) {
        Self::apply(self, &event);
    }
}
