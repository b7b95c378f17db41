//! `replay reconcile readmodels` and `psp`, `upcasters lint`, `fairness` and `watch`; what needs a
//! cluster is in the flows.

use commands::clock::SystemClock;
use commands::store::{StoreOptions, open_audit};
use domain::envelope::Position;
use projections::read_model;
use serde_json::{Value, json};

use super::program::replay;
use super::rebuild::{follow, sql};
use super::show::{Base, Rows, Show, show};

/// Both stores and an export of the first.
async fn places(show: &Show) -> (Vec<Base>, String) {
    let bases = Base::both(&Rows::of(show.story.log())).await;
    let file = bases[0].file("log.ndjson.zst");
    replay(bases[0].dir.path(), &bases[0].url, &["export", &file]).ended(0);
    (bases.into(), file)
}

fn entry(order: impl std::fmt::Display, attempt: u32, status: &str, minor: i64) -> String {
    let amount = json!({"minor": minor, "currency": "KRW"});
    json!({"order_id": order.to_string(), "attempt": attempt, "status": status, "amount": amount})
        .to_string()
}

#[tokio::test]
async fn the_providers_books_are_held_against_every_order() {
    let show = show();
    let (bases, file) = places(&show).await;
    let dir = bases[0].dir.path();
    let books = bases[0].file("books.ndjson");
    let psp = |database: &str, more: &[&str]| {
        replay(dir, database, &[&["reconcile", "psp", "--books", &books], more].concat())
    };
    // as it should be: ana paid; chun was declined; nobody else was asked for money
    std::fs::write(&books, entry(show.ana, 1, "captured", 19_900) + "\n").expect("writes");
    let databases = [bases[0].url.as_str(), bases[1].url.as_str(), file.as_str()];
    let open = psp(&bases[0].url, &["--json"]);
    let open = open.json("reconcile_psp")["books"]["open"].clone();
    for database in databases {
        let found = psp(database, &["--json"]).ended(0).json("reconcile_psp");
        assert_eq!((&found["books"]["differences"], &found["books"]["open"]), (&json!([]), &open));
    }
    let wrong = [
        entry(show.ana, 1, "authorized", 19_900),
        entry(show.chun, 1, "captured", 19_900),
        entry(uuid::Uuid::from_u128(7), 1, "captured", 5),
    ];
    std::fs::write(&books, wrong.join("\n")).expect("writes");
    for database in databases {
        psp(database, &[]).ended(1).golden("reconcile_psp");
    }
    std::fs::write(&books, "").expect("writes");
    let found = psp(&file, &["--json"]).ended(1).json("reconcile_psp");
    assert_eq!(found["books"]["differences"][0]["order_id"], show.ana.to_string());
    for bad in ["{", r#"{"order_id":"x"}"#] {
        std::fs::write(&books, bad).expect("writes");
        assert!(psp(&file, &[]).ended(2).errors.contains("line 1"));
    }
    psp(&file, &["--apply"]).ended(2);
    let account = ["--apply", "--author", "kim", "--ticket", "T-1", "--reason", "r"];
    std::fs::write(&books, wrong.join("\n")).expect("writes");
    // an embedded server's commands do not come from outside
    psp(&bases[0].url, &account).ended(2);
}

#[tokio::test]
async fn a_read_model_that_differs_is_built_again() {
    let show = show();
    for base in Base::both(&Rows::of(show.story.log())).await {
        follow(&base.url).await;
        let run = |more: &[&str]| {
            replay(base.dir.path(), &base.url, &[&["reconcile", "readmodels"], more].concat())
        };
        run(&["--json"]).ended(0).json("reconcile_readmodels");
        sql(&base.url, "DELETE FROM order_book WHERE status = 'confirmed'").await;
        let found = run(&["--json"]).ended(1).json("reconcile_readmodels");
        assert_eq!(found["models"][0]["differences"][0]["kind"], "missing");
        let account = ["--apply", "--author", "kim", "--ticket", "T-1", "--reason", "a lost row"];
        let found =
            run(&[&account[..], &["--json"]].concat()).ended(0).json("reconcile_readmodels");
        assert_eq!(found["repaired"], 1);
        let models = read_model::open(&base.url).await.expect("opens");
        assert!(models.orders.order(show.ana).await.expect("reads").is_some());
        run(&[]).ended(0);
        run(&["--apply", "--author", "kim", "--ticket", "T-1"]).ended(2);
        run(&["--apply", "--author", "", "--ticket", "T-1", "--reason", "r"]).ended(2);
    }
}

