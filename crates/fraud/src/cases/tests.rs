use std::time::Duration;

use domain::Verdict;
use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn account(name: &str) -> Entity {
    Entity::Account(AccountId::parse(name).unwrap())
}

fn actor(text: &str) -> Actor {
    text.parse().unwrap()
}

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn held(position: u64, who: &str, what: u8, value: &str) -> Trigger {
    Trigger {
        source: Source::Decision,
        position,
        at: UnixNanos(position * SECOND),
        entity: account(who),
        code: "fraud.new_destination".into(),
        verdict: Verdict::Hold,
        at_risk: AtRisk::Asset { asset: Asset::parse("USDT").unwrap(), amount: amount(value) },
        probability_ppm: None,
        alert: None,
        held: Some(Held { fingerprint: [what; 16], reasons: vec![ReasonCode::new("fraud.new_destination")] }),
        about: None,
    }
}

fn alert(position: u64, name: &str) -> Trigger {
    Trigger {
        source: Source::ChainAlert,
        entity: Entity::other("ethereum:0xabc"),
        at_risk: AtRisk::Unknown,
        alert: Some(name.into()),
        held: None,
        ..held(position, "x", 0, "1")
    }
}

/// Does it as the product does: prepared against the state, then taken in from its encoding.
fn does(cases: &mut Cases, position: u64, who: &str, case: u64, ask: Ask) -> Result<(), CaseError> {
    let at = UnixNanos(position * SECOND);
    let revision = cases.case(case).map_or(0, |case| case.revision);
    let done = cases.prepare(case, revision, actor(who), ask, at)?;
    let entry = CaseEntry::decode(&CaseEntry::Action(done).encode()).unwrap();
    cases.apply(position, at, entry)
}

fn propose(decision: u64) -> Ask {
    Ask::Propose { decision, reason: "the customer answered the call".into() }
}

fn release(cases: &Cases, who: &str, what: u8, at: u64) -> Option<Release> {
    cases.release(account(who).account().unwrap(), [what; 16], UnixNanos(at * SECOND))
}

#[test]
fn what_belongs_together_is_one_case() {
    let mut cases = Cases::default();
    cases.trigger(&held(10, "alice", 1, "2000"));
    cases.trigger(&held(11, "alice", 1, "2000"));
    cases.trigger(&held(12, "bob", 1, "90"));
    let case = cases.case(10).unwrap();
    // The same withdrawal twice is at risk once: 2000 times one half.
    assert_eq!((case.triggers, case.expected_loss), (2, Some(amount("1000"))));
    assert_eq!((case.priority, case.state(UnixNanos(0))), (Priority::Medium, "open"));
    assert_eq!(case.deadline, UnixNanos(10 * SECOND).plus(Duration::from_secs(4 * 3_600)));
    cases.trigger(&held(13, "alice", 2, "400000"));
    let case = cases.case(10).unwrap();
    assert_eq!((case.priority, case.expected_loss), (Priority::Critical, Some(amount("201000"))));
    assert_eq!(case.deadline, UnixNanos(13 * SECOND).plus(Duration::from_secs(900)), "sooner, not later");
    assert_eq!(cases.case(12).unwrap().priority, Priority::Low);
    // A day without anything ends the story, and so does its end.
    let late = 13 + 24 * 3_600 + 1;
    cases.trigger(&held(late, "alice", 3, "1"));
    assert!(cases.case(late).is_some());
    let resolve = Ask::Resolve { disposition: Disposition::Legitimate, reason: "asked".into() };
    does(&mut cases, late + 1, "user:eve", late, resolve).unwrap();
    cases.trigger(&held(late + 2, "alice", 3, "1"));
    assert!(cases.case(late + 2).is_some());
    let filter = Filter::default();
    let order: Vec<u64> = cases.urgent(&filter, None, UnixNanos(0)).map(|case| case.id).collect();
    assert_eq!(order, [10, 12, late + 2]);
    let after = cases.case(10);
    assert_eq!(cases.urgent(&filter, after, UnixNanos(0)).next().unwrap().id, 12);
    let newest: Vec<u64> = cases.newest(&filter, Some(late + 2), UnixNanos(0)).map(|case| case.id).collect();
    assert_eq!(newest, [late, 12, 10]);
}

