//! Access and refresh tokens: self-contained, opaque to apps, kept nowhere.
//!
//! ```text
//! access  = "cap_at_" base64url(1 | grant: 16 | expires: 8 | scopes: 1 | jkt: 32 | mac: 32)
//! refresh = "cap_rt_" base64url(1 | grant: 16 | generation: 8 | mac: 32)
//! ```
//!
//! Integers are big-endian, times are Unix seconds, the MAC is HMAC-SHA-256 over the kind and what stands before it,
//! under a key of the installation. A token only *names* a grant: whether that is in force is asked of the ledger each
//! time, so a revoked grant ends all its tokens at once. The prefixes are for secret scanners.

use std::time::Duration;

use crypto::MacKey;
use domain::UnixNanos;

use super::text::{base64url, from_base64url};
use crate::key::Permissions;

/// How long an access token is good.
pub const ACCESS_LIFE: Duration = Duration::from_secs(600);

/// Longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 160;

const VERSION: u8 = 1;
const ACCESS: &str = "cap_at_";
const REFRESH: &str = "cap_rt_";
const MAC_BYTES: usize = 32;

/// The number of a grant: 16 random bytes.
pub type GrantNumber = [u8; 16];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AccessToken {
    pub(super) grant: GrantNumber,
    pub(super) expires_at: UnixNanos,
    pub(super) scopes: Permissions,
    pub(super) thumbprint: [u8; 32],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RefreshToken {
    pub(super) grant: GrantNumber,
    /// How often the grant was refreshed before this token was given out.
    pub(super) generation: u64,
}

impl AccessToken {
    pub(super) fn text(&self, key: &MacKey) -> String {
        let seconds = self.expires_at.as_secs().to_be_bytes();
        seal(ACCESS, &[&self.grant, &seconds, &[self.scopes.bits()], &self.thumbprint], key)
    }

    pub(super) fn parse(text: &[u8], key: &MacKey) -> Option<Self> {
        let bytes: [u8; 57] = open(ACCESS, text, key)?.try_into().ok()?;
        let (grant, rest) = bytes.split_first_chunk::<16>()?;
        let (seconds, rest) = rest.split_first_chunk::<8>()?;
        let (scopes, thumbprint) = rest.split_first_chunk::<1>()?;
        let seconds = u64::from_be_bytes(*seconds);
        Some(Self {
            grant: *grant,
            expires_at: (seconds <= u64::MAX / 1_000_000_000).then(|| UnixNanos::from_secs(seconds))?,
            scopes: Permissions::from_bits(scopes[0]).ok()?,
            thumbprint: thumbprint.try_into().ok()?,
        })
    }
}

impl RefreshToken {
    pub(super) fn text(&self, key: &MacKey) -> String {
        seal(REFRESH, &[&self.grant, &self.generation.to_be_bytes()], key)
    }

    pub(super) fn parse(text: &[u8], key: &MacKey) -> Option<Self> {
        let bytes: [u8; 24] = open(REFRESH, text, key)?.try_into().ok()?;
        let (grant, generation) = bytes.split_first_chunk::<16>()?;
        Some(Self { grant: *grant, generation: u64::from_be_bytes(generation.try_into().ok()?) })
    }
}

fn seal(prefix: &str, parts: &[&[u8]], key: &MacKey) -> String {
    let mut bytes = vec![VERSION];
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    let mac = key.sign(&[prefix.as_bytes(), &bytes]);
    bytes.extend_from_slice(&mac);
    format!("{prefix}{}", base64url(&bytes))
}

/// What stands between version and MAC.
fn open(prefix: &str, text: &[u8], key: &MacKey) -> Option<Vec<u8>> {
    if text.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let mut bytes = from_base64url(text.strip_prefix(prefix.as_bytes())?)?;
    let length = bytes.len().checked_sub(MAC_BYTES)?;
    let (content, mac) = bytes.split_at(length);
    if !key.verify(&[prefix.as_bytes(), content], mac) || content.first() != Some(&VERSION) {
        return None;
    }
    bytes.truncate(length);
    bytes.remove(0);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_back_and_no_other_text_is_one() {
        let key = MacKey::new(&[7; 32]);
        let access = AccessToken {
            grant: [1; 16],
            expires_at: UnixNanos::from_secs(1_800_000_600),
            scopes: Permissions::from_bits(3).unwrap(),
            thumbprint: [9; 32],
        };
        let refresh = RefreshToken { grant: [1; 16], generation: 4 };
        let (access_text, refresh_text) = (access.text(&key), refresh.text(&key));
        assert_eq!(AccessToken::parse(access_text.as_bytes(), &key), Some(access));
        assert_eq!(RefreshToken::parse(refresh_text.as_bytes(), &key), Some(refresh));
        assert!(access_text.len() <= TOKEN_BYTES_MAX && access_text.starts_with("cap_at_"));

        assert_eq!(AccessToken::parse(access_text.as_bytes(), &MacKey::new(&[8; 32])), None);
        assert_eq!(AccessToken::parse(refresh_text.as_bytes(), &key), None);
        // One kind of token does not become the other by another prefix.
        let disguised = refresh_text.replace("cap_rt_", "cap_at_");
        assert_eq!(AccessToken::parse(disguised.as_bytes(), &key), None);
        for position in 0..access_text.len() {
            let mut changed = access_text.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            assert_eq!(AccessToken::parse(&changed, &key), None, "{position}");
        }
        for cut in 0..refresh_text.len() {
            assert_eq!(RefreshToken::parse(&refresh_text.as_bytes()[..cut], &key), None);
        }
        assert_eq!(AccessToken::parse(format!("{access_text}=").as_bytes(), &key), None);
    }
}
