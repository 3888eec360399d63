//! Recorded events in the order of the file, judged as live traffic would be: features, then a model, then rules.
//!
//! The stream keeps the semantics of live traffic: an event behind the newest one by more than the pack allows is
//! late and changes nothing, a repeated id is a duplicate, a label has no effect before it arrives. Nothing is sorted
//! and nothing held but the state of the engine, so a replay takes a pipe of any length.
//!
//! It acts on nothing. Two replays of the same input with the same pack, model and rules give the same judgements in
//! every bit; [`Summary::features_sha256`] and [`Summary::state_sha256`] say so.

mod rules;

use std::{
    io::{self, Read},
    sync::Arc,
};

use crypto::Sha256;
use domain::UnixNanos;
use features::{Counts, Pack, Stepped};
use scoring::{matrix::quantise, model::file::ModelFile, shap::Explainer};

pub use self::rules::{RuleHit, Rulebook, RulesError, SCORE_SLOT};
use crate::{
    evaluate::model::{PACK_HASH, hex},
    feed::{Feed, FeedError, engine_value, event_id},
    mapping::{Event, Mapping},
    recording::Hashed,
    stream::{DeadLetter, Events, Next, StreamError},
};

/// Features named as reasons for a score, at most.
pub const REASONS_MAX: usize = 5;

/// Why a replay cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The recording does not fit the pack.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The model was trained on another pack.
    #[error("the model was trained on a pack with hash {model}, this one has {pack}")]
    OtherPack {
        /// The hash on the model's card.
        model: String,
        /// The hash of the pack.
        pack: String,
    },
    /// The model has other features than the pack.
    #[error("feature {place} of the model is {model}, of the pack {pack}")]
    OtherFeatures {
        /// Place of the first difference, from 1.
        place: usize,
        /// The model's.
        model: String,
        /// The pack's.
        pack: String,
    },
    /// Reading failed.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A judgement could not be written.
    #[error("a judgement could not be written: {0}")]
    Write(#[source] io::Error),
}

/// What judges beside the features.
#[derive(Debug, Default)]
pub struct Judges {
    /// Scores each event.
    pub model: Option<ModelFile>,
    /// Rules that each event is tried on.
    pub rules: Option<Rulebook>,
    /// The least probability for which reasons are worked out; they cost more than the score.
    pub reasons_from: f64,
}

/// What a feature added to a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason<'a> {
    /// The feature.
    pub feature: &'a str,
    /// Its value; NaN if it is not known.
    pub value: f64,
    /// Its unit.
    pub unit: &'a str,
    /// What it means.
    pub doc: &'a str,
    /// What it added, in logits.
    pub added: f64,
}

/// What is said of one event.
#[derive(Debug)]
pub struct Judgement<'a> {
    /// Its id.
    pub id: &'a str,
    /// When it happened.
    pub time: UnixNanos,
    /// What the engine made of it. Only what was taken in is scored.
    pub stepped: Stepped,
    /// Its features, in the order of the pack.
    pub features: &'a [f64],
    /// Probability of fraud, if there is a model.
    pub score: Option<f64>,
    /// What raised the score most, the strongest first.
    pub reasons: &'a [Reason<'a>],
    /// Rules that fired.
    pub rules: &'a [RuleHit],
}

/// What a replay did.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Events read.
    pub events: u64,
    /// Rows that were none.
    pub dead: u64,
    /// What the engine did and forgot.
    pub counts: Counts,
    /// Labels that had not arrived when the recording ended.
    pub labels_waiting: usize,
    /// Labels read, and frauds among them.
    pub labels: (u64, u64),
    /// Events scored, and those with a probability of at least one half.
    pub scored: (u64, u64),
    /// How often each rule fired, by id, in the order of the set; frauds among these.
    pub rules: Vec<(String, u64, u64)>,
    /// SHA-256 of the input's bytes.
    pub input_sha256: [u8; 32],
    /// SHA-256 over (id, what became of it, every bit of every feature) of all events.
    pub features_sha256: [u8; 32],
    /// SHA-256 of the engine's state at the end.
    pub state_sha256: [u8; 32],
}

