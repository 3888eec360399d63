//! Storage in memory that behaves as badly as the contract allows: a power cut loses, keeps and reorders unsynced
//! sectors and names as a seed decides; errors come at chosen operations; bits flip on demand.
//!
//! Clones share one storage. After [`SimDisk::cut_power`], or when an injected power cut strikes, every operation
//! fails until [`SimDisk::reboot`]; files opened before stay dead.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use parking_lot::Mutex;

use super::{Disk, DiskFile, DiskLock, SECTOR_BYTES, parent};

/// What goes wrong at a chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injected {
    /// No space left: the first half of a write gets through, in whole sectors.
    Enospc,
    /// Input/output error: likewise; a failed sync leaves everything uncertain.
    Eio,
    /// The power goes: likewise, and nothing works until the reboot.
    PowerCut,
}

/// The simulated storage.
#[derive(Debug, Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    rng: u64,
    files: Vec<FileState>,
    /// Names as running programs see them.
    names: BTreeMap<String, usize>,
    /// Names as they would be after a power cut, before the pending ones.
    names_durable: BTreeMap<String, usize>,
    /// Changes of names since the last sync of their directory, in order.
    names_pending: Vec<NameChange>,
    dirs: BTreeSet<String>,
    locks: BTreeSet<String>,
    powered: bool,
    /// Counts reboots: handles of an earlier life are dead.
    life: u64,
    /// Operations that change something, so far.
    changes: u64,
    injected: BTreeMap<u64, Injected>,
    bytes_max: Option<u64>,
}

#[derive(Debug, Clone)]
struct NameChange {
    path: String,
    /// What the name stands for from now on.
    target: Option<usize>,
}

#[derive(Debug, Default)]
struct FileState {
    current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => content.resize(*len, 0),
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
        }
    }

    /// As [`Change::apply`], for the one sector that begins at `start`.
    fn apply_to_sector(&self, sector: &mut [u8], start: usize) {
        match self {
            Self::SetLen(len) => {
                let from = len.saturating_sub(start).min(sector.len());
                sector[from..].fill(0);
            }
            Self::Write { offset, bytes } => copy_overlap(sector, start, bytes, *offset),
        }
    }

    fn sectors(&self, len_before: usize) -> std::ops::Range<usize> {
        match self {
            Self::SetLen(len) => {
                (*len).min(len_before) / SECTOR_BYTES..(*len).max(len_before).div_ceil(SECTOR_BYTES)
            }
            Self::Write { offset, bytes } => {
                offset / SECTOR_BYTES..(offset + bytes.len()).div_ceil(SECTOR_BYTES)
            }
        }
    }
}

/// Copies the part of `bytes`, which lie at `offset`, that falls into `sector`, which lies at `start`.
fn copy_overlap(sector: &mut [u8], start: usize, bytes: &[u8], offset: usize) {
    let from = start.max(offset);
    let to = (start + sector.len()).min(offset + bytes.len());
    if from < to {
        sector[from - start..to - start].copy_from_slice(&bytes[from - offset..to - offset]);
    }
}

