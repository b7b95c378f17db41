//! Units that are added, viewers that are passed over, and the end of the line.

use super::*;

#[test]
fn added_units_are_offered_in_order_and_the_rest_is_free() {
    let command =
        || SpotlightCommand::AdjustStock { sku: sku("A"), delta: 3, reason: None, admission: None };
    let added = || vec![keeping(adjusted("A", 3, None), &[("A", 3)]), carried(&[("A", 3)])];
    given(waiting(&[7, 8]))
        .when_spotlight(command())
        .then([added(), offered(7), offered(8), vec![freed(&[("A", 1)])]].concat());
    // the first one wants more than there is: nobody passes them by, and what is there is kept
    let line = [sold_out(), vec![joined_for(7, lines(&[("A", 4)])), joined(8)]].concat();
    given(line.clone()).when_spotlight(command()).then(added());
    let kept = [line, added()].concat();
    given(kept.clone())
        .when_order(cancel(1))
        .then([given_up(1), offered_for(7, lines(&[("A", 4)]), 1, PRICE)].concat());
    // where they leave, the next is served
    given(kept).when_spotlight(SpotlightCommand::LeaveWaitlist { viewer_ref: viewer(7) }).then(
        [vec![ended(7, WaitOutcome::Declined, None)], offered(8), vec![freed(&[("A", 2)])]]
            .concat(),
    );
}

#[test]
fn who_waits_for_two_things_holds_up_both() {
    let both = lines(&[("A", 1), ("B", 3)]);
    let line =
        [sold_out(), vec![joined_for(7, both), joined(8), joined_for(9, lines(&[("B", 1)]))]]
            .concat();
    given(line).when_order(cancel(1)).then(given_up(1));
}

#[test]
fn an_offer_has_the_price_of_its_moment_and_waits_for_the_spotlight() {
    let dearer = [waiting(&[7]), vec![offer_changed(2, 25_000)]].concat();
    given(dearer)
        .when_order(cancel(1))
        .then([given_up(1), offered_for(7, one(), 2, 25_000)].concat());
    let stopped = [waiting(&[7]), vec![paused()]].concat();
    given(stopped.clone()).when_order(cancel(1)).then(given_up(1));
    let resume = SpotlightCommand::ResumeSpotlight { reason: None };
    given([stopped, given_up(1)].concat())
        .when_spotlight(resume)
        .then([vec![resumed()], offered(7)].concat());
}

#[test]
fn closing_ends_the_line() {
    let close =
        || SpotlightCommand::CloseSpotlight { cause: Cause::Host, reason: None, admission: None };
    let line = [waiting(&[7, 8]), vec![paused()], given_up(1)].concat();
    given(line).when_spotlight(close()).then(vec![
        closed(),
        ended(7, WaitOutcome::Ended, None),
        ended(8, WaitOutcome::Ended, None),
        freed(&[("A", 1)]),
    ]);
    // an open offer finishes
    let offer = [waiting(&[7, 8]), given_up(1), offered(7)].concat();
    given(offer).when_spotlight(close()).then(vec![closed(), ended(8, WaitOutcome::Ended, None)]);
}

#[test]
fn who_may_have_no_more_is_passed_over() {
    // with a gate that lost its data: it counts what is waited for
    let mut line = [sold_out(), vec![joined_for(1, lines(&[("B", 4)])), joined(7)]].concat();
    let of_b =
        |n: u64| PlaceOrder { lines: lines(&[("B", 5)]), viewer_ref: viewer(20 + n), ..placed(n) };
    line.extend([accepted_as(&of_b(5)), crate::support::reserved_as(&of_b(5))]);
    let mut then = vec![
        cancelled(5, OrderReason::CancelledByHost),
        keeping(
            crate::support::released_of(
                5,
                viewer(25),
                lines(&[("B", 5)]),
                ReleaseReason::Cancelled,
            ),
            &[("B", 5)],
        ),
        carried(&[("B", 5)]),
    ];
    then.extend([ended(1, WaitOutcome::Ended, None), freed(&[("B", 5)])]);
    given(line).when_order(cancel(5)).then(then);
}

#[test]
fn a_take_that_leads_to_nothing_is_kept_where_it_gives_back() {
    // two of A are held, the third is pending at the gate
    let later = |n: u64| holding(n)[on_air().len()..].to_vec();
    let line = [holding(1), later(2), vec![joined(7)]].concat();
    let mut late = placed(3);
    late.void_after = Some(at(NOW - 5));
    let place = || OrderCommand::PlaceOrder { place: Box::new(late.clone()) };
    given(line.clone()).when_order(place()).then(
        [
            vec![
                accepted_as(&late),
                failed(3, OrderReason::NotAccepted),
                keeping(
                    voided(order(3).0, placed(3).admission.unwrap(), VoidCause::NotReserved),
                    &[("A", 1)],
                ),
                carried(&[("A", 1)]),
            ],
            offered(7),
        ]
        .concat(),
    );
}

#[test]
fn who_does_not_wait_cannot_leave() {
    let leave = |n: u64| SpotlightCommand::LeaveWaitlist { viewer_ref: viewer(n) };
    given(waiting(&[7])).when_spotlight(leave(7)).then(vec![ended(7, WaitOutcome::Declined, None)]);
    given(waiting(&[7])).when_spotlight(leave(8)).then_refused("not_waiting");
    let offer = [waiting(&[7]), given_up(1), offered(7)].concat();
    given(offer).when_spotlight(leave(7)).then_refused("not_waiting");
}
