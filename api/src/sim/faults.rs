//! How badly the world behaves, and what that does to one call of a port.

use std::time::Duration;

use domain::ports::{Clock, PortError};

use super::clock::SimClock;
use super::world::World;
use std::sync::Arc;

/// How often what goes wrong, in a thousand calls of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    /// Whether calls are points where another task may go first.
    pub yields: bool,
    /// The call takes some milliseconds.
    pub slow: u64,
    /// The call takes seconds.
    pub stall: u64,
    /// The call does not reach its port.
    pub refuse: u64,
    /// The call is done, and its answer is lost.
    pub lose: u64,
    /// A message is delivered again.
    pub repeat: u64,
    /// The role dies before or after the call.
    pub kill: u64,
    /// A writer is taken for dead when it commits, and stands still for a while.
    pub zombie: u64,
}

impl Levels {
    /// Everything works, at once.
    pub const fn none() -> Self {
        Self { yields: false, slow: 0, stall: 0, refuse: 0, lose: 0, repeat: 0, kill: 0, zombie: 0 }
    }

    /// The levels of one run.
    pub fn draw(world: &World) -> Self {
        let up_to = |most: u64| if world.chance(350) { 0 } else { world.below(most + 1) };
        Self {
            yields: true,
            slow: up_to(200),
            stall: up_to(8),
            refuse: up_to(30),
            lose: up_to(30),
            repeat: up_to(120),
            kill: up_to(6),
            zombie: up_to(60),
        }
    }
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is done and answered.
    Done,
    /// It does not reach its port.
    Refused,
    /// It is done, and the answer is lost.
    Lost,
}

/// The way of a role to its ports.
#[derive(Clone)]
pub struct Line {
    /// The world.
    pub world: Arc<World>,
    clock: Arc<SimClock>,
}

impl Line {
    /// A line of the world.
    pub fn new(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world), clock: Arc::new(SimClock(Arc::clone(world))) }
    }

    /// Before a call: somebody else may go first, time may pass, the role may die; then the call's
    /// fate is known.
    pub async fn before(&self, call: &'static str) -> Fate {
        let levels = self.world.levels();
        if !levels.yields {
            return Fate::Done;
        }
        self.pass(levels, call).await;
        let fate = match self.world.below(1_000) {
            drawn if drawn < levels.refuse => Fate::Refused,
            drawn if drawn < levels.refuse + levels.lose => Fate::Lost,
            _ => Fate::Done,
        };
        self.world.note(|| match fate {
            Fate::Done => call.to_owned(),
            Fate::Refused => format!("{call} does not arrive"),
            Fate::Lost => format!("{call}, the answer is lost"),
        });
        fate
    }

    /// After a call.
    pub async fn after(&self, call: &'static str) {
        let levels = self.world.levels();
        if levels.yields {
            self.pass(levels, call).await;
        }
    }

    async fn pass(&self, levels: Levels, call: &'static str) {
        World::yield_now().await;
        if self.world.chance(levels.slow) {
            let pause = self.world.between(1, 60);
            self.clock.sleep(pause).await;
        }
        if self.world.chance(levels.stall) {
            let pause = self.world.between(500, 7_000);
            self.world.note(|| format!("{call} stalls for {} ms", pause.as_millis()));
            self.clock.sleep(pause).await;
        }
        if self.world.chance(levels.kill) {
            self.world.note(|| format!("dies at {call}"));
            self.world.kill(self.world.current());
            // the executor drops this task; one that nobody kills goes on
            World::yield_now().await;
        }
    }

    /// Runs a call that may be tried again after an error.
    ///
    /// # Errors
    /// The call's own, or that it was refused or its answer lost.
    pub async fn call<T>(
        &self,
        call: &'static str,
        port: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let fate = self.before(call).await;
        if fate == Fate::Refused {
            return Err(gone(call));
        }
        let answer = port.await;
        self.after(call).await;
        if fate == Fate::Lost {
            return Err(gone(call));
        }
        answer
    }

    /// Waits.
    pub async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }
}

/// What a call that went wrong says.
pub fn gone(call: &'static str) -> PortError {
    PortError::unavailable(call, "the simulated network")
}
