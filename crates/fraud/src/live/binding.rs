//! From a record to what a pack computes with and what rules read: names resolved once, when a bundle loads.

use std::sync::Arc;

use domain::Amount;
use features::{EntityHash, FieldType as PackType, Pack, Value, category};
use rules::{Schema, SchemaError, Slot, SlotId, Slots, Type};

use super::record::{Cell, Field, FieldType, Record};

/// Largest magnitude of an amount or number that windows hold, in last decimal places.
const CELL_MAX: i64 = 1 << 53;

/// Slot of the probability of fraud.
pub const SCORE_SLOT: &str = "model_score";
/// Slot of the anomaly score.
pub const ANOMALY_SLOT: &str = "anomaly_score";
/// Slot of the time of the record.
pub const TIME_SLOT: &str = "at";

/// Why a pack cannot read live records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The types differ.
    #[error("field {field:?} of the pack is {packed}, live records have it as {live}")]
    Type {
        /// The field.
        field: String,
        /// Its type in the pack.
        packed: &'static str,
        /// Its type in live records.
        live: &'static str,
    },
    /// Live records have no such field.
    #[error("live records have no field {field:?}; those they have are listed in feature-packs.md")]
    UnknownField {
        /// The field.
        field: String,
    },
}

/// A pack's fields among those of the record.
#[derive(Debug, Clone)]
pub(crate) struct PackBinding(Vec<(Field, PackType)>);

impl PackBinding {
    pub(crate) fn new(pack: &Pack) -> Result<Self, BindError> {
        let bind = |wanted: &features::Field| {
            let name = || wanted.name.clone();
            let field =
                Field::named(&wanted.name).ok_or_else(|| BindError::UnknownField { field: name() })?;
            let fits = matches!(
                (field.ty(), wanted.field_type),
                (FieldType::Bool, PackType::Bool)
                    | (FieldType::Category, PackType::Category | PackType::Entity)
                    | (FieldType::Entity, PackType::Entity)
                    | (FieldType::Money, PackType::Money { .. } | PackType::Number { .. })
                    | (FieldType::Number, PackType::Number { .. })
            );
            let (packed, live) = (wanted.field_type.name(), field.ty().as_str());
            if fits {
                Ok((field, wanted.field_type))
            } else {
                Err(BindError::Type { field: name(), packed, live })
            }
        };
        pack.fields().iter().map(bind).collect::<Result<_, _>>().map(Self)
    }

    /// The values of a record in the order of the pack.
    pub(crate) fn values(&self, record: &Record<'_>, seed: &EntityHash, values: &mut Vec<Value>) {
        values.clear();
        values.extend(self.0.iter().map(|(field, ty)| value(record.cell(*field), *ty, seed)));
    }
}

fn value(cell: Cell<'_>, ty: PackType, seed: &EntityHash) -> Value {
    let entity = |bytes: &[u8]| Value::Entity(seed.of(bytes));
    match (cell, ty) {
        (Cell::Missing, _) => Value::Missing,
        (Cell::Bool(flag), _) => Value::Bool(flag),
        (Cell::Text(text), PackType::Category) => Value::Category(category(text)),
        (Cell::Text(text), _) => entity(text.as_bytes()),
        (Cell::Asn(asn), _) => entity(&asn.to_be_bytes()),
        (Cell::Destination(destination), _) => entity(&destination.bytes()),
        (Cell::Ip(ip), _) => match ip {
            std::net::IpAddr::V4(ip) => entity(&ip.octets()),
            std::net::IpAddr::V6(ip) => entity(&ip.octets()),
        },
        (Cell::IpNetwork(network), _) => match network.address() {
            std::net::IpAddr::V4(ip) => entity(&ip.octets()),
            std::net::IpAddr::V6(ip) => entity(&ip.octets()),
        },
        (Cell::Money(amount), PackType::Money { scale }) => Value::Money(minor(amount, scale)),
        (Cell::Money(amount), PackType::Number { decimals }) => number(amount.to_f64_lossy(), decimals),
        (Cell::Number(value), PackType::Number { decimals }) => number(value, decimals),
        // Ruled out when the pack was bound.
        (Cell::Money(_) | Cell::Number(_), _) => Value::Missing,
    }
}

/// Minor units, digits beyond the scale cut off, at the nearest end where there are too many.
fn minor(amount: Amount, scale: u32) -> i64 {
    let (mantissa, places) = amount.truncate(scale).parts();
    let shift = scale.saturating_sub(places);
    let most = i128::from(CELL_MAX);
    let scaled = 10_i128.checked_pow(shift).and_then(|factor| mantissa.checked_mul(factor));
    let scaled = scaled.unwrap_or(if mantissa < 0 { -most } else { most });
    i64::try_from(scaled.clamp(-most, most)).unwrap_or(CELL_MAX)
}

