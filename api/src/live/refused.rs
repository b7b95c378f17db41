//! The refusal of a call, which is its result.

use std::time::Duration;

use serde_json::{Value, json};

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The stable code.
    pub code: &'static str,
    /// For people.
    pub reason: String,
    /// After how long it may be tried again.
    pub retry_after: Option<Duration>,
}

impl Refused {
    /// A refusal that waiting does not change, as far as is known.
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), retry_after: None }
    }

    /// A refusal that ends.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// The result of the call.
    pub fn result(&self) -> Value {
        let mut refused = json!({"code": self.code, "reason": self.reason});
        if let (Some(wait), Some(members)) = (self.retry_after, refused.as_object_mut()) {
            // rounded up: whoever waits so long is not refused again
            let milliseconds = u64::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
            members.insert("retry_after_ms".to_owned(), milliseconds.max(1).into());
        }
        json!({"refused": refused})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up() {
        let refused = Refused::new("rate_limited", "slow down");
        assert_eq!(
            refused.result(),
            json!({"refused": {"code": "rate_limited", "reason": "slow down"}})
        );
        let wait = |micros| {
            let refused = refused.clone().retry_after(Duration::from_micros(micros));
            refused.result()["refused"]["retry_after_ms"].clone()
        };
        assert_eq!((wait(0), wait(1_000), wait(1_001)), (json!(1), json!(1), json!(2)));
    }
}
