//! `expTime`: what is accepted is a number of milliseconds ahead, and holds until that very moment.
#![no_main]

use domain::UnixNanos;
use fuzz::{Choices, edited_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (times, text) = data.split_at(data.len().min(17));
    let mut choices = Choices::new(times);
    let now = UnixNanos(choices.number());
    let later = UnixNanos(choices.number().max(now.0));
    let example = (now.0 / 1_000_000).saturating_add(1).to_string();
    let Some(text) = edited_text(&["1795341600000", &example, "18446744073709"], text) else { return };
    let millis = text.parse::<u128>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let deadline = millis.map(|millis| millis.saturating_mul(1_000_000));
    let at = deadline.and_then(|at| u64::try_from(at).ok());
    let code = gateway::fuzz::exp_time(&text, now, later).map_err(|refusal| refusal.code());
    let expected = match at {
        None => Err("51000"),
        Some(at) if at <= now.0 => Err("50036"),
        Some(at) if at <= later.0 => Err("50037"),
        Some(_) => Ok(()),
    };
    assert_eq!(code, expected, "{text:?} at {now:?}");
});
