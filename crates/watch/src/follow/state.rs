//! What a follower keeps: the newest headers, the alerts that may still be taken back, the news not yet taken over.
//!
//! All changes are made in memory and become durable together: what was done since the last time is appended to the stored form
//! ([`mod@file`]), deterministic CBOR under digests; a flipped bit anywhere is found.
//!
//! Bounds: [`RING_MAX`](chain::headers::RING_MAX) headers; [`KEPT_MAX`] alerts that may be taken back, of which at most
//! [`BLOCK_ALERTS_MAX`] from one block: beyond either a block's alerts end with one that says so. News are bounded by
//! the follower, which goes no further while they are not taken over.

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use chain::{
    headers::{BlockHash, BlockId, Header, Headers, LinkError},
    label::Category,
    u256::U256,
};
use domain::{Address, AddressKind, Verdict};
use minicbor::{Decoder, Encoder, encode};

use self::file::{Step, decode_header, encode_header};
use super::{
    alert::{Alert, AlertId, AlertKind, AlertNews, AlertState, Direction},
    rules::Finding,
};

pub mod file;

/// Most alerts of one block; one more says that there were more.
pub const BLOCK_ALERTS_MAX: usize = 4_096;
/// Most alerts that can be taken back.
pub const KEPT_MAX: usize = 65_536;
/// Most news waiting in stored bytes: all that can be taken back, twice, and some.
const NEWS_MAX: u64 = 4 * 65_536;

/// The alerts of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    height: u64,
    is_final: bool,
    alerts: Vec<Alert>,
}

/// Counters that outlive a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Blocks put on.
    pub blocks: u64,
    /// Times that blocks were taken off.
    pub reorgs: u64,
    /// Most blocks taken off at once.
    pub reorg_depth_max: u64,
    /// Alerts told.
    pub alerts: u64,
    /// Alerts that became final.
    pub finals: u64,
    /// Alerts taken back.
    pub retractions: u64,
    /// Alerts taken back after they were final: the chain broke the operator's number of confirmations.
    pub retractions_of_finals: u64,
    /// Times that following started anew because a branch was older than all headers kept.
    pub restarts: u64,
}

/// What is kept of one chain.
#[derive(Debug, Clone)]
pub struct FollowState {
    chain: Arc<str>,
    confirmations: u64,
    genesis: Option<BlockHash>,
    headers: Headers,
    /// Oldest first; only blocks with alerts.
    kept: VecDeque<Kept>,
    n_kept: usize,
    news: Vec<AlertNews>,
    finalized: Option<BlockId>,
    totals: Totals,
    /// What was done since the stored form was written.
    steps: Vec<Step>,
}

/// What is not stored yet makes no other state.
impl PartialEq for FollowState {
    fn eq(&self, other: &Self) -> bool {
        let Self { chain, confirmations, genesis, headers, kept, n_kept, news, finalized, totals, steps: _ } =
            self;
        (chain, *confirmations, genesis, headers)
            == (&other.chain, other.confirmations, &other.genesis, &other.headers)
            && (kept, *n_kept, news) == (&other.kept, other.n_kept, &other.news)
            && (finalized, totals) == (&other.finalized, &other.totals)
    }
}

impl Eq for FollowState {}

/// Why stored bytes are not a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadState {
    /// Not the digest at the end of a part.
    #[error("it does not have the SHA-256 that it names")]
    Digest,
    /// Sound bytes of another form.
    #[error("byte {position} is not as it would be written")]
    Form {
        /// Where.
        position: usize,
    },
    /// Written for a chain of another name.
    #[error("it belongs to the chain {0:?}")]
    OtherChain(String),
    /// Another format, or none.
    #[error("it does not begin with \"caponier follow 2\"")]
    Version,
}

impl FollowState {
    /// Nothing known yet. A block is final with so many confirmations, itself included; at least 1, and fewer than the
    /// headers kept.
    #[must_use]
    pub fn new(chain: &str, confirmations: u64, headers_max: usize) -> Self {
        let headers = Headers::new(headers_max);
        let below = u64::try_from(headers.capacity()).unwrap_or(u64::MAX).saturating_sub(1);
        Self {
            chain: chain.into(),
            confirmations: confirmations.clamp(1, below),
            genesis: None,
            headers,
            kept: VecDeque::new(),
            n_kept: 0,
            news: Vec::new(),
            finalized: None,
            totals: Totals::default(),
            steps: Vec::new(),
        }
    }

