//! What follows from the log: graphs, clusters, first sightings.

use std::collections::{BTreeMap, BTreeSet, VecDeque, hash_map::Entry};

use chain::{
    cluster::Clusters,
    exposure::{Transfer, Transfers},
    label::Category,
    poisoning,
};
use domain::{Address, UnixNanos};
use foldhash::HashMap;

use super::{
    block::Bait,
    frame::{COIN, Moved, Numbered},
    holders::{FIRST, Holders},
    log::Reading,
};
use crate::discovery::{Judge, JudgedBlock, JudgedCall};

/// Blocks that can be taken back at once; deeper ones are taken back by reading the log again.
pub const UNDO_BLOCKS: usize = 128;
/// Most stretches of blocks told apart; beyond it the oldest are told as one.
const COVERAGE_MAX: usize = 64;
/// Addresses remembered for worthless transfers.
const BAITERS_MAX: usize = 1 << 22;
/// Transfers that are not merged before they are merged; and one for so many that are.
const MERGE_MIN: usize = 100_000;
const MERGE_DIVISOR: usize = 8;
/// An address that appears so soon after watching began may be much older.
pub(super) const WARM_UP: std::time::Duration = poisoning::ESTABLISHED_LEAD;

/// A stretch of blocks that was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// Height of the first.
    pub first: u64,
    /// Height of the last.
    pub last: u64,
    /// When the first was made.
    pub since: UnixNanos,
    /// Whether every block between is in it; a table may leave blocks out.
    pub complete: bool,
}

/// The transfers of one asset.
#[derive(Debug, Default)]
pub(super) struct AssetFlows {
    pub(super) transfers: Transfers,
    /// Where each stands in the log.
    pub(super) offsets: Vec<u64>,
}

/// A block that can be taken back.
#[derive(Debug)]
struct Open {
    height: u64,
    hash: [u8; 32],
    time_s: u64,
    first_seen: Vec<u32>,
    baits: Vec<(u32, Option<poisoning::Bait>)>,
    created: Vec<u32>,
    joined: bool,
    coverage: Vec<Coverage>,
}

/// All that is known of one chain.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) holders: Holders,
    /// When each holder was first seen: seconds since 1970 and one; zero for never.
    first_seen: Vec<u32>,
    /// Tag of the category the lists have each holder under; zero for none.
    labels: Vec<u8>,
    pub(super) assets: BTreeMap<u32, AssetFlows>,
    clusters: Clusters,
    /// Labelled holders that are in a cluster with others, by the cluster's name at the time it was last looked at.
    cluster_labels: HashMap<u32, u32>,
    /// Members of clusters of several, by the cluster's name.
    cluster_sizes: HashMap<u32, u32>,
    baits: HashMap<u32, poisoning::Bait>,
    /// Who created each contract, and the contracts each holder created.
    deployers: HashMap<u32, u32>,
    deployed: HashMap<u32, Vec<u32>>,
    /// Who is known to be malicious, as the log says.
    known: foldhash::HashSet<Address>,
    /// What judges fresh addresses, where a model was given.
    pub(super) judge: Option<Judge>,
    open: VecDeque<Open>,
    pub(super) coverage: Vec<Coverage>,
    tip: Option<(u64, [u8; 32], u64)>,
    /// Where movements are read back, up to which byte, and those behind it by where they will stand.
    pub(super) reading: Option<(Reading, u64)>,
    pub(super) unflushed: HashMap<u64, (u128, [u8; 32])>,
}

/// Why a block does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DoesNotFit;

/// Transfers gathered for a graph that is built at once.
#[derive(Debug, Default)]
pub(super) struct Gathered(BTreeMap<u32, (Vec<Transfer>, Vec<u64>)>);

impl State {
    /// Height, hash and time of the newest block.
    pub(super) const fn tip(&self) -> Option<(u64, [u8; 32], u64)> {
        self.tip
    }

    /// Height of the oldest block that can be taken back.
    pub(super) fn undoable_from(&self) -> Option<u64> {
        self.open.front().map(|open| open.height)
    }

    pub(super) fn hash_at(&self, height: u64) -> Option<[u8; 32]> {
        self.open.iter().rev().find(|open| open.height == height).map(|open| open.hash)
    }

