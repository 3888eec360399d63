//! Frames sent to an HTTP/2 client, however they are cut: a reader that has all of them finds the same.
#![no_main]

use fuzz::Choices;
use libfuzzer_sys::fuzz_target;

const GOAWAY: u8 = 7;

/// Whether a whole `GOAWAY` with an error is there, and whether a frame may begin at the end.
fn naive(mut stream: &[u8]) -> (bool, bool) {
    let mut gave_up = false;
    while stream.len() >= 9 {
        let (head, rest) = stream.split_at(9);
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = &rest[..length.min(rest.len())];
        gave_up |= head[3] == GOAWAY && payload.len() >= 8 && payload[4..8] != [0; 4];
        if rest.len() < length {
            return (gave_up, false);
        }
        stream = &rest[length..];
    }
    (gave_up, stream.is_empty())
}

fuzz_target!(|data: &[u8]| {
    let mut choices = Choices::new(data);
    let mut stream = Vec::new();
    for _ in 0..choices.byte() % 8 {
        let kind = if choices.byte() % 2 == 0 { GOAWAY } else { choices.byte() };
        let payload = choices.below(24);
        let payload = choices.bytes(payload);
        let length = u32::try_from(payload.len()).expect("a few bytes").to_be_bytes();
        stream.extend_from_slice(&length[1..]);
        stream.extend_from_slice(&[kind, choices.byte(), 0, 0, 0, choices.byte()]);
        stream.extend_from_slice(payload);
    }
    let cut = 1 + usize::from(choices.byte());
    stream.extend_from_slice(choices.rest());
    let expected = naive(&stream);
    assert_eq!(gateway::fuzz::goaway(stream.chunks(cut)), expected);
    assert_eq!(gateway::fuzz::goaway([&stream[..]]), expected);
});
