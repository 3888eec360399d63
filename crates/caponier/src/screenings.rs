//! Screenings for the API and the command line, journalled; and past transfers scored again when a list changes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use ::chain::label::Category;
use api::{ScreenAnswer, ScreenError, ScreenLine, ScreenRequest};
use domain::{AccountId, Address, Clock, Network, Ppm, Subject, UnixNanos, Verdict};
use journal::{Draft, Kind, Opened, record};
use parking_lot::Mutex;
use watch::{
    assess::{Assessment, Assessor, Exposed},
    rescreen::{Answered, ExposureNews, News, SeenAlert, Way},
    suspicions::Held,
};

use crate::{
    control::Rescreened,
    core::{Core, chain},
    exit::{Exit, Failure},
    ground::{Ground, RecordError, fold::category},
    lists::ListGaps,
};

/// Screenings with an idempotency key that are remembered; the oldest are forgotten first.
pub(crate) const KEYED_SCREENINGS_MAX: usize = 10_000;
/// Longest answer kept with its key. A longer one is worked out anew when the key comes again.
const ANSWER_BYTES_MAX: usize = 24 * 1024;
/// Addresses named in one entry of the journal.
const FOUND_PER_ENTRY: usize = 128;
/// Longest address in an entry; callers may send nonsense.
const ADDRESS_BYTES_MAX: usize = 128;
/// Alerts made durable at once.
const ALERTS_AT_ONCE: usize = 256;
/// Addresses whose exposure is judged in one go; some milliseconds each at worst.
const EXPOSURES_AT_ONCE: usize = 500;
/// Who asked, where nobody is named.
const COMMAND_LINE: &str = "command line";
/// Alerts of one re-screening that are logged one by one.
const LOGGED_MAX: usize = 10;

/// What was answered under a key.
#[derive(Debug, Clone)]
struct Kept {
    request: [u8; 32],
    /// The line as answered, its verdict and the lists; `None` if it was too long to keep.
    answer: Option<Arc<ScreenAnswer>>,
}

/// What was screened with a key, and how far past transfers were scored.
#[derive(Debug, Default)]
pub(crate) struct Screenings {
    keyed: Mutex<Keyed>,
    /// Entries below this were scored against the lists in force.
    scored_to: AtomicU64,
    /// Addresses of past transfers whose exposure is to be judged.
    exposures: Mutex<Exposures>,
    /// One re-screening at a time, or an alert could be raised twice.
    scoring: tokio::sync::Mutex<()>,
    /// Whether labels were looked up since the start.
    relabelled: AtomicBool,
}

/// What is left of judging exposures again.
#[derive(Debug, Default)]
struct Exposures {
    left: BTreeSet<Address>,
    /// Whether the journal is to be told when nothing is left.
    is_told: bool,
    judged: u64,
    raised: u64,
    retracted: u64,
}

#[derive(Debug, Default)]
struct Keyed {
    by_key: HashMap<(String, String), Kept>,
    oldest_first: VecDeque<(String, String)>,
}

impl Keyed {
    fn keep(&mut self, key: (String, String), kept: Kept) {
        if self.by_key.insert(key.clone(), kept).is_some() {
            return;
        }
        self.oldest_first.push_back(key);
        if self.oldest_first.len() > KEYED_SCREENINGS_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.by_key.remove(&oldest);
        }
    }
}

impl Screenings {
    /// With those the journal holds, oldest first.
    #[must_use]
    pub(crate) fn new(found: VecDeque<record::Screened>) -> Self {
        let screenings = Self::default();
        for screened in found {
            let Some(key) = screened.idempotency_key else { continue };
            let answer = screened.answer.as_deref().and_then(answer_of).map(Arc::new);
            let kept = Kept { request: screened.request, answer };
            screenings.keyed.lock().keep((screened.caller, key), kept);
        }
        screenings
    }
}

/// The answer of a stored text.
fn answer_of(text: &str) -> Option<ScreenAnswer> {
    let mut line: serde_json::Value = serde_json::from_str(text).ok()?;
    let fields = line.as_object_mut()?;
    let id = fields.remove("id")?.as_str()?.to_owned();
    let lists = fields.remove("lists")?;
    let verdict: Verdict = fields.get("verdict")?.as_str()?.parse().ok()?;
    Some(ScreenAnswer { id, lines: vec![(line, verdict)], lists })
}

