use proptest::prelude::*;

use super::*;
use crate::{
    evm::{Authorization, Block, BlockHeader, Bloom, Log, Outcome, Proof, Receipt, Transaction, verify},
    headers::BlockHash,
};

const A: Account = Account([0xaa; 20]);
const B: Account = Account([0xbb; 20]);
const TOKEN: Account = Account([0x70; 20]);
const POOL: Account = Account([0x90; 20]);

fn word(account: Account) -> [u8; 32] {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&account.0);
    word
}

fn number(value: u64) -> [u8; 32] {
    U256::from(value).to_be_bytes()
}

fn facts(transaction: Transaction, ok: bool, logs: Vec<(Vec<[u8; 32]>, Vec<u8>)>) -> Facts {
    facts_of(TOKEN, transaction, ok, logs)
}

/// Of a transaction whose logs a contract recorded. There is one pool, of 1,000 wei.
fn facts_of(
    emitter: Account,
    transaction: Transaction,
    ok: bool,
    logs: Vec<(Vec<[u8; 32]>, Vec<u8>)>,
) -> Facts {
    let hash = BlockHash([9; 32]);
    let logs: Vec<Log> = logs
        .into_iter()
        .zip(0..)
        .map(|((topics, data), index)| Log { emitter, topics, data, index })
        .collect();
    let receipt = Receipt {
        transaction: transaction.hash,
        index: 0,
        block: hash,
        kind: transaction.kind,
        outcome: Outcome::Status(ok),
        cumulative_gas_used: 0,
        logs_bloom: Bloom::default(),
        logs,
    };
    let block = Block { hash, header: BlockHeader::default(), transactions: vec![transaction] };
    let pools = Pools::new([(POOL, U256::from(1_000_u64))]).unwrap();
    decode(&verify(hash, block, vec![receipt], Proof::Links).unwrap(), 1, &pools)
}

fn one_log(topics: &[[u8; 32]], data: &[u8]) -> Facts {
    facts(
        Transaction { to: Some(TOKEN), from: A, ..Transaction::default() },
        true,
        vec![(topics.to_vec(), data.to_vec())],
    )
}

#[test]
fn native_value_moves_only_when_the_transaction_is_carried_out() {
    let send = Transaction { from: A, to: Some(B), value: U256::ONE, ..Transaction::default() };
    let moved = facts(send.clone(), true, vec![]).transfers;
    assert_eq!((moved[0].kind, moved[0].from, moved[0].to), (TransferKind::Native, A, B));
    assert_eq!(facts(send, false, vec![]).transfers, []);
    // The example of the first contract of an account: the sender's nonce decides where it goes.
    let sender = Account([
        0x6a, 0xc7, 0xea, 0x33, 0xf8, 0x83, 0x1e, 0xa9, 0xdc, 0xc5, 0x33, 0x93, 0xaa, 0xa8, 0x8b, 0x25, 0xa7,
        0x85, 0xdb, 0xf0,
    ]);
    let create = Transaction { from: sender, to: None, value: U256::ONE, ..Transaction::default() };
    let created = facts(create, true, vec![]).transfers[0];
    assert_eq!(created.kind, TransferKind::Creation);
    assert_eq!(created.to.to_string(), "0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d");
}

#[test]
fn a_failed_transaction_still_delegates_but_only_with_a_signature() {
    let nobodys = Authorization {
        chain_id: U256::ZERO,
        delegate: TOKEN,
        nonce: 0,
        y_parity: 0,
        r: U256::ZERO,
        s: U256::ZERO,
    };
    let with = Transaction { kind: 4, to: Some(B), authorizations: vec![nobodys], ..Transaction::default() };
    assert_eq!(facts(with, false, vec![]).delegations, []);
}

