//! The flows of one chain: taken in, kept, asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    path::PathBuf,
    sync::Arc,
};

use chain::{
    bitcoin, evm,
    exposure::{Direction, Query, Turnover},
    label::Category,
    poisoning::{self, Context},
};
use domain::{Address, ChainFamily, UnixNanos};
use parking_lot::{Mutex, RwLock};

use super::{
    block::{BlockFlows, Movement, Party},
    frame::{self, COIN, Entry, Numbered},
    holders::{FIRST, Holders, NOBODY, NOWHERE},
    log::{Log, LogError, Replay},
    state::{Coverage, DoesNotFit, Gathered, State, UNDO_BLOCKS, WARM_UP},
    suspects::{Changed, SuspectNews},
};
use crate::{
    Watch,
    customers::Sightings,
    discovery::{Detector, Judge},
    follow::{BlockSink, ChainEvent, SinkError},
};

/// Transfers of a holder among which counterparties are told apart; a holder with more has at least so many.
const COUNTED_MAX: usize = 4_096;
/// Most holders of [`Flows::around`].
pub const AROUND_MAX: usize = 200_000;
/// Holders whose labels are looked up while others wait.
const RELABEL_AT_ONCE: usize = 1 << 16;
/// Pending bytes from which on a follower is asked to make them durable.
const PENDING_BYTES: usize = 64 << 20;
/// Bytes of one frame of a log that is written anew.
const FRAME_BYTES: usize = 16 << 20;

/// Of which chain, where, and how much is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Directory of the logs.
    pub dir: PathBuf,
    /// The operator's name of the chain.
    pub chain: String,
    /// Whose addresses it has.
    pub family: ChainFamily,
    /// Contracts of tokens that are what they say; transfers of no others count.
    pub tokens: Vec<Address>,
    /// Most transfers kept.
    pub transfers_max: usize,
}

/// What an address received or paid of one asset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Activity {
    /// The token's contract; `None` for the coin.
    pub asset: Option<Address>,
    /// What it received.
    pub received: Turnover,
    /// What it paid.
    pub paid: Turnover,
    /// Different holders it dealt with; at least so many if it has more than 4,096 transfers.
    pub counterparties: usize,
}

/// A step of a path from a screened address to a labelled one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvidenceStep {
    /// Height of the block.
    pub height: u32,
    /// The transaction; `None` if it cannot be read back, or a recording did not name it.
    pub transaction: Option<[u8; 32]>,
    /// Amount of the transfer in the smallest unit, likewise.
    pub value: Option<u128>,
    /// Where the step leads, away from the screened address; `None` for what a transaction gathers.
    pub address: Option<Address>,
}

/// What a category has of the money.
#[derive(Debug, Clone, PartialEq)]
pub struct ExposedShare {
    /// Which.
    pub category: Category,
    /// Share over one transfer.
    pub direct: f64,
    /// Share over several.
    pub indirect: f64,
    /// Both times all that was received or paid, in the smallest unit.
    pub amount: f64,
    /// Fewest transfers to it.
    pub hops: u8,
    /// The way that carries most, from the screened address to the labelled one. Only for categories that speak against an
    /// address.
    pub path: Vec<EvidenceStep>,
    /// The labelled address at its end.
    pub holder: Option<Address>,
    /// The member of its cluster that is labelled, if it is not labelled itself.
    pub by_cluster: Option<Address>,
}

/// Where the money of an address came from or went to, of one asset.
#[derive(Debug, Clone, PartialEq)]
pub struct AssetExposure {
    /// The token's contract; `None` for the coin.
    pub asset: Option<Address>,
    /// Which way.
    pub direction: Direction,
    /// All that was received or paid, in the smallest unit.
    pub amount: f64,
    /// Heaviest first.
    pub shares: Vec<ExposedShare>,
    /// Share of holders about whom nothing is known and behind whom nothing is.
    pub unknown: f64,
    /// Share that was still unlabelled after the last hop.
    pub beyond: f64,
    /// Share that was not looked behind.
    pub unresolved: f64,
}