    /// The operator's name of the chain.
    #[must_use]
    pub const fn chain(&self) -> &Arc<str> {
        &self.chain
    }

    /// The first block of the chain, once it is known.
    #[must_use]
    pub const fn genesis(&self) -> Option<BlockHash> {
        self.genesis
    }

    /// Remembers the first block of the chain.
    pub(super) fn set_genesis(&mut self, genesis: BlockHash) {
        self.genesis = Some(genesis);
        self.steps.push(Step::Genesis(genesis));
    }

    /// The newest headers.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The newest block that is final.
    #[must_use]
    pub const fn finalized(&self) -> Option<BlockId> {
        self.finalized
    }

    /// News not taken over yet, oldest first.
    #[must_use]
    pub fn news(&self) -> &[AlertNews] {
        &self.news
    }

    /// Counters.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// Alerts that may still be taken back, oldest first, and whether they are final.
    pub fn kept(&self) -> impl Iterator<Item = (&Alert, bool)> {
        self.kept.iter().flat_map(|kept| kept.alerts.iter().map(|alert| (alert, kept.is_final)))
    }

    /// Puts a block on with what was found in it. Returns the block that is final now, if another one than before.
    ///
    /// # Errors
    /// [`LinkError`] when it does not follow the newest; nothing has changed then.
    pub fn connect(&mut self, header: Header, findings: Vec<Finding>) -> Result<Option<BlockId>, LinkError> {
        self.begin_block(header)?;
        self.make_room(findings.len());
        let alerts = self.alerts_of(header, findings);
        self.steps.push(Step::Connected(header, alerts.clone()));
        self.tell(header, alerts);
        Ok(self.finalize(header))
    }

    /// Puts a block on again with what was told of it.
    fn reconnect(&mut self, header: Header, alerts: Vec<Alert>) -> Result<(), LinkError> {
        self.begin_block(header)?;
        // As many as the findings they were made of, or as many as there was room for, and one more: for both the same is forgotten.
        self.make_room(alerts.len());
        self.tell(header, alerts);
        self.finalize(header);
        Ok(())
    }

    fn begin_block(&mut self, header: Header) -> Result<(), LinkError> {
        self.headers.push(header)?;
        self.totals.blocks += 1;
        let oldest = self.headers.oldest().map_or(0, |oldest| oldest.id.height);
        while self.kept.front().is_some_and(|kept| kept.height < oldest) {
            self.forget_oldest();
        }
        Ok(())
    }

    fn finalize(&mut self, header: Header) -> Option<BlockId> {
        let finalized = header.id.height.checked_sub(self.confirmations - 1);
        let finalized = finalized.and_then(|height| self.headers.at(height)).map(|header| header.id);
        let id = finalized.filter(|id| self.finalized.is_none_or(|before| before.height < id.height))?;
        self.finalized = Some(id);
        for kept in self.kept.iter_mut().filter(|kept| !kept.is_final && kept.height <= id.height) {
            kept.is_final = true;
            self.totals.finals += u64::try_from(kept.alerts.len()).unwrap_or(u64::MAX);
            let finals =
                kept.alerts.iter().map(|alert| AlertNews { alert: alert.clone(), state: AlertState::Final });
            self.news.extend(finals);
        }
        Some(id)
    }

    /// What is final and can only be taken back by a broken promise makes room first.
    fn make_room(&mut self, findings: usize) {
        while findings > 0
            && self.n_kept + findings.min(BLOCK_ALERTS_MAX) > KEPT_MAX
            && self.kept.front().is_some_and(|kept| kept.is_final)
        {
            self.forget_oldest();
        }
    }

