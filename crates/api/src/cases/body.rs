//! Bodies and queries of the calls about cases, read strictly.

use axum::http::Uri;
use domain::AccountId;
use fraud::cases::{
    Ask, Disposition, Entity, Filter, NAME_BYTES_MAX, PAGE_MAX, Priority, Source, TEXT_BYTES_MAX,
};

use super::{CasesError, Order, PAGE_DEFAULT};
use crate::{
    CaseCall,
    limits::ADDRESS_BYTES_MAX,
    problem::Problem,
    query::{Query, fault},
    wire::{Fault, Fields},
};

/// The number in a case's name, `case-12`.
#[must_use]
pub fn case_id(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("case-")?;
    let number: u64 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

/// Which part of a list.
#[derive(Debug)]
pub(crate) struct Paging<T> {
    pub(crate) what: T,
    pub(crate) max: usize,
}

/// The query of `GET /v1/cases`.
pub(crate) fn case_query(uri: &Uri) -> Result<Paging<(Filter, Order)>, Problem> {
    let mut query = Query::parse(uri)?;
    let state = query.take("state");
    if let Some(state) = &state
        && !fraud::cases::Case::STATES.contains(&state.as_str())
    {
        return Err(fault("state", format!("expected {}", fraud::cases::Case::STATES.join(", "))));
    }
    let priority = query.take("priority").map(|name| {
        let known = Priority::ALL.map(Priority::as_str).join(", ");
        Priority::named(&name).ok_or_else(|| fault("priority", format!("expected {known}")))
    });
    let account = query.take("account").map(|account| {
        AccountId::parse(&account)
            .map(|account| Entity::Account(account).to_string())
            .map_err(|error| fault("account", error.to_string()))
    });
    let account = account.transpose()?;
    let entity = query.take("entity");
    if account.is_some() && entity.is_some() {
        return Err(fault("entity", "excludes account"));
    }
    let entity = account.or(entity);
    if entity.as_ref().is_some_and(|entity| entity.len() > ADDRESS_BYTES_MAX) {
        return Err(fault("entity", format!("is longer than {ADDRESS_BYTES_MAX} bytes")));
    }
    let source = query.take("source").map(|name| {
        let known = Source::ALL.map(Source::as_str).join(", ");
        Source::named(&name).ok_or_else(|| fault("source", format!("expected {known}")))
    });
    let filter = Filter {
        state,
        entity,
        assignee: query.take("assignee"),
        priority: priority.transpose()?,
        source: source.transpose()?,
    };
    let cursor = query.take("after").map(|text| case_id(&text).ok_or_else(|| fault("after", "is no case")));
    let cursor = cursor.transpose()?;
    let order = match query.take("order").as_deref() {
        None | Some("newest") => Order::Newest(cursor),
        Some("urgent") => Order::Urgent(cursor),
        Some(_) => return Err(fault("order", "expected newest or urgent")),
    };
    let max = query.count("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE_DEFAULT);
    query.finish()?;
    Ok(Paging { what: (filter, order), max })
}

/// The query of `GET /v1/alerts`.
pub(crate) fn alert_query(uri: &Uri) -> Result<Paging<Option<u64>>, Problem> {
    let mut query = Query::parse(uri)?;
    let before = query
        .text("after", 64)?
        .map(|text| text.parse::<u64>().map_err(|_| fault("after", "is not where a page of alerts ended")));
    let before = before.transpose()?;
    let max = query.count("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE_DEFAULT);
    query.finish()?;
    Ok(Paging { what: before, max })
}

/// What a body asks to be done with a case, and the revision it rests on.
pub(crate) fn ask(
    call: CaseCall,
    body: &[u8],
    decision: impl Fn(&str) -> Result<u64, CasesError>,
) -> Result<(u64, Ask), Fault> {
    let mut fields = Fields::parse(body)?;
    let missing = |fields: &Fields| fields.fault("revision", "is missing");
    let revision = fields.optional_integer("revision")?.ok_or_else(|| missing(&fields))?;
    let held = |fields: &mut Fields| fields.parsed("decision", &decision);
    let words = |fields: &mut Fields, name: &str| {
        let text = fields.text(name)?;
        if text.len() > TEXT_BYTES_MAX || text.trim().is_empty() {
            return Err(fields.fault(name, format!("must be 1 to {TEXT_BYTES_MAX} bytes long")));
        }
        if text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(fields.fault(name, "has a control character"));
        }
        Ok(text)
    };
    let ask = match call {
        CaseCall::Approve => Ask::Approve { decision: held(&mut fields)? },
        CaseCall::Assign => Ask::Assign { to: fields.optional_label("to", NAME_BYTES_MAX)? },
        CaseCall::Decline => {
            Ask::Decline { decision: held(&mut fields)?, reason: words(&mut fields, "reason")? }
        }
        CaseCall::Note => Ask::Note { text: words(&mut fields, "text")? },
        CaseCall::Propose => {
            Ask::Propose { decision: held(&mut fields)?, reason: words(&mut fields, "reason")? }
        }
        CaseCall::Resolve => {
            let known = Disposition::ALL.map(Disposition::as_str).join(", ");
            Ask::Resolve {
                disposition: fields.parsed("disposition", |name| {
                    Disposition::named(name).ok_or_else(|| format!("expected {known}"))
                })?,
                reason: words(&mut fields, "reason")?,
            }
        }
        CaseCall::AlertStream | CaseCall::Alerts | CaseCall::List | CaseCall::Show => {
            return Err(fields.fault("", "this call has no body"));
        }
    };
    fields.finish("this call")?;
    Ok((revision, ask))
}
