//! Following a schema over a value: JSON text for bodies, plain text for parameters.
//!
//! Alternatives are tried on a copy of the position, silently. Steps are counted against a budget that grows with the
//! length of the request; a request that exhausts it is refused.

use crate::bounds::VIOLATIONS_MAX;
use crate::format;
use crate::json::decimal::Decimal;
use crate::json::lexer::{Kind, Lexer, Malformed, Quoted};
use crate::json::scan::DEPTH_MAX;
use crate::model::{Literal, Model, Node, NodeId, NumberRules, ObjectRules, Others, StringRules, Types};
use crate::pointer::Pointer;
use crate::violation::{Deviation, Part, Violation};

/// Steps every check may take, and steps for each byte of the request.
const STEPS_BASE: usize = 4_096;
const STEPS_PER_BYTE: usize = 8;
/// Schemas beside schemas on one value, which recurse; the nodes of a model may chain further than a stack goes.
const NEST_MAX: usize = 256;

/// The check ends here: the list of violations is full, or the budget is spent (which is a violation).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl From<Malformed> for Full {
    /// The scan came first, so the text is well-formed; the type system does not know. Ends the check, and
    /// [`Judge::document`] makes a violation of it.
    fn from(_: Malformed) -> Self {
        Self
    }
}

/// Judges one request.
pub(super) struct Judge<'m> {
    model: &'m Model,
    pub(super) part: Part,
    violations: Vec<Violation>,
    steps_left: usize,
    nest_left: usize,
    /// Whether an alternative is being tried: the first fault ends it and none is written down.
    is_trial: bool,
}

impl<'m> Judge<'m> {
    /// For a request of `len` bytes.
    pub(super) fn new(model: &'m Model, len: usize) -> Self {
        Self {
            model,
            part: Part::Path,
            violations: Vec::new(),
            steps_left: STEPS_BASE.saturating_add(len.saturating_mul(STEPS_PER_BYTE)),
            nest_left: NEST_MAX,
            is_trial: false,
        }
    }

    pub(super) fn into_violations(self) -> Vec<Violation> {
        self.violations
    }

    /// Notes a violation; in a trial only its existence. Always `Ok(false)`, so that rules can end with it.
    pub(super) fn violation(&mut self, deviation: Deviation, at: &Pointer<'_>) -> Result<bool, Full> {
        if self.is_trial {
            return Ok(false);
        }
        self.write_down(deviation, at);
        if self.violations.len() >= VIOLATIONS_MAX { Err(Full) } else { Ok(false) }
    }

    fn write_down(&mut self, deviation: Deviation, at: &Pointer<'_>) {
        self.violations.push(Violation {
            deviation,
            part: self.part,
            pointer: at.to_string(),
            param: at.last_name().map(str::to_owned),
        });
    }

    fn rule(&mut self, holds: bool, deviation: Deviation, at: &Pointer<'_>) -> Result<bool, Full> {
        if holds { Ok(true) } else { self.violation(deviation, at) }
    }

    /// Takes steps; when none are left the request is refused, trial or not.
    fn spend(&mut self, steps: usize, at: &Pointer<'_>) -> Result<(), Full> {
        match self.steps_left.checked_sub(steps) {
            Some(left) => {
                self.steps_left = left;
                Ok(())
            }
            None => {
                self.write_down(Deviation::TooComplex, at);
                Err(Full)
            }
        }
    }

    fn enter(&mut self, at: &Pointer<'_>) -> Result<(), Full> {
        self.spend(1, at)?;
        match self.nest_left.checked_sub(1) {
            Some(left) => {
                self.nest_left = left;
                Ok(())
            }
            None => {
                self.write_down(Deviation::TooComplex, at);
                Err(Full)
            }
        }
    }

    /// Runs a trial and says whether it found no fault.
    fn attempt(&mut self, run: impl FnOnce(&mut Self) -> Result<bool, Full>) -> Result<bool, Full> {
        let was_trial = std::mem::replace(&mut self.is_trial, true);
        let outcome = run(self);
        self.is_trial = was_trial;
        outcome
    }

    /// Judges a body that the scan let through.
    pub(super) fn document(&mut self, node: NodeId, text: &str) -> Result<(), Full> {
        let mut lexer = Lexer::new(text);
        let outcome = self.value(node, &mut lexer, &Pointer::ROOT);
        if outcome.is_err() && self.violations.is_empty() {
            self.write_down(Deviation::Malformed, &Pointer::ROOT);
        }
        outcome.map(|_| ())
    }

