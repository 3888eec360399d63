//! The life of models: taken in, compared with the one in force on the same rows, put in force, taken back.
//!
//! [`Registry`] is a fold over the journal's entries about models ([`ModelEntry`]); the model files themselves lie beside
//! the journal, each under its digest, and never change. Which model is the champion of a feature pack follows from the
//! entries alone.
//!
//! # Gates
//! - A model becomes champion only if its last comparison with the present champion says that it is better: the lower end
//!   of the interval of the difference in average precision must lie above the floor. Or somebody forces it, with a reason
//!   that stands in the journal.
//! - The first champion of a pack needs a temporal backtest instead, since there is nothing to compare it with.
//! - A comparison is made on days after everything that either model learned from: see [`compare`].
//! - Rolling back puts the champion before in force again, at once.
//!
//! An entry that breaks a gate changes nothing and is counted, however it came to stand in the journal.
//!
//! # Bounds
//! [`MODELS_MAX`] models, [`HISTORY_MAX`] champions before the present one, [`COMPARISONS_MAX`] comparisons kept per pack.

pub mod compare;
pub mod drift;
pub mod thresholds;

mod entry;

use std::collections::{BTreeMap, VecDeque};

use domain::{Actor, UnixNanos};
use features::StateDigest;

pub use self::entry::{
    Backtest, Compared, Drifted, Interval, ModelEntry, Promoted, Registered, RolledBack, TEXT_BYTES_MAX,
};

/// Models an installation knows.
pub const MODELS_MAX: usize = 1_024;
/// Champions before the present one that can be gone back to.
pub const HISTORY_MAX: usize = 64;
/// Comparisons kept per pack; the oldest makes room.
pub const COMPARISONS_MAX: usize = 256;

/// Shifts listed.
pub const DRIFTED_MAX: usize = 256;

/// A digest of a model file or a feature pack.
pub type Digest = [u8; 32];

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// It is in force already.
    #[error("model is the champion of its pack already")]
    AlreadyChampion,
    /// Somebody else changed the champion first.
    #[error("champion is another one by now; look again")]
    Conflict,
    /// Known models are as many as can be.
    #[error("{MODELS_MAX} models are known, no more are taken in")]
    Full,
    /// A first champion without a backtest.
    #[error(
        "model has no temporal backtest and its pack has no champion to compare it with; force it with a reason"
    )]
    NoBacktest,
    /// There was no champion before.
    #[error("pack has no champion before the present one")]
    NoChampionBefore,
    /// It was never compared with the present champion.
    #[error(
        "model was not compared with the present champion; challenge it first, or force it with a reason"
    )]
    NotCompared,
    /// The gate.
    #[error(
        "difference in average precision is at least {low} millionths, which is not above the floor of {floor}; force it \
         with a reason, or train a better one"
    )]
    NotBetter {
        /// Lower end of the interval.
        low: i64,
        /// What it must exceed.
        floor: i64,
    },
    /// No such model.
    #[error("there is no model of this digest")]
    Unknown,
}

/// A model as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What its entry says.
    pub registered: Registered,
    /// When it was taken in.
    pub at: UnixNanos,
}

/// What is in force for one feature pack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackModels {
    /// The model in force.
    pub champion: Option<Digest>,
    /// Since when, and by whom.
    pub since: Option<(UnixNanos, Actor)>,
    /// Champions before, the latest last.
    pub before: Vec<Digest>,
    /// Comparisons, the latest last, each with when it was recorded.
    pub comparisons: Vec<(UnixNanos, Compared)>,
}

impl PackModels {
    /// The last comparison of a model with another one.
    #[must_use]
    pub fn comparison(&self, champion: &Digest, challenger: &Digest) -> Option<&(UnixNanos, Compared)> {
        let same = |(_, compared): &&(UnixNanos, Compared)| {
            compared.champion == *champion && compared.challenger == *challenger
        };
        self.comparisons.iter().rev().find(same)
    }
}

/// The fold.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    models: BTreeMap<Digest, Known>,
    packs: BTreeMap<Digest, PackModels>,
    /// The latest shifts, the latest last.
    drifted: VecDeque<(UnixNanos, Drifted)>,
    ignored: u64,
}

impl Registry {
    /// Models by digest.
    pub fn models(&self) -> impl Iterator<Item = (&Digest, &Known)> {
        self.models.iter()
    }

    /// A model.
    #[must_use]
    pub fn model(&self, digest: &Digest) -> Option<&Known> {
        self.models.get(digest)
    }

    /// What is in force for a pack.
    #[must_use]
    pub fn pack(&self, pack: &Digest) -> Option<&PackModels> {
        self.packs.get(pack)
    }

    /// The model in force for a pack.
    #[must_use]
    pub fn champion(&self, pack: &Digest) -> Option<&Digest> {
        self.packs.get(pack)?.champion.as_ref()
    }

    /// The latest shifts of what bundles are fed and say, the latest last, with when they were recorded.
    pub fn drifted(&self) -> impl Iterator<Item = &(UnixNanos, Drifted)> {
        self.drifted.iter()
    }