#[test]
fn values_come_from_the_last_fill_and_unknown_is_urgent() {
    let mut cases = Cases::default();
    let (btc, usdt) = (Asset::parse("BTC").unwrap(), Asset::parse("USDT").unwrap());
    let mut trigger = held(1, "alice", 1, "0.5");
    trigger.at_risk = AtRisk::Asset { asset: btc.clone(), amount: amount("0.5") };
    cases.trigger(&trigger);
    assert_eq!(cases.case(1).unwrap().expected_loss, None);
    assert_eq!(cases.case(1).unwrap().priority, Priority::High);
    cases.fill(&btc, &usdt, amount("60000"));
    cases.fill(&btc, &Asset::parse("EUR").unwrap(), amount("1"));
    cases.fill(&btc, &usdt, Amount::ZERO);
    assert_eq!(cases.value(&trigger.at_risk), Some(amount("30000")));
}

#[test]
fn two_people_release_once() {
    let mut cases = Cases::default();
    cases.trigger(&held(1, "alice", 7, "500"));
    does(&mut cases, 2, "user:ann", 1, propose(1)).unwrap();
    for same in ["user:ann", "operator:Ann", "service:ANN"] {
        let refused = does(&mut cases, 3, same, 1, Ask::Approve { decision: 1 });
        assert_eq!(refused, Err(CaseError::OwnProposal { actor: same.into() }));
    }
    assert_eq!(release(&cases, "alice", 7, 3), None);
    assert_eq!(cases.case(1).unwrap().state(UnixNanos(3 * SECOND)), "proposed");
    does(&mut cases, 4, "user:ben", 1, Ask::Approve { decision: 1 }).unwrap();
    let found = release(&cases, "alice", 7, 5).unwrap();
    assert_eq!((found.held, found.case), (1, 1));
    assert_eq!(found.reasons, [ReasonCode::new("fraud.new_destination")]);
    assert_eq!(release(&cases, "alice", 8, 5), None, "another withdrawal");
    assert_eq!(release(&cases, "bob", 7, 5), None, "another account");
    let end = 4 + 24 * 3_600;
    assert!(release(&cases, "alice", 7, end).is_some());
    assert_eq!(release(&cases, "alice", 7, end + 1), None, "it has run out");
    cases.used(1, 6);
    assert_eq!(release(&cases, "alice", 7, 7), None, "it was used");
    assert_eq!(cases.held(1).unwrap().1.review.state(UnixNanos(7 * SECOND)), "used");
    assert_eq!(cases.sizes(UnixNanos(0)).releases, 0);
    let refused = does(&mut cases, 8, "user:ben", 1, propose(1));
    assert_eq!(refused, Err(CaseError::Pending { decision: 1, state: "used" }));
}

#[test]
fn a_proposal_runs_out_and_can_be_declined() {
    let mut cases = Cases::default();
    cases.trigger(&held(1, "alice", 7, "500"));
    does(&mut cases, 2, "user:ann", 1, propose(1)).unwrap();
    let late = 2 + 8 * 3_600 + 1;
    let refused = does(&mut cases, late, "user:ben", 1, Ask::Approve { decision: 1 });
    assert_eq!(refused, Err(CaseError::NoProposal { decision: 1 }));
    does(&mut cases, late, "user:ben", 1, propose(1)).unwrap();
    does(&mut cases, late + 1, "user:ann", 1, Ask::Decline { decision: 1, reason: "no".into() }).unwrap();
    let refused = does(&mut cases, late + 2, "user:ann", 1, Ask::Approve { decision: 1 });
    assert_eq!(refused, Err(CaseError::NoProposal { decision: 1 }));
    let refused = does(&mut cases, late + 2, "user:ann", 1, propose(9));
    assert_eq!(refused, Err(CaseError::UnknownDecision { decision: 9 }));
}

