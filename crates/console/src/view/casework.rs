//! What the analyst's pages are rendered from.

use domain::{UnixNanos, Verdict};

use super::{CaseLine, Evidence, Found, HeldLine, Tone};

/// What a model suspects an address of, on one chain.
#[derive(Debug, Clone, PartialEq)]
pub struct SuspicionLine {
    /// The operator's name of the chain.
    pub chain: String,
    /// How sure the model is.
    pub probability: f64,
    /// When that was recorded.
    pub at: UnixNanos,
    /// Height of the block after which it was suspected.
    pub height: u64,
    /// The transaction after which it was suspected, in hexadecimal; `None` where that is not known.
    pub transaction: Option<String>,
    /// Transactions of it that the model had seen.
    pub transactions: u64,
    /// What raised the probability most, in words.
    pub reasons: Vec<String>,
    /// SHA-256 of the model, in hexadecimal.
    pub model: String,
    /// Place of its entry in the journal.
    pub entry: u64,
}

/// A label derived for an address from others it is tied to, on one chain.
#[derive(Debug, Clone, PartialEq)]
pub struct DerivedLine {
    /// The operator's name of the chain.
    pub chain: String,
    /// What the known holder is listed as.
    pub category: String,
    /// What the label is worth, 0 to 1.
    pub confidence: f64,
    /// From the address to the known holder: how each is tied, and to whom.
    pub path: Vec<(String, String)>,
    /// Known holders around it, bad and harmless ones.
    pub around: (usize, usize),
}

/// Which decisions to list. Absent means any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DecisionFilter {
    /// Before this place in the journal.
    pub before: Option<u64>,
    /// With this verdict.
    pub verdict: Option<Verdict>,
    /// Of this account.
    pub account: Option<String>,
    /// With this text in the destination, the reason, the amount or the asset, whatever its case.
    pub text: Option<String>,
}

/// Which cases to list. Absent means any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaseFilter {
    /// Closed ones too, newest first; otherwise open ones by urgency.
    pub all: bool,
    /// In this state.
    pub state: Option<String>,
    /// At least so urgent.
    pub priority: Option<String>,
    /// Of this sort: `account`, `address`, `network` or `other`.
    pub about: Option<String>,
    /// With something from this source: `chain_alert`, `decision`, `fraud_alert`, `screening` or `suspicion`.
    pub source: Option<String>,
    /// Assigned to this name.
    pub assignee: Option<String>,
    /// With this text in the entity or the newest reason, whatever its case.
    pub text: Option<String>,
    /// Behind this case, in the order of the list.
    pub after: Option<u64>,
}

/// Cases in the order asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CasePage {
    /// At most [`crate::ROWS_MAX`].
    pub lines: Vec<CaseLine>,
    /// The case behind which the next page begins; `None` at the end.
    pub after: Option<u64>,
    /// Open ones in all.
    pub open: usize,
    /// Of those, past their deadline without anybody having looked.
    pub overdue: usize,
    /// When this was looked up.
    pub now: UnixNanos,
}

/// One thing that happened, in a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: UnixNanos,
    /// Of what sort: `access`, `alert`, `case`, `key`, `money`, `other`, `trade` or `withdrawal`.
    pub sort: &'static str,
    /// A person's name, or where it came from.
    pub who: String,
    /// What, in a few words.
    pub what: String,
    /// What was written, or found.
    pub text: String,
    /// What else is known.
    pub more: Vec<Evidence>,
    /// How it is meant.
    pub tone: Tone,
    /// Its place in the journal.
    pub position: u64,
    /// The decision it is.
    pub decision: Option<String>,
    /// Whether it belongs to the case shown.
    pub in_case: bool,
}

/// Something linked to what is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkLine {
    /// What it is: `account`, `address`, `device` or `network address`.
    pub kind: &'static str,
    /// Its name, for people.
    pub name: String,
    /// Its name in the address of the graph.
    pub entity: String,
    /// How it is linked.
    pub how: &'static str,
    /// Entries that say so.
    pub times: u32,
    /// When the newest of them happened.
    pub last: UnixNanos,
    /// Others that are linked to it.
    pub others: u64,
}

