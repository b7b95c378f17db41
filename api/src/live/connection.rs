//! One connection, whatever carries it: its loops, all in one task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use domain::Timestamp;
use tokio::sync::{Notify, mpsc, watch};

use super::LiveState;
use super::codec::Codec;
use super::codes::{Close, UNSUBSCRIBED_INSUFFICIENT};
use super::metrics;
use super::outbox::Outbox;
use super::personal::Stream;
use super::protocol::unsubscribed;
use super::schema::Reply;
use super::session::{Personal, Session};

/// How long saying goodbye may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// Orders to the task of the personal stream that may wait.
const PERSONAL_ORDERS: usize = 4;

/// What comes from the other side.
pub trait Reader: Send {
    /// The next message, or why the connection is to be closed; `None` where the other side is
    /// gone.
    fn read(&mut self) -> impl Future<Output = Option<Result<Bytes, Close>>> + Send;
}

/// What goes to the other side.
pub trait Writer: Send {
    /// Writes a message; `false` where the other side is gone.
    fn write(&mut self, message: Bytes) -> impl Future<Output = bool> + Send;
    /// Says goodbye.
    fn close(&mut self, close: Close) -> impl Future<Output = ()> + Send;
}

/// What the loops of a connection share.
struct Pulse {
    connected: Notify,
    owes_pong: AtomicBool,
}

/// Runs a connection to its end. `emulated` names it where commands come by another way.
pub async fn run(
    live: Arc<LiveState>,
    codec: Codec,
    emulated: Option<String>,
    reader: impl Reader,
    mut writer: impl Writer,
) {
    metrics::connected();
    let outbox = Arc::new(Outbox::new(codec));
    let (personal, orders) = mpsc::channel(PERSONAL_ORDERS);
    let (expiry, expires_at) = watch::channel(None);
    let pulse = Pulse { connected: Notify::new(), owes_pong: AtomicBool::new(false) };
    let session = Session::new(live.clone(), outbox.clone(), personal, expiry, emulated);
    let close = tokio::select! {
        () = read(reader, session, &outbox, &pulse) => None,
        close = write(&live, &mut writer, &outbox) => close,
        () = follow(orders, &outbox) => None,
        () = beat(&live, &outbox, &pulse) => None,
        () = expire(&live, expires_at, &outbox) => None,
        () = leave(&live, &outbox) => None,
    };
    if let Some(close) = close {
        metrics::closed(close);
        let _ = tokio::time::timeout(CLOSE_WITHIN, writer.close(close)).await;
    }
    metrics::disconnected();
}

/// Reads until the other side is gone. A reason to close goes through the outbox, so that the
/// replies before it are written.
async fn read(mut reader: impl Reader, mut session: Session, outbox: &Outbox, pulse: &Pulse) {
    while let Some(message) = reader.read().await {
        let handled = match message {
            Ok(message) => session.message(&message).await,
            Err(close) => Err(close),
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

/// Writes what waits, until there is a reason to close; `None` where the other side is gone.
async fn write(live: &LiveState, writer: &mut impl Writer, outbox: &Outbox) -> Option<Close> {
    loop {
        let frame = match outbox.next().await {
            Ok(frame) => frame,
            Err(close) => return Some(close),
        };
        metrics::frame();
        tokio::select! {
            written = writer.write(frame) => {
                if !written {
                    return None;
                }
            }
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
                outbox.end_personal(&unsubscribed(stream.name(), UNSUBSCRIBED_INSUFFICIENT));
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
        outbox.reply(&Reply::default());
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
