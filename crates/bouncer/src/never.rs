//! What is never banned, whoever asks: the operator's own networks, load balancers, health checkers, administrators.
//! The privileged process enforces it, with a list only its own command line and files can change.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::prefix::Prefix;

/// Most entries of a list.
pub const NEVER_BAN_MAX: usize = 10_000;

/// Longest file with a list, in bytes.
pub const NEVER_BAN_FILE_BYTES_MAX: usize = 1024 * 1024;

/// Always on the list: this host, this link (IPv6 cannot work without its link-local addresses) and addresses no
/// sender has.
const ALWAYS: [&str; 7] =
    ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8"];

/// Why a list was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NeverBanError {
    /// A line is no address or network.
    #[error("line {line}: not an IP address or network")]
    NotNetwork {
        /// The line, from 1.
        line: usize,
    },
    /// More than [`NEVER_BAN_MAX`] entries, or more than [`NEVER_BAN_FILE_BYTES_MAX`] bytes.
    #[error("at most 10000 networks in 1048576 bytes are allowed")]
    TooMany,
}

/// The list.
#[derive(Debug, Clone)]
pub struct NeverBan(Vec<IpNet>);

impl Default for NeverBan {
    fn default() -> Self {
        Self(ALWAYS.iter().filter_map(|text| text.parse().ok()).collect())
    }
}

impl NeverBan {
    /// Adds an address or network.
    ///
    /// # Errors
    /// [`NeverBanError`]; a single text counts as line 1.
    pub fn add(&mut self, text: &str) -> Result<(), NeverBanError> {
        self.add_at(text, 1)
    }

    fn add_at(&mut self, text: &str, line: usize) -> Result<(), NeverBanError> {
        if self.0.len() >= NEVER_BAN_MAX {
            return Err(NeverBanError::TooMany);
        }
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        self.0.push(net.map_err(|_| NeverBanError::NotNetwork { line })?.trunc());
        Ok(())
    }

    /// Adds the lines of a file: one address or network each, `#` begins a comment.
    ///
    /// # Errors
    /// [`NeverBanError`].
    pub fn add_lines(&mut self, text: &str) -> Result<(), NeverBanError> {
        if text.len() > NEVER_BAN_FILE_BYTES_MAX {
            return Err(NeverBanError::TooMany);
        }
        for (idx, line) in text.lines().enumerate() {
            let entry = line.split('#').next().unwrap_or_default().trim();
            if !entry.is_empty() {
                self.add_at(entry, idx + 1)?;
            }
        }
        Ok(())
    }

    /// The networks.
    pub fn networks(&self) -> impl Iterator<Item = &IpNet> {
        self.0.iter()
    }

    /// Whether a ban of `prefix` would hit anything on the list.
    #[must_use]
    pub fn protects(&self, prefix: &Prefix) -> bool {
        let net = prefix.net();
        self.0.iter().any(|own| own.contains(&net) || net.contains(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protects(list: &NeverBan, text: &str) -> bool {
        list.protects(&Prefix::parse(text).unwrap())
    }

    #[test]
    fn a_ban_that_touches_the_list_in_any_way_is_protected() {
        let mut list = NeverBan::default();
        list.add_lines("# ours\n198.51.100.0/24 # office\n\n203.0.113.9\n2001:db8:1::/48\r\n").unwrap();
        for text in
            ["198.51.100.77", "198.51.100.128/25", "203.0.113.9", "203.0.113.0/24", "2001:db8:1:2::/64"]
        {
            assert!(protects(&list, text), "{text}");
        }
        for text in
            ["127.0.0.1", "::1", "fe80::1", "224.0.0.1", "255.255.255.255", "0.0.0.0", "::", "ff02::1"]
        {
            assert!(protects(&list, text), "{text}");
        }
        for text in ["203.0.113.8", "198.51.101.0/24", "2001:db8:2::/48", "::2"] {
            assert!(!protects(&list, text), "{text}");
        }
    }

    #[test]
    fn bad_lines_are_named_and_lists_bounded() {
        let mut list = NeverBan::default();
        assert_eq!(list.add_lines("1.2.3.4\nhost.example\n"), Err(NeverBanError::NotNetwork { line: 2 }));
        assert_eq!(list.add_lines(&"1.2.3.4\n".repeat(NEVER_BAN_MAX)), Err(NeverBanError::TooMany));
        assert_eq!(list.add_lines(&" ".repeat(NEVER_BAN_FILE_BYTES_MAX + 1)), Err(NeverBanError::TooMany));
    }
}
