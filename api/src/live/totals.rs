//! What a room came to, as this node knows it, and how much of that is kept.

use domain::ports::{Attendance, RoomTotals};
use parking_lot::Mutex;

#[derive(Default)]
struct State {
    is_loaded: bool,
    known: RoomTotals,
    kept: RoomTotals,
}

/// What a room came to.
#[derive(Default)]
pub struct Totals(Mutex<State>);

impl Totals {
    /// Whether it is known what is kept already.
    pub fn is_loaded(&self) -> bool {
        self.0.lock().is_loaded
    }

    /// Takes in what is kept already.
    pub fn load(&self, kept: RoomTotals) {
        let mut state = self.0.lock();
        state.known = state.known.max(kept);
        (state.kept, state.is_loaded) = (kept, true);
    }

    /// Likes so far.
    pub fn likes(&self) -> u64 {
        self.0.lock().known.likes
    }

    /// There were so many likes.
    pub fn liked(&self, likes: u64) {
        let mut state = self.0.lock();
        state.known = state.known.max(RoomTotals { likes, ..RoomTotals::default() });
    }

    /// So many watched.
    pub fn attended(&self, Attendance { peak, distinct, .. }: Attendance) {
        let mut state = self.0.lock();
        let attended = RoomTotals { viewers_peak: peak, viewers_distinct: distinct, likes: 0 };
        state.known = state.known.max(attended);
    }

    /// What is to be kept, where anything changed.
    pub fn unkept(&self) -> Option<RoomTotals> {
        let state = self.0.lock();
        (state.known != state.kept).then_some(state.known)
    }

    /// This is kept now.
    pub fn kept(&self, totals: RoomTotals) {
        let mut state = self.0.lock();
        state.kept = state.kept.max(totals);
    }
}
