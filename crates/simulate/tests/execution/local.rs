//! On state in memory.

use chain::{
    evm::{Account, Transaction},
    u256::U256,
};
use intent::{Act, Context, Severity, read_call};
use simulate::{
    AccountState, Code, Difference, End, Environment, Fork, Need, SimulateError, Simulation, Snapshot,
    compare, simulate,
};

use crate::contracts;

pub(crate) const ME: Account = Account([0x11; 20]);
const TOKEN: Account = Account([0x22; 20]);
const STRANGER: Account = Account([0x33; 20]);
const SAFE: Account = Account([0x44; 20]);
const SINGLETON: Account = Account([0x55; 20]);
const CODE: Account = Account([0x66; 20]);

pub(crate) const fn environment() -> Environment {
    Environment {
        chain_id: 1,
        fork: Fork::Prague,
        number: 100,
        timestamp_s: 1_700_000_000,
        gas_limit: 30_000_000,
        base_fee: 7,
        beneficiary: Account([0x99; 20]),
        randomness: [7; 32],
        excess_blob_gas: 0,
    }
}

fn ether(amount: u64) -> U256 {
    U256::from(u128::from(amount) * 1_000_000_000_000_000_000)
}

/// The place of an entry in a mapping.
fn entry(key: &Account, base: u8) -> [u8; 32] {
    use sha3::Digest as _;
    let mut bytes = [0; 64];
    bytes[12..32].copy_from_slice(&key.0);
    bytes[63] = base;
    sha3::Keccak256::digest(bytes).into()
}

fn word(account: &Account) -> [u8; 32] {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&account.0);
    word
}

fn number(value: u64) -> [u8; 32] {
    U256::from(value).to_be_bytes()
}

/// A world with these contracts; the sender has ten ether.
fn world(contracts: &[(Account, Vec<u8>)]) -> Snapshot {
    let mut state = Snapshot::whole();
    let me = AccountState { balance: ether(10), nonce: 5, code: Code::default() };
    state.put_account(ME, me).unwrap();
    for (account, code) in contracts {
        let contract = AccountState { balance: U256::ZERO, nonce: 1, code: Code::new(code) };
        state.put_account(*account, contract).unwrap();
    }
    state
}

fn transaction(to: Account, value: U256, input: Vec<u8>) -> Transaction {
    Transaction {
        kind: 2,
        from: ME,
        to: Some(to),
        value,
        nonce: 5,
        gas: 1_000_000,
        max_fee_per_gas: U256::from(100u64),
        max_priority_fee_per_gas: U256::from(2u64),
        chain_id: U256::ONE,
        input,
        ..Transaction::default()
    }
}

fn run(state: &Snapshot, tx: &Transaction) -> Simulation {
    simulate(state, &environment(), tx, &Context::default(), &mut || true).unwrap()
}

fn kinds(simulation: &Simulation) -> Vec<&'static str> {
    simulation.done.effects.iter().map(|effect| effect.act.kind()).collect()
}

fn call(selector: u32, words: &[[u8; 32]]) -> Vec<u8> {
    let mut out = selector.to_be_bytes().to_vec();
    words.iter().for_each(|word| out.extend(word));
    out
}

fn approve(spender: &Account, amount: [u8; 32]) -> Vec<u8> {
    call(0x095e_a7b3, &[word(spender), amount])
}

fn differences(state: &Snapshot, tx: &Transaction) -> Vec<Difference> {
    let said = read_call(Some(ME), tx.to.unwrap(), tx.value, &tx.input, &Context::default());
    compare(&said, ME, &run(state, tx))
}

#[test]
fn a_payment() {
    let state = world(&[]);
    let tx = transaction(STRANGER, ether(1), vec![]);
    let simulation = run(&state, &tx);
    assert_eq!((&simulation.end, simulation.gas_used), (&End::Done, 21_000));
    assert_eq!(simulation.fee, Some(U256::from(21_000u64 * 9)));
    let amount = ether(1);
    assert_eq!(simulation.done.effects[0].act, Act::NativeTransfer { from: Some(ME), to: STRANGER, amount });
    let paid = simulation.native.iter().find(|change| change.account == ME).unwrap();
    let left = ether(9).checked_sub(U256::from(21_000u64 * 9)).unwrap();
    assert_eq!((paid.before, paid.after), (ether(10), left));
    assert_eq!(differences(&state, &tx), []);
}

