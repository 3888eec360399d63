//! Random bytes from the operating system. Engines never call this: they are given what they need.

use aws_lc_rs::rand;

/// Fills `out`.
///
/// # Panics
/// When the operating system gives no entropy: continuing would produce guessable keys.
pub fn fill(out: &mut [u8]) {
    rand::fill(out).expect("the operating system gives entropy");
}

/// `N` random bytes.
///
/// # Panics
/// As [`fill`].
#[must_use]
pub fn array<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    fill(&mut out);
    out
}
