//! The compiled form of a pack: which streams of samples to keep, which cursors move over them, what each feature
//! reads. Built once when a pack is parsed; the engine follows it without looking anything up by name.
//!
//! A **stream** is all samples of one key (a field or a pair of fields) that pass one filter: one ring per entity.
//! Features on the same stream share its ring; windows with an edge of the same age share its cursor; equal sums
//! over equal windows exist once.

mod graphs;

pub(crate) use self::graphs::{
    CyclePlan, GraphPlan, GraphRead, GraphShape, MoneyPlan, MoneyRead, SharingPlan, SharingRead, TransferPlan,
};
use crate::pack::FieldType;

/// Where a number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A field, by index.
    Field(usize),
    /// An earlier feature, by node index, in millionths.
    Node(usize),
    /// The sequence of the stream: which steps the event matches, as bits.
    Steps,
}

/// A test on one field. A missing value passes none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) field: usize,
    pub(crate) test: Test,
}

/// Cells are compared as the engine holds them: hashes, minor units, 0 and 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    AtLeast(i64),
    Below(i64),
    OneOf(Vec<i64>),
}

/// Conditions that must all hold.
pub(crate) type Filter = Vec<Condition>;

pub(crate) fn passes(filter: &[Condition], cells: &[i64]) -> bool {
    filter.iter().all(|condition| {
        let cell = cells[condition.field];
        cell != crate::engine::MISSING
            && match &condition.test {
                Test::AtLeast(bound) => cell >= *bound,
                Test::Below(bound) => cell < *bound,
                Test::OneOf(cells) => cells.contains(&cell),
            }
    })
}

/// Age of a cursor. The order is the order in which a sample passes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Edge {
    /// First sample later than now.
    Now,
    /// The current sample, or as [`Edge::Now`] if the current event has none in this stream.
    Current,
    /// First sample younger than so many ticks (above zero).
    Age(u64),
}

/// The samples from the cursor `tail` (inclusive) to the cursor `head` (exclusive), as edge indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) tail: usize,
    pub(crate) head: usize,
}

/// What is kept up to date for a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Smallest (`false`) or largest (`true`) cell of a column: extreme `slot`.
    Extreme { column: usize, largest: bool, slot: usize },
    /// Different cells of a column: set `slot`.
    Distinct { column: usize, slot: usize },
    /// Samples with a flag: one word.
    Flagged { bit: u32, word: usize },
    /// Samples labelled fraud: one word.
    Frauds { word: usize },
    /// Samples with a label: one word.
    Known { word: usize },
    /// Sum of squares of a column's cells: two words.
    Squares { column: usize, word: usize },
    /// Number of present cells of a column, then their sum: three words.
    Sum { column: usize, word: usize },
}

/// A [`What`] of one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) window: Window,
    pub(crate) what: What,
}

/// A running mean and deviation of ln(1 + value) per entity that outliers do not teach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Profile {
    pub(crate) source: Source,
    /// Divisor from cells to the field's unit.
    pub(crate) per_unit: f64,
    pub(crate) sd_floor: f64,
    /// Up to so many entries the deviation is taken as 1.
    pub(crate) sd_after: u64,
    pub(crate) learn_below: f64,
    pub(crate) learn_first: u64,
    /// First of four words: entries, sum, sum of squares, largest cell.
    pub(crate) word: usize,
}

/// A flag that a sample carries if it stood out from a profile when it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outlier {
    pub(crate) profile: usize,
    pub(crate) above: f64,
    pub(crate) bit: u32,
}

/// What counts as a transaction in the denominator of a risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Total {
    /// All samples of the window.
    Events(Window),
    /// Those with a label, in this word.
    Known(usize),
}

/// One part of a recency-weighted risk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Band {
    pub(crate) frauds: usize,
    pub(crate) total: Total,
    pub(crate) weight: f64,
}

/// Which value of a streak of known frauds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pick {
    Largest,
    Newest,
    Smallest,
}

