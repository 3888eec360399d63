use domain::{Amount, Asset, Channel, EventContext, EventId, Network, WithdrawalRequest};
use proptest::prelude::*;

use super::*;

fn account(n: u32) -> AccountId {
    AccountId::parse(&format!("customer-{n}")).unwrap()
}

fn address(n: u8) -> String {
    address::encode(&Address::new(domain::AddressKind::Evm, &[n; 20]).unwrap())
}

fn login(n: u32, device: &str, at: u64) -> Event {
    Event {
        id: EventId::parse(&format!("e-{n}-{at}")).unwrap(),
        account: account(n),
        occurred_at: UnixNanos::from_secs(at),
        device: Some(DeviceId::parse(device).unwrap()),
        ip: Some("192.0.2.9".parse().unwrap()),
        context: EventContext::default(),
        kind: EventKind::Login { success: true, second_factor: false },
    }
}

fn decision(n: u32, to: u8, verdict: Verdict) -> Decision {
    Decision {
        request: WithdrawalRequest {
            account: account(n),
            channel: Channel::Exchange,
            asset: Asset::parse("ETH").unwrap(),
            amount: Amount::parse("1").unwrap(),
            fee: None,
            destination: Destination::OnChain { network: Network::Ethereum, address: address(to), tag: None },
            client_id: None,
            ip: "::ffff:192.0.2.9".parse().unwrap(),
            device: None,
            client_ja4: None,
            requested_at: UnixNanos::from_secs(5),
        },
        verdict,
        findings: Vec::new(),
        decided_at: UnixNanos::from_secs(5),
        idempotency_key: None,
    }
}

fn positions(found: &[Found]) -> Vec<u64> {
    found.iter().map(|found| found.position).collect()
}

#[test]
fn those_who_share_a_thing_are_found_from_it_and_from_each_other() {
    let mut trails = Trails::default();
    trails.event(0, &login(1, "phone", 10));
    trails.event(1, &login(2, "phone", 20));
    trails.event(2, &login(1, "phone", 30));
    trails.decision(3, &decision(1, 7, Verdict::Hold));

    let (users, more) = trails.links(&Node::Device(DeviceId::parse("phone").unwrap()));
    let seen: Vec<_> = users.iter().map(|link| (link.other.clone(), link.times, link.last_s)).collect();
    assert_eq!(seen, [(Node::Account(account(1)), 2, 30), (Node::Account(account(2)), 1, 20)]);
    assert_eq!(more, 0);
    // An address mapped into IPv6 is the same address.
    let (users, _) = trails.links(&Node::Ip("192.0.2.9".parse().unwrap()));
    assert_eq!(users.iter().map(|link| link.times).collect::<Vec<_>>(), [3, 1]);
    let paid = Node::Address(address::decode_any(&address(7)).unwrap());
    let (payers, _) = trails.links(&paid);
    assert_eq!(
        payers.iter().map(|link| (&link.other, link.how)).collect::<Vec<_>>(),
        [(&Node::Account(account(1)), How::Withdrawal)]
    );
    assert_eq!(positions(&trails.trail(&paid, None, &[], 9, 9).0), [3]);
}

#[test]
fn a_trail_is_read_in_pages_and_by_sort() {
    let mut trails = Trails::default();
    let one = Node::Account(account(1));
    for position in 0..10 {
        if position % 2 == 0 {
            trails.event(position, &login(1, "phone", position));
        } else {
            trails.account(position, &account(1), Sort::Alert);
        }
        trails.account(position, &account(2), Sort::Key);
    }
    let (first, next) = trails.trail(&one, None, &[], 4, 100);
    assert_eq!(positions(&first), [9, 8, 7, 6]);
    let (rest, end) = trails.trail(&one, next, &[], 100, 100);
    assert_eq!((positions(&rest), end), (vec![5, 4, 3, 2, 1, 0], None));
    assert_eq!(positions(&trails.trail(&one, None, &[Sort::Alert], 2, 100).0), [9, 7]);
    // Looking stops where it is told to, and goes on there.
    let (some, next) = trails.trail(&one, None, &[Sort::Access], 100, 3);
    assert_eq!(positions(&some), [8]);
    assert_eq!(positions(&trails.trail(&one, next, &[Sort::Access], 100, 100).0), [6, 4, 2, 0]);
    assert_eq!(trails.steps_of(&one), 10);
    // A place nobody was ever given leads nowhere.
    assert_eq!(trails.trail(&one, Some(u64::MAX), &[], 9, 9), (Vec::new(), None));
}

#[test]
fn what_is_forgotten_is_counted_or_ends_the_trail() {
    let mut trails = Trails::bounded(50, 3, 6, 2);
    for n in 0..5 {
        trails.event(u64::from(n), &login(n, "hub", 1));
    }
    let (users, more) = trails.links(&Node::Device(DeviceId::parse("hub").unwrap()));
    assert_eq!((users.len(), more), (3, 2));
    for position in 5..10 {
        trails.account(position, &account(4), Sort::Case);
    }
    let (found, next) = trails.trail(&Node::Account(account(4)), None, &[], 100, 100);
    assert_eq!((positions(&found), next), (vec![9, 8, 7, 6, 5, 4], None));
    assert!(trails.trail(&Node::Account(account(0)), None, &[], 9, 9).0.is_empty());
    for position in 20..25 {
        trails.decision(position, &decision(1, 1, Verdict::Allow));
    }
    assert_eq!(trails.decisions(u64::MAX, None, None, 9, 9), (vec![24, 23], None));
}

proptest! {
    /// Whatever is asked for by verdict and customer, in pages of any size, is what looking at all of them gives.
    #[test]
    fn pages_of_decisions_together_are_all_decisions(
        made in prop::collection::vec((0_u32..3, 0_usize..4), 0..60),
        verdict in prop::option::of(0_usize..4),
        who in prop::option::of(0_u32..3),
        most in 1_usize..7,
        look_max in 1_usize..9,
    ) {
        let mut trails = Trails::default();
        for (position, (who, verdict)) in (0_u64..).zip(&made) {
            trails.decision(position * 3, &decision(*who, 1, Verdict::ALL[*verdict]));
        }
        let wanted = |(_, (by, said)): &(u64, &(u32, usize))| {
            verdict.is_none_or(|verdict| verdict == *said) && who.is_none_or(|who| who == *by)
        };
        let mut expected: Vec<u64> =
            (0_u64..).zip(&made).filter(wanted).map(|(position, _)| position * 3).collect();
        expected.reverse();
        let (mut got, mut before) = (Vec::new(), Some(u64::MAX));
        while let Some(at) = before {
            let account = who.map(account);
            let (page, next) =
                trails.decisions(at, verdict.map(|verdict| Verdict::ALL[verdict]), account.as_ref(), most, look_max);
            prop_assert!(page.len() <= most && next.is_none_or(|next| next < at));
            got.extend(page);
            before = next;
        }
        prop_assert_eq!(got, expected);
    }
}
