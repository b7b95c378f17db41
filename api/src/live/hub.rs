//! The rooms of this node: one bus subscription each, however many watch.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::{BroadcastId, StreamKey};
use domain::ports::{
    Audience, Clock, EventReader, FeedBus, FeedPosition, History, PortError, Report, RoomBook,
    RoomTotals, SalesBoard,
};
use parking_lot::Mutex;
use projections::viewer_feed::CHAT_MESSAGES_MAX;
use projections::viewer_feed::chat::moderation_channel;
use projections::viewer_feed::shape::{broadcast_state, spotlight_state};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::chat;
use super::codes::Close;
use super::likes::LIKE_COUNT;
use super::limits::{LiveLimits, REPORTS_PER_WORD, ROOM_SPOTLIGHTS_MAX};
use super::metrics;
use super::room::Room;
use super::shard::Shards;

/// How long a room waits before it is loaded again.
const RELOAD_AFTER: Duration = Duration::from_millis(100);

/// The rooms of this node.
pub struct Hub {
    bus: Arc<dyn FeedBus>,
    board: Arc<dyn SalesBoard>,
    book: Arc<dyn RoomBook>,
    clock: Arc<dyn Clock>,
    reader: Arc<dyn EventReader>,
    limits: LiveLimits,
    node: String,
    shards: Shards,
    rooms: Mutex<HashMap<BroadcastId, Arc<Room>>>,
    tasks: TaskTracker,
    ended: CancellationToken,
}

