//! Versions of bundles kept in the data directory, and which of them stands in a place instead of what the configuration
//! names.
//!
//! A version is a folder under [`VERSIONS_DIR`] named after the hash of its bundle, so what is loaded is what was looked
//! at: a folder whose bytes have another hash is refused. Its manifest is written last and durably; a folder without one,
//! left by a crash, is none. Nothing in a version is changed afterwards.
//!
//! [`Places`] says which version stands in a place, and over which configured bundle it was put there. When the operator
//! changes the configured bundle, that is another one, and the configuration counts again.
//!
//! Bounds: [`VERSIONS_MAX`] versions; [`PLACES_BYTES_MAX`] and [`ABOUT_BYTES_MAX`] bytes of the small files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use domain::UnixNanos;
use fraud::live::{Bundle, BundleError, MANIFEST};
use journal::disk::{self, Disk as _, RealDisk};
use serde::{Deserialize, Serialize};

use super::Place;
use crate::exit::{Exit, Failure};

/// Where versions live within the data directory.
pub(crate) const VERSIONS_DIR: &str = "bundles";
/// Versions kept at most; the oldest that never judged makes room.
pub(crate) const VERSIONS_MAX: usize = 256;
/// Which version stands where, within [`VERSIONS_DIR`].
pub(crate) const PLACES: &str = "places.json";
/// Longest file that says which version stands where, in bytes.
const PLACES_BYTES_MAX: u64 = 4 << 10;
/// What is known of a version, beside its pieces.
const ABOUT: &str = "about.json";
/// What the last backtest of a version said, beside its pieces.
pub(crate) const REPORT: &str = "backtest.json";
/// Everything that lies beside the pieces of a version.
pub(crate) const BESIDE: [&str; 2] = [ABOUT, REPORT];
/// Longest file about a version, in bytes.
const ABOUT_BYTES_MAX: u64 = 64 << 10;

/// SHA-256 of a bundle.
pub(crate) type Digest = [u8; 32];

/// The files of a bundle, by name: the manifest and what it names, nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pieces(BTreeMap<String, Vec<u8>>);

impl Pieces {
    /// Loads a bundle from its folder and keeps the bytes it was loaded from.
    ///
    /// # Errors
    /// [`Failure`] naming folder, file and what is wrong.
    pub(crate) fn read(dir: &Path) -> Result<(Bundle, Self), Failure> {
        let mut pieces = Self::default();
        let loaded = Bundle::load(&mut |name, bytes_max| {
            let bytes = read_piece(&dir.join(name), bytes_max)?;
            pieces.0.insert(name.to_owned(), bytes.clone());
            Ok(bytes)
        });
        let bundle = loaded
            .map_err(|error| Failure::new(Exit::Input, format!("bundle {}: {error}", dir.display())))?;
        Ok((bundle, pieces))
    }

    /// What they make together.
    ///
    /// # Errors
    /// [`BundleError`]
    pub(crate) fn bundle(&self) -> Result<Bundle, BundleError> {
        Bundle::load(&mut |name, bytes_max| match self.0.get(name) {
            Some(bytes) if bytes.len() <= bytes_max => Ok(bytes.clone()),
            Some(_) => Err(format!("is longer than {bytes_max} bytes")),
            None => Err("is not among the files of the bundle".to_owned()),
        })
    }

    /// A piece as text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.0.get(name)?).ok()
    }

    /// The same with another piece.
    pub(crate) fn with(mut self, name: &str, bytes: Vec<u8>) -> Self {
        self.0.insert(name.to_owned(), bytes);
        self
    }

    /// Names and bytes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }
}

fn read_piece(path: &Path, bytes_max: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > bytes_max { Err(format!("is longer than {bytes_max} bytes")) } else { Ok(bytes) }
}

/// Where a version comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    /// Who kept it.
    pub(crate) by: String,
    /// When, in nanoseconds since 1970.
    pub(crate) at: u64,
    /// What it is for, in words.
    pub(crate) note: String,
    /// Hex of the bundle it was made from.
    pub(crate) base: Option<String>,
}

/// The versions of an installation.
#[derive(Debug, Clone)]
pub(crate) struct Versions {
    data_dir: PathBuf,
}

