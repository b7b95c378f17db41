//! The WebSocket on a socket of our own: what comes is read by tungstenite, what goes is written as
//! it is, shared with others.

use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::codec::Codec;
use super::codes::Close;
use super::connection::{Reader, Writer};
use super::limits::{
    CONTROL_FRAMES_PER_SECOND, FAREWELL_BYTES_MAX, READ_BUFFER_BYTES, SEND_BUFFER_BYTES,
    UNACKNOWLEDGED_MAX, UNSENT_BYTES_LOW,
};
use super::outbox::{Outbox, Written};
use super::wire;

/// Sets the socket up: little waits in the kernel, where it cannot be replaced by what is newer, and
/// a peer that is gone without a word is found out.
pub fn set_up(socket: &TcpStream) -> io::Result<()> {
    let options = SockRef::from(socket);
    options.set_tcp_nodelay(true)?;
    options.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    #[cfg(target_os = "linux")]
    {
        options.set_tcp_notsent_lowat(UNSENT_BYTES_LOW)?;
        options.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    }
    Ok(())
}

/// What comes over the socket of an outbox.
pub struct Incoming {
    socket: OwnedReadHalf,
    outbox: Arc<Outbox>,
    context: WebSocketContext,
    controls: u32,
    second: Instant,
}

impl Incoming {
    /// Goes on after `head`, which was read already. A message has at most so many bytes.
    pub fn new(
        socket: OwnedReadHalf,
        outbox: Arc<Outbox>,
        head: &[u8],
        message_bytes_max: usize,
    ) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max))
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0);
        let context =
            WebSocketContext::from_partially_read(head.to_vec(), Role::Server, Some(config));
        Self { socket, outbox, context, controls: 0, second: Instant::now() }
    }

    /// Whether pings and pongs come faster than anybody needs them.
    fn is_flooded(&mut self) -> bool {
        if self.second.elapsed() >= Duration::from_secs(1) {
            (self.second, self.controls) = (Instant::now(), 0);
        }
        self.controls = self.controls.saturating_add(1);
        self.controls > CONTROL_FRAMES_PER_SECOND
    }

    /// The next message, of text or bytes.
    pub async fn message(&mut self) -> Option<Result<Message, Close>> {
        poll_fn(|context| self.poll_message(context)).await
    }

    fn poll_message(&mut self, task: &mut Context<'_>) -> Poll<Option<Result<Message, Close>>> {
        loop {
            let mut duplex = Duplex { socket: &mut self.socket, outbox: &self.outbox, task };
            let ended = match self.context.read(&mut duplex) {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => Some(Ok(message)),
                Ok(Message::Close(_)) => {
                    // the next read answers, and ends
                    let _ = self.context.read(&mut duplex);
                    self.outbox.write();
                    None
                }
                Ok(_) if self.is_flooded() => Some(Err(Close::TooManyErrors)),
                Ok(_) => continue,
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                    return Poll::Pending;
                }
                Err(Error::Capacity(_)) => Some(Err(Close::TooLarge)),
                Err(Error::Utf8(_)) => Some(Err(Close::NotText)),
                Err(Error::Protocol(error)) if !is_cut(&error) => {
                    tracing::debug!(%error, "a client broke the rules of WebSocket");
                    Some(Err(Close::Malformed))
                }
                Err(_) => None,
            };
            return Poll::Ready(ended);
        }
    }
}

fn is_cut(error: &tokio_tungstenite::tungstenite::error::ProtocolError) -> bool {
    matches!(
        error,
        tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake
    )
}

impl Reader for Incoming {
    async fn read(&mut self) -> Option<Result<Bytes, Close>> {
        let message = match self.message().await? {
            Ok(message) => message,
            Err(close) => return Some(Err(close)),
        };
        Some(match (message, self.outbox.codec()) {
            (Message::Text(text), Codec::Json) => Ok(text.into()),
            (Message::Binary(bytes), Codec::Protobuf) => Ok(bytes),
            _ => Err(Close::BadRequest),
        })
    }
}

/// The socket as tungstenite sees it: what it answers by itself waits with everything else. What
/// sends without end lets others have their turn, because the runtime says when it is over.
struct Duplex<'a, 'b> {
    socket: &'a mut OwnedReadHalf,
    outbox: &'a Outbox,
    task: &'a mut Context<'b>,
}

impl Read for Duplex<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.socket).poll_read(self.task, &mut buffer) {
            Poll::Ready(read) => read.map(|()| buffer.filled().len()),
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Duplex<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outbox.frame(Bytes::copy_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What goes to the socket of an outbox.
pub struct Outgoing {
    outbox: Arc<Outbox>,
}

impl Outgoing {
    /// Nothing was written yet.
    pub const fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox }
    }

    /// Writes until everything is; `false` where the other side is gone.
    async fn write_to_end(&self) -> bool {
        loop {
            match self.outbox.write_unsent() {
                Written::All | Written::Closing(_) => return true,
                Written::Gone => return false,
                Written::Blocked => {
                    let Some(socket) = self.outbox.socket() else { return false };
                    if socket.writable().await.is_err() {
                        return false;
                    }
                }
            }
        }
    }
}

impl Writer for Outgoing {
    async fn write(&mut self, outbox: &Outbox, within: Duration) -> Option<Close> {
        let socket = outbox.socket()?;
        let mut blocked_since = None;
        loop {
            match outbox.write() {
                Written::All => {
                    blocked_since = None;
                    outbox.changed().await;
                }
                Written::Blocked => {
                    let since = *blocked_since.get_or_insert_with(Instant::now);
                    // most sockets never are: what waiting takes is not kept
                    let unblocked = Box::pin(async {
                        tokio::select! {
                            writable = socket.writable() => writable.map_err(|_| None),
                            () = outbox.overflowed() => Err(Some(Close::Slow)),
                            () = tokio::time::sleep_until(since + within) => Err(Some(Close::Slow)),
                        }
                    });
                    if let Err(end) = unblocked.await {
                        return end;
                    }
                }
                Written::Closing(close) => return Some(close),
                Written::Gone => return None,
            }
        }
    }

    /// Says why, and reads what still comes: a socket that is closed with something unread takes
    /// the farewell back.
    async fn close(&mut self, close: Close) {
        self.outbox.say_goodbye(wire::close(close));
        let Some(socket) = self.outbox.socket() else { return };
        if !self.write_to_end().await
            || SockRef::from(socket.as_ref()).shutdown(Shutdown::Write).is_err()
        {
            return;
        }
        let (mut buffer, mut left) = ([0; 512], FAREWELL_BYTES_MAX);
        let socket: &TcpStream = socket.as_ref();
        while left > 0 && socket.readable().await.is_ok() {
            match socket.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(bytes) => left = left.saturating_sub(bytes),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}
