//! Checks what onair depends on, with advice per finding.

mod postgres;

use std::sync::Arc;

use commands::clock::SystemClock;
use commands::log::topics::{TopicReport, Topics, inspect};
use commands::store::{self, OpenError, StoreOptions};
use domain::Timestamp;
use domain::ports::Clock;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;

use super::{CliError, SettingArgs, Verdict};
use crate::config::{Backend, ClusterUrls, Config, Profile, Secrets};

/// Replicas of a topic in production.
const REPLICATION_MIN: usize = 3;
/// Replicas in sync of a topic in production.
const IN_SYNC_MIN: usize = 2;
/// The oldest Redis that knows what the scripts use.
const REDIS_MAJOR_MIN: u32 = 7;

/// Check what onair depends on, with advice per finding
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    settings: SettingArgs,
    /// Print an object
    #[arg(long)]
    json: bool,
}

/// Something to be mended.
#[derive(Debug, Serialize)]
struct Found {
    what: String,
    advice: String,
    #[serde(skip)]
    unreachable: bool,
}

impl Found {
    fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into(), unreachable: false }
    }

    fn unreachable(what: &str, error: impl std::fmt::Display, advice: &str) -> Self {
        let what = format!("{what} cannot be reached: {error}");
        Self { what, advice: advice.to_owned(), unreachable: true }
    }
}

pub(super) async fn run(args: Args) -> Result<Verdict, CliError> {
    let (config, backend) = args.settings.load()?;
    let mut found = settings(&config, &backend);
    let database = database(&config).await;
    if database.is_none() {
        found.extend(postgres::examine(&config).await);
        found.extend(postgres::head(&config).await);
    }
    found.extend(database);
    if let Backend::Cluster(urls) = &backend {
        found.extend(redis(urls).await);
        found.extend(kafka(&config, urls).await);
    }
    if args.json {
        println!("{}", json!({"ok": found.is_empty(), "findings": found}));
    } else {
        for Found { what, advice, .. } in &found {
            println!("{what}\n  {advice}");
        }
        if found.is_empty() {
            println!("everything is as it should be");
        }
    }
    match found.iter().find(|found| found.unreachable) {
        Some(found) => {
            Err(CliError::unreachable("something cannot be reached", found.what.clone()))
        }
        None if found.is_empty() => Ok(Verdict::Good),
        None => Ok(Verdict::Bad),
    }
}

fn settings(config: &Config, backend: &Backend) -> Vec<Found> {
    let secrets = match Secrets::load(config, backend) {
        Ok(secrets) => secrets,
        Err(error) => return vec![Found::new(error.to_string(), "name a readable secret file")],
    };
    let bytes = secrets.tokens.as_ref().map(|secret| secret.expose_secret().len());
    let refusals = config.refusals(bytes).into_iter();
    refusals.map(|finding| Found::new(finding.setting, finding.advice)).collect()
}

async fn database(config: &Config) -> Option<Found> {
    let options = StoreOptions::new(Arc::new(SystemClock));
    let reader = match store::open_reader(&config.database, &options).await {
        Ok(reader) => reader,
        Err(OpenError::NotMigrated(_)) => {
            return Some(Found::new("the schema is not current", "run `onair migrate`"));
        }
        Err(error) => {
            let advice = "check ONAIR_DATABASE; a new file is made by `onair migrate`";
            return Some(Found::unreachable("the database", error, advice));
        }
    };
    let error = reader.head().await.err()?;
    Some(Found::unreachable("the database", error, "check ONAIR_DATABASE"))
}

async fn redis(urls: &ClusterUrls) -> Vec<Found> {
    let mut found = Vec::new();
    for url in urls.redis.split(',').map(str::trim) {
        match redis_info(url).await {
            Ok((info, theirs, ours)) => {
                found.extend(judge_redis(&info));
                found.extend(postgres::skew("Redis", theirs, ours));
            }
            Err(error) => found.push(Found::unreachable("Redis", error, "check ONAIR_REDIS")),
        }
    }
    found
}

/// What Redis says of itself, its time in microseconds, and ours.
async fn redis_info(url: &str) -> redis::RedisResult<(String, i64, Timestamp)> {
    let client = redis::Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let info = redis::cmd("INFO").arg("everything").query_async(&mut connection).await?;
    let before = SystemClock.now();
    let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(&mut connection).await?;
    let half = (SystemClock.now() - before) / 2;
    Ok((info, seconds.saturating_mul(1_000_000).saturating_add(micros), before + half))
}

