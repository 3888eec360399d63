//! Every rule at its edge, then the engine as a fold.

use std::{net::IpAddr, sync::Arc, time::Duration};

use domain::{
    AccountId, Amount, Asset, Channel, Credential, Destination, DeviceId, EventId, EventKind, Network,
    Verdict,
};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{Bounds, Rule};

const NANO: Duration = Duration::from_nanos(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const NOW: UnixNanos = UnixNanos::from_secs(1_800_000_000);

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn account(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn event(name: &str, ago: Duration, kind: EventKind) -> Event {
    Event {
        id: EventId::parse("e").unwrap(),
        account: account(name),
        occurred_at: NOW.minus(ago),
        device: None,
        ip: None,
        context: domain::EventContext::default(),
        kind,
    }
}

fn login(ago: Duration, device: &str, from: &str) -> Event {
    Event {
        device: Some(DeviceId::parse(device).unwrap()),
        ip: Some(ip(from)),
        ..event("alice", ago, EventKind::Login { success: true, second_factor: true })
    }
}

fn failed(ago: Duration) -> Event {
    event("alice", ago, EventKind::Login { success: false, second_factor: false })
}

fn added(name: &str, ago: Duration, address: &str) -> Event {
    event(name, ago, EventKind::AddressAdded { network: Network::Tron, address: address.into() })
}

fn balance(name: &str, ago: Duration, total: &str) -> Event {
    event(name, ago, EventKind::BalanceChanged { asset: Asset::parse("USDT").unwrap(), total: amount(total) })
}

fn accepted(name: &str, ago: Duration, quantity: &str, address: &str) -> Event {
    let kind = EventKind::WithdrawalAccepted {
        asset: Asset::parse("USDT").unwrap(),
        amount: amount(quantity),
        network: Network::Tron,
        address: address.into(),
    };
    event(name, ago, kind)
}

fn request(name: &str, quantity: &str, address: &str) -> WithdrawalRequest {
    WithdrawalRequest {
        account: account(name),
        channel: Channel::Exchange,
        asset: Asset::parse("USDT").unwrap(),
        amount: amount(quantity),
        fee: None,
        destination: Destination::OnChain { network: Network::Tron, address: address.into(), tag: None },
        client_id: None,
        ip: ip("192.0.2.1"),
        device: None,
        client_ja4: None,
        requested_at: NOW,
    }
}

fn decision(request: WithdrawalRequest, verdict: Verdict, ago: Duration) -> Decision {
    Decision { request, verdict, findings: Vec::new(), decided_at: NOW.minus(ago), idempotency_key: None }
}

fn engine(events: impl IntoIterator<Item = Event>) -> Fraud {
    engine_with(Config::default(), events)
}

fn engine_with(config: Config, events: impl IntoIterator<Item = Event>) -> Fraud {
    let fraud = Fraud::new(config).unwrap();
    for (seq, event) in (1..).zip(events) {
        fraud.apply(seq, &event);
    }
    fraud
}

/// An account known for months: old device, old address book entry with three uses, 100 USDT.
fn settled() -> Vec<Event> {
    vec![
        login(200 * DAY, "old", "192.0.2.1"),
        added("alice", 190 * DAY, "Told"),
        accepted("alice", 100 * DAY, "1", "Told"),
        accepted("alice", 80 * DAY, "1", "Told"),
        accepted("alice", 50 * DAY, "1", "Told"),
        balance("alice", 2 * DAY, "100"),
    ]
}

fn settled_and(more: impl IntoIterator<Item = Event>) -> Vec<Event> {
    settled().into_iter().chain(more).collect()
}

/// Codes and verdicts of the findings that ask for something and are not in shadow.
fn hits(fraud: &Fraud, request: &WithdrawalRequest) -> Vec<(String, Verdict)> {
    fraud
        .examine(request, NOW)
        .into_iter()
        .filter(|finding| finding.verdict != Verdict::Allow && !finding.shadow)
        .map(|finding| (finding.code.as_str().trim_start_matches("fraud.").to_owned(), finding.verdict))
        .collect()
}

fn verdict_of(fraud: &Fraud, request: &WithdrawalRequest, code: &str) -> Option<Verdict> {
    hits(fraud, request).into_iter().find(|(other, _)| other == code).map(|(_, verdict)| verdict)
}

#[test]
fn a_settled_account_passes_and_is_told_why() {
    let fraud = engine(settled());
    let findings = fraud.examine(&request("alice", "99", "Told"), NOW);
    let codes: Vec<_> = findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["fraud.established_destination", "fraud.no_rule_fired"]);
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Allow));
    assert_eq!(findings[0].message, "the account has used the destination 3 times over 100 d");
}

