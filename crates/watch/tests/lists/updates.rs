//! Small changes of a list: what counts afterwards, through restart, a whole state, a backup and damage.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use chain::label::Category;
use domain::Verdict;
use proptest::prelude::*;
use tempfile::TempDir;
use watch::{Config, Format, ImportError, OpenError, SourceFile, UpdateReport, Watch, verify_dir};

use crate::support::{NOW, file, list, ofac, open, tagpack};

const A: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
const B: &str = "3P14159f73E4gFr7JterCCQh9QjiTjiZrG";
const TEXT: &str = "XnPFsRWTaSgiVauosEwQ6dEitGYXgwznz2";

fn update(
    watch: &Watch,
    name: &str,
    added: &[SourceFile],
    removed: &[SourceFile],
) -> Result<UpdateReport, ImportError> {
    watch.update(&list(name), &Format::Ofac { ticker: None }, added, removed, NOW)
}

fn lines(ticker: &str, lines: &[&str]) -> Vec<SourceFile> {
    vec![file(&format!("sanctioned_addresses_{ticker}.txt"), &lines.join("\n"))]
}

fn verdicts(watch: &Watch) -> [Verdict; 3] {
    [A, B, TEXT].map(|text| watch.screen(text, None).verdict)
}

#[test]
fn a_delisting_and_an_addition_act_at_once_and_survive_restart() {
    use Verdict::{Allow, Deny};
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let imported = ofac(&watch, "XBT", A).unwrap();
    let report = update(&watch, "ofac", &lines("DASH", &[TEXT]), &lines("XBT", &[A, B])).unwrap();
    assert_eq!((report.added, report.removed, report.removed_listed), (1, 2, 1));
    assert_eq!((report.changes, report.listed), (3, 1));
    assert_eq!(verdicts(&watch), [Allow, Allow, Deny]);
    let state = &watch.lists()[0];
    assert_eq!((state.addresses, state.texts), (0, 1));
    assert_ne!(state.source_sha256, imported.source_sha256);
    assert_eq!(state.source_sha256, report.source_sha256);
    drop(watch);

    let watch = open(&dir);
    assert_eq!(verdicts(&watch), [Allow, Allow, Deny]);
    // The last word counts.
    update(&watch, "ofac", &lines("XBT", &[A, B]), &lines("DASH", &[TEXT])).unwrap();
    assert_eq!(verdicts(&watch), [Deny, Deny, Allow]);
    assert_eq!(watch.screen(A, None).labels.len(), 1);
    assert_eq!(watch.lists()[0].addresses, 2);
    // A whole state takes the place of everything before.
    ofac(&watch, "XBT", B).unwrap();
    assert_eq!(verdicts(&watch), [Allow, Deny, Allow]);
    let mut names: Vec<_> = fs::read_dir(dir.path().join("labels"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["CURRENT", "ofac.00000000000000000004.seg"]);
}

#[test]
fn a_label_is_added_beside_those_of_the_whole_state() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    tagpack(&watch, &format!("currency: BTC\ncategory: exchange\ntags: [{{address: {A}}}]\n")).unwrap();
    let pack = [file("more.yaml", &format!("currency: BTC\nabuse: phishing\ntags: [{{address: {A}}}]\n"))];
    watch.update(&list("tags"), &Format::TagPack, &pack, &[], NOW).unwrap();
    let categories = |watch: &Watch| -> Vec<_> {
        watch.screen(A, None).labels.iter().map(|label| label.category).collect()
    };
    assert_eq!(categories(&watch), [Category::Phishing, Category::Exchange]);
    assert_eq!(watch.lists()[0].addresses, 1);
    watch.update(&list("tags"), &Format::TagPack, &[], &pack, NOW).unwrap();
    assert_eq!(categories(&watch), []);
    assert_eq!(watch.lists()[0].addresses, 0);
}

#[test]
fn an_update_that_fails_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let missing = update(&watch, "ofac", &lines("XBT", &[A]), &[]);
    assert!(matches!(missing, Err(ImportError::NotInForce { .. })));
    ofac(&watch, "XBT", A).unwrap();
    let before = watch.lists();
    assert!(matches!(update(&watch, "ofac", &[], &[]), Err(ImportError::NoEntries)));
    assert!(matches!(update(&watch, "ofac", &lines("XBT", &[]), &[]), Err(ImportError::NoEntries)));
    let damaged = update(&watch, "ofac", &lines("XBT", &[B]), &lines("XBT", &["nonsense"]));
    assert!(matches!(damaged, Err(ImportError::Malformed { line: 1, .. })));
    assert_eq!(watch.lists(), before);
    assert_eq!(verdicts(&watch), [Verdict::Deny, Verdict::Allow, Verdict::Allow]);
}

