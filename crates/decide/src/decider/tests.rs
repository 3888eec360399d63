use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicBool, Ordering},
};

use crypto::MacKey;
use domain::{
    Amount, Asset, Channel, Destination, FindingSource as Source, ManualClock, Network, ReasonCode,
    UnixNanos, Verdict,
};

use super::*;
use crate::{BoxFuture, LogUnavailable, SOURCE_UNAVAILABLE, SourceUnavailable};

/// Holds decisions in memory; fails on demand.
#[derive(Default)]
struct Log {
    decisions: Mutex<Vec<Arc<Decision>>>,
    broken: AtomicBool,
}

impl DecisionLog for Log {
    fn append(&self, decision: Arc<Decision>) -> BoxFuture<'_, Result<u64, LogUnavailable>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            if self.broken.load(Ordering::SeqCst) {
                return Err(LogUnavailable("disk full".into()));
            }
            let mut decisions = self.decisions.lock();
            decisions.push(decision);
            Ok(decisions.len() as u64 - 1)
        })
    }

    fn read(&self, position: u64) -> BoxFuture<'_, Result<Option<Arc<Decision>>, LogUnavailable>> {
        Box::pin(async move { Ok(self.decisions.lock().get(usize::try_from(position).unwrap()).cloned()) })
    }
}

/// Holds back the second withdrawal of an account, judging by the log.
struct Second(Arc<Log>);

impl FindingSource for Second {
    fn name(&self) -> &'static str {
        "second"
    }

    fn examine<'a>(
        &'a self,
        request: &'a WithdrawalRequest,
        _now: UnixNanos,
    ) -> BoxFuture<'a, Result<Vec<Finding>, SourceUnavailable>> {
        let earlier =
            self.0.decisions.lock().iter().any(|decision| decision.request.account == request.account);
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(vec![Finding {
                source: Source::Fraud,
                code: ReasonCode::new("test.second"),
                verdict: if earlier { Verdict::Hold } else { Verdict::Allow },
                shadow: false,
                message: String::new(),
                evidence: Vec::new(),
                would_pass_if: None,
            }])
        })
    }
}

/// Never answers.
struct Silent;

impl FindingSource for Silent {
    fn name(&self) -> &'static str {
        "silent"
    }

    fn examine<'a>(
        &'a self,
        _request: &'a WithdrawalRequest,
        _now: UnixNanos,
    ) -> BoxFuture<'a, Result<Vec<Finding>, SourceUnavailable>> {
        Box::pin(std::future::pending())
    }
}

fn request(account: &str, amount: &str) -> WithdrawalRequest {
    WithdrawalRequest {
        account: AccountId::parse(account).unwrap(),
        channel: Channel::Exchange,
        asset: Asset::parse("BTC").unwrap(),
        amount: Amount::parse(amount).unwrap(),
        fee: None,
        destination: Destination::OnChain { network: Network::Bitcoin, address: "x".into(), tag: None },
        client_id: None,
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        device: None,
        client_ja4: None,
        requested_at: UnixNanos(0),
    }
}

fn decider(log: &Arc<Log>, more: Option<Arc<dyn FindingSource>>) -> Decider {
    let mut sources: Vec<Arc<dyn FindingSource>> = vec![Arc::new(Second(Arc::clone(log)))];
    sources.extend(more);
    Config { deadline: Duration::from_millis(20) }.build(
        sources,
        Arc::clone(log) as Arc<dyn DecisionLog>,
        DecisionIds::new(MacKey::new(b"ids")),
        Arc::new(ManualClock::new(UnixNanos::from_secs(1))),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_requests_of_one_account_see_each_other() {
    let log = Arc::new(Log::default());
    let decider = Arc::new(decider(&log, None));
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let decider = Arc::clone(&decider);
            tokio::spawn(async move { decider.decide(request("alice", "1"), None, None).await.unwrap() })
        })
        .collect();
    let mut allowed = 0;
    for task in tasks {
        allowed += usize::from(task.await.unwrap().decision.verdict == Verdict::Allow);
    }
    assert_eq!(allowed, 1);
}

