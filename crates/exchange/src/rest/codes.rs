//! What the exchange answers when it refuses: numbers and texts as OKX v5 documents them.

use std::borrow::Cow;

use http::StatusCode;

use crate::ledger::Refusal;

/// A refusal on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
}

/// What was being done: the same reason has different numbers for different deeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    AmendOrder,
    CancelOrder,
    CancelWithdrawal,
    PlaceOrder,
    Read,
    Transfer,
    Withdraw,
}

impl Fault {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// The request does not come from the gateway, or for nobody.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "50114", "Invalid authorization.")
    }

    /// A parameter is missing, malformed or contradicts another.
    pub(crate) fn parameter(name: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "51000", format!("Parameter {name} error"))
    }

    /// What the books refused.
    pub(crate) fn of(refusal: &Refusal, deed: Deed) -> Self {
        let ok = |code, message: &'static str| Self::new(StatusCode::OK, code, message);
        let withdrawing = deed == Deed::Withdraw;
        match refusal {
            Refusal::AccountUnknown { .. } => Self::unauthorized(),
            Refusal::AddressInvalid => ok("58222", "Invalid withdrawal address"),
            Refusal::AlreadyExists { what: "clOrdId" } => ok("51016", "Client order ID already exists."),
            Refusal::AlreadyExists { what } => {
                Self::new(StatusCode::OK, "50071", format!("{what} already exists"))
            }
            Refusal::AmountTooLarge if withdrawing => {
                ok("58205", "Withdrawal amount exceeds the upper limit")
            }
            Refusal::AmountTooLarge => ok("51005", "Your order amount exceeds the max order amount."),
            Refusal::AmountTooSmall if withdrawing => {
                ok("58206", "Withdrawal amount is lower than the lower limit")
            }
            Refusal::AmountTooSmall => {
                ok("51020", "Your order should meet or exceed the minimum order amount.")
            }
            Refusal::AssetUnknown { .. } => Self::parameter("ccy"),
            Refusal::BalanceInsufficient { .. } if deed == Deed::Transfer => {
                ok("58350", "Insufficient balance")
            }
            Refusal::BalanceInsufficient { .. } if withdrawing => ok("58350", "Insufficient balance"),
            Refusal::BalanceInsufficient { asset } => Self::new(
                StatusCode::OK,
                "51008",
                format!("Order failed. Insufficient {asset} balance in account."),
            ),
            Refusal::Busy => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "50013", "Systems are busy. Please try again later.")
            }
            Refusal::ChainUnavailable { .. } => Self::parameter("chain"),
            Refusal::FeeTooHigh => ok("58210", "Withdrawal fee exceeds the upper limit"),
            Refusal::FeeTooLow => ok("58211", "Withdrawal fee is lower than the lower limit"),
            Refusal::InstrumentUnknown { .. } => ok("51001", "Instrument ID doesn't exist."),
            Refusal::LimitReached { what: "open orders" } => {
                ok("51174", "The number of pending orders reached the upper limit.")
            }
            Refusal::LimitReached { .. } => ok("50040", "Too frequent operations, please try again later"),
            Refusal::NoOffer => ok("51109", "No available offer"),
            Refusal::OrderFinished | Refusal::OrderUnknown => match deed {
                Deed::AmendOrder => ok(
                    "51503",
                    "Order modification failed as the order has been filled, canceled or does not exist.",
                ),
                Deed::CancelOrder => ok(
                    "51400",
                    "Order cancellation failed as the order has been filled, canceled or does not exist.",
                ),
                _ => ok("51603", "Order does not exist"),
            },
            Refusal::OutOfRange => Self::parameter(if withdrawing { "amt" } else { "sz" }),
            Refusal::ParameterInvalid { name } => Self::parameter(name),
            Refusal::QuantityOffLot => ok("51121", "Order quantity must be a multiple of the lot size."),
            Refusal::QuantityTooSmall => {
                ok("51020", "Your order should meet or exceed the minimum order amount.")
            }
            Refusal::RecipientUnknown => ok(
                "58213",
                "The internal transfer address is illegal. It must be an email, phone number, or account name",
            ),
            Refusal::SubAccount => ok(
                "58209",
                "Sub-accounts don't support withdrawals or deposits. Please use your main account instead",
            ),
            Refusal::SubAccountUnknown => ok("59510", "Sub-account does not exist"),
            Refusal::WithdrawalNotInState => ok("58216", "Operation not allowed."),
            Refusal::WithdrawalUnknown => Self::parameter("wdId"),
        }
    }
}
