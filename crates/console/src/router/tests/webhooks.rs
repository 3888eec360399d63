//! Endpoints whose texts are all hostile, and what forms about them come to.

use super::*;
use crate::{DeadLine, WebhookDeed, WebhookDone, WebhookFile, WebhookLine, WebhookWords, Webhooks};

const EVIL: &str = "<script>alert(1)</script>\"><img src=x onerror=alert(2)>";

pub(super) struct Bells;

fn line() -> WebhookLine {
    WebhookLine {
        name: "siem".to_owned(),
        url: EVIL.to_owned(),
        events: vec![EVIL.to_owned()],
        accounts: true,
        scheme: "ed25519",
        state: "disabled",
        disabled_why: Some("It answered 410."),
        state_at: UnixNanos(0),
        delivered: 3,
        failed: vec![("timeout", 2)],
        waiting: 1,
        behind: 9,
        dead: 1,
        is_failing: true,
        last: Some((UnixNanos(0), EVIL.to_owned())),
        public_key: Some(EVIL.to_owned()),
        previous_until: Some(UnixNanos(0)),
        added_by: EVIL.to_owned(),
        added_at: UnixNanos(0),
    }
}

impl Webhooks for Bells {
    fn list(&self) -> Vec<WebhookLine> {
        vec![line()]
    }

    fn one(&self, name: &str) -> Option<WebhookFile> {
        let letter = DeadLine {
            id: EVIL.to_owned(),
            kind: "decision.held",
            entry: 7,
            at: UnixNanos(0),
            tries: 18,
            why: EVIL.to_owned(),
        };
        (name == "siem").then(|| WebhookFile { line: line(), dead: vec![letter] })
    }

    fn types(&self) -> Vec<(&'static str, Vec<&'static str>)> {
        vec![("decision", vec!["decision.held"])]
    }

    fn act<'a>(
        &'a self,
        viewer: &'a Viewer,
        name: &'a str,
        deed: WebhookDeed,
        words: WebhookWords,
    ) -> BoxFuture<'a, Result<WebhookDone, NotDone>> {
        assert!(viewer.may(Capability::ManageWebhooks), "nobody else comes this far");
        Box::pin(async move {
            match deed {
                WebhookDeed::Add { scheme } if scheme == "hmac" && words.accounts => {
                    Ok(WebhookDone::Key("whsec_AAAA".to_owned()))
                }
                WebhookDeed::Test => Ok(WebhookDone::Tried { taken: false, says: EVIL.to_owned() }),
                WebhookDeed::Pause | WebhookDeed::Remove if name == "siem" => Ok(WebhookDone::Done),
                _ => Err(NotDone(EVIL.to_owned())),
            }
        })
    }
}

async fn post(role: &str, path: &str, site: &str, form: &str) -> (StatusCode, HeaderMap, String) {
    let request = asked(&Method::POST, path, Some(role))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("sec-fetch-site", site)
        .body(Body::from(form.to_owned()))
        .unwrap();
    answer(request).await
}

#[tokio::test]
async fn forms_about_endpoints_take_a_right_and_an_origin_and_show_a_secret_once() {
    let (all, one) = ("/console/webhooks", "/console/webhooks/siem");
    let add = "name=siem&url=https%3A%2F%2Fx&events=decision&scheme=hmac&accounts=1";
    for (path, form) in [(all, add), (one, "deed=test"), (one, "deed=remove")] {
        assert_eq!(post("security_engineer", path, "cross-site", form).await.0, StatusCode::FORBIDDEN);
        for role in ["admin", "auditor", "viewer"] {
            assert_eq!(post(role, path, "same-origin", form).await.0, StatusCode::FORBIDDEN, "{role}");
        }
    }
    let (status, headers, body) = post("security_engineer", all, "same-origin", add).await;
    assert!(status == StatusCode::OK && body.contains("whsec_AAAA"), "{body}");
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    let (status, _, body) = post("sre", one, "same-origin", "deed=test").await;
    assert!(
        status == StatusCode::OK && body.contains("was not taken") && !body.contains("<img src=x"),
        "{body}"
    );
    for (form, to) in [("deed=pause", one), ("deed=remove", all)] {
        let (status, headers, _) = post("sre", one, "same-origin", form).await;
        assert_eq!((status, headers[header::LOCATION].to_str().unwrap()), (StatusCode::SEE_OTHER, to));
    }
    let (status, _, body) = post("sre", one, "same-origin", "deed=rotate&overlap_hours=1").await;
    assert!(
        status == StatusCode::CONFLICT && body.contains("Not done") && !body.contains("<img src=x"),
        "{body}"
    );
    assert_eq!(post("sre", one, "same-origin", "deed=x").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(post("sre", "/console/webhooks/none", "same-origin", "deed=x").await.0, StatusCode::NOT_FOUND);
    // Who only reads is offered nothing to do.
    let (_, _, body) = get_as(one, Some("auditor")).await;
    assert!(!body.contains("Send a test message") && body.contains("Dead letters"));
}
