use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use proptest::prelude::*;

use super::*;
use crate::{
    ip::IpAllowList,
    key::{ApiKey, NewApiKey},
};

const SECRET: &[u8] = b"22582BD0CFF14C41EDBF1AB98506286D";
const PASSPHRASE: &[u8] = b"Correct-Horse-1";
const AT: &str = "2020-12-08T09:08:57.715Z";
const NOW: UnixNanos = UnixNanos::from_millis(1_607_418_537_715);
const INSIDE: &str = "203.0.113.7";
const OUTSIDE: &str = "198.51.100.1";

fn api_key(id: &str, permissions: &[Permission], ips: &[&str], environment: Environment) -> ApiKey {
    let new = NewApiKey {
        id: ApiKeyId::parse(id).unwrap(),
        account: AccountId::parse("alice").unwrap(),
        label: "test".into(),
        permissions: Permissions::new(permissions).unwrap(),
        ip_allow: IpAllowList::parse(ips).unwrap(),
        environment,
        secret: SecretBytes::new(SECRET.to_vec()),
    };
    ApiKey::create(new, PASSPHRASE, [3; 16], NOW.minus(Duration::from_secs(3_600))).unwrap()
}

/// `full` may do everything from one address, `loose` everything from anywhere, `reader` may read, `demo` is a demo
/// key.
fn authenticator() -> Authenticator {
    let registry = Registry::new(100, 11);
    for key in [
        api_key("full", &Permission::ALL, &[INSIDE], Environment::Live),
        api_key("loose", &Permission::ALL, &[], Environment::Live),
        api_key("reader", &[Permission::Read], &[INSIDE], Environment::Live),
        api_key("demo", &Permission::ALL, &[], Environment::Demo),
    ] {
        registry.apply(KeyChange::Created(Box::new(key))).unwrap();
    }
    Authenticator::new(Arc::new(registry), ReplayWindow::new(1_000, 12), [13; 32])
}

/// A request, good unless a test spoils it.
#[derive(Clone)]
struct Request {
    method: &'static str,
    target: &'static str,
    body: &'static [u8],
    api_key: Option<Vec<u8>>,
    sign: Option<Vec<u8>>,
    timestamp: Option<Vec<u8>>,
    passphrase: Option<Vec<u8>>,
    simulated: Option<&'static [u8]>,
    ip: &'static str,
    endpoint: Endpoint,
    now: UnixNanos,
}

