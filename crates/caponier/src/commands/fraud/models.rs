//! `caponier fraud models`: the heavy work happens here, in the command's own process; what is decided goes to whoever
//! holds the data directory.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use domain::{Actor, ActorKind};
use fraud::{
    evaluate::protocol::Day,
    lifecycle::{Digest, ModelEntry, compare::Contest},
    live::MANIFEST,
};
use journal::disk::{self, RealDisk};
use scoring::{
    bootstrap,
    model::file::{FILE_BYTES_MAX, ModelFile},
};
use serde_json::{Value, json};

use super::{
    bytes, create, day, evaluated,
    past::{Past, Wanted},
};
use crate::{
    bundles,
    cli::{
        Place,
        fraud::{Challenge, Evaluate, ModelsCommand},
    },
    commands::{answer, ask, block_on},
    control::{BacktestWords, FraudRequest, ModelsRequest, Request, Response},
    exit::{Exit, Failure},
    output::{self, Bar},
};

/// Longest test of a comparison, in days.
const TEST_DAYS_MAX: u32 = 3_660;

pub(in crate::commands) fn models(
    place: &Place,
    command: ModelsCommand,
    json: bool,
) -> Result<Exit, Failure> {
    let of = |request| Request::Fraud(FraudRequest::Models(request));
    let plain = |request| block_on(ask(place, of(request), false, json));
    match command {
        ModelsCommand::List => plain(ModelsRequest::List),
        ModelsCommand::Show { digest } => plain(ModelsRequest::Show { digest }),
        ModelsCommand::Add { file, name } => {
            plain(ModelsRequest::Add { path: absolute(&file)?, backtest: None, by: name })
        }
        ModelsCommand::Train { evaluate, name } => train(place, &evaluate, name, json),
        ModelsCommand::Challenge(options) => challenge(place, &options, json),
        ModelsCommand::Promote { digest, name, reason, bundle, .. } => put_in_force(
            place,
            ModelsRequest::Promote { digest, by: name, forced: reason },
            bundle.as_deref(),
            json,
        ),
        ModelsCommand::Rollback { digest, name, reason, bundle } => {
            put_in_force(place, ModelsRequest::Rollback { digest, by: name, reason }, bundle.as_deref(), json)
        }
    }
}

pub(super) fn absolute(path: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(path).map_err(|error| Failure::io(path.display(), error))?;
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::new(Exit::Usage, format!("{}: not UTF-8", path.display())))
}

/// Asks about models and takes the answer apart.
fn told(place: &Place, request: ModelsRequest, json: bool) -> Result<Value, Failure> {
    match block_on(answer(place, Request::Fraud(FraudRequest::Models(request)), false, json))? {
        Response::Fraud(value) => Ok(value),
        _ => Err(Failure::new(Exit::Internal, "an answer to another question")),
    }
}

fn print(mut value: Value, json: bool) {
    if json {
        value["ok"] = json!(true);
        output::line(value);
    } else {
        output::line(serde_json::to_string_pretty(&value).unwrap_or_default());
    }
}

fn train(place: &Place, options: &Evaluate, by: String, json: bool) -> Result<Exit, Failure> {
    // Before the work: where the model goes must be there.
    told(place, ModelsRequest::List, json)?;
    let done = evaluated(place, options, json)?;
    let latest = done.results.first().ok_or_else(|| Failure::new(Exit::Internal, "there is no fold"))?;
    let millionths = |figure: f64| {
        #[allow(clippy::cast_possible_truncation, reason = "a figure from 0 to 1")]
        let number = (figure.clamp(0.0, 1.0) * 1e6).floor() as i64;
        number
    };
    let backtest = BacktestWords {
        average_precision: millionths(latest.figures.average_precision),
        auc_roc: millionths(latest.figures.auc_roc),
        rows: latest.test_rows as u64,
        positives: latest.test_frauds as u64,
        until: latest.fold.test.end.start().0,
    };
    let handed = Handed::new(&done.model)?;
    let model =
        told(place, ModelsRequest::Add { path: absolute(&handed.0)?, backtest: Some(backtest), by }, json)?;
    print(json!({ "evaluation": done.report, "model": model }), json);
    Ok(Exit::Ok)
}

/// A file of this process that another one reads; removed when done with.
struct Handed(PathBuf);

impl Handed {
    fn new(bytes: &[u8]) -> Result<Self, Failure> {
        let name = format!("caponier-{}.model", hex::encode(crypto::random::array::<16>()));
        let path = std::env::temp_dir().join(name);
        let mut file = create(&path)?;
        let handed = Self(path);
        file.write_all(bytes)
            .and_then(|()| file.flush())
            .map_err(|error| Failure::io(handed.0.display(), error))?;
        Ok(handed)
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(file = %self.0.display(), %error, "a temporary file could not be removed");
        }
    }
}

