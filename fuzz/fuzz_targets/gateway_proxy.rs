//! Headers of the PROXY protocol: reading is bounded, takes nothing after the header, and gives one address.
#![no_main]

use fuzz::edited;
use libfuzzer_sys::fuzz_target;

const EXAMPLES: [&[u8]; 4] = [
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nGET / HTTP/1.1\r\n",
    b"PROXY TCP6 2001:db8::7 2001:db8::1 0 65535\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\x02\x07\xc6\x33\x64\x01\0\x50\x01\xbb\x03\0\x01x\x16\x03",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0rest",
];

fuzz_target!(|data: &[u8]| {
    let stream = edited(&EXAMPLES, data);
    let Some((address, taken)) = gateway::fuzz::proxy_header(&stream) else { return };
    assert!(taken <= stream.len() && taken <= 16 + 1024);
    let header = &stream[..taken];
    if let Some(text) = header.strip_prefix(b"PROXY ") {
        assert!(header.ends_with(b"\r\n") && taken <= 107);
        let text = std::str::from_utf8(text).expect("a line of text");
        match address {
            Some(address) => assert_eq!(text.split(' ').nth(1).map(str::parse), Some(Ok(address))),
            None => assert!(text.starts_with("UNKNOWN")),
        }
    } else {
        assert!(header.starts_with(b"\r\n\r\n\0\r\nQUIT\n"));
        assert_eq!(taken, 16 + usize::from(u16::from_be_bytes([header[14], header[15]])));
    }
    // What comes after it changes nothing.
    assert_eq!(gateway::fuzz::proxy_header(header), Some((address, taken)));
});
