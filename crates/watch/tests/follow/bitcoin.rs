//! A Bitcoin node as far as a follower sees it: JSON-RPC and ZeroMQ over sockets, blocks mined by the test.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use chain::{
    bitcoin::{BlockHeader, Facts},
    headers::BlockHash,
};
use crypto::sha256;
use domain::{Address, AddressKind};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::{broadcast, watch as signal},
};
use watch::follow::{
    AlertKind, AlertState, Follower, MemoryStore, Parts, Source as _, StateStore, StatusCell, TokioTimer,
    bitcoin::BitcoinNode,
    rpc::{Dial, Endpoint, Limits, PlainDial, Rpc},
    run, zmq,
};

use crate::support::{Alerts, Blocks, Proxy, RealClock, Seeded, rules, settings};

const PATIENCE: Duration = Duration::from_secs(30);
const COIN: u64 = 100_000_000;

fn twice(bytes: &[u8]) -> [u8; 32] {
    sha256(&[&sha256(&[bytes])])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As Bitcoin prints hashes.
fn shown(hash: &[u8; 32]) -> String {
    let mut hash = *hash;
    hash.reverse();
    hex(&hash)
}

/// Owner `n` as a witness program, the even ones as a hash of a key.
fn owner(n: u8) -> (Address, Vec<u8>) {
    let mut payload = [n; 20];
    if n >= 200 {
        (payload[0], payload[1]) = (0xba, 0xd0);
    }
    if n.is_multiple_of(2) {
        let script = [&[0x76, 0xa9, 20][..], &payload, &[0x88, 0xac]].concat();
        (Address::new(AddressKind::BitcoinP2pkh, &payload).unwrap(), script)
    } else {
        let script = [&[0, 20][..], &payload].concat();
        (Address::new(AddressKind::BitcoinWitness { version: 0 }, &payload).unwrap(), script)
    }
}

#[derive(Debug, Clone)]
struct Coin {
    id: [u8; 32],
    vout: u32,
    value: u64,
    owner: u8,
}

#[derive(Debug, Clone)]
struct Mined {
    hash: [u8; 32],
    header: [u8; 80],
    height: u64,
    /// Raw bytes and what the inputs spend.
    transactions: Vec<(Vec<u8>, Vec<Coin>)>,
    /// Unspent after this block.
    unspent: Vec<Coin>,
}

/// A transaction's bytes, with and without witness, and its id.
fn transaction(spends: &[Coin], height: u64, pays: &[(u8, u64)]) -> (Vec<u8>, [u8; 32]) {
    let has_witness = spends.iter().any(|coin| coin.owner % 2 == 1);
    let mut body = Vec::new();
    if spends.is_empty() {
        body.push(1);
        body.extend([0; 32]);
        body.extend([0xff; 4]);
        // The height, so that no two are the same (BIP 34), and some room.
        let script = [&[8][..], &height.to_le_bytes(), b"test"].concat();
        body.push(u8::try_from(script.len()).unwrap());
        body.extend(script);
        body.extend([0xff; 4]);
    } else {
        body.push(u8::try_from(spends.len()).unwrap());
        for coin in spends {
            body.extend(coin.id);
            body.extend(coin.vout.to_le_bytes());
            body.push(0);
            body.extend([0xff; 4]);
        }
    }
    body.push(u8::try_from(pays.len()).unwrap());
    for (to, value) in pays {
        let (_, script) = owner(*to);
        body.extend(value.to_le_bytes());
        body.push(u8::try_from(script.len()).unwrap());
        body.extend(script);
    }
    let stripped = [&[2, 0, 0, 0][..], &body, &[0; 4]].concat();
    let id = twice(&stripped);
    if !has_witness {
        return (stripped, id);
    }
    let mut raw = [&[2, 0, 0, 0, 0, 1][..], &body].concat();
    for coin in spends {
        raw.extend(if coin.owner % 2 == 1 { &[1u8, 3, 7, 7, 7][..] } else { &[0] });
    }
    raw.extend([0; 4]);
    (raw, id)
}

/// What a lying node does to an answer.
type Lie = fn(&mut Value);

#[derive(Debug, Default)]
struct Chain {
    active: Vec<Mined>,
    orphans: Vec<Mined>,
    branch: u32,
    /// Change every answer to this question in this way.
    lie: Option<(&'static str, Lie)>,
}

impl Chain {
    fn mine(&mut self, random: &mut Seeded) {
        let height = u64::try_from(self.active.len()).unwrap();
        let (parent, mut unspent) =
            self.active.last().map_or(([0; 32], Vec::new()), |tip| (tip.hash, tip.unspent.clone()));
        let someone = |random: &mut Seeded| match random.below(8) {
            0 => 1,
            1 => 200,
            n => u8::try_from(n + 10).unwrap(),
        };
        let mut transactions = Vec::new();
        let mut ids = Vec::new();
        let mut add = |spends: Vec<Coin>, pays: Vec<(u8, u64)>, unspent: &mut Vec<Coin>| {
            let (raw, id) = transaction(&spends, height << 32 | u64::from(self.branch), &pays);
            for ((to, value), vout) in pays.iter().zip(0..) {
                unspent.push(Coin { id, vout, value: *value, owner: *to });
            }
            ids.push(id);
            transactions.push((raw, spends));
        };
        add(Vec::new(), vec![(someone(random), 50 * COIN)], &mut unspent);
        for _ in 0..random.below(4) {
            let mut spends = Vec::new();
            for _ in 0..=random.below(2) {
                if unspent.len() > 1 {
                    let at = usize::try_from(random.below(u64::try_from(unspent.len()).unwrap())).unwrap();
                    spends.push(unspent.swap_remove(at));
                }
            }
            let total: u64 = spends.iter().map(|coin| coin.value).sum();
            if total > 10 {
                let part = 1 + random.below(total - 2);
                let pays = vec![(someone(random), part), (spends[0].owner, total - part - 1)];
                add(spends, pays, &mut unspent);
            } else {
                unspent.extend(spends);
            }
        }
        let mut level = ids;
        while level.len() > 1 {
            level = level.chunks(2).map(|pair| twice(&[pair[0], *pair.last().unwrap()].concat())).collect();
        }
        let mut header = [0u8; 80];
        header[0] = 2;
        header[4..36].copy_from_slice(&parent);
        header[36..68].copy_from_slice(&level[0]);
        header[68..72].copy_from_slice(&(1_700_000_000 + u32::try_from(height).unwrap()).to_le_bytes());
        header[72..76].copy_from_slice(&0x207f_ffffu32.to_le_bytes());
        for nonce in 0u32.. {
            header[76..].copy_from_slice(&nonce.to_le_bytes());
            if BlockHeader::parse(&header).has_work() {
                break;
            }
        }
        self.active.push(Mined { hash: twice(&header), header, height, transactions, unspent });
    }

    fn abandon(&mut self, depth: usize) {
        self.branch += 1;
        let keep = self.active.len().saturating_sub(depth).max(1);
        let gone = self.active.split_off(keep);
        self.orphans.extend(gone);
    }

    fn find(&self, hash: &str) -> Option<&Mined> {
        self.active.iter().chain(&self.orphans).find(|block| shown(&block.hash) == hash)
    }

    fn answer(&self, method: &str, params: &Value) -> Result<Value, (i64, &'static str)> {
        let block = || self.find(params[0].as_str().unwrap()).ok_or((-5, "Block not found"));
        match method {
            "getblockchaininfo" => Ok(json!({"chain": "regtest", "blocks": self.active.len() - 1})),
            "getbestblockhash" => Ok(json!(shown(&self.active.last().unwrap().hash))),
            "getblockhash" => {
                let height = usize::try_from(params[0].as_u64().unwrap()).unwrap();
                let block = self.active.get(height).ok_or((-8, "Block height out of range"))?;
                Ok(json!(shown(&block.hash)))
            }
            "getblockheader" if params[1] == false => Ok(json!(hex(&block()?.header))),
            "getblockheader" => {
                let block = block()?;
                let mut header =
                    json!({"hash": shown(&block.hash), "height": block.height, "time": 1_700_000_000});
                if block.height > 0 {
                    header["previousblockhash"] = json!(shown(block.header[4..36].try_into().unwrap()));
                }
                Ok(header)
            }
            "getblock" => {
                assert_eq!(params[1], 3);
                let block = block()?;
                let transactions: Vec<Value> = block
                    .transactions
                    .iter()
                    .map(|(raw, spends)| {
                        let vin: Vec<Value> = if spends.is_empty() {
                            vec![json!({"coinbase": "00"})]
                        } else {
                            spends.iter().map(input).collect()
                        };
                        json!({"hex": hex(raw), "vin": vin})
                    })
                    .collect();
                Ok(json!({"height": block.height, "tx": transactions}))
            }
            _ => Err((-32601, "Method not found")),
        }
    }
}

fn input(coin: &Coin) -> Value {
    let text = format!("{}.{:08}", coin.value / COIN, coin.value % COIN);
    let value: Box<serde_json::value::RawValue> = serde_json::value::RawValue::from_string(text).unwrap();
    let (_, script) = owner(coin.owner);
    // Nodes print coins as numbers with eight digits behind the point.
    let number: Value = serde_json::from_str(value.get()).unwrap();
    json!({"txid": shown(&coin.id), "vout": coin.vout, "prevout": {"value": number, "scriptPubKey": {"hex": hex(&script)}}})
}

/// The node's two sockets.
struct Node {
    chain: Arc<Mutex<Chain>>,
    rpc: SocketAddr,
    zmq: SocketAddr,
    publish: broadcast::Sender<[u8; 32]>,
}

impl Node {
    async fn start() -> Self {
        let chain: Arc<Mutex<Chain>> = Arc::default();
        let rpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let zmq = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (publish, _) = broadcast::channel(64);
        let node = Self {
            chain: Arc::clone(&chain),
            rpc: rpc.local_addr().unwrap(),
            zmq: zmq.local_addr().unwrap(),
            publish: publish.clone(),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = rpc.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&chain)));
            }
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = zmq.accept().await {
                tokio::spawn(publisher(stream, publish.subscribe()));
            }
        });
        node
    }

    fn mine(&self, random: &mut Seeded, blocks: u64) {
        let mut chain = self.chain.lock();
        (0..blocks).for_each(|_| chain.mine(random));
        let hash = chain.active.last().unwrap().hash;
        drop(chain);
        // Without subscribers it is published to nobody.
        drop(self.publish.send(hash));
    }
}

