//! The neighbourhood of a customer, device, network address or address: what it is linked to, and who else is.
//!
//! Two steps from the middle, columns from left to right. Bounds: [`NODES_MAX`] boxes; a thing of more users than
//! [`USERS_SHOWN`] shows the newest and says how many more there are.

use std::collections::{BTreeMap, btree_map::Entry};

use console::{Graph, GraphEdge, GraphNode, Neighbourhood, Nothing, Tone};

use super::casework::{Cabinet, entity_of, name_of, node_of, page_of_node};
use crate::trails::{Linked, Node};

/// Boxes of a drawing.
pub(super) const NODES_MAX: usize = 300;
/// Links of the middle that are shown.
const LINKS_SHOWN: usize = 60;
/// Others that a thing shows.
const USERS_SHOWN: usize = 12;

/// Where a box leads: along the graph.
fn along(node: &Node) -> String {
    format!("/console/graph?entity={}", entity_of(node))
}

fn in_words(links: &[&Linked]) -> String {
    let mut words: Vec<String> = Vec::new();
    for link in links {
        let times = if link.times == 1 { String::new() } else { format!(" {} times", link.times) };
        words.push(format!("{}{times}", link.how.as_str()));
    }
    words.join(", ")
}

/// Links by their other end, in the order they were used last.
fn by_other(links: &[Linked]) -> Vec<(&Node, Vec<&Linked>)> {
    let mut places: BTreeMap<&Node, usize> = BTreeMap::new();
    let mut grouped: Vec<(&Node, Vec<&Linked>)> = Vec::new();
    for link in links {
        match places.entry(&link.other) {
            Entry::Occupied(place) => {
                if let Some((_, links)) = grouped.get_mut(*place.get()) {
                    links.push(link);
                }
            }
            Entry::Vacant(free) => {
                free.insert(grouped.len());
                grouped.push((&link.other, vec![link]));
            }
        }
    }
    grouped
}

/// A drawing from links; `links_of` yields those of a node and how many more there were, `tone_of` how it is meant.
pub(super) fn drawn(
    middle: &Node,
    links_of: &dyn Fn(&Node) -> (Vec<Linked>, u64),
    tone_of: &dyn Fn(&Node) -> Tone,
) -> Graph {
    let (links, gone) = links_of(middle);
    let mut first = by_other(&links);
    // Things that others use as well come first: they are what one looks for.
    let reach: BTreeMap<&Node, (Vec<Linked>, u64)> =
        first.iter().take(LINKS_SHOWN * 2).map(|(node, _)| (*node, links_of(node))).collect();
    let others = |node: &Node| {
        reach.get(node).map_or(0, |(links, gone)| {
            let others = by_other(links).iter().filter(|(other, _)| *other != middle).count();
            others as u64 + gone
        })
    };
    first.sort_by_key(|(node, _)| (name_of(node).0, std::cmp::Reverse(others(node))));
    let mut graph = Graph { columns: vec!["Looked at", "Linked to it", "Who else"], ..Graph::default() };
    let boxed = |node: &Node, column| GraphNode {
        kind: name_of(node).0,
        name: name_of(node).1,
        href: Some(along(node)),
        tone: tone_of(node),
        column,
    };
    graph.nodes.push(GraphNode { href: Some(page_of_node(middle)), ..boxed(middle, 0) });
    let mut second: BTreeMap<Node, usize> = BTreeMap::new();
    let left = first.len().saturating_sub(LINKS_SHOWN) as u64 + gone;
    let weight_max =
        first.iter().flat_map(|(_, links)| links).map(|link| link.times).max().unwrap_or(1).max(1);
    for (node, links) in first.iter().take(LINKS_SHOWN) {
        if graph.nodes.len() >= NODES_MAX {
            break;
        }
        let place = graph.nodes.len();
        graph.nodes.push(boxed(node, 1));
        let times = links.iter().map(|link| link.times).max().unwrap_or(0);
        graph.edges.push(GraphEdge {
            ends: (0, place),
            how: in_words(links),
            weight: f64::from(times) / f64::from(weight_max),
        });
    }
    let direct: Vec<(usize, &Node)> = first
        .iter()
        .take(graph.nodes.len() - 1)
        .map(|(node, _)| *node)
        .zip(1..)
        .map(|(node, place)| (place, node))
        .collect();
    let mut unseen = 0_u64;
    for (place, node) in &direct {
        let Some((links, gone)) = reach.get(*node) else { continue };
        let grouped: Vec<_> = by_other(links).into_iter().filter(|(other, _)| *other != middle).collect();
        let mut more = grouped.len().saturating_sub(USERS_SHOWN) as u64 + gone;
        for (other, links) in grouped.iter().take(USERS_SHOWN) {
            // Who stands in the middle column already keeps their place.
            let known = direct.iter().find(|(_, node)| node == other).map(|(place, _)| *place);
            let at = match known.or_else(|| second.get(*other).copied()) {
                Some(at) => at,
                // Room for what is added up.
                None if graph.nodes.len() + 1 >= NODES_MAX => {
                    more += 1;
                    continue;
                }
                None => {
                    let at = graph.nodes.len();
                    graph.nodes.push(boxed(other, 2));
                    second.insert((*other).clone(), at);
                    at
                }
            };
            graph.edges.push(GraphEdge { ends: (*place, at), how: in_words(links), weight: 0.0 });
        }
        if more == 0 {
            continue;
        }
        if graph.nodes.len() < NODES_MAX {
            let at = graph.nodes.len();
            let name = format!("{more} more share it");
            graph.nodes.push(GraphNode {
                kind: "others",
                name,
                href: Some(along(node)),
                tone: Tone::Plain,
                column: 2,
            });
            graph.edges.push(GraphEdge { ends: (*place, at), how: "shared".to_owned(), weight: 0.0 });
        } else {
            unseen += more;
        }
    }
    if left > 0 {
        graph.left_out.push(format!("{left} more are linked to it and not shown."));
    }
    if unseen > 0 {
        graph
            .left_out
            .push(format!("{unseen} who share something with it are not shown: open what they share."));
    }
    graph
}

