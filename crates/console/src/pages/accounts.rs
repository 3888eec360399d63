//! One customer: everything on one timeline.

use maud::{Markup, html};

use super::{
    cases::brief,
    headed,
    moments::{SORTS, account_of, graph_of, links, timeline},
};
use crate::{
    query::address,
    time::count,
    view::{AccountFile, TrailFilter},
};

fn page_of(account: &str, sorts: &[String], from: Option<u64>) -> String {
    let (only, from) = (sorts.join(","), from.map(|from| from.to_string()));
    address(&account_of(account), &[("only", Some(&only)), ("from", from.as_deref())])
}

pub(crate) fn one(file: &AccountFile, wanted: &TrailFilter) -> Markup {
    let account = &file.account;
    html! {
        (headed(&format!("Customer {account}"), "Everything that happened to one account, newest first.", &html! { @if !file.is_erased {
            a.button.plain href=(address("/console/decisions", &[("account", Some(account))])) { "Decisions" }
            a.button.plain href=(graph_of(&format!("account:{account}"))) { "Who shares what" }
        } }))
        @if file.is_erased {
            p.card.notice role="status" {
                b { "Erased. " } "The key that sealed what was known of this person was destroyed. Nothing of it can be read by anybody; the journal "
                "still proves that the entries were there."
            }
        } @else {
            div.grid.two {
                section.card { h2 { "Cases" } (brief(&file.cases)) }
                section.card { h2 { "Known" } dl.facts {
                    div { dt { "entries" } dd { (count(file.moments_in_all)) } }
                    div { dt { "linked" } dd { (count(u64::try_from(file.links.lines.len()).unwrap_or(u64::MAX).saturating_add(file.links.more))) } }
                    div { dt { "cases" } dd { (file.cases.len()) } }
                } }
            }
            section.card { h2 { "Linked" } (links(&file.links, "Nothing is known to be linked to it.")) }
            section.card {
                h2 { "Timeline" }
                p.chips {
                    a href=(page_of(account, &[], None)) aria-current=[wanted.sorts.is_empty().then_some("true")] { "everything" }
                    @for (sort, words) in SORTS {
                        a href=(page_of(account, &[sort.to_owned()], None)) aria-current=[(wanted.sorts == [sort]).then_some("true")] { (words) }
                    }
                }
                (timeline(&file.moments, if file.next.is_some() { "Nothing of this sort among the entries looked at so far." } else { "Nothing of this sort." }))
                p.pager {
                    @if wanted.from.is_some() { a href=(page_of(account, &wanted.sorts, None)) { "Newest" } }
                    @if file.next.is_some() { a rel="next" href=(page_of(account, &wanted.sorts, file.next)) { "Older" } }
                }
            }
        }
    }
}
