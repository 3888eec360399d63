//! What the journal says about models.
//!
//! ```cddl
//! model-entry =
//!     [1, "registered", digest, file: digest, bytes: uint, name: tstr, version: tstr, pack-name: tstr, pack: digest,
//!      rows: uint, positives: uint, learned: [from: time-ns, until: time-ns] / null,
//!      backtest: [average-precision: int, auc-roc: int, rows: uint, positives: uint, until: time-ns] / null, actor]
//!   / [1, "compared", champion: digest, challenger: digest, data: digest, from: time-ns, until: time-ns, rows: uint,
//!      positives: uint, average-precision: interval, value: interval / null, confidence: uint, rounds: uint, seed: uint,
//!      actor]
//!   / [1, "promoted", digest, replaces: digest / null, floor: int, forced: reason / null, actor]
//!   / [1, "drifted", bundle: digest, subject: tstr, measure: "psi" / "adwin", first: int, second: int, records: uint, actor]
//!                                  ; psi: index and Kolmogorov-Smirnov statistic; adwin: mean before and after
//!   / [1, "rolled_back", pack: digest, from: digest, to: digest, reason, actor]
//!
//! interval = [observed: int, low: int, high: int, better: uint]     ; millionths; challenger less champion
//! digest = bstr .size 32
//! reason = tstr .size (1..1000)
//! actor = tstr .size (1..80)
//! ```

use domain::{Actor, UnixNanos};
use minicbor::Encoder;
use scoring::bootstrap::Difference;

use super::{Digest, drift::Measure};
use crate::record::{Encoded, Fields, RecordError, encoded, optional};

const VERSION: u8 = 1;
/// Longest name or reason, in bytes.
pub const TEXT_BYTES_MAX: usize = 1_000;
const ACTOR_BYTES_MAX: usize = 80;

/// A model was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The digest the file ends in: the model's name.
    pub digest: Digest,
    /// SHA-256 of the whole file.
    pub file: Digest,
    /// Its length.
    pub bytes: u64,
    /// As its card says.
    pub name: String,
    /// As its card says.
    pub version: String,
    /// Name of the feature pack.
    pub pack_name: String,
    /// Hash of the feature pack: only it may feed the model.
    pub pack: Digest,
    /// Rows learned from.
    pub rows: u64,
    /// Frauds among them.
    pub positives: u64,
    /// First and last moment learned from, if known.
    pub learned: Option<(UnixNanos, UnixNanos)>,
    /// How it did on days after those it learned from.
    pub backtest: Option<Backtest>,
    /// Who did it.
    pub actor: Actor,
}

/// A temporal backtest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backtest {
    /// Average precision, in millionths.
    pub average_precision: i64,
    /// Area under the ROC curve, in millionths.
    pub auc_roc: i64,
    /// Rows judged.
    pub rows: u64,
    /// Frauds among them.
    pub positives: u64,
    /// End of the days judged.
    pub until: UnixNanos,
}

/// The interval of a difference, in millionths: challenger less champion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// On all rows.
    pub observed: i64,
    /// The lower end.
    pub low: i64,
    /// The upper end.
    pub high: i64,
    /// Share of draws in which the challenger was better.
    pub better: u64,
}

/// The nearest millionth; what is out of range is the end of the range.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "within the range of an i64 after the clamp")]
pub(crate) fn millionths(value: f64) -> i64 {
    if value.is_nan() {
        return 0;
    }
    (value.clamp(-1e9, 1e9) * 1e6).round() as i64
}

impl From<Difference> for Interval {
    fn from(difference: Difference) -> Self {
        Self {
            observed: millionths(difference.observed),
            // Never narrower than it was.
            low: millionths(difference.low - 5e-7),
            high: millionths(difference.high + 5e-7),
            better: u64::try_from(millionths(difference.challenger_better)).unwrap_or(0),
        }
    }
}

/// Two models were compared on the same rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The one it is compared with.
    pub champion: Digest,
    /// The new one.
    pub challenger: Digest,
    /// SHA-256 of the recording.
    pub data: Digest,
    /// Days judged.
    pub from: UnixNanos,
    /// Their end.
    pub until: UnixNanos,
    /// Rows judged.
    pub rows: u64,
    /// Frauds among them.
    pub positives: u64,
    /// Difference in average precision.
    pub average_precision: Interval,
    /// Difference in the share of fraud's value that is found within the capacity, where events have amounts.
    pub value: Option<Interval>,
    /// Share of the differences the intervals hold, in millionths.
    pub confidence: u64,
    /// Draws.
    pub rounds: u64,
    /// Seed of the draws.
    pub seed: u64,
    /// Who did it.
    pub actor: Actor,
}

/// A model was put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promoted {
    /// Which one.
    pub digest: Digest,
    /// The champion it takes the place of.
    pub replaces: Option<Digest>,
    /// What the lower end of the difference in average precision must exceed, in millionths.
    pub floor: i64,
    /// Why it was forced past the gate, if it was.
    pub forced: Option<String>,
    /// Who did it.
    pub actor: Actor,
}

