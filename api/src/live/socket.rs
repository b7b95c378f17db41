//! The WebSocket: the upgrade, and the loops of one connection, all in one task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::Timestamp;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::sync::{Notify, mpsc, watch};
use tokio_tungstenite::tungstenite;

use super::LiveState;
use super::codes::{Close, UNSUBSCRIBED_INSUFFICIENT};
use super::limits::{INBOUND_BYTES_MAX, READ_BUFFER_BYTES};
use super::metrics;
use super::outbox::Outbox;
use super::personal::Stream;
use super::protocol::{PING, unsubscribed};
use super::refused;
use super::session::{Personal, Session};

/// How long the other side may take to answer a close.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// Orders to the task of the personal stream that may wait.
const PERSONAL_ORDERS: usize = 4;

/// Answers the upgrade: refuses it before the 101 where this node goes away or is full, and where
/// the page is not one of ours.
pub async fn upgrade(
    State(live): State<Arc<LiveState>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return refused::not_an_upgrade(&rejection).into_response(),
    };
    if !live.origins.admits(&headers) {
        return refused::foreign_origin().into_response();
    }
    let Some(seat) = live.seat() else { return refused::no_seat(&live).into_response() };
    upgrade
        .max_message_size(INBOUND_BYTES_MAX)
        .max_frame_size(INBOUND_BYTES_MAX)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .on_upgrade(move |socket| async move {
            let tracked = live.connections.clone();
            tracked.track_future(Box::pin(run(live, socket))).await;
            drop(seat);
        })
}

/// What the loops of a connection share.
struct Pulse {
    connected: Notify,
    owes_pong: AtomicBool,
}

async fn run(live: Arc<LiveState>, socket: WebSocket) {
    metrics::connected();
    let outbox = Arc::new(Outbox::default());
    let (personal, orders) = mpsc::channel(PERSONAL_ORDERS);
    let (expiry, expires_at) = watch::channel(None);
    let pulse = Pulse { connected: Notify::new(), owes_pong: AtomicBool::new(false) };
    let session = Session::new(live.clone(), outbox.clone(), personal, expiry);
    let (mut sink, stream) = socket.split();
    let close = tokio::select! {
        () = read(stream, session, &outbox, &pulse) => None,
        close = write(&live, &mut sink, &outbox) => close,
        () = follow(orders, &outbox) => None,
        () = beat(&live, &outbox, &pulse) => None,
        () = expire(&live, expires_at, &outbox) => None,
        () = leave(&live, &outbox) => None,
    };
    if let Some(close) = close {
        metrics::closed(close);
        let (code, reason) = close.parts();
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        let goodbye = async {
            let _ = sink.send(Message::Close(Some(frame))).await;
            let _ = sink.close().await;
        };
        let _ = tokio::time::timeout(CLOSE_WITHIN, goodbye).await;
    }
    metrics::disconnected();
}

/// Reads until the other side is gone. A reason to close goes through the outbox, so that the
/// replies before it are written.
async fn read(
    mut stream: SplitStream<WebSocket>,
    mut session: Session,
    outbox: &Outbox,
    pulse: &Pulse,
) {
    while let Some(message) = stream.next().await {
        let handled = match message {
            Ok(Message::Text(text)) => session.message(text.as_str()).await,
            Ok(Message::Binary(_)) => Err(Close::BadRequest),
            Ok(Message::Ping(_) | Message::Pong(_)) => Ok(false),
            Err(error) if is_too_large(&error) => Err(Close::TooLarge),
            Ok(Message::Close(_)) | Err(_) => return,
        };
        if session.is_connected() {
            pulse.connected.notify_one();
        }
        match handled {
            Ok(true) => pulse.owes_pong.store(false, Ordering::Relaxed),
            Ok(false) => {}
            Err(close) => {
                outbox.close(close);
                return std::future::pending().await;
            }
        }
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(tungstenite::Error::Capacity(_)) = error.downcast_ref() {
            return true;
        }
        source = error.source();
    }
    false
}

