//! Typed messages to sign (EIP-712, as `eth_signTypedData_v4` takes them): their hash, and what a signature would allow.
//!
//! A message is only understood if its whole type is one that is known, field by field: a look-alike with one field
//! more is unknown. The hash is computed from the text, so that it can be compared with what the signer shows.
//!
//! Known: EIP-2612 `Permit` and the form before it, Permit2 (single, batch, transfers, with or without a witness),
//! EIP-3009, Safe transactions, Seaport orders.
//!
//! Bounds: [`BYTES_MAX`] of text, [`TYPES_MAX`] types of [`FIELDS_MAX`] fields, [`DEPTH_MAX`] structures within each
//! other, [`VALUES_MAX`] values.

mod known;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use chain::{evm::Account, u256::U256};
use sha3::{Digest as _, Keccak256};

pub(crate) use self::value::Typed;
use crate::{
    call::Walk,
    effect::{Act, Context, Reading},
    json::Json,
};

/// Longest message read, in bytes.
pub const BYTES_MAX: usize = 1 << 20;
/// Most types a message declares.
pub const TYPES_MAX: usize = 64;
/// Most fields of a type.
pub const FIELDS_MAX: usize = 128;
/// Most structures and lists within each other.
pub const DEPTH_MAX: usize = 16;
/// Most values of a message.
pub const VALUES_MAX: usize = 65_536;
/// Longest name of a type or field, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// The type every message declares for what it is bound to.
const DOMAIN: &str = "EIP712Domain";

/// Why a text is no typed message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TypedError {
    /// A value that is not of its type.
    #[error("{path}: not {wanted}")]
    BadValue {
        /// Where, such as `message.details.amount`.
        path: String,
        /// What should be there.
        wanted: &'static str,
    },
    /// Types that are not as they must be.
    #[error("types: {0}")]
    Types(String),
    /// A part that is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Not JSON, or with a field that stands twice.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// More than a bound.
    #[error("the message has more than {max} {what}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its bound.
        max: usize,
    },
}

/// A field of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    name: String,
    type_name: String,
}

/// What a message is bound to. Absent fields are not part of its domain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Domain {
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub version: Option<String>,
    /// The only chain it is good for.
    pub chain_id: Option<U256>,
    /// The only contract it is good for.
    pub contract: Option<Account>,
}

/// A typed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedMessage {
    /// The name of its type.
    pub primary_type: String,
    /// What it is bound to.
    pub domain: Domain,
    /// The hash of what it is bound to.
    pub domain_separator: [u8; 32],
    /// The hash of what it says.
    pub message_hash: [u8; 32],
    /// What a signature of it signs.
    pub signing_hash: [u8; 32],
    /// Its type with all it is made of, as it is hashed.
    encoded_type: String,
    value: Typed,
}

/// Reads a typed message.
///
/// # Errors
/// [`TypedError`], the first fault found.
pub fn decode(text: &str) -> Result<TypedMessage, TypedError> {
    if text.len() > BYTES_MAX {
        return Err(TypedError::TooLarge { what: "bytes", max: BYTES_MAX });
    }
    let json: Json = serde_json::from_str(text).map_err(|error| TypedError::NotJson(error.to_string()))?;
    let part = |name: &'static str| json.field(name).ok_or(TypedError::Missing(name));
    let types = Types::read(part("types")?)?;
    let primary_type = part("primaryType")?
        .text()
        .ok_or(TypedError::BadValue { path: "primaryType".to_owned(), wanted: "a text" })?
        .to_owned();
    let mut reader = value::Reader { types: &types, values_left: VALUES_MAX, type_hashes: BTreeMap::new() };
    let domain = reader.structure(DOMAIN, part("domain")?, "domain", 0)?;
    let value = reader.structure(&primary_type, part("message")?, "message", 0)?;
    let domain_separator = domain.hash;
    // A message whose type is the domain itself is the domain and nothing else.
    let mut signed = vec![0x19, 0x01];
    signed.extend(domain_separator);
    if primary_type != DOMAIN {
        signed.extend(value.hash);
    }
    Ok(TypedMessage {
        encoded_type: types.encode(&primary_type)?,
        domain: Domain {
            name: domain.value.text_field("name"),
            version: domain.value.text_field("version"),
            chain_id: domain.value.field("chainId").and_then(Typed::integer),
            contract: domain.value.field("verifyingContract").and_then(Typed::account),
        },
        primary_type,
        domain_separator,
        message_hash: value.hash,
        signing_hash: Keccak256::digest(signed).into(),
        value: value.value,
    })
}

