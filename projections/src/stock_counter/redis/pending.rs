//! What goes over all spotlights: claims of pending entries, and losses that no take has met.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::gate::{CLAIM_PAUSE_FIRST, CLAIM_PAUSE_MAX};
use domain::ids::SpotlightId;
use domain::ports::{PendingEntry, PortError};
use redis::{RedisResult, Value};
use uuid::Uuid;

use super::RedisGate;
use super::keys::{LIVE_SETS, live_set_at};
use super::link::unavailable;
use super::reply::{Reply, corrupt};
use super::seen::Standing;

/// Spotlights that are asked at the same time.
const ASKED_AT_ONCE: usize = 16;
/// Spotlights that are asked about in one question.
const GATES_AT_ONCE: usize = 500;

impl RedisGate {
    pub(super) async fn claim_everywhere(
        &self,
        older_than: Duration,
        limit: usize,
    ) -> Result<Vec<PendingEntry>, PortError> {
        let spotlights = self.with_pending(&self.live().await?).await?;
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

    /// Those of the spotlights that have entries to claim, or are to leave the live ones.
    async fn with_pending(
        &self,
        spotlights: &[SpotlightId],
    ) -> Result<Vec<SpotlightId>, PortError> {
        let mut found = Vec::new();
        for some in spotlights.chunks(GATES_AT_ONCE) {
            let questions = some.iter().flat_map(|spotlight| {
                let keys = self.keys(*spotlight);
                let (mut status, mut pending) = (redis::cmd("HGET"), redis::cmd("ZCARD"));
                status.arg(keys.meta()).arg("st");
                pending.arg(keys.pending());
                [status, pending]
            });
            let answers = self.link.ask_all(questions.collect()).await.map_err(unavailable)?;
            let idle = |answer: &[Value]| matches!(answer, [Value::BulkString(status), Value::Int(0)] if status != b"C");
            let answered = some.iter().zip(answers.chunks(2));
            found.extend(answered.filter(|(_, answer)| !idle(answer)).map(|(id, _)| *id));
        }
        Ok(found)
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

    /// Asks for the states and take scripts of the gates that this node has seen, in two questions: a
    /// spotlight that nobody orders from is found lost too. Returns those that somebody reopened and
    /// did not load.
    pub(super) async fn look_for_losses(&self) -> Vec<SpotlightId> {
        let mut reopening = Vec::new();
        for some in self.seen.all().chunks(GATES_AT_ONCE) {
            match self.look_at(some).await {
                Ok(found) => reopening.extend(found),
                Err(error) => {
                    tracing::debug!(%error, "gates cannot be looked at");
                    break;
                }
            }
        }
        reopening
    }

    async fn look_at(
        &self,
        gates: &[(SpotlightId, Arc<Standing>)],
    ) -> RedisResult<Vec<SpotlightId>> {
        let scripts = gates
            .iter()
            .map(|(_, seen)| (seen.keys.meta().to_owned(), seen.body.hash.clone()))
            .collect();
        let scripts = self.link.have_scripts(scripts).await?;
        // after the scripts: a gate that was loaded in between stands under another token now
        let states = gates.iter().map(|(_, seen)| {
            let mut command = redis::cmd("HMGET");
            command.arg(seen.keys.meta()).arg("tk").arg("re").arg("st");
            command
        });
        let states = self.link.ask_all(states.collect()).await?;
        let mut reopening = Vec::new();
        for (((spotlight, seen), is_there), state) in gates.iter().zip(scripts).zip(states) {
            let state = Reply::of(state).and_then(|mut state| {
                Ok((state.optional_text()?, state.optional_text()?, state.optional_text()?))
            });
            let Ok((token, reopened, standing)) = state else { continue };
            match token {
                None => {
                    self.seen.forget(*spotlight);
                    self.seen.lose(*spotlight, &seen.token);
                }
                // nothing is taken from it any more
                Some(_) if standing.as_deref() == Some("C") => self.seen.forget(*spotlight),
                Some(token) if token == seen.token && !is_there => {
                    self.seen.lose(*spotlight, &token);
                }
                Some(_) if reopened.as_deref() == Some("1") => reopening.push(*spotlight),
                Some(_) => {}
            }
        }
        Ok(reopening)
    }
}
