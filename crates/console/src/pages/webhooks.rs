//! Webhooks: who is told of what, how it goes, and what was given up on.

use identity::Capability;
use maud::{Markup, html};

use super::{badge, ends, heading, ident, nothing};
use crate::{
    ROWS_MAX,
    ports::Viewer,
    time::moment,
    view::{DeadLine, Tone, WebhookDone, WebhookFile, WebhookLine},
};

/// What endpoints can be told of: families, each with its types.
pub(crate) type Types = Vec<(&'static str, Vec<&'static str>)>;

/// Characters of the id of a message in a list.
const ID_CHARS: usize = 16;

fn state(line: &WebhookLine) -> Markup {
    let tone = match line.state {
        "enabled" if line.is_failing => Tone::Warn,
        "enabled" => Tone::Good,
        "paused" => Tone::Warn,
        _ => Tone::Bad,
    };
    html! { (badge(tone, if line.state == "enabled" && line.is_failing { "failing" } else { line.state })) }
}

pub(crate) fn list(lines: &[WebhookLine], types: &Types, viewer: &Viewer, says: Option<&str>) -> Markup {
    html! {
        (heading("Webhooks", "Programs elsewhere that are told of what happens, signed, at least once."))
        @if let Some(says) = says { p.card.notice.bad role="alert" { (says) } }
        section.card {
            @if lines.is_empty() { (nothing("No endpoint yet: nobody elsewhere is told of anything.")) }
            @else { (table(lines)) }
        }
        @if viewer.may(Capability::ManageWebhooks) { (add(types, viewer)) }
    }
}

fn table(lines: &[WebhookLine]) -> Markup {
    html! {
        div.scroll { table.stack {
            thead { tr { th { "endpoint" } th { "state" } th { "told of" } th { "taken" } th { "waiting" } th { "dead letters" } th { "last try" } } }
            tbody { @for line in lines { tr data-row {
                td data-label="endpoint" { a href=(format!("/console/webhooks/{}", line.name)) { (line.name) } }
                td data-label="state" { (state(line)) }
                td data-label="told of" { span { @for event in &line.events { code { (event) } " " } } }
                td data-label="taken" { (line.delivered) }
                td data-label="waiting" { (line.waiting) }
                td data-label="dead letters" { @if line.dead > 0 { (badge(Tone::Warn, &line.dead.to_string())) } @else { "0" } }
                td data-label="last try" {
                    @if let Some((at, says)) = &line.last { (moment(*at)) " " span.muted { (says) } }
                    @else { span.muted { "none since the start" } }
                }
            } } }
        } }
    }
}

fn words(url: &str, events: &str, accounts: bool, viewer: &Viewer) -> Markup {
    html! {
        label.grow { "URL" input name="url" type="url" required maxlength="1024" autocomplete="off" value=(url) placeholder="https://hooks.example.com/caponier"; }
        label.grow { "Told of" input name="events" required maxlength="1024" autocomplete="off" value=(events); }
        @if viewer.may(Capability::ReadCases) {
            label.check { input type="checkbox" name="accounts" value="1" checked[accounts]; " name accounts" }
        }
    }
}

fn all_types(types: &Types) -> Markup {
    html! {
        details {
            summary { "What there is to be told of" }
            p.muted { "A family stands for all its types. Divide them by commas." }
            dl.pairs { @for (family, types) in types {
                dt { code { (family) } }
                dd { @for one in types { code { (one) } " " } }
            } }
        }
    }
}

fn add(types: &Types, viewer: &Viewer) -> Markup {
    html! {
        section.card #add {
            h2 { "Add an endpoint" }
            form.row method="post" action="/console/webhooks" {
                label { "Name" input name="name" required maxlength="48" pattern="[a-z0-9_\\-]+" autocomplete="off" placeholder="siem"; }
                (words("", "decision.held, decision.denied, alert, freeze", false, viewer))
                label { "Signed with" select name="scheme" {
                    option value="hmac" { "a shared secret" }
                    option value="ed25519" { "a public key" }
                } }
                button { "Add" }
            }
            (all_types(types))
        }
    }
}

/// What came of the last form.
pub(crate) fn came(done: &WebhookDone) -> Markup {
    html! {
        @match done {
            WebhookDone::Done => {}
            WebhookDone::Key(key) => div.card.notice.good role="status" {
                @if key.starts_with("whsec_") {
                    p { b { "The secret, shown this once." } " Whoever receives the messages needs it; whoever else has it can pose as this installation." }
                } @else {
                    p { b { "The public key." } " Whoever receives the messages checks them with it." }
                }
                p { (ident(key)) }
            },
            WebhookDone::Tried { taken, says } => p.card.notice.good[*taken].bad[!*taken] role="status" {
                b { @if *taken { "The test message was taken." } @else { "The test message was not taken." } } " " (says)
            },
        }
    }
}

