//! How serious a resemblance is, given what else was seen.

use std::time::Duration;

use domain::UnixNanos;

use super::{Likeness, Thresholds};

/// How long a worthless transfer from a look-alike counts.
pub const BAIT_REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3_600);
/// An address that was in use so long before the one it resembles cannot have been made after it.
pub const ESTABLISHED_LEAD: Duration = Duration::from_secs(30 * 24 * 3_600);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// The ends agree, which happens by chance once in some million pairs: the customer should look again.
    Notice,
    /// An imitation by all signs: people should look.
    Alarm,
    /// Not an imitation but a known address with a typing error in it: nobody can grind so many digits, and nobody holds
    /// the key of what was typed. What is sent there is lost.
    Mistyped,
}

impl Level {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Alarm => "alarm",
            Self::Mistyped => "mistyped",
        }
    }
}

/// Worthless transfers by which an address puts itself into histories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bait {
    /// Transfers of nothing at all.
    pub zero_value: u32,
    /// Transfers of next to nothing.
    pub dust: u32,
    /// Transfers of tokens that borrow another's name.
    pub counterfeit: u32,
    /// The latest of them.
    pub latest: Option<UnixNanos>,
}

impl Bait {
    /// Of all kinds, if the latest is recent enough to count at `now`.
    #[must_use]
    pub fn counted(&self, now: UnixNanos) -> u32 {
        let recent = self.latest.is_some_and(|latest| now.since(latest) <= BAIT_REMEMBERED);
        if recent { self.zero_value.saturating_add(self.dust).saturating_add(self.counterfeit) } else { 0 }
    }
}

/// What was seen of the two addresses besides how they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Context {
    /// When the look-alike was first seen on its chain, as far as is known.
    pub look_alike_first_seen: Option<UnixNanos>,
    /// When the address it resembles was first seen, by anybody: on the chain or in the customer's history.
    pub known_first_seen: Option<UnixNanos>,
    /// Worthless transfers of the look-alike.
    pub bait: Bait,
}

/// What led to a level, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Ground {
    /// The look-alike has sent worthless transfers lately.
    Baited,
    /// It was in use long before the address it resembles, so it was not made after it.
    Older,
    /// Both ends agree in more digits than chance explains.
    Strong,
    /// It was seen for the first time after the address it resembles, or never.
    Younger,
}

impl Ground {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Baited => "baited",
            Self::Older => "older",
            Self::Strong => "strong",
            Self::Younger => "younger",
        }
    }
}

/// A level and what led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What is asked for.
    pub level: Level,
    /// Why, in declaration order.
    pub grounds: Vec<Ground>,
}

/// Judges a resemblance; `None` if the addresses are not alike.
///
/// An alarm needs more than likeness that chance explains: either the digits themselves are beyond chance, or the
/// look-alike has sent bait. An address that was in use [`ESTABLISHED_LEAD`] before the one it resembles was not made in
/// its image, whatever the digits and whatever it has sent; it stays at a notice.
#[must_use]
pub fn judge(
    likeness: Likeness,
    thresholds: &Thresholds,
    context: &Context,
    now: UnixNanos,
) -> Option<Judgement> {
    if !thresholds.alike(likeness) {
        return None;
    }
    let older = match (context.look_alike_first_seen, context.known_first_seen) {
        (Some(look_alike), Some(known)) => look_alike < known && known.since(look_alike) >= ESTABLISHED_LEAD,
        _ => false,
    };
    let baited = context.bait.counted(now) > 0;
    let strong = thresholds.strong(likeness);
    let grounds = [
        (baited, Ground::Baited),
        (older, Ground::Older),
        (strong, Ground::Strong),
        (!older, Ground::Younger),
    ];
    Some(Judgement {
        level: if thresholds.mistyped(likeness) {
            Level::Mistyped
        } else if !older && (baited || strong) {
            Level::Alarm
        } else {
            Level::Notice
        },
        grounds: grounds.into_iter().filter_map(|(holds, ground)| holds.then_some(ground)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3_600 * 1_000_000_000;

    fn level(leading: u32, trailing: u32, context: Context) -> Option<Level> {
        let likeness = Likeness { leading, trailing };
        judge(likeness, &Thresholds::HEX, &context, UnixNanos(100 * DAY)).map(|judgement| judgement.level)
    }

    #[test]
    fn digits_alone() {
        assert_eq!(level(2, 3, Context::default()), None);
        assert_eq!(level(0, 6, Context::default()), Some(Level::Notice));
        assert_eq!(level(2, 4, Context::default()), Some(Level::Notice));
        assert_eq!(level(3, 4, Context::default()), Some(Level::Alarm));
        assert_eq!(level(0, 8, Context::default()), Some(Level::Alarm));
    }

    #[test]
    fn bait_raises_while_it_is_fresh() {
        let bait = |day| Bait { zero_value: 1, latest: Some(UnixNanos(day * DAY)), ..Bait::default() };
        assert_eq!(level(0, 6, Context { bait: bait(70), ..Context::default() }), Some(Level::Alarm));
        assert_eq!(level(0, 6, Context { bait: bait(69), ..Context::default() }), Some(Level::Notice));
        assert_eq!(level(0, 5, Context { bait: bait(99), ..Context::default() }), None);
    }

    #[test]
    fn what_was_there_before_is_no_imitation() {
        let seen = |look_alike, known| Context {
            look_alike_first_seen: Some(UnixNanos(look_alike * DAY)),
            known_first_seen: Some(UnixNanos(known * DAY)),
            ..Context::default()
        };
        assert_eq!(level(3, 4, seen(10, 40)), Some(Level::Notice));
        assert_eq!(level(3, 4, seen(10, 39)), Some(Level::Alarm));
        assert_eq!(level(3, 4, seen(40, 10)), Some(Level::Alarm));
        let baited = Context {
            bait: Bait { dust: 1, latest: Some(UnixNanos(99 * DAY)), ..Bait::default() },
            ..seen(10, 40)
        };
        assert_eq!(level(3, 4, baited), Some(Level::Notice));
        assert_eq!(level(10, 6, seen(10, 40)), Some(Level::Mistyped));
    }
}
