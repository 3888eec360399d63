//! One connection's side of the conversation: what it is subscribed to, what its messages are answered. Sees no
//! socket and no clock of its own.

use std::sync::Arc;

use domain::{AccountId, UnixNanos};
use serde_json::{Map, Value, json};

use super::{
    Closing, Scope,
    channel::{Channel, NoChannel},
    feed::{Feed, WATCHERS_PER_CHANNEL_MAX, Watching},
};
use crate::{
    desk::Shared,
    ledger::Update,
    random::SplitMix64,
    rest::{Call, Handler, Reply, codes::Fault, fields::Fields, orders},
};

/// Subscriptions of one connection.
const SUBSCRIPTIONS_MAX: usize = 240;
/// Longest request id, in bytes.
const ID_BYTES_MAX: usize = 32;

/// The operations on orders: name, whether it takes exactly one argument, and who does it.
const ORDER_OPS: &[(&str, bool, Handler)] = &[
    ("amend-order", true, orders::amend),
    ("batch-amend-orders", false, orders::amend_batch),
    ("batch-cancel-orders", false, orders::cancel_batch),
    ("batch-orders", false, orders::place_batch),
    ("cancel-order", true, orders::cancel),
    ("order", true, orders::place),
];

/// The name of a connection, if it is one: 8 hexadecimal digits.
pub(crate) fn connection_id(text: &[u8]) -> Option<String> {
    let digits = text.len() == 8 && text.iter().all(u8::is_ascii_hexdigit);
    digits.then(|| String::from_utf8_lossy(text).into_owned())
}

/// One subscription.
#[derive(Debug)]
struct Subscription {
    /// The argument as the client gave it: names the subscription in messages.
    arg: Map<String, Value>,
    /// The same with what the exchange adds to it.
    shown: Map<String, Value>,
    channel: Channel,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Session {
    shared: Arc<Shared>,
    scope: Scope,
    account: Option<AccountId>,
    api_key: String,
    connection: String,
    subscriptions: Vec<Subscription>,
    watching: Vec<Watching>,
}

impl Session {
    /// A connection at `scope`, of `account` if the gateway vouched for one, by the name the gateway gave it or one of
    /// its own.
    pub(crate) fn new(
        shared: Arc<Shared>,
        scope: Scope,
        account: Option<AccountId>,
        api_key: String,
        connection_id: Option<String>,
    ) -> Self {
        let connection = connection_id.unwrap_or_else(|| {
            let number = shared.feed.number_connection();
            let id = SplitMix64::named(shared.seed, &format!("connection/{number}")).next_u64() >> 32;
            format!("{id:08x}")
        });
        let (subscriptions, watching) = (Vec::new(), Vec::new());
        Self { shared, scope, account, api_key, connection, subscriptions, watching }
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.shared.feed
    }