impl Cabinet {
    pub(super) fn neighbourhood(&self, entity: &str) -> Result<Neighbourhood, Nothing> {
        let node = node_of(entity).ok_or_else(|| {
            Nothing::Unknown(
                "Name it as account:, device:, ip: or address: and what it is called.".to_owned(),
            )
        })?;
        let (kind, name) = name_of(&node);
        let mut graph = self.trails(|trails| {
            // Labels are looked up afterwards: others wait meanwhile.
            drawn(&node, &|of| trails.links(of), &|_| Tone::Plain)
        })?;
        for shown in graph.nodes.iter_mut().filter(|shown| shown.kind == "address") {
            shown.tone = self.tone_of_address(&shown.name);
        }
        let href = match &node {
            Node::Account(_) | Node::Address(_) => Some(page_of_node(&node)),
            _ => None,
        };
        Ok(Neighbourhood { kind, name, href, graph })
    }

    /// How an address is meant by the lists in force.
    pub(super) fn tone_of_address(&self, text: &str) -> Tone {
        match self.core.watch.screen(text, None).verdict {
            domain::Verdict::Allow => Tone::Plain,
            domain::Verdict::Deny => Tone::Bad,
            _ => Tone::Warn,
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::AccountId;

    use super::*;
    use crate::trails::How;

    fn account(n: usize) -> Node {
        Node::Account(AccountId::parse(&format!("c{n}")).unwrap())
    }

    fn ip(n: u8) -> Node {
        Node::Ip(std::net::IpAddr::from([192, 0, 2, n]))
    }

    fn link(other: Node) -> Linked {
        Linked { other, how: How::Use, times: 1, last_s: 1 }
    }

    #[test]
    fn those_who_share_a_thing_stand_behind_it_and_many_are_added_up() {
        let links = |node: &Node| match node {
            Node::Account(id) if id.as_str() == "c0" => (vec![link(ip(1)), link(ip(2))], 0),
            Node::Ip(_) if *node == ip(1) => ((0..20).map(|n| link(account(n))).collect(), 400),
            Node::Ip(_) => (vec![link(account(0)), link(account(3))], 0),
            _ => (Vec::new(), 0),
        };
        let graph = drawn(&account(0), &links, &|_| Tone::Plain);
        let names: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
        // The one of more users first, then its users, then the sum; who shares both things has one box.
        assert_eq!(&names[..4], ["c0", "192.0.2.1", "192.0.2.2", "c1"]);
        assert!(names.contains(&"407 more share it"), "{names:?}");
        assert_eq!(names.iter().filter(|name| **name == "c3").count(), 1);
        let of_c3 = names.iter().position(|name| *name == "c3").unwrap();
        assert_eq!(graph.edges.iter().filter(|edge| edge.ends.1 == of_c3).count(), 2);
        assert!(graph.left_out.is_empty());
    }

    #[test]
    fn a_drawing_stays_within_its_bound_and_says_what_it_leaves_out() {
        let links = |node: &Node| match node {
            Node::Account(id) if id.as_str() == "c0" => ((0..100).map(|n| link(ip(n))).collect(), 5),
            Node::Ip(std::net::IpAddr::V4(v4)) => {
                let base = usize::from(v4.octets()[3]) * 100;
                ((base..base + 40).map(|n| link(account(n + 1))).collect(), 0)
            }
            _ => (Vec::new(), 0),
        };
        let graph = drawn(&account(0), &links, &|_| Tone::Plain);
        assert_eq!(graph.nodes.len(), NODES_MAX);
        assert!(graph.edges.iter().all(|edge| edge.ends.0 < NODES_MAX && edge.ends.1 < NODES_MAX));
        assert!(graph.left_out[0].starts_with("45 more"), "{:?}", graph.left_out);
        assert_eq!(graph.left_out.len(), 2);
        assert_eq!(drawn(&account(0), &links, &|_| Tone::Plain), graph, "the same every time");
        assert_eq!(drawn(&ip(1), &|_| (Vec::new(), 0), &|_| Tone::Plain).nodes.len(), 1);
    }
}
