//! Every transaction is simulated on the state of a real node, then sent to it: status, gas, balances, storage, logs and
//! inner payments must come out the same.

use chain::{
    evm::{Account, Transaction},
    u256::U256,
};
use intent::{Act, Context, effect::Quantity, transaction};
use serde_json::{Value, json};
use simulate::{Difference, End, Environment, Fork, SimulateError, Simulation, Snapshot, compare, simulate};

use crate::{
    asm::deploying,
    contracts,
    node::{Anvil, account, bytes, number, program},
};

/// The chain id anvil has unless told otherwise.
const CHAIN_ID: u64 = 31_337;
const GAS: u64 = 1_000_000;

struct World {
    node: Anvil,
    fork: Fork,
    me: Account,
    other: Account,
    time_s: u64,
}

impl World {
    fn start(fork: Fork) -> Option<Self> {
        let node = Anvil::start(&program()?, fork.as_str());
        let accounts = node.ask("eth_accounts", &json!([]));
        let (me, other) = (account(&accounts[0]), account(&accounts[1]));
        let time_s = number(&node.ask("eth_getBlockByNumber", &json!(["latest", false]))["timestamp"]);
        Some(Self { node, fork, me, other, time_s: time_s.to_u64().unwrap() })
    }

    fn deploy(&self, first: &str, code: &[u8]) -> Account {
        let data = format!("0x{}", hex::encode(deploying(first, code)));
        let tx = json!({"from": self.me.to_string(), "data": data, "gas": "0x200000"});
        let hash = self.node.ask("eth_sendTransaction", &json!([tx]));
        self.node.mine();
        let receipt = self.node.ask("eth_getTransactionReceipt", &json!([hash]));
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        account(&receipt["contractAddress"])
    }

    /// Has the node sign a transaction; its bytes.
    fn signed(&self, to: Account, value: u64, input: &[u8]) -> Vec<u8> {
        let nonce = self.node.ask("eth_getTransactionCount", &json!([self.me.to_string(), "latest"]));
        let tx = json!({
            "from": self.me.to_string(), "to": to.to_string(), "value": format!("{value:#x}"),
            "input": format!("0x{}", hex::encode(input)), "nonce": nonce, "gas": format!("{GAS:#x}"),
            "maxFeePerGas": "0x77359400", "maxPriorityFeePerGas": "0x3", "chainId": format!("{CHAIN_ID:#x}"),
            "type": "0x2",
        });
        bytes(self.node.ask("eth_signTransaction", &json!([tx])).as_str().unwrap())
    }

    /// The block the node would make next.
    fn next_block(&mut self) -> Environment {
        self.time_s += 12;
        self.node.ask("evm_setNextBlockTimestamp", &json!([self.time_s]));
        self.node.ask("anvil_setNextBlockBaseFeePerGas", &json!(["0x3b9aca00"]));
        let head = self.node.ask("eth_getBlockByNumber", &json!(["latest", false]));
        Environment {
            chain_id: CHAIN_ID,
            fork: self.fork,
            number: number(&head["number"]).to_u64().unwrap() + 1,
            timestamp_s: self.time_s,
            gas_limit: number(&head["gasLimit"]).to_u64().unwrap(),
            base_fee: 1_000_000_000,
            beneficiary: account(&head["miner"]),
            randomness: [0; 32],
            excess_blob_gas: 0,
        }
    }

    fn simulate(&mut self, tx: &Transaction) -> Simulation {
        let environment = self.next_block();
        let mut state = Snapshot::new();
        loop {
            match simulate(&state, &environment, tx, &Context::default(), &mut || true) {
                Ok(simulation) => return simulation,
                Err(SimulateError::Missing(need)) => self.node.fetch(&need, &mut state),
                Err(other) => panic!("{other}"),
            }
        }
    }

