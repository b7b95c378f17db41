//! Puts the sources together; an error names the file or the variable at fault.

use std::env;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile as FigmentProfile, Provider};

use super::settings::{Kind, SETTINGS};
use super::{Config, Role};

/// The file that is read where none is named.
pub const DEFAULT_FILE: &str = "onair.toml";

/// What flags say; they win over everything else.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The file instead of `onair.toml`; it must exist.
    pub file: Option<PathBuf>,
    /// `--database`.
    pub database: Option<String>,
    /// `--redis`.
    pub redis: Option<String>,
    /// `--kafka`.
    pub kafka: Option<String>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--ops-listen`.
    pub ops_listen: Option<String>,
    /// `--roles`.
    pub roles: Option<Vec<Role>>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was named does not exist.
    #[error("{} does not exist", .0.display())]
    NoFile(PathBuf),
    /// A setting is malformed or not known.
    #[error("{0}")]
    Setting(Box<figment::Error>),
    /// The settings do not fit together.
    #[error("{0}")]
    Mix(String),
}

impl From<figment::Error> for ConfigError {
    fn from(error: figment::Error) -> Self {
        Self::Setting(Box::new(error))
    }
}

/// Reads all sources.
///
/// # Errors
/// [`ConfigError`] naming the source at fault.
pub fn load(flags: &Flags) -> Result<Config, ConfigError> {
    load_from(flags, |name| env::var(name).ok())
}

fn load_from(
    flags: &Flags,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Config, ConfigError> {
    let file = match &flags.file {
        Some(file) if !file.exists() => return Err(ConfigError::NoFile(file.clone())),
        Some(file) => file.clone(),
        None => Path::new(DEFAULT_FILE).to_owned(),
    };
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    if file.exists() {
        figment = figment.merge(Toml::file_exact(&file));
    }
    for setting in SETTINGS {
        if let Some(text) = variable(setting.variable) {
            figment = figment.merge(One::new(
                format!("the variable {}", setting.variable),
                setting.path,
                value_of(setting.kind, &text),
            ));
        }
    }
    for (flag, path, value) in flag_values(flags) {
        figment = figment.merge(One::new(format!("the flag {flag}"), path, value));
    }
    let mut config: Config = figment.extract()?;
    if !config.database.contains("://") {
        // `--database` may name its SQLite file
        config.database = format!("sqlite://{}", config.database);
    }
    Ok(config)
}

fn flag_values(flags: &Flags) -> Vec<(&'static str, &'static str, Value)> {
    let texts = [
        ("--database", "database", &flags.database),
        ("--redis", "redis", &flags.redis),
        ("--kafka", "kafka.brokers", &flags.kafka),
        ("--listen", "listen", &flags.listen),
        ("--ops-listen", "ops_listen", &flags.ops_listen),
    ];
    let mut values: Vec<_> = texts
        .into_iter()
        .filter_map(|(flag, path, text)| Some((flag, path, Value::from(text.clone()?))))
        .collect();
    if let Some(roles) = &flags.roles
        && let Ok(value) = Value::serialize(roles)
    {
        values.push(("--roles", "roles", value));
    }
    values
}

/// A variable's text as the setting holds it; what does not parse stays text, so that the error
/// names the variable.
fn value_of(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Text => Value::from(text),
        Kind::Number => text.trim().parse::<i64>().map_or_else(|_| text.into(), Value::from),
        Kind::Flag => text.trim().parse::<bool>().map_or_else(|_| text.into(), Value::from),
        Kind::List => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            items.map(Value::from).collect::<Vec<_>>().into()
        }
    }
}

/// One value with the name of where it came from.
struct One {
    source: String,
    dict: Dict,
}

impl One {
    fn new(source: String, path: &str, value: Value) -> Self {
        let dict = match path.split_once('.') {
            None => Dict::from([(path.to_owned(), value)]),
            Some((section, key)) => {
                let inner = Dict::from([(key.to_owned(), value)]);
                Dict::from([(section.to_owned(), Value::from(inner))])
            }
        };
        Self { source, dict }
    }
}

impl Provider for One {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<FigmentProfile, Dict>, figment::Error> {
        Ok(Map::from([(FigmentProfile::Default, self.dict.clone())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Profile;

    fn with(variables: &[(&str, &str)], flags: &Flags) -> Result<Config, ConfigError> {
        load_from(flags, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn flags_win_over_variables_over_the_file_over_defaults() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("onair.toml");
        std::fs::write(
            &file,
            "listen = \"127.0.0.1:1\"\nops_listen = \"127.0.0.1:2\"\n[kafka]\npartitions = 3\n",
        )
        .expect("writes");
        let flags =
            Flags { file: Some(file), listen: Some("127.0.0.1:3".into()), ..Flags::default() };
        let variables = [
            ("ONAIR_LISTEN", "127.0.0.1:4"),
            ("ONAIR_OPS_LISTEN", "127.0.0.1:5"),
            ("ONAIR_ALLOWED_ORIGINS", "https://a.example, https://b.example"),
            ("ONAIR_PROFILE", "production"),
            ("ONAIR_NODE", "1"),
            ("ONAIR_WEBHOOKS_ALLOW_PRIVATE", "true"),
        ];
        let config = with(&variables, &flags).expect("good");
        assert_eq!(config.listen.port(), 3);
        assert_eq!(config.ops_listen.port(), 5);
        assert_eq!(config.kafka.partitions, 3);
        assert_eq!(config.kafka.replication, 1);
        assert_eq!(config.allowed_origins, ["https://a.example", "https://b.example"]);
        assert_eq!(config.profile, Profile::Production);
        assert_eq!(config.node.as_deref(), Some("1"));
        assert!(config.webhooks.allow_private);
    }

    #[test]
    fn an_error_names_its_source() {
        let bad = with(&[("ONAIR_KAFKA_PARTITIONS", "many")], &Flags::default());
        let text = bad.expect_err("bad").to_string();
        assert!(text.contains("ONAIR_KAFKA_PARTITIONS"), "{text}");
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("typo.toml");
        std::fs::write(&file, "lisen = \"127.0.0.1:1\"\n").expect("writes");
        let flags = Flags { file: Some(file), ..Flags::default() };
        let text = with(&[], &flags).expect_err("bad").to_string();
        assert!(text.contains("lisen") && text.contains("typo.toml"), "{text}");
        let flags = Flags { file: Some("nowhere.toml".into()), ..Flags::default() };
        assert!(matches!(with(&[], &flags), Err(ConfigError::NoFile(_))));
    }

    #[test]
    fn a_bare_path_is_a_sqlite_file() {
        let flags = Flags { database: Some("/tmp/x.db".into()), ..Flags::default() };
        assert_eq!(with(&[], &flags).expect("good").database, "sqlite:///tmp/x.db");
    }
}
