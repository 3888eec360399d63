//! The state and its one step per event or decision.

use std::{hash::Hash, time::Duration};

use domain::{AccountId, Amount, Asset, Decision, DeviceId, Event, EventKind, UnixNanos, Verdict};
use features::{Aggregate, Canonical, EntityTable, Moment, Sample, StateDigest, Windows};

use crate::{
    Bounds, DestinationId, IpNetwork,
    profile::{Profile, earliest},
};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Windows of [`State::withdrawals`].
pub(crate) const LAST_HOUR: usize = 0;
/// Windows of [`State::withdrawals`] and, as the only ones, of the tables below it.
pub(crate) const LAST_DAY: usize = 1;

/// Withdrawals as seen from two sides. The decision path allows one, the exchange later reports it as accepted,
/// and nothing ties the two reports together. Adding them up would count it twice, so both sides are kept and the
/// greater answer is taken: exact where one side sees everything, never double.
#[derive(Debug)]
pub(crate) struct Flow<K> {
    allowed: Windows<K, DestinationId>,
    accepted: Windows<K, DestinationId>,
}

impl<K: Canonical + Clone + Eq + Hash + Ord> Flow<K> {
    fn new(widths: &[Duration], bounds: features::Bounds) -> Self {
        Self { allowed: Windows::new(widths, bounds), accepted: Windows::new(widths, bounds) }
    }

    fn sides(&self) -> [&Windows<K, DestinationId>; 2] {
        [&self.allowed, &self.accepted]
    }

    /// The greater count and the greater sum of the two sides; `None` for a sum out of range.
    pub(crate) fn recent(&mut self, entity: &K, window: usize, now: UnixNanos) -> Aggregate {
        let one = self.allowed.recent(entity, window, now);
        let other = self.accepted.recent(entity, window, now);
        Aggregate {
            count: one.count.max(other.count),
            sum: one.sum.zip(other.sum).map(|(one, other)| one.max(other)),
            exact: one.exact && other.exact,
        }
    }

    /// Count and sum of the samples after `after` whose destination is `wanted`; `None` when samples of that time
    /// were forgotten or the sum is out of range.
    pub(crate) fn since(
        &self,
        entity: &K,
        after: UnixNanos,
        wanted: impl Fn(&DestinationId) -> bool,
    ) -> Option<(usize, Amount)> {
        let mut greatest = (0, Amount::ZERO);
        for side in self.sides() {
            if !side.remembers(entity, after) {
                return None;
            }
            let mut count = 0;
            let mut sum = Amount::ZERO;
            for sample in side.between(entity, after, Moment::LAST).filter(|sample| wanted(&sample.item)) {
                count += 1;
                sum = sum.checked_add(sample.amount)?;
            }
            greatest = (count.max(greatest.0), sum.max(greatest.1));
        }
        Some(greatest)
    }

    fn feed(&self, digest: &mut StateDigest) {
        self.sides().into_iter().for_each(|side| side.feed(digest));
    }
}

/// Everything remembered.
#[derive(Debug)]
pub(crate) struct State {
    /// Time of the earliest event or decision: what is new to us may be older than this.
    pub(crate) observing_since: Option<UnixNanos>,
    pub(crate) accounts: EntityTable<AccountId, Profile>,
    /// Number of withdrawals, over [`LAST_HOUR`] and [`LAST_DAY`].
    pub(crate) withdrawals: Flow<AccountId>,
    /// Amounts withdrawn, remembered for seven days.
    pub(crate) withdrawn: Flow<(AccountId, Asset)>,
    pub(crate) failed_logins: Windows<AccountId, ()>,
    /// Who paid or tried to pay a destination.
    pub(crate) payers: Windows<DestinationId, AccountId>,
    /// Who logged in from a device, over seven days.
    pub(crate) device_accounts: Windows<DeviceId, AccountId>,
    /// Entries applied.
    pub(crate) applied: u64,
}

