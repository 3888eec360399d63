//! How good discovery is, by the one protocol that does not measure epochs.
//!
//! A table of windows says which account is looked at from which of its transactions on, whether it is illicit, and
//! whether the window is trained on or judged; benign windows are drawn from the quarters the illicit ones fall into, and
//! training quarters come before judged ones. A window is the first K transactions of its account from there on, as the
//! stream brings them; its features are those that serve ([`crate::discovery`]).
//!
//! **Ranking** is told for whole windows. **Value saved** is told for what is left to save: of all that ever flows into the
//! illicit accounts of the judged windows (coins of transactions that were not reverted, to the end of the recording), the
//! share that comes after the transaction that raised the flag. A flag is raised by the first transaction of a window after
//! which its score exceeds the threshold, and stays. The rate of false alarms counts accounts' windows, not scores: a benign
//! window is an alarm if any of its scores exceeds the threshold. The thresholds of `value_saved` are the lowest at which at
//! most the told share of the judged benign windows ever is; the one a model carries is set on training windows alone.
//!
//! Two models are trained alike: one on whole windows, as the protocol asks (`ranking`), and one on every beginning of a window,
//! which is the one that serves, since it is asked after every transaction (`ranking_serving`, value saved, the model file).
//! A whole window of fewer than K transactions gives away that its account did nothing more until the recording ended;
//! the serving model cannot use that. It orders by the odds that an account is illicit times what it can be expected to
//! receive still, and ranks whole windows worse for that.
//!
//! Nothing that happened after the first judged window began is trained on, nor what flowed in after it: windows are cut there.
//! Illicit accounts of the training windows count as known a month after their window began, those of judged windows
//! never; only the serving model sees flows from and to known ones.
//!
//! Benign windows begin in the middle of a life, illicit ones with the first transaction, so structure of new accounts
//! helps in telling them apart. Accounts that are both benign and new are therefore told apart; every other one is trained
//! on by the serving model, the rest are judged.
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
