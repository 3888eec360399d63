//! The exchange bundle on stories of the simulated exchange.
//!
//! `exchange-pack [--accounts N] [--days D] [--begin-day D] [--from-day D] [--rules FILE] [--dump FILE] SEED...` prints, over all seeds
//! together, which frauds were found and whom the rules troubled, from a day on: by default once habits were learned; 0 shows
//! a cold start. `--begin-day`: nothing before that day was reported but known devices and address books. `--dump` writes the features of every judged movement of money as CSV.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use benches::{
    exchange_pack::{Figures, bundle, run},
    process_cpu,
};
use domain::UnixNanos;
use exchange::scenarios::{Plan, QUIET_DAYS, Story, Typology};

fn main() -> Result<()> {
    let (mut accounts, mut days, mut dump, mut seeds) = (2_000, 60, None, Vec::new());
    let mut from_day = QUIET_DAYS;
    let mut begin_day = 0;
    let mut rules = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--accounts" => accounts = value()?.parse()?,
            "--days" => days = value()?.parse()?,
            "--begin-day" => begin_day = value()?.parse()?,
            "--from-day" => from_day = value()?.parse()?,
            "--dump" => dump = Some(BufWriter::new(File::create(value()?)?)),
            "--rules" => rules = Some(std::fs::read_to_string(value()?)?),
            seed => seeds.push(seed.parse().with_context(|| format!("not a seed: {seed}"))?),
        }
    }
    ensure!(!seeds.is_empty(), "at least one seed");
    let bundle = bundle(rules.as_deref())?;
    let start = UnixNanos::from_secs(1_767_225_600);
    let day = |day: u32| start.plus(Duration::from_secs(u64::from(day) * 86_400));
    let (begin, quiet_until) = (day(begin_day), day(from_day));
    let mut figures = Figures::default();
    let (mut records, mut took) = (0, Duration::ZERO);
    for seed in seeds {
        let story = Story::tell(&Plan { seed, accounts, days, start });
        if let Some(out) = &mut dump {
            let names: Vec<&str> =
                bundle.pack().columns().iter().map(|column| column.name.as_str()).collect();
            writeln!(out, "seed,item,kind,account,case,typology,day,{}", names.join(","))?;
            run(&bundle, &story, |judged| {
                let case = story.items.get(judged.item).and_then(|item| item.case);
                let typology =
                    case.and_then(|case| story.cases.get(case)).map_or("", |case| case.typology.as_str());
                let day = (judged.at.0 - start.0) / 86_400_000_000_000;
                let row: Vec<String> = judged.row.iter().map(f64::to_string).collect();
                let case = case.map_or(-1, |case| i64::try_from(case).unwrap_or(-1));
                let _written = writeln!(
                    out,
                    "{seed},{},{},{},{case},{typology},{day},{}",
                    judged.item,
                    judged.kind,
                    judged.account,
                    row.join(",")
                );
            })?;
            continue;
        }
        let before = process_cpu();
        figures.add_from(&bundle, &story, begin, quiet_until)?;
        took += process_cpu() - before;
        records += story.items.len();
    }
    println!("{records} events and requests, {:.1} µs each (CPU)", took.as_secs_f64() * 1e6 / records as f64);
    let percent = |part: f64, whole: f64| if whole == 0.0 { f64::NAN } else { 100.0 * part / whole };
    let share = |part: usize, whole: usize| percent(part as f64, whole as f64);
    for (typology, found) in Typology::ALL.iter().zip(&figures.found) {
        println!(
            "{:<18} found {:>4} of {:>4} ({:>5.1} %)  value {:>5.1} %",
            typology.as_str(),
            found.found,
            found.cases,
            share(found.found, found.cases),
            percent(found.saved, found.value),
        );
    }
    println!(
        "honest movements   {:>6}: questioned {} ({:.3} %), blocked {} ({:.3} %)",
        figures.honest,
        figures.troubled,
        share(figures.troubled, figures.honest),
        figures.blocked,
        share(figures.blocked, figures.honest),
    );
    println!(
        "honest customers   {:>6}: questioned {} ({:.2} %), blocked {} ({:.2} %)",
        figures.customers,
        figures.customers_troubled,
        share(figures.customers_troubled, figures.customers),
        figures.customers_blocked,
        share(figures.customers_blocked, figures.customers),
    );
    println!(
        "with only a VPN or a shared device against them: {} withdrawals, {} blocked",
        figures.weak.0, figures.weak.1
    );
    for (rule, honest, fraud) in &figures.rules {
        println!("  {rule:<34} fraud {fraud:>5}  honest {honest:>4}");
    }
    Ok(())
}
