//! Receipts (C2SP tlog-proof): everything needed to check offline that one entry is in the log.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    checkpoint::{Checkpoint, CheckpointError, parse_decimal},
    hash::Hash,
    note::{NOTE_BYTES_MAX, NoteVerifier},
    proof::{INCLUSION_HASHES_MAX, ProofError, verify_inclusion},
};

/// First line of a receipt.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Longest receipt, in bytes: the checkpoint, and as much again for all other lines.
pub const RECEIPT_BYTES_MAX: usize = 2 * NOTE_BYTES_MAX;

/// Why a text is not a receipt, or proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The checkpoint in it is not to be believed.
    #[error("receipt has no valid checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// A line above the checkpoint is not of the form.
    #[error("line {line} of the receipt is malformed")]
    Malformed {
        /// One-based.
        line: usize,
    },
    /// The entry is not in the log at that place.
    #[error("receipt does not prove the entry")]
    Proof(#[from] ProofError),
    /// More than [`RECEIPT_BYTES_MAX`].
    #[error("receipt is {got} bytes long, at most {RECEIPT_BYTES_MAX} are accepted")]
    TooLong {
        /// Length, in bytes.
        got: usize,
    },
}

/// A receipt that has not been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Unauthenticated bytes for the application; never trust them by themselves.
    pub extra: Option<Vec<u8>>,
    /// Zero-based index of the entry in the log.
    pub index: u64,
    /// From the leaf's sibling up to the root's child.
    pub proof: Vec<Hash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

impl Receipt {
    /// Reads a receipt; only its form is checked.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`] or [`ReceiptError::TooLong`].
    pub fn parse(text: &str) -> Result<Self, ReceiptError> {
        if text.len() > RECEIPT_BYTES_MAX {
            return Err(ReceiptError::TooLong { got: text.len() });
        }
        let cut_short = ReceiptError::Malformed { line: text.split('\n').count() };
        let (head, checkpoint) = text.split_once("\n\n").ok_or(cut_short.clone())?;
        let mut lines = (1..).zip(head.split('\n')).peekable();
        let malformed = |line| ReceiptError::Malformed { line };
        lines.next_if(|(_, line)| *line == HEADER).ok_or(malformed(1))?;
        let mut extra = None;
        if let Some((number, value)) =
            lines.peek().and_then(|(n, line)| Some((*n, line.strip_prefix("extra ")?)))
        {
            extra = Some(STANDARD.decode(value).map_err(|_| malformed(number))?);
            lines.next();
        }
        let (number, line) = lines.next().ok_or(cut_short)?;
        let index = line.strip_prefix("index ").and_then(parse_decimal).ok_or(malformed(number))?;
        let mut proof = Vec::new();
        for (number, line) in lines {
            let hash = Hash::from_base64(line).filter(|_| proof.len() < INCLUSION_HASHES_MAX);
            proof.push(hash.ok_or(malformed(number))?);
        }
        Ok(Self { extra, index, proof, checkpoint: checkpoint.to_owned() })
    }

    /// Verifies that the entry whose leaf hash is `leaf` is in the log of `verifier`, and returns the checkpoint that
    /// says so. The leaf hash must be computed from the entry itself.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn verify(&self, leaf: Hash, verifier: &NoteVerifier) -> Result<Checkpoint, ReceiptError> {
        let checkpoint = Checkpoint::open(self.checkpoint.as_bytes(), verifier)?;
        verify_inclusion(self.index, checkpoint.size, leaf, &self.proof, checkpoint.root)?;
        Ok(checkpoint)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use crypto::SigningKey;
    use proptest::prelude::*;

    use super::*;
    use crate::{note::NoteSigner, oracle};

    fn signer() -> NoteSigner {
        NoteSigner::new("log.example", SigningKey::from_seed([1; 32])).unwrap()
    }

    fn receipt(index: usize, size: usize) -> Receipt {
        let leaves = oracle::leaves(size);
        Receipt {
            extra: None,
            index: index as u64,
            proof: oracle::path(index, &leaves),
            checkpoint: Checkpoint::sign(size as u64, oracle::root(&leaves), &signer()),
        }
    }

    #[test]
    fn proves_its_entry_and_no_other() {
        let (receipt, leaves) = (receipt(3, 7), oracle::leaves(7));
        let signer = signer();
        assert_eq!(receipt.verify(leaves[3], signer.verifier()).unwrap().size, 7);
        assert_eq!(
            receipt.verify(leaves[4], signer.verifier()),
            Err(ReceiptError::Proof(ProofError::RootMismatch))
        );
        let stranger = NoteSigner::new("log.example", SigningKey::from_seed([2; 32])).unwrap();
        assert!(matches!(receipt.verify(leaves[3], stranger.verifier()), Err(ReceiptError::Checkpoint(_))));
    }

    #[test]
    fn form() {
        let text = receipt(1, 2).to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..2], [HEADER, "index 1"]);
        assert_eq!((lines[3], lines[4]), ("", "log.example"));
        let with_extra = Receipt { extra: Some(b"note".to_vec()), ..receipt(0, 1) };
        assert_eq!(with_extra.to_string().lines().nth(1), Some("extra bm90ZQ=="));
        assert_eq!(Receipt::parse(&with_extra.to_string()), Ok(with_extra));
        assert_eq!(Receipt::parse(""), Err(ReceiptError::Malformed { line: 1 }));
        assert_eq!(Receipt::parse(HEADER), Err(ReceiptError::Malformed { line: 1 }));
        assert_eq!(Receipt::parse(&format!("{HEADER}\n\n")), Err(ReceiptError::Malformed { line: 3 }));
        assert_eq!(Receipt::parse(&text.replace("@v1", "@v2")), Err(ReceiptError::Malformed { line: 1 }));
        assert_eq!(
            Receipt::parse(&text.replace("index 1", "index 01")),
            Err(ReceiptError::Malformed { line: 2 })
        );
        assert_eq!(
            Receipt::parse(&text.replace("index 1\n", "index 1\nx\n")),
            Err(ReceiptError::Malformed { line: 3 })
        );
        let long = Receipt { proof: vec![oracle::leaves(1)[0]; 64], ..receipt(1, 2) };
        assert_eq!(Receipt::parse(&long.to_string()), Err(ReceiptError::Malformed { line: 66 }));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "(c2sp.org/tlog-proof@v1\n)?(extra [A-Za-z=]{0,5}\n)?(index [0-9]{1,3}\n)?[A-Za-z0-9+/=\n]{0,60}") {
            if let Ok(receipt) = Receipt::parse(&text) {
                prop_assert_eq!(receipt.to_string(), text);
            }
        }

        #[test]
        fn a_flipped_bit_is_never_accepted(size in 1_usize..300, pick: prop::sample::Index, position: prop::sample::Index, bit in 0..8) {
            let index = pick.index(size);
            let leaf = oracle::leaves(size)[index];
            let mut bytes = receipt(index, size).to_string().into_bytes();
            let position = position.index(bytes.len());
            bytes[position] ^= 1_u8 << bit;
            if let Ok(text) = String::from_utf8(bytes)
                && let Ok(receipt) = Receipt::parse(&text)
            {
                prop_assert!(receipt.verify(leaf, signer().verifier()).is_err());
            }
        }
    }
}
