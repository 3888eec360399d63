//! Rules and models as pages show them.

use domain::UnixNanos;

/// A rule of a set at work, and what it did.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleLine {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// Who answers for it.
    pub owner: String,
    /// What it asks for.
    pub action: String,
    /// `shadow` or `enforce`.
    pub mode: String,
    /// Its condition.
    pub when: String,
    /// The sentence people see, with names of slots in braces.
    pub reason: String,
    /// Examples it carries.
    pub fixtures: usize,
    /// Decisions and alerts that named it since midnight, UTC.
    pub today: u64,
    /// The same of the last seven days.
    pub week: u64,
    /// Of all that are remembered: known fraud.
    pub fraud: u64,
    /// Known good.
    pub good: u64,
    /// Different customers known to be good among them.
    pub good_accounts: u64,
}

/// A rule the product brings, which is asked with and without a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltIn {
    /// Its name in the configuration.
    pub name: &'static str,
    /// What it looks for, a sentence.
    pub says: &'static str,
    /// What it asks for.
    pub action: &'static str,
    /// Whether it is asked.
    pub mode: super::Mode,
}

/// A set of rules at work.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSetView {
    /// Where: `active` or `challenger`.
    pub place: &'static str,
    /// Name and version of the bundle.
    pub bundle: String,
    /// Name and version of the set.
    pub rules: String,
    /// Hex of the bundle.
    pub sha256: String,
    /// Whether what it says has an effect.
    pub has_effect: bool,
    /// The rules.
    pub lines: Vec<RuleLine>,
}

/// A version of a bundle that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionLine {
    /// Hex of the bundle.
    pub sha256: String,
    /// Name and version of its rules.
    pub rules: String,
    /// Who kept it.
    pub by: String,
    /// When.
    pub at: UnixNanos,
    /// What it is for.
    pub note: String,
    /// `in force`, `in shadow`, `was in force` or `draft`.
    pub state: &'static str,
    /// When its last backtest was done; empty without one.
    pub tested: String,
}

/// A backtest that waits, runs or has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobLine {
    /// Its number.
    pub id: u64,
    /// Hex of the bundle.
    pub sha256: String,
    /// Who asked.
    pub by: String,
    /// Days of the past.
    pub days: u64,
    /// `waiting`, `running`, `done`, `cancelled` or `failed`.
    pub state: &'static str,
    /// How much is done, of a hundred.
    pub percent: u64,
    /// What went wrong; empty if nothing did.
    pub says: String,
}

/// Everything about rules on one page.
#[derive(Debug, Clone, PartialEq)]
pub struct Book {
    /// Sets at work.
    pub sets: Vec<RuleSetView>,
    /// Rules the product brings.
    pub built_in: Vec<BuiltIn>,
    /// Versions kept, newest first.
    pub versions: Vec<VersionLine>,
    /// Backtests, newest first.
    pub jobs: Vec<JobLine>,
    /// From when on every hit is remembered, if some were forgotten.
    pub since: Option<UnixNanos>,
}

/// A fault of a document of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    /// Line, from 1; zero where it has no place in the text.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The rule at fault, if it is in one.
    pub rule: String,
    /// What is wrong.
    pub message: String,
    /// The line with carets.
    pub excerpt: String,
}

/// What a set changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Rules only the new set has.
    pub added: Vec<String>,
    /// Rules only the old set has.
    pub removed: Vec<String>,
    /// Rule, field, before, after.
    pub changed: Vec<[String; 4]>,
    /// Lists, in words.
    pub lists: Vec<String>,
    /// Rules that would be enforced without having been watched in shadow.
    pub unrehearsed: Vec<String>,
}

/// A document that compiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// Hex of the bundle it makes.
    pub sha256: String,
    /// Name and version of the set.
    pub rules: String,
    /// Rule, name of the example, whether it fires: all came out as expected.
    pub fixtures: Vec<(String, String, bool)>,
    /// Beside the set in force.
    pub changes: Changes,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// What is wrong, and how many faults more there are.
    Faulty(Vec<RuleFault>, usize),
    /// Nothing.
    Good(Box<Compiled>),
}

/// What a backtest found about a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundRule {
    /// Its id.
    pub rule: String,
    /// What it asks for.
    pub action: String,
    /// `shadow` or `enforce`.
    pub mode: String,
    /// Records it fired on.
    pub hits: u64,
    /// The same of the rule in force; `None` if there is none of the id.
    pub hits_before: Option<u64>,
    /// Of the hits, known fraud.
    pub fraud: u64,
    /// Known good.
    pub good: u64,
    /// Fraud among those known either way.
    pub precision: Option<f64>,
    /// Share of all known fraud.
    pub recall: Option<f64>,
    /// Different customers.
    pub accounts: u64,
    /// Different customers known to be good.
    pub good_accounts: u64,
    /// Text and address of examples.
    pub examples: Vec<(String, String)>,
}

