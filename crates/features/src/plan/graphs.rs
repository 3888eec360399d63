//! The compiled form of the graphs of a pack.

use super::Filter;

/// A graph, what it is told by each event and what is read from it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GraphPlan {
    pub(crate) shape: GraphShape,
    /// Ticks for which a link or a transfer counts.
    pub(crate) window: u64,
    /// Fields whose entities a fraud label makes known for fraud.
    pub(crate) marks: Vec<usize>,
    /// (node, what it reads), in the order of the pack.
    pub(crate) reads: Vec<(usize, GraphRead)>,
}

/// What the graph holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum GraphShape {
    Money(MoneyPlan),
    Sharing(SharingPlan),
}

/// Accounts and the things they use.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SharingPlan {
    pub(crate) account: usize,
    pub(crate) things: Vec<usize>,
    /// Which events link.
    pub(crate) filter: Filter,
    /// Things held per account.
    pub(crate) links_max: usize,
    /// A thing of more accounts connects nobody.
    pub(crate) hub_above: usize,
    /// Accounts of a component that are looked at.
    pub(crate) reach_max: usize,
    /// Links to a fraud that count.
    pub(crate) hops_max: u8,
}

/// Transfers between nodes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MoneyPlan {
    pub(crate) transfers: Vec<TransferPlan>,
    /// Nanoseconds per tick.
    pub(crate) tick_nanos: u64,
    pub(crate) per_unit: f64,
    /// Transfers held per node.
    pub(crate) transfers_max: usize,
    pub(crate) cycle: CyclePlan,
}

/// Which events move money, and from where to where.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TransferPlan {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) value: usize,
    pub(crate) filter: Filter,
}

/// What counts as a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CyclePlan {
    /// Most transfers.
    pub(crate) hops_max: u8,
    /// Most ticks from the first to the last.
    pub(crate) span: u64,
    /// Least hundredths that a hop passes on of what it received.
    pub(crate) kept_percent: u8,
}

/// What a feature reads from a graph.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum GraphRead {
    /// Of the node that this field names.
    Money {
        of: usize,
        read: MoneyRead,
    },
    Sharing(SharingRead),
}

/// See the table in `docs/operating/feature-packs.md`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum MoneyRead {
    Cycle,
    Dwell { per: f64 },
    FanIn,
    FanOut,
    FraudPartners,
    PassThrough,
    Received,
    Sent,
}

/// See the table in `docs/operating/feature-packs.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SharingRead {
    ComponentAccounts,
    HopsToFraud,
    SharedAccounts,
    SharedFrauds,
    SharedThings,
}
