//! The gates that the suite runs on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use domain::ports::{Clock, StockGate};
use projections::stock_counter::{MemoryGate, RedisGate};

use super::story::fresh;
use crate::support::required;

/// The system's time.
pub struct TestClock;

#[async_trait]
impl Clock for TestClock {
    #[expect(clippy::disallowed_methods, reason = "Redis has the real time too")]
    fn now(&self) -> Timestamp {
        chrono::Utc::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

pub fn memory() -> Arc<dyn StockGate> {
    Arc::new(MemoryGate::new(Arc::new(TestClock)))
}

/// A gate with keys of its own, so that claims over all spotlights meet no other test's.
pub async fn connect(urls: &[String]) -> Arc<RedisGate> {
    let prefix = format!("test:{}:", fresh().simple());
    Arc::new(RedisGate::connect_under(&prefix, urls).await.expect("connects"))
}

pub async fn redis() -> Arc<dyn StockGate> {
    connect(&[required("ONAIR_REDIS")]).await
}

pub async fn cluster() -> Arc<dyn StockGate> {
    connect(&cluster_urls()).await
}

pub fn cluster_urls() -> Vec<String> {
    required("ONAIR_TEST_REDIS_CLUSTER").split(',').map(str::to_owned).collect()
}
