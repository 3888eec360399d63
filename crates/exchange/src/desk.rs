//! What people do at the exchange other than by signed request: log in, add devices and addresses, receive
//! deposits, withdraw at the web site. Also how the demo and the tests look into the books.

use std::sync::Arc;

use domain::{AccountId, Amount, Asset, Clock, Credential, Network, UnixNanos, Verdict};
use parking_lot::Mutex;

use crate::{
    ask::{self, Answer},
    catalog::Catalog,
    client::Client,
    ledger::{
        Balance, Ledger, NewOrder, NewWithdrawal, Order, Person, Refusal, Review, Withdrawal, WithdrawalId,
        WithdrawalState,
    },
    report::Reporter,
    ws::Feed,
};

/// Everything the server and the desk share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) guard: Option<Guard>,
    pub(crate) seed: u64,
    /// What changed, to whoever watches.
    pub(crate) feed: Feed,
}

/// The way to the decision listener.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) client: Client,
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) run: String,
}

impl Shared {
    pub(crate) fn new(clock: Arc<dyn Clock>, ledger: Ledger, guard: Option<Guard>, seed: u64) -> Self {
        Self { clock, ledger: Mutex::new(ledger), guard, seed, feed: Feed::new() }
    }

    /// Runs one operation on the books and queues what happened, in the order of the operations.
    pub(crate) fn act<T>(
        &self,
        operation: impl FnOnce(&mut Ledger, UnixNanos) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let now = self.clock.now();
        let mut ledger = self.ledger.lock();
        if self.guard.as_ref().is_some_and(|guard| !guard.reporter.has_room()) {
            return Err(Refusal::Busy);
        }
        let outcome = operation(&mut ledger, now);
        let happenings = ledger.take_happenings();
        // Still under the lock of the books, as below: watchers see changes in the order they were made.
        self.feed.publish(ledger.take_updates());
        if let Some(guard) = &self.guard {
            // Still under the lock of the books: events are queued in the order things happened.
            guard.reporter.queue(happenings, now);
        }
        outcome
    }
}

/// A withdrawal asked for at the web site or app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebWithdrawal {
    /// The withdrawal; its account is the person's.
    pub request: NewWithdrawal,
    /// Who asks, and from where.
    pub person: Person,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOutcome {
    /// The withdrawal as it stands: waiting if allowed, under review if held, failed otherwise.
    pub withdrawal: Withdrawal,
    /// What was answered.
    pub answer: Answer,
}

/// A handle to the exchange for people and tests; cheap to clone.
#[derive(Debug, Clone)]
pub struct Desk(pub(crate) Arc<Shared>);

impl Desk {
    /// Opens an account; opening it again changes nothing.
    ///
    /// # Errors
    /// [`Refusal::LimitReached`].
    pub fn open_account(&self, account: &AccountId) -> Result<(), Refusal> {
        self.0.act(|ledger, now| ledger.open_account(account, now))
    }

    /// Opens a sub-account; opening it again changes nothing.
    ///
    /// # Errors
    /// As [`Ledger::open_sub_account`].
    pub fn open_sub_account(&self, master: &AccountId, sub_account: &AccountId) -> Result<(), Refusal> {
        self.0.act(|ledger, now| ledger.open_sub_account(master, sub_account, now))
    }

    /// Credits funds that arrived from outside and answers the number of the deposit.
    ///
    /// # Errors
    /// As [`Ledger::deposit`].
    pub fn deposit(
        &self,
        account: &AccountId,
        asset: &Asset,
        amount: Amount,
        network: Network,
        from: Option<&str>,
    ) -> Result<u64, Refusal> {
        let from = from.map(str::to_owned);
        self.0.act(|ledger, now| ledger.deposit(account, asset, amount, network, from, now))
    }

    /// Records a login attempt.
    ///
    /// # Errors
    /// As [`Ledger::login`].
    pub fn login(&self, person: &Person, success: bool, second_factor: bool) -> Result<(), Refusal> {
        self.0.act(|ledger, _| ledger.login(person, success, second_factor))
    }

    /// Binds the person's device to the account.
    ///
    /// # Errors
    /// As [`Ledger::add_device`].
    pub fn add_device(&self, person: &Person) -> Result<(), Refusal> {
        self.0.act(|ledger, _| ledger.add_device(person))
    }

