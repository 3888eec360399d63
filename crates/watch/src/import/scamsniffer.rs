//! The JSON files of the `ScamSniffer` database: an array of addresses, or an object from domain to addresses.
//!
//! Every entry is an address that phishing pays to; the domain, where given, becomes the label's text.

use std::collections::BTreeMap;

use chain::label::{Category, Confidence, Label};

use super::{ImportError, Resolved, Sink, SourceFile, description, resolve};

/// The network the database means; an address of another form is taken as what it is.
const NETWORK: &str = "ETH";

/// Whether a file of this name is one of the database.
pub(super) fn wants(name: &str) -> bool {
    matches!(name.rsplit('/').next(), Some("address.json" | "combined.json"))
}

pub(super) fn import(file: &SourceFile, sink: &mut Sink) -> Result<(), ImportError> {
    let malformed =
        |line, field, reason: String| ImportError::Malformed { file: file.name.clone(), line, field, reason };
    let not_json = |error: serde_json::Error| malformed(error.line(), "file", error.to_string());
    let first = file.bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let by_domain: BTreeMap<String, Vec<String>> = match first {
        Some(b'[') => {
            BTreeMap::from([(String::new(), serde_json::from_slice(&file.bytes).map_err(not_json)?)])
        }
        Some(b'{') => serde_json::from_slice(&file.bytes).map_err(not_json)?,
        _ => return Err(malformed(1, "file", "neither an array nor an object".to_owned())),
    };
    for (domain, addresses) in &by_domain {
        let text = description(domain);
        let label = Label {
            category: Category::Phishing,
            confidence: Confidence::Unstated,
            text: &text,
            source: "ScamSniffer",
            asset: NETWORK,
            licence: "GPL-3.0",
            first_seen: None,
            last_seen: None,
        };
        for address in addresses {
            sink.entries += 1;
            let address = address.trim();
            // The parser tells no line of a value it accepted.
            match resolve(NETWORK, address) {
                Ok(Resolved::Address(address, oddity)) => {
                    sink.note(oddity.as_ref());
                    sink.address(&address, &label)?;
                }
                Ok(Resolved::Text) => {
                    sink.note_text(NETWORK);
                    sink.text(address, &label)?;
                }
                Err(error) => {
                    if address.is_empty() || address.len() > chain::address::TEXT_BYTES_MAX {
                        return Err(malformed(1, "address", format!("an entry under {text:?}: {error}")));
                    }
                    let shown = description(address);
                    sink.note_undecodable(
                        &file.name,
                        1,
                        format!("{} under {text:?}: {error}", shown.escape_debug()),
                    );
                    sink.note_text(NETWORK);
                    sink.text(address, &label)?;
                }
            }
        }
    }
    Ok(())
}
