//! Withdrawals: asked for, perhaps reviewed, broadcast, confirmed. Time passes only by [`Ledger::advance`].
//!
//! ```text
//! UnderReview -> Waiting -> Broadcasting -> Succeeded        (to a chain)
//!      |            |-> Succeeded                            (to another account)
//!      |            '-> Canceled                             (by the customer)
//!      '-> Failed                                            (refused in review)
//! ```
//!
//! Amount and fee are held from the first moment; they leave when the withdrawal succeeds and come back when it
//! is cancelled or fails.

use domain::{AccountId, Amount, Asset, Destination, EventKind, Network, UnixNanos};

use super::{
    HISTORY_PER_ACCOUNT_MAX, Ledger, OPEN_WITHDRAWALS_PER_ACCOUNT_MAX, Place, Posting, Refusal, Update,
};
use crate::random::SplitMix64;

/// Number of a withdrawal, unique on this exchange.
pub type WithdrawalId = u64;

/// Longest client id, in bytes.
const CLIENT_ID_BYTES_MAX: usize = 32;
/// Longest memo or destination tag, in bytes.
const TAG_BYTES_MAX: usize = 64;

/// Where a withdrawal pays to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payee {
    /// Another account of this exchange.
    Account(AccountId),
    /// An address.
    Address {
        /// On which network.
        network: Network,
        /// As entered.
        address: String,
        /// Memo or destination tag.
        tag: Option<String>,
    },
}

/// Whether a new withdrawal waits for somebody's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Review {
    /// It was decided in front of the exchange.
    Done,
    /// It waits for [`Ledger::release_withdrawal`] or [`Ledger::refuse_withdrawal`].
    Pending,
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWithdrawal {
    /// Whose funds.
    pub account: AccountId,
    /// Which asset.
    pub asset: Asset,
    /// How much, without the fee.
    pub amount: Amount,
    /// Fee offered; the chain's own when none is.
    pub fee: Option<Amount>,
    /// Where to.
    pub destination: Destination,
    /// The client's own id: 1 to 32 letters and digits.
    pub client_id: Option<String>,
}

/// Where a withdrawal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WithdrawalState {
    /// On its way into a block.
    Broadcasting,
    /// Taken back by the customer.
    Canceled,
    /// Refused in review.
    Failed,
    /// Paid.
    Succeeded,
    /// Waits for people.
    UnderReview,
    /// Accepted, not yet sent.
    Waiting,
}

impl WithdrawalState {
    /// Whether nothing more happens to it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Canceled | Self::Failed | Self::Succeeded)
    }
}

/// A withdrawal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// Its number.
    pub id: WithdrawalId,
    /// Whose funds.
    pub account: AccountId,
    /// Which asset.
    pub asset: Asset,
    /// How much, without the fee.
    pub amount: Amount,
    /// Fee, paid on top.
    pub fee: Amount,
    /// Where to.
    pub payee: Payee,
    /// The client's own id.
    pub client_id: Option<String>,
    /// Where it stands.
    pub state: WithdrawalState,
    /// Transaction id once broadcast; made up, 64 hexadecimal digits.
    pub transaction_id: Option<String>,
    /// When it was asked for.
    pub created_at: UnixNanos,
    /// When it last changed.
    pub updated_at: UnixNanos,
}

impl Ledger {
    /// Accepts a withdrawal and holds its funds. The same client id with the same terms is the same withdrawal:
    /// it is answered again and moves nothing.
    ///
    /// # Errors
    /// [`Refusal`]; nothing is held then. [`Refusal::AlreadyExists`] when the client id names other terms.
    pub fn request_withdrawal(
        &mut self,
        request: &NewWithdrawal,
        review: Review,
        now: UnixNanos,
    ) -> Result<Withdrawal, Refusal> {
        let account = self.account(&request.account)?;
        if account.master.is_some() {
            return Err(Refusal::SubAccount);
        }
        let (payee, fee) = self.check_withdrawal(request)?;
        if let Some(known) = request.client_id.as_ref().and_then(|client_id| {
            account.withdrawals.iter().find(|known| known.client_id.as_ref() == Some(client_id))
        }) {
            let same = known.asset == request.asset && known.amount == request.amount && known.payee == payee;
            return if same { Ok(known.clone()) } else { Err(Refusal::AlreadyExists { what: "clientId" }) };
        }
        let open = account.withdrawals.iter().filter(|known| !known.state.is_final()).count();
        if open >= OPEN_WITHDRAWALS_PER_ACCOUNT_MAX {
            return Err(Refusal::LimitReached { what: "unfinished withdrawals" });
        }
        let held = request.amount.checked_add(fee).ok_or(Refusal::OutOfRange)?;
        self.balances.post(&[Posting {
            asset: request.asset.clone(),
            amount: held,
            from: Place::Available(request.account.clone()),
            to: Place::Held(request.account.clone()),
        }])?;
        let withdrawal = Withdrawal {
            id: self.fresh_id(),
            account: request.account.clone(),
            asset: request.asset.clone(),
            amount: request.amount,
            fee,
            payee,
            client_id: request.client_id.clone(),
            state: match review {
                Review::Done => WithdrawalState::Waiting,
                Review::Pending => WithdrawalState::UnderReview,
            },
            transaction_id: None,
            created_at: now,
            updated_at: now,
        };
        self.open_withdrawals.insert(withdrawal.id, request.account.clone());
        let history = &mut self.account_mut(&request.account)?.withdrawals;
        // Unfinished ones are fewer than the history is long, so there is a finished one to forget.
        if history.len() >= HISTORY_PER_ACCOUNT_MAX
            && let Some(oldest) = history.iter().position(|known| known.state.is_final())
        {
            history.remove(oldest);
        }
        history.push_back(withdrawal.clone());
        self.updates.push(Update::Withdrawal(Box::new(withdrawal.clone())));
        if withdrawal.state == WithdrawalState::Waiting {
            self.accepted(&withdrawal);
        }
        Ok(withdrawal)
    }

