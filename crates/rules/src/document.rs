//! A document of rules in TOML: read strictly, every fault with its line and column.
//!
//! This module knows the shape of the document and nothing of conditions; [`crate::RuleSet::load`] checks those. Unknown keys
//! are faults, since a misspelt `mode` must not enforce.

use std::{collections::BTreeMap, ops::Range};

use domain::UnixNanos;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    bounds::{
        DOCUMENT_BYTES_MAX, FIXTURES_MAX, LIST_VALUES_MAX, LISTS_MAX, NAME_BYTES_MAX, RULES_MAX,
        SENTENCE_BYTES_MAX, TEXT_BYTES_MAX,
    },
    error::{ExpressionError, Fault},
    nearest::{hint, nearest},
    rule::{Action, Mode, WhenMissing},
    span::{Place, Span, excerpt, place},
};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// A constant in a list or a fixture.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Constant {
    Bool(bool),
    Double(f64),
    Int(i64),
    Text(String),
    Timestamp(UnixNanos),
}

/// A rule as written.
#[derive(Debug, Clone)]
pub(crate) struct RuleText {
    pub(crate) id: At<String>,
    pub(crate) title: String,
    pub(crate) when: At<String>,
    pub(crate) action: Action,
    pub(crate) weight: f64,
    pub(crate) reason: At<String>,
    pub(crate) owner: String,
    pub(crate) mode: Mode,
    pub(crate) when_missing: WhenMissing,
    pub(crate) valid_from: Option<UnixNanos>,
    pub(crate) fixtures: Vec<FixtureText>,
}

/// A fixture as written.
#[derive(Debug, Clone)]
pub(crate) struct FixtureText {
    pub(crate) name: At<String>,
    pub(crate) given: Vec<(At<String>, At<Constant>)>,
    pub(crate) expect: bool,
}

/// A document as written.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) lists: BTreeMap<String, Vec<At<Constant>>>,
    pub(crate) rules: Vec<RuleText>,
}

/// The faults of a document, as they are found.
#[derive(Debug)]
pub(crate) struct Faults<'d> {
    text: &'d str,
    pub(crate) found: Vec<Fault>,
    /// Faults beyond [`FAULTS_KEPT_MAX`], counted only: a place and a hint take time to find.
    pub(crate) more: usize,
}

/// Faults kept before the first [`crate::bounds::FAULTS_MAX`] in the order of the document are told.
const FAULTS_KEPT_MAX: usize = 2 * crate::bounds::FAULTS_MAX;

impl<'d> Faults<'d> {
    pub(crate) const fn new(text: &'d str) -> Self {
        Self { text, found: Vec::new(), more: 0 }
    }

    /// Whether more faults are only counted; then this one was.
    pub(crate) fn is_full(&mut self) -> bool {
        let is_full = self.found.len() >= FAULTS_KEPT_MAX;
        self.more += usize::from(is_full);
        is_full
    }

    /// A fault at a place of the document.
    pub(crate) fn add(&mut self, rule: Option<&str>, span: &Range<usize>, message: impl Into<String>) {
        if self.is_full() {
            return;
        }
        let excerpt = Some(excerpt(self.text, Span::new(span.start, span.end)));
        let place = place(self.text, span.start);
        self.found.push(Fault { place, rule: rule.map(str::to_owned), message: message.into(), excerpt });
    }

    /// A fault inside a condition: at its place in the document where the string says plainly what it means, else at the
    /// start of the string with the condition's own excerpt.
    pub(crate) fn add_in(&mut self, rule: &str, when: &At<String>, error: &ExpressionError) {
        if self.found.len() >= FAULTS_KEPT_MAX {
            self.more += 1;
            return;
        }
        let raw = self.text.get(when.span.clone()).unwrap_or_default();
        let quotes = if raw.starts_with("'''") || raw.starts_with("\"\"\"") { 3 } else { 1 };
        let mut start = when.span.start + quotes;
        if quotes == 3 {
            // TOML drops a line break right behind the opening quotes.
            start += ["\r\n", "\n"]
                .into_iter()
                .find(|newline| self.text.get(start..).is_some_and(|rest| rest.starts_with(newline)))
                .map_or(0, str::len);
        }
        let message = error.fault.to_string();
        if self.text.get(start..).is_some_and(|rest| rest.starts_with(&when.value)) {
            self.add(Some(rule), &(start + error.span.start..start + error.span.end), message);
            return;
        }
        let shown = excerpt(&when.value, error.span);
        let place = place(self.text, when.span.start);
        self.found.push(Fault { place, rule: Some(rule.to_owned()), message, excerpt: Some(shown) });
    }

