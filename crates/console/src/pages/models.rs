//! Models: which judges, what it learned from, what it is worth, how far its world has moved.

use identity::Capability;
use maud::{Markup, html};

use super::{badge, heading, nothing};
use crate::{
    ports::Viewer,
    svg,
    time::{count, moment},
    view::{
        Tone,
        rules::{Comparison, DriftView, ModelFile, ModelLine, ModelPage},
    },
};

/// Subjects of drift shown; those that moved least are counted.
const DRIFT_SHOWN: usize = 15;
/// Features shown by importance.
const IMPORTANCE_SHOWN: usize = 20;
/// The stability index from which on a distribution is said to have shifted.
const SHIFTED: f64 = 0.25;

fn path(digest: &str) -> String {
    format!("/console/models/{digest}")
}

fn short(digest: &str) -> Markup {
    html! { code title=(digest) { (digest.get(..12).unwrap_or(digest)) } }
}

fn state(line: &ModelLine) -> Markup {
    html! {
        (badge(if line.state == "champion" { Tone::Good } else { Tone::Plain }, line.state))
        @if !line.judges.is_empty() { " " (badge(Tone::Warn, &line.judges)) }
    }
}

pub(crate) fn list(page: &ModelPage) -> Markup {
    html! {
        (heading("Models", "Which one judges, what each is worth, and whether the world they learned from is still there."))
        section.card {
            h2 { "Kept" }
            @if page.models.is_empty() { (nothing("No model is kept. caponier fraud models train makes one, and keeps it.")) }
            @else {
                div.scroll { table.stack {
                    thead { tr {
                        th { "model" } th { "state" } th { "pack" } th.number { "learned from" } th.number { "average precision" }
                        th { "kept" } th { "by" }
                    } }
                    tbody { @for line in page.models.iter().take(crate::ROWS_MAX) { tr data-row {
                        td data-label="model" { span { a href=(path(&line.digest)) { (line.name) } " " (short(&line.digest)) } }
                        td data-label="state" { span { (state(line)) } }
                        td data-label="pack" { (line.pack) }
                        td.number data-label="learned from" { (count(line.learned.0)) " rows" }
                        td.number data-label="average precision" {
                            @if line.backtest.is_empty() { span.muted { "not measured" } } @else { (line.backtest) }
                        }
                        td data-label="kept" { (moment(line.at)) }
                        td data-label="by" { (line.by) }
                    } } }
                } }
            }
        }
        @for drift in &page.drift { (drift_of(drift)) }
        section.card {
            h2 { "Shifts" }
            @if page.shifts.is_empty() { (nothing("Nothing has shifted so far that was recorded.")) }
            @else {
                div.scroll { table.stack {
                    thead { tr { th { "when" } th { "what" } th { "how far" } } }
                    tbody { @for (at, subject, words) in page.shifts.iter().take(crate::ROWS_MAX) { tr {
                        td data-label="when" { (moment(*at)) }
                        td data-label="what" { code { (subject) } }
                        td data-label="how far" { (words) }
                    } } }
                } }
            }
        }
    }
}

fn drift_of(drift: &DriftView) -> Markup {
    html! {
        section.card {
            h2 { "Drift beside the " (drift.place) " bundle" }
            p.muted { (count(drift.judged)) " records judged. A stability index of " (SHIFTED) " and more says that the model should be judged again, not that it is worse." }
            @if !drift.has_reference { (nothing("Too few records yet to compare with.")) }
            @else if drift.lines.is_empty() { (nothing("The first whole window is not there yet.")) }
            @else {
                div.scroll { table {
                    thead { tr { th { "feature" } th.number { "stability index" } th.number { "KS" } th { "" } } }
                    tbody { @for line in drift.lines.iter().take(DRIFT_SHOWN) { tr {
                        td { code { (line.subject) } }
                        td.number { (format!("{:.3}", line.psi)) }
                        td.number { @if let Some(ks) = line.ks { (format!("{ks:.3}")) } @else { span.muted { "-" } } }
                        td { @if line.psi >= SHIFTED { (badge(Tone::Warn, "shifted")) } }
                    } } }
                } }
                @if drift.lines.len() > DRIFT_SHOWN { p.muted { "and " (drift.lines.len() - DRIFT_SHOWN) " that moved less" } }
            }
        }
    }
}

