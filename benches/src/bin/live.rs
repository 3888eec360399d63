//! A bundle at work, from entries of the journal to scores, rules and alerts: events per second of CPU time, and how long
//! a question about a withdrawal takes.
//!
//! `live [N_EVENTS] [N_ACCOUNTS]`. The pack has windows over accounts, devices, networks and destinations, the model 150
//! trees of depth 4 over it (then 500 of depth 8), the rules are 100 conditions of five clauses. Every
//! record is judged, and every question answered with reasons.
//! Budget: 50,000 events/s per core; a question 150 µs p99, reasons included.
//!
//! The journal is not in it: see `journal`.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::{collections::BTreeMap, fmt::Write as _, hint::black_box, sync::Arc, time::Instant};

use anyhow::{Context as _, Result};
use benches::{mix, thread_cpu};
use domain::{
    AccountId, Amount, Asset, Channel, Decision, Destination, DeviceId, Event, EventContext, EventId,
    EventKind, Network, UnixNanos, Verdict, WithdrawalRequest,
};
use features::{Limits, Pack};
use fraud::live::{Bundle, Live, record::Entry};
use scoring::{
    gbdt::{Params, train},
    matrix::{FeatureNames, Matrix},
    model::{
        card::{ModelCard, Training},
        file::ModelFile,
    },
};

const START_SECS: u64 = 1_800_000_000;

fn pack() -> Result<String> {
    let mut text = "[pack]\nname = \"bench\"\nversion = 1\n".to_owned();
    let fields = [
        ("kind", "category"),
        ("account", "entity"),
        ("device", "entity"),
        ("ip_network", "entity"),
        ("destination", "entity"),
        ("amount", "money"),
        ("success", "bool"),
    ];
    for (name, ty) in fields {
        writeln!(text, "[[field]]\nname = \"{name}\"\ntype = \"{ty}\"")?;
    }
    let windows = "[\"10m\", \"1h\", \"1d\", \"7d\"]";
    for key in ["account", "device", "ip_network", "destination"] {
        writeln!(
            text,
            "[[feature]]\nname = \"{key}_count\"\nkind = \"count\"\nkey = \"{key}\"\nwindows = {windows}"
        )?;
        for kind in ["sum", "mean"] {
            writeln!(
                text,
                "[[feature]]\nname = \"{key}_{kind}\"\nkind = \"{kind}\"\nkey = \"{key}\"\nvalue = \"amount\"\nwindows = {windows}"
            )?;
        }
        writeln!(text, "[[feature]]\nname = \"{key}_age\"\nkind = \"age\"\nkey = \"{key}\"")?;
        writeln!(
            text,
            "[[feature]]\nname = \"{key}_failed\"\nkind = \"count\"\nkey = \"{key}\"\nwindows = {windows}\nfilter = {{ field = \"success\", equals = false }}"
        )?;
        writeln!(
            text,
            "[[feature]]\nname = \"{key}_frauds\"\nkind = \"frauds\"\nkey = \"{key}\"\nwindow = \"7d\""
        )?;
    }
    writeln!(text, "[[feature]]\nname = \"z\"\nkind = \"z_score\"\nkey = \"account\"\nvalue = \"amount\"")?;
    Ok(text)
}

fn rules() -> Result<String> {
    let mut text = "[pack]\nname = \"bench\"\nversion = \"1\"\n".to_owned();
    for n in 0..100 {
        writeln!(
            text,
            "[[rule]]\nid = \"r{n}\"\ntitle = \"t\"\nowner = \"o\"\naction = \"challenge\"\nmode = \"enforce\"\nreason = \"{{account_count_1h}} events\"\n\
             when = \"account_count_1h > {}.0 && device_count_1d >= 3.0 && (destination_age < 60.0 || model_score > 0.9) && account_failed_1h > 2.0 && z > 3.0\"",
            20 + n
        )?;
    }
    Ok(text)
}