impl Versions {
    /// Of a data directory.
    pub(crate) fn of(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned() }
    }

    fn disk(&self) -> Result<RealDisk, Failure> {
        let failed = |error| Failure::io(self.data_dir.display(), error);
        let disk = RealDisk::new(&self.data_dir).map_err(failed)?;
        disk.create_dir(VERSIONS_DIR).map_err(failed)?;
        Ok(disk)
    }

    /// The folder of a version.
    pub(crate) fn dir(&self, digest: &Digest) -> PathBuf {
        self.data_dir.join(VERSIONS_DIR).join(hex::encode(digest))
    }

    /// Whether it is kept.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.dir(digest).join(MANIFEST).exists()
    }

    /// Keeps a version. One that is kept already stays as it is. `spare` are not removed to make room.
    ///
    /// # Errors
    /// [`Failure`] when it is no bundle, cannot be written, or there is no room.
    pub(crate) fn keep(
        &self,
        pieces: &Pieces,
        about: &About,
        spare: &BTreeSet<Digest>,
    ) -> Result<Digest, Failure> {
        let bundle = pieces.bundle().map_err(|error| Failure::new(Exit::Input, error.to_string()))?;
        let digest = bundle.hash();
        if self.has(&digest) {
            return Ok(digest);
        }
        self.make_room(spare)?;
        let disk = self.disk()?;
        let folder = format!("{VERSIONS_DIR}/{}", hex::encode(digest));
        let failed = |error| Failure::io(&folder, error);
        disk.create_dir(&folder).map_err(failed)?;
        disk.sync_dir(VERSIONS_DIR).map_err(failed)?;
        let text = serde_json::to_vec_pretty(about).unwrap_or_default();
        disk::replace(&disk, &format!("{folder}/{ABOUT}"), &text).map_err(failed)?;
        // The manifest last: without it there is no version, so a crash leaves all of it or none.
        let (manifest, others): (Vec<_>, Vec<_>) = pieces.iter().partition(|(name, _)| *name == MANIFEST);
        for (name, bytes) in others.into_iter().chain(manifest) {
            disk::replace(&disk, &format!("{folder}/{name}"), bytes).map_err(failed)?;
        }
        Ok(digest)
    }

    fn make_room(&self, spare: &BTreeSet<Digest>) -> Result<(), Failure> {
        let kept = self.list();
        if kept.len() < VERSIONS_MAX {
            return Ok(());
        }
        let placed = self.places()?.versions();
        let oldest = kept.iter().filter(|(digest, _)| !spare.contains(digest) && !placed.contains(digest));
        let Some((digest, _)) = oldest.min_by_key(|(_, about)| about.as_ref().map_or(0, |about| about.at))
        else {
            let why =
                format!("{VERSIONS_MAX} versions are kept and all of them judged: nothing can make room");
            return Err(Failure::new(Exit::No, why));
        };
        let dir = self.dir(digest);
        // The manifest first: what is left of a removal that was cut short is no version.
        let failed = |error| Failure::io(dir.display(), error);
        fs::remove_file(dir.join(MANIFEST)).map_err(failed)?;
        fs::remove_dir_all(&dir).map_err(failed)
    }

    /// All of them with what is known of each, in the order of their digests.
    pub(crate) fn list(&self) -> Vec<(Digest, Option<About>)> {
        let Ok(entries) = fs::read_dir(self.data_dir.join(VERSIONS_DIR)) else { return Vec::new() };
        let digest = |name: &std::ffi::OsStr| hex::decode(name.to_str()?).ok()?.try_into().ok();
        let names = entries.filter_map(Result::ok).filter_map(|entry| digest(&entry.file_name()));
        let found: BTreeSet<Digest> = names.filter(|digest| self.has(digest)).collect();
        found.into_iter().map(|digest| (digest, self.about(&digest))).collect()
    }

    /// What is known of a version; `None` if nothing that can be read.
    pub(crate) fn about(&self, digest: &Digest) -> Option<About> {
        let bytes = self.read_beside(digest, ABOUT, ABOUT_BYTES_MAX)?;
        serde_json::from_slice(&bytes).ok()
    }

    /// A small file beside the pieces.
    pub(crate) fn read_beside(&self, digest: &Digest, name: &str, bytes_max: u64) -> Option<Vec<u8>> {
        read_piece(&self.dir(digest).join(name), usize::try_from(bytes_max).ok()?).ok()
    }

    /// Writes a small file beside the pieces of a version that is kept.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be written.
    pub(crate) fn write_beside(&self, digest: &Digest, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = format!("{VERSIONS_DIR}/{}/{name}", hex::encode(digest));
        disk::replace(&self.disk()?, &path, bytes).map_err(|error| Failure::io(path, error))
    }

    /// Loads a version.
    ///
    /// # Errors
    /// [`Failure`] when it is not there, does not load, or is not the bundle of that hash.
    pub(crate) fn load(&self, digest: &Digest) -> Result<(Bundle, Pieces), Failure> {
        let dir = self.dir(digest);
        if !self.has(digest) {
            let why = format!("no version of a bundle has the SHA-256 {}", hex::encode(digest));
            return Err(Failure::new(Exit::NotFound, why));
        }
        let (bundle, pieces) = Pieces::read(&dir)?;
        if bundle.hash() != *digest {
            let why = format!("{} is damaged: its SHA-256 is {}", dir.display(), hex::encode(bundle.hash()));
            return Err(Failure::new(Exit::Io, why));
        }
        Ok((bundle, pieces))
    }

    /// Which versions stand where.
    ///
    /// # Errors
    /// [`Failure`] when the file is there and cannot be read: what judges must not be guessed.
    pub(crate) fn places(&self) -> Result<Places, Failure> {
        let path = self.data_dir.join(VERSIONS_DIR).join(PLACES);
        let bytes = match File::open(&path) {
            Ok(file) => {
                let mut bytes = Vec::new();
                let read = file.take(PLACES_BYTES_MAX + 1).read_to_end(&mut bytes);
                read.map_err(|error| Failure::io(path.display(), error))?;
                bytes
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Places::default()),
            Err(error) => return Err(Failure::io(path.display(), error)),
        };
        Places::parse(&bytes).map_err(|why| {
            let remedy = "remove it to judge by the configured bundles";
            Failure::new(Exit::Io, format!("{} is damaged: {why}; {remedy}", path.display()))
        })
    }

    /// Makes it durable which versions stand where.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be written; it is as before then.
    pub(crate) fn set_places(&self, places: &Places) -> Result<(), Failure> {
        let path = format!("{VERSIONS_DIR}/{PLACES}");
        disk::replace(&self.disk()?, &path, &places.text()).map_err(|error| Failure::io(path, error))
    }
}

