//! Messages of one endpoint on their way: which is due, how many are under way, and how far everything is settled.
//!
//! The journal is the queue: an outbox holds a window of it, [`WINDOW_MAX`] messages wide, and takes in no more until some
//! are settled. So a slow endpoint costs its own window and nobody else anything.
//!
//! While an endpoint takes nothing ([`Outbox::is_failing`]), one message at a time is tried. As soon as it takes one again,
//! all that wait are due at once.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use domain::UnixNanos;

use crate::{EventType, Schedule};

/// Messages of an endpoint in memory at a time, replays apart.
pub const WINDOW_MAX: usize = 64;
/// Messages of an endpoint under way at a time.
pub const UNDER_WAY_MAX: usize = 8;
/// Tries in a row that failed, after which an endpoint counts as failing.
const FAILING_FROM: u32 = 3;

/// Which message: an entry of the journal, and what of it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageKey {
    /// Position of the entry.
    pub position: u64,
    /// What is told of it.
    pub event_type: EventType,
}

#[derive(Debug)]
struct Waiting {
    body: Arc<[u8]>,
    tries: u32,
    due: UnixNanos,
    since: UnixNanos,
    under_way: bool,
}

/// What follows from a try that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It is tried again.
    Again {
        /// When.
        at: UnixNanos,
    },
    /// That was the last try. The message stays until [`Outbox::settle`].
    Exhausted {
        /// How often it was tried.
        tries: u32,
        /// Whether the endpoint took nothing at all since this message first came up.
        took_nothing: bool,
    },
}

/// See the module's head.
#[derive(Debug)]
pub struct Outbox {
    schedule: Schedule,
    waiting: BTreeMap<MessageKey, Waiting>,
    /// Dead letters to be tried once more each.
    replays: VecDeque<MessageKey>,
    read: u64,
    under_way: usize,
    failures: u32,
    taken_at: Option<UnixNanos>,
}

impl Outbox {
    /// Empty, with everything before `read` settled.
    #[must_use]
    pub const fn new(schedule: Schedule, read: u64) -> Self {
        Self {
            schedule,
            waiting: BTreeMap::new(),
            replays: VecDeque::new(),
            read,
            under_way: 0,
            failures: 0,
            taken_at: None,
        }
    }

    /// Position to read the journal from.
    #[must_use]
    pub const fn read(&self) -> u64 {
        self.read
    }

    /// Messages that more can be taken in.
    #[must_use]
    pub fn room(&self) -> usize {
        WINDOW_MAX.saturating_sub(self.waiting.len())
    }

    /// Messages in the window.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the last tries all failed.
    #[must_use]
    pub const fn is_failing(&self) -> bool {
        self.failures >= FAILING_FROM
    }

    /// The journal was read up to `position`; what there was to tell was offered before.
    pub fn read_to(&mut self, position: u64) {
        self.read = self.read.max(position);
    }

    /// Takes in a message, due at once.
    pub fn offer(&mut self, key: MessageKey, body: Arc<[u8]>, now: UnixNanos) {
        let waiting = Waiting { body, tries: 0, due: now, since: now, under_way: false };
        self.waiting.entry(key).or_insert(waiting);
    }

