//! What a person should know before trusting a model: who made it from what, how well it did, and where it ends.
//!
//! After Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019). The card lies in the model file and is
//! covered by its digest; as text it is Markdown or JSON. Times are arguments.
//!
//! # Bounds
//! [`TEXT_BYTES_MAX`] bytes of text in a field, [`LINES_MAX`] parameters and metrics.

use std::fmt::Write as _;

use domain::UnixNanos;
use thiserror::Error;

use crate::calibration::Calibration;

use super::{Model, file::ModelFile};

/// Bytes of one text.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Parameters, and metrics.
pub const LINES_MAX: usize = 256;

/// What is wrong with a card.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CardError {
    /// A metric that is no finite number.
    #[error("the metric {name:?} is not finite")]
    NotFinite {
        /// Which one.
        name: String,
    },
    /// More positive rows than rows.
    #[error("more positive rows than rows")]
    Positives,
    /// An empty name or version, or a text with too many bytes.
    #[error("`{field}` has the wrong length")]
    TextLength {
        /// Which field.
        field: &'static str,
    },
    /// Too many parameters or metrics.
    #[error("more than {LINES_MAX} lines in `{field}`")]
    TooManyLines {
        /// Which field.
        field: &'static str,
    },
}

/// What is to be known about a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCard {
    /// Which model it is, over all versions.
    pub name: String,
    /// Which version.
    pub version: String,
    /// Who or what had it trained.
    pub created_by: String,
    /// When it was trained.
    pub created_at: UnixNanos,
    /// What it was trained on.
    pub training: Training,
    /// Training parameters by name, in order.
    pub params: Vec<(String, String)>,
    /// Figures by name, in order, on rows that were not trained on.
    pub metrics: Vec<(String, f64)>,
    /// Where it must not be trusted, in sentences.
    pub limits: String,
}

/// The rows a model was trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Training {
    /// Rows.
    pub rows: u64,
    /// Positive rows among them.
    pub positives: u64,
    /// Event time of the first and the last row, if rows have times.
    pub period: Option<(UnixNanos, UnixNanos)>,
    /// SHA-256 of the training data in the form the trainer had it.
    pub data_hash: [u8; 32],
}

impl ModelCard {
    /// Checks bounds and numbers.
    ///
    /// # Errors
    /// [`CardError`] naming the field.
    pub fn check(&self) -> Result<(), CardError> {
        let texts = [
            ("name", &self.name, 1),
            ("version", &self.version, 1),
            ("created_by", &self.created_by, 0),
            ("limits", &self.limits, 0),
        ];
        for (field, text, least) in texts {
            check_text(field, text, least)?;
        }
        if self.training.positives > self.training.rows {
            return Err(CardError::Positives);
        }
        if self.params.len() > LINES_MAX {
            return Err(CardError::TooManyLines { field: "params" });
        }
        if self.metrics.len() > LINES_MAX {
            return Err(CardError::TooManyLines { field: "metrics" });
        }
        for (name, value) in &self.params {
            check_text("params", name, 1)?;
            check_text("params", value, 0)?;
        }
        for (name, value) in &self.metrics {
            check_text("metrics", name, 1)?;
            if !value.is_finite() {
                return Err(CardError::NotFinite { name: name.clone() });
            }
        }
        Ok(())
    }
}

fn check_text(field: &'static str, text: &str, least: usize) -> Result<(), CardError> {
    if (least..=TEXT_BYTES_MAX).contains(&text.len()) { Ok(()) } else { Err(CardError::TextLength { field }) }
}

/// Features by falling gain, with their share of all gain.
fn importance(model: &Model) -> Vec<(&str, f64)> {
    let gains = model.gain_importance();
    let total: f64 = gains.iter().sum();
    let mut shares: Vec<(&str, f64)> = model
        .features()
        .iter()
        .zip(gains)
        .map(|(name, gain)| (name, gain / total.max(f64::MIN_POSITIVE)))
        .collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}

fn calibration_name(calibration: Option<&Calibration>) -> &'static str {
    match calibration {
        None => "none",
        Some(Calibration::Isotonic(_)) => "isotonic",
        Some(Calibration::Platt(_)) => "platt",
    }
}

