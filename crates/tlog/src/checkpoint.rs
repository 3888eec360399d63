//! Checkpoints (C2SP tlog-checkpoint): the signed statement "the log of this origin has this many leaves and this root".
//!
//! Stricter than the format allows, because these are our own: no extension lines, and the key is named like the
//! origin.

use crate::{
    hash::{Hash, empty_root},
    note::{Note, NoteError, NoteSigner, NoteVerifier},
    tile::TREE_SIZE_MAX,
};

/// Path of the checkpoint below the log's prefix.
pub const CHECKPOINT_PATH: &str = "checkpoint";

/// Why bytes are not a checkpoint to believe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The root is not base64 of 32 bytes, or the size is 0 and the root is not the hash of nothing.
    #[error("checkpoint has no valid root hash in line 3")]
    MalformedRoot,
    /// The size is not a decimal number without leading zeroes, or larger than any log.
    #[error("checkpoint has no valid tree size in line 2")]
    MalformedSize,
    /// Not the three lines origin, size and root.
    #[error("checkpoint has {got} lines, 3 expected")]
    MalformedText {
        /// Number of lines.
        got: usize,
    },
    /// The form or the signatures are at fault.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// It speaks of another log.
    #[error("checkpoint is of origin {got:?}, {expected:?} expected")]
    WrongOrigin {
        /// Origin expected.
        expected: String,
        /// Origin found.
        got: String,
    },
}

/// What a log commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Identity of the log: also the name of its key.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// Reads a signed checkpoint of the log whose key is `verifier`.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(bytes: &[u8], verifier: &NoteVerifier) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Self::parse(note.verify(&[verifier])?)?;
        if checkpoint.origin != verifier.name() {
            return Err(CheckpointError::WrongOrigin {
                expected: verifier.name().to_owned(),
                got: checkpoint.origin,
            });
        }
        Ok(checkpoint)
    }

    /// Signs "the log of this key has `size` leaves and this root".
    #[must_use]
    pub fn sign(size: u64, root: Hash, signer: &NoteSigner) -> String {
        let checkpoint = Self { origin: signer.verifier().name().to_owned(), size, root };
        Note::sign(checkpoint.to_text(), signer).to_string()
    }

    /// The text that is signed: three lines.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    /// Reads the text of a verified note.
    ///
    /// # Errors
    /// [`CheckpointError`], neither about the note nor about the origin.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<_> = text.split('\n').collect();
        let [origin, size_text, root, ""] = lines.as_slice() else {
            return Err(CheckpointError::MalformedText { got: lines.len().saturating_sub(1) });
        };
        if origin.is_empty() {
            return Err(CheckpointError::MalformedText { got: 0 });
        }
        let size = parse_decimal(size_text).filter(|size| *size <= TREE_SIZE_MAX);
        let size = size.ok_or(CheckpointError::MalformedSize)?;
        let root = Hash::from_base64(root).ok_or(CheckpointError::MalformedRoot)?;
        if size == 0 && root != empty_root() {
            return Err(CheckpointError::MalformedRoot);
        }
        Ok(Self { origin: (*origin).to_owned(), size, root })
    }
}

/// A decimal number in its one spelling: digits only, no leading zeroes.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use crypto::SigningKey;
    use proptest::prelude::*;

    use super::*;
    use crate::hash::leaf_hash;

    fn signer(origin: &str) -> NoteSigner {
        NoteSigner::new(origin, SigningKey::from_seed([1; 32])).unwrap()
    }

    #[test]
    fn signed_and_opened() {
        let signer = signer("log.example");
        let text = Checkpoint::sign(3, leaf_hash(b"x"), &signer);
        let opened = Checkpoint::open(text.as_bytes(), signer.verifier()).unwrap();
        assert_eq!(opened, Checkpoint { origin: "log.example".to_owned(), size: 3, root: leaf_hash(b"x") });
        assert!(text.starts_with("log.example\n3\n"));
    }

    #[test]
    fn checkpoint_of_another_log_is_refused() {
        let signer = signer("log.example");
        let other = Checkpoint { origin: "log.other".to_owned(), size: 3, root: leaf_hash(b"x") };
        let note = Note::sign(other.to_text(), &signer).to_string();
        assert_eq!(
            Checkpoint::open(note.as_bytes(), signer.verifier()),
            Err(CheckpointError::WrongOrigin { expected: "log.example".into(), got: "log.other".into() })
        );
    }

    #[test]
    fn malformed_texts_are_refused() {
        let root = leaf_hash(b"x").to_base64();
        let empty = empty_root().to_base64();
        for (text, error) in [
            (String::new(), CheckpointError::MalformedText { got: 0 }),
            ("log\n3\n".to_owned(), CheckpointError::MalformedText { got: 2 }),
            (format!("log\n3\n{root}"), CheckpointError::MalformedText { got: 2 }),
            (format!("log\n3\n{root}\nextension\n"), CheckpointError::MalformedText { got: 4 }),
            (format!("\n3\n{root}\n"), CheckpointError::MalformedText { got: 0 }),
            (format!("log\n03\n{root}\n"), CheckpointError::MalformedSize),
            (format!("log\n+3\n{root}\n"), CheckpointError::MalformedSize),
            (format!("log\n-3\n{root}\n"), CheckpointError::MalformedSize),
            (format!("log\n\n{root}\n"), CheckpointError::MalformedSize),
            (format!("log\n9223372036854775808\n{root}\n"), CheckpointError::MalformedSize),
            (format!("log\n99999999999999999999\n{root}\n"), CheckpointError::MalformedSize),
            (format!("log\n3\n{}\n", &root[1..]), CheckpointError::MalformedRoot),
            (format!("log\n0\n{root}\n"), CheckpointError::MalformedRoot),
        ] {
            assert_eq!(Checkpoint::parse(&text), Err(error), "{text:?}");
        }
        assert_eq!(Checkpoint::parse(&format!("log\n0\n{empty}\n")).unwrap().size, 0);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "[a-z]{0,3}\n?[0-9+-]{0,4}\n?[A-Za-z0-9+/=]{0,45}\n{0,2}") {
            if let Ok(checkpoint) = Checkpoint::parse(&text) {
                prop_assert_eq!(checkpoint.to_text(), text);
            }
        }

        #[test]
        fn a_flipped_bit_is_never_accepted(size in 1_u64..1_000_000, position: prop::sample::Index, bit in 0..8) {
            let signer = signer("log.example");
            let mut bytes = Checkpoint::sign(size, leaf_hash(b"x"), &signer).into_bytes();
            let position = position.index(bytes.len());
            bytes[position] ^= 1_u8 << bit;
            prop_assert!(Checkpoint::open(&bytes, signer.verifier()).is_err());
        }
    }
}