/// `api` has addresses screened.
#[derive(Debug)]
pub(crate) struct ApiScreenings {
    assessor: Assessor,
    gaps: Arc<ListGaps>,
    ground: Arc<Ground>,
    screenings: Arc<Screenings>,
    clock: Arc<dyn Clock>,
    records_all: bool,
}

impl ApiScreenings {
    /// Of an installation.
    #[must_use]
    pub(crate) fn of(core: &Core) -> Self {
        Self {
            assessor: core.assessor.clone(),
            gaps: Arc::clone(&core.gaps),
            ground: Arc::clone(&core.ground),
            screenings: Arc::clone(&core.screenings),
            clock: Arc::clone(&core.clock),
            records_all: core.config.watch.record_all_screenings,
        }
    }

    async fn screen(&self, request: ScreenRequest) -> Result<ScreenAnswer, ScreenError> {
        let key = request.idempotency_key.clone().map(|key| (request.caller.clone(), key));
        if let Some(kept) = key.as_ref().and_then(|key| self.screenings.keyed.lock().by_key.get(key).cloned())
        {
            if kept.request != request.digest {
                return Err(ScreenError::IdempotencyConflict);
            }
            if let Some(answer) = kept.answer {
                return Ok(ScreenAnswer::clone(&answer));
            }
        }
        if let Some(why) = self.gaps.problem() {
            return Err(ScreenError::Unavailable { why });
        }
        let now = self.clock.now();
        let (assessments, lists) = assess(&self.assessor, &request.lines, now);
        let id = format!("scr-{}", hex::encode(crypto::random::array::<16>()));
        let answer = ScreenAnswer {
            id: id.clone(),
            lines: request
                .lines
                .iter()
                .zip(&assessments)
                .map(|(line, assessment)| (api::assessment_json(line, assessment), assessment.verdict))
                .collect(),
            lists: assessments
                .first()
                .map_or_else(|| serde_json::json!([]), |first| api::lists_json(&first.screening.lists)),
        };
        let text = key.as_ref().map(|_| api::screened_json(&answer).to_string());
        let text = text.filter(|text| text.len() <= ANSWER_BYTES_MAX);
        let records = Records { ground: &self.ground, records_all: self.records_all };
        let told = Told { id: &id, lists, answer: text, at: now };
        records
            .answers(&request, &assessments, told)
            .await
            .map_err(|error| ScreenError::Unavailable { why: error.to_string() })?;
        if let Some(key) = key {
            let kept = Kept { request: request.digest, answer: Some(Arc::new(answer.clone())) };
            self.screenings.keyed.lock().keep(key, kept);
        }
        Ok(answer)
    }
}

impl api::Screenings for ApiScreenings {
    fn suspicions(&self, from: u64, max: usize) -> Vec<(Address, Held)> {
        self.ground.suspicions().list(from, max)
    }

    fn screen(&self, request: ScreenRequest) -> api::BoxFuture<'_, Result<ScreenAnswer, ScreenError>> {
        Box::pin(Self::screen(self, request))
    }
}

/// What an entry answered: each address with the category that spoke against it and the gravest it was exposed to. Texts that are no
/// addresses are not remembered.
///
/// # Errors
/// In words: a category is none.
pub(crate) fn answers_of(screened: &record::Screened) -> Result<Vec<Answered>, String> {
    let mut answers = Vec::new();
    for found in &screened.found {
        let network: Option<Network> = found.network.as_deref().and_then(|network| network.parse().ok());
        let address = match network {
            Some(network) => {
                let (text, _) = network.split_tag(found.address.trim());
                ::chain::address::decode(network.family(), text)
            }
            None => ::chain::address::decode_any(&found.address),
        };
        let Ok(address) = address else { continue };
        // Strictest first, as they were told.
        let told = category(found.categories.first().map(String::as_str))?;
        let exposed = category(found.exposed.first().map(String::as_str))?;
        let told = told.filter(|category| category.is_malicious());
        answers.push(Answered { address, told, exposed });
    }
    Ok(answers)
}

/// An alert of a chain, as far as lists have a part in it.
///
/// # Errors
/// In words: an address or a category is none.
pub(crate) fn seen_alert(alert: &record::ChainAlert) -> Result<SeenAlert<'_>, String> {
    Ok(SeenAlert {
        id: &alert.id,
        kind: &alert.kind,
        subject: alert.subject.as_deref().map(address_of).transpose()?,
        counterparty: alert.counterparty.as_deref().map(address_of).transpose()?,
        category: category(alert.category.as_deref())?,
    })
}