    /// Lets a reviewed withdrawal go on.
    ///
    /// # Errors
    /// [`Refusal::WithdrawalUnknown`] or [`Refusal::WithdrawalNotInState`].
    pub fn release_withdrawal(&mut self, id: WithdrawalId, now: UnixNanos) -> Result<Withdrawal, Refusal> {
        let account = self.open_withdrawals.get(&id).cloned().ok_or(Refusal::WithdrawalUnknown)?;
        let withdrawal = self.withdrawal_mut(&account, id)?;
        if withdrawal.state != WithdrawalState::UnderReview {
            return Err(Refusal::WithdrawalNotInState);
        }
        withdrawal.state = WithdrawalState::Waiting;
        withdrawal.updated_at = now;
        let withdrawal = withdrawal.clone();
        self.updates.push(Update::Withdrawal(Box::new(withdrawal.clone())));
        self.accepted(&withdrawal);
        Ok(withdrawal)
    }

    /// Ends a reviewed withdrawal and gives the funds back.
    ///
    /// # Errors
    /// [`Refusal::WithdrawalUnknown`] or [`Refusal::WithdrawalNotInState`].
    pub fn refuse_withdrawal(&mut self, id: WithdrawalId, now: UnixNanos) -> Result<Withdrawal, Refusal> {
        let account = self.open_withdrawals.get(&id).cloned().ok_or(Refusal::WithdrawalUnknown)?;
        self.give_back(&account, id, WithdrawalState::UnderReview, WithdrawalState::Failed, now)
    }

    /// Takes back a withdrawal that was not sent yet.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`], [`Refusal::WithdrawalUnknown`] or [`Refusal::WithdrawalNotInState`].
    pub fn cancel_withdrawal(
        &mut self,
        account: &AccountId,
        id: WithdrawalId,
        now: UnixNanos,
    ) -> Result<Withdrawal, Refusal> {
        self.give_back(account, id, WithdrawalState::Waiting, WithdrawalState::Canceled, now)
    }

    /// Lets time pass on the chains: each accepted withdrawal takes one step, up to `max` of them, oldest first.
    /// Returns those that succeeded.
    ///
    /// # Errors
    /// [`Refusal::OutOfRange`] when a recipient's balance would leave the exact range; that withdrawal stays.
    pub fn advance(&mut self, max: usize, now: UnixNanos) -> Result<Vec<Withdrawal>, Refusal> {
        let open: Vec<_> = self.open_withdrawals.iter().map(|(id, account)| (*id, account.clone())).collect();
        let mut succeeded = Vec::new();
        let mut steps = 0;
        for (id, account) in open {
            if steps == max {
                break;
            }
            let mut withdrawal = self.withdrawal_mut(&account, id)?.clone();
            withdrawal.state = match (withdrawal.state, &withdrawal.payee) {
                (WithdrawalState::Waiting, Payee::Address { .. }) => {
                    withdrawal.transaction_id = Some(made_up_transaction_id(id));
                    WithdrawalState::Broadcasting
                }
                (WithdrawalState::Waiting, Payee::Account(_)) | (WithdrawalState::Broadcasting, _) => {
                    self.pay(&withdrawal)?;
                    self.open_withdrawals.remove(&id);
                    WithdrawalState::Succeeded
                }
                _ => continue,
            };
            steps += 1;
            withdrawal.updated_at = now;
            *self.withdrawal_mut(&account, id)? = withdrawal.clone();
            self.updates.push(Update::Withdrawal(Box::new(withdrawal.clone())));
            if withdrawal.state == WithdrawalState::Succeeded {
                succeeded.push(withdrawal);
            }
        }
        self.report_touched();
        Ok(succeeded)
    }

    /// Withdrawals remembered of the account, newest first.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`].
    pub fn withdrawals(&self, account: &AccountId) -> Result<impl Iterator<Item = &Withdrawal>, Refusal> {
        Ok(self.account(account)?.withdrawals.iter().rev())
    }

