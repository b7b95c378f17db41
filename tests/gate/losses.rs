//! Redis loses something: the spotlight takes nothing until it is rebuilt under a higher epoch.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use domain::ports::TakeOutcome;
use projections::stock_counter::{Presence, RedisGate};

use super::story::Story;
use super::suite::{Gate, apply, taken};
use super::world::World;

/// A Redis of this test's own.
struct OwnRedis {
    folder: tempfile::TempDir,
    port: u16,
    process: Child,
}

impl OwnRedis {
    async fn start() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let folder = tempfile::tempdir().expect("creates");
        let process = Self::spawn(folder.path(), port);
        let redis = Self { folder, port, process };
        redis.until_ready().await;
        redis
    }

    fn spawn(folder: &std::path::Path, port: u16) -> Child {
        Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .arg("--dir")
            .arg(folder)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server starts")
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    async fn ask(&self, command: &str) -> redis::RedisResult<redis::Value> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd(command).query_async(&mut connection).await
    }

    async fn until_ready(&self) {
        for _ in 0..500 {
            if self.ask("PING").await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("redis-server did not become ready");
    }

    /// Dies and comes back with its append-only file intact.
    async fn restart(&mut self) {
        self.process.kill().expect("was running");
        self.process.wait().expect("ends");
        self.process = Self::spawn(self.folder.path(), self.port);
        self.until_ready().await;
    }

    async fn gate(&self) -> Arc<RedisGate> {
        Arc::new(RedisGate::connect(&[self.url()]).await.expect("connects"))
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first command on a connection that broke may fail; whether it acted is not known.
async fn take(gate: &Gate, take: &domain::ports::Take) -> TakeOutcome {
    for _ in 0..200 {
        if let Ok(outcome) = gate.take(take).await {
            return outcome;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the gate cannot be reached");
}

async fn running_sale(gate: &Gate) -> Arc<World> {
    let mut story = Story::new();
    let mut events = story.open(&[("a", 10)]);
    apply(gate, &story, &events).await;
    let (sold, held) = (story.take(&[("a", 3)]), story.take(&[("a", 2)]));
    events = story.reserved(&sold, taken(gate, &sold).await);
    events.push(story.confirmed(&sold));
    events.extend(story.reserved(&held, taken(gate, &held).await));
    apply(gate, &story, &events).await;
    World::new(story)
}

#[tokio::test]
async fn a_restarted_redis_takes_nothing_before_a_rebuild() {
    let mut redis = OwnRedis::start().await;
    let gate: Gate = redis.gate().await;
    let world = running_sale(&gate).await;
    let wanted = world.story().await.take(&[("a", 1)]);
    let pending = world.story().await.take(&[("a", 1)]);
    taken(&gate, &pending).await;
    redis.restart().await;

    let spotlight = world.spotlight().await;
    let other: Gate = redis.gate().await;
    for gate in [&gate, &other, &gate] {
        assert_eq!(take(gate, &wanted).await, TakeOutcome::NoState);
        assert_eq!(gate.view(spotlight).await.expect("answers"), None);
    }
    assert_eq!(gate.lost().await, [spotlight]);

    let rebuilder = world.rebuilder(Arc::clone(&gate));
    assert_eq!(rebuilder.ensure(spotlight).await.expect("rebuilds"), Presence::Ready);
    assert_eq!(world.epoch().await, 2);
    for gate in [&gate, &other] {
        let TakeOutcome::Taken { admission, .. } =
            take(gate, &world.story().await.take(&[("a", 1)])).await
        else {
            panic!("not open again");
        };
        assert_eq!(admission.epoch, 2);
        assert!(gate.lost().await.is_empty());
    }
    let view = gate.view(spotlight).await.expect("answers").expect("has state");
    // 3 sold, 2 held, 2 pending: what was pending before is gone
    let shown = view.inventory.values().next().copied().expect("one SKU");
    assert_eq!((shown.remaining, shown.held, shown.sold), (3, 4, 3));
}

#[tokio::test]
async fn a_restart_is_noticed_where_nobody_orders() {
    let mut redis = OwnRedis::start().await;
    let gate: Gate = redis.gate().await;
    let world = running_sale(&gate).await;
    assert!(gate.lost().await.is_empty());
    redis.restart().await;
    let mut lost = gate.lost().await;
    for _ in 0..200 {
        if !lost.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        lost = gate.lost().await;
    }
    assert_eq!(lost, [world.spotlight().await]);
}

#[tokio::test]
async fn an_emptied_redis_is_rebuilt() {
    let redis = OwnRedis::start().await;
    let gate: Gate = redis.gate().await;
    let world = running_sale(&gate).await;
    redis.ask("FLUSHALL").await.expect("empties");
    let spotlight = world.spotlight().await;
    let wanted = world.story().await.take(&[("a", 5)]);
    assert_eq!(take(&gate, &wanted).await, TakeOutcome::NoState);
    assert_eq!(gate.lost().await, [spotlight]);
    let rebuilder = world.rebuilder(Arc::clone(&gate));
    assert_eq!(rebuilder.ensure(spotlight).await.expect("rebuilds"), Presence::Ready);
    let TakeOutcome::Taken { admission, .. } = take(&gate, &wanted).await else {
        panic!("not open again");
    };
    assert_eq!((admission.epoch, admission.number), (2, 1));
    let more = world.story().await.take(&[("a", 1)]);
    assert!(matches!(take(&gate, &more).await, TakeOutcome::SoldOut { .. }));
}

/// A snapshot that lost the race must not make a restarted Redis take again.
#[tokio::test]
async fn a_stale_load_does_not_revive_a_lost_gate() {
    let mut redis = OwnRedis::start().await;
    let gate: Gate = redis.gate().await;
    let world = running_sale(&gate).await;
    let mut fold = domain::gate::SnapshotFold::default();
    world.story().await.events.iter().for_each(|event| fold.apply(event));
    let stale = fold.finish().expect("scheduled");
    redis.restart().await;
    let wanted = world.story().await.take(&[("a", 1)]);
    assert_eq!(take(&gate, &wanted).await, TakeOutcome::NoState);
    let refused = domain::ports::Loaded::NotHigher { epoch: 1 };
    assert_eq!(gate.load(&stale).await.expect("answers"), refused);
    assert_eq!(take(&gate, &wanted).await, TakeOutcome::NoState);
}
