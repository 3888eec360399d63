//! Open connections as the gateway sees them from outside: who holds how many, what each is doing, and how one ends.
//!
//! Every connection has a [`Line`]. Its task says there when a request begins, is authenticated and ends; the drain,
//! the eviction and whoever bans a source end it there. Both sides meet in one atomic word, so a connection is never
//! ended for idleness in the moment in which it takes up a request, and one that was ended takes up none.
//!
//! When all places are taken, a newcomer gets that of the connection with the worst [score](Line::badness): it
//! finished no request, was refused often, was silent long. A connection with an authenticated request under way is
//! never ended for a newcomer.
//!
//! Bounds: [`Census`] holds one entry per open connection and one per source with one, so both maps are bounded by the
//! cap on all connections. The search for the worst looks at all of them, once for [`VICTIMS_MAX`] newcomers (fewer
//! where fewer are open), and not again for [`SEARCH_PAUSE`] when there was none.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

pub(crate) use admission::reputation::Source;
use domain::{ApiKeyId, UnixNanos};
use foldhash::HashMap;
use ipnet::IpNet;
use parking_lot::Mutex;
use tokio::task::AbortHandle;

/// One request under way.
const BUSY: u32 = 1;
/// One authenticated request under way; also counted as [`BUSY`].
const AUTHENTICATED: u32 = 1 << 15;
/// No further request.
const DRAINING: u32 = 1 << 30;
/// Over.
const ENDED: u32 = 1 << 31;

const BUSY_MASK: u32 = AUTHENTICATED - 1;
const AUTHENTICATED_MASK: u32 = DRAINING - AUTHENTICATED;

/// The connection was ended from outside: nothing more may be done for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended;

/// How to end the task of a connection, once there is one.
#[derive(Debug, Default)]
enum Task {
    #[default]
    Unknown,
    Known(AbortHandle),
    Killed,
}

/// Most keys remembered of one connection.
const KEYS_MAX: usize = 8;

/// The keys a connection was used with.
#[derive(Debug, Default)]
struct Keys {
    known: Vec<ApiKeyId>,
    /// Whether there are more than are remembered: it may then be anybody's.
    overflowed: bool,
}

impl Keys {
    fn add(&mut self, key: &ApiKeyId) {
        if self.overflowed || self.known.contains(key) {
            return;
        }
        if self.known.len() >= KEYS_MAX {
            *self = Self { known: Vec::new(), overflowed: true };
        } else {
            self.known.push(key.clone());
        }
    }

    fn may_have(&self, key: &ApiKeyId) -> bool {
        self.overflowed || self.known.contains(key)
    }
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Line {
    id: u64,
    /// Requests under way, and whether it may go on.
    state: AtomicU32,
    /// Requests that the exchange answered.
    served: AtomicU32,
    refusals: AtomicU32,
    /// When something last happened, in nanoseconds.
    active_at: AtomicU64,
    /// Whether its task says goodbye by itself when the gateway stops.
    says_goodbye: AtomicBool,
    keys: Mutex<Keys>,
    task: Mutex<Task>,
}

/// What a connection without one served request is taken to have been silent for, besides.
const NEVER_SERVED_NANOS: u64 = 60 * 1_000_000_000;
/// What a connection is taken to have been silent for by each refusal, besides, and how many count.
const REFUSAL_NANOS: u64 = 5 * 1_000_000_000;
const REFUSALS_MAX: u32 = 100;

impl Line {
    pub(crate) fn new(id: u64, now: UnixNanos) -> Self {
        Self {
            id,
            state: AtomicU32::new(0),
            served: AtomicU32::new(0),
            refusals: AtomicU32::new(0),
            active_at: AtomicU64::new(now.0),
            says_goodbye: AtomicBool::new(false),
            keys: Mutex::default(),
            task: Mutex::default(),
        }
    }

    /// Number of the connection since the start.
    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    /// Names the task that serves it, and ends that if the connection was ended meanwhile.
    pub(crate) fn runs_as(&self, handle: AbortHandle) {
        let mut task = self.task.lock();
        match *task {
            Task::Killed => handle.abort(),
            Task::Unknown | Task::Known(_) => *task = Task::Known(handle),
        }
    }

