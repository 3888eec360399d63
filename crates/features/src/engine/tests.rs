use std::sync::Arc;

use domain::UnixNanos;

use super::*;

mod oracle;

/// Every kind of feature, with and without delay, filter, prior and the current event.
const EVERYTHING: &str = include_str!("tests/everything.toml");

fn pack(text: &str) -> Arc<Pack> {
    Arc::new(Pack::parse(text).unwrap_or_else(|error| panic!("{error}")))
}

fn at(secs: u64) -> UnixNanos {
    UnixNanos::from_secs(secs)
}

/// A pack over one entity and one amount.
fn small(features: &str) -> Arc<Pack> {
    let fields = "[[field]]\nname = 'who'\ntype = 'entity'\n[[field]]\nname = 'amount'\ntype = 'money'\n";
    let head = "[pack]\nname = 'small'\nversion = 1\nresolution = '1s'\nallowed_lateness = '10s'\n";
    pack(&format!("{head}{fields}{features}"))
}

fn feed(engine: &mut Engine, position: u64, secs: u64, who: u64, cents: i64) -> Vec<f64> {
    let values = [Value::Entity(who), Value::Money(cents)];
    let mut row = vec![0.0; engine.pack().columns().len()];
    let record = Record { position, at: at(secs), id: position, values: &values };
    assert_eq!(engine.step(&record, &mut row), Ok(Stepped::Taken));
    row
}

#[test]
fn a_record_that_does_not_fit_changes_nothing() {
    let pack = small("[[feature]]\nname = 'n'\nkind = 'count'\nkey = 'who'\nwindow = '1d'\n");
    let mut engine = Engine::new(pack, Limits::default());
    feed(&mut engine, 5, 100, 1, 10);
    let before = engine.digest();
    let mut row = [0.0];
    let mut step = |position, values: &[Value], length: usize| {
        let record = Record { position, at: at(100), id: 77, values };
        engine.step(&record, &mut row[..length]).unwrap_err()
    };
    let fits = [Value::Entity(1), Value::Money(1)];
    assert_eq!(step(6, &fits[..1], 1), StepError::FieldCount { got: 1, want: 2 });
    assert_eq!(step(6, &fits, 0), StepError::RowLength { got: 0, want: 1 });
    assert_eq!(step(5, &fits, 1), StepError::PositionNotLater { got: 5, last: 5 });
    let huge = [Value::Entity(1), Value::Money(CELL_MAX + 1)];
    assert_eq!(step(6, &huge, 1), StepError::OutOfRange { field: "amount".to_owned() });
    let wrong = [Value::Number(1.0), Value::Money(1)];
    assert_eq!(step(6, &wrong, 1), StepError::WrongType { field: "who".to_owned(), want: "entity" });
    assert_eq!(engine.digest(), before);
}

#[test]
fn a_full_table_forgets_whoever_was_not_seen_for_longest() {
    let pack = small("[[feature]]\nname = 'n'\nkind = 'count'\nkey = 'who'\nwindow = '1d'\n");
    let mut engine = Engine::new(pack, Limits { entities_max: 3, ..Limits::default() });
    for (position, who) in [1, 2, 3, 1, 3, 4].into_iter().enumerate() {
        feed(&mut engine, position as u64, 100, who, 1);
    }
    assert_eq!(engine.counts().evicted, 1);
    // 2 was seen once and made room for 4; the others are held.
    assert_eq!(feed(&mut engine, 6, 100, 1, 1), [3.0]);
    assert_eq!(feed(&mut engine, 7, 100, 3, 1), [3.0]);
    assert_eq!(feed(&mut engine, 8, 100, 4, 1), [2.0]);
    assert_eq!(feed(&mut engine, 9, 100, 2, 1), [1.0]);
    assert_eq!((engine.counts().evicted, engine.usage().entities), (2, 3));
}

#[test]
fn a_full_ring_forgets_its_oldest_and_says_so() {
    let features = "[[feature]]\nname = 's'\nkind = 'sum'\nkey = 'who'\nvalue = 'amount'\nwindows = ['1d', '2s']\n\
                    [[feature]]\nname = 'x'\nkind = 'max'\nkey = 'who'\nvalue = 'amount'\nwindow = '1d'\n";
    let mut engine = Engine::new(small(features), Limits { samples_max: 3, ..Limits::default() });
    for (position, cents) in [900, 800, 100, 200, 300].into_iter().enumerate() {
        feed(&mut engine, position as u64, 100 + position as u64, 1, cents);
    }
    assert_eq!(engine.counts().overflowed, 2);
    // 100, 200 and 300 are held, 400 comes: the row is read before the oldest makes room.
    assert_eq!(feed(&mut engine, 5, 105, 1, 400), [10.0, 7.0, 4.0]);
    assert_eq!(feed(&mut engine, 6, 106, 1, 50), [9.5, 4.5, 4.0]);
}

