//! Refused requests in the journal: one entry per source, reason and second with a count, never one per request.
//!
//! A flood must not be able to fill the journal: at most [`GROUPS_MAX`] groups are kept per flush, everything
//! beyond is counted together under the unspecified address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

use domain::{AccountId, Subject, UnixNanos};
use journal::{Draft, Kind, record};
use parking_lot::Mutex;

/// Groups per flush.
pub const GROUPS_MAX: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Group {
    ip: IpAddr,
    label: &'static str,
    account: Option<AccountId>,
    second: u64,
}

/// Counts since the last flush.
#[derive(Debug, Default)]
pub struct RefusalCounts(Mutex<HashMap<Group, u64, foldhash::fast::RandomState>>);

impl RefusalCounts {
    /// Counts one refusal. Cheap: called once per refused request.
    pub fn count(&self, ip: IpAddr, account: Option<&AccountId>, label: &'static str, at: UnixNanos) {
        let mut group = Group { ip, label, account: account.cloned(), second: at.as_secs() };
        let mut groups = self.0.lock();
        if groups.len() >= GROUPS_MAX && !groups.contains_key(&group) {
            group.ip = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            group.account = None;
        }
        *groups.entry(group).or_default() += 1;
    }

    /// Takes everything counted as drafts, in a fixed order. Nothing can be sealed for a person who was erased: what their
    /// old keys were refused is counted without naming them.
    #[must_use]
    pub fn take(&self, at: UnixNanos, is_erased: impl Fn(&Subject) -> bool) -> Vec<Draft> {
        let mut groups: Vec<(Group, u64)> = std::mem::take(&mut *self.0.lock()).into_iter().collect();
        groups.sort_by(|(left, _), (right, _)| {
            (left.second, left.ip, left.label, &left.account).cmp(&(
                right.second,
                right.ip,
                right.label,
                &right.account,
            ))
        });
        groups
            .into_iter()
            .map(|(group, count)| {
                let named = group.account.map(Subject::Account).filter(|subject| !is_erased(subject));
                let account = match &named {
                    Some(Subject::Account(account)) => Some(account.clone()),
                    Some(Subject::System) | None => None,
                };
                let subject = named.unwrap_or(Subject::System);
                let refusals = record::Refusals {
                    ip: group.ip,
                    reason: group.label.to_owned(),
                    account,
                    second: group.second,
                    count,
                };
                Draft { at, subject, kind: Kind::Refusals, payload: refusals.encode() }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_flood_is_a_few_entries() {
        let counts = RefusalCounts::default();
        let at = UnixNanos::from_secs(7);
        for n in 0..100_000_u32 {
            counts.count(IpAddr::V4(Ipv4Addr::from(n)), None, "signature_invalid", at);
        }
        let drafts = counts.take(at, |_| false);
        assert!(drafts.len() <= GROUPS_MAX + 1, "{}", drafts.len());
        let total: u64 =
            drafts.iter().map(|draft| record::Refusals::decode(&draft.payload).unwrap().count).sum();
        assert_eq!(total, 100_000);
        assert!(counts.take(at, |_| false).is_empty());
    }

    #[test]
    fn an_erased_account_is_counted_without_its_name() {
        let counts = RefusalCounts::default();
        let at = UnixNanos::from_secs(7);
        let [gone, here] = ["gone", "here"].map(|name| AccountId::parse(name).unwrap());
        for account in [&gone, &here, &gone] {
            counts.count(IpAddr::V4(Ipv4Addr::LOCALHOST), Some(account), "key_unknown", at);
        }
        let erased = Subject::Account(gone);
        let drafts = counts.take(at, |subject| *subject == erased);
        let seen: Vec<_> = drafts
            .iter()
            .map(|draft| {
                let refusals = record::Refusals::decode(&draft.payload).unwrap();
                (draft.subject.clone(), refusals.account, refusals.count)
            })
            .collect();
        assert_eq!(seen, [(Subject::System, None, 2), (Subject::Account(here.clone()), Some(here), 1)]);
    }
}
