//! The engine against the definitions: every feature of every row computed anew from all events so far, without
//! rings, cursors or running sums, and compared bit for bit.

use proptest::prelude::*;

use super::*;
use crate::engine::stream::deviation_of;

const TYPES: [&str; 4] = ["login", "withdrawal", "transfer", "order"];
const LATENESS: u64 = 5;

/// A call to the engine.
#[derive(Debug, Clone)]
enum Call {
    Event { secs: u64, nanos: u64, id: u64, values: Past },
    Label { id: u64, is_fraud: bool, arrival: u64 },
}

/// An event as the oracle holds it.
#[derive(Debug, Clone, Default)]
struct Past {
    secs: u64,
    id: u64,
    customer: Option<u64>,
    terminal: Option<u64>,
    cents: Option<i64>,
    type_index: Option<usize>,
    milli_rate: Option<i64>,
    new_device: Option<bool>,
    /// Features of its row that later windows aggregate.
    risk_20s: f64,
    risk_known: f64,
    /// Whether it stood out when it came.
    is_outlier: bool,
}

impl Past {
    fn values(&self) -> [Value; 6] {
        [
            self.customer.map_or(Value::Missing, Value::Entity),
            self.terminal.map_or(Value::Missing, Value::Entity),
            self.cents.map_or(Value::Missing, Value::Money),
            self.type_index.map_or(Value::Missing, |index| Value::Category(crate::category(TYPES[index]))),
            self.milli_rate.map_or(Value::Missing, |rate| Value::Number(rate as f64 / 1e3)),
            self.new_device.map_or(Value::Missing, Value::Bool),
        ]
    }

    fn is(&self, name: &str) -> bool {
        self.type_index.is_some_and(|index| TYPES[index] == name)
    }
}

/// All that happened so far.
#[derive(Default)]
struct Oracle {
    /// In the order of the log.
    taken: Vec<Past>,
    known: Vec<(u64, bool)>,
    /// (arrival, call, id, fraud).
    waiting: Vec<(u64, u64, u64, bool)>,
    calls: u64,
    watermark: Option<u64>,
}

/// Part of the log as one event sees it.
#[derive(Clone)]
struct View<'a> {
    /// In the order of (time, position), the current event last if it is part of it.
    pasts: Vec<&'a Past>,
    now: u64,
    own: Option<&'a Past>,
}

impl<'a> View<'a> {
    /// The samples in (now - delay - width, now - delay].
    fn window(&self, width: u64, delay: u64) -> Vec<&'a Past> {
        let inside = |past: &&&Past| past.secs + delay + width > self.now && past.secs + delay <= self.now;
        self.pasts.iter().filter(inside).copied().collect()
    }

    fn before(&self, width: u64) -> Vec<&'a Past> {
        let mut window = self.window(width, 0);
        if self.own.is_some() {
            window.pop();
        }
        window
    }
}

impl Oracle {
    fn label(&mut self, id: u64, is_fraud: bool, arrival: u64) {
        self.calls += 1;
        if self.watermark.is_some_and(|watermark| arrival <= watermark) {
            self.apply(id, is_fraud);
        } else {
            self.waiting.push((arrival, self.calls, id, is_fraud));
        }
    }

    fn apply(&mut self, id: u64, is_fraud: bool) {
        if self.taken.iter().any(|past| past.id == id) {
            self.known.retain(|(other, _)| *other != id);
            self.known.push((id, is_fraud));
        }
    }

    fn known(&self, past: &Past) -> Option<bool> {
        self.known.iter().find(|(id, _)| *id == past.id).map(|(_, is_fraud)| *is_fraud)
    }

    /// What becomes of an event, and its row.
    fn step(&mut self, mut past: Past) -> (Stepped, Option<Vec<f64>>) {
        if self.taken.iter().any(|other| other.id == past.id) {
            return (Stepped::Duplicate, None);
        }
        if self.watermark.is_some_and(|watermark| past.secs + LATENESS < watermark) {
            return (Stepped::Late, None);
        }
        self.watermark = self.watermark.max(Some(past.secs));
        self.waiting.sort_unstable();
        while self.waiting.first().is_some_and(|(arrival, ..)| Some(*arrival) <= self.watermark) {
            let (_, _, id, is_fraud) = self.waiting.remove(0);
            self.apply(id, is_fraud);
        }
        self.taken.push(past.clone());
        // The features that others build on come first.
        let profile = self.profile();
        past.is_outlier = profile.z > 0.8;
        let terminal = self.view(|past| past.terminal, |_| true);
        past.risk_20s = self.risk(&[(terminal, 20, 3, 1.0)], [0.0, 0.0], false);
        past.risk_20s = if past.risk_20s.is_nan() { 0.0 } else { past.risk_20s };
        let customer = self.view(|past| past.customer, |_| true);
        past.risk_known = self.risk(&[(customer, 20, 0, 1.0)], [0.5, 10.5], true);
        let last = self.taken.len() - 1;
        self.taken[last] = past;
        (Stepped::Taken, Some(self.row(&profile)))
    }

