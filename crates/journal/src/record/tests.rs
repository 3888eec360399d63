use std::net::IpAddr;

use domain::{
    AccountId, Act, Actor, ActorKind, AddressScreen, AdminAct, AlertEntity, Amount, Anonymizer, ApiCall,
    ApiKeyId, Asset, Channel, Country, Credential, Decision, Destination, DeviceId, Event, EventContext,
    EventId, EventKind, Evidence, Finding, FindingSource, FraudAlert, Judgement, LabelTarget, Network, Ppm,
    ReasonCode, Side, UnixNanos, Verdict, WithdrawalRequest,
};
use keyring::Pseudonym;
use proptest::{option, prelude::*, sample::select};

use super::*;
use crate::Kind;

fn account() -> impl Strategy<Value = AccountId> {
    "[a-zA-Z0-9@:._-]{1,64}".prop_map(|text| AccountId::parse(&text).unwrap())
}

fn device() -> impl Strategy<Value = Option<DeviceId>> {
    option::of("[a-z0-9]{1,128}".prop_map(|text| DeviceId::parse(&text).unwrap()))
}

fn asset() -> impl Strategy<Value = Asset> {
    "[A-Z0-9]{1,24}".prop_map(|text| Asset::parse(&text).unwrap())
}

fn amount() -> impl Strategy<Value = Amount> {
    (any::<i128>(), 0_u32..=28, 32_u32..128).prop_map(|(mantissa, scale, shift)| {
        Amount::from_parts(mantissa >> shift, scale).unwrap_or(Amount::ZERO)
    })
}

fn network() -> impl Strategy<Value = Network> {
    select(&Network::ALL[..])
}

fn event_kind() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        (network(), any::<String>())
            .prop_map(|(network, address)| EventKind::AddressAdded { network, address }),
        (asset(), amount()).prop_map(|(asset, total)| EventKind::BalanceChanged { asset, total }),
        select(&Credential::ALL[..]).prop_map(|credential| EventKind::CredentialChanged { credential }),
        (asset(), amount(), network(), any::<Option<String>>())
            .prop_map(|(asset, amount, network, from)| EventKind::Deposit { asset, amount, network, from }),
        Just(EventKind::DeviceAdded),
        Just(EventKind::DeviceRemoved),
        option::of(account()).prop_map(|referrer| EventKind::AccountOpened { referrer }),
        ("[a-z0-9-]{1,64}", any::<(bool, bool)>()).prop_map(|(key, (may_withdraw, ip_bound))| {
            EventKind::ApiKeyCreated { key: ApiKeyId::parse(&key).unwrap(), may_withdraw, ip_bound }
        }),
        (asset(), amount(), any::<String>(), option::of(account())).prop_map(
            |(asset, amount, campaign, referred)| EventKind::BonusGranted {
                asset,
                amount,
                campaign,
                referred
            }
        ),
        any::<(u8, Option<String>)>().prop_map(|(level, document)| EventKind::KycChanged { level, document }),
        (label_target(), any::<(bool, String)>())
            .prop_map(|(target, (is_fraud, source))| { EventKind::Label { target, is_fraud, source } }),
        any::<(String, String)>()
            .prop_map(|(instrument, order)| EventKind::OrderCancelled { instrument, order }),
        (any::<(String, String)>(), select(&Side::ALL[..]), amount(), option::of(amount())).prop_map(
            |((instrument, order), side, quantity, price)| EventKind::OrderPlaced {
                instrument,
                order,
                side,
                quantity,
                price
            }
        ),
        (account(), select(&Side::ALL[..]), asset(), amount(), any::<(Option<String>, String)>()).prop_map(
            |(counterparty, side, asset, amount, (payment, status))| EventKind::P2pTrade {
                counterparty,
                side,
                asset,
                amount,
                payment,
                status
            }
        ),
        any::<String>().prop_map(|topic| EventKind::SupportContacted { topic }),
        (asset(), amount(), account()).prop_map(|(asset, amount, to)| EventKind::Transfer {
            asset,
            amount,
            to
        }),
        any::<(bool, bool)>()
            .prop_map(|(success, second_factor)| EventKind::Login { success, second_factor }),
        (any::<String>(), amount(), amount()).prop_map(|(instrument, quantity, price)| {
            EventKind::OrderFilled { instrument, quantity, price }
        }),
        (asset(), amount(), network(), any::<String>()).prop_map(|(asset, amount, network, address)| {
            EventKind::WithdrawalAccepted { asset, amount, network, address }
        }),
    ]
}

