//! Recursive length prefix, reading and writing (Ethereum yellow paper, appendix B).
//!
//! Reading is strict: a length or an integer has one spelling, and a text that has another is refused. A signer and a
//! reader that disagree about what some bytes mean must not both accept them.

use chain::{evm::Account, u256::U256};

/// Why bytes are no canonical encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RlpError {
    /// An item is longer than what is left.
    #[error("the item at byte {at} is longer than what is left")]
    Cut {
        /// Where it starts.
        at: usize,
    },
    /// An item has a longer spelling than it needs.
    #[error("the item at byte {at} is not in its shortest form")]
    NotCanonical {
        /// Where it starts.
        at: usize,
    },
    /// A list where a text is expected, or the other way round.
    #[error("the item at byte {at} is {found}, {wanted} is expected")]
    OtherKind {
        /// Where it starts.
        at: usize,
        /// What it is.
        found: &'static str,
        /// What should be there.
        wanted: &'static str,
    },
    /// A text that does not fit its field.
    #[error("the item at byte {at} is no {wanted}")]
    OtherSize {
        /// Where it starts.
        at: usize,
        /// What should be there.
        wanted: &'static str,
    },
    /// Bytes after the end.
    #[error("{count} bytes follow the end at byte {at}")]
    Trailing {
        /// Where the end is.
        at: usize,
        /// How many follow.
        count: usize,
    },
}

/// One item: where it starts, its content, and its bytes with the prefix.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'b> {
    at: usize,
    is_list: bool,
    content: &'b [u8],
    content_at: usize,
    pub(crate) whole: &'b [u8],
}

/// Reads items one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Items<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Items<'b> {
    /// The items in `bytes`, which start at offset `at` of the text errors speak of.
    pub(crate) const fn new(bytes: &'b [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next item.
    pub(crate) fn item(&mut self) -> Result<Item<'b>, RlpError> {
        let at = self.at;
        let cut = RlpError::Cut { at };
        let (first, rest) = self.bytes.split_first().ok_or(cut)?;
        let (is_list, prefix, len) = match *first {
            0..=0x7f => (false, 0, 1),
            0x80..=0xb7 => (false, 1, usize::from(*first - 0x80)),
            0xb8..=0xbf => (false, 1 + usize::from(*first - 0xb7), long_length(rest, *first - 0xb7, at)?),
            0xc0..=0xf7 => (true, 1, usize::from(*first - 0xc0)),
            0xf8..=0xff => (true, 1 + usize::from(*first - 0xf7), long_length(rest, *first - 0xf7, at)?),
        };
        let end = prefix.checked_add(len).ok_or(cut)?;
        let (whole, left) = self.bytes.split_at_checked(end).ok_or(cut)?;
        let content = whole.get(prefix..).ok_or(cut)?;
        if !is_list && prefix == 1 && matches!(content, [0..=0x7f]) {
            return Err(RlpError::NotCanonical { at });
        }
        self.bytes = left;
        self.at = at.saturating_add(end);
        Ok(Item { at, is_list, content, content_at: at.saturating_add(prefix), whole })
    }

    /// That nothing is left.
    pub(crate) const fn end(&self) -> Result<(), RlpError> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(RlpError::Trailing { at: self.at, count: self.bytes.len() })
        }
    }

    /// The next item as a list.
    pub(crate) fn list(&mut self) -> Result<Self, RlpError> {
        self.item()?.list()
    }

    /// The next item as a text of bytes.
    pub(crate) fn bytes(&mut self) -> Result<&'b [u8], RlpError> {
        self.item()?.bytes()
    }

    /// The next item as a text of exactly so many bytes.
    pub(crate) fn array<const N: usize>(&mut self, wanted: &'static str) -> Result<[u8; N], RlpError> {
        let item = self.item()?;
        item.bytes()?.try_into().map_err(|_| RlpError::OtherSize { at: item.at, wanted })
    }

    /// The next item as an account.
    pub(crate) fn account(&mut self) -> Result<Account, RlpError> {
        self.array("account of 20 bytes").map(Account)
    }

    /// The next item as an account, or none if it is empty.
    pub(crate) fn account_or_none(&mut self) -> Result<Option<Account>, RlpError> {
        let mut ahead = *self;
        if ahead.bytes()?.is_empty() {
            *self = ahead;
            return Ok(None);
        }
        self.account().map(Some)
    }

    /// The next item as an integer without leading zeros.
    pub(crate) fn integer(&mut self) -> Result<U256, RlpError> {
        let item = self.item()?;
        let text = item.bytes()?;
        if text.first() == Some(&0) {
            return Err(RlpError::NotCanonical { at: item.at });
        }
        U256::from_be_slice(text)
            .ok_or(RlpError::OtherSize { at: item.at, wanted: "integer of at most 32 bytes" })
    }

    /// The next item as an integer below 2^64.
    pub(crate) fn number(&mut self) -> Result<u64, RlpError> {
        let at = self.at;
        self.integer()?.to_u64().ok_or(RlpError::OtherSize { at, wanted: "integer of at most 8 bytes" })
    }
}

