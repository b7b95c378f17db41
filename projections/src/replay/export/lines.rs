//! The lines of a file, and where they can be sought.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use zstd::stream::read::Decoder;

use super::{Format, LINE_BYTES_MAX};

/// What every frame of a compressed file begins with.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Lines between two places that can be sought in a file that is not compressed.
const MARK_LINES: u64 = 4_096;

/// A place where a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The position of the line.
    pub position: u64,
    /// The byte in the file.
    pub offset: u64,
}

/// What was found when the file was read for the first time.
#[derive(Debug)]
pub(super) struct Survey {
    pub format: Format,
    pub compressed: bool,
    pub marks: Vec<Mark>,
    pub last: u64,
}

/// A file that is no export, or no whole one.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("the file cannot be read")]
    Unreadable(#[from] io::Error),
    /// It is something else.
    #[error("the file is no export: it is empty, or begins with something else than an event")]
    NoExport,
    /// It was an export, and was changed.
    #[error("line {line} of the file: {detail}")]
    Damaged {
        /// Which line, from 1.
        line: u64,
        /// The position that was expected there.
        position: u64,
        /// What is wrong.
        detail: String,
    },
}

/// Lines from a place on.
pub(super) type Lines = Box<dyn BufRead + Send>;

/// Opens a file at a mark.
pub(super) fn lines_at(path: &Path, offset: u64, compressed: bool) -> io::Result<Lines> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    Ok(if compressed {
        Box::new(BufReader::new(Decoder::new(file)?))
    } else {
        Box::new(BufReader::new(file))
    })
}

/// Reads the next line without its end; nothing at the end of the file.
pub(super) fn next_line(lines: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    append_line(lines, line)
}

/// Reads the next line behind what is there.
pub(super) fn append_line(lines: &mut dyn BufRead, text: &mut Vec<u8>) -> io::Result<bool> {
    let most = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let read = lines.take(most).read_until(b'\n', text)?;
    if read > 0 && text.last() == Some(&b'\n') {
        text.pop();
    } else if read > LINE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
    }
    Ok(read > 0)
}

/// Goes through a file once.
pub(super) fn survey(path: &Path) -> Result<Survey, FileError> {
    let mut file = BufReader::new(File::open(path)?);
    let compressed = file.fill_buf()?.starts_with(&MAGIC);
    let mut walk = Walk::default();
    if compressed {
        walk_frames(file, &mut walk)?;
    } else {
        walk.lines(&mut file, 0)?;
    }
    let format = walk.format.ok_or(FileError::NoExport)?;
    Ok(Survey { format, compressed, marks: walk.marks, last: walk.last })
}

fn walk_frames(mut file: BufReader<File>, walk: &mut Walk) -> Result<(), FileError> {
    while !file.fill_buf()?.is_empty() {
        let offset = file.stream_position()?;
        let frame = Decoder::with_buffer(file)?.single_frame();
        let mut lines = BufReader::new(frame);
        walk.frame = Some(offset);
        match walk.lines(&mut lines, offset) {
            Err(FileError::Unreadable(error)) => {
                return Err(FileError::Damaged {
                    line: walk.line,
                    position: walk.last.saturating_add(1),
                    detail: format!("the compressed frame ends there: {error}"),
                });
            }
            done => done?,
        }
        file = lines.into_inner().finish();
    }
    Ok(())
}

/// The state of going through a file.
#[derive(Default)]
struct Walk {
    format: Option<Format>,
    marks: Vec<Mark>,
    last: u64,
    line: u64,
    /// Where the frame begins; its first line is the only one that can be sought.
    frame: Option<u64>,
}

impl Walk {
    fn lines(&mut self, lines: &mut dyn BufRead, start: u64) -> Result<(), FileError> {
        let (mut offset, mut line) = (start, Vec::new());
        while next_line(lines, &mut line)? {
            let begins = offset;
            offset = offset.saturating_add(u64::try_from(line.len()).unwrap_or(0) + 1);
            self.line += 1;
            let Some(format) = self.format else {
                let format = Format::of_line(&line).ok_or(FileError::NoExport)?;
                self.format = Some(format);
                if format.heading().is_none() {
                    self.take(format, &line, begins)?;
                }
                continue;
            };
            self.take(format, &line, begins)?;
        }
        Ok(())
    }

    fn take(&mut self, format: Format, line: &[u8], offset: u64) -> Result<(), FileError> {
        // a line whose position cannot be read is taken for the next one
        let position = format.position_of(line).unwrap_or(self.last.saturating_add(1));
        if position <= self.last {
            let (line, last) = (self.line, self.last);
            return Err(FileError::Damaged {
                line,
                position: last.saturating_add(1),
                detail: format!("position {position} stands after position {last}"),
            });
        }
        self.last = position;
        let marked = match (self.frame, self.marks.last()) {
            (Some(frame), Some(mark)) => mark.offset == frame,
            (None, Some(_)) => !self.line.is_multiple_of(MARK_LINES),
            (_, None) => false,
        };
        if !marked {
            let offset = self.frame.unwrap_or(offset);
            self.marks.push(Mark { position, offset });
        }
        Ok(())
    }
}
