use super::*;
use crate::webauthn::tests::Authenticator;

const NOW: UnixNanos = UnixNanos::from_secs(1_800_000_000);
const HOME: &str = "192.0.2.7";

fn origin() -> Origin {
    Origin::parse("https://caponier.example").unwrap()
}

fn home() -> IpAddr {
    HOME.parse().unwrap()
}

fn enrol(
    desk: &Desk,
    authenticator: &Authenticator,
    secret: &[u8],
) -> Result<Result<Change, WebauthnError>, Refused> {
    let challenge = [1; 32];
    desk.begin_enrolment(secret, challenge, NOW)?;
    let made = authenticator.make(origin().expected(&challenge));
    let enrolment =
        Enrolment { challenge: &challenge, client_data: &made.client_data, attestation: &made.data };
    desk.finish_enrolment(secret, enrolment, &origin(), NOW)
}

fn sign_in(desk: &Desk, authenticator: &mut Authenticator) -> Result<Change, WebauthnError> {
    let challenge = [2; 32];
    desk.begin_sign_in(challenge, NOW);
    let used = authenticator.sign(origin().expected(&challenge));
    let sign_in = SignIn {
        challenge: &challenge,
        passkey: &authenticator.id,
        client_data: &used.client_data,
        authenticator_data: &used.data,
        signature: &used.signature,
    };
    desk.finish_sign_in(sign_in, &origin(), home(), NOW)
}

#[test]
fn a_person_is_invited_enrols_signs_in_and_loses_it_all() {
    let desk = Desk::default();
    let mut authenticator = Authenticator::p256();
    assert_eq!(sign_in(&desk, &mut authenticator), Err(WebauthnError::Signature), "nobody is known");
    let invite =
        desk.invite("anna", vec![Role::Sre, Role::Admin, Role::Sre], b"s1", (Actor::operator(), NOW));
    desk.apply(invite.unwrap().change, NOW);
    assert!(!desk.anybody_enrolled());
    assert_eq!(desk.begin_enrolment(b"other", [0; 32], NOW).unwrap_err(), Refused::Invitation);
    let late = NOW.plus(INVITE_LIFE);
    assert_eq!(desk.begin_enrolment(b"s1", [0; 32], late).unwrap_err(), Refused::Invitation);
    let enrolled = enrol(&desk, &authenticator, b"s1").unwrap().unwrap();
    // Nothing is in force before it is recorded.
    assert_eq!(sign_in(&desk, &mut authenticator), Err(WebauthnError::Signature));
    desk.apply(enrolled, NOW);
    assert_eq!(enrol(&desk, &Authenticator::ed25519(3), b"s1"), Err(Refused::Invitation), "used up");
    let Ok(Change::SignedIn { user, .. }) = sign_in(&desk, &mut authenticator) else { panic!() };
    let cookie = desk.open_session(&user, &[3; 32], (Means::Passkey, home()), NOW).cookie.expose().clone();
    let (principal, _) = desk.session(&cookie, NOW).unwrap();
    assert_eq!(principal.actor.to_string(), "user:anna");
    assert!(principal.capabilities.contains(&Capability::ReadMetrics));
    assert!(Desk::is_csrf(&cookie, &Desk::csrf(&cookie)) && !Desk::is_csrf(&cookie, &cookie));

    // Roles have effect in open sessions at once.
    desk.apply(desk.set_roles("anna", vec![Role::Viewer], Actor::operator()).unwrap(), NOW);
    let (principal, _) = desk.session(&cookie, NOW).unwrap();
    assert!(!principal.capabilities.contains(&Capability::ReadMetrics));
    desk.apply(desk.remove_user("anna", Actor::operator()).unwrap(), NOW);
    assert_eq!(desk.session(&cookie, NOW), None);
    assert_eq!(sign_in(&desk, &mut authenticator), Err(WebauthnError::Signature));
    assert_eq!(desk.remove_user("anna", Actor::operator()), Err(Refused::Unknown("anna".into())));
}