#[test]
fn a_token_does_what_it_is_told() {
    let mut state = world(&[(TOKEN, contracts::token(0))]);
    state.put_slot(TOKEN, entry(&ME, 0), number(1_000)).unwrap();
    let tx = transaction(TOKEN, U256::ZERO, call(0xa905_9cbb, &[word(&STRANGER), number(300)]));
    let simulation = run(&state, &tx);
    assert_eq!(simulation.end, End::Done);
    assert_eq!(kinds(&simulation), ["token_transfer"]);
    let balances: Vec<_> = simulation
        .tokens
        .iter()
        .map(|change| (change.account, change.before.unwrap().to_u64(), change.after.unwrap().to_u64()))
        .collect();
    assert_eq!(balances, [(ME, Some(1_000), Some(700)), (STRANGER, Some(0), Some(300))]);
    assert_eq!((simulation.other_slots, simulation.slots.len()), (2, 0));
    assert_eq!(differences(&state, &tx), []);

    let tx = transaction(TOKEN, U256::ZERO, approve(&STRANGER, [0xff; 32]));
    let simulation = run(&state, &tx);
    assert_eq!(simulation.done.severity(), Severity::Danger);
    let [change] = simulation.allowances[..] else { panic!("{:?}", simulation.allowances) };
    assert_eq!((change.before, change.after), (Some(U256::ZERO), Some(U256::MAX)));
    assert_eq!(differences(&state, &tx), []);

    // More than there is: the token refuses.
    let tx = transaction(TOKEN, U256::ZERO, call(0xa905_9cbb, &[word(&STRANGER), number(1_001)]));
    let simulation = run(&state, &tx);
    assert_eq!(simulation.end, End::Reverted("without a reason".to_owned()));
    assert_eq!(kinds(&simulation), [] as [&str; 0]);
    assert!(matches!(differences(&state, &tx)[..], [Difference::Failed(_)]));
}

#[test]
fn a_token_that_keeps_a_fee_is_found_out() {
    let mut state = world(&[(TOKEN, contracts::token(9))]);
    state.put_slot(TOKEN, entry(&ME, 0), number(1_000)).unwrap();
    let tx = transaction(TOKEN, U256::ZERO, call(0xa905_9cbb, &[word(&STRANGER), number(300)]));
    assert_eq!(differences(&state, &tx), [Difference::BalanceUntrue { token: TOKEN, account: STRANGER }]);
}

#[test]
fn a_call_that_says_nothing_and_takes_everything() {
    let mut state = world(&[(TOKEN, contracts::token(0)), (CODE, contracts::drainer(&TOKEN, &STRANGER))]);
    state.put_slot(TOKEN, entry(&ME, 0), number(1_000)).unwrap();
    // An allowance given earlier: mapping 1, of the owner, of the spender.
    let mut key = [0; 64];
    key[..32].copy_from_slice(&word(&CODE));
    key[32..].copy_from_slice(&entry(&ME, 1));
    use sha3::Digest as _;
    let slot = sha3::Keccak256::digest(key).into();
    state.put_slot(TOKEN, slot, number(500)).unwrap();
    let tx = transaction(CODE, ether(1), vec![0x4e, 0x71, 0xd9, 0x2d]);
    let simulation = run(&state, &tx);
    assert_eq!(kinds(&simulation), ["native_transfer", "token_transfer", "native_transfer"]);
    let unsaid: Vec<_> = differences(&state, &tx).iter().map(Difference::kind).collect();
    assert_eq!(unsaid, ["unsaid", "unsaid"], "what went on to the thief");
    let lost = simulation.tokens.iter().find(|change| change.account == ME).unwrap();
    assert_eq!(lost.after, Some(U256::from(900u64)));
}

