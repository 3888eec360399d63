//! Judging the raw bytes of HTTP/1 request heads, before the HTTP implementation sees and normalises them.
//!
//! Only heads that every server reads the same way are handed on: CRLF line ends, one `Content-Length` at most, no
//! `Transfer-Encoding` (no client of the API needs it, and without it there is one way to find the end of a body), no
//! folded lines, no blank before a colon, no fragment. Source: RFC 9112 sections 2.2, 3, 5 and 6, read strictly.
//!
//! A refused head is replaced by a minimal one that carries the reason in [`MARK`], so that the refusal is answered in
//! its turn, as JSON, and the connection then closes. A client that sends the mark itself refuses its own request.
//!
//! No I/O. Bound: [`HEAD_BYTES_MAX`] bytes are kept while a head is incomplete.

use http::Uri;

use crate::strict::{self, HEADERS_MAX, Violation};

/// Longest request head, in bytes; also the longest HTTP/2 header list.
pub(crate) const HEAD_BYTES_MAX: usize = 16 << 10;
/// Header of the head that stands for a refused one.
pub(crate) const MARK: &str = "x-caponier-malformed";

/// Bytes of a head that are looked at together.
const BLOCK_BYTES: usize = 16;

/// A head that may be handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    head_bytes: usize,
    body_bytes: u64,
}

/// Where in the stream of requests the next byte belongs.
#[derive(Debug, Default)]
pub(crate) struct Framing {
    body_left: u64,
    pending: Vec<u8>,
    refused: bool,
}

impl Framing {
    /// Whether part of a head is held back.
    pub(crate) const fn is_inside_head(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether a head was refused: nothing more is read.
    pub(crate) const fn is_refused(&self) -> bool {
        self.refused
    }

    /// Takes bytes that follow on nothing held back, and says how many of them to hand on; an incomplete head at
    /// their end is held back. What stands for a refused head goes to `extra`, to be handed on after them.
    pub(crate) fn feed(&mut self, bytes: &[u8], extra: &mut Vec<u8>) -> usize {
        let (handed_on, violation) = self.admit(bytes);
        match violation {
            Some(violation) => self.refuse(violation, extra),
            None => self.pending.extend_from_slice(bytes.get(handed_on..).unwrap_or_default()),
        }
        handed_on
    }

    /// Takes bytes that follow on a head held back; what is to be handed on goes to `extra`.
    pub(crate) fn feed_pending(&mut self, bytes: &[u8], extra: &mut Vec<u8>) {
        // Without a line end, or what should be one, the judgement is still the same, unless the head is too long.
        let is_inside_line =
            self.pending.last() != Some(&b'\r') && !bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
        self.pending.extend_from_slice(bytes);
        if is_inside_line && self.pending.len() <= HEAD_BYTES_MAX {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        let (handed_on, violation) = self.admit(&pending);
        let (whole, rest) = pending.split_at(handed_on.min(pending.len()));
        extra.extend_from_slice(whole);
        match violation {
            Some(violation) => self.refuse(violation, extra),
            None => self.pending.extend_from_slice(rest),
        }
    }

    fn refuse(&mut self, violation: Violation, extra: &mut Vec<u8>) {
        self.refused = true;
        self.pending = Vec::new();
        let label = violation.label();
        let stand_in = format!("GET / HTTP/1.1\r\nHost: -\r\nConnection: close\r\n{MARK}: {label}\r\n\r\n");
        extra.extend_from_slice(stand_in.as_bytes());
    }

    /// How many bytes are bodies and whole heads, and what is wrong with the head after them.
    fn admit(&mut self, bytes: &[u8]) -> (usize, Option<Violation>) {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let body = usize::try_from(self.body_left).unwrap_or(usize::MAX).min(rest.len());
            self.body_left -= body as u64;
            at += body;
            let rest = rest.get(body..).unwrap_or_default();
            if rest.is_empty() {
                return (at, None);
            }
            match judge(rest) {
                Ok(None) => return (at, None),
                Err(violation) => return (at, Some(violation)),
                Ok(Some(head)) => {
                    at += head.head_bytes;
                    self.body_left = head.body_bytes;
                }
            }
        }
    }
}

/// A line without its end, and the bytes after it.
type Line<'a> = (&'a [u8], &'a [u8]);

/// The first line of `bytes`; `None` while it is incomplete.
fn line(bytes: &[u8]) -> Result<Option<Line<'_>>, Violation> {
    let Some(end) = line_end(bytes) else { return Ok(None) };
    let (line, rest) = bytes.split_at(end);
    match rest {
        [b'\r', b'\n', rest @ ..] => Ok(Some((line, rest))),
        [b'\r'] => Ok(None),
        _ => Err(Violation::LineEnd),
    }
}

