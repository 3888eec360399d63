//! Double-entry balances. Money never appears or vanishes: every posting takes from one place what it gives to
//! another, so per asset all places sum to zero, the outside world included.
//!
//! Exactness: every balance has at most [`PLACES_MAX`] decimal places and lies within
//! `-BALANCE_ABS_MAX..=BALANCE_ABS_MAX`, so a sum has at most 28 digits and is never rounded. As the outside world
//! is bounded as well, everything inside together is; only a deposit can ever be refused for being out of range.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{AccountId, Amount, Asset};

use super::Refusal;

/// Decimal places a posted amount may have.
pub const PLACES_MAX: u32 = 12;

/// Whole units no balance may exceed, in either direction: 10^15 with 12 places is 27 digits.
pub const BALANCE_ABS_MAX: i128 = 1_000_000_000_000_000;

/// What an account has of one asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// Free to use.
    pub available: Amount,
    /// Reserved for open orders and unfinished withdrawals.
    pub held: Amount,
}

impl Balance {
    /// Available plus held.
    #[must_use]
    pub fn total(&self) -> Amount {
        // Within the bounds of this module the sum always exists.
        self.available.checked_add(self.held).unwrap_or(self.available)
    }
}

/// Where money is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Free on an account.
    Available(AccountId),
    /// Reserved on an account.
    Held(AccountId),
    /// Outside the exchange. Negative: what came in minus what went out.
    External,
    /// Earned by the exchange.
    Fees,
}

/// One posting: `amount` of `asset` moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// Which asset.
    pub asset: Asset,
    /// How much; zero is allowed and does nothing.
    pub amount: Amount,
    /// Debited place.
    pub from: Place,
    /// Credited place.
    pub to: Place,
}

/// All balances.
#[derive(Debug, Default)]
pub struct Balances {
    accounts: HashMap<AccountId, BTreeMap<Asset, Balance>>,
    external: BTreeMap<Asset, Amount>,
    fees: BTreeMap<Asset, Amount>,
    /// (account, asset) pairs whose total changed since [`Balances::take_touched`].
    touched: BTreeSet<(AccountId, Asset)>,
    /// (account, asset) pairs of which anything changed since [`Balances::take_moved`].
    moved: BTreeSet<(AccountId, Asset)>,
}

impl Balances {
    /// What `account` has of `asset`.
    #[must_use]
    pub fn balance(&self, account: &AccountId, asset: &Asset) -> Balance {
        self.accounts.get(account).and_then(|assets| assets.get(asset)).copied().unwrap_or_default()
    }

    /// Every asset `account` has ever had, by ticker.
    pub fn balances(&self, account: &AccountId) -> impl Iterator<Item = (&Asset, Balance)> {
        self.accounts.get(account).into_iter().flatten().map(|(asset, balance)| (asset, *balance))
    }

    /// Fees earned in `asset`.
    #[must_use]
    pub fn fees(&self, asset: &Asset) -> Amount {
        self.fees.get(asset).copied().unwrap_or_default()
    }

    /// Minus what customers and the exchange hold of `asset`.
    #[must_use]
    pub fn external(&self, asset: &Asset) -> Amount {
        self.external.get(asset).copied().unwrap_or_default()
    }

    /// Posts all or none, in order.
    ///
    /// # Errors
    /// [`Refusal::BalanceInsufficient`] when an account would go below zero, [`Refusal::OutOfRange`] when an
    /// amount is negative or too fine, or a balance would leave the exact range.
    pub fn post(&mut self, postings: &[Posting]) -> Result<(), Refusal> {
        for (done, posting) in postings.iter().enumerate() {
            if let Err(refusal) = self.post_one(posting) {
                for undo in postings.iter().take(done).rev() {
                    let back = Posting { from: undo.to.clone(), to: undo.from.clone(), ..undo.clone() };
                    self.post_one(&back).expect("undoing a posting restores balances that were in range");
                }
                return Err(refusal);
            }
        }
        Ok(())
    }

    fn post_one(&mut self, posting: &Posting) -> Result<(), Refusal> {
        let Posting { asset, amount, from, to } = posting;
        if amount.is_negative() || amount.parts().1 > PLACES_MAX {
            return Err(Refusal::OutOfRange);
        }
        if amount.is_zero() || from == to {
            return Ok(());
        }
        let debited = in_range(self.at(from, asset).checked_sub(*amount))?;
        if debited.is_negative() && *from != Place::External {
            return Err(Refusal::BalanceInsufficient { asset: asset.clone() });
        }
        let credited = in_range(self.at(to, asset).checked_add(*amount))?;
        self.set(from, asset, debited);
        self.set(to, asset, credited);
        for account in [holder(from), holder(to)].into_iter().flatten() {
            self.moved.insert((account.clone(), asset.clone()));
        }
        match (holder(from), holder(to)) {
            (left, right) if left == right => {}
            (left, right) => {
                for account in [left, right].into_iter().flatten() {
                    self.touched.insert((account.clone(), asset.clone()));
                }
            }
        }
        Ok(())
    }

