use domain::Verdict;
use proptest::prelude::*;

use super::*;

fn header(branch: u8, height: u64, parent: BlockHash) -> Header {
    let mut hash = [branch; 32];
    hash[..8].copy_from_slice(&height.to_be_bytes());
    Header { id: BlockId { height, hash: BlockHash(hash) }, parent, time_s: height * 12 }
}

fn finding(position: u64) -> Finding {
    let subject = Address::new(AddressKind::Evm, &[7; 20]);
    Finding {
        transaction: [position.to_le_bytes()[0]; 32],
        position,
        kind: AlertKind::ListedCounterparty,
        subject,
        counterparty: None,
        direction: Direction::In,
        asset: Address::new(AddressKind::Evm, &[8; 20]),
        asset_known: true,
        value: U256::MAX,
        category: Some(Category::from_tag(1).unwrap()),
        verdict: Verdict::Deny,
    }
}

/// Puts a block with so many findings on top.
fn extend(state: &mut FollowState, branch: u8, findings: u64) {
    let next = match state.headers().tip() {
        Some(tip) => header(branch, tip.id.height + 1, tip.id.hash),
        None => header(branch, 100, BlockHash::default()),
    };
    state.connect(next, (0..findings).map(finding).collect()).unwrap();
}

fn states(state: &FollowState) -> Vec<(u64, AlertState)> {
    state.news().iter().map(|news| (news.alert.block.height, news.state)).collect()
}

#[test]
fn provisional_then_final_or_retracted() {
    let mut state = FollowState::new("eth", 3, 256);
    extend(&mut state, 0, 1);
    extend(&mut state, 0, 0);
    assert_eq!(states(&state), [(100, AlertState::Provisional)]);
    assert_eq!(state.finalized(), None);
    extend(&mut state, 0, 1);
    assert_eq!(state.finalized().unwrap().height, 100, "three blocks stand on each other");
    state.delivered();
    let taken = state.disconnect().unwrap();
    assert_eq!((taken.id.height, states(&state)), (102, vec![(102, AlertState::Retracted)]));
    assert_eq!(state.totals().retractions_of_finals, 0);
    // Deeper than the operator thought possible: said as well, and counted apart.
    state.disconnect();
    state.disconnect();
    assert_eq!(states(&state).last(), Some(&(100, AlertState::Retracted)));
    assert_eq!(state.totals().retractions_of_finals, 1);
    assert_eq!((state.disconnect(), state.finalized()), (None, None));
}

#[test]
fn the_same_finding_in_another_block_is_another_alert() {
    let mut state = FollowState::new("eth", 3, 256);
    extend(&mut state, 0, 1);
    extend(&mut state, 1, 1);
    state.disconnect();
    extend(&mut state, 2, 1);
    let ids: Vec<AlertId> = state.news().iter().map(|news| news.alert.id).collect();
    assert_eq!(ids[1], ids[2], "told and taken back");
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
}

#[test]
fn too_many_findings_end_in_one_that_says_so() {
    let mut state = FollowState::new("eth", 200, 256);
    for _ in 0..20 {
        extend(&mut state, 0, 5_000);
    }
    assert!(state.n_kept <= KEPT_MAX + state.headers().len(), "{}", state.n_kept);
    let overflow: Vec<_> =
        state.news().iter().filter(|news| news.alert.kind == AlertKind::Overflow).collect();
    assert_eq!((overflow.len(), overflow[0].alert.value), (20, U256::from(5_000u64)));
    let again = FollowState::from_bytes(&state.to_bytes(), "eth", 200, 256).unwrap();
    assert_eq!(again, state);
}

#[test]
fn stored_bytes_are_checked_whole() {
    let mut state = FollowState::new("eth", 2, 256);
    state.set_genesis(BlockHash([3; 32]));
    for n in 0..4 {
        extend(&mut state, 0, n);
    }
    state.disconnect();
    state.reorganised(1);
    let bytes = state.to_bytes();
    assert_eq!(FollowState::from_bytes(&bytes, "eth", 2, 256), Ok(state));
    assert_eq!(FollowState::from_bytes(&bytes, "bsc", 2, 256), Err(BadState::OtherChain("eth".to_owned())));
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(check(&damaged), Err(BadState::Digest), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert!(FollowState::from_bytes(&bytes[..len], "eth", 2, 256).is_err());
    }
}

proptest! {
    /// Sound digests over any bytes: refused or read, never a panic.
    #[test]
    fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = FORMAT.to_vec();
        bytes.extend(body);
        let digest = sha256(&[&bytes]);
        bytes.extend_from_slice(&digest);
        drop(FollowState::from_bytes(&bytes, "eth", 2, 256));
    }

    /// Whatever happens, the alerts in force are those of the blocks that are part of the chain, each told once.
    #[test]
    fn what_is_in_force_follows_from_the_chain(steps in proptest::collection::vec((0u64..6, 1u8..255, 0u64..4), 1..60)) {
        let mut state = FollowState::new("eth", 4, 256);
        extend(&mut state, 0, 1);
        let mut told = std::collections::BTreeMap::new();
        for (depth, branch, findings) in steps {
            for _ in 0..depth {
                if state.headers().len() > 1 {
                    state.disconnect();
                }
            }
            extend(&mut state, branch, findings);
            for news in state.news() {
                let before = told.insert(news.alert.id, news.state);
                // A block that is put on again tells its alerts again; else the order is provisional, final, retracted.
                let again = before == Some(AlertState::Retracted) && news.state == AlertState::Provisional;
                prop_assert!(again || before < Some(news.state), "{:?} {:?}", before, news);
            }
            state.delivered();
            let bytes = state.to_bytes();
            prop_assert_eq!(&FollowState::from_bytes(&bytes, "eth", 4, 256).unwrap(), &state);
        }
        told.retain(|_, state| *state != AlertState::Retracted);
        let kept: std::collections::BTreeMap<_, _> = state
            .kept()
            .map(|(alert, is_final)| (alert.id, if is_final { AlertState::Final } else { AlertState::Provisional }))
            .collect();
        prop_assert_eq!(told, kept);
    }
}
