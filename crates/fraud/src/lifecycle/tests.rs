use proptest::prelude::*;

use super::*;
use crate::record::RecordError;

fn actor() -> Actor {
    "operator:ann".parse().unwrap()
}

fn model(name: u8, pack: u8, has_backtest: bool) -> ModelEntry {
    let backtest = has_backtest.then_some(Backtest {
        average_precision: 700_000,
        auc_roc: 880_000,
        rows: 100,
        positives: 3,
        until: UnixNanos(9),
    });
    ModelEntry::Registered(Registered {
        digest: [name; 32],
        file: [name ^ 0xff; 32],
        bytes: 77,
        name: "book".into(),
        version: format!("v{name}"),
        pack_name: "book".into(),
        pack: [pack; 32],
        rows: 1_000,
        positives: 10,
        learned: Some((UnixNanos(1), UnixNanos(2))),
        backtest,
        actor: actor(),
    })
}

fn compared(champion: u8, challenger: u8, low: i64) -> ModelEntry {
    let interval = Interval { observed: low + 10, low, high: low + 20, better: 900_000 };
    ModelEntry::Compared(Compared {
        champion: [champion; 32],
        challenger: [challenger; 32],
        data: [1; 32],
        from: UnixNanos(3),
        until: UnixNanos(4),
        rows: 50,
        positives: 5,
        average_precision: interval,
        value: Some(interval),
        confidence: 950_000,
        rounds: 1_000,
        seed: 7,
        actor: actor(),
    })
}

fn promoted(name: u8, replaces: Option<u8>, forced: Option<&str>) -> ModelEntry {
    ModelEntry::Promoted(Promoted {
        digest: [name; 32],
        replaces: replaces.map(|name| [name; 32]),
        floor: 0,
        forced: forced.map(str::to_owned),
        actor: actor(),
    })
}

fn back(pack: u8, from: u8, to: u8) -> ModelEntry {
    ModelEntry::RolledBack(RolledBack {
        pack: [pack; 32],
        from: [from; 32],
        to: [to; 32],
        reason: "alerts doubled".into(),
        actor: actor(),
    })
}

fn drifted(measure: drift::Measure) -> ModelEntry {
    let (subject, actor) = ("amount".to_owned(), Actor::system());
    ModelEntry::Drifted(Drifted { bundle: [3; 32], subject, measure, records: 4_000, actor })
}

fn with(entries: impl IntoIterator<Item = ModelEntry>) -> Registry {
    let mut registry = Registry::default();
    for entry in entries {
        registry.apply(UnixNanos(5), entry).unwrap();
    }
    registry
}

#[test]
fn a_challenger_must_be_better_by_the_lower_end_of_the_interval() {
    let mut registry = with([model(1, 9, true), model(2, 9, true), model(3, 9, false), model(4, 8, false)]);
    assert_eq!(registry.apply(UnixNanos(6), promoted(3, None, None)), Err(LifecycleError::NoBacktest));
    registry.apply(UnixNanos(6), promoted(1, None, None)).unwrap();
    assert_eq!(registry.champion(&[9; 32]), Some(&[1; 32]));
    assert_eq!(registry.apply(UnixNanos(6), promoted(2, Some(1), None)), Err(LifecycleError::NotCompared));
    assert_eq!(registry.apply(UnixNanos(6), compared(1, 4, 5)), Err(LifecycleError::Unknown), "another pack");
    registry.apply(UnixNanos(6), compared(1, 2, -3)).unwrap();
    let refused = registry.apply(UnixNanos(6), promoted(2, Some(1), None));
    assert_eq!(refused, Err(LifecycleError::NotBetter { low: -3, floor: 0 }));
    registry.apply(UnixNanos(6), compared(1, 2, 1)).unwrap();
    registry.apply(UnixNanos(7), promoted(2, Some(1), None)).unwrap();
    // The last comparison counts, and one with the champion before says nothing about the present one.
    registry.apply(UnixNanos(7), compared(1, 3, 500)).unwrap();
    assert_eq!(registry.apply(UnixNanos(7), promoted(3, Some(2), None)), Err(LifecycleError::NotCompared));
    assert_eq!(registry.apply(UnixNanos(7), promoted(3, Some(1), Some("x"))), Err(LifecycleError::Conflict));
    registry.apply(UnixNanos(7), promoted(3, Some(2), Some("the old one leaks"))).unwrap();
    assert_eq!(registry.ignored(), 6);
    // Back, one by one.
    assert_eq!(registry.apply(UnixNanos(8), back(9, 2, 1)), Err(LifecycleError::Conflict));
    assert_eq!(registry.apply(UnixNanos(8), back(9, 3, 1)), Err(LifecycleError::NoChampionBefore));
    registry.apply(UnixNanos(8), back(9, 3, 2)).unwrap();
    registry.apply(UnixNanos(8), back(9, 2, 1)).unwrap();
    assert_eq!(registry.champion(&[9; 32]), Some(&[1; 32]));
    assert_eq!(registry.apply(UnixNanos(8), back(9, 1, 1)), Err(LifecycleError::NoChampionBefore));
    assert_eq!(registry.champion(&[8; 32]), None);
}

