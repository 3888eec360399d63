//! Models of an installation: files that never change, and the entries that say which is in force.
//!
//! A file is durable before the entry that names it, so an entry never names a file that was not there. A file without
//! an entry, left by a crash in between, is harmless: taking the model in again finds it.

use std::path::Path;

use domain::{Actor, ActorKind, Subject, UnixNanos};
use fraud::{
    evaluate::model::PACK_HASH,
    lifecycle::{
        Backtest, Compared, Digest, Interval, Known, LifecycleError, ModelEntry, Promoted, Registered,
        Registry, RolledBack, TEXT_BYTES_MAX,
    },
    live::{Bundle, BundleError},
};
use journal::{
    Draft, Kind,
    disk::{self, Disk as _, RealDisk},
};
use scoring::model::file::{self, FILE_BYTES_MAX, ModelFile};
use serde_json::{Value, json};

use super::{Core, MODELS_DIR, chain, handle::record_failure};
use crate::{
    bundles::{self, Place},
    control::{BacktestWords, ModelsRequest, Response},
    exit::{Exit, Failure},
};

/// Fewest digits that name a model.
const PREFIX_MIN: usize = 8;

/// The file of a model, within the data directory.
pub(crate) fn path(digest: &Digest) -> String {
    format!("{MODELS_DIR}/{}.model", hex::encode(digest))
}

/// Files of all models with their digests.
pub(super) fn files(registry: &Registry) -> Vec<(String, Digest)> {
    registry.models().map(|(digest, known)| (path(digest), known.registered.file)).collect()
}

fn refused(error: &LifecycleError) -> Failure {
    let exit = match error {
        LifecycleError::Unknown => Exit::NotFound,
        _ => Exit::No,
    };
    Failure::new(exit, error.to_string())
}

fn operator(name: &str) -> Result<Actor, Failure> {
    Actor::new(ActorKind::Operator, name).map_err(|error| Failure::new(Exit::Usage, format!("--as: {error}")))
}

fn reason(text: String) -> Result<String, Failure> {
    if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        let message = format!("--reason: 1 to {TEXT_BYTES_MAX} bytes of printable text");
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(text)
}

/// Cut to what an entry takes.
fn short(text: &str) -> String {
    let end = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or(0)].to_owned()
}

impl Core {
    pub(super) async fn models(&self, request: ModelsRequest) -> Result<Response, Failure> {
        let value = match request {
            ModelsRequest::Add { path, backtest, by } => {
                let _one_at_a_time = self.changes.lock().await;
                self.models_add(Path::new(&path), backtest, operator(&by)?).await?
            }
            ModelsRequest::Compared { entry } => {
                let _one_at_a_time = self.changes.lock().await;
                self.models_compared(&entry).await?
            }
            ModelsRequest::List => self.models_list(),
            ModelsRequest::Promote { digest, by, forced } => {
                let _one_at_a_time = self.changes.lock().await;
                let actor = operator(&by)?;
                self.models_promote(&digest, actor, forced.map(reason).transpose()?).await?
            }
            ModelsRequest::Rollback { digest, by, reason: why } => {
                let _one_at_a_time = self.changes.lock().await;
                let actor = operator(&by)?;
                self.models_rollback(&digest, actor, reason(why)?).await?
            }
            ModelsRequest::Show { digest } => {
                let (digest, known) = self.model(&digest)?;
                self.ground.read(|fold| self.model_json(fold.models(), &digest, &known, true))
            }
        };
        Ok(Response::Fraud(value))
    }

    /// The models that are kept, one after the other; those whose files are missing or damaged are left out.
    pub(super) fn model_bytes(&self) -> impl Iterator<Item = Vec<u8>> {
        let digests: Vec<Digest> =
            self.ground.read(|fold| fold.models().models().map(|(digest, _)| *digest).collect());
        let dir = self.config.data.dir.clone();
        digests.into_iter().filter_map(move |digest| {
            let bytes = std::fs::read(dir.join(path(&digest))).ok()?;
            (file::digest(&bytes) == Some(digest)).then_some(bytes)
        })
    }

