//! The key table in memory. Operations are pure: they change the table and return which bytes the caller has to
//! write where; the caller decides when that is durable.
//!
//! Memory: 128 bytes and one map entry per subject, and at most [`DEKS_CACHED_MAX`] derived keys.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use crypto::{MacKey, NONCE_BYTES, Secret};
use domain::Subject;

use crate::{
    Dek, DekVersion, KekFile, KekVersion, Pseudonym,
    slot::{Purpose, SLOT_BYTES, Slot, SlotFault, SlotKeys, SlotState},
};

/// Derived keys kept at once; about 1 KiB each. When full the cache starts anew: an unwrap costs microseconds.
pub const DEKS_CACHED_MAX: usize = 262_144;

/// Most slots of a table (2 GiB of file): the bound on memory that subjects can claim.
pub const SLOTS_MAX: usize = 16_777_216;

/// Fresh random bytes for one new key. Never use a value twice.
#[derive(Debug)]
pub struct KeyRandom {
    /// Becomes the key.
    pub key: Secret<[u8; 32]>,
    /// Nonce of its wrapping.
    pub nonce: [u8; NONCE_BYTES],
}

/// Bytes to write into the table file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotWrite {
    /// Number of the slot.
    pub slot: usize,
    /// Its new content.
    pub bytes: [u8; SLOT_BYTES],
}

impl SlotWrite {
    /// Where the bytes go in the file.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        (self.slot as u64) * (SLOT_BYTES as u64)
    }
}

/// A fault and the slot that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("slot {slot} {fault}")]
pub struct SlotProblem {
    /// Number of the slot; it starts at byte `slot * 128`.
    pub slot: usize,
    /// What is wrong with it.
    pub fault: SlotFault,
}

/// Why a table does not load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Slots are damaged, forged or need a KEK that is not there.
    #[error("key table: {}", .0.first().map_or_else(String::new, ToString::to_string))]
    Damaged(Vec<SlotProblem>),
    /// No slot holds the pseudonym key.
    #[error("key table has no pseudonym key")]
    NoPseudonymKey,
    /// More than [`SLOTS_MAX`] slots.
    #[error("key table has {slots} slots, at most 16777216 are allowed")]
    TooLarge {
        /// Slots found.
        slots: usize,
    },
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The subject was erased; nothing can be sealed or opened for it again.
    #[error("the subject's data key was erased")]
    Erased,
    /// The table is full.
    #[error("key table is full")]
    Full,
    /// The slot in memory no longer opens, which only a fault of this process can cause.
    #[error("key slot {slot} {fault}")]
    Slot {
        /// Number of the slot.
        slot: usize,
        /// What is wrong with it.
        fault: SlotFault,
    },
    /// No slot has this pseudonym.
    #[error("no data key is known for the pseudonym")]
    Unknown,
}

/// The keys of all subjects.
#[derive(Debug)]
pub struct KeyTable {
    /// Newest first, as in the KEK file; never empty.
    slot_keys: Vec<SlotKeys>,
    slots: Vec<Option<Slot>>,
    /// Empty slots below the end, left by writes that never became durable.
    free: Vec<usize>,
    by_pseudonym: HashMap<Pseudonym, usize>,
    pseudonym_key: MacKey,
    cache: HashMap<Pseudonym, Arc<Dek>>,
    erased: usize,
}

impl KeyTable {
    /// A new table with a pseudonym key in slot 0.
    #[must_use]
    pub fn create(keks: &KekFile, random: &KeyRandom) -> (Self, SlotWrite) {
        let slot_keys: Vec<SlotKeys> = keks.keks().iter().map(SlotKeys::new).collect();
        let slot = Slot::wrap(
            0,
            Purpose::PseudonymKey,
            Purpose::PSEUDONYM_KEY_NAME,
            DekVersion::FIRST,
            &random.key,
            &slot_keys[0],
            random.nonce,
        );
        let write = SlotWrite { slot: 0, bytes: slot.encode(&slot_keys[0]) };
        let table = Self {
            slot_keys,
            slots: vec![Some(slot)],
            free: Vec::new(),
            by_pseudonym: HashMap::new(),
            pseudonym_key: MacKey::new(random.key.expose()),
            cache: HashMap::new(),
            erased: 0,
        };
        (table, write)
    }

