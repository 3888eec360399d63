use std::path::Path;

use domain::{Amount, Asset, Channel, Network, WithdrawalRequest};
use journal::Draft;
use tempfile::TempDir;

use super::*;
use crate::{clock::SystemClock, config::Config};

const CONFIG: &str = "version = 1\n";

async fn cabinet(dir: &Path) -> Cabinet {
    let config = Config::parse("caponier.toml", CONFIG, dir).unwrap();
    let core = Core::open(config, Arc::new(SystemClock), &mut |_, _, _| {}).await.unwrap();
    Cabinet { core: Arc::new(core) }
}

/// The n-th decision: every seventh is denied, and one in a thousand goes to an address of its own.
fn draft(n: u64, at: UnixNanos) -> Draft {
    let account = AccountId::parse(&format!("customer-{}", n % 10_000)).unwrap();
    let byte = if n % 1_000 == 3 { 9 } else { 1 };
    let to = address::encode(&domain::Address::new(domain::AddressKind::Evm, &[byte; 20]).unwrap());
    let decision = Decision {
        request: WithdrawalRequest {
            account: account.clone(),
            channel: Channel::Exchange,
            asset: Asset::parse("ETH").unwrap(),
            amount: Amount::parse(&format!("{n}")).unwrap(),
            fee: None,
            destination: Destination::OnChain { network: Network::Ethereum, address: to, tag: None },
            client_id: None,
            ip: "192.0.2.1".parse().unwrap(),
            device: None,
            client_ja4: None,
            requested_at: at,
        },
        verdict: if n.is_multiple_of(7) { Verdict::Deny } else { Verdict::Allow },
        findings: Vec::new(),
        decided_at: at,
        idempotency_key: None,
    };
    let payload = record::encode_decision(&decision);
    Draft { at, subject: Subject::Account(account), kind: Kind::Decision, payload }
}

async fn fill(cabinet: &Cabinet, from: u64, until: u64) {
    let at = cabinet.core.clock.now();
    let mut next = from;
    while next < until {
        let end = until.min(next + 500);
        cabinet.core.ground.record((next..end).map(|n| draft(n, at)).collect()).await.unwrap();
        next = end;
    }
}

fn amounts(page: &DecisionPage) -> Vec<&str> {
    page.lines.iter().map(|line| line.amount.as_str()).collect()
}

