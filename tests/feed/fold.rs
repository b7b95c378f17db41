//! From events to what viewers see.

use std::sync::Arc;

use domain::envelope::Position;
use domain::fingerprint::PseudonymKey;
use domain::ids::ViewerId;
use domain::ports::{FeedBus, FeedPosition};
use domain::spotlight::{Cause, SpotlightEvent};
use projections::viewer_feed::shape::{live_channel, user_channel};
use projections::viewer_feed::{MemoryFeedBus, ViewerFeed, merge_patch};
use serde_json::{Value, json};

use super::harness::{RandomIds, soon};
use super::log::{Log, seller};
use super::stage::WallClock;

fn setting() -> (Log, Arc<MemoryFeedBus>, ViewerFeed) {
    let log = Log::new(PseudonymKey::from_secret(b"fold"));
    let bus = Arc::new(MemoryFeedBus::new(Arc::new(WallClock), Arc::new(RandomIds)));
    let feed = feed(&log, &bus);
    (log, bus, feed)
}

fn feed(log: &Log, bus: &Arc<MemoryFeedBus>) -> ViewerFeed {
    ViewerFeed::new(Arc::new(log.clone()), bus.clone(), Arc::new(WallClock))
}

async fn steps(bus: &MemoryFeedBus, viewer: &str) -> Vec<(u64, String)> {
    let channel = user_channel(&seller(), &ViewerId::try_new(viewer).unwrap());
    let top = bus.history(&channel, None).await.unwrap().top;
    let start = FeedPosition { offset: 0, ..top };
    let messages = bus.history(&channel, Some(&start)).await.unwrap().messages.unwrap();
    let step = |order: &Value| {
        (order["version"].as_u64().unwrap(), order["status"].as_str().unwrap().to_owned())
    };
    messages.iter().map(|message| step(&message.data["order"])).collect()
}

fn whole() -> Vec<(u64, String)> {
    ["pending", "reserved", "reserved", "confirmed", "confirmed"]
        .into_iter()
        .zip(1..)
        .map(|(status, version)| (version, status.to_owned()))
        .collect()
}

#[tokio::test]
async fn a_room_shows_its_broadcast_and_spotlights() {
    let (log, bus, mut feed) = setting();
    let broadcast = log.broadcast();
    let spotlight = log.spotlight(broadcast, 10);
    let order = log.order(broadcast, spotlight, "ana", 3);
    log.order(broadcast, spotlight, "bo", 2);
    log.confirm(spotlight, order, "ana", 3);
    feed.take(&log.after(Position::START)).await.unwrap();
    let state = bus.snapshot(&live_channel(broadcast)).await.unwrap().data;
    assert_eq!(state["broadcast"], json!({"id": broadcast, "title": "생방송", "status": "live"}));
    let shown = &state["spotlights"][spotlight.to_string()];
    assert_eq!(
        shown["inventory"],
        json!({"pink": {"limited_quantity": 10, "remaining": 5, "held": 2, "sold": 3}})
    );
    assert_eq!((&shown["status"], &shown["hold_seconds"]), (&json!("open"), &json!(600)));
    assert_eq!(shown["offer"]["live_price"], json!({"minor": 19_900, "currency": "KRW"}));
    assert!(shown.get("per_viewer_limit").is_none(), "a member without a value is absent");
    assert!(state["server_time"].is_string());
}

#[tokio::test]
async fn a_viewer_sees_each_step_of_its_order_once_and_in_order() {
    let (log, bus, mut feed) = setting();
    let broadcast = log.broadcast();
    let spotlight = log.spotlight(broadcast, 10);
    let order = log.order(broadcast, spotlight, "ana", 1);
    log.confirm(spotlight, order, "ana", 1);
    let events = log.after(Position::START);
    feed.take(&events[..6]).await.unwrap();
    feed.take(&events[2..]).await.unwrap();
    feed.take(&events).await.unwrap();
    assert_eq!(steps(&bus, "ana").await, whole());
    assert_eq!(steps(&bus, "bo").await, []);
}

