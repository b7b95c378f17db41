//! A scripted show on the embedded default.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use commands::clock::SystemClock;
use domain::actor::Role;
use domain::ports::Clock;
use projections::read_model;
use projections::replay::{self, Report, VerifyOptions};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::replay::{open_reader, verdict};
use super::settings::checked;
use super::{CliError, Verdict, logging};
use crate::auth::{self, Claims, DEFAULT_SELLER};
use crate::compose::{self, Running};
use crate::config::{self, Config, Flags, Secrets};
use crate::demo::{
    PACE_RANGE, Show, Summary, UNITS_DEFAULT, UNITS_MAX, VIEWERS_DEFAULT, VIEWERS_MAX,
};

/// How long the demo's tokens are valid, in seconds.
const TOKEN_SECONDS: i64 = 8 * 3_600;
/// How long a person has to open the viewer page before the sale; none where nobody stays.
const OPENS_AFTER: Duration = Duration::from_secs(15);
/// Longest hesitation of a viewer where somebody watches the sale.
const HESITATION: Duration = Duration::from_secs(20);
/// The same, where nobody does.
const HESITATION_ONCE: Duration = Duration::from_secs(3);
/// Where the demo listens if nobody else does.
const LISTEN: &str = "127.0.0.1:8080";
/// Where the demo's probes and metrics listen if nobody else does.
const OPS_LISTEN: &str = "127.0.0.1:9464";

/// Play a scripted show with simulated viewers, then prove it from the log
///
/// Serves on the embedded default, in a folder of its own. The viewers use the same HTTP and sockets
/// as any client. Stays up after the show unless `--once`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many viewers
    #[arg(long, default_value_t = VIEWERS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(VIEWERS_MAX)))]
    viewers: u32,
    /// How many units
    #[arg(long, default_value_t = UNITS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(UNITS_MAX)))]
    units: u32,
    /// How much faster than the script, 0.1 to 100
    #[arg(long, default_value_t = 1.0, value_parser = pace)]
    pace: f64,
    /// End after the show
    #[arg(long)]
    once: bool,
    /// Keep the store in this folder, which must not have one yet: for `onair replay`
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

fn pace(text: &str) -> Result<f64, String> {
    let (slowest, fastest) = PACE_RANGE;
    text.parse::<f64>()
        .ok()
        .filter(|pace| (slowest..=fastest).contains(pace))
        .ok_or_else(|| format!("is not between {slowest} and {fastest}"))
}

pub(super) async fn run(args: Args) -> Result<Verdict, CliError> {
    let folder = Folder::make(args.keep.as_deref())?;
    let flags = Flags {
        database: Some(format!("sqlite://{}", folder.path.join(DATABASE).display())),
        listen: Some(free_or_any(LISTEN)),
        ops_listen: Some(free_or_any(OPS_LISTEN)),
        ..Flags::default()
    };
    let (mut config, backend) = checked(config::load(&flags)?)?;
    if std::env::var_os("ONAIR_LOG").is_none() {
        "warn".clone_into(&mut config.log.filter);
    }
    logging::start(&config.log)?;
    let secrets = Secrets::load(&config, &backend)?;
    let stop = CancellationToken::new();
    let running = Box::pin(compose::start(&config, &backend, &secrets)).await?;
    let played = tokio::select! {
        played = Box::pin(play(&args, &config, &secrets, &running, &stop)) => played,
        _ = tokio::signal::ctrl_c() => {
            stop.cancel();
            Err(CliError::usage("stopped before the show was over"))
        }
    };
    if played.is_ok() && !args.once {
        eprintln!("\nThe server stays up; Ctrl-C ends it.");
        // without a signal handler the demo ends as any program does
        let _ = tokio::signal::ctrl_c().await;
    }
    Box::pin(running.shut_down()).await;
    played
}

async fn play(
    args: &Args,
    config: &Config,
    secrets: &Secrets,
    running: &Running,
    stop: &CancellationToken,
) -> Result<Verdict, CliError> {
    let listen = running.listen().ok_or_else(|| CliError::usage("the demo answers no HTTP"))?;
    let base = format!("http://{listen}");
    let sign = signer(secrets)?;
    let host_token = sign(Role::Host, "demo-host").map_err(CliError::usage)?;
    let curl_token = sign(Role::Viewer, "you").map_err(CliError::usage)?;
    introduce(&base, running, &host_token, &curl_token);
    let viewer_sign = sign.clone();
    let (curl_base, token) = (base.clone(), curl_token.clone());
    let (page_base, page_token) = (base.clone(), curl_token);
    let (opens_after, hesitation) =
        if args.once { (Duration::ZERO, HESITATION_ONCE) } else { (OPENS_AFTER, HESITATION) };
    let wait = opens_after.div_f64(args.pace);
    let show = Show {
        base,
        socket: format!("ws://{listen}/connection/websocket"),
        host_token,
        viewer_token: Box::new(move |subject| viewer_sign(Role::Viewer, subject)),
        viewers: args.viewers,
        units: args.units,
        pace: args.pace,
        opens_after,
        hesitation,
        on_live: Box::new(move |broadcast| {
            eprintln!("  viewer page    {page_base}/watch/{broadcast}#token={page_token}\n");
            if !wait.is_zero() {
                eprintln!(
                    "Open the viewer page: the sale begins in {:.0} s.\n",
                    wait.as_secs_f64()
                );
            }
        }),
        on_open: Box::new(move |_, spotlight| {
            eprintln!("{}\n", curl(&curl_base, &token, spotlight));
        }),
    };
    let summary = crate::demo::run(show, stop.clone())
        .await
        .map_err(|error| CliError::unreachable("the show was not played to its end", error))?;
    let report = prove(config).await?;
    if args.json {
        println!("{}", json!({"show": summary, "verify": report}));
    } else {
        print!("{}\n{}", told(&summary, args.units), replay::render_human(&report));
    }
    let sold_out = summary.sold == i64::from(args.units);
    Ok(if sold_out { verdict(&report) } else { Verdict::Bad })
}