    /// A fault of the whole document.
    fn whole(&mut self, message: impl Into<String>) {
        let place = Place { line: 1, column: 1 };
        self.found.push(Fault { place, rule: None, message: message.into(), excerpt: None });
    }
}

/// One table that is being read: keys that nobody asked for are faults.
struct Table<'t, 'd> {
    rule: Option<String>,
    span: Range<usize>,
    known: &'static [&'static str],
    entries: &'t DeTable<'d>,
}

impl<'t, 'd> Table<'t, 'd> {
    fn of(
        value: &'t Spanned<DeValue<'d>>,
        what: &str,
        rule: Option<&str>,
        known: &'static [&'static str],
        faults: &mut Faults<'_>,
    ) -> Option<Self> {
        let DeValue::Table(entries) = value.get_ref() else {
            faults.add(rule, &value.span(), format!("{what} is a table"));
            return None;
        };
        let table = Self { rule: rule.map(str::to_owned), span: value.span(), known, entries };
        table.refuse_unknown(faults);
        Some(table)
    }

    fn refuse_unknown(&self, faults: &mut Faults<'_>) {
        for key in self.entries.keys() {
            let name = key.get_ref();
            if !self.known.contains(&&**name) && !faults.is_full() {
                let hint = hint(nearest(name, self.known.iter().copied()));
                faults.add(self.rule.as_deref(), &key.span(), format!("unknown key `{}`{hint}", shown(name)));
            }
        }
    }

    fn entry(&self, key: &str) -> Option<&'t Spanned<DeValue<'d>>> {
        self.entries.iter().find(|(name, _)| *name.get_ref() == key).map(|(_, value)| value)
    }

    fn required(&self, key: &str, faults: &mut Faults<'_>) -> Option<&'t Spanned<DeValue<'d>>> {
        let entry = self.entry(key);
        if entry.is_none() {
            faults.add(self.rule.as_deref(), &self.span, format!("`{key}` is missing"));
        }
        entry
    }

    fn fault(&self, value: &Spanned<DeValue<'_>>, message: impl Into<String>, faults: &mut Faults<'_>) {
        faults.add(self.rule.as_deref(), &value.span(), message);
    }

    /// A string of 1 to `bytes_max` bytes.
    fn text(&self, key: &str, bytes_max: usize, faults: &mut Faults<'_>) -> Option<At<String>> {
        let value = self.required(key, faults)?;
        let DeValue::String(text) = value.get_ref() else {
            self.fault(value, format!("`{key}` is a string"), faults);
            return None;
        };
        if text.trim().is_empty() || text.len() > bytes_max {
            self.fault(value, format!("`{key}` has 1 to {bytes_max} bytes"), faults);
            return None;
        }
        Some(At { value: text.to_string(), span: value.span() })
    }

    /// One of a few words, by default the last.
    fn word<T: Copy>(
        &self,
        key: &str,
        words: &[(&'static str, T)],
        is_required: bool,
        faults: &mut Faults<'_>,
    ) -> Option<T> {
        let value = if is_required {
            self.required(key, faults)?
        } else {
            match self.entry(key) {
                Some(value) => value,
                None => return words.last().map(|(_, word)| *word),
            }
        };
        let found = match value.get_ref() {
            DeValue::String(text) => words.iter().find(|(word, _)| text == word),
            _ => None,
        };
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.fault(value, format!("`{key}` is one of {}", names.join(", ")), faults);
        }
        found.map(|(_, word)| *word)
    }
}

fn shown(text: &str) -> String {
    crate::reason::shown(text)
}

