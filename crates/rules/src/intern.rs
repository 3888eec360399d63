//! Strings as numbers, so that comparing them is comparing integers.
//!
//! The strings a set of rules mentions get their numbers when it loads and keep them. Strings of events never enter: those
//! that no rule mentions get a number within their event only, in [`crate::Slots`]. So memory does not grow with what
//! arrives.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::bounds::SYMBOLS_MAX;

/// The number of a string within one set of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(pub(crate) u32);

/// Strings and their numbers.
///
/// The hash needs no secret: only the author of the rules chooses which strings enter, others only look up.
#[derive(Debug, Clone, Default)]
pub struct Interner {
    texts: Vec<Box<str>>,
    by_text: HashMap<Box<str>, Symbol, FixedState>,
}

impl Interner {
    /// The number of a string, a new one if it has none; `None` beyond [`SYMBOLS_MAX`] strings.
    pub fn intern(&mut self, text: &str) -> Option<Symbol> {
        if let Some(symbol) = self.lookup(text) {
            return Some(symbol);
        }
        let symbol = Symbol(u32::try_from(self.texts.len()).ok().filter(|_| self.texts.len() < SYMBOLS_MAX)?);
        self.texts.push(text.into());
        self.by_text.insert(text.into(), symbol);
        Some(symbol)
    }

    /// The number of a string, if it has one.
    #[must_use]
    pub fn lookup(&self, text: &str) -> Option<Symbol> {
        self.by_text.get(text).copied()
    }

    /// The string of a number.
    #[must_use]
    pub fn text(&self, symbol: Symbol) -> Option<&str> {
        self.texts.get(symbol.0 as usize).map(|text| &**text)
    }

    /// How many strings have a number.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_have_one_number() {
        let mut interner = Interner::default();
        let de = interner.intern("DE").unwrap();
        assert_ne!(de, interner.intern("FR").unwrap());
        assert_eq!(interner.intern("DE"), Some(de));
        assert_eq!((interner.lookup("GB"), interner.text(de), interner.len()), (None, Some("DE"), 2));
    }
}
