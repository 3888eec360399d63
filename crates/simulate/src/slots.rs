//! Storage slots whose meaning is known: who controls a contract.

use std::collections::{BTreeMap, BTreeSet};

use chain::{evm::Account, u256::U256};
use intent::Act;
use revm::{
    primitives::U256 as Word,
    state::{Account as Changed, EvmState},
};

use crate::{
    database::{account, address},
    logs::{self, hex32},
    outcome::SlotChange,
    state::StateSource,
    trace::{Event, Mapped},
};

/// `keccak256("eip1967.proxy.implementation") - 1`.
const IMPLEMENTATION: [u8; 32] = hex32("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
/// `keccak256("eip1967.proxy.admin") - 1`.
const ADMIN: [u8; 32] = hex32("b53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103");
/// `keccak256("eip1967.proxy.beacon") - 1`.
const BEACON: [u8; 32] = hex32("a3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50");
/// EIP-1822: `keccak256("PROXIABLE")`.
const PROXIABLE: [u8; 32] = hex32("c5f16f0fcc639fa48a6947836d9850f504798523bf8c9a3a87d5876cf622bcf7");
/// OpenZeppelin before EIP-1967: `keccak256("org.zeppelinos.proxy.implementation")`.
const ZEPPELIN: [u8; 32] = hex32("7050c9e0f4ca769c69bd3a8ef740bc37934f8e2c036e5a723fd8ee048ed3f8c3");
/// Safe: `keccak256("guard_manager.guard.address")`.
const SAFE_GUARD: [u8; 32] = hex32("4a204f620c8c5ccdca3fd54d003badd85ba500436a431f0cbda4f558c93c34c8");
/// Safe: `keccak256("fallback_manager.handler.address")`.
const SAFE_HANDLER: [u8; 32] = hex32("6c9a6c4a39284e37ed1cf53d337577d14212a4870fb976a4366c693b939918d5");
/// Safe: `keccak256("module_manager.module_guard.address")`.
const SAFE_MODULE_GUARD: [u8; 32] = hex32("b104e0b93118902c651344349b610029d694cfdec91c589c91ebafbcd0289947");
/// `masterCopy()`, which proxies of Safe answer themselves, so that it stands in their code.
const MASTER_COPY: [u8; 4] = [0xa6, 0x19, 0x48, 0x6e];
/// Most delegate calls looked at.
const DELEGATE_CALLS_MAX: usize = 4_096;

/// Which slot of a Safe's storage holds what (SafeStorage, since 1.1).
const SAFE_MODULES: u64 = 1;
const SAFE_OWNERS: u64 = 2;
const SAFE_THRESHOLD: u8 = 4;
/// The end of Safe's linked lists.
const SENTINEL: Account = Account(*b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01");

const fn small(number: u8) -> [u8; 32] {
    let mut word = [0; 32];
    word[31] = number;
    word
}

fn value(word: Word) -> [u8; 32] {
    word.to_be_bytes()
}

/// Which code each account runs of its own accord, so that running it in its name is nothing new: what it had in
/// storage before, what stands in that code, the code a beacon names.
#[derive(Debug, Default)]
pub(crate) struct OwnCode {
    by: BTreeMap<Account, BTreeSet<Account>>,
}

impl OwnCode {
    /// Judges one delegate call; whether it is the account's own doing.
    fn admits(&mut self, source: &dyn StateSource, state: &EvmState, by: Account, code: Account) -> bool {
        let own = self.by.entry(by).or_insert_with(|| [by].into());
        if own.contains(&code) {
            return true;
        }
        let is_own = state
            .get(&address(&by))
            .is_some_and(|changed| names(changed, code) || beacon_names(state, changed, code));
        let is_own = is_own
            || delegate(source, by) == Some(code)
            || own.iter().any(|of| {
                let bytes = state.get(&address(of)).and_then(|of| of.info.code.as_ref());
                bytes.is_some_and(|bytes| contains(bytes.original_byte_slice(), &code.0))
            });
        if is_own {
            own.insert(code);
        }
        is_own
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The account whose code an account ran before (EIP-7702).
fn delegate(source: &dyn StateSource, of: Account) -> Option<Account> {
    chain::evm::delegate_of_code(source.account(&of)?.code.bytes())
}

/// Whether a slot that was read named an account before.
fn names(changed: &Changed, code: Account) -> bool {
    changed.storage.values().any(|slot| contains(&value(slot.original_value), &code.0))
}

fn beacon_names(state: &EvmState, changed: &Changed, code: Account) -> bool {
    let beacon = changed.storage.get(&Word::from_be_bytes(BEACON));
    let beacon = beacon.and_then(|slot| logs::account(&value(slot.original_value)));
    beacon.and_then(|beacon| state.get(&address(&beacon))).is_some_and(|beacon| names(beacon, code))
}

/// What changed hands in storage, as acts and as slots.
#[derive(Debug, Default)]
pub(crate) struct Control {
    pub(crate) acts: Vec<Act>,
    pub(crate) slots: Vec<SlotChange>,
    pub(crate) other_slots: usize,
}

/// The delegate calls that are not their account's own doing, each once.
pub(crate) fn foreign_code(
    source: &dyn StateSource,
    state: &EvmState,
    events: &[Event],
    own: &mut OwnCode,
) -> Vec<(Account, Account)> {
    let mut foreign = Vec::new();
    let mut seen = BTreeSet::new();
    for event in events {
        if let Event::DelegateCall { by, code } = event
            && seen.len() < DELEGATE_CALLS_MAX
            && seen.insert((*by, *code))
            && !own.admits(source, state, *by, *code)
        {
            foreign.push((*by, *code));
        }
    }
    foreign
}

/// Reads the changes of storage and code.
pub(crate) fn control(
    source: &dyn StateSource,
    state: &EvmState,
    own: &OwnCode,
    mapped: &BTreeMap<[u8; 32], Mapped>,
) -> Control {
    let mut out = Control::default();
    let mut accounts: Vec<_> = state.iter().map(|(address, changed)| (account(address), changed)).collect();
    accounts.sort_by_key(|(account, _)| *account);
    for (of, changed) in accounts {
        let after = changed.info.code.as_ref();
        let after = after.and_then(|code| chain::evm::delegate_of_code(code.original_byte_slice()));
        let before = delegate(source, of);
        if before != after {
            out.acts.push(Act::Delegation {
                authority: Some(of),
                delegate: after.unwrap_or(Account::ZERO),
                is_for_every_chain: false,
                has_effect: true,
            });
        }
        let pointer = changed.storage.get(&Word::ZERO).and_then(|slot| {
            let before = logs::account(&value(slot.original_value))?;
            own.by.get(&of)?.contains(&before).then_some(before)
        });
        let is_safe = pointer.is_some()
            && source.account(&of).is_some_and(|before| contains(before.code.bytes(), &MASTER_COPY));
        let mut slots: Vec<_> = changed
            .storage
            .iter()
            .filter(|(_, slot)| slot.is_changed())
            .map(|(key, slot)| (value(*key), value(slot.original_value), value(slot.present_value)))
            .collect();
        slots.sort_unstable();
        for (slot, before, after) in slots {
            let name = name(&slot, pointer.is_some(), is_safe, mapped);
            match name {
                Some(name) => {
                    out.slots.push(SlotChange { account: of, name, slot, before, after });
                    out.acts.extend(act(of, name, &slot, (&before, &after), mapped));
                }
                None => out.other_slots += 1,
            }
        }
    }
    out
}

/// What a slot holds.
fn name(
    slot: &[u8; 32],
    is_pointer: bool,
    is_safe: bool,
    mapped: &BTreeMap<[u8; 32], Mapped>,
) -> Option<&'static str> {
    let base = mapped.get(slot).map(|mapped| U256::from_be_bytes(mapped.base).to_u64());
    Some(match (slot, base) {
        (&IMPLEMENTATION | &PROXIABLE | &ZEPPELIN, _) => "implementation",
        (&ADMIN, _) => "admin",
        (&BEACON, _) => "beacon",
        (&SAFE_GUARD, _) => "guard",
        (&SAFE_HANDLER, _) => "fallback handler",
        (&SAFE_MODULE_GUARD, _) => "module guard",
        (slot, _) if is_pointer && *slot == [0; 32] => "code",
        (slot, _) if is_safe && *slot == small(SAFE_THRESHOLD) => "threshold",
        (_, Some(Some(SAFE_OWNERS))) if is_safe => "owners",
        (_, Some(Some(SAFE_MODULES))) if is_safe => "modules",
        _ => return None,
    })
}

fn act(
    of: Account,
    name: &'static str,
    slot: &[u8; 32],
    (before, after): (&[u8; 32], &[u8; 32]),
    mapped: &BTreeMap<[u8; 32], Mapped>,
) -> Option<Act> {
    // A slot may hold more than the account in its lower bytes.
    let named = after.last_chunk::<20>().map(|account| Account(*account))?;
    let (was_in, is_in) = (*before != [0; 32], *after != [0; 32]);
    Some(match name {
        "implementation" | "admin" | "beacon" | "code" => {
            Act::Upgrade { proxy: of, what: name, code: Some(named).filter(|code| *code != Account::ZERO) }
        }
        "guard" | "fallback handler" | "module guard" => {
            Act::SafeHook { safe: of, hook: name, account: named }
        }
        "threshold" => Act::SafeThreshold { safe: of, threshold: U256::from_be_bytes(*after) },
        "owners" | "modules" => {
            // A linked list: an entry that is not empty is in it, whatever it points to.
            let key = mapped.get(slot).and_then(|mapped| logs::account(&mapped.key))?;
            if key == SENTINEL || was_in == is_in {
                return None;
            }
            if name == "modules" {
                Act::SafeModule { safe: of, module: key, enabled: is_in }
            } else if is_in {
                Act::SafeOwner { safe: of, added: Some(key), removed: None, threshold: None }
            } else {
                Act::SafeOwner { safe: of, added: None, removed: Some(key), threshold: None }
            }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use sha3::{Digest as _, Keccak256};

    use super::*;

    #[test]
    fn slots_are_where_their_standards_put_them() {
        for (slot, name, before) in [
            (IMPLEMENTATION, "eip1967.proxy.implementation", 1u8),
            (ADMIN, "eip1967.proxy.admin", 1),
            (BEACON, "eip1967.proxy.beacon", 1),
            (PROXIABLE, "PROXIABLE", 0),
            (ZEPPELIN, "org.zeppelinos.proxy.implementation", 0),
            (SAFE_GUARD, "guard_manager.guard.address", 0),
            (SAFE_HANDLER, "fallback_manager.handler.address", 0),
            (SAFE_MODULE_GUARD, "module_manager.module_guard.address", 0),
        ] {
            let hash = U256::from_be_bytes(Keccak256::digest(name).into());
            let place = hash.checked_sub(U256::from(u64::from(before))).unwrap();
            assert_eq!(slot, place.to_be_bytes(), "{name}");
        }
        assert_eq!(MASTER_COPY, Keccak256::digest("masterCopy()")[..4]);
    }
}