#[test]
fn account_takeover_needs_all_three_and_holds_at_their_edges() {
    let code = "account_takeover_pattern";
    let case = |device: Duration, address: Duration, quantity: &str| {
        let fraud =
            engine(settled_and([login(device, "new", "203.0.113.9"), added("alice", address, "Tnew")]));
        verdict_of(&fraud, &request("alice", quantity, "Tnew"), code)
    };
    assert_eq!(case(DAY - NANO, DAY - NANO, "50"), Some(Verdict::Hold));
    assert_eq!(case(DAY, DAY - NANO, "50"), None);
    assert_eq!(case(DAY - NANO, DAY, "50"), None);
    assert_eq!(case(DAY - NANO, DAY - NANO, "49.999999"), None);
    // The fee leaves too.
    let fraud = engine(settled_and([login(HOUR, "new", "203.0.113.9"), added("alice", HOUR, "Tnew")]));
    let with_fee = WithdrawalRequest { fee: Some(amount("0.5")), ..request("alice", "49.5", "Tnew") };
    assert_eq!(verdict_of(&fraud, &with_fee, code), Some(Verdict::Hold));
    // A device that the request names counts, not the newest one.
    let from = |device: &str| WithdrawalRequest {
        device: Some(DeviceId::parse(device).unwrap()),
        ..request("alice", "60", "Tnew")
    };
    assert_eq!(verdict_of(&fraud, &from("old"), code), None);
    assert_eq!(verdict_of(&fraud, &from("never-seen"), code), Some(Verdict::Hold));
    let finding = fraud.examine(&from("never-seen"), NOW).remove(0);
    assert_eq!(
        finding.message,
        "the device has never been seen on this account, the destination was added 1 h ago and has never been used, and 60 % of the account's USDT would leave"
    );
    assert!(finding.would_pass_if.unwrap().contains("24 h"));
}

#[test]
fn a_probe_payment_does_not_make_the_destination_old() {
    let fraud = engine(settled_and([
        login(2 * HOUR, "new", "203.0.113.9"),
        added("alice", 2 * HOUR, "Tnew"),
        accepted("alice", HOUR, "0.01", "Tnew"),
    ]));
    let request = request("alice", "60", "Tnew");
    assert_eq!(verdict_of(&fraud, &request, "account_takeover_pattern"), Some(Verdict::Hold));
}

#[test]
fn without_history_new_is_a_guess_and_asks_for_a_challenge() {
    let code = "account_takeover_pattern";
    let seen_today = [login(2 * HOUR, "d", "192.0.2.1"), balance("alice", HOUR, "100")];
    let request = request("alice", "60", "Tnew");
    assert_eq!(verdict_of(&engine(seen_today.clone()), &request, code), Some(Verdict::Challenge));
    // When both were reported as added today there is nothing to guess.
    let bound = Event { kind: EventKind::DeviceAdded, ..login(2 * HOUR, "d", "192.0.2.1") };
    let told = seen_today.into_iter().chain([bound, added("alice", HOUR, "Tnew")]);
    assert_eq!(verdict_of(&engine(told), &request, code), Some(Verdict::Hold));
}

