//! `onair replay shred`: what names a person is made unreadable, and what is left is listed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use commands::clock::SystemClock;
use commands::store;
use domain::envelope::Position;
use domain::ids::{SellerId, ViewerId};
use domain::ports::Clock;
use domain::shredding::Shredding;
use projections::purge::{self, Copies, Person};
use projections::replay::{self, SubjectInLog};
use projections::stock_counter::RedisAcceptedOrders;
use projections::viewer_feed::shape::{chat_channel, user_channel};
use serde::Serialize;

use super::print_json;
use super::progress::Bar;
use super::pseudonym::pseudonym_of;
use super::rebuild::Shown;
use super::repair::RepairArgs;
use super::source::{self, Source, nodes};
use crate::auth::DEFAULT_SELLER;
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::config::{self, Backend, Config};

/// Positions that an answer names; the rest is counted.
const POSITIONS_KEPT_MAX: usize = 100;

/// Seconds that the read models may take to apply what the log had when it was looked through.
const CAUGHT_UP_SECONDS: u64 = 30;
const LOOKS_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What this program cannot look into.
const ELSEWHERE: [&str; 5] = [
    "the command and event topics hold what was sent until their retention ends",
    "backups, replicas' archives and write-ahead logs of the database hold keys until they expire",
    "exports hold sealed fields, and their .keys files open them until they are deleted",
    "receivers of webhooks and of the event topic have what they were sent",
    "the payment provider has what the buyer gave it",
];

/// Destroy the keys of what names a person, and forget the copies
///
/// Without --apply it only tells what would go. The log keeps every byte: its chain, its seals and
/// its proofs stay valid. An embedded store must not be served meanwhile.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct ShredArgs {
    #[command(flatten)]
    who: WhoArgs,
    #[command(flatten)]
    repair: RepairArgs,
    /// Seconds that read models which are behind may take to catch up; then nothing is done
    #[arg(long, value_name = "SECONDS", default_value_t = CAUGHT_UP_SECONDS)]
    wait: u64,
    #[command(subcommand)]
    verify: Option<ShredTool>,
}

#[derive(Debug, clap::Subcommand)]
enum ShredTool {
    /// List what can still be read about a person, and where
    ///
    /// Exits with 1 where something of it can be read.
    Verify(WhoArgs),
}

#[derive(Debug, clap::Args)]
struct WhoArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// The person: the subject of the tokens, or the pseudonym (`viewer_ref`)
    #[arg(value_name = "SUBJECT", required = true)]
    subject: Option<String>,
    /// The seller whose viewer it is
    #[arg(long, default_value = DEFAULT_SELLER)]
    seller: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    seller: SellerId,
    subject: String,
    applied: bool,
    pseudonyms: BTreeSet<String>,
    orders: usize,
    open_orders: Vec<String>,
    waiting: Vec<String>,
    log: LogAnswer,
    copies: Copies,
    parked: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<RedisAnswer>,
    shreddings: Vec<Shredding>,
    elsewhere: [&'static str; ELSEWHERE.len()],
}

#[derive(Serialize)]
struct LogAnswer {
    readable: usize,
    plain: usize,
    shredded: u64,
    readable_positions: Vec<u64>,
    plain_positions: Vec<u64>,
}

#[derive(Clone, Copy, Serialize)]
struct RedisAnswer {
    accepted_orders_forgotten: u64,
    channels_forgotten: usize,
}

pub(super) async fn shred(args: ShredArgs) -> Result<Verdict, CliError> {
    if let Some(ShredTool::Verify(who)) = &args.verify {
        return verify(who).await;
    }
    let who = &args.who;
    let repair = args.repair.repair()?;
    if repair.is_some() {
        source::refuse_read_only(&config::load(&who.settings.flags())?).await?;
    }
    let looked = Looked::at(who, []).await?;
    let nothing = looked.found.readable.is_empty() && looked.found.plain.is_empty();
    if nothing && looked.copies.is_empty() && looked.found.shredded == 0 {
        let subject = looked.subject;
        return Err(CliError::usage(format!("nothing here names {subject:?}")));
    }
    let Some(repair) = repair else {
        looked.say(who, None, None)?;
        return Ok(Verdict::Good);
    };
    if !(looked.found.open_orders.is_empty() && looked.found.waiting.is_empty()) {
        looked.say(who, None, None)?;
        eprintln!(
            "nothing was done: these orders have not ended, or the person still waits in line; \
             cancel them, or wait"
        );
        return Ok(Verdict::Bad);
    }
    let database = &looked.config.database;
    caught_up(database, looked.found.head, Duration::from_secs(args.wait)).await?;
    let mut keys = store::open_shredder(database).await.map_err(source::refused)?;
    let mut shredding = Shredding {
        seller: looked.seller.clone(),
        subject: looked.pseudonym(),
        at: SystemClock.now(),
        by: repair,
        keys: 0,
        head: looked.found.head,
    };
    let lost = |error| CliError::unreachable("the keys cannot be destroyed", error);
    let texts = looked.texts();
    let gone = keys.shred(&looked.found.readable, &texts, &mut shredding).await;
    gone.map_err(lost)?;
    drop(keys);
    let purged = purge::copies(database, &looked.person(), true).await;
    purged.map_err(source::unreachable_port)?;
    let redis = forget_in_redis(&looked).await?;
    // what names the person cannot be read any more: it is looked for as it was found
    let found = &looked.found;
    let left = Looked::at(who, found.names.iter().chain(&found.pseudonyms)).await?;
    left.say(who, Some(&looked), redis)?;
    Ok(left.verdict())
}

