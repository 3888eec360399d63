//! Refusing what two HTTP implementations might read differently.
//!
//! What single fields, paths and hosts mean; [`head`](crate::http1::head) applies it. The request target and the body are looked at, never changed: what the client
//! signed is what the upstream gets. Connection-level fields are never forwarded; framing is always written anew.
//! Source: RFC 9110 and 9112, and the weaknesses of the OKX v5 signature (which covers neither Host nor headers).

use auth::Refusal;

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
    /// A head longer than [`HEAD_BYTES_MAX`](crate::http1::head::HEAD_BYTES_MAX).
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

/// A header field by what it means here. Those from [`Field::ApiKey`] to [`Field::Expires`] may stand once only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    ApiKey,
    Sign,
    Timestamp,
    Passphrase,
    Simulated,
    ContentType,
    Expect,
    Expires,
    Connection,
    ContentLength,
    Host,
    TransferEncoding,
    Upgrade,
    /// Speaks of the connection, claims an identity that only this gateway or a proxy it trusts may state, names
    /// another method or path, or asks for a range (which multiplies work): never forwarded.
    Dropped,
    /// A credential this gateway does not know: never forwarded.
    Credential,
    /// Part of an HTTP message signature: forwarded once it was verified, as proof.
    MessageSignature,
    /// Any other, forwarded as it is.
    Plain,
}

/// Longest name that is looked at as a whole.
const NAME_BYTES_MAX: usize = 24;

impl Field {
    /// Whether a repetition is refused.
    pub(crate) const fn is_single(self) -> bool {
        matches!(
            self,
            Self::ApiKey
                | Self::Sign
                | Self::Timestamp
                | Self::Passphrase
                | Self::Simulated
                | Self::ContentType
                | Self::Expect
                | Self::Expires
        )
    }

    /// The field that `name` stands for, whatever its case.
    pub(crate) fn named(name: &[u8]) -> Self {
        let mut folded = [0; NAME_BYTES_MAX];
        let Some(folded) = folded.get_mut(..name.len()) else { return Self::prefixed(name) };
        for (to, from) in folded.iter_mut().zip(name) {
            *to = from.to_ascii_lowercase();
        }
        match &*folded {
            b"ok-access-key" => Self::ApiKey,
            b"ok-access-sign" => Self::Sign,
            b"ok-access-timestamp" => Self::Timestamp,
            b"ok-access-passphrase" => Self::Passphrase,
            b"x-simulated-trading" => Self::Simulated,
            b"exptime" => Self::Expires,
            b"signature" | b"signature-input" => Self::MessageSignature,
            // Speaks to this gateway, which signs the answer.
            b"accept-signature" => Self::Dropped,
            b"content-type" => Self::ContentType,
            b"content-length" => Self::ContentLength,
            b"transfer-encoding" => Self::TransferEncoding,
            b"host" => Self::Host,
            b"connection" | b"proxy-connection" => Self::Connection,
            b"expect" => Self::Expect,
            b"upgrade" => Self::Upgrade,
            b"forwarded"
            | b"http2-settings"
            | b"if-range"
            | b"keep-alive"
            | b"proxy-authenticate"
            | b"proxy-authorization"
            | b"range"
            | b"te"
            | b"trailer"
            | b"x-http-method"
            | b"x-http-method-override"
            | b"x-method-override"
            | b"x-original-url"
            | b"x-real-ip"
            | b"x-rewrite-url" => Self::Dropped,
            other => Self::prefixed(other),
        }
    }

    /// Of a name that is none of the known ones.
    fn prefixed(name: &[u8]) -> Self {
        if starts_with(name, b"ok-access-") {
            return Self::Credential;
        }
        // An underscore becomes a dash in some servers, and the field another field.
        if starts_with(name, b"x-forwarded-") || starts_with(name, OWN_PREFIX) || name.contains(&b'_') {
            return Self::Dropped;
        }
        Self::Plain
    }
}

/// How the names of fields begin that only the gateway may state.
const OWN_PREFIX: &[u8] = b"x-caponier-";

