//! A Redis of the test's own, which it may empty, restart and roll back.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use domain::envelope::Position;
use projections::viewer_feed::FeedLimits;
use serde_json::json;

use super::harness::{Harness, channel, key, soon};

struct Server {
    port: u16,
    folder: tempfile::TempDir,
    process: Child,
}

impl Server {
    async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let process = spawn(port, folder.path());
        let server = Self { port, folder, process };
        server.ready().await;
        server
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    async fn ready(&self) {
        soon(async { while self.ask::<String>("PING").await.is_err() {} }).await;
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &str) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut link = client.get_multiplexed_async_connection().await?;
        redis::cmd(command).query_async(&mut link).await
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    async fn restart(&mut self) {
        self.process = spawn(self.port, self.folder.path());
        self.ready().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(port: u16, folder: &Path) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--dir", folder.to_str().unwrap()])
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server starts")
}

#[tokio::test]
async fn an_emptied_redis_starts_every_channel_again() {
    let server = Server::start().await;
    let harness = Harness::redis(&server.url(), FeedLimits::default()).await;
    let (stream, live) = (channel("user#acme/"), channel("live:"));
    harness.bus.push(&stream, key(1), Position(1), &json!(1)).await.unwrap();
    harness.bus.patch(&live, key(1), Position(1), &json!({"a": 1})).await.unwrap();
    let before = harness.bus.history(&stream, None).await.unwrap().top;
    let mut messages = harness.bus.subscribe(&stream).await.unwrap();
    server.ask::<()>("FLUSHALL").await.unwrap();
    assert_eq!(harness.bus.snapshot(&live).await.unwrap().data, json!({}));
    assert_eq!(harness.bus.version(&live, key(1)).await.unwrap(), Position::START);
    let history = harness.bus.history(&stream, Some(&before)).await.unwrap();
    assert_eq!(history.messages, None);
    harness.bus.push(&stream, key(1), Position(2), &json!(2)).await.unwrap();
    assert!(soon(messages.next()).await.is_err(), "no message of another life");
}

/// A restart may roll a channel back to fewer messages than were acknowledged, and the next ones
/// would take their offsets again: whoever recovers by offset alone sees nothing missing.
#[tokio::test]
async fn a_rolled_back_redis_is_not_recovered_from() {
    let mut server = Server::start().await;
    let harness = Harness::redis(&server.url(), FeedLimits::default()).await;
    let stream = channel("user#acme/");
    harness.bus.push(&stream, key(1), Position(1), &json!(1)).await.unwrap();
    let kept = harness.bus.history(&stream, None).await.unwrap().top;
    let _: String = server.ask("SAVE").await.unwrap();
    harness.bus.push(&stream, key(1), Position(2), &json!(2)).await.unwrap();
    let mut messages = harness.bus.subscribe(&stream).await.unwrap();
    server.kill();
    assert!(soon(messages.next()).await.is_err(), "the connection is lost");
    server.restart().await;
    soon(async { while harness.bus.history(&stream, None).await.is_err() {} }).await;
    let history = harness.bus.history(&stream, Some(&kept)).await.unwrap();
    assert_eq!(history.messages, None, "the second message is gone without a trace");
    assert_ne!(history.top.epoch, kept.epoch);
    assert_eq!(harness.bus.version(&stream, key(1)).await.unwrap(), Position(1));
    let mut messages = soon(async {
        loop {
            if let Ok(messages) = harness.bus.subscribe(&stream).await {
                return messages;
            }
        }
    })
    .await;
    harness.bus.push(&stream, key(1), Position(2), &json!(2)).await.unwrap();
    assert_eq!(*soon(messages.next()).await.unwrap().data, json!(2));
}

#[tokio::test]
async fn a_connection_cut_by_redis_fails_its_subscriptions() {
    let server = Server::start().await;
    let harness = Harness::redis(&server.url(), FeedLimits::default()).await;
    let stream = channel("user#acme/");
    let mut messages = harness.bus.subscribe(&stream).await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut link = client.get_multiplexed_async_connection().await.unwrap();
    let kill = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").to_owned();
    let killed: i64 = kill.query_async(&mut link).await.unwrap();
    assert_eq!(killed, 1, "one subscriber connection per node");
    assert!(soon(messages.next()).await.is_err());
    let mut messages = soon(async {
        loop {
            if let Ok(messages) = harness.bus.subscribe(&stream).await {
                return messages;
            }
        }
    })
    .await;
    harness.bus.push(&stream, key(1), Position(1), &json!(1)).await.unwrap();
    assert_eq!(soon(messages.next()).await.unwrap().position.offset, 1);
}
