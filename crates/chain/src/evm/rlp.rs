//! Recursive length prefix, writing only (Ethereum yellow paper, appendix B).

/// Appends a text of bytes.
pub(super) fn bytes(out: &mut Vec<u8>, text: &[u8]) {
    match text {
        [byte] if *byte < 0x80 => out.push(*byte),
        _ => {
            length(out, 0x80, text.len());
            out.extend_from_slice(text);
        }
    }
}

/// Appends an integer: big-endian without leading zeros.
pub(super) fn integer(out: &mut Vec<u8>, big_endian: &[u8]) {
    let zeros = big_endian.iter().take_while(|byte| **byte == 0).count();
    bytes(out, big_endian.get(zeros..).unwrap_or(&[]));
}

/// Appends a small integer.
pub(super) fn number(out: &mut Vec<u8>, value: u64) {
    integer(out, &value.to_be_bytes());
}

/// Appends a list whose items are written already.
pub(super) fn list(out: &mut Vec<u8>, items: &[u8]) {
    length(out, 0xc0, items.len());
    out.extend_from_slice(items);
}

fn length(out: &mut Vec<u8>, offset: u8, len: usize) {
    match u8::try_from(len) {
        Ok(short @ 0..=55) => out.push(offset + short),
        _ => {
            let big_endian = len.to_be_bytes();
            let zeros = big_endian.iter().take_while(|byte| **byte == 0).count();
            let digits = big_endian.get(zeros..).unwrap_or(&[]);
            // At most eight digits.
            out.push(offset + 55 + u8::try_from(digits.len()).unwrap_or(8));
            out.extend_from_slice(digits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    /// The examples of the Ethereum wiki's page on RLP.
    #[test]
    fn known_encodings() {
        assert_eq!(one(|out| bytes(out, b"dog")), [0x83, b'd', b'o', b'g']);
        assert_eq!(one(|out| bytes(out, b"")), [0x80]);
        assert_eq!(one(|out| bytes(out, &[0])), [0x00]);
        assert_eq!(one(|out| number(out, 0)), [0x80]);
        assert_eq!(one(|out| number(out, 15)), [0x0f]);
        assert_eq!(one(|out| number(out, 1024)), [0x82, 0x04, 0x00]);
        assert_eq!(one(|out| list(out, &[])), [0xc0]);
        let lorem = b"Lorem ipsum dolor sit amet, consectetur adipisicing elit";
        assert_eq!(one(|out| bytes(out, lorem))[..2], [0xb8, 0x38]);
        assert_eq!(one(|out| list(out, &[0x01; 1024]))[..3], [0xf9, 0x04, 0x00]);
    }
}