fn positive_share(training: &Training) -> f64 {
    training.positives as f64 / training.rows.max(1) as f64
}

impl ModelFile {
    /// The card as Markdown. `digest` is that of the encoded file.
    #[must_use]
    pub fn markdown(&self, digest: &[u8; 32]) -> String {
        let (card, training) = (&self.card, &self.card.training);
        let mut lines = vec![
            ("version", card.version.clone()),
            ("created", card.created_at.to_string()),
            ("created by", card.created_by.clone()),
            ("file SHA-256", hex(digest)),
            ("training rows", training.rows.to_string()),
            ("positive rows", format!("{} ({:.4} %)", training.positives, 100.0 * positive_share(training))),
        ];
        if let Some((from, to)) = training.period {
            lines.push(("period", format!("{from} to {to}")));
        }
        lines.extend([
            ("training data SHA-256", hex(&training.data_hash)),
            ("trees", self.model.trees().len().to_string()),
            ("depth", self.model.depth().to_string()),
            ("calibration", calibration_name(self.calibration.as_ref()).to_owned()),
        ]);
        let mut out = format!("# Model {}\n\n| | |\n|---|---|\n", inline(&card.name));
        for (name, value) in lines {
            row(&mut out, name, &value);
        }
        if !card.metrics.is_empty() {
            out.push_str("\n## Metrics\n\n| metric | value |\n|---|---|\n");
            card.metrics.iter().for_each(|(name, value)| row(&mut out, name, &format!("{value:.6}")));
        }
        out.push_str("\n## Features\n\n| feature | share of gain |\n|---|---|\n");
        for (name, share) in importance(&self.model) {
            row(&mut out, name, &format!("{:.2} %", 100.0 * share));
        }
        if !card.params.is_empty() {
            out.push_str("\n## Parameters\n\n| parameter | value |\n|---|---|\n");
            card.params.iter().for_each(|(name, value)| row(&mut out, name, value));
        }
        if !card.limits.is_empty() {
            let _ = write!(out, "\n## Limits\n\n{}\n", card.limits.trim_end());
        }
        out
    }

    /// The card as one JSON object. `digest` is that of the encoded file.
    #[must_use]
    pub fn json(&self, digest: &[u8; 32]) -> String {
        let (card, training) = (&self.card, &self.card.training);
        let list = |items: Vec<String>| format!("[{}]", items.join(","));
        let period = training.period.map_or_else(
            || "null".to_owned(),
            |(from, to)| list(vec![text(&from.to_string()), text(&to.to_string())]),
        );
        let params = card
            .params
            .iter()
            .map(|(name, value)| format!("{{\"name\":{},\"value\":{}}}", text(name), text(value)))
            .collect();
        let metrics = card
            .metrics
            .iter()
            .map(|(name, value)| format!("{{\"name\":{},\"value\":{value:?}}}", text(name)))
            .collect();
        let features = importance(&self.model)
            .into_iter()
            .map(|(name, share)| format!("{{\"name\":{},\"gain_share\":{share:?}}}", text(name)))
            .collect();
        let fields = [
            ("name", text(&card.name)),
            ("version", text(&card.version)),
            ("created_at", text(&card.created_at.to_string())),
            ("created_by", text(&card.created_by)),
            ("sha256", text(&hex(digest))),
            ("training_rows", training.rows.to_string()),
            ("positive_rows", training.positives.to_string()),
            ("positive_share", format!("{:?}", positive_share(training))),
            ("period", period),
            ("training_data_sha256", text(&hex(&training.data_hash))),
            ("trees", self.model.trees().len().to_string()),
            ("depth", self.model.depth().to_string()),
            ("calibration", text(calibration_name(self.calibration.as_ref()))),
            ("metrics", list(metrics)),
            ("features", list(features)),
            ("params", list(params)),
            ("limits", text(&card.limits)),
        ];
        let fields: Vec<String> =
            fields.into_iter().map(|(name, value)| format!("{}:{value}", text(name))).collect();
        format!("{{{}}}", fields.join(","))
    }
}

fn row(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "| {} | {} |", inline(name), inline(value));
}

/// Text that cannot leave its table cell or line.
fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '<' | '[' | '#' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A JSON string.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
