//! What every command that repairs is asked for.

use domain::repair::Repair;

use crate::cli::CliError;

#[derive(Debug, clap::Args)]
pub(super) struct RepairArgs {
    /// Repair what differs
    #[arg(long, requires_all = ["author", "ticket", "reason"])]
    pub apply: bool,
    /// Who repairs
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Where it was agreed
    #[arg(long, value_name = "TICKET")]
    ticket: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl RepairArgs {
    /// The repair, where one is asked for.
    pub fn repair(&self) -> Result<Option<Repair>, CliError> {
        if !self.apply {
            return Ok(None);
        }
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (author, ticket) = (text(&self.author), text(&self.ticket));
        Repair::try_new(&author, &ticket, &text(&self.reason)).map(Some).map_err(CliError::usage)
    }
}
