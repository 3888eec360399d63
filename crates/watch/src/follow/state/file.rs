//! The stored form of a state: one frame that holds all of it, and after it frames of what was done since.
//!
//! ```text
//! file  = "caponier follow 2\n", frame, frame*
//! frame = bytes of the body u32, the first 4 bytes of the SHA-256 of (chain, those 4), body,
//!         the SHA-256 of (chain, all before of the frame)
//! chain = the SHA-256 at the end of the frame before; of the first frame, of the first line
//! ```
//!
//! The first frame is the state as [`FollowState`] encodes it, each further one a list of [`Step`]s. A block costs what happened in it,
//! however many alerts are kept; when the steps are longer than the state, the file is written anew ([`StateFile`]). Integers are
//! little-endian.
//!
//! A flipped bit anywhere is found. What an interrupted write left at the end, too short or with a page that was never written, was not
//! acknowledged, and counts for nothing: nobody was told of it.

use std::convert::Infallible;

use chain::headers::{BlockHash, BlockId, Header};
use crypto::sha256;
use minicbor::{Decoder, Encoder, encode};

use super::{BadState, FollowState, array, decode_alert, encode_alert, fixed, len};
use crate::follow::alert::Alert;

/// First line of stored bytes.
pub(super) const FORMAT: &[u8] = b"caponier follow 2\n";
const HEAD_BYTES: usize = 8;
const DIGEST_BYTES: usize = 32;
/// What is written at once by disks and systems.
const PAGE_BYTES: usize = 4096;
/// Fewest zeros at the end of a page that show that it was never written.
const UNWRITTEN_BYTES: usize = 8;
/// Steps shorter than this do not make the file be written anew.
const STEPS_BYTES: usize = 1 << 20;

/// What changed a state. Done again, steps give the same state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A block was put on, with these alerts.
    Connected(Header, Vec<Alert>),
    /// The news were taken over.
    Delivered,
    /// The newest block was taken off.
    Disconnected,
    /// The first block of the chain became known.
    Genesis(BlockHash),
    /// So many blocks made room for another branch.
    Reorganised(u64),
    /// All headers were forgotten.
    Restarted,
}

impl Step {
    fn encode(&self, e: &mut Encoder<&mut Vec<u8>>) -> Result<(), encode::Error<Infallible>> {
        match self {
            Self::Connected(header, alerts) => {
                e.array(3)?.u8(0)?;
                encode_header(e, header)?;
                e.array(len(alerts.len()))?;
                alerts.iter().try_for_each(|alert| encode_alert(e, alert))?;
            }
            Self::Delivered => drop(e.array(1)?.u8(1)?),
            Self::Disconnected => drop(e.array(1)?.u8(2)?),
            Self::Genesis(genesis) => drop(e.array(2)?.u8(3)?.bytes(&genesis.0)?),
            Self::Reorganised(depth) => drop(e.array(2)?.u8(4)?.u64(*depth)?),
            Self::Restarted => drop(e.array(1)?.u8(5)?),
        }
        Ok(())
    }

    fn decode(d: &mut Decoder<'_>, chain: &std::sync::Arc<str>) -> Option<Self> {
        let fields = d.array().ok()??;
        Some(match (d.u8().ok()?, fields) {
            (0, 3) => {
                let header = decode_header(d)?;
                let mut alerts = Vec::new();
                for _ in 0..d.array().ok()?? {
                    alerts.push(decode_alert(d, chain)?);
                }
                Self::Connected(header, alerts)
            }
            (1, 1) => Self::Delivered,
            (2, 1) => Self::Disconnected,
            (3, 2) => Self::Genesis(BlockHash(fixed(d)?)),
            (4, 2) => Self::Reorganised(d.u64().ok()?),
            (5, 1) => Self::Restarted,
            _ => return None,
        })
    }
}

pub(super) fn encode_header(
    e: &mut Encoder<&mut Vec<u8>>,
    header: &Header,
) -> Result<(), encode::Error<Infallible>> {
    e.array(4)?.u64(header.id.height)?.bytes(&header.id.hash.0)?;
    e.bytes(&header.parent.0)?.u64(header.time_s)?;
    Ok(())
}

pub(super) fn decode_header(d: &mut Decoder<'_>) -> Option<Header> {
    array(d, 4)?;
    let id = BlockId { height: d.u64().ok()?, hash: BlockHash(fixed(d)?) };
    Some(Header { id, parent: BlockHash(fixed(d)?), time_s: d.u64().ok()? })
}

fn head(chain: &[u8; DIGEST_BYTES], body: usize) -> Option<[u8; HEAD_BYTES]> {
    let length = u32::try_from(body).ok()?.to_le_bytes();
    let mut head = [0; HEAD_BYTES];
    let (start, check) = head.split_at_mut(4);
    start.copy_from_slice(&length);
    check.copy_from_slice(sha256(&[chain, &length]).get(..4)?);
    Some(head)
}

/// A frame and its digest; `None` if the body is longer than a frame can be.
fn frame(chain: &[u8; DIGEST_BYTES], body: &[u8]) -> Option<(Vec<u8>, [u8; DIGEST_BYTES])> {
    let head = head(chain, body.len())?;
    let digest = sha256(&[chain, &head, body]);
    Some(([&head, body, &digest].concat(), digest))
}

/// What is to be written next.
#[derive(Debug, PartialEq, Eq)]
pub enum Write {
    /// In place of all before.
    Whole(Vec<u8>),
    /// Behind all before, of which there are so many bytes.
    More(u64, Vec<u8>),
}

