//! Accounts that run somebody else's code (EIP-7702).
//!
//! Whoever signs an authorization lets another account's code act in its name, with all it holds. **The delegation stays
//! even if the transaction that carries it fails**, and one signed for chain 0 can be carried to every chain.
//!
//! A [`Delegation`] says what was signed. Whether it took effect (the nonce was right, the account had no other code)
//! only the account's code tells: [`delegate_of_code`].

use sha3::{Digest, Keccak256};

use super::{Account, Authorization, rlp};
use crate::u256::U256;

/// First byte of what is signed (EIP-7702, `MAGIC`).
const MAGIC: u8 = 0x05;
/// What the code of a delegated account begins with.
const DESIGNATOR: [u8; 3] = [0xef, 0x01, 0x00];
/// Half of the order of secp256k1: a larger `s` is the same signature written the other way, which EIP-2 forbids.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d,
    0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// A signed authorization that a transaction carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delegation {
    /// The transaction.
    pub transaction: [u8; 32],
    /// The transaction's place in the block.
    pub transaction_index: u64,
    /// Its place among the transaction's authorizations.
    pub index: u64,
    /// The account that runs other code from now on: who signed.
    pub authority: Account,
    /// Whose code; the zero account ends a delegation.
    pub delegate: Account,
    /// Whether it was signed for every chain: whoever sees it can carry it to the others.
    pub is_for_every_chain: bool,
    /// The nonce the signer must have had.
    pub nonce: u64,
}

/// The account whose code an account runs, if its code says so.
#[must_use]
pub fn delegate_of_code(code: &[u8]) -> Option<Account> {
    let account = code.strip_prefix(&DESIGNATOR)?;
    Some(Account(account.try_into().ok()?))
}

impl Authorization {
    /// Whose it is; `None` when the signature is nobody's or it is for another chain, so that it has no effect here.
    #[must_use]
    pub fn authority(&self, chain_id: u64) -> Option<Account> {
        let for_us = self.chain_id.is_zero() || self.chain_id == U256::from(chain_id);
        if !for_us || self.nonce == u64::MAX || self.s > U256::from_be_bytes(HALF_ORDER) {
            return None;
        }
        let mut items = Vec::with_capacity(64);
        rlp::integer(&mut items, &self.chain_id.to_be_bytes());
        rlp::bytes(&mut items, &self.delegate.0);
        rlp::number(&mut items, self.nonce);
        let mut signed = vec![MAGIC];
        rlp::list(&mut signed, &items);
        let digest: [u8; 32] = Keccak256::digest(signed).into();
        let parity = match self.y_parity {
            0 => false,
            1 => true,
            _ => return None,
        };
        let key = crypto::secp256k1_recover(&digest, &self.r.to_be_bytes(), &self.s.to_be_bytes(), parity)?;
        let hash: [u8; 32] = Keccak256::digest(key).into();
        let (_, account) = hash.split_last_chunk::<20>()?;
        Some(Account(*account))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn designators() {
        let mut code = vec![0xef, 0x01, 0x00];
        code.extend([7; 20]);
        assert_eq!(delegate_of_code(&code), Some(Account([7; 20])));
        code.push(0);
        assert_eq!(delegate_of_code(&code), None);
        assert_eq!(delegate_of_code(&code[..22]), None);
        assert_eq!(delegate_of_code(&[]), None);
        assert_eq!(delegate_of_code(&[0x60; 23]), None);
    }

    /// Signed by the second of the accounts that development nodes derive from their well-known phrase.
    fn recorded() -> Authorization {
        Authorization {
            chain_id: U256::from(31_337u64),
            delegate: Account(std::array::from_fn(|idx| {
                u8::from_str_radix(&"5fbdb2315678afecb367f032d93f642f64180aa3"[2 * idx..2 * idx + 2], 16)
                    .unwrap()
            })),
            nonce: 0,
            y_parity: 0,
            r: U256::from_hex("a17b68dcbf7db8bafb45cbcbeb61316aa330f045e43425e1db41e6c794c2e64").unwrap(),
            s: U256::from_hex("1a7f46131075975b44ae67f3bc968a9bce64f257b24571d945bb9026812c114e").unwrap(),
        }
    }

    #[test]
    fn the_signer_of_a_recorded_authorization() {
        let signer = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
        assert_eq!(recorded().authority(31_337).unwrap().to_string(), signer);
        assert_eq!(recorded().authority(1), None, "signed for another chain");
    }

    #[test]
    fn signatures_without_effect_are_nobodys() {
        let other_nonce = Authorization { nonce: 1, ..recorded() };
        assert_ne!(other_nonce.authority(31_337), recorded().authority(31_337));
        for broken in [
            Authorization { nonce: u64::MAX, ..recorded() },
            Authorization { y_parity: 2, ..recorded() },
            Authorization { r: U256::ZERO, ..recorded() },
            Authorization { s: U256::ZERO, ..recorded() },
            Authorization { s: U256::MAX, ..recorded() },
            // The other form of the same signature.
            Authorization {
                s: U256::from_hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
                    .unwrap()
                    .checked_sub(recorded().s)
                    .unwrap(),
                y_parity: 1,
                ..recorded()
            },
        ] {
            assert_eq!(broken.authority(31_337), None, "{broken:?}");
        }
    }
}
