//! Walks a parsed TOML document key by key, collecting faults instead of stopping at the first.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    ops::{Range, RangeInclusive},
    path::{Path, PathBuf},
    time::Duration,
};

use auth::oauth::{OauthConfig, OauthConfigError};
use domain::{Amount, Asset};
use fraud::cases::{PPM, PolicyError};
use ipnet::IpNet;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Fault, Faults, Limit, Rate, Values, schema};
use crate::acme;

/// Largest file read.
pub(crate) const FILE_BYTES_MAX: usize = 1 << 20;
/// Longest line of words for people, in characters.
const LINE_CHARS_MAX: usize = 500;

enum Item {
    Text(String),
    Integer(Option<i64>),
    List(Vec<(Option<String>, Range<usize>)>),
    Map(Vec<(String, Option<String>, Range<usize>)>),
    /// A table of tables.
    Sections(Vec<Section>),
    Other(&'static str),
}

/// One table of a table of tables.
pub(super) struct Section {
    /// Its name.
    pub(super) name: String,
    span: Range<usize>,
    fields: BTreeMap<String, (Item, Range<usize>)>,
}

pub(super) struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    base: &'t Path,
    files_exist: bool,
    items: BTreeMap<String, (Item, Range<usize>)>,
    faults: Vec<(usize, Fault)>,
}

