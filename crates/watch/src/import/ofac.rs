//! Sanctioned addresses as plain text: one address a line, one file per ticker.
//!
//! The files hold one day's whole state of the list. A line that is no address fails the import: in a list with legal
//! force a damaged line must be seen by a person, not skipped.

use chain::label::{Category, Confidence, Label};

use super::{ImportError, Resolved, Sink, SourceFile, resolve};

/// Bounds of a plausible address of a network without a codec here; the shortest in use have 25 characters.
const TEXT_BYTES: std::ops::RangeInclusive<usize> = 20..=128;

/// The ticker in a file name of the form `sanctioned_addresses_<TICKER>.txt`, in any folder.
pub(super) fn ticker_of(name: &str) -> Option<&str> {
    let name = name.rsplit('/').next()?;
    let ticker = name.strip_prefix("sanctioned_addresses_")?.strip_suffix(".txt")?;
    is_ticker(ticker).then_some(ticker)
}

fn is_ticker(text: &str) -> bool {
    (1..=12).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

pub(super) fn import(file: &SourceFile, ticker: Option<&str>, sink: &mut Sink) -> Result<(), ImportError> {
    let asset = ticker
        .filter(|ticker| is_ticker(ticker))
        .or_else(|| ticker_of(&file.name))
        .ok_or_else(|| ImportError::TickerUnknown { file: file.name.clone() })?;
    let malformed =
        |line, reason| ImportError::Malformed { file: file.name.clone(), line, field: "address", reason };
    let label = Label {
        category: Category::Sanctions,
        confidence: Confidence::AuthorityData,
        text: "OFAC specially designated national",
        source: &file.name,
        asset,
        licence: "",
        first_seen: None,
        last_seen: None,
    };
    for (line, bytes) in (1..).zip(file.bytes.split(|byte| *byte == b'\n')) {
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if bytes.is_empty() {
            continue;
        }
        let text =
            std::str::from_utf8(bytes).map_err(|_| malformed(line, "the line is not UTF-8".to_owned()))?;
        file_one(&file.name, line, asset, text, &label, sink)?;
    }
    Ok(())
}

/// Files one address of a list with legal force: what is none fails the import.
pub(super) fn file_one(
    file: &str,
    line: usize,
    asset: &str,
    text: &str,
    label: &Label<'_>,
    sink: &mut Sink,
) -> Result<(), ImportError> {
    let malformed = |reason| ImportError::Malformed { file: file.to_owned(), line, field: "address", reason };
    match resolve(asset, text).map_err(|error| malformed(error.to_string()))? {
        Resolved::Address(address, oddity) => {
            sink.note(oddity.as_ref());
            sink.address(&address, label)?;
        }
        Resolved::Text => {
            let plausible = |byte: u8| byte.is_ascii_alphanumeric() || byte == b':';
            if !TEXT_BYTES.contains(&text.len()) || !text.bytes().all(plausible) {
                return Err(malformed(format!("this cannot be an address of {asset}")));
            }
            sink.note_text(asset);
            sink.text(text, label)?;
        }
    }
    sink.entries += 1;
    Ok(())
}
