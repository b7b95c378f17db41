//! What the demo shows: one line that lives on a terminal, plain lines elsewhere, then the sums.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::viewer::Report;

/// How often a plain line is printed where there is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(1);
/// Longest answer that the histogram holds, in microseconds.
const ANSWER_MAX_US: u64 = 60_000_000;

/// What the viewers did.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Summary {
    /// Sockets connected.
    pub viewers: u64,
    /// Orders accepted.
    pub accepted: u64,
    /// Presses refused, by code.
    pub refused: BTreeMap<String, u64>,
    /// Orders confirmed.
    pub confirmed: u64,
    /// Orders failed.
    pub failed: u64,
    /// Units sold, as the viewers saw it last.
    pub sold: i64,
    /// Median time to a 202, in microseconds.
    pub answer_p50_us: u64,
    /// 99th percentile of the time to a 202, in microseconds.
    pub answer_p99_us: u64,
    /// From the opening to the last unit sold, in milliseconds.
    pub sold_out_after_ms: u64,
}

/// Counts reports and shows them.
pub struct Screen {
    summary: Summary,
    answers: Histogram<u64>,
    stock: (i64, i64, i64),
    bar: Option<ProgressBar>,
    printed: Instant,
    opened: Instant,
}

impl Screen {
    /// A screen on stderr.
    ///
    /// # Errors
    /// The histogram cannot be made.
    pub fn try_new(units: u32) -> anyhow::Result<Self> {
        let answers = Histogram::new_with_bounds(1, ANSWER_MAX_US, 3)?;
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(u64::from(units));
            let style = ProgressStyle::with_template(
                "  {elapsed_precise} [{bar:30.cyan/blue}] {pos}/{len} sold  {msg}",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let now = Instant::now();
        Ok(Self {
            summary: Summary::default(),
            answers,
            stock: (0, 0, 0),
            bar,
            printed: now,
            opened: now,
        })
    }

    /// The sale is on from now.
    pub fn open(&mut self) {
        self.opened = Instant::now();
    }

    /// Lets somebody else print; the line that lives comes back below.
    pub fn aside(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// What was counted so far.
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Takes a report in.
    pub fn take(&mut self, report: Report) {
        match report {
            Report::Connected => self.summary.viewers += 1,
            Report::Accepted(after) => {
                self.summary.accepted += 1;
                let micros = u64::try_from(after.as_micros()).unwrap_or(ANSWER_MAX_US);
                self.answers.saturating_record(micros.clamp(1, ANSWER_MAX_US));
            }
            Report::Refused(code) => *self.summary.refused.entry(code).or_default() += 1,
            Report::Step(status) if status == "confirmed" => self.summary.confirmed += 1,
            Report::Step(status) if status == "failed" => self.summary.failed += 1,
            Report::Step(_) => {}
            Report::Stock { remaining, held, sold } => {
                self.stock = (remaining, held, sold);
                self.summary.sold = sold;
            }
        }
        self.show();
    }

    fn show(&mut self) {
        let (remaining, held, sold) = self.stock;
        let refused: u64 = self.summary.refused.values().sum();
        let line = format!(
            "{remaining} left · {held} held · {} accepted · {refused} refused · {} failed",
            self.summary.accepted, self.summary.failed
        );
        if let Some(bar) = &self.bar {
            bar.set_position(u64::try_from(sold).unwrap_or(0));
            bar.set_message(line);
        } else if self.printed.elapsed() >= PLAIN_EVERY {
            self.printed = Instant::now();
            eprintln!("  {sold} sold · {line}");
        }
    }

    /// Whether nothing is left and nothing is held.
    pub const fn is_sold_out(&self) -> bool {
        let (remaining, held, sold) = self.stock;
        remaining == 0 && held == 0 && sold > 0
    }

    /// The last line and the sums.
    pub fn close(mut self) -> Summary {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
        self.summary.answer_p50_us = self.answers.value_at_quantile(0.5);
        self.summary.answer_p99_us = self.answers.value_at_quantile(0.99);
        let after = self.opened.elapsed().as_millis();
        self.summary.sold_out_after_ms = u64::try_from(after).unwrap_or(u64::MAX);
        self.summary
    }
}
