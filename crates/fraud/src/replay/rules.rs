//! A rule set over the fields of a mapping, the features of a pack and the score of a model.
//!
//! Rules read the mapped fields by name (amounts as numbers of major units, entities and categories as text), the
//! features by name, and the probability of fraud as `model_score`. A value that is not there is missing.

use std::sync::Arc;

use features::Pack;
use rules::{Guard, Hits, Mode, RuleSet, Schema, Slot, SlotId, Slots, Type};

use crate::mapping::{Event, FieldKind, Mapping, Value};

/// The slot with the probability of fraud.
pub const SCORE_SLOT: &str = "model_score";

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The document was refused.
    #[error(transparent)]
    Load(#[from] rules::LoadError),
    /// Fields and features make no schema.
    #[error("what rules may read: {0}")]
    Schema(#[from] rules::SchemaError),
}

/// A rule that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleHit {
    /// Its place in the set.
    pub rule: usize,
    /// Its id.
    pub id: String,
    /// What it asks for.
    pub action: &'static str,
    /// Whether it would have an effect.
    pub is_enforced: bool,
    /// The sentence for this event.
    pub reason: String,
    /// What would have kept it quiet.
    pub would_pass_if: Option<String>,
}

/// A rule set bound to a mapping and a pack.
#[derive(Debug)]
pub struct Rulebook {
    set: RuleSet,
    slots: Slots,
    hits: Hits,
    judged: Vec<RuleHit>,
    fields: Vec<SlotId>,
    features: Vec<SlotId>,
    score: SlotId,
}

impl Rulebook {
    /// Loads a set of rules; any fault refuses all of it.
    ///
    /// # Errors
    /// [`RulesError`].
    pub fn load(document: &str, mapping: &Mapping, pack: &Pack) -> Result<Self, RulesError> {
        let field = |field: &crate::mapping::Field| {
            let (ty, unit) = match &field.kind {
                FieldKind::Bool { .. } => (Type::Bool, ""),
                FieldKind::Category | FieldKind::Entity => (Type::String, ""),
                FieldKind::Money { unit, .. } => (Type::Double, unit.as_str()),
                FieldKind::Number => (Type::Double, ""),
            };
            Slot::new(&field.name, ty).unit(unit)
        };
        let feature = |column: &features::Column| {
            Slot::new(&column.name, Type::Double).unit(&column.unit).doc(&column.doc)
        };
        let (n_fields, n_features) = (mapping.fields.len(), pack.columns().len());
        let slots: Vec<Slot> = mapping
            .fields
            .iter()
            .map(field)
            .chain(pack.columns().iter().map(feature))
            .chain([Slot::new(SCORE_SLOT, Type::Double).doc("probability of fraud by the model")])
            .collect();
        let schema = Arc::new(Schema::new(slots)?);
        let ids: Vec<SlotId> = schema.slots().iter().filter_map(|slot| schema.slot(&slot.name)).collect();
        let (fields, rest) = ids.split_at(n_fields);
        let (features, score) = rest.split_at(n_features);
        // What is weak evidence is for those to say who let rules act; here nothing acts.
        let set = RuleSet::load(document, &schema, &Guard::default())?;
        Ok(Self {
            slots: set.slots(),
            set,
            hits: Hits::default(),
            judged: Vec::new(),
            fields: fields.to_vec(),
            features: features.to_vec(),
            score: score[0],
        })
    }

    /// The set.
    #[must_use]
    pub const fn set(&self) -> &RuleSet {
        &self.set
    }

    /// A counter of hits and of frauds among them for each rule.
    pub(crate) fn counters(&self) -> Vec<(String, u64, u64)> {
        self.set.rules().iter().map(|rule| (rule.id().to_owned(), 0, 0)).collect()
    }

    /// The rules that fire on an event.
    pub(crate) fn judge(
        &mut self,
        event: &Event,
        mapping: &Mapping,
        row: &[f64],
        score: Option<f64>,
    ) -> &[RuleHit] {
        self.slots.clear();
        for (place, (slot, field)) in self.fields.iter().zip(&mapping.fields).enumerate() {
            let value = match (&event.values[place], &field.kind) {
                (Value::Bool(value), _) => rules::Value::Bool(*value),
                (Value::Money(minor), FieldKind::Money { scale, .. }) => {
                    rules::Value::Double(*minor as f64 / 10_f64.powi(i32::from(*scale)))
                }
                (Value::Number(number), _) => rules::Value::Double(*number),
                (Value::Text(_), _) => rules::Value::String(event.text(place).unwrap_or_default()),
                _ => continue,
            };
            set(&mut self.slots, *slot, value);
        }
        for (slot, value) in self.features.iter().zip(row) {
            if value.is_finite() {
                set(&mut self.slots, *slot, rules::Value::Double(*value));
            }
        }
        if let Some(score) = score {
            set(&mut self.slots, self.score, rules::Value::Double(score));
        }
        self.judged.clear();
        // The slots were made by this very set.
        if self.set.evaluate(&self.slots, event.time, &mut self.hits).is_ok() {
            for hit in &self.hits {
                let Some(explained) = self.set.explain(*hit, &self.slots) else { continue };
                self.judged.push(RuleHit {
                    rule: hit.rule_idx,
                    id: explained.rule,
                    action: explained.action.as_str(),
                    is_enforced: explained.mode == Mode::Enforce,
                    reason: explained.reason,
                    would_pass_if: explained.would_pass_if,
                });
            }
        }
        &self.judged
    }
}

/// Fills a slot. A value that does not fit, such as a text that is too long, leaves it missing.
fn set(slots: &mut Slots, slot: SlotId, value: rules::Value<'_>) {
    let _is_missing = slots.set(slot, value).is_err();
}
