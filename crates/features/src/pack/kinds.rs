//! From the entries of a pack to the plan: one arm per kind of feature.
//!
//! Names are resolved here, and a feature may only refer to features declared before it, so there are no cycles.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::{
    Column, FEATURES_MAX, Field, FieldType, PackError, PackFault,
    fault::nearest,
    graphs::NamedGraph,
    reader::{Reader, Span, number},
};
use crate::plan::{
    Band, Compute, Condition, Filter, Node, Pick, Plan, Profile, Read, Source, StreamPlan, Test, Total,
    Window,
};

/// Every kind, in alphabetical order.
pub(crate) const KINDS: [&str; 59] = [
    "age",
    "component_accounts",
    "cos_hour",
    "count",
    "cycle",
    "difference",
    "distinct",
    "dwell",
    "fan_in",
    "fan_out",
    "field",
    "first",
    "first_seen",
    "fraud_partners",
    "fraud_streak",
    "fraud_streak_age",
    "fraud_streak_last",
    "fraud_streak_max",
    "fraud_streak_min",
    "frauds",
    "hops_to_fraud",
    "hour",
    "hour_at_most",
    "is",
    "known_labels",
    "last",
    "log1p",
    "max",
    "mean",
    "min",
    "outlier_share",
    "outliers",
    "over_profile_max",
    "over_profile_mean",
    "over_window_max",
    "over_window_mean",
    "pass_through",
    "profile_max",
    "rate",
    "ratio",
    "received",
    "risk",
    "risk_by_recency",
    "sent",
    "sequence",
    "sequence_progress",
    "share",
    "shared_accounts",
    "shared_frauds",
    "shared_things",
    "sin_hour",
    "since_fraud",
    "since_legitimate",
    "since_previous",
    "stddev",
    "sum",
    "weekday",
    "weekend",
    "z_score",
];
/// Most steps of a sequence, conditions of a filter and bands of a risk.
pub(crate) const PARTS_MAX: usize = 16;
/// Units of time a feature may be given in, with their seconds.
const TIME_UNITS: [(&str, f64); 4] =
    [("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0), ("seconds", 1.0)];

/// What a name stands for.
#[derive(Debug, Clone, Copy)]
enum Named {
    Field(usize),
    Feature(usize),
    /// A field the events lack, or a feature that needs one.
    Absent,
}

/// Why an entry yields no feature.
pub(crate) enum Stop {
    /// It needs a field that the events lack.
    Absent,
    Fault(PackError),
}

impl From<PackError> for Stop {
    fn from(fault: PackError) -> Self {
        Self::Fault(fault)
    }
}

/// The common keys of a feature.
pub(crate) struct Draft {
    name: String,
    pub(crate) kind: String,
    unit: Option<String>,
    doc: String,
    owner: String,
    pub(crate) missing: f64,
    is_hidden: bool,
}

/// A number to aggregate.
#[derive(Clone)]
struct Value {
    source: Source,
    per_unit: f64,
    /// Lowest level of a stream that may hold it.
    level: usize,
    unit: String,
}

/// Key and filter.
struct Keyed {
    key: (usize, Option<usize>),
    filter: Filter,
}

/// A parsed window of a feature.
#[derive(Clone)]
struct Frame {
    span: Span,
    delay_ticks: u64,
    include_current: bool,
}

impl Frame {
    fn on(&self, stream: &mut StreamPlan) -> Window {
        stream.window(self.span.ticks, self.delay_ticks, self.include_current)
    }
}

/// Collects fields and features.
pub(crate) struct Builder {
    pub(crate) fields: Vec<Field>,
    pub(crate) columns: Vec<Column>,
    pub(crate) omitted: Vec<String>,
    pub(crate) plan: Plan,
    pub(crate) graphs: BTreeMap<String, NamedGraph>,
    names: BTreeMap<String, Named>,
}

impl Builder {
    pub(crate) fn new(tick_nanos: u64, lateness_ticks: u64) -> Self {
        Self {
            fields: Vec::new(),
            columns: Vec::new(),
            omitted: Vec::new(),
            plan: Plan { tick_nanos, lateness_ticks, ..Plan::default() },
            graphs: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }

    /// Reads a `[[field]]`.
    pub(crate) fn field(
        &mut self,
        mut reader: Reader<'_>,
        present: Option<&[&str]>,
    ) -> Result<(), PackError> {
        let name = reader.required("name")?;
        reader.rename(format!("field {name:?}"));
        self.check_name(&reader, &name)?;
        let types = ["bool", "category", "entity", "money", "number"];
        let type_name = reader.required("type")?;
        let field_type = match type_name.as_str() {
            "bool" => FieldType::Bool,
            "category" => FieldType::Category,
            "entity" => FieldType::Entity,
            "money" => FieldType::Money { scale: places(&mut reader, "scale", 18, "0 to 18")?.unwrap_or(2) },
            "number" => {
                FieldType::Number { decimals: places(&mut reader, "decimals", 12, "0 to 12")?.unwrap_or(6) }
            }
            _ => return Err(unknown(&reader, "type", "type", type_name, types)),
        };
        let unit = reader.text("unit")?.unwrap_or_default();
        let doc = reader.text("doc")?.unwrap_or_default();
        reader.finish()?;
        let named = match present {
            Some(present) if !present.contains(&name.as_str()) => Named::Absent,
            _ => Named::Field(self.fields.len()),
        };
        self.names.insert(name.clone(), named);
        if let Named::Field(_) = named {
            self.plan.fields.push(field_type);
            self.fields.push(Field { name, field_type, unit, doc });
        }
        Ok(())
    }

    /// Reads a `[[feature]]`.
    pub(crate) fn feature(&mut self, mut reader: Reader<'_>) -> Result<(), PackError> {
        let name = reader.required("name")?;
        reader.rename(format!("feature {name:?}"));
        let draft = Draft {
            kind: reader.required("kind")?,
            unit: reader.text("unit")?,
            doc: reader.text("doc")?.unwrap_or_default(),
            owner: reader.text("owner")?.unwrap_or_default(),
            missing: reader.number("missing")?.unwrap_or(f64::NAN),
            is_hidden: reader.flag("hidden")?.unwrap_or(false),
            name,
        };
        match self.kind(&mut reader, &draft) {
            Ok(()) => reader.finish(),
            Err(Stop::Fault(fault)) => Err(fault),
            Err(Stop::Absent) => {
                self.check_name(&reader, &draft.name)?;
                self.names.insert(draft.name.clone(), Named::Absent);
                // Its windows, if it has several, are names of their own.
                if let Some(windows) = reader.texts("windows")? {
                    for window in windows {
                        self.names.insert(format!("{}_{window}", draft.name), Named::Absent);
                    }
                }
                self.omitted.push(draft.name);
                Ok(())
            }
        }
    }

    fn kind(&mut self, r: &mut Reader<'_>, draft: &Draft) -> Result<(), Stop> {
        match draft.kind.as_str() {
            "field" => {
                let (field, _) = self.number_field(r, "field")?;
                let unit = self.fields[field].unit.clone();
                self.emit(r, draft, "", Compute::Field(field), 0, &unit)
            }
            "log1p" => {
                let (field, _) = self.number_field(r, "field")?;
                self.emit(r, draft, "", Compute::Log1p(field), 0, "log")
            }
            "is" => {
                let filter = self.filter(r, "when")?;
                if filter.is_empty() {
                    return Err(r.missing("when").into());
                }
                self.emit(r, draft, "", Compute::Is(filter), 0, "0 or 1")
            }
            "hour" => self.emit(r, draft, "", Compute::Hour, 0, "hour of day (UTC)"),
            "hour_at_most" => {
                let hour = r.whole("hour", 0..=23, "0 to 23")?.ok_or_else(|| r.missing("hour"))?;
                self.emit(r, draft, "", Compute::HourAtMost(hour), 0, "0 or 1")
            }
            "sin_hour" => self.emit(r, draft, "", Compute::SinHour, 0, ""),
            "cos_hour" => self.emit(r, draft, "", Compute::CosHour, 0, ""),
            "weekday" => self.emit(r, draft, "", Compute::Weekday, 0, "0 is Monday"),
            "weekend" => self.emit(r, draft, "", Compute::Weekend, 0, "0 or 1"),
            "ratio" => {
                let (numerator, denominator) =
                    (self.operand(r, "numerator")?, self.operand(r, "denominator")?);
                let floor = r.number("floor")?;
                self.combine(r, draft, "", Compute::Ratio { numerator, denominator, floor })
            }
            "difference" => {
                let (left, right) = (self.operand(r, "left")?, self.operand(r, "right")?);
                self.combine(r, draft, "", Compute::Difference { left, right })
            }
            "age" | "first_seen" | "since_previous" | "sequence" | "sequence_progress" => {
                self.history(r, draft)
            }
            "z_score" | "over_profile_mean" | "over_profile_max" | "profile_max" | "outliers"
            | "outlier_share" => self.profile_kind(r, draft),
            "fraud_streak_last" | "fraud_streak_max" | "fraud_streak_min" => self.streak_value(r, draft),
            "frauds" | "known_labels" | "risk" | "fraud_streak" | "fraud_streak_age" | "since_fraud"
            | "since_legitimate" => self.label_kind(r, draft),
            "risk_by_recency" => self.risk_by_recency(r, draft),
            "share" => self.share(r, draft),
            "over_window_mean" | "over_window_max" => self.over_window(r, draft),
            "count" | "rate" => self.count_kind(r, draft),
            "distinct" | "first" | "last" | "max" | "mean" | "min" | "stddev" | "sum" => {
                self.value_kind(r, draft)
            }
            "component_accounts" | "cycle" | "dwell" | "fan_in" | "fan_out" | "fraud_partners"
            | "hops_to_fraud" | "pass_through" | "received" | "sent" | "shared_accounts"
            | "shared_frauds" | "shared_things" => self.graph_kind(r, draft),
            _ => Err(unknown(r, "kind", "kind", draft.kind.clone(), KINDS).into()),
        }
    }

    fn count_kind(&mut self, r: &mut Reader<'_>, draft: &Draft) -> Result<(), Stop> {
        let keyed = self.keyed(r)?;
        let per = match draft.kind.as_str() {
            "rate" => Some(self.duration_or(r, "per", "1h")?),
            _ => None,
        };
        for (frame, suffix) in self.frames(r, true)? {
            let stream = self.plan.stream(keyed.key, &keyed.filter, &[], 0);
            let window = frame.on(&mut self.plan.streams[stream]);
            let (read, unit) = match &per {
                Some(per) => {
                    let per_event = per.ticks as f64 / frame.span.ticks as f64;
                    (Read::Rate { window, per_event }, format!("events per {}", per.text))
                }
                None => (Read::Count(window), "events".to_owned()),
            };
            self.emit_read(r, draft, &suffix, stream, read, &unit)?;
        }
        Ok(())
    }

    fn value_kind(&mut self, r: &mut Reader<'_>, draft: &Draft) -> Result<(), Stop> {
        let keyed = self.keyed(r)?;
        let value = if draft.kind == "distinct" { self.any_value(r)? } else { self.value(r)? };
        let per_unit = value.per_unit;
        for (frame, suffix) in self.frames(r, true)? {
            let stream = self.plan.stream(keyed.key, &keyed.filter, &[], value.level);
            let plan = &mut self.plan.streams[stream];
            let (column, window) = (plan.column(value.source), frame.on(plan));
            let read = match draft.kind.as_str() {
                "distinct" => Read::Distinct { slot: plan.distinct(window, column) },
                "first" => Read::First { window, column, per_unit },
                "last" => Read::Last { window, column, per_unit },
                "max" => Read::Extreme { slot: plan.extreme(window, column, true), per_unit },
                "min" => Read::Extreme { slot: plan.extreme(window, column, false), per_unit },
                "mean" => Read::Mean { word: plan.sum(window, column), per_unit },
                "stddev" => {
                    let (sum, squares) = (plan.sum(window, column), plan.squares(window, column));
                    Read::Stddev { sum, squares, per_unit }
                }
                _ => Read::Sum { word: plan.sum(window, column), per_unit },
            };
            let unit = if draft.kind == "distinct" { "values" } else { &value.unit };
            self.emit_read(r, draft, &suffix, stream, read, unit)?;
        }
        Ok(())
    }

    fn label_kind(&mut self, r: &mut Reader<'_>, draft: &Draft) -> Result<(), Stop> {
        let keyed = self.keyed(r)?;
        let kind = draft.kind.as_str();
        let prior = if kind == "risk" { prior(r)? } else { [0.0, 0.0] };
        let over_known = if kind == "risk" { over_known(r)? } else { false };
        let time = if matches!(kind, "fraud_streak_age" | "since_fraud" | "since_legitimate") {
            Some(time_unit(r)?)
        } else {
            None
        };
        let (time_name, per) = time.map_or(("", 1.0), |(name, secs)| (name, self.per(secs)));
        for (frame, suffix) in self.frames(r, true)? {
            let stream = self.plan.stream(keyed.key, &keyed.filter, &[], 0);
            let plan = &mut self.plan.streams[stream];
            let window = frame.on(plan);
            plan.is_labelled = true;
            let (read, unit) = match kind {
                "frauds" => (Read::Frauds { word: plan.frauds(window) }, "events"),
                "known_labels" => (Read::Known { word: plan.known(window) }, "events"),
                "fraud_streak" => (Read::Streak { walk: plan.walk(window) }, "events"),
                "fraud_streak_age" => (Read::StreakAge { walk: plan.walk(window), per }, time_name),
                "since_legitimate" => (Read::SinceLegitimate { walk: plan.walk(window), per }, time_name),
                "since_fraud" => {
                    plan.lists_frauds = true;
                    (Read::SinceFraud { window, per }, time_name)
                }
                _ => {
                    let band = band(plan, window, over_known, 1.0);
                    (Read::Risk { bands: vec![band], prior }, "share")
                }
            };
            self.emit_read(r, draft, &suffix, stream, read, unit)?;
        }
        Ok(())
    }

    /// A value of the events in a streak of known frauds.
    fn streak_value(&mut self, r: &mut Reader<'_>, draft: &Draft) -> Result<(), Stop> {
        let keyed = self.keyed(r)?;
        let value = self.value(r)?;
        let pick = match draft.kind.as_str() {
            "fraud_streak_last" => Pick::Newest,
            "fraud_streak_max" => Pick::Largest,
            _ => Pick::Smallest,
        };
        for (frame, suffix) in self.frames(r, true)? {
            let stream = self.plan.stream(keyed.key, &keyed.filter, &[], value.level);
            let plan = &mut self.plan.streams[stream];
            let window = frame.on(plan);
            plan.is_labelled = true;
            let (column, walk) = (plan.column(value.source), plan.walk(window));
            let slot = plan.walk_column(walk, column);
            let read = Read::StreakValue { walk, slot, per_unit: value.per_unit, pick };
            self.emit_read(r, draft, &suffix, stream, read, &value.unit)?;
        }
        Ok(())
    }

    fn risk_by_recency(&mut self, r: &mut Reader<'_>, draft: &Draft) -> Result<(), Stop> {
        let keyed = self.keyed(r)?;
        let (prior, over_known) = (prior(r)?, over_known(r)?);
        let weights = r.numbers("weights")?.ok_or_else(|| r.missing("weights"))?;
        let frames = self.frames(r, true)?;
        if frames.len() != weights.len() || frames.len() > PARTS_MAX {
            let what = "windows and weights must be equally many, at most 16";
            return Err(r.fault_at("weights", PackFault::Misfit { what }).into());
        }
        if weights.iter().any(|weight| *weight < 0.0) {
            let what = "weights must not be negative";
            return Err(r.fault_at("weights", PackFault::Misfit { what }).into());
        }
        let stream = self.plan.stream(keyed.key, &keyed.filter, &[], 0);
        let plan = &mut self.plan.streams[stream];
        let mut bands = Vec::new();
        for ((frame, _), weight) in frames.iter().zip(weights) {
            let window = frame.on(plan);
            bands.push(band(plan, window, over_known, weight));
        }
        self.emit_read(r, draft, "", stream, Read::Risk { bands, prior }, "share")
    }

    fn profile_kind(&mut self, r: &mut Reader<'_>, draft: &Draft) -> Result<(), Stop> {
        let keyed = self.keyed(r)?;
        let value = self.value(r)?;
        let range = |r: &Reader<'_>, key, number: f64| {
            let fault = PackFault::OutOfRange { key, text: number.to_string(), range: "above zero" };
            if number > 0.0 { Ok(number) } else { Err(r.fault_at(key, fault)) }
        };
        let sd_floor = r.number("sd_floor")?.unwrap_or(0.05);
        let learn_below = r.number("learn_below")?.unwrap_or(3.5);
        let profile = Profile {
            source: value.source,
            per_unit: value.per_unit,
            sd_floor: range(r, "sd_floor", sd_floor)?,
            sd_after: r.whole("sd_after", 0..=1_000_000, "0 to 1000000")?.unwrap_or(4),
            learn_below: range(r, "learn_below", learn_below)?,
            learn_first: r.whole("learn_first", 0..=1_000_000, "0 to 1000000")?.unwrap_or(10),
            word: 0,
        };
        let stream = self.plan.stream(keyed.key, &keyed.filter, &[], value.level);
        let plan = &mut self.plan.streams[stream];
        plan.column(value.source);
        let profile = plan.profile(profile);
        match draft.kind.as_str() {
            "z_score" => self.emit_read(r, draft, "", stream, Read::ZScore { profile }, "deviations"),
            "profile_max" => self.emit_read(r, draft, "", stream, Read::ProfileMax { profile }, &value.unit),
            "over_profile_max" => self.emit_read(r, draft, "", stream, Read::OverMax { profile }, "ratio"),
            "over_profile_mean" => {
                let floor = r.number("floor")?.unwrap_or(1.0);
                self.emit_read(r, draft, "", stream, Read::OverMean { profile, floor }, "ratio")
            }
            kind => {
                let above = r.number("above")?.unwrap_or(2.5);
                let what = "more than 6 different outliers on one key and filter";
                let bit = self.plan.streams[stream].outlier(profile, above);
                let bit = bit.ok_or_else(|| r.fault(PackFault::Misfit { what }))?;
                for (frame, suffix) in self.frames(r, false)? {
                    let plan = &mut self.plan.streams[stream];
                    let window = frame.on(plan);
                    let word = plan.flagged(window, bit);
                    let (read, unit) = match kind {
                        "outliers" => (Read::Outliers { word }, "events"),
                        _ => (Read::OutlierShare { word, window }, "share"),
                    };
                    self.emit_read(r, draft, &suffix, stream, read, unit)?;
                }
                Ok(())
            }
        }
    }

    /// Age, previous event, sequences.
    fn history(&mut self, r: &mut Reader<'_>, draft: &Draft) -> Result<(), Stop> {
        let keyed = self.keyed(r)?;
        match draft.kind.as_str() {
            "sequence" | "sequence_progress" => {
                let within = r.required("within")?;
                let within = r.span("within", within, self.plan.tick_nanos)?;
                if within.ticks == 0 {
                    return Err(zero(r, "within", within).into());
                }
                let steps = self.steps(r)?;
                let n_steps = u32::try_from(steps.len()).unwrap_or(u32::MAX);
                let stream = self.plan.stream(keyed.key, &keyed.filter, &steps, 0);
                let plan = &mut self.plan.streams[stream];
                let column = plan.column(Source::Steps);
                let window = plan.window(within.ticks, 0, false);
                let (read, unit) = match draft.kind.as_str() {
                    "sequence" => (Read::Sequence { window, column, steps: n_steps }, "0 or 1"),
                    _ => (Read::SequenceProgress { window, column, steps: n_steps }, "steps"),
                };
                self.emit_read(r, draft, "", stream, read, unit)
            }
            kind => {
                let stream = self.plan.stream(keyed.key, &keyed.filter, &[], 0);
                if kind == "first_seen" {
                    return self.emit_read(r, draft, "", stream, Read::FirstSeen, "0 or 1");
                }
                let (unit, secs) = time_unit(r)?;
                let per = self.per(secs);
                let read = if kind == "age" { Read::Age { per } } else { Read::SincePrevious { per } };
                self.emit_read(r, draft, "", stream, read, unit)
            }
        }
    }

    /// Events of a pair over events of one of its parts.
    fn share(&mut self, r: &mut Reader<'_>, draft: &Draft) -> Result<(), Stop> {
        let keyed = self.keyed(r)?;
        let of = self.key_field(r, "of", None)?;
        if keyed.key.1.is_none() || (keyed.key.0 != of && keyed.key.1 != Some(of)) {
            let what = "key must be a pair of fields and of one of the two";
            return Err(r.fault_at("of", PackFault::Misfit { what }).into());
        }
        for (frame, suffix) in self.frames(r, true)? {
            let pair = self.plan.stream(keyed.key, &keyed.filter, &[], 0);
            let whole = self.plan.stream((of, None), &keyed.filter, &[], 0);
            let pair_window = frame.on(&mut self.plan.streams[pair]);
            let whole_window = frame.on(&mut self.plan.streams[whole]);
            let numerator = self.read_node(r, pair, Read::Count(pair_window), f64::NAN)?;
            let denominator = self.read_node(r, whole, Read::Count(whole_window), f64::NAN)?;
            self.combine(r, draft, &suffix, Compute::Ratio { numerator, denominator, floor: None })?;
        }
        Ok(())
    }

    /// The event's value over the mean or maximum of a window.
    fn over_window(&mut self, r: &mut Reader<'_>, draft: &Draft) -> Result<(), Stop> {
        let keyed = self.keyed(r)?;
        let value = self.value(r)?;
        let floor = r.number("floor")?;
        let numerator = match value.source {
            Source::Field(field) => self.node(r, Compute::Field(field), f64::NAN, 0)?,
            Source::Node(node) => node,
            Source::Steps => return Err(r.missing("value").into()),
        };
        for (frame, suffix) in self.frames(r, false)? {
            let stream = self.plan.stream(keyed.key, &keyed.filter, &[], value.level);
            let plan = &mut self.plan.streams[stream];
            let (column, window) = (plan.column(value.source), frame.on(plan));
            let read = match draft.kind.as_str() {
                "over_window_mean" => Read::Mean { word: plan.sum(window, column), per_unit: value.per_unit },
                _ => Read::Extreme { slot: plan.extreme(window, column, true), per_unit: value.per_unit },
            };
            let denominator = self.read_node(r, stream, read, f64::NAN)?;
            self.combine(r, draft, &suffix, Compute::Ratio { numerator, denominator, floor })?;
        }
        Ok(())
    }

    /// Key and filter of a feature.
    fn keyed(&self, r: &mut Reader<'_>) -> Result<Keyed, Stop> {
        let names = r.texts("key")?.ok_or_else(|| r.missing("key"))?;
        let key = match names.as_slice() {
            [one] => (self.key_field(r, "key", Some(one.clone()))?, None),
            [one, other] => {
                let first = self.key_field(r, "key", Some(one.clone()))?;
                (first, Some(self.key_field(r, "key", Some(other.clone()))?))
            }
            _ => return Err(r.fault_at("key", PackFault::Misfit { what: "key is one field or two" }).into()),
        };
        Ok(Keyed { key, filter: self.filter(r, "filter")? })
    }

    /// A field that can be a key.
    pub(crate) fn key_field(
        &self,
        r: &mut Reader<'_>,
        key: &'static str,
        name: Option<String>,
    ) -> Result<usize, Stop> {
        let name = match name {
            Some(name) => name,
            None => r.required(key)?,
        };
        let field = self.field_named(r, key, &name)?;
        let is = self.fields[field].field_type;
        if matches!(is, FieldType::Money { .. } | FieldType::Number { .. }) {
            let want = "entity, category or bool";
            return Err(r.fault_at(key, PackFault::WrongField { key, name, is: is.name(), want }).into());
        }
        Ok(field)
    }

    fn field_named(&self, r: &Reader<'_>, key: &'static str, name: &str) -> Result<usize, Stop> {
        match self.names.get(name) {
            Some(Named::Field(field)) => Ok(*field),
            Some(Named::Absent) => Err(Stop::Absent),
            _ => {
                let fields = self.names.iter().filter(|(_, named)| !matches!(named, Named::Feature(_)));
                Err(unknown(r, key, "field", name.to_owned(), fields.map(|(name, _)| name.as_str())).into())
            }
        }
    }

    /// The money, number or bool field that `key` names, with its cells per unit.
    pub(crate) fn number_field(&self, r: &mut Reader<'_>, key: &'static str) -> Result<(usize, f64), Stop> {
        let name = r.required(key)?;
        let field = self.field_named(r, key, &name)?;
        let per_unit = self.per_unit(r, key, field)?;
        Ok((field, per_unit))
    }

    fn per_unit(&self, r: &Reader<'_>, key: &'static str, field: usize) -> Result<f64, PackError> {
        let Field { name, field_type, .. } = &self.fields[field];
        per_unit_of(*field_type).ok_or_else(|| {
            let (is, want) = (field_type.name(), "money, number or bool");
            r.fault_at(key, PackFault::WrongField { key, name: name.clone(), is, want })
        })
    }

    /// The number that `value` names: a field or an earlier feature.
    fn value(&self, r: &mut Reader<'_>) -> Result<Value, Stop> {
        let name = r.required("value")?;
        if let Some(Named::Feature(node)) = self.names.get(&name) {
            let unit = self.columns.iter().find(|column| column.name == name);
            return Ok(Value {
                source: Source::Node(*node),
                per_unit: crate::engine::NODE_CELLS_PER_UNIT,
                level: self.plan.nodes[*node].level + 1,
                unit: unit.map(|column| column.unit.clone()).unwrap_or_default(),
            });
        }
        let field = self.named_value(r, &name)?;
        let per_unit = self.per_unit(r, "value", field)?;
        Ok(Value { source: Source::Field(field), per_unit, level: 0, unit: self.fields[field].unit.clone() })
    }

    /// As [`Builder::value`], of any type.
    fn any_value(&self, r: &mut Reader<'_>) -> Result<Value, Stop> {
        let name = r.required("value")?;
        let field = self.named_value(r, &name)?;
        Ok(Value { source: Source::Field(field), per_unit: 1.0, level: 0, unit: String::new() })
    }

    fn named_value(&self, r: &Reader<'_>, name: &str) -> Result<usize, Stop> {
        match self.names.get(name) {
            Some(Named::Field(field)) => Ok(*field),
            Some(Named::Absent) => Err(Stop::Absent),
            _ => {
                let what = "field or earlier feature";
                Err(unknown(r, "value", what, name.to_owned(), self.names.keys().map(String::as_str)).into())
            }
        }
    }

    /// The earlier feature that `key` names, or a field taken as it is.
    fn operand(&mut self, r: &mut Reader<'_>, key: &'static str) -> Result<usize, Stop> {
        let name = r.required(key)?;
        match self.names.get(&name) {
            Some(Named::Feature(node)) => Ok(*node),
            Some(Named::Absent) => Err(Stop::Absent),
            Some(Named::Field(field)) => {
                let field = *field;
                self.per_unit(r, key, field)?;
                self.node(r, Compute::Field(field), f64::NAN, 0)
            }
            None => {
                let what = "field or earlier feature";
                Err(unknown(r, key, what, name, self.names.keys().map(String::as_str)).into())
            }
        }
    }

    /// The windows of a feature with the suffix of each one's name.
    fn frames(
        &self,
        r: &mut Reader<'_>,
        include_by_default: bool,
    ) -> Result<Vec<(Frame, String)>, PackError> {
        let tick_nanos = self.plan.tick_nanos;
        let delay_ticks = r.duration("delay", tick_nanos)?.map_or(0, |span| span.ticks);
        let include_current = r.flag("include_current")?.unwrap_or(include_by_default);
        let (single, many) = (r.text("window")?, r.texts("windows")?);
        let named = many.is_some();
        let texts = match (single, many) {
            (Some(text), None) => vec![text],
            (None, Some(texts)) => texts,
            (None, None) => return Err(r.missing("window")),
            (Some(_), Some(_)) => {
                let what = "window and windows exclude each other";
                return Err(r.fault_at("windows", PackFault::Misfit { what }));
            }
        };
        let key = if named { "windows" } else { "window" };
        let mut frames = Vec::new();
        for text in texts {
            let suffix = if named { format!("_{text}") } else { String::new() };
            let span = r.span(key, text, tick_nanos)?;
            if span.ticks == 0 {
                return Err(zero(r, key, span));
            }
            frames.push((Frame { span, delay_ticks, include_current }, suffix));
        }
        Ok(frames)
    }

    fn duration_or(&self, r: &mut Reader<'_>, key: &'static str, default: &str) -> Result<Span, PackError> {
        let text = r.text(key)?.unwrap_or_else(|| default.to_owned());
        let span = r.span(key, text, self.plan.tick_nanos)?;
        if span.ticks == 0 { Err(zero(r, key, span)) } else { Ok(span) }
    }

    /// The conditions under `key`; none if it is not there.
    pub(crate) fn filter(&self, r: &mut Reader<'_>, key: &'static str) -> Result<Filter, Stop> {
        let Some(value) = r.value(key) else { return Ok(Vec::new()) };
        self.conditions(r, key, value)
    }

    fn conditions<'a>(
        &self,
        r: &mut Reader<'a>,
        key: &'static str,
        value: &'a DeValue<'a>,
    ) -> Result<Filter, Stop> {
        let mut is_absent = false;
        let filter = r.tables(key, value, &mut |r| match self.condition(r) {
            Ok(condition) => Ok(Some(condition)),
            Err(Stop::Fault(fault)) => Err(fault),
            Err(Stop::Absent) => {
                is_absent = true;
                // The keys of an omitted condition are known all the same.
                for key in ["at_least", "below", "equals", "one_of"] {
                    r.value(key);
                }
                Ok(None)
            }
        })?;
        if is_absent {
            return Err(Stop::Absent);
        }
        let filter: Filter = filter.into_iter().flatten().collect();
        if filter.len() > PARTS_MAX {
            return Err(r.fault_at(key, PackFault::TooMany { what: "conditions", max: PARTS_MAX }).into());
        }
        Ok(filter)
    }

    fn condition(&self, r: &mut Reader<'_>) -> Result<Condition, Stop> {
        let name = r.required("field")?;
        let field = self.field_named(r, "field", &name)?;
        let field_type = self.fields[field].field_type;
        let mut tests = Vec::new();
        for key in ["equals", "one_of", "at_least", "below"] {
            let Some(value) = r.value(key) else { continue };
            let items: Vec<&DeValue<'_>> = match value {
                DeValue::Array(items) if key == "one_of" => items.iter().map(|item| item.get_ref()).collect(),
                value => vec![value],
            };
            let cells: Option<Vec<i64>> = items.iter().map(|item| cell(field_type, item)).collect();
            let want = match field_type {
                FieldType::Bool => "true or false",
                FieldType::Category => "the text of a category",
                FieldType::Entity => "possible for an entity: its values are not known to a pack",
                FieldType::Money { .. } => "an amount in whole minor units",
                FieldType::Number { .. } => "a number",
            };
            let cells = cells.ok_or_else(|| r.fault_at(key, PackFault::WrongType { key, want }))?;
            let ordered = matches!(field_type, FieldType::Money { .. } | FieldType::Number { .. });
            if !ordered && matches!(key, "at_least" | "below") {
                let what = "only money and numbers have an order";
                return Err(r.fault_at(key, PackFault::Misfit { what }).into());
            }
            tests.push(match (key, cells.first()) {
                ("at_least", Some(bound)) => Test::AtLeast(*bound),
                ("below", Some(bound)) => Test::Below(*bound),
                _ => Test::OneOf(cells),
            });
        }
        match (tests.pop(), tests.is_empty()) {
            (Some(test), true) => Ok(Condition { field, test }),
            _ => {
                let what = "a condition needs one of equals, one_of, at_least, below";
                Err(r.fault(PackFault::Misfit { what }).into())
            }
        }
    }

    /// The steps of a sequence: each a condition or an array of conditions.
    fn steps(&self, r: &mut Reader<'_>) -> Result<Vec<Filter>, Stop> {
        let Some(DeValue::Array(items)) = r.value("steps") else { return Err(r.missing("steps").into()) };
        if items.len() < 2 || items.len() > PARTS_MAX {
            let what = "a sequence has 2 to 16 steps";
            return Err(r.fault_at("steps", PackFault::Misfit { what }).into());
        }
        let mut steps = Vec::new();
        for item in items.iter() {
            let step = self.conditions(r, "steps", item.get_ref())?;
            if step.is_empty() {
                let what = "a step of a sequence needs a condition";
                return Err(r.fault_at("steps", PackFault::Misfit { what }).into());
            }
            steps.push(step);
        }
        Ok(steps)
    }

    /// Ticks per unit of `secs` seconds.
    fn per(&self, secs: f64) -> f64 {
        secs * 1e9 / self.plan.tick_nanos as f64
    }

    fn check_name(&self, r: &Reader<'_>, name: &str) -> Result<(), PackError> {
        let letters = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if !letters || !name.starts_with(|first: char| first.is_ascii_lowercase()) || name.len() > 64 {
            return Err(r.fault_at("name", PackFault::BadName { name: name.to_owned() }));
        }
        if self.names.contains_key(name) {
            return Err(r.fault_at("name", PackFault::NameTaken { name: name.to_owned() }));
        }
        Ok(())
    }

    pub(crate) fn node(
        &mut self,
        r: &Reader<'_>,
        compute: Compute,
        missing: f64,
        level: usize,
    ) -> Result<usize, Stop> {
        if self.plan.nodes.len() >= FEATURES_MAX {
            return Err(r.fault(PackFault::TooMany { what: "features", max: FEATURES_MAX }).into());
        }
        self.plan.nodes.push(Node { compute, missing, level });
        Ok(self.plan.nodes.len() - 1)
    }

    fn read_node(&mut self, r: &Reader<'_>, stream: usize, read: Read, missing: f64) -> Result<usize, Stop> {
        let node = self.node(r, Compute::Read, missing, self.plan.streams[stream].level)?;
        self.plan.streams[stream].reads.push((node, read));
        Ok(node)
    }

    fn emit_read(
        &mut self,
        r: &Reader<'_>,
        draft: &Draft,
        suffix: &str,
        stream: usize,
        read: Read,
        unit: &str,
    ) -> Result<(), Stop> {
        let node = self.read_node(r, stream, read, draft.missing)?;
        self.name(r, draft, suffix, node, unit)
    }

    fn combine(&mut self, r: &Reader<'_>, draft: &Draft, suffix: &str, compute: Compute) -> Result<(), Stop> {
        let level = match &compute {
            Compute::Difference { left: a, right: b }
            | Compute::Ratio { numerator: a, denominator: b, .. } => {
                self.plan.nodes[*a].level.max(self.plan.nodes[*b].level)
            }
            _ => 0,
        };
        let unit = if matches!(compute, Compute::Ratio { .. }) { "ratio" } else { "" };
        self.emit(r, draft, suffix, compute, level, unit)
    }

    fn emit(
        &mut self,
        r: &Reader<'_>,
        draft: &Draft,
        suffix: &str,
        compute: Compute,
        level: usize,
        unit: &str,
    ) -> Result<(), Stop> {
        let node = self.node(r, compute, draft.missing, level)?;
        self.name(r, draft, suffix, node, unit)
    }

    pub(crate) fn name(
        &mut self,
        r: &Reader<'_>,
        draft: &Draft,
        suffix: &str,
        node: usize,
        unit: &str,
    ) -> Result<(), Stop> {
        let name = format!("{}{suffix}", draft.name);
        self.check_name(r, &name)?;
        self.names.insert(name.clone(), Named::Feature(node));
        if !draft.is_hidden {
            self.plan.columns.push(node);
            self.columns.push(Column {
                name,
                kind: draft.kind.clone(),
                unit: draft.unit.clone().unwrap_or_else(|| unit.to_owned()),
                doc: draft.doc.clone(),
                owner: draft.owner.clone(),
                missing: draft.missing,
            });
        }
        Ok(())
    }
}

