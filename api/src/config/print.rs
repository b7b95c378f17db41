//! Settings as `onair.toml` would have them.

use serde_json::Value;

use super::settings::SETTINGS;
use super::{Config, Setting};

/// The effective configuration; passwords in addresses are masked.
pub fn print(config: &Config) -> String {
    render(config, |setting, value| match value {
        Value::Null => format!("# {} = (not set)\n", key(setting)),
        value => format!("{} = {}\n", key(setting), mask(value)),
    })
}

/// The effective configuration as an object; passwords in addresses are masked.
pub fn print_json(config: &Config) -> Value {
    let mut values = serde_json::to_value(config).unwrap_or_default();
    for setting in SETTINGS {
        let pointer = format!("/{}", setting.path.replace('.', "/"));
        if let Some(value) = values.pointer_mut(&pointer)
            && let Some(masked) = value.as_str().and_then(masked)
        {
            *value = Value::from(masked);
        }
    }
    values
}

/// The file `onair.example.toml`: every setting with its meaning, its variable and its default.
pub fn example() -> String {
    let head = "# Every setting of onair with its default. Generated: `ONAIR_BLESS=1 cargo test -p api`.\n\
                # Flags win over variables, variables win over this file.\n\n";
    let body = render(&Config::default(), |setting, value| {
        let text = match value {
            Value::Null => toml_of(&Value::from(setting.example.unwrap_or_default())),
            value => toml_of(value),
        };
        format!("# {}\n# {}\n# {} = {text}\n\n", setting.doc, setting.variable, key(setting))
    });
    format!("{head}{}\n", body.trim_end())
}

fn key(setting: &Setting) -> &'static str {
    setting.path.rsplit_once('.').map_or(setting.path, |(_, key)| key)
}

fn section(setting: &Setting) -> Option<&'static str> {
    setting.path.split_once('.').map(|(section, _)| section)
}

fn render(config: &Config, line: impl Fn(&Setting, &Value) -> String) -> String {
    let values = serde_json::to_value(config).unwrap_or_default();
    let mut text = String::new();
    let mut here = None;
    for setting in SETTINGS {
        if section(setting) != here {
            here = section(setting);
            if !text.ends_with("\n\n") {
                text.push('\n');
            }
            if let Some(name) = here {
                text.push_str(&["[", name, "]\n"].concat());
            }
        }
        let pointer = format!("/{}", setting.path.replace('.', "/"));
        text.push_str(&line(setting, values.pointer(&pointer).unwrap_or(&Value::Null)));
    }
    text
}

/// JSON and TOML write these values alike.
fn toml_of(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(toml_of).collect();
            format!("[{}]", items.join(", "))
        }
        value => value.to_string(),
    }
}

fn mask(value: &Value) -> String {
    match value.as_str().and_then(masked) {
        Some(masked) => toml_of(&Value::from(masked)),
        None => toml_of(value),
    }
}

/// The address without its password, where it has one.
fn masked(text: &str) -> Option<String> {
    let mut url = url::Url::parse(text).ok().filter(|url| url.password().is_some())?;
    let masked = url.set_password(Some("***")).map(|()| url.to_string());
    Some(masked.unwrap_or_else(|()| "***".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use figment::Figment;
    use figment::providers::{Format, Toml};

    #[test]
    fn the_committed_example_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../onair.example.toml");
        crate::bless::check(path, &example());
    }

    #[test]
    fn the_example_loads_once_its_settings_are_taken_in() {
        let text: String = example()
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.contains(" = ") => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let config: Config = Figment::from(Toml::string(&text)).extract().expect("loads");
        assert_eq!(config.listen, Config::default().listen);
        assert_eq!(config.redis.as_deref(), Some("redis://127.0.0.1:6379"));
    }

    #[test]
    fn passwords_are_masked() {
        let config =
            Config { database: "postgres://onair:hunter2@h/db".into(), ..Config::default() };
        let text = print(&config);
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("postgres://onair:***@h/db"), "{text}");
        assert!(!print_json(&config).to_string().contains("hunter2"));
        let loaded: Config = Figment::from(Toml::string(&text)).extract().expect("loads");
        assert_eq!(loaded.listen, config.listen);
    }
}
