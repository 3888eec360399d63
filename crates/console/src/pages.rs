//! The pages: each a function from a view to markup.

pub(crate) mod accounts;
pub(crate) mod address;
pub(crate) mod audit;
pub(crate) mod backups;
pub(crate) mod bans;
pub(crate) mod cases;
pub(crate) mod changes;
pub(crate) mod decisions;
pub(crate) mod emergency;
pub(crate) mod graph;
pub(crate) mod health;
pub(crate) mod keys;
pub(crate) mod lists;
pub(crate) mod live;
pub(crate) mod models;
pub(crate) mod moments;
pub(crate) mod own;
pub(crate) mod rules;
pub(crate) mod sessions;

use identity::Capability;
use maud::{Markup, html};

use crate::view::{Evidence, Tone};

/// A page of the navigation.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// Where it is.
    pub path: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// What it takes to see it and whatever lies below its path.
    pub capability: Capability,
}

pub(crate) const LIVE: Page = page("/console", "Live", Capability::ReadHealth);
pub(crate) const DECISIONS: Page = page("/console/decisions", "Decisions", Capability::ReadDecisions);
pub(crate) const CASES: Page = page("/console/cases", "Cases", Capability::ReadCases);
pub(crate) const EMERGENCY: Page = page("/console/emergency", "Emergency", Capability::ReadHealth);
pub(crate) const KEYS: Page = page("/console/keys", "API keys", Capability::ReadKeys);
pub(crate) const HEALTH: Page = page("/console/health", "Health", Capability::ReadMetrics);
/// Pages of customers belong to the graph: both show who is behind a name.
pub(crate) const GRAPH: Page = page("/console/graph", "Entity graph", Capability::ReadCases);
pub(crate) const ADDRESSES: Page = page("/console/addresses", "Addresses", Capability::Screen);
pub(crate) const CHANGES: Page = page("/console/changes", "Changes", Capability::ReadChanges);
pub(crate) const BANS: Page = page("/console/bans", "Attack view", Capability::ReadMetrics);
pub(crate) const LISTS: Page = page("/console/lists", "Lists", Capability::ReadHealth);
pub(crate) const RULES: Page = page("/console/rules", "Rules", Capability::ReadRules);
pub(crate) const MODELS: Page = page("/console/models", "Models", Capability::ReadRules);
pub(crate) const BACKUPS: Page = page("/console/backups", "Backups", Capability::ReadHealth);
pub(crate) const AUDIT: Page = page("/console/audit", "Audit log", Capability::ReadHealth);

pub(crate) const SESSIONS: Page = page("/console/sessions", "Sessions", Capability::OwnSession);
/// The one page of those who develop for one account.
pub(crate) const OWN: Page = page("/console/own", "My account", Capability::OwnAccount);

/// Every page there is, in the order of the navigation.
pub const PAGES: &[Page] = &[
    LIVE, EMERGENCY, CASES, CHANGES, DECISIONS, GRAPH, ADDRESSES, RULES, MODELS, BANS, KEYS, LISTS, BACKUPS,
    AUDIT, HEALTH, SESSIONS, OWN,
];

const fn page(path: &'static str, name: &'static str, capability: Capability) -> Page {
    Page { path, name, capability }
}

/// A heading with a sentence that says what one looks at.
fn heading(title: &str, says: &str) -> Markup {
    html! { div.head { h1 { (title) } p { (says) } } }
}

fn badge(tone: Tone, word: &str) -> Markup {
    html! { span.badge.(tone.class()) { (word) } }
}

fn pairs(values: &[Evidence]) -> Markup {
    html! { dl.pairs { @for (name, value) in values { dt { (name.replace('_', " ")) } dd { (value) } } } }
}

/// Instead of a table without rows.
fn nothing(why: &str) -> Markup {
    html! { p.muted { (why) } }
}
