//! What is under way: sessions of persons, and ceremonies that were begun. In memory alone.
//!
//! Of the secrets only SHA-256 is held. Both tables are bounded: ceremonies, which anybody may begin, push out the
//! oldest; sessions, which only a passkey makes, push out the one idle longest.

use std::{collections::BTreeMap, time::Duration};

use crypto::{hmac_sha256, sha256};
use domain::UnixNanos;

/// Sessions at a time.
pub const SESSIONS_MAX: usize = 4_096;
/// A session ends after this time, whatever happens in it.
pub const SESSION_LIFE: Duration = Duration::from_secs(8 * 3_600);
/// A session ends when nothing happens in it for this time.
pub const SESSION_IDLE: Duration = Duration::from_secs(30 * 60);
/// Ceremonies at a time.
pub const CEREMONIES_MAX: usize = 4_096;
/// A ceremony ends after this time.
pub const CEREMONY_LIFE: Duration = Duration::from_secs(300);

/// A session just begun. Its secrets are shown once.
#[derive(Debug)]
pub struct Session {
    /// What the cookie holds, 64 hexadecimal digits.
    pub cookie: crypto::Secret<String>,
    /// What requests that change something say beside the cookie.
    pub csrf: String,
    /// Whose.
    pub user: String,
    /// When it ends at the latest.
    pub expires_at: UnixNanos,
}

#[derive(Debug)]
struct Open {
    user: String,
    ends_at: UnixNanos,
    used_at: UnixNanos,
}

/// Sessions by the SHA-256 of their cookie.
#[derive(Debug, Default)]
pub(crate) struct Sessions(BTreeMap<[u8; 32], Open>);

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a page of the session proves itself by: it follows from the cookie, which other sites cannot read.
pub(crate) fn csrf(cookie: &str) -> String {
    hexadecimal(&hmac_sha256(cookie.as_bytes(), &[b"caponier csrf 1"]))
}

impl Sessions {
    pub(crate) fn begin(&mut self, user: &str, secret: &[u8; 32], now: UnixNanos) -> Session {
        self.0.retain(|_, open| is_live(open, now));
        if self.0.len() >= SESSIONS_MAX
            && let Some(idlest) = self.0.iter().min_by_key(|(_, open)| open.used_at).map(|(key, _)| *key)
        {
            self.0.remove(&idlest);
        }
        let cookie = hexadecimal(secret);
        let expires_at = now.plus(SESSION_LIFE);
        let open = Open { user: user.to_owned(), ends_at: expires_at, used_at: now };
        self.0.insert(sha256(&[cookie.as_bytes()]), open);
        Session {
            csrf: csrf(&cookie),
            cookie: crypto::Secret::new(cookie),
            user: user.to_owned(),
            expires_at,
        }
    }

    /// Whose session, and when it ends at the latest; using it keeps it alive.
    pub(crate) fn user(&mut self, cookie: &str, now: UnixNanos) -> Option<(String, UnixNanos)> {
        // The map is searched by a digest: its time tells nothing about the secret.
        let open = self.0.get_mut(&sha256(&[cookie.as_bytes()])).filter(|open| is_live(open, now))?;
        open.used_at = open.used_at.max(now);
        Some((open.user.clone(), open.ends_at))
    }

    pub(crate) fn end(&mut self, cookie: &str) {
        self.0.remove(&sha256(&[cookie.as_bytes()]));
    }

    pub(crate) fn end_all_of(&mut self, user: &str) {
        self.0.retain(|_, open| open.user != user);
    }
}

fn is_live(open: &Open, now: UnixNanos) -> bool {
    now < open.ends_at && now < open.used_at.plus(SESSION_IDLE)
}

/// Challenges given out, each good once.
#[derive(Debug, Default)]
pub(crate) struct Ceremonies(BTreeMap<[u8; 32], (u64, UnixNanos, Option<String>)>, u64);

impl Ceremonies {
    /// `user` for an enrolment, `None` for a sign-in.
    pub(crate) fn begin(&mut self, challenge: [u8; 32], user: Option<String>, now: UnixNanos) {
        self.0.retain(|_, (_, until, _)| now < *until);
        if self.0.len() >= CEREMONIES_MAX
            && let Some(oldest) = self.0.iter().min_by_key(|(_, (number, ..))| *number).map(|(key, _)| *key)
        {
            self.0.remove(&oldest);
        }
        self.1 += 1;
        self.0.insert(challenge, (self.1, now.plus(CEREMONY_LIFE), user));
    }

    /// Ends the ceremony of a challenge, if it is of this kind.
    pub(crate) fn take(&mut self, challenge: &[u8; 32], now: UnixNanos) -> Option<Option<String>> {
        let (_, until, user) = self.0.remove(challenge)?;
        (now < until).then_some(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_by_age_by_idleness_and_by_hand() {
        let (mut sessions, now) = (Sessions::default(), UnixNanos::from_secs(1_000));
        let session = sessions.begin("anna", &[1; 32], now);
        let cookie = session.cookie.expose().clone();
        let mut at = now;
        for _ in 0..15 {
            at = at.plus(SESSION_IDLE - Duration::from_secs(1));
            assert_eq!(sessions.user(&cookie, at).map(|(user, _)| user).as_deref(), Some("anna"));
        }
        assert_eq!(sessions.user(&cookie, now.plus(SESSION_LIFE)), None);
        let session = sessions.begin("anna", &[2; 32], now);
        let cookie = session.cookie.expose().clone();
        assert_eq!(sessions.user(&cookie, now.plus(SESSION_IDLE)), None);
        assert_eq!(sessions.user("00", now), None);
        sessions.end(&cookie);
        assert_eq!(sessions.user(&cookie, now), None);
        let other = sessions.begin("anna", &[3; 32], now).cookie.expose().clone();
        sessions.end_all_of("anna");
        assert_eq!(sessions.user(&other, now), None);
        assert_ne!(session.csrf, csrf(&other));
    }

    #[test]
    fn tables_are_bounded_and_a_challenge_is_good_once() {
        let (mut ceremonies, now) = (Ceremonies::default(), UnixNanos::from_secs(1_000));
        let challenge = |number: usize| sha256(&[&number.to_be_bytes()]);
        for number in 0..=CEREMONIES_MAX {
            ceremonies.begin(challenge(number), None, now);
        }
        assert_eq!(ceremonies.0.len(), CEREMONIES_MAX);
        assert_eq!(ceremonies.take(&challenge(0), now), None, "the oldest made room");
        assert_eq!(ceremonies.take(&challenge(1), now), Some(None));
        assert_eq!(ceremonies.take(&challenge(1), now), None);
        assert_eq!(ceremonies.take(&challenge(2), now.plus(CEREMONY_LIFE)), None);
    }
}
