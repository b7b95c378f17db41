//! Those who wait, through the intake, the writer, the gate and the process.

use commands::intake::{HostRefusal, PlaceRefusal};
use domain::actor::{Actor, Role};
use domain::command::Command;
use domain::event::Event;
use domain::ids::OrderId;
use domain::order::{OrderCommand, PaymentChoice};
use domain::personal::Personal;
use domain::spotlight::{SpotlightCommand, SpotlightEvent, Wait, WaitOutcome};
use domain::views::OrderStatus;

use super::rig::{Rig, SPOTLIGHT, request, sku};

fn join(rig: &Rig, viewer: &str, units: u32) -> SpotlightCommand {
    let asked = request(viewer, "k", units, "none");
    let wait = Wait {
        viewer_ref: asked.viewer_ref,
        lines: asked.lines,
        received_at: domain::ports::Clock::now(rig.clock.as_ref()),
        node: "node-1".to_owned(),
        personal: Personal { viewer: Some(asked.viewer), ..Personal::default() },
    };
    SpotlightCommand::JoinWaitlist { wait: Box::new(wait), admission: None }
}

async fn joins(rig: &Rig, viewer: &str, units: u32) {
    rig.spotlight(join(rig, viewer, units), &format!("join-{viewer}")).await.expect("in line");
}

/// The offers in the log, in order.
async fn offers(rig: &Rig) -> Vec<(String, OrderId)> {
    let events = rig.events().await.into_iter();
    let offered = events.filter_map(|event| match event {
        Event::Spotlight(SpotlightEvent::WaitlistOffered { viewer_ref, order_id, .. }) => {
            Some((viewer_ref.to_string(), order_id))
        }
        _ => None,
    });
    offered.collect()
}

async fn outcomes(rig: &Rig) -> Vec<(String, WaitOutcome)> {
    let events = rig.events().await.into_iter();
    let ended = events.filter_map(|event| match event {
        Event::Spotlight(SpotlightEvent::WaitlistEnded { viewer_ref, outcome, .. }) => {
            Some((viewer_ref.to_string(), outcome))
        }
        _ => None,
    });
    ended.collect()
}

async fn by_viewer(rig: &Rig, viewer: &str, command: OrderCommand, id: &str) {
    let mut record = rig.record(SPOTLIGHT.into(), Command::Order { command }, id);
    record.actor = Actor { role: Role::Viewer, subject: Some(format!("ref-{viewer}")) };
    rig.run(rig.intake.submit(record)).await.expect("decided");
}

