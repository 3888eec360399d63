//! Tokens: ERC-20, ERC-721, ERC-1155, EIP-2612 and its forerunner, EIP-3009, ERC-1363 (in part).

use super::{Arguments, Call, Function, Walk, function};
use crate::effect::{Act, Grant, Quantity};
use chain::{evm::Account, u256::U256};

pub(super) const FUNCTIONS: &[Function] = &[
    function(0xa905_9cbb, "transfer(address,uint256)", transfer),
    function(0x23b8_72dd, "transferFrom(address,address,uint256)", transfer_from),
    function(0x095e_a7b3, "approve(address,uint256)", approve),
    function(0x3950_9351, "increaseAllowance(address,uint256)", raise),
    function(0xd73d_d623, "increaseApproval(address,uint256)", raise),
    function(0xa457_c2d7, "decreaseAllowance(address,uint256)", lower),
    function(0x6618_8463, "decreaseApproval(address,uint256)", lower),
    function(0xd505_accf, "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", permit),
    function(0x8fcb_af0c, "permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)", permit_all),
    function(
        0xe3ee_160e,
        "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
        authorized,
    ),
    function(
        0xcf09_2995,
        "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
        authorized,
    ),
    function(
        0xef55_bec6,
        "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
        authorized,
    ),
    function(
        0x88b7_ab63,
        "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
        authorized,
    ),
    function(0x4000_aea0, "transferAndCall(address,uint256,bytes)", transfer_and_call),
    function(0xcae9_ca51, "approveAndCall(address,uint256,bytes)", approve_and_call),
    function(0x4284_2e0e, "safeTransferFrom(address,address,uint256)", safe_transfer),
    function(0xb88d_4fde, "safeTransferFrom(address,address,uint256,bytes)", safe_transfer),
    function(0xa22c_b465, "setApprovalForAll(address,bool)", operator),
    function(0xf242_432a, "safeTransferFrom(address,address,uint256,uint256,bytes)", multi_transfer),
    function(
        0x2eb2_c2d6,
        "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)",
        multi_transfers,
    ),
    function(0x4296_6c68, "burn(uint256)", burn),
    function(0x79cc_6790, "burnFrom(address,uint256)", burn_from),
    function(0x40c1_0f19, "mint(address,uint256)", mint),
];

fn moved(
    walk: &mut Walk<'_>,
    call: &Call<'_>,
    from: Option<Account>,
    to: Account,
    quantity: Quantity,
) -> Option<()> {
    walk.add(Act::TokenTransfer { token: call.to, from, to, quantity });
    Some(())
}

fn allowed(walk: &mut Walk<'_>, call: &Call<'_>, spender: Account, grant: Grant, amount: U256) -> Option<()> {
    walk.add(Act::Allowance { token: call.to, owner: call.by, spender, grant, amount, until_s: None });
    Some(())
}

fn transfer(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [to, amount] = args else { return None };
    moved(walk, call, call.by, to.account()?, Quantity::Amount(amount.integer()?))
}

fn transfer_from(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [from, to, number] = args else { return None };
    moved(walk, call, Some(from.account()?), to.account()?, Quantity::AmountOrId(number.integer()?))
}

fn approve(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [spender, amount] = args else { return None };
    allowed(walk, call, spender.account()?, Grant::Set, amount.integer()?)
}

fn raise(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [spender, amount] = args else { return None };
    allowed(walk, call, spender.account()?, Grant::Raised, amount.integer()?)
}

fn lower(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [spender, amount] = args else { return None };
    allowed(walk, call, spender.account()?, Grant::Lowered, amount.integer()?)
}

fn permit(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [owner, spender, amount, _deadline, ..] = args else { return None };
    // The deadline is that of the signature; the allowance has no end.
    walk.add(Act::Allowance {
        token: call.to,
        owner: Some(owner.account()?),
        spender: spender.account()?,
        grant: Grant::Set,
        amount: amount.integer()?,
        until_s: None,
    });
    Some(())
}

/// The form before EIP-2612: all or nothing.
fn permit_all(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [holder, spender, _nonce, _expiry, allowed, ..] = args else { return None };
    walk.add(Act::Allowance {
        token: call.to,
        owner: Some(holder.account()?),
        spender: spender.account()?,
        grant: Grant::Set,
        amount: if allowed.flag()? { U256::MAX } else { U256::ZERO },
        until_s: None,
    });
    Some(())
}

fn authorized(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [from, to, amount, ..] = args else { return None };
    moved(walk, call, Some(from.account()?), to.account()?, Quantity::Amount(amount.integer()?))
}

fn transfer_and_call(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [to, amount, data] = args else { return None };
    let to = to.account()?;
    moved(walk, call, call.by, to, Quantity::Amount(amount.integer()?))?;
    told(walk, to, data.bytes()?);
    Some(())
}

fn approve_and_call(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [spender, amount, data] = args else { return None };
    let spender = spender.account()?;
    allowed(walk, call, spender, Grant::Set, amount.integer()?)?;
    told(walk, spender, data.bytes()?);
    Some(())
}

/// The receiver is told something in words of its own.
fn told(walk: &mut Walk<'_>, to: Account, data: &[u8]) {
    walk.add(Act::UnknownCall { to, selector: None, data_len: data.len(), in_name_of: None });
}

fn safe_transfer(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [from, to, id, ..] = args else { return None };
    moved(walk, call, Some(from.account()?), to.account()?, Quantity::Id(id.integer()?))
}

fn operator(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [operator, allowed] = args else { return None };
    walk.add(Act::OperatorApproval {
        token: call.to,
        owner: call.by,
        operator: operator.account()?,
        allowed: allowed.flag()?,
    });
    Some(())
}

fn multi_transfer(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [from, to, id, amount, _] = args else { return None };
    let quantity = Quantity::OfKind { id: id.integer()?, amount: amount.integer()? };
    moved(walk, call, Some(from.account()?), to.account()?, quantity)
}

fn multi_transfers(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [from, to, ids, amounts, _] = args else { return None };
    let (ids, amounts) = (ids.many()?, amounts.many()?);
    if ids.len() != amounts.len() {
        return None;
    }
    for (id, amount) in ids.iter().zip(amounts) {
        let quantity = Quantity::OfKind { id: id.integer()?, amount: amount.integer()? };
        moved(walk, call, Some(from.account()?), to.account()?, quantity)?;
    }
    Some(())
}

fn burn(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [amount] = args else { return None };
    moved(walk, call, call.by, Account::ZERO, Quantity::AmountOrId(amount.integer()?))
}

fn burn_from(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [from, amount] = args else { return None };
    moved(walk, call, Some(from.account()?), Account::ZERO, Quantity::AmountOrId(amount.integer()?))
}

fn mint(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [to, amount] = args else { return None };
    moved(walk, call, Some(Account::ZERO), to.account()?, Quantity::AmountOrId(amount.integer()?))
}
