//! Replay: recorded transactions of an EVM chain run past what watches live ones, in the order they happened.
//!
//! Tables come in as streams ([`Stream`]), every address gets a number ([`Parties`]), and [`Monitor`] keeps what it needs per
//! address and says what it sees: payments from and to listed addresses, payments to look-alikes of addresses the sender
//! has used, several senders paying one fresh address. Every sender stands for a customer. Nothing depends on where a
//! file comes from: a later stretch of the chain, or another chain with EVM addresses, is read the same way.
//!
//! What it is not: a follower. It reads no node and knows no reorganisations.
//!
//! Bounds: [`PARTIES_MAX`] addresses; per sender [`HISTORY_MAX`] destinations; per fresh address
//! [`PAYERS_MAX`](crate::crosscustomer::PAYERS_MAX) payers; [`EXAMPLES_MAX`] alerts of each kind are kept for the report.

mod labels;
mod monitor;
mod parties;
mod report;
mod stream;
mod suspects;

pub use self::{
    labels::{LABELS_CSV, ListedParties},
    monitor::{Alert, AlertKind, HISTORY_MAX, Monitor, Options},
    parties::{AddressesError, PARTIES_MAX, Parties, Party, PartyError},
    report::{EXAMPLES_MAX, Report},
    stream::{Item, Stream, TOKEN_COLUMNS, TRANSACTION_COLUMNS, TokenTransfer, Transaction},
};
use crate::table::TableError;
use std::io::BufRead;

/// Runs a whole stream past `monitor`.
///
/// # Errors
/// [`TableError`] with file, line and column.
pub fn run<R: BufRead>(
    stream: &mut Stream<R>,
    monitor: &mut Monitor,
    report: &mut Report,
) -> Result<(), TableError> {
    while let Some(item) = stream.advance()? {
        monitor.take(&item, &stream.parties, |alert| report.alert(alert, &stream.parties));
        report.count(&item);
    }
    report.addresses = stream.parties.len();
    Ok(())
}
