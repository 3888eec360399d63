use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const NOW: UnixNanos = UnixNanos::from_secs(1_000);

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn connection() -> FrameBudget {
    let mut budget = FrameBudget::new(Arc::default());
    budget.received(PREFACE, NOW).unwrap();
    budget.received(&frame(kind::SETTINGS, 0, 0, &[0; 18]), NOW).unwrap();
    budget
}

/// Sends what `nth` gives until it is refused; how many were let through, and why no more.
fn flood(mut nth: impl FnMut(u32) -> Vec<u8>) -> (u32, Violation) {
    let mut budget = connection();
    for i in 0..20_000 {
        // A flood at 100,000 frames in a second.
        let now = UnixNanos(NOW.0 + u64::from(i) * 10_000);
        if let Err(violation) = budget.received(&nth(i), now) {
            assert_eq!(budget.received(b"", now), Err(violation), "a violation stays");
            assert_eq!(budget.sent(b"", now), Err(violation));
            return (i, violation);
        }
    }
    panic!("20,000 frames passed");
}

/// The nine floods against which stock servers were measured, and the variants of them.
#[test]
fn floods_end_within_two_thousand_frames() {
    let headers = |i: u32| frame(kind::HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, &[0x82]);
    let rst = |i: u32| frame(kind::RST_STREAM, 0, 2 * i + 1, &8_u32.to_be_bytes());
    let cases: [(Violation, u32, (u32, Violation)); 12] = [
        (Violation::RapidReset, 101, flood(|i| [headers(i), rst(i)].concat())),
        (Violation::SettingsFlood, 51, flood(|_| frame(kind::SETTINGS, 0, 0, &[]))),
        (Violation::SettingsFlood, 51, flood(|_| frame(kind::SETTINGS, ACK, 0, &[]))),
        (Violation::PingFlood, 101, flood(|_| frame(kind::PING, 0, 0, &[7; 8]))),
        (Violation::PriorityFlood, 101, flood(|_| frame(kind::PRIORITY, 0, 1, &[0; 5]))),
        (Violation::PriorityFlood, 101, flood(|_| frame(kind::PRIORITY_UPDATE, 0, 0, &[0; 5]))),
        (Violation::EmptyDataFlood, 101, flood(|_| frame(kind::DATA, 0, 1, &[]))),
        (Violation::EmptyDataFlood, 101, flood(|_| frame(kind::DATA, PADDED, 1, &[7, 0, 0, 0, 0, 0, 0, 0]))),
        (Violation::SmallDataFlood, 1_010, flood(|_| frame(kind::DATA, 0, 1, b"x"))),
        (Violation::WindowUpdateFlood, 1_012, flood(|_| frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]))),
        (Violation::UnknownFrameFlood, 101, flood(|i| frame(0xb + u8::try_from(i % 5).unwrap(), 0, 0, &[0]))),
        (
            Violation::LateFieldSectionFlood,
            102,
            flood(|_| frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &[0x82])),
        ),
    ];
    for (expected, at_most, (passed, violation)) in cases {
        assert_eq!(violation, expected);
        assert!(passed <= at_most, "{violation:?}: {passed} frames passed");
    }
}

#[test]
fn one_frame_is_enough_for_these() {
    let cases = [
        (Violation::ContinuationWithoutStart, frame(kind::CONTINUATION, 0, 1, b"x")),
        (Violation::FieldSectionTooLong, {
            [frame(kind::HEADERS, 0, 1, &[0; 9_000]), frame(kind::CONTINUATION, 4, 1, &[0; 9_000])].concat()
        }),
        (Violation::FieldSectionInterrupted, {
            [frame(kind::HEADERS, 0, 1, &[0x82]), frame(kind::PING, 0, 0, &[0; 8])].concat()
        }),
        (Violation::FieldSectionInterrupted, {
            [frame(kind::HEADERS, 0, 1, &[0x82]), frame(kind::CONTINUATION, 4, 3, &[0])].concat()
        }),
        (Violation::FrameTooLong, frame(kind::DATA, 0, 1, &[0; 16_385])),
        (Violation::FrameTooLong, frame(0xfe, 0, 1, &[0; 16_385])),
        (Violation::PushFromClient, frame(kind::PUSH_PROMISE, 4, 1, &[0, 0, 0, 2])),
        (Violation::SettingsTooLong, frame(kind::SETTINGS, 0, 0, &[0; 246])),
        (Violation::WindowUpdateZero, frame(kind::WINDOW_UPDATE, 0, 1, &[0; 4])),
        (Violation::WindowUpdateZero, frame(kind::WINDOW_UPDATE, 0, 0, &[0x80, 0, 0, 0])),
    ];
    for (expected, bytes) in cases {
        assert_eq!(connection().received(&bytes, NOW), Err(expected));
    }
    let mut budget = FrameBudget::new(Arc::default());
    assert_eq!(budget.received(b"PRI * HTTP/1.1\r\n", NOW), Err(Violation::PrefaceWrong));
}

