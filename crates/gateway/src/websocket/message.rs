//! Reading a client's message so that nobody behind can read it differently, and the table of operations.
//!
//! What is not in the table is refused, whatever the exchange would make of it. Names of fields must differ by more
//! than case, at every level that matters; unknown fields are let through, since clients send them.

use std::borrow::Cow;

use crypto::SecretBytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Scope, answer::WsError};
use crate::pipeline::json::Object;

/// Longest request id, in bytes.
const ID_BYTES_MAX: usize = 64;

/// An operation on orders.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OrderOp {
    pub(crate) name: &'static str,
    pub(crate) scope: Scope,
    /// The REST endpoint of the same operation, on whose limits it draws.
    pub(crate) endpoint: &'static str,
}

const fn order_op(name: &'static str, scope: Scope, endpoint: &'static str) -> OrderOp {
    OrderOp { name, scope, endpoint }
}

/// All operations on orders, sorted by name.
const ORDER_OPS: [OrderOp; 11] = [
    order_op("amend-order", Scope::Private, "/api/v5/trade/amend-order"),
    order_op("batch-amend-orders", Scope::Private, "/api/v5/trade/amend-batch-orders"),
    order_op("batch-cancel-orders", Scope::Private, "/api/v5/trade/cancel-batch-orders"),
    order_op("batch-orders", Scope::Private, "/api/v5/trade/batch-orders"),
    order_op("cancel-order", Scope::Private, "/api/v5/trade/cancel-order"),
    order_op("mass-cancel", Scope::Business, "/api/v5/trade/mass-cancel"),
    order_op("order", Scope::Private, "/api/v5/trade/order"),
    order_op("sprd-amend-order", Scope::Business, "/api/v5/sprd/amend-order"),
    order_op("sprd-cancel-order", Scope::Business, "/api/v5/sprd/cancel-order"),
    order_op("sprd-mass-cancel", Scope::Business, "/api/v5/sprd/mass-cancel"),
    order_op("sprd-order", Scope::Business, "/api/v5/sprd/order"),
];

/// What a message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Login,
    Order(&'static OrderOp),
    Subscribe,
    Unsubscribe,
}

impl Op {
    fn named(name: &str) -> Option<Self> {
        match name {
            "login" => Some(Self::Login),
            "subscribe" => Some(Self::Subscribe),
            "unsubscribe" => Some(Self::Unsubscribe),
            _ => {
                let place = ORDER_OPS.binary_search_by(|op| op.name.cmp(name)).ok()?;
                ORDER_OPS.get(place).map(Self::Order)
            }
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Order(op) => op.name,
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
        }
    }
}

/// A message that can be read in one way only.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) op: Op,
    pub(crate) id: Option<String>,
    /// Never empty; each an object.
    pub(crate) args: Vec<&'a RawValue>,
}

/// A message that cannot; with the id it has, if that could be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) error: WsError,
    pub(crate) id: Option<String>,
}

impl<'a> Request<'a> {
    /// Reads a message.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Malformed> {
        let illegal = |_| Malformed { error: WsError::illegal(text), id: None };
        let object = Object::parse(text.as_bytes()).map_err(illegal)?;
        let id = match object.field("id").map_err(illegal)? {
            None => None,
            Some(id) => Some(read_id(id).ok_or(Malformed { error: WsError::ID, id: None })?),
        };
        let malformed = |error| Malformed { error, id: id.clone() };
        let op = object.field("op").map_err(illegal)?;
        let op = op.and_then(text_of).ok_or_else(|| malformed(WsError::illegal(text)))?;
        let op = Op::named(&op).ok_or_else(|| malformed(WsError::invalid_op(&op)))?;
        let args = object.field("args").map_err(illegal)?.ok_or_else(|| malformed(WsError::ARGS))?;
        let args: Vec<&RawValue> = serde_json::from_str(args.get()).map_err(|_| malformed(WsError::ARGS))?;
        let all_objects = args.iter().all(|arg| Object::parse(arg.get().as_bytes()).is_ok());
        if args.is_empty() || !all_objects {
            return Err(malformed(WsError::ARGS));
        }
        Ok(Self { op, id, args })
    }
}