#[tokio::test]
async fn a_silent_source_fails_closed_and_is_recorded() {
    let log = Arc::new(Log::default());
    let decided =
        decider(&log, Some(Arc::new(Silent))).decide(request("alice", "1"), None, None).await.unwrap();
    assert_eq!(decided.decision.verdict, Verdict::Deny);
    assert_eq!(decided.decision.leading().unwrap().code, SOURCE_UNAVAILABLE);
    assert_eq!(log.decisions.lock().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_decided() {
    let log = Arc::new(Log::default());
    log.broken.store(true, Ordering::SeqCst);
    let error = decider(&log, None).decide(request("alice", "1"), None, None).await.unwrap_err();
    assert_eq!(error, DecideError::Unavailable { why: "disk full".into() });
}

#[tokio::test]
async fn a_key_gives_the_same_decision_and_refuses_another_request() {
    let log = Arc::new(Log::default());
    let first = decider(&log, None);
    let key = || Some("k".to_owned());
    let decided = first.decide(request("alice", "1"), key(), None).await.unwrap();
    let again = first.decide(request("alice", "1.0"), key(), None).await.unwrap();
    assert_eq!(again.id, decided.id);
    assert_eq!(
        first.decide(request("alice", "2"), key(), None).await.unwrap_err(),
        DecideError::IdempotencyConflict { earlier: decided.id.clone() }
    );
    // Another account's key of the same text is another key.
    assert_ne!(first.decide(request("bob", "2"), key(), None).await.unwrap().id, decided.id);
    assert!(matches!(
        first.decide(request("bob", "2"), Some(String::new()), None).await,
        Err(DecideError::IdempotencyKeyLength { got: 0 })
    ));

    // After a restart the replayed log knows the key.
    let restarted = decider(&log, None);
    let stored = log.decisions.lock().clone();
    for (position, decision) in stored.iter().enumerate() {
        KeyedDecision::of(position as u64, decision).into_iter().for_each(|keyed| restarted.replay(keyed));
    }
    assert_eq!(restarted.decide(request("alice", "1"), key(), None).await.unwrap().id, decided.id);
}

#[tokio::test]
async fn explain_finds_only_own_decisions() {
    let log = Arc::new(Log::default());
    let decider = decider(&log, None);
    let decided = decider.decide(request("alice", "1"), None, None).await.unwrap();
    let found = decider.explain(decided.id.as_str()).await.unwrap().unwrap();
    assert_eq!(found.decision, decided.decision);
    assert!(decider.explain("dec-0-0000000000000000").await.unwrap().is_none());
    assert!(decider.explain(decider.ids().id(99).as_str()).await.unwrap().is_none());
}

/// Releases as a case would give them: each once, judged by the log.
struct Desk {
    log: Arc<Log>,
    held: u64,
    fingerprint: [u8; 16],
    reasons: Vec<ReasonCode>,
    broken: AtomicBool,
}

impl Releases for Desk {
    fn release(
        &self,
        account: &AccountId,
        fingerprint: [u8; 16],
        _now: UnixNanos,
    ) -> Result<Option<crate::Release>, SourceUnavailable> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(SourceUnavailable("state stops".into()));
        }
        let used =
            self.log.decisions.lock().iter().any(|decision| crate::release_used(decision) == Some(self.held));
        let matches = account.as_str() == "alice" && fingerprint == self.fingerprint && !used;
        Ok(matches.then(|| crate::Release { held: self.held, reasons: self.reasons.clone() }))
    }
}

