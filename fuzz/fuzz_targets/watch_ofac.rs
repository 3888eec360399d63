//! Lists of sanctioned addresses: an import is the same every time, and every address of it is found.
#![no_main]

use chain::segment::{Key, Segment};
use domain::UnixNanos;
use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use watch::{Format, ListName, SourceFile};

const TICKERS: [&str; 5] = ["XBT", "ETH", "TRX", "USDT", "XMR"];
const EXAMPLES: [&[u8]; 2] = [
    b"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa\r\n\nbc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4\n",
    b"0x52908400098527886E0F7030069857D2E4169EE7\nT9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb\n",
];

fuzz_target!(|data: &[u8]| {
    let Some((ticker, data)) = data.split_first() else { return };
    let ticker = Some(TICKERS[usize::from(*ticker) % TICKERS.len()].to_owned());
    let list = ListName::parse("ofac").expect("a valid name");
    let files = [SourceFile { name: "list.txt".to_owned(), bytes: edited(&EXAMPLES, data) }];
    let format = Format::Ofac { ticker };
    let Ok((bytes, report)) = watch::fuzz::build(&list, &format, &files, UnixNanos(7)) else { return };
    let (again, _) = watch::fuzz::build(&list, &format, &files, UnixNanos(7)).expect("the same outcome");
    assert_eq!(bytes, again);
    let segment = Segment::parse(bytes.as_slice()).expect("a segment");
    assert_eq!(segment.verify(), Ok(()));
    assert!(report.addresses + report.texts <= report.entries);
    for line in files[0].bytes.split(|byte| *byte == b'\n') {
        let line = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).expect("checked before");
        let line = line.to_owned();
        if !line.is_empty() {
            let found = match chain::address::decode_any(&line) {
                Ok(address) => {
                    segment.labels(Key::Address(&address)).count() + segment.labels(Key::Text(&line)).count()
                }
                Err(_) => match chain::address::decode_any(&line.to_ascii_lowercase()) {
                    Ok(address) => segment.labels(Key::Address(&address)).count(),
                    Err(_) => segment.labels(Key::Text(&line)).count(),
                },
            };
            assert!(found > 0, "{line:?} is not found");
        }
    }
});