    /// The place whose bundle is to judge by a new champion of a pack, and that bundle with the champion's model. A
    /// challenger of this pack comes first: the bundle in force keeps its effect meanwhile. Nothing judges by the pack,
    /// or judges by this very model: `None`.
    fn successor(&self, digest: &Digest, pack: &Digest) -> Result<Option<(Place, Bundle, Vec<u8>)>, Failure> {
        let lives = self.ground.lives();
        let judges = |place: &Place| {
            let live = lives.at(*place)?;
            let (_, model) = live.bundle().model()?;
            (live.bundle().pack().hash() == *pack).then_some((live, model))
        };
        let place = [Place::Challenger, Place::Active].into_iter().find(|place| judges(place).is_some());
        let Some((place, (live, model))) = place.and_then(|place| Some((place, judges(&place)?))) else {
            return Ok(None);
        };
        if model == *digest {
            return Ok(None);
        }
        let name = path(digest);
        let bytes =
            std::fs::read(self.config.data.dir.join(&name)).map_err(|error| Failure::io(&name, error))?;
        if file::digest(&bytes) != Some(*digest) {
            return Err(Failure::new(
                Exit::Io,
                format!("{name}: is another model than the one that was taken in"),
            ));
        }
        let refused = |error: BundleError| {
            let what = format!("bundle {} cannot judge by it: {}", live.bundle().name(), chain(&error));
            Failure::new(Exit::Input, format!("{what}; nothing was changed"))
        };
        let bundle = live.bundle().with_model(&bytes).map_err(refused)?;
        Ok(bundle.map(|bundle| (place, bundle, bytes)))
    }

    /// Lets the bundle of a place judge by a new champion: its model file is replaced, and it begins in shadow, at once
    /// where a process serves, else at the next start.
    async fn succeed(
        &self,
        (place, bundle, bytes): (Place, Bundle, Vec<u8>),
        why: &str,
    ) -> Result<Value, Failure> {
        let lives = self.ground.lives();
        let had_effect = lives.at(place).is_some_and(|live| live.is_enforced());
        let told = bundles::told(&bundle);
        let name = bundle.manifest().model.clone().unwrap_or_default();
        let folder =
            lives.folder(place).ok_or_else(|| Failure::new(Exit::Internal, "a bundle of no folder"))?;
        let failed = |error: std::io::Error| {
            let file = folder.join(&name);
            let what = format!("{}: {error}", file.display());
            Failure::new(
                Exit::Io,
                format!("{what}; the champion is recorded, but the bundle judges as before"),
            )
        };
        let serves = self.reload.get().is_some();
        let next = tokio::task::block_in_place(|| {
            let disk = RealDisk::new(folder).map_err(failed)?;
            disk::replace(&disk, &name, &bytes).map_err(failed)?;
            let next = serves.then(|| self.ground.prepare_lives(lives.replacing(place, bundle)?));
            next.transpose()
        })?;
        if let Some(next) = next {
            self.ground.adopt_lives(next)?;
            self.activate_bundles(why).await?;
        }
        Ok(json!({
            "place": place.as_str(), "bundle": told, "judges": if serves { "now, in shadow" } else { "from the next start on, in shadow" },
            "had_effect": had_effect, "model_file": folder.join(&name),
        }))
    }

    /// The one model whose digest begins so.
    fn model(&self, prefix: &str) -> Result<(Digest, Known), Failure> {
        let prefix = prefix.to_ascii_lowercase();
        if prefix.len() < PREFIX_MIN {
            let message = format!("a model is named by at least {PREFIX_MIN} digits of its digest");
            return Err(Failure::new(Exit::Usage, message));
        }
        let found: Vec<(Digest, Known)> = self.ground.read(|fold| {
            let models = fold.models().models();
            let named = models.filter(|(digest, _)| hex::encode(digest).starts_with(&prefix));
            named.map(|(digest, known)| (*digest, known.clone())).collect()
        });
        match <[_; 1]>::try_from(found) {
            Ok([one]) => Ok(one),
            Err(found) if found.is_empty() => Err(refused(&LifecycleError::Unknown)),
            Err(_) => Err(Failure::new(Exit::Usage, "more than one model begins so: give more digits")),
        }
    }