impl State {
    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn random(&mut self) -> u64 {
        self.rng = self.rng.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.rng;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `max`, with both ends likelier than the middle.
    fn choose(&mut self, max: usize) -> usize {
        match self.random() % 4 {
            0 => 0,
            1 => max,
            _ => usize::try_from(self.random() % (max as u64 + 1)).unwrap_or(max),
        }
    }

    fn check_life(&self, life: u64) -> io::Result<()> {
        if self.powered && self.life == life { Ok(()) } else { Err(io::Error::other("power is off")) }
    }

    /// Counts a change; the fault to inject, if one is due.
    fn change(&mut self, life: u64) -> io::Result<Option<Injected>> {
        self.check_life(life)?;
        let number = self.changes;
        self.changes += 1;
        let due = self.injected.remove(&number);
        if due == Some(Injected::PowerCut) {
            self.powered = false;
        }
        Ok(due)
    }

    /// As [`State::change`] for operations that have no half-way.
    fn whole_change(&mut self, life: u64) -> io::Result<()> {
        self.change(life)?.map_or(Ok(()), |fault| Err(error_of(fault)))
    }

    fn rename_target(&mut self, path: &str, target: Option<usize>) {
        match target {
            Some(file) => self.names.insert(path.to_owned(), file),
            None => self.names.remove(path),
        };
        self.names_pending.push(NameChange { path: path.to_owned(), target });
    }

    /// What is left of a file after a power cut.
    fn survive(&mut self, file: usize) -> Vec<u8> {
        let FileState { durable, pending, .. } = std::mem::take(&mut self.files[file]);
        if pending.is_empty() {
            return durable;
        }
        let mut lens = vec![durable.len()];
        let mut touched = BTreeSet::new();
        for change in &pending {
            let before = *lens.last().unwrap_or(&0);
            touched.extend(change.sectors(before));
            let mut len = before;
            match change {
                Change::SetLen(to) => len = *to,
                Change::Write { offset, bytes } => len = len.max(offset + bytes.len()),
            }
            lens.push(len);
        }
        // Every sector keeps the state after some number of the changes, each for itself.
        let mut content = durable.clone();
        content.resize(lens.iter().copied().max().unwrap_or(0), 0);
        for sector in touched {
            let kept = self.choose(pending.len());
            let start = sector * SECTOR_BYTES;
            let end = (start + SECTOR_BYTES).min(content.len());
            if start < end {
                let sector = &mut content[start..end];
                sector.fill(0);
                copy_overlap(sector, start, &durable, 0);
                pending[..kept].iter().for_each(|change| change.apply_to_sector(sector, start));
            }
        }
        // The length is that after some change, or of whole sectors on the way there.
        let kept = self.choose(pending.len());
        let mut len = lens[kept];
        let before = lens[kept.saturating_sub(1)];
        if len > before && self.random().is_multiple_of(3) {
            let sectors = (len - before) / SECTOR_BYTES;
            len = len.min((before / SECTOR_BYTES + self.choose(sectors)) * SECTOR_BYTES).max(before);
        }
        content.truncate(len);
        content
    }
}

fn error_of(fault: Injected) -> io::Error {
    match fault {
        Injected::Enospc => io::ErrorKind::StorageFull.into(),
        Injected::Eio => io::Error::other("input/output error"),
        Injected::PowerCut => io::Error::other("power is off"),
    }
}

impl SimDisk {
    /// An empty storage; the same seed and operations give the same outcome.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State { rng: seed, powered: true, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Lets `fault` strike at the change numbered `number` (from 0: creates, writes, syncs, renames, removes).
    pub fn inject(&self, number: u64, fault: Injected) {
        self.0.lock().injected.insert(number, fault);
    }

    /// Forgets the faults that have not struck yet.
    pub fn calm(&self) {
        self.0.lock().injected.clear();
    }

    /// Changes made so far.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.0.lock().changes
    }

    /// Fails writes that would bring all files together above `bytes_max`; `None` lifts the limit.
    pub fn limit(&self, bytes_max: Option<u64>) {
        self.0.lock().bytes_max = bytes_max;
    }

    /// Turns the power off: every operation fails until the reboot.
    pub fn cut_power(&self) {
        self.0.lock().powered = false;
    }

    /// Turns the power on again, with what has survived. Locks are free, faults to come are forgotten.
    pub fn reboot(&self) {
        let mut state = self.0.lock();
        let pending = std::mem::take(&mut state.names_pending);
        let kept = state.choose(pending.len());
        for change in pending.into_iter().take(kept) {
            match change.target {
                Some(file) => state.names_durable.insert(change.path, file),
                None => state.names_durable.remove(&change.path),
            };
        }
        for file in 0..state.files.len() {
            let content = state.survive(file);
            state.files[file] = FileState { current: content.clone(), durable: content, pending: Vec::new() };
        }
        state.names = state.names_durable.clone();
        state.locks.clear();
        state.injected.clear();
        state.powered = true;
        state.life += 1;
    }

    /// Ends the process but not the power: everything written is kept, handles and locks are dead.
    pub fn kill_process(&self) {
        let mut state = self.0.lock();
        state.locks.clear();
        state.injected.clear();
        state.powered = true;
        state.life += 1;
    }

