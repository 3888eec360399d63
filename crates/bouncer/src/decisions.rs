//! Ban lists as text, in the JSON form of CrowdSec's local API: what `GET /v1/decisions` answers (an array, or `null`
//! for none) and what `GET /v1/decisions/stream` answers (`new` and `deleted`). Nothing is fetched or sent here.
//!
//! Read are decisions of type `ban` about an address (`Ip`) or a network (`Range`) that may be banned; others are
//! counted. A list from elsewhere is advice: its bans go through the same checks as every other, and last an hour at
//! most before they are asked for again.
//!
//! Bounds: [`DECISIONS_BYTES_MAX`], [`DECISIONS_MAX`].

use serde::{Deserialize, Serialize};

use crate::{
    prefix::Prefix,
    protocol::{Ban, Reason, Ttl},
};

/// Longest text, in bytes.
pub const DECISIONS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Most decisions in a list.
pub const DECISIONS_MAX: usize = 100_000;

/// Who we are in lists we write.
pub const ORIGIN: &str = "caponier";

/// Why text is no list.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecisionsError {
    /// Not the JSON of a list.
    #[error("not a list of decisions: {source}")]
    Malformed {
        /// What is wrong, with line and column.
        #[from]
        source: serde_json::Error,
    },
    /// More than [`DECISIONS_MAX`] decisions or [`DECISIONS_BYTES_MAX`] bytes.
    #[error("at most 100000 decisions in 33554432 bytes are allowed")]
    TooLarge,
}

#[derive(Debug, Serialize, Deserialize)]
struct WireDecision {
    #[serde(default)]
    duration: String,
    #[serde(default)]
    origin: String,
    #[serde(default)]
    scenario: String,
    scope: String,
    #[serde(rename = "type", default)]
    kind: String,
    value: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum WireList {
    All(Option<Vec<WireDecision>>),
    Stream { new: Option<Vec<WireDecision>>, deleted: Option<Vec<WireDecision>> },
}

/// One decision of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Who is banned.
    pub prefix: Prefix,
    /// Seconds it still lasts; longer than our own bans may.
    pub seconds: u64,
    /// Who decided, as the list says.
    pub origin: String,
    /// On which ground, as the list says.
    pub scenario: String,
}

impl Decision {
    /// As a ban, which lasts no longer than ours do.
    #[must_use]
    pub fn to_ban(&self) -> Ban {
        let reason = Reason::of(&format!("{}:{}", self.origin, self.scenario));
        Ban { prefix: self.prefix, ttl: Ttl::clamp(self.seconds), reason }
    }
}

/// What a list says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decisions {
    /// To be banned.
    pub new: Vec<Decision>,
    /// No longer to be banned.
    pub deleted: Vec<Prefix>,
    /// Decisions that are no bans of addresses, are over, or may not be banned here.
    pub n_skipped: usize,
}

/// Reads a list.
///
/// # Errors
/// [`DecisionsError`].
pub fn read(text: &str) -> Result<Decisions, DecisionsError> {
    if text.len() > DECISIONS_BYTES_MAX {
        return Err(DecisionsError::TooLarge);
    }
    let (new, deleted) = match serde_json::from_str(text)? {
        WireList::All(all) => (all, None),
        WireList::Stream { new, deleted } => (new, deleted),
    };
    let (new, deleted) = (new.unwrap_or_default(), deleted.unwrap_or_default());
    if new.len() + deleted.len() > DECISIONS_MAX {
        return Err(DecisionsError::TooLarge);
    }
    let mut decisions = Decisions::default();
    for wire in new {
        match (banned(&wire), parse_duration(&wire.duration).filter(|seconds| *seconds > 0)) {
            (Some(prefix), Some(seconds)) => {
                let WireDecision { origin, scenario, .. } = wire;
                decisions.new.push(Decision { prefix, seconds, origin, scenario });
            }
            _ => decisions.n_skipped += 1,
        }
    }
    for wire in deleted {
        match banned(&wire) {
            Some(prefix) => decisions.deleted.push(prefix),
            None => decisions.n_skipped += 1,
        }
    }
    Ok(decisions)
}

fn banned(wire: &WireDecision) -> Option<Prefix> {
    let of_addresses = ["ip", "range"].iter().any(|scope| wire.scope.eq_ignore_ascii_case(scope));
    let prefix = (of_addresses && wire.kind.eq_ignore_ascii_case("ban")).then(|| Prefix::parse(&wire.value));
    prefix?.ok()
}

