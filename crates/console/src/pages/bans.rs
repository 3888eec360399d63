//! Who attacks, and who is kept out.

use maud::{Markup, html};

use super::{badge, heading, nothing};
use crate::{
    svg,
    time::{count, stamp},
    view::{Ban, Live, Tone},
};

pub(crate) fn page(live: &Live, bans: &[Ban]) -> Markup {
    html! {
        (heading("Attack view", "What is refused, and who is kept out for how long."))
        section.card { h2 { "Requests a second" } (svg::traffic(&live.seconds)) }
        section.card {
            h2 { "Refusals since the start" }
            @if live.refusals.is_empty() { (nothing("Nothing was refused yet.")) }
            @else { div.scroll { table {
                thead { tr { th { "reason" } th.number { "how often" } } }
                tbody { @for (reason, n) in &live.refusals { tr {
                    td { code { (reason) } } td.number { (count(*n)) }
                } } }
            } } }
        }
        section.card {
            h2 { "Bans" }
            @if bans.is_empty() { (nothing("Nobody is banned.")) }
            @else { div.scroll { table.stack {
                thead { tr { th { "who" } th { "state" } th { "because" } th { "seen" } th { "since" } th { "until" } } }
                tbody { @for ban in bans { tr data-row {
                    td.mono data-label="who" { (ban.target) }
                    td data-label="state" {
                        @if ban.in_force { (badge(Tone::Bad, "banned")) } @else { (badge(Tone::Warn, "shadow")) }
                    }
                    td data-label="because" { (ban.reason.replace('_', " ")) }
                    td data-label="seen" {
                        @for (at, (event, n)) in ban.evidence.iter().enumerate() {
                            @if at > 0 { ", " } (event.replace('_', " ")) " " (count(*n))
                        }
                    }
                    td data-label="since" { (stamp(&ban.since)) }
                    td data-label="until" { (stamp(&ban.until)) }
                } } }
            } } }
        }
        p.muted { "To end a ban: " code { "caponier bans lift TARGET" } "." }
    }
}
