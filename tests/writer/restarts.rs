//! Whoever dies, and wherever: after a restart nothing that was promised is lost and nothing
//! happens twice.

use commands::faults::{
    Action, INTAKE_AFTER_PRODUCE, PROCESS_AFTER_CALL, PROCESS_AFTER_CLAIM, WRITER_AFTER_COMMIT,
    WRITER_BEFORE_COMMIT,
};
use domain::ports::CommandLog;
use domain::views::OrderStatus;

use super::rig::{Rig, request};

async fn all_confirmed(rig: &Rig, viewers: &[&str]) {
    for viewer in viewers {
        let order = request(viewer, "k", 1, "sim_ok").order_id();
        rig.until(&format!("{viewer} is confirmed"), async |rig| {
            rig.order(order).await.is_some_and(|order| order.status == OrderStatus::Confirmed)
        })
        .await;
        let story = rig.story(order).await;
        for once in ["OrderAccepted", "StockReserved", "PaymentCaptured", "ReservationConfirmed"] {
            let count = story.iter().filter(|event| *event == once).count();
            assert_eq!(count, 1, "{viewer}: {once} in {story:?}");
        }
    }
    assert_eq!(rig.voided().await, 0);
}

/// The records of a Kafka that outlives its writer: the log in process forgets what it delivered,
/// so a restarted writer gets the undecided ones again.
async fn append_again(rig: &Rig) {
    let records = rig.log.records.lock().clone();
    for record in &records {
        rig.run(rig.log.inner.append(record)).await.expect("appends");
    }
}

#[tokio::test]
async fn a_writer_that_dies_around_its_commit_is_made_good() {
    for point in [WRITER_BEFORE_COMMIT, WRITER_AFTER_COMMIT] {
        let mut rig = Rig::idle();
        let doomed = rig.start_writer("w1");
        rig.start_projections();
        rig.start_process();
        rig.open(3, None).await;
        rig.faults.arm(point, Action::Pause);
        {
            let mut placing =
                std::pin::pin!(rig.intake.place_order(request("ana", "k", 1, "sim_ok")));
            assert!(futures::poll!(&mut placing).is_pending());
            rig.faults.reached(point).await;
        }
        doomed.abort();
        rig.settle().await;
        // the fail point is passed from now on
        rig.faults.arm(point, Action::Error);
        rig.start_writer("w2");
        rig.settle().await;
        append_again(&rig).await;
        rig.place(request("bob", "k", 1, "sim_ok")).await.expect("promised");
        rig.place(request("ana", "k", 1, "sim_ok")).await.expect("the same key finds the order");
        all_confirmed(&rig, &["ana", "bob"]).await;
        assert_eq!(rig.remaining().await, 1, "{point}");
    }
}

#[tokio::test]
async fn an_error_at_a_writers_fail_point_is_retried() {
    for point in [WRITER_BEFORE_COMMIT, WRITER_AFTER_COMMIT] {
        let rig = Rig::selling(1).await;
        rig.faults.arm(point, Action::Error);
        rig.place(request("ana", "k", 1, "sim_ok")).await.expect("promised");
        all_confirmed(&rig, &["ana"]).await;
    }
}

#[tokio::test]
async fn a_node_that_dies_after_the_acknowledgement_leaves_an_order_that_the_same_key_finds() {
    let rig = Rig::selling(1).await;
    rig.faults.arm(INTAKE_AFTER_PRODUCE, Action::Pause);
    {
        let mut placing = std::pin::pin!(rig.intake.place_order(request("ana", "k", 1, "sim_ok")));
        assert!(futures::poll!(&mut placing).is_pending());
        rig.settle().await;
        assert!(futures::poll!(&mut placing).is_pending());
    }
    all_confirmed(&rig, &["ana"]).await;
    let again = rig.place(request("ana", "k", 1, "sim_ok")).await.expect("finds it");
    assert!(again.replayed);
    assert!(again.order.receipt.is_some());
}

#[tokio::test]
async fn a_process_that_dies_in_a_call_is_made_good_and_charges_once() {
    let mut rig = Rig::idle();
    rig.start_writer("w");
    rig.start_projections();
    let doomed = rig.start_process();
    rig.open(1, None).await;
    rig.faults.arm(PROCESS_AFTER_CALL, Action::Pause);
    rig.place(request("ana", "k", 1, "sim_ok")).await.expect("promised");
    rig.pass(std::time::Duration::from_secs(1)).await;
    rig.faults.reached(PROCESS_AFTER_CALL).await;
    doomed.abort();
    rig.faults.arm(PROCESS_AFTER_CALL, Action::Error);
    rig.start_process();
    all_confirmed(&rig, &["ana"]).await;
}

#[tokio::test]
async fn an_entry_that_was_claimed_and_not_appended_is_claimed_again() {
    let rig = Rig::selling(1).await;
    rig.log.next.lock().push(super::ports::LogFault::Lost);
    assert!(rig.place(request("ana", "k", 1, "sim_ok")).await.is_err());
    rig.faults.arm(PROCESS_AFTER_CLAIM, Action::Error);
    all_confirmed(&rig, &["ana"]).await;
}
