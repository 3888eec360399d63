//! The OKX v5 signature scheme, byte for byte: prehash, signature text, timestamp text, WebSocket login.
//!
//! Not here: which key signs, and whether it may. Nothing is decoded, normalised or re-encoded: the prehash is over
//! the bytes as they stand on the wire. Source: OKX v5 API documentation, "REST Authentication" and "WebSocket
//! Login".

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto::MacKey;
use domain::UnixNanos;

/// Length of the Base64 text of a signature: 32 bytes with padding.
pub const SIGNATURE_BYTES: usize = 44;

/// Length of a REST timestamp, `2020-12-08T09:08:57.715Z`.
pub const TIMESTAMP_BYTES: usize = 24;

/// How far a timestamp may lie from the server's time, in either direction; exactly this much is still accepted.
pub const SKEW_MAX: Duration = Duration::from_secs(30);

/// What a WebSocket login signs after its timestamp.
pub const LOGIN_SUFFIX: [&[u8]; 2] = [b"GET", b"/users/self/verify"];

/// The parts whose plain concatenation is signed for a REST request. There are no delimiters: moving bytes
/// from the path to the body gives the same prehash, which is why a gateway must refuse a body that is not JSON.
#[must_use]
pub const fn prehash<'a>(
    timestamp: &'a [u8],
    method: &'a [u8],
    target: &'a [u8],
    body: &'a [u8],
) -> [&'a [u8]; 4] {
    [timestamp, method, target, body]
}

/// The parts whose plain concatenation is signed for a WebSocket login. `timestamp` is decimal Unix seconds, as
/// the text the client sent (or the decimal text of the number it sent).
#[must_use]
pub const fn login_prehash(timestamp: &[u8]) -> [&[u8]; 3] {
    [timestamp, LOGIN_SUFFIX[0], LOGIN_SUFFIX[1]]
}

/// Signs a REST request as a client does: the value of `OK-ACCESS-SIGN`.
///
/// `method` in upper case, `target` with its query as it will stand in the request line.
#[must_use]
pub fn sign(secret: &[u8], timestamp: &str, method: &str, target: &str, body: &[u8]) -> String {
    let parts = prehash(timestamp.as_bytes(), method.as_bytes(), target.as_bytes(), body);
    STANDARD.encode(MacKey::new(secret).sign(&parts))
}

/// Signs a WebSocket login as a client does: the value of `sign`. `timestamp` is decimal Unix seconds.
#[must_use]
pub fn sign_login(secret: &[u8], timestamp: &str) -> String {
    STANDARD.encode(MacKey::new(secret).sign(&login_prehash(timestamp.as_bytes())))
}

/// The one spelling of a MAC in the signature header.
#[must_use]
pub(crate) fn signature_text(mac: &[u8; 32]) -> [u8; SIGNATURE_BYTES] {
    let mut text = [0; SIGNATURE_BYTES];
    let written = STANDARD.encode_slice(mac, &mut text);
    debug_assert_eq!(written, Ok(SIGNATURE_BYTES));
    text
}

/// A point in time as REST clients write it.
#[must_use]
pub fn timestamp_text(at: UnixNanos) -> String {
    at.to_string()
}

/// Parses a REST timestamp. Exactly the 24-byte form is accepted: lenient parsers let one signed request be sent
/// under several spellings.
#[must_use]
pub fn parse_timestamp(text: &[u8]) -> Option<UnixNanos> {
    let text: &[u8; TIMESTAMP_BYTES] = text.try_into().ok()?;
    let punctuation = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    if punctuation.iter().any(|&(at, byte)| text[at] != byte) {
        return None;
    }
    let year = digits(&text[0..4])?;
    let month = digits(&text[5..7])?;
    let day = digits(&text[8..10])?;
    let hour = digits(&text[11..13])?;
    let minute = digits(&text[14..16])?;
    let second = digits(&text[17..19])?;
    let millis = digits(&text[20..23])?;
    if year < 1970 || !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    let millis = seconds * 1_000 + millis;
    millis.checked_mul(1_000_000).map(UnixNanos)
}

/// Parses the timestamp of a WebSocket login: 1 to 19 decimal digits of Unix seconds, no sign, no leading zero.
#[must_use]
pub fn parse_login_timestamp(text: &[u8]) -> Option<UnixNanos> {
    if !(1..=19).contains(&text.len()) || text[0] == b'0' {
        return None;
    }
    digits(text)?.checked_mul(1_000_000_000).map(UnixNanos)
}

/// Whether `at` lies within [`SKEW_MAX`] of `now`.
#[must_use]
pub fn within_skew(at: UnixNanos, now: UnixNanos) -> bool {
    u128::from(at.0.abs_diff(now.0)) <= SKEW_MAX.as_nanos()
}