    async fn models_add(
        &self,
        from: &Path,
        backtest: Option<BacktestWords>,
        actor: Actor,
    ) -> Result<Value, Failure> {
        let bad = |why: String| Failure::new(Exit::Input, format!("{}: {why}", from.display()));
        let entry = tokio::task::block_in_place(|| {
            let length = std::fs::metadata(from).map_err(|error| Failure::io(from.display(), error))?.len();
            if length > FILE_BYTES_MAX as u64 {
                return Err(bad(format!("is longer than {FILE_BYTES_MAX} bytes")));
            }
            let bytes = std::fs::read(from).map_err(|error| Failure::io(from.display(), error))?;
            let model = ModelFile::decode(&bytes).map_err(|error| bad(chain(&error)))?;
            let digest = file::digest(&bytes).ok_or_else(|| bad("has no digest".to_owned()))?;
            let card = &model.card;
            let pack = card.params.iter().find(|(name, _)| name == PACK_HASH);
            let pack =
                pack.and_then(|(_, hash)| hex::decode(hash).ok()).and_then(|hash| hash.try_into().ok());
            let pack: Digest =
                pack.ok_or_else(|| bad("its card does not say which feature pack it belongs to".to_owned()))?;
            let disk = RealDisk::new(&self.config.data.dir)
                .map_err(|error| Failure::io(self.config.data.dir.display(), error))?;
            let name = path(&digest);
            let failed = |error| Failure::io(&name, error);
            match disk.create_dir(MODELS_DIR) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(error)),
                _ => {}
            }
            disk::replace(&disk, &name, &bytes).map_err(failed)?;
            Ok(ModelEntry::Registered(Registered {
                digest,
                file: crypto::sha256(&[&bytes]),
                bytes: bytes.len() as u64,
                name: short(&card.name),
                version: short(&card.version),
                pack_name: short(
                    card.params.iter().find(|(name, _)| name == "pack").map_or("", |(_, value)| value),
                ),
                pack,
                rows: card.training.rows,
                positives: card.training.positives,
                learned: card.training.period,
                backtest: backtest.map(|words| Backtest {
                    average_precision: words.average_precision,
                    auc_roc: words.auc_roc,
                    rows: words.rows,
                    positives: words.positives,
                    until: UnixNanos(words.until),
                }),
                actor,
            }))
        })?;
        let ModelEntry::Registered(Registered { digest, .. }) = &entry else {
            return Err(Failure::new(Exit::Internal, "not a model"));
        };
        let digest = *digest;
        if self.ground.read(|fold| fold.models().model(&digest).is_none()) {
            self.record_model(entry).await?;
        }
        let (digest, known) = self.model(&hex::encode(digest))?;
        Ok(self.ground.read(|fold| self.model_json(fold.models(), &digest, &known, false)))
    }

    async fn models_compared(&self, entry: &str) -> Result<Value, Failure> {
        let bad = |why: String| Failure::new(Exit::Usage, format!("comparison: {why}"));
        let bytes = hex::decode(entry).map_err(|error| bad(error.to_string()))?;
        let entry = ModelEntry::decode(&bytes).map_err(|error| bad(error.to_string()))?;
        let ModelEntry::Compared(compared) = &entry else {
            return Err(bad("is another entry".to_owned()));
        };
        let told = comparison_json(self.clock.now(), compared);
        self.record_model(entry).await?;
        Ok(told)
    }

    async fn models_promote(
        &self,
        prefix: &str,
        actor: Actor,
        forced: Option<String>,
    ) -> Result<Value, Failure> {
        let (digest, known) = self.model(prefix)?;
        let replaces = self.ground.read(|fold| fold.models().champion(&known.registered.pack).copied());
        let floor = self.config.fraud.promotion_floor;
        let next = self.successor(&digest, &known.registered.pack)?;
        self.record_model(ModelEntry::Promoted(Promoted { digest, replaces, floor, forced, actor })).await?;
        let mut told = self.ground.read(|fold| self.model_json(fold.models(), &digest, &known, false));
        if let Some(next) = next {
            told["judged_by"] = self.succeed(next, "its model became champion").await?;
        }
        Ok(told)
    }

    async fn models_rollback(&self, prefix: &str, actor: Actor, reason: String) -> Result<Value, Failure> {
        let (from, known) = self.model(prefix)?;
        let pack = known.registered.pack;
        let to =
            self.ground.read(|fold| fold.models().pack(&pack).and_then(|pack| pack.before.last().copied()));
        let to = to.ok_or_else(|| refused(&LifecycleError::NoChampionBefore))?;
        let next = self.successor(&to, &pack)?;
        self.record_model(ModelEntry::RolledBack(RolledBack { pack, from, to, reason, actor })).await?;
        let (to, known) = self.model(&hex::encode(to))?;
        let mut told = self.ground.read(|fold| self.model_json(fold.models(), &to, &known, false));
        if let Some(next) = next {
            told["judged_by"] = self.succeed(next, "its model was rolled back").await?;
        }
        Ok(told)
    }

    /// Journals a change, if the gates let it through.
    async fn record_model(&self, entry: ModelEntry) -> Result<(), Failure> {
        self.ground.read(|fold| fold.models().check(&entry)).map_err(|error| refused(&error))?;
        let at = self.clock.now();
        let draft = Draft { at, subject: Subject::System, kind: Kind::Model, payload: entry.encode() };
        self.ground.record(vec![draft]).await.map(drop).map_err(|error| record_failure(&error))
    }

    fn models_list(&self) -> Value {
        self.ground.read(|fold| {
            let registry = fold.models();
            let models =
                registry.models().map(|(digest, known)| self.model_json(registry, digest, known, false));
            json!({ "models": models.collect::<Vec<_>>() })
        })
    }

    fn model_json(&self, registry: &Registry, digest: &Digest, known: &Known, whole: bool) -> Value {
        let Registered {
            file,
            bytes,
            name,
            version,
            pack_name,
            pack,
            rows,
            positives,
            learned,
            backtest,
            actor,
            ..
        } = &known.registered;
        let state = registry.pack(pack);
        let is_champion = state.is_some_and(|state| state.champion == Some(*digest));
        let path = self.config.data.dir.join(path(digest));
        let held = match std::fs::metadata(&path) {
            Ok(found) if found.len() == *bytes => "there",
            Ok(_) => "damaged",
            Err(_) => "missing",
        };
        let mut value = json!({
            "digest": hex::encode(digest), "name": name, "version": version, "pack": pack_name,
            "pack_sha256": hex::encode(pack), "rows": rows, "frauds": positives,
            "learned_from": learned.map(|(from, _)| from.to_string()),
            "learned_until": learned.map(|(_, until)| until.to_string()),
            "state": if is_champion { "champion" } else { "kept" },
            "file": path.display().to_string(), "file_state": held, "file_sha256": hex::encode(file),
            "at": known.at.to_string(), "by": actor.to_string(),
        });
        if let Some(test) = backtest {
            value["backtest"] = json!({
                "average_precision": decimal(test.average_precision), "auc_roc": decimal(test.auc_roc),
                "rows": test.rows, "frauds": test.positives, "until": test.until.to_string(),
            });
        }
        if let (true, Some(state)) = (is_champion, state) {
            if let Some((at, by)) = &state.since {
                value["champion_since"] = json!(at.to_string());
                value["champion_by"] = json!(by.to_string());
            }
            value["champions_before"] = state.before.iter().rev().map(hex::encode).collect();
        }
        if whole && let Some(state) = state {
            let about = state
                .comparisons
                .iter()
                .filter(|(_, compared)| compared.challenger == *digest || compared.champion == *digest);
            value["comparisons"] = about.map(|(at, compared)| comparison_json(*at, compared)).collect();
            if let Ok(Ok(model)) = std::fs::read(&path).map(|bytes| ModelFile::decode(&bytes)) {
                value["card"] = json!(model.markdown(digest));
            }
        }
        value
    }
}