/// Writes what waits, until there is a reason to close; `None` where the other side is gone.
async fn write(
    live: &LiveState,
    sink: &mut SplitSink<WebSocket, Message>,
    outbox: &Outbox,
) -> Option<Close> {
    loop {
        let frame = match outbox.next().await {
            Ok(frame) => frame,
            Err(close) => return Some(close),
        };
        metrics::frame();
        tokio::select! {
            sent = sink.send(Message::Text(frame)) => sent.ok()?,
            () = outbox.overflowed() => return Some(Close::Slow),
            () = tokio::time::sleep(live.limits.write_within) => return Some(Close::Slow),
        }
    }
}

/// Hands the viewer's own stream on while it is subscribed.
async fn follow(mut orders: mpsc::Receiver<Personal>, outbox: &Outbox) {
    let mut stream: Option<Box<Stream>> = None;
    loop {
        let ended = async {
            match &mut stream {
                Some(stream) => stream.forward(outbox).await,
                None => std::future::pending().await,
            }
        };
        let error = tokio::select! {
            order = orders.recv() => {
                match order {
                    Some(Personal::Follow(begun)) => stream = Some(begun),
                    Some(Personal::Leave) => stream = None,
                    // The reader keeps the other end, and ends the connection itself.
                    None => std::future::pending().await,
                }
                continue;
            }
            error = ended => error,
        };
        tracing::info!(%error, "a personal stream has a gap");
        if let Some(stream) = stream.take() {
            if stream.server_side {
                outbox.close(Close::InsufficientState);
            } else {
                outbox.end_personal(unsubscribed(stream.name(), UNSUBSCRIBED_INSUFFICIENT));
            }
        }
    }
}

/// Waits for the connect command, then pings. The first ping comes at a random time, so that the
/// pings of many who came at once are spread.
async fn beat(live: &LiveState, outbox: &Outbox, pulse: &Pulse) {
    let connected = pulse.connected.notified();
    if tokio::time::timeout(live.limits.connect_within, connected).await.is_err() {
        outbox.close(Close::Stale);
        return std::future::pending().await;
    }
    let mut pause = jittered(live.limits.ping_every);
    loop {
        tokio::time::sleep(pause).await;
        pulse.owes_pong.store(true, Ordering::Relaxed);
        outbox.reply(Utf8Bytes::from_static(PING));
        tokio::time::sleep(live.limits.pong_within).await;
        if pulse.owes_pong.load(Ordering::Relaxed) {
            outbox.close(Close::NoPong);
            return std::future::pending().await;
        }
        pause = live.limits.ping_every.saturating_sub(live.limits.pong_within);
    }
}

/// Between a half and the whole of a duration.
fn jittered(whole: Duration) -> Duration {
    whole.mul_f64(rand::random_range(0.5..=1.0))
}

/// Ends the connection when its token has run out and no new one came.
async fn expire(
    live: &LiveState,
    mut expires_at: watch::Receiver<Option<Timestamp>>,
    outbox: &Outbox,
) {
    loop {
        let until = *expires_at.borrow_and_update();
        let left = until.map(|until| {
            let left = until.signed_duration_since(live.clock.now());
            left.to_std().unwrap_or_default().saturating_add(live.limits.expiry_grace)
        });
        let ran_out = async {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = ran_out => {
                outbox.close(Close::Expired);
                return std::future::pending().await;
            }
            changed = expires_at.changed() => {
                if changed.is_err() {
                    return std::future::pending().await;
                }
            }
        }
    }
}

/// Leaves when the node does, at a time of its own, so that not all reconnect at once.
async fn leave(live: &LiveState, outbox: &Outbox) {
    live.draining.cancelled().await;
    tokio::time::sleep(live.drain_spread().mul_f64(rand::random())).await;
    outbox.close(Close::Shutdown);
    std::future::pending::<()>().await;
}
