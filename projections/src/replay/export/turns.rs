//! Pages of lines, in the order of the file: one task reads while others decode what they were given.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::Path;

use super::Format;
use super::lines::{Lines, Mark, append_line, lines_at};

/// Pages that are kept for tasks that ask a moment later; the oldest go first.
const ASIDE_MAX: usize = 64;

/// Lines as they stand in the file, with their positions.
pub(super) struct Page {
    after: u64,
    limit: usize,
    text: Vec<u8>,
    lines: Vec<(u64, Range<usize>)>,
}

impl Page {
    /// Position and text of each line.
    pub fn lines(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let text = |range: &Range<usize>| self.text.get(range.clone()).unwrap_or_default();
        self.lines.iter().map(move |(position, range)| (*position, text(range)))
    }
}

/// Where the last page ended.
struct Cursor {
    lines: Lines,
    last: u64,
}

impl Cursor {
    /// The next lines after a position; it is not before the cursor.
    fn page(&mut self, format: Format, after: u64, limit: usize) -> io::Result<Page> {
        let mut page = Page { after, limit, text: vec![], lines: vec![] };
        let mut begin = 0;
        while page.lines.len() < limit && append_line(self.lines.as_mut(), &mut page.text)? {
            let line = page.text.get(begin..).unwrap_or_default();
            let is_heading = format.heading().is_some_and(|heading| line == heading.as_bytes());
            if !is_heading {
                self.last = format.position_of(line).unwrap_or(self.last.saturating_add(1));
            }
            if is_heading || self.last <= after {
                page.text.truncate(begin);
            } else {
                page.lines.push((self.last, begin..page.text.len()));
                begin = page.text.len();
            }
        }
        Ok(page)
    }
}

/// The file as it is read page by page.
#[derive(Default)]
pub(super) struct Turns {
    cursor: Option<Cursor>,
    /// What was passed over on the way to a later page.
    aside: VecDeque<Page>,
}

/// The file that is read.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub path: &'a Path,
    pub format: Format,
    pub compressed: bool,
    pub marks: &'a [Mark],
}

impl Place<'_> {
    fn seek(self, after: u64) -> io::Result<Cursor> {
        let at = self.marks.partition_point(|mark| mark.position <= after).saturating_sub(1);
        let mark = self.marks.get(at).copied().unwrap_or(Mark { position: 1, offset: 0 });
        let lines = lines_at(self.path, mark.offset, self.compressed)?;
        Ok(Cursor { lines, last: mark.position.saturating_sub(1) })
    }
}

impl Turns {
    /// The lines after a position. Tasks that read ahead ask for pages of one size, in about the
    /// order of the file: it is read from front to back all the same.
    pub fn page(&mut self, file: Place<'_>, after: u64, limit: usize) -> io::Result<Page> {
        let is_wanted = |page: &Page| (page.after, page.limit) == (after, limit);
        if let Some(at) = self.aside.iter().position(is_wanted)
            && let Some(page) = self.aside.remove(at)
        {
            return Ok(page);
        }
        let near = self.walk(file.format, after, limit)?;
        if near.is_none() {
            self.aside.clear();
        }
        let mut cursor = near.map_or_else(|| file.seek(after), Ok)?;
        let page = cursor.page(file.format, after, limit)?;
        self.cursor = Some(cursor);
        Ok(page)
    }

    /// Walks on to a position that is a few whole pages away; nothing where it is not.
    fn walk(&mut self, format: Format, after: u64, limit: usize) -> io::Result<Option<Cursor>> {
        let Some(mut cursor) = self.cursor.take() else { return Ok(None) };
        let step = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        let Some(way) = after.checked_sub(cursor.last) else { return Ok(None) };
        let most = step.saturating_mul(u64::try_from(ASIDE_MAX).unwrap_or(0));
        if way > most || !way.is_multiple_of(step) {
            return Ok(None);
        }
        while cursor.last < after {
            let page = cursor.page(format, cursor.last, limit)?;
            if page.lines.is_empty() {
                return Ok(None);
            }
            if self.aside.len() == ASIDE_MAX {
                self.aside.pop_front();
            }
            self.aside.push_back(page);
        }
        Ok((cursor.last == after).then_some(cursor))
    }
}
