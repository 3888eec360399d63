//! One-time links and the sessions they open.
//!
//! Whoever may use the control socket of the machine may give out a link for a name and its roles, or for a name and the one
//! account it develops for. The link opens one session, once, within [`LINK_FOR`], after that was recorded. Only digests of the secrets are kept, in memory: a restart ends every session.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use console::{NotLetIn, Viewer};
use domain::{AccountId, Actor, Clock, UnixNanos};
use identity::{Capability, Role};
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) actor: Actor,
    pub(super) roles: Vec<Role>,
    /// The one account it opens; then there are no roles.
    pub(super) account: Option<AccountId>,
    until: UnixNanos,
}

struct Session {
    pass: Pass,
    ip: IpAddr,
    begun: UnixNanos,
    seen: UnixNanos,
}

/// A session, as listed.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) id: String,
    pub(super) user: String,
    pub(super) account: Option<AccountId>,
    pub(super) ip: IpAddr,
    pub(super) begun_at: UnixNanos,
    pub(super) used_at: UnixNanos,
}

/// Names a session and opens nothing.
fn id_of(digest: &Digest) -> String {
    let mut id = hex::encode(crypto::sha256(&[b"console session id", digest]));
    id.truncate(16);
    id
}

/// What the session of a cookie is listed by.
pub(super) fn session_id(secret: &str) -> String {
    id_of(&digest(secret))
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
    pub(crate) fn link(
        &self,
        actor: Actor,
        roles: &[Role],
        account: Option<AccountId>,
    ) -> (String, UnixNanos) {
        let now = self.clock.now();
        let until = now.plus(LINK_FOR);
        let (secret, digest) = secret();
        let pass = Pass { actor, roles: roles.to_vec(), account, until };
        self.inside.lock().wait(digest, pass, now);
        (secret, until)
    }
}

impl Inside {
    fn wait(&mut self, digest: Digest, pass: Pass, now: UnixNanos) {
        let inside = self;
        inside.forget(now);
        if inside.links.len() >= LINKS_MAX
            && let Some(first) = inside.links.iter().min_by_key(|(_, pass)| pass.until).map(|(key, _)| *key)
        {
            inside.links.remove(&first);
        }
        inside.links.insert(digest, pass);
    }

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
    /// Takes a link, which is used up by it.
    pub(super) fn take(&self, link: &str) -> Result<Pass, NotLetIn> {
        let now = self.clock.now();
        let mut inside = self.inside.lock();
        inside.forget(now);
        inside.links.remove(&digest(link)).ok_or(NotLetIn::Link)
    }

    /// Gives a link back that was taken and could not be recorded.
    pub(super) fn give_back(&self, link: &str, pass: Pass) {
        let now = self.clock.now();
        self.inside.lock().wait(digest(link), pass, now);
    }

    /// Opens a session for who has a link that was taken: its secret.
    pub(super) fn open(&self, pass: Pass, ip: IpAddr) -> String {
        let now = self.clock.now();
        let mut inside = self.inside.lock();
        inside.forget(now);
        if inside.sessions.len() >= SESSIONS_MAX
            && let Some(first) = inside.sessions.iter().min_by_key(|(_, s)| s.seen).map(|(key, _)| *key)
        {
            inside.sessions.remove(&first);
        }
        let pass = Pass { until: now.plus(SESSION_FOR), ..pass };
        let (secret, digest) = secret();
        inside.sessions.insert(digest, Session { pass, ip, begun: now, seen: now });
        secret
    }

    /// Sessions that are open.
    pub(super) fn list(&self) -> Vec<Listed> {
        let now = self.clock.now();
        let inside = self.inside.lock();
        let listed = |(digest, session): (&Digest, &Session)| Listed {
            id: id_of(digest),
            user: session.pass.actor.id().to_owned(),
            account: session.pass.account.clone(),
            ip: session.ip,
            begun_at: session.begun,
            used_at: session.seen,
        };
        inside.sessions.iter().filter(|(_, session)| session.is_open(now)).map(listed).collect()
    }

    /// Ends the session of an id, if it is under this name, or any; under which name it was.
    pub(super) fn end_by_id(&self, id: &str, of: Option<&str>) -> Option<String> {
        let mut inside = self.inside.lock();
        let fits = |(digest, session): &(&Digest, &Session)| {
            id_of(digest) == id && of.is_none_or(|user| session.pass.actor.id() == user)
        };
        let digest = *inside.sessions.iter().find(fits)?.0;
        inside.sessions.remove(&digest).map(|session| session.pass.actor.id().to_owned())
    }

