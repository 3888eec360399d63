use domain::Verdict;
use proptest::prelude::*;

use super::{
    file::{StateFile, Write},
    *,
};

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

/// Writes as a follower does; how many bytes.
fn store(form: &mut StateFile, state: &mut FollowState, stored: &mut Vec<u8>) -> usize {
    match form.next(state) {
        Write::Whole(bytes) => *stored = bytes,
        Write::More(behind, bytes) => {
            assert_eq!(behind, stored.len() as u64);
            stored.extend_from_slice(&bytes);
            return bytes.len();
        }
    }
    stored.len()
}

#[test]
fn a_block_costs_what_happened_in_it() {
    let mut state = FollowState::new("eth", 8, 256);
    let (mut form, mut stored) = (StateFile::default(), Vec::new());
    for _ in 0..20 {
        extend(&mut state, 0, 5_000);
    }
    state.delivered();
    let whole = store(&mut form, &mut state, &mut stored);
    state.delivered();
    extend(&mut state, 0, 3);
    let more = store(&mut form, &mut state, &mut stored);
    assert!(whole > 10_000_000 && more < 1_500 && !form.is_long(), "{whole} {more}");
    // A block that is full makes room for itself the same way when it is done again; so do a reorganisation and a new start.
    state.delivered();
    extend(&mut state, 0, 5_000);
    extend(&mut state, 0, 10);
    state.disconnect();
    state.disconnect();
    state.reorganised(2);
    extend(&mut state, 1, 2);
    for _ in 0..6 {
        extend(&mut state, 1, 4_097);
    }
    store(&mut form, &mut state, &mut stored);
    assert_eq!(FollowState::from_bytes(&stored, "eth", 8, 256).unwrap(), state);
    state.restart();
    state.set_genesis(BlockHash([9; 32]));
    extend(&mut state, 2, 1);
    store(&mut form, &mut state, &mut stored);
    assert_eq!(FollowState::from_bytes(&stored, "eth", 8, 256).unwrap(), state);
    // Steps longer than all: time to write it anew, with what stands alone.
    for _ in 0..20 {
        state.delivered();
        extend(&mut state, 2, 4_000);
        store(&mut form, &mut state, &mut stored);
    }
    assert!(form.is_long());
    assert_eq!(FollowState::from_bytes(&stored, "eth", 8, 256).unwrap(), state);
    let Write::Whole(anew) = form.whole(&mut state) else { panic!("the whole") };
    assert!(!form.is_long() && FollowState::from_bytes(&anew, "eth", 8, 256).unwrap() == state);
}

#[test]
fn a_configuration_that_changed_counts_from_now_on() {
    let mut state = FollowState::new("eth", 100, 512);
    let (mut form, mut stored) = (StateFile::default(), Vec::new());
    store(&mut form, &mut state, &mut stored);
    for _ in 0..400 {
        extend(&mut state, 0, 1);
    }
    state.delivered();
    store(&mut form, &mut state, &mut stored);
    let finals = state.totals().finals;
    let mut other = FollowState::from_bytes(&stored, "eth", 12, 256).unwrap();
    assert_eq!((other.headers().len(), other.kept().count(), other.news().len()), (256, 256, 0));
    assert_eq!((other.totals().finals, other.finalized()), (finals, state.finalized()));
    extend(&mut other, 0, 0);
    assert_eq!(other.finalized().unwrap().height, 100 + 400 - 11);
}

#[test]
fn what_was_never_acknowledged_counts_for_nothing_and_damage_is_found() {
    let mut state = FollowState::new("eth", 2, 256);
    let (mut form, mut stored) = (StateFile::default(), Vec::new());
    extend(&mut state, 0, 1);
    store(&mut form, &mut state, &mut stored);
    let whole = stored.len();
    extend(&mut state, 0, 2);
    store(&mut form, &mut state, &mut stored);
    let (before, one) = (state.clone(), stored.len());
    extend(&mut state, 0, 40);
    store(&mut form, &mut state, &mut stored);
    let read = |bytes: &[u8]| FollowState::from_bytes(bytes, "eth", 2, 256);
    for len in (whole..stored.len()).step_by(7).chain(whole..whole + 60).chain(one - 40..one + 40) {
        let cut = read(&stored[..len]).unwrap();
        assert_eq!(len >= one, cut == before, "{len} of {}", stored.len());
    }
    // Room was made, and not all of it was written.
    for from in [one, (one / 4096 + 1) * 4096] {
        let mut torn = stored.clone();
        torn[from..].fill(0);
        assert!(torn.len() - from > 8 && read(&torn).unwrap() == before);
        torn.extend_from_slice(&[0; 10_000]);
        assert_eq!(read(&torn).unwrap(), before);
    }
    for bit in (0..stored.len() * 8).step_by(11).chain(whole * 8..(whole + 40) * 8) {
        let mut damaged = stored.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(check(&damaged), Err(BadState::Digest | BadState::Version)), "bit {bit}");
    }
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
        assert!(matches!(check(&damaged), Err(BadState::Digest | BadState::Version)), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert!(FollowState::from_bytes(&bytes[..len], "eth", 2, 256).is_err());
    }
}

proptest! {
    /// Sound digests over any bytes: refused or read, never a panic.
    #[test]
    fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(FollowState::from_bytes(&file::whole(&body), "eth", 2, 256));
        let mut state = FollowState::new("eth", 2, 256);
        extend(&mut state, 0, 1);
        let _ = file::replay(&mut state, &body);
    }

    /// Whatever happens, the alerts in force are those of the blocks that are part of the chain, each told once.
    #[test]
    fn what_is_in_force_follows_from_the_chain(steps in proptest::collection::vec((0u64..6, 1u8..255, 0u64..4), 1..60)) {
        let mut state = FollowState::new("eth", 4, 256);
        extend(&mut state, 0, 1);
        let mut told = std::collections::BTreeMap::new();
        let (mut form, mut stored) = (StateFile::default(), Vec::new());
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
            // Done again step by step, news included.
            store(&mut form, &mut state, &mut stored);
            prop_assert_eq!(&FollowState::from_bytes(&stored, "eth", 4, 256).unwrap(), &state);
            state.delivered();
            prop_assert_eq!(&FollowState::from_bytes(&state.to_bytes(), "eth", 4, 256).unwrap(), &state);
        }
        told.retain(|_, state| *state != AlertState::Retracted);
        let kept: std::collections::BTreeMap<_, _> = state
            .kept()
            .map(|(alert, is_final)| (alert.id, if is_final { AlertState::Final } else { AlertState::Provisional }))
            .collect();
        prop_assert_eq!(told, kept);
    }
}
