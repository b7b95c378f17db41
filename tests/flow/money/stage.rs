//! One spotlight of a show, and what its buyers and its host share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::bank::METHODS;
use crate::support::shop::{Answer, Shop};

/// How long a call may be told to come again.
const ANSWERED_WITHIN: Duration = Duration::from_mins(1);
const ASKS_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What came of all presses.
#[derive(Default)]
pub struct Tally {
    /// Promised orders, by id, with their receipts; an offer to somebody who waited has none yet.
    pub promised: Mutex<BTreeMap<String, Value>>,
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Tally {
    pub fn count(&self, what: &str) {
        *self.counts.lock().entry(what.to_owned()).or_default() += 1;
    }

    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.lock().clone()
    }

    pub fn promised(&self) -> usize {
        self.promised.lock().len()
    }
}

pub struct Stage {
    pub shop: Shop,
    pub bases: Vec<String>,
    pub spotlight: String,
    /// The offer version that was sold last, as far as the host knows.
    pub version: AtomicU32,
    pub over: AtomicBool,
    pub tally: Arc<Tally>,
}

impl Stage {
    pub fn path(&self) -> String {
        format!("/v1/spotlights/{}", self.spotlight)
    }

    pub fn base(&self, dice: &mut ChaCha8Rng) -> String {
        self.bases[dice.random_range(0..self.bases.len())].clone()
    }

    /// A call under a key of its own; again while the answer says so. No call ends in another 5xx.
    pub async fn call(
        &self,
        dice: &mut ChaCha8Rng,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let key = Uuid::new_v4().to_string();
        let until = Instant::now() + ANSWERED_WITHIN;
        loop {
            let url = format!("{}{path}", self.base(dice));
            match self.shop.call(method.clone(), &url, token, Some(&key), body).await {
                Ok(answer) if answer.status != 503 => {
                    assert!(!answer.status.is_server_error(), "{path}: {answer:?}");
                    return answer;
                }
                other => assert!(Instant::now() < until, "{path}: {other:?}"),
            }
            tokio::time::sleep(ASKS_AGAIN_AFTER).await;
        }
    }
}

/// One in two is the method that pays at once.
pub fn method(dice: &mut ChaCha8Rng) -> &'static str {
    if dice.random_bool(0.4) { METHODS[0] } else { METHODS[dice.random_range(0..METHODS.len())] }
}

/// One or two SKUs, one or two units of each.
pub fn lines(dice: &mut ChaCha8Rng) -> Value {
    let mut lines = vec![json!({"sku": "A", "quantity": dice.random_range(1..=2)})];
    if dice.random_bool(0.3) {
        lines.push(json!({"sku": "B", "quantity": dice.random_range(1..=2)}));
    }
    if dice.random_bool(0.2) {
        lines.remove(0);
    }
    if lines.is_empty() {
        lines.push(json!({"sku": "B", "quantity": 1}));
    }
    Value::Array(lines)
}

pub async fn pause(dice: &mut ChaCha8Rng, most_ms: u64) {
    tokio::time::sleep(Duration::from_millis(dice.random_range(0..most_ms))).await;
}
