//! Bodies of the exchange's answers: where they end, and their bytes without the chunks around them.
//!
//! No I/O: [`Framing::step`] takes what has arrived and says what it is. Bounds: a chunk's size line is at most
//! [`CHUNK_LINE_BYTES_MAX`] bytes, trailers (which are dropped) [`TRAILER_BYTES_MAX`] in all.

use super::{answer::Malformed, text};
use crate::strict::Violation;

/// Longest line with a chunk's size, extensions included.
const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Most bytes of trailers.
const TRAILER_BYTES_MAX: usize = 4 << 10;

/// Where a body ends, and how far it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// At its last chunk; a size line comes next.
    Chunked,
    /// Inside a chunk with this many bytes left.
    Chunk(u64),
    /// After the bytes of a chunk: its line end comes next.
    ChunkEnd,
    /// After the last chunk, with this many bytes of trailers read.
    Trailers(usize),
    /// Here.
    Empty,
    /// After this many more bytes.
    Length(u64),
    /// Where the connection ends.
    UntilClose,
}

/// What the first of the bytes that have arrived are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// This many bytes of the body.
    Data(usize),
    /// The body is over.
    End,
    /// More must arrive.
    More,
    /// This many bytes that are not part of the body.
    Skip(usize),
}

impl Framing {
    /// What `bytes` start with; moves on by what it tells.
    ///
    /// # Errors
    /// [`Malformed`] when the chunks are none.
    pub(crate) fn step(&mut self, bytes: &[u8]) -> Result<Step, Malformed> {
        match *self {
            Self::Empty => Ok(Step::End),
            Self::UntilClose if bytes.is_empty() => Ok(Step::More),
            Self::UntilClose => Ok(Step::Data(bytes.len())),
            Self::Length(left) | Self::Chunk(left) => {
                let n = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                if n == 0 {
                    return Ok(Step::More);
                }
                let left = left - n as u64;
                *self = match *self {
                    Self::Length(_) if left == 0 => Self::Empty,
                    Self::Length(_) => Self::Length(left),
                    _ if left == 0 => Self::ChunkEnd,
                    _ => Self::Chunk(left),
                };
                Ok(Step::Data(n))
            }
            Self::ChunkEnd => match bytes {
                [b'\r', b'\n', ..] => {
                    *self = Self::Chunked;
                    Ok(Step::Skip(2))
                }
                [] | [b'\r'] => Ok(Step::More),
                _ => Err(Malformed::Framing),
            },
            Self::Chunked => self.size_line(bytes),
            Self::Trailers(read) => self.trailer(bytes, read),
        }
    }

    fn size_line(&mut self, bytes: &[u8]) -> Result<Step, Malformed> {
        let Some(end) = line(bytes, CHUNK_LINE_BYTES_MAX)? else { return Ok(Step::More) };
        let line = bytes.get(..end).unwrap_or_default();
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        // Extensions are dropped.
        if digits == 0 || digits > 15 || !matches!(line.get(digits), None | Some(b';' | b' ' | b'\t')) {
            return Err(Malformed::Framing);
        }
        let digit = |byte: &u8| u64::from(char::from(*byte).to_digit(16).unwrap_or_default());
        let size = line.iter().take(digits).fold(0, |size, byte| size * 16 + digit(byte));
        *self = if size == 0 { Self::Trailers(0) } else { Self::Chunk(size) };
        Ok(Step::Skip(end + 2))
    }

    fn trailer(&mut self, bytes: &[u8], read: usize) -> Result<Step, Malformed> {
        let Some(end) = line(bytes, TRAILER_BYTES_MAX.saturating_sub(read))? else { return Ok(Step::More) };
        if end == 0 {
            *self = Self::Empty;
        } else {
            text::name(bytes.get(..end).unwrap_or_default())?;
            *self = Self::Trailers(read + end + 2);
        }
        Ok(Step::Skip(end + 2))
    }
}

