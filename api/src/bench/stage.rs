//! A cluster to measure on: scratch database, topics of their own, processes of this program.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use commands::clock::{SystemClock, SystemIds};
use commands::log::topics::{Topics, ensure_topics};
use domain::actor::Role;
use domain::ids::{OrderId, SellerId, SpotlightId, ViewerId};
use domain::limits::SKU_UNITS_MAX;
use domain::ports::{Clock, Ids};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use redis::aio::MultiplexedConnection;
use serde_json::json;

use super::child::Process;
use super::load::Generator;
use super::request::Orders;
use super::scene::Scene;
use super::scratch::Scratch;
use super::{BenchError, Options, child, cpu};
use crate::auth::{self, Claims};

/// Tokens that are signed beforehand: so many viewers that none orders too often.
const TOKENS: usize = 20_000;
const SELLER: &str = "bench";
/// What is sold.
pub(super) const SKU: &str = "lamp-ivory";
const SECRET: &str = "a secret that only the benchmark knows and nobody else\n";
const TOKEN_SECONDS: i64 = 3_600;
const PARTITIONS: i32 = 8;
/// How often a host's call is tried while the answer is 503, and the pause in between.
const HOST_TRIES: usize = 100;
const HOST_PAUSE: Duration = Duration::from_millis(250);
/// Keys that are deleted together.
const UNLINK_MAX: u64 = 1_000;

/// The servers and the folder of a run.
pub(super) struct Stage<'a> {
    scratch: &'a Scratch,
    folder: &'a Path,
    redis_url: &'a str,
    kafka: &'a str,
    prefix: String,
    redis: MultiplexedConnection,
    servers: Servers,
}

/// The processes of the servers, where they are on this machine.
#[derive(Debug, Clone, Copy)]
struct Servers {
    redis: Option<u32>,
    kafka: Option<u32>,
    postgres: Option<u32>,
}

/// CPU that the servers have spent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spent {
    /// By Redis.
    pub redis: Duration,
    /// By Kafka.
    pub kafka: Duration,
    /// By PostgreSQL, all its processes.
    pub postgres: Duration,
}

impl Spent {
    /// Since an earlier look.
    pub fn since(self, before: Self) -> Self {
        Self {
            redis: self.redis.saturating_sub(before.redis),
            kafka: self.kafka.saturating_sub(before.kafka),
            postgres: self.postgres.saturating_sub(before.postgres),
        }
    }
}

/// The port of `host:port` or of an address with a scheme.
fn port_of(address: &str) -> Option<u16> {
    let (_, rest) = address.split_once("://").unwrap_or(("", address));
    let host = rest.split('/').next()?.split(',').next()?;
    host.rsplit_once(':')?.1.parse().ok()
}

