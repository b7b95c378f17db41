//! Every setting by name: its place in `onair.toml`, its variable, what it means.

/// What a setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// true or false.
    Flag,
    /// Texts; in a variable with commas between.
    List,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its place in `onair.toml`: `section.key`, or `key`.
    pub path: &'static str,
    /// Its variable.
    pub variable: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What it means.
    pub doc: &'static str,
    /// What stands in the example where the default is nothing.
    pub example: Option<&'static str>,
}

const fn setting(
    path: &'static str,
    variable: &'static str,
    kind: Kind,
    doc: &'static str,
) -> Setting {
    Setting { path, variable, kind, doc, example: None }
}

const fn optional(
    path: &'static str,
    variable: &'static str,
    kind: Kind,
    example: &'static str,
    doc: &'static str,
) -> Setting {
    Setting { path, variable, kind, doc, example: Some(example) }
}

use Kind::{Flag, List, Number, Text};

/// Every setting, top level first, then by section.
pub const SETTINGS: &[Setting] = &[
    setting(
        "profile",
        "ONAIR_PROFILE",
        Text,
        "development, or production, which refuses unsafe settings.",
    ),
    setting(
        "listen",
        "ONAIR_LISTEN",
        Text,
        "Where HTTP and sockets are answered; port 0 takes a free one.",
    ),
    setting(
        "ops_listen",
        "ONAIR_OPS_LISTEN",
        Text,
        "Where probes and metrics are answered; keep it private.",
    ),
    setting(
        "database",
        "ONAIR_DATABASE",
        Text,
        "sqlite://FILE for one process on one file, or postgres://… for a cluster.",
    ),
    optional("redis", "ONAIR_REDIS", Text, "redis://127.0.0.1:6379", "Redis of a cluster."),
    setting(
        "roles",
        "ONAIR_ROLES",
        List,
        "What this process does. All roles in one process where the database is SQLite.",
    ),
    optional(
        "node",
        "ONAIR_NODE",
        Text,
        "api-1",
        "This process's name in events and logs; a random one by default.",
    ),
    setting("payments", "ONAIR_PAYMENTS", Text, "The payment provider: simulated."),
    optional(
        "public_url",
        "ONAIR_PUBLIC_URL",
        Text,
        "https://live.example",
        "The address that clients reach this by; the Host header by default.",
    ),
    setting(
        "allowed_origins",
        "ONAIR_ALLOWED_ORIGINS",
        List,
        "Origins of web pages that may call; with commas between in the variable, \"*\" for any.",
    ),
    setting(
        "trusted_proxies",
        "ONAIR_TRUSTED_PROXIES",
        List,
        "Networks of proxies whose X-Forwarded-For counts, such as 10.0.0.0/8.",
    ),
    optional(
        "auth.hs256_secret_file",
        "ONAIR_AUTH_HS256_SECRET_FILE",
        Text,
        "/run/secrets/onair",
        "File with the secret that tokens are signed with, HS256; a newline at its end does not count.",
    ),
    optional(
        "auth.jwks_url",
        "ONAIR_AUTH_JWKS_URL",
        Text,
        "https://id.example/jwks.json",
        "The public keys of an identity provider, instead of a shared secret.",
    ),
    optional(
        "auth.pseudonym_secret_file",
        "ONAIR_AUTH_PSEUDONYM_SECRET_FILE",
        Text,
        "/run/secrets/onair-pseudonyms",
        "File with the secret of pseudonyms, receipts and anonymous tokens; never rotate it. The token secret by default.",
    ),
    optional("kafka.brokers", "ONAIR_KAFKA", Text, "127.0.0.1:9092", "Kafka of a cluster."),
    setting(
        "kafka.topic_prefix",
        "ONAIR_KAFKA_TOPIC_PREFIX",
        Text,
        "What the names of topics start with.",
    ),
    setting(
        "kafka.partitions",
        "ONAIR_KAFKA_PARTITIONS",
        Number,
        "Partitions of a topic that `onair migrate` creates.",
    ),
    setting(
        "kafka.replication",
        "ONAIR_KAFKA_REPLICATION",
        Number,
        "Replicas of a topic that `onair migrate` creates; 3 in production.",
    ),
    setting(
        "postgres.connections",
        "ONAIR_POSTGRES_CONNECTIONS",
        Number,
        "Connections of this process to PostgreSQL.",
    ),
    setting(
        "payment.final_seconds",
        "ONAIR_PAYMENT_FINAL_SECONDS",
        Number,
        "How long after the hold a payment without an answer is ended.",
    ),
    setting(
        "payment.simulated_delay_milliseconds",
        "ONAIR_PAYMENT_SIMULATED_DELAY_MILLISECONDS",
        Number,
        "How long the simulated provider takes.",
    ),
    optional(
        "payment.webhook_secrets_file",
        "ONAIR_PAYMENT_WEBHOOK_SECRETS_FILE",
        Text,
        "/run/secrets/onair-webhooks",
        "File with the secrets of the provider's webhooks, one per line, whsec_… or plain; none: every webhook is refused.",
    ),
    setting(
        "chat.retention_days",
        "ONAIR_CHAT_RETENTION_DAYS",
        Number,
        "How long what was said in a chat is kept for export.",
    ),
    setting(
        "webhooks.allow_private",
        "ONAIR_WEBHOOKS_ALLOW_PRIVATE",
        Flag,
        "Whether webhooks may go to http and private addresses.",
    ),
    setting(
        "http.request_seconds",
        "ONAIR_HTTP_REQUEST_SECONDS",
        Number,
        "How long an answer may take.",
    ),
    setting(
        "http.drain_seconds",
        "ONAIR_HTTP_DRAIN_SECONDS",
        Number,
        "How long the shutdown waits for answers.",
    ),
    setting(
        "live.connections",
        "ONAIR_LIVE_CONNECTIONS",
        Number,
        "Sockets of this process; whoever is past one of these limits is answered 503 with Retry-After.",
    ),
    setting(
        "live.connects_per_second",
        "ONAIR_LIVE_CONNECTS_PER_SECOND",
        Number,
        "Sockets that begin in a second; those of two seconds may begin at once.",
    ),
    setting(
        "live.address_connections",
        "ONAIR_LIVE_ADDRESS_CONNECTIONS",
        Number,
        "Sockets of one address, which many people may share; without trusted_proxies addresses have no limits.",
    ),
    setting(
        "live.address_connects_per_second",
        "ONAIR_LIVE_ADDRESS_CONNECTS_PER_SECOND",
        Number,
        "Sockets that begin from one address in a second; those of two seconds may begin at once.",
    ),
    optional(
        "watch.video_url",
        "ONAIR_WATCH_VIDEO_URL",
        Text,
        "https://cdn.example/live/{broadcast}.m3u8",
        "The video of a broadcast on the viewer page, as a browser plays it; {broadcast} stands for its id.",
    ),
    optional(
        "seal.key_file",
        "ONAIR_SEAL_KEY_FILE",
        Text,
        "/run/secrets/onair-seal",
        "File with the key that seals the log, 32 bytes in hexadecimal; a new key may stand in it at any time. ONAIR_SEAL_KEY may hold the key itself; without either nothing is sealed.",
    ),
    setting(
        "seal.every_seconds",
        "ONAIR_SEAL_EVERY_SECONDS",
        Number,
        "How often what is no whole block of 1,024 events is sealed.",
    ),
    optional(
        "seal.witness_folder",
        "ONAIR_SEAL_WITNESS_FOLDER",
        Text,
        "/mnt/witness",
        "Folder that each seal is written to, kept by somebody else; in a cluster the topic onair.witness.v1 gets them too.",
    ),
    setting("log.filter", "ONAIR_LOG", Text, "Which lines are logged, such as info or api=debug."),
    setting("log.format", "ONAIR_LOG_FORMAT", Text, "json, pretty, or auto: pretty on a terminal."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Config;

    #[test]
    fn every_field_of_the_configuration_is_a_setting() {
        let config = serde_json::to_value(Config::default()).expect("JSON");
        let mut fields = BTreeSet::new();
        for (name, value) in config.as_object().expect("an object") {
            match value.as_object() {
                None => {
                    fields.insert(name.clone());
                }
                Some(section) => {
                    fields.extend(section.keys().map(|key| format!("{name}.{key}")));
                }
            }
        }
        let named: BTreeSet<String> = SETTINGS.iter().map(|s| s.path.to_owned()).collect();
        assert_eq!(fields, named);
        let variables: BTreeSet<_> = SETTINGS.iter().map(|s| s.variable).collect();
        assert_eq!(variables.len(), SETTINGS.len());
    }
}
