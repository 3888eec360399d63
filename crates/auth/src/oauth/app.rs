//! An app that customers may let act for them: who made it, where it is answered, what it may ask for.
//!
//! Apps are public clients (RFC 6749 section 2.1): they hold no secret of ours, and prove themselves by PKCE and by a
//! key they made. The exchange registers them; customers do not. No app may withdraw: a proof of possession covers
//! neither the body nor the query of a request, so it is no signature of a withdrawal.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use domain::UnixNanos;

use crate::key::{Permission, Permissions};

/// Fields of an app that cannot be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// Not 4 to 64 letters, digits, `-` and `_`.
    #[error("client id is not 4 to 64 letters, digits, - and _")]
    ClientId,
    /// Withdrawals, which no app may make.
    #[error("an app may not withdraw")]
    MayWithdraw,
    /// Empty, too long, or with a control character.
    #[error("name is empty, longer than 64 bytes, or has a control character")]
    Name,
    /// None, too many, repeated, or not an acceptable address.
    #[error("redirect address {position} is not acceptable, or there are none or too many")]
    RedirectUri {
        /// Zero-based position.
        position: usize,
    },
}

/// A registered app.
pub struct App {
    client_id: Box<str>,
    name: Box<str>,
    redirect_uris: Box<[String]>,
    scopes: Permissions,
    registered_at: UnixNanos,
    enabled: AtomicBool,
}

impl App {
    /// Most redirect addresses.
    pub const REDIRECT_URIS_MAX: usize = 8;
    /// Longest redirect address, in bytes.
    pub const REDIRECT_URI_BYTES_MAX: usize = 256;
    /// Longest client id, in bytes.
    pub const CLIENT_ID_BYTES_MAX: usize = 64;
    /// Longest name, in bytes.
    pub const NAME_BYTES_MAX: usize = 64;

    /// Checks the fields. A redirect address is `https://host/...`, or `http://` with a loopback address for a native
    /// app (RFC 8252 section 7.3); it has no user, no fragment, and is compared byte for byte later.
    ///
    /// # Errors
    /// [`AppError`] naming the field.
    pub fn new(
        client_id: &str,
        name: &str,
        redirect_uris: &[impl AsRef<str>],
        scopes: Permissions,
        registered_at: UnixNanos,
    ) -> Result<Self, AppError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(4..=Self::CLIENT_ID_BYTES_MAX).contains(&client_id.len()) || !client_id.bytes().all(plain) {
            return Err(AppError::ClientId);
        }
        if !(1..=Self::NAME_BYTES_MAX).contains(&name.len()) || name.chars().any(char::is_control) {
            return Err(AppError::Name);
        }
        if scopes.contains(Permission::Withdraw) {
            return Err(AppError::MayWithdraw);
        }
        if redirect_uris.is_empty() || redirect_uris.len() > Self::REDIRECT_URIS_MAX {
            return Err(AppError::RedirectUri { position: redirect_uris.len() });
        }
        let mut checked: Vec<String> = Vec::with_capacity(redirect_uris.len());
        for (position, uri) in redirect_uris.iter().enumerate() {
            let uri = uri.as_ref();
            if !is_redirect_uri(uri) || checked.iter().any(|known| known == uri) {
                return Err(AppError::RedirectUri { position });
            }
            checked.push(uri.to_owned());
        }
        Ok(Self {
            client_id: client_id.into(),
            name: name.into(),
            redirect_uris: checked.into(),
            scopes,
            registered_at,
            enabled: AtomicBool::new(true),
        })
    }

    /// Its public name, unique for ever.
    #[must_use]
    pub const fn client_id(&self) -> &str {
        &self.client_id
    }

    /// What customers are shown.
    #[must_use]
    pub const fn name(&self) -> &str {
        &self.name
    }

    /// Where answers may go.
    #[must_use]
    pub const fn redirect_uris(&self) -> &[String] {
        &self.redirect_uris
    }

    /// What it may ask for at most.
    #[must_use]
    pub const fn scopes(&self) -> Permissions {
        self.scopes
    }

    /// When it was registered.
    #[must_use]
    pub const fn registered_at(&self) -> UnixNanos {
        self.registered_at
    }

    /// Whether it is served.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Acquire)
    }

    pub(super) fn disable(&self) {
        self.enabled.store(false, Ordering::Release);
    }

    pub(super) fn has_redirect(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|known| known == uri)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("client_id", &self.client_id)
            .field("name", &self.name)
            .field("redirect_uris", &self.redirect_uris)
            .field("scopes", &self.scopes)
            .field("enabled", &self.is_enabled())
            .finish_non_exhaustive()
    }
}