#[test]
fn labels_that_wait_are_bounded() {
    let pack = small("[[feature]]\nname = 'f'\nkind = 'frauds'\nkey = 'who'\nwindow = '1d'\n");
    let mut engine = Engine::new(pack, Limits { labels_max: 1, events_max: 2, ..Limits::default() });
    feed(&mut engine, 1, 100, 1, 1);
    let label = |id, secs| Label { id, is_fraud: true, arrival: at(secs) };
    assert_eq!(engine.label(&label(1, 105)), Ok(Labelled::Waiting));
    assert_eq!(engine.label(&label(1, 105)), Err(LabelError::Full(1)));
    assert_eq!(engine.label(&label(9, 100)), Ok(Labelled::Unmatched));
    assert_eq!(feed(&mut engine, 2, 104, 1, 1), [0.0]);
    assert_eq!(feed(&mut engine, 3, 105, 1, 1), [1.0]);
    // Event 1 is no longer among the last two.
    assert_eq!(engine.label(&label(1, 104)), Ok(Labelled::Unmatched));
    assert_eq!(engine.label(&label(2, 104)), Ok(Labelled::Applied));
    assert_eq!(feed(&mut engine, 4, 106, 1, 1), [2.0]);
    assert_eq!((engine.counts().labels, engine.counts().labels_unmatched), (2, 2));
}

#[test]
fn a_late_event_is_inserted_or_counted_aside() {
    let features = "[[feature]]\nname = 'n'\nkind = 'count'\nkey = 'who'\nwindow = '1d'\n\
                    [[feature]]\nname = 'a'\nkind = 'field'\nfield = 'amount'\n";
    let mut engine = Engine::new(small(features), Limits::default());
    assert_eq!(feed(&mut engine, 1, 100, 1, 100), [1.0, 1.0]);
    // Ten seconds are allowed; the event's own row does not hold what is later.
    assert_eq!(feed(&mut engine, 2, 90, 1, 200), [1.0, 2.0]);
    assert_eq!(feed(&mut engine, 3, 100, 1, 300), [3.0, 3.0]);
    let values = [Value::Entity(1), Value::Money(400)];
    let mut row = [0.0; 2];
    let late = Record { position: 4, at: at(89), id: 4, values: &values };
    assert_eq!(engine.step(&late, &mut row), Ok(Stepped::Late));
    assert!(row[0].is_nan() && row[1] == 4.0);
    let again = Record { position: 5, at: at(101), id: 3, values: &values };
    assert_eq!(engine.step(&again, &mut row), Ok(Stepped::Duplicate));
    assert!(row.iter().all(|feature| feature.is_nan()));
    assert_eq!(feed(&mut engine, 6, 101, 1, 100), [4.0, 1.0]);
    assert_eq!((engine.counts().late, engine.counts().duplicates, engine.counts().taken), (1, 1, 4));
}

#[test]
fn a_burst_of_outliers_does_not_teach_the_profile() {
    let features = "[[feature]]\nname = 'z'\nkind = 'z_score'\nkey = 'who'\nvalue = 'amount'\n\
                    [[feature]]\nname = 'm'\nkind = 'profile_max'\nkey = 'who'\nvalue = 'amount'\nmissing = 0\n";
    let mut engine = Engine::new(small(features), Limits::default());
    for position in 0..40 {
        feed(&mut engine, position, 100 + position, 1, 1_000 + i64::try_from(position % 7).unwrap() * 30);
    }
    let first = feed(&mut engine, 40, 200, 1, 20_000);
    assert!(first[0] > 3.5 && first[1] == 11.8, "{first:?}");
    for position in 41..60 {
        assert_eq!(feed(&mut engine, position, 200 + position, 1, 20_000), first);
    }
}

#[test]
fn extreme_times_and_values_are_taken() {
    let mut engine = Engine::new(pack(EVERYTHING), Limits::default());
    let mut row = vec![0.0; engine.pack().columns().len()];
    let times = [0, 1, u64::MAX, u64::MAX - 1];
    let amounts = [CELL_MAX, -CELL_MAX, 0, 1];
    for (position, time) in times.into_iter().enumerate() {
        let values = [
            Value::Entity(u64::MAX),
            Value::Entity(1 << 63),
            Value::Money(amounts[position]),
            Value::Category(0),
            Value::Number(if position == 0 { 9e8 } else { -9e8 }),
            Value::Bool(true),
        ];
        let record =
            Record { position: position as u64, at: UnixNanos(time), id: position as u64, values: &values };
        assert_eq!(engine.step(&record, &mut row), Ok(Stepped::Taken));
        let arrival = UnixNanos(u64::MAX);
        let _label = engine.label(&Label { id: position as u64, is_fraud: true, arrival }).unwrap();
    }
}