fn label_target() -> impl Strategy<Value = LabelTarget> {
    prop_oneof![
        Just(LabelTarget::Account),
        any::<u64>().prop_map(LabelTarget::Decision),
        "[a-z0-9]{1,128}".prop_map(|id| LabelTarget::Event(EventId::parse(&id).unwrap())),
    ]
}

fn context() -> impl Strategy<Value = EventContext> {
    let country = option::of("[A-Z]{2}".prop_map(|text| Country::parse(&text).unwrap()));
    (any::<Option<u32>>(), option::of(select(&Anonymizer::ALL[..])), country, option::of(amount()))
        .prop_map(|(asn, anonymizer, country, value)| EventContext { asn, anonymizer, country, value })
}

fn event() -> impl Strategy<Value = Event> {
    let source = (device(), any::<Option<IpAddr>>(), prop_oneof![Just(EventContext::default()), context()]);
    ("[a-z0-9]{1,128}", account(), any::<u64>(), source, event_kind()).prop_map(
        |(id, account, at, (device, ip, context), kind)| Event {
            id: EventId::parse(&id).unwrap(),
            account,
            occurred_at: UnixNanos(at),
            device,
            ip,
            context,
            kind,
        },
    )
}

fn destination() -> impl Strategy<Value = Destination> {
    prop_oneof![
        any::<String>().prop_map(|recipient| Destination::Internal { recipient }),
        (network(), any::<String>(), any::<Option<String>>())
            .prop_map(|(network, address, tag)| Destination::OnChain { network, address, tag }),
        any::<(String, String)>()
            .prop_map(|(network, address)| Destination::UnknownNetwork { network, address }),
    ]
}

fn request() -> impl Strategy<Value = WithdrawalRequest> {
    let channel = option::of("[a-z0-9-]{1,64}")
        .prop_map(|id| id.map_or(Channel::Exchange, |id| Channel::ApiKey(ApiKeyId::parse(&id).unwrap())));
    let money = (asset(), amount(), option::of(amount()));
    let rest =
        (any::<Option<String>>(), any::<IpAddr>(), device(), option::of("[a-z0-9_]{36}"), any::<u64>());
    (account(), channel, money, destination(), rest).prop_map(
        |(account, channel, (asset, amount, fee), destination, (client_id, ip, device, client_ja4, at))| {
            WithdrawalRequest {
                account,
                channel,
                asset,
                amount,
                fee,
                destination,
                client_id,
                ip,
                device,
                client_ja4,
                requested_at: UnixNanos(at),
            }
        },
    )
}

fn finding() -> impl Strategy<Value = Finding> {
    let evidence = prop::collection::vec(
        any::<(String, String)>().prop_map(|(name, value)| Evidence { name: name.into(), value }),
        0..5,
    );
    let said = any::<(String, bool, String, Option<String>)>();
    (select(&FindingSource::ALL[..]), select(&Verdict::ALL[..]), said, evidence).prop_map(
        |(source, verdict, (code, shadow, message, would_pass_if), evidence)| Finding {
            source,
            code: ReasonCode::stored(&code),
            verdict,
            shadow,
            message,
            evidence,
            would_pass_if,
        },
    )
}

fn decision() -> impl Strategy<Value = Decision> {
    let findings = prop::collection::vec(finding(), 0..6);
    (request(), select(&Verdict::ALL[..]), findings, any::<u64>(), any::<Option<String>>()).prop_map(
        |(request, verdict, findings, at, idempotency_key)| Decision {
            request,
            verdict,
            findings,
            decided_at: UnixNanos(at),
            idempotency_key,
        },
    )
}