/// The address of a text in an entry.
///
/// # Errors
/// In words: it is none.
pub(crate) fn address_of(text: &str) -> Result<Address, String> {
    ::chain::address::decode_any(text).map_err(|error| format!("{text:?}: {error}"))
}

/// Assesses lines, all against the lists in force at one moment, which are named.
pub(crate) fn assess(
    assessor: &Assessor,
    lines: &[ScreenLine],
    now: UnixNanos,
) -> (Vec<Assessment>, [u8; 32]) {
    let texts: Vec<_> = lines.iter().map(|line| (line.address.as_str(), line.network)).collect();
    let work = || (assessor.assess_all(&texts, now), assessor.watch().version());
    // Labels alone are a matter of microseconds; money followed over busy holders is not.
    if assessor.followed().is_empty() { work() } else { tokio::task::block_in_place(work) }
}

/// What is journalled of screenings.
struct Records<'a> {
    ground: &'a Ground,
    records_all: bool,
}

/// What is the same for all lines of an answer.
struct Told<'a> {
    id: &'a str,
    lists: [u8; 32],
    answer: Option<String>,
    at: UnixNanos,
}

impl Records<'_> {
    /// Makes durable what is answered.
    async fn answers(
        &self,
        request: &ScreenRequest,
        assessments: &[Assessment],
        told: Told<'_>,
    ) -> Result<(), RecordError> {
        let is_found = assessments.iter().any(|assessment| assessment.verdict > Verdict::Allow);
        if !self.records_all && !is_found && request.idempotency_key.is_none() {
            return Ok(());
        }
        // Of a bulk whatever something speaks against, and what is to be remembered for when a list changes.
        let is_told: Vec<bool> = self.ground.read(|fold| {
            let is_new = |assessment: &Assessment| {
                let address = assessment.screening.address.as_ref();
                address.is_some_and(|address| !fold.answers().contains(address))
            };
            let is_told = |assessment: &Assessment| {
                assessment.verdict > Verdict::Allow || (self.records_all && is_new(assessment))
            };
            assessments.iter().map(|assessment| !request.is_bulk || is_told(assessment)).collect()
        });
        let drafts = drafts(request, assessments, &is_told, told);
        self.ground.record(drafts).await.map(drop)
    }
}

fn drafts(
    request: &ScreenRequest,
    assessments: &[Assessment],
    is_told: &[bool],
    told: Told<'_>,
) -> Vec<Draft> {
    let found: Vec<record::ScreenedAddress> = request
        .lines
        .iter()
        .zip(assessments)
        .zip(is_told)
        .filter_map(|(pair, is_told)| is_told.then_some(pair))
        .map(|(line, assessment)| {
            let mut exposed: Vec<String> =
                assessment.exposed.iter().map(|one| one.share.category.as_str().to_owned()).collect();
            exposed.dedup();
            exposed.truncate(FOUND_PER_ENTRY);
            let mut address = line.address.clone();
            let cut =
                (0..=ADDRESS_BYTES_MAX.min(address.len())).rev().find(|at| address.is_char_boundary(*at));
            address.truncate(cut.unwrap_or(0));
            record::ScreenedAddress {
                address,
                network: line.network.map(|network| network.as_str().to_owned()),
                verdict: assessment.verdict,
                categories: assessment
                    .screening
                    .categories()
                    .into_iter()
                    .map(|category| category.as_str().to_owned())
                    .collect(),
                exposed,
            }
        })
        .collect();
    let mut parts: Vec<Vec<record::ScreenedAddress>> =
        found.chunks(FOUND_PER_ENTRY).map(<[_]>::to_vec).collect();
    if parts.is_empty() {
        parts.push(Vec::new());
    }
    let (mut addresses, mut answer) = (u64::try_from(request.lines.len()).unwrap_or(u64::MAX), told.answer);
    let parts = parts.into_iter().map(|found| {
        let screened = record::Screened {
            id: told.id.to_owned(),
            caller: request.caller.clone(),
            idempotency_key: request.idempotency_key.clone(),
            request: request.digest,
            // Counted in the first part.
            addresses: std::mem::take(&mut addresses),
            found,
            lists: told.lists,
            answer: answer.take(),
        };
        let payload = record::Screening::Screened(screened).encode();
        Draft { at: told.at, subject: Subject::System, kind: Kind::Screening, payload }
    });
    parts.collect()
}

