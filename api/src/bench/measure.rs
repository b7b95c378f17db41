//! One measure: the median of a few rounds beside that of its reference.

use std::fmt::Write;

use serde_json::{Value, json};

/// What one round has shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Round {
    /// Of onair.
    pub value: f64,
    /// Of the reference.
    pub reference: f64,
}

/// What the project wants the ratio to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Not lower.
    AtLeast(f64),
    /// Not higher.
    AtMost(f64),
}

impl Bound {
    fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(bound) => ratio >= bound,
            Self::AtMost(bound) => ratio <= bound,
        }
    }
}

/// A measure as it is printed.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// Its name in the contract.
    pub bench: &'static str,
    /// Of value and reference.
    pub unit: &'static str,
    /// What the reference is.
    pub reference: &'static str,
    /// What the project wants the ratio to be.
    pub bound: Bound,
    /// Every round, in order.
    pub rounds: Vec<Round>,
    /// What else was seen in the same rounds, by name.
    pub beside: Vec<(String, f64)>,
}

impl Measure {
    /// Onair's figure: the median.
    pub fn value(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.value))
    }

    /// The reference's figure: the median.
    pub fn reference_value(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.reference))
    }

    /// The one by the other.
    pub fn ratio(&self) -> f64 {
        self.value() / self.reference_value()
    }

    /// Whether the bound holds.
    pub fn holds(&self) -> bool {
        self.bound.holds(self.ratio())
    }

    /// The line of `--json`.
    pub fn json(&self) -> Value {
        let (kind, bound) = match self.bound {
            Bound::AtLeast(bound) => ("at_least", bound),
            Bound::AtMost(bound) => ("at_most", bound),
        };
        let rounds: Vec<Value> = self
            .rounds
            .iter()
            .map(|round| json!({"value": short(round.value), "reference": short(round.reference)}))
            .collect();
        let beside: serde_json::Map<String, Value> =
            self.beside.iter().map(|(name, value)| (name.clone(), json!(short(*value)))).collect();
        json!({
            "bench": self.bench,
            "value": short(self.value()),
            "unit": self.unit,
            "reference": {"name": self.reference, "value": short(self.reference_value())},
            "ratio": short(self.ratio()),
            "samples": self.rounds.len(),
            "rounds": rounds,
            "bound": {kind: bound},
            "holds": self.holds(),
            "beside": beside,
        })
    }

    /// The lines for people.
    pub fn lines(&self) -> String {
        let (sign, bound) = match self.bound {
            Bound::AtLeast(bound) => ("≥", bound),
            Bound::AtMost(bound) => ("≤", bound),
        };
        let verdict = if self.holds() { "holds" } else { "missed" };
        let mut text = format!(
            "{:<28} {:>12} {:<10} {:>12} {:<34} ratio {:.2} ({sign} {bound} {verdict}, {} rounds)\n",
            self.bench,
            short(self.value()),
            self.unit,
            short(self.reference_value()),
            self.reference,
            self.ratio(),
            self.rounds.len(),
        );
        for (name, value) in &self.beside {
            // writing into a String cannot fail
            let _ = writeln!(text, "    {name}: {}", short(*value));
        }
        text
    }
}

/// Three places, or none above a thousand: more would only show noise.
fn short(value: f64) -> f64 {
    if value.abs() >= 1_000.0 { value.round() } else { (value * 1_000.0).round() / 1_000.0 }
}

/// The middle one; of an even number the mean of the middle two; 0 of none.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
    if values.len() % 2 == 1 {
        at(middle)
    } else {
        f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
    }
}

/// A count as a figure.
pub(super) fn figure(count: impl TryInto<u64>) -> f64 {
    let count = count.try_into().unwrap_or(u64::MAX);
    let part = |bits: u64| f64::from(u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0));
    part(count >> 32) * 4_294_967_296.0 + part(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(bound: Bound, rounds: &[(f64, f64)]) -> Measure {
        Measure {
            bench: "writer.rate_vs_insert",
            unit: "events/s",
            reference: "insert",
            bound,
            rounds: rounds
                .iter()
                .map(|(value, reference)| Round { value: *value, reference: *reference })
                .collect(),
            beside: vec![("redis_cpu".to_owned(), 1.5)],
        }
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 100.0]).total_cmp(&3.0), std::cmp::Ordering::Equal);
        assert_eq!(median([1.0, 2.0]).total_cmp(&1.5), std::cmp::Ordering::Equal);
        assert_eq!(median([]).total_cmp(&0.0), std::cmp::Ordering::Equal);
    }

    #[test]
    fn the_line_is_that_of_the_contract() {
        let rounds = [(60.0, 100.0), (50.0, 90.0), (70.0, 110.0)];
        let line = measure(Bound::AtLeast(0.5), &rounds).json();
        assert_eq!(line["bench"], "writer.rate_vs_insert");
        assert_eq!(line["value"], 60.0);
        assert_eq!(line["unit"], "events/s");
        assert_eq!(line["reference"], json!({"name": "insert", "value": 100.0}));
        assert_eq!(line["ratio"], 0.6);
        assert_eq!(line["samples"], 3);
        assert_eq!(line["holds"], true);
    }

    #[test]
    fn a_bound_holds_at_the_bound_and_not_beyond() {
        let at = |bound, value| measure(bound, &[(value, 100.0)]).holds();
        assert!(at(Bound::AtLeast(0.5), 50.0) && !at(Bound::AtLeast(0.5), 49.0));
        assert!(at(Bound::AtMost(1.5), 150.0) && !at(Bound::AtMost(1.5), 151.0));
    }

    #[test]
    fn counts_become_figures() {
        for count in [0_u32, 1, u32::MAX] {
            assert_eq!(figure(count).total_cmp(&f64::from(count)), std::cmp::Ordering::Equal);
        }
        assert_eq!(figure(1_u64 << 40).total_cmp(&1_099_511_627_776.0), std::cmp::Ordering::Equal);
    }
}
