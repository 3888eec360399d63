//! Cases: what to look at first, and what people decide about it.

use domain::UnixNanos;
use identity::Capability;
use maud::{Markup, html};

use super::{
    badge, decisions, ends, headed, heading,
    moments::{account_of, graph_of, timeline},
    nothing,
};
use crate::{
    icons::icon,
    ports::Viewer,
    query::address,
    svg::layers::short,
    time::{amount, count, moment, span},
    view::{AppealLine, CaseFile, CaseFilter, CaseLine, CasePage, HeldLine, Links, Tone},
};

/// What a case may turn out to be, with what follows.
const DISPOSITIONS: [(&str, &str); 3] = [
    ("legitimate", "legitimate: it was the customer"),
    ("fraud", "fraud: it was not"),
    ("inconclusive", "inconclusive: nobody knows, nothing is learned"),
];
pub(crate) const STATES: [&str; 4] = ["open", "assigned", "proposed", "resolved"];
pub(crate) const PRIORITIES: [&str; 4] = ["low", "medium", "high", "critical"];
pub(crate) const ABOUT: [&str; 4] = ["account", "address", "network", "other"];
pub(crate) const SOURCES: [&str; 6] =
    ["appeal", "chain_alert", "decision", "fraud_alert", "screening", "suspicion"];
/// Characters of an entity shown in a list.
const ENTITY_CHARS: usize = 40;
/// Characters of a name among the links beside a case.
const LINK_CHARS: usize = 28;

/// The address of a list.
pub(crate) fn list_of(path: &str, wanted: &CaseFilter, after: Option<u64>) -> String {
    let after = after.map(|after| after.to_string());
    address(
        path,
        &[
            ("all", wanted.all.then_some("1")),
            ("state", wanted.state.as_deref()),
            ("priority", wanted.priority.as_deref()),
            ("about", wanted.about.as_deref()),
            ("source", wanted.source.as_deref()),
            ("assignee", wanted.assignee.as_deref()),
            ("q", wanted.text.as_deref()),
            ("after", after.as_deref()),
        ],
    )
}

pub(crate) fn list(page: &CasePage, wanted: &CaseFilter, viewer: &Viewer) -> Markup {
    let lines = &page.lines;
    let may_work = viewer.may(Capability::WorkCases);
    let back = list_of("/console/cases", wanted, wanted.after);
    html! {
        (headed("Cases", "What belongs together about one customer or address, the most urgent first.", &html! {
            a.button.plain href=(list_of("/console/export/cases.csv", wanted, None)) { "Export CSV" }
            a.button.plain href=(list_of("/console/export/cases.ndjson", wanted, None)) { "Export NDJSON" }
        }))
        dl.tiles.small {
            div { dt { "open" } dd { (count(u64::try_from(page.open).unwrap_or(u64::MAX))) } dd.beside { "wait for people" } }
            div.(if page.overdue > 0 { "bad" } else { "good" }) { dt { "overdue" } dd { (count(u64::try_from(page.overdue).unwrap_or(u64::MAX))) } dd.beside { "past their time, unseen" } }
        }
        section.card {
            (filter(wanted, viewer))
            @if lines.is_empty() {
                (nothing(if *wanted == CaseFilter::default() { "No case: nothing waits for people." } else { "No case is like that." }))
            } @else if may_work {
                form #bulk method="post" action="/console/cases/bulk" {
                    input type="hidden" name="back" value=(back);
                    (table(page, true))
                    (bulk())
                }
            } @else { (table(page, false)) }
            p.pager {
                @if wanted.after.is_some() { a href=(list_of("/console/cases", wanted, None)) { "First page" } }
                @if page.after.is_some() { a rel="next" href=(list_of("/console/cases", wanted, page.after)) { "Next page" } }
            }
            p.muted { "Export all alerts, whatever the filter: "
                a href="/console/export/alerts.csv" { "as CSV" } ", "
                a href="/console/export/alerts.ndjson" { "as NDJSON" }
            }
        }
    }
}