#[test]
fn the_second_of_two_who_decide_at_once_is_told() {
    let mut cases = Cases::default();
    cases.trigger(&held(1, "alice", 7, "500"));
    let at = UnixNanos(2 * SECOND);
    let note = Ask::Note { text: "looking".into() };
    let first = cases.prepare(1, 0, actor("user:ann"), note.clone(), at).unwrap();
    let second = cases.prepare(1, 0, actor("user:ben"), note, at).unwrap();
    cases.apply(2, at, CaseEntry::Action(first)).unwrap();
    // An alert in between is no reason to refuse.
    cases.trigger(&held(3, "alice", 8, "500"));
    let conflict = CaseError::Conflict { revision: 1, by: "user:ann".into() };
    assert_eq!(cases.apply(4, at, CaseEntry::Action(second)), Err(conflict));
    assert_eq!(cases.sizes(at).ignored, 1);
    let resolve = Ask::Resolve { disposition: Disposition::Fraud, reason: "stolen".into() };
    does(&mut cases, 5, "user:ann", 1, resolve.clone()).unwrap();
    let refused = does(&mut cases, 6, "user:ben", 1, resolve);
    assert_eq!(refused, Err(CaseError::Resolved { disposition: "fraud", by: "user:ann".into() }));
    does(&mut cases, 7, "user:ben", 1, Ask::Note { text: "told the customer".into() }).unwrap();
    assert!(matches!(
        does(&mut cases, 8, "system:caponier", 1, Ask::Note { text: "x".into() }),
        Err(CaseError::NotAPerson { .. })
    ));
}

#[test]
fn fraud_ends_what_was_released_and_not_used() {
    for (disposition, stays) in [(Disposition::Fraud, false), (Disposition::Legitimate, true)] {
        let mut cases = Cases::default();
        cases.trigger(&held(1, "alice", 7, "500"));
        cases.trigger(&held(2, "alice", 8, "500"));
        does(&mut cases, 3, "user:ann", 1, propose(1)).unwrap();
        does(&mut cases, 4, "user:ben", 1, Ask::Approve { decision: 1 }).unwrap();
        does(&mut cases, 5, "user:ann", 1, propose(2)).unwrap();
        does(&mut cases, 6, "user:ann", 1, Ask::Resolve { disposition, reason: "x".into() }).unwrap();
        assert_eq!(release(&cases, "alice", 7, 7).is_some(), stays);
        assert_eq!(cases.held(2).unwrap().1.review.state(UnixNanos(7 * SECOND)), "refused");
    }
}

#[test]
fn an_alert_taken_back_closes_a_case_nobody_touched() {
    let mut cases = Cases::default();
    cases.trigger(&alert(1, "a"));
    cases.trigger(&alert(2, "a"));
    assert_eq!(cases.case(1).unwrap().triggers, 1, "the same alert again");
    cases.trigger(&alert(3, "b"));
    does(&mut cases, 4, "user:ann", 1, Ask::Note { text: "hm".into() }).unwrap();
    cases.retract("a", UnixNanos(5 * SECOND));
    cases.retract("b", UnixNanos(5 * SECOND));
    assert_eq!(cases.case(1).unwrap().expected_loss, Some(Amount::ZERO));
    assert_eq!(cases.case(1).unwrap().resolution, None, "somebody works on it");
    assert!(cases.alerts(None).all(|alert| alert.line.is_retracted));
    let mut cases = Cases::default();
    cases.trigger(&alert(1, "a"));
    cases.retract("a", UnixNanos(5 * SECOND));
    assert_eq!(cases.case(1).unwrap().state(UnixNanos(0)), "resolved");
    assert_eq!(cases.alerts(Some(1)).count(), 0);
}