    /// Judges the value the lexer stands at. Consumes it, except when a trial fails.
    fn value(&mut self, id: NodeId, lexer: &mut Lexer<'_>, at: &Pointer<'_>) -> Result<bool, Full> {
        let model = self.model;
        let node = &model.nodes[id.0];
        self.enter(at)?;
        let start = lexer.clone();
        // Where the value ends, known once a node beside this one admitted it: only then it consumed all of it.
        let mut end = None;
        let mut conforms = self.beside(node, at, |judge, id| {
            let mut ahead = start.clone();
            let is_admitted = judge.value(id, &mut ahead, at)?;
            if is_admitted {
                end = Some(ahead);
            }
            Ok(is_admitted)
        })?;
        if conforms || !self.is_trial {
            match end {
                // References and mere alternatives say nothing of their own, so the value is not read again.
                Some(end) if !node.has_own_rules() => *lexer = end,
                _ => conforms &= self.own(node, lexer, at)?,
            }
        }
        self.nest_left += 1;
        Ok(conforms)
    }

    /// Judges what `allOf`, `anyOf`, `oneOf` and `not` say about one value, however that value is judged.
    fn beside(
        &mut self,
        node: &Node,
        at: &Pointer<'_>,
        mut judge_as: impl FnMut(&mut Self, NodeId) -> Result<bool, Full>,
    ) -> Result<bool, Full> {
        if node.is_never {
            return self.violation(Deviation::SchemaMismatch, at);
        }
        let mut conforms = true;
        for id in &node.all_of {
            conforms &= judge_as(self, *id)?;
            if self.is_trial && !conforms {
                return Ok(false);
            }
        }
        if !node.any_of.is_empty() {
            let mut is_any = false;
            for id in &node.any_of {
                is_any = self.attempt(|judge| judge_as(judge, *id))?;
                if is_any {
                    break;
                }
            }
            conforms &= self.rule(is_any, Deviation::SchemaMismatch, at)?;
        }
        if !node.one_of.is_empty() {
            let mut n_matches = 0u32;
            for id in &node.one_of {
                n_matches += u32::from(self.attempt(|judge| judge_as(judge, *id))?);
            }
            conforms &= match n_matches {
                0 => self.violation(Deviation::SchemaMismatch, at)?,
                1 => true,
                _ => self.violation(Deviation::SchemaConflict, at)?,
            };
        }
        if let Some(id) = node.not {
            let matches = self.attempt(|judge| judge_as(judge, id))?;
            conforms &= self.rule(!matches, Deviation::SchemaConflict, at)?;
        }
        Ok(conforms)
    }

    /// Judges what the node itself says, and consumes the value.
    fn own(&mut self, node: &Node, lexer: &mut Lexer<'_>, at: &Pointer<'_>) -> Result<bool, Full> {
        match lexer.kind()? {
            Kind::String => {
                let quoted = lexer.string()?;
                if !node.types.has(Types::STRING) {
                    return self.violation(Deviation::WrongType, at);
                }
                self.string(node, quoted, at)
            }
            Kind::Number => {
                let text = lexer.number()?;
                self.number(node, text, at)
            }
            Kind::Object => {
                if !node.types.has(Types::OBJECT) || node.values.is_some() {
                    self.skip(lexer, at)?;
                    let deviation =
                        if node.values.is_some() { Deviation::EnumMismatch } else { Deviation::WrongType };
                    return self.violation(deviation, at);
                }
                match &node.object {
                    Some(rules) => self.object(rules, lexer, at),
                    None => self.skip(lexer, at).map(|()| true),
                }
            }
            Kind::Array => {
                if !node.types.has(Types::ARRAY) || node.values.is_some() {
                    self.skip(lexer, at)?;
                    let deviation =
                        if node.values.is_some() { Deviation::EnumMismatch } else { Deviation::WrongType };
                    return self.violation(deviation, at);
                }
                self.array(node, lexer, at)
            }
            word => {
                lexer.word(word)?;
                let (bit, literal) = match word {
                    Kind::True => (Types::BOOLEAN, Literal::Bool(true)),
                    Kind::False => (Types::BOOLEAN, Literal::Bool(false)),
                    _ => (Types::NULL, Literal::Null),
                };
                if !node.types.has(bit) {
                    return self.violation(Deviation::WrongType, at);
                }
                let is_admitted = node.values.as_ref().is_none_or(|values| values.contains(&literal));
                self.rule(is_admitted, Deviation::EnumMismatch, at)
            }
        }
    }

    fn skip(&mut self, lexer: &mut Lexer<'_>, at: &Pointer<'_>) -> Result<(), Full> {
        let start = lexer.offset();
        lexer.skip(DEPTH_MAX)?;
        self.spend((lexer.offset() - start) / 16, at)
    }

    fn string(&mut self, node: &Node, quoted: Quoted<'_>, at: &Pointer<'_>) -> Result<bool, Full> {
        if node.values.is_none() && node.string.is_none() {
            return Ok(true);
        }
        let text = quoted.decoded();
        let mut conforms = true;
        if let Some(values) = &node.values {
            conforms &= self.rule(admits_string(values, &text), Deviation::EnumMismatch, at)?;
        }
        match &node.string {
            Some(rules) => Ok(conforms & self.string_rules(rules, &text, at)?),
            None => Ok(conforms),
        }
    }