/// A model the installation knows: its file, checked against its digest.
fn known(place: &Place, digest: &str, json: bool) -> Result<(Value, ModelFile, Digest), Failure> {
    let told = told(place, ModelsRequest::Show { digest: digest.to_owned() }, json)?;
    let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let path = text("file");
    let bytes = bytes(Path::new(&path), FILE_BYTES_MAX)?;
    let damaged = |why: String| Failure::new(Exit::Io, format!("{path}: {why}"));
    let file = ModelFile::decode(&bytes).map_err(|error| damaged(crate::core::chain(&error)))?;
    let digest = scoring::model::file::digest(&bytes).unwrap_or_default();
    if hex::encode(digest) != text("digest") {
        return Err(damaged("is another model than the one that was taken in".to_owned()));
    }
    Ok((told, file, digest))
}

fn challenge(place: &Place, options: &Challenge, json: bool) -> Result<Exit, Failure> {
    let actor = Actor::new(ActorKind::Operator, &options.name)
        .map_err(|error| Failure::new(Exit::Usage, format!("--as: {error}")))?;
    let start = day(&options.test_start).map_err(|_| {
        Failure::new(Exit::Usage, format!("--test-start: not a date: {:?}", options.test_start))
    })?;
    if !(1..=TEST_DAYS_MAX).contains(&options.test_days) || options.capacity == 0 {
        let message = format!("--test-days: 1 to {TEST_DAYS_MAX} are possible; --capacity: at least 1");
        return Err(Failure::new(Exit::Usage, message));
    }
    let (shown, challenger, digest) = known(place, &options.digest, json)?;
    let all = told(place, ModelsRequest::List, json)?;
    let is_champion =
        |model: &&Value| model["state"] == "champion" && model["pack_sha256"] == shown["pack_sha256"];
    let champion = all["models"].as_array().and_then(|models| models.iter().find(is_champion));
    let champion = champion.and_then(|model| model["digest"].as_str()).ok_or_else(|| {
        let message = "its pack has no champion to compare with; promote one that has a backtest";
        Failure::new(Exit::NotFound, message)
    })?;
    let (_, champion, champion_digest) = known(place, champion, json)?;

    let days = start..Day(start.0.saturating_add(options.test_days));
    let past = Past::open(place, &options.past, Wanted::days(days.clone()), &mut Bar::new(json))?;
    let contest = Contest {
        champion: (&champion, champion_digest),
        challenger: (&challenger, digest),
        days,
        capacity: options.capacity,
        bootstrap: bootstrap::Params {
            rounds: options.rounds,
            confidence: options.confidence,
            seed: options.seed,
        },
    };
    let compared = past.compare(&contest, options.delay_days, actor)?;
    let entry = hex::encode(ModelEntry::Compared(compared).encode());
    print(told(place, ModelsRequest::Compared { entry }, json)?, json);
    Ok(Exit::Ok)
}

/// Changes the champion, and the bundle that is to judge by it. The bundle is looked at first: nothing is put in force
/// that it could not judge by.
fn put_in_force(
    place: &Place,
    request: ModelsRequest,
    bundle: Option<&Path>,
    json: bool,
) -> Result<Exit, Failure> {
    let target = bundle.map(bundle_model).transpose()?;
    if let (
        Some((pack, ..)),
        ModelsRequest::Promote { digest, .. } | ModelsRequest::Rollback { digest, .. },
    ) = (&target, &request)
    {
        let (shown, ..) = known(place, digest, json)?;
        if shown["pack_sha256"] != json!(hex::encode(pack)) {
            return Err(Failure::new(Exit::Usage, "--bundle: it judges by another feature pack"));
        }
    }
    let mut champion = told(place, request, json)?;
    if let Some((_, folder, name)) = target {
        let digest = champion["digest"].as_str().unwrap_or_default().to_owned();
        let (_, file, _) = known(place, &digest, json)?;
        let bytes =
            file.encode().map_err(|error| Failure::new(Exit::Internal, crate::core::chain(&error)))?;
        let failed = |error: std::io::Error| Failure::io(folder.join(&name).display(), error);
        let disk = RealDisk::new(&folder).map_err(failed)?;
        disk::replace(&disk, &name, &bytes).map_err(failed)?;
        champion["bundle_model"] = json!(folder.join(&name).display().to_string());
    }
    print(champion, json);
    Ok(Exit::Ok)
}

/// The pack of a bundle, and the file its model is read from.
fn bundle_model(dir: &Path) -> Result<(Digest, PathBuf, String), Failure> {
    let bundle = bundles::read(dir)?;
    let name = bundle.manifest().model.clone().ok_or_else(|| {
        let message = format!("{}: names no model that could be replaced", dir.join(MANIFEST).display());
        Failure::new(Exit::Usage, message)
    })?;
    Ok((bundle.pack().hash(), dir.to_owned(), name))
}
