//! Orders and fills.

use domain::Amount;
use serde_json::{Value, json};

use super::{
    Call, Reply,
    codes::{Deed, Fault},
    fields::Fields,
    public::{millis, side_name},
};
use crate::ledger::{
    Amendment, Fill, NewOrder, Order, OrderKind, OrderRef, OrderState, QuantityOf, Refusal, Side,
};

/// Orders in one batch.
const BATCH_MAX: usize = 20;

pub(crate) fn place(call: &Call<'_>) -> Result<Reply, Fault> {
    let fields = Fields::of(&call.body)?;
    Ok(summary(vec![acknowledge(&fields, "Order placed", call, place_one(call, &fields))], false))
}

pub(crate) fn place_batch(call: &Call<'_>) -> Result<Reply, Fault> {
    batch(call, |fields| acknowledge(fields, "Order placed", call, place_one(call, fields)))
}

pub(crate) fn cancel(call: &Call<'_>) -> Result<Reply, Fault> {
    let fields = Fields::of(&call.body)?;
    Ok(summary(vec![acknowledge(&fields, "", call, cancel_one(call, &fields))], false))
}

pub(crate) fn cancel_batch(call: &Call<'_>) -> Result<Reply, Fault> {
    batch(call, |fields| acknowledge(fields, "", call, cancel_one(call, fields)))
}

pub(crate) fn amend(call: &Call<'_>) -> Result<Reply, Fault> {
    let fields = Fields::of(&call.body)?;
    Ok(summary(vec![amended(&fields, call)], false))
}

pub(crate) fn amend_batch(call: &Call<'_>) -> Result<Reply, Fault> {
    batch(call, |fields| amended(fields, call))
}

fn amended(fields: &Fields, call: &Call<'_>) -> Acknowledged {
    let mut row = acknowledge(fields, "", call, amend_one(call, fields));
    if let Some(row) = row.row.as_object_mut() {
        row.insert("reqId".into(), fields.text("reqId").ok().flatten().unwrap_or_default().into());
    }
    row
}

pub(super) fn detail(call: &Call<'_>) -> Result<Reply, Fault> {
    let reference = order_ref(&call.query)?;
    let instrument = call.query.required("instId")?;
    let ledger = call.shared.ledger.lock();
    let order = ledger.order(call.account()?, &reference);
    let order = order.and_then(|order| {
        if order.terms.instrument == instrument { Ok(order) } else { Err(Refusal::OrderUnknown) }
    });
    let order = order.map_err(|refusal| Fault::of(&refusal, Deed::Read))?;
    Ok(Reply::row(order_row(order)))
}

pub(super) fn pending(call: &Call<'_>) -> Result<Reply, Fault> {
    let ledger = call.shared.ledger.lock();
    let orders = ledger.open_orders(call.account()?).map_err(|refusal| Fault::of(&refusal, Deed::Read))?;
    order_rows(call, orders)
}

pub(super) fn history(call: &Call<'_>) -> Result<Reply, Fault> {
    let ledger = call.shared.ledger.lock();
    let orders =
        ledger.finished_orders(call.account()?).map_err(|refusal| Fault::of(&refusal, Deed::Read))?;
    order_rows(call, orders)
}

pub(super) fn fills(call: &Call<'_>) -> Result<Reply, Fault> {
    let ledger = call.shared.ledger.lock();
    let fills = ledger.fills(call.account()?).map_err(|refusal| Fault::of(&refusal, Deed::Read))?;
    let (begin, end) = (call.query.number("begin")?, call.query.number("end")?);
    let mut wanted = Vec::new();
    for fill in fills {
        let at = fill.at.as_millis();
        let in_time = begin.is_none_or(|begin| at >= begin) && end.is_none_or(|end| at <= end);
        if in_time
            && call.query.allows("instType", "SPOT")?
            && call.query.allows("instId", &fill.instrument)?
            && call.query.allows("ordId", &fill.order_id.to_string())?
        {
            wanted.push(fill);
        }
    }
    let page = call.query.page(wanted.into_iter(), |fill| bill_id(fill))?;
    Ok(Reply::rows(page.into_iter().map(fill_row).collect()))
}

/// One order's part of an answer.
struct Acknowledged {
    row: Value,
    done: bool,
}

/// Answers for each object of an array; each stands and falls alone.
fn batch(call: &Call<'_>, mut one: impl FnMut(&Fields) -> Acknowledged) -> Result<Reply, Fault> {
    let items = call.body.as_array().ok_or_else(|| Fault::parameter("body"))?;
    if items.is_empty() {
        return Err(Fault::parameter("body"));
    }
    if items.len() > BATCH_MAX {
        let message = format!("Maximum {BATCH_MAX} orders can be placed in bulk");
        return Err(Fault::new(http::StatusCode::BAD_REQUEST, "51111", message));
    }
    let items = items.iter().map(Fields::of).collect::<Result<Vec<_>, _>>()?;
    Ok(summary(items.iter().map(&mut one).collect(), true))
}