#[test]
fn a_challenge_is_for_one_ceremony_of_one_person() {
    let desk = Desk::default();
    let mut authenticator = Authenticator::ed25519(1);
    for (user, secret) in [("anna", b"s1"), ("ben", b"s2")] {
        desk.apply(desk.invite(user, vec![], secret, (Actor::operator(), NOW)).unwrap().change, NOW);
    }
    let challenge = [1; 32];
    desk.begin_enrolment(b"s1", challenge, NOW).unwrap();
    let made = authenticator.make(origin().expected(&challenge));
    let enrolment =
        Enrolment { challenge: &challenge, client_data: &made.client_data, attestation: &made.data };
    let finish = |secret: &[u8]| desk.finish_enrolment(secret, enrolment, &origin(), NOW);
    assert_eq!(finish(b"s2"), Ok(Err(WebauthnError::Challenge)), "Ben with Anna's challenge");
    assert_eq!(finish(b"s1"), Ok(Err(WebauthnError::Challenge)), "used up by the attempt");
    desk.apply(enrol(&desk, &authenticator, b"s1").unwrap().unwrap(), NOW);
    assert_eq!(enrol(&desk, &authenticator, b"s2"), Err(Refused::PasskeyKnown));
    // The challenge of an enrolment signs nobody in.
    desk.begin_enrolment(b"s2", challenge, NOW).unwrap();
    let used = authenticator.sign(origin().expected(&challenge));
    let sign_in = SignIn {
        challenge: &challenge,
        passkey: &authenticator.id,
        client_data: &used.client_data,
        authenticator_data: &used.data,
        signature: &used.signature,
    };
    let refused = desk.finish_sign_in(sign_in, &origin(), home(), NOW);
    assert_eq!(refused, Err(WebauthnError::Challenge));
}

#[test]
fn programs_are_bound_to_address_time_and_capabilities() {
    let desk = Desk::default();
    let (ips, day) = (IpAllowList::parse(&["192.0.2.0/24"]).unwrap(), Duration::from_secs(86_400));
    let make = |name: &str, capabilities: &[Capability], life| {
        let who = (Actor::operator(), NOW);
        desk.create_service(name, capabilities.to_vec(), ips.clone(), (b"token", life), who)
    };
    let one = [Capability::WriteEvents];
    assert_eq!(make("a b", &one, day), Err(Refused::Name));
    assert_eq!(make("desk", &[], day), Err(Refused::Nothing));
    assert_eq!(make("desk", &one, Duration::ZERO), Err(Refused::Life));
    assert_eq!(make("desk", &one, LIFE_MAX + day), Err(Refused::Life));
    desk.apply(make("desk", &one, day).unwrap(), NOW);
    let found = desk.program(b"token", home(), NOW).unwrap();
    assert_eq!((found.actor.to_string(), found.capabilities), ("service:desk".to_owned(), one.to_vec()));
    assert_eq!(desk.program(b"other", home(), NOW), None);
    assert_eq!(desk.program(b"token", "198.51.100.1".parse().unwrap(), NOW), None);
    assert_eq!(desk.program(b"token", home(), NOW.plus(day)), None);
    let digest = desk.digest();
    desk.apply(desk.revoke_service("desk", Actor::operator()).unwrap(), NOW);
    assert_eq!(desk.program(b"token", home(), NOW), None);
    assert_ne!(desk.digest(), digest);
}

#[test]
fn only_origins_that_browsers_make_passkeys_at_are_taken() {
    for text in ["https://caponier.example", "https://a.b:8444", "http://localhost", "http://localhost:8444"]
    {
        assert_eq!(Origin::parse(text).map(|origin| origin.as_str().to_owned()), Ok(text.to_owned()));
    }
    assert_eq!(Origin::parse("https://a.b:8444").unwrap().rp_id(), "a.b");
    for text in [
        "",
        "caponier.example",
        "http://caponier.example",
        "https://127.0.0.1",
        "https://a.b/",
        "https://A.b",
        "https://a..b",
        "https://a.b:08",
        "https://[::1]",
        "http://localhost.evil.example",
    ] {
        assert_eq!(Origin::parse(text), Err(OriginError), "{text}");
    }
}
