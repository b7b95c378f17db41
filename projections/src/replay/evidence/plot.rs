//! What was left over time, as a picture.

use std::collections::BTreeMap;
use std::fmt::Write;

use domain::Timestamp;
use domain::envelope::Recorded;
use domain::event::Event;
use domain::ids::{Sku, SpotlightId};
use domain::ledger::for_each_ledger_change;
use domain::order::OrderEvent;
use domain::spotlight::SpotlightEvent;

/// Points of one line; a longer one is thinned.
pub const POINTS_MAX: usize = 4_000;
const WIDTH: i64 = 960;
const HEIGHT: i64 = 300;
const MARGIN: i64 = 48;
const COLOURS: [&str; 6] = ["#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2"];

#[derive(Debug, Clone, Copy, Default)]
struct Stock {
    limit: i64,
    taken: i64,
}

#[derive(Debug, Default)]
struct Line {
    name: String,
    stock: BTreeMap<Sku, Stock>,
    points: Vec<(Timestamp, i64)>,
}

impl Line {
    fn left(&self) -> i64 {
        self.stock.values().map(|stock| stock.limit - stock.taken).sum()
    }

    fn add(&mut self, at: Timestamp) {
        let left = self.left();
        match self.points.last_mut() {
            Some((last, value)) if *last == at => *value = left,
            _ => self.points.push((at, left)),
        }
        if self.points.len() > POINTS_MAX {
            let end = self.points.len() - 1;
            let mut place = 0;
            // the first and the last stay, of the others every second one
            self.points.retain(|_| {
                let keep = place % 2 == 0 || place == end;
                place += 1;
                keep
            });
        }
    }
}

/// The lines of a broadcast's spotlights.
#[derive(Debug, Default)]
pub(super) struct Plot {
    lines: BTreeMap<SpotlightId, Line>,
    pub(super) accepted: u64,
    pub(super) confirmed: u64,
}

impl Plot {
    pub(super) fn take(&mut self, event: &Recorded) {
        match &event.event {
            Event::Spotlight(SpotlightEvent::SpotlightScheduled { terms }) => {
                let line = self.lines.entry(terms.spotlight_id).or_default();
                line.name.clone_from(&terms.product.name);
            }
            Event::Order(OrderEvent::OrderAccepted { .. }) => self.accepted += 1,
            Event::Order(OrderEvent::OrderConfirmed { .. }) => self.confirmed += 1,
            _ => {}
        }
        let (at, mut moved) = (event.metadata.decided_at, None);
        for_each_ledger_change(&event.event, |change| {
            if let Some(line) = self.lines.get_mut(&change.spotlight) {
                let stock = line.stock.entry(change.sku.clone()).or_default();
                stock.limit += change.limit;
                stock.taken += change.held + change.confirmed;
                moved = Some(change.spotlight);
            }
        });
        if let Some(line) = moved.and_then(|spotlight| self.lines.get_mut(&spotlight)) {
            line.add(at);
        }
    }

    pub(super) fn spotlights(&self) -> impl Iterator<Item = SpotlightId> + '_ {
        self.lines.keys().copied()
    }

    /// The picture.
    pub(super) fn svg(&self) -> String {
        let points = || self.lines.values().flat_map(|line| line.points.iter());
        let begin = points().map(|(at, _)| at.timestamp_micros()).min().unwrap_or(0);
        let end = points().map(|(at, _)| at.timestamp_micros()).max().unwrap_or(0).max(begin + 1);
        let most = points().map(|(_, left)| *left).max().unwrap_or(1).max(1);
        let x = |at: Timestamp| {
            MARGIN
                + (WIDTH - 2 * MARGIN).saturating_mul(at.timestamp_micros() - begin) / (end - begin)
        };
        let y = |left: i64| HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * left.max(0) / most;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n\
             <title>Units left over time</title>\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <path d=\"M{MARGIN} {MARGIN}V{0}H{1}\" fill=\"none\" stroke=\"#6b7280\"/>\n\
             <text x=\"8\" y=\"{MARGIN}\">{most}</text>\n<text x=\"8\" y=\"{0}\">0</text>\n",
            HEIGHT - MARGIN,
            WIDTH - MARGIN,
        );
        for (micros, place, anchor) in [(begin, MARGIN, "start"), (end, WIDTH - MARGIN, "end")] {
            let at = Timestamp::from_timestamp_micros(micros).unwrap_or_default();
            let _ = writeln!(
                svg,
                "<text x=\"{place}\" y=\"{}\" text-anchor=\"{anchor}\">{} UTC</text>",
                HEIGHT - MARGIN + 18,
                at.format("%Y-%m-%d %H:%M:%S")
            );
        }
        for ((number, line), colour) in self.lines.values().enumerate().zip(COLOURS.iter().cycle())
        {
            let mut path = String::new();
            for (at, left) in &line.points {
                let _ = if path.is_empty() {
                    write!(path, "M{} {}", x(*at), y(*left))
                } else {
                    write!(path, "H{}V{}", x(*at), y(*left))
                };
            }
            let _ = writeln!(
                svg,
                "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
                 <text x=\"{}\" y=\"{}\" fill=\"{colour}\" text-anchor=\"end\">{}</text>",
                WIDTH - MARGIN,
                18 + 16 * i64::try_from(number).unwrap_or_default(),
                escaped(&line.name)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// A text inside of HTML and SVG.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_thinned_and_keeps_its_ends() {
        let mut line = Line::default();
        let at = |second| Timestamp::from_timestamp_micros(second).expect("a time");
        let sku = Sku::try_new("CUP").expect("a SKU");
        line.stock.insert(sku.clone(), Stock { limit: 10_000, taken: 0 });
        for second in 0..10_000 {
            line.stock.insert(sku.clone(), Stock { limit: 10_000, taken: second });
            line.add(at(second));
        }
        assert!(line.points.len() <= POINTS_MAX);
        assert_eq!(line.points.first(), Some(&(at(0), 10_000)));
        assert_eq!(line.points.last(), Some(&(at(9_999), 1)));
    }

    #[test]
    fn names_cannot_break_out_of_the_picture() {
        assert_eq!(escaped("<b a='\"'>&\n"), "&lt;b a=&#39;&quot;&#39;&gt;&amp; ");
    }
}
