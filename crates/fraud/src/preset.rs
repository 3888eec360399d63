//! Packs that come with the program, and training parameters as a file.
//!
//! A preset is a feature pack over the roles of a mapping together with parameters that suit it. `book` is the
//! yardstick: the 15 features and the boosted trees of the Fraud Detection Handbook. `default` is what to begin with:
//! it speaks of a subject, a counterparty and an amount, and of nothing that belongs to one set of data. `exchange` speaks
//! of the fields of live records; with its rules it is a bundle as well.

use scoring::gbdt::Params;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Longest file of training parameters, in bytes.
pub const PARAMS_BYTES_MAX: usize = 64 << 10;

/// A feature pack with parameters that suit it.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// The text of the pack.
    pub pack: &'static str,
    /// How a model over it is trained.
    pub params: Params,
}

/// Names of all presets.
pub const PRESETS: [&str; 3] = ["book", "default", "exchange"];

/// The preset of this name.
#[must_use]
pub fn preset(name: &str) -> Option<Preset> {
    match name {
        "book" => Some(Preset { name: "book", pack: include_str!("../packs/book.toml"), params: book() }),
        "default" => {
            Some(Preset { name: "default", pack: include_str!("../packs/default.toml"), params: usual() })
        }
        "exchange" => Some(Preset {
            name: "exchange",
            pack: include_str!("../packs/exchange/pack.toml"),
            params: usual(),
        }),
        _ => None,
    }
}

/// The built-in bundle of this name: the files of its folder, `bundle.toml` first. The only one is `exchange`.
#[must_use]
pub fn bundle(name: &str) -> Option<[(&'static str, &'static str); 3]> {
    (name == "exchange").then_some([
        (crate::live::MANIFEST, include_str!("../packs/exchange/bundle.toml")),
        ("pack.toml", include_str!("../packs/exchange/pack.toml")),
        ("rules.toml", include_str!("../packs/exchange/rules.toml")),
    ])
}

/// The book's boosted trees. Bins are so many that training is exact but for the largest sets.
fn book() -> Params {
    Params { trees: 50, depth: 3, rate: 0.3, lambda: 1.0, bins: 4_096, ..Params::default() }
}

/// Parameters for packs that bring none. Half of the features per tree keep a few strong ones from shutting out
/// the others.
#[must_use]
pub fn usual() -> Params {
    Params { column_share: 0.5, ..Params::default() }
}

