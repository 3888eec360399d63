use domain::{Amount, Asset, Channel, Decision, EventContext, EventId, UnixNanos, WithdrawalRequest};
use tempfile::TempDir;

use super::*;
use crate::{Config, Format, ListName, SourceFile};

const AT: UnixNanos = UnixNanos::from_secs(1_700_000_000);

fn text(number: u64) -> String {
    format!("0x{number:040x}")
}

fn event(number: u64, kind: EventKind) -> Event {
    Event {
        id: EventId::parse(&format!("e-{number}")).unwrap(),
        account: AccountId::parse("alice").unwrap(),
        occurred_at: AT,
        device: None,
        ip: None,
        context: EventContext::default(),
        kind,
    }
}

fn paid(address: u64) -> EventKind {
    EventKind::WithdrawalAccepted {
        asset: Asset::parse("ETH").unwrap(),
        amount: Amount::parse("1").unwrap(),
        network: Network::Ethereum,
        address: text(address),
    }
}

fn received(address: u64) -> EventKind {
    EventKind::Deposit {
        asset: Asset::parse("ETH").unwrap(),
        amount: Amount::parse("1").unwrap(),
        network: Network::Ethereum,
        from: Some(text(address)),
    }
}

fn decision(account: &str, address: u64, verdict: Verdict) -> Decision {
    Decision {
        request: WithdrawalRequest {
            account: AccountId::parse(account).unwrap(),
            channel: Channel::Exchange,
            asset: Asset::parse("ETH").unwrap(),
            amount: Amount::parse("1").unwrap(),
            fee: None,
            destination: Destination::OnChain {
                network: Network::Ethereum,
                address: text(address),
                tag: None,
            },
            client_id: None,
            ip: "192.0.2.1".parse().unwrap(),
            device: None,
            client_ja4: None,
            requested_at: AT,
        },
        verdict,
        findings: Vec::new(),
        decided_at: AT,
        idempotency_key: None,
    }
}

fn lists(dir: &TempDir, labels: &[(u64, &str)]) -> Watch {
    let watch = Watch::open(Config { dir: dir.path().to_owned() }).unwrap();
    import(&watch, labels);
    watch
}

fn import(watch: &Watch, labels: &[(u64, &str)]) {
    let mut csv = "address,category\n".to_owned();
    for (address, category) in labels {
        csv.push_str(&format!("{},{category}\n", text(*address)));
    }
    let format: Format = "csv:address=address,network=:ETH,category=category".parse().unwrap();
    let file = SourceFile { name: "bad.csv".to_owned(), bytes: csv.into_bytes() };
    watch.import(&ListName::parse("bad").unwrap(), &format, &[file], AT).unwrap();
}

/// Says what is news, and takes it in as the journal would hand it back.
fn say(ledger: &mut Ledger, watch: &Watch) -> Vec<(u64, Option<&'static str>)> {
    let news = ledger.scan(0).news(watch);
    for news in &news {
        let _ = ledger.apply_alert(news.entry, news.now.map(|(category, _)| category));
    }
    news.iter().map(|news| (news.entry, news.now.map(|(category, _)| category.as_str()))).collect()
}

#[test]
fn a_label_that_arrives_changes_or_goes_is_told_of_each_transfer_once() {
    let dir = TempDir::new().unwrap();
    let watch = lists(&dir, &[(9, "exchange")]);
    let mut ledger = Ledger::new();
    ledger.apply_event(1, &event(1, paid(5)));
    ledger.apply_event(2, &event(2, received(5)));
    ledger.apply_event(3, &event(3, paid(6)));
    ledger.apply_event(4, &event(4, paid(9)));
    // A label that names without accusing is no news.
    assert_eq!(say(&mut ledger, &watch), []);
    import(&watch, &[(5, "scam"), (9, "exchange")]);
    assert_eq!(say(&mut ledger, &watch), [(1, Some("scam")), (2, Some("scam"))]);
    assert_eq!(say(&mut ledger, &watch), []);
    import(&watch, &[(5, "sanctions"), (6, "mixer")]);
    assert_eq!(
        say(&mut ledger, &watch),
        [(1, Some("sanctions")), (2, Some("sanctions")), (3, Some("mixer"))]
    );
    import(&watch, &[(6, "mixer")]);
    assert_eq!(say(&mut ledger, &watch), [(1, None), (2, None)]);
    // Only what is new is looked at where that is asked for.
    import(&watch, &[(5, "scam")]);
    ledger.apply_event(7, &event(7, paid(5)));
    let scan = ledger.scan(7);
    assert_eq!((scan.looked(), scan.newest()), (Looked { transfers: 1, addresses: 1 }, Some(7)));
    assert_eq!(scan.news(&watch).len(), 1);
}

