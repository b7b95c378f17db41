//! The simulator: clean on the sound core, and not blind.

use api::sim::{BREAKS, Break, run_seed};

/// Seeds of the slice that every test run checks; the soak checks 2,000 and more.
const SLICE: u64 = 200;
/// Within how many seeds a planted fault must be found.
const FOUND_WITHIN: u64 = 2_000;

#[test]
fn a_slice_of_seeds_is_clean() {
    let mut promised = 0;
    for seed in 1..=SLICE {
        let outcome = run_seed(seed, None, false);
        assert_eq!(outcome.failure, None, "onair sim --seeds {seed} --trace");
        promised += outcome.promised;
    }
    // a world in which nothing works finds nothing
    assert!(promised > 2 * SLICE, "{promised} orders were promised");
}

/// Seeds that once found something: a gate loaded without what followed its snapshot, and a host's
/// command whose sender died.
#[test]
fn seeds_that_failed_once_are_clean() {
    for seed in [164, 187, 1107, 1967] {
        assert_eq!(run_seed(seed, None, false).failure, None, "onair sim --seeds {seed} --trace");
    }
}

#[test]
fn a_seed_is_the_same_run_every_time_with_or_without_a_trace() {
    for seed in [3, 17, 71, 150] {
        let (first, traced) = (run_seed(seed, None, false), run_seed(seed, None, true));
        assert_eq!(first, run_seed(seed, None, false));
        assert_eq!(first.fingerprint, traced.fingerprint);
        assert!(traced.trace.len() > 100, "the trace tells the story");
    }
    assert_ne!(run_seed(3, None, false).fingerprint, run_seed(17, None, false).fingerprint);
}

/// The fault is found, the seed fails again step by step, and without the fault it is clean.
fn is_found(planted: Break) {
    let failing = (1..=FOUND_WITHIN)
        .map(|seed| run_seed(seed, Some(planted), false))
        .find(|outcome| outcome.failure.is_some());
    let failing = failing.unwrap_or_else(|| panic!("{} was not found", planted.name()));
    assert_eq!(run_seed(failing.seed, Some(planted), false), failing);
    let traced = run_seed(failing.seed, Some(planted), true);
    assert_eq!((&traced.failure, traced.fingerprint), (&failing.failure, failing.fingerprint));
    assert!(traced.trace.iter().any(|line| line.contains("FAILED")));
    assert_eq!(run_seed(failing.seed, None, false).failure, None);
}

#[test]
fn the_seeds_lua_that_confuses_last_unit_and_sold_out_is_found() {
    is_found(Break::SeedLua);
}

#[test]
fn a_double_release_is_found() {
    is_found(Break::DoubleRelease);
}

#[test]
fn a_store_without_fences_is_found() {
    is_found(Break::NoFence);
}

#[test]
fn a_rebuild_without_what_was_sold_is_found() {
    is_found(Break::RebuildWithoutConfirmed);
}

#[test]
fn a_compensated_ambiguous_append_is_found() {
    is_found(Break::CompensateAmbiguous);
}

#[test]
fn a_reduction_that_skips_the_gate_is_found() {
    is_found(Break::ReductionSkipsGate);
}

#[test]
fn every_planted_fault_has_its_test() {
    assert_eq!(BREAKS.len(), 6, "a new planted fault needs a test of its own here");
}
