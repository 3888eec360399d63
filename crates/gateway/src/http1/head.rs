//! Request heads: judged, and read into places, in one pass over the raw bytes.
//!
//! Only heads that every server reads the same way are taken: CRLF line ends, one `Content-Length` at most, no
//! `Transfer-Encoding` (no client of the API needs it, and without it there is one way to find the end of a body), no
//! folded lines, no blank before a colon, no fragment. Source: RFC 9112 sections 2.2, 3, 5 and 6, read strictly.
//!
//! A fault that leaves open where the request ends is an error, after which nothing on the connection can be read. One
//! that does not is kept in [`Head::fault`] for the pipeline, which asks about method and path first. HTTP/2 requests
//! are written as such a head and read here too: there is one judgement for both.
//!
//! No I/O. The places are offsets into the bytes that were read, so that nothing is copied. Bound:
//! [`HEAD_BYTES_MAX`] bytes are looked at.

use std::ops::Range;

use auth::oauth::{METADATA_PATH, OauthServer, REVOKE_PATH, TOKEN_PATH};

use super::text;
use crate::{
    buffer::BUFFER_BYTES,
    strict::{self, Field, HEADERS_MAX, Violation},
};

/// Longest request head, in bytes; also the longest HTTP/2 header list.
pub(crate) const HEAD_BYTES_MAX: usize = 16 << 10;

/// Fields for which there is room at once; most requests have fewer.
const LINES_USUAL: usize = 16;

// Offsets have 16 bits, and a head that may be taken fits the buffer it is read into.
const _: () = assert!(HEAD_BYTES_MAX <= u16::MAX as usize && HEAD_BYTES_MAX <= BUFFER_BYTES);

/// A piece of the head.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: u16,
    to: u16,
}

impl Span {
    /// Offsets are below [`HEAD_BYTES_MAX`], which fits.
    fn new(from: usize, to: usize) -> Self {
        let fit = |offset: usize| u16::try_from(offset).unwrap_or(u16::MAX);
        Self { from: fit(from), to: fit(to) }
    }

    const fn range(self) -> Range<usize> {
        self.from as usize..self.to as usize
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.range()).unwrap_or_default()
    }
}

/// One header field that may be forwarded.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Line {
    name: Span,
    value: Span,
    /// Part of the credential: forwarded only if it was verified.
    is_credential: bool,
}

/// A head that was taken: where its parts are.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// Length of the head, its last line end included.
    pub(crate) head_bytes: usize,
    /// Length of the body that follows.
    pub(crate) body_bytes: u64,
    /// What is wrong with it without leaving open where it ends; the first such.
    pub(crate) fault: Option<Violation>,
    /// Whether two servers may read it differently, which not every fault leads to.
    pub(crate) is_ambiguous: bool,
    /// Whether the connection is to be used again.
    pub(crate) keep_alive: bool,
    /// Whether the client waits for a word before it sends the body.
    pub(crate) expects_continue: bool,
    /// Whether it asks for a WebSocket.
    pub(crate) is_upgrade: bool,
    /// Whether it is HTTP/1.0.
    pub(crate) is_http10: bool,
    /// Whether it carries an HTTP message signature, or part of one.
    pub(crate) is_signed: bool,
    method: Span,
    target: Span,
    path: Span,
    host: Option<Span>,
    authority: Option<Span>,
    credentials: [Option<Span>; 5],
    /// An access token, and the proof of possession.
    app: [Option<Span>; 2],
    singles: u16,
    /// On the heap, so that a head is small enough to be passed on by value.
    lines: Vec<Line>,
}

/// The credential headers of a request, as they stand.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Credentials<'a> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) sign: Option<&'a [u8]>,
    pub(crate) timestamp: Option<&'a [u8]>,
    pub(crate) passphrase: Option<&'a [u8]>,
    pub(crate) simulated: Option<&'a [u8]>,
}

/// A head with the bytes it was read from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) head: &'a Head,
    bytes: &'a [u8],
}

