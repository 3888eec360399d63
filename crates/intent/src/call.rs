//! Calls, as far as their text says what they do: functions by their selector, calls within calls.
//!
//! A selector of four bytes is a name, not a promise: whoever wrote the contract may have put anything behind it, and
//! different signatures share selectors. What is read here is what the call *says*. Within `delegatecall` it does not
//! even say that, so there only bundles of calls are read, everything else is unknown.
//!
//! Bounds: [`CALLS_MAX`] calls, [`DEPTH_MAX`] of them within each other, the values of [`crate::abi`]. What lies beyond
//! is reported as not read, never left out.

mod batch;
mod control;
mod permit2;
mod safe;
mod token;

pub use self::permit2::PERMIT2;
pub(crate) use self::safe::{operation, refund};

use chain::{
    evm::{Account, Transaction},
    u256::U256,
};

use crate::{
    abi::{self, AbiError, Budget, VALUES_MAX, Value},
    effect::{Act, Context, Effect, Reading},
    transaction::Envelope,
};

/// Most calls of one transaction or message that are read.
pub const CALLS_MAX: u32 = 1_024;
/// Most calls within each other.
pub const DEPTH_MAX: usize = 8;

/// One call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'d> {
    /// Who makes it; `None` is whoever signs.
    pub(crate) by: Option<Account>,
    /// Whom it calls.
    pub(crate) to: Account,
    /// Native value it carries.
    pub(crate) value: U256,
    /// What it says.
    pub(crate) data: &'d [u8],
    /// Whether the code runs in the name of the caller.
    pub(crate) is_delegate: bool,
}

/// Arguments, by their place. `None` of anything means that the signature in the table and its reader disagree.
type Arguments<'d> = [Value<'d>];

/// A function that is known.
pub(crate) struct Function {
    selector: [u8; 4],
    signature: &'static str,
    read: for<'d> fn(&mut Walk<'_>, &Call<'d>, &Arguments<'d>) -> Option<()>,
}

const fn function(
    selector: u32,
    signature: &'static str,
    read: for<'d> fn(&mut Walk<'_>, &Call<'d>, &Arguments<'d>) -> Option<()>,
) -> Function {
    Function { selector: selector.to_be_bytes(), signature, read }
}

/// The functions a contract may have. Those of Permit2 are that one contract's own.
fn tables(contract: Account) -> impl Iterator<Item = &'static Function> {
    let permit2 = if contract == PERMIT2 { permit2::FUNCTIONS } else { &[] };
    [token::FUNCTIONS, permit2, batch::FUNCTIONS, control::FUNCTIONS, safe::FUNCTIONS].into_iter().flatten()
}

/// A reading under way.
pub(crate) struct Walk<'c> {
    context: &'c Context,
    reading: Reading,
    calls_left: u32,
    budget: Budget,
    path: Vec<u16>,
}

impl<'c> Walk<'c> {
    pub(crate) const fn new(context: &'c Context) -> Self {
        Self {
            context,
            reading: Reading { effects: Vec::new() },
            calls_left: CALLS_MAX,
            budget: Budget { values: VALUES_MAX },
            path: Vec::new(),
        }
    }

    pub(crate) fn finish(self) -> Reading {
        self.reading
    }

    pub(crate) fn add(&mut self, act: Act) {
        let severity = act.severity(self.context);
        self.reading.effects.push(Effect { path: self.path.clone(), act, severity });
    }

