//! Values of typed messages: read by their type, hashed as EIP-712 says ("Definition of encodeData").

use std::collections::BTreeMap;

use chain::{evm::Account, u256::U256};
use sha3::{Digest as _, Keccak256};

use super::{DEPTH_MAX, TypedError, Types, VALUES_MAX};
use crate::json::Json;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Typed {
    Account(Account),
    Bytes(Vec<u8>),
    Flag(bool),
    Integer(U256),
    List(Vec<Self>),
    /// A negative number, as its word.
    Negative([u8; 32]),
    Structure(Vec<(String, Self)>),
    Text(String),
}

impl Typed {
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        let Self::Structure(fields) = self else { return None };
        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    pub(crate) const fn account(&self) -> Option<Account> {
        match self {
            Self::Account(account) => Some(*account),
            _ => None,
        }
    }

    pub(crate) const fn integer(&self) -> Option<U256> {
        match self {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) const fn flag(&self) -> Option<bool> {
        match self {
            Self::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn text_field(&self, name: &str) -> Option<String> {
        match self.field(name)? {
            Self::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

/// Whether a name is that of a type every message has.
pub(super) fn is_atomic(name: &str) -> bool {
    matches!(name, "address" | "bool" | "bytes" | "string")
        || bits(name, "uint").is_some()
        || bits(name, "int").is_some()
        || fixed_len(name).is_some()
}

fn bits(name: &str, prefix: &str) -> Option<u32> {
    let digits = name.strip_prefix(prefix)?;
    let bits: u32 = digits.parse().ok()?;
    (bits.is_multiple_of(8) && (8..=256).contains(&bits) && digits == bits.to_string()).then_some(bits)
}

fn fixed_len(name: &str) -> Option<usize> {
    let digits = name.strip_prefix("bytes")?;
    let len: usize = digits.parse().ok()?;
    ((1..=32).contains(&len) && digits == len.to_string()).then_some(len)
}

/// A value and the word that stands for it in what is hashed.
pub(super) struct Hashed {
    pub(super) value: Typed,
    pub(super) hash: [u8; 32],
}

pub(super) struct Reader<'t> {
    pub(super) types: &'t Types,
    pub(super) values_left: usize,
    /// Hashes of types, computed once: a list may hold thousands of one.
    pub(super) type_hashes: BTreeMap<String, [u8; 32]>,
}

impl Reader<'_> {
    fn type_hash(&mut self, type_name: &str) -> Result<[u8; 32], TypedError> {
        if let Some(hash) = self.type_hashes.get(type_name) {
            return Ok(*hash);
        }
        let hash = Keccak256::digest(self.types.encode(type_name)?).into();
        self.type_hashes.insert(type_name.to_owned(), hash);
        Ok(hash)
    }

    /// A structure: the hash of its type's hash and its fields' words.
    pub(super) fn structure(
        &mut self,
        type_name: &str,
        json: &Json,
        path: &str,
        depth: usize,
    ) -> Result<Hashed, TypedError> {
        if depth > DEPTH_MAX {
            return Err(TypedError::TooLarge { what: "structures within each other", max: DEPTH_MAX });
        }
        let declared = self.types.fields(type_name)?;
        let given =
            json.fields().ok_or(TypedError::BadValue { path: path.to_owned(), wanted: "an object" })?;
        // A field without a type is not signed: whoever reads it would be misled.
        if let Some((name, _)) =
            given.iter().find(|(name, _)| declared.iter().all(|field| field.name != *name))
        {
            let name: String = name.chars().take(64).collect();
            return Err(TypedError::BadValue {
                path: format!("{path}.{name}"),
                wanted: "a field of its type",
            });
        }
        let mut encoded = self.type_hash(type_name)?.to_vec();
        let mut values = Vec::with_capacity(declared.len());
        for field in declared {
            let path = format!("{path}.{}", field.name);
            let Some(json) = json.field(&field.name) else {
                return Err(TypedError::BadValue { path, wanted: "there" });
            };
            let hashed = self.value(&field.type_name, json, &path, depth)?;
            encoded.extend(hashed.hash);
            values.push((field.name.clone(), hashed.value));
        }
        Ok(Hashed { value: Typed::Structure(values), hash: Keccak256::digest(encoded).into() })
    }

    fn value(
        &mut self,
        type_name: &str,
        json: &Json,
        path: &str,
        depth: usize,
    ) -> Result<Hashed, TypedError> {
        self.values_left = self
            .values_left
            .checked_sub(1)
            .ok_or(TypedError::TooLarge { what: "values", max: VALUES_MAX })?;
        if let Some(rest) = type_name.strip_suffix(']') {
            return self.list(rest, json, path, depth + 1);
        }
        if !is_atomic(type_name) {
            return self.structure(type_name, json, path, depth + 1);
        }
        let bad = |wanted| TypedError::BadValue { path: path.to_owned(), wanted };
        let keccak = |bytes: &[u8]| -> [u8; 32] { Keccak256::digest(bytes).into() };
        let value = match type_name {
            "address" => Typed::Account(account(json).ok_or_else(|| bad("an address"))?),
            "bool" => match json {
                Json::Flag(flag) => Typed::Flag(*flag),
                _ => return Err(bad("true or false")),
            },
            "string" => Typed::Text(json.text().ok_or_else(|| bad("a text"))?.to_owned()),
            "bytes" => Typed::Bytes(bytes(json).ok_or_else(|| bad("bytes in hexadecimal"))?),
            _ => match (fixed_len(type_name), bits(type_name, "uint"), bits(type_name, "int")) {
                (Some(len), ..) => {
                    let bytes = bytes(json).filter(|bytes| bytes.len() == len);
                    Typed::Bytes(bytes.ok_or_else(|| bad("bytes of that number in hexadecimal"))?)
                }
                (_, Some(bits), _) => {
                    let value = unsigned(json).filter(|value| fits(*value, bits));
                    Typed::Integer(value.ok_or_else(|| bad("an integer of that size"))?)
                }
                (_, _, Some(bits)) => signed(json, bits).ok_or_else(|| bad("an integer of that size"))?,
                _ => return Err(bad("of a known type")),
            },
        };
        let hash = match &value {
            Typed::Account(account) => {
                let mut word = [0; 32];
                word.iter_mut().skip(12).zip(account.0).for_each(|(to, from)| *to = from);
                word
            }
            Typed::Flag(flag) => U256::from(u64::from(*flag)).to_be_bytes(),
            Typed::Integer(value) => value.to_be_bytes(),
            Typed::Negative(word) => *word,
            Typed::Text(text) => keccak(text.as_bytes()),
            Typed::Bytes(bytes) if type_name == "bytes" => keccak(bytes),
            Typed::Bytes(bytes) => {
                let mut word = [0; 32];
                word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                word
            }
            Typed::List(_) | Typed::Structure(_) => [0; 32],
        };
        Ok(Hashed { value, hash })
    }

    /// A list: the hash of its items' words. `type_name` ends before the closing bracket.
    fn list(&mut self, type_name: &str, json: &Json, path: &str, depth: usize) -> Result<Hashed, TypedError> {
        if depth > DEPTH_MAX {
            return Err(TypedError::TooLarge { what: "structures within each other", max: DEPTH_MAX });
        }
        let bad = |wanted| TypedError::BadValue { path: path.to_owned(), wanted };
        let (of, len) = type_name.rsplit_once('[').ok_or_else(|| bad("of a known type"))?;
        let items = json.list().ok_or_else(|| bad("a list"))?;
        if !len.is_empty() && len != items.len().to_string() {
            return Err(bad("a list of that length"));
        }
        let (mut values, mut words) = (Vec::new(), Vec::new());
        for (idx, item) in items.iter().enumerate() {
            let hashed = self.value(of, item, &format!("{path}[{idx}]"), depth)?;
            words.extend(hashed.hash);
            values.push(hashed.value);
        }
        Ok(Hashed { value: Typed::List(values), hash: Keccak256::digest(words).into() })
    }
}

fn bytes(json: &Json) -> Option<Vec<u8>> {
    let digits = json.text()?.strip_prefix("0x")?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| {
            let nibble = |byte: u8| char::from(byte).to_digit(16);
            let [high, low] = pair else { return None };
            u8::try_from(nibble(*high)? * 16 + nibble(*low)?).ok()
        })
        .collect()
}

fn account(json: &Json) -> Option<Account> {
    let text = json.text()?;
    // Mixed case must be right: it is there to find typing errors.
    chain::address::decode(domain::ChainFamily::Evm, text).ok()?;
    Some(Account(bytes(json)?.try_into().ok()?))
}

/// A number, or a text of decimal or hexadecimal digits.
fn unsigned(json: &Json) -> Option<U256> {
    match json {
        Json::Number(number) => number.as_u64().map(U256::from),
        Json::Text(text) => match text.strip_prefix("0x") {
            Some(digits) => U256::from_hex(digits).ok(),
            None => decimal(text),
        },
        _ => None,
    }
}

fn decimal(text: &str) -> Option<U256> {
    if text.is_empty() || text.len() > 78 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.bytes().try_fold(U256::ZERO, |value, digit| {
        let twice = value.checked_add(value)?;
        let four = twice.checked_add(twice)?;
        let ten = four.checked_add(four)?.checked_add(twice)?;
        ten.checked_add(U256::from(u64::from(digit - b'0')))
    })
}

fn fits(value: U256, bits: u32) -> bool {
    let unused = usize::try_from((256 - bits) / 8).unwrap_or(32);
    value.to_be_bytes().iter().take(unused).all(|byte| *byte == 0)
}

/// Two's complement, where the magnitude fits the bits.
fn signed(json: &Json, bits: u32) -> Option<Typed> {
    let magnitude = match json {
        Json::Number(number) => match number.as_i64() {
            Some(negative @ ..0) => Err(U256::from(negative.unsigned_abs())),
            _ => Ok(U256::from(number.as_u64()?)),
        },
        Json::Text(text) => match text.strip_prefix('-') {
            Some(digits) => Err(decimal(digits)?),
            None => Ok(unsigned(json)?),
        },
        _ => return None,
    };
    match magnitude {
        Ok(value) => (fits(value, bits) && !has_bit(value, bits)).then_some(Typed::Integer(value)),
        Err(value) if value.is_zero() => Some(Typed::Integer(value)),
        Err(value) => {
            // The lowest number is one further from zero than the highest.
            let below = value.checked_sub(U256::ONE)?;
            if !fits(below, bits) || has_bit(below, bits) {
                return None;
            }
            let complement = U256::MAX.checked_sub(below)?;
            Some(Typed::Negative(complement.to_be_bytes()))
        }
    }
}

/// Whether the highest of so many bits is set.
fn has_bit(value: U256, bits: u32) -> bool {
    let idx = usize::try_from((256 - bits) / 8).unwrap_or(0);
    value.to_be_bytes().get(idx).is_some_and(|byte| byte & 0x80 != 0)
}
