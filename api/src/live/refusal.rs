//! The refusal of a call, which is its result.

use std::time::Duration;

use serde_json::Value;

use crate::wire::feed::{CallRefused, RefusedCall};

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
        // rounded up: whoever waits so long is not refused again
        let milliseconds = |wait: Duration| wait.as_micros().div_ceil(1_000).max(1);
        let refused = RefusedCall {
            code: self.code.to_owned(),
            reason: self.reason.clone(),
            retry_after_ms: self
                .retry_after
                .map(|wait| u64::try_from(milliseconds(wait)).unwrap_or(u64::MAX)),
        };
        serde_json::to_value(CallRefused { refused }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
