//! What EVM nodes answer: decoded or refused, the same every time, whatever the JSON says.
#![no_main]

use chain::{
    evm::{Account, Pools, Proof},
    headers::{BlockHash, BlockId, Header},
    u256::U256,
};
use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use watch::follow::evm::decode_block;

const RECEIPTS: &str = r#"[{"type":"0x2","status":"0x1","cumulativeGasUsed":"0xc881","logsBloom":"BLOOM","transactionHash":"TX","transactionIndex":"0x0","blockHash":"HASH","logs":[{"address":"0x5fbdb2315678afecb367f032d93f642f64180aa3","topics":["0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef","0x000000000000000000000000f39fd6e51aad88f6f4ce6ab8827279cfffb92266","0x00000000000000000000000070997970c51812dc3a010c7d01b50e0d17dc79c8"],"data":"0x00000000000000000000000000000000000000000000000000000000000003e8","logIndex":"0x0","blockHash":"HASH","transactionHash":"TX"},{"address":"0x9090909090909090909090909090909090909090","topics":["0xe9e508bad6d4c3227e881ca19068f099da81b5164dd6d62b2eaf1e8bc6c34931","0x000000000000000000000000f39fd6e51aad88f6f4ce6ab8827279cfffb92266"],"data":"0x00000000000000000000000070997970c51812dc3a010c7d01b50e0d17dc79c800000000000000000000000000000000000000000000000000000000000000ff0000000000000000000000000000000000000000000000000000000000000007","logIndex":"0x1","blockHash":"HASH","transactionHash":"TX"}]}]"#;
const BLOCK: &str = r#"{"hash":"HASH","parentHash":"ZERO","sha3Uncles":"ZERO","miner":"0x0000000000000000000000000000000000000000","stateRoot":"ZERO","transactionsRoot":"ZERO","receiptsRoot":"ZERO","logsBloom":"BLOOM","difficulty":"0x0","number":"0x2","gasLimit":"0x1","gasUsed":"0x1","timestamp":"0x3","extraData":"0x","nonce":"0x0000000000000000","transactions":[{"type":"0x2","hash":"TX","from":"0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266","to":null,"value":"0x5","authorizationList":[{"chainId":"0x0","address":"0x5fbdb2315678afecb367f032d93f642f64180aa3","nonce":"0x0","yParity":"0x0","r":"0x1","s":"0x1"}]}]}"#;

fn filled(text: &str) -> String {
    text.replace("HASH", &format!("0x{}", "11".repeat(32)))
        .replace("TX", &format!("0x{}", "22".repeat(32)))
        .replace("ZERO", &format!("0x{}", "00".repeat(32)))
        .replace("BLOOM", &format!("0x{}", "00".repeat(256)))
}

fuzz_target!(|data: &[u8]| {
    let (first, second) = data.split_at(data.len() / 2);
    let (block, receipts) = (filled(BLOCK), filled(RECEIPTS));
    let block = String::from_utf8_lossy(&edited(&[block.as_bytes()], first)).into_owned();
    let receipts = String::from_utf8_lossy(&edited(&[receipts.as_bytes()], second)).into_owned();
    let id = BlockId { height: 2, hash: BlockHash([0x11; 32]) };
    let header = Header { id, parent: BlockHash([0; 32]), time_s: 3 };
    let pools = Pools::new([(Account([0x90; 20]), U256::from(1_000_u64))]).unwrap();
    for proof in [Proof::Links, Proof::Roots] {
        let decoded = decode_block(&header, &block, &receipts, 1, proof, &pools);
        assert_eq!(decoded, decode_block(&header, &block, &receipts, 1, proof, &pools), "the same every time");
        if let Ok(facts) = decoded {
            assert_eq!(facts.header.id, id);
            assert!(proof == Proof::Links, "nobody finds a block with this hash");
        }
    }
});
