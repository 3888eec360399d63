use std::sync::Arc;

use features::Pack;
use scoring::{gbdt::Params, model::file::ModelFile};

use super::{Judges, ReplayError, Rulebook, Summary, replay};
use crate::{
    evaluate::{
        Table,
        model::model_file,
        protocol::{Day, Protocol},
        run,
        tests::{CARDS, FIRST_DAY, MAPPING, World},
    },
    mapping::Mapping,
    preset::preset,
    recording::Recording,
};

const WORLD: World = World { cards: 60, shops: 30, ..CARDS };

fn mapping() -> Mapping {
    Mapping::parse(MAPPING).unwrap()
}

fn pack() -> Arc<Pack> {
    Arc::new(Pack::parse(preset("default").unwrap().pack).unwrap())
}

fn summary(csv: &str, judges: &mut Judges) -> Summary {
    replay(csv.as_bytes(), &mapping(), &pack(), judges, &mut |_| Ok(()), &mut |_| Ok(())).unwrap()
}

fn trained(csv: &str) -> (ModelFile, Vec<(usize, f64)>) {
    let recording = Recording::read(csv.as_bytes(), &mapping(), &mut |_| Ok(())).unwrap();
    let protocol = Protocol {
        train_start: Day(FIRST_DAY + 25),
        train_days: 14,
        delay_days: 7,
        test_days: 7,
        folds: 1,
        capacity: 5,
    };
    let folds = protocol.folds().unwrap();
    let table = Table::compute(&recording, &pack(), &folds).unwrap();
    let params = Params { trees: 15, ..Params::default() };
    let result = run(&recording, &table, &folds[0], &params, 5).unwrap();
    let file = model_file(&result, &recording, &pack(), &params, "a test", domain::UnixNanos(0));
    (ModelFile::decode(&file.encode().unwrap()).unwrap(), result.scores)
}

/// What was computed for training is what the stream computes, bit for bit.
#[test]
fn replay_scores_what_evaluation_scored() {
    let csv = WORLD.csv();
    let (file, scores) = trained(&csv);
    let expected: Vec<(String, u64)> =
        scores.iter().map(|(event, logit)| (event.to_string(), file.probability(*logit).to_bits())).collect();
    let mut judges = Judges { model: Some(file), rules: None, reasons_from: 0.2 };
    let (mut seen, mut explained) = (std::collections::BTreeMap::new(), 0);
    let summary = replay(
        csv.as_bytes(),
        &mapping(),
        &pack(),
        &mut judges,
        &mut |judgement| {
            seen.insert(judgement.id.to_owned(), judgement.score.unwrap().to_bits());
            assert_eq!(judgement.reasons.is_empty(), judgement.score.unwrap() < 0.2, "{}", judgement.id);
            explained += usize::from(!judgement.reasons.is_empty());
            Ok(())
        },
        &mut |_| Ok(()),
    )
    .unwrap();
    for (id, score) in expected {
        assert_eq!(seen.get(&id), Some(&score), "event {id}");
    }
    assert!(explained > 0 && explained < seen.len() / 4, "{explained}");
    assert_eq!((summary.scored.0, summary.counts.taken), (summary.events, summary.events));
    assert_eq!(summary.labels.0, summary.events);
    assert_eq!(summary.counts.labels + summary.labels_waiting as u64, summary.events);
}

#[test]
fn two_replays_agree_and_one_cent_shows() {
    let csv = WORLD.csv();
    let (first, again) = (summary(&csv, &mut Judges::default()), summary(&csv, &mut Judges::default()));
    assert_eq!(first, again);
    let at = csv.len() / 2;
    let row = csv[at..].find('\n').unwrap() + at + 1;
    let end = csv[row..].find('\n').unwrap() + row;
    let fields: Vec<&str> = csv[row..end].split(',').collect();
    let cents: u64 = fields[4].parse().unwrap();
    let changed =
        [&fields[..4].join(","), &(cents + 1).to_string(), fields[5]].map(ToString::to_string).join(",");
    let other = summary(&format!("{}{changed}{}", &csv[..row], &csv[end..]), &mut Judges::default());
    assert_ne!(first.features_sha256, other.features_sha256);
    assert_ne!(first.state_sha256, other.state_sha256);
    assert_ne!(first.input_sha256, other.input_sha256);
}