impl<'b> Item<'b> {
    pub(crate) const fn is_list(&self) -> bool {
        self.is_list
    }

    pub(crate) const fn list(self) -> Result<Items<'b>, RlpError> {
        if self.is_list {
            Ok(Items::new(self.content, self.content_at))
        } else {
            Err(RlpError::OtherKind { at: self.at, found: "a text", wanted: "a list" })
        }
    }

    const fn bytes(self) -> Result<&'b [u8], RlpError> {
        if self.is_list {
            Err(RlpError::OtherKind { at: self.at, found: "a list", wanted: "a text" })
        } else {
            Ok(self.content)
        }
    }
}

/// A length of `digits` bytes: without leading zeros and too large for the short form.
fn long_length(rest: &[u8], digits: u8, at: usize) -> Result<usize, RlpError> {
    let digits = rest.get(..usize::from(digits)).ok_or(RlpError::Cut { at })?;
    if digits.first() == Some(&0) {
        return Err(RlpError::NotCanonical { at });
    }
    let len = digits
        .iter()
        .try_fold(0usize, |len, digit| len.checked_mul(256)?.checked_add(usize::from(*digit)))
        .ok_or(RlpError::Cut { at })?;
    if len < 56 {
        return Err(RlpError::NotCanonical { at });
    }
    Ok(len)
}

/// Appends a text of bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, text: &[u8]) {
    match text {
        [byte] if *byte < 0x80 => out.push(*byte),
        _ => {
            put_length(out, 0x80, text.len());
            out.extend_from_slice(text);
        }
    }
}

/// Appends an integer.
pub(crate) fn put_integer(out: &mut Vec<u8>, value: U256) {
    let digits = value.to_be_bytes();
    let zeros = digits.iter().take_while(|byte| **byte == 0).count();
    put_bytes(out, digits.get(zeros..).unwrap_or(&[]));
}

/// Appends a list whose items are written already.
pub(crate) fn put_list(out: &mut Vec<u8>, items: &[u8]) {
    put_length(out, 0xc0, items.len());
    out.extend_from_slice(items);
}

fn put_length(out: &mut Vec<u8>, offset: u8, len: usize) {
    match u8::try_from(len) {
        Ok(short @ 0..=55) => out.push(offset + short),
        _ => {
            let digits = len.to_be_bytes();
            let zeros = digits.iter().take_while(|byte| **byte == 0).count();
            let digits = digits.get(zeros..).unwrap_or(&[]);
            // At most eight digits.
            out.push(offset + 55 + u8::try_from(digits.len()).unwrap_or(8));
            out.extend_from_slice(digits);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_spelling() {
        let read = |bytes: &[u8]| {
            let mut items = Items::new(bytes, 0);
            let text = items.bytes()?.to_vec();
            items.end().map(|()| text)
        };
        assert_eq!(read(&[0x83, b'd', b'o', b'g']).unwrap(), b"dog");
        assert_eq!(read(&[0x80]).unwrap(), b"");
        assert_eq!(read(&[0x7f]).unwrap(), [0x7f]);
        assert_eq!(read(&[0x81, 0x7f]), Err(RlpError::NotCanonical { at: 0 }));
        assert_eq!(read(&[0xb8, 0x01, 0xff]), Err(RlpError::NotCanonical { at: 0 }));
        assert_eq!(read(&[0xb9, 0x00, 0x40]), Err(RlpError::NotCanonical { at: 0 }));
        assert_eq!(read(&[0x83, b'd', b'o']), Err(RlpError::Cut { at: 0 }));
        assert_eq!(read(&[]), Err(RlpError::Cut { at: 0 }));
        assert_eq!(
            read(&[0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            Err(RlpError::Cut { at: 0 })
        );
        assert_eq!(read(&[0x80, 0x80]), Err(RlpError::Trailing { at: 1, count: 1 }));
        assert!(matches!(read(&[0xc0]), Err(RlpError::OtherKind { .. })));
        assert_eq!(Items::new(&[0x82, 0, 1], 0).integer(), Err(RlpError::NotCanonical { at: 0 }));
        assert_eq!(Items::new(&[0x00], 0).integer(), Err(RlpError::NotCanonical { at: 0 }));
        assert!(matches!(Items::new(&[0xa1; 34], 0).integer(), Err(RlpError::OtherSize { .. })));
        assert!(matches!(Items::new(&[0x80], 0).account(), Err(RlpError::OtherSize { .. })));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in proptest::collection::vec(any::<u8>(), 0..300), number: [u8; 32]) {
            let mut items = Vec::new();
            put_bytes(&mut items, &text);
            put_integer(&mut items, U256::from_be_bytes(number));
            let mut out = Vec::new();
            put_list(&mut out, &items);
            let mut outer = Items::new(&out, 0);
            let mut inner = outer.list().unwrap();
            outer.end().unwrap();
            prop_assert_eq!(inner.bytes().unwrap(), &text[..]);
            prop_assert_eq!(inner.integer().unwrap(), U256::from_be_bytes(number));
            inner.end().unwrap();
        }
    }
}
