//! Shell completions.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Verdict};

/// Print the completions of a shell
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which shell
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Verdict {
    clap_complete::generate(args.shell, &mut Cli::command(), "onair", &mut io::stdout());
    Verdict::Good
}
