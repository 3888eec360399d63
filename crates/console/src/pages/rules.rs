//! Rules: what is in force, what it did, drafts on their way into force.

use identity::Capability;
use maud::{Markup, html};

use super::{badge, heading, nothing};
use crate::{
    ports::Viewer,
    svg,
    time::{count, moment, stamp},
    view::{
        Mode, Tone,
        rules::{
            Backtested, Book, BuiltIn, Changes, Checked, Compiled, FoundRule, JobLine, RuleLine, RuleSetView,
            VersionFile, VersionLine,
        },
    },
};

/// Examples of a rule that are linked.
const EXAMPLES_SHOWN: usize = 5;
/// Characters of a SHA-256 that are shown.
const SHORT: usize = 12;
/// Rows of the editor.
const EDITOR_ROWS: usize = 28;

/// The beginning of a SHA-256, whole when pointed at.
fn short(sha256: &str) -> Markup {
    html! { code title=(sha256) { (sha256.get(..SHORT).unwrap_or(sha256)) } }
}

fn version_path(sha256: &str) -> String {
    format!("/console/rules/versions/{sha256}")
}

fn percent(share: Option<f64>) -> Markup {
    match share {
        Some(share) => html! { (format!("{:.1} %", share * 100.0)) },
        None => html! { span.muted { "not known" } },
    }
}

fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

fn state_badge(state: &str) -> Markup {
    let tone = match state {
        "in force" | "done" => Tone::Good,
        "in shadow" | "running" | "waiting" => Tone::Warn,
        "failed" => Tone::Bad,
        _ => Tone::Plain,
    };
    badge(tone, state)
}

fn mode_badge(mode: &str, has_effect: bool) -> Markup {
    match (mode, has_effect) {
        ("enforce", true) => badge(Tone::Good, "enforced"),
        ("enforce", false) => badge(Tone::Plain, "watched"),
        _ => badge(Tone::Plain, "shadow"),
    }
}

fn action_badge(action: &str) -> Markup {
    let tone = match action {
        "deny" => Tone::Bad,
        "hold" | "challenge" => Tone::Warn,
        _ => Tone::Plain,
    };
    badge(tone, action)
}

pub(crate) fn list(book: &Book, viewer: &Viewer) -> Markup {
    html! {
        (heading("Rules", "What is asked of every movement of money, what came of it, and what is to come."))
        @for set in &book.sets { (set_of(set, book, viewer)) }
        (built_in(&book.built_in))
        @if book.sets.is_empty() {
            section.card {
                h2 { "Rules of your own" }
                (nothing("None yet: the built-in rules judge alone. Rules of your own come in a bundle, which the configuration names: fraud.bundles and fraud.bundle."))
            }
        }
        (versions(&book.versions))
        @if !book.jobs.is_empty() { (jobs(&book.jobs)) }
    }
}

fn built_in(rules: &[BuiltIn]) -> Markup {
    let enforced = rules.iter().filter(|rule| rule.mode == Mode::Enforcing).count();
    html! {
        section.card #built-in {
            h2 { "Built in" }
            p {
                (plural(u64::try_from(rules.len()).unwrap_or(u64::MAX), "rule", "rules")) " asked of every withdrawal, with and without a bundle; "
                (enforced) " enforced. The configuration names those that only watch (" code { "fraud.shadow" } ") and those that are not asked (" code { "fraud.off" } ")."
            }
            div.scroll { table.stack {
                thead { tr { th { "rule" } th { "looks for" } th { "asks for" } th { "mode" } } }
                tbody { @for rule in rules { tr data-row {
                    td data-label="rule" { code { (rule.name) } }
                    td data-label="looks for" { (rule.says) }
                    td data-label="asks for" { (action_badge(rule.action)) }
                    td data-label="mode" { @match rule.mode {
                        Mode::Enforcing => (badge(Tone::Good, "enforced")),
                        Mode::Shadow => (badge(Tone::Warn, "shadow")),
                        other => (badge(Tone::Plain, other.as_str())),
                    } }
                } } }
            } }
        }
    }
}

