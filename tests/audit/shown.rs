//! Read models that show something else than the log: `replay verify` names what, and where.

use serde_json::Value;

use super::program::replay;
use super::rebuild::{follow, sql};
use super::show::{Base, Rows, show};

/// Writes 0 into a row's JSON.
fn damage(url: &str, table: &str, column: &str, path: &str, id: &str) -> String {
    if url.starts_with("sqlite:") {
        let path = path.replace(',', ".");
        format!("UPDATE {table} SET {column} = json_set({column}, '$.{path}', 0) WHERE id = '{id}'")
    } else {
        let changed = format!("jsonb_set({column}::jsonb, '{{{path}}}', '0')::json");
        format!("UPDATE {table} SET {column} = {changed} WHERE id = '{id}'")
    }
}

fn i8_of(report: &Value) -> (Vec<u64>, Value) {
    let invariant = report["invariants"][7].clone();
    assert_eq!(invariant["id"], "I8");
    let violations = invariant["violations"].as_array().expect("a list");
    let at = |violation: &Value| violation["position"].as_u64().expect("a position");
    (violations.iter().map(at).collect(), invariant)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_log_does_not_mean_is_found_where_it_stands() {
    let show = show();
    let head = show.story.head().0;
    for base in Base::both(&Rows::of(show.story.log())).await {
        let (dir, url) = (base.dir.path(), base.url.as_str());
        let models = follow(url).await;
        let verify = |code| replay(dir, url, &["verify", "--json"]).ended(code).json("verify");
        let (at, sound) = i8_of(&verify(0));
        // four orders, the broadcast, its spotlight, and what they sold
        assert_eq!((at, &sound["checked"]), (vec![], &7.into()));

        let ana = models.orders.order(show.ana).await.expect("reads").expect("is there");
        sql(url, &damage(url, "order_book", "view", "total,minor", &show.ana.to_string())).await;
        assert_eq!(i8_of(&verify(1)).0, [ana.position.0]);
        sql(url, &format!("DELETE FROM order_book WHERE id = '{}'", show.ana)).await;
        let (at, invariant) = i8_of(&verify(1));
        assert_eq!(at, [ana.position.0]);
        let detail = invariant["violations"][0]["detail"].as_str().expect("a text");
        assert!(detail.contains("is not in the order book"), "{detail}");

        let id = show.spotlight.to_string();
        let view = models.board.spotlight(show.spotlight).await.expect("reads");
        let position = view.expect("is there").position.0;
        sql(url, &damage(url, "board_spotlights", "view", "hold_seconds", &id)).await;
        assert!(i8_of(&verify(1)).0.contains(&position));
        sql(url, &damage(url, "board_spotlights", "totals", "units_sold", &id)).await;
        assert!(i8_of(&verify(1)).0.contains(&head), "{:?}", i8_of(&verify(1)));

        let part = replay(dir, url, &["verify", "--from", "2", "--json"]).ended(0).json("verify");
        let (_, part) = i8_of(&part);
        assert_eq!(part["skipped"], "only a part of the log is verified");
        let away = ["verify", "--redis", "redis://127.0.0.1:1"];
        replay(dir, url, &away).ended(3);
    }
}