/// What a feature reads from its stream once the cursors stand.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Read {
    Age { per: f64 },
    Count(Window),
    Distinct { slot: usize },
    Extreme { slot: usize, per_unit: f64 },
    First { window: Window, column: usize, per_unit: f64 },
    FirstSeen,
    Frauds { word: usize },
    Known { word: usize },
    Last { window: Window, column: usize, per_unit: f64 },
    Mean { word: usize, per_unit: f64 },
    OutlierShare { word: usize, window: Window },
    Outliers { word: usize },
    OverMax { profile: usize },
    OverMean { profile: usize, floor: f64 },
    ProfileMax { profile: usize },
    Rate { window: Window, per_event: f64 },
    Risk { bands: Vec<Band>, prior: [f64; 2] },
    Sequence { window: Window, column: usize, steps: u32 },
    SequenceProgress { window: Window, column: usize, steps: u32 },
    SinceFraud { window: Window, per: f64 },
    SincePrevious { per: f64 },
    Stddev { sum: usize, squares: usize, per_unit: f64 },
    SinceLegitimate { walk: usize, per: f64 },
    Streak { walk: usize },
    StreakAge { walk: usize, per: f64 },
    StreakValue { walk: usize, slot: usize, per_unit: f64, pick: Pick },
    Sum { word: usize, per_unit: f64 },
    ZScore { profile: usize },
}

/// A walk back over the known samples of a window, as far as the streak of frauds at its young end goes. All features
/// of one streak share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Walk {
    pub(crate) window: Window,
    /// Word with the number of known samples of the window.
    pub(crate) known: usize,
    /// Columns whose cells are looked at on the way.
    pub(crate) columns: Vec<usize>,
}

/// One ring per entity, and everything read from it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StreamPlan {
    pub(crate) key: (usize, Option<usize>),
    pub(crate) filter: Filter,
    /// Steps of a sequence: the sample also needs to match one of them.
    pub(crate) steps: Vec<Filter>,
    pub(crate) level: usize,
    pub(crate) columns: Vec<Source>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) kept: Vec<Kept>,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) outliers: Vec<Outlier>,
    pub(crate) walks: Vec<Walk>,
    /// Labels are attached to the samples.
    pub(crate) is_labelled: bool,
    /// Times of known frauds are listed.
    pub(crate) lists_frauds: bool,
    /// Words of sums and profiles, after those of the cursors.
    pub(crate) words: usize,
    pub(crate) extremes: usize,
    pub(crate) sets: usize,
    /// (node, what it reads), in the order of the pack.
    pub(crate) reads: Vec<(usize, Read)>,
}

impl StreamPlan {
    fn new(key: (usize, Option<usize>), filter: Filter, steps: Vec<Filter>, level: usize) -> Self {
        Self {
            key,
            filter,
            steps,
            level,
            columns: Vec::new(),
            edges: Vec::new(),
            kept: Vec::new(),
            profiles: Vec::new(),
            outliers: Vec::new(),
            walks: Vec::new(),
            is_labelled: false,
            lists_frauds: false,
            words: 0,
            extremes: 0,
            sets: 0,
            reads: Vec::new(),
        }
    }

    /// The column with this source, added if it is not there.
    pub(crate) fn column(&mut self, source: Source) -> usize {
        self.columns.iter().position(|other| *other == source).unwrap_or_else(|| {
            self.columns.push(source);
            self.columns.len() - 1
        })
    }

    fn edge(&mut self, edge: Edge) -> usize {
        self.edges.iter().position(|other| *other == edge).unwrap_or_else(|| {
            self.edges.push(edge);
            self.edges.len() - 1
        })
    }

    /// The window of `width` ticks that ends `delay` ticks ago; the current event is part of one without a delay only
    /// if `include_current`.
    pub(crate) fn window(&mut self, width: u64, delay: u64, include_current: bool) -> Window {
        let head = match delay {
            0 if include_current => Edge::Now,
            0 => Edge::Current,
            delay => Edge::Age(delay),
        };
        Window { tail: self.edge(Edge::Age(delay.saturating_add(width))), head: self.edge(head) }
    }

    fn keep(&mut self, window: Window, same: impl Fn(&What) -> bool, fresh: What, words: usize) -> What {
        if let Some(kept) = self.kept.iter().find(|kept| kept.window == window && same(&kept.what)) {
            return kept.what;
        }
        self.words += words;
        self.kept.push(Kept { window, what: fresh });
        fresh
    }

    pub(crate) fn sum(&mut self, window: Window, column: usize) -> usize {
        let word = self.words;
        let same = |what: &What| matches!(what, What::Sum { column: other, .. } if *other == column);
        match self.keep(window, same, What::Sum { column, word }, 3) {
            What::Sum { word, .. } => word,
            _ => word,
        }
    }

