//! The random operations.

use proptest::prelude::*;

use super::{HOST_COMMANDS, ORDERS};

#[derive(Debug, Clone)]
pub(super) enum Step {
    Take { order: usize, wrong_version: bool, other_body: bool },
    TakeAgain(usize),
    Cancel(usize),
    Narrow(usize),
    CancelNarrow(usize),
    Claim,
    Reserve { order: usize, known: bool },
    Fail { order: usize, of_known: bool },
    Void { order: usize, known: bool },
    Confirm(usize),
    Release { order: usize, keep: bool },
    Offer(usize),
    Leave(usize),
    Free,
    EndNarrow(usize),
    VoidNarrow(usize),
    Resume,
    Restock,
    Repeat,
    SkipOne,
    Reopen,
    Load,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let order = 0..ORDERS;
    let host = 0..HOST_COMMANDS;
    prop_oneof![
        8 => (order.clone(), prop::bool::weighted(0.1), prop::bool::weighted(0.1)).prop_map(
            |(order, wrong_version, other_body)| Step::Take { order, wrong_version, other_body }
        ),
        3 => order.clone().prop_map(Step::TakeAgain),
        1 => order.clone().prop_map(Step::Cancel),
        3 => host.clone().prop_map(Step::Narrow),
        1 => host.clone().prop_map(Step::CancelNarrow),
        1 => Just(Step::Claim),
        5 => (order.clone(), prop::bool::weighted(0.85))
            .prop_map(|(order, known)| Step::Reserve { order, known }),
        1 => (order.clone(), any::<bool>())
            .prop_map(|(order, of_known)| Step::Fail { order, of_known }),
        2 => (order.clone(), any::<bool>()).prop_map(|(order, known)| Step::Void { order, known }),
        2 => order.clone().prop_map(Step::Confirm),
        3 => (order.clone(), any::<bool>())
            .prop_map(|(order, keep)| Step::Release { order, keep }),
        3 => order.prop_map(Step::Offer),
        1 => (0..2_usize).prop_map(Step::Leave),
        1 => Just(Step::Free),
        2 => host.clone().prop_map(Step::EndNarrow),
        2 => host.prop_map(Step::VoidNarrow),
        2 => Just(Step::Resume),
        1 => Just(Step::Restock),
        1 => Just(Step::Repeat),
        1 => Just(Step::SkipOne),
        1 => Just(Step::Reopen),
        2 => Just(Step::Load),
    ]
}