#[tokio::test]
async fn units_go_down_the_line_until_somebody_pays() {
    let rig = Rig::selling(1).await;
    let first = rig.place(request("ana", "k", 1, "none")).await.expect("promised").order.order.id;
    for viewer in ["bob", "cat", "dan"] {
        joins(&rig, viewer, 1).await;
    }
    // ana lets her hold run out, bob his offer
    rig.until("ana's hold runs out", async |rig| offers(rig).await.len() == 1).await;
    assert_eq!(rig.order(first).await.expect("known").status, OrderStatus::Failed);
    let [(viewer, of_bob)] = &offers(&rig).await[..] else { panic!("one offer") };
    assert_eq!(viewer, "ref-bob");
    rig.until("it is a reserved order", async |rig| {
        rig.order(*of_bob).await.is_some_and(|order| order.status == OrderStatus::Reserved)
    })
    .await;
    let order = rig.order(*of_bob).await.expect("known");
    assert_eq!((order.payment.attempts, order.payment_method.as_deref()), (0, None));
    assert_eq!(rig.remaining().await, 0);
    let late = rig.place(request("eve", "k", 1, "none")).await;
    assert!(matches!(late, Err(PlaceRefusal::SoldOut { .. })), "not past the line: {late:?}");
    rig.until("bob's offer runs out", async |rig| offers(rig).await.len() == 2).await;
    let of_cat = offers(&rig).await[1].1;
    let decline = OrderCommand::CancelOrder { order_id: of_cat, reason: None };
    by_viewer(&rig, "cat", decline, "decline").await;
    let of_dan = offers(&rig).await[2].1;
    let payment = PaymentChoice { provider: "simulated".to_owned(), method: "sim_ok".to_owned() };
    let pay = OrderCommand::RequestPayment { order_id: of_dan, payment };
    by_viewer(&rig, "dan", pay, "pay").await;
    rig.until("dan has paid", async |rig| {
        rig.order(of_dan).await.is_some_and(|order| order.status == OrderStatus::Confirmed)
    })
    .await;
    let ended = outcomes(&rig).await;
    let expected = [
        ("ref-bob", WaitOutcome::Expired),
        ("ref-cat", WaitOutcome::Declined),
        ("ref-dan", WaitOutcome::Accepted),
    ];
    assert_eq!(ended, expected.map(|(viewer, outcome)| (viewer.to_owned(), outcome)));
    assert_eq!(rig.remaining().await, 0);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_on_sale_again() {
    let rig = Rig::selling(1).await;
    let first = rig.place(request("ana", "k", 1, "none")).await.expect("promised").order.order.id;
    joins(&rig, "bob", 1).await;
    by_viewer(&rig, "ana", OrderCommand::CancelOrder { order_id: first, reason: None }, "c1").await;
    let of_bob = offers(&rig).await[0].1;
    by_viewer(&rig, "bob", OrderCommand::CancelOrder { order_id: of_bob, reason: None }, "c2")
        .await;
    rig.until("it is free", async |rig| rig.remaining().await == 1).await;
    rig.place(request("eve", "k", 1, "none")).await.expect("on sale");
}

#[tokio::test]
async fn the_limit_counts_what_is_waited_for() {
    let rig = Rig::selling_with(1, Some(2)).await;
    let first = rig.place(request("ana", "k", 1, "none")).await.expect("promised").order.order.id;
    let refused = rig.spotlight(join(&rig, "ana", 2), "too-many").await;
    let limit = HostRefusal::OverLimit { limit: 2, open_order: Some(first) };
    assert_eq!(refused, Err(limit));
    joins(&rig, "ana", 1).await;
    joins(&rig, "bob", 2).await;
    // with what she waits for she may have no more
    let more = rig.place(request("ana", "k2", 1, "none")).await;
    assert!(matches!(more, Err(PlaceRefusal::OverLimit { limit: 2, .. })), "{more:?}");
    let leave =
        SpotlightCommand::LeaveWaitlist { viewer_ref: request("ana", "k", 1, "").viewer_ref };
    rig.spotlight(leave, "leaves").await.expect("left");
    let more = rig.place(request("ana", "k3", 1, "none")).await;
    assert!(matches!(more, Err(PlaceRefusal::SoldOut { .. })), "{more:?}");
    let added =
        SpotlightCommand::AdjustStock { sku: sku(), delta: 3, reason: None, admission: None };
    rig.spotlight(added, "more").await.expect("added");
    assert_eq!(offers(&rig).await.len(), 1);
    assert_eq!(rig.remaining().await, 1);
    let again = rig.place(request("bob", "k", 1, "none")).await;
    assert!(matches!(again, Err(PlaceRefusal::OverLimit { .. })), "the offer is his: {again:?}");
    rig.verify().await;
}

#[tokio::test]
async fn the_line_outlives_the_writer() {
    let mut rig = Rig::idle();
    let writer = rig.start_writer("writer-1");
    rig.start_projections();
    rig.start_process();
    rig.open(1, Some(2)).await;
    let first = rig.place(request("ana", "k", 1, "none")).await.expect("promised").order.order.id;
    joins(&rig, "bob", 2).await;
    joins(&rig, "cat", 1).await;
    by_viewer(&rig, "ana", OrderCommand::CancelOrder { order_id: first, reason: None }, "c").await;
    assert_eq!(offers(&rig).await, [], "bob wants two, and nobody passes him by");
    writer.abort();
    rig.start_writer("writer-2");
    let added =
        SpotlightCommand::AdjustStock { sku: sku(), delta: 1, reason: None, admission: None };
    rig.spotlight(added, "more").await.expect("added");
    let offered = offers(&rig).await;
    assert_eq!(offered.iter().map(|(viewer, _)| viewer.as_str()).collect::<Vec<_>>(), ["ref-bob"]);
    let close = SpotlightCommand::CloseSpotlight {
        cause: domain::spotlight::Cause::Host,
        reason: None,
        admission: None,
    };
    rig.spotlight(close, "close").await.expect("closed");
    assert_eq!(outcomes(&rig).await, [("ref-cat".to_owned(), WaitOutcome::Ended)]);
    let refused = rig.spotlight(join(&rig, "eve", 1), "late").await;
    assert!(matches!(refused, Err(HostRefusal::Refused { code, .. }) if code == "closed"));
    rig.verify().await;
}
