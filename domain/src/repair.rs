//! Who repairs something by hand, and why: every event of a repair holds it.

use crate::actor::{Actor, Role};

/// Characters of an author, and of a ticket.
pub const REPAIR_NAME_CHARS_MAX: usize = 64;
/// Characters of a reason.
pub const REPAIR_REASON_CHARS_MAX: usize = 200;

/// What stands in front of a repair in the subject of an event's metadata.
const BEGINS: &str = "repair ";

/// A repair, as its author accounts for it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    /// Who repairs.
    pub author: String,
    /// Where it was agreed.
    pub ticket: String,
    /// Why.
    pub reason: String,
}

/// Why a repair is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} has 1 to {1} characters, none of them a control character")]
pub struct RepairError(pub &'static str, pub usize);

impl Repair {
    /// A repair that somebody accounts for.
    ///
    /// # Errors
    /// [`RepairError`] naming what is empty or too long.
    pub fn try_new(author: &str, ticket: &str, reason: &str) -> Result<Self, RepairError> {
        let fields = [
            ("the author", author, REPAIR_NAME_CHARS_MAX),
            ("the ticket", ticket, REPAIR_NAME_CHARS_MAX),
            ("the reason", reason, REPAIR_REASON_CHARS_MAX),
        ];
        for (name, text, max) in fields {
            let fits = (1..=max).contains(&text.chars().count());
            if !fits || text.chars().any(char::is_control) {
                return Err(RepairError(name, max));
            }
        }
        let [author, ticket, reason] = [author, ticket, reason].map(str::to_owned);
        Ok(Self { author, ticket, reason })
    }

    /// Who issues the commands of the repair.
    pub fn actor(&self) -> Actor {
        let text = serde_json::to_string(self).unwrap_or_default();
        Actor { role: Role::Admin, subject: Some(format!("{BEGINS}{text}")) }
    }

    /// The repair that an event comes from, if it comes from one.
    pub fn of(actor: &Actor) -> Option<Self> {
        serde_json::from_str(actor.subject.as_deref()?.strip_prefix(BEGINS)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repair_comes_back_from_the_actor_of_an_event() {
        let repair = Repair::try_new("kim", "OPS-7", "the provider's report").expect("fits");
        assert_eq!(Repair::of(&repair.actor()), Some(repair));
        assert_eq!(Repair::of(&Actor::system()), None);
        let viewer = Actor { role: Role::Viewer, subject: Some("af01".to_owned()) };
        assert_eq!(Repair::of(&viewer), None);
    }

    #[test]
    fn limits_hold_at_their_ends() {
        let (name, reason) =
            ("a".repeat(REPAIR_NAME_CHARS_MAX), "b".repeat(REPAIR_REASON_CHARS_MAX));
        assert!(Repair::try_new(&name, &name, &reason).is_ok());
        assert!(Repair::try_new(&format!("{name}a"), &name, &reason).is_err());
        assert!(Repair::try_new(&name, &format!("{name}a"), &reason).is_err());
        assert!(Repair::try_new(&name, &name, &format!("{reason}b")).is_err());
        assert!(Repair::try_new("", "t", "r").is_err());
        assert!(Repair::try_new("a", "t", "line\nline").is_err());
    }
}