    /// Whose session it is.
    pub(super) fn viewer(&self, session: &str) -> Option<Viewer> {
        let now = self.clock.now();
        let mut inside = self.inside.lock();
        let session = inside.sessions.get_mut(&digest(session)).filter(|session| session.is_open(now))?;
        session.seen = now;
        let Pass { actor, roles, account, .. } = &session.pass;
        let mut capabilities: BTreeSet<_> = roles.iter().flat_map(|role| role.capabilities()).collect();
        if account.is_some() {
            capabilities = BTreeSet::from([Capability::OwnAccount]);
        }
        Some(Viewer {
            actor: actor.clone(),
            capabilities: capabilities.into_iter().collect(),
            account: account.clone(),
        })
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

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn enter(doors: &Doors, link: &str) -> Result<String, NotLetIn> {
        doors.take(link).map(|pass| doors.open(pass, HOME))
    }

    #[test]
    fn a_link_for_an_account_opens_nothing_else() {
        let (_, doors) = doors();
        let account = AccountId::parse("customer-1").unwrap();
        let (link, _) = doors.link(alice(), &[Role::Admin], Some(account.clone()));
        let viewer = doors.viewer(&enter(&doors, &link).unwrap()).unwrap();
        assert_eq!((viewer.capabilities, viewer.account), (vec![Capability::OwnAccount], Some(account)));
    }

    #[test]
    fn a_link_that_was_not_recorded_is_good_still_and_sessions_end_by_id() {
        let (hand, doors) = doors();
        let (link, until) = doors.link(alice(), &[Role::Viewer], None);
        let pass = doors.take(&link).unwrap();
        assert_eq!(doors.take(&link), Err(NotLetIn::Link));
        doors.give_back(&link, pass);
        let session = enter(&doors, &link).unwrap();
        let [listed] = &doors.list()[..] else { panic!() };
        assert_eq!((&listed.id, listed.user.as_str(), listed.ip), (&session_id(&session), "alice", HOME));
        assert_eq!(doors.viewer(&listed.id), None, "an id opens nothing");
        assert_eq!(doors.end_by_id(&listed.id, Some("ben")), None);
        assert_eq!(doors.end_by_id(&listed.id, Some("alice")).as_deref(), Some("alice"));
        assert_eq!(doors.viewer(&session), None);
        // One that has run out is not brought back.
        let (late, _) = doors.link(alice(), &[Role::Viewer], None);
        let pass = doors.take(&late).unwrap();
        hand.0.store(until.as_secs() + 1, Ordering::Relaxed);
        doors.give_back(&late, pass);
        assert_eq!(doors.take(&late), Err(NotLetIn::Link));
    }

    fn alice() -> Actor {
        Actor::new(ActorKind::User, "alice").unwrap()
    }

    #[test]
    fn a_link_opens_one_session_once() {
        let (_, doors) = doors();
        let (link, _) = doors.link(alice(), &[Role::Sre, Role::Approver], None);
        assert_eq!(doors.viewer(&link), None, "a link is no session");
        let session = enter(&doors, &link).unwrap();
        assert_eq!(enter(&doors, &link), Err(NotLetIn::Link));
        let viewer = doors.viewer(&session).unwrap();
        assert_eq!(viewer.actor, alice());
        for role in [Role::Sre, Role::Approver] {
            assert!(role.capabilities().all(|capability| viewer.may(capability)));
        }
        assert!(!viewer.may(Capability::WorkCases));
        doors.leave(&session);
        assert_eq!(doors.viewer(&session), None);
    }

    #[test]
    fn links_and_sessions_run_out() {
        let (hand, doors) = doors();
        let pass = |secs: u64| hand.0.fetch_add(secs, Ordering::Relaxed);
        let (late, _) = doors.link(alice(), &[Role::Viewer], None);
        pass(LINK_FOR.as_secs());
        assert_eq!(enter(&doors, &late), Err(NotLetIn::Link));

        let (link, _) = doors.link(alice(), &[Role::Viewer], None);
        let idle = enter(&doors, &link).unwrap();
        pass(IDLE_FOR.as_secs() - 1);
        assert!(doors.viewer(&idle).is_some());
        pass(IDLE_FOR.as_secs());
        assert_eq!(doors.viewer(&idle), None);

        let (link, _) = doors.link(alice(), &[Role::Viewer], None);
        let long = enter(&doors, &link).unwrap();
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
        let first = doors.link(alice(), &[Role::Viewer], None).0;
        for _ in 0..LINKS_MAX {
            hand.0.fetch_add(1, Ordering::Relaxed);
            doors.link(alice(), &[Role::Viewer], None);
        }
        assert_eq!(doors.inside.lock().links.len(), LINKS_MAX);
        assert_eq!(enter(&doors, &first), Err(NotLetIn::Link), "the oldest made room");
        for _ in 0..SESSIONS_MAX + 3 {
            let (link, _) = doors.link(alice(), &[Role::Viewer], None);
            enter(&doors, &link).unwrap();
        }
        assert_eq!(doors.inside.lock().sessions.len(), SESSIONS_MAX);
    }
}
