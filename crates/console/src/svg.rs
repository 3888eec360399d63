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

/// Drawn size in units of the view box.
const WIDTH: u64 = 1_200;
const HEIGHT: u64 = 200;
/// Marks of the axis of time, before its end.
const TIME_MARKS: usize = 4;

/// The least even number of one digit and zeros that is not below what is shown: where the axis ends.
fn axis_end(peak: u64) -> u64 {
    let mut decade = 1_u64;
    loop {
        for step in [2, 4, 6, 8, 10] {
            let end = decade.saturating_mul(step);
            if end >= peak || end == u64::MAX {
                return end;
            }
        }
        decade = decade.saturating_mul(10);
    }
}

/// Requests answered and refused in each of the last seconds, one bar each, refusals below, with the numbers of every tenth
/// second in a table.
pub(crate) fn traffic(seconds: &[Second]) -> Markup {
    let all = |second: &Second| second.forwarded + second.refused;
    let peak = seconds.iter().map(all).max().unwrap_or(0);
    let end = axis_end(peak);
    let columns = u64::try_from(seconds.len()).unwrap_or(1).max(1);
    // From the height one sum reaches down to the height another does; nothing is drawn of nothing.
    let bars = |from: fn(&Second) -> u64, to: fn(&Second) -> u64| {
        let mut path = String::new();
        for (at, second) in (0u64..).zip(seconds) {
            let (upper, lower) = (HEIGHT - from(second) * HEIGHT / end, HEIGHT - to(second) * HEIGHT / end);
            // What is too little to be seen is drawn one unit high.
            let upper = if from(second) > to(second) { upper.min(lower.saturating_sub(1)) } else { continue };
            let (left, right) = (at * WIDTH / columns + 1, (at + 1) * WIDTH / columns - 1);
            path.push_str(&format!("M{left},{lower}V{upper}H{right}V{lower}z"));
        }
        path
    };
    let refused = bars(|second| second.refused, |_| 0);
    let answered = bars(|second| second.forwarded + second.refused, |second| second.refused);
    let now = seconds.last().copied().unwrap_or_default();
    html! {
        figure.chart {
            figcaption {
                span.key.answered { "answered " b { (count(now.forwarded)) } "/s" }
                span.key.refused { "refused " b { (count(now.refused)) } "/s" }
                span.muted { "most in " (seconds.len()) " s: " (count(peak)) "/s" }
            }
            div.plot {
                div.axis.up aria-hidden="true" { span { (count(end)) "/s" } span { (count(end / 2)) } span { "0" } }
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img"
                    aria-label=(format!("Requests a second, at most {peak}; now {} answered, {} refused", now.forwarded, now.refused)) {
                    path.rule d=(format!("M0,.5H{WIDTH}M0,{0}H{WIDTH}M0,{HEIGHT}H{WIDTH}", HEIGHT / 2)) {}
                    path.answered d=(PreEscaped(answered)) {}
                    path.refused d=(PreEscaped(refused)) {}
                }
                div.axis.along aria-hidden="true" {
                    @for mark in (1..=TIME_MARKS).rev() { span { (seconds.len() * mark / TIME_MARKS) " s ago" } }
                    span { "now" }
                }
            }
            details #traffic-table {
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
    points.iter().map(|(a, b)| format!("{},{} ", place(*a, x), place_down(*b, y))).collect()
}

fn along(value: f64, (low, high): (f64, f64)) -> f64 {
    let span = if high > low { high - low } else { 1.0 };
    (value.clamp(low, high) - low) / span * SIDE
}

fn place(value: f64, axis: (f64, f64)) -> String {
    format!("{:.1}", along(value, axis))
}

fn place_down(value: f64, axis: (f64, f64)) -> String {
    format!("{:.1}", SIDE - along(value, axis))
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((0.0, 1.0), |(low, high), value| (f64::min(low, value), f64::max(high, value)))
}

/// Marks of an axis, at a quarter each.
const MARKS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// A line through points, with a table of them. Axes reach from 0 to 1, and farther where points lie beyond; where both mean the
/// same, a second line shows where they would be equal.
pub(crate) fn line(title: &str, (x, y): (&str, &str), points: &[(f64, f64)], is_equal_best: bool) -> Markup {
    // What is no number has no place.
    let points: Vec<(f64, f64)> =
        points.iter().copied().filter(|(a, b)| a.is_finite() && b.is_finite()).collect();
    let (across, up) = (range(points.iter().map(|point| point.0)), range(points.iter().map(|point| point.1)));
    let value = |(low, high): (f64, f64), share: f64| format!("{:.2}", low + (high - low) * share);
    html! {
        figure.curve {
            figcaption { b { (title) } " " span.muted { (y) " over " (x) } }
            svg viewBox="-34 -8 250 246" role="img" aria-label=(format!("{title}: {y} over {x}")) {
                @for share in MARKS {
                    path.rule d=(format!("M0,{0:.1}H{SIDE}M{1:.1},0V{SIDE}", SIDE - share * SIDE, share * SIDE)) {}
                    text.up x="-6" y=(format!("{:.1}", SIDE - share * SIDE + 3.0)) { (value(up, share)) }
                    text.along x=(format!("{:.1}", share * SIDE)) y=(SIDE + 13.0) { (value(across, share)) }
                }
                text.along x=(SIDE / 2.0) y=(SIDE + 28.0) { (x) }
                @if is_equal_best && !points.is_empty() { polyline.equal points=(polyline(&[(0.0, 0.0), (1.0, 1.0)], across, up)) {} }
                polyline points=(polyline(&points, across, up)) {}
                @for point in &points { circle r="2.4" cx=(place(point.0, across)) cy=(place_down(point.1, up)) { title { (format!("{x} {:.3}, {y} {:.3}", point.0, point.1)) } } }
            }
            @if is_equal_best { p.muted { "Dashed: where what was said is what was." } }
            details {
                summary { "As a table" }
                table {
                    thead { tr { th.number { (x) } th.number { (y) } } }
                    tbody { @for (a, b) in &points { tr { td.number { (format!("{a:.4}")) } td.number { (format!("{b:.4}")) } } } }
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
            dl.tiles.small { @for (name, value) in &found.figures { div { dt { (name) } dd { (format!("{value:.4}")) } } } }
            div.grid {
                (line("Precision and recall", ("recall", "precision"), &curve, false))
                (line("Calibration", ("said", "was"), &reliability, true))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_a_round_number_that_has_a_half() {
        assert_eq!([0, 1, 2, 3, 5, 11, 399, 401, 688].map(axis_end), [2, 2, 2, 4, 6, 20, 400, 600, 800]);
        assert!((0..2_000).all(|peak| axis_end(peak) >= peak && axis_end(peak).is_multiple_of(2)));
        assert_eq!(axis_end(u64::MAX), u64::MAX);
    }

    #[test]
    fn bars_stand_on_each_other_and_little_is_seen() {
        let drawn = traffic(&[
            Second { forwarded: 10, refused: 10 },
            Second { forwarded: 0, refused: 0 },
            Second { forwarded: 0, refused: 1 },
        ])
        .into_string();
        // The axis ends at 20: refusals fill its lower half, answers the upper one.
        assert!(
            drawn.contains(r#"class="refused" d="M1,200V100H399V200zM801,200V190H1199V200z""#),
            "{drawn}"
        );
        assert!(drawn.contains(r#"class="answered" d="M1,100V0H399V100z""#), "{drawn}");
        assert!(traffic(&[]).into_string().contains("at most 0"));
        let huge = [Second { forwarded: 1, refused: 1_000_000 }];
        assert!(traffic(&huge).into_string().contains(r#"class="answered" d="M1,100V99H1199V100z""#));
    }
}