    /// A request signed with this key has come over it.
    pub(crate) fn used_with(&self, key: &ApiKeyId) {
        self.keys.lock().add(key);
    }

    fn add(&self, what: u32) -> Result<(), Ended> {
        let add = |state: u32| (state & ENDED == 0).then_some(state + what);
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).map(|_| ()).map_err(|_| Ended)
    }

    /// A request has begun.
    pub(crate) fn begin(self: &Arc<Self>, now: UnixNanos) -> Result<InFlight, Ended> {
        self.active_at.store(now.0, Ordering::Relaxed);
        self.add(BUSY)?;
        Ok(InFlight { line: Arc::clone(self), holds: BUSY })
    }

    /// Whether the connection should end after what is under way.
    pub(crate) fn is_draining(&self) -> bool {
        self.state.load(Ordering::Acquire) & (DRAINING | ENDED) != 0
    }

    /// Ends the connection now, whatever it does.
    pub(crate) fn kill(&self) {
        self.state.fetch_or(ENDED, Ordering::AcqRel);
        self.abort();
    }

    /// Its task hears of the end of the gateway by itself, and tells the client: [`Line::drain`] leaves it that.
    pub(crate) fn says_goodbye(&self) {
        self.says_goodbye.store(true, Ordering::Release);
    }

    /// Ends the connection now if no request is under way, else after it.
    pub(crate) fn drain(&self) {
        let waits = |state: u32| state & BUSY_MASK > 0 || self.says_goodbye.load(Ordering::Acquire);
        let drain = |state: u32| Some(if waits(state) { state | DRAINING } else { state | DRAINING | ENDED });
        if let Ok(before) = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, drain)
            && !waits(before)
        {
            self.abort();
        }
    }

    /// Ends the connection now unless an authenticated request is under way; whether it did.
    fn evict(&self) -> bool {
        let end = |state: u32| (state & (AUTHENTICATED_MASK | ENDED) == 0).then_some(state | ENDED);
        let ended = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, end).is_ok();
        if ended {
            self.abort();
        }
        ended
    }

    fn abort(&self) {
        if let Task::Known(handle) = std::mem::replace(&mut *self.task.lock(), Task::Killed) {
            handle.abort();
        }
    }

    /// How much it deserves to be ended for a newcomer, in nanoseconds of silence; `None` if it must not be.
    fn badness(&self, now: UnixNanos) -> Option<u64> {
        if self.state.load(Ordering::Acquire) & (AUTHENTICATED_MASK | ENDED) != 0 {
            return None;
        }
        let silent = now.0.saturating_sub(self.active_at.load(Ordering::Relaxed));
        let refusals = self.refusals.load(Ordering::Relaxed).min(REFUSALS_MAX);
        let never = if self.served.load(Ordering::Relaxed) == 0 { NEVER_SERVED_NANOS } else { 0 };
        Some(silent.saturating_add(never + u64::from(refusals) * REFUSAL_NANOS))
    }
}

/// A request under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    line: Arc<Line>,
    holds: u32,
}

impl InFlight {
    /// Its sender is proven: the connection is no longer ended for a newcomer.
    pub(crate) fn authenticated(&mut self) -> Result<(), Ended> {
        if self.holds == BUSY {
            self.line.add(AUTHENTICATED)?;
            self.holds += AUTHENTICATED;
        }
        Ok(())
    }

    /// The exchange answered it.
    pub(crate) fn served(&self) {
        self.line.served.fetch_add(1, Ordering::Relaxed);
    }

    /// It was refused.
    pub(crate) fn refused(&self) {
        self.line.refusals.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.line.state.fetch_sub(self.holds, Ordering::AcqRel);
    }
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OverCap {
    Everyone,
    Source,
}

impl OverCap {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Everyone => "connections_max",
            Self::Source => "connections_per_source_max",
        }
    }
}

/// Most connections found to be the worst at a time.
const VICTIMS_MAX: usize = 64;
/// One in so many is: a search costs a newcomer a look at that many, and what it found stays true for a while.
const CONNECTIONS_PER_VICTIM: usize = 64;
/// How long no search follows one that found nobody.
const SEARCH_PAUSE: Duration = Duration::from_millis(100);

