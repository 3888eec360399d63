//! Over a real journal in a folder, which is closed and opened again where a kill is meant.

use std::path::Path;

use api::ChangeRequests as _;
use domain::ManualClock;
use identity::{Change, Passkey, Role, requests::LIFE_DEFAULT, webauthn::PublicKey};

use super::*;
use crate::{
    access,
    config::Config,
    control::{Request, Response},
    core::Core,
};

const NOW: UnixNanos = UnixNanos::from_secs(1_800_000_000);

async fn open(dir: &Path, at: UnixNanos) -> (Core, Arc<ManualClock>) {
    let file = format!(
        "[data]\ndir = {:?}\nkek_file = {:?}\n[gateway]\nupstream = \"http://127.0.0.1:9\"\n[identity]\norigin = \"http://localhost:1\"\n",
        dir.join("data").display().to_string(),
        dir.join("kek").display().to_string()
    );
    let config = Config::parse("test", &file, dir).unwrap();
    let clock = Arc::new(ManualClock::new(at));
    let core = Core::open(config, Arc::clone(&clock) as _, &mut |_, _, _| {}).await.unwrap();
    (core, clock)
}

fn who(text: &str, roles: &[Role]) -> Principal {
    let capabilities = roles.iter().flat_map(|role| role.capabilities()).collect();
    Principal { actor: text.parse().unwrap(), capabilities }
}

async fn identity(core: &Core, change: Change) {
    core.ground.record_identity(&change, core.clock.now()).await.unwrap();
}

async fn invited(core: &Core, user: &str, roles: Vec<Role>) {
    let by = (Actor::operator(), core.clock.now());
    let invite = core.ground.people().invite(user, roles, user.as_bytes(), by).unwrap();
    identity(core, invite.change).await;
}

async fn ask(core: &Core, by: &str, user: &str, roles: &[&str]) -> Result<ChangeFile, ChangesError> {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    let payload = access::encoded(&access::NewRoles { user: user.to_owned(), roles });
    core.requests.open(by.parse().unwrap(), access::ROLES, payload, ("joins the desk", LIFE_DEFAULT)).await
}

fn roles(core: &Core, user: &str) -> Vec<Role> {
    core.ground.people().roles(user).unwrap()
}

fn identity_entries(core: &Core) -> u64 {
    core.ground.read(|fold| fold.counts().get(&Kind::Identity).copied().unwrap_or(0))
}

