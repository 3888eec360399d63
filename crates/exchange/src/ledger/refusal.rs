//! Why the ledger does not do something. One variant per reason; the edge maps them to its own codes.

use domain::{AccountId, Asset};

/// Why an operation was refused. Nothing has changed when one of these is returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No such account.
    #[error("account {account} does not exist")]
    AccountUnknown {
        /// Which one was asked for.
        account: AccountId,
    },
    /// The text is not an address of the network.
    #[error("withdrawal address is not an address of the network")]
    AddressInvalid,
    /// A client's own id is in use.
    #[error("{what} is in use")]
    AlreadyExists {
        /// Name of the id.
        what: &'static str,
    },
    /// Above the largest amount.
    #[error("amount is above the maximum")]
    AmountTooLarge,
    /// Below the smallest amount.
    #[error("amount is below the minimum")]
    AmountTooSmall,
    /// Not a listed currency.
    #[error("asset {asset} is not listed")]
    AssetUnknown {
        /// As asked for.
        asset: Asset,
    },
    /// Not enough available.
    #[error("{asset} balance is insufficient")]
    BalanceInsufficient {
        /// Of which currency.
        asset: Asset,
    },
    /// The queue of unreported events is full: what cannot be reported does not happen.
    #[error("too many events wait to be reported")]
    Busy,
    /// The currency does not move over this network.
    #[error("{asset} has no such chain")]
    ChainUnavailable {
        /// Which currency.
        asset: Asset,
    },
    /// The fee offered is above what is accepted.
    #[error("fee is above the maximum")]
    FeeTooHigh,
    /// The fee offered is below what the chain costs.
    #[error("fee is below the minimum")]
    FeeTooLow,
    /// Not a listed instrument.
    #[error("instrument {id:?} does not exist")]
    InstrumentUnknown {
        /// As asked for, cut to 64 characters.
        id: String,
    },
    /// A named bound is reached.
    #[error("the limit of {what} is reached")]
    LimitReached {
        /// What there are too many of.
        what: &'static str,
    },
    /// Nobody offers the other side.
    #[error("there is no offer to trade with")]
    NoOffer,
    /// The order is already finished.
    #[error("order is already finished")]
    OrderFinished,
    /// No such order of this account.
    #[error("order does not exist")]
    OrderUnknown,
    /// A balance would leave the range in which sums are exact.
    #[error("balance would be out of range")]
    OutOfRange,
    /// A parameter is missing, malformed or contradicts another.
    #[error("parameter {name} is invalid")]
    ParameterInvalid {
        /// Which one.
        name: &'static str,
    },
    /// An order below the smallest quantity.
    #[error("quantity is below the minimum")]
    QuantityTooSmall,
    /// A quantity between two lots.
    #[error("quantity is not a multiple of the lot size")]
    QuantityOffLot,
    /// No account answers to the name of an internal transfer.
    #[error("recipient does not exist")]
    RecipientUnknown,
    /// Sub-accounts do not withdraw.
    #[error("sub-accounts do not withdraw")]
    SubAccount,
    /// No such sub-account of this account.
    #[error("sub-account does not exist")]
    SubAccountUnknown,
    /// The withdrawal is not in a state that allows it.
    #[error("withdrawal is in a state that does not allow this")]
    WithdrawalNotInState,
    /// No such withdrawal of this account.
    #[error("withdrawal does not exist")]
    WithdrawalUnknown,
}
