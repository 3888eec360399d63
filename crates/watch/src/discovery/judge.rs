//! Judging the fresh addresses of a chain as it grows: transaction by transaction, undone by block.
//!
//! The same windows, features and model as over a recording ([`super::Window`], [`super::Detector`]): an address is judged after
//! each of its first transactions, if the first came in. What was raised is kept until the block it came from is taken back.
//! Knowledge of who is malicious comes in as marks, which belong to no block: what was known when a transaction came counts for it.
//!
//! Whoever calls numbers addresses, and says of each block whether addresses first seen in it can be taken for new.
//!
//! A pure function of marks, blocks and model: the same sequence, blocks that were taken back left out, gives the same suspects.
//!
//! Bounds: [`OPEN_MAX`] addresses are judged at once, the one that began longest ago gives way; [`SUSPECTS_MAX`] suspects, the first
//! ones are kept. Some 150 bytes for each number, for what was seen of it ([`Traffic`]).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use domain::UnixNanos;
use foldhash::HashMap;

use super::{Detector, Direction, Kept, Step, Suspicion, TokenStep, Traffic, Window, WindowLen};

/// Addresses judged at once; each takes some 2 KiB at most.
pub const OPEN_MAX: usize = 1 << 20;
/// Suspects of one chain.
pub const SUSPECTS_MAX: usize = 1 << 20;
/// Units of the coin in one whole coin, on every chain with EVM addresses.
const COIN: f64 = 1e18;

/// A block that is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JudgedBlock {
    /// Its height.
    pub height: u64,
    /// Its hash; zeros where a recording does not tell.
    pub hash: [u8; 32],
    /// When it was made.
    pub at: UnixNanos,
    /// Whether the chain has been watched long enough for an address that was never seen to be new.
    pub tells_new: bool,
}

/// One transaction, by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JudgedCall {
    /// Its hash; zeros where a recording does not tell.
    pub transaction: [u8; 32],
    /// Sender; none for an allocation of the first block.
    pub from: Option<u32>,
    /// Recipient; none when a contract is created.
    pub to: Option<u32>,
    /// In the smallest unit of the coin; moves nothing if `failed`.
    pub value: u128,
    /// Gas its execution took.
    pub gas_used: u64,
    /// Whether it was reverted.
    pub failed: bool,
    /// Bytes of its input.
    pub input_bytes: u64,
    /// The first four bytes of its input.
    pub method: Option<u32>,
}

/// A suspected address, and what made it one.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspect {
    /// How surely, and why.
    pub suspicion: Suspicion,
    /// Height of the block after whose transaction it was suspected.
    pub height: u64,
    /// Hash of that block.
    pub block: [u8; 32],
    /// That transaction.
    pub transaction: [u8; 32],
    /// How many transactions of it had been seen.
    pub transactions: usize,
}

/// What is thought of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// Nothing: its beginning was not seen, or it gave way to others.
    None,
    /// It was judged and is not suspected.
    Unsuspected,
    /// It is suspected.
    Suspected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Unseen,
    /// Its first transaction was not an inbound one, or nobody could tell whether it is new, or there was no room.
    Unknown,
    Open,
    Done,
}

/// How to take back a block: the oldest change of each thing within it.
#[derive(Debug, Default)]
struct Undo {
    height: u64,
    traffic: BTreeMap<u32, Kept>,
    stages: BTreeMap<u32, Stage>,
    /// How long windows were; of those that ended, what they held.
    lengths: BTreeMap<u32, WindowLen>,
    ended: BTreeMap<u32, Window>,
    /// Suspects there were not before.
    raised: Vec<u32>,
    /// Of the queue of open windows: how many were added, and those that gave way, first to last.
    opened: usize,
    gave_way: Vec<u32>,
}

/// Judges addresses.
#[derive(Debug)]
pub struct Judge {
    detector: Arc<Detector>,
    traffic: Traffic,
    stages: Vec<Stage>,
    windows: HashMap<u32, Window>,
    /// Windows by when they were opened; those that ended are skipped. No number is opened twice.
    opened: VecDeque<u32>,
    suspects: BTreeMap<u32, Suspect>,
    block: Option<JudgedBlock>,
    /// Blocks that can be taken back, oldest first.
    undo: VecDeque<Undo>,
    /// Whether the block at hand can be.
    undoable: bool,
    changed: BTreeSet<u32>,
}

