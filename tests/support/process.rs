//! One `onair serve` process that a test can kill.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

/// How long a process may take until it serves.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How long a process may take to stop after SIGTERM.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
/// How long a server may stand still.
const REACHED_WITHIN: Duration = Duration::from_mins(1);

/// The exit code where something it depends on cannot be reached; a supervisor starts it again.
const UNREACHABLE: i32 = 3;

/// Where a process listens, as it wrote into its ready file.
#[derive(Debug, Clone, Deserialize)]
pub struct Ready {
    pub listen: String,
}

/// One server process with its settings; it can be killed and started again.
pub struct Onair {
    pub name: String,
    dir: PathBuf,
    roles: String,
    settings: Vec<(String, String)>,
    child: Option<Child>,
    ready: Option<Ready>,
    starts: u32,
}

/// The binary that `cargo build` made beside this test.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(Path::parent).expect("target/<profile>");
    let binary = folder.join("onair");
    assert!(binary.exists(), "{} is missing: run `cargo build -p api`", binary.display());
    binary
}

impl Onair {
    /// Prepares a process; nothing runs yet.
    pub fn new(name: &str, dir: &Path, roles: &str, settings: &[(String, String)]) -> Self {
        Self {
            name: name.to_owned(),
            dir: dir.to_owned(),
            roles: roles.to_owned(),
            settings: settings.to_vec(),
            child: None,
            ready: None,
            starts: 0,
        }
    }

    /// Starts the process without waiting for it.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        self.starts += 1;
        let ready_file = self.ready_file();
        let _ = std::fs::remove_file(&ready_file);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("opens the log");
        let mut command = Command::new(binary());
        command
            .arg("serve")
            .arg("--ready-file")
            .arg(&ready_file)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("ONAIR_LISTEN", "127.0.0.1:0")
            .env("ONAIR_OPS_LISTEN", "127.0.0.1:0")
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("clones"))
            .stderr(log);
        if !self.roles.is_empty() {
            command.arg("--roles").arg(&self.roles);
        }
        self.child = Some(command.spawn().expect("starts onair"));
        self.ready = None;
    }

    /// Starts the process and waits until it serves.
    pub async fn start(&mut self) {
        self.spawn();
        self.wait_ready().await;
    }

    /// Waits until the process serves.
    pub async fn wait_ready(&mut self) {
        let until = Instant::now() + READY_WITHIN;
        loop {
            if let Some(ready) = std::fs::read(self.ready_file())
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            {
                self.ready = Some(ready);
                return;
            }
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok()?) {
                if status.code() == Some(UNREACHABLE) && Instant::now() < until {
                    self.child = None;
                    self.spawn();
                    continue;
                }
                panic!("{} ended with {status} before it served:\n{}", self.name, self.log_tail());
            }
            assert!(
                Instant::now() < until,
                "{} did not serve in time:\n{}",
                self.name,
                self.log_tail()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGKILL: no shutdown, no flush.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and waits for a clean end.
    pub async fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("runs kill");
        assert!(sent.success(), "SIGTERM to {}", self.name);
        let until = Instant::now() + STOPPED_WITHIN;
        loop {
            if let Some(status) = child.try_wait().expect("waits") {
                assert!(
                    status.success(),
                    "{} ended with {status}:\n{}",
                    self.name,
                    self.log_tail()
                );
                return;
            }
            if Instant::now() > until {
                let _ = child.kill();
                panic!("{} did not stop in time:\n{}", self.name, self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `http://…` of the public listener.
    pub fn url(&self) -> String {
        format!("http://{}", self.ready.as_ref().expect("serves").listen)
    }

    /// `ws://…` of the socket endpoint.
    pub fn socket_url(&self) -> String {
        let listen = &self.ready.as_ref().expect("serves").listen;
        format!("ws://{listen}/connection/websocket")
    }

    /// The end of what the process logged.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn ready_file(&self) -> PathBuf {
        self.dir.join(format!("{}.{}.ready.json", self.name, self.starts))
    }

    fn log_file(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name))
    }
}

impl Drop for Onair {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- end of the log of {} ---\n{}", self.name, self.log_tail());
        }
        self.kill();
    }
}

/// Runs `onair` with arguments to its end; returns exit code, stdout and stderr.
pub async fn run(
    dir: &Path,
    settings: &[(String, String)],
    arguments: &[&str],
) -> (i32, String, String) {
    let output = tokio::process::Command::new(binary())
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("runs onair");
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// As [`run`]; again while it says that a server cannot be reached, as a nightly job does where a
/// busy disk lets a server stand still.
pub async fn run_again(
    dir: &Path,
    settings: &[(String, String)],
    arguments: &[&str],
) -> (i32, String, String) {
    let until = Instant::now() + REACHED_WITHIN;
    loop {
        let ended = run(dir, settings, arguments).await;
        if ended.0 != UNREACHABLE || Instant::now() > until {
            return ended;
        }
    }
}