#[test]
fn the_number_of_topics_tells_tokens_apart() {
    let erc20 = one_log(&[TRANSFER, word(A), word(B)], &number(7)).transfers[0];
    assert_eq!(
        (erc20.kind, erc20.value, erc20.asset),
        (TransferKind::Erc20, U256::from(7u64), TransferAsset::Token(TOKEN))
    );
    let erc721 = one_log(&[TRANSFER, word(A), word(B), number(7)], &[]).transfers[0];
    assert_eq!((erc721.kind, erc721.value), (TransferKind::Erc721 { token_id: U256::from(7u64) }, U256::ONE));
    let single =
        one_log(&[TRANSFER_SINGLE, word(B), word(A), word(B)], &[number(5), number(9)].concat()).transfers[0];
    assert_eq!(
        (single.kind, single.value),
        (TransferKind::Erc1155 { token_id: U256::from(5u64) }, U256::from(9u64))
    );
    let all = one_log(&[APPROVAL_FOR_ALL, word(A), word(B)], &number(1)).approvals[0];
    assert_eq!((all.owner, all.spender, all.scope), (A, B, ApprovalScope::All(true)));
    let some = one_log(&[APPROVAL, word(A), word(B)], &number(3)).approvals[0];
    assert_eq!(some.scope, ApprovalScope::Amount(U256::from(3u64)));
    let one = one_log(&[APPROVAL, word(A), word(B), number(3)], &[]).approvals[0];
    assert_eq!(one.scope, ApprovalScope::Token(U256::from(3u64)));
    assert!(ApprovalScope::All(true).is_unlimited() && ApprovalScope::Amount(U256::MAX).is_unlimited());
    assert!(!ApprovalScope::Amount(U256::from(10u128.pow(27))).is_unlimited());
}

#[test]
fn batches() {
    let topics = [TRANSFER_BATCH, word(B), word(A), word(B)];
    let words = |values: &[u64]| values.iter().flat_map(|value| number(*value)).collect::<Vec<u8>>();
    let two = one_log(&topics, &words(&[64, 160, 2, 1, 2, 2, 10, 20])).transfers;
    let seen: Vec<_> =
        two.iter().map(|transfer| (transfer.kind, transfer.value, transfer.batch_index)).collect();
    let kind = |id: u64| TransferKind::Erc1155 { token_id: U256::from(id) };
    assert_eq!(seen, [(kind(1), U256::from(10u64), 0), (kind(2), U256::from(20u64), 1)]);
    for bad in [
        &[64u64, 160, 2, 1, 2, 1, 10][..],
        &[64, 160, u64::MAX, 1, 2, 2, 10, 20],
        &[64, u64::MAX - 31, 2, 1, 2, 2, 10, 20],
        &[64, 161, 2, 1, 2, 2, 10, 20],
        &[64],
        &[],
    ] {
        let facts = one_log(&topics, &words(bad));
        assert_eq!((facts.transfers.len(), facts.undecoded), (0, 1), "{bad:?}");
    }
    assert_eq!(one_log(&topics, &[0; 33]).undecoded, 1);
}

#[test]
fn what_only_resembles_an_event_is_counted() {
    let mut dirty = word(A);
    dirty[0] = 1;
    for (topics, data) in [
        (&[TRANSFER, dirty, word(B)][..], &number(1)[..]),
        (&[TRANSFER, word(A), word(B)], &[]),
        (&[TRANSFER], &number(1)),
        (&[TRANSFER, word(A), word(B), number(1)], &number(1)),
        (&[APPROVAL_FOR_ALL, word(A), word(B)], &number(2)),
    ] {
        let facts = one_log(topics, data);
        assert_eq!((facts.undecoded, facts.transfers.len(), facts.approvals.len()), (1, 0, 0));
    }
    // Events of other names are nobody's business here, an anonymous log has no name at all.
    assert_eq!(one_log(&[[1; 32], word(A)], &[1]).undecoded, 0);
    assert_eq!(one_log(&[], &[1]).undecoded, 0);
}

