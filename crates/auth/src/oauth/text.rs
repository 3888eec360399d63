//! The text forms of the protocol: Base64 for URLs, form bodies, percent-encoding. Strict and bounded.

use std::borrow::Cow;

use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Base64 with the URL alphabet, without padding, and without stray bits at the end: one text per value.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(false),
);

/// Longest form body or query, in bytes.
pub const FORM_BYTES_MAX: usize = 8_192;

/// Most parameters of a form.
pub const FORM_PARAMETERS_MAX: usize = 24;

/// A text that is not a form, or not one all readers understand alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a form")]
pub struct BadForm;

pub(super) fn base64url(bytes: &[u8]) -> String {
    BASE64URL.encode(bytes)
}

pub(super) fn from_base64url(text: &[u8]) -> Option<Vec<u8>> {
    BASE64URL.decode(text).ok()
}

/// As [`from_base64url`], of one length.
pub(super) fn array_from_base64url<const N: usize>(text: &str) -> Option<[u8; N]> {
    from_base64url(text.as_bytes())?.try_into().ok()
}

/// The parameters of an `application/x-www-form-urlencoded` body, or of a query, which has the same form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Form<'a> {
    /// Reads a form. Every parameter has a name and stands once (RFC 6749 section 3.1); escapes are two hexadecimal
    /// digits; the result is UTF-8 without control characters.
    ///
    /// # Errors
    /// [`BadForm`].
    pub fn parse(body: &'a [u8]) -> Result<Self, BadForm> {
        let mut parameters: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
        if body.len() > FORM_BYTES_MAX {
            return Err(BadForm);
        }
        if body.is_empty() {
            return Ok(Self(parameters));
        }
        for parameter in body.split(|byte| *byte == b'&') {
            let equals = parameter.iter().position(|byte| *byte == b'=').ok_or(BadForm)?;
            let name = decode(&parameter[..equals])?;
            let value = decode(&parameter[equals + 1..])?;
            let repeated = parameters.iter().any(|(known, _)| *known == name);
            if name.is_empty() || repeated || parameters.len() >= FORM_PARAMETERS_MAX {
                return Err(BadForm);
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter; an empty one counts as absent (RFC 6749 section 3.1).
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }
}

fn decode(text: &[u8]) -> Result<Cow<'_, str>, BadForm> {
    let plain =
        |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'+' | b'=' | b'"' | b'<' | b'>');
    if text.iter().all(plain) {
        return std::str::from_utf8(text).map(Cow::Borrowed).map_err(|_| BadForm);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(*byte).to_digit(16));
                let value = digit().zip(digit()).map(|(high, low)| high * 16 + low);
                value.and_then(|value| u8::try_from(value).ok()).ok_or(BadForm)?
            }
            b'=' | b'"' | b'<' | b'>' => return Err(BadForm),
            byte if byte.is_ascii_graphic() => *byte,
            _ => return Err(BadForm),
        });
    }
    let decoded = String::from_utf8(decoded).map_err(|_| BadForm)?;
    if decoded.chars().any(char::is_control) { Err(BadForm) } else { Ok(decoded.into()) }
}

/// Escapes everything but the unreserved characters of RFC 3986 section 2.3.
pub(super) fn percent_encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.extend([
                '%',
                char::from(HEX[usize::from(byte >> 4)]),
                char::from(HEX[usize::from(byte & 15)]),
            ]);
        }
    }
    encoded
}

/// `uri` with these parameters added to its query.
pub(super) fn with_query(uri: &str, parameters: &[(&str, &str)]) -> String {
    let mut all = uri.to_owned();
    let mut separator = if uri.contains('?') { '&' } else { '?' };
    for (name, value) in parameters {
        all.push(separator);
        all.push_str(name);
        all.push('=');
        all.push_str(&percent_encode(value));
        separator = '&';
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_have_one_reading() {
        let form = Form::parse(b"a=1&b=x%20y+z&c=&%64=%C3%A9").unwrap();
        assert_eq!(form.value("a"), Some("1"));
        assert_eq!(form.value("b"), Some("x y z"));
        assert_eq!(form.value("c"), None);
        assert_eq!(form.value("d"), Some("é"));
        assert_eq!(form.value("A"), None);
        assert_eq!(Form::parse(b""), Ok(Form(Vec::new())));
        for bad in [
            &b"a"[..],
            b"=1",
            b"a=1&a=2",
            b"a=1&%61=2",
            b"a=1&",
            b"&a=1",
            b"a=%",
            b"a=%4",
            b"a=%4g",
            b"a=%ff",
            b"a=%00",
            b"a=%0a",
            b"a= ",
            b"a=1=2",
            b"a=\xc3\xa9",
            b"a=\"",
            b"a=1\r\n",
        ] {
            assert_eq!(Form::parse(bad), Err(BadForm), "{}", bad.escape_ascii());
        }
        let many: String = (0..25).map(|n| format!("a{n}=1&")).collect();
        assert!(Form::parse(many.trim_end_matches('&').as_bytes()).is_err());
        assert!(Form::parse(format!("a={}", "x".repeat(FORM_BYTES_MAX - 2)).as_bytes()).is_ok());
        assert!(Form::parse(format!("a={}", "x".repeat(FORM_BYTES_MAX - 1)).as_bytes()).is_err());
    }

    #[test]
    fn base64_has_one_spelling() {
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
        assert_eq!(from_base64url(b"-_8"), Some(vec![0xfb, 0xff]));
        for bad in ["-_8=", "+/8", "-_9", "-_8 ", "-"] {
            assert_eq!(from_base64url(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn queries_are_added() {
        assert_eq!(with_query("https://a/b", &[("x", "1 &"), ("y", "é")]), "https://a/b?x=1%20%26&y=%C3%A9");
        assert_eq!(with_query("https://a/b?c=d", &[("x", "1")]), "https://a/b?c=d&x=1");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(value in "[^\\p{Cc}]{1,64}") {
            let body = with_query("", &[("name", &value)]);
            let form = Form::parse(&body.as_bytes()[1..]).unwrap();
            prop_assert_eq!(form.value("name"), Some(&*value));
        }
    }
}
