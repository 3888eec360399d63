//! What the state says about one withdrawal request, gathered once; the rules look at nothing else.

use std::{collections::BTreeSet, time::Duration};

use domain::{AccountId, Amount, Credential, DeviceId, UnixNanos, WithdrawalRequest};
use features::{DISTINCT_MAX, Moment};

use crate::{
    DestinationId, IpNetwork, Thresholds,
    profile::Known,
    state::{LAST_DAY, LAST_HOUR, State, leaving},
    words::{Share, duration},
};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The device a request is judged by.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    /// Named by the request; otherwise it is the newest device of the account.
    pub(crate) named: bool,
    /// First use by the account; `None` if never seen.
    pub(crate) since: Option<UnixNanos>,
    /// Whether its binding to the account was reported.
    pub(crate) bound: bool,
    /// Other accounts that logged in from it within seven days.
    pub(crate) other_accounts: usize,
}

/// The account's holding of the asset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holding {
    pub(crate) reported_at: UnixNanos,
    /// Last report less what was withdrawn since.
    pub(crate) remaining: Amount,
    /// Withdrawn within a day, to any destination.
    pub(crate) withdrawn_day: Amount,
    /// Of that: number and amount to destinations that are new.
    pub(crate) to_new_day: (usize, Amount),
}

/// The latest successful login.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Login {
    pub(crate) at: UnixNanos,
    pub(crate) network: IpNetwork,
    /// First use of that network by the account.
    pub(crate) network_since: Option<UnixNanos>,
}

#[derive(Debug, Clone)]
pub(crate) struct Facts<'a> {
    pub(crate) request: &'a WithdrawalRequest,
    pub(crate) now: UnixNanos,
    /// First sign of the account.
    pub(crate) account_since: Option<UnixNanos>,
    /// First sign of anything.
    pub(crate) observing_since: Option<UnixNanos>,
    pub(crate) device: Option<Device>,
    pub(crate) destination: Known,
    pub(crate) leaving: Amount,
    /// `None` when no balance was reported, or what was withdrawn since is not remembered in full.
    pub(crate) holding: Option<Holding>,
    pub(crate) withdrawals_hour: usize,
    pub(crate) withdrawals_day: usize,
    pub(crate) failed_logins_day: usize,
    pub(crate) login: Option<Login>,
    /// Other accounts that paid or tried to pay the destination within a day.
    pub(crate) other_payers: usize,
    /// First payment or attempt by anybody.
    pub(crate) destination_paid_since: Option<UnixNanos>,
    /// Latest change of each credential.
    pub(crate) changes: Vec<(Credential, UnixNanos)>,
}

impl<'a> Facts<'a> {
    /// Gathers. Whatever is recorded has happened, so what is dated after `now` by some clock's error counts as
    /// having happened just now. Takes the state mutably for its window cursors only; nothing that [`State::digest`] covers changes.
    pub(crate) fn gather(
        state: &mut State,
        thresholds: &Thresholds,
        request: &'a WithdrawalRequest,
        now: UnixNanos,
    ) -> Self {
        let account = &request.account;
        let destination_id = DestinationId::of(&request.destination);
        let withdrawals_hour = state.withdrawals.recent(account, LAST_HOUR, now).count;
        let withdrawals_day = state.withdrawals.recent(account, LAST_DAY, now).count;
        let failed_logins_day = state.failed_logins.recent(account, LAST_DAY, now).count;
        let holding = holding(state, thresholds, request, now);

        let state = &*state;
        let profile = state.accounts.peek(account);
        let others = |accounts: &mut dyn Iterator<Item = &AccountId>| {
            let mut others = BTreeSet::new();
            for other in accounts.filter(|other| *other != account) {
                others.insert(other);
                if others.len() == DISTINCT_MAX {
                    break;
                }
            }
            others.len()
        };
        let other_payers = others(
            &mut state
                .payers
                .between(&destination_id, now.minus(DAY), Moment::LAST)
                .map(|sample| &sample.item),
        );

        let device = match (&request.device, profile) {
            (Some(named), profile) => {
                let sight =
                    profile.and_then(|profile| profile.devices.find(named)).cloned().unwrap_or_default();
                Some((named, true, sight))
            }
            (None, Some(profile)) => {
                profile.newest_device().map(|(device, sight)| (device, false, sight.clone()))
            }
            (None, None) => None,
        };
        let device = device.map(|(id, named, sight)| Device {
            id: id.clone(),
            named,
            since: sight.first,
            bound: sight.bound.is_some(),
            other_accounts: others(
                &mut state
                    .device_accounts
                    .between(id, now.minus(7 * DAY), Moment::LAST)
                    .map(|sample| &sample.item),
            ),
        });

        let login = profile.and_then(|profile| {
            let (moment, network) = profile.login?;
            let network = network?;
            let network_since = profile.networks.find(&network).and_then(|sight| sight.first);
            Some(Login { at: moment.at, network, network_since })
        });
        let changes = profile.map_or_else(Vec::new, |profile| {
            Credential::ALL
                .into_iter()
                .zip(profile.changes)
                .filter_map(|(credential, at)| Some((credential, at?)))
                .collect()
        });
        Facts {
            request,
            now,
            account_since: profile.map(|profile| profile.first_seen),
            observing_since: state.observing_since,
            device,
            destination: profile
                .and_then(|profile| profile.destinations.find(&destination_id))
                .cloned()
                .unwrap_or_default(),
            leaving: leaving(request),
            holding,
            withdrawals_hour,
            withdrawals_day,
            failed_logins_day,
            login,
            other_payers,
            destination_paid_since: state.payers.seen(&destination_id).map(|(first, _)| first),
            changes,
        }
    }

