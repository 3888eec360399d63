//! What is stopped, and the forms to stop something or let it go on.

use identity::Capability;
use maud::{Markup, html};

use super::{badge, heading};
use crate::{
    ports::Viewer,
    time::moment,
    view::{Emergency, Guarded, Proposed, Stopped, Tone},
};

/// Longest reason a form takes, in characters.
const REASON_CHARS_MAX: usize = 250;

/// At the top of every page while something is stopped; nothing otherwise.
pub(crate) fn banner(state: &Emergency, viewer: &Viewer) -> Markup {
    let whole = state.frozen.iter().any(|stopped| stopped.scope == "all");
    let scopes: Vec<&str> = state
        .frozen
        .iter()
        .filter(|stopped| !stopped.is_account || viewer.may(Capability::ReadCases))
        .map(|stopped| stopped.scope.as_str())
        .take(4)
        .collect();
    let others = state.frozen.len().saturating_sub(scopes.len());
    html! {
        @if !state.frozen.is_empty() {
            p.stop role="alert" {
                strong {
                    @if whole { "All withdrawals are frozen." }
                    @else if scopes.is_empty() { "Withdrawals are frozen: " (others) @if others == 1 { " account." } @else { " accounts." } }
                    @else { "Withdrawals are frozen: " (scopes.join(", ")) "." }
                }
                @if !whole && !scopes.is_empty() && others > 0 { " And " (others) " more." }
                @if state.frozen.iter().any(|stopped| stopped.proposal.is_some()) { " Somebody proposes to lift it." }
                " " a href="/console/emergency" { "Emergency" }
            }
        }
        @if let Some(alarm) = &state.alarm {
            p.stop.alarm role="alert" {
                strong { "Alarm: the gateway is on its guard" } " until " (moment(alarm.until)) " UTC. "
                a href="/console/emergency" { "Emergency" }
            }
        }
    }
}

/// The page.
pub(crate) fn page(state: &Emergency, viewer: &Viewer, says: Option<&str>) -> Markup {
    html! {
        (heading("Emergency", "One person stops; two let go on."))
        @if let Some(says) = says { p.card.notice.bad role="alert" { (says) } }
        @if state.only_looks {
            p.card.notice { "The gateway only looks (" code { "gateway.mode = \"observe\"" } "): what it carries is not stopped by a freeze." }
        }
        @if state.frozen.is_empty() && state.alarm.is_none() {
            p.state.good { b { "Nothing is stopped." } span.muted { "Withdrawals are decided one by one, and no alarm is raised." } }
        }
        @if !state.frozen.is_empty() {
            section.card {
                h2 { "Frozen" }
                ul.plain { @for stopped in &state.frozen { li { (frozen(stopped, viewer)) } } }
            }
        }
        div.grid.two {
            @if viewer.may(Capability::FreezeOutflow) { (freeze()) }
            section.card #alarm {
                h2 { "Alarm at the gateway" }
                (alarm(state.alarm.as_ref(), viewer))
            }
        }
    }
}

fn reason(label: &str) -> Markup {
    html! { label.grow { (label) input name="reason" required maxlength=(REASON_CHARS_MAX) autocomplete="off"; } }
}

fn frozen(stopped: &Stopped, viewer: &Viewer) -> Markup {
    let hidden = stopped.is_account && !viewer.may(Capability::ReadCases);
    html! {
        p {
            (badge(Tone::Bad, "frozen")) " "
            @if hidden { b { "one account" } } @else { b { (scope_in_words(&stopped.scope)) } }
            span.muted { " since " (moment(stopped.at)) " UTC by " (stopped.by) }
        }
        @if !hidden {
            p { (stopped.reason) }
            @if let Some(proposal) = &stopped.proposal { (proposed(stopped, proposal, viewer)) }
            @else if viewer.may(Capability::UnfreezeOutflow) {
                form.row method="post" action="/console/emergency" {
                    input type="hidden" name="deed" value="propose";
                    input type="hidden" name="scope" value=(stopped.scope);
                    (reason("Why it may leave again"))
                    button { "Propose to lift" }
                }
            }
        }
    }
}

fn scope_in_words(scope: &str) -> String {
    match scope.split_once(':') {
        None => "all withdrawals".to_owned(),
        Some((kind, name)) => format!("{kind} {name}"),
    }
}

fn proposed(stopped: &Stopped, proposal: &Proposed, viewer: &Viewer) -> Markup {
    let is_own = proposal.by.split_once(':').is_some_and(|(_, name)| name == viewer.actor.id());
    let fields = html! {
        input type="hidden" name="scope" value=(stopped.scope);
        input type="hidden" name="number" value=(proposal.number);
    };
    html! {
        div.card.notice {
            p {
                b { (proposal.by) } " would lift it: " (proposal.reason)
                " (until " (moment(proposal.until)) ")"
            }
            @if viewer.may(Capability::UnfreezeOutflow) {
                @if is_own { p.muted { "Somebody else must approve." } }
                @else {
                    form.row method="post" action="/console/emergency" {
                        input type="hidden" name="deed" value="approve"; (fields)
                        button { "Approve: it leaves again" }
                    }
                }
                form.row method="post" action="/console/emergency" {
                    input type="hidden" name="deed" value="decline"; (fields)
                    (reason("Why not"))
                    button.plain { @if is_own { "Take back" } @else { "Decline" } }
                }
            }
        }
    }
}

fn freeze() -> Markup {
    html! {
        section.card #freeze {
            h2 { "Freeze withdrawals" }
            p { "At once, and without asking anybody. To lift it takes two persons." }
            form.row method="post" action="/console/emergency" {
                input type="hidden" name="deed" value="freeze";
                label { "What" select name="kind" required {
                    option value="all" { "all withdrawals" }
                    option value="asset" { "one asset" }
                    option value="network" { "one network" }
                    option value="account" { "one account" }
                } }
                label { "Name (unless all)" input name="name" maxlength="64" autocomplete="off" placeholder="USDT, tron, u-1001"; }
                (reason("Why"))
                button.danger { "Freeze now" }
            }
        }
    }
}

fn alarm(alarm: Option<&Guarded>, viewer: &Viewer) -> Markup {
    let may = viewer.may(Capability::RaiseAlarm);
    html! {
        @match alarm {
            None => p { "Browsers are asked for proof of work, and who would be banned in shadow mode is banned. It ends by itself." },
            Some(alarm) => p {
                (badge(Tone::Bad, "raised")) " by " (alarm.by) " until " (moment(alarm.until)) ": " (alarm.reason)
            },
        }
        @if may {
            form.row method="post" action="/console/emergency" {
                input type="hidden" name="deed" value="raise";
                label { "Minutes" input type="number" name="minutes" min="1" max="1440" value="30" required; }
                (reason("Why"))
                button.danger { @if alarm.is_some() { "Raise again" } @else { "Raise the alarm" } }
            }
            @if alarm.is_some() {
                form.row method="post" action="/console/emergency" {
                    input type="hidden" name="deed" value="end";
                    (reason("Why it is over"))
                    button.plain { "End it" }
                }
            }
        }
    }
}
