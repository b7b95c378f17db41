//! The bus of a cluster: Redis, one script per step of a channel.

mod document;
mod fan_out;
mod link;
mod subscription;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::envelope::Position;
use domain::ids::StreamKey;
use domain::ports::{
    Attendance, Audience, FeedBus, FeedMessage, FeedPosition, FeedSubscription, History, Ids,
    PortError, Report, Snapshot,
};
use redis::aio::ConnectionLike;
use redis::{FromRedisValue, Script, ScriptInvocation};
use serde_json::Value;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::fan_out::FanOut;
use self::link::Link;
use self::subscription::RedisSubscription;
use super::limits::{FeedLimits, VIEWER_COUNT};

/// How often the subscriber connection is probed and abandoned channels are let go.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Viewers that one call of the script counts.
const VIEWERS_AT_ONCE: usize = 1_000;

/// The keys of a channel, in the order of its script.
const PARTS: [&str; 6] = ["meta", "state", "log", "channel", "nodes", "viewers"];

/// The bus on Redis. Every key of a channel has the hash tag `{channel}`.
#[derive(Clone)]
pub struct RedisFeedBus {
    inner: Arc<Inner>,
}

struct Inner {
    prefix: String,
    limits: FeedLimits,
    ids: Arc<dyn Ids>,
    script: Script,
    commands: Link,
    subscriber: Link,
    fan_out: FanOut,
    _probe: DropGuard,
}

/// What the script answers to a read: epoch, offset and what was asked for.
type Answer<T> = (String, String, Option<T>);
/// An entry of a Redis stream: id, then field and value.
type Entry = (String, Vec<String>);

impl RedisFeedBus {
    /// Connects to one server, or to a cluster where `url` names several, parted by commas. Keys
    /// start with `prefix`; the task that probes the subscriber connection joins `tasks` and ends
    /// with the bus.
    ///
    /// # Errors
    /// Redis cannot be reached.
    pub async fn connect(
        url: &str,
        prefix: &str,
        limits: FeedLimits,
        ids: Arc<dyn Ids>,
        tasks: &TaskTracker,
    ) -> Result<Self, PortError> {
        let fan_out = FanOut::default();
        let commands = Link::connect::<FanOut>(url, None).await?;
        let subscriber = Link::connect(url, Some(fan_out.clone())).await?;
        let ended = CancellationToken::new();
        tasks.spawn(probe(subscriber.clone(), fan_out.clone(), ended.clone()));
        Ok(Self {
            inner: Arc::new(Inner {
                prefix: prefix.to_owned(),
                limits,
                ids,
                script: Script::new(include_str!("channel.lua")),
                commands,
                subscriber,
                fan_out,
                _probe: ended.drop_guard(),
            }),
        })
    }
}

impl RedisFeedBus {
    /// Forgets a channel whole: it begins another life, and whoever watches it recovers.
    ///
    /// # Errors
    /// Redis cannot be reached; forgetting again is safe.
    pub async fn forget(&self, channel: &str) -> Result<(), PortError> {
        let mut unlink = redis::cmd("UNLINK");
        for part in PARTS {
            unlink.arg(self.inner.key(channel, part));
        }
        let mut link = self.inner.commands.clone();
        unlink.query_async(&mut link).await.map_err(unavailable)
    }
}

impl Inner {
    fn key(&self, channel: &str, part: &str) -> String {
        format!("{}:feed:{{{channel}}}:{part}", self.prefix)
    }

