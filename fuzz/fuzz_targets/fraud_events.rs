//! Mappings and recorded events: any text is a mapping or a list of faults with places, any bytes are events and dead
//! letters, one for each row, whatever the mapping.
#![no_main]

use fraud::{
    mapping::{Event, Mapping, TEXT_BYTES_MAX, VALUE_BYTES_MAX, Value},
    stream::{Events, Next},
};
use libfuzzer_sys::fuzz_target;

const MAPPING: &str = r#"
version = 1
time = { column = "t", unit = "s", origin = "2018-04-01T00:00:00Z" }
id = { column = "id" }
label = { column = "fraud", positive = ["1"], negative = ["0"], delay = "7d" }
[field]
subject = { type = "entity", column = "who" }
amount = { type = "money", column = "amount", scale = 2 }
minor = { type = "money", column = "amount", form = "minor", optional = true }
ratio = { type = "number", column = "who", optional = true }
flag = { type = "bool", column = "who" }
kind = { type = "category", value = "card" }
"#;

/// Reads all of `csv`; every event is within its bounds.
fn read(mapping: &Mapping, csv: &[u8]) {
    let Ok(mut events) = Events::open(csv, mapping) else { return };
    let (mut event, mut rows) = (Event::default(), 0_usize);
    loop {
        match events.next(&mut event).expect("memory can be read") {
            Next::End => break,
            Next::Dead(letter) => {
                assert!(!letter.reason.to_string().is_empty() && letter.line >= 1);
            }
            Next::Event => {
                assert_eq!(event.values.len(), mapping.fields.len());
                assert!(!event.id().is_empty() && event.id().len() <= VALUE_BYTES_MAX);
                for (field, value) in event.values.iter().enumerate() {
                    match value {
                        Value::Number(number) => assert!(number.is_finite()),
                        Value::Text(_) => assert!(event.text(field).is_some_and(|text| !text.is_empty())),
                        _ => {}
                    }
                }
            }
        }
        rows += 1;
        assert!(rows <= csv.iter().filter(|byte| **byte == b'\n').count() + 1);
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((way, data)) = data.split_first() else { return };
    let known = Mapping::parse(MAPPING).expect("the mapping of this target");
    if way % 2 == 0 {
        let mut csv = b"id,t,who,amount,fraud\n".to_vec();
        csv.extend_from_slice(data);
        read(&known, &csv);
        return;
    }
    // A mapping and a file, with a zero byte between.
    let at = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let Ok(text) = std::str::from_utf8(&data[..at]) else { return };
    match Mapping::parse(text) {
        Ok(mapping) => {
            assert!(text.len() <= TEXT_BYTES_MAX);
            read(&mapping, data.get(at + 1..).unwrap_or_default());
        }
        Err(errors) => {
            assert!(!errors.0.is_empty() && errors.0.iter().all(|fault| !fault.message.is_empty()))
        }
    }
});
