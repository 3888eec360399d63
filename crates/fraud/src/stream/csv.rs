//! Rows of delimited text: RFC 4180 with any one-byte delimiter, line ends `\n` or `\r\n`, and a byte order mark.
//!
//! It is no guesser of dialects, and it does not decode: a field is bytes. A malformed row is reported with its line
//! and reading goes on at the line after the one where it began, so that a quote that is never closed costs one row
//! and not the rest of the file.
//!
//! Bounds: [`ROW_BYTES_MAX`] per row, [`COLUMNS_MAX`] fields per row; the buffer holds at most twice the longest row.

use std::io::{self, Read};

/// Longest row, in bytes, its line end included.
pub const ROW_BYTES_MAX: usize = 64 << 10;
/// Most fields of a row.
pub const COLUMNS_MAX: usize = 1_024;
/// How much is read at a time.
const READ_BYTES: usize = 256 << 10;
/// Byte order mark of UTF-8, which some spreadsheets write.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a row cannot be split into fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowFault {
    /// A field that began with a quote has text after its closing quote.
    #[error("text follows the closing quote of field {field}")]
    AfterQuote {
        /// Index of the field, from 1.
        field: usize,
    },
    /// A quote stands inside a field that does not begin with one.
    #[error("a quote stands inside unquoted field {field}")]
    BareQuote {
        /// Index of the field, from 1.
        field: usize,
    },
    /// More than [`ROW_BYTES_MAX`] bytes without a line end.
    #[error("the row is longer than {ROW_BYTES_MAX} bytes")]
    TooLong,
    /// More than [`COLUMNS_MAX`] fields.
    #[error("the row has more than {COLUMNS_MAX} fields")]
    TooManyFields,
    /// The input ends inside a quoted field, or the row is over-long because a quote is never closed.
    #[error("the quote of field {field} is never closed")]
    Unclosed {
        /// Index of the field, from 1.
        field: usize,
    },
}

/// One row: its fields without quotes, and where it stood.
#[derive(Debug, Clone, Default)]
pub struct Row {
    line: u64,
    bytes: Vec<u8>,
    /// End of each field in `bytes`.
    ends: Vec<usize>,
}

impl Row {
    /// Line the row began on, from 1.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// Number of fields.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A field by index, from 0.
    #[must_use]
    pub fn field(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { *self.ends.get(index - 1)? };
        self.bytes.get(start..end)
    }

    /// All fields in order.
    pub fn fields(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|index| self.field(index))
    }
}

/// What came of reading one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The input ended.
    End,
    /// The row could not be split; its line is in the row, its fields are not.
    Fault(RowFault),
    /// The row was read.
    Row,
}

/// Splits a byte stream into rows.
#[derive(Debug)]
pub struct Rows<R> {
    input: R,
    delimiter: u8,
    buffer: Vec<u8>,
    /// First byte of `buffer` that is not consumed.
    start: usize,
    /// End of what was read into `buffer`.
    end: usize,
    ended: bool,
    /// Line of `start`, from 1.
    line: u64,
    began: bool,
    /// The rest of an over-long line is being passed over.
    skipping: bool,
}

/// What splitting a prefix of the input says.
enum Split {
    /// A row took this many bytes and this many line ends.
    Row {
        bytes: usize,
        lines: u64,
    },
    /// The prefix ends inside a row; the field tells whether that is inside quotes.
    More {
        quoted: Option<usize>,
    },
    Fault(RowFault),
}

impl<R: Read> Rows<R> {
    /// Reads from `input`; `delimiter` is neither a quote nor part of a line end.
    #[must_use]
    pub const fn new(input: R, delimiter: u8) -> Self {
        Self {
            input,
            delimiter,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            ended: false,
            line: 1,
            began: false,
            skipping: false,
        }
    }

