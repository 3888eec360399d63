//! Tables as text: comma-separated values with a header line (RFC 4180), read as a stream.
//!
//! Columns are found by their titles, in any order; further columns are ignored. Rows are read one by one into one
//! buffer, so a table of any length takes the memory of its longest row. Not a general reader: one separator, no
//! types beyond what [`Row`] offers, no guessing.
//!
//! Bounds: [`ROW_BYTES_MAX`] per row, [`COLUMNS_MAX`] columns. Every error names file, line and column.

use std::io::{self, BufRead};

/// Longest row, line breaks inside quotes included.
pub const ROW_BYTES_MAX: usize = 64 * 1024;
/// Most columns of a table.
pub const COLUMNS_MAX: usize = 256;
/// First bytes of compressed files, what compressed them, and what unpacks them: zstd (RFC 8878 section 3.1.1), gzip (RFC 1952
/// section 2.3.1), bzip2, xz (its format 1.2.1, section 2.1.1.1), zip.
const COMPRESSED: [(&[u8], &str, &str); 5] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", "zstd -dc"),
    (&[0x1f, 0x8b, 0x08], "gzip", "gzip -dc"),
    (b"BZh91AY&SY", "bzip2", "bzip2 -dc"),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz", "xz -dc"),
    (b"PK\x03\x04", "zip", "unzip -p"),
];

/// What compressed a file that begins so, and what unpacks it.
pub(crate) fn compression(start: &[u8]) -> Option<(&'static str, &'static str)> {
    let found = COMPRESSED.iter().find(|(magic, ..)| start.starts_with(magic));
    found.map(|(_, by, unpack)| (*by, *unpack))
}

/// Why a table could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A value is not what its column holds.
    #[error("{file}, line {line}, column {column}: {what}")]
    Field {
        /// The table.
        file: String,
        /// The line the row begins on, counted from one.
        line: u64,
        /// Title of the column.
        column: String,
        /// What is wrong with the value.
        what: String,
    },
    /// The table has no rows of values because it is not one, or lacks a column.
    #[error("{file}: {what}")]
    Header {
        /// The table.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// It could not be read.
    #[error("{file}, line {line}: cannot read")]
    Io {
        /// The table.
        file: String,
        /// Where reading stopped.
        line: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A row is malformed or out of place.
    #[error("{file}, line {line}: {what}")]
    Row {
        /// The table.
        file: String,
        /// The line the row begins on, counted from one.
        line: u64,
        /// What is wrong.
        what: String,
    },
}

/// A column a reader asks for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Its title.
    pub title: &'static str,
    /// Whether a table without it is refused; otherwise its values are empty.
    pub required: bool,
}

impl Wanted {
    /// A column that must be there.
    #[must_use]
    pub const fn required(title: &'static str) -> Self {
        Self { title, required: true }
    }

    /// A column that may be missing.
    #[must_use]
    pub const fn optional(title: &'static str) -> Self {
        Self { title, required: false }
    }
}

/// A table being read.
#[derive(Debug)]
pub struct Table<R> {
    source: R,
    file: String,
    wanted: &'static [Wanted],
    /// Where each wanted column stands; `None` if it is missing.
    places: Vec<Option<usize>>,
    /// Columns of the header.
    width: usize,
    /// Lines read.
    lines: u64,
    /// Line the current row begins on.
    row_line: u64,
    row: Vec<u8>,
    /// Start and end of each field within `row`.
    fields: Vec<(usize, usize)>,
}

impl<R: BufRead> Table<R> {
    /// Reads the header. `file` is what errors call the table.
    ///
    /// # Errors
    /// [`TableError`] when it cannot be read, is compressed, or lacks a required column.
    pub fn open(file: &str, mut source: R, wanted: &'static [Wanted]) -> Result<Self, TableError> {
        let start =
            source.fill_buf().map_err(|source| TableError::Io { file: file.to_owned(), line: 1, source })?;
        if let Some((by, unpack)) = compression(start) {
            let what =
                format!("compressed with {by}; unpack it first, as in: {unpack} FILE | caponier ... -");
            return Err(TableError::Header { file: file.to_owned(), what });
        }
        let mut table = Self {
            source,
            file: file.to_owned(),
            wanted,
            places: Vec::new(),
            width: 0,
            lines: 0,
            row_line: 0,
            row: Vec::new(),
            fields: Vec::new(),
        };
        if !table.advance()? {
            return Err(table.header("empty; a header line is expected".to_owned()));
        }
        let header: Vec<String> = (0..table.fields.len())
            .map(|at| String::from_utf8_lossy(table.field(Some(at))).trim().to_owned())
            .collect();
        table.width = header.len();
        for want in wanted {
            let mut found =
                (0..header.len()).filter(|at| header.get(*at).is_some_and(|title| title == want.title));
            let place = found.next();
            if found.next().is_some() {
                return Err(table.header(format!("two columns are called {}", want.title)));
            }
            if place.is_none() && want.required {
                return Err(table.header(format!("no column is called {}", want.title)));
            }
            table.places.push(place);
        }
        Ok(table)
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// [`TableError`] with the line.
    pub fn next_row(&mut self) -> Result<Option<Row<'_, R>>, TableError> {
        if !self.advance()? {
            return Ok(None);
        }
        if self.fields.len() != self.width {
            let what = format!("{} fields, the header has {}", self.fields.len(), self.width);
            return Err(TableError::Row { file: self.file.clone(), line: self.row_line, what });
        }
        Ok(Some(Row { table: self }))
    }

