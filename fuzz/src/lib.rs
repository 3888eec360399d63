//! What the targets share: a reader that turns the fuzzer's bytes into choices, and edits of good examples.
//!
//! Most parsers here refuse nearly everything. Targets without a corpus therefore start from a good example and let
//! the fuzzer edit it, or compute the checksum that random bytes would never hit; both beside the plain bytes.

/// The fuzzer's bytes as a source of choices; zeroes once they are used up.
#[derive(Debug)]
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// From the fuzzer's input.
    #[must_use]
    pub const fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `N` bytes.
    #[must_use]
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.bytes(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    /// The next byte.
    #[must_use]
    pub fn byte(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    /// A number below `end`, which must not be 0.
    #[must_use]
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(u16::from_be_bytes(self.array())) % end
    }

    /// A number that is more often near an end of its range than elsewhere.
    #[must_use]
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            byte @ 0..=127 => u64::from(byte),
            byte @ 128..=191 => u64::MAX - u64::from(byte - 128),
            _ => u64::from_be_bytes(self.array()),
        }
    }

    /// At most `len` bytes, fewer at the end.
    #[must_use]
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// All that is left.
    #[must_use]
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// `data` itself, or one of `examples` with the edits that `data` describes.
///
/// The first byte chooses; an edit is a place, how many bytes go, how many come, and those.
#[must_use]
pub fn edited(examples: &[&[u8]], data: &[u8]) -> Vec<u8> {
    let mut choices = Choices::new(data);
    let choice = usize::from(choices.byte());
    let Some(example) = examples.get(choice % (examples.len() + 1)) else { return choices.rest().to_vec() };
    let mut text = example.to_vec();
    while !choices.is_empty() {
        let at = choices.below(text.len() + 1);
        let end = (at + usize::from(choices.byte() % 32)).min(text.len());
        let insert = usize::from(choices.byte() % 32);
        text.splice(at..end, choices.bytes(insert).iter().copied());
    }
    text
}

/// As [`edited`], for parsers of text; `None` when the result is not UTF-8.
#[must_use]
pub fn edited_text(examples: &[&str], data: &[u8]) -> Option<String> {
    let examples: Vec<&[u8]> = examples.iter().map(|example| example.as_bytes()).collect();
    String::from_utf8(edited(&examples, data)).ok()
}
