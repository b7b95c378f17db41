//! The `AsyncAPI` document: read by the official parser, and true of what is really sent.

use std::path::Path;
use std::process::Stdio;

use api::asyncapi::document;
use api::live::LiveLimits;
use chrono::TimeDelta;
use domain::broadcast::BroadcastEvent;
use domain::ids::BroadcastId;
use domain::personal::Personal;
use domain::ports::{Clock, FeedBus};
use projections::viewer_feed::shape::chat_channel;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use uuid::Uuid;

use super::client::Client;
use super::harness::soon;
use super::stage::{Stage, WallClock, token};

/// Errors and warnings; what comes after are hints.
const WARNING: u64 = 1;

/// What was sent, each with the name of its message in the document.
#[derive(Default)]
struct Samples(Vec<(String, Value)>);

impl Samples {
    fn add(&mut self, message: impl Into<String>, payload: &Value) {
        self.0.push((message.into(), payload.clone()));
    }

    /// The result of a command; the messages that came meanwhile stay for later.
    async fn ask(&mut self, client: &mut Client, command: Value) -> Value {
        self.add("Command", &command);
        let reply = client.ask(command).await;
        self.add("Reply", &reply);
        reply
    }

    async fn call(
        &mut self,
        client: &mut Client,
        (argument, result): (&str, &str),
        method: &str,
        data: Value,
    ) -> Value {
        self.add(argument, &data);
        let command = json!({"id": 9, "rpc": {"method": method, "data": data}});
        let reply = self.ask(client, command).await;
        let data = reply["rpc"]["data"].clone();
        self.add(result, &data);
        data
    }

    /// Every frame until a message of this kind has come.
    async fn until(&mut self, client: &mut Client, channel: &str, kind: &str) {
        loop {
            let frame = client.frame().await;
            self.add("Reply", &frame);
            let name = frame["push"]["channel"].as_str().unwrap_or_default();
            let data = &frame["push"]["pub"]["data"];
            if data.is_null() {
                continue;
            }
            let is_it = name.starts_with(channel) && (kind.is_empty() || data["type"] == kind);
            let place = name.split([':', '#']).next().unwrap_or_default();
            let said = data["type"].as_str().unwrap_or_default();
            let message = match place {
                "live" => "LivePatch".to_owned(),
                place => format!("{place}.{said}"),
            };
            self.add(message, data);
            if is_it {
                return;
            }
        }
    }

    fn has(&self, message: &str) -> bool {
        self.0.iter().any(|(name, _)| name == message)
    }
}

/// Everything that the document names, said once.
async fn everything() -> Samples {
    let stage = Stage::start(LiveLimits::default()).await;
    let broadcast = stage.log.broadcast();
    let spotlight = stage.log.spotlight(broadcast, 10);
    let order = stage.log.order(broadcast, spotlight, "ana", 2);
    stage.settle().await;
    let (mut all, mut ana) = (Samples::default(), Client::open(&stage).await);
    let token = token("acme", "ana", 600);
    let connect = json!({"id": 1, "connect": {"token": token, "data": {"broadcast": broadcast}}});
    let begun = all.ask(&mut ana, connect).await["connect"]["subs"].clone();
    all.add("LiveState", &begun[format!("live:{broadcast}")]["data"]);
    all.add("ChatWelcome", &begun[format!("chat:{broadcast}")]["data"]);
    all.add("UserWelcome", &begun["user#ana"]["data"]);
    assert_eq!(begun["user#ana"]["data"]["orders"][0]["id"], json!(order));
    calls(&mut all, &mut ana, broadcast, &json!(order)).await;
    stage.log.confirm(spotlight, order, "ana", 2);
    stage.settle().await;
    all.until(&mut ana, "user#", "order").await;
    stage.log.waits(spotlight, "ana", 9);
    stage.settle().await;
    all.until(&mut ana, "user#", "waitlist").await;
    moderated(&mut all, &mut ana, &stage, broadcast).await;
    let live = format!("live:{broadcast}");
    for command in [
        json!({"id": 3, "history": {"channel": "user#ana", "limit": -1}}),
        json!({"id": 4, "presence_stats": {"channel": live}}),
        json!({"id": 5, "refresh": {"token": token}}),
        json!({"id": 6, "sub_refresh": {"channel": live}}),
        json!({"id": 7, "unsubscribe": {"channel": live}}),
        json!({"id": 8, "subscribe": {"channel": live}}),
        json!({"id": 10, "ping": {}}),
        json!({"id": 11, "publish": {"channel": live}}),
    ] {
        all.ask(&mut ana, command).await;
    }
    all
}

