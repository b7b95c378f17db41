//! The protocol, frame by frame, as no SDK would send it.

use std::num::NonZeroU32;
use std::time::Duration;

use api::live::{
    CHANNELS_MAX, COMMANDS_PER_SECOND, CONNECTIONS_PER_VIEWER_MAX, CONNECTS_BURST_SECONDS,
    INBOUND_BYTES_MAX, LiveLimits, PATH,
};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{self, Message};

use super::client::{Client, code};
use super::harness::soon;
use super::stage::{Stage, token};

async fn stage() -> Stage {
    Stage::start(LiveLimits::default()).await
}

#[tokio::test]
async fn the_connect_reply_has_everything_in_one_round_trip() {
    let stage = stage().await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    let mut client = Client::open(&stage).await;
    let data = json!({"broadcast": broadcast});
    let reply = client.connect(&token("acme", "ana", 600), data).await;
    let connect = &reply["connect"];
    assert_eq!(
        (&reply["id"], &connect["ping"], &connect["pong"]),
        (&json!(1), &json!(25), &json!(true))
    );
    assert!((590..=600).contains(&connect["ttl"].as_u64().unwrap()));
    let live = &connect["subs"][format!("live:{broadcast}")];
    assert_eq!(live["data"]["broadcast"]["title"], "생방송");
    let own = &connect["subs"]["user#ana"];
    assert_eq!((&own["offset"], &own["recoverable"]), (&json!(0), &json!(true)));
    let chat = &connect["subs"][format!("chat:{broadcast}")];
    assert_eq!((&chat["recoverable"], &chat["data"]["messages"]), (&json!(true), &json!([])));
    assert_eq!(connect["subs"].as_object().unwrap().len(), 3);
}

#[tokio::test]
async fn nobody_looks_for_orders_of_an_anonymous_viewer() {
    let stage = stage().await;
    let broadcast = stage.log.broadcast();
    let spotlight = stage.log.spotlight(broadcast, 10);
    // it cannot be; so it shows that the order book was not asked
    stage.log.order(broadcast, spotlight, "guest-1", 1);
    stage.settle().await;
    let mut client = Client::open(&stage).await;
    let token = token("acme", "guest-1", 600);
    let reply = client.connect(&token, json!({"broadcast": broadcast})).await;
    assert_eq!(reply["connect"]["subs"]["user#guest-1"]["data"], json!({"orders": []}));
}

#[tokio::test]
async fn commands_are_answered_or_refused_by_number() {
    let stage = stage().await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    let mut client = Client::open(&stage).await;
    let token = token("acme", "ana", 600);
    client.connect(&token, Value::Null).await;
    let subscribe = |channel: &str| json!({"id": 2, "subscribe": {"channel": channel}});
    let live = format!("live:{broadcast}");
    assert_eq!(client.ask(subscribe(&live)).await["subscribe"]["positioned"], true);
    assert_eq!(code(&client.ask(subscribe(&live)).await), 105);
    assert_eq!(client.ask(subscribe("user#ana")).await["subscribe"]["data"]["orders"], json!([]));
    assert_eq!(code(&client.ask(subscribe("user#ana")).await), 105);
    assert_eq!(code(&client.ask(subscribe("user#bo")).await), 103);
    assert_eq!(code(&client.ask(subscribe("chat:x")).await), 102);
    assert_eq!(code(&client.ask(subscribe(&format!("live:{}", uuid::Uuid::nil()))).await), 102);
    let unsubscribe = json!({"id": 3, "unsubscribe": {"channel": live}});
    assert_eq!(client.ask(unsubscribe).await, json!({"id": 3, "unsubscribe": {}}));
    assert!(client.ask(subscribe(&live)).await["subscribe"].is_object());
    assert_eq!(code(&client.ask(json!({"id": 4, "rpc": {"method": "x"}})).await), 104);
    assert_eq!(code(&client.ask(json!({"id": 4, "rpc": {"method": "like"}})).await), 107);
    for missing in ["publish", "presence"] {
        assert_eq!(code(&client.ask(json!({"id": 4, missing: {"channel": live}})).await), 108);
    }
    assert_eq!(client.ask(json!({"id": 5, "ping": {}})).await, json!({"id": 5, "ping": {}}));
    client.send("{\"id\":6,\"ping\":{}}\n{}\n{\"id\":7,\"ping\":{}}").await;
    assert_eq!(
        (client.frame().await["id"].clone(), client.frame().await["id"].clone()),
        (json!(6), json!(7))
    );
}

