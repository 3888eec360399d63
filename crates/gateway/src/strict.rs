//! Refusing what two HTTP implementations might read differently.
//!
//! Works on the head as hyper parsed it. The request target and the body are looked at, never changed: what the client
//! signed is what the upstream gets. Connection-level fields are never forwarded; framing is always written anew.
//! Source: RFC 9110 and 9112, and the weaknesses of the OKX v5 signature (which covers neither Host nor headers).

use auth::Refusal;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, request::Parts};

use crate::head;

/// Most header fields in a request.
pub(crate) const HEADERS_MAX: usize = 64;

/// One way a request can be ambiguous or out of place; each has its metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Violation {
    /// The authority of the target is not that of `Host`, or holds user information.
    AuthorityMismatch,
    /// A GET with a body: the signature would cover bytes that most servers ignore.
    BodyOnGet,
    /// `Connection` names a field other than those it is for, such as a signed one.
    ConnectionOption,
    /// A body that does not start an object or array: bytes moved from the path would verify there.
    BodyNotJson,
    /// A `Content-Length` that is repeated or not a plain number.
    ContentLength,
    /// A `Content-Type` other than JSON on a POST.
    ContentType,
    /// A header that must be unique is repeated.
    DuplicateHeader,
    /// `Expect` other than `100-continue`.
    Expectation,
    /// A fragment in the target, which is not the server's to see.
    Fragment,
    /// A header line that is folded, has a blank before its colon, or a character no header has.
    HeaderField,
    /// More than [`HEADERS_MAX`] fields.
    HeadersTooMany,
    /// A head longer than [`HEAD_BYTES_MAX`](crate::head::HEAD_BYTES_MAX).
    HeadTooLarge,
    /// No `Host`, or an empty one.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// A line of the head that does not end in CRLF.
    LineEnd,
    /// A path with an empty or dot segment, an escape or any character that no endpoint of the API has.
    PathNotCanonical,
    /// A character in the query that no URL has.
    QueryCharacter,
    /// A query on a request that takes a body: it would verify as part of the body.
    QueryWithBody,
    /// A first line other than method, target and version 1.0 or 1.1 with single spaces.
    RequestLine,
    /// `Transfer-Encoding`: a second way to say where a body ends.
    TransferEncoding,
    /// `Upgrade` to something that is not offered here.
    UpgradeUnsupported,
}

impl Violation {
    /// Those found in the raw head, before it is parsed; see [`head`].
    const RAW: [Self; 10] = [
        Self::ContentLength,
        Self::Fragment,
        Self::HeaderField,
        Self::HeadTooLarge,
        Self::HeadersTooMany,
        Self::LineEnd,
        Self::PathNotCanonical,
        Self::QueryCharacter,
        Self::RequestLine,
        Self::TransferEncoding,
    ];

    /// The reason a raw head was refused, from its mark.
    fn marked(label: &[u8]) -> Self {
        let found = Self::RAW.into_iter().find(|violation| violation.label().as_bytes() == label);
        found.unwrap_or(Self::HeaderField)
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::AuthorityMismatch => "authority_mismatch",
            Self::BodyNotJson => "body_not_json",
            Self::BodyOnGet => "body_on_get",
            Self::ConnectionOption => "connection_option",
            Self::ContentLength => "content_length",
            Self::ContentType => "content_type",
            Self::DuplicateHeader => "duplicate_header",
            Self::Expectation => "expectation",
            Self::Fragment => "fragment",
            Self::HeadTooLarge => "head_too_large",
            Self::HeaderField => "header_field",
            Self::HeadersTooMany => "headers_too_many",
            Self::HostMissing => "host_missing",
            Self::HostRepeated => "host_repeated",
            Self::LineEnd => "line_end",
            Self::PathNotCanonical => "path_not_canonical",
            Self::QueryCharacter => "query_character",
            Self::QueryWithBody => "query_with_body",
            Self::RequestLine => "request_line",
            Self::TransferEncoding => "transfer_encoding",
            Self::UpgradeUnsupported => "upgrade_unsupported",
        }
    }

    /// What the client is told. OKX has no code for malformed HTTP; 51000 names the part at fault.
    pub(crate) fn refusal(self) -> Refusal {
        let parameter = match self {
            Self::BodyNotJson => return Refusal::JsonInvalid,
            Self::ContentType => return Refusal::ContentTypeInvalid,
            Self::DuplicateHeader => return Refusal::AuthorizationInvalid,
            Self::AuthorityMismatch | Self::HostMissing | Self::HostRepeated => "Host",
            Self::BodyOnGet => "body",
            Self::ConnectionOption => "Connection",
            Self::ContentLength => "Content-Length",
            Self::Expectation => "Expect",
            Self::HeadTooLarge | Self::HeaderField | Self::HeadersTooMany | Self::LineEnd => "headers",
            Self::Fragment | Self::PathNotCanonical | Self::RequestLine => "requestPath",
            Self::QueryCharacter | Self::QueryWithBody => "query",
            Self::TransferEncoding => "Transfer-Encoding",
            Self::UpgradeUnsupported => "Upgrade",
        };
        Refusal::ParameterInvalid { parameter: parameter.to_owned() }
    }
}