/// Where the first CR or LF is.
fn line_end(bytes: &[u8]) -> Option<usize> {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    // Blocks without an early exit inside become a few vector instructions each.
    let skipped = bytes
        .chunks_exact(BLOCK_BYTES)
        .take_while(|block| !block.iter().fold(false, |found, byte| found | is_end(byte)))
        .count()
        * BLOCK_BYTES;
    bytes.get(skipped..)?.iter().position(is_end).map(|at| skipped + at)
}

/// Length of the head that `bytes` start with, and of the body it announces.
#[cfg(fuzzing)]
pub(crate) fn measure(bytes: &[u8]) -> Option<(usize, u64)> {
    judge(bytes).ok().flatten().map(|head| (head.head_bytes, head.body_bytes))
}

/// The head that `bytes` start with; `None` while it is incomplete.
fn judge(bytes: &[u8]) -> Result<Option<Head>, Violation> {
    let head = judge_lines(bytes)?;
    if head.map_or(bytes.len(), |head| head.head_bytes) > HEAD_BYTES_MAX {
        return Err(Violation::HeadTooLarge);
    }
    Ok(head)
}

fn judge_lines(bytes: &[u8]) -> Result<Option<Head>, Violation> {
    let Some((request_line, mut rest)) = line(bytes)? else { return Ok(None) };
    judge_request_line(request_line)?;
    let mut body_bytes = None;
    let mut fields = 0;
    loop {
        let Some((field, after)) = line(rest)? else { return Ok(None) };
        rest = after;
        if field.is_empty() {
            let head_bytes = bytes.len() - rest.len();
            return Ok(Some(Head { head_bytes, body_bytes: body_bytes.unwrap_or(0) }));
        }
        fields += 1;
        if fields > HEADERS_MAX {
            return Err(Violation::HeadersTooMany);
        }
        judge_field(field, &mut body_bytes)?;
    }
}

/// `METHOD SP target SP HTTP/1.x`, single spaces.
fn judge_request_line(line: &[u8]) -> Result<(), Violation> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Violation::RequestLine);
    };
    if method.is_empty()
        || !method.iter().all(|byte| TOKEN[usize::from(*byte)])
        || !matches!(version, b"HTTP/1.1" | b"HTTP/1.0")
    {
        return Err(Violation::RequestLine);
    }
    if target.contains(&b'#') {
        return Err(Violation::Fragment);
    }
    if target.first() != Some(&b'/') {
        // `*`, an authority or a URL: rare, so the parser may look at it twice.
        return Uri::try_from(target).map(|_| ()).map_err(|_| Violation::RequestLine);
    }
    let path_end = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    let (path, query) = target.split_at(path_end);
    if !str::from_utf8(path).is_ok_and(strict::is_canonical) {
        return Err(Violation::PathNotCanonical);
    }
    if query.iter().all(|byte| matches!(byte, 0x21 | 0x24..=0x3b | 0x3d | 0x3f..=0x7e)) {
        Ok(())
    } else {
        Err(Violation::QueryCharacter)
    }
}

