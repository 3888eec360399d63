//! The frame around every page.

use maud::{DOCTYPE, Markup, html};

use crate::{
    assets,
    headers::Nonce,
    pages::{CHANGES, PAGES, Page},
    ports::Viewer,
};

/// What is the same on every page.
pub(crate) struct Frame<'a> {
    pub(crate) nonce: &'a Nonce,
    pub(crate) viewer: &'a Viewer,
    /// The page of the navigation that is shown, or of which a part is.
    pub(crate) page: &'static Page,
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
                        a.brand href="/console" {
                            img src=(assets::icon()) width="24" height="24" alt="";
                            "Caponier"
                        }
                        div.who {
                            span { (self.viewer.actor.id()) }
                            form method="post" action="/console/leave" { button.quiet { "Sign out" } }
                        }
                    }
                    div.frame {
                        nav.main aria-label="Pages" {
                            ul {
                                @for page in PAGES.iter().filter(|page| self.viewer.may(page.capability)) {
                                    li {
                                        a href=(page.path) aria-current=[(page.path == self.page.path).then_some("page")] {
                                            (page.name)
                                            @if page.path == CHANGES.path && self.waiting > 0 {
                                                " " span.badge.warn { (self.waiting) " waiting" }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                        main #content tabindex="-1" { (content) }
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

/// A page for somebody who has not signed in; with the script for passkeys if there is a nonce for it.
pub(crate) fn outside(title: &str, script: Option<&Nonce>, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title))
            body {
                main.sign-in #content { (content) }
                @if let Some(nonce) = script {
                    script src=(assets::sign_in()) nonce=(nonce.as_str()) {}
                }
            }
        }
    }
}
