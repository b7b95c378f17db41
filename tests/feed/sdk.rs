//! The official SDKs against a node: what they print is what a viewer would see.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;

use api::live::LiveLimits;
use domain::broadcast::BroadcastEvent;
use domain::ids::{BroadcastId, SpotlightId};
use domain::ports::Clock;
use projections::viewer_feed::merge_patch;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::harness::soon;
use super::stage::{Stage, WallClock, token};

#[derive(Clone, Copy)]
enum Sdk {
    JavaScript,
    Protobuf,
    Sse,
    HttpStream,
    Python,
}

struct Viewer {
    _process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    input: ChildStdin,
    /// Events that came while a call was waited for.
    kept: VecDeque<Value>,
    /// The room as the viewer holds it: a snapshot, and patches merged into it.
    room: Value,
}

impl Viewer {
    fn start(sdk: Sdk, url: &str, token: &str, broadcast: BroadcastId) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
        let (program, script) = match sdk {
            Sdk::Python => (folder.join(".venv/bin/python"), "viewer.py"),
            _ => ("node".into(), "viewer.mjs"),
        };
        let kind = match sdk {
            Sdk::JavaScript | Sdk::Python => None,
            Sdk::Protobuf => Some("protobuf"),
            Sdk::Sse => Some("sse"),
            Sdk::HttpStream => Some("http_stream"),
        };
        let mut process = Command::new(program)
            .arg(folder.join(script))
            .args([url, token, &broadcast.to_string()])
            .args(kind)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the SDKs are installed: run `scripts/test`");
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let input = process.stdin.take().unwrap();
        Self { _process: process, lines, input, kept: VecDeque::new(), room: Value::Null }
    }

    /// The next event of this name; others are passed over.
    async fn next(&mut self, event: &str) -> Value {
        self.next_of(event, |_| true).await
    }

    async fn next_of(&mut self, event: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let seen = self.read().await;
            if seen["event"] == event && fits(&seen) {
                return seen;
            }
        }
    }

    async fn read(&mut self) -> Value {
        match self.kept.pop_front() {
            Some(seen) => seen,
            None => self.read_line().await,
        }
    }

    async fn read_line(&mut self) -> Value {
        let line = soon(self.lines.next_line()).await.unwrap().expect("the viewer runs");
        let seen: Value = serde_json::from_str(&line).unwrap();
        self.watch(&seen);
        seen
    }

    fn watch(&mut self, seen: &Value) {
        if seen["channel"].as_str().is_some_and(|channel| channel.starts_with("live:")) {
            match seen["event"].as_str() {
                Some("subscribed") => self.room = seen["data"].clone(),
                Some("publication") => merge_patch(&mut self.room, &seen["data"]),
                _ => {}
            }
        }
    }

    fn stock(&self, spotlight: SpotlightId) -> Value {
        self.room["spotlights"][spotlight.to_string()]["inventory"]["pink"].clone()
    }

    /// Waits until the room shows this stock: remaining, held and sold of ten.
    async fn shows(&mut self, spotlight: SpotlightId, [remaining, held, sold]: [i64; 3]) {
        let stock =
            json!({"limited_quantity": 10, "remaining": remaining, "held": held, "sold": sold});
        while self.stock(spotlight) != stock {
            self.read().await;
        }
    }

    async fn on(&mut self, event: &str, channel: &str) -> Value {
        self.next_of(event, |seen| seen["channel"] == channel).await
    }

    async fn give(&mut self, token: &str) {
        self.input.write_all(format!("{token}\n").as_bytes()).await.unwrap();
    }

    /// Calls, and waits for the outcome.
    async fn call(&mut self, method: &str, data: Value) -> Value {
        self.give(&json!({"method": method, "data": data}).to_string()).await;
        loop {
            let seen = self.read_line().await;
            if seen["event"] == "result" {
                return seen;
            }
            // a push may overtake the outcome inside the client
            self.kept.push_back(seen);
        }
    }

    async fn steps(&mut self, count: usize) -> Vec<(u64, u64, String)> {
        let mut steps = vec![];
        while steps.len() < count {
            let seen = self.on("publication", "user#ana").await;
            let order = &seen["data"]["order"];
            steps.push((
                seen["offset"].as_u64().unwrap(),
                order["version"].as_u64().unwrap(),
                order["status"].as_str().unwrap().to_owned(),
            ));
        }
        steps
    }
}

