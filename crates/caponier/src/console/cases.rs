//! Cases as the console shows them, and what people do with them there.

use std::sync::Arc;

use api::{Cases as _, CasesError, Order};
use console::{BoxFuture, CaseFile, CaseLine, CaseStep, Deed, HeldLine, NotDone, ROWS_MAX};
use domain::{Actor, UnixNanos};
use fraud::cases::{Ask, Case, Disposition, Filter, HeldItem, Review, Source};

use crate::{cases::Desk, core::Core};

/// What expected losses are in.
pub(super) fn unit(core: &Core) -> String {
    core.ground.read(|fold| fold.cases().policy().reference.to_string())
}

pub(super) fn list(desk: &Desk, unit: &str, all: bool) -> Vec<CaseLine> {
    let order = if all { Order::Newest(None) } else { Order::Urgent(None) };
    match desk.cases(&Filter::default(), order, ROWS_MAX) {
        Ok(files) => files.iter().map(|file| line(&file.case, unit, file.now)).collect(),
        Err(error) => {
            tracing::error!(%error, "cases cannot be shown");
            Vec::new()
        }
    }
}

pub(super) fn one(desk: &Desk, unit: &str, id: u64) -> Option<CaseFile> {
    let file = desk.case(id).ok()?;
    let (case, now) = (&file.case, file.now);
    let id_of = |position: u64| file.decisions.get(&position).cloned();
    let held = case.held.iter().filter_map(|item| Some(held(item, id_of(item.decision)?, now)));
    let came = case.lines.iter().map(|line| CaseStep {
        at: line.at,
        who: line.source.as_str().replace('_', " "),
        what: if line.is_retracted { "taken back".to_owned() } else { line.verdict.as_str().to_owned() },
        detail: match &line.expected_loss {
            Some(loss) => format!("{}, expected loss {loss} {unit}", line.code),
            None => line.code.clone(),
        },
        decision: id_of(line.position).filter(|_| line.source == Source::Decision),
        by_person: false,
    });
    let done = case.done.iter().map(|done| CaseStep {
        at: done.at,
        who: done.actor.to_string(),
        what: done.what.to_owned(),
        detail: done.text.clone().unwrap_or_default(),
        decision: done.decision.and_then(id_of),
        by_person: true,
    });
    let mut steps: Vec<CaseStep> = came.chain(done).collect();
    steps.sort_by_key(|step| std::cmp::Reverse(step.at));
    let resolution =
        case.resolution.as_ref().map(|end| format!("{} by {}", end.disposition.as_str(), end.by));
    Some(CaseFile {
        line: line(case, unit, now),
        revision: case.revision,
        held: held.collect(),
        steps,
        resolution,
    })
}

fn line(case: &Case, unit: &str, now: UnixNanos) -> CaseLine {
    CaseLine {
        id: case.id,
        entity: case.entity.to_string(),
        state: case.state(now).to_owned(),
        priority: case.priority.as_str().to_owned(),
        expected_loss: case.expected_loss.map(|loss| format!("{loss} {unit}")),
        opened_at: case.opened_at,
        deadline: case.deadline,
        is_overdue: case.resolution.is_none() && case.done.is_empty() && case.deadline < now,
        assignee: case.assignee.clone(),
        triggers: case.triggers,
        newest: case.lines.back().map(|line| line.code.clone()).unwrap_or_default(),
    }
}

fn held(item: &HeldItem, decision: String, now: UnixNanos) -> HeldLine {
    let detail = match &item.review {
        Review::Held => String::new(),
        Review::Proposed { by, until, reason, .. } => {
            format!("{by} would release it until {until}: {reason}")
        }
        Review::Released { proposed_by, approved_by, until, .. } => {
            format!("released by {proposed_by} and {approved_by}; good for one repetition until {until}")
        }
        Review::Used { proposed_by, approved_by, .. } => {
            format!("released by {proposed_by} and {approved_by}, and used")
        }
        Review::Refused { by, at } => format!("the case was closed without it by {by}, {at}"),
    };
    HeldLine {
        decision,
        at: item.at,
        reasons: item.reasons.iter().map(ToString::to_string).collect(),
        state: item.review.state(now).to_owned(),
        detail,
    }
}

/// What the form asks for, in the words of cases.
fn ask(desk: &Desk, deed: Deed) -> Result<Ask, CasesError> {
    Ok(match deed {
        Deed::Approve { decision } => Ask::Approve { decision: desk.decision(&decision)? },
        Deed::Assign { to } => Ask::Assign { to },
        Deed::Decline { decision, reason } => Ask::Decline { decision: desk.decision(&decision)?, reason },
        Deed::Note { text } => Ask::Note { text },
        Deed::Propose { decision, reason } => Ask::Propose { decision: desk.decision(&decision)?, reason },
        Deed::Resolve { disposition, reason } => Ask::Resolve {
            disposition: Disposition::named(&disposition).ok_or(fraud::cases::CaseError::Malformed)?,
            reason,
        },
    })
}

pub(super) fn act(
    desk: &Arc<Desk>,
    actor: Actor,
    case: u64,
    revision: u64,
    deed: Deed,
) -> BoxFuture<'_, Result<(), NotDone>> {
    Box::pin(async move {
        let asked = ask(desk, deed);
        let done = match asked {
            Ok(ask) => desk.act(actor, case, Some(revision), ask).await.map(drop),
            Err(error) => Err(error),
        };
        done.map_err(|error| match error {
            CasesError::Case(error) => NotDone(error.to_string()),
            CasesError::UnknownDecision => NotDone("no decision has this id".to_owned()),
            error => {
                tracing::error!(%error, "a case was not changed");
                NotDone("it cannot be recorded at the moment; try again".to_owned())
            }
        })
    })
}
