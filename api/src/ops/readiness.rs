//! Whether this process should get requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How long one check may take.
pub const CHECK_SECONDS: u64 = 2;

/// Something that this process depends on.
#[async_trait]
pub trait Check: Send + Sync {
    /// Its name in the answer.
    fn name(&self) -> &'static str;
    /// Whether it does its part.
    ///
    /// # Errors
    /// What is wrong, in words.
    async fn check(&self) -> Result<(), String>;
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckBody {
    /// What was checked.
    pub name: String,
    /// Whether it does its part.
    pub ok: bool,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Whether this process is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Readiness)]
pub struct ReadinessBody {
    /// ready or unready.
    pub status: String,
    /// Each check.
    pub checks: Vec<CheckBody>,
}

/// The checks, and whether the process is on its way out.
#[derive(Default)]
pub struct Readiness {
    draining: AtomicBool,
    checks: Vec<Arc<dyn Check>>,
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.checks.iter().map(|check| check.name()).collect();
        f.debug_struct("Readiness").field("checks", &names).finish_non_exhaustive()
    }
}

impl Readiness {
    /// With checks.
    pub fn new(checks: Vec<Arc<dyn Check>>) -> Self {
        Self { draining: AtomicBool::new(false), checks }
    }

    /// The first step of the shutdown: no more requests, please.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Asks every check.
    pub async fn read(&self) -> ReadinessBody {
        let asked = self.checks.iter().map(|check| async {
            let limit = Duration::from_secs(CHECK_SECONDS);
            let outcome = tokio::time::timeout(limit, check.check()).await;
            let outcome = outcome.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            let name = check.name().to_owned();
            CheckBody { name, ok: outcome.is_ok(), detail: outcome.err() }
        });
        let mut checks = futures::future::join_all(asked).await;
        if self.draining.load(Ordering::Acquire) {
            let detail = Some("the process is shutting down".to_owned());
            checks.push(CheckBody { name: "shutdown".to_owned(), ok: false, detail });
        }
        let ready = checks.iter().all(|check| check.ok);
        let status = if ready { "ready" } else { "unready" };
        ReadinessBody { status: status.to_owned(), checks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken;

    #[async_trait]
    impl Check for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }
        async fn check(&self) -> Result<(), String> {
            Err("it is down".to_owned())
        }
    }

    #[tokio::test]
    async fn one_failing_check_or_the_shutdown_makes_it_unready() {
        assert_eq!(Readiness::default().read().await.status, "ready");
        let broken = Readiness::new(vec![Arc::new(Broken)]);
        let body = broken.read().await;
        assert_eq!(body.status, "unready");
        assert_eq!(body.checks.first().and_then(|c| c.detail.as_deref()), Some("it is down"));
        let leaving = Readiness::default();
        leaving.drain();
        assert_eq!(leaving.read().await.status, "unready");
    }
}
