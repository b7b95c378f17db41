use crate::support::{Log, broadcast, broadcast_scheduled, on_air, reopened, spotlight};
use domain::envelope::Position;
use domain::event::StreamId;
use domain::invariants::Invariants;

use super::{show, taking};

fn two_keys() -> Log {
    Log::of([vec![broadcast_scheduled()], on_air(), taking(1), vec![reopened(2)], taking(2)])
}

fn broken(change: impl FnOnce(&mut Log)) -> Vec<(&'static str, u64)> {
    let mut log = two_keys();
    log.assert_sound(false);
    change(&mut log);
    log.broken(false)
}

#[test]
fn i5_finds_a_lost_event() {
    let found = broken(|log| {
        log.events.remove(5);
    });
    assert!(found.contains(&("I5", 7)));
}

#[test]
fn i5_finds_a_repeated_event() {
    let found = broken(|log| {
        let event = log.events[4].clone();
        log.events.insert(5, event);
    });
    assert!(found.contains(&("I5", 5)));
}

#[test]
fn i5_finds_a_wrong_link() {
    assert_eq!(broken(|log| log.events[4].prev = Position(1)), [("I5", 5)]);
    assert_eq!(broken(|log| log.events[1].prev = Position(1)), [("I5", 2)]);
    assert_eq!(broken(|log| log.events[0].prev = Position(7)), [("I5", 1)]);
}

#[test]
fn i5_finds_a_hole_in_a_stream() {
    // the next of the stream follows what stands there
    assert_eq!(broken(|log| log.events[5].sequence = 3), [("I5", 6)]);
    assert_eq!(broken(|log| log.events[2].sequence = 3), [("I5", 3), ("I5", 7)]);
}

#[test]
fn i5_finds_an_event_in_anothers_stream() {
    let found = broken(|log| log.events[5].stream = StreamId::broadcast(broadcast()));
    assert_eq!(found, [("I5", 6)]);
    let found = broken(|log| {
        log.events[1].stream = StreamId::spotlight(domain::ids::SpotlightId(broadcast().0));
    });
    assert_eq!(found, [("I5", 2)]);
}

#[test]
fn i5_finds_an_epoch_that_is_skipped_or_repeated() {
    for epoch in [2, 4] {
        let mut log = two_keys();
        log.decide(vec![reopened(epoch)]);
        assert_eq!(log.broken(false), [("I5", 11)], "epoch {epoch}");
    }
    let log = Log::of([on_air(), vec![reopened(3)]]);
    assert_eq!(log.broken(false), [("I5", 3)]);
}

#[test]
fn i5_finds_a_key_that_does_not_begin() {
    let log = Log::of([taking(1)]);
    assert_eq!(log.broken(false), [("I5", 1)]);
}

#[test]
fn a_part_of_a_log_is_checked_from_where_it_begins() {
    let whole = Log::of(show());
    for cut in 0..whole.events.len() {
        let mut invariants = Invariants::after(whole.events[cut].position);
        let found: Vec<_> =
            whole.events[cut + 1..].iter().flat_map(|event| invariants.check(event)).collect();
        assert_eq!(found, vec![], "after position {}", cut + 1);
    }
    let mut invariants = Invariants::after(Position(3));
    assert!(!invariants.check(&whole.events[4]).is_empty(), "position 4 is missing");
    assert_eq!(whole.events[4].key, spotlight().into());
}
