//! What a person sees: pages rendered on the server, readable without scripts, kept current by server-sent events.
//!
//! The console knows no other part of the product. [`Sight`] is what it shows, [`Visitors`] who may see it; both are
//! ports that the product fills. A page is a function from a view to markup; whatever is shown is escaped by the
//! template, and the content security policy lets no script run that this crate did not ship.
//!
//! # What protects a page
//! - Every page belongs to a [`identity::Capability`]; [`PAGES`] is the one table, and the navigation shows what it allows.
//! - `default-src 'none'`, no inline script or style, Trusted Types, a fresh nonce for each answer
//!   (Content Security Policy Level 3, sections 6 and 7.1); htmx works only on elements that carry the nonce.
//! - A request that changes something must come from a page of the same origin: `Sec-Fetch-Site` (Fetch Metadata,
//!   section 2.3) and a cookie with `SameSite=Strict`.
//!
//! # Bounds
//! [`ROWS_MAX`] rows of a table, [`STREAMS_MAX`] live streams at a time.

mod assets;
mod headers;
mod icons;
mod layout;
mod pages;
mod ports;
mod query;
mod router;
mod svg;
mod time;
mod view;

pub use self::{
    pages::{Group, PAGES, Page},
    ports::{
        BoxFuture, Casework, Changes, NotDone, NotLetIn, Nothing, Operations, Own, Ports, Retry, Rules,
        Sight, Unavailable, Viewer, Visitors, Webhooks,
    },
    router::{Console, STREAMS_MAX},
    view::{
        AccountFile, ActivityLine, AddressFile, AppealLine, Backup, Ban, BanDeed, CaseFile, CaseFilter,
        CaseLine, CasePage, ChangeFile, ChangeLine, Checked, DeadLine, DecisionFilter, DecisionLine,
        DecisionPage, Deed, DerivedLine, Drill, Emergency, Entry, EntryPage, Evidence, Explanation, Export,
        ExportFilter, ExposureLine, Found, Graph, GraphEdge, GraphNode, Guarded, Health, HeldLine, KeyDeed,
        KeyFile, KeyLine, LabelLine, LinkLine, Links, List, Live, Mode, Moment, Neighbourhood, Part,
        Proposed, Push, Rows, Say, Score, Second, Setting, StopDeed, Stopped, SuspicionLine, Tone,
        TrailFilter, WebhookDeed, WebhookDone, WebhookFile, WebhookLine, WebhookWords, own, rules,
    },
};

/// Most rows a page shows at once.
pub const ROWS_MAX: usize = 100;
/// Longest text of rules that the editor takes, in bytes; larger sets are brought as a folder.
pub const RULES_TEXT_BYTES_MAX: usize = 1 << 20;