    pub(super) fn transfers(&self) -> usize {
        self.assets.values().map(|asset| asset.transfers.len()).sum()
    }

    /// Amount and transaction of a movement, by where it stands.
    pub(super) fn moved(&self, offset: u64) -> Option<(u128, [u8; 32])> {
        match &self.reading {
            Some((reading, durable)) if offset < *durable => reading.moved(offset),
            _ => self.unflushed.get(&offset).copied(),
        }
    }

    pub(super) fn is_known(&self, holder: u32) -> bool {
        self.first_seen.get(holder as usize).is_some_and(|seen| *seen > 0)
    }

    pub(super) fn first_seen(&self, holder: u32) -> Option<UnixNanos> {
        let seconds = self.first_seen.get(holder as usize)?.checked_sub(1)?;
        Some(UnixNanos::from_secs(u64::from(seconds)))
    }

    pub(super) fn bait(&self, holder: u32) -> poisoning::Bait {
        self.baits.get(&holder).copied().unwrap_or_default()
    }

    /// Takes in holders that are numbered already.
    fn grow(&mut self, label: &dyn Fn(&Address) -> u8) -> Result<(), DoesNotFit> {
        let known = self.labels.len();
        let new = self.holders.from(known);
        if let Some(judge) = &mut self.judge {
            for (number, holder) in (known..).zip(new) {
                if let (Some(address), Ok(number)) = (holder, u32::try_from(number))
                    && self.known.contains(address)
                {
                    judge.mark(number, true);
                }
            }
        }
        self.labels.extend(new.iter().map(|holder| holder.as_ref().map_or(0, label)));
        self.first_seen.resize(self.labels.len(), 0);
        self.clusters.grow(self.labels.len()).map_err(|_| DoesNotFit)
    }

    /// From now on addresses are known to be malicious, or no longer.
    pub(super) fn mark(&mut self, marks: &[(Address, bool)]) {
        for (address, is_known) in marks {
            if *is_known {
                self.known.insert(*address)
            } else {
                self.known.remove(address)
            };
            // Whoever has no place yet is marked when it gets one.
            if let Some(judge) = &mut self.judge
                && let Some(number) =
                    self.holders.find(address).filter(|number| (*number as usize) < self.labels.len())
            {
                judge.mark(number, *is_known);
            }
        }
    }

    /// What is missing for the marks of the log to be what the lists say, in the order of addresses.
    pub(super) fn marks_missing(&self, label: &dyn Fn(&Address) -> u8) -> Vec<(Address, bool)> {
        let mut marks: Vec<(Address, bool)> = (0_u32..)
            .zip(&self.labels)
            .filter(|(_, tag)| speaks_against(**tag))
            .filter_map(|(number, _)| self.holders.address(number))
            .filter(|address| !self.known.contains(address))
            .map(|address| (address, true))
            .collect();
        let gone = self.known.iter().filter(|address| !speaks_against(label(address)));
        marks.extend(gone.map(|address| (*address, false)));
        marks.sort_unstable();
        marks
    }

    /// Those of new holders that are known to be malicious and not marked yet.
    pub(super) fn marks_of(
        &self,
        holders: &[Option<Address>],
        label: &dyn Fn(&Address) -> u8,
    ) -> Vec<(Address, bool)> {
        let new = holders.iter().flatten().filter(|address| !self.known.contains(address));
        new.filter(|address| speaks_against(label(address))).map(|address| (*address, true)).collect()
    }

    /// Has the transactions of a block judged.
    fn judge(&mut self, block: &Numbered, undoable: bool) {
        if self.judge.is_none() {
            return;
        }
        let at = UnixNanos::from_secs(block.time_s);
        let tells_new = block.height <= 1
            || self.watched_since().is_some_and(|first| first.first <= 1 || at.since(first.since) >= WARM_UP);
        let Some(judge) = &mut self.judge else { return };
        judge.begin_block(JudgedBlock { height: block.height, hash: block.hash, at, tells_new }, undoable);
        let somebody = |number: u32| (number as usize >= FIRST).then_some(number);
        for moved in &block.movements {
            let (from, to) = (somebody(moved.from), somebody(moved.to));
            match (moved.asset, moved.call) {
                (COIN, Some(call)) => judge.transaction(&JudgedCall {
                    transaction: moved.transaction,
                    from,
                    to: to.filter(|_| !call.creates),
                    value: moved.value,
                    gas_used: call.gas_used,
                    failed: call.failed,
                    input_bytes: u64::from(call.input_bytes),
                    method: call.method,
                }),
                // An allocation of the first block.
                (COIN, None) if from.is_none() => judge.transaction(&JudgedCall {
                    transaction: moved.transaction,
                    from,
                    to,
                    value: moved.value,
                    gas_used: 0,
                    failed: false,
                    input_bytes: 0,
                    method: None,
                }),
                (COIN, None) => {}
                (contract, _) => {
                    if let (Some(from), Some(to)) = (from, to) {
                        judge.token(contract, from, to);
                    }
                }
            }
        }
    }

