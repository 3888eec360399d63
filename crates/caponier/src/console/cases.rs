//! Cases as the console shows them, and what people do with them there.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use api::{Cases as _, CasesError};
use console::{
    AppealLine, BoxFuture, CaseFile, CaseFilter, CaseLine, CasePage, DecisionLine, Deed, Found, HeldLine,
    Links, Moment, NotDone, Tone, Unavailable,
};
use domain::{Actor, UnixNanos};
use fraud::cases::{
    Against, Appeal, Ask, Case, Disposition, Entity, Filter, HeldItem, Line, Outcome, Priority, Review,
    Source,
};
use journal::{Kind, Opened, record};

use super::{
    casework::{Cabinet, LINKS_SHOWN},
    moments::found,
};
use crate::{
    cases::Desk,
    core::Core,
    trails::{Node, Sort, address_of},
};

/// Withdrawals of a case that are shown with what was asked.
const ASKED_SHOWN: usize = 16;
/// Entries of a customer beside those of the case itself.
const AROUND_SHOWN: usize = 60;
/// Addresses of a customer whose alerts are shown.
const ADDRESSES_SHOWN: usize = 16;
/// Cases about one customer on its page.
const ABOUT_SHOWN: usize = 20;

/// What expected losses are in.
pub(super) fn unit(core: &Core) -> String {
    core.ground.read(|fold| fold.cases().policy().reference.to_string())
}

/// Whether a case is as a filter wants it, beyond what cases are filtered by themselves.
fn fits(case: &Case, about: Option<&str>, text: Option<&str>) -> bool {
    let is_about = about.is_none_or(|about| {
        let sort = match &case.entity {
            Entity::Account(_) => "account",
            Entity::Other(name) => match name.split_once(':') {
                Some(("address", _)) => "address",
                Some(("network", _)) => "network",
                _ => "other",
            },
        };
        sort == about
    });
    is_about
        && text.is_none_or(|text| {
            case.entity.to_string().to_lowercase().contains(text)
                || case.lines.back().is_some_and(|line| line.code.to_lowercase().contains(text))
        })
}

/// Cases in the order asked for, at most `most`. At most as many are looked at as are remembered, some milliseconds.
pub(super) fn page(core: &Core, wanted: &CaseFilter, most: usize) -> CasePage {
    let now = core.clock.now();
    let filter = Filter {
        state: wanted.state.clone(),
        entity: None,
        assignee: wanted.assignee.clone(),
        priority: wanted.priority.as_deref().and_then(Priority::named),
        source: wanted.source.as_deref().and_then(Source::named),
    };
    let text = wanted.text.as_ref().map(|text| text.to_lowercase());
    let (about, text) = (wanted.about.as_deref(), text.as_deref());
    // Closed cases have no urgency.
    let newest_first = wanted.all || wanted.state.as_deref() == Some("resolved");
    core.ground.read(|fold| {
        let cases = fold.cases();
        let unit = cases.policy().reference.to_string();
        let after = wanted.after.filter(|_| !newest_first).and_then(|after| cases.case(after));
        let mut lines: Vec<CaseLine> = if newest_first {
            let found = cases.newest(&filter, wanted.after, now);
            found
                .filter(|case| fits(case, about, text))
                .take(most + 1)
                .map(|case| line(case, &unit, now))
                .collect()
        } else {
            let found = cases.urgent(&filter, after, now);
            found
                .filter(|case| fits(case, about, text))
                .take(most + 1)
                .map(|case| line(case, &unit, now))
                .collect()
        };
        let has_more = lines.len() > most;
        lines.truncate(most);
        let sizes = cases.sizes(now);
        let after = lines.last().map(|line| line.id).filter(|_| has_more);
        CasePage { lines, after, open: sizes.open, overdue: sizes.overdue, now }
    })
}

/// Cases about somebody, newest first.
pub(super) fn about(core: &Core, entity: &Entity) -> Vec<CaseLine> {
    let now = core.clock.now();
    let filter = Filter { entity: Some(entity.to_string()), ..Filter::default() };
    core.ground.read(|fold| {
        let cases = fold.cases();
        let unit = cases.policy().reference.to_string();
        cases.newest(&filter, None, now).take(ABOUT_SHOWN).map(|case| line(case, &unit, now)).collect()
    })
}

impl Cabinet {
    pub(super) fn case_file(&self, id: u64) -> Result<Option<CaseFile>, Unavailable> {
        let Ok(file) = self.core.desk.case(id) else { return Ok(None) };
        let (case, now, unit) = (&file.case, file.now, unit(&self.core));
        let id_of = |position: u64| file.decisions.get(&position).cloned();
        let mut asked: Vec<u64> =
            case.held.iter().rev().take(ASKED_SHOWN).map(|item| item.decision).collect();
        asked.sort_unstable_by(|a, b| b.cmp(a));
        asked.dedup();
        let asked: HashMap<u64, DecisionLine> = self
            .read_decisions(&asked)?
            .into_iter()
            .map(|(position, decision)| (position, self.line(position, &decision)))
            .collect();
        let held = case.held.iter().filter_map(|item| {
            Some(held(item, id_of(item.decision)?, now, asked.get(&item.decision).cloned()))
        });
        let address = address_of(&case.entity);
        let node = match (case.entity.account(), address) {
            (Some(account), _) => Some(Node::Account(account.clone())),
            (None, Some(address)) => Some(Node::Address(address)),
            (None, None) => None,
        };
        let (moments, moments_in_all) = self.around(case, node.as_ref(), &unit)?;
        let links = match &node {
            Some(node) => self.links(node, LINKS_SHOWN, |_| true)?,
            None => Links::default(),
        };
        let resolution =
            case.resolution.as_ref().map(|end| format!("{} by {}", end.disposition.as_str(), end.by));
        Ok(Some(CaseFile {
            line: line(case, &unit, now),
            revision: case.revision,
            now,
            account: case.entity.account().map(ToString::to_string),
            address: address.map(|address| ::chain::address::encode(&address)),
            held: held.collect(),
            appeals: case.appeals.iter().map(|appeal| appealed(appeal, &id_of)).collect(),
            moments,
            moments_in_all,
            found: self.why(case),
            links,
            resolution,
        }))
    }