impl Judge {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(detector: Arc<Detector>) -> Self {
        Self {
            detector,
            traffic: Traffic::default(),
            stages: Vec::new(),
            windows: HashMap::default(),
            opened: VecDeque::new(),
            suspects: BTreeMap::new(),
            block: None,
            undo: VecDeque::new(),
            undoable: false,
            changed: BTreeSet::new(),
        }
    }

    /// What it judges by.
    #[must_use]
    pub const fn detector(&self) -> &Arc<Detector> {
        &self.detector
    }

    /// From now on an address is known to be malicious, or no longer.
    pub fn mark(&mut self, number: u32, is_malicious: bool) {
        if is_malicious {
            self.traffic.mark(number);
        } else {
            self.traffic.unmark(number);
        }
    }

    /// The transactions that follow belong to this block. `undoable`: whether it may have to be taken back.
    pub fn begin_block(&mut self, block: JudgedBlock, undoable: bool) {
        self.block = Some(block);
        self.undoable = undoable;
        if undoable {
            self.undo.push_back(Undo { height: block.height, ..Undo::default() });
        }
    }

    /// Blocks up to a height are never taken back.
    pub fn settle(&mut self, height: u64) {
        while self.undo.pop_front_if(|undo| undo.height <= height).is_some() {}
    }

    /// Takes in a transaction of the block at hand.
    pub fn transaction(&mut self, call: &JudgedCall) {
        let Some(block) = self.block else { return };
        if let (Some(from), Some(to)) = (call.from, call.to) {
            self.step(&block, call, (from, to), Direction::Out);
            if from != to {
                self.step(&block, call, (to, from), Direction::In);
            }
        }
        for party in [call.from, call.to].into_iter().flatten() {
            let kept = self.traffic.keep(party);
            if let Some(undo) = self.undoing() {
                undo.traffic.entry(party).or_insert(kept);
            }
        }
        self.traffic.observe(call.from, call.to, if call.failed { 0.0 } else { coins(call.value) });
    }

    /// Takes in a transfer of a token of the block at hand.
    pub fn token(&mut self, contract: u32, from: u32, to: u32) {
        for (party, other, direction) in [(from, to, Direction::Out), (to, from, Direction::In)] {
            if self.stage(party) == Stage::Open {
                self.note_length(party);
                if let Some(window) = self.windows.get_mut(&party) {
                    window.push_token(TokenStep { direction, token: contract, other });
                }
            }
        }
    }

    fn undoing(&mut self) -> Option<&mut Undo> {
        if self.undoable { self.undo.back_mut() } else { None }
    }

    fn stage(&self, number: u32) -> Stage {
        self.stages.get(number as usize).copied().unwrap_or_default()
    }

    fn set_stage(&mut self, number: u32, stage: Stage) {
        let before = self.stage(number);
        if let Some(undo) = self.undoing() {
            undo.stages.entry(number).or_insert(before);
        }
        let at = number as usize;
        if self.stages.len() <= at {
            self.stages.resize(at + 1, Stage::Unseen);
        }
        if let Some(place) = self.stages.get_mut(at) {
            *place = stage;
        }
    }

    fn note_length(&mut self, number: u32) {
        let Some(len) = self.windows.get(&number).map(Window::len) else { return };
        if let Some(undo) = self.undoing() {
            undo.lengths.entry(number).or_insert(len);
        }
    }