#[test]
fn what_a_list_says_of_a_transfer_is_taken_back_and_may_be_said_again() {
    let mut cases = Cases::default();
    cases.trigger(&alert(1, "transfer:7:scam"));
    cases.withdraw("transfer:7:scam", UnixNanos(5 * SECOND));
    let first = cases.case(1).unwrap();
    assert!(first.lines[0].is_retracted && first.resolution.is_some(), "{first:?}");
    cases.trigger(&alert(2, "transfer:7:scam"));
    assert_eq!(cases.case(2).unwrap().state(UnixNanos(0)), "open", "the address is listed again");
    cases.withdraw("transfer:7:scam", UnixNanos(9 * SECOND));
    assert!(cases.case(2).unwrap().is_moot());
    assert!(cases.alerts(None).all(|alert| alert.line.is_retracted));
}

#[test]
fn an_alert_about_a_held_withdrawal_is_no_second_loss_and_shadow_opens_nothing() {
    let mut cases = Cases::default();
    cases.trigger(&held(1, "alice", 7, "5000"));
    let about = Trigger {
        entity: account("alice"),
        at_risk: AtRisk::Value(amount("5000")),
        probability_ppm: Some(900_000),
        about: Some(1),
        ..alert(2, "f1")
    };
    cases.trigger(&about);
    assert_eq!(cases.case(1).unwrap().expected_loss, Some(amount("4500")), "the worse of two views of it");
    let shadow = Trigger { entity: account("bob"), verdict: Verdict::Allow, ..alert(3, "f2") };
    cases.trigger(&shadow);
    assert_eq!(cases.sizes(UnixNanos(0)).cases, 1);
    let listed: Vec<_> = cases.alerts(None).map(|alert| (alert.line.position, alert.case)).collect();
    assert_eq!(listed, [(3, None), (2, Some(1))]);
}

/// A flood of held withdrawals of one account stays one case, and does not push out what people work on.
#[test]
fn a_flood_is_one_bounded_case() {
    let mut cases = Cases::default();
    cases.trigger(&held(1, "alice", 1, "500"));
    does(&mut cases, 2, "user:ann", 1, propose(1)).unwrap();
    for position in 3..1_000 {
        cases.trigger(&held(position, "alice", (position % 251) as u8, "1"));
    }
    let case = cases.case(1).unwrap();
    assert_eq!((case.held.len(), case.lines.len(), case.triggers), (HELD_MAX, TRIGGERS_MAX, 998));
    does(&mut cases, 1_001, "user:ben", 1, Ask::Approve { decision: 1 }).unwrap();
    assert!(release(&cases, "alice", 1, 1_002).is_some());
    assert_eq!(cases.sizes(UnixNanos(0)).cases, 1);
}

#[test]
fn the_case_closed_longest_ago_makes_room() {
    let mut cases = Cases::default();
    for position in 0..CASES_MAX as u64 {
        cases.trigger(&held(position, &format!("u{position}"), 1, "1"));
    }
    let resolve = Ask::Resolve { disposition: Disposition::Inconclusive, reason: "x".into() };
    does(&mut cases, 100_000, "user:ann", 77, resolve).unwrap();
    cases.trigger(&held(100_001, "new", 1, "1"));
    assert!(cases.case(77).is_none() && cases.case(0).is_some() && cases.held(77).is_none());
    cases.trigger(&held(100_002, "newer", 1, "1"));
    assert!(cases.case(0).is_none(), "the least urgent and oldest");
    assert_eq!(cases.sizes(UnixNanos(0)).forgotten, 2);
}

const PEOPLE: [&str; 4] = ["user:ann", "operator:ANN", "user:ben", "service:desk"];

