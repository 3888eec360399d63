//! What a replay comes to.

use std::collections::BTreeMap;

use chain::poisoning::Level;
use serde_json::{Value, json};

use super::{Alert, AlertKind, Item, Monitor, Parties};

/// Alerts of each kind kept as examples.
pub const EXAMPLES_MAX: usize = 20;

/// Counts and examples.
#[derive(Debug, Default)]
pub struct Report {
    /// Transactions taken in.
    pub transactions: u64,
    /// Token transfers taken in.
    pub token_transfers: u64,
    /// Different addresses.
    pub addresses: usize,
    /// Alerts by kind.
    pub alerts: BTreeMap<String, u64>,
    examples: BTreeMap<String, Vec<Value>>,
}

impl Report {
    pub(super) fn count(&mut self, item: &Item) {
        match item {
            Item::Transaction(_) => self.transactions += 1,
            Item::Token(_) => self.token_transfers += 1,
        }
    }

    pub(super) fn alert(&mut self, alert: Alert, parties: &Parties) {
        let kind = match &alert.kind {
            AlertKind::CrossCustomer(_) => "cross_customer".to_owned(),
            AlertKind::Exposure { outgoing, category, .. } => {
                format!("exposure.{}.{category}", if *outgoing { "to" } else { "from" })
            }
            AlertKind::Suspected { .. } => "suspected".to_owned(),
            AlertKind::Poisoning { judgement, .. } => format!("poisoning.{}", judgement.level.as_str()),
        };
        let count = self.alerts.entry(kind.clone()).or_default();
        *count += 1;
        if *count > EXAMPLES_MAX as u64 {
            return;
        }
        self.examples.entry(kind).or_default().push(example(&alert, parties));
    }

    /// Alerts of poisoning of a level.
    #[must_use]
    pub fn poisoning(&self, level: Level) -> u64 {
        self.alerts.get(&format!("poisoning.{}", level.as_str())).copied().unwrap_or(0)
    }

    /// As one JSON object.
    #[must_use]
    pub fn to_json(&self, monitor: &Monitor) -> Value {
        json!({
            "transactions": self.transactions,
            "token_transfers": self.token_transfers,
            "addresses": self.addresses,
            "payments": monitor.sends,
            "first_uses": monitor.first_uses,
            "pairs_compared": monitor.pairs,
            "alerts": self.alerts,
            "examples": self.examples,
        })
    }
}

fn example(alert: &Alert, parties: &Parties) -> Value {
    let mut value = json!({
        "block": alert.block,
        "index": alert.index,
        "at": alert.at.to_string(),
        "from": parties.text(alert.from),
        "to": parties.text(alert.to),
    });
    let more = match &alert.kind {
        AlertKind::CrossCustomer(shared) => json!({
            "payers": shared.payers, "first_seen": shared.first_seen.to_string(), "sure": shared.sure,
        }),
        AlertKind::Suspected { party, suspicion } => json!({
            "suspected": parties.text(*party),
            "probability": suspicion.probability,
            "reasons": suspicion.reasons.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        AlertKind::Exposure { category, verdict, .. } => {
            json!({"category": category.as_str(), "verdict": verdict.as_str()})
        }
        AlertKind::Poisoning { resembles, judgement, bait } => json!({
            "resembles": parties.text(super::Party(resembles.known)),
            "leading_digits_equal": resembles.likeness.leading,
            "trailing_digits_equal": resembles.likeness.trailing,
            "used_since": resembles.first_used.to_string(),
            "last_used": resembles.last_used.to_string(),
            "level": judgement.level.as_str(),
            "grounds": judgement.grounds.iter().map(|ground| ground.as_str()).collect::<Vec<_>>(),
            "bait": {
                "zero_value": bait.zero_value, "dust": bait.dust, "counterfeit": bait.counterfeit,
                "latest": bait.latest.map(|at| at.to_string()),
            },
        }),
    };
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}
