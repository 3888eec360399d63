//! Importing lists: source files in, a finished segment and a report out. All or nothing.
//!
//! Sources are hostile input: sizes, depths and counts are bounded, and whatever is refused is named by file, line and
//! field. Nothing is dropped silently: an address of a network without a codec here is kept as text and matched
//! byte for byte, and the report counts it.

mod actorpack;
mod csv;
mod ofac;
mod ofac_xml;
mod scamsniffer;
mod tagpack;
mod ticker;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use chain::{
    address::{self, AddressError},
    label::Label,
    segment::{BuildError, Builder, Key, Segment},
};
use crypto::sha256;
use domain::{Address, UnixNanos};

use crate::{ListName, StoreError};

/// Most bytes of all source files of one import together.
pub const SOURCE_BYTES_MAX: u64 = 4 << 30;
/// Most source files of one import.
pub const SOURCE_FILES_MAX: usize = 4096;
/// Deepest folder below the one an import starts from.
const FOLDER_DEPTH_MAX: usize = 4;
/// Most undecodable entries quoted in a report.
pub const UNDECODABLE_MAX: usize = 100;
/// Longest label, source or other description kept; what is longer is cut there.
const DESCRIPTION_CHARS_MAX: usize = 512;

/// How a source is written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Comma-separated values with a header line.
    Csv(Box<CsvColumns>),
    /// One sanctioned address a line; one file per ticker.
    Ofac {
        /// The ticker of every file; if absent, that of the name `sanctioned_addresses_<TICKER>.txt`.
        ticker: Option<String>,
    },
    /// Sanctions lists as the US Treasury publishes them: XML, classic or advanced.
    OfacXml,
    /// The JSON files of the `ScamSniffer` database.
    ScamSniffer,
    /// GraphSense TagPacks, with the ActorPacks they refer to: YAML.
    TagPack,
}

/// Where a value of a table comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Column {
    /// There is none.
    #[default]
    Absent,
    /// The same for every row.
    Fixed(String),
    /// The column with this title.
    Named(String),
}

/// What the columns of a table mean.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CsvColumns {
    /// The address.
    pub address: Column,
    /// Network or ticker, as in other sources; in any case of letters.
    pub network: Column,
    /// A word of the TagPack taxonomy or of [`chain::label::Category`].
    pub category: Column,
    /// Who or what the address is said to be.
    pub label: Column,
    /// Where the claim was published; the name of the file if absent or empty.
    pub source: Column,
    /// The licence of the source.
    pub licence: Column,
    /// A word of [`chain::label::Confidence`]; unstated if absent or empty.
    pub confidence: Column,
    /// A date or RFC 3339 time.
    pub first_seen: Column,
    /// A date or RFC 3339 time.
    pub last_seen: Column,
}

/// A text that names no format of sources.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no list format: {reason}")]
pub struct BadFormat {
    text: String,
    reason: String,
}

impl FromStr for Format {
    type Err = BadFormat;

    /// `ofac`, `ofac-xml`, `scamsniffer`, `tagpack`, or `csv:` with `field=column` for each field of [`CsvColumns`], separated by
    /// commas; `field=:value` gives every row the same value. For example
    /// `csv:address=addr,network=:ETH,category=kind,label=name`.
    fn from_str(text: &str) -> Result<Self, BadFormat> {
        let bad =
            |reason: &str| BadFormat { text: text.chars().take(128).collect(), reason: reason.to_owned() };
        let shown = |field: &str| -> String { field.chars().take(32).collect() };
        match text {
            "ofac" => return Ok(Self::Ofac { ticker: None }),
            "ofac-xml" => return Ok(Self::OfacXml),
            "scamsniffer" => return Ok(Self::ScamSniffer),
            "tagpack" => return Ok(Self::TagPack),
            _ => {}
        }
        let pairs = text.strip_prefix("csv:").ok_or_else(|| {
            bad("one of ofac, ofac-xml, scamsniffer, tagpack, csv:FIELD=COLUMN,... is expected")
        })?;
        let mut columns = CsvColumns::default();
        for pair in pairs.split(',') {
            let (field, column) = pair
                .split_once('=')
                .ok_or_else(|| bad(&format!("FIELD=COLUMN is expected in place of {:?}", shown(pair))))?;
            let place = match field {
                "address" => &mut columns.address,
                "network" => &mut columns.network,
                "category" => &mut columns.category,
                "label" => &mut columns.label,
                "source" => &mut columns.source,
                "licence" => &mut columns.licence,
                "confidence" => &mut columns.confidence,
                "first_seen" => &mut columns.first_seen,
                "last_seen" => &mut columns.last_seen,
                _ => {
                    return Err(bad(&format!(
                        "there is no field {:?}; there are address, network, category, label, source, licence, \
                         confidence, first_seen, last_seen",
                        shown(field)
                    )));
                }
            };
            if *place != Column::Absent {
                return Err(bad(&format!("{field} is given twice")));
            }
            *place = match column.strip_prefix(':') {
                Some(value) => Column::Fixed(value.to_owned()),
                None => Column::Named(column.to_owned()),
            };
        }
        if [&columns.address, &columns.network, &columns.category].contains(&&Column::Absent) {
            return Err(bad("address, network and category must be given"));
        }
        Ok(Self::Csv(Box::new(columns)))
    }
}

