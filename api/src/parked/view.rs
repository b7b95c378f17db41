//! A parked command as people look at it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use commands::writer::PARKED_MONEY;
use domain::command::{Command, CommandRecord};
use domain::fingerprint::Fingerprint;
use domain::ids::{SellerId, derive_id};
use domain::ports::{ParkedAction, ParkedCommand};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// Characters of a fingerprint.
const FINGERPRINT_CHARS: usize = 16;

/// A command that could not be processed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Parked)]
pub struct ParkedBody {
    /// Its id.
    pub id: Uuid,
    /// What it asks for, such as `record_payment`; null where it does not parse.
    pub command: Option<String>,
    /// What waits together: an order, a spotlight or a broadcast.
    pub sequence: String,
    /// Why it could not be processed.
    pub error: String,
    /// The same for the same kind of command and error.
    pub fingerprint: String,
    /// When it was put aside.
    pub parked_at: DateTime<Utc>,
    /// When its order ends; null where it is about money of an order that has ended.
    pub deadline: Option<DateTime<Utc>>,
    /// What somebody wants done: `{verb: retry|discard|keep, author, reason, at}`.
    #[schema(value_type = Option<Object>)]
    pub action: Option<ParkedAction>,
    /// The record as it stood in the log; null where it does not parse.
    #[schema(value_type = Option<Object>)]
    pub record: Value,
}

/// Parked commands of one kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct ParkedGroup {
    /// What they have in common.
    pub fingerprint: String,
    /// What they ask for.
    pub command: Option<String>,
    /// Why the first of them could not be processed.
    pub error: String,
    /// How many there are.
    pub count: usize,
}

/// Parked commands.
#[derive(Debug, Serialize, ToSchema)]
pub struct ParkedList {
    /// The commands, oldest first.
    pub items: Vec<ParkedBody>,
    /// The same, counted.
    pub groups: Vec<ParkedGroup>,
    /// Always null: there is one page.
    pub next_cursor: Option<String>,
}

impl ParkedList {
    /// What is shown of them.
    pub fn of(parked: &[ParkedCommand]) -> Self {
        let mut groups: BTreeMap<String, ParkedGroup> = BTreeMap::new();
        let items: Vec<ParkedBody> = parked.iter().map(ParkedBody::of).collect();
        for item in &items {
            let group = groups.entry(item.fingerprint.clone()).or_insert_with(|| ParkedGroup {
                fingerprint: item.fingerprint.clone(),
                command: item.command.clone(),
                error: item.error.clone(),
                count: 0,
            });
            group.count += 1;
        }
        Self { items, groups: groups.into_values().collect(), next_cursor: None }
    }
}

impl ParkedBody {
    /// What is shown of it.
    pub fn of(parked: &ParkedCommand) -> Self {
        Self {
            id: id_of(parked),
            command: kind_of(parked),
            sequence: parked.sequence.clone(),
            error: parked.error.clone(),
            fingerprint: fingerprint(parked),
            parked_at: parked.parked_at,
            deadline: (!is_money(parked)).then_some(parked.deadline),
            action: parked.action.clone(),
            record: serde_json::from_slice(&parked.value).unwrap_or_default(),
        }
    }
}

/// The id of a parked command: it follows from where it stood.
pub fn id_of(parked: &ParkedCommand) -> Uuid {
    let source = &parked.source;
    let place = [&source.partition.to_be_bytes()[..], &source.offset.to_be_bytes()[..]];
    derive_id("parked", &[source.topic.as_bytes(), place[0], place[1]])
}

/// Whether it is about money of an order that has ended: no deadline ends it.
pub fn is_money(parked: &ParkedCommand) -> bool {
    let waits = (parked.deadline - parked.parked_at).to_std().unwrap_or_default();
    waits >= PARKED_MONEY
}

/// Whether it can be decided at all.
pub fn may_retry(parked: &ParkedCommand) -> bool {
    record_of(parked).is_some()
}

/// Whose it is, as far as it can be told.
pub fn seller_of(parked: &ParkedCommand) -> Option<SellerId> {
    let value: Value = serde_json::from_slice(&parked.value).ok()?;
    SellerId::try_new(value.get("seller")?.as_str()?).ok()
}

fn record_of(parked: &ParkedCommand) -> Option<CommandRecord> {
    serde_json::from_slice(&parked.value).ok()
}

/// The name of what is asked for.
fn kind_of(parked: &ParkedCommand) -> Option<String> {
    let command = match record_of(parked)?.command {
        Command::Broadcast { command } => serde_json::to_value(command),
        Command::Spotlight { command } => serde_json::to_value(command),
        Command::Order { command } => serde_json::to_value(command),
    };
    command.ok()?.get("type")?.as_str().map(ToOwned::to_owned)
}

/// The same for the same kind of command and error, whatever ids and numbers stand in it.
pub(super) fn fingerprint(parked: &ParkedCommand) -> String {
    let plain: String =
        parked.error.chars().filter(|letter| !letter.is_ascii_digit() && *letter != '-').collect();
    let text = format!("{}\n{plain}", kind_of(parked).unwrap_or_default());
    Fingerprint::of(text.as_bytes()).to_string().chars().take(FINGERPRINT_CHARS).collect()
}