    fn step(
        &mut self,
        block: &JudgedBlock,
        call: &JudgedCall,
        (party, other): (u32, u32),
        direction: Direction,
    ) {
        match self.stage(party) {
            Stage::Unknown | Stage::Done => return,
            Stage::Unseen if direction == Direction::Out || !block.tells_new => {
                self.set_stage(party, Stage::Unknown);
                return;
            }
            Stage::Unseen => self.open(party),
            Stage::Open => self.note_length(party),
        }
        let step = Step {
            at: block.at,
            direction,
            other,
            coins: coins(call.value),
            digits: Step::digits_of(call.value),
            gas_used: call.gas_used,
            failed: call.failed,
            input_bytes: call.input_bytes,
            method: call.method,
            peer: self.traffic.peer(other, party),
        };
        let Some(window) = self.windows.get_mut(&party) else { return };
        window.push(step);
        let suspicion = self.detector.judge(window);
        let transactions = window.steps().len();
        if suspicion.is_some() || transactions >= self.detector.transactions() {
            self.end(party, Stage::Done);
        }
        if let Some(suspicion) = suspicion.filter(|_| self.suspects.len() < SUSPECTS_MAX) {
            let (height, hash, transaction) = (block.height, block.hash, call.transaction);
            let suspect = Suspect { suspicion, height, block: hash, transaction, transactions };
            self.suspects.insert(party, suspect);
            self.changed.insert(party);
            if let Some(undo) = self.undoing() {
                undo.raised.push(party);
            }
        }
    }

    fn open(&mut self, number: u32) {
        while self.windows.len() >= OPEN_MAX {
            let Some(oldest) = self.opened.pop_front() else { break };
            if let Some(undo) = self.undoing() {
                undo.gave_way.push(oldest);
            }
            if self.windows.contains_key(&oldest) {
                self.end(oldest, Stage::Unknown);
            }
        }
        self.set_stage(number, Stage::Open);
        self.windows.insert(number, Window::default());
        self.opened.push_back(number);
        if let Some(undo) = self.undoing() {
            undo.opened += 1;
            undo.lengths.insert(number, WindowLen::default());
        }
    }

    /// Closes a window.
    fn end(&mut self, number: u32, stage: Stage) {
        self.note_length(number);
        self.set_stage(number, stage);
        let window = self.windows.remove(&number);
        if let (Some(undo), Some(window)) = (self.undoing(), window) {
            undo.ended.insert(number, window);
        }
    }

    /// Takes back all blocks above a height. What is not kept for that any more stays as it is: the caller knows how deep it
    /// may go.
    pub fn undo_to(&mut self, height: u64) {
        self.block = None;
        while let Some(undo) = self.undo.pop_back_if(|undo| undo.height > height) {
            for (number, window) in undo.ended {
                self.windows.insert(number, window);
            }
            for (number, len) in undo.lengths {
                if len.is_empty() {
                    self.windows.remove(&number);
                } else if let Some(window) = self.windows.get_mut(&number) {
                    window.truncate(len);
                }
            }
            for _ in 0..undo.opened {
                self.opened.pop_back();
            }
            for number in undo.gave_way.into_iter().rev() {
                self.opened.push_front(number);
            }
            for (number, stage) in undo.stages {
                if let Some(place) = self.stages.get_mut(number as usize) {
                    *place = stage;
                }
            }
            for number in undo.raised {
                self.suspects.remove(&number);
                self.changed.insert(number);
            }
            for (number, kept) in undo.traffic {
                self.traffic.restore(number, kept);
            }
        }
    }

    /// Whoever is suspected, or is no longer, since this was asked last.
    pub fn take_changed(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.changed)
    }

    /// A suspect.
    #[must_use]
    pub fn suspect(&self, number: u32) -> Option<&Suspect> {
        self.suspects.get(&number)
    }

    /// All suspects, by number.
    pub fn suspects(&self) -> impl Iterator<Item = (u32, &Suspect)> {
        self.suspects.iter().map(|(number, suspect)| (*number, suspect))
    }

    /// What is thought of an address.
    #[must_use]
    pub fn opinion(&self, number: u32) -> Opinion {
        match self.stage(number) {
            _ if self.suspects.contains_key(&number) => Opinion::Suspected,
            Stage::Open | Stage::Done => Opinion::Unsuspected,
            Stage::Unseen | Stage::Unknown => Opinion::None,
        }
    }

    /// Addresses that are being judged.
    #[must_use]
    pub fn open_windows(&self) -> usize {
        self.windows.len()
    }
}

#[expect(clippy::cast_precision_loss, reason = "features are in double precision")]
fn coins(value: u128) -> f64 {
    value as f64 / COIN
}
