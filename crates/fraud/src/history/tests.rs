use proptest::prelude::*;

use super::*;
use crate::evaluate::protocol::Protocol;

const PACK: &str = r#"
[pack]
name = "small"
version = 1

[[field]]
name = "amount"
type = "number"

[[feature]]
name = "event_amount"
kind = "field"
field = "amount"
"#;

fn pack() -> Pack {
    Pack::parse(PACK).unwrap_or_else(|error| panic!("{error}"))
}

/// Rows of day 100 and later, one a day, as pieces of a file; labels with their entries.
fn file(days: u32, labels: &[(u64, u64, bool)]) -> Vec<u8> {
    let pack = pack();
    let mut out = MAGIC.to_vec();
    out.extend(1_u32.to_be_bytes());
    out.extend(pack.hash());
    let mut labels = labels.to_vec();
    labels.sort_by_key(|(entry, ..)| *entry);
    let mut labels = labels.into_iter().peekable();
    for n in 0..u64::from(days) {
        let entry = n * 10;
        while let Some((at, id, is_fraud)) = labels.next_if(|(at, ..)| *at < entry) {
            out.push(LABEL);
            out.extend(at.to_be_bytes());
            out.extend(id.to_be_bytes());
            out.push(u8::from(is_fraud));
        }
        out.push(MARK);
        out.extend(entry.to_be_bytes());
        out.extend(u32::try_from(100 + n).unwrap().to_be_bytes());
        out.push(ROW);
        for number in [entry, n, (100 + n) * 86_400_000_000_000, 50 + n, n % 3] {
            out.extend(number.to_be_bytes());
        }
        out.push(1);
        out.extend((n as f32).to_bits().to_be_bytes());
    }
    for (at, id, is_fraud) in labels {
        out.push(LABEL);
        out.extend(at.to_be_bytes());
        out.extend(id.to_be_bytes());
        out.push(u8::from(is_fraud));
    }
    out.push(END);
    out.extend(u64::from(days * 10).to_be_bytes());
    out
}

fn fold() -> Fold {
    let protocol =
        Protocol { train_start: Day(102), train_days: 5, delay_days: 3, test_days: 4, folds: 1, capacity: 5 };
    protocol.folds().unwrap().remove(0)
}

#[test]
fn labels_count_from_where_they_stand_and_silence_needs_time() {
    // Rows 2 to 6 are trained on, knowing what stands before entry 100; rows 10 to 13 are judged by everything.
    let labels =
        [(55, 3, true), (99, 4, true), (100, 5, true), (70, 6, true), (90, 6, false), (400, 11, true)];
    let history = History::read(file(30, &labels).as_slice(), &pack()).unwrap();
    assert_eq!((history.len(), history.labelled()), (30, (5, 4)));
    let frauds = |silence, until| -> Vec<Option<bool>> {
        history.view(&fold(), silence, until).unwrap().iter().map(|judged| judged.fraud).collect()
    };
    let silent = frauds(Silence::Legitimate, None);
    assert_eq!(silent[2..7], [Some(false), Some(true), Some(true), Some(false), Some(false)]);
    assert_eq!(silent[10..14], [Some(false), Some(true), Some(false), Some(false)]);
    let labelled = frauds(Silence::LeftOut, None);
    assert_eq!(labelled[2..7], [None, Some(true), Some(true), None, Some(false)]);
    // What arrived after a day is not looked at.
    assert_eq!(frauds(Silence::LeftOut, Some(Day(120)))[11], None);
    let young = history.view(&fold(), Silence::Legitimate, Some(Day(115))).unwrap_err();
    assert!(matches!(young, HistoryError::TooYoung { delay_days: 3, until: 114, .. }), "{young}");
    assert_eq!(history.values_minor()[..3], [50, 51, 52]);
}

#[test]
fn a_row_that_came_late_is_not_learned_from() {
    let mut bytes = file(30, &[]);
    let end = bytes.split_off(bytes.len() - 9);
    // Of day 103, told behind the first entry of the test.
    bytes.push(ROW);
    for number in [300, 99, 103 * 86_400_000_000_000, 0, 0_u64] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.push(1);
    bytes.extend(7.0_f32.to_bits().to_be_bytes());
    bytes.extend(end);
    let history = History::read(bytes.as_slice(), &pack()).unwrap();
    let view = history.view(&fold(), Silence::Legitimate, None).unwrap();
    assert_eq!((view[3].fraud, view[30].day, view[30].fraud), (Some(false), Day(103), None));
}

#[test]
fn what_is_damaged_is_refused() {
    let whole = file(4, &[(25, 1, true)]);
    for cut in 0..whole.len() {
        assert!(History::read(&whole[..cut], &pack()).is_err(), "{cut} bytes");
    }
    let other = Pack::parse(&PACK.replace("small", "other")).unwrap();
    assert!(matches!(History::read(whole.as_slice(), &other), Err(HistoryError::OtherPack)));
    let none = file(0, &[]);
    assert!(matches!(History::read(none.as_slice(), &pack()), Err(HistoryError::Empty)));
}

proptest! {
    /// Labels that stand behind the first entry of the test change nothing of what is learned from; those before do.
    #[test]
    fn future_labels_teach_nothing(
        labels in prop::collection::vec((0_u64..300, 0_u64..30, any::<bool>()), 0..40),
        shuffled in prop::collection::vec((0_u64..30, any::<bool>()), 40),
    ) {
        let labels: Vec<_> = labels.into_iter().filter(|(at, id, _)| *at > id * 10).collect();
        let learned = |labels: &[(u64, u64, bool)]| -> Vec<Option<bool>> {
            let history = History::read(file(30, labels).as_slice(), &pack()).unwrap();
            let view = history.view(&fold(), Silence::LeftOut, None).unwrap();
            let train = view.iter().filter(|judged| fold().train.contains(&judged.day));
            train.map(|judged| judged.fraud).collect()
        };
        let before = learned(&labels);
        let future: Vec<_> = labels
            .iter()
            .zip(&shuffled)
            .map(|(label, (id, is_fraud))| if label.0 >= 100 { (label.0.max(id * 10 + 1), *id, *is_fraud) } else { *label })
            .collect();
        prop_assert_eq!(learned(&future), before.clone());
        let turned: Vec<_> = labels.iter().map(|(at, id, is_fraud)| (*at, *id, is_fraud ^ (*at < 100))).collect();
        let trained = labels.iter().any(|(at, id, _)| *at < 100 && (2..7).contains(id));
        prop_assert_eq!(learned(&turned) != before, trained);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut file = file(2, &[]);
        file.truncate(56);
        file.extend(bytes);
        drop(History::read(file.as_slice(), &pack()));
    }
}
