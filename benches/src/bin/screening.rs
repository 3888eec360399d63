//! Screening beside what it rests on: assessments with and without exposure, past transfers scored again after a list
//! changed, and a block from the node's words to the alert.
//!
//! `screening [N_LABELS]`. CPU time of this thread. Budgets: 1 million past transfers scored again below 1 s; a block of 300
//! transactions and 700 logs from its verification to its alerts p99 below 10 ms.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{fmt::Write as _, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use benches::{mix, thread_cpu};
use chain::{
    evm::{
        Account, Block, BlockHeader, Log, Outcome, Pools, Proof, Receipt, Transaction, decode, seal, verify,
    },
    headers::{BlockHash, BlockId, Header},
    u256::U256,
};
use domain::{
    AccountId, Address, AddressKind, Amount, Asset, ChainFamily, Event, EventContext, EventId, EventKind,
    Network, UnixNanos,
};
use watch::{
    Config, Format, ListName, SourceFile, Watch,
    assess::{Assessor, Followed, Policy},
    flows::{BlockFlows, Call, Flows, Movement, Party},
    follow::{
        Rules, Watched,
        source::Facts as _,
        state::{FollowState, file::StateFile},
    },
    rescreen::Ledger,
};

const NOW: UnixNanos = UnixNanos::from_secs(1_700_000_000);
const N_TRANSFERS: u64 = 1_000_000;
const N_HOLDERS: u64 = 300_000;
const N_ASSESSED: u64 = 20_000;
const N_BLOCKS: u64 = 400;
const TOKEN: Account = Account([0xaa; 20]);
/// Of 32 bytes: `Transfer(address,address,uint256)`.
const TRANSFER: &str = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

fn payload(n: u64) -> [u8; 20] {
    let mut payload = [0; 20];
    for (chunk, salt) in payload.chunks_mut(8).zip([0, 1 << 40, 2 << 40]) {
        let word = mix(n | salt).to_le_bytes();
        chunk.copy_from_slice(word.get(..chunk.len()).unwrap_or(&word));
    }
    payload
}

fn address(n: u64) -> Result<Address> {
    Address::new(AddressKind::Evm, &payload(n)).context("20 bytes are an address")
}

