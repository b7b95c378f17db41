//! Orders that Stripe pays: against a double with a state, against `stripe-mock`, which checks every
//! request against Stripe's own OpenAPI document, and by webhooks as Stripe signs them.

use std::process::Stdio;
use std::time::{Duration, Instant};

use ::api::payments::stripe::{StripeEvent, is_signed, sign};
use ::api::payments::{ProviderClient, StripeGateway};
use domain::Timestamp;
use domain::ids::{OrderId, SpotlightId};
use domain::money::{Currency, Money};
use domain::payment::{DeclineKind, NextAction, PaymentResult};
use domain::ports::{PaymentCall, PaymentGateway};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{eventually, required};

use super::server::{Answer, PAYMENT_KEY, Server, WEBHOOK_SECRETS, host, now, order_of, viewer};
use super::stripe_double::StripeDouble;

const WITHIN: Duration = Duration::from_secs(20);
const PRICE: i64 = 19_900;

async fn selling(double: &StripeDouble) -> (Server, String) {
    let url = double.address.clone();
    let server = Server::start_with(|config| {
        "stripe".clone_into(&mut config.payments);
        config.payment.url = Some(url);
        config.payment.return_url = Some("https://shop.example/paid".to_owned());
    })
    .await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 9, json!({})).await;
    (server, spotlight)
}

async fn ordered(server: &Server, spotlight: &str, key: &str, method: &str) -> String {
    let mut body = order_of(spotlight, 1);
    body["payment_method"] = json!(method);
    server.order(&viewer("ana"), key, &body).await.expect(202).id()
}

