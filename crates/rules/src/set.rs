//! A set of rules: loaded whole or refused whole, identified by a hash, evaluated against one event after another.

use std::{collections::BTreeMap, sync::Arc};

use domain::{Amount, UnixNanos};

use crate::{
    ast::{BinaryOp, Expr, ExprKind},
    check::check,
    counterfactual,
    document::{At, Constant, Document, Faults, FixtureText, RuleText, read},
    error::{ForeignSlots, LoadError},
    guard::Guard,
    intern::Interner,
    list::List,
    nearest::hint,
    number::parse_duration,
    parse::parse,
    program::{Asks, Entry, Programs},
    reason::Reason,
    rule::{Action, Fields, Fixture, Mode, Rule, WhenMissing},
    schema::{LISTS, Schema, Type},
    slots::{Slots, Value},
    tree::{Logic, Tally},
};

/// Rules in force together. Cheap to share; never changes.
#[derive(Debug, Clone)]
pub struct RuleSet {
    name: String,
    version: String,
    schema: Arc<Schema>,
    interner: Arc<Interner>,
    rules: Vec<Rule>,
    runs: Vec<Run>,
    programs: Programs,
    list_hashes: BTreeMap<String, ListIdentity>,
    hash: [u8; 32],
}

/// What the hot loop needs of a rule.
#[derive(Debug, Clone, Copy)]
struct Run {
    entry: Entry,
    valid_from: UnixNanos,
}

/// A named list as reviews see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListIdentity {
    pub(crate) hash: [u8; 32],
    /// The values as text, sorted.
    pub(crate) values: Vec<String>,
}

/// A rule that fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Position in [`RuleSet::rules`].
    pub rule_idx: usize,
}

/// The rules that fired on one event, in the order of the set; reused from event to event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hits {
    hits: Vec<Hit>,
}

impl Hits {
    /// Those that fired.
    #[must_use]
    pub fn as_slice(&self) -> &[Hit] {
        &self.hits
    }

    /// Whether none did.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hits.is_empty()
    }
}

impl<'a> IntoIterator for &'a Hits {
    type Item = &'a Hit;
    type IntoIter = std::slice::Iter<'a, Hit>;

    fn into_iter(self) -> Self::IntoIter {
        self.hits.iter()
    }
}

/// A hit in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Id of the rule.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// SHA-256 of the rule.
    pub rule_hash: [u8; 32],
    /// SHA-256 of the set it belongs to.
    pub set_hash: [u8; 32],
    /// What it asks for.
    pub action: Action,
    /// What it adds to a score.
    pub weight: f64,
    /// Whether it has an effect.
    pub mode: Mode,
    /// The sentence for this event.
    pub reason: String,
    /// Slots the condition reads that were missing.
    pub missing: Vec<String>,
    /// Whether the condition itself was missing and the rule fires then.
    pub is_undecided: bool,
    /// The smallest change found with which the rule would not have fired, as in "withdrawals_24h were <= 2".
    pub would_pass_if: Option<String>,
}

impl RuleSet {
    /// Loads a document: parses it, checks types, compiles, runs every fixture, applies the guard.
    ///
    /// # Errors
    /// Every fault found, with line and column. One fault refuses the whole set.
    pub fn load(document: &str, schema: &Arc<Schema>, guard: &Guard) -> Result<Self, LoadError> {
        let mut faults = Faults::new(document);
        let text = read(document, &mut faults);
        let mut loader = Loader::new(schema, &mut faults);
        let rules = loader.rules(&text);
        loader.guard(guard, &rules, &text);
        let interner = loader.interner;
        let list_hashes = loader.identities;
        if !faults.found.is_empty() {
            return Err(LoadError::new(faults.found, faults.more));
        }
        let mut set = Self {
            name: text.name,
            version: text.version,
            schema: Arc::clone(schema),
            interner: Arc::new(interner),
            rules,
            runs: Vec::new(),
            programs: Programs::default(),
            list_hashes,
            hash: [0; 32],
        };
        for rule in &set.rules {
            let asks = match rule.when_missing {
                WhenMissing::Fire => Asks::MayBeTrue,
                WhenMissing::Quiet => Asks::IsTrue,
            };
            let entry = set.programs.compile(&rule.logic, asks);
            set.runs.push(Run { entry, valid_from: rule.valid_from.unwrap_or_default() });
        }
        let mut fields = Fields::new("caponier rule set 1");
        fields.add(set.name.as_bytes());
        fields.add(set.version.as_bytes());
        for rule in &set.rules {
            fields.add(&rule.hash);
        }
        for (name, list) in &set.list_hashes {
            fields.add(name.as_bytes());
            fields.add(&list.hash);
        }
        set.hash = fields.finish();
        Ok(set)
    }

