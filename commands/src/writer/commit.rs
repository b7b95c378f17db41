//! Committing a batch: retried while the store is away, settled where its answer was lost, bisected
//! where it is refused.

use std::collections::{BTreeMap, BTreeSet};

use chrono::SubsecRound;
use domain::ports::{Batch, Fence, PortError, StoreError};
use metrics::{counter, gauge, histogram};

use super::batch::{Item, Known, Making, Unsound, count_guard_failures};
use super::{BACKOFF_MIN, Stop, Writer};
use crate::clock::between;
use crate::faults::{WRITER_AFTER_COMMIT, WRITER_BEFORE_COMMIT};
use crate::metrics::{
    WRITER_APPEND_SECONDS, WRITER_BATCH_COMMANDS, WRITER_COMMANDS_TOTAL, WRITER_DECIDE_SECONDS,
    WRITER_FENCED_TOTAL, WRITER_LAG_SECONDS,
};

/// How a piece of a batch is tried.
#[derive(Debug, Clone)]
enum Mode {
    /// On the desks as they are.
    Cached,
    /// After a refusal, on desks that were loaded again.
    Fresh,
    /// Put aside, because it was refused even so.
    Park(String),
    /// Only its offset moves, because it cannot even be put aside.
    Skip,
}

struct Piece {
    items: Vec<Item>,
    mode: Mode,
}

enum Tried {
    Committed,
    Fenced(Vec<Fence>),
    Refused(String),
}

enum Made {
    Batch(Box<Batch>),
    Refused(String),
}

/// What came of looking up whether an ambiguous commit took place.
enum Settled {
    Committed,
    NotCommitted,
    Fenced,
}

impl Writer {
    /// Decides the items, whatever it takes.
    pub(super) async fn flush(&mut self, items: Vec<Item>) -> Result<(), Stop> {
        let mut pieces = vec![Piece { items, mode: Mode::Cached }];
        while let Some(mut piece) = pieces.pop() {
            piece.items.retain(|item| self.partitions.expects(&item.delivered.source));
            if piece.items.is_empty() {
                continue;
            }
            match self.attempt(&piece).await? {
                Tried::Committed => {}
                Tried::Fenced(fences) => {
                    counter!(WRITER_FENCED_TOTAL).increment(1);
                    self.desks.drop_keys(&piece.items);
                    self.refresh(&fences).await?;
                    pieces.push(piece);
                }
                Tried::Refused(error) => {
                    self.desks.drop_keys(&piece.items);
                    pieces.extend(smaller(piece, error));
                }
            }
        }
        self.desks.trim();
        Ok(())
    }

    async fn attempt(&mut self, piece: &Piece) -> Result<Tried, Stop> {
        let started = self.ports.clock.now();
        let mut batch = match self.make(piece).await? {
            Made::Batch(batch) => batch,
            Made::Refused(error) => return Ok(Tried::Refused(error)),
        };
        batch.fences = self.partitions.fences(&piece.items);
        let decided = self.ports.clock.now();
        let tried = self.commit(&batch).await?;
        if matches!(tried, Tried::Committed) {
            self.partitions.advance(&batch.fences);
            for fence in &batch.fences {
                self.ports
                    .consumer
                    .committed(&fence.topic, fence.partition, fence.next_offset)
                    .await;
            }
            count_guard_failures(&batch);
            self.announce(&batch.parked).await;
            let now = self.ports.clock.now();
            histogram!(WRITER_DECIDE_SECONDS).record(between(started, decided));
            histogram!(WRITER_APPEND_SECONDS).record(between(decided, now));
            let commands = u32::try_from(piece.items.len()).unwrap_or(u32::MAX);
            histogram!(WRITER_BATCH_COMMANDS).record(f64::from(commands));
            counter!(WRITER_COMMANDS_TOTAL).increment(u64::from(commands));
            if let Some(Ok(record)) = piece.items.last().map(|item| &item.record) {
                gauge!(WRITER_LAG_SECONDS).set(between(record.issued_at, now).as_secs_f64());
            }
        }
        Ok(tried)
    }