async fn until(server: &Server, order: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + WITHIN;
    loop {
        let shown = server.get(&format!("/v1/orders/{order}"), &viewer("ana")).await.expect(200);
        if is(&shown.body) {
            return shown.body;
        }
        assert!(Instant::now() < end, "not {what}: {}", shown.body);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn tell(server: &Server, event: &Value) -> Answer {
    let body = event.to_string();
    let signature = sign(WEBHOOK_SECRETS[1], now(), body.as_bytes());
    let request = server
        .request(&Method::POST, "/v1/payments/stripe/webhook")
        .header("stripe-signature", signature)
        .body(body);
    server.send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn stripe_pays_declines_and_gives_back_by_line() {
    let double = StripeDouble::start().await;
    let (server, spotlight) = selling(&double).await;
    let paid = ordered(&server, &spotlight, "paid", "pm_card_visa").await;
    let shown = server.ended(&paid).await;
    assert_eq!(
        (&shown["status"], &shown["payment"]["provider"]),
        (&json!("confirmed"), &json!("stripe"))
    );
    assert_eq!(double.kept(), PRICE);
    let metadata = double.intents()[0]["metadata"].clone();
    assert_eq!(metadata["onair_order"], paid);
    assert_eq!(metadata["onair_spotlight"], spotlight);

    let again = ordered(&server, &spotlight, "again", "pm_declined").await;
    until(&server, &again, "declined", |order| order["payment"]["retryable"] == true).await;
    let retry = format!("/v1/orders/{again}/payment");
    server.post(&retry, &viewer("ana"), &json!({"method": "pm_card_visa"})).await.expect(202);
    assert_eq!(server.ended(&again).await["status"], "confirmed");
    assert_eq!(double.kept(), 2 * PRICE);

    // Stripe has its own trouble while the refund is asked for: it goes back once
    double.fail(2);
    let refund = format!("/v1/orders/{paid}/refund");
    let lines = json!([{"sku": "lamp", "quantity": 1}]);
    let body = json!({"reason": "broken", "lines": lines});
    server.post(&refund, &host(), &body).await.expect(202);
    until(&server, &paid, "refunded", |order| order["status"] == "refunded").await;
    assert_eq!(double.kept(), PRICE);
    let audit = server.get("/v1/orders", &host()).await.expect(200);
    assert_eq!(audit.body["items"].as_array().map(Vec::len), Some(2));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_confirms_at_stripe_and_its_webhook_confirms_the_order_once() {
    let double = StripeDouble::start().await;
    let (server, spotlight) = selling(&double).await;
    // in Stripe's own form, by a secret that only the buyer is shown; and by 3-D Secure
    for (key, method, kind) in
        [("form", "client_secret", "client_secret"), ("3ds", "pm_3ds", "redirect")]
    {
        let order = ordered(&server, &spotlight, key, method).await;
        let waits = until(&server, &order, "waiting", |order| {
            order["payment"]["status"] == "requires_action"
        })
        .await;
        assert_eq!(waits["payment"]["next_action"]["type"], kind);
        let seen = server.get(&format!("/v1/orders/{order}"), &host()).await.expect(200);
        assert_eq!(seen.body["payment"]["next_action"], Value::Null);
        let of_order = |intent: &Value| intent["metadata"]["onair_order"] == order;
        let intent = double.intents().into_iter().find(of_order).expect("its intent");
        let intent = double.acted(intent["id"].as_str().expect("an id"));
        let event = json!({"id": format!("evt_{key}"), "data": {"object": intent},
            "type": "payment_intent.amount_capturable_updated"});
        for _ in 0..3 {
            tell(&server, &event).await.expect(204);
        }
        let paid = server.ended(&order).await;
        assert_eq!(
            (&paid["status"], &paid["payment"]["attempts"]),
            (&json!("confirmed"), &json!(1))
        );
    }
    assert_eq!(double.kept(), 2 * PRICE);
    // of a payment that is not ours, and of no payment at all
    let stranger = json!({"id": "evt_x", "type": "payment_intent.succeeded", "data": {"object": {
        "id": "pi_x", "status": "succeeded", "currency": "krw", "amount_received": 5}}});
    tell(&server, &stranger).await.expect(204);
    let customer = json!({"id": "evt_y", "type": "customer.created", "data": {"object": {}}});
    tell(&server, &customer).await.expect(204);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stripe_did_not_sign_is_refused() {
    let double = StripeDouble::start().await;
    let (server, _) = selling(&double).await;
    let event = json!({"id": "evt_1", "type": "customer.created", "data": {"object": {}}});
    let body = event.to_string();
    let signed = |secret: &[u8], at| sign(secret, at, body.as_bytes());
    let good = signed(WEBHOOK_SECRETS[0], now());
    for (header, body) in [
        (None, body.clone()),
        (Some(signed(b"another", now())), body.clone()),
        (Some(signed(WEBHOOK_SECRETS[0], now() - 301)), body.clone()),
        (Some(good.clone()), format!("{body} ")),
    ] {
        let mut request = server.request(&Method::POST, "/v1/payments/stripe/webhook").body(body);
        if let Some(header) = header {
            request = request.header("stripe-signature", header);
        }
        server.send(request).await.problem(401, "signature_invalid");
    }
    let request = server
        .request(&Method::POST, "/v1/payments/stripe/webhook")
        .header("stripe-signature", signed(WEBHOOK_SECRETS[0], now()))
        .body(body.clone());
    server.send(request).await.expect(204);
    let nonsense = server
        .request(&Method::POST, "/v1/payments/stripe/webhook")
        .header("stripe-signature", sign(WEBHOOK_SECRETS[0], now(), b"[]"))
        .body("[]");
    server.send(nonsense).await.problem(400, "malformed_request");
    server.stop().await;
}

fn call(method: &str, reference: Option<&str>) -> PaymentCall {
    PaymentCall {
        order: OrderId(Uuid::from_u128(3)),
        spotlight: SpotlightId(Uuid::from_u128(2)),
        attempt: 1,
        payment: 1,
        reference: reference.map(ToOwned::to_owned),
        method: method.to_owned(),
        amount: Money::new(PRICE, Currency::try_new("KRW").expect("known")),
        held_until: None,
    }
}

fn gateway(url: &str, key: &str) -> StripeGateway {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = ProviderClient::new(url, Some(&key.to_owned().into())).expect("a client");
    StripeGateway::new(client, None)
}

#[tokio::test]
async fn each_operation_is_done_once_and_a_query_charges_nobody() {
    let double = StripeDouble::start().await;
    let stripe = gateway(&double.address, PAYMENT_KEY);
    let call = call("pm_card_visa", None);
    // asked before anything was confirmed: nothing is known, and nothing is charged
    assert_eq!(stripe.query(&call).await.unwrap(), None);
    let authorized = stripe.authorize(&call).await.unwrap();
    assert_eq!(
        authorized,
        PaymentResult::Authorized { amount: call.amount, reference: Some("pi_1".to_owned()) }
    );
    assert_eq!(stripe.authorize(&call).await.unwrap(), authorized);
    assert_eq!(stripe.query(&call).await.unwrap(), Some(authorized));
    assert_eq!(double.kept(), 0);
    let captured = PaymentResult::Captured { amount: call.amount };
    for _ in 0..2 {
        assert_eq!(stripe.capture(&call).await.unwrap(), captured);
    }
    assert_eq!(stripe.void(&call).await.unwrap(), captured, "too late");
    assert_eq!(double.intents().len(), 1);
    // a part of it goes back, by the reference that the log has
    let part = Money::new(900, call.amount.currency);
    let refund = PaymentCall { amount: part, reference: Some("pi_1".to_owned()), ..call.clone() };
    for _ in 0..2 {
        let back = stripe.refund(&refund).await.unwrap();
        assert_eq!(back, PaymentResult::Refunded { amount: part });
    }
    assert_eq!(double.kept(), PRICE - 900);

    let other = PaymentCall { attempt: 2, payment: 2, ..call.clone() };
    assert!(matches!(stripe.authorize(&other).await.unwrap(), PaymentResult::Authorized { .. }));
    assert_eq!(stripe.void(&other).await.unwrap(), PaymentResult::Voided);
    assert_eq!(stripe.void(&other).await.unwrap(), PaymentResult::Voided);
    assert_eq!(
        stripe.capture(&other).await.unwrap(),
        PaymentResult::CaptureFailed { code: "canceled".to_owned() }
    );
    let unsaid = Money::new(501, Currency::try_new("MGA").expect("known"));
    let unsaid = PaymentCall { attempt: 3, payment: 3, amount: unsaid, ..call };
    assert!(stripe.authorize(&unsaid).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_a_bank_has_in_hand_is_asked_for_again_and_made_once() {
    let double = StripeDouble::start().await;
    double.refunds_are("pending");
    let (server, spotlight) = selling(&double).await;
    let paid = ordered(&server, &spotlight, "paid", "pm_card_visa").await;
    assert_eq!(server.ended(&paid).await["status"], "confirmed");
    let refund = format!("/v1/orders/{paid}/refund");
    server.post(&refund, &host(), &json!({"reason": "broken"})).await.expect(202);
    eventually("it is asked for", WITHIN, async || (double.refunds() == 1).then_some(())).await;
    let stripe = gateway(&double.address, PAYMENT_KEY);
    let own = call("pm_card_visa", None);
    stripe.authorize(&own).await.unwrap();
    stripe.capture(&own).await.unwrap();
    let own = PaymentCall { reference: Some("pi_2".to_owned()), ..own };
    for _ in 0..2 {
        assert_eq!(stripe.refund(&own).await.unwrap(), PaymentResult::Unknown, "it is in hand");
    }
    assert_eq!(server.ended(&paid).await["status"], "confirmed", "nothing went back yet");
    double.refunds_are("succeeded");
    until(&server, &paid, "refunded", |order| order["status"] == "refunded").await;
    assert_eq!(stripe.refund(&own).await.unwrap(), PaymentResult::Refunded { amount: own.amount });
    assert_eq!((double.refunds(), double.kept()), (2, 0), "each once");
    double.refunds_are("failed");
    assert_eq!(
        stripe.refund(&own).await.unwrap(),
        PaymentResult::RefundFailed { code: "refund_failed".to_owned() }
    );
    server.stop().await;
}

struct Mock {
    _process: tokio::process::Child,
    url: String,
}

/// `stripe-mock` on a free port; `scripts/test` builds it.
async fn mock() -> Mock {
    let binary = required("ONAIR_TEST_STRIPE_MOCK");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    let process = tokio::process::Command::new(binary)
        .args(["-http-addr", &format!("127.0.0.1:{port}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("stripe-mock runs");
    let end = Instant::now() + WITHIN;
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(Instant::now() < end, "stripe-mock does not listen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Mock { _process: process, url: format!("http://127.0.0.1:{port}") }
}

/// It refuses what Stripe's document does not describe, and answers all the rest from fixtures.
#[tokio::test]
async fn stripe_mock_accepts_every_request() {
    let mock = mock().await;
    let stripe = gateway(&mock.url, "sk_test_123");
    for reference in [None, Some("pi_123")] {
        let call = call("pm_card_visa", reference);
        let accepted = |what: &str, result: &PaymentResult| {
            let refused = matches!(
                result,
                PaymentResult::CaptureFailed { .. } | PaymentResult::RefundFailed { .. }
            ) || matches!(result, PaymentResult::Declined { code, .. } if code != "idempotency_error");
            assert!(!refused, "{what}: {result:?}");
        };
        accepted("authorize", &stripe.authorize(&call).await.unwrap());
        accepted("capture", &stripe.capture(&call).await.unwrap());
        accepted("void", &stripe.void(&call).await.unwrap());
        let refunded = stripe.refund(&call).await.unwrap();
        assert!(matches!(refunded, PaymentResult::Refunded { .. }), "{refunded:?}");
        stripe.query(&call).await.unwrap();
    }
    // and it does refuse: the test above can fail
    let bad =
        PaymentCall { amount: Money::new(-1, call("", None).amount.currency), ..call("", None) };
    let refused = stripe.authorize(&bad).await;
    let body = "amount=nothing&currency=krw";
    let direct = reqwest::Client::new()
        .post(format!("{}/v1/payment_intents", mock.url))
        .bearer_auth("sk_test_123")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .expect("answers");
    assert_eq!(direct.status().as_u16(), 400, "{refused:?}");
    let stranger = gateway(&mock.url, "no key");
    assert!(stranger.authorize(&call("pm_card_visa", None)).await.is_err());
}

/// Events as Stripe sends them, signed by its own library.
#[test]
fn recorded_events_verify_and_mean_what_they_say() {
    let amount = Money::new(PRICE, Currency::try_new("KRW").expect("known"));
    let reference = Some("pi_3QxTestOnair0001".to_owned());
    let url = "https://hooks.stripe.com/3d_secure_2/hosted?merchant=acct_1".to_owned();
    let code = |code: &str| code.to_owned();
    for (name, meaning) in [
        (
            "amount_capturable_updated",
            Some(PaymentResult::Authorized { amount, reference: reference.clone() }),
        ),
        ("succeeded", Some(PaymentResult::Captured { amount })),
        (
            "payment_failed",
            Some(PaymentResult::Declined {
                kind: DeclineKind::Soft,
                code: code("insufficient_funds"),
            }),
        ),
        ("canceled", Some(PaymentResult::Voided)),
        (
            "requires_action",
            Some(PaymentResult::RequiresAction { action: NextAction::Redirect { url }, reference }),
        ),
        ("refund_updated", Some(PaymentResult::Refunded { amount })),
        ("refund_failed", Some(PaymentResult::RefundFailed { code: code("lost_or_stolen_card") })),
        ("of_another", None),
        ("of_no_interest", None),
    ] {
        let path = format!("{}/fixtures/stripe/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("reads"))
            .expect("a fixture");
        let text = |field: &str| fixture[field].as_str().expect("a text").to_owned();
        let (header, body) = (text("signature"), text("body"));
        let secrets =
            ["whsec_other".to_owned(), text("secret")].map(|secret| secret.into_bytes().into());
        let at =
            |seconds: i64| Timestamp::from_timestamp(1_767_225_600 + seconds, 0).expect("a time");
        assert!(is_signed(&secrets, &header, body.as_bytes(), at(299)), "{name}");
        assert!(!is_signed(&secrets, &header, body.as_bytes(), at(301)), "{name}");
        assert!(!is_signed(&secrets[..1], &header, body.as_bytes(), at(0)), "{name}");
        let event: StripeEvent = serde_json::from_str(&body).expect("an event");
        let told = event.told();
        assert_eq!(told.as_ref().map(|told| &told.result), meaning.as_ref(), "{name}");
        if let Some(told) = told {
            let order = "01920000-0000-7000-8000-000000000003";
            assert_eq!((told.order.to_string().as_str(), told.attempt), (order, 1), "{name}");
        }
    }
}
