//! Addresses whose first transactions look like those of malicious ones.

use super::{
    Parties, Party, TokenTransfer, Transaction,
    monitor::{Alert, AlertKind},
};
use crate::discovery::{Detector, Direction, Suspicion, TokenStep, Traffic, Window};

/// Most addresses suspected at once; the first ones are kept.
const SUSPECTS_MAX: usize = 1 << 20;

/// Most addresses judged at once, some 2 KiB each at most; while there are more, new ones are not judged.
const OPEN_MAX: usize = 1 << 22;

/// Windows of the addresses that are still being judged, and those that were found.
#[derive(Debug)]
pub(super) struct Suspects {
    detector: Detector,
    traffic: Traffic,
    windows: Vec<Judging>,
    open: usize,
    found: Vec<(Party, Suspicion)>,
}

#[derive(Debug, Clone)]
enum Judging {
    /// Its first transaction was not an inbound one, so the stream does not show its beginning; or there was no room.
    Unknown,
    /// Not seen yet.
    Unseen,
    /// Its transactions so far.
    Open(Box<Window>),
    /// Judged to the end.
    Done,
}

impl Suspects {
    pub(super) fn new(detector: Detector) -> Self {
        Self { detector, traffic: Traffic::default(), windows: Vec::new(), open: 0, found: Vec::new() }
    }

    pub(super) fn transaction(&mut self, tx: &Transaction, parties: &Parties, found: &mut impl FnMut(Alert)) {
        if let (Some(from), Some(to)) = (tx.from, tx.to) {
            self.payment(tx, from, to, parties, found);
        }
        tx.observed_by(&mut self.traffic);
    }

    /// From now on an address is known to be malicious.
    pub(super) fn mark(&mut self, party: Party) {
        self.traffic.mark(party.0);
    }

    fn payment(
        &mut self,
        tx: &Transaction,
        from: Party,
        to: Party,
        parties: &Parties,
        found: &mut impl FnMut(Alert),
    ) {
        if self.windows.len() < parties.len() {
            self.windows.resize(parties.len(), Judging::Unseen);
        }
        self.step(tx, from, to, Direction::Out, found);
        if from != to {
            self.step(tx, to, from, Direction::In, found);
        }
    }

    fn step(
        &mut self,
        tx: &Transaction,
        party: Party,
        other: Party,
        direction: Direction,
        found: &mut impl FnMut(Alert),
    ) {
        let Some(judging) = self.windows.get_mut(party.index()) else { return };
        let window = match judging {
            Judging::Unknown | Judging::Done => return,
            Judging::Unseen if direction == Direction::Out || self.open >= OPEN_MAX => {
                *judging = Judging::Unknown;
                return;
            }
            Judging::Unseen => {
                *judging = Judging::Open(Box::default());
                self.open += 1;
                let Judging::Open(window) = judging else { return };
                window
            }
            Judging::Open(window) => window,
        };
        window.push(tx.step(party, other, direction, &self.traffic));
        let suspicion = self.detector.judge(window);
        if suspicion.is_some() || window.steps().len() >= self.detector.transactions() {
            *judging = Judging::Done;
            self.open -= 1;
        }
        if let Some(suspicion) = suspicion {
            let (from, to) = if direction == Direction::In { (other, party) } else { (party, other) };
            let kind = AlertKind::Suspected { party, suspicion: suspicion.clone() };
            found(Alert { block: tx.block, index: tx.index, at: tx.at, from, to, kind });
            if self.found.len() < SUSPECTS_MAX {
                self.found.push((party, suspicion));
            }
        }
    }

    pub(super) fn token(&mut self, token: &TokenTransfer) {
        let (Some(from), Some(to), Some(contract)) = (token.from, token.to, token.token) else { return };
        for (party, other, direction) in [(from, to, Direction::Out), (to, from, Direction::In)] {
            if let Some(Judging::Open(window)) = self.windows.get_mut(party.index()) {
                window.push_token(TokenStep { direction, token: contract.0, other: other.0 });
            }
        }
    }

    pub(super) fn csv(&self, parties: &Parties) -> String {
        let mut out = String::from("address,network,category,label,source,confidence\n");
        let model = &self.detector.file().card;
        for (party, suspicion) in &self.found {
            let reasons: Vec<String> = suspicion.reasons.iter().map(ToString::to_string).collect();
            // Texts here are ours and hold no quotes.
            out.push_str(&format!(
                "{},ETH,suspected,\"probability {:.3}; {}\",\"model {} {}\",{}\n",
                parties.text(*party),
                suspicion.probability,
                reasons.join("; "),
                model.name.replace('"', ""),
                model.version.replace('"', ""),
                suspicion.confidence(),
            ));
        }
        out
    }
}
