//! Charts drawn on the server: no script, no inline style, a table with the same numbers beside each.

pub(crate) mod bars;
pub(crate) mod layers;
mod qr;

pub(crate) use self::qr::qr;

use maud::{Markup, PreEscaped, html};

use crate::{
    time::count,
    view::{Second, rules::FoundModel},
};

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

/// Side of a chart of shares, in units of the view box.
const SIDE: f64 = 200.0;

fn polyline(points: &[(f64, f64)], x: (f64, f64), y: (f64, f64)) -> String {
    let at = |value: f64, (low, high): (f64, f64)| {
        let span = if high > low { high - low } else { 1.0 };
        (value.clamp(low, high) - low) / span * SIDE
    };
    let mut text = String::new();
    for (a, b) in points {
        text.push_str(&format!("{:.1},{:.1} ", at(*a, x), SIDE - at(*b, y)));
    }
    text
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((0.0, 1.0), |(low, high), value| (f64::min(low, value), f64::max(high, value)))
}

/// A line through points, with a table of them. Axes reach from 0 to 1, and farther where points lie beyond.
pub(crate) fn line(title: &str, (x, y): (&str, &str), points: &[(f64, f64)]) -> Markup {
    let (across, up) = (range(points.iter().map(|point| point.0)), range(points.iter().map(|point| point.1)));
    html! {
        figure.curve {
            svg viewBox=(format!("-4 -4 {} {}", SIDE + 8.0, SIDE + 8.0)) role="img" aria-label=(format!("{title}: {y} over {x}")) {
                rect x="0" y="0" width=(SIDE) height=(SIDE) {}
                polyline points=(polyline(points, across, up)) {}
            }
            figcaption { (title) span.muted { " " (y) " over " (x) ", from " (format!("{:.2}", across.0)) " to " (format!("{:.2}", across.1)) } }
            details {
                summary { "As a table" }
                table {
                    thead { tr { th.number { (x) } th.number { (y) } } }
                    tbody { @for (a, b) in points { tr { td.number { (format!("{a:.4}")) } td.number { (format!("{b:.4}")) } } } }
                }
            }
        }
    }
}

/// What a score is worth: precision over recall, and what happened over what was said.
pub(crate) fn worth(found: &FoundModel) -> Markup {
    let curve: Vec<(f64, f64)> =
        found.curve.iter().map(|(_, recall, precision)| (*recall, *precision)).collect();
    let reliability: Vec<(f64, f64)> = found.reliability.iter().map(|(_, said, was)| (*said, *was)).collect();
    html! {
        section.card {
            h2 { "What the score is worth" }
            p { (count(found.rows)) " records with a known outcome, of which " (count(found.frauds)) " were fraud." }
            dl.tiles { @for (name, value) in &found.figures { div { dt { (name) } dd { (format!("{value:.4}")) } } } }
            div.grid {
                (line("Precision and recall", ("recall", "precision"), &curve))
                (line("Calibration", ("said", "was"), &reliability))
            }
        }
    }
}
