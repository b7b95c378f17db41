//! What stands between the process and a provider: a bound on time, a few tries, a bound on how many
//! calls run at once, and a breaker that leaves a provider alone which does not answer.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use domain::Timestamp;
use domain::payment::PaymentResult;
use domain::ports::{Clock, PaymentCall, PaymentGateway, PortError};
use metrics::{counter, gauge, histogram};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::clock::{between, delta};
use crate::metrics::{
    PAYMENT_ATTEMPTS_TOTAL, PAYMENT_CALL_SECONDS, PAYMENT_CALLS_RUNNING, PAYMENT_PROVIDER_DOWN,
};

/// How long one try may take.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries of one call, the first one included; all under the same key.
pub const TRIES_MAX: usize = 3;
/// First pause between two tries, with jitter; doubled up to [`TRY_PAUSE_MAX`].
pub const TRY_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between two tries.
pub const TRY_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Calls to one provider that run at once.
pub const CALLS_MAX: usize = 64;
/// Tries in a row without an answer that open the breaker.
pub const FAILURES_MAX: u32 = 10;
/// How long an open breaker refuses before one call may try.
pub const OPEN_FOR: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    /// From when on one call may try, while it is open.
    next: Option<Timestamp>,
}

/// A provider behind its guard.
pub struct GuardedGateway {
    inner: Arc<dyn PaymentGateway>,
    clock: Arc<dyn Clock>,
    calls: Semaphore,
    breaker: Mutex<Breaker>,
}

impl GuardedGateway {
    /// Guards a provider.
    pub fn new(inner: Arc<dyn PaymentGateway>, clock: Arc<dyn Clock>) -> Self {
        let calls = Semaphore::new(CALLS_MAX);
        Self { inner, clock, calls, breaker: Mutex::default() }
    }

    /// Lets a call through, or not; while the breaker is open, one per [`OPEN_FOR`].
    fn allows(&self) -> bool {
        let now = self.clock.now();
        let mut breaker = self.breaker.lock();
        match breaker.next {
            Some(next) if next > now => false,
            Some(_) => {
                breaker.next = Some(now + delta(OPEN_FOR));
                true
            }
            None => true,
        }
    }

    fn answered(&self, answered: bool) {
        let mut breaker = self.breaker.lock();
        if answered {
            *breaker = Breaker::default();
        } else {
            breaker.failures = breaker.failures.saturating_add(1);
            if breaker.failures >= FAILURES_MAX {
                breaker.next = Some(self.clock.now() + delta(OPEN_FOR));
            }
        }
        let down = if breaker.next.is_some() { 1.0 } else { 0.0 };
        gauge!(PAYMENT_PROVIDER_DOWN, "provider" => self.inner.name()).set(down);
    }

    /// One try, bounded in time.
    async fn bounded<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let started = self.clock.now();
        let answer = tokio::select! {
            biased;
            answer = call => answer,
            () = self.clock.sleep(CALL_TIMEOUT) => Err(unavailable("no answer in time")),
        };
        let outcome = if answer.is_ok() { "answered" } else { "failed" };
        let provider = self.inner.name();
        counter!(
            PAYMENT_ATTEMPTS_TOTAL,
            "provider" => provider, "operation" => operation, "outcome" => outcome
        )
        .increment(1);
        histogram!(PAYMENT_CALL_SECONDS, "provider" => provider, "operation" => operation)
            .record(between(started, self.clock.now()).as_secs_f64());
        self.answered(answer.is_ok());
        answer
    }

    /// A call with its tries.
    async fn guarded<T, F: Future<Output = Result<T, PortError>>>(
        &self,
        operation: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T, PortError> {
        let _running = self.calls.acquire().await.map_err(unavailable)?;
        let running = gauge!(PAYMENT_CALLS_RUNNING, "provider" => self.inner.name());
        running.increment(1.0);
        let _counted = Counted(running);
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(TRY_PAUSE)
            .with_max_delay(TRY_PAUSE_MAX)
            .with_max_times(TRIES_MAX - 1)
            .with_jitter()
            .build();
        loop {
            if !self.allows() {
                return Err(unavailable("left alone, because it did not answer"));
            }
            let error = match self.bounded(operation, call()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(pause) = pauses.next() else { return Err(error) };
            self.clock.sleep(pause).await;
        }
    }
}

/// Counts a running call, also where it is dropped.
struct Counted(metrics::Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

fn unavailable(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::unavailable("the payment provider", why)
}

#[async_trait]
impl PaymentGateway for GuardedGateway {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn authorize(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.guarded("authorize", || self.inner.authorize(call)).await
    }

    async fn capture(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.guarded("capture", || self.inner.capture(call)).await
    }

    async fn void(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.guarded("void", || self.inner.void(call)).await
    }

    async fn refund(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.guarded("refund", || self.inner.refund(call)).await
    }

    async fn query(&self, call: &PaymentCall) -> Result<Option<PaymentResult>, PortError> {
        self.guarded("query", || self.inner.query(call)).await
    }

    fn tells(&self, call: &PaymentCall) -> usize {
        self.inner.tells(call)
    }

    fn is_down(&self) -> bool {
        self.breaker.lock().next.is_some_and(|next| next > self.clock.now())
    }
}
