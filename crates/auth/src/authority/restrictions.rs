//! What a key may do at most, beside its permissions: every part is optional, every list is an allow-list.
//!
//! Three parts can only be held if a request can be read: instruments, notional and transfers. A key that has one of
//! them is therefore refused every action whose effect this module does not know ([`Act::Opaque`]: algorithmic
//! orders, conversions, loans, mass cancellation, settings). Reading is not affected by them.
//!
//! Bounds: the constants of [`Restrictions`].

use std::{borrow::Cow, fmt};

use domain::{Amount, Asset, UnixNanos};

use super::{
    DestinationId, EndpointPattern, InstrumentPattern, Notional, OrderIntent, OrderKind, ReferencePrices,
    TransferDirection, WeeklyHours,
};
use crate::refusal::Refusal;

/// Where a v2 key opens a session; see [`crate::v2`].
const SESSION: (&[u8], &[u8]) = (b"POST", b"/caponier/v2/session");

/// Restrictions that cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestrictionError {
    /// A bound is zero, negative, absent on both sides, or beyond what can be counted.
    #[error("notional bound is not a positive amount")]
    BoundInvalid,
    /// An entry is not of its form, or is there twice.
    #[error("{part} entry {position} is invalid or repeated")]
    EntryInvalid {
        /// Which part.
        part: &'static str,
        /// Zero-based position.
        position: usize,
    },
    /// A list that allows nothing: take the permission away instead.
    #[error("{part} is empty, which would allow nothing")]
    ListEmpty {
        /// Which part.
        part: &'static str,
    },
    /// A list is too long.
    #[error("{part} has {got} entries, at most {max} are allowed")]
    ListTooLong {
        /// Which part.
        part: &'static str,
        /// Entries found.
        got: usize,
        /// Entries allowed.
        max: usize,
    },
}

/// The most a key may trade for, in one quote asset. At least one bound is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotionalBounds {
    quote: Asset,
    per_order: Option<(Amount, Notional)>,
    per_day: Option<(Amount, Notional)>,
}

impl NotionalBounds {
    /// Bounds in `quote`: of one order, and of all orders of any 24 hours.
    ///
    /// # Errors
    /// [`RestrictionError::BoundInvalid`].
    pub fn new(
        quote: Asset,
        per_order: Option<Amount>,
        per_day: Option<Amount>,
    ) -> Result<Self, RestrictionError> {
        let bound = |amount: Option<Amount>| match amount {
            Some(amount) if amount <= Amount::ZERO => Err(RestrictionError::BoundInvalid),
            Some(amount) => {
                Notional::of(amount).ok_or(RestrictionError::BoundInvalid).map(|value| Some((amount, value)))
            }
            None => Ok(None),
        };
        if per_order.is_none() && per_day.is_none() {
            return Err(RestrictionError::BoundInvalid);
        }
        Ok(Self { quote, per_order: bound(per_order)?, per_day: bound(per_day)? })
    }

    /// The asset the bounds are in.
    #[must_use]
    pub const fn quote(&self) -> &Asset {
        &self.quote
    }

    /// The bound of one order.
    #[must_use]
    pub fn per_order(&self) -> Option<Amount> {
        self.per_order.map(|(amount, _)| amount)
    }

    /// The bound of any 24 hours.
    #[must_use]
    pub fn per_day(&self) -> Option<Amount> {
        self.per_day.map(|(amount, _)| amount)
    }

    pub(crate) fn day_bound(&self) -> Option<Notional> {
        self.per_day.map(|(_, value)| value)
    }
}

/// What a request does, as far as restrictions care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// Something whose effect is not known here.
    Opaque,
    /// Orders: the body is one order, or an array of at most [`super::BATCH_MAX`] where `batch`.
    Orders {
        /// What is done to them.
        kind: OrderKind,
        /// Whether the body is an array.
        batch: bool,
    },
    /// Changes nothing.
    Read,
    /// Moves funds between own accounts; `Some` where the endpoint itself says how, else the body does.
    Transfer(Option<TransferDirection>),
    /// Moves funds out.
    Withdrawal,
}

