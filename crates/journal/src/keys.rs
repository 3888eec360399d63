//! What changes the key table of an open journal: erasing a subject, rotating the KEK.

use std::{io, sync::Arc};

use domain::Subject;
use keyring::{KekFile, KekFileError, KekVersion, KeyError};

use crate::{
    Journal,
    append::{AppendError, Appended},
    entry::Kind,
    layout::KEY_TABLE,
    log::Shared,
    record,
    writer::write_slots,
};

/// Slots rewrapped between two syncs; appends of new subjects wait that long.
const REWRAP_SLOTS: usize = 4_096;

/// Why a subject was not erased.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EraseError {
    /// The storage failed; the journal takes nothing more. Opening it again tells whether the key is gone, and if it
    /// is, records that.
    #[error("key table could not be written")]
    Io {
        /// The cause.
        source: io::Error,
    },
    /// The key is destroyed, but that could not be recorded; opening the journal again does.
    #[error("the key is destroyed but this could not be recorded")]
    NotRecorded {
        /// The cause.
        source: AppendError,
    },
    /// The system's own key holds nobody's personal data and is never erased.
    #[error("the system's own records cannot be erased")]
    System,
    /// Nothing was ever recorded about the subject.
    #[error("nothing is recorded about this subject")]
    Unknown,
}

/// Why a rotation stopped. Opening the journal finishes it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// A copy of the key table could not be brought up to date; both KEK versions are kept.
    #[error(
        "every key is rewrapped, but a copy of the key table is not up to date, so the old KEK is kept too"
    )]
    Copy {
        /// The cause.
        source: io::Error,
    },
    /// The KEK file could not be read or saved.
    #[error("KEK file could not be read or saved")]
    Kek {
        /// The cause.
        source: io::Error,
    },
    /// The KEK file is damaged, or holds no version to rotate to.
    #[error("KEK file is unusable")]
    KekFile {
        /// The cause.
        #[from]
        source: KekFileError,
    },
    /// A slot does not open.
    #[error("key table cannot be rewrapped")]
    Key {
        /// The cause.
        #[from]
        source: KeyError,
    },
    /// The rotation could not be recorded.
    #[error("the rotation could not be recorded")]
    NotRecorded {
        /// The cause.
        #[from]
        source: AppendError,
    },
    /// The key table could not be written; the journal takes nothing more.
    #[error("key table could not be written")]
    Table {
        /// The cause.
        source: io::Error,
    },
    /// Another rotation is running.
    #[error("another rotation is running")]
    UnderWay,
}

/// A finished rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// The version that is gone.
    pub from: KekVersion,
    /// The version that wraps from now on.
    pub to: KekVersion,
    /// Slots rewrapped.
    pub rows: u64,
}

impl Journal {
    /// Destroys a subject's key for good, then records that. Afterwards its payloads open as
    /// [`Opened::Erased`](crate::Opened::Erased) and appends about it are refused. Blocks for two syncs. Erasing
    /// again records it again.
    ///
    /// # Errors
    /// [`EraseError`].
    pub fn erase(&self, subject: &Subject) -> Result<Appended, EraseError> {
        if *subject == Subject::System {
            return Err(EraseError::System);
        }
        let shared = self.shared();
        let pseudonym = {
            let key_file = shared.key_file.lock();
            let (pseudonym, tombstone) = {
                let mut keys = shared.keys.lock();
                let pseudonym = keys.pseudonym(subject);
                // The only error is an unknown pseudonym.
                (pseudonym, keys.erase(&pseudonym).map_err(|_| EraseError::Unknown)?)
            };
            write_slots(&**key_file, &[tombstone]).map_err(|source| {
                shared.fail(&format!("{KEY_TABLE}: {source}").into());
                EraseError::Io { source }
            })?;
            pseudonym
        };
        // A crash here leaves a tombstone that is not recorded; opening records it.
        let payload = record::SubjectErased { pseudonym }.encode();
        let draft = shared.system_draft(Kind::SubjectErased, payload);
        self.append(vec![draft]).wait().map_err(|source| EraseError::NotRecorded { source })
    }

    /// Replaces the KEK: saves a KEK file with old and new version, rewraps the whole key table, records that, saves
    /// a KEK file with the new version alone. Entries are taken and read throughout. A crash at any point leaves
    /// everything readable, and opening finishes the rotation. `progress` is told slots done and slots in all.
    /// Blocks.
    ///
    /// # Errors
    /// [`RotateError`].
    pub fn rotate_kek(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Rotated, RotateError> {
        self.rotate_kek_after(&mut || Ok(()), progress)
    }

    /// As [`Journal::rotate_kek`], with `settled` called when nothing here is wrapped under the old version any more, and
    /// before that version is dropped: whoever keeps a copy of the key table brings it up to date, lest the copy need a
    /// key that no longer exists. If that fails, the KEK file keeps both versions until the next rotation or opening.
    ///
    /// # Errors
    /// [`RotateError`].
    pub fn rotate_kek_after(
        &self,
        settled: &mut dyn FnMut() -> io::Result<()>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Rotated, RotateError> {
        let shared = self.shared();
        let _running = shared.rotation.try_lock().ok_or(RotateError::UnderWay)?;
        let text = shared.kek.load().map_err(|source| RotateError::Kek { source })?;
        let mut keks = KekFile::parse(text.expose())?;
        if keks.previous().is_none() {
            keks = keks.begin_rotation(crypto::random::array())?;
            shared.kek.save(&keks.to_text()).map_err(|source| RotateError::Kek { source })?;
        }
        let from = keks.previous().map_or(keks.current().version(), keyring::Kek::version);
        let to = keks.current().version();
        {
            let _slots_settled = shared.key_file.lock();
            shared.keys.lock().replace_keks(&keks)?;
        }
        let rows = rewrap_all(shared, progress)?;
        let payload = record::KekRotated { from: from.0, to: to.0, rows }.encode();
        self.append(vec![shared.system_draft(Kind::KekRotated, payload)]).wait()?;
        settled().map_err(|source| RotateError::Copy { source })?;
        retire_previous(shared, &keks)?;
        Ok(Rotated { from, to, rows })
    }
}

/// Rewraps every slot that is not yet under the current KEK.
pub(crate) fn rewrap_all(
    shared: &Arc<Shared>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, RotateError> {
    let mut rows = 0;
    let mut first = 0;
    loop {
        // Slots made meanwhile are wrapped under the current KEK already.
        let total = {
            let key_file = shared.key_file.lock();
            let (writes, total) = {
                let mut keys = shared.keys.lock();
                (keys.rewrap(first, REWRAP_SLOTS, crypto::random::array)?, keys.slots())
            };
            if !writes.is_empty() {
                write_slots(&**key_file, &writes).map_err(|source| {
                    shared.fail(&format!("{KEY_TABLE}: {source}").into());
                    RotateError::Table { source }
                })?;
            }
            rows += writes.len() as u64;
            total
        };
        first += REWRAP_SLOTS;
        progress(first.min(total) as u64, total as u64);
        if first >= total {
            return Ok(rows);
        }
    }
}

/// Ends a rotation: nothing is wrapped under the previous KEK any more.
pub(crate) fn retire_previous(shared: &Arc<Shared>, keks: &KekFile) -> Result<(), RotateError> {
    let finished = keks.finish_rotation();
    {
        let _slots_settled = shared.key_file.lock();
        // Refuses, and changes nothing, if a slot still needs the previous version.
        shared.keys.lock().replace_keks(&finished)?;
    }
    shared.kek.save(&finished.to_text()).map_err(|source| RotateError::Kek { source })
}
