//! What conditions mean, case by case.

use domain::{Amount, UnixNanos};
use rules::Value::{Bool, Double, Duration, Int, Money, String as Text, Timestamp};

use crate::support::truth;

const FIVE: &str = "amount > 1000.0 && new_device && withdrawals_24h >= 3 && (country != kyc_country || risk > 0.8) && age_days < 30";
const HOUR: i64 = 3_600_000_000_000;

#[test]
fn five_clauses() {
    let mut values = vec![
        ("amount", Double(1500.0)),
        ("new_device", Bool(true)),
        ("withdrawals_24h", Int(3)),
        ("country", Text("DE")),
        ("kyc_country", Text("FR")),
        ("risk", Double(0.1)),
        ("age_days", Double(3.0)),
    ];
    assert_eq!(truth(FIVE, &values), Some(true));
    values[0].1 = Double(1000.0);
    assert_eq!(truth(FIVE, &values), Some(false));
    values[0].1 = Double(1000.0_f64.next_up());
    assert_eq!(truth(FIVE, &values), Some(true));
    // Two countries that no rule mentions are still two.
    values[4].1 = Text("DE");
    assert_eq!(truth(FIVE, &values), Some(false));
    values.pop();
    assert_eq!(truth(FIVE, &values), Some(false), "false wins over missing");
    values[5].1 = Double(0.9);
    assert_eq!(truth(FIVE, &values), None);
}

#[test]
fn missing_is_neither_true_nor_false() {
    for when in [
        "amount > 5.0",
        "!(amount > 5.0)",
        "amount <= 5.0",
        "amount == amount",
        "new_device",
        "!new_device",
        "new_device == (risk > 0.5)",
        "amount in [1.0]",
        "!(amount in [])",
        "country.startsWith('a')",
        "amount + 1.0 > 0.0",
        "(new_device ? 1 : 2) > 0",
        "new_device ? vpn : !vpn",
        "amount > 5.0 && has(risk) == false",
        "withdrawals_24h / 1 > 0",
        "value > 5",
        "size(country) > 0",
    ] {
        assert_eq!(truth(when, &[]), None, "{when}");
    }
    assert_eq!(truth("has(amount)", &[]), Some(false));
    assert_eq!(truth("!has(amount) || amount > 5.0", &[]), Some(true));
    assert_eq!(truth("has(amount) ? amount > 5.0 : true", &[]), Some(true));
    assert_eq!(truth("has(amount) && amount > 5.0", &[]), Some(false));
    assert_eq!(truth("amount > 5.0 || vpn", &[("vpn", Bool(true))]), Some(true));
    assert_eq!(truth("amount > 5.0 || vpn", &[("vpn", Bool(false))]), None);
    assert_eq!(truth("!(amount > 5.0 && vpn)", &[("vpn", Bool(false))]), Some(true));
}

#[test]
fn numbers_meet_exactly() {
    let n = |value| [("withdrawals_24h", Int(value))];
    assert_eq!(truth("withdrawals_24h > 2.5", &n(2)), Some(false));
    assert_eq!(truth("withdrawals_24h > 2.5", &n(3)), Some(true));
    assert_eq!(truth("withdrawals_24h == 2.5", &n(2)), Some(false));
    assert_eq!(truth("withdrawals_24h != 2.5", &[]), None);
    assert_eq!(truth("withdrawals_24h <= 2.0", &n(2)), Some(true));
    assert_eq!(
        truth("9007199254740993 < amount", &[("amount", Double(9_007_199_254_740_992.0))]),
        Some(false)
    );
    assert_eq!(
        truth("9007199254740993 > amount", &[("amount", Double(9_007_199_254_740_992.0))]),
        Some(true)
    );
    assert_eq!(
        truth(
            "withdrawals_24h == amount",
            &[("withdrawals_24h", Int(i64::MAX)), ("amount", Double(i64::MAX as f64))]
        ),
        Some(false)
    );
    assert_eq!(truth("withdrawals_24h > 9223372036854775807", &n(i64::MAX)), Some(false));
    assert_eq!(truth("withdrawals_24h >= -9223372036854775808", &n(i64::MIN)), Some(true));
    assert_eq!(truth("amount > 0.0", &[("amount", Double(-0.0))]), Some(false));
    assert_eq!(truth("amount < 0.0", &[("amount", Double(0.0))]), Some(false));
    assert_eq!(truth("amount >= -0.0", &[("amount", Double(0.0))]), Some(true));
    assert_eq!(truth("amount > -0.0", &[("amount", Double(f64::MIN_POSITIVE))]), Some(true));
    assert_eq!(truth("amount in [0]", &[("amount", Double(-0.0))]), Some(true));
}

