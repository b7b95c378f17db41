//! Host commands: the gate first where they narrow, the answer once everybody has applied them.

use commands::intake::HostRefusal;
use domain::event::StreamId;
use domain::ports::{CommandLog, SalesBoard, StockGate};
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
async fn a_repeat_of_what_changed_the_spotlight_leads_to_nothing() {
    let rig = Rig::selling(5).await;
    rig.spotlight(adjust(-2), "less").await.expect("done");
    let record = rig.log.records.lock().last().cloned().expect("was appended");
    rig.run(rig.log.append(&record)).await.expect("appends");
    assert_eq!(rig.remaining().await, 3);
    assert_eq!(rig.voided().await, 0);
}

#[tokio::test]
async fn a_reduction_that_was_parked_gives_back_after_its_deadline() {
    let rig = Rig::selling(5).await;
    rig.store.cursed.lock().insert(StreamId::spotlight(SPOTLIGHT));
    assert_eq!(rig.spotlight(adjust(-2), "less").await, Err(HostRefusal::Parked));
    assert_eq!(rig.remaining().await, 3);
    rig.store.cursed.lock().clear();
    rig.until("the units are back", async |rig| rig.remaining().await == 5).await;
    rig.spotlight(adjust(-1), "other").await.expect("the sequence goes on");
}

#[tokio::test]
async fn what_widens_is_not_sent_while_the_store_is_away() {
    let rig = Rig::selling(5).await;
    let sent = rig.log.records.lock().len();
    rig.store.away.store(true, std::sync::atomic::Ordering::SeqCst);
    let refused = rig.spotlight(adjust(1), "more").await;
    assert_eq!(refused, Err(HostRefusal::StoreUnavailable));
    assert_eq!(rig.log.records.lock().len(), sent);
}

#[tokio::test]
async fn the_same_id_with_another_request_is_no_repeat() {
    let rig = Rig::selling(5).await;
    rig.spotlight(adjust(3), "more").await.expect("done");
    assert_eq!(rig.spotlight(adjust(4), "more").await, Err(HostRefusal::KeyReused));
    assert_eq!(rig.remaining().await, 8);
    // one that waits at the gate is not decided for the other either
    rig.log.next.lock().push(LogFault::Lost);
    assert_eq!(rig.spotlight(adjust(-2), "less").await, Err(HostRefusal::OutcomeUnknown));
    assert_eq!(rig.spotlight(adjust(-3), "less").await, Err(HostRefusal::KeyReused));
    rig.spotlight(adjust(-2), "less").await.expect("the same again");
    assert_eq!(rig.remaining().await, 6);
}

#[tokio::test]
async fn a_narrowing_holds_at_the_gate_while_the_store_is_away() {
    let rig = Rig::selling(5).await;
    rig.store.away.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(rig.spotlight(pause(), "p").await, Err(HostRefusal::DecisionPending));
    assert_eq!(rig.spotlight(adjust(-2), "less").await, Err(HostRefusal::DecisionPending));
    let view = rig.gate.view(SPOTLIGHT).await.unwrap().unwrap();
    assert_eq!(view.status, SpotlightStatus::Paused);
    assert_eq!(rig.remaining().await, 3);
    rig.store.away.store(false, std::sync::atomic::Ordering::SeqCst);
    rig.until("the log has decided both", async |rig| {
        let board = rig.board.spotlight(SPOTLIGHT).await.unwrap().unwrap();
        board.status == SpotlightStatus::Paused && board.inventory[&sku()].limited_quantity == 3
    })
    .await;
    assert_eq!(rig.remaining().await, 3);
}