#[derive(Debug, Clone)]
enum Step {
    Alert(u8),
    Ask { who: usize, case: usize, what: usize, item: usize },
    Forged { who: usize, case: usize, item: usize },
    Held { who: u8, what: u8 },
    Later(u64),
    Repeat { who: u8, what: u8 },
    Retract(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => any::<u8>().prop_map(|name| Step::Alert(name % 4)),
        8 => (0..4_usize, any::<usize>(), 0..6_usize, any::<usize>())
            .prop_map(|(who, case, what, item)| Step::Ask { who, case, what, item }),
        1 => (0..4_usize, any::<usize>(), any::<usize>())
            .prop_map(|(who, case, item)| Step::Forged { who, case, item }),
        4 => (0..3_u8, 0..3_u8).prop_map(|(who, what)| Step::Held { who, what }),
        1 => (1..100_000_u64).prop_map(Step::Later),
        4 => (0..3_u8, 0..3_u8).prop_map(|(who, what)| Step::Repeat { who, what }),
        1 => any::<u8>().prop_map(|name| Step::Retract(name % 4)),
    ]
}

proptest! {
    /// Whatever people try in whatever order, also past the checks: nothing is let through that two different people did
    /// not release, and no release is used twice or after its end. The same entries give the same state.
    #[test]
    fn never_released_by_one_person(steps in proptest::collection::vec(step(), 1..120)) {
        let mut cases = Cases::default();
        let mut again = Cases::default();
        let mut now = 1;
        let mut passed: BTreeSet<u64> = BTreeSet::new();
        let names = ["alice", "bob", "carol"];
        for step in steps {
            now += 1;
            let at = UnixNanos(now * SECOND);
            match step {
                Step::Later(seconds) => now += seconds,
                Step::Held { who, what } => {
                    let trigger = held(now, names[usize::from(who)], what, "500");
                    cases.trigger(&trigger);
                    again.trigger(&trigger);
                }
                Step::Alert(name) => {
                    let trigger = alert(now, &name.to_string());
                    cases.trigger(&trigger);
                    again.trigger(&trigger);
                }
                Step::Retract(name) => {
                    cases.retract(&name.to_string(), at);
                    again.retract(&name.to_string(), at);
                }
                Step::Repeat { who, what } => {
                    let name = names[usize::from(who)];
                    if let Some(found) = release(&cases, name, what, now) {
                        let (case, item) = cases.held(found.held).unwrap();
                        prop_assert_eq!(case.entity.to_string(), format!("account:{name}"));
                        prop_assert_eq!(item.fingerprint, [what; 16]);
                        let Review::Released { proposed_by, approved_by, until, .. } = &item.review else {
                            return Err(TestCaseError::fail("not released"));
                        };
                        prop_assert!(!proposed_by.id().eq_ignore_ascii_case(approved_by.id()));
                        prop_assert!(at <= *until);
                        prop_assert!(passed.insert(found.held), "used twice");
                        cases.used(found.held, now);
                        again.used(found.held, now);
                    }
                }
                Step::Ask { who, case, what, item } => {
                    let ids: Vec<u64> = cases.cases.keys().copied().collect();
                    let Some(id) = ids.get(case % ids.len().max(1)) else { continue };
                    let case = cases.case(*id).unwrap();
                    let decision = case.held.get(item % case.held.len().max(1)).map_or(0, |item| item.decision);
                    let reason = || "because".to_owned();
                    let ask = match what {
                        0 | 1 => Ask::Propose { decision, reason: reason() },
                        2 | 3 => Ask::Approve { decision },
                        4 if item % 3 == 0 => Ask::Decline { decision, reason: reason() },
                        4 => Ask::Assign { to: Some("ann".into()) },
                        _ if item % 5 == 0 => Ask::Resolve {
                            disposition: Disposition::ALL[item % 3], reason: reason(),
                        },
                        _ => Ask::Note { text: reason() },
                    };
                    if let Ok(done) = cases.prepare(*id, case.revision, actor(PEOPLE[who]), ask, at) {
                        let entry = CaseEntry::Action(done);
                        prop_assert_eq!(cases.apply(now, at, entry.clone()), Ok(()));
                        prop_assert_eq!(again.apply(now, at, entry), Ok(()));
                    }
                }
                Step::Forged { who, case, item } => {
                    // An entry that nobody checked before it was written.
                    let ids: Vec<u64> = cases.cases.keys().copied().collect();
                    let Some(id) = ids.get(case % ids.len().max(1)) else { continue };
                    let case = cases.case(*id).unwrap();
                    let decision = case.held.get(item % case.held.len().max(1)).map_or(0, |item| item.decision);
                    let action = Action::Approve { decision, until: UnixNanos(u64::MAX) };
                    let forged = CaseAction { case: *id, revision: case.revision, actor: actor(PEOPLE[who]), action };
                    prop_assert!(cases.apply(now, at, CaseEntry::Action(forged.clone())).is_err());
                    prop_assert!(again.apply(now, at, CaseEntry::Action(forged)).is_err());
                }
            }
            // The indexes say what the cases say.
            for ((account, fingerprint), held) in &cases.ready {
                for held in held {
                    let (case, item) = cases.held(*held).unwrap();
                    prop_assert_eq!(case.entity.account(), Some(account));
                    prop_assert_eq!(item.fingerprint, *fingerprint);
                    let is_released = matches!(item.review, Review::Released { .. });
                    prop_assert!(is_released);
                }
            }
            for case in cases.cases.values() {
                prop_assert_eq!(case.resolution.is_none(), cases.open.contains(&(case.priority, case.id)));
                prop_assert_eq!(case.revision, case.done.len() as u64);
            }
        }
        prop_assert_eq!(cases.digest(), again.digest());
    }
}