/// Cells per unit of a field that has numbers.
pub(crate) fn per_unit_of(field_type: FieldType) -> Option<f64> {
    match field_type {
        FieldType::Bool => Some(1.0),
        FieldType::Money { scale } => Some(10_f64.powi(i32::try_from(scale).unwrap_or(0))),
        FieldType::Number { decimals } => Some(10_f64.powi(i32::try_from(decimals).unwrap_or(0))),
        FieldType::Category | FieldType::Entity => None,
    }
}

/// The cell that a value in a pack stands for.
fn cell(field_type: FieldType, value: &DeValue<'_>) -> Option<i64> {
    match (field_type, value) {
        (FieldType::Bool, DeValue::Boolean(flag)) => Some(i64::from(*flag)),
        (FieldType::Category, DeValue::String(text)) => Some(crate::engine::hash_cell(crate::category(text))),
        (FieldType::Money { .. } | FieldType::Number { .. }, value) => {
            let scaled = number(value)? * per_unit_of(field_type)?;
            let is_money = matches!(field_type, FieldType::Money { .. });
            if is_money && (scaled - scaled.round()).abs() > 1e-6 {
                return None;
            }
            crate::engine::rounded_cell(scaled)
        }
        _ => None,
    }
}

fn places(
    r: &mut Reader<'_>,
    key: &'static str,
    max: u64,
    range: &'static str,
) -> Result<Option<u32>, PackError> {
    Ok(r.whole(key, 0..=max, range)?.and_then(|places| u32::try_from(places).ok()))
}