/// Why a text holds no training parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ParamsError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Reads training parameters from TOML: any of `trees`, `depth`, `rate`, `lambda`, `gamma`, `min_hessian`, `bins`,
/// `positive_weight`, `base_logit`, `column_share` and `seed`; what is not named is as [`usual`] has it. Ranges are
/// checked when training begins.
///
/// # Errors
/// [`ParamsError`].
pub fn params(text: &str) -> Result<Params, ParamsError> {
    let fault = |at: usize, message: String| {
        let line = text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        ParamsError { line, message }
    };
    if text.len() > PARAMS_BYTES_MAX {
        return Err(fault(0, format!("longer than {PARAMS_BYTES_MAX} bytes")));
    }
    let root = DeTable::parse(text)
        .map_err(|error| fault(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
    let mut params = usual();
    for (key, value) in root.get_ref() {
        let name = key.get_ref().as_ref();
        let at = value.span().start;
        let read = match name {
            "trees" => whole(value).map(|value| params.trees = value),
            "depth" => whole(value).map(|value| params.depth = value),
            "bins" => whole(value).map(|value| params.bins = value),
            "seed" => whole(value).map(|value| params.seed = value),
            "rate" => number(value).map(|value| params.rate = value),
            "lambda" => number(value).map(|value| params.lambda = value),
            "gamma" => number(value).map(|value| params.gamma = value),
            "min_hessian" => number(value).map(|value| params.min_hessian = value),
            "positive_weight" => number(value).map(|value| params.positive_weight = value),
            "base_logit" => number(value).map(|value| params.base_logit = value),
            "column_share" => number(value).map(|value| params.column_share = value),
            _ => return Err(fault(key.span().start, format!("{name} is no training parameter"))),
        };
        read.ok_or_else(|| fault(at, format!("{name} is out of range or of another type")))?;
    }
    Ok(params)
}

fn whole<T: TryFrom<u64>>(value: &Spanned<DeValue<'_>>) -> Option<T> {
    let DeValue::Integer(integer) = value.get_ref() else { return None };
    let whole = u64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
    T::try_from(whole).ok()
}

fn number(value: &Spanned<DeValue<'_>>) -> Option<f64> {
    let text = match value.get_ref() {
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
        DeValue::Float(float) => float.as_str(),
        _ => return None,
    };
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_pack() {
        for name in PRESETS {
            let preset = preset(name).unwrap();
            let pack = features::Pack::parse(preset.pack).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!((preset.name, pack.name()), (name, name));
        }
        assert_eq!(preset("nonsense"), None);
    }

    #[test]
    fn the_exchange_bundle_fits_live_records_and_blocks_on_no_weak_evidence() {
        let files = bundle("exchange").unwrap();
        let load = |rules: &str| {
            crate::live::Bundle::load(&mut |name: &str, _| {
                let (_, text) = files.iter().find(|(file, _)| *file == name).ok_or("no such file")?;
                let text = if name == "rules.toml" { rules } else { text };
                Ok(text.as_bytes().to_vec())
            })
        };
        let rules = files[2].1;
        let loaded = load(rules).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(loaded.name(), "exchange");
        let set = loaded.rules().unwrap();
        // Each rule shows what it is for and what it is not for, and has an owner.
        for rule in set.rules() {
            assert!(!rule.owner().is_empty(), "{}", rule.id());
        }
        assert_eq!(rules.matches("[[rule]]").count(), set.rules().len());
        assert!(rules.matches("expect = true").count() >= set.rules().len());
        assert!(rules.matches("expect = false").count() >= set.rules().len());
        for column in loaded.pack().columns() {
            assert!(!column.doc.is_empty(), "{}", column.name);
        }
        // A rule that would stop somebody for a new network, or for sharing a device with a fraud, is refused.
        for weak in [
            "network_age_hours < 1.0 && network_hidden_30d > 0.0",
            "device_hops_to_fraud <= 2.0 && device_accounts_30d >= 2.0",
            "anonymizer == \"vpn\" && opening_kin >= 3.0",
        ] {
            let rule = format!(
                "\n[[rule]]\nid = \"weak\"\ntitle = \"t\"\nowner = \"o\"\nwhen = '{weak}'\naction = \"hold\"\nreason = \"r\"\n"
            );
            assert!(load(&format!("{rules}{rule}")).is_err(), "{weak}");
            assert!(load(&format!("{rules}{}", rule.replace("hold", "challenge"))).is_ok(), "{weak}");
        }
    }

    #[test]
    fn parameters_are_read_or_refused_with_their_line() {
        let read = params("trees = 7\nrate = 0.5\nlambda = 3\nseed = 9").unwrap();
        assert_eq!((read.trees, read.rate, read.lambda, read.seed), (7, 0.5, 3.0, 9));
        assert_eq!(read.depth, usual().depth);
        for (text, want) in [
            ("trees = 7\ntres = 8", "line 2: tres is no training parameter"),
            ("\ndepth = 300", "line 2: depth is out of range or of another type"),
            ("rate = \"x\"", "line 1: rate is out of range or of another type"),
            ("rate = inf", "line 1: rate is out of range or of another type"),
            ("trees = -1", "line 1: trees is out of range or of another type"),
        ] {
            assert_eq!(params(text).unwrap_err().to_string(), want);
        }
        assert!(params("trees =").is_err());
    }
}
