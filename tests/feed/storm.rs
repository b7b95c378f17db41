//! Everybody comes again at once, and no database is asked: it is shut.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::live::LiveLimits;
use domain::ids::BroadcastId;
use projections::chat_log::MemoryChatLog;
use projections::order_book::PostgresOrderBook;
use projections::room_book::PostgresRoomBook;
use projections::sales_board::PostgresSalesBoard;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::client::Client;
use super::stage::{Kept, Stage, token};
use crate::support::fresh_database;

const VIEWERS: usize = 100;

/// How everybody says who it is, and where it stood.
async fn come(
    url: &str,
    broadcast: BroadcastId,
    places: &BTreeMap<usize, Value>,
) -> BTreeMap<usize, (Client, Value)> {
    let mut crowd = BTreeMap::new();
    for number in 0..VIEWERS {
        let mut client = Client::at(url).await;
        let subs = places.get(&number).cloned().unwrap_or_else(|| json!({}));
        let connect = json!({
            "token": token("acme", &format!("viewer-{number}"), 600),
            "data": {"broadcast": broadcast}, "subs": subs,
        });
        let reply = client.ask(json!({"id": 1, "connect": connect})).await;
        assert!(reply["connect"].is_object(), "{number}: {reply}");
        crowd.insert(number, (client, reply["connect"]["subs"].clone()));
    }
    crowd
}

/// Who connects again says this.
fn places(crowd: &BTreeMap<usize, (Client, Value)>) -> BTreeMap<usize, Value> {
    let place = |begun: &Value| {
        let subs = begun.as_object().unwrap().iter().map(|(channel, begun)| {
            let (epoch, offset) = (&begun["epoch"], &begun["offset"]);
            (channel.clone(), json!({"recover": true, "epoch": epoch, "offset": offset}))
        });
        Value::Object(subs.collect())
    };
    crowd.iter().map(|(number, (_, begun))| (*number, place(begun))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_again_asks_no_database() {
    let url = fresh_database().await;
    commands::store::migrate(&url).await.unwrap();
    let pool = PgPool::connect(&url).await.unwrap();
    let kept = Kept {
        board: Arc::new(PostgresSalesBoard::new(pool.clone())),
        orders: Arc::new(PostgresOrderBook::new(pool.clone())),
        rooms: Arc::new(PostgresRoomBook::new(pool.clone())),
        chat_log: Arc::new(MemoryChatLog::default()),
    };
    let mut stage = Stage::on(kept, LiveLimits::default()).await;
    let other = stage.second_node().await;
    let broadcast = stage.log.broadcast();
    let spotlight = stage.log.spotlight(broadcast, 10);
    let early = stage.log.order(broadcast, spotlight, "viewer-0", 1);
    stage.settle().await;
    let crowd = come(&stage.url(), broadcast, &BTreeMap::new()).await;
    // the other node knows the room too
    let _watching = Client::watching(&other, "bo", broadcast).await;
    let late = stage.log.order(broadcast, spotlight, "viewer-1", 1);
    stage.log.confirm(spotlight, early, "viewer-0", 1);
    stage.settle().await;
    let stood = places(&crowd);
    drop(crowd);
    pool.close().await;
    let own = |begun: &Value, number: usize| begun[format!("user#viewer-{number}")].clone();
    for url in [stage.url(), other] {
        // as an SDK does, that knows where it stood: it has what it missed
        let recovered = come(&url, broadcast, &stood).await;
        for (number, (_, begun)) in &recovered {
            let own = own(begun, *number);
            let missed = own["publications"].as_array().map_or(0, Vec::len);
            assert_eq!(own["recovered"], true, "{number}: {own}");
            assert_eq!(missed > 0, *number < 2, "{number}: {own}");
            assert_eq!(begun[format!("live:{broadcast}")]["data"]["broadcast"]["status"], "live");
        }
        drop(recovered);
        // as a page does that was loaded again: it has its open orders
        let anew = come(&url, broadcast, &BTreeMap::new()).await;
        for (number, (_, begun)) in &anew {
            let orders = own(begun, *number)["data"]["orders"].clone();
            let ids: Vec<_> =
                orders.as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
            let open = if *number == 1 { vec![json!(late)] } else { vec![] };
            assert_eq!(ids, open, "viewer-{number}");
        }
    }
    // somebody whom no stream has anything of does ask: so the database is shut indeed
    let mut stranger = Client::at(&stage.url()).await;
    let reply = stranger.connect(&token("acme", "new", 600), json!({"broadcast": broadcast})).await;
    assert_eq!(reply["error"]["code"], 100, "{reply}");
}
