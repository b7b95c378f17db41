//! What a connection asks about its channels.

use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::ids::BroadcastId;
use domain::ports::{FeedPosition, History};
use projections::viewer_feed::STREAM_MESSAGES_MAX;
use projections::viewer_feed::shape::{chat_channel, live_channel};

use super::codes::{Close, Refusal};
use super::feed::Feed;
use super::limits::CHANNELS_MAX;
use super::outbox::Watched;
use super::personal::wire_name;
use super::pulse::Personal;
use super::room::Room;
use super::schema::{
    HistoryRequest, HistoryResult, PresenceStatsResult, Publication, Reply, SubRefreshResult,
    SubscribeRequest, SubscribeResult,
};
use super::session::{Session, internal};
use super::token::Claims;

/// How long a room may take to be loaded.
const ROOM_READY_WITHIN: Duration = Duration::from_secs(5);

/// What may be watched of a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The state.
    Live,
    /// The chat.
    Chat,
}

impl Kind {
    /// The channel's name.
    pub(super) fn channel(self, broadcast: BroadcastId) -> String {
        match self {
            Self::Live => live_channel(broadcast),
            Self::Chat => chat_channel(broadcast),
        }
    }

    fn of(channel: &str) -> Option<(Self, BroadcastId)> {
        let (kind, broadcast) = channel.split_once(':')?;
        let kind = match kind {
            "live" => Self::Live,
            "chat" => Self::Chat,
            _ => return None,
        };
        Some((kind, broadcast.parse().ok()?))
    }
}

impl Session {
    /// A room of the viewer's seller, loaded.
    pub(super) async fn room(
        &self,
        claims: &Claims,
        broadcast: BroadcastId,
    ) -> Result<Arc<Room>, Refusal> {
        let room = self.live.hub.room(broadcast).await.map_err(internal)?;
        let room = room.ok_or(Refusal::UnknownChannel)?;
        if room.seller != claims.seller {
            return Err(Refusal::PermissionDenied);
        }
        tokio::time::timeout(ROOM_READY_WITHIN, room.ready()).await.map_err(internal)?;
        let now = self.live.clock.now();
        if self.outbox.viewer_ref().is_some_and(|viewer| room.rules.is_banned(viewer, now)) {
            return Err(Refusal::PermissionDenied);
        }
        Ok(room)
    }

    pub(super) async fn watch(
        &mut self,
        claims: &Claims,
        broadcast: BroadcastId,
        kind: Kind,
        after: Option<FeedPosition>,
        server_side: bool,
    ) -> Result<(SubscribeResult, Watched), Refusal> {
        loop {
            let room = self.room(claims, broadcast).await?;
            let now = self.live.clock.now();
            // A room that closed meanwhile is opened again.
            let (joined, feed) = match kind {
                Kind::Live => {
                    (room.join(&self.outbox, after.as_ref(), now), Feed::Live(room.clone()))
                }
                Kind::Chat => {
                    let about = room.rules.about();
                    let joined = room.chat.join(&self.outbox, after.as_ref(), about, now);
                    (joined, Feed::Chat(room.clone()))
                }
            };
            if let Some((begun, next)) = joined {
                self.feeds.push(feed.clone());
                return Ok((begun, Watched { feed, next, server_side }));
            }
        }
    }

    fn feed(&self, channel: &str) -> Option<&Feed> {
        self.feeds.iter().find(|feed| feed.channel() == channel)
    }

    /// Forgets subscriptions that were ended from here, so that the client may subscribe again.
    fn forget_ended(&mut self, channel: &str) {
        if self.outbox.take_personal_ended() {
            self.follows_personal = false;
        }
        if self.feed(channel).is_some() && !self.outbox.watches(channel) {
            self.leave(channel);
        }
    }

    fn is_subscribed(&mut self, claims: &Claims, channel: &str) -> bool {
        self.forget_ended(channel);
        self.feed(channel).is_some() || channel == wire_name(claims) && self.follows_personal
    }

    pub(super) async fn subscribe(
        &mut self,
        id: u32,
        claims: &Claims,
        subscribe: &SubscribeRequest,
    ) -> Result<(), Close> {
        let channel = subscribe.channel.as_str();
        if self.is_subscribed(claims, channel) {
            return self.refuse(id, Refusal::AlreadySubscribed);
        }
        if self.feeds.len() + usize::from(self.follows_personal) >= CHANNELS_MAX {
            return self.refuse(id, Refusal::LimitExceeded);
        }
        if channel == wire_name(claims) {
            return match self.live.streams.begin(claims, subscribe.after(), false).await {
                Ok((begun, stream)) => {
                    let reply = Reply { id, subscribe: Some(begun), ..Reply::default() };
                    self.outbox.reply(&reply);
                    self.follow(stream);
                    Ok(())
                }
                Err(error) => self.refuse(id, internal(error)),
            };
        }
        let Some((kind, broadcast)) = Kind::of(channel) else {
            let is_anothers = channel.starts_with("user#");
            let refusal =
                if is_anothers { Refusal::PermissionDenied } else { Refusal::UnknownChannel };
            return self.refuse(id, refusal);
        };
        match self.watch(claims, broadcast, kind, subscribe.after(), false).await {
            Ok((begun, watched)) => {
                let reply = Reply { id, subscribe: Some(begun), ..Reply::default() };
                self.outbox.reply_and_watch(&reply, [watched]);
                Ok(())
            }
            Err(refusal) => self.refuse(id, refusal),
        }
    }

