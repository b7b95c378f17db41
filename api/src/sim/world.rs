//! The world of one run: its only clock, its only dice, and the executor that polls one task at a
//! time.
//!
//! Everything that happens follows from the seed. A task is polled only when the dice pick it among
//! those that can go on; time moves only when none can. A role is a process: killing it drops its
//! tasks where they stand, and it begins again from what the stores and logs hold.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::Timestamp;
use domain::ports::Clock;
use parking_lot::Mutex;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::faults::Levels;

/// A task of the executor.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A process, or what stands for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleId(pub usize);

/// The script, the clients and the faults: nobody kills them.
pub const OUTSIDE: RoleId = RoleId(0);

/// Polls after which a run is taken for endless.
const POLLS_MAX: u64 = 200_000;
/// The first moment of every run: 2026-01-01T00:00:00Z.
const BEGINNING: i64 = 1_767_225_600;

type TaskId = usize;

/// Tasks that can go on: a set, because in which order one step wakes many must not matter (tokio's
/// `watch` wakes its receivers in a random order).
#[derive(Default)]
struct Ready {
    tasks: Mutex<BTreeSet<TaskId>>,
}

struct TaskWaker {
    task: TaskId,
    ready: Weak<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(ready) = self.ready.upgrade() {
            ready.tasks.lock().insert(self.task);
        }
    }
}

struct Slot {
    role: RoleId,
    task: Task,
    waker: Waker,
}

/// What starts a role: its tasks, made from what outlives it.
type Start = Arc<dyn Fn() -> Vec<Task> + Send + Sync>;

struct Role {
    name: String,
    start: Start,
    /// Called when the role is killed.
    stopped: Arc<dyn Fn() + Send + Sync>,
}

struct Inner {
    dice: ChaCha8Rng,
    now: Timestamp,
    timers: BTreeMap<(Timestamp, u64), Waker>,
    timers_made: u64,
    levels: Levels,
    spawned: Vec<(RoleId, Task)>,
    roles: BTreeMap<RoleId, Role>,
    current: RoleId,
    kills: Vec<RoleId>,
    trace: Option<Vec<String>>,
    /// A hash of everything that was decided: two runs of a seed have the same.
    fingerprint: u64,
    failure: Option<String>,
}

/// The world; everybody has it.
pub struct World {
    inner: Mutex<Inner>,
    ready: Arc<Ready>,
}

/// Why a run came to no end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stuck {
    /// Nothing can go on and no timer is set.
    Nobody,
    /// It went on for too long.
    Endless,
}

impl World {
    /// A new world.
    pub fn new(seed: u64, traced: bool) -> Arc<Self> {
        let inner = Inner {
            dice: ChaCha8Rng::seed_from_u64(seed),
            now: Timestamp::from_timestamp(BEGINNING, 0).unwrap_or_default(),
            timers: BTreeMap::new(),
            timers_made: 0,
            levels: Levels::none(),
            spawned: vec![],
            roles: BTreeMap::new(),
            current: OUTSIDE,
            kills: vec![],
            trace: traced.then(Vec::new),
            fingerprint: seed,
            failure: None,
        };
        Arc::new(Self { inner: Mutex::new(inner), ready: Arc::default() })
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.inner.lock().now
    }

    /// How badly the world behaves.
    pub fn levels(&self) -> Levels {
        self.inner.lock().levels
    }

    /// Changes how badly it behaves.
    pub fn set_levels(&self, levels: Levels) {
        self.inner.lock().levels = levels;
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&self, bound: u64) -> u64 {
        let mut inner = self.inner.lock();
        let drawn = inner.dice.random_range(0..bound.max(1));
        inner.mix(drawn);
        drawn
    }

    /// Whether something happens that happens `per_mille` times in a thousand.
    pub fn chance(&self, per_mille: u64) -> bool {
        per_mille > 0 && self.below(1_000) < per_mille
    }

