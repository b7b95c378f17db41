//! The server.

use std::io::Write;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::settings::{checked, role};
use super::{CliError, SettingArgs, Verdict, logging};
use crate::compose::{self, Running, StartError};
use crate::config::{self, Config, Finding, Flags, Secrets};

/// Run a server
///
/// All roles in one process by default. Stops at SIGTERM or SIGINT: accepts no more, finishes what
/// it has in hand, then ends; at a second signal it ends at once.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    settings: SettingArgs,
    /// Where HTTP and sockets are answered (`ONAIR_LISTEN`)
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where probes and metrics are answered (`ONAIR_OPS_LISTEN`)
    #[arg(long, value_name = "ADDRESS")]
    ops_listen: Option<String>,
    /// api, live, writer, relay, project, process (`ONAIR_ROLES`)
    #[arg(long, value_delimiter = ',', value_parser = role)]
    roles: Option<Vec<config::Role>>,
    /// Written once it serves: {"listen", "ops"}
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> Result<Verdict, CliError> {
    let flags = Flags {
        listen: args.listen.clone(),
        ops_listen: args.ops_listen.clone(),
        roles: args.roles.clone(),
        ..args.settings.flags()
    };
    let (config, backend) = checked(config::load(&flags)?)?;
    logging::start(&config.log)?;
    let secrets = Secrets::load(&config, &backend)?;
    refuse_unsafe(&config, &secrets)?;
    let mut signals = Signals::listen()?;
    let running = tokio::select! {
        started = Box::pin(compose::start(&config, &backend, &secrets)) => started?,
        () = signals.any() => return Ok(Verdict::Good),
    };
    announce(&running, args.ready_file.as_deref())?;
    let failure = tokio::select! {
        () = signals.any() => None,
        failure = running.failure() => failure,
    };
    tracing::info!("shutting down");
    tokio::select! {
        stopped = Box::pin(running.shut_down()) => tracing::info!(?stopped, "stopped"),
        () = signals.any() => tracing::warn!("stopped at once"),
    }
    match failure {
        None => Ok(Verdict::Good),
        Some(failure) => {
            Err(CliError::unreachable("a role has stopped for good", failure.to_string()))
        }
    }
}

fn refuse_unsafe(config: &Config, secrets: &Secrets) -> Result<(), CliError> {
    let bytes = secrets.tokens.as_ref().map(|secret| secret.expose_secret().len());
    let findings = config.refusals(bytes);
    if findings.is_empty() {
        return Ok(());
    }
    let line = |finding: &Finding| format!("\n  {}: {}", finding.setting, finding.advice);
    let lines: String = findings.iter().map(line).collect();
    Err(CliError::Usage(format!("the production profile refuses these settings:{lines}")))
}

/// Says where it serves: to people on stderr, to programs in a file that appears whole.
fn announce(running: &Running, ready_file: Option<&Path>) -> Result<(), CliError> {
    let listen = running.listen().map(|address| address.to_string()).unwrap_or_default();
    let ops = running.ops().to_string();
    tracing::info!(listen, ops, "serving");
    let Some(path) = ready_file else { return Ok(()) };
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&draft)?;
        writeln!(file, "{}", json!({"listen": listen, "ops": ops}))?;
        std::fs::rename(&draft, path)
    };
    write().map_err(|error| CliError::Usage(format!("{}: {error}", path.display())))
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, CliError> {
        let listen = |kind| {
            signal(kind).map_err(|error| CliError::unreachable("signals cannot be heard", error))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        if error.is_configuration() {
            let source = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            return Self::Usage(format!("{error}{}", source.unwrap_or_default()));
        }
        Self::unreachable("the server does not start", error)
    }
}