/// A Safe whose code is replaced by a stranger's that it was made to run: no log, one storage slot.
#[test]
fn code_in_another_name_is_seen_by_what_it_writes() {
    let mut state = world(&[
        (SAFE, contracts::slot_proxy()),
        (SINGLETON, contracts::runner()),
        (CODE, contracts::writer()),
    ]);
    state.put_slot(SAFE, [0; 32], word(&SINGLETON)).unwrap();
    let attack = |slot: [u8; 32], value: [u8; 32]| {
        transaction(SAFE, U256::ZERO, call(0x1234_5678, &[word(&CODE), [0; 32], slot, value]))
    };
    // The runner passes on what follows its own argument: four bytes of it stand for a selector.
    let shifted = |slot: [u8; 32], value: [u8; 32]| {
        let mut tx = attack(slot, value);
        tx.input = call(0x1234_5678, &[word(&CODE)]);
        tx.input.extend([0; 4]);
        tx.input.extend(slot);
        tx.input.extend(value);
        tx
    };
    let simulation = run(&state, &shifted([0; 32], word(&STRANGER)));
    assert_eq!(simulation.end, End::Done);
    let acts: Vec<Act> = simulation.done.effects.iter().map(|effect| effect.act.clone()).collect();
    assert_eq!(
        acts,
        [
            Act::DelegateCall { by: Some(SAFE), code: CODE },
            Act::Upgrade { proxy: SAFE, what: "code", code: Some(STRANGER) },
        ]
    );
    assert_eq!(simulation.done.severity(), Severity::Danger);
    assert_eq!(simulation.slots[0].name, "code");

    let simulation = run(&state, &shifted(number(4), number(1)));
    assert!(
        simulation
            .done
            .effects
            .iter()
            .any(|effect| { effect.act == Act::SafeThreshold { safe: SAFE, threshold: U256::ONE } })
    );
    let implementation = {
        let text = "360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";
        U256::from_hex(text).unwrap().to_be_bytes()
    };
    let simulation = run(&state, &shifted(implementation, word(&STRANGER)));
    assert!(simulation.done.effects.iter().any(|effect| {
        effect.act == Act::Upgrade { proxy: SAFE, what: "implementation", code: Some(STRANGER) }
    }));

    state
        .put_account(
            CODE,
            AccountState { code: Code::new(&contracts::owner_writer()), ..AccountState::default() },
        )
        .unwrap();
    let simulation = run(&state, &shifted(word(&STRANGER), word(&ME)));
    assert!(simulation.done.effects.iter().any(|effect| matches!(
        effect.act,
        Act::SafeOwner { safe: SAFE, added: Some(STRANGER), removed: None, .. }
    )));
}

#[test]
fn what_is_made_and_what_is_destroyed() {
    let state = world(&[(CODE, contracts::maker())]);
    let tx = transaction(CODE, ether(1), vec![]);
    let simulation = run(&state, &tx);
    assert_eq!(simulation.end, End::Done);
    assert_eq!(kinds(&simulation), ["native_transfer", "creation", "native_transfer", "destruction"]);
    let Act::Creation { account: Some(made), code_len: 1, .. } = simulation.done.effects[1].act else {
        panic!("{:?}", simulation.done.effects[1])
    };
    let balance = simulation.native.iter().find(|change| change.account == made).unwrap();
    assert_eq!(balance.after, ether(1));
}

#[test]
fn how_it_ends() {
    let state = world(&[(CODE, contracts::refusing()), (TOKEN, contracts::endless())]);
    let end = |tx: &Transaction| run(&state, tx).end;
    assert_eq!(end(&transaction(CODE, U256::ZERO, vec![])), End::Reverted("no".to_owned()));
    assert!(matches!(end(&transaction(TOKEN, U256::ZERO, vec![])), End::Halted(_)));
    assert!(matches!(end(&transaction(STRANGER, ether(11), vec![])), End::Refused(_)));
    let old = Transaction { nonce: 4, ..transaction(STRANGER, U256::ONE, vec![]) };
    assert_eq!(end(&old), End::Refused("its nonce is 4, its sender is at 5".to_owned()));
    let ahead = Transaction { nonce: 8, ..transaction(STRANGER, U256::ONE, vec![]) };
    assert_eq!((run(&state, &ahead).nonces_ahead, end(&ahead)), (3, End::Done));
    let cheap = Transaction { max_fee_per_gas: U256::ONE, ..transaction(STRANGER, U256::ONE, vec![]) };
    assert!(matches!(end(&cheap), End::Refused(_)));
    let other = Transaction { chain_id: U256::from(5u64), ..transaction(STRANGER, U256::ONE, vec![]) };
    assert!(matches!(end(&other), End::Refused(_)));
}

