//! Tables: an import is the same every time, and every address of a plain table is found.
#![no_main]

use chain::segment::Segment;
use domain::UnixNanos;
use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use watch::{Format, ListName, SourceFile, UNDECODABLE_MAX};

const FORMAT: &str = "csv:address=address,network=network,category=category,label=label,last_seen=seen";
const EXAMPLES: [&[u8]; 2] = [
    b"address,network,category,label,seen\n1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa,BTC,scam,\"a, \"\"b\"\"\",2024-01-02\n",
    b"seen,label,category,network,address\r\n\r\n2024-01-02T03:04:05Z,,exchange,eth,0x52908400098527886E0F7030069857D2E4169EE7\r\n",
];

fuzz_target!(|data: &[u8]| {
    let list = ListName::parse("table").expect("a valid name");
    let format: Format = FORMAT.parse().expect("a valid format");
    let files = [SourceFile { name: "table.csv".to_owned(), bytes: edited(&EXAMPLES, data) }];
    let import = || watch::fuzz::build(&list, &format, &files, UnixNanos(7));
    match import() {
        Ok((bytes, report)) => {
            assert_eq!(import().ok(), Some((bytes.clone(), report.clone())), "the same every time");
            let segment = Segment::parse(bytes.as_slice()).expect("a segment");
            assert_eq!(segment.verify(), Ok(()));
            assert_eq!(segment.address_count() as u64, report.addresses);
            assert_eq!(segment.entries().count() as u64, report.addresses + report.texts);
            assert!(report.undecodable_first.len() <= UNDECODABLE_MAX);
            assert!(report.addresses + report.texts <= report.entries);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