fn set_of(set: &RuleSetView, book: &Book, viewer: &Viewer) -> Markup {
    let is_active = set.place == "active";
    let rules = u64::try_from(set.lines.len()).unwrap_or(u64::MAX);
    html! {
        section.card {
            h2 { @if is_active { "In force" } @else { "In shadow" } }
            p {
                b { (set.rules) } ", " (plural(rules, "rule", "rules")) ", in bundle " (set.bundle) " " (short(&set.sha256)) " "
                @if set.has_effect { (badge(Tone::Good, "has an effect")) }
                @else { (badge(Tone::Warn, "only watched")) }
            }
            p.pager {
                a href=(format!("/console/rules/source?of={}", set.sha256)) { "Source" }
                @if is_active && viewer.may(Capability::WriteRules) { a href="/console/rules/edit" { "Draft a new version" } }
                @if !is_active { a href=(version_path(&set.sha256)) { "This version" } }
            }
            div.scroll { table.stack {
                thead { tr {
                    th { "rule" } th { "asks for" } th { "mode" } th.number { "today" } th.number { "7 days" }
                    th.number { "right" } th.number { "honest customers" } th { "owner" }
                } }
                tbody { @for line in &set.lines { tr data-row { (line_of(line, set.has_effect)) } } }
            } }
            p.muted {
                "Counted are decisions and alerts that name the rule. Right: the share of fraud among those whose outcome is known."
                @if let Some(since) = book.since { " Remembered are those since " (moment(since)) "." }
            }
        }
    }
}

fn line_of(line: &RuleLine, has_effect: bool) -> Markup {
    let known = line.fraud + line.good;
    #[expect(clippy::cast_precision_loss, reason = "a share for people to read")]
    let right = (known > 0).then(|| line.fraud as f64 / known as f64);
    html! {
        td data-label="rule" {
            details {
                summary { (line.title) }
                p { code { (line.id) } }
                pre { code { (line.when) } }
                p.muted { (line.reason) }
                p.muted { (plural(u64::try_from(line.fixtures).unwrap_or(0), "example", "examples")) }
            }
        }
        td data-label="asks for" { (action_badge(&line.action)) }
        td data-label="mode" { (mode_badge(&line.mode, has_effect)) }
        td.number data-label="today" { (count(line.today)) }
        td.number data-label="7 days" { (count(line.week)) }
        td.number data-label="right" { span { (percent(right)) @if known > 0 { span.muted { " of " (count(known)) } } } }
        td.number data-label="honest" { (count(line.good_accounts)) }
        td data-label="owner" { (line.owner) }
    }
}

fn versions(lines: &[VersionLine]) -> Markup {
    html! {
        section.card {
            h2 { "Versions" }
            @if lines.is_empty() { (nothing("None is kept yet. A draft becomes a version when it compiles.")) }
            @else {
                div.scroll { table.stack {
                    thead { tr { th { "version" } th { "state" } th { "for" } th { "by" } th { "kept" } th { "backtest" } } }
                    tbody { @for line in lines.iter().take(crate::ROWS_MAX) { tr data-row {
                        td data-label="version" { span { a href=(version_path(&line.sha256)) { (line.rules) } " " (short(&line.sha256)) } }
                        td data-label="state" { (state_badge(line.state)) }
                        td data-label="for" { (line.note) }
                        td data-label="by" { (line.by) }
                        td data-label="kept" { (moment(line.at)) }
                        td data-label="backtest" {
                            @if line.tested.is_empty() { span.muted { "none" } } @else { (stamp(&line.tested)) }
                        }
                    } } }
                } }
            }
        }
    }
}

fn jobs(jobs: &[JobLine]) -> Markup {
    html! {
        section.card {
            h2 { "Backtests" }
            ul.plain { @for job in jobs { li {
                (state_badge(job.state)) " of " a href=(version_path(&job.sha256)) { (short(&job.sha256)) }
                ", " (plural(job.days, "day", "days")) ", by " (job.by)
                @if job.state == "running" { ", " (job.percent) " %" }
                @if !job.says.is_empty() { p.muted { (job.says) } }
            } } }
        }
    }
}

