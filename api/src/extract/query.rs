//! Query parameters: known ones only, every bad one named.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use domain::Timestamp;
use domain::envelope::Position;
use domain::ids::SpotlightId;
use domain::ports::PortError;
use domain::views::OrderStatus;

use super::fields::Errors;
use super::values;
use crate::problem::{Code, Problem};

/// Items of one page where the client names no number.
pub const LIMIT_DEFAULT: usize = 50;
/// Items of one page at most.
pub const LIMIT_MAX: usize = 200;
/// Characters of a cursor.
pub const CURSOR_MAX_CHARS: usize = 512;

/// As what an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// RFC 4180.
    Csv,
    /// One JSON object per line.
    Ndjson,
}

/// The parameters of a query.
#[derive(Debug)]
pub struct Params {
    pairs: Vec<(String, String)>,
    errors: Errors,
    known: Vec<&'static str>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(Code::MalformedRequest).detail("the query is malformed"))?;
        Ok(Self { pairs, errors: Errors::default(), known: Vec::new() })
    }
}

impl Params {
    fn parsed<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.known.push(name);
        let mut values = self.pairs.iter().filter(|(known, _)| known == name);
        let (_, value) = values.next()?;
        let parsed = if values.next().is_some() { Err("is repeated".into()) } else { parse(value) };
        parsed.map_err(|detail| self.errors.add(format!("?{name}"), detail)).ok()
    }

    /// How many items the page may have.
    pub fn limit(&mut self) -> usize {
        let parsed = self.parsed("limit", |text| {
            let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
            limit.ok_or_else(|| format!("is not a whole number between 1 and {LIMIT_MAX}"))
        });
        parsed.unwrap_or(LIMIT_DEFAULT)
    }

    /// Where the last page ended.
    pub fn cursor(&mut self) -> Option<String> {
        self.parsed("cursor", |text| {
            let fits = !text.is_empty() && text.len() <= CURSOR_MAX_CHARS;
            fits.then(|| text.to_owned()).ok_or_else(|| "is not a cursor of this list".to_owned())
        })
    }

    /// The number after which a page begins: `after`, or the cursor that a page before gave out.
    pub fn after(&mut self) -> Position {
        let mut number = |name| {
            self.parsed(name, |text| {
                // positions fit into a column of the store
                let number = text.parse().ok().filter(|number| *number <= i64::MAX.unsigned_abs());
                number.ok_or_else(|| "is not a number that this list gave out".to_owned())
            })
        };
        let (after, cursor) = (number("after"), number("cursor"));
        cursor.or(after).map_or(Position::START, Position)
    }

    /// As what an export is wanted.
    pub fn export_format(&mut self) -> Option<ExportFormat> {
        self.parsed("format", |text| match text {
            "csv" => Ok(ExportFormat::Csv),
            "ndjson" => Ok(ExportFormat::Ndjson),
            _ => Err("is neither csv nor ndjson".to_owned()),
        })
    }

    /// Which spotlight.
    pub fn spotlight(&mut self) -> Option<SpotlightId> {
        self.parsed("spotlight_id", |text| {
            text.parse().map_err(|error: domain::ids::IdError| error.to_string())
        })
    }

    /// Which status of an order.
    pub fn status(&mut self) -> Option<OrderStatus> {
        self.parsed("status", |text| {
            serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|_| {
                "is not one of pending, reserved, confirmed, failed, cancelled, refunded".to_owned()
            })
        })
    }

    /// Which group of parked commands.
    pub fn fingerprint(&mut self) -> Option<String> {
        self.parsed("fingerprint", |text| {
            let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
            fits.then(|| text.to_owned()).ok_or_else(|| "is no fingerprint".to_owned())
        })
    }

    /// From when on.
    pub fn since(&mut self) -> Option<Timestamp> {
        self.parsed("since", values::time_text)
    }

    /// Refuses what was bad and what was not asked for.
    ///
    /// # Errors
    /// 422 `invalid` naming every bad parameter as `?name`.
    pub fn finish(self) -> Result<(), Problem> {
        for (name, _) in &self.pairs {
            if !self.known.contains(&name.as_str()) {
                let short: String = name.chars().take(64).collect();
                self.errors.add(format!("?{short}"), "is not a known parameter");
            }
        }
        self.errors.finish(Some(()))
    }
}

/// A page of a list whose cursor came from the client: an unreadable one is the client's fault.
///
/// # Errors
/// 422 naming the cursor, or 503.
pub fn page<T>(
    page: Result<domain::ports::Page<T>, PortError>,
    has_cursor: bool,
) -> Result<domain::ports::Page<T>, Problem> {
    match page {
        Err(PortError::Corrupt { .. }) if has_cursor => {
            Err(Problem::field("?cursor", "is not a cursor of this list"))
        }
        page => Ok(page?),
    }
}
