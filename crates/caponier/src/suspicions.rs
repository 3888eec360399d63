//! Whom models suspect on followed chains: recorded in the journal, shown, cleared by people.
//!
//! The flow log of a chain decides who is suspected; a task for each chain brings the journal up to it: at the start all of it, after
//! that what changed. Screening and decisions go by the journal, so what they say can be proven.

use std::{sync::Arc, time::Duration};

use chain::address;
use domain::{Actor, ActorKind, Address, Clock, Ppm, Subject, UnixNanos};
use journal::{Draft, Kind, record};
use serde_json::{Map, Value, json};
use tokio::sync::watch as signal;
use watch::{
    assess::Suspected,
    flows::Flows,
    suspicions::{Cleared, Held, News, Suspicions, Why, news},
};

use crate::{
    control::Response,
    core::{Core, chain as causes},
    exit::{Exit, Failure},
    ground::{Ground, RecordError},
};

/// Most suspicions made durable at once.
const AT_ONCE: usize = 64;
/// Suspects of one answer.
pub(crate) const SUSPECTS_MAX: u64 = 1_000;
/// Longest words of a person, in bytes.
const REASON_BYTES_MAX: usize = 1_000;
/// Pause after what could not be recorded.
const RETRY: Duration = Duration::from_secs(1);
/// Name that stands for all chains.
const EVERY_CHAIN: &str = "*";

/// What the journal says of suspicions.
#[derive(Debug)]
pub(crate) struct GroundSuspicions(pub(crate) Arc<Ground>);

impl Suspected for GroundSuspicions {
    fn of(&self, address: &Address) -> Vec<Held> {
        self.0.suspicions().of(address)
    }
}

fn address_of(text: &str) -> Result<Address, String> {
    let family = address::detect(text).ok_or_else(|| format!("{text:?} is no address"))?;
    address::decode(family, text).map_err(|error| format!("{text:?}: {error}"))
}

/// Which address an entry is about, and on which chains; a person's word counts on all on which it is suspected.
///
/// # Errors
/// In words: the entry is not what this program writes.
pub(crate) fn about(
    suspicions: &Suspicions,
    record: &record::Suspicion,
) -> Result<(Option<Address>, Vec<String>), String> {
    Ok(match record {
        record::Suspicion::Model(_) => (None, Vec::new()),
        record::Suspicion::Raised(raised) => (Some(address_of(&raised.address)?), vec![raised.chain.clone()]),
        record::Suspicion::Withdrawn(withdrawn) if withdrawn.chain == EVERY_CHAIN => {
            let address = address_of(&withdrawn.address)?;
            (Some(address), suspicions.of(&address).into_iter().map(|held| held.chain).collect())
        }
        record::Suspicion::Withdrawn(withdrawn) => {
            (Some(address_of(&withdrawn.address)?), vec![withdrawn.chain.clone()])
        }
    })
}

/// Takes in an entry.
///
/// # Errors
/// In words: the entry is not what this program writes.
pub(crate) fn apply(
    suspicions: &Suspicions,
    entry: u64,
    at: UnixNanos,
    record: record::Suspicion,
) -> Result<(), String> {
    match record {
        record::Suspicion::Model(model) => suspicions.apply_model(&model.chain, model.model),
        record::Suspicion::Raised(raised) => {
            let record::SuspicionRaised {
                chain,
                address,
                model,
                probability,
                height,
                block,
                transaction,
                transactions,
                reasons,
            } = raised;
            let address = address_of(&address)?;
            let held = Held {
                chain,
                model,
                probability,
                height,
                block,
                transaction,
                transactions,
                reasons,
                at,
                entry,
            };
            suspicions.apply_raised(address, held);
        }
        record::Suspicion::Withdrawn(withdrawn) => {
            let address = address_of(&withdrawn.address)?;
            match (Why::named(&withdrawn.why), withdrawn.by) {
                (Some(Why::Analyst), Some(by)) => {
                    suspicions.apply_cleared(address, Cleared { by, reason: withdrawn.reason, at });
                }
                (Some(_), _) => suspicions.apply_withdrawn(&address, &withdrawn.chain),
                (None, _) => return Err(format!("{:?} is no cause of a withdrawal", withdrawn.why)),
            }
        }
    }
    Ok(())
}