fn summary(rows: Vec<Acknowledged>, many: bool) -> Reply {
    let done = rows.iter().filter(|row| row.done).count();
    let (code, message) = match (done, rows.len()) {
        (done, all) if done == all => ("0", ""),
        (0, _) if many => ("1", "All operations failed"),
        (0, _) => ("1", "Operation failed."),
        _ => ("2", "Bulk operation partially succeeded."),
    };
    Reply { code, message, rows: rows.into_iter().map(|row| row.row).collect() }
}

fn acknowledge(
    fields: &Fields,
    message: &str,
    call: &Call<'_>,
    outcome: Result<Order, Fault>,
) -> Acknowledged {
    let given = |name| fields.text(name).ok().flatten().unwrap_or_default();
    let row = match &outcome {
        Ok(order) => json!({
            "ordId": order.id.to_string(),
            "clOrdId": order.terms.client_id.clone().unwrap_or_default(),
            "tag": order.terms.tag.clone().unwrap_or_default(),
            "ts": millis(call.now),
            "sCode": "0",
            "sMsg": message,
        }),
        Err(fault) => json!({
            "ordId": given("ordId"),
            "clOrdId": given("clOrdId"),
            "tag": given("tag"),
            "ts": millis(call.now),
            "sCode": fault.code,
            "sMsg": fault.message,
        }),
    };
    Acknowledged { row, done: outcome.is_ok() }
}

fn place_one(call: &Call<'_>, fields: &Fields) -> Result<Order, Fault> {
    if fields.required("tdMode")? != "cash" {
        return Err(Fault::parameter("tdMode"));
    }
    let side = match fields.required("side")?.as_str() {
        "buy" => Side::Buy,
        "sell" => Side::Sell,
        _ => return Err(Fault::parameter("side")),
    };
    let kind = match fields.required("ordType")?.as_str() {
        "fok" => OrderKind::FillOrKill,
        "ioc" => OrderKind::ImmediateOrCancel,
        "limit" => OrderKind::Limit,
        "market" => OrderKind::Market,
        "post_only" => OrderKind::PostOnly,
        _ => return Err(Fault::parameter("ordType")),
    };
    let price = if kind.has_price() { fields.amount("px")? } else { None };
    let quantity_of = match (kind, side, fields.text("tgtCcy")?.as_deref()) {
        (OrderKind::Market, Side::Buy, None | Some("quote_ccy")) => QuantityOf::Quote,
        (OrderKind::Market, Side::Sell, Some("quote_ccy")) => return Err(Fault::parameter("tgtCcy")),
        (_, _, None | Some("base_ccy" | "quote_ccy")) => QuantityOf::Base,
        _ => return Err(Fault::parameter("tgtCcy")),
    };
    let terms = NewOrder {
        account: call.account()?.clone(),
        instrument: fields.required("instId")?,
        side,
        kind,
        price,
        quantity: fields.amount("sz")?.ok_or_else(|| Fault::parameter("sz"))?,
        quantity_of,
        client_id: fields.text("clOrdId")?,
        tag: fields.text("tag")?,
    };
    let outcome = call.shared.act(|ledger, now| ledger.place_order(terms, now));
    outcome.map_err(|refusal| Fault::of(&refusal, Deed::PlaceOrder))
}

fn cancel_one(call: &Call<'_>, fields: &Fields) -> Result<Order, Fault> {
    let (account, instrument, order) = (call.account()?, fields.required("instId")?, order_ref(fields)?);
    let outcome = call.shared.act(|ledger, now| ledger.cancel_order(account, &instrument, &order, now));
    outcome.map_err(|refusal| Fault::of(&refusal, Deed::CancelOrder))
}

fn amend_one(call: &Call<'_>, fields: &Fields) -> Result<Order, Fault> {
    let (account, instrument, order) = (call.account()?, fields.required("instId")?, order_ref(fields)?);
    let amendment = Amendment { price: fields.amount("newPx")?, quantity: fields.amount("newSz")? };
    let outcome =
        call.shared.act(|ledger, now| ledger.amend_order(account, &instrument, &order, amendment, now));
    outcome.map_err(|refusal| Fault::of(&refusal, Deed::AmendOrder))
}

