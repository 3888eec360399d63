//! The exchange pack on stories it has not seen: which frauds it finds, whom it troubles.
//!
//! Every record of a story goes through the pack's engine in order, labels when they arrive, and each movement of money
//! (a withdrawal request, a transfer, a bonus, an order) through the rules. Nothing reacts: a fraud goes on.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use domain::{AccountId, UnixNanos};
use exchange::scenarios::{Item, Story, Typology, What};
use features::{Engine, EntityHash, FieldType, Label, Limits, Pack, Record, Value};
use fraud::live::record::{self, Cell, Entry, Field, Recorder};
use rules::{Action, Guard, Hits, RuleSet, Schema, Slot, SlotId, Slots, Type};

/// What a pack and its rules say about one movement of money.
#[derive(Debug)]
pub struct Judged<'a> {
    /// Index into the story.
    pub item: usize,
    /// When.
    pub at: UnixNanos,
    /// Kind of the record.
    pub kind: &'static str,
    /// Whose account.
    pub account: &'a AccountId,
    /// How much, in the reference currency.
    pub value: f64,
    /// The features.
    pub row: &'a [f64],
    /// Rules that fired, and whether they block.
    pub fired: &'a [(usize, bool)],
}

/// Pack, rules and their state.
pub struct Judge {
    pack: Arc<Pack>,
    engine: Engine,
    set: RuleSet,
    slots: Slots,
    hits: Hits,
    fields: Vec<SlotId>,
    columns: Vec<SlotId>,
    /// Per field of the pack, the live field.
    taken: Vec<(Field, FieldType)>,
    hash: EntityHash,
}

/// Kinds of records that move money.
const MONEY: [&str; 4] = ["bonus_granted", "order_placed", "transfer", "withdrawal_requested"];

impl Judge {
    /// Reads a pack and rules over it.
    ///
    /// # Errors
    /// When they do not fit the live record or each other.
    pub fn new(pack: &str, rules: &str, guard: &Guard) -> Result<Self> {
        let pack = Arc::new(Pack::parse(pack)?);
        let slot = |field: &Field| {
            let ty = match field.ty() {
                record::FieldType::Bool => Type::Bool,
                record::FieldType::Category | record::FieldType::Entity => Type::String,
                record::FieldType::Money => Type::Money,
                record::FieldType::Number => Type::Double,
            };
            Slot::new(field.as_str(), ty).doc(field.doc())
        };
        let columns = pack.columns().iter();
        let columns =
            columns.map(|column| Slot::new(&column.name, Type::Double).unit(&column.unit).doc(&column.doc));
        let schema = Arc::new(Schema::new(Field::ALL.iter().map(slot).chain(columns).collect())?);
        let ids: Vec<SlotId> = schema.slots().iter().filter_map(|slot| schema.slot(&slot.name)).collect();
        let (fields, columns) = ids.split_at(Field::ALL.len());
        let set = RuleSet::load(rules, &schema, guard)?;
        let taken = pack.fields().iter().map(|field| {
            let live =
                Field::named(&field.name).with_context(|| format!("{} is no live field", field.name))?;
            Ok((live, field.field_type))
        });
        Ok(Self {
            taken: taken.collect::<Result<_>>()?,
            engine: Engine::new(Arc::clone(&pack), Limits { events_max: 1 << 21, ..Limits::default() }),
            slots: set.slots(),
            hits: Hits::default(),
            fields: fields.to_vec(),
            columns: columns.to_vec(),
            hash: EntityHash::new([7; 16]),
            set,
            pack,
        })
    }

