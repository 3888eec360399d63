use std::sync::Arc;

use domain::{Amount, ApiKeyId, Evidence, FindingSource, ReasonCode, Verdict};

use super::*;

const NOW: UnixNanos = UnixNanos::from_secs(1_800_000_000);

fn body(withdrawal: &str) -> String {
    format!(r#"{{"type":"withdrawal","withdrawal":{{{withdrawal}}}}}"#)
}

const WHOLE: &str = r#""account":"alice","asset":"USDT","amount":"10.5","fee":"0.1","network":"tron","address":"TX","client_id":"c-1","ip":"192.0.2.1","device":"d-1""#;

fn read(body: &[u8]) -> Result<DecisionRequest, Fault> {
    decision_request(body, Sent::default(), Judge { now: NOW, intake: &crate::wire::NoIntake::default() })
}

fn withdrawal(request: DecisionRequest) -> WithdrawalRequest {
    match request.asked {
        Asked::Withdrawal(withdrawal) => withdrawal,
        Asked::Act(act) => panic!("{act:?}"),
    }
}

#[test]
fn acts_are_read_and_strange_ones_refused() {
    let login = r#"{"type":"login","login":{"type":"login","id":"l-1","account":"a","occurred_at":"2027-01-15T08:00:00Z","success":true,"second_factor":false}}"#;
    assert!(matches!(parse(login).unwrap().asked, Asked::Act(Act::Login(_))));
    let call = r#"{"type":"api_call","api_call":{"account":"a","api_key":"k","method":"GET","path":"/x","ip":"192.0.2.1"}}"#;
    assert!(matches!(parse(call).unwrap().asked, Asked::Act(Act::ApiCall(_))));
    let admin = r#"{"type":"admin_act","admin_act":{"actor":"user:anna","capability":"work_cases","act":"raise a limit"}}"#;
    assert!(matches!(parse(admin).unwrap().asked, Asked::Act(Act::AdminAct(_))));
    let screen = r#"{"type":"address_screen","address_screen":{"address":"T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb","network":"tron"}}"#;
    assert!(matches!(parse(screen).unwrap().asked, Asked::Act(Act::AddressScreen(_))));
    for (from, to, at) in [
        (screen, screen.replace("tron", "trom"), "address_screen.network"),
        (screen, screen.replace(r#","network":"tron""#, ""), "address_screen.network"),
        (screen, screen.replace("}}", r#","account":"a"}}"#), "address_screen.account"),
        (login, login.replace(r#"{"type":"login","id""#, r#"{"type":"device_added","id""#), "login.type"),
        (login, login.replace(r#""login":{"#, r#""order":{"#), "login"),
        (call, call.replace("\"GET\"", "\"get\""), "api_call.method"),
        (call, call.replace("/x", "x"), "api_call.path"),
        (call, call.replace("/x", "/x?y"), "api_call.path"),
        (admin, admin.replace("user:", "human:"), "admin_act.actor"),
        (admin, admin.replace("\"act\"", "\"acts\""), "admin_act.act"),
        (admin, admin.replace("admin_act", "rule_act"), "type"),
    ] {
        assert_ne!(from, to);
        let fault = parse(&to).unwrap_err();
        assert!(fault.starts_with(at), "{to}: {fault}");
    }
}

#[test]
fn headers_and_body_must_agree() {
    let intake = crate::wire::NoIntake::default();
    let judge = Judge { now: NOW, intake: &intake };
    let text = format!(
        r#"{{"type":"withdrawal","idempotency_key":"k-1","deadline_ms":20,"withdrawal":{{{WHOLE}}}}}"#
    );
    let sent = |key: &str, deadline_ms| Sent {
        idempotency_key: Some(key.to_owned()),
        deadline_ms: Some(deadline_ms),
    };
    let read = |body: &str, sent| decision_request(body.as_bytes(), sent, judge);
    assert_eq!(read(&text, sent("k-1", 20)), read(&text, Sent::default()));
    assert_eq!(read(&text, sent("k-2", 20)).unwrap_err().field, "idempotency_key");
    assert_eq!(read(&text, sent("k-1", 21)).unwrap_err().field, "deadline_ms");
    let request = read(&body(WHOLE), sent("k-3", 30)).unwrap();
    assert_eq!(request.idempotency_key.as_deref(), Some("k-3"));
    assert_eq!(request.deadline, Duration::from_millis(30));
    assert_eq!(read(&body(WHOLE), sent("k-3", 0)).unwrap_err().field, "deadline_ms");
}

fn parse(body: &str) -> Result<DecisionRequest, String> {
    read(body.as_bytes()).map_err(|fault| format!("{}: {}", fault.field, fault.reason))
}

#[test]
fn a_whole_request_is_read() {
    let text = format!(
        r#"{{"type":"withdrawal","idempotency_key":"k-1","deadline_ms":10000,"withdrawal":{{{WHOLE}}}}}"#
    );
    let request = parse(&text).unwrap();
    assert_eq!(request.idempotency_key.as_deref(), Some("k-1"));
    assert_eq!(request.deadline, DEADLINE_MAX);
    let WithdrawalRequest {
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
        requested_at,
    } = withdrawal(request);
    assert_eq!((account.as_str(), asset.as_str(), channel), ("alice", "USDT", Channel::Exchange));
    assert_eq!((amount, fee), (Amount::parse("10.5").unwrap(), Some(Amount::parse("0.1").unwrap())));
    assert_eq!(destination, Destination::OnChain { network: Network::Tron, address: "TX".into(), tag: None });
    assert_eq!(client_id.as_deref(), Some("c-1"));
    assert_eq!(ip.to_string(), "192.0.2.1");
    assert_eq!(device.unwrap().as_str(), "d-1");
    assert_eq!(client_ja4, None);
    assert_eq!(requested_at, NOW);
    assert_eq!(parse(&body(WHOLE)).unwrap().deadline, DEADLINE_DEFAULT);
}

#[test]
fn there_is_exactly_one_destination() {
    let with = |destination: &str| {
        let text = format!(r#""account":"a","asset":"USDT","amount":"1","ip":"192.0.2.1",{destination}"#);
        parse(&body(&text)).map(|request| withdrawal(request).destination)
    };
    assert_eq!(
        with(r#""internal_recipient":"bob@example.com""#),
        Ok(Destination::Internal { recipient: "bob@example.com".into() })
    );
    assert_eq!(
        with(r#""network":"bitcoin","address":"bc1q","tag":"7""#),
        Ok(Destination::OnChain { network: Network::Bitcoin, address: "bc1q".into(), tag: Some("7".into()) })
    );
    assert_eq!(
        with(r#""network":"ripple","address":"rX","tag":"7""#),
        Ok(Destination::UnknownNetwork { network: "ripple".into(), address: "rX:7".into() })
    );
    assert!(
        with(r#""internal_recipient":"bob","address":"T""#)
            .unwrap_err()
            .starts_with("withdrawal.internal_recipient")
    );
    assert!(
        with(r#""internal_recipient":"bob","tag":"7""#)
            .unwrap_err()
            .starts_with("withdrawal.internal_recipient")
    );
    assert_eq!(with(r#""network":"tron""#).unwrap_err(), "withdrawal.address: is missing");
    assert!(with(r#""address":"T""#).unwrap_err().starts_with("withdrawal.network: is missing"));
}

#[test]
fn the_field_at_fault_is_named() {
    let without = |name: &str| {
        let mut fields: Vec<&str> = WHOLE.split(',').collect();
        fields.retain(|field| !field.starts_with(&format!("\"{name}\"")));
        parse(&body(&fields.join(","))).unwrap_err()
    };
    for name in ["account", "asset", "amount", "ip"] {
        assert_eq!(without(name), format!("withdrawal.{name}: is missing"));
    }
    let edited = |from: &str, to: &str| parse(&body(&WHOLE.replace(from, to))).unwrap_err();
    assert_eq!(edited(r#""10.5""#, r#""0""#), "withdrawal.amount: is zero");
    assert!(edited(r#""10.5""#, "10.5").starts_with("withdrawal.amount: expected a decimal string"));
    assert_eq!(edited(r#""fee""#, r#""fees""#), "withdrawal.fees: is not a field of a withdrawal");
    assert!(edited(r#""fee":"0.1""#, r#""amount":"0.1""#).contains(r#"field "amount" is given twice"#));
    let outer = |extra: &str| {
        parse(&format!(r#"{{"type":"withdrawal",{extra},"withdrawal":{{{WHOLE}}}}}"#)).unwrap_err()
    };
    assert_eq!(outer(r#""deadline_ms":0"#), "deadline_ms: is zero");
    assert_eq!(outer(r#""deadline_ms":10001"#), "deadline_ms: is 10001, at most 10000 is allowed");
    assert!(outer(r#""deadline_ms":-1"#).starts_with("deadline_ms: expected a whole number"));
    assert!(outer(r#""idempotency_key":"""#).starts_with("idempotency_key: is 0 bytes long"));
    assert_eq!(outer(r#""mode":"shadow""#), "mode: is not a field of a decision request");
    assert_eq!(parse("{}").unwrap_err(), "type: is missing");
    assert_eq!(parse(r#"{"type":"withdrawal"}"#).unwrap_err(), "withdrawal: is missing");
    assert_eq!(parse(r#"{"type":"login"}"#).unwrap_err(), "login: is missing");
    assert!(
        parse(r#"{"type":"party"}"#)
            .unwrap_err()
            .starts_with("type: expected withdrawal, address_screen, admin_act")
    );
}

#[test]
fn a_decision_is_told_in_full() {
    let mut request = withdrawal(parse(&body(WHOLE)).unwrap());
    request.channel = Channel::ApiKey(ApiKeyId::parse("key-1").unwrap());
    let finding = Finding {
        source: FindingSource::Watch,
        code: ReasonCode::new("watch.sanctioned_address"),
        verdict: Verdict::Deny,
        shadow: false,
        message: "listed".into(),
        evidence: vec![
            Evidence::new("list", "one"),
            Evidence::new("list", "two"),
            Evidence::new("hops", "0"),
        ],
        would_pass_if: Some("it were not".into()),
    };
    let decision = Arc::new(Decision {
        request,
        verdict: Verdict::Deny,
        findings: vec![finding],
        decided_at: NOW,
        idempotency_key: Some("k-1".into()),
    });
    let reasons = json!([{
        "source": "watch", "code": "watch.sanctioned_address", "verdict": "deny", "message": "listed",
        "shadow": false, "evidence": { "list": "one", "list_2": "two", "hops": "0" }, "would_pass_if": "it were not",
    }]);
    let decided = Decided { id: "dec-1".into(), decision: Arc::clone(&decision) };
    assert_eq!(
        answer_json(&decided),
        json!({ "id": "dec-1", "verdict": "deny", "decided_at": "2027-01-15T08:00:00.000Z", "reasons": reasons })
    );
    assert_eq!(
        explanation_json(&Explained { id: "dec-1".into(), decision, position: Some(42), review: None }),
        json!({
            "id": "dec-1", "verdict": "deny", "decided_at": "2027-01-15T08:00:00.000Z", "reasons": reasons,
            "idempotency_key": "k-1", "position": 42,
            "withdrawal": {
                "account": "alice", "asset": "USDT", "amount": "10.5", "fee": "0.1", "network": "tron",
                "address": "TX", "channel": "api_key", "api_key": "key-1", "client_id": "c-1",
                "ip": "192.0.2.1", "device": "d-1", "requested_at": "2027-01-15T08:00:00.000Z",
            },
        })
    );
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(body in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..400)) {
        proptest::prop_assert!(read(&body).is_err());
    }
}