/// Waits until every table with copies has applied the log up to `head`.
async fn caught_up(database: &str, head: Position, wait: Duration) -> Result<(), CliError> {
    let begun = Instant::now();
    loop {
        let behind = purge::behind(database, head).await.map_err(source::unreachable_port)?;
        let Some((name, events)) = behind.first() else { return Ok(()) };
        if begun.elapsed() >= wait {
            return Err(CliError::unreachable(
                "nothing was done",
                format!("{name} has {events} events to apply; do its projections run?"),
            ));
        }
        tokio::time::sleep(LOOKS_AGAIN_AFTER).await;
    }
}

async fn verify(who: &WhoArgs) -> Result<Verdict, CliError> {
    let looked = Looked::at(who, []).await?;
    looked.say(who, None, None)?;
    Ok(looked.verdict())
}

/// What was found.
struct Looked {
    config: Config,
    seller: SellerId,
    subject: String,
    derived: Option<String>,
    found: SubjectInLog,
    copies: Copies,
    parked: u64,
    shreddings: Vec<Shredding>,
}

impl Looked {
    async fn at(who: &WhoArgs, known: impl IntoIterator<Item = &String>) -> Result<Self, CliError> {
        let config = config::load(&who.settings.flags())?;
        let seller = SellerId::try_new(&who.seller).map_err(CliError::usage)?;
        let subject = who.subject.clone().unwrap_or_default();
        let source = source::open_sealed(&config).await?;
        let derived = pseudonym_of(&config, &seller, &subject).map(String::from);
        let mut all = vec![subject.clone()];
        all.extend(derived.clone());
        all.extend(known.into_iter().cloned());
        let bar = Bar::new();
        let mut progress = |position, end| bar.at(position, end);
        let log = (source.events.as_ref(), source.keys.as_ref());
        let found = replay::subject_in_log(log, &seller, &all, &mut progress).await;
        drop(bar);
        let found = found.map_err(source::unreachable_port)?;
        let mut looked = Self {
            config,
            seller,
            subject,
            derived,
            found,
            copies: Copies::default(),
            parked: 0,
            shreddings: vec![],
        };
        looked.beside(&source).await?;
        Ok(looked)
    }

    /// Looks into what stands beside the log.
    async fn beside(&mut self, source: &Source) -> Result<(), CliError> {
        for pseudonym in &self.found.pseudonyms {
            let done = source.keys.shreddings(&self.seller, pseudonym).await;
            self.shreddings.extend(done.map_err(source::unreachable_port)?);
        }
        if source.is_file {
            return Ok(());
        }
        let parked = source.keys.parked_naming(&self.texts()).await;
        self.parked = parked.map_err(source::unreachable_port)?;
        let found = purge::copies(&self.config.database, &self.person(), false).await;
        let found = found.map_err(source::unreachable_port)?;
        self.copies = found.copies;
        self.found.broadcasts.extend(found.spoke_in);
        Ok(())
    }

    /// The pseudonym that the shredding is written down under.
    fn pseudonym(&self) -> String {
        let of_orders = self.found.pseudonyms.iter().find(|name| **name != self.subject);
        self.derived.as_ref().or(of_orders).unwrap_or(&self.subject).clone()
    }

    fn person(&self) -> Person {
        Person {
            seller: self.seller.clone(),
            pseudonyms: self.found.pseudonyms.iter().cloned().collect(),
            names: self.found.names.iter().cloned().collect(),
            orders: self.found.orders.iter().copied().collect(),
            waited: !self.found.waited.is_empty(),
        }
    }

    /// What a parked command about the person holds.
    fn texts(&self) -> Vec<String> {
        let pseudonyms = self.found.pseudonyms.iter().filter(|name| **name != self.subject);
        pseudonyms.cloned().chain(self.found.orders.iter().map(ToString::to_string)).collect()
    }

