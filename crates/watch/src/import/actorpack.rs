//! GraphSense ActorPacks: who the holders are that tags speak of. YAML, a mapping with a sequence `actors`.
//!
//! An actor has no address: it lends its name and its categories to the tags that refer to it and say neither
//! themselves. Packs of actors are therefore read with the packs of tags, from one folder, whatever the files are called.
//!
//! Bounds: [`ACTORS_MAX`] actors, [`CATEGORIES_MAX`] categories of one.

use std::{borrow::Cow, collections::BTreeMap};

use chain::label::Category;
use saphyr_parser::{Event, Parser, ScalarStyle};

use super::{
    ImportError, SourceFile, description,
    tagpack::{Fault, Reader, is_null, malformed, utf8},
};

/// Most actors of one import.
const ACTORS_MAX: usize = 1_000_000;
/// Most categories kept of one actor.
const CATEGORIES_MAX: usize = 16;
/// Longest id of an actor, in bytes.
const ID_BYTES_MAX: usize = 256;

/// One actor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Actor {
    /// Its name; empty if the pack gives none.
    pub(super) label: String,
    /// What it is, each once.
    pub(super) categories: Vec<Category>,
}

/// Actors by their ids.
pub(super) type Actors = BTreeMap<String, Actor>;

/// The actors of all files.
pub(super) fn gather(files: &[SourceFile]) -> Result<Actors, ImportError> {
    let mut actors = Actors::new();
    for file in files.iter().filter(|file| may_hold_actors(&file.bytes)) {
        let text = utf8(file)?;
        let mut reader = Reader { parser: Parser::new_from_str(text), line: 1 };
        while reader.opens_document().map_err(|fault| malformed(file, fault))? {
            read(&mut reader, &mut actors).map_err(|fault| malformed(file, fault))?;
        }
    }
    Ok(actors)
}

/// Whether the key stands at the start of a line. Most packs are of tags, and need not be read twice.
fn may_hold_actors(bytes: &[u8]) -> bool {
    bytes.split(|byte| *byte == b'\n').any(|line| {
        let line = line.trim_ascii_start();
        let line = line.strip_prefix(b"\"").or_else(|| line.strip_prefix(b"'")).unwrap_or(line);
        line.starts_with(b"actors") || line.starts_with(b"{")
    })
}

/// Reads the mapping of one document.
fn read(reader: &mut Reader<'_>, actors: &mut Actors) -> Result<(), Fault> {
    match reader.next()? {
        Event::MappingStart(..) => {}
        // A document of comments only.
        Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => return Ok(()),
        _ => return Err(reader.fault("pack", "a pack is a mapping")),
    }
    while let Some(key) = reader.key()? {
        if key == "actors" {
            sequence(reader, actors)?;
        } else {
            reader.skip()?;
        }
    }
    Ok(())
}

fn sequence(reader: &mut Reader<'_>, actors: &mut Actors) -> Result<(), Fault> {
    match reader.next()? {
        Event::SequenceStart(..) => {}
        Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => return Ok(()),
        _ => return Err(reader.fault("actors", "the actors are not a sequence")),
    }
    loop {
        match reader.next()? {
            Event::SequenceEnd => return Ok(()),
            Event::MappingStart(..) => {}
            _ => return Err(reader.fault("actors", "an actor is not a mapping")),
        }
        if actors.len() == ACTORS_MAX {
            return Err(reader.fault("actors", "there are too many actors"));
        }
        let line = reader.line;
        let (id, actor) = actor(reader)?;
        let fault = |reason: String| Fault { line, field: "id", reason };
        let id = id.ok_or_else(|| fault("the actor has no id".to_owned()))?;
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Err(fault(format!("not 1 to {ID_BYTES_MAX} bytes")));
        }
        if actors.contains_key(&id) {
            return Err(fault(format!("the actor {:?} stands twice", description(&id))));
        }
        actors.insert(id, actor);
    }
}

fn actor(reader: &mut Reader<'_>) -> Result<(Option<String>, Actor), Fault> {
    let (mut id, mut actor) = (None, Actor::default());
    while let Some(key) = reader.key()? {
        match &*key {
            "id" => id = Some(scalar(reader, "id")?.trim().to_owned()),
            "label" => actor.label = description(&scalar(reader, "label")?),
            "categories" => {
                for word in reader.words("categories", CATEGORIES_MAX)? {
                    let category = Category::from_word(&word).unwrap_or(Category::Other);
                    if !actor.categories.contains(&category) {
                        actor.categories.push(category);
                    }
                }
            }
            _ => reader.skip()?,
        }
    }
    Ok((id, actor))
}

fn scalar<'i>(reader: &mut Reader<'i>, field: &'static str) -> Result<Cow<'i, str>, Fault> {
    match reader.next()? {
        Event::Scalar(text, style, ..) => {
            Ok(if style == ScalarStyle::Plain && is_null(&text) { Cow::Borrowed("") } else { text })
        }
        _ => Err(reader.fault(field, "the value is not a scalar")),
    }
}