fn appeals(cases: &mut Cases, position: u64, who: &str, by: &str, against: Against) -> Result<(), CaseError> {
    let account = AccountId::parse(who).unwrap();
    let appealed = Appealed { by: actor(by), account, against, text: "it was me".into() };
    let at = UnixNanos(position * SECOND);
    cases.check_appeal(&appealed, at)?;
    cases.apply(position, at, CaseEntry::decode(&CaseEntry::Appealed(appealed).encode()).unwrap())
}

fn answer(appeal: u64, outcome: Outcome) -> Ask {
    Ask::Answer { appeal, outcome, reason: "looked again".into() }
}

#[test]
fn an_appeal_joins_the_case_of_its_withdrawal_and_is_answered_once_by_somebody_else() {
    let mut cases = Cases::default();
    cases.trigger(&held(10, "alice", 1, "2000"));
    let loss = cases.case(10).unwrap().expected_loss;
    // Long after, when nothing else would join.
    let late = 10 + 9 * 86_400;
    appeals(&mut cases, late, "alice", "service:shop", Against::Decision(10)).unwrap();
    let case = cases.case(10).unwrap();
    assert_eq!((case.appeals[0].id, case.expected_loss, case.triggers), (late, loss, 2));
    assert_eq!(cases.appeal(late).unwrap().state(), "open");
    let again = appeals(&mut cases, late + 1, "alice", "service:shop", Against::Decision(10));
    assert_eq!(again, Err(CaseError::AppealOpen { appeal: late }));

    let resolve = Ask::Resolve { disposition: Disposition::Fraud, reason: "x".into() };
    let early = does(&mut cases, late + 2, "user:ann", 10, resolve.clone());
    assert_eq!(early, Err(CaseError::AppealOpen { appeal: late }));
    let own = does(&mut cases, late + 3, "user:SHOP", 10, answer(late, Outcome::Overturned));
    assert_eq!(own, Err(CaseError::OwnAppeal { actor: "user:SHOP".into() }));
    let other = does(&mut cases, late + 4, "user:ann", 10, answer(7, Outcome::Overturned));
    assert_eq!(other, Err(CaseError::UnknownAppeal { appeal: 7 }));
    does(&mut cases, late + 5, "user:ann", 10, answer(late, Outcome::Overturned)).unwrap();
    assert_eq!(cases.appeal(late).unwrap().state(), "overturned");
    assert_eq!(release(&cases, "alice", 1, late + 6), None, "an answer releases nothing");
    let twice = does(&mut cases, late + 6, "user:ben", 10, answer(late, Outcome::Upheld));
    assert_eq!(twice, Err(CaseError::Answered { appeal: late, outcome: "overturned" }));
    // There is a withdrawal in it, so people close it.
    assert!(cases.case(10).unwrap().resolution.is_none());
    does(&mut cases, late + 7, "user:ann", 10, resolve).unwrap();
    // And the next appeal is a case of its own.
    appeals(&mut cases, late + 8, "alice", "service:shop", Against::Decision(10)).unwrap();
    assert_eq!(cases.appeal(late + 8).unwrap().case, late + 8);
    assert_eq!(cases.open_appeals(), 1);
}

