//! How an address reads at its two ends.

use domain::{Address, AddressKind};

use crate::address;

/// Digits of hexadecimal kept of each end.
const HEX_DIGITS: u32 = 16;
/// Characters of any other alphabet kept of each end.
const CHARACTERS: u32 = 8;

/// The ends of an address as people see them: the digits after what every address of its kind begins with.
///
/// Letter case plays no part where the format gives it none: the payload is what is compared, not a checksum's case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shape {
    /// Kind of address; only addresses of one kind are compared.
    pub(super) kind: u8,
    /// The first digits, the very first in the highest bits.
    pub(super) head: u64,
    /// The last digits, the very last in the highest bits.
    pub(super) tail: u64,
}

impl Shape {
    /// Of an address.
    #[must_use]
    pub fn of(address: &Address) -> Self {
        if address.kind() == AddressKind::Evm {
            let payload = address.payload();
            let (mut head, mut tail) = ([0; 8], [0; 8]);
            for (to, from) in head.iter_mut().zip(payload) {
                *to = *from;
            }
            for (to, from) in tail.iter_mut().zip(payload.iter().rev()) {
                *to = from.rotate_left(4);
            }
            return Self {
                kind: address.kind().tag(),
                head: u64::from_be_bytes(head),
                tail: u64::from_be_bytes(tail),
            };
        }
        let text = address::encode(address);
        let digits = text.get(fixed(address.kind())..).unwrap_or(&text).as_bytes();
        let (mut head, mut tail) = ([0; 8], [0; 8]);
        for (to, from) in head.iter_mut().zip(digits) {
            *to = *from;
        }
        for (to, from) in tail.iter_mut().zip(digits.iter().rev()) {
            *to = *from;
        }
        Self { kind: address.kind().tag(), head: u64::from_be_bytes(head), tail: u64::from_be_bytes(tail) }
    }

    /// How many digits are equal at each end; none for addresses of different kinds.
    #[must_use]
    #[inline]
    pub fn likeness(&self, other: &Self) -> Likeness {
        if self.kind != other.kind {
            return Likeness { leading: 0, trailing: 0 };
        }
        let bits = self.digit_bits();
        let equal = |one: u64, another: u64| (one ^ another).leading_zeros() / bits;
        Likeness { leading: equal(self.head, other.head), trailing: equal(self.tail, other.tail) }
    }

    /// Whether the address is one nobody holds a key of: the null address and the numbered contracts of the EVM begin with
    /// eight bytes of zero. They resemble one another and imitate nobody.
    #[must_use]
    pub const fn is_reserved(&self) -> bool {
        self.kind == AddressKind::Evm.tag() && self.head == 0
    }

    /// What counts as alike for addresses of this kind.
    #[must_use]
    pub const fn thresholds(&self) -> Thresholds {
        match AddressKind::from_tag(self.kind) {
            Some(AddressKind::Evm) | None => Thresholds::HEX,
            Some(
                AddressKind::BitcoinWitness { .. }
                | AddressKind::LitecoinWitness { .. }
                | AddressKind::BitcoinCashP2pkh
                | AddressKind::BitcoinCashP2sh,
            ) => Thresholds::BECH32,
            Some(_) => Thresholds::BASE58,
        }
    }

    /// Bits one digit takes in `head` and `tail`.
    pub(super) const fn digit_bits(&self) -> u32 {
        if self.kind == AddressKind::Evm.tag() { u64::BITS / HEX_DIGITS } else { u64::BITS / CHARACTERS }
    }
}

/// Characters every address of a kind begins with, which tell nothing apart.
const fn fixed(kind: AddressKind) -> usize {
    match kind {
        // "0x"
        AddressKind::Evm => 2,
        // "1", "3", "L", "M", "T", "r"
        AddressKind::BitcoinP2pkh
        | AddressKind::BitcoinP2sh
        | AddressKind::LitecoinP2pkh
        | AddressKind::LitecoinP2sh
        | AddressKind::Tron
        | AddressKind::Xrp => 1,
        // "bc1q"
        AddressKind::BitcoinWitness { .. } => 4,
        // "ltc1q"
        AddressKind::LitecoinWitness { .. } => 5,
        // "bitcoincash:q"
        AddressKind::BitcoinCashP2pkh | AddressKind::BitcoinCashP2sh => 13,
        _ => 0,
    }
}

