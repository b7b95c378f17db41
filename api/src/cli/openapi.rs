//! The HTTP contract.

use super::{CliError, Verdict};
use crate::openapi::document_json;

/// Print the HTTP contract (OpenAPI)
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(Args {}: &Args) -> Result<Verdict, CliError> {
    print!("{}", document_json().map_err(CliError::usage)?);
    Ok(Verdict::Good)
}
