//! Least authority: what the key of a request may do at most, beside its permissions.
//!
//! Before the limits the request is held against the [restrictions](auth::authority::Restrictions) of its key: hours and
//! endpoint from the head, then, where that matters, the body, read by the reader that decides about withdrawals. An
//! operation of a web socket is held against them as the REST endpoint that does the same. After
//! everything else the value of its orders is taken from the key's budget of the day; what has to be on record first is.
//! Where the key is used from is noted in between.
//!
//! Reference prices are not known here, so a bound on values holds orders to buy with a limit price in the asset of the
//! bound, and refuses the others.

use std::borrow::Cow;

use auth::{
    Change, KeyChange, Permission, Proof, Refusal, Verified,
    authority::{
        Act, BATCH_MAX, Fields, FirstSeenMode, Ja4, NoPrices, Notional, Novelty, OrderIntent, OrderKind,
        Restrictions, TransferDirection, Unreadable,
    },
    oauth::{AppChange, grant_number},
};
use domain::UnixNanos;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::{
    Routed, Shared,
    json::Object,
    withdrawal::{self, Origin},
};
use crate::{answer::Refused, config::CoolDown, peer::Peer, route::Handling};

/// Reservations made for one request: one, and another where a request at the same time took what it made room for.
const RESERVATIONS_MAX: usize = 4;

/// What the orders of a request are worth: to be taken from the budget of the day.
#[derive(Debug)]
#[must_use]
pub(crate) struct Worth(Notional);

impl Worth {
    /// Nothing is to be taken.
    pub(crate) const NOTHING: Self = Self(Notional::ZERO);

    /// Whether nothing is to be taken.
    pub(crate) fn is_nothing(&self) -> bool {
        self.0 == Notional::ZERO
    }
}

impl Shared {
    /// Whether the key may do this.
    pub(super) fn authorise(
        &self,
        routed: &Routed<'_>,
        body: &[u8],
        verified: &Verified,
        peer: &Peer,
        now: UnixNanos,
    ) -> Result<Worth, Refused> {
        if routed.route.handling == Handling::Decide {
            self.check_age(verified, now)?;
        }
        let nothing = Worth::NOTHING;
        let Some(restrictions) = verified.restrictions() else { return Ok(nothing) };
        let act = restrictions.check_request(routed.view.method(), routed.view.path().as_bytes(), now)?;
        if !restrictions.needs_body(act) {
            return Ok(nothing);
        }
        match act {
            Act::Orders { kind, batch } => {
                return Ok(Worth(check_orders(&restrictions, body, kind, batch, now)?));
            }
            Act::Transfer(known) => restrictions.check_transfer(match known {
                Some(direction) => direction,
                None => TransferDirection::read(&object(body)?)?,
            })?,
            Act::Withdrawal => {
                let (account, api_key) = (verified.account(), verified.key_id());
                let origin = Origin { account, api_key, ip: peer.ip, ja4: peer.ja4(), at: now };
                let destination = withdrawal::parse(body, origin)?.destination;
                restrictions.check_withdrawal(self.withdrawals.entry(account, &destination).as_ref())?;
            }
            Act::Opaque | Act::Read => {}
        }
        Ok(nothing)
    }

    /// Whether the key may do this over a web socket: what `endpoint` does, to these orders.
    pub(crate) fn authorise_operation(
        verified: &Verified,
        endpoint: &str,
        orders: &[&RawValue],
        now: UnixNanos,
    ) -> Result<Worth, Refused> {
        let Some(restrictions) = verified.restrictions() else { return Ok(Worth::NOTHING) };
        let act = restrictions.check_request(b"POST", endpoint.as_bytes(), now)?;
        match act {
            Act::Orders { kind, .. } if restrictions.needs_body(act) => {
                Ok(Worth(check_each(&restrictions, orders, kind, now)?))
            }
            // Nothing else that would have to be read is an operation of web sockets.
            _ if restrictions.needs_body(act) => Err(Refusal::ActionUnreadable.into()),
            _ => Ok(Worth::NOTHING),
        }
    }

    /// Whether the key is old enough to withdraw.
    fn check_age(&self, verified: &Verified, now: UnixNanos) -> Result<(), Refused> {
        match (self.cool_down, verified.check_cool_down(now)) {
            (CoolDown::Off, _) | (_, Ok(())) => Ok(()),
            (CoolDown::Shadow, Err(refusal)) => {
                self.metrics.shadow(refusal.label());
                Ok(())
            }
            (CoolDown::Enforce, Err(refusal)) => Err(refusal.into()),
        }
    }

