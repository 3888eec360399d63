//! `caponier fraud replay`.

use std::{io::Write as _, path::Path};

use features::Stepped;
use fraud::replay::{Judgement, Judges, ReplayError, Rulebook, Summary, replay as run};
use scoring::model::file::{FILE_BYTES_MAX, ModelFile};
use serde_json::{Map, Value, json};

use super::{DeadLetters, bytes, create, mapping, pack, pack_json, text};
use crate::{
    cli::fraud::Replay,
    commands::watch::{Lap, Stopwatch, open},
    core::chain as causes,
    exit::{Exit, Failure},
    output,
};

/// Longest document of rules, in bytes; the rule engine has bounds of its own.
const RULES_BYTES_MAX: usize = 4 << 20;

pub(super) fn replay(options: &Replay, json: bool) -> Result<Exit, Failure> {
    let clock = Stopwatch::start();
    let mapping = mapping(&options.events.mapping)?;
    let (pack, _) = pack(&options.events.pack, &mapping)?;
    let bad = |path: &Path, what: &dyn std::fmt::Display| {
        Failure::new(Exit::Input, format!("{}: {what}", path.display()))
    };
    let model = match &options.model {
        Some(path) => {
            let file = ModelFile::decode(&bytes(path, FILE_BYTES_MAX)?);
            Some(file.map_err(|error| bad(path, &causes(&error)))?)
        }
        None => None,
    };
    let rules = match &options.rules {
        Some(path) => {
            let text = text(path, RULES_BYTES_MAX)?;
            Some(Rulebook::load(&text, &mapping, &pack).map_err(|error| bad(path, &error))?)
        }
        None => None,
    };
    let mut judges = Judges { model, rules, reasons_from: options.reasons_from };
    let mut dead = DeadLetters::create(options.events.dead_letter.as_deref())?;
    let mut out = options.out.as_deref().map(create).transpose()?;
    let file = &options.events.events;
    let summary = run(
        open(file)?,
        &mapping,
        &pack,
        &mut judges,
        &mut |judgement| match &mut out {
            Some(out) => {
                let names = pack.columns().iter().map(|column| column.name.as_str());
                let features = options.features.then(|| features_json(names, judgement.features));
                writeln!(out, "{}", judgement_json(judgement, features))
            }
            None => Ok(()),
        },
        &mut |letter| dead.take(letter),
    )
    .map_err(|error| match error {
        ReplayError::Write(error) => Failure::io("judgements and dead letters", error),
        error => bad(file, &error),
    })?;
    dead.finish().map_err(|error| Failure::io("dead letters", error))?;
    if let Some(out) = &mut out {
        out.flush().map_err(|error| Failure::io("judgements", error))?;
    }
    let mut value = summary_json(&summary, clock.lap());
    value["events"]["file"] = json!(file);
    value["events"]["name"] = mapping.name.into();
    value["pack"] = pack_json(&pack);
    if json {
        output::line(&value);
    } else {
        print(&summary, &value);
    }
    Ok(Exit::Ok)
}

fn features_json<'a>(names: impl Iterator<Item = &'a str>, row: &[f64]) -> Value {
    // What is not known is null.
    names.zip(row).map(|(name, value)| (name.to_owned(), json!(value))).collect::<Map<_, _>>().into()
}

fn judgement_json(judgement: &Judgement<'_>, features: Option<Value>) -> Value {
    let stepped = match judgement.stepped {
        Stepped::Taken => "taken",
        Stepped::Late => "late",
        Stepped::Duplicate => "duplicate",
    };
    let mut value = json!({"id": judgement.id, "time": judgement.time.to_string(), "event": stepped});
    if let Some(score) = judgement.score {
        value["score"] = score.into();
    }
    if !judgement.reasons.is_empty() {
        let reason = |reason: &fraud::replay::Reason<'_>| {
            json!({
                "feature": reason.feature, "value": reason.value, "unit": reason.unit, "meaning": reason.doc,
                "added": reason.added,
            })
        };
        value["reasons"] = judgement.reasons.iter().map(reason).collect();
    }
    if !judgement.rules.is_empty() {
        let rule = |hit: &fraud::replay::RuleHit| {
            json!({
                "rule": hit.id, "action": hit.action, "enforced": hit.is_enforced, "reason": hit.reason,
                "would_pass_if": hit.would_pass_if,
            })
        };
        value["rules"] = judgement.rules.iter().map(rule).collect();
    }
    if let Some(features) = features {
        value["features"] = features;
    }
    value
}

fn summary_json(summary: &Summary, took: Lap) -> Value {
    let counts = &summary.counts;
    let rule =
        |(id, fires, frauds): &(String, u64, u64)| json!({"rule": id, "fired": fires, "frauds": frauds});
    json!({
        "ok": true,
        "events": {
            "read": summary.events, "taken": counts.taken, "late": counts.late, "duplicates": counts.duplicates,
            "dead_letters": summary.dead, "sha256": hex::encode(summary.input_sha256),
        },
        "labels": {
            "read": summary.labels.0, "frauds": summary.labels.1, "arrived": counts.labels,
            "waiting": summary.labels_waiting, "unmatched": counts.labels_unmatched,
        },
        "scores": {"events": summary.scored.0, "at_least_one_half": summary.scored.1},
        "rules": summary.rules.iter().map(rule).collect::<Vec<_>>(),
        "forgotten": {"entities": counts.evicted, "samples": counts.overflowed},
        "features_sha256": hex::encode(summary.features_sha256),
        "state_sha256": hex::encode(summary.state_sha256),
        "took": took.to_json(),
        "events_per_second": took.rates(summary.events),
    })
}

fn print(summary: &Summary, value: &Value) {
    let text = |pointer: &str| {
        value.pointer(pointer).map_or_else(String::new, |value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    let counts = &summary.counts;
    output::line(format!(
        "events    {} read: {} taken, {} late, {} duplicates; {} dead letters",
        summary.events, counts.taken, counts.late, counts.duplicates, summary.dead
    ));
    output::line(format!("          sha256 {}", text("/events/sha256")));
    if counts.late > counts.taken {
        output::line(
            "          most are late: either the file is not in order of time, or the clock of a row was far ahead; \
             time.until in the mapping keeps such rows out",
        );
    }
    output::line(format!(
        "pack      {} version {}, {} features, hash {}",
        text("/pack/name"),
        text("/pack/version"),
        text("/pack/features"),
        text("/pack/hash")
    ));
    output::line(format!(
        "labels    {} read, {} frauds; {} arrived, {} waiting, {} unmatched",
        summary.labels.0, summary.labels.1, counts.labels, summary.labels_waiting, counts.labels_unmatched
    ));
    if summary.scored.0 > 0 {
        output::line(format!(
            "scores    {} events, {} with a probability of at least one half",
            summary.scored.0, summary.scored.1
        ));
    }
    for (id, fires, frauds) in &summary.rules {
        output::line(format!("rule      {id}: fired {fires} times, {frauds} of them frauds"));
    }
    if counts.evicted + counts.overflowed > 0 {
        output::line(format!(
            "forgotten {} entities and {} samples made room: raise the limits to be exact",
            counts.evicted, counts.overflowed
        ));
    }
    output::line(format!("features  sha256 {}", text("/features_sha256")));
    output::line(format!("state     sha256 {}", text("/state_sha256")));
    output::line(format!(
        "took      {} s, {} s of processor time; {} events/s, {} per core",
        text("/took/seconds"),
        text("/took/cpu_seconds"),
        text("/events_per_second/wall"),
        text("/events_per_second/core")
    ));
}
