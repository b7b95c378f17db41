//! What tests share: the real servers that `scripts/test` started.

pub mod cluster;
pub mod crowd;
pub mod events;
pub mod process;
pub mod shop;
pub mod viewer;
pub mod witness;

use std::env;
use std::time::{Duration, Instant};

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

/// How much of a long run: a fixed slice in `scripts/test`, all of it in `scripts/soak`.
pub fn slice<T>(short: T, full: T) -> T {
    if env::var_os("ONAIR_TEST_SOAK").is_some() { full } else { short }
}

/// Polls until the answer is there; fails after `within`.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let until = Instant::now() + within;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < until, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