    /// The first of the stretches of blocks that follow each other up to the newest block.
    fn watched_since(&self) -> Option<Coverage> {
        let mut stretches = self.coverage.iter().rev();
        let mut first = *stretches.next()?;
        for before in stretches {
            if before.last.checked_add(1) != Some(first.first) {
                break;
            }
            first = *before;
        }
        Some(first)
    }

    /// Gives the holders of a block that does not count their numbers, which later blocks use.
    pub(super) fn number_only(&mut self, block: &Numbered) -> Result<(), DoesNotFit> {
        for holder in block.holders.iter().copied() {
            self.holders.add(holder).ok_or(DoesNotFit)?;
        }
        Ok(())
    }

    /// Takes in a block for good, its transfers into `gathered`; in the order of heights, before any other.
    pub(super) fn settle_in(
        &mut self,
        block: &Numbered,
        at: u64,
        gathered: &mut Gathered,
        label: &dyn Fn(&Address) -> u8,
    ) -> Result<(), DoesNotFit> {
        self.grow(label)?;
        let time = u32::try_from(block.height).map_err(|_| DoesNotFit)?;
        for moved in block.movements.iter().filter(|moved| moved.moves()) {
            let (transfers, offsets) = gathered.0.entry(moved.asset).or_default();
            transfers.push(transfer(moved, time));
            offsets.push(at + moved.offset as u64);
        }
        for group in &block.joined {
            self.join(group);
        }
        self.note(block, &mut Vec::new(), &mut Vec::new());
        self.note_created(block);
        self.cover(block);
        self.judge(block, false);
        Ok(())
    }

    /// Builds the graphs of what was gathered.
    pub(super) fn build(&mut self, gathered: Gathered) -> Result<(), DoesNotFit> {
        for (asset, (transfers, offsets)) in gathered.0 {
            let transfers = Transfers::new(self.labels.len(), &transfers).map_err(|_| DoesNotFit)?;
            self.assets.insert(asset, AssetFlows { transfers, offsets });
        }
        self.root_labels();
        Ok(())
    }

    /// Takes in a block that may be taken back; its holders have their numbers already.
    pub(super) fn apply(
        &mut self,
        block: &Numbered,
        at: u64,
        label: &dyn Fn(&Address) -> u8,
    ) -> Result<(), DoesNotFit> {
        self.grow(label)?;
        let time = u32::try_from(block.height).map_err(|_| DoesNotFit)?;
        let coverage = self.coverage.clone();
        if self.open.len() >= UNDO_BLOCKS
            && let Some(oldest) = self.open.pop_front()
        {
            self.clusters.settle(oldest.height);
            if let Some(judge) = &mut self.judge {
                judge.settle(oldest.height);
            }
        }
        self.clusters.begin_block(block.height).map_err(|_| DoesNotFit)?;
        let mut by_asset: BTreeMap<u32, (Vec<Transfer>, Vec<u64>)> = BTreeMap::new();
        for moved in block.movements.iter().filter(|moved| moved.moves()) {
            let (transfers, offsets) = by_asset.entry(moved.asset).or_default();
            transfers.push(transfer(moved, time));
            offsets.push(at + moved.offset as u64);
        }
        let nodes = self.labels.len();
        for (asset, (transfers, offsets)) in by_asset {
            let flows = self.assets.entry(asset).or_default();
            flows.transfers.append(nodes, &transfers).map_err(|_| DoesNotFit)?;
            flows.offsets.extend(offsets);
        }
        for group in &block.joined {
            self.join(group);
        }
        let (mut first_seen, mut baits) = (Vec::new(), Vec::new());
        self.note(block, &mut first_seen, &mut baits);
        let created = self.note_created(block);
        self.cover(block);
        self.judge(block, true);
        self.open.push_back(Open {
            height: block.height,
            hash: block.hash,
            time_s: block.time_s,
            first_seen,
            baits,
            created,
            joined: !block.joined.is_empty(),
            coverage,
        });
        Ok(())
    }

