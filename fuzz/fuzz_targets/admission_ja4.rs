//! ClientHellos: a fingerprint has its form, comes as soon as the ClientHello is whole, and what follows does not
//! change it.
#![no_main]

use admission::ja4::{self, BYTES_MAX};
use fuzz::edited;
use libfuzzer_sys::fuzz_target;

/// A ClientHello with server name, protocols, versions and signature algorithms, in one record.
const HELLO: &[u8] = b"\x16\x03\x01\x00\x69\x01\x00\x00\x65\x03\x03\
    00000000000000000000000000000000\x00\
    \x00\x06\x13\x01\xc0\x2b\x0a\x0a\x01\x00\
    \x00\x36\
    \x00\x00\x00\x09\x00\x07\x00\x00\x04host\
    \x00\x10\x00\x0e\x00\x0c\x02h2\x08http/1.1\
    \x00\x0d\x00\x06\x00\x04\x04\x03\x08\x04\
    \x00\x2b\x00\x05\x04\x03\x04\x03\x03\
    \x0a\x0a\x00\x00";

fuzz_target!(|data: &[u8]| {
    assert!(matches!(ja4::read(HELLO), Ok(Some(_))), "{:?}", ja4::read(HELLO));
    let bytes = edited(&[HELLO], data);
    let read = ja4::read(&bytes);
    match read {
        Ok(Some(ja4)) => {
            let text = ja4.as_str();
            assert_eq!(text.len(), 36);
            assert!(text.starts_with('t') && text.is_ascii());
            assert_eq!(text.match_indices('_').map(|(at, _)| at).collect::<Vec<_>>(), [10, 23]);
            assert_eq!(ja4::read(&[&bytes[..], &b"more"[..]].concat()), read);
            let needed = (0..bytes.len()).find(|end| ja4::read(&bytes[..*end]) != Ok(None));
            if let Some(needed) = needed {
                assert_eq!(ja4::read(&bytes[..needed]), read);
            }
        }
        // More bytes do not make it right.
        Err(error) => assert_eq!(ja4::read(&[&bytes[..], &b"more"[..]].concat()), Err(error)),
        Ok(None) => assert!(bytes.len() < BYTES_MAX),
    }
});
