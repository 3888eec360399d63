//! The exchange's books: accounts, balances, orders, trades, deposits, withdrawals. Sans I/O: every operation
//! takes `now`, changes the state or refuses and changes nothing, and leaves what happened in a list that the
//! caller takes away.
//!
//! One wallet per account: what is deposited can be traded and withdrawn without a transfer between wallets.
//! Everything kept is bounded by the constants below; what falls out of a history is forgotten, oldest first.

mod balances;
mod matching;
mod order;
mod refusal;
mod sub_account;
mod update;
mod withdrawal;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    net::IpAddr,
};

use domain::{AccountId, Amount, Asset, Credential, DeviceId, EventKind, Network, UnixNanos};

pub use self::{
    balances::{BALANCE_ABS_MAX, Balance, Balances, PLACES_MAX, Place, Posting},
    matching::{Amendment, MAKER_FEE_BPS, MATCHES_PER_ORDER_MAX, OrderRef, TAKER_FEE_BPS},
    order::{Book, Fill, NewOrder, Order, OrderId, OrderKind, OrderState, QuantityOf, Side},
    refusal::Refusal,
    update::{UPDATES_PER_OPERATION_MAX, Update},
    withdrawal::{NewWithdrawal, Payee, Review, Withdrawal, WithdrawalId, WithdrawalState},
};
use crate::catalog::Catalog;

/// Accounts.
pub const ACCOUNTS_MAX: usize = 2_000;
/// Open orders of one account.
pub const OPEN_ORDERS_PER_ACCOUNT_MAX: usize = 500;
/// Finished orders, fills, deposits and finished withdrawals remembered per account, of each.
pub const HISTORY_PER_ACCOUNT_MAX: usize = 500;
/// Unfinished withdrawals of one account.
pub const OPEN_WITHDRAWALS_PER_ACCOUNT_MAX: usize = 100;
/// Trades remembered per instrument; also what a 24-hour ticker is computed from.
pub const TRADES_PER_INSTRUMENT_MAX: usize = 10_000;
/// Address-book entries and devices of one account, of each.
pub const BOOK_ENTRIES_PER_ACCOUNT_MAX: usize = 200;
/// What one operation can leave to report: per match two fills and at most four changed totals, and as much
/// again for what the operation itself does.
pub const HAPPENINGS_PER_OPERATION_MAX: usize = 6 * MATCHES_PER_ORDER_MAX + 16;

/// Something that happened, before it has an event id and a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// Whose account.
    pub account: AccountId,
    /// From which device, where a person acted.
    pub device: Option<DeviceId>,
    /// From which network address, where a person acted.
    pub ip: Option<IpAddr>,
    /// What.
    pub kind: EventKind,
}

/// Who acts at the web site or app: the part that signed requests do not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Whose account.
    pub account: AccountId,
    /// From which device, if any is known.
    pub device: Option<DeviceId>,
    /// From which network address.
    pub ip: IpAddr,
}

/// Funds that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    /// Its number.
    pub id: u64,
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Amount,
    /// Over which network.
    pub network: Network,
    /// Sender, where the chain tells.
    pub from: Option<String>,
    /// When.
    pub at: UnixNanos,
}

/// An entry of the withdrawal address book. The exchange keeps it for display and reports it; whether a
/// withdrawal must go to an entry is decided in front of the exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressEntry {
    /// Network of the address.
    pub network: Network,
    /// The address as entered.
    pub address: String,
    /// When it was added.
    pub added_at: UnixNanos,
}

/// A trade as everybody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trade {
    /// Its number.
    pub id: u64,
    /// What the taker did.
    pub taker_side: Side,
    /// At which price.
    pub price: Amount,
    /// Base quantity.
    pub quantity: Amount,
    /// When.
    pub at: UnixNanos,
}

/// What the ledger keeps per account besides balances.
#[derive(Debug, Default)]
struct Account {
    opened_at: UnixNanos,
    addresses: Vec<AddressEntry>,
    client_order_ids: HashMap<String, OrderId>,
    deposits: VecDeque<Deposit>,
    devices: BTreeSet<DeviceId>,
    fills: VecDeque<Fill>,
    /// The account this one is a sub-account of.
    master: Option<AccountId>,
    finished: VecDeque<Order>,
    open_orders: BTreeSet<OrderId>,
    withdrawals: VecDeque<Withdrawal>,
}

