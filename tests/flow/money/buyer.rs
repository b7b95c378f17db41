//! A buyer, who does what buyers do: presses, repeats, pays late or never, tries again, calls it
//! off, waits in line.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::stage::{Stage, lines, method, pause};

/// Buyers of a spotlight; each presses more than once.
const VIEWERS: u32 = 100;
/// Presses on a spotlight that is paused, or whose price has just changed.
const PRESSES: usize = 5;
/// How long a buyer waits in line, or for its bank.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOKS_EVERY: Duration = Duration::from_millis(300);

struct Buyer {
    stage: Arc<Stage>,
    dice: ChaCha8Rng,
    token: String,
    name: String,
}

/// From the press to whatever the buyer does last.
pub async fn buy(stage: Arc<Stage>, mut dice: ChaCha8Rng) {
    let name = format!("viewer-{}-{}", stage.spotlight, dice.random_range(0..VIEWERS));
    let token = stage.shop.token("viewer", &name);
    Buyer { stage, dice, token, name }.press().await;
}

impl Buyer {
    async fn call(&mut self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let answer = self.stage.call(&mut self.dice, &self.token, method, path, body).await;
        (answer.status.as_u16(), answer.body)
    }

    fn count(&self, what: &str) {
        self.stage.tally.count(what);
    }

    async fn press(mut self) {
        let pays = (!self.dice.random_bool(0.15)).then(|| method(&mut self.dice));
        let lines = lines(&mut self.dice);
        let key = Uuid::new_v4().to_string();
        for _ in 0..PRESSES {
            let body = json!({
                "spotlight_id": self.stage.spotlight, "lines": lines, "payment_method": pays,
                "offer_version": self.stage.version.load(Ordering::Relaxed),
            });
            let base = self.stage.base(&mut self.dice);
            let answer = self.stage.shop.order_again(&base, &self.name, &key, &body).await;
            match (answer.status.as_u16(), answer.code()) {
                (202, _) => {
                    self.count(&format!("promised {}", pays.unwrap_or("later")));
                    let receipt = answer.body["receipt"].clone();
                    assert!(receipt.is_object(), "{answer:?}");
                    self.stage.tally.promised.lock().insert(answer.id(), receipt);
                    self.repeat(&key, &body, &answer.id()).await;
                    return self.follow(&answer.id(), pays).await;
                }
                (409, "sold_out") => {
                    self.count("sold out");
                    return self.wait(lines).await;
                }
                (409, "offer_changed" | "paused" | "not_open") => {
                    pause(&mut self.dice, 400).await;
                }
                (409, code @ ("over_limit" | "closed")) => return self.count(code),
                other => panic!("{other:?}: {answer:?}"),
            }
        }
    }

    /// The same key again, on any node: the same order, the same promise.
    async fn repeat(&mut self, key: &str, body: &Value, order: &str) {
        if !self.dice.random_bool(0.25) {
            return;
        }
        pause(&mut self.dice, 1_000).await;
        let base = self.stage.base(&mut self.dice);
        let again = self.stage.shop.order_again(&base, &self.name, key, body).await.expect(202);
        assert_eq!(again.id(), order);
        assert_eq!(Some(&again.body["receipt"]), self.stage.tally.promised.lock().get(order));
        self.count("repeated");
    }

    async fn follow(&mut self, order: &str, pays: Option<&str>) {
        if pays.is_none() {
            pause(&mut self.dice, 3_500).await;
            if self.dice.random_bool(0.65) {
                self.pay(order).await;
            }
        }
        if self.dice.random_bool(0.15) {
            pause(&mut self.dice, 2_000).await;
            return self.cancel(order).await;
        }
        // after a soft decline most try again, with whatever comes to hand
        if pays == Some("sim_decline_soft") && self.dice.random_bool(0.8) {
            let declined = self
                .until(&format!("/v1/orders/{order}"), |order| {
                    order["payment"]["retryable"] == true
                        || !["pending", "reserved"]
                            .contains(&order["status"].as_str().unwrap_or(""))
                })
                .await;
            if declined.is_some_and(|order| order["payment"]["retryable"] == true) {
                self.count("tried again");
                self.pay(order).await;
            }
        }
    }

    async fn pay(&mut self, order: &str) {
        let body = json!({"method": method(&mut self.dice)});
        let path = format!("/v1/orders/{order}/payment");
        let (status, answer) = self.call(Method::POST, &path, Some(&body)).await;
        assert!(matches!(status, 202 | 409), "{status} {answer}");
    }

    async fn cancel(&mut self, order: &str) {
        let path = format!("/v1/orders/{order}/cancel");
        let (status, answer) = self.call(Method::POST, &path, Some(&json!({}))).await;
        assert!(matches!(status, 202 | 409), "{status} {answer}");
        if status == 202 {
            self.count("cancelled");
        }
    }

    async fn until(&mut self, path: &str, is: impl Fn(&Value) -> bool) -> Option<Value> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let (status, shown) = self.call(Method::GET, path, None).await;
            if status == 200 && is(&shown) {
                return Some(shown);
            }
            tokio::time::sleep(LOOKS_EVERY).await;
        }
        None
    }

    async fn wait(&mut self, lines: Value) {
        let path = format!("{}/waitlist", self.stage.path());
        let (status, answer) = self.call(Method::POST, &path, Some(&json!({"lines": lines}))).await;
        if status != 202 {
            assert_eq!(status, 409, "{answer}");
            return;
        }
        self.count("waited");
        if self.dice.random_bool(0.1) {
            pause(&mut self.dice, 1_000).await;
            let (status, answer) = self.call(Method::DELETE, &path, None).await;
            assert!(matches!(status, 200 | 404 | 409), "{status} {answer}");
            return;
        }
        let Some(place) = self.until(&path, |place| place["status"] != "waiting").await else {
            return;
        };
        if place["status"] != "offered" {
            return;
        }
        let order = place["order_id"].as_str().expect("an offer's order").to_owned();
        self.count("offered");
        pause(&mut self.dice, 1_500).await;
        match self.dice.random_range(0..20) {
            0..13 => self.pay(&order).await,
            13..15 => self.cancel(&order).await,
            _ => {}
        }
    }
}