    /// Name of the pack.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Version of the pack, as its authors count.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// SHA-256 of all of it: name, version, rules, lists and the types of what they read. Layout, comments, the order of
    /// rules and list values, and fixtures do not count.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The rules, sorted by id.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// A rule by its id.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        let index = self.rules.binary_search_by(|rule| rule.id.as_str().cmp(id)).ok()?;
        self.rules.get(index)
    }

    /// What its rules may read.
    #[must_use]
    pub const fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Worst case of one evaluation of all rules, in the steps of [`Rule::cost`].
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.rules.iter().map(|rule| u64::from(rule.cost())).sum()
    }

    /// Empty slots for events. They fit this set and no other.
    #[must_use]
    pub fn slots(&self) -> Slots {
        Slots::new(Arc::clone(&self.schema), Arc::clone(&self.interner))
    }

    /// Finds the rules that fire on an event at `now`, in either mode. `hits` is emptied first.
    ///
    /// # Errors
    /// The slots were made for another set; `hits` is empty then.
    pub fn evaluate(&self, slots: &Slots, now: UnixNanos, hits: &mut Hits) -> Result<(), ForeignSlots> {
        hits.hits.clear();
        if !Arc::ptr_eq(&slots.interner, &self.interner) {
            return Err(ForeignSlots);
        }
        for (rule_idx, run) in self.runs.iter().enumerate() {
            if self.programs.run(run.entry, slots) && now >= run.valid_from {
                hits.hits.push(Hit { rule_idx });
            }
        }
        Ok(())
    }

    /// A hit in words. `None` if the position is of no rule here.
    #[must_use]
    pub fn explain(&self, hit: Hit, slots: &Slots) -> Option<Explanation> {
        let rule = self.rules.get(hit.rule_idx)?;
        let missing = rule.slot_ids().filter(|id| slots.value(*id).is_none());
        Some(Explanation {
            rule: rule.id.clone(),
            title: rule.title.clone(),
            rule_hash: rule.hash,
            set_hash: self.hash,
            action: rule.action,
            weight: rule.weight,
            mode: rule.mode,
            reason: rule.reason.render(slots),
            missing: missing.map(|id| self.schema.describe(id).name.clone()).collect(),
            is_undecided: rule.logic.eval(slots).is_none(),
            would_pass_if: counterfactual::would_pass_if(rule, slots),
        })
    }

    /// The sum of the weights of the rules that fired in a mode, in the order of the set.
    #[must_use]
    pub fn score(&self, hits: &Hits, mode: Mode) -> f64 {
        let fired = hits.hits.iter().filter_map(|hit| self.rules.get(hit.rule_idx));
        fired.filter(|rule| rule.mode == mode).fold(0.0, |sum, rule| sum + rule.weight)
    }

    /// The named lists with their hashes and values.
    pub(crate) const fn lists(&self) -> &BTreeMap<String, ListIdentity> {
        &self.list_hashes
    }

    /// Conditions as trees, for measuring what programs gain over them.
    #[doc(hidden)]
    #[must_use]
    pub fn evaluate_trees(&self, slots: &Slots) -> usize {
        self.rules.iter().filter(|rule| rule.fires(slots)).count()
    }
}

/// A set while it is loaded.
struct Loader<'a, 'd> {
    schema: &'a Arc<Schema>,
    faults: &'a mut Faults<'d>,
    interner: Interner,
    lists: BTreeMap<String, List>,
    identities: BTreeMap<String, ListIdentity>,
}

impl<'a, 'd> Loader<'a, 'd> {
    fn new(schema: &'a Arc<Schema>, faults: &'a mut Faults<'d>) -> Self {
        let interner = Interner::default();
        Self { schema, faults, interner, lists: BTreeMap::new(), identities: BTreeMap::new() }
    }

    /// The rules of a document, sorted by id; those with faults are left out, and the faults noted.
    fn rules(&mut self, document: &Document) -> Vec<Rule> {
        for (name, values) in &document.lists {
            self.list(name, values);
        }
        let mut rules: Vec<Rule> = document.rules.iter().filter_map(|text| self.rule(text)).collect();
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        let mut seen = BTreeMap::new();
        for text in &document.rules {
            if seen.insert(text.id.value.as_str(), ()).is_some() {
                self.faults.add(Some(&text.id.value), &text.id.span, "this id is already taken");
            }
        }
        self.run_fixtures(&rules, document);
        rules
    }