    /// Entries that broke a gate and changed nothing.
    #[must_use]
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Whether an entry may be recorded now.
    ///
    /// # Errors
    /// [`LifecycleError`].
    pub fn check(&self, entry: &ModelEntry) -> Result<(), LifecycleError> {
        let known = |digest: &Digest| self.models.get(digest).ok_or(LifecycleError::Unknown);
        match entry {
            ModelEntry::Registered(new) => {
                if self.models.len() >= MODELS_MAX && !self.models.contains_key(&new.digest) {
                    return Err(LifecycleError::Full);
                }
                Ok(())
            }
            ModelEntry::Compared(compared) => {
                let (champion, challenger) = (known(&compared.champion)?, known(&compared.challenger)?);
                if champion.registered.pack != challenger.registered.pack {
                    return Err(LifecycleError::Unknown);
                }
                Ok(())
            }
            ModelEntry::Drifted(_) => Ok(()),
            ModelEntry::Promoted(promoted) => {
                let model = known(&promoted.digest)?;
                let pack = self.packs.get(&model.registered.pack);
                let champion = pack.and_then(|pack| pack.champion);
                if champion != promoted.replaces {
                    return Err(LifecycleError::Conflict);
                }
                match champion {
                    Some(champion) if champion == promoted.digest => Err(LifecycleError::AlreadyChampion),
                    _ if promoted.forced.is_some() => Ok(()),
                    None if model.registered.backtest.is_none() => Err(LifecycleError::NoBacktest),
                    None => Ok(()),
                    Some(champion) => {
                        let compared = pack.and_then(|pack| pack.comparison(&champion, &promoted.digest));
                        let (_, compared) = compared.ok_or(LifecycleError::NotCompared)?;
                        let (low, floor) = (compared.average_precision.low, promoted.floor);
                        if low > floor { Ok(()) } else { Err(LifecycleError::NotBetter { low, floor }) }
                    }
                }
            }
            ModelEntry::RolledBack(back) => {
                let pack = self.packs.get(&back.pack).ok_or(LifecycleError::NoChampionBefore)?;
                if pack.champion != Some(back.from) {
                    return Err(LifecycleError::Conflict);
                }
                if pack.before.last() != Some(&back.to) {
                    return Err(LifecycleError::NoChampionBefore);
                }
                Ok(())
            }
        }
    }

    /// Takes an entry in that was recorded at `at`.
    ///
    /// # Errors
    /// [`LifecycleError`] when nothing was changed; it is counted.
    pub fn apply(&mut self, at: UnixNanos, entry: ModelEntry) -> Result<(), LifecycleError> {
        if let Err(error) = self.check(&entry) {
            self.ignored += 1;
            return Err(error);
        }
        match entry {
            ModelEntry::Registered(new) => {
                // Once more after a crash: the first one stays.
                self.models.entry(new.digest).or_insert(Known { registered: new, at });
            }
            ModelEntry::Compared(compared) => {
                if let Some(pack) = self.pack_of(&compared.challenger) {
                    if pack.comparisons.len() >= COMPARISONS_MAX {
                        pack.comparisons.remove(0);
                    }
                    pack.comparisons.push((at, compared));
                }
            }
            ModelEntry::Drifted(drifted) => {
                if self.drifted.len() >= DRIFTED_MAX {
                    self.drifted.pop_front();
                }
                self.drifted.push_back((at, drifted));
            }
            ModelEntry::Promoted(promoted) => {
                if let Some(pack) = self.pack_of(&promoted.digest) {
                    if let Some(champion) = pack.champion.replace(promoted.digest) {
                        if pack.before.len() >= HISTORY_MAX {
                            pack.before.remove(0);
                        }
                        pack.before.push(champion);
                    }
                    pack.since = Some((at, promoted.actor));
                }
            }
            ModelEntry::RolledBack(back) => {
                if let Some(pack) = self.packs.get_mut(&back.pack) {
                    pack.champion = pack.before.pop();
                    pack.since = Some((at, back.actor));
                }
            }
        }
        Ok(())
    }

    fn pack_of(&mut self, model: &Digest) -> Option<&mut PackModels> {
        let pack = self.models.get(model)?.registered.pack;
        Some(self.packs.entry(pack).or_default())
    }

    /// The state as a digest, for comparison with that of another fold over the same entries.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut digest = StateDigest::new("models");
        digest.number(self.models.len() as u64);
        for (name, known) in &self.models {
            digest.bytes(name);
            digest.time(known.at);
            digest.bytes(&ModelEntry::Registered(known.registered.clone()).encode());
        }
        digest.number(self.packs.len() as u64);
        for (name, pack) in &self.packs {
            digest.bytes(name);
            digest.bytes(pack.champion.as_ref().map_or(&[], |champion| &champion[..]));
            digest.optional_time(pack.since.as_ref().map(|(at, _)| *at));
            digest.number(pack.before.len() as u64);
            pack.before.iter().for_each(|before| digest.bytes(before));
            digest.number(pack.comparisons.len() as u64);
            for (at, compared) in &pack.comparisons {
                digest.time(*at);
                digest.bytes(&ModelEntry::Compared(compared.clone()).encode());
            }
        }
        digest.number(self.drifted.len() as u64);
        for (at, drifted) in &self.drifted {
            digest.time(*at);
            digest.bytes(&ModelEntry::Drifted(drifted.clone()).encode());
        }
        digest.number(self.ignored);
        digest.finish()
    }
}

#[cfg(test)]
mod tests;
