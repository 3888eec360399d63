//! Discovery: does an address nobody has listed behave like those that turned out malicious?
//!
//! What is judged is a [`Window`]: the first transactions of an address, seen by themselves. Its features are amounts,
//! gaps, counterparties and calls, and what the stream had shown of those counterparties ([`Traffic`]); never the price of gas, the date, the age of the account or a list, which tell epochs
//! and sources apart and not behaviour. A gradient-boosted model scores them after every transaction of the window
//! ([`Detector`]), and says which of them raised the score.
//!
//! What it is not: a label. What is found here is a suspicion ([`chain::label::Category::Suspected`]), with its score
//! and its reasons, and asks for a challenge at most.
//!
//! Sources of the protocol: section "limits" of the model card, and `docs/operating/watch-evaluation.md`.
//!
//! Bounds: [`WINDOW_MAX`] transactions per window; the caller bounds how many windows are open.

mod detector;
mod features;
mod judge;
mod traffic;
mod window;

pub use self::{
    detector::{Detector, DetectorError, Reason, Suspicion, THRESHOLD, TOKENS, TRANSACTIONS, tokens_digest},
    features::{FEATURES, feature_names, features},
    judge::{Judge, JudgedBlock, JudgedCall, OPEN_MAX, Opinion, SUSPECTS_MAX, Suspect},
    traffic::{Kept, PEERS_MAX, Peer, Traffic},
    window::{Direction, Step, TokenStep, WINDOW_MAX, Window, WindowLen},
};
