//! The frame around every page.

use identity::Capability;
use maud::{DOCTYPE, Markup, html};

use crate::{
    assets,
    headers::Nonce,
    icons::icon,
    pages::{CHANGES, Group, PAGES, Page},
    ports::Viewer,
};

/// Any of these lets somebody find something by its name.
const MAY_FIND: [Capability; 3] = [Capability::ReadCases, Capability::ReadDecisions, Capability::Screen];

/// What is the same on every page.
pub(crate) struct Frame<'a> {
    pub(crate) nonce: &'a Nonce,
    pub(crate) viewer: &'a Viewer,
    /// The page of the navigation that is shown, or of which a part is.
    pub(crate) page: &'static Page,
    /// What is the same on every page while something is stopped.
    pub(crate) banner: &'a Markup,
    /// Changes that wait for the viewer.
    pub(crate) waiting: usize,
}

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            // Styles of htmx would be inline; those of the console stand in for them.
            meta name="htmx-config" content=r#"{"extensions":"hx-csp,sse","includeIndicatorCSS":false}"#;
            title { (title) " - Caponier" }
            link rel="icon" type="image/svg+xml" href=(assets::icon());
            link rel="preload" as="font" type="font/woff2" crossorigin href=(assets::font());
            link rel="stylesheet" href=(assets::style());
        }
    }
}

/// At the end of the body and not deferred: htmx begins as soon as it runs unless the page is still being read, and its
/// extensions have to be there by then.
fn scripts(nonce: &Nonce) -> Markup {
    html! { @for script in assets::scripts() { script src=(script) nonce=(nonce.as_str()) {} } }
}

impl Frame<'_> {
    /// A whole page.
    pub(crate) fn render(&self, title: &str, content: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                (head(title))
                body {
                    a.skip href="#content" { "To the content" }
                    header.top {
                        button.menu type="button" popovertarget="pages" aria-label="Pages" { (icon("menu")) }
                        a.brand href="/console" aria-label="Caponier" {
                            img src=(assets::icon()) width="26" height="26" alt="";
                            span { "Caponier" }
                        }
                        @if MAY_FIND.iter().any(|capability| self.viewer.may(*capability)) {
                            form.search role="search" method="get" action="/console/find" {
                                input type="search" name="q" required maxlength="160" autocomplete="off" spellcheck="false"
                                    aria-label="Find a customer, address, device, decision or case" placeholder="Customer, address, decision, case \u{2026}";
                                kbd aria-hidden="true" { "/" }
                            }
                        }
                        div.who {
                            span.name { (icon("account")) span { (self.viewer.actor.id()) } }
                            form method="post" action="/console/leave" { button.quiet { "Sign out" } }
                        }
                    }
                    div.frame {
                        nav.main #pages popover aria-label="Pages" { @for group in Group::ALL { (self.pages_of(group)) } }
                        main #content tabindex="-1" { (self.banner) (content) }
                    }
                    dialog #keys aria-label="Keys" {
                        h2 { "Keys" }
                        dl.pairs {
                            dt { kbd { "j" } " " kbd { "k" } } dd { "next and previous row" }
                            dt { kbd { "Enter" } } dd { "open the row" }
                            dt { kbd { "x" } } dd { "choose the row" }
                            dt { kbd { "a" } } dd { "assign to me: the case, or those chosen" }
                            dt { kbd { "r" } } dd { "to the reason of a release, or of what is done with those chosen" }
                            dt { kbd { "n" } } dd { "to the note" }
                            dt { kbd { "e" } } dd { "to the reason for closing" }
                            dt { kbd { "f" } } dd { "to the filter" }
                            dt { kbd { "/" } } dd { "find anything by its name" }
                            dt { kbd { "c" } } dd { "copy the name in the row" }
                            dt { kbd { "?" } } dd { "these keys" }
                        }
                        form method="dialog" { button { "Close" } }
                    }
                    (scripts(self.nonce))
                }
            }
        }
    }
}

impl Frame<'_> {
    fn pages_of(&self, group: Group) -> Markup {
        let pages: Vec<_> =
            PAGES.iter().filter(|page| page.group == group && self.viewer.may(page.capability)).collect();
        html! { @if !pages.is_empty() {
            @if let Some(title) = group.title() { h2 { (title) } }
            ul { @for page in pages { li {
                a href=(page.path) aria-current=[(page.path == self.page.path).then_some("page")] {
                    (icon(page.icon()))
                    span { (page.name) }
                    @if page.path == CHANGES.path && self.waiting > 0 { " " span.badge.warn { (self.waiting) " waiting" } }
                }
            } } }
        } }
    }
}

/// A page for somebody who has not signed in; with the script for passkeys if there is a nonce for it.
pub(crate) fn outside(title: &str, script: Option<&Nonce>, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title))
            body {
                main.sign-in #content {
                    p.brand { img src=(assets::icon()) width="40" height="40" alt=""; span { "Caponier" } }
                    div.card { (content) }
                }
                @if let Some(nonce) = script {
                    script src=(assets::sign_in()) nonce=(nonce.as_str()) {}
                }
            }
        }
    }
}
