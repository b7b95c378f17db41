//! The role that sends: claims what is due, posts it, writes down what came of it.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domain::Timestamp;
use domain::ports::{AttemptResult, ClaimedDelivery, Clock, PortError, WebhookBook};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use rand::Rng;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{AddressRule, SecretKey};
use crate::metrics;

/// How long one attempt may take.
pub const ATTEMPT: Duration = Duration::from_secs(15);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a claim holds; longer than an attempt.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// Attempts at once, of this process.
pub const ATTEMPTS_AT_ONCE: usize = 32;
/// Of these to one endpoint: a slow one does not keep the others waiting.
pub const ATTEMPTS_AT_ONCE_EACH: usize = 4;
/// How often it is looked whether something is due.
const POLL: Duration = Duration::from_millis(250);
/// The pause after the book could not be reached.
const BACKOFF: Duration = Duration::from_secs(2);
/// How long ended deliveries are kept, in days.
pub const KEPT_DAYS: i64 = 30;
/// Deliveries that are forgotten at once.
const PRUNED_AT_ONCE: usize = 1_000;
/// How often deliveries are forgotten.
const PRUNE_EVERY: TimeDelta = TimeDelta::minutes(10);
/// Characters of an error that are kept.
const ERROR_MAX_CHARS: usize = 500;
/// An endpoint to which nothing was delivered for so many days is disabled, once a message to it
/// is given up.
pub const FAILING_DAYS_MAX: i64 = 3;

