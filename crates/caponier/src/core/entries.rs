//! Journal entries in words, for people and their log systems: the decision log.
//!
//! Redacted unless asked otherwise: persons appear as the pseudonyms the journal keys them by, source addresses as
//! their /24 or /48, destinations and identifiers by their first and last characters. Secrets never appear: of an API
//! key only what was changed is told.

use std::net::IpAddr;

use auth::{
    KeyChange, KeyEntry,
    oauth::{AppChange, grant_key_id},
};
use domain::{Channel, Destination, Event, WithdrawalRequest};
use fraud::{
    cases::{Action, Against, CaseEntry},
    lifecycle::ModelEntry,
};
use journal::{Entry, Kind, Opened, record};
use serde_json::{Map, Value, json};

use super::{Core, chain, models};
use crate::{
    control::Response,
    exit::{Exit, Failure},
};

/// Entries of one page.
pub(crate) const PAGE_ENTRIES_MAX: u64 = 1_000;

/// Characters left of an identifier at either end.
const ENDS: usize = 4;

/// How much is told.
#[derive(Debug, Clone, Copy)]
struct Words {
    reveal: bool,
}

impl Words {
    fn id(self, text: &str) -> String {
        let chars: Vec<char> = text.chars().collect();
        if self.reveal {
            return text.to_owned();
        }
        match (chars.get(..ENDS), chars.len().checked_sub(ENDS).and_then(|at| chars.get(at..))) {
            (Some(first), Some(last)) if chars.len() > 3 * ENDS => {
                format!("{}...{}", first.iter().collect::<String>(), last.iter().collect::<String>())
            }
            _ => "...".to_owned(),
        }
    }

    fn ip(self, ip: IpAddr) -> String {
        match ip {
            _ if self.reveal => ip.to_string(),
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                format!("{a}.{b}.{c}.0/24")
            }
            IpAddr::V6(v6) => {
                let [a, b, c, ..] = v6.segments();
                format!("{a:x}:{b:x}:{c:x}::/48")
            }
        }
    }

    /// Who was banned: an address as its network, a network as it is, a key without its name.
    fn source(self, target: &str) -> String {
        if self.reveal {
            return target.to_owned();
        }
        let net = target.rsplit(' ').next().unwrap_or_default();
        let ip = net.split('/').next().and_then(|ip| ip.parse().ok());
        let net = ip.map_or_else(|| "...".to_owned(), |ip| self.ip(ip));
        if target.starts_with("key ") { format!("key ... at {net}") } else { net }
    }

    /// A person's name, which only a revealing export has.
    fn account(self, fields: &mut Map<String, Value>, account: &domain::AccountId) {
        if self.reveal {
            fields.insert("account".to_owned(), json!(account.as_str()));
        }
    }

    fn destination(self, destination: &Destination) -> Value {
        match destination {
            Destination::Internal { .. } => {
                json!({ "type": "internal", "recipient": self.id(destination.text()) })
            }
            Destination::OnChain { network, .. } => {
                json!({ "type": "on_chain", "network": network.as_str(), "address": self.id(destination.text()) })
            }
            Destination::UnknownNetwork { .. } => {
                json!({ "type": "unknown_network", "address": self.id(destination.text()) })
            }
        }
    }

    fn request(self, fields: &mut Map<String, Value>, request: &WithdrawalRequest) {
        self.account(fields, &request.account);
        fields.insert("asset".to_owned(), json!(request.asset.as_str()));
        fields.insert("amount".to_owned(), json!(request.amount.to_string()));
        fields.insert("destination".to_owned(), self.destination(&request.destination));
        fields.insert("ip".to_owned(), json!(self.ip(request.ip)));
        if let Some(ja4) = &request.client_ja4 {
            fields.insert("client_ja4".to_owned(), json!(ja4));
        }
        let channel = match &request.channel {
            Channel::ApiKey(key) => json!({ "api_key": self.id(key.as_str()) }),
            _ => json!("exchange"),
        };
        fields.insert("channel".to_owned(), channel);
    }

    fn event(self, fields: &mut Map<String, Value>, event: &Event) {
        self.account(fields, &event.account);
        fields.insert("event".to_owned(), json!(event.kind.as_str()));
        fields.insert("occurred_at".to_owned(), json!(event.occurred_at.to_string()));
        if let Some(ip) = event.ip {
            fields.insert("ip".to_owned(), json!(self.ip(ip)));
        }
    }

    fn key_change(self, fields: &mut Map<String, Value>, change: &KeyChange) {
        fields.insert("api_key".to_owned(), json!(self.id(change.id().as_str())));
        fields.insert("change".to_owned(), json!(name_of(change)));
        match change {
            KeyChange::Restricted { restrictions, .. } => {
                let parts = restrictions.parts().into_iter();
                let parts: Map<String, Value> =
                    parts.map(|(name, text)| (name.to_owned(), json!(text))).collect();
                fields.insert("restrictions".to_owned(), json!(parts));
            }
            KeyChange::Seen { sighting, .. } => {
                fields.insert("network".to_owned(), json!(sighting.pair.origin.to_string()));
                fields.insert("suspect".to_owned(), json!(sighting.suspect));
            }
            _ => {}
        }
    }

    fn app_change(self, fields: &mut Map<String, Value>, change: &AppChange) {
        fields.insert("change".to_owned(), json!(change.as_str()));
        if let Some(grant) = change.grant() {
            fields.insert("grant".to_owned(), json!(self.id(grant_key_id(grant).as_str())));
        }
        match change {
            AppChange::Disabled { client_id, .. } => {
                fields.insert("client_id".to_owned(), json!(client_id));
            }
            AppChange::Granted(new) => {
                self.account(fields, &new.account);
                fields.insert("client_id".to_owned(), json!(new.client_id));
            }
            AppChange::Registered(app) => {
                fields.insert("client_id".to_owned(), json!(app.client_id()));
            }
            _ => {}
        }
    }
}