    /// Everything before this position is settled.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.waiting.keys().next().map_or(self.read, |key| key.position.min(self.read))
    }

    fn may_start(&self) -> bool {
        self.under_way < if self.is_failing() { 1 } else { UNDER_WAY_MAX }
    }

    /// The next message to send, if one is due and may be under way; it is then.
    pub fn start(&mut self, now: UnixNanos) -> Option<(MessageKey, Arc<[u8]>)> {
        if !self.may_start() {
            return None;
        }
        let due = |waiting: &Waiting| !waiting.under_way && waiting.due <= now;
        let (key, waiting) = self
            .waiting
            .iter_mut()
            .filter(|(_, waiting)| due(waiting))
            .min_by_key(|(key, waiting)| (waiting.due, **key))?;
        waiting.under_way = true;
        waiting.tries += 1;
        self.under_way += 1;
        Some((*key, Arc::clone(&waiting.body)))
    }

    /// When the next message is due; `None` when none waits or none may start before another has ended.
    #[must_use]
    pub fn wake_at(&self) -> Option<UnixNanos> {
        if !self.may_start() {
            return None;
        }
        self.waiting.values().filter(|waiting| !waiting.under_way).map(|waiting| waiting.due).min()
    }

    /// A message under way was taken.
    pub fn delivered(&mut self, key: MessageKey, now: UnixNanos) {
        self.under_way = self.under_way.saturating_sub(1);
        self.waiting.remove(&key);
        if self.is_failing() {
            self.waiting.values_mut().for_each(|waiting| waiting.due = waiting.due.min(now));
        }
        self.failures = 0;
        self.taken_at = Some(now);
    }

    /// A message under way was not taken. `retry_after` is what the endpoint asked for, `random` uniform over all values.
    pub fn failed(
        &mut self,
        key: MessageKey,
        now: UnixNanos,
        retry_after: Option<Duration>,
        random: u32,
    ) -> After {
        self.under_way = self.under_way.saturating_sub(1);
        self.failures = self.failures.saturating_add(1);
        let taken_at = self.taken_at;
        let Some(waiting) = self.waiting.get_mut(&key) else {
            return After::Again { at: now };
        };
        let Some(wait) = self.schedule.wait(waiting.tries, random) else {
            let took_nothing = taken_at.is_none_or(|at| at < waiting.since);
            // It stays under way, so to say, until somebody has recorded what became of it.
            return After::Exhausted { tries: waiting.tries, took_nothing };
        };
        waiting.under_way = false;
        waiting.due = now.plus(wait.max(retry_after.unwrap_or_default().min(Schedule::WAIT_MAX)));
        After::Again { at: waiting.due }
    }

    /// What became of a message is recorded: it is among the dead letters, or was skipped.
    pub fn settle(&mut self, key: MessageKey) {
        self.waiting.remove(&key);
    }

    /// How often a message was tried.
    #[must_use]
    pub fn tries(&self, key: MessageKey) -> u32 {
        self.waiting.get(&key).map_or(0, |waiting| waiting.tries)
    }

    /// Asks for one more try of a dead letter.
    pub fn replay(&mut self, key: MessageKey) {
        if !self.replays.contains(&key) {
            self.replays.push_back(key);
        }
    }

    /// The next dead letter to try, if one may be under way; it is then.
    pub fn start_replay(&mut self) -> Option<MessageKey> {
        if !self.may_start() {
            return None;
        }
        let key = self.replays.pop_front()?;
        self.under_way += 1;
        Some(key)
    }

    /// A replay has ended.
    pub fn replayed(&mut self, was_taken: bool, now: UnixNanos) {
        self.under_way = self.under_way.saturating_sub(1);
        if was_taken {
            if self.is_failing() {
                self.waiting.values_mut().for_each(|waiting| waiting.due = waiting.due.min(now));
            }
            self.failures = 0;
            self.taken_at = Some(now);
        }
    }

    /// Whether a dead letter waits for its try, where one may start.
    #[must_use]
    pub fn has_replay(&self) -> bool {
        self.may_start() && !self.replays.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: UnixNanos = UnixNanos::from_secs(1_000);

    fn key(position: u64) -> MessageKey {
        MessageKey { position, event_type: EventType::DecisionHeld }
    }

    fn outbox(tries: u32, messages: u64) -> Outbox {
        let mut outbox = Outbox::new(Schedule { first: Duration::from_secs(5), tries }, 0);
        for position in 0..messages {
            outbox.offer(key(position), Arc::from(&b"{}"[..]), T0);
        }
        outbox.read_to(messages);
        outbox
    }

    fn started(outbox: &mut Outbox, now: UnixNanos) -> Vec<u64> {
        std::iter::from_fn(|| outbox.start(now)).map(|(key, _)| key.position).collect()
    }

    #[test]
    fn what_is_settled_is_acknowledged_and_no_more() {
        let mut outbox = outbox(3, 4);
        assert_eq!(started(&mut outbox, T0), [0, 1, 2, 3]);
        outbox.delivered(key(1), T0);
        outbox.delivered(key(3), T0);
        assert_eq!(outbox.acknowledged(), 0);
        let After::Again { at } = outbox.failed(key(0), T0, None, 0) else { panic!("two tries are left") };
        assert_eq!(at, T0.plus(Duration::from_secs(5)));
        outbox.delivered(key(2), T0);
        assert_eq!((outbox.acknowledged(), outbox.wake_at()), (0, Some(at)));
        assert!(started(&mut outbox, T0).is_empty());
        assert_eq!(started(&mut outbox, at), [0]);
        outbox.delivered(key(0), at);
        assert_eq!((outbox.acknowledged(), outbox.wake_at()), (4, None));
    }

    #[test]
    fn a_failing_endpoint_is_asked_one_by_one_and_gets_everything_once_it_answers() {
        let mut outbox = outbox(9, 6);
        for position in started(&mut outbox, T0) {
            outbox.failed(key(position), T0, None, 0);
        }
        assert!(outbox.is_failing());
        let later = T0.plus(Duration::from_secs(5));
        assert_eq!(started(&mut outbox, later), [0]);
        assert_eq!(outbox.wake_at(), None, "one at a time");
        outbox.failed(key(0), later, Some(Duration::from_secs(3_600)), 0);
        assert_eq!(started(&mut outbox, later), [1]);
        outbox.delivered(key(1), later);
        assert_eq!(started(&mut outbox, later), [0, 2, 3, 4, 5], "what the endpoint asked for is over too");
    }

    #[test]
    fn the_last_try_tells_whether_anything_was_taken() {
        let mut outbox = outbox(2, 2);
        let (mut now, mut ends) = (T0, Vec::new());
        for _ in 0..8 {
            for position in started(&mut outbox, now) {
                if let After::Exhausted { tries, took_nothing } = outbox.failed(key(position), now, None, 0) {
                    ends.push((position, tries, took_nothing));
                    outbox.settle(key(position));
                }
            }
            now = now.plus(Duration::from_secs(5));
        }
        assert_eq!(ends, [(0, 2, true), (1, 2, true)]);
        outbox.offer(key(7), Arc::from(&b"{}"[..]), now);
        outbox.offer(key(8), Arc::from(&b"{}"[..]), now);
        // The second is taken, so the first is due again at once, and its end is no longer the endpoint's.
        let mut ends = Vec::new();
        while let Some((next, _)) = outbox.start(now) {
            if next == key(8) {
                outbox.delivered(next, now);
            } else if let After::Exhausted { tries, took_nothing } = outbox.failed(next, now, None, 0) {
                ends.push((tries, took_nothing));
                outbox.settle(next);
            }
        }
        assert_eq!(ends, [(2, false)]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn replays_take_turns_and_do_not_hold_up_what_is_acknowledged() {
        let mut outbox = outbox(3, 0);
        outbox.replay(key(3));
        outbox.replay(key(3));
        assert!(outbox.has_replay());
        assert_eq!((outbox.start_replay(), outbox.start_replay()), (Some(key(3)), None));
        assert_eq!(outbox.acknowledged(), 0);
        outbox.replayed(false, T0);
        assert!(!outbox.has_replay());
    }

    proptest! {
        /// Whatever fails in whatever order: nothing is acknowledged that was neither delivered nor given up on, never more
        /// is under way than may be, and in the end everything is settled.
        #[test]
        fn nothing_is_lost(outcomes in prop::collection::vec(any::<(bool, u32)>(), 1..400), messages in 1_u64..60) {
            let mut outbox = outbox(4, messages);
            let mut settled = std::collections::BTreeSet::new();
            let (mut now, mut under_way) = (T0, Vec::new());
            let mut outcomes = outcomes.into_iter().cycle();
            for _ in 0..100_000 {
                while let Some((next, _)) = outbox.start(now) {
                    under_way.push(next);
                    prop_assert!(under_way.len() <= UNDER_WAY_MAX);
                }
                let Some(next) = under_way.pop() else {
                    let Some(at) = outbox.wake_at() else { break };
                    now = now.max(at);
                    continue;
                };
                let (fine, random) = outcomes.next().expect("a cycle has no end");
                if fine {
                    outbox.delivered(next, now);
                    settled.insert(next);
                } else if let After::Exhausted { tries, .. } = outbox.failed(next, now, None, random) {
                    prop_assert_eq!(tries, 4);
                    outbox.settle(next);
                    settled.insert(next);
                }
                let acknowledged = outbox.acknowledged();
                prop_assert!((0..acknowledged).all(|position| settled.contains(&key(position))));
            }
            prop_assert_eq!(outbox.acknowledged(), messages);
        }
    }
}