    async fn make(&mut self, piece: &Piece) -> Result<Made, Stop> {
        let mut pause = BACKOFF_MIN;
        let known = loop {
            match self.look_up(&piece.items).await {
                Ok(known) => break known,
                Err(error @ PortError::Corrupt { .. }) if !matches!(piece.mode, Mode::Skip) => {
                    if matches!(piece.mode, Mode::Park(_)) {
                        break Known { decided: BTreeMap::new(), parked: BTreeSet::new() };
                    }
                    return Ok(Made::Refused(error.to_string()));
                }
                Err(_) if matches!(piece.mode, Mode::Skip) => {
                    return Ok(Made::Batch(Box::default()));
                }
                Err(error) => self.back_off(&mut pause, &error).await?,
            }
        };
        let now = self.ports.clock.now().trunc_subsecs(6);
        let decided_at = self.partitions.stamp(now, self.desks.seen);
        let making = Making {
            desks: &mut self.desks,
            known,
            decided_at,
            parked_deadline: self.config.parked_deadline,
            batch: Batch::default(),
        };
        Ok(match (&piece.mode, piece.items.first()) {
            (Mode::Park(error), Some(item)) => Made::Batch(Box::new(making.put_aside(item, error))),
            (Mode::Skip, _) => Made::Batch(Box::default()),
            _ => match making.decide(&piece.items) {
                Ok(batch) => Made::Batch(Box::new(batch)),
                Err(Unsound(error)) => Made::Refused(error),
            },
        })
    }

    async fn look_up(&mut self, items: &[Item]) -> Result<Known, PortError> {
        let store = self.ports.store.as_ref();
        let sequences: BTreeSet<String> = items.iter().map(Item::sequence).collect();
        let sequences: Vec<String> = sequences.into_iter().collect();
        // neither needs the other's answer
        let (loaded, parked) =
            futures::join!(self.desks.load(store, items), store.parked_among(&sequences));
        loaded?;
        let parked = parked?.into_iter().collect();
        let commands: Vec<_> = items.iter().filter_map(Item::inbox_id).collect();
        let decided = if commands.is_empty() {
            BTreeMap::new()
        } else {
            let known = store.outcomes(&commands).await?;
            known.into_iter().map(|(command, stored)| (command, stored.outcome)).collect()
        };
        Ok(Known { decided, parked })
    }

    async fn commit(&mut self, batch: &Batch) -> Result<Tried, Stop> {
        let mut pause = BACKOFF_MIN;
        loop {
            let answer = match self.ports.faults.at(WRITER_BEFORE_COMMIT).await {
                Ok(()) => self.ports.store.append(batch).await,
                Err(error) => Err(StoreError::Unavailable(error)),
            };
            let answer = match (answer, self.ports.faults.at(WRITER_AFTER_COMMIT).await) {
                (Ok(_), Err(error)) => Err(StoreError::Ambiguous(error)),
                (answer, _) => answer,
            };
            match answer {
                Ok(_) => return Ok(Tried::Committed),
                Err(StoreError::Fenced) => return Ok(Tried::Fenced(batch.fences.clone())),
                Err(StoreError::Conflict(error)) => return Ok(Tried::Refused(error)),
                Err(StoreError::Unavailable(error)) => self.back_off(&mut pause, &error).await?,
                Err(StoreError::Ambiguous(error)) => {
                    self.back_off(&mut pause, &error).await?;
                    match self.settle(batch).await? {
                        Settled::Committed => return Ok(Tried::Committed),
                        Settled::Fenced => return Ok(Tried::Fenced(batch.fences.clone())),
                        Settled::NotCommitted => {}
                    }
                }
            }
        }
    }

    /// The answer to COMMIT was lost: the first fence tells, because they all moved or none did
    /// (window 13).
    async fn settle(&mut self, batch: &Batch) -> Result<Settled, Stop> {
        let Some(fence) = batch.fences.first() else { return Ok(Settled::NotCommitted) };
        let mut pause = BACKOFF_MIN;
        loop {
            match self.ports.store.position_of(&fence.topic, fence.partition).await {
                Ok(Some(claim)) if claim.epoch != fence.epoch => return Ok(Settled::Fenced),
                Ok(Some(claim)) if claim.next_offset == Some(fence.next_offset) => {
                    return Ok(Settled::Committed);
                }
                Ok(Some(claim)) if claim.next_offset == fence.first_offset => {
                    return Ok(Settled::NotCommitted);
                }
                Ok(_) => return Ok(Settled::Fenced),
                Err(error) => self.back_off(&mut pause, &error).await?,
            }
        }
    }
}

/// What is tried after a refusal, last first: halves, down to the one command that is put aside.
fn smaller(piece: Piece, error: String) -> Vec<Piece> {
    let Piece { mut items, mode } = piece;
    let second = items.split_off(items.len() / 2);
    if !items.is_empty() {
        return vec![
            Piece { items: second, mode: Mode::Fresh },
            Piece { items, mode: Mode::Fresh },
        ];
    }
    let mode = match mode {
        Mode::Cached => Mode::Fresh,
        Mode::Fresh => Mode::Park(error),
        Mode::Park(_) | Mode::Skip => {
            tracing::error!(error, "a command could not be parked and is skipped");
            Mode::Skip
        }
    };
    vec![Piece { items: second, mode }]
}
