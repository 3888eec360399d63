//! What an entry of the journal is told as: little, and nothing about a person unless the endpoint may know accounts.
//!
//! A message names what happened and where to look; whoever wants more asks the control API under its own permission. The
//! bytes follow from the entry alone, so that every try, also after a restart, sends the same.

use decide::DecisionIds;
use domain::{AlertEntity, UnixNanos, Verdict};
use fraud::{
    cases::{Action, Against, CaseEntry},
    lifecycle::ModelEntry,
};
use identity::requests;
use journal::{Entry, Kind, Opened, record};
use serde_json::{Map, Value, json};
use webhook::{Endpoint, EventType, Events, MessageKey};

use crate::ground::Ground;

/// Entries looked at in one go.
const SCAN_MAX: u64 = 4_096;

/// A message: which, and its bytes.
pub(super) type Message = (MessageKey, Vec<u8>);

/// What is needed to tell of entries.
#[derive(Debug)]
pub(super) struct Teller<'a> {
    pub(super) ground: &'a Ground,
    pub(super) ids: &'a DecisionIds,
}

/// The types an entry of a kind may be told as.
const fn types_of(kind: Kind) -> &'static [EventType] {
    use EventType as E;
    match kind {
        Kind::BackupDrill => &[E::BackupDrillFailed],
        Kind::Case => &[
            E::AppealAnswered,
            E::AppealOpened,
            E::CaseApproved,
            E::CaseAssigned,
            E::CaseDeclined,
            E::CaseOpened,
            E::CaseProposed,
            E::CaseResolved,
        ],
        Kind::ChainAlert => &[E::AlertChain, E::AlertChainRetracted, E::CaseOpened],
        Kind::ChangeRequest => &[
            E::ChangeApproved,
            E::ChangeDeclined,
            E::ChangeExecuted,
            E::ChangeFailed,
            E::ChangeOpened,
            E::ChangeWithdrawn,
        ],
        Kind::Decision => {
            &[E::CaseOpened, E::DecisionAllowed, E::DecisionChallenged, E::DecisionDenied, E::DecisionHeld]
        }
        Kind::Emergency => &[
            E::AlarmEnded,
            E::AlarmRaised,
            E::FreezeFrozen,
            E::FreezeUnfreezeDeclined,
            E::FreezeUnfreezeProposed,
            E::FreezeUnfrozen,
        ],
        Kind::FraudAlert => &[E::AlertFraud, E::CaseOpened],
        Kind::Judgement => &[E::JudgementRaised],
        Kind::ListImported => &[E::ListImported],
        Kind::ListRemoved => &[E::ListRemoved],
        Kind::Model => &[E::ModelDrifted],
        Kind::Screening => &[E::AlertScreening, E::CaseOpened],
        Kind::Suspicion => &[E::SuspicionRaised, E::SuspicionWithdrawn],
        // The rest is not told: events come from the exchange itself, and what is done about endpoints would never end.
        _ => &[],
    }
}

fn may_tell(kind: Kind, events: &Events) -> bool {
    types_of(kind).iter().any(|one| events.contains(*one))
}

/// The bytes of a message.
fn body(event_type: EventType, at: UnixNanos, data: Map<String, Value>) -> Vec<u8> {
    json!({ "type": event_type.as_str(), "timestamp": at.to_string(), "data": data }).to_string().into_bytes()
}

/// The bytes of a message that only says that messages arrive.
pub(super) fn test_body(at: UnixNanos) -> Vec<u8> {
    json!({ "type": "webhook.test", "timestamp": at.to_string(), "data": {} }).to_string().into_bytes()
}

struct Data(Map<String, Value>);

impl Data {
    fn of(entry: u64) -> Self {
        Self(Map::from_iter([("entry".to_owned(), json!(entry))]))
    }

    fn put(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// What is said of a person, to those who may know.
    fn about(self, may_know: bool, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) if may_know => self.put(name, value),
            _ => self,
        }
    }
}

fn reasons(findings: &[domain::Finding]) -> Value {
    findings.iter().filter(|finding| !finding.shadow).map(|finding| finding.code.as_str()).collect()
}

fn entity(entity: &AlertEntity) -> Option<&str> {
    match entity {
        AlertEntity::Account(account) => Some(account.as_str()),
        _ => None,
    }
}

