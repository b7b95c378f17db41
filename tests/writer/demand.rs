//! Unmet demand: what a node refused is in the log, once a second at most, whoever refused it.

use std::sync::atomic::Ordering;

use commands::intake::{Asker, DEMAND_EVERY, PlaceRefusal};
use domain::demand::Observed;
use domain::event::Event;
use domain::limits::DEMAND_VIEWERS_MAX;
use domain::spotlight::SpotlightEvent;
use tokio_util::sync::CancellationToken;

use super::ports::LogFault;
use super::rig::{Rig, SPOTLIGHT, request, seller, sku};

async fn told(rig: &Rig) -> Vec<(domain::Timestamp, Observed)> {
    let events = rig.events().await.into_iter();
    let demand = events.filter_map(|event| match event {
        Event::Spotlight(SpotlightEvent::DemandObserved { second, observed, node, .. }) => {
            assert_eq!(node, "node-1");
            Some((second, *observed))
        }
        _ => None,
    });
    demand.collect()
}

/// Asks for units that are not there.
async fn refused(rig: &Rig, viewer: &str, key: &str, units: u32) {
    let placed = rig.place(request(viewer, key, units, "none")).await;
    assert!(matches!(placed, Err(PlaceRefusal::SoldOut { .. })), "{placed:?}");
}

async fn sold_out() -> Rig {
    let mut rig = Rig::selling(1).await;
    rig.place(request("ana", "k", 1, "none")).await.expect("promised");
    let intake = std::sync::Arc::clone(&rig.intake);
    rig.tasks.spawn(async move { intake.tell_demand(&CancellationToken::new()).await });
    rig
}

#[tokio::test]
async fn what_is_refused_is_told_once_a_second() {
    let rig = sold_out().await;
    assert_eq!(told(&rig).await, vec![]);
    // the first is refused by the gate, the others by the node
    for (viewer, units) in [("bob", 1), ("cat", 3), ("bob", 1)] {
        refused(&rig, viewer, "k", units).await;
    }
    rig.pass(DEMAND_EVERY * 2).await;
    let first = told(&rig).await;
    let [(second, observed)] = &first[..] else { panic!("{first:?}") };
    assert_eq!(second.timestamp_subsec_nanos(), 0);
    assert_eq!((observed.sku.clone(), observed.requests, observed.units), (sku(), 3, 5));
    let viewers: Vec<&str> =
        observed.viewers.viewers.iter().map(domain::ids::ViewerRef::as_str).collect();
    assert_eq!((viewers, &observed.viewers.sketch), (vec!["ref-bob", "ref-cat"], &None));
    // a second without a refusal is not told
    rig.pass(DEMAND_EVERY * 3).await;
    assert_eq!(told(&rig).await, first);
    refused(&rig, "dan", "k", 2).await;
    rig.pass(DEMAND_EVERY * 2).await;
    let both = told(&rig).await;
    assert_eq!(both.len(), 2);
    assert!(both[1].0 > both[0].0, "each second once");
    rig.verify().await;
}

#[tokio::test]
async fn what_is_refused_for_another_reason_is_no_unmet_demand() {
    let rig = sold_out().await;
    let mut other = request("bob", "k", 1, "none");
    other.offer_version = 9;
    rig.place(other).await.expect_err("another offer");
    let mut foreign = request("bob", "k2", 1, "none");
    foreign.seller = domain::ids::SellerId::try_new("other").unwrap();
    rig.place(foreign).await.expect_err("not theirs");
    rig.pass(DEMAND_EVERY * 2).await;
    assert_eq!(told(&rig).await, vec![]);
}

#[tokio::test]
async fn a_log_that_was_away_is_told_later_and_nothing_twice() {
    let rig = sold_out().await;
    refused(&rig, "bob", "k", 1).await;
    rig.log.down.store(true, Ordering::SeqCst);
    rig.pass(DEMAND_EVERY * 3).await;
    assert_eq!(told(&rig).await, vec![]);
    rig.log.down.store(false, Ordering::SeqCst);
    // one that is in the log and was not acknowledged, then one that is not
    rig.log.next.lock().extend([LogFault::Hidden, LogFault::Lost]);
    rig.pass(DEMAND_EVERY * 4).await;
    let all = told(&rig).await;
    assert_eq!(all.iter().map(|(_, observed)| observed.requests).sum::<u64>(), 1, "{all:?}");
}

#[tokio::test]
async fn viewers_beyond_the_bound_are_sketched() {
    let rig = sold_out().await;
    refused(&rig, "first", "k", 1).await;
    for number in 0..=DEMAND_VIEWERS_MAX {
        let name = format!("viewer-{number}");
        let asked = request(&name, "k", 1, "none");
        let viewer_ref = || asked.viewer_ref.clone();
        let asker = Asker { viewer: &name, viewer_ref: &viewer_ref };
        let what = (SPOTLIGHT, 1, &asked.lines);
        let known = rig.intake.known_refusal(asked.order_id(), &seller(), what, asker);
        assert!(known.is_some(), "by the verdict");
    }
    rig.pass(DEMAND_EVERY * 2).await;
    let all = told(&rig).await;
    let [(_, observed)] = &all[..] else { panic!("{all:?}") };
    assert_eq!(observed.requests, u64::try_from(DEMAND_VIEWERS_MAX).unwrap() + 2);
    assert_eq!(observed.viewers.viewers.len(), DEMAND_VIEWERS_MAX);
    assert!(observed.viewers.sketch.is_some());
    let estimate = projections::unmet_demand::viewers(&observed.viewers);
    assert!((60..=72).contains(&estimate), "{estimate}");
}
