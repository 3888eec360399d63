//! What is under way: sessions of persons, and ceremonies that were begun. In memory alone.
//!
//! Of the secrets only SHA-256 is held. Both tables are bounded: ceremonies, which anybody may begin, push out the
//! oldest; sessions, which only a passkey makes, push out the one idle longest.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

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

/// By what a session was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// A phrase and a one-time code.
    Code {
        /// Whether what takes a second person can be approved in it.
        approves: bool,
    },
    /// A passkey.
    Passkey,
}

impl Means {
    /// In words for those who look at their sessions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code { .. } => "phrase and code",
            Self::Passkey => "passkey",
        }
    }
}

/// A session, as listed. Its secret is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    /// Names it, and opens nothing: the first bytes of a digest, in hexadecimal.
    pub id: String,
    /// Whose.
    pub user: String,
    /// By what it was opened.
    pub means: Means,
    /// From where.
    pub ip: IpAddr,
    /// When.
    pub begun_at: UnixNanos,
    /// The last call in it.
    pub used_at: UnixNanos,
}

#[derive(Debug)]
struct Open {
    user: String,
    means: Means,
    ip: IpAddr,
    begun_at: UnixNanos,
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
    pub(crate) fn begin(
        &mut self,
        user: &str,
        secret: &[u8; 32],
        (means, ip): (Means, IpAddr),
        now: UnixNanos,
    ) -> Session {
        self.0.retain(|_, open| is_live(open, now));
        if self.0.len() >= SESSIONS_MAX
            && let Some(idlest) = self.0.iter().min_by_key(|(_, open)| open.used_at).map(|(key, _)| *key)
        {
            self.0.remove(&idlest);
        }
        let cookie = hexadecimal(secret);
        let expires_at = now.plus(SESSION_LIFE);
        let open =
            Open { user: user.to_owned(), means, ip, begun_at: now, ends_at: expires_at, used_at: now };
        self.0.insert(sha256(&[cookie.as_bytes()]), open);
        Session {
            csrf: csrf(&cookie),
            cookie: crypto::Secret::new(cookie),
            user: user.to_owned(),
            expires_at,
        }
    }

    /// Whose session, by what it was opened, and when it ends at the latest; using it keeps it alive.
    pub(crate) fn user(&mut self, cookie: &str, now: UnixNanos) -> Option<(String, Means, UnixNanos)> {
        // The map is searched by a digest: its time tells nothing about the secret.
        let open = self.0.get_mut(&sha256(&[cookie.as_bytes()])).filter(|open| is_live(open, now))?;
        open.used_at = open.used_at.max(now);
        Some((open.user.clone(), open.means, open.ends_at))
    }

    /// Whose session a passkey opened no longer than so ago.
    pub(crate) fn fresh(&self, cookie: &str, within: Duration, now: UnixNanos) -> Option<&str> {
        let open = self.0.get(&sha256(&[cookie.as_bytes()])).filter(|open| is_live(open, now))?;
        (open.means == Means::Passkey && now < open.begun_at.plus(within)).then_some(open.user.as_str())
    }

    /// Those that are open, the newest first.
    pub(crate) fn list(&self, now: UnixNanos) -> Vec<OpenSession> {
        let listed = |(digest, open): (&[u8; 32], &Open)| OpenSession {
            id: id_of(digest),
            user: open.user.clone(),
            means: open.means,
            ip: open.ip,
            begun_at: open.begun_at,
            used_at: open.used_at,
        };
        let mut all: Vec<OpenSession> =
            self.0.iter().filter(|(_, open)| is_live(open, now)).map(listed).collect();
        all.sort_by(|a, b| b.begun_at.cmp(&a.begun_at).then_with(|| a.id.cmp(&b.id)));
        all
    }

    /// Ends the session of an id, of this person or of anybody; whose it was.
    pub(crate) fn end_by_id(&mut self, id: &str, of: Option<&str>) -> Option<String> {
        let fits = |(digest, open): &(&[u8; 32], &Open)| {
            id_of(digest) == id && of.is_none_or(|user| open.user == user)
        };
        let digest = *self.0.iter().find(fits)?.0;
        self.0.remove(&digest).map(|open| open.user)
    }

    pub(crate) fn end(&mut self, cookie: &str) {
        self.0.remove(&sha256(&[cookie.as_bytes()]));
    }

    pub(crate) fn end_all_of(&mut self, user: &str) {
        self.0.retain(|_, open| open.user != user);
    }
}

/// The map's key is itself a digest of the cookie; what is shown is a digest of that.
fn id_of(digest: &[u8; 32]) -> String {
    hexadecimal(&sha256(&[b"caponier session id 1", digest]))[..16].to_owned()
}

/// The id that the session of a cookie is listed by.
pub(crate) fn id_of_cookie(cookie: &str) -> String {
    id_of(&sha256(&[cookie.as_bytes()]))
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

    const BY: (Means, IpAddr) = (Means::Passkey, IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    #[test]
    fn sessions_are_listed_without_their_secret_and_ended_by_id() {
        let (mut sessions, now) = (Sessions::default(), UnixNanos::from_secs(1_000));
        let first = sessions.begin("anna", &[1; 32], BY, now).cookie.expose().clone();
        let later = now.plus(Duration::from_secs(5));
        let by_code = (Means::Code { approves: false }, BY.1);
        let second = sessions.begin("ben", &[2; 32], by_code, later).cookie.expose().clone();
        let listed = sessions.list(later);
        assert_eq!(listed.iter().map(|one| one.user.as_str()).collect::<Vec<_>>(), ["ben", "anna"]);
        let id = id_of_cookie(&first);
        assert_eq!(listed[1].id, id);
        assert!(!first.contains(&id) && !second.contains(&id));
        assert_eq!(sessions.user(&id, later), None, "an id opens nothing");
        assert_eq!(sessions.fresh(&first, Duration::from_secs(6), later), Some("anna"));
        assert_eq!(sessions.fresh(&first, Duration::from_secs(5), later), None, "too long ago");
        assert_eq!(sessions.fresh(&second, Duration::from_secs(6), later), None, "no passkey");
        assert_eq!(sessions.end_by_id(&id, Some("ben")), None, "not theirs");
        assert_eq!(sessions.end_by_id(&id, Some("anna")).as_deref(), Some("anna"));
        assert_eq!(sessions.end_by_id(&id, None), None);
        assert_eq!(sessions.user(&first, later), None);
        assert!(sessions.user(&second, later).is_some());
    }

    #[test]
    fn sessions_end_by_age_by_idleness_and_by_hand() {
        let (mut sessions, now) = (Sessions::default(), UnixNanos::from_secs(1_000));
        let session = sessions.begin("anna", &[1; 32], BY, now);
        let cookie = session.cookie.expose().clone();
        let mut at = now;
        for _ in 0..15 {
            at = at.plus(SESSION_IDLE - Duration::from_secs(1));
            assert_eq!(sessions.user(&cookie, at).map(|(user, ..)| user).as_deref(), Some("anna"));
        }
        assert_eq!(sessions.user(&cookie, now.plus(SESSION_LIFE)), None);
        let session = sessions.begin("anna", &[2; 32], BY, now);
        let cookie = session.cookie.expose().clone();
        assert_eq!(sessions.user(&cookie, now.plus(SESSION_IDLE)), None);
        assert_eq!(sessions.user("00", now), None);
        sessions.end(&cookie);
        assert_eq!(sessions.user(&cookie, now), None);
        let other = sessions.begin("anna", &[3; 32], BY, now).cookie.expose().clone();
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
