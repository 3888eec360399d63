//! One pass of a follower: from where we are to the node's head.

use std::{sync::Arc, time::Duration};

use chain::headers::{BlockHash, BlockId, Connection, Header};
use domain::{Clock, UnixNanos};

use super::{
    alert::{AlertSink, SinkError},
    rules::{Finding, Rules},
    source::{BlockSink, ChainEvent, Facts as _, Source, SourceError},
    state::{
        BLOCK_ALERTS_MAX, FollowState,
        file::{StateFile, Write},
    },
    status::{Phase, StatusCell},
    store::{StateStore, StoreError},
};

/// Farther from the head than this, blocks are asked for by height, each checked against its parent; nearer, the way back
/// from the head is walked by parent hash.
const WALK_MAX: u64 = 64;
/// Most blocks taken in between two times that the state is made durable.
const SAVE_EVERY_BLOCKS: u64 = 64;
/// Most news gathered before they are delivered.
const NEWS_MAX: usize = 1_024;
/// Most findings of one block that are looked at: beyond it the block counts as one that holds too much.
const FINDINGS_MAX: usize = 16 * BLOCK_ALERTS_MAX;

/// How a chain is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The operator's name of the chain.
    pub chain: String,
    /// Blocks on top of each other, the first included, that make the first final.
    pub confirmations: u64,
    /// Headers kept: the deepest reorganisation that is followed.
    pub headers_max: usize,
    /// Where to begin when nothing is stored: a height, or so many confirmations below the head.
    pub start: Option<u64>,
    /// How long a head may stay the newest before the node counts as stalled.
    pub stalled_after: Duration,
}

/// What a follower is made of.
#[expect(missing_debug_implementations, reason = "ports have no common form to print")]
pub struct Parts<S: Source> {
    /// The node.
    pub source: S,
    /// Where the state is kept.
    pub store: Arc<dyn StateStore>,
    /// Who is told of alerts.
    pub alerts: Arc<dyn AlertSink>,
    /// Who derives more from blocks.
    pub blocks: Vec<Arc<dyn BlockSink<S::Facts>>>,
    /// What is worth telling.
    pub rules: Rules,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What it says of itself.
    pub status: StatusCell,
}

/// Why a pass ended before the head.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The node has chosen a branch that leaves ours below the oldest header kept. What was derived from the headers kept
    /// is taken back, and following begins again below them. Alerts of blocks older than those stay as they were told:
    /// whether they still hold, a person has to look.
    #[error(
        "the node's branch leaves ours below height {oldest}, the oldest kept: all is taken back, following begins again at \
         height {restart}"
    )]
    DeeperThanRing {
        /// The oldest height kept.
        oldest: u64,
        /// Where following begins again.
        restart: u64,
    },
    /// The node's newest block is older than what it has shown before.
    #[error("the node has gone back to height {got} of the branch we have up to {tip}")]
    NodeBehind {
        /// What it says is its newest.
        got: u64,
        /// What we have.
        tip: u64,
    },
    /// Alerts were not taken over.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The node.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The state could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl FollowError {
    /// Stable name, for counting.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::DeeperThanRing { .. } => "deeper_than_ring",
            Self::NodeBehind { .. } => "node_behind",
            Self::Sink(_) => "sink",
            Self::Source(error) => error.as_str(),
            Self::Store(_) => "store",
        }
    }
}

/// Follows one chain, a pass at a time.
#[expect(missing_debug_implementations, reason = "ports have no common form to print")]
pub struct Follower<S: Source> {
    parts: Parts<S>,
    settings: Settings,
    state: FollowState,
    file: StateFile,
    identified: bool,
    unsaved_blocks: u64,
    changed: bool,
    /// Where to begin again after a branch that was too old.
    restart: Option<u64>,
}

impl<S: Source> Follower<S> {
    /// Loads what is stored.
    ///
    /// # Errors
    /// [`StoreError`]: a damaged state is not guessed at.
    pub fn open(parts: Parts<S>, settings: Settings) -> Result<Self, StoreError> {
        let Settings { chain, confirmations, headers_max, .. } = &settings;
        let state = match parts.store.load()? {
            Some(bytes) => FollowState::from_bytes(&bytes, chain, *confirmations, *headers_max)
                .map_err(|fault| StoreError::Damaged { path: parts.store.place(), fault })?,
            None => FollowState::new(chain, *confirmations, *headers_max),
        };
        let follower = Self {
            parts,
            settings,
            state,
            file: StateFile::default(),
            identified: false,
            unsaved_blocks: 0,
            changed: false,
            restart: None,
        };
        follower.show();
        Ok(follower)
    }

    /// What is known.
    #[must_use]
    pub const fn state(&self) -> &FollowState {
        &self.state
    }

    /// What it says of itself.
    #[must_use]
    pub const fn status(&self) -> &StatusCell {
        &self.parts.status
    }

