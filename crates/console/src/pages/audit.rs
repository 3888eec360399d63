//! The journal in words, and how to check it elsewhere.

use maud::{Markup, html};

use super::{badge, heading, nothing, pairs, told};
use crate::{
    ROWS_MAX,
    ports::NotDone,
    time::{count, stamp},
    view::{Entry, EntryPage, Evidence, Tone},
};

pub(crate) fn page(page: &EntryPage) -> Markup {
    let rows = u64::try_from(ROWS_MAX).unwrap_or(u64::MAX);
    let next = page.entries.last().map(|entry| entry.seq + 1).filter(|next| *next < page.size);
    let of_kind = if page.kind.is_empty() { String::new() } else { format!("&kind={}", page.kind) };
    html! {
        (heading("Audit log", "Everything that was recorded, without the names of customers."))
        section.card {
            form.row method="get" action="/console/audit" {
                label { "From entry" input type="number" name="from" min="0" max=(page.size) placeholder="newest"; }
                label { "Kind" select name="kind" {
                    option value="" { "all" }
                    @for kind in &page.kinds { option value=(kind) selected[*kind == page.kind] { (kind.replace('_', " ")) } }
                } }
                button { "Show" }
            }
            @if page.entries.is_empty() { (nothing("No entry from there on.")) }
            @else { div.scroll { table.stack {
                thead { tr { th.number { "entry" } th { "when" } th { "what" } th { "details" } } }
                tbody { @for entry in &page.entries { tr data-row {
                    td data-label="entry" { a href=(format!("/console/audit/{}", entry.seq)) { (entry.seq) } }
                    td data-label="when" { (stamp(&entry.at)) }
                    td data-label="what" { (badge(Tone::Plain, &entry.kind.replace('_', " "))) }
                    td data-label="details" { (inline(&entry.fields)) }
                } } }
            } } }
            p.pager {
                @if page.from > 0 { a href=(format!("/console/audit?from={}{of_kind}", page.from.saturating_sub(rows))) rel="prev" { "Earlier" } }
                @if let Some(next) = next { a href=(format!("/console/audit?from={next}{of_kind}")) rel="next" { "Later" } }
                span.muted { (count(page.size)) " entries" }
            }
        }
        section.card {
            h2 { "Check it elsewhere" }
            p { "The published log needs no trust in this console. On any machine that has a copy of it:" }
            pre { code data-copy="caponier audit verify DIR" { "caponier audit verify DIR" } }
        }
    }
}

/// One entry, and the proof that it is in the log.
pub(crate) fn one(entry: &Entry, proof: Result<&(String, String), &NotDone>) -> Markup {
    html! {
        (heading(&format!("Entry {}", entry.seq), "What was recorded, and the proof that it is in the log."))
        section.card {
            p { (badge(Tone::Plain, &entry.kind.replace('_', " "))) " " (stamp(&entry.at)) " UTC" }
            (pairs(&entry.fields))
        }
        section.card {
            h2 { "Proof" }
            @match proof {
                Err(error) => p.card.notice.bad role="alert" { "No proof now: " (error) "." },
                Ok((text, key)) => {
                    p { "By the log's own form (c2sp.org/tlog-proof), which other software checks too. The key that verifies it:" }
                    pre { code data-copy=(key) { (key) } }
                    pre { code data-copy=(text) { (text) } }
                    p { "On a machine that has a copy of the published log:" }
                    pre { code data-copy=(format!("caponier audit verify DIR --vkey '{key}'")) { "caponier audit verify DIR --vkey '" (key) "'" } }
                }
            }
        }
    }
}

/// One after the other: an entry is a line, not a card.
fn inline(fields: &[Evidence]) -> Markup {
    html! { @for (name, value) in fields { span.field { span.muted { (name.replace('_', " ")) } " " (told(value)) } " " } }
}
