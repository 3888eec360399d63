//! The list of network addresses a key is bound to.
//!
//! Bound: at most [`IpAllowList::ENTRIES_MAX`] entries, so a linear search is the fastest. An IPv4 client that
//! arrives over an IPv6 socket (`::ffff:a.b.c.d`) is the IPv4 client.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;

use crate::key::KeyError;

/// Bits before the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// Addresses and prefixes; empty means that the key is not bound.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct IpAllowList(Box<[IpNet]>);

impl IpAllowList {
    /// Most entries of one key.
    pub const ENTRIES_MAX: usize = 20;

    /// Parses IPv4 addresses, IPv6 addresses and CIDR prefixes. Host bits below a prefix are refused, since
    /// `10.0.0.7/8` is more often a slip than a wish to admit sixteen million addresses; so is the empty prefix
    /// `/0`, which would make a key look bound that is not.
    ///
    /// # Errors
    /// [`KeyError::IpEntryInvalid`] with the position, [`KeyError::TooManyIpEntries`].
    pub fn parse<Text: AsRef<str>>(entries: &[Text]) -> Result<Self, KeyError> {
        if entries.len() > Self::ENTRIES_MAX {
            return Err(KeyError::TooManyIpEntries { got: entries.len(), max: Self::ENTRIES_MAX });
        }
        entries
            .iter()
            .enumerate()
            .map(|(position, text)| parse_entry(text.as_ref()).ok_or(KeyError::IpEntryInvalid { position }))
            .collect::<Result<Box<[IpNet]>, KeyError>>()
            .map(Self)
    }

    /// Whether the key is not bound to any address.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the entries contains `ip`. False for every address when the list is empty.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|entry| entry.contains(&ip))
    }

    /// The entries in canonical text: a single address without a prefix length.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = String> + '_ {
        self.0.iter().map(|entry| {
            if entry.prefix_len() == entry.max_prefix_len() {
                entry.addr().to_string()
            } else {
                entry.to_string()
            }
        })
    }
}

impl fmt::Debug for IpAllowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries()).finish()
    }
}

fn parse_entry(text: &str) -> Option<IpNet> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(IpNet::from(ip.to_canonical()));
    }
    let prefix: IpNet = text.parse().ok()?;
    let prefix = canonical(prefix)?;
    (prefix.prefix_len() > 0 && prefix.trunc() == prefix).then_some(prefix)
}

/// A prefix of IPv4 addresses written as IPv6 (`::ffff:10.0.0.0/104`) is the IPv4 prefix, as it is with addresses:
/// otherwise it would match no client, and a single address would have two texts.
fn canonical(prefix: IpNet) -> Option<IpNet> {
    let IpNet::V6(v6) = prefix else { return Some(prefix) };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(MAPPED_BITS)) {
        (Some(addr), Some(len)) => IpNet::new(addr.into(), len).ok(),
        _ => Some(prefix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_prefixes_and_mapped_clients() {
        let list = IpAllowList::parse(&["203.0.113.7", "10.0.0.0/8", "2001:db8::/32"]).unwrap();
        for (ip, inside) in [
            ("203.0.113.7", true),
            ("203.0.113.8", false),
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
            ("::ffff:203.0.113.7", true),
            ("::ffff:203.0.113.8", false),
        ] {
            assert_eq!(list.contains(ip.parse().unwrap()), inside, "{ip}");
        }
        assert!(!IpAllowList::default().contains("127.0.0.1".parse().unwrap()));
        assert_eq!(list.entries().collect::<Vec<_>>(), ["203.0.113.7", "10.0.0.0/8", "2001:db8::/32"]);
    }

    #[test]
    fn mapped_prefixes_are_the_prefixes_they_map() {
        let list = IpAllowList::parse(&["::ffff:10.0.0.0/104", "::ffff:203.0.113.7/128"]).unwrap();
        assert_eq!(list.entries().collect::<Vec<_>>(), ["10.0.0.0/8", "203.0.113.7"]);
        assert!(list.contains("10.1.2.3".parse().unwrap()));
        for bad in ["::ffff:0.0.0.0/96", "::ffff:10.0.0.7/104"] {
            assert!(IpAllowList::parse(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn bad_entries_are_named_by_position() {
        for bad in ["", "localhost", "10.0.0.0/33", "10.0.0.7/8", "0.0.0.0/0", "::/0", "10.0.0.1 ", "10.0.0"]
        {
            assert_eq!(
                IpAllowList::parse(&["::1", bad]),
                Err(KeyError::IpEntryInvalid { position: 1 }),
                "{bad}"
            );
        }
        let many = vec!["::1"; 21];
        assert_eq!(IpAllowList::parse(&many), Err(KeyError::TooManyIpEntries { got: 21, max: 20 }));
        assert!(IpAllowList::parse(&many[..20]).is_ok());
    }
}