/// A constant, or why it is none.
fn constant(value: &DeValue<'_>) -> Result<Constant, &'static str> {
    Ok(match value {
        DeValue::Boolean(value) => Constant::Bool(*value),
        DeValue::Datetime(at) => UnixNanos::parse_rfc3339(&at.to_string())
            .map(Constant::Timestamp)
            .map_err(|_| "a time has a date, a time of day and an offset such as `Z`")?,
        DeValue::Float(text) => {
            let value: Option<f64> = text.as_str().parse().ok();
            Constant::Double(value.filter(|value| value.is_finite()).ok_or("a number out of range")?)
        }
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .map(Constant::Int)
            .map_err(|_| "an integer out of range")?,
        DeValue::String(text) if text.len() <= TEXT_BYTES_MAX => Constant::Text(text.to_string()),
        DeValue::String(_) => return Err("a string beyond the bounds"),
        DeValue::Array(_) | DeValue::Table(_) => return Err("a single value is wanted here"),
    })
}

/// Whether a text can name a rule, list or set: lower-case letters, digits, `-`, `_`, `.`.
fn is_id(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'))
}

/// Reads a document. What could be read is returned beside the faults, so that all of it is checked at once.
pub(crate) fn read(text: &str, faults: &mut Faults<'_>) -> Document {
    let mut document = Document::default();
    if text.len() > DOCUMENT_BYTES_MAX {
        faults.whole(format!("more than {DOCUMENT_BYTES_MAX} bytes"));
        return document;
    }
    let root = match DeTable::parse(text) {
        Ok(root) => root,
        Err(error) => {
            let message = error.message().to_owned();
            match error.span() {
                Some(span) => faults.add(None, &span, message),
                None => faults.whole(message),
            }
            return document;
        }
    };
    let known = &["pack", "lists", "rule"];
    let root = Table { rule: None, span: 0..0, known, entries: root.get_ref() };
    root.refuse_unknown(faults);
    match root.entry("pack") {
        None => faults.whole("`[pack]` is missing"),
        Some(pack) => {
            if let Some(pack) = Table::of(pack, "`pack`", None, &["name", "version"], faults) {
                let mut id = |key: &str| {
                    let text = pack.text(key, NAME_BYTES_MAX, faults)?;
                    if !is_id(&text.value) {
                        faults.add(
                            None,
                            &text.span,
                            format!("`{key}` is lower-case letters, digits, `-`, `_`, `.`"),
                        );
                    }
                    Some(text.value)
                };
                document.name = id("name").unwrap_or_default();
                document.version = id("version").unwrap_or_default();
            }
        }
    }
    if let Some(lists) = root.entry("lists") {
        document.lists = read_lists(lists, faults);
    }
    match root.entry("rule").map(|rules| (rules, rules.get_ref())) {
        None => faults.whole("no `[[rule]]`"),
        Some((rules, DeValue::Array(entries))) => {
            if entries.len() > RULES_MAX {
                faults.add(None, &rules.span(), format!("more than {RULES_MAX} rules"));
            }
            document.rules =
                entries.iter().take(RULES_MAX).filter_map(|rule| read_rule(rule, faults)).collect();
        }
        Some((rules, _)) => faults.add(None, &rules.span(), "rules stand in `[[rule]]`"),
    }
    document
}

fn read_lists(lists: &Spanned<DeValue<'_>>, faults: &mut Faults<'_>) -> BTreeMap<String, Vec<At<Constant>>> {
    let mut found = BTreeMap::new();
    let DeValue::Table(entries) = lists.get_ref() else {
        faults.add(None, &lists.span(), "lists stand in `[lists.NAME]`");
        return found;
    };
    if entries.len() > LISTS_MAX {
        faults.add(None, &lists.span(), format!("more than {LISTS_MAX} lists"));
        return found;
    }
    for (name, list) in entries {
        if !crate::schema::is_slot_name(name.get_ref()) {
            faults.add(None, &name.span(), format!("`{}` cannot name a list", shown(name.get_ref())));
        }
        let Some(list) = Table::of(list, "a list", None, &["doc", "values"], faults) else { continue };
        let Some(values) = list.required("values", faults) else { continue };
        let DeValue::Array(items) = values.get_ref() else {
            list.fault(values, "`values` is an array", faults);
            continue;
        };
        if items.len() > LIST_VALUES_MAX {
            list.fault(values, format!("more than {LIST_VALUES_MAX} values"), faults);
            continue;
        }
        let constants = items.iter().filter_map(|item| match constant(item.get_ref()) {
            Ok(value) => Some(At { value, span: item.span() }),
            Err(message) => {
                faults.add(None, &item.span(), message);
                None
            }
        });
        found.insert(name.get_ref().to_string(), constants.collect());
    }
    found
}

/// The keys of a rule.
const RULE_KEYS: [&str; 11] = [
    "action",
    "fixture",
    "id",
    "mode",
    "owner",
    "reason",
    "title",
    "valid_from",
    "weight",
    "when",
    "when_missing",
];

fn read_rule(rule: &Spanned<DeValue<'_>>, faults: &mut Faults<'_>) -> Option<RuleText> {
    // The id is read first, since every other fault names it.
    let id_of = |rule: &Spanned<DeValue<'_>>| match rule.get_ref() {
        DeValue::Table(entries) => entries.iter().find_map(|(key, value)| match value.get_ref() {
            DeValue::String(text) if key.get_ref() == "id" => Some(shown(text)),
            _ => None,
        }),
        _ => None,
    };
    let id_shown = id_of(rule);
    let table = Table::of(rule, "a rule", id_shown.as_deref(), &RULE_KEYS, faults)?;
    let id = table.text("id", NAME_BYTES_MAX, faults);
    if let Some(id) = id.as_ref().filter(|id| !is_id(&id.value)) {
        faults.add(table.rule.as_deref(), &id.span, "`id` is lower-case letters, digits, `-`, `_`, `.`");
    }
    let title = table.text("title", SENTENCE_BYTES_MAX, faults);
    let when = table.text("when", crate::bounds::SOURCE_BYTES_MAX, faults);
    let reason = table.text("reason", SENTENCE_BYTES_MAX, faults);
    let owner = table.text("owner", NAME_BYTES_MAX, faults);
    let action = table.word("action", &Action::ALL.map(|action| (action.as_str(), action)), true, faults);
    let mode = table.word("mode", &Mode::ALL.map(|mode| (mode.as_str(), mode)), false, faults);
    let choices = WhenMissing::ALL.map(|choice| (choice.as_str(), choice));
    let when_missing = table.word("when_missing", &choices, false, faults);
    let weight = read_weight(&table, action, faults);
    let valid_from = match table.entry("valid_from").map(|value| (value, constant(value.get_ref()))) {
        None => None,
        Some((_, Ok(Constant::Timestamp(at)))) => Some(at),
        Some((value, _)) => {
            table.fault(value, "`valid_from` is a time such as 2026-01-31T00:00:00Z", faults);
            None
        }
    };
    let fixtures = read_fixtures(&table, faults);
    Some(RuleText {
        id: id?,
        title: title?.value,
        when: when?,
        action: action?,
        weight: weight?,
        reason: reason?,
        owner: owner?.value,
        mode: mode?,
        when_missing: when_missing?,
        valid_from,
        fixtures,
    })
}

