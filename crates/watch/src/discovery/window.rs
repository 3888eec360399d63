//! The first transactions of one address.

use domain::UnixNanos;

use super::Peer;

/// Most transactions of a window.
pub const WINDOW_MAX: usize = 20;
/// Most token transfers of a window that are remembered one by one; further ones are counted.
const TOKENS_MAX: usize = 64;

/// Which way funds go, seen from the address of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the address.
    In,
    /// From the address, also where it pays itself.
    Out,
}

/// One transaction, seen from the address of the window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Time of the block.
    pub at: UnixNanos,
    /// Which way.
    pub direction: Direction,
    /// Whom it goes to or comes from, by any number that stands for one address.
    pub other: u32,
    /// What moves, in whole coins of the chain; moves nothing if `failed`.
    pub coins: f64,
    /// Significant digits of the amount in the smallest unit: one for a round amount, none for nothing.
    pub digits: u32,
    /// Gas its execution took.
    pub gas_used: u64,
    /// Whether it was reverted.
    pub failed: bool,
    /// Bytes of its input.
    pub input_bytes: u64,
    /// The first four bytes of its input, if there are as many.
    pub method: Option<u32>,
    /// What had been seen of `other` before.
    pub peer: Peer,
}

impl Step {
    /// Significant decimal digits of an amount.
    #[must_use]
    pub const fn digits_of(mut amount: u128) -> u32 {
        if amount == 0 {
            return 0;
        }
        while amount.is_multiple_of(10) {
            amount /= 10;
        }
        amount.ilog10() + 1
    }
}

/// One transfer of a token, seen from the address of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenStep {
    /// Which way.
    pub direction: Direction,
    /// The contract, by number.
    pub token: u32,
    /// Whom it goes to or comes from, by number.
    pub other: u32,
}

/// How much a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WindowLen {
    steps: usize,
    tokens: usize,
    tokens_more: u32,
}

impl WindowLen {
    /// Whether that is nothing: no transaction yet.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.steps == 0
    }
}

/// The transactions of one address from some point on, at most [`WINDOW_MAX`].
#[derive(Debug, Clone, Default)]
pub struct Window {
    steps: Vec<Step>,
    tokens: Vec<TokenStep>,
    tokens_more: u32,
}

impl Window {
    /// Takes in a transaction; returns false if the window is full.
    pub fn push(&mut self, step: Step) -> bool {
        let room = self.steps.len() < WINDOW_MAX;
        if room {
            self.steps.push(step);
        }
        room
    }

    /// Takes in a token transfer, which counts from the next transaction on.
    pub fn push_token(&mut self, step: TokenStep) {
        if self.tokens.len() < TOKENS_MAX {
            self.tokens.push(step);
        } else {
            self.tokens_more = self.tokens_more.saturating_add(1);
        }
    }

    /// How much it holds.
    #[must_use]
    pub const fn len(&self) -> WindowLen {
        WindowLen { steps: self.steps.len(), tokens: self.tokens.len(), tokens_more: self.tokens_more }
    }

    /// Forgets what came after it held so much.
    pub fn truncate(&mut self, len: WindowLen) {
        self.steps.truncate(len.steps);
        self.tokens.truncate(len.tokens);
        self.tokens_more = len.tokens_more;
    }

    /// The transactions, first to last.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The token transfers remembered, first to last.
    #[must_use]
    pub fn tokens(&self) -> &[TokenStep] {
        &self.tokens
    }

    /// Token transfers beyond those remembered.
    #[must_use]
    pub const fn tokens_more(&self) -> u32 {
        self.tokens_more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_amounts_have_few_digits() {
        assert_eq!([0, 7, 10, 1_500, u128::MAX].map(Step::digits_of), [0, 1, 1, 2, 39]);
    }
}
