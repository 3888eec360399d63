//! HTTP/2 byte streams: every frame is found where a plain reader finds it, no cut of the stream changes the verdict,
//! and a verdict stays.
#![no_main]

use std::sync::Arc;

use admission::frames::{FrameBudget, FrameCounts, PREFACE, Violation};
use domain::UnixNanos;
use fuzz::Choices;
use libfuzzer_sys::fuzz_target;

const NOW: UnixNanos = UnixNanos::from_secs(1_000);

/// A stream that begins as one does, of frames and now and then of anything.
fn stream(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut stream = PREFACE.to_vec();
    while !choices.is_empty() && stream.len() < 1 << 20 {
        let (kind, flags, id) = (choices.byte() % 20, choices.byte(), choices.byte() % 16);
        let length = match choices.byte() {
            length @ 0..=200 => usize::from(length),
            201..=240 => choices.below(16_500),
            _ => {
                let length = usize::from(choices.byte());
                stream.extend(choices.bytes(length));
                continue;
            }
        };
        stream.extend([0, (length >> 8) as u8, (length & 0xff) as u8, kind, flags, 0, 0, 0, id]);
        let payload = choices.bytes(length.min(6));
        stream.extend(payload);
        stream.extend(std::iter::repeat_n(0, length - payload.len()));
    }
    stream
}

fn judge(pieces: &[&[u8]]) -> (Result<(), Violation>, FrameCounts) {
    let mut budget = FrameBudget::new(Arc::default());
    for piece in pieces {
        if let Err(violation) = budget.received(piece, NOW) {
            assert_eq!(budget.received(b"", NOW), Err(violation), "a verdict stays");
            return (Err(violation), budget.counts());
        }
    }
    (Ok(()), budget.counts())
}

/// Frame headers, found by adding up lengths.
fn n_frames(stream: &[u8]) -> u64 {
    let (mut at, mut frames) = (PREFACE.len(), 0);
    while let Some(head) = stream.get(at..at + 9) {
        at += 9 + usize::from(head[0]) * 65_536 + usize::from(head[1]) * 256 + usize::from(head[2]);
        frames += 1;
    }
    frames
}

fuzz_target!(|data: &[u8]| {
    let mut choices = Choices::new(data);
    let places: [u8; 4] = choices.array();
    let stream = stream(&mut choices);
    let whole = judge(&[&stream]);
    let mut cuts: Vec<usize> = places.iter().map(|place| usize::from(*place) * stream.len() / 255).collect();
    cuts.extend([0, stream.len()]);
    cuts.sort_unstable();
    let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
    assert_eq!(judge(&pieces), whole);
    assert_eq!(judge(&stream.chunks(1).collect::<Vec<_>>()), whole);
    match whole.0 {
        Ok(()) => assert_eq!(whole.1.frames, n_frames(&stream)),
        Err(_) => assert!(whole.1.frames <= n_frames(&stream)),
    }

    // The other direction has no preface and may be anything.
    let mut budget = FrameBudget::new(Arc::default());
    let sent = budget.sent(&stream, NOW);
    let mut cut = FrameBudget::new(Arc::default());
    assert_eq!(pieces.iter().try_for_each(|piece| cut.sent(piece, NOW)), sent);
});
