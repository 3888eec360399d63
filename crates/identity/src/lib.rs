//! Who may use the control API, and for what.
//!
//! Persons sign in with passkeys and act through roles; programs present tokens and act through capabilities. What is
//! known of both is a fold over [`Change`]s, each of which somebody recorded on purpose; sessions and unfinished
//! ceremonies are held in memory alone, so a restart signs everybody out.
//!
//! An engine without clock, socket, disk or randomness of its own: time and random bytes are arguments.
//!
//! # Reading order
//! [`Capability`], the one table of what there is to be allowed and which [`Role`] has it; [`Change`], what is
//! recorded; [`Desk`], what the API asks; [`webauthn`], how a passkey proves itself; [`totp`], the codes of apps, which are the
//! fallback; [`requests`], what takes two.
//!
//! # Bounds
//! [`USERS_MAX`], [`SERVICES_MAX`], [`PASSKEYS_MAX`], [`SESSIONS_MAX`], [`CEREMONIES_MAX`], and those of [`requests`].

mod capability;
mod change;
mod desk;
mod directory;
pub mod requests;
mod session;
pub mod totp;
pub mod webauthn;

pub use self::{
    capability::{Capability, Role, Row, TABLE},
    change::{Change, NewService, Passkey, RecordError},
    desk::{
        ADDRESSES_MAX, CodeSignIn, Desk, Enrolment, FALLBACK_FRESH, FallbackOffer, Judged, Origin,
        OriginError, SignIn, TRIES_MAX, TRIES_WINDOW, WRONG_CODES_MAX,
    },
    directory::{
        FallbackState, INVITE_LIFE, Invite, LIFE_MAX, PASSKEYS_MAX, Principal, Refused, SERVICES_MAX,
        ServiceSummary, USERS_MAX, UserSummary,
    },
    session::{
        CEREMONIES_MAX, CEREMONY_LIFE, Means, OpenSession, SESSION_IDLE, SESSION_LIFE, SESSIONS_MAX, Session,
    },
};
