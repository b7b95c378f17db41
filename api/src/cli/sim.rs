//! The seeded simulator.

use std::io::IsTerminal;
use std::ops::RangeInclusive;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::Verdict;
use crate::sim::{BREAKS, Break, Outcome, run_seed};

/// Failing seeds after which a run ends.
const FAILURES_MAX: usize = 10;

/// Run the real core under a seeded scheduler that loses, delays, repeats, reorders and kills
///
/// One seed is one run; a seed that fails does so again, step by step.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which seeds: one, or FROM..TO with both ends
    #[arg(long, default_value = "1..2000", value_parser = seeds)]
    seeds: RangeInclusive<u64>,
    /// Plant a known fault, to see that it is found
    #[arg(long = "break", value_name = "NAME", value_parser = planted)]
    planted: Option<Break>,
    /// Print an object
    #[arg(long)]
    json: bool,
    /// Print every step, also of seeds that are clean
    #[arg(long)]
    trace: bool,
}

#[derive(Default)]
struct Totals {
    seeds: u64,
    events: u64,
    promised: u64,
    steps: u64,
    failures: Vec<Outcome>,
}

pub(super) fn run(args: &Args) -> Verdict {
    let begun = Instant::now();
    let progress = bar(&args.seeds);
    let mut totals = Totals::default();
    for seed in args.seeds.clone() {
        let outcome = run_seed(seed, args.planted, args.trace);
        progress.inc(1);
        totals.seeds += 1;
        totals.events += outcome.events;
        totals.promised += outcome.promised;
        totals.steps += outcome.steps;
        if args.trace && !args.json {
            print_trace(&outcome);
        }
        if outcome.failure.is_some() {
            totals.failures.push(told(outcome, args));
            if totals.failures.len() >= FAILURES_MAX {
                break;
            }
        }
    }
    progress.finish_and_clear();
    let elapsed = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    if args.json {
        print_json(args, &totals, elapsed);
    } else {
        print_human(args, &totals, elapsed);
    }
    if totals.failures.is_empty() { Verdict::Good } else { Verdict::Bad }
}

/// The failure with its story: the seed is run again, which gives the same.
fn told(outcome: Outcome, args: &Args) -> Outcome {
    if args.trace {
        return outcome;
    }
    run_seed(outcome.seed, args.planted, true)
}

fn bar(seeds: &RangeInclusive<u64>) -> ProgressBar {
    let number = seeds.end().saturating_sub(*seeds.start()).saturating_add(1);
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(number), target);
    if let Ok(style) = ProgressStyle::with_template("{pos}/{len} seeds, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

fn print_trace(outcome: &Outcome) {
    println!("seed {}", outcome.seed);
    for line in &outcome.trace {
        println!("  {line}");
    }
}

fn print_human(args: &Args, totals: &Totals, elapsed: u64) {
    for outcome in &totals.failures {
        if !args.trace {
            print_trace(outcome);
        }
        let failure = outcome.failure.as_deref().unwrap_or_default();
        println!("seed {} failed: {failure}", outcome.seed);
        let planted = args.planted.map(|it| format!(" --break {}", it.name())).unwrap_or_default();
        println!("  again: onair sim --seeds {}{planted} --trace", outcome.seed);
    }
    let Totals { seeds, events, promised, steps, failures } = totals;
    println!(
        "{seeds} seeds, {} failed; {events} events, {promised} orders promised, {steps} steps in \
         {elapsed} ms",
        failures.len()
    );
}

fn print_json(args: &Args, totals: &Totals, elapsed: u64) {
    let Totals { seeds, events, promised, steps, failures } = totals;
    let object = json!({
        "verdict": if failures.is_empty() { "good" } else { "bad" },
        "first_seed": args.seeds.start(),
        "last_seed": args.seeds.end(),
        "seeds": seeds,
        "break": args.planted.map(Break::name),
        "events": events,
        "promised": promised,
        "steps": steps,
        "failures": failures,
        "duration_ms": elapsed,
    });
    println!("{object}");
}

fn planted(name: &str) -> Result<Break, String> {
    name.parse().map_err(|_| {
        let known: Vec<&str> = BREAKS.iter().map(|(_, name)| *name).collect();
        format!("is one of {}", known.join(", "))
    })
}

fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let bad = || "is a seed such as 7, or a range such as 1..2000".to_owned();
    let number = |text: &str| text.parse::<u64>().map_err(|_| bad());
    let (from, to) = match text.split_once("..") {
        Some((from, to)) => (number(from)?, number(to.trim_start_matches('='))?),
        None => (number(text)?, number(text)?),
    };
    if from <= to { Ok(from..=to) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_one_or_a_range() {
        assert_eq!(seeds("7"), Ok(7..=7));
        assert_eq!(seeds("1..2000"), Ok(1..=2_000));
        assert_eq!(seeds("1..=2"), Ok(1..=2));
        for bad in ["", "..", "2..1", "a", "1..", "-1"] {
            assert!(seeds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_planted_fault_has_a_name() {
        for (known, name) in BREAKS {
            assert_eq!(planted(name), Ok(known));
            assert_eq!(known.name(), name);
        }
        assert!(planted("gremlins").is_err());
    }
}
