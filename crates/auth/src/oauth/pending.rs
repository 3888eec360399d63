//! Between the app's request and its token: the handle of a request, and the code of a consent.
//!
//! **A handle** is the request itself under a MAC. Whoever opens the authorization page makes one, without any proof of
//! who they are, so a table of them could be filled by anybody; this way there is nothing to fill. That a handle is
//! answered once is remembered, which only the exchange can cause.
//!
//! **A code** is 32 random bytes, remembered as a hash with what it stands for. It is good for [`CODE_LIFE`] and one
//! attempt, right or wrong. It is remembered for [`USED_CODE_MEMORY`], so that a second attempt tells of a theft and ends
//! the grant (RFC 6749 section 4.1.2).
//!
//! Bounds: [`CODES_MAX`] codes, [`ANSWERED_MAX`] answered handles. A restart forgets codes: the customer starts again.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use crypto::{MacKey, sha256};
use domain::UnixNanos;
use minicbor::{Decoder, Encoder};

use super::{
    server::Consent,
    text::{base64url, from_base64url},
    token::GrantNumber,
};
use crate::key::Permissions;

/// How long a customer may take to consent.
pub const HANDLE_LIFE: Duration = Duration::from_secs(600);

/// How long a code is good (OAuth 2.1: at most ten minutes; ours goes straight to the app).
pub const CODE_LIFE: Duration = Duration::from_secs(60);

/// How long a used code is remembered: until the access token it gave has run out.
pub const USED_CODE_MEMORY: Duration = Duration::from_secs(600);

/// Most codes remembered.
pub const CODES_MAX: usize = 10_000;

/// Most answered handles remembered.
pub const ANSWERED_MAX: usize = 10_000;

/// Longest handle, in bytes.
pub const HANDLE_BYTES_MAX: usize = 2_048;

/// Longest `state`, in bytes.
pub const STATE_BYTES_MAX: usize = 512;

const MAC_BYTES: usize = 32;
const HANDLE_PURPOSE: &[u8] = b"caponier authorization request 1";

/// What an app asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) scopes: Permissions,
    pub(super) state: String,
    /// SHA-256 of the code verifier.
    pub(super) challenge: [u8; 32],
    /// Thumbprint of the key that must redeem the code, if the app said so.
    pub(super) thumbprint: Option<[u8; 32]>,
    pub(super) expires_at: UnixNanos,
    /// Random: two equal requests have two handles.
    pub(super) nonce: [u8; 16],
}

impl Request {
    pub(super) fn handle(&self, key: &MacKey) -> String {
        let mut encoder = Encoder::new(Vec::new());
        let thumbprint = self.thumbprint.as_ref().map_or(&[][..], |thumbprint| thumbprint);
        encoder
            .array(8)
            .and_then(|encoder| encoder.str(&self.client_id)?.str(&self.redirect_uri)?.u8(self.scopes.bits()))
            .and_then(|encoder| encoder.str(&self.state)?.bytes(&self.challenge)?.bytes(thumbprint))
            .and_then(|encoder| encoder.u64(self.expires_at.0)?.bytes(&self.nonce).map(drop))
            .expect("writing to memory does not fail");
        let mut bytes = encoder.into_writer();
        let mac = key.sign(&[HANDLE_PURPOSE, &bytes]);
        bytes.extend_from_slice(&mac);
        base64url(&bytes)
    }

    /// The request of a handle made here.
    pub(super) fn parse(handle: &str, key: &MacKey) -> Option<Self> {
        if handle.len() > HANDLE_BYTES_MAX {
            return None;
        }
        let bytes = from_base64url(handle.as_bytes())?;
        let (content, mac) = bytes.split_at(bytes.len().checked_sub(MAC_BYTES)?);
        if !key.verify(&[HANDLE_PURPOSE, content], mac) {
            return None;
        }
        let decoder = &mut Decoder::new(content);
        if !matches!(decoder.array(), Ok(Some(8))) {
            return None;
        }
        Some(Self {
            client_id: decoder.str().ok()?.to_owned(),
            redirect_uri: decoder.str().ok()?.to_owned(),
            scopes: Permissions::from_bits(decoder.u8().ok()?).ok()?,
            state: decoder.str().ok()?.to_owned(),
            challenge: decoder.bytes().ok()?.try_into().ok()?,
            thumbprint: match decoder.bytes().ok()? {
                [] => None,
                bytes => Some(bytes.try_into().ok()?),
            },
            expires_at: UnixNanos(decoder.u64().ok()?),
            nonce: decoder.bytes().ok()?.try_into().ok()?,
        })
    }
}