    /// One of the items; the list is not empty.
    pub fn pick<'a, T>(&self, items: &'a [T]) -> Option<&'a T> {
        let index = usize::try_from(self.below(u64::try_from(items.len()).ok()?)).ok()?;
        items.get(index)
    }

    /// The items in another order.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        items.shuffle(&mut self.inner.lock().dice);
    }

    /// A pause between two bounds, in milliseconds.
    pub fn between(&self, from_ms: u64, to_ms: u64) -> Duration {
        Duration::from_millis(from_ms + self.below(to_ms.saturating_sub(from_ms).max(1)))
    }

    /// Writes a line into the trace, if there is one.
    pub fn note(&self, line: impl FnOnce() -> String) {
        let mut inner = self.inner.lock();
        if inner.trace.is_none() {
            return;
        }
        let beginning = Timestamp::from_timestamp(BEGINNING, 0).unwrap_or_default();
        let at = (inner.now - beginning).num_milliseconds();
        let role = inner.roles.get(&inner.current).map_or("outside", |role| role.name.as_str());
        let line = format!("{at:>7} ms  {role:<10} {}", line());
        if let Some(trace) = &mut inner.trace {
            trace.push(line);
        }
    }

    /// The run has failed; the first failure counts.
    pub fn fail(&self, failure: impl Into<String>) {
        let failure = failure.into();
        self.note(|| format!("FAILED: {failure}"));
        self.inner.lock().failure.get_or_insert(failure);
    }

    /// Why the run has failed, if it has.
    pub fn failure(&self) -> Option<String> {
        self.inner.lock().failure.clone()
    }

    /// What was written down, and the hash of all decisions.
    pub fn take_trace(&self) -> (Vec<String>, u64) {
        let mut inner = self.inner.lock();
        (inner.trace.take().unwrap_or_default(), inner.fingerprint)
    }

    /// Adds a role and starts it.
    pub fn add_role(
        &self,
        name: impl Into<String>,
        start: impl Fn() -> Vec<Task> + Send + Sync + 'static,
        stopped: impl Fn() + Send + Sync + 'static,
    ) -> RoleId {
        let mut inner = self.inner.lock();
        let id = RoleId(inner.roles.len() + 1);
        let role = Role { name: name.into(), start: Arc::new(start), stopped: Arc::new(stopped) };
        inner.roles.insert(id, role);
        drop(inner);
        self.start(id);
        id
    }

    /// Starts a role's tasks.
    pub fn start(&self, id: RoleId) {
        let start = self.inner.lock().roles.get(&id).map(|role| Arc::clone(&role.start));
        let Some(start) = start else { return };
        for task in start() {
            self.spawn(id, task);
        }
    }

    /// Gives a task to a role.
    pub fn spawn(&self, role: RoleId, task: Task) {
        self.inner.lock().spawned.push((role, task));
    }

    /// Kills a role once the task that is being polled waits.
    pub fn kill(&self, role: RoleId) {
        if role != OUTSIDE {
            self.inner.lock().kills.push(role);
        }
    }

    /// The role whose task is being polled.
    pub fn current(&self) -> RoleId {
        self.inner.lock().current
    }

    /// Lets somebody else go first, perhaps.
    pub fn yield_now(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut yielded = false;
        std::future::poll_fn(move |context| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }
}

impl Inner {
    const fn mix(&mut self, value: u64) {
        self.fingerprint =
            (self.fingerprint.rotate_left(7) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// The world's clock.
pub struct SimClock(pub Arc<World>);

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    async fn sleep(&self, duration: Duration) {
        let world = &self.0;
        let until = world.now() + TimeDelta::from_std(duration).unwrap_or(TimeDelta::zero());
        let mut timer = Timer { world, key: None };
        std::future::poll_fn(|context| timer.poll(until, context)).await;
    }
}

/// A timer that is taken back when its future is dropped.
struct Timer<'a> {
    world: &'a World,
    key: Option<(Timestamp, u64)>,
}

impl Timer<'_> {
    fn poll(&mut self, until: Timestamp, context: &Context<'_>) -> Poll<()> {
        let mut inner = self.world.inner.lock();
        if inner.now >= until {
            return Poll::Ready(());
        }
        let key = match self.key {
            Some(key) => key,
            None => {
                inner.timers_made += 1;
                (until, inner.timers_made)
            }
        };
        inner.timers.insert(key, context.waker().clone());
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.world.inner.lock().timers.remove(&key);
        }
    }
}

