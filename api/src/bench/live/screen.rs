//! From an accepted order to the screens of everybody: one process with all roles, and the load beside
//! it.

use std::sync::Arc;
use std::time::Duration;

use domain::actor::Role;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::crowd::{Crowd, Seen};
use super::server::{Kind, Server, UNITS, viewer};
use crate::bench::measure::{figure, median};
use crate::bench::request::{Connection, Orders};
use crate::bench::stage::{Folder, SKU, token};
use crate::bench::{BenchError, Bound, Measure, Options, Round};

/// Orders of a second.
const ORDERS_PER_SECOND: u32 = 200;
/// Connections that they come over.
const BUYERS: u32 = 20;
/// The project's bound, in milliseconds.
const P99_MAX_MILLIS: f64 = 100.0;
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// How long the last orders may take to be on every screen.
const ARRIVED_AFTER: Duration = Duration::from_secs(2);

/// Measures from the answer 202 to the frame that shows the stock without the unit.
///
/// # Errors
/// The server cannot be measured.
pub(in crate::bench) async fn run(
    options: &Options,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<Vec<Measure>, BenchError> {
    let folder = Folder::create()?;
    let (mut rounds, mut medians, mut frames, mut seen) = (vec![], vec![], vec![], vec![]);
    for round in 1..=options.rounds {
        let server = Server::start(Kind::Onair, &folder, options, false).await?;
        let crowd = Crowd::connect(server.address, server.hellos(options.viewers)?).await?;
        crowd.seen.begin_stock(UNITS.into());
        tokio::time::sleep(SETTLED_AFTER).await;
        let before = crowd.seen.counts();
        crowd.seen.note();
        let sold = sell(&server, &crowd.seen, options.round).await?;
        tokio::time::sleep(ARRIVED_AFTER).await;
        let counts = crowd.seen.counts().since(before);
        let latency = crowd.seen.noted(&[0.5, 0.99]);
        let [median, p99] = latency[..] else { return Ok(vec![]) };
        let each = figure(counts.frames)
            / figure(u64::try_from(options.viewers).unwrap_or(1))
            / (options.round + ARRIVED_AFTER).as_secs_f64();
        say(&format!(
            "round {round}: {sold} orders, median {median:.1} ms, p99 {p99:.1} ms, {each:.1} frames \
             a second to each viewer"
        ));
        rounds.push(Round { value: p99, reference: P99_MAX_MILLIS });
        medians.push(median);
        frames.push(each);
        seen.push(figure(sold) / options.round.as_secs_f64());
        crowd.leave_whole().await?;
        server.end().await?;
    }
    Ok(vec![Measure {
        bench: "screen.p99",
        unit: "ms",
        reference: "the bound",
        bound: Bound::AtMost(1.0),
        rounds,
        beside: vec![
            ("median_ms".to_owned(), median(medians)),
            ("frames_per_second".to_owned(), median(frames)),
            ("orders_per_second".to_owned(), median(seen)),
        ],
    }])
}

/// Orders for a while; tells how many were accepted.
async fn sell(server: &Server, seen: &Arc<Seen>, time: Duration) -> Result<u64, BenchError> {
    let body = json!({
        "spotlight_id": server.show.spotlight,
        "offer_version": 1,
        "lines": [{"sku": SKU, "quantity": 1}],
        "payment_method": "sim_ok",
    });
    // a viewer may order only so often and so many
    let orders = u64::from(ORDERS_PER_SECOND) * time.as_secs().saturating_add(2);
    let buyers = usize::try_from(orders).unwrap_or(usize::MAX);
    let tokens: Result<Vec<String>, BenchError> =
        (0..buyers).map(|number| token(&viewer(number), Role::Viewer)).collect();
    let run = "screen".to_owned();
    let orders =
        Arc::new(Orders { address: server.address, tokens: tokens?, body: body.to_string(), run });
    let began = Instant::now();
    let every = Duration::from_secs(1) * BUYERS / ORDERS_PER_SECOND;
    let mut tasks = JoinSet::new();
    for buyer in 0..BUYERS {
        let (orders, seen) = (orders.clone(), seen.clone());
        let mut connection = Connection::open(server.address).await?;
        let first = began + every * buyer / BUYERS;
        tasks.spawn(async move {
            let mut pace = tokio::time::interval_at(first, every);
            pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let (mut number, mut accepted) = (u64::from(buyer), 0_u64);
            while began.elapsed() < time {
                pace.tick().await;
                match connection.send(&orders, number).await? {
                    202 => {
                        seen.order_accepted();
                        accepted += 1;
                    }
                    status => {
                        return Err(BenchError::Failed(format!("an order was answered {status}")));
                    }
                }
                number += u64::from(BUYERS);
            }
            Ok(accepted)
        });
    }
    let mut sum = 0;
    while let Some(sold) = tasks.join_next().await {
        sum += sold.map_err(BenchError::failed)??;
    }
    Ok(sum)
}