async fn from_connect_to_recovery(sdk: Sdk) {
    let mut stage = Stage::start(LiveLimits::default()).await;
    let proxy = stage.proxy().await;
    let broadcast = stage.log.broadcast();
    let spotlight = stage.log.spotlight(broadcast, 10);
    stage.settle().await;
    let token = token("acme", "ana", 600);
    let mut viewer = Viewer::start(sdk, &proxy.url(), &token, broadcast);
    let live = format!("live:{broadcast}");

    viewer.on("subscribed", &live).await;
    assert_eq!(viewer.room["broadcast"]["status"], "live");
    viewer.shows(spotlight, [10, 0, 0]).await;
    let own = viewer.on("subscribed", "user#ana").await;
    assert_eq!(own["data"], json!({"orders": []}));

    let order = stage.log.order(broadcast, spotlight, "ana", 2);
    stage.settle().await;
    let step = |offset, version, status: &str| (offset, version, status.to_owned());
    let held = [step(1, 1, "pending"), step(2, 2, "reserved"), step(3, 3, "reserved")];
    assert_eq!(viewer.steps(3).await, held);
    let other = stage.log.order(broadcast, spotlight, "bo", 1);
    stage.settle().await;
    viewer.shows(spotlight, [7, 3, 0]).await;

    // The network is gone while the order is confirmed; nothing of it is missed.
    proxy.cut();
    stage.log.confirm(spotlight, order, "ana", 2);
    stage.settle().await;
    viewer.next("connecting").await;
    let own = viewer.on("subscribed", "user#ana").await;
    assert_eq!(own["recovered"], true);
    let sold = [step(4, 4, "confirmed"), step(5, 5, "confirmed")];
    assert_eq!(viewer.steps(2).await, sold, "no gap and nothing twice");
    viewer.shows(spotlight, [7, 1, 2]).await;

    // The history is gone: the viewer is told, and gets its open orders instead.
    let open = stage.log.order(broadcast, spotlight, "ana", 1);
    stage.settle().await;
    viewer.steps(3).await;
    stage.bus.lose();
    let own = viewer.on("subscribed", "user#ana").await;
    assert_eq!((&own["recovered"], &own["wasRecovering"]), (&json!(false), &json!(true)));
    let orders = own["data"]["orders"].as_array().unwrap();
    assert_eq!(orders.len(), 1, "{orders:?}");
    assert_eq!((&orders[0]["id"], &orders[0]["status"]), (&json!(open), &json!("reserved")));
    stage.log.confirm(spotlight, other, "bo", 1);
    stage.log.confirm(spotlight, open, "ana", 1);
    stage.settle().await;
    assert_eq!(viewer.steps(1).await, [step(1, 4, "confirmed")]);
    viewer.shows(spotlight, [6, 0, 4]).await;

    // The node goes away: the viewer keeps trying.
    stage.live.drain().await;
    let left = viewer.next("connecting").await;
    assert_eq!(left["code"], 3001);
}

async fn an_expired_token_is_fetched_anew(sdk: Sdk) {
    let stage = Stage::start(LiveLimits::default()).await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    let mut viewer = Viewer::start(sdk, &stage.url(), &token("acme", "ana", -60), broadcast);
    viewer.next("token_asked").await;
    viewer.give(&token("acme", "ana", 2)).await;
    viewer.next("connected").await;
    // Before this one runs out, it is refreshed on the same connection.
    viewer.next("token_asked").await;
    viewer.give(&token("acme", "ana", 600)).await;
    stage.log.spotlight(broadcast, 5);
    stage.settle().await;
    viewer.on("publication", &format!("live:{broadcast}")).await;
}

async fn refusals_end_the_connection(sdk: Sdk) {
    let stage = Stage::start(LiveLimits::default()).await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    for (token, code) in [("forged".to_owned(), 3500), (token("other", "ana", 600), 103)] {
        let mut viewer = Viewer::start(sdk, &stage.url(), &token, broadcast);
        assert_eq!(viewer.next("disconnected").await["code"], code);
    }
}

