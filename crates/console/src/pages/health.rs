//! How the installation is, and by what settings it runs.

use maud::{Markup, html};

use super::{badge, heading, nothing, pairs};
use crate::{
    time::moment,
    view::{Checked, Health, Setting, Tone},
};

pub(crate) fn page(health: &Health) -> Markup {
    let (set, defaults): (Vec<&Setting>, Vec<&Setting>) =
        health.settings.iter().partition(|setting| setting.line.is_some());
    html! {
        (heading("Settings and health", "What works, what wants attention, and by what settings it runs."))
        (summary(&health.checked))
        div.split {
            section.card {
                h2 { "Checks" }
                ul.plain.checks { @for checked in sorted(&health.checked) { li { (line(checked)) } } }
            }
            aside.card aria-label="State" { h2 { "State" } (pairs(&health.facts)) }
        }
        section.card {
            h2 { "Configuration in force" }
            p { "From " code { (health.file) } ", read " @if health.is_reloaded { "again " } (moment(health.read_at)) " UTC"
                @if !health.is_reloaded { ", at the start" } ". What is not set there has its default; there is no other place." }
            p.muted { "Secrets are named by their files and never shown; of addresses only the host is. SHA-256 of the settings: " code { (health.digest) } }
            (settings(&set, true))
            details {
                summary { (defaults.len()) " defaults" }
                (settings(&defaults, false))
            }
        }
    }
}

fn settings(settings: &[&Setting], are_set: bool) -> Markup {
    if settings.is_empty() {
        return nothing(if are_set {
            "Nothing is set: everything has its default."
        } else {
            "None is left."
        });
    }
    html! {
        div.scroll { table.stack {
            thead { tr { th { "setting" } th { "value" } th { "from" } } }
            tbody { @for setting in settings { tr {
                td data-label="setting" { code { (setting.key) } }
                td data-label="value" { code { (setting.value) } }
                td data-label="from" { @match setting.line { Some(line) => { "line " (line) } None => span.muted { "default" } } }
            } } }
        } }
    }
}

/// In one line, whether something wants a person.
fn summary(checked: &[Checked]) -> Markup {
    let number = |tone: Tone| checked.iter().filter(|checked| checked.tone == tone).count();
    let (bad, warn) = (number(Tone::Bad), number(Tone::Warn));
    let tone = if bad > 0 {
        Tone::Bad
    } else if warn > 0 {
        Tone::Warn
    } else {
        Tone::Good
    };
    html! {
        p.state.(tone.class()) {
            b {
                @if bad > 0 { (bad) @if bad == 1 { " thing is wrong." } @else { " things are wrong." } }
                @else if warn > 0 { "It works; " (warn) @if warn == 1 { " thing is worth a look." } @else { " things are worth a look." } }
                @else { "Everything is as it should be." }
            }
            span.muted { (checked.len()) " things were looked at just now." }
        }
    }
}

/// What is wrong first.
fn sorted(checked: &[Checked]) -> Vec<&Checked> {
    let mut sorted: Vec<&Checked> = checked.iter().collect();
    sorted.sort_by_key(|checked| match checked.tone {
        Tone::Bad => 0,
        Tone::Warn => 1,
        _ => 2,
    });
    sorted
}

fn line(checked: &Checked) -> Markup {
    let word = match checked.tone {
        Tone::Bad => "wrong",
        Tone::Warn => "look",
        _ => "ok",
    };
    html! { span { (badge(checked.tone, word)) } p { b { (checked.what) } " " (checked.words) } }
}
