//! Strict reading of deterministic CBOR (RFC 8949 section 4.2.1) over the minicbor decoder: shortest integer forms,
//! definite lengths, no trailing bytes. What is read re-encodes to the same bytes.
//!
//! Bounds: lengths are checked against the bytes that are there, so a few bytes cannot ask for much memory.

use std::net::IpAddr;

use domain::Amount;
use minicbor::{
    Decoder, Encoder,
    data::{Int, Tag, Type},
};

/// RFC 8949 section 3.4.4: decimal fraction `[exponent, mantissa]`.
const TAG_DECIMAL: u64 = 4;
const TAG_BIGNUM: u64 = 2;
const TAG_NEGATIVE_BIGNUM: u64 = 3;

/// Why bytes are not what a decoder expects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} expected at byte {position}")]
pub(crate) struct Unexpected {
    /// What should stand there.
    pub(crate) what: &'static str,
    /// Where, counted from the start of the item.
    pub(crate) position: usize,
}

pub(crate) type Read<T> = Result<T, Unexpected>;

/// A decoder that accepts only the deterministic encoding.
pub(crate) struct Strict<'b>(Decoder<'b>);

impl<'b> Strict<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self(Decoder::new(bytes))
    }

    pub(crate) fn position(&self) -> usize {
        self.0.position()
    }

    /// An error at the present position.
    pub(crate) fn unexpected(&self, what: &'static str) -> Unexpected {
        Unexpected { what, position: self.0.position() }
    }

    fn at(position: usize, what: &'static str) -> Unexpected {
        Unexpected { what, position }
    }

    /// The head just read, from `start` on and `extra` bytes before the end, must be the shortest for `value`.
    fn shortest(&self, start: usize, extra: usize, value: u64, what: &'static str) -> Read<()> {
        let head = match value {
            0..=23 => 1,
            24..=0xff => 2,
            0x100..=0xffff => 3,
            0x1_0000..=0xffff_ffff => 5,
            _ => 9,
        };
        if self.0.position() - start == head + extra { Ok(()) } else { Err(Self::at(start, what)) }
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Read<u64> {
        let start = self.0.position();
        let value = self.0.u64().map_err(|_| Self::at(start, what))?;
        self.shortest(start, 0, value, what)?;
        Ok(value)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Read<u32> {
        let start = self.0.position();
        u32::try_from(self.u64(what)?).map_err(|_| Self::at(start, what))
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Read<u16> {
        let start = self.0.position();
        u16::try_from(self.u64(what)?).map_err(|_| Self::at(start, what))
    }

    pub(crate) fn bool(&mut self, what: &'static str) -> Read<bool> {
        let start = self.0.position();
        self.0.bool().map_err(|_| Self::at(start, what))
    }

    pub(crate) fn bytes(&mut self, what: &'static str) -> Read<&'b [u8]> {
        let start = self.0.position();
        let bytes = self.0.bytes().map_err(|_| Self::at(start, what))?;
        self.shortest(start, bytes.len(), bytes.len() as u64, what)?;
        Ok(bytes)
    }

    pub(crate) fn array_of_bytes<const N: usize>(&mut self, what: &'static str) -> Read<[u8; N]> {
        let start = self.0.position();
        self.bytes(what)?.try_into().map_err(|_| Self::at(start, what))
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Read<&'b str> {
        let start = self.0.position();
        let text = self.0.str().map_err(|_| Self::at(start, what))?;
        self.shortest(start, text.len(), text.len() as u64, what)?;
        Ok(text)
    }

    /// The head of a list; its length is at most the bytes that follow.
    pub(crate) fn list(&mut self, what: &'static str) -> Read<usize> {
        let start = self.0.position();
        let len = self.0.array().ok().flatten().ok_or_else(|| Self::at(start, what))?;
        self.shortest(start, 0, len, what)?;
        let left = self.0.input().len() - self.0.position();
        usize::try_from(len).ok().filter(|len| *len <= left).ok_or_else(|| Self::at(start, what))
    }

    /// The head of an array of exactly `len` items.
    pub(crate) fn array(&mut self, len: usize, what: &'static str) -> Read<()> {
        let start = self.0.position();
        if self.list(what)? == len { Ok(()) } else { Err(Self::at(start, what)) }
    }

    /// Null, or what `read` reads.
    pub(crate) fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        if matches!(self.0.datatype(), Ok(Type::Null)) {
            return self.0.null().map(|()| None).map_err(|_| self.unexpected("null"));
        }
        read(self).map(Some)
    }

    /// A text that `parse` accepts.
    pub(crate) fn parsed<T>(&mut self, what: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Read<T> {
        let start = self.0.position();
        parse(self.text(what)?).ok_or_else(|| Self::at(start, what))
    }

    /// 4 or 16 bytes.
    pub(crate) fn ip(&mut self, what: &'static str) -> Read<IpAddr> {
        let start = self.0.position();
        let bytes = self.bytes(what)?;
        <[u8; 4]>::try_from(bytes)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
            .map_err(|_| Self::at(start, what))
    }

    fn tag(&mut self, what: &'static str) -> Read<u64> {
        let start = self.0.position();
        let tag = self.0.tag().map_err(|_| Self::at(start, what))?.as_u64();
        self.shortest(start, 0, tag, what)?;
        Ok(tag)
    }

    fn integer(&mut self, what: &'static str) -> Read<i128> {
        let start = self.0.position();
        let bad = || Self::at(start, what);
        if matches!(self.0.datatype(), Ok(Type::Tag)) {
            let negative = match self.tag(what)? {
                TAG_BIGNUM => false,
                TAG_NEGATIVE_BIGNUM => true,
                _ => return Err(bad()),
            };
            let bytes = self.bytes(what)?;
            // Shorter numbers have the plain form; longer ones fit no amount.
            if !(9..=12).contains(&bytes.len()) || bytes[0] == 0 {
                return Err(bad());
            }
            let value = bytes.iter().fold(0_i128, |value, byte| value << 8 | i128::from(*byte));
            return Ok(if negative { -1 - value } else { value });
        }
        let value = i128::from(self.0.int().map_err(|_| bad())?);
        let magnitude = if value < 0 { -1 - value } else { value };
        self.shortest(start, 0, u64::try_from(magnitude).map_err(|_| bad())?, what)?;
        Ok(value)
    }

    /// A decimal fraction in lowest terms.
    pub(crate) fn amount(&mut self, what: &'static str) -> Read<Amount> {
        let start = self.0.position();
        let bad = || Self::at(start, what);
        if self.tag(what)? != TAG_DECIMAL {
            return Err(bad());
        }
        self.array(2, what)?;
        let scale = u32::try_from(-self.integer(what)?).map_err(|_| bad())?;
        let mantissa = self.integer(what)?;
        let amount = Amount::from_parts(mantissa, scale).map_err(|_| bad())?;
        if amount.parts() == (mantissa, scale) { Ok(amount) } else { Err(bad()) }
    }

    /// Nothing follows.
    pub(crate) fn end(self) -> Read<()> {
        if self.0.position() == self.0.input().len() { Ok(()) } else { Err(self.unexpected("the end")) }
    }
}

/// An encoder into memory, where writing cannot fail.
pub(crate) struct Writer<'v>(Encoder<&'v mut Vec<u8>>);

impl<'v> Writer<'v> {
    pub(crate) fn new(out: &'v mut Vec<u8>) -> Self {
        Self(Encoder::new(out))
    }

    pub(crate) fn array(&mut self, len: usize) -> &mut Self {
        drop(self.0.array(len as u64));
        self
    }

    pub(crate) fn uint(&mut self, value: impl Into<u64>) -> &mut Self {
        drop(self.0.u64(value.into()));
        self
    }

    pub(crate) fn bool(&mut self, value: bool) -> &mut Self {
        drop(self.0.bool(value));
        self
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        drop(self.0.bytes(value));
        self
    }

    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        drop(self.0.str(value));
        self
    }

    pub(crate) fn optional<T>(
        &mut self,
        value: Option<T>,
        write: impl FnOnce(&mut Self, T) -> &mut Self,
    ) -> &mut Self {
        match value {
            Some(value) => write(self, value),
            None => {
                drop(self.0.null());
                self
            }
        }
    }

    pub(crate) fn ip(&mut self, ip: IpAddr) -> &mut Self {
        match ip {
            IpAddr::V4(ip) => self.bytes(&ip.octets()),
            IpAddr::V6(ip) => self.bytes(&ip.octets()),
        }
    }

    fn integer(&mut self, value: i128) {
        if let Ok(int) = Int::try_from(value) {
            drop(self.0.int(int));
            return;
        }
        let (tag, magnitude) =
            if value < 0 { (TAG_NEGATIVE_BIGNUM, -1 - value) } else { (TAG_BIGNUM, value) };
        let bytes = magnitude.to_be_bytes();
        let skip = bytes.iter().take_while(|byte| **byte == 0).count();
        drop(self.0.tag(Tag::new(tag)));
        self.bytes(&bytes[skip..]);
    }

    pub(crate) fn amount(&mut self, amount: Amount) -> &mut Self {
        let (mantissa, scale) = amount.parts();
        drop(self.0.tag(Tag::new(TAG_DECIMAL)));
        self.array(2);
        self.integer(-i128::from(scale));
        self.integer(mantissa);
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(amount: Amount) -> Vec<u8> {
        let mut out = Vec::new();
        Writer::new(&mut out).amount(amount);
        out
    }

    #[test]
    fn amounts_have_the_form_of_rfc_8949() {
        // Section 3.4.4: 273.15 is C4 82 21 19 6AB3.
        assert_eq!(encoded(Amount::parse("273.15").unwrap()), [0xc4, 0x82, 0x21, 0x19, 0x6a, 0xb3]);
        // Section 3.4.3: 18446744073709551616 is C2 49 010000000000000000.
        let big = encoded(Amount::parse("18446744073709551617").unwrap());
        assert_eq!(big, [0xc4, 0x82, 0x00, 0xc2, 0x49, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn longer_forms_of_the_same_value_are_refused() {
        assert_eq!(Strict::new(&[0x17]).u64("n"), Ok(23));
        assert!(Strict::new(&[0x18, 0x17]).u64("n").is_err());
        assert!(Strict::new(&[0x19, 0x00, 0xff]).u64("n").is_err());
        assert!(Strict::new(&[0x58, 0x01, 0xaa]).bytes("b").is_err());
        assert!(Strict::new(&[0x5f, 0x41, 0xaa, 0xff]).bytes("b").is_err());
        assert!(Strict::new(&[0x9f, 0xff]).list("l").is_err());
        assert!(Strict::new(&[0x9a, 0xff, 0xff, 0xff, 0xff]).list("l").is_err());
        // 1.50 instead of 1.5, and a bignum that fits a plain integer.
        assert!(Strict::new(&[0xc4, 0x82, 0x21, 0x18, 0x96]).amount("a").is_err());
        assert!(Strict::new(&[0xc4, 0x82, 0x00, 0xc2, 0x41, 0x05]).amount("a").is_err());
    }

    proptest! {
        #[test]
        fn every_amount_round_trips(
            mantissa in -79_228_162_514_264_337_593_543_950_335_i128..=79_228_162_514_264_337_593_543_950_335,
            scale in 0_u32..=28,
        ) {
            let amount = Amount::from_parts(mantissa, scale).unwrap();
            let bytes = encoded(amount);
            let mut strict = Strict::new(&bytes);
            prop_assert_eq!(strict.amount("amount"), Ok(amount));
            prop_assert_eq!(strict.end(), Ok(()));
        }
    }
}
