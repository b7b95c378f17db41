//! Viewers on the official SDKs: one process per language, many clients in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::eventually;
use super::viewer::{Seen, take_order};

/// How long the clients of a crowd may take to connect on a busy machine.
const CONNECTED_WITHIN: Duration = Duration::from_mins(1);

/// An official client library.
#[derive(Debug, Clone, Copy)]
pub enum Sdk {
    /// npm `centrifuge`.
    JavaScript,
    /// `PyPI` `centrifuge-python`.
    Python,
}

/// A viewer of the crowd: what it saw, and how far its own stream has come.
#[derive(Default)]
struct Member {
    seen: Arc<Mutex<Seen>>,
    offset: Option<u64>,
}

type Members = Arc<Mutex<BTreeMap<String, Member>>>;

/// A running process with its clients; they end with it.
pub struct Crowd {
    _process: Child,
    input: ChildStdin,
    members: Members,
    reader: JoinHandle<()>,
}

impl Crowd {
    pub fn start(sdk: Sdk) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
        let (program, script) = match sdk {
            Sdk::JavaScript => ("node".into(), "crowd.mjs"),
            Sdk::Python => (folder.join(".venv/bin/python"), "crowd.py"),
        };
        let mut process = Command::new(program)
            .arg(folder.join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the SDKs are installed: run `scripts/test`");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let input = process.stdin.take().expect("piped");
        let members = Members::default();
        let reader = tokio::task::spawn(read(lines, members.clone()));
        Self { _process: process, input, members, reader }
    }

    /// One more viewer, on the node at `url`.
    pub async fn join(&mut self, viewer: &str, url: &str, token: &str, broadcast: &str) {
        self.members.lock().insert(viewer.to_owned(), Member::default());
        let wish = json!({"viewer": viewer, "url": url, "token": token, "broadcast": broadcast});
        self.input.write_all(format!("{wish}\n").as_bytes()).await.expect("the process reads");
    }

    /// Waits until each viewer is subscribed to its own orders.
    pub async fn connected(&self) {
        eventually("the SDKs are connected", CONNECTED_WITHIN, async || {
            self.members.lock().values().all(|member| member.offset.is_some()).then_some(())
        })
        .await;
    }

    /// What a viewer has seen so far; it goes on being filled.
    pub fn seen(&self, viewer: &str) -> Arc<Mutex<Seen>> {
        self.members.lock()[viewer].seen.clone()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(mut lines: Lines<BufReader<ChildStdout>>, members: Members) {
    while let Ok(Some(line)) = lines.next_line().await {
        let event: Value = serde_json::from_str(&line).expect("a line of JSON");
        let viewer = event["viewer"].as_str().expect("whose event it is");
        if let Some(member) = members.lock().get_mut(viewer) {
            member.take(viewer, &event);
        }
    }
}

impl Member {
    fn take(&mut self, viewer: &str, event: &Value) {
        let channel = event["channel"].as_str().unwrap_or_default();
        let own = channel == format!("user#{viewer}");
        match event["event"].as_str() {
            Some("subscribed") if own => self.subscribed(event),
            Some("publication") if own => self.publication(event),
            Some("publication") if channel.starts_with("live:") => self.seen.lock().live += 1,
            Some("disconnected") => {
                self.seen.lock().breaks.push("disconnected for good".to_owned());
            }
            _ => {}
        }
    }

    fn subscribed(&mut self, event: &Value) {
        let mut seen = self.seen.lock();
        seen.connects += 1;
        if self.offset.is_some() && event["recovered"] == true {
            // what was missed follows as publications, after the offset that is known
            return;
        }
        if self.offset.is_some() {
            seen.not_recovered += 1;
        }
        self.offset = event["streamPosition"]["offset"].as_u64();
        if self.offset.is_none() {
            seen.breaks.push(format!("subscribed without a position: {event}"));
        }
    }

    fn publication(&mut self, event: &Value) {
        let mut seen = self.seen.lock();
        let offset = event["offset"].as_u64().unwrap_or_default();
        if Some(offset) != self.offset.map(|last| last + 1) {
            seen.breaks.push(format!("offset {offset} after {:?}", self.offset));
        }
        self.offset = Some(offset);
        take_order(&event["data"], &mut seen);
    }
}