impl Hub {
    /// No rooms yet; their tasks join `tasks` and end with `ended`.
    pub fn new(
        bus: Arc<dyn FeedBus>,
        (board, book): (Arc<dyn SalesBoard>, Arc<dyn RoomBook>),
        clock: Arc<dyn Clock>,
        reader: Arc<dyn EventReader>,
        (limits, node): (LiveLimits, String),
        shards: Shards,
        (tasks, ended): (TaskTracker, CancellationToken),
    ) -> Self {
        let rooms = Mutex::default();
        Self { bus, board, book, clock, reader, limits, node, shards, rooms, tasks, ended }
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
            let room = Arc::new(Room::new(broadcast, view.seller, &self.shards));
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

    /// Follows a room until nobody watches it. Subscribes before it reads, so that nothing falls
    /// between.
    async fn follow(&self, room: &Arc<Room>) -> Result<(), PortError> {
        let mut patches = self.bus.subscribe(room.channel()).await?;
        let mut messages = self.bus.subscribe(room.chat.channel()).await?;
        let mut orders = self.bus.subscribe(&moderation_channel(room.broadcast)).await?;
        self.fill(room).await?;
        room.rules.learn(self.reader.as_ref(), room.broadcast).await?;
        if !room.totals.is_loaded() {
            room.totals.load(self.book.totals(room.broadcast).await?);
        }
        self.bus.add(room.channel(), LIKE_COUNT, 0, likes_of(room)).await?;
        room.crowd.tell_again();
        room.chat.load(self.chat_history(room).await?, self.clock.now());
        room.load(self.bus.snapshot(room.channel()).await?);
        let mut times = Times::new(self.limits);
        times.moderated();
        loop {
            tokio::select! {
                () = self.ended.cancelled() => return self.end(room).await,
                patch = patches.next() => {
                    room.take(&patch?);
                    times.changed(room);
                }
                message = messages.next() => {
                    let message = message?;
                    if let Some((viewer, at)) = chat::said(&message) {
                        room.rules.said(viewer, at);
                    }
                    room.chat.take(&message, self.clock.now())?;
                    times.changed(room);
                }
                order = orders.next() => {
                    order?;
                    room.rules.learn(self.reader.as_ref(), room.broadcast).await?;
                    times.moderated();
                }
                () = until(times.banned_at) => {
                    times.banned_at = None;
                    self.turn_out(room);
                }
                () = room.likes.came() => times.liked(),
                () = until(times.flush_at) => {
                    room.flush();
                    times.flushed();
                }
                () = until(times.likes_at) => {
                    times.likes_at = None;
                    self.tell_likes(room).await?;
                }
                () = tokio::time::sleep_until(times.report_at) => {
                    times.report_at = Instant::now() + self.limits.report_every;
                    self.report(room, room.crowd.audience()).await?;
                }
                () = tokio::time::sleep_until(times.look_at) => {
                    if self.close_if_empty(room) {
                        return self.report(room, Audience::default()).await;
                    }
                    times.look_at = Instant::now() + self.limits.room_linger;
                }
            }
        }
    }

    /// Closes the connections of whoever is banned.
    fn turn_out(&self, room: &Room) {
        let now = self.clock.now();
        for outbox in room.watchers() {
            if outbox.viewer_ref().is_some_and(|viewer| room.rules.is_banned(viewer, now)) {
                outbox.close(Close::Forced);
            }
        }
    }

    /// What the chat keeps; the node shows it to whoever comes.
    async fn chat_history(&self, room: &Room) -> Result<History, PortError> {
        let channel = room.chat.channel();
        let FeedPosition { epoch, offset } = self.bus.history(channel, None).await?.top;
        let kept = u64::try_from(CHAT_MESSAGES_MAX).unwrap_or(u64::MAX);
        let after = FeedPosition { epoch, offset: offset.saturating_sub(kept) };
        self.bus.history(channel, Some(&after)).await
    }

    /// Likes that could not be told wait for the next time.
    async fn tell_likes(&self, room: &Room) -> Result<(), PortError> {
        let count = room.likes.waiting();
        if count > 0 {
            let sum = self.bus.add(room.channel(), LIKE_COUNT, count, likes_of(room)).await?;
            room.totals.liked(sum);
            room.likes.told(count);
            metrics::likes(count);
        }
        Ok(())
    }

    async fn report(&self, room: &Arc<Room>, here: Audience) -> Result<(), PortError> {
        let lasting = self.limits.report_every.saturating_mul(REPORTS_PER_WORD);
        let came = room.crowd.untold();
        let report = Report { node: &self.node, audience: here, came: &came, lasting };
        let attendance = self.bus.report(room.channel(), &report).await?;
        room.crowd.told(came.len());
        room.set_audience(attendance.audience);
        room.totals.attended(attendance);
        room.totals.liked(room.count(LIKE_COUNT));
        if let Some(totals) = room.totals.unkept() {
            self.tasks.spawn(keep(self.book.clone(), room.clone(), totals));
        }
        Ok(())
    }

    /// The node goes away: what was not told is, and what is not kept is kept.
    async fn end(&self, room: &Arc<Room>) -> Result<(), PortError> {
        let told = self.tell_likes(room).await;
        room.totals.liked(room.count(LIKE_COUNT));
        if let Some(totals) = room.totals.unkept() {
            keep(self.book.clone(), room.clone(), totals).await;
        }
        told
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

/// Likes of a room, as far as this node knows.
fn likes_of(room: &Room) -> u64 {
    room.totals.likes().max(room.count(LIKE_COUNT))
}

/// Keeps what a room came to; what fails is kept with what comes next.
async fn keep(book: Arc<dyn RoomBook>, room: Arc<Room>, totals: RoomTotals) {
    match book.keep(room.broadcast, totals).await {
        Ok(()) => room.totals.kept(totals),
        Err(error) => tracing::warn!(%error, "what a room came to is not kept yet"),
    }
}

/// When a room's next steps are due.
struct Times {
    limits: LiveLimits,
    flushed: Instant,
    flush_at: Option<Instant>,
    likes_at: Option<Instant>,
    banned_at: Option<Instant>,
    report_at: Instant,
    look_at: Instant,
}

impl Times {
    fn new(limits: LiveLimits) -> Self {
        let now = Instant::now();
        Self {
            limits,
            flushed: now,
            flush_at: None,
            likes_at: None,
            banned_at: None,
            report_at: now,
            look_at: now + limits.room_linger,
        }
    }

    /// The next flush is due after the window; where writing to everybody takes long, after twice
    /// that, so that half of the time is left for everything else.
    fn changed(&mut self, room: &Room) {
        let window = self.limits.room_window.max(room.last_sweep().saturating_mul(2));
        self.flush_at.get_or_insert(self.flushed + window);
    }

    fn flushed(&mut self) {
        self.flushed = Instant::now();
        self.flush_at = None;
    }

    fn moderated(&mut self) {
        self.banned_at.get_or_insert_with(|| Instant::now() + self.limits.ban_grace);
    }

    fn liked(&mut self) {
        self.likes_at.get_or_insert_with(|| Instant::now() + self.limits.like_window);
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