#[test]
fn a_failed_login_makes_no_device_or_network_known() {
    let mut stranger = login(10 * DAY, "thief", "203.0.113.9");
    stranger.kind = EventKind::Login { success: false, second_factor: false };
    let fraud = engine(settled_and([stranger, added("alice", HOUR, "Tnew")]));
    let request = WithdrawalRequest {
        device: Some(DeviceId::parse("thief").unwrap()),
        ..request("alice", "60", "Tnew")
    };
    assert_eq!(verdict_of(&fraud, &request, "account_takeover_pattern"), Some(Verdict::Hold));
}

#[test]
fn an_unknown_balance_is_said_and_not_read_as_small() {
    let without_balance = settled().into_iter().filter(|event| event.kind.as_str() != "balance_changed");
    let fraud =
        engine(without_balance.chain([login(HOUR, "new", "203.0.113.9"), added("alice", HOUR, "Tnew")]));
    let request = request("alice", "0.01", "Tnew");
    assert_eq!(
        hits(&fraud, &request),
        [
            ("account_takeover_pattern".to_owned(), Verdict::Hold),
            ("first_use_large_share".to_owned(), Verdict::Challenge)
        ]
    );
    let message = fraud.examine(&request, NOW).remove(0).message;
    assert!(
        message.contains("an unknown share of the account's USDT (no usable balance report)"),
        "{message}"
    );
}

#[test]
fn credential_changes_cool_down_for_a_day() {
    let change = |credential, ago| event("alice", ago, EventKind::CredentialChanged { credential });
    let request = request("alice", "1", "Told");
    for (credential, code) in [
        (Credential::Authenticator, "recent_credential_change"),
        (Credential::Email, "recent_credential_change"),
        (Credential::Phone, "recent_credential_change"),
        (Credential::Password, "recent_password_change"),
    ] {
        let fraud = engine(settled_and([change(credential, DAY - NANO)]));
        assert_eq!(hits(&fraud, &request), [(code.to_owned(), Verdict::Hold)]);
        assert_eq!(hits(&engine(settled_and([change(credential, DAY)])), &request), []);
    }
    let both = [change(Credential::Phone, HOUR), change(Credential::Password, HOUR)];
    let fraud = engine(settled_and(both));
    assert_eq!(hits(&fraud, &request).len(), 2);
    let finding = fraud.examine(&request, NOW).remove(0);
    assert_eq!(
        finding.message,
        "the phone number was changed 1 h ago; withdrawals wait 24 h after such a change"
    );
    assert_eq!(
        finding.would_pass_if.unwrap(),
        format!("the withdrawal were asked for at or after {}", NOW.plus(23 * HOUR))
    );
}

#[test]
fn a_drain_is_nearly_all_to_a_destination_of_this_hour() {
    let case = |address: Duration, quantity: &str| {
        let fraud = engine(settled_and([added("alice", address, "Tnew")]));
        verdict_of(&fraud, &request("alice", quantity, "Tnew"), "balance_drain")
    };
    assert_eq!(case(HOUR - NANO, "90"), Some(Verdict::Hold));
    assert_eq!(case(HOUR, "90"), None);
    assert_eq!(case(HOUR - NANO, "89.99999"), None);
    // Never seen at all, on an account observed for long.
    let fraud = engine(settled());
    assert_eq!(verdict_of(&fraud, &request("alice", "90", "Tother"), "balance_drain"), Some(Verdict::Hold));
    // The balance shrinks by what left since it was reported: 9 of the remaining 10 are a drain.
    let fraud = engine(settled_and([accepted("alice", DAY, "90", "Told")]));
    assert_eq!(verdict_of(&fraud, &request("alice", "9", "Tother"), "balance_drain"), Some(Verdict::Hold));
}