    /// Alerts of findings, no more than there is room for.
    fn alerts_of(&self, header: Header, mut findings: Vec<Finding>) -> Vec<Alert> {
        let room = BLOCK_ALERTS_MAX.min(KEPT_MAX.saturating_sub(self.n_kept));
        if findings.len() > room {
            let n_findings = u64::try_from(findings.len()).unwrap_or(u64::MAX);
            // The gravest are told.
            findings
                .sort_by_key(|finding| (std::cmp::Reverse(finding.verdict), finding.kind, finding.position));
            findings.truncate(room);
            findings.push(Finding {
                transaction: [0; 32],
                position: u64::MAX - 1,
                kind: AlertKind::Overflow,
                subject: None,
                counterparty: None,
                direction: Direction::In,
                asset: None,
                asset_known: true,
                value: U256::from(n_findings),
                category: None,
                verdict: Verdict::Hold,
            });
        }
        findings
            .into_iter()
            .map(|finding| {
                Alert {
                    id: AlertId([0; 16]),
                    chain: Arc::clone(&self.chain),
                    block: header.id,
                    block_time_s: header.time_s,
                    transaction: finding.transaction,
                    position: finding.position,
                    kind: finding.kind,
                    subject: finding.subject,
                    counterparty: finding.counterparty,
                    direction: finding.direction,
                    asset: finding.asset,
                    asset_known: finding.asset_known,
                    value: finding.value,
                    category: finding.category,
                    verdict: finding.verdict,
                }
                .identify()
            })
            .collect()
    }

    /// Takes in the alerts of a block.
    fn tell(&mut self, header: Header, alerts: Vec<Alert>) {
        if alerts.is_empty() {
            return;
        }
        self.totals.alerts += u64::try_from(alerts.len()).unwrap_or(u64::MAX);
        self.n_kept += alerts.len();
        let news =
            alerts.iter().map(|alert| AlertNews { alert: alert.clone(), state: AlertState::Provisional });
        self.news.extend(news);
        self.kept.push_back(Kept { height: header.id.height, is_final: false, alerts });
    }

    fn forget_oldest(&mut self) {
        if let Some(kept) = self.kept.pop_front() {
            self.n_kept -= kept.alerts.len();
        }
    }

    /// Takes the newest block off, and back what was told of it.
    pub fn disconnect(&mut self) -> Option<Header> {
        let header = self.headers.pop()?;
        self.steps.push(Step::Disconnected);
        while let Some(kept) = self.kept.pop_back_if(|kept| kept.height >= header.id.height) {
            let n_alerts = u64::try_from(kept.alerts.len()).unwrap_or(u64::MAX);
            self.n_kept -= kept.alerts.len();
            self.totals.retractions += n_alerts;
            if kept.is_final {
                self.totals.retractions_of_finals += n_alerts;
            }
            let retracted =
                kept.alerts.into_iter().map(|alert| AlertNews { alert, state: AlertState::Retracted });
            self.news.extend(retracted);
        }
        // What was final and is gone is final no more; the blocks that take its place will be.
        if self.finalized.is_some_and(|id| id.height >= header.id.height) {
            self.finalized = self.headers.tip().map(|tip| tip.id);
        }
        Some(header)
    }

    /// Notes that so many blocks were taken off for another branch.
    pub fn reorganised(&mut self, depth: u64) {
        self.steps.push(Step::Reorganised(depth));
        self.totals.reorgs += 1;
        if depth > self.totals.reorg_depth_max {
            self.totals.reorg_depth_max = depth;
        }
    }

    /// Forgets all headers and takes back what was told of them.
    pub fn restart(&mut self) {
        let before = self.steps.len();
        while self.disconnect().is_some() {}
        self.finalized = None;
        self.totals.restarts += 1;
        self.steps.truncate(before);
        self.steps.push(Step::Restarted);
    }

    /// The news were taken over.
    pub fn delivered(&mut self) {
        self.news.clear();
        self.steps.push(Step::Delivered);
    }

