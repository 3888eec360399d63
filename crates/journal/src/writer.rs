//! The one thread that writes: takes what is in line, seals it, writes it, syncs once, then tells everybody. Of large
//! batches a second thread seals half, and hashes while this one waits for the disk.
//!
//! What holds if we stop here: before the sync nothing of the batch was acknowledged or visible; after it everything
//! was made durable. Keys of new subjects are durable before the first frame that needs them is written.

use std::{collections::HashMap, sync::Arc};

use crypto::{NONCE_BYTES, Secret};
use domain::{Subject, UnixNanos};
use keyring::{KeyError, KeyRandom, Pseudonym, SlotWrite};
use tlog::{Frontier, Hash};

use crate::{
    append::{AppendError, Appended, Draft, Job, Reply},
    batch::{Frames, Planned, grown},
    disk::DiskLock,
    entry::Envelope,
    frame::{FRAME_HEADER_BYTES, Tag, push_frame},
    log::{Health, Shared},
    second::{Promise, Second},
    segment::{INDEX_EVERY, Seal, Segment, SegmentHeader},
};

/// Nonces drawn from the operating system at a time.
const NONCES_DRAWN: usize = 256;

/// Batches of at least so many drafts occupy two threads: below, waking the second costs more than it saves.
const SHARED_DRAFTS: usize = 64;

/// Pseudonyms kept at once, some hundred bytes each. When full the memory starts anew: one costs a microsecond.
const PSEUDONYMS_MAX: usize = 65_536;

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
    pub(crate) pseudonyms: Pseudonyms,
    /// Started by the first large batch.
    pub(crate) second: Option<Second>,
}

/// What a batch adds, until it is durable.
#[derive(Default)]
struct Batch {
    plan: Vec<Planned>,
    slots: Vec<SlotWrite>,
    /// Buffers of earlier batches.
    spare: Vec<Frames>,
}

/// Frames of a batch that are in the file and not yet synced.
struct Written {
    parts: Vec<Arc<Frames>>,
    /// The tree with them, if the second thread computes it.
    hashed: Option<Promise<(Frontier, Hash)>>,
    /// End of the last frame.
    tail: u64,
    /// What the index of the segment gains.
    index: Vec<u64>,
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
        batch.plan.clear();
        batch.slots.clear();
        let rolled = self.roll_if_full();
        let written = {
            // Held while slots are computed and written: an erasure in between would be overwritten. Held until all
            // is sealed: once an erasure has returned, nothing is sealed with its key any more.
            let shared = Arc::clone(&self.shared);
            let key_file = shared.key_file.lock();
            for job in jobs {
                let result = self.plan(job.drafts, batch);
                outcomes.push((job.reply, result));
            }
            rolled?;
            if !batch.slots.is_empty() {
                write_slots(&**key_file, &batch.slots).map_err(|error| format!("key table: {error}"))?;
            }
            if batch.plan.is_empty() {
                return Ok(());
            }
            self.write(batch)?
        };
        let Written { parts, hashed, tail, mut index } = written;
        let named = |error: std::io::Error| format!("{}: {error}", self.segment.path);
        self.segment.file.sync().map_err(named)?;
        let (frontier, root) = match hashed {
            Some(hashed) => hashed.wait()?,
            None => grown(self.frontier.clone(), &parts),
        };
        let entries = frontier.size() - self.frontier.size();
        self.tail = tail;
        self.frontier = frontier;
        {
            let mut state = self.segment.state.write();
            state.entries += entries;
            state.len = self.tail;
            state.index.append(&mut index);
        }
        self.shared.published.advance(self.frontier.size(), root);
        batch.spare.extend(parts.into_iter().filter_map(Arc::into_inner));
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

    /// Gives the drafts of one job their places, or nothing.
    fn plan(&mut self, drafts: Vec<Draft>, batch: &mut Batch) -> Result<Appended, AppendError> {
        let before = (batch.plan.len(), self.last_at);
        let first = self.frontier.size() + batch.plan.len() as u64;
        let count = drafts.len() as u64;
        for draft in drafts {
            if let Err(error) = self.plan_draft(draft, batch) {
                // Keys made for this job stay: their slots are in the table already.
                batch.plan.truncate(before.0);
                self.last_at = before.1;
                return Err(error);
            }
        }
        Ok(Appended { first, count })
    }

