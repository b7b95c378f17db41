//! What a room came to is known after everybody has gone, and after a restart.

use std::time::Duration;

use api::live::LiveLimits;
use domain::ids::BroadcastId;
use domain::ports::RoomTotals;
use serde_json::json;

use super::client::Client;
use super::harness::soon;
use super::stage::{Stage, token};

fn quick() -> LiveLimits {
    LiveLimits { report_every: Duration::from_millis(50), ..LiveLimits::default() }
}

async fn until(stage: &Stage, broadcast: BroadcastId, totals: RoomTotals) {
    let came_to = soon(async {
        loop {
            let kept = stage.kept.rooms.totals(broadcast).await.unwrap();
            if kept == totals {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    came_to.await;
}

#[tokio::test]
async fn viewers_are_counted_once_whoever_goes_and_comes_again() {
    let mut stage = Stage::start(quick()).await;
    let other = stage.second_node().await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    let totals =
        |viewers_peak, viewers_distinct| RoomTotals { likes: 0, viewers_peak, viewers_distinct };
    let mut ana = Client::watching(&stage.url(), "ana", broadcast).await;
    let twice = Client::watching(&stage.url(), "ana", broadcast).await;
    let bo = Client::watching(&other, "bo", broadcast).await;
    until(&stage, broadcast, totals(2, 2)).await;
    drop((twice, bo));
    ana.message("live:", |data| data["viewer_count"] == 1).await;
    let _guest = Client::watching(&other, "guest-1", broadcast).await;
    until(&stage, broadcast, totals(2, 3)).await;
    // a bus that was emptied is told again; what is kept never falls
    stage.bus.lose();
    let _bo = Client::watching(&stage.url(), "bo", broadcast).await;
    let _cy = Client::watching(&stage.url(), "cy", broadcast).await;
    until(&stage, broadcast, totals(4, 4)).await;
}

#[tokio::test]
async fn coming_and_going_is_told_to_nobody() {
    let stage = Stage::start(quick()).await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    let mut ana = Client::watching(&stage.url(), "ana", broadcast).await;
    ana.message("live:", |data| data["viewer_count"] == 1).await;
    let crowd: Vec<Client> = futures::future::join_all((0..20).map(|number| {
        let (url, name) = (stage.url(), format!("guest-{number}"));
        async move { Client::watching(&url, &name, broadcast).await }
    }))
    .await;
    loop {
        let frame = ana.frame().await;
        // a ping has no push
        let Some(data) = frame["push"]["pub"]["data"].as_object() else { continue };
        assert!(data.keys().eq(["viewer_count"]), "{data:?}");
        if data["viewer_count"] == 21 {
            break;
        }
    }
    drop(crowd);
    ana.message("live:", |data| data["viewer_count"] == 1).await;
}

#[tokio::test]
async fn likes_outlive_the_bus_and_the_node() {
    let limits = LiveLimits { report_every: Duration::from_mins(10), ..LiveLimits::default() };
    let mut stage = Stage::start(limits).await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    let mut ana = Client::watching(&stage.url(), "ana", broadcast).await;
    let liked = ana.call("like", json!({"broadcast": broadcast, "count": 7})).await;
    assert_eq!(liked, json!({"like_count": 7}));
    drop(ana);
    // at once: neither told nor reported yet
    stage.live.drain().await;
    stage.bus.lose();
    let again = stage.second_node().await;
    let mut bo = Client::at(&again).await;
    let connect = bo.connect(&token("acme", "bo", 600), json!({"broadcast": broadcast})).await;
    let live = &connect["connect"]["subs"][format!("live:{broadcast}")]["data"];
    assert_eq!(live["like_count"], 7);
    let liked = bo.call("like", json!({"broadcast": broadcast, "count": 2})).await;
    assert_eq!(liked, json!({"like_count": 9}));
    bo.message("live:", |data| data["like_count"] == 9).await;
}