fn state(core: &Core, id: u64) -> (State, Option<String>) {
    let file = core.requests.show(&who("user:carl", &[Role::Admin]), id).unwrap();
    let said = match file.request.end.clone() {
        Some((End::Failed { why: text } | End::Executed { outcome: text }, _)) => Some(text),
        _ => None,
    };
    (file.request.state(file.now), said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_done_when_somebody_else_agrees_to_what_they_saw() {
    let dir = tempfile::tempdir().unwrap();
    let (core, _) = open(dir.path(), NOW).await;
    invited(&core, "ben", vec![]).await;
    let file = ask(&core, "user:anna", "ben", &["approver"]).await.unwrap();
    let (id, digest) = (file.request.id, file.request.digest);
    assert_eq!(file.request.opened.summary, "roles of ben: approver instead of nothing");
    let approve = |by: &str, roles: &[Role], digest| core.requests.approve(who(by, roles), id, digest);

    let lacking = approve("user:carl", &[Role::Sre], digest).await;
    assert_eq!(lacking.unwrap_err(), ChangesError::Missing { needs: Capability::ApproveAccess });
    for (by, digest) in
        [("user:Anna", digest), ("operator:anna", digest), ("user:ben", digest), ("user:carl", [0; 32])]
    {
        let refused = approve(by, &[Role::Admin], digest).await.unwrap_err();
        assert!(matches!(refused, ChangesError::Rule(_)), "{by}: {refused}");
    }
    assert_eq!(roles(&core, "ben"), []);
    let before = identity_entries(&core);
    let both = [who("user:carl", &[Role::Admin]), who("user:dora", &[Role::Approver])];
    let [carl, dora] = both.map(|who| core.requests.approve(who, id, digest));
    let (carl, dora) = tokio::join!(carl, dora);
    assert!(carl.is_ok() != dora.is_ok(), "{carl:?} {dora:?}");
    assert_eq!(roles(&core, "ben"), [Role::Approver]);
    assert_eq!(identity_entries(&core), before + 1);
    assert_eq!(state(&core, id).0, State::Executed);
    let again = ask(&core, "user:anna", "ben", &["approver"]).await.unwrap_err();
    assert_eq!(again, ChangesError::NotPossible { why: "it is so already".to_owned() });
    let nobody = ask(&core, "user:anna", "zoe", &["approver"]).await.unwrap_err();
    assert!(matches!(nobody, ChangesError::NotPossible { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_agreed_to_is_not_done_to_another_state() {
    let dir = tempfile::tempdir().unwrap();
    let (core, clock) = open(dir.path(), NOW).await;
    invited(&core, "ben", vec![]).await;
    let file = ask(&core, "user:anna", "ben", &["approver"]).await.unwrap();
    let change = core.ground.people().set_roles("ben", vec![Role::Viewer], Actor::operator()).unwrap();
    identity(&core, change).await;
    let carl = || who("user:carl", &[Role::Admin]);
    core.requests.approve(carl(), file.request.id, file.request.digest).await.unwrap();
    let (ended, said) = state(&core, file.request.id);
    assert_eq!(ended, State::Failed);
    assert!(said.unwrap().contains("no longer the one"));
    assert_eq!(roles(&core, "ben"), [Role::Viewer]);

    // One that ran out is neither agreed to nor taken back.
    let file = ask(&core, "user:anna", "ben", &["approver"]).await.unwrap();
    clock.advance(LIFE_DEFAULT);
    let id = file.request.id;
    assert!(core.requests.approve(carl(), id, file.request.digest).await.is_err());
    assert!(core.requests.withdraw(who("user:anna", &[]), id).await.is_err());
    assert_eq!(state(&core, id).0, State::Expired);
    let file = ask(&core, "user:anna", "ben", &["approver"]).await.unwrap();
    core.requests.withdraw(who("operator:anna", &[]), file.request.id).await.unwrap();
    let file = ask(&core, "user:anna", "ben", &["approver"]).await.unwrap();
    core.requests.decline(carl(), file.request.id, "no".to_owned()).await.unwrap();
    assert_eq!(state(&core, file.request.id).0, State::Declined);
    assert_eq!(roles(&core, "ben"), [Role::Viewer]);
}

/// A kill after the approval, and one between the effect and what says that it is done: either way it is done once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_approval_and_effect_or_behind_the_effect_does_it_once() {
    for with_effect in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (core, _) = open(dir.path(), NOW).await;
        invited(&core, "ben", vec![]).await;
        let file = ask(&core, "user:anna", "ben", &["approver"]).await.unwrap();
        let id = file.request.id;
        let approved =
            Entry::Approved { request: id, digest: file.request.digest, by: "user:carl".parse().unwrap() };
        core.ground.record(vec![draft(&approved, NOW)]).await.unwrap();
        if with_effect {
            let change =
                core.ground.people().set_roles("ben", vec![Role::Approver], Actor::operator()).unwrap();
            identity(&core, change).await;
        }
        let before = identity_entries(&core) + u64::from(!with_effect);
        core.close().unwrap();
        drop(core);

        let (core, _) = open(dir.path(), NOW.plus(Duration::from_secs(60))).await;
        assert_eq!(state(&core, id).0, State::Approved);
        core.requests.resume().await;
        core.requests.resume().await;
        let (ended, said) = state(&core, id);
        assert_eq!(ended, State::Executed);
        assert_eq!(said.as_deref() == Some("found done"), with_effect);
        assert_eq!((roles(&core, "ben"), identity_entries(&core)), (vec![Role::Approver], before));
    }
}

/// Agreed to, then down for longer than the request was good for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ran_out_before_it_was_done_is_not_done() {
    let dir = tempfile::tempdir().unwrap();
    let (core, clock) = open(dir.path(), NOW).await;
    invited(&core, "ben", vec![]).await;
    let file = ask(&core, "user:anna", "ben", &["approver"]).await.unwrap();
    let id = file.request.id;
    let approved =
        Entry::Approved { request: id, digest: file.request.digest, by: "user:carl".parse().unwrap() };
    core.ground.record(vec![draft(&approved, NOW)]).await.unwrap();
    clock.advance(LIFE_DEFAULT);
    core.requests.resume().await;
    assert_eq!(state(&core, id), (State::Failed, Some("it ran out before it was done".to_owned())));
    assert_eq!(roles(&core, "ben"), []);
}

/// What somebody is shown when they ask is good for nothing before somebody else has approved it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_and_tokens_are_good_when_somebody_else_has_approved_them() {
    let dir = tempfile::tempdir().unwrap();
    let (core, _) = open(dir.path(), NOW).await;
    invited(&core, "dora", vec![Role::Admin]).await;
    let local = || ("local".to_owned(), "a new program".to_owned());
    let create = |name: &str| {
        let (by, reason) = local();
        let (name, capabilities) = (name.to_owned(), vec!["write_events".to_owned()]);
        Request::ServicesCreate {
            name,
            capabilities,
            ips: vec!["192.0.2.0/24".to_owned()],
            days: 30,
            by,
            reason,
        }
    };
    let invite = |user: &str| {
        let (by, reason) = local();
        Request::PeopleInvite { user: user.to_owned(), roles: vec!["approver".to_owned()], by, reason }
    };
    let ask = async |request| core.handle(request, &mut |_, _, _| ()).await;
    // Nobody could approve: the set-up goes on.
    let Ok(Response::ServiceCreated(first)) = ask(create("first")).await else { panic!("no token") };
    assert!(first.change.is_none() && first.expires_at.is_some());
    let passkey = Passkey { id: vec![1; 16], key: PublicKey::Ed25519([7; 32]), counter: 0 };
    identity(&core, Change::Enrolled { user: "dora".to_owned(), passkey }).await;

    let from = "192.0.2.7".parse().unwrap();
    let people = || core.ground.people();
    let Ok(Response::ServiceCreated(second)) = ask(create("second")).await else { panic!("no token") };
    let Ok(Response::Invited(ben)) = ask(invite("ben")).await else { panic!("no link") };
    assert!(people().program(second.token.as_bytes(), from, NOW).is_none());
    let (_, secret) = ben.link.split_once('#').unwrap();
    assert!(people().begin_enrolment(secret.as_bytes(), [1; 32], NOW).is_err());
    for change in [second.change.unwrap(), ben.change.unwrap()] {
        let id = api::change_id(&change).unwrap();
        let dora = || who("user:dora", &[Role::Admin]);
        let digest = core.requests.show(&dora(), id).unwrap().request.digest;
        let done = core.requests.approve(dora(), id, digest).await.unwrap();
        assert_eq!(done.request.state(NOW), State::Executed, "{done:?}");
    }
    let program = people().program(second.token.as_bytes(), from, NOW).unwrap();
    assert_eq!(
        (program.actor.to_string().as_str(), program.capabilities),
        ("service:second", vec![Capability::WriteEvents])
    );
    assert!(people().program(second.token.as_bytes(), "203.0.113.1".parse().unwrap(), NOW).is_none());
    let (user, _) = people().begin_enrolment(secret.as_bytes(), [1; 32], NOW).unwrap();
    assert_eq!((user.as_str(), roles(&core, "ben")), ("ben", vec![Role::Approver]));
    // The same name in capitals would be the same person for every rule that takes two.
    assert!(ask(invite("Dora")).await.is_err());
    // A program that could approve would be a way around a second person.
    let (by, reason) = local();
    let capabilities = vec!["approve_access".to_owned()];
    let around =
        Request::ServicesCreate { name: "x".to_owned(), capabilities, ips: vec![], days: 1, by, reason };
    assert!(ask(around).await.is_err());
}

/// Two names at one shell are two persons only until somebody has a passkey.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_is_one_person_where_persons_sign_in() {
    let dir = tempfile::tempdir().unwrap();
    let (core, _) = open(dir.path(), NOW).await;
    invited(&core, "ben", vec![]).await;
    let first = ask(&core, "operator:local", "ben", &["viewer"]).await.unwrap();
    let other = || who("operator:carl", &[Role::Admin]);
    core.requests.approve(other(), first.request.id, first.request.digest).await.unwrap();
    assert_eq!(roles(&core, "ben"), [Role::Viewer]);
    let passkey = Passkey { id: vec![1; 16], key: PublicKey::Ed25519([7; 32]), counter: 0 };
    identity(&core, Change::Enrolled { user: "ben".to_owned(), passkey }).await;
    let second = ask(&core, "operator:local", "ben", &["approver"]).await.unwrap();
    let (id, digest) = (second.request.id, second.request.digest);
    assert_eq!(core.requests.approve(other(), id, digest).await.unwrap_err(), ChangesError::OneShell);
    core.requests.approve(who("user:dora", &[Role::Admin]), id, digest).await.unwrap();
    assert_eq!(roles(&core, "ben"), [Role::Approver]);
}