type Signer = Arc<dyn Fn(Role, &str) -> anyhow::Result<String> + Send + Sync>;

fn signer(secrets: &Secrets) -> Result<Signer, CliError> {
    let secret = secrets
        .tokens
        .as_ref()
        .ok_or_else(|| CliError::usage("the demo signs its own tokens: unset ONAIR_AUTH_JWKS_URL"))?
        .expose_secret()
        .to_vec();
    let expires = SystemClock.now().timestamp().saturating_add(TOKEN_SECONDS);
    Ok(Arc::new(move |role, subject| {
        let claims = Claims::new(subject.to_owned(), role, DEFAULT_SELLER.to_owned(), expires);
        Ok(auth::sign(&secret, &claims)?)
    }))
}

fn introduce(base: &str, running: &Running, host: &str, viewer: &str) {
    eprintln!("onair serves {base}");
    eprintln!("  documentation  {base}/docs");
    eprintln!("  metrics        http://{}/metrics", running.ops());
    eprintln!("  host token     {host}");
    eprintln!("  viewer token   {viewer}");
}

fn curl(base: &str, token: &str, spotlight: &str) -> String {
    let body = json!({
        "spotlight_id": spotlight,
        "offer_version": 1,
        "lines": [{"sku": "lamp-ivory", "quantity": 1}],
        "payment_method": "sim_ok",
    });
    format!(
        "The sale is open. Buy too, if you are quick:\n\n  curl -i {base}/v1/orders -H 'Authorization: Bearer {token}' \\\n    \
         -H 'Idempotency-Key: mine-1' -H 'Content-Type: application/json' \\\n    -d '{body}'"
    )
}

fn told(summary: &Summary, units: u32) -> String {
    let refused: u64 = summary.refused.values().sum();
    format!(
        "{} viewers, {units} units: {} sold in {:.1} s\n  {} orders accepted, {} confirmed, {} failed; {refused} presses refused {:?}\n  \
         answered in {:.1} ms (median), {:.1} ms (p99)\n",
        summary.viewers,
        summary.sold,
        Duration::from_millis(summary.sold_out_after_ms).as_secs_f64(),
        summary.accepted,
        summary.confirmed,
        summary.failed,
        summary.refused,
        Duration::from_micros(summary.answer_p50_us).as_secs_f64() * 1_000.0,
        Duration::from_micros(summary.answer_p99_us).as_secs_f64() * 1_000.0,
    )
}

async fn prove(config: &Config) -> Result<Report, CliError> {
    let lost = |error| CliError::unreachable("the log cannot be read", error);
    let reader = open_reader(config).await?;
    let models = read_model::open(&config.database).await.map_err(lost)?;
    let options = VerifyOptions {
        orders: Some(models.orders.as_ref()),
        board: Some(models.board.as_ref()),
        chain: true,
        ..VerifyOptions::default()
    };
    replay::verify(reader.as_ref(), options, &mut |_| {}).await.map_err(lost)
}

/// The address, if it is free; any other port of it otherwise.
fn free_or_any(address: &str) -> String {
    match std::net::TcpListener::bind(address) {
        Ok(_) => address.to_owned(),
        Err(_) => "127.0.0.1:0".to_owned(),
    }
}

/// The store's file in its folder.
const DATABASE: &str = "onair.db";

/// A folder that goes with the demo, or stays where somebody named it.
struct Folder {
    path: PathBuf,
    stays: bool,
}

impl Folder {
    fn make(keep: Option<&Path>) -> Result<Self, CliError> {
        let of_demo = || std::env::temp_dir().join(format!("onair-demo-{}", std::process::id()));
        let path = keep.map_or_else(of_demo, Path::to_path_buf);
        if keep.is_some() && path.join(DATABASE).exists() {
            return Err(CliError::usage(format!("{} has a store already", path.display())));
        }
        std::fs::create_dir_all(&path)
            .map_err(|error| CliError::usage(format!("{}: {error}", path.display())))?;
        Ok(Self { path, stays: keep.is_some() })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let path: &Path = &self.path;
        if self.stays {
            eprintln!("The store is kept: --database sqlite://{}", path.join(DATABASE).display());
        } else if let Err(error) = std::fs::remove_dir_all(path) {
            eprintln!("onair: {} is left behind: {error}", path.display());
        }
    }
}