    pub(super) fn unsubscribe(&mut self, claims: &Claims, channel: &str) {
        if channel == wire_name(claims) {
            self.follows_personal = false;
            self.pulse.order(Personal::Leave);
        } else {
            self.outbox.unwatch(channel);
            self.leave(channel);
        }
    }

    pub(super) fn leave(&mut self, channel: &str) {
        let place = self.feeds.iter().position(|feed| feed.channel() == channel);
        if let Some(place) = place {
            self.feeds.swap_remove(place).leave(&self.outbox);
        }
    }

    /// What a stream that the connection is subscribed to keeps.
    pub(super) async fn history(
        &mut self,
        claims: &Claims,
        request: HistoryRequest,
    ) -> Result<Reply, Refusal> {
        if !self.is_subscribed(claims, &request.channel) {
            return Err(Refusal::PermissionDenied);
        }
        match self.feed(&request.channel) {
            Some(Feed::Chat(room)) => {
                return chat_page(room, claims, &request, self.live.clock.now());
            }
            // a state has no past
            Some(Feed::Live(_)) => return Err(Refusal::NotAvailable),
            None => {}
        }
        let top = self.live.streams.history(claims, None).await.map_err(internal)?.top;
        let kept = u64::try_from(STREAM_MESSAGES_MAX).unwrap_or(u64::MAX);
        let all = FeedPosition { epoch: top.epoch, offset: top.offset.saturating_sub(kept) };
        let after = request.since.clone().filter(|_| !request.reverse).map(FeedPosition::from);
        let asked = after.unwrap_or(all);
        let history = self.live.streams.history(claims, Some(&asked)).await.map_err(internal)?;
        page(history, &request)
    }

    /// How many watch a room that the connection is subscribed to.
    pub(super) fn presence_stats(
        &mut self,
        claims: &Claims,
        channel: &str,
    ) -> Result<Reply, Refusal> {
        if !self.is_subscribed(claims, channel) {
            return Err(Refusal::PermissionDenied);
        }
        let feed = self.feed(channel).ok_or(Refusal::NotAvailable)?;
        let audience = feed.room().audience();
        let stats =
            PresenceStatsResult { num_clients: audience.clients, num_users: audience.viewers };
        Ok(Reply { presence_stats: Some(stats), ..Reply::default() })
    }

    /// No subscription here has a token of its own, and none runs out.
    pub(super) fn sub_refresh(&mut self, claims: &Claims, channel: &str) -> Result<Reply, Refusal> {
        if !self.is_subscribed(claims, channel) {
            return Err(Refusal::PermissionDenied);
        }
        let refreshed = SubRefreshResult { expires: false };
        Ok(Reply { sub_refresh: Some(refreshed), ..Reply::default() })
    }
}

/// The part of a chat that was asked for: from the node's memory, whoever asks.
fn chat_page(
    room: &Room,
    claims: &Claims,
    request: &HistoryRequest,
    now: Timestamp,
) -> Result<Reply, Refusal> {
    let mut history = room.chat.history(Some(&claims.subject), now);
    if let Some(since) = request.since.as_ref().filter(|_| !request.reverse) {
        let is_kept = (room.chat.begins_after()..=history.top.offset).contains(&since.offset);
        if let Some(messages) = &mut history.messages {
            messages.retain(|message| message.position.offset > since.offset);
        }
        history.messages = history.messages.filter(|_| is_kept);
    }
    page(history, request)
}

/// The part of a history that was asked for.
///
/// # Errors
/// Something after the named place is gone, or the place is in another life of the channel.
fn page(history: History, request: &HistoryRequest) -> Result<Reply, Refusal> {
    let History { top, messages } = history;
    let is_gone = messages.is_none();
    let mut messages = messages.unwrap_or_default();
    if let Some(since) = &request.since {
        if since.epoch != top.epoch || is_gone && !request.reverse {
            return Err(Refusal::UnrecoverablePosition);
        }
        if request.reverse {
            messages.retain(|message| message.position.offset < since.offset);
        }
    }
    if request.reverse {
        messages.reverse();
    }
    if let Ok(limit) = usize::try_from(request.limit) {
        messages.truncate(limit);
    }
    let publications = messages.iter().map(Publication::from).collect();
    let kept = HistoryResult { publications, epoch: top.epoch, offset: top.offset };
    Ok(Reply { history: Some(kept), ..Reply::default() })
}
