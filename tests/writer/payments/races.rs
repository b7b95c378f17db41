//! Two commands at once: the log settles which one came first.

use super::*;

#[tokio::test]
async fn pay_and_expire_are_settled_by_the_log() {
    for pay_first in [true, false] {
        let mut rig = Rig::idle();
        rig.start_writer("w");
        rig.start_projections();
        rig.open(1, None).await;
        let asked = request("ana", "k", 1, "sim_ok");
        let order = asked.order_id();
        rig.place(asked).await.expect("promised");
        rig.pass(Duration::from_secs(31)).await;
        let result = PaymentResult::Captured { amount: won(19_900) };
        let pay = OrderCommand::RecordPayment { order_id: order, attempt: 1, result };
        let expire = OrderCommand::ExpireHold { order_id: order };
        let (first, second) = if pay_first { (pay, expire) } else { (expire, pay) };
        send(&rig, "first", first).await;
        send(&rig, "second", second).await;
        rig.settle().await;
        let story = rig.story(order).await;
        if pay_first {
            assert_eq!(story.last().unwrap(), "ReservationConfirmed", "{story:?}");
            assert_eq!(rig.remaining().await, 0);
        } else {
            assert!(
                story.ends_with(&["ReservationReleased".to_owned(), "PaymentCaptured".to_owned()])
            );
            assert_eq!(rig.order(order).await.unwrap().reason, Some(OrderReason::PaymentUnknown));
            assert_eq!(rig.remaining().await, 1);
        }
        rig.start_process();
        if !pay_first {
            ended(&rig, order, OrderStatus::Confirmed).await;
            assert_eq!(rig.remaining().await, 0);
        }
    }
}

#[tokio::test]
async fn cancel_and_capture_are_settled_by_the_log() {
    for cancel_first in [true, false] {
        let rig = Rig::selling(1).await;
        let order = placed(&rig, "sim_never").await;
        rig.until("the provider was asked", async |rig| {
            rig.order(order).await.is_some_and(|o| o.payment.status == PaymentStatus::Unknown)
        })
        .await;
        let result = PaymentResult::Captured { amount: won(19_900) };
        let capture = OrderCommand::RecordPayment { order_id: order, attempt: 1, result };
        let cancel = OrderCommand::CancelOrder { order_id: order, reason: None };
        let (first, second) = if cancel_first { (cancel, capture) } else { (capture, cancel) };
        send(&rig, "first", first).await;
        send(&rig, "second", second).await;
        if cancel_first {
            ended(&rig, order, OrderStatus::Cancelled).await;
            rig.until("the money is back", async |rig| {
                let story = rig.story(order).await;
                let captured = story.contains(&"PaymentCaptured".to_owned());
                story.contains(&"OrderRefunded".to_owned()) == captured && story.len() > 5
            })
            .await;
            rig.until("the unit is free", async |rig| rig.remaining().await == 1).await;
        } else {
            ended(&rig, order, OrderStatus::Confirmed).await;
            assert!(!rig.story(order).await.contains(&"OrderCancelled".to_owned()));
        }
    }
}

#[tokio::test]
async fn a_cancelled_order_is_not_charged() {
    let rig = Rig::selling(1).await;
    let order = placed(&rig, "sim_never").await;
    send(&rig, "c", OrderCommand::CancelOrder { order_id: order, reason: None }).await;
    rig.until("the attempt is ended", async |rig| {
        rig.story(order).await.contains(&"PaymentVoided".to_owned())
    })
    .await;
    assert!(!rig.story(order).await.contains(&"PaymentCaptured".to_owned()));
}
