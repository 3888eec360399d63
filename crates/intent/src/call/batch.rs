//! Bundles: calls that make other calls. Multicall of contracts on themselves, Multicall3, Safe's MultiSend, accounts
//! with code of their own (ERC-4337 wallets, ERC-7579, ERC-7821), timelocks.

use chain::{evm::Account, u256::U256};

use super::{Arguments, Call, Function, Walk, function};
use crate::{
    abi::{self, Value},
    effect::Act,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(0xac96_50d8, "multicall(bytes[])", multicall),
    function(0x5ae4_01dc, "multicall(uint256,bytes[])", multicall),
    function(0x1f04_64d1, "multicall(bytes32,bytes[])", multicall),
    function(0x252d_ba42, "aggregate((address,bytes)[])", aggregate),
    function(0xbce3_8bd7, "tryAggregate(bool,(address,bytes)[])", aggregate),
    function(0xc307_7fa9, "blockAndAggregate((address,bytes)[])", aggregate),
    function(0x3995_42e9, "tryBlockAndAggregate(bool,(address,bytes)[])", aggregate),
    function(0x82ad_56cb, "aggregate3((address,bool,bytes)[])", aggregate3),
    function(0x174d_ea71, "aggregate3Value((address,bool,uint256,bytes)[])", aggregate3_value),
    function(0x8d80_ff0a, "multiSend(bytes)", multi_send),
    function(0xb61d_27f6, "execute(address,uint256,bytes)", execute),
    function(0x5194_5447, "execute(address,uint256,bytes,uint8)", execute_operation),
    function(0xe9ae_5c53, "execute(bytes32,bytes)", execute_mode),
    function(0x18df_b3c7, "executeBatch(address[],bytes[])", execute_lists),
    function(0x47e1_da2a, "executeBatch(address[],uint256[],bytes[])", execute_lists),
    function(0x34fc_d5be, "executeBatch((address,uint256,bytes)[])", execute_batch),
    function(0x01d5_062a, "schedule(address,uint256,bytes,bytes32,bytes32,uint256)", schedule),
    function(
        0x8f2a_0bb0,
        "scheduleBatch(address[],uint256[],bytes[],bytes32,bytes32,uint256)",
        schedule_batch,
    ),
    function(0x1340_08d3, "execute(address,uint256,bytes,bytes32,bytes32)", execute),
    function(0xe383_35e5, "executeBatch(address[],uint256[],bytes[],bytes32,bytes32)", execute_lists),
];

/// `multiSend(bytes)`.
const MULTI_SEND: [u8; 4] = [0x8d, 0x80, 0xff, 0x0a];

/// Whether a function may be read when it runs in another's name: it does nothing but make calls.
pub(super) fn is_bundle(selector: [u8; 4]) -> bool {
    selector == MULTI_SEND
}

/// Each text is a call of the contract to itself, in the name of whoever called it.
fn multicall(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    for (number, data) in args.last()?.many()?.iter().enumerate() {
        let data = data.bytes()?;
        walk.inner(number, &Call { value: U256::ZERO, data, ..*call });
    }
    Some(())
}

/// A call of the bundling contract.
fn made<'d>(call: &Call<'_>, to: Account, value: U256, data: &'d [u8]) -> Call<'d> {
    Call { by: Some(call.to), to, value, data, is_delegate: false }
}

fn aggregate(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    for (number, item) in args.last()?.many()?.iter().enumerate() {
        let [to, data] = item.many()? else { return None };
        walk.inner(number, &made(call, to.account()?, U256::ZERO, data.bytes()?));
    }
    Some(())
}

fn aggregate3(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    for (number, item) in args.last()?.many()?.iter().enumerate() {
        let [to, _may_fail, data] = item.many()? else { return None };
        walk.inner(number, &made(call, to.account()?, U256::ZERO, data.bytes()?));
    }
    Some(())
}

fn aggregate3_value(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    for (number, item) in args.last()?.many()?.iter().enumerate() {
        let [to, _may_fail, value, data] = item.many()? else { return None };
        walk.inner(number, &made(call, to.account()?, value.integer()?, data.bytes()?));
    }
    Some(())
}

