//! Identifiers: bounded, printable, compared byte for byte.

use std::fmt;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The text is empty.
    #[error("{what} is empty")]
    Empty {
        /// Which identifier.
        what: &'static str,
    },
    /// A byte outside the allowed set.
    #[error("{what} has a character that is not allowed at byte {position}")]
    Forbidden {
        /// Which identifier.
        what: &'static str,
        /// Zero-based byte position.
        position: usize,
    },
    /// More than the bound.
    #[error("{what} is {got} bytes long, at most {max} are allowed")]
    TooLong {
        /// Which identifier.
        what: &'static str,
        /// Length found, in bytes.
        got: usize,
        /// Length allowed, in bytes.
        max: usize,
    },
}

pub(crate) fn check(
    what: &'static str,
    text: &str,
    max: usize,
    allowed: fn(u8) -> bool,
) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { what });
    }
    if text.len() > max {
        return Err(IdError::TooLong { what, got: text.len(), max });
    }
    match text.bytes().position(|byte| !allowed(byte)) {
        Some(position) => Err(IdError::Forbidden { what, position }),
        None => Ok(()),
    }
}

/// Letters, digits and `- _ . : @`: safe in logs, file names of exports and URLs without escaping.
fn id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'@')
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Longest accepted text, in bytes.
            pub const BYTES_MAX: usize = $max;

            /// Parses the text; nothing is trimmed or folded.
            ///
            /// # Errors
            /// [`IdError`] naming the identifier, and the position where there is one.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check($what, text, $max, $allowed)?;
                Ok(Self(text.into()))
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

text_id!(
    /// A customer account of the exchange (OKX: User ID). Unit of sealing, erasure and most limits.
    AccountId, "account id", 64, id_byte
);
text_id!(
    /// The public half of an API credential, `OK-ACCESS-KEY`.
    ApiKeyId, "API key id", 64, id_byte
);
text_id!(
    /// A device as the exchange identifies it.
    DeviceId, "device id", 128, id_byte
);
text_id!(
    /// The reporter's identifier of an event; the same id is the same event.
    EventId, "event id", 128, id_byte
);
text_id!(
    /// A ticker in upper case, such as `BTC` or `USDT`.
    Asset, "asset", 24, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_')
);

/// Whose data key seals a payload.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// Nobody's personal data: lists, lifecycle, drills.
    System,
    /// A customer; erasing the subject destroys this key.
    Account(AccountId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Account(account) => write!(f, "account:{account}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_and_alphabet_are_enforced() {
        assert_eq!(AccountId::parse(""), Err(IdError::Empty { what: "account id" }));
        assert_eq!(AccountId::parse("a b"), Err(IdError::Forbidden { what: "account id", position: 1 }));
        assert_eq!(
            AccountId::parse(&"a".repeat(65)),
            Err(IdError::TooLong { what: "account id", got: 65, max: 64 })
        );
        assert_eq!(AccountId::parse("alice@example.com").unwrap().as_str(), "alice@example.com");
        assert!(Asset::parse("btc").is_err());
    }
}