#[test]
fn a_case_of_appeals_alone_is_closed_by_the_last_answer() {
    let mut cases = Cases::default();
    appeals(&mut cases, 5, "alice", "user:sue", Against::Ban("192.0.2.7".into())).unwrap();
    appeals(&mut cases, 6, "alice", "user:sue", Against::Decision(3)).unwrap();
    let case = cases.case(5).unwrap();
    assert_eq!((case.priority, case.appeals.len()), (Priority::Low, 2), "nothing is at risk");
    assert_eq!(cases.alerts(None).count(), 0, "an appeal is no alert");
    does(&mut cases, 7, "user:ann", 5, answer(5, Outcome::Overturned)).unwrap();
    assert!(cases.case(5).unwrap().resolution.is_none());
    does(&mut cases, 8, "user:ann", 5, answer(6, Outcome::Upheld)).unwrap();
    let resolution = cases.case(5).unwrap().resolution.as_ref().unwrap();
    assert_eq!((resolution.disposition, &resolution.by), (Disposition::Legitimate, &actor("user:ann")));
    assert_eq!((cases.open_appeals(), cases.appeals(None).count()), (0, 2));
}

#[test]
fn appeals_of_a_day_are_bounded_and_count_again_the_next_day() {
    let mut cases = Cases::default();
    let first = 100;
    for n in 0..u64::try_from(APPEALS_PER_DAY_MAX).unwrap() {
        appeals(&mut cases, first + n, "alice", "service:shop", Against::Decision(n)).unwrap();
    }
    let more = Against::Decision(90);
    assert_eq!(
        appeals(&mut cases, 200, "alice", "service:shop", more.clone()),
        Err(CaseError::TooManyAppeals)
    );
    appeals(&mut cases, 201, "bob", "service:shop", more.clone()).unwrap();
    let tomorrow = first + 86_400;
    let taken = appeals(&mut cases, tomorrow, "alice", "service:shop", more.clone());
    assert_eq!(taken, Err(CaseError::AppealOpen { appeal: 201 }));
    appeals(&mut cases, tomorrow, "alice", "service:shop", Against::Decision(91)).unwrap();
    // An entry that breaks the rules changes nothing, however it got there.
    let forged = Appealed {
        by: Actor::system(),
        account: AccountId::parse("carol").unwrap(),
        against: Against::Decision(92),
        text: "x".into(),
    };
    let before = cases.digest();
    let at = UnixNanos((tomorrow + 1) * SECOND);
    assert!(cases.apply(tomorrow + 1, at, CaseEntry::Appealed(forged)).is_err());
    assert_ne!(cases.digest(), before, "it is counted");
    assert_eq!(cases.appeals(None).count(), APPEALS_PER_DAY_MAX + 2);
}
