//! The script of the show.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use commands::clock::SystemClock;
use domain::ports::Clock as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::encore::Encore;
use super::screen::{Screen, Summary};
use super::shop::{SKU, Shop};
use super::viewer::{Part, Report};

/// Reports that wait for the screen at most.
const REPORTS_MAX: usize = 4_096;
/// How long the viewers may take to see the offer open once its time has come.
const OPEN_WITHIN: Duration = Duration::from_secs(30);
/// The pause between two looks at whether the offer is open.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the sale may take until the last unit is sold.
const SOLD_OUT_WITHIN: Duration = Duration::from_mins(3);
/// How long the viewers may take to connect.
const CONNECTED_WITHIN: Duration = Duration::from_mins(1);
/// How viewers pay, in twentieths: most succeed, some cards are refused.
const METHODS: [(u32, &str); 4] =
    [(16, "sim_ok"), (18, "sim_decline_hard"), (19, "sim_twice"), (20, "sim_unknown")];
/// The seed of the viewers' hesitation and cards: each show is the same crowd.
const SEED: u64 = 1;

/// Makes a token from its subject.
pub type TokenOf = Box<dyn Fn(&str) -> anyhow::Result<String> + Send + Sync>;
/// Is told of the broadcast.
pub type OnLive = Box<dyn Fn(&str) + Send + Sync>;
/// Is told of the broadcast and the spotlight.
pub type OnOpen = Box<dyn Fn(&str, &str) + Send + Sync>;

/// What the show is played on.
pub struct Show {
    /// `http://…` of the server.
    pub base: String,
    /// `ws://…/connection/websocket`.
    pub socket: String,
    /// A host's token.
    pub host_token: String,
    /// Makes a viewer's token from its subject.
    pub viewer_token: TokenOf,
    /// How many viewers.
    pub viewers: u32,
    /// How many units.
    pub units: u32,
    /// How much faster than the script.
    pub pace: f64,
    /// How long until the offer opens, at pace 1: time for a person to open the viewer page.
    pub opens_after: Duration,
    /// Longest hesitation of a viewer before the first press, at pace 1.
    pub hesitation: Duration,
    /// Told once the broadcast is live.
    pub on_live: OnLive,
    /// Told once the spotlight is open: its id and the broadcast's.
    pub on_open: OnOpen,
}

/// Plays the show until the last unit is sold; returns what the viewers did.
///
/// # Errors
/// The server cannot be reached, or the show does not sell out in time.
pub async fn run(show: Show, stop: CancellationToken) -> anyhow::Result<Summary> {
    let client = Shop::try_new(show.base.clone(), show.host_token.clone())?;
    let broadcast = prepare(&client).await?;
    (show.on_live)(&broadcast);
    let spotlight = spotlight(&client, &broadcast, &show).await?;
    let mut screen = Screen::try_new(show.units)?;
    let (sender, mut reports) = mpsc::channel(REPORTS_MAX);
    let gate = Arc::new(Semaphore::new(0));
    let (tracker, over) = (TaskTracker::new(), stop.child_token());
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    for number in 0..show.viewers {
        let part = Part {
            number,
            token: (show.viewer_token)(&format!("viewer-{number}"))?,
            socket: show.socket.clone(),
            broadcast: broadcast.clone(),
            spotlight: spotlight.clone(),
            method: method(random.random_range(0..20)),
            buys_again: show.units.saturating_mul(2) > show.viewers,
            hesitation: show.hesitation.mul_f64(random.random_range(0.0..1.0) / show.pace),
            shop: client.clone(),
            reports: sender.clone(),
            opened: gate.clone(),
            stop: over.clone(),
        };
        tracker.spawn(part.play());
    }
    drop(sender);
    tracker.close();
    let played = play(&show, &client, &broadcast, &spotlight, &gate, &mut screen, &mut reports);
    let played = tokio::select! {
        () = stop.cancelled() => bail!("stopped before the show was over"),
        played = played => played,
    };
    over.cancel();
    tracker.wait().await;
    played?;
    let summary = screen.close();
    eprintln!("\nAnd then:");
    let tell = |line: String| eprintln!("  {line}");
    let encore = Encore::new(&client, &*show.viewer_token, &tell);
    tokio::select! {
        () = stop.cancelled() => bail!("stopped before the show was over"),
        played = Box::pin(encore.play()) => played.context("the encore")?,
    }
    Ok(summary)
}

