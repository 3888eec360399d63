//! Tables to take away, as CSV (RFC 4180) or one JSON object a line, with the filters of the page they are offered on.
//!
//! Rows are read some at a time while they are sent, so that a long table takes neither memory nor the journal from others. A
//! spreadsheet takes a cell that begins with `=`, `+`, `-`, `@` or a tab for a formula; such a cell gets an apostrophe in front
//! (OWASP, CSV Injection). In the other form nothing is changed.
//!
//! Bounds: [`ROWS_EXPORTED_MAX`] rows, [`EXPORTS_MAX`] tables at a time.

use std::{convert::Infallible, fmt::Write as _, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use futures_util::stream;
use serde_json::{Map, Value};
use tokio::sync::OwnedSemaphorePermit;

use super::{Console, cases, decisions};
use crate::{
    headers::{Nonce, secure},
    pages::{self, Page},
    ports::Unavailable,
    view::{Export, ExportFilter, Rows},
};

/// Most tables that are sent at a time, over all viewers.
pub(super) const EXPORTS_MAX: usize = 4;
/// Most rows of one table.
pub(crate) const ROWS_EXPORTED_MAX: usize = 200_000;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/export/{file}", get(export))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    Ndjson,
}

impl Form {
    const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// Which table a file name stands for, and the page it is a table of.
fn table(file: &str) -> Option<(Export, &'static Page, Form)> {
    let (name, form) = file.split_once('.')?;
    let form = match form {
        "csv" => Form::Csv,
        "ndjson" => Form::Ndjson,
        _ => return None,
    };
    let (table, page) = match name {
        "alerts" => (Export::Alerts, &pages::CASES),
        "bans" => (Export::Bans, &pages::BANS),
        "cases" => (Export::Cases, &pages::CASES),
        "decisions" => (Export::Decisions, &pages::DECISIONS),
        _ => return None,
    };
    Some((table, page, form))
}

/// A cell of CSV.
fn cell(out: &mut String, text: &str) {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let quoted = is_formula || text.contains([',', '"', '\n', '\r', ';', '\t']);
    if quoted {
        out.push('"');
    }
    if is_formula {
        out.push('\'');
    }
    for char in text.chars() {
        if char == '"' {
            out.push('"');
        }
        out.push(char);
    }
    if quoted {
        out.push('"');
    }
}

fn csv_line<'t>(cells: impl Iterator<Item = &'t str>) -> String {
    let mut line = String::new();
    for (at, text) in cells.enumerate() {
        if at > 0 {
            line.push(',');
        }
        cell(&mut line, text);
    }
    line.push_str("\r\n");
    line
}

fn rows_in(form: Form, table: Export, rows: &[Vec<String>]) -> String {
    let mut out = String::new();
    for row in rows {
        match form {
            Form::Csv => out.push_str(&csv_line(row.iter().map(String::as_str))),
            Form::Ndjson => {
                let fields = table.columns().iter().zip(row);
                let object: Map<String, Value> = fields
                    .map(|(name, value)| {
                        let value = if value.is_empty() { Value::Null } else { Value::String(value.clone()) };
                        ((*name).to_owned(), value)
                    })
                    .collect();
                // Writing to a string does not fail.
                let _ = writeln!(out, "{}", Value::Object(object));
            }
        }
    }
    out
}

/// The end of a table that is not whole.
fn cut_off(form: Form, why: &str) -> String {
    match form {
        Form::Csv => csv_line([format!("# {why}").as_str()].into_iter()),
        Form::Ndjson => format!("{}\n", serde_json::json!({ "incomplete": why })),
    }
}

struct Sending {
    console: Console,
    table: Export,
    form: Form,
    next: Option<Box<ExportFilter>>,
    sent: usize,
    first: Option<Rows>,
    _place: OwnedSemaphorePermit,
}

