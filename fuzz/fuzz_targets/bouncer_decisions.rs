//! Ban lists in JSON: what is read as bans is written and read again the same.
#![no_main]

use bouncer::{Ban, Command, decisions};
use fuzz::edited_text;
use libfuzzer_sys::fuzz_target;

const ALL: &str = r#"[{"duration":"3h59m52.5s","id":1,"origin":"cscli","scenario":"manual 'ban'","scope":"Ip","type":"ban","value":"203.0.113.7"},{"duration":"1.5h","origin":"lists","scenario":"tor","scope":"Range","type":"ban","value":"2001:db8::/48"}]"#;
const STREAM: &str = r#"{"new":[{"duration":"90ms","origin":"CAPI","scenario":"s","scope":"range","type":"Ban","value":"198.51.100.0/24"}],"deleted":[{"scope":"Ip","type":"ban","value":"::2"}]}"#;

fuzz_target!(|data: &[u8]| {
    let Some(text) = edited_text(&[ALL, STREAM], data) else { return };
    let Ok(read) = decisions::read(&text) else { return };
    let bans: Vec<Ban> = read.new.iter().map(decisions::Decision::to_ban).collect();
    for ban in &bans {
        let command = Command::Add(ban.clone());
        assert_eq!(Command::parse(&command.to_string()), Ok(command));
    }
    let again = decisions::read(&decisions::write(&bans)).unwrap();
    assert_eq!((again.n_skipped, again.deleted.len()), (0, 0));
    let written: Vec<_> = again.new.iter().map(|decision| (decision.prefix, decision.seconds)).collect();
    let expected: Vec<_> = bans.iter().map(|ban| (ban.prefix, u64::from(ban.ttl.seconds()))).collect();
    assert_eq!(written, expected);
});
