//! Backup manifests with a digest that matches: what is accepted is its own text and names no path outside.
#![no_main]

use std::fmt::Write as _;

use backup::Manifest;
use fuzz::edited_text;
use libfuzzer_sys::fuzz_target;

const EXAMPLE: &str = "caponier-backup v1\ninstallation abc\nshipped_at 2026-11-22T10:00:00.000Z\nentries 7\nroot 0303030303030303030303030303030303030303030303030303030303030303\nsegment 99 journal/00000000000000000000.seg\nfile 128 0404040404040404040404040404040404040404040404040404040404040404 keys/table\n";

fuzz_target!(|data: &[u8]| {
    let Some((plain, data)) = data.split_first() else { return };
    let Some(mut text) = edited_text(&[EXAMPLE], data) else { return };
    if *plain < 224 {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let digest = crypto::sha256(&[text.as_bytes()]);
        text.push_str("sha256 ");
        digest.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a string takes everything"));
        text.push('\n');
    }
    let Ok(manifest) = Manifest::parse(&text) else { return };
    assert_eq!(Manifest::parse(&manifest.format()).as_ref(), Ok(&manifest));
    assert_eq!(manifest.format(), text, "one manifest, one text");
    let paths =
        manifest.segments.iter().map(|line| &line.path).chain(manifest.files.iter().map(|line| &line.path));
    for path in paths {
        let path = std::path::Path::new(path);
        assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))), "{path:?}");
    }
});