#[test]
fn a_withdrawal_that_is_decided_and_reported_is_one() {
    let mut ledger = Ledger::new();
    ledger.apply_decision(1, &decision("alice", 5, Verdict::Deny));
    assert!(ledger.is_empty());
    ledger.apply_decision(2, &decision("alice", 5, Verdict::Allow));
    ledger.apply_event(3, &event(3, paid(5)));
    assert_eq!(ledger.len(), 1);
    // The next report is another withdrawal, and so is another customer's decision.
    ledger.apply_event(4, &event(4, paid(5)));
    ledger.apply_decision(5, &decision("bob", 5, Verdict::Allow));
    ledger.apply_event(6, &event(6, paid(5)));
    assert_eq!(ledger.len(), 4);
}

#[test]
fn the_oldest_are_forgotten_and_the_rest_stays_true() {
    let dir = TempDir::new().unwrap();
    let watch = lists(&dir, &[(1_000_000, "exchange")]);
    let mut ledger = Ledger::new();
    let account = AccountId::parse("alice").unwrap();
    for entry in 0..=TRANSFERS_MAX as u64 {
        ledger.add(entry, &account, Network::Ethereum, &text(entry % 1_000), Way::Deposit, false);
    }
    assert_eq!(ledger.len(), TRANSFERS_MAX - TRANSFERS_MAX / 4 + 1);
    import(&watch, &[(7, "scam")]);
    let news = ledger.scan(0).news(&watch);
    assert_eq!(news.len(), ledger.transfers.iter().filter(|past| past.entry % 1_000 == 7).count());
    assert!(news.iter().all(|news| news.entry % 1_000 == 7 && news.before.is_none()));
    // What was forgotten changes nothing.
    let before = ledger.digest();
    ledger.apply_alert(7, Some(Category::Scam));
    assert_eq!(ledger.digest(), before);
}

#[test]
fn an_exposure_is_told_once_and_taken_back_once() {
    let mut ledger = Ledger::new();
    ledger.apply_event(3, &event(3, received(0xa1)));
    ledger.apply_event(5, &event(5, paid(0xa1)));
    ledger.apply_event(7, &event(7, received(0xb2)));
    let address = |number: u64| address::decode(Network::Ethereum.family(), &text(number)).unwrap();
    let judged =
        |category: Option<Category>| BTreeMap::from([(address(0xa1), category.map(|found| (found, 9)))]);
    let theft = judged(Some(Category::Theft));
    let scan = ledger.scan(0);
    let news = scan.exposure_news(&theft);
    assert_eq!(news.iter().map(|news| news.entry).collect::<Vec<_>>(), [3, 5]);
    assert!(news.iter().all(|news| news.now == Some((Category::Theft, &9))));
    let before = ledger.digest();
    ledger.apply_exposure(3, Some(Category::Theft));
    ledger.apply_exposure(5, Some(Category::Theft));
    assert_ne!(ledger.digest(), before);
    assert!(ledger.scan(0).exposure_news(&theft).is_empty());
    // A category that is another one is news, and so is none.
    assert_eq!(ledger.scan(0).exposure_news(&judged(Some(Category::Mixer))).len(), 2);
    let gone = judged(None);
    let scan = ledger.scan(0);
    assert!(scan.exposure_news(&gone).iter().all(|news| news.now.is_none()));
    // What was not judged stays as it was said, and what is said of labels stands beside it.
    assert!(scan.exposure_news(&BTreeMap::<Address, Option<(Category, u8)>>::new()).is_empty());
    ledger.apply_alert(3, Some(Category::Scam));
    assert_eq!(ledger.scan(0).exposure_news(&gone).len(), 2);
}