/// The exchange's number wins when both are given, as OKX documents it.
fn order_ref(fields: &Fields) -> Result<OrderRef, Fault> {
    match (fields.number("ordId")?, fields.text("clOrdId")?) {
        (Some(id), _) => Ok(OrderRef::Id(id)),
        (None, Some(client_id)) => Ok(OrderRef::ClientId(client_id)),
        (None, None) => Err(Fault::new(
            http::StatusCode::BAD_REQUEST,
            "51003",
            "Either client order ID or order ID is required.",
        )),
    }
}

fn order_rows<'a>(call: &Call<'_>, orders: impl Iterator<Item = &'a Order>) -> Result<Reply, Fault> {
    let mut wanted = Vec::new();
    for order in orders {
        if call.query.allows("instType", "SPOT")?
            && call.query.allows("instId", &order.terms.instrument)?
            && call.query.allows("ordType", kind_name(order.terms.kind))?
            && call.query.allows("state", state_name(order.state))?
        {
            wanted.push(order);
        }
    }
    let page = call.query.page(wanted.into_iter(), |order| order.id)?;
    Ok(Reply::rows(page.into_iter().map(order_row).collect()))
}

const fn kind_name(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::FillOrKill => "fok",
        OrderKind::ImmediateOrCancel => "ioc",
        OrderKind::Limit => "limit",
        OrderKind::Market => "market",
        OrderKind::PostOnly => "post_only",
    }
}

const fn state_name(state: OrderState) -> &'static str {
    match state {
        OrderState::Canceled => "canceled",
        OrderState::Filled => "filled",
        OrderState::Live => "live",
        OrderState::PartiallyFilled => "partially_filled",
    }
}

fn text(amount: Option<Amount>) -> String {
    amount.map(|amount| amount.to_string()).unwrap_or_default()
}

/// The asset a fee is paid in: what the party receives.
fn fee_asset(instrument: &str, side: Side) -> &str {
    let (base, quote) = instrument.split_once('-').unwrap_or((instrument, ""));
    match side {
        Side::Buy => base,
        Side::Sell => quote,
    }
}

pub(crate) fn order_row(order: &Order) -> Value {
    let terms = &order.terms;
    let last = order.last_fill.as_ref();
    let target = match (terms.kind, terms.quantity_of) {
        (OrderKind::Market, QuantityOf::Base) => "base_ccy",
        (OrderKind::Market, QuantityOf::Quote) => "quote_ccy",
        _ => "",
    };
    json!({
        "instType": "SPOT",
        "instId": terms.instrument,
        "ordId": order.id.to_string(),
        "clOrdId": terms.client_id.clone().unwrap_or_default(),
        "tag": terms.tag.clone().unwrap_or_default(),
        "px": text(terms.price),
        "sz": terms.quantity.to_string(),
        "tgtCcy": target,
        "ordType": kind_name(terms.kind),
        "side": side_name(terms.side),
        "posSide": "net",
        "tdMode": "cash",
        "ccy": "",
        "lever": "",
        "category": "normal",
        "reduceOnly": "false",
        "state": state_name(order.state),
        "accFillSz": order.filled.to_string(),
        "avgPx": text(order.average_price()),
        "fillPx": text(last.map(|fill| fill.price)),
        "fillSz": text(last.map(|fill| fill.quantity)),
        "fillTime": last.map(|fill| millis(fill.at)).unwrap_or_default(),
        "tradeId": last.map(|fill| fill.trade_id.to_string()).unwrap_or_default(),
        "fee": (-order.fee).to_string(),
        "feeCcy": fee_asset(&terms.instrument, terms.side),
        "rebate": "0",
        "rebateCcy": fee_asset(&terms.instrument, terms.side.opposite()),
        "pnl": "0",
        "cTime": millis(order.created_at),
        "uTime": millis(order.updated_at),
    })
}

/// Both parties of a trade have a bill of their own, though never in the same account.
fn bill_id(fill: &Fill) -> u64 {
    fill.trade_id.saturating_mul(2).saturating_add(u64::from(fill.maker))
}

fn fill_row(fill: &Fill) -> Value {
    json!({
        "instType": "SPOT",
        "instId": fill.instrument,
        "tradeId": fill.trade_id.to_string(),
        "ordId": fill.order_id.to_string(),
        "clOrdId": fill.client_id.clone().unwrap_or_default(),
        "billId": bill_id(fill).to_string(),
        "tag": "",
        "fillPx": fill.price.to_string(),
        "fillSz": fill.quantity.to_string(),
        "side": side_name(fill.side),
        "posSide": "net",
        "execType": if fill.maker { "M" } else { "T" },
        "fee": (-fill.fee).to_string(),
        "feeCcy": fee_asset(&fill.instrument, fill.side),
        "ts": millis(fill.at),
        "fillTime": millis(fill.at),
    })
}
