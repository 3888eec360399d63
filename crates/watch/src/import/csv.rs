//! Tables of comma-separated values (RFC 4180) with a header line; which column means what is the operator's word.
//!
//! An address its network's codec refuses does not fail the import: it is kept as text and reported by line. A category
//! without a word here does: taking it for harmless would be worse than asking.

use chain::{
    address,
    label::{Category, Confidence, Label},
};
use domain::UnixNanos;

use super::{Column, CsvColumns, ImportError, Resolved, Sink, SourceFile, description, resolve};

/// Longest record, in bytes.
const RECORD_BYTES_MAX: usize = 64 << 10;
/// Most columns.
const COLUMNS_MAX: usize = 256;

pub(super) fn import(file: &SourceFile, columns: &CsvColumns, sink: &mut Sink) -> Result<(), ImportError> {
    let malformed = |line, field, reason: &str| ImportError::Malformed {
        file: file.name.clone(),
        line,
        field,
        reason: reason.to_owned(),
    };
    let text = std::str::from_utf8(&file.bytes).map_err(|error| {
        let before = file.bytes.get(..error.valid_up_to()).unwrap_or(&[]);
        malformed(1 + before.iter().filter(|byte| **byte == b'\n').count(), "table", "the file is not UTF-8")
    })?;
    let mut records = Records { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    let mut next = || records.next().map_err(|(line, reason)| malformed(line, "table", reason));
    let Some((_, header)) = next()? else { return Ok(()) };
    let find = |field, column| {
        source_of(&header, column).ok_or_else(|| {
            let Column::Named(name) = column else { return malformed(1, field, "no column") };
            let name: String = name.chars().take(64).collect();
            malformed(1, field, &format!("the header has no column {name:?}"))
        })
    };
    let of_address = find("address", &columns.address)?;
    let of_network = find("network", &columns.network)?;
    let of_category = find("category", &columns.category)?;
    let of_label = find("label", &columns.label)?;
    let of_source = find("source", &columns.source)?;
    let of_licence = find("licence", &columns.licence)?;
    let of_confidence = find("confidence", &columns.confidence)?;
    let of_first_seen = find("first_seen", &columns.first_seen)?;
    let of_last_seen = find("last_seen", &columns.last_seen)?;
    while let Some((line, record)) = next()? {
        if record.len() != header.len() {
            return Err(malformed(
                line,
                "record",
                &format!("it has {} fields, the header has {}", record.len(), header.len()),
            ));
        }
        let value = |of: &Source<'_>| match of {
            Source::Fixed(value) => (*value).to_owned(),
            Source::At(at) => record.get(*at).map(|field| field.trim().to_owned()).unwrap_or_default(),
        };
        sink.entries += 1;
        let text = value(&of_address);
        if text.is_empty() || text.len() > address::TEXT_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(malformed(
                line,
                "address",
                &format!("not 1 to {} bytes on one line", address::TEXT_BYTES_MAX),
            ));
        }
        let network = description(&value(&of_network)).to_ascii_uppercase();
        let word = value(&of_category);
        let category = Category::from_word(&word).ok_or_else(|| {
            malformed(line, "category", &format!("{:?} is no category known here", description(&word)))
        })?;
        let confidence = match value(&of_confidence).as_str() {
            "" => Confidence::Unstated,
            word => Confidence::from_word(word),
        };
        let time = |field, of| match value(of).as_str() {
            "" => Ok(None),
            text => moment(text)
                .map(Some)
                .ok_or_else(|| malformed(line, field, "neither a date nor an RFC 3339 time")),
        };
        let (label, source) = (description(&value(&of_label)), description(&value(&of_source)));
        let licence = description(&value(&of_licence));
        let label = Label {
            category,
            confidence,
            text: &label,
            source: if source.is_empty() { &file.name } else { &source },
            asset: &network,
            licence: &licence,
            first_seen: time("first_seen", &of_first_seen)?,
            last_seen: time("last_seen", &of_last_seen)?,
        };
        match resolve(&network, &text) {
            Ok(Resolved::Address(address, oddity)) => {
                sink.note(oddity.as_ref());
                sink.address(&address, &label)?;
            }
            Ok(Resolved::Text) => {
                sink.note_text(&network);
                sink.text(&text, &label)?;
            }
            Err(error) => {
                let shown = description(&text);
                sink.note_undecodable(
                    &file.name,
                    line,
                    format!("{} is no {network} address: {error}", shown.escape_debug()),
                );
                sink.note_text(&network);
                sink.text(&text, &label)?;
            }
        }
    }
    Ok(())
}

/// A date, or a moment in RFC 3339.
pub(super) fn moment(text: &str) -> Option<UnixNanos> {
    let text = text.trim();
    UnixNanos::parse_rfc3339(text)
        .or_else(|_| UnixNanos::parse_rfc3339(&format!("{}T00:00:00Z", text.get(..10).unwrap_or(text))))
        .ok()
}

fn source_of<'c>(header: &[String], column: &'c Column) -> Option<Source<'c>> {
    match column {
        Column::Absent => Some(Source::Fixed("")),
        Column::Fixed(value) => Some(Source::Fixed(value)),
        Column::Named(name) => header.iter().position(|title| title.trim() == name).map(Source::At),
    }
}

/// Where a value of each row comes from.
enum Source<'a> {
    At(usize),
    Fixed(&'a str),
}

/// The line a record starts at, and its fields.
type Record = (usize, Vec<String>);
/// A line, and what is wrong there.
type Fault = (usize, &'static str);

/// Reads records one by one; a quoted field may hold commas, line ends and doubled quotes.
struct Records<'t> {
    rest: &'t str,
    line: usize,
}

impl Records<'_> {
    /// The next record with the line it starts at; empty lines are none.
    fn next(&mut self) -> Result<Option<Record>, Fault> {
        while let Some(rest) = self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix('\n')) {
            self.rest = rest;
            self.line += 1;
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let start = self.line;
        let (mut fields, mut field) = (Vec::new(), String::new());
        let (mut quoted, mut closed) = (false, false);
        let mut chars = self.rest.char_indices().peekable();
        let mut end = self.rest.len();
        while let Some((at, c)) = chars.next() {
            if at > RECORD_BYTES_MAX {
                return Err((start, "a record is longer than 64 KiB"));
            }
            match c {
                '"' if quoted => match chars.peek() {
                    Some((_, '"')) => {
                        field.push('"');
                        chars.next();
                    }
                    _ => (quoted, closed) = (false, true),
                },
                '"' if field.is_empty() && !closed => quoted = true,
                ',' if !quoted => {
                    fields.push(std::mem::take(&mut field));
                    closed = false;
                    if fields.len() == COLUMNS_MAX {
                        return Err((start, "there are more than 256 columns"));
                    }
                }
                '\r' if !quoted && matches!(chars.peek(), Some((_, '\n'))) => {}
                '\n' if !quoted => {
                    end = at + 1;
                    self.line += 1;
                    break;
                }
                _ if closed || (c == '"' && !quoted) => {
                    return Err((self.line, "a quote stands within a field that is not quoted"));
                }
                c => {
                    self.line += usize::from(c == '\n');
                    field.push(c);
                }
            }
        }
        if quoted {
            return Err((start, "a quoted field does not end"));
        }
        fields.push(field);
        self.rest = self.rest.get(end..).unwrap_or("");
        Ok(Some((start, fields)))
    }
}