/// Reads what a signature of a typed message would allow. `signer` is who would sign it, where that is known.
#[must_use]
pub fn read_message(message: &TypedMessage, signer: Option<Account>, context: &Context) -> Reading {
    let mut walk = Walk::new(context);
    match (message.domain.chain_id, context.chain_id) {
        (None, _) => walk.add(Act::Replayable),
        (Some(got), Some(meant)) if got != U256::from(meant) => walk.add(Act::OtherChain { meant, got }),
        _ => {}
    }
    if let Err(reason) = known::read(message, signer, &mut walk) {
        walk.add(Act::UnknownMessage {
            kind: message.primary_type.clone(),
            contract: message.domain.contract,
            reason: reason.to_owned(),
        });
    }
    walk.finish()
}

/// The types a message declares.
#[derive(Debug)]
struct Types(BTreeMap<String, Vec<Field>>);

impl Types {
    fn read(json: &Json) -> Result<Self, TypedError> {
        let bad = |what: String| TypedError::Types(what);
        let declared = json.fields().ok_or_else(|| bad("not an object".to_owned()))?;
        if declared.len() > TYPES_MAX {
            return Err(TypedError::TooLarge { what: "types", max: TYPES_MAX });
        }
        let mut types = BTreeMap::new();
        for (name, fields) in declared {
            if !is_name(name) || value::is_atomic(name) {
                return Err(bad(format!("{name:?} cannot name a type")));
            }
            let fields = fields.list().ok_or_else(|| bad(format!("{name} is not a list of fields")))?;
            if fields.len() > FIELDS_MAX {
                return Err(TypedError::TooLarge { what: "fields of a type", max: FIELDS_MAX });
            }
            let mut read: Vec<Field> = Vec::with_capacity(fields.len());
            for field in fields {
                let part = |part: &str| field.field(part).and_then(Json::text);
                let (Some(field_name), Some(type_name)) = (part("name"), part("type")) else {
                    return Err(bad(format!("a field of {name} has no name or no type")));
                };
                if !is_name(field_name) || read.iter().any(|other| other.name == field_name) {
                    return Err(bad(format!("{name}: {field_name:?} cannot name a field, or stands twice")));
                }
                if type_name.len() > NAME_BYTES_MAX || !is_name(base_of(type_name)) {
                    return Err(bad(format!("{name}.{field_name} has no type")));
                }
                read.push(Field { name: field_name.to_owned(), type_name: type_name.to_owned() });
            }
            types.insert(name.clone(), read);
        }
        Ok(Self(types))
    }

    fn fields(&self, name: &str) -> Result<&[Field], TypedError> {
        self.0.get(name).map(Vec::as_slice).ok_or_else(|| {
            TypedError::Types(format!("{:?} is not declared", name.chars().take(64).collect::<String>()))
        })
    }

    /// The type, then all it is made of in the order of names (EIP-712, "Definition of encodeType").
    fn encode(&self, name: &str) -> Result<String, TypedError> {
        let mut found = BTreeSet::new();
        let mut open = vec![name];
        while let Some(next) = open.pop() {
            for field in self.fields(next)? {
                let base = base_of(&field.type_name);
                if self.0.contains_key(base) && base != name && found.insert(base) {
                    open.push(base);
                }
            }
        }
        let mut out = String::new();
        for name in std::iter::once(name).chain(found) {
            out.push_str(name);
            out.push('(');
            for (idx, field) in self.fields(name)?.iter().enumerate() {
                if idx > 0 {
                    out.push(',');
                }
                out.push_str(&field.type_name);
                out.push(' ');
                out.push_str(&field.name);
            }
            out.push(')');
        }
        Ok(out)
    }
}

/// A type without the brackets of lists.
fn base_of(type_name: &str) -> &str {
    type_name.split_once('[').map_or(type_name, |(base, _)| base)
}

/// Whether it is an identifier. Others would let a name say what only the encoding may.
fn is_name(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$';
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(word)
        && !text.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