/// The credential headers of a request, as they stand.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Credentials<'a> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) sign: Option<&'a [u8]>,
    pub(crate) timestamp: Option<&'a [u8]>,
    pub(crate) passphrase: Option<&'a [u8]>,
    pub(crate) simulated: Option<&'a [u8]>,
}

/// What reading the head found.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    pub(crate) credentials: Credentials<'a>,
    /// Headers that are not forwarded.
    pub(crate) strip: Vec<HeaderName>,
}

/// What happens to a header field.
enum Use {
    Forward,
    Strip,
}

/// Reads the head once. Knows nothing of the method and the path, which are checked before.
pub(crate) fn scan(parts: &Parts) -> Result<Scan<'_>, Violation> {
    if parts.headers.len() > HEADERS_MAX {
        return Err(Violation::HeadersTooMany);
    }
    let mut credentials = Credentials::default();
    let mut strip = Vec::new();
    let mut host = None;
    let mut unique = [false; 3];
    for (name, value) in &parts.headers {
        let bytes = value.as_bytes();
        let what = match name.as_str() {
            "ok-access-key" => once(&mut credentials.key, bytes)?,
            "ok-access-sign" => once(&mut credentials.sign, bytes)?,
            "ok-access-timestamp" => once(&mut credentials.timestamp, bytes)?,
            // A secret: whoever is behind the gateway has no use for it.
            "ok-access-passphrase" => {
                once(&mut credentials.passphrase, bytes)?;
                Use::Strip
            }
            "x-simulated-trading" => once(&mut credentials.simulated, bytes)?,
            "exptime" => only(&mut unique[0])?,
            "content-type" => {
                if parts.method == Method::POST && !is_json(bytes) {
                    return Err(Violation::ContentType);
                }
                only(&mut unique[1])?
            }
            "host" => {
                if host.replace(bytes).is_some() {
                    return Err(Violation::HostRepeated);
                }
                // Replaced by the upstream's.
                Use::Strip
            }
            "connection" | "proxy-connection" => connection(bytes)?,
            "expect" => {
                if !bytes.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Violation::Expectation);
                }
                only(&mut unique[2])?;
                Use::Strip
            }
            "upgrade" => {
                if !bytes.eq_ignore_ascii_case(b"websocket") {
                    return Err(Violation::UpgradeUnsupported);
                }
                Use::Strip
            }
            head::MARK => return Err(Violation::marked(bytes)),
            other => unlisted(other),
        };
        if matches!(what, Use::Strip) && strip.last() != Some(name) {
            strip.push(name.clone());
        }
    }
    authority(parts, host)?;
    Ok(Scan { credentials, strip })
}

/// Headers without meaning of their own here: framing and connection fields, identity that only this gateway or a
/// proxy it trusts may state, ways to name another method or path, and ranges (which multiply work).
fn unlisted(name: &str) -> Use {
    match name {
        "content-length"
        | "forwarded"
        | "http2-settings"
        | "if-range"
        | "keep-alive"
        | "proxy-authenticate"
        | "proxy-authorization"
        | "range"
        | "te"
        | "trailer"
        | "transfer-encoding"
        | "x-http-method"
        | "x-http-method-override"
        | "x-method-override"
        | "x-original-url"
        | "x-real-ip"
        | "x-rewrite-url" => Use::Strip,
        // An underscore becomes a dash in some servers, and the field another field.
        _ if name.starts_with("x-forwarded-")
            || name.starts_with("x-caponier-")
            || name.starts_with("ok-access-")
            || name.contains('_') =>
        {
            Use::Strip
        }
        _ => Use::Forward,
    }
}

