//! Timelines, and what is linked: parts that the pages of cases, customers and addresses share.

use maud::{Markup, html};

use super::{badge, nothing, pairs};
use crate::{
    query::{address, encode},
    time::moment,
    view::{Links, Moment, Tone},
};

/// Sorts of entries, with the words on the button.
pub(crate) const SORTS: [(&str, &str); 8] = [
    ("access", "logins and devices"),
    ("key", "keys"),
    ("trade", "orders"),
    ("money", "money"),
    ("withdrawal", "withdrawals"),
    ("alert", "alerts"),
    ("case", "work on cases"),
    ("other", "other"),
];

fn sort_in_words(sort: &str) -> &'static str {
    SORTS.iter().find(|(name, _)| *name == sort).map_or("other", |(_, words)| words)
}

/// What happened, newest first.
pub(crate) fn timeline(moments: &[Moment], empty: &str) -> Markup {
    if moments.is_empty() {
        return nothing(empty);
    }
    html! {
        ol.timeline { @for step in moments { li.(step.tone.class()).(if step.in_case { "ours" } else { "around" }) data-row {
            div.when { (moment(step.at)) }
            div.what {
                p {
                    b { (step.what) } " "
                    @if step.in_case { (badge(Tone::Plain, "this case")) " " }
                    span.muted { (sort_in_words(step.sort)) @if !step.who.is_empty() { ", " (step.who) } }
                }
                @if !step.text.is_empty() { p.said { (step.text) } }
                @if let Some(decision) = &step.decision {
                    p { a href=(format!("/console/decisions/{}", encode(decision))) { "Why: " code { (decision) } } }
                }
                @if !step.more.is_empty() || step.decision.is_none() {
                    details {
                        summary { "Details" }
                        (pairs(&step.more))
                        p.muted { "Entry " a href=(format!("/console/audit?from={}", step.position)) { (step.position) } " of the journal." }
                    }
                }
            }
        } } }
    }
}

/// Who and what is linked.
pub(crate) fn links(links: &Links, empty: &str) -> Markup {
    if links.lines.is_empty() {
        return nothing(empty);
    }
    html! {
        div.scroll { table.stack {
            thead { tr { th { "what" } th { "name" } th { "how" } th.number { "times" } th { "last" } th.number { "others use it" } } }
            tbody { @for line in &links.lines { tr {
                td data-label="what" { (line.kind) }
                td data-label="name" { a href=(graph_of(&line.entity)) { (line.name) } }
                td data-label="how" { (line.how) }
                td.number data-label="times" { (line.times) }
                td data-label="last" { (moment(line.last)) }
                td.number data-label="others" {
                    @if line.others > 0 { b { (line.others) } } @else { span.muted { "none" } }
                }
            } } }
        } }
        @if links.more > 0 { p.muted { "And " (links.more) " more, not used lately." } }
    }
}

/// The page of an entity in the graph.
pub(crate) fn graph_of(entity: &str) -> String {
    address("/console/graph", &[("entity", Some(entity))])
}

/// The page of a customer.
pub(crate) fn account_of(account: &str) -> String {
    format!("/console/accounts/{}", encode(account))
}

/// The field that finds anything by its name.
pub(crate) fn finder() -> Markup {
    html! {
        form.row.finder role="search" method="get" action="/console/find" {
            label { "Find a customer, address, device, decision or case"
                input type="search" name="q" required maxlength="160" autocomplete="off" spellcheck="false"; }
            button { "Find" }
        }
    }
}
