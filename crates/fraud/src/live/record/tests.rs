use domain::{
    Anonymizer, ApiKeyId, Country, Credential, DeviceId, EventContext, EventId, Network, Side, Verdict,
};

use super::*;

const PACKS: &str = include_str!("../../../../../docs/operating/feature-packs.md");
const SOURCE: &str = include_str!("../record.rs");

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn account(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

fn asset(name: &str) -> Asset {
    Asset::parse(name).unwrap()
}

fn event(kind: EventKind) -> Event {
    Event {
        id: EventId::parse("e-1").unwrap(),
        account: account("alice"),
        occurred_at: UnixNanos::from_secs(100),
        device: Some(DeviceId::parse("d-1").unwrap()),
        ip: Some("192.0.2.77".parse().unwrap()),
        context: EventContext::default(),
        kind,
    }
}

/// What a record holds, by name; texts only as far as they are texts.
type Shown = (u64, &'static str, Option<String>, BTreeMap<&'static str, String>);

fn shown(recorder: &mut Recorder, seq: u64, entry: &Entry<'_>) -> Vec<Shown> {
    let mut all = Vec::new();
    recorder.records(seq, entry, |record| {
        let mut cells = BTreeMap::new();
        for field in Field::ALL {
            let text = match record.cell(field) {
                Cell::Missing => continue,
                Cell::Text(text) => text.to_owned(),
                Cell::Ip(ip) => ip.to_string(),
                Cell::IpNetwork(network) => network.to_string(),
                Cell::Money(amount) => amount.to_string(),
                other => format!("{other:?}"),
            };
            cells.insert(field.as_str(), text);
        }
        all.push((record.position, record.kind, record.account.map(ToString::to_string), cells));
    });
    all
}

#[test]
fn the_document_lists_the_fields_and_kinds_there_are() {
    for field in Field::ALL {
        let row = format!("| `{}` | {} |", field.as_str(), field.ty().as_str());
        assert!(SOURCE.contains(&format!("//! {row}")), "module head: {row}");
        assert!(PACKS.contains(&row), "feature-packs.md: {row}");
        assert_eq!(Field::named(field.as_str()), Some(field));
    }
    for kind in kind::ALL {
        assert!(PACKS.contains(&format!("`{kind}`")), "feature-packs.md: {kind}");
    }
    assert_eq!(Field::named("nothing"), None);
}

#[test]
fn a_login_is_one_record_with_what_is_known_of_it() {
    let context = EventContext {
        asn: Some(64_500),
        anonymizer: Some(Anonymizer::Vpn),
        country: Country::parse("CH"),
        value: None,
    };
    let login = Event { context, ..event(EventKind::Login { success: true, second_factor: false }) };
    let records = shown(&mut Recorder::default(), 7, &Entry::Event(&login));
    let [(28, "login", Some(account), cells)] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(account, "alice");
    let expected = [
        ("account", "alice"),
        ("anonymizer", "vpn"),
        ("asn", "Asn(64500)"),
        ("country", "CH"),
        ("device", "d-1"),
        ("ip", "192.0.2.77"),
        ("ip_network", "192.0.2.0/24"),
        ("kind", "login"),
        ("second_factor", "Bool(false)"),
        ("success", "Bool(true)"),
    ];
    assert_eq!(cells.iter().map(|(name, text)| (*name, text.as_str())).collect::<Vec<_>>(), expected);
}

#[test]
fn a_transfer_is_told_from_both_sides_without_the_senders_device() {
    let transfer =
        event(EventKind::Transfer { asset: asset("USDT"), amount: amount("5"), to: account("bob") });
    let records = shown(&mut Recorder::default(), 1, &Entry::Event(&transfer));
    let kinds: Vec<_> =
        records.iter().map(|(at, kind, account, _)| (*at, *kind, account.as_deref())).collect();
    assert_eq!(kinds, [(4, "transfer", Some("alice")), (5, "transfer_received", Some("bob"))]);
    let mirrored = &records[1].3;
    assert_eq!(mirrored["counterparty"], "alice");
    assert_eq!(mirrored["amount"], "5");
    assert!(["device", "ip", "ip_network", "payment"].iter().all(|field| !mirrored.contains_key(field)));

    let trade = event(EventKind::P2pTrade {
        counterparty: account("bob"),
        side: Side::Sell,
        asset: asset("USDT"),
        amount: amount("5"),
        payment: Some("iban-1".into()),
        status: "paid".into(),
    });
    let records = shown(&mut Recorder::default(), 1, &Entry::Event(&trade));
    assert_eq!((records[0].3["side"].as_str(), records[1].3["side"].as_str()), ("sell", "buy"));
    assert_eq!(records[1].3["status"], "paid");
}

#[test]
fn a_decision_is_a_request_and_then_a_verdict() {
    let decision = Decision {
        request: WithdrawalRequest {
            account: account("alice"),
            channel: Channel::ApiKey(ApiKeyId::parse("k-1").unwrap()),
            asset: asset("BTC"),
            amount: amount("2"),
            fee: None,
            destination: Destination::OnChain {
                network: Network::Bitcoin,
                address: "bc1qabc".into(),
                tag: None,
            },
            client_id: None,
            ip: "192.0.2.1".parse().unwrap(),
            device: None,
            client_ja4: Some("t13d".into()),
            requested_at: UnixNanos(5),
        },
        verdict: Verdict::Hold,
        findings: Vec::new(),
        decided_at: UnixNanos(6),
        idempotency_key: None,
    };
    let mut recorder = Recorder::default();
    let records = shown(&mut recorder, 3, &Entry::Decision(&decision));
    let [(12, "withdrawal_requested", _, request), (13, "withdrawal_decided", _, decided)] =
        records.as_slice()
    else {
        panic!("{records:?}")
    };
    assert!(!request.contains_key("verdict"), "the request is as it was judged");
    assert_eq!(decided["verdict"], "hold");
    assert_eq!((request["channel"].as_str(), request["api_key"].as_str()), ("api_key", "k-1"));
    assert_eq!(request["destination_type"], "on_chain");
    // Asked beforehand, the record is the same.
    let before = recorder.request(12, &decision.request);
    let mut first = None;
    recorder.records(3, &Entry::Decision(&decision), |record| {
        first.get_or_insert_with(|| record.clone());
    });
    let first = first.unwrap();
    assert!(Field::ALL.iter().all(|field| before.cell(*field) == first.cell(*field)));
    assert_eq!((before.at, before.id, before.position), (first.at, first.id, first.position));
}

#[test]
fn an_untold_value_follows_the_last_rate_told() {
    let mut recorder = Recorder::default();
    let deposit = |of: &str, value: Option<&str>| Event {
        context: EventContext { value: value.map(amount), ..EventContext::default() },
        ..event(EventKind::Deposit {
            asset: asset("BTC"),
            amount: amount(of),
            network: Network::Bitcoin,
            from: None,
        })
    };
    let value = |recorder: &mut Recorder, event: &Event| {
        shown(recorder, 1, &Entry::Event(event))[0].3.get("value").cloned()
    };
    assert_eq!(value(&mut recorder, &deposit("1", None)), None);
    assert_eq!(value(&mut recorder, &deposit("0.5", Some("30000"))).as_deref(), Some("30000"));
    assert_eq!(value(&mut recorder, &deposit("2", None)).as_deref(), Some("120000"));
    // Nothing of an asset has no rate.
    assert_eq!(value(&mut recorder, &deposit("0", Some("1"))).as_deref(), Some("1"));
    assert_eq!(value(&mut recorder, &deposit("2", None)).as_deref(), Some("120000"));
}

#[test]
fn no_two_records_share_a_name() {
    let bytes = |id: RecordId<'_>| id.with_bytes(<[u8]>::to_vec);
    let longest = "x".repeat(EventId::BYTES_MAX);
    let event = event(EventKind::DeviceAdded);
    let mut ids = vec![bytes(RecordId::Event("p0000000")), bytes(RecordId::Event(&longest))];
    ids.push(bytes(RecordId::Event(&longest[1..])));
    ids.extend((0..4).map(|place| bytes(RecordId::Place(place))));
    let mut recorder = Recorder::default();
    recorder.records(9, &Entry::Event(&event), |record| ids.push(bytes(record.id)));
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
    assert_eq!(labelled(&LabelTarget::Decision(3)), Some(RecordId::Place(12)));
    assert_eq!(labelled(&LabelTarget::Account), None);
}

#[test]
fn what_the_gateway_saw_is_told_too() {
    let (alice, key) = (account("alice"), ApiKeyId::parse("k-1").unwrap());
    let created = KeyUse::Created { may_withdraw: true, ip_bound: false };
    let entry = Entry::ApiKey { account: &alice, key: &key, change: created, at: UnixNanos(1) };
    let records = shown(&mut Recorder::default(), 1, &entry);
    assert_eq!((records[0].1, records[0].3["api_key"].as_str()), ("gateway_key_created", "k-1"));
    let entry = Entry::Refused {
        ip: "192.0.2.9".parse().unwrap(),
        account: None,
        reason: "bad_signature",
        count: 12,
        at: UnixNanos(1),
    };
    let records = shown(&mut Recorder::default(), 2, &entry);
    assert_eq!((records[0].1, records[0].2.as_deref()), ("request_refused", None));
    assert_eq!(records[0].3["count"], "Number(12.0)");
    let changed = event(EventKind::CredentialChanged { credential: Credential::Email });
    let records = shown(&mut Recorder::default(), 3, &Entry::Event(&changed));
    assert_eq!(records[0].3["credential"], "email");
}
