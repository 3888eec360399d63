//! Screenings: what is accepted is bounded, and one line alone is accepted as it is among others.
#![no_main]

use fuzz::edited;
use libfuzzer_sys::fuzz_target;

const EXAMPLES: [&[u8]; 2] = [
    br#"{"address":"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed","network":"ethereum","reference":"wd-17"}"#,
    b"{\"address\":\"T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb\"}\n\n{\"address\":7}\n",
];

fuzz_target!(|data: &[u8]| {
    let body = edited(&EXAMPLES, data);
    if let Some(lines) = api::fuzz::screen(&body, true) {
        assert!(lines.len() <= api::limits::SCREEN_LINES_MAX);
    }
    let (one, many) = (api::fuzz::screen(&body, false), api::fuzz::screen(&body, true));
    if let (Some(one), Some(many)) = (one, many)
        && !body.contains(&b'\n')
        && !many.is_empty()
    {
        assert_eq!(many, one);
    }
});
