//! Calls of the control API about rules and models, answered as JSON.

use std::sync::Arc;

use api::{BoxFuture, RuleAsk, RulebookError};
use console::rules::{
    Checked, Compiled, JobLine, ModelFile, ModelLine, RuleLine, RuleSetView, VersionFile, VersionLine,
};
use domain::Actor;
use serde_json::{Value, json};

use super::{Rulebook, digest};

fn line(line: &VersionLine) -> Value {
    json!({
        "sha256": line.sha256, "rules": line.rules, "by": line.by, "at": line.at.to_string(), "note": line.note,
        "state": line.state, "tested": (!line.tested.is_empty()).then_some(&line.tested),
    })
}

fn job(job: &JobLine) -> Value {
    json!({
        "backtest": job.id, "version": job.sha256, "by": job.by, "days": job.days, "state": job.state,
        "percent": job.percent, "failure": (!job.says.is_empty()).then_some(&job.says),
    })
}

fn compiled(compiled: &Compiled) -> Value {
    let changes = &compiled.changes;
    let fixtures = compiled.fixtures.iter();
    let fixtures = fixtures.map(|(rule, name, fires)| json!({ "rule": rule, "name": name, "fires": fires }));
    let changed = changes.changed.iter().map(|[rule, field, before, after]| {
        json!({ "rule": rule, "field": field, "before": before, "after": after })
    });
    json!({
        "version": compiled.sha256, "rules": compiled.rules, "fixtures": fixtures.collect::<Vec<_>>(),
        "added": changes.added, "removed": changes.removed, "changed": changed.collect::<Vec<_>>(),
        "lists": changes.lists, "unrehearsed": changes.unrehearsed,
    })
}

fn checked(checked: &Checked) -> Value {
    match checked {
        Checked::Faulty(faults, more) => {
            let faults = faults.iter().map(|fault| {
                json!({
                    "line": fault.line, "column": fault.column, "rule": fault.rule, "message": fault.message,
                    "excerpt": fault.excerpt,
                })
            });
            json!({
                "compiles": false, "faults": faults.collect::<Vec<_>>(), "more": more, "compiled": null,
            })
        }
        Checked::Good(good) => {
            json!({ "compiles": true, "faults": [], "more": 0, "compiled": compiled(good) })
        }
    }
}

fn rule(rule: &RuleLine) -> Value {
    json!({
        "rule": rule.id, "title": rule.title, "owner": rule.owner, "action": rule.action, "mode": rule.mode,
        "when": rule.when, "reason": rule.reason, "fixtures": rule.fixtures, "hits_today": rule.today,
        "hits_7_days": rule.week, "known_fraud": rule.fraud, "known_good": rule.good,
        "good_accounts": rule.good_accounts,
    })
}

fn set(set: &RuleSetView) -> Value {
    json!({
        "place": set.place, "bundle": set.bundle, "rules": set.rules, "version": set.sha256,
        "has_effect": set.has_effect, "lines": set.lines.iter().map(rule).collect::<Vec<_>>(),
    })
}

fn model(model: &ModelLine) -> Value {
    json!({
        "digest": model.digest, "name": model.name, "pack": model.pack, "state": model.state,
        "judges": model.judges, "rows": model.learned.0, "frauds": model.learned.1,
        "average_precision": (!model.backtest.is_empty()).then_some(&model.backtest),
        "at": model.at.to_string(), "by": model.by,
    })
}

fn model_file(file: &ModelFile) -> Value {
    let card: serde_json::Map<String, Value> =
        file.card.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let importance = file.importance.iter().map(|(name, share)| json!({ "feature": name, "share": share }));
    let calibration = file
        .calibration
        .iter()
        .map(|(score, probability)| json!({ "score": score, "probability": probability }));
    let comparisons = file.comparisons.iter().map(|one| {
        let differences = one.differences.iter().map(|(measure, observed, low, high)| {
            json!({ "measure": measure, "observed_millionths": observed, "low_millionths": low, "high_millionths": high })
        });
        json!({
            "at": one.at.to_string(), "champion": one.champion, "challenger": one.challenger,
            "differences": differences.collect::<Vec<_>>(), "rows": one.rows.0, "frauds": one.rows.1,
        })
    });
    let found = file.found.as_ref().map(|(version, found)| {
        let figures: serde_json::Map<String, Value> =
            found.figures.iter().map(|(name, value)| (name.replace(' ', "_"), json!(value))).collect();
        json!({
            "version": version, "rows": found.rows, "frauds": found.frauds, "figures": figures,
            "curve": found.curve, "reliability": found.reliability,
        })
    });
    json!({
        "model": model(&file.line), "is_readable": file.is_readable, "card": card, "limits": file.limits,
        "importance": importance.collect::<Vec<_>>(), "calibration": calibration.collect::<Vec<_>>(),
        "comparisons": comparisons.collect::<Vec<_>>(), "found": found,
    })
}

