use proptest::prelude::*;

use super::*;

const NOW: UnixNanos = UnixNanos::from_secs(1_800_000_000);

fn actor(text: &str) -> Actor {
    text.parse().unwrap()
}

fn opened(by: &str) -> Opened {
    Opened {
        kind: "identity.roles".to_owned(),
        payload: vec![1, 2, 3],
        summary: "roles of ben: approver".to_owned(),
        precondition: [7; 32],
        needs: Capability::ApproveReleases,
        concerns: Some("ben".to_owned()),
        reason: "ben joins the desk".to_owned(),
        by: actor(by),
        expires_at: NOW.plus(LIFE_DEFAULT),
    }
}

fn with_one() -> (Requests, [u8; 32]) {
    let mut requests = Requests::default();
    requests.apply(7, NOW, Entry::Opened(opened("user:anna"))).unwrap();
    let digest = requests.request(7).unwrap().digest;
    (requests, digest)
}

fn approved(digest: [u8; 32], by: &str) -> Entry {
    Entry::Approved { request: 7, digest, by: actor(by) }
}

#[test]
fn one_asks_another_agrees_and_it_is_done_once() {
    let (mut requests, digest) = with_one();
    assert_eq!(requests.request(7).unwrap().state(NOW), State::Open);
    let done = || Entry::Executed { request: 7, outcome: "done".to_owned() };
    assert_eq!(requests.apply(8, NOW, done()), Err(RequestError::State { state: "open" }));
    requests.apply(8, NOW, approved(digest, "user:carl")).unwrap();
    assert_eq!(requests.unfinished(), [7]);
    assert_eq!(
        requests.apply(9, NOW, approved(digest, "user:dora")),
        Err(RequestError::State { state: "approved" })
    );
    requests.apply(10, NOW, done()).unwrap();
    let request = requests.request(7).unwrap();
    assert_eq!((request.state(NOW), request.opened.payload.len()), (State::Executed, 0));
    assert_eq!(request.payload_sha256, sha256(&[&[1, 2, 3]]));
    assert_eq!(requests.apply(11, NOW, done()), Err(RequestError::State { state: "executed" }));
    assert!(requests.unfinished().is_empty());
}

#[test]
fn nobody_agrees_with_themselves_by_any_way_in() {
    let (mut requests, digest) = with_one();
    for same in ["user:anna", "user:ANNA", "operator:anna"] {
        let refused = requests.apply(8, NOW, approved(digest, same));
        assert_eq!(refused, Err(RequestError::OwnRequest { actor: same.to_owned() }));
    }
    for program in ["service:carl", "system:carl"] {
        let refused = requests.apply(8, NOW, approved(digest, program));
        assert_eq!(refused, Err(RequestError::NotAPerson { actor: program.to_owned() }));
    }
    let concerned = requests.apply(8, NOW, approved(digest, "user:Ben"));
    assert_eq!(concerned, Err(RequestError::Concerned { person: "ben".to_owned() }));
    let mut other = digest;
    other[31] ^= 1;
    assert_eq!(requests.apply(8, NOW, approved(other, "user:carl")), Err(RequestError::Digest));
    assert_eq!(requests.request(7).unwrap().state(NOW), State::Open);
    assert!(Requests::default().check(&Entry::Opened(opened("service:anna")), NOW).is_err());
}

#[test]
fn it_is_taken_back_by_who_asked_and_refused_by_others() {
    let (requests, _) = with_one();
    let withdrawn = |by: &str| Entry::Withdrawn { request: 7, by: actor(by) };
    let declined = |by: &str| Entry::Declined { request: 7, reason: "no".to_owned(), by: actor(by) };
    assert_eq!(
        requests.clone().apply(8, NOW, withdrawn("user:carl")),
        Err(RequestError::NotYours { by: "user:anna".to_owned() })
    );
    assert!(requests.check(&declined("user:anna"), NOW).is_err());
    for (entry, state) in
        [(withdrawn("operator:Anna"), State::Withdrawn), (declined("user:carl"), State::Declined)]
    {
        let mut requests = requests.clone();
        requests.apply(8, NOW, entry.clone()).unwrap();
        assert_eq!(requests.request(7).unwrap().state(NOW), state);
        assert!(requests.apply(9, NOW, entry).is_err());
    }
    let unknown = Entry::Withdrawn { request: 8, by: actor("user:anna") };
    assert_eq!(requests.check(&unknown, NOW), Err(RequestError::NotFound { request: 8 }));
}

#[test]
fn a_request_runs_out_before_and_after_it_was_agreed_to() {
    let (mut requests, digest) = with_one();
    let late = NOW.plus(LIFE_DEFAULT);
    let refused = requests.check(&approved(digest, "user:carl"), late);
    assert_eq!(refused, Err(RequestError::State { state: "expired" }));
    requests.apply(8, NOW, approved(digest, "user:carl")).unwrap();
    let done = Entry::Executed { request: 7, outcome: "done".to_owned() };
    assert_eq!(requests.check(&done, late), Err(RequestError::State { state: "expired" }));
    assert_eq!(requests.unfinished(), [7]);
    requests.apply(9, late, Entry::Failed { request: 7, why: "ran out".to_owned() }).unwrap();
    assert_eq!(requests.request(7).unwrap().state(late), State::Failed);
}

