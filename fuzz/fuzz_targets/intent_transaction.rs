//! Transactions to sign: what is read has one spelling, and every reading is bounded and says something in words.
#![no_main]

use chain::evm::Account;
use fuzz::edited;
use intent::{Context, read_call, read_transaction, transaction};
use libfuzzer_sys::fuzz_target;

/// Unsigned, of type 2: an unlimited approval.
const TRANSACTION: &[u8] = b"\x02\xf8\x69\x01\x80\x01\x84\x77\x35\x94\x00\x83\x03\x0d\x40\x94\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x80\xb8\x44\x09\x5e\xa7\xb3\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x33\x33\x33\x33\x33\x33\x33\x33\x33\x33\x33\x33\x33\x33\x33\x33\x33\x33\x33\x33\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xc0";
const LEGACY: &[u8] = b"\xec\x09\x85\x04\xa8\x17\xc8\x00\x82\x52\x08\x94\x35\x35\x35\x35\x35\x35\x35\x35\x35\x35\x35\x35\x35\x35\x35\x35\x35\x35\x35\x35\x88\x0d\xe0\xb6\xb3\xa7\x64\x00\x00\x80\x01\x80\x80";

fuzz_target!(|data: &[u8]| {
    let context = Context { chain_id: Some(1), ..Context::default() };
    let bytes = edited(&[TRANSACTION, LEGACY], data);
    if let Ok(envelope) = transaction::decode(&bytes) {
        assert_eq!(transaction::decode(&bytes).as_ref(), Ok(&envelope));
        let reading = read_transaction(&envelope, None, &context);
        assert!(reading.effects.iter().all(|effect| !effect.act.to_string().is_empty()));
        assert!(envelope.signer.is_none() || envelope.transaction.hash != [0; 32]);
    }
    // Calls are reached more often without an envelope.
    let reading = read_call(None, Account([0x22; 20]), chain::u256::U256::ZERO, data, &context);
    assert!(reading.effects.len() <= 200_000);
    assert_eq!(reading, read_call(None, Account([0x22; 20]), chain::u256::U256::ZERO, data, &context));
});
