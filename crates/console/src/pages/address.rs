//! An address: what is known about it now, from where, and how sure that is.

use maud::{Markup, html};

use super::{
    badge, headed, heading, ident,
    moments::{finder, graph_of, links, timeline},
    nothing, pairs,
};
use crate::{
    query::encode,
    svg::{bars, layers::layers},
    time::{count, moment},
    view::{AddressFile, DerivedLine, ExposureLine, LabelLine, SuspicionLine, Tone},
};

/// The page of an address.
pub(crate) fn page_of(network: Option<&str>, address: &str) -> String {
    format!("/console/addresses/{}/{}", network.unwrap_or("any"), encode(address))
}

/// Without an address to look at.
pub(crate) fn empty() -> Markup {
    html! {
        (heading("Addresses", "What lists and chains say about an address, as screening sees it now."))
        (finder())
        section.card { (nothing("Name an address to see its labels, its exposure and whom it dealt with.")) }
    }
}

pub(crate) fn one(file: &AddressFile) -> Markup {
    let shown = file.canonical.as_deref().unwrap_or(&file.asked);
    html! {
        (headed("Address", "What lists and chains say about it, as screening sees it now.", &html! {
            a.button.plain href=(graph_of(&format!("address:{shown}"))) { "Who deals with it" }
        }))
        section.card.movement.(Tone::of_verdict(file.verdict).class()) {
            p.address { (ident(shown)) @if let Some(network) = &file.network { " " span.muted { "on " (network) } } }
            p { (badge(Tone::of_verdict(file.verdict), file.verdict.as_str())) " "
                @if file.reasons.is_empty() && file.lists.is_empty() && file.chains.is_empty() {
                    "Nothing is known about it: no list is in force, and no chain of its family is followed."
                } @else if file.reasons.is_empty() { "Nothing known speaks against it." } }
            @if let Some(invalid) = &file.invalid { p.notice.bad.card { "No such address: " (invalid) "." } }
            @if !file.reasons.is_empty() { ul { @for reason in &file.reasons { li { (reason) } } } }
            @if file.is_contradictory { p.card.notice { "Sources contradict each other: some name it as harmless. The strictest counts; look at who says what." } }
            @if !file.seen.is_empty() { dl.pairs { @for (chain, first, since) in &file.seen {
                dt { "first seen on " (chain) } dd { (moment(*first)) span.muted { " (watched since " (moment(*since)) ")" } }
            } } }
        }
        section.card { h2 { "Labels" } (labels(&file.labels)) }
        @if !file.suspicions.is_empty() { section.card { h2 { "Suspected" } (suspicions(&file.suspicions)) } }
        @if !file.derived.is_empty() { section.card { h2 { "Tied to" } (derived(&file.derived)) } }
        section.card {
            h2 { "Exposure" }
            (exposure(&file.exposures))
        }
        section.card {
            h2 { "Flow of funds" }
            @if let Some(flow) = &file.flow { (layers(flow, "Where its money came from and where it went")) }
            @else { (nothing("No transfer of it was seen on a chain that is followed.")) }
            @if !file.activity.is_empty() { (activity(file)) }
        }
        @if let Some(customers) = &file.customers {
            section.card { h2 { "Our customers" } (links(customers, "No customer is known to have paid it, been paid by it, or to have it in their address book.")) }
        }
        @if let Some(moments) = &file.moments {
            section.card { h2 { "History" } (timeline(moments, "It was not screened with a finding, paid or alerted about before.")) }
        }
        section.card {
            h2 { "What was looked at" }
            @if file.lists.is_empty() { (nothing("No list is in force.")) }
            @else { div.scroll { table {
                thead { tr { th { "list" } th.number { "addresses" } th { "state imported" } } }
                tbody { @for (list, at, addresses) in &file.lists { tr { td { (list) } td.number { (count(*addresses)) } td { (moment(*at)) } } } }
            } } }
            @if file.chains.is_empty() { p.muted { "No chain of its family is followed: nothing is known of its transfers." } }
            @else { (pairs(&file.chains)) }
        }
    }
}