/// The weight: a rule that scores has one, others have none.
fn read_weight(table: &Table<'_, '_>, action: Option<Action>, faults: &mut Faults<'_>) -> Option<f64> {
    let Some(value) = table.entry("weight") else {
        if action == Some(Action::Score) {
            faults.add(table.rule.as_deref(), &table.span, "`weight` is missing: the rule scores");
            return None;
        }
        return Some(0.0);
    };
    let weight = match constant(value.get_ref()) {
        Ok(Constant::Double(weight)) => Some(weight),
        Ok(Constant::Int(weight)) => Some(crate::number::to_double(weight)),
        _ => None,
    };
    if weight.is_none() {
        table.fault(value, "`weight` is a number", faults);
    } else if action.is_some_and(|action| action != Action::Score) {
        table.fault(value, "`weight` belongs to `action = \"score\"`", faults);
    }
    weight
}

fn read_fixtures(table: &Table<'_, '_>, faults: &mut Faults<'_>) -> Vec<FixtureText> {
    let rule = table.rule.as_deref();
    let Some(value) = table.entry("fixture") else { return Vec::new() };
    let DeValue::Array(entries) = value.get_ref() else {
        table.fault(value, "fixtures stand in `[[rule.fixture]]`", faults);
        return Vec::new();
    };
    if entries.len() > FIXTURES_MAX {
        table.fault(value, format!("more than {FIXTURES_MAX} fixtures"), faults);
        return Vec::new();
    }
    let mut fixtures = Vec::new();
    for entry in entries {
        let known = &["expect", "given", "name"];
        let Some(fixture) = Table::of(entry, "a fixture", rule, known, faults) else { continue };
        let name = fixture.text("name", NAME_BYTES_MAX, faults);
        let expect = fixture.required("expect", faults).and_then(|value| {
            let DeValue::Boolean(expect) = value.get_ref() else {
                fixture.fault(value, "`expect` is true or false", faults);
                return None;
            };
            Some(*expect)
        });
        let mut given = Vec::new();
        match fixture.required("given", faults).map(|value| (value, value.get_ref())) {
            None => {}
            Some((value, DeValue::Table(values))) => {
                flatten("", values, rule, &mut given, faults);
                if given.len() > crate::bounds::SLOTS_MAX {
                    fixture.fault(value, "more values than there can be slots", faults);
                    given.clear();
                }
            }
            Some((value, _)) => fixture.fault(value, "`given` is a table of slots and values", faults),
        }
        if let (Some(name), Some(expect)) = (name, expect) {
            fixtures.push(FixtureText { name, given, expect });
        }
    }
    fixtures
}

/// The values given, by slot name; a dotted name may be written as nested tables.
fn flatten(
    prefix: &str,
    values: &DeTable<'_>,
    rule: Option<&str>,
    given: &mut Vec<(At<String>, At<Constant>)>,
    faults: &mut Faults<'_>,
) {
    for (key, value) in values {
        let name = format!("{prefix}{}", key.get_ref());
        if let DeValue::Table(inner) = value.get_ref() {
            flatten(&format!("{name}."), inner, rule, given, faults);
            continue;
        }
        match constant(value.get_ref()) {
            Ok(constant) => {
                given
                    .push((At { value: name, span: key.span() }, At { value: constant, span: value.span() }));
            }
            Err(message) => faults.add(rule, &value.span(), message),
        }
    }
}
