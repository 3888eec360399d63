//! TagPacks: an import is the same every time, and what it builds is a whole segment.
#![no_main]

use chain::segment::Segment;
use domain::UnixNanos;
use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use watch::{Format, ListName, SourceFile, UNDECODABLE_MAX};

const EXAMPLES: [&[u8]; 2] = [
    b"title: pack\ncreator: somebody\nlastmod: 2021-04-21\nlabel: Scam\nsource: https://a.example/\ncurrency: BTC\nabuse: scam\nconfidence: web_crawl\ntags:\n- address: 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa\n- address: 0x52908400098527886E0F7030069857D2E4169EE7\n  network: ETH\n  concepts: [mixing_service, \"market\"]\n",
    b"---\n# comment\n{title: a, network: TRX, tags: [{address: T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb, label: 'x', category: exchange}, {tx_hash: ab, label: y}]}\n...\n",
];

fuzz_target!(|data: &[u8]| {
    let list = ListName::parse("pack").expect("a valid name");
    let files = [SourceFile { name: "pack.yaml".to_owned(), bytes: edited(&EXAMPLES, data) }];
    let import = || watch::fuzz::build(&list, &Format::TagPack, &files, UnixNanos(7));
    match import() {
        Ok((bytes, report)) => {
            assert_eq!(import().ok(), Some((bytes.clone(), report.clone())), "the same every time");
            let segment = Segment::parse(bytes.as_slice()).expect("a segment");
            assert_eq!(segment.verify(), Ok(()));
            assert_eq!(segment.address_count() as u64, report.addresses);
            assert!(report.undecodable_first.len() <= UNDECODABLE_MAX);
            assert!(report.transactions_skipped + report.undecodable <= report.entries);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
