//! The contract of the sockets (`AsyncAPI`).

use super::{CliError, Verdict};
use crate::asyncapi::document_json;

/// Print the contract of the sockets
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(Args {}: &Args) -> Result<Verdict, CliError> {
    print!("{}", document_json().map_err(CliError::usage)?);
    Ok(Verdict::Good)
}
