//! Fresh read models on each adapter.

use std::sync::Arc;

use domain::envelope::Recorded;
use domain::ports::{ChatLog, OrderBook, RoomBook, SalesBoard};
use projections::chat_log::MemoryChatLog;
use projections::key_table::MemoryTable;
use projections::order_book::{MemoryOrderBook, PostgresOrderBook, SqliteOrderBook};
use projections::read_model::{open, open_sqlite};
use projections::room_book::MemoryRoomBook;
use projections::sales_board::{MemorySalesBoard, PostgresSalesBoard, SqliteSalesBoard};
use projections::unmet_demand::UnmetDemand;
use projections::waitlist::WaitlistBook;
use sqlx::{PgPool, SqlitePool};
use tempfile::TempDir;

use crate::support::fresh_database;

/// Where the rows are, for what only a database can show.
pub enum Rows {
    Memory,
    Sqlite(SqlitePool, #[expect(dead_code, reason = "keeps the folder")] TempDir),
    Postgres(PgPool),
}

/// Both read models, empty; the other ones are a second process's on the same rows.
pub struct Books {
    pub orders: Arc<dyn OrderBook>,
    pub other_orders: Arc<dyn OrderBook>,
    pub board: Arc<dyn SalesBoard>,
    pub other_board: Arc<dyn SalesBoard>,
    pub demand: UnmetDemand,
    pub waitlist: WaitlistBook,
    pub chat: Arc<dyn ChatLog>,
    pub rooms: Arc<dyn RoomBook>,
    pub rows: Rows,
    /// The address of the database that holds the rows, if one does.
    pub database: Option<String>,
}

impl Books {
    pub fn memory() -> Self {
        let orders = Arc::new(MemoryOrderBook::default());
        let board = Arc::new(MemorySalesBoard::default());
        Self {
            orders: orders.clone(),
            other_orders: orders,
            board: board.clone(),
            other_board: board,
            demand: Arc::new(MemoryTable::default()),
            waitlist: Arc::new(MemoryTable::default()),
            chat: Arc::new(MemoryChatLog::default()),
            rooms: Arc::new(MemoryRoomBook::default()),
            rows: Rows::Memory,
            database: None,
        }
    }

    pub async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("onair.db").display());
        commands::store::migrate(&url).await.unwrap();
        let pool = open_sqlite(&url).await.unwrap();
        let other = open(&url).await.unwrap();
        Self {
            orders: Arc::new(SqliteOrderBook::new(pool.clone())),
            other_orders: other.orders,
            board: Arc::new(SqliteSalesBoard::new(pool.clone())),
            other_board: other.board,
            demand: other.demand,
            waitlist: other.waitlist,
            chat: other.chat,
            rooms: other.rooms,
            rows: Rows::Sqlite(pool, folder),
            database: Some(url),
        }
    }

    pub async fn postgres() -> Self {
        let url = fresh_database().await;
        commands::store::migrate(&url).await.unwrap();
        let pool = PgPool::connect(&url).await.unwrap();
        let other = open(&url).await.unwrap();
        Self {
            orders: Arc::new(PostgresOrderBook::new(pool.clone())),
            other_orders: other.orders,
            board: Arc::new(PostgresSalesBoard::new(pool.clone())),
            other_board: other.board,
            demand: other.demand,
            waitlist: other.waitlist,
            chat: other.chat,
            rooms: other.rooms,
            rows: Rows::Postgres(pool),
            database: Some(url),
        }
    }

    /// Applies a log to both read models, in pages.
    pub async fn apply(&self, log: &[Recorded]) {
        for page in log.chunks(7) {
            self.orders.apply(page).await.unwrap();
            self.board.apply(page).await.unwrap();
        }
    }

    /// Runs a statement where the rows are in a database; tells whether they are.
    pub async fn execute(&self, statement: &str) -> bool {
        match &self.rows {
            Rows::Memory => return false,
            Rows::Sqlite(pool, _) => {
                sqlx::query(statement).execute(pool).await.unwrap();
            }
            Rows::Postgres(pool) => {
                sqlx::query(statement).execute(pool).await.unwrap();
            }
        }
        true
    }
}
