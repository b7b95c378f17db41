//! The command line: stdout is data, stderr is everything else.

mod asyncapi;
mod bench;
mod completions;
mod config;
mod demo;
mod doctor;
mod exit;
mod logging;
mod migrate;
mod openapi;
mod replay;
mod serve;
mod settings;
mod sim;
mod token;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

pub use exit::{CliError, Verdict};
pub use settings::SettingArgs;

/// The order, stock and real-time backend of live commerce.
#[derive(Debug, Parser)]
#[command(name = "onair", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 done, or the verdict is good; 1 the verdict is bad; 2 usage, \
    configuration or an unknown id; 3 something it depends on cannot be reached."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Serve(serve::Args),
    Migrate(migrate::Args),
    Doctor(doctor::Args),
    Token(token::Args),
    Config(config::Args),
    Replay(replay::Args),
    Openapi(openapi::Args),
    Asyncapi(asyncapi::Args),
    Completions(completions::Args),
    Bench(bench::Args),
    Sim(sim::Args),
    #[command(hide = true)]
    BenchReference(bench::ReferenceArgs),
}

impl Command {
    fn run(self) -> Result<Verdict, CliError> {
        match self {
            Self::Demo(args) => in_runtime(demo::run(args)),
            Self::Serve(args) => in_runtime(serve::run(args)),
            Self::Migrate(args) => in_runtime(migrate::run(args)),
            Self::Doctor(args) => in_runtime(doctor::run(args)),
            Self::Token(args) => token::run(&args),
            Self::Config(args) => config::run(&args),
            Self::Replay(args) => in_runtime(replay::run(args)),
            Self::Openapi(args) => openapi::run(&args),
            Self::Asyncapi(args) => asyncapi::run(&args),
            Self::Completions(args) => Ok(completions::run(&args)),
            Self::Bench(args) => in_runtime(bench::run(args)),
            Self::Sim(args) => Ok(sim::run(&args)),
            Self::BenchReference(args) => in_runtime(bench::serve_reference(args)),
        }
    }
}

fn in_runtime(work: impl Future<Output = Result<Verdict, CliError>>) -> Result<Verdict, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::unreachable("the runtime does not start", error))?;
    // a program has a large stack of futures at its root, and only one of them
    runtime.block_on(Box::pin(work))
}

/// Runs the program.
pub fn main() -> ExitCode {
    // the one crypto library of TLS; a second call is no error
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    match cli.command.run() {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::from(exit::BAD),
        Err(error) => {
            error.print();
            ExitCode::from(error.code())
        }
    }
}

/// Help and version are data; no argument prints help; the rest is a usage error.
fn refused(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            if std::env::args_os().len() < 2 =>
        {
            let _ = Cli::command().print_long_help();
            ExitCode::SUCCESS
        }
        _ => {
            let _ = error.print();
            ExitCode::from(exit::USAGE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