/// All open connections.
#[derive(Debug)]
pub(crate) struct Census {
    everyone_max: AtomicUsize,
    per_source_max: AtomicUsize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next_id: u64,
    lines: HashMap<u64, Place>,
    by_source: HashMap<Source, usize>,
    /// Ended for newcomers, not yet gone.
    leaving: usize,
    /// The worst last.
    victims: Vec<u64>,
    search_after: UnixNanos,
    draining: bool,
}

#[derive(Debug)]
struct Place {
    source: Option<Source>,
    line: Arc<Line>,
    /// Given to a newcomer already.
    leaving: bool,
}

/// What came of asking for a place.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) presence: Presence,
    /// Whether another connection was ended for it.
    pub(crate) evicted: bool,
}

impl Census {
    pub(crate) fn new(everyone_max: usize, per_source_max: usize) -> Self {
        Self {
            everyone_max: AtomicUsize::new(everyone_max),
            per_source_max: AtomicUsize::new(per_source_max),
            open: Mutex::default(),
        }
    }

    /// Changes both caps for newcomers.
    pub(crate) fn set_caps(&self, everyone_max: usize, per_source_max: usize) {
        self.everyone_max.store(everyone_max, Ordering::Relaxed);
        self.per_source_max.store(per_source_max, Ordering::Relaxed);
    }

    /// A place for a connection; without a source it is not yet known, see [`Presence::belongs_to`].
    pub(crate) fn admit(
        self: &Arc<Self>,
        source: Option<Source>,
        now: UnixNanos,
    ) -> Result<Admitted, OverCap> {
        let open = &mut *self.open.lock();
        if source.is_some_and(|source| open.count(source) >= self.per_source_max.load(Ordering::Relaxed)) {
            return Err(OverCap::Source);
        }
        let everyone_max = self.everyone_max.load(Ordering::Relaxed);
        let evicted = open.lines.len() - open.leaving >= everyone_max;
        // Those who are leaving still cost something: there may be as many again, no more.
        if evicted && (open.leaving >= everyone_max || !open.evict_worst(now)) {
            return Err(OverCap::Everyone);
        }
        if let Some(source) = source {
            *open.by_source.entry(source).or_default() += 1;
        }
        open.next_id += 1;
        let line = Arc::new(Line::new(open.next_id, now));
        if open.draining {
            line.drain();
        }
        open.lines.insert(line.id, Place { source, line: Arc::clone(&line), leaving: false });
        Ok(Admitted { presence: Presence { census: Arc::clone(self), line }, evicted })
    }

    /// Ends idle connections now and the others after what they do, also those still to come.
    pub(crate) fn drain(&self) {
        let open = &mut *self.open.lock();
        open.draining = true;
        open.lines.values().for_each(|place| place.line.drain());
    }

    /// Ends at once all connections that do not end by themselves; how many.
    pub(crate) fn cut_off(&self) -> usize {
        let open = self.open.lock();
        let lines = open.lines.values().map(|place| &place.line);
        lines.filter(|line| !line.says_goodbye.load(Ordering::Acquire)).map(|line| line.kill()).count()
    }

    /// Ends the connections of sources of which something holds at once; how many.
    pub(crate) fn kill(&self, holds: impl Fn(IpNet) -> bool) -> usize {
        let open = self.open.lock();
        open.lines
            .values()
            .filter(|place| place.source.is_some_and(|source| holds(source.net())))
            .map(|place| place.line.kill())
            .count()
    }
}

impl Census {
    /// Ends the connections a key was used on at once; how many.
    pub(crate) fn kill_key(&self, key: &ApiKeyId) -> usize {
        let open = self.open.lock();
        let used = |line: &&Arc<Line>| line.keys.lock().may_have(key);
        open.lines.values().map(|place| &place.line).filter(used).map(|line| line.kill()).count()
    }
}

/// The open connections of a gateway, for whoever decides that some must end now: a ban, a freeze, a revocation.
#[derive(Debug, Clone)]
pub struct Connections(pub(crate) Arc<Census>);