pub(crate) fn one(file: &ModelFile, viewer: &Viewer, says: Option<&str>) -> Markup {
    let line = &file.line;
    html! {
        (heading("Model", "Its card, what it looks at, what it is worth here, and beside what it was put."))
        @if let Some(says) = says { p.card.notice.bad role="alert" { (says) } }
        @if !file.is_readable {
            p.card.notice.bad role="alert" { "Its file is missing or damaged; what follows is what the journal knows." }
        }
        section.card {
            p { b { (line.name) } " " (state(line)) }
            dl.pairs {
                dt { "digest" } dd { code { (line.digest) } }
                dt { "pack" } dd { (line.pack) }
                dt { "learned from" } dd { (count(line.learned.0)) " rows, of which " (count(line.learned.1)) " frauds" }
                @for (name, value) in &file.card { dt { (name) } dd { (value) } }
                dt { "kept" } dd { (moment(line.at)) " by " (line.by) }
            }
            @if !file.limits.is_empty() { p.notice { (file.limits) } }
            @if file.is_readable && viewer.may(Capability::WriteRules) {
                form.row method="post" action=(path(&line.digest)) {
                    input type="hidden" name="deed" value="try";
                    button { "Make a version of the bundle in force with it" }
                }
                p.muted { "The version is then tried on the past and watched in shadow like any other." }
            }
        }
        @if let Some((version, found)) = &file.found {
            p { "Measured on this installation's own past: " a href=(format!("/console/rules/versions/{version}")) { "backtest of " (short(version)) } }
            (svg::worth(found))
        }
        @if !file.importance.is_empty() { (importance(&file.importance)) }
        @if !file.calibration.is_empty() {
            section.card {
                h2 { "Calibration it carries" }
                (svg::line("From the model's score to a probability", ("score", "probability"), &file.calibration, false))
            }
        }
        section.card {
            h2 { "Champion and challenger" }
            @if file.comparisons.is_empty() { (nothing("It was not compared: caponier fraud models challenge does.")) }
            @else { div.scroll { table.stack {
                thead { tr { th { "when" } th { "champion" } th { "challenger" } th { "challenger less champion" } th.number { "rows" } } }
                tbody { @for comparison in &file.comparisons { tr { (comparison_of(comparison)) } } }
            } } }
        }
    }
}

fn importance(features: &[(String, f64)]) -> Markup {
    html! {
        section.card {
            h2 { "What it looks at" }
            p.muted { "Share of all gain in training." }
            dl.bars { @for (name, share) in features.iter().take(IMPORTANCE_SHOWN) {
                dt { code { (name) } }
                dd { progress max="1" value=(format!("{share:.4}")) aria-label=(name) {} }
                dd { (format!("{:.1} %", share * 100.0)) }
            } }
        }
    }
}

fn comparison_of(comparison: &Comparison) -> Markup {
    html! {
        td data-label="when" { (moment(comparison.at)) }
        td data-label="champion" { a href=(path(&comparison.champion)) { (short(&comparison.champion)) } }
        td data-label="challenger" { a href=(path(&comparison.challenger)) { (short(&comparison.challenger)) } }
        td data-label="difference" {
            ul.plain { @for (name, observed, low, high) in &comparison.differences { li {
                (name) " " b { (signed(*observed)) } " " span.muted { "from " (signed(*low)) " to " (signed(*high)) }
                @if *low > 0 { " " (badge(Tone::Good, "better")) } @else if *high < 0 { " " (badge(Tone::Bad, "worse")) }
            } } }
        }
        td.number data-label="rows" { (count(comparison.rows.0)) }
    }
}

/// Millionths with a sign, exact to the fourth place.
fn signed(millionths: i64) -> String {
    let sign = if millionths < 0 { '-' } else { '+' };
    let size = millionths.unsigned_abs();
    format!("{sign}{}.{:04}", size / 1_000_000, size % 1_000_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_signs() {
        assert_eq!([0, 123_456, -1_500_000].map(signed), ["+0.0000", "+0.1234", "-1.5000"]);
    }
}