fn once<'a>(slot: &mut Option<&'a [u8]>, value: &'a [u8]) -> Result<Use, Violation> {
    if slot.replace(value).is_some() { Err(Violation::DuplicateHeader) } else { Ok(Use::Forward) }
}

fn only(seen: &mut bool) -> Result<Use, Violation> {
    if std::mem::replace(seen, true) { Err(Violation::DuplicateHeader) } else { Ok(Use::Forward) }
}

/// `application/json`, with or without parameters.
fn is_json(value: &[u8]) -> bool {
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

fn connection(value: &[u8]) -> Result<Use, Violation> {
    for option in value.split(|byte| *byte == b',') {
        let option = option.trim_ascii();
        let known: [&[u8]; 6] = [b"", b"close", b"http2-settings", b"keep-alive", b"te", b"upgrade"];
        if !known.iter().any(|known| option.eq_ignore_ascii_case(known)) {
            return Err(Violation::ConnectionOption);
        }
    }
    Ok(Use::Strip)
}

/// One host, and the same in the target where it names one.
fn authority(parts: &Parts, host: Option<&[u8]>) -> Result<(), Violation> {
    if let Some(authority) = parts.uri.authority() {
        let named = authority.as_str().as_bytes();
        if named.contains(&b'@') || host.is_some_and(|host| !host.eq_ignore_ascii_case(named)) {
            return Err(Violation::AuthorityMismatch);
        }
        // HTTP/1 demands Host also beside a target that names the host.
        return if host.is_none() && parts.version < Version::HTTP_2 {
            Err(Violation::HostMissing)
        } else {
            Ok(())
        };
    }
    match host {
        None | Some(b"") => Err(Violation::HostMissing),
        Some(host)
            if host.iter().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'@' | b'/' | b',')) =>
        {
            Err(Violation::AuthorityMismatch)
        }
        Some(_) => Ok(()),
    }
}

/// Whether every server finds the same resource under `path`: `/`, or segments of letters, digits, `-` and `_`.
///
/// No endpoint of the API needs more. Escapes, dots, semicolons, empty segments and a slash at the end are ways to
/// spell a path that a prefix rule misses and a lenient server still finds.
pub(crate) fn is_canonical(path: &str) -> bool {
    if path == "/" {
        return true;
    }
    let mut previous = 0;
    for byte in path.bytes() {
        let allowed =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'/' && previous != b'/');
        if !allowed {
            return false;
        }
        previous = byte;
    }
    path.starts_with('/') && previous != b'/'
}

/// Removes from `headers` what is not forwarded, and from answers what describes the upstream connection.
pub(crate) fn remove(headers: &mut HeaderMap<HeaderValue>, strip: &[HeaderName]) {
    for name in strip {
        headers.remove(name);
    }
}