fn choice(name: &str, label: &str, any: &str, options: &[&str], chosen: Option<&str>) -> Markup {
    html! {
        label { (label) select name=(name) {
            option value="" { (any) }
            @for option in options { option value=(option) selected[chosen == Some(option)] { (option.replace('_', " ")) } }
        } }
    }
}

fn filter(wanted: &CaseFilter, viewer: &Viewer) -> Markup {
    let mine = CaseFilter { assignee: Some(viewer.actor.id().to_owned()), ..CaseFilter::default() };
    let everything = CaseFilter { all: true, ..CaseFilter::default() };
    let ways = [
        ("Open, by urgency", CaseFilter::default()),
        ("Mine", mine),
        (
            "Waiting for a second person",
            CaseFilter { state: Some("proposed".to_owned()), ..CaseFilter::default() },
        ),
        ("All, newest first", everything),
    ];
    html! {
        p.chips { @for (words, way) in &ways {
            a href=(list_of("/console/cases", way, None)) aria-current=[(way == &CaseFilter { after: None, ..wanted.clone() }).then_some("true")] { (words) }
        } }
        form.row.filter method="get" action="/console/cases" {
            label { "Text" input type="search" name="q" maxlength="160" value=(wanted.text.as_deref().unwrap_or_default()); }
            (choice("state", "State", "any", &STATES, wanted.state.as_deref()))
            (choice("priority", "At least", "any priority", &PRIORITIES, wanted.priority.as_deref()))
            (choice("about", "About", "anything", &ABOUT, wanted.about.as_deref()))
            (choice("source", "Because of", "anything", &SOURCES, wanted.source.as_deref()))
            label { "Assigned to" input name="assignee" maxlength="64" value=(wanted.assignee.as_deref().unwrap_or_default()); }
            label.check { input type="checkbox" name="all" value="1" checked[wanted.all]; " closed ones too" }
            button { "Filter" }
        }
    }
}

fn table(page: &CasePage, with_boxes: bool) -> Markup {
    html! {
        div.scroll { table.stack.queue {
            thead { tr {
                @if with_boxes { th { span.hidden { "choose" } } }
                th { "case" } th { "priority" } th { "about" } th.number { "expected loss" } th { "state" }
                th { "look by" } th { "newest reason" }
            } }
            tbody { @for line in &page.lines { tr data-row {
                @if with_boxes { td.box data-label="choose" {
                    @if line.state != "resolved" {
                        input type="checkbox" name="case" value=(format!("{}.{}", line.id, line.revision)) aria-label=(format!("choose case {}", line.id));
                    }
                } }
                td data-label="case" { a href=(format!("/console/cases/{}", line.id)) { "case-" (line.id) } }
                td data-label="priority" { (badge(urgency(&line.priority), &line.priority)) }
                td data-label="about" { (about(&line.entity)) }
                td.number data-label="expected loss" {
                    @if let Some(loss) = &line.expected_loss { (amount(loss)) } @else { span.muted { "unknown" } }
                }
                td data-label="state" {
                    (line.state) @if let Some(who) = &line.assignee { span.muted { " " (who) } }
                }
                td data-label="look by" { (clock(line, page.now)) }
                td data-label="newest reason" { code { (line.newest) } @if line.triggers > 1 { " " span.muted { (line.triggers) " in all" } } }
            } } }
        } }
    }
}

/// What can be done with several at once; each is looked at by itself, and what came of each is told.
fn bulk() -> Markup {
    html! {
        fieldset.bulk {
            legend { "With those chosen" }
            button name="deed" value="assign" data-key="a" formnovalidate { "Assign to me" }
            label { "Reason" input name="text" data-key="r" maxlength="2000" placeholder="needed for what follows"; }
            button.plain name="deed" value="note" { "Write down" }
            button.plain name="deed" value="propose" { "Propose release" }
            label { "It was" (dispositions(false)) }
            button.plain name="deed" value="resolve" { "Close" }
            p.muted { "A release needs a second person, one withdrawal at a time, on the page of the case." }
        }
    }
}

fn dispositions(required: bool) -> Markup {
    html! {
        select name="disposition" required[required] {
            option value="" { "choose" }
            @for (name, words) in DISPOSITIONS { option value=(name) { (words) } }
        }
    }
}

