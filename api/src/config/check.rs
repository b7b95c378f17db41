//! Settings that do not fit together, and those that production refuses.

use std::path::PathBuf;

use super::{Config, ConfigError, Profile, Role};
use crate::auth::SECRET_MIN_BYTES;
use crate::payments::Provider;

/// What a process stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// One process on one SQLite file.
    Embedded {
        /// The file.
        file: PathBuf,
    },
    /// PostgreSQL, Redis and Kafka.
    Cluster(ClusterUrls),
}

/// Where the servers of a cluster are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterUrls {
    /// PostgreSQL.
    pub database: String,
    /// Redis.
    pub redis: String,
    /// Kafka.
    pub kafka: String,
}

/// Something that production refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which setting.
    pub setting: &'static str,
    /// What is wrong with it, and what to do.
    pub advice: String,
}

impl Config {
    /// What the process stands on.
    ///
    /// # Errors
    /// [`ConfigError::Mix`]: a mix of embedded and cluster settings.
    pub fn backend(&self) -> Result<Backend, ConfigError> {
        let mix = |text: &str| Err(ConfigError::Mix(text.to_owned()));
        if let Some(file) = self.database.strip_prefix("sqlite:") {
            let file = file.strip_prefix("//").unwrap_or(file);
            let file = file.split('?').next().unwrap_or_default();
            if file.is_empty() || file == ":memory:" {
                return mix("the database names no SQLite file");
            }
            if self.redis.is_some() || self.kafka.brokers.is_some() {
                return mix(
                    "the database is a SQLite file, which stands alone: leave ONAIR_REDIS and \
                     ONAIR_KAFKA out, or name a postgres:// database",
                );
            }
            if Role::ALL.iter().any(|role| !self.roles.contains(role)) {
                return mix("on a SQLite file one process has all roles: leave the roles out");
            }
            return Ok(Backend::Embedded { file: PathBuf::from(file) });
        }
        let postgres = ["postgres://", "postgresql://"];
        if !postgres.iter().any(|scheme| self.database.starts_with(scheme)) {
            return mix("the database is neither sqlite:// nor postgres://");
        }
        match (&self.redis, &self.kafka.brokers) {
            (Some(redis), Some(kafka)) => Ok(Backend::Cluster(ClusterUrls {
                database: self.database.clone(),
                redis: redis.clone(),
                kafka: kafka.clone(),
            })),
            _ => mix(
                "a postgres:// database makes a cluster: set ONAIR_REDIS and ONAIR_KAFKA too, or \
                 name a sqlite:// file",
            ),
        }
    }

