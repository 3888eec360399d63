//! Where the frames begin and end that were sent to the client (RFC 9113 section 4.1), as far as needed to put one more
//! after them, and to see that the HTTP/2 library gives up on the client.

/// Length of the head of a frame.
const HEAD_BYTES: usize = 9;
/// Of `GOAWAY`: the last stream and the error code.
const GOAWAY_BYTES: usize = 8;
const GOAWAY: u8 = 7;
const ENHANCE_YOUR_CALM: u8 = 11;

/// A cursor over the bytes sent, however they are cut.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// The head of the present frame, and behind it the first bytes of the payload of a `GOAWAY`.
    bytes: [u8; HEAD_BYTES + GOAWAY_BYTES],
    known: usize,
    /// Bytes of payload that are still to come.
    left: usize,
}

impl Sent {
    /// Reads on; whether a `GOAWAY` with an error was among it.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> bool {
        let mut gave_up = false;
        while !bytes.is_empty() {
            let wanted = if self.known < HEAD_BYTES {
                HEAD_BYTES - self.known
            } else if self.bytes[3] == GOAWAY {
                self.left.min(self.bytes.len() - self.known)
            } else {
                0
            };
            let n = if wanted > 0 {
                let n = wanted.min(bytes.len());
                if let (Some(into), Some(from)) =
                    (self.bytes.get_mut(self.known..self.known + n), bytes.get(..n))
                {
                    into.copy_from_slice(from);
                }
                let was_head = self.known < HEAD_BYTES;
                self.known += n;
                if was_head {
                    if self.known == HEAD_BYTES {
                        let [high, middle, low, ..] = self.bytes;
                        self.left = u32::from_be_bytes([0, high, middle, low]) as usize;
                    }
                } else {
                    self.left -= n;
                    gave_up |= self.known == self.bytes.len() && self.bytes[13..] != [0; 4];
                }
                n
            } else {
                let n = self.left.min(bytes.len());
                self.left -= n;
                n
            };
            bytes = bytes.get(n..).unwrap_or_default();
            if self.known >= HEAD_BYTES && self.left == 0 {
                self.known = 0;
            }
        }
        gave_up
    }

    /// `GOAWAY(ENHANCE_YOUR_CALM)`, if a frame may begin here.
    pub(crate) fn goodbye(&self) -> Option<[u8; HEAD_BYTES + GOAWAY_BYTES]> {
        let mut frame = [0; HEAD_BYTES + GOAWAY_BYTES];
        frame[2] = 8;
        frame[3] = GOAWAY;
        // Any stream may have been acted on: the client must not take it that none was.
        frame[9..13].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
        frame[16] = ENHANCE_YOUR_CALM;
        (self.known == 0).then_some(frame)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 1], payload].concat()
    }

    proptest! {
        /// However frames are cut, only a `GOAWAY` with an error is one, and a frame begins where one ended.
        #[test]
        fn frames_are_told_apart(
            frames in proptest::collection::vec((0_u8..12, proptest::collection::vec(0_u8..2, 0..30)), 0..12),
            cut in 1_usize..40,
        ) {
            let mut sent = Sent::default();
            for (kind, payload) in frames {
                let bytes = frame(kind, &payload);
                let gave_up = bytes.chunks(cut).filter(|part| sent.read(part)).count() == 1;
                prop_assert_eq!(gave_up, kind == GOAWAY && payload.len() >= 8 && payload[4..8] != [0; 4]);
                prop_assert!(sent.goodbye().is_some());
                sent.read(&bytes[..5]);
                prop_assert!(sent.goodbye().is_none());
                sent.read(&bytes[5..]);
            }
        }
    }
}
