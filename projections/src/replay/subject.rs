//! What the log holds of one person.

use std::collections::{BTreeMap, BTreeSet};

use domain::broadcast::BroadcastEvent;
use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{BroadcastId, OrderId, SellerId, SpotlightId, ViewerRef};
use domain::order::OrderEvent;
use domain::personal::Personal;
use domain::personal_key::PersonalKey;
use domain::ports::{EventReader, PersonalKeys, PortError};
use domain::spotlight::SpotlightEvent;
use serde::Serialize;

use super::verify::PAGE_EVENTS;
use crate::waitlist::WaitlistFold;

/// What the log holds of one person. Memory grows with the person's own events only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubjectInLog {
    /// Within which seller.
    pub seller: SellerId,
    /// The keyed pseudonyms: they stay, and name nobody.
    pub pseudonyms: BTreeSet<String>,
    /// The names that could be read.
    pub names: BTreeSet<String>,
    /// The orders.
    pub orders: BTreeSet<OrderId>,
    /// Those of them that have not ended.
    pub open_orders: BTreeSet<OrderId>,
    /// The spotlights that the person ever waited for.
    pub waited: BTreeSet<SpotlightId>,
    /// Those of them where the person still waits.
    pub waiting: BTreeSet<SpotlightId>,
    /// The broadcasts that they are in, or that something was said in.
    pub broadcasts: BTreeSet<BroadcastId>,
    /// Events whose personal part is sealed, and can be read.
    pub readable: Vec<Position>,
    /// Events that an older release wrote, in plain: no key opens them, and none destroys them.
    pub plain: Vec<Position>,
    /// Events whose personal part nobody can read any more.
    pub shredded: u64,
    /// Where the log ended.
    pub head: Position,
}

/// Whom an event is about, besides the order that it may belong to.
fn viewer_ref(event: &Event) -> Option<&str> {
    match event {
        Event::Order(OrderEvent::OrderAccepted { accepted }) => Some(accepted.viewer_ref.as_str()),
        Event::Broadcast(
            BroadcastEvent::ViewerMuted { viewer_ref, .. }
            | BroadcastEvent::ViewerBanned { viewer_ref, .. }
            | BroadcastEvent::ViewerPardoned { viewer_ref, .. },
        ) => Some(viewer_ref.as_str()),
        Event::Reservation(event) => Some(event.viewer_ref().as_str()),
        _ => WaitlistFold::viewer_of(event).map(ViewerRef::as_str),
    }
}

/// A personal part, and how the store keeps it.
enum Kept {
    Plain(Personal),
    Readable(Personal),
    Gone,
}

fn kept(event: &Recorded, keys: &BTreeMap<Position, PersonalKey>) -> Option<Kept> {
    let personal = event.event.personal().filter(|personal| !personal.is_empty())?;
    let Some(sealed) = &personal.sealed else { return Some(Kept::Plain(personal.clone())) };
    let key = keys.get(&event.position);
    let opened = key.and_then(|key| key.open(sealed, event.event_id));
    Some(opened.map_or(Kept::Gone, Kept::Readable))
}

impl SubjectInLog {
    fn is_named(&self, personal: &Personal) -> bool {
        personal.viewer.as_ref().is_some_and(|viewer| self.names.contains(viewer.as_str()))
    }

    /// First pass: under which names and pseudonyms the person is known.
    fn learn(&mut self, event: &Recorded, kept: Option<&Kept>) {
        let named = match kept {
            Some(Kept::Plain(personal) | Kept::Readable(personal)) => personal.viewer.as_ref(),
            _ => None,
        };
        let Some(pseudonym) = viewer_ref(&event.event) else { return };
        let known = self.pseudonyms.contains(pseudonym)
            || named.is_some_and(|name| self.names.contains(name.as_str()));
        if known {
            self.pseudonyms.insert(pseudonym.to_owned());
            self.names.extend(named.map(ToString::to_string));
        }
    }

