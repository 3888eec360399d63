//! Who attacks, and who is kept out.

use identity::Capability;
use maud::{Markup, html};

use super::{
    badge, ends, headed,
    live::{refusals, tile},
    nothing,
};
use crate::{
    ports::Viewer,
    svg,
    time::{count, stamp},
    view::{Ban, Live, Tone},
};

/// Characters of a target shown.
const TARGET_CHARS: usize = 44;

pub(crate) fn page(live: &Live, bans: &[Ban], viewer: &Viewer, says: Option<&str>) -> Markup {
    let may = viewer.may(Capability::ManageBans);
    let now = live.seconds.last().copied().unwrap_or_default();
    let most = live.seconds.iter().map(|second| second.refused).max().unwrap_or(0);
    let refused: u64 = live.refusals.iter().map(|(_, n)| n).sum();
    let number = |in_force: bool| {
        u64::try_from(bans.iter().filter(|ban| ban.in_force == in_force).count()).unwrap_or(u64::MAX)
    };
    let (in_force, watched) = (number(true), number(false));
    html! {
        (headed("Attack view", "What is refused, and who is kept out for how long.", &html! {
            a.button.plain href="/console/export/bans.csv" { "Export CSV" }
            a.button.plain href="/console/export/bans.ndjson" { "Export NDJSON" }
        }))
        @if let Some(says) = says { p.card.notice.bad role="alert" { (says) } }
        dl.tiles {
            (tile("refused now", &(count(now.refused) + "/s"), &format!("beside {}/s answered", count(now.forwarded))))
            (tile("most refused", &(count(most) + "/s"), &format!("in the last {} s", live.seconds.len())))
            (tile("refused", &count(refused), "since the start"))
            (tile("banned", &count(in_force), &if watched == 0 { "sources kept out".to_owned() } else { format!("and {} only watched", count(watched)) }))
        }
        section.card { h2 { "Requests a second" } (svg::traffic(&live.seconds)) }
        section.card {
            h2 { "Refusals since the start" }
            (refusals(live, live.refusals.len()))
        }
        section.card {
            h2 { "Bans" }
            @if bans.is_empty() { (nothing("Nobody is banned.")) }
            @else { div.scroll { table.stack {
                thead { tr { th { "who" } th { "state" } th { "because" } th { "seen" } th { "since" } th { "until" } @if may { th { "" } } } }
                tbody { @for ban in bans { tr data-row {
                    td.mono data-label="who" { (ends(&ban.target, TARGET_CHARS)) }
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
