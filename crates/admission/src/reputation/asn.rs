//! Which network operator an address belongs to: the longest prefix of a table that covers it.
//!
//! The table comes as text, one prefix and its autonomous system number on a line, separated by blanks, a tab or a
//! comma: `192.0.2.0/24 64496`, also as `AS64496`, or the prefix and its length in two fields as in CAIDA's
//! prefix-to-AS files. Empty lines and lines that begin with `#` are skipped. Of several origins (`64496_64497`) the
//! first counts. Nothing is guessed: a line that cannot be read refuses the whole table.
//!
//! Nested prefixes are flattened into ranges that do not overlap, so a lookup is one binary search. Memory: 8 bytes
//! for an IPv4 range and 16 for an IPv6 one, at most two ranges for each prefix.

use std::net::IpAddr;

use ipnet::IpNet;

/// Most prefixes in a table; the whole Internet has about 1.3 million.
pub const PREFIXES_MAX: usize = 4_000_000;
/// Longest IPv6 prefix that is told apart: what is announced between operators ends at /48.
const V6_BITS_MAX: u8 = 64;

/// A table that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AsnTableError {
    /// A line that is no prefix with a number.
    #[error("line {line} is not a prefix and an autonomous system number")]
    Line {
        /// From 1.
        line: usize,
    },
    /// More than [`PREFIXES_MAX`].
    #[error("more than {PREFIXES_MAX} prefixes, from line {line} on")]
    TooMany {
        /// From 1.
        line: usize,
    },
}

/// A table of prefixes and their operators.
#[derive(Debug, Clone, Default)]
pub struct AsnTable {
    v4: Ranges<u32>,
    v6: Ranges<u64>,
}

/// Where each range begins, with its number; 0 where there is none.
#[derive(Debug, Clone, Default)]
struct Ranges<T>(Vec<(T, u32)>);

impl<T: Ord + Copy> Ranges<T> {
    fn find(&self, at: T) -> Option<u32> {
        let after = self.0.partition_point(|(start, _)| *start <= at);
        let (_, asn) = self.0.get(after.checked_sub(1)?)?;
        (*asn != 0).then_some(*asn)
    }
}

/// A prefix: its first and last address, and its number.
type Span<T> = (T, T, u32);

impl<T: Ord + Copy> Ranges<T> {
    /// Flattens prefixes, of which any two are nested or apart. `next` is the address after one, none after the last.
    fn flatten(mut spans: Vec<Span<T>>, next: impl Fn(T) -> Option<T>) -> Self {
        // Outer before inner; of two equal ones the later line counts (the sort is stable).
        spans.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        let mut ranges: Vec<(T, u32)> = Vec::new();
        let mut push = |start: T, asn: u32| {
            if let Some(last) = ranges.last_mut().filter(|last| last.0 == start) {
                last.1 = asn;
            } else {
                ranges.push((start, asn));
            }
        };
        let mut open: Vec<(T, u32)> = Vec::new();
        for (first, last, asn) in spans {
            while let Some((end, _)) = open.last().copied().filter(|(end, _)| *end < first) {
                open.pop();
                if let Some(start) = next(end) {
                    push(start, open.last().map_or(0, |(_, outer)| *outer));
                }
            }
            push(first, asn);
            open.push((last, asn));
        }
        while let Some((end, _)) = open.pop() {
            if let Some(start) = next(end) {
                push(start, open.last().map_or(0, |(_, outer)| *outer));
            }
        }
        ranges.dedup_by(|later, earlier| later.1 == earlier.1);
        ranges.shrink_to_fit();
        Self(ranges)
    }
}

impl AsnTable {
    /// Reads a table.
    ///
    /// # Errors
    /// [`AsnTableError`] naming the line.
    pub fn parse(text: &str) -> Result<Self, AsnTableError> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (index, line) in text.lines().enumerate() {
            let text = line.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let line = index + 1;
            if v4.len() + v6.len() >= PREFIXES_MAX {
                return Err(AsnTableError::TooMany { line });
            }
            let (net, asn) = parse_line(text).ok_or(AsnTableError::Line { line })?;
            match net {
                IpNet::V4(net) => v4.push((u32::from(net.network()), u32::from(net.broadcast()), asn)),
                IpNet::V6(net) => {
                    let upper = |ip: std::net::Ipv6Addr| {
                        u64::try_from(u128::from(ip) >> V6_BITS_MAX).unwrap_or(u64::MAX)
                    };
                    v6.push((upper(net.network()), upper(net.broadcast()), asn));
                }
            }
        }
        Ok(Self {
            v4: Ranges::flatten(v4, |at| at.checked_add(1)),
            v6: Ranges::flatten(v6, |at| at.checked_add(1)),
        })
    }

    /// The operator of an address.
    #[must_use]
    pub fn find(&self, ip: IpAddr) -> Option<u32> {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.v4.find(u32::from(ip)),
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                self.v6.find(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
        }
    }

    /// Whether any prefix is of this operator. Looks through all of the table.
    #[must_use]
    pub fn has(&self, asn: u32) -> bool {
        asn != 0 && (self.v4.0.iter().any(|(_, of)| *of == asn) || self.v6.0.iter().any(|(_, of)| *of == asn))
    }

    /// Memory of the table.
    #[must_use]
    pub const fn memory_bytes(&self) -> usize {
        self.v4.0.capacity() * size_of::<(u32, u32)>() + self.v6.0.capacity() * size_of::<(u64, u32)>()
    }
}

