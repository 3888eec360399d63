//! Arguments of calls, by the contract ABI (Solidity documentation, "Contract ABI specification").
//!
//! A signature such as `transfer(address,uint256)` is the whole description: types are read from its text and values
//! from the data. Reading is strict where a contract's own decoder is: an account has twelve zero bytes before it, a
//! flag is 0 or 1, a small number fits its type, an offset stays inside. What it does not demand is that tails lie in
//! the usual order, since contracts do not either; the share of the data that no argument covered is reported.
//!
//! Bounds: a [`Budget`] of values shared by a whole reading, so that offsets that point at one place a thousand times
//! buy nothing; nesting of types is that of the signature.

use chain::{evm::Account, u256::U256};

/// Most values of one reading.
pub(crate) const VALUES_MAX: u32 = 65_536;
/// Bytes of a word.
const WORD: usize = 32;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value<'d> {
    Account(Account),
    Bool(bool),
    Bytes(&'d [u8]),
    /// `bytesN`, as its whole word.
    Fixed([u8; 32]),
    Integer(U256),
    /// A list or a tuple.
    Many(Vec<Self>),
}

/// Why data is not what a signature says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AbiError {
    #[error("the data ends before its arguments do")]
    Cut,
    #[error("a value does not fit its type")]
    Misfit,
    #[error("there are more than {VALUES_MAX} values")]
    TooMany,
}

/// What is left of the bounds of a reading.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) values: u32,
}

impl Budget {
    fn spend(&mut self) -> Result<(), AbiError> {
        self.values = self.values.checked_sub(1).ok_or(AbiError::TooMany)?;
        Ok(())
    }
}

/// A type, as much of it as reading needs. Tuples and lists keep the text of what is in them.
#[derive(Debug, Clone, Copy)]
enum Kind<'t> {
    Account,
    Bool,
    Bytes,
    Fixed,
    /// Bits.
    Integer(u32),
    Tuple(&'t str),
    List(&'t str),
}

impl<'t> Kind<'t> {
    /// The type of a text; signatures are constants of this crate, so a text that is none is a defect the tests find.
    fn of(text: &'t str) -> Self {
        if let Some(of) = text.strip_suffix("[]") {
            return Self::List(of);
        }
        if let Some(items) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
            return Self::Tuple(items);
        }
        match text {
            "address" => Self::Account,
            "bool" => Self::Bool,
            "bytes" | "string" => Self::Bytes,
            _ => match text.strip_prefix("uint") {
                Some(bits) => Self::Integer(bits.parse().unwrap_or(256)),
                None => Self::Fixed,
            },
        }
    }

    fn is_dynamic(self) -> bool {
        match self {
            Self::Bytes | Self::List(_) => true,
            Self::Tuple(items) => split(items).any(|item| Kind::of(item).is_dynamic()),
            _ => false,
        }
    }

    /// Bytes in the head of what it is part of.
    fn head_len(self) -> usize {
        match self {
            Self::Tuple(items) if !self.is_dynamic() => {
                split(items).map(|item| Kind::of(item).head_len()).sum()
            }
            _ => WORD,
        }
    }
}

/// The parts of a comma-separated list of types, parentheses respected.
pub(crate) fn split(types: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(types).filter(|types| !types.is_empty());
    std::iter::from_fn(move || {
        let text = rest?;
        let mut depth = 0usize;
        let comma = text.bytes().position(|byte| {
            match byte {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            byte == b',' && depth == 0
        });
        match comma {
            Some(at) => {
                rest = text.get(at + 1..);
                text.get(..at)
            }
            None => {
                rest = None;
                Some(text)
            }
        }
    })
}

/// The types of the arguments in a signature: what stands between its outermost parentheses.
pub(crate) fn argument_types(signature: &str) -> &str {
    let open = signature.find('(').map_or(signature.len(), |at| at + 1);
    signature.get(open..).and_then(|rest| rest.strip_suffix(')')).unwrap_or("")
}

/// Reads the arguments of `signature`; with them the length of the data they cover.
pub(crate) fn arguments<'d>(
    signature: &str,
    data: &'d [u8],
    budget: &mut Budget,
) -> Result<(Vec<Value<'d>>, usize), AbiError> {
    let mut reader = Reader { budget, covered: 0, data };
    let values = reader.tuple(argument_types(signature), 0)?;
    Ok((values, reader.covered))
}

