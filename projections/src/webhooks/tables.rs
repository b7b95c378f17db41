//! The book on a database. Both databases take the same statements, so they are written once; only
//! the checkpoint's transaction differs.

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::Position;
use domain::ids::SellerId;
use domain::ports::{
    AttemptResult, ClaimedDelivery, Page, PortError, WebhookBook, WebhookDelivery, WebhookEndpoint,
    WebhookMessage,
};
use sqlx::{PgPool, SqlitePool};
use uuid::Uuid;

use super::rows::{DELIVERY, DeliveryRow, ENDPOINT, EndpointRow, endpoint_text, key};
use super::{NAME, identity};
use crate::read_model::{
    Cursor, column_limit, encode, micros, page_limit, page_of, postgres, sqlite, unreachable_as,
};

const REGISTER: &str = "INSERT INTO webhook_endpoints (id, seller, url, events, description, \
     status, generation, created_us)
     SELECT $1, $2, $3, $4, $5, $6, $7, $8
     WHERE (SELECT count(*) FROM webhook_endpoints WHERE seller = $2) < $9";

const UPDATE: &str = "UPDATE webhook_endpoints SET status = $2, disabled_reason = $3, \
     generation = $4, previous_until_us = $5, failing_since_us = $6 WHERE id = $1";

const ENQUEUE: &str = "INSERT INTO webhook_deliveries (id, endpoint, event, body, status, \
     next_us, created_us)
     SELECT $1, $2, $3, $4, 'pending', $5, $5
     WHERE EXISTS (SELECT 1 FROM webhook_endpoints WHERE id = $2)
     ON CONFLICT (id) DO NOTHING";

/// What is leased already takes its endpoint's first turns. The `leased_us` of the outer statement is asked again under the row's lock: of two processes
/// that chose the same rows one finds them taken.
const CLAIM: &str = "UPDATE webhook_deliveries SET leased_us = $2, last_us = $1, \
         attempts = attempts + 1
     WHERE status = 'pending' AND leased_us <= $1 AND id IN (
         SELECT id FROM (
             SELECT d.id, d.next_us, d.leased_us, row_number() OVER (PARTITION BY d.endpoint
                 ORDER BY CASE WHEN d.leased_us > $1 THEN 0 ELSE 1 END, d.next_us, d.id) AS turn
             FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint
             WHERE d.status = 'pending' AND d.next_us <= $1 AND e.status = 'enabled'
         ) due WHERE turn <= $3 AND leased_us <= $1 ORDER BY next_us, id LIMIT $4)";

const SETTLE: &str = "UPDATE webhook_deliveries SET status = $3, next_us = $4, leased_us = 0, \
         response_status = $5, error = $6, delivered_us = $7
     WHERE id = $1 AND leased_us = $2";

const TAKEN: &str = "UPDATE webhook_endpoints SET failing_since_us = NULL \
     WHERE id = $1 AND failing_since_us IS NOT NULL";

const FAILING: &str = "UPDATE webhook_endpoints SET \
         failing_since_us = COALESCE(failing_since_us, $2),
         status = CASE WHEN $3 IS NULL THEN status ELSE 'disabled' END,
         disabled_reason = COALESCE($3, disabled_reason)
     WHERE id = $1";

const REDELIVER: &str = "UPDATE webhook_deliveries SET status = 'pending', attempts = 0, \
         next_us = $3, leased_us = 0, error = NULL, delivered_us = NULL
     WHERE id = $1 AND endpoint = $2";

const PRUNE: &str = "DELETE FROM webhook_deliveries WHERE id IN (
         SELECT id FROM webhook_deliveries
         WHERE status <> 'pending' AND created_us < $1 LIMIT $2)";

fn page_statement(cursor: Option<&Cursor>) -> String {
    let after = if cursor.is_some() { " AND (created_us, id) < ($3, $4)" } else { "" };
    format!(
        "SELECT {DELIVERY} FROM webhook_deliveries WHERE endpoint = $1{after}
         ORDER BY created_us DESC, id DESC LIMIT $2"
    )
}

fn all<T, R: TryInto<T, Error = PortError>>(rows: Vec<R>) -> Result<Vec<T>, PortError> {
    rows.into_iter().map(TryInto::try_into).collect()
}

/// How an attempt's end is written: status, next time, time of delivery.
fn ended(result: &AttemptResult) -> (&'static str, Option<i64>, Option<i64>) {
    match (&result.error, result.retry_at) {
        (None, _) => ("delivered", None, Some(micros(result.at))),
        (Some(_), Some(retry_at)) => ("pending", Some(micros(retry_at)), None),
        (Some(_), None) => ("failed", None, None),
    }
}

