//! What a restart must not lose.

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::server::{SELLER, Server, order_of, token_of, viewer};
use crate::support::eventually;

/// How long the feed may take after a start.
const TOLD_WITHIN: Duration = Duration::from_mins(1);

/// Enough to meet a lock that is let go of too late.
const RESTARTS: usize = 12;

/// The answer to a connect command, and the next one to a call if there is one.
async fn asked(server: &Server, token: &str, broadcast: &str, call: Option<Value>) -> [Value; 2] {
    let url = server.base.replacen("http", "ws", 1) + "/connection/websocket";
    let (mut socket, _) = connect_async(url).await.expect("connects");
    let data = json!({"broadcast": broadcast});
    let command = json!({"id": 1, "connect": {"token": token, "data": data}}).to_string();
    socket.send(Message::text(command)).await.expect("sends");
    let answer = tokio::time::timeout(TOLD_WITHIN, socket.next()).await.expect("in time");
    let text = answer.expect("open").expect("a message").into_text().expect("text");
    let first = text.lines().next().expect("a line");
    let connected = serde_json::from_str(first).expect("JSON");
    let Some(call) = call else { return [connected, Value::Null] };
    let command = json!({"id": 2, "rpc": call}).to_string();
    socket.send(Message::text(command)).await.expect("sends");
    let answer = async {
        loop {
            let message = socket.next().await.expect("open").expect("a message");
            let text = message.into_text().expect("text");
            let answers = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
            if let Some(answer) = answers.into_iter().find(|answer: &Value| answer["id"] == 2) {
                return answer;
            }
        }
    };
    [connected, tokio::time::timeout(TOLD_WITHIN, answer).await.expect("in time")]
}

/// The answer to a connect command.
async fn connected(server: &Server, token: &str, broadcast: &str) -> Value {
    let [connected, _] = asked(server, token, broadcast, None).await;
    connected
}

#[tokio::test(flavor = "multi_thread")]
async fn likes_and_viewers_outlive_a_restart() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let like = json!({"method": "like", "data": {"broadcast": broadcast, "count": 7}});
    let [_, liked] = asked(&server, &viewer("ana"), &broadcast, Some(like)).await;
    assert_eq!(liked["rpc"]["data"], json!({"like_count": 7}));
    let path = format!("/v1/broadcasts/{broadcast}/metrics");
    let host = token_of(SELLER, "host", "x");
    let numbers = async |server: &Server| {
        let numbers = server.get(&path, &host).await.expect(200).body;
        ["like_count", "viewers_peak", "viewers_distinct"].map(|name| numbers[name].clone())
    };
    let server = server.restart().await;
    assert_eq!(numbers(&server).await[0], 7);
    let answer = connected(&server, &viewer("bo"), &broadcast).await;
    let live = &answer["connect"]["subs"][format!("live:{broadcast}")]["data"];
    assert_eq!(live["like_count"], 7);
    eventually("somebody was counted", TOLD_WITHIN, async || {
        let [likes, peak, distinct] = numbers(&server).await;
        (likes == 7 && peak.as_u64() >= Some(1) && distinct.as_u64() >= Some(1)).then_some(())
    })
    .await;
    server.stop().await;
}

/// Killed between the commit of an event and its step of the order book: the books catch up, and
/// the viewers' streams must hold what these lacked, or a viewer who read them meanwhile waits for
/// ever.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_read_models_lacked_at_a_crash_is_still_told() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 3, json!({})).await;
    let order = server.order(&viewer("ana"), "k", &order_of(&spotlight, 1)).await.expect(202);
    assert_eq!(server.ended(&order.id()).await["status"], "confirmed");
    let server = server
        .restart_after(async |database| {
            let mut file = SqliteConnection::connect(database).await.expect("opens");
            for lost in [
                "DELETE FROM order_book",
                "DELETE FROM projection_checkpoint WHERE name = 'order_book'",
            ] {
                let done = sqlx::query(lost).execute(&mut file).await.expect("deletes");
                assert_eq!(done.rows_affected(), 1, "{lost}");
            }
            file.close().await.expect("closes");
        })
        .await;
    // reserved, authorised, confirmed
    eventually("the steps of the order", TOLD_WITHIN, async || {
        let answer = connected(&server, &viewer("ana"), &broadcast).await;
        let own = &answer["connect"]["subs"]["user#ana"];
        own["offset"].as_u64().filter(|offset| *offset >= 3)
    })
    .await;
    server.stop().await;
}

/// A lease that nobody gave back would hold the next process up until it ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_takes_its_roles_over_at_once() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 9, json!({})).await;
    let first = server.order(&viewer("ana"), "k1", &order_of(&spotlight, 1)).await.expect(202);
    server.ended(&first.id()).await;
    let server = server.restart().await;
    let order = server.order(&viewer("ana"), "k2", &order_of(&spotlight, 1)).await.expect(202);
    let pressed = Instant::now();
    assert_eq!(server.ended(&order.id()).await["status"], "confirmed");
    let lease = Duration::from_secs(commands::store::LEASE_SECONDS.unsigned_abs());
    assert!(pressed.elapsed() < lease / 2, "paid after {:?}", pressed.elapsed());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_free_once_its_server_has_stopped() {
    let mut server = Server::start().await;
    for _ in 0..RESTARTS {
        server = server.restart().await;
    }
    server.stop().await;
}
