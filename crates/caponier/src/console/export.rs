//! Rows of tables that are taken away, some at a time.

use console::{Export, ExportFilter, ROWS_MAX, Rows, Unavailable};
use domain::{Destination, Verdict};

use super::{cases, casework::Cabinet};
use crate::abuse;

impl Cabinet {
    pub(super) fn rows_of(
        &self,
        table: Export,
        wanted: &ExportFilter,
        most: usize,
    ) -> Result<Rows, Unavailable> {
        match table {
            Export::Alerts => Ok(self.alerts(wanted)),
            Export::Bans => Ok(self.bans()),
            Export::Cases => Ok(self.cases_out(wanted)),
            Export::Decisions => self.decisions_out(wanted, most),
        }
    }

    fn alerts(&self, wanted: &ExportFilter) -> Rows {
        let alerts: Vec<_> = self
            .core
            .ground
            .read(|fold| fold.cases().alerts(wanted.before).take(ROWS_MAX).cloned().collect());
        let next = (alerts.len() == ROWS_MAX)
            .then(|| alerts.last().map(|alert| alert.line.position))
            .flatten()
            .map(|before| Box::new(ExportFilter { before: Some(before), ..wanted.clone() }));
        let rows = alerts.iter().map(|alert| {
            let line = &alert.line;
            vec![
                line.position.to_string(),
                line.at.to_string(),
                alert.entity.to_string(),
                line.source.as_str().to_owned(),
                line.code.clone(),
                line.verdict.as_str().to_owned(),
                line.expected_loss.map(|loss| loss.to_string()).unwrap_or_default(),
                line.is_retracted.to_string(),
                alert.case.map(|case| format!("case-{case}")).unwrap_or_default(),
            ]
        });
        Rows { rows: rows.collect(), next }
    }

    fn bans(&self) -> Rows {
        let bans = self.core.bans.get().map(abuse::list).unwrap_or_default();
        let rows = bans.into_iter().map(|ban| {
            let evidence = ban.evidence.iter().map(|(what, times)| format!("{what}: {times}"));
            let evidence = evidence.collect::<Vec<_>>().join(", ");
            vec![ban.target, ban.reason, ban.since, ban.until, ban.in_force.to_string(), evidence]
        });
        Rows { rows: rows.collect(), next: None }
    }

    fn cases_out(&self, wanted: &ExportFilter) -> Rows {
        let page = cases::page(&self.core, &wanted.cases, ROWS_MAX);
        let unit = cases::unit(&self.core);
        let next = page.after.map(|after| {
            let cases = console::CaseFilter { after: Some(after), ..wanted.cases.clone() };
            Box::new(ExportFilter { cases, ..wanted.clone() })
        });
        let rows = page.lines.into_iter().map(|line| {
            let loss = line.expected_loss.unwrap_or_default();
            let loss = loss.split(' ').next().unwrap_or_default().to_owned();
            vec![
                format!("case-{}", line.id),
                line.entity,
                line.state,
                line.priority,
                loss,
                unit.clone(),
                line.opened_at.to_string(),
                line.deadline.to_string(),
                line.is_overdue.to_string(),
                line.assignee.unwrap_or_default(),
                line.triggers.to_string(),
                line.newest,
            ]
        });
        Rows { rows: rows.collect(), next }
    }

    fn decisions_out(&self, wanted: &ExportFilter, most: usize) -> Result<Rows, Unavailable> {
        let (found, before) = self.wanted(&wanted.decisions, most)?;
        let next = before.map(|before| {
            let decisions = console::DecisionFilter { before: Some(before), ..wanted.decisions.clone() };
            Box::new(ExportFilter { decisions, ..wanted.clone() })
        });
        let rows = found.iter().map(|(position, decision)| {
            let request = &decision.request;
            let codes = decision
                .findings
                .iter()
                .filter(|finding| !finding.shadow && finding.verdict > Verdict::Allow);
            let codes = codes.map(|finding| finding.code.to_string()).collect::<Vec<_>>().join(" ");
            let network = match &request.destination {
                Destination::Internal { .. } => "internal",
                Destination::OnChain { network, .. } => network.as_str(),
                Destination::UnknownNetwork { network, .. } => network.as_str(),
            };
            let line = self.line(*position, decision);
            vec![
                line.id,
                decision.decided_at.to_string(),
                line.account,
                request.amount.to_string(),
                request.asset.to_string(),
                network.to_owned(),
                line.destination,
                decision.verdict.as_str().to_owned(),
                codes,
                line.reason,
            ]
        });
        Ok(Rows { rows: rows.collect(), next })
    }
}