#[test]
fn every_entry_round_trips_and_no_part_of_it_decodes() {
    for entry in [
        model(1, 2, true),
        model(1, 2, false),
        compared(1, 2, -5),
        promoted(1, None, None),
        promoted(1, Some(2), Some("because")),
        back(1, 2, 3),
        drifted(drift::Measure::Psi { psi: 300_000, ks: 0 }),
        drifted(drift::Measure::Adwin { before: -1, after: 7 }),
    ] {
        let bytes = entry.encode();
        assert_eq!(ModelEntry::decode(&bytes).as_ref(), Ok(&entry));
        for cut in 0..bytes.len() {
            assert!(ModelEntry::decode(&bytes[..cut]).is_err(), "{entry:?} cut at {cut}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(ModelEntry::decode(&longer), Err(RecordError::NotDeterministic));
    }
}

proptest! {
    /// Whatever is tried: a champion is put in force by a comparison above the floor, a backtest where there was none
    /// before, a reason, or a way back; and the same entries give the same state.
    #[test]
    fn no_champion_without_a_gate(steps in proptest::collection::vec((0..6_u8, 1..5_u8, 0..5_u8, -2..3_i64), 1..60)) {
        let mut registry = with((1..5).map(|name| model(name, 9, name % 2 == 0)));
        let mut again = registry.clone();
        for (what, a, b, low) in steps {
            let champion = registry.champion(&[9; 32]).map(|digest| digest[0]);
            let entry = match what {
                0 | 1 => compared(a, b.max(1), low),
                2 | 3 => promoted(a, champion, None),
                4 => promoted(a, Some(b), (low > 0).then_some("forced")),
                _ => back(9, a, b),
            };
            let before = registry.clone();
            let done = registry.apply(UnixNanos(6), entry.clone());
            prop_assert_eq!(&again.apply(UnixNanos(6), entry.clone()), &done);
            let now = registry.champion(&[9; 32]).copied();
            if done.is_ok() && let ModelEntry::Promoted(promoted) = &entry && promoted.forced.is_none() {
                match champion {
                    None => prop_assert!(before.model(&promoted.digest).unwrap().registered.backtest.is_some()),
                    Some(old) => {
                        let pack = before.pack(&[9; 32]).unwrap();
                        let (_, compared) = pack.comparison(&[old; 32], &promoted.digest).unwrap();
                        prop_assert!(compared.average_precision.low > 0);
                    }
                }
            } else if done.is_err() {
                prop_assert_eq!(now, before.champion(&[9; 32]).copied());
            }
        }
        prop_assert_eq!(registry.digest(), again.digest());
    }

    #[test]
    fn changed_bytes_are_refused_or_another_entry(
        which in 0..4_usize, position in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let entry = [model(1, 2, true), compared(1, 2, 3), promoted(1, Some(2), Some("x")), back(1, 2, 3)];
        let mut bytes = entry[which].encode();
        let position = position.index(bytes.len());
        bytes[position] = byte;
        if let Ok(entry) = ModelEntry::decode(&bytes) {
            prop_assert_eq!(entry.encode(), bytes);
        }
    }
}