/// What came of a bulk action.
pub(crate) fn outcome(deed: &str, done: &[(u64, Result<String, String>)], back: &str) -> Markup {
    let failed = done.iter().filter(|(_, result)| result.is_err()).count();
    html! {
        (heading("Done", "What came of each."))
        p.card.notice.(if failed > 0 { "bad" } else { "good" }) role="status" {
            (deed) ": " (done.len() - failed) " done" @if failed > 0 { ", " (failed) " not" } "."
        }
        section.card {
            div.scroll { table.stack {
                thead { tr { th { "case" } th { "result" } th { "what happened" } } }
                tbody { @for (case, result) in done { tr data-row {
                    td data-label="case" { a href=(format!("/console/cases/{case}")) { "case-" (case) } }
                    @match result {
                        Ok(says) => { td data-label="result" { (badge(Tone::Good, "done")) } td data-label="what" { (says) } }
                        Err(says) => { td data-label="result" { (badge(Tone::Bad, "not done")) } td data-label="what" { (says) } }
                    }
                } } }
            } }
            p.pager { a href=(back) { "Back to the list" } }
        }
    }
}

/// How much time is left, as a clock that fills.
fn clock(line: &CaseLine, now: UnixNanos) -> Markup {
    if line.state == "resolved" {
        return html! { span.muted { "closed" } };
    }
    if line.deadline == UnixNanos(u64::MAX) {
        return html! { span.muted { "any time" } };
    }
    let all = line.deadline.since(line.opened_at).as_secs().max(1);
    let gone = now.since(line.opened_at).as_secs().min(all);
    html! {
        div.clock {
            @if line.is_overdue {
                (badge(Tone::Bad, "overdue")) " " span { "by " (span(now.since(line.deadline).as_secs())) }
            } @else if now > line.deadline {
                span.muted { "was looked at" }
            } @else {
                progress max=(all) value=(gone) aria-label="time gone" {}
                span { (span(line.deadline.since(now).as_secs())) " left" }
            }
        }
    }
}

/// Whom a case is about: what it is, and its name.
fn about(entity: &str) -> Markup {
    match entity.split_once(':') {
        Some((kind, name)) if ABOUT.contains(&kind) => html! {
            span.about title=(name) { (icon(if kind == "network" { "network address" } else { kind })) span { span.muted { (kind) } " " b { (short(name, ENTITY_CHARS)) } } }
        },
        _ => html! { span title=(entity) { (short(entity, ENTITY_CHARS)) } },
    }
}

fn urgency(priority: &str) -> Tone {
    match priority {
        "critical" | "high" => Tone::Bad,
        "medium" => Tone::Warn,
        _ => Tone::Plain,
    }
}

/// The cases of a customer, in short.
pub(crate) fn brief(lines: &[CaseLine]) -> Markup {
    if lines.is_empty() {
        return nothing("No case about it.");
    }
    html! {
        ul.plain { @for line in lines { li {
            a href=(format!("/console/cases/{}", line.id)) { "case-" (line.id) } " "
            (badge(urgency(&line.priority), &line.priority)) " " (line.state) " " span.muted { (line.newest) }
        } } }
    }
}