impl Core {
    /// Makes durable what the command line was answered, as answers over the API are, so that they are judged again as well.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be recorded.
    pub(crate) async fn record_screening(
        &self,
        lines: Vec<ScreenLine>,
        assessments: &[Assessment],
        lists: [u8; 32],
    ) -> Result<(), Failure> {
        let mut asked = String::new();
        for line in &lines {
            let network = line.network.map_or("", |network| network.as_str());
            asked.extend([line.address.as_str(), ",", network, "\n"]);
        }
        let request = ScreenRequest {
            caller: COMMAND_LINE.to_owned(),
            is_bulk: lines.len() > 1,
            lines,
            idempotency_key: None,
            digest: crypto::sha256(&[asked.as_bytes()]),
        };
        let id = format!("scr-{}", hex::encode(crypto::random::array::<16>()));
        let records = Records { ground: &self.ground, records_all: self.config.watch.record_all_screenings };
        let told = Told { id: &id, lists, answer: None, at: self.clock.now() };
        let recorded = records.answers(&request, assessments, told).await;
        recorded.map_err(|error| Failure::new(Exit::Io, chain(&error)))
    }

    /// Scores past transfers, answers of screenings and alerts of chains against the lists in force and journals what is to be said
    /// otherwise: all of them, or those not scored yet.
    ///
    /// If we stop in between, what was journalled counts and the next start says the rest.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be recorded.
    pub(crate) async fn rescreen(&self, all: bool) -> Result<Rescreened, Failure> {
        let _one_at_a_time = self.screenings.scoring.lock().await;
        if let Some(problem) = self.gaps.problem() {
            return Err(Failure::new(Exit::Io, problem));
        }
        let failed = |error: RecordError| Failure::new(Exit::Io, chain(&error));
        if all {
            tokio::task::block_in_place(|| self.relabel());
        }
        let from = if all { 0 } else { self.screenings.scored_to.load(Ordering::Relaxed) };
        let lists = self.watch.version();
        let (scan, said, to, before) = self
            .ground
            .read(|fold| (fold.transfers().scan(from), fold.said(from), fold.applied(), fold.rescreened()));
        let news = tokio::task::block_in_place(|| {
            let mut news = scan.news(&self.watch);
            news.extend(said.news(&self.watch));
            news
        });
        if !all && self.assessor.hops() > 0 && !self.assessor.followed().is_empty() {
            self.screenings.exposures.lock().left.extend(scan.addresses());
        }
        let looked = scan.looked();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let (answers, chain_alerts) = said.looked();
        let (answers, chain_alerts) = (count(answers), count(chain_alerts));
        let transfers = count(looked.transfers);
        let mut done = Rescreened { transfers, answers, chain_alerts, ..Rescreened::default() };
        let at = self.clock.now();
        for some in news.chunks(ALERTS_AT_ONCE) {
            let drafts: Vec<Draft> = tokio::task::block_in_place(|| {
                some.iter().filter_map(|news| self.alert(news, lists, at)).collect()
            });
            for news in some {
                if news.now.is_some() { done.raised += 1 } else { done.retracted += 1 }
            }
            if !drafts.is_empty() {
                self.ground.record(drafts).await.map_err(failed)?;
            }
        }
        for news in news.iter().take(LOGGED_MAX) {
            let category = news.now.map(|(category, _)| category.as_str());
            tracing::warn!(
                entry = news.entry,
                way = news.way.as_str(),
                category,
                "a past transfer, answer or alert is judged otherwise"
            );
        }
        if all && before != Some(lists) {
            let record = record::Rescreened {
                lists,
                transfers,
                addresses: count(looked.addresses),
                raised: done.raised,
                retracted: done.retracted,
                answers,
                chain_alerts,
            };
            let payload = record::Screening::Rescreened(record).encode();
            let draft = Draft { at, subject: Subject::System, kind: Kind::Screening, payload };
            self.ground.record(vec![draft]).await.map_err(failed)?;
        }
        self.screenings.scored_to.store(to, Ordering::Relaxed);
        self.judge_exposures(lists, at).await.map_err(failed)?;
        Ok(done)
    }