async fn calls_are_answered(sdk: Sdk) {
    let mut stage = Stage::start(LiveLimits::default()).await;
    let proxy = stage.proxy().await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    let token = token("acme", "ana", 600);
    let mut viewer = Viewer::start(sdk, &proxy.url(), &token, broadcast);
    let chat = format!("chat:{broadcast}");
    assert_eq!(viewer.on("subscribed", &chat).await["data"]["messages"], json!([]));
    let say = |text: &str| json!({"broadcast": broadcast, "message": text});
    let sent = viewer.call("chat.send", say("안녕하세요")).await;
    let heard = viewer.on("publication", &chat).await;
    assert_eq!(heard["data"]["id"], sent["data"]["id"]);
    assert_eq!((&heard["data"]["message"], &heard["offset"]), (&json!("안녕하세요"), &json!(1)));
    let refused = viewer.call("chat.send", say(" ")).await;
    assert_eq!(refused["data"]["refused"]["code"], "empty");
    let liked = viewer.call("like", json!({"broadcast": broadcast, "count": 2})).await;
    assert_eq!(liked["data"], json!({"like_count": 2}));
    assert_eq!(viewer.call("dance", json!({})).await["code"], 104);
    while viewer.room["like_count"] != 2 {
        viewer.read().await;
    }

    // What is said while the network is gone is heard afterwards.
    let mut other = Viewer::start(sdk, &stage.url(), &self::token("acme", "bo", 600), broadcast);
    other.on("subscribed", &chat).await;
    proxy.cut();
    viewer.next("connecting").await;
    other.call("chat.send", say("missed")).await;
    let mut heard = viewer.on("publication", &chat).await;
    while heard["data"]["message"] != "missed" {
        heard = viewer.on("publication", &chat).await;
    }
    assert_eq!(heard["offset"], 2);
}

/// Pushes from one node, commands to another: neither knows that they belong together.
async fn commands_reach_a_connection_at_another_node(sdk: Sdk) {
    let mut stage = Stage::start(LiveLimits::default()).await;
    let other = stage.second_node().await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    let url = format!("{}|{other}", stage.url());
    let mut viewer = Viewer::start(sdk, &url, &token("acme", "ana", 600), broadcast);
    let chat = format!("chat:{broadcast}");
    viewer.on("subscribed", &chat).await;
    let sent =
        viewer.call("chat.send", json!({"broadcast": broadcast, "message": "far away"})).await;
    let heard = viewer.on("publication", &chat).await;
    assert_eq!(heard["data"]["id"], sent["data"]["id"]);
    let (viewer_ref, personal) = stage.log.named("ana", "enough");
    stage.log.moderate(
        broadcast,
        BroadcastEvent::ViewerBanned {
            broadcast_id: broadcast,
            at: WallClock.now(),
            viewer_ref,
            until: None,
            shadow: false,
            personal,
        },
    );
    stage.settle().await;
    assert_eq!(viewer.next("disconnected").await["code"], 3503, "there is no close frame");
}

macro_rules! on_sdk {
    ($module:ident, $sdk:ident: $($test:ident),+ $(,)?) => {
        mod $module {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Sdk::$sdk).await;
            })+
        }
    };
}

macro_rules! all_on_sdk {
    ($module:ident, $sdk:ident $(, $more:ident)*) => {
        on_sdk!($module, $sdk:
            from_connect_to_recovery,
            an_expired_token_is_fetched_anew,
            refusals_end_the_connection,
            $($more),*
        );
    };
}

all_on_sdk!(javascript, JavaScript, calls_are_answered);
all_on_sdk!(protobuf, Protobuf, calls_are_answered);
all_on_sdk!(sse, Sse, calls_are_answered, commands_reach_a_connection_at_another_node);
all_on_sdk!(
    http_stream,
    HttpStream,
    calls_are_answered,
    commands_reach_a_connection_at_another_node
);
all_on_sdk!(python, Python);
