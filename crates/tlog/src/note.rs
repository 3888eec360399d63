//! Signed notes (C2SP signed-note): a text and signature lines under it, with Ed25519 keys (type 0x01).
//!
//! Reading and verifying are apart: [`Note::parse`] checks the form, [`Note::verify`] demands a valid signature by a key
//! the caller knows. Signatures by unknown keys, of whatever type, are carried but prove nothing.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto::{SigningKey, VerifyingKey};

/// Longest note, in bytes.
pub const NOTE_BYTES_MAX: usize = 1_000_000;
/// Most signature lines of a note. The specification asks for at least 16.
pub const SIGNATURES_MAX: usize = 100;

/// Signature type of plain Ed25519.
const TYPE_ED25519: u8 = 0x01;
/// What each signature line starts with: an em dash and a space.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// Why bytes are not a note, or not one to believe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// A signature claims a known key and is not by it.
    #[error("signature by known key {name} does not verify")]
    BadSignature {
        /// Name of the key.
        name: String,
    },
    /// The bytes are not valid UTF-8, or have a control character other than newline.
    #[error("note has a byte that is not allowed at {position}")]
    ForbiddenByte {
        /// Zero-based position.
        position: usize,
    },
    /// A signature line is not an em dash, a name and base64.
    #[error("signature line {line} is malformed")]
    MalformedSignature {
        /// One-based among the signature lines.
        line: usize,
    },
    /// There is no blank line with signature lines after it.
    #[error("note has no signature lines")]
    NoSignatures,
    /// More than [`NOTE_BYTES_MAX`].
    #[error("note is {got} bytes long, at most {NOTE_BYTES_MAX} are accepted")]
    TooLong {
        /// Length, in bytes.
        got: usize,
    },
    /// More than [`SIGNATURES_MAX`].
    #[error("note has more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// No signature is by a known key.
    #[error("note has no signature by a known key")]
    Unsigned,
}

/// Why a text is no key name or verifier key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key is of a type other than Ed25519, or not 32 bytes long.
    #[error("key is not an Ed25519 key")]
    Algorithm,
    /// The key id is not the hash of name and key.
    #[error("key id does not belong to name and key")]
    IdMismatch,
    /// Not `name+id+key`.
    #[error("verifier key is not of the form name+id+key")]
    Malformed,
    /// The name is empty or has a space, a plus sign or a control character.
    #[error("key name is empty or has a character that is not allowed")]
    Name,
}

fn check_name(name: &str) -> Result<(), KeyError> {
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    if !name.is_empty() && name.chars().all(allowed) { Ok(()) } else { Err(KeyError::Name) }
}

/// A public key with its name: what a verifier is given beforehand (*vkey*).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    id: [u8; 4],
    verifying_key: VerifyingKey,
}

impl NoteVerifier {
    /// Joins a name and a key.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn new(name: &str, verifying_key: VerifyingKey) -> Result<Self, KeyError> {
        check_name(name)?;
        let digest = crypto::sha256(&[name.as_bytes(), b"\n", &[TYPE_ED25519], &verifying_key.0]);
        let [a, b, c, d, ..] = digest;
        Ok(Self { name: name.to_owned(), id: [a, b, c, d], verifying_key })
    }

    /// Reads the text form `name+hex id+base64(type, key)`.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(vkey: &str) -> Result<Self, KeyError> {
        let (name, rest) = vkey.split_once('+').ok_or(KeyError::Malformed)?;
        let (_, key) = rest.split_once('+').ok_or(KeyError::Malformed)?;
        let key = STANDARD.decode(key).map_err(|_| KeyError::Malformed)?;
        let [TYPE_ED25519, key @ ..] = key.as_slice() else { return Err(KeyError::Algorithm) };
        let key = key.try_into().map_err(|_| KeyError::Algorithm)?;
        let verifier = Self::new(name, VerifyingKey(key))?;
        // Formatting covers the id and leaves no second spelling.
        if verifier.to_string() == vkey { Ok(verifier) } else { Err(KeyError::IdMismatch) }
    }

    /// The key name; for the key of a log, its origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn is_of(&self, signature: &NoteSignature) -> bool {
        self.name == signature.name && self.id == signature.key_id
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[TYPE_ED25519], self.verifying_key.0.as_slice()].concat();
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id), STANDARD.encode(key))
    }
}

/// A signing key with its name.
#[derive(Debug)]
pub struct NoteSigner {
    verifier: NoteVerifier,
    signing_key: SigningKey,
}

impl NoteSigner {
    /// Joins a name and a key.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn new(name: &str, signing_key: SigningKey) -> Result<Self, KeyError> {
        Ok(Self { verifier: NoteVerifier::new(name, signing_key.verifying_key())?, signing_key })
    }

    /// The public half.
    #[must_use]
    pub const fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key, as claimed.
    pub name: String,
    /// Key id, as claimed.
    pub key_id: [u8; 4],
    /// The signature proper; its form depends on the type of the key.
    pub signature: Vec<u8>,
}

