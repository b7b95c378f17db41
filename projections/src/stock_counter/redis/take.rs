//! Taking, narrowing, looking.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use domain::admission::Admission;
use domain::ids::{OrderId, Sku, SpotlightId};
use domain::ports::{
    GateOffer, GateView, Narrow, Narrowed, Narrowing, PortError, SoldOutVerdict, Take, TakeOutcome,
};
use domain::spotlight::SpotlightStatus;
use domain::views::Inventory;
use redis::Value;

use super::link::{is_no_script, unavailable};
use super::reply::{Reply, corrupt};
use super::seen::{ParsedOffer, Standing};
use super::{RedisGate, encode, order_id};

/// How often a take is tried again under a newer token before it answers `Stale`.
const STALE_RETRIES: usize = 3;
/// Ids that are read at once while a sold-out verdict is brought up to date.
const IDS_PAGE: usize = 10_000;

impl RedisGate {
    pub(super) async fn take_once_current(&self, take: &Take) -> Result<TakeOutcome, PortError> {
        let spotlight = take.spotlight;
        let Some(mut standing) = self.standing(spotlight).await? else {
            return Ok(TakeOutcome::NoState);
        };
        for _ in 0..STALE_RETRIES {
            let mut command = standing.take_with(take.command.len());
            command
                .arg(take.seller.as_str())
                .arg(take.order.0.hyphenated().encode_lower(&mut [0; 36]).as_bytes())
                .arg(take.fingerprint.as_str())
                .arg(take.viewer.as_str())
                .arg(take.offer_version)
                .arg(take.lines.units())
                .arg(encode::lines(&take.lines))
                .arg(take.command.as_str())
                .arg(if take.again { "1" } else { "" });
            let no_script = match self.link.ask(&command).await {
                Ok(value) => match take_outcome(&standing, value)? {
                    TakeOutcome::Stale => false,
                    outcome => return Ok(outcome),
                },
                Err(error) if is_no_script(&error) => true,
                Err(error) => return Err(unavailable(error)),
            };
            let Some(current) = self.read_standing(spotlight).await? else {
                self.seen.lose(spotlight, &standing.token);
                return Ok(TakeOutcome::NoState);
            };
            if no_script && current.token == standing.token {
                self.seen.lose(spotlight, &standing.token);
                return Ok(TakeOutcome::NoState);
            }
            standing = current;
        }
        Ok(TakeOutcome::Stale)
    }

    /// What this node has seen of a gate, else what Redis says.
    pub(super) async fn standing(
        &self,
        spotlight: SpotlightId,
    ) -> Result<Option<Arc<Standing>>, PortError> {
        match self.seen.get(spotlight) {
            Some(standing) => Ok(Some(standing)),
            None => self.read_standing(spotlight).await,
        }
    }

    /// Under which token a gate stands now; `None` where there is none.
    pub(super) async fn read_standing(
        &self,
        spotlight: SpotlightId,
    ) -> Result<Option<Arc<Standing>>, PortError> {
        let keys = self.keys(spotlight);
        let mut command = redis::cmd("HGET");
        command.arg(keys.meta()).arg("tk");
        let token = self.link.ask(&command).await.map_err(unavailable)?;
        let Value::BulkString(token) = token else {
            self.seen.forget(spotlight);
            return Ok(None);
        };
        let token = String::from_utf8(token).map_err(corrupt)?;
        Ok(Some(self.seen.stands(spotlight, token, || self.keys(spotlight))))
    }

