//! `bundle.toml`: what belongs to a bundle and how its pieces are used. See `docs/operating/fraud-live.md`.
//!
//! Bounds: [`MANIFEST_BYTES_MAX`] bytes; every list and number has a range of its own.

mod edit;

use std::collections::BTreeMap;

use domain::Amount;
use rules::Ordinary;
use scoring::threshold::{Costs, Limits};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

pub use self::edit::with_thresholds;
use super::record::kind;

/// Longest manifest, in bytes.
pub const MANIFEST_BYTES_MAX: usize = 64 << 10;
/// Longest name of a piece, a bundle or a version, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Features that count as weak, or that an anomaly is measured over, at most.
const NAMES_MAX: usize = 256;

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bundle.toml: line {line}: {key}: {message}")]
pub struct ManifestError {
    /// The line, from 1.
    pub line: usize,
    /// The key, dotted.
    pub key: String,
    /// What is wrong.
    pub message: String,
}

/// Scores at which something is asked for, as probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// From here on the customer proves it is them.
    pub challenge_from: f64,
    /// From here on people look first; never on weak evidence alone.
    pub hold_from: f64,
    /// From here on an alert is raised on what cannot be stopped any more.
    pub alert_from: f64,
    /// Points of scoring rules from which on the customer proves it is them.
    pub points_challenge_from: f64,
    /// What they were chosen by, if somebody wrote it down.
    pub chosen_by: Option<ChosenBy>,
}

/// Costs and limits that thresholds were chosen under.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChosenBy {
    /// What outcomes cost.
    pub costs: Costs,
    /// What must be kept within.
    pub limits: Limits,
}

/// How unusual an event is, by half-space trees over some features.
#[derive(Debug, Clone, PartialEq)]
pub struct Anomaly {
    /// The features with the ends of their usual values.
    pub ranges: BTreeMap<String, (f32, f32)>,
    /// Scores from here on are told, from 0 to 1.
    pub from: f64,
    /// Events after which what is usual is learned anew.
    pub window: u32,
    /// Seed of the trees.
    pub seed: u64,
}

/// A parsed manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Name of the bundle.
    pub name: String,
    /// Its version, as its authors count.
    pub version: String,
    /// File of the feature pack.
    pub pack: String,
    /// File of the model.
    pub model: Option<String>,
    /// File of the rules.
    pub rules: Option<String>,
    /// Kinds of records that are judged.
    pub judge: Vec<&'static str>,
    /// Thresholds of the scores.
    pub thresholds: Thresholds,
    /// Slots and features that are weak evidence.
    pub weak: Vec<String>,
    /// What is ordinary for others.
    pub ordinary: BTreeMap<String, Ordinary>,
    /// Features a customer could have different, for "would pass if".
    pub changeable: Vec<String>,
    /// Anomaly scores.
    pub anomaly: Option<Anomaly>,
    /// Seconds in which the same alert about the same entity is raised once.
    pub quiet_secs: u64,
}

/// A table whose keys are taken one by one.
struct Section<'t> {
    text: &'t str,
    name: &'static str,
    left: BTreeMap<&'t str, &'t Spanned<DeValue<'t>>>,
    start: usize,
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

impl<'t> Section<'t> {
    fn new(text: &'t str, name: &'static str, table: &'t DeTable<'t>, start: usize) -> Self {
        let left = table.iter().map(|(key, value)| (key.get_ref().as_ref(), value)).collect();
        Self { text, name, left, start }
    }

    fn fault_at(&self, at: usize, key: &str, message: impl Into<String>) -> ManifestError {
        let key = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        ManifestError { line: line_of(self.text, at), key, message: message.into() }
    }

    fn fault(&self, value: &Spanned<DeValue<'_>>, key: &str, message: impl Into<String>) -> ManifestError {
        self.fault_at(value.span().start, key, message)
    }

    fn missing(&self, key: &str) -> ManifestError {
        self.fault_at(self.start, key, "is missing")
    }

    fn section(&mut self, key: &'static str) -> Result<Option<Self>, ManifestError> {
        let Some(value) = self.left.remove(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::Table(table) => Ok(Some(Section::new(self.text, key, table, value.span().start))),
            _ => Err(self.fault(value, key, "is no table")),
        }
    }

    fn text(&mut self, key: &str) -> Result<Option<String>, ManifestError> {
        let Some(value) = self.left.remove(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::String(text) if (1..=NAME_BYTES_MAX).contains(&text.len()) => Ok(Some(text.to_string())),
            _ => Err(self.fault(value, key, format!("is no text of 1 to {NAME_BYTES_MAX} bytes"))),
        }
    }

    /// The name of a file beside the manifest.
    fn file(&mut self, key: &str) -> Result<Option<String>, ManifestError> {
        let at = self.left.get(key).map_or(self.start, |value| value.span().start);
        let Some(name) = self.text(key)? else { return Ok(None) };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.starts_with('.') || !name.bytes().all(is_plain) {
            return Err(self.fault_at(at, key, "is no plain name of a file beside bundle.toml"));
        }
        Ok(Some(name))
    }

