//! What models learn from and are judged by: a recording, or the journal's own past, behind one set of questions.
//!
//! The past of the journal is computed by whoever holds the data directory, who writes it to a file that is read here and
//! removed: learning takes time and memory, which a serving process has better uses for.

use std::{
    fs::File,
    io::BufReader,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use domain::Actor;
use features::Pack;
use fraud::{
    evaluate::{
        Source, Table,
        protocol::{Day, Fold, Judged},
    },
    history::{History, Silence},
    lifecycle::{
        Compared,
        compare::{Contest, compare, compare_history},
        thresholds::{Asked, Chosen, by_history, by_recording},
    },
    preset,
    recording::Recording,
};
use scoring::{gbdt::Params, model::file::ModelFile};
use serde_json::{Value, json};

use super::{DeadLetters, day, input_json, mapping, models::absolute, pack};
use crate::{
    bundles,
    cli::{
        Place,
        fraud::{Events, Past as Options, Unlabelled},
    },
    commands::{answer, block_on, config_file, watch::open},
    control::{FraudRequest, Request, Response},
    core::chain as causes,
    exit::{Exit, Failure},
    output::Bar,
};

/// Days whose rows are needed.
pub(super) struct Wanted(Range<Day>);

impl Wanted {
    pub(super) const fn days(days: Range<Day>) -> Self {
        Self(days)
    }

    /// Everything that some fold trains on or tests.
    pub(super) fn of(folds: &[Fold]) -> Self {
        let from = folds.iter().map(|fold| fold.train.start).min().unwrap_or(Day(0));
        let until = folds.iter().map(|fold| fold.test.end).max().unwrap_or(Day(0));
        Self(from..until)
    }
}

enum Kind {
    Journal { history: History, silence: Silence, until: Option<Day>, told: Value },
    Recording { events: Events, recording: Recording },
}

/// See the module's head.
pub(super) struct Past {
    pub(super) pack: Arc<Pack>,
    /// How a model over the pack is trained, unless somebody says otherwise.
    pub(super) params: Params,
    kind: Kind,
}

/// A file another process wrote for this one; removed when done with.
struct Handed(PathBuf);

impl Drop for Handed {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(file = %self.0.display(), %error, "a temporary file could not be removed");
        }
    }
}

/// The folder of the bundle meant: the one named, or the active one.
pub(super) fn bundle_dir(place: &Place, named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(dir) = named {
        return Ok(dir.to_owned());
    }
    let fraud = config_file(place)?.fraud;
    match (fraud.bundles, fraud.bundle) {
        (Some(dir), Some(name)) => Ok(dir.join(name)),
        _ => {
            Err(Failure::new(Exit::Usage, "which bundle? --bundle DIR, or fraud.bundle in the configuration"))
        }
    }
}

impl Past {
    pub(super) fn open(
        place: &Place,
        options: &Options,
        wanted: Wanted,
        bar: &mut Bar,
    ) -> Result<Self, Failure> {
        bar.report("reading", 0, 3);
        match options.recording() {
            Some(events) => Self::recorded(events),
            None => Self::journalled(place, options, wanted.0),
        }
    }

    fn recorded(events: Events) -> Result<Self, Failure> {
        let mapping = mapping(&events.mapping)?;
        let (pack, params) = pack(&events.pack, &mapping)?;
        let file = &events.events;
        let mut dead = DeadLetters::create(events.dead_letter.as_deref())?;
        let recording = Recording::read(open(file)?, &mapping, &mut |letter| dead.take(letter))
            .map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", file.display())))?;
        dead.finish().map_err(|error| Failure::io("dead letters", error))?;
        Ok(Self { pack, params, kind: Kind::Recording { events, recording } })
    }

