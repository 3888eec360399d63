//! What other routes and limits would have done to recorded traffic.

use std::{
    collections::{BTreeMap, HashSet},
    io,
};

use gateway::traffic::{ADMITTED, DryRun};

use super::Policy;
use crate::traffic::{self, Line};

/// Examples shown of each change.
const EXAMPLES_MAX: usize = 3;
/// Keys told apart for each change.
const KEYS_MAX: usize = 10_000;
/// Different changes told apart; reasons times routes are far fewer in earnest.
const CHANGES_MAX: usize = 10_000;

/// A kind of change: what was, what would be, on which line of the new table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Change {
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) route: String,
}

/// Whom a change meets.
#[derive(Debug, Default)]
pub(crate) struct Affected {
    pub(crate) requests: u64,
    pub(crate) keys: HashSet<String>,
    /// The first ones.
    pub(crate) examples: Vec<Line>,
}

/// What a dry run found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) unchanged: u64,
    pub(crate) changes: BTreeMap<Change, Affected>,
}

impl Report {
    /// Whether a request that was admitted would be refused.
    pub(crate) fn refuses_more(&self) -> bool {
        self.changes.keys().any(|change| change.before == ADMITTED)
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        use std::fmt::Write as _;

        let mut out = format!("{} requests, {} as before", self.requests, self.unchanged);
        for (Change { before, after, route }, affected) in &self.changes {
            let Affected { requests, keys, examples } = affected;
            let what = match (before.as_str(), after.as_str()) {
                (ADMITTED, after) => format!("now refused, {after}"),
                (before, ADMITTED) => format!("now admitted, before {before}"),
                (before, after) => format!("refused otherwise, {after}, before {before}"),
            };
            let at_least = if keys.len() >= KEYS_MAX { "at least " } else { "" };
            let _ = write!(out, "\n{what}, {route}: {requests} requests of {at_least}{} keys", keys.len());
            for line in examples {
                let who = line.key.as_deref().unwrap_or("nobody proven");
                let at = domain::UnixNanos(line.at);
                let _ = write!(out, "\n  {at} source {} key {who} {}", line.source, line.path);
            }
        }
        out
    }

    /// For programs.
    pub(crate) fn json(&self) -> serde_json::Value {
        let changes = self.changes.iter().map(|(change, affected)| {
            let mut keys: Vec<_> = affected.keys.iter().collect();
            keys.sort_unstable();
            keys.truncate(EXAMPLES_MAX);
            serde_json::json!({
                "before": change.before, "after": change.after, "route": change.route,
                "requests": affected.requests, "keys": affected.keys.len(), "key_examples": keys,
                "examples": affected.examples,
            })
        });
        serde_json::json!({
            "requests": self.requests, "unchanged": self.unchanged, "changes": changes.collect::<Vec<_>>(),
        })
    }
}

/// Judges a recording under a policy.
///
/// # Errors
/// What is wrong with the recording, with the line's number, or with the policy.
pub(crate) fn dry_run(recording: impl io::Read, policy: Policy) -> Result<Report, String> {
    let run = DryRun::new(policy.routes, &policy.limits).map_err(|error| error.to_string())?;
    let mut report = Report::default();
    traffic::read(recording, |line| {
        let replayed = line.replayed()?;
        let after = run.judge(&replayed);
        report.requests += 1;
        if after == line.outcome {
            report.unchanged += 1;
            return Ok(());
        }
        let route = run.route(&replayed).unwrap_or("no route").to_owned();
        let change = Change { before: line.outcome.clone(), after: after.to_owned(), route };
        if !report.changes.contains_key(&change) && report.changes.len() >= CHANGES_MAX {
            return Err(format!("more than {CHANGES_MAX} kinds of change"));
        }
        let affected = report.changes.entry(change).or_default();
        affected.requests += 1;
        if let Some(key) = line.key.as_ref().filter(|_| affected.keys.len() < KEYS_MAX) {
            affected.keys.insert(key.clone());
        }
        if affected.examples.len() < EXAMPLES_MAX {
            affected.examples.push(line.clone());
        }
        Ok(())
    })?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, policy};

    fn policy(limits: &str) -> Policy {
        let config = Config::parse("c.toml", limits, std::path::Path::new("/")).unwrap();
        policy::load(&config).unwrap()
    }

    /// Two keys place an order every 100 ms for 10 s, one of them in each of two instruments, one reads, and
    /// somebody signs wrongly.
    fn recording() -> String {
        let mut text = String::new();
        for n in 0..100_u64 {
            let mut line = |key: &str, path: &str, post: bool, instrument: &str, outcome: &str| {
                let line = Line {
                    at: 1_800_000_000_000_000_000 + n * 100_000_000,
                    source: "00112233445566ff".to_owned(),
                    account: Some(format!("a{key}")).filter(|_| !key.is_empty()),
                    key: Some(key.to_owned()).filter(|key| !key.is_empty()),
                    ws: false,
                    post,
                    path: path.to_owned(),
                    instruments: vec![instrument.to_owned()],
                    outcome: outcome.to_owned(),
                };
                text += &serde_json::to_string(&line).unwrap();
                text.push('\n');
            };
            line("k1", "/api/v5/trade/order", true, "BTC-USDT", ADMITTED);
            line("k2", "/api/v5/trade/order", true, if n % 2 == 0 { "A" } else { "B" }, ADMITTED);
            line("k3", "/api/v5/account/balance", false, "", "read_rate_limited");
            line("", "/api/v5/account/balance", false, "", "signature_invalid");
        }
        text
    }

    #[test]
    fn each_change_is_counted_by_reason_and_route() {
        let run = |limits: &str| dry_run(recording().as_bytes(), policy(limits)).unwrap();
        // Under the default, only reads that an older limit refused are let through.
        let same = run("");
        assert_eq!((same.requests, same.unchanged, same.changes.len()), (400, 300, 1));
        assert!(!same.refuses_more());
        // 5 a second and instrument: the one who trades one instrument is cut in half (a burst of 10, then every
        // second), the other one is not.
        let tight = run("[limits]\nplace = \"10 / 2s\"\nread = \"1 / 24h\"\n");
        assert!(tight.refuses_more());
        let place = Change {
            before: ADMITTED.to_owned(),
            after: "place_rate_limited".to_owned(),
            route: "/api/v5/trade/order".to_owned(),
        };
        let affected = &tight.changes[&place];
        // 10 at once and 5 a second for 9.9 s are 59 of 100.
        assert_eq!(affected.requests, 41);
        assert_eq!(affected.keys, HashSet::from(["k1".to_owned()]));
        assert_eq!((affected.examples.len(), affected.examples[0].key.as_deref()), (3, Some("k1")));
        let read = tight.changes.iter().find(|(change, _)| change.after == ADMITTED).unwrap();
        assert_eq!((read.0.route.as_str(), read.1.requests), ("/api/v5/", 1));
        assert!(
            tight
                .text()
                .contains("now refused, place_rate_limited, /api/v5/trade/order: 41 requests of 1 keys")
        );
        assert_eq!(tight.json()["changes"].as_array().unwrap().len(), 2);
        // A source that everybody shares.
        let source = run("[limits]\nsource = \"1 / 24h\"\n");
        let refused: u64 = source
            .changes
            .iter()
            .filter(|(change, _)| change.after == "source_rate_limited")
            .map(|(_, affected)| affected.requests)
            .sum();
        assert_eq!(refused, 399);
    }
}