async fn serve(stream: tokio::net::TcpStream, chain: Arc<Mutex<Chain>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        let question: Value = serde_json::from_slice(&body).ok()?;
        let method = question["method"].as_str()?;
        let (status, reply) = {
            let chain = chain.lock();
            match chain.answer(method, &question["params"]) {
                Ok(mut result) => {
                    if let Some((of, change)) = chain.lie.filter(|(of, _)| *of == method) {
                        let _: &str = of;
                        change(&mut result);
                    }
                    ("200 OK", json!({"result": result, "error": null, "id": question["id"]}))
                }
                Err((code, message)) => (
                    "500 Internal Server Error",
                    json!({"result": null, "error": {"code": code, "message": message}, "id": question["id"]}),
                ),
            }
        };
        let reply = reply.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            reply.len()
        );
        stream.get_mut().write_all((head + &reply).as_bytes()).await.ok()?;
    }
}

/// A ZMTP publisher, as far as one subscriber sees it.
async fn publisher(
    mut stream: tokio::net::TcpStream,
    mut blocks: broadcast::Receiver<[u8; 32]>,
) -> Option<()> {
    let mut greeting = [0u8; 64];
    stream.read_exact(&mut greeting).await.ok()?;
    assert_eq!((greeting[0], greeting[9], greeting[10]), (0xff, 0x7f, 3));
    stream.write_all(&greeting).await.ok()?;
    let mut frame = [0; 2];
    stream.read_exact(&mut frame).await.ok()?;
    let mut ready = vec![0; usize::from(frame[1])];
    stream.read_exact(&mut ready).await.ok()?;
    assert!(frame[0] == 4 && ready.starts_with(b"\x05READY"));
    let command = b"\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB";
    stream.write_all(&[&[4, u8::try_from(command.len()).unwrap()][..], command].concat()).await.ok()?;
    let mut subscription = [0; 12];
    stream.read_exact(&mut subscription).await.ok()?;
    assert_eq!(&subscription, b"\x00\x0a\x01hashblock");
    // A ping first: it has to be answered before anything else.
    stream.write_all(b"\x04\x09\x04PING\x00\x0aab").await.ok()?;
    let mut pong = [0; 9];
    stream.read_exact(&mut pong).await.ok()?;
    assert_eq!(&pong, b"\x04\x07\x04PONGab");
    let mut number = 0u32;
    while let Ok(hash) = blocks.recv().await {
        let message = [&b"\x01\x09hashblock\x01\x20"[..], &hash, &[0, 4], &number.to_le_bytes()].concat();
        stream.write_all(&message).await.ok()?;
        number += 1;
    }
    None
}