    /// Checks the bytes of a table file without any key; returns the readable slots and what is wrong.
    #[must_use]
    pub fn check(bytes: &[u8]) -> (Vec<Slot>, Vec<SlotProblem>) {
        let mut slots = Vec::new();
        let mut problems = Vec::new();
        let mut seen = HashMap::new();
        for (slot, chunk) in bytes.chunks(SLOT_BYTES).enumerate() {
            let Ok(chunk) = <&[u8; SLOT_BYTES]>::try_from(chunk) else {
                problems.push(SlotProblem { slot, fault: SlotFault::Short });
                break;
            };
            match Slot::parse(slot as u64, chunk) {
                Ok(None) => {}
                Ok(Some(parsed)) => match seen.entry(parsed.pseudonym) {
                    Entry::Occupied(first) => {
                        problems
                            .push(SlotProblem { slot, fault: SlotFault::Duplicate { first: *first.get() } });
                    }
                    Entry::Vacant(vacant) => {
                        vacant.insert(slot);
                        slots.push(parsed);
                    }
                },
                Err(fault) => problems.push(SlotProblem { slot, fault }),
            }
        }
        (slots, problems)
    }

    /// Loads the bytes of a table file, authenticating every slot. Wrapped keys are opened when first used, except
    /// with `unwrap_all`, which tries every one now.
    ///
    /// # Errors
    /// [`TableError`]; every damaged slot is named.
    pub fn load(bytes: &[u8], keks: &KekFile, unwrap_all: bool) -> Result<Self, TableError> {
        let count = bytes.len().div_ceil(SLOT_BYTES);
        if count > SLOTS_MAX {
            return Err(TableError::TooLarge { slots: count });
        }
        let slot_keys: Vec<SlotKeys> = keks.keks().iter().map(SlotKeys::new).collect();
        let (parsed, mut problems) = Self::check(bytes);
        let mut slots = vec![None; count];
        let mut by_pseudonym = HashMap::with_capacity(parsed.len());
        let mut pseudonym_key = None;
        let mut erased = 0;
        for slot in parsed {
            let Ok(number) = usize::try_from(slot.number) else { continue };
            let Some(chunk) =
                bytes.get(number * SLOT_BYTES..).and_then(|rest| rest.first_chunk::<SLOT_BYTES>())
            else {
                continue;
            };
            let opened = match slot_keys.iter().find(|keys| keys.version == slot.kek_version) {
                None => Err(SlotFault::UnknownKek { version: slot.kek_version.0 }),
                Some(keys) => slot.authenticate(chunk, keys).and_then(|()| {
                    let needed = unwrap_all || slot.purpose == Purpose::PseudonymKey;
                    if needed && slot.state == SlotState::Live {
                        slot.unwrap(keys).map(Some)
                    } else {
                        Ok(None)
                    }
                }),
            };
            match opened {
                Err(fault) => problems.push(SlotProblem { slot: number, fault }),
                Ok(key) => {
                    if slot.purpose == Purpose::PseudonymKey {
                        pseudonym_key = key.map(|key| MacKey::new(key.expose()));
                    } else {
                        by_pseudonym.insert(slot.pseudonym, number);
                        erased += usize::from(slot.state == SlotState::Erased);
                    }
                    slots[number] = Some(slot);
                }
            }
        }
        if !problems.is_empty() {
            problems.sort_by_key(|problem| problem.slot);
            return Err(TableError::Damaged(problems));
        }
        let pseudonym_key = pseudonym_key.ok_or(TableError::NoPseudonymKey)?;
        let free = (0..count).rev().filter(|number| slots[*number].is_none()).collect();
        Ok(Self { slot_keys, slots, free, by_pseudonym, pseudonym_key, cache: HashMap::new(), erased })
    }

