//! Requests signed as an OKX v5 client signs them, each with a timestamp of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use domain::UnixNanos;

/// What signs.
#[derive(Debug, Clone)]
pub struct Key {
    /// `OK-ACCESS-KEY`.
    pub key: String,
    /// Secret of the HMAC.
    pub secret: String,
    /// `OK-ACCESS-PASSPHRASE`.
    pub passphrase: String,
}

impl Key {
    /// From the program's JSON.
    #[must_use]
    pub fn read(json: &serde_json::Value) -> Option<Self> {
        let text = |name: &str| json.get(name)?.as_str().map(str::to_owned);
        Some(Self { key: text("key")?, secret: text("secret")?, passphrase: text("passphrase")? })
    }

    /// The four header lines for a request made now. Equal reads may be replays of each other, other requests not.
    #[must_use]
    pub fn lines(&self, method: &str, target: &str, body: &str) -> String {
        let millis = if method == "GET" { now_millis() } else { fresh_millis() };
        self.lines_at(millis, method, target, body)
    }

    /// The four header lines for a request made at a time.
    #[must_use]
    pub fn lines_at(&self, millis: u64, method: &str, target: &str, body: &str) -> String {
        let at = UnixNanos::from_millis(millis);
        let timestamp = auth::okx::timestamp_text(at);
        self.lines_with(&timestamp, method, target, body)
    }

    /// The four header lines with a timestamp as it stands.
    #[must_use]
    pub fn lines_with(&self, timestamp: &str, method: &str, target: &str, body: &str) -> String {
        let sign = auth::okx::sign(self.secret.as_bytes(), timestamp, method, target, body.as_bytes());
        format!(
            "OK-ACCESS-KEY: {}\r\nOK-ACCESS-SIGN: {sign}\r\nOK-ACCESS-TIMESTAMP: {timestamp}\r\nOK-ACCESS-PASSPHRASE: \
             {}\r\n",
            self.key, self.passphrase
        )
    }
}

/// Now in milliseconds.
#[must_use]
pub fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// About now in milliseconds, never the same twice: two equal requests must not be replays of each other.
fn fresh_millis() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = now_millis();
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
    now.max(last.unwrap_or(0) + 1)
}

/// A whole request with a body.
#[must_use]
pub fn post(key: &Key, target: &str, body: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\n{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        key.lines("POST", target, body),
        body.len()
    )
}

/// A whole request with a body that no other request has: a number takes the place of `{}` in it.
#[must_use]
pub fn post_once(key: &Key, target: &str, body: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let body = body.replace("{}", &NEXT.fetch_add(1, Ordering::Relaxed).to_string());
    format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\n{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        key.lines_at(now_millis(), "POST", target, &body),
        body.len()
    )
}

/// A whole request without a body.
#[must_use]
pub fn get(key: &Key, target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", key.lines("GET", target, ""))
}
