//! The world's clock.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::Timestamp;
use domain::ports::Clock;

use super::world::{TimerKey, World};

/// The clock: it moves only when nobody can go on.
pub struct SimClock(pub Arc<World>);

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    async fn sleep(&self, duration: Duration) {
        let world = &self.0;
        let until = world.now() + TimeDelta::from_std(duration).unwrap_or(TimeDelta::zero());
        let mut timer = Timer { world, key: None };
        std::future::poll_fn(|context| timer.poll(until, context)).await;
    }
}

/// A timer that is taken back when its future is dropped.
struct Timer<'a> {
    world: &'a World,
    key: Option<TimerKey>,
}

impl Timer<'_> {
    fn poll(&mut self, until: Timestamp, context: &Context<'_>) -> Poll<()> {
        match self.world.set_timer(until, self.key, context.waker()) {
            None => Poll::Ready(()),
            key => {
                self.key = key;
                Poll::Pending
            }
        }
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.world.drop_timer(key);
        }
    }
}