#[test]
fn what_is_asked_is_bounded() {
    let requests = Requests::default();
    let bad = |change: &dyn Fn(&mut Opened)| {
        let mut opened = opened("user:anna");
        change(&mut opened);
        requests.check(&Entry::Opened(opened), NOW).unwrap_err()
    };
    assert_eq!(bad(&|o| o.kind = "Roles".to_owned()), RequestError::Malformed { what: "kind" });
    assert_eq!(bad(&|o| o.kind = String::new()), RequestError::Malformed { what: "kind" });
    assert_eq!(
        bad(&|o| o.payload = vec![0; PAYLOAD_BYTES_MAX + 1]),
        RequestError::Malformed { what: "change" }
    );
    assert_eq!(bad(&|o| o.reason = " ".to_owned()), RequestError::Malformed { what: "reason" });
    assert_eq!(bad(&|o| o.summary = "\u{1b}[2J".to_owned()), RequestError::Malformed { what: "summary" });
    assert_eq!(bad(&|o| o.expires_at = NOW), RequestError::Until);
    assert_eq!(bad(&|o| o.expires_at = UnixNanos(NOW.plus(LIFE_MAX).0 + 1)), RequestError::Until);
}

#[test]
fn one_person_cannot_take_every_place_and_the_oldest_are_forgotten() {
    let mut requests = Requests::default();
    let mut position = 0;
    let mut open = |requests: &mut Requests, by: &str, at: UnixNanos| {
        position += 1;
        let expires_at = at.plus(LIFE_DEFAULT);
        requests.apply(position, at, Entry::Opened(Opened { expires_at, ..opened(by) }))
    };
    for _ in 0..OPEN_PER_PERSON_MAX {
        open(&mut requests, "user:anna", NOW).unwrap();
    }
    assert_eq!(open(&mut requests, "operator:ANNA", NOW), Err(RequestError::Full));
    for person in 1..OPEN_MAX / OPEN_PER_PERSON_MAX {
        for _ in 0..OPEN_PER_PERSON_MAX {
            open(&mut requests, &format!("user:p{person}"), NOW).unwrap();
        }
    }
    assert_eq!(open(&mut requests, "user:zoe", NOW), Err(RequestError::Full));
    let mut at = NOW;
    for _ in 0..6 {
        at = at.plus(LIFE_DEFAULT);
        for person in 0..OPEN_MAX / OPEN_PER_PERSON_MAX {
            for _ in 0..OPEN_PER_PERSON_MAX {
                open(&mut requests, &format!("user:p{person}"), at).unwrap();
            }
        }
    }
    assert_eq!(requests.newest(None).count(), KEPT_MAX);
    assert!(requests.request(1).is_none());
    let newest = requests.newest(None).next().unwrap().id;
    assert!(requests.newest(Some(newest)).all(|request| request.id < newest));
}

fn entries() -> Vec<Entry> {
    vec![
        Entry::Opened(opened("user:anna")),
        Entry::Opened(Opened { concerns: None, payload: Vec::new(), ..opened("operator:local") }),
        approved([9; 32], "user:carl"),
        Entry::Declined { request: u64::MAX, reason: "no\nno".to_owned(), by: actor("operator:x") },
        Entry::Withdrawn { request: 0, by: actor("user:anna") },
        Entry::Executed { request: 7, outcome: "done".to_owned() },
        Entry::Failed { request: 7, why: "state changed".to_owned() },
    ]
}

#[test]
fn what_is_written_is_read_back_and_nothing_else() {
    for entry in entries() {
        let bytes = entry.encode();
        assert_eq!(Entry::decode(&bytes), Ok(entry));
        for cut in 0..bytes.len() {
            assert!(Entry::decode(&bytes[..cut]).is_err());
        }
        assert!(Entry::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_error_or_the_one_encoding(
        which in 0_usize..7,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = entries()[which].encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(entry) = Entry::decode(&bytes) {
            prop_assert_eq!(entry.encode(), bytes);
        }
    }

    /// Whatever is recorded in whatever order: nothing is executed that two persons did not want.
    #[test]
    fn nothing_is_done_without_two(steps in prop::collection::vec((0_u8..6, 0_usize..4, 0_u64..4, 0_u64..200_000), 1..60)) {
        let people = ["user:anna", "user:Anna", "operator:carl", "service:bot"];
        let (mut requests, mut at) = (Requests::default(), NOW);
        for (position, (what, who, request, seconds)) in steps.into_iter().enumerate() {
            at = at.plus(Duration::from_secs(seconds));
            let by = actor(people[who]);
            let digest = requests.request(request).map_or([0; 32], |found| found.digest);
            let entry = match what {
                0 => Entry::Opened(Opened { expires_at: at.plus(LIFE_DEFAULT), ..opened(people[who]) }),
                1 => Entry::Approved { request, digest, by },
                2 => Entry::Declined { request, reason: "no".to_owned(), by },
                3 => Entry::Withdrawn { request, by },
                4 => Entry::Executed { request, outcome: "done".to_owned() },
                _ => Entry::Failed { request, why: "no".to_owned() },
            };
            let checked = requests.check(&entry, at);
            prop_assert_eq!(checked, requests.apply(position as u64, at, entry));
        }
        for request in requests.newest(None) {
            if request.state(at) == State::Executed {
                let (approver, _) = request.approved.clone().unwrap();
                prop_assert!(!is_same_person(approver.id(), request.opened.by.id()));
                prop_assert!(person(&approver).is_ok() && person(&request.opened.by).is_ok());
            }
        }
    }
}
