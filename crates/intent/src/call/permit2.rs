//! Permit2: one contract that moves tokens for everybody who approved it, on signatures.

use chain::{evm::Account, u256::U256};

use super::{Arguments, Call, Function, Walk, function};
use crate::{
    abi::Value,
    effect::{Act, Grant, Quantity},
};

/// Where it is, on every chain.
pub const PERMIT2: Account =
    Account(*b"\x00\x00\x00\x00\x00\x22\xd4\x73\x03\x0f\x11\x6d\xde\xe9\xf6\xb4\x3a\xc7\x8b\xa3");

pub(super) const FUNCTIONS: &[Function] = &[
    function(0x8751_7c45, "approve(address,address,uint160,uint48)", approve),
    function(0x2b67_b570, "permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)", permit),
    function(
        0x2a2d_80d1,
        "permit(address,((address,uint160,uint48,uint48)[],address,uint256),bytes)",
        permits,
    ),
    function(0x36c7_8516, "transferFrom(address,address,uint160,address)", transfer),
    function(0x0d58_b1db, "transferFrom((address,address,uint160,address)[])", transfers),
    function(
        0x30f2_8b7a,
        "permitTransferFrom(((address,uint256),uint256,uint256),(address,uint256),address,bytes)",
        signed_transfer,
    ),
    function(
        0xedd9_444b,
        "permitTransferFrom(((address,uint256)[],uint256,uint256),(address,uint256)[],address,bytes)",
        signed_transfers,
    ),
    function(
        0x137c_29fe,
        "permitWitnessTransferFrom(((address,uint256),uint256,uint256),(address,uint256),address,bytes32,string,bytes)",
        signed_transfer,
    ),
    function(
        0xfe8e_c1a7,
        "permitWitnessTransferFrom(((address,uint256)[],uint256,uint256),(address,uint256)[],address,bytes32,string,bytes)",
        signed_transfers,
    ),
    function(0xcc53_287f, "lockdown((address,address)[])", lockdown),
];

fn allowance(
    walk: &mut Walk<'_>,
    owner: Option<Account>,
    spender: Account,
    token: Account,
    amount: U256,
    until_s: Option<U256>,
) {
    walk.add(Act::Allowance { token, owner, spender, grant: Grant::Set, amount, until_s });
}

fn approve(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [token, spender, amount, until] = args else { return None };
    allowance(walk, call.by, spender.account()?, token.account()?, amount.integer()?, Some(until.integer()?));
    Some(())
}

fn detail(walk: &mut Walk<'_>, owner: Account, spender: Account, detail: &Value<'_>) -> Option<()> {
    let [token, amount, until, _nonce] = detail.many()? else { return None };
    allowance(walk, Some(owner), spender, token.account()?, amount.integer()?, Some(until.integer()?));
    Some(())
}

fn permit(walk: &mut Walk<'_>, _call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [owner, single, _] = args else { return None };
    let [details, spender, _deadline] = single.many()? else { return None };
    detail(walk, owner.account()?, spender.account()?, details)
}

fn permits(walk: &mut Walk<'_>, _call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [owner, batch, _] = args else { return None };
    let [details, spender, _deadline] = batch.many()? else { return None };
    let (owner, spender) = (owner.account()?, spender.account()?);
    details.many()?.iter().try_for_each(|details| detail(walk, owner, spender, details))
}

fn transfer(walk: &mut Walk<'_>, _call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [from, to, amount, token] = args else { return None };
    walk.add(Act::TokenTransfer {
        token: token.account()?,
        from: Some(from.account()?),
        to: to.account()?,
        quantity: Quantity::Amount(amount.integer()?),
    });
    Some(())
}

fn transfers(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [list] = args else { return None };
    list.many()?.iter().try_for_each(|item| transfer(walk, call, item.many()?))
}

fn signed(walk: &mut Walk<'_>, owner: Account, permitted: &Value<'_>, details: &Value<'_>) -> Option<()> {
    let ([token, most], [to, amount]) = (permitted.many()?, details.many()?) else { return None };
    // More than was signed for is refused by the contract.
    let amount = amount.integer()?;
    most.integer()?.checked_sub(amount)?;
    walk.add(Act::TokenTransfer {
        token: token.account()?,
        from: Some(owner),
        to: to.account()?,
        quantity: Quantity::Amount(amount),
    });
    Some(())
}

fn signed_transfer(walk: &mut Walk<'_>, _call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [permit, details, owner, ..] = args else { return None };
    let [permitted, _nonce, _deadline] = permit.many()? else { return None };
    signed(walk, owner.account()?, permitted, details)
}

fn signed_transfers(walk: &mut Walk<'_>, _call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [permit, details, owner, ..] = args else { return None };
    let [permitted, _nonce, _deadline] = permit.many()? else { return None };
    let (permitted, details, owner) = (permitted.many()?, details.many()?, owner.account()?);
    if permitted.len() != details.len() {
        return None;
    }
    permitted.iter().zip(details).try_for_each(|(permitted, details)| signed(walk, owner, permitted, details))
}

fn lockdown(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [pairs] = args else { return None };
    for pair in pairs.many()? {
        let [token, spender] = pair.many()? else { return None };
        allowance(walk, call.by, spender.account()?, token.account()?, U256::ZERO, None);
    }
    Some(())
}
