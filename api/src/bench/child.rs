//! Processes of this same program.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::BenchError;

/// How long a process may take until it serves.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How long one may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
const READY_POLL: Duration = Duration::from_millis(20);

/// What the names of settings begin with.
const SETTINGS: &str = "ONAIR_";

/// The core that servers under test have for themselves, so that rates are rates of one core.
const CORE: &str = "0";

/// The file that says where a process serves.
#[derive(Debug, Deserialize)]
struct Ready {
    #[serde(default)]
    listen: String,
}

/// A process that ends with this.
pub(super) struct Process {
    child: Child,
    log: PathBuf,
    ready: PathBuf,
    /// Its id.
    pub pid: u32,
}

impl Process {
    /// Starts one and waits until it serves.
    ///
    /// # Errors
    /// It does not serve in time; the error says what it wrote.
    pub async fn start(
        folder: &Path,
        name: &str,
        arguments: &[String],
        variables: &[(&str, String)],
        pinned: bool,
    ) -> Result<Self, BenchError> {
        let program = std::env::current_exe()?;
        Self::start_program(&program, folder, name, arguments, variables, pinned).await
    }

    /// Starts another program that says where it serves in the same way.
    ///
    /// # Errors
    /// It does not serve in time; the error says what it wrote.
    pub async fn start_program(
        program: &Path,
        folder: &Path,
        name: &str,
        arguments: &[String],
        variables: &[(&str, String)],
        pinned: bool,
    ) -> Result<Self, BenchError> {
        let (log, ready) =
            (folder.join(format!("{name}.log")), folder.join(format!("{name}.ready")));
        // what an earlier process of that name wrote is not this one's
        match std::fs::remove_file(&ready) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut command = if pinned && can_pin().await {
            let mut command = Command::new("taskset");
            command.args(["-c", CORE]).arg(program);
            command
        } else {
            Command::new(program)
        };
        // what is set for whoever runs the benchmark is not set for what is measured
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with(SETTINGS) {
                command.env_remove(name);
            }
        }
        let child = command
            .args(arguments)
            .arg("--ready-file")
            .arg(&ready)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().unwrap_or_default();
        let mut process = Self { child, log, ready, pid };
        process.wait_until_ready().await?;
        Ok(process)
    }

    async fn wait_until_ready(&mut self) -> Result<(), BenchError> {
        let until = Instant::now() + READY_WITHIN;
        while !self.ready.exists() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > until {
                let said = std::fs::read_to_string(&self.log).unwrap_or_default();
                let last: Vec<&str> = said.lines().rev().take(5).collect();
                return Err(BenchError::Failed(format!("a process does not serve: {last:?}")));
            }
            tokio::time::sleep(READY_POLL).await;
        }
        Ok(())
    }

    /// Where it serves.
    ///
    /// # Errors
    /// It does not say.
    pub fn address(&self) -> Result<SocketAddr, BenchError> {
        let text = std::fs::read_to_string(&self.ready)?;
        let ready: Ready = serde_json::from_str(&text).map_err(BenchError::failed)?;
        ready.listen.parse().map_err(BenchError::failed)
    }

    /// Ends it.
    ///
    /// # Errors
    /// It does not end.
    pub async fn end(mut self) -> Result<(), BenchError> {
        let asked = Command::new("kill").arg(self.pid.to_string()).status().await;
        let ended = tokio::time::timeout(ENDS_WITHIN, self.child.wait()).await;
        if asked.is_err() || ended.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }
}

/// Whether servers can be given a core of their own.
pub(super) async fn can_pin() -> bool {
    let tried = Command::new("taskset")
        .args(["-c", CORE, "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    tried.await.is_ok_and(|status| status.success())
}

/// Gives the servers' core up: what makes the load must not take the time of what is measured.
pub(super) async fn leave_core() {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if cores < 2 || !can_pin().await {
        return;
    }
    let others = format!("1-{}", cores - 1);
    let own = std::process::id().to_string();
    // without it a figure is noisier, and no other
    let _ = Command::new("taskset")
        .args(["-a", "-c", "-p", &others, &own])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
}