/// The pauses after the first, second and later attempts, in seconds: a little over three days in
/// all (the schedule that Standard Webhooks recommends).
const RETRY_SECONDS: [u32; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// How long to wait after an attempt, counted from 1; none where the message is given up.
pub fn retry_after(attempts: u32) -> Option<Duration> {
    let index = usize::try_from(attempts).ok()?.checked_sub(1)?;
    RETRY_SECONDS.get(index).map(|seconds| Duration::from_secs((*seconds).into()))
}

/// Sends webhooks.
pub struct Sender {
    book: Arc<dyn WebhookBook>,
    clock: Arc<dyn Clock>,
    rule: AddressRule,
    key: SecretKey,
    http: reqwest::Client,
}

/// What an endpoint answered, or why it did not.
struct Answer {
    status: Option<StatusCode>,
    error: Option<String>,
}

impl Sender {
    /// A sender of the messages in `book`.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn new(
        book: Arc<dyn WebhookBook>,
        clock: Arc<dyn Clock>,
        rule: AddressRule,
        key: SecretKey,
    ) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("onair/", env!("CARGO_PKG_VERSION")))
            .timeout(ATTEMPT)
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(ATTEMPTS_AT_ONCE_EACH)
            // a redirect or a proxy would lead around the rule
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(rule)
            .build()?;
        Ok(Self { book, clock, rule, key, http })
    }

    /// Sends until `stop`; what is in hand then is finished.
    pub async fn run(self, stop: CancellationToken) {
        let sender = Arc::new(self);
        let mut prune_at = sender.clock.now();
        // tasks of their own: one that has the file's write lock must go on while the next are claimed
        let mut attempts = JoinSet::new();
        while !stop.is_cancelled() {
            let room = ATTEMPTS_AT_ONCE.saturating_sub(attempts.len());
            let pause = match sender.claim(room, &mut prune_at).await {
                Ok(claimed) => {
                    let pause = if claimed.is_empty() { POLL } else { Duration::ZERO };
                    for claimed in claimed {
                        let sender = Arc::clone(&sender);
                        attempts.spawn(async move { sender.attempt(claimed).await });
                    }
                    pause
                }
                Err(error) => {
                    tracing::warn!(%error, "webhooks wait for their book");
                    BACKOFF
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                Some(_) = attempts.join_next() => {}
                () = sender.clock.sleep(pause) => {}
            }
        }
        while attempts.join_next().await.is_some() {}
    }

    async fn claim(
        &self,
        room: usize,
        prune_at: &mut Timestamp,
    ) -> Result<Vec<ClaimedDelivery>, PortError> {
        let now = self.clock.now();
        if now >= *prune_at {
            *prune_at = now + PRUNE_EVERY;
            self.book.prune(now - TimeDelta::days(KEPT_DAYS), PRUNED_AT_ONCE).await?;
        }
        if room == 0 {
            return Ok(vec![]);
        }
        self.book.claim(now, now + LEASE, ATTEMPTS_AT_ONCE_EACH, room).await
    }

    async fn attempt(&self, claimed: ClaimedDelivery) {
        let answer = self.post(&claimed).await;
        let result = self.result(&claimed, &answer);
        metrics::webhook_attempt(match (&result.error, result.retry_at) {
            (None, _) => "delivered",
            (Some(_), Some(_)) => "retry",
            (Some(_), None) => "given_up",
        });
        if let Some(reason) = &result.disable {
            let endpoint = claimed.endpoint.id;
            tracing::warn!(%endpoint, reason, "a webhook endpoint is disabled");
        }
        if let Err(error) = self.book.settle(&claimed, &result).await {
            // it is sent once more when the lease has ended, under the same id
            tracing::warn!(%error, "what came of a webhook cannot be written down");
        }
    }

    async fn post(&self, claimed: &ClaimedDelivery) -> Answer {
        let failed = |error: String| Answer { status: None, error: Some(error) };
        let endpoint = &claimed.endpoint;
        // a literal address never reaches the resolver, and the rule may be stricter by now
        let url = match self.rule.read(&endpoint.url) {
            Ok(url) => url,
            Err(error) => return failed(format!("the address {error}")),
        };
        let body = &claimed.delivery.message.body;
        let Some(headers) = self.headers(claimed) else {
            return failed("the headers cannot be written".to_owned());
        };
        match self.http.post(url).headers(headers).body(body.clone()).send().await {
            Ok(response) if response.status().is_success() => {
                Answer { status: Some(response.status()), error: None }
            }
            Ok(response) => Answer {
                status: Some(response.status()),
                error: Some(format!("answered {}", response.status())),
            },
            Err(error) => failed(chain(&error.without_url())),
        }
    }

    /// <https://www.standardwebhooks.com>: id, time in seconds, signatures.
    fn headers(&self, claimed: &ClaimedDelivery) -> Option<HeaderMap> {
        let message = &claimed.delivery.message;
        let (id, now) = (message.id.to_string(), self.clock.now());
        let signatures = self.key.signatures(&claimed.endpoint, &id, now, &message.body);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in [
            ("webhook-id", id),
            ("webhook-timestamp", now.timestamp().to_string()),
            ("webhook-signature", signatures),
        ] {
            headers.insert(HeaderName::from_static(name), value.parse().ok()?);
        }
        Some(headers)
    }

    fn result(&self, claimed: &ClaimedDelivery, answer: &Answer) -> AttemptResult {
        let now = self.clock.now();
        let gone = answer.status == Some(StatusCode::GONE);
        let retry_at = (answer.error.is_some() && !gone)
            .then(|| retry_after(claimed.delivery.attempts))
            .flatten()
            .and_then(|pause| now.checked_add_signed(TimeDelta::from_std(jittered(pause)).ok()?));
        let is_given_up = answer.error.is_some() && retry_at.is_none();
        let failing = claimed.endpoint.failing_since.is_some_and(|since| {
            now.signed_duration_since(since) >= TimeDelta::days(FAILING_DAYS_MAX)
        });
        let disable = match (gone, is_given_up && failing) {
            (true, _) => Some("it answered 410 Gone".to_owned()),
            (_, true) => Some(format!("nothing was delivered for {FAILING_DAYS_MAX} days")),
            _ => None,
        };
        AttemptResult {
            at: now,
            response_status: answer.status.map(|status| status.as_u16()),
            error: answer
                .error
                .as_deref()
                .map(|error| error.chars().take(ERROR_MAX_CHARS).collect()),
            retry_at,
            disable,
        }
    }
}

/// Up to a tenth longer, so that messages that failed together are not tried together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(1.0..1.1))
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_tried_for_three_days() {
        let pauses: Vec<Duration> = (1..).map_while(retry_after).collect();
        assert_eq!(pauses.len(), 9, "ten attempts");
        assert_eq!(retry_after(0), None);
        let days = pauses.iter().sum::<Duration>().as_secs_f64() / 86_400.0;
        assert!((3.0..3.5).contains(&days), "{days} days");
    }
}