fn desk(log: &Arc<Log>, reasons: &[&'static str]) -> Arc<Desk> {
    Arc::new(Desk {
        log: Arc::clone(log),
        held: 1,
        fingerprint: fingerprint(&request("alice", "5")),
        reasons: reasons.iter().map(|reason| ReasonCode::new(reason)).collect(),
        broken: AtomicBool::new(false),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_released_withdrawal_passes_exactly_once_however_many_ask() {
    let log = Arc::new(Log::default());
    let decider = Arc::new(decider(&log, None).with_releases(desk(&log, &["test.second"])));
    let ask = |amount| decider.decide(request("alice", amount), None, None);
    assert_eq!(ask("1").await.unwrap().decision.verdict, Verdict::Allow);
    let other = ask("6").await.unwrap().decision;
    assert_eq!(other.verdict, Verdict::Hold, "another amount");
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let decider = Arc::clone(&decider);
            tokio::spawn(async move { decider.decide(request("alice", "5"), None, None).await.unwrap() })
        })
        .collect();
    let mut passed = Vec::new();
    for task in tasks {
        let decision = task.await.unwrap().decision;
        if decision.verdict == Verdict::Allow {
            passed.push(decision);
        }
    }
    assert_eq!(passed.len(), 1);
    let decision = &passed[0];
    assert_eq!(decision.leading().unwrap().code, crate::RELEASED);
    assert_eq!(crate::release_used(decision), Some(1));
    let answered = decision.findings.iter().find(|finding| finding.code.as_str() == "test.second").unwrap();
    assert!(answered.shadow && answered.verdict == Verdict::Hold, "kept for the reader, without effect");
}

#[tokio::test]
async fn a_release_answers_nothing_that_nobody_saw() {
    let log = Arc::new(Log::default());
    let desk_of = |reasons| desk(&log, reasons);
    let plain = decider(&log, None);
    plain.decide(request("alice", "1"), None, None).await.unwrap();
    let decider_with = |desk: Arc<Desk>, more| decider(&log, more).with_releases(desk);
    let unseen = decider_with(desk_of(&["fraud.other"]), None);
    let held = unseen.decide(request("alice", "5"), None, None).await.unwrap().decision;
    assert_eq!((held.verdict, crate::release_used(&held)), (Verdict::Hold, None));
    assert!(held.findings.iter().any(|finding| finding.code == crate::RELEASE_EXCEEDED));
    assert_eq!(held.leading().unwrap().code.as_str(), "test.second");
    // A check that does not answer denies, and no release helps.
    let silent = decider_with(desk_of(&["test.second", "decide.source_unavailable"]), Some(Arc::new(Silent)));
    let denied = silent.decide(request("alice", "5"), None, None).await.unwrap().decision;
    assert_eq!((denied.verdict, crate::release_used(&denied)), (Verdict::Deny, None));
    let desk = desk_of(&["test.second"]);
    desk.broken.store(true, Ordering::SeqCst);
    let broken = decider_with(Arc::clone(&desk), None);
    let held = broken.decide(request("alice", "5"), None, None).await.unwrap().decision;
    assert_eq!(held.verdict, Verdict::Hold);
    let other = decider_with(desk_of(&["test.second"]), None);
    other.decide(request("bob", "5"), None, None).await.unwrap();
    let held = other.decide(request("bob", "5"), None, None).await.unwrap().decision;
    assert_eq!(held.verdict, Verdict::Hold, "another account");
}

fn freeze(scope: &str) -> crate::Freeze {
    let reason = "drill".to_owned();
    crate::Freeze {
        scope: scope.parse().unwrap(),
        by: domain::Actor::operator(),
        reason,
        at: UnixNanos::from_secs(1),
    }
}

#[tokio::test]
async fn what_is_frozen_is_denied_and_an_earlier_yes_is_not_said_again() {
    let log = Arc::new(Log::default());
    let freezes = Arc::new(Freezes::default());
    let decider = decider(&log, None).with_freezes(Arc::clone(&freezes));
    let key = || Some("k".to_owned());
    let first = decider.decide(request("alice", "1"), key(), None).await.unwrap();
    assert_eq!(first.decision.verdict, Verdict::Allow);

    freezes.freeze(freeze("asset:BTC"));
    let denied = decider.decide(request("bob", "1"), None, None).await.unwrap();
    assert_eq!(denied.decision.verdict, Verdict::Deny);
    assert_eq!(denied.decision.leading().unwrap().code, crate::FROZEN);
    let again = decider.decide(request("alice", "1"), key(), None).await;
    assert_eq!(
        again.unwrap_err(),
        DecideError::Frozen { earlier: first.id.clone(), scope: "asset:BTC".into() }
    );
    assert_eq!(log.decisions.lock().len(), 2);

    freezes.lift(&"asset:BTC".parse().unwrap());
    assert_eq!(decider.decide(request("alice", "1"), key(), None).await.unwrap().id, first.id);
    let other = decider.decide(request("carol", "1"), None, None).await.unwrap();
    assert_eq!(other.decision.verdict, Verdict::Allow);
}

#[tokio::test]
async fn a_release_does_not_pass_a_freeze() {
    let log = Arc::new(Log::default());
    let freezes = Arc::new(Freezes::default());
    let desk = Desk {
        log: Arc::clone(&log),
        held: 0,
        fingerprint: fingerprint(&request("alice", "1")),
        reasons: vec![ReasonCode::new("test.second"), crate::FROZEN],
        broken: AtomicBool::new(false),
    };
    let decider = decider(&log, None).with_freezes(Arc::clone(&freezes)).with_releases(Arc::new(desk));
    decider.decide(request("alice", "9"), None, None).await.unwrap();
    freezes.freeze(freeze("account:alice"));
    let decided = decider.decide(request("alice", "1"), None, None).await.unwrap();
    assert_eq!(decided.decision.verdict, Verdict::Deny);
    freezes.lift(&"account:alice".parse().unwrap());
    let decided = decider.decide(request("alice", "1"), None, None).await.unwrap();
    assert_eq!(decided.decision.verdict, Verdict::Allow);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn behind_a_standstill_nothing_frozen_is_let_out() {
    let log = Arc::new(Log::default());
    let freezes = Arc::new(Freezes::default());
    let decider = Arc::new(decider(&log, None).with_freezes(Arc::clone(&freezes)));
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let decider = Arc::clone(&decider);
            tokio::spawn(async move {
                for _ in 0..n % 5 {
                    tokio::task::yield_now().await;
                }
                drop(decider.decide(request(&format!("account-{n}"), "1"), None, None).await.unwrap());
            })
        })
        .collect();
    tokio::task::yield_now().await;
    let before = {
        let _still = decider.standstill().await;
        let before = log.decisions.lock().len();
        tokio::task::yield_now().await;
        assert_eq!(log.decisions.lock().len(), before);
        freezes.freeze(freeze("all"));
        before
    };
    for task in tasks {
        task.await.unwrap();
    }
    let decisions = log.decisions.lock();
    assert_eq!(decisions.len(), 200);
    assert!(decisions.iter().take(before).all(|decision| decision.verdict == Verdict::Allow));
    assert!(decisions.iter().skip(before).all(|decision| decision.verdict == Verdict::Deny));
}