impl State {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let table = |entities_max| features::Bounds {
            entities_max,
            samples_max: bounds.samples_max,
            lateness: bounds.lateness,
        };
        Self {
            observing_since: None,
            accounts: EntityTable::new(bounds.accounts_max),
            withdrawals: Flow::new(&[HOUR, DAY], table(bounds.accounts_max)),
            withdrawn: Flow::new(&[WEEK, DAY], table(bounds.accounts_max)),
            failed_logins: Windows::new(&[HOUR, DAY], table(bounds.accounts_max)),
            payers: Windows::new(&[HOUR, DAY], table(bounds.destinations_max)),
            device_accounts: Windows::new(&[WEEK], table(bounds.devices_max)),
            applied: 0,
        }
    }

    /// Takes in an event.
    pub(crate) fn apply(&mut self, seq: u64, event: &Event) {
        let Event { account, occurred_at: at, device, ip, kind, .. } = event;
        let moment = Moment { at: *at, seq };
        let profile = self.begin(account, *at);

        // Only what the account's holder did with success makes a device or network theirs. A failed login must
        // not, or an attacker could age a device by failing; funds that arrive say nothing about the holder.
        let holder_acted = match kind {
            EventKind::Login { success, .. } => *success,
            EventKind::BalanceChanged { .. }
            | EventKind::BonusGranted { .. }
            | EventKind::Deposit { .. }
            | EventKind::Label { .. } => false,
            _ => true,
        };
        let network = ip.map(IpNetwork::of);
        if holder_acted {
            if let Some(device) = device {
                profile.saw_device(device, *at, matches!(kind, EventKind::DeviceAdded));
            }
            if let Some(network) = network {
                profile.saw_network(network, *at);
            }
        }

        match kind {
            EventKind::AddressAdded { network, address } => {
                let known = profile.destinations.touch(&DestinationId::on_chain(*network, address));
                known.added = earliest(known.added, Some(*at));
            }
            EventKind::BalanceChanged { asset, total } => profile.reported_balance(asset, moment, *total),
            EventKind::CredentialChanged { credential } => profile.changed(*credential, *at),
            EventKind::Login { success: true, .. } => {
                profile.logged_in(moment, network);
                self.shares_device(moment, account, device.as_ref());
            }
            EventKind::Login { success: false, .. } => {
                let _recorded =
                    self.failed_logins.record(account, Sample { moment, amount: Amount::ZERO, item: () });
            }
            EventKind::DeviceAdded => self.shares_device(moment, account, device.as_ref()),
            EventKind::WithdrawalAccepted { asset, amount, network, address } => {
                let destination = DestinationId::on_chain(*network, address);
                let known = profile.destinations.touch(&destination);
                known.first_used = earliest(known.first_used, Some(*at));
                known.accepted = known.accepted.saturating_add(1);
                let sample = Sample { moment, amount: *amount, item: destination };
                let _recorded = self.withdrawals.accepted.record(account, sample.clone());
                let _recorded = self.withdrawn.accepted.record(&(account.clone(), asset.clone()), sample);
                self.pays(moment, account, destination);
            }
            // Deposits and trades change the balance, which is reported as such. They teach nothing more here.
            _ => {}
        }
    }

    /// Takes in a decision.
    pub(crate) fn apply_decision(&mut self, seq: u64, decision: &Decision) {
        let request = &decision.request;
        let at = decision.decided_at;
        let moment = Moment { at, seq };
        let destination = DestinationId::of(&request.destination);
        let profile = self.begin(&request.account, at);
        if decision.verdict == Verdict::Allow {
            if let Some(device) = &request.device {
                profile.saw_device(device, at, false);
            }
            profile.saw_network(IpNetwork::of(request.ip), at);
            let known = profile.destinations.touch(&destination);
            known.first_used = earliest(known.first_used, Some(at));
            known.allowed = known.allowed.saturating_add(1);
            let sample = Sample { moment, amount: leaving(request), item: destination };
            let _recorded = self.withdrawals.allowed.record(&request.account, sample.clone());
            let _recorded =
                self.withdrawn.allowed.record(&(request.account.clone(), request.asset.clone()), sample);
        }
        // A payment that was stopped still shows who was led to pay whom.
        self.pays(moment, &request.account, destination);
    }

    fn begin(&mut self, account: &AccountId, at: UnixNanos) -> &mut Profile {
        self.applied += 1;
        self.observing_since = earliest(self.observing_since, Some(at));
        let profile = self.accounts.touch(account, || Profile::new(at));
        profile.first_seen = profile.first_seen.min(at);
        profile
    }

    fn pays(&mut self, moment: Moment, account: &AccountId, destination: DestinationId) {
        let sample = Sample { moment, amount: Amount::ZERO, item: account.clone() };
        let _recorded = self.payers.record(&destination, sample);
    }

    fn shares_device(&mut self, moment: Moment, account: &AccountId, device: Option<&DeviceId>) {
        if let Some(device) = device {
            let sample = Sample { moment, amount: Amount::ZERO, item: account.clone() };
            let _recorded = self.device_accounts.record(device, sample);
        }
    }

    /// SHA-256 of the whole state.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut digest = StateDigest::new("caponier fraud state v1");
        digest.number(self.applied);
        digest.optional_time(self.observing_since);
        digest.number(self.accounts.len() as u64);
        digest.number(self.accounts.evicted());
        for (account, profile) in self.accounts.iter() {
            account.feed(&mut digest);
            profile.feed(&mut digest);
        }
        self.withdrawals.feed(&mut digest);
        self.withdrawn.feed(&mut digest);
        self.failed_logins.feed(&mut digest);
        self.payers.feed(&mut digest);
        self.device_accounts.feed(&mut digest);
        digest.finish()
    }

    /// Samples reported too late for their windows.
    pub(crate) fn late(&self) -> u64 {
        let flows = self.withdrawals.sides().iter().map(|side| side.late()).sum::<u64>()
            + self.withdrawn.sides().iter().map(|side| side.late()).sum::<u64>();
        flows + self.failed_logins.late() + self.payers.late() + self.device_accounts.late()
    }
}

/// What a withdrawal takes from the account: amount and fee.
pub(crate) fn leaving(request: &domain::WithdrawalRequest) -> Amount {
    let fee = request.fee.unwrap_or_default();
    request.amount.checked_add(fee).unwrap_or(request.amount)
}
