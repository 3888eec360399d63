//! Sanctions lists of the US Treasury (OFAC) as published: the classic form (`SDN.XML`, root `sdnList`) and the advanced
//! one (`SDN_ADVANCED.XML`, root `Sanctions`); the consolidated lists have the same two forms.
//!
//! Only digital currency addresses are taken, with the name of the party they belong to and its programs or entry.
//! Everything else of a list (persons, vessels, documents) is passed over. A file holds one day's whole state. An
//! address that is none fails the import: in a list with legal force a damaged entry must be seen by a person.
//!
//! Read as a stream of events by `quick-xml`: the advanced list has more than 100 MB, of which a tree would take ten
//! times as much. Document types are refused, so no entity can be defined, let alone multiply; only those of XML itself
//! are known.
//!
//! Bounds: [`DEPTH_MAX`] elements within each other, [`TEXT_BYTES_MAX`] bytes of one text that is kept,
//! [`ADDRESSES_MAX`] addresses of one party, [`FEATURES_MAX`] kinds of features.

use std::collections::BTreeMap;

use chain::label::{Category, Confidence, Label};
use domain::UnixNanos;
use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

use super::{ImportError, Sink, SourceFile, csv::moment, description, ofac, tagpack::utf8};

/// Most elements within each other; the lists have nine.
const DEPTH_MAX: usize = 64;
/// Longest text that is kept, in bytes.
const TEXT_BYTES_MAX: usize = 4_096;
/// Most addresses of one party; the most so far has some hundred.
const ADDRESSES_MAX: usize = 100_000;
/// Most kinds of features an advanced list defines; there are some hundred.
const FEATURES_MAX: usize = 10_000;
/// Most programs of one party that are named.
const PROGRAMS_MAX: usize = 16;

/// How the lists call what is looked for; the ticker follows.
const KIND: &str = "Digital Currency Address";

/// Whether a file of this name may be one.
pub(super) fn wants(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".xml")
}