fn model(pack: &Pack, trees: u32, depth: u8) -> Result<Vec<u8>> {
    let names = FeatureNames::new(pack.columns().iter().map(|column| column.name.clone()))?;
    let n_features = pack.columns().len();
    let mut rows = Matrix::new(names);
    let mut labels = Vec::new();
    for n in 0..20_000_u64 {
        #[allow(clippy::cast_possible_truncation, reason = "a few hundred fit")]
        let row: Vec<f32> = (0..n_features).map(|f| (mix(n * 131 + f as u64) % 200) as f32).collect();
        let sum: f32 = row.iter().step_by(3).sum();
        labels.push(sum > 105.0 * n_features as f32 / 3.0);
        rows.push(&row)?;
    }
    let params = Params { trees, depth, ..Params::default() };
    let positives = labels.iter().filter(|label| **label).count() as u64;
    let model = train(&rows, &labels, None, None, &params)?;
    let training = Training { rows: 20_000, positives, period: None, data_hash: [0; 32] };
    let card = ModelCard {
        name: "bench".into(),
        version: "1".into(),
        created_by: String::new(),
        created_at: UnixNanos(0),
        training,
        params: Vec::new(),
        metrics: Vec::new(),
        limits: String::new(),
    };
    Ok(ModelFile { model, calibration: None, card }.encode()?)
}

const MANIFEST: &str = r#"
[bundle]
name = "bench"
version = "1"
pack = "pack.toml"
rules = "rules.toml"
model = "model.bin"
judge = ["login", "order_filled", "deposit", "address_added", "withdrawal_requested", "withdrawal_decided"]

[thresholds]
challenge_from = 0.0
hold_from = 0.9
alert_from = 0.999999
"#;

enum Happened {
    Event(Box<Event>),
    Decision(Box<Decision>),
}

fn happened(number: u64, n_accounts: u64) -> Result<Happened> {
    let random = mix(number);
    let account = AccountId::parse(&format!("u-{}", random % n_accounts))?;
    let device = Some(DeviceId::parse(&format!("d-{}", random % n_accounts * 3 / 2))?);
    let [first, second, third, ..] = mix(random ^ 1).to_be_bytes();
    let ip = std::net::IpAddr::from([10, first % 64, second, third]);
    let at = UnixNanos(START_SECS * 1_000_000_000 + number * 20_000_000);
    let amount = Amount::from_parts(i128::from(mix(random) % 1_000_000), 2)?;
    let asset = Asset::parse("USDT")?;
    let address = format!("T{}", mix(random) % (n_accounts * 2));
    let kind = match (random >> 44) % 10 {
        0..3 => EventKind::Login { success: !random.is_multiple_of(7), second_factor: true },
        3..7 => EventKind::OrderFilled { instrument: "BTC-USDT".into(), quantity: amount, price: amount },
        7 => EventKind::Deposit { asset, amount, network: Network::Tron, from: Some(address) },
        8 => EventKind::AddressAdded { network: Network::Tron, address },
        _ => {
            let request = request(account, device, ip, amount, address, at)?;
            return Ok(Happened::Decision(Box::new(Decision {
                request,
                verdict: Verdict::Allow,
                findings: Vec::new(),
                decided_at: at,
                idempotency_key: None,
            })));
        }
    };
    let id = EventId::parse(&format!("e-{number}"))?;
    let context = EventContext::default();
    Ok(Happened::Event(Box::new(Event { id, account, occurred_at: at, device, ip: Some(ip), context, kind })))
}

fn request(
    account: AccountId,
    device: Option<DeviceId>,
    ip: std::net::IpAddr,
    amount: Amount,
    address: String,
    at: UnixNanos,
) -> Result<WithdrawalRequest> {
    Ok(WithdrawalRequest {
        account,
        channel: Channel::Exchange,
        asset: Asset::parse("USDT")?,
        amount,
        fee: None,
        destination: Destination::OnChain { network: Network::Tron, address, tag: None },
        client_id: None,
        ip,
        device,
        client_ja4: None,
        requested_at: at,
    })
}