/// The champion before was put in force again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledBack {
    /// Of which pack.
    pub pack: Digest,
    /// The one taken out of force.
    pub from: Digest,
    /// The one before it.
    pub to: Digest,
    /// Why.
    pub reason: String,
    /// Who did it.
    pub actor: Actor,
}

/// What a bundle is fed, or says, has shifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drifted {
    /// Hash of the bundle that judged.
    pub bundle: Digest,
    /// A feature by name, `score` or `labels`.
    pub subject: String,
    /// By what it was seen.
    pub measure: Measure,
    /// Records the bundle had judged by then.
    pub records: u64,
    /// Caponier itself.
    pub actor: Actor,
}

/// What an entry of the journal says about models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelEntry {
    /// Two were compared.
    Compared(Compared),
    /// What goes in or comes out has shifted.
    Drifted(Drifted),
    /// One was put in force.
    Promoted(Promoted),
    /// One was taken in.
    Registered(Registered),
    /// The one before was put in force again.
    RolledBack(RolledBack),
}

impl ModelEntry {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Compared(_) => "compared",
            Self::Drifted(_) => "drifted",
            Self::Promoted(_) => "promoted",
            Self::Registered(_) => "registered",
            Self::RolledBack(_) => "rolled_back",
        }
    }

    /// Who did it.
    #[must_use]
    pub const fn actor(&self) -> &Actor {
        match self {
            Self::Compared(compared) => &compared.actor,
            Self::Drifted(drifted) => &drifted.actor,
            Self::Promoted(promoted) => &promoted.actor,
            Self::Registered(registered) => &registered.actor,
            Self::RolledBack(back) => &back.actor,
        }
    }

    /// The payload for the journal.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encoded(|encoder| {
            let fields = match self {
                Self::Compared(_) => 15,
                Self::Drifted(_) => 9,
                Self::Promoted(_) => 7,
                Self::Registered(_) => 14,
                Self::RolledBack(_) => 7,
            };
            encoder.array(fields)?.u8(VERSION)?.str(self.as_str())?;
            match self {
                Self::Compared(compared) => encode_compared(encoder, compared)?,
                Self::Drifted(drifted) => {
                    let (measure, first, second) = match drifted.measure {
                        Measure::Adwin { before, after } => ("adwin", before, after),
                        Measure::Psi { psi, ks } => ("psi", psi, ks),
                    };
                    encoder.bytes(&drifted.bundle)?.str(&drifted.subject)?.str(measure)?;
                    encoder.i64(first)?.i64(second)?.u64(drifted.records)?;
                }
                Self::Promoted(promoted) => {
                    encoder.bytes(&promoted.digest)?;
                    optional(encoder, promoted.replaces, |encoder, digest| encoder.bytes(&digest).map(drop))?;
                    encoder.i64(promoted.floor)?;
                    optional(encoder, promoted.forced.as_deref(), |encoder, text| {
                        encoder.str(text).map(drop)
                    })?;
                }
                Self::Registered(registered) => encode_registered(encoder, registered)?,
                Self::RolledBack(back) => {
                    encoder.bytes(&back.pack)?.bytes(&back.from)?.bytes(&back.to)?.str(&back.reason)?;
                }
            }
            encoder.str(&self.actor().to_string()).map(drop)
        })
    }

    /// From a payload of the journal; what decodes encodes to the same bytes.
    ///
    /// # Errors
    /// [`RecordError`] naming the field.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (mut fields, what, behind) = Fields::begin(bytes, VERSION)?;
        let expected = match what.as_str() {
            "compared" => 13,
            "drifted" => 7,
            "registered" => 12,
            "promoted" | "rolled_back" => 5,
            _ => return Err(fields.bad("what", 2)),
        };
        if behind != expected {
            return Err(fields.bad("payload", 0));
        }
        let entry = match what.as_str() {
            "compared" => Self::Compared(decode_compared(&mut fields)?),
            "drifted" => {
                let bundle = fields.digest("bundle")?;
                let subject = fields.text("subject", TEXT_BYTES_MAX)?;
                let is_psi = fields.parsed("measure", 8, |name| match name {
                    "psi" => Some(true),
                    "adwin" => Some(false),
                    _ => None,
                })?;
                let (first, second) = (fields.signed("first")?, fields.signed("second")?);
                let measure = if is_psi {
                    Measure::Psi { psi: first, ks: second }
                } else {
                    Measure::Adwin { before: first, after: second }
                };
                let records = fields.number("records")?;
                Self::Drifted(Drifted { bundle, subject, measure, records, actor: actor(&mut fields)? })
            }
            "promoted" => Self::Promoted(Promoted {
                digest: fields.digest("digest")?,
                replaces: fields.optional(|fields| fields.digest("replaces"))?,
                floor: fields.signed("floor")?,
                forced: fields.optional(|fields| reason(fields, "forced"))?,
                actor: actor(&mut fields)?,
            }),
            "registered" => Self::Registered(decode_registered(&mut fields)?),
            _ => Self::RolledBack(RolledBack {
                pack: fields.digest("pack")?,
                from: fields.digest("from")?,
                to: fields.digest("to")?,
                reason: reason(&mut fields, "reason")?,
                actor: actor(&mut fields)?,
            }),
        };
        if entry.encode() == bytes { Ok(entry) } else { Err(RecordError::NotDeterministic) }
    }
}