    fn number(&mut self, key: &str, low: f64, high: f64) -> Result<Option<f64>, ManifestError> {
        let Some(value) = self.left.remove(key) else { return Ok(None) };
        match as_number(value.get_ref()) {
            Some(number) if (low..=high).contains(&number) => Ok(Some(number)),
            _ => Err(self.fault(value, key, format!("is no number from {low} to {high}"))),
        }
    }

    fn whole(&mut self, key: &str, high: u64) -> Result<Option<u64>, ManifestError> {
        let Some(value) = self.left.remove(key) else { return Ok(None) };
        let number = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| *number <= high);
        number.map(Some).ok_or_else(|| self.fault(value, key, format!("is no whole number up to {high}")))
    }

    fn names(&mut self, key: &str) -> Result<Vec<(String, usize)>, ManifestError> {
        let Some(value) = self.left.remove(key) else { return Ok(Vec::new()) };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.fault(value, key, "is no list"));
        };
        if items.len() > NAMES_MAX {
            return Err(self.fault(value, key, format!("has more than {NAMES_MAX} entries")));
        }
        let name = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
            DeValue::String(text) if (1..=NAME_BYTES_MAX).contains(&text.len()) => {
                Ok((text.to_string(), item.span().start))
            }
            _ => Err(self.fault(
                item,
                key,
                format!("holds something that is no text of 1 to {NAME_BYTES_MAX} bytes"),
            )),
        };
        items.iter().map(name).collect()
    }

    fn finish(self) -> Result<(), ManifestError> {
        match self.left.iter().next() {
            None => Ok(()),
            Some((key, value)) => Err(self.fault(value, key, "there is no such key")),
        }
    }
}

