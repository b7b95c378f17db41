//! The effective configuration.

use secrecy::ExposeSecret;
use serde_json::json;

use super::{CliError, SettingArgs, Verdict};
use crate::config::{self, Secrets};

/// Show or check the settings
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Print the effective settings, secrets masked
    Print {
        #[command(flatten)]
        settings: SettingArgs,
        /// Print an object
        #[arg(long)]
        json: bool,
    },
    /// Check that `serve` would start with these settings
    Check {
        #[command(flatten)]
        settings: SettingArgs,
        /// Print an object
        #[arg(long)]
        json: bool,
    },
    /// Print onair.example.toml
    Example,
}

pub(super) fn run(args: &Args) -> Result<Verdict, CliError> {
    match &args.action {
        Action::Print { settings, json } => {
            let config = config::load(&settings.flags())?;
            if *json {
                println!("{}", config::print_json(&config));
            } else {
                print!("{}", config::print(&config));
            }
            Ok(Verdict::Good)
        }
        Action::Check { settings, json } => check(settings, *json),
        Action::Example => {
            print!("{}", config::example());
            Ok(Verdict::Good)
        }
    }
}

fn check(settings: &SettingArgs, json: bool) -> Result<Verdict, CliError> {
    let (config, backend) = settings.load()?;
    let secrets = Secrets::load(&config, &backend)?;
    let bytes = secrets.tokens.as_ref().map(|secret| secret.expose_secret().len());
    let findings = config.refusals(bytes);
    if json {
        let findings: Vec<_> = findings
            .iter()
            .map(|finding| json!({"setting": finding.setting, "advice": finding.advice}))
            .collect();
        println!("{}", json!({"ok": findings.is_empty(), "findings": findings}));
    } else {
        for finding in &findings {
            println!("{}: {}", finding.setting, finding.advice);
        }
        if findings.is_empty() {
            println!("ok");
        }
    }
    Ok(if findings.is_empty() { Verdict::Good } else { Verdict::Bad })
}
