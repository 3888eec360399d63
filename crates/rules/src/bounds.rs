//! The bounds of the language and of a set of rules. What lies beyond one is refused with its name when a set loads.

/// Bytes of one expression.
pub const SOURCE_BYTES_MAX: usize = 4_096;
/// Nodes of one syntax tree; a value in a list counts as one.
pub const NODES_MAX: usize = 512;
/// Height of one syntax tree. `a && b && c` has the height of two: operands of one operator stand side by side.
pub const DEPTH_MAX: usize = 40;
/// Calls of the parser within each other: each level of the tree takes at most a few.
pub(crate) const NESTING_MAX: usize = 3 * DEPTH_MAX;
/// Values of a list written inside an expression. Longer ones belong into `[lists.NAME]`.
pub const INLINE_LIST_MAX: usize = 256;
/// Worst-case cost of one rule, in the steps of [`crate::Rule::cost`].
pub const COST_MAX: u32 = 8_192;

/// Bytes of a document.
pub const DOCUMENT_BYTES_MAX: usize = 8 << 20;
/// Rules of one set.
pub const RULES_MAX: usize = 2_000;
/// Fixtures of one rule.
pub const FIXTURES_MAX: usize = 64;
/// Named lists of one set.
pub const LISTS_MAX: usize = 256;
/// Values of one named list.
pub const LIST_VALUES_MAX: usize = 65_536;
/// Bytes of a name: of a set, version, rule, list, slot, owner or fixture.
pub const NAME_BYTES_MAX: usize = 64;
/// Bytes of a title or a reason.
pub const SENTENCE_BYTES_MAX: usize = 512;
/// Faults told about one document; more are counted.
pub const FAULTS_MAX: usize = 100;

/// Slots of a schema.
pub const SLOTS_MAX: usize = 1_024;
/// Bytes of one string, in a slot or in a literal.
pub const TEXT_BYTES_MAX: usize = 1_024;
/// Different strings of a set.
pub const SYMBOLS_MAX: usize = 1 << 20;
/// Characters of a string slot that are shown in a reason.
pub const TEXT_SHOWN_MAX: usize = 64;
/// Changes that one counterfactual names; a rule that would need more has none.
pub const CHANGES_MAX: usize = 8;
