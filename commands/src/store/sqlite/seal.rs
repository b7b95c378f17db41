//! Seals into a file.

use async_trait::async_trait;
use domain::seal::{KeyRecord, SealedBlock};

use super::super::OpenError;
use super::super::numbers::signed;
use super::super::seal_log::SealSink;
use super::super::sealed::{hash_bytes, seal_json};
use super::connect::{Owned, own};

/// The owner's connection.
pub(in super::super) struct SqliteSealSink(Owned);

impl SqliteSealSink {
    /// Takes a file over.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        Ok(Self(own(url).await?))
    }
}

#[async_trait]
impl SealSink for SqliteSealSink {
    async fn insert(&mut self, block: &SealedBlock, key: &KeyRecord) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO seal_keys (key_id, public_key, first_seal) VALUES (?1, ?2, ?3)
             ON CONFLICT (key_id) DO NOTHING",
        )
        .bind(&key.key_id)
        .bind(&key.public_key)
        .bind(signed(key.first_seal))
        .execute(&mut self.0.connection)
        .await?;
        sqlx::query("INSERT INTO seals (number, seal, row_hash) VALUES (?1, ?2, ?3)")
            .bind(signed(block.seal.number))
            .bind(seal_json(block)?)
            .bind(hash_bytes(block))
            .execute(&mut self.0.connection)
            .await
            .map(|_| ())
    }
}