fn text(n: u64) -> String {
    payload(n).iter().fold(String::from("0x"), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn import(watch: &Watch, name: &str, category: &str, numbers: impl Iterator<Item = u64>) -> Result<()> {
    let mut csv = String::from("address\n");
    for number in numbers {
        csv.push_str(&text(number));
        csv.push('\n');
    }
    let format: Format = format!("csv:address=address,network=:ETH,category=:{category}").parse()?;
    let file = SourceFile { name: format!("{name}.csv"), bytes: csv.into_bytes() };
    watch.import(&ListName::parse(name)?, &format, &[file], NOW)?;
    Ok(())
}

/// A busier holder for a smaller number, half of the time.
fn holder(random: u64) -> u64 {
    if random & 1 == 0 { (random >> 8) % N_HOLDERS } else { (random >> 8) % 2_000 }
}

fn rescreening(watch: &Watch) -> Result<()> {
    let mut ledger = Ledger::new();
    for entry in 0..N_TRANSFERS {
        let event = Event {
            id: EventId::parse(&format!("e-{entry}"))?,
            account: AccountId::parse(&format!("u-{}", entry % 50_000))?,
            occurred_at: NOW,
            device: None,
            ip: None,
            context: EventContext::default(),
            kind: EventKind::WithdrawalAccepted {
                asset: Asset::parse("ETH")?,
                amount: Amount::parse("1")?,
                network: Network::Ethereum,
                // Four transfers for each address.
                address: text((1 << 32) + mix(entry) % (N_TRANSFERS / 4)),
            },
        };
        ledger.apply_event(entry, &event);
    }
    import(watch, "fresh", "scam", (0..1_000).map(|n| (1 << 32) + n))?;
    let start = thread_cpu();
    let scan = ledger.scan(0);
    let copied = thread_cpu();
    let news = scan.news(watch);
    let done = thread_cpu();
    println!(
        "{} past transfers to {} addresses scored again in {:.0} ms, {:.0} of them a copy under the lock: {} alerts",
        scan.looked().transfers,
        scan.looked().addresses,
        (done - start).as_secs_f64() * 1e3,
        (copied - start).as_secs_f64() * 1e3,
        news.len()
    );
    Ok(())
}

fn percentiles(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| {
        times.get(times.len() * share / 1_000).copied().unwrap_or_default().as_secs_f64() * 1e6
    };
    println!("{what}: p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us", at(500), at(990), at(999));
}

fn assessing(watch: &Arc<Watch>, followed: Vec<Followed>, what: &str) -> Result<()> {
    let assessor = Assessor::new(Arc::clone(watch), followed, Policy::default());
    let mut times = Vec::new();
    let start = thread_cpu();
    let mut exposed = 0;
    for n in 0..N_ASSESSED {
        let text = text(holder(mix(n ^ 0x5eed)));
        let before = thread_cpu();
        let assessment = assessor.assess(&text, Some(Network::Ethereum), NOW);
        times.push(thread_cpu() - before);
        exposed += usize::from(!assessment.exposed.is_empty());
    }
    let took = (thread_cpu() - start).as_secs_f64();
    println!("{what}: {:.0} addresses/s, {exposed} of {N_ASSESSED} exposed", N_ASSESSED as f64 / took);
    percentiles(what, times);
    Ok(())
}

fn log(index: u64, from: u64, to: u64) -> Result<Log> {
    let mut topics = vec![[0; 32]; 3];
    let mut name = [0; 32];
    for (at, byte) in name.iter_mut().enumerate() {
        let digits = TRANSFER.get(2 * at..2 * at + 2).context("64 digits")?;
        *byte = u8::from_str_radix(digits, 16)?;
    }
    for (topic, number) in topics.iter_mut().skip(1).zip([from, to]) {
        topic.get_mut(12..).context("32 bytes")?.copy_from_slice(&payload(number));
    }
    if let Some(first) = topics.first_mut() {
        *first = name;
    }
    let mut data = vec![0; 32];
    if let Some(last) = data.last_mut() {
        *last = 7;
    }
    Ok(Log { emitter: TOKEN, topics, data, index })
}

/// 300 transactions and 700 logs.
fn block(height: u64, parent: BlockHash) -> Result<(Block, Vec<Receipt>)> {
    let header = BlockHeader {
        parent_hash: parent,
        number: height,
        timestamp: 1_600_000_000 + height * 12,
        base_fee_per_gas: Some(U256::from(7_u64)),
        ..BlockHeader::default()
    };
    let (mut transactions, mut receipts, mut logs) = (Vec::new(), Vec::new(), 0);
    for index in 0..300_u64 {
        let seed = mix(height * 1_000 + index);
        let mut hash = [0; 32];
        hash.get_mut(..20).context("32 bytes")?.copy_from_slice(&payload(seed));
        transactions.push(Transaction {
            kind: 2,
            hash,
            from: Account(payload(holder(seed))),
            to: Some(Account(payload(holder(mix(seed))))),
            value: U256::from(seed >> 20),
            nonce: index,
            gas: 100_000,
            input: vec![9; if index % 2 == 0 { 68 } else { 0 }],
            ..Transaction::default()
        });
        let mut own = Vec::new();
        for n in 0..if index % 3 == 0 { 3 } else { 2 } {
            own.push(log(logs, holder(mix(seed ^ n)), holder(mix(seed + n)))?);
            logs += 1;
        }
        let mut receipt = Receipt {
            transaction: hash,
            index,
            block: BlockHash::default(),
            kind: 2,
            outcome: Outcome::Status(true),
            cumulative_gas_used: 50_000 * (index + 1),
            logs_bloom: chain::evm::Bloom::default(),
            logs: own,
        };
        for log in &receipt.logs {
            receipt.logs_bloom.add(log);
        }
        receipts.push(receipt);
    }
    let made = Block { hash: BlockHash::default(), header, transactions };
    let block = seal(made, &mut receipts).context("types that are known")?;
    Ok((block, receipts))
}

fn following(watch: &Arc<Watch>, flows: &Flows, watching: std::ops::Range<u64>) -> Result<()> {
    let watched = Arc::new(Watched::default());
    watched.replace(watching.map(address).collect::<Result<Vec<_>>>()?)?;
    let rules = Rules {
        screen: Arc::clone(watch) as _,
        watched,
        tokens: vec![TOKEN.address()],
        tell_listed: true,
        tell_watched: true,
    };
    let (mut times, mut told) = (Vec::new(), 0);
    let mut state = FollowState::new("eth", 12, 512);
    let mut file = StateFile::default();
    let mut parent = BlockHash::default();
    let first = flows.tip().map_or(1, |(height, _)| height + 1);
    for height in first..first + N_BLOCKS {
        let (block, receipts) = block(height, parent)?;
        let hash = block.hash;
        let header = Header { id: BlockId { height, hash }, parent, time_s: block.header.timestamp };
        let before = thread_cpu();
        let verified = verify(hash, block, receipts, Proof::Roots)?;
        let facts = decode(&verified, 1, &Pools::none());
        let mut findings = Vec::new();
        facts.examine(&rules, &mut |finding| findings.push(finding));
        told += findings.len();
        flows.take(&BlockFlows::of_evm(&facts, flows.tokens()));
        state.connect(header, findings)?;
        let write = file.next(&mut state);
        times.push(thread_cpu() - before);
        std::hint::black_box(write);
        state.delivered();
        // When nobody waits, as a follower does.
        if file.is_long() {
            std::hint::black_box(file.whole(&mut state));
        }
        flows.flush()?;
        parent = hash;
    }
    println!("{told} alerts in {N_BLOCKS} blocks of 300 transactions and 700 logs");
    percentiles("block in hand to alert in the stored state, flows taken in", times);
    Ok(())
}

fn main() -> Result<()> {
    let labels: u64 = match std::env::args().nth(1) {
        Some(text) => text.parse().with_context(|| format!("not a number: {text}"))?,
        None => 500_000,
    };
    let dir = tempfile::tempdir()?;
    let watch = Arc::new(Watch::open(Config { dir: dir.path().join("labels") })?);
    import(
        &watch,
        "bad",
        "theft",
        (0..labels).map(|n| if n % 500 == 0 { n % N_HOLDERS } else { (2 << 32) + n }),
    )?;
    rescreening(&watch)?;
    assessing(&watch, Vec::new(), "labels alone")?;

    let settings = watch::flows::Config {
        dir: dir.path().join("flows"),
        chain: "eth".to_owned(),
        family: ChainFamily::Evm,
        tokens: vec![TOKEN.address()],
        transfers_max: 20_000_000,
    };
    let flows = Arc::new(Flows::open(settings.clone(), Arc::clone(&watch))?);
    let start = thread_cpu();
    for height in 0..N_TRANSFERS / 200 {
        let movements = (0..200)
            .map(|n| {
                let seed = mix(height * 200 + n);
                let call =
                    Call { gas_used: 21_000, failed: false, creates: false, input_bytes: 0, method: None };
                Ok(Movement {
                    transaction: [7; 32],
                    asset: None,
                    from: Party::Address(address(holder(seed))?),
                    to: Party::Address(address(holder(mix(seed)))?),
                    value: u128::from(seed >> 20),
                    call: Some(call),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        flows.take(&BlockFlows {
            height,
            time_s: 1_500_000_000 + height * 12,
            movements,
            ..BlockFlows::default()
        });
        if height % 2_000 == 0 {
            flows.flush()?;
        }
    }
    flows.flush()?;
    let taken = thread_cpu();
    drop(flows);
    let flows = Arc::new(Flows::open(settings, Arc::clone(&watch))?);
    println!(
        "{N_TRANSFERS} transfers taken in in {:.1} s, read again in {:.1} s",
        (taken - start).as_secs_f64(),
        (thread_cpu() - taken).as_secs_f64()
    );
    let stale_after = Duration::from_secs(180);
    let followed = Followed { flows: Arc::clone(&flows), network: Some(Network::Ethereum), stale_after };
    assessing(&watch, vec![followed], "labels and exposure, 1 M transfers among 300,000 holders")?;
    // A few of the holders that take part in the blocks, then a third of all, the busiest among them.
    following(&watch, &flows, 200_000..201_000)?;
    following(&watch, &flows, 0..100_000)?;
    let start = thread_cpu();
    let changed = flows.relabel();
    println!(
        "labels of {} holders looked up again in {:.0} ms, {} changed",
        flows.status().holders,
        (thread_cpu() - start).as_secs_f64() * 1e3,
        changed.len()
    );
    Ok(())
}