impl Act {
    /// What a request does; `path` without its query.
    #[must_use]
    pub fn of(method: &[u8], path: &[u8]) -> Self {
        let orders = |kind, batch| Self::Orders { kind, batch };
        match (method, path) {
            (b"GET", _) => Self::Read,
            (b"POST", b"/api/v5/trade/order") => orders(OrderKind::Place, false),
            (b"POST", b"/api/v5/trade/batch-orders") => orders(OrderKind::Place, true),
            (b"POST", b"/api/v5/trade/amend-order") => orders(OrderKind::Amend, false),
            (b"POST", b"/api/v5/trade/amend-batch-orders") => orders(OrderKind::Amend, true),
            (b"POST", b"/api/v5/trade/cancel-order") => orders(OrderKind::Cancel, false),
            (b"POST", b"/api/v5/trade/cancel-batch-orders") => orders(OrderKind::Cancel, true),
            (b"POST", b"/api/v5/trade/close-position") => orders(OrderKind::Close, false),
            (b"POST", b"/api/v5/asset/transfer") => Self::Transfer(None),
            (b"POST", b"/api/v5/asset/subaccount/transfer") => {
                Self::Transfer(Some(TransferDirection::SubToSub))
            }
            (b"POST", b"/api/v5/asset/withdrawal") => Self::Withdrawal,
            _ => Self::Opaque,
        }
    }
}

/// What a key may do at most. The default restricts nothing.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Restrictions {
    pub(super) endpoints: Option<Box<[EndpointPattern]>>,
    pub(super) instruments: Option<Box<[InstrumentPattern]>>,
    pub(super) notional: Option<NotionalBounds>,
    /// Bits of [`TransferDirection`].
    pub(super) transfers: Option<u8>,
    pub(super) destinations: Option<Box<[DestinationId]>>,
    pub(super) hours: Option<WeeklyHours>,
}

impl Restrictions {
    /// Most endpoint patterns.
    pub const ENDPOINTS_MAX: usize = 32;
    /// Most instrument patterns.
    pub const INSTRUMENTS_MAX: usize = 64;
    /// Most withdrawal destinations.
    pub const DESTINATIONS_MAX: usize = 32;

    /// Only these endpoints; see [`EndpointPattern`].
    ///
    /// # Errors
    /// [`RestrictionError`].
    pub fn with_endpoints<T: AsRef<str>>(mut self, patterns: &[T]) -> Result<Self, RestrictionError> {
        let parse = |text: &str| EndpointPattern::parse(text).ok();
        self.endpoints = Some(list("endpoints", patterns, Self::ENDPOINTS_MAX, parse)?);
        Ok(self)
    }

    /// Orders for these instruments only; see [`InstrumentPattern`].
    ///
    /// # Errors
    /// [`RestrictionError`].
    pub fn with_instruments<T: AsRef<str>>(mut self, patterns: &[T]) -> Result<Self, RestrictionError> {
        let parse = |text: &str| InstrumentPattern::parse(text).ok();
        self.instruments = Some(list("instruments", patterns, Self::INSTRUMENTS_MAX, parse)?);
        Ok(self)
    }

    /// Orders of at most this value.
    #[must_use]
    pub fn with_notional(mut self, bounds: NotionalBounds) -> Self {
        self.notional = Some(bounds);
        self
    }

    /// Transfers in these directions only.
    ///
    /// # Errors
    /// [`RestrictionError::ListEmpty`].
    pub fn with_transfers(mut self, directions: &[TransferDirection]) -> Result<Self, RestrictionError> {
        let bits = directions.iter().fold(0, |bits, direction| bits | direction.bit());
        self.transfers = Some(bits).filter(|bits| *bits != 0);
        if self.transfers.is_none() {
            return Err(RestrictionError::ListEmpty { part: "transfers" });
        }
        Ok(self)
    }

    /// Withdrawals to these entries of the address book only.
    ///
    /// # Errors
    /// [`RestrictionError`].
    pub fn with_destinations<T: AsRef<str>>(mut self, ids: &[T]) -> Result<Self, RestrictionError> {
        let parse = |text: &str| DestinationId::parse(text).ok();
        self.destinations = Some(list("destinations", ids, Self::DESTINATIONS_MAX, parse)?);
        Ok(self)
    }

