//! Pages of a list, newest first, by a cursor that nobody needs to understand.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
use domain::ports::{Page, PortError};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::checkpoint::decode;

/// Items of one page.
pub const PAGE_ITEMS_MAX: usize = 1_000;
/// Items that one question for what is due answers with.
pub const DUE_ITEMS_MAX: usize = 1_000;

/// Bytes of a cursor: the time in microseconds, then the id.
const CURSOR_BYTES: usize = 24;

/// Microseconds since 1970: the precision of times in the columns of every adapter.
pub const fn micros(time: Timestamp) -> i64 {
    time.timestamp_micros()
}

/// How many items a page has, from what was asked for.
pub fn page_limit(asked: usize) -> usize {
    asked.clamp(1, PAGE_ITEMS_MAX)
}

/// How many items a question for what is due answers with.
pub fn due_limit(asked: usize) -> usize {
    asked.min(DUE_ITEMS_MAX)
}

/// Where a page ended: the key of its last item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The item's time in microseconds.
    pub micros: i64,
    /// The item's id.
    pub id: Uuid,
}

impl Cursor {
    /// The key of an item.
    pub const fn new(time: Timestamp, id: Uuid) -> Self {
        Self { micros: micros(time), id }
    }

    /// The text of the API: URL-safe base64.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(CURSOR_BYTES);
        bytes.extend_from_slice(&self.micros.to_be_bytes());
        bytes.extend_from_slice(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the text of the API.
    ///
    /// # Errors
    /// [`PortError::Corrupt`] of `cursor` where it is malformed.
    pub fn decode(text: &str) -> Result<Self, PortError> {
        let malformed = || PortError::corrupt("cursor", "it is malformed");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed())?;
        let bytes: [u8; CURSOR_BYTES] = bytes.try_into().map_err(|_| malformed())?;
        let (time, id) = bytes.split_first_chunk::<8>().ok_or_else(malformed)?;
        let id = Uuid::from_slice(id).map_err(|_| malformed())?;
        Ok(Self { micros: i64::from_be_bytes(*time), id })
    }

    /// Reads the cursor of a question, if it has one.
    ///
    /// # Errors
    /// [`PortError::Corrupt`] of `cursor` where it is malformed.
    pub fn decode_optional(text: Option<&str>) -> Result<Option<Self>, PortError> {
        text.map(Self::decode).transpose()
    }
}

/// Makes a page of up to `limit + 1` items that were found: the one too many tells that another
/// page follows.
pub fn page_of<T>(mut items: Vec<T>, limit: usize, key: impl Fn(&T) -> Cursor) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(|item| key(item).encode());
    Page { items, next_cursor }
}

/// Makes a page of rows as they were read.
///
/// # Errors
/// [`PortError::Corrupt`] where a row does not decode.
pub fn page_of_rows<T: DeserializeOwned>(
    name: &'static str,
    rows: &[String],
    limit: usize,
    key: impl Fn(&T) -> Cursor,
) -> Result<Page<T>, PortError> {
    let items = rows.iter().map(|row| decode(name, row)).collect::<Result<_, _>>()?;
    Ok(page_of(items, limit, key))
}

/// A limit as a parameter; both named limits fit.
pub fn column_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_a_broken_one_is_refused() {
        let cursor = Cursor { micros: -5, id: Uuid::from_u128(7) };
        let text = cursor.encode();
        assert_eq!(Cursor::decode(&text).expect("well formed"), cursor);
        for broken in ["", "x", "!!!!", &text[1..], &format!("{text}AAAA"), &format!("{text}=")] {
            let error = Cursor::decode(broken).expect_err("malformed");
            assert!(matches!(error, PortError::Corrupt { what: "cursor", .. }), "{broken}");
        }
    }

    #[test]
    fn limits_hold_at_their_ends() {
        assert_eq!(page_limit(0), 1);
        assert_eq!(page_limit(PAGE_ITEMS_MAX), PAGE_ITEMS_MAX);
        assert_eq!(page_limit(PAGE_ITEMS_MAX + 1), PAGE_ITEMS_MAX);
        assert_eq!(due_limit(0), 0);
        assert_eq!(due_limit(DUE_ITEMS_MAX), DUE_ITEMS_MAX);
        assert_eq!(due_limit(DUE_ITEMS_MAX + 1), DUE_ITEMS_MAX);
    }

    #[test]
    fn only_a_page_with_more_behind_it_has_a_cursor() {
        let key = |n: &u128| Cursor { micros: 0, id: Uuid::from_u128(*n) };
        assert_eq!(page_of(vec![3, 2], 2, key).next_cursor, None);
        let page = page_of(vec![3, 2, 1], 2, key);
        assert_eq!(page.items, [3, 2]);
        assert_eq!(page.next_cursor, Some(key(&2).encode()));
    }
}