/// What somebody logs in with.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) api_key: String,
    pub(crate) passphrase: SecretBytes,
    pub(crate) sign: String,
    /// Decimal text, whether it was sent as text or as a number.
    pub(crate) timestamp: String,
}

impl Credentials {
    /// Reads the arguments of a login. One login a connection: whose orders would they be otherwise?
    pub(crate) fn read(args: &[&RawValue]) -> Result<Self, WsError> {
        let objects: Result<Vec<_>, _> = args.iter().map(|arg| Object::parse(arg.get().as_bytes())).collect();
        let objects = objects.map_err(|_| WsError::ARGS)?;
        let has = |name| objects.iter().any(|object| !matches!(object.field(name), Ok(None)));
        if has("token") {
            return Err(if has("apiKey") { WsError::LOGIN_BULK_MIXED } else { WsError::empty("apiKey") });
        }
        let [object] = objects.as_slice() else { return Err(WsError::LOGIN_REPEATED) };
        let field = |name: &'static str| {
            let value = object.field(name).map_err(|_| WsError::ARGS)?;
            value.filter(|value| !matches!(value.get(), "null" | "\"\"")).ok_or_else(|| WsError::empty(name))
        };
        let text = |name| text_of(field(name)?).map(Cow::into_owned).ok_or(WsError::ARGS);
        let timestamp = field("timestamp")?;
        Ok(Self {
            api_key: text("apiKey")?,
            passphrase: SecretBytes::new(text("passphrase")?.into_bytes()),
            timestamp: match text_of(timestamp) {
                Some(timestamp) => timestamp.into_owned(),
                // A number counts as its digits; whether they are a time is judged where it is verified.
                None if timestamp.get().bytes().all(|byte| byte.is_ascii_digit()) => {
                    timestamp.get().to_owned()
                }
                None => return Err(WsError::LOGIN_TIMESTAMP),
            },
            sign: text("sign")?,
        })
    }
}

/// The name of a subscription, the same however its argument is spelled.
pub(crate) fn canonical(arg: &RawValue) -> Option<String> {
    let arg: serde_json::Value = serde_json::from_str(arg.get()).ok()?;
    Some(arg.to_string())
}