/// A text with signature lines that have not been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// Signs a text, which must end with a newline and have no control characters but newlines.
    ///
    /// # Panics
    /// When the text is not of that form, which is a mistake of the caller.
    #[must_use]
    pub fn sign(text: String, signer: &NoteSigner) -> Self {
        assert!(
            text.ends_with('\n') && forbidden(&text).is_none(),
            "note text must be lines of printable text"
        );
        let signature = signer.signing_key.sign(text.as_bytes()).to_vec();
        let NoteVerifier { name, id, .. } = &signer.verifier;
        Self { text, signatures: vec![NoteSignature { name: name.clone(), key_id: *id, signature }] }
    }

    /// Reads a note. The signatures are not looked at beyond their form.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { got: bytes.len() });
        }
        let note = str::from_utf8(bytes)
            .map_err(|error| NoteError::ForbiddenByte { position: error.valid_up_to() })?;
        if let Some(position) = forbidden(note) {
            return Err(NoteError::ForbiddenByte { position });
        }
        let split = note.rfind("\n\n").ok_or(NoteError::NoSignatures)?;
        let (text, lines) = (&note[..=split], &note[split + 2..]);
        if lines.is_empty() {
            return Err(NoteError::NoSignatures);
        }
        let mut signatures = Vec::new();
        for (index, line) in lines.split_inclusive('\n').enumerate() {
            if index >= SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures);
            }
            let signature = parse_signature(line).ok_or(NoteError::MalformedSignature { line: index + 1 })?;
            signatures.push(signature);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The text, **not yet verified**. Includes the final newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines, not yet verified.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Demands a valid signature by at least one of the `known` keys and no invalid one by any of them; returns the
    /// text.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] or [`NoteError::Unsigned`].
    pub fn verify(&self, known: &[&NoteVerifier]) -> Result<&str, NoteError> {
        let mut signed = false;
        for signature in &self.signatures {
            for verifier in known.iter().filter(|verifier| verifier.is_of(signature)) {
                verifier
                    .verifying_key
                    .verify(self.text.as_bytes(), &signature.signature)
                    .map_err(|_| NoteError::BadSignature { name: verifier.name.clone() })?;
                signed = true;
            }
        }
        if signed { Ok(&self.text) } else { Err(NoteError::Unsigned) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|NoteSignature { name, key_id, signature }| {
            let signature = STANDARD.encode([key_id.as_slice(), signature].concat());
            writeln!(f, "{SIGNATURE_PREFIX}{name} {signature}")
        })
    }
}

/// Position of the first control character other than newline.
fn forbidden(text: &str) -> Option<usize> {
    text.bytes().position(|byte| byte < 0x20 && byte != b'\n')
}

