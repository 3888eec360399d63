//! Sub-accounts: accounts of their own that belong to another one. They trade; only their master withdraws.

use domain::{AccountId, Amount, Asset, UnixNanos};

use super::{Account, Ledger, Place, Posting, Refusal};

impl Ledger {
    /// Opens a sub-account; opening it again changes nothing.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`] without such a master, [`Refusal::SubAccount`] when the master is a sub-account
    /// itself, [`Refusal::AlreadyExists`] when the name is another account's, [`Refusal::LimitReached`].
    pub fn open_sub_account(
        &mut self,
        master: &AccountId,
        sub_account: &AccountId,
        now: UnixNanos,
    ) -> Result<(), Refusal> {
        if self.account(master)?.master.is_some() {
            return Err(Refusal::SubAccount);
        }
        if let Some(known) = self.accounts.get(sub_account) {
            let same = known.master.as_ref() == Some(master);
            return if same { Ok(()) } else { Err(Refusal::AlreadyExists { what: "sub-account" }) };
        }
        if self.accounts.len() >= super::ACCOUNTS_MAX {
            return Err(Refusal::LimitReached { what: "accounts" });
        }
        let account = Account { opened_at: now, master: Some(master.clone()), ..Account::default() };
        self.accounts.insert(sub_account.clone(), account);
        Ok(())
    }

    /// The account a sub-account belongs to; nothing for a master.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`].
    pub fn master_of(&self, account: &AccountId) -> Result<Option<&AccountId>, Refusal> {
        Ok(self.account(account)?.master.as_ref())
    }

    /// Sub-accounts of an account by name, with the time of their opening.
    ///
    /// # Errors
    /// [`Refusal::AccountUnknown`].
    pub fn sub_accounts(&self, master: &AccountId) -> Result<Vec<(&AccountId, UnixNanos)>, Refusal> {
        self.account(master)?;
        let subs = self.accounts.iter().filter(|(_, account)| account.master.as_ref() == Some(master));
        let mut subs: Vec<_> = subs.map(|(name, account)| (name, account.opened_at)).collect();
        subs.sort_unstable();
        Ok(subs)
    }

    /// Moves funds between a master and one of its sub-accounts, in either direction, and answers the number of the
    /// transfer. Nothing leaves the exchange.
    ///
    /// # Errors
    /// [`Refusal::SubAccountUnknown`] unless one is the other's, [`Refusal::AssetUnknown`],
    /// [`Refusal::AmountTooSmall`], [`Refusal::BalanceInsufficient`].
    pub fn transfer(
        &mut self,
        from: &AccountId,
        to: &AccountId,
        asset: &Asset,
        amount: Amount,
    ) -> Result<u64, Refusal> {
        let belongs = |sub: &AccountId, master: &AccountId| {
            self.accounts.get(sub).is_some_and(|account| account.master.as_ref() == Some(master))
        };
        if !belongs(from, to) && !belongs(to, from) {
            return Err(Refusal::SubAccountUnknown);
        }
        if self.catalog.currency(asset.as_str()).is_none() {
            return Err(Refusal::AssetUnknown { asset: asset.clone() });
        }
        if amount <= Amount::ZERO {
            return Err(Refusal::AmountTooSmall);
        }
        self.balances.post(&[Posting {
            asset: asset.clone(),
            amount,
            from: Place::Available(from.clone()),
            to: Place::Available(to.clone()),
        }])?;
        let id = self.fresh_id();
        self.report_touched();
        Ok(id)
    }
}
