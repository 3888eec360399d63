//! One-time links and the sessions they open.
//!
//! Whoever may use the control socket of the machine may give out a link for a name and its roles. The link opens one
//! session, once, within [`LINK_FOR`]. Only digests of the secrets are kept, in memory: a restart ends every session.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use console::{NotLetIn, Viewer};
use domain::{Actor, Clock, UnixNanos};
use identity::Role;
use parking_lot::Mutex;

/// How long a link waits to be used.
pub(crate) const LINK_FOR: Duration = Duration::from_secs(600);
/// How long a session lasts at most.
const SESSION_FOR: Duration = Duration::from_secs(12 * 3_600);
/// How long it lasts without a page being asked for.
const IDLE_FOR: Duration = Duration::from_secs(3_600);
/// Most links that wait, and most sessions; what runs out first makes room.
const LINKS_MAX: usize = 64;
const SESSIONS_MAX: usize = 1_024;

type Digest = [u8; 32];

/// Links and sessions.
pub(crate) struct Doors {
    clock: Arc<dyn Clock>,
    inside: Mutex<Inside>,
}

impl std::fmt::Debug for Doors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Doors")
    }
}

#[derive(Default)]
struct Inside {
    links: BTreeMap<Digest, Pass>,
    sessions: BTreeMap<Digest, Session>,
}

/// For whom, until when.
#[derive(Debug, Clone)]
struct Pass {
    actor: Actor,
    roles: Vec<Role>,
    until: UnixNanos,
}

struct Session {
    pass: Pass,
    seen: UnixNanos,
}

fn secret() -> (String, Digest) {
    let secret = URL_SAFE_NO_PAD.encode(crypto::random::array::<32>());
    let digest = digest(&secret);
    (secret, digest)
}

fn digest(secret: &str) -> Digest {
    crypto::sha256(&[b"console secret", secret.as_bytes()])
}

impl Doors {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, inside: Mutex::default() })
    }

    /// The secret of a new link.
    pub(crate) fn link(&self, actor: Actor, roles: &[Role]) -> (String, UnixNanos) {
        let now = self.clock.now();
        let until = now.plus(LINK_FOR);
        let (secret, digest) = secret();
        let mut inside = self.inside.lock();
        inside.forget(now);
        if inside.links.len() >= LINKS_MAX
            && let Some(first) = inside.links.iter().min_by_key(|(_, pass)| pass.until).map(|(key, _)| *key)
        {
            inside.links.remove(&first);
        }
        inside.links.insert(digest, Pass { actor, roles: roles.to_vec(), until });
        (secret, until)
    }
}

impl Inside {
    fn forget(&mut self, now: UnixNanos) {
        self.links.retain(|_, pass| pass.until > now);
        self.sessions.retain(|_, session| session.is_open(now));
    }
}

impl Session {
    fn is_open(&self, now: UnixNanos) -> bool {
        self.pass.until > now && now.since(self.seen) < IDLE_FOR
    }
}

impl Doors {
    /// Opens a session by a link: its secret.
    pub(super) fn enter(&self, link: &str) -> Result<String, NotLetIn> {
        let now = self.clock.now();
        let mut inside = self.inside.lock();
        inside.forget(now);
        let pass = inside.links.remove(&digest(link)).ok_or(NotLetIn)?;
        if inside.sessions.len() >= SESSIONS_MAX
            && let Some(first) = inside.sessions.iter().min_by_key(|(_, s)| s.seen).map(|(key, _)| *key)
        {
            inside.sessions.remove(&first);
        }
        let roles: Vec<&str> = pass.roles.iter().map(|role| role.as_str()).collect();
        tracing::info!(who = %pass.actor, roles = roles.join(","), "signed in to the console");
        let pass = Pass { until: now.plus(SESSION_FOR), ..pass };
        let (secret, digest) = secret();
        inside.sessions.insert(digest, Session { pass, seen: now });
        Ok(secret)
    }