/// What a score is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundModel {
    /// Records with a known label.
    pub rows: u64,
    /// Of those, fraud.
    pub frauds: u64,
    /// Figures by name.
    pub figures: Vec<(&'static str, f64)>,
    /// Threshold, recall, precision.
    pub curve: Vec<(f64, f64, f64)>,
    /// Rows, mean probability, share of fraud.
    pub reliability: Vec<(u64, f64, f64)>,
}

/// What a backtest found.
#[derive(Debug, Clone, PartialEq)]
pub struct Backtested {
    /// Begin of the stretch; RFC 3339.
    pub from: String,
    /// End of the stretch; RFC 3339.
    pub until: String,
    /// When it was done; RFC 3339.
    pub at: String,
    /// Who asked.
    pub by: String,
    /// Hex of the bundle it was compared with; empty for none.
    pub compared_with: String,
    /// Records judged.
    pub events: u64,
    /// Known fraud.
    pub fraud: u64,
    /// Known good.
    pub good: u64,
    /// Different good customers it would have troubled.
    pub good_troubled: u64,
    /// Whether numbers of customers are only what was counted.
    pub is_at_least: bool,
    /// Each rule.
    pub rules: Vec<FoundRule>,
    /// The model.
    pub model: Option<FoundModel>,
}

/// A version with all that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionFile {
    /// In one line.
    pub line: VersionLine,
    /// Its rules as they are written.
    pub text: String,
    /// What it is, and what it changes.
    pub compiled: Compiled,
    /// Its last backtest.
    pub found: Option<Backtested>,
    /// A backtest of it that waits or runs.
    pub job: Option<JobLine>,
    /// Records it judged in shadow since it stands there.
    pub judged_in_shadow: Option<u64>,
    /// Whether it may be returned to at once: it was in force before.
    pub may_return: bool,
}

/// A model of the registry in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelLine {
    /// Its digest in hex.
    pub digest: String,
    /// What it is called, and its version.
    pub name: String,
    /// The pack it belongs to.
    pub pack: String,
    /// `champion` or `kept`.
    pub state: &'static str,
    /// Where it judges now: places, or empty.
    pub judges: String,
    /// Rows and frauds it learned from.
    pub learned: (u64, u64),
    /// Average precision of its backtest; empty without one.
    pub backtest: String,
    /// When it was taken in.
    pub at: UnixNanos,
    /// By whom.
    pub by: String,
}

/// How far something a model is fed, or says, has moved.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftLine {
    /// Name of the feature, or `score`.
    pub subject: String,
    /// Population stability index.
    pub psi: f64,
    /// Kolmogorov-Smirnov statistic.
    pub ks: Option<f64>,
}

/// Drift beside a bundle at work.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftView {
    /// `active` or `challenger`.
    pub place: &'static str,
    /// Records judged.
    pub judged: u64,
    /// Whether there is anything to compare with yet.
    pub has_reference: bool,
    /// The last whole window, the farthest first.
    pub lines: Vec<DriftLine>,
}

/// Everything about models on one page.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelPage {
    /// Models, newest first.
    pub models: Vec<ModelLine>,
    /// Drift by place.
    pub drift: Vec<DriftView>,
    /// Shifts that were recorded, newest first: when, what, in words.
    pub shifts: Vec<(UnixNanos, String, String)>,
}

/// A comparison of two models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// When.
    pub at: UnixNanos,
    /// Digest of the champion in hex.
    pub champion: String,
    /// Digest of the challenger in hex.
    pub challenger: String,
    /// Measure, observed difference, low, high: challenger less champion, in millionths.
    pub differences: Vec<(&'static str, i64, i64, i64)>,
    /// Rows and frauds it rests on.
    pub rows: (u64, u64),
}

/// A model with all that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFile {
    /// In one line.
    pub line: ModelLine,
    /// Whether its file can be read.
    pub is_readable: bool,
    /// Card: names and values.
    pub card: Vec<(String, String)>,
    /// Where it must not be trusted.
    pub limits: String,
    /// Features by their share of all gain in training, the largest first.
    pub importance: Vec<(String, f64)>,
    /// Score before and after calibration; empty without one.
    pub calibration: Vec<(f64, f64)>,
    /// Comparisons with others.
    pub comparisons: Vec<Comparison>,
    /// The newest backtest of a version with this model, and that version.
    pub found: Option<(String, FoundModel)>,
}
