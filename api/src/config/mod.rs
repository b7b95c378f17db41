//! Settings: flags, then `ONAIR_…` variables, then `onair.toml`, then defaults.

mod check;
mod load;
mod print;
mod seal_key;
mod secret;
mod settings;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::live::{
    ADDRESS_CONNECTIONS_DEFAULT, ADDRESS_CONNECTS_PER_SECOND_DEFAULT, CONNECTIONS_DEFAULT,
    CONNECTS_PER_SECOND_DEFAULT, LiveLimits,
};

pub use check::{Backend, ClusterUrls, Finding};
pub use load::{ConfigError, Flags, load};
pub use print::{example, print, print_json};
pub use seal_key::{SEAL_KEY_VARIABLE, SealKeyError, seal_signer};
pub use secret::{SecretError, Secrets};
pub use settings::{SETTINGS, Setting};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Answers HTTP.
    Api,
    /// Answers sockets.
    Live,
    /// Decides commands.
    Writer,
    /// Publishes events.
    Relay,
    /// Keeps the read models.
    Project,
    /// Runs payments, expiry and re-drives.
    Process,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] =
        [Self::Api, Self::Live, Self::Writer, Self::Relay, Self::Project, Self::Process];
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        serde_json::from_value(serde_json::Value::String(text.to_owned()))
            .map_err(|_| "is not one of api, live, writer, relay, project, process".to_owned())
    }
}

/// How strict the settings are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Everything that is convenient.
    #[default]
    Development,
    /// Unsafe settings are refused.
    Production,
}

/// How lines are logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object per line.
    Json,
    /// For people.
    Pretty,
}

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How strict the settings are.
    pub profile: Profile,
    /// Where HTTP and sockets are answered.
    pub listen: SocketAddr,
    /// Where probes and metrics are answered.
    pub ops_listen: SocketAddr,
    /// The event store.
    pub database: String,
    /// The stock gate and the feed of a cluster.
    pub redis: Option<String>,
    /// What this process does.
    pub roles: Vec<Role>,
    /// This process's name in events and logs.
    pub node: Option<String>,
    /// The payment provider.
    pub payments: String,
    /// The address that clients reach this by.
    pub public_url: Option<String>,
    /// Origins of web pages that may call.
    pub allowed_origins: Vec<String>,
    /// Proxies whose forwarding headers count.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Tokens.
    pub auth: AuthConfig,
    /// The command log of a cluster.
    pub kafka: KafkaConfig,
    /// PostgreSQL.
    pub postgres: PostgresConfig,
    /// Payments.
    pub payment: PaymentConfig,
    /// Chats.
    pub chat: ChatConfig,
    /// Webhooks.
    pub webhooks: WebhooksConfig,
    /// HTTP.
    pub http: HttpConfig,
    /// Sockets.
    pub live: LiveConfig,
    /// The viewer page.
    pub watch: WatchConfig,
    /// Seals of the log.
    pub seal: SealConfig,
    /// Logs.
    pub log: LogConfig,
}

/// Tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// The secret that tokens are signed with.
    pub hs256_secret_file: Option<PathBuf>,
    /// The public keys of an identity provider.
    pub jwks_url: Option<String>,
    /// The secret of pseudonyms, receipts and anonymous tokens; never rotated.
    pub pseudonym_secret_file: Option<PathBuf>,
}

/// The command log of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Its servers.
    pub brokers: Option<String>,
    /// What topics' names start with.
    pub topic_prefix: String,
    /// Partitions of a topic that `onair migrate` creates.
    pub partitions: i32,
    /// Replicas of a topic that `onair migrate` creates.
    pub replication: i32,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self { brokers: None, topic_prefix: String::new(), partitions: 8, replication: 1 }
    }
}

/// PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresConfig {
    /// Connections of this process.
    pub connections: u32,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self { connections: 10 }
    }
}

/// Payments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PaymentConfig {
    /// How long after the hold an attempt without an answer is ended.
    pub final_seconds: u32,
    /// How long the simulated provider takes.
    pub simulated_delay_milliseconds: u32,
    /// File with the secrets of the provider's webhooks.
    pub webhook_secrets_file: Option<PathBuf>,
}

impl Default for PaymentConfig {
    fn default() -> Self {
        Self { final_seconds: 120, simulated_delay_milliseconds: 50, webhook_secrets_file: None }
    }
}

/// Chats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChatConfig {
    /// How long what was said is kept.
    pub retention_days: u32,
}

impl Default for ChatConfig {
    fn default() -> Self {
        Self { retention_days: 90 }
    }
}

/// Webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhooksConfig {
    /// Whether http and private addresses are allowed.
    pub allow_private: bool,
}

/// HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// How long an answer may take.
    pub request_seconds: u32,
    /// How long the shutdown waits for answers.
    pub drain_seconds: u32,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { request_seconds: 30, drain_seconds: 20 }
    }
}

/// Sockets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LiveConfig {
    /// Connections of this process.
    pub connections: usize,
    /// Connections that begin in a second.
    pub connects_per_second: NonZeroU32,
    /// Connections of one address.
    pub address_connections: usize,
    /// Connections that begin from one address in a second.
    pub address_connects_per_second: NonZeroU32,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS_DEFAULT,
            connects_per_second: CONNECTS_PER_SECOND_DEFAULT,
            address_connections: ADDRESS_CONNECTIONS_DEFAULT,
            address_connects_per_second: ADDRESS_CONNECTS_PER_SECOND_DEFAULT,
        }
    }
}

impl LiveConfig {
    /// The bounds of the sockets.
    pub fn limits(&self) -> LiveLimits {
        LiveLimits {
            connections: self.connections,
            connects_per_second: self.connects_per_second,
            address_connections: self.address_connections,
            address_connects_per_second: self.address_connects_per_second,
            ..LiveLimits::default()
        }
    }
}

/// The viewer page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatchConfig {
    /// Where the video of a broadcast is; `{broadcast}` stands for its id.
    pub video_url: Option<String>,
}

/// Seals of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SealConfig {
    /// The key; the process that relays seals where there is one.
    pub key_file: Option<PathBuf>,
    /// How often what is no whole block is sealed.
    pub every_seconds: u32,
    /// Where each seal is kept too.
    pub witness_folder: Option<PathBuf>,
}

impl Default for SealConfig {
    fn default() -> Self {
        Self { key_file: None, every_seconds: 60, witness_folder: None }
    }
}

/// Logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Which lines.
    pub filter: String,
    /// In which form.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Auto }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            profile: Profile::Development,
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            ops_listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            database: "sqlite://onair.db".to_owned(),
            redis: None,
            roles: Role::ALL.to_vec(),
            node: None,
            payments: "simulated".to_owned(),
            public_url: None,
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            auth: AuthConfig::default(),
            kafka: KafkaConfig::default(),
            postgres: PostgresConfig::default(),
            payment: PaymentConfig::default(),
            chat: ChatConfig::default(),
            webhooks: WebhooksConfig::default(),
            http: HttpConfig::default(),
            live: LiveConfig::default(),
            watch: WatchConfig::default(),
            seal: SealConfig::default(),
            log: LogConfig::default(),
        }
    }
}
