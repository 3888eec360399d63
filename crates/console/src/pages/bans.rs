//! Who attacks, and who is kept out.

use identity::Capability;
use maud::{Markup, html};

use super::{badge, heading, nothing};
use crate::{
    ports::Viewer,
    svg,
    time::{count, stamp},
    view::{Ban, Live, Tone},
};

pub(crate) fn page(live: &Live, bans: &[Ban], viewer: &Viewer, says: Option<&str>) -> Markup {
    let may = viewer.may(Capability::ManageBans);
    html! {
        (heading("Attack view", "What is refused, and who is kept out for how long."))
        @if let Some(says) = says { p.card.notice.bad role="alert" { (says) } }
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
                thead { tr { th { "who" } th { "state" } th { "because" } th { "seen" } th { "since" } th { "until" } @if may { th { "" } } } }
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
                    @if may { td { form method="post" action="/console/bans" {
                        input type="hidden" name="deed" value="lift";
                        input type="hidden" name="target" value=(ban.target);
                        button.plain aria-label=(format!("Let {} in again", ban.target)) { "Let in" }
                    } } }
                } } }
            } } }
        }
        @if may { section.card {
            h2 { "Ban by hand" }
            form.row method="post" action="/console/bans" {
                input type="hidden" name="deed" value="ban";
                label { "Address, network or AS number" input name="target" required maxlength="64" autocomplete="off" placeholder="192.0.2.7, 198.51.100.0/24, AS64500"; }
                label { "Minutes" input type="number" name="minutes" min="1" max="525600" value="60" required; }
                label.grow { "Why" input name="reason" required maxlength="250" autocomplete="off"; }
                button.danger { "Ban" }
            }
        } }
    }
}