fn is_redirect_uri(uri: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
    if uri.len() > App::REDIRECT_URI_BYTES_MAX || !uri.bytes().all(plain) {
        return false;
    }
    let (secure, rest) = match (uri.strip_prefix("https://"), uri.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return false,
    };
    let (authority, _) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port_fits =
        port.is_none_or(|port| !port.is_empty() && !port.starts_with('0') && port.parse::<u16>().is_ok());
    let loopback = matches!(host, "127.0.0.1" | "[::1]");
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let named = host.split('.').all(label);
    // A path, so that it cannot be read as another host once parameters are added.
    let has_path = rest[authority.len()..].starts_with('/');
    port_fits && has_path && (loopback || (secure && named))
}

/// Reads a scope parameter: `read` and `trade`, joined by single spaces, each once.
#[must_use]
pub fn parse_scope(text: &str) -> Option<Permissions> {
    let permissions: Vec<Permission> = text.split(' ').map(Permission::parse).collect::<Option<_>>()?;
    let repeated = permissions.iter().enumerate().any(|(index, one)| permissions[..index].contains(one));
    let scopes = Permissions::new(&permissions).ok()?;
    (!repeated && !scopes.contains(Permission::Withdraw)).then_some(scopes)
}

/// The scope parameter of permissions.
#[must_use]
pub fn scope_text(scopes: Permissions) -> String {
    scopes.iter().map(Permission::as_str).collect::<Vec<_>>().join(" ")
}

/// Whether all of `asked` is in `allowed`.
pub(super) fn covers(allowed: Permissions, asked: Permissions) -> bool {
    asked.iter().all(|one| allowed.contains(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_addresses_are_https_or_loopback() {
        for good in [
            "https://app.example/cb",
            "https://app.example:8443/cb?x=1",
            "http://127.0.0.1:7777/cb",
            "http://[::1]:7777/cb",
            "https://[::1]/",
            "https://xn--bcher-kva.example/cb",
        ] {
            assert!(is_redirect_uri(good), "{good}");
        }
        for bad in [
            "",
            "http://app.example/cb",
            "https://",
            "https:///cb",
            "https://app.example",
            "https://app.example?x",
            "https://app.example/cb#f",
            "https://user@app.example/cb",
            "https://app.example:0/",
            "HTTPS://a/b",
            "https://app.example:/",
            "https://app.example:65536/",
            "http://localhost/cb",
            "javascript:alert(1)",
            "https://app.example\\@evil/",
            "https://a b/",
            "myapp://cb",
            "https://.example/",
            "http://127.0.0.1.evil/",
            "https://127.0.0.1@evil/cb",
            "//app.example/cb",
            "https://é/",
        ] {
            assert!(!is_redirect_uri(bad), "{bad}");
        }
    }

    #[test]
    fn apps_are_checked() {
        let read = parse_scope("read").unwrap();
        let new =
            |id: &str, name: &str, uris: &[&str]| App::new(id, name, uris, read, UnixNanos(1)).map(drop);
        assert_eq!(new("app-1", "Bot", &["https://a.example/"]), Ok(()));
        assert_eq!(new("app", "Bot", &["https://a.example/"]), Err(AppError::ClientId));
        assert_eq!(new("app 1", "Bot", &["https://a.example/"]), Err(AppError::ClientId));
        assert_eq!(new("app-1", "", &["https://a.example/"]), Err(AppError::Name));
        assert_eq!(new("app-1", "a\nb", &["https://a.example/"]), Err(AppError::Name));
        assert_eq!(new("app-1", "Bot", &[]), Err(AppError::RedirectUri { position: 0 }));
        let all = Permissions::from_bits(7).unwrap();
        let withdraw = App::new("app-1", "Bot", &["https://a.example/"], all, UnixNanos(1)).map(drop);
        assert_eq!(withdraw, Err(AppError::MayWithdraw));
        let twice = ["https://a.example/", "https://a.example/"];
        assert_eq!(new("app-1", "Bot", &twice), Err(AppError::RedirectUri { position: 1 }));
    }

    #[test]
    fn scopes_are_permissions() {
        let both = parse_scope("trade read").unwrap();
        assert_eq!(scope_text(both), "read trade");
        assert!(covers(both, parse_scope("read").unwrap()) && !covers(parse_scope("read").unwrap(), both));
        for bad in [
            "",
            "withdraw",
            "read withdraw",
            "read read",
            "read  trade",
            " read",
            "Read",
            "all",
            "read,trade",
        ] {
            assert_eq!(parse_scope(bad), None, "{bad}");
        }
    }
}