impl Format {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Csv(_) => "csv",
            Self::Ofac { .. } => "ofac",
            Self::OfacXml => "ofac-xml",
            Self::ScamSniffer => "scamsniffer",
            Self::TagPack => "tagpack",
        }
    }

    fn wants(&self, name: &str) -> bool {
        match self {
            Self::Csv(_) => name.to_ascii_lowercase().ends_with(".csv"),
            Self::Ofac { .. } => ofac::ticker_of(name).is_some(),
            Self::OfacXml => ofac_xml::wants(name),
            Self::ScamSniffer => scamsniffer::wants(name),
            Self::TagPack => {
                let name = name.to_ascii_lowercase();
                name.ends_with(".yaml") || name.ends_with(".yml")
            }
        }
    }
}

/// One file of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name, relative to the folder the import started from.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Why an import changed nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Packs of actors without packs of tags: an actor has no address.
    #[error(
        "the source names {actors} actors but no addresses, import it in one folder with the TagPacks that refer to them"
    )]
    ActorsAlone {
        /// How many.
        actors: usize,
    },
    /// A source file that is compressed.
    #[error("{file}: compressed with {by}; unpack it first, as in: {unpack} FILE")]
    Compressed {
        /// Which file.
        file: String,
        /// With what.
        by: &'static str,
        /// What unpacks it.
        unpack: &'static str,
    },
    /// A part of the source that is not as the format demands.
    #[error("{file}, line {line}, {field}: {reason}")]
    Malformed {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Which field.
        field: &'static str,
        /// What is wrong with it, in words.
        reason: String,
    },
    /// A source without a single entry: taking it for a list would lift every block of the earlier state. To drop a
    /// list, remove it.
    #[error("the source has no entries, the earlier state of the list stays in force")]
    NoEntries,
    /// An update of a list that is not in force.
    #[error("there is no list {list} to update, import it first")]
    NotInForce {
        /// Which.
        list: ListName,
    },
    /// A source file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The list does not fit a segment.
    #[error("the list does not fit a segment")]
    Segment(#[from] BuildError),
    /// The directory of lists could not be written.
    #[error("cannot store the list")]
    Store(#[from] StoreError),
    /// A file from whose name the ticker cannot be told, and none was given.
    #[error(
        "{file}: the name is not of the form sanctioned_addresses_<TICKER>.txt, so the ticker must be given"
    )]
    TickerUnknown {
        /// Which file.
        file: String,
    },
    /// More than [`SOURCE_BYTES_MAX`].
    #[error("the source is larger than {SOURCE_BYTES_MAX} bytes")]
    TooLarge,
    /// More changes since the last whole state than are kept beside it.
    #[error("more than {} changes since the last whole state, import a whole state", crate::CHANGES_MAX)]
    TooManyChanges,
    /// More than [`SOURCE_FILES_MAX`], or folders nested too deep.
    #[error(
        "the source has more than {SOURCE_FILES_MAX} files or nests folders more than {FOLDER_DEPTH_MAX} deep"
    )]
    TooManyFiles,
}

/// Entries of one ticker that were kept as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAsText {
    /// The ticker or network as the source writes it.
    pub asset: String,
    /// How many entries.
    pub entries: u64,
}

/// An entry whose address its network's codec refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// In which file.
    pub file: String,
    /// At which line, from 1.
    pub line: usize,
    /// What is wrong with it, in words.
    pub reason: String,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// Which list.
    pub list: ListName,
    /// How the source was written.
    pub format: &'static str,
    /// Source files read.
    pub files: u64,
    /// Entries of the source: lines or tags, repeated and skipped ones included.
    pub entries: u64,
    /// Distinct addresses now listed.
    pub addresses: u64,
    /// Distinct texts now listed, of networks without a codec here.
    pub texts: u64,
    /// Entries kept as text, by ticker.
    pub kept_as_text: Vec<KeptAsText>,
    /// Addresses whose mixed case contradicts EIP-55, taken by their digits.
    pub case_ignored: u64,
    /// Entries that are valid addresses, but not of the network the source files them under; taken as what they are.
    pub other_family: u64,
    /// Entries that name a transaction rather than an address, skipped.
    pub transactions_skipped: u64,
    /// Tags whose address is damaged beyond its network's codec; kept as text, so the same text is still found. Lists
    /// of sanctions are refused instead.
    pub undecodable: u64,
    /// The first [`UNDECODABLE_MAX`] of those.
    pub undecodable_first: Vec<Undecodable>,
    /// Distinct addresses and texts of the state that was replaced, if there was one.
    pub replaced: Option<u64>,
    /// When.
    pub imported_at: UnixNanos,
    /// SHA-256 of the source: of the file, or of the lines `sha256sum` prints for its files in the order of names.
    pub source_sha256: [u8; 32],
    /// SHA-256 of the segment file.
    pub segment_sha256: [u8; 32],
}