impl Stage<'_> {
    /// Makes the stage, has `work` run on it, and takes it down whatever came of that.
    ///
    /// # Errors
    /// A server cannot be reached, or those of `work`.
    pub async fn around<T>(
        options: &Options,
        work: impl AsyncFnOnce(&Stage<'_>) -> Result<T, BenchError>,
    ) -> Result<T, BenchError> {
        let (redis_url, kafka) = options.cluster()?;
        child::leave_core().await;
        let unreachable = |error| BenchError::unreachable("Redis", error);
        let redis = redis::Client::open(redis_url).map_err(unreachable)?;
        let redis = redis.get_multiplexed_async_connection().await.map_err(unreachable)?;
        let folder = Folder::create()?;
        let prefix = format!("bench-{}.", SystemIds.uuid().simple());
        let topics = Topics::prefixed(&prefix);
        Scratch::around(&options.database, async |scratch| {
            ensure_topics(kafka, &topics, PARTITIONS, 1)
                .await
                .map_err(|error| BenchError::unreachable("Kafka", error))?;
            let process = |address: &str| cpu::listener(port_of(address)?);
            let servers = Servers {
                redis: process(redis_url),
                kafka: process(kafka),
                postgres: process(&options.database),
            };
            let stage = Stage {
                scratch,
                folder: &folder.0,
                redis_url,
                kafka,
                prefix: prefix.clone(),
                redis,
                servers,
            };
            let done = work(&stage).await;
            drop_topics(kafka, &topics).await?;
            done
        })
        .await
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let secret = self.folder.join("secret").to_string_lossy().into_owned();
        vec![
            ("ONAIR_DATABASE", self.scratch.url.clone()),
            ("ONAIR_REDIS", self.redis_url.to_owned()),
            ("ONAIR_KAFKA", self.kafka.to_owned()),
            ("ONAIR_KAFKA_TOPIC_PREFIX", self.prefix.clone()),
            ("ONAIR_AUTH_HS256_SECRET_FILE", secret),
            ("ONAIR_LOG", "warn".to_owned()),
        ]
    }

    /// Starts `onair serve` with some roles.
    ///
    /// # Errors
    /// It does not serve.
    pub async fn serve(&self, roles: &str, pinned: bool) -> Result<Process, BenchError> {
        let arguments: Vec<String> =
            ["serve", "--roles", roles, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]
                .map(ToOwned::to_owned)
                .into();
        let name = roles.replace(',', "-");
        Process::start(self.folder, &name, &arguments, &self.variables(), pinned).await
    }

    /// Starts the bare handler of a benchmark.
    ///
    /// # Errors
    /// It does not serve.
    pub async fn reference(&self, suite: &str) -> Result<Process, BenchError> {
        let secret = self.folder.join("secret").to_string_lossy().into_owned();
        let arguments: Vec<String> = [
            "bench-reference",
            suite,
            "--redis",
            self.redis_url,
            "--kafka",
            self.kafka,
            "--topic",
            // the one topic of the run that nothing else is written to
            &Topics::prefixed(&self.prefix).witness,
            "--record-bytes",
            &record_bytes()?.to_string(),
            "--key",
            &self.reference_key(),
            "--secret-file",
            &secret,
        ]
        .map(ToOwned::to_owned)
        .into();
        Process::start(self.folder, "reference", &arguments, &[], true).await
    }

    fn reference_key(&self) -> String {
        format!("{}taken", self.prefix)
    }

    /// Opens a spotlight in a live broadcast.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn spotlight(&self, api: SocketAddr, units: u32) -> Result<String, BenchError> {
        let host = Host::new(api)?;
        let title = json!({"title": "A show that is measured", "currency": "KRW"});
        let broadcast = host.call("/v1/broadcasts", &title).await?;
        host.call(&format!("/v1/broadcasts/{broadcast}/start"), &json!({})).await?;
        let price = json!({"minor": 19_900, "currency": "KRW"});
        let body = json!({
            "product": {"id": "lamp", "name": "Lamp", "original_price": price},
            "live_price": price,
            "skus": [{"sku": SKU, "limited_quantity": units.min(SKU_UNITS_MAX)}],
        });
        host.call(&format!("/v1/broadcasts/{broadcast}/products/spotlight"), &body).await
    }

    /// A load of orders of one lamp each.
    ///
    /// # Errors
    /// A token cannot be signed.
    pub fn load(
        address: SocketAddr,
        spotlight: &str,
        connections: usize,
    ) -> Result<Generator, BenchError> {
        let tokens: Result<Vec<String>, BenchError> =
            (0..TOKENS).map(|number| token(&viewer(number), Role::Viewer)).collect();
        let body = json!({
            "spotlight_id": spotlight,
            "offer_version": 1,
            "lines": [{"sku": SKU, "quantity": 1}],
            "payment_method": "sim_ok",
        });
        let run = SystemIds.uuid().simple().to_string();
        let orders = Orders { address, tokens: tokens?, body: body.to_string(), run };
        Ok(Generator::new(orders, connections))
    }

    /// CPU that the servers have spent so far.
    pub fn spent(&self) -> Spent {
        let of = |pid: Option<u32>, look: fn(u32) -> Option<Duration>| {
            pid.and_then(look).unwrap_or_default()
        };
        Spent {
            redis: of(self.servers.redis, cpu::of_process),
            kafka: of(self.servers.kafka, cpu::of_process),
            postgres: of(self.servers.postgres, cpu::of_family),
        }
    }

    /// Deletes what a load has left in Redis: nobody else will.
    ///
    /// # Errors
    /// Redis cannot be reached.
    pub async fn forget(&self, load: &Generator, spotlight: &str) -> Result<(), BenchError> {
        let mut redis = self.redis.clone();
        let seller = SellerId::try_new(SELLER).map_err(BenchError::failed)?;
        let id: SpotlightId = spotlight.parse().map_err(BenchError::failed)?;
        let mut number = 0;
        while number < load.sent() {
            let mut unlink = redis::cmd("UNLINK");
            for _ in 0..UNLINK_MAX {
                let name = viewer(load.orders().viewer(number));
                let viewer = ViewerId::try_new(name).map_err(BenchError::failed)?;
                let order = OrderId::derive(&seller, &viewer, id, &load.orders().key(number));
                unlink.arg(format!("order:{order}"));
                number += 1;
            }
            unlink.query_async::<()>(&mut redis).await.map_err(BenchError::failed)?;
        }
        let pattern = format!("*{spotlight}*");
        let mut cursor = 0_u64;
        loop {
            let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(&pattern)
                .arg("COUNT")
                .arg(UNLINK_MAX)
                .query_async(&mut redis)
                .await
                .map_err(BenchError::failed)?;
            if !keys.is_empty() {
                let mut unlink = redis::cmd("UNLINK");
                unlink.arg(keys).arg(self.reference_key());
                unlink.query_async::<()>(&mut redis).await.map_err(BenchError::failed)?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }
}

/// Bytes of a command as onair appends it.
fn record_bytes() -> Result<usize, BenchError> {
    let order = Scene::new()?.order(0)?;
    Ok(serde_json::to_vec(&order).map_err(BenchError::failed)?.len())
}

fn viewer(number: usize) -> String {
    format!("viewer-{number}")
}

/// A token of the run's seller.
///
/// # Errors
/// It cannot be signed.
pub(super) fn token(subject: &str, role: Role) -> Result<String, BenchError> {
    let expires = SystemClock.now().timestamp().saturating_add(TOKEN_SECONDS);
    let claims = Claims::new(subject.to_owned(), role, SELLER.to_owned(), expires);
    auth::sign(SECRET.trim_end().as_bytes(), &claims).map_err(BenchError::failed)
}

/// The host of the show.
pub(super) struct Host {
    api: SocketAddr,
    token: String,
    http: reqwest::Client,
}

impl Host {
    /// A host at a server.
    ///
    /// # Errors
    /// Its token cannot be signed.
    pub fn new(api: SocketAddr) -> Result<Self, BenchError> {
        Ok(Self { api, token: token("host", Role::Host)?, http: reqwest::Client::new() })
    }

    /// Posts until the answer is no 503; tells the id of what came of it.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn call(&self, path: &str, body: &serde_json::Value) -> Result<String, BenchError> {
        let key = SystemIds.uuid().to_string();
        for _ in 0..HOST_TRIES {
            let answer = self
                .http
                .post(format!("http://{}{path}", self.api))
                .bearer_auth(&self.token)
                .header("Idempotency-Key", &key)
                .json(body)
                .send()
                .await
                .map_err(BenchError::failed)?;
            let status = answer.status();
            let said: serde_json::Value = answer.json().await.map_err(BenchError::failed)?;
            if status.is_success() {
                let id = said.get("id").and_then(serde_json::Value::as_str);
                return Ok(id.unwrap_or_default().to_owned());
            }
            if status != reqwest::StatusCode::SERVICE_UNAVAILABLE {
                return Err(BenchError::Failed(format!("{path} answered {status}: {said}")));
            }
            tokio::time::sleep(HOST_PAUSE).await;
        }
        Err(BenchError::Failed(format!("{path} kept answering 503")))
    }
}

async fn drop_topics(kafka: &str, topics: &Topics) -> Result<(), BenchError> {
    let unreachable = |error| BenchError::unreachable("Kafka", error);
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", kafka).create().map_err(unreachable)?;
    admin.delete_topics(&topics.all(), &AdminOptions::new()).await.map_err(unreachable)?;
    Ok(())
}

/// A folder that goes with this, with the secret that tokens are signed with.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes one.
    ///
    /// # Errors
    /// It cannot be written to.
    pub fn create() -> Result<Self, BenchError> {
        let path = std::env::temp_dir().join(format!("onair-bench-{}", SystemIds.uuid().simple()));
        std::fs::create_dir(&path)?;
        std::fs::write(path.join("secret"), SECRET)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // a folder of the system's temporary files; what is left is swept
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_found_in_addresses() {
        assert_eq!(port_of("redis://127.0.0.1:23411"), Some(23_411));
        assert_eq!(port_of("postgres://onair@127.0.0.1:5432/onair"), Some(5_432));
        assert_eq!(port_of("127.0.0.1:9092,127.0.0.1:9093"), Some(9_092));
        assert_eq!(port_of("nowhere"), None);
    }
}
