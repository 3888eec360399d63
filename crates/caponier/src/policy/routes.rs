//! The route table as a file: TOML, one `[[route]]` for each line of the table, every fault reported at once.
//!
//! Strict: unknown keys, unknown words and contradictions are faults with their line. [`print()`] writes any table in the
//! form that [`Routes::parse`] reads; `docs/operating/routes.md` shows the built-in one.

use std::{collections::HashSet, fmt::Write as _, ops::Range};

use gateway::route::{BODY_BYTES_MAX, Class, Cost, Criticality, Handling, Route, RouteTable, Verb};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::config::{
    Fault, Faults,
    reader::{line_column, size},
};

/// Version of the format.
const VERSION: &str = "1";
/// Greatest body bound that a file may set, in bytes: a body is held in memory.
const BODY_MAX: u64 = 8 << 20;

/// A name in the file and what it means.
type Words<T> = &'static [(&'static str, T)];

const METHODS: Words<Verb> = &[("any", Verb::Any), ("get", Verb::Get), ("post", Verb::Post)];
const CLASSES: Words<Class> = &[
    ("public", Class::Public),
    ("read", Class::Read),
    ("trade", Class::Trade),
    ("withdraw", Class::Withdraw),
    ("key_management", Class::KeyManagement),
];
const COSTS: Words<Cost> = &[("one", Cost::One), ("orders", Cost::Orders)];
const HANDLINGS: Words<Handling> = &[
    ("browser", Handling::Browser),
    ("forward", Handling::Forward),
    ("decide", Handling::Decide),
    ("unavailable", Handling::Unavailable),
    ("websocket", Handling::WebSocket),
];
const KEYS: [&str; 9] =
    ["batch_limits", "body_max", "class", "cost", "criticality", "handling", "limits", "method", "path"];