    fn string_rules(&mut self, rules: &StringRules, text: &str, at: &Pointer<'_>) -> Result<bool, Full> {
        let mut conforms = true;
        if rules.chars_min.is_some() || rules.chars_max.is_some() {
            let n_chars = if text.is_ascii() { text.len() } else { text.chars().count() };
            let n_chars = u64::try_from(n_chars).unwrap_or(u64::MAX);
            conforms &=
                self.rule(rules.chars_min.is_none_or(|min| n_chars >= min), Deviation::TooShort, at)?;
            conforms &=
                self.rule(rules.chars_max.is_none_or(|max| n_chars <= max), Deviation::TooLong, at)?;
        }
        if let Some(pattern) = &rules.pattern {
            conforms &= self.rule(pattern.matches(text), Deviation::PatternMismatch, at)?;
        }
        if let Some(format) = rules.format {
            conforms &= self.rule(format.admits(text), Deviation::FormatMismatch, at)?;
        }
        Ok(conforms)
    }

    fn number(&mut self, node: &Node, text: &str, at: &Pointer<'_>) -> Result<bool, Full> {
        let number = Decimal::new(text);
        let is_of_type =
            node.types.has(Types::NUMBER) || (node.types.has(Types::INTEGER) && number.is_integer());
        if !is_of_type {
            return self.violation(Deviation::WrongType, at);
        }
        let mut conforms = true;
        if let Some(values) = &node.values {
            let equals = |value: &Literal| matches!(value, Literal::Number(text) if Decimal::new(text).compare(&number).is_eq());
            conforms &= self.rule(values.iter().any(equals), Deviation::EnumMismatch, at)?;
        }
        match &node.number {
            Some(rules) => Ok(conforms & self.number_rules(rules, &number, at)?),
            None => Ok(conforms),
        }
    }

    fn number_rules(
        &mut self,
        rules: &NumberRules,
        number: &Decimal<'_>,
        at: &Pointer<'_>,
    ) -> Result<bool, Full> {
        let versus = |bound: &str| number.compare(&Decimal::new(bound));
        let is_small = rules.min.as_deref().is_some_and(|min| versus(min).is_lt())
            || rules.above.as_deref().is_some_and(|above| versus(above).is_le())
            || rules.integer_range.is_some_and(|(min, _)| number.is_integer() && versus(min).is_lt());
        let is_large = rules.max.as_deref().is_some_and(|max| versus(max).is_gt())
            || rules.below.as_deref().is_some_and(|below| versus(below).is_ge())
            || rules.integer_range.is_some_and(|(_, max)| number.is_integer() && versus(max).is_gt());
        let mut conforms = self.rule(!is_small, Deviation::TooSmall, at)?;
        conforms &= self.rule(!is_large, Deviation::TooLarge, at)?;
        let is_step = rules.multiple_of.is_none_or(|divisor| number.is_multiple_of(divisor));
        conforms &= self.rule(is_step, Deviation::WrongStep, at)?;
        Ok(conforms)
    }

    fn array(&mut self, node: &Node, lexer: &mut Lexer<'_>, at: &Pointer<'_>) -> Result<bool, Full> {
        let Some(rules) = &node.array else { return self.skip(lexer, at).map(|()| true) };
        lexer.open();
        let mut conforms = true;
        let mut n: usize = 0;
        while lexer.element(n == 0)? {
            match rules.items {
                Some(items) => conforms &= self.value(items, lexer, &at.index(n))?,
                None => self.skip(lexer, at)?,
            }
            if self.is_trial && !conforms {
                return Ok(false);
            }
            n += 1;
        }
        Ok(conforms & self.within(rules.items_min, rules.items_max, n, at)?)
    }

    fn within(
        &mut self,
        min: Option<u64>,
        max: Option<u64>,
        n: usize,
        at: &Pointer<'_>,
    ) -> Result<bool, Full> {
        let n = u64::try_from(n).unwrap_or(u64::MAX);
        let few = self.rule(min.is_none_or(|min| n >= min), Deviation::TooFew, at)?;
        Ok(few & self.rule(max.is_none_or(|max| n <= max), Deviation::TooMany, at)?)
    }