/// Whose cluster an address is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterOf {
    /// Its member that was met first, which names it.
    pub name: Address,
    /// How many members were met.
    pub members: u32,
    /// The gravest labelled member and its category.
    pub labelled: Option<(Address, Category)>,
}

/// What was seen of an address on one chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// When for the first time.
    pub first_seen: UnixNanos,
    /// Since when there is something to be seen; what happened before is not known.
    pub since: UnixNanos,
    /// Worthless transfers it sent.
    pub bait: poisoning::Bait,
    /// Its cluster, where it is not alone.
    pub cluster: Option<ClusterOf>,
    /// By asset.
    pub activity: Vec<Activity>,
    /// By asset and direction, where there is any.
    pub exposures: Vec<AssetExposure>,
}

/// How much is known of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowsStatus {
    /// The operator's name of the chain.
    pub chain: Arc<str>,
    /// Height and time of the newest block.
    pub tip: Option<(u64, UnixNanos)>,
    /// Stretches of blocks, oldest first.
    pub coverage: Vec<Coverage>,
    /// Transfers.
    pub transfers: usize,
    /// Addresses.
    pub holders: usize,
    /// Bytes of the log.
    pub log_bytes: u64,
}

/// What is written.
#[derive(Debug)]
struct Writer {
    log: Log,
    /// What is in memory no longer follows from the log; it is read again at the next flush.
    rebuild: bool,
    /// Suspects whose news wait until they are durable.
    suspects: Changed,
}

/// The flows of one chain.
pub struct Flows {
    chain: Arc<str>,
    config: Config,
    watch: Arc<Watch>,
    /// Taken before `state` where both are.
    writer: Mutex<Writer>,
    pub(super) state: RwLock<State>,
    /// What judges fresh addresses.
    detector: Option<Arc<Detector>>,
    /// Whose suspicion changed and is durable.
    pub(super) suspects: SuspectNews,
}

impl fmt::Debug for Flows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flows").field("chain", &self.chain).finish_non_exhaustive()
    }
}

fn label_of(watch: &Watch) -> impl Fn(&Address) -> u8 + '_ {
    |address| watch.listing(address).map_or(0, |listing| listing.category.tag())
}

impl Flows {
    /// Opens the log of a chain and builds what follows from it.
    ///
    /// # Errors
    /// [`LogError`]: a damaged log is not guessed at.
    pub fn open(config: Config, watch: Arc<Watch>) -> Result<Self, LogError> {
        Self::open_judging(config, watch, None)
    }

    /// [`Flows::open`], with a model that judges fresh addresses, from the beginning of the log on.
    ///
    /// # Errors
    /// [`LogError`], likewise.
    pub fn open_judging(
        mut config: Config,
        watch: Arc<Watch>,
        detector: Option<Arc<Detector>>,
    ) -> Result<Self, LogError> {
        config.tokens.sort_unstable();
        let mut log = Log::open(&config.dir, &config.chain, |_, _| ())?;
        let mut state = build(&log, &log.replay(), &watch, detector.as_ref())?;
        bring_marks(&mut log, &mut state, &watch);
        let chain = config.chain.as_str().into();
        Ok(Self {
            chain,
            config,
            watch,
            writer: Mutex::new(Writer { log, rebuild: false, suspects: Changed::All }),
            state: RwLock::new(state),
            detector,
            suspects: SuspectNews::default(),
        })
    }

    /// The operator's name of the chain.
    #[must_use]
    pub const fn chain(&self) -> &Arc<str> {
        &self.chain
    }

    /// Whose addresses it has.
    #[must_use]
    pub const fn family(&self) -> ChainFamily {
        self.config.family
    }

    /// Tokens that count, sorted.
    #[must_use]
    pub fn tokens(&self) -> &[Address] {
        &self.config.tokens
    }