fn word<T: PartialEq + Copy>(words: Words<T>, value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

/// A table with the place of its lines in the file.
#[derive(Debug, Clone)]
pub(crate) struct Routes {
    pub(crate) table: RouteTable,
    /// Path and line of each route, in the order of the table; none for the built-in one.
    lines: Vec<(String, usize)>,
}

impl Routes {
    /// The table that holds without a file.
    pub(crate) fn built_in() -> Self {
        Self { table: RouteTable::okx_v5(), lines: Vec::new() }
    }

    /// The line of the first route of a path that draws on a limit; 0 if there is none.
    pub(crate) fn line_of(&self, path: &str, limit: &str) -> usize {
        let draws = |route: &Route| route.limits.iter().chain(&route.batch_limits).any(|name| name == limit);
        let mut of_routes = self.table.routes().iter().zip(&self.lines);
        of_routes.find(|(route, _)| route.path == path && draws(route)).map_or(0, |(_, (_, line))| *line)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Faults`]: everything that is wrong.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, Faults> {
        let mut reader = Reader { file, text, faults: Vec::new() };
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            reader.fault(error.span(), "", error.message().to_owned());
        }
        let (mut routes, mut lines) = (Vec::new(), Vec::new());
        let mut has_version = false;
        for (name, value) in root.get_ref() {
            match (name.get_ref().as_ref(), value.get_ref()) {
                ("version", DeValue::Integer(number)) if number.as_str() == VERSION => has_version = true,
                ("version", _) => {
                    has_version = true;
                    reader.fault(
                        Some(value.span()),
                        "version",
                        format!("this program reads version {VERSION}"),
                    );
                }
                ("route", DeValue::Array(tables)) => {
                    for table in tables {
                        if let Some(route) = reader.route(table) {
                            lines.push((route.path.clone(), line_column(text, table.span().start).0));
                            routes.push(route);
                        }
                    }
                }
                (other, _) => {
                    let message = "is not a known key; there are version and [[route]]".to_owned();
                    reader.fault(Some(name.span()), other, message);
                }
            }
        }
        if !has_version && reader.faults.is_empty() {
            reader.fault(None, "version", format!("is missing; this program reads version {VERSION}"));
        }
        if !reader.faults.is_empty() {
            reader.faults.sort_by_key(|fault| (fault.line, fault.column));
            return Err(Faults(reader.faults));
        }
        match RouteTable::new(routes) {
            Ok(table) => Ok(Self { table, lines }),
            Err(error) => {
                let line = error.path().map_or(0, |path| line_of(&lines, path));
                let fault = Fault {
                    file: file.to_owned(),
                    line,
                    column: usize::from(line > 0),
                    key: "route".to_owned(),
                    message: error.to_string(),
                };
                Err(Faults(vec![fault]))
            }
        }
    }
}

fn line_of(lines: &[(String, usize)], path: &str) -> usize {
    lines.iter().rev().find(|(of, _)| of == path).map_or(0, |(_, line)| *line)
}

struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, span: Option<Range<usize>>, key: &str, message: String) {
        let (line, column) = span.map_or((0, 0), |span| line_column(self.text, span.start));
        let (file, key) = (self.file.to_owned(), key.to_owned());
        self.faults.push(Fault { file, line, column, key, message });
    }

    fn route(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Route> {
        let DeValue::Table(table) = value.get_ref() else {
            self.fault(Some(value.span()), "route", "must be a table".to_owned());
            return None;
        };
        for (name, _) in table {
            if !KEYS.contains(&name.get_ref().as_ref()) {
                let message = format!("is not a known key; there are {}", KEYS.join(", "));
                self.fault(Some(name.span()), name.get_ref(), message);
            }
        }
        let faults = self.faults.len();
        let at = value.span();
        let path = self.text(table, "path", None, &at).unwrap_or_default();
        let verb = self.word(table, "method", METHODS, None, &at);
        let class = self.word(table, "class", CLASSES, None, &at);
        let cost = self.word(table, "cost", COSTS, Some("one"), &at);
        let handling = self.word(table, "handling", HANDLINGS, Some("forward"), &at);
        let criticality = match table.get("criticality") {
            None => class.zip(handling).map(|(class, handling)| class.criticality(handling)),
            Some(_) => {
                let text = self.text(table, "criticality", None, &at)?;
                let known = Criticality::ALL.into_iter().find(|known| known.label() == text);
                if known.is_none() {
                    let known = Criticality::ALL.map(Criticality::label).join(", ");
                    self.fault(
                        span_of(table, "criticality"),
                        "criticality",
                        format!("must be one of {known}, got {text:?}"),
                    );
                }
                known
            }
        };
        let body_bytes_max = match table.get("body_max") {
            None => Some(BODY_BYTES_MAX),
            Some(_) => {
                let text = self.text(table, "body_max", None, &at)?;
                let bytes = size(&text).and_then(|bytes| match usize::try_from(bytes) {
                    Ok(fits) if (1..=BODY_MAX).contains(&bytes) => Ok(fits),
                    _ => Err(format!("must be from 1 KiB to {} MiB, got {text:?}", BODY_MAX >> 20)),
                });
                bytes.map_err(|message| self.fault(span_of(table, "body_max"), "body_max", message)).ok()
            }
        };
        let (limits, batch_limits) = (self.names(table, "limits"), self.names(table, "batch_limits"));
        let route = Route {
            verb: verb?,
            path,
            class: class?,
            limits,
            batch_limits,
            cost: cost?,
            body_bytes_max: body_bytes_max?,
            handling: handling?,
            criticality: criticality?,
        };
        (self.faults.len() == faults).then_some(route)
    }

    fn text(
        &mut self,
        table: &DeTable<'_>,
        key: &'static str,
        default: Option<&str>,
        at: &Range<usize>,
    ) -> Option<String> {
        match (table.get(key).map(Spanned::get_ref), default) {
            (Some(DeValue::String(text)), _) => return Some(text.to_string()),
            (None, Some(default)) => return Some(default.to_owned()),
            (Some(_), _) => self.fault(span_of(table, key), key, "must be a string".to_owned()),
            (None, None) => self.fault(Some(at.clone()), key, "is missing".to_owned()),
        }
        None
    }

    fn word<T: Copy>(
        &mut self,
        table: &DeTable<'_>,
        key: &'static str,
        words: Words<T>,
        default: Option<&str>,
        at: &Range<usize>,
    ) -> Option<T> {
        let text = self.text(table, key, default, at)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.fault(
                span_of(table, key),
                key,
                format!("must be one of {}, got {text:?}", known.join(", ")),
            );
        }
        found
    }

    fn names(&mut self, table: &DeTable<'_>, key: &'static str) -> Vec<String> {
        let entries = match table.get(key).map(Spanned::get_ref) {
            None => return Vec::new(),
            Some(DeValue::Array(entries)) => entries,
            Some(_) => {
                self.fault(span_of(table, key), key, "must be a list of names of limits".to_owned());
                return Vec::new();
            }
        };
        let mut names = Vec::new();
        for entry in entries {
            match entry.get_ref() {
                DeValue::String(name) => names.push(name.to_string()),
                _ => self.fault(Some(entry.span()), key, "every entry must be a string".to_owned()),
            }
        }
        names
    }
}

fn span_of(table: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    table.get(key).map(Spanned::span)
}

/// A table as a file.
#[must_use]
pub(crate) fn print(table: &RouteTable) -> String {
    let mut out = String::from(
        "# Caponier route table. A request is answered for by the line with its exact path and method, else by the one with\n\
         # the longest prefix (a path that ends in /). Every request draws on limit source, every signed one on limit key.\n\
         version = 1\n",
    );
    let mut told: HashSet<&str> = HashSet::new();
    for route in table.routes() {
        let _ = writeln!(out, "\n[[route]]");
        let mut line = |key: &'static str, value: String, comment: &str| {
            let comment =
                if told.insert(key) && !comment.is_empty() { format!(" # {comment}") } else { String::new() };
            let _ = writeln!(out, "{key} = {value}{comment}");
        };
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let list = |names: &[String]| {
            let names: Vec<_> = names.iter().map(|name| quoted(name)).collect();
            format!("[{}]", names.join(", "))
        };
        line("method", quoted(word(METHODS, route.verb)), "get, post or any");
        line("path", quoted(&route.path), "");
        line(
            "class",
            quoted(word(CLASSES, route.class)),
            "public, or what the key must be allowed: read, trade, withdraw, key_management",
        );
        if !route.limits.is_empty() {
            line("limits", list(&route.limits), "charged all, or when one is used up none");
        }
        if !route.batch_limits.is_empty() {
            line("batch_limits", list(&route.batch_limits), "instead, for a body of two orders or more");
        }
        if route.cost != Cost::One {
            line("cost", quoted(word(COSTS, route.cost)), "the number of orders in the body; else one");
        }
        if route.body_bytes_max != BODY_BYTES_MAX {
            line("body_max", format!("\"{} KiB\"", route.body_bytes_max >> 10), "else 1 MiB");
        }
        if route.handling != Handling::Forward {
            line(
                "handling",
                quoted(word(HANDLINGS, route.handling)),
                "browser, decide, unavailable (410) or websocket; else forward",
            );
        }
        if route.criticality != route.class.criticality(route.handling) {
            line(
                "criticality",
                quoted(route.criticality.label()),
                "what is shed first to last: anonymous, public_read, private_read, withdraw, place, amend, cancel",
            );
        }
    }
    out
}

#[cfg(test)]
mod tests;
