use crypto::SigningKey;
use serde_json::Value;

use super::*;
use crate::{
    authenticator::Authenticator,
    authority::{Notional, NotionalBounds},
    key::Permission,
    oauth::{GRANTS_PER_ACCOUNT_MAX, metadata::REVOKE_PATH, token::TOKEN_BYTES_MAX},
    registry::Registry,
};

const START: UnixNanos = UnixNanos::from_secs(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);
const ISSUER: &str = "https://api.example.com";
const REDIRECT: &str = "https://app.example/cb";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A server with one app, and the app's key.
struct World {
    server: OauthServer,
    key: SigningKey,
    now: UnixNanos,
    made: u8,
}

impl World {
    fn new() -> Self {
        let config = OauthConfig::new(ISSUER, "https://www.example.com/consent").unwrap();
        let ledger = Arc::new(Ledger::new(64));
        for (id, scopes) in [("app-1", "read trade"), ("app-2", "read")] {
            let app = App::new(id, "Bot", &[REDIRECT], parse_scope(scopes).unwrap(), START).unwrap();
            ledger.apply(AppChange::Registered(Arc::new(app))).unwrap();
        }
        let server = OauthServer::new(config, ledger, &Secret::new([1; 32]), ReplayWindow::new(1_000, 7));
        Self { server, key: SigningKey::from_seed([7; 32]), now: START, made: 0 }
    }

    fn query(changes: &[(&str, &str)]) -> String {
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", "app-1"),
            ("redirect_uri", REDIRECT),
            ("scope", "read trade"),
            ("state", "xyz"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in changes {
            parameters.retain(|(known, _)| known != name);
            if !value.is_empty() {
                parameters.push((name, value));
            }
        }
        with_query("", &parameters)[1..].to_owned()
    }

    fn authorize(&mut self, changes: &[(&str, &str)]) -> Result<String, AuthorizeFailure> {
        self.made += 1;
        self.server.authorize(Self::query(changes).as_bytes(), [self.made; 16], self.now)
    }

    fn handle(&mut self, changes: &[(&str, &str)]) -> String {
        let url = self.authorize(changes).unwrap();
        url.strip_prefix("https://www.example.com/consent?request=").unwrap().to_owned()
    }

    fn consent() -> Consent {
        Consent {
            account: AccountId::parse("alice").unwrap(),
            scopes: parse_scope("read trade").unwrap(),
            restrictions: Restrictions::default(),
            ip_allow: IpAllowList::default(),
            environment: Environment::Live,
            life: GRANT_LIFE_MAX,
        }
    }

    fn code(&mut self, changes: &[(&str, &str)], consent: Consent) -> String {
        let handle = self.handle(changes);
        let number = [self.made; 16];
        let url = self.server.approve(&handle, consent, ([self.made; 32], number), self.now).unwrap();
        parameter(&url, "code")
    }

    fn proof_by(&mut self, key: &SigningKey, method: &str, url: &str, token: Option<&str>) -> String {
        self.made += 1;
        let x = base64url(&key.verifying_key().0);
        let header =
            format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}}}"#);
        let ath = token.map(|token| format!(r#","ath":"{}""#, base64url(&sha256(&[token.as_bytes()]))));
        let (jti, iat) = (self.made, self.now.as_secs());
        let claims = format!(
            r#"{{"jti":"{jti}","htm":"{method}","htu":"{url}","iat":{iat}{}}}"#,
            ath.unwrap_or_default()
        );
        let input = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
        format!("{input}.{}", base64url(&key.sign(input.as_bytes())))
    }

    fn proof(&mut self, method: &str, path: &str, token: Option<&str>) -> String {
        let key = SigningKey::from_seed(*self.key.seed().expose());
        self.proof_by(&key, method, &format!("{ISSUER}{path}"), token)
    }

    /// Asks for tokens with a fresh proof, and applies what is to be applied.
    fn token(&mut self, parameters: &[(&str, &str)]) -> Result<Value, OauthError> {
        let proof = self.proof("POST", TOKEN_PATH, None);
        self.token_with(parameters, Some(&proof))
    }

    fn token_with(&mut self, parameters: &[(&str, &str)], proof: Option<&str>) -> Result<Value, OauthError> {
        let body = with_query("", parameters);
        let body = body.strip_prefix('?').unwrap_or_default();
        let outcome = self.server.token(body.as_bytes(), proof.map(str::as_bytes), self.now);
        if let Some(change) = outcome.change {
            // As it is after a restart.
            self.server.ledger.apply(AppChange::decode(&change.encode()).unwrap()).unwrap();
        }
        outcome.answer.map(|body| serde_json::from_str(&body).unwrap())
    }

    fn redeem(&mut self, code: &str) -> Result<Value, OauthError> {
        self.token(&redemption(code))
    }

    fn refresh(&mut self, token: &str) -> Result<Value, OauthError> {
        self.token(&[("grant_type", "refresh_token"), ("client_id", "app-1"), ("refresh_token", token)])
    }

    fn tokens(&mut self, consent: Consent) -> (String, String) {
        let code = self.code(&[], consent);
        pair(&self.redeem(&code).unwrap())
    }

    fn call(&mut self, access: &str, endpoint: Endpoint) -> Result<Verified, Refusal> {
        let proof = self.proof("POST", "/api/v5/trade/order", Some(access));
        self.call_with(access, Some(&proof), endpoint)
    }

    fn call_with(&self, access: &str, proof: Option<&str>, endpoint: Endpoint) -> Result<Verified, Refusal> {
        let authorization = format!("DPoP {access}");
        let request = AppRequest {
            method: b"POST",
            path: b"/api/v5/trade/order",
            authorization: authorization.as_bytes(),
            proof: proof.map(str::as_bytes),
            simulated: None,
        };
        self.server.verify(&request, IpAddr::from([192, 0, 2, 1]), endpoint, self.now)
    }
}

