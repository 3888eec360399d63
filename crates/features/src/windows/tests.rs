use proptest::{collection::vec, prelude::*};

use super::*;

const SECOND: u64 = 1_000_000_000;
const WIDTHS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(7), Duration::from_secs(40)];
const LATENESS: Duration = Duration::from_secs(5);
const ROOMY: Bounds = Bounds { entities_max: 100, samples_max: 10_000, lateness: LATENESS };

fn sample(at_ns: u64, seq: u64, amount: i128, item: u64) -> Sample<u64> {
    let amount = Amount::from_parts(amount, u32::try_from(item % 20).unwrap()).unwrap();
    Sample { moment: Moment { at: UnixNanos(at_ns), seq }, amount, item }
}

/// The definition, word for word: every accepted sample is looked at for every question.
#[derive(Default)]
struct Oracle {
    accepted: Vec<(u64, Sample<u64>)>,
    late: u64,
}

impl Oracle {
    fn record(&mut self, entity: u64, sample: Sample<u64>) -> Recorded {
        let own = || self.accepted.iter().filter(|(other, _)| *other == entity).map(|(_, sample)| sample);
        let newest = own().map(|sample| sample.moment).max();
        let recorded = match newest {
            Some(newest) if sample.moment.at < newest.at.minus(LATENESS) => {
                self.late += 1;
                return Recorded::Late;
            }
            _ if own().any(|other| other.moment == sample.moment) => return Recorded::Duplicate,
            Some(newest) if sample.moment < newest => Recorded::Inserted,
            _ => Recorded::InOrder,
        };
        self.accepted.push((entity, sample));
        recorded
    }

    fn window(&self, entity: u64, width: Duration, as_of: Moment) -> Vec<&Sample<u64>> {
        self.window_after(entity, as_of.at.minus(width), as_of)
    }

    fn window_after(&self, entity: u64, after: UnixNanos, as_of: Moment) -> Vec<&Sample<u64>> {
        self.accepted
            .iter()
            .filter(|(other, sample)| *other == entity && sample.moment.at > after && sample.moment <= as_of)
            .map(|(_, sample)| sample)
            .collect()
    }

    fn newest(&self, entity: u64) -> UnixNanos {
        self.accepted
            .iter()
            .filter(|(other, _)| *other == entity)
            .map(|(_, sample)| sample.moment.at)
            .max()
            .unwrap_or_default()
    }
}

fn total(samples: &[&Sample<u64>]) -> Option<Amount> {
    let mut sum = ExactSum::new();
    samples.iter().for_each(|sample| sum.add(sample.amount));
    sum.total()
}

fn distinct(samples: &[&Sample<u64>]) -> usize {
    samples.iter().map(|sample| sample.item).collect::<std::collections::BTreeSet<_>>().len()
}

/// (entity, event time in quarter seconds, amount, item, how far before or after now a question is asked).
type Step = (u64, u64, i128, u64, i64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec((0_u64..3, 0_u64..240, -50_i128..1_000_000_000_000, 0_u64..80, -40_i64..20), 1..200)
}

/// Event times that mostly move forward, so that windows fill, with the given jitter backwards.
fn times(steps: &[Step], index: usize) -> u64 {
    let (_, jitter, ..) = steps[index];
    let now = 100 * SECOND + index as u64 * SECOND / 2;
    // Quarter seconds make ties common; one in four samples is out of order, some beyond the lateness.
    if jitter % 4 == 0 { now.saturating_sub(jitter * SECOND / 8) } else { now }
}

