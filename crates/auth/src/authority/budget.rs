//! The day's budget: how much a key may trade for in any 24 hours, in fixed memory, never exceeded across a restart.
//!
//! Charges fall into buckets of one hour. The current hour and the 24 before it count, so the window is 24 to 25
//! hours: a bound may hold longer than promised, never shorter. What is charged stays charged, also when an order is
//! not filled or cancelled: the bound is on what was *asked for*.
//!
//! **Restart.** Charges are not journalled one by one. Before it spends, a key reserves a share of its bound for the
//! current hour ([`SHARES`]; more if one request needs more), and the [`Reservation`] is journalled and applied; what
//! is reserved counts as spent after a restart. So a restart may forget budget, never spending, and a key causes at
//! most [`SHARES`] records plus one an hour in a day. Until its journal is read, a key has spent nothing it did not
//! reserve: the fold must be complete before requests are served, as it is for the keys themselves.
//!
//! A clock that steps back stays in the newest hour seen.

use domain::UnixNanos;

use super::Notional;

/// Hours that count: the current one and 24 full ones.
pub const BUCKETS: usize = 25;

/// A reservation is at least this part of the bound.
pub const SHARES: u128 = 64;

/// Seconds of an hour.
const HOUR_SECS: u64 = 3_600;

/// What a key may have spent at most in one hour, until another reservation says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// Hours since 1970-01-01T00:00:00Z.
    pub hour: u64,
    /// In the quote asset of the key's bound at that time.
    pub upto: Notional,
}

/// What becomes of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// It fits and is taken.
    Admitted,
    /// It does not fit in 24 hours; nothing was taken.
    Exceeded,
    /// It fits, and nothing was taken: journal and apply this, then charge again.
    ReserveFirst(Reservation),
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    spent: Notional,
    reserved: Notional,
}

/// The charges of one key.
#[derive(Debug, Clone, Default)]
pub struct DayBudget {
    /// By hour modulo [`BUCKETS`].
    buckets: [Bucket; BUCKETS],
    newest: u64,
    /// What [`Charge::ReserveFirst`] asked for since the start. A reservation nobody asked for comes from the journal.
    asked: Option<Reservation>,
}

impl DayBudget {
    /// Takes `value` if all of the last 24 hours stays within `bound`.
    pub fn charge(&mut self, value: Notional, bound: Notional, now: UnixNanos) -> Charge {
        if value == Notional::ZERO {
            return Charge::Admitted;
        }
        let hour = self.advance(now.as_secs() / HOUR_SECS);
        let fits = self.spent().and_then(|spent| spent.plus(value)).is_some_and(|sum| sum <= bound);
        if !fits {
            return Charge::Exceeded;
        }
        let others = self.spent_but(hour);
        let bucket = self.bucket(hour);
        let Some(spent) = bucket.spent.plus(value) else { return Charge::Exceeded };
        if spent <= bucket.reserved {
            bucket.spent = spent;
            return Charge::Admitted;
        }
        // A share more than is needed now, but not more than the bound leaves: reserving is not spending, but the
        // record should be no larger than what may come of it.
        let share = Notional::from_atoms(bound.atoms().div_ceil(SHARES));
        let room = Notional::from_atoms(bound.atoms().saturating_sub(others.atoms()));
        let upto = spent.plus(share).unwrap_or(spent).min(room).max(spent);
        let asked = self.asked.filter(|asked| asked.hour == hour).map_or(upto, |asked| asked.upto.max(upto));
        self.asked = Some(Reservation { hour, upto: asked });
        Charge::ReserveFirst(Reservation { hour, upto })
    }

    /// Takes in a reservation that is durable. One from before the last start counts as spent.
    pub fn apply(&mut self, reservation: Reservation) {
        if reservation.hour + BUCKETS as u64 <= self.newest {
            return;
        }
        self.advance(reservation.hour);
        let own =
            self.asked.is_some_and(|asked| asked.hour == reservation.hour && asked.upto >= reservation.upto);
        let bucket = self.bucket(reservation.hour);
        bucket.reserved = bucket.reserved.max(reservation.upto);
        if !own {
            bucket.spent = bucket.spent.max(reservation.upto);
        }
    }

    /// Charged in the last 24 to 25 hours.
    #[must_use]
    pub fn spent_at(&self, now: UnixNanos) -> Notional {
        let mut copy = self.clone();
        copy.advance(now.as_secs() / HOUR_SECS);
        copy.spent().unwrap_or(Notional::from_atoms(u128::MAX))
    }

    fn spent(&self) -> Option<Notional> {
        self.buckets.iter().try_fold(Notional::ZERO, |sum, bucket| sum.plus(bucket.spent))
    }

    fn spent_but(&self, hour: u64) -> Notional {
        let own = self.buckets[place(hour)].spent.atoms();
        Notional::from_atoms(self.spent().map_or(u128::MAX, |sum| sum.atoms() - own))
    }

    /// Forgets what is older than the window; the newest hour.
    fn advance(&mut self, hour: u64) -> u64 {
        if hour > self.newest {
            let steps = (hour - self.newest).min(BUCKETS as u64);
            for step in 0..steps {
                *self.bucket(hour - step) = Bucket::default();
            }
            self.newest = hour;
        }
        self.newest
    }

