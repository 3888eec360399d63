//! The first bytes of TLS connections, in pieces: however they are cut the fingerprint is the same, and TLS reads every
//! byte once.
#![no_main]

use admission::ja4;
use fuzz::{Choices, edited};
use libfuzzer_sys::fuzz_target;

/// A ClientHello with server name, protocols, versions and signature algorithms, in two records.
const HELLO: &[u8] = b"\x16\x03\x01\x00\x09\x01\x00\x00\x65\x03\x0300\
    0\x16\x03\x03\x00\x6000000000000000000000000000000\x00\
    \x00\x06\x13\x01\xc0\x2b\x0a\x0a\x01\x00\
    \x00\x36\
    \x00\x00\x00\x09\x00\x07\x00\x00\x04host\
    \x00\x10\x00\x0e\x00\x0c\x02h2\x08http/1.1\
    \x00\x0d\x00\x06\x00\x04\x04\x03\x08\x04\
    \x00\x2b\x00\x05\x04\x03\x04\x03\x03\
    \x0a\x0a\x00\x00rest of the stream";

fuzz_target!(|data: &[u8]| {
    assert!(matches!(ja4::read(HELLO), Ok(Some(_))), "{:?}", ja4::read(HELLO));
    let (cuts, data) = data.split_at(data.len().min(8));
    let stream = edited(&[HELLO], data);
    let mut choices = Choices::new(cuts);
    let mut pieces = Vec::new();
    let mut rest = &stream[..];
    while !rest.is_empty() {
        let n = if choices.is_empty() { rest.len() } else { 1 + usize::from(choices.byte()) };
        let (piece, after) = rest.split_at(n.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    let (ja4, read) = gateway::fuzz::hello(pieces);
    assert_eq!(read, stream);
    // The whole stream at once says the same, but for bytes beyond what is looked at.
    let known = &stream[..stream.len().min(ja4::BYTES_MAX)];
    let whole = ja4::read(known).ok().flatten();
    assert_eq!(ja4, whole);
});