    /// Answers a message.
    pub(super) fn on_text(&mut self, text: &str, out: &mut Vec<String>) -> Result<(), Closing> {
        if text == "ping" {
            out.push("pong".to_owned());
            return Ok(());
        }
        let message = serde_json::from_str::<Value>(text).ok();
        let message = message.as_ref().and_then(Value::as_object).cloned().map(Fields);
        let Some((message, Ok(Some(op)))) = message.map(|fields| {
            let op = fields.text("op");
            (fields, op)
        }) else {
            out.push(self.error("60012", format!("Illegal request: {}", cut(text)), None));
            return Ok(());
        };
        let id = message
            .text("id")
            .ok()
            .flatten()
            .filter(|id| id.len() <= ID_BYTES_MAX && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let args = message.0.get("args").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        match op.as_str() {
            "login" => out.push(self.login(id.as_deref())),
            "subscribe" | "unsubscribe" if args.is_empty() => {
                out.push(self.error("60013", "Invalid args".to_owned(), id.as_deref()));
            }
            "subscribe" => {
                for arg in args {
                    self.subscribe(arg, id.as_deref(), out)?;
                }
            }
            "unsubscribe" => {
                for arg in args {
                    out.push(self.unsubscribe(arg, id.as_deref()));
                }
            }
            op => match ORDER_OPS.iter().find(|(name, ..)| *name == op) {
                Some((name, single, handler)) => {
                    out.push(self.operate(name, *single, *handler, id.as_deref(), args));
                }
                None => out.push(self.error("60019", format!("Invalid op: {}", cut(op)), id.as_deref())),
            },
        }
        Ok(())
    }

    /// Pushes for what happened.
    pub(super) fn on_updates(&mut self, updates: &[Update], out: &mut Vec<String>) {
        let now = self.shared.clock.now();
        let ledger = self.shared.ledger.lock();
        for update in updates {
            for subscription in &mut self.subscriptions {
                let pushes = subscription.channel.on_update(update, self.account.as_ref(), &ledger, now);
                out.extend(pushes.into_iter().map(|push| push.message(&subscription.shown)));
            }
        }
    }

    /// Pushes market data that is not sent for every change.
    pub(super) fn on_tick(&mut self, out: &mut Vec<String>) {
        if self.subscriptions.is_empty() {
            return;
        }
        let now = self.shared.clock.now();
        let ledger = self.shared.ledger.lock();
        for subscription in &mut self.subscriptions {
            let pushes = subscription.channel.tick(&ledger, now);
            out.extend(pushes.into_iter().map(|push| push.message(&subscription.shown)));
        }
    }

    /// Who the client is was settled before the connection was opened; where that was nobody, it stays so.
    fn login(&self, id: Option<&str>) -> String {
        if self.account.is_none() {
            return self.error("60009", "Login failure".to_owned(), id);
        }
        self.event("login", id, &[("code", "0".into()), ("msg", "".into())])
    }

    fn subscribe(&mut self, arg: &Value, id: Option<&str>, out: &mut Vec<String>) -> Result<(), Closing> {
        let Some(arg) = arg.as_object().cloned() else {
            out.push(self.error("60013", "Invalid args".to_owned(), id));
            return Ok(());
        };
        let fields = Fields(arg.clone());
        let now = self.shared.clock.now();
        let ledger = self.shared.ledger.lock();
        let mut channel = match Channel::of(&fields, self.scope, self.account.is_some(), &ledger) {
            Ok(channel) => channel,
            Err(why) => {
                drop(ledger);
                out.push(self.no_channel(why, &arg, id));
                return Ok(());
            }
        };
        out.push(self.event("subscribe", id, &[("arg", arg.clone().into())]));
        if self.subscriptions.iter().any(|known| known.arg == arg) {
            return Ok(());
        }
        if self.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            return Err(Closing::SUBSCRIPTIONS);
        }
        if let (Some(name), Some(account)) = (channel.counted_as(), &self.account)
            && self.watching.iter().all(|watching| watching.channel() != name)
        {
            let watching = self.shared.feed.watch(account, name);
            let full = watching.count > WATCHERS_PER_CHANNEL_MAX;
            let event = if full { "channel-conn-count-error" } else { "channel-conn-count" };
            let count = watching.count.min(WATCHERS_PER_CHANNEL_MAX).to_string();
            out.push(self.event(event, None, &[("channel", name.into()), ("connCount", count.into())]));
            if full {
                return Ok(());
            }
            self.watching.push(watching);
        }
        let mut shown = arg.clone();
        if let (Some(_), Some(account)) = (channel.counted_as(), &self.account) {
            shown.insert("uid".to_owned(), account.as_str().into());
        }
        let pushes = channel.first(self.account.as_ref(), &ledger, now);
        out.extend(pushes.into_iter().map(|push| push.message(&shown)));
        drop(ledger);
        self.subscriptions.push(Subscription { arg, shown, channel });
        Ok(())
    }

    fn unsubscribe(&mut self, arg: &Value, id: Option<&str>) -> String {
        let Some(arg) = arg.as_object() else {
            return self.error("60013", "Invalid args".to_owned(), id);
        };
        let before = self.subscriptions.len();
        self.subscriptions.retain(|known| known.arg != *arg);
        if self.subscriptions.len() == before {
            return self.no_channel(NoChannel::Unknown, arg, id);
        }
        let subscriptions = &self.subscriptions;
        let watches = |name| subscriptions.iter().any(|known| known.channel.counted_as() == Some(name));
        self.watching.retain(|watching| watches(watching.channel()));
        self.event("unsubscribe", id, &[("arg", arg.clone().into())])
    }