/// Packed: operation (1 byte), to (20), value (32), length (32), data.
fn multi_send(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [packed] = args else { return None };
    let mut rest = packed.bytes()?;
    // In the name of the Safe where the Safe runs this code, else in its own.
    let by = if call.is_delegate { call.by } else { Some(call.to) };
    let mut number = 0;
    while !rest.is_empty() {
        let (operation, after) = rest.split_first()?;
        let (to, after) = after.split_first_chunk::<20>()?;
        let (value, after) = after.split_first_chunk::<32>()?;
        let (len, after) = after.split_first_chunk::<32>()?;
        let len = usize::try_from(U256::from_be_bytes(*len).to_u64()?).ok()?;
        let (data, after) = after.split_at_checked(len)?;
        let is_delegate = match operation {
            0 => false,
            1 => true,
            _ => return None,
        };
        let value = U256::from_be_bytes(*value);
        walk.inner(number, &Call { by, to: Account(*to), value, data, is_delegate });
        number += 1;
        rest = after;
    }
    Some(())
}

fn execute(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [to, value, data, ..] = args else { return None };
    walk.inner(0, &made(call, to.account()?, value.integer()?, data.bytes()?));
    Some(())
}

fn execute_operation(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [to, value, data, operation] = args else { return None };
    let is_delegate = match operation.integer()?.to_u64()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let made = made(call, to.account()?, value.integer()?, data.bytes()?);
    walk.inner(0, &Call { is_delegate, ..made });
    Some(())
}

/// ERC-7579 and ERC-7821: the first byte of the mode says whether it is one call, many, or somebody's code.
fn execute_mode(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [mode, data] = args else { return None };
    let data = data.bytes()?;
    match mode.fixed()?.first()? {
        0x00 => {
            let (to, rest) = data.split_first_chunk::<20>()?;
            let (value, rest) = rest.split_first_chunk::<32>()?;
            walk.inner(0, &made(call, Account(*to), U256::from_be_bytes(*value), rest));
        }
        0x01 => {
            // With or without further data, the list of calls comes first.
            let (values, _) =
                abi::arguments("calls((address,uint256,bytes)[])", data, &mut walk.budget).ok()?;
            each(walk, call, values.first()?)?;
        }
        0xff => {
            let (to, rest) = data.split_first_chunk::<20>()?;
            let made = made(call, Account(*to), U256::ZERO, rest);
            walk.inner(0, &Call { is_delegate: true, ..made });
        }
        _ => return None,
    }
    Some(())
}

/// A list of calls; the zero account means the bundling one itself (ERC-7821).
fn each(walk: &mut Walk<'_>, call: &Call<'_>, list: &Value<'_>) -> Option<()> {
    for (number, item) in list.many()?.iter().enumerate() {
        let [to, value, data] = item.many()? else { return None };
        let to = Some(to.account()?).filter(|to| *to != Account::ZERO).unwrap_or(call.to);
        walk.inner(number, &made(call, to, value.integer()?, data.bytes()?));
    }
    Some(())
}

fn execute_batch(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let [list] = args else { return None };
    each(walk, call, list)
}

/// Lists side by side: accounts, values (or none), texts.
fn execute_lists(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    let lists: Vec<&[Value<'_>]> = args.iter().filter_map(Value::many).collect();
    let (to, values, data) = match lists[..] {
        [to, data] => (to, None, data),
        [to, values, data] => (to, Some(values), data),
        _ => return None,
    };
    if to.len() != data.len() || values.is_some_and(|values| values.len() != to.len()) {
        return None;
    }
    for (number, (to, data)) in to.iter().zip(data).enumerate() {
        let value = match values {
            Some(values) => values.get(number)?.integer()?,
            None => U256::ZERO,
        };
        walk.inner(number, &made(call, to.account()?, value, data.bytes()?));
    }
    Some(())
}

fn schedule(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    walk.add(Act::Scheduled { contract: call.to, delay_s: args.last()?.integer()? });
    execute(walk, call, args)
}

fn schedule_batch(walk: &mut Walk<'_>, call: &Call<'_>, args: &Arguments<'_>) -> Option<()> {
    walk.add(Act::Scheduled { contract: call.to, delay_s: args.last()?.integer()? });
    execute_lists(walk, call, args)
}
