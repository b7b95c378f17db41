//! A scratch database: made beside the one that is named, dropped afterwards.

use std::str::FromStr;
use std::sync::Arc;

use commands::clock::{SystemClock, SystemIds};
use commands::store::{self, StoreOptions};
use domain::ports::{EventStore, Ids};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};

use super::BenchError;

/// A migrated database of its own name.
pub(super) struct Scratch {
    admin: PgConnectOptions,
    name: String,
    /// Its address.
    pub url: String,
}

impl Scratch {
    /// Makes one.
    ///
    /// # Errors
    /// The server cannot be reached, or the address is none of PostgreSQL.
    pub async fn create(database: &str) -> Result<Self, BenchError> {
        let unreachable = |error| BenchError::unreachable("PostgreSQL", error);
        if !database.starts_with("postgres") {
            return Err(BenchError::missing(
                "PostgreSQL",
                "--database or ONAIR_DATABASE to postgres://…",
            ));
        }
        let admin = PgConnectOptions::from_str(database).map_err(unreachable)?;
        let mut connection = admin.connect().await.map_err(unreachable)?;
        let name = format!("onair_bench_{}", SystemIds.uuid().simple());
        connection.execute(format!("CREATE DATABASE {name}").as_str()).await?;
        connection.close().await?;
        let url = admin.clone().database(&name).to_url_lossy().to_string();
        let scratch = Self { admin, name, url };
        store::migrate(&scratch.url).await.map_err(BenchError::failed)?;
        Ok(scratch)
    }

    /// A connection of its own.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn connect(&self) -> Result<PgConnection, BenchError> {
        Ok(self.admin.clone().database(&self.name).connect().await?)
    }

    /// The event store on it.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn store(&self) -> Result<Arc<dyn EventStore>, BenchError> {
        let options = StoreOptions::new(Arc::new(SystemClock));
        store::open(&self.url, &options).await.map_err(BenchError::failed)
    }

    /// Runs `work` on it, and drops it whatever came of that.
    ///
    /// # Errors
    /// Those of `work`, else those of dropping it.
    pub async fn around<T>(
        database: &str,
        work: impl AsyncFnOnce(&Self) -> Result<T, BenchError>,
    ) -> Result<T, BenchError> {
        let scratch = Self::create(database).await?;
        let done = work(&scratch).await;
        let mut connection = scratch.admin.connect().await?;
        let drop = format!("DROP DATABASE {} WITH (FORCE)", scratch.name);
        let dropped = connection.execute(drop.as_str()).await;
        let done = done?;
        dropped?;
        Ok(done)
    }
}
