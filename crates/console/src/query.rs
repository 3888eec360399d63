//! Addresses of pages with what they were asked for, so that an address shows the same to whoever it is given to.

/// Bytes that stand for themselves (RFC 3986, 2.3).
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// A text as part of a path or query.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `path?a=b&c=d` of those pairs that have a value.
pub(crate) fn address(path: &str, pairs: &[(&str, Option<&str>)]) -> String {
    let mut out = path.to_owned();
    let given = pairs
        .iter()
        .filter_map(|(name, value)| Some((name, (*value)?)))
        .filter(|(_, value)| !value.is_empty());
    for (at, (name, value)) in given.enumerate() {
        out.push(if at == 0 { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        out.push_str(&encode(value));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_leave_their_place_in_an_address() {
        assert_eq!(encode("a b/c?d&e=\u{e4}\"'<"), "a%20b%2Fc%3Fd%26e%3D%C3%A4%22%27%3C");
        let pairs = [("q", Some("x&y")), ("none", None), ("empty", Some("")), ("n", Some("7"))];
        assert_eq!(address("/p", &pairs), "/p?q=x%26y&n=7");
        assert_eq!(address("/p", &[]), "/p");
    }
}