#[test]
fn arithmetic_that_has_no_result_is_missing() {
    let n = |value| [("withdrawals_24h", Int(value)), ("device.accounts", Int(0))];
    for when in [
        "withdrawals_24h / device.accounts == 0",
        "withdrawals_24h % device.accounts == 0",
        "withdrawals_24h + 1 > 0",
        "withdrawals_24h * 2 > 0",
        "1.0 / double(device.accounts) > 0.0",
        "amount * 1e300 > 0.0",
    ] {
        let mut values = n(i64::MAX).to_vec();
        values.push(("amount", Double(1e300)));
        assert_eq!(truth(when, &values), None, "{when}");
    }
    assert_eq!(truth("-withdrawals_24h > 0", &n(i64::MIN)), None);
    assert_eq!(truth("withdrawals_24h / -1 > 0", &n(i64::MIN)), None);
    assert_eq!(truth("withdrawals_24h % -1 == 0", &n(i64::MIN)), None);
    assert_eq!(truth("-7 / 2 == withdrawals_24h", &n(-3)), Some(true), "towards zero");
    assert_eq!(truth("-7 % 2 == withdrawals_24h", &n(-1)), Some(true));
    assert_eq!(truth("int(amount) == -1", &[("amount", Double(-1.9))]), Some(true));
    assert_eq!(truth("int(amount) > 0", &[("amount", Double(1e19))]), None);
    assert_eq!(truth("withdrawals_24h * 0.5 > 1", &n(3)), Some(true));
}

#[test]
fn times_durations_money_and_texts() {
    let at = |text| Timestamp(UnixNanos::parse_rfc3339(text).unwrap());
    let values = [
        ("at", at("2026-11-22T23:30:00Z")),
        ("since_password", Duration(25 * HOUR)),
        ("value", Money(Amount::parse("1000.10").unwrap())),
        ("country", Text("Österreich")),
    ];
    for when in [
        "since_password > duration('24h') && since_password < duration('2d')",
        "since_password.getHours() == 25 && since_password.getMinutes() == 1500",
        "at.getHours() == 23 && at.getDayOfWeek() == 0",
        "at - since_password < timestamp('2026-11-21T22:31:00Z')",
        "at - timestamp('2026-11-22T00:00:00Z') == duration('23h30m')",
        "at + duration('30m') == timestamp('2026-11-23T00:00:00Z')",
        "value > 1000 && value > 1000.0999 && value < money('1000.11') && value == 1000.1",
        "value * 2 == money('2000.2') && value - 1 == 999.1 && double(value) / 2.0 > 500.0",
        "country.startsWith('Ö') && country.endsWith(\"reich\") && country.contains('err') && size(country) == 10",
        "country.size() == 10 && country in ['a', 'Österreich'] && !(country in lists.far)",
    ] {
        assert_eq!(truth(when, &values), Some(true), "{when}");
    }
    assert_eq!(truth("since_password in [duration('25h'), duration('1h')]", &values), Some(true));
    assert_eq!(truth("withdrawals_24h in lists.round", &[("withdrawals_24h", Int(500))]), Some(true));
    assert_eq!(truth("amount in lists.round", &[("amount", Double(100.0))]), Some(true));
    assert_eq!(truth("amount in lists.round", &[("amount", Double(100.5))]), Some(false));
    assert_eq!(truth("country in lists.far", &[("country", Text("KP"))]), Some(true));
}
