//! One simulation on state in memory, comparison included, and one reading without execution. Budget: a simulation of a
//! token transfer or an approval in at most 1 ms.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![allow(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]
#![allow(missing_docs, reason = "the only public item is main")]
#![allow(dead_code, reason = "the contracts are those of the tests, not all of which are executed here")]

use std::{hint::black_box, time::Instant};

use chain::{
    evm::{Account, Transaction},
    u256::U256,
};
use intent::{Context, read_call};
use simulate::{AccountState, Code, End, Environment, Fork, Snapshot, compare, simulate};

#[path = "../tests/execution/asm.rs"]
mod asm;
#[path = "../tests/execution/contracts.rs"]
mod contracts;

const ME: Account = Account([0x11; 20]);
const TOKEN: Account = Account([0x22; 20]);
const STRANGER: Account = Account([0x33; 20]);
const DRAINER: Account = Account([0x44; 20]);
const ROUNDS: u32 = 5;
const RUNS: u32 = 20_000;

fn word(account: &Account) -> [u8; 32] {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&account.0);
    word
}

fn entry(key: [u8; 32], base: [u8; 32]) -> [u8; 32] {
    use sha3::Digest as _;
    sha3::Keccak256::digest([key, base].concat()).into()
}

fn call(selector: u32, words: &[[u8; 32]]) -> Vec<u8> {
    let mut out = selector.to_be_bytes().to_vec();
    words.iter().for_each(|word| out.extend(word));
    out
}

fn measure(name: &str, mut work: impl FnMut()) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..RUNS).for_each(|_| work());
            start.elapsed().as_secs_f64() * 1e6 / f64::from(RUNS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{name}: {:.1} us (median of {ROUNDS}; {:.1} to {:.1})", rounds[2], rounds[0], rounds[4]);
}

fn main() {
    let mut state = Snapshot::whole();
    let account =
        |code: &[u8]| AccountState { balance: U256::from(10u128.pow(19)), nonce: 5, code: Code::new(code) };
    state.put_account(ME, account(&[])).unwrap();
    // As long as a contract may be, as most tokens of consequence are proxies of long ones.
    let mut token = contracts::token(0);
    token.resize(24_576, 0x5b);
    state.put_account(TOKEN, account(&token)).unwrap();
    state.put_account(DRAINER, account(&contracts::drainer(&TOKEN, &STRANGER))).unwrap();
    let mut one = [0; 32];
    one[31] = 1;
    state.put_slot(TOKEN, entry(word(&ME), [0; 32]), [1; 32]).unwrap();
    state.put_slot(TOKEN, entry(word(&DRAINER), entry(word(&ME), one)), [1; 32]).unwrap();
    let environment = Environment {
        chain_id: 1,
        fork: Fork::Osaka,
        number: 100,
        timestamp_s: 1_700_000_000,
        gas_limit: 30_000_000,
        base_fee: 7,
        beneficiary: Account([0x99; 20]),
        randomness: [7; 32],
        excess_blob_gas: 0,
    };
    let context = Context::default();
    for (name, to, value, input) in [
        ("transfer", TOKEN, U256::ZERO, call(0xa905_9cbb, &[word(&STRANGER), one])),
        ("approval", TOKEN, U256::ZERO, call(0x095e_a7b3, &[word(&STRANGER), [0xff; 32]])),
        ("drainer", DRAINER, U256::from(1_000u64), vec![0x4e, 0x71, 0xd9, 0x2d]),
    ] {
        let tx = Transaction {
            kind: 2,
            from: ME,
            to: Some(to),
            value,
            nonce: 5,
            gas: 1_000_000,
            max_fee_per_gas: U256::from(100u64),
            chain_id: U256::ONE,
            input,
            ..Transaction::default()
        };
        measure(&format!("{name}, read"), || {
            black_box(read_call(Some(ME), to, value, black_box(&tx.input), &context));
        });
        measure(&format!("{name}, read, executed and compared"), || {
            let said = read_call(Some(ME), to, value, black_box(&tx.input), &context);
            let done = simulate(&state, &environment, black_box(&tx), &context, &mut || true).unwrap();
            assert_eq!(done.end, End::Done);
            black_box(compare(&said, ME, &done));
        });
    }
}
