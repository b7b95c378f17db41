//! What `onair doctor` looks at in PostgreSQL, and in the log itself.

use std::sync::Arc;
use std::time::Duration;

use commands::clock::SystemClock;
use commands::store::{self, StoreOptions};
use domain::Timestamp;
use domain::envelope::Position;
use domain::ports::{Clock, PortError};
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::Found;
use crate::config::{Config, Profile};

/// Clocks of servers that differ by more are named.
pub(super) const SKEW_MAX: Duration = Duration::from_secs(1);
/// A transaction that is open for longer keeps dead rows from being removed.
const OLDEST_MAX_SECONDS: f64 = 300.0;
/// The age of the oldest transaction id, in transactions, from which autovacuum has fallen behind.
const XMIN_AGE_MAX: i64 = 1_000_000_000;
/// Dead rows of `events` beside live ones, in percent: the table is only ever appended to.
const DEAD_PERCENT_MAX: i64 = 20;
/// Rows at the head that must be dense.
const HEAD_ROWS: usize = 1_000;
/// Seals that are looked over at a time.
const PAGE_SEALS: usize = 1_000;

/// What the server said of itself.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub(super) struct Server {
    now_us: i64,
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
    sync_standbys: i64,
    oldest_seconds: f64,
    xmin_age: i64,
    autovacuum: String,
    events_autovacuum_off: bool,
    dead_percent: i64,
}

const QUESTION: &str = "SELECT
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us,
    current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))
        AS sync_standbys,
    coalesce((SELECT max(extract(epoch FROM clock_timestamp() - xact_start))
        FROM pg_stat_activity WHERE xact_start IS NOT NULL AND backend_type = 'client backend'),
        0)::float8 AS oldest_seconds,
    (SELECT age(datfrozenxid)::bigint FROM pg_database WHERE datname = current_database())
        AS xmin_age,
    current_setting('autovacuum') AS autovacuum,
    coalesce((SELECT 'autovacuum_enabled=false' = ANY (reloptions) FROM pg_class
        WHERE oid = 'events'::regclass), false) AS events_autovacuum_off,
    coalesce((SELECT n_dead_tup * 100 / greatest(n_live_tup + n_dead_tup, 1)
        FROM pg_stat_user_tables WHERE relid = 'events'::regclass), 0)::bigint AS dead_percent";

pub(super) async fn examine(config: &Config) -> Vec<Found> {
    if !config.database.starts_with("postgres") {
        return vec![];
    }
    match ask(&config.database).await {
        Ok((server, now)) => judge(&server, now, config.profile == Profile::Production),
        Err(error) => {
            let advice = "the checks of PostgreSQL need the tables and views of the server";
            vec![Found::unreachable("PostgreSQL", error, advice)]
        }
    }
}

async fn ask(database: &str) -> Result<(Server, Timestamp), sqlx::Error> {
    let mut connection = PgConnection::connect(database).await?;
    let before = SystemClock.now();
    let server: Server = sqlx::query_as(QUESTION).fetch_one(&mut connection).await?;
    let half = (SystemClock.now() - before) / 2;
    connection.close().await?;
    Ok((server, before + half))
}

/// How far another clock is from ours.
pub(super) fn skew(name: &str, theirs_us: i64, ours: Timestamp) -> Option<Found> {
    let apart = Duration::from_micros(theirs_us.abs_diff(ours.timestamp_micros()));
    (apart > SKEW_MAX).then(|| {
        Found::new(
            format!("the clock of {name} is {:.1} s from this one's", apart.as_secs_f64()),
            "run a time service on both: windows and holds are judged by these clocks",
        )
    })
}

