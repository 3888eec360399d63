//! How the installation is, and by what settings it runs.

use maud::{Markup, html};

use super::{badge, heading, pairs};
use crate::view::{Checked, Health, Tone};

pub(crate) fn page(health: &Health) -> Markup {
    html! {
        (heading("Settings and health", "What works, what wants attention, and by what settings it runs."))
        section.card {
            h2 { "Looked at" }
            ul.plain { @for checked in &health.checked { li { (line(checked)) } } }
        }
        section.card { h2 { "State" } (pairs(&health.facts)) }
        section.card {
            h2 { "Configuration in force" }
            p.muted { "Secrets are named by their files and never shown. SHA-256 of these lines: " code { (health.digest) } }
            details {
                summary { (health.settings.len()) " settings" }
                div.scroll { table {
                    thead { tr { th { "setting" } th { "value" } } }
                    tbody { @for (name, value) in &health.settings { tr {
                        td { code { (name) } } td { code { (value) } }
                    } } }
                } }
            }
        }
    }
}

fn line(checked: &Checked) -> Markup {
    let word = match checked.tone {
        Tone::Bad => "wrong",
        Tone::Warn => "look",
        _ => "ok",
    };
    html! { p { (badge(checked.tone, word)) " " b { (checked.what) } ": " (checked.words) } }
}
