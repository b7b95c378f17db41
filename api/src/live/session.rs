//! One connection's commands and what comes of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::ids::BroadcastId;
use domain::ports::FeedPosition;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use projections::viewer_feed::shape::live_channel;
use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::LiveState;
use super::codes::{Close, Refusal};
use super::limits::{CHANNELS_MAX, COMMANDS_PER_SECOND, ERRORS_MAX};
use super::outbox::{Outbox, Watched};
use super::personal::{Stream, wire_name};
use super::protocol::{
    Command, Connect, Connected, PING, Refresh, Refreshed, Subscribe, Subscribed, refuse, reply,
};
use super::room::Room;
use super::token::{Claims, TokenError};
use super::viewers::ViewerSlot;

/// How long a room may take to be loaded.
const ROOM_READY_WITHIN: Duration = Duration::from_secs(5);
/// The version that clients are told.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the task of the personal stream is to do.
pub enum Personal {
    /// Hand this stream on.
    Follow(Box<Stream>),
    /// Stop.
    Leave,
}

/// Who is connected, and until when.
struct Member {
    claims: Claims,
    _slot: ViewerSlot,
}

/// One connection's state.
pub struct Session {
    live: Arc<LiveState>,
    outbox: Arc<Outbox>,
    personal: mpsc::Sender<Personal>,
    expires_at: watch::Sender<Option<Timestamp>>,
    client: String,
    member: Option<Member>,
    rooms: BTreeMap<String, Arc<Room>>,
    follows_personal: bool,
    commands: DefaultDirectRateLimiter,
    errors: u32,
}

impl Session {
    /// A connection that has said nothing yet.
    pub fn new(
        live: Arc<LiveState>,
        outbox: Arc<Outbox>,
        personal: mpsc::Sender<Personal>,
        expires_at: watch::Sender<Option<Timestamp>>,
    ) -> Self {
        let client = live.ids.uuid().to_string();
        Self {
            live,
            outbox,
            personal,
            expires_at,
            client,
            member: None,
            rooms: BTreeMap::new(),
            follows_personal: false,
            commands: RateLimiter::direct(Quota::per_second(COMMANDS_PER_SECOND)),
            errors: 0,
        }
    }

    /// Whether the connect command was accepted.
    pub const fn is_connected(&self) -> bool {
        self.member.is_some()
    }

