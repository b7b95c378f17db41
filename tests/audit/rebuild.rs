//! `replay rebuild NAME`, `compare`, `swap` and `rollback`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use commands::clock::SystemClock;
use commands::store::{StoreOptions, open_audit};
use domain::envelope::Position;
use domain::ports::EventReader;
use projections::read_model::{self, Slot};
use projections::rebuild::{
    self, BuildOptions, Model, RebuildError, build, compare, roll_back, swap,
};
use serde_json::json;
use sqlx::Executor;

use super::program::replay;
use super::show::{Base, Rows, show};
use crate::support::events::Story;
use crate::support::eventually;

/// Orders of the long story.
const ORDERS: u32 = 300;

async fn reader_of(url: &str) -> Arc<dyn EventReader> {
    let options = StoreOptions::new(Arc::new(SystemClock));
    open_audit(url, &options).await.expect("opens").events
}

/// The live read models, as far as the log goes.
pub async fn follow(url: &str) -> read_model::ReadModels {
    let (reader, models) = (reader_of(url).await, read_model::open(url).await.expect("opens"));
    let log = reader.read(Position::START, 1_000_000).await.expect("reads");
    for model in models.in_tables() {
        model.apply(&log).await.expect("applies");
    }
    models
}

pub async fn sql(url: &str, statement: &str) {
    if url.starts_with("sqlite") {
        let pool = sqlx::SqlitePool::connect(url).await.expect("connects");
        pool.execute(statement).await.expect("runs");
        pool.close().await;
    } else {
        let pool = sqlx::PgPool::connect(url).await.expect("connects");
        pool.execute(statement).await.expect("runs");
        pool.close().await;
    }
}

fn long_story() -> Story {
    let mut story = Story::new();
    let broadcast = story.live("Friday night");
    let terms = story.terms(broadcast, &[("CUP", ORDERS)]);
    let spotlight = story.schedule(terms, true);
    for number in 0..ORDERS {
        let order = story.place(spotlight, &format!("viewer-{number}"), &[("CUP", 1)]);
        if number % 3 == 0 {
            story.capture(order);
        }
    }
    story
}

#[tokio::test]
async fn a_damaged_read_model_is_built_aside_compared_swapped_and_rolled_back() {
    let show = show();
    for base in Base::both(&Rows::of(show.story.log())).await {
        let (dir, url) = (base.dir.path(), base.url.as_str());
        let models = follow(url).await;
        let run = |arguments: &[&str]| replay(dir, url, arguments);
        run(&["compare", "order_book"]).ended(2);
        run(&["swap", "order_book"]).ended(2);
        run(&["rollback", "order_book"]).ended(2);
        for (model, table) in [("order_book", "order_book"), ("sales_board", "board_spotlights")] {
            run(&["rebuild", model, "--shadow"]).ended(0).golden(&format!("rebuild_{model}"));
            let found = run(&["compare", model, "--json"]).ended(0).json("compare");
            assert_eq!((&found["equal"], &found["live"]), (&json!(true), &found["other"]));
            sql(url, &format!("UPDATE {table} SET status = 'lost'")).await;
            let said = run(&["compare", model]).ended(1);
            let told: Vec<&str> =
                said.out.lines().filter(|line| !line.contains("checksum")).collect();
            super::program::golden(&format!("compare_{model}"), &(told.join("\n") + "\n"));
            run(&["swap", model, "--json"]).ended(0).json("swap");
            run(&["swap", model]).ended(2);
        }
        let ana = models.orders.order(show.ana).await.expect("reads").expect("is there");
        assert_eq!(ana.status, domain::views::OrderStatus::Confirmed);
        let broken = "SELECT count(*) FROM order_book WHERE status = 'lost'";
        assert_eq!(count(url, broken).await, 0);
        run(&["rollback", "order_book"]).ended(0).golden("rollback");
        assert_eq!(count(url, broken).await, 4);
        // and forth again, without a build
        run(&["rollback", "order_book"]).ended(0);
        assert_eq!(count(url, broken).await, 0);
        let done =
            run(&["rebuild", "order_book", "--jobs", "3", "--json"]).ended(0).json("rebuild");
        assert_eq!(done["swapped_at"], show.story.head().0);
    }
}