proptest! {
    #[test]
    fn equals_the_definition(steps in steps()) {
        let mut windows: Windows<u64, u64> = Windows::new(&WIDTHS, ROOMY);
        let mut oracle = Oracle::default();
        for (index, (entity, _, amount, item, offset)) in steps.iter().copied().enumerate() {
            let at = times(&steps, index);
            // Every fifth record repeats a sequence number: a duplicate when the time agrees as well.
            let seq = if index % 5 == 0 { 7 } else { index as u64 };
            let sample = sample(at, seq, amount, item);
            prop_assert_eq!(windows.record(&entity, sample.clone()), oracle.record(entity, sample));
            let asked = at.saturating_add_signed(offset * i64::try_from(SECOND / 4).unwrap());
            for as_of in [Moment::end_of(UnixNanos(asked)), Moment { at: UnixNanos(at), seq: index as u64 / 2 }] {
                for (window, width) in WIDTHS.into_iter().enumerate() {
                    let expected = oracle.window(entity, width, as_of);
                    let got = windows.aggregate(&entity, window, as_of);
                    let different = windows.distinct(&entity, window, as_of);
                    if got.exact {
                        prop_assert_eq!((got.count, got.sum), (expected.len(), total(&expected)));
                        prop_assert_eq!(different.count, distinct(&expected).min(DISTINCT_MAX));
                        prop_assert_eq!(different.exact, distinct(&expected) <= DISTINCT_MAX);
                    } else {
                        prop_assert!(got.count <= expected.len() && !different.exact);
                    }
                    // Samples ahead of now are part of what is recent.
                    let until_ever = oracle.window_after(entity, as_of.at.minus(width), Moment::LAST);
                    let recent = windows.recent(&entity, window, as_of.at);
                    if recent.exact {
                        prop_assert_eq!((recent.count, recent.sum), (until_ever.len(), total(&until_ever)));
                    }
                    // Within the lateness every answer is exact.
                    if as_of.at >= oracle.newest(entity).minus(LATENESS) {
                        prop_assert!(got.exact);
                    }
                }
            }
        }
        prop_assert_eq!(windows.late(), oracle.late);
    }

    #[test]
    fn a_full_ring_says_so(samples_max in 1_usize..20, steps in steps()) {
        let mut windows: Windows<u64, u64> = Windows::new(&WIDTHS, Bounds { samples_max, ..ROOMY });
        let mut oracle = Oracle::default();
        for (index, (entity, _, amount, item, _)) in steps.iter().copied().enumerate() {
            let sample = sample(times(&steps, index), index as u64, amount, item);
            // A full ring may have forgotten its twin, so only the lateness rule must agree.
            let late = oracle.record(entity, sample.clone()) == Recorded::Late;
            prop_assert_eq!(windows.record(&entity, sample) == Recorded::Late, late);
            let as_of = Moment::end_of(oracle.newest(entity));
            for (window, width) in WIDTHS.into_iter().enumerate() {
                let expected = oracle.window(entity, width, as_of);
                let got = windows.aggregate(&entity, window, as_of);
                prop_assert!(got.count <= samples_max);
                prop_assert_eq!(got.exact, got.count == expected.len());
                if got.exact {
                    prop_assert_eq!(got.sum, total(&expected));
                }
            }
        }
    }

    #[test]
    fn an_evicted_entity_is_not_taken_for_a_quiet_one(entities_max in 1_usize..4, steps in steps()) {
        let mut windows: Windows<u64, u64> = Windows::new(&WIDTHS, Bounds { entities_max, ..ROOMY });
        let mut all: Vec<(u64, Sample<u64>)> = Vec::new();
        for (index, (entity, _, amount, item, _)) in steps.iter().copied().enumerate() {
            // In order, so that lateness plays no part.
            let sample = sample((100 + index as u64) * SECOND / 2, index as u64, amount, item);
            let as_of = sample.moment;
            let _ = windows.record(&entity, sample.clone());
            all.push((entity, sample));
            for (asked, (window, width)) in (0..3).flat_map(|asked| WIDTHS.into_iter().enumerate().map(move |width| (asked, width))) {
                let expected = all
                    .iter()
                    .filter(|(other, sample)| *other == asked && sample.moment.at > as_of.at.minus(width))
                    .count();
                let got = windows.aggregate(&asked, window, as_of);
                prop_assert!(got.count == expected || (got.count < expected && !got.exact));
                // With room for all three, everything is exact.
                prop_assert!(got.exact || entities_max < 3);
            }
        }
    }

    #[test]
    fn questions_leave_no_trace_in_the_state(steps in steps()) {
        let mut asked: Windows<u64, u64> = Windows::new(&WIDTHS, ROOMY);
        let mut silent: Windows<u64, u64> = Windows::new(&WIDTHS, ROOMY);
        for (index, (entity, _, amount, item, offset)) in steps.iter().copied().enumerate() {
            let sample = sample(times(&steps, index), index as u64, amount, item);
            let _ = asked.record(&entity, sample.clone());
            let _ = silent.record(&entity, sample);
            let _ = asked.aggregate(&entity, 1, Moment::end_of(UnixNanos(offset.unsigned_abs() * SECOND)));
        }
        prop_assert_eq!(digest(&asked), digest(&silent));
    }
}