/// What is linked, and how much more was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Links {
    /// Used last first.
    pub lines: Vec<LinkLine>,
    /// Links that are no longer remembered.
    pub more: u64,
}

/// What a reason added to a score, in log odds.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// The feature.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What it added; below zero it took away.
    pub logit: f64,
}

/// A score and what raised it.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Probability of fraud in millionths.
    pub ppm: u32,
    /// The strongest reasons, strongest first.
    pub pushes: Vec<Push>,
}

/// A case with everything in it.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseFile {
    /// In short.
    pub line: CaseLine,
    /// Its state as a number, which a change names.
    pub revision: u64,
    /// When this was looked up.
    pub now: UnixNanos,
    /// The account it is about.
    pub account: Option<String>,
    /// The address it is about.
    pub address: Option<String>,
    /// Withdrawals, oldest first.
    pub held: Vec<HeldLine>,
    /// Appeals, oldest first.
    pub appeals: Vec<AppealLine>,
    /// What happened, newest first: in the case and around it.
    pub moments: Vec<Moment>,
    /// Entries of the account or address there are in all.
    pub moments_in_all: u64,
    /// What was found when something last joined it.
    pub found: Vec<Found>,
    /// Who and what is linked.
    pub links: Links,
    /// What it turned out to be, and who said so.
    pub resolution: Option<String>,
}

/// An appeal of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppealLine {
    /// Its number.
    pub id: u64,
    /// When it was brought.
    pub at: UnixNanos,
    /// Who brought it.
    pub by: String,
    /// The id of the decision it is against; none for a ban.
    pub decision: Option<String>,
    /// The ban it is against.
    pub ban: Option<String>,
    /// What was said.
    pub text: String,
    /// How far it is: open, overturned or upheld.
    pub state: String,
    /// Who answered, and why.
    pub answer: Option<(String, String)>,
}

/// Which entries of a customer or address to show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrailFilter {
    /// Of these sorts; none: of all.
    pub sorts: Vec<String>,
    /// Where to go on, as [`AccountFile::next`] says.
    pub from: Option<u64>,
}

/// A customer on one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFile {
    /// The account.
    pub account: String,
    /// Whether the person was erased: what is left are places in the journal.
    pub is_erased: bool,
    /// What happened, newest first. At most [`crate::ROWS_MAX`].
    pub moments: Vec<Moment>,
    /// Entries there are in all.
    pub moments_in_all: u64,
    /// Where the next older page begins; `None` at the end.
    pub next: Option<u64>,
    /// Who and what is linked.
    pub links: Links,
    /// Cases about it, newest first.
    pub cases: Vec<CaseLine>,
}

/// A label of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelLine {
    /// Whom or what the address is said to be.
    pub text: String,
    /// Which kind.
    pub category: String,
    /// What this label alone asks for.
    pub verdict: Verdict,
    /// How surely.
    pub confidence: String,
    /// On which list, and when its state was imported.
    pub list: String,
    /// When.
    pub imported_at: UnixNanos,
    /// Where it was published.
    pub source: String,
    /// Under which licence.
    pub licence: String,
    /// First and last said.
    pub said: (Option<UnixNanos>, Option<UnixNanos>),
}

/// What a category has of the money that came or went.
#[derive(Debug, Clone, PartialEq)]
pub struct ExposureLine {
    /// Which chain and asset.
    pub of: String,
    /// `received from` or `paid to`.
    pub way: &'static str,
    /// Which category; `None` for the part about which nothing is known.
    pub category: Option<String>,
    /// Share of the whole, over one transfer.
    pub direct: f64,
    /// Share of the whole, over several.
    pub indirect: f64,
    /// Fewest transfers to it; 0 where there is none.
    pub hops: u8,
    /// How it is meant.
    pub tone: Tone,
}

/// What an address received and paid of one asset.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivityLine {
    /// Which chain and asset.
    pub of: String,
    /// Transfers in.
    pub received: usize,
    /// Amount in, in the smallest unit.
    pub received_amount: f64,
    /// Transfers out.
    pub paid: usize,
    /// Amount out, in the smallest unit.
    pub paid_amount: f64,
    /// Different counterparties, at least.
    pub counterparties: usize,
}

