//! Sanctions lists in XML: an import is the same every time, whole, and no longer than what the file names.
#![no_main]

use chain::segment::Segment;
use domain::UnixNanos;
use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use watch::{Format, ListName, SourceFile};

const EXAMPLES: [&[u8]; 2] = [
    b"<?xml version=\"1.0\"?><sdnList><publshInformation><Publish_Date>09/27/2024</Publish_Date></publshInformation><sdnEntry><uid>7</uid><lastName>A &amp; B</lastName><programList><program>CYBER2</program></programList><idList><id><idType>Digital Currency Address - XBT</idType><idNumber>1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa</idNumber></id><id><idType>Digital Currency Address - ETH</idType><idNumber>0x52908400098527886E0F7030069857D2E4169EE7</idNumber></id></idList></sdnEntry></sdnList>",
    b"<Sanctions><DateOfIssue><Year>2024</Year><Month>9</Month><Day>27</Day></DateOfIssue><ReferenceValueSets><FeatureTypeValues><FeatureType ID=\"344\">Digital Currency Address - TRX</FeatureType></FeatureTypeValues></ReferenceValueSets><DistinctParties><DistinctParty FixedRef=\"1\"><Profile><Identity><Alias><DocumentedName><DocumentedNamePart><NamePartValue>X</NamePartValue></DocumentedNamePart></DocumentedName></Alias></Identity><Feature FeatureTypeID=\"344\"><FeatureVersion><VersionDetail>T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb</VersionDetail></FeatureVersion></Feature></Profile></DistinctParty></DistinctParties></Sanctions>",
];

fuzz_target!(|data: &[u8]| {
    let list = ListName::parse("sdn").expect("a valid name");
    let files = [SourceFile { name: "SDN.XML".to_owned(), bytes: edited(&EXAMPLES, data) }];
    let build = || watch::fuzz::build(&list, &Format::OfacXml, &files, UnixNanos(7));
    let Ok((bytes, report)) = build() else {
        assert!(build().is_err(), "the same outcome");
        return;
    };
    assert_eq!(bytes, build().expect("the same outcome").0);
    let segment = Segment::parse(bytes.as_slice()).expect("a segment");
    assert_eq!(segment.verify(), Ok(()));
    assert!(report.addresses + report.texts <= report.entries);
});
