//! The way in without a passkey: a phrase and a one-time code of an app.
//!
//! Two things one has or knows, since a code alone is six digits: the phrase has 100 random bits, is made here and kept as its
//! SHA-256. So nobody can try codes, and nobody can lock out somebody else, who does not hold the phrase: wrong codes count only
//! beside the right one, and [`WRONG_CODES_MAX`] of them in a row end the fallback until its person sets a new one, signed in with
//! a passkey. That is recorded; the count before it is in memory, and a restart forgets it.
//!
//! Who asks learns nothing: whatever does not fit is one refusal.
//!
//! # Bounds
//! Fallbacks that were begun: one a person. Addresses that tried: [`ADDRESSES_MAX`], the oldest makes room.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use crypto::{Secret, ct_eq, sha256};
use domain::{Actor, UnixNanos};

use super::{Desk, Origin};
use crate::{
    Change, Refused,
    totp::{SECRET_BYTES, TotpSecret, base32},
};

/// How long ago a passkey may have opened the session in which a fallback is set.
pub const FALLBACK_FRESH: Duration = Duration::from_secs(600);
/// Wrong codes in a row beside the right phrase that lock a fallback.
pub const WRONG_CODES_MAX: u8 = 5;
/// Tries of one address, or network of 64 bits, within [`TRIES_WINDOW`].
pub const TRIES_MAX: u8 = 10;
/// After it the tries of an address are forgotten.
pub const TRIES_WINDOW: Duration = Duration::from_secs(600);
/// Addresses whose tries are counted.
pub const ADDRESSES_MAX: usize = 4_096;
/// Characters of a phrase, of five bits each.
const PHRASE_CHARS: usize = 20;
/// Longest phrase that is looked at, in bytes.
const PHRASE_BYTES_MAX: usize = 64;

/// What was begun, and who tried.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    begun: BTreeMap<String, Begun>,
    /// Wrong codes in a row, by person.
    wrong: BTreeMap<String, u8>,
    tries: BTreeMap<IpAddr, (u8, UnixNanos)>,
}

#[derive(Debug)]
struct Begun {
    secret: TotpSecret,
    phrase: Secret<String>,
    until: UnixNanos,
    wrong: u8,
}

/// What a person writes down and puts into their app; shown to them alone.
#[derive(Debug, Clone)]
pub struct FallbackOffer {
    /// What an app reads as a picture.
    pub uri: Secret<String>,
    /// What is typed into an app instead.
    pub secret: Secret<String>,
    /// What is written down.
    pub phrase: Secret<String>,
}

/// Who wants in, and by what.
#[derive(Debug, Clone, Copy)]
pub struct CodeSignIn<'s> {
    /// Name.
    pub user: &'s str,
    /// As written down; case, spaces and hyphens do not count.
    pub phrase: &'s str,
    /// Six digits.
    pub code: &'s str,
}

/// What becomes of a sign-in by phrase and code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// To record; they are not let in, and the fallback is locked.
    Locked(Change),
    /// It does not fit.
    Refused,
    /// To record before a session is opened.
    SignedIn(Change),
    /// The address tried too often: nothing was looked at.
    TooMany,
}

fn grouped(text: &str) -> String {
    let groups: Vec<&str> = (0..text.len()).step_by(5).filter_map(|at| text.get(at..at + 5)).collect();
    groups.join("-")
}

fn digest_of(phrase: &str) -> [u8; 32] {
    let plain: String = phrase
        .chars()
        .take(PHRASE_BYTES_MAX)
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| c.to_ascii_uppercase())
        .collect();
    sha256(&[b"caponier fallback phrase 1", plain.as_bytes()])
}

/// Who has one address of an IPv6 network usually has them all.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

impl UnderWay {
    /// Counts a try; whether it may be made.
    fn may_try(&mut self, ip: IpAddr, now: UnixNanos) -> bool {
        let is_recent = |since: UnixNanos| now < since.plus(TRIES_WINDOW);
        let network = network(ip);
        if !self.tries.contains_key(&network) && self.tries.len() >= ADDRESSES_MAX {
            self.tries.retain(|_, (_, since)| is_recent(*since));
            let oldest = self.tries.iter().min_by_key(|(_, (_, since))| *since).map(|(key, _)| *key);
            if self.tries.len() >= ADDRESSES_MAX
                && let Some(oldest) = oldest
            {
                self.tries.remove(&oldest);
            }
        }
        let (count, since) = self.tries.entry(network).or_insert((0, now));
        if !is_recent(*since) {
            (*count, *since) = (0, now);
        }
        *count = count.saturating_add(1);
        *count <= TRIES_MAX
    }
}