impl Rulebook {
    fn version_json(&self, file: &VersionFile) -> Value {
        let mut value = line(&file.line);
        let found = digest(&file.line.sha256).and_then(|digest| self.report(&digest));
        value["compiled"] = compiled(&file.compiled);
        value["found"] = json!(found);
        value["backtest"] = file.job.as_ref().map_or(Value::Null, job);
        value["judged_in_shadow"] = json!(file.judged_in_shadow);
        value["may_return"] = json!(file.may_return);
        value
    }

    fn shown(&self, version: &str) -> Result<Value, RulebookError> {
        tokio::task::block_in_place(|| self.version(version)).map(|file| self.version_json(&file))
    }

    fn job_shown(&self, id: u64) -> Result<Value, RulebookError> {
        let none = || RulebookError::NotFound { why: "no backtest has this number".to_owned() };
        self.job(id).as_ref().map(job).ok_or_else(none)
    }

    async fn answer(&self, actor: Actor, ask: RuleAsk) -> Result<Value, RulebookError> {
        let block =
            |work: &mut dyn FnMut() -> Result<Value, RulebookError>| tokio::task::block_in_place(work);
        match ask {
            RuleAsk::Backtest { version, days } => {
                let id = tokio::task::block_in_place(|| self.start(&actor, &version, days))?;
                Ok(json!({ "backtest": id }))
            }
            RuleAsk::BacktestCancel(id) => {
                self.cancel(id)?;
                self.job_shown(id)
            }
            RuleAsk::BacktestShow(id) => self.job_shown(id),
            RuleAsk::Backtests => Ok(json!({ "backtests": self.jobs().iter().map(job).collect::<Vec<_>>() })),
            RuleAsk::Check(text) => block(&mut || self.check(&text).map(|found| checked(&found))),
            RuleAsk::Keep { text, note } => {
                block(&mut || self.keep(&actor, &text, &note).map(|version| json!({ "version": version })))
            }
            RuleAsk::Model(name) => block(&mut || self.model(&name).map(|file| model_file(&file))),
            RuleAsk::ModelTry(name) => {
                block(&mut || self.try_model(&actor, &name).map(|version| json!({ "version": version })))
            }
            RuleAsk::Models => {
                let page = tokio::task::block_in_place(|| self.models());
                let drift = page.drift.iter().map(|drift| {
                    let lines = drift.lines.iter();
                    let lines =
                        lines.map(|line| json!({ "subject": line.subject, "psi": line.psi, "ks": line.ks }));
                    json!({
                        "place": drift.place, "judged": drift.judged, "has_reference": drift.has_reference,
                        "last_window": lines.collect::<Vec<_>>(),
                    })
                });
                let shifts = page.shifts.iter().map(|(at, subject, words)| {
                    json!({ "at": at.to_string(), "subject": subject, "measured": words })
                });
                Ok(json!({
                    "models": page.models.iter().map(model).collect::<Vec<_>>(),
                    "drift": drift.collect::<Vec<_>>(), "shifts": shifts.collect::<Vec<_>>(),
                }))
            }
            RuleAsk::Publish { version, reason } => {
                let change = self.publish(&actor, &version, &reason).await?;
                Ok(json!({ "change": change }))
            }
            RuleAsk::Return { version, from, reason } => {
                self.return_to(&actor, &version, &from, &reason).await?;
                self.shown(&version)
            }
            RuleAsk::Rules => {
                let book = tokio::task::block_in_place(|| self.book());
                Ok(json!({
                    "at_work": book.sets.iter().map(set).collect::<Vec<_>>(),
                    "versions": book.versions.iter().map(line).collect::<Vec<_>>(),
                    "remembered_since": book.since.map(|since| since.to_string()),
                }))
            }
            RuleAsk::Shadow(version) => {
                self.shadow(&actor, &version).await?;
                self.shown(&version)
            }
            RuleAsk::ShadowEnd(version) => {
                self.end_shadow(&actor, &version).await?;
                self.shown(&version)
            }
            RuleAsk::Text(version) => block(&mut || {
                self.text(version.as_deref())
                    .map(|(version, text)| json!({ "version": version, "text": text }))
            }),
            RuleAsk::Version(version) => self.shown(&version),
            // Calls that came later than this match.
            _ => Err(RulebookError::NotFound { why: "there is no such call".to_owned() }),
        }
    }
}

/// The control API's way to the rulebook.
pub(crate) struct ApiRulebook(pub(crate) Arc<Rulebook>);

impl api::Rulebook for ApiRulebook {
    fn ask(&self, actor: Actor, ask: RuleAsk) -> BoxFuture<'_, Result<Value, RulebookError>> {
        Box::pin(self.0.answer(actor, ask))
    }
}
