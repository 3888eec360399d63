use minicbor::{Decoder, Encoder};
use proptest::prelude::*;

use super::*;
use crate::authority::{InstrumentId, NoPrices, Side, SizeUnit, record};

const NOW: UnixNanos = UnixNanos::from_secs(1_800_000_000);

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn usdt(per_order: Option<&str>, per_day: Option<&str>) -> NotionalBounds {
    NotionalBounds::new(Asset::parse("USDT").unwrap(), per_order.map(amount), per_day.map(amount)).unwrap()
}

fn buy(instrument: &str, size: &str, price: &str) -> OrderIntent {
    OrderIntent {
        kind: OrderKind::Place,
        instrument: InstrumentId::parse(instrument).unwrap(),
        side: Some(Side::Buy),
        size: Some(amount(size)),
        unit: SizeUnit::Base,
        price: Some(amount(price)),
        reduce_only: false,
        open_ended: false,
    }
}

fn full() -> Restrictions {
    Restrictions::default()
        .with_endpoints(&["GET /api/v5/*", "POST /api/v5/trade/order"])
        .and_then(|all| all.with_instruments(&["BTC-*", "ETH-USDT"]))
        .map(|all| all.with_notional(usdt(Some("1000.50"), Some("20000"))))
        .and_then(|all| all.with_transfers(&[TransferDirection::FundingToTrading]))
        .and_then(|all| all.with_destinations(&["cold-1", "cold-2"]))
        .map(|all| all.with_hours(WeeklyHours::daily(&[0, 1, 2, 3, 4], 8, 18).unwrap()))
        .unwrap()
}

fn encoded(restrictions: &Restrictions) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    record::encode(restrictions, &mut encoder).unwrap();
    encoder.into_writer()
}

fn decoded(bytes: &[u8]) -> Result<Restrictions, &'static str> {
    record::decode(&mut Decoder::new(bytes))
}

#[test]
fn the_head_of_a_request_decides_first() {
    let none = Restrictions::default();
    assert!(none.is_empty());
    assert_eq!(none.check_request(b"POST", b"/api/v5/trade/mass-cancel", NOW), Ok(Act::Opaque));

    let endpoints = Restrictions::default().with_endpoints(&["POST /api/v5/trade/*"]).unwrap();
    let place = Act::Orders { kind: OrderKind::Place, batch: false };
    assert_eq!(endpoints.check_request(b"POST", b"/api/v5/trade/order", NOW), Ok(place));
    assert!(!endpoints.needs_body(place));
    assert_eq!(endpoints.check_request(b"POST", b"/api/v5/trade/mass-cancel", NOW), Ok(Act::Opaque));
    assert_eq!(endpoints.check_request(b"GET", b"/api/v5/trade/order", NOW), Err(Refusal::EndpointForbidden));

    // 2027-01-15 is a Friday, 08:00 UTC.
    let hours = |from, to| Restrictions::default().with_hours(WeeklyHours::daily(&[4], from, to).unwrap());
    assert_eq!(hours(8, 9).check_request(b"GET", b"/x", NOW), Ok(Act::Read));
    assert_eq!(hours(9, 24).check_request(b"GET", b"/x", NOW), Err(Refusal::HoursClosed));
}

#[test]
fn a_bound_key_is_refused_what_cannot_be_read() {
    let bound = [
        Restrictions::default().with_instruments(&["BTC-*"]).unwrap(),
        Restrictions::default().with_notional(usdt(Some("1"), None)),
        Restrictions::default().with_transfers(&[TransferDirection::SubToMaster]).unwrap(),
    ];
    for restrictions in &bound {
        for path in [
            "/api/v5/trade/order-algo",
            "/api/v5/trade/mass-cancel",
            "/api/v5/asset/convert/trade",
            "/api/v5/account/set-leverage",
            "/api/v5/trade/order/",
            "/api/v5/trade/easy-convert",
        ] {
            assert_eq!(
                restrictions.check_request(b"POST", path.as_bytes(), NOW),
                Err(Refusal::ActionUnreadable),
                "{restrictions:?} {path}"
            );
        }
        assert_eq!(restrictions.check_request(b"GET", b"/api/v5/trade/order-algo", NOW), Ok(Act::Read));
        assert!(restrictions.check_request(b"PUT", b"/api/v5/trade/order", NOW).is_err());
    }
    assert_eq!(
        full().with_hours(WeeklyHours::daily(&[4], 8, 9).unwrap()).check_request(
            b"POST",
            b"/caponier/v2/session",
            NOW
        ),
        Ok(Act::Read)
    );
    assert!(
        full()
            .with_hours(WeeklyHours::daily(&[4], 9, 10).unwrap())
            .check_request(b"POST", b"/caponier/v2/session", NOW)
            .is_err()
    );
    let orders = Act::Orders { kind: OrderKind::Cancel, batch: true };
    assert_eq!(bound[0].check_request(b"POST", b"/api/v5/trade/cancel-batch-orders", NOW), Ok(orders));
    assert!(bound[0].needs_body(orders) && bound[1].needs_body(orders) && !bound[2].needs_body(orders));
    assert!(bound[2].needs_body(Act::Transfer(None)) && !bound[0].needs_body(Act::Transfer(None)));
}

