//! From mapped events to the feature engine: values by name, labels when they arrive.
//!
//! Evaluation and replay both go through [`Feed::step`], and the engine behind it is the one that serves live traffic:
//! what is trained on is what will be scored. A label is handed to the engine together with its arrival, which is
//! the event's time plus the mapping's delay; it has no effect before.
//!
//! A recording has no secret seed: entities are hashed under a fixed one, so that two runs agree in every bit.

use std::{sync::Arc, time::Duration};

use domain::UnixNanos;
use features::{
    Counts, Engine, EntityHash, Label, LabelError, Limits, Pack, Record, StepError, Stepped, category,
};

use crate::mapping::{Event, Field, FieldKind, Value};

/// Labels that may wait for their arrival: what a busy site sees in a month.
pub const LABELS_WAITING_MAX: usize = 1 << 24;
/// The seed of entity hashes in replays and evaluations.
const SEED: [u8; 16] = *b"caponier replay\0";

/// Why a recording does not fit a pack.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// A label was refused.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// The amount is finer than the pack's.
    #[error(
        "field {field}: the mapping has {mapped} decimal places, the pack {packed}; round in the mapping or give the pack a finer scale"
    )]
    Scale {
        /// The field.
        field: String,
        /// Decimal places in the mapping.
        mapped: u8,
        /// Decimal places in the pack.
        packed: u32,
    },
    /// An event was refused.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The types differ.
    #[error("field {field}: the mapping says {mapped}, the pack says {packed}")]
    Type {
        /// The field.
        field: String,
        /// Its type in the mapping.
        mapped: &'static str,
        /// Its type in the pack.
        packed: &'static str,
    },
}

/// A pack's field: where its value stands in the mapping.
#[derive(Debug, Clone, Copy)]
struct Taken {
    field: usize,
    /// What amounts are multiplied by, from the mapping's minor units to the pack's.
    factor: i64,
}

/// Drives a feature engine with mapped events.
#[derive(Debug)]
pub struct Feed {
    engine: Engine,
    taken: Vec<Taken>,
    label_delay: Option<Duration>,
    position: u64,
    values: Vec<features::Value>,
}

/// The id of an event as the engine knows it.
pub(crate) fn event_id(text: &str) -> u64 {
    EntityHash::new(SEED).of(text.as_bytes())
}

/// The value of a field as the engine takes it.
pub(crate) fn engine_value(event: &Event, field: usize, kind: &FieldKind) -> features::Value {
    match (event.values.get(field), kind) {
        (Some(Value::Bool(value)), _) => features::Value::Bool(*value),
        (Some(Value::Money(minor)), _) => features::Value::Money(*minor),
        (Some(Value::Number(number)), _) => features::Value::Number(*number),
        (Some(Value::Text(_)), FieldKind::Category) => {
            features::Value::Category(category(event.text(field).unwrap_or_default()))
        }
        (Some(Value::Text(_)), _) => features::Value::Entity(event_id(event.text(field).unwrap_or_default())),
        (Some(Value::Missing) | None, _) => features::Value::Missing,
    }
}

impl Feed {
    /// An engine without state for events of these fields. Every field of the pack must be among them: parse the
    /// pack for the fields that are there ([`Pack::parse_for`]).
    ///
    /// # Errors
    /// [`FeedError`] when types do not fit.
    pub fn new(pack: Arc<Pack>, fields: &[Field], label_delay: Option<Duration>) -> Result<Self, FeedError> {
        let taken = pack.fields().iter().map(|wanted| take(wanted, fields)).collect::<Result<_, _>>()?;
        let bounds = Limits { labels_max: LABELS_WAITING_MAX, ..Limits::default() };
        let values = Vec::with_capacity(pack.fields().len());
        Ok(Self { engine: Engine::new(pack, bounds), taken, label_delay, position: 0, values })
    }

    /// Takes the next event in and writes its features to `row`; `cells` are the values of the mapping's fields.
    ///
    /// # Errors
    /// [`FeedError`] when the engine refuses the event; its state is as before.
    pub fn step(
        &mut self,
        time: UnixNanos,
        id: u64,
        cells: &[features::Value],
        label: Option<bool>,
        row: &mut [f64],
    ) -> Result<Stepped, FeedError> {
        self.values.clear();
        for taken in &self.taken {
            let value = cells.get(taken.field).copied().unwrap_or(features::Value::Missing);
            self.values.push(match value {
                // Out of range is the engine's to refuse, with the field's name.
                features::Value::Money(minor) => {
                    features::Value::Money(minor.checked_mul(taken.factor).unwrap_or(i64::MAX))
                }
                value => value,
            });
        }
        let record = Record { position: self.position, at: time, id, values: &self.values };
        let stepped = self.engine.step(&record, row)?;
        self.position += 1;
        if let (Stepped::Taken, Some(is_fraud), Some(delay)) = (stepped, label, self.label_delay) {
            // What became of it shows in the engine's counts.
            let _labelled = self.engine.label(&Label { id, is_fraud, arrival: time.plus(delay) })?;
        }
        Ok(stepped)
    }

    /// What the engine did and forgot so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.engine.counts()
    }

    /// The engine.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }
}

fn take(wanted: &features::Field, fields: &[Field]) -> Result<Taken, FeedError> {
    use features::FieldType;

    let name = || wanted.name.clone();
    let Some(field) = fields.iter().position(|field| field.name == wanted.name) else {
        return Err(FeedError::Type { field: name(), mapped: "nothing", packed: wanted.field_type.name() });
    };
    let factor = match (&fields[field].kind, wanted.field_type) {
        (FieldKind::Bool { .. }, FieldType::Bool)
        | (FieldKind::Category, FieldType::Category)
        | (FieldKind::Entity, FieldType::Entity)
        | (FieldKind::Number, FieldType::Number { .. }) => 1,
        (FieldKind::Money { scale, .. }, FieldType::Money { scale: packed }) => {
            let places = packed.checked_sub(u32::from(*scale)).filter(|places| *places <= 18);
            let factor = places.and_then(|places| 10_i64.checked_pow(places));
            factor.ok_or_else(|| FeedError::Scale { field: name(), mapped: *scale, packed })?
        }
        (mapped, packed) => {
            return Err(FeedError::Type { field: name(), mapped: mapped.name(), packed: packed.name() });
        }
    };
    Ok(Taken { field, factor })
}

#[cfg(test)]
mod tests;
