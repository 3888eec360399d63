//! `caponier fraud thresholds`.

use std::path::Path;

use fraud::{
    evaluate::protocol::Day,
    lifecycle::thresholds::{Asked, Chosen},
    live::{
        MANIFEST,
        manifest::{ChosenBy, MANIFEST_BYTES_MAX, with_thresholds},
    },
};
use journal::disk::{self, RealDisk};
use scoring::{
    model::file::{FILE_BYTES_MAX, ModelFile},
    threshold::{Costs, Point},
};
use serde_json::{Value, json};

use super::{
    bytes, date, day, pack_json,
    past::{Past, Wanted},
    text,
};
use crate::{
    bundles,
    cli::{Place, fraud::Thresholds},
    core::chain as causes,
    exit::{Exit, Failure},
    output::{self, Bar},
};

/// Longest history judged, in days.
const TEST_DAYS_MAX: u32 = 3_660;

pub(super) fn thresholds(place: &Place, options: &Thresholds, json: bool) -> Result<Exit, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    let start = day(&options.test_start)
        .map_err(|_| usage(format!("--test-start: not a date: {:?}", options.test_start)))?;
    if !(1..=TEST_DAYS_MAX).contains(&options.test_days) {
        return Err(usage(format!("--test-days: 1 to {TEST_DAYS_MAX} are possible")));
    }
    let bundle = options.past.bundle.as_deref().map(bundles::read).transpose()?;
    let model = match (&options.model, &bundle) {
        (Some(path), _) => ModelFile::decode(&bytes(path, FILE_BYTES_MAX)?)
            .map_err(|error| Failure::new(Exit::Input, format!("{}: {}", path.display(), causes(&error))))?,
        (None, Some(bundle)) => match bundle.model() {
            Some((file, _)) => file.clone(),
            None => return Err(usage("--bundle: it has no model; say which with --model FILE".to_owned())),
        },
        (None, None) => return Err(usage("which model? --model FILE, or --bundle DIR".to_owned())),
    };
    let asked = Asked {
        days: start..Day(start.0.saturating_add(options.test_days)),
        costs: Costs {
            missed_bps: options.missed_bps,
            missed_minor: options.missed_minor,
            found_bps: options.found_bps,
            alert_minor: options.alert_minor,
            friction_minor: options.friction_minor,
        },
        alerts_per_day: options.alerts_per_day,
        friction_max: options.friction_max,
        hold_precision: options.hold_precision,
    };
    let mut bar = Bar::new(json);
    let past = Past::open(place, &options.past, Wanted::days(asked.days.clone()), &mut bar)?;
    bar.report("scoring", 1, 2);
    let chosen = past.choose(&model, &asked, options.delay_days)?;
    drop(bar);
    let mut value = told(&chosen, &asked);
    value["events"] = past.told();
    value["pack"] = pack_json(&past.pack);
    let pays = chosen.choice.point.threshold.is_finite();
    if options.write
        && pays
        && let Some(dir) = options.past.bundle.as_deref()
    {
        write(dir, &chosen, &asked)?;
        value["written"] = json!(dir.join(MANIFEST));
    }
    if json {
        output::line(&value);
    } else {
        print(&value);
    }
    Ok(if pays { Exit::Ok } else { Exit::No })
}

/// What goes into a manifest: a score that no event reaches is 1.
const fn hold_from(chosen: &Chosen) -> f64 {
    match chosen.hold_from {
        Some(from) => from,
        None => 1.0,
    }
}

/// Puts the thresholds into a bundle, all or nothing. It is another bundle then, and begins in shadow.
fn write(dir: &Path, chosen: &Chosen, asked: &Asked) -> Result<(), Failure> {
    let path = dir.join(MANIFEST);
    let by = ChosenBy { costs: asked.costs, limits: chosen.limits };
    let question_from = chosen.choice.point.threshold;
    let edited = with_thresholds(&text(&path, MANIFEST_BYTES_MAX)?, (question_from, hold_from(chosen)), by)
        .map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", path.display())))?;
    let failed = |error: std::io::Error| Failure::io(path.display(), error);
    let disk = RealDisk::new(dir).map_err(failed)?;
    disk::replace(&disk, MANIFEST, edited.as_bytes()).map_err(failed)
}

fn point_json(point: &Point, chosen: &Chosen, days: f64) -> Value {
    let share = |part: u64, whole: u64| if whole == 0 { None } else { Some(part as f64 / whole as f64) };
    let good = chosen.rows - chosen.frauds;
    json!({
        "threshold": point.threshold.is_finite().then_some(point.threshold),
        "alerts": point.alerts(), "alerts_per_day": point.alerts() as f64 / days,
        "precision": share(point.true_positives, point.alerts()),
        "recall": share(point.true_positives, chosen.frauds),
        "good_questioned": share(point.false_positives, good),
        "value_found": (chosen.fraud_minor > 0)
            .then(|| point.found_minor as f64 / chosen.fraud_minor as f64),
        // Exact, whatever the size.
        "expected_loss_minor": point.cost_minor.to_string(),
        "is_chosen": point.threshold.to_bits() == chosen.choice.point.threshold.to_bits(),
        "is_cheapest": point.threshold.to_bits() == chosen.choice.unlimited.threshold.to_bits(),
    })
}