    fn verdict(&self) -> Verdict {
        let readable = self.found.readable.len() + self.found.plain.len();
        let is_clean = readable == 0 && self.copies.is_empty() && self.parked == 0;
        if is_clean { Verdict::Good } else { Verdict::Bad }
    }

    /// Says what is there; after a shredding, what was there before.
    fn say(
        &self,
        who: &WhoArgs,
        before: Option<&Self>,
        redis: Option<RedisAnswer>,
    ) -> Result<(), CliError> {
        let first = |positions: &[Position]| -> Vec<u64> {
            positions.iter().take(POSITIONS_KEPT_MAX).map(|position| position.0).collect()
        };
        let known = before.unwrap_or(self);
        let answer = Answer {
            seller: self.seller.clone(),
            subject: self.subject.clone(),
            applied: before.is_some(),
            pseudonyms: known
                .found
                .pseudonyms
                .iter()
                .filter(|it| **it != self.subject)
                .cloned()
                .collect(),
            orders: known.found.orders.len(),
            open_orders: self.found.open_orders.iter().map(ToString::to_string).collect(),
            waiting: self.found.waiting.iter().map(ToString::to_string).collect(),
            log: LogAnswer {
                readable: self.found.readable.len(),
                plain: self.found.plain.len(),
                shredded: self.found.shredded,
                readable_positions: first(&self.found.readable),
                plain_positions: first(&self.found.plain),
            },
            copies: self.copies,
            parked: self.parked,
            redis,
            shreddings: self.shreddings.clone(),
            elsewhere: ELSEWHERE,
        };
        if who.json {
            return print_json(&answer);
        }
        render(&answer);
        Ok(())
    }
}

fn render(answer: &Answer) {
    let Answer { subject, seller, log, copies, .. } = answer;
    println!("{subject} of {seller}: {} orders", answer.orders);
    for (count, what) in [
        (log.readable, "events whose personal fields can be read"),
        (log.plain, "events of an older release, in plain: no key destroys them"),
    ] {
        println!("  log                 {count} {what}");
    }
    println!("  log                 {} events that nobody can read any more", log.shredded);
    for (name, count) in [
        ("order_book", copies.order_book),
        ("order_book aside", copies.order_book_aside),
        ("waitlist", copies.waitlist),
        ("waitlist aside", copies.waitlist_aside),
        ("chat_log", copies.chat_log),
        ("webhook_deliveries", copies.webhook_deliveries),
        ("parked", answer.parked),
    ] {
        println!("  {name:<19} {count}");
    }
    match answer.redis {
        Some(redis) => println!(
            "  redis               {} accepted orders and {} channels forgotten",
            redis.accepted_orders_forgotten, redis.channels_forgotten
        ),
        None => println!("  redis               not looked into: what is there lives for a day"),
    }
    for what in answer.elsewhere {
        println!("  elsewhere           {what}");
    }
    for order in &answer.open_orders {
        println!("  order {order} has not ended");
    }
    for spotlight in &answer.waiting {
        println!("  waits in line for {spotlight}");
    }
    for done in &answer.shreddings {
        let (by, at) = (&done.by, done.at.format("%F %T"));
        println!(
            "  shredded {at}: {} keys, by {} ({}): {}",
            done.keys, by.author, by.ticket, by.reason
        );
    }
    if answer.applied {
        println!("SHREDDED");
    }
}

/// Forgets the channels and accepted orders in Redis, where a cluster is named.
async fn forget_in_redis(looked: &Looked) -> Result<Option<RedisAnswer>, CliError> {
    let Ok(Backend::Cluster(urls)) = looked.config.backend() else { return Ok(None) };
    let lost = |error| CliError::unreachable("Redis cannot be reached", error);
    let shown = Shown::open(&looked.config, &urls).await?;
    let mut channels = 0;
    for name in &looked.found.names {
        let Ok(viewer) = ViewerId::try_new(name) else { continue };
        shown.bus.forget(&user_channel(&looked.seller, &viewer)).await.map_err(lost)?;
        channels += 1;
    }
    for broadcast in &looked.found.broadcasts {
        shown.bus.forget(&chat_channel(*broadcast)).await.map_err(lost)?;
        shown.again(*broadcast).await?;
        channels += 2;
    }
    let orders = Arc::new(RedisAcceptedOrders::connect(&nodes(&urls.redis)).await.map_err(lost)?);
    let all: Vec<_> = looked.found.orders.iter().copied().collect();
    let accepted_orders_forgotten = orders.forget(&all).await.map_err(lost)?;
    Ok(Some(RedisAnswer { accepted_orders_forgotten, channels_forgotten: channels }))
}
