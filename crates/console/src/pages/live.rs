//! The state of everything, every second.

use domain::Verdict;
use identity::Capability;
use maud::{Markup, html};

use super::{badge, decisions, headed, nothing, verdict as verdict_badge};
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
        (headed("Live", "What passes, what is stopped, and what does not work.", &html! {
            @if viewer.may(Capability::RaiseAlarm) { a.button.danger.plain href="/console/emergency#alarm" { "Raise the alarm" } }
            @if viewer.may(Capability::FreezeOutflow) { a.button.danger.plain href="/console/emergency#freeze" { "Freeze withdrawals" } }
        }))
        noscript { p.card.notice { "Scripts are off: load the page again for newer numbers." } }
        section #live aria-label="Live" hx-sse:connect="/console/live" hx-swap="innerHTML" hx-nonce=(nonce.as_str()) {
            (numbers(live, stopped, viewer.may(Capability::ReadDecisions)))
        }
    }
}

/// The part that changes. It has no attribute that htmx would act on, so it needs no nonce.
pub(crate) fn numbers(live: &Live, stopped: &Markup, may_read_decisions: bool) -> Markup {
    let decided: u64 = live.decided.iter().sum();
    let refused: u64 = live.refusals.iter().map(|(_, n)| n).sum();
    let now = live.seconds.last().copied().unwrap_or_default();
    let up = live.at.since(live.started_at).as_secs();
    html! {
        p.card.notice.bad #lost { "The connection is lost; these numbers are old." }
        (stopped)
        (state(live, up))
        dl.tiles {
            (tile("answered now", &(count(now.forwarded) + "/s"), &format!("{} since the start", count(live.forwarded))))
            (tile("refused now", &(count(now.refused) + "/s"), &format!("{} since the start", count(refused))))
            (tile("requests", &count(live.requests), "since the start"))
            (tile("withdrawals decided", &count(decided), &not_allowed(live)))
            (tile("banned now", &count(u64::try_from(live.bans).unwrap_or(u64::MAX)), "sources kept out"))
            (tile("journal", &count(live.entries), "sealed entries"))
        }
        section.card {
            h2 { "Requests a second" }
            (svg::traffic(&live.seconds))
        }
        div.grid.two {
            section.card {
                h2 { "Refused because" }
                (refusals(live, REASONS_SHOWN))
            }
            section.card {
                h2 { "Withdrawals decided" }
                (verdicts(live, decided))
            }
        }
        @if may_read_decisions {
            section.card {
                h2 { "Newest decisions" }
                (decisions::table(&live.decisions))
            }
        }
        section.card {
            h2 { "Parts" }
            ul.parts {
                @for part in &live.parts {
                    li {
                        span.name { (part.name) } (badge(tone(part.mode), part.mode.as_str()))
                        span.muted { (part.detail) }
                    }
                }
            }
        }
    }
}

/// What a live page says last when the session behind it has ended, or no longer opens it.
pub(crate) fn ended() -> Markup {
    html! {
        p.card.notice.bad role="alert" {
            "Your session has ended, or your roles no longer open this page: nothing here keeps up any more. "
            a href="/console" { "Sign in again" }
        }
    }
}

/// In one line: whether something needs a person now.
fn state(live: &Live, up: u64) -> Markup {
    html! {
        @if live.faults.is_empty() {
            p.state.good { b { "Everything works." } span.muted { "As of " (moment(live.at)) " UTC, running for " (span(up)) "." } }
        } @else {
            div.state.bad role="alert" {
                p { b { @if live.faults.len() == 1 { "One thing does not work." } @else { (live.faults.len()) " things do not work." } }
                    span.muted { "As of " (moment(live.at)) " UTC, running for " (span(up)) "." } }
                ul { @for fault in &live.faults { li { (fault) } } }
            }
        }
    }
}

/// Withdrawals that did not simply pass.
fn not_allowed(live: &Live) -> String {
    let words = ["allowed", "challenged", "held", "denied"];
    let told: Vec<String> = words
        .into_iter()
        .zip(live.decided)
        .skip(1)
        .filter(|(_, n)| *n > 0)
        .map(|(word, n)| format!("{} {word}", count(n)))
        .collect();
    if told.is_empty() { "none stopped".to_owned() } else { told.join(", ") }
}

pub(crate) fn tile(name: &str, value: &str, beside: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } dd.beside { (beside) } } }
}

const fn tone(mode: Mode) -> Tone {
    match mode {
        Mode::Enforcing | Mode::Working => Tone::Good,
        Mode::Failing => Tone::Bad,
        Mode::Off => Tone::Plain,
        Mode::Shadow => Tone::Warn,
    }
}

/// Why requests were refused, most first; at most so many reasons by name.
pub(crate) fn refusals(live: &Live, shown: usize) -> Markup {
    let Some((_, most)) = live.refusals.first() else { return nothing("Nothing was refused yet.") };
    let rest: u64 = live.refusals.iter().skip(shown).map(|(_, n)| n).sum();
    html! {
        div.bars {
            @for (reason, n) in live.refusals.iter().take(shown) {
                span title=(reason) { (in_words(reason)) }
                progress max=(most) value=(n) aria-label=(reason) { (n) }
                span.number { (count(*n)) }
            }
        }
        @if rest > 0 { p.muted { "and " (count(rest)) " for other reasons" } }
    }
}

/// A reason as people read it.
fn in_words(reason: &str) -> String {
    let words = reason.split('_').map(|word| match word {
        "api" => "API",
        "ip" => "IP",
        "http" => "HTTP",
        "tls" => "TLS",
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

fn verdicts(live: &Live, decided: u64) -> Markup {
    if decided + live.undecided == 0 {
        return nothing("Nobody has asked yet.");
    }
    html! {
        div.bars {
            @for (verdict, n) in Verdict::ALL.into_iter().zip(live.decided) {
                span { (verdict_badge(verdict)) }
                progress.(Tone::of_verdict(verdict).class()) max=(decided.max(1)) value=(n) aria-label=(verdict.as_str()) { (n) }
                span.number { (count(n)) }
            }
        }
        @if live.undecided > 0 {
            p { (badge(Tone::Bad, "undecided")) " " (count(live.undecided)) ": a check did not answer; these did not go ahead." }
        }
    }
}
