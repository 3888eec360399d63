//! `expTime`: until when a client wants its request to take effect.
//!
//! Obeyed where it is signed, that is, under an HTTP message signature; under the OKX scheme anybody on the way could
//! have set it, and the exchange decides. A deadline that has passed on arrival is 50036, one that passes while the
//! request is here 50037.

use auth::Refusal;
use domain::UnixNanos;

/// A deadline that lay ahead when the request arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expiry(UnixNanos);

impl Expiry {
    /// Reads the text: milliseconds since 1970-01-01, digits alone.
    pub(crate) fn parse(text: &str, now: UnixNanos) -> Result<Self, Refusal> {
        let invalid = || Refusal::ParameterInvalid { parameter: "expTime".to_owned() };
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        let at = text.parse::<u64>().ok().and_then(|millis| millis.checked_mul(1_000_000));
        let at = UnixNanos(at.ok_or_else(invalid)?);
        if at <= now { Err(Refusal::ExpiryInPast) } else { Ok(Self(at)) }
    }

    /// Whether there is time left.
    pub(crate) fn check(self, now: UnixNanos) -> Result<(), Refusal> {
        if now < self.0 { Ok(()) } else { Err(Refusal::OrderExpired) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_milliseconds_ahead() {
        let now = UnixNanos::from_secs(1_700_000_000);
        assert_eq!(Expiry::parse("1700000000000", now), Err(Refusal::ExpiryInPast));
        let expiry = Expiry::parse("1700000000001", now).unwrap();
        assert_eq!(expiry.check(now), Ok(()));
        assert_eq!(expiry.check(UnixNanos(now.0 + 1_000_000)), Err(Refusal::OrderExpired));
        for bad in
            ["", "+1700000000001", "1700000000001.5", "17e11", "99999999999999999999", " 1700000000001"]
        {
            let refusal = Expiry::parse(bad, now).unwrap_err();
            assert_eq!(refusal, Refusal::ParameterInvalid { parameter: "expTime".to_owned() }, "{bad}");
        }
    }
}
