//! The newcomer's minute: a scripted show whose viewers use the same HTTP and sockets as any
//! client.

mod encore;
mod screen;
mod shop;
mod show;
mod viewer;

pub use screen::Summary;
pub use show::{Show, run};

/// Viewers where `--viewers` is not given.
pub const VIEWERS_DEFAULT: u32 = 300;
/// Most viewers; each has a socket and a task in this process.
pub const VIEWERS_MAX: u32 = 5_000;
/// Units where `--units` is not given.
pub const UNITS_DEFAULT: u32 = 120;
/// Most units.
pub const UNITS_MAX: u32 = 10_000;
/// Fastest and slowest `--pace`.
pub const PACE_RANGE: (f64, f64) = (0.1, 100.0);
