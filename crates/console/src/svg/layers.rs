//! Graphs in columns: boxes under each other, lines between neighbouring columns, drawn the same way every time.
//!
//! Boxes have a fixed size, so that names stay readable however many there are; a wide graph scrolls within its frame. Every box
//! leads somewhere and says in full what it is; the table beside the drawing has the same lines in words.

use maud::{Markup, html};

use crate::{
    icons,
    view::{Graph, GraphNode},
};

/// Size of a box, and the room between two, in pixels.
const BOX_WIDTH: usize = 250;
const BOX_HEIGHT: usize = 42;
const ROW: usize = 54;
const GAP: usize = 110;
/// Above the boxes: titles of the columns.
const HEAD: usize = 28;
/// Characters of a name that fit a box.
const NAME_CHARS: usize = 21;
/// Where it begins, behind the drawing of what it is.
const NAME_AT: usize = 44;
/// Rooms by which a short column stands below the top at most, so that what a tall graph is about is seen at once.
const LOWERED: usize = 4;
/// Half the size of the drawing of what a box is.
const HALF_ICON: usize = 8;

/// In short: both ends of a long name, since ends are what imitations copy least of.
pub(crate) fn short(name: &str, most: usize) -> String {
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= most {
        return name.to_owned();
    }
    let (head, tail) = (most.div_ceil(2), most / 2 - 1);
    let part = |chars: &[char]| chars.iter().collect::<String>();
    let tail = chars.len().checked_sub(tail).and_then(|at| chars.get(at..)).unwrap_or_default();
    format!("{}\u{2026}{}", part(chars.get(..head).unwrap_or_default()), part(tail))
}

/// Where each box stands: left edge and middle.
fn places(graph: &Graph) -> (Vec<(usize, usize)>, usize) {
    let columns = graph.columns.len();
    let mut in_column = vec![0_usize; columns.max(1)];
    for node in &graph.nodes {
        if let Some(n) = in_column.get_mut(node.column) {
            *n += 1;
        }
    }
    let most = in_column.iter().copied().max().unwrap_or(0);
    let mut next: Vec<usize> = in_column.iter().map(|n| (most - n).min(2 * LOWERED) * ROW / 2).collect();
    let places = graph.nodes.iter().map(|node| {
        let at = next.get_mut(node.column);
        let y = at.map_or(0, |at| std::mem::replace(at, *at + ROW));
        (node.column * (BOX_WIDTH + GAP), HEAD + y + BOX_HEIGHT / 2)
    });
    (places.collect(), HEAD + most.max(1) * ROW)
}

fn thickness(weight: f64) -> &'static str {
    match weight {
        weight if weight >= 0.5 => "5",
        weight if weight >= 0.2 => "3.5",
        weight if weight >= 0.05 => "2.2",
        _ => "1.2",
    }
}

/// The drawing and its table.
pub(crate) fn layers(graph: &Graph, says: &str) -> Markup {
    let (places, height) = places(graph);
    let width = graph.columns.len() * (BOX_WIDTH + GAP) - GAP.min(graph.columns.len() * (BOX_WIDTH + GAP));
    html! {
        figure.graph {
            div.scroll.wide-only tabindex="0" role="group" aria-label=(says) {
                svg width=(width + 2) height=(height) viewBox=(format!("-1 0 {} {height}", width + 2)) aria-hidden="true" focusable="false" {
                    @for (column, title) in graph.columns.iter().enumerate() {
                        text.title x=(column * (BOX_WIDTH + GAP)) y="14" { (title) }
                    }
                    @for edge in &graph.edges {
                        @if let (Some((left, from)), Some((right, to))) = (places.get(edge.ends.0), places.get(edge.ends.1)) {
                            path.edge stroke-width=(thickness(edge.weight)) d=(curve(left + BOX_WIDTH, *from, *right, *to)) {
                                title { (edge.how) }
                            }
                        }
                    }
                    @for (node, (x, y)) in graph.nodes.iter().zip(&places) { (boxed(node, *x, *y)) }
                }
            }
            div.wide-only { (kinds(graph)) }
            // A drawing that is seen in part says something else than the whole: a narrow screen has the words alone.
            div.narrow-only { (table(graph)) }
            @for left in &graph.left_out { p.muted { (left) } }
            details.wide-only { summary { "As a table" } (table(graph)) }
        }
    }
}

