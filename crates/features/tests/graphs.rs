//! The graphs of a pack against their definitions: every fact of every event computed anew from the whole log, without
//! tables, lists of links or running figures, and compared bit for bit.

#![allow(clippy::unwrap_used, reason = "a test outside `cfg(test)`")]

use std::sync::Arc;

use domain::UnixNanos;
use features::{Engine, Label, Limits, Pack, Record, Stepped, Value, category};
use proptest::prelude::*;

const LINKS_MAX: usize = 3;
const HUB_ABOVE: usize = 2;
const REACH_MAX: usize = 3;
const WINDOW: u64 = 20;
const LATENESS: u64 = 3;
const SPAN: u64 = 12;
const KINDS: [&str; 3] = ["login", "deposit", "withdrawal"];

const PACK: &str = r#"
[pack]
name = "graphs"
version = 1
resolution = "1s"
allowed_lateness = "3s"

[[field]]
name = "account"
type = "entity"
[[field]]
name = "other"
type = "entity"
[[field]]
name = "device"
type = "entity"
[[field]]
name = "ip"
type = "entity"
[[field]]
name = "kind"
type = "category"
[[field]]
name = "amount"
type = "money"
scale = 2
unit = "EUR"

[[graph]]
name = "people"
kind = "sharing"
account = "account"
things = ["device", "ip"]
marks = ["account", "device"]
filter = { field = "kind", one_of = ["login", "withdrawal"] }
window = "20s"
links_max = 3
hub_above = 2
reach_max = 3
hops_max = 3

[[graph]]
name = "money"
kind = "money"
value = "amount"
window = "20s"
cycle_span = "12s"
cycle_hops_max = 3
marks = "account"
transfers = [
    { from = "account", to = "other", filter = { field = "kind", equals = "withdrawal" } },
    { from = "other", to = "account", filter = { field = "kind", equals = "deposit" } },
]

[[feature]]
name = "component"
kind = "component_accounts"
graph = "people"
[[feature]]
name = "shared_accounts"
kind = "shared_accounts"
graph = "people"
[[feature]]
name = "shared_frauds"
kind = "shared_frauds"
graph = "people"
[[feature]]
name = "shared_things"
kind = "shared_things"
graph = "people"
[[feature]]
name = "hops"
kind = "hops_to_fraud"
graph = "people"
missing = 9
[[feature]]
name = "fan_in"
kind = "fan_in"
graph = "money"
of = "account"
[[feature]]
name = "fan_out"
kind = "fan_out"
graph = "money"
of = "account"
[[feature]]
name = "other_fan_in"
kind = "fan_in"
graph = "money"
of = "other"
[[feature]]
name = "fraud_partners"
kind = "fraud_partners"
graph = "money"
of = "account"
[[feature]]
name = "received"
kind = "received"
graph = "money"
of = "account"
[[feature]]
name = "sent"
kind = "sent"
graph = "money"
of = "account"
[[feature]]
name = "pass_through"
kind = "pass_through"
graph = "money"
of = "account"
[[feature]]
name = "dwell"
kind = "dwell"
graph = "money"
of = "account"
in = "minutes"
[[feature]]
name = "cycle"
kind = "cycle"
graph = "money"
"#;

#[derive(Debug, Clone)]
struct Past {
    /// The watermark when it came, in seconds.
    at: u64,
    id: u64,
    account: Option<u64>,
    other: Option<u64>,
    device: Option<u64>,
    ip: Option<u64>,
    kind: Option<usize>,
    cents: Option<i64>,
}

/// A transfer as the log has it.
#[derive(Debug, Clone, Copy)]
struct Moved {
    at: u64,
    from: Option<u64>,
    to: Option<u64>,
    minor: u64,
}

impl Past {
    fn is(&self, name: &str) -> bool {
        self.kind.is_some_and(|kind| KINDS[kind] == name)
    }

    fn things(&self) -> Vec<(usize, u64)> {
        let things = [(0, self.device), (1, self.ip)];
        things.into_iter().filter_map(|(field, thing)| Some((field, thing?))).collect()
    }

    fn links(&self) -> bool {
        self.is("login") || self.is("withdrawal")
    }

    fn moved(&self) -> Option<Moved> {
        let minor = u64::try_from(self.cents?).ok()?;
        let (from, to) = match () {
            () if self.is("withdrawal") => (self.account, self.other),
            () if self.is("deposit") => (self.other, self.account),
            () => return None,
        };
        (from != to).then_some(Moved { at: self.at, from, to, minor })
    }
}

