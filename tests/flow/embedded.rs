//! One process on one file: killed under load, it starts again where it stopped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rand::{Rng, SeedableRng};
use serde_json::json;
use uuid::Uuid;

use crate::support::process::{self, Onair};
use crate::support::shop::{Shop, order_of};
use crate::support::slice;

/// Kills in `scripts/soak`.
const KILLS: usize = 20;
/// Kills in `scripts/test`.
const KILLS_IN_SLICE: usize = 5;
/// Buyers under load.
const BUYERS: usize = 16;
/// Units of the sale.
const UNITS: u32 = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_nothing_accepted_is_lost() {
    let dir = tempfile::tempdir().expect("a folder");
    let secret = Uuid::new_v4().simple().to_string();
    let secret_file = dir.path().join("auth.secret");
    std::fs::write(&secret_file, &secret).expect("writes the secret");
    let settings = vec![
        ("ONAIR_DATABASE".to_owned(), format!("sqlite://{}/onair.db", dir.path().display())),
        ("ONAIR_AUTH_HS256_SECRET_FILE".to_owned(), secret_file.to_string_lossy().into_owned()),
    ];
    let mut server = Onair::new("onair", dir.path(), "", &settings);
    server.start().await;
    let shop = Shop::new("acme", secret.as_bytes());
    let broadcast = shop.live_broadcast(&server.url()).await;
    let spotlight = shop.spotlight(&server.url(), &broadcast, &[("lamp", UNITS)], json!({})).await;
    let base = Arc::new(Mutex::new(server.url()));
    let accepted = Arc::new(Mutex::new(BTreeSet::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let buyers: Vec<_> = (0..BUYERS)
        .map(|n| {
            let (shop, base, accepted, stop) =
                (shop.clone(), base.clone(), accepted.clone(), stop.clone());
            let body = order_of(&spotlight, 1, &[("lamp", 1)], "sim_ok");
            tokio::task::spawn(async move {
                let mut n = n;
                while !stop.load(Ordering::Relaxed) {
                    n += BUYERS;
                    let here = base.lock().clone();
                    let key = Uuid::new_v4().to_string();
                    let viewer = format!("viewer-{n}");
                    match shop.order(&here, &viewer, &key, &body).await {
                        Ok(answer) if answer.status == 202 => {
                            accepted.lock().insert(answer.id());
                        }
                        Ok(answer) => {
                            assert_eq!(answer.status.as_u16(), 503, "{answer:?}");
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                        Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                }
            })
        })
        .collect();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(20);
    for _ in 0..slice(KILLS_IN_SLICE, KILLS) {
        tokio::time::sleep(Duration::from_millis(random.random_range(200..1_500))).await;
        server.kill();
        server.start().await;
        *base.lock() = server.url();
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    for buyer in buyers {
        buyer.await.expect("the buyer ends");
    }
    let accepted = std::mem::take(&mut *accepted.lock());
    assert!(!accepted.is_empty(), "no order was accepted between the kills");
    for order in &accepted {
        let ended = shop.ended_order(&server.url(), order).await;
        assert_eq!(ended["status"], "confirmed", "{ended}");
    }
    server.stop().await;
    let (code, out, errors) =
        process::run_again(dir.path(), &settings, &["replay", "verify", "--json"]).await;
    let report: serde_json::Value =
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{errors}"));
    assert_eq!((code, &report["verdict"]), (0, &json!("good")), "{report:#}");
}
