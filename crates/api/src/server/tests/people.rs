//! Persons and programs over real sockets.

use auth::IpAllowList;
use domain::Actor;
use identity::{Change, Desk, Means, Passkey, Role, webauthn::PublicKey};

use super::*;

const PROGRAM: &str = "program-token-program-token-program-token";

/// A person with a passkey and these roles, signed in: their cookie.
fn signed_in(desk: &Desk, user: &str, roles: &[Role]) -> String {
    let invited = desk.invite(user, roles.to_vec(), b"secret", (Actor::operator(), NOW)).unwrap();
    desk.apply(invited.change, NOW);
    let key = PublicKey::Ed25519([7; 32]);
    let passkey = Passkey { id: user.as_bytes().to_vec(), key, counter: 0 };
    desk.apply(Change::Enrolled { user: user.to_owned(), passkey }, NOW);
    let mut secret = [0; 32];
    secret[..user.len()].copy_from_slice(user.as_bytes());
    desk.open_session(user, &secret, (Means::Passkey, [127, 0, 0, 1].into()), NOW).cookie.expose().clone()
}

fn with_cookie(method: &str, path: &str, cookie: &str, more: &str) -> String {
    raw(method, path, None, &format!("Cookie: a=b; __Host-caponier-session={cookie}\r\n{more}"), "")
}

/// Every role may do at every route what the one table says, and nothing else.
#[tokio::test]
async fn roles_may_do_what_the_table_says() {
    let api = start().await;
    for role in Role::ALL {
        let cookie = signed_in(&api.backstage.desk, role.as_str(), &[role]);
        let csrf = format!("x-caponier-csrf: {}\r\n", Desk::csrf(&cookie));
        for route in routes().filter(|route| route.action != Action::Session(SessionCall::End)) {
            let path = concrete(route.path, "unknown");
            let request = with_cookie(route.method.as_str(), &path, &cookie, &csrf);
            let answer = api.exchange(&request).await;
            assert_ne!(answer.status, 401, "{} {}", role.as_str(), route.path);
            let allowed = answer.status != 403;
            assert_eq!(
                allowed,
                route.permission.row().roles.contains(&role),
                "{} {}",
                role.as_str(),
                route.path
            );
        }
    }
}

#[tokio::test]
async fn a_session_changes_nothing_without_the_word_of_its_pages() {
    let api = start().await;
    let cookie = signed_in(&api.backstage.desk, "anna", &[Role::Viewer]);
    let csrf = Desk::csrf(&cookie);
    let good = format!("x-caponier-csrf: {csrf}\r\n");
    for more in [
        String::new(),
        "x-caponier-csrf: 00\r\n".to_owned(),
        format!("x-caponier-csrf: {cookie}\r\n"),
        format!("{good}Sec-Fetch-Site: cross-site\r\n"),
        format!("{good}Sec-Fetch-Site: same-site\r\n"),
    ] {
        let refused = api.exchange(&with_cookie("POST", "/v1/session/end", &cookie, &more)).await;
        assert_problem(&refused, 403, "csrf-missing");
    }
    let shown = api.exchange(&with_cookie("GET", "/v1/session", &cookie, "")).await;
    assert_eq!(shown.body["actor"], json!("user:anna"));
    assert_eq!((&shown.body["csrf"], shown.status), (&json!(csrf), 200));
    // Two cookies of the name, or a token beside it: nobody guesses which is meant.
    let two = format!("Cookie: __Host-caponier-session={cookie}\r\n");
    let refused = api.exchange(&with_cookie("GET", "/v1/session", &cookie, &two)).await;
    assert_problem(&refused, 401, "unauthenticated");
    let both = "Authorization: Bearer wrong\r\n";
    let refused = api.exchange(&with_cookie("GET", "/v1/session", &cookie, both)).await;
    assert_problem(&refused, 401, "unauthenticated");

    let more = format!("{good}Sec-Fetch-Site: same-origin\r\n");
    let ended = api.exchange(&with_cookie("POST", "/v1/session/end", &cookie, &more)).await;
    assert_eq!(ended.body, json!({ "ended": true }));
    assert!(ended.head.contains("set-cookie: __host-caponier-session=; path=/; max-age=0"), "{}", ended.head);
    let gone = api.exchange(&with_cookie("GET", "/v1/session", &cookie, "")).await;
    assert_problem(&gone, 401, "unauthenticated");
    let token = api.post("/v1/session/end", "").await;
    assert_problem(&token, 404, "not-found");
}

#[tokio::test]
async fn programs_present_tokens_of_their_own() {
    let api = start().await;
    let create = |ips: &[&str]| {
        let ips = IpAllowList::parse(ips).unwrap();
        let (token, who) = ((PROGRAM.as_bytes(), Duration::from_secs(60)), (Actor::operator(), NOW));
        let created =
            api.backstage.desk.create_service("desk", vec![Permission::ReadHealth], ips, token, who);
        api.backstage.desk.apply(created.unwrap(), NOW);
    };
    let call = async |path| api.exchange(&raw("GET", path, Some(PROGRAM), "", "")).await;
    assert_problem(&call("/v1/health").await, 401, "unauthenticated");
    create(&[]);
    assert_eq!(call("/v1/health").await.status, 200);
    assert_problem(&call("/metrics").await, 403, "permission-missing");
    create(&["127.0.0.0/8"]);
    assert_eq!(call("/v1/health").await.status, 200);
    create(&["192.0.2.1"]);
    assert_problem(&call("/v1/health").await, 401, "unauthenticated");
}

#[tokio::test]
async fn the_way_in_is_closed_to_whoever_has_no_invitation_and_no_passkey() {
    let api = start().await;
    let post = async |path, body: String| api.exchange(&raw("POST", path, None, "", &body)).await;
    let begun = post("/v1/session/begin", String::new()).await;
    assert_eq!((begun.status, &begun.body["rp_id"]), (200, &json!("caponier.example")));
    let challenge = begun.body["challenge"].as_str().unwrap();
    let parts = json!({
        "challenge": challenge, "passkey": "AQ", "client_data": "e30", "authenticator_data": "AA", "signature": "AA",
    });
    assert_problem(&post("/v1/session/finish", parts.to_string()).await, 403, "passkey-refused");
    for (name, value) in [("challenge", "AA"), ("signature", "A="), ("surprise", "AA")] {
        let mut wrong = parts.clone();
        wrong[name] = json!(value);
        let refused = post("/v1/session/finish", wrong.to_string()).await;
        assert_problem(&refused, 400, "invalid-request");
        assert_eq!(refused.body["field"], json!(name));
    }
    let refused = post("/v1/enrolment/begin", json!({ "invite": "guess" }).to_string()).await;
    assert_problem(&refused, 403, "invitation-refused");
    let invited = api.backstage.desk.invite("anna", vec![], b"secret", (Actor::operator(), NOW)).unwrap();
    api.backstage.desk.apply(invited.change, NOW);
    let begun = post("/v1/enrolment/begin", json!({ "invite": "secret" }).to_string()).await;
    assert_eq!((begun.status, &begun.body["user"]), (200, &json!("anna")));
    let finish = json!({
        "invite": "secret", "challenge": begun.body["challenge"], "client_data": "e30", "attestation": "oA",
    });
    assert_problem(&post("/v1/enrolment/finish", finish.to_string()).await, 403, "passkey-refused");
    assert!(!api.backstage.desk.anybody_enrolled());
}