    /// In these hours only.
    #[must_use]
    pub const fn with_hours(mut self, hours: WeeklyHours) -> Self {
        self.hours = Some(hours);
        self
    }

    /// Whether nothing is restricted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The endpoint patterns, if restricted.
    #[must_use]
    pub fn endpoints(&self) -> Option<&[EndpointPattern]> {
        self.endpoints.as_deref()
    }

    /// The instrument patterns, if restricted.
    #[must_use]
    pub fn instruments(&self) -> Option<&[InstrumentPattern]> {
        self.instruments.as_deref()
    }

    /// The notional bounds, if any.
    #[must_use]
    pub const fn notional(&self) -> Option<&NotionalBounds> {
        self.notional.as_ref()
    }

    /// The transfer directions, if restricted.
    #[must_use]
    pub fn transfers(&self) -> Option<Vec<TransferDirection>> {
        let bits = self.transfers?;
        Some(TransferDirection::ALL.into_iter().filter(|direction| bits & direction.bit() != 0).collect())
    }

    /// The withdrawal destinations, if restricted.
    #[must_use]
    pub fn destinations(&self) -> Option<&[DestinationId]> {
        self.destinations.as_deref()
    }

    /// The hours, if restricted.
    #[must_use]
    pub const fn hours(&self) -> Option<&WeeklyHours> {
        self.hours.as_ref()
    }

    /// Checks what the head of a request says, and tells what it does. `path` is canonical and without its query.
    ///
    /// Opening a session of a v2 key is no more than signing in: what is then sent in it is checked like anything else.
    ///
    /// # Errors
    /// [`Refusal::HoursClosed`], [`Refusal::EndpointForbidden`], [`Refusal::ActionUnreadable`].
    pub fn check_request(&self, method: &[u8], path: &[u8], now: UnixNanos) -> Result<Act, Refusal> {
        self.check_hours(now)?;
        if (method, path) == SESSION {
            return Ok(Act::Read);
        }
        if self
            .endpoints
            .as_ref()
            .is_some_and(|patterns| !patterns.iter().any(|one| one.matches(method, path)))
        {
            return Err(Refusal::EndpointForbidden);
        }
        let act = Act::of(method, path);
        let must_read = self.instruments.is_some() || self.notional.is_some() || self.transfers.is_some();
        if act == Act::Opaque && must_read {
            return Err(Refusal::ActionUnreadable);
        }
        Ok(act)
    }

    /// Checks that a key may read from a WebSocket at `path` now.
    ///
    /// # Errors
    /// [`Refusal::HoursClosed`], [`Refusal::EndpointForbidden`].
    pub fn check_stream(&self, path: &[u8], now: UnixNanos) -> Result<(), Refusal> {
        self.check_request(b"GET", path, now).map(drop)
    }

    /// Whether it is an hour in which the key may do anything.
    ///
    /// # Errors
    /// [`Refusal::HoursClosed`].
    pub fn check_hours(&self, now: UnixNanos) -> Result<(), Refusal> {
        match self.hours {
            Some(hours) if !hours.contains(now) => Err(Refusal::HoursClosed),
            _ => Ok(()),
        }
    }

    /// Whether the body of such a request must be read and checked by one of the methods below.
    #[must_use]
    pub const fn needs_body(&self, act: Act) -> bool {
        match act {
            Act::Orders { .. } => self.instruments.is_some() || self.notional.is_some(),
            Act::Transfer(_) => self.transfers.is_some(),
            Act::Withdrawal => self.destinations.is_some(),
            Act::Opaque | Act::Read => false,
        }
    }

