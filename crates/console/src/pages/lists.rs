//! The lists addresses are held against.

use maud::{Markup, html};

use super::{heading, nothing};
use crate::{
    time::{count, stamp},
    view::List,
};

pub(crate) fn page(lists: &[List]) -> Markup {
    html! {
        (heading("Lists", "What is known of addresses, by source."))
        section.card {
            @if lists.is_empty() { (nothing("No list is in force: no destination is known to be bad.")) }
            @else { div.scroll { table.narrow.stack {
                thead { tr { th { "list" } th.number { "addresses" } th { "imported" } } }
                tbody { @for list in lists { tr {
                    td data-label="list" { b { (list.name) } } td.number data-label="addresses" { (count(list.addresses)) } td data-label="imported" { (stamp(&list.imported_at)) " UTC" }
                } } }
            } } }
        }
    }
}
