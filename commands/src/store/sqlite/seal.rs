//! Seals into a file.

use async_trait::async_trait;
use domain::seal::{KeyRecord, SealedBlock};
use sqlx::{SqliteConnection, SqlitePool};

use super::super::OpenError;
use super::super::numbers::signed;
use super::super::seal_log::SealSink;
use super::super::sealed::{hash_bytes, seal_json};
use super::connect::{Owned, own, small};

/// A connection that writes seals.
pub(in super::super) struct SqliteSealSink(Sink);

enum Sink {
    /// The owner's.
    Owner(Owned),
    /// One of the process that owns the file, beside the writer's.
    Beside(SqlitePool),
}

impl SqliteSealSink {
    /// Takes a file over.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        Ok(Self(Sink::Owner(own(url).await?)))
    }

    /// Of the process that has the file.
    pub async fn beside_owner(url: &str) -> Result<Self, OpenError> {
        Ok(Self(Sink::Beside(small(url).await?)))
    }
}

async fn insert(
    on: &mut SqliteConnection,
    block: &SealedBlock,
    key: &KeyRecord,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO seal_keys (key_id, public_key, first_seal) VALUES (?1, ?2, ?3)
         ON CONFLICT (key_id) DO NOTHING",
    )
    .bind(&key.key_id)
    .bind(&key.public_key)
    .bind(signed(key.first_seal))
    .execute(&mut *on)
    .await?;
    sqlx::query("INSERT INTO seals (number, seal, row_hash) VALUES (?1, ?2, ?3)")
        .bind(signed(block.seal.number))
        .bind(seal_json(block)?)
        .bind(hash_bytes(block))
        .execute(on)
        .await
        .map(|_| ())
}

#[async_trait]
impl SealSink for SqliteSealSink {
    async fn insert(&mut self, block: &SealedBlock, key: &KeyRecord) -> Result<(), sqlx::Error> {
        match &mut self.0 {
            Sink::Owner(owned) => insert(&mut owned.connection, block, key).await,
            Sink::Beside(pool) => insert(&mut *pool.acquire().await?, block, key).await,
        }
    }
}