fn run(n_events: u64, n_accounts: u64, trees: u32, depth: u8) -> Result<()> {
    let pack = pack()?;
    let parsed = Pack::parse(&pack)?;
    let columns = parsed.columns().len();
    let files = BTreeMap::from([
        ("bundle.toml", MANIFEST.as_bytes().to_vec()),
        ("pack.toml", pack.into_bytes()),
        ("rules.toml", rules()?.into_bytes()),
        ("model.bin", model(&parsed, trees, depth)?),
    ]);
    let bundle = Bundle::load(&mut |name, _| files.get(name).cloned().ok_or_else(|| "missing".to_owned()))?;
    let live = Live::new(Arc::new(bundle), Limits { events_max: 1 << 20, ..Limits::default() }, true)?;
    live.seed([7; 16]);
    live.activated(true, true);
    let half = n_events / 2;
    let mut cpu = 0.0;
    for first in (0..n_events).step_by(4_096) {
        // Made outside of what is timed: the journal's decoder makes them in service.
        let batch: Vec<Happened> =
            (first..n_events.min(first + 4_096)).map(|n| happened(n, n_accounts)).collect::<Result<_>>()?;
        let start = thread_cpu();
        for (seq, one) in (first..).zip(&batch) {
            match one {
                Happened::Event(event) => live.apply(seq, &Entry::Event(event)),
                Happened::Decision(decision) => live.apply(seq, &Entry::Decision(decision)),
            }
        }
        if first >= half {
            cpu += (thread_cpu() - start).as_secs_f64();
        }
    }
    let timed = (n_events - half) as f64;
    let counts = live.counts();
    println!(
        "{columns} features, {trees} trees of depth {depth}, 100 rules, {n_accounts} accounts, {n_events} events"
    );
    println!("events/s (CPU)      {:>12.0}  budget 50000", timed / cpu);
    println!("judged {} of {} records, {} alerts", counts.judged, counts.records, counts.alerts);

    let mut took = Vec::new();
    let (mut asked_cpu, mut reasons) = (0.0, 0_u64);
    for number in 0..20_000 {
        let number = n_events + number;
        let Happened::Decision(decision) = (0..)
            .map(|step| happened(number * 977 + step, n_accounts))
            .find_map(|one| one.ok().filter(|one| matches!(one, Happened::Decision(_))))
            .context("one in ten is a decision")?
        else {
            continue;
        };
        let mut request = decision.request;
        request.requested_at = UnixNanos(START_SECS * 1_000_000_000 + n_events * 20_000_000);
        let (start, cpu_start) = (Instant::now(), thread_cpu());
        let findings = black_box(live.examine(&request));
        took.push(start.elapsed());
        asked_cpu += (thread_cpu() - cpu_start).as_secs_f64();
        reasons += u64::from(findings.iter().any(|finding| finding.verdict > Verdict::Allow));
    }
    took.sort();
    let at = |share: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
        let place = (took.len() as f64 * share) as usize;
        took.get(place.min(took.len() - 1)).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    println!(
        "question µs         p50 {:.1}  p99 {:.1}  p99.9 {:.1}  CPU mean {:.1}  budget 150 at p99; {reasons} with reasons",
        at(0.5),
        at(0.99),
        at(0.999),
        asked_cpu * 1e6 / took.len() as f64
    );
    Ok(())
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: u64| match arguments.next() {
        Some(text) => text.parse().with_context(|| format!("not a number: {text}")),
        None => Ok(default),
    };
    let (n_events, n_accounts) = (argument(1_000_000)?, argument(100_000)?);
    run(n_events, n_accounts, 150, 4)?;
    run(n_events, n_accounts, 500, 8)
}
