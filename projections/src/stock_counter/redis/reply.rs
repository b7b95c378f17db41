//! What scripts answer, read field by field.

use std::collections::BTreeMap;

use chrono::DateTime;
use domain::Timestamp;
use domain::admission::Admission;
use domain::ids::Sku;
use domain::ports::{Entry, EntryState, PortError};
use redis::Value;

use super::WHAT;

/// The fields that are left.
pub(super) struct Reply(std::vec::IntoIter<Value>);

pub(super) fn corrupt(detail: impl std::fmt::Display) -> PortError {
    PortError::corrupt(WHAT, detail)
}

fn text_of(value: Value) -> Result<String, PortError> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).map_err(corrupt),
        Value::SimpleString(text) => Ok(text),
        Value::Int(number) => Ok(number.to_string()),
        other => Err(corrupt(format!("{other:?} is no text"))),
    }
}

impl Reply {
    pub fn of(value: Value) -> Result<Self, PortError> {
        match value {
            Value::Array(fields) => Ok(Self(fields.into_iter())),
            other => Err(corrupt(format!("{other:?} is no answer of a script"))),
        }
    }

    pub fn value(&mut self) -> Result<Value, PortError> {
        self.0.next().ok_or_else(|| corrupt("an answer is too short"))
    }

    pub fn text(&mut self) -> Result<String, PortError> {
        text_of(self.value()?)
    }

    pub fn number<T: std::str::FromStr>(&mut self) -> Result<T, PortError> {
        let text = self.text()?;
        text.parse().map_err(|_| corrupt(format!("{text:?} is no number")))
    }

    pub fn optional_text(&mut self) -> Result<Option<String>, PortError> {
        match self.value()? {
            Value::Nil => Ok(None),
            value => text_of(value).map(Some),
        }
    }

    pub fn list(&mut self) -> Result<Self, PortError> {
        Self::of(self.value()?)
    }

    pub fn time(&mut self) -> Result<Timestamp, PortError> {
        let micros = self.number()?;
        DateTime::from_timestamp_micros(micros)
            .ok_or_else(|| corrupt(format!("{micros} is no time")))
    }

    pub fn optional_time(&mut self) -> Result<Option<Timestamp>, PortError> {
        let text = self.text()?;
        if text.is_empty() {
            return Ok(None);
        }
        let time = text.parse().ok().and_then(DateTime::from_timestamp_micros);
        time.map(Some).ok_or_else(|| corrupt(format!("{text:?} is no time")))
    }

    /// Epoch, number and time, then the offer version.
    pub fn admission(&mut self) -> Result<Admission, PortError> {
        Ok(Admission {
            epoch: self.number()?,
            number: self.number()?,
            at: self.time()?,
            offer_version: self.number()?,
        })
    }

    pub fn entry(&mut self) -> Result<Entry, PortError> {
        let state = match self.text()?.as_str() {
            "P" => EntryState::Pending,
            "H" => EntryState::Held,
            "S" => EntryState::Sold,
            "E" => EntryState::Ended,
            other => return Err(corrupt(format!("{other:?} is no state of an entry"))),
        };
        let admission = self.admission()?;
        let command = Some(self.text()?).filter(|command| !command.is_empty());
        Ok(Entry { state, admission, command })
    }

    /// The stock hash: limit, used and sold of each SKU.
    pub fn stock(&mut self) -> Result<BTreeMap<Sku, [i64; 3]>, PortError> {
        let mut fields = self.list()?;
        let mut stock: BTreeMap<Sku, [i64; 3]> = BTreeMap::new();
        while let Ok(field) = fields.text() {
            let units = fields.number()?;
            let Some((part, sku)) = field.split_at_checked(1) else { continue };
            let sku = Sku::try_new(sku).map_err(corrupt)?;
            let [limit, used, sold] = stock.entry(sku).or_default();
            match part {
                "l" => *limit = units,
                "u" => *used = units,
                _ => *sold = units,
            }
        }
        Ok(stock)
    }
}