async fn count(url: &str, statement: &str) -> i64 {
    if url.starts_with("sqlite") {
        let pool = sqlx::SqlitePool::connect(url).await.expect("connects");
        return sqlx::query_scalar(statement).fetch_one(&pool).await.expect("counts");
    }
    let pool = sqlx::PgPool::connect(url).await.expect("connects");
    sqlx::query_scalar(statement).fetch_one(&pool).await.expect("counts")
}

#[tokio::test]
async fn what_has_no_read_models_and_what_is_none_is_refused() {
    let base = Base::sqlite(&Rows::of(show().story.log())).await;
    let dir = base.dir.path();
    let file = base.file("log.ndjson");
    replay(dir, &base.url, &["export", &file]).ended(0);
    replay(dir, &file, &["rebuild", "order_book"]).ended(2);
    replay(dir, &base.url, &["rebuild", "pages"]).ended(2);
    replay(dir, &base.url, &["compare", "pages"]).ended(2);
    replay(dir, &base.url, &["rebuild", "order_book", "--jobs", "0"]).ended(2);
    replay(dir, &base.url, &["rebuild", "order_book", "--jobs", "65"]).ended(2);
    replay(dir, &base.url, &["rebuild", "order_book", "--rate", "0"]).ended(2);
}

/// Nothing was ever applied there: what served before is empty, and follows like any other.
#[tokio::test]
async fn the_read_models_of_a_store_that_never_served_are_built() {
    let show = show();
    for base in Base::both(&Rows::of(show.story.log())).await {
        let run = |arguments: &[&str]| replay(base.dir.path(), &base.url, arguments).ended(0);
        for model in Model::ALL {
            run(&["rebuild", model.name()]);
        }
        let models = read_model::open(&base.url).await.expect("opens");
        let ana = models.orders.order(show.ana).await.expect("reads").expect("is there");
        assert_eq!(ana.status, domain::views::OrderStatus::Confirmed);
        run(&["rollback", "order_book"]);
        assert_eq!(models.orders.order(show.ana).await.expect("reads"), Some(ana));
        let report = run(&["reconcile", "readmodels", "--json"]).json("reconcile_readmodels");
        assert_eq!(report["repaired"], 0, "{report}");
    }
}

#[tokio::test]
async fn an_interrupted_build_goes_on_where_it_was() {
    let story = long_story();
    for base in Base::both(&Rows::of(story.log())).await {
        let reader = reader_of(&base.url).await;
        follow(&base.url).await;
        let tables = rebuild::open(&base.url, Model::OrderBook).await.expect("opens");
        let options = BuildOptions { page: 100, ..BuildOptions::new(Arc::new(SystemClock)) };
        let stop = options.stop.clone();
        let mut after_two = 2;
        let mut progress = |_, _| {
            after_two -= 1;
            if after_two == 0 {
                stop.cancel();
            }
        };
        let stopped = build(tables.as_ref(), &reader, &options, &mut progress).await;
        let error = stopped.expect_err("was stopped");
        assert!(matches!(error, RebuildError::Stopped(Position(200))), "{error}");
        let options =
            BuildOptions { page: 100, jobs: 4, ..BuildOptions::new(Arc::new(SystemClock)) };
        let built =
            build(tables.as_ref(), &reader, &options, &mut |_, _| {}).await.expect("builds");
        assert_eq!((built.from, built.position), (Position(200), story.head()));
        let found = compare(tables.as_ref(), &reader, Slot::Shadow).await.expect("compares");
        assert!(found.equal, "{found:?}");
        assert_eq!(found.live.rows, u64::from(ORDERS));
    }
}