/// The pseudo-counts of frauds and of other events that a risk starts from.
fn prior(r: &mut Reader<'_>) -> Result<[f64; 2], PackError> {
    match r.numbers("prior")?.as_deref() {
        None => Ok([0.0, 0.0]),
        Some([a, b]) if *a >= 0.0 && *b >= 0.0 => Ok([*a, *b]),
        Some(_) => {
            let want = "two numbers, not negative: frauds and others before anything is known";
            Err(r.fault_at("prior", PackFault::WrongType { key: "prior", want }))
        }
    }
}

fn over_known(r: &mut Reader<'_>) -> Result<bool, PackError> {
    match r.text("over")?.as_deref() {
        None | Some("events") => Ok(false),
        Some("known") => Ok(true),
        Some(other) => Err(unknown(r, "over", "denominator", other.to_owned(), ["events", "known"])),
    }
}

fn band(plan: &mut StreamPlan, window: Window, over_known: bool, weight: f64) -> Band {
    let frauds = plan.frauds(window);
    let total = if over_known { Total::Known(plan.known(window)) } else { Total::Events(window) };
    Band { frauds, total, weight }
}

/// The unit of time under `in`, seconds if there is none.
pub(crate) fn time_unit(r: &mut Reader<'_>) -> Result<(&'static str, f64), PackError> {
    let name = r.text("in")?.unwrap_or_else(|| "seconds".to_owned());
    match TIME_UNITS.iter().find(|(unit, _)| *unit == name) {
        Some(unit) => Ok(*unit),
        None => Err(unknown(r, "in", "unit of time", name, TIME_UNITS.map(|(unit, _)| unit))),
    }
}

pub(crate) fn zero(r: &Reader<'_>, key: &'static str, span: Span) -> PackError {
    r.fault_at(key, PackFault::OutOfRange { key, text: span.text, range: "above zero" })
}

pub(crate) fn unknown<'a>(
    r: &Reader<'_>,
    key: &'static str,
    what: &'static str,
    name: String,
    known: impl IntoIterator<Item = &'a str>,
) -> PackError {
    let nearest = nearest(&name, known);
    r.fault_at(key, PackFault::UnknownName { key, what, name, nearest })
}