const fn name_of(change: &KeyChange) -> &'static str {
    match change {
        KeyChange::Created(_) => "created",
        KeyChange::Frozen { .. } => "frozen",
        KeyChange::Revoked { .. } => "revoked",
        KeyChange::Unfrozen { .. } => "unfrozen",
        KeyChange::Restricted { .. } => "restricted",
        KeyChange::Seen { .. } => "seen",
        KeyChange::Spent { .. } => "spent",
        KeyChange::Used { .. } => "used",
    }
}

fn reason(finding: &domain::Finding) -> Value {
    json!({
        "code": finding.code.as_str(), "verdict": finding.verdict.as_str(), "shadow": finding.shadow,
    })
}

/// The fields of a payload.
fn fields(words: Words, kind: Kind, payload: &[u8]) -> Result<Map<String, Value>, String> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    let said = |error: record::RecordError| error.to_string();
    match kind {
        Kind::Event => {
            words.event(&mut fields, &record::decode_event(payload).map_err(said)?);
        }
        Kind::Decision => {
            let decision = record::decode_decision(payload).map_err(said)?;
            put("verdict", json!(decision.verdict.as_str()));
            let reasons: Vec<Value> = decision.findings.iter().map(reason).collect();
            put("reasons", json!(reasons));
            words.request(&mut fields, &decision.request);
        }
        Kind::Judgement => {
            let judgement = record::decode_judgement(payload).map_err(said)?;
            put("act", json!(judgement.act.kind().as_str()));
            put("verdict", json!(judgement.verdict.as_str()));
            put("by", json!(judgement.caller));
            if let Some(leading) = judgement
                .findings
                .iter()
                .find(|finding| !finding.shadow && finding.verdict == judgement.verdict)
            {
                put("reason", json!(leading.code.as_str()));
            }
        }
        Kind::Refusals => {
            let refusals = record::Refusals::decode(payload).map_err(said)?;
            put("ip", json!(words.ip(refusals.ip)));
            put("reason", json!(refusals.reason));
            put("count", json!(refusals.count));
            put("second", json!(domain::UnixNanos::from_secs(refusals.second).to_string()));
            if let Some(account) = &refusals.account {
                words.account(&mut fields, account);
            }
        }
        Kind::ApiKey => {
            let entry = KeyEntry::decode(payload).map_err(|error| error.to_string())?;
            words.key_change(&mut fields, &entry.change);
            if let Some(by) = &entry.by {
                fields.insert("by".to_owned(), json!(by.to_string()));
            }
        }
        Kind::Oauth => {
            words.app_change(&mut fields, &AppChange::decode(payload).map_err(|error| error.to_string())?);
        }
        Kind::Identity => {
            let change = identity::Change::decode(payload).map_err(|error| error.to_string())?;
            put("change", json!(change.as_str()));
            put("about", json!(change.about()));
            if let Some(by) = change.by() {
                put("by", json!(by.to_string()));
            }
            if let Some(ip) = change.ip() {
                put("ip", json!(words.ip(ip)));
            }
            if let identity::Change::EnteredByLink { roles, account, .. } = &change {
                let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
                put("roles", json!(roles.join(", ")));
                if let Some(account) = account {
                    words.account(&mut fields, account);
                }
            }
        }
        Kind::ChangeRequest => {
            let entry = identity::requests::Entry::decode(payload).map_err(|error| error.to_string())?;
            put("what", json!(entry.as_str()));
            if let Some(by) = entry.by() {
                put("by", json!(by.to_string()));
            }
            if let Some(request) = entry.request() {
                put("request", json!(format!("chg-{request}")));
            }
            use identity::requests::Entry as Asked;
            match entry {
                Asked::Opened(opened) => {
                    put("change", json!(opened.kind));
                    put("summary", json!(opened.summary));
                    put("digest", json!(hex::encode(opened.digest())));
                    put("reason", json!(opened.reason));
                    put("until", json!(opened.expires_at.to_string()));
                }
                Asked::Approved { digest, .. } => put("digest", json!(hex::encode(digest))),
                Asked::Declined { reason, .. } => put("reason", json!(reason)),
                Asked::Executed { outcome, .. } => put("outcome", json!(outcome)),
                Asked::Failed { why, .. } => put("reason", json!(why)),
                Asked::Withdrawn { .. } => {}
            }
        }
        Kind::ListImported => {
            let list = record::ListImported::decode(payload).map_err(said)?;
            put("list", json!(list.name));
            put("format", json!(list.format));
            put("labels", json!(list.entries));
            put("sha256", json!(hex::encode(list.sha256)));
        }
        Kind::Suspicion => {
            let suspicion = record::Suspicion::decode(payload).map_err(said)?;
            fields.extend(crate::suspicions::entry_words(suspicion, |address| words.id(address)));
        }
        Kind::ListRemoved => {
            let removed = record::ListRemoved::decode(payload).map_err(said)?;
            put("list", json!(removed.name));
            put("reason", json!(removed.reason));
        }
        Kind::KekRotated => {
            let rotated = record::KekRotated::decode(payload).map_err(said)?;
            put("from", json!(rotated.from));
            put("to", json!(rotated.to));
        }
        Kind::BackupDrill => {
            let drill = record::BackupDrill::decode(payload).map_err(said)?;
            put("ok", json!(drill.ok));
            put("took_ms", json!(drill.took_ms));
            put("detail", json!(drill.detail));
        }
        Kind::Lifecycle => {
            let lifecycle = record::Lifecycle::decode(payload).map_err(said)?;
            put("what", json!(lifecycle.what.as_str()));
            put("version", json!(lifecycle.version));
            put("detail", json!(lifecycle.detail));
        }
        Kind::Ban => {
            let ban = record::Ban::decode(payload).map_err(said)?;
            put("what", json!(ban.what.as_str()));
            put("target", json!(words.source(&ban.target)));
            put("reason", json!(ban.reason));
            put("evidence", json!(ban.evidence.into_iter().collect::<std::collections::BTreeMap<_, _>>()));
            put("score", json!(ban.score));
            put("until", json!(ban.until.to_string()));
            put("strikes", json!(ban.strikes));
            if let Some(by) = &ban.by {
                put("by", json!(by.to_string()));
            }
        }
        Kind::ChainAlert => {
            let alert = record::ChainAlert::decode(payload).map_err(said)?;
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            for (name, value) in [
                ("id", Some(alert.id)),
                ("state", Some(alert.state)),
                ("chain", Some(alert.chain)),
                ("block", Some(hex(&alert.block))),
                ("transaction", Some(hex(&alert.transaction))),
                ("alert", Some(alert.kind)),
                ("direction", Some(alert.direction)),
                ("asset", alert.asset),
                ("value", Some(alert.value)),
                ("category", alert.category),
                ("verdict", Some(alert.verdict.as_str().to_owned())),
                ("subject", alert.subject.map(|address| words.id(&address))),
                ("counterparty", alert.counterparty.map(|address| words.id(&address))),
            ] {
                put(name, json!(value));
            }
            put("height", json!(alert.height));
            put("asset_known", json!(alert.asset_known));
        }
        Kind::FraudAlert => {
            let alert = record::decode_fraud_alert(payload).map_err(said)?;
            put("id", json!(alert.id));
            put("entry", json!(alert.entry));
            put("what", json!(alert.kind));
            put("score", json!(alert.score.map(domain::Ppm::probability)));
            put("value", json!(alert.value.map(|value| value.to_string())));
            put("expected_loss", json!(alert.expected_loss.map(|loss| loss.to_string())));
            let reasons = alert.findings.iter().map(reason).collect::<Vec<Value>>();
            put("reasons", json!(reasons));
            match &alert.entity {
                domain::AlertEntity::Account(account) => words.account(&mut fields, account),
                domain::AlertEntity::Network(network) => put("network", json!(network)),
            }
        }
        Kind::Screening => match record::Screening::decode(payload).map_err(said)? {
            record::Screening::Screened(screened) => {
                put("what", json!("screened"));
                put("id", json!(screened.id));
                put("caller", json!(screened.caller));
                put("addresses", json!(screened.addresses));
                put("lists", json!(hex::encode(screened.lists)));
                let found = screened.found.iter().map(|found| {
                    json!({
                        "address": words.id(&found.address),
                        "network": found.network,
                        "verdict": found.verdict.as_str(),
                        "categories": found.categories,
                        "exposed": found.exposed,
                    })
                });
                put("found", found.collect());
            }
            record::Screening::Rescreened(done) => {
                put("what", json!("rescreened"));
                put("lists", json!(hex::encode(done.lists)));
                put("transfers", json!(done.transfers));
                put("answers", json!(done.answers));
                put("chain_alerts", json!(done.chain_alerts));
                put("addresses", json!(done.addresses));
                put("raised", json!(done.raised));
                put("retracted", json!(done.retracted));
            }
            record::Screening::Exposure(alert) => {
                put("what", json!(if alert.category.is_some() { "exposed" } else { "no longer exposed" }));
                put("entry", json!(alert.entry));
                put("way", json!(alert.way));
                put("address", json!(words.id(&alert.address)));
                put("category", json!(alert.category));
                put("verdict", json!(alert.verdict.as_str()));
                put("chain", json!(alert.chain));
                put("share", json!(f64::from(alert.share) / 1e6));
                put("hops", json!(alert.hops));
                put("listed", json!(alert.listed.map(|listed| words.id(&listed))));
                put("lists", json!(hex::encode(alert.lists)));
            }
            record::Screening::Exposures(judged) => {
                put("what", json!("exposures judged"));
                put("lists", json!(hex::encode(judged.lists)));
                put("addresses", json!(judged.addresses));
                put("raised", json!(judged.raised));
                put("retracted", json!(judged.retracted));
            }
            record::Screening::Alert(alert) => {
                put("what", json!(if alert.category.is_some() { "raised" } else { "retracted" }));
                put("entry", json!(alert.entry));
                put("way", json!(alert.way));
                put("address", json!(words.id(&alert.address)));
                put("category", json!(alert.category));
                put("verdict", json!(alert.verdict.as_str()));
                put("lists", json!(hex::encode(alert.lists)));
            }
        },
        Kind::FraudBundle => {
            let bundle = record::FraudBundle::decode(payload).map_err(said)?;
            put("place", json!(bundle.place));
            put("name", json!(bundle.name));
            put("version", json!(bundle.version));
            put("sha256", json!(hex::encode(bundle.sha256)));
            put("enforced", json!(bundle.enforced));
            put("reason", json!(bundle.reason));
        }
        Kind::Case => {
            let entry = CaseEntry::decode(payload).map_err(|error| error.to_string())?;
            put("what", json!(entry.as_str()));
            if let CaseEntry::Appealed(appealed) = &entry {
                put("by", json!(appealed.by.to_string()));
                match &appealed.against {
                    // A key's name leads to its customer.
                    Against::Ban(target) => put("ban", json!(words.reveal.then_some(target))),
                    Against::Decision(decision) => put("decision", json!(decision)),
                }
                if words.reveal {
                    put("text", json!(appealed.text));
                }
            }
            if let CaseEntry::Action(done) = entry {
                put("case", json!(format!("case-{}", done.case)));
                put("by", json!(done.actor.to_string()));
                let decision = match &done.action {
                    Action::Approve { decision, .. }
                    | Action::Decline { decision, .. }
                    | Action::Propose { decision, .. } => Some(decision),
                    _ => None,
                };
                if let Some(decision) = decision {
                    put("decision", json!(decision));
                }
                if let Action::Resolve { disposition, .. } = &done.action {
                    put("disposition", json!(disposition.as_str()));
                }
                if let Action::Answer { appeal, outcome, .. } = &done.action {
                    put("appeal", json!(format!("appeal-{appeal}")));
                    put("outcome", json!(outcome.as_str()));
                }
                // What people write about a person is about that person.
                if let (true, Some(text)) = (words.reveal, done.action.text()) {
                    put("text", json!(text));
                }
            }
        }
        Kind::Model => {
            let entry = ModelEntry::decode(payload).map_err(|error| error.to_string())?;
            put("what", json!(entry.as_str()));
            put("by", json!(entry.actor().to_string()));
            match entry {
                ModelEntry::Compared(compared) => {
                    put("champion", json!(hex::encode(compared.champion)));
                    put("challenger", json!(hex::encode(compared.challenger)));
                    put("average_precision", models::interval_json(&compared.average_precision));
                }
                ModelEntry::Drifted(drifted) => put("shift", crate::drift::drifted_json(&drifted)),
                ModelEntry::Promoted(promoted) => {
                    put("model", json!(hex::encode(promoted.digest)));
                    put("replaces", json!(promoted.replaces.map(hex::encode)));
                    put("forced", json!(promoted.forced));
                }
                ModelEntry::Registered(registered) => {
                    put("model", json!(hex::encode(registered.digest)));
                    put("name", json!(registered.name));
                    put("version", json!(registered.version));
                }
                ModelEntry::RolledBack(back) => {
                    put("from", json!(hex::encode(back.from)));
                    put("to", json!(hex::encode(back.to)));
                    put("reason", json!(back.reason));
                }
            }
        }
        Kind::Emergency => emergency(words, &mut put, &record::Emergency::decode(payload).map_err(said)?),
        Kind::Webhook => {
            let entry = webhook::Entry::decode(payload).map_err(|error| error.to_string())?;
            webhooks(&mut put, &entry);
        }
        // The envelope says all there is to say.
        _ => {}
    }
    Ok(fields)
}

