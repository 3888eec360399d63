//! A request as it will be sent.

use crate::ClientError;

/// What of a request is signed. The URL must be what goes over the wire: percent-encoded, nothing left to normalise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    pub(crate) method: &'a str,
    /// In lower case, without the port the scheme implies.
    pub(crate) authority: String,
    pub(crate) path: &'a str,
    /// With its question mark; a lone one where there is no query.
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) exp_time: Option<&'a str>,
    pub(crate) idempotency_key: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// A request with the given method in upper case, URL and body (empty for none).
    ///
    /// # Errors
    /// [`ClientError::UrlInvalid`]; [`ClientError::FieldInvalid`] for the method.
    pub fn new(method: &'a str, url: &'a str, body: &'a [u8]) -> Result<Self, ClientError> {
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(ClientError::FieldInvalid { field: "method" });
        }
        let (implied, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (":443", rest),
            (None, Some(rest)) => (":80", rest),
            (None, None) => return Err(ClientError::UrlInvalid),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let authority = authority.strip_suffix(implied).unwrap_or(authority).to_ascii_lowercase();
        let authority_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]_".contains(&byte);
        let target_byte = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        let good =
            !authority.is_empty() && authority.bytes().all(authority_byte) && target.bytes().all(target_byte);
        let target = if target.is_empty() { "/" } else { target };
        // A lone question mark at the end is refused by the gateway: it would have the signature of the URL without it.
        if !good || !target.starts_with('/') || target.find('?') == Some(target.len() - 1) {
            return Err(ClientError::UrlInvalid);
        }
        let (path, query) = target.find('?').map_or((target, "?"), |at| target.split_at(at));
        Ok(Self { method, authority, path, query, body, exp_time: None, idempotency_key: None })
    }

    /// With the `expTime` field: milliseconds since 1970 after which the order is not to be carried out.
    #[must_use]
    pub const fn exp_time(mut self, value: &'a str) -> Self {
        self.exp_time = Some(value);
        self
    }

    /// With the `Idempotency-Key` field.
    #[must_use]
    pub const fn idempotency_key(mut self, value: &'a str) -> Self {
        self.idempotency_key = Some(value);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_as_they_stand() {
        for (url, authority, path, query) in [
            ("https://API.example.com", "api.example.com", "/", "?"),
            ("https://api.example.com:443/a/b", "api.example.com", "/a/b", "?"),
            ("https://api.example.com:8443/a?b=%2C&c", "api.example.com:8443", "/a", "?b=%2C&c"),
            ("http://127.0.0.1:80/a??", "127.0.0.1", "/a", "??"),
            ("http://[::1]:443/", "[::1]:443", "/", "?"),
        ] {
            let request = Request::new("GET", url, b"").unwrap();
            assert_eq!((request.authority.as_str(), request.path, request.query), (authority, path, query));
        }
        for bad in [
            "",
            "ftp://a/",
            "https://",
            "https:///a",
            "https://a/b c",
            "https://a/#x",
            "https://a/?",
            "https://a?b",
            "https://u@h/",
        ] {
            assert_eq!(Request::new("GET", bad, b""), Err(ClientError::UrlInvalid), "{bad}");
        }
        assert!(Request::new("get", "https://a/", b"").is_err());
    }
}
