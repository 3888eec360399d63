//! Sessions: a v2 key signs once, and the requests that follow carry a MAC that costs a hundredth of a signature.
//!
//! The client sends an ephemeral X25519 public key in a request signed by its key, the server answers with its own,
//! and both derive the same MAC key; it never travels, so neither a log nor a proxy that reads the answer can use
//! the session. What is derived is bound to the key, the session id and both public keys:
//!
//! ```text
//! secret = X25519(own private key, other public key)
//! mac key = HKDF-SHA-256(secret, salt = client public || server public,
//!                        info = "caponier-v2 session" || 0 || key id || 0 || session id), 32 bytes
//! ```
//!
//! A session ends after [`SESSION_LIFE`], and at once when its key is frozen or revoked; unfreezing the key does not
//! bring it back. It is good only from the address (IPv6: /64) it was opened from, and only over the TLS connection whose
//! exported keying material it was opened with, if any. It is not the ground truth of anything: a restart ends all.
//!
//! Bounds: `sessions_max` in all, [`SESSIONS_PER_KEY_MAX`] per key (the oldest gives way), some 400 bytes each.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use crypto::{Secret, X25519Key, ct_eq, hkdf_sha256};
use domain::{ApiKeyId, UnixNanos};
use hashbrown::HashTable;
use parking_lot::{Mutex, RwLock};

use super::{key_id::generate_session_id, source::Source};
use crate::{
    authenticator::{Proof, Verified},
    hash::Seeded,
    key::KeyState,
    refusal::Refusal,
    registry::Entry,
};

/// How long a session is good.
pub const SESSION_LIFE: Duration = Duration::from_secs(15 * 60);

/// Most sessions of one key at a time; another one ends the oldest.
pub const SESSIONS_PER_KEY_MAX: usize = 16;

/// Longest body of a request for a session, in bytes.
pub const SESSION_BODY_BYTES_MAX: usize = 256;

/// Independent locks of the lookup table.
const SHARDS: usize = 16;

/// What separates this derivation from every other.
const PURPOSE: &[u8] = b"caponier-v2 session\0";

/// Length of a public key in Base64 for URLs, without padding.
const PUBLIC_KEY_TEXT_BYTES: usize = 43;

/// Fresh random bytes for one session.
pub struct SessionRandom {
    /// For the session's id.
    pub id: [u8; 16],
    /// For the server's half of the agreement.
    pub private_key: Secret<[u8; 32]>,
}

impl fmt::Debug for SessionRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionRandom(<secret>)")
    }
}

/// What the client is told about its new session. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionGrant {
    /// `keyid` of the requests that follow.
    pub id: String,
    /// The server's half of the agreement.
    pub server_public_key: [u8; 32],
    /// From then on it is refused.
    pub expires_at: UnixNanos,
}

impl SessionGrant {
    /// The JSON body of the answer, in the shape of the API's other answers; `expiresAt` in milliseconds since 1970.
    #[must_use]
    pub fn body(&self) -> String {
        format!(
            "{{\"code\":\"0\",\"msg\":\"\",\"data\":[{{\"sessionId\":\"{}\",\"serverPublicKey\":\"{}\",\
             \"expiresAt\":\"{}\"}}]}}",
            self.id,
            URL_SAFE_NO_PAD.encode(self.server_public_key),
            self.expires_at.as_millis(),
        )
    }
}

