//! Who a trusted proxy in front says the client is: the PROXY protocol, versions 1 and 2, by HAProxy's specification
//! (`proxy-protocol.txt`, 2.1 and 2.2), read strictly.
//!
//! Anybody can claim anything in such a header, so it is read only from networks that the configuration names, and
//! there it is demanded. It says how many bytes to read next, so that nothing after the header is taken.
//!
//! No I/O. Bounds: [`V1_BYTES_MAX`], [`V2_BYTES_MAX`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest header of version 1, its line end included: the specification's bound.
const V1_BYTES_MAX: usize = 107;
/// Longest header of version 2: both addresses and extensions, which are skipped.
const V2_BYTES_MAX: usize = 16 + 1024;

const V1_START: &[u8] = b"PROXY ";
const V2_START: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What to do with the beginning of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many bytes more belong to the header at least.
    Read(usize),
    /// The header is whole. Without an address the proxy speaks for itself, as for a health check.
    Done(Option<IpAddr>),
}

/// A header that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no PROXY protocol header")]
pub(crate) struct Malformed;

/// What the bytes read so far ask for. Call it again with that many more.
pub(crate) fn step(bytes: &[u8]) -> Result<Step, Malformed> {
    let is_start = |start: &[u8]| bytes.iter().zip(start).all(|(byte, expected)| byte == expected);
    if let (true, Some(rest)) = (is_start(V2_START), bytes.get(V2_START.len()..)) {
        return version_2(rest);
    }
    if bytes.len() < V2_START.len() && (is_start(V2_START) || is_start(V1_START)) {
        // No header of either version is shorter.
        return Ok(Step::Read(V2_START.len() - bytes.len()));
    }
    if !is_start(V1_START) {
        return Err(Malformed);
    }
    match bytes {
        [line @ .., b'\r', b'\n'] => version_1(line).map(Step::Done),
        _ if bytes.len() >= V1_BYTES_MAX => Err(Malformed),
        // The shortest header is `PROXY UNKNOWN` with its line end.
        _ => Ok(Step::Read(15_usize.saturating_sub(bytes.len()).max(1))),
    }
}

fn version_1(line: &[u8]) -> Result<Option<IpAddr>, Malformed> {
    let text = str::from_utf8(line).map_err(|_| Malformed)?;
    let mut words = text.split(' ').skip(1);
    let family = words.next();
    if family == Some("UNKNOWN") {
        return Ok(None);
    }
    let (Some(from), Some(to), Some(from_port), Some(to_port), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Malformed);
    };
    let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port.to_string() == text);
    if !is_port(from_port) || !is_port(to_port) {
        return Err(Malformed);
    }
    let addresses = match family {
        Some("TCP4") => (from.parse().map(IpAddr::V4), to.parse().map(IpAddr::V4)),
        Some("TCP6") => (from.parse().map(IpAddr::V6), to.parse().map(IpAddr::V6)),
        _ => return Err(Malformed),
    };
    match addresses {
        (Ok(from), Ok(_)) => Ok(Some(from)),
        _ => Err(Malformed),
    }
}

/// Reads what follows [`V2_START`].
fn version_2(bytes: &[u8]) -> Result<Step, Malformed> {
    let Some(([command, family, high, low], rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(Step::Read(4_usize.saturating_sub(bytes.len())));
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if 16 + length > V2_BYTES_MAX || rest.len() > length {
        return Err(Malformed);
    }
    if rest.len() < length {
        return Ok(Step::Read(length - rest.len()));
    }
    match (command, family) {
        (0x20, _) => Ok(Step::Done(None)),
        (0x21, 0x11) if length >= 12 => {
            let (from, _) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
            Ok(Step::Done(Some(Ipv4Addr::from(*from).into())))
        }
        (0x21, 0x21) if length >= 36 => {
            let (from, _) = rest.split_first_chunk::<16>().ok_or(Malformed)?;
            Ok(Step::Done(Some(Ipv6Addr::from(*from).into())))
        }
        // Datagrams and sockets of one machine are not what is listened for.
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads as a connection does: exactly what is asked for.
    fn read(stream: &[u8]) -> Result<(Option<IpAddr>, usize), Malformed> {
        let mut taken = 0;
        loop {
            match step(&stream[..taken])? {
                Step::Done(ip) => return Ok((ip, taken)),
                Step::Read(n) if n > 0 && taken + n <= stream.len() => taken += n,
                Step::Read(_) => return Err(Malformed),
            }
        }
    }

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [V2_START.as_slice(), &[command, family], &length, addresses].concat()
    }

    #[test]
    fn both_versions_name_the_client() {
        let v4: IpAddr = "192.0.2.7".parse().unwrap();
        let v6: IpAddr = "2001:db8::7".parse().unwrap();
        for (header, ip) in [
            ("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", Some(v4)),
            ("PROXY TCP6 2001:db8::7 2001:db8::1 0 65535\r\n", Some(v6)),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff:f...f:ffff whatever\r\n", None),
        ] {
            let stream = format!("{header}GET / HTTP/1.1\r\n");
            assert_eq!(read(stream.as_bytes()), Ok((ip, header.len())), "{header}");
        }
        let four = [&[192, 0, 2, 7, 198, 51, 100, 1, 0, 80, 1, 187][..], b"\x03\0\x01x"].concat();
        let six = [&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets()[..], &[0; 20]].concat();
        for (header, ip) in
            [(v2(0x21, 0x11, &four), Some(v4)), (v2(0x21, 0x21, &six), Some(v6)), (v2(0x20, 0, &[]), None)]
        {
            let stream = [&header[..], b"\x16\x03\x01"].concat();
            assert_eq!(read(&stream), Ok((ip, header.len())));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for header in [
            "GET / HTTP/1.1\r\n\r\n",
            "proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n................\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n",
            "PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n",
            "PROXY TCP4 01.1.1.1 1.1.1.1 1 1\r\n",
            "PROXY TCP4 ::1 ::1 1 1\r\n",
            "PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n",
            "PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n",
            "PROXY UNKNOWNX\r\n",
        ] {
            assert_eq!(read(header.as_bytes()), Err(Malformed), "{header:?}");
        }
        assert_eq!(read(format!("PROXY UNKNOWN {}\r\n", "x".repeat(100)).as_bytes()), Err(Malformed));
        for header in [
            v2(0x11, 0x11, &[0; 12]),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x12, &[0; 12]),
            v2(0x21, 0x31, &[0; 216]),
            v2(0x21, 0x11, &[0; 11]),
            v2(0x21, 0x21, &[0; 35]),
            v2(0x20, 0, &[0; V2_BYTES_MAX]),
        ] {
            assert_eq!(read(&header), Err(Malformed), "{header:?}");
        }
    }

    proptest! {
        /// Whatever comes, reading ends within the bound and takes nothing after the header.
        #[test]
        fn reading_is_bounded(stream in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..80),
            proptest::collection::vec(any::<u8>(), 0..80).prop_map(|tail| [V1_START, &tail].concat()),
            proptest::collection::vec(any::<u8>(), 0..80).prop_map(|tail| [&V2_START[..], &tail].concat()),
        ]) {
            if let Ok((_, taken)) = read(&stream) {
                prop_assert!(taken <= V2_BYTES_MAX && taken <= stream.len());
                prop_assert!(stream.starts_with(V2_START) || stream[..taken].ends_with(b"\r\n"));
            }
        }
    }
}
