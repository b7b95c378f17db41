//! Where the personal part of an event is.

use crate::broadcast::BroadcastEvent;
use crate::event::Event;
use crate::order::OrderEvent;
use crate::personal::Personal;
use crate::spotlight::SpotlightEvent;

/// The personal part, borrowed as the event is. What the shop says of its own offer
/// (`SpotlightScheduled`) names nobody.
macro_rules! personal_of {
    ($event:expr $(, $mutable:tt)?) => {
        match $event {
            Event::Order(OrderEvent::OrderAccepted { accepted }) => Some(&$($mutable)? accepted.personal),
            Event::Order(
                OrderEvent::PaymentAuthorized { personal, .. }
                | OrderEvent::PaymentActionRequired { personal, .. }
                | OrderEvent::OrderCancelled { personal, .. }
                | OrderEvent::RefundRequested { personal, .. },
            )
            | Event::Broadcast(
                BroadcastEvent::BroadcastEnded { personal, .. }
                | BroadcastEvent::ChatAnnounced { personal, .. }
                | BroadcastEvent::ChatPinned { personal, .. }
                | BroadcastEvent::ViewerMuted { personal, .. }
                | BroadcastEvent::ViewerBanned { personal, .. }
                | BroadcastEvent::ViewerPardoned { personal, .. },
            )
            | Event::Spotlight(
                SpotlightEvent::SpotlightPaused { personal, .. }
                | SpotlightEvent::SpotlightResumed { personal, .. }
                | SpotlightEvent::StockAdjusted { personal, .. }
                | SpotlightEvent::OfferChanged { personal, .. }
                | SpotlightEvent::OfferWithdrawn { personal, .. }
                | SpotlightEvent::SpotlightClosed { personal, .. },
            ) => Some(personal),
            Event::Spotlight(SpotlightEvent::WaitlistJoined { wait, .. }) => {
                Some(&$($mutable)? wait.personal)
            }
            Event::Order(_) | Event::Broadcast(_) | Event::Spotlight(_) | Event::Reservation(_) => {
                None
            }
        }
    };
}

impl Event {
    /// What names a person in it; `None` where the event has no place for that.
    pub fn personal(&self) -> Option<&Personal> {
        personal_of!(self)
    }

    /// The same, to be sealed or opened.
    pub fn personal_mut(&mut self) -> Option<&mut Personal> {
        personal_of!(self, mut)
    }
}
