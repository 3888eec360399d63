//! What operators see and do.

use super::*;
use crate::ports::Operations;

/// Has everything stopped, and refuses every deed.
pub(super) struct Office;

fn refused<'a>() -> BoxFuture<'a, Result<(), NotDone>> {
    Box::pin(std::future::ready(Err(NotDone(EVIL.to_owned()))))
}

fn key_line() -> KeyLine {
    KeyLine {
        id: "k-1".to_owned(),
        account: EVIL.to_owned(),
        label: EVIL.to_owned(),
        permissions: vec!["read".to_owned()],
        ips: vec![EVIL.to_owned()],
        state: "active".to_owned(),
        created_at: None,
        last_used_at: Some(EVIL.to_owned()),
        remarks: vec![EVIL.to_owned()],
    }
}

impl Operations for Office {
    fn stopped(&self) -> Emergency {
        let until = UnixNanos::from_secs(1_800_000_000);
        let proposal = Proposed { number: 7, by: EVIL.to_owned(), reason: EVIL.to_owned(), until };
        let stopped = |scope: &str, is_account| Stopped {
            scope: scope.to_owned(),
            is_account,
            at: until,
            by: EVIL.to_owned(),
            reason: EVIL.to_owned(),
            proposal: Some(proposal.clone()),
        };
        Emergency {
            frozen: vec![stopped(EVIL, false), stopped("account:mallory", true)],
            alarm: Some(Guarded { by: EVIL.to_owned(), reason: EVIL.to_owned(), until }),
            only_looks: true,
        }
    }

    fn stop(&self, _: Actor, _: StopDeed) -> BoxFuture<'_, Result<(), NotDone>> {
        refused()
    }

    fn keys(&self, _: Option<&str>) -> (Vec<KeyLine>, usize) {
        (vec![key_line()], 3)
    }

    fn key(&self, id: &str) -> Option<KeyFile> {
        (id == "k-1").then(|| KeyFile {
            line: key_line(),
            facts: vec![(EVIL.to_owned(), EVIL.to_owned())],
            restrictions: vec![(EVIL.to_owned(), EVIL.to_owned())],
            uses: vec![[EVIL, EVIL, EVIL, EVIL].map(str::to_owned)],
            known_from: vec![([EVIL, EVIL, EVIL].map(str::to_owned), true)],
        })
    }

    fn change_key<'a>(
        &'a self,
        _: Actor,
        _: &'a str,
        _: KeyDeed,
        _: String,
    ) -> BoxFuture<'a, Result<(), NotDone>> {
        refused()
    }

    fn ban(&self, _: Actor, _: BanDeed, _: String) -> BoxFuture<'_, Result<(), NotDone>> {
        refused()
    }

    fn drill(&self, _: Actor) -> BoxFuture<'_, Result<(), NotDone>> {
        refused()
    }

    fn proof(&self, _: u64) -> BoxFuture<'_, Result<(String, String), NotDone>> {
        Box::pin(std::future::ready(Ok((EVIL.to_owned(), EVIL.to_owned()))))
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        let evil = || (EVIL.to_owned(), EVIL.to_owned());
        let checked = Checked { what: EVIL.to_owned(), tone: Tone::Bad, words: EVIL.to_owned() };
        let health = Health {
            checked: vec![checked],
            facts: vec![evil()],
            settings: [Some(3), None]
                .map(|line| Setting { key: EVIL.to_owned(), value: EVIL.to_owned(), line })
                .to_vec(),
            file: EVIL.to_owned(),
            read_at: UnixNanos::from_secs(1),
            is_reloaded: true,
            digest: EVIL.to_owned(),
        };
        Box::pin(std::future::ready(health))
    }
}

/// What operators do is asked for from a page of the console, by somebody who may; and what was refused says so.
#[tokio::test]
async fn deeds_need_their_capability_and_the_same_origin() {
    let send = async |path: &str, form: &str, role: &str, site: &str| {
        let request = asked(&Method::POST, path, Some(role))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", site)
            .body(Body::from(form.to_owned()))
            .unwrap();
        answer(request).await
    };
    for (path, form, may, may_not) in [
        ("/console/emergency", "deed=freeze&kind=all&reason=x", "sre", "viewer"),
        ("/console/emergency", "deed=propose&scope=all&reason=x", "approver", "sre"),
        ("/console/emergency", "deed=approve&scope=all&number=7", "approver", "fraud_analyst"),
        ("/console/emergency", "deed=raise&minutes=5&reason=x", "sre", "approver"),
        ("/console/keys/k-1", "deed=revoke&reason=x", "security_engineer", "fraud_analyst"),
        ("/console/bans", "deed=ban&target=192.0.2.7&minutes=5&reason=x", "sre", "admin"),
        ("/console/backups", "", "sre", "viewer"),
    ] {
        assert_eq!(send(path, form, may, "cross-site").await.0, StatusCode::FORBIDDEN, "{path}");
        let (status, _, body) = send(path, form, may_not, "same-origin").await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path} as {may_not}");
        assert!(body.contains("none of your roles has"), "{path}");
        let (status, _, body) = send(path, form, may, "same-origin").await;
        assert_eq!(status, StatusCode::CONFLICT, "{path} as {may}");
        assert!(body.contains("&lt;script&gt;") && !body.contains("<script>"), "{path}");
    }
    for (path, form) in [
        ("/console/emergency", "deed=explode"),
        ("/console/keys/k-1", ""),
        ("/console/bans", "deed=ban&target=x"),
    ] {
        let (status, ..) = send(path, form, "security_engineer", "same-origin").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
    }
}

/// While something is frozen every page says so, and names of customers are told to those alone who may read them.
#[tokio::test]
async fn what_is_frozen_stands_on_every_page() {
    for (path, page) in all_pages() {
        for role in Role::ALL {
            let allows: Vec<_> = role.capabilities().collect();
            if !allows.contains(&page.capability) {
                continue;
            }
            let (_, _, body) = get_as(&path, Some(role.as_str())).await;
            assert!(body.contains("Withdrawals are frozen"), "{path}");
            assert!(body.contains("Alarm: the gateway is on its guard"), "{path}");
            let told = body.contains("mallory");
            assert!(!told || allows.contains(&Capability::ReadCases), "{path} as {}", role.as_str());
        }
    }
}
