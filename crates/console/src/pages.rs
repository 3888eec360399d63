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
pub(crate) mod webhooks;

use domain::Verdict;
use identity::Capability;
use maud::{Markup, html};

use crate::{
    svg::layers::short,
    view::{Evidence, Tone},
};

/// A page of the navigation.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// Where it is.
    pub path: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// What it takes to see it and whatever lies below its path.
    pub capability: Capability,
    /// Where the navigation has it.
    pub group: Group,
    /// The drawing beside its name.
    icon: &'static str,
}

/// What pages of the navigation have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// What somebody looks at first.
    Now,
    /// Who did what.
    Investigate,
    /// What stands in the way.
    Protect,
    /// What can be shown to somebody else.
    Prove,
    /// How the installation runs.
    Run,
}

impl Group {
    /// In the order of the navigation.
    pub const ALL: [Self; 5] = [Self::Now, Self::Investigate, Self::Protect, Self::Prove, Self::Run];

    /// Its heading; the first needs none.
    pub(crate) const fn title(self) -> Option<&'static str> {
        match self {
            Self::Now => None,
            Self::Investigate => Some("Investigate"),
            Self::Protect => Some("Protect"),
            Self::Prove => Some("Prove"),
            Self::Run => Some("Run"),
        }
    }
}

pub(crate) const LIVE: Page = page("/console", "Live", Capability::ReadHealth).within(Group::Now, "live");
pub(crate) const DECISIONS: Page =
    page("/console/decisions", "Decisions", Capability::ReadDecisions).within(Group::Investigate, "decision");
pub(crate) const CASES: Page =
    page("/console/cases", "Cases", Capability::ReadCases).within(Group::Investigate, "case");
pub(crate) const EMERGENCY: Page =
    page("/console/emergency", "Emergency", Capability::ReadHealth).within(Group::Now, "emergency");
pub(crate) const KEYS: Page =
    page("/console/keys", "API keys", Capability::ReadKeys).within(Group::Protect, "key");
pub(crate) const HEALTH: Page =
    page("/console/health", "Health", Capability::ReadMetrics).within(Group::Run, "health");
/// Pages of customers belong to the graph: both show who is behind a name.
pub(crate) const GRAPH: Page =
    page("/console/graph", "Entity graph", Capability::ReadCases).within(Group::Investigate, "graph");
pub(crate) const ADDRESSES: Page =
    page("/console/addresses", "Addresses", Capability::Screen).within(Group::Investigate, "address");
pub(crate) const CHANGES: Page =
    page("/console/changes", "Changes", Capability::ReadChanges).within(Group::Now, "change");
pub(crate) const BANS: Page =
    page("/console/bans", "Attack view", Capability::ReadMetrics).within(Group::Protect, "attack");
pub(crate) const LISTS: Page =
    page("/console/lists", "Lists", Capability::ReadHealth).within(Group::Protect, "list");
pub(crate) const RULES: Page =
    page("/console/rules", "Rules", Capability::ReadRules).within(Group::Protect, "rule");
pub(crate) const MODELS: Page =
    page("/console/models", "Models", Capability::ReadRules).within(Group::Protect, "model");
pub(crate) const BACKUPS: Page =
    page("/console/backups", "Backups", Capability::ReadHealth).within(Group::Prove, "backup");
pub(crate) const AUDIT: Page =
    page("/console/audit", "Audit log", Capability::ReadHealth).within(Group::Prove, "audit");

pub(crate) const WEBHOOKS: Page =
    page("/console/webhooks", "Webhooks", Capability::ReadInstallation).within(Group::Run, "webhook");

pub(crate) const SESSIONS: Page =
    page("/console/sessions", "Sessions", Capability::OwnSession).within(Group::Run, "key");
/// The one page of those who develop for one account.
pub(crate) const OWN: Page =
    page("/console/own", "My account", Capability::OwnAccount).within(Group::Now, "key");

/// Every page there is, in the order of the navigation.
pub const PAGES: &[Page] = &[
    LIVE, EMERGENCY, CHANGES, CASES, DECISIONS, GRAPH, ADDRESSES, BANS, KEYS, RULES, MODELS, LISTS, BACKUPS,
    AUDIT, HEALTH, WEBHOOKS, SESSIONS, OWN,
];

const fn page(path: &'static str, name: &'static str, capability: Capability) -> Page {
    Page { path, name, capability, group: Group::Run, icon: "" }
}

impl Page {
    const fn within(self, group: Group, icon: &'static str) -> Self {
        Self { group, icon, ..self }
    }

    /// The drawing beside its name.
    pub(crate) const fn icon(&self) -> &'static str {
        self.icon
    }
}

/// A heading with a sentence that says what one looks at.
fn heading(title: &str, says: &str) -> Markup {
    headed(title, says, &html! {})
}

/// The same with what one can do from here.
fn headed(title: &str, says: &str, ways: &Markup) -> Markup {
    html! { div.head { div { h1 { (title) } p { (says) } } div.ways { (ways) } } }
}

fn badge(tone: Tone, word: &str) -> Markup {
    html! { span.badge.(tone.class()) { (word) } }
}

/// A verdict about a withdrawal, as what became of it.
fn verdict(verdict: Verdict) -> Markup {
    badge(
        Tone::of_verdict(verdict),
        match verdict {
            Verdict::Allow => "allowed",
            Verdict::Challenge => "challenged",
            Verdict::Deny => "denied",
            Verdict::Hold => "held",
        },
    )
}

/// A name that is long and means something only as a whole: shown whole, and offered to be copied where scripts run.
fn ident(text: &str) -> Markup {
    html! { code.ident data-copy=(text) { (text) } }
}

/// The same with both ends only, the whole when pointed at or copied.
fn ends(text: &str, most: usize) -> Markup {
    html! { code.ident data-copy=(text) title=(text) { (short(text, most)) } }
}

fn pairs(values: &[Evidence]) -> Markup {
    html! { dl.pairs { @for (name, value) in values { dt { (name.replace('_', " ")) } dd { (told(value)) } } } }
}

/// A value of a pair: moments as everywhere else, the rest as it is.
fn told(value: &str) -> Markup {
    if crate::time::is_moment(value) {
        crate::time::stamp(value)
    } else {
        html! { (value) }
    }
}

/// Instead of a table without rows.
fn nothing(why: &str) -> Markup {
    html! { p.nothing { (why) } }
}