#[derive(Default)]
struct Oracle {
    log: Vec<Past>,
    frauds: Vec<u64>,
    waiting: Vec<(u64, usize, u64, bool)>,
    calls: usize,
    watermark: Option<u64>,
}

/// Keeps the first of equal items.
fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut found: Vec<T> = Vec::new();
    for item in items {
        if !found.contains(&item) {
            found.push(item);
        }
    }
    found
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
        self.frauds.retain(|other| *other != id);
        if is_fraud && self.log.iter().any(|past| past.id == id) {
            self.frauds.push(id);
        }
    }

    fn is_known(&self, names: impl Fn(&Past) -> bool) -> bool {
        self.log.iter().any(|past| self.frauds.contains(&past.id) && names(past))
    }

    /// Things an account used last.
    fn things(&self, account: u64, now: u64) -> Vec<(usize, u64)> {
        let uses = self
            .log
            .iter()
            .rev()
            .filter(|past| past.account == Some(account) && past.links() && past.at + WINDOW > now);
        let mut things = distinct(uses.flat_map(|past| past.things().into_iter().rev()));
        things.truncate(LINKS_MAX);
        things
    }

    /// Accounts that used a thing last; none if it is a hub.
    fn users(&self, thing: (usize, u64), now: u64) -> Vec<u64> {
        let uses = self
            .log
            .iter()
            .rev()
            .filter(|past| past.links() && past.things().contains(&thing) && past.at + WINDOW > now);
        let users = distinct(uses.filter_map(|past| past.account));
        if users.len() > HUB_ABOVE { Vec::new() } else { users }
    }

    fn sharing(&self, account: u64, now: u64) -> [f64; 5] {
        let is_fraud = |account: u64| self.is_known(|past| past.account == Some(account));
        let mut reached = vec![(account, 0)];
        let mut hops = is_fraud(account).then_some(0);
        let closer = |hops: Option<usize>, found: usize| Some(hops.map_or(found, |hops| hops.min(found)));
        let mut looked = Vec::new();
        let mut next = 0;
        'all: while next < reached.len() {
            let (near, depth) = reached[next];
            next += 1;
            for thing in self.things(near, now) {
                if looked.contains(&thing) {
                    continue;
                }
                looked.push(thing);
                let users = self.users(thing, now);
                let marked = thing.0 == 0 && self.is_known(|past| past.device == Some(thing.1));
                if marked && !users.is_empty() {
                    hops = closer(hops, 2 * depth + 1);
                }
                for user in users {
                    if reached.iter().any(|(other, _)| *other == user) {
                        continue;
                    }
                    if reached.len() >= REACH_MAX {
                        break 'all;
                    }
                    if is_fraud(user) {
                        hops = closer(hops, 2 * depth + 2);
                    }
                    reached.push((user, depth + 1));
                }
            }
        }
        let near: Vec<u64> =
            reached.iter().filter(|(_, depth)| *depth == 1).map(|(other, _)| *other).collect();
        let shared = |thing: &&(usize, u64)| self.users(**thing, now).len() > 1;
        // What a cut search did not look at does not count.
        let own: Vec<(usize, u64)> =
            self.things(account, now).into_iter().filter(|thing| looked.contains(thing)).collect();
        [
            reached.len() as f64,
            near.len() as f64,
            near.iter().filter(|other| is_fraud(**other)).count() as f64,
            own.iter().filter(shared).count() as f64,
            hops.filter(|hops| *hops <= 3).map_or(9.0, |hops| hops as f64),
        ]
    }

    fn money(&self, node: u64, now: u64) -> [f64; 7] {
        let all: Vec<Moved> = self.log.iter().filter_map(Past::moved).collect();
        let is_live = |moved: &&Moved| moved.at + WINDOW > now;
        let live = || all.iter().filter(is_live);
        // Receipts with what is left of them, and minor units times seconds that they stayed.
        let mut receipts: Vec<(Moved, u64, u128)> = Vec::new();
        for moved in &all {
            if moved.from == Some(node) {
                let mut rest = moved.minor;
                for (receipt, left, stayed) in
                    receipts.iter_mut().filter(|(receipt, ..)| receipt.at + WINDOW > moved.at)
                {
                    let taken = rest.min(*left);
                    *left -= taken;
                    rest -= taken;
                    *stayed += u128::from(taken) * u128::from(moved.at - receipt.at);
                }
            } else if moved.to == Some(node) {
                receipts.push((*moved, moved.minor, 0));
            }
        }
        receipts.retain(|(receipt, ..)| is_live(&receipt));
        let received: u64 = receipts.iter().map(|(receipt, ..)| receipt.minor).sum();
        let left: u64 = receipts.iter().map(|(_, left, _)| left).sum();
        let stayed: u128 = receipts.iter().map(|(.., stayed)| stayed).sum();
        let forwarded = received - left;
        let sent: u64 = live().filter(|moved| moved.from == Some(node)).map(|moved| moved.minor).sum();
        let payers = distinct(live().filter(|moved| moved.to == Some(node)).filter_map(|moved| moved.from));
        let paid = distinct(live().filter(|moved| moved.from == Some(node)).filter_map(|moved| moved.to));
        let partners = distinct(payers.iter().chain(&paid));
        let frauds =
            partners.iter().filter(|partner| self.is_known(|past| past.account == Some(***partner))).count();
        let share = |part: f64, whole: u64| if whole == 0 { f64::NAN } else { part / whole as f64 };
        [
            payers.len() as f64,
            paid.len() as f64,
            frauds as f64,
            received as f64 / 100.0,
            sent as f64 / 100.0,
            share(forwarded as f64, received),
            share(stayed as f64, forwarded) / 60.0,
        ]
    }

    /// Transfers of the shortest cycle that the last event closes.
    fn cycle(&self) -> f64 {
        let all: Vec<Moved> = self.log.iter().filter_map(Past::moved).collect();
        let Some(last) = self.log.last().and_then(Past::moved) else { return 0.0 };
        let (Some(_), Some(origin)) = (last.from, last.to) else { return 0.0 };
        let lengths = (2..=3).find(|length| leads_back(&all, &last, origin, last.at, length - 1));
        lengths.map_or(0.0, |length| length as f64)
    }

    fn step(&mut self, past: Past) -> [f64; 14] {
        self.waiting.sort_unstable();
        while self.waiting.first().is_some_and(|(arrival, ..)| Some(*arrival) <= self.watermark) {
            let (_, _, id, is_fraud) = self.waiting.remove(0);
            self.apply(id, is_fraud);
        }
        let now = past.at;
        self.log.push(past.clone());
        let [component, accounts, frauds, things, hops] = past
            .account
            .map_or([f64::NAN, f64::NAN, f64::NAN, f64::NAN, 9.0], |account| self.sharing(account, now));
        let own = past.account.map_or([f64::NAN; 7], |account| self.money(account, now));
        let other = past.other.map_or([f64::NAN; 7], |other| self.money(other, now));
        let [fan_in, fan_out, partners, received, sent, pass, dwell] = own;
        [
            component,
            accounts,
            frauds,
            things,
            hops,
            fan_in,
            fan_out,
            other[0],
            partners,
            received,
            sent,
            pass,
            dwell,
            self.cycle(),
        ]
    }
}

