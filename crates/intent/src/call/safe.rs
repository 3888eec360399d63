//! Safe: accounts that several owners hold together.

use chain::{evm::Account, u256::U256};

use super::{Arguments, Call, Function, Walk, function};
use crate::effect::Act;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        0x6a76_1202,
        "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)",
        execute,
    ),
    function(0x4687_21a7, "execTransactionFromModule(address,uint256,bytes,uint8)", execute_from_module),
    function(
        0x5229_073f,
        "execTransactionFromModuleReturnData(address,uint256,bytes,uint8)",
        execute_from_module,
    ),
    function(0x0d58_2f13, "addOwnerWithThreshold(address,uint256)", add_owner),
    function(0xf8dc_5dd9, "removeOwner(address,address,uint256)", remove_owner),
    function(0xe318_b52b, "swapOwner(address,address,address)", swap_owner),
    function(0x694e_80c3, "changeThreshold(uint256)", threshold),
    function(0x610b_5925, "enableModule(address)", enable_module),
    function(0xe009_cfde, "disableModule(address,address)", disable_module),
    function(0xe19a_9dd9, "setGuard(address)", guard),
    function(0xe068_df37, "setModuleGuard(address)", module_guard),
    function(0xf08a_0323, "setFallbackHandler(address)", fallback_handler),
    function(0x7de7_edef, "changeMasterCopy(address)", master_copy),
    function(0xd4d9_bdcd, "approveHash(bytes32)", approve_hash),
    function(0xb63e_800d, "setup(address[],uint256,address,bytes,address,address,uint256,address)", setup),
];

/// What a Safe does, as a call or as somebody's code in its name.
pub(crate) fn operation<'d>(
    safe: Account,
    to: Account,
    value: U256,
    data: &'d [u8],
    operation: U256,
) -> Option<Call<'d>> {
    let is_delegate = match operation.to_u64()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    Some(Call { by: Some(safe), to, value, data, is_delegate })
}

/// What a Safe pays to whoever carries the transaction, if anything.
pub(crate) fn refund(safe: Account, price: U256, token: Account, receiver: Account) -> Option<Act> {
    (!price.is_zero()).then_some(Act::GasRefund { safe, token, receiver, price })
}

fn execute(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [to, value, data, kind, _safe_gas, _base_gas, price, token, receiver, _signatures] = args else {
        return None;
    };
    let made = operation(call.to, to.account()?, value.integer()?, data.bytes()?, kind.integer()?)?;
    if let Some(act) = refund(call.to, price.integer()?, token.account()?, receiver.account()?) {
        walk.add(act);
    }
    walk.inner(0, &made);
    Some(())
}

fn execute_from_module(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [to, value, data, kind] = args else { return None };
    let made = operation(call.to, to.account()?, value.integer()?, data.bytes()?, kind.integer()?)?;
    walk.inner(0, &made);
    Some(())
}

fn add_owner(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [owner, threshold] = args else { return None };
    walk.add(Act::SafeOwner {
        safe: call.to,
        added: Some(owner.account()?),
        removed: None,
        threshold: Some(threshold.integer()?),
    });
    Some(())
}

fn remove_owner(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [_previous, owner, threshold] = args else { return None };
    walk.add(Act::SafeOwner {
        safe: call.to,
        added: None,
        removed: Some(owner.account()?),
        threshold: Some(threshold.integer()?),
    });
    Some(())
}

fn swap_owner(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [_previous, old, new] = args else { return None };
    walk.add(Act::SafeOwner {
        safe: call.to,
        added: Some(new.account()?),
        removed: Some(old.account()?),
        threshold: None,
    });
    Some(())
}

fn threshold(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [threshold] = args else { return None };
    walk.add(Act::SafeThreshold { safe: call.to, threshold: threshold.integer()? });
    Some(())
}

fn enable_module(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [module] = args else { return None };
    walk.add(Act::SafeModule { safe: call.to, module: module.account()?, enabled: true });
    Some(())
}

fn disable_module(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [_previous, module] = args else { return None };
    walk.add(Act::SafeModule { safe: call.to, module: module.account()?, enabled: false });
    Some(())
}

fn hook(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>, hook: &'static str) -> Option<()> {
    let [account] = args else { return None };
    walk.add(Act::SafeHook { safe: call.to, hook, account: account.account()? });
    Some(())
}

fn guard(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    hook(walk, call, args, "guard")
}

fn module_guard(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    hook(walk, call, args, "module guard")
}

fn fallback_handler(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    hook(walk, call, args, "fallback handler")
}

fn master_copy(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [code] = args else { return None };
    walk.add(Act::Upgrade { proxy: call.to, what: "code", code: Some(code.account()?) });
    Some(())
}

fn approve_hash(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [hash] = args else { return None };
    walk.add(Act::SafeApprovedHash { safe: call.to, hash: hash.fixed()? });
    Some(())
}

fn setup(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [owners, threshold, to, data, handler, token, payment, receiver] = args else { return None };
    for owner in owners.many()? {
        walk.add(Act::SafeOwner {
            safe: call.to,
            added: Some(owner.account()?),
            removed: None,
            threshold: None,
        });
    }
    walk.add(Act::SafeThreshold { safe: call.to, threshold: threshold.integer()? });
    let handler = handler.account()?;
    if handler != Account::ZERO {
        walk.add(Act::SafeHook { safe: call.to, hook: "fallback handler", account: handler });
    }
    let payment = payment.integer()?;
    if !payment.is_zero() {
        // An amount, not a price: the same two fields say to whom and in what.
        let (token, to) = (token.account()?, receiver.account()?);
        walk.add(if token == Account::ZERO {
            Act::NativeTransfer { from: Some(call.to), to, amount: payment }
        } else {
            Act::TokenTransfer {
                token,
                from: Some(call.to),
                to,
                quantity: crate::effect::Quantity::Amount(payment),
            }
        });
    }
    let code = to.account()?;
    if code != Account::ZERO {
        let data = data.bytes()?;
        walk.inner(0, &Call { by: Some(call.to), to: code, value: U256::ZERO, data, is_delegate: true });
    }
    Some(())
}
