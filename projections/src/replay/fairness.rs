//! Whether who pressed first was admitted first.

use std::collections::BTreeMap;
use std::fmt::Write;

use domain::Timestamp;
use domain::envelope::Position;
use domain::event::Event;
use domain::ids::{OrderId, SpotlightId};
use domain::order::{Accepted, OrderEvent};
use domain::ports::{EventReader, PortError};
use domain::spotlight::SpotlightEvent;
use domain::waitlist::OFFER_ADMISSION;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::pages::Pages;

/// Significant figures of a skew.
const FIGURES: u8 = 3;
/// Pairs that an answer names; the rest is counted.
pub const OVERTAKINGS_KEPT_MAX: usize = 20;
/// Acceptances of one spotlight and epoch that are compared at once: a larger sale is judged in
/// slices of so many admissions.
pub const ADMISSIONS_MAX: usize = 200_000;

/// How long the requests of a node took to their admission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeSkew {
    /// The node.
    pub node: String,
    /// Its admissions.
    pub admissions: u64,
    /// The median, in microseconds.
    pub p50_us: i64,
    /// 99 of 100 took at most this, in microseconds.
    pub p99_us: i64,
    /// The longest, in microseconds.
    pub max_us: i64,
}

/// An order that arrived later and was admitted earlier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overtaking {
    /// In which spotlight.
    pub spotlight_id: SpotlightId,
    /// Who was admitted before.
    pub order_id: OrderId,
    /// Who had arrived before.
    pub overtaken: OrderId,
    /// By how much it had arrived later, in microseconds.
    pub by_us: i64,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fairness {
    /// Admissions that were compared.
    pub admissions: u64,
    /// Orders that somebody who arrived later was admitted before.
    pub overtaken: u64,
    /// The largest lead that was lost, in microseconds.
    pub worst_us: i64,
    /// Each node.
    pub nodes: Vec<NodeSkew>,
    /// The worst ones, worst first.
    pub overtakings: Vec<Overtaking>,
    /// What is not in the log.
    pub assumes: &'static str,
}

const ASSUMES: &str = "arrival is the clock of the node that took the request: clocks that differ \
    look like overtaking; who was refused is not compared";

struct Admitted {
    number: u64,
    order: OrderId,
    received: Timestamp,
}

#[derive(Default)]
struct Work {
    open: BTreeMap<(SpotlightId, u64), Vec<Admitted>>,
    skews: BTreeMap<String, Histogram<u64>>,
    report: Vec<Overtaking>,
    admissions: u64,
    overtaken: u64,
}

impl Work {
    fn admit(&mut self, accepted: &Accepted) -> Result<(), PortError> {
        let admission = &accepted.admission;
        if admission.number == OFFER_ADMISSION {
            // the next in line: no gate admitted it
            return Ok(());
        }
        self.admissions += 1;
        let failed =
            |error: &dyn std::fmt::Display| PortError::corrupt("a skew", error.to_string());
        if !self.skews.contains_key(&accepted.node) {
            let empty = Histogram::new(FIGURES).map_err(|error| failed(&error))?;
            self.skews.insert(accepted.node.clone(), empty);
        }
        if let Some(skews) = self.skews.get_mut(&accepted.node) {
            // a node whose clock is ahead of the gate's has none
            let skew = micros(accepted.received_at, admission.at);
            let skew = u64::try_from(skew).unwrap_or_default();
            skews.record(skew).map_err(|error| failed(&error))?;
        }
        let open = self.open.entry((accepted.spotlight_id, admission.epoch)).or_default();
        open.push(Admitted {
            number: admission.number,
            order: accepted.order_id,
            received: accepted.received_at,
        });
        if open.len() >= ADMISSIONS_MAX {
            let slice = std::mem::take(open);
            self.settle(accepted.spotlight_id, slice);
        }
        Ok(())
    }

