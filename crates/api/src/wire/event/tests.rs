use domain::{Amount, Network};

use super::*;

const NOW: UnixNanos = UnixNanos::from_secs(1_800_000_000);

/// A line with the common fields and `rest`.
fn line(rest: &str) -> String {
    format!(r#"{{"id":"e-1","account":"alice","occurred_at":"2026-11-22T10:00:00.123Z",{rest}}}"#)
}

/// Events and faults of a batch, or the problem with the whole of it.
fn read(body: &[u8]) -> Result<(Vec<Event>, Vec<String>), Problem> {
    let batch = events(body, Judge { now: NOW, intake: &crate::wire::NoIntake::default() })?;
    Ok((batch.events, batch.refused.iter().map(RefusedLine::sentence).collect()))
}

fn parsed(rest: &str) -> Event {
    let (mut events, faults) = read(line(rest).as_bytes()).unwrap();
    assert_eq!((events.len(), faults), (1, Vec::new()));
    events.remove(0)
}

fn assert_refused(rest: &str, field: &str, reason: &str) {
    let (events, faults) = read(line(rest).as_bytes()).unwrap();
    assert_eq!((events.len(), faults.len()), (0, 1), "{faults:?}");
    assert!(faults[0].starts_with(&format!("line 1: {field}: {reason}")), "{faults:?}");
}

#[test]
fn every_type_of_event_is_read() {
    let amount = |text| Amount::parse(text).unwrap();
    let asset = || Asset::parse("USDT").unwrap();
    let cases = [
        (
            r#""type":"address_added","network":"tron","address":"TX""#,
            EventKind::AddressAdded { network: Network::Tron, address: "TX".into() },
        ),
        (
            r#""type":"balance_changed","asset":"USDT","total":"0""#,
            EventKind::BalanceChanged { asset: asset(), total: Amount::ZERO },
        ),
        (
            r#""type":"credential_changed","credential":"phone""#,
            EventKind::CredentialChanged { credential: Credential::Phone },
        ),
        (
            r#""type":"deposit","asset":"USDT","amount":"1.50","network":"ethereum","from":"0x1""#,
            EventKind::Deposit {
                asset: asset(),
                amount: amount("1.5"),
                network: Network::Ethereum,
                from: Some("0x1".into()),
            },
        ),
        (
            r#""type":"deposit","asset":"USDT","amount":"2","network":"bnb""#,
            EventKind::Deposit { asset: asset(), amount: amount("2"), network: Network::Bnb, from: None },
        ),
        (r#""type":"device_added","device":"d-1""#, EventKind::DeviceAdded),
        (
            r#""type":"login","success":true,"second_factor":false"#,
            EventKind::Login { success: true, second_factor: false },
        ),
        (
            r#""type":"order_filled","instrument":"BTC-USDT","quantity":"0.1","price":"65000""#,
            EventKind::OrderFilled {
                instrument: "BTC-USDT".into(),
                quantity: amount("0.1"),
                price: amount("65000"),
            },
        ),
        (
            r#""type":"withdrawal_accepted","asset":"USDT","amount":"7","network":"tron","address":"TX""#,
            EventKind::WithdrawalAccepted {
                asset: asset(),
                amount: amount("7"),
                network: Network::Tron,
                address: "TX".into(),
            },
        ),
    ];
    for (rest, kind) in cases {
        assert_eq!(parsed(rest).kind, kind, "{rest}");
        // The type on the wire is the name the domain gives it.
        assert!(rest.contains(&format!(r#""type":"{}""#, kind.as_str())), "{rest}");
    }
}

#[test]
fn common_fields_are_read_and_null_is_absent() {
    let event =
        parsed(r#""device":"d-1","ip":"2001:db8::1","type":"login","success":false,"second_factor":false"#);
    assert_eq!((event.id.as_str(), event.account.as_str()), ("e-1", "alice"));
    assert_eq!(event.occurred_at.to_string(), "2026-11-22T10:00:00.123Z");
    assert_eq!(event.device.unwrap().as_str(), "d-1");
    assert_eq!(event.ip.unwrap().to_string(), "2001:db8::1");
    let event = parsed(r#""device":null,"type":"login","success":true,"second_factor":true"#);
    assert_eq!((event.device, event.ip), (None, None));
}

#[test]
fn the_field_at_fault_is_named() {
    let login = r#""type":"login","success":true"#;
    assert_refused(login, "second_factor", "is missing");
    assert_refused(
        &format!(r#"{login},"second_factor":"yes""#),
        "second_factor",
        "expected true or false, got a string",
    );
    assert_refused(
        &format!(r#"{login},"second_factor":true,"sucess":true"#),
        "sucess",
        "is not a field of an event of type login",
    );
    assert_refused(
        &format!(r#"{login},"second_factor":true,"amount":"1""#),
        "amount",
        "is not a field of an event of type login",
    );
    assert_refused(&format!(r#"{login},"second_factor":true,"ip":"1.2.3""#), "ip", "not an IP address");
    assert_refused(r#""type":"device_added""#, "device", "is missing");
    assert_refused(r#""type":"logon""#, "type", "\"logon\" is not a type of event");
    assert_refused(r#""success":true"#, "type", "is missing");
    let deposit = r#""type":"deposit","asset":"USDT","network":"tron""#;
    assert_refused(&format!(r#"{deposit},"amount":1.5"#), "amount", "expected a decimal string");
    assert_refused(&format!(r#"{deposit},"amount":"-1""#), "amount", "amount is negative");
    assert_refused(&format!(r#"{deposit},"amount":"1e3""#), "amount", "not a decimal number");
    assert_refused(r#""type":"address_added","network":"TRC20","address":"T""#, "network", "unknown network");
    assert_refused(r#""type":"address_added","network":"tron","address":"""#, "address", "is 0 bytes long");
    let long = "T".repeat(ADDRESS_BYTES_MAX + 1);
    assert_refused(
        &format!(r#""type":"address_added","network":"tron","address":"{long}""#),
        "address",
        "is 257 bytes long",
    );
    assert_refused(
        r#""type":"address_added","network":"tron","address":"T\u0000""#,
        "address",
        "has a control character",
    );
    assert_refused(
        r#""type":"credential_changed","credential":"sms""#,
        "credential",
        "expected authenticator",
    );
}

#[test]
fn a_time_far_ahead_is_refused_and_the_past_is_not() {
    let at = |time: UnixNanos| {
        let line = format!(
            r#"{{"id":"e","account":"a","occurred_at":"{time}","type":"login","success":true,"second_factor":true}}"#
        );
        read(line.as_bytes()).unwrap().1.join("; ")
    };
    assert_eq!(at(NOW.plus(EVENT_AHEAD_MAX)), "");
    assert!(at(NOW.plus(EVENT_AHEAD_MAX).plus(std::time::Duration::from_millis(1))).contains("ahead"));
    assert_eq!(at(EVENT_EARLIEST), "");
    assert!(at(EVENT_EARLIEST.minus(std::time::Duration::from_millis(1))).contains("never set"));
}

#[test]
fn a_bad_line_is_told_by_its_number_and_the_others_are_kept() {
    let good = line(r#""type":"login","success":true,"second_factor":true"#);
    assert_eq!(read(format!("{good}\r\n\n{good}\n").as_bytes()).unwrap().0.len(), 2);
    // Blank lines count, as an editor would count them.
    for (bad, reason) in [
        ("{", "not valid JSON"),
        ("[]", "expected an object, got an array"),
        ("7", "expected an object, got a number"),
        (r#"{"id":"x","id":"y"}"#, "is given twice"),
        (r#"{} {}"#, "trailing characters"),
        ("\u{feff}{}", "not valid JSON"),
    ] {
        let (events, faults) = read(format!("{good}\n\n{bad}\n{good}").as_bytes()).unwrap();
        assert_eq!(events.len(), 2);
        assert!(faults.len() == 1 && faults[0].starts_with("line 3: "), "{faults:?}");
        assert!(faults[0].contains(reason), "{faults:?}");
    }
    assert!(format!("{:?}", read(b" \n").unwrap_err()).contains("no event"));
    let many = format!("{good}\n").repeat(EVENT_LINES_MAX + 1);
    assert!(format!("{:?}", read(many.as_bytes()).unwrap_err()).contains("at most 1000"));
    // Bad lines count as well.
    let many = "{}\n".repeat(EVENT_LINES_MAX + 1);
    assert!(format!("{:?}", read(many.as_bytes()).unwrap_err()).contains("at most 1000"));
}

#[test]
fn an_array_is_read_element_by_element() {
    let good = line(r#""type":"login","success":true,"second_factor":true"#);
    let (events, faults) =
        read(format!(" [{good},{{\"id\":1}},\n{good}, {{\"a\":1,\"a\":2}}]\n").as_bytes()).unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(faults[0], "line 2: id: expected a string, got a number");
    assert!(faults[1].starts_with("line 4: not valid JSON: field \"a\" is given twice"), "{faults:?}");
    for broken in [format!("[{good}"), format!("[{good},]"), format!("[{good}]{good}"), "[".to_owned()] {
        let problem = format!("{:?}", read(broken.as_bytes()).unwrap_err());
        assert!(problem.contains("not a JSON array"), "{problem}");
    }
    assert!(format!("{:?}", read(b"[]").unwrap_err()).contains("no event"));
}

#[test]
fn circumstances_go_with_any_event() {
    let event = parsed(
        r#""type":"login","success":true,"second_factor":true,"country":"CH","asn":64500,"anonymizer":"tor","value":"12.5""#,
    );
    let expected = EventContext {
        asn: Some(64_500),
        anonymizer: Some(Anonymizer::Tor),
        country: Country::parse("CH"),
        value: Some(Amount::parse("12.5").unwrap()),
    };
    assert_eq!(event.context, expected);
    let login = r#""type":"login","success":true,"second_factor":true"#;
    assert_refused(&format!(r#"{login},"country":"ch""#), "country", "expected two capital letters");
    assert_refused(&format!(r#"{login},"asn":4294967296"#), "asn", "4294967296 is too large");
    assert_refused(&format!(r#"{login},"anonymizer":"i2p""#), "anonymizer", "expected hosting");
}

#[test]
fn what_a_label_is_about_must_be_one_thing_that_exists() {
    let label =
        |rest: &str| parsed(&format!(r#""type":"label","label":"fraud","source":"chargeback"{rest}"#));
    let target = |event: Event| match event.kind {
        EventKind::Label { target, is_fraud: true, .. } => target,
        other => panic!("{other:?}"),
    };
    assert_eq!(target(label("")), LabelTarget::Account);
    assert_eq!(target(label(r#","decision":"dec-7-aa""#)), LabelTarget::Decision(7));
    assert_eq!(target(label(r#","event":"e-9""#)), LabelTarget::Event(EventId::parse("e-9").unwrap()));
    let bad = r#""type":"label","label":"fraud","source":"chargeback""#;
    assert_refused(&format!(r#"{bad},"decision":"dec-8-aa""#), "decision", "no decision of this");
    assert_refused(&format!(r#"{bad},"decision":"dec-7-aa","event":"e""#), "decision", "a label is about");
    assert_refused(r#""type":"label","label":"maybe","source":"x""#, "label", "expected fraud or legitimate");
}

#[test]
fn an_asset_nobody_trades_is_a_mistake() {
    assert_refused(
        r#""type":"balance_changed","asset":"USTD","total":"1""#,
        "asset",
        "USTD is not among the assets of this exchange",
    );
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(
        body in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..400),
    ) {
        proptest::prop_assert!(read(&body).is_ok_and(|(events, _)| events.is_empty()) || read(&body).is_err());
    }

    #[test]
    fn a_line_cut_or_altered_never_passes_as_something_else(cut in 0_usize..200, byte in proptest::arbitrary::any::<u8>()) {
        let whole = line(r#""type":"withdrawal_accepted","asset":"USDT","amount":"7","network":"tron","address":"TX""#);
        let cut = cut % whole.len();
        proptest::prop_assert!(!read(&whole.as_bytes()[..cut]).is_ok_and(|(events, _)| !events.is_empty()));
        let mut altered = whole.clone().into_bytes();
        altered[cut] = byte;
        for event in read(&altered).map(|(events, _)| events).unwrap_or_default() {
            proptest::prop_assert_eq!(event.kind.as_str(), "withdrawal_accepted");
        }
    }
}
