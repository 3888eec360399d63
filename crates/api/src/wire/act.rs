//! Acts that are no withdrawals: what is asked, and how it is shown again.

use std::net::IpAddr;

use domain::{
    AccountId, Act, ActKind, Actor, AddressScreen, AdminAct, ApiCall, ApiKeyId, Event, EventKind, Judgement,
    Network,
};
use serde_json::{Map, Value, json};

use super::{
    decision::answer,
    event::{Judge, event_of},
    fields::{Fault, Fields},
};
use crate::limits::{ACT_BYTES_MAX, ADDRESS_BYTES_MAX, NAME_BYTES_MAX, PATH_BYTES_MAX};

/// Methods an API call may name: the tokens of RFC 9110 section 9 that trading APIs use.
pub(crate) const METHODS: [&str; 6] = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];

/// The act of a kind, from the field of the kind's name.
pub(crate) fn act(kind: ActKind, fields: &mut Fields, judge: Judge<'_>) -> Result<Act, Fault> {
    match kind {
        ActKind::AddressScreen => {
            address_screen(fields.object("address_screen", "address_screen.")?).map(Act::AddressScreen)
        }
        ActKind::AdminAct => admin_act(fields.object("admin_act", "admin_act.")?).map(Act::AdminAct),
        ActKind::ApiCall => api_call(fields.object("api_call", "api_call.")?).map(Act::ApiCall),
        ActKind::Login => event_of(fields.object("login", "login.")?, Some("login"), judge).map(Act::Login),
        ActKind::Order => {
            event_of(fields.object("order", "order.")?, Some("order_placed"), judge).map(Act::Order)
        }
    }
}

fn ip(text: &str) -> Result<IpAddr, &'static str> {
    text.parse().map_err(|_| "not an IP address")
}

fn address_screen(mut fields: Fields) -> Result<AddressScreen, Fault> {
    let act = AddressScreen {
        address: fields.label("address", ADDRESS_BYTES_MAX)?,
        network: fields.parsed("network", |text| text.parse::<Network>())?,
        reference: fields.optional_label("reference", NAME_BYTES_MAX)?,
    };
    fields.finish("an address screen")?;
    Ok(act)
}

fn admin_act(mut fields: Fields) -> Result<AdminAct, Fault> {
    let act = AdminAct {
        actor: fields.parsed("actor", |text| text.parse::<Actor>())?,
        capability: fields.label("capability", NAME_BYTES_MAX)?,
        act: fields.label("act", ACT_BYTES_MAX)?,
        account: fields.optional_parsed("account", AccountId::parse)?,
        ip: fields.optional_parsed("ip", ip)?,
    };
    fields.finish("an admin act")?;
    Ok(act)
}

fn api_call(mut fields: Fields) -> Result<ApiCall, Fault> {
    let call = ApiCall {
        account: fields.parsed("account", AccountId::parse)?,
        key: fields.parsed("api_key", ApiKeyId::parse)?,
        method: fields.parsed("method", |text| {
            METHODS
                .contains(&text)
                .then(|| text.to_owned())
                .ok_or_else(|| format!("expected {}", METHODS.join(", ")))
        })?,
        path: fields.label("path", PATH_BYTES_MAX)?,
        ip: fields.parsed("ip", ip)?,
    };
    if !call.path.starts_with('/') || call.path.contains(['?', '#']) {
        return Err(fields.fault("path", "expected a path that begins with a slash, without a query"));
    }
    fields.finish("an API call")?;
    Ok(call)
}

/// The answer about an act: as about a withdrawal, and `type`.
pub(crate) fn judged_json(id: &str, judgement: &Judgement) -> Value {
    Value::Object(judged(id, judgement))
}

fn judged(id: &str, judgement: &Judgement) -> Map<String, Value> {
    let mut object = answer(id, judgement.verdict, judgement.decided_at, &judgement.findings);
    object.insert("type".into(), json!(judgement.act.kind().as_str()));
    object
}

/// The answer with what was asked and by whom.
pub(crate) fn judgement_json(id: &str, judgement: &Judgement, position: u64) -> Value {
    let mut object = judged(id, judgement);
    object.insert("act".into(), act_json(&judgement.act));
    object.insert("caller".into(), json!(judgement.caller));
    if let Some(key) = &judgement.idempotency_key {
        object.insert("idempotency_key".into(), json!(key));
    }
    object.insert("position".into(), json!(position));
    Value::Object(object)
}

fn act_json(act: &Act) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            object.insert(name.into(), Value::String(value));
        }
    };
    put("account", act.account().map(ToString::to_string));
    put("ip", act.ip().map(|ip| ip.to_string()));
    match act {
        Act::AddressScreen(act) => {
            put("address", Some(act.address.clone()));
            put("network", Some(act.network.to_string()));
            put("reference", act.reference.clone());
        }
        Act::AdminAct(act) => {
            put("actor", Some(act.actor.to_string()));
            put("capability", Some(act.capability.clone()));
            put("act", Some(act.act.clone()));
        }
        Act::ApiCall(call) => {
            put("api_key", Some(call.key.to_string()));
            put("method", Some(call.method.clone()));
            put("path", Some(call.path.clone()));
        }
        Act::Login(event) | Act::Order(event) => event_parts(event, &mut put),
    }
    Value::Object(object)
}

fn event_parts(event: &Event, put: &mut impl FnMut(&str, Option<String>)) {
    put("id", Some(event.id.to_string()));
    put("occurred_at", Some(event.occurred_at.to_string()));
    put("device", event.device.as_ref().map(ToString::to_string));
    match &event.kind {
        EventKind::Login { success, second_factor } => {
            put("success", Some(success.to_string()));
            put("second_factor", Some(second_factor.to_string()));
        }
        EventKind::OrderPlaced { instrument, order, side, quantity, price } => {
            put("instrument", Some(instrument.clone()));
            put("order", Some(order.clone()));
            put("side", Some(side.as_str().to_owned()));
            put("quantity", Some(quantity.to_string()));
            put("price", price.map(|price| price.to_string()));
        }
        // The type of an act holds no other kind.
        _ => {}
    }
}