    fn no_channel(&self, why: NoChannel, arg: &Map<String, Value>, id: Option<&str>) -> String {
        match why {
            NoChannel::Malformed => self.error("60013", "Invalid args".to_owned(), id),
            NoChannel::NotLoggedIn => self.error("60011", "Please log in".to_owned(), id),
            NoChannel::Unknown => {
                let named = arg.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
                let named: Vec<_> = named.map(|(name, value)| format!("{name}:{value}")).collect();
                let message = format!(
                    "Wrong URL or {} doesn't exist. Please use the correct URL, channel and parameters \
                     referring to API document.",
                    cut(&named.join(","))
                );
                self.error("60018", message, id)
            }
        }
    }

    /// Places, amends or cancels, as the REST endpoint of the same name does.
    fn operate(&self, op: &str, single: bool, handler: Handler, id: Option<&str>, args: &[Value]) -> String {
        let began = self.shared.clock.now();
        let refused = |code: &'static str, message: &'static str| {
            Err(Fault::new(http::StatusCode::BAD_REQUEST, code, message))
        };
        let outcome = match (self.scope, &self.account, args, single) {
            (Scope::Business | Scope::Public, ..) => refused(
                "60028",
                "The current operation is not supported by this URL. Please use the correct WebSocket URL for \
                 the operation.",
            ),
            (_, None, ..) => refused("60011", "Please log in"),
            (_, _, [], _) => refused("60013", "Invalid args"),
            (_, Some(_), [only], true) => self.call(handler, self.with_id(only), began),
            (_, Some(_), _, true) => refused("60013", "Invalid args"),
            (_, Some(_), args, false) => {
                self.call(handler, args.iter().map(|arg| self.with_id(arg)).collect(), began)
            }
        };
        let (code, message, rows) = match outcome {
            Ok(Reply { code, message, rows }) => (code, message.to_owned(), rows),
            Err(fault) => (fault.code, fault.message.into_owned(), Vec::new()),
        };
        json!({
            "id": id.unwrap_or_default(),
            "op": op,
            "code": code,
            "msg": message,
            "data": rows,
            "inTime": micros(began),
            "outTime": micros(self.shared.clock.now()),
        })
        .to_string()
    }

    /// The argument with the id of its instrument, where it names that by its number.
    fn with_id(&self, arg: &Value) -> Value {
        let mut arg = arg.clone();
        let code = arg.get("instIdCode").and_then(Value::as_u64);
        if let (Some(code), Some(fields)) = (code, arg.as_object_mut())
            && let Some(listed) = self.shared.ledger.lock().catalog().instrument_of_code(code)
        {
            fields.entry("instId").or_insert_with(|| listed.id.as_str().into());
        }
        arg
    }

    fn call(&self, handler: Handler, body: Value, now: UnixNanos) -> Result<Reply, Fault> {
        handler(&Call {
            shared: &self.shared,
            account: self.account.clone(),
            api_key: self.api_key.clone(),
            query: Fields::default(),
            body,
            now,
        })
    }

    fn error(&self, code: &str, message: String, id: Option<&str>) -> String {
        self.event("error", id, &[("code", code.into()), ("msg", message.into())])
    }

    fn event(&self, event: &str, id: Option<&str>, more: &[(&str, Value)]) -> String {
        let mut fields = Map::new();
        if let Some(id) = id {
            fields.insert("id".to_owned(), id.into());
        }
        fields.insert("event".to_owned(), event.into());
        fields.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        fields.insert("connId".to_owned(), self.connection.as_str().into());
        Value::Object(fields).to_string()
    }
}

/// Microseconds since 1970 as text.
fn micros(at: UnixNanos) -> String {
    (at.0 / 1_000).to_string()
}

/// What is repeated of a client's text.
fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}
