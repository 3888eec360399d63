use proptest::prelude::*;

use super::*;

fn sized<const N: usize>(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_be_bytes();
    [&length[8 - N..], bytes].concat()
}

fn list(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn client_hello(version: u16, ciphers: &[u16], extensions: Option<&[(u16, Vec<u8>)]>) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.extend(sized::<1>(&[9; 32]));
    body.extend(sized::<2>(&list(ciphers)));
    body.extend(sized::<1>(&[0]));
    if let Some(extensions) = extensions {
        let all: Vec<u8> = extensions
            .iter()
            .flat_map(|(kind, content)| [kind.to_be_bytes().to_vec(), sized::<2>(content)].concat())
            .collect();
        body.extend(sized::<2>(&all));
    }
    [vec![CLIENT_HELLO], sized::<3>(&body)].concat()
}

fn records(message: &[u8], record_bytes: usize) -> Vec<u8> {
    message.chunks(record_bytes).flat_map(|part| [vec![HANDSHAKE, 3, 1], sized::<2>(part)].concat()).collect()
}

fn ja4(message: &[u8]) -> String {
    read(&records(message, 16_384)).unwrap().unwrap().to_string()
}

fn alpn(protocols: &[&[u8]]) -> (u16, Vec<u8>) {
    (16, sized::<2>(&protocols.iter().flat_map(|protocol| sized::<1>(protocol)).collect::<Vec<_>>()))
}

/// The ciphers, extensions and signature algorithms of the public description's example, in the order a browser sent
/// them, with GREASE.
fn browser() -> Vec<u8> {
    let ciphers = [
        0x3a3a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
        0x009c, 0x009d, 0x002f, 0x0035,
    ];
    let algorithms = list(&[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]);
    let mut extensions = vec![(0x1a1a, vec![])];
    for kind in [
        0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b,
        0xff01, 0x000b, 0x000a, 0x0015,
    ] {
        extensions.push(match kind {
            0x000d => (kind, sized::<2>(&algorithms)),
            0x0010 => alpn(&[b"h2", b"http/1.1"]),
            0x002b => (kind, sized::<1>(&list(&[0x4a4a, 0x0304, 0x0303]))),
            _ => (kind, vec![0; 3]),
        });
    }
    extensions.push((0x7a7a, vec![0]));
    client_hello(0x0303, &ciphers, Some(&extensions))
}

#[test]
fn the_published_example() {
    assert_eq!(ja4(&browser()), "t13d1516h2_8daaf6152771_e5627efa2ab1");
}

#[test]
fn the_same_client_in_another_order_has_the_same_fingerprint() {
    let some = |ciphers: &[u16], kinds: &[u16]| {
        let extensions: Vec<_> = kinds.iter().map(|kind| (*kind, vec![1, 2])).collect();
        ja4(&client_hello(0x0303, ciphers, Some(&extensions)))
    };
    let one = some(&[0x1301, 0xc02b, 0x0a0a], &[5, 23, 0xff01, 0xfafa]);
    assert_eq!(one, some(&[0xc02b, 0x1301], &[0xff01, 5, 23]));
    assert_ne!(one, some(&[0xc02b, 0x1302], &[0xff01, 5, 23]));
    assert!(one.starts_with("t12i020300_"), "{one}");
}

#[test]
fn what_is_missing_is_written_as_zeroes() {
    assert_eq!(ja4(&client_hello(0x0301, &[], None)), "t10i000000_000000000000_000000000000");
    assert_eq!(ja4(&client_hello(0x0002, &[], Some(&[]))), "ts2i000000_000000000000_000000000000");
    // Only extensions that the list leaves out.
    let named = ja4(&client_hello(0x0303, &[], Some(&[(0, vec![]), alpn(&[b"h2"])])));
    assert_eq!(named, "t12d0002h2_000000000000_000000000000");
    assert_eq!(&ja4(&client_hello(0x7f1c, &[], None))[..3], "t00");
}

#[test]
fn protocols_are_written_by_their_ends() {
    let ends =
        |protocol: &[u8]| ja4(&client_hello(0x0303, &[], Some(&[alpn(&[protocol])])))[8..10].to_owned();
    let cases: [(&[u8], &str); 7] = [
        (b"h2", "h2"),
        (b"http/1.1", "h1"),
        (b"x", "xx"),
        (&[0xab], "ab"),
        (&[0xab, 0xcd], "ad"),
        (&[0x30, 0xab], "3b"),
        (&[0x30, 0x31, 0xab, 0xcd], "3d"),
    ];
    for (protocol, expected) in cases {
        assert_eq!(ends(protocol), expected, "{protocol:x?}");
    }
    assert_eq!(ends(b""), "00");
}

#[test]
fn counts_end_at_ninety_nine() {
    let ciphers: Vec<u16> = (0x1000..0x1080).collect();
    let extensions: Vec<_> = (0x2000..0x2080).map(|kind| (kind, vec![])).collect();
    assert_eq!(&ja4(&client_hello(0x0303, &ciphers, Some(&extensions)))[4..8], "9999");
}

#[test]
fn records_and_cuts_change_nothing() {
    let message = browser();
    let whole = read(&records(&message, 16_384)).unwrap();
    assert!(whole.is_some());
    for record_bytes in [16, 100, 511] {
        let bytes = records(&message, record_bytes);
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), Ok(None), "{end} of {}", bytes.len());
        }
        assert_eq!(read(&[&bytes[..], b"anything"].concat()), Ok(whole));
    }
}

#[test]
fn what_is_no_client_hello_is_refused_at_once() {
    for bytes in [&b"G"[..], b"GET / HTTP/1.1\r\n", b"\x16\x02", b"\x16\x03\x01\x00\x05\x02", b"\x80\x2e\x01"]
    {
        assert_eq!(read(bytes), Err(HelloError::NotTls), "{bytes:x?}");
    }
    assert_eq!(read(b"\x16\x03\x01\x00\x00"), Err(HelloError::Malformed { field: "record length" }));
    assert_eq!(read(b"\x16\x03\x01\x00\x05\x01\x00\x40\x00\x03"), Err(HelloError::TooLong));
    assert_eq!(read(&records(&[&[1, 0, 4, 0][..], &[0; 900]].concat(), 8)), Err(HelloError::TooLong));
    let mut bytes = client_hello(0x0303, &[1, 2], Some(&[(13, vec![0, 9, 1])]));
    assert_eq!(
        read(&records(&bytes, 999)),
        Err(HelloError::Malformed { field: "extension" }),
        "a list longer than its extension"
    );
    bytes[3] -= 1;
    assert!(matches!(read(&records(&bytes, 999)), Err(HelloError::Malformed { .. })));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(mut bytes: Vec<u8>, edits: Vec<(u16, u8)>) {
        let _: Result<_, _> = read(&bytes);
        bytes = records(&browser(), 200);
        for (at, byte) in edits {
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
        }
        if let Ok(Some(ja4)) = read(&bytes) {
            prop_assert_eq!(ja4.as_str().len(), 36);
        }
    }
}
