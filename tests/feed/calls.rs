//! Chat, likes and orders through calls, on one node and on two.

use std::time::Duration;

use api::live::{CHAT_BURST, CHAT_CHARACTERS_MAX, LIKE_COUNT_MAX, LiveLimits};
use serde_json::{Value, json};

use super::client::{Client, code};
use super::harness::soon;
use super::stage::{Stage, token};

fn refused(result: &Value) -> &str {
    result["refused"]["code"].as_str().unwrap_or_default()
}

fn quick() -> LiveLimits {
    LiveLimits { report_every: Duration::from_millis(50), ..LiveLimits::default() }
}

#[tokio::test]
async fn what_is_said_is_heard_in_order_on_every_node() {
    let mut stage = Stage::start(quick()).await;
    let other = stage.second_node().await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    let mut ana = Client::watching(&stage.url(), "ana", broadcast).await;
    let mut bo = Client::watching(&other, "bo", broadcast).await;
    for text in ["one", "two", "three"] {
        let sent = ana.call("chat.send", json!({"broadcast": broadcast, "message": text})).await;
        let id = sent["id"].clone();
        for client in [&mut ana, &mut bo] {
            let heard = client.message("chat:", |data| data["type"] == "chat").await;
            assert_eq!((&heard["id"], &heard["message"]), (&id, &json!(text)));
            assert_eq!(heard["viewer"], json!({"id": "ana", "name": "ana", "role": "viewer"}));
            assert!(heard["sent_at"].is_string());
        }
    }
    let mut late = Client::at(&other).await;
    let connect = late.connect(&token("acme", "cy", 600), json!({"broadcast": broadcast})).await;
    let chat = &connect["connect"]["subs"][format!("chat:{broadcast}")];
    let heard: Vec<_> = chat["data"]["messages"].as_array().unwrap().iter().collect();
    assert_eq!(
        heard.iter().map(|said| &said["message"]).collect::<Vec<_>>(),
        ["one", "two", "three"]
    );
    let history = |more: Value| {
        let mut history = json!({"channel": format!("chat:{broadcast}"), "limit": 2});
        history.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"id": 5, "history": history})
    };
    let first = late.ask(history(json!({}))).await["history"].clone();
    let said = |history: &Value| -> Vec<String> {
        let publications = history["publications"].as_array().unwrap().iter();
        publications.map(|said| said["data"]["message"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((said(&first), &first["offset"]), (vec!["one".into(), "two".into()], &json!(3)));
    let since = json!({"since": {"offset": 2, "epoch": first["epoch"]}});
    assert_eq!(said(&late.ask(history(since)).await["history"]), ["three"]);
    let back = late.ask(history(json!({"reverse": true}))).await;
    assert_eq!(said(&back["history"]), ["three", "two"]);
    let lost = json!({"since": {"offset": 2, "epoch": "other"}});
    assert_eq!(*code(&late.ask(history(lost)).await), 112);
}

#[tokio::test]
async fn a_message_that_may_not_be_said_is_refused_with_its_reason() {
    let stage = Stage::start(quick()).await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    let say = |text: &str| json!({"broadcast": broadcast, "message": text});
    let mut guest = Client::watching(&stage.url(), "guest-1", broadcast).await;
    let result = guest.call("chat.send", say("hi")).await;
    assert_eq!(refused(&result), "sign_in_required");
    let mut ana = Client::watching(&stage.url(), "ana", broadcast).await;
    let long = "각".repeat(CHAT_CHARACTERS_MAX);
    assert!(ana.call("chat.send", say(&long)).await["id"].is_string());
    for (text, why) in [
        (format!("{long}a"), "too_long"),
        ("a\u{7}".into(), "bad_characters"),
        (" ".into(), "empty"),
    ] {
        assert_eq!(refused(&ana.call("chat.send", say(&text)).await), why);
    }
    for _ in 1..CHAT_BURST.get() {
        assert!(ana.call("chat.send", say("hi")).await["id"].is_string());
    }
    let result = ana.call("chat.send", say("hi")).await;
    assert_eq!(refused(&result), "rate_limited");
    let wait = result["refused"]["retry_after_ms"].as_u64().unwrap();
    assert!((1..=1_000).contains(&wait), "{wait}");
    tokio::time::sleep(Duration::from_millis(wait)).await;
    assert!(ana.call("chat.send", say("again")).await["id"].is_string());
    let mut host = Client::watching(&stage.url(), "host-1", broadcast).await;
    for _ in 0..=CHAT_BURST.get() {
        assert!(host.call("chat.send", say("welcome")).await["id"].is_string());
    }
    let other = json!({"broadcast": uuid::Uuid::nil(), "message": "hi"});
    assert_eq!(*code(&ana.call("chat.send", other).await), 102);
    let mut stranger = Client::open(&stage).await;
    stranger.connect(&token("other", "eve", 600), Value::Null).await;
    assert_eq!(*code(&stranger.call("chat.send", say("hi")).await), 103);
    assert_eq!(
        *code(&stranger.call("like", json!({"broadcast": broadcast, "count": 1})).await),
        103
    );
}

#[tokio::test]
async fn a_chat_is_recovered_or_begins_again() {
    let stage = Stage::start(quick()).await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    let channel = format!("chat:{broadcast}");
    let mut ana = Client::watching(&stage.url(), "ana", broadcast).await;
    let say = |text: &str| json!({"broadcast": broadcast, "message": text});
    ana.call("chat.send", say("one")).await;
    ana.message("chat:", |data| data["message"] == "one").await;
    let connect = async |offset: u64, epoch: &str| {
        let mut client = Client::open(&stage).await;
        let place = json!({"recover": true, "offset": offset, "epoch": epoch});
        let command = json!({"id": 1, "connect": {
            "token": token("acme", "bo", 600), "data": {"broadcast": broadcast},
            "subs": {channel.as_str(): place},
        }});
        client.ask(command).await["connect"]["subs"][&channel].clone()
    };
    let begun = connect(0, "").await;
    assert_eq!((&begun["was_recovering"], &begun["recovered"]), (&json!(true), &Value::Null));
    let epoch = begun["epoch"].as_str().unwrap().to_owned();
    ana.call("chat.send", say("two")).await;
    ana.message("chat:", |data| data["message"] == "two").await;
    let begun = connect(1, &epoch).await;
    assert_eq!((&begun["recovered"], &begun["offset"]), (&json!(true), &json!(2)));
    assert_eq!(begun["publications"][0]["data"]["message"], "two");
    assert_eq!(begun["publications"].as_array().unwrap().len(), 1);
    stage.bus.lose();
    soon(async { while connect(2, &epoch).await["recovered"] == json!(true) {} }).await;
    let begun = connect(2, &epoch).await;
    assert_ne!(begun["epoch"], json!(epoch));
}

#[tokio::test]
async fn likes_are_summed_up_on_every_node_and_survive_the_bus() {
    let mut stage = Stage::start(quick()).await;
    let other = stage.second_node().await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    let mut ana = Client::watching(&stage.url(), "ana", broadcast).await;
    let mut bo = Client::watching(&other, "guest-2", broadcast).await;
    let like = |count: u64| json!({"broadcast": broadcast, "count": count});
    assert_eq!(ana.call("like", like(LIKE_COUNT_MAX)).await, json!({"like_count": 50}));
    bo.call("like", like(3)).await;
    for client in [&mut ana, &mut bo] {
        client.message("live:", |data| data["like_count"] == 53).await;
    }
    for bad in [0, LIKE_COUNT_MAX + 1] {
        assert_eq!(refused(&ana.call("like", like(bad)).await), "invalid");
    }
    ana.call("like", like(1)).await;
    let result = ana.call("like", like(1)).await;
    assert_eq!(refused(&result), "rate_limited");
    assert!(result["refused"]["retry_after_ms"].as_u64().unwrap() <= 500);
    for client in [&mut ana, &mut bo] {
        client.message("live:", |data| data["like_count"] == 54).await;
    }
    stage.bus.lose();
    soon(async {
        loop {
            let mut late = Client::at(&other).await;
            let data = json!({"broadcast": broadcast});
            let reply = late.connect(&token("acme", "cy", 600), data).await;
            let live = &reply["connect"]["subs"][format!("live:{broadcast}")]["data"];
            if live["like_count"] == 54 && live["viewer_count"].as_u64().unwrap_or(0) >= 2 {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn viewers_are_counted_over_the_nodes() {
    let mut stage = Stage::start(quick()).await;
    let other = stage.second_node().await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    let mut ana = Client::watching(&stage.url(), "ana", broadcast).await;
    ana.message("live:", |data| data["viewer_count"] == 1).await;
    let _twice = Client::watching(&stage.url(), "ana", broadcast).await;
    let bo = Client::watching(&other, "bo", broadcast).await;
    ana.message("live:", |data| data["viewer_count"] == 2).await;
    let stats = json!({"id": 6, "presence_stats": {"channel": format!("live:{broadcast}")}});
    soon(async {
        let counts = json!({"num_clients": 3, "num_users": 2});
        while ana.ask(stats.clone()).await["presence_stats"] != counts {
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    })
    .await;
    drop(bo);
    ana.message("live:", |data| data["viewer_count"] == 1).await;
    let own = json!({"id": 6, "presence_stats": {"channel": "user#ana"}});
    assert_eq!(*code(&ana.ask(own).await), 108);
    let others = json!({"id": 6, "presence_stats": {"channel": "live:x"}});
    assert_eq!(*code(&ana.ask(others).await), 103);
}

#[tokio::test]
async fn an_order_is_read_by_its_viewer_and_the_host() {
    let stage = Stage::start(quick()).await;
    let broadcast = stage.log.broadcast();
    let spotlight = stage.log.spotlight(broadcast, 10);
    let order = stage.log.order(broadcast, spotlight, "ana", 2);
    stage.settle().await;
    for (subject, sees) in [("ana", true), ("bo", false), ("host-1", true), ("guest-1", false)] {
        let mut client = Client::watching(&stage.url(), subject, broadcast).await;
        let result = client.call("order.get", json!({"id": order})).await;
        if sees {
            assert_eq!((&result["id"], &result["status"]), (&json!(order), &json!("reserved")));
        } else {
            assert_eq!(refused(&result), "not_found");
        }
    }
    let mut stranger = Client::open(&stage).await;
    stranger.connect(&token("other", "host-1", 600), Value::Null).await;
    assert_eq!(refused(&stranger.call("order.get", json!({"id": order})).await), "not_found");
}

#[tokio::test]
async fn a_stream_tells_its_past_and_a_subscription_its_token() {
    let stage = Stage::start(quick()).await;
    let broadcast = stage.log.broadcast();
    let spotlight = stage.log.spotlight(broadcast, 10);
    stage.settle().await;
    stage.log.order(broadcast, spotlight, "ana", 2);
    stage.settle().await;
    let mut ana = Client::watching(&stage.url(), "ana", broadcast).await;
    let history = |channel: &str, limit: i32| json!({"id": 3, "history": {"channel": channel, "limit": limit}});
    let own = ana.ask(history("user#ana", -1)).await["history"].clone();
    assert_eq!(own["publications"].as_array().unwrap().len(), 3);
    assert_eq!(own["publications"][0]["offset"], 1);
    let top = ana.ask(history("user#ana", 0)).await["history"].clone();
    assert_eq!((&top["publications"], &top["offset"]), (&json!([]), &json!(3)));
    assert_eq!(*code(&ana.ask(history("user#bo", 1)).await), 103);
    assert_eq!(*code(&ana.ask(history(&format!("live:{broadcast}"), 1)).await), 108);
    let refresh =
        |channel: &str| json!({"id": 4, "sub_refresh": {"channel": channel, "token": "t"}});
    let fresh = ana.ask(refresh("user#ana")).await;
    assert_eq!(fresh, json!({"id": 4, "sub_refresh": {"expires": false}}));
    assert_eq!(*code(&ana.ask(refresh("user#bo")).await), 103);
}
