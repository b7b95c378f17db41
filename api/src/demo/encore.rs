//! After the rush: one unit, and everything that may go otherwise with it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::{Value, json};

use super::shop::{SKU, Shop};

/// How long each step may take.
const STEP_WITHIN: Duration = Duration::from_mins(2);
/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The hold of the encore's orders and offers, in seconds.
const HOLD_SECONDS: u32 = 10;

/// The encore: who plays it, and who is told.
pub struct Encore<'a> {
    shop: &'a Shop,
    token_of: &'a (dyn Fn(&str) -> anyhow::Result<String> + Send + Sync),
    tell: &'a (dyn Fn(String) + Send + Sync),
}

impl<'a> Encore<'a> {
    /// One over a running server; `tell` gets a line per step.
    pub const fn new(
        shop: &'a Shop,
        token_of: &'a (dyn Fn(&str) -> anyhow::Result<String> + Send + Sync),
        tell: &'a (dyn Fn(String) + Send + Sync),
    ) -> Self {
        Self { shop, token_of, tell }
    }

    /// Plays it: a payment that comes late, a waitlist, a card that is refused and tried again, an
    /// offer that is declined, and a price that is withdrawn.
    ///
    /// # Errors
    /// The server cannot be reached, a step does not end, or it ends otherwise than it must.
    pub async fn play(&self) -> anyhow::Result<()> {
        let body = json!({"title": "Encore", "currency": "KRW"});
        let broadcast = id_of(&self.shop.host("/v1/broadcasts", "encore", &body).await?)?;
        let path = format!("/v1/broadcasts/{broadcast}");
        self.shop.host(&format!("{path}/start"), "encore-start", &json!({})).await?;
        let body = json!({
            "product": {
                "id": "lamp", "name": "The last lamp",
                "original_price": {"minor": 39_900, "currency": "KRW"},
            },
            "live_price": {"minor": 9_900, "currency": "KRW"},
            "skus": [{"sku": SKU, "limited_quantity": 1}],
            "hold_seconds": HOLD_SECONDS,
        });
        let shown = format!("{path}/products/spotlight");
        let spotlight = id_of(&self.shop.host(&shown, "encore-spotlight", &body).await?)?;
        let late = self.buys_late(&spotlight).await?;
        let bought = self.waits_and_pays(&spotlight).await?;
        self.ends("ana's late payment", &late, "ana").await?;
        self.declines(&spotlight).await?;
        self.withdraws(&spotlight, &bought).await?;
        self.shop.host(&format!("{path}/end"), "encore-end", &json!({})).await?;
        Ok(())
    }

    fn say(&self, line: String) {
        (self.tell)(line);
    }

    /// A viewer's call, repeated while the server asks for it.
    async fn ask(
        &self,
        who: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        self.ask_as(who, "", method, path, body).await
    }

    /// As [`Encore::ask`], told apart from another call to the same path.
    async fn ask_as(
        &self,
        who: &str,
        what: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let (token, key) = ((self.token_of)(who)?, format!("encore-{who}-{what}-{path}"));
        let until = Instant::now() + STEP_WITHIN;
        loop {
            let answer = self.shop.call(method.clone(), path, &token, Some(&key), body).await?;
            match answer.status.as_u16() {
                200..=202 | 409 => return Ok(answer.body),
                503 if Instant::now() < until => tokio::time::sleep(LOOK_EVERY).await,
                status => bail!("{path} answered {status}: {}", answer.body),
            }
        }
    }

