//! The command log: in process and on Kafka.

pub mod kafka;
mod memory;
mod partitioner;
pub mod topics;

pub use memory::{MEMORY_LOG_DEPTH, MemberId, MemoryCommandConsumer, MemoryCommandLog};
pub use partitioner::partition_of;

/// Bytes of one record; a longer one is refused before it is queued. Below the broker's default of
/// 1 MiB, so that the refusal is always ours and certain.
pub const RECORD_MAX_BYTES: usize = 1_000_000;
