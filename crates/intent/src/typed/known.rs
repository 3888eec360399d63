//! The messages that are understood. Each is compared with its whole type before anything is read from it.

use chain::{
    evm::{Account, ApprovalScope},
    u256::U256,
};

use super::{Typed, TypedMessage};
use crate::{
    call::{PERMIT2, Walk, operation, refund},
    effect::{Act, Grant, Quantity, shown},
};

const PERMIT: &str = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)";
const PERMIT_ALL: &str = "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)";
const TRANSFER: &str = "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)";
const RECEIVE: &str = "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)";
const PERMIT_SINGLE: &str = "PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)";
const PERMIT_BATCH: &str = "PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)";
const PERMIT_TRANSFER: &str = "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)";
const PERMIT_BATCH_TRANSFER: &str = "PermitBatchTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)";
/// A witness is any further field of any further type, after the four of the plain form.
const PERMIT_WITNESS: &str =
    "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,";
const PERMIT_BATCH_WITNESS: &str = "PermitBatchWitnessTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline,";
const SAFE_TX: &str = "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)";
const ORDER: &str = "OrderComponents(address offerer,address zone,OfferItem[] offer,ConsiderationItem[] consideration,uint8 orderType,uint256 startTime,uint256 endTime,bytes32 zoneHash,uint256 salt,bytes32 conduitKey,uint256 counter)ConsiderationItem(uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,uint256 endAmount,address recipient)OfferItem(uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,uint256 endAmount)";

const NO_CONTRACT: &str = "it is bound to no contract";
const OTHER_CONTRACT: &str = "it is written for Permit2, but bound to another contract";
const OTHER_SHAPE: &str = "its values are not those of its type";

/// Reads a message into acts, or says why it is not known.
pub(super) fn read(
    message: &TypedMessage,
    signer: Option<Account>,
    walk: &mut Walk<'_>,
) -> Result<(), &'static str> {
    let value = &message.value;
    let contract = message.domain.contract;
    let permit2 = || match contract {
        Some(PERMIT2) => Ok(()),
        _ => Err(OTHER_CONTRACT),
    };
    let understood = match message.encoded_type.as_str() {
        PERMIT => permit(walk, contract.ok_or(NO_CONTRACT)?, value),
        PERMIT_ALL => permit_all(walk, contract.ok_or(NO_CONTRACT)?, value),
        TRANSFER | RECEIVE => transfer(walk, contract.ok_or(NO_CONTRACT)?, value),
        PERMIT_SINGLE => {
            permit2()?;
            details(walk, signer, value, value.field("details"))
        }
        PERMIT_BATCH => {
            permit2()?;
            each(value, "details", |item| details(walk, signer, value, Some(item)))
        }
        PERMIT_TRANSFER => {
            permit2()?;
            permitted(walk, signer, value, value.field("permitted"))
        }
        PERMIT_BATCH_TRANSFER => {
            permit2()?;
            each(value, "permitted", |item| permitted(walk, signer, value, Some(item)))
        }
        SAFE_TX => safe_tx(walk, contract.ok_or(NO_CONTRACT)?, value),
        ORDER => order(walk, value),
        // What the witness binds it to is not read, so the message is not understood as a whole.
        with if with.starts_with(PERMIT_WITNESS) => {
            permit2()?;
            permitted(walk, signer, value, value.field("permitted")).ok_or(OTHER_SHAPE)?;
            return Err("what its witness binds it to is not read");
        }
        with if with.starts_with(PERMIT_BATCH_WITNESS) => {
            permit2()?;
            each(value, "permitted", |item| permitted(walk, signer, value, Some(item))).ok_or(OTHER_SHAPE)?;
            return Err("what its witness binds it to is not read");
        }
        _ => return Err("no such type is known here"),
    };
    understood.ok_or(OTHER_SHAPE)
}

fn account(value: &Typed, name: &str) -> Option<Account> {
    value.field(name)?.account()
}

fn integer(value: &Typed, name: &str) -> Option<U256> {
    value.field(name)?.integer()
}

fn each(value: &Typed, name: &str, read: impl FnMut(&Typed) -> Option<()>) -> Option<()> {
    value.field(name)?.list()?.iter().try_for_each(read)
}

