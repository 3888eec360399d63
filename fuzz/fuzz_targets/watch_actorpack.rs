//! Packs of actors beside a pack of tags: an import is the same every time, and actors add no address.
#![no_main]

use chain::segment::Segment;
use domain::UnixNanos;
use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use watch::{Format, ListName, SourceFile};

const ACTORS: &[u8] = b"%YAML 1.1\n---\ntitle: Actors\nactors:\n- id: '01'\n  label: Zero One\n  jurisdictions: []\n  categories:\n  - defi_dex\n  - exchange\n  uri: 01.example\n  context:\n    refs:\n    - a\n- id: two\n  label: Two\n";
const TAGS: &str =
    "title: Tags\ncurrency: BTC\nactor: '01'\ntags:\n- address: 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa\n";

fuzz_target!(|data: &[u8]| {
    let list = ListName::parse("tags").expect("a valid name");
    let tags = SourceFile { name: "tags.yaml".to_owned(), bytes: TAGS.into() };
    let actors = SourceFile { name: "actors.yaml".to_owned(), bytes: edited(&[ACTORS], data) };
    let files = [actors, tags];
    let build = || watch::fuzz::build(&list, &Format::TagPack, &files, UnixNanos(7));
    let Ok((bytes, _)) = build() else {
        assert!(build().is_err(), "the same outcome");
        return;
    };
    assert_eq!(bytes, build().expect("the same outcome").0);
    let segment = Segment::parse(bytes.as_slice()).expect("a segment");
    assert_eq!(segment.verify(), Ok(()));
    assert!(segment.address_count() >= 1);
});
