//! One pass over the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use domain::envelope::{Position, Recorded};
use domain::ids::EventId;
use domain::invariants::{Finding, Invariants, LogEnd, Violation};
use domain::ports::{Clock, EventReader, OrderBook, PortError, RowReader, SalesBoard, StockGate};
use uuid::Uuid;

use super::board_check::BoardCheck;
use super::checkpoint::{Checkpoint, Pacing, SavedPass};
use super::chunks::Chunks;
use super::first_break::FirstBreak;
use super::gate_check::GateCheck;
use super::orders_check::OrdersCheck;
use super::report::{Head, InvariantReport, Report, Verdict};
use super::seals_check::{SealsChecked, check_seals};
use super::witness::Witness;

/// Events that are read at a time.
pub const PAGE_EVENTS: usize = 2_000;
/// Events that are checked before the next page's arrival is looked at.
const SLICE_EVENTS: usize = 250;
/// Violations of one invariant that a report names; the rest is counted.
pub const VIOLATIONS_KEPT_MAX: usize = 100;

const NO_GATE: &str = "the stock gate is not reachable from here";
const NO_ORDERS: &str = "the read models are not reachable from here";
const NO_SEALS: &str = "the log is not sealed";
const NOT_WHOLE: &str = "only a part of the log is verified";
const NO_TIME: &str =
    "a log at rest cannot be late: the simulator and the tests under faults check it";

/// What to verify, and with what.
#[derive(Clone, Copy, Default)]
pub struct VerifyOptions<'a> {
    /// Only events after this position.
    pub after: Position,
    /// Only events up to this position.
    pub up_to: Option<Position>,
    /// Nothing is under way any more: every order must have ended.
    pub settled: bool,
    /// Events per page; [`PAGE_EVENTS`] where absent.
    pub page: Option<usize>,
    /// Pages are read and decoded in so many tasks while others are checked.
    pub ahead: Option<(&'a Arc<dyn EventReader>, usize)>,
    /// The gate that I7 compares.
    pub gate: Option<&'a dyn StockGate>,
    /// The order book that I8 compares.
    pub orders: Option<&'a dyn OrderBook>,
    /// The sales board that I8 compares.
    pub board: Option<&'a dyn SalesBoard>,
    /// The stored bytes that I11 compares with their seals.
    pub rows: Option<&'a dyn RowReader>,
    /// The seals that somebody else kept.
    pub witness: Option<&'a Witness>,
    /// Where it is kept how far this is, to go on from there after an interruption.
    pub checkpoint: Option<&'a Checkpoint>,
    /// Whether what led to the first break is looked up.
    pub chain: bool,
    /// At most so many events per second, by that clock.
    pub rate: Option<(u32, &'a dyn Clock)>,
}

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The last position that was checked.
    pub position: Position,
    /// Where it will end.
    pub end: Position,
}

/// Every invariant that a pass can find broken.
const IDS: [&str; 13] =
    ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I12", "I13"];

struct Pass<'a> {
    invariants: Invariants,
    broken: BTreeMap<&'static str, (u64, Vec<Violation>)>,
    gate: Option<GateCheck<'a>>,
    orders: Option<OrdersCheck<'a>>,
    board: Option<BoardCheck<'a>>,
    events: u64,
    first: Option<Position>,
    last: Position,
    last_event: EventId,
}

