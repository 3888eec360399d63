//! Who shares what with whom.

use maud::{Markup, html};

use super::{heading, moments::finder, nothing};
use crate::{svg::layers::layers, view::Neighbourhood};

/// Without anybody to look at.
pub(crate) fn empty() -> Markup {
    html! {
        (heading("Entity graph", "Who shares devices, network addresses and destinations with whom."))
        (finder())
        section.card { (nothing("Name a customer, a device, a network address or an address to see who shares it.")) }
    }
}

pub(crate) fn one(of: &Neighbourhood) -> Markup {
    let says = format!("{} {}: what it is linked to, and who else is", of.kind, of.name);
    html! {
        (heading("Entity graph", "Who shares devices, network addresses and destinations with whom."))
        (finder())
        section.card {
            h2 { (of.kind) " " (of.name) }
            @if let Some(href) = &of.href { p { a href=(href) { "Everything about it" } } }
            @if of.graph.edges.is_empty() { (nothing("Nothing is linked to it, or it was not used lately.")) }
            @else { (layers(&of.graph, &says)) }
        }
    }
}