/// Streams the input through the pack and what judges; `judged` is told of each event, `dead` of each row that is none.
///
/// # Errors
/// [`ReplayError`].
pub fn replay(
    input: impl Read,
    mapping: &Mapping,
    pack: &Arc<Pack>,
    judges: &mut Judges,
    judged: &mut dyn FnMut(&Judgement<'_>) -> io::Result<()>,
    dead: &mut dyn FnMut(&DeadLetter) -> io::Result<()>,
) -> Result<Summary, ReplayError> {
    let explainer = match &judges.model {
        Some(file) => {
            check_model(file, pack)?;
            Some(Explainer::new(&file.model))
        }
        None => None,
    };
    let label_delay = mapping.label.as_ref().map(|label| label.delay);
    let mut feed = Feed::new(Arc::clone(pack), &mapping.fields, label_delay)?;
    let mut hashed = Hashed::new(input);
    let mut events = Events::open(&mut hashed, mapping)?;
    let mut event = Event::default();
    let mut cells = Vec::with_capacity(mapping.fields.len());
    let mut row = vec![0.0; pack.columns().len()];
    let mut quantised = vec![0.0_f32; row.len()];
    let mut digest = Sha256::new();
    let mut bytes = Vec::with_capacity(9 + 8 * row.len());
    let (mut n_events, mut n_dead, mut labels, mut scored) = (0, 0, (0, 0), (0, 0));
    let mut fired = judges.rules.as_ref().map(Rulebook::counters).unwrap_or_default();
    loop {
        match events.next(&mut event).map_err(StreamError::Io)? {
            Next::End => break,
            Next::Dead(letter) => {
                n_dead += 1;
                dead(&letter).map_err(ReplayError::Write)?;
                continue;
            }
            Next::Event => n_events += 1,
        }
        cells.clear();
        cells.extend(
            (0..mapping.fields.len()).map(|field| engine_value(&event, field, &mapping.fields[field].kind)),
        );
        let id = event_id(event.id());
        let stepped = feed.step(event.time, id, &cells, event.label, &mut row)?;
        bytes.clear();
        bytes.extend_from_slice(&id.to_be_bytes());
        bytes.push(match stepped {
            Stepped::Taken => 0,
            Stepped::Late => 1,
            Stepped::Duplicate => 2,
        });
        for value in &row {
            // One NaN is as good as another.
            let bits = if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
            bytes.extend_from_slice(&bits.to_be_bytes());
        }
        digest.update(&bytes);
        if let Some(fraud) = event.label {
            labels.0 += 1;
            labels.1 += u64::from(fraud);
        }

        let is_taken = stepped == Stepped::Taken;
        let mut reasons = Vec::new();
        let mut score = None;
        if let (Some(file), Some(explainer), true) = (&judges.model, &explainer, is_taken) {
            for (quantised, value) in quantised.iter_mut().zip(&row) {
                *quantised = quantise(*value);
            }
            let probability = file.probability(file.model.logit(&quantised));
            score = Some(probability);
            scored.0 += 1;
            scored.1 += u64::from(probability >= 0.5);
            if probability >= judges.reasons_from {
                for (feature, added) in explainer.explain(&quantised).raising(REASONS_MAX) {
                    let column = &pack.columns()[feature];
                    reasons.push(Reason {
                        feature: &column.name,
                        value: row[feature],
                        unit: &column.unit,
                        doc: &column.doc,
                        added,
                    });
                }
            }
        }
        let hits = match &mut judges.rules {
            Some(rules) if is_taken => rules.judge(&event, mapping, &row, score),
            _ => &[],
        };
        for hit in hits {
            if let Some((_, fires, frauds)) = fired.get_mut(hit.rule) {
                *fires += 1;
                *frauds += u64::from(event.label == Some(true));
            }
        }
        let judgement = Judgement {
            id: event.id(),
            time: event.time,
            stepped,
            features: &row,
            score,
            reasons: &reasons,
            rules: hits,
        };
        judged(&judgement).map_err(ReplayError::Write)?;
    }
    drop(events);
    let engine = feed.engine();
    Ok(Summary {
        events: n_events,
        dead: n_dead,
        counts: engine.counts(),
        labels_waiting: engine.usage().labels_waiting,
        labels,
        scored,
        rules: fired,
        input_sha256: hashed.finish(),
        features_sha256: digest.finish(),
        state_sha256: engine.digest(),
    })
}

/// A model is fed by the pack it was trained on, or not at all.
pub(crate) fn check_model(file: &ModelFile, pack: &Pack) -> Result<(), ReplayError> {
    let names = file.model.features();
    for place in 0..names.len().max(pack.columns().len()) {
        let model = if place < names.len() { names.name(place) } else { "missing" };
        let packed = pack.columns().get(place).map_or("missing", |column| column.name.as_str());
        if model != packed {
            let (model, pack) = (model.to_owned(), packed.to_owned());
            return Err(ReplayError::OtherFeatures { place: place + 1, model, pack });
        }
    }
    let pack = hex(&pack.hash());
    match file.card.params.iter().find(|(name, _)| name == PACK_HASH) {
        Some((_, model)) if *model != pack => Err(ReplayError::OtherPack { model: model.clone(), pack }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
