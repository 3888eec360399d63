//! Receipts: accepted text has one spelling, and no edit of a good one proves another entry.
#![no_main]

use std::sync::LazyLock;

use crypto::SigningKey;
use fuzz::edited_text;
use libfuzzer_sys::fuzz_target;
use tlog::{Checkpoint, NoteSigner, Receipt, leaf_hash, node_hash};

static SIGNER: LazyLock<NoteSigner> =
    LazyLock::new(|| NoteSigner::new("log.example", SigningKey::from_seed([1; 32])).expect("a valid name"));
static GOOD: LazyLock<String> = LazyLock::new(|| {
    let (a, b) = (leaf_hash(b"a"), leaf_hash(b"b"));
    let checkpoint = Checkpoint::sign(2, node_hash(&a, &b), &SIGNER);
    Receipt { extra: Some(b"note".to_vec()), index: 1, proof: vec![a], checkpoint }.to_string()
});

fuzz_target!(|data: &[u8]| {
    let Some(text) = edited_text(&[&GOOD], data) else { return };
    let Ok(receipt) = Receipt::parse(&text) else { return };
    assert_eq!(receipt.to_string(), text);
    if receipt.verify(leaf_hash(b"b"), SIGNER.verifier()).is_ok() {
        assert_eq!(receipt.index, 1);
        assert_eq!(receipt.proof, [leaf_hash(b"a")]);
    }
    assert!(receipt.verify(leaf_hash(b"c"), SIGNER.verifier()).is_err());
});
