//! What contracts say in logs, in the words of [`intent::Act`]. Decoded by exact shape; the rest is nobody's guess.

use chain::{evm::Account, u256::U256};
use intent::{
    Act, PERMIT2,
    effect::{Grant, Quantity},
};

/// Transfer(address,address,uint256).
const TRANSFER: [u8; 32] = hex32("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// Approval(address,address,uint256).
const APPROVAL: [u8; 32] = hex32("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925");
/// ApprovalForAll(address,address,bool).
const APPROVAL_FOR_ALL: [u8; 32] = hex32("17307eab39ab6107e8899845ad3d59bd9653f200f220920489ca2b5937696c31");
/// TransferSingle(address,address,address,uint256,uint256).
const TRANSFER_SINGLE: [u8; 32] = hex32("c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62");
/// TransferBatch(address,address,address,uint256[],uint256[]).
const TRANSFER_BATCH: [u8; 32] = hex32("4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb");
/// OwnershipTransferred(address,address).
const OWNERSHIP: [u8; 32] = hex32("8be0079c531659141344cd1fd0a4f28419497f9722a3daafe3b4186f6b6457e0");
/// RoleGranted(bytes32,address,address).
const ROLE_GRANTED: [u8; 32] = hex32("2f8788117e7eff1d82e926ec794901d17c78024a50270940304540a733656f0d");
/// RoleRevoked(bytes32,address,address).
const ROLE_REVOKED: [u8; 32] = hex32("f6391f5c32d9c69d2a47ea670b442974b53935d1edc7fd64eb21e047a839171b");
/// Permit2: Approval(address,address,address,uint160,uint48).
const PERMIT2_APPROVAL: [u8; 32] = hex32("da9fa7c1b00402c17d0161b249b1ab8bbec047c5a52207b9c112deffd817036b");
/// Permit2: Permit(address,address,address,uint160,uint48,uint48).
const PERMIT2_PERMIT: [u8; 32] = hex32("c6a377bfc4eb120024a8ac08eef205be16b817020812c73223e81d1bdb9708ec");

/// Hexadecimal digits as bytes, at compile time.
pub(crate) const fn hex32(digits: &str) -> [u8; 32] {
    let digits = digits.as_bytes();
    let mut out = [0; 32];
    let mut idx = 0;
    while idx < 32 {
        out[idx] = nibble(digits[2 * idx]) * 16 + nibble(digits[2 * idx + 1]);
        idx += 1;
    }
    out
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => panic!("not a digit"),
    }
}

/// An account in a word: twelve zero bytes before it.
pub(crate) fn account(word: &[u8; 32]) -> Option<Account> {
    let (before, account) = word.split_last_chunk::<20>()?;
    before.iter().all(|byte| *byte == 0).then_some(Account(*account))
}

/// The words of some data; `None` unless it consists of words.
fn words(data: &[u8]) -> Option<Vec<[u8; 32]>> {
    let (words, rest) = data.as_chunks::<32>();
    rest.is_empty().then(|| words.to_vec())
}

/// What a log says, if it is one of those known here.
pub(crate) fn acts(emitter: Account, topics: &[[u8; 32]], data: &[u8]) -> Vec<Act> {
    read(emitter, topics, data).unwrap_or_default()
}

