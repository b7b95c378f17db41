//! Seals into a database.

use async_trait::async_trait;
use domain::seal::{KeyRecord, SealedBlock};
use sqlx::{Connection, PgConnection};

use super::super::OpenError;
use super::super::numbers::signed;
use super::super::seal_log::SealSink;
use super::super::sealed::{hash_bytes, seal_json};

/// A connection; two that seal at once meet at the seal's number.
pub(in super::super) struct PostgresSealSink(PgConnection);

impl PostgresSealSink {
    /// Connects.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        Ok(Self(PgConnection::connect(url).await?))
    }
}

#[async_trait]
impl SealSink for PostgresSealSink {
    async fn insert(&mut self, block: &SealedBlock, key: &KeyRecord) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO seal_keys (key_id, public_key, first_seal) VALUES ($1, $2, $3)
             ON CONFLICT (key_id) DO NOTHING",
        )
        .bind(&key.key_id)
        .bind(&key.public_key)
        .bind(signed(key.first_seal))
        .execute(&mut self.0)
        .await?;
        sqlx::query("INSERT INTO seals (number, seal, row_hash) VALUES ($1, $2::json, $3)")
            .bind(signed(block.seal.number))
            .bind(seal_json(block)?)
            .bind(hash_bytes(block))
            .execute(&mut self.0)
            .await
            .map(|_| ())
    }
}