/// All pages of a filter, one after the other.
fn walk(cabinet: &Cabinet, wanted: &DecisionFilter) -> Vec<String> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = cabinet.decisions(&DecisionFilter { before, ..wanted.clone() }).unwrap();
        all.extend(amounts(&page).into_iter().map(str::to_owned));
        match page.before {
            None => return all,
            Some(next) => {
                assert!(before.is_none_or(|before| next < before), "a page leads back");
                before = Some(next);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_decisions_follow_each_other_whatever_the_filter() {
    let dir = TempDir::new().unwrap();
    let cabinet = cabinet(dir.path()).await;
    assert_eq!(cabinet.decisions(&DecisionFilter::default()).unwrap(), DecisionPage::default());
    fill(&cabinet, 0, 1_250).await;
    let want = |keep: &dyn Fn(u64) -> bool| -> Vec<String> {
        (0..1_250).rev().filter(|n| keep(*n)).map(|n| format!("{n} ETH")).collect()
    };
    let any = DecisionFilter::default();
    let page = cabinet.decisions(&any).unwrap();
    assert_eq!((page.lines.len(), amounts(&page)[0]), (ROWS_MAX, "1249 ETH"));
    assert_eq!(walk(&cabinet, &any), want(&|_| true));
    let denied = DecisionFilter { verdict: Some(Verdict::Deny), ..any.clone() };
    assert_eq!(walk(&cabinet, &denied), want(&|n| n.is_multiple_of(7)));
    let one = DecisionFilter { account: Some("customer-77".into()), ..any.clone() };
    assert_eq!(walk(&cabinet, &one), ["77 ETH"]);
    let text = DecisionFilter { text: Some("0X0909".into()), ..any.clone() };
    assert_eq!(walk(&cabinet, &text), ["1003 ETH", "3 ETH"]);
    for nobody in ["customer-9999999", "no such name!", ""] {
        let of = DecisionFilter { account: Some(nobody.into()), ..any.clone() };
        assert_eq!(walk(&cabinet, &of), Vec::<String>::new(), "{nobody}");
    }
    // The same rows are taken away, each once.
    let (mut rows, mut next) =
        (Vec::new(), Some(Box::new(ExportFilter { decisions: denied, ..ExportFilter::default() })));
    while let Some(wanted) = next {
        let part = cabinet.rows(Export::Decisions, &wanted).unwrap();
        assert!(part.rows.iter().all(|row| row.len() == Export::Decisions.columns().len()));
        rows.extend(part.rows.into_iter().map(|row| format!("{} {}", row[3], row[4])));
        next = part.next;
    }
    assert_eq!(rows, want(&|n| n.is_multiple_of(7)));
    for table in [Export::Alerts, Export::Bans, Export::Cases] {
        let part = cabinet.rows(table, &ExportFilter::default()).unwrap();
        assert!(part.rows.is_empty() && part.next.is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_typed_leads_to_what_it_names() {
    let dir = TempDir::new().unwrap();
    let cabinet = cabinet(dir.path()).await;
    fill(&cabinet, 0, 5).await;
    let id = cabinet.decisions(&DecisionFilter::default()).unwrap().lines[0].id.clone();
    let address = "0x0101010101010101010101010101010101010101";
    for (text, page) in [
        (id.as_str(), Some(format!("/console/decisions/{id}"))),
        ("customer-3", Some("/console/accounts/customer-3".to_owned())),
        (" account:customer-3 ", Some("/console/accounts/customer-3".to_owned())),
        ("192.0.2.1", Some("/console/graph?entity=ip:192.0.2.1".to_owned())),
        (address, Some(format!("/console/addresses/any/{address}"))),
        (
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            Some("/console/addresses/any/1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa".to_owned()),
        ),
        ("dec-1-0000000000000000", None),
        ("case-7", None),
        ("customer-none", None),
        ("<script>", None),
        ("", None),
    ] {
        assert_eq!(cabinet.find(text), page, "{text:?}");
    }
    // An account with that address on its page, and whoever else paid it.
    let graph = cabinet.graph("account:customer-3").unwrap().graph;
    let names: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
    assert!(names.contains(&"192.0.2.1") && names.contains(&"customer-4"), "{names:?}");
    let file = cabinet.address(None, address, true).unwrap();
    assert_eq!(file.customers.unwrap().lines.len(), 4);
    let file = cabinet.address(Some("ethereum"), address, false).unwrap();
    assert!(file.customers.is_none() && file.moments.is_none());
    assert!(cabinet.address(Some("moon"), address, true).is_err());
    assert_eq!(cabinet.address(Some("tron"), address, true).unwrap().verdict, Verdict::Deny);
    for entity in ["", "account:", "ip:x", "thing:1", "address:x"] {
        assert!(cabinet.graph(entity).is_err(), "{entity:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "nightly: a million decisions, some minutes; the limit of a second is for an optimised build"]
#[allow(clippy::disallowed_methods, reason = "a measurement")]
async fn pages_are_ready_within_a_second_with_a_million_decisions() {
    let dir = TempDir::new().unwrap();
    let cabinet = cabinet(dir.path()).await;
    fill(&cabinet, 0, 1_000_000).await;
    let any = DecisionFilter::default();
    // Finding a place in the journal is checksums, which a debug build does some twenty times slower.
    let most = std::time::Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 1 });
    let timed = |what: &str, work: &dyn Fn()| {
        let begun = std::time::Instant::now();
        work();
        let took = begun.elapsed();
        eprintln!("{what}: {} ms", took.as_millis());
        assert!(took < most, "{what} took {took:?}");
    };
    timed("newest", &|| assert_eq!(cabinet.decisions(&any).unwrap().lines.len(), ROWS_MAX));
    timed("oldest", &|| {
        let wanted = DecisionFilter { before: Some(60), ..any.clone() };
        assert!(!cabinet.decisions(&wanted).unwrap().lines.is_empty());
    });
    timed("denied", &|| {
        let wanted = DecisionFilter { verdict: Some(Verdict::Deny), ..any.clone() };
        assert_eq!(cabinet.decisions(&wanted).unwrap().lines.len(), ROWS_MAX);
    });
    timed("of one customer", &|| {
        let wanted = DecisionFilter { account: Some("customer-77".into()), ..any.clone() };
        assert_eq!(cabinet.decisions(&wanted).unwrap().lines.len(), 100);
    });
    timed("with a text", &|| {
        let wanted = DecisionFilter { text: Some("0x0909".into()), ..any.clone() };
        assert!(!cabinet.decisions(&wanted).unwrap().lines.is_empty());
    });
    timed("none there is", &|| {
        let wanted = DecisionFilter { verdict: Some(Verdict::Hold), ..any.clone() };
        assert!(cabinet.decisions(&wanted).unwrap().lines.is_empty());
    });
    timed("a customer", &|| {
        assert_eq!(cabinet.account("customer-77", &TrailFilter::default()).unwrap().moments.len(), 100);
    });
    timed("an address of all", &|| {
        drop(cabinet.address(None, "0x0101010101010101010101010101010101010101", true).unwrap());
    });
    timed("a graph", &|| drop(cabinet.graph("ip:192.0.2.1").unwrap()));
    timed("cases", &|| drop(cabinet.cases(&CaseFilter::default())));
}
