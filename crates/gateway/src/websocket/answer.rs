//! What the gateway itself says on a connection: events, answers to operations, and why it closes.

use std::borrow::Cow;

use auth::Refusal;
use domain::UnixNanos;
use serde_json::Value;

/// Longest piece of a client's text that is repeated to it, in characters.
const REPEATED_CHARS_MAX: usize = 200;

/// Metric label of a login that finds no room in its account.
pub(super) const ACCOUNT_FULL_LABEL: &str = "ws_account_full";
/// Metric label of a handshake in a version that is not 13. The answer must name the one that is spoken.
pub(crate) const VERSION_LABEL: &str = "ws_handshake_version";

/// Why a connection is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) code: u16,
    pub(crate) reason: Cow<'static, str>,
    /// Metric label; empty for the ordinary ends.
    pub(crate) label: &'static str,
}

impl Closing {
    const fn new(code: u16, reason: &'static str, label: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason), label }
    }

    /// What the exchange closed for, passed on where it is meant for clients.
    pub(crate) fn by_exchange(code: u16, reason: String) -> Self {
        // Codes of the protocol itself speak of the connection between gateway and exchange.
        if (4000..=4999).contains(&code) {
            Self { code, reason: Cow::Owned(reason), label: "ws_closed_by_exchange" }
        } else {
            Self::ABNORMAL
        }
    }

    /// The exchange ended the connection, or did not keep to the protocol.
    pub(crate) const ABNORMAL: Self = Self::new(4006, "Abnormal disconnection", "ws_upstream_lost");
    /// The client takes nothing, or next to nothing, of what waits for it.
    pub(crate) const BUFFER_FULL: Self =
        Self::new(4005, "Buffer is full, cannot write data", "ws_slow_reader");
    /// A message that has more bytes than one may have, headers of its frames included.
    pub(crate) const FRAGMENTS: Self =
        Self::new(1009, "Request message exceeds the maximum frame length", "ws_fragments");
    /// The gateway stops.
    pub(crate) const GOING_AWAY: Self = Self::new(1001, "Service upgrade", "");
    /// Nothing came or went.
    pub(crate) const IDLE: Self = Self::new(4004, "No data received in 30s", "ws_idle");
    /// The key is frozen, revoked or changed, or the connection was ended from outside.
    pub(crate) const KEY_CHANGED: Self =
        Self::new(4007, "API key has been updated or deleted. Please reconnect.", "ws_key_changed");
    /// Too many logins failed, or none came.
    pub(crate) const LOGIN_FAILED: Self = Self::new(4001, "Login Failed", "ws_login_failed");
    /// More malformed messages than a mistake explains.
    pub(crate) const MALFORMED: Self = Self::new(4002, "Invalid Request", "ws_malformed");
    /// A message that is not text.
    pub(crate) const NOT_TEXT: Self = Self::new(4002, "Invalid Request", "ws_binary");
    /// A text that is not UTF-8.
    pub(crate) const NOT_UTF8: Self = Self::new(1007, "Invalid UTF-8", "ws_not_utf8");
    /// More pings than keeping a connection alive takes.
    pub(crate) const PINGS: Self = Self::new(4002, "Invalid Request", "ws_ping_flood");
    /// Frames that RFC 6455 forbids.
    pub(crate) const PROTOCOL: Self = Self::new(1002, "Protocol error", "ws_protocol");
    /// A message that is too long.
    pub(crate) const TOO_LONG: Self =
        Self::new(1009, "Request message exceeds the maximum frame length", "ws_too_long");
}

/// An error of the WebSocket table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WsError {
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
    /// Metric label.
    pub(crate) label: &'static str,
}

impl WsError {
    pub(crate) const fn new(code: &'static str, message: &'static str, label: &'static str) -> Self {
        Self { code, message: Cow::Borrowed(message), label }
    }

    /// What a refused login is answered.
    pub(crate) const fn login(refusal: &Refusal, label: &'static str) -> Self {
        let (code, message) = refusal.login_error();
        Self::new(code, message, label)
    }

    pub(crate) const ARGS: Self = Self::new("60013", "Invalid args", "ws_args");
    pub(crate) const ID: Self = Self::new("60033", "Parameter id error.", "ws_id");
    pub(crate) const LOG_IN_FIRST: Self = Self::new("60011", "Please log in", "ws_not_logged_in");
    pub(crate) const LOGIN_BULK_MIXED: Self = Self::new(
        "60026",
        "Batch login by APIKey and token simultaneously is not supported.",
        "ws_login_mixed",
    );
    pub(crate) const LOGIN_TIMESTAMP: Self = Self::new("60004", "Invalid timestamp", "ws_login_timestamp");
    pub(crate) const LOGIN_REPEATED: Self = Self::new(
        "60031",
        "The WebSocket endpoint does not allow multiple or repeated logins.",
        "ws_login_repeated",
    );
    pub(crate) const TOO_FREQUENT: Self = Self::new("60014", "Requests too frequent", "ws_too_frequent");
    pub(crate) const TOO_MANY_LOGINS: Self =
        Self::new("60023", "Bulk login requests too frequent", "ws_logins_too_frequent");
    pub(crate) const WRONG_URL: Self = Self::new(
        "60028",
        "The current operation is not supported by this URL. Please use the correct WebSocket URL for the operation.",
        "ws_wrong_url",
    );

