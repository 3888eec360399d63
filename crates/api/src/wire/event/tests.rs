use domain::{Amount, Network};

use super::*;

const NOW: UnixNanos = UnixNanos::from_secs(1_800_000_000);

/// A line with the common fields and `rest`.
fn line(rest: &str) -> String {
    format!(r#"{{"id":"e-1","account":"alice","occurred_at":"2026-11-22T10:00:00.123Z",{rest}}}"#)
}

fn parsed(rest: &str) -> Event {
    let mut events = events(line(rest).as_bytes(), NOW).unwrap();
    assert_eq!(events.len(), 1);
    events.remove(0)
}

/// Line, field and detail of the problem with a batch, as the caller sees them.
fn refused(body: &str) -> String {
    let problem = events(body.as_bytes(), NOW).unwrap_err();
    format!("{problem:?}")
}

fn assert_refused(rest: &str, field: &str, reason: &str) {
    let problem = refused(&line(rest));
    assert!(problem.contains(&format!("line 1: {field}: {reason}")), "{problem}");
    assert!(problem.contains(&format!("field: Some({field:?})")), "{problem}");
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
    assert_refused(r#""type":"logon""#, "type", "\\\"logon\\\" is not a type of event");
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
        events(line.as_bytes(), NOW).map(|events| events.len()).map_err(|problem| format!("{problem:?}"))
    };
    assert_eq!(at(NOW.plus(EVENT_AHEAD_MAX)), Ok(1));
    assert!(
        at(NOW.plus(EVENT_AHEAD_MAX).plus(std::time::Duration::from_millis(1)))
            .unwrap_err()
            .contains("ahead")
    );
    assert_eq!(at(UnixNanos(0)), Ok(1));
}

#[test]
fn one_bad_line_refuses_the_batch_by_its_number() {
    let good = line(r#""type":"login","success":true,"second_factor":true"#);
    assert_eq!(events(format!("{good}\r\n\n{good}\n").as_bytes(), NOW).unwrap().len(), 2);
    // Blank lines count, as an editor would count them.
    for (bad, reason) in [
        ("{", "not valid JSON"),
        ("[]", "expected an object, got an array"),
        ("7", "expected an object, got a number"),
        (r#"{"id":"x","id":"y"}"#, "is given twice"),
        (r#"{} {}"#, "trailing characters"),
        ("\u{feff}{}", "not valid JSON"),
    ] {
        let problem = refused(&format!("{good}\n\n{bad}\n{good}"));
        assert!(problem.contains("line: Some(3)") && problem.contains(reason), "{problem}");
    }
    assert!(refused("").contains("no event"));
    assert!(refused(&format!("{good}\n").repeat(EVENT_LINES_MAX + 1)).contains("at most 1000"));
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(
        body in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..400),
    ) {
        proptest::prop_assert!(events(&body, NOW).is_err());
    }

    #[test]
    fn a_line_cut_or_altered_never_passes_as_something_else(cut in 0_usize..200, byte in proptest::arbitrary::any::<u8>()) {
        let whole = line(r#""type":"withdrawal_accepted","asset":"USDT","amount":"7","network":"tron","address":"TX""#);
        let cut = cut % whole.len();
        proptest::prop_assert!(events(&whole.as_bytes()[..cut], NOW).is_err());
        let mut altered = whole.clone().into_bytes();
        altered[cut] = byte;
        if let Ok(events) = events(&altered, NOW) {
            proptest::prop_assert_eq!(events[0].kind.as_str(), "withdrawal_accepted");
        }
    }
}