    /// The pseudonym of a subject, whether or not it has a key yet.
    #[must_use]
    pub fn pseudonym(&self, subject: &Subject) -> Pseudonym {
        let mac = match subject {
            Subject::System => self.pseudonym_key.sign(&[b"system"]),
            Subject::Account(account) => self.pseudonym_key.sign(&[b"account:", account.as_str().as_bytes()]),
        };
        let mut pseudonym = [0; 16];
        pseudonym.copy_from_slice(&mac[..16]);
        Pseudonym(pseudonym)
    }

    /// Whether the pseudonym has a key, had one, or never did.
    #[must_use]
    pub fn state(&self, pseudonym: &Pseudonym) -> Option<SlotState> {
        self.slot(pseudonym).map(|(_, slot)| slot.state)
    }

    /// Every pseudonym whose key was erased.
    pub fn erased_pseudonyms(&self) -> impl Iterator<Item = Pseudonym> + '_ {
        self.slots.iter().flatten().filter(|slot| slot.state == SlotState::Erased).map(|slot| slot.pseudonym)
    }

    /// Subjects with a live key.
    #[must_use]
    pub fn live(&self) -> usize {
        self.by_pseudonym.len() - self.erased
    }

    /// Slots up to the end of the table, empty ones included.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    fn slot(&self, pseudonym: &Pseudonym) -> Option<(usize, Slot)> {
        let number = *self.by_pseudonym.get(pseudonym)?;
        self.slots.get(number).copied().flatten().map(|slot| (number, slot))
    }

    /// The key of a pseudonym.
    ///
    /// # Errors
    /// [`KeyError::Erased`], [`KeyError::Unknown`]; [`KeyError::Slot`] when the wrapped key does not open.
    pub fn dek(&mut self, pseudonym: &Pseudonym) -> Result<Arc<Dek>, KeyError> {
        if let Some(dek) = self.cache.get(pseudonym) {
            return Ok(Arc::clone(dek));
        }
        let (number, slot) = self.slot(pseudonym).ok_or(KeyError::Unknown)?;
        if slot.state == SlotState::Erased {
            return Err(KeyError::Erased);
        }
        let key = self.unwrap(number, &slot)?;
        Ok(self.remember(*pseudonym, Dek::new(slot.dek_version, &key)))
    }

    /// The key of a pseudonym, made from `random` when there is none yet. The returned write must be durable
    /// before anything sealed with the key is.
    ///
    /// # Errors
    /// As [`KeyTable::dek`], and [`KeyError::Full`].
    pub fn dek_or_create(
        &mut self,
        pseudonym: &Pseudonym,
        random: impl FnOnce() -> KeyRandom,
    ) -> Result<(Arc<Dek>, Option<SlotWrite>), KeyError> {
        match self.dek(pseudonym) {
            Err(KeyError::Unknown) => {}
            known => return known.map(|dek| (dek, None)),
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None if self.slots.len() < SLOTS_MAX => {
                self.slots.push(None);
                self.slots.len() - 1
            }
            None => return Err(KeyError::Full),
        };
        let random = random();
        let keys = &self.slot_keys[0];
        let slot = Slot::wrap(
            number as u64,
            Purpose::Dek,
            *pseudonym,
            DekVersion::FIRST,
            &random.key,
            keys,
            random.nonce,
        );
        let write = SlotWrite { slot: number, bytes: slot.encode(keys) };
        self.slots[number] = Some(slot);
        self.by_pseudonym.insert(*pseudonym, number);
        let dek = self.remember(*pseudonym, Dek::new(slot.dek_version, &random.key));
        Ok((dek, Some(write)))
    }

    /// Destroys the key of a pseudonym in memory; the returned write destroys it on disk. Erasing twice returns the
    /// same tombstone again.
    ///
    /// # Errors
    /// [`KeyError::Unknown`].
    pub fn erase(&mut self, pseudonym: &Pseudonym) -> Result<SlotWrite, KeyError> {
        let (number, slot) = self.slot(pseudonym).ok_or(KeyError::Unknown)?;
        self.erased += usize::from(slot.state == SlotState::Live);
        self.cache.remove(pseudonym);
        let tombstone = slot.erased(&self.slot_keys[0]);
        self.slots[number] = Some(tombstone);
        Ok(SlotWrite { slot: number, bytes: tombstone.encode(&self.slot_keys[0]) })
    }

    /// Takes over the versions of a KEK file. It must still hold every version in use; call before
    /// [`KeyTable::rewrap`] to start a rotation and after it, with the finished file, to end one.
    ///
    /// # Errors
    /// [`KeyError::Slot`] naming a slot that needs a version the file lacks; nothing changed then.
    pub fn replace_keks(&mut self, keks: &KekFile) -> Result<(), KeyError> {
        let missing = self.slots.iter().enumerate().find_map(|(number, slot)| {
            let version = (*slot)?.kek_version;
            let held = keks.keks().iter().any(|kek| kek.version() == version);
            (!held).then_some((number, version))
        });
        match missing {
            Some((slot, version)) => {
                Err(KeyError::Slot { slot, fault: SlotFault::UnknownKek { version: version.0 } })
            }
            None => {
                self.slot_keys = keks.keks().iter().map(SlotKeys::new).collect();
                Ok(())
            }
        }
    }

    /// Rewraps under the current KEK those of the `count` slots from `first` on that are not yet. Rewrapped slots
    /// and old ones are both readable while the KEK file holds both versions.
    ///
    /// # Errors
    /// [`KeyError::Slot`] when a wrapped key does not open; slots before it were rewrapped in memory only.
    pub fn rewrap(
        &mut self,
        first: usize,
        count: usize,
        mut nonce: impl FnMut() -> [u8; NONCE_BYTES],
    ) -> Result<Vec<SlotWrite>, KeyError> {
        let mut writes = Vec::new();
        for number in first..first.saturating_add(count).min(self.slots.len()) {
            let keys = &self.slot_keys[0];
            let Some(slot) = self.slots[number].filter(|slot| slot.kek_version != keys.version) else {
                continue;
            };
            let rewrapped = match slot.state {
                SlotState::Erased => slot.erased(keys),
                SlotState::Live => {
                    let key = self.unwrap(number, &slot)?;
                    Slot::wrap(
                        slot.number,
                        slot.purpose,
                        slot.pseudonym,
                        slot.dek_version,
                        &key,
                        keys,
                        nonce(),
                    )
                }
            };
            writes.push(SlotWrite { slot: number, bytes: rewrapped.encode(keys) });
            self.slots[number] = Some(rewrapped);
        }
        Ok(writes)
    }

    /// The KEK that wraps from now on.
    #[must_use]
    pub fn kek_version(&self) -> KekVersion {
        self.slot_keys[0].version
    }

    fn unwrap(&self, number: usize, slot: &Slot) -> Result<Secret<[u8; 32]>, KeyError> {
        self.slot_keys
            .iter()
            .find(|keys| keys.version == slot.kek_version)
            .ok_or(SlotFault::UnknownKek { version: slot.kek_version.0 })
            .and_then(|keys| slot.unwrap(keys))
            .map_err(|fault| KeyError::Slot { slot: number, fault })
    }

    fn remember(&mut self, pseudonym: Pseudonym, dek: Dek) -> Arc<Dek> {
        if self.cache.len() >= DEKS_CACHED_MAX {
            self.cache.clear();
        }
        let dek = Arc::new(dek);
        self.cache.insert(pseudonym, Arc::clone(&dek));
        dek
    }
}

#[cfg(test)]
mod tests;
