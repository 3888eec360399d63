use std::{path::Path, process::Command};

use domain::AddressKind;
use proptest::prelude::*;

use super::*;
use crate::{address, headers::BlockHash};

/// The first block of the chain, which everybody knows.
const GENESIS: &str = "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c0101000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000";
const GENESIS_HASH: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn hash(text: &str) -> BlockHash {
    BlockHash(unhex(text).try_into().unwrap())
}

/// A whole block of the main network; `None`, and a word about it, where it is not at hand.
fn real_block() -> Option<Vec<u8>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/chain/btc_block.raw.zst");
    if !Path::new(path).exists() {
        eprintln!("skipped: no recorded Bitcoin block among the shared data");
        return None;
    }
    match Command::new("zstd").arg("-dc").arg(path).output() {
        Ok(output) if output.status.success() => Some(output.stdout),
        _ => {
            eprintln!("skipped: zstd cannot be run");
            None
        }
    }
}

#[test]
fn the_first_block() {
    let bytes = unhex(GENESIS);
    let block = Block::parse(hash(GENESIS_HASH), &bytes).unwrap();
    assert_eq!(block.transactions().len(), 1);
    assert!(block.transactions()[0].is_coinbase());
    assert_eq!(block.header().link(0).parent, BlockHash([0; 32]));
    let id: String = block.transactions()[0].id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(id, "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b");
    let facts = facts(&block, 0, vec![vec![]]).unwrap();
    assert_eq!(facts.transactions[0].outputs, [Paid { value: 50 * 100_000_000, address: None }]);
    // Every byte counts.
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 1;
        assert!(Block::parse(hash(GENESIS_HASH), &other).is_err(), "{at}");
        assert!(Block::parse(hash(GENESIS_HASH), &bytes[..at]).is_err(), "{at}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    let error = Block::parse(hash(GENESIS_HASH), &longer).unwrap_err();
    assert!(matches!(error, BlockError::Form { what: "nothing more", .. }), "{error}");
    assert_eq!(Block::parse(BlockHash([1; 32]), &bytes).unwrap_err().as_str(), "other_block");
}

#[test]
fn a_real_block_whole_and_in_parts() {
    let Some(bytes) = real_block() else { return };
    let header: [u8; 80] = bytes[..80].try_into().unwrap();
    let asked = BlockHeader::parse(&header).hash;
    let block = Block::parse(asked, &bytes).unwrap();
    let inputs: usize = block.transactions().iter().map(|transaction| transaction.inputs.len()).sum();
    let outputs: usize = block.transactions().iter().map(|transaction| transaction.outputs.len()).sum();
    assert_eq!((block.transactions().len(), inputs, outputs), (2_500, 6_518, 6_015));
    let with_address = block
        .transactions()
        .iter()
        .flat_map(|transaction| &transaction.outputs)
        .filter(|output| facts::address_of(&output.script).is_some())
        .count();
    assert!(with_address > 5_000, "{with_address}");
    let mut damaged = bytes.clone();
    // Within the first transaction, after the header and the number of transactions.
    damaged[90] ^= 1;
    assert!(Block::parse(asked, &damaged).is_err());
}

#[test]
fn work_is_held_against_the_target() {
    let mut header: [u8; 80] = unhex(GENESIS)[..80].try_into().unwrap();
    assert!(BlockHeader::parse(&header).has_work());
    header[79] ^= 1;
    assert!(!BlockHeader::parse(&header).has_work());
    for bits in [0u32, 0x2100_ffff, 0x0200_ffff, 0x1d80_0000, 0x1d00_0000] {
        header[72..76].copy_from_slice(&bits.to_le_bytes());
        assert!(!BlockHeader::parse(&header).has_work(), "{bits:x}");
    }
}

#[test]
fn scripts_and_addresses() {
    for (text, kind) in [
        ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", AddressKind::BitcoinP2pkh),
        ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", AddressKind::BitcoinP2sh),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", AddressKind::BitcoinWitness { version: 0 }),
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            AddressKind::BitcoinWitness { version: 1 },
        ),
    ] {
        let address = address::decode(domain::ChainFamily::Bitcoin, text).unwrap();
        assert_eq!(address.kind(), kind);
        let payload = address.payload();
        let len = u8::try_from(payload.len()).unwrap();
        let script = match kind {
            AddressKind::BitcoinP2pkh => [&[0x76, 0xa9, len], payload, &[0x88, 0xac]].concat(),
            AddressKind::BitcoinP2sh => [&[0xa9, len], payload, &[0x87]].concat(),
            AddressKind::BitcoinWitness { version: 0 } => [&[0, len], payload].concat(),
            _ => [&[0x51, len], payload].concat(),
        };
        assert_eq!(facts::address_of(&script), Some(address), "{text}");
        assert_eq!(facts::address_of(&script[1..]), None);
        assert_eq!(facts::address_of(&script[..script.len() - 1]), None);
    }
    assert_eq!(facts::address_of(&[0x6a, 1, 2]), None);
    assert_eq!(facts::address_of(&[]), None);
}

proptest! {
    #[test]
    fn no_bytes_panic(at in 0usize..280, bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut block = unhex(GENESIS);
        let end = (at + bytes.len()).min(block.len());
        block.splice(at.min(end)..end, bytes);
        drop(Block::parse(hash(GENESIS_HASH), &block));
        drop(Block::from_parts(hash(GENESIS_HASH), &[0; 80], std::iter::once(&block[80..])));
    }
}

/// The work for a block that arrives: bytes to proven block.
#[test]
#[ignore = "nightly: a figure, to be run in release"]
fn nightly_blocks_a_second() {
    let Some(bytes) = real_block() else { return };
    let header: [u8; 80] = bytes[..80].try_into().unwrap();
    let asked = BlockHeader::parse(&header).hash;
    #[expect(clippy::disallowed_methods, reason = "a figure")]
    let start = std::time::Instant::now();
    for _ in 0..200 {
        std::hint::black_box(Block::parse(asked, &bytes).unwrap());
    }
    eprintln!("{:.0} blocks a second", 200.0 / start.elapsed().as_secs_f64());
}