/// What is known about an address now.
#[derive(Debug, Clone, PartialEq)]
pub struct AddressFile {
    /// The network asked for, if one was.
    pub network: Option<String>,
    /// As asked for.
    pub asked: String,
    /// Its one form; `None` if the text is no address.
    pub canonical: Option<String>,
    /// Why it is none.
    pub invalid: Option<String>,
    /// What screening says now.
    pub verdict: Verdict,
    /// Why, in sentences.
    pub reasons: Vec<String>,
    /// What models suspect it of.
    pub suspicions: Vec<SuspicionLine>,
    /// What it is tied to.
    pub derived: Vec<DerivedLine>,
    /// Labels, gravest first.
    pub labels: Vec<LabelLine>,
    /// Whether sources contradict each other.
    pub is_contradictory: bool,
    /// When it was first seen on each chain, and since when that chain is watched.
    pub seen: Vec<(String, UnixNanos, UnixNanos)>,
    /// By asset.
    pub activity: Vec<ActivityLine>,
    /// By category.
    pub exposures: Vec<ExposureLine>,
    /// Where the money came from and went, with those it came from first.
    pub flow: Option<Graph>,
    /// How current each chain is.
    pub chains: Vec<Evidence>,
    /// Lists consulted, each with when it was imported and how many addresses it has.
    pub lists: Vec<(String, UnixNanos, u64)>,
    /// Customers who paid it or were paid by it; `None` for those who may not see customers.
    pub customers: Option<Links>,
    /// Screenings, decisions and alerts about it, newest first; likewise.
    pub moments: Option<Vec<Moment>>,
}

/// A box of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphNode {
    /// What it is.
    pub kind: &'static str,
    /// Its name, for people.
    pub name: String,
    /// Where it leads; `None` for those added up.
    pub href: Option<String>,
    /// How it is meant.
    pub tone: Tone,
    /// From the left.
    pub column: usize,
}

/// A line of a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphEdge {
    /// Places in [`Graph::nodes`], from left to right.
    pub ends: (usize, usize),
    /// In words.
    pub how: String,
    /// From 0 to 1.
    pub weight: f64,
}

/// Boxes in columns and lines between them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// In the order of their columns, and within them from the top.
    pub nodes: Vec<GraphNode>,
    /// In any order.
    pub edges: Vec<GraphEdge>,
    /// Titles of the columns.
    pub columns: Vec<&'static str>,
    /// What is left out, in sentences.
    pub left_out: Vec<String>,
}

/// The neighbourhood of somebody or something.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbourhood {
    /// What it is.
    pub kind: &'static str,
    /// Its name, for people.
    pub name: String,
    /// Where there is more about it.
    pub href: Option<String>,
    /// It, what it is linked to, and who else is.
    pub graph: Graph,
}

/// A table that can be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Export {
    /// Alerts, newest first.
    Alerts,
    /// Bans in force.
    Bans,
    /// Cases.
    Cases,
    /// Decisions, newest first.
    Decisions,
}

impl Export {
    /// Its columns.
    #[must_use]
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Alerts => &[
                "position",
                "at",
                "entity",
                "source",
                "code",
                "verdict",
                "expected_loss",
                "retracted",
                "case",
            ],
            Self::Bans => &["target", "reason", "since", "until", "in_force", "evidence"],
            Self::Cases => &[
                "case",
                "entity",
                "state",
                "priority",
                "expected_loss",
                "unit",
                "opened_at",
                "deadline",
                "overdue",
                "assignee",
                "triggers",
                "newest_reason",
            ],
            Self::Decisions => &[
                "id",
                "at",
                "account",
                "amount",
                "asset",
                "network",
                "destination",
                "verdict",
                "codes",
                "reason",
            ],
        }
    }
}

/// What is taken away: which rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExportFilter {
    /// Of cases.
    pub cases: CaseFilter,
    /// Of decisions.
    pub decisions: DecisionFilter,
    /// Of alerts: before this place in the journal.
    pub before: Option<u64>,
}

/// Some rows of a table, each as long as its columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    /// In order.
    pub rows: Vec<Vec<String>>,
    /// What to ask for next; `None` at the end.
    pub next: Option<Box<ExportFilter>>,
}