    /// Paths of all files, sorted.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.0.lock().names.keys().cloned().collect()
    }

    /// A file's content as running programs see it.
    #[must_use]
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.0.lock();
        state.names.get(path).map(|file| state.files[*file].current.clone())
    }

    /// Sets a file's content, durably and behind everybody's back; makes the file if needed.
    pub fn plant(&self, path: &str, content: &[u8]) {
        let mut state = self.0.lock();
        let planted = FileState { current: content.to_vec(), durable: content.to_vec(), pending: Vec::new() };
        match state.names.get(path).copied() {
            Some(file) => state.files[file] = planted,
            None => {
                let file = state.files.len();
                state.files.push(planted);
                state.names.insert(path.to_owned(), file);
                state.names_durable.insert(path.to_owned(), file);
            }
        }
        let dir = parent(path).to_owned();
        state.dirs.insert(dir);
    }

    /// Flips one bit of a file; bit 0 is the lowest of the first byte. False if there is no such bit.
    pub fn flip(&self, path: &str, bit: usize) -> bool {
        let Some(mut content) = self.content(path) else { return false };
        let Some(byte) = content.get_mut(bit / 8) else { return false };
        *byte ^= 1 << (bit % 8);
        self.plant(path, &content);
        true
    }

    fn handle(&self, file: usize, life: u64) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { disk: self.clone(), file, life })
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.lock();
        let life = state.life;
        state.whole_change(life)?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = state.files.len();
        state.files.push(FileState::default());
        state.rename_target(path, Some(file));
        Ok(self.handle(file, life))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        let life = state.life;
        state.whole_change(life)?;
        // Directories are durable at once: the simulation is about files.
        state.dirs.insert(path.to_owned());
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        state.check_life(state.life)?;
        if !dir.is_empty() && !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let name = |path: &String| path.rsplit('/').next().unwrap_or(path).to_owned();
        Ok(state.names.keys().filter(|path| parent(path) == dir).map(name).collect())
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn DiskLock>> {
        let mut state = self.0.lock();
        state.check_life(state.life)?;
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { disk: self.clone(), path: path.to_owned(), life: state.life }))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.0.lock();
        state.check_life(state.life)?;
        let file = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(file, state.life))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        let life = state.life;
        if state.powered && !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.whole_change(life)?;
        state.rename_target(path, None);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        let life = state.life;
        state.whole_change(life)?;
        let file = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        // The new name first, so that no prefix of the changes leaves the content without a name. A real rename
        // does both at once; the old name left beside the new one is what callers of `replace` must stand.
        state.rename_target(to, Some(file));
        state.rename_target(from, None);
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        let life = state.life;
        state.whole_change(life)?;
        let pending = std::mem::take(&mut state.names_pending);
        for change in pending {
            if parent(&change.path) == dir {
                match change.target {
                    Some(file) => state.names_durable.insert(change.path, file),
                    None => state.names_durable.remove(&change.path),
                };
            } else {
                state.names_pending.push(change);
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    file: usize,
    life: u64,
}

impl SimFile {
    fn record(state: &mut State, file: usize, change: Change) {
        let file = &mut state.files[file];
        change.apply(&mut file.current);
        file.pending.push(change);
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let state = self.disk.0.lock();
        state.check_life(self.life)?;
        Ok(state.files[self.file].current.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.0.lock();
        state.check_life(self.life)?;
        let content = &state.files[self.file].current;
        let rest = usize::try_from(offset).ok().and_then(|offset| content.get(offset..)).unwrap_or(&[]);
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.whole_change(self.life)?;
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        Self::record(&mut state, self.file, Change::SetLen(len));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.whole_change(self.life)?;
        let file = &mut state.files[self.file];
        file.durable.clone_from(&file.current);
        file.pending.clear();
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        let fault = state.change(self.life)?;
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let grown = (offset + bytes.len()).saturating_sub(state.files[self.file].current.len());
        let total: usize = state.names.values().map(|file| state.files[*file].current.len()).sum();
        let full = state.bytes_max.is_some_and(|max| (total + grown) as u64 > max);
        let fault = fault.or(full.then_some(Injected::Enospc));
        // A write that fails half-way ends at a sector: what falls into one sector is written whole or not at all.
        let half = (offset + bytes.len() / 2) / SECTOR_BYTES * SECTOR_BYTES;
        let through = if fault.is_some() { &bytes[..half.saturating_sub(offset)] } else { bytes };
        if !through.is_empty() {
            Self::record(&mut state, self.file, Change::Write { offset, bytes: through.to_vec() });
        }
        fault.map_or(Ok(()), |fault| Err(error_of(fault)))
    }
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    path: String,
    life: u64,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.0.lock();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}

#[cfg(test)]
mod tests;