fn judge_field(field: &[u8], body_bytes: &mut Option<u64>) -> Result<(), Violation> {
    // A folded line starts with a blank, and a blank may stand before a colon: neither is part of a token.
    let name_end = field.iter().position(|byte| !TOKEN[usize::from(*byte)]).ok_or(Violation::HeaderField)?;
    let (name, rest) = field.split_at(name_end);
    let [b':', value @ ..] = rest else { return Err(Violation::HeaderField) };
    // Every byte is looked at whatever the others are, which makes vector instructions of the loop.
    let in_value = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    if name.is_empty() || !value.iter().fold(true, |all, byte| all & in_value(*byte)) {
        return Err(Violation::HeaderField);
    }
    if name.eq_ignore_ascii_case(b"transfer-encoding") {
        return Err(Violation::TransferEncoding);
    }
    if name.eq_ignore_ascii_case(b"content-length") {
        let digits = value.trim_ascii();
        // 18 digits fit 64 bits whatever they are.
        if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Violation::ContentLength);
        }
        let length = digits.iter().fold(0_u64, |length, digit| length * 10 + u64::from(digit - b'0'));
        if body_bytes.replace(length).is_some() {
            return Err(Violation::ContentLength);
        }
    }
    Ok(())
}

/// [`is_token`] of every byte.
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = is_token(byte);
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

