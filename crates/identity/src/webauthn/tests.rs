//! A software authenticator, honest unless told otherwise, for both algorithms.

use crypto::{P256SigningKey, SigningKey};
use minicbor::Encoder;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Passkey;

pub(crate) enum Signer {
    Ed25519(SigningKey),
    P256(Box<P256SigningKey>),
}

/// An authenticator with one passkey.
pub(crate) struct Authenticator {
    signer: Signer,
    pub(crate) counter: u32,
    pub(crate) flags: u8,
    pub(crate) id: Vec<u8>,
}

/// What a browser hands over.
pub(crate) struct Answer {
    pub(crate) client_data: Vec<u8>,
    /// Attestation object or authenticator data.
    pub(crate) data: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

fn der(fixed: &[u8; 64]) -> Vec<u8> {
    let mut numbers = Vec::new();
    for half in fixed.chunks(32) {
        let digits = &half[half.iter().position(|byte| *byte != 0).unwrap_or(31)..];
        let pad = usize::from(digits[0] >= 0x80);
        numbers.extend([2, u8::try_from(digits.len() + pad).unwrap()]);
        numbers.extend(std::iter::repeat_n(0, pad));
        numbers.extend(digits);
    }
    [&[0x30, u8::try_from(numbers.len()).unwrap()][..], &numbers].concat()
}

impl Authenticator {
    pub(crate) fn ed25519(seed: u8) -> Self {
        let signer = Signer::Ed25519(SigningKey::from_seed([seed; 32]));
        Self { signer, counter: 0, flags: UP | UV, id: vec![seed; 16] }
    }

    pub(crate) fn p256() -> Self {
        let signer = Signer::P256(Box::new(P256SigningKey::generate()));
        Self { signer, counter: 1, flags: UP | UV, id: vec![2; 20] }
    }

    fn client_data(kind: &str, expected: Expected<'_>) -> Vec<u8> {
        json!({
            "type": kind, "challenge": URL_SAFE_NO_PAD.encode(expected.challenge), "origin": expected.origin,
            "crossOrigin": false, "new_keys_may_be_added_here": "do not compare clientDataJSON against a template",
        })
        .to_string()
        .into_bytes()
    }