    /// Has the chains go by the lists in force, and finds past transfers whose exposure may be another one by that: those around
    /// holders whose label changed, or all if nobody knows, as after a stop.
    fn relabel(&self) {
        let hops = self.assessor.hops();
        let judged = self.ground.read(|fold| fold.exposures_judged());
        let mut is_anybody = judged.is_none_or(|judged| judged != self.watch.version())
            && !self.screenings.relabelled.swap(true, Ordering::Relaxed);
        let mut around = BTreeSet::new();
        for followed in self.assessor.followed() {
            let changed = followed.flows.relabel();
            let changed: Vec<Address> = changed.into_iter().map(|(address, ..)| address).collect();
            if hops == 0 || changed.is_empty() {
                continue;
            }
            match followed.flows.around(&changed, hops) {
                Some(holders) => around.extend(holders),
                None => is_anybody = true,
            }
        }
        if hops == 0 || self.assessor.followed().is_empty() {
            return;
        }
        let (scan, answered) = self.ground.read(|fold| {
            (fold.transfers().scan(0), fold.answers().addresses_from(0).collect::<Vec<Address>>())
        });
        let mut exposures = self.screenings.exposures.lock();
        exposures.is_told = true;
        let theirs = scan.addresses().iter().chain(&answered).copied();
        exposures.left.extend(theirs.filter(|address| is_anybody || around.contains(address)));
    }

    /// Judges the exposure of some addresses of past transfers and journals what is to be said otherwise. The rest follows with the
    /// next call; after a stop all are judged again.
    async fn judge_exposures(&self, lists: [u8; 32], at: UnixNanos) -> Result<(), RecordError> {
        let (some, is_last): (Vec<Address>, bool) = {
            let exposures = self.screenings.exposures.lock();
            if exposures.left.is_empty() && !exposures.is_told {
                return Ok(());
            }
            let some = exposures.left.iter().take(EXPOSURES_AT_ONCE).copied().collect();
            (some, exposures.left.len() <= EXPOSURES_AT_ONCE)
        };
        let (mut raised, mut retracted) = (0, 0);
        if !some.is_empty() {
            let scan = self.ground.read(|fold| fold.transfers().scan(0));
            let judged: BTreeMap<Address, Option<(Category, Exposed)>> = tokio::task::block_in_place(|| {
                let judge = |address: &Address| {
                    let found = self.assessor.exposure_of(address);
                    (*address, found.map(|exposed| (exposed.share.category, exposed)))
                };
                some.iter().map(judge).collect()
            });
            let mut news = scan.exposure_news(&judged);
            news.extend(self.ground.read(|fold| fold.answers().exposure_news(&judged)));
            for some in news.chunks(ALERTS_AT_ONCE) {
                let drafts: Vec<Draft> = tokio::task::block_in_place(|| {
                    some.iter().filter_map(|news| self.exposure_alert(news, lists, at)).collect()
                });
                for news in some {
                    if news.now.is_some() { raised += 1 } else { retracted += 1 }
                }
                if !drafts.is_empty() {
                    self.ground.record(drafts).await?;
                }
            }
        }
        let done = {
            let mut exposures = self.screenings.exposures.lock();
            for address in &some {
                exposures.left.remove(address);
            }
            exposures.judged += u64::try_from(some.len()).unwrap_or(u64::MAX);
            exposures.raised += raised;
            exposures.retracted += retracted;
            let is_done = is_last && exposures.left.is_empty();
            is_done.then(|| std::mem::take(&mut *exposures))
        };
        if let Some(done) = done.filter(|done| done.is_told)
            && self.ground.read(|fold| fold.exposures_judged()) != Some(lists)
        {
            let judged = record::ExposuresJudged {
                lists,
                addresses: done.judged,
                raised: done.raised,
                retracted: done.retracted,
            };
            let payload = record::Screening::Exposures(judged).encode();
            let draft = Draft { at, subject: Subject::System, kind: Kind::Screening, payload };
            self.ground.record(vec![draft]).await?;
        }
        Ok(())
    }

