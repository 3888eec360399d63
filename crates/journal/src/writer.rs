//! The one thread that writes: takes what is in line, seals it, writes it, syncs once, then tells everybody.
//!
//! What holds if we stop here: before the sync nothing of the batch was acknowledged or visible; after it everything
//! was made durable. Keys of new subjects are durable before the first frame that needs them is written.

use std::sync::Arc;

use crypto::{NONCE_BYTES, Secret};
use domain::UnixNanos;
use keyring::{KeyError, KeyRandom, SEAL_OVERHEAD_BYTES, SlotWrite};
use tlog::{Frontier, Hash, leaf_hash};

use crate::{
    append::{AppendError, Appended, Draft, Job, Reply},
    disk::DiskLock,
    entry::{Envelope, encode_entry},
    frame::{FRAME_HEADER_BYTES, Tag, push_frame},
    log::{Health, Shared},
    segment::{INDEX_EVERY, Seal, Segment, SegmentHeader},
};

/// Nonces drawn from the operating system at a time.
const NONCES_DRAWN: usize = 256;

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    /// Held for as long as the writer lives.
    pub(crate) lock: Box<dyn DiskLock>,
    pub(crate) frontier: Frontier,
    pub(crate) last_at: UnixNanos,
    pub(crate) segment: Arc<Segment>,
    /// End of the last frame written.
    pub(crate) tail: u64,
    pub(crate) nonces: Nonces,
}

/// What a batch adds, until it is durable.
#[derive(Default)]
struct Batch {
    frames: Vec<u8>,
    leaves: Vec<Hash>,
    index: Vec<u64>,
    slots: Vec<SlotWrite>,
}

/// Fails the journal should the writer panic: without it appends would wait for ever.
struct Alarm(Arc<Shared>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&"the writer panicked".into());
        }
    }
}

impl Writer {
    pub(crate) fn run(mut self) {
        let _alarm = Alarm(Arc::clone(&self.shared));
        let mut batch = Batch::default();
        while let Some(jobs) = self.shared.queue.take() {
            let mut outcomes = Vec::with_capacity(jobs.len());
            if let Err(error) = self.commit(jobs, &mut batch, &mut outcomes) {
                let reason: Arc<str> = error.into();
                self.shared.fail(&reason);
                for (reply, result) in outcomes {
                    let failed = AppendError::Failed { reason: Arc::clone(&reason) };
                    reply.send(Err(result.err().unwrap_or(failed)));
                }
            } else {
                for (reply, result) in outcomes {
                    reply.send(result);
                }
            }
        }
        self.close();
    }

    /// Makes jobs durable. On error nothing is known about what was written; the outcomes then only hold for jobs
    /// that were refused.
    fn commit(
        &mut self,
        jobs: Vec<Job>,
        batch: &mut Batch,
        outcomes: &mut Vec<(Reply, Result<Appended, AppendError>)>,
    ) -> Result<(), String> {
        batch.frames.clear();
        batch.leaves.clear();
        batch.index.clear();
        batch.slots.clear();
        let rolled = self.roll_if_full();
        {
            // Held while slots are computed and written: an erasure in between would be overwritten.
            let shared = Arc::clone(&self.shared);
            let key_file = shared.key_file.lock();
            for job in jobs {
                let result = self.encode(&job.drafts, batch);
                outcomes.push((job.reply, result));
            }
            rolled?;
            if !batch.slots.is_empty() {
                write_slots(&**key_file, &batch.slots).map_err(|error| format!("key table: {error}"))?;
            }
        }
        if batch.leaves.is_empty() {
            return Ok(());
        }
        let named = |error: std::io::Error| format!("{}: {error}", self.segment.path);
        self.segment.file.write_at(self.tail, &batch.frames).map_err(named)?;
        self.segment.file.sync().map_err(named)?;
        self.tail += batch.frames.len() as u64;
        batch.leaves.iter().for_each(|leaf| self.frontier.append(*leaf));
        {
            let mut state = self.segment.state.write();
            state.entries += batch.leaves.len() as u64;
            state.len = self.tail;
            state.index.append(&mut batch.index);
        }
        self.shared.published.advance(self.frontier.size(), self.frontier.root());
        // With nothing in line, a mark says that this batch is durable; otherwise the next batch will. The mark is
        // not synced: losing it only means that a crash cannot tell this batch from a torn one by the file alone.
        if self.shared.queue.is_idle() {
            self.mark(Tag::Mark).map_err(|error| format!("{}: {error}", self.segment.path)).or_else(
                |reason| {
                    // The batch itself is durable and stays acknowledged.
                    self.shared.fail(&reason.into());
                    Ok::<(), String>(())
                },
            )?;
        }
        Ok(())
    }

    /// Appends the frames of one job to the batch, or nothing.
    fn encode(&mut self, drafts: &[Draft], batch: &mut Batch) -> Result<Appended, AppendError> {
        let before = (batch.frames.len(), batch.leaves.len(), batch.index.len(), self.last_at);
        let first = self.frontier.size() + batch.leaves.len() as u64;
        for draft in drafts {
            if let Err(error) = self.encode_draft(draft, batch) {
                // Keys made for this job stay: their slots are in the table already.
                batch.frames.truncate(before.0);
                batch.leaves.truncate(before.1);
                batch.index.truncate(before.2);
                self.last_at = before.3;
                return Err(error);
            }
        }
        Ok(Appended { first, count: drafts.len() as u64 })
    }