/// Whether `length` transfers before `next` bring its money from `origin`: every choice is tried.
fn leads_back(all: &[Moved], next: &Moved, origin: u64, closed_at: u64, length: usize) -> bool {
    all.iter().any(|moved| {
        let fits = moved.to == next.from
            && moved.from.is_some()
            && moved.at <= next.at
            && moved.at + SPAN >= closed_at
            && moved.at + WINDOW > closed_at
            && next.minor <= moved.minor
            && next.minor * 100 >= moved.minor * 70;
        let is_origin = moved.from == Some(origin);
        fits && if length == 1 { is_origin } else { leads_back(all, moved, origin, closed_at, length - 1) }
    })
}

#[derive(Debug, Clone)]
enum Call {
    Event { secs: u64, past: Past },
    Label { id: u64, is_fraud: bool, arrival: u64 },
}

fn log() -> impl Strategy<Value = Vec<Call>> {
    let some = |range: std::ops::Range<u64>| proptest::option::weighted(0.95, range);
    let event = (
        some(0..5),
        some(0..5),
        some(10..14),
        some(10..13),
        proptest::option::weighted(0.95, 0_usize..3),
        proptest::option::weighted(0.95, -10_i64..120),
    );
    let step = (event, 0_u64..4, 0_u64..6, 0_u64..12);
    let label = (0_u64..50, any::<bool>(), 0_u64..20);
    proptest::collection::vec((step, proptest::option::of(label)), 1..60).prop_map(|steps| {
        let mut time = 1_000_000;
        let mut calls = Vec::new();
        for (number, ((event, ahead, back, odd), label)) in steps.into_iter().enumerate() {
            time += if odd == 0 { 15 } else { ahead };
            let secs = if odd < 4 { time - back } else { time };
            let (account, other, device, ip, kind, cents) = event;
            // Round sums, so that money is often passed on whole.
            let cents = cents.map(|cents| if cents > 40 { 100 } else { cents });
            let past = Past { at: 0, id: number as u64, account, other, device, ip, kind, cents };
            calls.push(Call::Event { secs, past });
            if let Some((id, is_fraud, delay)) = label {
                calls.push(Call::Label { id: id % (number as u64 + 2), is_fraud, arrival: time - 5 + delay });
            }
        }
        calls
    })
}