    /// The script with its keys and the arguments that every operation has.
    fn operation<'a>(&'a self, channel: &str, operation: &str) -> ScriptInvocation<'a> {
        let mut invocation = self.script.prepare_invoke();
        for part in PARTS {
            invocation.key(self.key(channel, part));
        }
        let (most, log_kept) = self.limits.history(channel);
        invocation.arg(operation).arg(self.ids.uuid().simple().to_string());
        invocation.arg(milliseconds(self.limits.kept)).arg(milliseconds(log_kept)).arg(most);
        invocation
    }

    async fn invoke<T: FromRedisValue>(
        &self,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T, PortError> {
        let mut link = self.commands.clone();
        invocation.invoke_async(&mut link).await.map_err(unavailable)
    }

    async fn history(
        &self,
        channel: &str,
        after: Option<&FeedPosition>,
    ) -> Result<History, PortError> {
        let mut invocation = self.operation(channel, "history");
        let (epoch, offset) = after.map_or(("", 0), |after| (after.epoch.as_str(), after.offset));
        invocation.arg(epoch).arg(offset);
        let (epoch, offset, entries): Answer<Vec<Entry>> = self.invoke(&invocation).await?;
        let top = position(epoch, &offset)?;
        let Some(after) = after else {
            return Ok(History { top, messages: Some(Vec::new()) });
        };
        let Some(entries) = entries else { return Ok(History { top, messages: None }) };
        let missed = top.offset.saturating_sub(after.offset);
        if u64::try_from(entries.len()).ok() != Some(missed) {
            return Ok(History { top, messages: None });
        }
        let messages = entries.into_iter().map(|entry| message(&top.epoch, &entry));
        Ok(History { messages: Some(messages.collect::<Result<_, _>>()?), top })
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn unavailable(error: redis::RedisError) -> PortError {
    PortError::unavailable("Redis", error)
}

fn position(epoch: String, offset: &str) -> Result<FeedPosition, PortError> {
    let offset = offset.parse().map_err(|_| PortError::corrupt("the feed", "an offset"))?;
    Ok(FeedPosition { epoch, offset })
}

fn message(epoch: &str, (id, fields): &Entry) -> Result<FeedMessage, PortError> {
    let corrupt = || PortError::corrupt("the feed", format!("the message {id}"));
    let (offset, _) = id.split_once('-').ok_or_else(corrupt)?;
    let text = fields.get(1).ok_or_else(corrupt)?;
    Ok(FeedMessage {
        position: position(epoch.to_owned(), offset)?,
        data: Arc::new(serde_json::from_str(text).map_err(|_| corrupt())?),
    })
}

#[async_trait]
impl FeedBus for RedisFeedBus {
    async fn patch(
        &self,
        channel: &str,
        key: StreamKey,
        version: Position,
        patch: &Value,
    ) -> Result<(), PortError> {
        let mut invocation = self.inner.operation(channel, "patch");
        invocation.arg(key.to_string()).arg(version.0).arg(patch.to_string());
        for member in document::members_of(patch) {
            invocation.arg(member);
        }
        self.inner.invoke(&invocation).await
    }

    async fn push(
        &self,
        channel: &str,
        key: StreamKey,
        version: Position,
        message: &Value,
    ) -> Result<(), PortError> {
        let mut invocation = self.inner.operation(channel, "push");
        invocation.arg(key.to_string()).arg(version.0).arg(message.to_string());
        self.inner.invoke(&invocation).await
    }

    async fn append(&self, channel: &str, message: &Value) -> Result<FeedPosition, PortError> {
        let mut invocation = self.inner.operation(channel, "append");
        invocation.arg("").arg(0).arg(message.to_string());
        let (epoch, offset): (String, String) = self.inner.invoke(&invocation).await?;
        position(epoch, &offset)
    }

    async fn add(
        &self,
        channel: &str,
        member: &str,
        by: u64,
        at_least: u64,
    ) -> Result<u64, PortError> {
        let mut invocation = self.inner.operation(channel, "add");
        invocation.arg(member).arg(by).arg(at_least);
        let sum: String = self.inner.invoke(&invocation).await?;
        sum.parse().map_err(|_| PortError::corrupt("the feed", "a count"))
    }

    async fn report(&self, channel: &str, report: &Report<'_>) -> Result<Attendance, PortError> {
        let Report { node, audience, came, lasting } = report;
        let mut attendance = Attendance::default();
        // nobody new is a report too
        for came in came.chunks(VIEWERS_AT_ONCE).chain(came.is_empty().then_some(*came)) {
            let mut invocation = self.inner.operation(channel, "report");
            invocation.arg(VIEWER_COUNT).arg(*node).arg(audience.clients).arg(audience.viewers);
            invocation.arg(milliseconds(*lasting));
            for viewer in came {
                invocation.arg(*viewer);
            }
            let (clients, viewers, peak, distinct) = self.inner.invoke(&invocation).await?;
            let audience = Audience { clients, viewers };
            attendance = Attendance { audience, peak, distinct };
        }
        Ok(attendance)
    }

    async fn version(&self, channel: &str, key: StreamKey) -> Result<Position, PortError> {
        let mut link = self.inner.commands.clone();
        let stored: Option<u64> = redis::cmd("HGET")
            .arg(self.inner.key(channel, "meta"))
            .arg(format!("v:{key}"))
            .query_async(&mut link)
            .await
            .map_err(unavailable)?;
        Ok(stored.map_or(Position::START, Position))
    }

    async fn snapshot(&self, channel: &str) -> Result<Snapshot, PortError> {
        let invocation = self.inner.operation(channel, "snapshot");
        let (epoch, offset, members): Answer<Vec<String>> = self.inner.invoke(&invocation).await?;
        let mut members = members.unwrap_or_default().into_iter();
        let mut fields = Vec::new();
        while let (Some(path), Some(text)) = (members.next(), members.next()) {
            fields.push((path, text));
        }
        Ok(Snapshot { position: position(epoch, &offset)?, data: document::assemble(fields)? })
    }

    async fn history(
        &self,
        channel: &str,
        after: Option<&FeedPosition>,
    ) -> Result<History, PortError> {
        self.inner.history(channel, after).await
    }

    async fn sum_up(&self, channel: &str, at: &FeedPosition, sum: &Value) -> Result<(), PortError> {
        let mut invocation = self.inner.operation(channel, "sum_up");
        invocation.arg(at.epoch.as_str()).arg(at.offset).arg(sum.to_string());
        self.inner.invoke(&invocation).await
    }

    async fn sum(&self, channel: &str) -> Result<Option<FeedMessage>, PortError> {
        let invocation = self.inner.operation(channel, "sum");
        let (epoch, offset, sum): Answer<String> = self.inner.invoke(&invocation).await?;
        let corrupt = || PortError::corrupt("the feed", "a sum");
        let parsed = |sum: String| {
            let data = Arc::new(serde_json::from_str(&sum).map_err(|_| corrupt())?);
            Ok(FeedMessage { position: position(epoch, &offset)?, data })
        };
        sum.map(parsed).transpose()
    }

    async fn subscribe(&self, channel: &str) -> Result<Box<dyn FeedSubscription>, PortError> {
        let name = self.inner.key(channel, "channel");
        let messages = self.inner.fan_out.register(&name, self.inner.limits.subscriber_messages);
        let mut link = self.inner.subscriber.clone();
        let subscribe = redis::cmd("SSUBSCRIBE").arg(&name).to_owned();
        link.req_packed_command(&subscribe).await.map_err(unavailable)?;
        let top = self.inner.history(channel, None).await?.top;
        Ok(Box::new(RedisSubscription::new(self.inner.clone(), channel.to_owned(), messages, top)))
    }
}

/// Finds a subscriber connection that died in silence, and lets go of channels that nobody
/// receives.
async fn probe(mut link: Link, fan_out: FanOut, ended: CancellationToken) {
    let mut ticks = tokio::time::interval(PROBE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while ended.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = link.req_packed_command(&redis::cmd("PING")).await {
            tracing::warn!(%error, "the feed's subscriber connection does not answer");
            fan_out.fail_all();
            continue;
        }
        for channel in fan_out.take_abandoned() {
            let unsubscribe = redis::cmd("SUNSUBSCRIBE").arg(&channel).to_owned();
            if let Err(error) = link.req_packed_command(&unsubscribe).await {
                tracing::debug!(%error, "a channel could not be let go");
            }
            // Whoever subscribed meanwhile was unsubscribed with it.
            fan_out.fail(&channel);
        }
    }
}