    fn current(&self) -> &Past {
        self.taken.last().unwrap()
    }

    /// What the current event sees of the events with its key; `None` if it has no such key.
    fn view<K: PartialEq>(
        &self,
        key: impl Fn(&Past) -> Option<K>,
        filter: impl Fn(&Past) -> bool,
    ) -> Option<View<'_>> {
        let current = self.current();
        let own_key = key(current)?;
        let seen =
            |past: &&Past| past.secs <= current.secs && key(past).as_ref() == Some(&own_key) && filter(past);
        let mut pasts: Vec<&Past> = self.taken.iter().filter(seen).collect();
        // Stable: events of one time stay in the order of the log.
        pasts.sort_by_key(|past| past.secs);
        Some(View { pasts, now: current.secs, own: filter(current).then_some(current) })
    }

    fn risk(&self, bands: &[(Option<View<'_>>, u64, u64, f64)], [a, b]: [f64; 2], over_known: bool) -> f64 {
        let (mut frauds, mut total) = (a, a + b);
        for (view, width, delay, weight) in bands {
            let Some(view) = view else { return f64::NAN };
            let window = view.window(*width, *delay);
            frauds += weight * self.frauds(&window);
            let known = window.iter().filter(|past| self.known(past).is_some()).count();
            total += weight * if over_known { known as f64 } else { window.len() as f64 };
        }
        if total > 0.0 { frauds / total } else { f64::NAN }
    }

    fn frauds(&self, window: &[&Past]) -> f64 {
        window.iter().filter(|past| self.known(past) == Some(true)).count() as f64
    }

    /// The run of frauds at the end of the window that no legitimate event follows: its length and first time.
    fn streak(&self, window: &[&Past]) -> (f64, f64) {
        let known: Vec<(u64, bool)> =
            window.iter().filter_map(|past| Some((past.secs, self.known(past)?))).collect();
        let run: Vec<u64> =
            known.iter().rev().take_while(|(_, is_fraud)| *is_fraud).map(|(secs, _)| *secs).collect();
        (run.len() as f64, run.last().map_or(f64::NAN, |first| *first as f64))
    }

    /// The profile as the current event finds it: a fold in the order of the log.
    fn profile(&self) -> Profile {
        let mut entries: Vec<(f64, i64)> = Vec::new();
        let mut found = Profile::default();
        let current = self.current();
        for past in self.taken.iter().filter(|past| past.customer == current.customer) {
            let x = past.cents.map_or(f64::NAN, |cents| math::ln(1.0 + cents as f64 / 100.0));
            let count = entries.len() as f64;
            let mean =
                if entries.is_empty() { x } else { entries.iter().map(|(x, _)| *x).sum::<f64>() / count };
            let squares = entries.iter().map(|(x, _)| x * x).sum::<f64>();
            let sd = if entries.len() <= 2 {
                1.0
            } else {
                (squares / count - mean * mean).max(0.0).sqrt().max(0.05)
            };
            let z = (x - mean) / sd;
            let max = entries.iter().map(|(_, cents)| *cents).max();
            found = Profile { z, mean, max, amount: past.cents };
            if !x.is_nan() && (z < 1.5 || entries.len() < 3) {
                entries.extend(past.cents.map(|cents| (x, cents)));
            }
        }
        if current.customer.is_none() { Profile::default() } else { found }
    }

    fn row(&self, profile: &Profile) -> Vec<f64> {
        let current = self.current();
        let now = current.secs;
        let known = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let flag = |flag: bool| f64::from(u8::from(flag));
        let or = |value: f64, missing: f64| if value.is_nan() { missing } else { value };
        let customer = self.view(|past| past.customer, |_| true);
        let terminal = self.view(|past| past.terminal, |_| true);
        let pair = self.view(|past| past.customer.zip(past.terminal), |_| true);
        let big = self.view(
            |past| past.customer,
            |past| past.is("withdrawal") && past.cents.is_some_and(|cents| cents >= 150),
        );
        let withdrawals = self.view(|past| past.customer, |past| past.is("withdrawal"));
        let of =
            |view: &Option<View<'_>>, read: &dyn Fn(&View<'_>) -> f64| view.as_ref().map_or(f64::NAN, read);
        let cents = |window: &[&Past]| window.iter().filter_map(|past| past.cents).collect::<Vec<_>>();
        let mean = |window: &[&Past]| {
            let cents = cents(window);
            if cents.is_empty() {
                f64::NAN
            } else {
                cents.iter().sum::<i64>() as f64 / (cents.len() as f64 * 100.0)
            }
        };
        let hundredth = |cents: Option<i64>| cents.map_or(f64::NAN, |cents| cents as f64 / 100.0);
        let ratio = |a: f64, b: f64| if b == 0.0 { f64::NAN } else { a / b };
        let millionths = |values: Vec<f64>| -> Vec<i64> {
            values
                .into_iter()
                .filter(|value| !value.is_nan())
                .filter_map(|value| rounded_cell(value * 1e6))
                .collect()
        };

        let hour = now / 3_600 % 24;
        let weekday = (now / 86_400 + 3) % 7;
        let turn = (now % 86_400) as f64 / 86_400.0;
        let count_5s = of(&customer, &|view| view.window(5, 0).len() as f64);
        let count_20s = of(&customer, &|view| view.window(20, 0).len() as f64);
        let count_before = of(&customer, &|view| view.before(20).len() as f64);
        let amount = hundredth(current.cents);
        let mean_before = of(&customer, &|view| mean(&view.before(20)));
        let max_before = of(&customer, &|view| hundredth(cents(&view.before(20)).into_iter().max()));
        let age = |view: &Option<View<'_>>| {
            of(view, &|view| {
                view.pasts.iter().map(|past| past.secs).min().map_or(f64::NAN, |first| (now - first) as f64)
            })
        };
        let first_seen = |view: &Option<View<'_>>| {
            of(view, &|view| flag(view.pasts.len() == usize::from(view.own.is_some())))
        };
        let previous = |view: &Option<View<'_>>| {
            of(view, &|view| {
                let skip = usize::from(view.own.is_some());
                view.pasts.iter().rev().nth(skip).map_or(f64::NAN, |past| (now - past.secs) as f64)
            })
        };
        let since_fraud = |window: Vec<&Past>| {
            let frauds = window.iter().filter(|past| self.known(past) == Some(true));
            frauds.map(|past| past.secs).max().map_or(f64::NAN, |last| (now - last) as f64)
        };
        let (mut led_up, mut progress) = (f64::NAN, f64::NAN);
        if let Some(view) = &customer {
            let window = view.window(15, 0);
            let (before, own) = (view.before(15), current);
            progress = (0..=3).rev().find(|steps| takes(&window, *steps)).unwrap_or(0) as f64;
            led_up = flag(takes(&before, 2) && matches_step(own, 2));
        }
        vec![
            amount,
            math::ln(1.0 + amount),
            hour as f64,
            flag(hour <= 6),
            math::sin_cos_turn(turn).0,
            math::sin_cos_turn(turn).1,
            weekday as f64,
            flag(weekday >= 5),
            known(current.type_index.map(|_| flag(current.is("withdrawal")))),
            count_5s,
            count_20s,
            count_before,
            of(&terminal, &|view| view.window(5, 7).len() as f64),
            of(&terminal, &|view| view.window(20, 7).len() as f64),
            of(&pair, &|view| view.window(20, 0).len() as f64),
            of(&big, &|view| view.window(20, 0).len() as f64),
            count_20s * 3.0,
            of(&customer, &|view| cents(&view.window(5, 0)).iter().sum::<i64>() as f64 / 100.0),
            of(&customer, &|view| cents(&view.window(20, 0)).iter().sum::<i64>() as f64 / 100.0),
            of(&customer, &|view| {
                view.window(13, 2).iter().filter_map(|past| past.milli_rate).sum::<i64>() as f64 / 1e3
            }),
            of(&customer, &|view| mean(&view.window(20, 0))),
            mean_before,
            of(&customer, &|view| {
                let cents = cents(&view.window(20, 0));
                let squares = cents.iter().map(|cents| i128::from(*cents) * i128::from(*cents)).sum();
                deviation_of(cents.len() as u64, cents.iter().map(|cents| i128::from(*cents)).sum(), squares)
                    / 100.0
            }),
            of(&customer, &|view| hundredth(cents(&view.window(5, 0)).into_iter().min())),
            of(&customer, &|view| hundredth(cents(&view.window(20, 0)).into_iter().min())),
            of(&customer, &|view| {
                let max = view.before(20).iter().filter_map(|past| past.milli_rate).max();
                known(max.map(|max| max as f64 / 1e3))
            }),
            of(&terminal, &|view| hundredth(cents(&view.window(9, 4)).into_iter().max())),
            of(&customer, &|view| different(view.window(5, 0).iter().map(|past| past.terminal).collect())),
            of(&customer, &|view| different(view.window(20, 0).iter().map(|past| past.terminal).collect())),
            of(&terminal, &|view| {
                different(
                    view.window(9, 4).iter().map(|past| past.type_index.map(|index| index as u64)).collect(),
                )
            }),
            of(&customer, &|view| hundredth(view.window(9, 0).first().and_then(|past| past.cents))),
            of(&customer, &|view| hundredth(view.before(9).last().and_then(|past| past.cents))),
            of(&terminal, &|view| self.frauds(&view.window(20, 0))),
            of(&terminal, &|view| self.frauds(&view.window(20, 7))),
            of(&terminal, &|view| {
                view.window(20, 0).iter().filter(|past| self.known(past).is_some()).count() as f64
            }),
            or(self.risk(&[(terminal.clone(), 5, 3, 1.0)], [0.0, 0.0], false), 0.0),
            current.risk_20s,
            current.risk_known,
            self.risk(
                &[
                    (terminal.clone(), 4, 0, 1.0),
                    (terminal.clone(), 9, 0, 0.5),
                    (terminal.clone(), 20, 0, 0.25),
                ],
                [1.0, 4.0],
                false,
            ),
            of(&terminal, &|view| self.streak(&view.window(20, 0)).0),
            of(&terminal, &|view| self.streak(&view.window(20, 3)).0),
            or(of(&terminal, &|view| (now as f64 - self.streak(&view.window(20, 3)).1) / 60.0), -1.0),
            or(of(&terminal, &|view| since_fraud(view.window(20, 3))), 999.0),
            of(&customer, &|view| since_fraud(view.before(12))),
            or(previous(&customer) / 3_600.0, -1.0),
            previous(&withdrawals),
            age(&customer),
            age(&pair) / 86_400.0,
            first_seen(&pair),
            age(&withdrawals),
            first_seen(&withdrawals),
            ratio(of(&pair, &|view| view.window(20, 0).len() as f64), count_20s),
            profile.z,
            profile
                .amount
                .map_or(f64::NAN, |cents| cents as f64 / 100.0 / (math::exp(profile.mean) - 1.0).max(1.0)),
            hundredth(profile.max),
            match hundredth(profile.max) {
                max if max > 0.0 => hundredth(profile.amount) / max,
                _ => f64::NAN,
            },
            of(&customer, &|view| view.before(20).iter().filter(|past| past.is_outlier).count() as f64),
            of(&customer, &|view| {
                let before = view.before(9);
                ratio(before.iter().filter(|past| past.is_outlier).count() as f64, before.len() as f64)
            }),
            or(amount / if mean_before < 1.0 { 1.0 } else { mean_before }, 1.0),
            ratio(amount, max_before),
            count_5s - count_before,
            ratio(count_5s, count_20s),
            of(&customer, &|view| {
                let risks = millionths(view.window(20, 0).iter().map(|past| past.risk_20s).collect());
                if risks.is_empty() {
                    f64::NAN
                } else {
                    risks.iter().sum::<i64>() as f64 / (risks.len() as f64 * 1e6)
                }
            }),
            of(&customer, &|view| {
                let risks = millionths(view.window(9, 0).iter().map(|past| past.risk_known).collect());
                known(risks.into_iter().max().map(|risk| risk as f64 / 1e6))
            }),
            led_up,
            progress,
        ]
    }
}