/// Removes the fields of an answer that speak about the connection to the upstream or in the gateway's name.
pub(crate) fn clean_answer(headers: &mut HeaderMap<HeaderValue>) {
    let mut strip: Vec<HeaderName> = Vec::new();
    for name in headers.keys() {
        let hop = matches!(
            name.as_str(),
            "connection"
                | "keep-alive"
                | "proxy-authenticate"
                | "proxy-connection"
                | "te"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
        );
        if hop || name.as_str().starts_with("x-caponier-") {
            strip.push(name.clone());
        }
    }
    remove(headers, &strip);
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn parts(target: &str, version: Version, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method("POST").uri(target).version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn violation(headers: &[(&str, &str)]) -> Option<Violation> {
        let with_host: Vec<_> = [("host", "api.example")].iter().chain(headers).copied().collect();
        scan(&parts("/api/v5/trade/order", Version::HTTP_11, &with_host)).err()
    }

    #[test]
    fn ambiguous_heads_are_refused() {
        assert_eq!(violation(&[("content-type", "application/json; charset=utf-8")]), None);
        for name in ["ok-access-key", "ok-access-sign", "ok-access-timestamp", "ok-access-passphrase"] {
            assert_eq!(violation(&[(name, "a"), (name, "a")]), Some(Violation::DuplicateHeader), "{name}");
        }
        for name in ["x-simulated-trading", "exptime"] {
            assert_eq!(violation(&[(name, "0"), (name, "1")]), Some(Violation::DuplicateHeader), "{name}");
        }
        assert_eq!(violation(&[("host", "api.example")]), Some(Violation::HostRepeated));
        assert_eq!(violation(&[("connection", "close, OK-ACCESS-SIGN")]), Some(Violation::ConnectionOption));
        assert_eq!(violation(&[("connection", "Keep-Alive, Upgrade")]), None);
        assert_eq!(violation(&[("expect", "200-maybe")]), Some(Violation::Expectation));
        assert_eq!(violation(&[("expect", "100-Continue")]), None);
        assert_eq!(violation(&[("upgrade", "h2c")]), Some(Violation::UpgradeUnsupported));
        assert_eq!(violation(&[("content-type", "text/plain")]), Some(Violation::ContentType));
        let many: Vec<_> = (0..HEADERS_MAX).map(|n| (format!("x-{n}"), "1")).collect();
        let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(violation(&many), Some(Violation::HeadersTooMany));
    }

    #[test]
    fn the_host_is_one_and_agrees() {
        let check = |target, version, headers: &[(&str, &str)]| scan(&parts(target, version, headers)).err();
        assert_eq!(check("/a", Version::HTTP_11, &[]), Some(Violation::HostMissing));
        assert_eq!(check("/a", Version::HTTP_11, &[("host", "")]), Some(Violation::HostMissing));
        assert_eq!(check("/a", Version::HTTP_11, &[("host", "a, b")]), Some(Violation::AuthorityMismatch));
        let absolute = "http://api.example/a";
        assert_eq!(check(absolute, Version::HTTP_11, &[("host", "API.example")]), None);
        assert_eq!(check(absolute, Version::HTTP_11, &[("host", "b")]), Some(Violation::AuthorityMismatch));
        assert_eq!(check(absolute, Version::HTTP_11, &[]), Some(Violation::HostMissing));
        assert_eq!(check(absolute, Version::HTTP_2, &[]), None);
        assert_eq!(check("http://u@b/a", Version::HTTP_2, &[]), Some(Violation::AuthorityMismatch));
    }

    #[test]
    fn what_only_the_gateway_may_say_is_stripped() {
        let headers = [
            ("host", "h"),
            ("x-caponier-account", "mallory"),
            ("x_caponier_account", "mallory"),
            ("x-forwarded-for", "1.1.1.1"),
            ("ok-access-passphrase", "p"),
            ("transfer-encoding", "chunked"),
            ("range", "bytes=0-"),
            ("x-http-method-override", "GET"),
            ("accept", "*/*"),
        ];
        let mut parts = parts("/a", Version::HTTP_11, &headers);
        let strip = scan(&parts).unwrap().strip;
        remove(&mut parts.headers, &strip);
        assert_eq!(parts.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn only_plain_paths_are_canonical() {
        for path in ["/", "/api/v5/account/balance", "/api/v5/tradingBot/grid/order-algo"] {
            assert!(is_canonical(path), "{path}");
        }
        for path in [
            "",
            "*",
            "api",
            "//",
            "/a//b",
            "/a/",
            "/a/../b",
            "/./a",
            "/a/%2e%2e/b",
            "/a%2fb",
            "/a/%77ithdrawal",
            "/a;x=1",
            "/a.json",
            "/a\\b",
            "/ä",
            "/a b",
            "/a#b",
        ] {
            assert!(!is_canonical(path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_canonical_path_has_only_plain_segments(path in "[/a-z.%;\\\\ -]{0,12}") {
            let plain = path == "/" || path.strip_prefix('/').is_some_and(|rest| {
                rest.split('/').all(|segment| {
                    !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
                })
            });
            prop_assert_eq!(is_canonical(&path), plain);
        }
    }
}