    /// Takes in a block. A block that is known is not taken in again; one of its height or above is taken back first.
    pub fn take(&self, block: &BlockFlows) {
        let mut writer = self.writer.lock();
        let mut state = self.state.write();
        if block.followed && !writer.rebuild && state.hash_at(block.height) == Some(block.hash) {
            return;
        }
        if state.tip().is_some_and(|(tip, ..)| tip >= block.height) || writer.rebuild {
            undo(&mut writer, &mut state, block.height);
        }
        let numbered = frame::number(block, &mut state.holders);
        let Ok(mut numbered) = numbered else {
            writer.rebuild = true;
            return;
        };
        let marks = state.marks_of(&numbered.holders, &label_of(&self.watch));
        if !marks.is_empty() {
            frame::encode_marks(&mut writer.log.pending, &marks);
            state.mark(&marks);
        }
        let at = writer.log.next_offset();
        frame::encode_block(&mut writer.log.pending, &mut numbered);
        for moved in numbered.movements.iter().filter(|moved| moved.moves()) {
            state.unflushed.insert(at + moved.offset as u64, (moved.value, moved.transaction));
        }
        if !writer.rebuild && state.apply(&numbered, at, &label_of(&self.watch)).is_err() {
            writer.rebuild = true;
        }
    }

    /// Takes back all blocks from a height on.
    pub fn take_back(&self, from: u64) {
        let mut writer = self.writer.lock();
        let mut state = self.state.write();
        if writer.rebuild || state.tip().is_some_and(|(tip, ..)| tip >= from) {
            undo(&mut writer, &mut state, from);
        }
    }

    /// Makes everything taken in durable, and whatever became necessary meanwhile: reads the log again after a deep
    /// reorganisation, forgets the oldest blocks when there are too many, merges graphs. Blocks.
    ///
    /// # Errors
    /// [`LogError`]; it may be tried again.
    pub fn flush(&self) -> Result<(), LogError> {
        let mut writer = self.writer.lock();
        let writer = &mut *writer;
        writer.log.flush()?;
        if writer.rebuild {
            let mut state = build(&writer.log, &writer.log.replay(), &self.watch, self.detector.as_ref())?;
            bring_marks(&mut writer.log, &mut state, &self.watch);
            *self.state.write() = state;
            writer.rebuild = false;
            writer.suspects = Changed::All;
        } else {
            let mut state = self.state.write();
            state.unflushed.clear();
            state.reading = Some((writer.log.reading(), writer.log.durable_bytes()));
        }
        let (transfers, holders) = {
            let state = self.state.read();
            (state.transfers(), state.holders.len())
        };
        if transfers > self.config.transfers_max || holders > self.config.transfers_max.saturating_mul(2) {
            self.forget_oldest(writer)?;
        }
        // Nobody takes in anything meanwhile: this is the writer. Whoever asks goes on with the graphs as they are.
        if self.state.read().wants_merge() {
            let merged = self.state.read().merged();
            self.state.write().put_merged(merged);
        }
        if let Some(judge) = &mut self.state.write().judge {
            writer.suspects.add(judge.take_changed());
        }
        self.suspects.tell(std::mem::take(&mut writer.suspects));
        Ok(())
    }

