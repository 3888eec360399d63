//! Withdrawals of customers, one after the other.

use std::net::{IpAddr, Ipv4Addr};

use chain::poisoning::Bait;
use domain::{Amount, Asset, Channel, EventId};

use super::*;

const HOUR: u64 = 3_600 * 1_000_000_000;
const USED: &str = "0x201d438022b74fb389b41d96bb2a7f7bf43d81f6";
const IMITATION: &str = "0x2017afe23eb6766988e2546fe88ee4ee16b781f6";

fn at(hours: u64) -> UnixNanos {
    UnixNanos(400_000 * HOUR + hours * HOUR)
}

fn account(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

fn event(name: &str, hours: u64, kind: EventKind) -> Event {
    Event {
        id: EventId::parse(&format!("{name}-{hours}")).unwrap(),
        account: account(name),
        occurred_at: at(hours),
        device: None,
        ip: None,
        context: domain::EventContext::default(),
        kind,
    }
}

fn paid(customers: &Customers, name: &str, hours: u64, address: &str) {
    customers.apply(&event(
        name,
        hours,
        EventKind::WithdrawalAccepted {
            asset: Asset::parse("ETH").unwrap(),
            amount: Amount::parse("1").unwrap(),
            network: Network::Ethereum,
            address: address.to_owned(),
        },
    ));
}

fn entered(customers: &Customers, name: &str, hours: u64, address: &str) {
    let kind = EventKind::AddressAdded { network: Network::Ethereum, address: address.to_owned() };
    customers.apply(&event(name, hours, kind));
}

fn request(name: &str, address: &str) -> WithdrawalRequest {
    WithdrawalRequest {
        account: account(name),
        channel: Channel::Exchange,
        asset: Asset::parse("ETH").unwrap(),
        amount: Amount::parse("1").unwrap(),
        fee: None,
        destination: Destination::OnChain {
            network: Network::Ethereum,
            address: address.to_owned(),
            tag: None,
        },
        client_id: None,
        client_ja4: None,
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        device: None,
        requested_at: at(0),
    }
}

fn found(customers: &Customers, name: &str, hours: u64, address: &str) -> Vec<(String, Verdict, bool)> {
    let findings = customers.examine(&request(name, address), at(hours), &NoSightings);
    findings.into_iter().map(|found| (found.code.to_string(), found.verdict, found.shadow)).collect()
}

#[test]
fn an_imitation_is_held_for_whom_it_imitates() {
    let customers = Customers::new(CustomersConfig::default());
    paid(&customers, "alice", 0, USED);
    let held = ("watch.address_poisoning".to_owned(), Verdict::Hold, false);
    assert_eq!(found(&customers, "alice", 100, IMITATION), [held]);
    assert_eq!(found(&customers, "alice", 100, USED), []);
    assert_eq!(found(&customers, "bob", 100, IMITATION), [], "never in the history of somebody else");
    let finding = &customers.examine(&request("alice", IMITATION), at(100), &NoSightings)[0];
    let evidence =
        |name: &str| &finding.evidence.iter().find(|evidence| evidence.name == name).unwrap().value;
    assert_eq!(evidence("resembles").to_lowercase(), USED);
    assert_eq!(
        (evidence("leading_characters_equal").as_str(), evidence("trailing_characters_equal").as_str()),
        ("3", "4")
    );
}

#[test]
fn the_wrong_line_in_the_address_book_is_no_excuse() {
    let customers = Customers::new(CustomersConfig::default());
    entered(&customers, "alice", 0, USED);
    entered(&customers, "alice", 5, IMITATION);
    assert_eq!(found(&customers, "alice", 100, IMITATION).len(), 1);
    assert_eq!(found(&customers, "alice", 100, USED), [], "what was entered first imitates nothing");
}

#[test]
fn a_typing_error_is_held_and_a_coincidence_reported() {
    let customers = Customers::new(CustomersConfig::default());
    paid(&customers, "alice", 0, USED);
    let mistyped = USED.replace("41d9", "41d8");
    assert_eq!(found(&customers, "alice", 1, &mistyped)[0].0, "watch.mistyped_address");
    let coincidence = "0x20faaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa81f6";
    let shadow = ("watch.resembling_address".to_owned(), Verdict::Challenge, true);
    assert_eq!(found(&customers, "alice", 1, coincidence), [shadow]);
}

#[test]
fn what_the_chain_shows_counts() {
    struct Chain(Context);
    impl Sightings for Chain {
        fn context(&self, _: &Address, _: &Address) -> Context {
            self.0
        }
        fn first_seen(&self, _: &Address) -> Option<UnixNanos> {
            self.0.look_alike_first_seen
        }
    }
    let customers = Customers::new(CustomersConfig::default());
    paid(&customers, "alice", 1_000, USED);
    let code = |address: &str, context: Context| {
        customers.examine(&request("alice", address), at(1_001), &Chain(context))[0].code.to_string()
    };
    let old = Context { look_alike_first_seen: Some(at(0)), ..Context::default() };
    assert_eq!(code(IMITATION, old), "watch.resembling_address");
    let bait = Bait { zero_value: 1, latest: Some(at(1_000)), ..Bait::default() };
    let coincidence = "0x20faaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa81f6";
    assert_eq!(code(coincidence, Context { bait, ..Context::default() }), "watch.address_poisoning");
}

#[test]
fn the_second_customer_of_a_fresh_address_is_reported() {
    let customers = Customers::new(CustomersConfig::default());
    paid(&customers, "carol", 0, USED);
    let fresh = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    paid(&customers, "alice", 50, fresh);
    assert_eq!(found(&customers, "alice", 51, fresh), []);
    let shared = ("watch.shared_fresh_address".to_owned(), Verdict::Challenge, true);
    assert_eq!(found(&customers, "bob", 51, fresh), [shared]);
    assert_eq!(found(&customers, "bob", 75, fresh), [], "known for a day");
}

#[test]
fn equal_folds_have_equal_digests() {
    let fold = |hours: [u64; 2]| {
        let customers = Customers::new(CustomersConfig::default());
        paid(&customers, "alice", hours[0], USED);
        entered(&customers, "bob", hours[1], IMITATION);
        customers.digest()
    };
    assert_eq!(fold([1, 2]), fold([1, 2]));
    assert_ne!(fold([1, 2]), fold([1, 3]));
}
