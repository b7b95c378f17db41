//! The `Aggregate` impls of cqrs-es decide what `decide` decides.

use cqrs_es::test::TestFramework;
use domain::actor::Actor;
use domain::broadcast::{Broadcast, BroadcastCommand, BroadcastError, BroadcastEvent};
use domain::command::Context;
use domain::desk::Desk;
use domain::event::Event;
use domain::ids::CommandId;
use domain::ledger::Ledger;
use domain::order::{Order, OrderCommand, OrderError, OrderEvent};
use domain::payment::{DeclineKind, PaymentResult};
use domain::reservation::{Reservation, ReservationCommand, ReservationError, ReservationEvent};
use domain::spotlight::{Cause, Spotlight, SpotlightCommand, SpotlightError, SpotlightEvent};
use uuid::Uuid;

use crate::support::{
    NOW, PRICE, at, broadcast_ended, broadcast_scheduled, closed, holding, krw, on_air, order,
    paused, placed, reserved, scheduled, seller, sku, sold, stream_of,
};

fn context() -> Context {
    Context {
        command_id: CommandId(Uuid::from_u128(1)),
        seller: seller(),
        actor: Actor::system(),
        decided_at: at(NOW),
    }
}

macro_rules! facts {
    ($kind:ident, $events:expr) => {
        $events
            .iter()
            .filter_map(|event| match event {
                Event::$kind(fact) => Some(fact.clone()),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
}

#[test]
fn broadcast() {
    let commands = [
        BroadcastCommand::StartBroadcast,
        BroadcastCommand::EndBroadcast { reason: Some("over".to_owned()) },
    ];
    for history in
        [vec![], vec![broadcast_scheduled()], vec![broadcast_scheduled(), broadcast_ended()]]
    {
        let facts: Vec<BroadcastEvent> = facts!(Broadcast, history);
        for command in commands.clone() {
            let mut state = Broadcast::default();
            for fact in &facts {
                state.apply(fact);
            }
            let decided: Result<_, BroadcastError> = state.decide(&command, &context());
            let handled = TestFramework::<Broadcast>::with(())
                .given(facts.clone())
                .when((command, context()))
                .inspect_result();
            assert_eq!(handled, decided);
        }
    }
}

#[test]
fn spotlight() {
    let commands = [
        SpotlightCommand::OpenSpotlight { cause: Cause::Host },
        SpotlightCommand::PauseSpotlight { reason: None, admission: None },
        SpotlightCommand::AdjustStock { sku: sku("A"), delta: -1, reason: None, admission: None },
        SpotlightCommand::AdjustStock { sku: sku("A"), delta: -4, reason: None, admission: None },
        SpotlightCommand::ReopenGate { expected: 1 },
    ];
    let histories = [
        vec![],
        vec![scheduled()],
        on_air(),
        [on_air(), vec![paused()]].concat(),
        [on_air(), vec![closed()]].concat(),
    ];
    for history in histories {
        let mut desk = Desk::default();
        for event in &history {
            desk.apply(&stream_of(event), event);
        }
        let facts: Vec<SpotlightEvent> = facts!(Spotlight, history);
        for command in commands.clone() {
            let ledger: Ledger = desk.ledger.clone();
            let decided: Result<_, SpotlightError> =
                desk.spotlight.decide(&command, &ledger, &context());
            let handled = TestFramework::<Spotlight>::with(())
                .given(facts.clone())
                .when((command, ledger, context()))
                .inspect_result();
            assert_eq!(handled, decided);
        }
    }
}

#[test]
fn reservation() {
    for history in [vec![], vec![reserved(1)], vec![reserved(1), sold(1)]] {
        let facts: Vec<ReservationEvent> = facts!(Reservation, history);
        let mut state = Reservation::default();
        for fact in &facts {
            state.apply(fact);
        }
        let decided: Result<_, ReservationError> = state.decide(&ReservationCommand::Confirm);
        let handled = TestFramework::<Reservation>::with(())
            .given(facts)
            .when(ReservationCommand::Confirm)
            .inspect_result();
        assert_eq!(handled, decided.map(|fact| vec![fact]));
    }
}

#[test]
fn order_() {
    let record = |result| OrderCommand::RecordPayment { order_id: order(1), attempt: 1, result };
    let code = "card_declined".to_owned();
    let commands = [
        OrderCommand::PlaceOrder { place: Box::new(placed(1)) },
        OrderCommand::CancelOrder { order_id: order(1), reason: None },
        OrderCommand::ExpireHold { order_id: order(1) },
        record(PaymentResult::Captured { amount: krw(PRICE) }),
        record(PaymentResult::Captured { amount: krw(1) }),
        record(PaymentResult::Declined { kind: DeclineKind::Hard, code }),
    ];
    for history in [vec![], on_air(), holding(1)] {
        let mut desk = Desk::default();
        for event in &history {
            desk.apply(&stream_of(event), event);
        }
        let facts: Vec<OrderEvent> = facts!(Order, history);
        for command in commands.clone() {
            let state = desk.orders.get(&order(1)).cloned().unwrap_or_default().order;
            let decided: Result<_, OrderError> =
                state.decide(&command, &desk.scene(&command), &context());
            let handled = TestFramework::<Order>::with(())
                .given(facts.clone())
                .when((command, Box::new(desk.clone()), context()))
                .inspect_result();
            assert_eq!(handled, decided.map(|decision| decision.order));
        }
    }
}
