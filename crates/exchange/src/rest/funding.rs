//! Money in and out: currencies, deposits, withdrawals.

use domain::{Asset, Destination, Network};
use serde_json::{Value, json};

use super::{
    Call, Reply,
    codes::{Deed, Fault},
    fields::Fields,
    public::millis,
};
use crate::{
    address,
    catalog::{Catalog, Chain, Currency},
    ledger::{Deposit, NewWithdrawal, Payee, Refusal, Review, Withdrawal, WithdrawalState},
    random::SplitMix64,
};

pub(super) fn currencies(call: &Call<'_>) -> Result<Reply, Fault> {
    let ledger = call.shared.ledger.lock();
    let mut rows = Vec::new();
    for currency in asked_currencies(ledger.catalog(), &call.query)? {
        rows.extend(currency.chains.iter().enumerate().map(|(index, chain)| {
            json!({
                "ccy": currency.asset.as_str(),
                "name": currency.name,
                "chain": chain.name,
                "mainNet": index == 0,
                "canDep": true,
                "canWd": true,
                "canInternal": true,
                "fee": chain.withdrawal_fee.to_string(),
                "minFee": chain.withdrawal_fee.to_string(),
                "maxFee": chain.withdrawal_fee_max.to_string(),
                "minWd": chain.withdrawal_min.to_string(),
                "maxWd": chain.withdrawal_max.to_string(),
                "wdTickSz": chain.withdrawal_places.to_string(),
                "minDep": "0",
                "minDepArrivalConfirm": chain.confirmations.to_string(),
                "minWdUnlockConfirm": chain.confirmations.to_string(),
                "needTag": false,
                "burningFeeRate": "",
                "ctAddr": "",
                "logoLink": "",
                "usedWdQuota": "0",
                "wdQuota": "",
            })
        }));
    }
    Ok(Reply::rows(rows))
}

pub(super) fn deposit_address(call: &Call<'_>) -> Result<Reply, Fault> {
    let account = call.account()?;
    call.query.required("ccy")?;
    let ledger = call.shared.ledger.lock();
    let mut rows = Vec::new();
    for currency in asked_currencies(ledger.catalog(), &call.query)? {
        for chain in &currency.chains {
            // Chains of one family share the address, as wallets do.
            let name = format!("deposit/{account}/{}", chain.network.family());
            let mut random = SplitMix64::named(call.shared.seed, &name);
            rows.push(json!({
                "ccy": currency.asset.as_str(),
                "chain": chain.name,
                "addr": address::draw(chain.network, &mut random),
                "selected": true,
                "to": "6",
                "ctAddr": "",
                "verifiedName": "",
            }));
        }
    }
    Ok(Reply::rows(rows))
}

pub(super) fn deposit_history(call: &Call<'_>) -> Result<Reply, Fault> {
    let ledger = call.shared.ledger.lock();
    let deposits = ledger.deposits(call.account()?).map_err(|refusal| Fault::of(&refusal, Deed::Read))?;
    let mut wanted = Vec::new();
    for deposit in deposits {
        if call.query.allows("ccy", deposit.asset.as_str())?
            && call.query.allows("depId", &deposit.id.to_string())?
        {
            wanted.push(deposit);
        }
    }
    let page = call.query.page(wanted.into_iter(), |deposit| deposit.at.as_millis())?;
    Ok(Reply::rows(page.into_iter().map(|deposit| deposit_row(ledger.catalog(), deposit)).collect()))
}

pub(crate) fn deposit_row(catalog: &Catalog, deposit: &Deposit) -> Value {
    json!({
        "depId": deposit.id.to_string(),
        "ccy": deposit.asset.as_str(),
        "chain": chain_name(catalog, &deposit.asset, deposit.network),
        "amt": deposit.amount.to_string(),
        "from": deposit.from.clone().unwrap_or_default(),
        "to": "",
        "txId": "",
        "state": "2",
        "ts": millis(deposit.at),
    })
}

pub(super) fn withdraw(call: &Call<'_>) -> Result<Reply, Fault> {
    let fields = Fields::of(&call.body)?;
    let request = withdrawal_of(call, &fields)?;
    let outcome = call.shared.act(|ledger, now| ledger.request_withdrawal(&request, Review::Done, now));
    let withdrawal = outcome.map_err(|refusal| Fault::of(&refusal, Deed::Withdraw))?;
    let chain = withdrawal_chain(call.shared.ledger.lock().catalog(), &withdrawal);
    Ok(Reply::row(json!({
        "wdId": withdrawal.id.to_string(),
        "ccy": withdrawal.asset.as_str(),
        "chain": chain,
        "amt": withdrawal.amount.to_string(),
        "clientId": withdrawal.client_id.unwrap_or_default(),
    })))
}

pub(super) fn cancel_withdrawal(call: &Call<'_>) -> Result<Reply, Fault> {
    let account = call.account()?;
    let id = Fields::of(&call.body)?.number("wdId")?.ok_or_else(|| Fault::parameter("wdId"))?;
    let outcome = call.shared.act(|ledger, now| ledger.cancel_withdrawal(account, id, now));
    let withdrawal = outcome.map_err(|refusal| Fault::of(&refusal, Deed::CancelWithdrawal))?;
    Ok(Reply::row(json!({ "wdId": withdrawal.id.to_string() })))
}

