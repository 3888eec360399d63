//! What a monitoring system is told of webhooks; the names of endpoints are the operator's, at most
//! [`webhook::ENDPOINTS_MAX`].

use std::fmt;

use api::WebhookView;

use super::{Encoder, Labels, Whole};

impl Whole {
    pub(super) fn webhooks(&self, to: &mut Encoder<'_>) -> fmt::Result {
        let all = self.core.webhooks.views();
        let labels: Vec<_> = all.iter().map(|view| [("endpoint", view.endpoint.name.as_str())]).collect();
        let each = |value: fn(&WebhookView) -> u64| {
            let values: Vec<(Labels<'_>, u64)> =
                labels.iter().zip(&all).map(|(labels, view)| (labels.as_slice(), value(view))).collect();
            values.into_iter()
        };
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        to.gauges(
            "caponier_webhook_up",
            "1 while messages go out to the endpoint and it takes them",
            each(|view| u64::from(view.endpoint.state == webhook::State::Enabled && !view.live.is_failing)),
        )?;
        to.gauges(
            "caponier_webhook_waiting",
            "Messages that wait in the window",
            each(|view| view.live.waiting),
        )?;
        to.gauges(
            "caponier_webhook_behind_entries",
            "Entries of the journal from the oldest that is not settled",
            each(|view| view.live.behind),
        )?;
        let dead: Vec<_> = all.iter().map(|view| count(view.endpoint.dead.len())).collect();
        to.gauges(
            "caponier_webhook_dead_letters",
            "Messages that were given up on",
            labels.iter().zip(dead).map(|(labels, dead)| (labels.as_slice(), dead)),
        )?;
        to.counters(
            "caponier_webhook_delivered",
            "Messages that were taken",
            each(|view| view.live.delivered),
        )?;
        let failed: Vec<_> = all
            .iter()
            .flat_map(|view| {
                let endpoint = view.endpoint.name.as_str();
                let failed = view.live.failed.iter();
                failed.map(move |(why, count)| ([("endpoint", endpoint), ("why", *why)], *count))
            })
            .collect();
        to.counters(
            "caponier_webhook_failed",
            "Tries that failed, by what they came to",
            failed.iter().map(|(labels, count)| (labels.as_slice(), *count)),
        )
    }
}
