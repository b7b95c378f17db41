//! How many viewers a count stands for.

use domain::demand::{Sketch, Viewers};

/// Of the registers: the share of one, corrected for what hashes collide (Flajolet and others 2007).
const ALPHA_TIMES_REGISTERS: f64 = 0.7213 / (1.0 + 1.079 / 1_024.0) * 1_024.0;
/// Up to this many per register, empty registers tell more than their ranks.
const FEW_PER_REGISTER: f64 = 2.5;

/// How many distinct viewers there were: exact where all are named, off by 3.3 % on average beyond.
pub fn viewers(counted: &Viewers) -> u64 {
    let named = u64::try_from(counted.viewers.len()).unwrap_or(u64::MAX);
    counted.sketch.as_deref().map_or(named, |sketch| sketched(sketch).max(named))
}

fn sketched(sketch: &Sketch) -> u64 {
    let ranks = sketch.registers();
    let registers = count(ranks.len());
    let used: Vec<&u8> = ranks.iter().filter(|rank| **rank > 0).collect();
    let empty = count(ranks.len() - used.len());
    let sum: f64 = ranks.iter().map(|rank| 0.5_f64.powi(i32::from(*rank))).sum();
    let raw = ALPHA_TIMES_REGISTERS * registers / sum;
    let few = raw <= FEW_PER_REGISTER * registers && empty > 0.0;
    whole(if few { registers * (registers / empty).ln() } else { raw })
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate is above 0, and far below what a u64 holds"
)]
fn whole(estimate: f64) -> u64 {
    estimate.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::ViewerRef;
    use domain::limits::DEMAND_VIEWERS_MAX;

    fn counted(from: usize, to: usize) -> Viewers {
        let mut counted = Viewers::default();
        for number in from..to {
            counted.insert(ViewerRef::try_new(format!("viewer-{number}")).expect("valid"));
        }
        counted
    }

    #[test]
    fn few_viewers_are_counted_exactly_and_many_nearly() {
        for few in [0, 1, 2, DEMAND_VIEWERS_MAX] {
            assert_eq!(viewers(&counted(0, few)), u64::try_from(few).unwrap());
        }
        for many in [DEMAND_VIEWERS_MAX + 1, 500, 3_000, 40_000] {
            let estimate = viewers(&counted(0, many));
            let off = estimate.abs_diff(u64::try_from(many).unwrap());
            assert!(off * 100 <= u64::try_from(many * 10).unwrap(), "{estimate} for {many}");
        }
    }

    #[test]
    fn parts_that_overlap_count_their_viewers_once() {
        let mut merged = counted(0, 2_000);
        merged.merge(&counted(1_000, 3_000));
        merged.merge(&counted(10, 20));
        assert_eq!(viewers(&merged), viewers(&counted(0, 3_000)));
        let mut few = counted(0, 10);
        few.merge(&counted(5, 15));
        assert_eq!(viewers(&few), 15);
    }
}
