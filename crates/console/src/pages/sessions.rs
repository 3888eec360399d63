//! Who is signed in, and the way in without a passkey.

use identity::{Capability, FALLBACK_FRESH, FallbackOffer, FallbackState};
use maud::{Markup, html};

use super::{badge, heading, nothing};
use crate::{
    ROWS_MAX,
    ports::Viewer,
    svg::qr,
    time::moment,
    view::{
        Tone,
        own::{OwnSessions, SessionLine},
    },
};

pub(crate) fn page(own: &OwnSessions, viewer: &Viewer, says: Option<&str>) -> Markup {
    let manages = viewer.may(Capability::ManageAccess);
    let explains = if manages { "Who is signed in, and from where." } else { "Where you are signed in." };
    html! {
        (heading("Sessions", explains))
        @if let Some(says) = says { p.card.notice.bad role="alert" { (says) } }
        section.card {
            h2 { "Open sessions" }
            @if own.sessions.is_empty() { (nothing("None.")) } @else { (table(&own.sessions)) }
            @if own.more > 0 { p.muted { (own.more) " more; at most " (ROWS_MAX) " are shown." } }
            p.muted { "One that you do not know: end it, and have your passkeys looked at by whoever manages access." }
        }
        @if let Some(state) = own.fallback { (fallback(state, own.is_fresh)) }
    }
}

fn table(lines: &[SessionLine]) -> Markup {
    html! {
        div.scroll { table.stack {
            thead { tr { th { "who" } th { "by" } th { "from" } th { "since" } th { "last used" } th { "end" } } }
            tbody { @for line in lines { tr data-row {
                td data-label="who" { (line.user) @if line.is_this { " " (badge(Tone::Good, "this one")) } }
                td data-label="by" { (line.means) }
                td.mono data-label="from" { (line.ip) }
                td data-label="since" { (moment(line.begun_at)) }
                td data-label="last used" { (moment(line.used_at)) }
                td data-label="end" {
                    form method="post" action="/console/sessions/end" {
                        input type="hidden" name="id" value=(line.id);
                        button.quiet aria-label={ "End the session of " (line.user) " from " (line.ip) } { "End" }
                    }
                }
            } } }
        } }
    }
}

fn fallback(state: FallbackState, is_fresh: bool) -> Markup {
    let (tone, word) = match state {
        FallbackState::Set => (Tone::Good, "set"),
        FallbackState::Locked => (Tone::Bad, "locked"),
        FallbackState::None => (Tone::Plain, "not set"),
    };
    html! {
        section.card #fallback {
            h2 { "Without your passkey" }
            p { (badge(tone, word)) " For the day on which your passkey is not at hand: a phrase that you write down, and the codes of an "
                "authenticator app. What takes a second person is approved with a passkey alone, unless the installation says otherwise." }
            @if state == FallbackState::Locked {
                p.notice.card.bad { "Wrong codes came with the right phrase: somebody else may know it. Set a new one." }
            }
            div.buttons {
                @if is_fresh {
                    form method="post" action="/console/sessions/fallback" {
                        button { @if state == FallbackState::None { "Set one" } @else { "Set a new one" } }
                    }
                } @else {
                    p.muted { "To set one, sign in with your passkey: it takes a sign-in of the last " (FALLBACK_FRESH.as_secs() / 60) " minutes." }
                }
                @if state != FallbackState::None {
                    form method="post" action="/console/sessions/fallback/end" { button.danger { "Take it away" } }
                }
            }
        }
    }
}

/// What is shown once, and asked back as a code.
pub(crate) fn offer(offer: &FallbackOffer, says: Option<&str>) -> Markup {
    html! {
        (heading("Without your passkey", "Two things to keep, in two places. They are shown here and nowhere else."))
        @if let Some(says) = says { p.card.notice.bad role="alert" { (says) } }
        section.card {
            h2 { "1. Write down the phrase" }
            p { code.phrase { (offer.phrase.expose()) } }
            p.muted { "On paper, or in a password manager that is not on the phone with the app." }
        }
        section.card {
            h2 { "2. Add the codes to an authenticator app" }
            @if let Some(picture) = qr(offer.uri.expose()) { (picture) }
            details {
                summary { "Type it in instead" }
                p { code.secret { (offer.secret.expose()) } }
                p.muted { "Time-based, 6 digits, every 30 seconds, SHA-1." }
            }
        }
        section.card {
            h2 { "3. Prove that the app has it" }
            form.row method="post" action="/console/sessions/fallback/confirm" {
                label { "Code" input name="code" required inputmode="numeric" pattern="[0-9]{6}" maxlength="6" autocomplete="one-time-code"; }
                button { "Set it" }
            }
            p.muted { "Until then nothing has changed. What is shown is good for ten minutes." }
        }
    }
}
