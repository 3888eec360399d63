//! Salted, memory-hard passphrase hashes: Argon2id (RFC 9106).

use argon2::{Algorithm, Argon2, Block, Params, Version};

/// Stored bytes that are not a passphrase hash of a known version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a passphrase hash")]
pub struct MalformedHash;

/// A salted hash. Layout in storage: version `1`, 16 bytes of salt, 32 bytes of hash.
///
/// Version 1 is Argon2id with 19 MiB, two passes, one lane: the OWASP minimum, about 20 ms of one core. Slow on
/// purpose, so callers verify once and then keep a keyed MAC of the accepted passphrase in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassphraseHash([u8; Self::STORED_BYTES]);

impl PassphraseHash {
    /// Size in storage.
    pub const STORED_BYTES: usize = 1 + 16 + 32;

    /// Hashes under a salt, which must be fresh random bytes.
    #[must_use]
    pub fn new(passphrase: &[u8], salt: [u8; 16]) -> Self {
        let mut stored = [0; Self::STORED_BYTES];
        stored[0] = 1;
        stored[1..17].copy_from_slice(&salt);
        stored[17..].copy_from_slice(&derive(passphrase, &salt));
        Self(stored)
    }

    /// Whether this is the hash of `passphrase`; constant time in the hash.
    #[must_use]
    pub fn verify(&self, passphrase: &[u8]) -> bool {
        crate::ct_eq(&derive(passphrase, &self.0[1..17]), &self.0[17..])
    }

    /// Bytes for storage.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::STORED_BYTES] {
        &self.0
    }

    /// From storage.
    ///
    /// # Errors
    /// [`MalformedHash`] on a wrong length or unknown version.
    pub fn from_bytes(stored: &[u8]) -> Result<Self, MalformedHash> {
        let bytes: [u8; Self::STORED_BYTES] = stored.try_into().map_err(|_| MalformedHash)?;
        if bytes[0] == 1 { Ok(Self(bytes)) } else { Err(MalformedHash) }
    }
}

/// Room asked for, of which the hash touches 19 MiB. Beyond 32 MiB the system's allocator always maps memory of its
/// own and unmaps it when freed; smaller aligned blocks it keeps and does not reuse, some 400 MiB after fifty hashes.
const ROOM_BYTES: usize = 33 << 20;

fn derive(passphrase: &[u8], salt: &[u8]) -> [u8; 32] {
    let params = Params::new(19 * 1024, 2, 1, Some(32)).expect("constant parameters are valid");
    let mut memory = Vec::with_capacity(ROOM_BYTES / Block::SIZE);
    memory.resize(params.block_count(), Block::default());
    let mut out = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase, salt, &mut out, &mut memory)
        .expect("constant parameters and a 16-byte salt are valid");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_passphrase_verifies() {
        let hash = PassphraseHash::new(b"Correct-Horse-1", [9; 16]);
        assert!(hash.verify(b"Correct-Horse-1"));
        assert!(!hash.verify(b"correct-horse-1"));
        assert_eq!(PassphraseHash::from_bytes(hash.as_bytes()), Ok(hash.clone()));
        assert_eq!(PassphraseHash::from_bytes(&[0; 49]), Err(MalformedHash));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_goes_back_to_the_system() {
        let resident_kib = || -> u64 {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let before = resident_kib();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..16).for_each(|n| drop(PassphraseHash::new(b"Correct-Horse-1", [n; 16]))));
            }
        });
        let grown_mib = resident_kib().saturating_sub(before) >> 10;
        assert!(grown_mib < 60, "{grown_mib} MiB stayed after 32 hashes of 19 MiB");
    }
}
