//! `replay whatif`.

use domain::actor::Actor;
use domain::command::Command;
use domain::demand::{Observed, Viewers};
use domain::spotlight::SpotlightCommand;
use serde_json::{Value, json};

use super::program::replay;
use super::show::{Base, Rows, show};

#[tokio::test]
async fn history_is_played_through_changed_rules() {
    let show = show();
    let bases = Base::both(&Rows::of(show.story.log())).await;
    let file = bases[0].file("log.ndjson");
    let dir = bases[0].dir.path();
    replay(dir, &bases[0].url, &["export", &file]).ended(0);
    let ask = |database: &str, rules: &[&str]| -> Value {
        let mut all = vec!["whatif", "--json"];
        all.extend(rules);
        replay(dir, database, &all).ended(0).json("whatif")
    };
    for database in [&bases[0].url, &bases[1].url, &file] {
        let database = database.as_str();
        // nothing changed: nothing ends otherwise
        let same = ask(database, &[]);
        assert_eq!((&same["changed_total"], &same["orders"]), (&json!(0), &json!(4)), "{same:#}");
        let sale = &same["spotlights"][0];
        assert_eq!(sale["history"], sale["changed"]);
        assert_eq!(sale["history"]["sold_units"], 1, "only ana paid");
        // one cup: ana has it, chun and dana are refused; bora too
        let one = ask(database, &["--set", "limit:CUP=1"]);
        assert_eq!(one["spotlights"][0]["changed"]["sold_units"], 1, "{one:#}");
        let named: Vec<&str> = one["changed"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|order| order["order_id"].as_str().expect("an id"))
            .collect();
        assert!(named.contains(&show.chun.to_string().as_str()), "{one:#}");
        assert!(!named.contains(&show.ana.to_string().as_str()), "{one:#}");
        // a hold of a second: ana's card was charged three seconds later, and the cup was free again
        let quick = ask(database, &["--set", "hold_seconds=1"]);
        assert_eq!(quick["spotlights"][0]["changed"]["sold_units"], 1, "{quick:#}");
        let none = ask(database, &["--set", "limit:CUP=0"]);
        assert_eq!(none["spotlights"][0]["changed"]["sold_units"], 0);
        assert_eq!(none["spotlights"][0]["changed"]["refused_units"], 4);
        let rules = ["whatif", "--set", "limit:CUP=1", "--set", "per_viewer_limit=1"];
        replay(dir, database, &rules).ended(0).golden("whatif");
        let (first, again) =
            (ask(database, &["--payment-seed", "3"]), ask(database, &["--payment-seed", "3"]));
        assert_eq!(first, again);
    }
    for bad in [["--set", "price=3"], ["--set", "limit:CUP=x"], ["--payment-seed", "-1"]] {
        replay(dir, &file, &[&["whatif"][..], &bad].concat()).ended(2);
    }
    let unknown = uuid::Uuid::from_u128(7).to_string();
    replay(dir, &file, &["whatif", "--spotlight", &unknown]).ended(2);
}

#[tokio::test]
async fn what_was_asked_for_in_vain_stands_beside_it() {
    let mut show = show();
    let mut viewers = Viewers::default();
    for viewer in ["eve", "fay"] {
        viewers.insert(show.story.viewer_ref(viewer));
    }
    for units in [3, 4] {
        let sku = "CUP".parse().expect("a name");
        let observed = vec![Observed { sku, requests: 2, units, viewers: viewers.clone() }];
        let (second, node) = (show.story.log()[0].recorded_at, "node-1".to_owned());
        let command = SpotlightCommand::ObserveDemand { second, node, observed };
        let command = Command::Spotlight { command };
        let told = show.story.send_as(Actor::system(), show.spotlight.into(), command);
        assert_eq!(told.expect("is written down").len(), 1);
    }
    for base in Base::both(&Rows::of(show.story.log())).await {
        // two cups, one sold: one is left; six, one sold: five are
        for (limit, left) in [("limit:CUP=2", 1), ("limit:CUP=6", 5), ("limit:CUP=90", 7)] {
            let asked = ["whatif", "--set", limit, "--json"];
            let told = replay(base.dir.path(), &base.url, &asked).ended(0).json("whatif");
            let unmet = &told["spotlights"][0]["unmet"];
            let all = json!([{
                "sku": "CUP", "requests": 4, "units": 7, "viewers": 2, "could_have_sold": left,
            }]);
            assert_eq!(*unmet, all, "{told:#}");
        }
    }
}