    fn accepted(&mut self, withdrawal: &Withdrawal) {
        // Funds that stay inside the exchange have not been withdrawn.
        if let Payee::Address { network, address, .. } = &withdrawal.payee {
            let kind = EventKind::WithdrawalAccepted {
                asset: withdrawal.asset.clone(),
                amount: withdrawal.amount,
                network: *network,
                address: address.clone(),
            };
            self.happened(&withdrawal.account, kind);
        }
    }

    fn pay(&mut self, withdrawal: &Withdrawal) -> Result<(), Refusal> {
        let held = Place::Held(withdrawal.account.clone());
        let to = match &withdrawal.payee {
            Payee::Account(recipient) => Place::Available(recipient.clone()),
            Payee::Address { .. } => Place::External,
        };
        let leg = |amount, to| Posting { asset: withdrawal.asset.clone(), amount, from: held.clone(), to };
        self.balances.post(&[leg(withdrawal.amount, to), leg(withdrawal.fee, Place::Fees)])
    }

    fn give_back(
        &mut self,
        account: &AccountId,
        id: WithdrawalId,
        from: WithdrawalState,
        to: WithdrawalState,
        now: UnixNanos,
    ) -> Result<Withdrawal, Refusal> {
        let mut withdrawal = self.withdrawal_mut(account, id)?.clone();
        if withdrawal.state != from {
            return Err(Refusal::WithdrawalNotInState);
        }
        self.balances.post(&[Posting {
            asset: withdrawal.asset.clone(),
            amount: withdrawal.amount.checked_add(withdrawal.fee).ok_or(Refusal::OutOfRange)?,
            from: Place::Held(account.clone()),
            to: Place::Available(account.clone()),
        }])?;
        withdrawal.state = to;
        withdrawal.updated_at = now;
        *self.withdrawal_mut(account, id)? = withdrawal.clone();
        self.open_withdrawals.remove(&id);
        self.updates.push(Update::Withdrawal(Box::new(withdrawal.clone())));
        Ok(withdrawal)
    }

    fn withdrawal_mut(&mut self, account: &AccountId, id: WithdrawalId) -> Result<&mut Withdrawal, Refusal> {
        let withdrawals = &mut self.account_mut(account)?.withdrawals;
        withdrawals.iter_mut().find(|known| known.id == id).ok_or(Refusal::WithdrawalUnknown)
    }

    /// Payee and fee of a request that may be accepted.
    fn check_withdrawal(&self, request: &NewWithdrawal) -> Result<(Payee, Amount), Refusal> {
        let asset = &request.asset;
        let currency = self
            .catalog
            .currency(asset.as_str())
            .ok_or_else(|| Refusal::AssetUnknown { asset: asset.clone() })?;
        if request.amount <= Amount::ZERO {
            return Err(Refusal::AmountTooSmall);
        }
        if request.client_id.as_ref().is_some_and(|id| {
            !(1..=CLIENT_ID_BYTES_MAX).contains(&id.len())
                || !id.bytes().all(|byte| byte.is_ascii_alphanumeric())
        }) {
            return Err(Refusal::ParameterInvalid { name: "clientId" });
        }
        match &request.destination {
            Destination::Internal { recipient } => {
                let recipient = AccountId::parse(recipient).map_err(|_| Refusal::RecipientUnknown)?;
                if !self.has_account(&recipient) || recipient == request.account {
                    return Err(Refusal::RecipientUnknown);
                }
                let places = currency.chains.iter().map(|chain| chain.withdrawal_places).max().unwrap_or(0);
                if request.amount.parts().1 > places {
                    return Err(Refusal::ParameterInvalid { name: "amt" });
                }
                Ok((Payee::Account(recipient), Amount::ZERO))
            }
            Destination::OnChain { network, address, tag } => {
                let chain = currency
                    .chain(*network)
                    .ok_or_else(|| Refusal::ChainUnavailable { asset: asset.clone() })?;
                crate::address::check(*network, address)?;
                if tag.as_ref().is_some_and(|tag| tag.is_empty() || tag.len() > TAG_BYTES_MAX) {
                    return Err(Refusal::AddressInvalid);
                }
                if request.amount.parts().1 > chain.withdrawal_places {
                    return Err(Refusal::ParameterInvalid { name: "amt" });
                }
                if request.amount < chain.withdrawal_min {
                    return Err(Refusal::AmountTooSmall);
                }
                if request.amount > chain.withdrawal_max {
                    return Err(Refusal::AmountTooLarge);
                }
                let fee = request.fee.unwrap_or(chain.withdrawal_fee);
                if fee < chain.withdrawal_fee {
                    return Err(Refusal::FeeTooLow);
                }
                if fee > chain.withdrawal_fee_max {
                    return Err(Refusal::FeeTooHigh);
                }
                let (network, address, tag) = (*network, address.clone(), tag.clone());
                Ok((Payee::Address { network, address, tag }, fee))
            }
            Destination::UnknownNetwork { .. } => Err(Refusal::ChainUnavailable { asset: asset.clone() }),
        }
    }
}

fn made_up_transaction_id(id: WithdrawalId) -> String {
    let mut random = SplitMix64::named(id, "transaction");
    (0..4).map(|_| format!("{:016x}", random.next_u64())).collect()
}