    fn object(&mut self, rules: &ObjectRules, lexer: &mut Lexer<'_>, at: &Pointer<'_>) -> Result<bool, Full> {
        lexer.open();
        let mut conforms = true;
        let mut n: usize = 0;
        let mut seen = 0u128;
        while let Some(name) = lexer.member(n == 0)? {
            n += 1;
            // The scan refuses names with escapes, so the raw name is the name.
            let name = name.raw;
            let here = at.name(name);
            let node = match rules.properties.binary_search_by(|(known, _)| (**known).cmp(name)) {
                Ok(i) => {
                    seen |= rules.required_bits[i];
                    Ok(Some(rules.properties[i].1))
                }
                Err(_) => {
                    if let Some(i) = rules.required.iter().position(|required| **required == *name) {
                        seen |= 1 << i;
                    }
                    match rules.others {
                        Others::Allowed => Ok(None),
                        Others::Checked(node) => Ok(Some(node)),
                        Others::Refused => Err(Deviation::UnknownProperty),
                    }
                }
            };
            let node = match node {
                Ok(Some(id)) if self.model.nodes[id.0].is_read_only => Err(Deviation::ReadOnlyProperty),
                node => node,
            };
            match node {
                Ok(Some(node)) => conforms &= self.value(node, lexer, &here)?,
                Ok(None) => self.skip(lexer, &here)?,
                Err(deviation) => {
                    self.skip(lexer, &here)?;
                    conforms &= self.violation(deviation, &here)?;
                }
            }
            if self.is_trial && !conforms {
                return Ok(false);
            }
        }
        for (i, name) in rules.required.iter().enumerate() {
            conforms &= self.rule(seen & (1 << i) != 0, Deviation::MissingParameter, &at.name(name))?;
        }
        Ok(conforms & self.within(rules.members_min, rules.members_max, n, at)?)
    }

    /// Judges a parameter's text: it conforms if one of the scalars it can be read as does.
    pub(super) fn text(&mut self, id: NodeId, text: &str, at: &Pointer<'_>) -> Result<bool, Full> {
        let model = self.model;
        let node = &model.nodes[id.0];
        self.enter(at)?;
        let mut conforms = self.beside(node, at, |judge, id| judge.text(id, text, at))?;
        if conforms || !self.is_trial {
            conforms &= self.own_text(node, text, at)?;
        }
        self.nest_left += 1;
        Ok(conforms)
    }

    fn own_text(&mut self, node: &Node, text: &str, at: &Pointer<'_>) -> Result<bool, Full> {
        let is_number = node.types.0 & (Types::NUMBER | Types::INTEGER) != 0 && format::is_number(text);
        let is_word = node.types.has(Types::BOOLEAN) && matches!(text, "true" | "false");
        let is_string = node.types.has(Types::STRING);
        if is_number && !is_string {
            return self.number(node, text, at);
        }
        if !is_word && !is_string {
            return self.violation(Deviation::WrongType, at);
        }
        // What may be a string may often be a number or a word as well. Any reading satisfies an enum; the rules of
        // every reading that is possible must hold.
        let mut conforms = true;
        if let Some(values) = &node.values {
            let number = is_number.then(|| Decimal::new(text));
            let equals = |value: &Literal| match value {
                Literal::String(value) => is_string && **value == *text,
                Literal::Number(value) => {
                    number.is_some_and(|number| Decimal::new(value).compare(&number).is_eq())
                }
                Literal::Bool(value) => is_word && *value == (text == "true"),
                Literal::Null => false,
            };
            conforms &= self.rule(values.iter().any(equals), Deviation::EnumMismatch, at)?;
        }
        if let Some(rules) = node.string.as_ref().filter(|_| is_string) {
            conforms &= self.string_rules(rules, text, at)?;
        }
        if let Some(rules) = node.number.as_ref().filter(|_| is_number) {
            conforms &= self.number_rules(rules, &Decimal::new(text), at)?;
        }
        Ok(conforms)
    }

    /// Judges one element of a list parameter.
    pub(super) fn element(&mut self, list: NodeId, text: &str, at: &Pointer<'_>) -> Result<(), Full> {
        let model = self.model;
        match list_rules(model, list).and_then(|rules| rules.items) {
            Some(items) => self.text(items, text, at).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Judges how many elements a list parameter has.
    pub(super) fn count_elements(&mut self, list: NodeId, n: u64, at: &Pointer<'_>) -> Result<(), Full> {
        let model = self.model;
        if let Some(rules) = list_rules(model, list) {
            let n = usize::try_from(n).unwrap_or(usize::MAX);
            self.within(rules.items_min, rules.items_max, n, at)?;
        }
        Ok(())
    }
}

/// The array rules of a list parameter, through references.
fn list_rules(model: &Model, list: NodeId) -> Option<&crate::model::ArrayRules> {
    let mut node = &model.nodes[list.0];
    for _ in 0..NEST_MAX {
        if node.types == Types(Types::ARRAY) {
            return node.array.as_deref();
        }
        node = &model.nodes[node.all_of.first()?.0];
    }
    None
}

fn admits_string(values: &[Literal], text: &str) -> bool {
    values.iter().any(|value| matches!(value, Literal::String(value) if **value == *text))
}