    /// What was found when something last joined the case.
    fn why(&self, case: &Case) -> Vec<Found> {
        let journal = self.core.ground.journal();
        let newest =
            case.lines.iter().rev().filter(|line| line.source != Source::ChainAlert).find_map(|line| {
                let entry = journal.entry(line.position).ok()??;
                let Opened::Payload(payload) = journal.open_payload(&entry).ok()? else { return None };
                match entry.kind {
                    Kind::Decision => Some(record::decode_decision(&payload).ok()?.findings),
                    Kind::FraudAlert => Some(record::decode_fraud_alert(&payload).ok()?.findings),
                    _ => None,
                }
            });
        newest.unwrap_or_default().iter().map(found).collect()
    }

    /// One timeline: what came together in the case, what people did, and what else happened to whom it is about.
    fn around(
        &self,
        case: &Case,
        node: Option<&Node>,
        unit: &str,
    ) -> Result<(Vec<Moment>, u64), Unavailable> {
        let mut known: HashMap<u64, Sort> = HashMap::new();
        let ours: HashSet<u64> = case
            .lines
            .iter()
            .map(|line| line.position)
            .chain(case.done.iter().map(|done| done.position))
            .collect();
        let mut all = 0;
        if let Some(node) = node {
            let (trail, addresses, steps) = self.trails(|trails| {
                let (trail, _) = trails.trail(node, None, &[], AROUND_SHOWN, AROUND_SHOWN);
                let addresses: Vec<Node> = trails
                    .links(node)
                    .0
                    .into_iter()
                    .map(|link| link.other)
                    .filter(|other| matches!(other, Node::Address(_)))
                    .take(ADDRESSES_SHOWN)
                    .collect();
                (trail, addresses, trails.steps_of(node))
            })?;
            all = steps;
            known.extend(trail.iter().map(|found| (found.position, found.sort)));
            known.extend(self.alerts_of_addresses(&addresses));
        }
        let mut positions: Vec<u64> = known.keys().copied().chain(ours.iter().copied()).collect();
        positions.sort_unstable_by(|a, b| b.cmp(a));
        positions.dedup();
        let mut moments = self.moments(&positions, &known);
        let weighed: HashMap<u64, &Line> = case.lines.iter().map(|line| (line.position, line)).collect();
        for moment in &mut moments {
            moment.in_case = ours.contains(&moment.position);
            let Some(line) = weighed.get(&moment.position) else { continue };
            moment.more.push(("reason".to_owned(), line.code.clone()));
            moment.more.extend(
                line.expected_loss.map(|loss| ("expected loss".to_owned(), format!("{loss} {unit}"))),
            );
            if line.is_retracted {
                moment.what.push_str(", taken back");
                moment.tone = Tone::Plain;
            }
        }
        // The journal's order is that of recording; people read by when it happened.
        moments.sort_by_key(|moment| (std::cmp::Reverse(moment.at), std::cmp::Reverse(moment.position)));
        Ok((moments, all))
    }
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
        revision: case.revision,
    }
}

fn held(item: &HeldItem, decision: String, now: UnixNanos, asked: Option<DecisionLine>) -> HeldLine {
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
        asked,
    }
}

fn appealed(appeal: &Appeal, id_of: &impl Fn(u64) -> Option<String>) -> AppealLine {
    let (decision, ban) = match &appeal.against {
        Against::Ban(target) => (None, Some(target.clone())),
        Against::Decision(position) => (id_of(*position), None),
    };
    AppealLine {
        id: appeal.id,
        at: appeal.at,
        by: appeal.by.to_string(),
        decision,
        ban,
        text: appeal.text.clone(),
        state: appeal.state().to_owned(),
        answer: appeal.answer.as_ref().map(|answer| (answer.by.to_string(), answer.reason.clone())),
    }
}

/// What the form asks for, in the words of cases.
fn ask(desk: &Desk, deed: Deed) -> Result<Ask, CasesError> {
    Ok(match deed {
        Deed::Answer { appeal, outcome, reason } => Ask::Answer {
            appeal,
            outcome: Outcome::named(&outcome).ok_or(fraud::cases::CaseError::Malformed)?,
            reason,
        },
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
        done.map_err(|error| not_done(&error))
    })
}

/// Why nothing was done, in words for who tried.
pub(super) fn not_done(error: &CasesError) -> NotDone {
    match error {
        CasesError::Case(_) | CasesError::NotAppealable { .. } | CasesError::UnknownDecision => {
            NotDone(error.to_string())
        }
        error => {
            tracing::error!(%error, "a case was not changed");
            NotDone("it cannot be recorded at the moment; try again".to_owned())
        }
    }
}
