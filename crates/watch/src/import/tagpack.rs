//! GraphSense TagPacks: a YAML mapping of header fields, which every tag inherits that does not set its own, and a
//! sequence of tags.
//!
//! Read as a stream of parser events; fields not known here are skipped, whatever they hold. Aliases are refused: no
//! pack uses them, and they are how a small file becomes a large one. `currency` is the older and `network` the newer
//! name of the chain; where both stand, the network says whose address it is and the currency what it is used for.
//!
//! Packs are collected by hand and by crawlers, so single addresses in them are damaged. Such a tag does not fail the
//! import: it is kept as text and reported by line.

use std::borrow::Cow;

use chain::{
    address::AddressError,
    label::{Category, Confidence, Label},
};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::{
    ImportError, Resolved, Sink, SourceFile,
    actorpack::{Actor, Actors},
    csv::moment,
    description, resolve,
};

/// Deepest nesting of YAML values.
const DEPTH_MAX: usize = 32;
/// Most concepts kept of one tag or header.
const CONCEPTS_MAX: usize = 16;
/// Longest address kept as text, in bytes.
const TEXT_BYTES_MAX: usize = chain::address::TEXT_BYTES_MAX;
/// Most tags of one document.
const TAGS_MAX: usize = 20_000_000;

pub(super) fn import(file: &SourceFile, actors: &Actors, sink: &mut Sink) -> Result<(), ImportError> {
    let mut reader = Reader { parser: Parser::new_from_str(utf8(file)?), line: 1 };
    while let Some(pack) = reader.document().map_err(|fault| malformed(file, fault))? {
        for tag in &pack.tags {
            add(&pack.header, tag, actors, file, sink)?;
        }
    }
    Ok(())
}

/// The text of a file.
pub(super) fn utf8(file: &SourceFile) -> Result<&str, ImportError> {
    match std::str::from_utf8(&file.bytes) {
        Ok(text) => Ok(text),
        Err(error) => {
            let before = file.bytes.get(..error.valid_up_to()).unwrap_or(&[]);
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            Err(malformed(file, Fault { line, field: "pack", reason: "the file is not UTF-8".to_owned() }))
        }
    }
}

pub(super) fn malformed(file: &SourceFile, fault: Fault) -> ImportError {
    ImportError::Malformed {
        file: file.name.clone(),
        line: fault.line,
        field: fault.field,
        reason: fault.reason,
    }
}

/// Files one tag under its address.
fn add(
    header: &Fields<'_>,
    tag: &Fields<'_>,
    actors: &Actors,
    file: &SourceFile,
    sink: &mut Sink,
) -> Result<(), ImportError> {
    let fault = |field, reason: String| malformed(file, Fault { line: tag.line, field, reason });
    let inherited = |of: for<'a> fn(&'a Fields<'a>) -> Option<&'a str>| of(tag).or_else(|| of(header));
    sink.entries += 1;

    let Some(address) = tag.address.as_deref().map(str::trim) else {
        if tag.tx_hash.is_some() {
            sink.transactions_skipped += 1;
            return Ok(());
        }
        return Err(fault("address", "the tag has neither an address nor a transaction".to_owned()));
    };
    if address.is_empty() || address.len() > TEXT_BYTES_MAX || address.chars().any(char::is_control) {
        return Err(fault("address", format!("not 1 to {TEXT_BYTES_MAX} bytes on one line")));
    }
    // A tag's own chain goes before anything the header says about either field.
    let network = tag.network.as_deref().or(tag.currency.as_deref()).or(header.network.as_deref());
    let asset = inherited(|fields| fields.currency.as_deref()).or(network);
    let Some(network) = network.or(asset) else {
        return Err(fault(
            "currency",
            "neither the tag nor the header names a currency or network".to_owned(),
        ));
    };
    let network = description(network).to_ascii_uppercase();
    let asset = description(asset.unwrap_or(&network)).to_ascii_uppercase();

    let actor = inherited(|fields| fields.actor.as_deref()).and_then(|id| actors.get(id.trim()));
    let of_actor = actor.map(|actor| actor.label.as_str());
    let text = description(inherited(|fields| fields.label.as_deref()).or(of_actor).unwrap_or_default());
    let source = description(inherited(|fields| fields.source.as_deref()).unwrap_or(&file.name));
    let licence = description(inherited(|fields| fields.licence.as_deref()).unwrap_or_default());
    let last_seen = inherited(|fields| fields.lastmod.as_deref()).and_then(moment);
    let first_seen = inherited(|fields| fields.first_seen.as_deref()).and_then(moment);
    let confidence =
        inherited(|fields| fields.confidence.as_deref()).map_or(Confidence::Unstated, Confidence::from_word);
    let label = |category| Label {
        category,
        confidence,
        text: &text,
        source: &source,
        asset: &asset,
        licence: &licence,
        first_seen,
        last_seen,
    };
    let resolved = match resolve(&network, address) {
        Ok(resolved) => resolved,
        Err(_) if is_transaction(address) => {
            sink.transactions_skipped += 1;
            return Ok(());
        }
        Err(error) => {
            sink.note_undecodable(&file.name, tag.line, bad_address(address, &network, &error));
            Resolved::Text
        }
    };
    for category in categories(header, tag, actor) {
        match &resolved {
            Resolved::Address(address, _) => sink.address(address, &label(category))?,
            Resolved::Text => sink.text(address, &label(category))?,
        }
    }
    match &resolved {
        Resolved::Address(_, oddity) => sink.note(oddity.as_ref()),
        Resolved::Text => sink.note_text(&asset),
    }
    Ok(())
}

