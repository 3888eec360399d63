//! One-time codes of authenticator apps (RFC 6238 over RFC 4226): HMAC-SHA-1, six digits, steps of 30 seconds, as every app
//! knows them.
//!
//! Not a proof of presence at this site, unlike a passkey: a code can be typed into the wrong page. That is why it is a
//! fallback beside a phrase, and why each step is good once.

use std::fmt;

use crypto::{Secret, ct_eq, hmac_sha1, sha256};
use domain::UnixNanos;

/// Bytes of a secret: as many as the hash has (RFC 4226, section 4, R6).
pub const SECRET_BYTES: usize = 20;
/// A code is good for the step of this length (RFC 6238, section 4.1).
pub const STEP_SECS: u64 = 30;
/// Digits of a code.
pub const DIGITS: usize = 6;
/// Steps a clock may be behind or ahead (RFC 6238, section 5.2).
const STEPS_OFF: u64 = 1;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Bytes in Base32 without padding (RFC 4648, section 6), as apps take secrets.
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for five in bytes.chunks(5) {
        let mut group = [0_u8; 8];
        group[3..3 + five.len()].copy_from_slice(five);
        let bits = u64::from_be_bytes(group);
        for at in 0..(five.len() * 8).div_ceil(5) {
            let index = (bits >> (35 - 5 * at)) & 31;
            text.extend(BASE32.get(usize::try_from(index).unwrap_or(0)).map(|byte| char::from(*byte)));
        }
    }
    text
}

/// What an app and the installation share.
#[derive(Clone)]
pub struct TotpSecret(Secret<[u8; SECRET_BYTES]>);

impl TotpSecret {
    /// Of these bytes, which nobody can guess.
    #[must_use]
    pub fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; SECRET_BYTES] {
        self.0.expose()
    }

    /// As somebody types it into an app.
    #[must_use]
    pub fn base32(&self) -> String {
        base32(self.expose())
    }

    /// The code of a step.
    #[must_use]
    pub fn code(&self, step: u64) -> String {
        let mac = hmac_sha1(self.expose(), &step.to_be_bytes());
        // Dynamic truncation (RFC 4226, section 5.3): the last four bits say where four bytes are taken.
        let offset = usize::from(mac.last().copied().unwrap_or(0) & 15);
        let word =
            mac.get(offset..offset + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes);
        format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
    }

    /// The step whose code this is, among those that may be now and are later than `after`. Every one is compared, in
    /// constant time.
    #[must_use]
    pub fn step_of(&self, code: &str, after: Option<u64>, now: UnixNanos) -> Option<u64> {
        let current = step_at(now);
        (current.saturating_sub(STEPS_OFF)..=current.saturating_add(STEPS_OFF)).fold(None, |found, step| {
            let fits = ct_eq(self.code(step).as_bytes(), code.as_bytes());
            if fits && after.is_none_or(|after| step > after) { Some(step) } else { found }
        })
    }

    /// What the picture an app reads says (the Key Uri Format of authenticator apps).
    #[must_use]
    pub fn uri(&self, issuer: &str, user: &str) -> String {
        let (issuer, user) = (escaped(issuer), escaped(user));
        let secret = self.base32();
        format!(
            "otpauth://totp/{issuer}:{user}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECS}"
        )
    }
}

impl PartialEq for TotpSecret {
    fn eq(&self, other: &Self) -> bool {
        ct_eq(self.expose(), other.expose())
    }
}

impl Eq for TotpSecret {}

/// Two states are compared by what is printed: a digest, which tells nothing of 160 random bits.
impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = sha256(&[b"caponier totp 1", self.expose()]);
        write!(f, "TotpSecret({:08x})", u32::from_be_bytes([a, b, c, d]))
    }
}

/// The step a moment is in.
#[must_use]
pub const fn step_at(now: UnixNanos) -> u64 {
    now.0 / 1_000_000_000 / STEP_SECS
}

/// Percent-encoded (RFC 3986, section 2.1), all but what is unreserved.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rfc() -> TotpSecret {
        TotpSecret::new(*b"12345678901234567890")
    }

    /// RFC 6238, appendix B, the rows of SHA-1: their last six digits.
    #[test]
    fn rfc_6238_known_answers() {
        for (secs, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            assert_eq!(rfc().code(step_at(UnixNanos::from_secs(secs))), code, "{secs}");
        }
    }

    /// RFC 4648, section 10, without padding.
    #[test]
    fn base32_known_answers() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_code_is_good_one_step_around_and_not_again() {
        let (secret, now) = (rfc(), UnixNanos::from_secs(1_800_000_015));
        let step = step_at(now);
        for (off, fits) in
            [(step - 2, false), (step - 1, true), (step, true), (step + 1, true), (step + 2, false)]
        {
            assert_eq!(secret.step_of(&secret.code(off), None, now), fits.then_some(off));
        }
        assert_eq!(secret.step_of(&secret.code(step), Some(step - 1), now), Some(step));
        assert_eq!(secret.step_of(&secret.code(step), Some(step), now), None, "used");
        assert_eq!(
            secret.step_of(&secret.code(step - 1), Some(step), now),
            None,
            "older than one that was used"
        );
        for wrong in ["", "1", "1234567", "12345a", " 12345"] {
            assert_eq!(secret.step_of(wrong, None, now), None);
        }
    }

    #[test]
    fn the_picture_says_what_apps_read() {
        assert_eq!(
            rfc().uri("Caponier house.example", "an:na"),
            "otpauth://totp/Caponier%20house.example:an%3Ana?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Caponier%20house.example&algorithm=SHA1&digits=6&period=30"
        );
        assert!(!format!("{:?}", rfc()).contains("123"));
    }

    /// Against an implementation that is not ours, at many moments; one process for all of them.
    #[test]
    fn codes_are_those_of_oathtool() {
        let run = |now: u64, secret: &str| {
            std::process::Command::new("oathtool")
                .args(["--totp=sha1", "--digits=6", "--base32", "--window=40", "--now"])
                .arg(format!("@{now}"))
                .arg(secret)
                .output()
        };
        if run(0, "MZXW6YTB").is_err() {
            eprintln!("skipped: oathtool is not installed; run cargo xtask setup");
            return;
        }
        for seed in 0..5_u8 {
            let bytes = sha256(&[&[seed]]);
            let secret = TotpSecret::new(std::array::from_fn(|at| bytes[at]));
            let now = 1_700_000_000 + u64::from(seed) * 98_765_431;
            let said = run(now, &secret.base32()).unwrap();
            assert!(said.status.success(), "{said:?}");
            let step = step_at(UnixNanos::from_secs(now));
            let ours: Vec<String> = (step..=step + 40).map(|step| secret.code(step)).collect();
            let theirs: Vec<String> =
                String::from_utf8(said.stdout).unwrap().lines().map(str::to_owned).collect();
            assert_eq!(ours, theirs);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_code_of_now_or_none(code in ".{0,12}", secs in any::<u32>()) {
            let now = UnixNanos::from_secs(u64::from(secs));
            if let Some(step) = rfc().step_of(&code, None, now) {
                prop_assert!(step.abs_diff(step_at(now)) <= STEPS_OFF);
                prop_assert_eq!(rfc().code(step), code);
            }
        }
    }
}
