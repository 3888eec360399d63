//! A small world of cards and shops, made here: every figure of it is a parameter, so that what holds for one set of
//! data can be tried on others.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use features::Pack;

use super::{
    EvaluateError, Figures, FoldResult, Table,
    protocol::{Day, Protocol, ProtocolError},
    run,
};
use crate::{
    mapping::Mapping,
    preset::{Preset, preset},
    recording::Recording,
};

/// The parameters of a world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) cards: u64,
    pub(crate) shops: u64,
    pub(crate) days: u64,
    /// Purchases of the busiest card per day.
    pub(crate) per_day: u64,
    /// What the amounts of a stolen card are multiplied by, in hundredths.
    pub(crate) stolen_times: u64,
    pub(crate) stolen_days: u64,
    /// One in so many purchases of a stolen card is the thief's.
    pub(crate) stolen_one_in: u64,
    /// Cards stolen each day.
    pub(crate) stolen_a_day: u64,
    /// How long a shop that skims cards does so.
    pub(crate) skimming_days: u64,
    /// Shops that begin to skim, per hundred days.
    pub(crate) skimming_per_100_days: u64,
}

pub(crate) const CARDS: World = World {
    seed: 1,
    cards: 220,
    shops: 120,
    days: 60,
    per_day: 4,
    stolen_times: 400,
    stolen_days: 12,
    stolen_one_in: 2,
    stolen_a_day: 1,
    skimming_days: 25,
    skimming_per_100_days: 20,
};

pub(crate) const MAPPING: &str = r#"
version = 1
name = "world"
subject = "subject"
time = { column = "at", unit = "s", origin = "2024-01-01T00:00:00Z" }
id = { column = "id" }
label = { column = "fraud", positive = ["1"], delay = "7d" }
[field]
subject = { type = "entity", column = "card" }
counterparty = { type = "entity", column = "shop" }
amount = { type = "money", column = "cents", form = "minor" }
"#;
/// 2024-01-01, in days since 1970.
pub(crate) const FIRST_DAY: u32 = 19_723;

/// Pseudo-random numbers (SplitMix64, Steele and others 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % n
    }
}

impl World {
    pub(crate) fn csv(self) -> String {
        let mut dice = Dice(self.seed);
        let habits: Vec<(u64, u64, u64)> = (0..self.cards)
            .map(|_| (1 + dice.below(self.per_day), 500 + dice.below(9_500), dice.below(self.shops)))
            .collect();
        let mut stolen_until = vec![0; usize::try_from(self.cards).unwrap()];
        let mut skims_until = vec![0; usize::try_from(self.shops).unwrap()];
        let mut rows = Vec::new();
        for day in 0..self.days {
            for _ in 0..self.stolen_a_day {
                let card = usize::try_from(dice.below(self.cards)).unwrap();
                stolen_until[card] = day + self.stolen_days;
            }
            if dice.below(100) < self.skimming_per_100_days {
                let shop = usize::try_from(dice.below(self.shops)).unwrap();
                skims_until[shop] = day + self.skimming_days;
            }
            for (card, (per_day, mean, home)) in habits.iter().enumerate() {
                for _ in 0..dice.below(per_day + 1) {
                    let at = day * 86_400 + dice.below(43_200) + dice.below(43_200);
                    // Bell-shaped around the card's mean, within a factor of about two.
                    let spread =
                        dice.below(mean / 2 + 1) + dice.below(mean / 2 + 1) + dice.below(mean / 2 + 1);
                    let mut cents = mean / 4 + spread;
                    let shop = (home + dice.below(20)) % self.shops;
                    let thief = day < stolen_until[card] && dice.below(self.stolen_one_in) == 0;
                    if thief {
                        cents = cents * self.stolen_times / 100;
                    }
                    let skimmed = day < skims_until[usize::try_from(shop).unwrap()];
                    rows.push((at, card, shop, cents, u8::from(thief || skimmed)));
                }
            }
        }
        rows.sort_unstable();
        let mut text = "id,at,card,shop,cents,fraud\n".to_owned();
        for (id, (at, card, shop, cents, fraud)) in rows.into_iter().enumerate() {
            writeln!(text, "{id},{at},c{card},s{shop},{cents},{fraud}").unwrap();
        }
        text
    }

