//! What tests share: the real servers that `scripts/test` started.

pub mod events;

use std::env;

/// An environment variable that `scripts/test` sets; a test without its server fails, it is never
/// skipped.
pub fn required(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `scripts/test`, or `eval \"$(scripts/services env)\"` first")
    })
}

/// A database of its own for one test, on the PostgreSQL of `ONAIR_DATABASE`.
pub async fn fresh_database() -> String {
    let url = required("ONAIR_DATABASE");
    let name = format!("t{}", uuid::Uuid::new_v4().simple());
    let pool = sqlx::PgPool::connect(&url).await.expect("connects to PostgreSQL");
    sqlx::query(&format!("CREATE DATABASE {name}")).execute(&pool).await.expect("creates");
    pool.close().await;
    let (server, _) = url.rsplit_once('/').expect("a URL with a database name");
    format!("{server}/{name}")
}
