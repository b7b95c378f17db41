//! One connection's commands and what comes of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::ids::BroadcastId;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::LiveState;
use super::channels::Kind;
use super::codes::{Close, Refusal};
use super::feed::Feed;
use super::limits::{COMMANDS_PER_SECOND, ERRORS_MAX};
use super::outbox::{Outbox, Watched};
use super::personal::{Stream, wire_name};
use super::protocol::refuse;
use super::pulse::{Personal, Pulse};
use super::schema::{
    Command, ConnectRequest, ConnectResult, Nothing, RefreshRequest, RefreshResult, Reply,
    SubscribeRequest, SubscribeResult,
};
use super::token::{Claims, TokenError};
use super::viewers::ViewerSlot;

/// The version that clients are told.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Who is connected, and until when.
struct Member {
    claims: Arc<Claims>,
    _slot: ViewerSlot,
}

/// What the server attached.
#[derive(Default)]
struct Attached {
    subs: BTreeMap<String, SubscribeResult>,
    watched: Vec<Watched>,
    stream: Option<Stream>,
}

/// One connection's state.
pub struct Session {
    pub(super) live: Arc<LiveState>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) pulse: Arc<Pulse>,
    client: String,
    /// What names the connection where commands come by another way.
    emulated: Option<String>,
    member: Option<Member>,
    /// What it watches of rooms: a few at most.
    pub(super) feeds: Vec<Feed>,
    pub(super) follows_personal: bool,
    commands: DefaultDirectRateLimiter,
    errors: u32,
}

impl Session {
    /// A connection that has said nothing yet.
    pub fn new(
        live: Arc<LiveState>,
        outbox: Arc<Outbox>,
        pulse: Arc<Pulse>,
        emulated: Option<String>,
    ) -> Self {
        let client = live.ids.uuid().to_string();
        Self {
            live,
            outbox,
            pulse,
            client,
            emulated,
            member: None,
            feeds: Vec::new(),
            follows_personal: false,
            commands: RateLimiter::direct(Quota::per_second(COMMANDS_PER_SECOND)),
            errors: 0,
        }
    }

    /// Handles one message: one command or several, or the answer to a ping.
    ///
    /// # Errors
    /// The connection is to be closed.
    pub async fn message(&mut self, message: &[u8]) -> Result<(), Close> {
        for command in self.outbox.codec().commands(message)? {
            if command == Command::default() {
                self.pulse.ponged();
                if self.commands.check().is_err() {
                    self.count_error()?;
                }
            } else {
                self.command(command).await?;
            }
        }
        Ok(())
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
        let answer = if let Some(subscribe) = &command.subscribe {
            return self.subscribe(id, &claims, subscribe).await;
        } else if let Some(refresh) = &command.refresh {
            return self.refresh(id, &claims, refresh).await;
        } else if let Some(unsubscribe) = &command.unsubscribe {
            self.unsubscribe(&claims, &unsubscribe.channel);
            Ok(Reply { unsubscribe: Some(Nothing {}), ..Reply::default() })
        } else if command.ping.is_some() {
            Ok(Reply { ping: Some(Nothing {}), ..Reply::default() })
        } else if let Some(history) = command.history {
            self.history(&claims, history).await
        } else if let Some(stats) = &command.presence_stats {
            self.presence_stats(&claims, &stats.channel)
        } else if let Some(refresh) = &command.sub_refresh {
            self.sub_refresh(&claims, &refresh.channel)
        } else if let Some(rpc) = &command.rpc {
            self.call(&claims, rpc).await
        } else {
            Err(Refusal::NotAvailable)
        };
        match answer {
            Ok(reply) => {
                self.outbox.reply(&Reply { id, ..reply });
                Ok(())
            }
            Err(refusal) => self.refuse(id, refusal),
        }
    }

    pub(super) fn refuse(&mut self, id: u32, refusal: Refusal) -> Result<(), Close> {
        self.outbox.reply(&refuse(id, refusal));
        self.count_error()
    }

    fn count_error(&mut self) -> Result<(), Close> {
        self.errors = self.errors.saturating_add(1);
        if self.errors > ERRORS_MAX { Err(Close::TooManyErrors) } else { Ok(()) }
    }

