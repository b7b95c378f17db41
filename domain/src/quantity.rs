//! A number of units of one line: at least one, capped.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::limits::ORDER_UNITS_MAX;

/// Units of one order line, 1 to [`ORDER_UNITS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Quantity(NonZeroU32);

/// A quantity outside 1 to [`ORDER_UNITS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not between 1 and {ORDER_UNITS_MAX}")]
pub struct QuantityError;

impl Quantity {
    /// Parses a quantity.
    ///
    /// # Errors
    /// [`QuantityError`] outside 1 to [`ORDER_UNITS_MAX`].
    pub fn try_new(units: u32) -> Result<Self, QuantityError> {
        NonZeroU32::new(units)
            .filter(|units| units.get() <= ORDER_UNITS_MAX)
            .map(Self)
            .ok_or(QuantityError)
    }

    /// The number of units.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl TryFrom<u32> for Quantity {
    type Error = QuantityError;
    fn try_from(units: u32) -> Result<Self, QuantityError> {
        Self::try_new(units)
    }
}

impl From<Quantity> for u32 {
    fn from(quantity: Quantity) -> Self {
        quantity.get()
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_the_cap() {
        assert_eq!(Quantity::try_new(0), Err(QuantityError));
        assert_eq!(Quantity::try_new(1).map(Quantity::get), Ok(1));
        assert!(Quantity::try_new(ORDER_UNITS_MAX).is_ok());
        assert_eq!(Quantity::try_new(ORDER_UNITS_MAX + 1), Err(QuantityError));
    }
}