    /// As it is stored, with nothing done since.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let written: Result<(), encode::Error<Infallible>> = self.encode(&mut Encoder::new(&mut body));
        if written.is_err() {
            unreachable!("writing to memory does not fail");
        }
        file::whole(&body)
    }

    fn encode(&self, e: &mut Encoder<&mut Vec<u8>>) -> Result<(), encode::Error<Infallible>> {
        e.array(9)?.str(&self.chain)?.u64(self.confirmations)?.u64(len(self.headers.capacity()))?;
        match self.genesis {
            Some(genesis) => e.bytes(&genesis.0)?,
            None => e.null()?,
        };
        e.array(len(self.headers.len()))?;
        self.headers.iter().try_for_each(|header| encode_header(e, header))?;
        e.array(len(self.kept.len()))?;
        for kept in &self.kept {
            e.array(3)?.u64(kept.height)?.bool(kept.is_final)?.array(len(kept.alerts.len()))?;
            kept.alerts.iter().try_for_each(|alert| encode_alert(e, alert))?;
        }
        e.array(len(self.news.len()))?;
        for news in &self.news {
            e.array(2)?.u8(news.state.code())?;
            encode_alert(e, &news.alert)?;
        }
        match self.finalized {
            Some(id) => e.array(2)?.u64(id.height)?.bytes(&id.hash.0)?,
            None => e.null()?,
        };
        let totals = self.totals;
        e.array(8)?.u64(totals.blocks)?.u64(totals.reorgs)?.u64(totals.reorg_depth_max)?;
        e.u64(totals.alerts)?.u64(totals.finals)?.u64(totals.retractions)?;
        e.u64(totals.retractions_of_finals)?.u64(totals.restarts)?;
        Ok(())
    }

    /// Reads stored bytes for a chain; number of confirmations and of headers as they are configured now.
    ///
    /// # Errors
    /// [`BadState`].
    pub fn from_bytes(
        bytes: &[u8],
        chain: &str,
        confirmations: u64,
        headers_max: usize,
    ) -> Result<Self, BadState> {
        let mut frames = file::frames(bytes)?.into_iter();
        let (start, body) = frames.next().ok_or(BadState::Digest)?;
        let mut decoder = Decoder::new(body);
        let read = Self::decode(&mut decoder);
        let form = BadState::Form { position: start + decoder.position() };
        let Some(mut state) = read else { return Err(form) };
        if *state.chain != *chain {
            return Err(BadState::OtherChain(state.chain.to_string()));
        }
        if decoder.position() != body.len() {
            return Err(form);
        }
        for (start, body) in frames {
            file::replay(&mut state, body)
                .map_err(|position| BadState::Form { position: start + position })?;
        }
        Ok(state.configured(confirmations, headers_max))
    }

    /// With another number of confirmations and of headers.
    fn configured(self, confirmations: u64, headers_max: usize) -> Self {
        let mut state = Self::new(&self.chain, confirmations, headers_max);
        if (state.confirmations, state.headers.capacity()) == (self.confirmations, self.headers.capacity()) {
            return self;
        }
        for header in self.headers.iter() {
            // They follow each other; the oldest make room.
            let _ = state.headers.push(*header);
        }
        let oldest = state.headers.oldest().map_or(0, |oldest| oldest.id.height);
        state.kept = self.kept;
        // Fewer headers are kept than before.
        state.kept.retain(|kept| kept.height >= oldest);
        state.n_kept = state.kept.iter().map(|kept| kept.alerts.len()).sum();
        Self {
            genesis: self.genesis,
            news: self.news,
            finalized: self.finalized,
            totals: self.totals,
            ..state
        }
    }

    /// The state of a body; `None` at the first thing that is not as it would be written.
    fn decode(d: &mut Decoder<'_>) -> Option<Self> {
        array(d, 9)?;
        let name = d.str().ok()?.to_owned();
        let confirmations = d.u64().ok()?;
        let mut state = Self::new(&name, confirmations, usize::try_from(d.u64().ok()?).ok()?);
        state.read(d)?;
        Some(state)
    }

    fn read(&mut self, d: &mut Decoder<'_>) -> Option<()> {
        self.genesis = optional(d, |d| fixed(d).map(BlockHash))?;
        for _ in 0..d.array().ok()?? {
            self.headers.push(decode_header(d)?).ok()?;
        }
        let oldest = self.headers.oldest().map_or(0, |oldest| oldest.id.height);
        for _ in 0..d.array().ok()?? {
            array(d, 3)?;
            let mut kept = Kept { height: d.u64().ok()?, is_final: d.bool().ok()?, alerts: Vec::new() };
            for _ in 0..d.array().ok()?? {
                kept.alerts.push(decode_alert(d, &self.chain)?);
                if self.n_kept + kept.alerts.len() > KEPT_MAX + self.headers.capacity() {
                    return None;
                }
            }
            if self.kept.back().is_some_and(|last| last.height >= kept.height) {
                return None;
            }
            if kept.height < oldest {
                return None;
            }
            self.n_kept += kept.alerts.len();
            self.kept.push_back(kept);
        }
        let n_news = d.array().ok()?.filter(|n| *n <= NEWS_MAX)?;
        for _ in 0..n_news {
            array(d, 2)?;
            let state = AlertState::from_code(d.u8().ok()?)?;
            self.news.push(AlertNews { alert: decode_alert(d, &self.chain)?, state });
        }
        self.finalized = optional(d, |d| {
            array(d, 2)?;
            Some(BlockId { height: d.u64().ok()?, hash: BlockHash(fixed(d)?) })
        })?;
        array(d, 8)?;
        let mut next = || d.u64().ok();
        self.totals = Totals {
            blocks: next()?,
            reorgs: next()?,
            reorg_depth_max: next()?,
            alerts: next()?,
            finals: next()?,
            retractions: next()?,
            retractions_of_finals: next()?,
            restarts: next()?,
        };
        Some(())
    }
}

