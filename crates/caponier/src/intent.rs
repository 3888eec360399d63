//! Transactions and typed messages before they are signed: read, executed where wanted, everybody concerned screened.

#[cfg(feature = "simulation")]
pub(crate) mod execution;
#[cfg(feature = "simulation")]
mod node;
#[cfg(feature = "simulation")]
mod recorded;
pub(crate) mod report;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use chain::evm::Account;
use domain::ChainFamily;
use intent::{Context, transaction::Envelope, typed::TypedMessage};

use crate::{
    cli::intent::Subject,
    exit::{Exit, Failure},
};

/// Longest text read: a transaction of the largest size in hexadecimal, or a message of that size.
const TEXT_BYTES_MAX: u64 = 2 * (1 << 20) + 4_096;
/// Most accounts that are vouched for.
const TRUSTED_MAX: usize = 4_096;

/// What is to be signed.
pub(crate) enum Signable {
    Transaction(Box<Envelope>),
    Message(Box<TypedMessage>),
}

/// Reads a file, or standard input for `-`, within bounds.
pub(crate) fn file(path: &Path, bytes_max: u64) -> Result<String, Failure> {
    let named = |error: io::Error| {
        let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Io };
        Failure::new(exit, format!("{}: {error}", path.display()))
    };
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(bytes_max + 1).read_to_end(&mut bytes).map_err(named)?;
    } else {
        File::open(path).map_err(named)?.take(bytes_max + 1).read_to_end(&mut bytes).map_err(named)?;
    }
    if bytes.len() as u64 > bytes_max {
        return Err(Failure::new(Exit::Input, format!("{}: longer than {bytes_max} bytes", path.display())));
    }
    String::from_utf8(bytes)
        .map_err(|error| Failure::new(Exit::Input, format!("{}: not UTF-8: {error}", path.display())))
}

/// The transaction in a text or file of hexadecimal digits.
pub(crate) fn transaction(text: Option<&str>, path: Option<&Path>) -> Result<Envelope, Failure> {
    let owned;
    let text = match (text, path) {
        (Some(text), _) => text,
        (None, Some(path)) => {
            owned = file(path, TEXT_BYTES_MAX)?;
            &owned
        }
        (None, None) => {
            return Err(Failure::new(Exit::Usage, "which transaction? --tx HEX or --tx-file FILE"));
        }
    };
    let text = text.trim();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let bytes = hex::decode(digits)
        .map_err(|error| Failure::new(Exit::Input, format!("transaction: not hexadecimal: {error}")))?;
    intent::transaction::decode(&bytes)
        .map_err(|error| Failure::new(Exit::Input, format!("transaction: {error}")))
}

/// The typed message in a file.
pub(crate) fn typed(path: &Path) -> Result<TypedMessage, Failure> {
    let text = file(path, TEXT_BYTES_MAX)?;
    intent::typed::decode(&text)
        .map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", path.display())))
}

/// An account of an EVM chain, its checksum verified.
pub(crate) fn account(what: &str, text: &str) -> Result<Account, Failure> {
    let bad = |reason: String| Failure::new(Exit::Usage, format!("{what} {text:?}: {reason}"));
    let address = chain::address::decode(ChainFamily::Evm, text).map_err(|error| bad(error.to_string()))?;
    address.payload().try_into().map(Account).map_err(|_| bad("not 20 bytes".to_owned()))
}

/// What may be relied on.
pub(crate) fn context(subject: &Subject) -> Result<Context, Failure> {
    if subject.trust.len() > TRUSTED_MAX {
        return Err(Failure::new(Exit::Usage, format!("more than {TRUSTED_MAX} accounts are trusted")));
    }
    let trusted = subject.trust.iter().map(|text| account("--trust", text)).collect::<Result<_, _>>()?;
    Ok(Context { chain_id: subject.chain_id, trusted })
}

/// Who signs: as the transaction says, else as the caller says; both, and they differ, is a mistake to be told.
pub(crate) fn signer(envelope: &Envelope, subject: &Subject) -> Result<Option<Account>, Failure> {
    let from = subject.from.as_deref().map(|text| account("--from", text)).transpose()?;
    match (envelope.signer, from) {
        (Some(signer), Some(from)) if signer != from => {
            let message = format!("--from {from}: the transaction is signed by {signer}");
            Err(Failure::new(Exit::Input, message))
        }
        (signer, from) => Ok(signer.or(from)),
    }
}
