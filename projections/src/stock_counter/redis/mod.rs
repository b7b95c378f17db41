//! The gate on Redis: one script per operation, every key of a spotlight under one hash tag.
//!
//! Only `take` admits, and its script is never loaded again: its text is unique to the spotlight and
//! to the token that its state was created or loaded under, and it is loaded with that state only.
//! So `NOSCRIPT` says that Redis restarted or failed over since, and may have lost what it answered;
//! that spotlight answers `NoState` until it is rebuilt under a higher epoch. The other scripts
//! never admit and are loaded wherever they are missing.

mod accepted;
mod apply;
mod encode;
mod keys;
mod link;
mod load;
mod pending;
mod reply;
mod seen;
mod take;

use std::time::Duration;

use async_trait::async_trait;
use domain::envelope::Recorded;
use domain::ids::{OrderId, SpotlightId};
use domain::ports::{
    Applied, GateSnapshot, GateView, Loaded, Narrow, Narrowed, PendingEntry, PortError,
    SoldOutVerdict, StockGate, Take, TakeOutcome,
};
use uuid::Uuid;

pub use accepted::RedisAcceptedOrders;
pub use link::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT};

use keys::GateKeys;
use link::{Body, Link};
use seen::Seen;

/// What this adapter is called in errors.
const WHAT: &str = "the stock gate's Redis";

/// The gate on one Redis or on a Redis Cluster.
pub struct RedisGate {
    link: Link,
    prefix: String,
    seen: Seen,
    scripts: Scripts,
}

/// The scripts that never admit.
struct Scripts {
    apply: Body,
    narrow: Body,
    cancel: Body,
    claim: Body,
    view: Body,
    lease: Body,
    load_chunk: Body,
    load_swap: Body,
}

macro_rules! with_common {
    ($file:literal) => {
        Body::new(concat!(include_str!("common.lua"), include_str!($file)))
    };
}

impl Scripts {
    fn new() -> Self {
        Self {
            apply: with_common!("apply.lua"),
            narrow: with_common!("narrow.lua"),
            cancel: with_common!("cancel.lua"),
            claim: with_common!("claim.lua"),
            view: with_common!("view.lua"),
            lease: with_common!("lease.lua"),
            load_chunk: with_common!("load_chunk.lua"),
            load_swap: with_common!("load_swap.lua"),
        }
    }
}

impl RedisGate {
    /// Connects to one Redis, or to a cluster by some of its nodes.
    ///
    /// # Errors
    /// None can be reached within [`CONNECT_TIMEOUT`], or an address is malformed.
    pub async fn connect(urls: &[String]) -> Result<Self, PortError> {
        Self::connect_under("", urls).await
    }

    /// Connects as [`RedisGate::connect`] does; every key begins with `prefix`, so that several
    /// installations share a Redis.
    ///
    /// # Errors
    /// As of [`RedisGate::connect`].
    pub async fn connect_under(prefix: &str, urls: &[String]) -> Result<Self, PortError> {
        let link = Link::connect(urls).await?;
        let prefix = prefix.to_owned();
        Ok(Self { link, prefix, seen: Seen::default(), scripts: Scripts::new() })
    }

    fn keys(&self, spotlight: SpotlightId) -> GateKeys {
        GateKeys::of(&self.prefix, spotlight)
    }
}

#[async_trait]
impl StockGate for RedisGate {
    async fn take(&self, take: &Take) -> Result<TakeOutcome, PortError> {
        self.take_once_current(take).await
    }

    async fn cancel_unsent(&self, spotlight: SpotlightId, entry: Uuid) -> Result<bool, PortError> {
        let keys = self.keys(spotlight);
        let args = [entry.to_string().into_bytes()];
        let reply = self.link.run(&self.scripts.cancel, keys.all(), &args).await?;
        Ok(reply == redis::Value::Int(1))
    }

    async fn narrow(&self, narrow: &Narrow) -> Result<Narrowed, PortError> {
        self.narrow_now(narrow).await
    }

    async fn apply(
        &self,
        spotlight: SpotlightId,
        events: &[Recorded],
    ) -> Result<Applied, PortError> {
        self.apply_all(spotlight, events).await
    }

    async fn load(&self, snapshot: &GateSnapshot) -> Result<Loaded, PortError> {
        self.load_whole(snapshot).await
    }

    async fn view(&self, spotlight: SpotlightId) -> Result<Option<GateView>, PortError> {
        self.view_now(spotlight).await
    }

    async fn sold_out(
        &self,
        spotlight: SpotlightId,
        lease: Duration,
    ) -> Result<Option<SoldOutVerdict>, PortError> {
        self.sold_out_now(spotlight, lease).await
    }

    async fn claim_pending(
        &self,
        older_than: Duration,
        limit: usize,
    ) -> Result<Vec<PendingEntry>, PortError> {
        self.claim_everywhere(older_than, limit).await
    }

    async fn lost(&self) -> Vec<SpotlightId> {
        self.look_for_losses().await;
        self.seen.newly_lost()
    }
}

/// An id that a script gave back.
fn order_id(text: &str) -> Option<OrderId> {
    text.parse().ok()
}
