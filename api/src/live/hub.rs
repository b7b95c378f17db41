//! The rooms of this node: one bus subscription each, however many watch.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::{BroadcastId, StreamKey};
use domain::ports::{Clock, FeedBus, PortError, SalesBoard};
use parking_lot::Mutex;
use projections::viewer_feed::shape::{broadcast_state, spotlight_state};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::{LiveLimits, ROOM_SPOTLIGHTS_MAX};
use super::metrics;
use super::room::Room;

/// How long a room waits before it is loaded again.
const RELOAD_AFTER: Duration = Duration::from_millis(100);

/// The rooms of this node.
pub struct Hub {
    bus: Arc<dyn FeedBus>,
    board: Arc<dyn SalesBoard>,
    clock: Arc<dyn Clock>,
    limits: LiveLimits,
    rooms: Mutex<HashMap<BroadcastId, Arc<Room>>>,
    tasks: TaskTracker,
    ended: CancellationToken,
}

impl Hub {
    /// No rooms yet; their tasks join `tasks` and end with `ended`.
    pub fn new(
        bus: Arc<dyn FeedBus>,
        board: Arc<dyn SalesBoard>,
        clock: Arc<dyn Clock>,
        limits: LiveLimits,
        tasks: TaskTracker,
        ended: CancellationToken,
    ) -> Self {
        Self { bus, board, clock, limits, rooms: Mutex::default(), tasks, ended }
    }

    /// A broadcast's room, opened where nobody watched yet; `None` where there is no such
    /// broadcast.
    ///
    /// # Errors
    /// The broadcast cannot be looked up.
    pub async fn room(
        self: &Arc<Self>,
        broadcast: BroadcastId,
    ) -> Result<Option<Arc<Room>>, PortError> {
        let known = self.rooms.lock().get(&broadcast).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let Some(view) = self.board.broadcast(broadcast).await? else { return Ok(None) };
        let mut rooms = self.rooms.lock();
        let room = rooms.entry(broadcast).or_insert_with(|| {
            let room = Arc::new(Room::new(broadcast, view.seller));
            self.tasks.spawn(self.clone().keep(room.clone()));
            metrics::room_opened();
            room
        });
        Ok(Some(room.clone()))
    }

    async fn keep(self: Arc<Self>, room: Arc<Room>) {
        let ended = self.ended.clone();
        let mut failing_since: Option<Instant> = None;
        while !ended.is_cancelled() {
            match self.follow(&room).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(%error, channel = room.channel(), "a room is loaded again");
                    metrics::room_reloaded();
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > self.limits.room_linger {
                        if self.close_if_empty(&room) {
                            break;
                        }
                        failing_since = None;
                    }
                    ended.run_until_cancelled(tokio::time::sleep(RELOAD_AFTER)).await;
                }
            }
        }
        metrics::room_closed();
    }

    /// Follows a room until nobody watches it. Subscribes before it reads the state, so that
    /// nothing falls between.
    async fn follow(&self, room: &Room) -> Result<(), PortError> {
        let mut patches = self.bus.subscribe(room.channel()).await?;
        self.fill(room).await?;
        room.load(self.bus.snapshot(room.channel()).await?);
        let mut flush_at = None;
        let mut flushed = Instant::now();
        let mut look_at = Instant::now() + self.limits.room_linger;
        loop {
            tokio::select! {
                () = self.ended.cancelled() => return Ok(()),
                patch = patches.next() => {
                    room.take(&patch?);
                    flush_at.get_or_insert(flushed + self.limits.room_window);
                }
                () = until(flush_at) => {
                    room.flush();
                    flushed = Instant::now();
                    flush_at = None;
                }
                () = tokio::time::sleep_until(look_at) => {
                    if self.close_if_empty(room) {
                        return Ok(());
                    }
                    look_at = Instant::now() + self.limits.room_linger;
                }
            }
        }
    }

    fn close_if_empty(&self, room: &Room) -> bool {
        let mut rooms = self.rooms.lock();
        let closes = room.close_if_empty();
        if closes {
            rooms.remove(&room.broadcast);
        }
        closes
    }

    /// Publishes what the bus does not have of the room: it may have been emptied, or the process
    /// may have started a moment ago. The read model's positions are the versions, so that what is
    /// newer on the bus stays.
    async fn fill(&self, room: &Room) -> Result<(), PortError> {
        if let Some(view) = self.board.broadcast(room.broadcast).await? {
            self.fill_part(room, view.id.into(), view.position, broadcast_state(&view)).await?;
        }
        let page = self.board.spotlights(room.broadcast, None, ROOM_SPOTLIGHTS_MAX).await?;
        for view in page.items {
            self.fill_part(room, view.id.into(), view.position, spotlight_state(&view)).await?;
        }
        Ok(())
    }

    async fn fill_part(
        &self,
        room: &Room,
        key: StreamKey,
        version: domain::envelope::Position,
        mut state: Value,
    ) -> Result<(), PortError> {
        if self.bus.version(room.channel(), key).await? >= version {
            return Ok(());
        }
        if let Some(members) = state.as_object_mut() {
            members.insert("server_time".to_owned(), json!(self.clock.now()));
        }
        self.bus.patch(room.channel(), key, version, &state).await
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
