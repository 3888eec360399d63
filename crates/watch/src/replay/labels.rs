//! What a list says about the addresses of a stream.

use chain::{
    label::Category,
    segment::{Key, Segment},
};
use domain::{UnixNanos, Verdict};

use super::{Parties, Party};
use crate::{CsvColumns, Format, ImportError, ListName, SourceFile, import};

/// Columns of a table of labels: `chain, address, category, label, source, licence, confidence`.
pub const LABELS_CSV: &str = "csv:address=address,network=chain,category=category,label=label,source=source,\
                              licence=licence,confidence=confidence";

/// Labels of addresses, imported as the product imports lists, and remembered per address of the stream.
pub struct ListedParties {
    segment: Option<Segment<Vec<u8>>>,
    /// What is known of each party: not yet looked up, nothing, or the gravest claim.
    known: Vec<Known>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Unasked,
    Nothing,
    Claim(Category, Verdict),
}

impl std::fmt::Debug for ListedParties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListedParties").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl ListedParties {
    /// Of no list.
    #[must_use]
    pub const fn none() -> Self {
        Self { segment: None, known: Vec::new() }
    }

    /// Imports a table of labels as a list.
    ///
    /// # Errors
    /// [`ImportError`], as for any import.
    pub fn import(file: SourceFile, now: UnixNanos) -> Result<Self, ImportError> {
        let columns = match LABELS_CSV.parse::<Format>() {
            Ok(Format::Csv(columns)) => columns,
            _ => Box::<CsvColumns>::default(),
        };
        let name: ListName = ListName::parse("replay").expect("a list may be called that");
        // The key of the segment's hash protects a list others can add to; this one lives for one run.
        let built = import::build(&name, &Format::Csv(columns), &[file], [0; 16], now)?;
        let segment = Segment::parse(built.segment).expect("a segment just built is one");
        Ok(Self { segment: Some(segment), known: Vec::new() })
    }

    /// The gravest malicious claim about a party, with what it asks for.
    pub fn claim(&mut self, party: Party, parties: &Parties) -> Option<(Category, Verdict)> {
        let segment = self.segment.as_ref()?;
        if self.known.len() <= party.index() {
            self.known.resize(parties.len().max(party.index() + 1), Known::Unasked);
        }
        let place = self.known.get_mut(party.index())?;
        if *place == Known::Unasked {
            *place = parties.address(party).map_or(Known::Nothing, |address| {
                segment
                    .claims(Key::Address(&address))
                    .map(|claim| (claim.category(), claim.category().verdict_with(claim.confidence())))
                    .filter(|(category, _)| category.is_malicious())
                    .max_by_key(|(category, verdict)| (*verdict, std::cmp::Reverse(*category)))
                    .map_or(Known::Nothing, |(category, verdict)| Known::Claim(category, verdict))
            });
        }
        match *place {
            Known::Claim(category, verdict) => Some((category, verdict)),
            Known::Nothing | Known::Unasked => None,
        }
    }
}
