//! What the tests share: a node in memory whose chain is written by the test, and whoever listens to a follower.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chain::{
    headers::{BlockHash, BlockId, Header},
    label::Category,
    u256::U256,
};
use domain::{Address, AddressKind, Clock, UnixNanos, Verdict};
use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch as signal,
};
use watch::{
    Listing,
    follow::{
        AlertId, AlertNews, AlertSink, AlertState, BlockSink, ChainEvent, Rules, Screen, Settings, SinkError,
        Source, SourceError, Watched,
        rules::{Finding, Movement},
        source::Facts,
    },
};

/// A clock that runs.
#[derive(Debug)]
pub(crate) struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> UnixNanos {
        #[expect(clippy::disallowed_methods, reason = "a test measures real latency")]
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        UnixNanos(u64::try_from(since.as_nanos()).unwrap())
    }
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Debug)]
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

pub(crate) fn evm(payload: [u8; 20]) -> Address {
    Address::new(AddressKind::Evm, &payload).unwrap()
}

/// Addresses that begin with 0xbad are sanctioned.
pub(crate) struct BadOnes;

impl Screen for BadOnes {
    fn listing(&self, address: &Address) -> Option<Listing> {
        let bad = address.payload().starts_with(&[0xba, 0xd0]);
        bad.then_some(Listing {
            verdict: Verdict::Deny,
            category: Category::from_word("sanction").unwrap(),
            labels: 1,
        })
    }
}

pub(crate) fn rules(watched: &[Address]) -> Rules {
    let set = Arc::new(Watched::default());
    set.replace(watched.iter().copied()).unwrap();
    Rules {
        screen: Arc::new(BadOnes),
        watched: set,
        tokens: Vec::new(),
        tell_listed: true,
        tell_watched: true,
    }
}

pub(crate) fn settings(confirmations: u64, start: Option<u64>) -> Settings {
    Settings {
        chain: "test".to_owned(),
        confirmations,
        headers_max: 256,
        start,
        stalled_after: Duration::from_secs(3600),
    }
}

/// Takes over alerts; may refuse.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    pub(crate) states: Mutex<BTreeMap<AlertId, AlertState>>,
    pub(crate) log: Mutex<Vec<AlertNews>>,
    /// Deliveries left before one is refused; `u64::MAX` for never.
    pub(crate) until_refused: AtomicU64,
}

impl Alerts {
    pub(crate) fn new() -> Arc<Self> {
        let alerts = Self::default();
        alerts.until_refused.store(u64::MAX, Ordering::Relaxed);
        Arc::new(alerts)
    }

    /// Those that were not taken back.
    pub(crate) fn in_force(&self) -> BTreeMap<AlertId, AlertState> {
        let mut states = self.states.lock().clone();
        states.retain(|_, state| *state != AlertState::Retracted);
        states
    }
}

impl AlertSink for Alerts {
    fn deliver<'s>(
        &'s self,
        news: &'s [AlertNews],
    ) -> Pin<Box<dyn Future<Output = Result<(), SinkError>> + Send + 's>> {
        Box::pin(async move {
            let left = self.until_refused.load(Ordering::Relaxed);
            if left == 0 {
                return Err(SinkError("refused by the test".to_owned()));
            }
            if left != u64::MAX {
                self.until_refused.store(left - 1, Ordering::Relaxed);
            }
            for news in news {
                self.states.lock().insert(news.alert.id, news.state);
            }
            self.log.lock().extend(news.iter().cloned());
            Ok(())
        })
    }
}

/// Keeps the facts of the blocks that are part of the chain, and demands that events come in order.
pub(crate) struct Blocks<F>(pub(crate) Mutex<Vec<(Header, Arc<F>)>>);

impl<F> Default for Blocks<F> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<F: Send + Sync> BlockSink<F> for Blocks<F> {
    fn on(&self, event: &ChainEvent<'_, F>) {
        let mut blocks = self.0.lock();
        match event {
            ChainEvent::Connected { header, facts } => {
                if let Some((tip, _)) = blocks.last() {
                    assert_eq!(tip.id.hash, header.parent);
                }
                blocks.push((*header, Arc::clone(facts)));
            }
            ChainEvent::Disconnected { header } => {
                // After a restart, blocks of before it are none of ours.
                if let Some((tip, _)) = blocks.pop() {
                    assert_eq!(tip, *header);
                }
            }
            ChainEvent::Restarted { .. } => blocks.clear(),
            ChainEvent::Finalized { .. } => {}
        }
    }
}

/// What a block of the node in memory holds: transfers between numbered addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FakeFacts(pub(crate) Vec<(u8, u8, u64)>);

/// The numbered address; those from 200 on are on a list.
pub(crate) fn numbered(number: u8) -> Address {
    let mut payload = [number; 20];
    if number >= 200 {
        payload[0] = 0xba;
        payload[1] = 0xd0;
    }
    evm(payload)
}

impl Facts for FakeFacts {
    fn examine(&self, rules: &Rules, found: &mut dyn FnMut(Finding)) {
        for ((from, to, value), position) in self.0.iter().zip(0..) {
            let movement = Movement {
                transaction: [u8::try_from(position & 0xff).unwrap(); 32],
                position,
                from: Some(numbered(*from)),
                to: Some(numbered(*to)),
                asset: None,
                value: U256::from(*value),
            };
            rules.movement(&movement, found);
        }
    }
}

