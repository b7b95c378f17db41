//! The order book: every status and reason, by the events that lead there.

use chrono::TimeDelta;
use domain::actor::Role;
use domain::command::Command;
use domain::event::{Event, StreamId};
use domain::ids::OrderId;
use domain::order::{OrderCommand, OrderEvent, OrderReason};
use domain::payment::{DeclineKind, NextAction, PaymentResult, PaymentStatus};
use domain::ports::OrderBook;
use domain::views::{OrderStatus, OrderView, PaymentView};

use super::on_every_adapter;
use super::setup::Books;
use crate::support::events::{HOLD_SECONDS, PRICE_MINOR, Story, won};

on_every_adapter!(
    every_outcome_shows_its_status_and_reason,
    a_hold_that_runs_out_under_an_open_payment_waits,
    a_late_payment_fails_and_goes_back,
    a_sale_is_given_back_in_parts,
    every_event_raises_the_version,
    an_acceptance_is_shown_whole,
    a_soft_decline_may_be_tried_again_inside_the_hold,
);

fn after_the_hold(story: &mut Story) {
    story.pass(i64::from(HOLD_SECONDS) + 1);
}

fn decline(kind: DeclineKind) -> PaymentResult {
    PaymentResult::Declined { kind, code: "no_funds".to_owned() }
}

async fn read(book: &dyn OrderBook, order: OrderId) -> OrderView {
    book.order(order).await.unwrap().expect("the order is in the book")
}

/// What an event that no command of today leads to would be recorded as.
fn record(story: &mut Story, order: OrderId, event: OrderEvent) {
    story.record(story.key_of(order), StreamId::order(order), Event::Order(event));
}

async fn every_outcome_shows_its_status_and_reason(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 1_000)]);
    let mut expected = vec![];
    let order = |story: &mut Story| story.place(sale, "ana", &[("a", 1)]);

    let id = order(&mut story);
    story.capture(id);
    expected.push((id, OrderStatus::Confirmed, None, PaymentStatus::Captured));

    let id = order(&mut story);
    story.answer(id, decline(DeclineKind::Hard));
    let declined = Some(OrderReason::PaymentDeclined);
    expected.push((id, OrderStatus::Failed, declined, PaymentStatus::Declined));

    let id = order(&mut story);
    story.answer(id, PaymentResult::Unknown);
    story.answer(id, PaymentResult::Voided);
    let timeout = Some(OrderReason::PaymentTimeout);
    expected.push((id, OrderStatus::Failed, timeout, PaymentStatus::Voided));

    let id = order(&mut story);
    let action = NextAction::Redirect { url: "https://pay.example/3ds".to_owned() };
    story.answer(id, PaymentResult::RequiresAction { action: action.clone(), reference: None });
    expected.push((id, OrderStatus::Reserved, None, PaymentStatus::RequiresAction));
    let waits = id;

    let id = order(&mut story);
    story.authorize(id);
    story.answer(id, PaymentResult::CaptureFailed { code: "gone".to_owned() });
    let failed = Some(OrderReason::CaptureFailed);
    expected.push((id, OrderStatus::Cancelled, failed, PaymentStatus::Declined));

    let id = order(&mut story);
    story.cancel(id, Role::Viewer).unwrap();
    let viewer = Some(OrderReason::CancelledByViewer);
    expected.push((id, OrderStatus::Cancelled, viewer, PaymentStatus::Requested));

    let id = order(&mut story);
    story.cancel(id, Role::Host).unwrap();
    let host = Some(OrderReason::CancelledByHost);
    expected.push((id, OrderStatus::Cancelled, host, PaymentStatus::Requested));

    let mut place = story.order(sale, "ana", &[("a", 1)]);
    place.void_after = Some(story.now - TimeDelta::seconds(1));
    let id = story.place_order(place);
    let late = Some(OrderReason::NotAccepted);
    expected.push((id, OrderStatus::Failed, late, PaymentStatus::None));

    let id = story.place(sale, "ana", &[("b", 1)]);
    let guard = Some(OrderReason::StockGuard);
    expected.push((id, OrderStatus::Failed, guard, PaymentStatus::None));

    let place = Box::new(story.order(sale, "ana", &[("a", 1)]));
    let id = place.order_id;
    let command = Command::Order { command: OrderCommand::FailParked { place } };
    story.send(sale.into(), command).unwrap();
    let parked = Some(OrderReason::Parked);
    expected.push((id, OrderStatus::Failed, parked, PaymentStatus::None));

    let id = order(&mut story);
    let event = OrderEvent::OrderCancelled {
        order_id: id,
        reason: OrderReason::Withdrawn,
        personal: domain::personal::Personal::default(),
    };
    record(&mut story, id, event);
    let withdrawn = Some(OrderReason::Withdrawn);
    expected.push((id, OrderStatus::Cancelled, withdrawn, PaymentStatus::Requested));

    let mut place = story.order(sale, "ana", &[("a", 1)]);
    place.payment = None;
    let unpaid = story.place_order(place);
    let refused = order(&mut story);
    story.answer(refused, decline(DeclineKind::Soft));
    let held = order(&mut story);
    let log_before_expiry = story.log().len();
    expected.push((held, OrderStatus::Reserved, None, PaymentStatus::Requested));

    books.apply(&story.log()[..log_before_expiry]).await;
    let view = read(&*books.orders, held).await;
    assert_eq!(view.status, OrderStatus::Reserved);
    let deadline = story.now + TimeDelta::seconds(i64::from(HOLD_SECONDS));
    assert_eq!(view.hold_expires_at, Some(deadline));

    after_the_hold(&mut story);
    story.expire(unpaid);
    let expired = Some(OrderReason::HoldExpired);
    expected.push((unpaid, OrderStatus::Failed, expired, PaymentStatus::None));
    story.expire(refused);
    expected.push((refused, OrderStatus::Failed, declined, PaymentStatus::Declined));

    books.apply(&story.log()[log_before_expiry..]).await;
    for (id, status, reason, payment) in expected {
        let view = read(&*books.orders, id).await;
        assert_eq!((view.status, view.reason), (status, reason));
        assert_eq!(view.payment.status, payment, "{status:?} {reason:?}");
        assert!(!view.payment.retryable);
        assert_eq!(view.hold_expires_at.is_some(), id == held || id == waits);
        let shown = (id == waits).then_some(&action);
        assert_eq!(view.payment.next_action.as_ref(), shown, "to be done, and only then");
    }
}