    /// Records that what protects the account was changed.
    ///
    /// # Errors
    /// As [`Ledger::change_credential`].
    pub fn change_credential(&self, person: &Person, credential: Credential) -> Result<(), Refusal> {
        self.0.act(|ledger, _| ledger.change_credential(person, credential))
    }

    /// Adds an entry to the withdrawal address book.
    ///
    /// # Errors
    /// As [`Ledger::add_address`].
    pub fn add_address(&self, person: &Person, network: Network, address: &str) -> Result<(), Refusal> {
        self.0.act(|ledger, now| ledger.add_address(person, network, address, now))
    }

    /// Places an order without going through the gateway, as the exchange's own market maker does.
    ///
    /// # Errors
    /// As [`Ledger::place_order`].
    pub fn place_order(&self, terms: NewOrder) -> Result<Order, Refusal> {
        self.0.act(|ledger, now| ledger.place_order(terms, now))
    }

    /// Withdraws at the web site: holds the funds, asks, and goes on only if allowed. Held ones wait for
    /// [`Desk::release_withdrawal`] or [`Desk::refuse_withdrawal`]; everything else gets its funds back.
    ///
    /// # Errors
    /// [`Refusal`] when the books refuse it before anybody is asked.
    pub async fn withdraw(&self, asked: &WebWithdrawal) -> Result<WebOutcome, Refusal> {
        if asked.request.account != asked.person.account {
            return Err(Refusal::ParameterInvalid { name: "account" });
        }
        let request = &asked.request;
        let withdrawal =
            self.0.act(|ledger, now| ledger.request_withdrawal(request, Review::Pending, now))?;
        if withdrawal.state != WithdrawalState::UnderReview {
            // A repeated client id whose withdrawal was decided before: nothing is decided twice.
            return Err(Refusal::AlreadyExists { what: "clientId" });
        }
        let answer = match &self.0.guard {
            None => Answer::NobodyToAsk,
            Some(guard) => {
                let Person { ip, device, .. } = &asked.person;
                ask::decide(&guard.client, &guard.run, &withdrawal, *ip, device.as_ref()).await
            }
        };
        let withdrawal = match answer.verdict() {
            Verdict::Allow => self.release_withdrawal(withdrawal.id)?,
            Verdict::Hold => withdrawal,
            Verdict::Challenge | Verdict::Deny => self.refuse_withdrawal(withdrawal.id)?,
        };
        Ok(WebOutcome { withdrawal, answer })
    }

    /// Lets a held withdrawal go on.
    ///
    /// # Errors
    /// As [`Ledger::release_withdrawal`].
    pub fn release_withdrawal(&self, id: WithdrawalId) -> Result<Withdrawal, Refusal> {
        self.0.act(|ledger, now| ledger.release_withdrawal(id, now))
    }

    /// Ends a held withdrawal and gives the funds back.
    ///
    /// # Errors
    /// As [`Ledger::refuse_withdrawal`].
    pub fn refuse_withdrawal(&self, id: WithdrawalId) -> Result<Withdrawal, Refusal> {
        self.0.act(|ledger, now| ledger.refuse_withdrawal(id, now))
    }

    /// Lets time pass on the chains: accepted withdrawals take one step each. Answers those that succeeded.
    ///
    /// # Errors
    /// As [`Ledger::advance`].
    pub fn advance(&self) -> Result<Vec<Withdrawal>, Refusal> {
        self.0.act(|ledger, now| ledger.advance(crate::ledger::MATCHES_PER_ORDER_MAX, now))
    }

    /// What the account has of an asset.
    #[must_use]
    pub fn balance(&self, account: &AccountId, asset: &Asset) -> Balance {
        self.0.ledger.lock().balances().balance(account, asset)
    }

    /// Withdrawals remembered of the account, newest first.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`].
    pub fn withdrawals(&self, account: &AccountId) -> Result<Vec<Withdrawal>, Refusal> {
        Ok(self.0.ledger.lock().withdrawals(account)?.cloned().collect())
    }

    /// Open orders of the account, newest first.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`].
    pub fn open_orders(&self, account: &AccountId) -> Result<Vec<Order>, Refusal> {
        Ok(self.0.ledger.lock().open_orders(account)?.cloned().collect())
    }

    /// What is listed.
    #[must_use]
    pub fn catalog(&self) -> Catalog {
        self.0.ledger.lock().catalog().clone()
    }

    /// Looks into the books without changing them.
    pub fn inspect<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.0.ledger.lock())
    }
}
