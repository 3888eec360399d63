//! Answers of an upstream: where the gateway sees the end of a head and of a body, another parser sees it too, and no
//! cut of the stream changes what is passed on.
#![no_main]

use fuzz::{Choices, edited};
use libfuzzer_sys::fuzz_target;

const EXAMPLES: [&[u8]; 4] = [
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n{}\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\nKeep-Alive: a\r\n\r\n5;x=y\r\nhello\r\n00\r\nT: v\r\n\r\n",
    b"HTTP/1.0 304 \r\nDate:\tnow \r\nConnection: close\r\n\r\nrest",
    b"HTTP/1.1 204 \r\nA: 1\r\nConnection: a, keep-alive\r\nDate: now\r\na: 2\r\nconnection: date ,b\r\nC: 1\r\n\r\n",
];

fuzz_target!(|data: &[u8]| {
    let (cuts, data) = data.split_at(data.len().min(4));
    let stream = edited(&EXAMPLES, data);
    let whole = gateway::fuzz::answer([stream.as_slice()]);

    if let Ok(Some(answer)) = &whole {
        let mut fields = [httparse::EMPTY_HEADER; 128];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = response.parse(&stream).expect("what is taken here is HTTP");
        let httparse::Status::Complete(end) = parsed else {
            panic!("a whole head that another waits for more of")
        };
        assert_eq!(response.code, Some(answer.status));
        assert!(end <= answer.taken && answer.taken <= stream.len());
        let named = |name: &str| {
            response.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).collect::<Vec<_>>()
        };
        let lengths = named("content-length");
        assert!(lengths.len() <= 1 && (lengths.is_empty() || named("transfer-encoding").is_empty()));
        if let (true, [length], 200..) = (answer.ended, lengths.as_slice(), answer.status)
            && !matches!(answer.status, 204 | 304)
        {
            let length = std::str::from_utf8(length.value).expect("digits").trim();
            assert_eq!(length.parse(), Ok(answer.body.len()));
            assert_eq!(answer.taken, end + answer.body.len());
        }
        for (name, _) in &answer.fields {
            let name = name.to_ascii_lowercase();
            assert!(
                !name.starts_with(b"x-caponier-") && name != b"connection" && name != b"transfer-encoding"
            );
            let is_named = named("connection")
                .iter()
                .flat_map(|field| field.value.split(|byte| *byte == b','))
                .any(|option| option.trim_ascii().eq_ignore_ascii_case(&name));
            assert!(!is_named || name == b"close", "a field of the exchange's own hop");
        }
    }

    let mut choices = Choices::new(cuts);
    let mut pieces = Vec::new();
    let mut rest = stream.as_slice();
    for _ in 0..2 {
        let (piece, after) = rest.split_at(choices.below(rest.len() + 1));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    assert_eq!(gateway::fuzz::answer(pieces), whole, "cuts do not matter");
});
