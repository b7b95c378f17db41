//! A whole line, and who is to be told when it moves.

use std::collections::BTreeMap;

use domain::envelope::{Position, Recorded};
use domain::ids::ViewerRef;

use super::fold::{WaitRow, WaitStatus, WaitlistFold};
use crate::key_table::Fold;

/// So many at the head of the line are told each step of it.
pub const PLACES_TOLD_FIRST: usize = 50;
/// The others are told whenever their place is a multiple of this.
pub const PLACES_TOLD_STEP: usize = 50;

/// The line of one spotlight, folded from its key.
#[derive(Debug, Clone, Default)]
pub struct Places {
    rows: BTreeMap<ViewerRef, WaitRow>,
    line: BTreeMap<Position, ViewerRef>,
}

impl Places {
    /// Whom an event tells something, with the place of those who wait, counted from 1.
    pub fn told(&self, recorded: &Recorded) -> Vec<(WaitRow, Option<u64>)> {
        let Some(row) = self.after(recorded) else { return vec![] };
        let was_in_line = self.line.contains_key(&row.joined);
        let is_waiting = row.status == WaitStatus::Waiting;
        let joined = row.joined;
        let place = if was_in_line {
            self.line.range(..=joined).count()
        } else {
            self.line.len().saturating_add(1)
        };
        let place = u64::try_from(place).ok().filter(|_| is_waiting);
        let mut told = vec![(row, place)];
        if was_in_line && !is_waiting {
            told.extend(self.moved(joined));
        }
        told
    }

    /// Takes an event in.
    pub fn apply(&mut self, recorded: &Recorded) {
        let Some(row) = self.after(recorded) else { return };
        self.line.remove(&row.joined);
        let viewer = row.viewer_ref.clone();
        match row.status {
            WaitStatus::Waiting => {
                self.line.insert(row.joined, viewer.clone());
                self.rows.insert(viewer, row);
            }
            WaitStatus::Offered => {
                self.rows.insert(viewer, row);
            }
            _ => {
                self.rows.remove(&viewer);
            }
        }
    }

    /// The row that an event is about, after it.
    fn after(&self, recorded: &Recorded) -> Option<WaitRow> {
        let viewer = WaitlistFold::viewer_of(&recorded.event)?;
        WaitlistFold::fold(self.rows.get(viewer).cloned(), recorded)
    }