fn fraud_alert() -> impl Strategy<Value = FraudAlert> {
    let entity = prop_oneof![
        account().prop_map(AlertEntity::Account),
        any::<String>().prop_map(AlertEntity::Network),
    ];
    let money = (option::of(amount()), option::of(amount()));
    let findings = prop::collection::vec(finding(), 1..4);
    (any::<(String, String, u64, u64, Option<u32>, [u8; 32])>(), entity, money, findings).prop_map(
        |((id, kind, at, entry, ppm, bundle), entity, (value, expected_loss), findings)| FraudAlert {
            id,
            entity,
            at: UnixNanos(at),
            entry,
            kind,
            score: ppm.map(Ppm::new),
            value,
            expected_loss,
            findings,
            bundle,
        },
    )
}

/// Decodes as every kind; whatever succeeds must re-encode to the same bytes.
fn decode_all(payload: &[u8]) -> usize {
    let again = [
        decode_event(payload).map(|record| encode_event(&record)),
        decode_decision(payload).map(|record| encode_decision(&record)),
        Refusals::decode(payload).map(|record| record.encode()),
        ListImported::decode(payload).map(|record| record.encode()),
        SubjectErased::decode(payload).map(|record| record.encode()),
        KekRotated::decode(payload).map(|record| record.encode()),
        BackupDrill::decode(payload).map(|record| record.encode()),
        Lifecycle::decode(payload).map(|record| record.encode()),
        Ban::decode(payload).map(|record| record.encode()),
        ChainAlert::decode(payload).map(|record| record.encode()),
        decode_fraud_alert(payload).map(|record| encode_fraud_alert(&record)),
        FraudBundle::decode(payload).map(|record| record.encode()),
        Screening::decode(payload).map(|record| record.encode()),
        Emergency::decode(payload).map(|record| record.encode()),
        ListRemoved::decode(payload).map(|record| record.encode()),
        Suspicion::decode(payload).map(|record| record.encode()),
        decode_judgement(payload).map(|record| encode_judgement(&record)),
    ];
    let decoded: Vec<Vec<u8>> = again.into_iter().filter_map(Result::ok).collect();
    decoded.iter().for_each(|bytes| assert_eq!(bytes, payload));
    decoded.len()
}

/// Every shorter, longer or slightly different payload is refused or is itself canonical.
fn near_misses(payload: &[u8], at: prop::sample::Index, bit: u8) {
    let at = at.index(payload.len());
    assert_eq!(decode_all(&payload[..at]), 0, "cut to {at}");
    let mut longer = payload.to_vec();
    longer.push(0);
    assert_eq!(decode_all(&longer), 0);
    let mut flipped = payload.to_vec();
    flipped[at] ^= 1 << (bit % 8);
    decode_all(&flipped);
}