fn table(graph: &Graph) -> Markup {
    html! {
        div.scroll { table.stack {
            thead { tr { th { "from" } th { "how" } th { "to" } } }
            tbody { @for edge in &graph.edges { @if let (Some(from), Some(to)) = (graph.nodes.get(edge.ends.0), graph.nodes.get(edge.ends.1)) {
                tr {
                    td data-label="from" { span { (named(from)) } }
                    td data-label="how" { (edge.how) }
                    td data-label="to" { span { (named(to)) } }
                }
            } } }
        } }
    }
}

/// What the colours of the boxes mean, as far as there are any.
fn kinds(graph: &Graph) -> Markup {
    let mut seen: Vec<&str> = graph.nodes.iter().map(|node| node.kind).collect();
    seen.sort_unstable();
    seen.dedup();
    html! { p.legend { @for kind in seen { span class=(kind.replace(' ', "-")) { (kind) } } span.muted { "A thicker line: more often, or more of the money." } } }
}

fn named(node: &GraphNode) -> Markup {
    html! {
        span.muted { (node.kind) } " "
        @match &node.href { Some(href) => { a href=(href) { (node.name) } } None => { (node.name) } }
    }
}

fn curve(x1: usize, y1: usize, x2: usize, y2: usize) -> String {
    // Lines within a column, or backwards, leave and arrive on the right side of the boxes.
    let x2 = if x2 < x1 { x2 + BOX_WIDTH } else { x2 };
    let middle = x1.midpoint(x2);
    format!("M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}")
}

fn boxed(node: &GraphNode, x: usize, y: usize) -> Markup {
    let class = format!("node {} {}", node.kind.replace(' ', "-"), node.tone.class());
    let inside = html! {
        g class=(class) {
            title { (node.kind) " " (node.name) }
            rect.box x=(x) y=(y.saturating_sub(BOX_HEIGHT / 2)) width=(BOX_WIDTH) height=(BOX_HEIGHT) rx="8" {}
            circle.ground cx=(x + 22) cy=(y) r="14" {}
            (icons::within(node.kind, x + 22 - HALF_ICON, y.saturating_sub(HALF_ICON)))
            text.name x=(x + NAME_AT) y=(y - 2) { (short(&node.name, NAME_CHARS)) }
            text.kind x=(x + NAME_AT) y=(y + 13) { (node.kind) }
        }
    };
    // Not in the order of the keyboard: the table has the same ways, in words.
    match &node.href {
        Some(href) => html! { a href=(href) tabindex="-1" { (inside) } },
        None => inside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{GraphEdge, Tone};

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(short("abcdefghij", 10), "abcdefghij");
        assert_eq!(short("abcdefghijklmno", 9), "abcde\u{2026}mno");
        assert_eq!(short("\u{e4}".repeat(20).as_str(), 7).chars().count(), 7);
    }

    #[test]
    fn boxes_of_a_column_do_not_overlap_and_lines_meet_them() {
        let node =
            |column| GraphNode { kind: "account", name: "x".into(), href: None, tone: Tone::Plain, column };
        let graph = Graph {
            nodes: vec![node(0), node(1), node(1), node(1)],
            edges: vec![GraphEdge { ends: (0, 3), how: "used".into(), weight: 1.0 }],
            columns: vec!["it", "what"],
            left_out: Vec::new(),
        };
        let (places, height) = places(&graph);
        assert_eq!(places[0], (0, places[2].1), "one box stands in the middle");
        assert!(places.windows(2).skip(1).all(|pair| pair[1].1 - pair[0].1 >= BOX_HEIGHT));
        assert!(places.iter().all(|(_, y)| y + BOX_HEIGHT / 2 <= height));
        let drawn = layers(&graph, "says").into_string();
        assert!(drawn.contains(&format!(" {},{}\"", places[3].0, places[3].1)), "{drawn}");
        // A line to a box that is not there is left out, and an empty graph is drawn empty.
        let broken =
            Graph { edges: vec![GraphEdge { ends: (0, 9), how: String::new(), weight: 0.0 }], ..graph };
        assert!(!layers(&broken, "says").into_string().contains("class=\"edge\""));
        assert!(layers(&Graph::default(), "says").into_string().contains("<svg"));
    }
}