#[test]
fn a_drain_in_parts_adds_up() {
    let code = "cumulative_drain";
    let part = |ago, quantity: &str| decision(request("alice", quantity, "Tnew"), Verdict::Allow, ago);
    let case = |parts: &[Decision], quantity: &str| {
        let fraud = engine(settled_and([added("alice", 5 * HOUR, "Tnew")]));
        for (seq, part) in (100..).zip(parts) {
            fraud.apply_decision(seq, part);
        }
        verdict_of(&fraud, &request("alice", quantity, "Tnew"), code)
    };
    let parts = [part(4 * HOUR, "40"), part(3 * HOUR, "30")];
    assert_eq!(case(&parts, "20"), Some(Verdict::Hold));
    assert_eq!(case(&parts, "19.9"), None);
    // What was stopped did not leave.
    let stopped = [decision(request("alice", "70", "Tnew"), Verdict::Hold, HOUR)];
    assert_eq!(case(&stopped, "20"), None);
    // Parts that the exchange reported as well count once.
    let fraud = engine(settled_and([added("alice", 5 * HOUR, "Tnew")]));
    for (seq, part) in (100..).zip(&parts) {
        fraud.apply_decision(seq, part);
        fraud.apply(seq + 10, &accepted("alice", 2 * HOUR, &part.request.amount.to_string(), "Tnew"));
    }
    assert_eq!(verdict_of(&fraud, &request("alice", "19.9", "Tnew"), code), None);
    let findings = fraud.examine(&request("alice", "20", "Tnew"), NOW);
    let found = findings.iter().find(|finding| finding.code.as_str() == "fraud.cumulative_drain").unwrap();
    assert!(
        found.message.starts_with("with 2 earlier withdrawals within a day, 90 % of"),
        "{}",
        found.message
    );
    // An earlier part counts while its destination is new.
    let after_a_part_to = |age: Duration| {
        let fraud = engine(settled_and([added("alice", age, "Tedge"), added("alice", 5 * HOUR, "Tnew")]));
        fraud.apply_decision(100, &decision(request("alice", "70", "Tedge"), Verdict::Allow, HOUR));
        verdict_of(&fraud, &request("alice", "20", "Tnew"), code)
    };
    assert_eq!(after_a_part_to(DAY - NANO), Some(Verdict::Hold));
    assert_eq!(after_a_part_to(DAY), None);
    // To an old destination it is no drain.
    let fraud = engine(settled());
    fraud.apply_decision(100, &decision(request("alice", "60", "Told"), Verdict::Allow, HOUR));
    assert_eq!(hits(&fraud, &request("alice", "40", "Told")), []);
}

#[test]
fn velocity_counts_each_withdrawal_once() {
    let code = "withdrawal_velocity";
    let case = |count: u32, ago: Duration, reported_too: bool| {
        let fraud = engine(settled());
        for n in 0..count {
            let seq = u64::from(n) + 100;
            fraud.apply_decision(seq, &decision(request("alice", "0.1", "Told"), Verdict::Allow, ago));
            if reported_too {
                fraud.apply(seq + 1_000, &accepted("alice", ago, "0.1", "Told"));
            }
        }
        verdict_of(&fraud, &request("alice", "0.1", "Told"), code)
    };
    assert_eq!(case(20, HOUR - NANO, false), Some(Verdict::Hold));
    assert_eq!(case(20, HOUR, false), None);
    assert_eq!(case(19, MINUTE, false), None);
    assert_eq!(case(19, MINUTE, true), None);
    assert_eq!(case(20, MINUTE, true), Some(Verdict::Hold));
}

#[test]
fn a_clock_that_was_set_back_hides_nothing() {
    let fraud = engine(settled());
    let make = |seq: u64, at: UnixNanos| {
        let made = decision(request("alice", "0.1", "Told"), Verdict::Allow, Duration::ZERO);
        fraud.apply_decision(seq, &Decision { decided_at: at, ..made });
    };
    // Ten withdrawals while the clock was three hours fast, ten after it was put right.
    (100..110).for_each(|seq| make(seq, NOW.plus(3 * HOUR)));
    (110..119).for_each(|seq| make(seq, NOW));
    let asked = request("alice", "0.1", "Told");
    assert_eq!(verdict_of(&fraud, &asked, "withdrawal_velocity"), None);
    make(119, NOW);
    assert_eq!(verdict_of(&fraud, &asked, "withdrawal_velocity"), Some(Verdict::Hold));
}