fn read(token: Account, topics: &[[u8; 32]], data: &[u8]) -> Option<Vec<Act>> {
    let integer = |word: &[u8; 32]| U256::from_be_bytes(*word);
    let words = words(data)?;
    let act = match (topics, &words[..]) {
        ([TRANSFER, from, to], [amount]) => Act::TokenTransfer {
            token,
            from: Some(account(from)?),
            to: account(to)?,
            quantity: Quantity::Amount(integer(amount)),
        },
        ([TRANSFER, from, to, id], []) => Act::TokenTransfer {
            token,
            from: Some(account(from)?),
            to: account(to)?,
            quantity: Quantity::Id(integer(id)),
        },
        ([TRANSFER_SINGLE, _operator, from, to], [id, amount]) => Act::TokenTransfer {
            token,
            from: Some(account(from)?),
            to: account(to)?,
            quantity: Quantity::OfKind { id: integer(id), amount: integer(amount) },
        },
        ([TRANSFER_BATCH, _operator, from, to], _) => return batch(token, from, to, &words),
        ([APPROVAL, owner, spender], [amount]) => Act::Allowance {
            token,
            owner: Some(account(owner)?),
            spender: account(spender)?,
            grant: Grant::Set,
            amount: integer(amount),
            until_s: None,
        },
        // One token of a collection; the zero account takes it back.
        ([APPROVAL, owner, spender, id], []) => {
            let spender = account(spender)?;
            Act::Allowance {
                token,
                owner: Some(account(owner)?),
                spender,
                grant: Grant::Set,
                amount: if spender == Account::ZERO { U256::ZERO } else { integer(id) },
                until_s: None,
            }
        }
        ([APPROVAL_FOR_ALL, owner, operator], [allowed]) => Act::OperatorApproval {
            token,
            owner: Some(account(owner)?),
            operator: account(operator)?,
            allowed: integer(allowed) != U256::ZERO,
        },
        ([PERMIT2_APPROVAL | PERMIT2_PERMIT, owner, of, spender], [amount, until, ..])
            if token == PERMIT2 =>
        {
            Act::Allowance {
                token: account(of)?,
                owner: Some(account(owner)?),
                spender: account(spender)?,
                grant: Grant::Set,
                amount: integer(amount),
                until_s: Some(integer(until)),
            }
        }
        ([OWNERSHIP, _before, owner], []) => Act::Ownership { contract: token, owner: account(owner)? },
        ([ROLE_GRANTED, role, to, _by], []) => {
            Act::Role { contract: token, role: *role, account: account(to)?, granted: true }
        }
        ([ROLE_REVOKED, role, to, _by], []) => {
            Act::Role { contract: token, role: *role, account: account(to)?, granted: false }
        }
        _ => return None,
    };
    Some(vec![act])
}

/// Two lists of words in ABI form, as every contract writes them.
fn batch(token: Account, from: &[u8; 32], to: &[u8; 32], words: &[[u8; 32]]) -> Option<Vec<Act>> {
    let size = |word: &[u8; 32]| usize::try_from(U256::from_be_bytes(*word).to_u64()?).ok();
    let list = |at: usize| {
        let at = size(words.get(at)?)?;
        if !at.is_multiple_of(32) {
            return None;
        }
        let count = size(words.get(at / 32)?)?;
        let start = at / 32 + 1;
        words.get(start..start.checked_add(count)?)
    };
    let (ids, amounts) = (list(0)?, list(1)?);
    if ids.len() != amounts.len() {
        return None;
    }
    let (from, to) = (account(from)?, account(to)?);
    let act = |(id, amount): (&[u8; 32], &[u8; 32])| Act::TokenTransfer {
        token,
        from: Some(from),
        to,
        quantity: Quantity::OfKind { id: U256::from_be_bytes(*id), amount: U256::from_be_bytes(*amount) },
    };
    Some(ids.iter().zip(amounts).map(act).collect())
}

#[cfg(test)]
mod tests {
    use sha3::{Digest as _, Keccak256};

    use super::*;

    #[test]
    fn topics_are_those_of_their_signatures() {
        for (topic, signature) in [
            (TRANSFER, "Transfer(address,address,uint256)"),
            (APPROVAL, "Approval(address,address,uint256)"),
            (APPROVAL_FOR_ALL, "ApprovalForAll(address,address,bool)"),
            (TRANSFER_SINGLE, "TransferSingle(address,address,address,uint256,uint256)"),
            (TRANSFER_BATCH, "TransferBatch(address,address,address,uint256[],uint256[])"),
            (OWNERSHIP, "OwnershipTransferred(address,address)"),
            (ROLE_GRANTED, "RoleGranted(bytes32,address,address)"),
            (ROLE_REVOKED, "RoleRevoked(bytes32,address,address)"),
            (PERMIT2_APPROVAL, "Approval(address,address,address,uint160,uint48)"),
            (PERMIT2_PERMIT, "Permit(address,address,address,uint160,uint48,uint48)"),
        ] {
            assert_eq!(topic[..], Keccak256::digest(signature)[..], "{signature}");
        }
    }
}
