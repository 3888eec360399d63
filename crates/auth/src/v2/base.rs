//! The signature base: the exact bytes that are signed (RFC 9421 section 2.5).
//!
//! One line per component, `"name": value`, and at the end the parameters. Values stand as they were sent; only the
//! authority is folded, as section 2.2.3 demands. A value that could end its line is refused, so no two
//! requests have the same base.

use super::fault::Fault;

/// A signature base in the making.
#[derive(Debug)]
pub(super) struct Base(Vec<u8>);

impl Base {
    /// Empty, with room for `bytes`.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds a component. `identifier` is as in the inner list, with quotation marks and parameters.
    pub(super) fn component(&mut self, identifier: &str, value: &[u8]) -> Result<(), Fault> {
        if value.is_empty() || !value.iter().all(|byte| (b' '..=b'~').contains(byte)) {
            return Err(Fault::ComponentValue);
        }
        // The value of a field has no blanks at either end (section 2.1): one that has was not trimmed by its reader.
        if value.trim_ascii().len() != value.len() {
            return Err(Fault::ComponentValue);
        }
        self.0.extend_from_slice(identifier.as_bytes());
        self.0.extend_from_slice(b": ");
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
        Ok(())
    }

    /// Ends the base with the inner list and its parameters.
    pub(super) fn finish(mut self, params: &[u8]) -> Vec<u8> {
        self.0.extend_from_slice(b"\"@signature-params\": ");
        self.0.extend_from_slice(params);
        self.0
    }
}

/// The path and the query as components: the query with its question mark, a lone one where there is none.
pub(super) fn split_target(target: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    if target.first() != Some(&b'/') || target.contains(&b'#') {
        return Err(Fault::Target);
    }
    match target.iter().position(|byte| *byte == b'?') {
        None => Ok((target, b"?")),
        // `/a?` and `/a` would have one signature.
        Some(at) if at + 1 == target.len() => Err(Fault::Target),
        Some(at) => Ok(target.split_at(at)),
    }
}

/// The authority as a component: in lower case, without the port the scheme implies.
pub(super) fn normal_authority(authority: &[u8], https: bool) -> Result<Vec<u8>, Fault> {
    let implied: &[u8] = if https { b":443" } else { b":80" };
    let authority = authority.strip_suffix(implied).unwrap_or(authority);
    let byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.:[]_".contains(byte);
    if authority.is_empty() || !authority.iter().all(byte) {
        return Err(Fault::AuthorityForeign);
    }
    Ok(authority.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use crypto::{MacKey, SigningKey};

    use super::*;
    use crate::v2::PublicKey;

    fn base(components: &[(&str, &str)], params: &str) -> Vec<u8> {
        let mut base = Base::with_capacity(0);
        for (identifier, value) in components {
            base.component(identifier, value.as_bytes()).unwrap();
        }
        base.finish(params.as_bytes())
    }

    /// RFC 9421 appendix B.2.6, with the key of B.1.4.
    #[test]
    fn rfc_9421_ed25519_known_answer() {
        let base = base(
            &[
                ("\"date\"", "Tue, 20 Apr 2021 02:07:55 GMT"),
                ("\"@method\"", "POST"),
                ("\"@path\"", "/foo"),
                ("\"@authority\"", "example.com"),
                ("\"content-type\"", "application/json"),
                ("\"content-length\"", "18"),
            ],
            "(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;\
             keyid=\"test-key-ed25519\"",
        );
        let signature =
            "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
        let signature = STANDARD.decode(signature).unwrap();
        let public = STANDARD.decode("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=").unwrap();
        let key = PublicKey::from_bytes(&public).unwrap();
        assert_eq!(key.verify(&base, &signature), Ok(()));
        // Ed25519 is deterministic, so the private key of the appendix gives this very signature.
        let seed = STANDARD.decode("n4Ni+HpISpVObnQMW0wOhCKROaIKqKtW/2ZYb2p9KcU=").unwrap();
        let key = SigningKey::from_seed(seed.try_into().unwrap());
        assert_eq!(key.sign(&base).as_slice(), signature);
    }

    /// RFC 9421 appendix B.2.4, with the key of B.1.3: an answer, signed with P-256.
    #[test]
    fn rfc_9421_p256_known_answer() {
        let base = base(
            &[
                ("\"@status\"", "200"),
                ("\"content-type\"", "application/json"),
                (
                    "\"content-digest\"",
                    "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:",
                ),
                ("\"content-length\"", "23"),
            ],
            "(\"@status\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;\
             keyid=\"test-key-ecc-p256\"",
        );
        let signature =
            "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==";
        let key = "-----BEGIN PUBLIC KEY-----\
            MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf\
            w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==\
            -----END PUBLIC KEY-----";
        let key = PublicKey::from_pem(key).unwrap();
        assert_eq!(key.verify(&base, &STANDARD.decode(signature).unwrap()), Ok(()));
    }

    /// RFC 9421 appendix B.2.5, with the secret of B.1.5.
    #[test]
    fn rfc_9421_hmac_known_answer() {
        let base = base(
            &[
                ("\"date\"", "Tue, 20 Apr 2021 02:07:55 GMT"),
                ("\"@authority\"", "example.com"),
                ("\"content-type\"", "application/json"),
            ],
            "(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"",
        );
        let secret =
            "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
        let mac = MacKey::new(&STANDARD.decode(secret).unwrap()).sign(&[&base]);
        assert_eq!(STANDARD.encode(mac), "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=");
    }

    #[test]
    fn no_value_can_end_its_line() {
        for bad in ["", " a", "a ", "a\nb", "a\r", "a\tb", "\u{fc}"] {
            let mut base = Base::with_capacity(0);
            assert_eq!(base.component("\"x\"", bad.as_bytes()), Err(Fault::ComponentValue), "{bad:?}");
        }
    }

    #[test]
    fn targets_and_authorities() {
        assert_eq!(split_target(b"/a/b"), Ok((&b"/a/b"[..], &b"?"[..])));
        assert_eq!(split_target(b"/a?b=c?d"), Ok((&b"/a"[..], &b"?b=c?d"[..])));
        for bad in ["", "a", "/a?", "*", "http://h/a", "/a#b"] {
            assert_eq!(split_target(bad.as_bytes()), Err(Fault::Target), "{bad}");
        }
        for (sent, https, normal) in [
            ("API.Example.com", true, "api.example.com"),
            ("api.example.com:443", true, "api.example.com"),
            ("api.example.com:443", false, "api.example.com:443"),
            ("api.example.com:80", false, "api.example.com"),
            ("[::1]:8443", true, "[::1]:8443"),
        ] {
            assert_eq!(normal_authority(sent.as_bytes(), https), Ok(normal.into()), "{sent}");
        }
        for bad in ["", ":443", "a b", "user@host", "h/p"] {
            assert_eq!(normal_authority(bad.as_bytes(), true), Err(Fault::AuthorityForeign), "{bad}");
        }
    }
}
