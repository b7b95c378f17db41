//! `replay timeline`, `trace` and `why`.

use super::program::replay;
use super::show::{Rows, everywhere, show};
use domain::actor::Actor;
use domain::command::Command;
use domain::demand::{Observed, Viewers};
use domain::ids::ViewerRef;
use domain::spotlight::SpotlightCommand;

#[tokio::test]
async fn an_order_is_told_step_by_step() {
    let show = show();
    let rows = Rows::of(show.story.log());
    let order = show.ana.to_string();
    for (base, place) in everywhere(&rows).await {
        let dir = base.dir.path();
        replay(dir, &base.url, &["timeline", &order]).ended(0).golden("timeline");
        let told = replay(dir, &base.url, &["timeline", &order, "--json"]).ended(0);
        let told = told.json("timeline");
        let hops: Vec<&str> = told["hops"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hop| hop["hop"].as_str().unwrap())
            .collect();
        assert_eq!(
            hops[..4],
            ["received", "admitted", "OrderAccepted", "StockReserved"],
            "{place}"
        );
        assert!(hops.contains(&"ReservationConfirmed"), "{hops:?}");
        let unknown = uuid::Uuid::nil().to_string();
        let said = replay(dir, &base.url, &["timeline", &unknown]).ended(2);
        assert!(said.errors.contains("the log has no order"), "{}", said.errors);
    }
}

#[tokio::test]
async fn what_belongs_together_is_a_tree_and_a_graph() {
    let mut show = show();
    let first = show.story.log()[4].clone();
    let order = show.ana;
    show.story.pass(1);
    let mut log = show.story.log().to_vec();
    // ana's order has a correlation of its own, and what followed was caused by its request
    let mut asked = None;
    for event in &mut log {
        if projections::order_book::order_of(&event.event) == Some(order) {
            event.metadata.correlation = domain::ids::CorrelationId(order.0);
            if event.event.event_type() == "PaymentRequested" {
                asked = Some(event.event_id);
            } else if event.event.event_type() == "PaymentCaptured" {
                event.metadata.causation = asked;
            }
        }
    }
    assert_eq!(first.event.event_type(), "OrderAccepted");
    for (base, _) in everywhere(&Rows::of(&log)).await {
        let (dir, order) = (base.dir.path(), order.to_string());
        replay(dir, &base.url, &["trace", &order]).ended(0).golden("trace");
        let dot = replay(dir, &base.url, &["trace", &order, "--format", "dot"]).ended(0);
        dot.golden("trace.dot");
        let told = replay(dir, &base.url, &["trace", &order, "--json"]).ended(0).json("trace");
        assert_eq!(told["commands"].as_array().unwrap().len(), 2);
        assert_eq!(told["commands"][1]["causation"], asked.unwrap().to_string());
        let unknown = uuid::Uuid::nil().to_string();
        replay(dir, &base.url, &["trace", &unknown]).ended(2);
    }
}

#[tokio::test]
async fn why_is_answered_in_plain_words() {
    let show = show();
    let rows = Rows::of(show.story.log());
    for (base, _) in everywhere(&rows).await {
        let dir = base.dir.path();
        let mut text = String::new();
        for order in [show.ana, show.bora, show.chun, show.dana] {
            for lang in ["en", "ko"] {
                let order = order.to_string();
                let said = replay(dir, &base.url, &["why", &order, "--lang", lang]).ended(0);
                text.push_str(&said.out);
            }
        }
        super::program::golden("why", &text);
        let dana = show.dana.to_string();
        let told = replay(dir, &base.url, &["why", &dana, "--json"]).ended(0).json("why");
        assert_eq!((&told["status"], &told["reason"]), (&"failed".into(), &"stock_guard".into()));
        assert_eq!(told["stock_before"][0]["remaining"], 0);
        assert_eq!(told["before_total"], 2);
        assert_eq!(told["before"][0]["order_id"], show.ana.to_string());
        let said = replay(dir, &base.url, &["why", &uuid::Uuid::nil().to_string()]).ended(2);
        assert!(said.errors.contains("the log has no order"), "{}", said.errors);
    }
}

#[tokio::test]
async fn a_viewer_is_known_by_id_and_by_pseudonym_and_so_are_refusals() {
    let mut show = show();
    let mut asked = |sku: &str, viewers: &[&str], more: u32| {
        let mut viewers: Vec<ViewerRef> =
            viewers.iter().map(|viewer| show.story.viewer_ref(viewer)).collect();
        viewers.extend((0..more).map(|number| show.story.viewer_ref(&format!("v-{number}"))));
        let mut known = Viewers::default();
        for viewer in viewers {
            known.insert(viewer);
        }
        let sku = sku.parse().expect("a name");
        let observed = vec![Observed { sku, requests: 200, units: 300, viewers: known }];
        let (second, node) = (show.story.log()[0].recorded_at, "node-1".to_owned());
        let command = SpotlightCommand::ObserveDemand { second, node, observed };
        let command = Command::Spotlight { command };
        let told = show.story.send_as(Actor::system(), show.spotlight.into(), command);
        assert_eq!(told.expect("is written down").len(), 1);
    };
    asked("CUP", &["eve", "dana"], 0);
    // more than are named
    asked("CUP", &[], 90);
    let spotlight = show.spotlight.to_string();
    let pseudonym = show.story.viewer_ref("dana").to_string();
    let (eve, late) = (show.story.viewer_ref("eve"), show.story.viewer_ref("v-89"));
    for (base, _) in everywhere(&Rows::of(show.story.log())).await {
        let dir = base.dir.path();
        for viewer in ["dana", &pseudonym] {
            let asked = ["why", "--viewer", viewer, "--spotlight", &spotlight, "--json"];
            let told = replay(dir, &base.url, &asked).ended(0).json("why_viewer");
            assert_eq!(told["orders"][0]["order_id"], show.dana.to_string());
            assert_eq!(told["refusals_are_recorded"], true);
            assert_eq!(
                (&told["refusals_total"], &told["refusals"][0]["certain"]),
                (&1.into(), &true.into())
            );
        }
        // refused before there was an order: known by the pseudonym only
        for (viewer, certain) in [(&eve, true), (&late, false)] {
            let asked = ["why", "--viewer", viewer.as_str(), "--spotlight", &spotlight, "--json"];
            let told = replay(dir, &base.url, &asked).ended(0).json("why_viewer");
            assert_eq!(told["orders"].as_array().map(Vec::len), Some(0), "{told}");
            assert_eq!(told["refusals"][0]["certain"], certain, "{told}");
            assert_eq!(told["refusals"][0]["requests"], 200);
        }
        for lang in ["en", "ko"] {
            let asked =
                ["why", "--viewer", eve.as_str(), "--spotlight", &spotlight, "--lang", lang];
            replay(dir, &base.url, &asked).ended(0).golden(&format!("why_refused_{lang}"));
        }
        for lang in ["en", "ko"] {
            let asked = ["why", "--viewer", "eve", "--spotlight", &spotlight, "--lang", lang];
            replay(dir, &base.url, &asked).ended(1).golden(&format!("why_viewer_{lang}"));
        }
        let nowhere = uuid::Uuid::nil().to_string();
        replay(dir, &base.url, &["why", "--viewer", "eve", "--spotlight", &nowhere]).ended(2);
        replay(dir, &base.url, &["why"]).ended(2);
    }
}