    /// Whether so much waits to be durable that it should be soon.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.writer.lock().log.pending.len() >= PENDING_BYTES
    }

    /// Writes the log anew without the oldest blocks, down to three quarters of what is kept at most.
    fn forget_oldest(&self, writer: &mut Writer) -> Result<(), LogError> {
        let replay = writer.log.replay();
        let mut sizes: Vec<(u64, usize, usize)> = Vec::new();
        replay.run(|entry, _| match entry {
            Entry::Undo(from) => while sizes.pop_if(|(height, ..)| *height >= from).is_some() {},
            Entry::Block(block) => {
                let moving = block.movements.iter().filter(|moved| moved.moves()).count();
                sizes.push((block.height, moving, block.holders.len()));
            }
            Entry::Marks(_) => {}
        })?;
        let room = self.config.transfers_max / 4 * 3;
        let (mut transfers, mut holders, mut keep_from) = (0, 0, u64::MAX);
        for (height, moving, new) in sizes.iter().rev() {
            (transfers, holders) = (transfers + moving, holders + new);
            // What can be taken back stays, whatever its size.
            let is_open = self.state.read().undoable_from().is_some_and(|open| *height >= open);
            if !is_open && (transfers > room || holders > room.saturating_mul(2)) {
                break;
            }
            keep_from = *height;
        }
        if sizes.first().is_none_or(|(oldest, ..)| keep_from <= *oldest) {
            return Ok(());
        }
        tracing::info!(chain = %self.chain, keep_from, "forgetting the oldest blocks");
        let survivors: BTreeSet<u64> =
            sizes.iter().map(|(height, ..)| *height).filter(|height| *height >= keep_from).collect();
        self.rewrite(&mut writer.log, &replay, &survivors)?;
        writer.suspects = Changed::All;
        Ok(())
    }

    /// Writes the log anew with those blocks whose heights survive.
    fn rewrite(&self, log: &mut Log, replay: &Replay, survivors: &BTreeSet<u64>) -> Result<(), LogError> {
        // The last entry of a height is the one that stands.
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        replay.run(|entry, at| {
            if let Entry::Block(block) = entry {
                last.insert(block.height, at);
            }
        })?;
        let mut old = Holders::default();
        log.replace(|write| {
            let (mut holders, mut body) = (Holders::default(), Vec::new());
            let mut put = |body: &mut Vec<u8>, block: &BlockFlows, last: bool| -> io::Result<()> {
                let mut numbered = frame::number(block, &mut holders)
                    .map_err(|_| io::Error::other("more addresses than can be numbered"))?;
                frame::encode_block(body, &mut numbered);
                if last || body.len() >= FRAME_BYTES {
                    write(body)?;
                    body.clear();
                }
                Ok(())
            };
            let mut failed = None;
            let newest = survivors.last().copied();
            // What was known before the first block that survives, at once.
            let mut known: Option<BTreeSet<Address>> = Some(BTreeSet::new());
            let read = replay.run(|entry, at| {
                let block = match (entry, &mut known) {
                    (Entry::Block(block), _) => block,
                    (Entry::Marks(marks), None) => return frame::encode_marks(&mut body, &marks),
                    (Entry::Marks(marks), Some(known)) => {
                        for (address, is_known) in marks {
                            if is_known {
                                known.insert(address)
                            } else {
                                known.remove(&address)
                            };
                        }
                        return;
                    }
                    (Entry::Undo(_), _) => return,
                };
                for holder in block.holders.iter().copied() {
                    if old.add(holder).is_none() {
                        failed = Some(io::Error::other("more addresses than can be numbered"));
                    }
                }
                let stands = survivors.contains(&block.height) && last.get(&block.height) == Some(&at);
                if stands && failed.is_none() {
                    if let Some(known) = known.take().filter(|known| !known.is_empty()) {
                        let marks: Vec<_> = known.into_iter().map(|address| (address, true)).collect();
                        frame::encode_marks(&mut body, &marks);
                    }
                    let is_newest = newest == Some(block.height);
                    failed = put(&mut body, &addressed(&block, &old), is_newest).err();
                }
            });
            read.map_err(io::Error::other)?;
            failed.map_or(Ok(()), Err)?;
            if body.is_empty() { Ok(()) } else { write(&body) }
        })?;
        let mut state = build(log, &log.replay(), &self.watch, self.detector.as_ref())?;
        bring_marks(log, &mut state, &self.watch);
        *self.state.write() = state;
        Ok(())
    }

    /// Looks all labels up again, after lists have changed; the addresses whose category is another one now, before and after.
    /// Whoever asks meanwhile sees some labels of before.
    #[must_use]
    pub fn relabel(&self) -> Vec<(Address, Option<Category>, Option<Category>)> {
        // Nothing may be rebuilt meanwhile, so that numbers stay what they are; holders may be added.
        let mut writer = self.writer.lock();
        let mut changed = Vec::new();
        let mut from = 0;
        loop {
            let holders: Vec<Option<Address>> =
                self.state.read().holders.from(from).iter().take(RELABEL_AT_ONCE).copied().collect();
            if holders.is_empty() {
                break;
            }
            let (mut tags, mut places) = (vec![0; holders.len()], Vec::new());
            let mut addresses = Vec::with_capacity(holders.len());
            for (place, address) in holders.iter().enumerate() {
                if let Some(address) = address {
                    places.push(place);
                    addresses.push(*address);
                }
            }
            self.watch.for_each_listed(&addresses, |at, listing| {
                if let Some(tag) = places.get(at).and_then(|place| tags.get_mut(*place)) {
                    *tag = listing.category.tag();
                }
            });
            let mut state = self.state.write();
            for (number, (address, tag)) in (from..).zip(holders.iter().zip(&tags)) {
                let before = state.label(u32::try_from(number).unwrap_or(u32::MAX));
                let after = Category::from_tag(*tag);
                if let Some(address) = address.filter(|_| before != after) {
                    changed.push((address, before, after));
                }
            }
            state.relabel(from, &tags);
            drop(state);
            from += holders.len();
        }
        if !changed.is_empty() {
            let mut state = self.state.write();
            state.root_labels();
            bring_marks(&mut writer.log, &mut state, &self.watch);
        }
        changed
    }

    /// What was seen of an address; `None` for one that never was. Exposure is followed over `hops` transfers; none: not at
    /// all.
    #[must_use]
    pub fn seen(&self, address: &Address, hops: u8, epsilon: f64) -> Option<Seen> {
        let state = self.state.read();
        let holder = state.holders.find(address).filter(|holder| state.is_known(*holder))?;
        let mut seen = Seen {
            first_seen: state.first_seen(holder)?,
            since: state.coverage.first().map_or(UnixNanos(0), |first| first.since),
            bait: state.bait(holder),
            cluster: None,
            activity: Vec::new(),
            exposures: Vec::new(),
        };
        let (root, members, labelled) = state.cluster(holder);
        if members > 1
            && let Some(name) = state.holders.address(root)
        {
            let labelled =
                labelled.and_then(|member| Some((state.holders.address(member)?, state.label(member)?)));
            seen.cluster = Some(ClusterOf { name, members, labelled });
        }
        for (asset, flows) in &state.assets {
            let received = flows.transfers.turnover(holder, Direction::Source);
            let paid = flows.transfers.turnover(holder, Direction::Destination);
            if received.transfers + paid.transfers == 0 {
                continue;
            }
            let asset = if *asset == COIN { None } else { state.holders.address(*asset) };
            let counterparties =
                counterparties(&flows.transfers, holder, received.transfers + paid.transfers);
            seen.activity.push(Activity { asset, received, paid, counterparties });
            for direction in [Direction::Source, Direction::Destination] {
                let turnover = if direction == Direction::Source { received } else { paid };
                if hops == 0 || turnover.transfers == 0 {
                    continue;
                }
                let query = match direction {
                    Direction::Source => Query { hops, epsilon, ..Query::source(holder, u32::MAX) },
                    Direction::Destination => Query { hops, epsilon, ..Query::destination(holder, 0) },
                };
                let found = flows.transfers.exposure(&query, |other| state.ending(other));
                let shares = found.shares.iter().map(|share| {
                    let end = share.path.last().map(|step| step.holder);
                    let holder = end.and_then(|end| state.holders.address(end));
                    let by_cluster = end
                        .filter(|end| state.label(*end).is_none_or(|category| !category.ends_tracing()))
                        .and_then(|end| state.holders.address(state.cluster(end).2?));
                    let told = if share.category.is_malicious() { share.path.as_slice() } else { &[] };
                    let path = told.iter().map(|step| {
                        let offset = flows.offsets.get(step.transfer as usize).copied();
                        let moved = offset.and_then(|offset| state.moved(offset));
                        EvidenceStep {
                            height: step.time,
                            transaction: moved
                                .map(|(_, transaction)| transaction)
                                .filter(|hash| *hash != [0; 32]),
                            value: moved.map(|(value, _)| value),
                            address: state.holders.address(step.holder),
                        }
                    });
                    ExposedShare {
                        category: share.category,
                        direct: share.direct,
                        indirect: share.indirect,
                        amount: share.total() * found.amount,
                        hops: share.hops,
                        path: path.collect(),
                        holder,
                        by_cluster,
                    }
                });
                seen.exposures.push(AssetExposure {
                    asset,
                    direction,
                    amount: found.amount,
                    shares: shares.collect(),
                    unknown: found.unknown,
                    beyond: found.beyond,
                    unresolved: found.unresolved,
                });
            }
        }
        Some(seen)
    }

    /// Whoever dealt with one of these addresses, directly or over others, at most `hops` transfers away either way; `None` when
    /// they are more than [`AROUND_MAX`]: then it may be anybody.
    #[must_use]
    pub fn around(&self, addresses: &[Address], hops: u8) -> Option<BTreeSet<Address>> {
        let state = self.state.read();
        let start: BTreeSet<u32> =
            addresses.iter().filter_map(|address| state.holders.find(address)).collect();
        let mut around = start.clone();
        for direction in [Direction::Source, Direction::Destination] {
            // Each way by itself: money does not turn round.
            let (mut reached, mut level) = (start.clone(), start.clone());
            for _ in 0..hops {
                let mut next = BTreeSet::new();
                for holder in level {
                    for flows in state.assets.values() {
                        flows.transfers.for_each_of(holder, direction, |found| {
                            if next.len() <= AROUND_MAX && !reached.contains(&found.other) {
                                next.insert(found.other);
                            }
                        });
                    }
                    if reached.len() + next.len() > AROUND_MAX {
                        return None;
                    }
                }
                reached.extend(&next);
                level = next;
            }
            around.extend(reached);
        }
        // Whoever spends together shares a label.
        let has_clusters = around.iter().any(|holder| state.cluster(*holder).1 > 1);
        if has_clusters {
            return None;
        }
        Some(around.into_iter().filter_map(|holder| state.holders.address(holder)).collect())
    }

    /// How much is known.
    #[must_use]
    pub fn status(&self) -> FlowsStatus {
        let log_bytes = self.writer.lock().log.durable_bytes();
        let state = self.state.read();
        FlowsStatus {
            chain: Arc::clone(&self.chain),
            tip: state.tip().map(|(height, _, time_s)| (height, UnixNanos::from_secs(time_s))),
            coverage: state.coverage.clone(),
            transfers: state.transfers(),
            holders: state.holders.len() - FIRST,
            log_bytes,
        }
    }

    /// Height and time of the newest block.
    #[must_use]
    pub fn tip(&self) -> Option<(u64, UnixNanos)> {
        self.state.read().tip().map(|(height, _, time_s)| (height, UnixNanos::from_secs(time_s)))
    }

    /// The stretch of blocks without a gap that ends with the newest one.
    #[must_use]
    pub fn complete_since(&self) -> Option<Coverage> {
        self.state.read().coverage.last().copied()
    }

    /// SHA-256 of all that follows from the log: equal for equal histories. Takes time linear in it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.state.read().digest()
    }

    /// Looks at what follows from the log.
    pub(super) fn with_state<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read())
    }

    fn first_seen(&self, address: &Address) -> Option<UnixNanos> {
        let state = self.state.read();
        state.first_seen(state.holders.find(address)?)
    }

    /// When an address was first seen, unless it may have been there long before anybody watched.
    fn surely_first_seen(&self, address: &Address) -> Option<UnixNanos> {
        let state = self.state.read();
        let seen = state.first_seen(state.holders.find(address)?)?;
        let first = state.coverage.first()?;
        (first.first <= 1 || seen.since(first.since) >= WARM_UP).then_some(seen)
    }

    fn bait(&self, address: &Address) -> poisoning::Bait {
        let state = self.state.read();
        state.holders.find(address).map(|holder| state.bait(holder)).unwrap_or_default()
    }
}