impl Teller<'_> {
    /// What an endpoint is to be told from a position on: at most `room` messages, and how far was looked.
    ///
    /// # Errors
    /// In words, when the journal cannot be read.
    pub(super) fn gather(
        &self,
        endpoint: &Endpoint,
        from: u64,
        room: usize,
    ) -> Result<(Vec<Message>, u64), String> {
        // Cases are known as far as the fold has come.
        let until = self.ground.read(|fold| fold.applied()).min(from.saturating_add(SCAN_MAX));
        let mut reader = self.ground.journal().reader(from);
        let (mut found, mut read) = (Vec::new(), from);
        while read < until {
            let Some(entry) = reader.next_ref() else { break };
            let entry = entry.map_err(|error| error.to_string())?;
            if may_tell(entry.kind, &endpoint.settings.events) {
                let told = self.tell(&entry.to_entry(), endpoint)?;
                // An entry is told as two messages at most.
                if found.len() + told.len() > room {
                    break;
                }
                found.extend(told);
            }
            read += 1;
        }
        Ok((found, read))
    }

    /// One message again; `None` when there is nothing to tell any more.
    ///
    /// # Errors
    /// As [`Teller::gather`].
    pub(super) fn again(&self, endpoint: &Endpoint, key: MessageKey) -> Result<Option<Vec<u8>>, String> {
        let entry = self.ground.journal().entry(key.position).map_err(|error| error.to_string())?;
        let Some(entry) = entry else { return Ok(None) };
        let told = self.told(&entry, endpoint.settings.accounts)?;
        Ok(told.into_iter().find(|(event_type, _)| *event_type == key.event_type).map(|(_, body)| body))
    }

    fn tell(&self, entry: &Entry, endpoint: &Endpoint) -> Result<Vec<Message>, String> {
        let told = self.told(entry, endpoint.settings.accounts)?.into_iter();
        let keyed = told.map(|(event_type, body)| (MessageKey { position: entry.seq, event_type }, body));
        Ok(keyed.filter(|(key, _)| endpoint.wants(key.position, key.event_type)).collect())
    }

    /// Everything an entry is told as.
    fn told(&self, entry: &Entry, accounts: bool) -> Result<Vec<(EventType, Vec<u8>)>, String> {
        if types_of(entry.kind).is_empty() {
            return Ok(Vec::new());
        }
        let opened = self.ground.journal().open_payload(entry).map_err(|error| error.to_string())?;
        // Of a person who was erased nothing is told.
        let Opened::Payload(payload) = opened else { return Ok(Vec::new()) };
        let malformed = |why: String| format!("entry {}: {why}", entry.seq);
        let mut told = Vec::new();
        if let Some((event_type, data)) = self.happened(entry, &payload, accounts).map_err(malformed)? {
            told.push((event_type, body(event_type, entry.at, data.0)));
        }
        if types_of(entry.kind).contains(&EventType::CaseOpened)
            && let Some(data) = self.opened(entry.seq, accounts)
        {
            told.push((EventType::CaseOpened, body(EventType::CaseOpened, entry.at, data.0)));
        }
        Ok(told)
    }

    /// The case an entry opened, without what joined it later.
    fn opened(&self, position: u64, accounts: bool) -> Option<Data> {
        self.ground.read(|fold| {
            let case = fold.cases().case(position)?;
            let about = match &case.entity {
                fraud::cases::Entity::Account(account) => Some(account.as_str().to_owned()),
                _ => None,
            };
            let data = Data::of(position).put("case", format!("case-{position}"));
            Some(data.about(accounts, "account", about))
        })
    }

    fn happened(
        &self,
        entry: &Entry,
        payload: &[u8],
        accounts: bool,
    ) -> Result<Option<(EventType, Data)>, String> {
        use EventType as E;

        let data = Data::of(entry.seq);
        let said = |error: record::RecordError| error.to_string();
        Ok(match entry.kind {
            Kind::BackupDrill => {
                let drill = record::BackupDrill::decode(payload).map_err(said)?;
                (!drill.ok).then(|| (E::BackupDrillFailed, data.put("took_ms", drill.took_ms)))
            }
            Kind::Case => match CaseEntry::decode(payload).map_err(|error| error.to_string())? {
                CaseEntry::Action(done) => self.case(entry.seq, &done, accounts),
                // What a customer says is for the people of the case.
                CaseEntry::Appealed(appealed) => {
                    let data = data
                        .put("appeal", format!("appeal-{}", entry.seq))
                        .put("against", appealed.against.as_str())
                        .about(accounts, "account", Some(appealed.account.as_str()));
                    let data = match &appealed.against {
                        Against::Decision(position) => data.put("decision", self.ids.id(*position).as_str()),
                        // A ban is named by a network address.
                        Against::Ban(_) => data,
                    };
                    Some((E::AppealOpened, data))
                }
                CaseEntry::Policy(_) => None,
            },
            Kind::ChainAlert => {
                let alert = record::ChainAlert::decode(payload).map_err(said)?;
                let event_type =
                    if alert.state == "retracted" { E::AlertChainRetracted } else { E::AlertChain };
                let data = data
                    .put("alert", alert.id)
                    .put("state", alert.state)
                    .put("chain", alert.chain)
                    .put("kind", alert.kind)
                    .put("category", alert.category)
                    .put("verdict", alert.verdict.as_str());
                Some((event_type, data))
            }
            Kind::ChangeRequest => {
                let change = requests::Entry::decode(payload).map_err(|error| error.to_string())?;
                let number = change.request().unwrap_or(entry.seq);
                let data = data.put("request", number);
                Some(match change {
                    requests::Entry::Approved { .. } => (E::ChangeApproved, data),
                    requests::Entry::Declined { .. } => (E::ChangeDeclined, data),
                    requests::Entry::Executed { .. } => (E::ChangeExecuted, data),
                    requests::Entry::Failed { .. } => (E::ChangeFailed, data),
                    requests::Entry::Opened(opened) => (E::ChangeOpened, data.put("kind", opened.kind)),
                    requests::Entry::Withdrawn { .. } => (E::ChangeWithdrawn, data),
                })
            }
            Kind::Decision => {
                let decision = record::decode_decision(payload).map_err(said)?;
                let event_type = match decision.verdict {
                    Verdict::Allow => E::DecisionAllowed,
                    Verdict::Challenge => E::DecisionChallenged,
                    Verdict::Deny => E::DecisionDenied,
                    Verdict::Hold => E::DecisionHeld,
                };
                let data = data
                    .put("decision", self.ids.id(entry.seq).as_str())
                    .put("kind", "withdrawal")
                    .put("verdict", decision.verdict.as_str())
                    .put("reasons", reasons(&decision.findings))
                    .about(accounts, "account", Some(decision.request.account.as_str()));
                Some((event_type, data))
            }
            Kind::Emergency => {
                let emergency = record::Emergency::decode(payload).map_err(said)?;
                Some(stopped(data, &emergency, accounts))
            }
            Kind::FraudAlert => {
                let alert = record::decode_fraud_alert(payload).map_err(said)?;
                let severity = alert.severity();
                let data = data
                    .put("alert", alert.id.as_str())
                    .put("kind", alert.kind.as_str())
                    .put("severity", severity.as_str())
                    .put("reasons", reasons(&alert.findings))
                    .about(accounts, "account", entity(&alert.entity));
                Some((E::AlertFraud, data))
            }
            Kind::Judgement => {
                let judgement = record::decode_judgement(payload).map_err(said)?;
                (judgement.verdict != Verdict::Allow).then(|| {
                    let account = judgement.act.account().map(|account| account.as_str().to_owned());
                    let data = data
                        .put("decision", self.ids.id(entry.seq).as_str())
                        .put("kind", judgement.act.kind().as_str())
                        .put("verdict", judgement.verdict.as_str())
                        .put("reasons", reasons(&judgement.findings))
                        .about(accounts, "account", account);
                    (E::JudgementRaised, data)
                })
            }
            Kind::ListImported => {
                let list = record::ListImported::decode(payload).map_err(said)?;
                Some((E::ListImported, data.put("list", list.name).put("entries", list.entries)))
            }
            Kind::ListRemoved => {
                let list = record::ListRemoved::decode(payload).map_err(said)?;
                Some((E::ListRemoved, data.put("list", list.name)))
            }
            Kind::Model => match ModelEntry::decode(payload).map_err(|error| error.to_string())? {
                ModelEntry::Drifted(drifted) => {
                    let data = data
                        .put("bundle_sha256", hex::encode(drifted.bundle))
                        .put("subject", drifted.subject)
                        .put("records", drifted.records);
                    Some((E::ModelDrifted, data))
                }
                _ => None,
            },
            Kind::Screening => screened(data, record::Screening::decode(payload).map_err(said)?),
            Kind::Suspicion => suspected(data, record::Suspicion::decode(payload).map_err(said)?, accounts),
            _ => None,
        })
    }

    fn case(
        &self,
        position: u64,
        done: &fraud::cases::CaseAction,
        accounts: bool,
    ) -> Option<(EventType, Data)> {
        use EventType as E;

        let data = Data::of(position).put("case", format!("case-{}", done.case));
        let of = |data: Data, decision: u64| data.put("decision", self.ids.id(decision).as_str());
        Some(match &done.action {
            Action::Approve { decision, .. } => (E::CaseApproved, of(data, *decision)),
            Action::Assign { to } => {
                // Who works here is nobody else's business.
                let data = data.put("is_assigned", to.is_some());
                (E::CaseAssigned, data.about(accounts, "to", to.clone()))
            }
            Action::Decline { decision, .. } => (E::CaseDeclined, of(data, *decision)),
            Action::Answer { appeal, outcome, .. } => {
                let data = data.put("appeal", format!("appeal-{appeal}"));
                (E::AppealAnswered, data.put("outcome", outcome.as_str()))
            }
            Action::Note { .. } => return None,
            Action::Propose { decision, .. } => (E::CaseProposed, of(data, *decision)),
            Action::Resolve { disposition, .. } => {
                (E::CaseResolved, data.put("disposition", disposition.as_str()))
            }
        })
    }
}