pub(crate) fn one(file: &CaseFile, viewer: &Viewer, says: Option<&str>) -> Markup {
    let line = &file.line;
    let is_open = file.resolution.is_none();
    let may_work = is_open && viewer.may(Capability::WorkCases);
    let score = file.found.iter().find_map(|found| found.score.as_ref());
    html! {
        (headed(&format!("Case {}", line.id), "What came together, what waits, and what people did.", &html! {
            @if let Some(account) = &file.account {
                a.button.plain href=(account_of(account)) { "Everything of this customer" }
                a.button.plain href=(graph_of(&format!("account:{account}"))) { "Who shares what" }
            }
            @if let Some(text) = &file.address {
                a.button.plain href=(super::address::page_of(None, text)) { "The address" }
                a.button.plain href=(graph_of(&format!("address:{text}"))) { "Who deals with it" }
            }
        }))
        @if let Some(says) = says { p.card.notice.bad role="alert" { (says) } }
        section.card.summary {
            div.who-about {
                p.name { (about(&line.entity)) }
                p {
                    (badge(urgency(&line.priority), &line.priority)) " "
                    @if let Some(resolution) = &file.resolution { (badge(Tone::Good, "resolved")) " " (resolution) }
                    @else { (badge(Tone::Plain, &line.state)) @if let Some(who) = &line.assignee { " " b { (who) } " works on it" } @else { " nobody works on it" } }
                }
            }
            dl.facts {
                div { dt { "expected loss" } dd { @if let Some(loss) = &line.expected_loss { (amount(loss)) } @else { "unknown" } } }
                @if let Some(score) = score { div { dt { "model" } dd { (percent(score.ppm)) } } }
                div { dt { "opened" } dd.moment { (moment(line.opened_at)) } }
                @if is_open { div { dt { "look by" } dd.moment { (moment(line.deadline)) (clock(line, file.now)) } } }
            }
        }
        div.split {
            div {
                @if !file.appeals.is_empty() {
                    section.card #appeals {
                        h2 { "Appeals" }
                        ul.plain { @for appeal in &file.appeals { li data-row { (appealed(file, appeal, viewer)) } } }
                    }
                }
                @if !file.held.is_empty() {
                    section.card {
                        h2 { "Withdrawals that wait or waited" }
                        ul.plain { @for held in &file.held { li data-row { (withdrawal(file, held, viewer)) } } }
                    }
                }
                @if !file.found.is_empty() {
                    section.card {
                        h2 { "Why" }
                        (decisions::findings(&file.found))
                    }
                }
            }
            aside aria-label="Work and links" {
                @if may_work { (work(file, viewer)) }
                section.card {
                    h2 { "Linked" }
                    (linked(&file.links))
                }
            }
        }
        section.card {
            h2 { "Timeline" }
            (timeline(&file.moments, "Nothing is known of it any more."))
            @if let Some(account) = &file.account {
                p.pager { a href=(account_of(account)) { "All " (count(file.moments_in_all)) " entries of this customer" } }
            }
        }
    }
}

/// `12.3 %` of millionths.
pub(crate) fn percent(ppm: u32) -> String {
    format!("{}.{} %", ppm / 10_000, ppm / 1_000 % 10)
}

/// A form of a case with the fields each has.
fn form(file: &CaseFile, deed: &str, decision: Option<&str>, inside: &Markup) -> Markup {
    html! {
        form.row method="post" action=(format!("/console/cases/{}", file.line.id)) {
            input type="hidden" name="revision" value=(file.revision);
            input type="hidden" name="deed" value=(deed);
            @if let Some(decision) = decision { input type="hidden" name="decision" value=(decision); }
            (inside)
        }
    }
}

/// What somebody says was wrong, and the answer, or the form for one.
fn appealed(file: &CaseFile, appeal: &AppealLine, viewer: &Viewer) -> Markup {
    let tone = match appeal.state.as_str() {
        "overturned" => Tone::Good,
        "upheld" => Tone::Plain,
        _ => Tone::Warn,
    };
    html! {
        p {
            (badge(tone, &appeal.state)) " against "
            @if let Some(decision) = &appeal.decision { a href=(format!("/console/decisions/{decision}")) { "the decision" } }
            @if let Some(ban) = &appeal.ban { "the ban of " code { (ban) } }
            " " span.muted { (moment(appeal.at)) " by " (appeal.by) }
        }
        blockquote.said { (appeal.text) }
        @match &appeal.answer {
            Some((by, reason)) => { p { (by) " answered: " (reason) } }
            None => {
                @if file.resolution.is_none() && viewer.may(Capability::WorkCases) {
                    @if viewer.actor.id().eq_ignore_ascii_case(appeal.by.split_once(':').map_or(appeal.by.as_str(), |(_, name)| name)) {
                        p.muted { "You brought it: somebody else must answer." }
                    } @else {
                        (form(file, "answer", None, &html! {
                            input type="hidden" name="appeal" value=(appeal.id);
                            label { "It was" select name="outcome" required {
                                option value="" { "choose" }
                                option value="overturned" { "wrong: overturn" @if appeal.ban.is_some() { ", the ban is lifted" } }
                                option value="upheld" { "right: uphold" }
                            } }
                            label.grow { "Answer, in words for the customer" input name="text" required maxlength="2000"; }
                            button { "Answer" }
                        }))
                        p.muted { "Overturned, a withdrawal that waits is proposed for release; a second person must agree." }
                    }
                }
            }
        }
    }
}

