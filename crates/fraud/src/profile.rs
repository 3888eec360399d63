//! What is known of one account.
//!
//! Updates commute wherever they can (earliest, latest, greatest), so that events reported in another order than
//! they happened leave the same knowledge.

use domain::{Amount, Asset, Credential, DeviceId, UnixNanos};
use features::{Canonical, Moment, StateDigest};

use crate::{DestinationId, IpNetwork};

/// Devices remembered per account.
const DEVICES_MAX: usize = 32;
/// Networks remembered per account.
const NETWORKS_MAX: usize = 64;
/// Destinations remembered per account.
const DESTINATIONS_MAX: usize = 256;
/// Assets whose balance is remembered per account.
const BALANCES_MAX: usize = 64;

/// A short list by key that forgets what was touched least recently.
#[derive(Debug, Clone)]
pub(crate) struct Recent<K, V> {
    /// Least recently touched first.
    entries: Vec<(K, V)>,
    places: usize,
}

impl<K: PartialEq + Clone, V: Default> Recent<K, V> {
    const fn new(places: usize) -> Self {
        Self { entries: Vec::new(), places }
    }

    pub(crate) fn find(&self, key: &K) -> Option<&V> {
        self.entries.iter().rev().find(|(other, _)| other == key).map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.entries.iter()
    }

    pub(crate) fn touch(&mut self, key: &K) -> &mut V {
        let entry = match self.entries.iter().rposition(|(other, _)| other == key) {
            Some(index) => self.entries.remove(index),
            None => {
                if self.entries.len() == self.places {
                    self.entries.remove(0);
                }
                (key.clone(), V::default())
            }
        };
        self.entries.push(entry);
        let last = self.entries.len() - 1;
        &mut self.entries[last].1
    }
}

/// When a device or network was used by the account itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) first: Option<UnixNanos>,
    /// When it was bound to the account in so many words; only devices are.
    pub(crate) bound: Option<UnixNanos>,
}

/// What is known of a destination of the account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// When it first entered the address book.
    pub(crate) added: Option<UnixNanos>,
    /// When funds first went there.
    pub(crate) first_used: Option<UnixNanos>,
    /// Withdrawals the decision path allowed to it.
    pub(crate) allowed: u32,
    /// Withdrawals to it that the exchange reported.
    pub(crate) accepted: u32,
}

impl Known {
    /// Earliest sign of it.
    pub(crate) fn since(&self) -> Option<UnixNanos> {
        earliest(self.added, self.first_used)
    }

    /// Times used. The same withdrawal may be both allowed here and reported by the exchange, so the greater of
    /// the two is taken, not the sum.
    pub(crate) fn uses(&self) -> u32 {
        self.allowed.max(self.accepted)
    }
}

/// The last reported holding of one asset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    pub(crate) reported: Option<Moment>,
    pub(crate) total: Amount,
}

#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pub(crate) first_seen: UnixNanos,
    pub(crate) devices: Recent<DeviceId, Sight>,
    pub(crate) networks: Recent<IpNetwork, Sight>,
    pub(crate) destinations: Recent<DestinationId, Known>,
    pub(crate) balances: Recent<Asset, Balance>,
    /// Latest change of each credential, in the order of [`Credential::ALL`].
    pub(crate) changes: [Option<UnixNanos>; Credential::ALL.len()],
    /// When and from where the latest successful login came.
    pub(crate) login: Option<(Moment, Option<IpNetwork>)>,
}

impl Profile {
    pub(crate) const fn new(first_seen: UnixNanos) -> Self {
        Self {
            first_seen,
            devices: Recent::new(DEVICES_MAX),
            networks: Recent::new(NETWORKS_MAX),
            destinations: Recent::new(DESTINATIONS_MAX),
            balances: Recent::new(BALANCES_MAX),
            changes: [None; Credential::ALL.len()],
            login: None,
        }
    }

    pub(crate) fn saw_device(&mut self, device: &DeviceId, at: UnixNanos, bound: bool) {
        let sight = self.devices.touch(device);
        sight.first = earliest(sight.first, Some(at));
        if bound {
            sight.bound = earliest(sight.bound, Some(at));
        }
    }