pub(super) fn withdrawal_history(call: &Call<'_>) -> Result<Reply, Fault> {
    let ledger = call.shared.ledger.lock();
    let withdrawals =
        ledger.withdrawals(call.account()?).map_err(|refusal| Fault::of(&refusal, Deed::Read))?;
    let mut wanted = Vec::new();
    for withdrawal in withdrawals {
        if call.query.allows("ccy", withdrawal.asset.as_str())?
            && call.query.allows("wdId", &withdrawal.id.to_string())?
            && call.query.allows("clientId", withdrawal.client_id.as_deref().unwrap_or_default())?
            && call.query.allows("txId", withdrawal.transaction_id.as_deref().unwrap_or_default())?
            && call.query.allows("state", state_code(withdrawal.state))?
        {
            wanted.push(withdrawal);
        }
    }
    let page = call.query.page(wanted.into_iter(), |withdrawal| withdrawal.created_at.as_millis())?;
    Ok(Reply::rows(page.into_iter().map(|row| withdrawal_row(ledger.catalog(), row)).collect()))
}

/// What a body asks for. The chain may be left out only where the currency has a single one: guessing where money
/// goes is nobody's business.
fn withdrawal_of(call: &Call<'_>, fields: &Fields) -> Result<NewWithdrawal, Fault> {
    let asset = fields.asset("ccy")?.ok_or_else(|| Fault::parameter("ccy"))?;
    let to = fields.required("toAddr")?;
    let destination = match fields.required("dest")?.as_str() {
        "3" => Destination::Internal { recipient: to },
        "4" => {
            let ledger = call.shared.ledger.lock();
            let currency = ledger.catalog().currency(asset.as_str());
            let currency = currency.ok_or_else(|| Fault::parameter("ccy"))?;
            let network = named_network(currency, fields.text("chain")?.as_deref()).ok_or_else(|| {
                Fault::of(&Refusal::ChainUnavailable { asset: asset.clone() }, Deed::Withdraw)
            })?;
            let (address, tag) = network.split_tag(&to);
            let (address, tag) = (address.to_owned(), tag.map(str::to_owned));
            Destination::OnChain { network, address, tag }
        }
        _ => return Err(Fault::parameter("dest")),
    };
    Ok(NewWithdrawal {
        account: call.account()?.clone(),
        amount: fields.amount("amt")?.ok_or_else(|| Fault::parameter("amt"))?,
        fee: fields.amount("fee")?,
        client_id: fields.text("clientId")?,
        asset,
        destination,
    })
}

fn named_network(currency: &Currency, chain: Option<&str>) -> Option<Network> {
    match (chain, currency.chains.as_slice()) {
        (None, [only]) => Some(only.network),
        (None, _) => None,
        (Some(chain), _) => Network::from_okx_chain(currency.asset.as_str(), chain).ok(),
    }
}

fn asked_currencies<'a>(catalog: &'a Catalog, query: &Fields) -> Result<Vec<&'a Currency>, Fault> {
    let Some(named) = query.text("ccy")? else { return Ok(catalog.currencies.iter().collect()) };
    let named = named.split(',').take(catalog.currencies.len());
    named.map(|ticker| catalog.currency(ticker).ok_or_else(|| Fault::parameter("ccy"))).collect()
}

fn chain_name<'a>(catalog: &'a Catalog, asset: &Asset, network: Network) -> &'a str {
    let chain: Option<&Chain> = catalog.currency(asset.as_str()).and_then(|currency| currency.chain(network));
    chain.map_or("", |chain| chain.name.as_str())
}

fn withdrawal_chain(catalog: &Catalog, withdrawal: &Withdrawal) -> String {
    match &withdrawal.payee {
        Payee::Account(_) => String::new(),
        Payee::Address { network, .. } => chain_name(catalog, &withdrawal.asset, *network).to_owned(),
    }
}

/// The number OKX shows for a state.
const fn state_code(state: WithdrawalState) -> &'static str {
    match state {
        WithdrawalState::Broadcasting => "1",
        WithdrawalState::Canceled => "-2",
        WithdrawalState::Failed => "-1",
        WithdrawalState::Succeeded => "2",
        WithdrawalState::UnderReview => "4",
        WithdrawalState::Waiting => "0",
    }
}

pub(crate) fn withdrawal_row(catalog: &Catalog, withdrawal: &Withdrawal) -> Value {
    let (to, tag) = match &withdrawal.payee {
        Payee::Account(recipient) => (recipient.as_str(), None),
        Payee::Address { address, tag, .. } => (address.as_str(), tag.as_deref()),
    };
    let mut row = json!({
        "wdId": withdrawal.id.to_string(),
        "clientId": withdrawal.client_id.clone().unwrap_or_default(),
        "ccy": withdrawal.asset.as_str(),
        "chain": withdrawal_chain(catalog, withdrawal),
        "amt": withdrawal.amount.to_string(),
        "fee": withdrawal.fee.to_string(),
        "feeCcy": withdrawal.asset.as_str(),
        "from": "",
        "to": to,
        "txId": withdrawal.transaction_id.clone().unwrap_or_default(),
        "state": state_code(withdrawal.state),
        "nonTradableAsset": false,
        "ts": millis(withdrawal.created_at),
    });
    if let (Some(tag), Some(row)) = (tag, row.as_object_mut()) {
        row.insert("tag".into(), tag.into());
    }
    row
}
