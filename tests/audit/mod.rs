//! The audit tools, as a program and as a library, on both stores and on exported files.

mod broken;
mod evidence;
mod exports;
mod fuzz;
mod large;
mod moments;
mod orders;
mod page;
pub mod program;
mod rebuild;
mod reconcile;
mod released;
mod replica;
mod sealer;
mod seals;
mod show;
mod shown;
mod shred;
mod topic;
mod whatif;
