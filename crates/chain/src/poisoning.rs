//! Address poisoning: is a destination made to look like one the customer already uses?
//!
//! The attacker grinds a key whose address begins and ends like one the victim pays, leaves a worthless transfer from
//! it in the victim's history, and waits until the victim copies the wrong line (Tsuchiya et al., "Blockchain Address
//! Poisoning", USENIX Security 2025). People compare the ends of an address, so the ends are what is compared here:
//! [`Shape`] holds them, [`Likeness`] counts equal digits, [`History`] finds the known address a new one resembles most,
//! [`judge()`] says how serious that is given what else was seen, [`counterfeit`] recognises tokens that borrow a name.
//!
//! **Only ever within the history of one customer.** Among all addresses of a chain, look-alikes are everywhere by
//! chance: 100 million addresses hold some 19 million pairs that agree on three leading and four trailing digits.
//!
//! What it is not: it keeps no clock and no list, and does not know who a customer is.
//!
//! Bounds: a [`History`] holds at most the places it was made with; a comparison is two binary searches and a look
//! at the entries whose first or last digits agree.

pub mod counterfeit;
mod history;
mod judge;
mod shape;

pub use self::{
    history::{History, Resemblance},
    judge::{BAIT_REMEMBERED, Bait, Context, ESTABLISHED_LEAD, Ground, Judgement, Level, judge},
    shape::{Likeness, Shape, Thresholds},
};