    fn encode_draft(&mut self, draft: &Draft, batch: &mut Batch) -> Result<(), AppendError> {
        let (pseudonym, dek) = {
            let mut keys = self.shared.keys.lock();
            let pseudonym = keys.pseudonym(&draft.subject);
            let (dek, write) = keys.dek_or_create(&pseudonym, fresh_key).map_err(|error| match error {
                KeyError::Erased => AppendError::SubjectErased { pseudonym },
                KeyError::Full => AppendError::KeyTableFull,
                other => AppendError::Failed { reason: other.to_string().into() },
            })?;
            batch.slots.extend(write);
            (pseudonym, dek)
        };
        self.last_at = self.last_at.max(draft.at);
        let attested = self.frontier.size();
        let seq = attested + batch.leaves.len() as u64;
        let envelope =
            Envelope { seq, at: self.last_at, kind: draft.kind, pseudonym, dek_version: dek.version() };
        let nonce = self.nonces.next();
        let start = batch.frames.len();
        push_frame(&mut batch.frames, Tag::Entry, seq, attested, |out| {
            let sealed_len = draft.payload.len() + SEAL_OVERHEAD_BYTES;
            encode_entry(&envelope, sealed_len, out, |aad, out| dek.seal(&nonce, aad, &draft.payload, out));
        });
        if (seq - self.segment.first_seq).is_multiple_of(INDEX_EVERY) {
            batch.index.push(self.tail + start as u64);
        }
        batch.leaves.push(leaf_hash(&batch.frames[start + FRAME_HEADER_BYTES..]));
        Ok(())
    }

    /// Writes a frame that only attests what is durable.
    fn mark(&mut self, tag: Tag) -> std::io::Result<()> {
        let mut frame = Vec::with_capacity(FRAME_HEADER_BYTES);
        push_frame(&mut frame, tag, self.frontier.size(), self.frontier.size(), |_| {});
        self.segment.file.write_at(self.tail, &frame)?;
        self.tail += frame.len() as u64;
        Ok(())
    }

    /// Seals the segment if it is full and begins the next one.
    fn roll_if_full(&mut self) -> Result<(), String> {
        let entries = self.segment.state.read().entries;
        if entries == 0 || self.tail < self.shared.config.segment_bytes_max {
            return Ok(());
        }
        let named = |error: std::io::Error| format!("{}: {error}", self.segment.path);
        let size = self.frontier.size();
        let root = self.frontier.root();
        let mut frame = Vec::new();
        push_frame(&mut frame, Tag::Seal, size, size, |out| Seal { entries, root }.push(out));
        self.segment.file.write_at(self.tail, &frame).map_err(named)?;
        self.segment.file.sync().map_err(named)?;
        {
            let mut state = self.segment.state.write();
            state.len = self.tail + frame.len() as u64;
            state.sealed = true;
        }
        // A crash here leaves a sealed last segment; opening begins the next one.
        self.segment = Segment::create(&*self.shared.disk, &SegmentHeader { first_seq: size, root })
            .map_err(|error| format!("new segment at entry {size}: {error}"))?;
        self.tail = self.segment.state.read().len;
        self.shared.segments.write().push(Arc::clone(&self.segment));
        Ok(())
    }

    fn close(mut self) {
        if self.shared.published.health() == Health::Running {
            let closed = self.mark(Tag::Close).and_then(|()| self.segment.file.sync());
            match closed {
                Ok(()) => self.segment.state.write().len = self.tail,
                Err(error) => self.shared.fail(&format!("{}: {error}", self.segment.path).into()),
            }
        }
        self.shared.published.stop(Health::Closed);
        drop(self.lock);
    }
}

/// Writes slots and syncs them.
pub(crate) fn write_slots(file: &dyn crate::disk::DiskFile, slots: &[SlotWrite]) -> std::io::Result<()> {
    for slot in slots {
        file.write_at(slot.offset(), &slot.bytes)?;
    }
    file.sync()
}

/// Random bytes for a new key.
pub(crate) fn fresh_key() -> KeyRandom {
    KeyRandom { key: Secret::new(crypto::random::array()), nonce: crypto::random::array() }
}

/// Random nonces, drawn many at a time: one system call each would cost more than the sealing.
pub(crate) struct Nonces {
    drawn: [[u8; NONCE_BYTES]; NONCES_DRAWN],
    left: usize,
}

impl Nonces {
    pub(crate) fn new() -> Self {
        Self { drawn: [[0; NONCE_BYTES]; NONCES_DRAWN], left: 0 }
    }

    fn next(&mut self) -> [u8; NONCE_BYTES] {
        if self.left == 0 {
            crypto::random::fill(self.drawn.as_flattened_mut());
            self.left = NONCES_DRAWN;
        }
        self.left -= 1;
        self.drawn[self.left]
    }
}
