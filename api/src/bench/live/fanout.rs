//! One message to everybody, ten times a second, from a server on one core.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::crowd::{Counts, Crowd};
use super::server::{Kind, Server};
use crate::bench::measure::{figure, median};
use crate::bench::stage::Folder;
use crate::bench::{BenchError, Bound, Measure, Options, Round, child, cpu};

/// Ticks of a second.
const TICKS_PER_SECOND: u32 = 10;
/// Messages of a tick in the second load, each at its time.
const MANY: u32 = 4;
/// How long a server is left alone after its viewers came.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// How long messages that were sent may take to arrive.
const ARRIVED_AFTER: Duration = Duration::from_millis(500);
/// Quantiles that are told.
const QUANTILES: [f64; 2] = [0.5, 0.99];
/// The project's bound on the last viewer, in milliseconds.
const P99_MAX_MILLIS: f64 = 60.0;

/// What one load has shown.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    cpu_per_message: f64,
    messages_per_frame: f64,
    bytes_per_message: f64,
    delivered: f64,
    median_millis: f64,
    p99_millis: f64,
    cpu_share: f64,
}

/// Both loads of one server.
#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    one: Load,
    many: Load,
    /// Viewers that the server closed.
    gone: f64,
}

/// Measures onair beside Bun, and beside centrifuge where that was built.
///
/// # Errors
/// Bun was not installed, or a server cannot be measured.
pub(in crate::bench) async fn run(
    options: &Options,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<Vec<Measure>, BenchError> {
    if !Kind::Bun.is_there(options) {
        return Err(BenchError::Failed(format!(
            "Bun is not in {}: scripts/bench-references installs it, --references names its folder",
            options.references.display()
        )));
    }
    child::leave_core().await;
    let folder = Folder::create()?;
    let mut kinds = vec![Kind::Onair, Kind::Bun];
    kinds.extend(Some(Kind::Centrifuge).filter(|kind| kind.is_there(options)));
    let mut turns: Vec<Vec<Turn>> = vec![vec![]; kinds.len()];
    for round in 1..=options.rounds {
        for (kind, turns) in kinds.iter().zip(&mut turns) {
            let turn = measure(*kind, &folder, options).await?;
            say(&format!("round {round}, {kind:?}: {turn:.2?}"));
            turns.push(turn);
        }
    }
    Ok(measures(&turns))
}

async fn measure(kind: Kind, folder: &Folder, options: &Options) -> Result<Turn, BenchError> {
    let server = Server::start(kind, folder, options, true).await?;
    let crowd = Crowd::connect(server.address, server.hellos(options.viewers)?).await?;
    tokio::time::sleep(SETTLED_AFTER).await;
    let one = load(&server, &crowd, options, 1).await?;
    let many = load(&server, &crowd, options, MANY).await?;
    // a reference that closes whoever it thinks too slow is told of beside its figures
    let gone = figure(u64::try_from(crowd.gone()).unwrap_or(u64::MAX));
    if kind == Kind::Onair {
        crowd.leave_whole().await?;
    } else {
        crowd.leave().await;
    }
    server.end().await?;
    Ok(Turn { one, many, gone })
}

async fn load(
    server: &Server,
    crowd: &Crowd,
    options: &Options,
    per_tick: u32,
) -> Result<Load, BenchError> {
    let mut publishers = vec![];
    for number in 0..per_tick {
        publishers.push(server.publisher(usize::try_from(number).unwrap_or(0)).await?);
    }
    let mut pace = tokio::time::interval(Duration::from_secs(1) / (TICKS_PER_SECOND * per_tick));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (began, before) = (Instant::now(), crowd.seen.counts());
    let before_cpu = cpu::of_process(server.pid()).unwrap_or_default();
    crowd.seen.note();
    let mut sent = 0_u64;
    while began.elapsed() < options.round {
        for publisher in &mut publishers {
            pace.tick().await;
            publisher.send(crowd.seen.now()).await?;
            sent += 1;
        }
    }
    tokio::time::sleep(ARRIVED_AFTER).await;
    let took = began.elapsed();
    let busy = cpu::of_process(server.pid()).unwrap_or_default().saturating_sub(before_cpu);
    let Counts { frames, messages, bytes } = crowd.seen.counts().since(before);
    let latency = crowd.seen.noted(&QUANTILES);
    let quantile = |place: usize| latency.get(place).copied().unwrap_or_default();
    let viewers = u64::try_from(options.viewers).unwrap_or(u64::MAX);
    let each = |sum: f64| sum / figure(messages).max(1.0);
    Ok(Load {
        cpu_per_message: each(busy.as_secs_f64() * 1e6),
        messages_per_frame: figure(messages) / figure(frames).max(1.0),
        bytes_per_message: each(figure(bytes)),
        delivered: figure(messages) / figure(sent * viewers).max(1.0),
        median_millis: quantile(0),
        p99_millis: quantile(1),
        cpu_share: busy.as_secs_f64() / took.as_secs_f64(),
    })
}

fn measures(turns: &[Vec<Turn>]) -> Vec<Measure> {
    let [ours, bun, others @ ..] = turns else { return vec![] };
    let mut measures = vec![
        beside("fanout.cpu_per_frame", "Bun publish", 1.1, (ours, bun), |turn| turn.one),
        beside("fanout.cpu_per_message_of_4", "Bun publish", 0.4, (ours, bun), |turn| turn.many),
        Measure {
            bench: "fanout.p99",
            unit: "ms",
            reference: "the bound",
            bound: Bound::AtMost(1.0),
            rounds: ours
                .iter()
                .map(|turn| Round { value: turn.one.p99_millis, reference: P99_MAX_MILLIS })
                .collect(),
            beside: vec![
                ("bun_p99_ms".to_owned(), median(bun.iter().map(|turn| turn.one.p99_millis))),
                ("median_ms".to_owned(), median(ours.iter().map(|turn| turn.one.median_millis))),
                ("p99_of_4_ms".to_owned(), median(ours.iter().map(|turn| turn.many.p99_millis))),
            ],
        },
    ];
    if let [centrifuge, ..] = others {
        let name = "Go centrifuge";
        measures.push(beside(
            "fanout.cpu_per_frame_vs_centrifuge",
            name,
            0.5,
            (ours, centrifuge),
            |turn| turn.one,
        ));
        measures.push(beside(
            "fanout.cpu_per_message_of_4_vs_centrifuge",
            name,
            0.5,
            (ours, centrifuge),
            |turn| turn.many,
        ));
    }
    measures
}

fn beside(
    bench: &'static str,
    reference: &'static str,
    bound: f64,
    (ours, theirs): (&[Turn], &[Turn]),
    load: fn(&Turn) -> Load,
) -> Measure {
    let rounds = ours.iter().zip(theirs).map(|(ours, theirs)| Round {
        value: load(ours).cpu_per_message,
        reference: load(theirs).cpu_per_message,
    });
    let of =
        |turns: &[Turn], look: fn(Load) -> f64| median(turns.iter().map(|turn| look(load(turn))));
    let both = |name: &str, look: fn(Load) -> f64| {
        [
            (format!("subject_{name}"), of(ours, look)),
            (format!("reference_{name}"), of(theirs, look)),
        ]
    };
    let gone = median(theirs.iter().map(|turn| turn.gone));
    Measure {
        bench,
        unit: "µs/message",
        reference,
        bound: Bound::AtMost(bound),
        rounds: rounds.collect(),
        beside: [
            both("messages_per_frame", |load| load.messages_per_frame),
            both("bytes_per_message", |load| load.bytes_per_message),
            both("delivered", |load| load.delivered),
            both("p99_ms", |load| load.p99_millis),
            both("cpu_share", |load| load.cpu_share),
        ]
        .into_iter()
        .flatten()
        .chain([("reference_closed_viewers".to_owned(), gone)])
        .collect(),
    }
}