fn values(past: &Past) -> [Value; 6] {
    let entity = |entity: Option<u64>| entity.map_or(Value::Missing, Value::Entity);
    [
        entity(past.account),
        entity(past.other),
        entity(past.device),
        entity(past.ip),
        past.kind.map_or(Value::Missing, |kind| Value::Category(category(KINDS[kind]))),
        past.cents.map_or(Value::Missing, Value::Money),
    ]
}

fn run(calls: &[Call], limits: Limits) -> (Vec<Vec<f64>>, Engine) {
    let mut engine = Engine::new(Arc::new(Pack::parse(PACK).unwrap()), limits);
    let mut rows = Vec::new();
    for (position, call) in calls.iter().enumerate() {
        match call {
            Call::Event { secs, past } => {
                let mut row = vec![0.0; engine.pack().columns().len()];
                let (at, values) = (UnixNanos::from_secs(*secs), values(past));
                let record = Record { position: position as u64, at, id: past.id, values: &values };
                let stepped = engine.step(&record, &mut row).unwrap();
                assert_ne!(stepped, Stepped::Duplicate);
                rows.push(row);
            }
            Call::Label { id, is_fraud, arrival } => {
                let arrival = UnixNanos::from_secs(*arrival);
                let _labelled = engine.label(&Label { id: *id, is_fraud: *is_fraud, arrival }).unwrap();
            }
        }
    }
    (rows, engine)
}

