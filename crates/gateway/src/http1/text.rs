//! Lines and field names of HTTP/1 heads.
//!
//! A line is looked at once: its end is the first control character, and only CRLF is a good one.

use crate::strict::Violation;

/// A byte in each of eight places.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The first control character at or after `from`, a tab excepted, or the end of `bytes`.
pub(crate) fn control(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let (blocks, tail) = rest.as_chunks::<8>();
        let found = blocks.iter().enumerate().find_map(|(index, block)| {
            let block = u64::from_le_bytes(*block);
            // The highest bit of each byte below a space, and of each 0x7f: the lowest such bit is exact, those above
            // it may be carried.
            let low = block.wrapping_sub(each(b' ')) & !block;
            let delete = block ^ each(0x7f);
            let delete = delete.wrapping_sub(each(1)) & !delete;
            let marks = (low | delete) & each(0x80);
            (marks != 0).then(|| index * 8 + marks.trailing_zeros() as usize / 8)
        });
        let is_control = |byte: &u8| *byte < b' ' || *byte == 0x7f;
        let found = found.or_else(|| Some(blocks.len() * 8 + tail.iter().position(is_control)?));
        let Some(found) = found else { return bytes.len() };
        at += found;
        if bytes.get(at) != Some(&b'\t') {
            return at;
        }
        at += 1;
    }
}

/// Where the line that starts at `from` ends, before its CRLF; `None` while that is open.
///
/// # Errors
/// [`Violation::LineEnd`] for half a line end; `otherwise` for any other control character.
pub(crate) fn line(bytes: &[u8], from: usize, otherwise: Violation) -> Result<Option<usize>, Violation> {
    let end = control(bytes, from);
    match bytes.get(end..).unwrap_or_default() {
        [b'\r', b'\n', ..] => Ok(Some(end)),
        [] | [b'\r'] => Ok(None),
        [b'\r' | b'\n', ..] => Err(Violation::LineEnd),
        _ => Err(otherwise),
    }
}

/// Length of the field name that `line` starts with, up to its colon.
pub(crate) fn name(line: &[u8]) -> Result<usize, Violation> {
    // A folded line starts with a blank, and a blank may stand before a colon: neither is part of a token.
    match line.iter().position(|byte| !is_token(*byte)) {
        Some(end) if end > 0 && line.get(end) == Some(&b':') => Ok(end),
        _ => Err(Violation::HeaderField),
    }
}

/// Where the value between `from` and `to` begins and ends without blanks around it.
pub(crate) fn trimmed(bytes: &[u8], mut from: usize, mut to: usize) -> (usize, usize) {
    let is_blank = |at: usize| matches!(bytes.get(at), Some(b' ' | b'\t'));
    while from < to && is_blank(from) {
        from += 1;
    }
    while from < to && is_blank(to - 1) {
        to -= 1;
    }
    (from, to)
}

/// A decimal number of at most 18 digits, which fits 64 bits whatever they are.
pub(crate) fn length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}

/// Appends a number in decimal.
pub(crate) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        at -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// RFC 9110 section 5.6.2.
pub(crate) const fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_written_and_read_the_same() {
        for number in [0, 1, 9, 10, 99, 1_234_567_890, 999_999_999_999_999_999, u64::MAX] {
            let mut text = Vec::new();
            push_number(&mut text, number);
            assert_eq!(text, number.to_string().as_bytes());
            assert_eq!(length(&text), (text.len() <= 18).then_some(number));
        }
        for bad in ["", "+1", " 1", "1 ", "0x1", "1,1", "1234567890123456789"] {
            assert_eq!(length(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn blanks_around_a_value_are_not_part_of_it() {
        for (text, expected) in [("", ""), (" ", ""), (" \t a b\t ", "a b"), ("a", "a"), ("a ", "a")] {
            let (from, to) = trimmed(text.as_bytes(), 0, text.len());
            assert_eq!(&text[from..to], expected);
        }
    }

    proptest! {
        #[test]
        fn the_first_control_character_is_found(
            bytes in proptest::collection::vec(
                prop_oneof![8 => any::<u8>(), 40 => 0x20_u8..0x7f, 8 => 0x80_u8.., 2 => Just(b'\t')], 0..80,
            ),
            from in 0_usize..90,
        ) {
            let is_control = |byte: &u8| *byte != b'\t' && (*byte < 0x20 || *byte == 0x7f);
            let naive = bytes.iter().skip(from).position(is_control).map_or(bytes.len().max(from), |at| from + at);
            prop_assert_eq!(control(&bytes, from).max(from), naive);
        }
    }
}
