//! A feature pack in TOML, and the engine that follows whatever pack it is: neither panics, and the same calls give
//! the same state.
#![no_main]

use std::sync::Arc;

use domain::UnixNanos;
use features::{Engine, FieldType, Label, Limits, Pack, Record, Value};
use fuzz::edited_text;
use libfuzzer_sys::fuzz_target;

const CARD: &str = include_str!("../../crates/features/packs/card-handbook.toml");
/// Every kind of feature.
const EVERYTHING: &str = include_str!("../../crates/features/src/engine/tests/everything.toml");

fn digest(pack: &Arc<Pack>, seed: &[u8]) -> [u8; 32] {
    let limits = Limits { entities_max: 3, samples_max: 8, events_max: 16, labels_max: 16 };
    let mut engine = Engine::new(Arc::clone(pack), limits);
    let mut row = vec![0.0; pack.columns().len()];
    for (position, byte) in seed.iter().rev().take(40).enumerate() {
        let number = u64::from(*byte);
        let values: Vec<Value> = pack
            .fields()
            .iter()
            .map(|field| match field.field_type {
                _ if byte % 7 == 6 => Value::Missing,
                FieldType::Bool => Value::Bool(byte % 2 == 0),
                FieldType::Category => Value::Category(number % 3),
                FieldType::Entity => Value::Entity(number % 5),
                FieldType::Money { .. } => Value::Money(i64::from(*byte) - 100),
                _ => Value::Number(f64::from(*byte) / 8.0),
            })
            .collect();
        let position = position as u64;
        let at = UnixNanos::from_secs(1_000_000 + position * 60 + number % 90);
        let record = Record { position, at, id: position / 2 + number % 2, values: &values };
        let _stepped = engine.step(&record, &mut row).expect("the record fits the pack");
        let arrival = UnixNanos::from_secs(1_000_000 + position * 60 + number);
        let _full = engine.label(&Label { id: number % 40, is_fraud: byte % 3 == 0, arrival });
    }
    engine.digest()
}

fuzz_target!(|data: &[u8]| {
    let Some(text) = edited_text(&[CARD, EVERYTHING], data) else { return };
    let Ok(pack) = Pack::parse(&text) else { return };
    let pack = Arc::new(pack);
    assert_eq!(digest(&pack, data), digest(&pack, data));
});
