//! The state of everything, every second.

use domain::Verdict;
use identity::Capability;
use maud::{Markup, html};

use super::{badge, decisions, heading, nothing};
use crate::{
    headers::Nonce,
    ports::Viewer,
    svg,
    time::{count, moment, span},
    view::{Live, Mode, Tone},
};

/// Reasons of refusals shown; the rest are added up.
const REASONS_SHOWN: usize = 8;

/// The page. With scripts its inside is replaced every second; without, by loading it again.
pub(crate) fn page(live: &Live, stopped: &Markup, nonce: &Nonce, viewer: &Viewer) -> Markup {
    html! {
        (heading("Live", "What passes, what is stopped, and what does not work."))
        @if viewer.may(Capability::FreezeOutflow) || viewer.may(Capability::RaiseAlarm) {
            p.panic {
                @if viewer.may(Capability::FreezeOutflow) { a.button.danger href="/console/emergency#freeze" { "Freeze withdrawals" } }
                @if viewer.may(Capability::RaiseAlarm) { a.button.danger href="/console/emergency#alarm" { "Raise the alarm" } }
            }
        }
        noscript { p.card.notice { "Scripts are off: load the page again for newer numbers." } }
        section #live aria-label="Live" hx-sse:connect="/console/live" hx-swap="innerHTML" hx-nonce=(nonce.as_str()) {
            (numbers(live, stopped, viewer.may(Capability::ReadDecisions)))
        }
    }
}

/// The part that changes. It has no attribute that htmx would act on, so it needs no nonce.
pub(crate) fn numbers(live: &Live, stopped: &Markup, may_read_decisions: bool) -> Markup {
    let decided: u64 = live.decided.iter().sum();
    let up = live.at.since(live.started_at).as_secs();
    html! {
        p.card.notice.bad #lost { "The connection is lost; these numbers are old." }
        (stopped)
        @for fault in &live.faults { p.card.notice.bad role="alert" { (fault) } }
        dl.tiles {
            (tile("requests", &count(live.requests)))
            (tile("answered", &count(live.forwarded)))
            (tile("refused", &count(live.refusals.iter().map(|(_, n)| n).sum())))
            (tile("decisions", &count(decided)))
            (tile("banned now", &count(u64::try_from(live.bans).unwrap_or(u64::MAX))))
            (tile("journal entries", &count(live.entries)))
        }
        div.grid {
            section.card.wide {
                h2 { "Requests a second" }
                (svg::traffic(&live.seconds))
            }
            section.card.wide {
                h2 { "Parts" }
                ul.parts {
                    @for part in &live.parts {
                        li {
                            span { (part.name) " " (badge(tone(part.mode), part.mode.as_str())) }
                            span.muted { (part.detail) }
                        }
                    }
                }
            }
            section.card {
                h2 { "Refused because" }
                (refusals(live))
            }
            section.card {
                h2 { "Withdrawals decided" }
                (verdicts(live, decided))
            }
            @if may_read_decisions {
                section.card.wide {
                    h2 { "Newest decisions" }
                    (decisions::table(&live.decisions))
                }
            }
        }
        p.muted { "As of " (moment(live.at)) " UTC. Running for " (span(up)) "." }
    }
}

fn tile(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

const fn tone(mode: Mode) -> Tone {
    match mode {
        Mode::Enforcing => Tone::Good,
        Mode::Off => Tone::Plain,
        Mode::Shadow => Tone::Warn,
    }
}

fn refusals(live: &Live) -> Markup {
    let Some((_, most)) = live.refusals.first() else { return nothing("Nothing was refused yet.") };
    let rest: u64 = live.refusals.iter().skip(REASONS_SHOWN).map(|(_, n)| n).sum();
    html! {
        div.bars {
            @for (reason, n) in live.refusals.iter().take(REASONS_SHOWN) {
                span { (reason.replace('_', " ")) }
                progress max=(most) value=(n) aria-label=(reason) { (n) }
                span.number { (count(*n)) }
            }
        }
        @if rest > 0 { p.muted { "and " (count(rest)) " for other reasons" } }
    }
}

fn verdicts(live: &Live, decided: u64) -> Markup {
    if decided + live.undecided == 0 {
        return nothing("Nobody has asked yet.");
    }
    html! {
        div.bars {
            @for (verdict, n) in Verdict::ALL.into_iter().zip(live.decided) {
                span { (badge(Tone::of_verdict(verdict), verdict.as_str())) }
                progress max=(decided.max(1)) value=(n) aria-label=(verdict.as_str()) { (n) }
                span.number { (count(n)) }
            }
        }
        @if live.undecided > 0 {
            p { (badge(Tone::Bad, "undecided")) " " (count(live.undecided)) ": a check did not answer; these did not go ahead." }
        }
    }
}
