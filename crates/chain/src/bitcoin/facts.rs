//! What moved in a block.

use domain::{Address, AddressKind};

use super::{Block, OutPoint, Output};
use crate::headers::Header;

/// An output that an input spends, as the node says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prevout {
    /// Satoshi.
    pub value: u64,
    /// What had to be shown.
    pub script: Vec<u8>,
}

/// What an input took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Which output.
    pub spends: OutPoint,
    /// Satoshi.
    pub value: u64,
    /// Whose it was, where its script is of a form that has an address.
    pub address: Option<Address>,
}

/// What an output gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paid {
    /// Satoshi.
    pub value: u64,
    /// To whom, where its script is of a form that has an address.
    pub address: Option<Address>,
}

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Its id.
    pub transaction: [u8; 32],
    /// What it took; nothing where it makes new coins.
    pub inputs: Vec<Spent>,
    /// What it gave, by number of the output.
    pub outputs: Vec<Paid>,
}

/// What happened in one block. All of it stands and falls with the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The block.
    pub header: Header,
    /// In order.
    pub transactions: Vec<Moved>,
}

/// Derives what happened, given what the inputs spend: for each transaction in order, for each input in order; none for the
/// transaction that makes new coins.
///
/// # Errors
/// The transaction, from 0, for which the given outputs do not fit: too few or many, or it would pay out more than it takes.
pub fn facts(block: &Block, height: u64, prevouts: Vec<Vec<Prevout>>) -> Result<Facts, usize> {
    let mut transactions = Vec::with_capacity(block.transactions().len());
    if prevouts.len() != block.transactions().len() {
        return Err(prevouts.len().min(block.transactions().len()));
    }
    for ((index, transaction), prevouts) in block.transactions().iter().enumerate().zip(prevouts) {
        let expected = if transaction.is_coinbase() { 0 } else { transaction.inputs.len() };
        if prevouts.len() != expected {
            return Err(index);
        }
        let inputs: Vec<Spent> = transaction
            .inputs
            .iter()
            .zip(prevouts)
            .map(|(input, prevout)| Spent {
                spends: input.spends,
                value: prevout.value,
                address: address_of(&prevout.script),
            })
            .collect();
        let outputs: Vec<Paid> = transaction
            .outputs
            .iter()
            .map(|Output { value, script }| Paid { value: *value, address: address_of(script) })
            .collect();
        let taken: u128 = inputs.iter().map(|input| u128::from(input.value)).sum();
        let given: u128 = outputs.iter().map(|output| u128::from(output.value)).sum();
        if expected > 0 && given > taken {
            return Err(index);
        }
        transactions.push(Moved { transaction: transaction.id, inputs, outputs });
    }
    Ok(Facts { header: block.header().link(height), transactions })
}

/// The address a script pays to, where it has one of the standard forms: P2PKH, P2SH, and witness programs (BIP 141).
pub(super) fn address_of(script: &[u8]) -> Option<Address> {
    match script {
        [0x76, 0xa9, 20, hash @ .., 0x88, 0xac] if hash.len() == 20 => {
            Address::new(AddressKind::BitcoinP2pkh, hash)
        }
        [0xa9, 20, hash @ .., 0x87] if hash.len() == 20 => Address::new(AddressKind::BitcoinP2sh, hash),
        [version @ (0 | 0x51..=0x60), len, program @ ..] if usize::from(*len) == program.len() => {
            let version = if *version == 0 { 0 } else { *version - 0x50 };
            Address::new(AddressKind::BitcoinWitness { version }, program)
        }
        _ => None,
    }
}