#[test]
fn late_repeated_and_broken_rows_are_counted_and_cost_nothing_else() {
    let csv = "id,at,card,shop,cents,fraud\n\
               1,100000,c1,s1,100,0\n\
               2,200000,c1,s1,100,1\n\
               2,200001,c1,s1,100,1\n\
               3,100001,c1,s1,100,0\n\
               4,x,c1,s1,100,0\n\
               5,200002,c1,s1,100,\n";
    let (mut dead, mut stepped) = (Vec::new(), Vec::new());
    let summary = replay(
        csv.as_bytes(),
        &mapping(),
        &pack(),
        &mut Judges::default(),
        &mut |judgement| {
            stepped.push(format!("{} {:?}", judgement.id, judgement.stepped));
            Ok(())
        },
        &mut |letter| {
            dead.push(letter.line);
            Ok(())
        },
    )
    .unwrap();
    assert_eq!(stepped, ["1 Taken", "2 Taken", "2 Duplicate", "3 Late", "5 Taken"]);
    assert_eq!(dead, [6]);
    assert_eq!((summary.events, summary.dead), (5, 1));
    assert_eq!((summary.counts.taken, summary.counts.late, summary.counts.duplicates), (3, 1, 1));
    assert_eq!((summary.labels, summary.labels_waiting), ((4, 2), 2));
}

const RULES: &str = r#"
[pack]
name = "trial"
version = "1"

[[rule]]
id = "far-from-habit"
title = "Far from habit"
when = "subject_times_habit > 3.0 && subject.startsWith(\"c\") && amount > 1.0"
action = "challenge"
reason = "the amount is {subject_times_habit} times the habit"
owner = "risk"

[[rule.fixture]]
name = "fires"
given = { subject_times_habit = 4.0, subject = "c1", amount = 2.0 }
expect = true

[[rule.fixture]]
name = "stays quiet"
given = { subject_times_habit = 1.0, subject = "c1", amount = 2.0 }
expect = false

[[rule]]
id = "never"
title = "Never"
when = "model_score > 2.0"
action = "hold"
reason = "cannot be"
owner = "risk"

[[rule.fixture]]
name = "fires on nonsense"
given = { model_score = 3.0 }
expect = true

[[rule.fixture]]
name = "stays quiet"
given = { model_score = 0.9 }
expect = false
"#;

#[test]
fn rules_read_fields_features_and_the_score() {
    let csv = WORLD.csv();
    let rules = Rulebook::load(RULES, &mapping(), &pack()).unwrap_or_else(|error| panic!("{error}"));
    let mut judges = Judges { model: None, rules: Some(rules), reasons_from: 1.0 };
    let habit = pack().column_index("subject_times_habit").unwrap();
    let (mut fired, mut frauds) = (0, 0);
    let summary = replay(
        csv.as_bytes(),
        &mapping(),
        &pack(),
        &mut judges,
        &mut |judgement| {
            // Every amount of this world is above one unit, and every card begins with c.
            assert_eq!(
                judgement.rules.len(),
                usize::from(judgement.features[habit] > 3.0),
                "{}",
                judgement.id
            );
            for hit in judgement.rules {
                assert_eq!(
                    (hit.id.as_str(), hit.action, hit.is_enforced),
                    ("far-from-habit", "challenge", false)
                );
                assert!(
                    hit.reason.contains("times the habit") && !hit.reason.contains('{'),
                    "{}",
                    hit.reason
                );
                fired += 1;
            }
            Ok(())
        },
        &mut |_| Ok(()),
    )
    .unwrap();
    for (id, fires, of_frauds) in &summary.rules {
        if id == "far-from-habit" {
            assert_eq!(*fires, fired);
            frauds = *of_frauds;
        } else {
            assert_eq!((*fires, *of_frauds), (0, 0), "{id}");
        }
    }
    // Amounts so far from the habit are mostly the thief's.
    assert!(fired > 10 && frauds * 2 > fired, "{frauds} of {fired}");
    let bad = RULES.replace("subject_times_habit > 3.0", "subject_times_habitt > 3.0");
    let error = Rulebook::load(&bad, &mapping(), &pack()).unwrap_err().to_string();
    assert!(error.contains("subject_times_habit"), "{error}");
}

#[test]
fn a_model_of_another_pack_is_refused() {
    let csv = WORLD.csv();
    let (file, _) = trained(&csv);
    let try_with = |pack: &Pack, file: &ModelFile| {
        let mut judges = Judges { model: Some(file.clone()), rules: None, reasons_from: 1.0 };
        replay(csv.as_bytes(), &mapping(), &Arc::new(pack.clone()), &mut judges, &mut |_| Ok(()), &mut |_| {
            Ok(())
        })
    };
    let book = Pack::parse(preset("book").unwrap().pack).unwrap();
    assert!(matches!(try_with(&book, &file), Err(ReplayError::OtherFeatures { place: 2, .. })));
    // The same names, computed otherwise.
    let text = preset("default").unwrap().pack.replace("window = \"14d\"", "window = \"15d\"");
    let other = Pack::parse(&text).unwrap();
    assert!(matches!(try_with(&other, &file), Err(ReplayError::OtherPack { .. })));
}