proptest! {
    #[test]
    fn no_log_panics_and_none_is_counted_twice(
        name in prop_oneof![
            Just(TRANSFER), Just(APPROVAL), Just(APPROVAL_FOR_ALL), Just(TRANSFER_SINGLE), Just(TRANSFER_BATCH)
        ],
        topics in proptest::collection::vec(
            prop_oneof![Just(word(A)), Just(word(B)), any::<[u8; 32]>()], 0..4),
        words in proptest::collection::vec((0u64..200).prop_map(number), 0..12),
        tail in 0usize..33,
    ) {
        let mut data = words.concat();
        data.truncate(data.len().saturating_sub(tail));
        let topics: Vec<_> = std::iter::once(name).chain(topics).take(4).collect();
        let facts = one_log(&topics, &data);
        prop_assert!(facts.undecoded == 0 || facts.transfers.is_empty() && facts.approvals.is_empty());
        prop_assert!(facts.transfers.len() <= data.len() / 64 + 1);
    }
}

/// What a pool records: to whom, through whom, for which fee.
fn withdrawal(emitter: Account, to: [u8; 32], relayer: [u8; 32], fee: u64, more: &[u8]) -> Facts {
    let data = [to, [7; 32], number(fee)].concat();
    let log = (vec![WITHDRAWAL, relayer], [&data, more].concat());
    facts_of(emitter, Transaction { from: A, to: Some(emitter), ..Transaction::default() }, true, vec![log])
}

#[test]
fn the_topic_of_a_withdrawal_is_the_hash_of_its_signature() {
    use sha3::{Digest as _, Keccak256};
    let hash: [u8; 32] = Keccak256::digest("Withdrawal(address,bytes32,address,uint256)").into();
    assert_eq!(WITHDRAWAL, hash);
}

#[test]
fn a_known_pool_pays_recipient_and_relayer_what_it_took() {
    let facts = withdrawal(POOL, word(B), word(A), 30, &[]);
    let told: Vec<_> = facts
        .transfers
        .iter()
        .map(|moved| (moved.asset, moved.from, moved.to, moved.value.to_u64()))
        .collect();
    let native = TransferAsset::Native;
    assert_eq!(told, [(native, POOL, B, Some(970)), (native, POOL, A, Some(30))]);
    let places: Vec<_> = facts.transfers.iter().map(|moved| (moved.log_index, moved.batch_index)).collect();
    assert_eq!(places, [(Some(0), 0), (Some(0), 1)]);
    assert!(facts.transfers.iter().all(|moved| moved.kind == TransferKind::Withdrawal));
    // Without a relayer all goes to the recipient; a fee of everything leaves the recipient nothing.
    let whole = withdrawal(POOL, word(B), word(Account::ZERO), 0, &[]);
    assert_eq!(
        whole.transfers.iter().map(|moved| (moved.to, moved.value.to_u64())).collect::<Vec<_>>(),
        [(B, Some(1_000))]
    );
    let nothing = withdrawal(POOL, word(B), word(A), 1_000, &[]);
    assert_eq!(nothing.transfers.iter().map(|moved| moved.to).collect::<Vec<_>>(), [A]);
}

#[test]
fn only_named_pools_pay_and_what_only_resembles_a_withdrawal_is_counted() {
    let stranger = withdrawal(TOKEN, word(B), word(A), 30, &[]);
    assert_eq!((stranger.transfers.len(), stranger.undecoded), (0, 0));
    let wide = [0xff; 32];
    for odd in [
        withdrawal(POOL, word(B), word(A), 1_001, &[]),
        withdrawal(POOL, wide, word(A), 1, &[]),
        withdrawal(POOL, word(B), wide, 1, &[]),
        withdrawal(POOL, word(B), word(A), 1, &[0]),
        withdrawal(POOL, word(B), word(A), 1, &[0; 32]),
    ] {
        assert_eq!((odd.transfers.len(), odd.undecoded), (0, 1));
    }
    // A pool may be a token as well; a failed transaction has no logs, whatever a node says of it.
    let topics = vec![TRANSFER, word(A), word(B)];
    let moved = facts_of(POOL, Transaction::default(), true, vec![(topics, number(5).to_vec())]);
    assert_eq!(moved.transfers[0].asset, TransferAsset::Token(POOL));
}