/// A scope without the account, for those who may not know it.
fn scope(of: &str, accounts: bool) -> &str {
    match of.split_once(':') {
        Some(("account", _)) if !accounts => "account",
        _ => of,
    }
}

fn stopped(data: Data, entry: &record::Emergency, accounts: bool) -> (EventType, Data) {
    use record::Emergency as Stop;

    match entry {
        Stop::AlarmEnded { .. } => (EventType::AlarmEnded, data),
        Stop::AlarmRaised { until, .. } => (EventType::AlarmRaised, data.put("until", until.to_string())),
        Stop::Frozen { scope: of, .. } => (EventType::FreezeFrozen, data.put("scope", scope(of, accounts))),
        Stop::UnfreezeDeclined { scope: of, proposal, .. } => (
            EventType::FreezeUnfreezeDeclined,
            data.put("scope", scope(of, accounts)).put("proposal", *proposal),
        ),
        Stop::UnfreezeProposed { scope: of, until, .. } => (
            EventType::FreezeUnfreezeProposed,
            data.put("scope", scope(of, accounts)).put("until", until.to_string()),
        ),
        Stop::Unfrozen { scope: of, proposal, .. } => {
            (EventType::FreezeUnfrozen, data.put("scope", scope(of, accounts)).put("proposal", *proposal))
        }
    }
}

