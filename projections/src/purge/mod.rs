//! What names a person outside the log, in the tables beside it: counted, and taken away.

mod postgres;
mod sqlite;

use domain::ids::{OrderId, SellerId};
use domain::ports::PortError;
use domain::views::OrderView;
use serde::Serialize;

use crate::read_model::{Slot, open_pool, open_sqlite};
use crate::rebuild::{self, Model};

const NAME: &str = "the copies of personal fields";

/// Whose copies.
#[derive(Debug, Clone)]
pub struct Person {
    /// Within which seller.
    pub seller: SellerId,
    /// Keyed pseudonyms.
    pub pseudonyms: Vec<String>,
    /// Ids that the person's tokens have.
    pub names: Vec<String>,
    /// The person's orders.
    pub orders: Vec<OrderId>,
}

/// How many rows of each table name the person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Copies {
    /// Rows of the order book with a name, a reference, fields of the shop or a next action.
    pub order_book: u64,
    /// Tables of the order book that were built aside, or served before: they go as a whole.
    pub order_book_aside: u64,
    /// What the person said in chats.
    pub chat_log: u64,
    /// Webhooks about the person's orders.
    pub webhook_deliveries: u64,
}

impl Copies {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Counts the copies; with `apply` they are taken away, rows of the order book by forgetting what
/// the log cannot tell any more.
///
/// # Errors
/// The database cannot be reached; what was taken away until then stays away, and doing it again is
/// safe.
pub async fn copies(database: &str, person: &Person, apply: bool) -> Result<Copies, PortError> {
    let mut found = if database.starts_with("sqlite:") {
        let pool = open_sqlite(database).await?;
        sqlite::copies(&pool, person, apply).await?
    } else {
        let pool = open_pool(database).await?;
        postgres::copies(&pool, person, apply).await?
    };
    if person.orders.is_empty() {
        return Ok(found);
    }
    let tables = rebuild::open(database, Model::OrderBook).await?;
    let slots = tables.slots().await?;
    for slot in [Slot::Shadow, Slot::Previous] {
        if slots.of(slot).is_some() {
            found.order_book_aside += 1;
            if apply {
                tables.discard(slot).await?;
            }
        }
    }
    Ok(found)
}

/// The row without what names somebody; absent where it names nobody.
fn forgotten(mut view: OrderView) -> Option<OrderView> {
    let before = view.clone();
    view.viewer = None;
    view.reference = None;
    view.metadata = None;
    view.payment.next_action = None;
    (view != before).then_some(view)
}

/// The same statements on either database; `$sql` says what differs.
macro_rules! copies_on {
    ($pool:ty, $begin:expr, $sql:expr) => {
        /// As of [`super::copies`], in one transaction.
        pub(super) async fn copies(
            pool: &$pool,
            person: &Person,
            apply: bool,
        ) -> Result<Copies, PortError> {
            let lost = unreachable_as(NAME);
            let sql: super::Statements = $sql;
            let mut found = Copies::default();
            let mut transaction = pool.begin_with($begin).await.map_err(lost)?;
            for pseudonym in &person.pseudonyms {
                let orders = if apply { sql.orders_held } else { sql.orders };
                let rows: Vec<(String, String)> = sqlx::query_as(orders)
                    .bind(person.seller.as_str())
                    .bind(pseudonym)
                    .fetch_all(&mut *transaction)
                    .await
                    .map_err(lost)?;
                for (id, view) in rows {
                    let Some(view) = super::forgotten(decode(NAME, &view)?) else { continue };
                    found.order_book += 1;
                    if apply {
                        sqlx::query(sql.forget_order)
                            .bind(id)
                            .bind(encode(NAME, &view)?)
                            .execute(&mut *transaction)
                            .await
                            .map_err(lost)?;
                    }
                }
            }
            for name in &person.names {
                let count: i64 = sqlx::query_scalar(sql.chat)
                    .bind(person.seller.as_str())
                    .bind(name)
                    .fetch_one(&mut *transaction)
                    .await
                    .map_err(lost)?;
                found.chat_log += u64::try_from(count).unwrap_or(0);
                if apply {
                    sqlx::query(sql.forget_chat)
                        .bind(person.seller.as_str())
                        .bind(name)
                        .execute(&mut *transaction)
                        .await
                        .map_err(lost)?;
                }
            }
            for order in &person.orders {
                let count: i64 = sqlx::query_scalar(sql.webhooks)
                    .bind(order.to_string())
                    .fetch_one(&mut *transaction)
                    .await
                    .map_err(lost)?;
                found.webhook_deliveries += u64::try_from(count).unwrap_or(0);
                if apply && count > 0 {
                    sqlx::query(sql.forget_webhooks)
                        .bind(order.to_string())
                        .execute(&mut *transaction)
                        .await
                        .map_err(lost)?;
                }
            }
            transaction.commit().await.map_err(lost)?;
            Ok(found)
        }
    };
}
use copies_on;

/// The statements of one database.
struct Statements {
    orders: &'static str,
    /// The same, and nobody else changes them until the transaction ends.
    orders_held: &'static str,
    forget_order: &'static str,
    chat: &'static str,
    forget_chat: &'static str,
    webhooks: &'static str,
    forget_webhooks: &'static str,
}