fn offer(user: &str, begun: &Begun, origin: &Origin) -> FallbackOffer {
    FallbackOffer {
        uri: Secret::new(begun.secret.uri(&format!("Caponier {}", origin.rp_id()), user)),
        secret: Secret::new(begun.secret.base32()),
        phrase: begun.phrase.clone(),
    }
}

impl Desk {
    /// Who may set a fallback in this session: whoever opened it with a passkey just now.
    ///
    /// # Errors
    /// [`Refused::NotFresh`].
    pub fn fresh_user(&self, cookie: &str, now: UnixNanos) -> Result<String, Refused> {
        let fresh = self.sessions.lock().fresh(cookie, FALLBACK_FRESH, now).map(str::to_owned);
        fresh.filter(|user| self.directory.read().knows(user)).ok_or(Refused::NotFresh)
    }

    /// Begins to set a fallback; what was begun before is void. `random` is for secret and phrase.
    ///
    /// # Errors
    /// [`Refused::NotFresh`].
    pub fn begin_fallback(
        &self,
        cookie: &str,
        origin: &Origin,
        random: &[u8; 33],
        now: UnixNanos,
    ) -> Result<FallbackOffer, Refused> {
        let user = self.fresh_user(cookie, now)?;
        let (secret, phrase) = random.split_at(SECRET_BYTES);
        let secret = secret.try_into().map_err(|_| Refused::NotBegun)?;
        let phrase: String = base32(phrase).chars().take(PHRASE_CHARS).collect();
        let begun = Begun {
            secret: TotpSecret::new(secret),
            phrase: Secret::new(grouped(&phrase)),
            until: now.plus(FALLBACK_FRESH),
            wrong: 0,
        };
        let shown = offer(&user, &begun, origin);
        let mut fallbacks = self.fallbacks.lock();
        fallbacks.begun.retain(|_, begun| now < begun.until);
        fallbacks.begun.insert(user, begun);
        Ok(shown)
    }

    /// What was begun in this session, once more: after a wrong code.
    #[must_use]
    pub fn fallback_begun(&self, cookie: &str, origin: &Origin, now: UnixNanos) -> Option<FallbackOffer> {
        let user = self.fresh_user(cookie, now).ok()?;
        let fallbacks = self.fallbacks.lock();
        let begun = fallbacks.begun.get(&user).filter(|begun| now < begun.until)?;
        Some(offer(&user, begun, origin))
    }

    /// Judges the first code of an app: what to record.
    ///
    /// # Errors
    /// [`Refused::Code`], [`Refused::NotBegun`] also after [`WRONG_CODES_MAX`] wrong codes, [`Refused::NotFresh`].
    pub fn confirm_fallback(&self, cookie: &str, code: &str, now: UnixNanos) -> Result<Change, Refused> {
        let user = self.fresh_user(cookie, now)?;
        let mut fallbacks = self.fallbacks.lock();
        let begun =
            fallbacks.begun.get_mut(&user).filter(|begun| now < begun.until).ok_or(Refused::NotBegun)?;
        let Some(step) = begun.secret.step_of(code.trim(), None, now) else {
            begun.wrong = begun.wrong.saturating_add(1);
            if begun.wrong >= WRONG_CODES_MAX {
                fallbacks.begun.remove(&user);
                return Err(Refused::NotBegun);
            }
            return Err(Refused::Code);
        };
        let change = Change::FallbackSet {
            secret: begun.secret.clone(),
            phrase: digest_of(begun.phrase.expose()),
            step,
            user: user.clone(),
        };
        fallbacks.begun.remove(&user);
        fallbacks.wrong.remove(&user);
        Ok(change)
    }

    /// The end of a person's fallback.
    ///
    /// # Errors
    /// [`Refused::Unknown`] for a person who has none.
    pub fn end_fallback(&self, user: &str, by: Actor) -> Result<Change, Refused> {
        if self.directory.read().fallback(user).is_none() {
            return Err(Refused::Unknown(format!("fallback of {user}")));
        }
        Ok(Change::FallbackEnded { user: user.to_owned(), by })
    }