#[derive(Debug, Clone, Copy)]
struct Profile {
    z: f64,
    mean: f64,
    max: Option<i64>,
    amount: Option<i64>,
}

impl Default for Profile {
    fn default() -> Self {
        Self { z: f64::NAN, mean: f64::NAN, max: None, amount: None }
    }
}

fn different(mut values: Vec<Option<u64>>) -> f64 {
    values.retain(Option::is_some);
    values.sort_unstable();
    values.dedup();
    values.len() as f64
}

fn matches_step(past: &Past, step: usize) -> bool {
    match step {
        0 => past.is("login"),
        1 => past.new_device == Some(true),
        _ => (past.is("withdrawal") || past.is("transfer")) && past.cents.is_some_and(|cents| cents < 400),
    }
}

/// Whether some events in order take the first `steps` steps: every choice is tried.
fn takes(window: &[&Past], steps: usize) -> bool {
    steps == 0
        || (0..window.len())
            .any(|last| matches_step(window[last], steps - 1) && takes(&window[..last], steps - 1))
}

fn event() -> impl Strategy<Value = Past> {
    let some = |range: std::ops::Range<u64>| proptest::option::weighted(0.9, range);
    (
        some(0..3),
        some(10..12),
        proptest::option::weighted(0.9, -20_i64..2_000),
        proptest::option::weighted(0.9, 0_usize..4),
        proptest::option::weighted(0.9, -5_000_i64..5_000),
        proptest::option::weighted(0.9, any::<bool>()),
    )
        .prop_map(|(customer, terminal, cents, type_index, milli_rate, new_device)| Past {
            customer,
            terminal,
            cents,
            type_index,
            milli_rate,
            new_device,
            ..Past::default()
        })
}