impl<'t> Reader<'t> {
    /// `files_exist` asks that files named by the configuration are there.
    pub(super) fn new(file: &'t str, text: &'t str, base: &'t Path, files_exist: bool) -> Self {
        let mut reader = Self { file, text, base, files_exist, items: BTreeMap::new(), faults: Vec::new() };
        if text.len() > FILE_BYTES_MAX {
            reader.fault_at(
                "",
                None,
                format!("is {} bytes long, at most {FILE_BYTES_MAX} are read", text.len()),
            );
            return reader;
        }
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            reader.fault_at("", error.span(), error.message().to_owned());
        }
        reader.flatten("", root.get_ref());
        let unknown: Vec<(String, Range<usize>)> = reader
            .items
            .iter()
            .filter(|(key, _)| schema::find(key).is_none())
            .map(|(key, (_, span))| (key.clone(), span.clone()))
            .collect();
        for (key, span) in unknown {
            let near =
                schema::nearest(&key).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            reader.fault_at(&key, Some(span), format!("is not a known key{near}"));
        }
        reader
    }

    fn flatten(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            let is_map = schema::find(&key).is_some_and(|known| known.is_map);
            match value.get_ref() {
                DeValue::Table(inner) if !is_map => self.flatten(&key, inner),
                other => {
                    let item = item(other);
                    self.items.insert(key, (item, value.span()));
                }
            }
        }
    }

    /// Records a fault at the place of a key (or of the whole file when the key is absent).
    pub(super) fn fault(&mut self, key: &str, message: String) {
        let span = self.items.get(key).map(|(_, span)| span.clone());
        self.fault_at(key, span, message);
    }

    fn fault_at(&mut self, key: &str, span: Option<Range<usize>>, message: String) {
        let (line, column) = span.as_ref().map_or((0, 0), |span| line_column(self.text, span.start));
        let order = span.map_or(usize::MAX, |span| span.start);
        let fault = Fault { file: self.file.to_owned(), line, column, key: key.to_owned(), message };
        self.faults.push((order, fault));
    }

    /// Ends reading: the values as text, or everything that is wrong.
    pub(super) fn finish(mut self) -> Result<Values, Faults> {
        if self.faults.is_empty() {
            let values = schema::KEYS.iter().map(|key| {
                let given = self.items.get(key.path).and_then(|(_, span)| {
                    let text = self.text.get(span.clone())?;
                    Some((text, line_column(self.text, span.start).0))
                });
                let value = match given {
                    Some((text, line)) => (text.to_owned(), Some(line)),
                    None => (key.default.to_owned(), None),
                };
                (key.path, value)
            });
            return Ok(Values::new(self.file, values));
        }
        self.faults.sort_by_key(|(order, _)| *order);
        Err(Faults(self.faults.into_iter().map(|(_, fault)| fault).collect()))
    }

    /// The text of a key, its default when absent, and the default after a fault too, so that reading goes on.
    pub(super) fn text_of(&mut self, key: &'static str) -> String {
        let default = schema::default_text(key);
        let got = match self.items.get(key) {
            None => return default,
            Some((Item::Text(text), _)) => return text.clone(),
            Some((other, _)) => name_of(other),
        };
        self.fault(key, format!("must be a string, got {got}"));
        default
    }

    /// Parses a key's text, with the default's value after a fault.
    fn parsed<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let text = self.text_of(key);
        parse(&text).unwrap_or_else(|message| {
            self.fault(key, message);
            parse(&schema::default_text(key)).unwrap_or_else(|message| {
                unreachable!("the default of {key} is valid (a test reads the default file): {message}")
            })
        })
    }

    /// One line of at most 500 characters, or the empty string.
    pub(super) fn line(&mut self, key: &'static str) -> String {
        self.parsed(key, |text| {
            if text.chars().count() > LINE_CHARS_MAX || text.chars().any(char::is_control) {
                Err(format!("must be one line of at most {LINE_CHARS_MAX} characters"))
            } else {
                Ok(text.to_owned())
            }
        })
    }

    /// An origin of pages; `None` for the empty string.
    pub(super) fn page_origin(&mut self, key: &'static str) -> Option<identity::Origin> {
        let text = self.text_of(key);
        if text.is_empty() {
            return None;
        }
        identity::Origin::parse(&text).map_err(|error| self.fault(key, error.to_string())).ok()
    }

    /// Where apps find the authorization server and customers consent; `None` for the empty string.
    pub(super) fn oauth(&mut self) -> Option<OauthConfig> {
        let (issuer, consent) = (self.text_of("oauth.issuer"), self.text_of("oauth.consent_url"));
        if issuer.is_empty() && consent.is_empty() {
            return None;
        }
        OauthConfig::new(&issuer, &consent)
            .map_err(|error| {
                let (key, form) = match error {
                    OauthConfigError::ConsentPage => {
                        ("oauth.consent_url", "an https address such as \"https://example.com/apps/consent\"")
                    }
                    _ => ("oauth.issuer", "an https origin without path such as \"https://api.example.com\""),
                };
                self.fault(key, format!("must be {form}, together with the other key of the section"));
            })
            .ok()
    }

    /// The tables of a table of tables, in the order of names; fields that are not known are faults.
    pub(super) fn sections(&mut self, key: &'static str, known: &[&str]) -> Vec<Section> {
        let (message, span) = match self.items.remove(key) {
            None => return Vec::new(),
            Some((Item::Sections(mut sections), _)) => {
                for section in &sections {
                    for (field, (_, span)) in &section.fields {
                        if !known.contains(&field.as_str()) {
                            let path = format!("{key}.{}.{field}", section.name);
                            let message = format!("is not a known key; there are {}", known.join(", "));
                            self.fault_at(&path, Some(span.clone()), message);
                        }
                    }
                }
                sections.sort_by(|a, b| a.name.cmp(&b.name));
                return sections;
            }
            Some((Item::Map(entries), _)) if entries.is_empty() => return Vec::new(),
            Some((_, span)) => ("must hold tables only, each [NAME] with keys of its own".to_owned(), span),
        };
        self.fault_at(key, Some(span), message);
        Vec::new()
    }

    /// Records a fault at a field of a section.
    pub(super) fn section_fault(&mut self, key: &str, section: &Section, field: &str, message: String) {
        let span = section.fields.get(field).map_or(&section.span, |(_, span)| span).clone();
        self.fault_at(&format!("{key}.{}.{field}", section.name), Some(span), message);
    }

    /// A field parsed, its default when absent; the default too after a fault.
    pub(super) fn section_text<T>(
        &mut self,
        key: &str,
        section: &Section,
        field: &str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let parsed = match section.fields.get(field) {
            None => parse(default),
            Some((Item::Text(text), _)) => parse(text),
            Some((other, _)) => Err(format!("must be a string, got {}", name_of(other))),
        };
        match parsed {
            Ok(value) => Some(value),
            Err(message) => {
                self.section_fault(key, section, field, message);
                None
            }
        }
    }

    /// A whole number, its default when absent; `None` without a default, or after a fault.
    pub(super) fn section_number(
        &mut self,
        key: &str,
        section: &Section,
        field: &str,
        default: Option<u64>,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let number = match section.fields.get(field) {
            None => return default,
            Some((Item::Integer(number), _)) => number.and_then(|number| u64::try_from(number).ok()),
            Some(_) => None,
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let message = format!("must be an integer from {} to {}", range.start(), range.end());
            self.section_fault(key, section, field, message);
        }
        number
    }

    /// A list of strings; empty when absent.
    pub(super) fn section_list(&mut self, key: &str, section: &Section, field: &str) -> Option<Vec<String>> {
        let list = match section.fields.get(field) {
            None => return None,
            Some((Item::List(entries), _)) => entries.iter().map(|(text, _)| text.clone()).collect(),
            Some(_) => None,
        };
        if list.is_none() {
            self.section_fault(key, section, field, "must be a list of strings".to_owned());
        }
        list
    }

    /// Whether files the configuration names are looked at.
    pub(super) const fn reads_files(&self) -> bool {
        self.files_exist
    }

    /// A path in a section, relative to the file's folder.
    pub(super) fn beside(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    pub(super) fn integer(&mut self, key: &'static str) -> i64 {
        let default = schema::default_text(key).parse().unwrap_or_default();
        let message = match self.items.get(key) {
            None => return default,
            Some((Item::Integer(Some(number)), _)) => return *number,
            Some((Item::Integer(None), _)) => "is out of range".to_owned(),
            Some((other, _)) => format!("must be an integer, got {}", name_of(other)),
        };
        self.fault(key, message);
        default
    }

    pub(super) fn count(&mut self, key: &'static str, range: RangeInclusive<u32>) -> u32 {
        let number = self.integer(key);
        match u32::try_from(number) {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.fault(key, format!("must be from {} to {}, got {number}", range.start(), range.end()));
                *range.start()
            }
        }
    }

    /// A path relative to the file's folder; `None` for the empty string.
    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let text = self.text_of(key);
        (!text.is_empty()).then(|| self.base.join(text))
    }

    /// As [`Reader::path`], of a file that must be there.
    pub(super) fn existing(&mut self, key: &'static str) -> Option<PathBuf> {
        let path = self.path(key)?;
        if self.files_exist && !path.is_file() {
            self.fault(key, format!("there is no file {}", path.display()));
        }
        Some(path)
    }

    /// Two files that only make sense together.
    pub(super) fn pair(&mut self, first: &'static str, second: &'static str) -> Option<(PathBuf, PathBuf)> {
        match (self.existing(first), self.existing(second)) {
            (Some(one), Some(two)) => Some((one, two)),
            (None, None) => None,
            (Some(_), None) => {
                self.fault(first, format!("needs {second} too"));
                None
            }
            (None, Some(_)) => {
                self.fault(second, format!("needs {first} too"));
                None
            }
        }
    }

    pub(super) fn address(&mut self, key: &'static str) -> SocketAddr {
        self.parsed(key, |text| {
            text.parse()
                .map_err(|_| format!("must be an address and port such as \"127.0.0.1:8443\", got {text:?}"))
        })
    }

    pub(super) fn upstream(&mut self, key: &'static str) -> String {
        self.parsed(key, |text| {
            let authority = text.strip_prefix("http://").unwrap_or_default();
            let (host, port) = authority.rsplit_once(':').unwrap_or_default();
            let plain =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'[' | b']' | b':');
            if host.is_empty() || !host.bytes().all(plain) || port.parse::<u16>().is_err() {
                return Err(format!("must be http://HOST:PORT without a path, got {text:?}"));
            }
            Ok(authority.to_owned())
        })
    }

    pub(super) fn origin(&mut self, key: &'static str) -> String {
        self.parsed(key, |text| {
            let allowed = |c: char| c.is_ascii_graphic() && c != '+';
            if text.is_empty() || text.len() > 255 || !text.chars().all(allowed) {
                return Err(format!(
                    "must be 1 to 255 printable characters without spaces and '+', got {text:?}"
                ));
            }
            Ok(text.to_owned())
        })
    }

    /// A span of time such as `500ms`, `10s`, `5m`, `24h`; bounds in milliseconds.
    pub(super) fn duration(&mut self, key: &'static str, millis: RangeInclusive<u64>) -> Duration {
        self.parsed(key, |text| {
            let span = duration(text)?;
            if (u128::from(*millis.start())..=u128::from(*millis.end())).contains(&span.as_millis()) {
                Ok(span)
            } else {
                Err(format!("must be from {}ms to {}ms, got {text:?}", millis.start(), millis.end()))
            }
        })
    }

    pub(super) fn size(&mut self, key: &'static str, bytes: RangeInclusive<u64>) -> u64 {
        self.parsed(key, |text| {
            let size = size(text)?;
            if bytes.contains(&size) {
                Ok(size)
            } else {
                Err(format!("must be from {} to {} bytes, got {text:?}", bytes.start(), bytes.end()))
            }
        })
    }

    pub(super) fn rate(&mut self, key: &'static str) -> Rate {
        self.parsed(key, rate)
    }

    /// A table from names to limits, such as `balance = "10 / 2s by account"`.
    pub(super) fn limits(&mut self, key: &'static str) -> Vec<Limit> {
        let (message, span) = match self.items.get(key) {
            None => return Vec::new(),
            Some((Item::Map(entries), _)) => {
                let parsed: Result<Vec<_>, _> = entries
                    .iter()
                    .map(|(name, text, span)| {
                        limit(name, text.as_deref().unwrap_or_default())
                            .map_err(|message| (format!("{name}: {message}"), span.clone()))
                    })
                    .collect();
                match parsed {
                    Ok(limits) => return limits,
                    Err(fault) => fault,
                }
            }
            Some((other, span)) => {
                (format!("must be a table of name = \"limit\", got {}", name_of(other)), span.clone())
            }
        };
        self.fault_at(key, Some(span), message);
        Vec::new()
    }

    pub(super) fn one_of(&mut self, key: &'static str, choices: &[&str]) -> String {
        self.parsed(key, |text| {
            if choices.contains(&text) {
                Ok(text.to_owned())
            } else {
                Err(format!("must be one of {}, got {text:?}", choices.join(", ")))
            }
        })
    }

    /// What a check that cannot be made means.
    pub(super) fn silence(&mut self, key: &'static str) -> domain::Verdict {
        // Whatever is not one of them was told as a fault.
        self.one_of(key, &["allow", "challenge", "hold", "deny"]).parse().unwrap_or(domain::Verdict::Deny)
    }

    /// A list of texts, its default when absent; an empty one after a fault.
    pub(super) fn list(&mut self, key: &'static str) -> Vec<String> {
        let (message, span) = match self.items.get(key) {
            // A list of basic strings is written alike in TOML and JSON.
            None => return serde_json::from_str(&schema::default_text(key)).unwrap_or_default(),
            Some((Item::List(entries), _)) => {
                let bad = entries.iter().find(|(text, _)| text.is_none()).map(|(_, span)| span.clone());
                let Some(span) = bad else {
                    return entries.iter().filter_map(|(text, _)| text.clone()).collect();
                };
                ("every entry must be a string".to_owned(), span)
            }
            Some((other, span)) => {
                (format!("must be a list of strings, got {}", name_of(other)), span.clone())
            }
        };
        self.fault_at(key, Some(span), message);
        Vec::new()
    }

    /// A list of addresses and networks.
    pub(super) fn networks(&mut self, key: &'static str) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for text in self.list(key) {
            match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(Into::into)) {
                Ok(net) => networks.push(net),
                Err(_) => self
                    .fault(key, format!("{text:?} must be an address or a network such as \"192.0.2.0/24\"")),
            }
        }
        networks
    }

    /// A table from names to file paths.
    pub(super) fn files(&mut self, key: &'static str) -> Vec<(String, PathBuf)> {
        let (message, span) = match self.items.get(key) {
            None => return Vec::new(),
            Some((Item::Map(entries), _)) => {
                let bad = entries.iter().find(|(name, path, _)| {
                    path.as_ref().is_none_or(String::is_empty) || name.is_empty() || name.len() > 64
                });
                let named = |path: &str| self.base.join(path);
                let absent = entries.iter().find(|(_, path, _)| {
                    self.files_exist && path.as_ref().is_some_and(|path| !named(path).is_file())
                });
                match (bad, absent) {
                    (None, None) => {
                        return entries
                            .iter()
                            .filter_map(|(name, path, _)| Some((name.clone(), named(path.as_ref()?))))
                            .collect();
                    }
                    (Some((name, _, span)), _) => (
                        format!("{name:?} must be a short name with the path of its token file"),
                        span.clone(),
                    ),
                    (None, Some((name, path, span))) => {
                        let path = named(path.as_deref().unwrap_or_default());
                        (format!("{name}: there is no file {}", path.display()), span.clone())
                    }
                }
            }
            Some((other, span)) => {
                (format!("must be a table of name = \"token file\", got {}", name_of(other)), span.clone())
            }
        };
        self.fault_at(key, Some(span), message);
        Vec::new()
    }

    /// `[acme]`; `None` without a directory.
    pub(super) fn acme(&mut self) -> Option<acme::Config> {
        let directory = self.text_of("acme.directory");
        let (domains, contacts) = (self.list("acme.domains"), self.list("acme.contacts"));
        let ca_file = self.path("acme.ca_file").unwrap_or_default();
        if directory.is_empty() {
            if !domains.is_empty() {
                self.fault("acme.domains", "needs acme.directory too".to_owned());
            }
            return None;
        }
        if !directory.starts_with("https://") {
            self.fault("acme.directory", format!("must be an https URL, got {directory:?}"));
        }
        if domains.is_empty() || domains.len() > 100 {
            self.fault("acme.domains", format!("must be 1 to 100 names, got {}", domains.len()));
        }
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
        for name in &domains {
            if name.is_empty() || name.len() > 253 || !name.bytes().all(plain) {
                self.fault("acme.domains", format!("{name:?} is not a lower-case domain name"));
            }
        }
        for contact in &contacts {
            if !contact.starts_with("mailto:") {
                self.fault("acme.contacts", format!("must begin with mailto:, got {contact:?}"));
            }
        }
        if self.files_exist && !ca_file.is_file() {
            self.fault("acme.ca_file", format!("there is no file {}", ca_file.display()));
        }
        Some(acme::Config { directory, domains, contacts, ca_file })
    }

    /// A number from -1 to 1 with at most six decimal places, in millionths.
    pub(super) fn millionths(&mut self, key: &'static str) -> i64 {
        self.parsed(key, |text| {
            let bad =
                || format!("must be a number from -1 to 1 with at most six decimal places, got {text:?}");
            let (mantissa, scale) = Amount::parse(text).map_err(|_| bad())?.parts();
            let shift = 6_u32.checked_sub(scale).ok_or_else(bad)?;
            let millionths = mantissa.checked_mul(10_i128.pow(shift)).ok_or_else(bad)?;
            i64::try_from(millionths).ok().filter(|number| number.abs() <= 1_000_000).ok_or_else(bad)
        })
    }

    /// How cases are grouped, weighed and timed.
    pub(super) fn cases(&mut self) -> fraud::cases::Policy {
        const YEAR_MS: u64 = 365 * 86_400_000;
        let mut seconds = |key| {
            let span = self.duration(key, 1_000..=YEAR_MS);
            if span.subsec_nanos() != 0 {
                self.fault(key, "must be whole seconds".to_owned());
            }
            span
        };
        let [window, proposal_life, release_life] =
            ["cases.window", "cases.proposal_life", "cases.release_life"].map(&mut seconds);
        let sla =
            ["cases.sla_low", "cases.sla_medium", "cases.sla_high", "cases.sla_critical"].map(&mut seconds);
        let reference = self.parsed("cases.reference_asset", |text| {
            Asset::parse(text).map_err(|error| format!("must be an asset such as \"USDT\": {error}"))
        });
        let mut amount = |key| {
            self.parsed(key, |text| {
                Amount::parse_non_negative(text)
                    .map_err(|error| format!("must be an amount such as \"1000\": {error}"))
            })
        };
        let [medium_from, high_from, critical_from] =
            ["cases.medium_from", "cases.high_from", "cases.critical_from"].map(&mut amount);
        let mut percent = |key| self.count(key, 0..=100) * (PPM / 100);
        let [challenge_ppm, hold_ppm] = ["cases.challenge_percent", "cases.hold_percent"].map(&mut percent);
        let policy = fraud::cases::Policy {
            window,
            proposal_life,
            release_life,
            reference,
            medium_from,
            high_from,
            critical_from,
            sla,
            challenge_ppm,
            hold_ppm,
        };
        if policy.check() == Err(PolicyError::Bounds) {
            self.fault("cases.high_from", PolicyError::Bounds.to_string());
        }
        policy
    }

    /// A table from names to lists of permissions of the control API.
    pub(super) fn permissions(&mut self, key: &'static str) -> Vec<(String, Vec<api::Permission>)> {
        let (message, span) = match self.items.get(key) {
            None => return Vec::new(),
            Some((Item::Map(entries), _)) => {
                let parse = |text: &str| -> Result<Vec<api::Permission>, String> {
                    text.split(',')
                        .map(|name| {
                            api::Permission::named(name.trim())
                                .filter(|one| one.is_of_programs())
                                .ok_or_else(|| name.trim().to_owned())
                        })
                        .collect()
                };
                let parsed: Result<Vec<_>, _> = entries
                    .iter()
                    .map(|(name, text, span)| {
                        parse(text.as_deref().unwrap_or_default())
                            .map(|permissions| (name.clone(), permissions))
                            .map_err(|bad| {
                                let known: Vec<&str> =
                                    api::Permission::of_programs().map(api::Permission::as_str).collect();
                                let known = known.join(", ");
                                (
                                    format!(
                                        "{name}: {bad:?} is no permission of programs; there are {known}"
                                    ),
                                    span.clone(),
                                )
                            })
                    })
                    .collect();
                match parsed {
                    Ok(permissions) => return permissions,
                    Err(fault) => fault,
                }
            }
            Some((other, span)) => {
                (format!("must be a table of name = \"permissions\", got {}", name_of(other)), span.clone())
            }
        };
        self.fault_at(key, Some(span), message);
        Vec::new()
    }
}