    /// Judges a sign-in by phrase and code. The caller judges and records one at a time: a step is good once.
    #[must_use]
    pub fn judge_code(&self, sign_in: CodeSignIn<'_>, ip: IpAddr, now: UnixNanos) -> Judged {
        let mut fallbacks = self.fallbacks.lock();
        if !fallbacks.may_try(ip, now) {
            return Judged::TooMany;
        }
        let phrase = digest_of(sign_in.phrase);
        let directory = self.directory.read();
        let Some(known) = directory.fallback(sign_in.user) else { return Judged::Refused };
        if !ct_eq(&known.phrase, &phrase) || known.is_locked || directory.person(sign_in.user).is_none() {
            return Judged::Refused;
        }
        let user = sign_in.user.to_owned();
        if let Some(step) = known.secret.step_of(sign_in.code.trim(), Some(known.step), now) {
            fallbacks.wrong.remove(&user);
            return Judged::SignedIn(Change::SignedInByCode { user, step, ip });
        }
        let wrong = fallbacks.wrong.entry(user.clone()).or_default();
        *wrong = wrong.saturating_add(1);
        if *wrong < WRONG_CODES_MAX {
            return Judged::Refused;
        }
        fallbacks.wrong.remove(&user);
        Judged::Locked(Change::FallbackLocked { user, ip })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capability, FallbackState, Means, Passkey, Role, webauthn::PublicKey};

    const NOW: UnixNanos = UnixNanos::from_secs(1_800_000_000);

    fn home() -> IpAddr {
        "192.0.2.7".parse().unwrap()
    }

    fn origin() -> Origin {
        Origin::parse("https://caponier.example").unwrap()
    }

    /// A person with a passkey, their session, and the fallback they set with the code of `NOW`.
    fn desk() -> (Desk, String, TotpSecret, String) {
        let desk = Desk::default();
        let roles = vec![Role::Approver, Role::ComplianceOfficer];
        let invite = desk.invite("anna", roles, b"s", (Actor::operator(), NOW)).unwrap();
        desk.apply(invite.change, NOW);
        let passkey = Passkey { id: vec![1], key: PublicKey::Ed25519([7; 32]), counter: 0 };
        desk.apply(Change::Enrolled { user: "anna".into(), passkey }, NOW);
        let session = desk.open_session("anna", &[3; 32], (Means::Passkey, home()), NOW);
        let cookie = session.cookie.expose().clone();
        let offered = desk.begin_fallback(&cookie, &origin(), &[9; 33], NOW).unwrap();
        let secret = TotpSecret::new([9; SECRET_BYTES]);
        assert!(offered.uri.expose().contains(offered.secret.expose()));
        let code = secret.code(crate::totp::step_at(NOW));
        let wrong = if code == "000000" { "000001" } else { "000000" };
        assert_eq!(desk.confirm_fallback(&cookie, wrong, NOW), Err(Refused::Code));
        let set = desk.confirm_fallback(&cookie, &code, NOW).unwrap();
        desk.apply(set, NOW);
        assert_eq!(desk.users()[0].fallback, FallbackState::Set);
        (desk, cookie, secret, offered.phrase.expose().clone())
    }

    fn at(desk: &Desk, phrase: &str, code: &str, now: UnixNanos) -> Judged {
        desk.judge_code(CodeSignIn { user: "anna", phrase, code }, home(), now)
    }

    #[test]
    fn a_phrase_and_a_code_let_in_once_and_approve_nothing() {
        let (desk, _, secret, phrase) = desk();
        assert_eq!(phrase.len(), PHRASE_CHARS + 3);
        let step = crate::totp::step_at(NOW);
        assert_eq!(at(&desk, &phrase, &secret.code(step), NOW), Judged::Refused, "used when it was set");
        let next = NOW.plus(Duration::from_secs(30));
        let code = secret.code(step + 1);
        assert_eq!(at(&desk, "AAAAA-AAAAA-AAAAA-AAAAA", &code, next), Judged::Refused);
        let lower = phrase.to_lowercase().replace('-', " ");
        let Judged::SignedIn(change) = at(&desk, &lower, &code, next) else { panic!() };
        desk.apply(change, next);
        assert_eq!(at(&desk, &phrase, &code, next), Judged::Refused, "a step is good once");
        let open = |means| {
            let session = desk.open_session("anna", &[4; 32], (means, home()), next);
            desk.session(session.cookie.expose(), next).unwrap().0.capabilities
        };
        let (weak, whole) = (open(Means::Code { approves: false }), open(Means::Code { approves: true }));
        assert!(whole.contains(&Capability::ApproveReleases) && whole.contains(&Capability::UnfreezeOutflow));
        assert!(!weak.iter().any(|one| one.is_approval()));
        assert!(weak.contains(&Capability::WorkCases));
    }