    /// Whether the table has this one of the wanted columns.
    #[must_use]
    pub fn has(&self, column: usize) -> bool {
        self.places.get(column).is_some_and(Option::is_some)
    }

    /// What errors call the table.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line of the row read last.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.row_line
    }

    /// Reads one row that is not blank; false at the end.
    fn advance(&mut self) -> Result<bool, TableError> {
        loop {
            self.row.clear();
            self.row_line = self.lines + 1;
            if !self.read_line()? {
                return Ok(false);
            }
            if !self.row.contains(&b'"') {
                let end = trimmed(&self.row);
                if end == 0 {
                    continue;
                }
                self.split(end)?;
                return Ok(true);
            }
            // Inside quotes a line break belongs to the value.
            while !self.row.iter().filter(|byte| **byte == b'"').count().is_multiple_of(2) {
                if !self.read_line()? {
                    return Err(self.malformed("a quote is never closed"));
                }
            }
            self.split_quoted()?;
            return Ok(true);
        }
    }

    /// Appends one line with its break to the row; false at the end of the source.
    fn read_line(&mut self) -> Result<bool, TableError> {
        let before = self.row.len();
        loop {
            let available = match self.source.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    return Err(TableError::Io { file: self.file.clone(), line: self.lines + 1, source });
                }
            };
            if available.is_empty() {
                let read = self.row.len() > before;
                self.lines += u64::from(read);
                return Ok(read);
            }
            let line_end = memchr(b'\n', available);
            let taken = line_end.map_or(available.len(), |at| at + 1);
            if self.row.len() + taken > ROW_BYTES_MAX {
                return Err(self.malformed("longer than 64 KiB"));
            }
            self.row.extend_from_slice(available.get(..taken).unwrap_or(available));
            self.source.consume(taken);
            if line_end.is_some() {
                self.lines += 1;
                return Ok(true);
            }
        }
    }

    /// Fields of a row without quotes.
    fn split(&mut self, end: usize) -> Result<(), TableError> {
        self.fields.clear();
        let mut start = 0;
        for (at, byte) in self.row.iter().take(end).enumerate() {
            if *byte == b',' {
                self.fields.push((start, at));
                start = at + 1;
            }
        }
        self.fields.push((start, end));
        self.check_width()
    }

    /// Fields of a row with quotes, which are taken out of the values in place.
    fn split_quoted(&mut self) -> Result<(), TableError> {
        self.fields.clear();
        let end = trimmed(&self.row);
        let (mut read, mut write) = (0, 0);
        loop {
            let start = write;
            if self.row.get(read) == Some(&b'"') {
                read += 1;
                loop {
                    match (self.row.get(read), self.row.get(read + 1)) {
                        (Some(b'"'), Some(b'"')) if read + 1 < end => {
                            self.put(write, b'"');
                            write += 1;
                            read += 2;
                        }
                        (Some(b'"'), _) => {
                            read += 1;
                            break;
                        }
                        (Some(byte), _) => {
                            let byte = *byte;
                            self.put(write, byte);
                            write += 1;
                            read += 1;
                        }
                        (None, _) => return Err(self.malformed("a quote is never closed")),
                    }
                }
                if read < end && self.row.get(read) != Some(&b',') {
                    return Err(self.malformed("text after a closing quote"));
                }
            } else {
                while read < end && self.row.get(read) != Some(&b',') {
                    let byte = self.row.get(read).copied().unwrap_or_default();
                    if byte == b'"' {
                        return Err(self.malformed("a quote inside a value that does not begin with one"));
                    }
                    self.put(write, byte);
                    write += 1;
                    read += 1;
                }
            }
            self.fields.push((start, write));
            if read >= end {
                return self.check_width();
            }
            // The separator; values are shorter than what they were read from, so the place of a value is free.
            read += 1;
        }
    }

    fn put(&mut self, at: usize, byte: u8) {
        if let Some(place) = self.row.get_mut(at) {
            *place = byte;
        }
    }

    fn check_width(&self) -> Result<(), TableError> {
        if self.fields.len() > COLUMNS_MAX {
            return Err(self.malformed("more than 256 columns"));
        }
        Ok(())
    }

    fn field(&self, place: Option<usize>) -> &[u8] {
        place
            .and_then(|place| self.fields.get(place))
            .and_then(|(start, end)| self.row.get(*start..*end))
            .unwrap_or_default()
    }

    fn malformed(&self, what: &str) -> TableError {
        TableError::Row { file: self.file.clone(), line: self.row_line, what: what.to_owned() }
    }

    fn header(&self, what: String) -> TableError {
        TableError::Header { file: self.file.clone(), what }
    }
}

