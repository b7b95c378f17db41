//! The promise that an order was accepted, and whether the log keeps it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use commands::intake::{Receipt, receipt_leaf, verify_receipt};
use domain::views::ReceiptJson;
use projections::replay::accepted_order;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::timeline::{asked, own_order};
use crate::extract::{Auditor, OrderPath};
use crate::problem::Problem;
use crate::responses::Refusals;
use crate::state::App;

/// A receipt against the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditReceipt {
    /// The order.
    pub order_id: Uuid,
    /// The position of its acceptance.
    pub position: u64,
    /// What the log says was promised: the text that a receipt's leaf has.
    pub promise: String,
    /// The receipt as it was given; null where it is kept no longer (24 hours): its owner has it.
    #[schema(value_type = Option<Object>)]
    pub receipt: Option<ReceiptJson>,
    /// Whether the receipt is signed by this installation and says what the log says; null without
    /// one.
    pub good: Option<bool>,
    /// What is wrong with it.
    pub detail: Option<String>,
    /// The public key of this installation's receipts, in hexadecimal.
    pub public_key: String,
}

/// Read the receipt of an order, held against the log
#[utoipa::path(
    get, path = "/v1/audit/receipts/{order}", tag = "audit", operation_id = "readAuditReceipt",
    params(("order" = Uuid, Path, description = "The order.")),
    responses((status = 200, description = "The receipt and the promise", body = AuditReceipt), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["auditor"])))
)]
pub async fn read(
    State(app): State<Arc<App>>,
    Auditor(caller): Auditor,
    OrderPath(order): OrderPath,
) -> Result<Json<AuditReceipt>, Problem> {
    own_order(&app, &caller, order).await?;
    let found = accepted_order(app.reader.as_ref(), order).await.map_err(asked)?;
    let (position, accepted, source) = found;
    let promise = receipt_leaf(&accepted, &source);
    let receipt = app.accepted.get(order).await?.and_then(|accepted| accepted.receipt);
    let wrong = receipt.as_ref().map(|receipt| wrong(receipt, &promise, &app.audit.receipt_key));
    Ok(Json(AuditReceipt {
        order_id: order.0,
        position: position.0,
        promise,
        receipt,
        good: wrong.as_ref().map(Option::is_none),
        detail: wrong.flatten(),
        public_key: hex::encode(app.audit.receipt_key),
    }))
}

/// What does not fit. A command that was sent twice stands in two places of the command log, so
/// the place is no part of the promise.
fn wrong(receipt: &ReceiptJson, promise: &str, key: &[u8; 32]) -> Option<String> {
    let receipt: Receipt = match serde_json::from_str(receipt.as_str()) {
        Ok(receipt) => receipt,
        Err(error) => return Some(error.to_string()),
    };
    if let Err(error) = verify_receipt(&receipt, key) {
        return Some(error.to_string());
    }
    let without_place = |leaf: &str| {
        let mut leaf: serde_json::Value = serde_json::from_str(leaf).ok()?;
        leaf.as_object_mut()?.remove("source");
        Some(leaf)
    };
    (without_place(&receipt.leaf) != without_place(promise))
        .then(|| "the log holds another order than was promised".to_owned())
}