/// Equal digits at the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Likeness {
    /// At the beginning, after what every address of the kind begins with; counted up to 16 (hexadecimal) or 8.
    pub leading: u32,
    /// At the end; counted likewise.
    pub trailing: u32,
}

impl Likeness {
    /// Both together.
    #[must_use]
    pub const fn total(self) -> u32 {
        self.leading + self.trailing
    }
}

/// How many equal digits mean something. The alphabets differ in what one equal character is worth (4, 5 and 5.9
/// bits), so the same chance of a coincidence takes fewer of the larger alphabets.
///
/// No minimum is asked of the leading digits alone: attackers also spend all their effort on the tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Fewest equal digits of both ends together that are worth a word. Two random addresses reach it once in 2.4
    /// million pairs (hexadecimal), 2.3 million (base58) or 5.6 million (bech32).
    pub total: u32,
    /// So many of both ends together are strong without regard to how they are spread.
    pub strong_total: u32,
    /// Strong together with `strong_trailing`: both ends were worked on. Once in 268 million pairs (hexadecimal), 656 million
    /// (base58), 1,074 million (bech32).
    pub strong_leading: u32,
    /// Strong together with `strong_leading`.
    pub strong_trailing: u32,
    /// So many of both ends together no attacker can grind (64 bits and more): one address is the other, mistyped.
    pub mistyped_total: u32,
}

impl Thresholds {
    /// For base58: Bitcoin and Litecoin before SegWit, TRON, XRP, Solana.
    pub const BASE58: Self =
        Self { total: 4, strong_total: 6, strong_leading: 2, strong_trailing: 3, mistyped_total: 12 };
    /// For bech32 and `CashAddr`, whose alphabets have 32 characters.
    pub const BECH32: Self =
        Self { total: 5, strong_total: 7, strong_leading: 3, strong_trailing: 3, mistyped_total: 13 };
    /// For hexadecimal: EVM chains.
    pub const HEX: Self =
        Self { total: 6, strong_total: 8, strong_leading: 3, strong_trailing: 4, mistyped_total: 16 };

    /// Whether the addresses are alike at all.
    #[must_use]
    pub const fn alike(&self, likeness: Likeness) -> bool {
        likeness.total() >= self.total
    }

    /// Whether they are so alike that coincidence within one history is out of the question.
    #[must_use]
    pub const fn strong(&self, likeness: Likeness) -> bool {
        likeness.total() >= self.strong_total
            || (likeness.leading >= self.strong_leading && likeness.trailing >= self.strong_trailing)
    }

    /// Whether one is the other with a typing error.
    #[must_use]
    pub const fn mistyped(&self, likeness: Likeness) -> bool {
        likeness.total() >= self.mistyped_total
    }

    /// If `total` digits are equal, so many are equal at one end at least.
    pub(super) const fn one_end(&self) -> u32 {
        self.total.div_ceil(2)
    }
}

#[cfg(test)]
mod tests {
    use domain::ChainFamily;

    use super::*;

    fn shape(family: ChainFamily, text: &str) -> Shape {
        Shape::of(&address::decode(family, text).unwrap())
    }

    #[test]
    fn digits_are_counted_from_both_ends() {
        let one = shape(ChainFamily::Evm, "0x1234567890abcdef1234567890abcdef12345678");
        let other = shape(ChainFamily::Evm, "0x123fff7890abcdef1234567890abcdef1fff5678");
        assert_eq!(one.likeness(&other), Likeness { leading: 3, trailing: 4 });
        assert_eq!(one.likeness(&one), Likeness { leading: 16, trailing: 16 });
        assert!(
            one.thresholds().alike(one.likeness(&other)) && one.thresholds().strong(one.likeness(&other))
        );
    }

    #[test]
    fn what_all_addresses_begin_with_does_not_count() {
        let one = Shape::of(&Address::new(AddressKind::Tron, &[200; 20]).unwrap());
        let other = Shape::of(&Address::new(AddressKind::Tron, &[9; 20]).unwrap());
        assert_eq!(one.likeness(&other).total(), 0);
        assert_eq!(one.thresholds(), Thresholds::BASE58);
        let witness = shape(ChainFamily::Bitcoin, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4");
        assert_eq!((witness.head >> 56, witness.tail >> 56), (u64::from(b'w'), u64::from(b'4')));
        assert_eq!(witness.likeness(&one).total(), 0);
    }
}
