//! What nodes refused.

use domain::demand::{Observed, SKETCH_REGISTERS, Sketch, Viewers};
use domain::event::Event;
use domain::limits::DEMAND_VIEWERS_MAX;
use domain::spotlight::{SpotlightCommand, SpotlightEvent};

use crate::support::{at, closed, given, given_nothing, on_air, sku, spotlight, viewer};

fn counted(viewers: std::ops::Range<u64>) -> Viewers {
    let mut counted = Viewers::default();
    for n in viewers {
        counted.insert(viewer(n));
    }
    counted
}

fn observed(name: &str, requests: u64) -> Observed {
    Observed { sku: sku(name), requests, units: 2 * requests, viewers: counted(0..3) }
}

fn told(observed: Vec<Observed>) -> SpotlightCommand {
    SpotlightCommand::ObserveDemand { second: at(9), node: "node-1".to_owned(), observed }
}

fn fact(observed: Observed) -> Event {
    Event::Spotlight(SpotlightEvent::DemandObserved {
        spotlight_id: spotlight(),
        second: at(9),
        node: "node-1".to_owned(),
        observed: Box::new(observed),
    })
}

#[test]
fn what_was_refused_is_written_down_also_after_the_end() {
    let both = vec![observed("A", 5), observed("B", 7)];
    let facts = vec![fact(observed("A", 5)), fact(observed("B", 7))];
    given(on_air()).when_spotlight(told(both.clone())).then(facts.clone());
    given([on_air(), vec![closed()]].concat()).when_spotlight(told(both)).then(facts);
    let unknown = vec![observed("A", 1), observed("no-such", 1)];
    given(on_air()).when_spotlight(told(unknown)).then(vec![fact(observed("A", 1))]);
    given_nothing().when_spotlight(told(vec![observed("A", 1)])).then_refused("not_found");
}

#[test]
fn viewers_are_named_up_to_the_bound_and_sketched_beyond() {
    let bound = u64::try_from(DEMAND_VIEWERS_MAX).unwrap();
    let mut all = counted(0..bound);
    assert_eq!((all.viewers.len(), all.sketch.as_ref()), (DEMAND_VIEWERS_MAX, None));
    all.insert(viewer(0));
    assert_eq!(all.sketch, None, "who is named is no news");
    assert_eq!(all.contains(&viewer(bound)), Some(false));
    all.insert(viewer(bound));
    assert_eq!(all.viewers.len(), DEMAND_VIEWERS_MAX);
    assert!(all.sketch.is_some());
    assert_eq!(all.contains(&viewer(0)), Some(true));
    assert_eq!(all.contains(&viewer(bound)), None, "it may be another one");
    assert!((1_000..1_020).any(|n| all.contains(&viewer(n)) == Some(false)));
}

#[test]
fn a_sketch_is_read_back_and_does_not_depend_on_the_order() {
    let (mut one, mut other) = (counted(0..300), counted(200..900));
    let (before, sketch) = (one.clone(), one.sketch.clone().unwrap());
    assert_eq!(sketch.to_string().parse::<Sketch>(), Ok(*sketch.clone()));
    assert_eq!(sketch.registers().len(), SKETCH_REGISTERS);
    let short = &sketch.to_string()[1..];
    assert!(short.parse::<Sketch>().is_err() && format!("{short}!").parse::<Sketch>().is_err());
    one.merge(&other);
    other.merge(&before);
    assert_eq!(one.sketch, other.sketch);
    assert_eq!(one.sketch, counted(0..900).sketch);
    let again = one.clone();
    one.merge(&before);
    assert_eq!(one, again, "nobody counts twice");
}