async fn a_hold_that_runs_out_under_an_open_payment_waits(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 1)]);
    let id = story.place(sale, "ana", &[("a", 1)]);
    story.answer(id, PaymentResult::Unknown);
    after_the_hold(&mut story);
    story.expire(id);
    books.apply(story.log()).await;
    let view = read(&*books.orders, id).await;
    assert_eq!(view.status, OrderStatus::Pending);
    assert_eq!(view.reason, Some(OrderReason::PaymentUnknown));
    assert_eq!(view.hold_expires_at, None);
    assert_eq!(view.updated_at, story.now);
}

async fn a_late_payment_fails_and_goes_back(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 1)]);
    let id = story.place(sale, "ana", &[("a", 1)]);
    after_the_hold(&mut story);
    story.expire(id);
    story.capture(id);
    books.apply(story.log()).await;
    let view = read(&*books.orders, id).await;
    // the money is there, and the units are asked for once more
    let waits = (OrderStatus::Pending, Some(OrderReason::PaymentUnknown));
    assert_eq!((view.status, view.reason), waits);
    assert_eq!(view.payment.status, PaymentStatus::Captured);
    let before = story.log().len();
    story.turn_away(id);
    books.apply(&story.log()[before..]).await;
    let view = read(&*books.orders, id).await;
    assert_eq!((view.status, view.reason), (OrderStatus::Failed, Some(OrderReason::LatePayment)));
    assert_eq!(view.payment.refund_due, Some(won(PRICE_MINOR)));
    assert_eq!(view.refunded, None);

    let before = story.log().len();
    story.answer(id, PaymentResult::Refunded { amount: won(PRICE_MINOR) });
    books.apply(&story.log()[before..]).await;
    let view = read(&*books.orders, id).await;
    assert_eq!((view.status, view.reason), (OrderStatus::Failed, Some(OrderReason::LatePayment)));
    assert_eq!(view.payment.status, PaymentStatus::Refunded);
    assert_eq!(view.payment.refund_due, None);
    assert_eq!(view.refunded, Some(won(PRICE_MINOR)));
}

async fn a_sale_is_given_back_in_parts(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 2)]);
    let id = story.place(sale, "ana", &[("a", 2)]);
    story.capture(id);
    let ask = |attempt| OrderEvent::RefundRequested {
        order_id: id,
        attempt,
        amount: won(PRICE_MINOR),
        reason: OrderReason::Withdrawn,
        returned: None,
        personal: domain::personal::Personal::default(),
    };
    record(&mut story, id, ask(1));
    story.answer(id, PaymentResult::Refunded { amount: won(PRICE_MINOR) });
    books.apply(story.log()).await;
    let view = read(&*books.orders, id).await;
    assert_eq!(view.status, OrderStatus::Confirmed);
    assert_eq!(view.payment.status, PaymentStatus::PartiallyRefunded);
    assert_eq!(view.refunded, Some(won(PRICE_MINOR)));

    let before = story.log().len();
    record(&mut story, id, ask(2));
    story.answer(id, PaymentResult::Refunded { amount: won(PRICE_MINOR) });
    books.apply(&story.log()[before..]).await;
    let view = read(&*books.orders, id).await;
    assert_eq!((view.status, view.reason), (OrderStatus::Refunded, Some(OrderReason::Withdrawn)));
    assert_eq!(view.payment.status, PaymentStatus::Refunded);
    assert_eq!(view.refunded, Some(view.total));
}

