//! Decisions about withdrawals, and why.

use domain::Verdict;
use identity::Capability;
use maud::{Markup, html};

use super::{badge, cases::percent, heading, moments::account_of, nothing, pairs};
use crate::{
    ports::Viewer,
    query,
    svg::bars,
    time::moment,
    view::{DecisionFilter, DecisionLine, DecisionPage, Explanation, Found, Tone},
};

/// The address of a list.
pub(crate) fn list_of(path: &str, wanted: &DecisionFilter, before: Option<u64>) -> String {
    let before = before.map(|before| before.to_string());
    query::address(
        path,
        &[
            ("verdict", wanted.verdict.map(Verdict::as_str)),
            ("account", wanted.account.as_deref()),
            ("q", wanted.text.as_deref()),
            ("before", before.as_deref()),
        ],
    )
}

pub(crate) fn list(page: &DecisionPage, wanted: &DecisionFilter) -> Markup {
    let is_filtered = *wanted != DecisionFilter { before: wanted.before, ..DecisionFilter::default() };
    html! {
        (heading("Decisions", "Every withdrawal that was asked for, newest first."))
        section.card {
            form.row.filter method="get" action="/console/decisions" {
                label { "Text" input type="search" name="q" maxlength="160" value=(wanted.text.as_deref().unwrap_or_default()); }
                label { "Account" input name="account" maxlength="64" value=(wanted.account.as_deref().unwrap_or_default()); }
                label { "Verdict" select name="verdict" {
                    option value="" { "any" }
                    @for verdict in Verdict::ALL {
                        option value=(verdict.as_str()) selected[wanted.verdict == Some(verdict)] { (verdict.as_str()) }
                    }
                } }
                button { "Filter" }
            }
            @if page.lines.is_empty() && page.before.is_some() {
                (nothing("Nothing like that among the decisions looked at so far; older ones were not looked at yet."))
            } @else if page.lines.is_empty() && is_filtered { (nothing("No decision is like that.")) }
            @else { (table(&page.lines)) }
            p.pager {
                @if wanted.before.is_some() { a href=(list_of("/console/decisions", wanted, None)) { "Newest" } }
                @if page.before.is_some() { a href=(list_of("/console/decisions", wanted, page.before)) rel="next" { "Older" } }
            }
            p.muted { "Take away: "
                a href=(list_of("/console/export/decisions.csv", wanted, None)) { "as CSV" } ", "
                a href=(list_of("/console/export/decisions.ndjson", wanted, None)) { "as NDJSON" }
            }
        }
    }
}

pub(crate) fn table(lines: &[DecisionLine]) -> Markup {
    if lines.is_empty() {
        return nothing("No decision yet.");
    }
    html! {
        div.scroll { table.stack {
            thead { tr {
                th { "when" } th { "verdict" } th { "account" } th.number { "amount" } th { "to" } th { "because" }
            } }
            tbody { @for line in lines { tr data-row {
                td data-label="when" { a href=(href(&line.id)) { (moment(line.at)) } }
                td data-label="verdict" { (badge(Tone::of_verdict(line.verdict), line.verdict.as_str())) }
                td data-label="account" { (line.account) }
                td.number data-label="amount" { (line.amount) }
                td.mono data-label="to" { (ends(&line.destination)) }
                td data-label="because" { @if line.reason.is_empty() { span.muted { "nothing speaks against it" } } @else { (line.reason) } }
            } } }
        } }
    }
}

/// Pieces of evidence that are shown without being asked for.
const EVIDENCE_OPEN: usize = 3;
/// Characters of a destination shown at either end in a list. Both ends, and more of each than a look-alike copies.
const ENDS: usize = 9;

/// An address in short, whole when pointed at.
fn ends(address: &str) -> Markup {
    let chars: Vec<char> = address.chars().collect();
    let Some(tail) = chars.len().checked_sub(ENDS).filter(|at| *at > ENDS + 3) else {
        return html! { (address) };
    };
    let text = |part: &[char]| part.iter().collect::<String>();
    let (head, tail) = (text(chars.get(..ENDS).unwrap_or(&[])), text(chars.get(tail..).unwrap_or(&[])));
    html! { span title=(address) { (head) "\u{2026}" (tail) } }
}

fn href(id: &str) -> String {
    format!("/console/decisions/{id}")
}

pub(crate) fn one(
    explanation: &Explanation,
    viewer: &Viewer,
    says: Option<Result<&str, &str>>,
) -> Markup {
    let may_see_customers = viewer.may(Capability::ReadCases);
    let Explanation { line, asked, found, position } = explanation;
    html! {
        (heading("Decision", "What was asked, what was found, and what would have changed it."))
        @match says {
            Some(Ok(says)) => { p.card.notice.good role="status" { (says) } }
            Some(Err(says)) => { p.card.notice.bad role="alert" { (says) } }
            None => {}
        }
        section.card {
            p {
                (badge(Tone::of_verdict(line.verdict), line.verdict.as_str())) " "
                b { (line.amount) } " from " b {
                    @if may_see_customers { a href=(account_of(&line.account)) { (line.account) } } @else { (line.account) }
                } " to " code {
                    @if viewer.may(Capability::Screen) { a href=(super::address::page_of(line.network, &line.destination)) { (line.destination) } }
                    @else { (line.destination) }
                }
            }
            (pairs(asked))
        }
        section.card {
            h2 { "Findings" }
            (findings(found))
        }
        @if viewer.may(Capability::WorkCases) {
            section.card {
                h2 { "What it was" }
                p { "Was this wrong, or right? What you say becomes a label: rules are counted by it and models learn from it, from now on." }
                form.row method="post" action=(href(&line.id)) {
                    button name="label" value="legitimate" { "This was honest" }
                    button.quiet name="label" value="fraud" { "This was fraud" }
                }
                p.muted { "It lets nothing through and stops nothing. A later word replaces an earlier one." }
            }
        }
        section.card {
            h2 { "Proof" }
            p { "Decision " code { (line.id) } ", made " (moment(line.at)) " UTC." }
            @if let Some(position) = position {
                p { "It is entry " a href=(format!("/console/audit?from={position}")) { (position) }
                    " of the journal. A receipt that anybody can check without this console:" }
                pre { code { "caponier audit receipt " (position) } }
            }
        }
    }
}

/// What each source said.
pub(crate) fn findings(found: &[Found]) -> Markup {
    if found.is_empty() {
        return nothing("No source had anything to say.");
    }
    html! { ul.plain { @for finding in found { li { (finding_of(finding)) } } } }
}

fn finding_of(finding: &Found) -> Markup {
    html! {
        p {
            (badge(Tone::of_verdict(finding.verdict), finding.verdict.as_str())) " "
            @if finding.shadow { (badge(Tone::Plain, "shadow")) " " }
            (finding.message) " "
            span.muted { (finding.source) " - " code { (finding.code) } }
        }
        @if let Some(score) = finding.score.as_ref().filter(|score| !score.pushes.is_empty()) {
            p { "What made it " b { (percent(score.ppm)) } ", the strongest first; every bar begins where the one above it ends:" }
            (bars::waterfall(&score.pushes))
        }
        @if finding.evidence.len() > EVIDENCE_OPEN {
            details { summary { (finding.evidence.len()) " pieces of evidence" } (pairs(&finding.evidence)) }
        } @else if !finding.evidence.is_empty() { (pairs(&finding.evidence)) }
        @if let Some(pass) = &finding.would_pass_if { p.muted { "Would pass if: " (pass) } }
    }
}