#[tokio::test]
async fn channels_end_at_the_named_limit() {
    let stage = stage().await;
    let broadcasts: Vec<_> = (0..=CHANNELS_MAX).map(|_| stage.log.broadcast()).collect();
    stage.settle().await;
    let mut client = Client::open(&stage).await;
    client.connect(&token("acme", "ana", 600), Value::Null).await;
    for (place, broadcast) in broadcasts.iter().enumerate() {
        let channel = format!("live:{broadcast}");
        let reply = client.ask(json!({"id": 9, "subscribe": {"channel": channel}})).await;
        assert_eq!(reply["subscribe"].is_object(), place < CHANNELS_MAX, "{reply}");
        assert_eq!(*code(&reply) == 106, place == CHANNELS_MAX);
    }
}

#[tokio::test]
async fn bad_messages_close_with_their_code() {
    let stage = stage().await;
    let long = format!("{{\"id\":1,\"ping\":\"{}\"}}", "x".repeat(INBOUND_BYTES_MAX));
    let forged = json!({"id": 1, "connect": {"token": "forged"}}).to_string();
    let early = json!({"id": 1, "subscribe": {"channel": "user#ana"}}).to_string();
    let cases = [
        ("no JSON".to_owned(), 3501),
        ("[]".to_owned(), 3501),
        (json!({"connect": {}}).to_string(), 3501),
        (early, 3501),
        (forged, 3500),
        (json!({"id": 1, "connect": {}}).to_string(), 3500),
        (long, 1009),
    ];
    for (message, expected) in cases {
        let mut client = Client::open(&stage).await;
        client.send(message.clone()).await;
        assert_eq!(client.closed().await, expected, "{}", &message[..message.len().min(60)]);
    }
    let mut client = Client::open(&stage).await;
    client.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(client.closed().await, 3501);
}

#[tokio::test]
async fn a_token_is_checked_in_the_connect_command() {
    let stage = stage().await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    let watch = json!({"broadcast": broadcast});
    let mut client = Client::open(&stage).await;
    assert_eq!(*code(&client.connect(&token("acme", "ana", -60), watch.clone()).await), 109);
    let reply = client.connect(&token("acme", "ana", 600), watch.clone()).await;
    assert!(reply["connect"].is_object(), "the same connection may try again");
    let mut client = Client::open(&stage).await;
    assert_eq!(*code(&client.connect(&token("other", "ana", 600), watch).await), 103);
    let nothing = json!({"broadcast": uuid::Uuid::nil()});
    assert_eq!(*code(&client.connect(&token("acme", "ana", 600), nothing).await), 102);
    let odd = json!({"broadcast": 5});
    assert_eq!(*code(&client.connect(&token("acme", "ana", 600), odd).await), 107);
}

#[tokio::test]
async fn commands_past_the_rate_are_refused() {
    let stage = stage().await;
    let mut client = Client::open(&stage).await;
    client.connect(&token("acme", "ana", 600), Value::Null).await;
    let burst = 3 * COMMANDS_PER_SECOND.get();
    let pings: Vec<String> =
        (1..=burst).map(|id| json!({"id": id, "ping": {}}).to_string()).collect();
    client.send(pings.join("\n")).await;
    let mut refused = 0;
    for _ in 1..=burst {
        let reply = client.frame().await;
        if reply["error"].is_object() {
            assert_eq!(reply["error"]["temporary"], true);
            assert_eq!(*code(&reply), 111);
            refused += 1;
        }
    }
    assert!((burst - COMMANDS_PER_SECOND.get() - 5..burst).contains(&refused), "{refused}");
    let flood = vec![json!({"id": 1, "ping": {}}).to_string(); 300].join("\n");
    client.send(flood).await;
    assert_eq!(client.closed().await, 3509);
}

#[tokio::test]
async fn a_viewer_has_so_many_connections() {
    let stage = stage().await;
    let token = token("acme", "ana", 600);
    let mut clients = vec![];
    for _ in 0..CONNECTIONS_PER_VIEWER_MAX {
        let mut client = Client::open(&stage).await;
        assert!(client.connect(&token, Value::Null).await["connect"].is_object());
        clients.push(client);
    }
    let mut client = Client::open(&stage).await;
    client.send(json!({"id": 1, "connect": {"token": token}}).to_string()).await;
    assert_eq!(client.closed().await, 3504);
}

