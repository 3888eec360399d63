//! Recorded transactions as flows: history from before a follower began.

use std::io::BufRead;

use domain::Address;

use super::{
    Flows, LogError,
    block::{BlockFlows, Call, Party},
};
use crate::{
    replay::{Item, Parties, Stream},
    table::TableError,
};

/// Blocks taken in between two times that they are made durable.
const FLUSH_EVERY_BLOCKS: u64 = 4_096;

/// What was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loaded {
    /// Blocks with something in them.
    pub blocks: u64,
    /// Transactions.
    pub transactions: u64,
    /// Transfers of genuine tokens.
    pub token_transfers: u64,
    /// Transfers of other tokens, which count for nothing.
    pub other_tokens: u64,
    /// Height of the first block.
    pub first: Option<u64>,
    /// Height of the last block.
    pub last: Option<u64>,
}

/// Why a recording was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It begins before what is known ends.
    #[error(
        "the recording begins at block {first}, but blocks up to {tip} are known: history is loaded before what follows it"
    )]
    Behind {
        /// Its first block.
        first: u64,
        /// The newest known block.
        tip: u64,
    },
    /// The log could not be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The table.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// Takes a whole recording in, and makes it durable. After an error, blocks up to some point are taken in.
///
/// # Errors
/// [`LoadError`].
pub fn load<R: BufRead>(flows: &Flows, stream: &mut Stream<R>) -> Result<Loaded, LoadError> {
    let mut loaded = Loaded::default();
    let mut block = BlockFlows::default();
    let mut is_open = false;
    let finish = |block: &mut BlockFlows, loaded: &mut Loaded| -> Result<(), LoadError> {
        flows.take(block);
        loaded.blocks += 1;
        if loaded.blocks.is_multiple_of(FLUSH_EVERY_BLOCKS) || flows.is_full() {
            flows.flush()?;
        }
        *block = BlockFlows::default();
        Ok(())
    };
    while let Some(item) = stream.advance()? {
        let (height, time) = match &item {
            Item::Transaction(transaction) => (transaction.block, transaction.at),
            Item::Token(token) => (token.block, token.at),
        };
        if !is_open || block.height != height {
            if is_open {
                finish(&mut block, &mut loaded)?;
            } else if let Some((tip, _)) = flows.tip().filter(|(tip, _)| *tip >= height) {
                return Err(LoadError::Behind { first: height, tip });
            }
            is_open = true;
            (block.height, block.time_s) = (height, time.as_secs());
            loaded.first.get_or_insert(height);
            loaded.last = Some(height);
        }
        add(&mut block, &item, &stream.parties, flows.tokens(), &mut loaded);
    }
    if is_open {
        finish(&mut block, &mut loaded)?;
    }
    flows.flush()?;
    Ok(loaded)
}

fn add(block: &mut BlockFlows, item: &Item, parties: &Parties, tokens: &[Address], loaded: &mut Loaded) {
    let address = |party| parties.address(party);
    // A table names no transaction.
    let name = [0; 32];
    match item {
        Item::Transaction(transaction) => {
            loaded.transactions += 1;
            // An allocation of the first block comes from nobody and is no transaction.
            let to = transaction
                .to
                .or(transaction.created)
                .and_then(address)
                .map_or(Party::Nobody, Party::Address);
            let call = Call {
                gas_used: transaction.gas_used,
                failed: transaction.failed,
                creates: transaction.to.is_none(),
                input_bytes: u32::try_from(transaction.input_bytes).unwrap_or(u32::MAX),
                method: transaction.method,
            };
            match transaction.from.and_then(address) {
                Some(from) => block.coin(name, from, to, transaction.value, call),
                None => block.made(name, to, transaction.value),
            }
        }
        Item::Token(token) => {
            let party = |party: Option<_>| {
                let address = party.and_then(address);
                address
                    .filter(|address| address.payload().iter().any(|byte| *byte != 0))
                    .map_or(Party::Nobody, Party::Address)
            };
            let (from, to) = (party(token.from), party(token.to));
            let Some(contract) = token.token.and_then(address) else { return };
            if token.value == 0 {
                block.worthless(from, to);
            } else if tokens.binary_search(&contract).is_ok() {
                loaded.token_transfers += 1;
                block.token(name, contract, (from, to), token.value, tokens);
            } else {
                loaded.other_tokens += 1;
            }
        }
    }
}