#[test]
fn victims_of_one_fresh_destination() {
    let code = "shared_fresh_destination";
    let case = |others: u32, first: Duration, quantity: &str| {
        let fraud = engine(settled_and([added("alice", 2 * HOUR, "Tmule")]));
        for n in 0..others {
            let attempt = request(&format!("victim-{n}"), "5", "Tmule");
            fraud.apply_decision(u64::from(n) + 100, &decision(attempt, Verdict::Hold, first));
        }
        verdict_of(&fraud, &request("alice", quantity, "Tmule"), code)
    };
    assert_eq!(case(0, HOUR, "60"), None);
    assert_eq!(case(1, HOUR, "60"), Some(Verdict::Hold));
    assert_eq!(case(1, HOUR, "49"), None);
    assert_eq!(case(1, DAY, "60"), None);
    assert_eq!(case(3, HOUR, "1"), None);
    assert_eq!(case(4, HOUR, "1"), Some(Verdict::Hold));
    // Trying twice does not make two accounts.
    let fraud = engine(settled_and([added("alice", 2 * HOUR, "Tmule")]));
    fraud.apply_decision(100, &decision(request("alice", "60", "Tmule"), Verdict::Hold, HOUR));
    assert_eq!(verdict_of(&fraud, &request("alice", "60", "Tmule"), code), None);
    // In the address book for days, and only now paid by others.
    let fraud = engine(settled_and([added("alice", 5 * DAY, "Tmule")]));
    for n in 0..4 {
        let attempt = request(&format!("victim-{n}"), "5", "Tmule");
        fraud.apply_decision(100 + n, &decision(attempt, Verdict::Hold, HOUR));
    }
    assert_eq!(verdict_of(&fraud, &request("alice", "60", "Tmule"), code), None);
    // Old acquaintance: the account used the destination long before it became popular.
    let fraud = engine(settled());
    for n in 0..9 {
        let attempt = request(&format!("friend-{n}"), "5", "Told");
        fraud.apply_decision(100 + n, &decision(attempt, Verdict::Allow, HOUR));
    }
    assert_eq!(hits(&fraud, &request("alice", "60", "Told")), []);
}

#[test]
fn on_the_first_day_everything_is_fresh_and_shared_destinations_are_challenged() {
    let fraud = engine([added("alice", 2 * HOUR, "Tmule"), balance("alice", HOUR, "100")]);
    fraud.apply_decision(9, &decision(request("bob", "5", "Tmule"), Verdict::Allow, HOUR));
    let verdict = verdict_of(&fraud, &request("alice", "60", "Tmule"), "shared_fresh_destination");
    assert_eq!(verdict, Some(Verdict::Challenge));
}

#[test]
fn first_use_of_a_destination_for_a_large_share_is_challenged() {
    let fraud = engine(settled_and([added("alice", 10 * DAY, "Tnew")]));
    let hits_of = |quantity: &str| hits(&fraud, &request("alice", quantity, "Tnew"));
    assert_eq!(hits_of("50"), [("first_use_large_share".to_owned(), Verdict::Challenge)]);
    assert_eq!(hits_of("49.9"), []);
    assert_eq!(hits(&fraud, &request("alice", "50", "Told")), []);
}

#[test]
fn guessing_counts_only_with_success_from_a_new_network() {
    let code = "failed_login_burst";
    let case = |failures: u32, ago: Duration, from: &str| {
        let fraud =
            engine(settled_and((0..failures).map(|_| failed(ago)).chain([login(MINUTE, "old", from)])));
        verdict_of(&fraud, &request("alice", "1", "Told"), code)
    };
    assert_eq!(case(8, HOUR, "203.0.113.9"), Some(Verdict::Challenge));
    assert_eq!(case(7, HOUR, "203.0.113.9"), None);
    assert_eq!(case(8, DAY, "203.0.113.9"), None);
    // Another address of the old /24 is not a new network.
    assert_eq!(case(50, HOUR, "192.0.2.200"), None);
    // Nobody got in: a stranger's guesses do not bother the customer.
    let fraud = engine(settled_and((0..50).map(|_| failed(HOUR))));
    assert_eq!(hits(&fraud, &request("alice", "1", "Told")), []);
}

