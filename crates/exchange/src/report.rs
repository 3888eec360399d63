//! Telling the decision listener what the gateway cannot see: logins, deposits, fills and so on, as NDJSON.
//!
//! Events are sent in order and under the same ids until they are acknowledged, so a lost answer costs a
//! duplicate that the other side recognises, never an event. The queue is bounded; when it is full the exchange
//! refuses operations rather than letting things happen that nobody is told about.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{AccountId, Event, EventId, EventKind, LabelTarget, UnixNanos};
use http::StatusCode;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, watch};

use crate::{
    client::Client,
    ledger::{HAPPENINGS_PER_OPERATION_MAX, Happening},
};

/// Events that may wait to be acknowledged.
pub const QUEUE_MAX: usize = 65_536;
/// Events in one call.
const BATCH_MAX: usize = 256;
/// Pause after a failed call: doubles from the first to the second.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// Longest a call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The answer to a batch.
#[derive(Debug, Deserialize)]
struct Answer {
    accepted: usize,
    duplicates: usize,
    #[serde(default)]
    erased: usize,
}

impl Answer {
    /// Events the answer accounts for.
    fn total(&self) -> Option<usize> {
        self.accepted.checked_add(self.duplicates)?.checked_add(self.erased)
    }
}

/// The queue and its progress.
#[derive(Debug)]
pub(crate) struct Reporter {
    client: Client,
    /// First part of every event id; unique to this start of the exchange.
    run: String,
    queue: Mutex<Queue>,
    arrived: Notify,
    acknowledged: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    /// Events ever queued; the number of the last is part of its id.
    queued: u64,
}

impl Reporter {
    pub(crate) fn new(client: Client, run: String) -> Arc<Self> {
        let acknowledged = watch::Sender::new(0);
        Arc::new(Self { client, run, queue: Mutex::default(), arrived: Notify::new(), acknowledged })
    }

    /// Whether whatever one operation does could still be queued.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.lock().events.len() + HAPPENINGS_PER_OPERATION_MAX <= QUEUE_MAX
    }

    /// Queues what happened at `now`, in order.
    pub(crate) fn queue(&self, happenings: Vec<Happening>, now: UnixNanos) {
        if happenings.is_empty() {
            return;
        }
        let mut queue = self.queue.lock();
        for Happening { account, device, ip, kind } in happenings {
            queue.queued += 1;
            let id = EventId::parse(&format!("{}-{}", self.run, queue.queued))
                .expect("a run and a number are a short printable id");
            queue.events.push_back(Event {
                id,
                account,
                occurred_at: now,
                device,
                ip,
                context: domain::EventContext::default(),
                kind,
            });
        }
        drop(queue);
        self.arrived.notify_one();
    }

    /// Waits until everything queued before the call is acknowledged.
    pub(crate) async fn flush(&self) {
        let queued = self.queue.lock().queued;
        let mut acknowledged = self.acknowledged.subscribe();
        // The sender lives in self, so the wait cannot fail.
        let _seen = acknowledged.wait_for(|count| *count >= queued).await.is_ok();
    }

    /// Events not yet acknowledged.
    pub(crate) fn pending(&self) -> usize {
        self.queue.lock().events.len()
    }

    /// Sends until dropped.
    pub(crate) async fn run(&self) {
        let mut pause = RETRY_MIN;
        loop {
            let (count, body) = self.next_batch();
            if count == 0 {
                self.arrived.notified().await;
                continue;
            }
            if self.send(count, body).await {
                self.queue.lock().events.drain(..count);
                self.acknowledged.send_modify(|done| *done += u64::try_from(count).unwrap_or(u64::MAX));
                pause = RETRY_MIN;
            } else {
                tokio::time::sleep(pause).await;
                pause = RETRY_MAX.min(pause * 2);
            }
        }
    }

    /// The events to send next, as NDJSON. They stay in the queue until acknowledged.
    fn next_batch(&self) -> (usize, Bytes) {
        let queue = self.queue.lock();
        let mut body = String::new();
        let count = queue.events.len().min(BATCH_MAX);
        for event in queue.events.iter().take(count) {
            body.push_str(&line(event).to_string());
            body.push('\n');
        }
        (count, body.into())
    }

    async fn send(&self, count: usize, body: Bytes) -> bool {
        match self.client.post("/v1/events", "application/x-ndjson", body, CALL_TIMEOUT).await {
            Ok((StatusCode::OK, body)) => {
                let answer = serde_json::from_slice::<Answer>(&body);
                let whole = answer.is_ok_and(|answer| answer.total() == Some(count));
                if !whole {
                    tracing::warn!(count, "answer does not acknowledge the events sent; sending them again");
                }
                whole
            }
            Ok((status, body)) => {
                let body = String::from_utf8_lossy(body.get(..body.len().min(200)).unwrap_or_default());
                tracing::warn!(%status, %body, count, "events were not accepted; sending them again");
                false
            }
            Err(error) => {
                tracing::debug!(%error, count, "events could not be sent; sending them again");
                false
            }
        }
    }
}