    /// Nothing more is admitted to a closed spotlight.
    fn close(&mut self, spotlight: SpotlightId) {
        let range = (spotlight, u64::MIN)..=(spotlight, u64::MAX);
        let epochs: Vec<u64> = self.open.range(range).map(|((_, epoch), _)| *epoch).collect();
        for epoch in epochs {
            if let Some(admitted) = self.open.remove(&(spotlight, epoch)) {
                self.settle(spotlight, admitted);
            }
        }
    }

    /// Compares one gate's admissions: the one that arrived last among those before is who overtook.
    fn settle(&mut self, spotlight: SpotlightId, mut admitted: Vec<Admitted>) {
        admitted.sort_by_key(|admission| admission.number);
        let mut latest: Option<&Admitted> = None;
        for admission in &admitted {
            if let Some(ahead) = latest.filter(|ahead| ahead.received > admission.received) {
                self.overtaken += 1;
                self.report.push(Overtaking {
                    spotlight_id: spotlight,
                    order_id: ahead.order,
                    overtaken: admission.order,
                    by_us: micros(admission.received, ahead.received),
                });
            } else {
                latest = Some(admission);
            }
        }
        self.report.sort_by_key(|pair| (-pair.by_us, pair.overtaken));
        self.report.truncate(OVERTAKINGS_KEPT_MAX);
    }
}

fn micros(from: Timestamp, to: Timestamp) -> i64 {
    (to - from).num_microseconds().unwrap_or(i64::MAX)
}

/// Compares the order of admission with the order of arrival, per spotlight and epoch of its gate.
///
/// # Errors
/// The log cannot be read, or an event does not decode.
pub async fn fairness(
    reader: &dyn EventReader,
    spotlight: Option<SpotlightId>,
    progress: &mut (dyn FnMut(Position, Position) + Send),
) -> Result<Fairness, PortError> {
    let end = reader.head().await?;
    let mut pages = Pages::new(reader, spotlight.map(Into::into), end);
    let mut work = Work::default();
    loop {
        let page = pages.next().await?;
        let Some(last) = page.last() else { break };
        progress(last.position, end);
        for event in &page {
            match &event.event {
                Event::Order(OrderEvent::OrderAccepted { accepted }) => {
                    work.admit(accepted)?;
                }
                Event::Spotlight(fact @ SpotlightEvent::SpotlightClosed { .. }) => {
                    work.close(fact.spotlight_id());
                }
                _ => {}
            }
        }
    }
    while let Some(((spotlight, _), admitted)) = work.open.pop_first() {
        work.settle(spotlight, admitted);
    }
    Ok(Fairness {
        admissions: work.admissions,
        overtaken: work.overtaken,
        worst_us: work.report.first().map_or(0, |pair| pair.by_us),
        nodes: work.skews.into_iter().map(|(node, skews)| skew(node, &skews)).collect(),
        overtakings: work.report,
        assumes: ASSUMES,
    })
}

fn skew(node: String, skews: &Histogram<u64>) -> NodeSkew {
    let at = |share| i64::try_from(skews.value_at_quantile(share)).unwrap_or(i64::MAX);
    let (p50_us, p99_us, max_us) = (at(0.5), at(0.99), at(1.0));
    NodeSkew { node, admissions: skews.len(), p50_us, p99_us, max_us }
}

/// The report as lines of text.
pub fn render_fairness(report: &Fairness) -> String {
    let mut text = String::new();
    let Fairness { admissions, overtaken, worst_us, .. } = report;
    let _ = writeln!(
        text,
        "{admissions} admissions, {overtaken} were overtaken, at worst by {worst_us} µs"
    );
    for NodeSkew { node, admissions, p50_us, p99_us, max_us } in &report.nodes {
        let _ = writeln!(
            text,
            "  {node}: {admissions} admissions, {p50_us} µs from arrival to admission (p50), \
             {p99_us} µs (p99), {max_us} µs (max)"
        );
    }
    for Overtaking { order_id, overtaken, by_us, .. } in &report.overtakings {
        let _ = writeln!(text, "  {order_id} overtook {overtaken} by {by_us} µs");
    }
    let _ = writeln!(text, "({})", report.assumes);
    text
}