    pub(super) async fn narrow_now(&self, narrow: &Narrow) -> Result<Narrowed, PortError> {
        let mut waits = "";
        let (kind, lines) = match &narrow.narrowing {
            Narrowing::Pause => ("p", String::new()),
            Narrowing::Close => ("c", String::new()),
            Narrowing::ChangeOffer => ("f", String::new()),
            Narrowing::Wait { viewer, units } => {
                waits = viewer.as_str();
                ("w", units.to_string())
            }
            Narrowing::Reduce { sku, units } => ("r", encode::units_by_sku([(sku, units)])),
        };
        let args = [
            narrow.seller.as_str().as_bytes().to_vec(),
            narrow.entry.to_string().into_bytes(),
            kind.as_bytes().to_vec(),
            lines.into_bytes(),
            narrow.command.clone().into_bytes(),
            waits.as_bytes().to_vec(),
        ];
        let keys = self.keys(narrow.spotlight);
        let value = self.link.run(&self.scripts.narrow, keys.all(), &args).await?;
        let mut reply = Reply::of(value)?;
        Ok(match reply.text()?.as_str() {
            "done" => Narrowed::Done { admission: reply.admission()? },
            "again" => Narrowed::SameAgain { entry: reply.entry()? },
            "below" => Narrowed::BelowCommitted { remaining: reply.number()? },
            "over" => {
                Narrowed::OverLimit { limit: reply.number()?, open_order: order_id(&reply.text()?) }
            }
            "sku" => Narrowed::UnknownSku,
            "closed" => Narrowed::Closed,
            "nostate" => Narrowed::NoState,
            other => return Err(corrupt(format!("{other:?} answers no narrowing"))),
        })
    }

    async fn look(&self, spotlight: SpotlightId) -> Result<Option<Look>, PortError> {
        let keys = self.keys(spotlight);
        let value = self.link.run(&self.scripts.view, keys.all(), &[]).await?;
        let mut reply = Reply::of(value)?;
        if reply.text()? == "nostate" {
            return Ok(None);
        }
        let token = reply.text()?;
        let reopening = reply.text()? == "1";
        if reopening || self.seen.is_lost(spotlight, &token) {
            return Ok(None);
        }
        let status = match reply.text()?.as_str() {
            "S" => SpotlightStatus::Scheduled,
            "O" => SpotlightStatus::Open,
            "P" => SpotlightStatus::Paused,
            _ => SpotlightStatus::Closed,
        };
        let (epoch, applied) = (reply.number()?, domain::envelope::Position(reply.number()?));
        let standing = self.seen.stands(spotlight, token, || self.keys(spotlight));
        let offer = read_offer(&standing, &reply.text()?)?;
        let offer_version = reply.number()?;
        let changing = reply.text()? != "0";
        let next_release_at = reply.optional_time()?;
        let inventory = reply.stock()?.into_iter().map(|(sku, [limit, used, sold])| {
            let remaining = limit.saturating_sub(used);
            let held = used.saturating_sub(sold);
            (sku, Inventory { limited_quantity: limit, remaining, held, sold })
        });
        let inventory = inventory.collect();
        let view = GateView { status, epoch, applied, inventory, next_release_at, offer };
        Ok(Some(Look { view, standing, offer_version, changing }))
    }

    pub(super) async fn view_now(
        &self,
        spotlight: SpotlightId,
    ) -> Result<Option<GateView>, PortError> {
        Ok(self.look(spotlight).await?.map(|look| look.view))
    }

    pub(super) async fn sold_out_now(
        &self,
        spotlight: SpotlightId,
        lease: Duration,
    ) -> Result<Option<SoldOutVerdict>, PortError> {
        let Some(look) = self.look(spotlight).await? else { return Ok(None) };
        if look.view.inventory.values().any(|sku| sku.remaining > 0) {
            return Ok(None);
        }
        let args = [look.standing.token.clone().into_bytes(), lease.as_micros().to_string().into()];
        let leased = self.link.run(&self.scripts.lease, look.standing.keys.all(), &args).await?;
        // every order that was taken before the lease began
        let Value::Int(ids) = leased else { return Err(corrupt("no number answers a lease")) };
        let Ok(ids) = usize::try_from(ids) else { return Ok(None) };
        let orders = self.orders_up_to(&look.standing, ids).await?;
        let remaining =
            look.view.inventory.into_iter().map(|(sku, shown)| (sku, shown.remaining)).collect();
        Ok(Some(SoldOutVerdict {
            remaining,
            orders,
            offer_version: look.offer_version,
            open: look.view.status == SpotlightStatus::Open && !look.changing,
        }))
    }

