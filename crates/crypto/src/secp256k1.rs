//! Public keys from signatures over secp256k1: who signed what a chain records. Nothing is signed here.
//!
//! The curve of Bitcoin and Ethereum is none of the provider's, so this is the one place that asks another library:
//! libsecp256k1, the chains' own.

use secp256k1::{
    Message, Secp256k1,
    ecdsa::{RecoverableSignature, RecoveryId},
};

/// The key that signed `digest`, as its point without the leading 0x04: 64 bytes. `None` when the numbers are no signature.
/// `parity` is the lowest bit of the point's second coordinate.
#[must_use]
pub fn secp256k1_recover(digest: &[u8; 32], r: &[u8; 32], s: &[u8; 32], parity: bool) -> Option<[u8; 64]> {
    let mut compact = [0u8; 64];
    compact.iter_mut().zip(r.iter().chain(s)).for_each(|(to, from)| *to = *from);
    let id = RecoveryId::from_i32(i32::from(parity)).ok()?;
    let signature = RecoverableSignature::from_compact(&compact, id).ok()?;
    let curve = Secp256k1::verification_only();
    let key = curve.recover_ecdsa(&Message::from_digest(*digest), &signature).ok()?;
    let point = key.serialize_uncompressed();
    point.split_first_chunk::<1>()?.1.try_into().ok()
}
