//! A list in force as a TagPack, for whoever else reads those. Importing it again gives the same labels of the same
//! addresses; how the list was written before does not come back.

use std::fmt::Write as _;

use chain::{address, label::Label, segment::Listed};
use domain::ChainFamily;

use crate::{ListName, Watch};

impl Watch {
    /// The labels of a list as a TagPack, changes since its import included; `None` if there is no such list.
    #[must_use]
    pub fn tagpack(&self, list: &ListName) -> Option<String> {
        let snapshot = self.snapshot();
        let active = snapshot.list(list)?;
        let mut out = format!("%YAML 1.1\n---\ntitle: {}\ncreator: Caponier\ntags:\n", quoted(list.as_str()));
        active.for_each_entry(|listed, label| write_tag(&mut out, listed, &label));
        Some(out)
    }
}

fn write_tag(out: &mut String, listed: &Listed<'_>, label: &Label<'_>) {
    let (text, network) = match listed {
        Listed::Address(address) => (address::encode(address), ticker(address.family())),
        Listed::Text(text) => ((*text).to_owned(), label.asset),
    };
    let kind = if label.category.is_malicious() { "abuse" } else { "category" };
    let mut line = |field: &str, value: &str| {
        if !value.is_empty() {
            let lead = if field == "address" { "- " } else { "  " };
            writeln!(out, "{lead}{field}: {}", quoted(value)).expect("writing to a string does not fail");
        }
    };
    line("address", &text);
    line("network", network);
    line("currency", if label.asset.is_empty() { network } else { label.asset });
    line("label", label.text);
    line("source", label.source);
    line(kind, label.category.as_str());
    line("confidence", label.confidence.as_str());
    line("licence", label.licence);
    for (field, at) in [("first_seen", label.first_seen), ("lastmod", label.last_seen)] {
        if let Some(at) = at {
            line(field, &at.to_string());
        }
    }
}

/// The ticker by which an importer finds the family again.
const fn ticker(family: ChainFamily) -> &'static str {
    match family {
        ChainFamily::Bitcoin => "BTC",
        ChainFamily::BitcoinCash => "BCH",
        ChainFamily::Evm => "ETH",
        ChainFamily::Litecoin => "LTC",
        ChainFamily::Solana => "SOL",
        ChainFamily::Tron => "TRX",
        ChainFamily::Xrp => "XRP",
    }
}

/// A YAML scalar in double quotes, in which every text can be written.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() || !c.is_ascii() => {
                write!(out, "\\U{:08x}", u32::from(c)).expect("writing to a string does not fail");
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
