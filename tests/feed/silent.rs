//! A bus that says that all is well, and hands on nothing.

use std::time::Duration;

use api::live::LiveLimits;
use domain::envelope::Position;
use domain::ports::FeedBus;
use serde_json::{Value, json};

use super::client::{Client, code};
use super::harness::{key, soon};
use super::stage::{Stage, token};

#[tokio::test]
async fn a_room_that_was_handed_nothing_finds_it_out() {
    let limits = LiveLimits {
        compare_every: Duration::from_millis(100),
        // nothing that comes by itself
        report_every: Duration::from_mins(10),
        ..LiveLimits::default()
    };
    let stage = Stage::start(limits).await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    let (live, chat) = (format!("live:{broadcast}"), format!("chat:{broadcast}"));
    let _bo = Client::watching(&stage.url(), "bo", broadcast).await;
    // the only count, or it would show that something is missing
    soon(async {
        while stage.bus.snapshot(&live).await.unwrap().data["viewer_count"].is_null() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut ana = Client::watching(&stage.url(), "ana", broadcast).await;
    stage.bus.mute(true);
    stage.bus.patch(&live, key(9), Position(1), &json!({"lost": 1})).await.unwrap();
    let said =
        json!({"type": "chat", "id": "00000000-0000-4000-8000-000000000000", "message": "lost"});
    stage.bus.append(&chat, &said).await.unwrap();
    stage.bus.mute(false);
    let (mut has_state, mut has_said) = (false, false);
    while !(has_state && has_said) {
        let push = ana.frame().await["push"].clone();
        // the state comes whole, the chat's message as itself
        let begun = &push["subscribe"]["data"];
        has_state |= push["channel"] == live && begun["lost"] == 1;
        has_said |= push["channel"] == chat && push["pub"]["data"]["message"] == "lost";
    }
}

/// Each answer may be a hundred times its question.
#[tokio::test]
async fn the_past_is_told_a_few_times_a_second() {
    let stage = Stage::start(LiveLimits::default()).await;
    let mut ana = Client::open(&stage).await;
    ana.connect(&token("acme", "ana", 600), Value::Null).await;
    ana.ask(json!({"id": 2, "subscribe": {"channel": "user#ana"}})).await;
    let history = json!({"id": 3, "history": {"channel": "user#ana", "limit": -1}});
    let commands = vec![history.to_string(); 18].join("\n");
    ana.send(commands).await;
    let mut refused = 0;
    for _ in 0..18 {
        let reply = ana.frame().await;
        refused += u32::from(code(&reply) == 111);
    }
    assert!(refused > 6, "{refused}");
}
