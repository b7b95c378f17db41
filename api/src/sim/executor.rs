//! Polls one task at a time.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::task::{Context, Wake, Waker};

use parking_lot::Mutex;
use rand::Rng;

use super::world::{OUTSIDE, RoleId, Task, World};

/// Polls after which a run is taken for endless.
const POLLS_MAX: u64 = 200_000;
type TaskId = usize;

/// Tasks that can go on: a set, because in which order one step wakes many must not matter (tokio's
/// `watch` wakes its receivers in a random order).
#[derive(Default)]
pub(super) struct Ready {
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

/// Why a run came to no end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stuck {
    /// Nothing can go on and no timer is set.
    Nobody,
    /// It went on for too long.
    Endless,
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
