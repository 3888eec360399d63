//! Bearer tokens (RFC 6750) by name.
//!
//! Tokens are kept as SHA-256 only. A presented token is hashed and compared with every configured one in constant
//! time, without leaving early, so that timing tells neither a prefix nor which token matched.

use std::fmt;

use axum::http::{HeaderMap, header::AUTHORIZATION};
use crypto::{Secret, ct_eq, sha256};
use domain::{Actor, ActorKind};

use crate::{
    config::BuildError,
    limits::{NAME_BYTES_MAX, TOKEN_BYTES_MIN, TOKENS_MAX},
};

/// What a token allows; a line of the one table of capabilities.
pub use identity::Capability as Permission;

/// A configured bearer token.
#[derive(Debug, Clone)]
pub struct Token {
    /// Names the caller in logs.
    pub name: String,
    /// What the caller presents: at least 32 bytes of visible ASCII, best from a random generator.
    pub secret: Secret<String>,
    /// What it allows.
    pub permissions: Vec<Permission>,
}

impl Token {
    /// A token with every permission that programs may have: no session, and nothing of what two persons decide. Narrow
    /// `permissions` where callers differ.
    #[must_use]
    pub fn new(name: &str, secret: Secret<String>) -> Self {
        Self { name: name.to_owned(), secret, permissions: Permission::of_programs().collect() }
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    actor: Actor,
    permissions: Vec<Permission>,
}

impl Caller {
    pub(crate) const fn new(actor: Actor, permissions: Vec<Permission>) -> Self {
        Self { actor, permissions }
    }

    /// As ports know it.
    pub(crate) fn principal(&self) -> identity::Principal {
        identity::Principal { actor: self.actor.clone(), capabilities: self.permissions.clone() }
    }

    /// All it may do.
    pub(crate) fn permissions(&self) -> &[Permission] {
        &self.permissions
    }

    /// As recorded with what the caller does.
    pub(crate) const fn actor(&self) -> &Actor {
        &self.actor
    }

    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }
}

/// The token of a request; `None` unless there is exactly one `Authorization` header, and it holds one.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, presented) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(presented)
}

/// The tokens in force.
pub(crate) struct Tokens(Vec<([u8; 32], Caller)>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(_, caller)| caller)).finish()
    }
}

impl Tokens {
    pub(crate) fn new(tokens: Vec<Token>) -> Result<Self, BuildError> {
        if tokens.len() > TOKENS_MAX {
            return Err(BuildError::TokenCount { got: tokens.len() });
        }
        let mut kept: Vec<([u8; 32], Caller)> = Vec::with_capacity(tokens.len());
        for Token { name, secret, permissions } in tokens {
            let Ok(actor) = Actor::new(ActorKind::Service, &name) else {
                return Err(BuildError::TokenName { name: name.chars().take(NAME_BYTES_MAX).collect() });
            };
            let secret = secret.expose().as_bytes();
            if secret.len() < TOKEN_BYTES_MIN || !secret.iter().all(u8::is_ascii_graphic) {
                return Err(BuildError::TokenWeak { name });
            }
            let hash = sha256(&[secret]);
            if kept.iter().any(|(other, caller)| *other == hash || caller.actor == actor) {
                return Err(BuildError::TokenTwice { name });
            }
            kept.push((hash, Caller { actor, permissions }));
        }
        Ok(Self(kept))
    }

    /// Whose token it is.
    pub(crate) fn caller(&self, presented: &str) -> Option<&Caller> {
        let hash = sha256(&[presented.as_bytes()]);
        // Every token is compared, the match does not end the loop.
        self.0
            .iter()
            .fold(None, |found, (known, caller)| if ct_eq(known, &hash) { Some(caller) } else { found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, secret: &str) -> Token {
        Token::new(name, Secret::new(secret.to_owned()))
    }

    #[test]
    fn weak_nameless_and_double_tokens_are_refused() {
        let good = "0123456789abcdef0123456789abcdef";
        let many = (0..=TOKENS_MAX).map(|at| token(&at.to_string(), &format!("{at:032}"))).collect();
        assert!(matches!(Tokens::new(many), Err(BuildError::TokenCount { .. })));
        assert!(matches!(Tokens::new(vec![token("a", "short")]), Err(BuildError::TokenWeak { .. })));
        assert!(matches!(Tokens::new(vec![token("a", &" ".repeat(40))]), Err(BuildError::TokenWeak { .. })));
        assert!(matches!(Tokens::new(vec![token("", good)]), Err(BuildError::TokenName { .. })));
        for (name, secret) in [("a", "another-secret-another-secret-another"), ("b", good)] {
            let twice = vec![token("a", good), token(name, secret)];
            assert!(matches!(Tokens::new(twice), Err(BuildError::TokenTwice { .. })));
        }
    }

    #[test]
    fn only_one_exact_bearer_token_is_accepted() {
        let secret = "0123456789abcdef0123456789abcdef";
        let tokens = Tokens::new(vec![token("one", secret), token("two", &"2".repeat(32))]).unwrap();
        let caller = |values: &[String]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            bearer(&headers)
                .and_then(|token| tokens.caller(token))
                .map(|caller| caller.actor().id().to_owned())
        };
        assert_eq!(caller(&[format!("Bearer {secret}")]).as_deref(), Some("one"));
        assert_eq!(caller(&[format!("bearer {}", "2".repeat(32))]).as_deref(), Some("two"));
        for refused in ["", "Bearer", "Bearer ", "Basic x"] {
            assert_eq!(caller(&[refused.to_owned()]), None, "{refused:?}");
        }
        for refused in [
            secret.to_owned(),
            format!("Bearer {secret}0"),
            format!("Bearer  {secret}"),
            format!("Basic {secret}"),
        ] {
            assert_eq!(caller(&[refused]), None);
        }
        assert_eq!(caller(&[format!("Bearer {secret}"), format!("Bearer {secret}")]), None);
        assert_eq!(caller(&[]), None);
        assert!(!format!("{tokens:?}").contains("0123"));
    }
}