impl Connections {
    /// Ends all connections of the source that `ip` belongs to (IPv6: its /64) at once, also in the middle of a
    /// request; gives their number. What was already sent to the exchange is not undone. New ones are not kept out.
    pub fn close_source(&self, ip: IpAddr) -> usize {
        let of = Source::of(ip).net();
        self.0.kill(|net| net == of)
    }

    /// Ends all connections over which requests signed with a key came at once, and those that carried more than 8 keys;
    /// gives their number. To be called after the key was taken out of force or restricted: what comes later is
    /// refused, or held to its new restrictions. Web sockets that are logged in with it act on nothing more and end by
    /// themselves, with the reason, within [their period](crate::websocket::Config::in_force_period).
    pub fn close_key(&self, key: &ApiKeyId) -> usize {
        self.0.kill_key(key)
    }
}

impl Open {
    fn count(&self, source: Source) -> usize {
        self.by_source.get(&source).copied().unwrap_or_default()
    }

    fn evict_worst(&mut self, now: UnixNanos) -> bool {
        if self.evict_known() {
            return true;
        }
        // A clock that was set back must not make the pause longer.
        if now < self.search_after && self.search_after <= now.plus(SEARCH_PAUSE) {
            return false;
        }
        let mut found: Vec<(u64, u64)> = self
            .lines
            .values()
            .filter_map(|Place { line, .. }| Some((line.badness(now)?, line.id)))
            .collect();
        let victims = (found.len() / CONNECTIONS_PER_VICTIM).clamp(1, VICTIMS_MAX);
        if found.len() > victims {
            let best = found.len() - victims;
            found.select_nth_unstable(best);
            found.drain(..best);
        }
        found.sort_unstable();
        self.victims = found.into_iter().map(|(_, id)| id).collect();
        let done = self.evict_known();
        if !done {
            self.search_after = now.plus(SEARCH_PAUSE);
        }
        done
    }

    fn evict_known(&mut self) -> bool {
        while let Some(id) = self.victims.pop() {
            if let Some(place) = self.lines.get_mut(&id)
                && place.line.evict()
            {
                place.leaving = true;
                self.leaving += 1;
                return true;
            }
        }
        false
    }
}

/// One counted connection; leaves the census when dropped.
#[derive(Debug)]
pub(crate) struct Presence {
    census: Arc<Census>,
    pub(crate) line: Arc<Line>,
}