    fn head(&self, rp_id: &str, flags: u8) -> Vec<u8> {
        let mut data = sha256(&[rp_id.as_bytes()]).to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn cose(&self) -> Vec<u8> {
        let mut e = Encoder::new(Vec::new());
        match &self.signer {
            Signer::Ed25519(key) => {
                e.map(4).unwrap().i8(1).unwrap().i8(1).unwrap().i8(3).unwrap().i8(-8).unwrap();
                e.i8(-1).unwrap().i8(6).unwrap().i8(-2).unwrap().bytes(&key.verifying_key().0).unwrap();
            }
            Signer::P256(key) => {
                let point = key.verifying_key();
                let point = point.as_bytes();
                e.map(5).unwrap().i8(1).unwrap().i8(2).unwrap().i8(3).unwrap().i8(-7).unwrap();
                e.i8(-1).unwrap().i8(1).unwrap().i8(-2).unwrap().bytes(&point[1..33]).unwrap();
                e.i8(-3).unwrap().bytes(&point[33..]).unwrap();
            }
        }
        e.into_writer()
    }

    pub(crate) fn make(&self, expected: Expected<'_>) -> Answer {
        let mut data = self.head(expected.rp_id, self.flags | AT);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        data.extend(self.cose());
        let mut e = Encoder::new(Vec::new());
        e.map(3).unwrap().str("fmt").unwrap().str("none").unwrap();
        e.str("attStmt").unwrap().map(0).unwrap().str("authData").unwrap().bytes(&data).unwrap();
        Answer {
            client_data: Self::client_data("webauthn.create", expected),
            data: e.into_writer(),
            signature: vec![],
        }
    }

    pub(crate) fn sign(&mut self, expected: Expected<'_>) -> Answer {
        if self.counter > 0 {
            self.counter += 1;
        }
        let client_data = Self::client_data("webauthn.get", expected);
        let data = self.head(expected.rp_id, self.flags);
        let message = [data.as_slice(), &sha256(&[&client_data])].concat();
        let signature = match &self.signer {
            Signer::Ed25519(key) => key.sign(&message).to_vec(),
            Signer::P256(key) => der(&key.sign(&message)),
        };
        Answer { client_data, data, signature }
    }
}

const CHALLENGE: [u8; 32] = [5; 32];
const HERE: Expected<'static> =
    Expected { challenge: &CHALLENGE, origin: "https://caponier.example", rp_id: "caponier.example" };

fn enrolled(authenticator: &Authenticator) -> Passkey {
    let made = authenticator.make(HERE);
    HERE.registration(&made.client_data, &made.data).unwrap()
}

#[test]
fn both_algorithms_register_and_sign() {
    for mut authenticator in [Authenticator::ed25519(1), Authenticator::p256()] {
        let passkey = enrolled(&authenticator);
        assert_eq!(passkey.id, authenticator.id);
        for _ in 0..20 {
            let used = authenticator.sign(HERE);
            let counter = HERE.assertion(&passkey, &used.client_data, &used.data, &used.signature);
            assert_eq!(counter, Ok(authenticator.counter));
        }
    }
}

#[test]
fn every_departure_is_refused() {
    let mut authenticator = Authenticator::p256();
    let passkey = enrolled(&authenticator);
    let elsewhere = [
        (Expected { challenge: &[6; 32], ..HERE }, WebauthnError::Challenge),
        (Expected { origin: "https://caponier.example.evil", ..HERE }, WebauthnError::Origin),
        (Expected { rp_id: "example", ..HERE }, WebauthnError::Origin),
    ];
    for (there, error) in elsewhere {
        let made = authenticator.make(there);
        assert_eq!(HERE.registration(&made.client_data, &made.data), Err(error.clone()));
        let used = authenticator.sign(there);
        assert_eq!(HERE.assertion(&passkey, &used.client_data, &used.data, &used.signature), Err(error));
    }
    for flags in [0, UP, UV] {
        authenticator.flags = flags;
        let (made, used) = (authenticator.make(HERE), authenticator.sign(HERE));
        assert_eq!(HERE.registration(&made.client_data, &made.data), Err(WebauthnError::Unverified));
        let result = HERE.assertion(&passkey, &used.client_data, &used.data, &used.signature);
        assert_eq!(result, Err(WebauthnError::Unverified));
    }
    authenticator.flags = UP | UV;
    let (made, used) = (authenticator.make(HERE), authenticator.sign(HERE));
    assert_eq!(HERE.registration(&used.client_data, &made.data), Err(WebauthnError::Type));
    assert_eq!(
        HERE.assertion(&passkey, &made.client_data, &used.data, &used.signature),
        Err(WebauthnError::Type)
    );
    // A frame of another site, which asked for the passkey on ours.
    let framed = String::from_utf8(used.client_data.clone()).unwrap().replace("false", "true");
    assert_eq!(
        HERE.assertion(&passkey, framed.as_bytes(), &used.data, &used.signature),
        Err(WebauthnError::Origin)
    );
    // Another authenticator, and a copy of this one.
    let other = Authenticator::p256().sign(HERE);
    let result = HERE.assertion(&passkey, &other.client_data, &other.data, &other.signature);
    assert_eq!(result, Err(WebauthnError::Signature));
    let ahead = Passkey { counter: authenticator.counter, ..passkey };
    let result = HERE.assertion(&ahead, &used.client_data, &used.data, &used.signature);
    assert_eq!(result, Err(WebauthnError::Copied));
}

proptest! {
    /// Whatever one byte is changed to, no part is believed and nothing panics.
    #[test]
    fn no_changed_byte_is_believed(part in 0_usize..3, at in any::<prop::sample::Index>(), by in 1_u8..=255) {
        let mut authenticator = Authenticator::ed25519(9);
        let passkey = enrolled(&authenticator);
        let mut used = authenticator.sign(HERE);
        let bytes = [&mut used.client_data, &mut used.data, &mut used.signature].into_iter().nth(part).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert!(HERE.assertion(&passkey, &used.client_data, &used.data, &used.signature).is_err());
        let mut made = authenticator.make(HERE);
        let at = at.min(made.data.len() - 1);
        made.data[at] ^= by;
        drop(HERE.registration(&made.client_data, &made.data));
        made.data.truncate(at);
        prop_assert!(HERE.registration(&made.client_data, &made.data).is_err());
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(HERE.registration(&bytes, &bytes).is_err());
        prop_assert!(attested(&bytes).is_none_or(|data| data.len() < bytes.len()));
        prop_assert!(fixed(&bytes).is_none_or(|_| bytes.len() >= 8));
    }
}