/// Writes bans as an array of decisions, which [`read`] and CrowdSec's tools read.
#[must_use]
pub fn write(bans: &[Ban]) -> String {
    let wire: Vec<WireDecision> = bans
        .iter()
        .map(|ban| WireDecision {
            duration: format!("{}s", ban.ttl.seconds()),
            origin: ORIGIN.to_owned(),
            scenario: ban.reason.to_string(),
            scope: if ban.prefix.is_address() { "Ip" } else { "Range" }.to_owned(),
            kind: "ban".to_owned(),
            value: ban.prefix.to_string(),
        })
        .collect();
    // Strings always serialize.
    serde_json::to_string(&wire).unwrap_or_default()
}

/// Whole seconds of a duration as Go writes it (`3h59m52.5s`), rounded down; `None` for a negative one and for text
/// that is none.
fn parse_duration(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut nanos: u128 = 0;
    if rest == "0" {
        return Some(0);
    }
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|char: char| char.is_ascii_digit() || char == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let unit_nanos: u128 = match unit {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() > 12 || fraction.len() > 18 || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let value = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u128>().ok() };
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        nanos = nanos.checked_add(value(whole)? * unit_nanos + value(fraction)? * unit_nanos / scale)?;
        rest = tail;
    }
    (!text.is_empty()).then(|| u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, seconds) in [
            ("3h59m52.123456789s", Some(14_392)),
            ("1h0m0s", Some(3_600)),
            ("900ms", Some(0)),
            ("1m0.5s", Some(60)),
            ("0s", Some(0)),
            ("0", Some(0)),
            ("1.5h", Some(5_400)),
            ("-1m5s", None),
            ("", None),
            ("5", None),
            ("5d", None),
            (".s", None),
            ("1.2.3s", None),
            ("99999999999999h", None),
        ] {
            assert_eq!(parse_duration(text), seconds, "{text}");
        }
    }

    #[test]
    fn bans_of_addresses_are_read_and_the_rest_counted() {
        let text = r#"[
            {"duration":"59m9.4s","id":1,"origin":"cscli","scenario":"manual 'ban'","scope":"Ip","type":"ban","value":"203.0.113.7"},
            {"duration":"9h","id":2,"origin":"lists","scenario":"tor","scope":"range","type":"Ban","value":"198.51.100.0/24","uuid":"x"},
            {"duration":"4h","origin":"CAPI","scenario":"s","scope":"Ip","type":"captcha","value":"203.0.113.8"},
            {"duration":"4h","origin":"CAPI","scenario":"s","scope":"Country","type":"ban","value":"XX"},
            {"duration":"4h","origin":"CAPI","scenario":"s","scope":"Range","type":"ban","value":"10.0.0.0/8"},
            {"duration":"-4h","origin":"CAPI","scenario":"s","scope":"Ip","type":"ban","value":"203.0.113.9"}
        ]"#;
        let decisions = read(text).unwrap();
        assert_eq!(decisions.n_skipped, 4);
        let lines: Vec<String> =
            decisions.new.iter().map(|decision| crate::Command::Add(decision.to_ban()).to_string()).collect();
        assert_eq!(lines, ["add 203.0.113.7 3549 cscli:manual__ban_", "add 198.51.100.0/24 3600 lists:tor"]);
        let stream = r#"{"new":null,"deleted":[{"scope":"ip","type":"ban","value":"2001:db8::1"}]}"#;
        assert_eq!(read(stream).unwrap().deleted, [Prefix::parse("2001:db8::1").unwrap()]);
        assert_eq!(read("null").unwrap(), Decisions::default());
        for text in ["", "7", "[{}]", "{\"new\":7}", "[null]"] {
            assert!(matches!(read(text), Err(DecisionsError::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn lists_are_bounded() {
        let one = r#"{"scope":"Ip","value":"1.2.3.4"}"#;
        let text = format!("[{}]", vec![one; DECISIONS_MAX + 1].join(","));
        assert!(matches!(read(&text), Err(DecisionsError::TooLarge)));
        assert!(matches!(read(&" ".repeat(DECISIONS_BYTES_MAX + 1)), Err(DecisionsError::TooLarge)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bans in prop::collection::vec(crate::protocol::tests::any_ban(), 0..20)) {
            let read = read(&write(&bans)).unwrap();
            prop_assert_eq!(read.n_skipped, 0);
            let back: Vec<Ban> = read.new.iter().map(|decision| {
                prop_assert_eq!(&decision.origin, ORIGIN);
                Ok(Ban { reason: Reason::of(&decision.scenario), ..decision.to_ban() })
            }).collect::<Result<_, _>>()?;
            prop_assert_eq!(back, bans);
        }

        #[test]
        fn any_duration_ends(text in "[0-9hmsnu.µ-]{0,24}") {
            let seconds = parse_duration(&text);
            prop_assert!(seconds.is_none() || text.starts_with(|char: char| char.is_ascii_digit() || char == '.'));
        }
    }
}
