//! Decisions about withdrawals, and why.

use maud::{Markup, html};

use super::{badge, heading, nothing, pairs};
use crate::{
    time::moment,
    view::{DecisionLine, DecisionPage, Explanation, Found, Tone},
};

pub(crate) fn list(page: &DecisionPage) -> Markup {
    html! {
        (heading("Decisions", "Every withdrawal that was asked for, newest first."))
        section.card {
            (table(&page.lines))
            @if let Some(before) = page.before {
                p.pager { a href=(format!("/console/decisions?before={before}")) rel="next" { "Older" } }
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

pub(crate) fn one(explanation: &Explanation) -> Markup {
    let Explanation { line, asked, found, position } = explanation;
    html! {
        (heading("Decision", "What was asked, what was found, and what would have changed it."))
        section.card {
            p {
                (badge(Tone::of_verdict(line.verdict), line.verdict.as_str())) " "
                b { (line.amount) } " from " b { (line.account) } " to " code { (line.destination) }
            }
            (pairs(asked))
        }
        section.card {
            h2 { "Findings" }
            @if found.is_empty() { (nothing("No source had anything to say.")) }
            ul.plain { @for finding in found { li { (finding_of(finding)) } } }
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

fn finding_of(finding: &Found) -> Markup {
    html! {
        p {
            (badge(Tone::of_verdict(finding.verdict), finding.verdict.as_str())) " "
            @if finding.shadow { (badge(Tone::Plain, "shadow")) " " }
            (finding.message) " "
            span.muted { (finding.source) " - " code { (finding.code) } }
        }
        @if !finding.evidence.is_empty() { (pairs(&finding.evidence)) }
        @if let Some(pass) = &finding.would_pass_if { p.muted { "Would pass if: " (pass) } }
    }
}