fn counterparties(transfers: &chain::exposure::Transfers, holder: u32, all: usize) -> usize {
    if all > COUNTED_MAX {
        return COUNTED_MAX;
    }
    let mut others = BTreeSet::new();
    for direction in [Direction::Source, Direction::Destination] {
        transfers.for_each_of(holder, direction, |found| {
            others.insert(found.other);
        });
    }
    others.len()
}

fn undo(writer: &mut Writer, state: &mut State, from: u64) {
    frame::encode_undo(&mut writer.log.pending, from);
    if !writer.rebuild && !state.undo_from(from) {
        writer.rebuild = true;
    }
}

/// A block in addresses again.
fn addressed(block: &Numbered, holders: &Holders) -> BlockFlows {
    let party = |number: u32| match (number, holders.address(number)) {
        (NOBODY | NOWHERE, _) => Party::Nobody,
        (_, Some(address)) => Party::Address(address),
        (pool, None) => Party::Pool(pool),
    };
    BlockFlows {
        height: block.height,
        hash: block.hash,
        time_s: block.time_s,
        followed: block.followed,
        movements: block
            .movements
            .iter()
            .map(|moved| Movement {
                transaction: moved.transaction,
                asset: if moved.asset == COIN { None } else { holders.address(moved.asset) },
                from: party(moved.from),
                to: party(moved.to),
                value: moved.value,
                call: moved.call,
            })
            .collect(),
        joined: block
            .joined
            .iter()
            .map(|group| group.iter().filter_map(|member| holders.address(*member)).collect())
            .collect(),
        baits: block
            .baits
            .iter()
            .filter_map(|(holder, bait)| Some((holders.address(*holder)?, *bait)))
            .collect(),
    }
}

