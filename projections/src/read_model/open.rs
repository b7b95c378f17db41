//! Opening the read models by the address of their database.

use std::sync::Arc;
use std::time::Duration;

use domain::ports::{ChatLog, OrderBook, PortError, RoomBook, SalesBoard, WebhookBook};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::checkpoint::unreachable_as;
use super::sqlite;
use crate::chat_log::{PostgresChatLog, SqliteChatLog};
use crate::consumer::by_position::{Orders, PositionProjection, Sales};
use crate::key_table::{PostgresTable, Projected, SqliteTable};
use crate::order_book::{PostgresOrderBook, SqliteOrderBook};
use crate::room_book::{PostgresRoomBook, SqliteRoomBook};
use crate::sales_board::{PostgresSalesBoard, SqliteSalesBoard};
use crate::unmet_demand::UnmetDemand;
use crate::waitlist::WaitlistBook;
use crate::webhooks::{PostgresWebhookBook, SqliteWebhookBook};

/// Connections of one process's read models to a server.
pub const CONNECTIONS_MAX: u32 = 8;
/// How long a question waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The read models of one database, under connections of their own.
#[derive(Clone)]
pub struct ReadModels {
    /// The orders.
    pub orders: Arc<dyn OrderBook>,
    /// Broadcasts, spotlights and what they sold.
    pub board: Arc<dyn SalesBoard>,
    /// What was asked for and refused.
    pub demand: UnmetDemand,
    /// Who waits for what is sold out.
    pub waitlist: WaitlistBook,
    /// What was said in chats; no read model, beside them in the database.
    pub chat: Arc<dyn ChatLog>,
    /// What rooms came to; no read model either.
    pub rooms: Arc<dyn RoomBook>,
    /// Endpoints of webhooks and what is sent to them.
    pub webhooks: Arc<dyn WebhookBook>,
}

impl ReadModels {
    /// Those that follow the store by position into tables that can be built aside.
    pub fn in_tables(&self) -> [Arc<dyn PositionProjection>; 4] {
        [
            Arc::new(Orders(Arc::clone(&self.orders))),
            Arc::new(Sales(Arc::clone(&self.board))),
            Arc::new(Projected(Arc::clone(&self.demand))),
            Arc::new(Projected(Arc::clone(&self.waitlist))),
        ]
    }
}

/// Opens the read models of a migrated database: `sqlite://FILE` or `postgres://…`.
///
/// # Errors
/// Another kind of address, or the database cannot be reached.
pub async fn open(database: &str) -> Result<ReadModels, PortError> {
    match database.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => {
            let pool = sqlite::open(database).await?;
            Ok(ReadModels {
                orders: Arc::new(SqliteOrderBook::new(pool.clone())),
                board: Arc::new(SqliteSalesBoard::new(pool.clone())),
                demand: Arc::new(SqliteTable::new(pool.clone())),
                waitlist: Arc::new(SqliteTable::new(pool.clone())),
                chat: Arc::new(SqliteChatLog::new(pool.clone())),
                rooms: Arc::new(SqliteRoomBook::new(pool.clone())),
                webhooks: Arc::new(SqliteWebhookBook::new(pool)),
            })
        }
        Some("postgres" | "postgresql") => {
            let pool = open_pool(database).await?;
            Ok(ReadModels {
                orders: Arc::new(PostgresOrderBook::new(pool.clone())),
                board: Arc::new(PostgresSalesBoard::new(pool.clone())),
                demand: Arc::new(PostgresTable::new(pool.clone())),
                waitlist: Arc::new(PostgresTable::new(pool.clone())),
                chat: Arc::new(PostgresChatLog::new(pool.clone())),
                rooms: Arc::new(PostgresRoomBook::new(pool.clone())),
                webhooks: Arc::new(PostgresWebhookBook::new(pool)),
            })
        }
        _ => Err(PortError::unavailable(
            "read models",
            "the address is neither sqlite://FILE nor postgres://…",
        )),
    }
}

/// Connections to a server for the read models.
///
/// # Errors
/// It cannot be reached.
pub(crate) async fn open_pool(database: &str) -> Result<PgPool, PortError> {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // in a storm each waits a little, and a line for each helps nobody; what fails says so
        .acquire_slow_threshold(ACQUIRE_TIMEOUT)
        .connect(database)
        .await
        .map_err(unreachable_as("read models"))
}