#[test]
fn a_field_section_comes_in_few_pieces() {
    let (passed, violation) = flood(|i| match i {
        0 => frame(kind::HEADERS, 0, 1, &[0x82]),
        _ => frame(kind::CONTINUATION, 0, 1, &[]),
    });
    assert_eq!((passed, violation), (17, Violation::ContinuationFlood));
    let mut budget = connection();
    budget.received(&frame(kind::HEADERS, 0, 1, &[0; 8_000]), NOW).unwrap();
    assert!(budget.is_within_head());
    budget.received(&frame(kind::CONTINUATION, END_HEADERS, 1, &[0; 8_384]), NOW).unwrap();
    assert!(!budget.is_within_head());
    assert_eq!(budget.counts().streams, 1);
}

/// Below the rate, resetting half of all streams ends after 500, and any habit after 10,000.
#[test]
fn patient_resetters_are_counted_over_the_life_of_the_connection() {
    let run = |streams_per_reset: u32| {
        let mut budget = connection();
        for i in 0..20_000_u32 {
            let now = NOW.plus(std::time::Duration::from_millis(20) * i);
            for j in 0..streams_per_reset {
                let id = 2 * (i * streams_per_reset + j) + 1;
                budget.received(&frame(kind::HEADERS, 5, id, &[0x82]), now).unwrap();
            }
            if let Err(violation) = budget.received(&frame(kind::RST_STREAM, 0, 2 * i + 1, &[0; 4]), now) {
                return (budget.counts().resets, violation);
            }
        }
        panic!("20,000 resets passed");
    };
    assert_eq!(run(1), (501, Violation::RapidReset));
    assert_eq!(run(3), (10_001, Violation::ResetLifetime));
}

#[test]
fn resets_that_the_client_provokes_are_counted_and_others_are_not() {
    let run = |code: u32| {
        let mut budget = connection();
        let reset = frame(kind::RST_STREAM, 0, 1, &code.to_be_bytes());
        (0..20_000).find_map(|i| budget.sent(&reset, NOW).err().map(|violation| (i, violation)))
    };
    for provoked in [1, 3, 5, 6, 11] {
        assert_eq!(run(provoked), Some((100, Violation::MadeYouReset)));
    }
    assert_eq!(run(7), Some((1_000, Violation::StreamFlood)));
    for own in [0, 2, 8] {
        assert_eq!(run(own), None);
    }
}

#[test]
fn labels_are_distinct_and_listed_in_order() {
    let labels: BTreeSet<_> = Violation::ALL.iter().map(|violation| violation.label()).collect();
    assert_eq!(labels.len(), Violation::ALL.len());
    assert!(Violation::ALL.is_sorted());
    assert!(labels.iter().all(|label| label.starts_with("h2_")));
}

/// How an honest client behaves, as seen in recordings of h2load, curl and httpx.
struct Client {
    /// Requests under way at once.
    streams_max: u32,
    /// Bytes that it lets come before it updates a window; 0: at every DATA frame, both windows, as hyper-h2 does.
    update_every_bytes: u32,
    body_bytes: u32,
    answer_bytes: u32,
    answer_frame_bytes: u32,
    /// Sends END_STREAM in an empty DATA frame of its own.
    ends_apart: bool,
}

