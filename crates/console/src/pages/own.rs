//! The page of somebody who develops for one account: what its keys may, what was refused and why, and how to appeal. Nothing of
//! any other account, of the rules, or of the installation stands on it.

use maud::{Markup, html};

use super::{badge, heading, nothing, pairs};
use crate::{
    ROWS_MAX,
    time::{count, moment, stamp},
    view::{KeyFile, Tone, own::OwnAccount},
};

pub(crate) fn page(account: &str, own: &OwnAccount, says: Option<&str>) -> Markup {
    html! {
        (heading(&format!("Account {account}"), "Its API keys, what was refused, and why."))
        @if let Some(says) = says { p.card.notice.bad role="alert" { (says) } }
        section.card {
            h2 { "Withdrawals that were stopped" }
            @if own.stopped.is_empty() { (nothing("None among the newest entries.")) }
            @else { div.scroll { table.stack {
                thead { tr { th { "when" } th { "verdict" } th.number { "amount" } th { "to" } th { "because" } th { "decision" } th { "appeal" } } }
                tbody { @for line in &own.stopped { tr data-row {
                    td data-label="when" { (moment(line.at)) }
                    td data-label="verdict" { (badge(Tone::of_verdict(line.verdict), line.verdict.as_str())) }
                    td.number data-label="amount" { (line.amount) }
                    td.mono data-label="to" { (line.destination) }
                    td data-label="because" { (line.reason) }
                    td.mono data-label="decision" { (line.id) }
                    td data-label="appeal" { (appeal_of(&line.id, own)) }
                } } }
            } } }
        }
        section.card {
            h2 { "Requests that were refused" }
            @if own.refused.is_empty() { (nothing("None among the newest entries.")) }
            @else { div.scroll { table.stack {
                thead { tr { th { "when" } th { "because" } th.number { "how many" } } }
                tbody { @for line in &own.refused { tr {
                    td data-label="when" { (moment(line.at)) }
                    td data-label="because" { (line.reason.replace('_', " ")) }
                    td.number data-label="how many" { (count(line.count)) }
                } } }
            } } }
            p.muted { "Looked at: the newest " (count(own.looked_at)) " entries." }
        }
        section.card #appeal {
            h2 { "If you think that is wrong" }
            p { "Appeal beside the withdrawal: a person must look at it again and answer." }
            @match &own.appeal {
                Some(words) => p { (words) },
                None => p { "For anything else ask the support of your exchange." },
            }
            p.muted { "Name the decision, which begins with " code { "dec-" } ": whoever looks finds by it everything that was known then." }
            @if own.appeals.is_empty() { (nothing("Nothing was appealed yet.")) }
            @else { div.scroll { table.stack {
                thead { tr { th { "appeal" } th { "against" } th { "brought" } th { "state" } th { "answer" } } }
                tbody { @for appeal in &own.appeals { tr {
                    td data-label="appeal" { (appeal.id) }
                    td.mono data-label="against" { (appeal.against) }
                    td data-label="brought" { (moment(appeal.at)) }
                    td data-label="state" { (appeal_badge(appeal.state)) }
                    td data-label="answer" { @match &appeal.reason { Some(reason) => (reason), None => span.muted { "not yet" } } }
                } } }
            } } }
        }
        h2 { "API keys" }
        @if own.keys.is_empty() { section.card { (nothing("The account has no API key.")) } }
        @for file in &own.keys { (key(file)) }
        @if own.keys_more > 0 { p.muted { (own.keys_more) " more; at most " (ROWS_MAX) " are shown." } }
    }
}

fn appeal_badge(state: &str) -> Markup {
    let tone = match state {
        "open" => Tone::Warn,
        "overturned" => Tone::Good,
        _ => Tone::Plain,
    };
    badge(tone, state)
}

/// How far an appeal against a decision is, or the form to bring one.
fn appeal_of(decision: &str, own: &OwnAccount) -> Markup {
    match own.appeals.iter().find(|appeal| appeal.against == decision) {
        Some(appeal) => appeal_badge(appeal.state),
        None => html! {
            form.row method="post" action="/console/own" {
                input type="hidden" name="deed" value="appeal";
                input type="hidden" name="decision" value=(decision);
                input name="text" required maxlength="500" aria-label={ "What is wrong about " (decision) } placeholder="What is wrong about it";
                button.plain aria-label={ "Appeal: " (decision) } { "Appeal" }
            }
        },
    }
}

fn key(file: &KeyFile) -> Markup {
    let line = &file.line;
    let tone = match line.state.as_str() {
        "active" => Tone::Good,
        "frozen" => Tone::Warn,
        _ => Tone::Bad,
    };
    html! {
        section.card {
            h3 { code { (line.id) } " " (badge(tone, &line.state)) @if !line.label.is_empty() { " " span.muted { (line.label) } } }
            (pairs(&file.facts))
            @if !file.restrictions.is_empty() {
                h4 { "Limits" }
                (pairs(&file.restrictions))
            }
            @if !file.uses.is_empty() {
                details {
                    summary { "Latest uses" }
                    div.scroll { table.stack {
                        thead { tr { th { "when" } th { "from" } th { "for" } } }
                        tbody { @for [at, ip, _, permission] in &file.uses { tr {
                            td data-label="when" { (stamp(at)) }
                            td.mono data-label="from" { (ip) }
                            td data-label="for" { (permission) }
                        } } }
                    } }
                }
            }
            div.buttons {
                @if line.state == "active" { (deed(&line.id, "freeze", "Suspend", false)) }
                (deed(&line.id, "revoke", "Revoke for good", true))
            }
            p.muted { "Its connections end at once. Only the exchange lets a suspended key work again; a revoked one does not come back." }
        }
    }
}

fn deed(id: &str, deed: &str, word: &str, danger: bool) -> Markup {
    html! {
        form.row method="post" action="/console/own" {
            input type="hidden" name="key" value=(id);
            input type="hidden" name="deed" value=(deed);
            button.danger[danger] aria-label={ (word) ": " (id) } { (word) }
        }
    }
}
