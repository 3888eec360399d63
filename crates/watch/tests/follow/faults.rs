//! A node in memory that reorganises, contradicts itself and disappears, and a process that stops at every step.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::ManualClock;
use watch::follow::{
    AlertState, FileStore, FollowError, Follower, MemoryStore, Parts, SourceError, StateStore, StatusCell,
    StoreError,
};

use crate::support::{Alerts, Blocks, FakeFacts, FakeNode, Fault, Seeded, numbered, rules, settings};

/// A store that fails once after so many saves: as far as the follower can tell, the process stopped there.
#[derive(Debug)]
struct Failing {
    inner: MemoryStore,
    until_failure: AtomicU64,
    saves: AtomicU64,
}

impl Failing {
    fn after(saves: u64) -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryStore::default(),
            until_failure: AtomicU64::new(saves),
            saves: AtomicU64::new(0),
        })
    }
}

impl StateStore for Failing {
    fn load(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.load()
    }

    fn save(&self, bytes: &[u8]) -> Result<(), StoreError> {
        self.saves.fetch_add(1, Ordering::Relaxed);
        if self.until_failure.fetch_sub(1, Ordering::Relaxed) == 0 {
            let source = std::io::Error::other("the power went");
            return Err(StoreError::Io { path: PathBuf::from("memory"), source });
        }
        self.inner.save(bytes)
    }

    fn append(&self, behind: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.saves.fetch_add(1, Ordering::Relaxed);
        if self.until_failure.fetch_sub(1, Ordering::Relaxed) == 0 {
            // A part of it is there.
            let part = bytes.get(..bytes.len() / 2).unwrap_or_default();
            self.inner.append(behind, part)?;
            let source = std::io::Error::other("the power went");
            return Err(StoreError::Io { path: PathBuf::from("memory"), source });
        }
        self.inner.append(behind, bytes)
    }

    fn place(&self) -> PathBuf {
        self.inner.place()
    }
}

struct Setup {
    node: FakeNode,
    store: Arc<dyn StateStore>,
    alerts: Arc<Alerts>,
    blocks: Arc<Blocks<FakeFacts>>,
    start: Option<u64>,
}

impl Setup {
    fn new(node: &FakeNode, store: Arc<dyn StateStore>) -> Self {
        Self { node: node.clone(), store, alerts: Alerts::new(), blocks: Arc::default(), start: Some(0) }
    }

    fn open(&self) -> Follower<FakeNode> {
        // What was kept in memory only is gone with the process.
        self.blocks.0.lock().clear();
        let parts = Parts {
            source: self.node.clone(),
            store: Arc::clone(&self.store),
            alerts: Arc::clone(&self.alerts) as _,
            blocks: vec![Arc::clone(&self.blocks) as _],
            rules: rules(&[numbered(1), numbered(2)]),
            clock: Arc::new(ManualClock::default()),
            status: StatusCell::new("test"),
        };
        Follower::open(parts, settings(6, self.start)).unwrap()
    }
}

fn transfers(random: &mut Seeded) -> Vec<(u8, u8, u64)> {
    let someone = |random: &mut Seeded| match random.below(6) {
        0 => 1,
        1 => 2,
        2 => 200,
        n => u8::try_from(n + 10).unwrap(),
    };
    (0..random.below(4)).map(|_| (someone(random), someone(random), random.below(100))).collect()
}

fn mined(blocks: u64, seed: u64) -> FakeNode {
    let node = FakeNode::new();
    let mut random = Seeded(seed);
    for _ in 0..blocks {
        node.mine(transfers(&mut random));
    }
    node
}

async fn fresh(node: &FakeNode) -> Setup {
    let setup = Setup::new(node, Arc::new(MemoryStore::default()));
    setup.open().pass(None).await.unwrap();
    setup
}

fn assert_same(one: &Setup, other: &Setup) {
    assert_eq!(one.alerts.in_force(), other.alerts.in_force());
    let headers = |setup: &Setup| setup.blocks.0.lock().iter().map(|(header, _)| *header).collect::<Vec<_>>();
    let (mut one, other) = (headers(one), headers(other));
    // One that began again knows the blocks from its checkpoint on.
    let begin = other.len() - one.len();
    assert_eq!(one, other[begin..]);
    assert!(!one.is_empty());
    one.clear();
}

