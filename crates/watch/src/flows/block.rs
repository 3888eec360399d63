//! What is kept of a block, in addresses: the one form that all chains and tables are brought to.

use chain::{
    bitcoin::{self, Paid, Spent},
    cluster::coinjoin,
    evm::{self, TransferAsset, TransferKind},
};
use domain::Address;

/// From this many pairs of payer and recipient on, a transaction with several inputs gets a place of its own in the graph,
/// through which the money goes in the same proportions: one more hop instead of thousands of edges.
const PAIRS_MAX: usize = 64;
/// Below this a transfer of an EVM chain's coin is dust: 10^-5 of a coin with 18 decimals.
const DUST: u128 = 10_000_000_000_000;

/// One end of a movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Party {
    /// Whoever holds an address.
    Address(Address),
    /// Nobody with an address: coins made, tokens minted, scripts without one.
    Nobody,
    /// What a transaction of the block gathers from its inputs, by any number that differs within the block.
    Pool(u32),
}

/// How a transaction of an EVM chain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Gas its execution took.
    pub gas_used: u64,
    /// Whether it was reverted: then it moved nothing.
    pub failed: bool,
    /// Whether it created the contract it goes to.
    pub creates: bool,
    /// Bytes of its input.
    pub input_bytes: u32,
    /// The first four bytes of its input, if there are as many.
    pub method: Option<u32>,
}

/// Value that moved, or a transaction that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    /// The transaction.
    pub transaction: [u8; 32],
    /// The token's contract; `None` for the coin.
    pub asset: Option<Address>,
    /// From whom.
    pub from: Party,
    /// To whom.
    pub to: Party,
    /// How much, in the smallest unit; the greatest number if it is greater still.
    pub value: u128,
    /// How the transaction went, where this is a transaction of an EVM chain itself and not a log of one.
    pub call: Option<Call>,
}

impl Movement {
    /// Whether value changed hands.
    #[must_use]
    pub fn moves(&self) -> bool {
        self.value > 0 && self.from != self.to && self.call.is_none_or(|call| !call.failed)
    }
}

/// A kind of worthless transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bait {
    /// Next to nothing.
    Dust,
    /// Nothing at all.
    ZeroValue,
}

/// What is kept of one block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockFlows {
    /// Its height.
    pub height: u64,
    /// Its hash; zeros where a table does not tell.
    pub hash: [u8; 32],
    /// When it was made, as it says: seconds since 1970.
    pub time_s: u64,
    /// Whether a follower saw it, with every block before it; else it comes from a table.
    pub followed: bool,
    /// In the order of the block.
    pub movements: Vec<Movement>,
    /// Addresses that signed one transaction together and belong to one holder by that.
    pub joined: Vec<Vec<Address>>,
    /// Who sent worthless transfers.
    pub baits: Vec<(Address, Bait)>,
}

/// Which tokens count: sorted contracts.
pub(super) type Tokens = [Address];

impl BlockFlows {
    /// Of a verified block of an EVM chain. Transfers of tokens that are not among `tokens` (sorted) count for nothing: their
    /// contracts may claim what they like.
    #[must_use]
    pub fn of_evm(facts: &evm::Facts, tokens: &Tokens) -> Self {
        let mut block = Self {
            height: facts.header.id.height,
            hash: facts.header.id.hash.0,
            time_s: facts.header.time_s,
            followed: true,
            ..Self::default()
        };
        let mut transfers = facts.transfers.iter().peekable();
        for call in &facts.calls {
            let from = call.from.address();
            let to = call.to.or(call.created).map_or(Party::Nobody, |to| Party::Address(to.address()));
            let value = call.value.to_u128().unwrap_or(u128::MAX);
            let shape = Call {
                gas_used: call.gas_used,
                failed: call.failed,
                creates: call.to.is_none(),
                input_bytes: u32::try_from(call.input_bytes).unwrap_or(u32::MAX),
                method: call.method,
            };
            block.coin(call.transaction, from, to, value, shape);
            // Behind its transaction, before the next one, as tables have them.
            while let Some(transfer) = transfers.next_if(|next| next.transaction == call.transaction) {
                block.log(transfer, tokens);
            }
        }
        transfers.for_each(|transfer| block.log(transfer, tokens));
        block
    }

    /// Takes in what the log of a contract says.
    fn log(&mut self, transfer: &evm::Transfer, tokens: &Tokens) {
        let party = |account: evm::Account| match account {
            evm::Account::ZERO => Party::Nobody,
            account => Party::Address(account.address()),
        };
        let (from, to) = (party(transfer.from), party(transfer.to));
        let TransferAsset::Token(contract) = transfer.asset else {
            // What transactions move themselves is taken in with them.
            if transfer.kind == TransferKind::Withdrawal {
                let value = transfer.value.to_u128().unwrap_or(u128::MAX);
                let (transaction, asset, call) = (transfer.transaction, None, None);
                self.movements.push(Movement { transaction, asset, from, to, value, call });
            }
            return;
        };
        if transfer.value.is_zero() {
            self.worthless(from, to);
        } else if transfer.kind == TransferKind::Erc20 {
            let value = transfer.value.to_u128().unwrap_or(u128::MAX);
            self.token(transfer.transaction, contract.address(), (from, to), value, tokens);
        }
    }

