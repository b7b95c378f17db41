//! What names a person outside the log, in the tables beside it: counted, and taken away.

mod postgres;
mod sqlite;

use std::collections::BTreeSet;

use domain::envelope::Position;
use domain::ids::{BroadcastId, OrderId, SellerId};
use domain::ports::{PortError, WebhookBook};
use domain::views::OrderView;
use serde::Serialize;

use crate::read_model::{Slot, open_pool, open_sqlite};
use crate::rebuild::{self, Model};
use crate::waitlist::WaitRow;
use crate::webhooks::PostgresWebhookBook;

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
    /// Whether the person ever waited for what was sold out.
    pub waited: bool,
}

/// How many rows of each table name the person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Copies {
    /// Rows of the order book with a name, a reference, fields of the shop or a next action.
    pub order_book: u64,
    /// Tables of the order book that were built aside, or served before: they go as a whole.
    pub order_book_aside: u64,
    /// Rows of the waitlist with a name.
    pub waitlist: u64,
    /// Tables of the waitlist that were built aside, or served before: they go as a whole.
    pub waitlist_aside: u64,
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

/// What was found of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// How much.
    pub copies: Copies,
    /// The broadcasts that the person said something in.
    pub spoke_in: BTreeSet<BroadcastId>,
}

/// Counts the copies; with `apply` they are taken away, rows of the order book by forgetting what
/// the log cannot tell any more.
///
/// # Errors
/// The database cannot be reached; what was taken away until then stays away, and doing it again is
/// safe.
pub async fn copies(database: &str, person: &Person, apply: bool) -> Result<Found, PortError> {
    let mut found = if database.starts_with("sqlite:") {
        let pool = open_sqlite(database).await?;
        sqlite::copies(&pool, person, apply).await?
    } else {
        let pool = open_pool(database).await?;
        postgres::copies(&pool, person, apply).await?
    };
    if !person.orders.is_empty() {
        found.copies.order_book_aside = aside(database, Model::OrderBook, apply).await?;
    }
    if person.waited {
        found.copies.waitlist_aside = aside(database, Model::Waitlist, apply).await?;
    }
    Ok(found)
}

/// The tables with copies that have not applied the log up to a position, and how many events each
/// lacks. What a topic holds for them is in plain: taken away too early, a copy would come back.
/// Tables of a file are folded from the store, whose keys are gone by then: they lack nothing.
///
/// # Errors
/// The database cannot be reached.
pub async fn behind(database: &str, head: Position) -> Result<Vec<(&'static str, u64)>, PortError> {
    if database.starts_with("sqlite:") {
        return Ok(vec![]);
    }
    let mut at = vec![];
    for model in [Model::OrderBook, Model::Waitlist] {
        at.push((model.name(), rebuild::open(database, model).await?.slots().await?.live));
    }
    let webhooks = PostgresWebhookBook::new(open_pool(database).await?);
    at.push(("webhook_deliveries", webhooks.checkpoint().await?));
    let lacks = |position: Position| head.0.saturating_sub(position.0);
    // a table that nothing was ever folded into belongs to a role that does not run here
    at.retain(|(_, position)| *position > Position::START && lacks(*position) > 0);
    Ok(at.into_iter().map(|(name, position)| (name, lacks(position))).collect())
}

/// Counts the tables beside those that serve; with `apply` they are thrown away.
async fn aside(database: &str, model: Model, apply: bool) -> Result<u64, PortError> {
    let tables = rebuild::open(database, model).await?;
    let slots = tables.slots().await?;
    let mut found = 0;
    for slot in [Slot::Shadow, Slot::Previous] {
        if slots.of(slot).is_some() {
            found += 1;
            if apply {
                tables.discard(slot).await?;
            }
        }
    }
    Ok(found)
}

/// The wait without a name; absent where it has none.
fn nameless(mut row: WaitRow) -> Option<WaitRow> {
    row.viewer.take().map(|_| row)
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
    ($pool:ty, $connection:ty, $begin:expr, $sql:expr) => {
        /// As of [`super::copies`], in one transaction.
        pub(super) async fn copies(
            pool: &$pool,
            person: &Person,
            apply: bool,
        ) -> Result<Found, PortError> {
            let lost = unreachable_as(NAME);
            let sql: super::Statements = $sql;
            let mut found = Found::default();
            let mut transaction = pool.begin_with($begin).await.map_err(lost)?;
            for pseudonym in &person.pseudonyms {
                let whose = (person.seller.as_str(), pseudonym.as_str());
                let (orders, waits) = (&sql.orders, &sql.waits);
                let copies = &mut found.copies;
                copies.order_book +=
                    forget_rows(&mut transaction, orders, whose, super::forgotten, apply).await?;
                copies.waitlist +=
                    forget_rows(&mut transaction, waits, whose, super::nameless, apply).await?;
            }
            for name in &person.names {
                let said: Vec<(String, i64)> = sqlx::query_as(sql.chat)
                    .bind(person.seller.as_str())
                    .bind(name)
                    .fetch_all(&mut *transaction)
                    .await
                    .map_err(lost)?;
                for (broadcast, count) in said {
                    found.copies.chat_log += u64::try_from(count).unwrap_or(0);
                    found.spoke_in.extend(broadcast.parse::<BroadcastId>());
                }
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
                found.copies.webhook_deliveries += u64::try_from(count).unwrap_or(0);
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

        /// Counts the rows of a person that name somebody; with `apply` each is written without.
        async fn forget_rows<T: DeserializeOwned + Serialize>(
            on: &mut $connection,
            sql: &super::Rows,
            (seller, pseudonym): (&str, &str),
            forgotten: fn(T) -> Option<T>,
            apply: bool,
        ) -> Result<u64, PortError> {
            let lost = unreachable_as(NAME);
            let rows: Vec<(String, String)> =
                sqlx::query_as(if apply { sql.held } else { sql.all })
                    .bind(seller)
                    .bind(pseudonym)
                    .fetch_all(&mut *on)
                    .await
                    .map_err(lost)?;
            let mut found = 0;
            for (id, view) in rows {
                let Some(view) = forgotten(decode(NAME, &view)?) else { continue };
                found += 1;
                if apply {
                    sqlx::query(sql.put)
                        .bind(id)
                        .bind(encode(NAME, &view)?)
                        .execute(&mut *on)
                        .await
                        .map_err(lost)?;
                }
            }
            Ok(found)
        }
    };
}
use copies_on;

/// The statements of one database.
struct Statements {
    orders: Rows,
    waits: Rows,
    chat: &'static str,
    forget_chat: &'static str,
    webhooks: &'static str,
    forget_webhooks: &'static str,
}

/// The statements about a table whose rows are written anew.
struct Rows {
    all: &'static str,
    /// The same, and nobody else changes them until the transaction ends.
    held: &'static str,
    put: &'static str,
}