/// A message with other arguments than it came with.
pub(crate) fn with_args(op: Op, id: Option<&str>, args: &[&RawValue]) -> String {
    let args: Vec<&str> = args.iter().map(|arg| arg.get()).collect();
    let id = id.map_or_else(String::new, |id| format!(r#""id":{},"#, serde_json::Value::from(id)));
    format!(r#"{{{id}"op":"{}","args":[{}]}}"#, op.name(), args.join(","))
}

/// A text, or digits: some clients number their requests.
fn read_id(id: &RawValue) -> Option<String> {
    let digits = || id.get().bytes().all(|byte| byte.is_ascii_digit()).then(|| id.get().into());
    let id: Cow<'_, str> = text_of(id).or_else(digits)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    (id.len() <= ID_BYTES_MAX && id.bytes().all(plain)).then(|| id.into_owned())
}

fn text_of(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(value.get()).ok().map(|text| text.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> Option<&'static str> {
        Request::parse(text).err().map(|malformed| malformed.error.code)
    }

    #[test]
    fn the_table_is_sorted_so_that_every_operation_is_found() {
        for op in &ORDER_OPS {
            assert_eq!(Op::named(op.name), Some(Op::Order(op)));
        }
        for none in ["", "withdrawal", "Order", "order ", "transfer", "ord"] {
            assert_eq!(Op::named(none), None, "{none}");
        }
    }

    #[test]
    fn what_two_readers_may_read_differently_is_refused() {
        for (text, expected) in [
            ("", "60012"),
            ("[]", "60012"),
            ("null", "60012"),
            (r#"{"op":"order","op":"login","args":[{}]}"#, "60012"),
            (r#"{"op":"order","OP":"login","args":[{}]}"#, "60012"),
            (r#"{"op":"order","args":[{"sz":"1","sz":"2"}]}"#, "60012"),
            (r#"{"op":"order","args":[{"sz":"1","\u0073z":"2"}]}"#, "60012"),
            (r#"{"op":"order","args":[{"sz":"1","SZ":"2"}]}"#, "60013"),
            (r#"{"OP":"order","args":[{}]}"#, "60012"),
            (r#"{"op":7,"args":[{}]}"#, "60012"),
            (r#"{"op":"withdrawal","args":[{}]}"#, "60019"),
            (r#"{"op":"order"}"#, "60013"),
            (r#"{"op":"order","args":{}}"#, "60013"),
            (r#"{"op":"order","args":[]}"#, "60013"),
            (r#"{"op":"order","args":[7]}"#, "60013"),
            (r#"{"op":"order","args":[{}],"id":{}}"#, "60033"),
            (r#"{"op":"order","args":[{}],"id":"a\"b"}"#, "60033"),
            (r#"{"op":"order","args":[{}],"id":1.5}"#, "60033"),
            (r#"{"op":"order","args":[{}]} x"#, "60012"),
        ] {
            assert_eq!(code(text), Some(expected), "{text}");
        }
        assert_eq!(
            code(&format!(r#"{{"op":"order","args":[{{}}],"id":"{}"}}"#, "x".repeat(65))),
            Some("60033")
        );
    }

    #[test]
    fn unknown_fields_are_let_through() {
        let request =
            Request::parse(r#"{"op":"batch-orders","expTime":"1","args":[{"x":null},{}],"id":12}"#).unwrap();
        assert_eq!(
            (request.op.name(), request.id.as_deref(), request.args.len()),
            ("batch-orders", Some("12"), 2)
        );
    }

    fn credentials(arg: &str) -> Result<Credentials, WsError> {
        let text = format!(r#"{{"op":"login","args":[{arg}]}}"#);
        Credentials::read(&Request::parse(&text).unwrap().args)
    }

    #[test]
    fn logins_are_read_as_clients_write_them() {
        for timestamp in ["1704876947", r#""1704876947""#] {
            let read = credentials(&format!(
                r#"{{"apiKey":"k","passphrase":"p\u0061","timestamp":{timestamp},"sign":"s","id":"1"}}"#
            ));
            let read = read.unwrap();
            assert_eq!((read.api_key.as_str(), read.sign.as_str()), ("k", "s"));
            assert_eq!(
                (read.passphrase.expose().as_slice(), read.timestamp.as_str()),
                (&b"pa"[..], "1704876947")
            );
        }
        for (arg, code) in [
            ("{}", "60027"),
            (r#"{"apiKey":""}"#, "60027"),
            (r#"{"apiKey":null}"#, "60027"),
            (r#"{"apiKey":"k","passphrase":"p","sign":"s"}"#, "60027"),
            (r#"{"apiKey":"k","passphrase":"p","sign":"s","timestamp":1.5}"#, "60004"),
            (r#"{"apiKey":"k","passphrase":"p","sign":"s","timestamp":-1}"#, "60004"),
            (r#"{"apiKey":"k","passphrase":"p","sign":"s","timestamp":1e9}"#, "60004"),
            (r#"{"apiKey":7,"passphrase":"p","sign":"s","timestamp":"1"}"#, "60013"),
            (r#"{"apiKey":"k"},{"apiKey":"k"}"#, "60031"),
            (r#"{"apiKey":"k"},{"token":"k"}"#, "60026"),
            (r#"{"token":"k"}"#, "60027"),
        ] {
            assert_eq!(credentials(arg).unwrap_err().code, code, "{arg}");
        }
    }

    proptest! {
        /// Anything at all is either refused or read as something the independent parser finds in it.
        #[test]
        fn hostile_messages(text in r#"[\{\}\[\]":,a-z0-9\\ ]{0,60}|\{"op":"(login|order|subscribe|x)","args":\[.{0,20}\]\}"#) {
            if let Ok(request) = Request::parse(&text) {
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(&value["op"], request.op.name());
                prop_assert_eq!(value["args"].as_array().unwrap().len(), request.args.len());
                let again = with_args(request.op, request.id.as_deref(), &request.args);
                let again: serde_json::Value = serde_json::from_str(&again).unwrap();
                prop_assert_eq!(&again["args"], &value["args"]);
            }
        }
    }
}