/// Parses the body of a request for a session: a JSON object with the one member `publicKey`, the client's X25519 public
/// key in Base64 for URLs without padding.
///
/// # Errors
/// [`Refusal::JsonInvalid`] for another shape, [`Refusal::ParameterInvalid`] for a text that is no such key.
pub fn parse_session_body(body: &[u8]) -> Result<[u8; 32], Refusal> {
    if body.len() > SESSION_BODY_BYTES_MAX {
        return Err(Refusal::JsonInvalid);
    }
    let mut rest = body;
    for token in [&b"{"[..], b"\"publicKey\"", b":", b"\""] {
        rest = after_blanks(rest).strip_prefix(token).ok_or(Refusal::JsonInvalid)?;
    }
    let end = rest.iter().position(|byte| *byte == b'"').ok_or(Refusal::JsonInvalid)?;
    let (text, mut rest) = (&rest[..end], &rest[end + 1..]);
    rest = after_blanks(rest).strip_prefix(b"}").ok_or(Refusal::JsonInvalid)?;
    if !after_blanks(rest).is_empty() {
        return Err(Refusal::JsonInvalid);
    }
    let bad = || Refusal::ParameterInvalid { parameter: "publicKey".to_owned() };
    if text.len() != PUBLIC_KEY_TEXT_BYTES {
        return Err(bad());
    }
    let decoded = URL_SAFE_NO_PAD.decode(text).ok();
    decoded.and_then(|bytes| bytes.try_into().ok()).ok_or_else(bad)
}

/// Without the blanks of JSON (RFC 8259 section 2) at the front.
fn after_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| b" \t\r\n".contains(byte)).count();
    &text[blanks..]
}

/// The MAC key of a session, as both sides derive it. Nothing when the other side's key is unusable.
#[must_use]
pub fn derive_mac_key(
    own: &X25519Key,
    peer: &[u8; 32],
    (client, server): (&[u8; 32], &[u8; 32]),
    key_id: &str,
    session_id: &str,
) -> Option<Secret<[u8; 32]>> {
    let shared = own.agree(peer).ok()?;
    let salt = [client.as_slice(), server.as_slice()].concat();
    let info = [PURPOSE, key_id.as_bytes(), b"\0", session_id.as_bytes()].concat();
    Some(Secret::new(hkdf_sha256::<32>(shared.expose(), &salt, &info)))
}

/// An open session.
pub(super) struct Session {
    id: Box<str>,
    pub(super) entry: Arc<Entry>,
    pub(super) mac_key: Secret<[u8; 32]>,
    /// Freezes of the key when it was opened.
    freezes: u32,
    source: Source,
    tls_exporter: Option<[u8; 32]>,
    expires_at: UnixNanos,
}

impl Session {
    /// Whether it has run out or its key has been taken out of force since, even for a moment.
    fn has_ended(&self, now: UnixNanos) -> bool {
        now >= self.expires_at
            || self.entry.freezes() != self.freezes
            || self.entry.state() != KeyState::Active
    }

    /// Whether a request may use it.
    pub(super) fn check(
        &self,
        ip: IpAddr,
        tls_exporter: Option<&[u8; 32]>,
        now: UnixNanos,
    ) -> Result<(), Refusal> {
        if self.has_ended(now) {
            return Err(match self.entry.state() {
                KeyState::Frozen => Refusal::ApiKeyFrozen,
                KeyState::Revoked => Refusal::ApiKeyRevoked,
                KeyState::Active => Refusal::SessionUnknown,
            });
        }
        let same_connection = match (&self.tls_exporter, tls_exporter) {
            (None, _) => true,
            (Some(bound), Some(presented)) => ct_eq(bound, presented),
            (Some(_), None) => false,
        };
        if !same_connection || self.source != Source::of(ip) {
            return Err(Refusal::SessionUnknown);
        }
        Ok(())
    }
}

/// When a session runs out, and the how-manieth it is: unique, and in the order of opening while the clock runs forward.
type Place = (UnixNanos, u64);

/// What openings and endings need to know of all sessions.
#[derive(Default)]
struct Book {
    by_expiry: BTreeMap<Place, Arc<Session>>,
    /// Ascending, at most [`SESSIONS_PER_KEY_MAX`], never empty.
    by_key: HashMap<ApiKeyId, Vec<Place>>,
    n_opened: u64,
}

/// All open sessions.
pub(super) struct Sessions {
    shards: [RwLock<HashTable<Arc<Session>>>; SHARDS],
    book: Mutex<Book>,
    hash: Seeded,
    sessions_max: usize,
}