fn parse_line(text: &str) -> Option<(IpNet, u32)> {
    let mut fields = text.split([' ', '\t', ',']).filter(|field| !field.is_empty());
    let first = fields.next()?;
    let (net, number) = if first.contains('/') {
        (first.parse::<IpNet>().ok()?, fields.next()?)
    } else {
        let length = fields.next()?.parse().ok()?;
        (IpNet::new(first.parse().ok()?, length).ok()?, fields.next()?)
    };
    if fields.next().is_some() || (matches!(net, IpNet::V6(_)) && net.prefix_len() > V6_BITS_MAX) {
        return None;
    }
    let number = number.strip_prefix("AS").unwrap_or(number);
    let origin = number.split('_').next()?;
    if !origin.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((net, origin.parse().ok().filter(|asn| *asn != 0)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_prefix_counts() {
        let table = AsnTable::parse(
            "# example\n10.0.0.0/8 AS1\n10.1.0.0/16,2\n10.1.2.0\t24\t3_4\n\n2001:db8::/32 5\n0.0.0.0/0 6\n255.255.255.255/32 7\n2001:db8:1::/48 8\n",
        )
        .unwrap();
        let cases = [
            ("10.200.0.1", 1),
            ("10.1.0.1", 2),
            ("10.1.2.255", 3),
            ("10.1.3.0", 2),
            ("10.2.0.0", 1),
            ("11.0.0.0", 6),
            ("255.255.255.255", 7),
            ("255.255.255.254", 6),
            ("::ffff:10.1.2.3", 3),
            ("2001:db8::1", 5),
            ("2001:db8:1:ffff::1", 8),
            ("2001:db8:2::", 5),
        ];
        for (ip, asn) in cases {
            assert_eq!(table.find(ip.parse().unwrap()), Some(asn), "{ip}");
        }
        assert_eq!(table.find("2001:db9::".parse().unwrap()), None);
        assert_eq!(AsnTable::default().find("1.2.3.4".parse().unwrap()), None);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        for bad in [
            "10.0.0.0/33 1",
            "10.0.0.0/8",
            "10.0.0.0/8 x",
            "10.0.0.0/8 0",
            "10.0.0.0/8 1 2",
            "2001::/65 1",
            "10.0.0.0 8",
            "10.0.0.0/8 +1",
        ] {
            let error = AsnTable::parse(&format!("# head\n192.0.2.0/24 1\n{bad}\n")).unwrap_err();
            assert_eq!(error, AsnTableError::Line { line: 3 }, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_search_of_all_prefixes(
            nets in proptest::collection::vec((0_u32..64, 0_u8..7, 1_u32..6), 0..12),
            probes in proptest::collection::vec(0_u32..64, 20),
        ) {
            // Prefixes and addresses in the last six bits only, so that they meet.
            let nets: Vec<(IpNet, u32)> = nets
                .into_iter()
                .map(|(bits, length, asn)| {
                    (IpNet::new(std::net::Ipv4Addr::from(bits).into(), 26 + length).unwrap().trunc(), asn)
                })
                .collect();
            let text: String = nets.iter().map(|(net, asn)| format!("{net} {asn}\n")).collect();
            let table = AsnTable::parse(&text).unwrap();
            for probe in probes {
                let ip = IpAddr::from(std::net::Ipv4Addr::from(probe));
                let covering = nets.iter().filter(|(net, _)| net.contains(&ip));
                // The last of those that are longest.
                let expected = covering.max_by_key(|(net, _)| net.prefix_len()).map(|(_, asn)| *asn);
                prop_assert_eq!(table.find(ip), expected, "{} in {:?}", ip, nets);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9a-f:./ ,_#\nAS]{0,80}") {
            if let Ok(table) = AsnTable::parse(&text) {
                prop_assert!(table.v4.0.len() + table.v6.0.len() <= 2 * text.lines().count());
            }
        }
    }
}