    fn bucket(&mut self, hour: u64) -> &mut Bucket {
        &mut self.buckets[place(hour)]
    }
}

fn place(hour: u64) -> usize {
    // Below 25.
    usize::try_from(hour % BUCKETS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, time::Duration};

    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(HOUR_SECS);
    const START: UnixNanos = UnixNanos::from_secs(1_800_000_000);

    fn atoms(atoms: u128) -> Notional {
        Notional::from_atoms(atoms)
    }

    /// As the caller does it: reserves when asked to. Gives the reservations.
    fn charge(budget: &mut DayBudget, value: u128, now: UnixNanos) -> (bool, Option<Reservation>) {
        match budget.charge(atoms(value), atoms(6_400), now) {
            Charge::Admitted => (true, None),
            Charge::Exceeded => (false, None),
            Charge::ReserveFirst(reservation) => {
                budget.apply(reservation);
                assert_eq!(budget.charge(atoms(value), atoms(6_400), now), Charge::Admitted);
                (true, Some(reservation))
            }
        }
    }

    #[test]
    fn the_bound_holds_for_a_day_and_then_frees() {
        let mut budget = DayBudget::default();
        assert!(charge(&mut budget, 6_400, START).0);
        assert!(!charge(&mut budget, 1, START).0);
        assert!(charge(&mut budget, 0, START).0);
        assert!(!charge(&mut budget, 1, START.plus(HOUR * 24)).0);
        assert!(charge(&mut budget, 6_400, START.plus(HOUR * 25)).0);
        // The clock steps back: nothing is forgotten.
        assert!(!charge(&mut budget, 1, START).0);
        assert_eq!(budget.spent_at(START), atoms(6_400));
        assert_eq!(budget.spent_at(START.plus(HOUR * 60)), atoms(0));
    }

    #[test]
    fn a_charge_is_not_taken_before_its_reservation_is_durable() {
        let mut budget = DayBudget::default();
        let Charge::ReserveFirst(first) = budget.charge(atoms(10), atoms(6_400), START) else { panic!() };
        assert_eq!(first, Reservation { hour: START.as_secs() / 3_600, upto: atoms(110) });
        assert!(matches!(budget.charge(atoms(10), atoms(6_400), START), Charge::ReserveFirst(_)));
        assert_eq!(budget.spent_at(START), atoms(0));
        budget.apply(first);
        for _ in 0..11 {
            assert_eq!(budget.charge(atoms(10), atoms(6_400), START), Charge::Admitted);
        }
        assert!(matches!(budget.charge(atoms(10), atoms(6_400), START), Charge::ReserveFirst(_)));
    }

    #[test]
    fn a_reservation_is_as_large_as_the_request_needs_and_within_the_bound() {
        let mut budget = DayBudget::default();
        assert_eq!(charge(&mut budget, 6_350, START).1.unwrap().upto, atoms(6_400));
        assert!(charge(&mut budget, 50, START) == (true, None));
        assert!(!charge(&mut budget, 1, START).0);
    }

    proptest! {
        /// Against the exact list of charges: no 24 hours exceed the bound, also with restarts between; and what
        /// fits in 25 hours is refused only because of a restart.
        #[test]
        fn no_day_exceeds_the_bound(
            steps in prop::collection::vec((0_u64..40_000, 0_u128..2_000, 0_u8..20), 1..200),
        ) {
            let (mut now, mut budget) = (START, DayBudget::default());
            let mut journal: Vec<Reservation> = Vec::new();
            let mut charges: VecDeque<(UnixNanos, u128)> = VecDeque::new();
            let mut restarted = false;
            for (seconds, value, restart) in steps {
                now = now.plus(Duration::from_secs(seconds));
                if restart == 0 {
                    budget = DayBudget::default();
                    journal.iter().for_each(|one| budget.apply(*one));
                    restarted = true;
                }
                let (admitted, reservation) = charge(&mut budget, value, now);
                journal.extend(reservation);
                let within = |hours: u32| charges.iter().filter(|(at, _)| now.since(*at) < HOUR * hours)
                    .map(|(_, value)| value).sum::<u128>() + value;
                if admitted {
                    prop_assert!(within(24) <= 6_400);
                    charges.push_back((now, value));
                } else if !restarted {
                    prop_assert!(within(25) > 6_400);
                }
            }
        }

        /// The records of one key are bounded, however small its charges.
        #[test]
        fn reservations_are_rare(values in prop::collection::vec((0_u64..60, 1_u128..40), 1..3_000)) {
            let (mut now, mut budget, mut records) = (START, DayBudget::default(), 0_u64);
            for (seconds, value) in values {
                now = now.plus(Duration::from_secs(seconds));
                records += u64::from(charge(&mut budget, value, now).1.is_some());
            }
            let hours = now.since(START).as_secs() / 3_600 + 2;
            let days = hours.div_ceil(24);
            prop_assert!(records <= days * 64 + hours);
        }
    }
}
