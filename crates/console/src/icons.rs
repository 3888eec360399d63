//! Small drawings beside words, never instead of them: strokes in a square of 16 units, in the colour of the text.

use maud::{Markup, PreEscaped, html};

/// What a drawing is called, and its strokes.
const ICONS: [(&str, &str); 25] = [
    (
        "account",
        "M8 8.2a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6zM2.8 14c.4-3 2.4-4.2 5.2-4.2s4.8 1.2 5.2 4.2",
    ),
    ("address", "M2 5.5V12a1 1 0 0 0 1 1h10V5.5zM2 5.5A1.5 1.5 0 0 1 3.5 4H11v1.5M10.2 9.2h.1"),
    ("alert", "M8 2.5 14.5 13.5h-13zM8 6.5v3M8 11.5v.1"),
    ("attack", "M8 1.8 13.5 4v4c0 3.3-2.4 5.4-5.5 6.3C4.9 13.4 2.5 11.3 2.5 8V4z"),
    ("audit", "M12.5 10.5v3H4a1.5 1.5 0 0 1 0-3h8.5v-8H4A1.5 1.5 0 0 0 2.5 4v8M6 5.5h3.5"),
    ("backup", "M2 3h12v3.5H2zM3 6.5V13h10V6.5M6.5 9.5h3"),
    ("case", "M2 12.5v-9h4.2l1.5 2H14v7z"),
    ("change", "M3 5.5h9L9.5 3M13 10.5H4L6.5 13"),
    ("decision", "M2.5 4.5l1 1 2-2.2M2.5 11l1 1 2-2.2M8 4.5h5.5M8 11h5.5"),
    ("device", "M4.8 1.8h6.4v12.4H4.8zM7.3 12.2h1.4"),
    ("door", "M6.5 2.5h-4v11h4M6 8h8M11 5l3 3-3 3"),
    ("emergency", "M5.4 1.8h5.2l3.6 3.6v5.2l-3.6 3.6H5.4l-3.6-3.6V5.4zM8 4.8v4M8 11v.1"),
    (
        "graph",
        "M5.3 7l5.2-2.4M5.3 9l5.2 2.4M3.5 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM12.3 5.8a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM12.3 14.2a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
    ),
    ("health", "M1.5 8H4l1.8-4 3.4 8L11 8h3.5"),
    ("key", "M5 13.2a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.4zM7 8.6l6.5-6.1M10.8 5l2 2"),
    ("list", "M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4h.1M2.5 8h.1M2.5 12h.1"),
    ("live", "M2 13.5v-4M6 13.5v-9M10 13.5V7M14 13.5v-11"),
    ("menu", "M2 4.5h12M2 8h12M2 11.5h12"),
    ("model", "M2 2.5v11h12M4 11c3.5 0 2.5-6 5.5-6 2 0 2 2 4.5 2"),
    (
        "money",
        "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM10 6.2C9.5 5.4 8.8 5.2 8 5.2c-1.1 0-2 .5-2 1.4 0 2 4 .8 4 2.8 0 .9-.9 1.4-2 1.4-.9 0-1.7-.3-2.1-1.1M8 4v8",
    ),
    (
        "network address",
        "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM2 8h12M8 2c2.2 2.5 2.2 9.5 0 12M8 2c-2.2 2.5-2.2 9.5 0 12",
    ),
    (
        "rule",
        "M2 5h5M11 5h3M2 11h1.5M7.5 11H14M9 7a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM5.5 13a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
    ),
    ("trade", "M2.5 12 6 8l2.5 2.5 5-6.5M10 4h3.5v3.5"),
    ("webhook", "M3.5 11.5V7.2a4.5 4.5 0 0 1 9 0v4.3l1 1.2h-11zM6.7 14.2h2.6"),
    ("withdrawal", "M8 10V2.5M5 5.5l3-3 3 3M2.5 9.5v4h11v-4"),
];

/// Where there is no drawing of its own: a ring.
const RING: &str = "M8 10.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z";

fn strokes(name: &str) -> &'static str {
    ICONS.iter().find(|(known, _)| *known == name).map_or(RING, |(_, strokes)| strokes)
}

/// A drawing of its own size.
pub(crate) fn icon(name: &str) -> Markup {
    html! { svg.icon viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false" { path d=(PreEscaped(strokes(name))) {} } }
}

/// The same within another drawing, its upper left corner there.
pub(crate) fn within(name: &str, x: usize, y: usize) -> Markup {
    html! { path.icon transform=(format!("translate({x},{y})")) d=(PreEscaped(strokes(name))) {} }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_are_in_order_and_an_unknown_one_is_a_ring() {
        assert!(ICONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(icon("graph").into_string().contains(ICONS[12].1));
        assert!(icon("no such thing").into_string().contains(RING));
    }
}