    /// Joins a group, and has the labels of its parts count for the whole.
    fn join(&mut self, group: &[u32]) {
        let before: BTreeSet<u32> = group.iter().map(|member| self.clusters.cluster_of(*member)).collect();
        self.clusters.join(group);
        let Some(root) = group.first().map(|member| self.clusters.cluster_of(*member)) else { return };
        let labelled: Vec<u32> = before.iter().filter_map(|root| self.cluster_labels.remove(root)).collect();
        let size: u32 = before.iter().map(|root| self.cluster_sizes.remove(root).unwrap_or(1)).sum();
        if size > 1 {
            self.cluster_sizes.insert(root, size);
        }
        let own = group.iter().copied().filter(|member| self.label(*member).is_some());
        let gravest = labelled.into_iter().chain(own).min_by_key(|member| self.gravity(*member));
        if let Some(gravest) = gravest {
            self.cluster_labels.insert(root, gravest);
        }
    }

    /// Notes who was seen for the first time, and who sent bait.
    fn note(
        &mut self,
        block: &Numbered,
        first_seen: &mut Vec<u32>,
        baits: &mut Vec<(u32, Option<poisoning::Bait>)>,
    ) {
        let seconds = u32::try_from(block.time_s).unwrap_or(u32::MAX - 1).saturating_add(1);
        let parties = block.movements.iter().flat_map(|moved| [moved.from, moved.to]);
        for holder in parties.chain(block.baits.iter().map(|(holder, _)| *holder)) {
            if let Some(seen @ 0) = self.first_seen.get_mut(holder as usize) {
                *seen = seconds;
                first_seen.push(holder);
            }
        }
        let at = UnixNanos::from_secs(block.time_s);
        for (holder, bait) in &block.baits {
            let known = self.baits.get(holder).copied();
            if known.is_none() && self.baits.len() >= BAITERS_MAX {
                continue;
            }
            baits.push((*holder, known));
            let counted = self.baits.entry(*holder).or_default();
            let count = match bait {
                Bait::Dust => &mut counted.dust,
                Bait::ZeroValue => &mut counted.zero_value,
            };
            *count = count.saturating_add(1);
            counted.latest = Some(at);
        }
    }

    /// Notes who created which contracts; those that are new.
    fn note_created(&mut self, block: &Numbered) -> Vec<u32> {
        let mut created = Vec::new();
        for moved in &block.movements {
            let is_creation = moved.call.is_some_and(|call| call.creates && !call.failed);
            if !is_creation || (moved.to as usize) < FIRST || (moved.from as usize) < FIRST {
                continue;
            }
            if let Entry::Vacant(place) = self.deployers.entry(moved.to) {
                place.insert(moved.from);
                self.deployed.entry(moved.from).or_default().push(moved.to);
                created.push(moved.to);
            }
        }
        created
    }

    /// Who created a contract.
    pub(super) fn deployer(&self, contract: u32) -> Option<u32> {
        self.deployers.get(&contract).copied()
    }

    /// The contracts a holder created, oldest first.
    pub(super) fn deployed(&self, holder: u32) -> &[u32] {
        self.deployed.get(&holder).map_or(&[], Vec::as_slice)
    }

    fn cover(&mut self, block: &Numbered) {
        self.tip = Some((block.height, block.hash, block.time_s));
        match self.coverage.last_mut() {
            Some(last)
                if last.complete == block.followed
                    && (!block.followed || last.last.checked_add(1) == Some(block.height)) =>
            {
                last.last = block.height;
            }
            _ => {
                let since = UnixNanos::from_secs(block.time_s);
                let (first, last) = (block.height, block.height);
                self.coverage.push(Coverage { first, last, since, complete: block.followed });
                if self.coverage.len() > COVERAGE_MAX {
                    let oldest = self.coverage.remove(0);
                    if let Some(next) = self.coverage.first_mut() {
                        (next.first, next.since, next.complete) = (oldest.first, oldest.since, false);
                    }
                }
            }
        }
    }

