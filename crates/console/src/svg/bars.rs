//! Bars within rows of a table: the number stands beside each, so the table is its own twin.

use maud::{Markup, PreEscaped, html};

use crate::view::Push;

/// Width of the drawing in units of the view box.
const WIDTH: f64 = 1_000.0;

fn rect(class: &str, from: f64, to: f64) -> String {
    let (from, to) = (from.clamp(0.0, WIDTH), to.clamp(0.0, WIDTH));
    let (x, width) = (from.min(to), (to - from).abs().max(4.0));
    format!(r#"<rect class="{class}" x="{x:.1}" y="2" width="{width:.1}" height="12"/>"#)
}

fn drawn(parts: &str) -> Markup {
    html! { svg.bar viewBox="0 0 1000 16" preserveAspectRatio="none" aria-hidden="true" focusable="false" { (PreEscaped(parts)) } }
}

/// Two shares of a whole, one behind the other.
pub(crate) fn shares(direct: f64, indirect: f64, tone: &str) -> Markup {
    let (direct, indirect) = (direct.clamp(0.0, 1.0), indirect.clamp(0.0, 1.0));
    let mut parts = String::from(r#"<rect class="ground" x="0" y="2" width="1000" height="12"/>"#);
    if indirect > 0.0 {
        parts.push_str(&rect(&format!("indirect {tone}"), direct * WIDTH, (direct + indirect) * WIDTH));
    }
    if direct > 0.0 {
        parts.push_str(&rect(&format!("direct {tone}"), 0.0, direct * WIDTH));
    }
    drawn(&parts)
}

/// What each reason added to a score, every bar where the one above it ends.
pub(crate) fn waterfall(pushes: &[Push]) -> Markup {
    let mut ends = vec![0.0_f64];
    for push in pushes {
        let last = ends.last().copied().unwrap_or(0.0);
        ends.push(last + if push.logit.is_finite() { push.logit } else { 0.0 });
    }
    let least = ends.iter().copied().fold(0.0, f64::min);
    let most = ends.iter().copied().fold(0.0, f64::max);
    let scale = if most - least > 0.0 { WIDTH / (most - least) } else { 0.0 };
    let place = |value: f64| (value - least) * scale;
    let zero = place(0.0);
    let sum = ends.last().copied().unwrap_or(0.0);
    html! {
        div.scroll { table.waterfall.steps {
            thead { tr { th { "reason" } th { "value" } th { span.key.less { "lowers" } " " span.key.more { "raises the risk" } } th.number { "log odds" } } }
            tbody {
                @for (push, ends) in pushes.iter().zip(ends.windows(2)) { tr {
                    td data-label="reason" { (push.name.replace('_', " ")) }
                    td data-label="value" { (push.value) }
                    td.drawing { (drawn(&step(if push.logit < 0.0 { "less" } else { "more" }, zero, place(ends.first().copied().unwrap_or(0.0)), place(ends.last().copied().unwrap_or(0.0))))) }
                    td.number data-label="log odds" { (signed(push.logit)) }
                } }
            }
            @if pushes.len() > 1 { tfoot { tr {
                td { "these together" } td {}
                td.drawing { (drawn(&(rule(zero) + &rect(if sum < 0.0 { "sum less" } else { "sum more" }, zero, place(sum))))) }
                td.number { (signed(sum)) }
            } } }
        } }
    }
}

/// A line from top to bottom.
fn rule(at: f64) -> String {
    let at = at.clamp(0.0, WIDTH);
    format!(r#"<path class="zero" d="M{at:.1},0V16"/>"#)
}

/// A bar, the line of zero, and the thin line down to where the next bar begins.
fn step(class: &str, zero: f64, from: f64, to: f64) -> String {
    let end = to.clamp(0.0, WIDTH);
    format!(r#"{}{}<path class="next" d="M{end:.1},14V16"/>"#, rule(zero), rect(class, from, to))
}

/// With a sign that is as wide as the other.
fn signed(logit: f64) -> String {
    format!("{logit:+.3}").replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bar_begins_where_the_one_above_ends() {
        let push = |logit| Push { name: "a_b".into(), value: "1".into(), logit };
        let drawn = waterfall(&[push(3.0), push(1.0), push(-2.0)]).into_string();
        for part in [
            r#"class="more" x="0.0" y="2" width="750.0""#,
            r#"class="more" x="750.0" y="2" width="250.0""#,
            r#"class="less" x="500.0" y="2" width="500.0""#,
            "+3.000",
            "\u{2212}2.000",
            // The sum begins at zero.
            r#"class="sum more" x="0.0" y="2" width="500.0""#,
            "these together",
        ] {
            assert!(drawn.contains(part), "{part} is not in {drawn}");
        }
        // Nothing to draw, or nothing that is a number, draws no nonsense.
        for pushes in [vec![], vec![push(f64::NAN)], vec![push(0.0)]] {
            assert!(!waterfall(&pushes).into_string().contains("x=\"NaN"));
        }
    }

    #[test]
    fn shares_stay_within_the_whole() {
        let drawn = shares(0.7, 0.9, "bad").into_string();
        assert!(drawn.contains(r#"x="700.0" y="2" width="300.0""#), "{drawn}");
    }
}
