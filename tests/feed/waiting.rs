//! Who waits is told where it stands, on its own stream, by a server that decides for itself.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use crate::api::server::{Answer, Server, host, order_of, viewer};
use crate::support::eventually;

const WITHIN: Duration = Duration::from_mins(1);

/// A viewer with an open socket.
struct Waiter {
    name: &'static str,
    socket: Client,
}

impl Waiter {
    async fn watching(server: &Server, broadcast: &str, name: &'static str) -> Self {
        let url = format!("{}/connection/websocket", server.base.replace("http://", "ws://"));
        let mut socket = Client::at(&url).await;
        let reply = socket.connect(&viewer(name), json!({"broadcast": broadcast})).await;
        assert!(reply["connect"]["subs"][format!("user#{name}")].is_object(), "{reply}");
        Self { name, socket }
    }

    /// A call that is made again while the server says that it will answer in a moment.
    async fn call(&self, server: &Server, method: Method, path: &str, body: &Value) -> Answer {
        eventually("an answer", WITHIN, async || {
            let token = viewer(self.name);
            let answer = server.call(method.clone(), path, Some(&token), None, Some(body)).await;
            (answer.status != 503).then_some(answer)
        })
        .await
    }

    /// The next that its stream tells of the line.
    async fn told(&mut self) -> Value {
        let stream = format!("user#{}", self.name);
        self.socket.message(&stream, |data| data["type"] == "waitlist").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_in_line_is_pushed_with_every_step_up_to_the_offer() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 1, json!({})).await;
    let mut unpaid = order_of(&spotlight, 1);
    unpaid["payment_method"] = Value::Null;
    let held = server.order(&viewer("ana"), "k", &unpaid).await.expect(202).id();
    let mut bob = Waiter::watching(&server, &broadcast, "bob").await;
    let mut cat = Waiter::watching(&server, &broadcast, "cat").await;
    let line = format!("/v1/spotlights/{spotlight}/waitlist");
    let lines = json!([{"sku": "lamp", "quantity": 1}]);
    for (waiter, place) in [(&mut bob, 1), (&mut cat, 2)] {
        let joined = waiter.call(&server, Method::POST, &line, &json!({"lines": lines})).await;
        assert_eq!(joined.expect(202).body["place"], place);
        let waiting = json!({
            "type": "waitlist", "spotlight_id": spotlight, "lines": lines,
            "place": place, "status": "waiting",
        });
        assert_eq!(waiter.told().await, waiting);
    }

    let cancel = format!("/v1/orders/{held}/cancel");
    server.post(&cancel, &host(), &json!({"reason": "asked to"})).await.expect(202);
    let offered = bob.told().await;
    assert_eq!((&offered["status"], &offered["place"]), (&json!("offered"), &Value::Null));
    assert!(offered["offer_expires_at"].is_string(), "{offered}");
    let moved = cat.told().await;
    assert_eq!((&moved["status"], &moved["place"]), (&json!("waiting"), &json!(1)));
    assert_eq!(moved.get("order_id"), None);

    // the order that he was told of is his, and paying it accepts; nobody moves by that
    let order = offered["order_id"].as_str().expect("an order");
    let pay = format!("/v1/orders/{order}/payment");
    bob.call(&server, Method::POST, &pay, &json!({"method": "sim_ok"})).await.expect(202);
    assert_eq!(server.ended(order).await["viewer"], "bob");
    assert_eq!(bob.told().await["status"], "accepted");
    let left = cat.call(&server, Method::DELETE, &line, &json!({})).await.expect(200);
    assert_eq!(left.body["status"], "declined");
    let declined = cat.told().await;
    assert_eq!((&declined["status"], &declined["place"]), (&json!("declined"), &Value::Null));
    server.stop().await;
}
