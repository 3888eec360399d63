//! Packs that come with the program, and training parameters as a file.
//!
//! A preset is a feature pack over the roles of a mapping together with parameters that suit it. `book` is the
//! yardstick: the 15 features and the boosted trees of the Fraud Detection Handbook. `default` is what to begin with:
//! it speaks of a subject, a counterparty and an amount, and of nothing that belongs to one set of data.

use rules::{Guard, Ordinary};
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
    /// The text of a set of rules over it, if it has one.
    pub rules: Option<&'static str>,
    /// How a model over it is trained.
    pub params: Params,
}

/// Names of all presets.
pub const PRESETS: [&str; 3] = ["book", "default", "exchange"];

/// The preset of this name.
#[must_use]
pub fn preset(name: &str) -> Option<Preset> {
    match name {
        "book" => Some(Preset {
            name: "book",
            pack: include_str!("../packs/book.toml"),
            rules: None,
            params: book(),
        }),
        "default" => Some(Preset {
            name: "default",
            pack: include_str!("../packs/default.toml"),
            rules: None,
            params: usual(),
        }),
        "exchange" => Some(Preset {
            name: "exchange",
            pack: include_str!("../packs/exchange.toml"),
            rules: Some(include_str!("../packs/exchange-rules.toml")),
            params: usual(),
        }),
        _ => None,
    }
}

/// What is weak evidence in the rules of the `exchange` preset, and what is ordinary beside it: none of its rules may hold
/// or deny for a VPN, a shared device, an unknown network or a device related to a fraud alone.
#[must_use]
pub fn exchange_guard() -> Guard {
    // An account of years, a device, an address and credentials known for long, no fraud anywhere near.
    let ordinary = [
        ("address_device_hours", 80.0, f64::MAX),
        ("destination_age_hours", 80.0, f64::MAX),
        ("destination_frauds_90d", 0.0, 0.0),
        ("device_age_hours", 80.0, f64::MAX),
        ("failed_logins_1d", 0.0, 3.0),
        ("since_credential_hours", 80.0, f64::MAX),
        ("since_withdrawing_key_hours", 80.0, f64::MAX),
        ("withdrawal_over_usual", 0.0, 3.0),
    ];
    let weak = [
        "address_network_hours",
        "anonymizer",
        "asn",
        "country",
        "device_accounts_30d",
        "device_component",
        "device_hops_to_fraud",
        "hidden_origin",
        "ip",
        "ip_network",
        "login_countries_7d",
        "login_networks_1d",
        "network_age_hours",
        "network_hidden_30d",
        "network_logins_30d",
        "opening_component",
        "opening_kin",
    ];
    ordinary
        .into_iter()
        .fold(Guard::new(weak), |guard, (name, low, high)| guard.ordinary(name, Ordinary::Numbers(low, high)))
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
