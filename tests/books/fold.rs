//! Whatever happens in whatever order: the books are the fold of the log, however it is cut into
//! pages, and agree with the state that decided it.

use std::collections::BTreeMap;

use domain::actor::Role;
use domain::envelope::Recorded;
use domain::event::Event;
use domain::ids::{OrderId, SpotlightId};
use domain::order::{OrderCommand, OrderEnd};
use domain::payment::{DeclineKind, PaymentResult};
use domain::spotlight::SpotlightCommand;
use domain::views::{OrderStatus, OrderView};
use projections::order_book::{fold, order_of};
use proptest::prelude::*;

use super::setup::Books;
use crate::support::events::{HOLD_SECONDS, Story, sku};

/// One thing that happens: what, to which of the orders, with how many units.
type Step = (u8, usize, u32);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..16_u8, 0..100_usize, 1..4_u32), 1..60)
}

/// Lets steps happen; a refusal is as good as anything.
fn tell(steps: &[Step]) -> (Story, SpotlightId) {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 9), ("b", 5)]);
    let mut orders: Vec<OrderId> = vec![];
    for (what, which, units) in steps {
        let what = if orders.is_empty() { 0 } else { *what };
        if what < 3 {
            let lines: &[(&str, u32)] =
                if *units == 3 { &[("a", 1), ("b", 2)] } else { &[("a", *units)] };
            let mut place = story.order(sale, &format!("v{units}"), lines);
            if what == 2 {
                place.payment = None;
            }
            orders.push(story.place_order(place));
            continue;
        }
        let order = orders[which % orders.len()];
        happen(&mut story, what, order, sale);
    }
    (story, sale)
}

fn happen(story: &mut Story, what: u8, order_id: OrderId, sale: SpotlightId) {
    let code = "no".to_owned();
    match what {
        3 | 4 => story.capture(order_id),
        5 => story.authorize(order_id),
        6 => story.answer(order_id, PaymentResult::Unknown),
        7 => story.answer(order_id, PaymentResult::Voided),
        8 => story.answer(order_id, PaymentResult::Declined { kind: DeclineKind::Soft, code }),
        9 => story.answer(order_id, PaymentResult::Declined { kind: DeclineKind::Hard, code }),
        10 => story.answer(order_id, PaymentResult::CaptureFailed { code }),
        11 => story.answer(order_id, PaymentResult::Refunded { amount: story.total(order_id) }),
        12 => drop(story.cancel(order_id, Role::Viewer)),
        13 => drop(story.order_does(order_id, OrderCommand::ExpireHold { order_id })),
        14 => story.pass(i64::from(HOLD_SECONDS) / 2),
        _ => story.spotlight_does(
            sale,
            SpotlightCommand::AdjustStock {
                sku: sku("b"),
                delta: 1,
                reason: None,
                admission: None,
            },
        ),
    }
}

fn folded(log: &[Recorded]) -> BTreeMap<OrderId, OrderView> {
    let mut views = BTreeMap::new();
    for event in log {
        let Some(order) = order_of(&event.event) else { continue };
        if let Some(view) = fold(views.remove(&order), event) {
            views.insert(order, view);
        }
    }
    views
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap()
}

/// The view says what the decisions' own state says.
fn agrees(story: &Story, views: &BTreeMap<OrderId, OrderView>) {
    for (id, known) in &story.desk(story.key_of(*views.keys().next().unwrap())).orders {
        let view = &views[id];
        let ended = match known.order.end {
            OrderEnd::Open => matches!(view.status, OrderStatus::Pending | OrderStatus::Reserved),
            OrderEnd::Confirmed => {
                matches!(view.status, OrderStatus::Confirmed | OrderStatus::Refunded)
            }
            OrderEnd::Failed => view.status == OrderStatus::Failed,
            OrderEnd::Cancelled => view.status == OrderStatus::Cancelled,
        };
        assert!(ended, "{view:?} of {known:?}");
        let hold = known.reservation.hold().map(|hold| hold.deadline);
        assert_eq!(view.hold_expires_at, hold);
        assert_eq!(view.status == OrderStatus::Reserved, hold.is_some());
        assert_eq!(
            (view.payment.status, view.payment.attempts),
            (known.order.payment, known.order.attempt)
        );
        assert_eq!(view.refunded.map_or(0, |money| money.minor), known.order.refunded_minor);
        let due = view.payment.refund_due.map_or(0, |money| money.minor);
        assert_eq!(due, known.order.refund_asked_minor - known.order.refunded_minor);
        let own = |event: &&Recorded| order_of(&event.event) == Some(*id);
        assert_eq!(view.version, number(story.log().iter().filter(own).count()));
    }
}