/// Polls the world's tasks.
pub struct Executor {
    world: Arc<World>,
    slots: Vec<Option<Slot>>,
    free: Vec<TaskId>,
    polls: u64,
}

impl Executor {
    /// The executor of a world.
    pub fn new(world: Arc<World>) -> Self {
        Self { world, slots: vec![], free: vec![], polls: 0 }
    }

    /// How many polls there were.
    pub const fn polls(&self) -> u64 {
        self.polls
    }

    /// Runs until `done`, or until something has failed.
    ///
    /// # Errors
    /// [`Stuck`] where that does not come.
    pub fn run(&mut self, done: impl Fn() -> bool) -> Result<(), Stuck> {
        while !done() && self.world.inner.lock().failure.is_none() {
            self.take_spawned();
            let Some(id) = self.choose() else {
                if self.world.inner.lock().spawned.is_empty() && !self.advance() {
                    return Err(Stuck::Nobody);
                }
                continue;
            };
            self.poll(id);
            self.bury();
            self.polls += 1;
            if self.polls > POLLS_MAX {
                return Err(Stuck::Endless);
            }
        }
        Ok(())
    }

    fn take_spawned(&mut self) {
        let spawned = std::mem::take(&mut self.world.inner.lock().spawned);
        for (role, task) in spawned {
            let id = self.free.pop().unwrap_or(self.slots.len());
            let ready = Arc::downgrade(&self.world.ready);
            let waker = Waker::from(Arc::new(TaskWaker { task: id, ready }));
            waker.wake_by_ref();
            let slot = Some(Slot { role, task, waker });
            match self.slots.get_mut(id) {
                Some(place) => *place = slot,
                None => self.slots.push(slot),
            }
        }
    }

    fn choose(&self) -> Option<TaskId> {
        let mut ready = self.world.ready.tasks.lock();
        if ready.is_empty() {
            return None;
        }
        let mut inner = self.world.inner.lock();
        let index = inner.dice.random_range(0..ready.len());
        let id = ready.iter().nth(index).copied()?;
        ready.remove(&id);
        inner.mix(u64::try_from(id).unwrap_or(0));
        Some(id)
    }

    fn poll(&mut self, id: TaskId) {
        let Some(Some(slot)) = self.slots.get_mut(id) else { return };
        self.world.inner.lock().current = slot.role;
        let waker = slot.waker.clone();
        let polled = slot.task.as_mut().poll(&mut Context::from_waker(&waker));
        self.world.inner.lock().current = OUTSIDE;
        if polled.is_ready() {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: TaskId) {
        let slot = self.slots.get_mut(id).and_then(Option::take);
        if slot.is_some() {
            self.world.ready.tasks.lock().remove(&id);
            self.free.push(id);
        }
        // what it drops may wake others
        drop(slot);
    }

    /// Drops the tasks of roles that were killed.
    fn bury(&mut self) {
        let kills = std::mem::take(&mut self.world.inner.lock().kills);
        for role in kills {
            self.world.note(|| format!("role {} is killed", role.0));
            let spawned = std::mem::take(&mut self.world.inner.lock().spawned);
            // dropping a task may take back timers, so nothing is locked meanwhile
            let kept: Vec<_> = spawned.into_iter().filter(|(of, _)| *of != role).collect();
            self.world.inner.lock().spawned.extend(kept);
            let ids: Vec<TaskId> = (0..self.slots.len())
                .filter(|id| matches!(self.slots.get(*id), Some(Some(slot)) if slot.role == role))
                .collect();
            for id in ids {
                self.remove(id);
            }
            let stopped =
                self.world.inner.lock().roles.get(&role).map(|role| Arc::clone(&role.stopped));
            if let Some(stopped) = stopped {
                stopped();
            }
        }
    }

    /// Moves the time on to the next timer; tells whether there was one.
    fn advance(&self) -> bool {
        let mut inner = self.world.inner.lock();
        let Some((at, _)) = inner.timers.keys().next().copied() else { return false };
        inner.now = inner.now.max(at);
        let later = inner.timers.split_off(&(at, u64::MAX));
        let due = std::mem::replace(&mut inner.timers, later);
        drop(inner);
        for waker in due.into_values() {
            waker.wake();
        }
        true
    }
}
