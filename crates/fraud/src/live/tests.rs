//! The live engine on small streams: what it says, what it must never say, and that nothing changes it but entries.

use std::collections::BTreeMap;

use domain::{
    AccountId, Amount, Anonymizer, Asset, Channel, Decision, Destination, DeviceId, Event, EventContext,
    EventId, EventKind, LabelTarget, Network, UnixNanos, Verdict, WithdrawalRequest,
};
use features::Limits;
use proptest::{collection::vec, prelude::*};
use scoring::{
    gbdt::{Params, train},
    matrix::{FeatureNames, Matrix},
    model::{
        card::{ModelCard, Training},
        file::ModelFile,
    },
};

use super::{record::Entry, *};

const PACK: &str = include_str!("tests/pack.toml");
const RULES: &str = include_str!("tests/rules.toml");
const MANIFEST_TEXT: &str = include_str!("tests/bundle.toml");

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn account(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

fn event(id: &str, who: &str, secs: u64, kind: EventKind) -> Event {
    Event {
        id: EventId::parse(id).unwrap(),
        account: account(who),
        occurred_at: UnixNanos::from_secs(1_800_000_000 + secs),
        device: Some(DeviceId::parse("d-1").unwrap()),
        ip: Some("192.0.2.77".parse().unwrap()),
        context: EventContext::default(),
        kind,
    }
}

fn login(id: &str, who: &str, secs: u64) -> Event {
    event(id, who, secs, EventKind::Login { success: true, second_factor: true })
}

fn request(who: &str, secs: u64, of: &str, to: &str) -> WithdrawalRequest {
    WithdrawalRequest {
        account: account(who),
        channel: Channel::Exchange,
        asset: Asset::parse("USDT").unwrap(),
        amount: amount(of),
        fee: None,
        destination: Destination::OnChain { network: Network::Tron, address: to.into(), tag: None },
        client_id: None,
        ip: "192.0.2.77".parse().unwrap(),
        device: Some(DeviceId::parse("d-1").unwrap()),
        client_ja4: None,
        requested_at: UnixNanos::from_secs(1_800_000_000 + secs),
    }
}

fn decision(request: WithdrawalRequest, verdict: Verdict) -> Decision {
    let decided_at = UnixNanos(request.requested_at.0 + 1_000);
    Decision { request, verdict, findings: Vec::new(), decided_at, idempotency_key: None }
}

/// Files of a bundle by name.
type Files = BTreeMap<&'static str, Vec<u8>>;

fn files() -> Files {
    BTreeMap::from([
        (MANIFEST, MANIFEST_TEXT.as_bytes().to_vec()),
        ("pack.toml", PACK.as_bytes().to_vec()),
        ("rules.toml", RULES.as_bytes().to_vec()),
    ])
}

fn load(files: &Files) -> Result<Bundle, BundleError> {
    Bundle::load(&mut |name, bytes_max| {
        let bytes = files.get(name).ok_or_else(|| "there is no such file".to_owned())?;
        if bytes.len() > bytes_max { Err("too long".to_owned()) } else { Ok(bytes.clone()) }
    })
}

fn refused(change: impl FnOnce(&mut Files)) -> String {
    let mut files = files();
    change(&mut files);
    load(&files).unwrap_err().to_string()
}

fn replace(files: &mut Files, name: &'static str, from: &str, to: &str) {
    let text = String::from_utf8(files.remove(name).unwrap()).unwrap();
    assert!(text.contains(from), "{from}");
    files.insert(name, text.replacen(from, to, 1).into_bytes());
}

/// A model over the columns of the test pack that learned one thing: the named feature at 1 or more is fraud.
fn model(feature: &'static str) -> Vec<u8> {
    static TRAINED: std::sync::Mutex<BTreeMap<&str, Vec<u8>>> = std::sync::Mutex::new(BTreeMap::new());
    TRAINED.lock().unwrap().entry(feature).or_insert_with(|| trained(feature)).clone()
}

fn trained(feature: &str) -> Vec<u8> {
    let pack = features::Pack::parse(PACK).unwrap();
    let names = FeatureNames::new(pack.columns().iter().map(|column| column.name.clone())).unwrap();
    let place = names.position(feature).unwrap();
    let mut rows = Matrix::new(names);
    let mut labels = Vec::new();
    for n in 0..400_u16 {
        let mut row = vec![f32::from(n % 7); pack.columns().len()];
        row[place] = f32::from(n % 2) * 5.0;
        rows.push(&row).unwrap();
        labels.push(n % 2 == 1);
    }
    let params = Params { trees: 20, depth: 2, rate: 0.5, ..Params::default() };
    let model = train(&rows, &labels, None, None, &params).unwrap();
    let training = Training { rows: 400, positives: 200, period: None, data_hash: [0; 32] };
    let card = ModelCard {
        name: "test".into(),
        version: "1".into(),
        created_by: String::new(),
        created_at: UnixNanos(0),
        training,
        params: Vec::new(),
        metrics: Vec::new(),
        limits: String::new(),
    };
    ModelFile { model, calibration: None, card }.encode().unwrap()
}

fn with_model(feature: &'static str) -> Files {
    let mut files = files();
    files.insert("model.bin", model(feature));
    replace(&mut files, MANIFEST, "rules = \"rules.toml\"", "rules = \"rules.toml\"\nmodel = \"model.bin\"");
    files
}

fn live(files: &Files) -> Live {
    let live = Live::new(std::sync::Arc::new(load(files).unwrap()), Limits::default(), true).unwrap();
    live.seed([7; 16]);
    live
}

fn finding<'f>(findings: &'f [domain::Finding], code: &str) -> Option<&'f domain::Finding> {
    findings.iter().find(|finding| finding.code.as_str() == code)
}