fn item(value: &DeValue<'_>) -> Item {
    let text = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        _ => None,
    };
    match value {
        DeValue::String(text) => Item::Text(text.to_string()),
        DeValue::Integer(number) => Item::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()),
        DeValue::Array(entries) => {
            Item::List(entries.iter().map(|entry| (text(entry), entry.span())).collect())
        }
        DeValue::Table(entries)
            if entries.iter().any(|(_, value)| matches!(value.get_ref(), DeValue::Table(_))) =>
        {
            let section = |name: &str, value: &Spanned<DeValue<'_>>| -> Option<Section> {
                let DeValue::Table(fields) = value.get_ref() else { return None };
                let fields = fields
                    .iter()
                    .map(|(name, value)| (name.get_ref().to_string(), (item(value.get_ref()), value.span())))
                    .collect();
                Some(Section { name: name.to_owned(), span: value.span(), fields })
            };
            let sections: Option<Vec<Section>> =
                entries.iter().map(|(name, value)| section(name.get_ref(), value)).collect();
            sections.map_or(Item::Other("tables among other things"), Item::Sections)
        }
        DeValue::Table(entries) => Item::Map(
            entries
                .iter()
                .map(|(name, value)| (name.get_ref().to_string(), text(value), value.span()))
                .collect(),
        ),
        DeValue::Float(_) => Item::Other("a float"),
        DeValue::Boolean(_) => Item::Other("a boolean"),
        DeValue::Datetime(_) => Item::Other("a date"),
    }
}