macro_rules! webhook_book {
    ($(#[$doc:meta])* $name:ident, $pool:ty, $begin:expr, $lock:path, $database:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            pool: $pool,
        }

        impl $name {
            /// The book of a migrated database.
            pub const fn new(pool: $pool) -> Self {
                Self { pool }
            }

            async fn delivery(&self, id: Uuid) -> Result<Option<WebhookDelivery>, PortError> {
                let statement = format!("SELECT {DELIVERY} FROM webhook_deliveries WHERE id = $1");
                let row: Option<DeliveryRow> = sqlx::query_as(&statement)
                    .bind(id.to_string())
                    .fetch_optional(&self.pool)
                    .await
                    .map_err(unreachable_as(NAME))?;
                row.map(TryInto::try_into).transpose()
            }
        }

        #[async_trait]
        impl WebhookBook for $name {
            async fn checkpoint(&self) -> Result<Position, PortError> {
                $database::checkpoint(&self.pool, &identity()).await
            }

            async fn enqueue(
                &self,
                from: Position,
                to: Position,
                messages: &[WebhookMessage],
            ) -> Result<Position, PortError> {
                let identity = identity();
                let mut transaction = $begin(&self.pool, &identity).await?;
                let known = $lock(&mut transaction, &identity).await?;
                if known != from {
                    return Ok(known);
                }
                for message in messages {
                    sqlx::query(ENQUEUE)
                        .bind(message.id.to_string())
                        .bind(message.endpoint.to_string())
                        .bind(&message.event)
                        .bind(&message.body)
                        .bind(micros(message.created_at))
                        .execute(&mut *transaction)
                        .await
                        .map_err(unreachable_as(NAME))?;
                }
                $database::advance(&mut transaction, &identity, from, to).await?;
                transaction.commit().await.map_err(unreachable_as(NAME))?;
                Ok(to)
            }

            async fn register(
                &self,
                endpoint: &WebhookEndpoint,
                most: usize,
            ) -> Result<bool, PortError> {
                let done = sqlx::query(REGISTER)
                    .bind(endpoint.id.to_string())
                    .bind(endpoint.seller.as_str())
                    .bind(&endpoint.url)
                    .bind(encode(NAME, &endpoint.events)?)
                    .bind(&endpoint.description)
                    .bind(endpoint_text(endpoint.status))
                    .bind(i64::from(endpoint.generation))
                    .bind(micros(endpoint.created_at))
                    .bind(column_limit(most))
                    .execute(&self.pool)
                    .await
                    .map_err(unreachable_as(NAME))?;
                Ok(done.rows_affected() == 1)
            }

            async fn endpoints(
                &self,
                seller: &SellerId,
            ) -> Result<Vec<WebhookEndpoint>, PortError> {
                let statement = format!(
                    "SELECT {ENDPOINT} FROM webhook_endpoints WHERE seller = $1
                     ORDER BY created_us, id"
                );
                let rows: Vec<EndpointRow> = sqlx::query_as(&statement)
                    .bind(seller.as_str())
                    .fetch_all(&self.pool)
                    .await
                    .map_err(unreachable_as(NAME))?;
                all(rows)
            }

            async fn enabled(&self) -> Result<Vec<WebhookEndpoint>, PortError> {
                let statement =
                    format!("SELECT {ENDPOINT} FROM webhook_endpoints WHERE status = 'enabled'");
                let rows: Vec<EndpointRow> = sqlx::query_as(&statement)
                    .fetch_all(&self.pool)
                    .await
                    .map_err(unreachable_as(NAME))?;
                all(rows)
            }

            async fn update(&self, endpoint: &WebhookEndpoint) -> Result<bool, PortError> {
                let done = sqlx::query(UPDATE)
                    .bind(endpoint.id.to_string())
                    .bind(endpoint_text(endpoint.status))
                    .bind(&endpoint.disabled_reason)
                    .bind(i64::from(endpoint.generation))
                    .bind(endpoint.previous_until.map(micros))
                    .bind(endpoint.failing_since.map(micros))
                    .execute(&self.pool)
                    .await
                    .map_err(unreachable_as(NAME))?;
                Ok(done.rows_affected() == 1)
            }

            async fn remove(&self, seller: &SellerId, endpoint: Uuid) -> Result<bool, PortError> {
                let done =
                    sqlx::query("DELETE FROM webhook_endpoints WHERE id = $1 AND seller = $2")
                        .bind(endpoint.to_string())
                        .bind(seller.as_str())
                        .execute(&self.pool)
                        .await
                        .map_err(unreachable_as(NAME))?;
                Ok(done.rows_affected() == 1)
            }

            async fn claim(
                &self,
                now: Timestamp,
                lease: Timestamp,
                each: usize,
                most: usize,
            ) -> Result<Vec<ClaimedDelivery>, PortError> {
                let statement = format!("{CLAIM} RETURNING {DELIVERY}");
                let rows: Vec<DeliveryRow> = sqlx::query_as(&statement)
                    .bind(micros(now))
                    .bind(micros(lease))
                    .bind(column_limit(each))
                    .bind(column_limit(most))
                    .fetch_all(&self.pool)
                    .await
                    .map_err(unreachable_as(NAME))?;
                if rows.is_empty() {
                    return Ok(vec![]);
                }
                let endpoints = self.enabled().await?;
                let deliveries: Vec<WebhookDelivery> = all(rows)?;
                // one that was disabled or removed in between is left to its lease
                let claimed = deliveries.into_iter().filter_map(|delivery| {
                    let endpoint =
                        endpoints.iter().find(|endpoint| endpoint.id == delivery.message.endpoint)?;
                    Some(ClaimedDelivery { delivery, endpoint: endpoint.clone(), lease })
                });
                Ok(claimed.collect())
            }

            async fn settle(
                &self,
                claimed: &ClaimedDelivery,
                result: &AttemptResult,
            ) -> Result<bool, PortError> {
                let unreachable = unreachable_as(NAME);
                let mut transaction = $begin(&self.pool, &identity()).await?;
                let (status, next, delivered) = ended(result);
                let done = sqlx::query(SETTLE)
                    .bind(claimed.delivery.message.id.to_string())
                    .bind(micros(claimed.lease))
                    .bind(status)
                    .bind(next)
                    .bind(result.response_status.map(i64::from))
                    .bind(&result.error)
                    .bind(delivered)
                    .execute(&mut *transaction)
                    .await
                    .map_err(unreachable)?;
                if done.rows_affected() != 1 {
                    return Ok(false);
                }
                let endpoint = claimed.endpoint.id.to_string();
                let after = if result.error.is_none() {
                    sqlx::query(TAKEN).bind(endpoint)
                } else {
                    sqlx::query(FAILING).bind(endpoint).bind(micros(result.at)).bind(&result.disable)
                };
                after.execute(&mut *transaction).await.map_err(unreachable)?;
                transaction.commit().await.map_err(unreachable)?;
                Ok(true)
            }

            async fn deliveries(
                &self,
                endpoint: Uuid,
                cursor: Option<&str>,
                limit: usize,
            ) -> Result<Page<WebhookDelivery>, PortError> {
                let cursor = Cursor::decode_optional(cursor)?;
                let limit = page_limit(limit);
                let statement = page_statement(cursor.as_ref());
                let mut list = sqlx::query_as(&statement)
                    .bind(endpoint.to_string())
                    .bind(column_limit(limit + 1));
                if let Some(cursor) = cursor {
                    list = list.bind(cursor.micros).bind(cursor.id.to_string());
                }
                let rows: Vec<DeliveryRow> =
                    list.fetch_all(&self.pool).await.map_err(unreachable_as(NAME))?;
                Ok(page_of(all(rows)?, limit, key))
            }

            async fn redeliver(
                &self,
                endpoint: Uuid,
                delivery: Uuid,
                now: Timestamp,
            ) -> Result<Option<WebhookDelivery>, PortError> {
                let done = sqlx::query(REDELIVER)
                    .bind(delivery.to_string())
                    .bind(endpoint.to_string())
                    .bind(micros(now))
                    .execute(&self.pool)
                    .await
                    .map_err(unreachable_as(NAME))?;
                if done.rows_affected() == 1 { self.delivery(delivery).await } else { Ok(None) }
            }

            async fn prune(&self, before: Timestamp, most: usize) -> Result<u64, PortError> {
                let done = sqlx::query(PRUNE)
                    .bind(micros(before))
                    .bind(column_limit(most))
                    .execute(&self.pool)
                    .await
                    .map_err(unreachable_as(NAME))?;
                Ok(done.rows_affected())
            }
        }
    };
}

async fn begin_postgres(
    pool: &PgPool,
    identity: &crate::read_model::Identity,
) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, PortError> {
    pool.begin().await.map_err(unreachable_as(identity.name))
}

webhook_book!(
    /// The book on `PostgreSQL`.
    PostgresWebhookBook,
    PgPool,
    begin_postgres,
    postgres::lock,
    postgres
);
webhook_book!(
    /// The book in the event store's `SQLite` file.
    SqliteWebhookBook,
    SqlitePool,
    sqlite::begin,
    sqlite::locked,
    sqlite
);
