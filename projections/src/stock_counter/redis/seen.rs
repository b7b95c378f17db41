//! What this node has seen of gates: never stock, only under which token they stand.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use dashmap::DashMap;
use domain::ids::{OrderId, SpotlightId};
use domain::ports::GateOffer;
use parking_lot::Mutex;
use redis::{Arg, Cmd};

use super::keys::GateKeys;
use super::link::Body;

/// Gates that a node remembers; more, and it forgets them all and asks again.
const SEEN_MAX: usize = 10_000;

/// A gate as it stands under one token, which no other creation or load of it has.
pub(super) struct Standing {
    pub keys: GateKeys,
    pub token: String,
    pub body: Body,
    /// `EVALSHA` with the keys and the token.
    take: Cmd,
    pub offer: ArcSwapOption<ParsedOffer>,
    /// Every id that the gate has written down, as far as this node has read them.
    pub orders: Mutex<(usize, Arc<HashSet<OrderId>>)>,
}

/// An offer beside the exact text that it was read from.
pub(super) struct ParsedOffer {
    pub text: String,
    pub offer: GateOffer,
}

/// The script that takes under one token.
pub(super) fn take_script(spotlight: SpotlightId, token: &str) -> Body {
    Body::new(format!("-- {spotlight} {token}\n{}", include_str!("take.lua")))
}

impl Standing {
    fn new(spotlight: SpotlightId, token: String, keys: GateKeys) -> Self {
        let body = take_script(spotlight, &token);
        let mut take = redis::cmd("EVALSHA");
        take.arg(&body.hash).arg(keys.of_take().len());
        for key in keys.of_take() {
            take.arg(key.as_bytes());
        }
        take.arg(token.as_bytes());
        Self { keys, token, body, take, offer: ArcSwapOption::empty(), orders: Mutex::default() }
    }
}

/// Bytes of a take's own arguments besides the command, as they usually are, and how many there are.
const TAKE_ARGS_BYTES: usize = 512;
const TAKE_ARGS: usize = 8;

impl Standing {
    /// A take's beginning, with room for its arguments: they are added without growing.
    pub fn take_with(&self, command_bytes: usize) -> Cmd {
        let (known, bytes) = self.take.args_iter().fold((0, 0), |(known, bytes), arg| match arg {
            Arg::Simple(arg) => (known + 1, bytes + arg.len()),
            _ => (known + 1, bytes),
        });
        let room = bytes + TAKE_ARGS_BYTES + command_bytes;
        let mut take = Cmd::with_capacity(known + TAKE_ARGS, room);
        for arg in self.take.args_iter() {
            if let Arg::Simple(arg) = arg {
                take.arg(arg);
            }
        }
        take
    }
}

struct Loss {
    token: String,
    told: bool,
}

/// The gates that this node has seen, and the losses it has found.
#[derive(Default)]
pub(super) struct Seen {
    standing: DashMap<SpotlightId, Arc<Standing>>,
    losses: DashMap<SpotlightId, Loss>,
    turns: AtomicUsize,
}

impl Seen {
    /// Another number each time.
    pub fn next_turn(&self) -> usize {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    pub fn get(&self, spotlight: SpotlightId) -> Option<Arc<Standing>> {
        self.standing.get(&spotlight).map(|standing| Arc::clone(&standing))
    }

    pub fn all(&self) -> Vec<(SpotlightId, Arc<Standing>)> {
        self.standing.iter().map(|seen| (*seen.key(), Arc::clone(seen.value()))).collect()
    }

    /// Remembers under which token a gate stands now.
    pub fn stands(
        &self,
        spotlight: SpotlightId,
        token: String,
        keys: impl FnOnce() -> GateKeys,
    ) -> Arc<Standing> {
        if let Some(known) = self.get(spotlight).filter(|known| known.token == token) {
            return known;
        }
        if self.standing.len() >= SEEN_MAX {
            self.standing.clear();
        }
        self.losses.remove_if(&spotlight, |_, loss| loss.token != token);
        let standing = Arc::new(Standing::new(spotlight, token, keys()));
        self.standing.insert(spotlight, Arc::clone(&standing));
        standing
    }

    pub fn forget(&self, spotlight: SpotlightId) {
        self.standing.remove(&spotlight);
    }

    /// Remembers a loss until the gate stands under another token; tells whether it is news. Every
    /// order that waits for the rebuild meets it again: it is written down once, and told to
    /// whoever rebuilds until that has worked.
    pub fn lose(&self, spotlight: SpotlightId, token: &str) -> bool {
        let loss = Loss { token: token.to_owned(), told: false };
        let before = self.losses.insert(spotlight, loss);
        let is_news = before.is_none_or(|before| before.token != token);
        if is_news {
            tracing::warn!(%spotlight, "the gate's Redis restarted or failed over: it must be rebuilt");
            metrics::counter!(crate::metrics::GATE_LOSSES_TOTAL).increment(1);
        }
        is_news
    }

    /// Whether the gate was found lost under this token.
    pub fn is_lost(&self, spotlight: SpotlightId, token: &str) -> bool {
        self.losses.get(&spotlight).is_some_and(|loss| loss.token == token)
    }

    pub fn newly_lost(&self) -> Vec<SpotlightId> {
        let mut lost = Vec::new();
        for mut loss in self.losses.iter_mut() {
            if !loss.told {
                loss.told = true;
                lost.push(*loss.key());
            }
        }
        // one whose state is gone stands under no token that could be asked about again
        self.losses.retain(|spotlight, loss| !loss.told || self.standing.contains_key(spotlight));
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_loss_is_news_once_and_told_until_it_is_rebuilt() {
        let (seen, spotlight) = (Seen::default(), SpotlightId(Uuid::nil()));
        seen.stands(spotlight, "a".to_owned(), || GateKeys::of("", spotlight));
        assert!(seen.lose(spotlight, "a"));
        assert_eq!(seen.newly_lost(), [spotlight]);
        assert!(!seen.lose(spotlight, "a"), "met again by the next order");
        assert_eq!(seen.newly_lost(), [spotlight]);
        seen.stands(spotlight, "b".to_owned(), || GateKeys::of("", spotlight));
        assert!(!seen.is_lost(spotlight, "a"));
        assert!(seen.lose(spotlight, "b"));
    }

    #[test]
    fn a_gate_without_state_is_told_and_then_forgotten() {
        let (seen, spotlight) = (Seen::default(), SpotlightId(Uuid::nil()));
        assert!(seen.lose(spotlight, "a"));
        assert_eq!(seen.newly_lost(), [spotlight]);
        assert!(!seen.is_lost(spotlight, "a"));
    }
}
