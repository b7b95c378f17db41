//! The audit tools, as a program and as a library, on both stores and on exported files.

mod exports;
mod moments;
mod orders;
pub mod program;
mod rebuild;
mod reconcile;
mod seals;
mod show;