/// Millionths as a decimal.
fn decimal(millionths: i64) -> Value {
    let sign = if millionths < 0 { "-" } else { "" };
    let size = millionths.unsigned_abs();
    json!(format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000))
}

/// An interval for people and programs.
pub(super) fn interval_json(interval: &Interval) -> Value {
    json!({
        "observed": decimal(interval.observed), "low": decimal(interval.low), "high": decimal(interval.high),
        "better": decimal(i64::try_from(interval.better).unwrap_or(i64::MAX)),
    })
}

fn comparison_json(at: UnixNanos, compared: &Compared) -> Value {
    json!({
        "champion": hex::encode(compared.champion), "challenger": hex::encode(compared.challenger),
        "data_sha256": hex::encode(compared.data), "from": compared.from.to_string(),
        "until": compared.until.to_string(), "rows": compared.rows, "frauds": compared.positives,
        "average_precision": interval_json(&compared.average_precision),
        "value_found": compared.value.as_ref().map(interval_json),
        "confidence": decimal(i64::try_from(compared.confidence).unwrap_or(i64::MAX)),
        "rounds": compared.rounds, "seed": compared.seed, "at": at.to_string(),
        "by": compared.actor.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millionths_are_decimals() {
        let texts = [0, 7, -1_500_000, 1_000_000].map(decimal);
        assert_eq!(texts, ["0.000000", "0.000007", "-1.500000", "1.000000"].map(|text| json!(text)));
    }
}