#[test]
fn bounds() {
    let state = world(&[(TOKEN, contracts::endless())]);
    let tx = Transaction { gas: 30_000_000, ..transaction(TOKEN, U256::ZERO, vec![]) };
    let mut asked = 0;
    let stopped = simulate(&state, &environment(), &tx, &Context::default(), &mut || {
        asked += 1;
        asked < 5
    });
    assert_eq!(stopped, Err(SimulateError::Stopped));
    assert_eq!(asked, 5);
    let tx = Transaction { gas: 60_000_001, ..tx };
    let refused = simulate(&state, &environment(), &tx, &Context::default(), &mut || true);
    assert_eq!(refused, Err(SimulateError::TooMuchGas(60_000_001)));
}

/// What is missing is named, one thing after the other, until all is there; then the outcome is that of a whole world.
#[test]
fn a_source_is_asked_for_what_is_missing() {
    let mut whole = world(&[(TOKEN, contracts::token(0)), (CODE, contracts::hasher())]);
    whole.put_slot(TOKEN, entry(&ME, 0), number(1_000)).unwrap();
    whole.put_block_hash(99, [9; 32]).unwrap();
    for tx in [
        transaction(TOKEN, U256::ZERO, call(0xa905_9cbb, &[word(&STRANGER), number(300)])),
        transaction(CODE, U256::ZERO, vec![]),
    ] {
        let mut known = Snapshot::new();
        let mut fetched = Vec::new();
        let simulation = loop {
            match simulate(&known, &environment(), &tx, &Context::default(), &mut || true) {
                Ok(simulation) => break simulation,
                Err(SimulateError::Missing(need)) => {
                    use simulate::StateSource as _;
                    assert!(!fetched.contains(&need), "{need} is asked for twice");
                    fetched.push(need);
                    match need {
                        Need::Account(of) => known.put_account(of, whole.account(&of).unwrap()).unwrap(),
                        Need::Slot(of, slot) => {
                            known.put_slot(of, slot, whole.slot(&of, &slot).unwrap()).unwrap();
                        }
                        Need::BlockHash(of) => {
                            known.put_block_hash(of, whole.block_hash(of).unwrap()).unwrap();
                        }
                    }
                }
                Err(other) => panic!("{other}"),
            }
        };
        assert_eq!(simulation, run(&whole, &tx));
        assert!(fetched.len() >= 3);
    }
}

#[test]
fn a_delegation_outlives_a_failed_transaction() {
    // Signed by the second of the accounts that development nodes derive from their well-known phrase.
    let hexadecimal = |text: &str| U256::from_hex(text).unwrap();
    let delegate: [u8; 20] =
        hex::decode("5fbdb2315678afecb367f032d93f642f64180aa3").unwrap().try_into().unwrap();
    let authorization = chain::evm::Authorization {
        chain_id: U256::from(31_337u64),
        delegate: Account(delegate),
        nonce: 0,
        y_parity: 0,
        r: hexadecimal("a17b68dcbf7db8bafb45cbcbeb61316aa330f045e43425e1db41e6c794c2e64"),
        s: hexadecimal("1a7f46131075975b44ae67f3bc968a9bce64f257b24571d945bb9026812c114e"),
    };
    let state = world(&[(CODE, contracts::refusing())]);
    let tx = Transaction {
        kind: 4,
        chain_id: U256::from(31_337u64),
        authorizations: vec![authorization],
        ..transaction(CODE, U256::ZERO, vec![])
    };
    let environment = Environment { chain_id: 31_337, ..environment() };
    let simulation = simulate(&state, &environment, &tx, &Context::default(), &mut || true).unwrap();
    assert_eq!(simulation.end, End::Reverted("no".to_owned()));
    let [effect] = &simulation.done.effects[..] else { panic!("{:?}", simulation.done) };
    let Act::Delegation { authority, delegate: to, has_effect: true, .. } = effect.act else { panic!() };
    assert_eq!(authority.unwrap().to_string(), "0x70997970c51812dc3a010c7d01b50e0d17dc79c8");
    assert_eq!((to.0, effect.severity), (delegate, Severity::Danger));
}