impl Pass<'_> {
    fn note(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for Finding { invariant, violation } in findings {
            let (total, kept) = self.broken.entry(invariant).or_default();
            *total += 1;
            if kept.len() < VIOLATIONS_KEPT_MAX {
                kept.push(violation);
            }
        }
    }

    fn take(&mut self, event: &Recorded) {
        let findings = self.invariants.check(event);
        self.note(findings);
        if let Some(gate) = &mut self.gate {
            gate.take(event);
        }
        if let Some(orders) = &mut self.orders {
            orders.take(event);
        }
        if let Some(board) = &mut self.board {
            board.take(event);
        }
        self.events += 1;
        self.first = self.first.or(Some(event.position));
        self.last = event.position;
        self.last_event = event.event_id;
    }

    fn save(&self) -> Result<SavedPass, serde_json::Error> {
        Ok(SavedPass {
            position: self.last,
            event_id: self.last_event,
            events: self.events,
            first: self.first,
            invariants: self.invariants.save()?,
            broken: self
                .broken
                .iter()
                .map(|(id, found)| ((*id).to_owned(), found.clone()))
                .collect(),
            gate: self.gate.as_ref().map(GateCheck::save),
            orders: self.orders.as_ref().map(OrdersCheck::save).transpose()?,
            board: self.board.as_ref().map(BoardCheck::save),
        })
    }

    fn load(&mut self, saved: SavedPass) -> Result<(), serde_json::Error> {
        self.invariants.load(&saved.invariants)?;
        for (id, found) in saved.broken {
            if let Some(known) = IDS.iter().find(|known| **known == id) {
                self.broken.insert(known, found);
            }
        }
        if let (Some(gate), Some(saved)) = (&mut self.gate, saved.gate) {
            gate.load(saved);
        }
        if let (Some(orders), Some(saved)) = (&mut self.orders, saved.orders) {
            orders.load(saved)?;
        }
        if let Some(board) = &mut self.board {
            board.load(saved.board);
        }
        (self.events, self.first) = (saved.events, saved.first);
        (self.last, self.last_event) = (saved.position, saved.event_id);
        Ok(())
    }

    /// Checks a page; now and then it lets the next one arrive.
    async fn take_page(&mut self, page: &[Recorded]) -> Result<(), PortError> {
        for slice in page.chunks(SLICE_EVENTS) {
            for event in slice {
                self.take(event);
            }
            if let Some(orders) = &mut self.orders {
                let findings = orders.compare_settled().await?;
                self.note(findings);
            }
            if let Some(board) = &mut self.board {
                let findings = board.make_room().await?;
                self.note(findings);
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// An event that does not decode is a break of the chain: it is noted and passed over.
    fn take_unreadable(&mut self, position: Position, detail: String) {
        let event_id = EventId(Uuid::nil());
        let violation = Violation { position, event_id, detail };
        self.note([Finding { invariant: "I5", violation }]);
        self.last = position;
    }

    async fn finish(&mut self, options: &VerifyOptions<'_>) -> Result<(), PortError> {
        let findings = self.invariants.finish(&LogEnd { settled: options.settled });
        self.note(findings);
        if let Some(mut orders) = self.orders.take() {
            let findings = orders.compare_rest().await?;
            self.note(findings);
            self.orders = Some(orders);
        }
        if let Some(mut board) = self.board.take() {
            let findings = board.compare_rest().await?;
            self.note(findings);
            self.board = Some(board);
        }
        if let Some(mut gate) = self.gate.take() {
            let findings = gate.compare(options.settled).await?;
            self.note(findings);
            self.gate = Some(gate);
        }
        Ok(())
    }

    fn invariants(&mut self, seals: InvariantReport) -> Vec<InvariantReport> {
        let mut reports: Vec<InvariantReport> = self
            .invariants
            .counts()
            .into_iter()
            .map(|(id, checked)| InvariantReport::judged(id, checked))
            .collect();
        reports.push(match &self.gate {
            Some(gate) => InvariantReport::judged("I7", gate.checked()),
            None => InvariantReport::skipped("I7", NO_GATE),
        });
        reports.push(match &self.orders {
            Some(orders) if !orders.is_whole() => InvariantReport::skipped("I8", NOT_WHOLE),
            Some(orders) => {
                let board = self.board.as_ref().map_or(0, BoardCheck::checked);
                InvariantReport::judged("I8", orders.checked() + board)
            }
            None => InvariantReport::skipped("I8", NO_ORDERS),
        });
        reports.push(seals);
        reports.push(InvariantReport::skipped("I12", NO_TIME));
        reports.sort_by_key(|report| report.id.get(1..).and_then(|text| text.parse::<u32>().ok()));
        for report in &mut reports {
            if let Some((total, violations)) = self.broken.remove(report.id.as_str()) {
                report.violations_total = total;
                report.violations = violations;
                report.violations.sort_by_key(|violation| violation.position);
            }
        }
        reports
    }
}

/// Verifies the log. `progress` is told after every page.
///
/// # Errors
/// The store, the gate or a read model cannot be reached. What the log itself has wrong, down to
/// an event that does not decode, is in the report.
pub async fn verify(
    reader: &dyn EventReader,
    options: VerifyOptions<'_>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, PortError> {
    let begun = Instant::now();
    let head = reader.head().await?;
    let end = options.up_to.map_or(head, |up_to| up_to.min(head));
    let mut pass = Pass {
        invariants: Invariants::after(options.after),
        broken: BTreeMap::new(),
        gate: options.gate.map(|gate| GateCheck::new(gate, reader)),
        orders: None,
        board: None,
        events: 0,
        first: None,
        last: options.after,
        last_event: EventId(Uuid::nil()),
    };
    if let Some(orders) = options.orders {
        let check = OrdersCheck::begin(orders, options.after == Position::START).await?;
        // asked after the book, which never is ahead of the log
        let finding = check.ahead_of(reader.head().await?);
        pass.note(finding);
        pass.orders = Some(check);
    }
    if let Some(board) = options.board {
        let check = BoardCheck::begin(board, reader, options.after == Position::START).await?;
        let finding = check.ahead_of(reader.head().await?);
        pass.note(finding);
        pass.board = Some(check);
    }
    let page = options.page.unwrap_or(PAGE_EVENTS).max(1);
    let resumed = match options.checkpoint {
        Some(checkpoint) => checkpoint.resume(reader, end, |saved| pass.load(saved)).await?,
        None => None,
    };
    let from = resumed.unwrap_or(options.after);
    let mut pacing = Pacing::begin(options.rate, from);
    let mut pages = Chunks::new(reader, options.ahead, (from, end), page);
    let mut next = pages.next(from).await?;
    while !next.is_end() {
        let current = next;
        let after = current.last;
        let (following, checked) =
            futures::join!(pages.next(after), pass.take_page(&current.events));
        checked?;
        if let Some(detail) = current.unreadable {
            pass.take_unreadable(after, detail);
        }
        next = following?;
        progress(Progress { position: after, end });
        if let Some(checkpoint) = options.checkpoint {
            checkpoint.keep(|| pass.save())?;
        }
        pacing.wait(after).await;
    }
    pass.finish(&options).await?;
    let (sealed, seals) = seals(&options, progress).await?;
    if let Some(checkpoint) = options.checkpoint {
        checkpoint.done()?;
    }
    let SealsChecked { findings, hash, unproven, .. } = sealed;
    pass.note(findings);
    let invariants = pass.invariants(seals);
    let bad = invariants.iter().any(|invariant| invariant.violations_total > 0);
    let elapsed = begun.elapsed();
    let mut report = Report {
        verdict: if bad { Verdict::Bad } else { Verdict::Good },
        events: pass.events,
        first_position: pass.first.unwrap_or_default(),
        last_position: if pass.events > 0 { pass.last } else { Position::START },
        head: Head { position: head, hash: hash.map(|hash| hash.to_string()) },
        invariants,
        first_break: None,
        unproven,
        resumed_from: resumed,
        duration_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        events_per_second: per_second(pass.last.0.saturating_sub(from.0).min(pass.events), elapsed),
    };
    if options.chain {
        report.first_break = FirstBreak::of(&report, reader).await;
    }
    Ok(report)
}

/// What I11 says.
async fn seals(
    options: &VerifyOptions<'_>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(SealsChecked, InvariantReport), PortError> {
    let skipped = |why| Ok((SealsChecked::default(), InvariantReport::skipped("I11", why)));
    if options.after > Position::START || options.up_to.is_some() {
        return skipped(NOT_WHOLE);
    }
    let Some(rows) = options.rows else { return skipped(NO_SEALS) };
    match check_seals(rows, options.witness, progress).await? {
        Some(sealed) => {
            let report = InvariantReport::judged("I11", sealed.checked);
            Ok((sealed, report))
        }
        None => skipped(NO_SEALS),
    }
}

fn per_second(events: u64, elapsed: std::time::Duration) -> f64 {
    let events = u32::try_from(events).map_or(f64::from(u32::MAX), f64::from);
    (events / elapsed.as_secs_f64().max(f64::EPSILON)).round()
}
