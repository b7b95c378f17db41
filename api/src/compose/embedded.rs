//! One process on one SQLite file.

use std::sync::Arc;

use commands::log::{MEMORY_LOG_DEPTH, MemoryCommandLog};
use commands::store::{self, StoreOptions};
use domain::ports::{Clock, EventReader, Ids};
use projections::consumer::StoreEventLog;
use projections::consumer::by_position::ReadModel;
use projections::key_table::Projected;
use projections::read_model;
use projections::stock_counter::{MemoryAcceptedOrders, MemoryGate, RebuildPorts, Rebuilder};
use projections::viewer_feed::MemoryFeedBus;
use projections::webhooks::WebhookFeed;
use tokio_util::task::TaskTracker;

use super::StartError;
use super::adapters::Models;
use super::parts::{Parts, Wire};
use crate::config::Config;

/// One writer decides everything.
const PARTITIONS: i32 = 1;

pub(super) async fn parts(
    config: &Config,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    stores: &TaskTracker,
) -> Result<Parts, StartError> {
    let options = StoreOptions {
        readers: config.postgres.connections,
        tasks: stores.clone(),
        ..StoreOptions::new(Arc::clone(&clock))
    };
    let store = store::open(&config.database, &options).await?;
    let reader: Arc<dyn EventReader> = store.clone();
    let rows = store::open_audit(&config.database, &options).await?.rows;
    let parked = store::open_parked(&config.database)?;
    let models = read_model::open(&config.database).await?;
    // each run is a log of its own: its queue begins at offset 0, and nothing in it outlives it
    let topic = format!("memory.{}", ids.uuid());
    let log = MemoryCommandLog::new(topic, PARTITIONS, MEMORY_LOG_DEPTH);
    let gate = Arc::new(MemoryGate::new(Arc::clone(&clock)));
    let rebuilder = Rebuilder::new(RebuildPorts {
        gate: gate.clone(),
        reader: Arc::clone(&reader),
        log: log.clone(),
        ids: Arc::clone(&ids),
        clock: Arc::clone(&clock),
    });
    Ok(Parts {
        event_log: Arc::new(StoreEventLog::new(Arc::clone(&reader))),
        reader: Arc::clone(&reader),
        rows,
        store: Some(store),
        log: log.clone(),
        gate,
        accepted: Arc::new(MemoryAcceptedOrders::new(Arc::clone(&clock))),
        models: Arc::new(Models {
            orders: ReadModel::order_book(Arc::clone(&models.orders)),
            board: ReadModel::sales_board(Arc::clone(&models.board)),
            demand: ReadModel::new(Arc::new(Projected(Arc::clone(&models.demand)))),
            waitlist: ReadModel::new(Arc::new(Projected(Arc::clone(&models.waitlist)))),
            webhooks: ReadModel::new(Arc::new(WebhookFeed::new(
                Arc::clone(&reader),
                Arc::clone(&models.board),
                Arc::clone(&models.webhooks),
                Arc::clone(&clock),
            ))),
            clock: Arc::clone(&clock),
        }),
        webhooks: models.webhooks,
        parked,
        orders: models.orders,
        demand: models.demand,
        waitlist: models.waitlist,
        board: models.board,
        chat: models.chat,
        rooms: models.rooms,
        bus: Arc::new(MemoryFeedBus::new(clock, ids)),
        rebuilder: Arc::new(rebuilder),
        wire: Wire::Memory(log),
    })
}