/// Where the first line of `bytes` ends, at most `max` bytes on.
fn line(bytes: &[u8], max: usize) -> Result<Option<usize>, Malformed> {
    let looked_at = bytes.get(..max + 2).unwrap_or(bytes);
    match text::line(looked_at, 0, Violation::HeaderField)? {
        None if bytes.len() >= max + 2 => Err(Malformed::TooLarge),
        found => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds `stream` in pieces that end at `cuts`; gives the body and what is left of the stream.
    fn decode(
        mut framing: Framing,
        stream: &[u8],
        cuts: &[usize],
    ) -> Result<(Vec<u8>, usize, bool), Malformed> {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
        ends.push(stream.len());
        ends.sort_unstable();
        let (mut body, mut at) = (Vec::new(), 0);
        for end in ends {
            loop {
                match framing.step(&stream[at..end])? {
                    Step::Data(n) => {
                        body.extend_from_slice(&stream[at..at + n]);
                        at += n;
                    }
                    Step::Skip(n) => at += n,
                    Step::More => break,
                    Step::End => return Ok((body, stream.len() - at, true)),
                }
            }
        }
        Ok((body, stream.len() - at, false))
    }

    #[test]
    fn chunks_come_in_one_form() {
        let read = |stream: &str| decode(Framing::Chunked, stream.as_bytes(), &[]);
        assert_eq!(read("5\r\nhello\r\n0\r\n\r\nX"), Ok((b"hello".to_vec(), 1, true)));
        assert_eq!(
            read("A;name=\"v\"\r\n0123456789\r\n00\r\nT: v\r\n\r\n"),
            Ok((b"0123456789".to_vec(), 0, true))
        );
        assert_eq!(read("5\r\nhel"), Ok((b"hel".to_vec(), 0, false)));
        for bad in ["\r\n", "g\r\n", "-1\r\n", "0x5\r\n", "5\nhello", "5\r\nhelloX", "5\r\nhello\n", " 5\r\n"]
        {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        assert_eq!(read("1234567890abcdef\r\n"), Err(Malformed::Framing));
        assert_eq!(read(&format!("5;{}", "x".repeat(CHUNK_LINE_BYTES_MAX))), Err(Malformed::TooLarge));
        let trailers = "T: v\r\n".repeat(TRAILER_BYTES_MAX / 6 + 2);
        assert_eq!(read(&format!("0\r\n{trailers}\r\n")), Err(Malformed::TooLarge));
    }

    #[test]
    fn lengths_end_where_they_say() {
        assert_eq!(decode(Framing::Length(3), b"abcd", &[1, 2]), Ok((b"abc".to_vec(), 1, true)));
        assert_eq!(decode(Framing::Length(9), b"abcd", &[]), Ok((b"abcd".to_vec(), 0, false)));
        assert_eq!(decode(Framing::UntilClose, b"abcd", &[2]), Ok((b"abcd".to_vec(), 0, false)));
        assert_eq!(decode(Framing::Empty, b"abcd", &[]), Ok((vec![], 4, true)));
    }

    proptest! {
        /// However the network cuts the chunks, the body is the same.
        #[test]
        fn cuts_do_not_matter(
            chunks in proptest::collection::vec("[a-z\\r\\n]{1,20}", 0..5),
            damage in proptest::option::of((any::<usize>(), any::<u8>())),
            cuts in proptest::collection::vec(any::<usize>(), 0..12),
        ) {
            let mut stream: Vec<u8> = chunks
                .iter()
                .flat_map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len()).into_bytes())
                .chain(*b"0\r\nT: v\r\n\r\nnext")
                .collect();
            if let Some((at, byte)) = damage {
                let at = at % stream.len();
                stream[at] = byte;
            } else {
                let body = chunks.concat().into_bytes();
                prop_assert_eq!(decode(Framing::Chunked, &stream, &[]), Ok((body, 4, true)));
            }
            prop_assert_eq!(decode(Framing::Chunked, &stream, &cuts), decode(Framing::Chunked, &stream, &[]));
        }
    }
}
