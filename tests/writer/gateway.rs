//! The conformance suite of payment gateways, run on the simulated one.

use std::sync::Arc;
use std::time::Duration;

use commands::clock::ManualClock;
use commands::process::{SIM_ACTS_AFTER, SIM_METHODS, SimulatedGateway};
use domain::ids::OrderId;
use domain::payment::{DeclineKind, PaymentResult};
use domain::ports::{PaymentCall, PaymentGateway};
use uuid::Uuid;

use super::rig::{SPOTLIGHT, start_time, won};

fn call(method: &str) -> PaymentCall {
    PaymentCall {
        order: OrderId(Uuid::from_u128(1)),
        spotlight: SPOTLIGHT,
        attempt: 1,
        payment: 1,
        reference: None,
        method: method.to_owned(),
        amount: won(100),
        held_until: Some(start_time() + chrono::TimeDelta::seconds(30)),
    }
}

/// What every gateway promises: each operation is idempotent under its key, money moves only as
/// far as it was asked to, and a query agrees with what was answered.
async fn conforms(gateway: &dyn PaymentGateway, method: &str) {
    let call = call(method);
    let first = gateway.authorize(&call).await.unwrap();
    assert_eq!(gateway.authorize(&call).await.unwrap(), first, "{method}: asked twice");
    if let PaymentResult::Authorized { amount, .. } = &first {
        assert_eq!(*amount, call.amount);
        assert_eq!(gateway.query(&call).await.unwrap().as_ref(), Some(&first), "{method}");
        let captured = gateway.capture(&call).await.unwrap();
        assert_eq!(captured, PaymentResult::Captured { amount: call.amount });
        assert_eq!(gateway.capture(&call).await.unwrap(), captured, "{method}: captured twice");
        assert_eq!(gateway.query(&call).await.unwrap(), Some(captured.clone()), "{method}");
        assert_eq!(gateway.void(&call).await.unwrap(), captured, "{method}: too late to void");
        let refunded = gateway.refund(&call).await.unwrap();
        assert_eq!(refunded, PaymentResult::Refunded { amount: call.amount });
        assert_eq!(gateway.refund(&call).await.unwrap(), refunded, "{method}: refunded twice");
    }
    let mut other = call.clone();
    other.attempt = 2;
    if let PaymentResult::Authorized { .. } = gateway.authorize(&other).await.unwrap() {
        assert_eq!(gateway.void(&other).await.unwrap(), PaymentResult::Voided);
        assert_eq!(gateway.void(&other).await.unwrap(), PaymentResult::Voided);
        assert!(matches!(
            gateway.capture(&other).await.unwrap(),
            PaymentResult::CaptureFailed { .. }
        ));
    }
}

fn simulated() -> (Arc<ManualClock>, SimulatedGateway) {
    let clock = Arc::new(ManualClock::new(start_time()));
    (clock.clone(), SimulatedGateway::new(clock, Duration::ZERO))
}

#[tokio::test]
async fn every_method_of_the_simulated_gateway_conforms() {
    for method in SIM_METHODS {
        let (_, gateway) = simulated();
        conforms(&gateway, method).await;
    }
}

#[tokio::test]
async fn each_method_does_what_its_name_says() {
    let (clock, gateway) = simulated();
    let declined = |kind| move |result: PaymentResult| matches!(result, PaymentResult::Declined { kind: found, .. } if found == kind);
    assert!(declined(DeclineKind::Hard)(
        gateway.authorize(&call("sim_decline_hard")).await.unwrap()
    ));
    let soft = PaymentCall { attempt: 2, ..call("sim_decline_soft") };
    assert!(declined(DeclineKind::Soft)(gateway.authorize(&soft).await.unwrap()));
    let lost = PaymentCall { attempt: 3, ..call("sim_unknown") };
    let paid = Some(PaymentResult::Captured { amount: lost.amount });
    assert_eq!(gateway.authorize(&lost).await.unwrap(), PaymentResult::Unknown);
    assert_eq!(gateway.query(&lost).await.unwrap(), paid);
    let never = PaymentCall { attempt: 4, ..call("sim_never") };
    assert_eq!(gateway.authorize(&never).await.unwrap(), PaymentResult::Unknown);
    let late = PaymentCall { attempt: 5, ..call("sim_late") };
    assert_eq!(gateway.authorize(&late).await.unwrap(), PaymentResult::Unknown);
    clock.advance(Duration::from_secs(30));
    assert_eq!(gateway.query(&late).await.unwrap(), None);
    clock.advance(Duration::from_secs(1));
    assert_eq!(gateway.query(&late).await.unwrap(), paid);
    assert_eq!(gateway.query(&never).await.unwrap(), None);
    assert_eq!(gateway.void(&never).await.unwrap(), PaymentResult::Voided);
    let acts = PaymentCall { attempt: 7, ..call("sim_requires_action") };
    let waits = gateway.authorize(&acts).await.unwrap();
    assert!(matches!(waits, PaymentResult::RequiresAction { .. }), "{waits:?}");
    assert_eq!(gateway.authorize(&acts).await.unwrap(), waits);
    assert_eq!(gateway.query(&acts).await.unwrap(), Some(waits));
    clock.advance(SIM_ACTS_AFTER);
    let acted = gateway.query(&acts).await.unwrap();
    assert!(matches!(acted, Some(PaymentResult::Authorized { .. })), "{acted:?}");
    let unheard_of = PaymentCall { attempt: 6, ..call("sim_unheard_of") };
    assert!(declined(DeclineKind::Hard)(gateway.authorize(&unheard_of).await.unwrap()));
    assert_eq!(gateway.tells(&call("sim_twice")), 2);
}

#[tokio::test]
async fn a_gateway_that_forgot_everything_still_finishes_what_it_began() {
    let (_, before) = simulated();
    let call = call("sim_ok");
    let authorized = before.authorize(&call).await.unwrap();
    let (_, after) = simulated();
    assert_eq!(after.query(&call).await.unwrap(), Some(authorized));
    assert_eq!(
        after.capture(&call).await.unwrap(),
        PaymentResult::Captured { amount: call.amount }
    );
}