proptest! {
    #[test]
    fn events_round_trip(event in event(), at: prop::sample::Index, bit: u8) {
        let payload = encode_event(&event);
        prop_assert_eq!(decode_event(&payload), Ok(event));
        prop_assert_eq!(decode_all(&payload), 1);
        near_misses(&payload, at, bit);
    }

    #[test]
    fn decisions_round_trip(decision in decision(), at: prop::sample::Index, bit: u8) {
        let payload = encode_decision(&decision);
        prop_assert_eq!(decode_decision(&payload), Ok(decision));
        prop_assert_eq!(decode_all(&payload), 1);
        near_misses(&payload, at, bit);
    }

    #[test]
    fn fraud_alerts_round_trip(alert in fraud_alert(), at: prop::sample::Index, bit: u8) {
        let payload = encode_fraud_alert(&alert);
        prop_assert_eq!(decode_fraud_alert(&payload), Ok(alert));
        prop_assert_eq!(decode_all(&payload), 1);
        near_misses(&payload, at, bit);
    }

    #[test]
    fn fraud_bundles_round_trip(
        texts: (String, String, String, String), sha256: [u8; 32], enforced: bool, at: prop::sample::Index, bit: u8,
    ) {
        let (place, name, version, reason) = texts;
        let bundle = FraudBundle { place, name, version, sha256, enforced, reason };
        let payload = bundle.encode();
        prop_assert_eq!(FraudBundle::decode(&payload), Ok(bundle));
        prop_assert_eq!(decode_all(&payload), 1);
        near_misses(&payload, at, bit);
    }

    #[test]
    fn emergencies_round_trip(
        scope in "[a-z:]{1,96}", reason in "\\PC{1,200}", names: (u32, u32), time: u64, at: prop::sample::Index,
        bit: u8,
    ) {
        let actor = |kind, name: u32| Actor::new(kind, &name.to_string()).unwrap();
        let (one, two) = (actor(ActorKind::User, names.0), actor(ActorKind::Operator, names.1));
        for entry in [
            Emergency::AlarmEnded { by: one.clone(), reason: reason.clone() },
            Emergency::AlarmRaised { until: UnixNanos(time), by: one.clone(), reason: reason.clone() },
            Emergency::Frozen { scope: scope.clone(), by: two.clone(), reason: reason.clone() },
            Emergency::UnfreezeDeclined { scope: scope.clone(), proposal: time, by: one.clone(), reason: reason.clone() },
            Emergency::UnfreezeProposed { scope: scope.clone(), until: UnixNanos(time), by: one.clone(), reason },
            Emergency::Unfrozen { scope, proposal: time, proposed_by: one, approved_by: two },
        ] {
            let payload = entry.encode();
            prop_assert_eq!(Emergency::decode(&payload), Ok(entry));
            prop_assert_eq!(decode_all(&payload), 1);
            near_misses(&payload, at, bit);
        }
    }

    #[test]
    fn screenings_round_trip(
        texts: (String, String, String), numbers: (u64, u64, u64, u64), hashes: ([u8; 32], [u8; 32]), some: bool,
        found in 0_usize..4, at: prop::sample::Index, bit: u8,
    ) {
        let ((a, b, c), (w, x, y, z)) = (texts, numbers);
        for verdict in Verdict::ALL {
            let address = ScreenedAddress {
                address: a.clone(),
                network: some.then(|| b.clone()),
                verdict,
                categories: vec![c.clone(); found],
                exposed: vec![b.clone(); found / 2],
            };
            let screened = Screened {
                id: a.clone(),
                caller: b.clone(),
                idempotency_key: some.then(|| c.clone()),
                request: hashes.0,
                addresses: w,
                found: vec![address; found],
                lists: hashes.1,
                answer: some.then(|| a.clone()),
            };
            let alert = TransferAlert {
                entry: x,
                way: b.clone(),
                address: a.clone(),
                category: some.then(|| c.clone()),
                verdict,
                lists: hashes.0,
            };
            let exposure = TransferExposure {
                entry: x,
                way: b.clone(),
                address: a.clone(),
                category: some.then(|| c.clone()),
                verdict,
                chain: b.clone(),
                share: 7,
                hops: y,
                listed: some.then(|| a.clone()),
                lists: hashes.1,
            };
            let judged = ExposuresJudged { lists: hashes.0, addresses: w, raised: y, retracted: z };
            let rescreened = Rescreened {
                lists: hashes.0, transfers: w, addresses: x, raised: y, retracted: z, answers: x, chain_alerts: y,
            };
            for record in
                [Screening::Screened(screened), Screening::Alert(alert), Screening::Rescreened(rescreened), Screening::Exposure(exposure), Screening::Exposures(judged)]
            {
                let payload = record.encode();
                prop_assert_eq!(Screening::decode(&payload), Ok(record));
                prop_assert_eq!(decode_all(&payload), 1);
                near_misses(&payload, at, bit);
            }
        }
    }

    #[test]
    fn house_records_round_trip(
        ip: IpAddr, account in option::of(account()), texts: (String, String, String), numbers: (u64, u64, u32, u32),
        hash: [u8; 32], pseudonym: [u8; 16], ok: bool, counts in prop::collection::btree_map(1_u16..=9, any::<u64>(), 0..9),
        at: prop::sample::Index, bit: u8,
    ) {
        let (a, b, c) = texts;
        let (x, y, from, to) = numbers;
        let refusals = Refusals { ip, reason: a.clone(), account, second: x, count: y };
        prop_assert_eq!(Refusals::decode(&refusals.encode()), Ok(refusals.clone()));
        let imported = ListImported { name: a.clone(), format: b.clone(), sha256: hash, entries: x, source: c };
        prop_assert_eq!(ListImported::decode(&imported.encode()), Ok(imported.clone()));
        let erased = SubjectErased { pseudonym: Pseudonym(pseudonym) };
        prop_assert_eq!(SubjectErased::decode(&erased.encode()), Ok(erased));
        let rotated = KekRotated { from, to, rows: x };
        prop_assert_eq!(KekRotated::decode(&rotated.encode()), Ok(rotated));
        let entries = counts.into_iter().map(|(code, count)| (Kind::from_code(code).unwrap(), count)).collect();
        let drill = BackupDrill { ok, size: x, root: hash, entries, took_ms: y, detail: b.clone() };
        prop_assert_eq!(BackupDrill::decode(&drill.encode()), Ok(drill.clone()));
        for what in LifecycleEvent::ALL {
            let lifecycle = Lifecycle { what, version: a.clone(), detail: b.clone() };
            prop_assert_eq!(Lifecycle::decode(&lifecycle.encode()), Ok(lifecycle.clone()));
            near_misses(&lifecycle.encode(), at, bit);
        }
        for what in BanEvent::ALL {
            let ban = Ban {
                what,
                target: a.clone(),
                reason: ok.then(|| b.clone()),
                evidence: vec![(b.clone(), y); usize::from(bit % 5)],
                score: x,
                until: UnixNanos(y),
                strikes: u64::from(from),
                by: (!ok).then(Actor::operator),
            };
            prop_assert_eq!(Ban::decode(&ban.encode()), Ok(ban.clone()));
            near_misses(&ban.encode(), at, bit);
        }
        for verdict in Verdict::ALL {
            let alert = ChainAlert {
                id: a.clone(),
                state: b.clone(),
                chain: a.clone(),
                height: x,
                block: hash,
                transaction: hash,
                kind: b.clone(),
                direction: a.clone(),
                subject: ok.then(|| a.clone()),
                counterparty: (!ok).then(|| b.clone()),
                asset: ok.then(|| b.clone()),
                asset_known: ok,
                value: y.to_string(),
                category: ok.then(|| a.clone()),
                verdict,
            };
            prop_assert_eq!(ChainAlert::decode(&alert.encode()), Ok(alert.clone()));
            near_misses(&alert.encode(), at, bit);
        }
        let removed = ListRemoved { name: a.clone(), reason: b.clone() };
        prop_assert_eq!(ListRemoved::decode(&removed.encode()), Ok(removed));
        near_misses(&refusals.encode(), at, bit);
        near_misses(&imported.encode(), at, bit);
        near_misses(&drill.encode(), at, bit);
    }

    #[test]
    fn judgements_round_trip(
        decision in decision(), event in event(), texts: (String, String), hash: [u8; 32], at: prop::sample::Index,
        bit: u8,
    ) {
        let (a, b) = texts;
        let account = decision.request.account.clone();
        let login = Event { kind: EventKind::Login { success: true, second_factor: false }, ..event.clone() };
        let order = Event {
            kind: EventKind::OrderPlaced {
                instrument: a.clone(), order: b.clone(), side: Side::Buy, quantity: decision.request.amount, price: None,
            },
            ..event
        };
        let admin = AdminAct {
            actor: Actor::operator(), capability: a.clone(), act: b.clone(), account: Some(account.clone()), ip: None,
        };
        let key = ApiKeyId::parse("key-1").unwrap();
        let call = ApiCall { account, key, method: a.clone(), path: b.clone(), ip: decision.request.ip };
        let screen = AddressScreen { address: a.clone(), network: Network::Tron, reference: Some(b.clone()) };
        let screen = Act::AddressScreen(screen);
        for act in [screen, Act::Login(login), Act::Order(order), Act::AdminAct(admin), Act::ApiCall(call)] {
            let record = Judgement {
                act, verdict: decision.verdict, findings: decision.findings.clone(), decided_at: decision.decided_at,
                caller: a.clone(), idempotency_key: decision.idempotency_key.clone(), request_sha256: hash,
            };
            let payload = encode_judgement(&record);
            prop_assert_eq!(decode_judgement(&payload), Ok(record));
            prop_assert_eq!(decode_all(&payload), 1);
            near_misses(&payload, at, bit);
        }
    }

    #[test]
    fn suspicions_round_trip(
        texts: (String, String, String), numbers: (u32, u64, u64), hash: [u8; 32], some: bool, reasons: usize,
        at: prop::sample::Index, bit: u8,
    ) {
        let (a, b, c) = texts;
        let (probability, height, transactions) = numbers;
        let raised = SuspicionRaised {
            chain: a.clone(),
            address: b.clone(),
            model: hash,
            probability,
            height,
            block: hash,
            transaction: [7; 32],
            transactions,
            reasons: vec![c.clone(); reasons % 6],
        };
        let withdrawn = SuspicionWithdrawn {
            chain: a.clone(),
            address: b.clone(),
            why: c.clone(),
            by: some.then(|| a.clone()),
            reason: b.clone(),
        };
        let model = SuspicionModel { chain: a.clone(), model: some.then_some(hash), name: b.clone(), version: c };
        for record in [Suspicion::Raised(raised), Suspicion::Withdrawn(withdrawn), Suspicion::Model(model)] {
            let payload = record.encode();
            prop_assert_eq!(Suspicion::decode(&payload), Ok(record));
            prop_assert_eq!(decode_all(&payload), 1);
            near_misses(&payload, at, bit);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, fields in 1_u8..8) {
        decode_all(&bytes);
        let mut plausible = vec![0x80 | fields, 1];
        plausible.extend_from_slice(&bytes);
        decode_all(&plausible);
    }
}

#[test]
fn errors_name_what_was_expected_and_where() {
    let error = KekRotated::decode(&[0x84, 1, 1, 0x61, 0x61]).unwrap_err();
    assert_eq!(error.to_string(), "payload is malformed: a KEK version expected at byte 3");
    let error = Lifecycle::decode(&[0x84, 2, 0, 0, 0]).unwrap_err();
    assert_eq!(error.what, "version 1");
}

#[test]
fn a_known_event_has_these_bytes() {
    let event = Event {
        id: EventId::parse("e1").unwrap(),
        account: AccountId::parse("alice").unwrap(),
        occurred_at: UnixNanos(1),
        device: None,
        ip: Some(IpAddr::from([127, 0, 0, 1])),
        context: EventContext::default(),
        kind: EventKind::Login { success: true, second_factor: false },
    };
    let expected = b"\x87\x01\x62e1\x65alice\x01\xf6\x44\x7f\x00\x00\x01\x83\x65login\xf5\xf4";
    assert_eq!(encode_event(&event), expected);

    // With circumstances it is of version 2, and never without.
    let context = EventContext { asn: Some(7), country: Country::parse("CH"), ..EventContext::default() };
    let expected =
        b"\x88\x02\x62e1\x65alice\x01\xf6\x44\x7f\x00\x00\x01\x84\x07\xf6\x62CH\xf6\x83\x65login\xf5\xf4";
    assert_eq!(encode_event(&Event { context, ..event }), expected);
    let none = b"\x88\x02\x62e1\x65alice\x01\xf6\xf6\x84\xf6\xf6\xf6\xf6\x83\x65login\xf5\xf4";
    assert_eq!(decode_event(none).unwrap_err().what, "circumstances of which something is known");
}