fn told(chosen: &Chosen, asked: &Asked) -> Value {
    let days = f64::from(asked.days.end.0 - asked.days.start.0);
    let point = |point: &Point| point_json(point, chosen, days);
    let choice = &chosen.choice;
    let mut bound = Vec::new();
    if choice.is_bound_by_capacity {
        bound.push("alerts_per_day");
    }
    if choice.is_bound_by_friction {
        bound.push("friction_max");
    }
    let Costs { missed_bps, missed_minor, found_bps, alert_minor, friction_minor } = asked.costs;
    json!({
        "ok": true,
        "days": [date(asked.days.start), date(Day(asked.days.end.0 - 1))],
        "judged": chosen.rows, "frauds": chosen.frauds, "fraud_minor": chosen.fraud_minor.to_string(),
        "frauds_without_amount": chosen.unvalued,
        "costs": {
            "missed_bps": missed_bps, "missed_minor": missed_minor, "found_bps": found_bps,
            "alert_minor": alert_minor, "friction_minor": friction_minor,
        },
        "limits": {
            "alerts_per_day": asked.alerts_per_day, "friction_max": asked.friction_max,
            "hold_precision": asked.hold_precision,
        },
        "chosen": point(&choice.point), "cheapest": point(&choice.unlimited),
        "bound_by": bound, "limits_cost_minor": choice.limits_cost_minor.to_string(),
        "thresholds": {
            "challenge_from": choice.point.threshold.is_finite().then_some(choice.point.threshold),
            "alert_from": choice.point.threshold.is_finite().then_some(choice.point.threshold),
            "hold_from": hold_from(chosen),
        },
        "table": chosen.points.iter().map(point).collect::<Vec<_>>(),
    })
}

fn print(value: &Value) {
    let number = |value: &Value, decimals: usize| {
        value.as_f64().map_or_else(|| "-".to_owned(), |number| format!("{number:.decimals$}"))
    };
    output::line(format!(
        "days      {} to {}: {} events judged, {} of them frauds worth {}",
        value["days"][0].as_str().unwrap_or_default(),
        value["days"][1].as_str().unwrap_or_default(),
        value["judged"],
        value["frauds"],
        units(&value["fraud_minor"]),
    ));
    if value["frauds_without_amount"] != 0 {
        output::line(format!(
            "note      {} frauds without an amount cost only what --missed-minor says",
            value["frauds_without_amount"]
        ));
    }
    output::line(format!(
        "\n{:>10} {:>9} {:>10} {:>9} {:>9} {:>12} {:>11} {:>16}",
        "threshold", "alerts", "a day", "precision", "recall", "good asked", "value", "expected loss"
    ));
    for point in value["table"].as_array().into_iter().flatten() {
        let mark = match (point["is_chosen"] == true, point["is_cheapest"] == true) {
            (true, _) => "  <- chosen",
            (false, true) => "  <- cheapest without limits",
            _ => "",
        };
        let threshold = number(&point["threshold"], 6);
        output::line(format!(
            "{:>10} {:>9} {:>10} {:>9} {:>9} {:>12} {:>11} {:>16}{mark}",
            if threshold == "-" { "none" } else { &threshold },
            point["alerts"],
            number(&point["alerts_per_day"], 1),
            number(&point["precision"], 4),
            number(&point["recall"], 4),
            number(&point["good_questioned"], 6),
            number(&point["value_found"], 4),
            units(&point["expected_loss_minor"]),
        ));
    }
    let bound: Vec<&str> =
        value["bound_by"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    output::line(match bound.as_slice() {
        [] => "\nlimits    none binds".to_owned(),
        names => format!(
            "\nlimits    {} binds and costs {}",
            names.join(" and "),
            units(&value["limits_cost_minor"])
        ),
    });
    if value["chosen"]["threshold"].is_null() {
        output::line("chosen    no threshold pays within the limits: nothing to write");
        return;
    }
    output::line("\n[thresholds]");
    for key in ["challenge_from", "hold_from", "alert_from"] {
        output::line(format!("{key} = {:?}", value["thresholds"][key].as_f64().unwrap_or(1.0)));
    }
    output::line(match value["written"].as_str() {
        Some(path) => format!("\nwritten   {path}: the bundle begins in shadow"),
        None => "\n          --bundle DIR --write puts them into bundle.toml".to_owned(),
    });
}

/// Hundredths as units: `12.34`.
fn units(minor: &Value) -> String {
    let minor: u128 = minor.as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
    format!("{}.{:02}", minor / 100, minor % 100)
}