pub(crate) fn one(file: &WebhookFile, types: &Types, viewer: &Viewer, notice: &Markup) -> Markup {
    let line = &file.line;
    html! {
        (heading(&line.name, "An endpoint: what it is told, and how it goes."))
        (notice)
        section.card {
            p { (state(line)) " " @if let Some(why) = line.disabled_why { b { (why) } } }
            dl.pairs {
                dt { "URL" } dd { code { (line.url) } }
                dt { "told of" } dd { @for event in &line.events { code { (event) } " " } }
                dt { "names accounts" } dd { @if line.accounts { "yes" } @else { "no" } }
                dt { "signed with" } dd {
                    @if let Some(key) = &line.public_key { "a private key, checked with " (ident(key)) }
                    @else { "a shared secret" }
                    @if let Some(until) = line.previous_until { "; with the key before as well until " (moment(until)) }
                }
                dt { (line.state) " since" } dd { (moment(line.state_at)) }
                dt { "added" } dd { (line.added_by) ", " (moment(line.added_at)) }
                dt { "taken since the start" } dd { (line.delivered) }
                dt { "failed since the start" } dd {
                    @if line.failed.is_empty() { "none" }
                    @for (class, count) in &line.failed { (class.replace('_', " ")) ": " (count) " " }
                }
                dt { "waiting" } dd { (line.waiting) " in hand, " (line.behind) " entries of the journal not settled" }
                @if let Some((at, says)) = &line.last { dt { "last try" } dd { (moment(*at)) ": " (says) } }
            }
        }
        @if viewer.may(Capability::ManageWebhooks) { (deeds(line, types, viewer)) }
        section.card #dead {
            h2 { "Dead letters" }
            @if file.dead.is_empty() { (nothing("Nothing was given up on.")) }
            @else { (dead(line, &file.dead, viewer)) }
            @if line.dead > file.dead.len() { p.muted { "The oldest " (ROWS_MAX) " of " (line.dead) " are shown." } }
        }
    }
}

fn form(name: &str, deed: &str, inside: &Markup) -> Markup {
    html! {
        form.row method="post" action=(format!("/console/webhooks/{name}")) {
            input type="hidden" name="deed" value=(deed);
            (inside)
        }
    }
}

fn deeds(line: &WebhookLine, types: &Types, viewer: &Viewer) -> Markup {
    let name = line.name.as_str();
    html! {
        div.grid.two {
            section.card {
                h2 { "Try and stop" }
                (form(name, "test", &html! { button { "Send a test message" } }))
                @if line.state == "enabled" { (form(name, "pause", &html! { button.plain { "Pause" } span.muted { "What happens meanwhile waits in the journal." } })) }
                @else {
                    (form(name, "enable", &html! {
                        label.check { input type="checkbox" name="skip" value="1"; " skip what waited" }
                        button { "Enable" }
                    }))
                }
                (form(name, "remove", &html! { button.danger { "Remove" } span.muted { "With what waits for it." } }))
            }
            section.card {
                h2 { "Change the key" }
                (form(name, "rotate", &html! {
                    label { "Both keys sign for (hours)" input type="number" name="overlap_hours" min="0" max="168" value="24" required; }
                    button { "New key" }
                }))
                p.muted { "0 ends the key before at once: the way when it has leaked." }
            }
        }
        section.card {
            h2 { "Change what it is told" }
            (form(name, "change", &html! {
                (words(&line.url, &line.events.join(", "), line.accounts, viewer))
                button { "Change" }
            }))
            (all_types(types))
        }
    }
}

fn dead(line: &WebhookLine, letters: &[DeadLine], viewer: &Viewer) -> Markup {
    let may = viewer.may(Capability::ManageWebhooks);
    let replays = may && line.state == "enabled";
    html! {
        @if may {
            @if replays { (form(&line.name, "replay", &html! { button { "Try all once more" } })) }
            @else { p.muted { "Enable the endpoint to try them once more." } }
            (form(&line.name, "discard", &html! { button.plain { "Forget all" } }))
        }
        div.scroll { table.stack {
            thead { tr { th { "message" } th { "tells" } th { "entry" } th { "given up" } th { "tries" } th { "last try" } @if may { th { "do" } } } }
            tbody { @for letter in letters { tr data-row {
                td data-label="message" { (ends(&letter.id, ID_CHARS)) }
                td data-label="tells" { code { (letter.kind) } }
                td data-label="entry" { a href=(format!("/console/audit/{}", letter.entry)) { (letter.entry) } }
                td data-label="given up" { (moment(letter.at)) }
                td data-label="tries" { (letter.tries) }
                td data-label="last try" { (letter.why) }
                @if may { td data-label="do" {
                    @if replays { (form(&line.name, "replay", &html! { input type="hidden" name="message" value=(letter.id); button.plain { "Try again" } })) }
                    (form(&line.name, "discard", &html! { input type="hidden" name="message" value=(letter.id); button.plain { "Forget" } }))
                } }
            } } }
        } }
    }
}
