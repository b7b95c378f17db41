//! The one binary of onair.

use std::process::ExitCode;

fn main() -> ExitCode {
    api::cli::main()
}