#[tokio::test]
async fn every_stored_version_is_decoded() {
    let show = show();
    let (bases, file) = places(&show).await;
    let dir = bases[0].dir.path();
    for database in [&bases[0].url, &bases[1].url, &file] {
        replay(dir, database, &["upcasters", "lint"]).ended(0).golden("upcasters");
    }
    for base in &bases {
        sql(&base.url, "UPDATE events SET event_version = '9' WHERE position = 3").await;
        let said = replay(dir, &base.url, &["upcasters", "lint", "--json"]).ended(1);
        let found = said.json("upcasters");
        let broken: Vec<&Value> = found["versions"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|version| version["undecodable"] != 0)
            .collect();
        assert_eq!((broken.len(), &broken[0]["version"]), (1, &json!("9")), "{broken:?}");
        assert_eq!(broken[0]["first_position"], 3);
    }
}

#[tokio::test]
async fn who_overtook_whom_is_told() {
    let show = show();
    let (bases, file) = places(&show).await;
    let dir = bases[0].dir.path();
    for database in [&bases[0].url, &bases[1].url, &file] {
        replay(dir, database, &["fairness"]).ended(0).golden("fairness");
        let spotlight = show.spotlight.to_string();
        let asked = ["fairness", "--spotlight", &spotlight, "--json"];
        let report = replay(dir, database, &asked).ended(0).json("fairness");
        assert_eq!((&report["admissions"], &report["overtaken"]), (&json!(4), &json!(0)));
        let unknown = uuid::Uuid::from_u128(7).to_string();
        replay(dir, database, &["fairness", "--spotlight", &unknown]).ended(2);
    }
    // the second had waited for three minutes when the first one came
    let options = StoreOptions::new(std::sync::Arc::new(SystemClock));
    let readers = open_audit(&bases[0].url, &options).await.expect("opens");
    let log = readers.events.read(Position::START, 1_000).await.expect("reads");
    let early = Rows::of(&log).0.into_iter().map(|mut row| {
        let id = show.chun.to_string();
        if row.event_type == b"OrderAccepted" && row.aggregate_id == id.as_bytes() {
            let mut payload: Value = serde_json::from_slice(&row.payload).expect("JSON");
            let received = &mut payload["OrderAccepted"]["received_at"];
            let time: chrono::DateTime<chrono::Utc> =
                serde_json::from_value(received.clone()).expect("a time");
            *received = json!(time - chrono::TimeDelta::minutes(3));
            row.payload = payload.to_string().into_bytes();
        }
        row
    });
    let base = Base::sqlite(&Rows(early.collect())).await;
    let report = replay(dir, &base.url, &["fairness", "--json"]).ended(0).json("fairness");
    assert_eq!(report["overtaken"], 1, "{report}");
    let pair = &report["overtakings"][0];
    assert_eq!(pair["order_id"], show.ana.to_string(), "{report}");
    assert_eq!(pair["overtaken"], show.chun.to_string(), "{report}");
}

#[tokio::test]
async fn a_look_says_what_is_under_way() {
    let show = show();
    for base in Base::both(&Rows::of(show.story.log())).await {
        follow(&base.url).await;
        let looked = replay(base.dir.path(), &base.url, &["watch", "--count", "1", "--json"]);
        let look = looked.ended(0).json("watch");
        assert_eq!(
            (&look["head"], &look["order_book_lag"]),
            (&json!(show.story.head()), &json!(0))
        );
        assert_eq!((&look["unsealed"], &look["gaps"]), (&json!(show.story.head()), &json!(0)));
        replay(base.dir.path(), &base.url, &["watch", "--count", "2"]).ended(0).golden("watch");
        replay(base.dir.path(), &base.url, &["watch", "--every", "0"]).ended(2);
    }
}