    pub(crate) fn squares(&mut self, window: Window, column: usize) -> usize {
        let word = self.words;
        let same = |what: &What| matches!(what, What::Squares { column: other, .. } if *other == column);
        match self.keep(window, same, What::Squares { column, word }, 2) {
            What::Squares { word, .. } => word,
            _ => word,
        }
    }

    pub(crate) fn frauds(&mut self, window: Window) -> usize {
        self.is_labelled = true;
        let word = self.words;
        match self.keep(window, |what| matches!(what, What::Frauds { .. }), What::Frauds { word }, 1) {
            What::Frauds { word } => word,
            _ => word,
        }
    }

    pub(crate) fn known(&mut self, window: Window) -> usize {
        self.is_labelled = true;
        let word = self.words;
        match self.keep(window, |what| matches!(what, What::Known { .. }), What::Known { word }, 1) {
            What::Known { word } => word,
            _ => word,
        }
    }

    /// The walk over the streak of a window, added if it is not there.
    pub(crate) fn walk(&mut self, window: Window) -> usize {
        let known = self.known(window);
        self.walks.iter().position(|walk| walk.window == window).unwrap_or_else(|| {
            self.walks.push(Walk { window, known, columns: Vec::new() });
            self.walks.len() - 1
        })
    }

    /// The place of a column among those of a walk, added if it is not there.
    pub(crate) fn walk_column(&mut self, walk: usize, column: usize) -> usize {
        let columns = &mut self.walks[walk].columns;
        columns.iter().position(|other| *other == column).unwrap_or_else(|| {
            columns.push(column);
            columns.len() - 1
        })
    }

    pub(crate) fn flagged(&mut self, window: Window, bit: u32) -> usize {
        let word = self.words;
        let same = |what: &What| matches!(what, What::Flagged { bit: other, .. } if *other == bit);
        match self.keep(window, same, What::Flagged { bit, word }, 1) {
            What::Flagged { word, .. } => word,
            _ => word,
        }
    }

    pub(crate) fn extreme(&mut self, window: Window, column: usize, largest: bool) -> usize {
        let slot = self.extremes;
        let fresh = What::Extreme { column, largest, slot };
        let same = |what: &What| matches!(what, What::Extreme { column: a, largest: b, .. } if (*a, *b) == (column, largest));
        match self.keep(window, same, fresh, 0) {
            What::Extreme { slot: found, .. } => {
                self.extremes = self.extremes.max(found + 1);
                found
            }
            _ => slot,
        }
    }

    pub(crate) fn distinct(&mut self, window: Window, column: usize) -> usize {
        let slot = self.sets;
        let same = |what: &What| matches!(what, What::Distinct { column: other, .. } if *other == column);
        match self.keep(window, same, What::Distinct { column, slot }, 0) {
            What::Distinct { slot: found, .. } => {
                self.sets = self.sets.max(found + 1);
                found
            }
            _ => slot,
        }
    }

    /// The profile with these settings, added if it is not there.
    pub(crate) fn profile(&mut self, profile: Profile) -> usize {
        let same = |other: &Profile| Profile { word: profile.word, ..*other } == profile;
        self.profiles.iter().position(same).unwrap_or_else(|| {
            self.profiles.push(Profile { word: self.words, ..profile });
            self.words += 4;
            self.profiles.len() - 1
        })
    }

    /// The flag bit of an outlier, `None` when there are no more bits.
    pub(crate) fn outlier(&mut self, profile: usize, above: f64) -> Option<u32> {
        if let Some(outlier) =
            self.outliers.iter().find(|other| (other.profile, other.above) == (profile, above))
        {
            return Some(outlier.bit);
        }
        let bit = u32::try_from(self.outliers.len()).ok().filter(|bit| *bit < OUTLIERS_MAX)?;
        self.outliers.push(Outlier { profile, above, bit });
        Some(bit)
    }

    pub(crate) const fn has_meta(&self) -> bool {
        self.is_labelled || !self.outliers.is_empty()
    }

