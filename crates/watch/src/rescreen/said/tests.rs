use chain::address;
use domain::{Network, UnixNanos};
use tempfile::TempDir;

use super::*;
use crate::{Config, Format, ListName, SourceFile};

const AT: UnixNanos = UnixNanos::from_secs(1_700_000_000);

fn at(number: u64) -> Address {
    address::decode(Network::Ethereum.family(), &format!("0x{number:040x}")).unwrap()
}

fn lists(dir: &TempDir) -> Watch {
    Watch::open(Config { dir: dir.path().to_owned() }).unwrap()
}

fn import(watch: &Watch, labels: &[(u64, &str)]) {
    let mut csv = "address,category\n".to_owned();
    for (address, category) in labels {
        csv.push_str(&format!("0x{address:040x},{category}\n"));
    }
    let format: Format = "csv:address=address,network=:ETH,category=category".parse().unwrap();
    let file = SourceFile { name: "bad.csv".to_owned(), bytes: csv.into_bytes() };
    watch.import(&ListName::parse("bad").unwrap(), &format, &[file], AT).unwrap();
}

/// Says what is news, and takes it in as the journal would hand it back.
fn say(
    answers: &mut Answers,
    alerts: &mut Alerts,
    watch: &Watch,
) -> Vec<(u64, &'static str, Option<&'static str>)> {
    let news = SaidScan::of(answers, alerts, 0).news(watch);
    for news in &news {
        let category = news.now.map(|(category, _)| category);
        let before = match news.way {
            Way::Answer => answers.apply_alert(&news.address, category),
            _ => alerts.apply_alert(news.entry, category),
        };
        assert_eq!(before, news.before);
    }
    let told = news.iter();
    told.map(|news| (news.entry, news.way.as_str(), news.now.map(|(category, _)| category.as_str())))
        .collect()
}

fn answered(address: u64, told: Option<Category>, exposed: Option<Category>) -> Answered {
    Answered { address: at(address), told, exposed }
}

fn seen<'a>(id: &'a str, kind: AlertKind, subject: u64, counterparty: u64) -> SeenAlert<'a> {
    let (subject, counterparty) = (Some(at(subject)), Some(at(counterparty)));
    SeenAlert { id, kind: kind.as_str(), subject, counterparty, category: None }
}

#[test]
fn an_answer_is_judged_again_until_it_agrees_with_the_lists() {
    let dir = TempDir::new().unwrap();
    let watch = lists(&dir);
    let (mut answers, mut alerts) = (Answers::default(), Alerts::default());
    answers.apply_answers(3, [answered(5, None, None), answered(6, Some(Category::Scam), None)]);
    // The list that spoke against the second was withdrawn in between.
    assert_eq!(say(&mut answers, &mut alerts, &watch), [(3, "answer", None)]);
    import(&watch, &[(5, "sanctions"), (6, "exchange")]);
    assert_eq!(say(&mut answers, &mut alerts, &watch), [(3, "answer", Some("sanctions"))]);
    assert_eq!(say(&mut answers, &mut alerts, &watch), []);
    // Who asks again is told by the answer itself; it is the newest answer that counts.
    answers.apply_answers(9, [answered(5, Some(Category::Sanctions), None)]);
    assert_eq!((answers.len(), answers.contains(&at(5)), answers.contains(&at(7))), (2, true, false));
    assert_eq!(answers.addresses_from(4).collect::<Vec<_>>(), [at(5)]);
    import(&watch, &[(5, "mixer")]);
    assert_eq!(say(&mut answers, &mut alerts, &watch), [(9, "answer", Some("mixer"))]);
    import(&watch, &[(8, "mixer")]);
    assert_eq!(say(&mut answers, &mut alerts, &watch), [(9, "answer", None)]);
}