fn bits(row: &[f64]) -> Vec<u64> {
    row.iter().map(|value| if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// A preview is the row to come, and nothing shows that it was asked for.
    #[test]
    fn a_preview_is_the_row_to_come_and_changes_nothing(calls in log(), entities_max in 1_usize..9) {
        let limits = Limits { entities_max, ..Limits::default() };
        let (rows, plain) = run(&calls, limits);
        let mut engine = Engine::new(Arc::new(Pack::parse(PACK).unwrap()), limits);
        let mut rows = rows.into_iter();
        for (position, call) in calls.iter().enumerate() {
            match call {
                Call::Event { secs, past } => {
                    let mut row = vec![0.0; engine.pack().columns().len()];
                    let (at, values) = (UnixNanos::from_secs(*secs), values(past));
                    let record = Record { position: position as u64, at, id: past.id, values: &values };
                    let before = engine.digest();
                    let previewed = engine.preview(&record, &mut row).unwrap();
                    prop_assert_eq!(engine.digest(), before);
                    let want = rows.next().unwrap();
                    if engine.usage().labels_waiting == 0 {
                        prop_assert_eq!(bits(&row), bits(&want));
                    }
                    prop_assert_eq!(engine.step(&record, &mut row).unwrap(), previewed);
                    prop_assert_eq!(bits(&row), bits(&want));
                }
                Call::Label { id, is_fraud, arrival } => {
                    let arrival = UnixNanos::from_secs(*arrival);
                    let _labelled = engine.label(&Label { id: *id, is_fraud: *is_fraud, arrival }).unwrap();
                }
            }
        }
        prop_assert_eq!(engine.digest(), plain.digest());
    }

    #[test]
    fn every_fact_is_as_defined(calls in log()) {
        let (rows, engine) = run(&calls, Limits::default());
        let mut oracle = Oracle::default();
        let mut rows = rows.into_iter();
        for call in &calls {
            match call {
                Call::Label { id, is_fraud, arrival } => oracle.label(*id, *is_fraud, *arrival),
                Call::Event { secs, past } => {
                    let row = rows.next().unwrap();
                    if oracle.watermark.is_some_and(|watermark| secs + LATENESS < watermark) {
                        continue;
                    }
                    oracle.watermark = oracle.watermark.max(Some(*secs));
                    let want = oracle.step(Past { at: oracle.watermark.unwrap(), ..past.clone() });
                    for ((got, want), column) in row.iter().zip(want).zip(engine.pack().columns()) {
                        prop_assert_eq!(bits(&[*got]), bits(&[want]), "{}: {} is not {}", &column.name, got, want);
                    }
                }
            }
        }
        prop_assert_eq!(run(&calls, Limits::default()).1.digest(), engine.digest());
    }

    /// What has not arrived cannot be seen.
    #[test]
    fn labels_of_the_future_change_no_fact(calls in log(), cut_off in 1_000_000_u64..1_000_100) {
        let changed: Vec<Call> = calls.iter().map(|call| match call {
            Call::Label { id, is_fraud, arrival } if *arrival > cut_off =>
                Call::Label { id: (id * 7 + 3) % 60, is_fraud: !is_fraud, arrival: arrival + id % 3 },
            call => call.clone(),
        }).collect();
        let (rows, _) = run(&calls, Limits::default());
        let (others, _) = run(&changed, Limits::default());
        let times = calls.iter().filter_map(|call| match call {
            Call::Event { secs, .. } => Some(*secs),
            Call::Label { .. } => None,
        });
        let mut watermark = 0;
        for ((secs, row), other) in times.zip(rows).zip(others) {
            watermark = watermark.max(secs);
            if watermark <= cut_off {
                prop_assert_eq!(bits(&row), bits(&other));
            }
        }
    }

    /// With few places nothing breaks, what was forgotten is counted, and the same calls give the same state.
    #[test]
    fn tight_limits_hold(calls in log(), entities_max in 1_usize..4) {
        let limits = Limits { entities_max, ..Limits::default() };
        let (_, engine) = run(&calls, limits);
        // Accounts, things, nodes of money.
        prop_assert!(engine.usage().entities <= entities_max * 3);
        prop_assert_eq!(run(&calls, limits).1.digest(), engine.digest());
    }
}

#[test]
fn the_digest_holds_the_graphs() {
    let past = |id, account, device, cents| Past {
        at: 0,
        id,
        account: Some(account),
        other: Some(7),
        device: Some(device),
        ip: None,
        kind: Some(2),
        cents: Some(cents),
    };
    let digest = |past: Past| run(&[Call::Event { secs: 1_000_000, past }], Limits::default()).1.digest();
    let same = digest(past(1, 1, 10, 100));
    assert_eq!(digest(past(1, 1, 10, 100)), same);
    for other in [past(1, 2, 10, 100), past(1, 1, 11, 100), past(1, 1, 10, 101)] {
        assert_ne!(digest(other), same);
    }
}

#[test]
fn a_pack_with_a_wrong_graph_is_refused() {
    let refused = |from: &str, to: &str| {
        assert!(PACK.contains(from), "{from}");
        Pack::parse(&PACK.replacen(from, to, 1)).unwrap_err().to_string()
    };
    for (from, to, want) in [
        (
            "kind = \"sharing\"",
            "kind = \"shared\"",
            "line 31, graph \"people\": kind: there is no kind of graph \"shared\"",
        ),
        ("things = [\"device\", \"ip\"]", "things = []", "1 to 16 things"),
        (
            "things = [\"device\", \"ip\"]",
            "things = [\"device\", \"device\"]",
            "each thing is a field of its own",
        ),
        ("things = [\"device\", \"ip\"]", "things = [\"device\", \"amount\"]", "amount"),
        ("marks = [\"account\", \"device\"]", "marks = [\"other\"]", "marks are fields of the graph"),
        ("links_max = 3", "links_max = 0", "1 to 1024"),
        ("links_max = 3", "link_max = 3", "link_max"),
        ("hops_max = 3", "hops_max = 17", "1 to 16"),
        ("graph = \"people\"", "graph = \"peopel\"", "did you mean \"people\"?"),
        ("graph = \"people\"", "graph = \"money\"", "this kind reads a sharing graph"),
        ("marks = \"account\"\ntransfers", "transfers", "needs a graph with marks"),
        ("of = \"account\"", "of = \"device\"", "of names a field"),
        ("name = \"money\"\nkind", "name = \"people\"\nkind", "people"),
        ("to = \"other\"", "to = \"account\"", "from one field to another"),
        ("value = \"amount\"", "value = \"device\"", "device"),
    ] {
        let got = refused(from, to);
        assert!(got.contains(want), "{from} -> {to}: {got}");
    }
}

#[test]
fn events_without_a_field_have_no_graph_that_needs_it() {
    let pack = Pack::parse_for(PACK, &["account", "device", "kind", "ip"]).unwrap();
    let left: Vec<&str> = pack.columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(left, ["component", "shared_accounts", "shared_frauds", "shared_things", "hops"]);
    assert_eq!(pack.omitted().len(), 9);
    assert_ne!(pack.hash(), Pack::parse(PACK).unwrap().hash());
}