fn permit(walk: &mut Walk<'_>, token: Account, value: &Typed) -> Option<()> {
    walk.add(Act::Allowance {
        token,
        owner: Some(account(value, "owner")?),
        spender: account(value, "spender")?,
        grant: Grant::Set,
        amount: integer(value, "value")?,
        until_s: None,
    });
    Some(())
}

fn permit_all(walk: &mut Walk<'_>, token: Account, value: &Typed) -> Option<()> {
    let allowed = value.field("allowed")?.flag()?;
    walk.add(Act::Allowance {
        token,
        owner: Some(account(value, "holder")?),
        spender: account(value, "spender")?,
        grant: Grant::Set,
        amount: if allowed { U256::MAX } else { U256::ZERO },
        until_s: None,
    });
    Some(())
}

fn transfer(walk: &mut Walk<'_>, token: Account, value: &Typed) -> Option<()> {
    walk.add(Act::TokenTransfer {
        token,
        from: Some(account(value, "from")?),
        to: account(value, "to")?,
        quantity: Quantity::Amount(integer(value, "value")?),
    });
    Some(())
}

fn details(
    walk: &mut Walk<'_>,
    owner: Option<Account>,
    message: &Typed,
    details: Option<&Typed>,
) -> Option<()> {
    let details = details?;
    walk.add(Act::Allowance {
        token: account(details, "token")?,
        owner,
        spender: account(message, "spender")?,
        grant: Grant::Set,
        amount: integer(details, "amount")?,
        until_s: Some(integer(details, "expiration")?),
    });
    Some(())
}

/// A signature that lets the spender move so much once, to whomever the spender likes.
fn permitted(
    walk: &mut Walk<'_>,
    owner: Option<Account>,
    message: &Typed,
    permitted: Option<&Typed>,
) -> Option<()> {
    let permitted = permitted?;
    walk.add(Act::Allowance {
        token: account(permitted, "token")?,
        owner,
        spender: account(message, "spender")?,
        grant: Grant::Set,
        amount: integer(permitted, "amount")?,
        until_s: Some(integer(message, "deadline")?),
    });
    Some(())
}

fn safe_tx(walk: &mut Walk<'_>, safe: Account, value: &Typed) -> Option<()> {
    let data = value.field("data")?.bytes()?;
    let call =
        operation(safe, account(value, "to")?, integer(value, "value")?, data, integer(value, "operation")?)?;
    let price = integer(value, "gasPrice")?;
    let (token, receiver) = (account(value, "gasToken")?, account(value, "refundReceiver")?);
    if let Some(act) = refund(safe, price, token, receiver) {
        walk.add(act);
    }
    walk.call(&call);
    Some(())
}

/// What an item is, as Seaport numbers it: native value, ERC-20, ERC-721, ERC-1155, and the last two by any of a set.
fn item(value: &Typed) -> Option<String> {
    let (start, end) = (integer(value, "startAmount")?, integer(value, "endAmount")?);
    let amount = if start == end { start.to_string() } else { format!("{start} to {end}") };
    let token = account(value, "token")?;
    let id = integer(value, "identifierOrCriteria")?;
    Some(match integer(value, "itemType")?.to_u64()? {
        0 => format!("{amount} wei"),
        1 if ApprovalScope::Amount(start).is_unlimited() => {
            format!("an unlimited amount of token {}", shown(&token))
        }
        1 => format!("{amount} units of token {}", shown(&token)),
        2 => format!("the single token {id} of {}", shown(&token)),
        3 => format!("{amount} of kind {id} of {}", shown(&token)),
        4 | 5 => format!("{amount} of any of a set of {}", shown(&token)),
        _ => return None,
    })
}

fn order(walk: &mut Walk<'_>, value: &Typed) -> Option<()> {
    let offerer = account(value, "offerer")?;
    let gives: Option<Vec<String>> = value.field("offer")?.list()?.iter().map(item).collect();
    let mut receives = Vec::new();
    for consideration in value.field("consideration")?.list()? {
        // What goes to others is the price they get, and nothing the offerer gets.
        let is_something = !integer(consideration, "startAmount")?.is_zero()
            && !integer(consideration, "endAmount")?.is_zero();
        if account(consideration, "recipient")? == offerer && is_something {
            receives.push(item(consideration)?);
        }
    }
    walk.add(Act::Order { offerer, gives: gives?, receives });
    Some(())
}