    /// Settings that do not make sense in any profile.
    ///
    /// # Errors
    /// [`ConfigError::Mix`] naming the first.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mix = |text: String| Err(ConfigError::Mix(text));
        if self.auth.hs256_secret_file.is_some() && self.auth.jwks_url.is_some() {
            return mix("auth: either a secret file or a JWKS address, not both".to_owned());
        }
        self.check_payments()?;
        if self.roles.is_empty() {
            return mix("roles: a process needs one".to_owned());
        }
        if self.kafka.partitions < 1 || self.kafka.replication < 1 {
            return mix("kafka: partitions and replication are at least 1".to_owned());
        }
        if self.http.request_seconds == 0 || self.postgres.connections == 0 {
            return mix("http.request_seconds and postgres.connections are at least 1".to_owned());
        }
        if self.seal.every_seconds == 0 {
            return mix("seal.every_seconds is at least 1".to_owned());
        }
        if let Some(origin) = self.allowed_origins.iter().find(|origin| !is_origin(origin)) {
            return mix(format!(
                "allowed_origins: {origin:?} is no origin such as https://a.example"
            ));
        }
        if let Some(video) = self.watch.video_url.as_deref().filter(|url| !is_web_address(url)) {
            return mix(format!("watch.video_url: {video:?} is no http or https address"));
        }
        Ok(())
    }

    /// The provider and what it needs.
    fn check_payments(&self) -> Result<(), ConfigError> {
        let mix = |text: String| Err(ConfigError::Mix(text));
        let Some(provider) = Provider::named(&self.payments) else {
            let known: Vec<&str> = Provider::ALL.iter().map(|known| known.name()).collect();
            return mix(format!(
                "payments: there is no provider {:?}; use {}",
                self.payments,
                known.join(", ")
            ));
        };
        for (setting, address) in
            [("url", &self.payment.url), ("return_url", &self.payment.return_url)]
        {
            if let Some(address) = address.as_deref().filter(|url| !is_web_address(url)) {
                return mix(format!("payment.{setting}: {address:?} is no http or https address"));
            }
        }
        if provider == Provider::Http && self.payment.url.is_none() {
            return mix("payments: http needs payment.url, where the service answers".to_owned());
        }
        if provider != Provider::Simulated && self.payment.key_file.is_none() {
            return mix(format!(
                "payments: {} needs payment.key_file, the key that it knows us by",
                provider.name()
            ));
        }
        Ok(())
    }

    /// What production refuses; empty in development. `secret_bytes` is the length of the token
    /// secret, where there is one.
    pub fn refusals(&self, secret_bytes: Option<usize>) -> Vec<Finding> {
        if self.profile == Profile::Development {
            return Vec::new();
        }
        let mut found = Vec::new();
        let mut refuse = |setting, unsafe_: bool, advice: &str| {
            if unsafe_ {
                found.push(Finding { setting, advice: advice.to_owned() });
            }
        };
        let named_secret = self.auth.hs256_secret_file.is_some();
        refuse(
            "ONAIR_AUTH_HS256_SECRET_FILE",
            !named_secret && self.auth.jwks_url.is_none(),
            "no secret and no JWKS address is set; name one",
        );
        refuse(
            "ONAIR_AUTH_HS256_SECRET_FILE",
            named_secret && secret_bytes.is_some_and(|bytes| bytes < SECRET_MIN_BYTES),
            "the secret has fewer than 32 bytes; use `openssl rand -hex 32`",
        );
        refuse(
            "ONAIR_AUTH_JWKS_URL",
            self.auth.jwks_url.as_ref().is_some_and(|url| !url.starts_with("https://")),
            "the keys are fetched without TLS; use https",
        );
        refuse(
            "ONAIR_PAYMENTS",
            self.payments == "simulated",
            "the simulated provider charges nobody; use a real one",
        );
        refuse(
            "ONAIR_PAYMENT_URL",
            self.payment.url.as_deref().is_some_and(|url| !is_guarded(url)),
            "the key and the payments would cross the network without TLS; use https",
        );
        refuse(
            "ONAIR_WEBHOOKS_ALLOW_PRIVATE",
            self.webhooks.allow_private,
            "webhooks could reach private addresses; leave it out",
        );
        refuse(
            "ONAIR_ALLOWED_ORIGINS",
            self.allowed_origins.iter().any(|origin| origin == "*"),
            "any web page could call with its visitor's token; name the origins",
        );
        refuse(
            "ONAIR_LISTEN",
            !self.listen.ip().is_loopback() && self.trusted_proxies.is_empty(),
            "tokens would cross the network without TLS; listen on loopback or put a TLS proxy \
             before it and name it in ONAIR_TRUSTED_PROXIES",
        );
        refuse(
            "ONAIR_OPS_LISTEN",
            self.ops_listen.ip().is_unspecified(),
            "metrics would be open on every interface; name a private address",
        );
        refuse(
            "ONAIR_KAFKA_REPLICATION",
            self.kafka.brokers.is_some() && self.kafka.replication < 3,
            "an acknowledged order would be on fewer than 3 brokers; use 3",
        );
        found
    }
}