    /// The entry about the exposure of a transfer, under the key of whose transfer it is; none where that person was erased.
    fn exposure_alert(
        &self,
        news: &ExposureNews<'_, Exposed>,
        lists: [u8; 32],
        at: UnixNanos,
    ) -> Option<Draft> {
        let subject = self.subject_of(news.way, news.entry)?;
        let exposed = news.now.map(|(_, exposed)| exposed);
        let share = exposed.map(|one| one.share.direct + one.share.indirect);
        let alert = record::TransferExposure {
            entry: news.entry,
            way: news.way.as_str().to_owned(),
            address: ::chain::address::encode(&news.address),
            category: news.now.map(|(category, _)| category.as_str().to_owned()),
            verdict: exposed.map_or(Verdict::Allow, |one| one.verdict),
            chain: exposed.map_or_else(String::new, |one| one.chain.to_string()),
            share: share.and_then(Ppm::of).map_or(0, Ppm::get),
            hops: exposed.map_or(0, |one| u64::from(one.share.hops)),
            listed: exposed.and_then(|one| one.share.holder).map(|holder| ::chain::address::encode(&holder)),
            lists,
        };
        let payload = record::Screening::Exposure(alert).encode();
        Some(Draft { at, subject, kind: Kind::Screening, payload })
    }

    /// [`Core::rescreen`] after a list has changed. What fails is tried again by whoever serves, and on the next start.
    pub(crate) async fn rescreen_after_change(&self) -> Option<Rescreened> {
        match self.rescreen(true).await {
            Ok(rescreened) => Some(rescreened),
            Err(failure) => {
                tracing::error!(%failure, "past transfers were not scored against the changed list");
                self.screenings.scored_to.store(0, Ordering::Relaxed);
                None
            }
        }
    }

    /// The entry about a transfer, under the key of whose transfer it is; none where that person was erased.
    fn alert(&self, news: &News, lists: [u8; 32], at: UnixNanos) -> Option<Draft> {
        let subject = self.subject_of(news.way, news.entry)?;
        let alert = record::TransferAlert {
            entry: news.entry,
            way: news.way.as_str().to_owned(),
            address: chain_address(news),
            category: news.now.map(|(category, _)| category.as_str().to_owned()),
            verdict: news.now.map_or(Verdict::Allow, |(_, verdict)| verdict),
            lists,
        };
        let payload = record::Screening::Alert(alert).encode();
        Some(Draft { at, subject, kind: Kind::Screening, payload })
    }

    /// Under whose key it is spoken of an entry; an answer or an alert is about no customer. `None`: that person was erased.
    fn subject_of(&self, way: Way, entry: u64) -> Option<Subject> {
        match way {
            Way::Answer | Way::ChainAlert => Some(Subject::System),
            Way::Deposit | Way::Withdrawal => self.account_of(entry).map(Subject::Account),
        }
    }

    fn account_of(&self, entry: u64) -> Option<AccountId> {
        let journal = self.ground.journal();
        let entry = journal.entry(entry).ok()??;
        let Opened::Payload(payload) = journal.open_payload(&entry).ok()? else { return None };
        match entry.kind {
            Kind::Event => record::decode_event(&payload).ok().map(|event| event.account),
            Kind::Decision => record::decode_decision(&payload).ok().map(|decision| decision.request.account),
            _ => None,
        }
    }
}

fn chain_address(news: &News) -> String {
    ::chain::address::encode(&news.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_again_by_its_key_until_it_is_forgotten() {
        let line = serde_json::json!({ "address": "x", "verdict": "hold" });
        let lists = serde_json::json!([{ "name": "ofac" }]);
        let answer = ScreenAnswer { id: "scr-1".into(), lines: vec![(line, Verdict::Hold)], lists };
        let screened = |number: usize| record::Screened {
            id: "scr-1".into(),
            caller: "token all".into(),
            idempotency_key: Some(number.to_string()),
            request: [7; 32],
            addresses: 1,
            found: Vec::new(),
            lists: [0; 32],
            answer: Some(api::screened_json(&answer).to_string()),
        };
        let screenings = Screenings::new((0..=KEYED_SCREENINGS_MAX).map(screened).collect());
        let keyed = screenings.keyed.lock();
        let of = |number: usize| keyed.by_key.get(&("token all".to_owned(), number.to_string()));
        assert_eq!(of(1).and_then(|kept| kept.answer.clone()).as_deref(), Some(&answer));
        assert!(of(0).is_none() && keyed.by_key.len() == KEYED_SCREENINGS_MAX);
    }
}
