//! A host who changes everything while it sells.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use reqwest::Method;
use serde_json::{Value, json};

use super::stage::{Stage, pause};

/// The longest pause between two commands of a host.
const EVERY_MS: u64 = 300;

struct Host {
    stage: Arc<Stage>,
    dice: ChaCha8Rng,
    token: String,
}

/// Until the show is over; then the spotlight is closed.
pub async fn host(stage: Arc<Stage>, dice: ChaCha8Rng) {
    let token = stage.shop.token("host", "host-1");
    let mut host = Host { stage, dice, token };
    while !host.stage.over.load(Ordering::Relaxed) {
        pause(&mut host.dice, EVERY_MS).await;
        host.step().await;
    }
    let (status, answer) = host.tell("close", json!({"reason": "over"})).await;
    assert_eq!(status, 200, "{answer}");
}

impl Host {
    async fn post(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let stage = self.stage.clone();
        let answer = stage.call(&mut self.dice, &self.token, Method::POST, path, Some(body)).await;
        let status = answer.status.as_u16();
        assert!(matches!(status, 200 | 202 | 409), "{path} {body}: {answer:?}");
        (status, answer.body)
    }

    async fn tell(&mut self, step: &str, body: Value) -> (u16, Value) {
        let path = format!("{}/{step}", self.stage.path());
        let (status, answer) = self.post(&path, &body).await;
        if status != 409 {
            self.stage.tally.count(&format!("host {step}"));
        }
        (status, answer)
    }

    async fn step(&mut self) {
        match self.dice.random_range(0..100) {
            0..25 => {
                let (sku, delta) = (["A", "B"][self.dice.random_range(0..2)], 1);
                let delta = delta + self.dice.random_range(0..6);
                self.tell("stock", json!({"sku": sku, "delta": delta, "reason": "more"})).await;
            }
            25..40 => {
                let body = json!({"sku": "A", "delta": -2, "reason": "damaged"});
                self.tell("stock", body).await;
            }
            40..52 => self.change_offer().await,
            52..60 => {
                self.tell("pause", json!({})).await;
                pause(&mut self.dice, EVERY_MS).await;
                self.tell("resume", json!({})).await;
            }
            60..66 => self.withdraw().await,
            _ => self.refund().await,
        }
    }

    async fn change_offer(&mut self) {
        let minor = 10_000 + 10 * self.dice.random_range(0..1_000_i64);
        let body = json!({"live_price": {"minor": minor, "currency": "KRW"}, "reason": "a price"});
        let (status, answer) = self.tell("offer", body).await;
        if status == 200 {
            let version = answer["offer"]["version"].as_u64().expect("a version");
            let version = u32::try_from(version).expect("small");
            self.stage.version.store(version, Ordering::Relaxed);
        }
    }

    async fn withdraw(&mut self) {
        let version = self.stage.version.load(Ordering::Relaxed);
        let settle = if self.dice.random_bool(0.6) { "cancel" } else { "honour" };
        let body = json!({"offer_version": version, "settle": settle, "reason": "a wrong price"});
        self.tell("withdraw", body).await;
        pause(&mut self.dice, EVERY_MS).await;
        self.change_offer().await;
    }

    /// Some order that was sold goes back: whole or in part, its units on sale again or not.
    async fn refund(&mut self) {
        let stage = self.stage.clone();
        let path = format!("/v1/orders?spotlight_id={}&status=confirmed&limit=50", stage.spotlight);
        let sold = stage.call(&mut self.dice, &self.token, Method::GET, &path, None).await;
        let sold = sold.expect(200).body["items"].as_array().expect("orders").clone();
        let Some(order) = sold.choose(&mut self.dice) else { return };
        let mut body = json!({"reason": "not wanted", "restock": self.dice.random_bool(0.5)});
        if self.dice.random_bool(0.5) {
            body["lines"] = json!([{"sku": order["lines"][0]["sku"], "quantity": 1}]);
        }
        let path = format!("/v1/orders/{}/refund", order["id"].as_str().expect("an id"));
        let answer =
            stage.call(&mut self.dice, &self.token, Method::POST, &path, Some(&body)).await;
        // 422 where a line was given back before
        assert!(matches!(answer.status.as_u16(), 202 | 409 | 422), "{answer:?}");
        if answer.status == 202 {
            stage.tally.count("refund asked");
        }
    }
}