#[test]
fn orders_pass_together_or_not_at_all() {
    let restrictions = full();
    let check = |orders: &[OrderIntent]| restrictions.check_orders(orders, &NoPrices, NOW);
    let value = |text: &str| Notional::of(amount(text)).unwrap();
    let good = || buy("BTC-USDT", "0.01", "50000");
    assert_eq!(check(&[good()]), Ok(value("500")));
    assert_eq!(check(&[good(), buy("ETH-USDT", "1", "1000.5")]), Ok(value("1500.5")));
    assert_eq!(check(&[good(), buy("ETH-USDT", "1", "1000.51")]), Err(Refusal::NotionalTooLarge));
    assert_eq!(check(&[good(), buy("ETH-USDC", "1", "1")]), Err(Refusal::InstrumentForbidden));
    assert_eq!(check(&[buy("BTC-EUR", "1", "1")]), Err(Refusal::NotionalUnknown));
    assert_eq!(
        check(&[OrderIntent { side: Some(Side::Sell), ..good() }]),
        Err(Refusal::NotionalUnknown),
        "without a reference a sale has no bound"
    );
    assert!(check(&[]).is_err());
    assert!(check(&vec![buy("BTC-USDT", "1", "1"); 20]).is_ok());
    assert!(check(&vec![buy("BTC-USDT", "1", "1"); 21]).is_err());
    let no_bound = Restrictions::default().with_instruments(&["BTC-*"]).unwrap();
    assert_eq!(no_bound.check_orders(&[good()], &NoPrices, NOW), Ok(Notional::ZERO));
}

#[test]
fn transfers_and_withdrawals() {
    let restrictions = full();
    assert_eq!(restrictions.check_transfer(TransferDirection::FundingToTrading), Ok(()));
    for other in &TransferDirection::ALL[1..] {
        assert_eq!(restrictions.check_transfer(*other), Err(Refusal::TransferForbidden));
    }
    let id = |text| DestinationId::parse(text).unwrap();
    assert_eq!(restrictions.check_withdrawal(Some(&id("cold-2"))), Ok(()));
    assert_eq!(restrictions.check_withdrawal(Some(&id("cold-3"))), Err(Refusal::DestinationForbidden));
    assert_eq!(restrictions.check_withdrawal(None), Err(Refusal::DestinationForbidden));
    assert_eq!(Restrictions::default().check_withdrawal(None), Ok(()));
    assert_eq!(Restrictions::default().check_transfer(TransferDirection::SubToSub), Ok(()));
}

#[test]
fn bad_restrictions_are_named() {
    let none = Restrictions::default;
    let error = RestrictionError::EntryInvalid { part: "instruments", position: 1 };
    assert_eq!(none().with_instruments(&["BTC-*", "*"]), Err(error.clone()));
    assert_eq!(none().with_instruments(&["BTC-*", "BTC-*"]), Err(error));
    assert_eq!(none().with_endpoints::<&str>(&[]), Err(RestrictionError::ListEmpty { part: "endpoints" }));
    assert_eq!(none().with_transfers(&[]), Err(RestrictionError::ListEmpty { part: "transfers" }));
    let many: Vec<String> = (0..33).map(|n| format!("d{n}")).collect();
    let long = RestrictionError::ListTooLong { part: "destinations", got: 33, max: 32 };
    assert_eq!(none().with_destinations(&many), Err(long));
    for (per_order, per_day) in [(None, None), (Some("0"), None), (None, Some("-1"))] {
        let quote = Asset::parse("USDT").unwrap();
        let bounds = NotionalBounds::new(quote, per_order.map(amount), per_day.map(amount));
        assert_eq!(bounds, Err(RestrictionError::BoundInvalid));
    }
}