#[tokio::test]
async fn who_does_not_answer_is_closed() {
    let limits = LiveLimits {
        ping_every: Duration::from_millis(60),
        pong_within: Duration::from_millis(30),
        connect_within: Duration::from_millis(150),
        expiry_grace: Duration::from_millis(10),
        ..LiveLimits::default()
    };
    let stage = Stage::start(limits).await;
    assert_eq!(Client::open(&stage).await.closed().await, 3502);
    let mut silent = Client::open(&stage).await;
    silent.connect(&token("acme", "ana", 600), Value::Null).await;
    assert_eq!(silent.frame().await, json!({}));
    assert_eq!(silent.closed().await, 3012);
    let mut polite = Client::open(&stage).await;
    polite.connect(&token("acme", "bo", 2), Value::Null).await;
    for _ in 0..5 {
        assert_eq!(polite.frame().await, json!({}));
        polite.send("{}").await;
    }
    let expired = soon(async {
        loop {
            match polite.socket.next().await.unwrap().unwrap() {
                Message::Close(frame) => return u16::from(frame.unwrap().code),
                _ => polite.socket.send(Message::text("{}")).await.unwrap(),
            }
        }
    });
    assert_eq!(expired.await, 3005);
}

#[tokio::test]
async fn a_full_or_leaving_node_refuses_before_the_upgrade() {
    let stage = Stage::start(LiveLimits { connections: 1, ..LiveLimits::default() }).await;
    let mut first = Client::open(&stage).await;
    first.connect(&token("acme", "ana", 600), Value::Null).await;
    let refused = async || match connect_async(stage.url()).await {
        Err(tungstenite::Error::Http(response)) => {
            assert!(response.headers().contains_key("retry-after"));
            response.status().as_u16()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(refused().await, 503);
    let (code, ()) = tokio::join!(first.closed(), stage.live.drain());
    assert_eq!(code, 3001);
    assert_eq!(refused().await, 503);
    assert_eq!(stage.live.connections(), 0);
}

/// The status and the wait that somebody is refused with who comes from an address, by the word of a
/// proxy.
async fn knock(stage: &Stage, address: &str) -> Option<(u16, u32)> {
    let mut request =
        tungstenite::client::IntoClientRequest::into_client_request(stage.url()).unwrap();
    request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
    match connect_async(request).await {
        Ok(_) => None,
        Err(tungstenite::Error::Http(response)) => {
            let wait = response.headers()["retry-after"].to_str().unwrap();
            Some((response.status().as_u16(), wait.parse().unwrap()))
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_address_and_a_node_are_entered_so_fast_and_so_often() {
    let two = NonZeroU32::new(2).unwrap();
    let burst = two.get() * CONNECTS_BURST_SECONDS.get();
    let limits = LiveLimits { address_connects_per_second: two, ..LiveLimits::default() };
    let stage = Stage::start(limits).await;
    for _ in 0..burst {
        assert_eq!(knock(&stage, "203.0.113.1").await, None);
    }
    assert_eq!(knock(&stage, "203.0.113.1").await, Some((503, 1)));
    assert_eq!(knock(&stage, "203.0.113.2").await, None);
    for _ in 0..2 * burst {
        assert_eq!(knock(&stage, "127.0.0.1").await, None, "this machine has no such limit");
    }
    let limits = LiveLimits { connects_per_second: two, ..LiveLimits::default() };
    let stage = Stage::start(limits).await;
    for _ in 0..burst {
        assert_eq!(knock(&stage, "127.0.0.1").await, None);
    }
    assert_eq!(knock(&stage, "127.0.0.1").await, Some((503, 1)));
    let stage = Stage::start(LiveLimits { address_connections: 1, ..LiveLimits::default() }).await;
    let mut request =
        tungstenite::client::IntoClientRequest::into_client_request(stage.url()).unwrap();
    request.headers_mut().insert("x-forwarded-for", "203.0.113.1".parse().unwrap());
    let (socket, _) = connect_async(request).await.unwrap();
    assert_eq!(knock(&stage, "203.0.113.1").await, Some((503, 2)));
    drop(socket);
    soon(async { while knock(&stage, "203.0.113.1").await.is_some() {} }).await;
}

#[tokio::test]
async fn another_page_is_refused() {
    let stage = stage().await;
    let host = stage.url().replace("ws://", "").replace(PATH, "");
    for (origin, admitted) in [("https://evil.example", false), (&format!("http://{host}"), true)] {
        let mut request =
            tungstenite::client::IntoClientRequest::into_client_request(stage.url()).unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        assert_eq!(connect_async(request).await.is_ok(), admitted, "{origin}");
    }
}
