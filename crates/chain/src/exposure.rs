//! Exposure: what share of an address's money came from, or went to, labelled holders, directly and over others.
//!
//! Money is followed back over the transfers that brought it (source of funds) or on over those that took it away
//! (destination), in proportion to their amounts, and **only in an order time allows**: what a holder paid at a time came
//! out of what it had received by then. A labelled holder ends the walk, and the share that arrives is its category's.
//! Followed by forward push (local personalised `PageRank`; Andersen, Chung and Lang 2006): a holder is looked behind only
//! if its share is worth its number of transfers, so an answer costs at most hops / [`Query::epsilon`] steps, whatever
//! the size of the graph. What was not looked behind is said ([`Exposure::unresolved`]), never guessed.
//!
//! Every share arrives once: categories, `unknown`, `beyond` and `unresolved` sum up to 1.
//!
//! What it is not: exact money. Amounts are `f64` in one unit for all transfers of a graph (an asset, or a currency the
//! caller converted to); [`crate::flow`] counts to the last unit.
//!
//! Transfers are kept in the order of time, by receiver and by sender, each 20 bytes in either (compressed sparse rows),
//! and newer ones in maps beside them ([`Transfers::append`]), which can be undone and are merged from time to time
//! ([`Transfers::merge`]): appending into rows would move all that follow. Bounds: [`crate::graph::EDGES_MAX`] transfers,
//! [`RECENT_MAX`] of them recent; a query holds [`STATES_MAX`] states of 32 bytes.

mod transfers;
mod walk;

pub use self::{
    transfers::{Entry, RECENT_MAX, Transfer, Transfers, TransfersError, Turnover},
    walk::{Direction, Exposure, Query, START_TRANSFERS_MAX, STATES_MAX, Share, Step},
};

#[cfg(test)]
mod tests;