    /// Handles one message: commands parted by newlines. Tells whether it answered a ping.
    ///
    /// # Errors
    /// The connection is to be closed.
    pub async fn message(&mut self, text: &str) -> Result<bool, Close> {
        let mut answered_ping = false;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if line == PING {
                answered_ping = true;
                continue;
            }
            let command: Command = serde_json::from_str(line).map_err(|_| Close::BadRequest)?;
            self.command(command).await?;
        }
        Ok(answered_ping)
    }

    async fn command(&mut self, command: Command) -> Result<(), Close> {
        let id = command.id;
        if self.commands.check().is_err() {
            return self.refuse(id, Refusal::TooManyRequests);
        }
        if id == 0 {
            return if command.send.is_some() { Ok(()) } else { Err(Close::BadRequest) };
        }
        if let Some(connect) = command.connect {
            return self.connect(id, connect).await;
        }
        let Some(member) = &self.member else { return Err(Close::BadRequest) };
        let claims = member.claims.clone();
        if let Some(subscribe) = command.subscribe {
            self.subscribe(id, &claims, &subscribe).await
        } else if let Some(unsubscribe) = command.unsubscribe {
            self.unsubscribe(&claims, &unsubscribe.channel).await;
            self.outbox.reply(reply(id, "unsubscribe", &json!({})));
            Ok(())
        } else if let Some(refresh) = command.refresh {
            self.refresh(id, &claims, &refresh).await
        } else if command.ping.is_some() {
            self.outbox.reply(reply(id, "ping", &json!({})));
            Ok(())
        } else {
            self.refuse(id, Refusal::NotAvailable)
        }
    }

    fn refuse(&mut self, id: u32, refusal: Refusal) -> Result<(), Close> {
        self.outbox.reply(refuse(id, refusal));
        self.errors = self.errors.saturating_add(1);
        if self.errors > ERRORS_MAX { Err(Close::TooManyErrors) } else { Ok(()) }
    }

    async fn connect(&mut self, id: u32, connect: Connect) -> Result<(), Close> {
        if self.member.is_some() {
            return Err(Close::BadRequest);
        }
        let claims = match self.live.verifier.verify(&connect.token).await {
            Ok(claims) => claims,
            Err(TokenError::Expired) => return self.refuse(id, Refusal::TokenExpired),
            Err(TokenError::Invalid) => return Err(Close::InvalidToken),
        };
        let slot = self.live.viewers.enter(&claims).ok_or(Close::ConnectionLimit)?;
        let (subs, attached) = match self.attach(&claims, &connect).await {
            Ok(begun) => begun,
            Err(refusal) => return self.refuse(id, refusal),
        };
        let (watched, stream) = attached.unzip();
        let connected = Connected {
            client: self.client.clone(),
            version: VERSION,
            expires: true,
            ttl: self.ttl(&claims),
            ping: self.live.limits.ping_every.as_secs(),
            pong: true,
            subs,
        };
        self.expires_at.send_replace(Some(claims.expires_at));
        self.member = Some(Member { claims, _slot: slot });
        self.outbox.reply_and_watch(reply(id, "connect", &connected), watched);
        match stream {
            Some(stream) => self.follow(stream).await,
            None => Ok(()),
        }
    }

    /// The subscriptions that the server makes for whoever watches a broadcast.
    async fn attach(
        &mut self,
        claims: &Claims,
        connect: &Connect,
    ) -> Result<(BTreeMap<String, Subscribed>, Option<(Watched, Stream)>), Refusal> {
        let Some(broadcast) = connect.broadcast()? else { return Ok((BTreeMap::new(), None)) };
        let after = |channel: &str| connect.subs.get(channel).and_then(Subscribe::after);
        let (live, own) = (live_channel(broadcast), wire_name(claims));
        let (begun, watched) = self.watch(claims, broadcast, after(&live), true).await?;
        match self.live.streams.begin(claims, after(&own), true).await {
            Ok((personal, stream)) => {
                Ok((BTreeMap::from([(live, begun), (own, personal)]), Some((watched, stream))))
            }
            Err(error) => {
                self.leave(&live);
                Err(internal(error))
            }
        }
    }

    async fn watch(
        &mut self,
        claims: &Claims,
        broadcast: BroadcastId,
        after: Option<FeedPosition>,
        server_side: bool,
    ) -> Result<(Subscribed, Watched), Refusal> {
        let live = self.live.clone();
        loop {
            let room = live.hub.room(broadcast).await.map_err(internal)?;
            let room = room.ok_or(Refusal::UnknownChannel)?;
            if room.seller != claims.seller {
                return Err(Refusal::PermissionDenied);
            }
            tokio::time::timeout(ROOM_READY_WITHIN, room.ready()).await.map_err(internal)?;
            // A room that closed meanwhile is opened again.
            if let Some((begun, next)) = room.join(&self.outbox, after.as_ref(), live.clock.now()) {
                self.rooms.insert(room.channel().to_owned(), room.clone());
                return Ok((begun, Watched { room, next, server_side }));
            }
        }
    }

    /// Hands a stream to its task; the reply that begins it is queued already.
    async fn follow(&mut self, stream: Stream) -> Result<(), Close> {
        self.follows_personal = true;
        let follow = Personal::Follow(Box::new(stream));
        self.personal.send(follow).await.map_err(|_| Close::Internal)
    }

    /// Forgets subscriptions that were ended from here, so that the client may subscribe again.
    fn forget_ended(&mut self, channel: &str) {
        if self.outbox.take_personal_ended() {
            self.follows_personal = false;
        }
        if self.rooms.contains_key(channel) && !self.outbox.watches(channel) {
            self.leave(channel);
        }
    }

    async fn subscribe(
        &mut self,
        id: u32,
        claims: &Claims,
        subscribe: &Subscribe,
    ) -> Result<(), Close> {
        let channel = subscribe.channel.as_str();
        let is_own = channel == wire_name(claims);
        self.forget_ended(channel);
        if self.rooms.contains_key(channel) || is_own && self.follows_personal {
            return self.refuse(id, Refusal::AlreadySubscribed);
        }
        if self.rooms.len() + usize::from(self.follows_personal) >= CHANNELS_MAX {
            return self.refuse(id, Refusal::LimitExceeded);
        }
        if is_own {
            return match self.live.streams.begin(claims, subscribe.after(), false).await {
                Ok((begun, stream)) => {
                    self.outbox.reply(reply(id, "subscribe", &begun));
                    self.follow(stream).await
                }
                Err(error) => self.refuse(id, internal(error)),
            };
        }
        let broadcast = match channel.strip_prefix("live:").map(str::parse) {
            Some(Ok(broadcast)) => broadcast,
            _ if channel.starts_with("user#") => {
                return self.refuse(id, Refusal::PermissionDenied);
            }
            _ => return self.refuse(id, Refusal::UnknownChannel),
        };
        match self.watch(claims, broadcast, subscribe.after(), false).await {
            Ok((begun, watched)) => {
                self.outbox.reply_and_watch(reply(id, "subscribe", &begun), [watched]);
                Ok(())
            }
            Err(refusal) => self.refuse(id, refusal),
        }
    }

    async fn unsubscribe(&mut self, claims: &Claims, channel: &str) {
        if channel == wire_name(claims) {
            self.follows_personal = false;
            // The stream's task ends only with the connection.
            let _ = self.personal.send(Personal::Leave).await;
        } else {
            self.outbox.unwatch(channel);
            self.leave(channel);
        }
    }

    fn leave(&mut self, channel: &str) {
        if let Some(room) = self.rooms.remove(channel) {
            room.leave(&self.outbox);
        }
    }

    async fn refresh(&mut self, id: u32, claims: &Claims, refresh: &Refresh) -> Result<(), Close> {
        let fresh = match self.live.verifier.verify(&refresh.token).await {
            Ok(fresh) => fresh,
            Err(TokenError::Expired) => return Err(Close::Expired),
            Err(TokenError::Invalid) => return Err(Close::InvalidToken),
        };
        if (&fresh.seller, &fresh.subject) != (&claims.seller, &claims.subject) {
            return Err(Close::InvalidToken);
        }
        let refreshed = Refreshed {
            client: self.client.clone(),
            version: VERSION,
            expires: true,
            ttl: self.ttl(&fresh),
        };
        self.expires_at.send_replace(Some(fresh.expires_at));
        if let Some(member) = &mut self.member {
            member.claims = fresh;
        }
        self.outbox.reply(reply(id, "refresh", &refreshed));
        Ok(())
    }

    /// Seconds until the token runs out, at least one.
    fn ttl(&self, claims: &Claims) -> u64 {
        let left = claims.expires_at.signed_duration_since(self.live.clock.now()).num_seconds();
        u64::try_from(left).unwrap_or(0).max(1)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for room in self.rooms.values() {
            room.leave(&self.outbox);
        }
    }
}

fn internal(error: impl std::fmt::Display) -> Refusal {
    tracing::warn!(%error, "a subscription failed");
    Refusal::Internal
}