fn starts_with(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// `application/json`, with or without parameters.
pub(crate) fn is_json(value: &[u8]) -> bool {
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// What a `Connection` field of a request asks for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
}

/// Reads the options of a `Connection` field; those of other fields are refused.
pub(crate) fn connection(value: &[u8]) -> Result<Options, Violation> {
    let mut options = Options::default();
    for option in value.split(|byte| *byte == b',') {
        let option = option.trim_ascii();
        if option.eq_ignore_ascii_case(b"keep-alive") {
            options.keep_alive = true;
        } else if option.eq_ignore_ascii_case(b"close") {
            options.close = true;
        } else if option.eq_ignore_ascii_case(b"upgrade") {
            options.upgrade = true;
        } else if !(option.is_empty()
            || option.eq_ignore_ascii_case(b"te")
            || option.eq_ignore_ascii_case(b"http2-settings"))
        {
            return Err(Violation::ConnectionOption);
        }
    }
    Ok(options)
}

/// Whether `host` may be the value of `Host`, and is `authority` where the target names one.
pub(crate) fn check_host(host: Option<&[u8]>, authority: Option<&[u8]>) -> Result<(), Violation> {
    let host = host.filter(|host| !host.is_empty()).ok_or(Violation::HostMissing)?;
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'@' | b'/' | b',');
    if !host.iter().all(is_plain) || authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(host))
    {
        return Err(Violation::AuthorityMismatch);
    }
    Ok(())
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

/// Whether a field of an answer speaks about the connection to the upstream, or in the gateway's name.
pub(crate) fn is_dropped_from_answers(name: &[u8]) -> bool {
    match name.len() {
        2 => name.eq_ignore_ascii_case(b"te"),
        7 => name.eq_ignore_ascii_case(b"trailer") || name.eq_ignore_ascii_case(b"upgrade"),
        10 => name.eq_ignore_ascii_case(b"connection") || name.eq_ignore_ascii_case(b"keep-alive"),
        14 => name.eq_ignore_ascii_case(b"content-length") || starts_with(name, OWN_PREFIX),
        16 => name.eq_ignore_ascii_case(b"proxy-connection") || starts_with(name, OWN_PREFIX),
        17 => name.eq_ignore_ascii_case(b"transfer-encoding") || starts_with(name, OWN_PREFIX),
        18 => name.eq_ignore_ascii_case(b"proxy-authenticate") || starts_with(name, OWN_PREFIX),
        _ => starts_with(name, OWN_PREFIX),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_mean_the_same_in_any_case() {
        for (name, field) in [
            ("OK-ACCESS-KEY", Field::ApiKey),
            ("Ok-Access-Passphrase", Field::Passphrase),
            ("ok-access-token", Field::Credential),
            ("ok-access-something-very-long-indeed", Field::Credential),
            ("X-Forwarded-Proto", Field::Dropped),
            ("X-CAPONIER-ACCOUNT", Field::Dropped),
            ("x-caponier-something-very-long-indeed", Field::Dropped),
            ("x_caponier_account", Field::Dropped),
            ("X-HTTP-Method-Override", Field::Dropped),
            ("Range", Field::Dropped),
            ("TE", Field::Dropped),
            ("Proxy-Connection", Field::Connection),
            ("accept", Field::Plain),
            ("x", Field::Plain),
            ("a-name-of-more-than-twenty-four-bytes", Field::Plain),
        ] {
            assert_eq!(Field::named(name.as_bytes()), field, "{name}");
        }
    }

    #[test]
    fn answers_lose_what_is_not_the_clients_to_hear() {
        for name in [
            "Connection",
            "Keep-Alive",
            "Proxy-Authenticate",
            "proxy-connection",
            "TE",
            "Trailer",
            "upgrade",
            "Transfer-Encoding",
            "Content-Length",
            "X-Caponier-Decision",
            "x-caponier-key",
            "x-caponier-abc",
            "x-caponier-abcde",
            "x-caponier-abcdef",
            "x-caponier-abcdefg",
        ] {
            assert!(is_dropped_from_answers(name.as_bytes()), "{name}");
        }
        for name in ["Content-Type", "Date", "x-kept", "connections", "x-caponie-account"] {
            assert!(!is_dropped_from_answers(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn connection_options_are_those_it_is_for() {
        let options = connection(b"Keep-Alive,, Upgrade").unwrap();
        assert_eq!(options, Options { close: false, keep_alive: true, upgrade: true });
        assert!(connection(b"close, TE, http2-settings").unwrap().close);
        assert_eq!(connection(b"close, OK-ACCESS-SIGN"), Err(Violation::ConnectionOption));
    }

    #[test]
    fn the_host_is_one_and_agrees() {
        assert_eq!(check_host(None, None), Err(Violation::HostMissing));
        assert_eq!(check_host(Some(b""), None), Err(Violation::HostMissing));
        assert_eq!(check_host(None, Some(b"a")), Err(Violation::HostMissing));
        assert_eq!(check_host(Some(b"a, b"), None), Err(Violation::AuthorityMismatch));
        assert_eq!(check_host(Some(b"u@b"), None), Err(Violation::AuthorityMismatch));
        assert_eq!(check_host(Some(b"a"), Some(b"b")), Err(Violation::AuthorityMismatch));
        assert_eq!(check_host(Some(b"API.example:443"), Some(b"api.example:443")), Ok(()));
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