pub(crate) fn source(sha256: &str, text: &str, viewer: &Viewer) -> Markup {
    html! {
        (heading("Source of rules", "As they were written, comments included."))
        section.card {
            p { "Bundle " code { (sha256) } }
            @if viewer.may(Capability::WriteRules) {
                p { a href=(format!("/console/rules/edit?of={sha256}")) { "Draft a new version from it" } }
            }
            (numbered(text))
        }
    }
}

/// A text with numbers of lines, which faults are told by.
fn numbered(text: &str) -> Markup {
    html! { ol.source tabindex="0" aria-label="Source" { @for line in text.lines() { li { code { (line) } } } } }
}

/// The editor; with what came of the last check.
pub(crate) fn edit(text: &str, note: &str, checked: Option<&Checked>, says: Option<&str>) -> Markup {
    html! {
        (heading("Draft of rules", "Check it until it compiles, keep it, then try it on the past. Nothing here judges anybody."))
        @if let Some(says) = says { p.card.notice.bad role="alert" { (says) } }
        @match checked {
            Some(Checked::Faulty(faults, more)) => {
                section.card.notice.bad role="alert" #faults {
                    h2 { (plural(u64::try_from(faults.len() + more).unwrap_or(u64::MAX), "fault", "faults")) }
                    ul.plain { @for fault in faults { li {
                        p {
                            @if fault.line > 0 { b { "line " (fault.line) ", column " (fault.column) } ": " }
                            @if !fault.rule.is_empty() { code { (fault.rule) } ": " }
                            (fault.message)
                        }
                        @if !fault.excerpt.is_empty() { pre { code { (fault.excerpt) } } }
                    } } }
                    @if *more > 0 { p { "and " (more) " more" } }
                }
            }
            Some(Checked::Good(compiled)) => {
                section.card.notice.good role="status" #compiles {
                    h2 { "It compiles" }
                    p { b { (compiled.rules) } " makes bundle " (short(&compiled.sha256)) ". "
                        (plural(u64::try_from(compiled.fixtures.len()).unwrap_or(u64::MAX), "example", "examples")) " came out as expected." }
                }
                (changes_of(&compiled.changes))
            }
            None => {}
        }
        section.card {
            form.editor method="post" action="/console/rules/edit" {
                label for="text" { "Rules (TOML; conditions in CEL)" }
                textarea #text name="text" rows=(EDITOR_ROWS) spellcheck="false" autocomplete="off" required { "\n" (text) }
                label for="note" { "What this version is for" }
                input #note name="note" maxlength="1000" value=(note);
                p.buttons {
                    button name="deed" value="check" { "Check" }
                    button name="deed" value="keep" { "Keep as a version" }
                    a href="/console/rules" { "Back without keeping" }
                }
            }
            p.muted { "Raise version under [pack] with every change. A rule without mode is in shadow." }
        }
    }
}

fn changes_of(changes: &Changes) -> Markup {
    let is_empty = *changes == Changes::default();
    html! {
        section.card {
            h2 { "Beside the rules in force" }
            @if is_empty { (nothing("Nothing that has an effect is different.")) }
            @if !changes.unrehearsed.is_empty() {
                p.notice.bad role="note" {
                    "Enforced though never watched in shadow as they are: "
                    @for (at, rule) in changes.unrehearsed.iter().enumerate() { @if at > 0 { ", " } code { (rule) } }
                }
            }
            dl.pairs {
                @if !changes.added.is_empty() { dt { "added" } dd { (changes.added.join(", ")) } }
                @if !changes.removed.is_empty() { dt { "removed" } dd { (changes.removed.join(", ")) } }
                @for list in &changes.lists { dt { "list" } dd { (list) } }
            }
            @if !changes.changed.is_empty() {
                div.scroll { table.stack {
                    thead { tr { th { "rule" } th { "what" } th { "before" } th { "after" } } }
                    tbody { @for [rule, field, before, after] in &changes.changed { tr {
                        td data-label="rule" { code { (rule) } }
                        td data-label="what" { (field) }
                        td data-label="before" { code { (before) } }
                        td data-label="after" { code { (after) } }
                    } } }
                } }
            }
        }
    }
}

