//! Appeals of an installation: what may be appealed, and what follows from an answer.
//!
//! An appeal names the account beside the decision, and both must belong together: whoever appeals learns nothing of
//! others. What follows from one that is overturned is recorded with the answer: the label, and for a withdrawal that is
//! held the proposal to release it, which somebody else must approve. A ban is lifted once the answer is durable; were the
//! process to end in between, the ban would end by itself.

use std::sync::Arc;

use api::{AppealAgainst, AppealFile, AppealFilter, Appeals, CasesError, NewAppeal};
use domain::{AccountId, Actor, Subject, UnixNanos, Verdict};
use fraud::cases::{
    Action, Against, Appeal, Appealed, Ask, Case, CaseAction, CaseEntry, CaseError, Outcome, PAGE_MAX,
};
use journal::{Draft, Kind, Opened, record};

use super::{Desk, failed, label};
use crate::abuse;

/// Where a label that came of an appeal says it is from.
const LABEL_SOURCE: &str = "appeal";
/// Appeals looked at for one page.
const LOOK_MAX: usize = 20_000;

impl Desk {
    fn appeal_file(&self, appeal: Appeal) -> AppealFile {
        let decision = match appeal.against {
            Against::Decision(position) => Some(self.ids.id(position).to_string()),
            Against::Ban(_) => None,
        };
        AppealFile { appeal, decision }
    }

    /// What is appealed, if the account may.
    fn against(&self, account: &AccountId, against: AppealAgainst) -> Result<Against, CasesError> {
        if self.ground.journal().is_erased(&Subject::Account(account.clone())) {
            return Err(CasesError::NotAppealable { why: "data of the account was erased" });
        }
        match against {
            AppealAgainst::Ban(target) => {
                let bans = self.bans.get().map(abuse::list).unwrap_or_default();
                let stands = bans.iter().any(|ban| ban.in_force && ban.target == target);
                if stands { Ok(Against::Ban(target)) } else { Err(CasesError::UnknownBan) }
            }
            AppealAgainst::Decision(id) => {
                let position = self.ids.position(&id).map_err(|_| CasesError::UnknownDecision)?;
                match self.verdict(position, account)? {
                    None => Err(CasesError::UnknownDecision),
                    Some(Verdict::Allow) => {
                        Err(CasesError::NotAppealable { why: "the decision refused nothing" })
                    }
                    Some(_) => Ok(Against::Decision(position)),
                }
            }
        }
    }

    /// What was decided about an account; `None` if it was about another, or about nothing.
    pub(super) fn verdict(&self, position: u64, account: &AccountId) -> Result<Option<Verdict>, CasesError> {
        let decided = self.decided(position)?;
        Ok(decided.filter(|(whose, _)| whose.as_ref() == Some(account)).map(|(_, verdict)| verdict))
    }

    /// About whom a decision was, and what it said; `None` where there is none, or its person was erased.
    pub(super) fn decided(&self, position: u64) -> Result<Option<(Option<AccountId>, Verdict)>, CasesError> {
        let unreadable = |error: &dyn std::fmt::Display| CasesError::Unavailable { why: error.to_string() };
        let journal = self.ground.journal();
        let Some(entry) = journal.entry(position).map_err(|error| unreadable(&error))? else {
            return Ok(None);
        };
        if !matches!(entry.kind, Kind::Decision | Kind::Judgement) {
            return Ok(None);
        }
        let Opened::Payload(payload) = journal.open_payload(&entry).map_err(|error| unreadable(&error))?
        else {
            return Ok(None);
        };
        if entry.kind == Kind::Decision {
            let decision = record::decode_decision(&payload).map_err(|error| unreadable(&error))?;
            return Ok(Some((Some(decision.request.account), decision.verdict)));
        }
        let judgement = record::decode_judgement(&payload).map_err(|error| unreadable(&error))?;
        Ok(Some((judgement.act.account().cloned(), judgement.verdict)))
    }

    /// What is recorded before and after an answer that overturns.
    pub(super) fn overturning(
        &self,
        case: &Case,
        done: &CaseAction,
        now: UnixNanos,
    ) -> Result<(Vec<Draft>, Option<CaseEntry>), CasesError> {
        let Action::Answer { appeal, outcome: Outcome::Overturned, reason } = &done.action else {
            return Ok((Vec::new(), None));
        };
        let Some(appeal) = case.appeals.iter().find(|found| found.id == *appeal) else {
            return Ok((Vec::new(), None));
        };
        let decision = match &appeal.against {
            Against::Ban(_) if self.bans.get().is_none() => {
                return Err(CasesError::NotAppealable {
                    why: "no gateway serves here, so that the ban cannot be lifted",
                });
            }
            Against::Ban(_) => return Ok((Vec::new(), None)),
            Against::Decision(decision) => *decision,
        };
        let label = label(
            &self.ground,
            &format!("appeal-{}-label", appeal.id),
            &appeal.account,
            (domain::LabelTarget::Decision(decision), false, LABEL_SOURCE),
            now,
        );
        let is_held =
            case.item(decision).is_some_and(|item| matches!(item.review.state(now), "held" | "expired"));
        let proposal = is_held.then(|| {
            let until = now.plus(self.ground.read(|fold| fold.cases().policy().proposal_life));
            CaseEntry::Action(CaseAction {
                case: done.case,
                revision: done.revision + 1,
                actor: done.actor.clone(),
                // The journal's time may run on while this waits for it.
                action: Action::Propose {
                    decision,
                    until: UnixNanos(until.0.saturating_sub(1)),
                    reason: reason.clone(),
                },
            })
        });
        Ok((label.into_iter().collect(), proposal))
    }

