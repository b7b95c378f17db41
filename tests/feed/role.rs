//! The role as it runs: a log that fails and repeats, a bus that is emptied, a shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::envelope::{Position, Recorded};
use domain::fingerprint::PseudonymKey;
use domain::ids::ViewerId;
use domain::ports::{EventLog, EventSubscription, FeedBus, PortError};
use projections::viewer_feed::shape::{live_channel, user_channel};
use projections::viewer_feed::{MemoryFeedBus, run};
use tokio_util::sync::CancellationToken;

use super::harness::{RandomIds, soon};
use super::log::{Log, seller};
use super::stage::WallClock;

/// A log that fails every third time and forgets where its consumer stood.
#[derive(Clone)]
struct Unsteady {
    log: Log,
    asked: Arc<AtomicU32>,
}

#[async_trait]
impl EventLog for Unsteady {
    async fn subscribe(
        &self,
        _: &str,
        after: Position,
    ) -> Result<Box<dyn EventSubscription>, PortError> {
        let repeated = Position(after.0.saturating_sub(3));
        Ok(Box::new(Reading { source: self.clone(), after: repeated }))
    }
}

struct Reading {
    source: Unsteady,
    after: Position,
}

#[async_trait]
impl EventSubscription for Reading {
    async fn next(&mut self, max: usize) -> Result<Vec<Recorded>, PortError> {
        loop {
            let events = self.source.log.after(self.after);
            if events.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            }
            if self.source.asked.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
                return Err(PortError::unavailable("the log", "lost"));
            }
            let page: Vec<_> = events.into_iter().take(max.min(2)).collect();
            self.after = page[page.len() - 1].position;
            return Ok(page);
        }
    }
    async fn done(&mut self) -> Result<(), PortError> {
        Ok(())
    }
}

#[tokio::test]
async fn the_role_goes_on_and_heals_and_ends() {
    let log = Log::new(PseudonymKey::from_secret(b"role"));
    let bus = Arc::new(MemoryFeedBus::new(Arc::new(WallClock), Arc::new(RandomIds)));
    let unsteady = Unsteady { log: log.clone(), asked: Arc::default() };
    let shutdown = CancellationToken::new();
    let role = run(
        Arc::new(unsteady),
        Arc::new(log.clone()),
        bus.clone(),
        Arc::new(WallClock),
        Position::START,
        shutdown.clone(),
    );
    let script = async {
        let broadcast = log.broadcast();
        let spotlight = log.spotlight(broadcast, 10);
        let mut offset = 0;
        for _ in 0..5 {
            let order = log.order(broadcast, spotlight, "ana", 1);
            log.confirm(spotlight, order, "ana", 1);
            offset += 5;
            let channel = user_channel(&seller(), &ViewerId::try_new("ana").unwrap());
            let reached = async || bus.history(&channel, None).await.unwrap().top.offset >= offset;
            soon(async {
                while !reached().await {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            assert_eq!(bus.history(&channel, None).await.unwrap().top.offset, offset, "once each");
        }
        bus.lose();
        let channel = live_channel(broadcast);
        let path = format!("/spotlights/{spotlight}/inventory/pink/sold");
        let healed = async || {
            let state = bus.snapshot(&channel).await.unwrap().data;
            state.pointer(&path).and_then(serde_json::Value::as_i64) == Some(5)
        };
        soon(async {
            while !healed().await {
                tokio::task::yield_now().await;
            }
        })
        .await;
        shutdown.cancel();
    };
    let (ended, ()) = tokio::join!(role, script);
    ended.unwrap();
}