#[test]
fn a_shared_device_is_only_ever_watched() {
    let crowd = |accounts: u32| {
        (0..accounts)
            .map(|n| Event { account: account(&format!("other-{n}")), ..login(DAY, "old", "192.0.2.1") })
    };
    let shadow = |fraud: &Fraud| {
        let findings = fraud.examine(&request("alice", "1", "Told"), NOW);
        findings.into_iter().find(|finding| finding.code.as_str() == "fraud.shared_device")
    };
    // Even a configuration that asks for it cannot enforce the rule.
    let config = Config { shadow: [].into(), ..Config::default() };
    let fraud = engine_with(config, settled_and(crowd(4)));
    assert!(shadow(&fraud).is_some_and(|finding| finding.shadow));
    assert_eq!(hits(&fraud, &request("alice", "1", "Told")), []);
    assert_eq!(shadow(&engine(settled_and(crowd(3)))), None);
}

#[test]
fn rules_can_be_watched_or_switched_off() {
    let events = || {
        settled_and([event("alice", HOUR, EventKind::CredentialChanged { credential: Credential::Email })])
    };
    let request = request("alice", "1", "Told");
    let watched = Config { shadow: [Rule::CredentialChange].into(), ..Config::default() };
    let findings = engine_with(watched, events()).examine(&request, NOW);
    assert!(findings.iter().any(|finding| finding.shadow && finding.verdict == Verdict::Hold));
    assert!(findings.iter().any(|finding| finding.code.as_str() == "fraud.no_rule_fired"));
    let off = Config { off: [Rule::CredentialChange].into(), ..Config::default() };
    let findings = engine_with(off, events()).examine(&request, NOW);
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Allow));
}

#[test]
fn an_unknown_account_is_named_as_such() {
    let findings = engine([]).examine(&request("nobody", "1", "T"), NOW);
    let codes: Vec<_> = findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["fraud.first_use_large_share", "fraud.no_history"]);
}

#[test]
fn rule_names_are_unique_and_read_back() {
    for rule in Rule::ALL {
        assert_eq!(Rule::named(rule.as_str()), Some(rule));
        assert!(rule.code().as_str().starts_with("fraud."));
    }
    assert_eq!(Rule::named("nothing"), None);
}

/// The reference of reason codes lists every rule's code.
#[test]
fn every_code_is_documented() {
    let reference = include_str!("../../../../docs/reasons/fraud.md");
    for rule in Rule::ALL {
        assert!(reference.contains(&format!("`{}`", rule.code())), "{}", rule.code());
        assert!(reference.contains(&format!("`{}`", rule.as_str())), "{}", rule.as_str());
    }
    for code in ["established_destination", "no_history", "no_rule_fired", "recent_password_change"] {
        assert!(reference.contains(&format!("`fraud.{code}`")), "{code}");
    }
}

/// An entry of the journal.
#[derive(Debug, Clone)]
enum Entry {
    Event(Box<Event>),
    Decision(Arc<Decision>),
}