impl Head {
    fn new() -> Self {
        Self {
            head_bytes: 0,
            body_bytes: 0,
            fault: None,
            is_ambiguous: false,
            keep_alive: true,
            expects_continue: false,
            is_upgrade: false,
            is_http10: false,
            is_signed: false,
            method: Span::default(),
            target: Span::default(),
            path: Span::default(),
            host: None,
            authority: None,
            credentials: [None; 5],
            app: [None; 2],
            singles: 0,
            lines: Vec::with_capacity(LINES_USUAL),
        }
    }

    /// Its parts; `bytes` are those it was read from.
    pub(crate) const fn view<'a>(&'a self, bytes: &'a [u8]) -> View<'a> {
        View { head: self, bytes }
    }

    fn note(&mut self, fault: Violation) {
        self.is_ambiguous |= !matches!(fault, Violation::ContentType | Violation::PathNotCanonical);
        self.fault.get_or_insert(fault);
    }

    /// `METHOD SP target SP HTTP/1.x`, single spaces.
    fn read_request_line(&mut self, bytes: &[u8], end: usize) -> Result<(), Violation> {
        let line = bytes.get(..end).unwrap_or_default();
        let method_end = line.iter().position(|byte| !text::is_token(*byte)).ok_or(Violation::RequestLine)?;
        let target = method_end + 1;
        let target_end = end.checked_sub(b" HTTP/1.1".len()).ok_or(Violation::RequestLine)?;
        self.is_http10 = match line.get(target_end..) {
            Some(b" HTTP/1.1") => false,
            Some(b" HTTP/1.0") => true,
            _ => return Err(Violation::RequestLine),
        };
        if method_end == 0 || line.get(method_end) != Some(&b' ') || target >= target_end {
            return Err(Violation::RequestLine);
        }
        self.keep_alive = !self.is_http10;
        self.method = Span::new(0, method_end);
        self.read_target(bytes, target, target_end)
    }

    fn read_target(&mut self, bytes: &[u8], from: usize, to: usize) -> Result<(), Violation> {
        let target = bytes.get(from..to).unwrap_or_default();
        let path = match target.first() {
            Some(b'/') => 0,
            _ if target == b"*" => 0,
            _ => {
                // An absolute target is signed and forwarded as its path.
                let scheme = ["http://", "https://"].into_iter().find(|scheme| {
                    target
                        .get(..scheme.len())
                        .is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
                });
                let authority = scheme.map(str::len).ok_or(Violation::RequestLine)?;
                let path = target.iter().skip(authority).position(|byte| *byte == b'/');
                let path = authority + path.ok_or(Violation::RequestLine)?;
                self.authority = Some(Span::new(from + authority, from + path));
                path
            }
        };
        let target = target.get(path..).unwrap_or_default();
        let from = from + path;
        let mut path_end = target.len();
        // One look at each byte: the path ends at the first question mark.
        for (at, byte) in target.iter().enumerate() {
            match byte {
                b' ' => return Err(Violation::RequestLine),
                b'#' => return Err(Violation::Fragment),
                b'?' if path_end == target.len() => path_end = at,
                _ => {}
            }
        }
        let (path, query) = target.split_at(path_end);
        // One path of the gateway's own has a full stop in it, as it is registered (RFC 8615); no other may.
        let is_known = path == b"*" || path == METADATA_PATH.as_bytes();
        if !path.iter().all(u8::is_ascii_graphic) {
            return Err(Violation::PathNotCanonical);
        }
        if !is_known && !str::from_utf8(path).is_ok_and(strict::is_canonical) {
            self.note(Violation::PathNotCanonical);
        }
        if !query.iter().all(|byte| matches!(byte, 0x21 | 0x24..=0x3b | 0x3d | 0x3f..=0x7e)) {
            return Err(Violation::QueryCharacter);
        }
        self.path = Span::new(from, from + path_end);
        self.target = Span::new(from, to);
        Ok(())
    }