/// Notes in the log who is known to be malicious from here on, so that what was known when is ground and not chance.
fn bring_marks(log: &mut Log, state: &mut State, watch: &Watch) {
    let marks = state.marks_missing(&label_of(watch));
    if !marks.is_empty() {
        frame::encode_marks(&mut log.pending, &marks);
        state.mark(&marks);
    }
}

/// What follows from a log.
fn build(
    log: &Log,
    replay: &Replay,
    watch: &Watch,
    detector: Option<&Arc<Detector>>,
) -> Result<State, LogError> {
    // First which blocks stand, then those, in order.
    let mut standing: Vec<(u64, u64)> = Vec::new();
    replay.run(|entry, at| match entry {
        Entry::Undo(from) => while standing.pop_if(|(height, _)| *height >= from).is_some() {},
        Entry::Block(block) => standing.push((block.height, at)),
        Entry::Marks(_) => {}
    })?;
    let first_open = standing.len().saturating_sub(UNDO_BLOCKS);
    let label = label_of(watch);
    let mut state = State::default();
    state.judge = detector.map(|detector| Judge::new(Arc::clone(detector)));
    state.reading = Some((log.reading(), log.durable_bytes()));
    let mut gathered = Some(Gathered::default());
    let mut next = 0;
    let mut fault = None;
    replay.run(|entry, at| {
        let block = match entry {
            Entry::Block(block) => block,
            Entry::Marks(marks) => return state.mark(&marks),
            Entry::Undo(_) => return,
        };
        if fault.is_some() {
            return;
        }
        let mut step = || -> Result<(), DoesNotFit> {
            state.number_only(&block)?;
            if standing.get(next).is_none_or(|(_, standing)| *standing != at) {
                return Ok(());
            }
            next += 1;
            if next > first_open {
                if let Some(gathered) = gathered.take() {
                    state.build(gathered)?;
                }
                return state.apply(&block, at, &label);
            }
            match &mut gathered {
                Some(gathered) => state.settle_in(&block, at, gathered, &label),
                None => Err(DoesNotFit),
            }
        };
        if step().is_err() {
            fault = Some(at);
        }
    })?;
    if let Some(gathered) = gathered.take()
        && fault.is_none()
        && state.build(gathered).is_err()
    {
        fault = Some(0);
    }
    match fault {
        Some(offset) => Err(log.does_not_fit(offset)),
        None => Ok(state),
    }
}