    /// Sorts the cursors into the order in which a sample passes them and renumbers the windows.
    fn seal(&mut self) {
        let old = self.edges.clone();
        self.edges.sort_unstable();
        let edges = &self.edges;
        let renumber = |edge: &mut usize| {
            *edge = edges.iter().position(|sorted| *sorted == old[*edge]).unwrap_or(*edge);
        };
        let move_window = |window: &mut Window| {
            renumber(&mut window.tail);
            renumber(&mut window.head);
        };
        self.kept.iter_mut().for_each(|kept| move_window(&mut kept.window));
        self.walks.iter_mut().for_each(|walk| move_window(&mut walk.window));
        for (_, read) in &mut self.reads {
            match read {
                Read::Count(window)
                | Read::First { window, .. }
                | Read::Last { window, .. }
                | Read::OutlierShare { window, .. }
                | Read::Rate { window, .. }
                | Read::Sequence { window, .. }
                | Read::SequenceProgress { window, .. }
                | Read::SinceFraud { window, .. } => move_window(window),
                Read::Risk { bands, .. } => {
                    for band in bands {
                        if let Total::Events(window) = &mut band.total {
                            move_window(window);
                        }
                    }
                }
                Read::Age { .. }
                | Read::Distinct { .. }
                | Read::Extreme { .. }
                | Read::FirstSeen
                | Read::Frauds { .. }
                | Read::Known { .. }
                | Read::Mean { .. }
                | Read::Outliers { .. }
                | Read::OverMax { .. }
                | Read::OverMean { .. }
                | Read::ProfileMax { .. }
                | Read::SinceLegitimate { .. }
                | Read::SincePrevious { .. }
                | Read::Stddev { .. }
                | Read::Streak { .. }
                | Read::StreakAge { .. }
                | Read::StreakValue { .. }
                | Read::Sum { .. }
                | Read::ZScore { .. } => {}
            }
        }
    }
}

/// Most outlier thresholds on one stream: the flag bits of a sample.
pub(crate) const OUTLIERS_MAX: u32 = 6;

/// What a feature computes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Compute {
    CosHour,
    Difference {
        left: usize,
        right: usize,
    },
    Field(usize),
    Hour,
    HourAtMost(u64),
    Is(Filter),
    Log1p(usize),
    Ratio {
        numerator: usize,
        denominator: usize,
        floor: Option<f64>,
    },
    /// Computed by a stream.
    Read,
    SinHour,
    Weekday,
    Weekend,
}

/// One feature, shown or hidden.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) compute: Compute,
    /// What stands for a value that cannot be computed.
    pub(crate) missing: f64,
    pub(crate) level: usize,
}

/// A step of the computation of one event's features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Graph(usize),
    Node(usize),
    Stream(usize),
}

/// The compiled pack.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Plan {
    /// Nanoseconds per tick.
    pub(crate) tick_nanos: u64,
    pub(crate) lateness_ticks: u64,
    pub(crate) fields: Vec<FieldType>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) streams: Vec<StreamPlan>,
    pub(crate) graphs: Vec<GraphPlan>,
    pub(crate) order: Vec<Op>,
    /// Node of each column.
    pub(crate) columns: Vec<usize>,
    /// Streams that labels are attached to.
    pub(crate) labelled: Vec<usize>,
}

impl Plan {
    /// The stream with this key, filter and sequence for values up to `level`.
    pub(crate) fn stream(
        &mut self,
        key: (usize, Option<usize>),
        filter: &Filter,
        steps: &[Filter],
        level: usize,
    ) -> usize {
        let same = |stream: &StreamPlan| {
            stream.key == key && stream.filter == *filter && stream.steps == steps && stream.level == level
        };
        self.streams.iter().position(same).unwrap_or_else(|| {
            self.streams.push(StreamPlan::new(key, filter.clone(), steps.to_vec(), level));
            self.streams.len() - 1
        })
    }

    /// Settles the order of computation.
    pub(crate) fn seal(&mut self) {
        self.streams.iter_mut().for_each(StreamPlan::seal);
        self.labelled = (0..self.streams.len()).filter(|stream| self.streams[*stream].is_labelled).collect();
        self.order.extend((0..self.graphs.len()).map(Op::Graph));
        let level_max = self.nodes.iter().map(|node| node.level).max().unwrap_or(0);
        for level in 0..=level_max {
            let streams = (0..self.streams.len()).filter(|stream| self.streams[*stream].level == level);
            self.order.extend(streams.map(Op::Stream));
            let own = |node: &Node| node.level == level && node.compute != Compute::Read;
            let nodes = (0..self.nodes.len()).filter(|node| own(&self.nodes[*node]));
            self.order.extend(nodes.map(Op::Node));
        }
    }
}
