//! CPU time of processes on this machine, as the kernel counts it.

use std::fs;
use std::time::Duration;

/// Ticks of `/proc/PID/stat` per second; 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time of a process with all its threads; absent where it is not on this machine.
pub(super) fn of_process(pid: u32) -> Option<Duration> {
    let stat = Stat::read(pid)?;
    Some(ticks(stat.own))
}

/// CPU time of a process of one thread, to the nanosecond.
pub(super) fn of_thread(pid: u32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// CPU time of a process, its children, and those that have ended.
pub(super) fn of_family(pid: u32) -> Option<Duration> {
    let mut sum = Stat::read(pid)?;
    sum.own += sum.waited;
    for child in processes() {
        if let Some(stat) = Stat::read(child).filter(|stat| stat.parent == pid) {
            sum.own += stat.own;
        }
    }
    Some(ticks(sum.own))
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count.saturating_mul(1_000 / TICKS_PER_SECOND))
}

struct Stat {
    parent: u32,
    own: u64,
    waited: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name in brackets may hold anything, so the fields are counted behind it.
    fn parse(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(1)?).ok()?,
            own: number(11)? + number(12)?,
            waited: number(13)? + number(14)?,
        })
    }
}

fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The process that listens on a port of this machine, if it is ours to see.
pub(super) fn listener(port: u16) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let inode = tables.into_iter().flatten().find_map(|table| listening(&table, port))?;
    let socket = format!("socket:[{inode}]");
    processes().into_iter().find(|pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.filter_map(|entry| fs::read_link(entry.path()).ok())
            .any(|target| target.to_str() == Some(socket.as_str()))
    })
}

/// The inode of the socket that listens on a port, in a table of the kernel.
fn listening(table: &str, port: u16) -> Option<String> {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listens = fields.get(3) == Some(&LISTEN) && fields.get(1)?.ends_with(&suffix);
        listens.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_may_hold_anything() {
        let text = "42 (a) b (c) S 7 1 1 0 -1 4194560 1 2 3 4 100 50 20 10 20 0 1 0 5 6 7";
        let stat = Stat::parse(text).expect("parses");
        assert_eq!((stat.parent, stat.own, stat.waited), (7, 150, 30));
    }

    #[test]
    fn our_own_listener_is_found() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = socket.local_addr().expect("bound").port();
        assert_eq!(listener(port), Some(std::process::id()));
        drop(socket);
        assert_eq!(listener(port), None);
    }

    #[test]
    fn our_own_time_goes_on() {
        let before = of_process(std::process::id()).expect("known");
        let until = before + Duration::from_millis(30);
        let mut spins = 0_u64;
        while of_process(std::process::id()).expect("known") < until {
            spins += 1;
        }
        assert!(spins > 0);
    }
}