impl Flows {
    fn on<F>(&self, event: &ChainEvent<'_, F>, block: impl FnOnce(&F) -> BlockFlows) {
        match event {
            ChainEvent::Connected { facts, .. } => self.take(&block(facts)),
            ChainEvent::Disconnected { header } => self.take_back(header.id.height),
            ChainEvent::Restarted { height } => self.take_back(*height),
            ChainEvent::Finalized { .. } => {}
        }
    }

    fn flush_sink(&self) -> Result<(), SinkError> {
        self.flush().map_err(|error| {
            let mut text = error.to_string();
            if let Some(cause) = std::error::Error::source(&error) {
                text.push_str(": ");
                text.push_str(&cause.to_string());
            }
            SinkError(text)
        })
    }
}

impl BlockSink<evm::Facts> for Flows {
    fn on(&self, event: &ChainEvent<'_, evm::Facts>) {
        Self::on(self, event, |facts| BlockFlows::of_evm(facts, &self.config.tokens));
    }

    fn flush(&self) -> Result<(), SinkError> {
        self.flush_sink()
    }

    fn is_full(&self) -> bool {
        Self::is_full(self)
    }
}

impl BlockSink<bitcoin::Facts> for Flows {
    fn on(&self, event: &ChainEvent<'_, bitcoin::Facts>) {
        Self::on(self, event, BlockFlows::of_bitcoin);
    }