fn name_of(item: &Item) -> &'static str {
    match item {
        Item::Text(_) => "a string",
        Item::Integer(_) => "an integer",
        Item::List(_) => "a list",
        Item::Map(_) => "a table",
        Item::Sections(_) => "tables",
        Item::Other(name) => name,
    }
}

fn limit(name: &str, text: &str) -> Result<Limit, String> {
    let known = |(_, known, _): &(_, &str, _)| *known == name;
    if schema::LIMITS.iter().any(known) {
        return Err(format!("has a key of its own, limits.{name}"));
    }
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > admission::scopes::NAME_BYTES_MAX || !name.bytes().all(allowed) {
        return Err("is not a name of 1 to 64 of a-z, 0-9, _ and -".to_owned());
    }
    let bad = || format!("must be a limit such as \"10 / 2s by account\", got {text:?}");
    let (amount, by) = text.split_once(" by ").ok_or_else(bad)?;
    let by = gateway::By::ALL.into_iter().find(|known| known.as_str() == by.trim()).ok_or_else(|| {
        let known = gateway::By::ALL.map(gateway::By::as_str).join(", ");
        format!("counts by {:?}; there are {known}", by.trim())
    })?;
    Ok(Limit { name: name.to_owned(), by, rate: rate(amount)? })
}

fn rate(text: &str) -> Result<Rate, String> {
    let bad = || format!("must be a rate such as \"60 / 2s\", got {text:?}");
    let (count, per) = text.split_once('/').ok_or_else(bad)?;
    let count: u32 = count.trim().parse().map_err(|_| bad())?;
    let per = duration(per.trim())?;
    if count == 0 || count > 10_000_000 || per < Duration::from_millis(1) || per > Duration::from_secs(86_400)
    {
        return Err(format!("must be 1 to 10000000 per 1ms to 24h, got {text:?}"));
    }
    Ok(Rate { count, per })
}

/// A size such as `64 MiB`, in bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("must be a size such as \"64 MiB\", got {text:?}");
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let (number, unit) = text.split_at(at);
    let unit: u64 = match unit.trim() {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(bad()),
    };
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(bad)
}

/// One-based line and column of a byte offset.
pub(crate) fn line_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(line_start..).unwrap_or("").chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("must be a time such as \"500ms\", \"10s\", \"5m\" or \"24h\", got {text:?}");
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let (number, unit) = text.split_at(at);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(bad()),
    };
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(millis)).map(Duration::from_millis).ok_or_else(bad)
}