impl Request {
    fn order(id: &str) -> Self {
        let (method, target, body) = ("POST", "/api/v5/trade/order", br#"{"instId":"BTC-USDT"}"#.as_slice());
        Self {
            method,
            target,
            body,
            api_key: Some(id.into()),
            sign: Some(okx::sign(SECRET, AT, method, target, body).into()),
            timestamp: Some(AT.into()),
            passphrase: Some(PASSPHRASE.into()),
            simulated: None,
            ip: INSIDE,
            endpoint: Endpoint::TRADE,
            now: NOW,
        }
    }

    fn at(self, timestamp: &str) -> Self {
        let sign = okx::sign(SECRET, timestamp, self.method, self.target, self.body);
        Self { sign: Some(sign.into()), timestamp: Some(timestamp.into()), ..self }
    }

    fn send(&self, authenticator: &Authenticator) -> Result<Verification, Refusal> {
        let head = RequestHead {
            method: self.method.as_bytes(),
            target: self.target.as_bytes(),
            api_key: self.api_key.as_deref(),
            sign: self.sign.as_deref(),
            timestamp: self.timestamp.as_deref(),
            passphrase: self.passphrase.as_deref(),
            simulated: self.simulated,
        };
        authenticator.verify(&head, self.body, self.ip.parse().unwrap(), self.endpoint, self.now)
    }

    /// As a gateway does: with the slow check where one is asked for.
    fn verified(&self, authenticator: &Authenticator) -> Result<Verified, Refusal> {
        match self.send(authenticator)? {
            Verification::Verified(verified) => Ok(verified),
            Verification::CheckPassphrase(check) => {
                check.run()?;
                match self.send(authenticator)? {
                    Verification::Verified(verified) => Ok(verified),
                    Verification::CheckPassphrase(_) => panic!("asked twice"),
                }
            }
        }
    }

    fn refusal(&self, authenticator: &Authenticator) -> Refusal {
        self.verified(authenticator).unwrap_err()
    }
}

#[test]
fn a_good_request_is_verified_and_says_whose_it_is() {
    let authenticator = authenticator();
    let verified = Request::order("full").verified(&authenticator).unwrap();
    assert_eq!((verified.key_id().as_str(), verified.account().as_str()), ("full", "alice"));
    assert_eq!((verified.environment(), verified.timestamp()), (Environment::Live, NOW));
    assert!(verified.permissions().contains(Permission::Withdraw) && verified.is_ip_bound());
    assert!(verified.is_in_force());
    assert!(matches!(verified.use_to_record(), Some(KeyChange::Used { at: NOW, .. })));
    let again = Request::order("full").verified(&authenticator).unwrap();
    assert!(again.use_to_record().is_none());
    // A GET: no body, and a query as it was sent.
    let get = Request {
        method: "GET",
        target: "/api/v5/account/balance?ccy=BTC%2CETH",
        body: b"",
        endpoint: Endpoint::READ,
        ..Request::order("full")
    };
    let get = Request { sign: Some("X/i/q53ENYaVFJP/x3gMqfyuIw8hS3HPa3eFxfQQFaY=".into()), ..get };
    assert!(get.verified(&authenticator).is_ok());
}

#[test]
fn each_refusal_has_its_request() {
    let authenticator = authenticator();
    let registry = authenticator.registry();
    let good = || Request::order("full");
    let refused = |request: Request| request.refusal(&authenticator);

    for empty in [None, Some(Vec::new())] {
        assert_eq!(refused(Request { api_key: empty.clone(), ..good() }), Refusal::ApiKeyMissing);
        assert_eq!(refused(Request { passphrase: empty.clone(), ..good() }), Refusal::PassphraseMissing);
        assert_eq!(refused(Request { sign: empty.clone(), ..good() }), Refusal::SignatureMissing);
        assert_eq!(refused(Request { timestamp: empty.clone(), ..good() }), Refusal::TimestampMissing);
    }
    assert_eq!(refused(Request::order("nobody")), Refusal::ApiKeyUnknown);
    assert_eq!(refused(Request { api_key: Some(vec![0xff, 0]), ..good() }), Refusal::ApiKeyUnknown);
    assert_eq!(refused(good().at("2020-12-08T09:08:57.715123Z")), Refusal::TimestampInvalid);
    assert_eq!(refused(good().at("1607418537.715")), Refusal::TimestampInvalid);
    for (skew_millis, accepted) in
        [(-30_001, false), (-30_000, true), (29_000, true), (30_000, true), (30_001, false)]
    {
        let now = UnixNanos::from_millis(NOW.as_millis().checked_add_signed(skew_millis).unwrap());
        let request = Request { now, ..good() };
        let answer = request.verified(&authenticator).map(|_| ());
        assert_eq!(answer, if accepted { Ok(()) } else { Err(Refusal::TimestampExpired) }, "{skew_millis}");
    }
    assert_eq!(
        refused(Request { passphrase: Some(b"Correct-Horse-2".into()), ..good() }),
        Refusal::PassphraseIncorrect
    );
    let ip: IpAddr = OUTSIDE.parse().unwrap();
    assert_eq!(refused(Request { ip: OUTSIDE, ..good() }), Refusal::IpNotBound { ip });
    assert_eq!(refused(Request { simulated: Some(b"1"), ..good() }), Refusal::EnvironmentMismatch);
    assert_eq!(refused(Request { simulated: Some(b"2"), ..good() }), Refusal::EnvironmentMismatch);
    assert_eq!(refused(Request::order("demo")), Refusal::EnvironmentMismatch);
    assert!(Request { simulated: Some(b"0"), ..good() }.verified(&authenticator).is_ok());
    assert!(Request { simulated: Some(b"1"), ..Request::order("demo") }.verified(&authenticator).is_ok());
    let withdraw = |id| Request { endpoint: Endpoint::WITHDRAW, ..Request::order(id) };
    assert!(withdraw("full").verified(&authenticator).is_ok());
    assert_eq!(refused(withdraw("loose")), Refusal::IpBindingRequired);
    assert_eq!(refused(withdraw("reader")), Refusal::PermissionMissing);
    assert_eq!(refused(Request::order("reader")), Refusal::PermissionMissing);

    let id = |id: &str| ApiKeyId::parse(id).unwrap();
    registry.apply(KeyChange::Frozen { id: id("full"), at: NOW }).unwrap();
    assert_eq!(refused(good()), Refusal::ApiKeyFrozen);
    registry.apply(KeyChange::Unfrozen { id: id("full"), at: NOW }).unwrap();
    let verified = good().verified(&authenticator).unwrap();
    registry.apply(KeyChange::Revoked { id: id("full"), at: NOW }).unwrap();
    assert_eq!(refused(good()), Refusal::ApiKeyRevoked);
    assert!(!verified.is_in_force());
}

#[test]
fn an_unbound_trading_key_expires_when_idle() {
    let authenticator = authenticator();
    let now = NOW.plus(Duration::from_secs(14 * 86_400));
    let request = |id| Request { now, ..Request::order(id) }.at(&okx::timestamp_text(now));
    assert_eq!(request("loose").refusal(&authenticator), Refusal::ApiKeyExpired);
    assert!(request("full").verified(&authenticator).is_ok());
    let demo = Request { simulated: Some(b"1"), ..request("demo") };
    assert!(demo.verified(&authenticator).is_ok());
}

/// Whatever else is wrong, the check that comes first gives the answer. Each step repairs the first fault.
#[test]
fn checks_run_in_the_documented_order() {
    let authenticator = authenticator();
    let frozen = ApiKeyId::parse("loose").unwrap();
    let ip: IpAddr = OUTSIDE.parse().unwrap();
    let bound = api_key("bound", &[Permission::Read], &[INSIDE], Environment::Demo);
    authenticator.registry().apply(KeyChange::Created(Box::new(bound))).unwrap();
    let mut request = Request {
        api_key: None,
        passphrase: None,
        sign: None,
        timestamp: None,
        ip: OUTSIDE,
        endpoint: Endpoint::WITHDRAW,
        ..Request::order("full")
    };
    assert_eq!(request.refusal(&authenticator), Refusal::ApiKeyMissing);
    request.api_key = Some(b"nobody".to_vec());
    assert_eq!(request.refusal(&authenticator), Refusal::PassphraseMissing);
    request.passphrase = Some(b"wrong".to_vec());
    assert_eq!(request.refusal(&authenticator), Refusal::SignatureMissing);
    request.sign = Some(b"wrong".to_vec());
    assert_eq!(request.refusal(&authenticator), Refusal::TimestampMissing);
    request.timestamp = Some(b"wrong".to_vec());
    assert_eq!(request.refusal(&authenticator), Refusal::ApiKeyUnknown);
    request.api_key = Some(b"bound".to_vec());
    assert_eq!(request.refusal(&authenticator), Refusal::TimestampInvalid);
    request.timestamp = Some(b"2020-12-08T09:07:57.715Z".to_vec());
    assert_eq!(request.refusal(&authenticator), Refusal::TimestampExpired);
    request.timestamp = Some(AT.into());
    assert_eq!(request.refusal(&authenticator), Refusal::SignatureInvalid);
    request = request.at(AT);
    assert_eq!(request.refusal(&authenticator), Refusal::PassphraseIncorrect);
    request.passphrase = Some(PASSPHRASE.to_vec());
    assert_eq!(request.refusal(&authenticator), Refusal::IpNotBound { ip });
    request.ip = INSIDE;
    assert_eq!(request.refusal(&authenticator), Refusal::EnvironmentMismatch);
    let id = ApiKeyId::parse("bound").unwrap();
    authenticator.registry().apply(KeyChange::Frozen { id: id.clone(), at: NOW }).unwrap();
    assert_eq!(request.refusal(&authenticator), Refusal::EnvironmentMismatch);
    request.simulated = Some(b"1");
    assert_eq!(request.refusal(&authenticator), Refusal::ApiKeyFrozen);
    authenticator.registry().apply(KeyChange::Unfrozen { id, at: NOW }).unwrap();
    assert_eq!(request.refusal(&authenticator), Refusal::PermissionMissing);
    // A frozen key that is also unbound and lacks the right: state, then binding, then permission.
    let unbound = api_key("unbound", &[Permission::Read], &[], Environment::Live);
    authenticator.registry().apply(KeyChange::Created(Box::new(unbound))).unwrap();
    authenticator.registry().apply(KeyChange::Frozen { id: frozen, at: NOW }).unwrap();
    let withdraw = |id| Request { endpoint: Endpoint::WITHDRAW, ..Request::order(id) };
    assert_eq!(withdraw("loose").refusal(&authenticator), Refusal::ApiKeyFrozen);
    assert_eq!(withdraw("unbound").refusal(&authenticator), Refusal::IpBindingRequired);
}

#[test]
fn every_altered_part_breaks_the_signature() {
    let authenticator = authenticator();
    let good = Request::order("full");
    assert!(good.verified(&authenticator).is_ok());
    let mut spelled = good.sign.clone().unwrap();
    let altered = [
        Request { method: "PUT", ..good.clone() },
        Request { method: "post", ..good.clone() },
        Request { target: "/api/v5/trade/order?", ..good.clone() },
        Request { target: "/api/v5/trade/cancel-order", ..good.clone() },
        Request { body: br#"{"instId":"BTC-USDC"}"#, ..good.clone() },
        Request { body: b"", ..good.clone() },
        Request { timestamp: Some(b"2020-12-08T09:08:57.716Z".to_vec()), ..good.clone() },
        Request { sign: Some(spelled[..43].to_vec()), ..good.clone() },
        Request { sign: Some([spelled.as_slice(), b"="].concat()), ..good.clone() },
        Request { sign: Some([spelled.as_slice(), b" "].concat()), ..good.clone() },
        Request { sign: Some(vec![b'A'; 20_000]), ..good.clone() },
    ];
    for (number, request) in altered.iter().enumerate() {
        assert_eq!(request.refusal(&authenticator), Refusal::SignatureInvalid, "{number}");
    }
    // The two spare bits of the last Base64 digit: other text, same bytes for a lenient decoder.
    spelled[42] = if spelled[42] == b'A' { b'B' } else { spelled[42] + 1 };
    assert_eq!(Request { sign: Some(spelled), ..good }.refusal(&authenticator), Refusal::SignatureInvalid);
}

#[test]
fn the_slow_check_runs_once_and_only_the_passphrase_passes_it() {
    let authenticator = authenticator();
    let good = Request::order("full");
    let wrong = Request { passphrase: Some(b"Wrong-Horse-1".to_vec()), ..good.clone() };
    // Before the first success every passphrase goes through the slow check, a wrong one again and again.
    for _ in 0..2 {
        let Ok(Verification::CheckPassphrase(check)) = wrong.send(&authenticator) else {
            panic!("no slow check")
        };
        assert_eq!(check.key_id().as_str(), "full");
        assert_eq!(check.run(), Err(Refusal::PassphraseIncorrect));
    }
    let Ok(Verification::CheckPassphrase(check)) = good.send(&authenticator) else { panic!("no slow check") };
    let Ok(Verification::CheckPassphrase(second)) = good.send(&authenticator) else {
        panic!("no slow check")
    };
    assert_eq!(check.run(), Ok(()));
    assert_eq!(second.run(), Ok(()));
    // From then on the answer is immediate, in both directions.
    assert!(matches!(good.send(&authenticator), Ok(Verification::Verified(_))));
    assert!(matches!(wrong.send(&authenticator), Err(Refusal::PassphraseIncorrect)));
    // Accepted for one key is not accepted for another with the same passphrase.
    assert!(matches!(Request::order("loose").send(&authenticator), Ok(Verification::CheckPassphrase(_))));
    // Without the signature nobody reaches the slow check.
    let unsigned = Request { sign: Some(vec![b'A'; 44]), ..Request::order("loose") };
    assert!(matches!(unsigned.send(&authenticator), Err(Refusal::SignatureInvalid)));
}

#[test]
fn a_signed_order_passes_once_and_a_get_again() {
    let authenticator = authenticator();
    let request = Request::order("full");
    let verified = request.verified(&authenticator).unwrap();
    assert!(authenticator.admit_once(&verified, false, NOW).is_ok());
    let again = request.verified(&authenticator).unwrap();
    assert_eq!(authenticator.admit_once(&again, false, NOW).unwrap_err(), Refusal::Repeated);
    assert!(authenticator.admit_once(&again, true, NOW).is_ok());
    // The same bytes under another key are another request, since another secret signs them; the same secret is
    // only the doing of this test.
    let later = UnixNanos::from_millis(NOW.as_millis() + 1);
    let fresh = request.at(&okx::timestamp_text(later)).verified(&authenticator).unwrap();
    let passed = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                if authenticator.admit_once(&fresh, false, NOW).is_ok() {
                    passed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 1);
}

#[test]
fn a_full_replay_window_refuses_what_is_not_a_get() {
    let registry = Arc::new(Registry::new(10, 1));
    let key = api_key("full", &Permission::ALL, &[], Environment::Live);
    registry.apply(KeyChange::Created(Box::new(key))).unwrap();
    let authenticator = Authenticator::new(registry, ReplayWindow::new(0, 2), [3; 32]);
    let verified = Request::order("full").verified(&authenticator).unwrap();
    assert_eq!(authenticator.admit_once(&verified, false, NOW).unwrap_err(), Refusal::SystemBusy);
    assert!(authenticator.admit_once(&verified, true, NOW).is_ok());
}

#[test]
fn logins_are_verified_like_requests() {
    let authenticator = authenticator();
    let now = UnixNanos::from_secs(1_538_054_050);
    let at = |secs: u64| secs.to_string();
    let login = |id: &'static str, timestamp: &str, sign: &str, passphrase: &[u8], ip: &str, environment| {
        let login = Login {
            api_key: id.as_bytes(),
            sign: sign.as_bytes(),
            timestamp: timestamp.as_bytes(),
            passphrase,
            environment,
        };
        loop {
            match authenticator.verify_login(&login, ip.parse().unwrap(), now) {
                Ok(Verification::CheckPassphrase(check)) => check.run()?,
                Ok(Verification::Verified(verified)) => return Ok(verified.key_id().to_string()),
                Err(refusal) => return Err(refusal),
            }
        }
    };
    let live = Environment::Live;
    let sign = "+LdIr8lkkvhr5hoA3g9TMC0+uQJ849ftAcocA/ouu4M=";
    assert_eq!(login("full", "1538054050", sign, PASSPHRASE, INSIDE, live), Ok("full".into()));
    assert_eq!(login("full", "1538054050", sign, b"wrong", INSIDE, live), Err(Refusal::PassphraseIncorrect));
    assert_eq!(login("full", "1538054051", sign, PASSPHRASE, INSIDE, live), Err(Refusal::SignatureInvalid));
    assert_eq!(login("none", "1538054050", sign, PASSPHRASE, INSIDE, live), Err(Refusal::ApiKeyUnknown));
    assert_eq!(login("full", "", sign, PASSPHRASE, INSIDE, live), Err(Refusal::TimestampMissing));
    assert_eq!(login("full", AT, sign, PASSPHRASE, INSIDE, live), Err(Refusal::TimestampInvalid));
    let ip = OUTSIDE.parse().unwrap();
    assert_eq!(login("full", "1538054050", sign, PASSPHRASE, OUTSIDE, live), Err(Refusal::IpNotBound { ip }));
    assert_eq!(
        login("full", "1538054050", sign, PASSPHRASE, INSIDE, Environment::Demo),
        Err(Refusal::EnvironmentMismatch)
    );
    let late = at(1_538_054_050 - 31);
    let late_sign = okx::sign_login(SECRET, &late);
    assert_eq!(login("full", &late, &late_sign, PASSPHRASE, INSIDE, live), Err(Refusal::TimestampExpired));
}

proptest! {
    /// Hostile headers never panic and never verify.
    #[test]
    fn arbitrary_headers_are_refused(
        api_key in prop_oneof![Just(b"full".to_vec()), proptest::collection::vec(any::<u8>(), 0..70)],
        sign in proptest::collection::vec(any::<u8>(), 0..60),
        timestamp in prop_oneof![Just(AT.as_bytes().to_vec()), proptest::collection::vec(any::<u8>(), 0..30)],
        passphrase in proptest::collection::vec(any::<u8>(), 0..40),
        body in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        static AUTHENTICATOR: LazyLock<Authenticator> = LazyLock::new(authenticator);
        let head = RequestHead {
            method: b"POST",
            target: b"/api/v5/trade/order",
            api_key: Some(&api_key),
            sign: Some(&sign),
            timestamp: Some(&timestamp),
            passphrase: Some(&passphrase),
            simulated: None,
        };
        prop_assert!(AUTHENTICATOR.verify(&head, &body, INSIDE.parse().unwrap(), Endpoint::TRADE, NOW).is_err());
    }
}
