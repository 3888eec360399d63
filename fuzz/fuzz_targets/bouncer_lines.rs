//! Lines to the bouncer and back: one spelling; what they do to the table stays within bounds, never touches the
//! never-ban list, and puts nothing but numbers and addresses into a script.
#![no_main]

use std::time::Duration;

use bouncer::{Command, Limits, NeverBan, Prefix, Setup, Table, protocol::Reply};
use domain::UnixNanos;
use fuzz::edited_text;
use libfuzzer_sys::fuzz_target;

const GOOD: &str = "add 203.0.113.7 600 scan\nadd 203.0.113.0/24 60 scan\nremove 203.0.113.7\nlist\napply\n\
                    add 2001:db8::/48 3600 a\nadd 192.0.2.1 5 x\nflush\nadd 203.0.113.128/25 9 y\napply\n\
                    applied 1 2 3 4\nrefused 0 covered\nban 1.2.3.4 5 x\nfailed no\n";

fuzz_target!(|data: &[u8]| {
    let Some(text) = edited_text(&[GOOD], data) else { return };
    let mut never = NeverBan::default();
    never.add("192.0.2.0/24").unwrap();
    let limits = Limits { entries_max: 8, new_per_second: 4, new_burst: 16 };
    let mut now = UnixNanos::from_secs(1_000);
    let mut table = Table::new(limits, Setup { never: never.clone(), syn_per_second: None }, now);
    let mut batch = Vec::new();
    for line in text.lines() {
        if let Some(reply) = Reply::parse(line) {
            if !matches!(reply, Reply::Error(_) | Reply::Failed(_)) {
                assert_eq!(Reply::parse(&reply.to_string()), Some(reply));
            }
        }
        match Command::parse(line) {
            Ok(Command::Apply) => {
                let outcome = table.batch(&std::mem::take(&mut batch), now);
                assert!(table.len() <= limits.entries_max);
                let words = outcome.script.split(|char: char| char.is_whitespace() || ",{}".contains(char));
                for word in words.filter(|word| !word.is_empty()) {
                    let known = ["add", "delete", "flush", "set", "element", "inet", "caponier", "timeout"];
                    let set = ["ban4", "ban6", "net4", "net6"].contains(&word);
                    let seconds = word.strip_suffix('s').is_some_and(|number| number.parse::<u32>().is_ok());
                    assert!(known.contains(&word) || set || seconds || Prefix::parse(word).is_ok(), "{word}");
                }
                assert!(table.bans(now).all(|ban| !never.protects(&ban.prefix)));
                now = now.plus(Duration::from_secs(1));
            }
            Ok(command) => {
                assert_eq!(Command::parse(&command.to_string()).as_ref(), Ok(&command));
                batch.push(Ok(command));
            }
            Err(error) => batch.extend(error.refusal().map(Err)),
        }
    }
});
