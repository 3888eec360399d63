//! The JSON files of the `ScamSniffer` database: an import is the same every time.
#![no_main]

use chain::segment::Segment;
use domain::UnixNanos;
use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use watch::{Format, ListName, SourceFile};

const EXAMPLES: [&[u8]; 2] = [
    b"[\"0x52908400098527886E0F7030069857D2E4169EE7\", \"junk\"]",
    b"{\"a.example\": [\"0x52908400098527886E0F7030069857D2E4169EE7\"], \"b.example\": []}",
];

fuzz_target!(|data: &[u8]| {
    let list = ListName::parse("scams").expect("a valid name");
    let files = [SourceFile { name: "combined.json".to_owned(), bytes: edited(&EXAMPLES, data) }];
    let import = || watch::fuzz::build(&list, &Format::ScamSniffer, &files, UnixNanos(7));
    match import() {
        Ok((bytes, report)) => {
            assert_eq!(import().ok(), Some((bytes.clone(), report.clone())), "the same every time");
            let segment = Segment::parse(bytes.as_slice()).expect("a segment");
            assert_eq!(segment.verify(), Ok(()));
            assert_eq!(segment.entries().count() as u64, report.addresses + report.texts);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