fn as_number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => None,
    }
    .filter(|number: &f64| number.is_finite())
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`]: the first thing that is wrong, with line and key.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let whole = |line, message: String| ManifestError { line, key: "bundle".to_owned(), message };
        if text.len() > MANIFEST_BYTES_MAX {
            return Err(whole(1, format!("longer than {MANIFEST_BYTES_MAX} bytes")));
        }
        let root = DeTable::parse(text).map_err(|error| {
            whole(line_of(text, error.span().map_or(0, |span| span.start)), error.message().to_owned())
        })?;
        let mut root = Section::new(text, "", root.get_ref(), 0);
        let mut bundle = root.section("bundle")?.ok_or_else(|| root.missing("bundle"))?;
        let name = bundle.text("name")?.ok_or_else(|| bundle.missing("name"))?;
        let version = bundle.text("version")?.ok_or_else(|| bundle.missing("version"))?;
        let pack = bundle.file("pack")?.ok_or_else(|| bundle.missing("pack"))?;
        let (model, rules) = (bundle.file("model")?, bundle.file("rules")?);
        let mut judge = Vec::new();
        for (name, at) in bundle.names("judge")? {
            let known = kind::ALL.into_iter().find(|kind| *kind == name);
            let known = known.ok_or_else(|| {
                bundle.fault_at(at, "judge", format!("{name:?} is no kind of record; see feature-packs.md"))
            })?;
            judge.push(known);
        }
        if judge.is_empty() {
            return Err(bundle.missing("judge"));
        }
        let quiet_secs = bundle.whole("quiet_secs", 30 * 86_400)?.unwrap_or(3_600);
        bundle.finish()?;
        let thresholds = thresholds(root.section("thresholds")?, model.is_some(), root.start, text)?;
        let mut weak = Vec::new();
        let mut changeable = Vec::new();
        let mut ordinary = BTreeMap::new();
        if let Some(mut evidence) = root.section("evidence")? {
            weak = evidence.names("weak")?.into_iter().map(|(name, _)| name).collect();
            changeable = evidence.names("changeable")?.into_iter().map(|(name, _)| name).collect();
            evidence.finish()?;
        }
        if let Some(section) = root.section("ordinary")? {
            for (name, value) in &section.left {
                let usual = usual(value.get_ref()).ok_or_else(|| {
                    section.fault(value, name, "is no [low, high], true, false or list of texts")
                })?;
                ordinary.insert((*name).to_owned(), usual);
            }
        }
        let anomaly = root.section("anomaly")?.map(anomaly).transpose()?;
        root.finish()?;
        Ok(Self {
            name,
            version,
            pack,
            model,
            rules,
            judge,
            thresholds,
            weak,
            ordinary,
            changeable,
            anomaly,
            quiet_secs,
        })
    }
}

fn thresholds(
    section: Option<Section<'_>>,
    has_model: bool,
    start: usize,
    text: &str,
) -> Result<Thresholds, ManifestError> {
    let none = Thresholds {
        challenge_from: f64::INFINITY,
        hold_from: f64::INFINITY,
        alert_from: f64::INFINITY,
        points_challenge_from: f64::INFINITY,
        chosen_by: None,
    };
    let Some(mut section) = section else {
        if has_model {
            let message = "is missing: a model needs challenge_from, hold_from and alert_from".to_owned();
            return Err(ManifestError { line: line_of(text, start), key: "thresholds".to_owned(), message });
        }
        return Ok(none);
    };
    let points_challenge_from =
        section.number("points_challenge_from", 0.0, 1e9)?.unwrap_or(none.points_challenge_from);
    let mut of_model = |key: &str| {
        let given = section.number(key, 0.0, 1.0)?;
        if has_model && given.is_none() {
            return Err(section.missing(key));
        }
        Ok(given.unwrap_or(f64::INFINITY))
    };
    let thresholds = Thresholds {
        challenge_from: of_model("challenge_from")?,
        hold_from: of_model("hold_from")?,
        alert_from: of_model("alert_from")?,
        points_challenge_from,
        chosen_by: section.section("chosen_by")?.map(chosen_by).transpose()?,
    };
    if thresholds.hold_from < thresholds.challenge_from {
        return Err(section.fault_at(section.start, "hold_from", "is below challenge_from"));
    }
    section.finish()?;
    Ok(thresholds)
}

fn chosen_by(mut section: Section<'_>) -> Result<ChosenBy, ManifestError> {
    let bps = |section: &mut Section<'_>, key: &str| {
        let bps = section.whole(key, 10_000)?.unwrap_or(0);
        Ok(u32::try_from(bps).unwrap_or(0))
    };
    let minor =
        |section: &mut Section<'_>, key: &str| section.whole(key, 1 << 50).map(Option::unwrap_or_default);
    let costs = Costs {
        missed_bps: bps(&mut section, "missed_bps")?,
        missed_minor: minor(&mut section, "missed_minor")?,
        found_bps: bps(&mut section, "found_bps")?,
        alert_minor: minor(&mut section, "alert_minor")?,
        friction_minor: minor(&mut section, "friction_minor")?,
    };
    let limits = Limits {
        alerts_max: section.whole("alerts_max", u64::MAX >> 1)?,
        friction_max: section.number("friction_max", 0.0, 1.0)?.unwrap_or(1.0),
    };
    section.finish()?;
    Ok(ChosenBy { costs, limits })
}

fn anomaly(mut section: Section<'_>) -> Result<Anomaly, ManifestError> {
    let from = section.number("from", 0.0, 1.0)?.ok_or_else(|| section.missing("from"))?;
    let window = section.whole("window", 1 << 20)?.unwrap_or(1_000);
    let seed = section.whole("seed", u64::MAX >> 1)?.unwrap_or(0);
    let features = section.section("features")?.ok_or_else(|| section.missing("features"))?;
    section.finish()?;
    let mut ranges = BTreeMap::new();
    for (name, value) in &features.left {
        let range = match usual(value.get_ref()) {
            // Trees split single floats: the ends are rounded to them.
            #[allow(clippy::cast_possible_truncation, reason = "ends of a range need no more")]
            Some(Ordinary::Numbers(low, high)) if low < high => (low as f32, high as f32),
            _ => return Err(features.fault(value, name, "is no [low, high]")),
        };
        ranges.insert((*name).to_owned(), range);
    }
    let window = u32::try_from(window).unwrap_or(u32::MAX);
    Ok(Anomaly { ranges, from, window, seed })
}

/// `[low, high]`, true, false, or a list of texts.
fn usual(value: &DeValue<'_>) -> Option<Ordinary> {
    match value {
        DeValue::Boolean(flag) => Some(Ordinary::Flag(*flag)),
        DeValue::Array(items) if items.iter().all(|item| matches!(item.get_ref(), DeValue::String(_))) => {
            let texts: Vec<String> = items
                .iter()
                .filter_map(|item| match item.get_ref() {
                    DeValue::String(text) => Some(text.to_string()),
                    _ => None,
                })
                .collect();
            (1..=NAMES_MAX).contains(&texts.len()).then_some(Ordinary::Texts(texts))
        }
        DeValue::Array(items) => {
            let [low, high] = items.get(..).filter(|items| items.len() == 2)? else { return None };
            let (low, high) = (as_number(low.get_ref())?, as_number(high.get_ref())?);
            (low <= high).then_some(Ordinary::Numbers(low, high))
        }
        _ => None,
    }
}

/// What was at stake, in hundredths of the reference currency, rounded down; nothing for what is not known.
#[must_use]
pub fn minor_units(value: Option<Amount>) -> u64 {
    let scaled = value.and_then(|value| value.checked_mul(Amount::from_parts(100, 0).ok()?));
    let whole = scaled.map(|scaled| scaled.truncate(0).parts());
    match whole {
        Some((mantissa, 0)) => u64::try_from(mantissa).unwrap_or(0).min(1 << 50),
        _ => 0,
    }
}