struct Following {
    alerts: Arc<Alerts>,
    blocks: Arc<Blocks<Facts>>,
    status: StatusCell,
    stop: signal::Sender<bool>,
    task: tokio::task::JoinHandle<Follower<BitcoinNode>>,
}

fn follow(rpc: SocketAddr, zmq: SocketAddr, poll: Duration) -> Following {
    let (alerts, blocks) = (Alerts::new(), Arc::<Blocks<Facts>>::default());
    let status = StatusCell::new("test");
    let endpoint = Endpoint::http(&format!("http://user:pass@{rpc}")).unwrap();
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::default());
    let parts = Parts {
        source: BitcoinNode::new(Rpc::new(endpoint, Arc::new(PlainDial), Limits::default()), "regtest"),
        store,
        alerts: Arc::clone(&alerts) as _,
        blocks: vec![Arc::clone(&blocks) as _],
        rules: rules(&[owner(1).0]),
        clock: Arc::new(RealClock),
        status: status.clone(),
    };
    let follower = Follower::open(parts, settings(6, Some(0))).unwrap();
    let (stop, stopping) = signal::channel(false);
    let (announce, heads) = signal::channel(None);
    let (cell, announcing) = (status.clone(), stopping.clone());
    tokio::spawn(async move {
        let endpoint = Endpoint::tcp(&format!("tcp://{zmq}")).unwrap();
        let dial: Arc<dyn Dial> = Arc::new(PlainDial);
        zmq::announce(&endpoint, &dial, &TokioTimer, &cell, &announce, announcing).await;
    });
    let task = tokio::spawn(async move { run(follower, heads, &TokioTimer, poll, stopping).await });
    Following { alerts, blocks, status, stop, task }
}

