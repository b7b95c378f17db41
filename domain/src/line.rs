//! The lines of an order.

use serde::{Deserialize, Serialize};

use crate::ids::Sku;
use crate::limits::{ORDER_LINES_MAX, ORDER_UNITS_MAX};
use crate::money::{Money, MoneyError};
use crate::quantity::Quantity;

/// A quantity of one SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
}

/// A line with the price that was promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedLine {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// The price of one unit.
    pub unit_price: Money,
}

impl PricedLine {
    /// The line without its price.
    pub fn unpriced(&self) -> Line {
        Line { sku: self.sku.clone(), quantity: self.quantity }
    }
}

/// Why a list of lines is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinesError {
    /// No line.
    #[error("is empty")]
    Empty,
    /// More than [`ORDER_LINES_MAX`] lines.
    #[error("has more than {ORDER_LINES_MAX} lines")]
    TooMany,
    /// A SKU stands in two lines.
    #[error("repeats the SKU {0}")]
    Repeated(Sku),
    /// More than [`ORDER_UNITS_MAX`] units over all lines.
    #[error("has more than {ORDER_UNITS_MAX} units over all lines")]
    TooManyUnits,
}

/// The lines of one order: not empty, each SKU once, at most [`ORDER_UNITS_MAX`] units.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<Line>")]
pub struct Lines(Vec<Line>);

impl Serialize for Lines {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Lines {
    /// Parses the lines.
    ///
    /// # Errors
    /// [`LinesError`] where the list is empty, too long, repeats a SKU or has too many units.
    pub fn try_new(lines: Vec<Line>) -> Result<Self, LinesError> {
        if lines.is_empty() {
            return Err(LinesError::Empty);
        }
        if lines.len() > ORDER_LINES_MAX {
            return Err(LinesError::TooMany);
        }
        for (index, line) in lines.iter().enumerate() {
            if lines.iter().take(index).any(|earlier| earlier.sku == line.sku) {
                return Err(LinesError::Repeated(line.sku.clone()));
            }
        }
        if lines.iter().map(|line| line.quantity.get()).sum::<u32>() > ORDER_UNITS_MAX {
            return Err(LinesError::TooManyUnits);
        }
        Ok(Self(lines))
    }

    /// The lines.
    pub fn as_slice(&self) -> &[Line] {
        &self.0
    }

    /// Each line.
    pub fn iter(&self) -> std::slice::Iter<'_, Line> {
        self.0.iter()
    }

    /// Units over all lines.
    pub fn units(&self) -> u32 {
        self.0.iter().map(|line| line.quantity.get()).sum()
    }
}

impl<'a> IntoIterator for &'a Lines {
    type Item = &'a Line;
    type IntoIter = std::slice::Iter<'a, Line>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl TryFrom<Vec<Line>> for Lines {
    type Error = LinesError;
    fn try_from(lines: Vec<Line>) -> Result<Self, LinesError> {
        Self::try_new(lines)
    }
}

impl From<Lines> for Vec<Line> {
    fn from(lines: Lines) -> Self {
        lines.0
    }
}

/// What priced lines cost together.
///
/// # Errors
/// [`MoneyError`] where currencies differ or the sum does not fit.
pub fn total(lines: &[PricedLine]) -> Result<Money, MoneyError> {
    let mut sum: Option<Money> = None;
    for line in lines {
        let price = line.unit_price.times(line.quantity)?;
        sum = Some(match sum {
            None => price,
            Some(sum) => sum.checked_add(price)?,
        });
    }
    sum.ok_or(MoneyError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(sku: &str, units: u32) -> Line {
        Line {
            sku: Sku::try_new(sku).expect("valid"),
            quantity: Quantity::try_new(units).expect("valid"),
        }
    }

    #[test]
    fn lines_are_bounded_and_distinct() {
        assert_eq!(Lines::try_new(vec![]), Err(LinesError::Empty));
        assert!(matches!(
            Lines::try_new(vec![line("a", 1), line("a", 1)]),
            Err(LinesError::Repeated(_))
        ));
        assert_eq!(Lines::try_new(vec![line("a", 99)]).map(|lines| lines.units()), Ok(99));
        assert_eq!(
            Lines::try_new(vec![line("a", 99), line("b", 1)]),
            Err(LinesError::TooManyUnits)
        );
        let many = (0..=ORDER_LINES_MAX).map(|n| line(&n.to_string(), 1)).collect();
        assert_eq!(Lines::try_new(many), Err(LinesError::TooMany));
    }
}
