//! Presses of a buyer whose earlier press is still open.

use std::time::Duration;

use domain::ids::{OrderId, SellerId, SpotlightId, ViewerId};
use futures::future::{Either, select};
use serde_json::{Value, json};
use uuid::Uuid;

use super::server::{Server, order_of, viewer};
use crate::support::eventually;
use crate::support::process::Onair;
use crate::support::shop::{self, Shop};

const WITHIN: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_press_over_the_limit_leads_to_the_open_hold_where_it_is_paid() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 5, json!({"per_viewer_limit": 1})).await;
    let (ana, mut unpaid) = (viewer("ana"), order_of(&spotlight, 1));
    unpaid["payment_method"] = Value::Null;
    let held = server.order(&ana, "k1", &unpaid).await.expect(202).id();
    let path = format!("/v1/orders/{held}");
    eventually("it is reserved", WITHIN, async || {
        let shown = server.get(&path, &ana).await.expect(200).body;
        (shown["status"] == "reserved").then_some(())
    })
    .await;
    let press = async |key: &str| {
        server.order(&ana, key, &order_of(&spotlight, 1)).await.problem(409, "over_limit")
    };
    let over = press("k2").await;
    assert_eq!(over.body["per_viewer_limit"], 1);
    let location = over.header("location").expect("her open hold").to_owned();
    assert_eq!(location, path);
    // another viewer is led to nobody's hold, but served
    let other = server.order(&viewer("bob"), "k1", &order_of(&spotlight, 1)).await.expect(202);
    assert_ne!(other.header("location"), Some(path.as_str()));
    let pay = format!("{location}/payment");
    server.post(&pay, &ana, &json!({"method": "sim_ok"})).await.expect(202);
    let ended = server.ended(&held).await;
    assert_eq!((&ended["id"], &ended["status"]), (&json!(held), &json!("confirmed")));
    assert_eq!(ended["payment"]["attempts"], 1);
    // what is paid counts as well, and there is no hold to go on with
    eventually("the hold is over", WITHIN, async || {
        press("k3").await.header("location").is_none().then_some(())
    })
    .await;
    server.stop().await;
}

/// The first press stands still between the log's acknowledgement and its answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_being_processed_says_when_to_ask_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let secret = Uuid::new_v4().simple().to_string();
    let secret_file = dir.path().join("auth.secret");
    std::fs::write(&secret_file, &secret).expect("writes the secret");
    let mut settings = vec![
        ("ONAIR_DATABASE".to_owned(), format!("sqlite://{}/onair.db", dir.path().display())),
        ("ONAIR_AUTH_HS256_SECRET_FILE".to_owned(), secret_file.to_string_lossy().into_owned()),
    ];
    let fault = (commands::faults::VARIABLE.to_owned(), "intake.after_produce=pause".to_owned());
    settings.push(fault);
    let mut server = Onair::new("stands-still", dir.path(), "", &settings);
    server.start().await;
    let (shop, base) = (Shop::new("acme", secret.as_bytes()), server.url());
    let broadcast = shop.live_broadcast(&base).await;
    let spotlight = shop.spotlight(&base, &broadcast, &[("lamp", 1)], json!({})).await;
    let body = shop::order_of(&spotlight, 1, &[("lamp", 1)], "sim_ok");
    let presses = [0, 1].map(|_| Box::pin(shop.order(&base, "ana", "k", &body)));
    let [one, other] = presses;
    let (Either::Left((answered, _)) | Either::Right((answered, _))) = select(one, other).await;
    let answered = answered.expect("answers").expect(409);
    assert_eq!(answered.code(), "idempotency_in_flight");
    let seconds = answered.header("retry-after").expect("when to ask again");
    assert!((1..=10).contains(&seconds.parse::<u32>().expect("seconds")), "{seconds}");
    // the order goes on although nobody is told of it
    let (seller, ana) = (SellerId::try_new("acme"), ViewerId::try_new("ana"));
    let lamp = SpotlightId(spotlight.parse().expect("an id"));
    let order = OrderId::derive(&seller.expect("a seller"), &ana.expect("a viewer"), lamp, "k");
    eventually("it is confirmed", WITHIN, async || {
        let shown = shop.read(&base, &format!("/v1/orders/{order}")).await;
        (shown.body["status"] == "confirmed").then_some(())
    })
    .await;
    server.kill();

    settings.pop();
    let mut server = Onair::new("goes-on", dir.path(), "", &settings);
    server.start().await;
    let base = server.url();
    let again = shop.order_again(&base, "ana", "k", &body).await.expect(202);
    assert_eq!((again.id(), &again.body["status"]), (order.to_string(), &json!("confirmed")));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    server.stop().await;
}