    /// How it follows.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.parts.clock
    }

    /// Goes to the node's head, or to `announced` if that is the head. Whatever ends a pass early, the state is a chain of
    /// parents with exactly what was derived from it, and the next pass goes on from there.
    ///
    /// # Errors
    /// [`FollowError`].
    pub async fn pass(&mut self, announced: Option<Header>) -> Result<(), FollowError> {
        let outcome = self.try_pass(announced).await;
        // Also what an interrupted pass has reached is told: it happened.
        let saved = self.save().await;
        if outcome.is_err() {
            self.identified = false;
        }
        self.show();
        outcome.and(saved)
    }

    async fn try_pass(&mut self, announced: Option<Header>) -> Result<(), FollowError> {
        // Nothing is put on while alerts wait: that bounds them, and keeps their order.
        if !self.state.news().is_empty() {
            self.save().await?;
        }
        let arrived = self.parts.clock.now();
        if !self.identified {
            let genesis = self.parts.source.identify().await?;
            self.expect_genesis(genesis)?;
            self.identified = true;
        }
        let head = match announced {
            // Announced before the last pass saw it.
            Some(head) if self.state.headers().contains(head.id) => return Ok(()),
            Some(head) => head,
            None => self.parts.source.head().await?,
        };
        self.saw_head(head, arrived);
        if self.state.headers().is_empty() {
            self.begin(head).await?;
        }
        self.fill_gap(head).await?;
        self.walk(head).await?;
        self.save().await?;
        let took = self.parts.clock.now().since(arrived);
        self.parts.status.write(|status| {
            status.phase = Phase::Following;
            status.head_to_done_ns = Some(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        });
        Ok(())
    }

    fn expect_genesis(&mut self, genesis: BlockHash) -> Result<(), SourceError> {
        match self.state.genesis() {
            None => self.state.set_genesis(genesis),
            Some(expected) if expected != genesis => {
                return Err(SourceError::WrongChain {
                    what: "genesis block",
                    expected: expected.to_string(),
                    got: genesis.to_string(),
                });
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn saw_head(&self, head: Header, at: UnixNanos) {
        let tip = self.state.headers().tip().map(|tip| tip.id.height);
        let is_far = tip.is_none_or(|tip| head.id.height > tip.saturating_add(1));
        self.parts.status.write(|status| {
            if status.head_height != Some(head.id.height) || !self.state.headers().contains(head.id) {
                status.head_at = Some(at);
            }
            status.head_height = Some(head.id.height);
            if is_far {
                status.phase = Phase::CatchingUp;
            }
        });
    }

    /// Puts the first block on.
    async fn begin(&mut self, head: Header) -> Result<(), FollowError> {
        let below = head.id.height.saturating_sub(self.settings.confirmations);
        let height = self.restart.or(self.settings.start).unwrap_or(below).min(head.id.height);
        let first = self.parts.source.header_at(height).await?.ok_or(SourceError::Gone(head.id.hash))?;
        if first.id.height != height {
            return Err(SourceError::Malformed {
                method: "block by height",
                detail: format!("asked for height {height}, the answer is block {}", first.id),
            }
            .into());
        }
        self.event(&ChainEvent::Restarted { height });
        self.put_on(first).await?;
        self.restart = None;
        Ok(())
    }

    /// By height while the head is far.
    async fn fill_gap(&mut self, head: Header) -> Result<(), FollowError> {
        while let Some(tip) = self.state.headers().tip().map(|tip| tip.id) {
            if head.id.height <= tip.height.saturating_add(WALK_MAX) {
                break;
            }
            let height = tip.height + 1;
            let Some(next) = self.parts.source.header_at(height).await? else {
                return Err(SourceError::Gone(head.id.hash).into());
            };
            if next.id.height != height {
                return Err(SourceError::Malformed {
                    method: "block by height",
                    detail: format!("asked for height {height}, the answer is block {}", next.id),
                }
                .into());
            }
            self.walk(next).await?;
        }
        Ok(())
    }

    /// By parent hash from a head to what we have, taking off what is not on the way.
    async fn walk(&mut self, head: Header) -> Result<(), FollowError> {
        let mut walked = vec![head];
        loop {
            match self.state.headers().connect(&walked) {
                Connection::Known => return self.known(head),
                Connection::NeedParent(id) => {
                    let child = walked.last().map_or(head.id, |child| child.id);
                    walked.push(self.parent(child, id).await?);
                }
                Connection::Attached { ancestor } => {
                    self.take_off(ancestor);
                    for header in walked.into_iter().rev() {
                        self.put_on(header).await?;
                    }
                    return Ok(());
                }
                Connection::DeeperThanRing { oldest } => return self.start_anew(oldest).await,
                Connection::Broken(error) => return Err(SourceError::Links(error).into()),
                _ => return Err(SourceError::Gone(head.id.hash).into()),
            }
        }
    }

    async fn parent(&self, child: BlockId, id: BlockId) -> Result<Header, SourceError> {
        let missing = SourceError::ParentMissing { child, parent: id.hash };
        let header = self.parts.source.header(id).await?.ok_or(missing)?;
        if header.id == id {
            return Ok(header);
        }
        Err(SourceError::Malformed {
            method: "header by hash",
            detail: format!("asked for block {id}, the answer is block {}", header.id),
        })
    }

    /// The head is part of what we have: there is nothing new, or the node has lost its newest blocks.
    fn known(&self, head: Header) -> Result<(), FollowError> {
        match self.state.headers().tip() {
            Some(tip) if tip.id.height > head.id.height => {
                Err(FollowError::NodeBehind { got: head.id.height, tip: tip.id.height })
            }
            _ => Ok(()),
        }
    }

    fn take_off(&mut self, ancestor: u64) {
        let mut depth = 0;
        while self.state.headers().tip().is_some_and(|tip| tip.id.height > ancestor) {
            if let Some(header) = self.state.disconnect() {
                self.event(&ChainEvent::Disconnected { header });
                depth += 1;
            }
        }
        if depth > 0 {
            self.state.reorganised(depth);
            self.changed = true;
        }
    }

    async fn put_on(&mut self, header: Header) -> Result<(), FollowError> {
        let facts = self.parts.source.facts(&header).await?.ok_or(SourceError::Gone(header.id.hash))?;
        let facts = Arc::new(facts);
        let mut findings: Vec<Finding> = Vec::new();
        facts.examine(&self.parts.rules, &mut |finding| {
            if findings.len() < FINDINGS_MAX {
                findings.push(finding);
            }
        });
        let finalized = self.state.connect(header, findings).map_err(SourceError::Links)?;
        self.event(&ChainEvent::Connected { header, facts: &facts });
        if let Some(id) = finalized {
            self.event(&ChainEvent::Finalized { id });
        }
        self.changed = true;
        self.unsaved_blocks += 1;
        let is_full = self.parts.blocks.iter().any(|sink| sink.is_full());
        if is_full || self.unsaved_blocks >= SAVE_EVERY_BLOCKS || self.state.news().len() >= NEWS_MAX {
            self.save().await?;
            self.show();
        }
        Ok(())
    }

    async fn start_anew(&mut self, oldest: u64) -> Result<(), FollowError> {
        let depth = u64::try_from(self.state.headers().capacity()).unwrap_or(u64::MAX);
        let restart = oldest.saturating_sub(depth);
        let newest_first: Vec<Header> = self.state.headers().iter().rev().copied().collect();
        self.state.restart();
        for header in newest_first {
            self.event(&ChainEvent::Disconnected { header });
        }
        self.restart = Some(restart);
        self.changed = true;
        self.save().await?;
        Err(FollowError::DeeperThanRing { oldest, restart })
    }

    fn event(&self, event: &ChainEvent<'_, S::Facts>) {
        self.parts.blocks.iter().for_each(|sink| sink.on(event));
    }

    /// Makes the state durable, then delivers the news. If we stop between the two, the news are in the stored state and
    /// are delivered after the restart; if we stop after the delivery, they are delivered again.
    async fn save(&mut self) -> Result<(), FollowError> {
        if self.changed || self.unsaved_blocks > 0 {
            let next = self.file.next(&mut self.state);
            self.write(next).await?;
            self.changed = false;
            self.unsaved_blocks = 0;
        }
        if !self.state.news().is_empty() {
            self.parts.alerts.deliver(self.state.news()).await?;
            self.state.delivered();
            // Until the next save the stored state still holds them, so a restart would deliver them once more.
            self.changed = true;
        }
        // Nobody waits for it any more.
        if self.file.is_long() {
            let whole = self.file.whole(&mut self.state);
            self.write(whole).await?;
            self.changed = false;
        }
        Ok(())
    }

    async fn write(&mut self, what: Write) -> Result<(), FollowError> {
        let (store, sinks) = (Arc::clone(&self.parts.store), self.parts.blocks.clone());
        // What others derived first: whatever the stored state says was told, they know.
        let written = tokio::task::spawn_blocking(move || -> Result<(), FollowError> {
            sinks.iter().try_for_each(|sink| sink.flush())?;
            match what {
                Write::Whole(bytes) => store.save(&bytes)?,
                Write::More(behind, bytes) => store.append(behind, &bytes)?,
            }
            Ok(())
        });
        // Whoever drops this here does not know how far it came.
        let file = std::mem::take(&mut self.file);
        let written = match written.await {
            Ok(written) => written,
            Err(error) => {
                let source = std::io::Error::other(error);
                Err(StoreError::Io { path: self.parts.store.place(), source }.into())
            }
        };
        if written.is_ok() {
            self.file = file;
        }
        written
    }

    fn show(&self) {
        let state = &self.state;
        self.parts.status.write(|status| {
            status.tip = state.headers().tip().map(|tip| tip.id);
            status.finalized = state.finalized();
            status.totals = state.totals();
            status.news_waiting = u64::try_from(state.news().len()).unwrap_or(u64::MAX);
        });
    }
}