    fn flush(&self) -> Result<(), SinkError> {
        self.flush_sink()
    }

    fn is_full(&self) -> bool {
        Self::is_full(self)
    }
}

/// What all followed chains have seen of addresses.
#[derive(Debug, Clone, Default)]
pub struct SeenOnChains(pub Vec<Arc<Flows>>);

impl SeenOnChains {
    fn of<'f>(&'f self, address: &Address) -> impl Iterator<Item = &'f Arc<Flows>> {
        let family = address.family();
        self.0.iter().filter(move |flows| flows.family() == family)
    }
}

impl Sightings for SeenOnChains {
    fn context(&self, look_alike: &Address, known: &Address) -> Context {
        let seen =
            |address: &Address| self.of(address).filter_map(|flows| flows.surely_first_seen(address)).min();
        let mut bait = poisoning::Bait::default();
        for found in self.of(look_alike).map(|flows| flows.bait(look_alike)) {
            bait.zero_value = bait.zero_value.saturating_add(found.zero_value);
            bait.dust = bait.dust.saturating_add(found.dust);
            bait.counterfeit = bait.counterfeit.saturating_add(found.counterfeit);
            bait.latest = bait.latest.max(found.latest);
        }
        Context { look_alike_first_seen: seen(look_alike), known_first_seen: seen(known), bait }
    }

    fn first_seen(&self, address: &Address) -> Option<UnixNanos> {
        self.of(address).filter_map(|flows| flows.first_seen(address)).min()
    }
}
