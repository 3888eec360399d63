//! Raw HTTP/1 heads: where the gateway sees the end of a head, another parser sees it too, and no cut of the stream
//! changes the judgement.
#![no_main]

use fuzz::{Choices, edited};
use libfuzzer_sys::fuzz_target;

const EXAMPLES: [&[u8]; 2] = [
    b"POST /api/v5/trade/order HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n{}\r\nGET /a?b=c HTTP/1.0\r\nHost: h\r\n\r\n",
    b"GET http://h/api HTTP/1.1\r\nHost: h\r\nX-A: \tb \r\ncontent-length:0\r\nExpect: 100-continue\r\n\r\n",
];

fuzz_target!(|data: &[u8]| {
    let (cuts, data) = data.split_at(data.len().min(4));
    let stream = edited(&EXAMPLES, data);

    let whole = gateway::fuzz::head(&stream);
    if let Ok(Some((head_bytes, body_bytes))) = whole {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(&stream) {
            Ok(httparse::Status::Complete(end)) => {
                assert_eq!(end, head_bytes, "both find the same end");
                let path = request.path.expect("a complete head has a target");
                if let Some((path, _)) =
                    path.split_once('?').or(Some((path, ""))).filter(|(path, _)| path.starts_with('/'))
                {
                    assert!(gateway::fuzz::is_canonical(path), "{path}");
                }
                let lengths: Vec<_> = request
                    .headers
                    .iter()
                    .filter(|field| field.name.eq_ignore_ascii_case("content-length"))
                    .collect();
                assert!(lengths.len() <= 1);
                let length = lengths
                    .first()
                    .map_or("0", |field| std::str::from_utf8(field.value).expect("digits").trim());
                assert_eq!(length.parse(), Ok(body_bytes), "both find the same body");
                assert!(
                    !request.headers.iter().any(|field| field.name.eq_ignore_ascii_case("transfer-encoding"))
                );
            }
            Ok(httparse::Status::Partial) => panic!("a whole head that the parser waits for more of"),
            // Refused twice is refused.
            Err(_) => {}
        }
    }

    let mut choices = Choices::new(cuts);
    for _ in 0..2 {
        let beginning = &stream[..choices.below(stream.len() + 1)];
        match (gateway::fuzz::head(beginning), &whole) {
            // More has to come before anybody can say.
            (Ok(None), _) => {}
            (early, late) => assert_eq!(early, *late, "cuts do not matter"),
        }
    }
});
