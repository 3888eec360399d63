use std::sync::atomic::{AtomicUsize, Ordering};

use crypto::MacKey;
use domain::{AccountId, ApiCall, ApiKeyId, FindingSource, ManualClock, ReasonCode};

use super::*;

#[derive(Default)]
struct Log(Mutex<Vec<Arc<Judgement>>>);

impl JudgementLog for Log {
    fn append(&self, judgement: Arc<Judgement>) -> BoxFuture<'_, Result<u64, LogUnavailable>> {
        let mut kept = self.0.lock();
        kept.push(judgement);
        let position = kept.len() as u64 - 1;
        Box::pin(std::future::ready(Ok(position)))
    }

    fn read(&self, position: u64) -> BoxFuture<'_, Result<Option<Arc<Judgement>>, LogUnavailable>> {
        let found = usize::try_from(position).ok().and_then(|at| self.0.lock().get(at).cloned());
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// Says a verdict, or never answers.
struct Says(Option<Verdict>, AtomicUsize);

impl ActSource for Says {
    fn name(&self) -> &'static str {
        "test"
    }

    fn examine<'a>(
        &'a self,
        _: &'a Act,
        _: UnixNanos,
    ) -> BoxFuture<'a, Result<Vec<Finding>, SourceUnavailable>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let Some(verdict) = self.0 else { return std::future::pending().await };
            Ok(vec![Finding {
                source: FindingSource::Access,
                code: ReasonCode::new("access.test"),
                verdict,
                shadow: false,
                message: "because".to_owned(),
                evidence: Vec::new(),
                would_pass_if: None,
            }])
        })
    }
}

fn judge(says: Option<Verdict>) -> (Judge, Arc<Log>, Arc<Says>) {
    let (log, source) = (Arc::new(Log::default()), Arc::new(Says(says, AtomicUsize::new(0))));
    let judge = Judge::new(
        (Duration::from_millis(20), Silence::default()),
        vec![Arc::clone(&source) as Arc<dyn ActSource>],
        Arc::clone(&log) as Arc<dyn JudgementLog>,
        DecisionIds::new(MacKey::new(b"test")),
        Arc::new(ManualClock::new(UnixNanos(7))),
    );
    (judge, log, source)
}

fn request(key: Option<&str>, sha256: u8, is_shadow: bool) -> JudgeRequest {
    let call = ApiCall {
        account: AccountId::parse("u-1").unwrap(),
        key: ApiKeyId::parse("key-1").unwrap(),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        ip: [192, 0, 2, 1].into(),
    };
    JudgeRequest {
        act: Act::ApiCall(call),
        caller: "service:test".to_owned(),
        idempotency_key: key.map(str::to_owned),
        request_sha256: [sha256; 32],
        deadline: Duration::from_secs(1),
        is_shadow,
    }
}

#[tokio::test]
async fn a_key_makes_two_requests_one_and_survives_a_replay() {
    let (judge, log, source) = judge(Some(Verdict::Hold));
    let first = judge.judge(request(Some("k"), 1, false)).await.unwrap();
    let again = judge.judge(request(Some("k"), 1, false)).await.unwrap();
    assert_eq!((first.id.as_str(), source.1.load(Ordering::Relaxed)), (again.id.as_str(), 1));
    assert_eq!(first.judgement.verdict, Verdict::Hold);
    let other = judge.judge(request(Some("k"), 2, false)).await;
    assert!(matches!(other, Err(DecideError::IdempotencyConflict { earlier }) if earlier == first.id));
    let foreign = JudgeRequest { caller: "service:other".to_owned(), ..request(Some("k"), 2, false) };
    assert_ne!(judge.judge(foreign).await.unwrap().id, first.id);
    let long = "k".repeat(129);
    let refused = judge.judge(request(Some(&long), 1, false)).await;
    assert!(matches!(refused, Err(DecideError::IdempotencyKeyLength { got: 129 })));

    // As after a restart.
    judge.keys.lock().clone_from(&Keys::default());
    let kept = log.0.lock().clone();
    for (position, judgement) in kept.iter().enumerate() {
        judge.replay(KeyedDecision::of_judgement(position as u64, judgement).unwrap());
    }
    assert_eq!(judge.judge(request(Some("k"), 1, false)).await.unwrap().id, first.id);
    assert_eq!(judge.explain(first.id.as_str()).await.unwrap().unwrap().judgement, first.judgement);
    assert!(judge.explain("dec-0-0000000000000000").await.unwrap().is_none());
}

#[tokio::test]
async fn in_shadow_nothing_has_an_effect_and_the_log_says_what_would_have_been() {
    let (judge, log, _) = judge(Some(Verdict::Deny));
    let judged = judge.judge(request(None, 1, true)).await.unwrap();
    assert_eq!(judged.judgement.verdict, Verdict::Allow);
    assert_eq!(crate::would_be(&judged.judgement.findings), Some(Verdict::Deny));
    assert_eq!(log.0.lock().len(), 1);
}

#[tokio::test]
async fn silence_means_what_the_policy_says_for_the_kind() {
    let (mut judge, ..) = judge(None);
    assert_eq!(judge.judge(request(None, 1, false)).await.unwrap().judgement.verdict, Verdict::Allow);
    judge.silence.api_call = Verdict::Deny;
    let judged = judge.judge(request(None, 1, false)).await.unwrap();
    assert_eq!(judged.judgement.verdict, Verdict::Deny);
    assert_eq!(judged.judgement.findings[0].code, crate::SOURCE_UNAVAILABLE);
}