impl Client {
    fn run(&self, n_requests: u32, nanos_per_request: u64) -> FrameCounts {
        let mut budget = FrameBudget::new(Arc::default());
        budget.received(PREFACE, NOW).unwrap();
        budget.received(&frame(kind::SETTINGS, 0, 0, &[0; 18]), NOW).unwrap();
        budget.received(&frame(kind::WINDOW_UPDATE, 0, 0, &[0, 1, 0, 0]), NOW).unwrap();
        // As nghttp2 did for years: a tree of idle streams.
        for idle in [3, 5, 7, 9, 11] {
            budget.received(&frame(kind::PRIORITY, 0, idle, &[0; 5]), NOW).unwrap();
        }
        budget.sent(&frame(kind::SETTINGS, 0, 0, &[0; 30]), NOW).unwrap();
        budget.received(&frame(kind::SETTINGS, ACK, 0, &[]), NOW).unwrap();
        let mut unreported = 0;
        for first in (0..n_requests).step_by(self.streams_max as usize) {
            let now = UnixNanos(NOW.0 + u64::from(first) * nanos_per_request);
            let streams = first..n_requests.min(first + self.streams_max);
            for id in streams.clone().map(|i| 2 * i + 13) {
                let has_body = self.body_bytes > 0;
                let end = if has_body { 0 } else { END_STREAM };
                budget.received(&frame(kind::HEADERS, END_HEADERS | end, id, &[0x82; 60]), now).unwrap();
                if has_body {
                    let body = vec![0; self.body_bytes as usize];
                    let end = if self.ends_apart { 0 } else { END_STREAM };
                    budget.received(&frame(kind::DATA, end, id, &body), now).unwrap();
                }
                if has_body && self.ends_apart {
                    budget.received(&frame(kind::DATA, END_STREAM, id, &[]), now).unwrap();
                }
            }
            for id in streams.map(|i| 2 * i + 13) {
                budget.sent(&frame(kind::HEADERS, END_HEADERS, id, &[0x88; 40]), now).unwrap();
                let mut left = self.answer_bytes;
                let mut updates = Vec::new();
                while left > 0 {
                    let bytes = left.min(self.answer_frame_bytes);
                    left -= bytes;
                    unreported += bytes;
                    budget.sent(&frame(kind::DATA, 0, id, &vec![0; bytes as usize]), now).unwrap();
                    if unreported > self.update_every_bytes {
                        let update = unreported.to_be_bytes();
                        unreported = 0;
                        updates.extend(frame(kind::WINDOW_UPDATE, 0, 0, &update));
                        updates.extend(frame(kind::WINDOW_UPDATE, 0, id, &update));
                    }
                }
                budget.received(&updates, now).unwrap();
            }
            if first % 1_000 == 0 {
                budget.received(&frame(kind::PING, 0, 0, &[0; 8]), now).unwrap();
            }
        }
        budget.counts()
    }
}

#[test]
fn honest_clients_never_trip() {
    let h2load = Client {
        streams_max: 32,
        update_every_bytes: 32 << 10,
        body_bytes: 0,
        answer_bytes: 53,
        answer_frame_bytes: 16 << 10,
        ends_apart: false,
    };
    assert_eq!(h2load.run(20_000, 5_000).streams, 20_000); // 200,000 in a second
    let httpx = Client { update_every_bytes: 0, body_bytes: 120, ends_apart: true, streams_max: 1, ..h2load };
    httpx.run(5_000, 300_000);
    let downloads = Client { answer_bytes: 20 << 20, update_every_bytes: 0, streams_max: 4, ..httpx };
    downloads.run(40, 1_000_000);
    let slow_chunks = Client { answer_bytes: 4 << 10, answer_frame_bytes: 1, streams_max: 100, ..downloads };
    slow_chunks.run(200, 1_000);
}

/// The same verdict after the same frame, however the bytes are cut.
fn verdicts(pieces: &[&[u8]]) -> (Result<(), Violation>, FrameCounts) {
    let mut budget = FrameBudget::new(Arc::default());
    let mut last = Ok(());
    for piece in pieces {
        last = budget.received(piece, NOW);
        if last.is_err() {
            break;
        }
    }
    (last, budget.counts())
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        3 => proptest::collection::vec(any::<u8>(), 0..10),
        1 => (0..20_000_usize).prop_map(|length| vec![0; length]),
    ];
    let kinds = prop_oneof![4 => 0_u8..11, 1 => any::<u8>()];
    (kinds, any::<u8>(), 0_u32..9, payload)
        .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload))
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        frames in proptest::collection::vec(any_frame(), 0..40),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
    ) {
        let mut stream = PREFACE.to_vec();
        stream.extend(frames.concat());
        let whole = verdicts(&[&stream]);
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(verdicts(&single), whole);
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        places.extend([0, stream.len()]);
        places.sort_unstable();
        let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        prop_assert_eq!(verdicts(&pieces), whole);
    }

    #[test]
    fn any_bytes_either_way_are_survived(received: Vec<u8>, sent: Vec<u8>) {
        let mut budget = connection();
        let _ = budget.received(&received, NOW);
        let _ = budget.sent(&sent, NOW);
        prop_assert!(budget.counts().frames <= 1 + received.len() as u64 / 9);
    }

    /// The counter finds the frames that were written, whatever they contain.
    #[test]
    fn every_frame_is_counted(lengths in proptest::collection::vec(64_usize..16_385, 0..20)) {
        let mut budget = connection();
        let opened = frame(kind::HEADERS, END_HEADERS, 1, &[0x82]);
        budget.received(&opened, NOW).unwrap();
        for length in &lengths {
            budget.received(&frame(kind::DATA, 0, 1, &vec![0xff; *length]), NOW).unwrap();
        }
        prop_assert_eq!(budget.counts().frames, 2 + lengths.len() as u64);
    }
}
