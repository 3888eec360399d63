//! Heads of the exchange's answers: read from raw bytes, and written anew for the client.
//!
//! An answer that two readers could end in different places is refused: more than one length, a length beside a
//! transfer coding, a coding other than `chunked`, folded lines, half line ends (RFC 9112 sections 6 and 7). What the
//! exchange says about its connection, or in the gateway's name, is not passed on, nor what `Connection` names.
//!
//! No I/O. Bounds: [`ANSWER_HEAD_BYTES_MAX`] bytes, [`ANSWER_FIELDS_MAX`] fields.

use super::{body::Framing, text};
use crate::{
    buffer::BUFFER_BYTES,
    strict::{Violation, is_dropped_from_answers as is_dropped},
};

/// Longest head of an answer.
pub(crate) const ANSWER_HEAD_BYTES_MAX: usize = BUFFER_BYTES;
/// Most fields of an answer.
pub(crate) const ANSWER_FIELDS_MAX: usize = 100;
/// Fields for which there is room at once; most answers have fewer.
const LINES_USUAL: usize = 16;

/// Why an answer is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("two ways to find the end of the body")]
    Framing,
    #[error("a line no header has")]
    Line,
    #[error("a status line other than HTTP/1.x and three digits")]
    StatusLine,
    #[error("a longer head or more fields than are taken")]
    TooLarge,
}

impl From<Violation> for Malformed {
    fn from(_: Violation) -> Self {
        Self::Line
    }
}

/// One field to pass on: where its name and its value are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Line {
    name: (u16, u16),
    value: (u16, u16),
}

/// The head of an answer: where its parts are.
#[derive(Debug, Clone)]
pub(crate) struct AnswerHead {
    /// The status, 100 to 599.
    pub(crate) status: u16,
    /// Length of the head, its last line end included.
    pub(crate) head_bytes: usize,
    /// Where the body ends.
    pub(crate) framing: Framing,
    /// Whether the connection can be used again.
    pub(crate) keep_alive: bool,
    /// Whether it says when it was made.
    pub(crate) has_date: bool,
    /// On the heap, so that a head is small enough to be passed on by value.
    lines: Vec<Line>,
}

fn short(offset: usize) -> u16 {
    // Offsets are below ANSWER_HEAD_BYTES_MAX, which fits.
    u16::try_from(offset).unwrap_or(u16::MAX)
}

fn piece(bytes: &[u8], (from, to): (u16, u16)) -> &[u8] {
    bytes.get(usize::from(from)..usize::from(to)).unwrap_or_default()
}

impl AnswerHead {
    /// The fields to pass on; `bytes` are those it was read from.
    pub(crate) fn fields<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.lines.iter().map(move |line| (piece(bytes, line.name), piece(bytes, line.value)))
    }

    /// Drops the fields that a `Connection` field names: they are for this hop only (RFC 9110 section 7.6.1). The
    /// fields begin at `at`, and all of them are whole lines.
    fn drop_options(&mut self, bytes: &[u8], mut at: usize) -> Result<(), Violation> {
        while let Some(end) = text::line(bytes, at, Violation::HeaderField)?
            && end > at
        {
            let line = bytes.get(at..end).unwrap_or_default();
            let (name, value) = line.split_at(text::name(line)?);
            if name.eq_ignore_ascii_case(b"connection") {
                for option in options(value.get(1..).unwrap_or_default()).filter(|option| !is_dropped(option))
                {
                    self.drop_field(bytes, option);
                }
            }
            at = end + 2;
        }
        Ok(())
    }

    fn drop_field(&mut self, bytes: &[u8], name: &[u8]) {
        self.lines.retain(|line| !piece(bytes, line.name).eq_ignore_ascii_case(name));
        self.has_date &= !name.eq_ignore_ascii_case(b"date");
    }
}

/// What a `Connection` field lists.
fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|option| !option.is_empty())
}

/// Status and version of the line `HTTP/1.x SP 3DIGIT [SP reason]`.
fn status_line(line: &[u8]) -> Result<(u16, bool), Malformed> {
    let is_http10 = match line.get(..b"HTTP/1.1 ".len()) {
        Some(b"HTTP/1.1 ") => false,
        Some(b"HTTP/1.0 ") => true,
        _ => return Err(Malformed::StatusLine),
    };
    match line.get(b"HTTP/1.1 ".len()..) {
        Some([a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..])
            if rest.first().is_none_or(|byte| *byte == b' ') =>
        {
            let digit = |byte: &u8| u16::from(byte - b'0');
            Ok((digit(a) * 100 + digit(b) * 10 + digit(c), is_http10))
        }
        _ => Err(Malformed::StatusLine),
    }
}