/// What was stopped or let go on. What is about one account is about that person.
fn emergency(words: Words, put: &mut dyn FnMut(&str, Value), entry: &record::Emergency) {
    use record::Emergency;

    put("what", json!(entry.as_str()));
    let scope = |scope: &str| match scope.strip_prefix("account:") {
        Some(account) => format!("account:{}", words.id(account)),
        None => scope.to_owned(),
    };
    let about_person = |scope: &str| scope.starts_with("account:") && !words.reveal;
    let reason = |about: bool, reason: &str| if about { json!("...") } else { json!(reason) };
    match entry {
        Emergency::AlarmEnded { by, reason } => {
            put("by", json!(by.to_string()));
            put("reason", json!(reason));
        }
        Emergency::AlarmRaised { until, by, reason } => {
            put("until", json!(until.to_string()));
            put("by", json!(by.to_string()));
            put("reason", json!(reason));
        }
        Emergency::Frozen { scope: of, by, reason: why } => {
            put("scope", json!(scope(of)));
            put("by", json!(by.to_string()));
            put("reason", reason(about_person(of), why));
        }
        Emergency::UnfreezeDeclined { scope: of, proposal, by, reason: why } => {
            put("scope", json!(scope(of)));
            put("proposal", json!(proposal));
            put("by", json!(by.to_string()));
            put("reason", reason(about_person(of), why));
        }
        Emergency::UnfreezeProposed { scope: of, until, by, reason: why } => {
            put("scope", json!(scope(of)));
            put("until", json!(until.to_string()));
            put("by", json!(by.to_string()));
            put("reason", reason(about_person(of), why));
        }
        Emergency::Unfrozen { scope: of, proposal, proposed_by, approved_by } => {
            put("scope", json!(scope(of)));
            put("proposal", json!(proposal));
            put("proposed_by", json!(proposed_by.to_string()));
            put("approved_by", json!(approved_by.to_string()));
        }
    }
}

