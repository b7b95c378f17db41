//! The connection: one server, or a cluster.

use std::time::Duration;

use domain::ports::PortError;
use futures::{StreamExt, TryStreamExt};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, Slot, SlotAddr};
use redis::{Cmd, ErrorKind, RedisError, RedisResult, Script, ServerErrorKind, Value};

use super::WHAT;

/// How long one command may take.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long connecting may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a broken connection is tried again before its commands fail.
const RECONNECTS: usize = 2;
/// How often a cluster sends a command again that a node has redirected or refused.
const CLUSTER_RETRIES: u32 = 4;

/// Scripts of a cluster that are asked for at the same time.
const SCRIPTS_AT_ONCE: usize = 16;

/// A connection that is shared by cloning.
#[derive(Clone)]
pub(super) enum Link {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

/// A script with its hash.
pub(super) struct Body {
    pub text: String,
    pub hash: String,
}

impl Body {
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let hash = Script::new(&text).get_hash().to_owned();
        Self { text, hash }
    }
}

pub(super) fn unavailable(error: RedisError) -> PortError {
    PortError::unavailable(WHAT, error)
}

pub(super) fn is_no_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

impl Link {
    pub async fn connect(urls: &[String]) -> Result<Self, PortError> {
        Self::open(urls).await.map_err(unavailable)
    }

    async fn open(urls: &[String]) -> RedisResult<Self> {
        if let [url] = urls {
            let config = ConnectionManagerConfig::new()
                .set_response_timeout(Some(RESPONSE_TIMEOUT))
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_number_of_retries(RECONNECTS);
            let client = redis::Client::open(url.as_str())?;
            let single = ConnectionManager::new_with_config(client, config).await?;
            let mut asked = single.clone();
            let info: String = redis::cmd("INFO").arg("cluster").query_async(&mut asked).await?;
            if !info.contains("cluster_enabled:1") {
                return Ok(Self::Single(single));
            }
        }
        let client = ClusterClient::builder(urls.iter().map(String::as_str))
            .response_timeout(RESPONSE_TIMEOUT)
            .connection_timeout(CONNECT_TIMEOUT)
            .retries(CLUSTER_RETRIES)
            .build()?;
        Ok(Self::Cluster(client.get_async_connection().await?))
    }

    /// Sends a command that names its keys.
    pub async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        let answer = match self {
            Self::Single(link) => link.clone().send_packed_command(command).await?,
            Self::Cluster(link) => {
                redis::aio::ConnectionLike::req_packed_command(&mut link.clone(), command).await?
            }
        };
        answer.extract_error()
    }

    /// Sends commands that name their keys: together on one connection; in a cluster each goes to
    /// its own node.
    pub async fn ask_all(&self, commands: Vec<Cmd>) -> RedisResult<Vec<Value>> {
        match self {
            Self::Single(link) => {
                let count = commands.len();
                let mut together = redis::Pipeline::with_capacity(count);
                for command in commands {
                    together.add_command(command);
                }
                let answers = link.clone().send_packed_commands(&together, 0, count).await?;
                answers.into_iter().map(Value::extract_error).collect()
            }
            Self::Cluster(_) => {
                let answers = commands.iter().map(|command| self.ask(command));
                futures::future::try_join_all(answers).await
            }
        }
    }

    /// Sends a command without keys to the server that owns `key`.
    pub async fn ask_owner(&self, key: &str, command: Cmd) -> RedisResult<Value> {
        let answer = match self {
            Self::Single(link) => link.clone().send_packed_command(&command).await?,
            Self::Cluster(link) => {
                let owner = Route::with_slot(Slot::for_key(key), SlotAddr::Master);
                let routing = RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(owner));
                link.clone().route_command(command, routing).await?
            }
        };
        answer.extract_error()
    }

    /// Which of the scripts are there, by key and hash, each on the server that owns its key.
    pub async fn have_scripts(&self, scripts: Vec<(String, String)>) -> RedisResult<Vec<bool>> {
        if let (Self::Single(_), Some((key, _))) = (self, scripts.first()) {
            let mut command = script_exists();
            for (_, hash) in &scripts {
                command.arg(hash);
            }
            return Ok(match self.ask_owner(key, command).await? {
                Value::Array(there) => there.iter().map(|one| *one == Value::Int(1)).collect(),
                _ => vec![],
            });
        }
        let answers = scripts.into_iter().map(|(key, hash)| async move {
            let mut command = script_exists();
            command.arg(hash);
            Ok(self.ask_owner(&key, command).await? == Value::Array(vec![Value::Int(1)]))
        });
        futures::stream::iter(answers).buffered(SCRIPTS_AT_ONCE).try_collect().await
    }

    /// Runs a script that never admits; a server that lacks it is given its text.
    pub async fn run(
        &self,
        body: &Body,
        keys: &[String],
        args: &[Vec<u8>],
    ) -> Result<Value, PortError> {
        let known = invocation("EVALSHA", &body.hash, keys, args);
        match self.ask(&known).await {
            Err(error) if is_no_script(&error) => {
                self.ask(&invocation("EVAL", &body.text, keys, args)).await.map_err(unavailable)
            }
            answer => answer.map_err(unavailable),
        }
    }
}

fn script_exists() -> Cmd {
    let mut command = redis::cmd("SCRIPT");
    command.arg("EXISTS");
    command
}

fn invocation(name: &str, script: &str, keys: &[String], args: &[Vec<u8>]) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(keys.len());
    for key in keys {
        command.arg(key.as_bytes());
    }
    for arg in args {
        command.arg(arg.as_slice());
    }
    command
}