    /// Whose session it is.
    pub(super) fn viewer(&self, session: &str) -> Option<Viewer> {
        let now = self.clock.now();
        let mut inside = self.inside.lock();
        let session = inside.sessions.get_mut(&digest(session)).filter(|session| session.is_open(now))?;
        session.seen = now;
        let Pass { actor, roles, .. } = &session.pass;
        let capabilities: BTreeSet<_> = roles.iter().flat_map(|role| role.capabilities()).collect();
        Some(Viewer { actor: actor.clone(), capabilities: capabilities.into_iter().collect() })
    }

    /// Ends a session.
    pub(super) fn leave(&self, session: &str) {
        self.inside.lock().sessions.remove(&digest(session));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use domain::ActorKind;

    use super::*;

    #[derive(Debug, Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> UnixNanos {
            UnixNanos::from_secs(self.0.load(Ordering::Relaxed))
        }
    }

    fn doors() -> (Arc<Hand>, Arc<Doors>) {
        let hand = Arc::new(Hand(AtomicU64::new(1_000)));
        (Arc::clone(&hand), Doors::new(hand))
    }

    fn alice() -> Actor {
        Actor::new(ActorKind::User, "alice").unwrap()
    }

    #[test]
    fn a_link_opens_one_session_once() {
        let (_, doors) = doors();
        let (link, _) = doors.link(alice(), &[Role::Sre, Role::Approver]);
        assert_eq!(doors.viewer(&link), None, "a link is no session");
        let session = doors.enter(&link).unwrap();
        assert_eq!(doors.enter(&link), Err(NotLetIn));
        let viewer = doors.viewer(&session).unwrap();
        assert_eq!(viewer.actor, alice());
        for role in [Role::Sre, Role::Approver] {
            assert!(role.capabilities().all(|capability| viewer.may(capability)));
        }
        assert!(!viewer.may(identity::Capability::WorkCases));
        doors.leave(&session);
        assert_eq!(doors.viewer(&session), None);
    }

    #[test]
    fn links_and_sessions_run_out() {
        let (hand, doors) = doors();
        let pass = |secs: u64| hand.0.fetch_add(secs, Ordering::Relaxed);
        let (late, _) = doors.link(alice(), &[Role::Viewer]);
        pass(LINK_FOR.as_secs());
        assert_eq!(doors.enter(&late), Err(NotLetIn));

        let (link, _) = doors.link(alice(), &[Role::Viewer]);
        let idle = doors.enter(&link).unwrap();
        pass(IDLE_FOR.as_secs() - 1);
        assert!(doors.viewer(&idle).is_some());
        pass(IDLE_FOR.as_secs());
        assert_eq!(doors.viewer(&idle), None);

        let (link, _) = doors.link(alice(), &[Role::Viewer]);
        let long = doors.enter(&link).unwrap();
        for _ in 0..SESSION_FOR.as_secs() / 600 - 1 {
            pass(600);
            assert!(doors.viewer(&long).is_some());
        }
        pass(600);
        assert_eq!(doors.viewer(&long), None);
    }

    #[test]
    fn neither_links_nor_sessions_grow_without_bound() {
        let (hand, doors) = doors();
        let first = doors.link(alice(), &[Role::Viewer]).0;
        for _ in 0..LINKS_MAX {
            hand.0.fetch_add(1, Ordering::Relaxed);
            doors.link(alice(), &[Role::Viewer]);
        }
        assert_eq!(doors.inside.lock().links.len(), LINKS_MAX);
        assert_eq!(doors.enter(&first), Err(NotLetIn), "the oldest made room");
        for _ in 0..SESSIONS_MAX + 3 {
            let (link, _) = doors.link(alice(), &[Role::Viewer]);
            doors.enter(&link).unwrap();
        }
        assert_eq!(doors.inside.lock().sessions.len(), SESSIONS_MAX);
    }
}
