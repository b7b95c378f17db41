//! What goes over all spotlights: claims of pending entries, and losses that no take has met.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::gate::{CLAIM_PAUSE_FIRST, CLAIM_PAUSE_MAX};
use domain::ids::SpotlightId;
use domain::ports::{PendingEntry, PortError};
use futures::StreamExt;
use redis::Value;
use uuid::Uuid;

use super::RedisGate;
use super::keys::{LIVE_SETS, live_set_at};
use super::link::unavailable;
use super::reply::{Reply, corrupt};

/// Spotlights that are asked at the same time.
const ASKED_AT_ONCE: usize = 16;

impl RedisGate {
    pub(super) async fn claim_everywhere(
        &self,
        older_than: Duration,
        limit: usize,
    ) -> Result<Vec<PendingEntry>, PortError> {
        let spotlights = self.live().await?;
        let mut claimed = Vec::new();
        let mut left = spotlights.as_slice();
        while !left.is_empty() && claimed.len() < limit {
            let room = limit.saturating_sub(claimed.len());
            let (some, rest) = left.split_at(ASKED_AT_ONCE.min(room).min(left.len()));
            // a share each, so that together they stay within what was asked for
            let share = room / some.len().max(1);
            let asked = some.iter().map(|spotlight| self.claim_of(*spotlight, older_than, share));
            for entries in futures::future::join_all(asked).await {
                claimed.extend(entries?);
            }
            left = rest;
        }
        Ok(claimed)
    }

    /// Every spotlight that has a gate: what Redis has written down, and what this node has seen,
    /// in case another one struck it off too early. Starts at another place each time, so that
    /// none waits behind the others for ever.
    async fn live(&self) -> Result<Vec<SpotlightId>, PortError> {
        let mut spotlights: BTreeSet<SpotlightId> =
            self.seen.all().into_iter().map(|(spotlight, _)| spotlight).collect();
        let sets = futures::future::join_all((0..LIVE_SETS).map(|number| async move {
            let mut command = redis::cmd("SMEMBERS");
            command.arg(live_set_at(&self.prefix, number));
            self.link.ask(&command).await
        }));
        for members in sets.await {
            let members = match members.map_err(unavailable)? {
                Value::Set(members) => Value::Array(members),
                members => members,
            };
            let mut members = Reply::of(members)?;
            while let Ok(member) = members.text() {
                spotlights.insert(member.parse().map_err(corrupt)?);
            }
        }
        let mut spotlights: Vec<SpotlightId> = spotlights.into_iter().collect();
        if !spotlights.is_empty() {
            let turn = self.seen.next_turn() % spotlights.len();
            spotlights.rotate_left(turn);
        }
        Ok(spotlights)
    }

    async fn claim_of(
        &self,
        spotlight: SpotlightId,
        older_than: Duration,
        limit: usize,
    ) -> Result<Vec<PendingEntry>, PortError> {
        let keys = self.keys(spotlight);
        let args = [
            older_than.as_micros().to_string().into_bytes(),
            limit.to_string().into_bytes(),
            CLAIM_PAUSE_FIRST.as_micros().to_string().into_bytes(),
            CLAIM_PAUSE_MAX.as_micros().to_string().into_bytes(),
        ];
        let value = self.link.run(&self.scripts.claim, keys.all(), &args).await?;
        let mut reply = Reply::of(value)?;
        if reply.text()? == "gone" {
            self.leave_live(spotlight).await?;
            return Ok(vec![]);
        }
        let mut claimed = Vec::new();
        while let Ok(mut entry) = reply.list() {
            claimed.push(PendingEntry {
                spotlight,
                entry: Uuid::parse_str(&entry.text()?).map_err(corrupt)?,
                admission: entry.admission()?,
                command: entry.text()?,
                redriven: entry.number()?,
            });
        }
        Ok(claimed)
    }

    /// Asks for the states and take scripts of the gates that this node has seen: a spotlight that nobody
    /// orders from is found lost too.
    pub(super) async fn look_for_losses(&self) {
        let seen = self.seen.all();
        let asked = seen.into_iter().map(|(spotlight, standing)| async move {
            let mut command = redis::cmd("SCRIPT");
            command.arg("EXISTS").arg(&standing.body.hash);
            let answer = self.link.ask_owner(standing.keys.meta(), command).await;
            let Ok(Value::Array(answer)) = answer else { return };
            let Ok(now) = self.read_standing(spotlight).await else { return };
            let lost = match now {
                Some(now) => now.token == standing.token && answer == [Value::Int(0)],
                None => true,
            };
            if lost {
                self.seen.lose(spotlight, &standing.token);
            }
        });
        futures::stream::iter(asked).buffer_unordered(ASKED_AT_ONCE).collect::<()>().await;
    }
}