    /// Notes where the key is used from; one that may move funds and shows up elsewhere is frozen, where that is said.
    pub(super) async fn observe(
        &self,
        routed: &Routed<'_>,
        verified: &Verified,
        peer: &Peer,
        now: UnixNanos,
    ) -> Result<(), Refused> {
        let permission = routed.endpoint.and_then(|endpoint| endpoint.permission).unwrap_or(Permission::Read);
        self.observe_use(verified, permission, peer, now).await
    }

    /// As [`Shared::observe`], for a use with a permission.
    pub(crate) async fn observe_use(
        &self,
        verified: &Verified,
        permission: Permission,
        peer: &Peer,
        now: UnixNanos,
    ) -> Result<(), Refused> {
        let ja4 = peer.ja4().and_then(Ja4::parse);
        let asn = self.guard.operator_of(peer.ip);
        let (record, pair) = match verified.observe(peer.ip, asn, ja4, permission, self.first_seen, now) {
            Novelty::None => return Ok(()),
            Novelty::Learnt(sighting) => {
                self.changes.note(verified.account(), verified.seen(sighting), now);
                return Ok(());
            }
            Novelty::Suspect { record, pair } => (record, pair),
        };
        if let Some(sighting) = record {
            tracing::warn!(key = %verified.key_id(), network = %pair.origin, "a key is used from elsewhere");
            self.changes.note(verified.account(), verified.seen(sighting), now);
        }
        if self.first_seen != FirstSeenMode::Enforce {
            self.metrics.shadow(SEEN_ELSEWHERE);
            return Ok(());
        }
        self.take_out_of_force(verified, now).await;
        Err(Refused::from(Refusal::ApiKeyFrozen).labelled(SEEN_ELSEWHERE))
    }

    /// Freezes a key, ends a grant. Where that cannot be recorded the next request tries again: a suspect stays one.
    async fn take_out_of_force(&self, verified: &Verified, now: UnixNanos) {
        let id = verified.key_id();
        let change = match grant_number(id).filter(|_| verified.proof() == Proof::App) {
            Some(grant) => Change::App(AppChange::Revoked { grant, at: now }),
            None => Change::Key(KeyChange::Frozen { id: id.clone(), at: now }),
        };
        if self.record(verified, change, now).await.is_err() {
            tracing::error!(key = %id, "a suspect key could not be taken out of force");
        }
    }

    /// Takes what a request is worth from the budget of its key: the last check, since it stays taken.
    pub(crate) async fn spend(
        &self,
        verified: &Verified,
        worth: Worth,
        now: UnixNanos,
    ) -> Result<(), Refused> {
        for _ in 0..RESERVATIONS_MAX {
            match verified.charge(worth.0, now)? {
                None => return Ok(()),
                Some(change) => self.record(verified, change, now).await?,
            }
        }
        Err(Refused::from(Refusal::SystemBusy).labelled("budget_contended"))
    }

    async fn record(&self, verified: &Verified, change: Change, now: UnixNanos) -> Result<(), Refused> {
        let record = self.changes.record(verified.account(), change, now);
        let reason = match timeout(self.timeouts.decision, record).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.reason,
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::error!(key = %verified.key_id(), reason, "a change of a key was not recorded");
        Err(Refused::from(Refusal::ServiceUnavailable).labelled("change_not_recorded"))
    }
}

/// Label of a use from a network, or with software, that was not seen with the key before.
const SEEN_ELSEWHERE: &str = "key_seen_elsewhere";

fn check_orders(
    restrictions: &Restrictions,
    body: &[u8],
    kind: OrderKind,
    batch: bool,
    now: UnixNanos,
) -> Result<Notional, Refusal> {
    if batch {
        let texts: Vec<&RawValue> = serde_json::from_slice(body).map_err(|_| Refusal::JsonInvalid)?;
        return check_each(restrictions, &texts, kind, now);
    }
    restrictions.check_orders(&[intent(kind, body)?], &NoPrices, now)
}

/// As [`check_orders`], of orders that stand apart.
fn check_each(
    restrictions: &Restrictions,
    texts: &[&RawValue],
    kind: OrderKind,
    now: UnixNanos,
) -> Result<Notional, Refusal> {
    // Of a list that is refused for its length no more is read than shows that.
    let read = |text: &&RawValue| intent(kind, text.get().as_bytes());
    let orders = texts.iter().take(BATCH_MAX + 1).map(read).collect::<Result<Vec<_>, _>>()?;
    restrictions.check_orders(&orders, &NoPrices, now)
}

