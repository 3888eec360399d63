//! How good discovery is, by the one protocol that does not measure epochs.
//!
//! A table of windows says which account is looked at from which of its transactions on, whether it is illicit, and
//! whether the window is trained on or judged; benign windows are drawn from the quarters the illicit ones fall into, and
//! training quarters come before judged ones. A window is the first K transactions of its account from there on, as the
//! stream brings them; its features are those that serve ([`crate::discovery`]).
//!
//! **Ranking** is told for whole windows. **Value saved** is told for what is left to save: of all that ever flows into the
//! illicit accounts of the judged windows, the share that comes after the transaction that raised the flag, where a
//! window may be flagged after any of its transactions and at most one benign window in a thousand ever is.
//!
//! Two models are trained alike: one on whole windows, as the protocol asks (`ranking`), and one on every beginning of a window,
//! which is the one that serves, since it is asked after every transaction (`ranking_serving`, value saved, the model file).
//! A whole window of fewer than K transactions gives away that its account did nothing more until the recording ended;
//! the serving model cannot use that and ranks whole windows a little worse.
//!
//! Benign windows begin in the middle of a life, illicit ones with the first transaction, so structure of new accounts
//! helps in telling them apart. The rate of false alarms on accounts that are both benign and new is therefore told apart.
//!
//! Bounds: [`WINDOWS_MAX`] windows, [`ACCOUNTS_MAX`] accounts.

mod collect;
mod judge;
mod learn;

pub use self::{
    collect::{
        ACCOUNT_COLUMNS, ACCOUNTS_MAX, Collected, Sample, Split, WINDOW_COLUMNS, WINDOWS_MAX, collect,
    },
    judge::{JudgeError, Judged, judge},
    learn::{Origin, learn},
};