    pub(crate) fn empty(parameter: &'static str) -> Self {
        let message = format!("Parameter {parameter} can not be empty.");
        Self { code: "60027", message: message.into(), label: "ws_login_incomplete" }
    }

    pub(crate) fn internal(op: &str) -> Self {
        let message =
            format!("Operation {op} failed due to WebSocket internal error. Please try again later.");
        Self { code: "64007", message: message.into(), label: "ws_upstream_down" }
    }

    pub(crate) fn invalid_op(op: &str) -> Self {
        Self { code: "60019", message: format!("Invalid op: {}", cut(op)).into(), label: "ws_op" }
    }

    /// The message as a whole cannot be read.
    pub(crate) fn illegal(text: &str) -> Self {
        Self { code: "60012", message: format!("Illegal request: {}", cut(text)).into(), label: "ws_illegal" }
    }

    /// Subscriptions are longer, all together, than one connection may have.
    pub(crate) const SUBSCRIPTIONS: Self = Self::new(
        "60012",
        "Illegal request: the arguments of all subscriptions exceed 65536 bytes",
        "ws_subscriptions",
    );
}

/// `{"event":"error",...}`.
pub(crate) fn error(error: &WsError, id: Option<&str>, connection_id: &str) -> String {
    let message = quoted(&error.message);
    let code = error.code;
    format!(
        r#"{{{}"event":"error","code":"{code}","msg":{message},"connId":"{connection_id}"}}"#,
        id_field(id)
    )
}

/// A login that succeeded.
pub(crate) fn logged_in(connection_id: &str) -> String {
    format!(r#"{{"event":"login","code":"0","msg":"","connId":"{connection_id}"}}"#)
}

/// The end of the connection, announced.
pub(crate) fn upgrade_notice(connection_id: &str) -> String {
    const MESSAGE: &str = "The connection will soon be closed for a service upgrade. Please reconnect.";
    format!(r#"{{"event":"notice","code":"64008","msg":"{MESSAGE}","connId":"{connection_id}"}}"#)
}

/// An operation on orders that the gateway refuses.
pub(crate) fn order_refused(
    op: &str,
    id: Option<&str>,
    code: &str,
    message: &str,
    began: UnixNanos,
    now: UnixNanos,
) -> String {
    let (id, message) = (quoted(id.unwrap_or_default()), quoted(message));
    let (began, now) = (began.0 / 1_000, now.0 / 1_000);
    format!(
        r#"{{"id":{id},"op":"{op}","code":"{code}","msg":{message},"data":[],"inTime":"{began}","outTime":"{now}"}}"#
    )
}

fn id_field(id: Option<&str>) -> String {
    id.map_or_else(String::new, |id| format!(r#""id":{},"#, quoted(id)))
}

/// A JSON string.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn cut(text: &str) -> String {
    text.chars().take(REPEATED_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_repeated_stays_inside_its_string() {
        for text in ["\"", "\\", "\n", "\u{0}", "{\"op\":\"x\"}", "\u{2028}\u{1F600}"] {
            let said = error(&WsError::illegal(text), Some(text), "a4d3ae55");
            let said: Value = serde_json::from_str(&said).unwrap();
            assert_eq!(said["id"], text);
            assert_eq!(said["msg"], format!("Illegal request: {text}"));
            let at = UnixNanos::from_secs(1);
            let said = order_refused("order", Some(text), "50011", text, at, at);
            let said: Value = serde_json::from_str(&said).unwrap();
            assert_eq!(
                (&said["id"], &said["msg"], &said["data"]),
                (&text.into(), &text.into(), &Value::Array(vec![]))
            );
        }
        let long = error(&WsError::illegal(&"x".repeat(70_000)), None, "a4d3ae55");
        assert!(long.len() < 400);
    }

    #[test]
    fn events_are_worded_as_documented() {
        assert_eq!(logged_in("a4d3ae55"), r#"{"event":"login","code":"0","msg":"","connId":"a4d3ae55"}"#);
        assert_eq!(
            upgrade_notice("a4d3ae55"),
            r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a4d3ae55"}"#
        );
        let refused = WsError::login(&Refusal::SignatureInvalid, "x");
        assert_eq!(
            error(&refused, None, "a4d3ae55"),
            r#"{"event":"error","code":"60007","msg":"Invalid sign","connId":"a4d3ae55"}"#
        );
    }
}