fn parse_signature(line: &str) -> Option<NoteSignature> {
    let line = line.strip_suffix('\n')?.strip_prefix(SIGNATURE_PREFIX)?;
    let (name, signature) = line.split_once(' ')?;
    check_name(name).ok()?;
    let signature = STANDARD.decode(signature).ok()?;
    let (key_id, signature) = signature.split_first_chunk::<4>()?;
    if signature.is_empty() {
        return None;
    }
    Some(NoteSignature { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pair that the specification publishes.
    const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const TEXT: &str = "This is an example message.\n";
    const SIGNED: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    fn signer(name: &str, seed: u8) -> NoteSigner {
        NoteSigner::new(name, SigningKey::from_seed([seed; 32])).unwrap()
    }

    #[test]
    fn pair_of_the_specification() {
        let verifier = NoteVerifier::parse(VKEY).unwrap();
        assert_eq!((verifier.to_string().as_str(), verifier.name()), (VKEY, "example.com/foo"));
        let note = Note::parse(SIGNED.as_bytes()).unwrap();
        assert_eq!(note.verify(&[&verifier]), Ok(TEXT));
        assert_eq!(note.to_string(), SIGNED);
    }

    #[test]
    fn malformed_keys_are_refused() {
        for (vkey, error) in [
            ("example.com/foo", KeyError::Malformed),
            ("example.com/foo+530d903a", KeyError::Malformed),
            ("example.com/foo+530d903a+A", KeyError::Malformed),
            ("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2l", KeyError::IdMismatch),
            ("example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", KeyError::IdMismatch),
            ("example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", KeyError::IdMismatch),
            ("example.com/foo+530d903a+BOkyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", KeyError::Algorithm),
            ("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U0=", KeyError::Algorithm),
            ("+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", KeyError::Name),
            ("a\u{a0}b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", KeyError::Name),
        ] {
            assert_eq!(NoteVerifier::parse(vkey), Err(error), "{vkey}");
        }
    }

    #[test]
    fn malformed_notes_are_refused() {
        let sig = SIGNED.split_once("\n\n").unwrap().1;
        for (note, error) in [
            (String::new(), NoteError::NoSignatures),
            (TEXT.to_owned(), NoteError::NoSignatures),
            (format!("{TEXT}\n"), NoteError::NoSignatures),
            (format!("{TEXT}\n{}", sig.trim_end()), NoteError::MalformedSignature { line: 1 }),
            (format!("{TEXT}\n{sig}x"), NoteError::MalformedSignature { line: 2 }),
            (format!("{TEXT}\n{}", sig.replace('\u{2014}', "-")), NoteError::MalformedSignature { line: 1 }),
            (format!("{TEXT}\n{}", sig.replace("M=", "N=")), NoteError::MalformedSignature { line: 1 }),
            (format!("{TEXT}\n{}", sig.replace('=', "")), NoteError::MalformedSignature { line: 1 }),
            (format!("{TEXT}\n\u{2014} foo Uw2QOg==\n"), NoteError::MalformedSignature { line: 1 }),
            (format!("{TEXT}\n\u{2014} a+b Uw2QOko=\n"), NoteError::MalformedSignature { line: 1 }),
            (format!("a\tb\n\n{sig}"), NoteError::ForbiddenByte { position: 1 }),
            (format!("{TEXT}\n{}", sig.repeat(101)), NoteError::TooManySignatures),
            ("x".repeat(NOTE_BYTES_MAX + 1), NoteError::TooLong { got: NOTE_BYTES_MAX + 1 }),
        ] {
            assert_eq!(Note::parse(note.as_bytes()), Err(error), "{note:.60}");
        }
        assert_eq!(Note::parse(b"ab\xff\n\n"), Err(NoteError::ForbiddenByte { position: 2 }));
        assert!(Note::parse(format!("{TEXT}\n{}", sig.repeat(100)).as_bytes()).is_ok());
    }

    #[test]
    fn blank_lines_belong_to_the_text() {
        let note = Note::sign("one\n\ntwo\n".to_owned(), &signer("n", 1));
        let read = Note::parse(note.to_string().as_bytes()).unwrap();
        assert_eq!(read.verify(&[signer("n", 1).verifier()]), Ok("one\n\ntwo\n"));
    }

    #[test]
    fn unknown_keys_are_ignored_and_known_ones_must_verify() {
        let (alice, bob) = (signer("alice", 1), signer("bob", 2));
        let text = "text\n".to_owned();
        let mut note = Note::sign(text.clone(), &alice);
        note.signatures.extend(Note::sign(text.clone(), &bob).signatures);
        for known in [vec![alice.verifier()], vec![bob.verifier()], vec![bob.verifier(), alice.verifier()]] {
            assert_eq!(note.verify(&known), Ok("text\n"));
        }
        assert_eq!(note.verify(&[signer("carol", 1).verifier()]), Err(NoteError::Unsigned));
        assert_eq!(note.verify(&[signer("alice", 3).verifier()]), Err(NoteError::Unsigned));
        assert_eq!(note.verify(&[]), Err(NoteError::Unsigned));
        note.signatures[1].signature[0] ^= 1;
        assert_eq!(note.verify(&[alice.verifier()]), Ok("text\n"));
        let bad = Err(NoteError::BadSignature { name: "bob".to_owned() });
        assert_eq!(note.verify(&[alice.verifier(), bob.verifier()]), bad);
    }

    #[test]
    #[should_panic = "lines of printable text"]
    fn text_without_final_newline_is_a_mistake() {
        drop(Note::sign("text".to_owned(), &signer("a", 1)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(note) = Note::parse(&bytes) {
                prop_assert_eq!(note.to_string().into_bytes(), bytes);
            }
        }

        #[test]
        fn a_flipped_bit_is_never_accepted(position in 0..SIGNED.len(), bit in 0..8) {
            let mut bytes = SIGNED.as_bytes().to_vec();
            bytes[position] ^= 1_u8 << bit;
            let verifier = NoteVerifier::parse(VKEY).unwrap();
            prop_assert!(Note::parse(&bytes).and_then(|note| note.verify(&[&verifier]).map(str::to_owned)).is_err());
        }

        #[test]
        fn any_text_is_a_key_or_not(vkey in "[a-z+]{0,8}\\+?[0-9a-f]{0,8}\\+?[A-Za-z0-9+/=]{0,48}") {
            if let Ok(verifier) = NoteVerifier::parse(&vkey) {
                prop_assert_eq!(verifier.to_string(), vkey);
            }
        }
    }
}