fn withdrawal(file: &CaseFile, held: &HeldLine, viewer: &Viewer) -> Markup {
    let is_open = file.resolution.is_none();
    let decision = Some(held.decision.as_str());
    let tone = match held.state.as_str() {
        "released" | "used" => Tone::Good,
        "refused" => Tone::Bad,
        _ => Tone::Warn,
    };
    let reason = html! { label.grow { "Reason" input name="text" required maxlength="2000" data-key="r"; } };
    html! {
        p {
            (badge(tone, &held.state)) " "
            @if let Some(asked) = &held.asked {
                b { (amount(&asked.amount)) } " to " (ends(&asked.destination, ENTITY_CHARS)) " "
            }
            span.muted { (moment(held.at)) " UTC" }
        }
        p {
            @for (at, reason) in held.reasons.iter().enumerate() { @if at > 0 { ", " } code { (reason) } }
            " " a href=(format!("/console/decisions/{}", held.decision)) { "The decision" }
        }
        @if !held.detail.is_empty() { p.said { (held.detail) } }
        @if is_open && viewer.may(Capability::WorkCases) && matches!(held.state.as_str(), "held" | "expired") {
            (form(file, "propose", decision, &html! { (reason) button { "Propose release" } }))
        }
        @if is_open && held.state == "proposed" {
            @if viewer.may(Capability::ApproveReleases) {
                (form(file, "approve", decision, &html! { button { "Approve release" } }))
            }
            @if viewer.may(Capability::WorkCases) {
                (form(file, "decline", decision, &html! { (reason) button.plain { "Decline" } }))
            }
        }
    }
}

/// Most links shown beside a case; all of them are on the page of the customer.
const LINKS_SHOWN: usize = 12;

fn linked(all: &Links) -> Markup {
    if all.lines.is_empty() {
        return nothing("Nothing is known to be linked to it.");
    }
    html! {
        ul.links { @for line in all.lines.iter().take(LINKS_SHOWN) { li.(line.kind.replace(' ', "-")) {
            (icon(line.kind))
            span {
                a href=(graph_of(&line.entity)) title=(line.name) { (short(&line.name, LINK_CHARS)) }
                span.muted { (line.how) ", " (count(line.times.into())) @if line.times == 1 { " time" } @else { " times" } }
            }
            @if line.others > 0 { (badge(Tone::Warn, &format!("{} more", line.others))) }
        } } }
        @let left = all.lines.len().saturating_sub(LINKS_SHOWN);
        @if left > 0 || all.more > 0 { p.muted { "And more." } }
        p.muted { "More: others who use the same." }
    }
}

fn work(file: &CaseFile, viewer: &Viewer) -> Markup {
    let me = viewer.actor.id();
    html! {
        section.card {
            h2 { "Work on it" }
            @if file.line.assignee.as_deref() != Some(me) {
                (form(file, "assign", None, &html! {
                    input type="hidden" name="text" value=(me);
                    button data-key="a" { "Assign to me" }
                }))
            }
            details {
                summary { "Assign to somebody else" }
                (form(file, "assign", None, &html! {
                    label.grow { "Name (empty: nobody)" input name="text" maxlength="64"; }
                    button.plain { "Assign" }
                }))
            }
            (form(file, "note", None, &html! {
                label.grow { "Note" input name="text" required maxlength="2000" data-key="n"; }
                button.plain { "Write down" }
            }))
            (form(file, "resolve", None, &html! {
                label.grow { "It was" (dispositions(true)) }
                label.grow { "Reason" input name="text" required maxlength="2000" data-key="e"; }
                button.plain { "Close the case" }
            }))
        }
    }
}
