//! Tokens that an identity provider signs, against a key server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ::api::auth::{Auth, Claims, Jwks, JwksTimes, Keys, TokenError};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use commands::intake::ReceiptSigner;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};

use super::server::{SECRET, SELLER, Server, now, role};
use crate::support::eventually;

const KEEP: Duration = Duration::from_millis(300);
const PAUSE: Duration = Duration::from_millis(100);
const SOON: Duration = Duration::from_secs(5);
/// How an Ed25519 seed begins as PKCS#8.
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The provider's key server; what it does can be changed.
#[derive(Clone, Default)]
struct Provider {
    keys: Arc<Mutex<Vec<Value>>>,
    down: Arc<AtomicBool>,
    stalled: Arc<AtomicBool>,
    fetches: Arc<AtomicUsize>,
}

impl Provider {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let url = format!("http://{}/jwks.json", listener.local_addr().expect("an address"));
        let provider = self.clone();
        let answer = get(move || async move {
            provider.fetches.fetch_add(1, Ordering::SeqCst);
            if provider.stalled.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            if provider.down.load(Ordering::SeqCst) {
                return Err(StatusCode::INTERNAL_SERVER_ERROR);
            }
            Ok(axum::Json(json!({"keys": provider.keys.lock().clone()})))
        });
        let router = Router::new().route("/jwks.json", answer);
        tokio::task::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn publish(&self, keys: &[Value]) {
        *self.keys.lock() = keys.to_vec();
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

fn public(seed: u8) -> [u8; 32] {
    ReceiptSigner::from_seed(&[seed; 32]).public_key()
}

fn jwk(kid: &str, seed: u8) -> Value {
    let x = URL_SAFE_NO_PAD.encode(public(seed));
    json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x})
}

fn with(mut jwk: Value, member: &str, value: &str) -> Value {
    jwk[member] = json!(value);
    jwk
}

fn claims(ttl: i64) -> Claims {
    Claims::new("ana".to_owned(), role("viewer"), SELLER.to_owned(), now() + ttl)
}

fn token(kid: Option<&str>, seed: u8) -> String {
    let key = EncodingKey::from_ed_der(&[&PKCS8[..], &[seed; 32]].concat());
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::EdDSA) };
    jsonwebtoken::encode(&header, &claims(600), &key).expect("signs")
}

async fn auth(provider: &Provider) -> Auth {
    let times = JwksTimes { keep: KEEP, pause: PAUSE };
    Auth::new(Keys::Jwks(Jwks::with(provider.start().await, times).expect("a client")), SECRET)
}