/// The head that `bytes` start with; `None` while it is incomplete.
///
/// # Errors
/// [`Malformed`], the same however the stream is cut.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<AnswerHead>, Malformed> {
    let looked_at = bytes.get(..ANSWER_HEAD_BYTES_MAX).unwrap_or(bytes);
    match parse_whole(looked_at)? {
        None if bytes.len() >= ANSWER_HEAD_BYTES_MAX => Err(Malformed::TooLarge),
        head => Ok(head),
    }
}

fn parse_whole(bytes: &[u8]) -> Result<Option<AnswerHead>, Malformed> {
    let Some(end) = text::line(bytes, 0, Violation::HeaderField)? else { return Ok(None) };
    let (status, is_http10) = status_line(bytes.get(..end).unwrap_or_default())?;
    let mut head = AnswerHead {
        status,
        head_bytes: 0,
        framing: Framing::UntilClose,
        keep_alive: !is_http10,
        has_date: false,
        lines: Vec::with_capacity(LINES_USUAL),
    };
    let mut length = None;
    let mut chunked = false;
    let mut fields = 0;
    let mut names_options = false;
    let first = end + 2;
    let mut at = first;
    loop {
        let Some(end) = text::line(bytes, at, Violation::HeaderField)? else { return Ok(None) };
        if end == at {
            head.head_bytes = end + 2;
            break;
        }
        fields += 1;
        if fields > ANSWER_FIELDS_MAX {
            return Err(Malformed::TooLarge);
        }
        let name_end = at + text::name(bytes.get(at..end).unwrap_or_default())?;
        let name = bytes.get(at..name_end).unwrap_or_default();
        let (from, to) = text::trimmed(bytes, name_end + 1, end);
        let value = bytes.get(from..to).unwrap_or_default();
        if is_dropped(name) {
            if name.eq_ignore_ascii_case(b"content-length") {
                if length.replace(text::length(value).ok_or(Malformed::Framing)?).is_some() {
                    return Err(Malformed::Framing);
                }
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                if chunked || is_http10 || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed::Framing);
                }
                chunked = true;
            } else if name.eq_ignore_ascii_case(b"connection") {
                for option in options(value) {
                    head.keep_alive &= !option.eq_ignore_ascii_case(b"close");
                    // Fields of these names are dropped anyway, or there are none.
                    names_options |= !is_dropped(option) && !option.eq_ignore_ascii_case(b"close");
                }
            }
        } else {
            head.has_date |= name.eq_ignore_ascii_case(b"date");
            head.lines.push(Line { name: (short(at), short(name_end)), value: (short(from), short(to)) });
        }
        at = end + 2;
    }
    if chunked && length.is_some() {
        return Err(Malformed::Framing);
    }
    if names_options {
        head.drop_options(bytes, first)?;
    }
    head.framing = match (status, length) {
        (100..=199 | 204 | 304, _) => Framing::Empty,
        (_, Some(0)) => Framing::Empty,
        (_, Some(length)) => Framing::Length(length),
        _ if chunked => Framing::Chunked,
        _ => Framing::UntilClose,
    };
    head.keep_alive &= head.framing != Framing::UntilClose;
    Ok(Some(head))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(fields: &str) -> Result<AnswerHead, Malformed> {
        let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        parse(text.as_bytes()).map(|head| head.expect("a whole head"))
    }

    #[test]
    fn bodies_end_in_one_place() {
        for (status, fields, framing, keep_alive) in [
            ("1.1 200 OK", "Content-Length: 5\r\n", Framing::Length(5), true),
            ("1.1 200 OK", "content-length:0\r\n", Framing::Empty, true),
            ("1.1 200", "Transfer-Encoding: Chunked\r\n", Framing::Chunked, true),
            ("1.1 200 ", "", Framing::UntilClose, false),
            ("1.0 200 OK", "Content-Length: 5\r\n", Framing::Length(5), false),
            ("1.1 200 OK", "Content-Length: 5\r\nConnection: foo, CLOSE\r\n", Framing::Length(5), false),
            ("1.1 204 No Content", "", Framing::Empty, true),
            ("1.1 304 Not Modified", "Content-Length: 5\r\n", Framing::Empty, true),
            ("1.1 100 Continue", "", Framing::Empty, true),
        ] {
            let text = format!("HTTP/{status}\r\n{fields}\r\n");
            let head = parse(text.as_bytes()).unwrap().unwrap();
            assert_eq!((head.framing, head.keep_alive), (framing, keep_alive), "{text}");
            assert_eq!(head.head_bytes, text.len());
        }
    }

    #[test]
    fn answers_that_readers_end_differently_are_refused() {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length:\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ] {
            assert_eq!(read(fields).unwrap_err(), Malformed::Framing, "{fields:?}");
        }
        for fields in
            ["X: a\n", "X: a\rb\r\n", " X: a\r\n", "X : a\r\n", "X: a\0\r\n", "X\r\n", "X: a\r\n b\r\n"]
        {
            assert_eq!(read(fields).unwrap_err(), Malformed::Line, "{fields:?}");
        }
        for line in [
            "HTTP/1.1 20 OK",
            "HTTP/1.1 2000 OK",
            "HTTP/1.1 099 X",
            "HTTP/1.1 600 X",
            "HTTP/1.1  200 OK",
            "HTTP/2 200 OK",
            "http/1.1 200 OK",
            "HTTP/1.1 200OK",
            "200 OK",
            "",
        ] {
            assert_eq!(
                parse(format!("{line}\r\n\r\n").as_bytes()).unwrap_err(),
                Malformed::StatusLine,
                "{line}"
            );
        }
        let many: String = (0..=ANSWER_FIELDS_MAX).map(|n| format!("x-{n}: 1\r\n")).collect();
        assert_eq!(read(&many).unwrap_err(), Malformed::TooLarge);
        assert_eq!(read(&format!("X: {}\r\n", "a".repeat(BUFFER_BYTES))).unwrap_err(), Malformed::TooLarge);
        let http10 = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(parse(http10.as_bytes()).unwrap_err(), Malformed::Framing);
    }

    #[test]
    fn fields_are_passed_on_without_those_of_the_connection() {
        let text = "HTTP/1.1 200 OK\r\nDate: now\r\nKeep-Alive: timeout=5\r\nX-Kept:  a b \r\nSet-Cookie: 1\r\n\
                    Set-Cookie: 2\r\nx-caponier-account: mallory\r\nContent-Length: 1\r\n\r\n";
        let head = parse(text.as_bytes()).unwrap().unwrap();
        assert!(head.has_date);
        let fields: Vec<_> = head
            .fields(text.as_bytes())
            .map(|(name, value)| (str::from_utf8(name).unwrap(), str::from_utf8(value).unwrap()))
            .collect();
        assert_eq!(fields, [("Date", "now"), ("X-Kept", "a b"), ("Set-Cookie", "1"), ("Set-Cookie", "2")]);
    }

    #[test]
    fn fields_that_the_connection_names_are_for_one_hop() {
        let names = |fields: &str| {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            let head = parse(text.as_bytes()).unwrap().unwrap();
            let names: Vec<_> = head
                .fields(text.as_bytes())
                .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
                .collect();
            (names.join(" "), head.keep_alive, head.has_date)
        };
        let length = "Content-Length: 1\r\n";
        // Before and after the field that names them, in any case, in any of several such fields.
        let fields = "X-Hop: 1\r\nA: 1\r\nConnection: x-hop ,, Keep-Alive\r\nDate: d\r\nX-HOP: 2\r\nB: 1\r\n\
                      connection:\tc\r\nC: 1\r\nx-hop-2: 1\r\n";
        assert_eq!(names(&format!("{fields}{length}")), ("A Date B x-hop-2".to_owned(), true, true));
        assert_eq!(
            names(&format!("Date: d\r\nConnection: date, close\r\n{length}")),
            (String::new(), false, false)
        );
        // The length stays what it is, and nothing is lost to an option of which there is no field.
        let odd = format!("Connection: content-length, absent\r\nA: 1\r\n{length}");
        assert_eq!(names(&odd), ("A".to_owned(), true, false));
        // As many as there can be.
        let listed: Vec<String> = (0..ANSWER_FIELDS_MAX - 2).map(|n| format!("x-{n}")).collect();
        let all: String = listed.iter().map(|name| format!("{name}: 1\r\n")).collect();
        let many = format!("{all}Connection: {}\r\n{length}", listed.join(","));
        assert_eq!(names(&many), (String::new(), true, false));
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            fields in proptest::collection::vec(
                "(A|Content-Length|Transfer-Encoding|Connection) ?:[ 0-9]{0,3}(chunked|close)?[\\r\\n\\x00]?", 0..4,
            ),
        ) {
            let stream = format!("HTTP/1.1 200 OK\r\n{}\r\n\r\nrest", fields.join("\r\n"));
            let whole = parse(stream.as_bytes());
            for end in 0..stream.len() {
                match (parse(&stream.as_bytes()[..end]), &whole) {
                    (Ok(None), _) => {}
                    (Ok(Some(head)), Ok(Some(all))) => {
                        prop_assert_eq!((head.head_bytes, head.framing), (all.head_bytes, all.framing));
                    }
                    (Err(early), Err(late)) => prop_assert_eq!(early, *late),
                    (early, late) => prop_assert!(false, "{end}: {early:?} {late:?}"),
                }
            }
        }

        #[test]
        fn no_bytes_panic(stream in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&stream).is_ok();
        }
    }
}
