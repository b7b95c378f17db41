//! One pass over the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use domain::envelope::{Position, Recorded};
use domain::ids::EventId;
use domain::invariants::{Finding, Invariants, LogEnd, Violation};
use domain::ports::{EventReader, OrderBook, PortError, RowReader, StockGate};
use futures::StreamExt;
use futures::stream::BoxStream;
use uuid::Uuid;

use super::gate_check::GateCheck;
use super::orders_check::OrdersCheck;
use super::report::{Head, InvariantReport, Report, Verdict};
use super::seals_check::{SealsChecked, check_seals};
use super::witness::Witness;
use crate::rebuild::read_ahead;

/// Events that are read at a time.
pub const PAGE_EVENTS: usize = 2_000;
/// Events that are checked before the next page's arrival is looked at.
const SLICE_EVENTS: usize = 250;
/// Violations of one invariant that a report names; the rest is counted.
pub const VIOLATIONS_KEPT_MAX: usize = 100;

const NO_GATE: &str = "the stock gate is not reachable from here";
const NO_ORDERS: &str = "the order book is not reachable from here";
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
    /// The stored bytes that I11 compares with their seals.
    pub rows: Option<&'a dyn RowReader>,
    /// The seals that somebody else kept.
    pub witness: Option<&'a Witness>,
}

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The last position that was checked.
    pub position: Position,
    /// Where it will end.
    pub end: Position,
}

struct Pass<'a> {
    invariants: Invariants,
    broken: BTreeMap<&'static str, (u64, Vec<Violation>)>,
    gate: Option<GateCheck<'a>>,
    orders: Option<OrdersCheck<'a>>,
    events: u64,
    first: Option<Position>,
    last: Position,
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
        self.events += 1;
        self.first = self.first.or(Some(event.position));
        self.last = event.position;
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
            Some(orders) => InvariantReport::judged("I8", orders.checked()),
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
/// The store, the gate or the order book cannot be reached. What the log itself has wrong, down to
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
        events: 0,
        first: None,
        last: options.after,
    };
    if let Some(orders) = options.orders {
        let check = OrdersCheck::begin(orders, options.after == Position::START).await?;
        // asked after the book, which never is ahead of the log
        let finding = check.ahead_of(reader.head().await?);
        pass.note(finding);
        pass.orders = Some(check);
    }
    let page = options.page.unwrap_or(PAGE_EVENTS).max(1);
    let mut pages = Source::new(reader, &options, end, page);
    let mut next = pages.next(options.after).await?;
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
    }
    pass.finish(&options).await?;
    let (sealed, seals) = seals(&options, progress).await?;
    let SealsChecked { findings, hash, unproven, .. } = sealed;
    pass.note(findings);
    let invariants = pass.invariants(seals);
    let bad = invariants.iter().any(|invariant| invariant.violations_total > 0);
    let elapsed = begun.elapsed();
    Ok(Report {
        verdict: if bad { Verdict::Bad } else { Verdict::Good },
        events: pass.events,
        first_position: pass.first.unwrap_or_default(),
        last_position: if pass.events > 0 { pass.last } else { Position::START },
        head: Head { position: head, hash: hash.map(|hash| hash.to_string()) },
        invariants,
        unproven,
        duration_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        events_per_second: per_second(pass.events, elapsed),
    })
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

/// What was read: events, and then perhaps one that does not decode.
struct Chunk {
    events: Vec<Recorded>,
    /// The last position, read or not.
    last: Position,
    unreadable: Option<String>,
}

impl Chunk {
    fn is_end(&self) -> bool {
        self.events.is_empty() && self.unreadable.is_none()
    }
}

/// Where pages come from.
struct Source<'a> {
    reader: &'a dyn EventReader,
    end: Position,
    page: usize,
    /// Pages that were asked for before their turn; gone where one of them is not whole.
    ahead: Option<BoxStream<'static, Result<Vec<Recorded>, PortError>>>,
}

impl<'a> Source<'a> {
    fn new(
        reader: &'a dyn EventReader,
        options: &VerifyOptions<'a>,
        end: Position,
        page: usize,
    ) -> Self {
        let ahead = options.ahead.filter(|(_, jobs)| *jobs > 1).map(|(reader, jobs)| {
            read_ahead(Arc::clone(reader), (options.after, end), page, jobs).boxed()
        });
        Self { reader, end, page, ahead }
    }

    async fn next(&mut self, after: Position) -> Result<Chunk, PortError> {
        if let Some(ahead) = &mut self.ahead {
            match ahead.next().await {
                Some(Ok(events)) if is_whole(&events, after) => {
                    let last = events.last().map_or(after, |event| event.position);
                    return Ok(Chunk { events, last, unreadable: None });
                }
                // a gap, or what does not decode: that is looked at page by page
                None | Some(Ok(_) | Err(PortError::Corrupt { .. })) => self.ahead = None,
                Some(Err(error)) => return Err(error),
            }
        }
        read(self.reader, after, self.end, self.page).await
    }
}

/// Whether these are the next events, none missing.
fn is_whole(events: &[Recorded], after: Position) -> bool {
    let positions = events.iter().map(|event| event.position.0);
    !events.is_empty() && positions.eq((after.0 + 1..).take(events.len()))
}

/// Reads a page; where one of its events does not decode, reads up to that event by halving.
async fn read(
    reader: &dyn EventReader,
    after: Position,
    end: Position,
    page: usize,
) -> Result<Chunk, PortError> {
    let room = usize::try_from(end.0.saturating_sub(after.0)).unwrap_or(usize::MAX);
    let mut limit = page.min(room);
    let mut chunk = Chunk { events: vec![], last: after, unreadable: None };
    while limit > 0 {
        match reader.read(chunk.last, limit).await {
            Ok(mut events) => {
                events.retain(|event| event.position <= end);
                let Some(last) = events.last() else { break };
                chunk.last = last.position;
                chunk.events.extend(events);
                break;
            }
            Err(PortError::Corrupt { detail, .. }) if limit == 1 => {
                chunk.last = Position(chunk.last.0.saturating_add(1));
                chunk.unreadable = Some(detail);
                break;
            }
            Err(PortError::Corrupt { .. }) => limit /= 2,
            Err(error) => return Err(error),
        }
    }
    Ok(chunk)
}
