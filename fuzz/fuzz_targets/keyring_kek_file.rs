//! KEK files: what is accepted is the one text of its keys.
#![no_main]

use std::sync::LazyLock;

use fuzz::edited_text;
use keyring::KekFile;
use libfuzzer_sys::fuzz_target;

/// One version, and two.
static EXAMPLES: LazyLock<[String; 2]> = LazyLock::new(|| {
    let one = KekFile::generate([1; 32]);
    let two = one.begin_rotation([2; 32]).expect("a version is left");
    [one.to_text().expose().clone(), two.to_text().expose().clone()]
});

fuzz_target!(|data: &[u8]| {
    let Some(text) = edited_text(&[&EXAMPLES[0], &EXAMPLES[1]], data) else { return };
    if let Ok(file) = KekFile::parse(&text) {
        assert_eq!(*file.to_text().expose(), text);
    }
    if let Some(random) = data.first_chunk() {
        let text = KekFile::generate(*random).to_text();
        let read = KekFile::parse(text.expose()).expect("what is written can be read");
        assert_eq!(read.to_text().expose(), text.expose());
    }
});
