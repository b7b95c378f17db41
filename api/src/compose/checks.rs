//! What `/readyz` asks.

use std::sync::Arc;

use async_trait::async_trait;
use commands::writer::Owned;
use domain::ids::{SpotlightId, StreamKey};
use domain::ports::{CommandLog, EventReader, FeedBus, OrderBook, SalesBoard, StockGate};
use uuid::Uuid;

use super::parts::Parts;
use crate::config::Role;
use crate::ops::Check;

/// Events that a read model may be behind.
pub const READ_MODEL_LAG_MAX_EVENTS: u64 = 20_000;

/// The checks of a process with these roles.
pub(super) fn checks(parts: &Parts, owned: &Owned, roles: &[Role]) -> Vec<Arc<dyn Check>> {
    let mut checks: Vec<Arc<dyn Check>> = vec![Arc::new(Store(Arc::clone(&parts.reader)))];
    if roles.contains(&Role::Api) {
        checks.push(Arc::new(Log(Arc::clone(&parts.log))));
        checks.push(Arc::new(Gate(Arc::clone(&parts.gate))));
    }
    if roles.contains(&Role::Writer) {
        checks.push(Arc::new(Partitions(owned.clone())));
    }
    if roles.contains(&Role::Live) {
        checks.push(Arc::new(Feed(Arc::clone(&parts.bus))));
    }
    if roles.contains(&Role::Api) || roles.contains(&Role::Live) {
        checks.push(Arc::new(Models {
            reader: Arc::clone(&parts.reader),
            orders: Arc::clone(&parts.orders),
            board: Arc::clone(&parts.board),
        }));
    }
    checks
}

struct Store(Arc<dyn EventReader>);

#[async_trait]
impl Check for Store {
    fn name(&self) -> &'static str {
        "event_store"
    }

    async fn check(&self) -> Result<(), String> {
        self.0.head().await.map(drop).map_err(|error| error.to_string())
    }
}

struct Log(Arc<dyn CommandLog>);

#[async_trait]
impl Check for Log {
    fn name(&self) -> &'static str {
        "command_log"
    }

    async fn check(&self) -> Result<(), String> {
        if self.0.is_down() { Err("the command log is down".to_owned()) } else { Ok(()) }
    }
}

struct Gate(Arc<dyn StockGate>);

#[async_trait]
impl Check for Gate {
    fn name(&self) -> &'static str {
        "stock_gate"
    }

    async fn check(&self) -> Result<(), String> {
        // whether it answers at all; no spotlight has this id
        let nothing = SpotlightId(Uuid::nil());
        self.0.view(nothing).await.map(drop).map_err(|error| error.to_string())
    }
}

struct Partitions(Owned);

#[async_trait]
impl Check for Partitions {
    fn name(&self) -> &'static str {
        "writer"
    }

    async fn check(&self) -> Result<(), String> {
        match self.0.partitions() {
            0 => Err("it owns no partition of the command log".to_owned()),
            _ => Ok(()),
        }
    }
}

struct Feed(Arc<dyn FeedBus>);

#[async_trait]
impl Check for Feed {
    fn name(&self) -> &'static str {
        "feed"
    }

    async fn check(&self) -> Result<(), String> {
        // whether it answers at all; no channel is called so
        let nothing = StreamKey(Uuid::nil());
        self.0.version("readiness", nothing).await.map(drop).map_err(|error| error.to_string())
    }
}

struct Models {
    reader: Arc<dyn EventReader>,
    orders: Arc<dyn OrderBook>,
    board: Arc<dyn SalesBoard>,
}

#[async_trait]
impl Check for Models {
    fn name(&self) -> &'static str {
        "read_models"
    }

    async fn check(&self) -> Result<(), String> {
        let (orders, board, head) =
            tokio::try_join!(self.orders.checkpoint(), self.board.checkpoint(), self.reader.head())
                .map_err(|error| error.to_string())?;
        let behind = head.0.saturating_sub(orders.min(board).0);
        if behind > READ_MODEL_LAG_MAX_EVENTS {
            return Err(format!("{behind} events behind"));
        }
        Ok(())
    }
}
