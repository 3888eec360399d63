//! What was seen of one value: its types, and for each type the facts a schema can state. Facts of two values merge into
//! facts that hold for both.

use std::collections::BTreeMap;

use super::{BODY_VALUES_MAX, LearnBounds, NAME_BYTES_MAX};
use crate::format;
use crate::json::lexer::{Kind, Lexer, Malformed};

/// Levels of a body that are told apart; below, anything is admitted.
const LEVELS_MAX: usize = 16;
/// Bytes of a string's value that is kept as a value.
const VALUE_BYTES_MAX: usize = 32;

/// Facts about strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) n: u64,
    /// How many were empty; all other facts are about the rest.
    pub(super) n_empty: u64,
    /// The distinct values with their counts; `None` once there are too many or one is too long.
    pub(super) values: Option<BTreeMap<Box<str>, u64>>,
    pub(super) chars_max: u64,
    /// Whether all were JSON numbers in quotes.
    pub(super) is_decimal: bool,
    /// The printable ASCII characters seen, as bits.
    pub(super) ascii: u128,
    /// Whether anything but printable ASCII was seen.
    pub(super) has_others: bool,
}

impl Texts {
    pub(super) fn one(text: &str, bounds: LearnBounds) -> Self {
        let is_short = text.len() <= VALUE_BYTES_MAX && bounds.values_max > 0;
        let is_empty = text.is_empty();
        let mut values = is_short.then(BTreeMap::new);
        if let Some(values) = values.as_mut().filter(|_| !is_empty) {
            values.insert(text.into(), 1);
        }
        let is_printable = |byte: u8| (b' '..=b'~').contains(&byte);
        Self {
            n: 1,
            n_empty: u64::from(is_empty),
            values,
            chars_max: u64::try_from(text.chars().count()).unwrap_or(u64::MAX),
            is_decimal: is_empty || format::is_number(text),
            ascii: text.bytes().filter(|byte| is_printable(*byte)).fold(0, |bits, byte| bits | 1 << byte),
            has_others: !text.bytes().all(is_printable),
        }
    }

    pub(super) fn merge(&mut self, other: Self, bounds: LearnBounds) {
        self.n += other.n;
        self.n_empty += other.n_empty;
        self.chars_max = self.chars_max.max(other.chars_max);
        self.is_decimal &= other.is_decimal;
        self.ascii |= other.ascii;
        self.has_others |= other.has_others;
        self.values = match (self.values.take(), other.values) {
            (Some(mut values), Some(others)) => {
                for (value, n) in others {
                    *values.entry(value).or_default() += n;
                }
                Some(values).filter(|values| values.len() <= bounds.values_max)
            }
            _ => None,
        };
    }

    pub(super) fn n_facts(&self) -> usize {
        self.values.as_ref().map_or(0, BTreeMap::len)
    }
}

/// Facts about one query parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ParamFacts {
    /// Requests that had it.
    pub(super) n: u64,
    /// The most often it was there in one request.
    pub(super) repeats_max: u64,
    pub(super) texts: Option<Texts>,
}

impl ParamFacts {
    /// Adds a value of the one request these facts are about.
    pub(super) fn add(&mut self, value: &str, bounds: LearnBounds) {
        self.n = 1;
        self.repeats_max += 1;
        merge_into(&mut self.texts, Texts::one(value, bounds), |texts, other| texts.merge(other, bounds));
    }

    pub(super) fn merge(&mut self, other: Self, bounds: LearnBounds) {
        self.n += other.n;
        self.repeats_max = self.repeats_max.max(other.repeats_max);
        if let Some(texts) = other.texts {
            merge_into(&mut self.texts, texts, |texts, other| texts.merge(other, bounds));
        }
    }
}

/// Facts about JSON values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) n: u64,
    /// Too deep to be told apart: anything is admitted.
    pub(super) is_any: bool,
    pub(super) n_null: u64,
    pub(super) n_bool: u64,
    pub(super) n_integer: u64,
    /// Numbers with a fraction or an exponent.
    pub(super) n_fraction: u64,
    pub(super) has_negative: bool,
    pub(super) texts: Option<Texts>,
    pub(super) array: Option<Box<ArrayFacts>>,
    pub(super) object: Option<Box<ObjectFacts>>,
}

/// Facts about arrays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ArrayFacts {
    pub(super) items_max: u64,
    pub(super) items: Shape,
}

/// Facts about objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ObjectFacts {
    pub(super) n: u64,
    /// Too many names: any is admitted.
    pub(super) is_open: bool,
    pub(super) properties: BTreeMap<Box<str>, Shape>,
}

impl Shape {
    /// Of a body the scan let through, every property of it; `None` if it has too many values or a name too long.
    pub(super) fn of(text: &str, bounds: LearnBounds) -> Option<Self> {
        let mut reader = Reader { lexer: Lexer::new(text), bounds, values_left: BODY_VALUES_MAX };
        reader.value(LEVELS_MAX).ok().flatten()
    }

