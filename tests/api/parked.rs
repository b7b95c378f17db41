//! Commands that could not be processed, as an admin looks after them: an answer of the provider with
//! a wrong amount is put aside.

use std::time::{Duration, Instant};

use ::api::payments::signature::sign;
use reqwest::Method;
use serde_json::{Value, json};

use super::server::{Answer, Server, WEBHOOK_SECRETS, host, now, order_of, token_of, viewer};

fn admin() -> String {
    token_of(super::server::SELLER, "admin", "root")
}

async fn tell(server: &Server, id: &str, order: &str, result: Value) {
    let data = json!({"order_id": order, "attempt": 1, "result": result});
    let body = json!({"type": "payment.result", "timestamp": "2026-01-01T00:00:00Z", "data": data})
        .to_string();
    let at = now().to_string();
    let told = server
        .request(&Method::POST, "/v1/payments/simulated/webhook")
        .header("webhook-id", id)
        .header("webhook-signature", sign(WEBHOOK_SECRETS[0], id, &at, body.as_bytes()))
        .header("webhook-timestamp", at)
        .body(body);
    server.send(told).await.expect(204);
}

fn captured(minor: i64) -> Value {
    json!({"outcome": "captured", "amount": {"minor": minor, "currency": "KRW"}})
}

/// An order that waits for its provider.
async fn waiting(server: &Server, spotlight: &str, key: &str) -> String {
    let mut body = order_of(spotlight, 1);
    body["payment_method"] = json!("sim_never");
    let order = server.order(&viewer("ana"), key, &body).await.expect(202).id();
    until(server, &format!("/v1/orders/{order}"), &host(), "asked", |order| {
        order["payment"]["status"] == "unknown"
    })
    .await;
    order
}

async fn until(
    server: &Server,
    path: &str,
    token: &str,
    what: &str,
    is: impl Fn(&Value) -> bool,
) -> Value {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let shown = server.get(path, token).await.expect(200).body;
        if is(&shown) {
            return shown;
        }
        assert!(Instant::now() < end, "not {what}: {shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn parked(server: &Server, count: usize) -> Vec<Value> {
    let is = |shown: &Value| shown["items"].as_array().is_some_and(|items| items.len() == count);
    let shown = until(server, "/v1/parked", &admin(), "parked", is).await;
    shown["items"].as_array().expect("items").clone()
}

async fn act(server: &Server, id: &Value, verb: &str, reason: &str) -> Answer {
    let path = format!("/v1/parked/{}/{verb}", id.as_str().expect("an id"));
    server.post(&path, &admin(), &json!({"reason": reason})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_commands_are_listed_looked_into_retried_and_discarded() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 2, json!({})).await;
    let first = waiting(&server, &spotlight, "1").await;
    let second = waiting(&server, &spotlight, "2").await;
    tell(&server, "e-1", &first, captured(1)).await;
    let found = parked(&server, 1).await;
    // what comes after it waits behind it
    tell(&server, "e-2", &first, captured(19_900)).await;
    parked(&server, 2).await;
    tell(&server, "e-3", &second, captured(2)).await;
    let found = [found, parked(&server, 3).await].concat();
    let list = server.get("/v1/parked", &admin()).await.expect(200).body;
    let groups = list["groups"].as_array().expect("groups");
    let mut counts: Vec<u64> = groups.iter().filter_map(|group| group["count"].as_u64()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2], "two wrong amounts, one behind the first");
    let one = &found[0];
    assert_eq!((&one["command"], &one["sequence"]), (&json!("tell_payment"), &json!(first)));
    assert_eq!(one["error"], "the amount is not the order's");
    let same = format!("/v1/parked?fingerprint={}", one["fingerprint"].as_str().expect("a text"));
    let same = server.get(&same, &admin()).await.expect(200).body;
    assert_eq!(same["items"].as_array().map(Vec::len), Some(2));
    let path = format!("/v1/parked/{}", one["id"].as_str().expect("an id"));
    let shown = server.get(&path, &admin()).await.expect(200).body;
    assert_eq!(shown["record"]["command"]["command"]["order_id"], json!(first));

    for token in [host(), viewer("ana"), token_of(super::server::SELLER, "auditor", "a")] {
        server.get("/v1/parked", &token).await.problem(403, "forbidden");
    }
    let stranger = token_of("other", "admin", "root");
    let theirs = server.get("/v1/parked", &stranger).await.expect(200).body;
    assert_eq!(theirs["items"], json!([]));
    server.get(&path, &stranger).await.problem(404, "not_found");
    let bare = server.post(&format!("{path}/retry"), &admin(), &json!({})).await;
    assert_eq!(bare.problem(422, "invalid").pointers(), ["/reason"]);

    // the same from the command line, beside the running server
    let onair = |arguments: &[&str]| {
        let database = format!("--database={}", server.database());
        let output = std::process::Command::new(crate::support::process::binary())
            .args(["replay", "parked", &database, "--json"])
            .args(arguments)
            .output()
            .expect("onair runs");
        let answer = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code(), answer)
    };
    let (code, listed) = onair(&[]);
    assert_eq!((code, listed["items"].as_array().map(Vec::len)), (Some(0), Some(3)));
    let id = one["id"].as_str().expect("an id");
    let (code, shown) = onair(&["show", id]);
    assert_eq!((code, &shown["fingerprint"]), (Some(0), &one["fingerprint"]));
    assert_eq!(onair(&["show", "01920000-0000-7000-8000-000000000009"]).0, Some(2));
    assert_eq!(onair(&["retry", id]).0, Some(2), "an author and a reason are needed");

    // the wrong amount is put aside once more; what waited behind it too, in its order
    let asked = act(&server, &one["id"], "retry", "the provider mended it").await.expect(200).body;
    assert_eq!(
        (&asked["action"]["verb"], &asked["action"]["author"]),
        (&json!("retry"), &json!("root"))
    );
    assert_eq!(asked["action"]["reason"], "the provider mended it");
    let gone = |shown: &Value| {
        let items = shown["items"].as_array().expect("items");
        items.len() == 3 && items.iter().all(|item| item["id"] != one["id"])
    };
    let again = until(&server, "/v1/parked", &admin(), "parked again", gone).await;
    let of_first: Vec<Value> = again["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter(|item| item["sequence"] == json!(first))
        .cloned()
        .collect();
    assert_eq!(of_first[0]["error"], "the amount is not the order's");
    // letting the second order's go ends it, and only it
    let other = again["items"].as_array().expect("items").iter();
    let other = other.clone().find(|item| item["sequence"] == json!(second)).cloned();
    let other = other.expect("it is there");
    let id = other["id"].as_str().expect("an id");
    let (code, asked) = onair(&["discard", id, "--author", "root", "--reason", "a test"]);
    assert_eq!((code, &asked["action"]["verb"]), (Some(0), &json!("discard")));
    let ended = server.ended(&second).await;
    assert_eq!((&ended["status"], &ended["reason"]), (&json!("failed"), &json!("parked")));
    parked(&server, 2).await;
    let shown = server.get(&format!("/v1/orders/{first}"), &host()).await.expect(200).body;
    assert_eq!(shown["status"], "reserved");
    act(&server, &other["id"], "discard", "again").await.problem(404, "not_found");
    server.stop().await;
}