    fn recording(self) -> Recording {
        recording(&self.csv())
    }
}

fn recording(csv: &str) -> Recording {
    let mapping = Mapping::parse(MAPPING).unwrap();
    Recording::read(csv.as_bytes(), &mapping, &mut |letter| panic!("{letter:?}")).unwrap()
}

/// Learns from the 14 days before day 39, tests from day 46 on.
const PROTOCOL: Protocol = Protocol {
    train_start: Day(FIRST_DAY + 25),
    train_days: 14,
    delay_days: 7,
    test_days: 7,
    folds: 1,
    capacity: 5,
};

fn pack(preset: &Preset) -> Arc<Pack> {
    Arc::new(Pack::parse(preset.pack).unwrap())
}

fn evaluate(recording: &Recording, preset: &Preset, protocol: &Protocol) -> Vec<FoldResult> {
    let folds = protocol.folds().unwrap();
    let table = Table::compute(recording, &pack(preset), &folds).unwrap();
    let params = scoring::gbdt::Params { trees: 40, rate: 0.2, bins: 256, ..preset.params.clone() };
    folds.iter().map(|fold| run(recording, &table, fold, &params, protocol.capacity).unwrap()).collect()
}

fn precision(world: World, preset_name: &str) -> f64 {
    let preset = preset(preset_name).unwrap();
    evaluate(&world.recording(), &preset, &PROTOCOL)[0].figures.average_precision
}

/// The default pack was tuned on other data; what it knows must hold where nobody tuned it.
#[test]
fn the_default_pack_beats_the_yardstick_in_worlds_nobody_tuned_it_for() {
    let worlds = [
        CARDS,
        World { seed: 2, stolen_times: 250, stolen_days: 20, stolen_one_in: 3, ..CARDS },
        World { seed: 3, skimming_days: 12, skimming_per_100_days: 50, stolen_times: 800, ..CARDS },
    ];
    let mut gain = 0.0;
    for world in worlds {
        let (book, default) = (precision(world, "book"), precision(world, "default"));
        eprintln!("book {book:.4}, default {default:.4} in {world:?}");
        assert!(default > book, "book {book}, default {default} in {world:?}");
        gain += default - book;
    }
    assert!(gain > 0.03, "{gain}");
}

#[test]
fn the_same_input_gives_the_same_figures_however_the_rows_are_ordered() {
    let world = World { cards: 60, days: 56, ..CARDS };
    let csv = world.csv();
    let preset = preset("default").unwrap();
    let first = evaluate(&recording(&csv), &preset, &PROTOCOL);
    // By id and not by time: sorting by time brings the same order back, since no two rows of a moment are swapped.
    let (header, rows) = csv.split_once('\n').unwrap();
    let mut lines: Vec<&str> = rows.lines().collect();
    let time = |line: &&str| line.split(',').nth(1).unwrap().parse::<u64>().unwrap();
    lines.sort_by_key(|line| (time(line) / 86_400 % 2, time(line)));
    let again = evaluate(&recording(&format!("{header}\n{}\n", lines.join("\n"))), &preset, &PROTOCOL);
    assert_eq!(first[0].figures, again[0].figures);
    assert_eq!(first[0].model, again[0].model);
}

