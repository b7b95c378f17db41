//! Connections of networks without WebSocket: pushes on one long answer, commands by other requests,
//! which may reach another node.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::fingerprint::PseudonymKey;
use domain::ports::{FeedBus, PortError};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::limits::EMULATED_MESSAGES_MAX;

/// How long a node waits before it listens again.
const LISTEN_AGAIN_AFTER: Duration = Duration::from_millis(100);

type Lines = HashMap<String, mpsc::Sender<Bytes>>;

/// What parts a node's name from its seal.
const SEALED: char = '.';

/// The emulated connections of this node, and the way to those of others.
pub struct Emulation {
    bus: Arc<dyn FeedBus>,
    seals: PseudonymKey,
    node: String,
    lines: Mutex<Lines>,
}

/// The channel of commands to connections that a node holds.
fn node_channel(node: &str) -> String {
    format!("node:{node}")
}

impl Emulation {
    /// No connections yet.
    pub fn new(bus: Arc<dyn FeedBus>, node: String, seals: PseudonymKey) -> Self {
        Self { bus, seals, node, lines: Mutex::default() }
    }

    /// The node's name as clients are told it: with a seal, or they could make up nodes without
    /// end, for each of which the bus would keep something.
    pub fn sealed_node(&self) -> String {
        format!("{}{SEALED}{}", self.node, self.seals.seal_of_node(&self.node))
    }

    /// The name of a node of ours.
    fn opened<'a>(&self, sealed: &'a str) -> Option<&'a str> {
        let (node, seal) = sealed.rsplit_once(SEALED)?;
        (self.seals.seal_of_node(node) == seal).then_some(node)
    }

    /// Begins a connection; what is handed to it comes out of the line.
    pub fn begin(self: &Arc<Self>, session: String) -> Line {
        let (sender, messages) = mpsc::channel(EMULATED_MESSAGES_MAX);
        self.lines.lock().insert(session.clone(), sender);
        Line { emulation: self.clone(), session, messages }
    }

    /// Hands commands to a connection, wherever it is held; `false` where there is no such node. That
    /// they arrive is not known: a client whose command is not answered asks again.
    ///
    /// # Errors
    /// The bus cannot be reached.
    pub async fn hand_over(
        &self,
        node: &str,
        session: &str,
        message: Bytes,
    ) -> Result<bool, PortError> {
        let Some(node) = self.opened(node) else { return Ok(false) };
        if node == self.node {
            self.deliver(session, message);
            return Ok(true);
        }
        let wrapped = json!({"session": session, "data": hex::encode(&message)});
        self.bus.append(&node_channel(node), &wrapped).await?;
        Ok(true)
    }

    /// A connection that takes nothing in loses what is too much, as it would on a full line.
    fn deliver(&self, session: &str, message: Bytes) {
        let line = self.lines.lock().get(session).cloned();
        let delivered = line.is_some_and(|line| line.try_send(message).is_ok());
        if !delivered {
            tracing::debug!("a command to an emulated connection found nobody");
        }
    }

    /// Listens to what other nodes were given, until `ended`.
    pub async fn listen(self: Arc<Self>, ended: CancellationToken) {
        while !ended.is_cancelled() {
            if let Some(Err(error)) = ended.run_until_cancelled(self.hear()).await {
                tracing::debug!(%error, "commands of other nodes are listened to again");
                ended.run_until_cancelled(tokio::time::sleep(LISTEN_AGAIN_AFTER)).await;
            }
        }
    }

    async fn hear(&self) -> Result<(), PortError> {
        let mut messages = self.bus.subscribe(&node_channel(&self.node)).await?;
        loop {
            let message = messages.next().await?;
            let text = |member| message.data.get(member).and_then(Value::as_str);
            if let (Some(session), Some(Ok(data))) =
                (text("session"), text("data").map(hex::decode))
            {
                self.deliver(session, data.into());
            }
        }
    }
}

/// One emulated connection's commands; dropping it ends their way.
pub struct Line {
    emulation: Arc<Emulation>,
    session: String,
    messages: mpsc::Receiver<Bytes>,
}

impl Line {
    /// The next commands.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.messages.recv().await
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.emulation.lines.lock().remove(&self.session);
    }
}
