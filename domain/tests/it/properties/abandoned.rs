//! Shorter holds follow from the log: whoever folds it again finds the deadline that was decided.

use domain::limits::ABANDONED_HOLDS;
use domain::spotlight::{SpotlightEvent, SpotlightTerms};

use super::*;
use crate::support::{HOLD, opened, terms};

const SHORTER: u32 = 60;

fn strict() -> Vec<Event> {
    let terms = SpotlightTerms { abandoned_hold_seconds: Some(SHORTER), ..terms() };
    let scheduled = SpotlightEvent::SpotlightScheduled { terms: Box::new(terms) };
    vec![Event::Spotlight(scheduled), opened()]
}

/// The deadline of each hold is what a fold of the log before it says, and what its events count.
/// Returns how many holds were shorter.
fn deadlines_follow(log: &Log) -> usize {
    let mut desk = Desk::default();
    let mut abandoned: BTreeMap<_, u32> = BTreeMap::new();
    let mut shorter = 0;
    for recorded in &log.events {
        match &recorded.event {
            Event::Spotlight(SpotlightEvent::HoldAbandoned { viewer_ref, .. }) => {
                *abandoned.entry(viewer_ref.clone()).or_default() += 1;
            }
            Event::Reservation(ReservationEvent::StockReserved {
                viewer_ref, deadline, ..
            }) => {
                let decided_at = recorded.metadata.decided_at;
                assert_eq!(*deadline, desk.spotlight.hold_deadline(viewer_ref, decided_at));
                let is_shorter = abandoned.get(viewer_ref).copied() == Some(ABANDONED_HOLDS);
                let seconds = if is_shorter { i64::from(SHORTER) } else { HOLD };
                assert_eq!((*deadline - decided_at).num_seconds(), seconds);
                shorter += usize::from(is_shorter);
            }
            _ => {}
        }
        desk.apply(&recorded.stream, &recorded.event);
    }
    assert!(abandoned.values().all(|holds| *holds <= ABANDONED_HOLDS), "{abandoned:?}");
    shorter
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_fold_of_the_log_gives_every_hold_the_same_deadline(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut show = Show::of(strict());
        for step in &steps {
            show.take(step);
        }
        let mut rebuilt = Desk::default();
        for recorded in &show.log.events {
            rebuilt.apply(&recorded.stream, &recorded.event);
        }
        prop_assert_eq!(&rebuilt, &show.live);
        prop_assert_eq!(show.log.findings(false), vec![]);
        deadlines_follow(&show.log);
    }
}

#[test]
fn shorter_holds_come_of_it() {
    let mut show = Show::of(strict());
    // all three are of one viewer
    for n in [1, 4, 7] {
        show.take(&Step::Place { n, take: 0, by_void: false });
        show.take(&Step::Cancel { n, by_host: false });
    }
    assert_eq!(deadlines_follow(&show.log), 1);
}