fn method(twentieth: u32) -> &'static str {
    METHODS.iter().find(|(below, _)| twentieth < *below).map_or("sim_ok", |(_, name)| name)
}

async fn prepare(shop: &Shop) -> anyhow::Result<String> {
    let body = json!({"title": "Friday night show", "currency": "KRW"});
    let broadcast = shop.host("/v1/broadcasts", "demo-broadcast", &body).await?;
    let id = text(&broadcast, "/id")?;
    shop.host(&format!("/v1/broadcasts/{id}/start"), "demo-start", &json!({})).await?;
    Ok(id)
}

async fn spotlight(client: &Shop, broadcast: &str, show: &Show) -> anyhow::Result<String> {
    let mut body = json!({
        "product": {
            "id": "lamp", "name": "Ceramic lamp",
            "original_price": {"minor": 39_900, "currency": "KRW"},
        },
        "live_price": {"minor": 19_900, "currency": "KRW"},
        "skus": [{"sku": SKU, "name": "Ivory", "limited_quantity": show.units}],
        "hold_seconds": 30,
    });
    if !show.opens_after.is_zero() {
        let opens_at = SystemClock.now() + show.opens_after.div_f64(show.pace);
        if let Some(members) = body.as_object_mut() {
            members.insert("opens_at".to_owned(), json!(opens_at));
        }
    }
    let path = format!("/v1/broadcasts/{broadcast}/products/spotlight");
    text(&client.host(&path, "demo-spotlight", &body).await?, "/id")
}

fn text(value: &Value, pointer: &str) -> anyhow::Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    Ok(found.with_context(|| format!("no {pointer} in {value}"))?.to_owned())
}

/// Waits until the offer is open.
async fn open(shop: &Shop, spotlight: &str, token: &str) -> anyhow::Result<()> {
    let path = format!("/v1/spotlights/{spotlight}");
    loop {
        let answer = shop.call(Method::GET, &path, token, None, None).await?;
        if answer.body.get("status").and_then(Value::as_str) == Some("open") {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Opens the sale once all watch, changes the price at half time, ends the show when all is sold.
async fn play(
    show: &Show,
    client: &Shop,
    broadcast: &str,
    spotlight: &str,
    gate: &Semaphore,
    screen: &mut Screen,
    reports: &mut mpsc::Receiver<Report>,
) -> anyhow::Result<()> {
    let connecting = async {
        while screen.summary().viewers < u64::from(show.viewers) {
            let report = reports.recv().await.context("every viewer left")?;
            screen.take(report);
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(CONNECTED_WITHIN, connecting)
        .await
        .context("the viewers did not connect in time")??;
    let within = OPEN_WITHIN.saturating_add(show.opens_after.div_f64(show.pace));
    tokio::time::timeout(within, open(client, spotlight, &show.host_token))
        .await
        .context("the offer did not open in time")??;
    screen.aside(|| (show.on_open)(broadcast, spotlight));
    screen.open();
    gate.add_permits(usize::try_from(show.viewers).unwrap_or(Semaphore::MAX_PERMITS));
    let half = i64::from(show.units / 2);
    let mut price_changed = false;
    let selling = async {
        while !screen.is_sold_out() {
            let report = reports.recv().await.context("every viewer left")?;
            screen.take(report);
            if !price_changed && screen.summary().sold >= half {
                price_changed = true;
                let body = json!({
                    "live_price": {"minor": 17_900, "currency": "KRW"},
                    "reason": "half time",
                });
                let path = format!("/v1/spotlights/{spotlight}/offer");
                client.host(&path, "demo-half-time", &body).await?;
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(SOLD_OUT_WITHIN, selling)
        .await
        .context("the show did not sell out in time")??;
    client.host(&format!("/v1/broadcasts/{broadcast}/end"), "demo-end", &json!({})).await?;
    Ok(())
}
