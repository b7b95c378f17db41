//! What moderators do is honoured on every node, at once and after a restart.

use std::time::Duration;

use api::live::LiveLimits;
use chrono::TimeDelta;
use domain::broadcast::BroadcastEvent;
use domain::ids::BroadcastId;
use domain::personal::Personal;
use domain::ports::{ChatLog, Clock};
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{Client, code};
use super::harness::soon;
use super::stage::{Stage, WallClock, token};

struct Show {
    stage: Stage,
    other: String,
    broadcast: BroadcastId,
}

impl Show {
    async fn start() -> Self {
        let limits = LiveLimits { ban_grace: Duration::from_millis(50), ..LiveLimits::default() };
        let mut stage = Stage::start(limits).await;
        let other = stage.second_node().await;
        let broadcast = stage.log.broadcast();
        stage.settle().await;
        Self { stage, other, broadcast }
    }

    async fn happens(&self, event: impl FnOnce(BroadcastId) -> BroadcastEvent) {
        self.stage.log.moderate(self.broadcast, event(self.broadcast));
        self.stage.settle().await;
    }

    async fn mutes(&self, viewer: &str, seconds: Option<i64>) {
        let (viewer_ref, personal) = self.stage.log.named(viewer, "spam");
        let at = WallClock.now();
        let until = seconds.map(|seconds| at + TimeDelta::seconds(seconds));
        self.happens(|broadcast_id| BroadcastEvent::ViewerMuted {
            broadcast_id,
            at,
            viewer_ref,
            until,
            personal,
        })
        .await;
    }

    async fn bans(&self, viewer: &str, shadow: bool) {
        let (viewer_ref, personal) = self.stage.log.named(viewer, "enough");
        let at = WallClock.now();
        self.happens(|broadcast_id| BroadcastEvent::ViewerBanned {
            broadcast_id,
            at,
            viewer_ref,
            until: None,
            shadow,
            personal,
        })
        .await;
    }

    async fn pardons(&self, viewer: &str, silent: bool) {
        let (viewer_ref, personal) = self.stage.log.named(viewer, "sorry");
        let at = WallClock.now();
        self.happens(|broadcast_id| BroadcastEvent::ViewerPardoned {
            broadcast_id,
            at,
            viewer_ref,
            silent,
            personal,
        })
        .await;
    }

    fn say(&self, text: &str) -> Value {
        json!({"broadcast": self.broadcast, "message": text})
    }