impl Sessions {
    /// `seed` is random and secret.
    pub(super) fn new(sessions_max: usize, seed: u64) -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::new(HashTable::new())),
            book: Mutex::new(Book::default()),
            hash: Seeded::new(seed),
            sessions_max,
        }
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Session>> {
        let hash = self.hash.of(id);
        self.shard(hash).read().find(hash, |session| *session.id == *id).map(Arc::clone)
    }

    pub(super) fn len(&self) -> usize {
        self.book.lock().by_expiry.len()
    }

    pub(super) fn open(
        &self,
        verified: &Verified,
        client_public: &[u8; 32],
        ip: IpAddr,
        tls_exporter: Option<&[u8; 32]>,
        random: SessionRandom,
        now: UnixNanos,
    ) -> Result<SessionGrant, Refusal> {
        if verified.proof() != Proof::KeySignature {
            return Err(Refusal::KeySignatureRequired);
        }
        let entry = Arc::clone(verified.entry());
        // Read before the state: a freeze after this line changes it, one before shows in the state.
        let freezes = entry.freezes();
        let own = X25519Key::from_bytes(random.private_key.expose());
        let id = generate_session_id(random.id);
        let keys = (client_public, own.public());
        let mac_key = derive_mac_key(&own, client_public, keys, entry.key.id.as_str(), &id)
            .ok_or_else(|| Refusal::ParameterInvalid { parameter: "publicKey".to_owned() })?;
        let session = Session {
            id: id.clone().into_boxed_str(),
            entry,
            mac_key,
            freezes,
            source: Source::of(ip),
            tls_exporter: tls_exporter.copied(),
            expires_at: now.plus(SESSION_LIFE),
        };
        session.check(ip, tls_exporter, now)?;
        let grant = SessionGrant { id, server_public_key: *own.public(), expires_at: session.expires_at };
        self.insert(Arc::new(session), now)?;
        Ok(grant)
    }

    /// Ends what has run out. Returns how many sessions that were.
    pub(super) fn sweep(&self, now: UnixNanos) -> usize {
        self.sweep_book(&mut self.book.lock(), now)
    }

    fn sweep_book(&self, book: &mut Book, now: UnixNanos) -> usize {
        let mut n_ended = 0;
        while let Some((&place, _)) = book.by_expiry.first_key_value().filter(|((at, _), _)| *at <= now) {
            self.end(book, place);
            n_ended += 1;
        }
        n_ended
    }

    fn insert(&self, session: Arc<Session>, now: UnixNanos) -> Result<(), Refusal> {
        let book = &mut *self.book.lock();
        self.sweep_book(book, now);
        let key = session.entry.key.id.clone();
        if let Some(oldest) = book.by_key.get(&key).filter(|own| own.len() >= SESSIONS_PER_KEY_MAX) {
            self.end(book, oldest[0]);
        }
        if book.by_expiry.len() >= self.sessions_max {
            return Err(Refusal::SystemBusy);
        }
        let place = (session.expires_at, book.n_opened);
        book.n_opened += 1;
        let own = book.by_key.entry(key).or_default();
        own.insert(own.partition_point(|other| *other < place), place);
        book.by_expiry.insert(place, Arc::clone(&session));
        let hash = self.hash.of(&*session.id);
        self.shard(hash).write().insert_unique(hash, session, |session| self.hash.of(&*session.id));
        Ok(())
    }

    fn end(&self, book: &mut Book, place: Place) {
        let Some(session) = book.by_expiry.remove(&place) else { return };
        if let Some(own) = book.by_key.get_mut(&session.entry.key.id) {
            own.retain(|other| *other != place);
            if own.is_empty() {
                book.by_key.remove(&session.entry.key.id);
            }
        }
        let hash = self.hash.of(&*session.id);
        if let Ok(slot) = self.shard(hash).write().find_entry(hash, |other| other.id == session.id) {
            slot.remove();
        }
    }

    fn shard(&self, hash: u64) -> &RwLock<HashTable<Arc<Session>>> {
        &self.shards[Seeded::shard::<SHARDS>(hash)]
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("sessions_max", &self.sessions_max).finish_non_exhaustive()
    }
}
