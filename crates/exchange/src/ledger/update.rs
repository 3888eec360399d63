//! What changed, for those who watch: the feed of the web sockets. Happenings are for the fraud engine and say what
//! somebody did; updates are for customers and say how things stand.

use domain::{AccountId, Asset};

use super::{Deposit, MATCHES_PER_ORDER_MAX, OPEN_ORDERS_PER_ACCOUNT_MAX, Order, Trade, Withdrawal};

/// What one operation can leave: per match two orders, a trade and the balances of who was met; orders of its own
/// account that it met and cancelled; and what the operation itself does.
pub const UPDATES_PER_OPERATION_MAX: usize = 4 * MATCHES_PER_ORDER_MAX + OPEN_ORDERS_PER_ACCOUNT_MAX + 16;

/// One change, with the state after it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Update {
    /// Balances of an account; how they stand now is in the books.
    Balances {
        /// Whose.
        account: AccountId,
        /// Of what, each once.
        assets: Vec<Asset>,
    },
    /// The book of an instrument.
    Book {
        /// Which.
        instrument: String,
    },
    /// Funds arrived.
    Deposit {
        /// Whose.
        account: AccountId,
        /// What.
        deposit: Deposit,
    },
    /// An order was accepted, changed, traded or finished.
    Order(Box<Order>),
    /// Somebody traded.
    Trade {
        /// What.
        instrument: String,
        /// The trade.
        trade: Trade,
    },
    /// A withdrawal moved on.
    Withdrawal(Box<Withdrawal>),
}