#[tokio::test]
async fn reorganisations_end_in_the_state_of_a_fresh_sync() {
    for seed in 0..20 {
        let node = mined(40, seed);
        let mut random = Seeded(seed ^ 0xabcd);
        let setup = Setup::new(&node, Arc::new(MemoryStore::default()));
        let mut follower = setup.open();
        for _ in 0..30 {
            let depth = random.below(33);
            if random.below(2) == 0 {
                node.abandon(usize::try_from(depth).unwrap());
            }
            for _ in 0..=random.below(depth + 90) {
                node.mine(transfers(&mut random));
            }
            match follower.pass(None).await {
                // The branch may be shorter than the one before.
                Ok(()) | Err(FollowError::NodeBehind { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        node.mine(vec![]);
        follower.pass(None).await.unwrap();
        assert_same(&setup, &fresh(&node).await);
        assert!(follower.state().totals().reorgs > 3);
        assert_eq!(follower.status().read().lag_blocks(), Some(0));
    }
}

/// The process stops before, within and after every save and every delivery, while the chain goes on changing.
#[tokio::test]
async fn a_crash_anywhere_loses_no_alert_and_retracts_what_did_not_happen() {
    let run = async |saves: u64, deliveries: u64| {
        let node = mined(10, 5);
        let mut random = Seeded(7);
        let store = Failing::after(saves);
        let setup = Setup::new(&node, Arc::clone(&store) as _);
        setup.alerts.until_refused.store(deliveries, Ordering::Relaxed);
        let mut follower = setup.open();
        let mut crashes = 0;
        for step in 0..24 {
            if step % 3 == 2 {
                node.abandon(usize::try_from(random.below(8)).unwrap());
            }
            for _ in 0..random.below(12) + 8 {
                node.mine(transfers(&mut random));
            }
            if let Err(error) = follower.pass(None).await {
                assert!(matches!(error, FollowError::Store(_) | FollowError::Sink(_)), "{error}");
                crashes += 1;
                setup.alerts.until_refused.store(u64::MAX, Ordering::Relaxed);
                follower = setup.open();
            }
        }
        follower.pass(None).await.unwrap();
        let fresh = fresh(&node).await;
        assert_eq!(
            setup.alerts.in_force(),
            fresh.alerts.in_force(),
            "after save {saves}, delivery {deliveries}"
        );
        for (id, state) in setup.alerts.states.lock().iter() {
            let in_force = fresh.alerts.in_force().get(id).copied();
            assert_eq!(in_force.unwrap_or(AlertState::Retracted), *state);
        }
        (crashes, store.saves.load(Ordering::Relaxed))
    };
    let (crashes, saves) = run(u64::MAX, u64::MAX).await;
    assert_eq!(crashes, 0);
    assert!(saves >= 24, "{saves}");
    let (mut store_crashes, mut sink_crashes) = (0, 0);
    for stop in 0..saves {
        store_crashes += run(stop, u64::MAX).await.0;
        sink_crashes += run(u64::MAX, stop).await.0;
    }
    assert_eq!(store_crashes, saves, "every save was a crash once");
    assert!(sink_crashes >= 20, "{sink_crashes}");
}

#[tokio::test]
async fn a_node_that_contradicts_itself_is_refused_by_name_and_asked_again() {
    let node = mined(30, 1);
    for (fault, expected) in [
        (Fault::Unreachable, "unreachable"),
        (Fault::Gone, "gone"),
        (Fault::OtherHeader, "malformed"),
        (Fault::OtherParent, "parent_missing"),
    ] {
        let setup = Setup::new(&node, Arc::new(MemoryStore::default()));
        let mut follower = setup.open();
        follower.pass(None).await.unwrap();
        node.abandon(5);
        (0..9).for_each(|n| node.mine(vec![(1, 200, n)]));
        let mut named = Vec::new();
        for after in 0..40 {
            node.fault(fault, after);
            if let Err(error) = follower.pass(None).await {
                named.push(error.as_str());
            }
        }
        node.fault(Fault::None, 0);
        drop(follower.pass(None).await);
        assert!(named.contains(&expected), "{fault:?}: {named:?}");
        assert_same(&setup, &fresh(&node).await);
    }
}

#[tokio::test]
async fn a_node_of_another_chain_is_not_followed() {
    let node = mined(30, 1);
    let setup = Setup::new(&node, Arc::new(MemoryStore::default()));
    let mut follower = setup.open();
    follower.pass(None).await.unwrap();
    let before = setup.alerts.in_force();
    // The same names, another first block: seen at the next connection, which is after the next error.
    let real = node.0.lock().genesis;
    node.0.lock().genesis = chain::headers::BlockHash([2; 32]);
    node.abandon(25);
    (0..60).for_each(|_| node.mine(vec![(1, 200, 9)]));
    node.fault(Fault::Unreachable, 0);
    assert_eq!(follower.pass(None).await.unwrap_err().as_str(), "unreachable");
    let error = follower.pass(None).await.unwrap_err();
    assert!(
        matches!(error, FollowError::Source(SourceError::WrongChain { what: "genesis block", .. })),
        "{error}"
    );
    assert_eq!(setup.alerts.in_force(), before);
    // Also a process that starts anew knows which chain it followed.
    assert_eq!(setup.open().pass(None).await.unwrap_err().as_str(), "wrong_chain");
    node.0.lock().genesis = real;
    follower.pass(None).await.unwrap();
    assert_ne!(setup.alerts.in_force(), before);
}

#[tokio::test]
async fn a_branch_older_than_all_headers_is_named_and_followed_from_below() {
    let node = mined(700, 3);
    let setup = Setup::new(&node, Arc::new(MemoryStore::default()));
    let mut follower = setup.open();
    follower.pass(None).await.unwrap();
    node.abandon(400);
    let mut random = Seeded(9);
    (0..420).for_each(|_| node.mine(transfers(&mut random)));
    let error = follower.pass(None).await.unwrap_err();
    assert!(matches!(error, FollowError::DeeperThanRing { oldest: 444, restart: 188 }), "{error}");
    let told = setup.alerts.log.lock().len();
    follower.pass(None).await.unwrap();
    assert_eq!(follower.state().totals().restarts, 1);
    assert!(setup.alerts.log.lock().len() > told);
    // What had left the ring before is as it was told, and everything from the restart on as in a fresh sync.
    let fresh = fresh(&node).await;
    let late = |setup: &Setup| {
        let last: std::collections::BTreeMap<_, _> =
            setup.alerts.log.lock().iter().map(|news| (news.alert.id, news.clone())).collect();
        let states = setup.alerts.in_force();
        last.into_iter()
            .filter(|(id, news)| news.alert.block.height >= 300 && states.contains_key(id))
            .collect::<Vec<_>>()
    };
    assert!(late(&fresh).len() > 100);
    let headers: Vec<_> = setup.blocks.0.lock().iter().map(|(header, _)| *header).collect();
    let fresh_headers: Vec<_> = fresh.blocks.0.lock().iter().map(|(header, _)| *header).collect();
    assert_eq!(headers, fresh_headers[188..]);
    let kept: Vec<_> = follower.state().kept().map(|(alert, _)| alert.id).collect();
    assert!(kept.iter().all(|id| fresh.alerts.in_force().contains_key(id)));
}

#[tokio::test]
async fn a_node_that_lost_its_newest_blocks_is_no_reorganisation() {
    let node = mined(30, 1);
    let setup = Setup::new(&node, Arc::new(MemoryStore::default()));
    let mut follower = setup.open();
    follower.pass(None).await.unwrap();
    let before = setup.alerts.in_force();
    node.abandon(4);
    let error = follower.pass(None).await.unwrap_err();
    assert!(matches!(error, FollowError::NodeBehind { got: 25, tip: 29 }), "{error}");
    assert_eq!(setup.alerts.in_force(), before);
    (0..5).for_each(|_| node.mine(vec![]));
    follower.pass(None).await.unwrap();
    assert_same(&setup, &fresh(&node).await);
}

#[tokio::test]
async fn a_damaged_state_is_not_started_from() {
    let node = mined(30, 1);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("watch");
    let setup = Setup::new(&node, Arc::new(FileStore::new(&dir, "test")));
    setup.open().pass(None).await.unwrap();
    assert_eq!(watch::follow::store::verify_states(&dir).unwrap(), []);
    let again = setup.open();
    assert_eq!(again.status().read().tip.unwrap().height, 29);
    let file = dir.join("test.state");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    std::fs::write(dir.join("stranger"), b"").unwrap();
    let faults = watch::follow::store::verify_states(&dir).unwrap();
    assert_eq!(faults.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["stranger", "test.state"]);
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| setup.open()));
    assert!(refused.is_err());
}