    /// Reads one field; an error leaves open where the body ends.
    fn read_field(
        &mut self,
        bytes: &[u8],
        from: usize,
        to: usize,
        has_length: &mut bool,
    ) -> Result<(), Violation> {
        let name_end = from + text::name(bytes.get(from..to).unwrap_or_default())?;
        let name = Span::new(from, name_end);
        let (value_from, value_to) = text::trimmed(bytes, name_end + 1, to);
        let value = Span::new(value_from, value_to);
        let text = value.of(bytes);
        let field = Field::named(name.of(bytes));
        if field.is_single() {
            let bit = 1 << field as u16;
            if self.singles & bit != 0 {
                self.note(Violation::DuplicateHeader);
            }
            self.singles |= bit;
        }
        let is_credential = match field {
            Field::ApiKey => self.credential(0, value),
            Field::Sign => self.credential(1, value),
            Field::Timestamp => self.credential(2, value),
            // A secret: whoever is behind the gateway has no use for it.
            Field::Passphrase => {
                self.credential(3, value);
                return Ok(());
            }
            Field::Simulated => !self.credential(4, value),
            Field::MessageSignature => {
                self.is_signed = true;
                true
            }
            Field::ContentType => {
                let takes_form =
                    [TOKEN_PATH, REVOKE_PATH].iter().any(|p| p.as_bytes() == self.path.of(bytes));
                let fits = if takes_form { strict::is_form(text) } else { strict::is_json(text) };
                if self.method.of(bytes) == b"POST" && !fits {
                    self.note(Violation::ContentType);
                }
                false
            }
            Field::Authorization => {
                if OauthServer::is_app_authorization(text) {
                    self.app[0] = Some(value);
                    return Ok(());
                }
                false
            }
            Field::DpopProof => {
                self.app[1] = Some(value);
                return Ok(());
            }
            Field::Expect => {
                if !text.eq_ignore_ascii_case(b"100-continue") {
                    self.note(Violation::Expectation);
                }
                self.expects_continue = true;
                return Ok(());
            }
            Field::Connection => {
                match strict::connection(text) {
                    Ok(options) if options.close => self.keep_alive = false,
                    Ok(options) if options.keep_alive && self.is_http10 => self.keep_alive = true,
                    Ok(_) => {}
                    Err(violation) => self.note(violation),
                }
                return Ok(());
            }
            Field::ContentLength => {
                self.body_bytes = text::length(text).ok_or(Violation::ContentLength)?;
                if std::mem::replace(has_length, true) {
                    return Err(Violation::ContentLength);
                }
                return Ok(());
            }
            Field::TransferEncoding => return Err(Violation::TransferEncoding),
            // Replaced by the upstream's.
            Field::Host => {
                if self.host.replace(value).is_some() {
                    self.note(Violation::HostRepeated);
                }
                return Ok(());
            }
            Field::Upgrade => {
                if !text.eq_ignore_ascii_case(b"websocket") {
                    self.note(Violation::UpgradeUnsupported);
                }
                self.is_upgrade = true;
                return Ok(());
            }
            Field::Credential | Field::Dropped => return Ok(()),
            Field::Expires | Field::Plain => false,
        };
        self.lines.push(Line { name, value, is_credential });
        Ok(())
    }

    fn credential(&mut self, place: usize, value: Span) -> bool {
        if let Some(slot) = self.credentials.get_mut(place) {
            *slot = Some(value);
        }
        true
    }
}

/// The head that `bytes` start with; `None` while it is incomplete.
///
/// # Errors
/// The first [`Violation`] that leaves open what the request is or where it ends. However the network cuts the stream,
/// it is the same.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Head>, Violation> {
    let looked_at = bytes.get(..HEAD_BYTES_MAX).unwrap_or(bytes);
    match parse_whole(looked_at)? {
        None if bytes.len() >= HEAD_BYTES_MAX => Err(Violation::HeadTooLarge),
        head => Ok(head),
    }
}

