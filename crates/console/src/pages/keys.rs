//! API keys: what each may, how it is used, and what is worth a look.

use identity::Capability;
use maud::{Markup, html};

use super::{badge, ends, heading, ident, nothing, pairs};
use crate::{
    ROWS_MAX,
    ports::Viewer,
    time::stamp,
    view::{KeyFile, KeyLine, Tone},
};

pub(crate) fn list(lines: &[KeyLine], more: usize, account: &str) -> Markup {
    html! {
        (heading("API keys", "Who may act for customers, and which keys are worth a look."))
        section.card {
            form.row method="get" action="/console/keys" {
                label { "Account" input type="search" name="account" value=(account) maxlength="64"; }
                button { "Show" }
            }
            @if lines.is_empty() { (nothing("No API key.")) }
            @else { (table(lines)) }
            @if more > 0 { p.muted { (more) " more; name an account to see its keys. At most " (ROWS_MAX) " are shown." } }
        }
    }
}

/// Characters of the name of a key in the list.
const KEY_CHARS: usize = 13;

fn tone(state: &str) -> Tone {
    match state {
        "active" => Tone::Good,
        "frozen" => Tone::Warn,
        _ => Tone::Bad,
    }
}

fn table(lines: &[KeyLine]) -> Markup {
    html! {
        div.scroll { table.stack {
            thead { tr {
                th { "key" } th { "account" } th { "state" } th { "may" } th { "bound to" } th { "last used" } th { "worth a look" }
            } }
            tbody { @for line in lines { tr data-row {
                td.mono data-label="key" { a href=(format!("/console/keys/{}", line.id)) { (ends(&line.id, KEY_CHARS)) } }
                td data-label="account" { (line.account) @if !line.label.is_empty() { " " span.muted { (line.label) } } }
                td data-label="state" { (badge(tone(&line.state), &line.state)) }
                td data-label="may" { span { @for permission in &line.permissions { (badge(if permission == "withdraw" { Tone::Warn } else { Tone::Plain }, permission)) " " } } }
                td data-label="bound to" {
                    @if line.ips.is_empty() { span.muted { "any address" } }
                    @else { span { @for ip in &line.ips { code { (ip) } " " } } }
                }
                td data-label="last used" {
                    @if let Some(at) = &line.last_used_at { (stamp(at)) } @else { span.muted { "never" } }
                }
                td data-label="worth a look" {
                    @for remark in &line.remarks { (badge(Tone::Warn, remark)) " " }
                }
            } } }
        } }
    }
}

pub(crate) fn one(file: &KeyFile, viewer: &Viewer, says: Option<&str>) -> Markup {
    let line = &file.line;
    html! {
        (heading("API key", "What it may, and how it is used."))
        @if let Some(says) = says { p.card.notice.bad role="alert" { (says) } }
        section.card {
            p {
                (badge(tone(&line.state), &line.state)) " " b { (line.account) } " " (ident(&line.id)) " "
                @for remark in &line.remarks { (badge(Tone::Warn, remark)) " " }
            }
            (pairs(&file.facts))
        }
        section.card {
            h2 { "Limits" }
            @if file.restrictions.is_empty() {
                (nothing("Nothing beyond its permissions and networks. To restrict it: caponier keys restrict KEY."))
            } @else { (pairs(&file.restrictions)) }
        }
        section.card {
            h2 { "Where it is used from" }
            @if file.known_from.is_empty() { (nothing("Nothing is known yet.")) }
            @else { div.scroll { table.stack {
                thead { tr { th { "network" } th { "client" } th { "last used" } th { "" } } }
                tbody { @for ([network, client, at], suspect) in &file.known_from { tr {
                    td.mono data-label="network" { (network) }
                    td.mono data-label="client" { (client) }
                    td data-label="last used" { (stamp(at)) }
                    td { @if *suspect { (badge(Tone::Warn, "new")) } }
                } } }
            } } }
        }
        section.card {
            h2 { "Latest uses since the start" }
            @if file.uses.is_empty() { (nothing("Not used since the process started.")) }
            @else { div.scroll { table.stack {
                thead { tr { th { "when" } th { "from" } th { "client" } th { "for" } } }
                tbody { @for [at, ip, client, permission] in &file.uses { tr {
                    td data-label="when" { (stamp(at)) }
                    td.mono data-label="from" { (ip) }
                    td.mono data-label="client" { (client) }
                    td data-label="for" { (permission) }
                } } }
            } } }
        }
        @if viewer.may(Capability::ManageKeys) { (deeds(line)) }
    }
}

fn deeds(line: &KeyLine) -> Markup {
    let form = |deed: &str, word: &str, danger: bool| {
        html! {
            form.row method="post" action=(format!("/console/keys/{}", line.id)) {
                input type="hidden" name="deed" value=(deed);
                label.grow { "Why" input name="reason" required maxlength="250" autocomplete="off"; }
                button.danger[danger].plain[!danger] { (word) }
            }
        }
    };
    html! {
        section.card {
            h2 { "Suspend or revoke" }
            @if line.state == "active" { (form("freeze", "Suspend", false)) }
            @if line.state == "frozen" { (form("unfreeze", "Let it work again", false)) }
            (form("revoke", "Revoke for good", true))
            p.muted { "Its connections end at once. A revoked key does not come back." }
        }
    }
}
