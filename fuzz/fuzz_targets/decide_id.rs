//! Decision ids: only those of the installation are accepted, in their one spelling.
#![no_main]

use crypto::MacKey;
use decide::DecisionIds;
use fuzz::{Choices, edited_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let ids = DecisionIds::new(MacKey::new(b"one"));
    let position = Choices::new(data).number();
    let id = ids.id(position);
    assert_eq!(ids.position(id.as_str()), Ok(position));
    let Some(text) = edited_text(&[id.as_str()], data) else { return };
    if let Ok(position) = ids.position(&text) {
        assert_eq!(ids.id(position).as_str(), text);
    }
});
