//! Unmet demand: what was refused, on every adapter.

use domain::demand::{Observed, Viewers};
use domain::ids::{SpotlightId, ViewerRef};
use domain::ports::PortError;
use domain::spotlight::SpotlightCommand;
use projections::unmet_demand::{DemandFold, viewers};

use super::on_every_adapter;
use super::setup::Books;
use crate::support::events::{Story, sku};

on_every_adapter!(refusals_add_up, a_gap_is_refused_and_a_repeat_skipped);

fn observed(name: &str, units: u64, by: std::ops::Range<u32>) -> Observed {
    let mut viewers = Viewers::default();
    for viewer in by.clone() {
        viewers.insert(ViewerRef::try_new(format!("viewer-{viewer}")).unwrap());
    }
    Observed { sku: sku(name), requests: u64::from(by.end - by.start), units, viewers }
}

fn tell(story: &mut Story, spotlight: SpotlightId, observed: Vec<Observed>) {
    let (second, node) = (story.now, "node-1".to_owned());
    story.spotlight_does(spotlight, SpotlightCommand::ObserveDemand { second, node, observed });
}

async fn refusals_add_up(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let terms = story.terms(show, &[("a", 1), ("b", 1)]);
    let (one, other) = (story.schedule(terms, true), {
        let terms = story.terms(show, &[("a", 1)]);
        story.schedule(terms, true)
    });
    let first = story.now;
    tell(&mut story, one, vec![observed("a", 7, 0..3), observed("b", 1, 9..10)]);
    story.pass(5);
    tell(&mut story, one, vec![observed("a", 4, 2..5)]);
    tell(&mut story, other, vec![observed("a", 200, 0..200)]);
    for page in story.log().chunks(2) {
        books.demand.apply(page).await.unwrap();
    }
    assert_eq!(books.demand.checkpoint().await.unwrap(), story.head());
    let row = books.demand.row(DemandFold::key_of(one, &sku("a"))).await.unwrap().unwrap();
    assert_eq!((row.observed.requests, row.observed.units), (6, 11));
    assert_eq!(viewers(&row.observed.viewers), 5);
    assert_eq!((row.first_second, row.last_second), (first, story.now));
    let rows = books.demand.rows(one).await.unwrap();
    assert_eq!(rows.len(), 2);
    let rows = books.demand.rows(other).await.unwrap();
    let estimate = viewers(&rows[0].observed.viewers);
    assert!((180..=220).contains(&estimate), "{estimate}");
    assert_eq!(books.demand.row(DemandFold::key_of(other, &sku("b"))).await.unwrap(), None);
    assert_eq!(books.demand.in_line(one, story.head()).await.unwrap(), 0);
}

async fn a_gap_is_refused_and_a_repeat_skipped(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let terms = story.terms(show, &[("a", 1)]);
    let spotlight = story.schedule(terms, true);
    for _ in 0..4 {
        tell(&mut story, spotlight, vec![observed("a", 1, 0..1)]);
    }
    let log = story.log();
    assert!(matches!(
        books.demand.apply(&log[1..]).await,
        Err(PortError::Corrupt { what: "unmet_demand", .. })
    ));
    books.demand.apply(&log[..6]).await.unwrap();
    books.demand.apply(&log[3..]).await.unwrap();
    books.demand.apply(log).await.unwrap();
    let rows = books.demand.rows(spotlight).await.unwrap();
    assert_eq!((rows.len(), rows[0].observed.requests, rows[0].observed.units), (1, 4, 4));
}