/// An alert about a past transfer, named by the entry of the transfer.
fn screened(data: Data, screening: record::Screening) -> Option<(EventType, Data)> {
    let (of, way, category, verdict) = match screening {
        record::Screening::Alert(alert) => (alert.entry, alert.way, alert.category, alert.verdict),
        record::Screening::Exposure(alert) => (alert.entry, alert.way, alert.category, alert.verdict),
        _ => return None,
    };
    let data = data
        .put("transfer", of)
        .put("way", way)
        .put("is_retracted", category.is_none())
        .put("category", category)
        .put("verdict", verdict.as_str());
    Some((EventType::AlertScreening, data))
}

fn suspected(data: Data, suspicion: record::Suspicion, accounts: bool) -> Option<(EventType, Data)> {
    match suspicion {
        record::Suspicion::Model(_) => None,
        record::Suspicion::Raised(raised) => {
            let data = data
                .put("chain", raised.chain)
                .put("probability", f64::from(raised.probability) / 1e6)
                .about(accounts, "address", Some(raised.address));
            Some((EventType::SuspicionRaised, data))
        }
        record::Suspicion::Withdrawn(withdrawn) => {
            let data = data.put("chain", withdrawn.chain).put("why", withdrawn.why);
            Some((EventType::SuspicionWithdrawn, data.about(accounts, "address", Some(withdrawn.address))))
        }
    }
}
