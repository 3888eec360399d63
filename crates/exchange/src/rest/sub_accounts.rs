//! Sub-accounts: which there are, and moving funds between them and their master.

use domain::AccountId;
use serde_json::json;

use super::{
    Call, Reply,
    codes::{Deed, Fault},
    fields::Fields,
    public::millis,
};

pub(super) fn list(call: &Call<'_>) -> Result<Reply, Fault> {
    let account = call.account()?;
    let ledger = call.shared.ledger.lock();
    let subs = ledger.sub_accounts(account).map_err(|refusal| Fault::of(&refusal, Deed::Read))?;
    let mut wanted = Vec::new();
    for (name, opened_at) in subs {
        if call.query.allows("subAcct", name.as_str())? {
            wanted.push((name, opened_at));
        }
    }
    let page = call.query.page(wanted.into_iter(), |(_, opened_at)| opened_at.as_millis())?;
    let rows = page.into_iter().map(|(name, opened_at)| {
        json!({
            "type": "1",
            "enable": true,
            "subAcct": name.as_str(),
            "uid": name.as_str(),
            "label": "",
            "mobile": "",
            "gAuth": false,
            "frozenFunc": [],
            "canTransOut": false,
            "ts": millis(opened_at),
        })
    });
    Ok(Reply::rows(rows.collect()))
}

/// `type` 1 moves from the master to the sub-account, 2 back, both asked for by the master. There is one wallet per
/// account, so a transfer between wallets of one account (`type` 0) has nothing to move.
pub(super) fn transfer(call: &Call<'_>) -> Result<Reply, Fault> {
    let master = call.account()?;
    let fields = Fields::of(&call.body)?;
    let asset = fields.asset("ccy")?.ok_or_else(|| Fault::parameter("ccy"))?;
    let amount = fields.amount("amt")?.ok_or_else(|| Fault::parameter("amt"))?;
    let sub = fields.required("subAcct")?;
    let sub = AccountId::parse(&sub).map_err(|_| Fault::parameter("subAcct"))?;
    let (from, to) = match fields.required("type")?.as_str() {
        "1" => (master, &sub),
        "2" => (&sub, master),
        _ => return Err(Fault::parameter("type")),
    };
    let outcome = call.shared.act(|ledger, _| {
        // A sub-account's own key must not reach for its master's funds.
        if ledger.master_of(master)?.is_some() {
            return Err(crate::ledger::Refusal::SubAccountUnknown);
        }
        ledger.transfer(from, to, &asset, amount)
    });
    let id = outcome.map_err(|refusal| Fault::of(&refusal, Deed::Transfer))?;
    Ok(Reply::row(json!({
        "transId": id.to_string(),
        "ccy": asset.as_str(),
        "clientId": fields.text("clientId")?.unwrap_or_default(),
        "from": "18",
        "to": "18",
        "amt": amount.to_string(),
    })))
}