/// Length without the line break.
fn trimmed(row: &[u8]) -> usize {
    let without = row.strip_suffix(b"\n").unwrap_or(row);
    without.strip_suffix(b"\r").unwrap_or(without).len()
}

/// Position of the first `wanted` byte: eight at a time (Warren, Hacker's Delight, section 6-1).
fn memchr(wanted: u8, bytes: &[u8]) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let pattern = LOW * u64::from(wanted);
    let mut at = 0;
    for chunk in bytes.chunks_exact(8) {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        let zeroed = u64::from_le_bytes(word) ^ pattern;
        if zeroed.wrapping_sub(LOW) & !zeroed & HIGH != 0 {
            break;
        }
        at += 8;
    }
    bytes.get(at..)?.iter().position(|byte| *byte == wanted).map(|found| at + found)
}

/// One row. Columns are named by their position among the wanted ones.
#[derive(Debug)]
pub struct Row<'t, R> {
    table: &'t Table<R>,
}

impl<'t, R: BufRead> Row<'t, R> {
    /// The bytes of a value; empty for a missing column.
    #[must_use]
    pub fn bytes(&self, column: usize) -> &'t [u8] {
        self.table.field(self.table.places.get(column).copied().flatten())
    }

    /// The value as text.
    ///
    /// # Errors
    /// [`TableError::Field`] when it is not UTF-8.
    pub fn text(&self, column: usize) -> Result<&'t str, TableError> {
        std::str::from_utf8(self.bytes(column)).map_err(|_| self.bad(column, "not UTF-8".to_owned()))
    }

    /// A whole number without sign; `None` if empty.
    ///
    /// # Errors
    /// [`TableError::Field`] when it is not one or does not fit 128 bits.
    pub fn u128(&self, column: usize) -> Result<Option<u128>, TableError> {
        let bytes = self.bytes(column);
        if bytes.is_empty() {
            return Ok(None);
        }
        // Nineteen digits fit a machine word, which is what nearly every value needs.
        let parsed = match digits(bytes) {
            Some(Digits::Fits(value)) => return Ok(Some(u128::from(value))),
            Some(Digits::Long) => std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()),
            None => return Err(self.bad(column, format!("{} is not a whole number", shown(bytes)))),
        };
        parsed.map(Some).ok_or_else(|| self.bad(column, format!("{} does not fit 128 bits", shown(bytes))))
    }

    /// A whole number without sign; `None` if empty. What does not fit is the greatest number.
    ///
    /// # Errors
    /// [`TableError::Field`] when it is not one.
    pub fn u128_saturating(&self, column: usize) -> Result<Option<u128>, TableError> {
        match digits(self.bytes(column)) {
            Some(Digits::Long) => {
                let text = std::str::from_utf8(self.bytes(column)).unwrap_or_default();
                Ok(Some(text.parse().unwrap_or(u128::MAX)))
            }
            _ => self.u128(column),
        }
    }

    /// A whole number without sign; `None` if empty.
    ///
    /// # Errors
    /// [`TableError::Field`] when it is not one or does not fit 64 bits.
    pub fn u64(&self, column: usize) -> Result<Option<u64>, TableError> {
        match self.u128(column)? {
            None => Ok(None),
            Some(value) => u64::try_from(value)
                .map(Some)
                .map_err(|_| self.bad(column, format!("{value} does not fit 64 bits"))),
        }
    }

    /// A whole number without sign that must be there.
    ///
    /// # Errors
    /// [`TableError::Field`] when it is missing, not a number or does not fit 64 bits.
    pub fn number(&self, column: usize) -> Result<u64, TableError> {
        self.u64(column)?.ok_or_else(|| self.bad(column, "empty".to_owned()))
    }

    /// An error about a value of this row.
    #[must_use]
    pub fn bad(&self, column: usize, what: String) -> TableError {
        TableError::Field {
            file: self.table.file.clone(),
            line: self.table.row_line,
            column: self.table.wanted.get(column).map_or("?", |want| want.title).to_owned(),
            what,
        }
    }

    /// An error about this row.
    #[must_use]
    pub fn malformed(&self, what: String) -> TableError {
        TableError::Row { file: self.table.file.clone(), line: self.table.row_line, what }
    }
}

