//! Blocks of Bitcoin: what is accepted has the hash it was asked for, whole and in parts.
#![no_main]

use chain::bitcoin::{Block, BlockHeader};
use fuzz::edited;
use libfuzzer_sys::fuzz_target;

/// The first block of the chain with the easiest target, so that an edited one has a chance to meet it.
const EXAMPLE: &[u8] = b"\x01\0\0\0\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
\x3b\xa3\xed\xfd\x7a\x7b\x12\xb2\x7a\xc7\x2c\x3e\x67\x76\x8f\x61\x7f\xc8\x1b\xc3\x88\x8a\x51\x32\x3a\x9f\xb8\xaa\x4b\x1e\x5e\x4a\
\x29\xab\x5f\x49\xff\xff\x7f\x20\x00\x00\x00\x00\
\x01\x01\0\0\0\x01\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\
\x04\x01\x02\x03\x04\xff\xff\xff\xff\x01\0\xf2\x05\x2a\x01\0\0\0\x02\x51\x52\0\0\0\0";

fuzz_target!(|data: &[u8]| {
    let bytes = edited(&[EXAMPLE], data);
    let Some((header, rest)) = bytes.split_first_chunk::<80>() else { return };
    let asked = BlockHeader::parse(header).hash;
    let whole = Block::parse(asked, &bytes);
    if let Ok(block) = &whole {
        assert_eq!(block.header().hash, asked);
        assert!(block.header().has_work() && !block.transactions().is_empty());
    }
    // A block of one transaction is its header, a one, and the transaction.
    if let [1, transaction @ ..] = rest {
        assert_eq!(Block::from_parts(asked, header, std::iter::once(transaction)).is_ok(), whole.is_ok());
    }
});
