//! What the gateway answers itself: always JSON in the words of OKX v5.

use std::{borrow::Cow, time::Duration};

use auth::{Refusal, v2::AnswerFields};
use domain::AccountId;

use crate::{pipeline::Standing, websocket};

/// Carries the id of the decision about a withdrawal, to the exchange and to the client.
pub(crate) const DECISION: &str = "x-caponier-decision";

/// The tightest limit of a private request, and what is left of it: draft-ietf-httpapi-ratelimit-headers-10.
pub(crate) const RATE_LIMIT_POLICY: &str = "ratelimit-policy";
pub(crate) const RATE_LIMIT: &str = "ratelimit";

/// A request that is answered here and not by the exchange.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    /// Metric label; the refusal's own unless several causes share it.
    pub(crate) label: &'static str,
    /// Whose request it was, once that is proven.
    pub(crate) account: Option<AccountId>,
    pub(crate) retry_after: Option<Duration>,
    /// Id of the decision behind it.
    pub(crate) decision: Option<Box<str>>,
    /// What the sender has left, once it is proven who that is.
    pub(crate) standing: Option<Box<Standing>>,
    /// What few refusals have.
    pub(crate) aside: Option<Box<Aside>>,
}

/// What few refusals have; apart, since refusals are returned by value everywhere.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// The API key id that was named, whether it exists or not.
    api_key: Option<Box<str>>,
    /// The signature of the answer, where the client asked for one and was proven.
    signed: Option<AnswerFields>,
}

/// An answer that is whole: one of the gateway's own to a request that was accepted, or one of the exchange's that was
/// signed here.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Besides those of the body's length and the connection.
    pub(crate) fields: Vec<(Cow<'static, [u8]>, Vec<u8>)>,
    pub(crate) has_date: bool,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A JSON text.
    pub(crate) fn json(body: String) -> Self {
        let content_type = (Cow::Borrowed(&b"content-type"[..]), b"application/json".to_vec());
        Self { status: 200, fields: vec![content_type], has_date: false, body: body.into_bytes() }
    }

    /// With its signature.
    pub(crate) fn signed(mut self, signed: AnswerFields) -> Self {
        let named = signature_fields(signed);
        self.fields.extend(named.map(|(name, value)| (Cow::Borrowed(name.as_bytes()), value.into_bytes())));
        self
    }
}

fn signature_fields(signed: AnswerFields) -> impl Iterator<Item = (&'static str, String)> {
    let AnswerFields { content_digest, signature_input, signature } = signed;
    [("content-digest", content_digest), ("signature-input", signature_input), ("signature", signature)]
        .into_iter()
}

/// Whether a field would stand beside one of a signed answer.
pub(crate) fn is_signature_field(name: &[u8]) -> bool {
    [&b"content-digest"[..], b"signature-input", b"signature"]
        .iter()
        .any(|own| own.eq_ignore_ascii_case(name))
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let label = refusal.label();
        let (account, retry_after, decision, standing, aside) = (None, None, None, None, None);
        Self { refusal, label, account, retry_after, decision, standing, aside }
    }
}

impl Refused {
    pub(crate) fn of(self, account: &AccountId) -> Self {
        Self { account: Some(account.clone()), ..self }
    }

    /// With the API key id that was named, if it is text.
    pub(crate) fn named(mut self, api_key: Option<&[u8]>) -> Self {
        if let Some(api_key) = api_key.and_then(|key| str::from_utf8(key).ok()) {
            self.aside.get_or_insert_default().api_key = Some(api_key.into());
        }
        self
    }

    /// The API key id that was named.
    pub(crate) fn api_key(&self) -> Option<&str> {
        self.aside.as_ref()?.api_key.as_deref()
    }

    /// With the signature of the answer.
    pub(crate) fn signed(mut self, signed: AnswerFields) -> Self {
        self.aside.get_or_insert_default().signed = Some(signed);
        self
    }

    pub(crate) fn labelled(self, label: &'static str) -> Self {
        Self { label, ..self }
    }

    /// HTTP status.
    pub(crate) fn status(&self) -> u16 {
        self.refusal.http_status()
    }

    /// The body. A message about a decision starts with the documented text and ends with the decision's id.
    pub(crate) fn body(&self) -> String {
        match &self.decision {
            None => self.refusal.body(),
            Some(id) => {
                let message = format!("{} (decision {id})", self.refusal.message());
                let message = serde_json::Value::String(message);
                format!("{{\"code\":\"{}\",\"msg\":{message},\"data\":[]}}", self.refusal.code())
            }
        }
    }

    /// The header fields besides those of the body's length and the date.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
        // Whole seconds, rounded up: coming back earlier would be refused again.
        let wait = self.retry_after.unwrap_or(Duration::from_secs(1));
        let seconds = (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1);
        let limited = self.status() == 429 || (self.status() == 503 && self.retry_after.is_some());
        let version = self.label == websocket::VERSION_LABEL;
        let decision = self.decision.as_deref().filter(|id| is_field_value(id));
        [
            Some(("content-type", Cow::Borrowed("application/json"))),
            limited.then(|| ("retry-after", Cow::Owned(seconds.to_string()))),
            // RFC 6455 section 4.4.
            version.then_some(("sec-websocket-version", Cow::Borrowed("13"))),
            decision.map(|id| (DECISION, Cow::Borrowed(id))),
            self.standing.as_ref().map(|standing| (RATE_LIMIT_POLICY, Cow::Borrowed(standing.policy()))),
            self.standing.as_ref().map(|standing| (RATE_LIMIT, Cow::Owned(standing.left()))),
        ]
        .into_iter()
        .flatten()
        .chain(
            self.aside
                .iter()
                .filter_map(|aside| aside.signed.clone())
                .flat_map(signature_fields)
                .map(|(name, value)| (name, Cow::Owned(value))),
        )
    }
}

/// Whether text from another part of the program may stand in a header line.
pub(crate) fn is_field_value(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..0x7f).contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(refused: &Refused, name: &str) -> Option<String> {
        refused.fields().find(|(other, _)| *other == name).map(|(_, value)| value.into_owned())
    }

    #[test]
    fn a_decision_is_named_in_text_and_header() {
        let refused = Refused { decision: Some("d-\"1".into()), ..Refusal::WithdrawalHeld.into() };
        assert_eq!(refused.status(), 200);
        assert_eq!(field(&refused, DECISION).as_deref(), Some("d-\"1"));
        let body: serde_json::Value = serde_json::from_str(&refused.body()).unwrap();
        assert_eq!(body["code"], "58204");
        assert_eq!(body["data"], serde_json::json!([]));
        let message = body["msg"].as_str().unwrap();
        assert!(message.starts_with(&*Refusal::WithdrawalHeld.message()), "{message}");
        assert!(message.ends_with(" (decision d-\"1)"), "{message}");
        let split = Refused { decision: Some("d\r\nx: y".into()), ..Refusal::WithdrawalHeld.into() };
        assert_eq!(field(&split, DECISION), None);
    }

    #[test]
    fn limits_say_when_to_come_back() {
        let wait = |retry_after| {
            field(&Refused { retry_after, ..Refusal::RateLimited.into() }, "retry-after").unwrap()
        };
        assert_eq!(wait(Some(Duration::from_millis(1_001))), "2");
        assert_eq!(wait(Some(Duration::from_secs(2))), "2");
        assert_eq!(wait(Some(Duration::ZERO)), "1");
        assert_eq!(wait(None), "1");
        assert_eq!(field(&Refused::from(Refusal::SignatureInvalid), "retry-after"), None);
    }
}