async fn every_event_raises_the_version(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 5)]);
    let start = story.log().len();
    books.apply(story.log()).await;
    let id = story.place(sale, "ana", &[("a", 1)]);
    story.pass(1);
    story.authorize(id);
    story.pass(1);
    story.capture(id);
    let steps = [
        (OrderStatus::Pending, PaymentStatus::None),
        (OrderStatus::Reserved, PaymentStatus::None),
        (OrderStatus::Reserved, PaymentStatus::Requested),
        (OrderStatus::Reserved, PaymentStatus::Authorized),
        (OrderStatus::Reserved, PaymentStatus::Captured),
        (OrderStatus::Confirmed, PaymentStatus::Captured),
        (OrderStatus::Confirmed, PaymentStatus::Captured),
    ];
    let events = &story.log()[start..];
    assert_eq!(events.len(), steps.len());
    for (version, (event, step)) in (1..).zip(events.iter().zip(steps)) {
        books.orders.apply(std::slice::from_ref(event)).await.unwrap();
        let view = read(&*books.orders, id).await;
        assert_eq!((view.status, view.payment.status), step);
        assert_eq!(view.version, version);
        assert_eq!(view.updated_at, event.metadata.decided_at);
        assert_eq!(view.position, event.position);
    }
}

async fn an_acceptance_is_shown_whole(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 5), ("b", 5)]);
    let mut place = story.order(sale, "ana", &[("a", 2), ("b", 1)]);
    let fields = serde_json::json!({"cart": [1, "둘"], "note": "a \"quote\"", "nul": "a\0b"});
    place.personal.reference = Some("shop-7".to_owned());
    place.personal.metadata = fields.as_object().cloned();
    place.payment = None;
    let id = story.place_order(place.clone());
    let reserved = story.head();
    books.apply(story.log()).await;
    let offer = &story.desk(sale).spotlight.offers[&1];
    let expected = OrderView {
        id,
        spotlight_id: sale,
        broadcast_id: show,
        seller: story.seller.clone(),
        viewer: place.personal.viewer.clone(),
        viewer_ref: story.viewer_ref("ana"),
        status: OrderStatus::Reserved,
        reason: None,
        lines: offer.price(&place.lines),
        total: won(3 * PRICE_MINOR),
        offer_version: 1,
        version: 2,
        hold_expires_at: Some(story.now + TimeDelta::seconds(i64::from(HOLD_SECONDS))),
        payment_method: None,
        payment: PaymentView::default(),
        refunded: None,
        reference: Some("shop-7".to_owned()),
        metadata: fields.as_object().cloned(),
        body_fingerprint: place.body_fingerprint,
        accepted_at: story.now,
        updated_at: story.now,
        position: reserved,
    };
    assert_eq!(read(&*books.orders, id).await, expected);
    assert_eq!(books.orders.order(OrderId(uuid::Uuid::nil())).await.unwrap(), None);
}

async fn a_soft_decline_may_be_tried_again_inside_the_hold(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 5)]);
    let id = story.place(sale, "ana", &[("a", 1)]);
    story.answer(id, decline(DeclineKind::Soft));
    books.apply(story.log()).await;
    let view = read(&*books.orders, id).await;
    assert_eq!((view.status, view.payment.retryable), (OrderStatus::Reserved, true));
    assert_eq!(view.payment.attempts, 1);

    let before = story.log().len();
    let again = OrderEvent::PaymentRequested {
        order_id: id,
        attempt: 2,
        provider: "other".to_owned(),
        method: "card".to_owned(),
        amount: won(PRICE_MINOR),
    };
    record(&mut story, id, again);
    books.apply(&story.log()[before..]).await;
    let view = read(&*books.orders, id).await;
    assert_eq!(view.payment.status, PaymentStatus::Requested);
    assert!(!view.payment.retryable);
    assert_eq!((view.payment.attempts, view.payment.provider.as_deref()), (2, Some("other")));
    assert_eq!(view.payment_method.as_deref(), Some("card"));
}