    /// Every id that the gate has written down; the list only grows under one token, so only what
    /// this node has not read yet is asked for.
    async fn orders_up_to(
        &self,
        standing: &Standing,
        length: usize,
    ) -> Result<Arc<HashSet<OrderId>>, PortError> {
        loop {
            let read = standing.orders.lock().0;
            if read >= length {
                return Ok(Arc::clone(&standing.orders.lock().1));
            }
            let mut command = redis::cmd("LRANGE");
            command.arg(standing.keys.ids()).arg(read).arg(read.saturating_add(IDS_PAGE) - 1);
            let mut page = Reply::of(self.link.ask(&command).await.map_err(unavailable)?)?;
            let mut ids = Vec::with_capacity(IDS_PAGE);
            while let Ok(id) = page.text() {
                ids.push(order_id(&id).ok_or_else(|| corrupt(format!("{id:?} is no order")))?);
            }
            if ids.is_empty() {
                return Ok(Arc::clone(&standing.orders.lock().1));
            }
            let mut orders = standing.orders.lock();
            // another task may have read the same page
            if orders.0 == read {
                orders.0 = read.saturating_add(ids.len());
                Arc::make_mut(&mut orders.1).extend(ids);
            }
        }
    }
}

/// What one look at a gate showed.
struct Look {
    view: GateView,
    standing: Arc<Standing>,
    offer_version: u32,
    changing: bool,
}

/// What parts the fields of the answer to a take that took: no JSON holds it.
const FIELD_END: char = '\u{1f}';

/// Epoch, number, time and offer in one text.
fn taken(standing: &Standing, text: &str) -> Result<TakeOutcome, PortError> {
    let malformed = || corrupt("the answer to a take is malformed");
    let mut fields = text.splitn(4, FIELD_END);
    let (Some(epoch), Some(number), Some(at), Some(offer)) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(malformed());
    };
    let at = at.parse().ok().and_then(DateTime::from_timestamp_micros).ok_or_else(malformed)?;
    let epoch = epoch.parse().map_err(|_| malformed())?;
    let number = number.parse().map_err(|_| malformed())?;
    let offer = read_offer(standing, offer)?;
    let offer_version = offer.offer.version;
    Ok(TakeOutcome::Taken { admission: Admission { epoch, number, at, offer_version }, offer })
}

fn take_outcome(standing: &Standing, value: Value) -> Result<TakeOutcome, PortError> {
    if let Value::BulkString(text) = value {
        return taken(standing, str::from_utf8(&text).map_err(corrupt)?);
    }
    let mut reply = Reply::of(value)?;
    Ok(match reply.text()?.as_str() {
        "soldout" => {
            let stock = reply.stock()?.into_iter();
            let remaining = stock.map(|(sku, [limit, used, _])| (sku, limit.saturating_sub(used)));
            TakeOutcome::SoldOut { remaining: remaining.collect() }
        }
        "sku" => TakeOutcome::UnknownSku { sku: Sku::try_new(reply.text()?).map_err(corrupt)? },
        "notopen" => TakeOutcome::NotOpen { opens_at: reply.optional_time()? },
        "paused" => TakeOutcome::Paused,
        "closed" => TakeOutcome::Closed,
        "over" => {
            TakeOutcome::OverLimit { limit: reply.number()?, open_order: order_id(&reply.text()?) }
        }
        "offer" => TakeOutcome::OfferChanged { offer: read_offer(standing, &reply.text()?)? },
        "changing" => TakeOutcome::Changing,
        "stale" | "gone" => TakeOutcome::Stale,
        "conflict" => TakeOutcome::Conflict,
        "again" => {
            let entry = reply.entry()?;
            let offer = reply.text()?;
            let offer = if offer.is_empty() {
                None
            } else {
                Some(serde_json::from_str(&offer).map_err(corrupt)?)
            };
            TakeOutcome::SameAgain { entry, offer }
        }
        "nostate" => TakeOutcome::NoState,
        other => return Err(corrupt(format!("{other:?} answers no take"))),
    })
}

/// Reads the offer that the script returned; the same text is not read twice in a row.
fn read_offer(standing: &Standing, text: &str) -> Result<GateOffer, PortError> {
    if let Some(parsed) = standing.offer.load().as_ref()
        && parsed.text == text
    {
        return Ok(parsed.offer.clone());
    }
    let offer: GateOffer = serde_json::from_str(text).map_err(corrupt)?;
    let parsed = ParsedOffer { text: text.to_owned(), offer: offer.clone() };
    standing.offer.store(Some(Arc::new(parsed)));
    Ok(offer)
}