    /// Takes back all blocks from a height on; `false` if that is deeper than can be, and nothing counts any more then but
    /// what is read from the log again.
    pub(super) fn undo_from(&mut self, from: u64) -> bool {
        if self.tip.is_none_or(|(tip, ..)| tip < from) {
            return true;
        }
        let (Some(oldest), Some(height)) = (self.undoable_from(), from.checked_sub(1)) else { return false };
        // Below the oldest block that is open there must be what was settled, or nothing at all.
        if height < oldest.saturating_sub(1) && self.has_settled() {
            return false;
        }
        let Ok(time) = u32::try_from(height) else { return false };
        if self.clusters.undo_to(height).is_err() {
            return false;
        }
        if let Some(judge) = &mut self.judge {
            judge.undo_to(height);
        }
        for flows in self.assets.values_mut() {
            if flows.transfers.undo_to(time).is_err() {
                return false;
            }
            flows.offsets.truncate(flows.transfers.len());
        }
        let mut joined = false;
        while let Some(open) = self.open.pop_back_if(|open| open.height > height) {
            for holder in open.first_seen {
                if let Some(seen) = self.first_seen.get_mut(holder as usize) {
                    *seen = 0;
                }
            }
            for (holder, before) in open.baits.into_iter().rev() {
                match before {
                    Some(before) => self.baits.insert(holder, before),
                    None => self.baits.remove(&holder),
                };
            }
            for contract in open.created.into_iter().rev() {
                if let Some(maker) = self.deployers.remove(&contract)
                    && let Some(all) = self.deployed.get_mut(&maker)
                {
                    all.pop();
                    if all.is_empty() {
                        self.deployed.remove(&maker);
                    }
                }
            }
            joined |= open.joined;
            self.coverage = open.coverage;
        }
        self.tip = self
            .open
            .back()
            .map(|open| (open.height, open.hash, open.time_s))
            .or_else(|| self.coverage.last().map(|last| (last.last, [0; 32], 0)));
        if joined {
            self.root_labels();
            self.count_clusters();
        }
        true
    }

    /// Whether something is known from before the blocks that can be taken back.
    fn has_settled(&self) -> bool {
        self.open.front().is_none_or(|open| !open.coverage.is_empty())
    }

    /// Whether graphs are worth merging, which [`State::merged`] does.
    pub(super) fn wants_merge(&self) -> bool {
        self.assets.values().any(|flows| wants_merge(&flows.transfers))
    }

    /// Graphs with what can no longer be taken back merged; what is taken in meanwhile would be lost, so nothing may be.
    pub(super) fn merged(&self) -> Vec<(u32, Transfers)> {
        let Some(before) = self.undoable_from().and_then(|oldest| oldest.checked_sub(1)) else {
            return Vec::new();
        };
        let time = u32::try_from(before).unwrap_or(u32::MAX);
        self.assets
            .iter()
            .filter(|(_, flows)| wants_merge(&flows.transfers))
            .map(|(asset, flows)| {
                let mut transfers = flows.transfers.clone();
                transfers.merge(time);
                (*asset, transfers)
            })
            .collect()
    }

    pub(super) fn put_merged(&mut self, merged: Vec<(u32, Transfers)>) {
        for (asset, transfers) in merged {
            if let Some(flows) = self.assets.get_mut(&asset) {
                flows.transfers = transfers;
            }
        }
    }

    /// The label of a holder itself.
    pub(super) fn label(&self, holder: u32) -> Option<Category> {
        self.labels.get(holder as usize).and_then(|tag| Category::from_tag(*tag))
    }

    /// Orders labelled holders, gravest first; by address among equals, since numbers depend on branches that were given up.
    fn gravity(&self, holder: u32) -> (Option<Category>, Option<Address>) {
        (self.label(holder), self.holders.address(holder))
    }

    /// The label by which following money ends at a holder: its own, or that of somebody it spent together with.
    pub(super) fn ending(&self, holder: u32) -> Option<Category> {
        let own = self.label(holder).filter(|category| category.ends_tracing());
        if own.is_some() || self.cluster_labels.is_empty() {
            return own;
        }
        let member = self.cluster_labels.get(&self.clusters.cluster_of(holder))?;
        self.label(*member).filter(|category| category.ends_tracing())
    }

