//! The times of a connection: its connect command, pings, its token's end, the node's end. One timer,
//! which the runtime keeps in a wheel.

use std::time::Duration;

use tokio::time::Instant;

use super::LiveState;
use super::codes::Close;
use super::outbox::Outbox;
use super::pulse::Pulse;

/// What is waited for.
#[derive(Clone, Copy)]
enum Beat {
    /// The connect command.
    Connect,
    /// The time of the next ping.
    Ping,
    /// The answer to a ping.
    Pong,
}

/// When what is due.
struct Times {
    beat: Beat,
    beat_at: Instant,
    expires_at: Option<Instant>,
    leaves_at: Option<Instant>,
}

/// Waits for the connect command, then pings; ends the connection when a ping is not answered, when
/// its token has run out and no new one came, and when the node goes away.
pub async fn keep_time(live: &LiveState, outbox: &Outbox, pulse: &Pulse) {
    let now = Instant::now();
    let (beat, beat_at) = (Beat::Connect, now + live.limits.connect_within);
    let mut times = Times { beat, beat_at, expires_at: None, leaves_at: None };
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(times.next()) => {
                if let Some(close) = times.pass(live, outbox, pulse) {
                    outbox.close(close);
                    return std::future::pending().await;
                }
            }
            () = pulse.times_changed() => times.change(live, pulse),
            () = live.draining.cancelled(), if times.leaves_at.is_none() => {
                // at a time of its own, so that not all reconnect at once
                let wait = live.drain_spread().mul_f64(rand::random());
                times.leaves_at = Some(Instant::now() + wait);
            }
        }
    }
}

impl Times {
    fn next(&self) -> Instant {
        let ends = [self.expires_at, self.leaves_at].into_iter().flatten();
        ends.fold(self.beat_at, Instant::min)
    }

    fn change(&mut self, live: &LiveState, pulse: &Pulse) {
        let now = Instant::now();
        // the first ping comes at a random time, so that those of many who came at once are spread
        if matches!(self.beat, Beat::Connect) && pulse.is_connected() {
            (self.beat, self.beat_at) = (Beat::Ping, now + jittered(live.limits.ping_every));
        }
        if matches!(self.beat, Beat::Pong) && !pulse.owes_pong() {
            let pause = live.limits.ping_every.saturating_sub(live.limits.pong_within);
            (self.beat, self.beat_at) = (Beat::Ping, self.beat_at + pause);
        }
        self.expires_at = pulse.expires_at().map(|until| {
            let left = until.signed_duration_since(live.clock.now());
            now + left.to_std().unwrap_or_default().saturating_add(live.limits.expiry_grace)
        });
    }

    /// Does what is due; tells why the connection ends, if it does.
    fn pass(&mut self, live: &LiveState, outbox: &Outbox, pulse: &Pulse) -> Option<Close> {
        let (limits, now) = (&live.limits, Instant::now());
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.leaves_at) {
            return Some(Close::Shutdown);
        }
        if is_due(self.expires_at) {
            return Some(Close::Expired);
        }
        if !is_due(Some(self.beat_at)) {
            return None;
        }
        match self.beat {
            Beat::Connect => return Some(Close::Stale),
            Beat::Pong if pulse.owes_pong() => return Some(Close::NoPong),
            Beat::Ping => {
                pulse.pinged();
                outbox.ping();
                (self.beat, self.beat_at) = (Beat::Pong, now + limits.pong_within);
            }
            Beat::Pong => {
                let pause = limits.ping_every.saturating_sub(limits.pong_within);
                (self.beat, self.beat_at) = (Beat::Ping, now + pause);
            }
        }
        None
    }
}

/// Between a half and the whole of a duration.
fn jittered(whole: Duration) -> Duration {
    whole.mul_f64(rand::random_range(0.5..=1.0))
}
