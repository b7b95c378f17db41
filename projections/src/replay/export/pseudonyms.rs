//! A log without what names a person.

use async_trait::async_trait;
use domain::envelope::Position;
use domain::ports::{PortError, RowReader};
use domain::row::StoredRow;
use domain::seal::{KeyRecord, Seal, SealedBlock};
use serde_json::Value;

/// The object of an event that holds what names a person; beside it stand keyed pseudonyms.
const PERSONAL: &str = "personal";

/// Rows without their personal fields. Their hashes are others: no seal fits them, and none is
/// shown.
pub struct Pseudonymized<'a>(pub &'a dyn RowReader);

fn without(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove(PERSONAL);
            members.values_mut().for_each(without);
        }
        Value::Array(items) => items.iter_mut().for_each(without),
        _ => {}
    }
}

/// A payload that is no JSON, as only a damaged store has it, may hold anything: it becomes `null`.
fn pseudonymized(mut row: StoredRow) -> StoredRow {
    let mut payload: Value = serde_json::from_slice(&row.payload).unwrap_or_default();
    without(&mut payload);
    row.payload = payload.to_string().into_bytes();
    row
}

#[async_trait]
impl RowReader for Pseudonymized<'_> {
    async fn rows(&self, after: Position, limit: usize) -> Result<Vec<StoredRow>, PortError> {
        let rows = self.0.rows(after, limit).await?;
        Ok(rows.into_iter().map(pseudonymized).collect())
    }

    async fn last_row(&self) -> Result<Position, PortError> {
        self.0.last_row().await
    }

    async fn seals(&self, _: u64, _: usize) -> Result<Vec<Seal>, PortError> {
        Ok(vec![])
    }

    async fn block(&self, _: u64) -> Result<Option<SealedBlock>, PortError> {
        Ok(None)
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, PortError> {
        Ok(vec![])
    }
}