#[test]
fn what_does_not_fit_is_refused_with_its_file_and_place() {
    assert!(load(&files()).is_ok());
    let told = refused(|files| drop(files.remove("pack.toml")));
    assert_eq!(told, "pack.toml: there is no such file");
    let gadget = "[[field]]\nname = \"gadget\"\ntype = \"entity\"\n\n[[feature]]";
    let told = refused(|files| replace(files, "pack.toml", "[[feature]]", gadget));
    assert!(told.starts_with("pack.toml: live records have no field \"gadget\""), "{told}");
    let ip = "[[field]]\nname = \"ip\"\ntype = \"money\"\n\n[[feature]]";
    let told = refused(|files| replace(files, "pack.toml", "[[feature]]", ip));
    assert!(told.contains("field \"ip\" of the pack is money, live records have it as entity"), "{told}");
    let told = refused(|files| replace(files, MANIFEST, "judge = [", "judge = [\"logon\", "));
    assert!(told.starts_with("bundle.toml: line ") && told.contains("\"logon\" is no kind"), "{told}");
    let told = refused(|files| replace(files, MANIFEST, "name = ", "nmae = "));
    assert!(told.contains("bundle.name: is missing"), "{told}");
    let told = refused(|files| replace(files, MANIFEST, "\"pack.toml\"", "\"../pack.toml\""));
    assert!(told.contains("bundle.pack: is no plain name"), "{told}");
    let told = refused(|files| replace(files, MANIFEST, "weak = [", "weak = [\"shraed\", "));
    assert!(told.contains("shraed"), "{told}");
    let told = refused(|files| replace(files, MANIFEST, "hold_from = 0.9", "hold_from = 0.1"));
    assert!(told.contains("is below challenge_from"), "{told}");
    // A model of another pack.
    let mut other = with_model("device_accounts");
    replace(&mut other, "pack.toml", "name = \"withdrawn\"", "name = \"taken\"");
    let told = load(&other).unwrap_err().to_string();
    assert!(told.starts_with("model.bin: feature "), "{told}");
    let told = load(&{
        let mut damaged = with_model("device_accounts");
        damaged.get_mut("model.bin").unwrap()[40] ^= 1;
        damaged
    })
    .unwrap_err()
    .to_string();
    assert!(told.starts_with("model.bin: "), "{told}");
}

