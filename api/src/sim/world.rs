//! The world of one run: its only clock, its only dice, and the tasks of its roles.
//!
//! Everything that happens follows from the seed. A task is polled only when the dice pick it among
//! those that can go on; time moves only when none can. A role is a process: killing it drops its
//! tasks where they stand, and it begins again from what the stores and logs hold.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use domain::Timestamp;
use parking_lot::Mutex;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::executor::Ready;
use super::faults::Levels;

/// A task of the executor.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A process, or what stands for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleId(pub usize);

/// The script, the clients and the faults: nobody kills them.
pub const OUTSIDE: RoleId = RoleId(0);

/// The first moment of every run: 2026-01-01T00:00:00Z.
const BEGINNING: i64 = 1_767_225_600;

/// What starts a role: its tasks, made from what outlives it.
pub(super) type Start = Arc<dyn Fn() -> Vec<Task> + Send + Sync>;

pub(super) struct Role {
    pub(super) name: String,
    pub(super) start: Start,
    /// Called when the role is killed.
    pub(super) stopped: Arc<dyn Fn() + Send + Sync>,
}

pub(super) struct Inner {
    pub(super) dice: ChaCha8Rng,
    pub(super) now: Timestamp,
    pub(super) timers: BTreeMap<TimerKey, Waker>,
    pub(super) timers_made: u64,
    pub(super) levels: Levels,
    pub(super) spawned: Vec<(RoleId, Task)>,
    pub(super) roles: BTreeMap<RoleId, Role>,
    pub(super) current: RoleId,
    pub(super) kills: Vec<RoleId>,
    pub(super) trace: Option<Vec<String>>,
    /// A hash of everything that was decided: two runs of a seed have the same.
    pub(super) fingerprint: u64,
    pub(super) failure: Option<String>,
}

/// The world; everybody has it.
pub struct World {
    pub(super) inner: Mutex<Inner>,
    pub(super) ready: Arc<Ready>,
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

    /// Sets a timer, or the same one again; nothing where its time has come.
    pub fn set_timer(
        &self,
        until: Timestamp,
        known: Option<TimerKey>,
        waker: &Waker,
    ) -> Option<TimerKey> {
        let mut inner = self.inner.lock();
        if inner.now >= until {
            return None;
        }
        let key = known.unwrap_or_else(|| {
            inner.timers_made += 1;
            (until, inner.timers_made)
        });
        inner.timers.insert(key, waker.clone());
        Some(key)
    }

    /// Takes a timer back.
    pub fn drop_timer(&self, key: TimerKey) {
        self.inner.lock().timers.remove(&key);
    }
}

/// A timer: its time, and its number.
pub type TimerKey = (Timestamp, u64);

impl World {
    /// Lets somebody else go first, perhaps.
    pub fn yield_now() -> impl Future<Output = ()> + Send + use<> {
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
    pub(super) const fn mix(&mut self, value: u64) {
        self.fingerprint =
            (self.fingerprint.rotate_left(7) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
