//! Same key, same decision: a bounded memory of idempotency keys.
//!
//! Keys are scoped by account and remembered as digests, so the memory holds no client data. It is derived
//! state: replaying the log fills it again.

use std::collections::{HashMap, VecDeque};

use domain::{AccountId, Decision, Destination, Judgement, WithdrawalRequest};

use crate::shadow::{asked_as, would_be};

/// Keys remembered; the oldest are forgotten first. 80 bytes each, 80 MiB when full.
pub const MAX_KEYS: usize = 1_000_000;

type Digest = [u8; 32];

/// What a key was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// Where the decision is.
    pub(crate) position: u64,
    /// Digest of what was asked.
    pub(crate) request: [u8; 16],
}

/// What the decider needs to know of an earlier decision that carried an idempotency key: digests and a position,
/// no client data. 56 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyedDecision {
    pub(crate) key: Digest,
    pub(crate) remembered: Remembered,
}

impl KeyedDecision {
    /// Of a decision found in the log; `None` when it carries no key.
    #[must_use]
    pub fn of(position: u64, decision: &Decision) -> Option<Self> {
        let key = decision.idempotency_key.as_ref()?;
        Some(Self {
            key: key_digest(&decision.request.account, key),
            remembered: Remembered {
                position,
                request: asked_as(fingerprint(&decision.request), would_be(&decision.findings).is_some()),
            },
        })
    }

    /// Of a judgement found in the log; `None` when it carries no key.
    #[must_use]
    pub fn of_judgement(position: u64, judgement: &Judgement) -> Option<Self> {
        let key = judgement.idempotency_key.as_ref()?;
        Some(Self {
            key: caller_key_digest(&judgement.caller, key),
            remembered: Remembered { position, request: short(&judgement.request_sha256) },
        })
    }
}

/// Bounded map from key to decision.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    by_key: HashMap<Digest, Remembered, foldhash::fast::RandomState>,
    oldest_first: VecDeque<Digest>,
}

impl Keys {
    pub(crate) fn find(&self, key: &Digest) -> Option<Remembered> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn remember(&mut self, key: Digest, remembered: Remembered) {
        if self.by_key.contains_key(&key) {
            return;
        }
        if self.oldest_first.len() >= MAX_KEYS
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.by_key.remove(&oldest);
        }
        self.by_key.insert(key, remembered);
        self.oldest_first.push_back(key);
    }
}

/// Digest of an account's key.
pub(crate) fn key_digest(account: &AccountId, key: &str) -> Digest {
    let account = account.as_str().as_bytes();
    crypto::sha256(&[&(account.len() as u64).to_be_bytes(), account, key.as_bytes()])
}

/// Digest of a caller's key for acts; never one of an account's.
pub(crate) fn caller_key_digest(caller: &str, key: &str) -> Digest {
    let caller = caller.as_bytes();
    crypto::sha256(&[b"caller", &(caller.len() as u64).to_be_bytes(), caller, key.as_bytes()])
}

/// The first half of a digest.
pub(crate) fn short(digest: &Digest) -> [u8; 16] {
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().zip(digest) {
        *to = *from;
    }
    short
}

/// Digest of what moves where: asset, amount, fee, network, destination and tag. Account, time, address and device of the
/// sender are not in it: two sends of one request have one fingerprint.
#[must_use]
pub fn fingerprint(request: &WithdrawalRequest) -> [u8; 16] {
    let (kind, place, tag) = match &request.destination {
        Destination::Internal { .. } => (0_u8, String::new(), None),
        Destination::OnChain { network, tag, .. } => (1, network.to_string(), tag.clone()),
        Destination::UnknownNetwork { network, .. } => (2, network.clone(), None),
    };
    let amount = request.amount.to_string();
    let fee = request.fee.map(|fee| fee.to_string()).unwrap_or_default();
    let tag = tag.unwrap_or_default();
    let mut hasher = crypto::Sha256::new();
    hasher.update(&[kind]);
    for part in [request.asset.as_str(), &amount, &fee, &place, request.destination.text(), &tag] {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    short(&hasher.finish())
}