pub(super) fn import(file: &SourceFile, sink: &mut Sink) -> Result<(), ImportError> {
    let text = utf8(file)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut list = List {
        file,
        text,
        line: 1,
        counted: 0,
        form: Form::Unknown,
        open: Vec::new(),
        content: String::new(),
        party: Party::default(),
        features: BTreeMap::new(),
        published: None,
        date: Default::default(),
    };
    let mut reader = Reader::from_str(text);
    loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) => {
                list.advance(reader.error_position());
                return Err(list.fault("file", format!("not XML: {error}")));
            }
        };
        list.advance(reader.buffer_position());
        match event {
            Event::Start(start) => list.start(&start)?,
            Event::Empty(start) => {
                list.start(&start)?;
                list.end(sink)?;
            }
            Event::End(_) => list.end(sink)?,
            Event::Text(part) => list.push(&part)?,
            Event::CData(part) => list.push(&part)?,
            Event::GeneralRef(name) => {
                let known = match &*name {
                    "amp" => Some('&'),
                    "apos" => Some('\''),
                    "gt" => Some('>'),
                    "lt" => Some('<'),
                    "quot" => Some('"'),
                    _ => name.resolve_char_ref().ok().flatten(),
                };
                let Some(known) = known else {
                    return Err(list.fault("file", "an entity that XML does not define".to_owned()));
                };
                list.push(known.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(_) => {
                return Err(list.fault("file", "document types are not accepted".to_owned()));
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if !list.open.is_empty() {
        return Err(list.fault("file", "the file ends within an element".to_owned()));
    }
    if list.form == Form::Unknown {
        return Err(list.fault("file", "neither sdnList nor Sanctions is its root".to_owned()));
    }
    Ok(())
}

/// Which of the two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Advanced,
    Classic,
    Unknown,
}

/// An address of a party, with the line it stands on.
struct Listed {
    asset: String,
    text: String,
    line: usize,
}

/// A sanctioned party, as far as it has been read.
#[derive(Default)]
struct Party {
    uid: String,
    /// Classic: last name, first name. Advanced: the parts of the first name.
    names: Vec<String>,
    has_name: bool,
    programs: Vec<String>,
    addresses: Vec<Listed>,
    /// Of the id or feature that is open.
    asset: Option<String>,
    number: Option<(String, usize)>,
}

/// A list being read.
struct List<'f> {
    file: &'f SourceFile,
    text: &'f str,
    /// Of the event last read, from 1.
    line: usize,
    /// Bytes whose lines are counted.
    counted: usize,
    form: Form,
    /// Names of the open elements.
    open: Vec<String>,
    /// Text of the innermost element.
    content: String,
    party: Party,
    /// Advanced: the tickers of the kinds of features that are addresses; `None` for other kinds.
    features: BTreeMap<String, Option<String>>,
    published: Option<UnixNanos>,
    /// Advanced: year, month and day of issue.
    date: [String; 3],
}

impl List<'_> {
    fn advance(&mut self, position: u64) {
        let position = usize::try_from(position).unwrap_or(usize::MAX).min(self.text.len());
        let passed = self.text.as_bytes().get(self.counted..position).unwrap_or(&[]);
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.counted = self.counted.max(position);
    }

    fn fault(&self, field: &'static str, reason: String) -> ImportError {
        let place = self.open.join("/");
        let reason = if place.is_empty() { reason } else { format!("{place}: {reason}") };
        ImportError::Malformed { file: self.file.name.clone(), line: self.line, field, reason }
    }

    fn push(&mut self, text: &str) -> Result<(), ImportError> {
        let room = TEXT_BYTES_MAX.saturating_sub(self.content.len());
        if text.len() <= room {
            self.content.push_str(text);
            return Ok(());
        }
        // What is not kept may be as long as it likes; nobody can tell yet whether this is.
        if self.is_kept() {
            return Err(self.fault("text", format!("longer than {TEXT_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// Whether the text of the innermost element is used.
    fn is_kept(&self) -> bool {
        matches!(
            self.open.last().map(String::as_str),
            Some(
                "idNumber"
                    | "idType"
                    | "uid"
                    | "lastName"
                    | "firstName"
                    | "program"
                    | "VersionDetail"
                    | "FeatureType"
                    | "NamePartValue"
                    | "Publish_Date"
                    | "Year"
                    | "Month"
                    | "Day"
            )
        )
    }

    /// Whether the innermost elements are these, outermost first.
    fn is_in(&self, names: &[&str]) -> bool {
        self.open.len() >= names.len()
            && self.open.iter().rev().zip(names.iter().rev()).all(|(open, name)| open == name)
    }

    fn attribute(&self, start: &BytesStart<'_>, name: &'static str) -> Result<Option<String>, ImportError> {
        let found = start
            .try_get_attribute(name)
            .map_err(|error| self.fault("attribute", format!("{name}: {error}")))?;
        found
            .map(|found| found.normalized_value(XmlVersion::Implicit1_0).map(|value| value.trim().to_owned()))
            .transpose()
            .map_err(|error| self.fault("attribute", format!("{name}: {error}")))
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), ImportError> {
        if self.open.len() == DEPTH_MAX {
            return Err(self.fault("file", "elements are nested too deep".to_owned()));
        }
        let name = start.local_name().as_ref().to_owned();
        if self.open.is_empty() {
            if self.form != Form::Unknown {
                return Err(self.fault("file", "there is a second root".to_owned()));
            }
            self.form = match name.as_str() {
                "Sanctions" => Form::Advanced,
                "sdnList" => Form::Classic,
                _ => {
                    let reason = format!("the root is {}, not sdnList or Sanctions", description(&name));
                    return Err(self.fault("file", reason));
                }
            };
        }
        self.open.push(name);
        self.content.clear();
        match self.form {
            Form::Classic if self.is_in(&["sdnList", "sdnEntry"]) => self.party = Party::default(),
            Form::Classic if self.is_in(&["idList", "id"]) => {
                (self.party.asset, self.party.number) = (None, None);
            }
            Form::Advanced if self.is_in(&["DistinctParties", "DistinctParty"]) => {
                self.party =
                    Party { uid: self.attribute(start, "FixedRef")?.unwrap_or_default(), ..Party::default() };
            }
            Form::Advanced if self.is_in(&["FeatureTypeValues", "FeatureType"]) => {
                let id = self.attribute(start, "ID")?;
                self.party.number = Some((id.unwrap_or_default(), self.line));
            }
            Form::Advanced if self.is_in(&["Profile", "Feature"]) => {
                let id = self.attribute(start, "FeatureTypeID")?;
                let id = id.ok_or_else(|| self.fault("FeatureTypeID", "it is missing".to_owned()))?;
                // Whether it is an address cannot be told of a kind nobody defined, so it must not be passed over.
                let Some(kind) = self.features.get(&id) else {
                    let reason = format!("{:?} is not defined in FeatureTypeValues", description(&id));
                    return Err(self.fault("FeatureTypeID", reason));
                };
                self.party.asset = kind.clone();
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, sink: &mut Sink) -> Result<(), ImportError> {
        match self.form {
            Form::Classic => self.end_classic(sink)?,
            Form::Advanced => self.end_advanced(sink)?,
            Form::Unknown => {}
        }
        self.open.pop();
        self.content.clear();
        Ok(())
    }

    fn text(&self) -> String {
        self.content.trim().to_owned()
    }

    fn end_classic(&mut self, sink: &mut Sink) -> Result<(), ImportError> {
        if self.is_in(&["sdnList", "sdnEntry", "uid"]) {
            self.party.uid = self.text();
        } else if self.is_in(&["sdnEntry", "lastName"]) {
            self.party.names.insert(0, self.text());
        } else if self.is_in(&["sdnEntry", "firstName"]) {
            self.party.names.push(self.text());
        } else if self.is_in(&["programList", "program"]) {
            if self.party.programs.len() < PROGRAMS_MAX {
                self.party.programs.push(self.text());
            }
        } else if self.is_in(&["publshInformation", "Publish_Date"])
            || self.is_in(&["publishInformation", "Publish_Date"])
        {
            self.published = american(&self.content);
        } else if self.is_in(&["idList", "id", "idType"]) {
            self.party.asset = ticker(&self.content);
        } else if self.is_in(&["idList", "id", "idNumber"]) {
            self.party.number = Some((self.text(), self.line));
        } else if self.is_in(&["idList", "id"]) {
            if let Some(asset) = self.party.asset.take() {
                let number = self.party.number.take();
                let (text, line) =
                    number.ok_or_else(|| self.fault("idNumber", "it is missing".to_owned()))?;
                self.add(asset, text, line)?;
            }
        } else if self.is_in(&["sdnList", "sdnEntry"]) {
            self.file_party(", ", sink)?;
        }
        Ok(())
    }

    fn end_advanced(&mut self, sink: &mut Sink) -> Result<(), ImportError> {
        if self.is_in(&["FeatureTypeValues", "FeatureType"]) {
            let (id, _) = self.party.number.take().unwrap_or_default();
            if self.features.len() == FEATURES_MAX {
                return Err(self.fault("FeatureType", "there are too many".to_owned()));
            }
            if id.is_empty() || self.features.insert(id, ticker(&self.content)).is_some() {
                return Err(self.fault("FeatureType", "its ID is missing or stands twice".to_owned()));
            }
        } else if self.is_in(&["DocumentedNamePart", "NamePartValue"]) {
            if !self.party.has_name && self.party.names.len() < PROGRAMS_MAX {
                self.party.names.push(self.text());
            }
        } else if self.is_in(&["Alias", "DocumentedName"]) {
            // The first is the one the list is filed under; others are also-known-as.
            self.party.has_name |= !self.party.names.is_empty();
        } else if self.is_in(&["Feature", "FeatureVersion", "VersionDetail"]) {
            if let Some(asset) = self.party.asset.clone() {
                self.add(asset, self.text(), self.line)?;
            }
        } else if self.is_in(&["Profile", "Feature"]) {
            self.party.asset = None;
        } else if self.is_in(&["DistinctParties", "DistinctParty"]) {
            self.file_party(" ", sink)?;
        } else if self.is_in(&["DateOfIssue", "Year"]) {
            self.date[0] = self.text();
        } else if self.is_in(&["DateOfIssue", "Month"]) {
            self.date[1] = self.text();
        } else if self.is_in(&["DateOfIssue", "Day"]) {
            self.date[2] = self.text();
        } else if self.is_in(&["Sanctions", "DateOfIssue"]) {
            let [year, month, day] = &self.date;
            self.published = moment(&format!("{year:0>4}-{month:0>2}-{day:0>2}"));
        }
        Ok(())
    }

    fn add(&mut self, asset: String, text: String, line: usize) -> Result<(), ImportError> {
        if self.party.addresses.len() == ADDRESSES_MAX {
            return Err(self.fault("address", "a party has too many addresses".to_owned()));
        }
        self.party.addresses.push(Listed { asset, text, line });
        Ok(())
    }

    /// Files the addresses of the party that ends here.
    fn file_party(&mut self, between: &str, sink: &mut Sink) -> Result<(), ImportError> {
        let party = std::mem::take(&mut self.party);
        let names: Vec<&str> =
            party.names.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        let text = description(&names.join(between));
        let mut source = format!("OFAC entry {}", party.uid);
        if !party.programs.is_empty() {
            source.push_str(&format!(" ({})", party.programs.join(", ")));
        }
        let source = description(&source);
        for listed in &party.addresses {
            let label = Label {
                category: Category::Sanctions,
                confidence: Confidence::AuthorityData,
                text: if text.is_empty() { "OFAC sanctioned party" } else { &text },
                source: &source,
                asset: &listed.asset,
                licence: "",
                first_seen: None,
                last_seen: self.published,
            };
            ofac::file_one(&self.file.name, listed.line, &listed.asset, &listed.text, &label, sink)?;
        }
        Ok(())
    }
}

/// The ticker in the name of a kind: `Digital Currency Address - XBT`. A name without one is a kind of address all the
/// same, and its addresses are taken for what their form says.
fn ticker(kind: &str) -> Option<String> {
    let rest = kind.trim().strip_prefix(KIND)?.trim_start();
    let ticker = rest.strip_prefix('-').unwrap_or(rest).trim();
    Some(description(ticker).to_ascii_uppercase())
}

/// A date as the classic list writes it: month, day, year.
fn american(text: &str) -> Option<UnixNanos> {
    let mut parts = text.trim().split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    moment(&format!("{year:0>4}-{month:0>2}-{day:0>2}"))
}
