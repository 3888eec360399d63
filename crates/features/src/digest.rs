//! A digest of derived state in one canonical order, so that two folds can be compared by 32 bytes.
//!
//! Not a storage format: nothing can be read back. Every value is fed with its length or in a fixed width, so
//! that different states never feed the same bytes.

use std::net::IpAddr;

use crypto::Sha256;
use domain::{AccountId, Amount, Asset, DeviceId, UnixNanos};

/// Collects state and yields its SHA-256.
#[derive(Debug, Clone)]
pub struct StateDigest(Sha256);

impl StateDigest {
    /// Starts a digest; `purpose` separates digests of different things.
    #[must_use]
    pub fn new(purpose: &str) -> Self {
        let mut digest = Self(Sha256::new());
        digest.bytes(purpose.as_bytes());
        digest
    }

    /// Feeds bytes of any length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    /// Feeds a number.
    pub fn number(&mut self, number: u64) {
        self.0.update(&number.to_be_bytes());
    }

    /// Feeds a time.
    pub fn time(&mut self, at: UnixNanos) {
        self.number(at.0);
    }

    /// Feeds a time that may be absent.
    pub fn optional_time(&mut self, at: Option<UnixNanos>) {
        self.number(u64::from(at.is_some()));
        self.time(at.unwrap_or_default());
    }

    /// Feeds an amount; equal amounts feed equal bytes.
    pub fn amount(&mut self, amount: Amount) {
        let (mantissa, scale) = amount.parts();
        self.0.update(&mantissa.to_be_bytes());
        self.0.update(&scale.to_be_bytes());
    }

    /// The digest of everything fed.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finish()
    }
}

/// A value with one canonical byte form for [`StateDigest`].
pub trait Canonical {
    /// Feeds the value; different values feed different bytes.
    fn feed(&self, digest: &mut StateDigest);
}

impl Canonical for () {
    fn feed(&self, _: &mut StateDigest) {}
}

impl Canonical for AccountId {
    fn feed(&self, digest: &mut StateDigest) {
        digest.bytes(self.as_str().as_bytes());
    }
}

impl Canonical for Asset {
    fn feed(&self, digest: &mut StateDigest) {
        digest.bytes(self.as_str().as_bytes());
    }
}

impl Canonical for DeviceId {
    fn feed(&self, digest: &mut StateDigest) {
        digest.bytes(self.as_str().as_bytes());
    }
}

impl Canonical for IpAddr {
    fn feed(&self, digest: &mut StateDigest) {
        match self {
            Self::V4(ip) => digest.bytes(&ip.octets()),
            Self::V6(ip) => digest.bytes(&ip.octets()),
        }
    }
}

impl Canonical for u64 {
    fn feed(&self, digest: &mut StateDigest) {
        digest.number(*self);
    }
}

impl<A: Canonical, B: Canonical> Canonical for (A, B) {
    fn feed(&self, digest: &mut StateDigest) {
        self.0.feed(digest);
        self.1.feed(digest);
    }
}