async fn calls(all: &mut Samples, ana: &mut Client, broadcast: BroadcastId, order: &Value) {
    let say = |text: &str| json!({"broadcast": broadcast, "message": text});
    all.call(ana, ("ChatSend", "ChatSent"), "chat.send", say("hi")).await;
    all.until(ana, "chat:", "chat").await;
    all.call(ana, ("ChatSend", "CallRefused"), "chat.send", say("")).await;
    let like = json!({"broadcast": broadcast, "count": 3});
    all.call(ana, ("LikeSend", "Liked"), "like", like.clone()).await;
    all.until(ana, "live:", "").await;
    all.call(ana, ("LikeSend", "Liked"), "like", like.clone()).await;
    loop {
        let refused = ana.call("like", like.clone()).await;
        if refused["refused"].is_object() {
            assert!(refused["refused"]["retry_after_ms"].is_u64(), "{refused}");
            all.add("CallRefused", &refused);
            break;
        }
    }
    all.call(ana, ("OrderGet", "Order"), "order.get", json!({"id": order})).await;
}

/// Everything that a moderator does; a crowd says too much.
async fn moderated(all: &mut Samples, ana: &mut Client, stage: &Stage, id: BroadcastId) {
    let (at, text) = (WallClock.now(), |text: &str| Personal::text(Some(text.to_owned())));
    let named =
        |text: &str| Personal { name: Some("Bo".to_owned()), ..stage.log.named("bo", text).1 };
    let happens = async |event| {
        stage.log.moderate(id, event);
        stage.settle().await;
    };
    let (announcement_id, pin_id) = (Uuid::new_v4(), Uuid::new_v4());
    let personal = text("five minutes");
    happens(BroadcastEvent::ChatAnnounced { broadcast_id: id, at, announcement_id, personal })
        .await;
    all.until(ana, "chat:", "announcement").await;
    let message_id = Some(Uuid::new_v4());
    let personal = named("look");
    happens(BroadcastEvent::ChatPinned { broadcast_id: id, at, pin_id, message_id, personal })
        .await;
    all.until(ana, "chat:", "pinned").await;
    happens(BroadcastEvent::ChatSlowed { broadcast_id: id, at, seconds: 3 }).await;
    all.until(ana, "chat:", "mode").await;
    let message_id = Uuid::new_v4();
    happens(BroadcastEvent::ChatMessageRemoved { broadcast_id: id, at, message_id }).await;
    all.until(ana, "chat:", "removed").await;
    let (viewer_ref, personal) = stage.log.named("ana", "spam");
    let until = Some(at + TimeDelta::seconds(60));
    happens(BroadcastEvent::ViewerMuted { broadcast_id: id, at, viewer_ref, until, personal })
        .await;
    all.until(ana, "user#", "moderation").await;
    let chat = chat_channel(id);
    for _ in 0..100 {
        let said = json!({
            "type": "chat", "id": Uuid::new_v4(), "message": "hi", "sent_at": at,
            "viewer": {"id": "cy", "name": "cy", "role": "viewer"},
        });
        stage.bus.append(&chat, &said).await.unwrap();
    }
    all.until(ana, "chat:", "skipped").await;
}

/// What the official parser and a validator of JSON Schema say.
async fn checked(document: &Value, samples: &Samples) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
    let mut process = Command::new("node")
        .arg(folder.join("asyncapi.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node is installed: run `scripts/test`");
    let input = json!({"document": document, "samples": samples.0}).to_string();
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let output = soon(process.wait_with_output()).await.unwrap();
    serde_json::from_slice(&output.stdout).expect("the parser runs: run `scripts/test`")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_valid_and_true() {
    let document = document();
    let samples = everything().await;
    for message in document["components"]["messages"].as_object().unwrap().keys() {
        assert!(samples.has(message) || message == "EmulatedCommands", "{message} was never sent");
    }
    let said = checked(&document, &samples).await;
    let complaints = said["complaints"].as_array().unwrap().iter();
    let grave: Vec<_> =
        complaints.filter(|found| found["severity"].as_u64() <= Some(WARNING)).collect();
    assert!(grave.is_empty(), "{grave:#?}");
    assert_eq!(said["misfits"], json!([]), "what is sent is not what is promised");
    let channels = said["channels"].as_array().unwrap();
    for channel in ["live:{broadcast}", "chat:{broadcast}", "user#{viewer}", api::live::PATH] {
        assert!(channels.contains(&json!(channel)), "{channel} is not among {channels:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_found() {
    let mut broken = document();
    broken["channels"]["live"]["messages"] = json!({"state": {"$ref": "#/components/messages/x"}});
    let said = checked(&broken, &Samples::default()).await;
    let errors = said["complaints"].as_array().unwrap();
    assert!(errors.iter().any(|found| found["severity"] == 0), "{said}");
    let mut samples = Samples::default();
    samples.add("Liked", &json!({"like_count": "many"}));
    samples.add("chat.chat", &json!({"type": "chat", "id": Uuid::nil()}));
    samples.add("Nothing like it", &json!({}));
    let said = checked(&document(), &samples).await;
    assert_eq!(said["misfits"].as_array().unwrap().len(), 3, "{said}");
}