#[test]
fn an_alert_goes_by_the_listing_its_rule_goes_by() {
    let dir = TempDir::new().unwrap();
    let watch = lists(&dir);
    let (mut answers, mut alerts) = (Answers::default(), Alerts::default());
    let kinds = AlertKind::ALL;
    let ids: Vec<String> = kinds.iter().map(|kind| format!("alr-{kind:?}")).collect();
    for ((entry, kind), id) in (10..).zip(kinds).zip(&ids) {
        alerts.apply_seen(entry, &seen(id, kind, 1, 2));
    }
    // Bait and overflow are no matter of lists.
    assert_eq!(alerts.len(), kinds.len() - 2);
    let entry_of = |kind| (10..).zip(kinds).find(|(_, other)| *other == kind).unwrap().0;
    let is_told = |kind, category| (entry_of(kind), "chain_alert", category);
    import(&watch, &[(1, "scam")]);
    let subjects = [AlertKind::ListedCounterparty, AlertKind::ListedTransfer, AlertKind::WatchedTransfer];
    let expected = subjects.map(|kind| is_told(kind, Some("scam")));
    assert_eq!(say(&mut answers, &mut alerts, &watch), expected);
    import(&watch, &[(1, "scam"), (2, "theft")]);
    let others = [
        AlertKind::Delegation,
        AlertKind::Approval,
        AlertKind::ListedCounterparty,
        AlertKind::WatchedTransfer,
    ];
    let expected = others.map(|kind| is_told(kind, Some("theft")));
    assert_eq!(say(&mut answers, &mut alerts, &watch), expected);
    // The same alert once more is no other one, unless its block had left the chain.
    let id = &ids[2];
    alerts.apply_seen(30, &seen(id, kinds[2], 1, 2));
    assert_eq!(alerts.apply_retracted(id), Some((12, Some(Category::Theft))));
    assert_eq!(alerts.apply_retracted(id), None);
    assert_eq!((say(&mut answers, &mut alerts, &watch), alerts.apply_alert(12, None)), (vec![], None));
    alerts.apply_seen(31, &seen(id, kinds[2], 1, 2));
    assert_eq!(say(&mut answers, &mut alerts, &watch), [(31, "chain_alert", Some("theft"))]);
    // Only what is new is looked at where that is asked for.
    assert_eq!(SaidScan::of(&answers, &alerts, 31).looked(), (0, 1));
}

#[test]
fn the_oldest_are_forgotten() {
    let (mut answers, mut alerts) = (Answers::default(), Alerts::default());
    for number in 0..=ANSWERS_MAX as u64 {
        answers.apply_answers(number, [answered(number, None, None)]);
        let id = format!("alr-{number}");
        alerts.apply_seen(number, &seen(&id, AlertKind::WatchedTransfer, 1, number));
    }
    assert_eq!((answers.len(), alerts.len()), (ANSWERS_MAX, ALERTS_MAX));
    assert!(!answers.contains(&at(0)) && answers.contains(&at(1)));
    assert_eq!(alerts.apply_retracted("alr-0"), None);
    assert_eq!(alerts.apply_retracted("alr-1"), Some((1, None)));
}

#[test]
fn an_exposure_of_an_answer_is_told_once_and_taken_back_once() {
    let mut answers = Answers::default();
    answers.apply_answers(4, [answered(1, None, Some(Category::Mixer)), answered(2, None, None)]);
    let judged = |now: Option<Category>| BTreeMap::from([(at(1), now.map(|category| (category, 9)))]);
    assert!(answers.exposure_news(&judged(Some(Category::Mixer))).is_empty());
    let (theft, none) = (judged(Some(Category::Theft)), judged(None));
    let news = answers.exposure_news(&theft);
    assert_eq!(
        (news.len(), news[0].entry, news[0].now, news[0].way.as_str()),
        (1, 4, Some((Category::Theft, &9)), "answer")
    );
    let before = answers.digest();
    answers.apply_exposure(&at(1), Some(Category::Theft));
    assert!(answers.digest() != before && answers.exposure_news(&theft).is_empty());
    assert_eq!(answers.exposure_news(&none)[0].now, None);
    answers.apply_exposure(&at(1), None);
    assert!(answers.exposure_news(&none).is_empty());
}