/// A log: time goes on with ties and jumps, some events come late or too late, some twice; labels come at once, later,
/// again, or for events nobody knows.
fn log() -> impl Strategy<Value = Vec<Call>> {
    let step = (event(), 0_u64..4, 0_u64..12, 0_u64..1_000_000_000, 0_u64..20, 0_u64..10);
    let label = (0_u64..60, any::<bool>(), 0_u64..25);
    proptest::collection::vec((step, proptest::option::of(label)), 1..70).prop_map(|steps| {
        let mut time: u64 = 1_000_000;
        let mut calls = Vec::new();
        for (number, ((past, ahead, back, nanos, odd, twice), label)) in steps.into_iter().enumerate() {
            time += if odd == 0 { 15 } else { ahead / 2 };
            let secs = if odd < 5 { time - back } else { time };
            let id = if twice == 0 { number as u64 / 2 } else { number as u64 };
            calls.push(Call::Event { secs, nanos, id, values: past });
            if let Some((id, is_fraud, delay)) = label {
                calls.push(Call::Label { id: id % (number as u64 + 3), is_fraud, arrival: time - 5 + delay });
            }
        }
        calls
    })
}

fn bits(row: &[f64]) -> Vec<u64> {
    row.iter()
        .map(|value| if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() })
        .collect()
}

