//! Screenings for the API and the command line, journalled; and past transfers scored again when a list changes.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use api::{ScreenAnswer, ScreenError, ScreenLine, ScreenRequest};
use domain::{AccountId, Clock, Subject, UnixNanos, Verdict};
use journal::{Draft, Kind, Opened, record};
use parking_lot::Mutex;
use watch::{
    assess::{Assessment, Assessor},
    rescreen::News,
};

use crate::{
    control::Rescreened,
    core::{Core, chain},
    exit::{Exit, Failure},
    ground::{Ground, RecordError},
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
    /// One re-screening at a time, or an alert could be raised twice.
    scoring: tokio::sync::Mutex<()>,
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
        let is_found = assessments.iter().any(|assessment| assessment.verdict > Verdict::Allow);
        if self.records_all || is_found || key.is_some() {
            let text = key.as_ref().map(|_| api::screened_json(&answer).to_string());
            let text = text.filter(|text| text.len() <= ANSWER_BYTES_MAX);
            let drafts = drafts(&request, &assessments, &id, lists, text, now);
            self.ground
                .record(drafts)
                .await
                .map_err(|error| ScreenError::Unavailable { why: error.to_string() })?;
        }
        if let Some(key) = key {
            let kept = Kept { request: request.digest, answer: Some(Arc::new(answer.clone())) };
            self.screenings.keyed.lock().keep(key, kept);
        }
        Ok(answer)
    }
}

impl api::Screenings for ApiScreenings {
    fn screen(&self, request: ScreenRequest) -> api::BoxFuture<'_, Result<ScreenAnswer, ScreenError>> {
        Box::pin(Self::screen(self, request))
    }
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

fn drafts(
    request: &ScreenRequest,
    assessments: &[Assessment],
    id: &str,
    lists: [u8; 32],
    answer: Option<String>,
    at: UnixNanos,
) -> Vec<Draft> {
    let found: Vec<record::ScreenedAddress> = request
        .lines
        .iter()
        .zip(assessments)
        .filter(|(_, assessment)| !request.is_bulk || assessment.verdict > Verdict::Allow)
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
    let (mut addresses, mut answer) = (u64::try_from(request.lines.len()).unwrap_or(u64::MAX), answer);
    let parts = parts.into_iter().map(|found| {
        let screened = record::Screened {
            id: id.to_owned(),
            caller: request.caller.clone(),
            idempotency_key: request.idempotency_key.clone(),
            request: request.digest,
            // Counted in the first part.
            addresses: std::mem::take(&mut addresses),
            found,
            lists,
            answer: answer.take(),
        };
        let payload = record::Screening::Screened(screened).encode();
        Draft { at, subject: Subject::System, kind: Kind::Screening, payload }
    });
    parts.collect()
}

impl Core {
    /// Scores past transfers against the lists in force and journals what is to be said otherwise: all of them, or those not
    /// scored yet.
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
            let watch = &self.watch;
            tokio::task::block_in_place(|| {
                // Exposure follows the lists as well.
                for followed in self.assessor.followed() {
                    drop(followed.flows.relabel());
                }
                watch.lists()
            });
        }
        let from = if all { 0 } else { self.screenings.scored_to.load(Ordering::Relaxed) };
        let lists = self.watch.version();
        let (scan, to, before) =
            self.ground.read(|fold| (fold.transfers().scan(from), fold.applied(), fold.rescreened()));
        let news = tokio::task::block_in_place(|| scan.news(&self.watch));
        let looked = scan.looked();
        let transfers = u64::try_from(looked.transfers).unwrap_or(u64::MAX);
        let mut done = Rescreened { transfers, ..Rescreened::default() };
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
                "a past transfer is judged otherwise"
            );
        }
        if all && before != Some(lists) {
            let record = record::Rescreened {
                lists,
                transfers,
                addresses: u64::try_from(looked.addresses).unwrap_or(u64::MAX),
                raised: done.raised,
                retracted: done.retracted,
            };
            let payload = record::Screening::Rescreened(record).encode();
            let draft = Draft { at, subject: Subject::System, kind: Kind::Screening, payload };
            self.ground.record(vec![draft]).await.map_err(failed)?;
        }
        self.screenings.scored_to.store(to, Ordering::Relaxed);
        Ok(done)
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
        let account = self.account_of(news.entry)?;
        let alert = record::TransferAlert {
            entry: news.entry,
            way: news.way.as_str().to_owned(),
            address: chain_address(news),
            category: news.now.map(|(category, _)| category.as_str().to_owned()),
            verdict: news.now.map_or(Verdict::Allow, |(_, verdict)| verdict),
            lists,
        };
        let payload = record::Screening::Alert(alert).encode();
        Some(Draft { at, subject: Subject::Account(account), kind: Kind::Screening, payload })
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
