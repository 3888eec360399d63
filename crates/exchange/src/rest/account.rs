//! The account: balances, configuration, fees.

use domain::{Asset, UnixNanos};
use serde_json::{Value, json};

use super::{
    Call, Reply,
    codes::{Deed, Fault},
    public::millis,
};
use crate::ledger::{Balance, MAKER_FEE_BPS, TAKER_FEE_BPS};

/// Currencies one request may name.
const CURRENCIES_MAX: usize = 20;

/// The currencies asked for and what the account has of them; all it ever had when none is named.
fn asked_balances(call: &Call<'_>) -> Result<Vec<(Asset, Balance)>, Fault> {
    let account = call.account()?;
    let ledger = call.shared.ledger.lock();
    let Some(named) = call.query.text("ccy")? else {
        let all = ledger.balances().balances(account);
        return Ok(all.map(|(asset, balance)| (asset.clone(), balance)).collect());
    };
    let named: Vec<&str> = named.split(',').collect();
    if named.len() > CURRENCIES_MAX {
        return Err(Fault::parameter("ccy"));
    }
    let balances = named.into_iter().map(|ticker| {
        let listed = ledger.catalog().currency(ticker).ok_or_else(|| Fault::parameter("ccy"))?;
        Ok((listed.asset.clone(), ledger.balances().balance(account, &listed.asset)))
    });
    balances.collect()
}

pub(super) fn balance(call: &Call<'_>) -> Result<Reply, Fault> {
    Ok(Reply::row(balance_row(asked_balances(call)?.iter(), call.now)))
}

/// Balances as the account endpoint and the account channel show them.
pub(crate) fn balance_row<'a>(balances: impl Iterator<Item = &'a (Asset, Balance)>, now: UnixNanos) -> Value {
    let details = balances.map(|(asset, balance)| {
        json!({
            "ccy": asset.as_str(),
            "eq": balance.total().to_string(),
            "cashBal": balance.total().to_string(),
            "availBal": balance.available.to_string(),
            "availEq": balance.available.to_string(),
            "frozenBal": balance.held.to_string(),
            "ordFrozen": balance.held.to_string(),
            "uTime": millis(now),
        })
    });
    json!({ "uTime": millis(now), "totalEq": "", "adjEq": "", "details": details.collect::<Vec<Value>>() })
}

pub(super) fn funding_balances(call: &Call<'_>) -> Result<Reply, Fault> {
    let rows = asked_balances(call)?.into_iter().map(|(asset, balance)| {
        json!({
            "ccy": asset.as_str(),
            "bal": balance.total().to_string(),
            "availBal": balance.available.to_string(),
            "frozenBal": balance.held.to_string(),
        })
    });
    Ok(Reply::rows(rows.collect()))
}

pub(super) fn config(call: &Call<'_>) -> Result<Reply, Fault> {
    let account = call.account()?;
    let fault = |refusal| Fault::of(&refusal, Deed::Read);
    let ledger = call.shared.ledger.lock();
    let opened_at = ledger.opened_at(account).map_err(fault)?;
    let master = ledger.master_of(account).map_err(fault)?;
    Ok(Reply::row(json!({
        "uid": account.as_str(),
        "mainUid": master.unwrap_or(account).as_str(),
        "acctLv": "1",
        "posMode": "net_mode",
        "autoLoan": false,
        "level": "Lv1",
        "label": call.api_key,
        "type": if master.is_some() { "1" } else { "0" },
        "openedAt": millis(opened_at),
    })))
}

pub(super) fn trade_fee(call: &Call<'_>) -> Result<Reply, Fault> {
    call.account()?;
    // A negative rate is a fee, a positive one a rebate.
    let rate = |bps: u32| {
        let rate = domain::Amount::from_parts(-i128::from(bps), 4).unwrap_or_default();
        rate.to_string()
    };
    Ok(Reply::row(json!({
        "instType": call.query.required("instType")?,
        "level": "Lv1",
        "maker": rate(MAKER_FEE_BPS),
        "taker": rate(TAKER_FEE_BPS),
        "ts": millis(call.now),
    })))
}