    /// The pack.
    #[must_use]
    pub fn pack(&self) -> &Pack {
        &self.pack
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &RuleSet {
        &self.set
    }

    /// Runs a story through, from the state there is; `judged` is told of each movement of money.
    ///
    /// # Errors
    /// When the engine refuses a record.
    pub fn run(&mut self, story: &Story, mut judged: impl FnMut(&Judged<'_>)) -> Result<()> {
        let mut recorder = Recorder::default();
        let mut labels = story.labels.iter().peekable();
        let mut row = vec![0.0; self.pack.columns().len()];
        for (place, item) in story.items.iter().enumerate() {
            while let Some(label) = labels.next_if(|label| label.arrival <= item.at()) {
                let id = label.item as u64 * record::RECORDS_MAX;
                let _labelled =
                    self.engine.label(&Label { id, is_fraud: label.is_fraud, arrival: label.arrival })?;
            }
            let seq = place as u64;
            let mut fault = None;
            let mut each = |record: &record::Record<'_>| {
                if let Err(error) = self.record(place, item, record, &mut row, &mut judged) {
                    fault.get_or_insert(error);
                }
            };
            match &item.what {
                What::Event(event) => recorder.records(seq, &Entry::Event(event), &mut each),
                What::Withdrawal(request) => each(&recorder.request(seq * record::RECORDS_MAX, request)),
            }
            if let Some(fault) = fault {
                return Err(fault);
            }
        }
        Ok(())
    }

    fn record(
        &mut self,
        place: usize,
        item: &Item,
        record: &record::Record<'_>,
        row: &mut [f64],
        judged: &mut impl FnMut(&Judged<'_>),
    ) -> Result<()> {
        let values: Vec<Value> =
            self.taken.iter().map(|(field, ty)| value(&self.hash, record.cell(*field), *ty)).collect();
        // Positions start above zero, ids are places.
        let step =
            Record { position: record.position + 1, at: record.at, id: record.position, values: &values };
        let stepped = self.engine.step(&step, row)?;
        ensure!(stepped == features::Stepped::Taken, "{} was not taken", record.kind);
        if !MONEY.contains(&record.kind) {
            return Ok(());
        }
        self.slots.clear();
        for (field, slot) in Field::ALL.iter().zip(&self.fields) {
            let cell = record.cell(*field);
            let text;
            let value = match cell {
                Cell::Bool(flag) => rules::Value::Bool(flag),
                Cell::Money(amount) => rules::Value::Money(amount),
                Cell::Number(number) => rules::Value::Double(number),
                Cell::Missing => continue,
                cell => {
                    text = words(cell);
                    rules::Value::String(&text)
                }
            };
            self.slots.set(*slot, value)?;
        }
        for (slot, value) in self.columns.iter().zip(row.iter()) {
            self.slots.set_number(*slot, *value)?;
        }
        self.set.evaluate(&self.slots, record.at, &mut self.hits)?;
        let acts = |action: Action| matches!(action, Action::Challenge | Action::Hold | Action::Deny);
        let fired: Vec<(usize, bool)> = self
            .hits
            .into_iter()
            .map(|hit| hit.rule_idx)
            .filter(|rule| self.set.rules().get(*rule).is_some_and(|rule| acts(rule.action())))
            .map(|rule| (rule, self.set.rules().get(rule).is_some_and(|rule| rule.action().blocks())))
            .collect();
        let value = match record.cell(Field::Value) {
            Cell::Money(value) => value.to_f64_lossy(),
            _ => 0.0,
        };
        judged(&Judged {
            item: place,
            at: record.at,
            kind: record.kind,
            account: item.account(),
            value,
            row,
            fired: &fired,
        });
        Ok(())
    }
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").field("pack", &self.pack.name()).finish_non_exhaustive()
    }
}

fn words(cell: Cell<'_>) -> String {
    match cell {
        Cell::Asn(number) => number.to_string(),
        Cell::Destination(destination) => format!("{destination:?}"),
        Cell::Ip(ip) => ip.to_string(),
        Cell::IpNetwork(network) => network.to_string(),
        Cell::Text(text) => text.to_owned(),
        _ => String::new(),
    }
}

fn value(hash: &EntityHash, cell: Cell<'_>, ty: FieldType) -> Value {
    match (cell, ty) {
        (Cell::Missing, _) => Value::Missing,
        (Cell::Bool(flag), _) => Value::Bool(flag),
        (Cell::Number(number), _) => Value::Number(number),
        (Cell::Money(amount), FieldType::Money { scale }) => {
            let (mantissa, places) = amount.truncate(scale).parts();
            let minor = mantissa.checked_mul(10_i128.pow(scale.saturating_sub(places)));
            minor.and_then(|minor| i64::try_from(minor).ok()).map_or(Value::Missing, Value::Money)
        }
        (cell, FieldType::Category) => Value::Category(features::category(&words(cell))),
        (cell, _) => Value::Entity(hash.of(words(cell).as_bytes())),
    }
}

/// What became of one kind of fraud.
#[derive(Debug, Clone, Copy, Default)]
pub struct Found {
    /// Frauds that moved money.
    pub cases: usize,
    /// Those with a movement of money that a rule stopped or questioned.
    pub found: usize,
    /// What they moved, in the reference currency.
    pub value: f64,
    /// What they moved at or after the first rule that fired.
    pub saved: f64,
}

/// What was measured on one story or several.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Per kind of fraud.
    pub found: [Found; Typology::ALL.len()],
    /// Honest withdrawals, transfers and bonuses.
    pub honest: usize,
    /// Those that a rule stopped or questioned.
    pub troubled: usize,
    /// Those that a rule stopped.
    pub blocked: usize,
    /// Honest customers.
    pub customers: usize,
    /// Those troubled at least once, over the story.
    pub customers_troubled: usize,
    /// Those blocked at least once.
    pub customers_blocked: usize,
    /// Per rule: honest and fraudulent movements on which it fired.
    pub rules: Vec<(String, usize, usize)>,
    /// Withdrawals of honest customers behind a VPN or on shared devices, and those of them that were blocked.
    pub weak: (usize, usize),
}

