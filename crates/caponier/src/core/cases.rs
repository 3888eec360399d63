//! Carrying out an operator's requests about cases and alerts.

use api::{AppealAgainst, AppealFilter, Appeals as _, Cases as _, CasesError, NewAppeal, Order};
use domain::{AccountId, Actor, ActorKind};
use fraud::cases::{Appeal, Ask, Case, CaseError, Disposition, Filter, Outcome, PAGE_MAX, Priority, Source};

use super::Core;
use crate::{
    control::{AppealWork, CaseWork, Response},
    exit::{Exit, Failure},
};

/// Which cases an operator asks for, in words.
pub(super) struct Wanted<'w> {
    pub(super) state: Option<String>,
    pub(super) account: Option<&'w str>,
    pub(super) assignee: Option<String>,
    pub(super) priority: Option<&'w str>,
    pub(super) source: Option<&'w str>,
    pub(super) urgent: bool,
    pub(super) after: Option<&'w str>,
    pub(super) limit: u32,
}

fn failure(error: &CasesError) -> Failure {
    let exit = match error {
        CasesError::Busy { .. } => Exit::Busy,
        CasesError::Unavailable { .. } => Exit::Io,
        CasesError::UnknownBan
        | CasesError::UnknownDecision
        | CasesError::Case(
            CaseError::NotFound { .. } | CaseError::UnknownAppeal { .. } | CaseError::UnknownDecision { .. },
        ) => Exit::NotFound,
        CasesError::Case(CaseError::Malformed) => Exit::Usage,
        // Refused by the rules: no.
        _ => Exit::No,
    };
    Failure::new(exit, error.to_string())
}

fn usage(message: String) -> Failure {
    Failure::new(Exit::Usage, message)
}

fn case_id(text: &str) -> Result<u64, Failure> {
    api::case_id(text).ok_or_else(|| usage(format!("{text:?} is no case; they are named case-123")))
}

fn appeal_id(text: &str) -> Result<u64, Failure> {
    api::appeal_id(text).ok_or_else(|| usage(format!("{text:?} is no appeal; they are named appeal-123")))
}

fn page(limit: u32) -> Result<usize, Failure> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if (1..=PAGE_MAX).contains(&limit) {
        Ok(limit)
    } else {
        Err(usage(format!("--limit: 1 to {PAGE_MAX} are possible")))
    }
}

impl Core {
    pub(super) fn cases_list(&self, wanted: Wanted<'_>) -> Result<Response, Failure> {
        let Wanted { state, account, assignee, priority, source, urgent, after, limit } = wanted;
        if let Some(state) = &state
            && !Case::STATES.contains(&state.as_str())
        {
            return Err(usage(format!("--state: {state:?} is none of {}", Case::STATES.join(", "))));
        }
        let priority = priority.map(|name| {
            let known = Priority::ALL.map(Priority::as_str).join(", ");
            Priority::named(name).ok_or_else(|| usage(format!("--priority: {name:?} is none of {known}")))
        });
        let source = source.map(|name| {
            let known = Source::ALL.map(Source::as_str).join(", ");
            Source::named(name).ok_or_else(|| usage(format!("--source: {name:?} is none of {known}")))
        });
        let filter = Filter {
            state,
            entity: account.map(|account| format!("account:{account}")),
            assignee,
            priority: priority.transpose()?,
            source: source.transpose()?,
        };
        let after = after.map(case_id).transpose()?;
        let order = if urgent { Order::Urgent(after) } else { Order::Newest(after) };
        let limit = page(limit)?;
        let files = self.desk.cases(&filter, order, limit).map_err(|error| failure(&error))?;
        Ok(Response::Cases(api::cases_json(&files, files.len() == limit)))
    }

    pub(super) fn cases_show(&self, case: &str) -> Result<Response, Failure> {
        let file = self.desk.case(case_id(case)?).map_err(|error| failure(&error))?;
        Ok(Response::Case(api::case_json(&file)))
    }

    pub(super) fn alerts_list(&self, after: Option<u64>, limit: u32) -> Result<Response, Failure> {
        let limit = page(limit)?;
        let alerts = self.desk.alerts(after, limit);
        Ok(Response::Alerts(api::alerts_json(&alerts, alerts.len() == limit)))
    }

    pub(super) fn appeals_list(
        &self,
        account: Option<&str>,
        state: Option<String>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Response, Failure> {
        if let Some(state) = &state
            && !Appeal::STATES.contains(&state.as_str())
        {
            return Err(usage(format!("--state: {state:?} is none of {}", Appeal::STATES.join(", "))));
        }
        let account = account
            .map(|account| AccountId::parse(account).map_err(|error| usage(format!("--account: {error}"))));
        let wanted = AppealFilter { account: account.transpose()?, state };
        let limit = page(limit)?;
        let files = self.desk.appeals(&wanted, after.map(appeal_id).transpose()?, limit);
        Ok(Response::Appeals(api::appeals_json(&files, files.len() == limit)))
    }

    pub(super) async fn appeals(&self, work: AppealWork) -> Result<Response, Failure> {
        let operator =
            |by: &str| Actor::new(ActorKind::Operator, by).map_err(|error| usage(format!("--as: {error}")));
        let done = match work {
            AppealWork::Answer { appeal, by, outcome, reason } => {
                let known = Outcome::ALL.map(Outcome::as_str).join(", ");
                let outcome = Outcome::named(&outcome)
                    .ok_or_else(|| usage(format!("--outcome: {outcome:?} is none of {known}")))?;
                self.desk.answer(operator(&by)?, appeal_id(&appeal)?, outcome, reason).await
            }
            AppealWork::Bring { account, against, by, id, text } => {
                let account =
                    AccountId::parse(&account).map_err(|error| usage(format!("--account: {error}")))?;
                let against = AppealAgainst::named(&against, id)
                    .ok_or_else(|| usage(format!("{against:?} cannot be appealed")))?;
                self.desk.bring(operator(&by)?, NewAppeal { account, against, text }).await
            }
            AppealWork::Show { appeal } => self.desk.appeal(appeal_id(&appeal)?),
        };
        done.map(|file| Response::Appeal(api::appeal_json(&file))).map_err(|error| failure(&error))
    }

    pub(super) async fn cases_act(
        &self,
        case: &str,
        by: &str,
        revision: Option<u64>,
        work: CaseWork,
    ) -> Result<Response, Failure> {
        let actor = Actor::new(ActorKind::Operator, by).map_err(|error| usage(format!("--as: {error}")))?;
        let decision = |id: String| {
            self.desk.decision(&id).map_err(|error| Failure::new(Exit::NotFound, format!("{error}: {id:?}")))
        };
        let ask = match work {
            CaseWork::Approve { decision: id } => Ask::Approve { decision: decision(id)? },
            CaseWork::Assign { to } => Ask::Assign { to },
            CaseWork::Decline { decision: id, reason } => Ask::Decline { decision: decision(id)?, reason },
            CaseWork::Note { text } => Ask::Note { text },
            CaseWork::Propose { decision: id, reason } => Ask::Propose { decision: decision(id)?, reason },
            CaseWork::Resolve { disposition, reason } => {
                let known = Disposition::ALL.map(Disposition::as_str).join(", ");
                let disposition = Disposition::named(&disposition)
                    .ok_or_else(|| usage(format!("--disposition: {disposition:?} is none of {known}")))?;
                Ask::Resolve { disposition, reason }
            }
        };
        let file =
            self.desk.act(actor, case_id(case)?, revision, ask).await.map_err(|error| failure(&error))?;
        Ok(Response::Case(api::case_json(&file)))
    }
}