/// Reads the files of a source: one file, or those below a folder whose names fit the format.
///
/// # Errors
/// [`ImportError::Read`], [`ImportError::TooLarge`], [`ImportError::TooManyFiles`].
pub fn read_sources(path: &Path, format: &Format) -> Result<Vec<SourceFile>, ImportError> {
    let mut reader = Reader { format, files: Vec::new(), bytes_left: SOURCE_BYTES_MAX };
    let meta = fs::metadata(path).map_err(|source| ImportError::Read { path: path.to_owned(), source })?;
    if meta.is_dir() {
        reader.folder(path, "", 0)?;
        reader.files.sort_by(|a, b| a.name.cmp(&b.name));
    } else {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        reader.file(path, name)?;
    }
    Ok(reader.files)
}

struct Reader<'a> {
    format: &'a Format,
    files: Vec<SourceFile>,
    bytes_left: u64,
}

impl Reader<'_> {
    fn folder(&mut self, path: &Path, prefix: &str, depth: usize) -> Result<(), ImportError> {
        let fault = |source| ImportError::Read { path: path.to_owned(), source };
        if depth > FOLDER_DEPTH_MAX {
            return Err(ImportError::TooManyFiles);
        }
        for entry in fs::read_dir(path).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            // Symbolic links are neither: a source cannot lead out of its folder.
            let kind = entry.file_type().map_err(fault)?;
            if kind.is_dir() {
                self.folder(&entry.path(), &format!("{name}/"), depth + 1)?;
            } else if kind.is_file() && self.format.wants(&name) {
                self.file(&entry.path(), name)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: String) -> Result<(), ImportError> {
        use io::Read as _;
        if self.files.len() == SOURCE_FILES_MAX {
            return Err(ImportError::TooManyFiles);
        }
        let mut bytes = Vec::new();
        fs::File::open(path)
            .and_then(|file| file.take(self.bytes_left + 1).read_to_end(&mut bytes))
            .map_err(|source| ImportError::Read { path: path.to_owned(), source })?;
        self.bytes_left = self.bytes_left.checked_sub(bytes.len() as u64).ok_or(ImportError::TooLarge)?;
        self.files.push(SourceFile { name, bytes });
        Ok(())
    }
}

/// A segment built from sources, not yet stored.
pub(crate) struct Imported {
    pub(crate) segment: Vec<u8>,
    pub(crate) report: ImportReport,
}

/// Parses `files` and builds the segment of `list`.
pub(crate) fn build(
    list: &ListName,
    format: &Format,
    files: &[SourceFile],
    hash_key: [u8; 16],
    now: UnixNanos,
) -> Result<Imported, ImportError> {
    if files.len() > SOURCE_FILES_MAX {
        return Err(ImportError::TooManyFiles);
    }
    if files.iter().map(|file| file.bytes.len() as u64).sum::<u64>() > SOURCE_BYTES_MAX {
        return Err(ImportError::TooLarge);
    }
    for file in files {
        if let Some((by, unpack)) = crate::table::compression(&file.bytes) {
            return Err(ImportError::Compressed { file: file.name.clone(), by, unpack });
        }
    }
    let source_sha256 = digest_of(files);
    let mut sink = Sink {
        builder: Builder::new(list.as_str(), hash_key, now, source_sha256)?,
        entries: 0,
        case_ignored: 0,
        other_family: 0,
        transactions_skipped: 0,
        undecodable: 0,
        undecodable_first: Vec::new(),
        kept_as_text: BTreeMap::new(),
    };
    let actors = match format {
        Format::TagPack => actorpack::gather(files)?,
        _ => actorpack::Actors::new(),
    };
    for file in files {
        match format {
            Format::Csv(columns) => csv::import(file, columns, &mut sink)?,
            Format::ScamSniffer => scamsniffer::import(file, &mut sink)?,
            Format::Ofac { ticker } => ofac::import(file, ticker.as_deref(), &mut sink)?,
            Format::OfacXml => ofac_xml::import(file, &mut sink)?,
            Format::TagPack => tagpack::import(file, &actors, &mut sink)?,
        }
    }
    if sink.builder.label_count() == 0 {
        return Err(match actors.len() {
            0 => ImportError::NoEntries,
            actors => ImportError::ActorsAlone { actors },
        });
    }
    let segment = sink.builder.finish()?;
    let parsed = Segment::parse(segment.as_slice()).expect("a segment just built is one");
    let report = ImportReport {
        list: list.clone(),
        format: format.as_str(),
        files: files.len() as u64,
        entries: sink.entries,
        addresses: parsed.address_count() as u64,
        texts: parsed.text_count() as u64,
        kept_as_text: sink
            .kept_as_text
            .into_iter()
            .map(|(asset, entries)| KeptAsText { asset, entries })
            .collect(),
        case_ignored: sink.case_ignored,
        other_family: sink.other_family,
        transactions_skipped: sink.transactions_skipped,
        undecodable: sink.undecodable,
        undecodable_first: sink.undecodable_first,
        replaced: None,
        imported_at: now,
        source_sha256,
        segment_sha256: parsed.file_sha256(),
    };
    Ok(Imported { segment, report })
}