/// What the node in memory does to its next answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Answers as it should.
    None,
    /// Does not answer.
    Unreachable,
    /// Has forgotten the block.
    Gone,
    /// Gives the header of another block.
    OtherHeader,
    /// Gives a header whose parent is another one.
    OtherParent,
}

#[derive(Debug)]
pub(crate) struct Node {
    /// The branch it has chosen, from height 0.
    pub(crate) chain: Vec<(Header, FakeFacts)>,
    /// Blocks of other branches.
    pub(crate) orphans: BTreeMap<BlockHash, (Header, FakeFacts)>,
    pub(crate) genesis: BlockHash,
    pub(crate) fault: Fault,
    /// Answers before the fault shows; it shows once.
    pub(crate) until_fault: u64,
    pub(crate) asked: u64,
    branch: u64,
}

/// A node whose chain the test writes.
#[derive(Debug, Clone)]
pub(crate) struct FakeNode(pub(crate) Arc<Mutex<Node>>);

impl FakeNode {
    pub(crate) fn new() -> Self {
        let node = Node {
            chain: Vec::new(),
            orphans: BTreeMap::new(),
            genesis: BlockHash([1; 32]),
            fault: Fault::None,
            until_fault: 0,
            asked: 0,
            branch: 0,
        };
        Self(Arc::new(Mutex::new(node)))
    }

    /// Appends a block.
    pub(crate) fn mine(&self, transfers: Vec<(u8, u8, u64)>) {
        let mut node = self.0.lock();
        let height = u64::try_from(node.chain.len()).unwrap();
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&height.to_be_bytes());
        hash[8..16].copy_from_slice(&node.branch.to_be_bytes());
        let parent = node.chain.last().map_or(BlockHash::default(), |(header, _)| header.id.hash);
        let header = Header { id: BlockId { height, hash: BlockHash(hash) }, parent, time_s: 12 * height };
        node.chain.push((header, FakeFacts(transfers)));
    }

    /// Gives the newest blocks up.
    pub(crate) fn abandon(&self, depth: usize) {
        let mut node = self.0.lock();
        node.branch += 1;
        let keep = node.chain.len().saturating_sub(depth).max(1);
        for (header, facts) in node.chain.split_off(keep) {
            node.orphans.insert(header.id.hash, (header, facts));
        }
    }

    pub(crate) fn fault(&self, fault: Fault, until_fault: u64) {
        let mut node = self.0.lock();
        (node.fault, node.until_fault) = (fault, until_fault);
    }

    /// Counts a question; the fault to show, if it is its turn.
    fn asked(&self) -> Fault {
        let mut node = self.0.lock();
        node.asked += 1;
        if node.fault == Fault::None {
            return Fault::None;
        }
        if node.until_fault > 0 {
            node.until_fault -= 1;
            return Fault::None;
        }
        std::mem::replace(&mut node.fault, Fault::None)
    }

    fn answer(&self, header: Option<Header>) -> Result<Option<Header>, SourceError> {
        match self.asked() {
            Fault::None => Ok(header),
            Fault::Unreachable => Err(unreachable()),
            Fault::Gone => Ok(None),
            Fault::OtherHeader => {
                let node = self.0.lock();
                Ok(node.chain.first().map(|(first, _)| *first).filter(|first| Some(*first) != header))
            }
            Fault::OtherParent => Ok(header.map(|header| Header { parent: BlockHash([0x77; 32]), ..header })),
        }
    }
}

fn unreachable() -> SourceError {
    SourceError::Unreachable { method: "test", detail: "by the test's will".to_owned() }
}

impl Source for FakeNode {
    type Facts = FakeFacts;

    async fn identify(&self) -> Result<BlockHash, SourceError> {
        match self.asked() {
            Fault::Unreachable => Err(unreachable()),
            _ => Ok(self.0.lock().genesis),
        }
    }

    async fn head(&self) -> Result<Header, SourceError> {
        let head = self.0.lock().chain.last().map(|(header, _)| *header);
        self.answer(head)?.ok_or(SourceError::Gone(BlockHash::default()))
    }

    async fn header_at(&self, height: u64) -> Result<Option<Header>, SourceError> {
        let header = self.0.lock().chain.get(usize::try_from(height).unwrap()).map(|(header, _)| *header);
        self.answer(header)
    }

    async fn header(&self, id: BlockId) -> Result<Option<Header>, SourceError> {
        let found = {
            let node = self.0.lock();
            let orphan = node.orphans.get(&id.hash).map(|(header, _)| *header);
            orphan.or_else(|| node.chain.iter().map(|(header, _)| *header).find(|header| header.id == id))
        };
        self.answer(found)
    }

    async fn facts(&self, header: &Header) -> Result<Option<FakeFacts>, SourceError> {
        let found = {
            let node = self.0.lock();
            let orphan = node.orphans.get(&header.id.hash).map(|(_, facts)| facts.clone());
            orphan.or_else(|| {
                node.chain.iter().find(|(other, _)| other.id == header.id).map(|(_, facts)| facts.clone())
            })
        };
        match self.asked() {
            Fault::Unreachable => Err(unreachable()),
            Fault::Gone => Ok(None),
            _ => Ok(found),
        }
    }
}

/// Passes bytes on, and cuts every connection when told.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    cut: signal::Sender<u64>,
}

impl Proxy {
    pub(crate) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, cuts) = signal::channel(0);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut node) = TcpStream::connect(to).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut node) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { address, cut }
    }

    pub(crate) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}
