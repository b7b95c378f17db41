use domain::event::Event;
use domain::reservation::{ReleaseReason, Reservation, ReservationCommand, ReservationError};

use crate::support::{HOLD, NOW, at, lines, order, released, reserved, sold, spotlight, viewer};

fn reserve() -> ReservationCommand {
    ReservationCommand::Reserve {
        order_id: order(1),
        spotlight_id: spotlight(),
        viewer_ref: viewer(1),
        lines: lines(&[("A", 1)]),
        epoch: 1,
        admission_no: 1,
        deadline: at(NOW + HOLD),
    }
}

const RELEASE: ReservationCommand =
    ReservationCommand::Release { reason: ReleaseReason::HoldExpired };

fn after(events: &[Event]) -> Reservation {
    let mut reservation = Reservation::default();
    for event in events {
        let Event::Reservation(fact) = event else { panic!("no fact of a reservation: {event:?}") };
        reservation.apply(fact);
    }
    reservation
}

#[test]
fn it_begins_once() {
    let decided = after(&[]).decide(&reserve());
    assert_eq!(decided.map(Event::Reservation), Ok(reserved(1)));
    assert_eq!(after(&[reserved(1)]).decide(&reserve()), Err(ReservationError::Exists));
}

#[test]
fn it_ends_once() {
    let held = after(&[reserved(1)]);
    assert_eq!(held.decide(&ReservationCommand::Confirm).map(Event::Reservation), Ok(sold(1)));
    let released = released(1, ReleaseReason::HoldExpired);
    assert_eq!(held.decide(&RELEASE).map(Event::Reservation), Ok(released.clone()));
    for end in [ReservationCommand::Confirm, RELEASE] {
        assert_eq!(after(&[]).decide(&end), Err(ReservationError::NotFound));
        let confirmed = after(&[reserved(1), sold(1)]);
        assert_eq!(confirmed.decide(&end), Err(ReservationError::AlreadyConfirmed));
        let given_back = after(&[reserved(1), released.clone()]);
        assert_eq!(given_back.decide(&end), Err(ReservationError::AlreadyReleased));
    }
    let confirmed = after(&[reserved(1), sold(1)]);
    assert_eq!(confirmed.decide(&reserve()), Err(ReservationError::Exists));
}
