//! A viewer on a socket of its own: connects, watches its orders, comes back after a cut and
//! recovers, as the official clients do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

/// A pause before connecting again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(150);

/// What one viewer saw.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Steps of each order, in the order of arrival.
    pub orders: BTreeMap<String, Vec<Value>>,
    /// Messages on `live:`.
    pub live: u64,
    /// How often a recovery was refused, so that orders had to be read.
    pub not_recovered: u64,
    /// How often it was connected.
    pub connects: u64,
    /// Breaks of the stream's contiguity; must stay empty.
    pub breaks: Vec<String>,
}

/// A running viewer; it ends when this is dropped.
pub struct Viewer {
    seen: Arc<Mutex<Seen>>,
    connected: watch::Receiver<bool>,
    cut: Arc<Notify>,
    task: JoinHandle<()>,
}

/// Where the viewer left its stream.
#[derive(Default)]
struct Place {
    epoch: String,
    offset: u64,
    known: bool,
}

impl Viewer {
    /// Connects and stays connected. `address` is asked before each try, so that a viewer moves to
    /// another node when its own is gone.
    pub fn start(
        subject: &str,
        token: String,
        broadcast: &str,
        address: impl Fn(u64) -> String + Send + 'static,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (flag, connected) = watch::channel(false);
        let (shared, cut) = (seen.clone(), Arc::new(Notify::new()));
        let cuts = cut.clone();
        let (name, broadcast) = (subject.to_owned(), broadcast.to_owned());
        let task = tokio::task::spawn(async move {
            let mut place = Place::default();
            for attempt in 0.. {
                let here = address(attempt);
                tokio::select! {
                    () = session(&here, &name, &token, &broadcast, &mut place, &shared, &flag) => {}
                    () = cuts.notified() => {}
                }
                flag.send_replace(false);
                tokio::time::sleep(RECONNECT_PAUSE).await;
            }
        });
        Self { seen, connected, cut, task }
    }

    /// Waits until the viewer is connected.
    pub async fn connected(&mut self) {
        let waited = self.connected.wait_for(|connected| *connected);
        tokio::time::timeout(Duration::from_mins(1), waited)
            .await
            .expect("connects in time")
            .expect("the viewer runs");
    }

    /// Cuts its connection, wherever it stands; it comes back.
    pub fn cut(&self) {
        self.cut.notify_one();
    }

    /// What it has seen so far; it goes on being filled.
    pub fn seen(&self) -> Arc<Mutex<Seen>> {
        self.seen.clone()
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn session(
    address: &str,
    subject: &str,
    token: &str,
    broadcast: &str,
    place: &mut Place,
    seen: &Mutex<Seen>,
    connected: &watch::Sender<bool>,
) {
    let Ok((mut socket, _)) = tokio_tungstenite::connect_async(address).await else { return };
    let channel = format!("user#{subject}");
    let mut connect = json!({"token": token, "data": {"broadcast": broadcast}});
    if place.known {
        connect["subs"] = json!({
            channel.as_str(): {"recover": true, "epoch": place.epoch, "offset": place.offset},
        });
    }
    let hello = json!({"id": 1, "connect": connect}).to_string();
    if socket.send(Message::text(hello)).await.is_err() {
        return;
    }
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        for line in text.lines() {
            let Ok(frame) = serde_json::from_str::<Value>(line) else { continue };
            if frame.as_object().is_some_and(serde_json::Map::is_empty) {
                if socket.send(Message::text("{}")).await.is_err() {
                    return;
                }
            } else if let Some(reply) = frame.get("connect") {
                take_reply(&reply["subs"][&channel], place, seen);
                seen.lock().connects += 1;
                connected.send_replace(true);
            } else if let Some(push) = frame.get("push") {
                take_push(push, &channel, place, seen);
            }
        }
    }
}

fn take_reply(sub: &Value, place: &mut Place, seen: &Mutex<Seen>) {
    let (epoch, offset) = (sub["epoch"].as_str().unwrap_or_default(), &sub["offset"]);
    let recovered = sub["recovered"].as_bool().unwrap_or(false);
    if place.known && !recovered {
        seen.lock().not_recovered += 1;
    }
    if place.known && recovered {
        for publication in sub["publications"].as_array().into_iter().flatten() {
            take_publication(publication, place, seen);
        }
        if Some(place.offset) != offset.as_u64() {
            let end = format!("recovered to {offset}, stands at {}", place.offset);
            seen.lock().breaks.push(end);
        }
    }
    *place =
        Place { epoch: epoch.to_owned(), offset: offset.as_u64().unwrap_or_default(), known: true };
}

fn take_push(push: &Value, channel: &str, place: &mut Place, seen: &Mutex<Seen>) {
    let name = push["channel"].as_str().unwrap_or_default();
    let Some(publication) = push.get("pub") else { return };
    if name == channel {
        take_publication(publication, place, seen);
    } else if name.starts_with("live:") {
        seen.lock().live += 1;
    }
}

fn take_publication(publication: &Value, place: &mut Place, seen: &Mutex<Seen>) {
    let offset = publication["offset"].as_u64().unwrap_or_default();
    if offset != place.offset + 1 {
        let jump = format!("offset {offset} after {}", place.offset);
        seen.lock().breaks.push(jump);
    }
    place.offset = offset;
    take_order(&publication["data"], &mut seen.lock());
}

/// Writes a step of an order down, if the message is one.
pub fn take_order(data: &Value, seen: &mut Seen) {
    if data["type"] == "order" {
        let order = data["order"].clone();
        let id = order["id"].as_str().unwrap_or_default().to_owned();
        seen.orders.entry(id).or_default().push(order);
    }
}

/// What is wrong with the steps that a viewer saw of an order that has ended; empty where each
/// came once and in order, each shows something new, and the last is the end.
pub fn faults_of(steps: &[Value], ended: &Value) -> Vec<String> {
    let mut faults = vec![];
    let versions: Vec<u64> =
        steps.iter().map(|step| step["version"].as_u64().unwrap_or_default()).collect();
    if versions.is_empty() {
        faults.push("no step was seen".to_owned());
    }
    if versions.windows(2).any(|pair| pair[0] >= pair[1]) {
        faults.push(format!("versions {versions:?}"));
    }
    for pair in steps.windows(2) {
        if shown_by(&pair[0]) == shown_by(&pair[1]) {
            faults.push(format!("{} and {} show the same", pair[0], pair[1]));
        }
    }
    // the read may be a little older than the last message, never newer
    if let Some(last) = steps.last()
        && (last["status"] != ended["status"]
            || last["version"].as_u64() < ended["version"].as_u64()
            || (last["version"] == ended["version"] && last["payment"] != ended["payment"]))
    {
        faults.push(format!("last seen {last}, ended {ended}"));
    }
    faults
}

/// A step without what every event moves.
fn shown_by(step: &Value) -> Value {
    let mut shown = step.clone();
    if let Some(members) = shown.as_object_mut() {
        members.retain(|name, _| name != "version" && name != "updated_at");
    }
    shown
}
