//! Orders, fills and the book: plain data. What happens to them is in the matching module.

use std::{cmp::Reverse, collections::BTreeMap};

use domain::{AccountId, Amount, UnixNanos};

/// Number of an order, unique on this exchange.
pub type OrderId = u64;

/// Buy or sell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Pay quote, receive base.
    Buy,
    /// Pay base, receive quote.
    Sell,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

/// How an order behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderKind {
    /// Trades in full at once or not at all.
    FillOrKill,
    /// Trades what it can at once; the rest is cancelled.
    ImmediateOrCancel,
    /// Trades what it can; the rest waits in the book.
    Limit,
    /// Trades at any price; the rest is cancelled.
    Market,
    /// Waits in the book; cancelled if it would trade at once.
    PostOnly,
}

impl OrderKind {
    /// Whether it names a price.
    #[must_use]
    pub const fn has_price(self) -> bool {
        !matches!(self, Self::Market)
    }

    /// Whether what is left may wait in the book.
    #[must_use]
    pub const fn rests(self) -> bool {
        matches!(self, Self::Limit | Self::PostOnly)
    }
}

/// What the quantity of a market order counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuantityOf {
    /// The base asset; the rule for everything but market orders.
    Base,
    /// The quote asset: spend at most this much. Market buys only.
    Quote,
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// Who.
    pub account: AccountId,
    /// Such as `BTC-USDT`.
    pub instrument: String,
    /// Buy or sell.
    pub side: Side,
    /// How it behaves.
    pub kind: OrderKind,
    /// Limit price; `None` exactly for market orders.
    pub price: Option<Amount>,
    /// How much.
    pub quantity: Amount,
    /// Of what.
    pub quantity_of: QuantityOf,
    /// The client's own id: 1 to 32 letters and digits, unique among the orders the exchange remembers of the
    /// account.
    pub client_id: Option<String>,
    /// The client's tag, at most 16 letters and digits.
    pub tag: Option<String>,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderState {
    /// Finished with something left untraded.
    Canceled,
    /// Finished, traded in full.
    Filled,
    /// In the book, nothing traded yet.
    Live,
    /// In the book, part traded.
    PartiallyFilled,
}

/// An order, open or finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its number.
    pub id: OrderId,
    /// What was asked for, with later amendments.
    pub terms: NewOrder,
    /// Where it stands.
    pub state: OrderState,
    /// Base quantity traded.
    pub filled: Amount,
    /// Quote amount traded.
    pub filled_value: Amount,
    /// Fee paid, in what it receives.
    pub fee: Amount,
    /// Still reserved for it: quote for a buy, base for a sell.
    pub held: Amount,
    /// The last fill, if any.
    pub last_fill: Option<Fill>,
    /// When it was accepted.
    pub created_at: UnixNanos,
    /// When it last changed.
    pub updated_at: UnixNanos,
    /// Its turn among orders of the same price; lower is earlier.
    pub(super) priority: u64,
}

impl Order {
    /// Base quantity left; meaningless for market orders by quote amount.
    #[must_use]
    pub fn remaining(&self) -> Amount {
        self.terms.quantity.checked_sub(self.filled).unwrap_or_default()
    }

    /// Whether it is in the book.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, OrderState::Live | OrderState::PartiallyFilled)
    }

    /// Average price traded at, rounded at the 28th digit; for display only.
    #[must_use]
    pub fn average_price(&self) -> Option<Amount> {
        self.filled_value.checked_div(self.filled)
    }
}

/// One trade as one of its two parties sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// Number of the trade; both parties see the same.
    pub trade_id: u64,
    /// The party's order.
    pub order_id: OrderId,
    /// The order's client id.
    pub client_id: Option<String>,
    /// Which instrument.
    pub instrument: String,
    /// What the party did.
    pub side: Side,
    /// At which price.
    pub price: Amount,
    /// Base quantity.
    pub quantity: Amount,
    /// Fee paid, in what the party received.
    pub fee: Amount,
    /// Whether the party's order was in the book.
    pub maker: bool,
    /// When.
    pub at: UnixNanos,
}

/// Price and turn: iterating a side goes from the best order to the worst.
type Turn<P> = (P, u64);

/// The open orders of one instrument in price-time priority. Holds numbers only; bounded by the bound on open
/// orders.
#[derive(Debug, Default)]
pub struct Book {
    asks: BTreeMap<Turn<Amount>, OrderId>,
    bids: BTreeMap<Turn<Reverse<Amount>>, OrderId>,
}

impl Book {
    /// Adds an order with this price and turn.
    pub(super) fn insert(&mut self, side: Side, price: Amount, priority: u64, id: OrderId) {
        match side {
            Side::Buy => self.bids.insert((Reverse(price), priority), id),
            Side::Sell => self.asks.insert((price, priority), id),
        };
    }

    /// Removes it again.
    pub(super) fn remove(&mut self, side: Side, price: Amount, priority: u64) {
        match side {
            Side::Buy => self.bids.remove(&(Reverse(price), priority)),
            Side::Sell => self.asks.remove(&(price, priority)),
        };
    }

    /// Orders of one side, best first.
    pub fn orders(&self, side: Side) -> Box<dyn Iterator<Item = (Amount, OrderId)> + '_> {
        match side {
            Side::Buy => Box::new(self.bids.iter().map(|((Reverse(price), _), id)| (*price, *id))),
            Side::Sell => Box::new(self.asks.iter().map(|((price, _), id)| (*price, *id))),
        }
    }

    /// The best order of one side.
    #[must_use]
    pub fn best(&self, side: Side) -> Option<(Amount, OrderId)> {
        self.orders(side).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_price_first_then_first_come() {
        let price = |text: &str| Amount::parse(text).unwrap();
        let mut book = Book::default();
        for (turn, text) in [(1, "10"), (2, "11"), (3, "9"), (4, "11")] {
            book.insert(Side::Buy, price(text), turn, turn);
            book.insert(Side::Sell, price(text), turn, turn);
        }
        let ids = |side| book.orders(side).map(|(_, id)| id).collect::<Vec<_>>();
        assert_eq!(ids(Side::Buy), [2, 4, 1, 3]);
        assert_eq!(ids(Side::Sell), [3, 1, 2, 4]);
        book.remove(Side::Buy, price("11"), 2);
        assert_eq!(book.best(Side::Buy), Some((price("11"), 4)));
    }
}
