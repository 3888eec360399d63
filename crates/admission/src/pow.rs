//! Proof of work for browsers: a page solves a small puzzle before it is let at an endpoint without credentials.
//!
//! The puzzle: find a number such that SHA-256 of the challenge, a full stop and the number in decimal begins with so
//! many zero bits. Every bit doubles the work of the client; ours is one MAC and one hash. It is a tax on floods from
//! many addresses and no wall; signed API clients never see it.
//!
//! Nothing is stored for a challenge: it carries its expiry, difficulty and nonce and a MAC over them **and the source
//! it was given to**, and so is worth nothing elsewhere. What is stored is which challenges were solved, since each
//! may be used once: two generations of nonces, each at most [`SEEN_MAX`], turned over when the life of a challenge
//! has passed. When a generation is full, further solutions are refused until it turns: every entry was paid for with
//! the work of a solution.
//!
//! Who has solved one gets a [clearance](Puzzle::clearance), a MAC over source and expiry, and is not asked again.
//!
//! Formats, all lower-case hexadecimal: challenge `1` + expiry in seconds (16 digits) + difficulty (2) + nonce (32) +
//! MAC (32); clearance `1` + expiry (16) + MAC (32). MACs are the first 128 bits of HMAC-SHA256.

use std::{collections::HashSet, fmt, time::Duration};

use crypto::{MacKey, Secret, sha256};
use domain::UnixNanos;
use parking_lot::Mutex;

use crate::reputation::Source;

/// Least and greatest difficulty, in bits: a quarter of a thousand hashes, and a few billion.
pub const BITS: std::ops::RangeInclusive<u8> = 8..=32;
/// Solved challenges remembered for each generation.
pub const SEEN_MAX: usize = 1 << 17;
/// Length of a challenge, in characters.
pub const CHALLENGE_BYTES: usize = 1 + 16 + 2 + 32 + 32;
/// Length of a clearance, in characters.
pub const CLEARANCE_BYTES: usize = 1 + 16 + 32;
/// Most digits of a solution.
const SOLUTION_BYTES_MAX: usize = 20;

/// Why a solution or clearance is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PowError {
    /// Too late.
    #[error("challenge or clearance has expired")]
    Expired,
    /// Not from here, or given to another source.
    #[error("challenge or clearance was not given to this source")]
    Foreign,
    /// More solutions than are remembered; later ones will be accepted again.
    #[error("too many challenges were solved lately")]
    Full,
    /// Not of the form.
    #[error("challenge, solution or clearance is malformed")]
    Malformed,
    /// Solved before.
    #[error("challenge was already used")]
    Used,
    /// Fewer zero bits than asked for.
    #[error("solution does not have the zero bits asked for")]
    Wrong,
}

/// How long things last.
///
/// # Defaults
/// - `challenge_life`: 2 minutes
/// - `clearance_life`: 30 minutes
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PuzzleConfig {
    /// A challenge must be solved within; at least a second.
    pub challenge_life: Duration,
    /// Who has solved one is not asked again for so long.
    pub clearance_life: Duration,
}

impl Default for PuzzleConfig {
    fn default() -> Self {
        Self { challenge_life: Duration::from_secs(120), clearance_life: Duration::from_secs(1_800) }
    }
}

/// Nonces of solved challenges, by when they were solved.
#[derive(Debug, Default)]
struct Seen {
    began: UnixNanos,
    current: HashSet<[u8; 16]>,
    previous: HashSet<[u8; 16]>,
}

/// Gives and checks challenges.
pub struct Puzzle {
    config: PuzzleConfig,
    mac: MacKey,
    seen: Mutex<Seen>,
    seen_max: usize,
}

impl Puzzle {
    /// `secret` is random. Another one makes all challenges and clearances foreign.
    #[must_use]
    pub fn new(mut config: PuzzleConfig, secret: &Secret<[u8; 32]>) -> Self {
        config.challenge_life = config.challenge_life.max(Duration::from_secs(1));
        Self { config, mac: MacKey::new(secret.expose()), seen: Mutex::default(), seen_max: SEEN_MAX }
    }

    /// A challenge for a source. `bits` is put within [`BITS`]; `nonce` is random.
    #[must_use]
    pub fn challenge(&self, source: Source, bits: u8, nonce: [u8; 16], now: UnixNanos) -> String {
        let bits = bits.clamp(*BITS.start(), *BITS.end());
        let mut text = format!("1{:016x}{bits:02x}", now.plus(self.config.challenge_life).as_secs());
        push_hex(&mut text, &nonce);
        let mac = self.tag("challenge", source, &text);
        push_hex(&mut text, &mac);
        text
    }