fn bad_address(address: &str, network: &str, error: &AddressError) -> String {
    format!("{} is no {network} address: {error}", description(address).escape_debug())
}

/// 64 hexadecimal digits, with or without `0x`.
fn is_transaction(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Every distinct category the tag names or inherits: the kind of abuse, the concepts, the kind of holder. All are
/// kept, an exchange that was robbed is both.
fn categories(header: &Fields<'_>, tag: &Fields<'_>, actor: Option<&Actor>) -> Vec<Category> {
    let mut out = Vec::with_capacity(2);
    let mut add = |category| {
        if !out.contains(&category) {
            out.push(category);
        }
    };
    if let Some(word) = tag.abuse.as_deref().or(header.abuse.as_deref()) {
        add(Category::from_abuse_word(word));
    }
    let concepts = if tag.concepts.is_empty() { &header.concepts } else { &tag.concepts };
    concepts.iter().filter_map(|word| Category::from_word(word)).for_each(&mut add);
    if let Some(word) = tag.category.as_deref().or(header.category.as_deref()) {
        Category::from_word(word).into_iter().for_each(&mut add);
    }
    // What the holder is counts only where the tag says nothing of the address: a robbed exchange's robber is none.
    if out.is_empty() {
        out.extend(actor.into_iter().flat_map(|actor| &actor.categories));
    }
    if out.is_empty() {
        out.push(Category::Other);
    }
    out
}

/// The fields of a tag, or those the header lends to tags.
#[derive(Debug, Default)]
struct Fields<'i> {
    /// Where it starts, from 1.
    line: usize,
    address: Option<Cow<'i, str>>,
    tx_hash: Option<Cow<'i, str>>,
    label: Option<Cow<'i, str>>,
    source: Option<Cow<'i, str>>,
    currency: Option<Cow<'i, str>>,
    network: Option<Cow<'i, str>>,
    category: Option<Cow<'i, str>>,
    actor: Option<Cow<'i, str>>,
    abuse: Option<Cow<'i, str>>,
    confidence: Option<Cow<'i, str>>,
    lastmod: Option<Cow<'i, str>>,
    first_seen: Option<Cow<'i, str>>,
    licence: Option<Cow<'i, str>>,
    concepts: Vec<Cow<'i, str>>,
}

impl<'i> Fields<'i> {
    /// The place of a field that holds one scalar, with the name to report.
    fn slot(&mut self, key: &str) -> Option<(&'static str, &mut Option<Cow<'i, str>>)> {
        Some(match key {
            "address" => ("address", &mut self.address),
            "tx_hash" => ("tx_hash", &mut self.tx_hash),
            "label" => ("label", &mut self.label),
            "source" => ("source", &mut self.source),
            "currency" => ("currency", &mut self.currency),
            "network" => ("network", &mut self.network),
            "actor" => ("actor", &mut self.actor),
            "category" => ("category", &mut self.category),
            "abuse" => ("abuse", &mut self.abuse),
            "confidence" => ("confidence", &mut self.confidence),
            "lastmod" => ("lastmod", &mut self.lastmod),
            "first_seen" => ("first_seen", &mut self.first_seen),
            "license" | "licence" => ("licence", &mut self.licence),
            _ => return None,
        })
    }
}

#[derive(Debug, Default)]
struct Pack<'i> {
    header: Fields<'i>,
    tags: Vec<Fields<'i>>,
}

#[derive(Debug)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) field: &'static str,
    pub(super) reason: String,
}

pub(super) struct Reader<'i> {
    pub(super) parser: Parser<'i, StrInput<'i>>,
    /// Of the event last read, from 1.
    pub(super) line: usize,
}

