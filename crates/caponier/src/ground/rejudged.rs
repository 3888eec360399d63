//! How often what was said before is said otherwise because a list changed: counted while the journal is folded, so the
//! counts go on where they were after a restart.

use watch::rescreen::Way;

/// What is spoken of again.
const WAYS: [Way; 4] = [Way::Answer, Way::ChainAlert, Way::Deposit, Way::Withdrawal];

/// What an entry says anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// What lists say of the address itself.
    List,
    /// What its money came from or went to.
    Exposure,
}

impl By {
    /// Stable lower-case name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Exposure => "exposure",
        }
    }
}

/// Alerts raised and retracted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Changes {
    raised: u64,
    retracted: u64,
}

/// Counts since the beginning of the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rejudged {
    by_list: [Changes; 4],
    by_exposure: [Changes; 4],
    /// How often all was held against the lists.
    rounds: u64,
}

impl Rejudged {
    /// Counts one alert; one of a way that is not known here counts nowhere.
    pub(crate) fn said(&mut self, by: By, way: &str, is_raised: bool) {
        let ways = match by {
            By::List => &mut self.by_list,
            By::Exposure => &mut self.by_exposure,
        };
        let found = WAYS.iter().zip(ways).find(|(known, _)| known.as_str() == way);
        if let Some((_, changes)) = found {
            let count = if is_raised { &mut changes.raised } else { &mut changes.retracted };
            *count += 1;
        }
    }

    /// Counts one round.
    pub(crate) const fn round(&mut self) {
        self.rounds += 1;
    }

    /// Rounds.
    pub(crate) const fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Every count, by what is spoken of, why, and what became of it.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Way, By, &'static str, u64)> {
        let both = [(By::List, &self.by_list), (By::Exposure, &self.by_exposure)];
        both.into_iter().flat_map(|(by, ways)| {
            WAYS.into_iter().zip(ways).flat_map(move |(way, changes)| {
                [(way, by, "raised", changes.raised), (way, by, "retracted", changes.retracted)]
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_stands_for_itself() {
        let mut rejudged = Rejudged::default();
        rejudged.said(By::List, "answer", true);
        rejudged.said(By::List, "answer", true);
        rejudged.said(By::List, "chain_alert", false);
        rejudged.said(By::Exposure, "deposit", true);
        rejudged.said(By::List, "rumour", true);
        rejudged.round();
        let some: Vec<_> = rejudged.counts().filter(|(.., count)| *count > 0).collect();
        assert_eq!(
            some,
            [
                (Way::Answer, By::List, "raised", 2),
                (Way::ChainAlert, By::List, "retracted", 1),
                (Way::Deposit, By::Exposure, "raised", 1),
            ]
        );
        assert_eq!((rejudged.counts().count(), rejudged.rounds()), (16, 1));
    }
}