/// The rows of all events, and the engine.
fn run(calls: &[Call], limits: Limits) -> (Vec<(Stepped, Vec<f64>)>, Engine) {
    let mut engine = Engine::new(pack(EVERYTHING), limits);
    let mut rows = Vec::new();
    for (position, call) in calls.iter().enumerate() {
        match call {
            Call::Event { secs, nanos, id, values } => {
                let mut row = vec![0.0; engine.pack().columns().len()];
                let at = UnixNanos(secs * 1_000_000_000 + nanos);
                let record = Record { position: position as u64, at, id: *id, values: &values.values() };
                rows.push((engine.step(&record, &mut row).unwrap(), row));
            }
            Call::Label { id, is_fraud, arrival } => {
                let label = Label { id: *id, is_fraud: *is_fraud, arrival: UnixNanos::from_secs(*arrival) };
                let _labelled = engine.label(&label).unwrap();
            }
        }
    }
    (rows, engine)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_feature_is_as_defined(calls in log()) {
        let (rows, engine) = run(&calls, Limits::default());
        let mut oracle = Oracle::default();
        let mut rows = rows.into_iter();
        for call in &calls {
            match call {
                Call::Label { id, is_fraud, arrival } => oracle.label(*id, *is_fraud, *arrival),
                Call::Event { secs, id, values, .. } => {
                    let past = Past { secs: *secs, id: *id, ..values.clone() };
                    let (want_stepped, want) = oracle.step(past);
                    let (stepped, row) = rows.next().unwrap();
                    prop_assert_eq!(stepped, want_stepped);
                    if let Some(want) = want {
                        let columns = engine.pack().columns();
                        prop_assert_eq!(row.len(), want.len());
                        for ((got, want), column) in bits(&row).into_iter().zip(bits(&want)).zip(columns) {
                            prop_assert_eq!(
                                got, want, "{}: {} is not {}", &column.name, f64::from_bits(got), f64::from_bits(want)
                            );
                        }
                    }
                }
            }
        }
        // The same calls give the same state.
        prop_assert_eq!(run(&calls, Limits::default()).1.digest(), engine.digest());
    }

    /// What has not arrived cannot be seen: any other labels after the cut-off give the same rows before it.
    #[test]
    fn labels_of_the_future_change_no_row(calls in log(), cut_off in 1_000_000_u64..1_000_080, odd in any::<u64>()) {
        let changed: Vec<Call> = calls.iter().map(|call| match call {
            Call::Label { id, is_fraud, arrival } if *arrival > cut_off => Call::Label {
                id: id.wrapping_add(odd) % 60, is_fraud: is_fraud ^ (odd % 2 == 0), arrival: *arrival + odd % 7,
            },
            call => call.clone(),
        }).collect();
        let (rows, _) = run(&calls, Limits::default());
        let (others, _) = run(&changed, Limits::default());
        let mut watermark = 0;
        let events = calls.iter().filter_map(|call| match call {
            Call::Event { secs, .. } => Some(*secs),
            Call::Label { .. } => None,
        });
        for ((secs, (_, row)), (_, other)) in events.zip(rows).zip(others) {
            watermark = watermark.max(secs);
            if watermark <= cut_off {
                prop_assert_eq!(bits(&row), bits(&other));
            }
        }
    }

    /// With few places nothing breaks, and the counts stay within what is held.
    #[test]
    fn tight_limits_hold(calls in log(), entities_max in 1_usize..3, samples_max in 1_usize..6, events_max in 1_usize..9) {
        let limits = Limits { entities_max, samples_max, events_max, labels_max: 1_000 };
        let (rows, engine) = run(&calls, limits);
        let usage = engine.usage();
        prop_assert!(usage.entities <= entities_max * engine.pack().plan().streams.len());
        prop_assert!(usage.events <= events_max);
        let count = engine.pack().column_index("count_20s").unwrap();
        // The row is read before the oldest sample makes room.
        prop_assert!(rows.iter().all(|(_, row)| row[count].is_nan() || row[count] <= samples_max as f64 + 1.0));
        prop_assert_eq!(run(&calls, limits).1.digest(), engine.digest());
    }

    /// A preview is the row to come, and nothing shows that it was asked for: not in rows, nor in what is forgotten.
    #[test]
    fn a_preview_is_the_row_to_come_and_changes_nothing(calls in log(), entities_max in 1_usize..9) {
        let limits = Limits { entities_max, ..Limits::default() };
        let (rows, plain) = run(&calls, limits);
        let mut engine = Engine::new(pack(EVERYTHING), limits);
        let mut rows = rows.into_iter();
        for (position, call) in calls.iter().enumerate() {
            match call {
                Call::Event { secs, nanos, id, values } => {
                    let mut row = vec![0.0; engine.pack().columns().len()];
                    let at = UnixNanos(secs * 1_000_000_000 + nanos);
                    let record = Record { position: position as u64, at, id: *id, values: &values.values() };
                    let before = engine.digest();
                    let previewed = engine.preview(&record, &mut row).unwrap();
                    prop_assert_eq!(engine.digest(), before);
                    let (stepped, want) = rows.next().unwrap();
                    prop_assert_eq!(previewed, stepped);
                    if engine.usage().labels_waiting == 0 {
                        prop_assert_eq!(bits(&row), bits(&want));
                    }
                    let _stepped = engine.step(&record, &mut row).unwrap();
                    prop_assert_eq!(bits(&row), bits(&want));
                }
                Call::Label { id, is_fraud, arrival } => {
                    let label = Label { id: *id, is_fraud: *is_fraud, arrival: UnixNanos::from_secs(*arrival) };
                    let _labelled = engine.label(&label).unwrap();
                }
            }
        }
        prop_assert_eq!(engine.digest(), plain.digest());
    }
}