/// Labels that nobody has yet when the last test day ends must not show in any score, and those of the test itself
/// only in what comes after their arrival, which is after the test.
#[test]
fn labels_that_have_not_arrived_change_no_score() {
    let world = World { cards: 60, days: 60, ..CARDS };
    let preset = preset("default").unwrap();
    let recording = world.recording();
    let scores = |recording: &Recording| -> Vec<(usize, u64)> {
        let results = evaluate(recording, &preset, &PROTOCOL);
        results[0].scores.iter().map(|(event, score)| (*event, score.to_bits())).collect()
    };
    let honest = scores(&recording);
    let fold = PROTOCOL.folds().unwrap().remove(0);
    // Which rows are tested depends on the labels of known subjects: only rows tested either way are compared.
    let assert_same = |relabelled: &Recording| {
        let other: std::collections::BTreeMap<usize, u64> = scores(relabelled).into_iter().collect();
        let mut compared = 0;
        for (event, score) in &honest {
            if let Some(other) = other.get(event) {
                assert_eq!(score, other, "event {event}");
                compared += 1;
            }
        }
        assert!(compared > honest.len() / 2, "{compared} of {}", honest.len());
    };
    let mut flipped = recording.clone();
    flipped.relabel(
        |event, judged| {
            if judged.day >= fold.test.start { Some(event % 2 == 0) } else { judged.fraud }
        },
    );
    assert_same(&flipped);
    // A label of the delay days arrives during the test and may change scores after its arrival: the check can fail.
    let mut early = recording.clone();
    early.relabel(|event, judged| {
        if judged.day >= fold.train.end && judged.day < fold.test.start {
            Some(event % 2 == 0)
        } else {
            judged.fraud
        }
    });
    let seen = scores(&early);
    let by_event: std::collections::BTreeMap<usize, u64> = seen.into_iter().collect();
    let of_first_day = |event: &usize| recording.judged()[*event].day == fold.test.start;
    let changed = |(event, score): &(usize, u64)| by_event.get(event).is_some_and(|other| other != score);
    assert!(honest.iter().any(|scored| !of_first_day(&scored.0) && changed(scored)));
}

#[test]
fn a_constant_score_has_the_figures_of_chance_and_summaries_are_those_of_the_population() {
    let of = |auc| Figures { auc_roc: auc, average_precision: 0.0, card_precision: 1.0, recall: [auc; 5] };
    let (mean, deviation) = Figures::summary(&[of(1.0), of(3.0)]).unwrap();
    assert_eq!((mean.auc_roc, deviation.auc_roc, deviation.card_precision), (2.0, 1.0, 0.0));
    assert_eq!((mean.recall[4], deviation.recall[4]), (2.0, 1.0));
    assert_eq!(Figures::summary(&[]), None);
}

#[test]
fn what_cannot_be_evaluated_is_refused_by_name() {
    let recording = World { cards: 20, days: 30, ..CARDS }.recording();
    let book = preset("book").unwrap();
    let fold = |protocol: Protocol| protocol.folds().unwrap().remove(0);
    let short = fold(Protocol { delay_days: 3, ..PROTOCOL });
    assert_eq!(
        Table::compute(&recording, &pack(&book), &[short]).unwrap_err(),
        ProtocolError::DelayTooShort { label_days: 7, delay_days: 3 }.into()
    );
    // The recording ends before the test begins.
    let late = fold(PROTOCOL);
    let table = Table::compute(&recording, &pack(&book), std::slice::from_ref(&late)).unwrap();
    let error = run(&recording, &table, &late, &book.params, 5).unwrap_err();
    assert_eq!(
        error,
        EvaluateError::NoRows { first_day: FIRST_DAY + 46, last_day: FIRST_DAY + 52, purpose: "test" }
    );
    assert_eq!(recording.label_delay(), Some(Duration::from_secs(7 * 86_400)));
}

#[test]
fn a_missing_role_takes_its_features_away() {
    let preset = preset("default").unwrap();
    let pack = Arc::new(Pack::parse_for(preset.pack, &["subject", "amount"]).unwrap());
    assert!(pack.omitted().iter().any(|name| name == "counterparty_fraud_streak"), "{:?}", pack.omitted());
    assert!(pack.column_index("subject_deviation").is_some());
    let recording = World { cards: 60, ..CARDS }.recording();
    let folds = PROTOCOL.folds().unwrap();
    let table = Table::compute(&recording, &pack, &folds).unwrap();
    let params = scoring::gbdt::Params { trees: 10, ..preset.params };
    let result = run(&recording, &table, &folds[0], &params, 5).unwrap();
    assert!(result.figures.auc_roc > 0.5, "{:?}", result.figures);
}