impl Following {
    async fn caught_up(&self, node: &Node) {
        let waiting = async {
            loop {
                let best = shown(&node.chain.lock().active.last().unwrap().hash);
                let status = self.status.read();
                if status.tip.is_some_and(|tip| tip.hash.to_string() == best) && status.news_waiting == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("never caught up: {:?}", self.status.read());
        }
    }
}

/// What everybody holds by the facts equals the node's unspent outputs.
fn assert_balances(node: &Node, blocks: &Blocks<Facts>) {
    let mut balances: BTreeMap<Address, i128> = BTreeMap::new();
    for (_, facts) in blocks.0.lock().iter() {
        for moved in &facts.transactions {
            for spent in &moved.inputs {
                *balances.entry(spent.address.unwrap()).or_default() -= i128::from(spent.value);
            }
            for paid in &moved.outputs {
                *balances.entry(paid.address.unwrap()).or_default() += i128::from(paid.value);
            }
        }
    }
    let mut unspent: BTreeMap<Address, i128> = BTreeMap::new();
    for coin in &node.chain.lock().active.last().unwrap().unspent {
        *unspent.entry(owner(coin.owner).0).or_default() += i128::from(coin.value);
    }
    balances.retain(|_, value| *value != 0);
    unspent.retain(|_, value| *value != 0);
    assert_eq!(balances, unspent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reorganisations_and_cut_connections_end_as_a_fresh_sync() {
    let node = Node::start().await;
    let mut random = Seeded(11);
    node.mine(&mut random, 40);
    let (rpc, publications) = (Proxy::start(node.rpc).await, Proxy::start(node.zmq).await);
    // So long a poll that what is announced decides, except after an error.
    let following = follow(rpc.address, publications.address, Duration::from_millis(300));
    following.caught_up(&node).await;
    for _ in 0..40 {
        if random.below(2) == 0 {
            node.chain.lock().abandon(usize::try_from(random.below(24)).unwrap());
        }
        if random.below(4) == 0 {
            rpc.cut();
            publications.cut();
        }
        let blocks = 1 + random.below(30);
        node.mine(&mut random, blocks);
        if random.below(3) > 0 {
            following.caught_up(&node).await;
            assert_balances(&node, &following.blocks);
        }
    }
    node.mine(&mut random, 30);
    following.caught_up(&node).await;
    let fresh = follow(node.rpc, node.zmq, Duration::from_millis(300));
    fresh.caught_up(&node).await;
    assert_balances(&node, &following.blocks);
    let ids = |following: &Following| {
        following.blocks.0.lock().iter().map(|(header, _)| header.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&following), ids(&fresh));
    assert_eq!(following.alerts.in_force(), fresh.alerts.in_force());
    let log = following.alerts.log.lock().clone();
    for kind in [AlertKind::ListedCounterparty, AlertKind::ListedTransfer, AlertKind::WatchedTransfer] {
        assert!(
            log.iter().any(|news| news.alert.kind == kind && news.state == AlertState::Final),
            "{kind:?}"
        );
    }
    assert!(log.iter().any(|news| news.state == AlertState::Retracted));
    following.stop.send_replace(true);
    let totals = following.task.await.unwrap().state().totals();
    assert!(totals.reorgs > 10 && totals.reorg_depth_max > 5, "{totals:?}");
    fresh.stop.send_replace(true);
    assert_eq!(fresh.task.await.unwrap().state().totals().reorgs, 0);
}

#[tokio::test]
async fn lies_about_a_block_are_found_by_name() {
    let node = Node::start().await;
    let mut random = Seeded(3);
    node.mine(&mut random, 30);
    let endpoint = Endpoint::http(&format!("http://{}", node.rpc)).unwrap();
    let source = BitcoinNode::new(Rpc::new(endpoint, Arc::new(PlainDial), Limits::default()), "regtest");
    // A block with more than the coins it makes.
    let height = node.chain.lock().active.iter().rposition(|block| block.transactions.len() > 2).unwrap();
    let header = source.header_at(u64::try_from(height).unwrap()).await.unwrap().unwrap();
    source.facts(&header).await.unwrap().unwrap();
    let cases: [(&str, &'static str, Lie); 7] = [
        ("merkle_root_mismatch", "getblock", |block| {
            block["tx"].as_array_mut().unwrap().pop();
        }),
        ("merkle_root_mismatch", "getblock", |block| block["tx"].as_array_mut().unwrap().swap(1, 2)),
        ("duplicate_transactions", "getblock", |block| {
            let last = block["tx"].as_array().unwrap()[1].clone();
            block["tx"] = json!([last.clone(), last]);
        }),
        ("form", "getblock", |block| block["tx"][1]["hex"] = json!("0200")),
        ("malformed", "getblock", |block| block["tx"][1]["vin"][0]["prevout"]["value"] = json!(0.00000001)),
        ("malformed", "getblock", |block| block["tx"][1]["vin"][0]["prevout"] = Value::Null),
        ("other_block", "getblockheader", |header| {
            if let Some(text) = header.as_str() {
                *header = json!(text.replacen("02", "03", 1));
            }
        }),
    ];
    for (name, method, lie) in cases {
        node.chain.lock().lie = Some((method, lie));
        let error = source.facts(&header).await.unwrap_err();
        assert_eq!(error.as_str(), name, "{error}");
    }
    node.chain.lock().lie = Some(("getblockchaininfo", |chain| chain["chain"] = json!("main")));
    assert_eq!(source.identify().await.unwrap_err().as_str(), "wrong_chain");
    node.chain.lock().lie = None;
    source.identify().await.unwrap();
    assert_eq!(source.header_at(1_000).await.unwrap(), None);
    let unknown = chain::headers::BlockId { height: 1, hash: BlockHash([5; 32]) };
    assert_eq!(source.header(unknown).await.unwrap(), None);
}