fn digest(windows: &Windows<u64, u64>) -> [u8; 32] {
    let mut digest = StateDigest::new("windows test");
    windows.feed(&mut digest);
    digest.finish()
}

#[test]
fn a_window_is_open_on_the_left_and_closed_on_the_right() {
    let mut windows: Windows<u64, u64> = Windows::new(&WIDTHS, ROOMY);
    let at = 100 * SECOND;
    assert_eq!(windows.record(&1, sample(at, 0, 5, 0)), Recorded::InOrder);
    let mut count = |at| windows.aggregate(&1, 0, Moment::end_of(UnixNanos(at))).count;
    assert_eq!(count(at - 1), 0);
    assert_eq!(count(at), 1);
    assert_eq!(count(at + SECOND - 1), 1);
    assert_eq!(count(at + SECOND), 0);
}

#[test]
fn a_tie_with_a_later_sequence_is_not_seen() {
    let mut windows: Windows<u64, u64> = Windows::new(&WIDTHS, ROOMY);
    for seq in [3, 1, 2] {
        let _ = windows.record(&1, sample(100 * SECOND, seq, 1, 0));
    }
    for seq in 0..4 {
        let as_of = Moment { at: UnixNanos(100 * SECOND), seq };
        assert_eq!(windows.aggregate(&1, 0, as_of).count as u64, seq);
    }
}

#[test]
fn times_seen_include_late_samples() {
    let mut windows: Windows<u64, u64> = Windows::new(&WIDTHS, ROOMY);
    let _ = windows.record(&1, sample(100 * SECOND, 0, 1, 0));
    assert_eq!(windows.record(&1, sample(SECOND, 1, 1, 0)), Recorded::Late);
    assert_eq!(windows.seen(&1), Some((UnixNanos(SECOND), UnixNanos(100 * SECOND))));
    assert_eq!(windows.seen(&2), None);
    assert_eq!(windows.late(), 1);
}

#[test]
fn the_order_of_recording_decides_the_digest_and_so_does_every_field() {
    let mut states = std::collections::BTreeSet::new();
    let base = sample(100 * SECOND, 1, 1, 1);
    for (entity, sample) in [
        (1, base.clone()),
        (2, base.clone()),
        (1, Sample { amount: Amount::ZERO, ..base.clone() }),
        (1, Sample { item: 2, ..base.clone() }),
        (1, Sample { moment: Moment { seq: 2, ..base.moment }, ..base.clone() }),
        (1, Sample { moment: Moment { at: UnixNanos(1), ..base.moment }, ..base }),
    ] {
        let mut windows: Windows<u64, u64> = Windows::new(&WIDTHS, ROOMY);
        let _ = windows.record(&entity, sample);
        states.insert(digest(&windows));
    }
    assert_eq!(states.len(), 6);
}

#[test]
fn a_million_entities_stay_within_the_bound() {
    let mut windows: Windows<u64, u64> = Windows::new(&WIDTHS, Bounds { entities_max: 1_000, ..ROOMY });
    for entity in 0..1_000_000 {
        let _ = windows.record(&entity, sample(entity * 1_000, entity, 1, 0));
    }
    assert_eq!((windows.len(), windows.evicted()), (1_000, 999_000));
    assert_eq!(windows.seen(&0), None);
    assert!(windows.seen(&999_999).is_some());
}
