//! `caponier fraud drift`: how far a recording has moved since its first events.

use std::path::Path;

use fraud::{
    lifecycle::drift::{Measure, Monitor, Settings, Shift},
    replay::{Judges, replay as run},
};
use scoring::model::file::{FILE_BYTES_MAX, ModelFile};
use serde_json::{Value, json};

use super::{DeadLetters, bytes, mapping, pack, pack_json};
use crate::{
    cli::fraud::Drift,
    commands::watch::open,
    core::chain as causes,
    exit::{Exit, Failure},
    output,
};

pub(super) fn drift(options: &Drift, json: bool) -> Result<Exit, Failure> {
    let none = || Failure::new(Exit::Internal, "no recording is named");
    let events = options.events.as_ref().ok_or_else(none)?;
    let mapping = mapping(&events.mapping)?;
    let (pack, _) = pack(&events.pack, &mapping)?;
    let bad = |path: &Path, error: &dyn std::error::Error| {
        Failure::new(Exit::Input, format!("{}: {}", path.display(), causes(error)))
    };
    let model = match &options.model {
        Some(path) => {
            let bytes = bytes(path, FILE_BYTES_MAX)?;
            Some(ModelFile::decode(&bytes).map_err(|error| bad(path, &error))?)
        }
        None => None,
    };
    let settings = Settings { window: options.window, psi: options.psi, ..Settings::default() };
    let mut monitor = Monitor::new(pack.columns().len(), settings)
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let mut judges = Judges { model, rules: None, reasons_from: 2.0 };
    let mut dead = DeadLetters::create(events.dead_letter.as_deref())?;
    let file = &events.events;
    let (mut shifts, mut told) = (Vec::new(), Vec::new());
    let names: Vec<&str> = pack.columns().iter().map(|column| column.name.as_str()).collect();
    let summary = run(
        open(file)?,
        &mapping,
        &pack,
        &mut judges,
        &mut |judgement| {
            if judgement.stepped == features::Stepped::Taken {
                monitor.record(judgement.features, judgement.score, &mut shifts);
                told.extend(shifts.drain(..).map(|shift| (judgement.time, shift)));
            }
            Ok(())
        },
        &mut |letter| dead.take(letter),
    )
    .map_err(|error| bad(file, &error))?;
    dead.finish().map_err(|error| Failure::io("dead letters", error))?;
    let latest: Vec<Value> = monitor
        .latest()
        .iter()
        .map(|distance| {
            json!({ "subject": distance.subject.name(&names), "psi": distance.psi, "ks": distance.ks })
        })
        .collect();
    let value = json!({
        "ok": true,
        "events": { "file": file, "read": summary.events, "dead_letters": summary.dead },
        "pack": pack_json(&pack), "judged": monitor.records(), "window": options.window,
        "has_reference": monitor.has_reference(),
        "shifts": told.iter().map(|(at, shift)| shift_json(at, shift, &names)).collect::<Vec<_>>(),
        "last_window": latest,
    });
    if json {
        output::line(&value);
    } else {
        text(&value);
    }
    Ok(Exit::Ok)
}

fn shift_json(at: &domain::UnixNanos, shift: &Shift, names: &[&str]) -> Value {
    let mut value = json!({
        "at": at.to_string(), "records": shift.records, "subject": shift.subject.name(names),
    });
    let share = |millionths: i64| millionths as f64 / 1e6;
    match shift.measure {
        Measure::Adwin { before, after } => {
            value["measure"] = json!("adwin");
            value["before"] = json!(share(before));
            value["after"] = json!(share(after));
        }
        Measure::Psi { psi, ks } => {
            value["measure"] = json!("psi");
            value["psi"] = json!(share(psi));
            value["ks"] = json!(share(ks));
        }
    }
    value
}

fn text(value: &Value) {
    let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
    output::line(format!("events    {} judged, windows of {}", value["judged"], value["window"]));
    if value["has_reference"] == false {
        output::line("no whole window: nothing to compare with");
    }
    for shift in list("shifts") {
        let word = |name: &str| shift[name].as_str().unwrap_or_default().to_owned();
        output::line(if shift["measure"] == "psi" {
            format!("shift     {}  {}: psi {}, ks {}", word("at"), word("subject"), shift["psi"], shift["ks"])
        } else {
            format!(
                "shift     {}  {}: mean {} before, {} after",
                word("at"),
                word("subject"),
                shift["before"],
                shift["after"]
            )
        });
    }
    let mut last = list("last_window");
    last.sort_by(|a, b| b["psi"].as_f64().unwrap_or(0.0).total_cmp(&a["psi"].as_f64().unwrap_or(0.0)));
    for distance in last.iter().take(20) {
        let ks = distance["ks"].as_f64().map_or_else(|| "-".to_owned(), |ks| format!("{ks:.4}"));
        output::line(format!(
            "now       {:<40} psi {:.4}  ks {ks}",
            distance["subject"].as_str().unwrap_or_default(),
            distance["psi"].as_f64().unwrap_or_default()
        ));
    }
}
