//! `replay at`, `diff` and `bisect`.

use super::program::{golden, replay};
use super::show::{Base, Rows, show};

async fn places(rows: &Rows) -> Vec<Base> {
    let mut places = vec![];
    for base in Base::both(rows).await {
        let file = base.file("log.zst");
        replay(base.dir.path(), &base.url, &["export", &file]).ended(0);
        places.push(Base { url: file, dir: base.dir.clone() });
        places.push(base);
    }
    places
}

#[tokio::test]
async fn the_state_is_that_of_the_moment() {
    let show = show();
    let rows = Rows::of(show.story.log());
    let (spotlight, order) = (show.spotlight.to_string(), show.ana.to_string());
    for base in places(&rows).await {
        let dir = base.dir.path();
        replay(dir, &base.url, &["at", "10"]).ended(0).golden("at");
        let state = replay(dir, &base.url, &["at", "10", "--json"]).ended(0).json("at");
        let cup = &state["spotlights"][&spotlight]["stock"]["CUP"];
        assert_eq!((&cup["held"], &cup["remaining"]), (&2.into(), &0.into()));
        // the moment between two events is that after the first of them
        let time = show.story.log()[9].recorded_at + chrono::TimeDelta::microseconds(1);
        let by_time = ["at", &time.to_rfc3339(), "--json"];
        let by_time = replay(dir, &base.url, &by_time).ended(0).json("at");
        assert_eq!(by_time["spotlights"], state["spotlights"]);
        let scoped = ["at", "99", "--json", "--order", &order, "--viewer", "ana"];
        let scoped = replay(dir, &base.url, &scoped).ended(0).json("at");
        assert_eq!(scoped["position"], rows.0.len());
        assert_eq!(scoped["order"]["status"], "confirmed");
        assert_eq!(scoped["viewer"]["sold"], 1);
        assert_eq!(scoped["viewer"]["orders"][&order], scoped["order"]);
        let alone = ["at", "99", "--json", "--spotlight", &spotlight];
        let alone = replay(dir, &base.url, &alone).ended(0).json("at");
        assert_eq!(alone["spotlights"], scoped["spotlights"]);
        let nowhere = uuid::Uuid::nil().to_string();
        replay(dir, &base.url, &["at", "3", "--spotlight", &nowhere]).ended(2);
        replay(dir, &base.url, &["at", "3", "--order", &nowhere]).ended(2);
        replay(dir, &base.url, &["at", "yesterday"]).ended(2);
    }
}

#[tokio::test]
async fn what_changed_is_named_by_path() {
    let rows = Rows::of(show().story.log());
    for base in places(&rows).await {
        let dir = base.dir.path();
        replay(dir, &base.url, &["diff", "13", "16"]).ended(1).golden("diff");
        let told = replay(dir, &base.url, &["diff", "13", "16", "--json"]).ended(1).json("diff");
        assert_eq!((&told["from"], &told["to"]), (&13.into(), &16.into()));
        assert!(!told["changes"].as_array().unwrap().is_empty());
        replay(dir, &base.url, &["diff", "7", "7"]).ended(0);
    }
}

#[tokio::test]
async fn the_first_position_where_it_was_true_is_found() {
    let show = show();
    let rows = Rows::of(show.story.log());
    let sold_out = format!(r#"spotlights["{}"].stock["CUP"].remaining == 0"#, show.spotlight);
    let any =
        r#"spotlights.exists(id, spotlights[id].stock["CUP"].remaining == 0) && !(position < 2)"#;
    let order = show.dana.to_string();
    for base in places(&rows).await {
        let dir = base.dir.path();
        for predicate in [sold_out.as_str(), any] {
            let asked = ["bisect", "--predicate", predicate, "--json"];
            let told = replay(dir, &base.url, &asked).ended(0).json("bisect");
            assert_eq!(told["hit"]["position"], 9, "{told}");
            assert_eq!(told["hit"]["event"], "StockReserved");
        }
        let said = replay(dir, &base.url, &["bisect", "--predicate", &sold_out]).ended(0);
        golden("bisect", &said.out);
        let failed =
            ["bisect", "--order", &order, "--json", "--predicate", r#"order.status == "failed""#];
        let told = replay(dir, &base.url, &failed).ended(0).json("bisect");
        assert_eq!(told["hit"]["event"], "OrderFailed");
        // it was true for a moment only, in the middle
        let moment = format!(r#"spotlights["{}"].orders.open == 3"#, show.spotlight);
        let told = replay(dir, &base.url, &["bisect", "--json", "--predicate", &moment]).ended(0);
        assert_eq!(told.json("bisect")["hit"]["event"], "OrderAccepted");
        let never = ["bisect", "--predicate", "position > 1000", "--json"];
        let told = replay(dir, &base.url, &never).ended(1).json("bisect");
        assert_eq!(
            (&told["never_evaluated"], &told["events"]),
            (&false.into(), &rows.0.len().into())
        );
        let typo = replay(dir, &base.url, &["bisect", "--predicate", "order.state == 1"]).ended(1);
        golden("bisect_never", &typo.out);
        for wrong in ["position >", "position + 1", "nobody == 1", "position == \"a\" + 1"] {
            replay(dir, &base.url, &["bisect", "--predicate", wrong]).ended(2);
        }
    }
}