/// However the log hands them out, and also where a process ends between two of them.
#[tokio::test]
async fn what_one_decision_did_to_an_order_is_one_message() {
    for cut in 4..=9 {
        let (log, bus, mut first) = setting();
        let broadcast = log.broadcast();
        let spotlight = log.spotlight(broadcast, 10);
        let before = log.head();
        let order = log.order(broadcast, spotlight, "ana", 1);
        log.decided_together(before);
        let placed = log.head();
        log.confirm(spotlight, order, "ana", 1);
        log.decided_together(placed);
        let events = log.after(Position::START);
        first.take(&events[..cut]).await.unwrap();
        feed(&log, &bus).take(&events[cut..]).await.unwrap();
        let decided = [(3, "reserved".to_owned()), (5, "confirmed".to_owned())];
        assert_eq!(steps(&bus, "ana").await, decided, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_gap_is_filled_from_the_store() {
    let (log, bus, mut feed) = setting();
    let broadcast = log.broadcast();
    let spotlight = log.spotlight(broadcast, 10);
    let order = log.order(broadcast, spotlight, "ana", 1);
    log.confirm(spotlight, order, "ana", 1);
    let events = log.after(Position::START);
    feed.take(&events[..4]).await.unwrap();
    feed.take(&events[8..]).await.unwrap();
    assert_eq!(steps(&bus, "ana").await, whole());
}

#[tokio::test]
async fn a_new_process_goes_on_in_the_middle() {
    let (log, bus, mut first) = setting();
    let broadcast = log.broadcast();
    let spotlight = log.spotlight(broadcast, 10);
    let order = log.order(broadcast, spotlight, "ana", 1);
    log.confirm(spotlight, order, "ana", 1);
    let events = log.after(Position::START);
    first.take(&events[..6]).await.unwrap();
    feed(&log, &bus).take(&events[6..]).await.unwrap();
    assert_eq!(steps(&bus, "ana").await, whole());
    let state = bus.snapshot(&live_channel(broadcast)).await.unwrap().data;
    assert_eq!(state["spotlights"][spotlight.to_string()]["inventory"]["pink"]["sold"], 1);
}

/// Another process may publish the whole state of a position in the middle of a batch; what
/// changed and changed back within the batch must not be left at that position's value.
#[tokio::test]
async fn patches_fit_onto_any_state_in_between() {
    let (log, bus, mut one) = setting();
    let broadcast = log.broadcast();
    let spotlight_id = log.spotlight(broadcast, 10);
    let events = log.after(Position::START);
    one.take(&events).await.unwrap();
    let personal = domain::personal::Personal::default;
    let now = <WallClock as domain::ports::Clock>::now(&WallClock);
    log.happen(
        spotlight_id,
        SpotlightEvent::SpotlightPaused { spotlight_id, at: now, personal: personal() },
    );
    log.order(broadcast, spotlight_id, "ana", 1);
    let middle = log.head();
    log.happen(
        spotlight_id,
        SpotlightEvent::SpotlightResumed { spotlight_id, at: now, personal: personal() },
    );
    let later = log.after(events.last().unwrap().position);
    let in_between = later.iter().filter(|event| event.position <= middle).cloned();
    feed(&log, &bus).take(&in_between.collect::<Vec<_>>()).await.unwrap();
    one.take(&later).await.unwrap();
    let state = bus.snapshot(&live_channel(broadcast)).await.unwrap().data;
    assert_eq!(state["spotlights"][spotlight_id.to_string()]["status"], "open");
}

#[tokio::test]
async fn patches_carry_only_what_changed_and_lead_to_the_state() {
    let (log, bus, mut feed) = setting();
    let broadcast = log.broadcast();
    let spotlight_id = log.spotlight(broadcast, 10);
    feed.take(&log.after(Position::START)).await.unwrap();
    let channel = live_channel(broadcast);
    let mut state = bus.snapshot(&channel).await.unwrap().data;
    let mut patches = bus.subscribe(&channel).await.unwrap();
    let before = log.head();
    log.order(broadcast, spotlight_id, "ana", 4);
    feed.take(&log.after(before)).await.unwrap();
    let patch = soon(patches.next()).await.unwrap();
    let row = json!({"limited_quantity": 10, "remaining": 6, "held": 4, "sold": 0});
    let inventory = json!({"inventory": {"pink": row}});
    assert_eq!(patch.data["spotlights"], json!({spotlight_id.to_string(): inventory}));
    merge_patch(&mut state, &patch.data);
    let before = log.head();
    let (at, cause) = (<WallClock as domain::ports::Clock>::now(&WallClock), Cause::Host);
    let personal = domain::personal::Personal::default();
    log.happen(spotlight_id, SpotlightEvent::SpotlightClosed { spotlight_id, at, cause, personal });
    feed.take(&log.after(before)).await.unwrap();
    merge_patch(&mut state, &soon(patches.next()).await.unwrap().data);
    assert_eq!(state, bus.snapshot(&channel).await.unwrap().data);
    assert_eq!(state["spotlights"][spotlight_id.to_string()]["status"], "closed");
}

#[tokio::test]
async fn what_the_bus_has_lost_is_published_again() {
    let (log, bus, mut feed) = setting();
    let broadcast = log.broadcast();
    let spotlight = log.spotlight(broadcast, 10);
    feed.take(&log.after(Position::START)).await.unwrap();
    let channel = live_channel(broadcast);
    let mut before = bus.snapshot(&channel).await.unwrap().data;
    bus.lose();
    // A change comes before the loss is noticed: what it leaves out must not stay lost.
    let head = log.head();
    log.order(broadcast, spotlight, "ana", 4);
    feed.take(&log.after(head)).await.unwrap();
    feed.check().await.unwrap();
    let mut after = bus.snapshot(&channel).await.unwrap().data;
    let row = json!({"limited_quantity": 10, "remaining": 6, "held": 4, "sold": 0});
    before["spotlights"][spotlight.to_string()]["inventory"]["pink"] = row;
    before["server_time"].take();
    after["server_time"].take();
    assert_eq!(after, before);
}