    fn list(&mut self, name: &str, values: &[At<Constant>]) {
        let mut builder = List::builder();
        let mut texts = Vec::with_capacity(values.len());
        for item in values {
            let added = match &item.value {
                Constant::Double(value) => builder.double(*value),
                Constant::Int(value) => builder.int(*value),
                Constant::Text(text) => {
                    self.interner.intern(text).is_some_and(|symbol| builder.symbol(symbol))
                }
                Constant::Bool(_) | Constant::Timestamp(_) => false,
            };
            if !added {
                self.faults.add(
                    None,
                    &item.span,
                    format!("list `{name}` holds strings or numbers, not both"),
                );
            }
            texts.push(match &item.value {
                Constant::Double(value) => format!("{value:?}"),
                Constant::Int(value) => value.to_string(),
                Constant::Text(text) => crate::print::Quoted(text).to_string(),
                Constant::Bool(_) | Constant::Timestamp(_) => String::new(),
            });
        }
        texts.sort_unstable();
        texts.dedup();
        let mut fields = Fields::new("caponier rule list 1");
        texts.iter().for_each(|text| fields.add(text.as_bytes()));
        self.identities.insert(name.to_owned(), ListIdentity { hash: fields.finish(), values: texts });
        self.lists.insert(name.to_owned(), builder.build());
    }

    fn rule(&mut self, text: &RuleText) -> Option<Rule> {
        let id = text.id.value.as_str();
        let when = parse(&text.when.value);
        let when = when.map_err(|error| self.faults.add_in(id, &text.when, &error)).ok();
        let checked = when.and_then(|when| {
            let checked = check(&text.when.value, &when, self.schema, &self.lists, &mut self.interner);
            match checked {
                Ok(checked) => Some((when, checked)),
                Err(error) => {
                    self.faults.add_in(id, &text.when, &error);
                    None
                }
            }
        });
        let reason = match Reason::parse(&text.reason.value, self.schema) {
            Ok(reason) => Some(reason),
            Err(message) => {
                self.faults.add(Some(id), &text.reason.span, format!("reason: {message}"));
                None
            }
        };
        let (when, checked) = checked?;
        Some(self.assemble(text, when, checked.logic, checked.tally, reason?))
    }

    fn assemble(&self, text: &RuleText, when: Expr, logic: Logic, tally: Tally, reason: Reason) -> Rule {
        let mut reads: Vec<String> = tally
            .reads
            .iter()
            .filter_map(|&slot| self.schema.slots().get(usize::from(slot)).map(|slot| slot.name.clone()))
            .collect();
        reads.sort_unstable();
        let mut rule = Rule {
            id: text.id.value.clone(),
            title: text.title.clone(),
            when,
            action: text.action,
            weight: text.weight,
            reason_text: text.reason.value.clone(),
            reason,
            owner: text.owner.clone(),
            mode: text.mode,
            when_missing: text.when_missing,
            valid_from: text.valid_from,
            fixtures: text
                .fixtures
                .iter()
                .map(|fixture| Fixture { name: fixture.name.value.clone(), expect: fixture.expect })
                .collect(),
            logic,
            tally,
            reads,
            lists: Vec::new(),
            logic_hash: [0; 32],
            hash: [0; 32],
        };
        let mut names = Vec::new();
        list_names(&rule.when, &mut names);
        names.sort_unstable();
        names.dedup();
        let hashes: Vec<(&str, [u8; 32])> = names
            .iter()
            .filter_map(|name| self.identities.get(name).map(|list| (name.as_str(), list.hash)))
            .collect();
        rule.seal(self.schema, &hashes);
        rule.lists = names;
        rule
    }

