//! Answers of real nodes, and what a lying one could make of them.

use std::{path::Path, process::Command};

use chain::evm::{
    self, ApprovalScope, Facts, Lie, Pools, Proof, TransferAsset, TransferKind, delegate_of_code,
};
use serde_json::Value;

use super::*;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/chain");

/// The unpacked bytes of a file of shared data; `None`, and a word about it, where it is not there.
fn unpacked(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(DATA).join(name);
    if !path.exists() {
        eprintln!("skipped: no {name} among the shared data");
        return None;
    }
    match Command::new("zstd").arg("-dc").arg(&path).output() {
        Ok(output) if output.status.success() => Some(output.stdout),
        _ => {
            eprintln!("skipped: zstd cannot be run");
            None
        }
    }
}

/// What was recorded of a development node: answers by method and first parameter, in order.
fn recorded() -> Option<Vec<Value>> {
    let bytes = unpacked("jsonrpc_anvil.jsonl.zst")?;
    Some(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

fn answers(recorded: &[Value], method: &str, param: &str) -> Vec<Value> {
    let of = |line: &&Value| line["method"] == method && line["params"][0] == param;
    recorded.iter().filter(of).map(|line| line["result"].clone()).collect()
}

/// The block and receipts of a height before the reorganisation.
fn pair(recorded: &[Value], height: &str) -> (Value, Value) {
    let (block, receipts) = (
        answers(recorded, "eth_getBlockByNumber", height),
        answers(recorded, "eth_getBlockReceipts", height),
    );
    (block[0].clone(), receipts[0].clone())
}

fn decode(block: &Value, receipts: &Value, proof: Proof) -> Result<Facts, String> {
    let header: WireHeader = serde_json::from_value(block.clone()).map_err(|error| error.to_string())?;
    let (block, receipts) = (block.to_string(), receipts.to_string());
    super::super::decode_block(&header.link(), &block, &receipts, 31_337, proof, &Pools::default())
        .map_err(|error| error.to_string())
}

#[test]
fn a_recorded_chain_is_proven_and_understood() {
    let Some(recorded) = recorded() else { return };
    let facts = |height: &str| {
        let (block, receipts) = pair(&recorded, height);
        decode(&block, &receipts, Proof::Links).unwrap();
        decode(&block, &receipts, Proof::Roots).unwrap()
    };
    let token: Account = account("5fbdb2315678afecb367f032d93f642f64180aa3");
    let owner = account("f39fd6e51aad88f6f4ce6ab8827279cfffb92266");
    assert_eq!((facts("0x0").transactions, facts("0x0").transfers), (0, vec![]));

    let deployed = facts("0x1");
    assert_eq!(deployed.transfers.len(), 1, "a creation without value moves none, the constructor mints");
    assert_eq!((deployed.transfers[0].from, deployed.transfers[0].to), (Account::ZERO, owner));
    assert_eq!(deployed.transfers[0].value, U256::from(1_000_000 * 10u128.pow(18)));

    let sent = facts("0x2").transfers[0];
    assert_eq!((sent.asset, sent.kind), (TransferAsset::Token(token), TransferKind::Erc20));
    assert_eq!((sent.from, sent.to), (owner, account("70997970c51812dc3a010c7d01b50e0d17dc79c8")));
    assert_eq!((sent.value, sent.log_index, sent.sender), (U256::from(1000u64), Some(0), owner));

    let poison = facts("0x3").transfers[0];
    assert_eq!((poison.from, poison.value), (owner, U256::ZERO));
    assert_ne!(poison.sender, owner, "sent in the name of somebody else");

    let approved = facts("0x4").approvals[0];
    assert_eq!((approved.owner, approved.token), (owner, token));
    assert_eq!(approved.scope, ApprovalScope::Amount(U256::MAX));
    assert!(approved.scope.is_unlimited());

    // The transaction failed; the delegation stands.
    let delegated = facts("0x5");
    assert!(delegated.transfers.is_empty());
    let [delegation] = delegated.delegations[..] else { panic!("{delegated:?}") };
    assert_eq!(delegation.authority, account("70997970c51812dc3a010c7d01b50e0d17dc79c8"));
    assert_eq!((delegation.delegate, delegation.is_for_every_chain), (token, false));
    let code = &recorded.iter().find(|line| line["method"] == "eth_getCode").unwrap()["result"];
    let Bytes(code) = serde_json::from_value(code.clone()).unwrap();
    assert_eq!(delegate_of_code(&code), Some(token));

    // After the reorganisation the same heights have other hashes, and the announced heads say so.
    let again = answers(&recorded, "eth_getBlockByNumber", "0x4");
    assert_ne!(again[0]["hash"], again[1]["hash"]);
    let heads: Vec<Header> = recorded
        .iter()
        .filter(|line| line["subscription"] == "newHeads")
        .map(|line| super::super::wire_header(&line["result"].to_string()).unwrap())
        .collect();
    let heights: Vec<u64> = heads.iter().map(|head| head.id.height).collect();
    assert_eq!(heights, [1, 2, 3, 4, 5, 4, 5, 6]);
}

fn account(hex: &str) -> Account {
    let Fixed(bytes) = serde_json::from_value(Value::from(format!("0x{hex}"))).unwrap();
    Account(bytes)
}

/// Every way to change an answer that the roots commit to is found.
#[test]
fn lies_are_found_by_name() {
    let Some(recorded) = recorded() else { return };
    let (block, receipts) = pair(&recorded, "0x2");
    let lie = |proof: Proof, change: &dyn Fn(&mut Value, &mut Value)| {
        let (mut block, mut receipts) = (block.clone(), receipts.clone());
        let Ok(header) = serde_json::from_value::<WireHeader>(block.clone()) else { panic!("recorded") };
        change(&mut block, &mut receipts);
        super::super::decode_block(
            &header.link(),
            &block.to_string(),
            &receipts.to_string(),
            31_337,
            proof,
            &Pools::default(),
        )
        .map(|_| "no lie")
        .map_err(|error| error.as_str())
        .unwrap_or_else(|name| name)
    };
    let other = "0x00000000000000000000000000000000000000000000000000000000000003e9";
    type Change = dyn Fn(&mut Value, &mut Value);
    let cases: [(&str, &str, &Change); 11] = [
        ("other_block", "other_block", &|block, _| {
            block["hash"] = Value::from(format!("0x{}", "1".repeat(64)))
        }),
        ("receipts_missing", "receipts_missing", &|_, receipts| *receipts = Value::Array(vec![])),
        ("receipt_foreign", "receipt_foreign", &|_, receipts| receipts[0]["transactionIndex"] = "0x1".into()),
        ("receipts_root_mismatch", "no lie", &|_, receipts| receipts[0]["logs"][0]["data"] = other.into()),
        ("receipts_root_mismatch", "bloom_mismatch", &|_, receipts| {
            receipts[0]["logs"] = Value::Array(vec![]);
        }),
        ("receipts_root_mismatch", "no lie", &|_, receipts| receipts[0]["status"] = "0x0".into()),
        ("log_missing", "log_missing", &|_, receipts| receipts[0]["logs"][0]["logIndex"] = "0x1".into()),
        ("malformed", "malformed", &|_, receipts| receipts[0]["logs"][0]["blockHash"] = other.into()),
        ("transactions_root_mismatch", "no lie", &|block, _| {
            block["transactions"][0]["value"] = "0x1".into()
        }),
        ("header_hash_mismatch", "no lie", &|block, _| block["timestamp"] = "0x1".into()),
        ("malformed", "malformed", &|block, _| block["gasUsed"] = "0x10000000000000000".into()),
    ];
    for (index, (roots, links, change)) in cases.iter().enumerate() {
        assert_eq!(lie(Proof::Roots, *change), *roots, "{index}");
        assert_eq!(lie(Proof::Links, *change), *links, "{index}");
    }
    let (failed, receipts) = pair(&recorded, "0x5");
    let mut unknown = failed.clone();
    unknown["transactions"][0]["type"] = "0x7e".into();
    let mut kinds = receipts.clone();
    kinds[0]["type"] = "0x7e".into();
    let error = decode(&unknown, &kinds, Proof::Roots).unwrap_err();
    assert!(error.contains("type 126"), "{error}");
    decode(&unknown, &kinds, Proof::Links).unwrap();
    assert!(!Lie::TransactionsRootMismatch(BlockHash([0; 32])).to_string().is_empty());
}

/// Blocks of the main network from several of its forks have the hashes and roots they had.
#[test]
fn recorded_blocks_of_the_main_network_have_their_hashes() {
    let Some(bytes) = unpacked("jsonrpc_fixtures.tar.zst") else { return };
    let mut blocks = 0;
    let mut with_transactions = 0;
    // The archive's members are JSON texts between headers of 512 bytes; those that are blocks parse as such.
    for start in (0..bytes.len()).step_by(512).filter(|at| bytes.get(*at) == Some(&b'{')) {
        let mut values = serde_json::Deserializer::from_slice(&bytes[start..]).into_iter::<Value>();
        let Some(Ok(value)) = values.next() else { continue };
        let value = value.get("result").cloned().unwrap_or(value);
        if value["sha3Uncles"].is_null() || !value["transactions"].is_array() {
            continue;
        }
        let Ok(wire) = serde_json::from_value::<WireBlock>(value.clone()) else {
            assert!(value["transactions"][0].is_string(), "{value}");
            continue;
        };
        let block = Block::from(wire);
        assert_eq!(block.header.hash(), block.hash, "{value}");
        blocks += 1;
        // Without receipts: of their number the roots speak second.
        if !block.transactions.is_empty() {
            with_transactions += 1;
            let receipts = block
                .transactions
                .iter()
                .zip(0..)
                .map(|(transaction, index)| Receipt {
                    transaction: transaction.hash,
                    index,
                    block: block.hash,
                    kind: transaction.kind,
                    outcome: Outcome::Status(true),
                    cumulative_gas_used: 0,
                    logs_bloom: Bloom::default(),
                    logs: vec![],
                })
                .collect();
            let error = evm::verify(block.hash, block.clone(), receipts, Proof::Roots).unwrap_err();
            assert_eq!(error, Lie::ReceiptsRootMismatch(block.hash), "the transactions had their root");
        }
    }
    assert!(blocks >= 4 && with_transactions >= 2, "{blocks} {with_transactions}");
}

#[test]
fn quantities_and_bytes_are_strict() {
    let quantity = |text: &str| serde_json::from_str::<Quantity>(text).map(|Quantity(value)| value).ok();
    assert_eq!(quantity("\"0x0\""), Some(0));
    assert_eq!(quantity("\"0xffffffffffffffff\""), Some(u64::MAX));
    for bad in ["\"0x\"", "\"10\"", "\"0x10000000000000000\"", "\"0xg\"", "5", "null", "\"0x-1\"", "\"0x+1\""]
    {
        assert_eq!(quantity(bad), None, "{bad}");
    }
    let fixed = |text: &str| serde_json::from_str::<Fixed<2>>(text).is_ok();
    assert!(fixed("\"0xAbcd\"") && !fixed("\"0xabc\"") && !fixed("\"0xabcdef\"") && !fixed("\"0x+bcd\""));
    assert!(serde_json::from_str::<Bytes>("\"0xabc\"").is_err());
    assert!(serde_json::from_str::<Bytes>("\"0xé1\"").is_err());
    let five = format!("[{}]", vec![format!("\"0x{}\"", "0".repeat(64)); 5].join(","));
    assert!(topics(&mut serde_json::Deserializer::from_str(&five)).is_err());
}

#[test]
fn receipts_that_contradict_themselves_are_refused() {
    let Some(recorded) = recorded() else { return };
    let (_, receipts) = pair(&recorded, "0x2");
    let receipt = |change: &dyn Fn(&mut Value)| {
        let mut value = receipts[0].clone();
        change(&mut value);
        serde_json::from_value::<WireReceipt>(value).unwrap().receipt()
    };
    assert!(receipt(&|_| ()).is_ok());
    assert!(receipt(&|value| value["status"] = "0x2".into()).unwrap_err().contains("status 2"));
    assert!(receipt(&|value| value["status"] = Value::Null).unwrap_err().contains("neither"));
    let before_byzantium = receipt(&|value| {
        value["status"] = Value::Null;
        value["root"] = format!("0x{}", "a".repeat(64)).into();
    });
    assert_eq!(before_byzantium.unwrap().outcome, Outcome::StateRoot([0xaa; 32]));
}
