//! Putting versions of bundles to work while the installation serves, and going back.
//!
//! The version that judged is kept before another one takes its place, so there is always a way back. First it becomes
//! durable which version stands where, then it is put to work, then the journal says so: after a crash in between, the next
//! start puts it to work and journals it, in shadow.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use journal::record::FraudBundle;

use super::Core;
use crate::{
    bundles::{
        Place,
        versions::{About, Digest, Pieces, Standing, Versions},
    },
    exit::{Exit, Failure},
};

impl Core {
    /// Versions that are not to be removed: those that judged, as far as the journal's last changes tell.
    pub(crate) fn spared(&self) -> BTreeSet<Digest> {
        self.ground.read(|fold| fold.judged().map(|(_, bundle)| bundle.sha256).collect())
    }

    /// The pieces of the bundle that works in a place. Keeps nothing: whoever only looks changes nothing.
    ///
    /// # Errors
    /// [`Failure`] when nothing works there, or the configured folder holds something else by now.
    pub(crate) fn seen_at_work(&self, place: Place) -> Result<(Digest, Pieces), Failure> {
        self.found_at_work(place).map(|(hash, pieces, _)| (hash, pieces))
    }

    /// The pieces of the bundle that works in a place; they are kept from now on.
    ///
    /// # Errors
    /// [`Failure`] when nothing works there, the configured folder holds something else by now, or it cannot be kept.
    pub(crate) fn at_work(&self, place: Place) -> Result<(Digest, Pieces), Failure> {
        let (hash, pieces, folder) = self.found_at_work(place)?;
        if let Some(folder) = folder {
            let about = About {
                by: "system:caponier".to_owned(),
                at: self.clock.now().0,
                note: format!("as configured: {}", folder.display()),
                base: None,
            };
            Versions::of(&self.config.data.dir).keep(&pieces, &about, &self.spared())?;
        }
        Ok((hash, pieces))
    }

    /// The same, with the configured folder it was read from unless it is a version that is kept.
    fn found_at_work(&self, place: Place) -> Result<(Digest, Pieces, Option<PathBuf>), Failure> {
        let lives = self.ground.lives();
        let live = lives.at(place).ok_or_else(|| {
            Failure::new(Exit::NotFound, "no bundle is active: set fraud.bundles and fraud.bundle")
        })?;
        let hash = live.bundle().hash();
        let versions = Versions::of(&self.config.data.dir);
        if versions.has(&hash) {
            return versions.load(&hash).map(|(_, pieces)| (hash, pieces, None));
        }
        let changed = || {
            let why = "the folder of the bundle at work has changed since it was read: reload first";
            Failure::new(Exit::No, why)
        };
        let (_, folder) = lives.configured(place).filter(|(known, _)| *known == hash).ok_or_else(changed)?;
        let (bundle, pieces) = Pieces::read(folder)?;
        if bundle.hash() != hash {
            return Err(changed());
        }
        Ok((hash, pieces, Some(folder.to_owned())))
    }

    /// Puts a version to work in a place, or lets what the configuration names stand there again, and journals it. Does nothing
    /// unless `expected` works there now. `has_effect`: whether what it says is to have an effect.
    ///
    /// # Errors
    /// [`Failure`] with exit [`Exit::No`] when something else works there by now; nothing is changed by any failure
    /// before the last step, which journals it: then it works, in shadow.
    pub(crate) async fn place_bundle(
        &self,
        place: Place,
        version: Option<Digest>,
        expected: Option<Digest>,
        has_effect: bool,
        reason: &str,
    ) -> Result<(), Failure> {
        let _one_at_a_time = self.changes.lock().await;
        tokio::task::block_in_place(|| self.place_locked(place, version, expected))?;
        let lives = self.ground.lives();
        if let (true, Some(live)) = (has_effect, lives.at(place)) {
            let bundle = live.bundle();
            let entry = FraudBundle {
                place: place.as_str().to_owned(),
                name: bundle.name().to_owned(),
                version: bundle.version().to_owned(),
                sha256: bundle.hash(),
                enforced: true,
                reason: reason.to_owned(),
            };
            return self.record_bundle(entry).await;
        }
        self.activate_bundles(reason).await
    }

    /// As [`Core::place_bundle`] without the entry: the lock of changes is held, and whoever holds it journals. Blocks.
    ///
    /// # Errors
    /// As [`Core::place_bundle`].
    pub(crate) fn place_locked(
        &self,
        place: Place,
        version: Option<Digest>,
        expected: Option<Digest>,
    ) -> Result<(), Failure> {
        let lives = self.ground.lives();
        let present = lives.at(place).map(|live| live.bundle().hash());
        if present != expected {
            let words = present.map_or_else(|| "none".to_owned(), hex::encode);
            let why = format!("the {} bundle is another one by now: {words}", place.as_str());
            return Err(Failure::new(Exit::No, why));
        }
        if present.is_some() {
            self.at_work(place)?;
        }
        let versions = Versions::of(&self.config.data.dir);
        let configured = lives.configured(place).map(|(hash, _)| *hash);
        let bundle = match (version, configured) {
            (Some(version), _) => Some(Arc::new(versions.load(&version)?.0)),
            (None, Some(configured)) => Some(Arc::new(versions.load(&configured)?.0)),
            (None, None) => None,
        };
        let may_enforce = match lives.at(place) {
            Some(live) => live.may_enforce(),
            None => self.config.fraud.enforce,
        };
        let before = versions.places()?;
        let mut after = before;
        let standing = version.filter(|version| Some(*version) != configured);
        after.set(place, standing.map(|version| Standing { version, over: configured }));
        let lives = lives.with(place, bundle, may_enforce)?;
        let prepared = self.ground.prepare_lives(lives)?;
        versions.set_places(&after)?;
        if let Err(error) = self.ground.adopt_lives(prepared) {
            versions.set_places(&before)?;
            return Err(error);
        }
        Ok(())
    }
}
