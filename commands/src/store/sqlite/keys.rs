//! The keys of what is personal on SQLite: read, and destroyed.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use domain::envelope::Position;
use domain::ids::SellerId;
use domain::personal_key::PersonalKey;
use domain::ports::{PersonalKeys, PortError};
use domain::shredding::Shredding;
use sqlx::{Executor, SqliteConnection};

use super::super::OpenError;
use super::super::numbers::{from_position, signed};
use super::super::personal_keys::{Keys, Wanted, clear, keys_in, keys_of};
use super::super::shred::{Shredder, StoredShredding};
use super::connect::{Owned, own, unavailable};
use super::reader::{SqliteReader, json};

impl SqliteReader {
    /// The keys that are wanted, as far as there are any.
    pub(super) async fn personal_keys(&self, wanted: Wanted) -> Result<Keys, PortError> {
        match wanted {
            Wanted::Nothing => Ok(Keys::new()),
            Wanted::Between(first, last) => {
                let lists: Vec<(i64, Vec<u8>)> = sqlx::query_as(
                    "SELECT first_position, keys FROM personal_keys
                     WHERE first_position <= $2 AND first_position >= coalesce(
                         (SELECT max(first_position) FROM personal_keys
                           WHERE first_position <= $1), 0)",
                )
                .bind(first)
                .bind(last)
                .fetch_all(&self.pool)
                .await
                .map_err(unavailable)?;
                keys_in(&lists)
            }
            Wanted::Each(positions) => {
                // a key is read without the rest of its list
                let slots = sqlx::query_as(
                    "SELECT s.value, substr(k.keys, (s.value - k.first_position) * 32 + 1, 32)
                     FROM json_each(?1) AS s CROSS JOIN personal_keys AS k
                     WHERE k.first_position = (SELECT max(first_position) FROM personal_keys
                                                WHERE first_position <= s.value)",
                )
                .bind(json(&positions)?)
                .fetch_all(&self.pool)
                .await
                .map_err(unavailable)?;
                keys_of(slots)
            }
        }
    }
}

#[async_trait]
impl PersonalKeys for SqliteReader {
    async fn keys(
        &self,
        positions: &[Position],
    ) -> Result<BTreeMap<Position, PersonalKey>, PortError> {
        let mut keys = self.personal_keys(Wanted::among(positions.iter().copied())).await?;
        let asked: BTreeSet<&Position> = positions.iter().collect();
        keys.retain(|position, _| asked.contains(position));
        Ok(keys)
    }

    async fn shreddings(
        &self,
        seller: &SellerId,
        subject: &str,
    ) -> Result<Vec<Shredding>, PortError> {
        let rows: Vec<StoredShredding<i64>> = sqlx::query_as(
            "SELECT seller, subject, at, author, ticket, reason, keys, head FROM shreddings
             WHERE seller = $1 AND subject = $2 ORDER BY number",
        )
        .bind(seller.as_str())
        .bind(subject)
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        rows.into_iter().map(StoredShredding::decode).collect()
    }

    async fn parked_naming(&self, texts: &[String]) -> Result<u64, PortError> {
        let mut found = 0;
        for text in texts {
            let count: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM parked WHERE instr(value, CAST($1 AS BLOB)) > 0",
            )
            .bind(text)
            .fetch_one(&self.pool)
            .await
            .map_err(unavailable)?;
            found += u64::try_from(count).unwrap_or(0);
        }
        Ok(found)
    }
}

/// The owner's connection, which destroys keys.
pub(in super::super) struct SqliteShredder(Owned);

impl SqliteShredder {
    /// Takes a file over.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let mut owned = own(url).await?;
        // what is deleted is overwritten
        owned.connection.execute("PRAGMA secure_delete = ON").await?;
        Ok(Self(owned))
    }
}

/// Clears the slots of positions, list by list; returns how many had a key.
async fn clear_slots(
    on: &mut SqliteConnection,
    positions: &[Position],
) -> Result<u64, sqlx::Error> {
    let (mut rest, mut cleared) = (positions, 0);
    while let Some(position) = rest.first() {
        let list: Option<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT first_position, keys FROM personal_keys WHERE first_position <= $1
             ORDER BY first_position DESC LIMIT 1",
        )
        .bind(from_position(*position))
        .fetch_optional(&mut *on)
        .await?;
        let following: Option<i64> = sqlx::query_scalar(
            "SELECT min(first_position) FROM personal_keys WHERE first_position > $1",
        )
        .bind(from_position(*position))
        .fetch_one(&mut *on)
        .await?;
        let end = following.unwrap_or(i64::MAX);
        let (of_list, others) =
            rest.split_at(rest.partition_point(|position| from_position(*position) < end));
        rest = others;
        let Some((first, mut keys)) = list else { continue };
        let found = clear(first, &mut keys, of_list);
        if found > 0 {
            sqlx::query("UPDATE personal_keys SET keys = $2 WHERE first_position = $1")
                .bind(first)
                .bind(keys)
                .execute(&mut *on)
                .await?;
        }
        cleared += found;
    }
    Ok(cleared)
}

async fn shred(
    on: &mut SqliteConnection,
    positions: &[Position],
    texts: &[String],
    shredding: &mut Shredding,
) -> Result<u64, sqlx::Error> {
    shredding.keys = clear_slots(on, positions).await?;
    let mut parked = 0;
    for text in texts {
        let done = sqlx::query(
            "DELETE FROM parked WHERE settled = 1 AND instr(value, CAST($1 AS BLOB)) > 0",
        )
        .bind(text)
        .execute(&mut *on)
        .await?;
        parked += done.rows_affected();
    }
    sqlx::query(
        "INSERT INTO shreddings (seller, subject, at, author, ticket, reason, keys, head)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(shredding.seller.as_str())
    .bind(&shredding.subject)
    .bind(shredding.at.timestamp_micros())
    .bind(&shredding.by.author)
    .bind(&shredding.by.ticket)
    .bind(&shredding.by.reason)
    .bind(signed(shredding.keys))
    .bind(from_position(shredding.head))
    .execute(on)
    .await?;
    Ok(parked)
}

#[async_trait]
impl Shredder for SqliteShredder {
    async fn shred(
        &mut self,
        positions: &[Position],
        texts: &[String],
        shredding: &mut Shredding,
    ) -> Result<u64, sqlx::Error> {
        let on = &mut self.0.connection;
        on.execute("BEGIN IMMEDIATE").await?;
        let done = shred(on, positions, texts, shredding).await;
        on.execute(if done.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
        let parked = done?;
        // what was written ahead holds the keys as well
        on.execute("PRAGMA wal_checkpoint(TRUNCATE)").await?;
        Ok(parked)
    }
}