impl Presence {
    /// Counts the connection with its source, which only became known now.
    pub(crate) fn belongs_to(&self, source: Source) -> Result<(), OverCap> {
        let open = &mut *self.census.open.lock();
        if open.count(source) >= self.census.per_source_max.load(Ordering::Relaxed) {
            return Err(OverCap::Source);
        }
        if let Some(place) = open.lines.get_mut(&self.line.id)
            && place.source.is_none()
        {
            place.source = Some(source);
            *open.by_source.entry(source).or_default() += 1;
        }
        Ok(())
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let open = &mut *self.census.open.lock();
        let Some(place) = open.lines.remove(&self.line.id) else { return };
        if place.leaving {
            open.leaving -= 1;
        }
        if let Some(source) = place.source
            && let Some(count) = open.by_source.get_mut(&source)
        {
            *count -= 1;
            if *count == 0 {
                open.by_source.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixNanos = UnixNanos::from_secs(1_000);

    fn source(last: u8) -> Source {
        Source::of([192, 0, 2, last].into())
    }

    fn admit(census: &Arc<Census>, last: u8, now: UnixNanos) -> Result<(Presence, bool), OverCap> {
        census.admit(Some(source(last)), now).map(|admitted| (admitted.presence, admitted.evicted))
    }

    fn is_ended(presence: &Presence) -> bool {
        presence.line.begin(NOW).is_err()
    }

    #[test]
    fn sources_share_a_cap_and_leave_no_trace() {
        let here = Source::of("::ffff:10.0.0.1".parse().unwrap());
        assert_eq!(here, Source::of("10.0.0.1".parse().unwrap()));
        let net = Source::of("2001:db8::1".parse().unwrap());
        assert_eq!(net, Source::of("2001:db8::ffff:1".parse().unwrap()));
        let census = Arc::new(Census::new(10, 2));
        let first = census.admit(Some(here), NOW).unwrap();
        let second = census.admit(None, NOW).unwrap().presence;
        second.belongs_to(here).unwrap();
        assert_eq!(census.admit(Some(here), NOW).unwrap_err(), OverCap::Source);
        let third = census.admit(None, NOW).unwrap().presence;
        assert_eq!(third.belongs_to(here), Err(OverCap::Source));
        third.belongs_to(net).unwrap();
        drop((first, second, third));
        let open = census.open.lock();
        assert!(open.by_source.is_empty() && open.lines.is_empty() && open.leaving == 0);
    }

    #[test]
    fn the_worst_gives_way_to_a_newcomer() {
        let census = Arc::new(Census::new(4, 10));
        let at = |seconds| NOW.plus(Duration::from_secs(seconds));
        let served = |last, seconds, refusals| {
            let (presence, _) = admit(&census, last, at(seconds)).unwrap();
            let request = presence.line.begin(at(seconds)).unwrap();
            request.served();
            (0..refusals).for_each(|_| request.refused());
            drop(request);
            presence
        };
        // Silent for 50 s and well-behaved; silent for 40 s and refused thrice; for 5 s without any request.
        let well = served(1, 0, 0);
        let refused = served(2, 10, 3);
        let (fresh, _) = admit(&census, 3, at(45)).unwrap();
        let (working, _) = admit(&census, 4, NOW).unwrap();
        let mut request = working.line.begin(NOW).unwrap();
        request.authenticated().unwrap();
        let mut newcomers = Vec::new();
        for expected in [&fresh, &refused, &well] {
            assert!(!is_ended(expected));
            let (newcomer, evicted) = admit(&census, 5, at(50)).unwrap();
            // It has a request under way from here on, so it is not the next.
            let mut busy = newcomer.line.begin(at(50)).unwrap();
            busy.authenticated().unwrap();
            newcomers.push((newcomer, busy));
            assert!(evicted && is_ended(expected));
        }
        assert!(!is_ended(&working));
        assert_eq!(admit(&census, 6, at(50)).unwrap_err(), OverCap::Everyone, "all others are at work");
        drop(request);
        assert_eq!(admit(&census, 6, at(50)).unwrap_err(), OverCap::Everyone, "nobody is looked for so soon");
        assert!(admit(&census, 6, at(51)).unwrap().1 && is_ended(&working));
    }

    #[test]
    fn those_who_are_leaving_are_bounded_too() {
        let census = Arc::new(Census::new(3, 100));
        let mut held = Vec::new();
        for _ in 0..6 {
            held.push(admit(&census, 1, NOW).unwrap());
        }
        assert_eq!(admit(&census, 1, NOW).unwrap_err(), OverCap::Everyone);
        assert_eq!(census.open.lock().lines.len(), 6);
        let gone = held.iter().position(|(presence, _)| is_ended(presence)).unwrap();
        held.remove(gone);
        assert!(admit(&census, 1, NOW).unwrap().1);
    }

    #[test]
    fn an_ended_connection_takes_up_nothing() {
        let census = Arc::new(Census::new(3, 3));
        let (presence, _) = admit(&census, 1, NOW).unwrap();
        let mut request = presence.line.begin(NOW).unwrap();
        presence.line.drain();
        assert!(presence.line.is_draining());
        request.authenticated().unwrap();
        assert_eq!(census.kill(|net| net == source(2).net()), 0);
        assert_eq!(census.kill(|net| net == source(1).net()), 1);
        let (other, _) = admit(&census, 2, NOW).unwrap();
        let mut late = other.line.begin(NOW).unwrap();
        other.line.kill();
        assert_eq!(late.authenticated(), Err(Ended));
        census.drain();
        let (idle, _) = admit(&census, 3, NOW).unwrap();
        assert!(is_ended(&idle), "it came after the end began");
    }

    #[tokio::test]
    async fn an_end_before_the_task_is_known_still_ends_it() {
        let line = Line::new(1, NOW);
        line.kill();
        let task = tokio::spawn(std::future::pending::<()>());
        line.runs_as(task.abort_handle());
        assert!(task.await.unwrap_err().is_cancelled());
    }
}
