//! Lists, and what was judged again because they changed.

use std::fmt;

use super::{Encoder, Whole};

impl Whole {
    pub(super) fn screening(&self, to: &mut Encoder<'_>) -> fmt::Result {
        let rejudged = self.core.ground.read(|fold| fold.rejudged().clone());
        let counts: Vec<_> = rejudged
            .counts()
            .map(|(way, by, what, count)| {
                ([("of", way.as_str()), ("by", by.as_str()), ("what", what)], count)
            })
            .collect();
        to.counters(
            "caponier_rejudged",
            "Alerts raised and retracted because a list changed: of past answers, chain alerts, deposits and withdrawals, by \
             what lists say of the address or by its exposure",
            counts.iter().map(|(labels, count)| (labels.as_slice(), *count)),
        )?;
        to.counter(
            "caponier_rejudged_rounds",
            "Times all past transfers, answers and chain alerts were held against the lists",
            rejudged.rounds(),
        )?;
        let now = self.core.clock.now();
        let lists: Vec<_> = self
            .core
            .watch
            .lists()
            .into_iter()
            .map(|list| {
                (list.name.to_string(), now.since(list.imported_at).as_secs(), list.addresses + list.texts)
            })
            .collect();
        let labels: Vec<_> = lists.iter().map(|(name, ..)| [("list", name.as_str())]).collect();
        to.gauges(
            "caponier_list_age_seconds",
            "Since the state of the list that is in force was imported",
            labels.iter().zip(&lists).map(|(labels, (_, age, _))| (labels.as_slice(), *age)),
        )?;
        to.gauges(
            "caponier_list_entries",
            "Addresses and texts the list names",
            labels.iter().zip(&lists).map(|(labels, (.., entries))| (labels.as_slice(), *entries)),
        )
    }
}
