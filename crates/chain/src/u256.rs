//! Unsigned integers of 256 bits: what EVM chains count value in.
//!
//! Only what following a chain needs: comparison, checked addition and subtraction, big-endian bytes, hexadecimal and
//! decimal text. It is not a number tower; money inside the exchange is [`domain::Amount`].

use std::{cmp::Ordering, fmt};

/// An unsigned integer below 2^256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct U256 {
    /// Least significant first.
    limbs: [u64; 4],
}

/// A text that is no integer of 256 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a hexadecimal integer of at most 64 digits")]
pub struct NotU256;

impl U256 {
    /// The largest value; as an allowance it means "unlimited".
    pub const MAX: Self = Self { limbs: [u64::MAX; 4] };
    /// One.
    pub const ONE: Self = Self { limbs: [1, 0, 0, 0] };
    /// Nothing.
    pub const ZERO: Self = Self { limbs: [0; 4] };

    /// From big-endian bytes.
    #[must_use]
    pub fn from_be_bytes(bytes: [u8; 32]) -> Self {
        let mut limbs = [0u64; 4];
        for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
            *limb = chunk.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte));
        }
        Self { limbs }
    }

    /// From at most 32 big-endian bytes; `None` for more.
    #[must_use]
    pub fn from_be_slice(bytes: &[u8]) -> Option<Self> {
        let mut whole = [0u8; 32];
        let start = whole.len().checked_sub(bytes.len())?;
        whole.get_mut(start..)?.copy_from_slice(bytes);
        Some(Self::from_be_bytes(whole))
    }

    /// Big-endian bytes.
    #[must_use]
    pub fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0u8; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.limbs.iter().rev()) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }

    /// Parses hexadecimal digits without a prefix; leading zeros are allowed.
    ///
    /// # Errors
    /// [`NotU256`] for no digit, more than 64, or another character.
    pub fn from_hex(digits: &str) -> Result<Self, NotU256> {
        if digits.is_empty() || digits.len() > 64 {
            return Err(NotU256);
        }
        let mut limbs = [0u64; 4];
        for digit in digits.bytes() {
            let value = char::from(digit).to_digit(16).ok_or(NotU256)?;
            let mut carry = u64::from(value);
            for limb in &mut limbs {
                let over = *limb >> 60;
                *limb = (*limb << 4) | carry;
                carry = over;
            }
        }
        Ok(Self { limbs })
    }

    /// Whether it is zero.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        matches!(self.limbs, [0, 0, 0, 0])
    }

    /// The sum, unless it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let mut limbs = [0u64; 4];
        let mut carry = false;
        for (out, (left, right)) in limbs.iter_mut().zip(self.limbs.iter().zip(other.limbs)) {
            let (sum, first) = left.overflowing_add(right);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*out, carry) = (sum, first || second);
        }
        (!carry).then_some(Self { limbs })
    }

    /// The difference, unless it is negative.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let mut limbs = [0u64; 4];
        let mut borrow = false;
        for (out, (left, right)) in limbs.iter_mut().zip(self.limbs.iter().zip(other.limbs)) {
            let (rest, first) = left.overflowing_sub(right);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            (*out, borrow) = (rest, first || second);
        }
        (!borrow).then_some(Self { limbs })
    }

    /// The value as `u128`, if it fits.
    #[must_use]
    pub fn to_u128(self) -> Option<u128> {
        let [low, high, 0, 0] = self.limbs else { return None };
        Some((u128::from(high) << 64) | u128::from(low))
    }

    /// The value as `u64`, if it fits.
    #[must_use]
    pub const fn to_u64(self) -> Option<u64> {
        let [low, 0, 0, 0] = self.limbs else { return None };
        Some(low)
    }

    /// Divides by a small divisor; the quotient and the remainder.
    fn div_rem(self, divisor: u64) -> (Self, u64) {
        let mut limbs = self.limbs;
        let mut rest = 0u128;
        for limb in limbs.iter_mut().rev() {
            let dividend = (rest << 64) | u128::from(*limb);
            // The quotient fits: the rest is below the divisor.
            *limb = u64::try_from(dividend / u128::from(divisor)).unwrap_or(u64::MAX);
            rest = dividend % u128::from(divisor);
        }
        (Self { limbs }, u64::try_from(rest).unwrap_or(u64::MAX))
    }
}

impl From<u64> for U256 {
    fn from(value: u64) -> Self {
        Self { limbs: [value, 0, 0, 0] }
    }
}

impl From<u128> for U256 {
    fn from(value: u128) -> Self {
        let mut bytes = [0u8; 32];
        if let Some(low) = bytes.get_mut(16..) {
            low.copy_from_slice(&value.to_be_bytes());
        }
        Self::from_be_bytes(bytes)
    }
}

impl Ord for U256 {
    fn cmp(&self, other: &Self) -> Ordering {
        self.limbs.iter().rev().cmp(other.limbs.iter().rev())
    }
}

impl PartialOrd for U256 {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for U256 {
    /// Decimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The largest power of ten below 2^64.
        const CHUNK: u64 = 10_000_000_000_000_000_000;
        let mut chunks = Vec::new();
        let mut rest = *self;
        loop {
            let (quotient, chunk) = rest.div_rem(CHUNK);
            chunks.push(chunk);
            rest = quotient;
            if rest.is_zero() {
                break;
            }
        }
        let mut text = String::new();
        for (idx, chunk) in chunks.iter().rev().enumerate() {
            text.push_str(&if idx == 0 { chunk.to_string() } else { format!("{chunk:019}") });
        }
        f.pad_integral(true, "", &text)
    }
}

impl fmt::Debug for U256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "U256({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(U256::ZERO.to_string(), "0");
        assert_eq!(
            U256::MAX.to_string(),
            "115792089237316195423570985008687907853269984665640564039457584007913129639935"
        );
        assert_eq!(U256::from_hex("d3c21bcecceda1000000"), Ok(U256::from(1_000_000 * 10u128.pow(18))));
        assert_eq!(U256::MAX.checked_add(U256::ONE), None);
        assert_eq!(U256::ZERO.checked_sub(U256::ONE), None);
        assert_eq!(U256::from_hex(""), Err(NotU256));
        assert_eq!(U256::from_hex(&"f".repeat(64)), Ok(U256::MAX));
        assert_eq!(U256::from_hex(&"0".repeat(65)), Err(NotU256));
        assert_eq!(U256::from_hex("+1"), Err(NotU256));
    }

    proptest! {
        #[test]
        fn agrees_with_u128(left: u128, right: u128) {
            let (a, b) = (U256::from(left), U256::from(right));
            prop_assert_eq!(a.to_string(), left.to_string());
            prop_assert_eq!(a.cmp(&b), left.cmp(&right));
            prop_assert_eq!(a.checked_sub(b).and_then(U256::to_u128), left.checked_sub(right));
            prop_assert_eq!(U256::from_hex(&format!("{left:x}")), Ok(a));
            prop_assert_eq!(a.to_u128(), Some(left));
        }

        #[test]
        fn what_is_added_can_be_taken_away(left: [u8; 32], right: [u8; 32]) {
            let (a, b) = (U256::from_be_bytes(left), U256::from_be_bytes(right));
            prop_assert_eq!(a.to_be_bytes(), left);
            match a.checked_add(b) {
                Some(sum) => {
                    prop_assert_eq!(sum.checked_sub(b), Some(a));
                    prop_assert!(sum >= a);
                }
                None => prop_assert!(U256::MAX.checked_sub(a).is_some_and(|room| room < b)),
            }
        }
    }
}