    async fn connect(&mut self, id: u32, connect: ConnectRequest) -> Result<(), Close> {
        if self.member.is_some() {
            return Err(Close::BadRequest);
        }
        let claims = match self.live.verifier.verify(&connect.token).await {
            Ok(claims) => claims,
            Err(TokenError::Expired) => return self.refuse(id, Refusal::TokenExpired),
            Err(TokenError::Invalid) => return Err(Close::InvalidToken),
        };
        let claims = Arc::new(claims);
        let viewer = self.live.streams.pseudonyms.viewer_ref(&claims.seller, &claims.subject);
        let slot = self.live.viewers.enter(&viewer).ok_or(Close::ConnectionLimit)?;
        self.outbox.set_viewer(claims.clone(), viewer);
        let Attached { subs, watched, stream } = match self.attach(&claims, &connect).await {
            Ok(attached) => attached,
            Err(refusal) => return self.refuse(id, refusal),
        };
        let connected = ConnectResult {
            client: self.client.clone(),
            version: VERSION.to_owned(),
            expires: true,
            ttl: self.ttl(&claims),
            ping: u32::try_from(self.live.limits.ping_every.as_secs()).unwrap_or(u32::MAX),
            pong: true,
            subs,
            node: self.emulated.as_ref().map_or_else(String::new, |_| self.live.node().to_owned()),
            session: self.emulated.clone().unwrap_or_default(),
        };
        self.pulse.set_expiry(claims.expires_at);
        self.member = Some(Member { claims, _slot: slot });
        self.pulse.connected();
        let reply = Reply { id, connect: Some(connected), ..Reply::default() };
        self.outbox.reply_and_watch(&reply, watched);
        if let Some(stream) = stream {
            self.follow(stream);
        }
        Ok(())
    }

    /// The subscriptions that the server makes for whoever watches a broadcast.
    async fn attach(
        &mut self,
        claims: &Claims,
        connect: &ConnectRequest,
    ) -> Result<Attached, Refusal> {
        let Some(broadcast) = connect.broadcast()? else { return Ok(Attached::default()) };
        let after = |channel: &str| connect.subs.get(channel).and_then(SubscribeRequest::after);
        let mut attached = Attached::default();
        for kind in [Kind::Live, Kind::Chat] {
            let channel = kind.channel(broadcast);
            match self.watch(claims, broadcast, kind, after(&channel), true).await {
                Ok((begun, watched)) => {
                    attached.subs.insert(channel, begun);
                    attached.watched.push(watched);
                }
                Err(refusal) => return Err(self.detach(broadcast, refusal)),
            }
        }
        let own = wire_name(claims);
        match self.live.streams.begin(claims, after(&own), true).await {
            Ok((personal, stream)) => {
                attached.subs.insert(own, personal);
                attached.stream = Some(stream);
                Ok(attached)
            }
            Err(error) => Err(self.detach(broadcast, internal(error))),
        }
    }

    fn detach(&mut self, broadcast: BroadcastId, refusal: Refusal) -> Refusal {
        for kind in [Kind::Live, Kind::Chat] {
            self.leave(&kind.channel(broadcast));
        }
        refusal
    }

    /// Hands a stream to its task; the reply that begins it is queued already.
    pub(super) fn follow(&mut self, stream: Stream) {
        self.follows_personal = true;
        self.pulse.order(Personal::Follow(Box::new(stream)));
    }

    async fn refresh(
        &mut self,
        id: u32,
        claims: &Claims,
        refresh: &RefreshRequest,
    ) -> Result<(), Close> {
        let fresh = match self.live.verifier.verify(&refresh.token).await {
            Ok(fresh) => fresh,
            Err(TokenError::Expired) => return Err(Close::Expired),
            Err(TokenError::Invalid) => return Err(Close::InvalidToken),
        };
        if (&fresh.seller, &fresh.subject) != (&claims.seller, &claims.subject) {
            return Err(Close::InvalidToken);
        }
        let refreshed = RefreshResult {
            client: self.client.clone(),
            version: VERSION.to_owned(),
            expires: true,
            ttl: self.ttl(&fresh),
        };
        self.pulse.set_expiry(fresh.expires_at);
        if let Some(member) = &mut self.member {
            member.claims = Arc::new(fresh);
        }
        self.outbox.reply(&Reply { id, refresh: Some(refreshed), ..Reply::default() });
        Ok(())
    }

    /// Seconds until the token runs out, at least one.
    fn ttl(&self, claims: &Claims) -> u32 {
        let left = claims.expires_at.signed_duration_since(self.live.clock.now()).num_seconds();
        u32::try_from(left.max(1)).unwrap_or(u32::MAX)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for feed in &self.feeds {
            feed.leave(&self.outbox);
        }
    }
}

pub(super) fn internal(error: impl std::fmt::Display) -> Refusal {
    tracing::warn!(%error, "a command failed");
    Refusal::Internal
}
