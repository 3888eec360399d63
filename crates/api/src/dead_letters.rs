//! Lines of batches that are no events: the newest ones, to be read by whoever looks after the reporters.
//!
//! They stay in the memory of the process: what a broken reporter sends may be anybody's personal data, under nobody's
//! key, and does not belong on a disk. The durable notice is the answer to the batch, which names each refused line.
//!
//! Bounds: [`DEAD_LETTERS_MAX`] letters, [`DEAD_LETTER_BYTES_MAX`] bytes of each, [`DEAD_LETTERS_BYTES_MAX`] of all.

use std::collections::VecDeque;

use domain::UnixNanos;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::limits::{DEAD_LETTER_BYTES_MAX, DEAD_LETTERS_BYTES_MAX, DEAD_LETTERS_MAX, DEAD_LETTERS_PAGE_MAX};

/// A refused line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// When it was refused.
    pub at: UnixNanos,
    /// Name of the token it came with.
    pub caller: String,
    /// Line in its batch, from 1.
    pub line: usize,
    /// The field at fault; empty for the whole line.
    pub field: String,
    /// What is wrong.
    pub reason: String,
    /// The line, cut at [`DEAD_LETTER_BYTES_MAX`] bytes; what is not UTF-8 is replaced.
    pub text: String,
}

impl DeadLetter {
    /// With the text cut to the bound.
    #[must_use]
    pub fn new(at: UnixNanos, caller: &str, line: usize, (field, reason): (&str, &str), text: &[u8]) -> Self {
        let cut = |text: &str| {
            let mut text = text.to_owned();
            let end = (0..=DEAD_LETTER_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or(0));
            text
        };
        let kept = text.get(..DEAD_LETTER_BYTES_MAX).unwrap_or(text);
        Self {
            at,
            caller: caller.to_owned(),
            line,
            field: cut(field),
            reason: cut(reason),
            text: cut(&String::from_utf8_lossy(kept)),
        }
    }

    fn bytes(&self) -> usize {
        self.caller.len() + self.field.len() + self.reason.len() + self.text.len()
    }
}

#[derive(Debug, Default)]
struct Kept {
    letters: VecDeque<DeadLetter>,
    bytes: usize,
    /// Letters that made room; the number of the oldest one there is.
    gone: u64,
}

/// The newest refused lines, numbered from 0 since the start of the process.
#[derive(Debug, Default)]
pub struct DeadLetters(Mutex<Kept>);

impl DeadLetters {
    /// Keeps a letter; the oldest make room.
    pub fn push(&self, letter: DeadLetter) {
        let mut kept = self.0.lock();
        kept.bytes += letter.bytes();
        kept.letters.push_back(letter);
        while kept.letters.len() > DEAD_LETTERS_MAX || kept.bytes > DEAD_LETTERS_BYTES_MAX {
            let Some(oldest) = kept.letters.pop_front() else { break };
            kept.bytes -= oldest.bytes();
            kept.gone += 1;
        }
    }

    /// Letters since the start of the process, those that made room included.
    #[must_use]
    pub fn count(&self) -> u64 {
        let kept = self.0.lock();
        kept.gone + kept.letters.len() as u64
    }

    /// A page: letters from number `from` on, at most `most`, as JSON with the number to go on from.
    #[must_use]
    pub fn page(&self, from: u64, most: usize) -> Value {
        let kept = self.0.lock();
        let first = from.max(kept.gone);
        let skip = usize::try_from(first - kept.gone).unwrap_or(usize::MAX);
        let page = kept.letters.iter().skip(skip).take(most.min(DEAD_LETTERS_PAGE_MAX));
        let letters: Vec<Value> = (first..)
            .zip(page)
            .map(|(number, letter)| {
                json!({
                    "number": number, "at": letter.at.to_string(), "caller": letter.caller,
                    "line": letter.line, "field": letter.field, "reason": letter.reason,
                    "text": letter.text,
                })
            })
            .collect();
        let next = first + letters.len() as u64;
        json!({ "letters": letters, "next": next, "forgotten": kept.gone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(line: usize, text: &str) -> DeadLetter {
        DeadLetter::new(UnixNanos(1), "exchange", line, ("id", "is missing"), text.as_bytes())
    }

    #[test]
    fn pages_follow_each_other_and_the_oldest_make_room() {
        let letters = DeadLetters::default();
        (0..DEAD_LETTERS_MAX + 3).for_each(|line| letters.push(letter(line, "{}")));
        let first = letters.page(0, 2);
        assert_eq!((first["letters"][0]["line"].as_u64(), first["next"].as_u64()), (Some(3), Some(5)));
        assert_eq!(first["forgotten"], 3);
        let last = letters.page(DEAD_LETTERS_MAX as u64 + 2, 10);
        assert_eq!(last["letters"].as_array().map(Vec::len), Some(1));
        assert_eq!(letters.page(u64::MAX, 10)["letters"].as_array().map(Vec::len), Some(0));
        assert_eq!(letters.count(), DEAD_LETTERS_MAX as u64 + 3);
    }

    #[test]
    fn bytes_are_bounded_and_cut_between_characters() {
        let long = "\u{e4}".repeat(DEAD_LETTER_BYTES_MAX);
        let cut = letter(1, &long);
        assert_eq!(cut.text, "\u{e4}".repeat(DEAD_LETTER_BYTES_MAX / 2));
        let odd = DeadLetter::new(UnixNanos(1), "x", 1, ("", ""), &[b'a', 0xff, 0xfe]);
        assert_eq!(odd.text, "a\u{fffd}\u{fffd}");
        let letters = DeadLetters::default();
        (0..10_000).for_each(|line| letters.push(letter(line, &long)));
        let kept = letters.0.lock();
        assert!(kept.bytes <= DEAD_LETTERS_BYTES_MAX && kept.letters.len() > 3_000);
        assert_eq!(kept.bytes, kept.letters.iter().map(DeadLetter::bytes).sum::<usize>());
    }
}