    /// Takes in a transaction of an EVM chain.
    pub(super) fn coin(&mut self, transaction: [u8; 32], from: Address, to: Party, value: u128, call: Call) {
        // A call without value is a call; a plain transfer of nothing has no other use than to be seen.
        if value < DUST && call.input_bytes == 0 && !call.failed && to != Party::Address(from) {
            let bait = if value == 0 { Bait::ZeroValue } else { Bait::Dust };
            self.baits.push((from, bait));
        }
        let from = Party::Address(from);
        self.movements.push(Movement { transaction, asset: None, from, to, value, call: Some(call) });
    }

    /// Takes in coins that come from nobody.
    pub(super) fn made(&mut self, transaction: [u8; 32], to: Party, value: u128) {
        let from = Party::Nobody;
        self.movements.push(Movement { transaction, asset: None, from, to, value, call: None });
    }

    /// Takes in a transfer of a token that moves nothing. Anybody may move nothing out of anybody's account, so either side
    /// may be the bait.
    pub(super) fn worthless(&mut self, from: Party, to: Party) {
        for party in [from, to] {
            if let Party::Address(address) = party {
                self.baits.push((address, Bait::ZeroValue));
            }
        }
    }

    /// Takes in a transfer of a token, if it is one of `tokens`.
    pub(super) fn token(
        &mut self,
        transaction: [u8; 32],
        contract: Address,
        (from, to): (Party, Party),
        value: u128,
        tokens: &Tokens,
    ) {
        if tokens.binary_search(&contract).is_ok() {
            self.movements.push(Movement { transaction, asset: Some(contract), from, to, value, call: None });
        }
    }

    /// Of a verified block of a UTXO chain. Each input pays each output in proportion; what goes back to an input's own address
    /// is change and no movement.
    #[must_use]
    pub fn of_bitcoin(facts: &bitcoin::Facts) -> Self {
        let mut block = Self {
            height: facts.header.id.height,
            hash: facts.header.id.hash.0,
            time_s: facts.header.time_s,
            followed: true,
            ..Self::default()
        };
        for (index, moved) in (0_u32..).zip(&facts.transactions) {
            let payers = gathered(moved.inputs.iter().map(|Spent { value, address, .. }| (*address, *value)));
            let payees = gathered(moved.outputs.iter().map(|Paid { value, address }| (*address, *value)));
            block.joined.extend(signed_together(moved, &payers));
            let taken: u128 = payers.iter().map(|(_, value)| value).sum();
            let mut push = |from, to, value| {
                if from != to && value > 0 {
                    let transaction = moved.transaction;
                    block.movements.push(Movement { transaction, asset: None, from, to, value, call: None });
                }
            };
            if taken == 0 {
                payees.iter().for_each(|(to, value)| push(Party::Nobody, *to, *value));
            } else if payers.len() > 1 && payers.len() * payees.len() > PAIRS_MAX {
                let given: u128 = payees.iter().map(|(_, value)| value).sum();
                // What is gathered is what is given, so that nothing stays behind: the fee went to whoever made the block.
                let shares = shared(given, taken, &payers);
                shares.for_each(|(from, value)| push(from, Party::Pool(index), value));
                payees.iter().for_each(|(to, value)| push(Party::Pool(index), *to, *value));
            } else {
                for (to, value) in &payees {
                    shared(*value, taken, &payers).for_each(|(from, value)| push(from, *to, value));
                }
            }
        }
        block
    }
}

/// Sums by owner, in the order of owners.
fn gathered(parts: impl Iterator<Item = (Option<Address>, u64)>) -> Vec<(Party, u128)> {
    let mut sums: std::collections::BTreeMap<Party, u128> = std::collections::BTreeMap::new();
    for (address, value) in parts {
        *sums.entry(address.map_or(Party::Nobody, Party::Address)).or_default() += u128::from(value);
    }
    sums.into_iter().collect()
}

/// `value` dealt out to the payers of `taken` in all, in whole units that sum up to it exactly.
fn shared(value: u128, taken: u128, payers: &[(Party, u128)]) -> impl Iterator<Item = (Party, u128)> {
    let (mut so_far, mut dealt) = (0_u128, 0_u128);
    payers.iter().map(move |(from, paid)| {
        so_far += paid;
        // Both below 2^51 (all coins there can be), so the product stays far below 2^128.
        let up_to = value * so_far / taken.max(1);
        let part = up_to - dealt;
        dealt = up_to;
        (*from, part)
    })
}

/// The distinct owners of the inputs, if they are several and the transaction is not one of several people.
fn signed_together(moved: &bitcoin::Moved, payers: &[(Party, u128)]) -> Option<Vec<Address>> {
    let owners: Vec<Address> = payers
        .iter()
        .filter_map(|(party, _)| match party {
            Party::Address(address) => Some(*address),
            Party::Nobody | Party::Pool(_) => None,
        })
        .collect();
    if owners.len() < 2 {
        return None;
    }
    // Numbers that differ between owners: places among the inputs' owners, then among the others.
    let mut others: std::collections::BTreeMap<Address, usize> = std::collections::BTreeMap::new();
    let mut number = |address: &Address| -> u32 {
        let place = owners.binary_search(address).unwrap_or_else(|_| {
            let next = owners.len() + others.len();
            *others.entry(*address).or_insert(next)
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    };
    let inputs: Vec<u32> =
        moved.inputs.iter().filter_map(|spent| spent.address.as_ref().map(&mut number)).collect();
    let outputs: Vec<coinjoin::Output> = moved
        .outputs
        .iter()
        .map(|paid| coinjoin::Output { owner: paid.address.as_ref().map(&mut number), value: paid.value })
        .collect();
    coinjoin::shape(&inputs, &outputs).is_none().then_some(owners)
}