/// The trades and open orders of one instrument.
#[derive(Debug, Default)]
struct Market {
    book: Book,
    /// Grows with every change of the book.
    book_version: u64,
    /// The version last reported.
    book_told: u64,
    trades: VecDeque<Trade>,
}

/// The books of the exchange.
#[derive(Debug)]
pub struct Ledger {
    catalog: Catalog,
    accounts: HashMap<AccountId, Account>,
    balances: Balances,
    markets: BTreeMap<String, Market>,
    open_orders: HashMap<OrderId, Order>,
    open_withdrawals: BTreeMap<WithdrawalId, AccountId>,
    happenings: Vec<Happening>,
    updates: Vec<Update>,
    next_id: u64,
}

impl Ledger {
    /// Empty books for what `catalog` lists.
    #[must_use]
    pub fn new(catalog: Catalog) -> Self {
        let markets =
            catalog.instruments.iter().map(|instrument| (instrument.id.clone(), Market::default())).collect();
        Self {
            catalog,
            accounts: HashMap::new(),
            balances: Balances::default(),
            markets,
            open_orders: HashMap::new(),
            open_withdrawals: BTreeMap::new(),
            happenings: Vec::new(),
            updates: Vec::new(),
            next_id: 1_000_000,
        }
    }

    /// What is listed.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Every balance; also where conservation is checked.
    #[must_use]
    pub fn balances(&self) -> &Balances {
        &self.balances
    }

    /// Whether there is such an account.
    #[must_use]
    pub fn has_account(&self, account: &AccountId) -> bool {
        self.accounts.contains_key(account)
    }

    /// When the account was opened.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`].
    pub fn opened_at(&self, account: &AccountId) -> Result<UnixNanos, Refusal> {
        Ok(self.account(account)?.opened_at)
    }

    /// Opens an account; opening it again changes nothing.
    ///
    /// # Errors
    /// [`Refusal::LimitReached`] when there are too many.
    pub fn open_account(&mut self, account: &AccountId, now: UnixNanos) -> Result<(), Refusal> {
        if self.has_account(account) {
            return Ok(());
        }
        if self.accounts.len() >= ACCOUNTS_MAX {
            return Err(Refusal::LimitReached { what: "accounts" });
        }
        self.accounts.insert(account.clone(), Account { opened_at: now, ..Account::default() });
        Ok(())
    }

    /// Credits funds that arrived from outside.
    ///
    /// # Errors
    /// [`Refusal`]: unknown account, asset or chain, or an amount that is not positive or out of range.
    pub fn deposit(
        &mut self,
        account: &AccountId,
        asset: &Asset,
        amount: Amount,
        network: Network,
        from: Option<String>,
        now: UnixNanos,
    ) -> Result<u64, Refusal> {
        self.account(account)?;
        let currency = self
            .catalog
            .currency(asset.as_str())
            .ok_or_else(|| Refusal::AssetUnknown { asset: asset.clone() })?;
        if currency.chain(network).is_none() {
            return Err(Refusal::ChainUnavailable { asset: asset.clone() });
        }
        if amount <= Amount::ZERO {
            return Err(Refusal::AmountTooSmall);
        }
        self.balances.post(&[Posting {
            asset: asset.clone(),
            amount,
            from: Place::External,
            to: Place::Available(account.clone()),
        }])?;
        let id = self.fresh_id();
        let deposit = Deposit { id, asset: asset.clone(), amount, network, from: from.clone(), at: now };
        let entry = self.account_mut(account)?;
        remember(&mut entry.deposits, deposit.clone(), HISTORY_PER_ACCOUNT_MAX);
        self.updates.push(Update::Deposit { account: account.clone(), deposit });
        self.happened(account, EventKind::Deposit { asset: asset.clone(), amount, network, from });
        self.report_touched();
        Ok(id)
    }

    /// Records a login attempt.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`].
    pub fn login(&mut self, person: &Person, success: bool, second_factor: bool) -> Result<(), Refusal> {
        self.person_did(person, EventKind::Login { success, second_factor })
    }

