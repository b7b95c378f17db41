//! Host commands: the gate first where they narrow, the answer once everybody has applied them.

use commands::intake::HostRefusal;
use domain::command::Command;
use domain::ports::{EventReader, SalesBoard, StockGate};
use domain::spotlight::{SpotlightCommand, SpotlightStatus};

use super::ports::LogFault;
use super::rig::{Rig, SPOTLIGHT, request, sku, won};

fn adjust(delta: i64) -> SpotlightCommand {
    SpotlightCommand::AdjustStock { sku: sku(), delta, reason: None, admission: None }
}

fn pause() -> SpotlightCommand {
    SpotlightCommand::PauseSpotlight { reason: None, admission: None }
}

#[tokio::test]
async fn an_answer_can_be_read_at_once() {
    let rig = Rig::selling(5).await;
    let position = rig.spotlight(adjust(3), "more").await.expect("done");
    assert_eq!(rig.remaining().await, 8);
    assert!(rig.gate.view(SPOTLIGHT).await.unwrap().unwrap().applied >= position);
    let board = rig.board.spotlight(SPOTLIGHT).await.unwrap().unwrap();
    assert_eq!(board.inventory[&sku()].limited_quantity, 8);
    assert_eq!(rig.spotlight(adjust(3), "more").await, Ok(position), "the same again");
    assert_eq!(rig.remaining().await, 8);
}

#[tokio::test]
async fn a_reduction_takes_its_units_first() {
    let rig = Rig::selling(5).await;
    rig.place(request("ana", "k", 2, "none")).await.expect("promised");
    rig.spotlight(adjust(-2), "less").await.expect("done");
    assert_eq!(rig.remaining().await, 1);
    let refused = rig.spotlight(adjust(-2), "too much").await;
    assert_eq!(refused, Err(HostRefusal::BelowCommitted { remaining: 1 }));
    assert_eq!(rig.remaining().await, 1);
}

#[tokio::test]
async fn a_narrowing_that_the_command_log_refuses_is_undone() {
    let rig = Rig::selling(5).await;
    for command in [pause(), adjust(-2)] {
        rig.log.next.lock().push(LogFault::Refused);
        assert_eq!(rig.spotlight(command, "p").await, Err(HostRefusal::LogUnavailable));
        let view = rig.gate.view(SPOTLIGHT).await.unwrap().unwrap();
        assert_eq!(view.status, SpotlightStatus::Open);
        assert_eq!(rig.remaining().await, 5);
    }
}

#[tokio::test]
async fn a_narrowing_that_the_log_refuses_is_undone_at_the_gate() {
    let rig = Rig::selling(5).await;
    // the gate does not compare currencies; the log does
    let dollars = domain::money::Money::new(5, domain::money::Currency::try_new("USD").unwrap());
    let change =
        SpotlightCommand::ChangeOffer { live_price: dollars, reason: None, admission: None };
    let Err(HostRefusal::Refused { code, .. }) = rig.spotlight(change, "c").await else {
        panic!("was not refused");
    };
    assert_eq!(code, "currency_mismatch");
    rig.until("the gate sells again", async |rig| rig.voided().await == 1).await;
    rig.place(request("ana", "k", 1, "none")).await.expect("sold under the old version");
}

#[tokio::test]
async fn an_unacknowledged_narrowing_is_finished_by_the_re_driver_or_by_the_same_again() {
    let rig = Rig::selling(5).await;
    rig.log.next.lock().push(LogFault::Lost);
    assert_eq!(rig.spotlight(adjust(-2), "less").await, Err(HostRefusal::OutcomeUnknown));
    assert_eq!(rig.remaining().await, 3, "the gate stays narrow");
    rig.spotlight(adjust(-2), "less").await.expect("the same again");
    rig.log.next.lock().push(LogFault::Lost);
    let change =
        SpotlightCommand::ChangeOffer { live_price: won(9_900), reason: None, admission: None };
    assert_eq!(rig.spotlight(change, "change").await, Err(HostRefusal::OutcomeUnknown));
    rig.until("the price has changed", async |rig| {
        rig.board.spotlight(SPOTLIGHT).await.unwrap().unwrap().offer.version == 2
    })
    .await;
    assert_eq!(rig.remaining().await, 3);
}

#[tokio::test]
async fn a_repeat_that_took_again_after_the_gate_was_lost_gives_back() {
    let rig = Rig::selling(5).await;
    let command = Command::Spotlight { command: adjust(-2) };
    let mut record = rig.record(SPOTLIGHT.into(), command, "less");
    rig.submit_record(&record).await;
    let admission =
        domain::admission::Admission { epoch: 1, number: 99, at: rig_now(&rig), offer_version: 1 };
    if let Command::Spotlight { command } = &mut record.command {
        command.admit(admission);
    }
    rig.run(domain::ports::CommandLog::append(rig.log.as_ref(), &record)).await.expect("appends");
    rig.until("it is voided", async |rig| rig.voided().await == 1).await;
    assert_eq!(rig.remaining().await, 3);
    assert_eq!(rig.store.outcomes(&[record.command_id]).await.unwrap().len(), 1);
}

fn rig_now(rig: &Rig) -> domain::Timestamp {
    domain::ports::Clock::now(rig.clock.as_ref())
}

#[tokio::test]
async fn a_decision_that_does_not_come_is_pending() {
    let rig = Rig::selling(5).await;
    rig.store.away.store(true, std::sync::atomic::Ordering::SeqCst);
    let refused = rig.spotlight(adjust(1), "more").await;
    assert_eq!(refused, Err(HostRefusal::DecisionPending));
}
