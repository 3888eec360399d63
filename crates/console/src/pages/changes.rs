//! Changes that take two persons: what waits, what it would do, and the forms to agree and to refuse.

use maud::{Markup, html};

use super::{badge, heading, nothing};
use crate::{
    time::moment,
    view::{ChangeFile, ChangeLine, Tone},
};

fn tone(state: &str) -> Tone {
    match state {
        "executed" => Tone::Good,
        "failed" | "declined" => Tone::Bad,
        "open" | "approved" => Tone::Warn,
        _ => Tone::Plain,
    }
}

pub(crate) fn list(lines: &[ChangeLine], all: bool) -> Markup {
    html! {
        (heading("Changes", "What takes two persons: one asked for it, another agrees."))
        section.card {
            p.chips {
                a href="/console/changes" aria-current=[(!all).then_some("true")] { "Open ones" }
                a href="/console/changes?all=1" aria-current=[all.then_some("true")] { "All, newest first" }
            }
            @if lines.is_empty() {
                (nothing(if all { "Nobody has asked for a change yet." } else { "Nothing waits for a second person." }))
            } @else { (table(lines)) }
        }
    }
}

fn table(lines: &[ChangeLine]) -> Markup {
    html! {
        div.scroll { table.stack {
            thead { tr { th { "change" } th { "state" } th { "what" } th { "asked by" } th { "until" } } }
            tbody { @for line in lines { tr data-row {
                td data-label="change" { a href=(format!("/console/changes/{}", line.id)) { "chg-" (line.id) } }
                td data-label="state" {
                    (badge(tone(line.state), line.state))
                    @if line.waits_for_viewer { " " (badge(Tone::Warn, "waits for you")) }
                }
                td data-label="what" { (line.summary) }
                td data-label="asked by" { (line.by) }
                td data-label="until" { (moment(line.expires_at)) }
            } } }
        } }
    }
}

pub(crate) fn one(file: &ChangeFile, says: Option<&str>) -> Markup {
    let line = &file.line;
    let form = |say: &str, inside: &Markup| {
        html! {
            form.row method="post" action=(format!("/console/changes/{}", line.id)) {
                input type="hidden" name="say" value=(say);
                (inside)
            }
        }
    };
    let agree = html! {
        input type="hidden" name="digest" value=(file.digest);
        button { "Approve and do it" }
    };
    let refuse = html! {
        label { "Reason" input name="reason" required maxlength="2000"; }
        button { "Decline" }
    };
    html! {
        (heading(&format!("Change {}", line.id), "What would be done, who wants it, and what became of it."))
        @if let Some(says) = says { p.card.notice.bad role="alert" { (says) } }
        section.card {
            p { (badge(tone(line.state), line.state)) " " b { (line.summary) } }
            dl.pairs {
                dt { "reason" } dd { (file.reason) }
                dt { "asked by" } dd { (line.by) ", " (moment(line.opened_at)) }
                dt { "until" } dd { (moment(line.expires_at)) }
                @for (name, value) in &file.details { dt { (name) } dd { (value) } }
                dt { "kind" } dd { code { (line.kind) } }
                dt { "approved with" } dd { code { (file.needs.as_str()) } }
                @if let Some((by, at)) = &file.approved { dt { "approved by" } dd { (by) ", " (moment(*at)) } }
                @if let Some((at, by, said)) = &file.ended {
                    dt { "ended" } dd { (moment(*at)) @if let Some(by) = by { ", by " (by) } }
                    @if !said.is_empty() { dt { "outcome" } dd { (said) } }
                }
                dt { "digest" } dd { code { (file.digest) } }
                dt { "SHA-256 of the change" } dd { code { (file.payload_sha256) } }
            }
        }
        @if line.state == "open" {
            section.card {
                h2 { "Decide" }
                @if let Some(why) = &file.not_yours { p.muted { (why) } }
                @if line.waits_for_viewer {
                    p { "Approving does exactly what is shown, at once; the digest binds it." }
                    (form("approve", &agree))
                    (form("decline", &refuse))
                }
                @if file.may_withdraw { (form("withdraw", &html! { button { "Take it back" } })) }
            }
        }
    }
}