/// A version that stands in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Which one.
    pub(crate) version: Digest,
    /// Which configured bundle it was put over; `None` for none.
    pub(crate) over: Option<Digest>,
}

/// Which versions stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Places([Option<Standing>; Place::ALL.len()]);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StandingWords {
    version: String,
    over: Option<String>,
}

impl Places {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let words: BTreeMap<String, StandingWords> =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let mut places = Self::default();
        for (name, words) in words {
            let place = Place::ALL.into_iter().find(|place| place.as_str() == name);
            let place = place.ok_or_else(|| format!("there is no place {name:?}"))?;
            let digest = |text: &str| {
                let bytes = hex::decode(text).ok().and_then(|bytes| Digest::try_from(bytes).ok());
                bytes.ok_or_else(|| format!("{name}: {text:?} is no SHA-256"))
            };
            let over = words.over.as_deref().map(digest).transpose()?;
            places.set(place, Some(Standing { version: digest(&words.version)?, over }));
        }
        Ok(places)
    }

    fn text(&self) -> Vec<u8> {
        let words: BTreeMap<&str, StandingWords> = Place::ALL
            .into_iter()
            .filter_map(|place| {
                let Standing { version, over } = self.at(place)?;
                let words = StandingWords { version: hex::encode(version), over: over.map(hex::encode) };
                Some((place.as_str(), words))
            })
            .collect();
        serde_json::to_vec_pretty(&words).unwrap_or_default()
    }

    /// What stands in a place.
    pub(crate) const fn at(&self, place: Place) -> Option<Standing> {
        self.0[place as usize]
    }

    /// Puts a version in a place, or takes it away.
    pub(crate) const fn set(&mut self, place: Place, standing: Option<Standing>) {
        self.0[place as usize] = standing;
    }

    /// The version that stands in a place for which the configuration names a bundle of this hash.
    pub(crate) fn version(&self, place: Place, configured: Option<Digest>) -> Option<Digest> {
        self.at(place).filter(|standing| standing.over == configured).map(|standing| standing.version)
    }

    pub(crate) fn versions(&self) -> BTreeSet<Digest> {
        self.0.iter().flatten().map(|standing| standing.version).collect()
    }
}

