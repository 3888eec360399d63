//! What anybody may know: time, instruments, prices, books, trades.

use std::time::Duration;

use domain::{Amount, UnixNanos};
use serde_json::{Value, json};

use super::{
    Call, Reply,
    codes::{Deed, Fault},
};
use crate::{
    catalog::{Catalog, Instrument},
    ledger::{Ledger, Side, Trade},
};

/// Deepest book shown, in price levels.
const DEPTH_MAX: u64 = 400;
/// Window of a ticker.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn time(call: &Call<'_>) -> Result<Reply, Fault> {
    Ok(Reply::row(json!({ "ts": millis(call.now) })))
}

pub(super) fn instruments(call: &Call<'_>) -> Result<Reply, Fault> {
    // Other kinds exist at OKX; this exchange lists none, which is an empty list and no error.
    let kind = call.query.required("instType")?;
    let id = call.query.text("instId")?;
    let ledger = call.shared.ledger.lock();
    let rows = ledger.catalog().instruments.iter();
    let rows = rows.filter(|listed| kind == "SPOT" && id.as_ref().is_none_or(|id| listed.id == *id));
    Ok(Reply::rows(rows.map(|listed| instrument_row(ledger.catalog(), listed)).collect()))
}

pub(super) fn ticker(call: &Call<'_>) -> Result<Reply, Fault> {
    let id = call.query.required("instId")?;
    let ledger = call.shared.ledger.lock();
    let listed = ledger.catalog().instrument(&id).ok_or_else(no_instrument)?;
    Ok(Reply::row(ticker_row(&ledger, listed, call.now)?))
}

pub(super) fn tickers(call: &Call<'_>) -> Result<Reply, Fault> {
    let kind = call.query.required("instType")?;
    let ledger = call.shared.ledger.lock();
    let listed = ledger.catalog().instruments.iter().filter(|_| kind == "SPOT");
    let rows = listed.map(|listed| ticker_row(&ledger, listed, call.now));
    Ok(Reply::rows(rows.collect::<Result<_, _>>()?))
}

pub(super) fn books(call: &Call<'_>) -> Result<Reply, Fault> {
    let id = call.query.required("instId")?;
    let depth = call.query.number("sz")?.unwrap_or(1).clamp(1, DEPTH_MAX);
    let depth = usize::try_from(depth).map_err(|_| Fault::parameter("sz"))?;
    let ledger = call.shared.ledger.lock();
    let side = |side| {
        let levels = ledger.levels(&id, side, depth).map_err(|refusal| Fault::of(&refusal, Deed::Read))?;
        Ok::<_, Fault>(levels.iter().map(level_row).collect::<Vec<Value>>())
    };
    Ok(Reply::row(json!({
        "asks": side(Side::Sell)?,
        "bids": side(Side::Buy)?,
        "ts": millis(call.now),
    })))
}

pub(super) fn trades(call: &Call<'_>) -> Result<Reply, Fault> {
    let id = call.query.required("instId")?;
    let ledger = call.shared.ledger.lock();
    let trades = ledger.trades(&id).map_err(|refusal| Fault::of(&refusal, Deed::Read))?;
    let trades = call.query.page(trades, |trade| trade.id)?;
    Ok(Reply::rows(trades.into_iter().map(|trade| trade_row(&id, trade)).collect()))
}

pub(crate) fn trade_row(instrument: &str, trade: &Trade) -> Value {
    json!({
        "instId": instrument,
        "tradeId": trade.id.to_string(),
        "px": trade.price.to_string(),
        "sz": trade.quantity.to_string(),
        "side": side_name(trade.taker_side),
        "ts": millis(trade.at),
    })
}

/// One price level: price, quantity, a number kept for compatibility, orders.
pub(crate) fn level_row((price, quantity, orders): &(Amount, Amount, usize)) -> Value {
    json!([price.to_string(), quantity.to_string(), "0", orders.to_string()])
}

/// Milliseconds since 1970 as text, the form of every time in an answer.
pub(crate) fn millis(at: UnixNanos) -> String {
    at.as_millis().to_string()
}

pub(crate) const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

fn no_instrument() -> Fault {
    Fault::of(&crate::ledger::Refusal::InstrumentUnknown { id: String::new() }, Deed::Read)
}

/// `10^-places`.
fn step(places: u32) -> String {
    Amount::from_parts(1, places).unwrap_or_default().to_string()
}

fn instrument_row(catalog: &Catalog, listed: &Instrument) -> Value {
    json!({
        "instType": "SPOT",
        "instId": listed.id,
        "instIdCode": catalog.code_of(&listed.id),
        "baseCcy": listed.base.as_str(),
        "quoteCcy": listed.quote.as_str(),
        "tickSz": step(listed.price_places),
        "lotSz": step(listed.quantity_places),
        "minSz": listed.quantity_min.to_string(),
        "maxLmtSz": listed.quantity_max.to_string(),
        "maxMktSz": "1000000000",
        "state": "live",
        "lever": "1",
        "listTime": "1548133413000",
        "category": "1",
        "alias": "", "ctMult": "", "ctType": "", "ctVal": "", "ctValCcy": "", "expTime": "",
        "instFamily": "", "optType": "", "settleCcy": "", "stk": "", "uly": "",
    })
}

pub(crate) fn ticker_row(ledger: &Ledger, listed: &Instrument, now: UnixNanos) -> Result<Value, Fault> {
    let fault = |refusal| Fault::of(&refusal, Deed::Read);
    let best = |side| {
        let levels = ledger.levels(&listed.id, side, 1).map_err(fault)?;
        let best = levels.first().map(|(price, quantity, _)| (price.to_string(), quantity.to_string()));
        Ok::<_, Fault>(best.unwrap_or_default())
    };
    let (ask, bid) = (best(Side::Sell)?, best(Side::Buy)?);
    let mut trades = ledger.trades(&listed.id).map_err(fault)?.peekable();
    let last = trades.peek().map_or(listed.reference_price, |trade| trade.price);
    let last_quantity = trades.peek().map_or(Amount::ZERO, |trade| trade.quantity);
    let (mut open, mut high, mut low) = (last, last, last);
    let (mut volume, mut value) = (Amount::ZERO, Amount::ZERO);
    for trade in trades.take_while(|trade| now.since(trade.at) < DAY) {
        open = trade.price;
        high = high.max(trade.price);
        low = low.min(trade.price);
        volume = volume.checked_add(trade.quantity).unwrap_or(volume);
        let traded = trade.price.checked_mul(trade.quantity).unwrap_or_default();
        value = value.checked_add(traded).unwrap_or(value);
    }
    Ok(json!({
        "instType": "SPOT",
        "instId": listed.id,
        "last": last.to_string(),
        "lastSz": last_quantity.to_string(),
        "askPx": ask.0,
        "askSz": ask.1,
        "bidPx": bid.0,
        "bidSz": bid.1,
        "open24h": open.to_string(),
        "high24h": high.to_string(),
        "low24h": low.to_string(),
        "vol24h": volume.to_string(),
        "volCcy24h": value.to_string(),
        "ts": millis(now),
    }))
}