    fn plan_draft(&mut self, draft: Draft, batch: &mut Batch) -> Result<(), AppendError> {
        let (pseudonym, dek) = {
            let mut keys = self.shared.keys.lock();
            let pseudonym = self.pseudonyms.of(draft.subject, |subject| keys.pseudonym(subject));
            // Asked anew each time: the table refuses a subject from the moment it is erased.
            let (dek, write) = keys.dek_or_create(&pseudonym, fresh_key).map_err(|error| match error {
                KeyError::Erased => AppendError::SubjectErased { pseudonym },
                KeyError::Full => AppendError::KeyTableFull,
                other => AppendError::Failed { reason: other.to_string().into() },
            })?;
            batch.slots.extend(write);
            (pseudonym, dek)
        };
        self.last_at = self.last_at.max(draft.at);
        let seq = self.frontier.size() + batch.plan.len() as u64;
        let envelope =
            Envelope { seq, at: self.last_at, kind: draft.kind, pseudonym, dek_version: dek.version() };
        batch.plan.push(Planned { envelope, dek, nonce: self.nonces.next(), payload: draft.payload });
        Ok(())
    }

    /// Seals the plan, which is empty afterwards, and writes its frames; nothing is synced.
    fn write(&mut self, batch: &mut Batch) -> Result<Written, String> {
        let attested = self.frontier.size();
        let mut written = Written { parts: Vec::new(), hashed: None, tail: self.tail, index: Vec::new() };
        let mut seq = attested;
        let mut first = batch.spare.pop().unwrap_or_default();
        if batch.plan.len() >= SHARED_DRAFTS && self.second.is_none() {
            // Without it all is as right and only slower; the next large batch tries again.
            self.second = Second::start().ok();
        }
        let second = self.second.as_ref().filter(|_| batch.plan.len() >= SHARED_DRAFTS);
        let rest = second.map(|second| {
            // A little more than half: this thread also writes its part meanwhile.
            let rest = batch.plan.split_off(batch.plan.len() * 4 / 9);
            let mut frames = batch.spare.pop().unwrap_or_default();
            second.run(move || {
                frames.seal(&rest, attested);
                (frames, rest)
            })
        });
        first.seal(&batch.plan, attested);
        self.write_part(first, &mut seq, &mut written)?;
        let sealed = std::mem::take(&mut batch.plan);
        if let (Some(second), Some(rest)) = (second, rest) {
            let (frames, rest) = rest.wait()?;
            let frames = Arc::new(frames);
            let (frontier, parts) =
                (self.frontier.clone(), [Arc::clone(&written.parts[0]), Arc::clone(&frames)]);
            written.hashed = Some(second.run(move || grown(frontier, &parts)));
            // Freeing the payloads takes its time too.
            drop(second.run(move || drop((sealed, rest))));
            self.write_part(frames, &mut seq, &mut written)?;
        }
        Ok(written)
    }

    /// Writes frames behind those written already.
    fn write_part(
        &self,
        part: impl Into<Arc<Frames>>,
        seq: &mut u64,
        written: &mut Written,
    ) -> Result<(), String> {
        let part = part.into();
        self.segment
            .file
            .write_at(written.tail, &part.bytes)
            .map_err(|error| format!("{}: {error}", self.segment.path))?;
        for start in part.starts() {
            if (*seq - self.segment.first_seq).is_multiple_of(INDEX_EVERY) {
                written.index.push(written.tail + start as u64);
            }
            *seq += 1;
        }
        written.tail += part.bytes.len() as u64;
        written.parts.push(part);
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
        drop(self.second);
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

/// Pseudonyms of the subjects last written about. A subject's never changes while a key table lives.
#[derive(Default)]
pub(crate) struct Pseudonyms(HashMap<Subject, Pseudonym>);

impl Pseudonyms {
    fn of(&mut self, subject: Subject, compute: impl FnOnce(&Subject) -> Pseudonym) -> Pseudonym {
        if let Some(known) = self.0.get(&subject) {
            return *known;
        }
        if self.0.len() >= PSEUDONYMS_MAX {
            self.0.clear();
        }
        let pseudonym = compute(&subject);
        self.0.insert(subject, pseudonym);
        pseudonym
    }
}