    /// Simulates and executes; what the two do not agree on fails the test.
    fn both(&mut self, name: &str, to: Account, value: u64, input: &[u8]) -> (Simulation, Vec<Difference>) {
        let raw = self.signed(to, value, input);
        let envelope = transaction::decode(&raw).unwrap();
        assert_eq!(envelope.signer, Some(self.me), "{name}: recovered from the node's signature");
        let simulation = self.simulate(&envelope.transaction);
        let context = Context { chain_id: Some(CHAIN_ID), ..Context::default() };
        let said = intent::read_transaction(&envelope, None, &context);
        let differences = compare(&said, self.me, &simulation);

        let hash = self.node.ask("eth_sendRawTransaction", &json!([format!("0x{}", hex::encode(&raw))]));
        assert_eq!(number(&hash).to_be_bytes(), envelope.transaction.hash, "{name}: its hash");
        self.node.mine();
        let receipt = self.node.ask("eth_getTransactionReceipt", &json!([hash]));
        let done = receipt["status"] == "0x1";
        assert_eq!(simulation.end == End::Done, done, "{name}: {:?}", simulation.end);
        assert_eq!(number(&receipt["gasUsed"]).to_u64(), Some(simulation.gas_used), "{name}: gas");
        let price = number(&receipt["effectiveGasPrice"]).to_u64().unwrap();
        assert_eq!(simulation.fee, Some(U256::from(price * simulation.gas_used)), "{name}: fee");
        self.same_balances(name, &simulation, &receipt);
        self.same_storage(name, &simulation);
        self.same_moves(name, &simulation, &hash, &receipt);
        (simulation, differences)
    }

    fn same_balances(&self, name: &str, simulation: &Simulation, receipt: &Value) {
        let block = number(&receipt["blockNumber"]).to_u64().unwrap();
        for change in &simulation.native {
            let at = |block: u64| {
                let params = json!([change.account.to_string(), format!("{block:#x}")]);
                number(&self.node.ask("eth_getBalance", &params))
            };
            assert_eq!(at(block - 1), change.before, "{name}: {} before", change.account);
            assert_eq!(at(block), change.after, "{name}: {} after", change.account);
        }
        for change in &simulation.tokens {
            let data = format!("0x70a08231{:0>64}", hex::encode(change.account.0));
            let call = json!({"to": change.token.to_string(), "data": data});
            let balance = self.node.ask("eth_call", &json!([call, "latest"]));
            assert_eq!(Some(number(&balance)), change.after, "{name}: tokens of {}", change.account);
        }
        for change in &simulation.allowances {
            let (owner, spender) = (hex::encode(change.owner.0), hex::encode(change.spender.0));
            let call = json!({"to": change.token.to_string(), "data": format!("0xdd62ed3e{owner:0>64}{spender:0>64}")});
            let allowance = self.node.ask("eth_call", &json!([call, "latest"]));
            assert_eq!(Some(number(&allowance)), change.after, "{name}: allowance");
        }
    }

    fn same_storage(&self, name: &str, simulation: &Simulation) {
        for change in &simulation.slots {
            let slot = format!("0x{}", hex::encode(change.slot));
            let value =
                self.node.ask("eth_getStorageAt", &json!([change.account.to_string(), slot, "latest"]));
            assert_eq!(number(&value).to_be_bytes(), change.after, "{name}: {}", change.name);
        }
    }

    /// Transfers of tokens as the receipt's logs say, of native value as the node's own tracer says.
    fn same_moves(&self, name: &str, simulation: &Simulation, hash: &Value, receipt: &Value) {
        let mut tokens = Vec::new();
        for log in receipt["logs"].as_array().unwrap() {
            let topics = log["topics"].as_array().unwrap();
            if topics[0].as_str().unwrap().starts_with("0xddf252ad") {
                let of = |topic: &Value| Account(bytes(topic.as_str().unwrap())[12..].try_into().unwrap());
                tokens.push((account(&log["address"]), of(&topics[1]), of(&topics[2]), number(&log["data"])));
            }
        }
        let mut native = Vec::new();
        let tracer = json!([hash, {"tracer": "callTracer"}]);
        value_calls(&self.node.ask("debug_traceTransaction", &tracer), &mut native);
        let (mut our_tokens, mut our_native) = (Vec::new(), Vec::new());
        for effect in &simulation.done.effects {
            match &effect.act {
                Act::TokenTransfer { token, from: Some(from), to, quantity: Quantity::Amount(amount) } => {
                    our_tokens.push((*token, *from, *to, *amount));
                }
                Act::NativeTransfer { from: Some(from), to, amount } => {
                    our_native.push((*from, *to, *amount))
                }
                _ => {}
            }
        }
        assert_eq!(our_tokens, tokens, "{name}: tokens");
        assert_eq!(our_native, native, "{name}: native value");
    }
}