    /// The (account, asset) pairs whose total changed since the last call, in order.
    pub fn take_touched(&mut self) -> BTreeSet<(AccountId, Asset)> {
        std::mem::take(&mut self.touched)
    }

    /// The (account, asset) pairs of which what is available or held changed since the last call, in order.
    pub fn take_moved(&mut self) -> BTreeSet<(AccountId, Asset)> {
        std::mem::take(&mut self.moved)
    }

    /// Sum over every place per asset, for the assets where it is not zero: always empty.
    #[must_use]
    pub fn imbalances(&self) -> BTreeMap<Asset, Amount> {
        let mut sums: BTreeMap<Asset, Amount> = BTreeMap::new();
        let accounts = self.accounts.values().flatten().map(|(asset, balance)| (asset, balance.total()));
        let others = self.external.iter().chain(&self.fees).map(|(asset, amount)| (asset, *amount));
        for (asset, amount) in accounts.chain(others) {
            let sum = sums.entry(asset.clone()).or_default();
            *sum = sum.checked_add(amount).expect("balances are bounded, so sums over accounts exist");
        }
        sums.retain(|_, sum| !sum.is_zero());
        sums
    }

    fn at(&self, place: &Place, asset: &Asset) -> Amount {
        match place {
            Place::Available(account) => self.balance(account, asset).available,
            Place::External => self.external(asset),
            Place::Fees => self.fees(asset),
            Place::Held(account) => self.balance(account, asset).held,
        }
    }

    fn set(&mut self, place: &Place, asset: &Asset, amount: Amount) {
        match place {
            Place::Available(account) => self.entry(account, asset).available = amount,
            Place::External => {
                self.external.insert(asset.clone(), amount);
            }
            Place::Fees => {
                self.fees.insert(asset.clone(), amount);
            }
            Place::Held(account) => self.entry(account, asset).held = amount,
        }
    }

    fn entry(&mut self, account: &AccountId, asset: &Asset) -> &mut Balance {
        self.accounts.entry(account.clone()).or_default().entry(asset.clone()).or_default()
    }
}

fn holder(place: &Place) -> Option<&AccountId> {
    match place {
        Place::Available(account) | Place::Held(account) => Some(account),
        Place::External | Place::Fees => None,
    }
}

fn in_range(amount: Option<Amount>) -> Result<Amount, Refusal> {
    let amount = amount.ok_or(Refusal::OutOfRange)?;
    let max = Amount::from_parts(BALANCE_ABS_MAX, 0).map_err(|_| Refusal::OutOfRange)?;
    if amount > max || -amount > max { Err(Refusal::OutOfRange) } else { Ok(amount) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usdt() -> Asset {
        Asset::parse("USDT").unwrap()
    }

    fn post(from: Place, to: Place, amount: &str) -> Posting {
        Posting { asset: usdt(), amount: Amount::parse(amount).unwrap(), from, to }
    }

    #[test]
    fn a_failing_posting_undoes_the_ones_before_it() {
        let alice = AccountId::parse("alice").unwrap();
        let mut balances = Balances::default();
        balances.post(&[post(Place::External, Place::Available(alice.clone()), "5")]).unwrap();
        let refused = balances.post(&[
            post(Place::Available(alice.clone()), Place::Held(alice.clone()), "3"),
            post(Place::Available(alice.clone()), Place::Fees, "3"),
        ]);
        assert_eq!(refused, Err(Refusal::BalanceInsufficient { asset: usdt() }));
        let balance = balances.balance(&alice, &usdt());
        assert_eq!((balance.available.to_string(), balance.held.to_string()), ("5".into(), "0".into()));
        assert!(balances.imbalances().is_empty());
    }

    #[test]
    fn the_range_in_which_sums_are_exact_is_not_left() {
        let alice = AccountId::parse("alice").unwrap();
        let mut balances = Balances::default();
        let most = BALANCE_ABS_MAX.to_string();
        balances.post(&[post(Place::External, Place::Available(alice.clone()), &most)]).unwrap();
        for amount in ["0.000000000001", "1"] {
            let more = [post(Place::External, Place::Available(alice.clone()), amount)];
            assert_eq!(balances.post(&more), Err(Refusal::OutOfRange));
        }
        let too_fine = [post(Place::Available(alice.clone()), Place::Fees, "0.0000000000001")];
        assert_eq!(balances.post(&too_fine), Err(Refusal::OutOfRange));
        let negative = [post(Place::Fees, Place::Available(alice), "-1")];
        assert_eq!(balances.post(&negative), Err(Refusal::OutOfRange));
    }

    #[test]
    fn moving_between_available_and_held_changes_no_total() {
        let alice = AccountId::parse("alice").unwrap();
        let mut balances = Balances::default();
        balances.post(&[post(Place::External, Place::Available(alice.clone()), "5")]).unwrap();
        assert_eq!(balances.take_touched().len(), 1);
        balances.post(&[post(Place::Available(alice.clone()), Place::Held(alice), "3")]).unwrap();
        assert!(balances.take_touched().is_empty());
        assert_eq!(balances.take_moved().len(), 1);
        assert!(balances.take_moved().is_empty());
    }
}