    /// Binds the person's device to the account.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`], [`Refusal::ParameterInvalid`] without a device, [`Refusal::LimitReached`].
    pub fn add_device(&mut self, person: &Person) -> Result<(), Refusal> {
        let device = person.device.clone().ok_or(Refusal::ParameterInvalid { name: "device" })?;
        let account = self.account_mut(&person.account)?;
        if account.devices.len() >= BOOK_ENTRIES_PER_ACCOUNT_MAX {
            return Err(Refusal::LimitReached { what: "devices" });
        }
        account.devices.insert(device);
        self.person_did(person, EventKind::DeviceAdded)
    }

    /// Records that what protects the account was changed.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`].
    pub fn change_credential(&mut self, person: &Person, credential: Credential) -> Result<(), Refusal> {
        self.person_did(person, EventKind::CredentialChanged { credential })
    }

    /// Adds an entry to the withdrawal address book.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`], [`Refusal::AddressInvalid`], [`Refusal::LimitReached`].
    pub fn add_address(
        &mut self,
        person: &Person,
        network: Network,
        address: &str,
        now: UnixNanos,
    ) -> Result<(), Refusal> {
        crate::address::check(network, address)?;
        let account = self.account_mut(&person.account)?;
        if account.addresses.len() >= BOOK_ENTRIES_PER_ACCOUNT_MAX {
            return Err(Refusal::LimitReached { what: "address-book entries" });
        }
        account.addresses.push(AddressEntry { network, address: address.to_owned(), added_at: now });
        self.person_did(person, EventKind::AddressAdded { network, address: address.to_owned() })
    }

    /// The withdrawal address book, oldest first.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`].
    pub fn addresses(&self, account: &AccountId) -> Result<&[AddressEntry], Refusal> {
        Ok(&self.account(account)?.addresses)
    }

    /// Deposits remembered, newest first.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`].
    pub fn deposits(&self, account: &AccountId) -> Result<impl Iterator<Item = &Deposit>, Refusal> {
        Ok(self.account(account)?.deposits.iter().rev())
    }

    /// What happened since the last call, in order; at most [`HAPPENINGS_PER_OPERATION_MAX`] per operation.
    #[must_use]
    pub fn take_happenings(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happenings)
    }

    /// What changed since the last call, in order; at most [`UPDATES_PER_OPERATION_MAX`] per operation. Books
    /// and balances come last, each once.
    #[must_use]
    pub fn take_updates(&mut self) -> Vec<Update> {
        let mut updates = std::mem::take(&mut self.updates);
        for (instrument, market) in &mut self.markets {
            if market.book_told != market.book_version {
                market.book_told = market.book_version;
                updates.push(Update::Book { instrument: instrument.clone() });
            }
        }
        let mut moved: BTreeMap<AccountId, Vec<Asset>> = BTreeMap::new();
        for (account, asset) in self.balances.take_moved() {
            moved.entry(account).or_default().push(asset);
        }
        updates.extend(moved.into_iter().map(|(account, assets)| Update::Balances { account, assets }));
        updates
    }

    fn account(&self, account: &AccountId) -> Result<&Account, Refusal> {
        self.accounts.get(account).ok_or_else(|| Refusal::AccountUnknown { account: account.clone() })
    }

    fn account_mut(&mut self, account: &AccountId) -> Result<&mut Account, Refusal> {
        self.accounts.get_mut(account).ok_or_else(|| Refusal::AccountUnknown { account: account.clone() })
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn person_did(&mut self, person: &Person, kind: EventKind) -> Result<(), Refusal> {
        self.account(&person.account)?;
        self.happenings.push(Happening {
            account: person.account.clone(),
            device: person.device.clone(),
            ip: Some(person.ip),
            kind,
        });
        Ok(())
    }

    fn happened(&mut self, account: &AccountId, kind: EventKind) {
        self.happenings.push(Happening { account: account.clone(), device: None, ip: None, kind });
    }

    /// One balance report per (account, asset) whose total changed in this operation.
    fn report_touched(&mut self) {
        for (account, asset) in self.balances.take_touched() {
            let total = self.balances.balance(&account, &asset).total();
            self.happened(&account, EventKind::BalanceChanged { asset, total });
        }
    }
}

/// Appends to a history of at most `max` entries and returns what fell out.
fn remember<T>(history: &mut VecDeque<T>, entry: T, max: usize) -> Option<T> {
    let forgotten = if history.len() >= max { history.pop_front() } else { None };
    history.push_back(entry);
    forgotten
}
