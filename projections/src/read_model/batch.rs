//! Which events of a batch are new.

use domain::envelope::{Position, Recorded};
use domain::ports::PortError;

/// The events after the checkpoint. Positions are dense, so a missing one is seen.
///
/// # Errors
/// [`PortError::Corrupt`] where an event after the checkpoint is missing; nothing may be applied.
pub fn after_checkpoint<'a>(
    name: &'static str,
    checkpoint: Position,
    events: &'a [Recorded],
) -> Result<&'a [Recorded], PortError> {
    let known = events.partition_point(|event| event.position <= checkpoint);
    let (_, new) = events.split_at(known);
    let mut last = checkpoint;
    for event in new {
        let next = Position(last.0.saturating_add(1));
        if event.position != next {
            let got = event.position;
            return Err(PortError::corrupt(
                name,
                format_args!("a gap: position {next} is missing before {got}"),
            ));
        }
        last = next;
    }
    Ok(new)
}