/// When a version was kept, as a moment.
impl About {
    /// When it was kept.
    pub(crate) const fn kept_at(&self) -> UnixNanos {
        UnixNanos(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(version: &str) -> Pieces {
        let (name, files) = ("exchange", fraud::preset::bundle("exchange"));
        let mut pieces = Pieces::default();
        for (file, text) in files.into_iter().flatten() {
            let text = text.replace("version = \"", &format!("version = \"{version}"));
            pieces = pieces.with(file, text.into_bytes());
        }
        assert!(pieces.bundle().is_ok(), "{name}");
        pieces
    }

    fn about(at: u64) -> About {
        About { by: "user:ann".to_owned(), at, note: "n".to_owned(), base: None }
    }

    #[test]
    fn a_version_is_what_was_kept_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let versions = Versions::of(dir.path());
        assert!(versions.list().is_empty());
        let digest = versions.keep(&pieces("a"), &about(1), &BTreeSet::new()).unwrap();
        assert_eq!(versions.keep(&pieces("a"), &about(2), &BTreeSet::new()).unwrap(), digest);
        assert_eq!(versions.list(), [(digest, Some(about(1)))], "the first word about it stays");
        let (bundle, read) = versions.load(&digest).unwrap();
        assert_eq!((bundle.hash(), &read), (digest, &pieces("a")));

        // Edited in place it is another bundle, and refused.
        let rules = versions.dir(&digest).join("rules.toml");
        let text = fs::read_to_string(&rules).unwrap();
        fs::write(&rules, text.replacen("title = \"", "title = \"X", 1)).unwrap();
        assert!(versions.load(&digest).unwrap_err().to_string().contains("is damaged"));
        // Without a manifest, as after a crash, there is none.
        fs::remove_file(versions.dir(&digest).join(MANIFEST)).unwrap();
        assert!(versions.list().is_empty() && versions.load(&digest).is_err());
        assert_eq!(versions.keep(&pieces("a"), &about(3), &BTreeSet::new()).unwrap(), digest);
        assert!(versions.load(&digest).is_ok());
        assert!(versions.load(&[7; 32]).unwrap_err().to_string().contains("no version"));
    }

    #[test]
    fn places_hold_as_long_as_the_configuration_stays_and_damage_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let versions = Versions::of(dir.path());
        assert_eq!(versions.places().unwrap(), Places::default());
        let mut places = Places::default();
        places.set(Place::Active, Some(Standing { version: [1; 32], over: Some([2; 32]) }));
        places.set(Place::Challenger, Some(Standing { version: [3; 32], over: None }));
        versions.set_places(&places).unwrap();
        let read = versions.places().unwrap();
        assert_eq!(read, places);
        assert_eq!(read.version(Place::Active, Some([2; 32])), Some([1; 32]));
        assert_eq!(read.version(Place::Active, Some([4; 32])), None);
        assert_eq!(read.version(Place::Active, None), None);
        assert_eq!(read.version(Place::Challenger, None), Some([3; 32]));
        for bad in [
            "",
            "{",
            "[]",
            "{\"active\":{}}",
            "{\"other\":{\"version\":\"00\",\"over\":null}}",
            "{\"active\":{\"version\":\"00\",\"over\":null}}",
        ] {
            fs::write(dir.path().join(VERSIONS_DIR).join(PLACES), bad).unwrap();
            let told = versions.places().unwrap_err().to_string();
            assert!(told.contains("is damaged") && told.contains("remove it"), "{bad}: {told}");
        }
    }

    #[test]
    fn room_is_made_by_the_oldest_that_never_judged() {
        let dir = tempfile::tempdir().unwrap();
        let versions = Versions::of(dir.path());
        let mut kept = Vec::new();
        for n in 0..VERSIONS_MAX {
            // A folder with a manifest is enough to count.
            let digest = crypto::sha256(&[&n.to_be_bytes()]);
            fs::create_dir_all(versions.dir(&digest)).unwrap();
            fs::write(versions.dir(&digest).join(MANIFEST), "").unwrap();
            let about = serde_json::to_vec(&about(n as u64)).unwrap();
            fs::write(versions.dir(&digest).join(ABOUT), about).unwrap();
            kept.push(digest);
        }
        let spare = BTreeSet::from([kept[0]]);
        let new = versions.keep(&pieces("b"), &about(999), &spare).unwrap();
        assert!(versions.has(&new) && versions.has(&kept[0]) && !versions.has(&kept[1]));
        assert_eq!(versions.list().len(), VERSIONS_MAX);
        let all = kept.iter().copied().chain([new]).collect();
        assert!(versions.keep(&pieces("c"), &about(0), &all).is_err());
    }
}