    /// Takes a solved challenge, once, and returns a clearance for the source.
    ///
    /// # Errors
    /// [`PowError`]; only a right solution uses a challenge up.
    pub fn redeem(
        &self,
        challenge: &str,
        solution: &str,
        source: Source,
        now: UnixNanos,
    ) -> Result<String, PowError> {
        let is_number = !solution.is_empty()
            && solution.len() <= SOLUTION_BYTES_MAX
            && solution.bytes().all(|byte| byte.is_ascii_digit());
        if challenge.len() != CHALLENGE_BYTES || !is_number {
            return Err(PowError::Malformed);
        }
        self.verify("challenge", challenge, source, now)?;
        let bits = hex_number(challenge, 17..19)?;
        let hash = sha256(&[challenge.as_bytes(), b".", solution.as_bytes()]);
        if u64::from(leading_zeros(&hash)) < bits {
            return Err(PowError::Wrong);
        }
        let mut nonce = [0; 16];
        let half = nonce.len() / 2;
        nonce[..half].copy_from_slice(&hex_number(challenge, 19..35)?.to_be_bytes());
        nonce[half..].copy_from_slice(&hex_number(challenge, 35..51)?.to_be_bytes());
        self.use_up(nonce, now)?;
        Ok(self.clearance(source, now))
    }

    /// Lets a source pass for a while without a challenge.
    #[must_use]
    pub fn clearance(&self, source: Source, now: UnixNanos) -> String {
        let mut text = format!("1{:016x}", now.plus(self.config.clearance_life).as_secs());
        let mac = self.tag("clearance", source, &text);
        push_hex(&mut text, &mac);
        text
    }

    /// Checks a clearance.
    ///
    /// # Errors
    /// [`PowError`].
    pub fn check_clearance(&self, clearance: &str, source: Source, now: UnixNanos) -> Result<(), PowError> {
        if clearance.len() != CLEARANCE_BYTES {
            return Err(PowError::Malformed);
        }
        self.verify("clearance", clearance, source, now)
    }

    /// Solved challenges that are remembered.
    #[must_use]
    pub fn n_seen(&self) -> usize {
        let seen = self.seen.lock();
        seen.current.len() + seen.previous.len()
    }

    /// The MAC over what a text is for, the source, and the text.
    fn tag(&self, purpose: &str, source: Source, text: &str) -> [u8; 16] {
        let source = source.net().to_string();
        let mac = self.mac.sign(&[purpose.as_bytes(), b"\n", source.as_bytes(), b"\n", text.as_bytes()]);
        let mut tag = [0; 16];
        tag.copy_from_slice(&mac[..16]);
        tag
    }

    /// Checks form, MAC and expiry of a text that ends in its MAC.
    fn verify(&self, purpose: &str, text: &str, source: Source, now: UnixNanos) -> Result<(), PowError> {
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex || !text.starts_with('1') {
            return Err(PowError::Malformed);
        }
        let (body, tag) = text.split_at_checked(text.len() - 32).ok_or(PowError::Malformed)?;
        let mut expected = String::with_capacity(32);
        push_hex(&mut expected, &self.tag(purpose, source, body));
        if !crypto::ct_eq(expected.as_bytes(), tag.as_bytes()) {
            return Err(PowError::Foreign);
        }
        if now.as_secs() >= hex_number(text, 1..17)? {
            return Err(PowError::Expired);
        }
        Ok(())
    }

    fn use_up(&self, nonce: [u8; 16], now: UnixNanos) -> Result<(), PowError> {
        let seen = &mut *self.seen.lock();
        // A nonce stays for at least one life after it was used, so until its challenge has expired.
        if now.since(seen.began) > self.config.challenge_life {
            let stale = now.since(seen.began) > self.config.challenge_life.saturating_mul(2);
            seen.previous = if stale { HashSet::new() } else { std::mem::take(&mut seen.current) };
            seen.current = HashSet::new();
            seen.began = now;
        }
        if seen.previous.contains(&nonce) || seen.current.contains(&nonce) {
            return Err(PowError::Used);
        }
        if seen.current.len() >= self.seen_max {
            return Err(PowError::Full);
        }
        seen.current.insert(nonce);
        Ok(())
    }
}

impl fmt::Debug for Puzzle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Puzzle").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Zero bits before the first one.
fn leading_zeros(hash: &[u8; 32]) -> u32 {
    let whole = hash.iter().take_while(|byte| **byte == 0);
    let zeros: u32 = whole.map(|_| 8).sum();
    let first = hash.iter().find(|byte| **byte != 0);
    zeros + first.map_or(0, |byte| byte.leading_zeros())
}

fn hex_number(text: &str, at: std::ops::Range<usize>) -> Result<u64, PowError> {
    let digits = text.get(at).ok_or(PowError::Malformed)?;
    u64::from_str_radix(digits, 16).map_err(|_| PowError::Malformed)
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0xf] {
            text.push(char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }));
        }
    }
}

#[cfg(test)]
mod tests;