    /// Time since `since`; zero for what lies ahead of now.
    pub(crate) fn age(&self, since: UnixNanos) -> Duration {
        self.now.since(since)
    }

    /// Whether something was known for less than `limit`, or never.
    pub(crate) fn is_new(&self, since: Option<UnixNanos>, limit: Duration) -> bool {
        since.is_none_or(|since| self.age(since) < limit)
    }

    /// Whether the account had been observed for `limit` before `at`: only then is "first seen at `at`" known to
    /// mean more than "we were not looking before".
    pub(crate) fn observed_before(&self, at: Option<UnixNanos>, limit: Duration) -> bool {
        let at = at.unwrap_or(self.now);
        self.account_since.is_some_and(|since| at.since(since) >= limit)
    }

    /// The share of what is left of the asset; `None` when the holding is unknown.
    pub(crate) fn share(&self) -> Option<Share> {
        self.holding.map(|holding| Share { part: self.leaving, whole: holding.remaining })
    }

    /// Whether a share is reached; an unknown share counts as reached.
    pub(crate) fn share_reaches_or_unknown(&self, percent: u32) -> bool {
        self.share().is_none_or(|share| share.reaches(percent))
    }

    /// `92.5 % of the account's USDT`.
    pub(crate) fn share_words(&self) -> String {
        let asset = &self.request.asset;
        match self.share() {
            Some(share) => format!("{} of the account's {asset}", share.percent()),
            None => format!("an unknown share of the account's {asset} (no usable balance report)"),
        }
    }

    /// `the destination was added 40 min ago`.
    pub(crate) fn destination_words(&self) -> String {
        let Known { added, first_used, .. } = self.destination;
        match self.destination.since() {
            None => "the destination has never been seen on this account".to_owned(),
            Some(since) => {
                let how = if added == Some(since) { "added" } else { "first used" };
                let unused = if first_used.is_none() { " and has never been used" } else { "" };
                format!("the destination was {how} {} ago{unused}", duration(self.age(since)))
            }
        }
    }
}

fn holding(
    state: &mut State,
    thresholds: &Thresholds,
    request: &WithdrawalRequest,
    now: UnixNanos,
) -> Option<Holding> {
    let entity = (request.account.clone(), request.asset.clone());
    let withdrawn_day = Some(state.withdrawn.recent(&entity, LAST_DAY, now)).filter(|day| day.exact)?.sum?;
    let profile = state.accounts.peek(&request.account)?;
    let balance = profile.balances.find(&request.asset)?;
    let reported_at = balance.reported?.at;
    let (_, since_report) = state.withdrawn.since(&entity, reported_at, |_| true)?;
    let remaining = balance.total.checked_sub(since_report)?.max(Amount::ZERO);
    let is_new = |destination: &DestinationId| {
        let since = profile.destinations.find(destination).and_then(Known::since);
        since.is_none_or(|since| now.since(since) < thresholds.destination_new)
    };
    let to_new_day = state.withdrawn.since(&entity, now.minus(DAY), is_new)?;
    Some(Holding { reported_at, remaining, withdrawn_day, to_new_day })
}