    /// Reads the next row into `row`. Empty lines are passed over.
    ///
    /// # Errors
    /// Only when the input cannot be read; a malformed row is an [`Outcome::Fault`].
    pub fn next(&mut self, row: &mut Row) -> io::Result<Outcome> {
        if !self.began {
            self.began = true;
            while self.rest().len() < BYTE_ORDER_MARK.len() && self.fill()? {}
            if self.rest().starts_with(BYTE_ORDER_MARK) {
                self.start += BYTE_ORDER_MARK.len();
            }
        }
        loop {
            if self.skipping && !self.skip_line()? {
                return Ok(Outcome::End);
            }
            self.pass_empty_lines()?;
            if self.rest().is_empty() {
                return Ok(Outcome::End);
            }
            row.line = self.line;
            row.bytes.clear();
            row.ends.clear();
            let fault = match split(self.rest(), self.delimiter, self.ended, row) {
                Split::Row { bytes, .. } if bytes > ROW_BYTES_MAX => RowFault::TooLong,
                Split::Row { bytes, lines } => {
                    self.start += bytes;
                    self.line += lines;
                    return Ok(Outcome::Row);
                }
                Split::More { quoted } if self.rest().len() > ROW_BYTES_MAX || self.ended => {
                    quoted.map_or(RowFault::TooLong, |field| RowFault::Unclosed { field })
                }
                Split::More { .. } => {
                    self.fill()?;
                    continue;
                }
                Split::Fault(fault) => fault,
            };
            row.bytes.clear();
            row.ends.clear();
            self.skipping = true;
            return Ok(Outcome::Fault(fault));
        }
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Reads more; false at the end of the input.
    fn fill(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < self.end + READ_BYTES {
            self.buffer.resize(self.end + READ_BYTES, 0);
        }
        let read = loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.end += read;
        self.ended = read == 0;
        Ok(read > 0)
    }

    /// Passes over bytes up to and with the next line end; false when the input ended first.
    fn skip_line(&mut self) -> io::Result<bool> {
        loop {
            if let Some(end) = self.rest().iter().position(|byte| *byte == b'\n') {
                self.start += end + 1;
                self.line += 1;
                self.skipping = false;
                return Ok(true);
            }
            self.start = self.end;
            if !self.fill()? {
                return Ok(false);
            }
        }
    }

    fn pass_empty_lines(&mut self) -> io::Result<()> {
        loop {
            let rest = self.rest();
            let ending = match rest {
                [b'\n', ..] => 1,
                [b'\r', b'\n', ..] => 2,
                [] | [b'\r'] => {
                    if !self.fill()? {
                        if self.rest() == b"\r" {
                            self.start += 1;
                        }
                        return Ok(());
                    }
                    continue;
                }
                _ => return Ok(()),
            };
            self.start += ending;
            self.line += 1;
        }
    }
}

/// Splits the first row of `bytes` into `row`; `last` says that nothing follows.
fn split(bytes: &[u8], delimiter: u8, last: bool, row: &mut Row) -> Split {
    let mut at = 0;
    let mut lines = 0;
    loop {
        let field = row.ends.len() + 1;
        if field > COLUMNS_MAX {
            return Split::Fault(RowFault::TooManyFields);
        }
        if bytes.get(at) == Some(&b'"') {
            at += 1;
            loop {
                let Some(run) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'"'))
                else {
                    return Split::More { quoted: Some(field) };
                };
                let text = bytes.get(at..at + run).unwrap_or_default();
                lines += text.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
                row.bytes.extend_from_slice(text);
                at += run + 1;
                match bytes.get(at) {
                    Some(b'"') => {
                        row.bytes.push(b'"');
                        at += 1;
                    }
                    None if !last => return Split::More { quoted: Some(field) },
                    _ => break,
                }
            }
        } else {
            let rest = bytes.get(at..).unwrap_or_default();
            let run = rest.iter().position(|byte| *byte == delimiter || matches!(*byte, b'\n' | b'"'));
            let end = match run {
                Some(run) if rest.get(run) == Some(&b'"') => {
                    return Split::Fault(RowFault::BareQuote { field });
                }
                Some(run) => run,
                None if last => rest.len(),
                None => return Split::More { quoted: None },
            };
            let mut text = rest.get(..end).unwrap_or_default();
            // The carriage return belongs to the line end, or to the end of the input.
            if rest.get(end).is_none_or(|byte| *byte == b'\n') {
                text = text.strip_suffix(b"\r").unwrap_or(text);
            }
            row.bytes.extend_from_slice(text);
            at += end;
        }
        row.ends.push(row.bytes.len());
        match (bytes.get(at), bytes.get(at + 1)) {
            (None, _) => return Split::Row { bytes: at, lines },
            (Some(b'\n'), _) => return Split::Row { bytes: at + 1, lines: lines + 1 },
            (Some(b'\r'), Some(b'\n')) => return Split::Row { bytes: at + 2, lines: lines + 1 },
            (Some(b'\r'), None) if last => return Split::Row { bytes: at + 1, lines },
            (Some(b'\r'), None) => return Split::More { quoted: None },
            (Some(byte), _) if *byte == delimiter => at += 1,
            _ => return Split::Fault(RowFault::AfterQuote { field }),
        }
    }
}

#[cfg(test)]
mod tests;