    /// Whether an event is about the person; what is about no viewer belongs to who typed it.
    fn is_about(&self, event: &Recorded, kept: Option<&Kept>) -> bool {
        if let Some(pseudonym) = viewer_ref(&event.event) {
            return self.pseudonyms.contains(pseudonym);
        }
        if let Some(order) = event.event.order() {
            return self.orders.contains(&order);
        }
        let (Some(Kept::Plain(personal) | Kept::Readable(personal)), actor) =
            (kept, &event.metadata.actor)
        else {
            return false;
        };
        let typed = actor.subject.as_ref().is_some_and(|actor| self.pseudonyms.contains(actor));
        if personal.viewer.is_some() { self.is_named(personal) } else { typed }
    }

    /// Second pass.
    fn take(&mut self, event: &Recorded, kept: Option<&Kept>) {
        if !self.is_about(event, kept) {
            return;
        }
        match &event.event {
            Event::Order(OrderEvent::OrderAccepted { accepted }) => {
                self.orders.insert(accepted.order_id);
                self.open_orders.insert(accepted.order_id);
                self.broadcasts.insert(accepted.broadcast_id);
            }
            Event::Order(
                OrderEvent::OrderConfirmed { order_id, .. }
                | OrderEvent::OrderFailed { order_id, .. }
                | OrderEvent::OrderCancelled { order_id, .. },
            ) => {
                self.open_orders.remove(order_id);
            }
            Event::Broadcast(event) => {
                self.broadcasts.insert(event.broadcast_id());
            }
            Event::Spotlight(SpotlightEvent::WaitlistJoined { spotlight_id, .. }) => {
                self.waited.insert(*spotlight_id);
                self.waiting.insert(*spotlight_id);
            }
            Event::Spotlight(
                SpotlightEvent::WaitlistOffered { spotlight_id, .. }
                | SpotlightEvent::WaitlistEnded { spotlight_id, order_id: None, .. },
            ) => {
                self.waiting.remove(spotlight_id);
            }
            _ => {}
        }
        match kept {
            Some(Kept::Plain(_)) => self.plain.push(event.position),
            Some(Kept::Readable(_)) => self.readable.push(event.position),
            Some(Kept::Gone) => self.shredded += 1,
            None => {}
        }
    }
}

/// Looks for a person in the log: by the id of the viewer, or by the pseudonym, and by the pseudonym
/// that follows from the id where the caller knows it. `events` must leave what is personal sealed.
///
/// # Errors
/// The store cannot be reached, or an event does not decode.
pub async fn subject_in_log(
    (events, keys): (&dyn EventReader, &dyn PersonalKeys),
    seller: &SellerId,
    known_as: &[String],
    progress: &mut (dyn FnMut(Position, Position) + Send),
) -> Result<SubjectInLog, PortError> {
    let head = events.head().await?;
    let mut found = SubjectInLog {
        seller: seller.clone(),
        pseudonyms: known_as.iter().cloned().collect(),
        names: known_as.iter().cloned().collect(),
        orders: BTreeSet::new(),
        open_orders: BTreeSet::new(),
        waited: BTreeSet::new(),
        waiting: BTreeSet::new(),
        broadcasts: BTreeSet::new(),
        readable: vec![],
        plain: vec![],
        shredded: 0,
        head,
    };
    for pass in 0..2_u64 {
        let mut after = Position::START;
        while after < head {
            let mut page = events.read(after, PAGE_EVENTS).await?;
            page.retain(|event| event.position <= head);
            let Some(last) = page.last().map(|event| event.position) else { break };
            let positions: Vec<Position> = page
                .iter()
                .filter(|event| event.event.personal().is_some_and(|it| it.sealed.is_some()))
                .map(|event| event.position)
                .collect();
            let opens = keys.keys(&positions).await?;
            for event in page.iter().filter(|event| event.metadata.seller == *seller) {
                let kept = kept(event, &opens);
                if pass == 0 {
                    found.learn(event, kept.as_ref());
                } else {
                    found.take(event, kept.as_ref());
                }
            }
            after = last;
            progress(Position(pass * head.0 + last.0), Position(2 * head.0));
            tokio::task::yield_now().await;
        }
    }
    Ok(found)
}