/// Applies the log to the live read models in small steps, as a server does.
async fn serve(url: String, log: Arc<Vec<domain::envelope::Recorded>>, done: Arc<AtomicBool>) {
    let models = read_model::open(&url).await.expect("opens");
    let apply = models.in_tables();
    let mut at = [Position::START; 4];
    let end = log.last().expect("is not empty").position;
    while at.iter().any(|at| *at < end) {
        for (model, at) in apply.iter().zip(&mut at) {
            let from = usize::try_from(at.0).expect("fits");
            if let Ok(applied) = model.apply(&log[from..(from + 3).min(log.len())]).await {
                *at = applied;
            }
        }
    }
    done.store(true, Ordering::Release);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_swapped_while_events_come() {
    let story = long_story();
    for base in Base::both(&Rows::of(story.log())).await {
        let (url, log) = (base.url.clone(), Arc::new(story.log().to_vec()));
        let (reader, done) = (reader_of(&url).await, Arc::new(AtomicBool::new(false)));
        let serving = tokio::task::spawn(serve(url.clone(), log, done.clone()));
        let clock = Arc::new(SystemClock);
        let mut swaps = 0;
        while !done.load(Ordering::Acquire) || swaps == 0 {
            for model in Model::ALL {
                let tables = rebuild::open(&url, model).await.expect("opens");
                let options = BuildOptions { page: 64, ..BuildOptions::new(clock.clone()) };
                build(tables.as_ref(), &reader, &options, &mut |_, _| {}).await.expect("builds");
                swap(tables.as_ref(), &reader).await.expect("swaps");
                if swaps % 2 == 0 {
                    roll_back(tables.as_ref(), &reader).await.expect("rolls back");
                }
                swaps += 1;
            }
        }
        serving.await.expect("ends");
        follow(&url).await;
        for model in Model::ALL {
            let tables = rebuild::open(&url, model).await.expect("opens");
            let options = BuildOptions::new(clock.clone());
            build(tables.as_ref(), &reader, &options, &mut |_, _| {}).await.expect("builds");
            let found = compare(tables.as_ref(), &reader, Slot::Shadow).await.expect("compares");
            assert!(found.equal && found.position == story.head(), "{found:?}");
        }
    }
}

#[tokio::test]
async fn what_another_fold_has_written_is_built_anew() {
    let story = long_story();
    for base in Base::both(&Rows::of(story.log())).await {
        follow(&base.url).await;
        let tables = rebuild::open(&base.url, Model::SalesBoard).await.expect("opens");
        let reader = reader_of(&base.url).await;
        let options = BuildOptions::new(Arc::new(SystemClock));
        build(tables.as_ref(), &reader, &options, &mut |_, _| {}).await.expect("builds");
        // a release with another fold had begun one, and serves
        sql(&base.url, "UPDATE projection_checkpoint SET version = 99").await;
        let built =
            build(tables.as_ref(), &reader, &options, &mut |_, _| {}).await.expect("builds");
        assert_eq!(built.from, Position::START);
        swap(tables.as_ref(), &reader).await.expect("replaces what cannot be read");
        let models = read_model::open(&base.url).await.expect("opens");
        assert_eq!(models.board.checkpoint().await.expect("reads"), story.head());
        models.board.apply(story.log()).await.expect("is ours again");
    }
}

/// Waits until a statement of this database runs or waits.
async fn until_it_runs(pool: &sqlx::PgPool, like: &str) {
    eventually("the statement runs", Duration::from_mins(1), async || {
        let running: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                 AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE $1",
        )
        .bind(like)
        .fetch_one(pool)
        .await
        .expect("counts");
        (running > 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_gives_way_to_a_reader_and_asks_again() {
    let story = long_story();
    let base = Base::postgres(&Rows::of(story.log())).await;
    follow(&base.url).await;
    let reader = reader_of(&base.url).await;
    let options = BuildOptions::new(Arc::new(SystemClock));
    let tables = rebuild::open(&base.url, Model::SalesBoard).await.expect("opens");
    build(tables.as_ref(), &reader, &options, &mut |_, _| {}).await.expect("builds");
    let pool = sqlx::PgPool::connect(&base.url).await.expect("connects");
    // one that reads the tables in the other order, and longer than an attempt waits
    let mut reading = pool.begin().await.expect("begins");
    reading.execute("SELECT FROM board_broadcasts").await.expect("reads");
    let swapping = tokio::task::spawn(async move { swap(tables.as_ref(), &reader).await });
    until_it_runs(&pool, "%pg_sleep%").await;
    until_it_runs(&pool, "LOCK TABLE%").await;
    // waits for the lock that waits for it
    let second = reading.execute("SELECT FROM board_spotlights").await;
    drop(reading);
    let swapped = swapping.await.expect("ends").expect("swaps");
    assert_eq!(swapped.position, story.head(), "{second:?}");
}