/// One event as it is sent.
pub(crate) fn line(event: &Event) -> Value {
    let mut line = Map::new();
    line.insert("id".into(), event.id.as_str().into());
    line.insert("account".into(), event.account.as_str().into());
    line.insert("occurred_at".into(), event.occurred_at.to_string().into());
    if let Some(device) = &event.device {
        line.insert("device".into(), device.as_str().into());
    }
    if let Some(ip) = &event.ip {
        line.insert("ip".into(), ip.to_string().into());
    }
    let context = &event.context;
    if let Some(asn) = context.asn {
        line.insert("asn".into(), asn.into());
    }
    if let Some(anonymizer) = context.anonymizer {
        line.insert("anonymizer".into(), anonymizer.as_str().into());
    }
    if let Some(country) = &context.country {
        line.insert("country".into(), country.as_str().into());
    }
    if let Some(value) = context.value {
        line.insert("value".into(), value.to_string().into());
    }
    line.insert("type".into(), event.kind.as_str().into());
    let details = match &event.kind {
        EventKind::AccountOpened { referrer } => {
            json!({ "referrer": referrer.as_ref().map(AccountId::as_str) })
        }
        EventKind::AddressAdded { network, address } => {
            json!({ "network": network.as_str(), "address": address })
        }
        EventKind::ApiKeyCreated { key, may_withdraw, ip_bound } => json!({
            "api_key": key.as_str(), "may_withdraw": may_withdraw, "ip_bound": ip_bound,
        }),
        EventKind::BalanceChanged { asset, total } => {
            json!({ "asset": asset.as_str(), "total": total.to_string() })
        }
        EventKind::BonusGranted { asset, amount, campaign, referred } => json!({
            "asset": asset.as_str(), "amount": amount.to_string(), "campaign": campaign,
            "referred": referred.as_ref().map(AccountId::as_str),
        }),
        EventKind::CredentialChanged { credential } => json!({ "credential": credential.as_str() }),
        EventKind::Deposit { asset, amount, network, from } => {
            let mut details = json!({
                "asset": asset.as_str(), "amount": amount.to_string(), "network": network.as_str(),
            });
            if let (Some(from), Some(details)) = (from, details.as_object_mut()) {
                details.insert("from".into(), from.as_str().into());
            }
            details
        }
        EventKind::KycChanged { level, document } => json!({ "level": level, "document": document }),
        EventKind::Label { target, is_fraud, source } => {
            let mut details = json!({
                "label": if *is_fraud { "fraud" } else { "legitimate" }, "source": source,
            });
            if let (LabelTarget::Event(id), Some(details)) = (target, details.as_object_mut()) {
                details.insert("event".into(), id.as_str().into());
            }
            details
        }
        EventKind::Login { success, second_factor } => {
            json!({ "success": success, "second_factor": second_factor })
        }
        EventKind::OrderCancelled { instrument, order } => {
            json!({ "instrument": instrument, "order": order })
        }
        EventKind::OrderFilled { instrument, quantity, price } => json!({
            "instrument": instrument, "quantity": quantity.to_string(), "price": price.to_string(),
        }),
        EventKind::OrderPlaced { instrument, order, side, quantity, price } => json!({
            "instrument": instrument, "order": order, "side": side.as_str(), "quantity": quantity.to_string(),
            "price": price.map(|price| price.to_string()),
        }),
        EventKind::P2pTrade { counterparty, side, asset, amount, payment, status } => json!({
            "counterparty": counterparty.as_str(), "side": side.as_str(), "asset": asset.as_str(),
            "amount": amount.to_string(), "payment": payment, "status": status,
        }),
        EventKind::SupportContacted { topic } => json!({ "topic": topic }),
        EventKind::Transfer { asset, amount, to } => json!({
            "asset": asset.as_str(), "amount": amount.to_string(), "to": to.as_str(),
        }),
        EventKind::WithdrawalAccepted { asset, amount, network, address } => json!({
            "asset": asset.as_str(), "amount": amount.to_string(), "network": network.as_str(),
            "address": address,
        }),
        // The remaining kinds have no details.
        _ => Value::Null,
    };
    if let Value::Object(details) = details {
        // What is not known is left out.
        line.extend(details.into_iter().filter(|(_, value)| !value.is_null()));
    }
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use domain::{
        Amount, Anonymizer, ApiKeyId, Asset, Country, Credential, DeviceId, EventContext, Network, Side,
    };

    use super::*;

    fn event(kind: EventKind) -> Event {
        Event {
            id: EventId::parse("e-1").unwrap(),
            account: AccountId::parse("alice").unwrap(),
            occurred_at: UnixNanos::from_secs(1_800_000_000),
            device: None,
            ip: None,
            context: EventContext::default(),
            kind,
        }
    }

    #[test]
    fn lines_have_the_agreed_form() {
        let (asset, network) = (Asset::parse("USDT").unwrap(), Network::Tron);
        let amount = Amount::parse("1.50").unwrap();
        let address = "TR7".to_owned();
        let cases = [
            (
                EventKind::AddressAdded { network, address: address.clone() },
                r#""type":"address_added","network":"tron","address":"TR7""#,
            ),
            (
                EventKind::BalanceChanged { asset: asset.clone(), total: amount },
                r#""type":"balance_changed","asset":"USDT","total":"1.5""#,
            ),
            (
                EventKind::CredentialChanged { credential: Credential::Email },
                r#""type":"credential_changed","credential":"email""#,
            ),
            (
                EventKind::Deposit { asset: asset.clone(), amount, network, from: None },
                r#""type":"deposit","asset":"USDT","amount":"1.5","network":"tron""#,
            ),
            (
                EventKind::Deposit { asset: asset.clone(), amount, network, from: Some("TX".into()) },
                r#""type":"deposit","asset":"USDT","amount":"1.5","network":"tron","from":"TX""#,
            ),
            (EventKind::DeviceAdded, r#""type":"device_added""#),
            (EventKind::AccountOpened { referrer: None }, r#""type":"account_opened""#),
            (
                EventKind::ApiKeyCreated {
                    key: ApiKeyId::parse("k1").unwrap(),
                    may_withdraw: true,
                    ip_bound: false,
                },
                r#""type":"api_key_created","api_key":"k1","may_withdraw":true,"ip_bound":false"#,
            ),
            (
                EventKind::BonusGranted {
                    asset: asset.clone(),
                    amount,
                    campaign: "welcome".into(),
                    referred: Some(AccountId::parse("bob").unwrap()),
                },
                r#""type":"bonus_granted","asset":"USDT","amount":"1.5","campaign":"welcome","referred":"bob""#,
            ),
            (
                EventKind::KycChanged { level: 2, document: Some("doc".into()) },
                r#""type":"kyc_changed","level":2,"document":"doc""#,
            ),
            (
                EventKind::Label {
                    target: LabelTarget::Event(EventId::parse("e-0").unwrap()),
                    is_fraud: true,
                    source: "review".into(),
                },
                r#""type":"label","label":"fraud","event":"e-0","source":"review""#,
            ),
            (
                EventKind::OrderPlaced {
                    instrument: "BTC-USDT".into(),
                    order: "o1".into(),
                    side: Side::Sell,
                    quantity: amount,
                    price: None,
                },
                r#""type":"order_placed","instrument":"BTC-USDT","order":"o1","side":"sell","quantity":"1.5""#,
            ),
            (
                EventKind::P2pTrade {
                    counterparty: AccountId::parse("bob").unwrap(),
                    side: Side::Buy,
                    asset: asset.clone(),
                    amount,
                    payment: None,
                    status: "paid".into(),
                },
                r#""type":"p2p_trade","counterparty":"bob","side":"buy","asset":"USDT","amount":"1.5","status":"paid""#,
            ),
            (
                EventKind::Transfer { asset: asset.clone(), amount, to: AccountId::parse("bob").unwrap() },
                r#""type":"transfer","asset":"USDT","amount":"1.5","to":"bob""#,
            ),
            (
                EventKind::Login { success: true, second_factor: false },
                r#""type":"login","success":true,"second_factor":false"#,
            ),
            (
                EventKind::OrderFilled { instrument: "BTC-USDT".into(), quantity: amount, price: amount },
                r#""type":"order_filled","instrument":"BTC-USDT","quantity":"1.5","price":"1.5""#,
            ),
            (
                EventKind::WithdrawalAccepted { asset, amount, network, address },
                r#""type":"withdrawal_accepted","asset":"USDT","amount":"1.5","network":"tron","address":"TR7""#,
            ),
        ];
        for (kind, details) in cases {
            let text = format!(
                r#"{{"id":"e-1","account":"alice","occurred_at":"2027-01-15T08:00:00.000Z",{details}}}"#
            );
            assert_eq!(line(&event(kind)), serde_json::from_str::<Value>(&text).unwrap());
        }
        let mut with_device = event(EventKind::DeviceAdded);
        with_device.device = Some(DeviceId::parse("phone-1").unwrap());
        with_device.ip = Some("192.0.2.7".parse().unwrap());
        with_device.context = EventContext {
            asn: Some(64_500),
            anonymizer: Some(Anonymizer::Vpn),
            country: Country::parse("CH"),
            value: Some(amount),
        };
        let line = line(&with_device);
        assert_eq!((line["asn"].as_u64(), line["anonymizer"].as_str()), (Some(64_500), Some("vpn")));
        assert_eq!((line["country"].as_str(), line["value"].as_str()), (Some("CH"), Some("1.5")));
        assert_eq!((line["device"].as_str(), line["ip"].as_str()), (Some("phone-1"), Some("192.0.2.7")));
    }
}