fn labels(labels: &[LabelLine]) -> Markup {
    if labels.is_empty() {
        return nothing("No list in force names it.");
    }
    html! {
        div.scroll { table.stack {
            thead { tr { th { "asks for" } th { "category" } th { "said to be" } th { "confidence" } th { "list" } th { "source" } th { "licence" } th { "said" } } }
            tbody { @for label in labels { tr {
                td data-label="asks for" { (badge(Tone::of_verdict(label.verdict), label.verdict.as_str())) }
                td data-label="category" { (label.category.replace('_', " ")) }
                td data-label="said to be" { (label.text) }
                td data-label="confidence" { (label.confidence.replace('_', " ")) }
                td data-label="list" { (label.list) " " span.muted { (moment(label.imported_at)) } }
                td data-label="source" { @if label.source.is_empty() { span.muted { "not named" } } @else { (label.source) } }
                td data-label="licence" { @if label.licence.is_empty() { span.muted { "not stated" } } @else { (label.licence) } }
                td data-label="said" {
                    @if let Some(first) = label.said.0 { "first " (moment(first)) " " }
                    @if let Some(last) = label.said.1 { "last " (moment(last)) }
                    @if label.said == (None, None) { span.muted { "no date" } }
                }
            } } }
        } }
    }
}

fn suspicions(lines: &[SuspicionLine]) -> Markup {
    html! {
        p.muted { "A model thinks so from its first transactions; nobody has said it. Who knows better clears the address on the command line (watch clear)." }
        @for line in lines {
            h3 { (percent(line.probability)) " on " (line.chain) }
            ul { @for reason in &line.reasons { li { (reason) } } }
            dl.pairs {
                dt { "suspected since" } dd { (moment(line.at)) span.muted { ", after " (line.transactions) @if line.transactions == 1 { " transaction" } @else { " transactions" } } }
                dt { "block" } dd { (line.height) }
                @if let Some(transaction) = &line.transaction { dt { "transaction" } dd { code.address { (transaction) } } }
                dt { "model" } dd { code.address { (line.model) } }
                dt { "entry" } dd { (line.entry) }
            }
        }
    }
}

fn derived(lines: &[DerivedLine]) -> Markup {
    html! {
        p.muted { "Who created it, paid it first, or pays the same sink may be one person with it: a reason to look, never knowledge." }
        @for line in lines {
            h3 { (line.category.replace('_', " ")) ", worth " (percent(line.confidence)) ", on " (line.chain) }
            ol { @for (how, whom) in &line.path { li { (how) " " a href=(page_of(None, whom)) { code { (whom) } } } } }
            p.muted { "Around it lists know " (line.around.0) " bad and " (line.around.1) " harmless holders." }
        }
    }
}

/// `12.3 %` of a share.
fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn exposure(lines: &[ExposureLine]) -> Markup {
    if lines.is_empty() {
        return nothing("No money of it was followed.");
    }
    html! {
        p.muted { "Shares of all it received or paid. Full colour: over one transfer; pale: over several." }
        div.scroll { table.waterfall {
            thead { tr { th { "money" } th { "category" } th { "share" } th.number { "direct" } th.number { "indirect" } th.number { "nearest" } } }
            tbody { @for line in lines { tr {
                td { (line.way) " " span.muted { (line.of) } }
                td { @if let Some(category) = &line.category { (category.replace('_', " ")) } @else { span.muted { "nothing known" } } }
                td.drawing { (bars::shares(line.direct, line.indirect, line.tone.class())) }
                td.number { (percent(line.direct)) }
                td.number { (percent(line.indirect)) }
                td.number { @if line.hops > 0 { (line.hops) @if line.hops == 1 { " transfer" } @else { " transfers" } } }
            } } }
        } }
    }
}

fn activity(file: &AddressFile) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th { "asset" } th.number { "received" } th.number { "amount" } th.number { "paid" } th.number { "amount" } th.number { "counterparties" } } }
            tbody { @for line in &file.activity { tr {
                td { (line.of) }
                td.number { (line.received) } td.number { (format!("{:.0}", line.received_amount)) }
                td.number { (line.paid) } td.number { (format!("{:.0}", line.paid_amount)) }
                td.number { (line.counterparties) }
            } } }
        } }
        p.muted { "Amounts are in the smallest unit of the asset." }
    }
}