/// RFC 9110 section 5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(head: &str) -> Option<Violation> {
        match judge(head.as_bytes()) {
            Err(violation) => Some(violation),
            Ok(whole) => {
                assert_eq!(whole.map(|whole| whole.head_bytes), Some(head.len()), "{head:?}");
                None
            }
        }
    }

    #[test]
    fn heads_that_servers_read_differently_are_refused() {
        let with = |fields: &str| refused(&format!("POST /a HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
        assert_eq!(with(""), None);
        assert_eq!(with("Content-Length: 5\r\nX:\r\nY: \u{fc}\t\r\n"), None);
        for (fields, violation) in [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Violation::TransferEncoding),
            ("transfer-encoding: identity\r\n", Violation::TransferEncoding),
            ("Transfer-Encoding:\r\n", Violation::TransferEncoding),
            ("Transfer-Encoding : chunked\r\n", Violation::HeaderField),
            ("Transfer-Encoding\t: chunked\r\n", Violation::HeaderField),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Violation::ContentLength),
            ("Content-Length: 5\r\ncontent-length: 6\r\n", Violation::ContentLength),
            ("Content-Length: 5, 5\r\n", Violation::ContentLength),
            ("Content-Length: +5\r\n", Violation::ContentLength),
            ("Content-Length: -5\r\n", Violation::ContentLength),
            ("Content-Length: 0x5\r\n", Violation::ContentLength),
            ("Content-Length: 5 5\r\n", Violation::ContentLength),
            ("Content-Length:\r\n", Violation::ContentLength),
            ("Content-Length: 9999999999999999999\r\n", Violation::ContentLength),
            ("X: a\nContent-Length: 5\r\n", Violation::LineEnd),
            ("X: a\rContent-Length: 5\r\n", Violation::LineEnd),
            ("X: a\r\r\n", Violation::LineEnd),
            ("X: a\r\n folded\r\n", Violation::HeaderField),
            (" X: a\r\n", Violation::HeaderField),
            ("X: a\0b\r\n", Violation::HeaderField),
            (": a\r\n", Violation::HeaderField),
            ("X\r\n", Violation::HeaderField),
            ("X(: a\r\n", Violation::HeaderField),
        ] {
            assert_eq!(with(fields), Some(violation), "{fields:?}");
        }
        let many: String = (0..HEADERS_MAX).map(|n| format!("x-{n}: 1\r\n")).collect();
        assert_eq!(with(&many), Some(Violation::HeadersTooMany));
        assert_eq!(with(&format!("X: {}\r\n", "a".repeat(HEAD_BYTES_MAX))), Some(Violation::HeadTooLarge));
    }

    #[test]
    fn request_lines_have_one_form() {
        let line = |line: &str| refused(&format!("{line}\r\nHost: h\r\n\r\n"));
        for good in
            ["GET / HTTP/1.1", "get /a?b=%zz|{} HTTP/1.0", "GET http://h/a HTTP/1.1", "OPTIONS * HTTP/1.1"]
        {
            assert_eq!(line(good), None, "{good}");
        }
        for (bad, violation) in [
            ("", Violation::RequestLine),
            ("GET /", Violation::RequestLine),
            ("GET  / HTTP/1.1", Violation::RequestLine),
            ("GET / HTTP/1.1 ", Violation::RequestLine),
            (" GET / HTTP/1.1", Violation::RequestLine),
            ("GET\t/ HTTP/1.1", Violation::RequestLine),
            ("GET / HTTP/1.2", Violation::RequestLine),
            ("GET / HTTP/2.0", Violation::RequestLine),
            ("GET / http/1.1", Violation::RequestLine),
            ("G@T / HTTP/1.1", Violation::RequestLine),
            ("GET http://h\u{7f}/ HTTP/1.1", Violation::RequestLine),
            ("GET /a#b HTTP/1.1", Violation::Fragment),
            ("GET /a?b#c HTTP/1.1", Violation::Fragment),
            ("GET /a/../b HTTP/1.1", Violation::PathNotCanonical),
            ("GET /%61 HTTP/1.1", Violation::PathNotCanonical),
            ("GET /ü HTTP/1.1", Violation::PathNotCanonical),
            ("GET /a?ü HTTP/1.1", Violation::QueryCharacter),
            ("GET /a?\"<> HTTP/1.1", Violation::QueryCharacter),
        ] {
            assert_eq!(line(bad), Some(violation), "{bad}");
        }
    }

    /// Feeds `stream` in pieces that end at `cuts`, as a connection does.
    fn handed_on(stream: &[u8], cuts: &[usize]) -> Vec<u8> {
        let (mut framing, mut out, mut at) = (Framing::default(), Vec::new(), 0);
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
        ends.push(stream.len());
        ends.sort_unstable();
        for end in ends {
            let piece = &stream[at..end];
            at = end;
            if framing.is_refused() {
                break;
            }
            let mut extra = Vec::new();
            if framing.is_inside_head() {
                framing.feed_pending(piece, &mut extra);
            } else {
                let n = framing.feed(piece, &mut extra);
                out.extend_from_slice(&piece[..n]);
            }
            out.extend(extra);
        }
        out
    }

    #[test]
    fn a_refused_head_is_replaced_and_ends_the_stream() {
        let good = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbo\ny";
        let bad = "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /c HTTP/1.1\r\n\r\n";
        let out = String::from_utf8(handed_on(format!("{good}{good}{bad}").as_bytes(), &[])).unwrap();
        let expected = format!(
            "{good}{good}GET / HTTP/1.1\r\nHost: -\r\nConnection: close\r\nx-caponier-malformed: transfer_encoding\r\n\r\n"
        );
        assert_eq!(out, expected);
        // A head without an end is held back up to its bound.
        let endless = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(2 * HEAD_BYTES_MAX));
        let out = String::from_utf8(handed_on(endless.as_bytes(), &[5])).unwrap();
        assert!(out.contains("head_too_large"), "{out}");
    }

    #[test]
    fn a_bare_carriage_return_is_refused_at_the_next_byte() {
        for cuts in [vec![], vec![3], vec![1, 2, 3, 4]] {
            let out = handed_on(b"GE\rT", &cuts);
            assert!(String::from_utf8_lossy(&out).contains("line_end"), "{cuts:?}");
        }
    }

    proptest! {
        /// However the network cuts the stream, the same bytes are handed on.
        #[test]
        fn cuts_do_not_matter(
            bodies in proptest::collection::vec("[a-z\\r\\n:{} ]{0,20}", 0..4),
            tail in "(GET /x HTTP/1\\.1\\r\\nA:b\\nC: d\\r\\n\\r\\n)?",
            cuts in proptest::collection::vec(any::<usize>(), 0..12),
        ) {
            let mut stream = String::new();
            for body in &bodies {
                stream += &format!("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            }
            let whole = stream.len();
            stream += &tail;
            let out = handed_on(stream.as_bytes(), &cuts);
            prop_assert_eq!(&out, &handed_on(stream.as_bytes(), &[]));
            prop_assert_eq!(&out[..whole], &stream.as_bytes()[..whole]);
            prop_assert_eq!(out.len() > whole, !tail.is_empty());
        }

        #[test]
        fn no_bytes_panic(stream in proptest::collection::vec(any::<u8>(), 0..300), cut in any::<usize>()) {
            let out = handed_on(&stream, &[cut]);
            prop_assert!(out.len() <= stream.len() + 200);
        }
    }
}