/// What was done about endpoints. Keys stay where they are.
fn webhooks(put: &mut dyn FnMut(&str, Value), entry: &webhook::Entry) {
    use webhook::Entry as Done;

    put("what", json!(entry.as_str()));
    if let Some(by) = entry.by() {
        put("by", json!(by.to_string()));
    }
    match entry {
        Done::Acknowledged(positions) => {
            let positions: Map<String, Value> =
                positions.iter().map(|(name, position)| (name.to_string(), json!(position))).collect();
            put("positions", Value::Object(positions));
        }
        Done::Added { name, settings, key, .. } => {
            put("endpoint", json!(name.as_str()));
            webhook_settings(put, settings);
            put("scheme", json!(key.scheme().as_str()));
        }
        Done::Changed { name, settings, enabled, skip, .. } => {
            put("endpoint", json!(name.as_str()));
            webhook_settings(put, settings);
            put("enabled", json!(enabled));
            put("skip", json!(skip));
        }
        Done::DeadLettered { name, message, tries, why } => {
            put("endpoint", json!(name.as_str()));
            put("entry", json!(message.position));
            put("type", json!(message.event_type.as_str()));
            put("tries", json!(tries));
            put("why", json!(why));
        }
        Done::Disabled { name, why } => {
            put("endpoint", json!(name.as_str()));
            put("why", json!(why.as_str()));
        }
        Done::Removed { name, .. } => put("endpoint", json!(name.as_str())),
        Done::Rotated { name, key, until, .. } => {
            put("endpoint", json!(name.as_str()));
            put("scheme", json!(key.scheme().as_str()));
            put("until", json!(until.to_string()));
        }
        Done::Settled { name, message, how, .. } => {
            put("endpoint", json!(name.as_str()));
            put("entry", json!(message.position));
            put("type", json!(message.event_type.as_str()));
            put("how", json!(how.as_str()));
        }
    }
}

