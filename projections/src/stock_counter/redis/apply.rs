//! Events into the gate.

use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::SpotlightId;
use domain::ports::{Applied, PortError};
use domain::spotlight::SpotlightEvent;
use redis::Value;

use super::keys::{GateKeys, live_set};
use super::link::unavailable;
use super::reply::{Reply, corrupt};
use super::seen::take_script;
use super::{RedisGate, encode};
use crate::stock_counter::RETAINED_AFTER_CLOSE;

/// Events that one script applies; Redis does nothing else meanwhile.
const APPLY_CHUNK: usize = 200;

impl RedisGate {
    pub(super) async fn apply_all(
        &self,
        spotlight: SpotlightId,
        events: &[Recorded],
    ) -> Result<Applied, PortError> {
        let keys = self.keys(spotlight);
        let mut encoded = Vec::with_capacity(events.len());
        for recorded in events {
            encoded.push(encode::event(recorded)?);
        }
        let mut applied = Applied::NoState;
        let mut chunks = encoded.chunks(APPLY_CHUNK);
        let first = chunks.next().unwrap_or_default();
        for chunk in std::iter::once(first).chain(chunks) {
            applied = self.apply_chunk(spotlight, &keys, "", chunk).await?;
            if applied == Applied::NoState && begins(events) {
                let token = self.new_token(&keys).await?;
                self.load_take(spotlight, &keys, &token).await?;
                applied = self.apply_chunk(spotlight, &keys, &token, chunk).await?;
            }
            if !matches!(applied, Applied::Done { .. }) {
                break;
            }
        }
        Ok(applied)
    }

    async fn apply_chunk(
        &self,
        spotlight: SpotlightId,
        keys: &GateKeys,
        token: &str,
        events: &[Vec<u8>],
    ) -> Result<Applied, PortError> {
        let mut args = Vec::with_capacity(events.len().saturating_add(2));
        args.push(token.as_bytes().to_vec());
        args.push(RETAINED_AFTER_CLOSE.num_seconds().to_string().into_bytes());
        args.extend_from_slice(events);
        let value = self.link.run(&self.scripts.apply, keys.all(), &args).await?;
        let mut reply = Reply::of(value)?;
        let outcome = reply.text()?;
        if outcome == "nostate" {
            return Ok(Applied::NoState);
        }
        let position = Position(reply.number()?);
        let unknown_order = reply.text()? == "1";
        if reply.text()? == "1" {
            self.seen.forget(spotlight);
            self.leave_live(spotlight).await?;
        }
        Ok(if outcome == "gap" {
            Applied::Gap { applied: position }
        } else {
            Applied::Done { position, unknown_order }
        })
    }

    /// A token that no other creation or load of this gate has.
    pub(super) async fn new_token(&self, keys: &GateKeys) -> Result<String, PortError> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static CREATED: AtomicU64 = AtomicU64::new(0);
        let time = self.link.ask_owner(keys.meta(), redis::cmd("TIME")).await;
        let mut time = Reply::of(time.map_err(unavailable)?)?;
        let (seconds, micros) = (time.text()?, time.text()?);
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        Ok(format!("{seconds}.{micros}-{}-{number}", std::process::id()))
    }

    /// Loads the script that takes under a token, and enters the spotlight among the live ones:
    /// both before its state exists, so that nobody meets the state without them.
    pub(super) async fn load_take(
        &self,
        spotlight: SpotlightId,
        keys: &GateKeys,
        token: &str,
    ) -> Result<(), PortError> {
        let mut live = redis::cmd("SADD");
        live.arg(live_set(&self.prefix, spotlight)).arg(spotlight.to_string());
        self.link.ask(&live).await.map_err(unavailable)?;
        let body = take_script(spotlight, token);
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(&body.text);
        match self.link.ask_owner(keys.meta(), load).await.map_err(unavailable)? {
            Value::BulkString(hash) if hash == body.hash.as_bytes() => Ok(()),
            Value::SimpleString(hash) if hash == body.hash => Ok(()),
            other => Err(corrupt(format!("{other:?} is not the hash of the script"))),
        }
    }

    pub(super) async fn leave_live(&self, spotlight: SpotlightId) -> Result<(), PortError> {
        let mut command = redis::cmd("SREM");
        command.arg(live_set(&self.prefix, spotlight)).arg(spotlight.to_string());
        self.link.ask(&command).await.map_err(unavailable)?;
        Ok(())
    }
}

fn begins(events: &[Recorded]) -> bool {
    events.first().is_some_and(|recorded| {
        matches!(recorded.event, Event::Spotlight(SpotlightEvent::SpotlightScheduled { .. }))
    })
}
