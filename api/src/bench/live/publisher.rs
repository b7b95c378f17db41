//! Somebody whose messages go to every viewer.

use std::io::ErrorKind;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::frames;
use super::opened::open;
use crate::bench::BenchError;
use crate::live;

/// Bytes that are read and thrown away at once.
const IGNORED_BYTES: usize = 16 * 1_024;

/// How a message is sent.
#[derive(Debug, Clone)]
enum Way {
    /// As a call of onair's chat; what arrives has what onair puts around it.
    Says(String),
    /// As a call; what arrives has what centrifuge puts around the data.
    Calls,
    /// As it is to arrive.
    Publishes,
}

/// Somebody whose messages go to every viewer.
pub(super) struct Publisher {
    stream: TcpStream,
    way: Way,
    number: u64,
}

impl Publisher {
    /// A moderator of a broadcast.
    ///
    /// # Errors
    /// It cannot connect.
    pub async fn says(
        server: SocketAddr,
        broadcast: &str,
        connect: &Value,
    ) -> Result<Self, BenchError> {
        let way = Way::Says(broadcast.to_owned());
        Self::connected(server, live::PATH, way, Some(connect)).await
    }

    /// A client of centrifuge that is not subscribed.
    ///
    /// # Errors
    /// It cannot connect.
    pub async fn calls(server: SocketAddr) -> Result<Self, BenchError> {
        let connect = json!({"token": "publisher"});
        Self::connected(server, live::PATH, Way::Calls, Some(&connect)).await
    }

    /// A client of Bun that is not subscribed.
    ///
    /// # Errors
    /// It cannot connect.
    pub async fn publishes(server: SocketAddr) -> Result<Self, BenchError> {
        Self::connected(server, "/publish", Way::Publishes, None).await
    }

    async fn connected(
        server: SocketAddr,
        path: &str,
        way: Way,
        connect: Option<&Value>,
    ) -> Result<Self, BenchError> {
        let mut stream = open(server, 0, path).await?;
        if let Some(connect) = connect {
            let hello = json!({"id": 1, "connect": connect}).to_string();
            stream.write_all(&frames::text(hello.as_bytes())).await?;
            stream.readable().await?;
        }
        Ok(Self { stream, way, number: 1 })
    }

    /// Sends one message to everybody.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send(&mut self, now: u64) -> Result<(), BenchError> {
        self.number += 1;
        let command = match &self.way {
            Way::Says(broadcast) => {
                let data = json!({"broadcast": broadcast, "message": frames::mark(now)});
                json!({"id": self.number, "rpc": {"method": "chat.send", "data": data}})
            }
            Way::Calls => {
                json!({"id": self.number, "rpc": {"method": "publish", "data": Self::data(now)}})
            }
            Way::Publishes => {
                let publication = json!({"offset": self.number, "data": Self::data(now)});
                json!({"push": {"channel": CHANNEL, "pub": publication}})
            }
        };
        self.stream.write_all(&frames::text(command.to_string().as_bytes())).await?;
        let mut ignored = [0; IGNORED_BYTES];
        loop {
            match self.stream.try_read(&mut ignored) {
                Ok(0) => return Err(BenchError::Failed("a publisher was closed".to_owned())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What onair's chat would make of the message, so that frames have the same size.
    fn data(now: u64) -> Value {
        json!({
            "type": "chat",
            "id": "01900000-0000-7000-8000-000000000000",
            "viewer": {"id": "moderator-0", "name": "moderator-0", "role": "moderator"},
            "message": frames::mark(now),
            "sent_at": "2026-01-01T00:00:00.000000Z",
        })
    }
}

/// A name as long as those of onair's channels.
const CHANNEL: &str = "chat:01900000-0000-7000-8000-000000000000";
