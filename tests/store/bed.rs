//! The adapters under test.

use std::sync::Arc;
use std::time::Duration;

use commands::clock::ManualClock;
use commands::store::{self, MemoryStore, OpenError, PostgresStore, SqliteStore, StoreOptions};
use domain::ports::{EventStore, ParkedBook};
use tempfile::TempDir;

use super::made;
use crate::support::fresh_database;

/// How often something that another task must do first is tried again.
const TRIES: u32 = 1_000;

/// A fresh store.
pub struct Bed {
    pub store: Arc<dyn EventStore>,
    kind: Kind,
    clock: Arc<ManualClock>,
}

enum Kind {
    Memory(MemoryStore),
    Sqlite { url: String, folder: TempDir },
    Postgres { url: String },
}

impl Bed {
    pub fn memory() -> Self {
        let clock = Arc::new(ManualClock::new(made::time(0)));
        let store = MemoryStore::new(clock.clone());
        Self { store: Arc::new(store.clone()), kind: Kind::Memory(store), clock }
    }

    pub async fn sqlite() -> Self {
        let clock = Arc::new(ManualClock::new(made::time(0)));
        let folder = tempfile::tempdir().expect("makes a folder");
        let url = format!("sqlite://{}", folder.path().join("onair.db").display());
        let store =
            SqliteStore::open(&url, &StoreOptions::new(clock.clone())).await.expect("opens");
        Self { store: Arc::new(store), kind: Kind::Sqlite { url, folder }, clock }
    }

    pub async fn postgres() -> Self {
        let clock = Arc::new(ManualClock::new(made::time(0)));
        let url = fresh_database().await;
        store::migrate(&url).await.expect("migrates");
        let store = connect(&url, &clock).await;
        Self { store, kind: Kind::Postgres { url }, clock }
    }

    pub fn options(&self) -> StoreOptions {
        StoreOptions::new(self.clock.clone())
    }

    /// The store's parked commands as somebody looks at them.
    pub fn parked(&self) -> Arc<dyn ParkedBook> {
        match &self.kind {
            Kind::Memory(store) => Arc::new(store.clone()),
            Kind::Sqlite { url, .. } | Kind::Postgres { url } => {
                store::open_parked(url).expect("opens")
            }
        }
    }

    pub fn url(&self) -> &str {
        match &self.kind {
            Kind::Memory(_) => "memory",
            Kind::Sqlite { url, .. } | Kind::Postgres { url } => url,
        }
    }

    pub fn folder(&self) -> &std::path::Path {
        match &self.kind {
            Kind::Sqlite { folder, .. } => folder.path(),
            _ => panic!("has no folder"),
        }
    }

    /// The store of another process, where there can be one.
    pub async fn other(&self) -> Arc<dyn EventStore> {
        match &self.kind {
            Kind::Postgres { url } => connect(url, &self.clock).await,
            _ => self.store.clone(),
        }
    }

    /// Drops the store, as a killed process does, and opens it again.
    pub async fn reopen(&mut self) {
        self.store = match &self.kind {
            Kind::Memory(store) => Arc::new(store.clone()),
            Kind::Postgres { url } => connect(url, &self.clock).await,
            Kind::Sqlite { url, .. } => {
                self.store = Arc::new(MemoryStore::new(self.clock.clone()));
                opened_when_free(url, &self.options()).await
            }
        };
    }

    /// Lets seconds pass for leases.
    pub async fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        if let Kind::Postgres { url } = &self.kind {
            let pool = sqlx::PgPool::connect(url).await.expect("connects");
            let back = "UPDATE role_leases SET expires_at = expires_at - make_interval(secs => $1)";
            let seconds = f64::from(u32::try_from(seconds).expect("small"));
            sqlx::query(back).bind(seconds).execute(&pool).await.expect("moves the leases");
        }
    }

    /// Moves the clock of an embedded store on until something has happened.
    pub async fn tick(&self) {
        tokio::task::yield_now().await;
        self.clock.advance(Duration::from_millis(100));
    }
}

async fn connect(url: &str, clock: &Arc<ManualClock>) -> Arc<dyn EventStore> {
    let options = StoreOptions::new(clock.clone());
    Arc::new(PostgresStore::connect(url, &options).await.expect("connects"))
}

/// The task that owns the file lets go of it a moment after its store was dropped.
async fn opened_when_free(url: &str, options: &StoreOptions) -> Arc<dyn EventStore> {
    for _ in 0..TRIES {
        match SqliteStore::open(url, options).await {
            Ok(store) => return Arc::new(store),
            Err(OpenError::Owned { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the file was never given back");
}