    /// Those behind a place that is left.
    fn moved(&self, left: Position) -> Vec<(WaitRow, Option<u64>)> {
        let behind = self.line.iter().enumerate().filter(|(_, (joined, _))| **joined > left);
        behind
            .filter(|(place, _)| {
                *place <= PLACES_TOLD_FIRST || place.is_multiple_of(PLACES_TOLD_STEP)
            })
            .filter_map(|(place, (_, viewer))| {
                // counted from 0 with the one who leaves: from 1 without
                let row = self.rows.get(viewer)?.clone();
                Some((row, u64::try_from(place).ok()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use domain::actor::Actor;
    use domain::envelope::{Metadata, Source};
    use domain::event::{Event, StreamId};
    use domain::ids::{
        CommandId, CorrelationId, EventId, OrderId, SellerId, Sku, SpotlightId, StreamKey,
    };
    use domain::line::{Line, Lines};
    use domain::personal::Personal;
    use domain::quantity::Quantity;
    use domain::spotlight::{SpotlightEvent, Wait, WaitOutcome};
    use uuid::Uuid;

    const SPOTLIGHT: SpotlightId = SpotlightId(Uuid::from_u128(5));

    fn viewer(number: usize) -> ViewerRef {
        ViewerRef::try_new(format!("viewer-{number}")).unwrap()
    }

    fn recorded(position: u64, event: SpotlightEvent) -> Recorded {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        Recorded {
            position: Position(position),
            event_id: EventId(Uuid::from_u128(u128::from(position))),
            stream: StreamId::spotlight(SPOTLIGHT),
            sequence: position,
            key: StreamKey(SPOTLIGHT.0),
            prev: Position(position - 1),
            recorded_at: at,
            metadata: Metadata {
                seller: SellerId::try_new("acme").unwrap(),
                command_id: CommandId(Uuid::nil()),
                correlation: CorrelationId(Uuid::nil()),
                causation: None,
                traceparent: None,
                actor: Actor::system(),
                source: Source { topic: "t".to_owned(), partition: 0, offset: 0 },
                decided_at: at,
                followed_by: 0,
            },
            event: Event::Spotlight(event),
        }
    }

    fn joined(position: u64, number: usize) -> Recorded {
        let line =
            Line { sku: Sku::try_new("red").unwrap(), quantity: Quantity::try_new(1).unwrap() };
        let wait = Wait {
            viewer_ref: viewer(number),
            lines: Lines::try_new(vec![line]).unwrap(),
            received_at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            node: "n".to_owned(),
            personal: Personal::default(),
        };
        let entry = Uuid::from_u128(u128::from(position));
        let event =
            SpotlightEvent::WaitlistJoined { spotlight_id: SPOTLIGHT, entry, wait: Box::new(wait) };
        recorded(position, event)
    }

    fn left(position: u64, number: usize, order_id: Option<OrderId>) -> Recorded {
        let (viewer_ref, outcome) = (viewer(number), WaitOutcome::Declined);
        let event = SpotlightEvent::WaitlistEnded {
            spotlight_id: SPOTLIGHT,
            viewer_ref,
            outcome,
            order_id,
        };
        recorded(position, event)
    }

    fn told(places: &mut Places, event: &Recorded) -> Vec<(String, Option<u64>)> {
        let told = places.told(event);
        places.apply(event);
        told.into_iter().map(|(row, place)| (row.viewer_ref.to_string(), place)).collect()
    }

    #[test]
    fn everybody_behind_moves_up_by_one() {
        let mut places = Places::default();
        for number in 1..=3 {
            let position = u64::try_from(number).unwrap();
            let name = format!("viewer-{number}");
            assert_eq!(told(&mut places, &joined(position, number)), [(name, Some(position))]);
        }
        let order_id = OrderId(Uuid::nil());
        let offered = SpotlightEvent::WaitlistOffered {
            spotlight_id: SPOTLIGHT,
            viewer_ref: viewer(1),
            order_id,
            lines: places.rows[&viewer(1)].lines.clone(),
            expires_at: DateTime::from_timestamp(1_800_000_010, 0).unwrap(),
        };
        let names = |of: &[(&str, Option<u64>)]| -> Vec<(String, Option<u64>)> {
            of.iter().map(|(name, place)| ((*name).to_owned(), *place)).collect()
        };
        assert_eq!(
            told(&mut places, &recorded(4, offered)),
            names(&[("viewer-1", None), ("viewer-2", Some(1)), ("viewer-3", Some(2))])
        );
        // the end of an offer moves nobody
        assert_eq!(told(&mut places, &left(5, 1, Some(order_id))), names(&[("viewer-1", None)]));
        assert_eq!(
            told(&mut places, &left(6, 2, None)),
            names(&[("viewer-2", None), ("viewer-3", Some(1))])
        );
        assert_eq!(told(&mut places, &left(7, 2, None)), []);
    }

    #[test]
    fn far_behind_not_every_step_is_told() {
        let mut places = Places::default();
        let many = PLACES_TOLD_FIRST + 2 * PLACES_TOLD_STEP;
        for number in 1..=many + 1 {
            places.apply(&joined(u64::try_from(number).unwrap(), number));
        }
        let told = told(&mut places, &left(1_000, 1, None));
        assert_eq!(told.len(), 1 + PLACES_TOLD_FIRST + 2);
        assert_eq!(told.last().unwrap().1, u64::try_from(many).ok());
    }
}
