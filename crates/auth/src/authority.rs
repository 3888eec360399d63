//! Least authority: what a key, or a grant to an app, may do at most beside its permissions.
//!
//! A stolen key that may only trade still empties an account: it buys worthless instruments from the thief at any
//! price. So a key may be bound to endpoints, instruments, values, directions of transfers, destinations and hours
//! ([`Restrictions`]); its owner learns where it is used from ([`LastUses`], [`Sightings`]); and it may not withdraw
//! in its first day ([`may_withdraw_from`]).
//!
//! Not here: permissions and addresses (the key itself), rate limits, JSON (the caller shows fields through
//! [`Fields`]), the address book (the caller tells which entry a destination is).
//!
//! # One request
//!
//! ```text
//! let limits = verified.restrictions();                          // None: nothing to do
//! let act = limits.check_request(method, path, now)?;            // from the head alone
//! if limits.needs_body(act) { match act {
//!     Act::Orders { kind, batch } => {
//!         let orders = objects.map(|fields| OrderIntent::read(kind, fields))...;
//!         let value = limits.check_orders(&orders, prices, now)?;
//!         // Last of all checks, after admit_once: what is charged stays charged.
//!         loop { match verified.charge(value, now)? { None => break, Some(change) => journal and apply it } }
//!     }
//!     Act::Transfer(known) => limits.check_transfer(known or TransferDirection::read(fields)?)?,
//!     Act::Withdrawal => limits.check_withdrawal(entry of the address book)?,
//! } }
//! ```
//!
//! Over a WebSocket each operation is held against them as the REST endpoint that does the same, and reading as a GET of
//! the WebSocket's own path ([`Restrictions::check_stream`]).
//!
//! Where a key was used from: `verified.observe(..)` after the checks; a sighting goes on record by `verified.seen(..)`.
//! Enforcing the rule on a key is to freeze it, on an app's grant to revoke it.
//!
//! A request body may be read for this only once, by the same strict reader that decides about withdrawals.

mod budget;
mod hours;
mod notional;
mod order;
mod pattern;
pub(crate) mod record;
mod restrictions;
mod sightings;
mod standing;

use std::time::Duration;

use domain::UnixNanos;

pub(crate) use self::standing::{Seen, Standing};
pub use self::{
    budget::{BUCKETS, Charge, DayBudget, Reservation, SHARES},
    hours::{HOURS, WeeklyHours},
    notional::Notional,
    order::{
        BATCH_MAX, Contract, Fields, NoPrices, OrderIntent, OrderKind, ReferencePrices, Side, SizeUnit,
        TransferDirection, Unreadable,
    },
    pattern::{BadPattern, DestinationId, EndpointPattern, InstrumentId, InstrumentPattern},
    restrictions::{Act, NotionalBounds, RestrictionError, Restrictions},
    sightings::{
        FirstSeenMode, Ja4, Known, LEARNING, LastUse, LastUses, Novelty, Origin, PAIRS_MAX, Pair,
        RECORDS_PER_DAY_MAX, Sighting, Sightings, USES_MAX,
    },
};

/// How long a new key, and one whose restrictions were changed, may not withdraw.
pub const COOL_DOWN: Duration = Duration::from_secs(24 * 3_600);

/// From when a key may withdraw. A key's addresses never change after it was issued, so a new key is also the only
/// way to a new address; any change of its restrictions counts, since one that adds a destination is hard to tell
/// from one that does not.
#[must_use]
pub fn may_withdraw_from(created_at: UnixNanos, restricted_at: Option<UnixNanos>) -> UnixNanos {
    restricted_at.map_or(created_at, |at| at.max(created_at)).plus(COOL_DOWN)
}

#[cfg(test)]
mod tests;