    /// Lifts the ban that an answer overturned.
    pub(super) fn lift_overturned(&self, case: &Case, done: &CaseAction) -> Result<(), CasesError> {
        let Action::Answer { appeal, outcome: Outcome::Overturned, .. } = &done.action else { return Ok(()) };
        let found = case.appeals.iter().find(|found| found.id == *appeal);
        let (Some(Against::Ban(target)), Some(bans)) = (found.map(|found| &found.against), self.bans.get())
        else {
            return Ok(());
        };
        let (net, key) = abuse::as_listed(target);
        // It may have ended by itself meanwhile.
        abuse::lift(bans, (net, key), &done.actor).map(drop).map_err(|failure| CasesError::Unavailable {
            why: format!("the appeal is answered, and the ban was not lifted: {failure}"),
        })
    }
}

impl Desk {
    /// What somebody says of a decision, as a label of this moment whose source is who said it.
    pub(super) async fn label_decision(
        &self,
        actor: &Actor,
        decision: &str,
        is_fraud: bool,
    ) -> Result<String, CasesError> {
        self.ground.catch_up().map_err(|error| failed(error.into()))?;
        let position = self.ids.position(decision).map_err(|_| CasesError::UnknownDecision)?;
        let (account, _) =
            tokio::task::block_in_place(|| self.decided(position))?.ok_or(CasesError::UnknownDecision)?;
        let account =
            account.ok_or(CasesError::NotAppealable { why: "the decision was about no customer" })?;
        let id = format!("label-{}", hex::encode(crypto::random::array::<16>()));
        let target = domain::LabelTarget::Decision(position);
        let said = (target, is_fraud, &*actor.to_string());
        let draft = label(&self.ground, &id, &account, said, self.clock.now());
        self.ground.record(draft.into_iter().collect()).await.map_err(failed)?;
        Ok(id)
    }
}

impl Appeals for Desk {
    fn bring(&self, by: Actor, new: NewAppeal) -> api::BoxFuture<'_, Result<AppealFile, CasesError>> {
        Box::pin(async move {
            let NewAppeal { account, against, text } = new;
            let _turn = self.turn.lock().await;
            self.ground.catch_up().map_err(|error| failed(error.into()))?;
            let against = tokio::task::block_in_place(|| self.against(&account, against))?;
            let now = self.clock.now();
            let appealed = Appealed { by, account: account.clone(), against, text };
            self.ground.read(|fold| fold.cases().check_appeal(&appealed, now))?;
            let payload = CaseEntry::Appealed(appealed).encode();
            let subject = Subject::Account(account);
            let draft = Draft { at: now, subject, kind: Kind::Case, payload };
            let position = self.ground.record(vec![draft]).await.map_err(failed)?;
            self.appeal(position)
        })
    }

    fn appeal(&self, id: u64) -> Result<AppealFile, CasesError> {
        let found = self.ground.read(|fold| fold.cases().appeal(id).cloned());
        Ok(self.appeal_file(found.ok_or(CaseError::UnknownAppeal { appeal: id })?))
    }

    fn appeals(&self, wanted: &AppealFilter, before: Option<u64>, max: usize) -> Vec<AppealFile> {
        let fits = |appeal: &&Appeal| {
            wanted.account.as_ref().is_none_or(|account| *account == appeal.account)
                && wanted.state.as_ref().is_none_or(|state| state == appeal.state())
        };
        let found: Vec<Appeal> = self.ground.read(|fold| {
            let all = fold.cases().appeals(before).take(LOOK_MAX);
            all.filter(fits).take(max.min(PAGE_MAX)).cloned().collect()
        });
        found.into_iter().map(|appeal| self.appeal_file(appeal)).collect()
    }

    fn answer(
        &self,
        by: Actor,
        appeal: u64,
        outcome: Outcome,
        reason: String,
    ) -> api::BoxFuture<'_, Result<AppealFile, CasesError>> {
        Box::pin(async move {
            let case = self.appeal(appeal)?.appeal.case;
            api::Cases::act(self, by, case, None, Ask::Answer { appeal, outcome, reason }).await?;
            self.appeal(appeal)
        })
    }
}

/// The bans of the gateway, once it serves.
pub(super) type ServedBans = Arc<std::sync::OnceLock<gateway::Bans>>;