#[test]
fn a_rule_that_could_hold_on_weak_evidence_is_refused() {
    for when in [
        "anonymizer == 'tor'",
        "device_accounts > 3.0",
        "anomaly_score > 0.9",
        "anonymizer == 'vpn' && amount > 0",
    ] {
        let told = refused(|files| replace(files, "rules.toml", "failed_logins_1h >= 3.0", when));
        assert!(told.contains("weak evidence"), "{when}: {told}");
    }
    // A score that weak features went into is no stronger than they are.
    let mut files = with_model("device_accounts");
    replace(&mut files, "rules.toml", "failed_logins_1h >= 3.0", "model_score > 0.9");
    let told = load(&files).unwrap_err().to_string();
    assert!(told.contains("model_score"), "{told}");
}

#[test]
fn the_hash_covers_every_piece() {
    let hash = |files: &Files| load(files).unwrap().hash();
    let plain = hash(&files());
    assert_eq!(hash(&files()), plain);
    let mut seen = vec![plain, hash(&with_model("device_accounts")), hash(&with_model("withdrawn_1d"))];
    for (name, from, to) in [
        (MANIFEST, "hold_from = 0.9", "hold_from = 0.91"),
        ("pack.toml", "window = \"30d\"", "window = \"29d\""),
        ("rules.toml", ">= 3.0", ">= 4.0"),
    ] {
        let mut files = files();
        replace(&mut files, name, from, to);
        seen.push(hash(&files));
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[test]
fn reasons_add_up_to_the_logit() {
    let bundle = load(&with_model("withdrawn_1d")).unwrap();
    let scorer = bundle.scorer.as_ref().unwrap();
    for n in 0..200_u16 {
        let row: Vec<f32> = (0..bundle.pack().columns().len())
            .map(|place| if (usize::from(n) + place) % 5 == 0 { f32::NAN } else { f32::from(n % 11) })
            .collect();
        let explained = scorer.explainer.explain(&row);
        assert!((explained.logit() - scorer.file.model.logit(&row)).abs() <= 1e-9);
    }
}

#[test]
fn a_request_is_judged_before_it_is_recorded_as_it_will_be_after() {
    let live = live(&with_model("withdrawn_1d"));
    live.apply(1, &Entry::Event(&login("e-1", "alice", 0)));
    let before = live.digest();
    let asked = request("alice", 60, "500", "TX");
    let findings = live.examine(&asked);
    assert_eq!(live.digest(), before, "asking changes nothing");
    let (scores, features) = live.scores_of(&asked);
    let mut recorded = None;
    live.apply_with(2, &Entry::Decision(&decision(asked, Verdict::Allow)), |judged| {
        if judged.record.kind == "withdrawal_requested" {
            recorded = Some((judged.scores.unwrap(), judge::features_sha256(judged.row)));
        }
    });
    assert_eq!(recorded, Some((scores, features)));

    let model = finding(&findings, "fraud.model_score").unwrap();
    let evidence: BTreeMap<&str, &str> =
        model.evidence.iter().map(|one| (one.name.as_ref(), one.value.as_str())).collect();
    assert_eq!(evidence["bundle"], "test 1");
    assert_eq!(evidence["as_of"], "2");
    for name in ["bundle_sha256", "pack_sha256", "rules_sha256", "features_sha256", "model_sha256"] {
        assert_eq!(evidence[name].len(), 64, "{name}");
    }
    assert_eq!(model.verdict, Verdict::Hold);
    assert!(model.message.contains("because withdrawn_1d"), "{}", model.message);
    assert!(model.would_pass_if.as_ref().is_some_and(|text| text.contains("withdrawn_1d were at most")));
}

#[test]
fn findings_have_no_effect_until_promoted_and_allowed() {
    let live = live(&with_model("withdrawn_1d"));
    let asked = request("alice", 60, "500", "TX");
    let is_in_shadow = || live.examine(&asked).iter().all(|finding| finding.shadow);
    assert!(is_in_shadow());
    live.activated(true, false);
    assert!(is_in_shadow());
    live.activated(true, true);
    assert!(!is_in_shadow());
    live.set_may_enforce(false);
    assert!(is_in_shadow());
}

/// Five accounts on one device behind a VPN, and a model that makes everything of it.
#[test]
fn a_shared_device_behind_a_vpn_is_never_held() {
    let live = live(&with_model("device_accounts"));
    live.activated(true, true);
    for n in 0..5_u64 {
        let mut login = login(&format!("e-{n}"), &format!("home-{n}"), n);
        login.context.anonymizer = Some(Anonymizer::Vpn);
        live.apply(n, &Entry::Event(&login));
    }
    let findings = live.examine(&request("home-0", 60, "50", "TX"));
    let model = finding(&findings, "fraud.model_score").unwrap();
    assert_eq!((model.verdict, model.shadow), (Verdict::Challenge, false), "{}", model.message);
    assert!(model.message.contains("without weak evidence"), "{}", model.message);
    let strictest = findings.iter().filter(|finding| !finding.shadow).map(|finding| finding.verdict).max();
    assert_eq!(strictest, Some(Verdict::Challenge));
}

#[test]
fn rules_say_what_fired_and_what_would_not_have() {
    let live = live(&files());
    live.activated(true, true);
    for n in 0..3_u64 {
        let failed = EventKind::Login { success: false, second_factor: false };
        live.apply(n, &Entry::Event(&event(&format!("e-{n}"), "alice", n, failed)));
    }
    let findings = live.examine(&request("alice", 60, "50", "TX"));
    let held = finding(&findings, "fraud.rule.guessed").unwrap();
    assert_eq!((held.verdict, held.shadow), (Verdict::Hold, false));
    assert_eq!(held.message, "failed logins within the hour: 3 events");
    assert_eq!(held.would_pass_if.as_deref(), Some("failed_logins_1h were < 3 events"));
    // Its rule says shadow.
    assert!(finding(&findings, "fraud.rule.watched").is_some_and(|finding| finding.shadow));
    // Nothing fires for another account, and that is told with what judged.
    let quiet = live.examine(&request("bob", 60, "50", "TX"));
    assert_eq!(quiet.len(), 1);
    assert_eq!((quiet[0].code.as_str(), quiet[0].verdict), ("fraud.bundle_quiet", Verdict::Allow));
}

#[test]
fn alerts_come_from_what_is_judged_after_the_bundle_was_made_the_one_to_judge() {
    let live = live(&files());
    let failed = |n: u64, secs| {
        event(&format!("e-{n}"), "alice", secs, EventKind::Login { success: false, second_factor: false })
    };
    (0..4).for_each(|n| live.apply(n, &Entry::Event(&failed(n, n))));
    assert!(live.pending(10).is_empty(), "the past is no news");
    live.activated(true, false);
    live.apply(5, &Entry::Event(&failed(5, 10)));
    live.apply(6, &Entry::Event(&failed(6, 11)));
    let pending = live.pending(10);
    assert_eq!(pending.len(), 1, "the same again within the hour is not raised");
    let alert = &pending[0];
    assert_eq!((alert.entry, alert.kind.as_str()), (5, "login"));
    assert_eq!(alert.entity, AlertEntity::Account(account("alice")));
    assert_eq!(alert.severity(), Verdict::Hold);
    assert!(alert.findings.iter().all(|finding| finding.shadow), "the bundle was not promoted");
    assert_eq!(live.counts().quiet, 1);
    // Its entry is in the journal; nothing waits any more. An hour later it is raised again.
    live.alert_recorded(&alert.id);
    assert!(live.pending(10).is_empty());
    (20..24).for_each(|n| live.apply(n, &Entry::Event(&failed(n, 4_000 + n))));
    let codes: Vec<String> =
        live.pending(10).iter().map(|alert| alert.findings[0].code.as_str().to_owned()).collect();
    assert_eq!(codes, ["fraud.rule.watched", "fraud.rule.guessed"]);
    // A decision holds its findings itself.
    live.apply(30, &Entry::Decision(&decision(request("alice", 4_100, "5", "TX"), Verdict::Hold)));
    assert_eq!(live.pending(10).len(), 2);
    live.forget_pending();
    assert!(live.pending(10).is_empty());
}

fn frauds_of(live: &Live, to: &str) -> f64 {
    let mut frauds = f64::NAN;
    let column = live.bundle().pack().column_index("destination_frauds").unwrap();
    let asked = request("probe", 900, "1", to);
    // The features of a request show in what is judged when it is recorded.
    let copy = decision(asked, Verdict::Deny);
    live.apply_with(live.entries() + 1, &Entry::Decision(&copy), |judged| {
        if judged.record.kind == "withdrawal_requested" {
            frauds = judged.row[column];
        }
    });
    frauds
}

#[test]
fn a_label_has_effect_at_once_and_never_before() {
    let live = live(&files());
    live.apply(1, &Entry::Decision(&decision(request("alice", 10, "5", "TX"), Verdict::Allow)));
    assert_eq!(frauds_of(&live, "TX"), 0.0);
    // Whatever time it names: the reporter learned of it in the future, by a clock that is ahead.
    let of = |target: LabelTarget, is_fraud| {
        event("l-1", "alice", 299, EventKind::Label { target, is_fraud, source: "chargeback".into() })
    };
    let at = live.entries() + 1;
    live.apply(at, &Entry::Event(&of(LabelTarget::Decision(1), true)));
    assert_eq!(frauds_of(&live, "TX"), 1.0);
    assert_eq!(live.counts().labels, 1);
    // Another word on it replaces the first.
    let again = Event { id: EventId::parse("l-2").unwrap(), ..of(LabelTarget::Decision(1), false) };
    live.apply(live.entries() + 1, &Entry::Event(&again));
    assert_eq!(frauds_of(&live, "TX"), 0.0);
    // What nobody knows, and an account as a whole, reach no record.
    let unknown = LabelTarget::Event(EventId::parse("nobody").unwrap());
    let unknown = Event { id: EventId::parse("l-3").unwrap(), ..of(unknown, true) };
    live.apply(live.entries() + 1, &Entry::Event(&unknown));
    assert_eq!(live.counts().labels_unmatched, 1);
}

#[derive(Debug, Clone)]
enum Step {
    Event(Box<Event>),
    Decision(Box<Decision>),
}

fn step() -> impl Strategy<Value = (u8, u8, u8, u64, bool)> {
    (0_u8..7, 0_u8..4, 0_u8..4, 0_u64..900, any::<bool>())
}

/// Entries of a few accounts, devices and destinations; labels name earlier ones, or none.
fn entries(steps: Vec<(u8, u8, u8, u64, bool)>) -> Vec<Step> {
    let mut secs = 0;
    let steps = steps.into_iter().enumerate();
    steps
        .map(|(n, (kind, who, which, ahead, flag))| {
            secs += ahead;
            let who = format!("a-{who}");
            let id = format!("e-{n}");
            let earlier = (n * 7 + usize::from(which)) % (n + 2);
            let kind = match kind {
                0 | 1 => EventKind::Login { success: flag, second_factor: flag },
                2 => EventKind::AddressAdded { network: Network::Tron, address: format!("T{which}") },
                3 => {
                    let target = if flag {
                        LabelTarget::Event(EventId::parse(&format!("e-{earlier}")).unwrap())
                    } else {
                        LabelTarget::Decision(earlier as u64)
                    };
                    EventKind::Label { target, is_fraud: which > 1, source: "test".into() }
                }
                4 => EventKind::Transfer {
                    asset: Asset::parse("USDT").unwrap(),
                    amount: amount("5"),
                    to: account(&format!("a-{which}")),
                },
                _ => {
                    let of = if flag { "5" } else { "79228162514264337593543950335" };
                    let asked = request(&who, secs, of, &format!("T{which}"));
                    return Step::Decision(Box::new(decision(asked, Verdict::ALL[usize::from(which)])));
                }
            };
            let mut event = event(&id, &who, secs, kind);
            event.device = flag.then(|| DeviceId::parse(&format!("d-{which}")).unwrap());
            Step::Event(Box::new(event))
        })
        .collect()
}

fn as_entry(step: &Step) -> Entry<'_> {
    match step {
        Step::Event(event) => Entry::Event(event),
        Step::Decision(decision) => Entry::Decision(decision),
    }
}

/// Features and scores of all judged records.
fn fold(live: &Live, steps: &[Step]) -> Vec<(u64, Vec<u64>, Option<Scores>)> {
    let mut rows = Vec::new();
    for (seq, step) in (0..).zip(steps) {
        live.apply_with(seq, &as_entry(step), |judged| {
            let bits = judged.row.iter().map(|value| value.to_bits()).collect();
            rows.push((judged.record.position, bits, judged.scores));
        });
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Served live with questions at any time, or replayed after a crash at any place: the same features, scores, alerts
    /// and state, bit for bit.
    #[test]
    fn replay_equals_live(steps in vec(step(), 1..60), crash in any::<prop::sample::Index>()) {
        let files = with_model("withdrawn_1d");
        let steps = entries(steps);
        let served = live(&files);
        served.activated(true, true);
        for (seq, step) in (0..).zip(&steps) {
            drop(served.examine(&request("a-1", seq * 400, "9", "T1")));
            served.apply(seq, &as_entry(step));
        }
        let replayed = live(&files);
        replayed.activated(true, true);
        let crash = crash.index(steps.len());
        fold(&replayed, &steps[..crash]);
        let replayed = replayed.fresh().unwrap();
        replayed.seed([7; 16]);
        replayed.activated(true, true);
        fold(&replayed, &steps);
        prop_assert_eq!(replayed.digest(), served.digest());
        prop_assert_eq!(replayed.pending(usize::MAX), served.pending(usize::MAX));
        let asked = request("a-2", 99_999, "9", "T1");
        prop_assert_eq!(replayed.examine(&asked), served.examine(&asked));
    }

    /// What is not recorded yet cannot be seen: other labels after the cut change nothing before it.
    #[test]
    fn labels_of_the_future_change_nothing(steps in vec(step(), 2..60), cut in any::<prop::sample::Index>()) {
        let files = with_model("destination_frauds");
        let steps = entries(steps);
        let cut = cut.index(steps.len());
        let shuffled: Vec<Step> = steps.iter().cloned().enumerate().map(|(n, step)| match step {
            Step::Event(mut event) if n >= cut => {
                if let EventKind::Label { is_fraud, target, .. } = &mut event.kind {
                    *is_fraud = !*is_fraud;
                    *target = LabelTarget::Decision(n as u64 / 2);
                }
                Step::Event(event)
            }
            step => step,
        }).collect();
        let before = |rows: Vec<(u64, Vec<u64>, Option<Scores>)>| {
            rows.into_iter().filter(|(at, ..)| *at < cut as u64 * record::RECORDS_MAX).collect::<Vec<_>>()
        };
        prop_assert_eq!(before(fold(&live(&files), &steps)), before(fold(&live(&files), &shuffled)));
    }
}
