//! Cases: what to look at first, and what people decide about it.

use identity::Capability;
use maud::{Markup, html};

use super::{badge, heading, nothing};
use crate::{
    ports::Viewer,
    time::moment,
    view::{CaseFile, CaseLine, CaseStep, HeldLine, Tone},
};

/// What a case may turn out to be, with what follows.
const DISPOSITIONS: [(&str, &str); 3] = [
    ("legitimate", "legitimate: it was the customer"),
    ("fraud", "fraud: it was not"),
    ("inconclusive", "inconclusive: nobody knows, nothing is learned"),
];

pub(crate) fn list(lines: &[CaseLine], all: bool) -> Markup {
    html! {
        (heading("Cases", "What belongs together about one customer or address, the most urgent first."))
        section.card {
            p.pager {
                @if all { a href="/console/cases" { "Open ones by urgency" } span { "All, newest first" } }
                @else { span { "Open ones by urgency" } a href="/console/cases?all=1" { "All, newest first" } }
            }
            @if lines.is_empty() { (nothing("No case: nothing waits for people.")) }
            @else { (table(lines)) }
        }
    }
}

fn table(lines: &[CaseLine]) -> Markup {
    html! {
        div.scroll { table.stack {
            thead { tr {
                th { "case" } th { "priority" } th { "about" } th.number { "expected loss" } th { "state" }
                th { "look by" } th { "newest reason" }
            } }
            tbody { @for line in lines { tr data-row {
                td data-label="case" { a href=(format!("/console/cases/{}", line.id)) { "case-" (line.id) } }
                td data-label="priority" { (badge(urgency(&line.priority), &line.priority)) }
                td data-label="about" { (line.entity) }
                td.number data-label="expected loss" {
                    @if let Some(loss) = &line.expected_loss { (loss) } @else { span.muted { "unknown" } }
                }
                td data-label="state" {
                    (line.state) @if let Some(who) = &line.assignee { " (" (who) ")" }
                }
                td data-label="look by" {
                    (moment(line.deadline)) @if line.is_overdue { " " (badge(Tone::Bad, "overdue")) }
                }
                td data-label="newest reason" { code { (line.newest) } " " span.muted { (line.triggers) " in all" } }
            } } }
        } }
    }
}

fn urgency(priority: &str) -> Tone {
    match priority {
        "critical" | "high" => Tone::Bad,
        "medium" => Tone::Warn,
        _ => Tone::Plain,
    }
}

pub(crate) fn one(file: &CaseFile, viewer: &Viewer, says: Option<&str>) -> Markup {
    let line = &file.line;
    let is_open = file.resolution.is_none();
    let may_work = is_open && viewer.may(Capability::WorkCases);
    html! {
        (heading(&format!("Case {}", line.id), "What came together, what waits, and what people did."))
        @if let Some(says) = says { p.card.notice.bad role="alert" { (says) } }
        section.card {
            p {
                (badge(urgency(&line.priority), &line.priority)) " " b { (line.entity) } " "
                @if let Some(resolution) = &file.resolution { (badge(Tone::Good, "resolved")) " " (resolution) }
                @else { (line.state) @if let Some(who) = &line.assignee { " (" (who) ")" } }
            }
            dl.pairs {
                dt { "expected loss" }
                dd { @if let Some(loss) = &line.expected_loss { (loss) } @else { "unknown: it may be anything" } }
                dt { "opened" } dd { (moment(line.opened_at)) }
                @if is_open {
                    dt { "look by" }
                    dd { (moment(line.deadline)) @if line.is_overdue { " " (badge(Tone::Bad, "overdue")) } }
                }
            }
        }
        @if !file.held.is_empty() {
            section.card {
                h2 { "Withdrawals" }
                ul.plain { @for held in &file.held { li { (withdrawal(file, held, viewer)) } } }
            }
        }
        @if may_work { (work(file)) }
        section.card {
            h2 { "Timeline" }
            ul.plain { @for step in &file.steps { li { (step_of(step)) } } }
        }
    }
}

/// A form of a case with the fields each has.
fn form(file: &CaseFile, deed: &str, decision: Option<&str>, inside: &Markup) -> Markup {
    html! {
        form.row method="post" action=(format!("/console/cases/{}", file.line.id)) {
            input type="hidden" name="revision" value=(file.revision);
            input type="hidden" name="deed" value=(deed);
            @if let Some(decision) = decision { input type="hidden" name="decision" value=(decision); }
            (inside)
        }
    }
}

fn withdrawal(file: &CaseFile, held: &HeldLine, viewer: &Viewer) -> Markup {
    let is_open = file.resolution.is_none();
    let decision = Some(held.decision.as_str());
    let tone = match held.state.as_str() {
        "released" | "used" => Tone::Good,
        "refused" => Tone::Bad,
        _ => Tone::Warn,
    };
    let reason = html! { label { "Reason" input name="text" required maxlength="2000"; } };
    html! {
        p {
            (badge(tone, &held.state)) " "
            a href=(format!("/console/decisions/{}", held.decision)) { code { (held.decision) } }
            " " (moment(held.at)) " "
            @for (at, reason) in held.reasons.iter().enumerate() { @if at > 0 { ", " } code { (reason) } }
        }
        @if !held.detail.is_empty() { p.muted { (held.detail) } }
        @if is_open && viewer.may(Capability::WorkCases) && matches!(held.state.as_str(), "held" | "expired") {
            (form(file, "propose", decision, &html! { (reason) button { "Propose release" } }))
        }
        @if is_open && held.state == "proposed" {
            @if viewer.may(Capability::ApproveReleases) {
                (form(file, "approve", decision, &html! { button { "Approve release" } }))
            }
            @if viewer.may(Capability::WorkCases) {
                (form(file, "decline", decision, &html! { (reason) button { "Decline" } }))
            }
        }
    }
}

fn work(file: &CaseFile) -> Markup {
    html! {
        section.card {
            h2 { "Work on it" }
            (form(file, "assign", None, &html! {
                label { "Assign to (empty: nobody)" input name="text" maxlength="64"; }
                button { "Assign" }
            }))
            (form(file, "note", None, &html! {
                label { "Note" input name="text" required maxlength="2000"; }
                button { "Write down" }
            }))
            (form(file, "resolve", None, &html! {
                label { "It was" select name="disposition" required {
                    option value="" { "choose" }
                    @for (name, words) in DISPOSITIONS { option value=(name) { (words) } }
                } }
                label { "Reason" input name="text" required maxlength="2000"; }
                button { "Close the case" }
            }))
        }
    }
}

fn step_of(step: &CaseStep) -> Markup {
    html! {
        p {
            (moment(step.at)) " "
            @if step.by_person { b { (step.who) } } @else { span.muted { (step.who) } } " "
            (step.what) " "
            @if let Some(decision) = &step.decision {
                a href=(format!("/console/decisions/{decision}")) { code { (decision) } }
            }
        }
        @if !step.detail.is_empty() { p.muted { (step.detail) } }
    }
}