fn webhook_settings(put: &mut dyn FnMut(&str, Value), settings: &webhook::Settings) {
    put("url", json!(settings.target.as_str()));
    put("events", json!(settings.events.names().collect::<Vec<_>>()));
    put("accounts", json!(settings.accounts));
}

impl Core {
    /// A page of entries in words, from a position on.
    ///
    /// # Errors
    /// [`Failure`] when the journal cannot be read, or an entry is not what its kind says.
    pub(crate) fn entries(
        &self,
        from: u64,
        kinds: &[String],
        entries_max: u64,
        reveal: bool,
    ) -> Result<Response, Failure> {
        let wanted: Vec<Kind> = kinds
            .iter()
            .map(|name| {
                Kind::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
                    let known = Kind::ALL.map(Kind::as_str).join(", ");
                    Failure::new(Exit::Usage, format!("{name:?} is no kind of entry; there are {known}"))
                })
            })
            .collect::<Result<_, _>>()?;
        let journal = self.ground.journal();
        let until = from.saturating_add(entries_max.min(PAGE_ENTRIES_MAX)).min(journal.size());
        let mut told = Vec::new();
        for seq in from..until {
            let entry = journal.entry(seq).map_err(|error| Failure::new(Exit::Io, chain(&error)))?;
            let Some(entry) = entry else { break };
            if wanted.is_empty() || wanted.contains(&entry.kind) {
                told.push(self.entry_in_words(&entry, Words { reveal })?);
            }
        }
        Ok(Response::Entries { next: until.max(from), entries: told })
    }

    /// One entry in words, with the names of persons.
    ///
    /// # Errors
    /// As [`Core::entries`].
    pub(crate) fn entry_revealed(&self, seq: u64) -> Result<Option<Value>, Failure> {
        let entry =
            self.ground.journal().entry(seq).map_err(|error| Failure::new(Exit::Io, chain(&error)))?;
        entry.map(|entry| self.entry_in_words(&entry, Words { reveal: true })).transpose()
    }

    fn entry_in_words(&self, entry: &Entry, words: Words) -> Result<Value, Failure> {
        let mut told = Map::new();
        told.insert("seq".to_owned(), json!(entry.seq));
        told.insert("at".to_owned(), json!(entry.at.to_string()));
        told.insert("kind".to_owned(), json!(entry.kind.as_str()));
        told.insert("subject".to_owned(), json!(hex::encode(entry.pseudonym.0)));
        let opened = self
            .ground
            .journal()
            .open_payload(entry)
            .map_err(|error| Failure::new(Exit::Io, chain(&error)))?;
        match opened {
            Opened::Erased => drop(told.insert("erased".to_owned(), json!(true))),
            Opened::Payload(payload) => {
                let more = fields(words, entry.kind, &payload)
                    .map_err(|error| Failure::new(Exit::Io, format!("entry {}: {error}", entry.seq)))?;
                if matches!(entry.kind, Kind::Decision | Kind::Judgement) {
                    let id = self.decider.ids().id(entry.seq);
                    told.insert("id".to_owned(), json!(id.as_str()));
                }
                told.extend(more);
            }
        }
        Ok(Value::Object(told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redaction_leaves_the_ends_and_the_network() {
        let (hidden, shown) = (Words { reveal: false }, Words { reveal: true });
        assert_eq!(hidden.id("T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb"), "T9yD...uWwb");
        assert_eq!(hidden.id("short"), "...");
        assert_eq!(hidden.id("\u{e4}bcdefghijkl"), "...");
        assert_eq!(hidden.source("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(hidden.source("2001:db8:1:2::/64"), "2001:db8:1::/48");
        assert_eq!(hidden.source("key \"k 1\" at 192.0.2.77"), "key ... at 192.0.2.0/24");
        assert_eq!(hidden.ip("192.0.2.77".parse().unwrap()), "192.0.2.0/24");
        assert_eq!(hidden.ip("2001:db8:1:2::3".parse().unwrap()), "2001:db8:1::/48");
        assert_eq!(shown.id("T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb"), "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb");
        assert_eq!(shown.ip("192.0.2.77".parse().unwrap()), "192.0.2.77");
    }
}