impl Sending {
    /// The next part; `None` at the end.
    async fn part(mut self) -> Option<(Result<String, Infallible>, Self)> {
        let mut text = String::new();
        let read: Result<Rows, Unavailable> = match (self.first.take(), self.next.take()) {
            (Some(first), _) => {
                if self.form == Form::Csv {
                    text = csv_line(self.table.columns().iter().copied());
                }
                Ok(first)
            }
            (None, Some(wanted)) => {
                // Somebody else's turn in between: reading is work that does not wait.
                tokio::task::yield_now().await;
                self.console.0.ports.casework.rows(self.table, &wanted)
            }
            (None, None) => return None,
        };
        match read {
            Ok(Rows { mut rows, next }) => {
                let room = ROWS_EXPORTED_MAX - self.sent;
                let is_cut = rows.len() > room || (rows.len() == room && next.is_some());
                rows.truncate(room);
                self.sent += rows.len();
                text.push_str(&rows_in(self.form, self.table, &rows));
                if is_cut {
                    let why = format!("cut off after {ROWS_EXPORTED_MAX} rows: narrow the filter");
                    text.push_str(&cut_off(self.form, &why));
                } else {
                    self.next = next;
                }
            }
            Err(error) => text.push_str(&cut_off(self.form, &error.to_string())),
        }
        Some((Ok(text), self))
    }
}

async fn export(
    State(console): State<Console>,
    Path(file): Path<String>,
    by_case: Result<Query<cases::Which>, QueryRejection>,
    by_decision: Result<Query<decisions::Which>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let Some((table, page, form)) = table(&file) else {
        return match console.admit(&pages::LIVE, &headers) {
            Ok(visit) => visit.missing("There is no such table."),
            Err(response) => *response,
        };
    };
    let visit = match console.admit(page, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let cases = by_case.ok().and_then(|Query(which)| which.filter());
    let decisions = by_decision.ok().and_then(|Query(which)| which.filter());
    let wanted = match (table, cases, decisions) {
        (Export::Cases, Some(cases), _) => ExportFilter { cases, ..ExportFilter::default() },
        (Export::Decisions, _, Some(decisions)) => ExportFilter { decisions, ..ExportFilter::default() },
        (Export::Alerts | Export::Bans, ..) => ExportFilter::default(),
        _ => return visit.missing("The address names no rows of this table."),
    };
    let Ok(place) = Arc::clone(&console.0.exports).try_acquire_owned() else {
        let why = Unavailable("Other tables are being taken away; try again in a moment.".to_owned());
        return visit.unavailable(&why);
    };
    // Read before the answer begins, so that what cannot be read at all is an error and no empty table.
    let first = match console.0.ports.casework.rows(table, &wanted) {
        Ok(first) => first,
        Err(error) => return visit.unavailable(&error),
    };
    tracing::info!(who = %visit.viewer.actor, table = file, "a table was taken away");
    let next = first.next.clone();
    let first = Some(Rows { rows: first.rows, next: next.clone() });
    let sending = Sending { console: console.clone(), table, form, next, sent: 0, first, _place: place };
    let body = Body::from_stream(stream::unfold(sending, Sending::part));
    let mut response = (StatusCode::OK, body).into_response();
    let headers = response.headers_mut();
    secure(headers, &Nonce::fresh());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
    // The name is one of those above.
    if let Ok(name) = HeaderValue::try_from(format!("attachment; filename=\"caponier-{file}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_never_formulas() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "\"'=1+1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("+41", "\"'+41\""),
            ("-2", "\"'-2\""),
            ("\tx", "\"'\tx\""),
            ("", ""),
        ] {
            let mut out = String::new();
            cell(&mut out, text);
            assert_eq!(out, expected, "{text:?}");
        }
    }

    #[test]
    fn only_tables_that_exist_have_files() {
        for file in ["cases.csv", "alerts.ndjson", "bans.csv", "decisions.ndjson"] {
            assert!(table(file).is_some(), "{file}");
        }
        for file in ["cases", "cases.xls", "people.csv", ".csv", "cases.csv.exe", "../cases.csv"] {
            assert!(table(file).is_none(), "{file}");
        }
    }
}
