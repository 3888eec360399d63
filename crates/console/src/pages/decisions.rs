//! Decisions about withdrawals, and why.

use domain::Verdict;
use identity::Capability;
use maud::{Markup, html};

use super::{badge, cases::percent, ends, headed, ident, moments::account_of, nothing, pairs, verdict};
use crate::{
    ports::Viewer,
    query,
    svg::{bars, layers::short},
    time::{amount, moment},
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
        (headed("Decisions", "Every withdrawal that was asked for, newest first.", &html! {
            a.button.plain href=(list_of("/console/export/decisions.csv", wanted, None)) { "Export CSV" }
            a.button.plain href=(list_of("/console/export/decisions.ndjson", wanted, None)) { "Export NDJSON" }
        }))
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
                td data-label="verdict" { (verdict(line.verdict)) }
                td data-label="account" { span title=(line.account) { (short(&line.account, ACCOUNT_CHARS)) } }
                td.number data-label="amount" { (amount(&line.amount)) }
                td.mono data-label="to" { (ends(&line.destination, ENDS)) }
                td.because data-label="because" { @if line.reason.is_empty() { span.muted { "nothing speaks against it" } } @else { span title=(line.reason) { (line.reason) } } }
            } } }
        } }
    }
}

/// Pieces of evidence that are shown without being asked for.
const EVIDENCE_OPEN: usize = 3;
/// Characters of a destination shown in a list. Both ends, and more of each than a look-alike copies.
const ENDS: usize = 17;
/// Characters of an account shown in a list.
const ACCOUNT_CHARS: usize = 20;

fn href(id: &str) -> String {
    format!("/console/decisions/{id}")
}

pub(crate) fn one(explanation: &Explanation, viewer: &Viewer, says: Option<Result<&str, &str>>) -> Markup {
    let may_see_customers = viewer.may(Capability::ReadCases);
    let Explanation { line, asked, found, position } = explanation;
    html! {
        (headed("Decision", "What was asked, what was found, and what would have changed it.", &html! { (ident(&line.id)) }))
        @match says {
            Some(Ok(says)) => { p.card.notice.good role="status" { (says) } }
            Some(Err(says)) => { p.card.notice.bad role="alert" { (says) } }
            None => {}
        }
        section.card.movement.(Tone::of_verdict(line.verdict).class()) {
            p.outcome { (verdict(line.verdict)) b { (amount(&line.amount)) } span.muted { (moment(line.at)) " UTC" } }
            dl.way {
                div { dt { "from" } dd {
                    @if may_see_customers { a href=(account_of(&line.account)) { (line.account) } } @else { (line.account) }
                } }
                div { dt { "to" @if let Some(network) = line.network { " on " (network) } } dd {
                    @if viewer.may(Capability::Screen) { a href=(super::address::page_of(line.network, &line.destination)) { (ident(&line.destination)) } }
                    @else { (ident(&line.destination)) }
                } }
            }
            @if !line.reason.is_empty() { p.because { (line.reason) } }
        }
        div.split {
            div {
                section.card {
                    h2 { "Findings" }
                    (findings(found))
                }
            }
            aside aria-label="What was asked, and proof" {
                section.card {
                    h2 { "What was asked" }
                    (pairs(asked))
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
                    @if let Some(position) = position {
                        p { "Entry " a href=(format!("/console/audit/{position}")) { (position) } " of the journal. A receipt that anybody can check without this console:" }
                        pre { code data-copy=(format!("caponier audit receipt {position}")) { "caponier audit receipt " (position) } }
                    } @else { (nothing("It is not in the journal yet.")) }
                }
            }
        }
    }
}

/// What each source said.
pub(crate) fn findings(found: &[Found]) -> Markup {
    if found.is_empty() {
        return nothing("No source had anything to say.");
    }
    html! { ul.findings { @for finding in found { li.(Tone::of_verdict(finding.verdict).class()) { (finding_of(finding)) } } } }
}

fn finding_of(finding: &Found) -> Markup {
    html! {
        p.says {
            (badge(Tone::of_verdict(finding.verdict), finding.verdict.as_str()))
            @if finding.shadow { (badge(Tone::Plain, "shadow")) }
            span { (finding.message) }
        }
        p.source { (finding.source) " " code { (finding.code) } }
        @if let Some(score) = finding.score.as_ref().filter(|score| !score.pushes.is_empty()) {
            p { "What made it " b { (percent(score.ppm)) } ", the strongest first; every bar begins where the one above it ends:" }
            (bars::waterfall(&score.pushes))
        }
        @if finding.evidence.len() > EVIDENCE_OPEN {
            details { summary { (finding.evidence.len()) " pieces of evidence" } (pairs(&finding.evidence)) }
        } @else if !finding.evidence.is_empty() { (pairs(&finding.evidence)) }
        @if let Some(pass) = &finding.would_pass_if { p.pass { b { "Would pass if" } " " (pass) } }
    }
}
