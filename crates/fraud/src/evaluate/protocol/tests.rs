use super::{Day, Fold, Judged, Protocol, ProtocolError, card_precision};

const PROTOCOL: Protocol =
    Protocol { train_start: Day(100), train_days: 7, delay_days: 7, test_days: 7, folds: 1, capacity: 2 };

fn row(day: u32, subject: u32, fraud: bool) -> Judged {
    Judged { day: Day(day), subject: Some(subject), fraud: Some(fraud) }
}

fn fold() -> Fold {
    PROTOCOL.folds().unwrap().remove(0)
}

#[test]
fn folds_go_back_by_the_test_period() {
    let folds = Protocol { folds: 3, ..PROTOCOL }.folds().unwrap();
    let days: Vec<(u32, u32, u32, u32)> =
        folds.iter().map(|f| (f.train.start.0, f.train.end.0, f.test.start.0, f.test.end.0)).collect();
    assert_eq!(days, [(100, 107, 114, 121), (93, 100, 107, 114), (86, 93, 100, 107)]);
}

#[test]
fn nonsense_is_refused() {
    let bad = [
        (Protocol { train_days: 0, ..PROTOCOL }, ProtocolError::Period { what: "training", days: 0 }),
        (Protocol { test_days: 9_999, ..PROTOCOL }, ProtocolError::Period { what: "test", days: 9_999 }),
        (Protocol { folds: 0, ..PROTOCOL }, ProtocolError::Folds { folds: 0 }),
        (Protocol { folds: 52, ..PROTOCOL }, ProtocolError::BeforeTime { fold: 16 }),
        (Protocol { capacity: 0, ..PROTOCOL }, ProtocolError::Capacity),
    ];
    for (protocol, error) in bad {
        assert_eq!(protocol.folds(), Err(error));
    }
}

#[test]
fn known_subjects_leave_the_test_when_their_fraud_is_known() {
    let rows = [
        // Fraud in training: known from the first test day on.
        row(103, 1, true),
        row(114, 1, false),
        // Fraud on day 107, the first of the delay: known on test day 115 = 107 + 7 + 1, not on 114.
        row(107, 2, true),
        row(114, 2, false),
        row(115, 2, false),
        row(116, 2, false),
        // Fraud in the test itself is known a delay and a day later.
        row(114, 3, true),
        row(120, 3, false),
        // Fraud before training: long known, yet the book looks at the training week only.
        row(99, 4, true),
        row(114, 4, false),
        // Not labelled: neither trained on nor tested.
        Judged { day: Day(114), subject: Some(5), fraud: None },
        // Nobody: stays in.
        Judged { day: Day(114), subject: None, fraud: Some(true) },
    ];
    let selection = fold().select(&rows);
    assert_eq!(selection.train, [0]);
    assert_eq!(selection.test, [3, 6, 7, 9, 11]);
}

#[test]
fn longer_training_knows_the_subjects_of_its_last_week_only() {
    let protocol = Protocol { train_start: Day(86), train_days: 21, ..PROTOCOL };
    let fold = protocol.folds().unwrap().remove(0);
    assert_eq!((fold.train.end, fold.test.start), (Day(107), Day(114)));
    let rows = [row(99, 1, true), row(100, 2, true), row(114, 1, false), row(114, 2, false)];
    let selection = fold.select(&rows);
    assert_eq!(selection.train, [0, 1]);
    assert_eq!(selection.test, [2]);
}

#[test]
fn card_precision_counts_a_subject_once() {
    let rows = [
        row(114, 1, true),
        row(114, 1, false), // the card's highest score is here, its fraud there
        row(114, 2, false),
        row(114, 3, true), // third of the day: not looked into
        row(115, 1, true), // detected the day before: left out
        row(115, 3, true),
        row(115, 2, false),
    ];
    let test: Vec<usize> = (0..rows.len()).collect();
    let scores = [0.1, 0.9, 0.8, 0.7, 0.9, 0.8, 0.1];
    let got = card_precision(&fold(), &rows, &test, &scores, &[0, 1, 2, 3], 2);
    assert!((got - (0.5 + 0.5) / 7.0).abs() < 1e-12, "{got}");
}

#[test]
fn card_precision_breaks_ties_by_rank() {
    let rows = [row(114, 0, false), row(114, 1, true), row(114, 2, true)];
    let test = [0, 1, 2];
    let of = |rank: &[u32]| card_precision(&fold(), &rows, &test, &[0.5; 3], rank, 2) * 14.0;
    assert!((of(&[0, 1, 2]) - 1.0).abs() < 1e-12);
    assert!((of(&[2, 1, 0]) - 2.0).abs() < 1e-12);
}
