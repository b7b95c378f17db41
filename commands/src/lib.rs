//! The half of onair that writes the log: intake, writer, store, relay and the processes that
//! propose commands.

pub mod clock;
pub mod faults;
pub mod intake;
mod lease;
pub mod log;
pub mod metrics;
pub mod process;
pub mod relay;
pub mod sealer;
pub mod store;
pub mod writer;