fn parse_whole(bytes: &[u8]) -> Result<Option<Head>, Violation> {
    let Some(end) = text::line(bytes, 0, Violation::RequestLine)? else { return Ok(None) };
    let mut head = Head::new();
    head.read_request_line(bytes, end)?;
    let mut at = end + 2;
    let mut has_length = false;
    let mut fields = 0;
    loop {
        let Some(end) = text::line(bytes, at, Violation::HeaderField)? else { return Ok(None) };
        if end == at {
            head.head_bytes = end + 2;
            break;
        }
        fields += 1;
        if fields > HEADERS_MAX {
            return Err(Violation::HeadersTooMany);
        }
        head.read_field(bytes, at, end, &mut has_length)?;
        at = end + 2;
    }
    let of = |span: Span| span.of(bytes);
    if let Err(violation) = strict::check_host(head.host.map(of), head.authority.map(of)) {
        head.note(violation);
    }
    Ok(Some(head))
}

impl<'a> View<'a> {
    /// The method as sent.
    pub(crate) fn method(&self) -> &'a [u8] {
        self.head.method.of(self.bytes)
    }

    /// Path and query, as signed and forwarded.
    pub(crate) fn target(&self) -> &'a [u8] {
        self.head.target.of(self.bytes)
    }

    /// The path: canonical, or `*`.
    pub(crate) fn path(&self) -> &'a str {
        str::from_utf8(self.head.path.of(self.bytes)).unwrap_or_default()
    }

    /// Whether the target has a question mark.
    pub(crate) const fn has_query(&self) -> bool {
        self.head.path.to < self.head.target.to
    }

    /// The query without its question mark.
    pub(crate) fn query(&self) -> Option<&'a str> {
        let (from, to) = (self.head.path.to, self.head.target.to);
        self.bytes.get(usize::from(from) + 1..usize::from(to)).and_then(|query| str::from_utf8(query).ok())
    }

    /// The value of a field that is forwarded, by its name in any case.
    pub(crate) fn field(&self, name: &[u8]) -> Option<&'a str> {
        self.fields(true)
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| str::from_utf8(value).ok())
    }

    /// The host that is asked for, as sent.
    pub(crate) fn host(&self) -> &'a [u8] {
        self.head.host.map(|span| span.of(self.bytes)).unwrap_or_default()
    }

    /// The credential.
    pub(crate) fn credentials(&self) -> Credentials<'a> {
        let [key, sign, timestamp, passphrase, simulated] =
            self.head.credentials.map(|span| span.map(|span| span.of(self.bytes)));
        Credentials { key, sign, timestamp, passphrase, simulated }
    }

    /// The access token of an app, as `Authorization` stands.
    pub(crate) fn app_authorization(&self) -> Option<&'a [u8]> {
        self.head.app[0].map(|span| span.of(self.bytes))
    }

    /// The proof of possession, as `DPoP` stands.
    pub(crate) fn proof(&self) -> Option<&'a [u8]> {
        self.head.app[1].map(|span| span.of(self.bytes))
    }

    /// Every field as it was sent, names and values.
    pub(crate) fn all_fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let head = self.bytes.get(..self.head.head_bytes).unwrap_or_default();
        let lines = head.split(|byte| *byte == b'\n').skip(1).map(|line| line.trim_ascii_end());
        lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((line.get(..colon)?, line.get(colon + 1..)?.trim_ascii_start()))
        })
    }

    /// The fields to forward, names and values; those of the credential only `with_credential`.
    pub(crate) fn fields(&self, with_credential: bool) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let Self { head, bytes } = *self;
        head.lines
            .iter()
            .filter(move |line| with_credential || !line.is_credential)
            .map(move |line| (line.name.of(bytes), line.value.of(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(head: &str) -> Option<Violation> {
        match parse(head.as_bytes()) {
            Err(violation) => Some(violation),
            Ok(whole) => {
                assert_eq!(whole.map(|whole| whole.head_bytes), Some(head.len()), "{head:?}");
                None
            }
        }
    }

    fn fault(fields: &str) -> Option<Violation> {
        let head = format!("POST /api/v5/trade/order HTTP/1.1\r\n{fields}\r\n");
        parse(head.as_bytes()).unwrap().expect("a whole head").fault
    }

    #[test]
    fn heads_that_servers_read_differently_are_refused() {
        let with = |fields: &str| refused(&format!("POST /a HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
        assert_eq!(with(""), None);
        assert_eq!(with("Content-Length: 5\r\nX:\r\nY: \u{fc}\t\r\n"), None);
        for (fields, violation) in [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Violation::TransferEncoding),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Violation::TransferEncoding),
            ("transfer-encoding: identity\r\n", Violation::TransferEncoding),
            ("Transfer-Encoding:\r\n", Violation::TransferEncoding),
            ("Transfer-Encoding: xchunked\r\n", Violation::TransferEncoding),
            ("Transfer-Encoding : chunked\r\n", Violation::HeaderField),
            ("Transfer-Encoding\t: chunked\r\n", Violation::HeaderField),
            ("Transfer-Encoding\u{b}: chunked\r\n", Violation::HeaderField),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Violation::ContentLength),
            ("Content-Length: 5\r\ncontent-length: 6\r\n", Violation::ContentLength),
            ("Content-Length: 5, 5\r\n", Violation::ContentLength),
            ("Content-Length: +5\r\n", Violation::ContentLength),
            ("Content-Length: -5\r\n", Violation::ContentLength),
            ("Content-Length: 0x5\r\n", Violation::ContentLength),
            ("Content-Length: 5 5\r\n", Violation::ContentLength),
            ("Content-Length: 5;\r\n", Violation::ContentLength),
            ("Content-Length: \u{665}\r\n", Violation::ContentLength),
            ("Content-Length:\r\n", Violation::ContentLength),
            ("Content-Length: 9999999999999999999\r\n", Violation::ContentLength),
            ("Content-Length: 5\r\n 6\r\n", Violation::HeaderField),
            ("X: a\nContent-Length: 5\r\n", Violation::LineEnd),
            ("X: a\rContent-Length: 5\r\n", Violation::LineEnd),
            ("X: a\r\r\n", Violation::LineEnd),
            ("X: a\r\n folded\r\n", Violation::HeaderField),
            ("X: a\r\n\tfolded\r\n", Violation::HeaderField),
            (" X: a\r\n", Violation::HeaderField),
            ("X: a\0b\r\n", Violation::HeaderField),
            ("X: a\u{7f}b\r\n", Violation::HeaderField),
            ("X: a\u{b}b\r\n", Violation::HeaderField),
            (": a\r\n", Violation::HeaderField),
            ("X\r\n", Violation::HeaderField),
            ("X(: a\r\n", Violation::HeaderField),
            ("X\u{fc}: a\r\n", Violation::HeaderField),
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
            ("GET HTTP/1.1", Violation::RequestLine),
            ("GET  HTTP/1.1", Violation::RequestLine),
            ("GET  / HTTP/1.1", Violation::RequestLine),
            ("GET / HTTP/1.1 ", Violation::RequestLine),
            ("GET /  HTTP/1.1", Violation::RequestLine),
            ("GET /a b HTTP/1.1", Violation::RequestLine),
            (" GET / HTTP/1.1", Violation::RequestLine),
            ("GET\t/ HTTP/1.1", Violation::RequestLine),
            ("GET /\u{c}HTTP/1.1", Violation::RequestLine),
            ("GET / HTTP/1.2", Violation::RequestLine),
            ("GET / HTTP/2.0", Violation::RequestLine),
            ("GET / HTTP/1.1.1", Violation::RequestLine),
            ("GET / http/1.1", Violation::RequestLine),
            ("G@T / HTTP/1.1", Violation::RequestLine),
            ("GET http://h\u{7f}/ HTTP/1.1", Violation::RequestLine),
            ("GET http://h HTTP/1.1", Violation::RequestLine),
            ("GET http://h?a=/ HTTP/1.1", Violation::AuthorityMismatch),
            ("GET ftp://h/ HTTP/1.1", Violation::RequestLine),
            ("CONNECT h:443 HTTP/1.1", Violation::RequestLine),
            ("GET api HTTP/1.1", Violation::RequestLine),
            ("GET /a#b HTTP/1.1", Violation::Fragment),
            ("GET /a?b#c HTTP/1.1", Violation::Fragment),
            ("GET http://h/a/../b HTTP/1.1", Violation::PathNotCanonical),
            ("GET /a/../b HTTP/1.1", Violation::PathNotCanonical),
            ("GET /%61 HTTP/1.1", Violation::PathNotCanonical),
            ("GET /ü HTTP/1.1", Violation::PathNotCanonical),
            ("GET /a?ü HTTP/1.1", Violation::QueryCharacter),
            ("GET /a?\"<> HTTP/1.1", Violation::QueryCharacter),
        ] {
            let head = format!("{bad}\r\nHost: h\r\n\r\n");
            let found = parse(head.as_bytes()).map(|head| head.and_then(|head| head.fault));
            assert_eq!(found.unwrap_or_else(Some), Some(violation), "{bad}");
        }
    }

    #[test]
    fn faults_that_leave_the_end_clear_are_kept() {
        assert_eq!(fault("Host: h\r\nContent-Type: application/json; charset=utf-8\r\n"), None);
        let credentials = ["OK-ACCESS-KEY", "ok-access-sign", "Ok-Access-Timestamp", "ok-access-passphrase"];
        for name in credentials.into_iter().chain(["x-simulated-trading", "expTime", "Content-Type"]) {
            let twice = format!("Host: h\r\n{name}: application/json\r\n{name}: application/json\r\n");
            assert_eq!(fault(&twice), Some(Violation::DuplicateHeader), "{name}");
        }
        for (fields, violation) in [
            ("", Violation::HostMissing),
            ("Host:\r\n", Violation::HostMissing),
            ("Host: h\r\nHost: h\r\n", Violation::HostRepeated),
            ("Host: a, b\r\n", Violation::AuthorityMismatch),
            ("Host: h\r\nConnection: close, OK-ACCESS-SIGN\r\n", Violation::ConnectionOption),
            ("Host: h\r\nExpect: 200-maybe\r\n", Violation::Expectation),
            ("Host: h\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n", Violation::DuplicateHeader),
            ("Host: h\r\nUpgrade: h2c\r\n", Violation::UpgradeUnsupported),
            ("Host: h\r\nContent-Type: text/plain\r\n", Violation::ContentType),
        ] {
            assert_eq!(fault(fields), Some(violation), "{fields:?}");
        }
    }

    #[test]
    fn parts_are_where_they_stand() {
        let text = "POST /api/v5/x?a=b HTTP/1.1\r\nHost:\th \r\nok-access-key: k\r\nOK-ACCESS-SIGN: s\r\n\
                    OK-ACCESS-TIMESTAMP:t\r\nok-access-passphrase: p\r\nX-Simulated-Trading: 1\r\nAccept:  */* \r\n\
                    x-caponier-account: mallory\r\nx_caponier_account: mallory\r\nX-Forwarded-For: 1.1.1.1\r\n\
                    Range: bytes=0-\r\nexpTime: 7\r\nok-access-other: z\r\nContent-Length: 12\r\n\
                    Connection: Keep-Alive, Upgrade\r\nUpgrade: WebSocket\r\nExpect: 100-Continue\r\n\r\n";
        let head = parse(text.as_bytes()).unwrap().unwrap();
        let view = head.view(text.as_bytes());
        assert_eq!(
            (view.method(), view.target(), view.path()),
            (&b"POST"[..], &b"/api/v5/x?a=b"[..], "/api/v5/x")
        );
        assert!(view.has_query() && head.keep_alive && head.expects_continue && head.is_upgrade);
        assert_eq!((head.body_bytes, head.head_bytes, head.fault), (12, text.len(), None));
        let credentials = Credentials {
            key: Some(b"k"),
            sign: Some(b"s"),
            timestamp: Some(b"t"),
            passphrase: Some(b"p"),
            simulated: Some(b"1"),
        };
        assert_eq!(view.credentials(), credentials);
        let names =
            |with| view.fields(with).map(|(name, _)| str::from_utf8(name).unwrap()).collect::<Vec<_>>();
        assert_eq!(
            names(true),
            [
                "ok-access-key",
                "OK-ACCESS-SIGN",
                "OK-ACCESS-TIMESTAMP",
                "X-Simulated-Trading",
                "Accept",
                "expTime"
            ]
        );
        assert_eq!(names(false), ["X-Simulated-Trading", "Accept", "expTime"]);
        assert_eq!(view.fields(true).nth(4), Some((&b"Accept"[..], &b"*/*"[..])));
        assert_eq!(view.all_fields().count(), 17);
        assert_eq!(view.all_fields().next(), Some((&b"Host"[..], &b"h"[..])));
        assert_eq!(view.all_fields().nth(15), Some((&b"Upgrade"[..], &b"WebSocket"[..])));
    }

    #[test]
    fn connections_are_kept_as_their_version_says() {
        for (version, options, kept) in [
            ("1.1", "", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "Connection: keep-alive, Close\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: keep-alive\r\n", true),
            ("1.0", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ] {
            let text = format!("GET / HTTP/{version}\r\nHost: h\r\n{options}\r\n");
            let head = parse(text.as_bytes()).unwrap().unwrap();
            assert_eq!((head.keep_alive, head.is_http10), (kept, version == "1.0"), "{version} {options}");
        }
    }

    #[test]
    fn an_absolute_target_must_name_the_host() {
        let read = |target: &str| {
            let text = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
            let head = parse(text.as_bytes()).unwrap().unwrap();
            let target = String::from_utf8(head.view(text.as_bytes()).target().to_vec()).unwrap();
            (target, head.fault)
        };
        assert_eq!(read("http://h/a?b"), ("/a?b".to_owned(), None));
        assert_eq!(read("HTTPS://H/"), ("/".to_owned(), None));
        assert_eq!(read("http://g/a").1, Some(Violation::AuthorityMismatch));
        assert_eq!(read("http://u@h/a").1, Some(Violation::AuthorityMismatch));
    }

    proptest! {
        /// Whatever the head is, no prefix of it is judged differently than the whole.
        #[test]
        fn cuts_do_not_matter(
            line in "(GET|POST) (/[a-z]{0,3}|http://h/x)(\\?[a-z=#ü]{0,2})? ?HTTP/1\\.[012]",
            fields in proptest::collection::vec(
                "(Host|A|Content-Length|X_Y|Transfer-Encoding) ?:[ \\ta-z0-9\\r\\n\\x00]{0,5}", 0..5,
            ),
            tail in "[\\r\\n a-z:]{0,6}",
        ) {
            let stream = format!("{line}\r\n{}\r\n\r\n{tail}", fields.join("\r\n"));
            let whole = parse(stream.as_bytes());
            for end in 0..stream.len() {
                match (parse(&stream.as_bytes()[..end]), &whole) {
                    (Ok(None), _) => {}
                    (Ok(Some(head)), Ok(Some(all))) => {
                        prop_assert_eq!(head.head_bytes, all.head_bytes);
                        prop_assert_eq!(head.body_bytes, all.body_bytes);
                        prop_assert_eq!(head.fault, all.fault);
                        prop_assert!(end >= all.head_bytes);
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