/// Decimal value of at most 19 digits, which always fits.
fn digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then(|| value * 10 + u64::from(digit))
    })
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar, counting years from March so that the leap day is
/// the last of its year. `year >= 1970`, month and day in range.
const fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    const DAYS_BEFORE_1970: u64 = 719_468; // from 0000-03-01 to 1970-01-01
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - DAYS_BEFORE_1970
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &[u8] = b"22582BD0CFF14C41EDBF1AB98506286D";
    const AT: &str = "2020-12-08T09:08:57.715Z";

    #[test]
    fn known_answers() {
        let get = |target: &str| sign(SECRET, AT, "GET", target, b"");
        assert_eq!(get("/api/v5/account/balance?ccy=BTC"), "HiZhvSfMtWJA3uUIVXV3a/bSXNPCWvYFXoGCVS8V4zY=");
        assert_eq!(
            get("/api/v5/account/balance?ccy=BTC,ETH"),
            "oah2EOT2Fnz1bjkgiAnuKl+zFQzDG3/nqPUqyYzArrE="
        );
        assert_eq!(
            get("/api/v5/account/balance?ccy=BTC%2CETH"),
            "X/i/q53ENYaVFJP/x3gMqfyuIw8hS3HPa3eFxfQQFaY="
        );
        let order = br#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","px":"30000","sz":"0.001"}"#;
        assert_eq!(
            sign(SECRET, AT, "POST", "/api/v5/trade/order", order),
            "4KuT6x30pzC40Zf4iiC9P33ilNG9bu1Gmp3fD6AmHVk="
        );
        assert_eq!(sign_login(SECRET, "1538054050"), "+LdIr8lkkvhr5hoA3g9TMC0+uQJ849ftAcocA/ouu4M=");
        // The scheme's ambiguity: one signature, two requests. The gateway refuses the first for its body.
        let ambiguous = "q65qpLDl1XScNjD9VF0XEDr5l3e69HZvpCOIB+YBPpo=";
        assert_eq!(sign(SECRET, AT, "POST", "/api/v5/trade/order", br#"?x=1{"a":"b"}"#), ambiguous);
        assert_eq!(sign(SECRET, AT, "POST", "/api/v5/trade/order?x=1", br#"{"a":"b"}"#), ambiguous);
    }

    #[test]
    fn only_the_24_byte_form_is_a_timestamp() {
        assert_eq!(parse_timestamp(AT.as_bytes()), Some(UnixNanos::from_millis(1_607_418_537_715)));
        assert_eq!(parse_timestamp(b"1970-01-01T00:00:00.000Z"), Some(UnixNanos(0)));
        assert!(parse_timestamp(b"2024-02-29T00:00:00.000Z").is_some());
        for bad in [
            "",
            "1607418537.715",
            "1607418537715",
            "2020-12-08T09:08:57.715",
            "2020-12-08T09:08:57Z",
            "2020-12-08T09:08:57.715123Z",
            "2020-12-08T09:08:57.715+",
            "2020-12-08t09:08:57.715z",
            "2020-12-08 09:08:57.715Z",
            "2020-12-08T09:08:57,715Z",
            "2020-13-08T09:08:57.715Z",
            "2020-00-08T09:08:57.715Z",
            "2020-12-00T09:08:57.715Z",
            "2020-02-30T09:08:57.715Z",
            "2023-02-29T09:08:57.715Z",
            "2100-02-29T09:08:57.715Z",
            "2020-12-08T24:08:57.715Z",
            "2020-12-08T09:60:57.715Z",
            "2020-12-08T09:08:60.715Z",
            "1969-12-31T23:59:59.999Z",
            "9999-12-31T23:59:59.999Z",
            "+020-12-08T09:08:57.715Z",
            "2020-12-08T09:08:57.-15Z",
        ] {
            assert_eq!(parse_timestamp(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn login_timestamps_are_plain_seconds() {
        assert_eq!(parse_login_timestamp(b"1538054050"), Some(UnixNanos::from_secs(1_538_054_050)));
        for bad in [
            "",
            "0",
            "01538054050",
            "-1",
            "+1",
            "1538054050.5",
            "15380540501538054050",
            "9999999999999999999",
        ] {
            assert_eq!(parse_login_timestamp(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn thirty_seconds_are_within_the_skew_and_a_nanosecond_more_is_not() {
        let now = UnixNanos::from_secs(1_000);
        for (at, accepted) in [
            (970_000_000_000, true),
            (969_999_999_999, false),
            (1_030_000_000_000, true),
            (1_030_000_000_001, false),
            (u64::MAX, false),
            (0, false),
        ] {
            assert_eq!(within_skew(UnixNanos(at), now), accepted, "{at}");
        }
    }

    proptest! {
        /// The parser agrees with an independent one on every time it can print.
        #[test]
        fn timestamps_round_trip(millis in 0_u64..18_446_744_073_709) {
            let at = UnixNanos::from_millis(millis);
            let text = timestamp_text(at);
            prop_assert_eq!(parse_timestamp(text.as_bytes()), Some(at));
        }

        /// Arbitrary bytes never panic, and what is accepted is what RFC 3339 says it is.
        #[test]
        fn hostile_timestamps(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(at) = parse_timestamp(&text) {
                prop_assert_eq!(timestamp_text(at).into_bytes(), text);
            }
        }

        /// Shapes close to a timestamp agree with the RFC 3339 parser.
        #[test]
        fn near_timestamps(text in "[0-2][0-9]{3}-[0-3][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{3}Z") {
            prop_assume!(&text[17..19] != "60"); // RFC 3339 knows leap seconds, the scheme does not
            prop_assert_eq!(parse_timestamp(text.as_bytes()), UnixNanos::parse_rfc3339(&text).ok());
        }
    }
}