fn number(value: f64, decimals: u32) -> Value {
    if value.is_nan() {
        return Value::Missing;
    }
    let most = CELL_MAX as f64 / 10_f64.powi(i32::try_from(decimals).unwrap_or(0));
    Value::Number(value.clamp(-most, most))
}

/// The slots rules read: every field of the record, every feature, the scores and the time.
#[derive(Debug, Clone)]
pub(crate) struct RuleBinding {
    pub(crate) schema: Arc<Schema>,
    fields: Vec<(Field, SlotId)>,
    features: Vec<SlotId>,
    score: SlotId,
    anomaly: SlotId,
    at: SlotId,
}

impl RuleBinding {
    pub(crate) fn new(pack: &Pack) -> Result<Self, SchemaError> {
        let field = |field: &Field| {
            let ty = match field.ty() {
                FieldType::Bool => Type::Bool,
                FieldType::Category | FieldType::Entity => Type::String,
                FieldType::Money => Type::Money,
                FieldType::Number => Type::Double,
            };
            Slot::new(field.as_str(), ty).doc(field.doc())
        };
        let feature = |column: &features::Column| {
            Slot::new(&column.name, Type::Double).unit(&column.unit).doc(&column.doc)
        };
        let own = [
            Slot::new(SCORE_SLOT, Type::Double).doc("probability of fraud by the model"),
            Slot::new(ANOMALY_SLOT, Type::Double).doc("how unusual the event is, from 0 to 1"),
            Slot::new(TIME_SLOT, Type::Timestamp).doc("when it happened"),
        ];
        let slots = Field::ALL.iter().map(field).chain(pack.columns().iter().map(feature)).chain(own);
        let schema = Arc::new(Schema::new(slots.collect::<Vec<_>>())?);
        let id = |name: &str| schema.slot(name);
        let fields = Field::ALL.into_iter().filter_map(|field| Some((field, id(field.as_str())?))).collect();
        let features = pack.columns().iter().filter_map(|column| id(&column.name)).collect();
        // The three are in the schema that was just made of them.
        let own = [SCORE_SLOT, ANOMALY_SLOT, TIME_SLOT].map(id);
        let [Some(score), Some(anomaly), Some(at)] = own else {
            unreachable!("a slot of a schema is found in it")
        };
        Ok(Self { fields, features, score, anomaly, at, schema })
    }

    /// Fills the slots of an event. What does not fit, such as a text that is too long, is missing.
    pub(crate) fn fill(
        &self,
        slots: &mut Slots,
        record: &Record<'_>,
        row: &[f64],
        score: Option<f64>,
        anomaly: Option<f64>,
    ) {
        let set = |slots: &mut Slots, id: SlotId, value: rules::Value<'_>| {
            let _is_missing = slots.set(id, value).is_err();
        };
        slots.clear();
        for (field, id) in &self.fields {
            match record.cell(*field) {
                Cell::Missing => {}
                Cell::Bool(flag) => set(slots, *id, rules::Value::Bool(flag)),
                Cell::Text(text) => set(slots, *id, rules::Value::String(text)),
                Cell::Money(amount) => set(slots, *id, rules::Value::Money(amount)),
                Cell::Number(number) => set(slots, *id, rules::Value::Double(number)),
                Cell::Asn(asn) => set(slots, *id, rules::Value::String(&asn.to_string())),
                Cell::Ip(ip) => set(slots, *id, rules::Value::String(&ip.to_string())),
                Cell::IpNetwork(network) => set(slots, *id, rules::Value::String(&network.to_string())),
                Cell::Destination(destination) => {
                    set(slots, *id, rules::Value::String(&format!("{destination:?}")));
                }
            }
        }
        for (id, value) in self.features.iter().zip(row) {
            set(slots, *id, rules::Value::Double(*value));
        }
        for (id, value) in [(self.score, score), (self.anomaly, anomaly)] {
            if let Some(value) = value {
                set(slots, id, rules::Value::Double(value));
            }
        }
        set(slots, self.at, rules::Value::Timestamp(record.at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_cut_to_the_scale_and_never_overflow() {
        let minor = |text: &str, scale| minor(Amount::parse(text).unwrap(), scale);
        assert_eq!(minor("1.239", 2), 123);
        assert_eq!(minor("-1.239", 2), -123);
        assert_eq!(minor("5", 8), 500_000_000);
        assert_eq!(minor("79228162514264337593543950335", 18), CELL_MAX);
        assert_eq!(minor("-79228162514264337593543950335", 0), -CELL_MAX);
        assert_eq!(number(f64::NAN, 2), Value::Missing);
        assert_eq!(number(f64::INFINITY, 0), Value::Number(CELL_MAX as f64));
    }
}