/// What a code stands for: the request, and what the customer granted.
pub(super) struct Consented {
    pub(super) request: Request,
    pub(super) consent: Consent,
    pub(super) number: GrantNumber,
    pub(super) expires_at: UnixNanos,
}

enum Code {
    Fresh(Box<Consented>),
    /// Attempted; the grant it stood for, whether that came to be or not.
    Used(GrantNumber),
    /// Attempted again; that is on record.
    Stolen,
}

/// What came of an attempt at a code.
pub(super) enum Attempt {
    /// The first, in time.
    Fresh(Box<Consented>),
    /// The second: the grant, if there is or will be one, must end.
    Repeated(GrantNumber),
    Unknown,
}

/// The codes given out, and the handles answered.
#[derive(Default)]
pub(super) struct Pending {
    codes: BTreeMap<[u8; 32], Code>,
    codes_by_age: VecDeque<(UnixNanos, [u8; 32])>,
    answered: BTreeSet<[u8; 16]>,
    answered_by_age: VecDeque<(UnixNanos, [u8; 16])>,
}

impl Pending {
    fn forget(&mut self, now: UnixNanos) {
        while let Some((_, code)) = self.codes_by_age.pop_front_if(|(until, _)| *until <= now) {
            self.codes.remove(&code);
        }
        while let Some((_, nonce)) = self.answered_by_age.pop_front_if(|(until, _)| *until <= now) {
            self.answered.remove(&nonce);
        }
    }

    pub(super) fn is_answered(&self, request: &Request) -> bool {
        self.answered.contains(&request.nonce)
    }

    /// Whether one more handle can be answered, with a code.
    pub(super) fn has_room(&mut self, now: UnixNanos) -> bool {
        self.forget(now);
        self.answered.len() < ANSWERED_MAX && self.codes.len() < CODES_MAX
    }

    /// Marks the handle of a request as answered: false if it was before.
    pub(super) fn answer(&mut self, request: &Request, now: UnixNanos) -> bool {
        let first = self.answered.insert(request.nonce);
        if first {
            // Ages are in order even if the clock steps back: a handle is remembered too long, never too short.
            let until = now.plus(HANDLE_LIFE).max(request.expires_at);
            let until = self.answered_by_age.back().map_or(until, |(last, _)| until.max(*last));
            self.answered_by_age.push_back((until, request.nonce));
        }
        first
    }

    pub(super) fn give_code(&mut self, code: &str, consented: Consented, now: UnixNanos) {
        let hash = sha256(&[code.as_bytes()]);
        let until = now.plus(CODE_LIFE + USED_CODE_MEMORY);
        let until = self.codes_by_age.back().map_or(until, |(last, _)| until.max(*last));
        self.codes.insert(hash, Code::Fresh(Box::new(consented)));
        self.codes_by_age.push_back((until, hash));
    }

    pub(super) fn attempt(&mut self, code: &str, now: UnixNanos) -> Attempt {
        self.forget(now);
        let Some(known) = self.codes.get_mut(&sha256(&[code.as_bytes()])) else { return Attempt::Unknown };
        let number = match known {
            Code::Fresh(consented) => consented.number,
            Code::Used(number) => {
                let number = *number;
                *known = Code::Stolen;
                return Attempt::Repeated(number);
            }
            Code::Stolen => return Attempt::Unknown,
        };
        match std::mem::replace(known, Code::Used(number)) {
            Code::Fresh(consented) if now < consented.expires_at => Attempt::Fresh(consented),
            Code::Fresh(_) | Code::Used(_) | Code::Stolen => Attempt::Unknown,
        }
    }
}