enum Digits {
    Fits(u64),
    Long,
}

/// Decimal digits and nothing else.
fn digits(bytes: &[u8]) -> Option<Digits> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if bytes.len() > 19 {
        return Some(Digits::Long);
    }
    Some(Digits::Fits(bytes.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))))
}

/// A value in an error: cut, and printable.
fn shown(bytes: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(bytes).chars().take(40).collect();
    format!("{text:?}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WANTED: &[Wanted] = &[Wanted::required("a"), Wanted::required("b"), Wanted::optional("c")];

    fn read(text: &str) -> Result<Vec<(String, String)>, TableError> {
        let mut table = Table::open("t.csv", text.as_bytes(), WANTED)?;
        let mut rows = Vec::new();
        while let Some(row) = table.next_row()? {
            rows.push((row.text(0)?.to_owned(), row.text(1)?.to_owned()));
        }
        Ok(rows)
    }

    #[test]
    fn columns_are_found_by_title() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(read("x,b,a\n1,2,3\r\n\n4,5,6").unwrap(), [pair("3", "2"), pair("6", "5")]);
        assert_eq!(read("a,b\n\"1,\"\"x\"\"\n2\",3\n").unwrap(), [pair("1,\"x\"\n2", "3")]);
        assert_eq!(read("a,b\n\"\",\"\"\n").unwrap(), [pair("", "")]);
    }

    #[test]
    fn faults_are_named() {
        let error = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(error("a\n1\n"), "t.csv: no column is called b");
        assert_eq!(error(""), "t.csv: empty; a header line is expected");
        assert_eq!(error("a,b,a\n"), "t.csv: two columns are called a");
        assert_eq!(error("a,b\n1,2\n1\n"), "t.csv, line 3: 1 fields, the header has 2");
        assert_eq!(error("a,b\n\"1,2\n"), "t.csv, line 2: a quote is never closed");
        assert_eq!(error("a,b\n\"1\"x,2\n"), "t.csv, line 2: text after a closing quote");
        assert!(error(&format!("a,b\n{},\n", "x".repeat(ROW_BYTES_MAX))).contains("longer than 64 KiB"));
        let packed = Table::open("t.zst", &[0x28, 0xb5, 0x2f, 0xfd, 0, 0][..], WANTED).unwrap_err();
        assert!(packed.to_string().contains("zstd -dc"));
        let zipped = Table::open("t.csv", &[0x1f, 0x8b, 8, 0, 7][..], WANTED).unwrap_err();
        assert!(zipped.to_string().contains("compressed with gzip"), "{zipped}");
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        let text =
            "a,b\n340282366920938463463374607431768211455,12\n340282366920938463463374607431768211456,x\n";
        let mut table = Table::open("t", text.as_bytes(), WANTED).unwrap();
        let row = table.next_row().unwrap().unwrap();
        assert_eq!(row.u128(0).unwrap(), Some(u128::MAX));
        assert_eq!((row.number(1).unwrap(), row.u64(2).unwrap()), (12, None));
        assert!(row.number(2).unwrap_err().to_string().ends_with("column c: empty"));
        let row = table.next_row().unwrap().unwrap();
        assert!(row.u128(0).unwrap_err().to_string().contains("line 3, column a"));
        assert_eq!(row.u128_saturating(0).unwrap(), Some(u128::MAX));
        assert_eq!(row.u64(1).unwrap_err().to_string(), "t, line 3, column b: \"x\" is not a whole number");
    }

    proptest! {
        /// Whatever the bytes, reading ends with rows or with an error.
        #[test]
        fn never_panics(bytes in proptest::collection::vec(prop_oneof![Just(b','), Just(b'"'), Just(b'\n'), Just(b'a'), any::<u8>()], 0..200)) {
            let text = [b"a,b\n".as_slice(), &bytes].concat();
            let mut table = Table::open("t", text.as_slice(), WANTED).unwrap();
            while let Ok(Some(row)) = table.next_row() {
                drop((row.text(0), row.u128(1)));
            }
        }

        /// Values survive quoting.
        #[test]
        fn quoting_is_undone(values in proptest::collection::vec(("[a,\"\n\r ]{0,6}", "[x\",]{0,4}"), 1..8)) {
            let quoted = |value: &str| format!("\"{}\"", value.replace('"', "\"\""));
            let mut text = "a,b\n".to_owned();
            for (a, b) in &values {
                text.push_str(&format!("{},{}\n", quoted(a), quoted(b)));
            }
            prop_assert_eq!(read(&text).unwrap(), values);
        }

        #[test]
        fn memchr_agrees_with_a_loop(bytes in proptest::collection::vec(0_u8..4, 0..40)) {
            prop_assert_eq!(memchr(3, &bytes), bytes.iter().position(|byte| *byte == 3));
        }
    }
}
