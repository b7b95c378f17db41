//! One connection, whatever carries it: its parts, all in one task.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::LiveState;
use super::codes::{Close, UNSUBSCRIBED_INSUFFICIENT};
use super::metrics;
use super::outbox::Outbox;
use super::personal::Stream;
use super::protocol::unsubscribed;
use super::pulse::{Personal, Pulse};
use super::session::Session;
use super::times::keep_time;

/// What comes from the other side.
pub trait Reader: Send {
    /// The next message, or why the connection is to be closed; `None` where the other side is
    /// gone.
    fn read(&mut self) -> impl Future<Output = Option<Result<Bytes, Close>>> + Send;
}

/// What goes to the other side.
pub trait Writer: Send {
    /// Writes what waits, until there is a reason to close; `None` where the other side is gone.
    /// One write may take `within`.
    fn write(
        &mut self,
        outbox: &Outbox,
        within: Duration,
    ) -> impl Future<Output = Option<Close>> + Send;
    /// Says goodbye.
    fn close(&mut self, close: Close) -> impl Future<Output = ()> + Send;
}

/// Runs a connection to its end; reader and writer are lent, because a future has room twice for what it
/// is given. `emulated` names it where commands come by another way.
pub async fn run<R: Reader, W: Writer>(
    live: Arc<LiveState>,
    outbox: Arc<Outbox>,
    emulated: Option<String>,
    reader: &mut R,
    writer: &mut W,
) {
    metrics::connected();
    let pulse = Arc::new(Pulse::default());
    let mut session = Session::new(live.clone(), outbox.clone(), pulse.clone(), emulated);
    let close = tokio::select! {
        () = read(reader, &mut session, &outbox) => None,
        close = writer.write(&outbox, live.limits.write_within) => close,
        () = follow(&pulse, &outbox) => None,
        () = keep_time(&live, &outbox, &pulse) => None,
    };
    if let Some(close) = close {
        metrics::closed(close);
        let farewell = Box::pin(writer.close(close));
        let _ = tokio::time::timeout(live.limits.close_within, farewell).await;
    }
    metrics::disconnected();
}

/// Reads until the other side is gone. A reason to close goes through the outbox, so that the
/// replies before it are written.
async fn read(reader: &mut impl Reader, session: &mut Session, outbox: &Outbox) {
    while let Some(message) = reader.read().await {
        let handled = match message {
            // most connections say nothing most of the time: what handling takes is not kept
            Ok(message) => Box::pin(session.message(&message)).await,
            Err(close) => Err(close),
        };
        if let Err(close) = handled {
            outbox.close(close);
            return std::future::pending().await;
        }
    }
}

/// Hands the viewer's own stream on while it is subscribed.
async fn follow(pulse: &Pulse, outbox: &Outbox) {
    let mut stream: Option<Box<Stream>> = None;
    loop {
        let ended = async {
            match &mut stream {
                Some(stream) => stream.forward(outbox).await,
                None => std::future::pending().await,
            }
        };
        let error = tokio::select! {
            order = pulse.ordered() => {
                stream = match order {
                    Personal::Follow(begun) => Some(begun),
                    Personal::Leave => None,
                };
                continue;
            }
            error = ended => error,
        };
        tracing::info!(%error, "a personal stream has a gap");
        if let Some(stream) = stream.take() {
            if stream.server_side {
                outbox.close(Close::InsufficientState);
            } else {
                outbox.end_personal(&unsubscribed(&stream.name(), UNSUBSCRIBED_INSUFFICIENT));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::socket::{Incoming, Outgoing};
    use super::*;

    /// What a connection keeps while nothing happens, beside its buffers.
    const FUTURE_BYTES_MAX: usize = 2 * 1_024;

    fn size<A, B, C, D, E, F>(_: impl Fn(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_is_small() {
        let bytes = size(
            |live,
             outbox,
             emulated,
             reader: &'static mut Incoming,
             writer: &'static mut Outgoing| {
                run(live, outbox, emulated, reader, writer)
            },
        );
        let bytes = bytes + size_of::<Incoming>();
        assert!(bytes <= FUTURE_BYTES_MAX, "{bytes} bytes");
    }
}
