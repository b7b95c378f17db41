//! Money in minor units, with the exponent table of ISO 4217; never a float.

use std::fmt;
use std::sync::LazyLock;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::quantity::Quantity;

/// Why an amount or a currency is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not an active ISO 4217 code.
    #[error("is not an ISO 4217 currency code")]
    UnknownCurrency,
    /// Two amounts of different currencies.
    #[error("has another currency ({got} instead of {expected})")]
    CurrencyMismatch {
        /// The currency that was asked for.
        expected: Currency,
        /// The currency that came.
        got: Currency,
    },
    /// The sum does not fit.
    #[error("is too large")]
    Overflow,
}

/// An active ISO 4217 currency.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Parses a code such as `KRW`.
    ///
    /// # Errors
    /// [`MoneyError::UnknownCurrency`] where the code is not in the table.
    pub fn try_new(code: &str) -> Result<Self, MoneyError> {
        let bytes: [u8; 3] = code.as_bytes().try_into().map_err(|_| MoneyError::UnknownCurrency)?;
        exponent_of(code).map(|_| Self(bytes)).ok_or(MoneyError::UnknownCurrency)
    }

    /// The three letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// Decimal places of the minor unit (ISO 4217): 0 for `KRW`, 2 for `USD`, 3 for `KWD`.
    pub fn exponent(&self) -> u8 {
        exponent_of(self.code()).unwrap_or(2)
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(CurrencyVisitor)
    }
}

/// Reads a code in place: every price of every event has one.
struct CurrencyVisitor;

impl Visitor<'_> for CurrencyVisitor {
    type Value = Currency;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an ISO 4217 currency code")
    }

    fn visit_str<E: serde::de::Error>(self, code: &str) -> Result<Currency, E> {
        Currency::try_new(code).map_err(E::custom)
    }
}

/// Codes with an exponent other than 2 (ISO 4217 list one, 2026-01-01).
const EXPONENTS: [(u8, &str); 3] = [
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];

/// Codes with exponent 2 (ISO 4217 list one, 2026-01-01).
const TWO_PLACES: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD \
    BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR \
    FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD \
    KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN \
    NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS \
    SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD \
    XCD XCG YER ZAR ZMW ZWG";

/// The exponents by code, sorted.
static BY_CODE: LazyLock<Vec<([u8; 3], u8)>> = LazyLock::new(|| {
    let codes = |exponent: u8, list: &'static str| {
        let codes = list.split_ascii_whitespace();
        codes.filter_map(move |code| Some((code.as_bytes().try_into().ok()?, exponent)))
    };
    let listed = EXPONENTS.iter().flat_map(|(exponent, list)| codes(*exponent, list));
    let mut all: Vec<([u8; 3], u8)> = listed.chain(codes(2, TWO_PLACES)).collect();
    all.sort_unstable();
    all
});

fn exponent_of(code: &str) -> Option<u8> {
    let code: [u8; 3] = code.as_bytes().try_into().ok()?;
    let place = BY_CODE.binary_search_by_key(&code, |(known, _)| *known).ok()?;
    BY_CODE.get(place).map(|(_, exponent)| *exponent)
}

/// An amount in minor units of a currency: 19,900 won is `{minor: 19900, currency: KRW}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// The amount in minor units.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// An amount.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing of a currency.
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// The sum of two amounts.
    ///
    /// # Errors
    /// Another currency, or a sum that does not fit.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch {
                expected: self.currency,
                got: other.currency,
            });
        }
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    /// The price of `quantity` units.
    ///
    /// # Errors
    /// A product that does not fit.
    pub fn times(self, quantity: Quantity) -> Result<Self, MoneyError> {
        let minor =
            self.minor.checked_mul(i64::from(quantity.get())).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = usize::from(self.currency.exponent());
        if places == 0 {
            return write!(f, "{} {}", self.minor, self.currency);
        }
        let digits = format!("{:0width$}", self.minor.unsigned_abs(), width = places + 1);
        let (whole, cents) = digits.split_at(digits.len() - places);
        let sign = if self.minor < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}.{cents} {}", self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::try_new(code).expect("known")
    }

    #[test]
    fn exponents_follow_iso_4217() {
        for (code, places) in [("KRW", 0), ("USD", 2), ("KWD", 3), ("CLF", 4), ("JPY", 0)] {
            assert_eq!(currency(code).exponent(), places, "{code}");
        }
        for code in ["XXX", "AED AFN", "krw", "", "KR", "KRWW", "ABC", "원원원"] {
            assert_eq!(Currency::try_new(code), Err(MoneyError::UnknownCurrency), "{code}");
        }
    }

    #[test]
    fn amounts_print_in_major_units() {
        assert_eq!(Money::new(19_900, currency("KRW")).to_string(), "19900 KRW");
        assert_eq!(Money::new(5, currency("USD")).to_string(), "0.05 USD");
        assert_eq!(Money::new(-12_345, currency("KWD")).to_string(), "-12.345 KWD");
    }

    #[test]
    fn currencies_do_not_mix_and_sums_do_not_wrap() {
        let won = Money::new(1, currency("KRW"));
        assert!(won.checked_add(Money::new(1, currency("USD"))).is_err());
        assert_eq!(
            Money::new(i64::MAX, currency("KRW")).checked_add(won),
            Err(MoneyError::Overflow)
        );
    }
}