impl<'i> Reader<'i> {
    pub(super) fn next(&mut self) -> Result<Event<'i>, Fault> {
        match self.parser.next_event() {
            Some(Ok((Event::Alias(_), span))) => {
                self.line = span.start.line();
                Err(self.fault("pack", "aliases are not accepted"))
            }
            Some(Ok((event, span))) => {
                self.line = line_of(span);
                Ok(event)
            }
            Some(Err(error)) => Err(Fault {
                line: error.marker().line(),
                field: "pack",
                reason: format!("not YAML: {}", error.info()),
            }),
            None => Err(self.fault("pack", "the file ends within a value")),
        }
    }

    pub(super) fn fault(&self, field: &'static str, reason: &str) -> Fault {
        Fault { line: self.line, field, reason: reason.to_owned() }
    }

    /// Reads up to the next document; `false` at the end of the file.
    pub(super) fn opens_document(&mut self) -> Result<bool, Fault> {
        loop {
            match self.next()? {
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::StreamEnd => return Ok(false),
                Event::DocumentStart(_) => return Ok(true),
                _ => return Err(self.fault("pack", "a pack is a mapping")),
            }
        }
    }

    /// The next document, or `None` at the end of the file.
    fn document(&mut self) -> Result<Option<Pack<'i>>, Fault> {
        if !self.opens_document()? {
            return Ok(None);
        }
        match self.next()? {
            Event::MappingStart(..) => {}
            // A document of comments only, as at the end of some files.
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => {
                return Ok(Some(Pack::default()));
            }
            _ => return Err(self.fault("pack", "a TagPack is a mapping")),
        }
        let mut pack = Pack::default();
        pack.header.line = self.line;
        while let Some(key) = self.key()? {
            if key == "tags" {
                self.tags(&mut pack.tags)?;
            } else {
                self.field(&key, &mut pack.header)?;
            }
        }
        Ok(Some(pack))
    }

    fn tags(&mut self, tags: &mut Vec<Fields<'i>>) -> Result<(), Fault> {
        match self.next()? {
            Event::SequenceStart(..) => {}
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => return Ok(()),
            _ => return Err(self.fault("tags", "the tags are not a sequence")),
        }
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(()),
                Event::MappingStart(..) => {}
                _ => return Err(self.fault("tags", "a tag is not a mapping")),
            }
            if tags.len() == TAGS_MAX {
                return Err(self.fault("tags", "there are too many tags"));
            }
            let mut tag = Fields { line: self.line, ..Fields::default() };
            while let Some(key) = self.key()? {
                self.field(&key, &mut tag)?;
            }
            tags.push(tag);
        }
    }

    /// The next key of a mapping, or `None` at its end.
    pub(super) fn key(&mut self) -> Result<Option<Cow<'i, str>>, Fault> {
        match self.next()? {
            Event::MappingEnd => Ok(None),
            Event::Scalar(text, ..) => Ok(Some(text)),
            _ => Err(self.fault("pack", "a key is not a scalar")),
        }
    }

    /// Reads the value of `key` into its place, or past it when the key has none.
    fn field(&mut self, key: &str, fields: &mut Fields<'i>) -> Result<(), Fault> {
        if key == "concepts" {
            fields.concepts = self.words("concepts", CONCEPTS_MAX)?;
            return Ok(());
        }
        let Some((name, slot)) = fields.slot(key) else { return self.skip() };
        match self.next()? {
            Event::Scalar(text, style, ..) => {
                *slot = (style != ScalarStyle::Plain || !is_null(&text)).then_some(text);
                if name == "address" {
                    // The most useful line to name is that of the address.
                    fields.line = self.line;
                }
                Ok(())
            }
            _ => Err(self.fault(name, "the value is not a scalar")),
        }
    }

    /// One word, or a sequence of them.
    pub(super) fn words(&mut self, field: &'static str, max: usize) -> Result<Vec<Cow<'i, str>>, Fault> {
        let mut words = Vec::new();
        let mut in_sequence = false;
        loop {
            match self.next()? {
                Event::SequenceStart(..) if !in_sequence => in_sequence = true,
                Event::SequenceEnd => return Ok(words),
                Event::Scalar(text, ..) => {
                    if words.len() < max && !is_null(&text) {
                        words.push(text);
                    }
                    if !in_sequence {
                        return Ok(words);
                    }
                }
                _ => return Err(self.fault(field, "it is no word and no sequence of words")),
            }
        }
    }

    /// Reads past one value.
    pub(super) fn skip(&mut self) -> Result<(), Fault> {
        let mut depth = 0usize;
        loop {
            match self.next()? {
                Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => depth = depth.saturating_sub(1),
                Event::Scalar(..) => {}
                _ => return Err(self.fault("pack", "the document ends within a value")),
            }
            if depth == 0 {
                return Ok(());
            }
            if depth > DEPTH_MAX {
                return Err(self.fault("pack", "values are nested too deep"));
            }
        }
    }
}

fn line_of(span: Span) -> usize {
    span.start.line()
}

pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}