    /// Checks the orders of one request, and gives what they are worth together: the charge of the day's budget,
    /// zero without bounds. Either all may pass or none.
    ///
    /// # Errors
    /// [`Refusal::InstrumentForbidden`], [`Refusal::NotionalUnknown`], [`Refusal::NotionalTooLarge`];
    /// 51000 for a batch that is empty or too long.
    pub fn check_orders(
        &self,
        orders: &[OrderIntent],
        prices: &impl ReferencePrices,
        now: UnixNanos,
    ) -> Result<Notional, Refusal> {
        if orders.is_empty() || orders.len() > super::BATCH_MAX {
            return Err(Refusal::ParameterInvalid { parameter: "orders".to_owned() });
        }
        let mut sum = Notional::ZERO;
        for order in orders {
            let allowed = |patterns: &[InstrumentPattern]| {
                patterns.iter().any(|pattern| pattern.matches(&order.instrument))
            };
            if self.instruments.as_deref().is_some_and(|patterns| !allowed(patterns)) {
                return Err(Refusal::InstrumentForbidden);
            }
            let Some(bounds) = &self.notional else { continue };
            let value = order.notional(&bounds.quote, prices, now).ok_or(Refusal::NotionalUnknown)?;
            if bounds.per_order.is_some_and(|(_, most)| value > most) {
                return Err(Refusal::NotionalTooLarge);
            }
            sum = sum.plus(value).ok_or(Refusal::NotionalTooLarge)?;
        }
        Ok(sum)
    }

    /// Checks a transfer.
    ///
    /// # Errors
    /// [`Refusal::TransferForbidden`].
    pub fn check_transfer(&self, direction: TransferDirection) -> Result<(), Refusal> {
        match self.transfers {
            Some(bits) if bits & direction.bit() == 0 => Err(Refusal::TransferForbidden),
            _ => Ok(()),
        }
    }

    /// Checks a withdrawal to an entry of the address book; `None` for a destination that is not in it.
    ///
    /// # Errors
    /// [`Refusal::DestinationForbidden`].
    pub fn check_withdrawal(&self, destination: Option<&DestinationId>) -> Result<(), Refusal> {
        match (&self.destinations, destination) {
            (None, _) => Ok(()),
            (Some(allowed), Some(destination)) if allowed.contains(destination) => Ok(()),
            (Some(_), _) => Err(Refusal::DestinationForbidden),
        }
    }

    /// The parts that are there, by name, for a person to read.
    #[must_use]
    pub fn parts(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        fn joined<T: fmt::Display>(entries: &[T]) -> Cow<'static, str> {
            entries.iter().map(T::to_string).collect::<Vec<_>>().join(", ").into()
        }
        let mut parts = Vec::new();
        let mut part = |name, text: Option<Cow<'static, str>>| parts.extend(text.map(|text| (name, text)));
        part("endpoints", self.endpoints().map(joined));
        part("instruments", self.instruments().map(joined));
        let bound = |amount: Option<Amount>, bounds: &NotionalBounds| {
            amount.map(|amount| format!("{amount} {}", bounds.quote).into())
        };
        part("per_order", self.notional().and_then(|bounds| bound(bounds.per_order(), bounds)));
        part("per_day", self.notional().and_then(|bounds| bound(bounds.per_day(), bounds)));
        let names = |all: Vec<TransferDirection>| {
            all.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", ").into()
        };
        part("transfers", self.transfers().map(names));
        part("destinations", self.destinations().map(joined));
        part("hours", self.hours().map(|hours| format!("{hours:?}").into()));
        parts
    }
}

impl fmt::Debug for Restrictions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.parts()).finish()
    }
}

fn list<T: PartialEq>(
    part: &'static str,
    texts: &[impl AsRef<str>],
    max: usize,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Box<[T]>, RestrictionError> {
    if texts.is_empty() {
        return Err(RestrictionError::ListEmpty { part });
    }
    if texts.len() > max {
        return Err(RestrictionError::ListTooLong { part, got: texts.len(), max });
    }
    let mut entries = Vec::with_capacity(texts.len());
    for (position, text) in texts.iter().enumerate() {
        let entry = parse(text.as_ref()).filter(|entry| !entries.contains(entry));
        entries.push(entry.ok_or(RestrictionError::EntryInvalid { part, position })?);
    }
    Ok(entries.into())
}

#[cfg(test)]
mod tests;
