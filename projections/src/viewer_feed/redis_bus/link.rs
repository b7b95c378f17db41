//! One server or a cluster, behind one connection type.

use std::time::Duration;

use domain::ports::PortError;
use redis::aio::{AsyncPushSender, ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, IntoConnectionInfo, Pipeline, ProtocolVersion, RedisFuture, Value};

/// How long Redis may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long Redis may take to answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a command is tried again inside a cluster that moves slots.
const CLUSTER_RETRIES: u32 = 3;

/// A connection that reconnects by itself.
#[derive(Clone)]
pub enum Link {
    /// To one server.
    Single(ConnectionManager),
    /// To the nodes of a cluster.
    Cluster(ClusterConnection),
}

impl Link {
    /// Connects to one server, or to the cluster that several addresses, parted by commas, belong
    /// to. What Redis pushes goes to `pushes`.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn connect<P: AsyncPushSender>(
        url: &str,
        pushes: Option<P>,
    ) -> Result<Self, PortError> {
        if url.contains(',') { cluster(url, pushes).await } else { single(url, pushes).await }
            .map_err(|error| PortError::unavailable("Redis", error))
    }
}

async fn single<P: AsyncPushSender>(
    url: &str,
    pushes: Option<P>,
) -> Result<Link, redis::RedisError> {
    let info = url.into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let client = redis::Client::open(info.set_redis_settings(settings))?;
    let mut config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT));
    if let Some(pushes) = pushes {
        config = config.set_push_sender(pushes);
    }
    Ok(Link::Single(ConnectionManager::new_with_config(client, config).await?))
}

async fn cluster<P: AsyncPushSender>(
    urls: &str,
    pushes: Option<P>,
) -> Result<Link, redis::RedisError> {
    let mut builder = ClusterClientBuilder::new(urls.split(',').map(str::trim))
        .use_protocol(ProtocolVersion::RESP3)
        .retries(CLUSTER_RETRIES)
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(RESPONSE_TIMEOUT);
    if let Some(pushes) = pushes {
        builder = builder.push_sender(pushes);
    }
    Ok(Link::Cluster(builder.build()?.get_async_connection().await?))
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(link) => link.req_packed_command(cmd),
            Self::Cluster(link) => link.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(link) => link.req_packed_commands(cmd, offset, count),
            Self::Cluster(link) => link.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(link) => link.get_db(),
            Self::Cluster(link) => link.get_db(),
        }
    }
}