#[test]
fn a_backup_holds_the_changes_and_damage_to_them_is_named() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    ofac(&watch, "XBT", A).unwrap();
    update(&watch, "ofac", &lines("XBT", &[B]), &lines("XBT", &[A])).unwrap();
    let files = watch.export();
    assert_eq!(files.len(), 4);
    watch.remove(&list("ofac")).unwrap();
    drop(watch);

    let restored = TempDir::new().unwrap();
    let labels = restored.path().join("labels");
    fs::create_dir(&labels).unwrap();
    for file in &files {
        fs::write(labels.join(&file.name), file.bytes()).unwrap();
    }
    assert_eq!(verify_dir(&labels), []);
    assert_eq!(verdicts(&open(&restored)), [Verdict::Allow, Verdict::Deny, Verdict::Allow]);
    for file in files.iter().filter(|file| file.name != "CURRENT") {
        let mut bytes = file.bytes().to_vec();
        bytes[300] ^= 1;
        fs::write(labels.join(&file.name), &bytes).unwrap();
        let faults = verify_dir(&labels);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].file, file.name);
        assert!(matches!(Watch::open(Config { dir: labels.clone() }), Err(OpenError::Damaged(_))));
        fs::write(labels.join(&file.name), file.bytes()).unwrap();
    }
}

/// One step on a few addresses: which are removed, then which are added; or a whole state.
#[derive(Debug, Clone)]
enum Step {
    Whole(BTreeSet<usize>),
    Update { added: BTreeSet<usize>, removed: BTreeSet<usize> },
    Reopen,
}

fn some() -> impl Strategy<Value = BTreeSet<usize>> {
    proptest::collection::btree_set(0usize..8, 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => some().prop_map(Step::Whole),
        4 => (some(), some()).prop_map(|(added, removed)| Step::Update { added, removed }),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_history_leaves_what_a_set_would_hold(steps in proptest::collection::vec(step(), 1..10)) {
        let texts: Vec<String> = (1..9).map(|n| format!("0x{:040x}", n)).collect();
        let source = |numbers: &BTreeSet<usize>| {
            let chosen: Vec<&str> = numbers.iter().map(|n| texts[*n].as_str()).collect();
            if chosen.is_empty() { Vec::new() } else { lines("ETH", &chosen) }
        };
        let dir = TempDir::new().unwrap();
        let mut watch = open(&dir);
        ofac(&watch, "ETH", &texts[0]).unwrap();
        let mut model: BTreeSet<usize> = BTreeSet::from([0]);
        for step in steps {
            match step {
                Step::Whole(numbers) if !numbers.is_empty() => {
                    watch.import(&list("ofac"), &Format::Ofac { ticker: None }, &source(&numbers), NOW).unwrap();
                    model = numbers;
                }
                Step::Update { added, removed } if !(added.is_empty() && removed.is_empty()) => {
                    update(&watch, "ofac", &source(&added), &source(&removed)).unwrap();
                    model.retain(|number| !removed.contains(number));
                    model.extend(added);
                }
                Step::Reopen => {
                    drop(watch);
                    watch = open(&dir);
                }
                _ => {}
            }
            let found: BTreeMap<usize, usize> = texts
                .iter()
                .map(|text| watch.screen(text, None).labels.len())
                .enumerate()
                .filter(|(_, labels)| *labels > 0)
                .collect();
            prop_assert_eq!(found.keys().copied().collect::<BTreeSet<_>>(), model.clone());
            prop_assert_eq!(watch.lists()[0].addresses, model.len() as u64);
            let addresses: Vec<_> =
                texts.iter().map(|text| chain::address::decode_any(text).unwrap()).collect();
            let mut in_bulk = Vec::new();
            watch.for_each_listed(&addresses, |idx, listing| in_bulk.push((idx, listing)));
            let one_by_one: Vec<_> = addresses
                .iter()
                .map(|address| watch.listing(address))
                .enumerate()
                .filter_map(|(idx, listing)| Some((idx, listing?)))
                .collect();
            prop_assert_eq!(in_bulk, one_by_one);
        }
    }
}
