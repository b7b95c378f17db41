//! Times as texts: RFC 3339 in UTC, byte for byte as chrono writes them and in a fifth of its time.
//! An order writes ten of them; `#[serde(with = "crate::rfc3339")]` marks the fields that count.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Timelike};
use serde::de::{Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::Timestamp;

/// Bytes of the longest text that is written here.
const TEXT_BYTES: usize = "2026-11-23T00:00:00.000000000Z".len();
/// What an ordinary time stays below: years of four digits, no leap second.
const YEARS: std::ops::RangeInclusive<i32> = 0..=9_999;
const NANOS: u32 = 1_000_000_000;

/// A time as it is written; an ordinary one takes no memory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(Written);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Written {
    Ordinary { bytes: [u8; TEXT_BYTES], length: usize },
    Strange(String),
}

impl Text {
    const fn new() -> Self {
        Self(Written::Ordinary { bytes: [0; TEXT_BYTES], length: 0 })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // what is pushed is ASCII
            Written::Ordinary { bytes, length } => {
                bytes.get(..*length).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
            }
            Written::Strange(text) => text,
        }
    }

    fn push(&mut self, sign: u8) {
        if let Written::Ordinary { bytes, length } = &mut self.0
            && let Some(place) = bytes.get_mut(*length)
        {
            *place = sign;
            *length += 1;
        }
    }

    /// The digits of a number, from that of `highest` on.
    fn digits(&mut self, number: u32, mut highest: u32) {
        while highest > 0 {
            let digit = u8::try_from(number / highest % 10).unwrap_or(0);
            self.push(b'0' + digit);
            highest /= 10;
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// With six decimals, always.
pub fn with_micros(at: &Timestamp) -> Text {
    match seconds(at) {
        Some(mut text) => {
            text.push(b'.');
            text.digits(at.nanosecond() / 1_000, 100_000);
            text.push(b'Z');
            text
        }
        None => Text(Written::Strange(at.to_rfc3339_opts(SecondsFormat::Micros, true))),
    }
}

/// With none, three, six or nine decimals: as many as are needed.
pub fn shortest(at: &Timestamp) -> Text {
    let Some(mut text) = seconds(at) else {
        return Text(Written::Strange(at.to_rfc3339_opts(SecondsFormat::AutoSi, true)));
    };
    let nanos = at.nanosecond();
    let (number, highest) = match nanos {
        0 => (0, 0),
        _ if nanos.is_multiple_of(1_000_000) => (nanos / 1_000_000, 100),
        _ if nanos.is_multiple_of(1_000) => (nanos / 1_000, 100_000),
        _ => (nanos, 100_000_000),
    };
    if highest > 0 {
        text.push(b'.');
        text.digits(number, highest);
    }
    text.push(b'Z');
    text
}

/// Down to the seconds; nothing where the time is out of the ordinary.
fn seconds(at: &Timestamp) -> Option<Text> {
    let at = at.naive_utc();
    let year = u32::try_from(at.year()).ok().filter(|_| YEARS.contains(&at.year()))?;
    if at.nanosecond() >= NANOS {
        return None;
    }
    let mut text = Text::new();
    text.digits(year, 1_000);
    for (sign, number) in [
        (b'-', at.month()),
        (b'-', at.day()),
        (b'T', at.hour()),
        (b':', at.minute()),
        (b':', at.second()),
    ] {
        text.push(sign);
        text.digits(number, 10);
    }
    Some(text)
}

/// Reads a time; whatever chrono reads.
///
/// # Errors
/// The text is no RFC 3339 time.
pub fn read(text: &str) -> Result<Timestamp, chrono::ParseError> {
    match ordinary(text.as_bytes()) {
        Some(at) => Ok(at),
        None => DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()),
    }
}

/// A time as it is written here: in UTC with a `Z`, an ordinary year, no leap second.
fn ordinary(text: &[u8]) -> Option<Timestamp> {
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
        rest @ ..,
    ] = text
    else {
        return None;
    };
    let year = i32::try_from(number(&[*y1, *y2, *y3, *y4])?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(&[*m1, *m2])?, number(&[*d1, *d2])?)?;
    let nanos = match rest {
        [b'Z'] => 0,
        [b'.', decimals @ .., b'Z'] if (1..=9).contains(&decimals.len()) => {
            let missing = u32::try_from(9 - decimals.len()).ok()?;
            number(decimals)?.checked_mul(10_u32.pow(missing))?
        }
        _ => return None,
    };
    let [hour, minute, second] = [[h1, h2], [n1, n2], [s1, s2]].map(|[a, b]| number(&[*a, *b]));
    Some(date.and_hms_nano_opt(hour?, minute?, second?, nanos)?.and_utc())
}

/// At most nine digits.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        Some(number * 10 + u32::from(digit))
    })
}

/// As chrono serialises it.
///
/// # Errors
/// Those of the serialiser.
pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    shortest(at).serialize(serializer)
}

/// As chrono reads it.
///
/// # Errors
/// The text is no time.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    deserializer.deserialize_str(TimeVisitor)
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an RFC 3339 formatted date and time string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
        match ordinary(text.as_bytes()) {
            Some(at) => Ok(at),
            None => text.parse().map_err(E::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times() -> impl Iterator<Item = Timestamp> {
        let seconds = [
            0,
            1,
            951_782_400,
            1_790_000_000,
            4_107_542_399,
            -1,
            -62_167_219_200,
            -62_167_219_201,
            253_402_300_799,
            253_402_300_800,
        ];
        let nanos = [0, 1, 999, 1_000, 123_000, 1_000_000, 999_000_000, 999_999_999, 1_999_999_999];
        seconds.into_iter().flat_map(move |second| {
            nanos.into_iter().filter_map(move |nano| DateTime::from_timestamp(second, nano))
        })
    }

    #[test]
    fn what_is_written_is_what_chrono_writes() {
        for at in times() {
            let micros = at.to_rfc3339_opts(SecondsFormat::Micros, true);
            assert_eq!(with_micros(&at).as_str(), micros);
            let json = serde_json::to_value(at).expect("serialises");
            assert_eq!(serialize(&at, serde_json::value::Serializer).expect("serialises"), json);
        }
    }

    #[test]
    fn what_is_read_is_what_chrono_reads() {
        for at in times().filter(|at| YEARS.contains(&at.year())) {
            for text in [with_micros(&at), shortest(&at)] {
                let text = text.as_str();
                let read_by_chrono = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
                assert_eq!(read(text), read_by_chrono, "{text}");
                let json = serde_json::Value::from(text);
                let by_serde: Timestamp = serde_json::from_value(json.clone()).expect("a time");
                assert_eq!(deserialize(json).expect("a time"), by_serde, "{text}");
            }
        }
        for text in [
            "2026-11-23T09:00:00+09:00",
            "2026-11-23T09:00:00.5-01:30",
            "2026-11-23 09:00:00Z",
            "2026-11-23T09:00:60Z",
            "2026-02-29T09:00:00Z",
            "2026-13-01T09:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T09:00:00.Z",
            "2026-11-23T09:00:00.1234567891Z",
            "2026-11-23T09:00:00",
            "2026-11-2 T09:00:00Z",
            "x",
            "",
        ] {
            let read_by_chrono = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
            assert_eq!(read(text), read_by_chrono, "{text}");
        }
    }
}