    fn journalled(place: &Place, options: &Options, days: Range<Day>) -> Result<Self, Failure> {
        let dir = bundle_dir(place, options.bundle.as_deref())?;
        let pack = Arc::clone(bundles::read(&dir)?.pack());
        let until = options.until.as_deref().map(day).transpose()?;
        let name = format!("caponier-{}.history", hex::encode(crypto::random::array::<16>()));
        let handed = Handed(std::env::temp_dir().join(name));
        let request = FraudRequest::History {
            bundle: absolute(&dir)?,
            from: days.start.0,
            until: days.end.0,
            kinds: options.kinds.clone(),
            out: absolute(&handed.0)?,
        };
        let answered = block_on(answer(place, Request::Fraud(request), false, true))?;
        let Response::Fraud(told) = answered else {
            return Err(Failure::new(Exit::Internal, "an answer to another question"));
        };
        let file = File::open(&handed.0).map_err(|error| Failure::io(handed.0.display(), error))?;
        let history = History::read(BufReader::new(file), &pack)
            .map_err(|error| Failure::new(Exit::Input, format!("journal: {}", causes(&error))))?;
        let silence = match options.unlabelled {
            Unlabelled::LeftOut => Silence::LeftOut,
            Unlabelled::Legitimate => Silence::Legitimate,
        };
        let kind = Kind::Journal { history, silence, until, told };
        Ok(Self { pack, params: preset::usual(), kind })
    }

    /// A failure of the input, which it names.
    pub(super) fn failure(&self, error: &dyn std::error::Error) -> Failure {
        let name = match &self.kind {
            Kind::Journal { .. } => "journal".to_owned(),
            Kind::Recording { events, .. } => events.events.display().to_string(),
        };
        Failure::new(Exit::Input, format!("{name}: {}", causes(error)))
    }

    pub(super) fn table(&self, folds: &[Fold]) -> Result<Table, Failure> {
        match &self.kind {
            Kind::Journal { history, .. } => Ok(history.table()),
            Kind::Recording { recording, .. } => {
                Table::compute(recording, &self.pack, folds).map_err(|error| self.failure(&error))
            }
        }
    }

    /// The labels as whoever trains by this fold knows them; of a recording they are its own.
    pub(super) fn view(&self, fold: &Fold) -> Result<Vec<Judged>, Failure> {
        match &self.kind {
            Kind::Journal { history, silence, until, .. } => {
                history.view(fold, *silence, *until).map_err(|error| self.failure(&error))
            }
            Kind::Recording { recording, .. } => Ok(recording.judged().to_vec()),
        }
    }

    pub(super) fn source<'a>(&'a self, view: &'a [Judged]) -> Source<'a> {
        match &self.kind {
            Kind::Journal { history, .. } => history.source(view),
            Kind::Recording { recording, .. } => Source { judged: view, ..recording.into() },
        }
    }

    pub(super) fn compare(
        &self,
        contest: &Contest<'_>,
        delay_days: u32,
        actor: Actor,
    ) -> Result<Compared, Failure> {
        match &self.kind {
            Kind::Journal { history, silence, until, .. } => {
                compare_history(history, &self.pack, contest, (delay_days, *silence, *until), actor)
            }
            Kind::Recording { recording, .. } => compare(recording, &self.pack, contest, actor),
        }
        .map_err(|error| self.failure(&error))
    }

    pub(super) fn choose(
        &self,
        model: &ModelFile,
        asked: &Asked,
        delay_days: u32,
    ) -> Result<Chosen, Failure> {
        match &self.kind {
            Kind::Journal { history, silence, until, .. } => {
                by_history(history, &self.pack, model, (delay_days, *silence, *until), asked)
            }
            Kind::Recording { recording, .. } => by_recording(recording, &self.pack, model, asked),
        }
        .map_err(|error| self.failure(&error))
    }

    /// Where the rows come from, for reports.
    pub(super) fn told(&self) -> Value {
        match &self.kind {
            Kind::Journal { history, told, .. } => {
                let (labelled, frauds) = history.labelled();
                json!({
                    "journal": true, "name": "journal", "sha256": hex::encode(history.sha256()),
                    "entries": told["entries"], "bundle": told["bundle"], "read": history.len(),
                    "labelled": labelled, "frauds": frauds, "dead_letters": 0,
                })
            }
            Kind::Recording { events, recording } => input_json(events, recording),
        }
    }
}