/// Whether nobody on the network can read what is sent there: TLS, or this machine.
fn is_guarded(address: &str) -> bool {
    url::Url::parse(address).is_ok_and(|url| {
        let here = match url.host() {
            Some(url::Host::Ipv4(host)) => host.is_loopback(),
            Some(url::Host::Ipv6(host)) => host.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        url.scheme() == "https" || here
    })
}

fn is_origin(origin: &str) -> bool {
    origin == "*"
        || url::Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == origin)
}

fn is_web_address(address: &str) -> bool {
    url::Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_video_is_at_a_web_address() {
        let with = |url: &str| {
            let mut config = Config::default();
            config.watch.video_url = Some(url.to_owned());
            config.check().is_ok()
        };
        assert!(with("https://cdn.example/{broadcast}.m3u8"));
        assert!(!with("javascript:alert(1)"));
        assert!(!with("cdn.example/{broadcast}.m3u8"));
    }

    fn cluster() -> Config {
        Config {
            database: "postgres://h/onair".into(),
            redis: Some("redis://h".into()),
            kafka: super::super::KafkaConfig {
                brokers: Some("h:9092".into()),
                ..Default::default()
            },
            ..Config::default()
        }
    }

    #[test]
    fn mixes_are_refused() {
        assert!(matches!(Config::default().backend(), Ok(Backend::Embedded { .. })));
        assert!(matches!(cluster().backend(), Ok(Backend::Cluster(_))));
        let refused: [fn(&mut Config); 4] = [
            |config| config.redis = None,
            |config| config.kafka.brokers = None,
            |config| config.database = "sqlite://onair.db".into(),
            |config| config.database = "mysql://h/onair".into(),
        ];
        for change in refused {
            let mut config = cluster();
            change(&mut config);
            assert!(config.backend().is_err(), "{config:?}");
        }
        let split = Config { roles: vec![Role::Api], ..Config::default() };
        assert!(split.backend().is_err());
        let split = Config { roles: vec![Role::Api], ..cluster() };
        assert!(split.backend().is_ok());
    }

    #[test]
    fn production_names_every_unsafe_setting() {
        let mut config = cluster();
        config.profile = Profile::Production;
        config.auth.hs256_secret_file = Some("secret".into());
        config.webhooks.allow_private = true;
        config.allowed_origins = vec!["*".into()];
        config.listen = ([0, 0, 0, 0], 80).into();
        config.ops_listen = ([0, 0, 0, 0], 81).into();
        let named: Vec<_> =
            config.refusals(Some(SECRET_MIN_BYTES - 1)).iter().map(|f| f.setting).collect();
        assert_eq!(
            named,
            [
                "ONAIR_AUTH_HS256_SECRET_FILE",
                "ONAIR_PAYMENTS",
                "ONAIR_WEBHOOKS_ALLOW_PRIVATE",
                "ONAIR_ALLOWED_ORIGINS",
                "ONAIR_LISTEN",
                "ONAIR_OPS_LISTEN",
                "ONAIR_KAFKA_REPLICATION",
            ]
        );
        config.profile = Profile::Development;
        assert!(config.refusals(Some(1)).is_empty());
    }

    #[test]
    fn a_long_secret_passes_at_the_limit() {
        let mut config = cluster();
        config.profile = Profile::Production;
        config.auth.hs256_secret_file = Some("secret".into());
        config.kafka.replication = 3;
        let named =
            |bytes| config.refusals(Some(bytes)).iter().map(|f| f.setting).collect::<Vec<_>>();
        assert_eq!(named(SECRET_MIN_BYTES), ["ONAIR_PAYMENTS"]);
    }

    #[test]
    fn origins_are_origins() {
        for (origin, good) in [
            ("https://a.example", true),
            ("*", true),
            ("a.example", false),
            ("https://a.example/x", false),
        ] {
            let config = Config { allowed_origins: vec![origin.into()], ..Config::default() };
            assert_eq!(config.check().is_ok(), good, "{origin}");
        }
    }
}