fn actor(fields: &mut Fields<'_>) -> Result<Actor, RecordError> {
    fields.parsed("actor", ACTOR_BYTES_MAX, |text| text.parse().ok())
}

fn reason(fields: &mut Fields<'_>, field: &'static str) -> Result<String, RecordError> {
    fields.parsed(field, TEXT_BYTES_MAX, |text| is_reason(text).then(|| text.to_owned()))
}

/// Whether a text says something, within its bounds.
pub(crate) fn is_reason(text: &str) -> bool {
    text.len() <= TEXT_BYTES_MAX
        && !text.trim().is_empty()
        && !text.chars().any(|c| c.is_control() && c != '\n')
}

fn encode_interval(encoder: &mut Encoder<Vec<u8>>, interval: Interval) -> Encoded {
    encoder
        .array(4)?
        .i64(interval.observed)?
        .i64(interval.low)?
        .i64(interval.high)?
        .u64(interval.better)
        .map(drop)
}

fn decode_interval(fields: &mut Fields<'_>) -> Result<Interval, RecordError> {
    if fields.list("interval")? != 4 {
        return Err(fields.bad("interval", 0));
    }
    Ok(Interval {
        observed: fields.signed("observed")?,
        low: fields.signed("low")?,
        high: fields.signed("high")?,
        better: fields.number("better")?,
    })
}

fn encode_compared(encoder: &mut Encoder<Vec<u8>>, compared: &Compared) -> Encoded {
    encoder.bytes(&compared.champion)?.bytes(&compared.challenger)?.bytes(&compared.data)?;
    encoder.u64(compared.from.0)?.u64(compared.until.0)?.u64(compared.rows)?.u64(compared.positives)?;
    encode_interval(encoder, compared.average_precision)?;
    optional(encoder, compared.value, encode_interval)?;
    encoder.u64(compared.confidence)?.u64(compared.rounds)?.u64(compared.seed).map(drop)
}

fn decode_compared(fields: &mut Fields<'_>) -> Result<Compared, RecordError> {
    Ok(Compared {
        champion: fields.digest("champion")?,
        challenger: fields.digest("challenger")?,
        data: fields.digest("data")?,
        from: fields.time("from")?,
        until: fields.time("until")?,
        rows: fields.number("rows")?,
        positives: fields.number("positives")?,
        average_precision: decode_interval(fields)?,
        value: fields.optional(decode_interval)?,
        confidence: fields.number("confidence")?,
        rounds: fields.number("rounds")?,
        seed: fields.number("seed")?,
        actor: actor(fields)?,
    })
}

fn encode_registered(encoder: &mut Encoder<Vec<u8>>, new: &Registered) -> Encoded {
    encoder.bytes(&new.digest)?.bytes(&new.file)?.u64(new.bytes)?;
    encoder.str(&new.name)?.str(&new.version)?.str(&new.pack_name)?.bytes(&new.pack)?;
    encoder.u64(new.rows)?.u64(new.positives)?;
    optional(encoder, new.learned, |encoder, (from, until)| {
        encoder.array(2)?.u64(from.0)?.u64(until.0).map(drop)
    })?;
    optional(encoder, new.backtest, |encoder, test| {
        encoder.array(5)?.i64(test.average_precision)?.i64(test.auc_roc)?;
        encoder.u64(test.rows)?.u64(test.positives)?.u64(test.until.0).map(drop)
    })
}

fn decode_registered(fields: &mut Fields<'_>) -> Result<Registered, RecordError> {
    Ok(Registered {
        digest: fields.digest("digest")?,
        file: fields.digest("file")?,
        bytes: fields.number("bytes")?,
        name: fields.text("name", TEXT_BYTES_MAX)?,
        version: fields.text("version", TEXT_BYTES_MAX)?,
        pack_name: fields.text("pack-name", TEXT_BYTES_MAX)?,
        pack: fields.digest("pack")?,
        rows: fields.number("rows")?,
        positives: fields.number("positives")?,
        learned: fields.optional(|fields| {
            if fields.list("learned")? != 2 {
                return Err(fields.bad("learned", 0));
            }
            Ok((fields.time("learned-from")?, fields.time("learned-until")?))
        })?,
        backtest: fields.optional(|fields| {
            if fields.list("backtest")? != 5 {
                return Err(fields.bad("backtest", 0));
            }
            Ok(Backtest {
                average_precision: fields.signed("average-precision")?,
                auc_roc: fields.signed("auc-roc")?,
                rows: fields.number("rows")?,
                positives: fields.number("positives")?,
                until: fields.time("until")?,
            })
        })?,
        actor: actor(fields)?,
    })
}