pub(crate) fn one(file: &VersionFile, in_force: Option<&str>, viewer: &Viewer, says: Option<&str>) -> Markup {
    let line = &file.line;
    html! {
        (heading("Version of rules", "What it says, what it would have done, and how it comes into force."))
        @if let Some(says) = says { p.card.notice.bad role="alert" { (says) } }
        section.card {
            p { b { (line.rules) } " " (state_badge(line.state)) }
            dl.pairs {
                dt { "SHA-256" } dd { code { (line.sha256) } }
                @if !line.by.is_empty() {
                    dt { "for" } dd { (line.note) }
                    dt { "by" } dd { (line.by) }
                    dt { "kept" } dd { (moment(line.at)) }
                }
                @if let Some(judged) = file.judged_in_shadow { dt { "judged in shadow" } dd { (count(judged)) } }
            }
            @if !file.text.is_empty() {
                p { a href=(format!("/console/rules/source?of={}", line.sha256)) { "Source" } }
            }
        }
        (steps(file, in_force, viewer))
        @if line.state != "in force" { (changes_of(&file.compiled.changes)) }
        @if let Some(found) = &file.found { (report(found)) }
        (fixtures(&file.compiled))
    }
}

fn form(file: &VersionFile, deed: &str, inside: &Markup) -> Markup {
    html! {
        form.row method="post" action=(version_path(&file.line.sha256)) {
            input type="hidden" name="deed" value=(deed);
            (inside)
        }
    }
}

fn steps(file: &VersionFile, in_force: Option<&str>, viewer: &Viewer) -> Markup {
    let may_write = viewer.may(Capability::WriteRules);
    let state = file.line.state;
    html! {
        section.card {
            h2 { "On its way" }
            @if let Some(job) = &file.job {
                p {
                    "Backtest of " (plural(job.days, "day", "days")) " by " (job.by) ": " (state_badge(job.state))
                    @if matches!(job.state, "running" | "waiting") {
                        " " (job.percent) " % " a href=(version_path(&file.line.sha256)) { "Look again" }
                    }
                    @if !job.says.is_empty() { " " (job.says) }
                }
                @if may_write && matches!(job.state, "running" | "waiting") {
                    (form(file, "cancel", &html! {
                        input type="hidden" name="job" value=(job.id);
                        button { "Cancel the backtest" }
                    }))
                }
            }
            ol.steps {
                li {
                    p { b { "Try it on the past. " }
                        @if file.found.is_some() { "Done; see below." } @else { "The journal is played again through it; nothing else notices." } }
                    @if may_write {
                        (form(file, "backtest", &html! {
                            label { "Days back" input name="days" type="number" min="1" max="3650" value="30" required; }
                            button { "Backtest" }
                        }))
                    }
                }
                li {
                    p { b { "Watch it in shadow. " } "It judges what happens now, without any effect, beside the rules in force." }
                    @if may_write && file.found.is_some() && !matches!(state, "in force" | "in shadow") {
                        (form(file, "shadow", &html! { button { "Put in shadow" } }))
                    }
                    @if may_write && state == "in shadow" {
                        (form(file, "end_shadow", &html! { button { "Take out of shadow" } }))
                    }
                }
                li {
                    p { b { "Put it in force. " } "One person proposes what is in shadow, another agrees to exactly this version." }
                    @if may_write && state == "in shadow" && file.found.is_some() {
                        (form(file, "publish", &html! {
                            label { "Reason" input name="text" required maxlength="1000"; }
                            button { "Propose" }
                        }))
                    }
                }
                @if file.may_return && viewer.may(Capability::ApproveRules) && let Some(in_force) = in_force {
                    li {
                        p { b { "Return to it. " } "It was in force before; it takes the place of the present one at once." }
                        (form(file, "return", &html! {
                            input type="hidden" name="from" value=(in_force);
                            label { "Reason" input name="text" required maxlength="1000"; }
                            button { "Return to this version" }
                        }))
                    }
                }
            }
        }
    }
}

