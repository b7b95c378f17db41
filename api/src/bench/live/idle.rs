//! What viewers cost that see nothing new, and how fast they are back when all are cut at once.

use std::time::Duration;

use super::crowd::Crowd;
use super::server::{Kind, Server};
use super::storm;
use crate::bench::measure::figure;
use crate::bench::stage::Folder;
use crate::bench::{BenchError, Bound, Measure, Options, Round, child, cpu};

/// The project's bound on a viewer's memory, in KB.
const KILOBYTES_MAX: f64 = 6.0;
/// The project's bound on the share of a core.
const CPU_SHARE_MAX: f64 = 0.02;
/// The project's bound on a storm, in seconds.
const STORM_SECONDS_MAX: f64 = 5.0;
/// How long memory is left to settle.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
/// Shorter than a ping and its answer take, a look sees none of them.
const LOOK_MIN: Duration = Duration::from_secs(30);

/// How long a server without viewers is looked at.
const EMPTY_LOOK: Duration = Duration::from_secs(10);

/// The share of a core that a process takes for a while.
async fn busy(pid: u32, time: Duration) -> f64 {
    let before = cpu::of_process(pid).unwrap_or_default();
    tokio::time::sleep(time).await;
    let spent = cpu::of_process(pid).unwrap_or_default().saturating_sub(before);
    spent.as_secs_f64() / time.as_secs_f64()
}

/// Memory as the kernel counts it, in KB.
#[derive(Debug, Clone, Copy)]
struct Memory {
    of_process: f64,
    slab: f64,
}

impl Memory {
    fn of(pid: u32) -> Option<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let machine = std::fs::read_to_string("/proc/meminfo").ok()?;
        let of_process = kilobytes(&status, "RssAnon:")?;
        Some(Self { of_process, slab: kilobytes(&machine, "Slab:")? })
    }
}

fn kilobytes(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Measures memory and CPU of viewers that are told nothing, and a storm of reconnects.
///
/// # Errors
/// The server cannot be measured.
pub(in crate::bench) async fn run(
    options: &Options,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<Vec<Measure>, BenchError> {
    child::leave_core().await;
    let folder = Folder::create()?;
    let (mut memory, mut share, mut storms) = (vec![], vec![], vec![]);
    let (mut user, mut kernel) = (0.0, 0.0);
    for round in 1..=options.rounds {
        let server = Server::start(Kind::Onair, &folder, options, true).await?;
        let look =
            || Memory::of(server.pid()).ok_or_else(|| BenchError::Failed("no /proc".to_owned()));
        tokio::time::sleep(SETTLED_AFTER).await;
        let (empty, alone) = (look()?, busy(server.pid(), EMPTY_LOOK).await);
        let mut hellos = server.hellos(options.viewers)?;
        for hello in &mut hellos {
            hello.replies = true;
        }
        let crowd = Crowd::connect(server.address, hellos.clone()).await?;
        tokio::time::sleep(SETTLED_AFTER).await;
        let full = look()?;
        let viewers = figure(u64::try_from(options.viewers).unwrap_or(u64::MAX));
        user = (full.of_process - empty.of_process) / viewers;
        // both ends of each connection are on this machine
        kernel = (full.slab - empty.slab) / viewers / 2.0;
        // what the roles do without any viewer is not the viewers'
        let cpu_share = busy(server.pid(), options.round.max(LOOK_MIN)).await - alone;
        let storm = storm::run(&server, crowd, &hellos).await?;
        say(&format!(
            "round {round}: {user:.2} KB and {kernel:.2} KB of the kernel each, {:.2} % of a core, \
             back in {storm:.2} s",
            cpu_share * 100.0
        ));
        memory.push(Round { value: user + kernel, reference: KILOBYTES_MAX });
        share.push(Round { value: cpu_share, reference: CPU_SHARE_MAX });
        storms.push(Round { value: storm, reference: STORM_SECONDS_MAX });
        server.end().await?;
    }
    let beside = vec![("user_kb".to_owned(), user), ("kernel_kb".to_owned(), kernel)];
    let measure = |bench, unit, rounds, beside| Measure {
        bench,
        unit,
        reference: "the bound",
        bound: Bound::AtMost(1.0),
        rounds,
        beside,
    };
    Ok(vec![
        measure("idle.memory_per_viewer", "KB", memory, beside),
        measure("idle.cpu", "cores", share, vec![]),
        measure("idle.reconnect_storm", "s", storms, vec![]),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        let text = "Name:\tonair\nRssAnon:\t   12345 kB\nRssFile:\t 7 kB\n";
        assert_eq!(kilobytes(text, "RssAnon:"), Some(12_345.0));
        assert_eq!(kilobytes(text, "Slab:"), None);
        assert!(Memory::of(std::process::id()).is_some());
    }
}