    /// Reads one call.
    pub(crate) fn call(&mut self, call: &Call<'_>) {
        let Some(left) = self.calls_left.checked_sub(1) else {
            // Said once for all that follow.
            let what = "there are too many calls";
            if !self.reading.effects.iter().any(|effect| effect.act == Act::Unread { what }) {
                self.add(Act::Unread { what });
            }
            return;
        };
        self.calls_left = left;
        if self.path.len() > DEPTH_MAX {
            self.add(Act::Unread { what: "calls are nested too deep" });
            return;
        }
        if call.is_delegate {
            self.add(Act::DelegateCall { by: call.by, code: call.to });
        } else if !call.value.is_zero() {
            self.add(Act::NativeTransfer { from: call.by, to: call.to, amount: call.value });
        }
        let Some((selector, data)) = call.data.split_first_chunk::<4>() else {
            match (call.data.is_empty(), call.is_delegate, call.value.is_zero()) {
                (true, false, true) => self.add(Act::EmptyCall { to: call.to }),
                // A payment, which was said.
                (true, false, false) => {}
                _ => self.unknown(call, None),
            }
            return;
        };
        let known = tables(call.to).find(|function| function.selector == *selector);
        let Some(known) = known.filter(|known| !call.is_delegate || batch::is_bundle(known.selector)) else {
            self.unknown(call, Some(*selector));
            return;
        };
        let malformed = |reason: AbiError| Act::Malformed {
            to: call.to,
            signature: known.signature,
            reason: reason.to_string(),
        };
        match abi::arguments(known.signature, data, &mut self.budget) {
            Ok((arguments, covered)) => {
                if (known.read)(self, call, &arguments).is_none() {
                    self.add(malformed(AbiError::Misfit));
                }
                if covered < data.len() {
                    self.add(Act::TrailingData { to: call.to, count: data.len() - covered });
                }
            }
            Err(error) => self.add(malformed(error)),
        }
    }

    /// Reads a call within the one that is being read.
    fn inner(&mut self, number: usize, call: &Call<'_>) {
        self.path.push(u16::try_from(number).unwrap_or(u16::MAX));
        self.call(call);
        self.path.pop();
    }

    fn unknown(&mut self, call: &Call<'_>, selector: Option<[u8; 4]>) {
        self.add(Act::UnknownCall {
            to: call.to,
            selector,
            data_len: call.data.len(),
            in_name_of: call.by.filter(|_| call.is_delegate),
        });
    }
}

/// Reads what a transaction says it does. `from` is who would sign it, where that is known and it is not signed yet.
#[must_use]
pub fn read_transaction(envelope: &Envelope, from: Option<Account>, context: &Context) -> Reading {
    let tx = &envelope.transaction;
    let by = envelope.signer.or(from);
    let mut walk = Walk::new(context);
    match (envelope.chain_id, context.chain_id) {
        (None, _) => walk.add(Act::Replayable),
        (Some(got), Some(meant)) if got != U256::from(meant) => walk.add(Act::OtherChain { meant, got }),
        _ => {}
    }
    for authorization in &tx.authorizations {
        let for_us = tx.chain_id.to_u64().and_then(|chain_id| authorization.authority(chain_id));
        // What is signed for another chain has no effect here, and still can be carried there.
        let authority = for_us.or_else(|| authorization.authority(authorization.chain_id.to_u64()?));
        walk.add(Act::Delegation {
            authority,
            delegate: authorization.delegate,
            is_for_every_chain: authorization.chain_id.is_zero(),
            has_effect: for_us.is_some(),
        });
    }
    if !tx.blob_versioned_hashes.is_empty() {
        walk.add(Act::Blobs { count: tx.blob_versioned_hashes.len() });
    }
    match tx.to {
        Some(to) => {
            walk.call(&Call { by, to, value: tx.value, data: &tx.input, is_delegate: false });
        }
        None => {
            let account = by.and_then(|from| Transaction { from, ..tx.clone() }.created());
            walk.add(Act::Creation { by, account, code_len: tx.input.len() });
            if let (Some(to), false) = (account, tx.value.is_zero()) {
                walk.add(Act::NativeTransfer { from: by, to, amount: tx.value });
            }
        }
    }
    walk.finish()
}

/// Reads what one call says it does.
#[must_use]
pub fn read_call(by: Option<Account>, to: Account, value: U256, data: &[u8], context: &Context) -> Reading {
    let mut walk = Walk::new(context);
    walk.call(&Call { by, to, value, data, is_delegate: false });
    walk.finish()
}

#[cfg(test)]
mod tests;