fn is_invalid<T>(outcome: &Result<T, TokenError>) -> bool {
    matches!(outcome, Err(TokenError::Invalid(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_and_unknown_ones_are_free_to_make() {
    let provider = Provider::default();
    provider.publish(&[jwk("a", 1)]);
    let auth = auth(&provider).await;
    let caller = auth.verify(&token(Some("a"), 1)).await.expect("valid");
    assert_eq!((caller.seller.as_str(), caller.subject.as_str()), (SELLER, "ana"));
    auth.verify(&token(None, 1)).await.expect("there is only one key");
    assert!(is_invalid(&auth.verify(&token(Some("a"), 2)).await), "signed by another key");
    assert_eq!(provider.fetches(), 1);
    for n in 0..200 {
        assert!(is_invalid(&auth.verify(&token(Some(&format!("made-up-{n}")), 1)).await));
    }
    assert!(provider.fetches() < 20, "{} fetches", provider.fetches());
    // both keys for a while, then only the new one
    provider.publish(&[jwk("a", 1), jwk("b", 2)]);
    eventually("the new key is known", SOON, async || {
        auth.verify(&token(Some("b"), 2)).await.ok().map(drop)
    })
    .await;
    auth.verify(&token(Some("a"), 1)).await.expect("still published");
    assert!(is_invalid(&auth.verify(&token(None, 1)).await), "which of the two?");
    provider.publish(&[jwk("b", 2)]);
    eventually("the old key is forgotten", SOON, async || {
        is_invalid(&auth.verify(&token(Some("a"), 1)).await).then_some(())
    })
    .await;
    auth.verify(&token(Some("b"), 2)).await.expect("valid");
}

#[tokio::test(flavor = "multi_thread")]
async fn known_keys_outlive_their_server_and_nobody_waits_for_it() {
    let provider = Provider::default();
    provider.publish(&[jwk("a", 1)]);
    provider.down.store(true, Ordering::SeqCst);
    let auth = auth(&provider).await;
    let first = auth.verify(&token(Some("a"), 1)).await;
    assert_eq!(first.err(), Some(TokenError::KeysUnavailable));
    provider.down.store(false, Ordering::SeqCst);
    eventually("the keys are there", SOON, async || {
        auth.verify(&token(Some("a"), 1)).await.ok().map(drop)
    })
    .await;
    for fault in [&provider.down, &provider.stalled] {
        fault.store(true, Ordering::SeqCst);
        let before = provider.fetches();
        let until = Instant::now() + SOON;
        while provider.fetches() == before {
            let asked = Instant::now();
            auth.verify(&token(Some("a"), 1)).await.expect("its key is known");
            assert!(asked.elapsed() < Duration::from_secs(1), "waited for the key server");
            assert!(Instant::now() < until, "the keys are not looked for again");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        auth.verify(&token(Some("a"), 1)).await.expect("its key is known");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_used_only_for_what_it_is_for() {
    let provider = Provider::default();
    provider.publish(&[
        jwk("a", 1),
        with(jwk("encrypts", 1), "use", "enc"),
        with(jwk("other", 1), "alg", "ES256"),
        json!({"kty": "oct", "kid": "shared", "k": URL_SAFE_NO_PAD.encode(SECRET)}),
    ]);
    let auth = auth(&provider).await;
    auth.verify(&token(Some("a"), 1)).await.expect("valid");
    for kid in ["encrypts", "other"] {
        assert!(is_invalid(&auth.verify(&token(Some(kid), 1)).await), "{kid}");
    }
    // a public key, or one that is published, is no secret
    for (kid, secret) in [("a", &public(1)[..]), ("shared", SECRET), ("a", SECRET)] {
        let header = Header { kid: Some(kid.to_owned()), ..Header::default() };
        let forged = jsonwebtoken::encode(&header, &claims(600), &EncodingKey::from_secret(secret));
        assert!(is_invalid(&auth.verify(&forged.expect("signs")).await), "{kid}");
    }
    let unsigned = token(Some("a"), 1);
    let (head, _) = unsigned.rsplit_once('.').expect("a signature");
    assert!(is_invalid(&auth.verify(&format!("{head}.")).await));
    let header = Header { kid: Some("a".to_owned()), ..Header::new(Algorithm::EdDSA) };
    let key = EncodingKey::from_ed_der(&[&PKCS8[..], &[1; 32]].concat());
    let expired = jsonwebtoken::encode(&header, &claims(-60), &key).expect("signs");
    assert_eq!(auth.verify(&expired).await.err(), Some(TokenError::Expired));
    let mut foreign = claims(600);
    foreign.aud = "another".to_owned();
    let foreign = jsonwebtoken::encode(&header, &foreign, &key).expect("signs");
    assert!(is_invalid(&auth.verify(&foreign).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_that_it_has_no_keys_yet() {
    let provider = Provider::default();
    provider.publish(&[jwk("a", 1)]);
    provider.down.store(true, Ordering::SeqCst);
    let server = Server::trusting(&provider.start().await).await;
    let away = server.get("/v1/orders", &token(Some("a"), 1)).await.problem(503, "unavailable");
    assert!(away.header("retry-after").is_some());
    provider.down.store(false, Ordering::SeqCst);
    // the pause between two fetches is that of a real server
    let within = Duration::from_secs(2 * ::api::auth::PAUSE_SECONDS);
    eventually("the keys are fetched", within, async || {
        let request = server.request(&Method::GET, "/v1/orders").bearer_auth(token(Some("a"), 1));
        (server.send(request).await.status == 200).then_some(())
    })
    .await;
    // the development secret signs nothing here
    server.get("/v1/orders", &super::server::viewer("ana")).await.problem(401, "token_invalid");
    server.stop().await;
}