    pub(crate) fn saw_network(&mut self, network: IpNetwork, at: UnixNanos) {
        let sight = self.networks.touch(&network);
        sight.first = earliest(sight.first, Some(at));
    }

    pub(crate) fn changed(&mut self, credential: Credential, at: UnixNanos) {
        for (slot, other) in self.changes.iter_mut().zip(Credential::ALL) {
            if other == credential {
                *slot = (*slot).max(Some(at));
            }
        }
    }

    pub(crate) fn reported_balance(&mut self, asset: &Asset, moment: Moment, total: Amount) {
        let balance = self.balances.touch(asset);
        if balance.reported <= Some(moment) {
            *balance = Balance { reported: Some(moment), total };
        }
    }

    pub(crate) fn logged_in(&mut self, moment: Moment, network: Option<IpNetwork>) {
        if self.login.is_none_or(|(latest, _)| latest <= moment) {
            self.login = Some((moment, network));
        }
    }

    /// The device that was seen on the account for the first time most recently.
    pub(crate) fn newest_device(&self) -> Option<(&DeviceId, &Sight)> {
        self.devices
            .iter()
            .map(|(device, sight)| (device, sight))
            .max_by_key(|(device, sight)| (sight.first, *device))
    }

    pub(crate) fn feed(&self, digest: &mut StateDigest) {
        digest.time(self.first_seen);
        feed_sights(&self.devices, digest);
        feed_sights(&self.networks, digest);
        digest.number(self.destinations.entries.len() as u64);
        for (destination, known) in self.destinations.iter() {
            destination.feed(digest);
            digest.optional_time(known.added);
            digest.optional_time(known.first_used);
            digest.number(u64::from(known.allowed));
            digest.number(u64::from(known.accepted));
        }
        digest.number(self.balances.entries.len() as u64);
        for (asset, balance) in self.balances.iter() {
            asset.feed(digest);
            digest.optional_time(balance.reported.map(|moment| moment.at));
            digest.number(balance.reported.map_or(0, |moment| moment.seq));
            digest.amount(balance.total);
        }
        self.changes.iter().for_each(|change| digest.optional_time(*change));
        digest.optional_time(self.login.map(|(moment, _)| moment.at));
        digest.number(self.login.map_or(0, |(moment, _)| moment.seq));
        match self.login.and_then(|(_, network)| network) {
            Some(network) => network.feed(digest),
            None => digest.number(0),
        }
    }
}

fn feed_sights<K: Canonical + Clone + PartialEq>(sights: &Recent<K, Sight>, digest: &mut StateDigest) {
    digest.number(sights.entries.len() as u64);
    for (key, sight) in sights.iter() {
        key.feed(digest);
        digest.optional_time(sight.first);
        digest.optional_time(sight.bound);
    }
}

/// The earlier of two times that may be unknown.
pub(crate) fn earliest(one: Option<UnixNanos>, other: Option<UnixNanos>) -> Option<UnixNanos> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (known, None) | (None, known) => known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recent_makes_room() {
        let mut recent: Recent<u8, u8> = Recent::new(2);
        *recent.touch(&1) += 1;
        *recent.touch(&2) += 1;
        *recent.touch(&1) += 1;
        *recent.touch(&3) += 1;
        assert_eq!((recent.find(&1), recent.find(&2), recent.find(&3)), (Some(&2), None, Some(&1)));
    }

    #[test]
    fn an_older_report_does_not_replace_a_newer_balance() {
        let asset = Asset::parse("BTC").unwrap();
        let mut profile = Profile::new(UnixNanos(0));
        let moment = |at, seq| Moment { at: UnixNanos(at), seq };
        profile.reported_balance(&asset, moment(5, 1), Amount::parse("2").unwrap());
        profile.reported_balance(&asset, moment(4, 2), Amount::parse("9").unwrap());
        assert_eq!(profile.balances.find(&asset).unwrap().total, Amount::parse("2").unwrap());
    }
}