    pub(super) fn merge(&mut self, other: Self, bounds: LearnBounds) {
        self.n += other.n;
        self.is_any |= other.is_any;
        self.n_null += other.n_null;
        self.n_bool += other.n_bool;
        self.n_integer += other.n_integer;
        self.n_fraction += other.n_fraction;
        self.has_negative |= other.has_negative;
        if let Some(texts) = other.texts {
            merge_into(&mut self.texts, texts, |texts, other| texts.merge(other, bounds));
        }
        if let Some(array) = other.array {
            let mine = self.array.get_or_insert_default();
            mine.items_max = mine.items_max.max(array.items_max);
            mine.items.merge(array.items, bounds);
        }
        if let Some(object) = other.object {
            self.object.get_or_insert_default().merge(*object, bounds);
        }
    }

    /// Properties and values below.
    pub(super) fn n_facts(&self) -> usize {
        let texts = self.texts.as_ref().map_or(0, Texts::n_facts);
        let items = self.array.as_ref().map_or(0, |array| array.items.n_facts() + 1);
        let members = self.object.as_ref().map_or(0, |object| {
            object.properties.values().map(|shape| shape.n_facts() + 1).sum::<usize>() + 1
        });
        texts + items + members + 1
    }
}

impl ObjectFacts {
    /// Merges; what does not fit makes the object open.
    fn merge(&mut self, other: Self, bounds: LearnBounds) {
        self.n += other.n;
        // An open object has forgotten properties, so a property that only the other one knows is not wholly known.
        if other.is_open {
            self.properties.retain(|name, _| other.properties.contains_key(name));
        }
        let was_open = self.is_open;
        self.is_open |= other.is_open;
        for (name, shape) in other.properties {
            let is_full = was_open || self.properties.len() >= bounds.properties_max;
            match self.properties.get_mut(&name) {
                Some(known) => known.merge(shape, bounds),
                None if is_full => self.is_open = true,
                None => {
                    // Merged rather than moved in, so that the bounds hold below as well.
                    self.properties.entry(name).or_default().merge(shape, bounds);
                }
            }
        }
    }
}

/// Merges into an option that may be empty.
pub(super) fn merge_into<T>(slot: &mut Option<T>, other: T, merge: impl FnOnce(&mut T, T)) {
    match slot {
        Some(mine) => merge(mine, other),
        None => *slot = Some(other),
    }
}

struct Reader<'a> {
    lexer: Lexer<'a>,
    bounds: LearnBounds,
    values_left: usize,
}

impl Reader<'_> {
    /// The shape of the next value, which is consumed; `None` if there is too much of it.
    fn value(&mut self, levels: usize) -> Result<Option<Shape>, Malformed> {
        let Some(left) = self.values_left.checked_sub(1) else { return Ok(None) };
        self.values_left = left;
        let mut shape = Shape { n: 1, ..Shape::default() };
        match self.lexer.kind()? {
            Kind::String => {
                let quoted = self.lexer.string()?;
                shape.texts = Some(Texts::one(&quoted.decoded(), self.bounds));
            }
            Kind::Number => {
                let text = self.lexer.number()?;
                let is_integer = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit());
                shape.n_integer = u64::from(is_integer);
                shape.n_fraction = u64::from(!is_integer);
                shape.has_negative = text.starts_with('-');
            }
            Kind::Object | Kind::Array if levels == 0 => {
                self.lexer.skip(scan_depth())?;
                shape.is_any = true;
            }
            Kind::Array => {
                self.lexer.open();
                let mut facts = ArrayFacts { items_max: 0, items: Shape::default() };
                while self.lexer.element(facts.items_max == 0)? {
                    let Some(item) = self.value(levels - 1)? else { return Ok(None) };
                    facts.items_max += 1;
                    facts.items.merge(item, self.bounds);
                }
                shape.array = Some(Box::new(facts));
            }
            Kind::Object => {
                self.lexer.open();
                let mut facts = ObjectFacts { n: 1, is_open: false, properties: BTreeMap::new() };
                let mut is_first = true;
                while let Some(name) = self.lexer.member(is_first)? {
                    is_first = false;
                    let Some(value) = self.value(levels - 1)? else { return Ok(None) };
                    if name.raw.len() > NAME_BYTES_MAX {
                        return Ok(None);
                    }
                    facts.properties.insert(name.raw.into(), value);
                }
                shape.object = Some(Box::new(facts));
            }
            word => {
                self.lexer.word(word)?;
                if word == Kind::Null {
                    shape.n_null = 1;
                } else {
                    shape.n_bool = 1;
                }
            }
        }
        Ok(Some(shape))
    }
}

const fn scan_depth() -> usize {
    crate::json::scan::DEPTH_MAX
}
