//! Charts drawn on the server: no script, no inline style, a table with the same numbers beside each.

pub(crate) mod bars;
pub(crate) mod layers;

use maud::{Markup, PreEscaped, html};

use crate::{time::count, view::Second};

/// Drawn size in units of the view box; the style sheet scales it.
const WIDTH: u64 = 600;
const HEIGHT: u64 = 120;

/// Requests answered and refused in each of the last seconds, as stacked areas, with the numbers of every tenth second
/// in a table.
pub(crate) fn traffic(seconds: &[Second]) -> Markup {
    let peak = seconds.iter().map(|second| second.forwarded + second.refused).max().unwrap_or(0);
    let most = peak.max(1);
    let last = u64::try_from(seconds.len().saturating_sub(1)).unwrap_or(0).max(1);
    let line = |value: fn(&Second) -> u64| {
        let mut points = String::new();
        for (at, second) in (0u64..).zip(seconds) {
            let (x, y) = (at * WIDTH / last, HEIGHT - value(second) * HEIGHT / most);
            points.push_str(&format!("{x},{y} "));
        }
        format!("0,{HEIGHT} {points}{WIDTH},{HEIGHT}")
    };
    let refused = line(|second| second.refused);
    let all = line(|second| second.forwarded + second.refused);
    let now = seconds.last().copied().unwrap_or_default();
    html! {
        figure.chart {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img"
                aria-label=(format!("Requests a second, at most {peak}; now {} answered, {} refused", now.forwarded, now.refused)) {
                polygon.answered points=(PreEscaped(all)) {}
                polygon.refused points=(PreEscaped(refused)) {}
            }
            figcaption {
                span.key.answered { "answered " b { (count(now.forwarded)) } "/s" }
                span.key.refused { "refused " b { (count(now.refused)) } "/s" }
                span.muted { "peak " (count(peak)) "/s in " (seconds.len()) " s" }
            }
            details {
                summary { "As a table" }
                table {
                    thead { tr { th { "seconds ago" } th.number { "answered" } th.number { "refused" } } }
                    tbody {
                        @for (ago, second) in seconds.iter().rev().enumerate().step_by(10) {
                            tr { td { (ago) } td.number { (count(second.forwarded)) } td.number { (count(second.refused)) } }
                        }
                    }
                }
            }
        }
    }
}