    /// The name of a holder's cluster, how many are in it, and the gravest labelled member.
    pub(super) fn cluster(&self, holder: u32) -> (u32, u32, Option<u32>) {
        let root = self.clusters.cluster_of(holder);
        let size = self.cluster_sizes.get(&root).copied().unwrap_or(1);
        (root, size, self.cluster_labels.get(&root).copied())
    }

    fn count_clusters(&mut self) {
        self.cluster_sizes.clear();
        for member in 0..u32::try_from(self.labels.len()).unwrap_or(u32::MAX) {
            *self.cluster_sizes.entry(self.clusters.cluster_of(member)).or_insert(0) += 1;
        }
        self.cluster_sizes.retain(|_, size| *size > 1);
    }

    /// Puts new labels of holders from a number on in force.
    pub(super) fn relabel(&mut self, from: usize, tags: &[u8]) {
        for (label, tag) in self.labels.iter_mut().skip(from).zip(tags) {
            *label = *tag;
        }
    }

    /// Finds the labelled member of every cluster anew.
    pub(super) fn root_labels(&mut self) {
        self.cluster_labels.clear();
        // Most tags are zero; a cluster of one is found by its own label.
        let labelled: Vec<u32> =
            (0_u32..).zip(&self.labels).filter(|(_, tag)| **tag != 0).map(|(member, _)| member).collect();
        for member in labelled {
            let root = self.clusters.cluster_of(member);
            let gravest = self.cluster_labels.get(&root).copied().unwrap_or(member);
            if self.gravity(member) <= self.gravity(gravest) {
                self.cluster_labels.insert(root, member);
            }
        }
    }

    /// What two states are compared by: all but the labels, which follow from the lists.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hash = crypto::Sha256::new();
        for (number, holder) in (0_u32..).zip(self.holders.from(0)) {
            let payload = holder.as_ref().map_or(&[][..], Address::payload);
            hash.update(&[holder.map_or(0, |holder| holder.kind().tag())]);
            hash.update(payload);
            hash.update(&self.first_seen.get(number as usize).copied().unwrap_or(0).to_le_bytes());
            hash.update(&self.clusters.cluster_of(number).to_le_bytes());
            let bait = self.bait(number);
            hash.update(&bait.zero_value.to_le_bytes());
            hash.update(&bait.dust.to_le_bytes());
        }
        for (asset, flows) in self.assets.iter().filter(|(_, flows)| !flows.transfers.is_empty()) {
            hash.update(&asset.to_le_bytes());
            for holder in 0..u32::try_from(self.holders.len()).unwrap_or(u32::MAX) {
                flows.transfers.for_each_of(holder, chain::exposure::Direction::Destination, |found| {
                    hash.update(&found.other.to_le_bytes());
                    hash.update(&found.time.to_le_bytes());
                    hash.update(&found.amount.to_bits().to_le_bytes());
                });
            }
            flows.offsets.iter().for_each(|offset| hash.update(&offset.to_le_bytes()));
        }
        for (number, suspect) in self.judge.iter().flat_map(Judge::suspects) {
            hash.update(&number.to_le_bytes());
            hash.update(&suspect.height.to_le_bytes());
            hash.update(&suspect.block);
            hash.update(&suspect.suspicion.probability.to_bits().to_le_bytes());
        }
        hash.finish()
    }
}

/// Whether a label of this tag is knowledge against its holder: a suspicion is what a model said, not knowledge.
pub(super) fn speaks_against(tag: u8) -> bool {
    Category::from_tag(tag).is_some_and(|category| category.is_malicious() && category != Category::Suspected)
}

fn wants_merge(transfers: &Transfers) -> bool {
    transfers.recent_len() > MERGE_MIN.max(transfers.len() / MERGE_DIVISOR)
}

fn transfer(moved: &Moved, time: u32) -> Transfer {
    #[expect(
        clippy::cast_precision_loss,
        reason = "shares are counted in double precision; the log has the amount"
    )]
    let amount = moved.value as f64;
    Transfer { from: moved.from, to: moved.to, time, amount }
}