/// The digest of one file; of several, that of the lines `sha256sum` prints for them, so anybody can compute it.
pub(crate) fn digest_of(files: &[SourceFile]) -> [u8; 32] {
    match files {
        [file] => sha256(&[&file.bytes]),
        files => {
            let lines: String = files
                .iter()
                .map(|file| format!("{}  {}\n", hex(&sha256(&[&file.bytes])), file.name))
                .collect();
            sha256(&[lines.as_bytes()])
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a string does not fail");
        out
    })
}

/// Most tickers counted apart in a report; the rest share one line.
const TICKERS_MAX: usize = 256;

/// Where importers put what they read.
struct Sink {
    builder: Builder,
    entries: u64,
    case_ignored: u64,
    other_family: u64,
    transactions_skipped: u64,
    undecodable: u64,
    undecodable_first: Vec<Undecodable>,
    kept_as_text: BTreeMap<String, u64>,
}

impl Sink {
    fn address(&mut self, address: &Address, label: &Label<'_>) -> Result<(), BuildError> {
        self.builder.push(Key::Address(address), label)
    }

    fn note(&mut self, oddity: Option<&Oddity>) {
        match oddity {
            Some(Oddity::Case) => self.case_ignored += 1,
            Some(Oddity::Family) => self.other_family += 1,
            None => {}
        }
    }

    fn note_undecodable(&mut self, file: &str, line: usize, reason: String) {
        self.undecodable += 1;
        if self.undecodable_first.len() < UNDECODABLE_MAX {
            self.undecodable_first.push(Undecodable { file: file.to_owned(), line, reason });
        }
    }

    fn text(&mut self, text: &str, label: &Label<'_>) -> Result<(), BuildError> {
        self.builder.push(Key::Text(text), label)
    }

    fn note_text(&mut self, asset: &str) {
        let full = self.kept_as_text.len() >= TICKERS_MAX && !self.kept_as_text.contains_key(asset);
        let asset = if full { "(others)" } else { asset };
        *self.kept_as_text.entry(asset.to_owned()).or_default() += 1;
    }
}

/// A description as it is kept: on one line, without control characters, cut to [`DESCRIPTION_CHARS_MAX`].
fn description(text: &str) -> String {
    text.trim().chars().take(DESCRIPTION_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What a list's text of an address turned out to be.
enum Resolved {
    /// An address, and what is odd about how the list writes it.
    Address(Address, Option<Oddity>),
    /// A text of a network without a codec here.
    Text,
}

/// What is odd about an address that is taken nevertheless: leaving a listed address unblocked is the worse mistake.
enum Oddity {
    /// The mixed case contradicts EIP-55. The case carries only the checksum; the digits are as they are.
    Case,
    /// The address is valid, but not on the network the list names.
    Family,
}

/// Decodes with the codec of the ticker, if it has one.
fn resolve(asset: &str, text: &str) -> Result<Resolved, AddressError> {
    let error = match ticker::decode(asset, text) {
        Ok(Some(address)) => return Ok(Resolved::Address(address, None)),
        Ok(None) => return Ok(Resolved::Text),
        Err(error) => error,
    };
    if matches!(error, AddressError::MixedCaseChecksum { .. })
        && let Ok(Some(address)) = ticker::decode(asset, &text.to_ascii_lowercase())
    {
        return Ok(Resolved::Address(address, Some(Oddity::Case)));
    }
    // Published lists file TRON addresses under Bitcoin, and the like.
    match address::decode_any(text) {
        Ok(address) => Ok(Resolved::Address(address, Some(Oddity::Family))),
        Err(_) => Err(error),
    }
}
