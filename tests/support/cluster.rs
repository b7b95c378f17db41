//! Several `onair` processes on real PostgreSQL, Redis and Kafka.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::process::{self, Onair};
use super::{fresh_database, required};

/// Redis databases that tests take in turn; 0 is for the conformance suites.
const REDIS_DATABASES: u32 = 15;
static NEXT_REDIS_DATABASE: AtomicU32 = AtomicU32::new(0);

/// What each kind of server is reached by.
#[derive(Debug, Clone)]
pub struct Servers {
    pub database: String,
    pub redis: String,
    pub kafka: String,
}

/// A cluster: its processes by name, its folder, its settings.
pub struct Cluster {
    pub secret: Vec<u8>,
    pub settings: Vec<(String, String)>,
    pub api: Vec<Onair>,
    pub writers: Vec<Onair>,
    pub relay: Onair,
    pub project: Onair,
    pub process: Onair,
    /// Last, so that it outlives the processes and their logs can still be shown.
    pub dir: TempDir,
}

impl Servers {
    /// The shared servers, with a database and a Redis database of this test's own.
    pub async fn shared() -> Self {
        let number = NEXT_REDIS_DATABASE.fetch_add(1, Ordering::Relaxed) % REDIS_DATABASES + 1;
        Self {
            database: fresh_database().await,
            redis: format!("{}/{number}", required("ONAIR_REDIS")),
            kafka: required("ONAIR_KAFKA"),
        }
    }
}

impl Cluster {
    /// Starts api and writer processes and one of each other role.
    pub async fn start(servers: &Servers, apis: usize, writers: usize) -> Self {
        Self::start_with(servers, (apis, writers), vec![]).await
    }

    /// The same, with more settings.
    pub async fn start_with(
        servers: &Servers,
        (apis, writers): (usize, usize),
        more: Vec<(String, String)>,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let secret = Uuid::new_v4().simple().to_string().into_bytes();
        let secret_file = dir.path().join("auth.secret");
        std::fs::write(&secret_file, &secret).expect("writes the secret");
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut settings = vec![
            setting("ONAIR_DATABASE", &servers.database),
            setting("ONAIR_REDIS", &servers.redis),
            setting("ONAIR_KAFKA", &servers.kafka),
            setting("ONAIR_KAFKA_TOPIC_PREFIX", &format!("t{}.", Uuid::new_v4().simple())),
            setting("ONAIR_KAFKA_PARTITIONS", "8"),
            setting("ONAIR_AUTH_HS256_SECRET_FILE", &secret_file.to_string_lossy()),
            setting("ONAIR_LOG", "info"),
        ];
        settings.extend(more);
        let (code, _, errors) = process::run_again(dir.path(), &settings, &["migrate"]).await;
        assert_eq!(code, 0, "onair migrate: {errors}");
        let make = |name: &str, roles: &str| Onair::new(name, dir.path(), roles, &settings);
        let mut cluster = Self {
            api: (0..apis).map(|n| make(&format!("api-{n}"), "api,live")).collect(),
            writers: (0..writers).map(|n| make(&format!("writer-{n}"), "writer")).collect(),
            relay: make("relay", "relay"),
            project: make("project", "project"),
            process: make("process", "process"),
            secret,
            settings,
            dir,
        };
        for process in cluster.all() {
            process.spawn();
        }
        for process in cluster.all() {
            process.wait_ready().await;
        }
        cluster
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Onair> {
        self.api.iter_mut().chain(&mut self.writers).chain([
            &mut self.relay,
            &mut self.project,
            &mut self.process,
        ])
    }

    /// The address of the `n`th api process.
    pub fn url(&self, n: usize) -> String {
        self.api[n % self.api.len()].url()
    }

    /// `onair replay verify --json` with exit code.
    pub async fn verify(&self) -> (i32, Value) {
        let (code, out, errors) =
            process::run_again(self.dir.path(), &self.settings, &["replay", "verify", "--json"])
                .await;
        let report = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}\n{errors}"));
        (code, report)
    }

    /// Stops every process cleanly.
    pub async fn stop(&mut self) {
        for process in self.all() {
            process.stop().await;
        }
    }
}

/// Servers of a test's own, which it may kill, restart and empty.
pub struct OwnServers {
    dir: PathBuf,
    env: Vec<(String, String)>,
    settings: String,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services")
}

impl OwnServers {
    /// Starts some services in a folder of their own.
    pub fn start(dir: &Path, services: &[&str], env: &[(&str, &str)]) -> Self {
        let env: Vec<(String, String)> =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut own = Self { dir: dir.to_owned(), env, settings: String::new() };
        own.settings = own.run(&[&["start"], services].concat());
        own
    }

    /// A setting that `scripts/services` printed.
    pub fn setting(&self, name: &str) -> String {
        self.settings
            .lines()
            .find_map(|line| line.strip_prefix(&format!("export {name}=")))
            .unwrap_or_else(|| panic!("no {name} in {}", self.settings))
            .trim_matches('\'')
            .to_owned()
    }

    /// Runs a verb of `scripts/services` on these servers.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new(script())
            .args(arguments)
            .env("ONAIR_SERVICES_DIR", &self.dir)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .output()
            .expect("runs scripts/services");
        assert!(
            output.status.success(),
            "scripts/services {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Lets a service stand still, or go on: its connections stay, and nothing answers on them.
    pub fn stand_still(&self, service: &str, still: bool) {
        let file = self.dir.join(service).join("pid");
        let file = std::fs::read_to_string(&file).expect("the service runs");
        let parent = file.split_whitespace().next().expect("a process").to_owned();
        let children = format!("/proc/{parent}/task/{parent}/children");
        let children = std::fs::read_to_string(&children).unwrap_or_default();
        let signal = if still { "-STOP" } else { "-CONT" };
        let sent = Command::new("kill")
            .arg(signal)
            .arg(&parent)
            .args(children.split_whitespace())
            .status()
            .expect("runs kill");
        assert!(sent.success(), "kill {signal} {parent} {children}");
    }

    /// Where a service keeps its data.
    pub fn data(&self, service: &str) -> PathBuf {
        self.dir.join(service).join("data")
    }
}

impl Drop for OwnServers {
    fn drop(&mut self) {
        let _ = Command::new(script())
            .args(["stop", "--purge"])
            .env("ONAIR_SERVICES_DIR", &self.dir)
            .output();
    }
}