/// The order a text is, as the bounds see it.
pub(crate) fn intent(kind: OrderKind, text: &[u8]) -> Result<OrderIntent, Refusal> {
    OrderIntent::read(kind, &object(text)?)
}

fn object(body: &[u8]) -> Result<Object<'_>, Refusal> {
    Object::parse(body).map_err(|_| Refusal::JsonInvalid)
}

impl Fields for Object<'_> {
    fn text(&self, name: &str) -> Result<Option<Cow<'_, str>>, Unreadable> {
        let Some(value) = self.field(name).map_err(|_| Unreadable)? else { return Ok(None) };
        let raw = value.get();
        let text: Cow<'_, str> = match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str::<String>(raw).map_err(|_| Unreadable)?.into(),
            Some(b'-' | b'0'..=b'9') => raw.into(),
            Some(b'n') => return Ok(None),
            _ => return Err(Unreadable),
        };
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, Unreadable> {
        let raw = self.field(name).map_err(|_| Unreadable)?.map(RawValue::get);
        match raw {
            Some("true" | "\"true\"") => Ok(Some(true)),
            Some("false" | "\"false\"") => Ok(Some(false)),
            None | Some("null" | "\"\"") => Ok(None),
            Some(_) => Err(Unreadable),
        }
    }

    fn is_present(&self, name: &str) -> Result<bool, Unreadable> {
        let Some(value) = self.field(name).map_err(|_| Unreadable)? else { return Ok(false) };
        let raw = value.get();
        let inside = raw.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_empty =
            matches!(raw, "null" | "\"\"") || inside.is_some_and(|inside| inside.trim().is_empty());
        Ok(!is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_the_engine_asks() {
        let body =
            r#"{"sz":"1","px":2.50,"a":null,"b":"","c":[ ],"d":[1],"e":true,"f":"false","g":{},"H":"x"}"#;
        let object = Object::parse(body.as_bytes()).unwrap();
        let text = |name| object.text(name).map(|text| text.map(Cow::into_owned));
        assert_eq!(text("sz"), Ok(Some("1".to_owned())));
        assert_eq!(text("px"), Ok(Some("2.50".to_owned())));
        for absent in ["a", "b", "z"] {
            assert_eq!((text(absent), object.flag(absent)), (Ok(None), Ok(None)), "{absent}");
        }
        for unreadable in ["d", "g", "h"] {
            assert_eq!((text(unreadable), object.flag(unreadable)), (Err(Unreadable), Err(Unreadable)));
        }
        assert_eq!((text("e"), object.flag("sz")), (Err(Unreadable), Err(Unreadable)));
        assert_eq!((object.flag("e"), object.flag("f")), (Ok(Some(true)), Ok(Some(false))));
        let present = |name| object.is_present(name).unwrap();
        assert_eq!(["sz", "d", "g", "f"].map(present), [true; 4]);
        assert_eq!(["a", "b", "c", "z"].map(present), [false; 4]);
        assert_eq!(object.is_present("h"), Err(Unreadable));
    }

    #[test]
    fn a_batch_is_read_whole_or_refused() {
        let restrictions = Restrictions::default().with_instruments(&["BTC-USDT"]).unwrap();
        let order = |instrument: &str| {
            format!(r#"{{"instId":"{instrument}","side":"buy","ordType":"limit","sz":"1","px":"2"}}"#)
        };
        let check = |body: String, batch| {
            check_orders(&restrictions, body.as_bytes(), OrderKind::Place, batch, UnixNanos(0))
        };
        let (good, bad) = (order("BTC-USDT"), order("ETH-USDT"));
        assert_eq!(check(good.clone(), false), Ok(Notional::ZERO));
        assert_eq!(check(format!("[{good},{good}]"), true), Ok(Notional::ZERO));
        assert_eq!(check(format!("[{good},{bad}]"), true), Err(Refusal::InstrumentForbidden));
        assert_eq!(check(format!("[{good}]"), false), Err(Refusal::JsonInvalid));
        assert_eq!(check(good.clone(), true), Err(Refusal::JsonInvalid));
        let many = vec![good.as_str(); BATCH_MAX + 1].join(",");
        let refused = Err(Refusal::ParameterInvalid { parameter: "orders".to_owned() });
        assert_eq!(check(format!("[{many}]"), true), refused);
        assert_eq!(check("[]".to_owned(), true), refused);
        let twice = good.replacen('{', r#"{"instId":"BTC-USDT","#, 1);
        assert_eq!(check(format!("[{twice}]"), true), Err(Refusal::JsonInvalid));
    }
}
