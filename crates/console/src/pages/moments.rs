//! Timelines, and what is linked: parts that the pages of cases, customers and addresses share.

use maud::{Markup, html};

use super::{badge, nothing, pairs};
use crate::{
    icons::icon,
    query::{address, encode},
    svg::layers::short,
    time::{count, day_and_time, moment},
    view::{LinkLine, Links, Moment, Tone},
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

/// Links shown without being asked for.
const LINKS_OPEN: usize = 10;
/// Characters of the name of something linked.
const NAME_CHARS: usize = 44;

fn sort_in_words(sort: &str) -> &'static str {
    SORTS.iter().find(|(name, _)| *name == sort).map_or("other", |(_, words)| words)
}

/// What happened, newest first.
pub(crate) fn timeline(moments: &[Moment], empty: &str) -> Markup {
    if moments.is_empty() {
        return nothing(empty);
    }
    let days: Vec<(String, String)> = moments.iter().map(|step| day_and_time(step.at)).collect();
    html! {
        ol.timeline { @for (at, (step, (day, time))) in moments.iter().zip(&days).enumerate() {
            li.(step.tone.class()).(if step.in_case { "ours" } else { "around" }) data-row {
                div.when {
                    @if at == 0 || days.get(at - 1).is_some_and(|(before, _)| before != day) { b.day { (day) } }
                    time datetime=(step.at) title=(step.at) { (time) }
                }
                div.mark { (icon(icon_of(step.sort))) }
                div.what {
                    p {
                        b { (step.what) } " "
                        @if step.in_case { (badge(Tone::Plain, "this case")) " " }
                        span.muted { (sort_in_words(step.sort)) @if !step.who.is_empty() { ", " (step.who) } }
                    }
                    @if !step.text.is_empty() { p.said { (step.text) } }
                    @if let Some(decision) = &step.decision {
                        p { a href=(format!("/console/decisions/{}", encode(decision))) { "Why" } " " code.muted { (decision) } }
                    }
                    @if !step.more.is_empty() || step.decision.is_none() {
                        details {
                            summary { "Details" }
                            (pairs(&step.more))
                            p.muted { "Entry " a href=(format!("/console/audit/{}", step.position)) { (step.position) } " of the journal." }
                        }
                    }
                }
            }
        } }
    }
}

fn icon_of(sort: &str) -> &str {
    match sort {
        "access" => "account",
        sort => sort,
    }
}

/// Who and what is linked.
pub(crate) fn links(links: &Links, empty: &str) -> Markup {
    if links.lines.is_empty() {
        return nothing(empty);
    }
    let (first, rest) = links.lines.split_at(links.lines.len().min(LINKS_OPEN));
    html! {
        (link_table(first))
        @if !rest.is_empty() { details {
            summary { (count(u64::try_from(rest.len()).unwrap_or(u64::MAX))) " used before" }
            (link_table(rest))
        } }
        @if links.more > 0 { p.muted { "And " (links.more) " more, not used lately." } }
    }
}

fn link_table(lines: &[LinkLine]) -> Markup {
    html! {
        div.scroll { table.stack {
            thead { tr { th { "what" } th { "name" } th { "how" } th.number { "times" } th { "last" } th.number { "others use it" } } }
            tbody { @for line in lines { tr {
                td data-label="what" { span.about { (icon(line.kind)) span { (line.kind) } } }
                td.name data-label="name" { a href=(graph_of(&line.entity)) title=(line.name) { (short(&line.name, NAME_CHARS)) } }
                td data-label="how" { (line.how) }
                td.number data-label="times" { (count(line.times.into())) }
                td data-label="last" { (moment(line.last)) }
                td.number data-label="others" {
                    @if line.others > 0 { b { (count(line.others)) } } @else { span.muted { "none" } }
                }
            } } }
        } }
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
            label.grow { "Find a customer, address, device, decision or case"
                input type="search" name="q" required maxlength="160" autocomplete="off" spellcheck="false"; }
            button { "Find" }
        }
    }
}