fn judge_redis(info: &str) -> Vec<Found> {
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let mut found = Vec::new();
    let version = field("redis_version").unwrap_or("unknown");
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < REDIS_MAJOR_MIN) {
        found.push(Found::new(format!("Redis is version {version}"), "use 7.0 or newer"));
    }
    if let Some(policy) = field("maxmemory_policy").filter(|policy| *policy != "noeviction") {
        found.push(Found::new(
            format!("Redis may evict keys ({policy})"),
            "set `maxmemory-policy noeviction`: an evicted gate has to be rebuilt",
        ));
    }
    if let Some(off) = field("aof_enabled").filter(|enabled| *enabled != "1") {
        found.push(Found::new(
            format!("Redis keeps no append-only file (aof_enabled {off})"),
            "set `appendonly yes`: after a restart every gate has to be rebuilt from the log",
        ));
    }
    found
}

async fn kafka(config: &Config, urls: &ClusterUrls) -> Vec<Found> {
    let topics = Topics::prefixed(&config.kafka.topic_prefix);
    match inspect(&urls.kafka, &topics).await {
        Ok(reports) => {
            let production = config.profile == Profile::Production;
            reports.iter().flat_map(|report| judge_topic(report, &topics, production)).collect()
        }
        Err(error) => vec![Found::unreachable("Kafka", error, "check ONAIR_KAFKA")],
    }
}

fn judge_topic(report: &TopicReport, topics: &Topics, production: bool) -> Vec<Found> {
    let topic = &report.topic;
    if !report.exists {
        return vec![Found::new(format!("the topic {topic} is missing"), "run `onair migrate`")];
    }
    let mut found = Vec::new();
    let mut note = |bad: bool, what: String, advice: &str| {
        if bad {
            found.push(Found::new(what, advice));
        }
    };
    let commands = *topic == topics.commands;
    note(
        report.leaderless > 0,
        format!("{} partitions of {topic} have no leader", report.leaderless),
        "bring the brokers back",
    );
    note(
        report.in_sync < report.min_in_sync,
        format!("a partition of {topic} has {} replicas in sync", report.in_sync),
        "orders on it are refused until the brokers are back",
    );
    note(
        report.unclean_election,
        format!("{topic} may elect a leader that lacks records"),
        "set `unclean.leader.election.enable=false`: an acknowledged order may be lost",
    );
    note(
        commands && report.cleanup_policy.contains("compact"),
        format!("{topic} is compacted"),
        "set `cleanup.policy=delete`: compaction loses commands",
    );
    note(
        commands && report.retention_ms != -1,
        format!("{topic} keeps records for {} ms", report.retention_ms),
        "set `retention.ms=-1`: the log of commands is kept",
    );
    note(
        production && report.replication < REPLICATION_MIN,
        format!("{topic} has {} replicas", report.replication),
        "use 3 in production",
    );
    note(
        production && report.min_in_sync < IN_SYNC_MIN,
        format!("{topic} acknowledges with {} replicas in sync", report.min_in_sync),
        "set `min.insync.replicas=2` in production",
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_or_evicting_redis_is_found() {
        let info = |version: &str, policy: &str| {
            format!(
                "# Server\r\nredis_version:{version}\r\nmaxmemory_policy:{policy}\r\naof_enabled:1\r\n"
            )
        };
        assert!(judge_redis(&info("7.0.15", "noeviction")).is_empty());
        assert_eq!(judge_redis(&info("6.2.0", "noeviction")).len(), 1);
        assert_eq!(judge_redis(&info("7.2.0", "allkeys-lru")).len(), 1);
        let forgetful = info("7.2.0", "noeviction").replace("aof_enabled:1", "aof_enabled:0");
        assert_eq!(judge_redis(&forgetful).len(), 1);
    }

    #[test]
    fn production_wants_three_replicas() {
        let topics = Topics::default();
        let report = TopicReport {
            topic: topics.commands.clone(),
            exists: true,
            partitions: 8,
            leaderless: 0,
            replication: 1,
            in_sync: 1,
            min_in_sync: 1,
            unclean_election: false,
            retention_ms: -1,
            cleanup_policy: "delete".to_owned(),
        };
        assert!(judge_topic(&report, &topics, false).is_empty());
        assert_eq!(judge_topic(&report, &topics, true).len(), 2);
        let kept = TopicReport { retention_ms: 1, ..report };
        assert_eq!(judge_topic(&kept, &topics, false).len(), 1);
    }
}