#[test]
fn records_round_trip_in_one_encoding() {
    let largest = {
        let texts = |count: usize, width: usize, prefix: &str| -> Vec<String> {
            (0..count).map(|n| format!("{prefix}{n:0width$}", width = width - prefix.len())).collect()
        };
        Restrictions::default()
            .with_endpoints(&texts(Restrictions::ENDPOINTS_MAX, EndpointPattern::BYTES_MAX, "POST /"))
            .and_then(|all| all.with_instruments(&texts(Restrictions::INSTRUMENTS_MAX, 48, "BTC-")))
            .and_then(|all| all.with_destinations(&texts(Restrictions::DESTINATIONS_MAX, 64, "d")))
            .map(|all| {
                let digits = "7922816251426433759354395.033";
                let bounds = NotionalBounds::new(
                    Asset::parse(&"A".repeat(24)).unwrap(),
                    Some(amount(digits)),
                    Some(amount(digits)),
                );
                all.with_notional(bounds.unwrap()).with_hours(WeeklyHours::daily(&[0], 0, 1).unwrap())
            })
            .and_then(|all| all.with_transfers(&TransferDirection::ALL))
            .unwrap()
    };
    for restrictions in [Restrictions::default(), full(), largest] {
        let bytes = encoded(&restrictions);
        assert!(bytes.len() <= record::ENCODED_BYTES_MAX, "{}", bytes.len());
        assert_eq!(decoded(&bytes).as_ref(), Ok(&restrictions));
    }
    assert_eq!(encoded(&Restrictions::default()), [0x86, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6]);
    let shown = format!("{:?}", full());
    assert!(shown.contains("1000.5 USDT") && shown.contains("BTC-*, ETH-USDT"), "{shown}");
}

#[test]
fn every_part_is_decoded_strictly() {
    for (bytes, part) in [
        (&[0x85, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6][..], "restrictions"),
        (&[0x86, 0x80, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6], "endpoints"),
        (&[0x86, 0xf6, 0x81, 0x61, b'*', 0xf6, 0xf6, 0xf6, 0xf6], "instruments"),
        (&[0x86, 0xf6, 0xf6, 0x83, 0x61, b'A', 0xf6, 0xf6, 0xf6, 0xf6, 0xf6], "notional"),
        (&[0x86, 0xf6, 0xf6, 0x83, 0x61, b'A', 0x61, b'0', 0xf6, 0xf6, 0xf6, 0xf6], "notional"),
        (&[0x86, 0xf6, 0xf6, 0xf6, 0x00, 0xf6, 0xf6], "transfers"),
        (&[0x86, 0xf6, 0xf6, 0xf6, 0x18, 0x20, 0xf6, 0xf6], "transfers"),
        (&[0x86, 0xf6, 0xf6, 0xf6, 0xf6, 0x81, 0x61, b' ', 0xf6], "destinations"),
        (&[0x86, 0xf6, 0xf6, 0xf6, 0xf6, 0x9a, 0xff, 0xff, 0xff, 0xff], "destinations"),
        (&[0x86, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6, 0x41, 0x01], "hours"),
    ] {
        assert_eq!(decoded(bytes), Err(part), "{bytes:02x?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(restrictions) = decoded(&bytes) {
            prop_assert_eq!(decoded(&encoded(&restrictions)), Ok(restrictions));
        }
    }
}

#[test]
fn a_web_socket_is_read_as_a_get_of_its_path() {
    let now = UnixNanos::from_secs(1_800_000_000);
    let free = Restrictions::default().with_instruments(&["BTC-USDT"]).unwrap();
    assert_eq!(free.check_stream(b"/ws/v5/private", now), Ok(()));
    let listed = Restrictions::default().with_endpoints(&["POST /api/v5/trade/*"]).unwrap();
    assert_eq!(listed.check_stream(b"/ws/v5/private", now), Err(Refusal::EndpointForbidden));
    let listed = Restrictions::default().with_endpoints(&["GET /ws/v5/private"]).unwrap();
    assert_eq!(listed.check_stream(b"/ws/v5/private", now), Ok(()));
    assert_eq!(listed.check_stream(b"/ws/v5/business", now), Err(Refusal::EndpointForbidden));
    assert_eq!(listed.check_hours(now), Ok(()));
}