fn judge(server: &Server, now: Timestamp, production: bool) -> Vec<Found> {
    let mut found: Vec<Found> = skew("PostgreSQL", server.now_us, now).into_iter().collect();
    let mut note = |bad: bool, what: String, advice: &str| {
        if bad {
            found.push(Found::new(what, advice));
        }
    };
    let unsafe_commit = ["off", "local"].contains(&server.synchronous_commit.as_str());
    note(
        server.fsync != "on" || server.full_page_writes != "on",
        "PostgreSQL does not wait for its disk".to_owned(),
        "set `fsync=on` and `full_page_writes=on`: a power cut would tear the log",
    );
    note(
        production && unsafe_commit,
        format!("synchronous_commit is {}", server.synchronous_commit),
        "set `synchronous_commit=on`: a decision that was answered may be lost",
    );
    note(
        production && server.sync_standbys == 0,
        "PostgreSQL has no synchronous standby".to_owned(),
        "set `synchronous_standby_names`: a failover would lose decided positions and give them out again",
    );
    note(
        server.oldest_seconds > OLDEST_MAX_SECONDS,
        format!("a transaction is open for {:.0} s", server.oldest_seconds),
        "end it (`pg_stat_activity`): autovacuum removes nothing that it might still see",
    );
    note(
        server.xmin_age > XMIN_AGE_MAX,
        format!("the oldest transaction id is {} transactions old", server.xmin_age),
        "run `VACUUM (FREEZE)`: the server refuses to write before the ids run out",
    );
    note(
        server.autovacuum != "on" || server.events_autovacuum_off,
        "autovacuum is off".to_owned(),
        "set `autovacuum=on`, for the table events too: it freezes and keeps statistics",
    );
    note(
        server.dead_percent > DEAD_PERCENT_MAX,
        format!("{} of 100 rows of events are dead", server.dead_percent),
        "events are never changed: find out who writes there, `onair replay verify` tells what",
    );
    found
}

/// Whether the end of the log is whole, and no seal lies beyond it.
pub(super) async fn head(config: &Config) -> Vec<Found> {
    match head_of(config).await {
        Ok(found) => found.into_iter().collect(),
        // that it cannot be opened was said
        Err(_) => vec![],
    }
}

async fn head_of(config: &Config) -> Result<Option<Found>, PortError> {
    let options = StoreOptions::new(Arc::new(SystemClock));
    let opened = store::open_audit(&config.database, &options).await;
    let rows = opened.map_err(|error| PortError::unavailable("the log", error))?.rows;
    let advice = "`onair replay verify` names the first break; docs/RUNBOOK.md says what then";
    let head = rows.last_row().await?;
    let after = head.0.saturating_sub(u64::try_from(HEAD_ROWS).unwrap_or_default());
    let last = rows.rows(Position(after), HEAD_ROWS).await?;
    for (row, position) in last.iter().zip(after + 1..) {
        if row.position.0 != position {
            return Ok(Some(Found::new(format!("position {position} is missing"), advice)));
        }
    }
    let (mut number, mut sealed) = (0, Position::START);
    loop {
        let page = rows.seals(number, PAGE_SEALS).await?;
        let Some(last) = page.last() else { break };
        (number, sealed) = (last.number, last.last);
    }
    Ok((sealed > head).then(|| {
        Found::new(format!("the log is sealed up to {sealed} and ends at {head}"), advice)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Fault = fn(&mut Server);

    fn sound() -> Server {
        Server {
            now_us: 1_000_000,
            fsync: "on".to_owned(),
            full_page_writes: "on".to_owned(),
            synchronous_commit: "on".to_owned(),
            sync_standbys: 1,
            oldest_seconds: 0.0,
            xmin_age: 5,
            autovacuum: "on".to_owned(),
            events_autovacuum_off: false,
            dead_percent: 0,
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_timestamp_micros(1_000_000).expect("a time")
    }

    #[test]
    fn a_sound_server_is_left_alone_and_each_fault_is_named() {
        assert!(judge(&sound(), now(), true).is_empty());
        let faults: [(Fault, bool); 8] = [
            (|server| server.now_us = 2_000_001, true),
            (|server| server.fsync = "off".to_owned(), true),
            (|server| server.oldest_seconds = 301.0, true),
            (|server| server.xmin_age = XMIN_AGE_MAX + 1, true),
            (|server| server.events_autovacuum_off = true, true),
            (|server| server.dead_percent = 21, true),
            (|server| server.synchronous_commit = "off".to_owned(), false),
            (|server| server.sync_standbys = 0, false),
        ];
        for (fault, in_development) in faults {
            let mut server = sound();
            fault(&mut server);
            assert_eq!(judge(&server, now(), true).len(), 1, "{server:?}");
            assert_eq!(judge(&server, now(), false).len(), usize::from(in_development));
        }
        let mut at_the_limit = sound();
        at_the_limit.now_us = 2_000_000;
        assert!(judge(&at_the_limit, now(), true).is_empty());
    }
}
