//! What the gateway still has to tell the privileged process. Pure: time is an argument, nothing is sent.
//!
//! Bans of one prefix coalesce into the longest. Everything that is to be in force is remembered until it ends, so
//! that after a lost connection the other side is told all of it again.
//!
//! Bounds: [`WANTED_MAX`] bans; a batch is at most [`BATCH_COMMANDS_MAX`] commands.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use domain::UnixNanos;

use crate::{
    prefix::Prefix,
    protocol::{BATCH_COMMANDS_MAX, Ban, Command, Reason, Refusal, Ttl},
};

/// Most bans remembered: as many as the other side takes.
pub const WANTED_MAX: usize = 100_000;

/// No room for another ban until some have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("100000 bans are waiting or in force")]
pub struct QueueFull;

#[derive(Debug)]
struct Wanted {
    ends: UnixNanos,
    reason: Reason,
}

/// What is to be in force, and what of it is not said yet.
#[derive(Debug, Default)]
pub struct Outbox {
    wanted: BTreeMap<Prefix, Wanted>,
    unsaid: BTreeSet<Prefix>,
    /// To be lifted before anything else is said.
    lifted: BTreeSet<Prefix>,
    /// Everything is to be said anew.
    afresh: bool,
}

impl Outbox {
    /// Asks for a ban, or for a longer one.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn ban(&mut self, ban: Ban, now: UnixNanos) -> Result<(), QueueFull> {
        let ends = now.plus(Duration::from_secs(ban.ttl.seconds().into()));
        if let Some(wanted) = self.wanted.get_mut(&ban.prefix) {
            if wanted.ends < ends {
                *wanted = Wanted { ends, reason: ban.reason };
                self.unsaid.insert(ban.prefix);
            }
            return Ok(());
        }
        if self.wanted.len() >= WANTED_MAX {
            return Err(QueueFull);
        }
        self.unsaid.insert(ban.prefix);
        self.wanted.insert(ban.prefix, Wanted { ends, reason: ban.reason });
        Ok(())
    }

    /// Takes a ban back.
    pub fn lift(&mut self, prefix: &Prefix) {
        if self.wanted.remove(prefix).is_none() {
            return;
        }
        self.unsaid.remove(prefix);
        if self.lifted.len() < WANTED_MAX {
            // Also if it was not said: an earlier, shorter one may have been.
            self.lifted.insert(*prefix);
        } else {
            self.start_afresh();
        }
    }

    /// The other side knows nothing of what it was told: the connection is new.
    pub fn start_afresh(&mut self) {
        self.lifted.clear();
        self.unsaid = self.wanted.keys().copied().collect();
        self.afresh = true;
    }

    /// Whether there is something to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unsaid.is_empty() && self.lifted.is_empty() && !self.afresh
    }

    /// Bans that are to be in force.
    #[must_use]
    pub fn wanted(&self) -> usize {
        self.wanted.len()
    }

    /// What to say next, without the closing `apply`. It counts as said: if it did not get through, or no answer came
    /// back, [`Outbox::start_afresh`].
    pub fn next_batch(&mut self, now: UnixNanos) -> Vec<Command> {
        self.wanted.retain(|prefix, wanted| {
            let lasts = wanted.ends > now;
            if !lasts {
                self.unsaid.remove(prefix);
            }
            lasts
        });
        let mut batch = Vec::new();
        if std::mem::take(&mut self.afresh) {
            batch.push(Command::Flush);
        }
        while batch.len() < BATCH_COMMANDS_MAX
            && let Some(prefix) = self.lifted.pop_first()
        {
            batch.push(Command::Remove(prefix));
        }
        while batch.len() < BATCH_COMMANDS_MAX
            && let Some(prefix) = self.unsaid.pop_first()
        {
            let Some(wanted) = self.wanted.get(&prefix) else { continue };
            let left = wanted.ends.since(now);
            let ttl = Ttl::clamp(left.as_secs() + u64::from(left.subsec_nanos() > 0));
            batch.push(Command::Add(Ban { prefix, ttl, reason: wanted.reason.clone() }));
        }
        batch
    }

    /// Commands of a batch were refused.
    pub fn refused(&mut self, batch: &[Command], refused: &[(usize, Refusal)]) {
        for (idx, refusal) in refused {
            let Some(Command::Add(Ban { prefix, .. })) = batch.get(*idx) else { continue };
            // To be tried again: room and credit come back with time.
            if matches!(refusal, Refusal::Full | Refusal::Rate) {
                if self.wanted.contains_key(prefix) {
                    self.unsaid.insert(*prefix);
                }
            } else {
                self.unsaid.remove(prefix);
                self.wanted.remove(prefix);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        nft::Setup,
        table::{Limits, Table},
    };

    fn ban(text: &str, seconds: u64) -> Ban {
        let reason = Reason::parse("test").unwrap();
        Ban { prefix: Prefix::parse(text).unwrap(), ttl: Ttl::clamp(seconds), reason }
    }

    fn at(seconds: u64) -> UnixNanos {
        UnixNanos::from_secs(seconds)
    }

    #[test]
    fn bans_coalesce_and_what_is_refused_for_good_is_forgotten() {
        let mut outbox = Outbox::default();
        for seconds in [10, 60, 30] {
            outbox.ban(ban("1.2.3.4", seconds), at(0)).unwrap();
        }
        outbox.ban(ban("127.0.0.1", 60), at(0)).unwrap();
        let batch = outbox.next_batch(at(1));
        assert_eq!(batch, [Command::Add(ban("1.2.3.4", 59)), Command::Add(ban("127.0.0.1", 59))]);
        outbox.refused(&batch, &[(0, Refusal::Rate), (1, Refusal::Protected)]);
        assert_eq!(outbox.next_batch(at(2)), [Command::Add(ban("1.2.3.4", 58))]);
        assert_eq!(outbox.next_batch(at(60)), []);
        assert!(outbox.is_empty() && outbox.wanted() == 0);
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let mut outbox = Outbox::default();
        let address = |n: u32| Prefix::of(std::net::IpAddr::from(n.to_be_bytes()));
        for n in 0..100_000 {
            outbox.ban(Ban { prefix: address(n), ..ban("::2", 60) }, at(0)).unwrap();
        }
        let full = outbox.ban(Ban { prefix: address(u32::MAX), ..ban("::2", 60) }, at(0));
        assert_eq!(full, Err(QueueFull));
        assert_eq!(outbox.next_batch(at(0)).len(), BATCH_COMMANDS_MAX);
        outbox.next_batch(at(61));
        outbox.ban(ban("1.2.3.4", 60), at(61)).unwrap();
    }

    proptest! {
        #[test]
        fn after_any_losses_the_other_side_has_what_is_wanted(
            steps in prop::collection::vec((0_u8..8, 0_u8..12, 1_u64..40), 1..60),
        ) {
            let fresh = || Table::new(Limits::default(), Setup::default(), at(0));
            let (mut outbox, mut table) = (Outbox::default(), fresh());
            let mut now = 0;
            for (what, host, seconds) in steps {
                let prefix = Prefix::of(std::net::IpAddr::from([9, 9, 9, host]));
                match what {
                    0..=3 => outbox.ban(Ban { prefix, ..ban("::2", seconds) }, at(now)).unwrap(),
                    4 => outbox.lift(&prefix),
                    // The connection is lost, with or without the other side and its bans.
                    5 => outbox.start_afresh(),
                    6 => { table = fresh(); outbox.start_afresh(); }
                    _ => {
                        now += 1;
                        let batch = outbox.next_batch(at(now));
                        let heard: Vec<_> = batch.iter().cloned().map(Ok).collect();
                        table.batch(&heard, at(now));
                        // The answer may be lost.
                        if seconds % 3 == 0 { outbox.start_afresh() }
                    }
                }
            }
            let batch = outbox.next_batch(at(now));
            table.batch(&batch.iter().cloned().map(Ok).collect::<Vec<_>>(), at(now));
            let in_force: BTreeSet<Prefix> = table.bans(at(now)).map(|ban| ban.prefix).collect();
            prop_assert_eq!(in_force, outbox.wanted.keys().copied().collect());
            prop_assert!(outbox.is_empty());
        }
    }
}