/// How the stored form goes on. Of a state that was just loaded or begun, the next write is the whole.
#[derive(Debug, Default)]
pub struct StateFile {
    /// Digest at its end, bytes of the whole and of the steps behind it; `None`: not known to be as it should.
    written: Option<([u8; DIGEST_BYTES], usize, usize)>,
}

impl StateFile {
    /// What makes stored bytes be this state. If writing it fails, or nobody knows, go on with a new [`StateFile`].
    pub fn next(&mut self, state: &mut FollowState) -> Write {
        let more = self.written.and_then(|(chain, whole, steps)| {
            let mut body = Vec::new();
            let mut e = Encoder::new(&mut body);
            let written: Result<(), encode::Error<Infallible>> = e
                .array(len(state.steps.len()))
                .map(drop)
                .and_then(|()| state.steps.iter().try_for_each(|step| step.encode(&mut e)));
            if written.is_err() {
                unreachable!("writing to memory does not fail");
            }
            let (bytes, digest) = frame(&chain, &body)?;
            self.written = Some((digest, whole, steps.saturating_add(bytes.len())));
            Some((len(whole.saturating_add(steps)), bytes))
        });
        if let Some((behind, bytes)) = more {
            state.steps.clear();
            return Write::More(behind, bytes);
        }
        self.whole(state)
    }

    /// The whole state, in place of all before.
    pub fn whole(&mut self, state: &mut FollowState) -> Write {
        state.steps.clear();
        let bytes = state.to_bytes();
        let digest = bytes.last_chunk().copied().unwrap_or_default();
        self.written = Some((digest, bytes.len(), 0));
        Write::Whole(bytes)
    }

    /// Whether it is time to write the whole, when nobody waits for it.
    pub fn is_long(&self) -> bool {
        self.written.is_some_and(|(_, whole, steps)| steps > whole.max(STEPS_BYTES))
    }
}

/// The whole state as a file of one frame.
pub(super) fn whole(body: &[u8]) -> Vec<u8> {
    let frame = frame(&sha256(&[FORMAT]), body).map(|(bytes, _)| bytes);
    // The bounds of a state keep it far below the 4 GiB of a frame.
    [FORMAT, &frame.unwrap_or_default()].concat()
}

/// The bodies of all frames of stored bytes, and where each begins; the first is the state.
///
/// # Errors
/// [`BadState`].
pub(super) fn frames(bytes: &[u8]) -> Result<Vec<(usize, &[u8])>, BadState> {
    if !bytes.starts_with(FORMAT) {
        return Err(BadState::Version);
    }
    let mut found = Vec::new();
    let mut chain = sha256(&[FORMAT]);
    let mut at = FORMAT.len();
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        // All of the first frame was there before the file had its name.
        let torn = |is_torn: bool| if is_torn && !found.is_empty() { Ok(()) } else { Err(BadState::Digest) };
        let Some((start, body)) = rest.split_first_chunk::<HEAD_BYTES>() else {
            torn(true)?;
            break;
        };
        let [a, b, c, d, ..] = *start;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if head(&chain, length) != Some(*start) {
            // Nothing of it, or not its first page.
            torn(start.iter().all(|byte| *byte == 0) && has_unwritten_page(bytes, at))?;
            break;
        }
        let split = body.split_at_checked(length);
        let Some((body, Some((digest, _)))) =
            split.map(|(body, behind)| (body, behind.split_first_chunk::<DIGEST_BYTES>()))
        else {
            torn(true)?;
            break;
        };
        let end = at + HEAD_BYTES + length + DIGEST_BYTES;
        if sha256(&[&chain, start, body]) != *digest {
            // What stands behind it was written after it.
            let is_last = bytes.iter().skip(end).all(|byte| *byte == 0);
            torn(is_last && has_unwritten_page(bytes, at))?;
            break;
        }
        found.push((at + HEAD_BYTES, body));
        chain = *digest;
        at = end;
    }
    if found.is_empty() { Err(BadState::Digest) } else { Ok(found) }
}

/// Whether some page from a position on was made room for and never written. No frame holds a page of zeros.
fn has_unwritten_page(bytes: &[u8], from: usize) -> bool {
    let mut at = from;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let end = PAGE_BYTES - at % PAGE_BYTES;
        let page = rest.get(..end.min(rest.len())).unwrap_or_default();
        if page.len() >= UNWRITTEN_BYTES && page.iter().all(|byte| *byte == 0) {
            return true;
        }
        at += page.len();
    }
    false
}

/// Does again what the body of a frame says; `Err` is where it is not as it would be written.
pub(super) fn replay(state: &mut FollowState, body: &[u8]) -> Result<(), usize> {
    let mut d = Decoder::new(body);
    let read = steps(state, &mut d);
    if read.is_some() && d.position() == body.len() { Ok(()) } else { Err(d.position()) }
}

fn steps(state: &mut FollowState, d: &mut Decoder<'_>) -> Option<()> {
    for _ in 0..d.array().ok()?? {
        match Step::decode(d, &state.chain)? {
            Step::Connected(header, alerts) => state.reconnect(header, alerts).ok()?,
            Step::Delivered => state.delivered(),
            Step::Disconnected => drop(state.disconnect()?),
            Step::Genesis(genesis) => state.set_genesis(genesis),
            Step::Reorganised(depth) => state.reorganised(depth),
            Step::Restarted => state.restart(),
        }
        // What is done again is stored already.
        state.steps.clear();
    }
    Some(())
}
