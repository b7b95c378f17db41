//! One simulated viewer: watches the stock on its socket, presses *buy*, presses again when units
//! come back, and watches its own order to the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::shop::{SKU, Shop};

/// Presses at most of a viewer who wants one unit.
const PRESSES_MAX: u32 = 40;
/// The pause after an answer that asks to try again.
const AGAIN_PAUSE: Duration = Duration::from_millis(200);

/// What a viewer reports to the screen.
#[derive(Debug)]
pub enum Report {
    /// Its socket is connected.
    Connected,
    /// It was accepted, after so long.
    Accepted(Duration),
    /// It was refused, with the problem's code.
    Refused(String),
    /// Its order reached a step.
    Step(String),
    /// A frame with stock arrived: remaining, held, sold.
    Stock {
        /// Units that can be ordered.
        remaining: i64,
        /// Units held for orders.
        held: i64,
        /// Units sold.
        sold: i64,
    },
}

/// What a viewer needs to know.
pub struct Part {
    /// Its number.
    pub number: u32,
    /// Its token.
    pub token: String,
    /// `ws://…/connection/websocket`.
    pub socket: String,
    /// The broadcast.
    pub broadcast: String,
    /// The spotlight.
    pub spotlight: String,
    /// How it pays.
    pub method: &'static str,
    /// Whether it buys again once its order is confirmed: there are more units than buyers.
    pub buys_again: bool,
    /// How long it hesitates before its first press.
    pub hesitation: Duration,
    /// Where it orders.
    pub shop: Shop,
    /// Where it reports to.
    pub reports: mpsc::Sender<Report>,
    /// Whether the sale is on.
    pub opened: Arc<tokio::sync::Semaphore>,
    /// The end of the show.
    pub stop: CancellationToken,
}

#[derive(Default)]
struct Wish {
    version: u64,
    remaining: i64,
    presses: u32,
    ordered: bool,
    over: bool,
    status: String,
}

impl Part {
    /// Plays the part until the show stops.
    ///
    /// # Errors
    /// The socket or the server cannot be reached.
    pub async fn play(self) -> anyhow::Result<()> {
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            played = self.watch_and_buy() => played,
        }
    }

    async fn watch_and_buy(self) -> anyhow::Result<()> {
        let (mut socket, _) = tokio_tungstenite::connect_async(self.socket.as_str()).await?;
        let hello = json!({
            "id": 1,
            "connect": {"token": self.token, "data": {"broadcast": self.broadcast}},
        });
        socket.send(Message::text(hello.to_string())).await?;
        let mut wish = Wish { version: 1, remaining: i64::MAX, ..Wish::default() };
        let mut next_press: Option<Instant> = None;
        let mut opened = false;
        loop {
            let press_at = next_press.map(tokio::time::Instant::from_std);
            tokio::select! {
                permit = self.opened.acquire(), if !opened => {
                    drop(permit?);
                    opened = true;
                    next_press = Some(Instant::now() + self.hesitation);
                }
                () = wait_until(press_at) => next_press = self.press(&mut wish).await?,
                message = socket.next() => {
                    let Some(message) = message else { return Ok(()) };
                    let Message::Text(text) = message? else { continue };
                    if self.take(&text, &mut wish).await {
                        socket.send(Message::text("{}")).await?;
                    }
                    let may_buy = opened && !wish.over && !wish.ordered && wish.remaining > 0;
                    if may_buy && next_press.is_none() {
                        next_press = Some(Instant::now() + self.hesitation / 4);
                    }
                }
            }
        }
    }

    /// One press; tells when to press again by itself.
    async fn press(&self, wish: &mut Wish) -> anyhow::Result<Option<Instant>> {
        if wish.over || wish.ordered {
            return Ok(None);
        }
        wish.presses += 1;
        wish.over = !self.buys_again && wish.presses >= PRESSES_MAX;
        let key = format!("demo-{}-{}", self.number, wish.presses);
        let started = Instant::now();
        let answer =
            self.shop.buy(&self.token, &key, &self.spotlight, wish.version, self.method).await?;
        match (answer.status.as_u16(), answer.code()) {
            (202, _) => {
                wish.ordered = true;
                self.report(Report::Accepted(started.elapsed())).await;
                Ok(None)
            }
            (_, "offer_changed") => {
                let current = answer.body.pointer("/offer/version").and_then(Value::as_u64);
                wish.version = current.unwrap_or(wish.version);
                self.report(Report::Refused(answer.code().to_owned())).await;
                Ok(Some(Instant::now()))
            }
            (503 | 429, code) => {
                self.report(Report::Refused(code.to_owned())).await;
                Ok(Some(Instant::now() + AGAIN_PAUSE))
            }
            (_, code) => {
                wish.remaining = 0;
                self.report(Report::Refused(code.to_owned())).await;
                Ok(None)
            }
        }
    }

    /// Takes a frame; tells whether it holds a ping.
    async fn take(&self, text: &str, wish: &mut Wish) -> bool {
        let mut ping = false;
        for line in text.lines() {
            let Ok(frame) = serde_json::from_str::<Value>(line) else { continue };
            if frame.as_object().is_some_and(serde_json::Map::is_empty) {
                ping = true;
            } else if let Some(reply) = frame.get("connect") {
                self.report(Report::Connected).await;
                let live = format!("live:{}", self.broadcast);
                let state = reply.get("subs").and_then(|subs| subs.get(&live)?.get("data"));
                self.take_stock(state, wish).await;
            } else if let Some(push) = frame.get("push") {
                let data = push.pointer("/pub/data");
                self.take_stock(data, wish).await;
                self.take_step(data, wish).await;
            }
        }
        ping
    }

    async fn take_stock(&self, state: Option<&Value>, wish: &mut Wish) {
        let path = format!("/spotlights/{}", self.spotlight);
        let Some(spotlight) = state.and_then(|state| state.pointer(&path)) else { return };
        if let Some(version) = spotlight.pointer("/offer/version").and_then(Value::as_u64) {
            wish.version = version;
        }
        let Some(stock) = spotlight.pointer(&format!("/inventory/{SKU}")) else { return };
        let number = |name: &str| stock.get(name).and_then(Value::as_i64);
        let (Some(remaining), Some(held), Some(sold)) =
            (number("remaining"), number("held"), number("sold"))
        else {
            return;
        };
        wish.remaining = remaining;
        if self.number == 0 {
            self.report(Report::Stock { remaining, held, sold }).await;
        }
    }

    async fn take_step(&self, data: Option<&Value>, wish: &mut Wish) {
        let Some(order) = data.and_then(|data| data.get("order")) else { return };
        let status = order.get("status").and_then(Value::as_str).unwrap_or_default();
        if status == wish.status {
            return;
        }
        status.clone_into(&mut wish.status);
        match status {
            // a buyer whose card was refused lets somebody else have the unit
            "failed" => wish.over = true,
            "confirmed" if self.buys_again => wish.ordered = false,
            _ => {}
        }
        self.report(Report::Step(status.to_owned())).await;
    }

    async fn report(&self, report: Report) {
        // the screen is gone only when the show is over
        let _ = self.reports.send(report).await;
    }
}

async fn wait_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