async fn check(books: &Books, story: &Story, sale: SpotlightId, page: usize) {
    for page in story.log().chunks(page) {
        books.orders.apply(page).await.unwrap();
        books.board.apply(page).await.unwrap();
    }
    let views = folded(story.log());
    for (id, view) in &views {
        assert_eq!(books.orders.order(*id).await.unwrap().as_ref(), Some(view));
    }
    if !views.is_empty() {
        agrees(story, &views);
    }
    let ledger = &story.desk(sale).ledger;
    let shown = books.board.spotlight(sale).await.unwrap().unwrap();
    for (sku, row) in &ledger.rows {
        let inventory = shown.inventory[sku];
        let parts = (inventory.limited_quantity, inventory.held, inventory.sold);
        assert_eq!(parts, (row.limit, row.held, row.confirmed));
        assert_eq!(inventory.remaining, row.free());
    }
    let totals = books.board.totals(shown.broadcast_id).await.unwrap().unwrap();
    let count = |status: &[OrderStatus]| {
        number(views.values().filter(|view| status.contains(&view.status)).count())
    };
    assert_eq!(totals.orders, number(views.len()));
    assert_eq!(totals.confirmed, count(&[OrderStatus::Confirmed, OrderStatus::Refunded]));
    assert_eq!(totals.failed, count(&[OrderStatus::Failed]));
    assert_eq!(totals.cancelled, count(&[OrderStatus::Cancelled]));
    let sold: i64 = ledger.rows.values().map(|row| row.confirmed).sum();
    assert_eq!(totals.units_sold, u64::try_from(sold).unwrap());
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_memory(steps in steps(), page in 1..30_usize) {
        let (story, sale) = tell(&steps);
        run(check(&Books::memory(), &story, sale, page));
    }

    #[test]
    fn an_event_taken_twice_changes_nothing(steps in steps()) {
        let (story, _) = tell(&steps);
        let mut views: BTreeMap<OrderId, Option<OrderView>> = BTreeMap::new();
        for event in story.log() {
            let Some(order) = order_of(&event.event) else { continue };
            let once = fold(views.remove(&order).flatten(), event);
            prop_assert_eq!(&fold(once.clone(), event), &once);
            views.insert(order, once);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn on_sqlite(steps in steps(), page in 1..30_usize) {
        let (story, sale) = tell(&steps);
        run(async { check(&Books::sqlite().await, &story, sale, page).await });
    }

    #[test]
    fn on_postgres(steps in steps(), page in 1..30_usize) {
        let (story, sale) = tell(&steps);
        run(async { check(&Books::postgres().await, &story, sale, page).await });
    }
}

#[test]
fn events_of_others_change_nothing() {
    let (story, sale) = tell(&[(0, 0, 1), (0, 0, 2)]);
    let [first, second] = story.orders().into_iter().collect::<Vec<_>>()[..] else { panic!("two") };
    let views = folded(story.log());
    let view = Some(views[&first].clone());
    for event in story.log().iter().filter(|event| order_of(&event.event) != Some(first)) {
        assert_eq!(fold(view.clone(), event), view);
    }
    // without its acceptance nothing is known of an order
    let reserved = story.log().iter().find(
        |event| matches!(&event.event, Event::Reservation(event) if event.order_id() == second),
    );
    assert_eq!(fold(None, reserved.unwrap()), None);
    assert_eq!(story.key_of(first), sale.into());
}