fn entry() -> impl Strategy<Value = Entry> {
    let quantity = prop_oneof![Just("0"), Just("0.000001"), Just("7"), Just("79228162514264337593543950335")];
    let kind = (0_u8..9, quantity, 0_u8..4).prop_map(|(kind, quantity, which)| {
        let (asset, amount) = (Asset::parse("USDT").unwrap(), amount(quantity));
        let address = format!("T{which}");
        match kind {
            0 => EventKind::AddressAdded { network: Network::Tron, address },
            1 => EventKind::BalanceChanged { asset, total: amount },
            2 => EventKind::CredentialChanged { credential: Credential::ALL[usize::from(which)] },
            3 => EventKind::Deposit { asset, amount, network: Network::Tron, from: None },
            4 => EventKind::DeviceAdded,
            5 => EventKind::OrderFilled { instrument: "BTC-USDT".into(), quantity: amount, price: amount },
            6 => EventKind::WithdrawalAccepted { asset, amount, network: Network::Tron, address },
            _ => EventKind::Login { success: which > 1, second_factor: false },
        }
    });
    let time = prop_oneof![0_u64..1_000, 0..3 * DAY.as_secs(), 0..300 * DAY.as_secs()];
    (kind, 0_u8..5, time, 0_u8..4, any::<bool>(), any::<u64>()).prop_map(
        |(kind, name, ago, device, decides, far)| {
            let ago = Duration::from_secs(ago);
            let name = format!("account-{name}");
            if decides {
                let verdict = Verdict::ALL[usize::from(device)];
                let request = request(&name, "3", &format!("T{device}"));
                return Entry::Decision(Arc::new(decision(request, verdict, ago)));
            }
            let mut event = event(&name, ago, kind);
            event.device = (device > 0).then(|| DeviceId::parse(&format!("d{device}")).unwrap());
            event.ip = (device > 1).then(|| IpAddr::from([192, 0, device, 1]));
            if far % 16 == 0 {
                // A reporter's clock may be anywhere.
                event.occurred_at = UnixNanos(far);
            }
            Entry::Event(Box::new(event))
        },
    )
}

fn fold(fraud: &Fraud, entries: &[Entry], each: impl Fn(&Fraud)) {
    for (seq, entry) in (0..).zip(entries) {
        match entry {
            Entry::Event(event) => fraud.apply(seq, event),
            Entry::Decision(decision) => fraud.apply_decision(seq, decision),
        }
        each(fraud);
    }
}

proptest! {
    #[test]
    fn replay_equals_live(entries in vec(entry(), 0..120), quantity in 1_u32..200) {
        let small = Bounds { accounts_max: 3, destinations_max: 2, devices_max: 2, samples_max: 24, ..Bounds::default() };
        let config = Config { bounds: small, ..Config::default() };
        let (live, replayed) = (Fraud::new(config.clone()).unwrap(), Fraud::new(config).unwrap());
        let requests: Vec<_> = (0..6)
            .map(|n| request(&format!("account-{n}"), &quantity.to_string(), &format!("T{}", n % 5)))
            .collect();
        // The live engine is asked all the time, at all times; the replayed one only at the end.
        fold(&live, &entries, |fraud| {
            for (n, request) in (0_u32..).zip(&requests) {
                let findings = fraud.examine(request, NOW.minus(n * n * HOUR));
                assert!(!findings.is_empty());
            }
        });
        fold(&replayed, &entries, |_| {});
        prop_assert_eq!(live.digest(), replayed.digest());
        for request in &requests {
            prop_assert_eq!(live.examine(request, NOW), replayed.examine(request, NOW));
        }
        let sizes = live.sizes();
        prop_assert!(sizes.accounts <= 3 && sizes.destinations <= 2 && sizes.devices <= 2);
        prop_assert_eq!(sizes.applied, entries.len() as u64);
    }
}

#[test]
fn a_million_accounts_devices_and_destinations_stay_within_their_bounds() {
    let bounds =
        Bounds { accounts_max: 1_000, destinations_max: 1_000, devices_max: 1_000, ..Bounds::default() };
    let fraud = Fraud::new(Config { bounds, ..Config::default() }).unwrap();
    for n in 0..1_000_000_u64 {
        let mut event = if n % 2 == 0 {
            login(DAY, &format!("device-{n}"), "192.0.2.1")
        } else {
            accepted("x", DAY, "1", &format!("T{n}"))
        };
        event.account = account(&format!("account-{n}"));
        fraud.apply(n, &event);
    }
    let sizes = fraud.sizes();
    assert_eq!((sizes.accounts, sizes.accounts_evicted), (1_000, 999_000));
    assert_eq!((sizes.destinations, sizes.devices), (1_000, 1_000));
}