impl Figures {
    /// Adds what a story shows. The first days, in which habits are learned, do not count for anybody.
    ///
    /// # Errors
    /// As [`Judge::run`].
    pub fn add(&mut self, judge: &mut Judge, story: &Story, quiet_until: UnixNanos) -> Result<()> {
        if self.rules.is_empty() {
            self.rules = judge.rules().rules().iter().map(|rule| (rule.id().to_owned(), 0, 0)).collect();
        }
        let n_cases = story.cases.len();
        let mut of_case = vec![(0.0, 0.0, false, false); n_cases];
        let (mut troubled, mut blocked) = (BTreeSet::new(), BTreeSet::new());
        let weak: BTreeSet<&AccountId> = story
            .honest
            .iter()
            .filter(|(_, traits)| traits.uses_vpn || traits.shares_device)
            .map(|(account, _)| account)
            .collect();
        let structuring: BTreeSet<&AccountId> = story
            .cases
            .iter()
            .filter(|case| case.typology == Typology::Structuring)
            .flat_map(|case| &case.accounts)
            .collect();
        judge.run(story, |judged| {
            if judged.at < quiet_until {
                return;
            }
            let case = story.items.get(judged.item).and_then(|item| item.case);
            let (fires, blocks) = (!judged.fired.is_empty(), judged.fired.iter().any(|(_, blocks)| *blocks));
            for (rule, _) in judged.fired {
                if let Some(counts) = self.rules.get_mut(*rule) {
                    if case.is_some() { counts.2 += 1 } else { counts.1 += 1 }
                }
            }
            if let Some(case) = case.and_then(|case| of_case.get_mut(case)) {
                case.2 |= fires;
                case.3 = true;
                case.0 += judged.value;
                case.1 += if case.2 { judged.value } else { 0.0 };
                return;
            }
            // Somebody who structures is no honest customer on other days either.
            if structuring.contains(judged.account) {
                return;
            }
            // An order is asked about only if something is wrong with it.
            if judged.kind != "order_placed" {
                self.honest += 1;
            }
            self.troubled += usize::from(fires);
            self.blocked += usize::from(blocks);
            if judged.kind != "order_placed" && weak.contains(judged.account) {
                self.weak.0 += 1;
                self.weak.1 += usize::from(blocks);
            }
            if fires {
                troubled.insert(judged.account.clone());
            }
            if blocks {
                blocked.insert(judged.account.clone());
            }
        })?;
        self.customers += story.honest.len();
        self.customers_troubled += troubled.len();
        self.customers_blocked += blocked.len();
        for (case, (value, saved, is_found, moved)) in story.cases.iter().zip(of_case) {
            let place =
                Typology::ALL.iter().position(|typology| *typology == case.typology).unwrap_or_default();
            if let Some(found) = self.found.get_mut(place).filter(|_| moved) {
                found.cases += 1;
                found.found += usize::from(is_found);
                found.value += value;
                found.saved += saved;
            }
        }
        Ok(())
    }
}