fn redemption(code: &str) -> [(&'static str, &str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("client_id", "app-1"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ]
}

fn pair(answer: &Value) -> (String, String) {
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

fn parameter(url: &str, name: &str) -> String {
    let (_, query) = url.split_once('?').unwrap();
    Form::parse(query.as_bytes()).unwrap().value(name).unwrap().to_owned()
}

#[test]
fn rfc_7636_appendix_b() {
    let challenge = array_from_base64url(CHALLENGE).unwrap();
    assert!(is_challenge_of(&challenge, VERIFIER));
    for bad in ["", &VERIFIER[1..], &VERIFIER.replace('d', "D"), CHALLENGE, &format!("{VERIFIER}=")] {
        assert!(!is_challenge_of(&challenge, bad), "{bad}");
    }
    // A verifier must be long enough even if it hashes to the challenge.
    assert!(!is_challenge_of(&sha256(&[b"short"]), "short"));
}

#[test]
fn a_customer_lets_an_app_trade() {
    let mut world = World::new();
    let handle = world.handle(&[]);
    let view = world.server.consent_view(&handle, world.now).unwrap();
    assert_eq!((view.app.client_id(), view.redirect_uri.as_str()), ("app-1", REDIRECT));
    assert_eq!(scope_text(view.scopes), "read trade");

    let restrictions = Restrictions::default().with_instruments(&["BTC-*"]).unwrap();
    let consent = Consent { restrictions: restrictions.clone(), ..World::consent() };
    let url = world.server.approve(&handle, consent, ([9; 32], [8; 16]), world.now).unwrap();
    assert!(url.starts_with("https://app.example/cb?code="), "{url}");
    assert_eq!((parameter(&url, "state"), parameter(&url, "iss")), ("xyz".into(), ISSUER.into()));

    let answer = world.redeem(&parameter(&url, "code")).unwrap();
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&"DPoP".into(), &600.into()));
    assert_eq!(answer["scope"], "read trade");
    let (access, refresh) = pair(&answer);
    assert!(access.len() <= TOKEN_BYTES_MAX && refresh.len() <= TOKEN_BYTES_MAX);

    let verified = world.call(&access, Endpoint::TRADE).unwrap();
    assert_eq!((verified.account().as_str(), verified.proof()), ("alice", Proof::App));
    assert_eq!(verified.key_id().as_str(), "grant-08080808080808080808080808080808");
    assert_eq!(verified.restrictions().as_deref(), Some(&restrictions));
    assert!(verified.use_to_record().is_none() && verified.is_in_force());
    assert_eq!(crate::oauth::grant_number(verified.key_id()), Some([8; 16]));

    let refreshed = world.refresh(&refresh).unwrap();
    assert!(world.call(&pair(&refreshed).0, Endpoint::READ).is_ok());
    let grants = world.server.ledger.grants_of(verified.account(), world.now);
    assert_eq!((grants.len(), grants[0].app.name()), (1, "Bot"));
}