    async fn until(
        &self,
        who: &str,
        path: &str,
        is: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let until = Instant::now() + STEP_WITHIN;
        loop {
            let found = self.ask(who, Method::GET, path, None).await?;
            if is(&found) {
                return Ok(found);
            }
            if Instant::now() >= until {
                bail!("{path} stays as it is: {found}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn buys_late(&self, spotlight: &str) -> anyhow::Result<String> {
        let body = json!({
            "spotlight_id": spotlight, "offer_version": 1,
            "lines": [{"sku": SKU, "quantity": 1}], "payment_method": "sim_late",
        });
        let order = id_of(&self.ask("ana", Method::POST, "/v1/orders", Some(&body)).await?)?;
        self.say("ana takes the last lamp; her bank is slow".to_owned());
        Ok(order)
    }

    /// Bob waits, is offered what ana does not pay in time, and pays with his second card.
    async fn waits_and_pays(&self, spotlight: &str) -> anyhow::Result<String> {
        let line = format!("/v1/spotlights/{spotlight}/waitlist");
        let body = json!({"lines": [{"sku": SKU, "quantity": 1}]});
        let place = self.ask("bob", Method::POST, &line, Some(&body)).await?;
        self.say(format!("bob waits at place {}", place.pointer("/place").unwrap_or(&Value::Null)));
        let offer = self.until("bob", &line, |place| text(place, "/status") != "waiting").await?;
        let order = offer
            .pointer("/order_id")
            .and_then(Value::as_str)
            .context("an offer has an order")?
            .to_owned();
        self.say("ana's hold runs out; the lamp is offered to bob".to_owned());
        let path = format!("/v1/orders/{order}");
        for (method, paid) in [("sim_decline_soft", "declined"), ("sim_ok", "captured")] {
            let body = json!({"method": method});
            let payment = format!("{path}/payment");
            self.ask_as("bob", method, Method::POST, &payment, Some(&body)).await?;
            let after = self
                .until("bob", &path, |order| {
                    text(order, "/payment/status") == paid
                        || !matches!(text(order, "/status"), "pending" | "reserved")
                })
                .await?;
            let payment = text(&after, "/payment/status");
            self.say(format!("bob pays: {payment}, {}", text(&after, "/status")));
            must("bob's payment", payment, paid)?;
        }
        Ok(order)
    }

    async fn ends(&self, what: &str, order: &str, who: &str) -> anyhow::Result<()> {
        let is_over = |order: &Value| {
            let status = text(order, "/status");
            let owed = status == "failed" && text(order, "/payment/status") == "captured";
            !matches!(status, "pending" | "reserved") && !owed
        };
        let ended = self.until(who, &format!("/v1/orders/{order}"), is_over).await?;
        let reason = text(&ended, "/reason");
        let payment = text(&ended, "/payment/status");
        self.say(format!("{what}: {} ({reason}), {payment}", text(&ended, "/status")));
        must(what, reason, "late_payment")?;
        must(what, payment, "refunded")
    }

    /// Cat waits, another unit turns up, and she does not want it any more.
    async fn declines(&self, spotlight: &str) -> anyhow::Result<()> {
        let line = format!("/v1/spotlights/{spotlight}/waitlist");
        let body = json!({"lines": [{"sku": SKU, "quantity": 1}]});
        let joined = self.ask("cat", Method::POST, &line, Some(&body)).await?;
        self.say(format!("cat wants one: {}", text(&joined, "/status")));
        let more = json!({"sku": SKU, "delta": 1, "reason": "one more was found"});
        self.shop.host(&format!("/v1/spotlights/{spotlight}/stock"), "encore-more", &more).await?;
        must("cat", text(&joined, "/status"), "waiting")?;
        self.until("cat", &line, |place| text(place, "/status") != "waiting").await?;
        self.ask("cat", Method::DELETE, &line, None).await?;
        let place = self.until("cat", &line, |place| text(place, "/status") != "offered").await?;
        self.say(format!("one more is found and offered to cat: {}", text(&place, "/status")));
        must("cat", text(&place, "/status"), "declined")
    }

    /// The price was wrong: who bought at it gets their money back.
    async fn withdraws(&self, spotlight: &str, bought: &str) -> anyhow::Result<()> {
        let path = format!("/v1/spotlights/{spotlight}");
        let body = json!({"offer_version": 1, "settle": "cancel", "reason": "a zero is missing"});
        self.shop.host(&format!("{path}/withdraw"), "encore-withdraw", &body).await?;
        let is_settled = |shown: &Value| {
            let count = |name| shown.pointer(name).and_then(Value::as_u64);
            let total = count("/withdrawal/total");
            total.is_some() && count("/withdrawal/done") == total
        };
        self.until("bob", &path, is_settled).await?;
        let is_back =
            |order: &Value| !matches!(text(order, "/status"), "confirmed" | "pending" | "reserved");
        let order = self.until("bob", &format!("/v1/orders/{bought}"), is_back).await?;
        self.say(format!("the price is withdrawn; bob's order is {}", text(&order, "/status")));
        must("bob's order", text(&order, "/status"), "refunded")
    }
}

/// What the demo shows has to be so: another end is a defect, and no show.
fn must(what: &str, found: &str, meant: &str) -> anyhow::Result<()> {
    if found != meant {
        bail!("{what} is {found}, not {meant}");
    }
    Ok(())
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("nothing")
}

fn id_of(answer: &Value) -> anyhow::Result<String> {
    let id = answer
        .pointer("/id")
        .and_then(Value::as_str)
        .with_context(|| format!("no id in {answer}"))?;
    Ok(id.to_owned())
}