/// After a proposal.
pub(crate) fn proposed(version: &str, change: &str) -> Markup {
    html! {
        (heading("Proposed", "It waits for somebody else, who agrees to exactly this version."))
        section.card.notice.good role="status" {
            p {
                a href=(format!("/console/changes/{}", change.trim_start_matches("chg-"))) { "Change request " (change) }
                " is open. Somebody else who has " code { "approve_rules" } " looks at it and approves it."
            }
            p { a href=(version_path(version)) { "Back to the version" } }
        }
    }
}

fn report(found: &Backtested) -> Markup {
    let tile = |name: &str, value: &str| html! { div { dt { (name) } dd { (value) } } };
    html! {
        section.card #backtest {
            h2 { "On the past" }
            p { (stamp(&found.from)) " to " (stamp(&found.until)) ", done " (stamp(&found.at)) " for " (found.by) }
            dl.tiles {
                (tile("judged", &count(found.events)))
                (tile("known fraud", &count(found.fraud)))
                (tile("known honest", &count(found.good)))
                (tile("honest customers troubled", &count(found.good_troubled)))
            }
            @if found.is_at_least { p.notice { "Numbers of customers are at least what is shown." } }
            @if found.events == 0 { (nothing("Nothing was judged in that stretch.")) }
            @if !found.rules.is_empty() {
                div.scroll { table.stack {
                    thead { tr {
                        th { "rule" } th { "asks for" } th.number { "hits" } th.number { "in force" } th.number { "right" }
                        th.number { "of all fraud" } th.number { "customers" } th.number { "honest" } th { "examples" }
                    } }
                    tbody { @for rule in &found.rules { tr data-row { (found_rule(rule, !found.compared_with.is_empty())) } } }
                } }
                p.muted { "Right and of all fraud rest on what labels say by now; what nobody knows counts in neither." }
            }
        }
        @if let Some(model) = &found.model { (svg::worth(model)) }
    }
}

fn found_rule(rule: &FoundRule, is_compared: bool) -> Markup {
    html! {
        td data-label="rule" { code { (rule.rule) } }
        td data-label="asks for" { span { (action_badge(&rule.action)) " " @if rule.mode == "shadow" { span.muted { "shadow" } } } }
        td.number data-label="hits" { (count(rule.hits)) }
        td.number data-label="in force" {
            @match (rule.hits_before, is_compared) {
                (Some(hits), _) => (count(hits)),
                (None, true) => span.muted { "not there" },
                (None, false) => span.muted { "this one" },
            }
        }
        td.number data-label="right" { (percent(rule.precision)) }
        td.number data-label="of all fraud" { (percent(rule.recall)) }
        td.number data-label="customers" { (count(rule.accounts)) }
        td.number data-label="honest" { (count(rule.good_accounts)) }
        td data-label="examples" {
            @if rule.examples.is_empty() { span.muted { "none" } }
            @else { details {
                summary { (rule.examples.len().min(EXAMPLES_SHOWN)) }
                ul.plain { @for (text, href) in rule.examples.iter().take(EXAMPLES_SHOWN) { li { a href=(href) { code { (text) } } } } }
            } }
        }
    }
}

fn fixtures(compiled: &Compiled) -> Markup {
    html! {
        section.card {
            h2 { "Examples it carries" }
            @if compiled.fixtures.is_empty() { (nothing("None: no rule says whom it is for.")) }
            @else {
                p.muted { "Each was run when the version was loaded, and came out as expected." }
                details {
                    summary { (plural(u64::try_from(compiled.fixtures.len()).unwrap_or(u64::MAX), "example", "examples")) }
                    div.scroll { table.stack {
                        thead { tr { th { "rule" } th { "example" } th { "outcome" } } }
                        tbody { @for (rule, name, fires) in &compiled.fixtures { tr {
                            td data-label="rule" { code { (rule) } }
                            td data-label="example" { (name) }
                            td data-label="outcome" { @if *fires { "fires" } @else { "stays quiet" } }
                        } } }
                    } }
                }
            }
        }
    }
}