/// Whether stored bytes are sound.
///
/// # Errors
/// [`BadState`].
pub fn check(bytes: &[u8]) -> Result<(), BadState> {
    file::frames(bytes).map(drop)
}

fn len(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn encode_address(
    e: &mut Encoder<&mut Vec<u8>>,
    address: Option<Address>,
) -> Result<(), encode::Error<Infallible>> {
    match address {
        Some(address) => e.array(2)?.u8(address.kind().tag())?.bytes(address.payload())?,
        None => e.null()?,
    };
    Ok(())
}

fn encode_alert(e: &mut Encoder<&mut Vec<u8>>, alert: &Alert) -> Result<(), encode::Error<Infallible>> {
    e.array(15)?.bytes(&alert.id.0)?.u64(alert.block.height)?.bytes(&alert.block.hash.0)?;
    e.u64(alert.block_time_s)?.bytes(&alert.transaction)?.u64(alert.position)?.u8(alert.kind.code())?;
    for address in [alert.subject, alert.counterparty] {
        encode_address(e, address)?;
    }
    e.bool(alert.direction == Direction::In)?;
    encode_address(e, alert.asset)?;
    e.bool(alert.asset_known)?.bytes(&alert.value.to_be_bytes())?;
    match alert.category {
        Some(category) => e.u8(category.tag())?,
        None => e.null()?,
    };
    let verdict = Verdict::ALL.into_iter().position(|verdict| verdict == alert.verdict);
    e.u8(verdict.and_then(|verdict| u8::try_from(verdict).ok()).unwrap_or(u8::MAX))?;
    Ok(())
}

fn decode_alert(d: &mut Decoder<'_>, chain: &Arc<str>) -> Option<Alert> {
    array(d, 15)?;
    Some(Alert {
        id: AlertId(fixed(d)?),
        chain: Arc::clone(chain),
        block: BlockId { height: d.u64().ok()?, hash: BlockHash(fixed(d)?) },
        block_time_s: d.u64().ok()?,
        transaction: fixed(d)?,
        position: d.u64().ok()?,
        kind: AlertKind::from_code(d.u8().ok()?)?,
        subject: optional(d, decode_address)?,
        counterparty: optional(d, decode_address)?,
        direction: if d.bool().ok()? { Direction::In } else { Direction::Out },
        asset: optional(d, decode_address)?,
        asset_known: d.bool().ok()?,
        value: U256::from_be_bytes(fixed(d)?),
        category: optional(d, |d| Category::from_tag(d.u8().ok()?))?,
        verdict: *Verdict::ALL.get(usize::from(d.u8().ok()?))?,
    })
}

fn decode_address(d: &mut Decoder<'_>) -> Option<Address> {
    array(d, 2)?;
    let kind = AddressKind::from_tag(d.u8().ok()?)?;
    Address::new(kind, d.bytes().ok()?)
}

fn array(d: &mut Decoder<'_>, n: u64) -> Option<()> {
    (d.array().ok()? == Some(n)).then_some(())
}

fn fixed<const N: usize>(d: &mut Decoder<'_>) -> Option<[u8; N]> {
    d.bytes().ok()?.try_into().ok()
}

/// The outer `None` is a fault, the inner one what was written.
#[expect(clippy::option_option, reason = "a fault and nothing are two answers")]
fn optional<'d, T>(
    d: &mut Decoder<'d>,
    read: impl FnOnce(&mut Decoder<'d>) -> Option<T>,
) -> Option<Option<T>> {
    if d.datatype().ok()? == minicbor::data::Type::Null {
        d.null().ok()?;
        return Some(None);
    }
    read(d).map(Some)
}

#[cfg(test)]
mod tests;