    /// Says something until the answer is of the kind: the node hears of a change a moment later.
    async fn until(&self, client: &mut Client, text: &str, why: Option<&str>) -> Value {
        soon(async {
            loop {
                let result = client.call("chat.send", self.say(text)).await;
                if result["refused"]["code"].as_str() == why {
                    return result;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    }
}

#[tokio::test]
async fn a_frozen_chat_is_for_those_who_keep_it() {
    let show = Show::start().await;
    let mut ana = Client::watching(&show.stage.url(), "ana", show.broadcast).await;
    let mut bo = Client::watching(&show.other, "bo", show.broadcast).await;
    let at = WallClock.now();
    show.happens(|broadcast_id| BroadcastEvent::ChatFrozen { broadcast_id, at }).await;
    for client in [&mut ana, &mut bo] {
        let mode = client.message("chat:", |data| data["type"] == "mode").await;
        assert_eq!(mode, json!({"type": "mode", "frozen": true, "slow_seconds": 0}));
        show.until(client, "hi", Some("frozen")).await;
    }
    let mut host = Client::watching(&show.other, "host-1", show.broadcast).await;
    assert!(host.call("chat.send", show.say("a moment, please")).await["id"].is_string());
    // another node that was not there when it happened
    let mut stage = show.stage;
    let late = stage.second_node().await;
    let show = Show { stage, ..show };
    let mut cy = Client::at(&late).await;
    let data = json!({"broadcast": show.broadcast});
    let connect = cy.connect(&token("acme", "cy", 600), data).await;
    let chat = &connect["connect"]["subs"][format!("chat:{}", show.broadcast)]["data"];
    assert_eq!(chat["mode"]["frozen"], true);
    let result = cy.call("chat.send", show.say("hi")).await;
    assert_eq!(result["refused"]["code"], "frozen");
    show.happens(|broadcast_id| BroadcastEvent::ChatThawed { broadcast_id, at }).await;
    show.until(&mut cy, "hi", None).await;
}

#[tokio::test]
async fn slow_mode_counts_over_the_nodes() {
    let show = Show::start().await;
    let at = WallClock.now();
    let slow = |broadcast_id| BroadcastEvent::ChatSlowed { broadcast_id, at, seconds: 30 };
    show.happens(slow).await;
    let mut here = Client::watching(&show.stage.url(), "ana", show.broadcast).await;
    let mut there = Client::watching(&show.other, "ana", show.broadcast).await;
    let sent = here.call("chat.send", show.say("one")).await;
    assert!(sent["id"].is_string(), "{sent}");
    there.message("chat:", |data| data["id"] == sent["id"]).await;
    for client in [&mut here, &mut there] {
        let result = client.call("chat.send", show.say("two")).await;
        assert_eq!(result["refused"]["code"], "slow_mode");
        let wait = result["refused"]["retry_after_ms"].as_u64().unwrap();
        assert!((20_000..=30_000).contains(&wait), "{wait}");
    }
    let mut keeper = Client::watching(&show.other, "moderator-1", show.broadcast).await;
    for text in ["one", "two"] {
        assert!(keeper.call("chat.send", show.say(text)).await["id"].is_string());
    }
}

#[tokio::test]
async fn a_muted_viewer_is_told_and_says_nothing() {
    let show = Show::start().await;
    let mut ana = Client::watching(&show.other, "ana", show.broadcast).await;
    show.mutes("ana", Some(60)).await;
    let told = ana.message("user#ana", |data| data["type"] == "moderation").await;
    assert_eq!((&told["action"], &told["reason"]), (&json!("muted"), &json!("spam")));
    assert!(told["until"].is_string());
    let result = show.until(&mut ana, "hi", Some("muted")).await;
    let wait = result["refused"]["retry_after_ms"].as_u64().unwrap();
    assert!((50_000..=60_000).contains(&wait), "{wait}");
    let mut bo = Client::watching(&show.other, "bo", show.broadcast).await;
    assert!(bo.call("chat.send", show.say("hi")).await["id"].is_string());
    show.pardons("ana", false).await;
    let told = ana.message("user#ana", |data| data["type"] == "moderation").await;
    assert_eq!(told["action"], "pardoned");
    show.until(&mut ana, "thanks", None).await;
}

#[tokio::test]
async fn a_banned_viewer_is_disconnected_at_every_node_and_stays_out() {
    let show = Show::start().await;
    let mut here = Client::watching(&show.stage.url(), "ana", show.broadcast).await;
    let mut there = Client::watching(&show.other, "ana", show.broadcast).await;
    let mut bo = Client::watching(&show.other, "bo", show.broadcast).await;
    show.bans("ana", false).await;
    for client in [&mut here, &mut there] {
        let told = client.message("user#ana", |data| data["type"] == "moderation").await;
        assert_eq!((&told["action"], &told["reason"]), (&json!("banned"), &json!("enough")));
        assert_eq!(client.closed().await, 3503);
    }
    assert!(bo.call("chat.send", show.say("hi")).await["id"].is_string());
    let mut stage = show.stage;
    let late = stage.second_node().await;
    let show = Show { stage, ..show };
    for url in [&show.stage.url(), &show.other, &late] {
        let mut again = Client::at(url).await;
        let data = json!({"broadcast": show.broadcast});
        assert_eq!(*code(&again.connect(&token("acme", "ana", 600), data).await), 103);
    }
    show.pardons("ana", false).await;
    soon(async {
        loop {
            let mut again = Client::at(&late).await;
            let data = json!({"broadcast": show.broadcast});
            let reply = again.connect(&token("acme", "ana", 600), data).await;
            if reply["connect"].is_object() {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_shadow_banned_viewer_notices_nothing() {
    let show = Show::start().await;
    let mut ana = Client::watching(&show.stage.url(), "ana", show.broadcast).await;
    let mut bo = Client::watching(&show.other, "bo", show.broadcast).await;
    show.bans("ana", true).await;
    let keep = json!("bo says");
    // until the node has heard of it, others read her
    let hidden = soon(async {
        loop {
            let text = Uuid::new_v4().to_string();
            let sent = show.until(&mut ana, &text, None).await;
            let own = ana.message("chat:", |data| data["message"] == text.as_str()).await;
            assert_eq!(own["id"], sent["id"], "her own is echoed");
            show.until(&mut bo, "bo says", None).await;
            let seen = bo
                .message("chat:", |data| {
                    data["message"] == keep || data["message"] == text.as_str()
                })
                .await;
            if seen["message"] == keep {
                return text;
            }
            bo.message("chat:", |data| data["message"] == keep).await;
        }
    })
    .await;
    let data = json!({"broadcast": show.broadcast});
    for (url, subject) in [(show.stage.url(), "cy"), (show.other.clone(), "bo")] {
        let mut late = Client::at(&url).await;
        let reply = late.connect(&token("acme", subject, 600), data.clone()).await;
        assert!(!reply.to_string().contains(&hidden), "{reply}");
    }
    let kept = soon(async {
        loop {
            let page = show.stage.kept.chat_log.page(show.broadcast, None, 100).await.unwrap();
            if let Some(kept) = page.items.into_iter().find(|said| said.message == hidden) {
                return kept;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(kept.hidden, "whoever looks into it sees that it was hidden");
    show.pardons("ana", true).await;
    let heard = Uuid::new_v4().to_string();
    soon(async {
        loop {
            show.until(&mut ana, &heard, None).await;
            show.until(&mut bo, "bo says", None).await;
            let seen = bo
                .message("chat:", |data| {
                    data["message"] == keep || data["message"] == heard.as_str()
                })
                .await;
            if seen["message"] == heard.as_str() {
                return;
            }
        }
    })
    .await;
    let mut own = Client::watching(&show.stage.url(), "ana", show.broadcast).await;
    let history = json!({"id": 3, "history": {"channel": "user#ana", "limit": -1}});
    assert_eq!(
        own.ask(history).await["history"]["publications"],
        json!([]),
        "she was told nothing"
    );
}

#[tokio::test]
async fn banned_words_removed_messages_and_what_is_pinned() {
    let show = Show::start().await;
    let at = WallClock.now();
    let words = vec!["rude".to_owned()];
    show.happens(|broadcast_id| BroadcastEvent::WordsBanned { broadcast_id, at, words }).await;
    let mut ana = Client::watching(&show.other, "ana", show.broadcast).await;
    show.until(&mut ana, "how ＲＵＤＥ!", Some("banned_word")).await;
    let sent = ana.call("chat.send", show.say("fine")).await;
    ana.message("chat:", |data| data["id"] == sent["id"]).await;
    let message_id: Uuid = sent["id"].as_str().unwrap().parse().unwrap();
    let personal = Personal::text(Some("fine".to_owned()));
    let pin_id = Uuid::new_v4();
    show.happens(|broadcast_id| BroadcastEvent::ChatPinned {
        broadcast_id,
        at,
        pin_id,
        message_id: Some(message_id),
        personal,
    })
    .await;
    let pinned = ana.message("chat:", |data| data["type"] == "pinned").await;
    assert_eq!((&pinned["message_id"], &pinned["message"]), (&json!(message_id), &json!("fine")));
    let joined = async |subject: &str| {
        let mut client = Client::at(&show.other).await;
        let data = json!({"broadcast": show.broadcast});
        let reply = client.connect(&token("acme", subject, 600), data).await;
        reply["connect"]["subs"][format!("chat:{}", show.broadcast)]["data"].clone()
    };
    soon(async { while joined("bo").await["pinned"]["id"] != json!(pin_id) {} }).await;
    assert_eq!(joined("bo").await["messages"].as_array().unwrap().len(), 1);
    show.happens(|broadcast_id| BroadcastEvent::ChatMessageRemoved {
        broadcast_id,
        at,
        message_id,
    })
    .await;
    let removed = ana.message("chat:", |data| data["type"] == "removed").await;
    assert_eq!(removed["id"], json!(message_id));
    assert_eq!(joined("bo").await["messages"], json!([]));
    soon(async { while joined("bo").await["pinned"].is_object() {} }).await;
    let personal = Personal::text(Some("five minutes".to_owned()));
    show.happens(|broadcast_id| BroadcastEvent::ChatAnnounced {
        broadcast_id,
        at,
        announcement_id: pin_id,
        personal,
    })
    .await;
    let said = ana.message("chat:", |data| data["type"] == "announcement").await;
    assert_eq!((&said["id"], &said["message"]), (&json!(pin_id), &json!("five minutes")));
}