    /// Runs every fixture of every rule that was compiled.
    fn run_fixtures(&mut self, rules: &[Rule], document: &Document) {
        let interner = Arc::new(self.interner.clone());
        let mut slots = Slots::new(Arc::clone(self.schema), interner);
        for text in &document.rules {
            let Ok(index) = rules.binary_search_by(|rule| rule.id.as_str().cmp(&text.id.value)) else {
                continue;
            };
            for fixture in &text.fixtures {
                let rule = &rules[index];
                slots.clear();
                if !self.fill(rule.id(), fixture, &mut slots) {
                    continue;
                }
                let fires = rule.fires(&slots);
                if fires != fixture.expect {
                    let expected = if fixture.expect { "fires" } else { "stays quiet" };
                    let message = format!(
                        "fixture `{}`: expected that it {expected}, and it does not: {}",
                        crate::reason::shown(&fixture.name.value),
                        counterfactual::trace(&rule.logic, &slots)
                    );
                    self.faults.add(Some(rule.id()), &fixture.name.span, message);
                }
            }
        }
    }

    /// Puts what a fixture gives into slots; `false` if something does not fit.
    fn fill(&mut self, rule: &str, fixture: &FixtureText, slots: &mut Slots) -> bool {
        let mut is_whole = true;
        for (name, value) in &fixture.given {
            let Some(id) = self.schema.slot(&name.value) else {
                is_whole = false;
                if self.faults.is_full() {
                    continue;
                }
                let hint = hint(self.schema.nearest(&name.value));
                let message = format!("unknown name `{}`{hint}", crate::reason::shown(&name.value));
                self.faults.add(Some(rule), &name.span, message);
                continue;
            };
            let ty = self.schema.describe(id).ty;
            let set = match slot_value(&value.value, ty) {
                Some(value) => slots.set(id, value).map_err(|error| error.to_string()),
                None => Err(format!("slot `{}` is {ty}: the value does not fit", name.value)),
            };
            if let Err(message) = set {
                self.faults.add(Some(rule), &value.span, message);
                is_whole = false;
            }
        }
        is_whole
    }

    fn guard(&mut self, guard: &Guard, rules: &[Rule], document: &Document) {
        match guard.check(self.schema, &self.interner, rules) {
            Ok(refused) => {
                for refusal in refused {
                    let text = document.rules.iter().find(|text| text.id.value == refusal.rule);
                    let span = text.map_or(0..0, |text| text.when.span.clone());
                    self.faults.add(Some(&refusal.rule), &span, refusal.to_string());
                }
            }
            Err(error) => self.faults.add(None, &(0..0), error.to_string()),
        }
    }
}

/// The lists a condition names.
fn list_names(expr: &Expr, names: &mut Vec<String>) {
    match &expr.kind {
        ExprKind::All(parts) | ExprKind::Any(parts) | ExprKind::List(parts) | ExprKind::Call(_, parts) => {
            parts.iter().for_each(|part| list_names(part, names));
        }
        ExprKind::Binary(op, operands) => {
            let [left, right] = &**operands;
            list_names(left, names);
            match (&right.kind, op) {
                (ExprKind::Name(name), BinaryOp::In) => {
                    if let Some((LISTS, name)) = name.split_once('.') {
                        names.push(name.to_owned());
                    }
                }
                _ => list_names(right, names),
            }
        }
        ExprKind::If(parts) => parts.iter().for_each(|part| list_names(part, names)),
        ExprKind::Method(receiver, _, arguments) => {
            list_names(receiver, names);
            arguments.iter().for_each(|part| list_names(part, names));
        }
        ExprKind::Negate(operand) | ExprKind::Not(operand) => list_names(operand, names),
        ExprKind::Bool(_)
        | ExprKind::Double(_)
        | ExprKind::Int(_)
        | ExprKind::Name(_)
        | ExprKind::Text(_) => {}
    }
}

/// A constant of a document as a value of a slot's type: durations and amounts are strings there.
fn slot_value(constant: &Constant, ty: Type) -> Option<Value<'_>> {
    Some(match (ty, constant) {
        (Type::Bool, Constant::Bool(value)) => Value::Bool(*value),
        (Type::Double, Constant::Double(value)) => Value::Double(*value),
        (Type::Double | Type::Int, Constant::Int(value)) => Value::Int(*value),
        (Type::Duration, Constant::Text(text)) => Value::Duration(parse_duration(text)?),
        (Type::Money, Constant::Text(text)) => Value::Money(Amount::parse(text).ok()?),
        (Type::Money, Constant::Int(value)) => Value::Money(Amount::from_parts((*value).into(), 0).ok()?),
        (Type::String, Constant::Text(text)) => Value::String(text),
        (Type::Timestamp, Constant::Timestamp(at)) => Value::Timestamp(*at),
        (Type::Timestamp, Constant::Text(text)) => Value::Timestamp(UnixNanos::parse_rfc3339(text).ok()?),
        _ => return None,
    })
}
