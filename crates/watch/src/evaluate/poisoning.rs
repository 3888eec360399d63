//! How good the guard against look-alike addresses is.
//!
//! **Recall**: of payments that real victims made to a look-alike, how many would have raised a notice or an alarm at the
//! moment of paying, with nothing known but the address the victim meant. What was seen on the chain (bait, ages) can
//! only raise more of them.
//!
//! **False alarms**: a recorded stretch of a chain is replayed, every sender is a customer, its history is what it paid
//! before, and every payment to an address it had not used is examined, with what the stream has shown by then.

use std::io::BufRead;

use chain::{
    address,
    poisoning::{Context, History, Level, Shape, Thresholds, judge},
};
use domain::{ChainFamily, Network, UnixNanos};
use serde_json::{Value, json};

use crate::{
    replay::{self, ListedParties, Monitor, Options, Stream},
    table::{Table, TableError, Wanted},
};

/// Columns of a table of payments to look-alikes.
pub const PAYOFF_COLUMNS: &[Wanted] =
    &[Wanted::required("topics_to_addr"), Wanted::required("intended_addr"), Wanted::optional("chain")];

/// Cases of missed payments named in a report.
const MISSED_MAX: usize = 20;
/// Rules whose recall is told beside that of the guard, for comparison: leading, trailing, total.
const RULES: [(u32, u32, u32); 4] = [(3, 4, 7), (4, 4, 8), (0, 0, 6), (0, 0, 8)];
/// Upper 95 % bound of a Poisson mean when nothing was seen: the rule of three.
const NOTHING_SEEN_BOUND: f64 = 2.996;
/// The scale false alarms are told in.
const TEN_MILLION: f64 = 10_000_000.0;

/// Recall on payments to look-alikes.
#[derive(Debug, Clone, Default)]
pub struct Payoffs {
    /// Payments judged.
    pub payments: u64,
    /// That raised a notice or an alarm.
    pub noticed: u64,
    /// That raised an alarm.
    pub alarms: u64,
    /// That each of the rules told for comparison would have caught.
    by_rule: [u64; RULES.len()],
    missed: Vec<Value>,
}

/// Judges every payment of a table.
///
/// # Errors
/// [`TableError`], also for an address that is none.
pub fn payoffs<R: BufRead>(mut table: Table<R>) -> Result<Payoffs, TableError> {
    let mut payoffs = Payoffs::default();
    while let Some(row) = table.next_row()? {
        let mut addresses = [None, None];
        for (column, address) in addresses.iter_mut().enumerate() {
            let text = row.text(column)?;
            // Only what EIP-55 says of letter case is waived: sources write as they please.
            let decoded = match address::decode(ChainFamily::Evm, &text.to_ascii_lowercase()) {
                Err(error) if text.starts_with("0x") => Err(error),
                Err(_) => address::decode_any(text),
                decoded => decoded,
            };
            *address = Some(decoded.map_err(|error| row.bad(column, error.to_string()))?);
        }
        let [Some(paid), Some(meant)] = addresses else { continue };
        let mut history = History::new(1);
        history.used(Shape::of(&meant), meant, UnixNanos(0));
        let shape = Shape::of(&paid);
        let found = history.resemblance(shape, paid);
        let level = found.and_then(|found| {
            judge(found.likeness, &shape.thresholds(), &Context::default(), UnixNanos(0))
                .map(|judgement| judgement.level)
        });
        payoffs.payments += 1;
        payoffs.noticed += u64::from(level.is_some());
        payoffs.alarms += u64::from(level >= Some(Level::Alarm));
        let likeness = shape.likeness(&Shape::of(&meant));
        for (count, (leading, trailing, total)) in payoffs.by_rule.iter_mut().zip(RULES) {
            let caught =
                likeness.leading >= leading && likeness.trailing >= trailing && likeness.total() >= total;
            *count += u64::from(caught);
        }
        if level < Some(Level::Alarm) && payoffs.missed.len() < MISSED_MAX {
            payoffs.missed.push(json!({
                "line": table.line(),
                "paid": address::encode(&paid),
                "meant": address::encode(&meant),
                "leading_digits_equal": likeness.leading,
                "trailing_digits_equal": likeness.trailing,
                "level": level.map(Level::as_str),
            }));
        }
    }
    Ok(payoffs)
}

impl Payoffs {
    /// As one JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let rules: Vec<Value> = self
            .by_rule
            .iter()
            .zip(RULES)
            .map(|(count, (leading, trailing, total))| {
                json!({
                    "leading_min": leading, "trailing_min": trailing, "total_min": total,
                    "recall": share(*count, self.payments),
                })
            })
            .collect();
        let Thresholds { total, strong_total, strong_leading, strong_trailing, .. } = Thresholds::HEX;
        json!({
            "payoffs": self.payments,
            "recall_notice": share(self.noticed, self.payments),
            "recall_alarm": share(self.alarms, self.payments),
            "thresholds": {
                "notice_total": total, "alarm_total": strong_total,
                "alarm_leading": strong_leading, "alarm_trailing": strong_trailing,
            },
            "rules_compared": rules,
            "below_alarm": self.missed,
        })
    }
}

/// False alarms on a recorded stretch of a chain.
#[derive(Debug)]
pub struct Organic {
    report: replay::Report,
    monitor: Monitor,
}

/// Replays a stream with nothing watched for but look-alikes.
///
/// # Errors
/// [`TableError`].
pub fn organic<R: BufRead>(stream: &mut Stream<R>, network: Network) -> Result<Organic, TableError> {
    let options = Options { labels: ListedParties::none(), network, cross_customer: None, detector: None };
    let mut organic = Organic { report: replay::Report::default(), monitor: Monitor::new(options) };
    replay::run(stream, &mut organic.monitor, &mut organic.report)?;
    Ok(organic)
}

impl Organic {
    /// Alarms among all payments.
    #[must_use]
    pub fn alarms(&self) -> u64 {
        self.report.poisoning(Level::Alarm)
    }

    /// As one JSON object. Rates come with an upper 95 % bound, since a stretch of a chain is a sample.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let (sends, pairs) = (self.monitor.sends, self.monitor.pairs);
        let (notices, alarms) = (self.report.poisoning(Level::Notice), self.alarms());
        let mut value = self.report.to_json(&self.monitor);
        if let Value::Object(value) = &mut value {
            let rates = json!({
                "notices": notices,
                "alarms": alarms,
                "mistyped": self.report.poisoning(Level::Mistyped),
                "notices_per_10m_payments": per(notices, sends),
                "alarms_per_10m_payments": per(alarms, sends),
                "alarms_per_10m_payments_upper_95": upper(alarms, sends),
                "notices_per_10m_pairs": per(notices, pairs),
                "alarms_per_10m_pairs": per(alarms, pairs),
            });
            value.insert("false_alarms".to_owned(), rates);
        }
        value
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn share(count: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { count as f64 / of as f64 }
}

fn per(count: u64, of: u64) -> f64 {
    share(count, of) * TEN_MILLION
}

/// Upper 95 % bound of a Poisson rate: exact for none, the square-root approximation above (Garwood 1936 within 2 %).
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn upper(count: u64, of: u64) -> f64 {
    let mean = if count == 0 { NOTHING_SEEN_BOUND } else { ((count as f64 + 1.0).sqrt() + 0.98).powi(2) };
    if of == 0 { f64::INFINITY } else { mean / of as f64 * TEN_MILLION }
}