/// An entry for people.
pub(crate) fn entry_words(record: record::Suspicion, shown: impl Fn(&str) -> String) -> Map<String, Value> {
    let value = match record {
        record::Suspicion::Model(model) => json!({
            "what": "model", "chain": model.chain, "model": model.model.map(hex::encode), "name": model.name,
            "version": model.version,
        }),
        record::Suspicion::Raised(raised) => json!({
            "what": "raised", "chain": raised.chain, "address": shown(&raised.address),
            "model": hex::encode(raised.model), "probability": f64::from(raised.probability) / 1e6,
            "height": raised.height, "block": hex::encode(raised.block),
            "transaction": hex::encode(raised.transaction), "transactions": raised.transactions,
            "reasons": raised.reasons,
        }),
        record::Suspicion::Withdrawn(withdrawn) => json!({
            "what": "withdrawn", "chain": withdrawn.chain, "address": shown(&withdrawn.address),
            "why": withdrawn.why, "by": withdrawn.by, "reason": withdrawn.reason,
        }),
    };
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Brings the journal up to what a chain says.
pub(crate) struct Recorder {
    pub(crate) chain: String,
    /// None: nothing judges the chain any more.
    pub(crate) flows: Option<Arc<Flows>>,
    pub(crate) ground: Arc<Ground>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Recorder {
    /// Of the chains that are judged, and of those that were and are not any more.
    pub(crate) fn all(core: &Core) -> Vec<Self> {
        let judged = core.assessor.followed().iter().map(|followed| Arc::clone(&followed.flows));
        let judged: Vec<Arc<Flows>> = judged.filter(|flows| flows.detector().is_some()).collect();
        let known = core.ground.suspicions().chains();
        let left = known.into_iter().filter(|chain| judged.iter().all(|flows| **flows.chain() != **chain));
        let recorder = |chain: String, flows| Self {
            chain,
            flows,
            ground: Arc::clone(&core.ground),
            clock: Arc::clone(&core.clock),
        };
        let left: Vec<Self> = left.map(|chain| recorder(chain, None)).collect();
        let judging = judged.into_iter().map(|flows| recorder(flows.chain().to_string(), Some(flows)));
        judging.chain(left).collect()
    }

    /// Records until `stop` becomes true. What is missing then is found at the next start.
    pub(crate) async fn run(self, mut stop: signal::Receiver<bool>) {
        let mut told = self.flows.as_ref().map(|flows| flows.suspects_told());
        loop {
            let recorded = match &self.flows {
                Some(flows) => self.bring_up(flows).await,
                None => self.leave().await,
            };
            if let Err(error) = &recorded {
                tracing::error!(chain = self.chain, error = causes(error), "suspicions were not recorded");
                if let Some(flows) = &self.flows {
                    flows.put_back_suspects();
                }
            }
            let wait = async {
                match (&mut told, &recorded) {
                    (_, Err(_)) => tokio::time::sleep(RETRY).await,
                    (Some(told), Ok(())) => drop(told.changed().await),
                    (None, Ok(())) => std::future::pending().await,
                }
            };
            tokio::select! {
                () = wait => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn bring_up(&self, flows: &Arc<Flows>) -> Result<(), RecordError> {
        let Some(detector) = flows.detector() else { return Ok(()) };
        let model = detector.sha256();
        let suspicions = self.ground.suspicions();
        if suspicions.models().get(&self.chain) != Some(&model) {
            let card = &detector.file().card;
            self.model(Some(model), card.name.clone(), card.version.clone()).await?;
        }
        let flows = Arc::clone(flows);
        let found = tokio::task::spawn_blocking(move || {
            news(&suspicions, &flows, &model, &flows.take_changed_suspects())
        });
        // A panic within is the only error.
        let Ok(found) = found.await else { return Ok(()) };
        for some in found.chunks(AT_ONCE) {
            let records = some.iter().map(|news| self.entry(news, model));
            self.record(records.collect()).await?;
        }
        for news in &found {
            match news {
                News::Raised(address, suspect) => tracing::warn!(
                    chain = self.chain,
                    address = address::encode(address),
                    height = suspect.height,
                    probability = suspect.suspicion.probability,
                    "suspected"
                ),
                News::Withdrawn(address, why) => tracing::info!(
                    chain = self.chain,
                    address = address::encode(address),
                    why = why.as_str(),
                    "no longer suspected"
                ),
            }
        }
        Ok(())
    }

    /// Nothing judges the chain: nobody on it is suspected.
    async fn leave(&self) -> Result<(), RecordError> {
        let suspicions = self.ground.suspicions();
        for some in suspicions.on(&self.chain).chunks(AT_ONCE) {
            let gone = some.iter().map(|address| self.entry(&News::Withdrawn(*address, Why::Model), [0; 32]));
            self.record(gone.collect()).await?;
        }
        if suspicions.models().contains_key(&self.chain) {
            self.model(None, String::new(), String::new()).await?;
        }
        Ok(())
    }

    async fn model(&self, model: Option<[u8; 32]>, name: String, version: String) -> Result<(), RecordError> {
        let chain = self.chain.clone();
        let model = record::SuspicionModel { chain, model, name, version };
        self.record(vec![record::Suspicion::Model(model)]).await
    }

    fn entry(&self, news: &News, model: [u8; 32]) -> record::Suspicion {
        let chain = self.chain.clone();
        match news {
            News::Raised(address, suspect) => record::Suspicion::Raised(record::SuspicionRaised {
                chain,
                address: address::encode(address),
                model,
                probability: Ppm::of(suspect.suspicion.probability).map_or(0, Ppm::get),
                height: suspect.height,
                block: suspect.block,
                transaction: suspect.transaction,
                transactions: u64::try_from(suspect.transactions).unwrap_or(u64::MAX),
                reasons: suspect.suspicion.reasons.iter().map(ToString::to_string).collect(),
            }),
            News::Withdrawn(address, why) => record::Suspicion::Withdrawn(record::SuspicionWithdrawn {
                chain,
                address: address::encode(address),
                why: why.as_str().to_owned(),
                by: None,
                reason: String::new(),
            }),
        }
    }

    async fn record(&self, records: Vec<record::Suspicion>) -> Result<(), RecordError> {
        let at = self.clock.now();
        let drafts = records.iter().map(|record| draft(at, record)).collect();
        self.ground.record(drafts).await.map(drop)
    }
}

fn draft(at: UnixNanos, record: &record::Suspicion) -> Draft {
    Draft { at, subject: Subject::System, kind: Kind::Suspicion, payload: record.encode() }
}

impl Core {
    /// Who is suspected, from an entry of the journal on.
    pub(crate) fn suspects(&self, from: u64, limit: u64) -> Response {
        let limit = usize::try_from(limit.min(SUSPECTS_MAX)).unwrap_or(usize::MAX);
        let suspicions = self.ground.suspicions();
        let found: Vec<Value> = suspicions
            .list(from, limit)
            .iter()
            .map(|(address, held)| api::suspicion_json(address, held))
            .collect();
        let models = suspicions.models().into_iter().map(|(chain, model)| (chain, json!(hex::encode(model))));
        let models: Map<String, Value> = models.collect();
        Response::Suspects(json!({ "suspected": suspicions.len(), "models": models, "suspects": found }))
    }

    /// A person says that an address is not to be suspected.
    ///
    /// # Errors
    /// [`Failure`]: it is not suspected, or this could not be recorded.
    pub(crate) async fn suspect_clear(
        &self,
        text: &str,
        by: &str,
        reason: &str,
    ) -> Result<Response, Failure> {
        if reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX || reason.chars().any(char::is_control)
        {
            let message = format!("--reason: 1 to {REASON_BYTES_MAX} bytes of printable text");
            return Err(Failure::new(Exit::Usage, message));
        }
        let actor = Actor::new(ActorKind::Operator, by)
            .map_err(|error| Failure::new(Exit::Usage, format!("--as: {error}")))?;
        let address = address_of(text).map_err(|what| Failure::new(Exit::Input, what))?;
        if !self.ground.suspicions().contains(&address) {
            return Err(Failure::new(Exit::NotFound, format!("nobody suspects {text}")));
        }
        let record = record::Suspicion::Withdrawn(record::SuspicionWithdrawn {
            chain: EVERY_CHAIN.to_owned(),
            address: address::encode(&address),
            why: Why::Analyst.as_str().to_owned(),
            by: Some(actor.to_string()),
            reason: reason.to_owned(),
        });
        self.ground
            .record(vec![draft(self.clock.now(), &record)])
            .await
            .map_err(|error| Failure::new(Exit::Io, causes(&error)))?;
        Ok(Response::SuspectCleared { address: address::encode(&address) })
    }
}