    #[test]
    fn wrong_codes_lock_and_wrong_phrases_lock_nobody_out() {
        let (desk, cookie, secret, phrase) = desk();
        let tries = |count: u8, phrase: &str| {
            // From another network each: the limit of tries is not what is tested.
            let each = |at: u8| {
                let ip = IpAddr::from([198, 51, 100, at]);
                desk.judge_code(CodeSignIn { user: "anna", phrase, code: "nonsense" }, ip, NOW)
            };
            (0..count).map(each).last().unwrap()
        };
        assert_eq!(tries(200, "WRONG"), Judged::Refused);
        assert_eq!(tries(WRONG_CODES_MAX - 1, &phrase), Judged::Refused);
        let Judged::Locked(change) = tries(1, &phrase) else { panic!() };
        desk.apply(change, NOW);
        assert_eq!(desk.users()[0].fallback, FallbackState::Locked);
        let later = NOW.plus(Duration::from_secs(30));
        let code = secret.code(crate::totp::step_at(later));
        assert_eq!(at(&desk, &phrase, &code, later), Judged::Refused, "locked");

        // A new one in place of it, by a passkey of just now.
        let stale = NOW.plus(FALLBACK_FRESH);
        assert_eq!(desk.begin_fallback(&cookie, &origin(), &[8; 33], stale).unwrap_err(), Refused::NotFresh);
        desk.begin_fallback(&cookie, &origin(), &[8; 33], NOW).unwrap();
        let code = TotpSecret::new([8; SECRET_BYTES]).code(crate::totp::step_at(NOW));
        desk.apply(desk.confirm_fallback(&cookie, &code, NOW).unwrap(), NOW);
        assert_eq!(desk.users()[0].fallback, FallbackState::Set);
        desk.apply(desk.end_fallback("anna", Actor::operator()).unwrap(), NOW);
        assert!(matches!(desk.end_fallback("anna", Actor::operator()), Err(Refused::Unknown(_))));
    }

    #[test]
    fn an_address_tries_so_often_and_what_is_kept_of_them_is_bounded() {
        let (desk, _, _, phrase) = desk();
        for _ in 0..TRIES_MAX {
            assert_eq!(at(&desk, "WRONG", "1", NOW), Judged::Refused);
        }
        assert_eq!(at(&desk, &phrase, "1", NOW), Judged::TooMany);
        assert_eq!(at(&desk, "WRONG", "1", NOW.plus(TRIES_WINDOW)), Judged::Refused);
        let mut under_way = UnderWay::default();
        for n in 0..2 * ADDRESSES_MAX as u128 {
            assert!(under_way.may_try(IpAddr::from((n << 64).to_be_bytes()), NOW));
        }
        assert_eq!(under_way.tries.len(), ADDRESSES_MAX);
        let (a, b) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        assert_eq!(network(a), network(b));
    }

    #[test]
    fn setting_one_takes_a_session_and_few_wrong_codes() {
        let (desk, cookie, ..) = desk();
        assert_eq!(desk.confirm_fallback(&cookie, "1", NOW), Err(Refused::NotBegun));
        assert_eq!(desk.begin_fallback("00", &origin(), &[1; 33], NOW).unwrap_err(), Refused::NotFresh);
        desk.begin_fallback(&cookie, &origin(), &[1; 33], NOW).unwrap();
        assert!(desk.fallback_begun(&cookie, &origin(), NOW).is_some());
        for _ in 1..WRONG_CODES_MAX {
            assert_eq!(desk.confirm_fallback(&cookie, "1", NOW), Err(Refused::Code));
        }
        assert_eq!(desk.confirm_fallback(&cookie, "1", NOW), Err(Refused::NotBegun));
        assert!(desk.fallback_begun(&cookie, &origin(), NOW).is_none());
    }
}