/// Calls that carry value and were not undone.
fn value_calls(call: &Value, out: &mut Vec<(Account, Account, U256)>) {
    if !call["error"].is_null() {
        return;
    }
    let kind = call["type"].as_str().unwrap();
    let amount = call.get("value").filter(|value| !value.is_null()).map(number).unwrap_or_default();
    if !amount.is_zero() && kind != "DELEGATECALL" {
        out.push((account(&call["from"]), account(&call["to"]), amount));
    }
    for inner in call["calls"].as_array().into_iter().flatten() {
        value_calls(inner, out);
    }
}

fn word(account: &Account) -> [u8; 32] {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&account.0);
    word
}

fn call(selector: u32, words: &[[u8; 32]]) -> Vec<u8> {
    let mut out = selector.to_be_bytes().to_vec();
    words.iter().for_each(|word| out.extend(word));
    out
}

fn amount(value: u64) -> [u8; 32] {
    U256::from(value).to_be_bytes()
}

fn kinds(differences: &[Difference]) -> Vec<&'static str> {
    differences.iter().map(Difference::kind).collect()
}

fn story(fork: Fork) {
    let Some(mut world) = World::start(fork) else { return };
    let other = world.other;
    let thief = Account([0x77; 20]);
    let token = world.deploy(&contracts::minting(1_000_000), &contracts::token(0));
    let greedy = world.deploy(&contracts::minting(1_000_000), &contracts::token(3));
    let drainer = world.deploy("", &contracts::drainer(&token, &thief));
    let maker = world.deploy("", &contracts::maker());
    let refusing = world.deploy("", &contracts::refusing());
    let hasher = world.deploy("", &contracts::hasher());
    let endless = world.deploy("", &contracts::endless());
    let runner = world.deploy("", &contracts::runner());
    let writer = world.deploy("", &contracts::writer());
    let safe = world.deploy(&format!("0x{} 0x00 SSTORE", hex::encode(runner.0)), &contracts::slot_proxy());

    let (_, none) = world.both("payment", other, 5_000, &[]);
    assert_eq!(none, []);
    let transfer = call(0xa905_9cbb, &[word(&other), amount(300)]);
    let (_, none) = world.both("transfer", token, 0, &transfer);
    assert_eq!(none, []);
    let (_, fee) = world.both("transfer with a hidden fee", greedy, 0, &transfer);
    assert_eq!(kinds(&fee), ["balance_untrue"]);
    let (_, none) = world.both("approve", token, 0, &call(0x095e_a7b3, &[word(&drainer), [0xff; 32]]));
    assert_eq!(none, []);
    let (taken, unsaid) = world.both("drain", drainer, 1_000, &[0x4e, 0x71, 0xd9, 0x2d]);
    assert_eq!(kinds(&unsaid), ["unsaid", "unsaid"]);
    assert_eq!(
        taken.tokens.iter().find(|change| change.account == thief).unwrap().after,
        Some(U256::from(100u64))
    );
    let too_much = call(0xa905_9cbb, &[word(&other), [0xff; 32]]);
    let (_, failed) = world.both("more than there is", token, 0, &too_much);
    assert_eq!(kinds(&failed), ["failed"]);
    let (refused, _) = world.both("refused", refusing, 0, &[]);
    assert_eq!(refused.end, End::Reverted("no".to_owned()));
    world.both("block hash", hasher, 0, &[]);
    let (halted, _) = world.both("endless", endless, 0, &[]);
    assert!(matches!(halted.end, End::Halted(_)));
    assert_eq!(halted.gas_used, GAS);
    let (made, _) = world.both("made and destroyed", maker, 7, &[]);
    assert!(made.done.effects.iter().any(|effect| effect.act.kind() == "creation"));
    let mut attack = call(0x1234_5678, &[word(&writer)]);
    attack.extend([0; 4]);
    attack.extend([0; 32]);
    attack.extend(word(&thief));
    let (stolen, unsaid) = world.both("a stranger's code", safe, 0, &attack);
    assert_eq!(kinds(&unsaid), ["unsaid", "unsaid"]);
    assert_eq!(stolen.slots[0].name, "code");
    assert_eq!(stolen.slots[0].after, word(&thief));
}

#[test]
fn a_real_node_does_what_the_simulation_says_prague() {
    story(Fork::Prague);
}

#[test]
fn a_real_node_does_what_the_simulation_says_osaka() {
    story(Fork::Osaka);
}

#[test]
fn a_real_node_does_what_the_simulation_says_shanghai() {
    story(Fork::Shanghai);
}