struct Reader<'d, 'b> {
    budget: &'b mut Budget,
    covered: usize,
    data: &'d [u8],
}

impl<'d> Reader<'d, '_> {
    fn slice(&mut self, at: usize, len: usize) -> Result<&'d [u8], AbiError> {
        let end = at.checked_add(len).ok_or(AbiError::Cut)?;
        let slice = self.data.get(at..end).ok_or(AbiError::Cut)?;
        self.covered = self.covered.max(end);
        Ok(slice)
    }

    fn word(&mut self, at: usize) -> Result<[u8; 32], AbiError> {
        self.slice(at, WORD)?.try_into().map_err(|_| AbiError::Cut)
    }

    /// A word that is a length or an offset.
    fn size(&mut self, at: usize) -> Result<usize, AbiError> {
        let size = U256::from_be_bytes(self.word(at)?).to_u64().ok_or(AbiError::Cut)?;
        usize::try_from(size).map_err(|_| AbiError::Cut)
    }

    fn tuple(&mut self, types: &str, base: usize) -> Result<Vec<Value<'d>>, AbiError> {
        let mut values = Vec::new();
        let mut head = base;
        for text in split(types) {
            let kind = Kind::of(text);
            values.push(self.value(kind, head, base)?);
            head = head.checked_add(kind.head_len()).ok_or(AbiError::Cut)?;
        }
        Ok(values)
    }

    /// A value whose head is at `head`, in something that starts at `base`.
    fn value(&mut self, kind: Kind<'_>, head: usize, base: usize) -> Result<Value<'d>, AbiError> {
        self.budget.spend()?;
        let at =
            if kind.is_dynamic() { base.checked_add(self.size(head)?).ok_or(AbiError::Cut)? } else { head };
        Ok(match kind {
            Kind::Account => match self.word(at)?.split_last_chunk::<20>() {
                Some((before, account)) if before.iter().all(|byte| *byte == 0) => {
                    Value::Account(Account(*account))
                }
                _ => return Err(AbiError::Misfit),
            },
            Kind::Bool => match U256::from_be_bytes(self.word(at)?).to_u64() {
                Some(flag @ (0 | 1)) => Value::Bool(flag == 1),
                _ => return Err(AbiError::Misfit),
            },
            Kind::Fixed => Value::Fixed(self.word(at)?),
            Kind::Integer(bits) => {
                let word = self.word(at)?;
                let unused = WORD.saturating_sub(usize::try_from(bits / 8).unwrap_or(WORD));
                if word.iter().take(unused).any(|byte| *byte != 0) {
                    return Err(AbiError::Misfit);
                }
                Value::Integer(U256::from_be_bytes(word))
            }
            Kind::Bytes => {
                let len = self.size(at)?;
                let start = at.checked_add(WORD).ok_or(AbiError::Cut)?;
                let bytes = self.slice(start, len)?;
                // Padding belongs to it where it is there; packed encoders leave it out at the end.
                let padded = len.div_ceil(WORD).saturating_mul(WORD);
                self.covered = self.covered.max(start.saturating_add(padded).min(self.data.len()));
                Value::Bytes(bytes)
            }
            Kind::Tuple(types) => Value::Many(self.tuple(types, at)?),
            Kind::List(of) => {
                let count = self.size(at)?;
                let kind = Kind::of(of);
                let start = at.checked_add(WORD).ok_or(AbiError::Cut)?;
                // Each item has a head: a count that cannot be there is refused before anything is made of it.
                let len = count.checked_mul(kind.head_len()).ok_or(AbiError::Cut)?;
                self.slice(start, len)?;
                let mut values = Vec::new();
                for idx in 0..count {
                    values.push(self.value(kind, start + idx * kind.head_len(), start)?);
                }
                Value::Many(values)
            }
        })
    }
}

impl<'d> Value<'d> {
    pub(crate) const fn account(&self) -> Option<Account> {
        match self {
            Self::Account(account) => Some(*account),
            _ => None,
        }
    }

    pub(crate) const fn flag(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    pub(crate) const fn bytes(&self) -> Option<&'d [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) const fn fixed(&self) -> Option<[u8; 32]> {
        match self {
            Self::Fixed(word) => Some(*word),
            _ => None,
        }
    }

    pub(crate) const fn integer(&self) -> Option<U256> {
        match self {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn many(&self) -> Option<&[Self]> {
        match self {
            Self::Many(values) => Some(values),
            _ => None,
        }
    }
}