#[test]
fn an_app_never_withdraws_and_opens_no_session() {
    let mut world = World::new();
    let (access, _) = world.tokens(World::consent());
    for endpoint in [Endpoint::WITHDRAW, Endpoint::SESSION] {
        assert_eq!(world.call(&access, endpoint).unwrap_err(), Refusal::PermissionMissing);
    }
    for scope in ["withdraw", "read withdraw"] {
        let Err(AuthorizeFailure::Redirect(url)) = world.authorize(&[("scope", scope)]) else { panic!() };
        assert_eq!(parameter(&url, "error"), "invalid_scope");
    }
    let handle = world.handle(&[]);
    let all = Permissions::new(&Permission::ALL).unwrap();
    let consent = Consent { scopes: all, ..World::consent() };
    let refused = world.server.approve(&handle, consent, ([9; 32], [8; 16]), world.now);
    assert_eq!(refused, Err(ConsentError::ScopesExceedRequest));
}

#[test]
fn a_bad_authorization_request_goes_nowhere_it_should_not() {
    let mut world = World::new();
    for (changes, error) in [
        (&[("client_id", "app-9")][..], OauthError::ClientUnknown),
        (&[("client_id", "")], OauthError::ClientUnknown),
        (&[("redirect_uri", "https://app.example/cb/")], OauthError::RedirectUnknown),
        (&[("redirect_uri", "https://app.example/cb?x=1")], OauthError::RedirectUnknown),
        (&[("redirect_uri", "https://evil.example/cb")], OauthError::RedirectUnknown),
        (&[("redirect_uri", "")], OauthError::RedirectUnknown),
    ] {
        assert_eq!(world.authorize(changes), Err(AuthorizeFailure::Page(error)), "{changes:?}");
    }
    let twice = format!("{}&client_id=app-2", World::query(&[]));
    let malformed = Err(AuthorizeFailure::Page(OauthError::FormMalformed));
    assert_eq!(world.server.authorize(twice.as_bytes(), [1; 16], START), malformed);

    let long = "a".repeat(STATE_BYTES_MAX + 1);
    for (changes, error) in [
        (&[("response_type", "token")][..], "unsupported_response_type"),
        (&[("response_type", "")], "invalid_request"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge", &CHALLENGE[1..])], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("state", "")], "invalid_request"),
        (&[("state", &long)], "invalid_request"),
        (&[("scope", "")], "invalid_request"),
        (&[("scope", "read all")], "invalid_scope"),
        (&[("dpop_jkt", "x")], "invalid_request"),
        (&[("client_id", "app-2")], "invalid_scope"),
    ] {
        let Err(AuthorizeFailure::Redirect(url)) = world.authorize(changes) else { panic!("{changes:?}") };
        assert!(url.starts_with("https://app.example/cb?error="), "{url}");
        assert_eq!(parameter(&url, "error"), error, "{changes:?}");
        assert_eq!(parameter(&url, "iss"), ISSUER);
    }
}

#[test]
fn a_handle_is_answered_once_and_in_time() {
    let mut world = World::new();
    let handle = world.handle(&[]);
    let url = world.server.deny(&handle, world.now).unwrap();
    assert_eq!((parameter(&url, "error"), parameter(&url, "state")), ("access_denied".into(), "xyz".into()));
    let approve = |world: &World, handle: &str| {
        world.server.approve(handle, World::consent(), ([9; 32], [8; 16]), world.now)
    };
    assert_eq!(approve(&world, &handle), Err(ConsentError::Answered));
    assert_eq!(world.server.deny(&handle, world.now), Err(ConsentError::Answered));
    assert!(world.server.consent_view(&handle, world.now).is_none());

    let late = world.handle(&[]);
    world.now = world.now.plus(HANDLE_LIFE);
    assert_eq!(approve(&world, &late), Err(ConsentError::HandleUnknown));
    let mut forged = world.handle(&[]).into_bytes();
    forged[20] ^= 1;
    assert_eq!(approve(&world, &String::from_utf8(forged).unwrap()), Err(ConsentError::HandleUnknown));

    let handle = world.handle(&[]);
    for life in [Duration::ZERO, GRANT_LIFE_MAX + SECOND] {
        let consent = Consent { life, ..World::consent() };
        let refused = world.server.approve(&handle, consent, ([9; 32], [8; 16]), world.now);
        assert_eq!(refused, Err(ConsentError::Life));
    }
    let disabled = AppChange::Disabled { client_id: "app-1".into(), at: world.now };
    world.server.ledger.apply(disabled).unwrap();
    assert_eq!(approve(&world, &handle), Err(ConsentError::HandleUnknown));
    assert_eq!(world.authorize(&[]), Err(AuthorizeFailure::Page(OauthError::ClientUnknown)));
}

#[test]
fn a_code_is_for_one_app_one_address_one_verifier_one_minute_and_one_attempt() {
    let bad = [
        ("client_id", "app-2"),
        ("redirect_uri", "https://app.example/cb2"),
        ("redirect_uri", ""),
        ("code_verifier", ""),
        ("code_verifier", "a23456789012345678901234567890123456789012345"),
    ];
    for (name, value) in bad {
        let mut world = World::new();
        let code = world.code(&[], World::consent());
        let parameters =
            redemption(&code).map(|(known, old)| (known, if known == name { value } else { old }));
        assert_eq!(world.token(&parameters).unwrap_err(), OauthError::GrantInvalid, "{name}");
        assert_eq!(world.redeem(&code).unwrap_err(), OauthError::GrantInvalid, "after {name}");
    }
    let mut world = World::new();
    let code = world.code(&[], World::consent());
    world.now = world.now.plus(CODE_LIFE);
    assert_eq!(world.redeem(&code).unwrap_err(), OauthError::GrantInvalid);
    assert_eq!(world.redeem("unknown").unwrap_err(), OauthError::GrantInvalid);

    // Bound to a key by the request.
    let thumbprint = base64url(&[5; 32]);
    let code = world.code(&[("dpop_jkt", &thumbprint)], World::consent());
    assert_eq!(world.redeem(&code).unwrap_err(), OauthError::GrantInvalid);
    let own = {
        let proof = world.proof("POST", TOKEN_PATH, None);
        base64url(DpopProof::parse(proof.as_bytes()).unwrap().thumbprint())
    };
    let code = world.code(&[("dpop_jkt", &own)], World::consent());
    assert!(world.redeem(&code).is_ok());
}

#[test]
fn a_code_that_comes_twice_ends_the_grant() {
    let mut world = World::new();
    let code = world.code(&[], World::consent());
    let (access, refresh) = pair(&world.redeem(&code).unwrap());
    assert!(world.call(&access, Endpoint::READ).is_ok());
    assert_eq!(world.redeem(&code).unwrap_err(), OauthError::GrantInvalid);
    assert_eq!(world.call(&access, Endpoint::READ).unwrap_err(), Refusal::GrantEnded);
    assert_eq!(world.refresh(&refresh).unwrap_err(), OauthError::GrantInvalid);

    // Twice at once: the end is on record before the beginning.
    let code = world.code(&[], World::consent());
    let body = with_query("", &redemption(&code))[1..].to_owned();
    let outcomes: Vec<_> = (0..3)
        .map(|_| {
            let proof = world.proof("POST", TOKEN_PATH, None);
            world.server.token(body.as_bytes(), Some(proof.as_bytes()), world.now)
        })
        .collect();
    assert!(outcomes[0].answer.is_ok() && outcomes[1].answer.is_err() && outcomes[2].answer.is_err());
    assert!(outcomes[2].change.is_none(), "a third time is nothing new");
    let before = world.server.ledger.len();
    for outcome in outcomes.into_iter().rev() {
        if let Some(change) = outcome.change {
            world.server.ledger.apply(change).unwrap();
        }
    }
    assert_eq!(world.server.ledger.len(), before);
}

#[test]
fn a_refresh_token_that_comes_twice_ends_the_grant() {
    let mut world = World::new();
    let (access, first) = world.tokens(World::consent());
    let (_, second) = pair(&world.refresh(&first).unwrap());
    let (_, third) = pair(&world.refresh(&second).unwrap());
    assert_eq!(world.refresh(&first).unwrap_err(), OauthError::GrantInvalid);
    assert_eq!(world.call(&access, Endpoint::READ).unwrap_err(), Refusal::GrantEnded);
    assert_eq!(world.refresh(&third).unwrap_err(), OauthError::GrantInvalid);
    assert!(world.server.ledger.is_empty());
}

#[test]
fn of_concurrent_refreshes_one_passes() {
    let mut world = World::new();
    let (_, refresh) = world.tokens(World::consent());
    let body = format!("grant_type=refresh_token&client_id=app-1&refresh_token={refresh}");
    let proofs: Vec<String> = (0..8).map(|_| world.proof("POST", TOKEN_PATH, None)).collect();
    let passed: usize = std::thread::scope(|scope| {
        let (server, body, now) = (&world.server, &body, world.now);
        let all: Vec<_> = proofs
            .iter()
            .map(|proof| {
                scope.spawn(move || server.token(body.as_bytes(), Some(proof.as_bytes()), now).answer.is_ok())
            })
            .collect();
        all.into_iter().map(|one| usize::from(one.join().unwrap())).sum()
    });
    assert_eq!(passed, 1);
}

#[test]
fn a_refresh_token_is_for_its_app_and_key_and_not_for_ever() {
    let mut world = World::new();
    let (access, refresh) = world.tokens(World::consent());
    let parameters = [("grant_type", "refresh_token"), ("client_id", "app-2"), ("refresh_token", &*refresh)];
    assert_eq!(world.token(&parameters).unwrap_err(), OauthError::GrantInvalid);
    let thief = SigningKey::from_seed([66; 32]);
    let proof = world.proof_by(&thief, "POST", &format!("{ISSUER}{TOKEN_PATH}"), None);
    let own = [("grant_type", "refresh_token"), ("client_id", "app-1"), ("refresh_token", &*refresh)];
    assert_eq!(world.token_with(&own, Some(&proof)).unwrap_err(), OauthError::GrantInvalid);
    // Neither the wrong app nor the wrong key used it up.
    let narrower = [&own[..], &[("scope", "read")]].concat();
    let answer = world.token(&narrower).unwrap();
    assert_eq!(answer["scope"], "read");
    let (narrow, refresh) = pair(&answer);
    assert!(world.call(&narrow, Endpoint::READ).is_ok());
    assert_eq!(world.call(&narrow, Endpoint::TRADE).unwrap_err(), Refusal::PermissionMissing);
    assert!(world.call(&access, Endpoint::TRADE).is_ok());

    // Unused for more than 15 days, as a key that is not bound to addresses.
    world.now = world.now.plus(Duration::from_secs(15 * 24 * 3_600 + 1));
    assert_eq!(world.refresh(&refresh).unwrap_err(), OauthError::GrantInvalid);

    let mut world = World::new();
    let short = Consent { life: SECOND * 60, ..World::consent() };
    let code = world.code(&[], short);
    let answer = world.redeem(&code).unwrap();
    assert_eq!(answer["expires_in"], 60);
    world.now = world.now.plus(SECOND * 60);
    assert_eq!(world.refresh(&pair(&answer).1).unwrap_err(), OauthError::GrantInvalid);
    assert_eq!(world.call(&pair(&answer).0, Endpoint::READ).unwrap_err(), Refusal::TokenExpired);
}

#[test]
fn the_token_endpoint_demands_a_fresh_proof_for_itself() {
    let mut world = World::new();
    let code = world.code(&[], World::consent());
    let parameters = redemption(&code);
    assert_eq!(world.token_with(&parameters, None).unwrap_err(), OauthError::ProofMissing);
    let bad = [
        world.proof("GET", TOKEN_PATH, None),
        world.proof("POST", REVOKE_PATH, None),
        world.proof("POST", TOKEN_PATH, Some("token")),
        "x.y.z".to_owned(),
    ];
    for proof in &bad {
        let error = world.token_with(&parameters, Some(proof)).unwrap_err();
        assert!(matches!(error, OauthError::ProofInvalid(_)), "{error:?}");
        assert_eq!((error.code(), error.http_status()), ("invalid_dpop_proof", 400));
    }
    let proof = world.proof("POST", TOKEN_PATH, None);
    assert!(world.token_with(&parameters, Some(&proof)).is_ok(), "a bad proof costs no code");
    assert_eq!(world.token_with(&parameters, Some(&proof)).unwrap_err(), OauthError::ProofRepeated);
    for (parameters, error) in [
        (&[][..], OauthError::Parameter { name: "grant_type" }),
        (&[("grant_type", "password")], OauthError::GrantTypeUnsupported),
        (&[("grant_type", "client_credentials")], OauthError::GrantTypeUnsupported),
        (&[("grant_type", "refresh_token")], OauthError::Parameter { name: "client_id" }),
        (&[("grant_type", "refresh_token"), ("client_id", "no-app")], OauthError::ClientUnknown),
        (
            &[("grant_type", "refresh_token"), ("client_id", "app-1")],
            OauthError::Parameter { name: "refresh_token" },
        ),
        (
            &[("grant_type", "authorization_code"), ("client_id", "app-1")],
            OauthError::Parameter { name: "code" },
        ),
    ] {
        assert_eq!(world.token(parameters).unwrap_err(), error);
        let body: Value = serde_json::from_str(&error.body()).unwrap();
        assert_eq!(body["error"], error.code());
    }
}

#[test]
fn a_request_needs_a_good_token_and_a_proof_for_it() {
    let mut world = World::new();
    let (access, refresh) = world.tokens(World::consent());
    let url = format!("{ISSUER}/api/v5/trade/order");
    let call = |world: &World, token: &str, proof: Option<&str>| {
        world.call_with(token, proof, Endpoint::TRADE).map(drop)
    };
    let good = world.proof("POST", "/api/v5/trade/order", Some(&access));
    assert_eq!(call(&world, &access, Some(&good)), Ok(()));
    for token in ["", "x", &refresh, &access[..access.len() - 1], &format!("{access} ")] {
        assert_eq!(call(&world, token, Some(&good)), Err(Refusal::TokenInvalid), "{token}");
    }
    assert_eq!(call(&world, &access, None), Err(Refusal::DpopInvalid));
    let thief = SigningKey::from_seed([66; 32]);
    let bad = [
        world.proof("GET", "/api/v5/trade/order", Some(&access)),
        world.proof("POST", "/api/v5/trade/orders", Some(&access)),
        world.proof("POST", "/api/v5/trade/order", None),
        world.proof("POST", "/api/v5/trade/order", Some(&refresh)),
        world.proof_by(&thief, "POST", &url, Some(&access)),
        world.proof_by(&thief, "POST", "https://evil.example/api/v5/trade/order", Some(&access)),
    ];
    for proof in &bad {
        assert_eq!(call(&world, &access, Some(proof)), Err(Refusal::DpopInvalid));
    }
    assert!(OauthServer::is_app_authorization(b"dpop x") && !OauthServer::is_app_authorization(b"Bearer x"));
    let bearer = AppRequest {
        method: b"POST",
        path: b"/api/v5/trade/order",
        authorization: b"Bearer x",
        proof: Some(good.as_bytes()),
        simulated: None,
    };
    let ip = IpAddr::from([192, 0, 2, 1]);
    let refused = world.server.verify(&bearer, ip, Endpoint::READ, world.now).unwrap_err();
    assert_eq!(refused, Refusal::TokenInvalid);
    let authorization = format!("DPoP {access}");
    let demo = AppRequest { authorization: authorization.as_bytes(), simulated: Some(b"1"), ..bearer };
    let refused = world.server.verify(&demo, ip, Endpoint::TRADE, world.now).unwrap_err();
    assert_eq!(refused, Refusal::EnvironmentMismatch);

    world.now = world.now.plus(SECOND * 31);
    assert_eq!(call(&world, &access, Some(&good)), Err(Refusal::DpopInvalid), "an old proof");
    world.now = START.plus(ACCESS_LIFE);
    assert_eq!(call(&world, &access, Some(&good)), Err(Refusal::TokenExpired));
}

#[test]
fn a_proof_passes_once_whatever_the_method() {
    let mut world = World::new();
    let (access, _) = world.tokens(World::consent());
    let authenticator = Authenticator::new(Arc::new(Registry::new(1, 1)), ReplayWindow::new(100, 1), [1; 32]);
    let proof = world.proof("POST", "/api/v5/trade/order", Some(&access));
    for repeatable in [true, false] {
        let verified = world.call_with(&access, Some(&proof), Endpoint::READ).unwrap();
        let admitted = authenticator.admit_once(&verified, repeatable, world.now).map(drop);
        assert_eq!(admitted.is_ok(), repeatable, "{admitted:?}");
    }
}

#[test]
fn ends_are_at_once() {
    let mut world = World::new();
    let (access, refresh) = world.tokens(World::consent());
    let revoke = |world: &World, body: String| {
        let outcome = world.server.revoke(body.as_bytes(), world.now);
        let answer = outcome.answer;
        outcome.change.into_iter().for_each(|change| world.server.ledger.apply(change).unwrap());
        answer
    };
    assert_eq!(revoke(&world, "client_id=app-1&token=unknown".into()), Ok(()));
    assert_eq!(revoke(&world, format!("client_id=app-2&token={refresh}")), Ok(()));
    assert_eq!(revoke(&world, "client_id=app-1".into()), Err(OauthError::Parameter { name: "token" }));
    assert_eq!(revoke(&world, format!("token={refresh}")), Err(OauthError::ClientUnknown));
    let verified = world.call(&access, Endpoint::READ).unwrap();
    assert_eq!(revoke(&world, format!("client_id=app-1&token={access}")), Ok(()));
    assert!(!verified.is_in_force());
    assert_eq!(world.call(&access, Endpoint::READ).unwrap_err(), Refusal::GrantEnded);

    let (access, _) = world.tokens(World::consent());
    let disabled = AppChange::Disabled { client_id: "app-1".into(), at: world.now };
    let verified = world.call(&access, Endpoint::READ).unwrap();
    world.server.ledger.apply(disabled).unwrap();
    assert!(!verified.is_in_force() && world.server.ledger.is_empty());
    assert_eq!(world.call(&access, Endpoint::READ).unwrap_err(), Refusal::GrantEnded);
}

#[test]
fn grants_are_bounded_and_those_that_ran_out_make_room() {
    let mut world = World::new();
    for _ in 0..GRANTS_PER_ACCOUNT_MAX {
        let short = Consent { life: SECOND * 60, ..World::consent() };
        world.tokens(short);
    }
    let handle = world.handle(&[]);
    let approve = |world: &World| {
        world.server.approve(&handle, World::consent(), ([200; 32], [200; 16]), world.now).map(drop)
    };
    assert_eq!(approve(&world), Err(ConsentError::TooManyGrants));
    world.now = world.now.plus(SECOND * 60);
    assert_eq!(approve(&world), Ok(()));
    assert!(world.server.ledger.is_empty());
}

#[test]
fn a_grant_has_a_budget_and_its_records_are_its_own() {
    let mut world = World::new();
    let bounds = |text: &str| {
        let amount = domain::Amount::parse(text).unwrap();
        NotionalBounds::new(domain::Asset::parse("USDT").unwrap(), None, Some(amount)).unwrap()
    };
    let restrictions = Restrictions::default().with_notional(bounds("100"));
    let (access, _) = world.tokens(Consent { restrictions, ..World::consent() });
    let verified = world.call(&access, Endpoint::TRADE).unwrap();
    let value = |text: &str| Notional::of(domain::Amount::parse(text).unwrap()).unwrap();
    let Some(crate::Change::App(change)) = verified.charge(value("60"), world.now).unwrap() else {
        panic!("a first charge reserves")
    };
    assert_eq!(change.as_str(), "grant_spent");
    world.server.ledger.apply(change).unwrap();
    assert!(verified.charge(value("60"), world.now).unwrap().is_none());
    assert_eq!(verified.charge(value("60"), world.now).unwrap_err(), Refusal::NotionalSpent);
}

#[test]
fn settings_are_checked() {
    let page = "https://www.example.com/consent";
    assert!(OauthConfig::new("https://api.example.com:8443", page).is_ok());
    for bad in
        ["http://a.example", "https://", "https://a.example/", "https://a.example/x", "https://a\"b", ""]
    {
        assert_eq!(OauthConfig::new(bad, page), Err(OauthConfigError::Issuer), "{bad}");
    }
    for bad in ["http://a.example/c", "https://a.example", "https://a.example/c#f", ""] {
        assert_eq!(OauthConfig::new(ISSUER, bad), Err(OauthConfigError::ConsentPage), "{bad}");
    }
    let document: Value = serde_json::from_str(&World::new().server.metadata()).unwrap();
    assert_eq!(document["issuer"], ISSUER);
}
