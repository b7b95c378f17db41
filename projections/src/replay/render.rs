//! A report for people.

use std::fmt::Write;

use super::first_break::ChainLink;
use super::report::{Report, Verdict};
use super::timeline::clock;

/// Violations of one invariant that are spelled out.
const SHOWN_MAX: usize = 5;

/// What each invariant says, in a line.
const MEANINGS: [(&str, &str); 13] = [
    ("I1", "stock: held and confirmed never exceed the limit"),
    ("I2", "every order ends once"),
    ("I3", "a reservation ends once, with its own units"),
    ("I4", "no viewer exceeds the limit"),
    ("I5", "positions, links and sequences are whole"),
    ("I6", "every take of the gate ends once"),
    ("I7", "the gate shows what the log says"),
    ("I8", "the read models show what the log says"),
    ("I9", "sold is paid, and paid is sold or given back"),
    ("I10", "every order holds the inputs of its receipt"),
    ("I11", "the seals are right"),
    ("I12", "everything under way ends"),
    ("I13", "who waits is served in order"),
];

/// The report as lines of text, the verdict last.
pub fn render_human(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |content: std::fmt::Arguments<'_>| {
        // writing to a String cannot fail
        let _ = writeln!(text, "{content}");
    };
    line(format_args!(
        "{} events, positions {} to {} of {}, in {} ms ({:.0} events/s)",
        report.events,
        report.first_position,
        report.last_position,
        report.head.position,
        report.duration_ms,
        report.events_per_second,
    ));
    for invariant in &report.invariants {
        let id = invariant.id.as_str();
        let meaning = MEANINGS.iter().find(|(known, _)| *known == id).map_or("", |(_, text)| text);
        if let Some(reason) = &invariant.skipped {
            line(format_args!("  {id:<4} skipped  {meaning} ({reason})"));
            continue;
        }
        let checked = invariant.checked;
        if invariant.violations_total == 0 {
            line(format_args!("  {id:<4} holds    {meaning} ({checked} checked)"));
            continue;
        }
        let total = invariant.violations_total;
        line(format_args!("  {id:<4} BROKEN   {meaning} ({total} of {checked})"));
        for violation in invariant.violations.iter().take(SHOWN_MAX) {
            let (position, detail) = (violation.position, &violation.detail);
            line(format_args!("         at {position}, event {}: {detail}", violation.event_id));
        }
    }
    if let Some(hash) = &report.head.hash {
        line(format_args!("the chain up to position {} is {hash}", report.head.position));
    }
    if let Some(unproven) = &report.unproven {
        let (first, last, reason) = (unproven.first, unproven.last, &unproven.reason);
        line(format_args!("UNPROVEN: positions {first} to {last}: {reason}"));
    }
    for link in report.first_break.iter().flat_map(|first| &first.chain) {
        let ChainLink { position, event, stream, decided_at, .. } = link;
        line(format_args!("  led there: {position:>8} {} {event} of {stream}", clock(*decided_at)));
    }
    match (report.verdict, report.first_violation()) {
        (Verdict::Bad, Some((id, violation))) => {
            let position = violation.position;
            line(format_args!("BAD: first broken at position {position} ({id})"));
        }
        (Verdict::Bad, None) => line(format_args!("BAD")),
        (Verdict::Good, _) => line(format_args!("GOOD")),
    }
    text
}
