use proptest::prelude::*;

use super::*;

const NODES: usize = 12;
const LAST: u32 = 11;

fn edge(from: u32, to: u32) -> Edge {
    Edge { from, to, kind: EdgeKind::Payment }
}

fn score(masses: &[Mass], node: usize) -> f64 {
    masses[node].score().unwrap()
}

#[test]
fn nearer_seeds_weigh_more() {
    // illicit 0 - 1 - 2 - 3 licit; 4 is apart.
    let graph = Graph::new(5, &[edge(0, 1), edge(1, 2), edge(2, 3)]).unwrap();
    let seeds = [Some(Side::Illicit), None, None, Some(Side::Licit), None];
    let masses = graph.walk(&seeds, &Walk::default());
    assert!(score(&masses, 0) > score(&masses, 1) && score(&masses, 1) > 0.5);
    assert!((score(&masses, 1) + score(&masses, 2) - 1.0).abs() < 1e-12, "the line is symmetric");
    assert_eq!(masses[4].score(), None);
}

#[test]
fn direction_is_that_of_the_money() {
    let graph = Graph::new(3, &[edge(0, 1), edge(1, 2)]).unwrap();
    let seeds = [None, Some(Side::Illicit), None];
    let walk = |direction| graph.walk(&seeds, &Walk { direction, ..Walk::default() });
    let reached = |direction| walk(direction).iter().map(|mass| mass.illicit > 0.0).collect::<Vec<_>>();
    assert_eq!(reached(Direction::Forward), [false, true, true]);
    assert_eq!(reached(Direction::Backward), [true, true, false]);
}

#[test]
fn kinds_weigh_and_the_heaviest_counts() {
    // Node 2 was deployed by the illicit 0 and paid once by the licit 1.
    let deployed = Edge { from: 0, to: 2, kind: EdgeKind::Deployment };
    let seeds = [Some(Side::Illicit), Some(Side::Licit), None];
    // Each seed has another neighbour, so that it can choose.
    let edges = [deployed, edge(0, 2), edge(1, 2), edge(0, 3), edge(1, 4)];
    let masses = Graph::new(5, &edges).unwrap().walk(&seeds, &Walk::default());
    assert!(score(&masses, 2) > 0.52, "{}", score(&masses, 2));
    let flat = [edge(0, 2), edge(0, 2), edge(1, 2), edge(0, 3), edge(1, 4)];
    let masses = Graph::new(5, &flat).unwrap().walk(&seeds, &Walk::default());
    assert!((score(&masses, 2) - 0.5).abs() < 1e-12, "a repeated edge is one");
    assert!(EdgeKind::ALL.iter().all(|kind| EdgeKind::from_name(kind.as_str()) == Some(*kind)));
}

/// The same walk with a matrix of transitions.
fn dense(edges: &[(u32, u32)], direction: Direction, seeds: &[Option<Side>], side: Side) -> Vec<f64> {
    let mut matrix = vec![[0.0_f64; NODES]; NODES];
    for (from, to) in edges.iter().filter(|(from, to)| from != to) {
        let (from, to) = (*from as usize, *to as usize);
        if direction != Direction::Backward {
            matrix[from][to] = 1.0;
        }
        if direction != Direction::Forward {
            matrix[to][from] = 1.0;
        }
    }
    let n_seeds = seeds.iter().filter(|seed| **seed == Some(side)).count().max(1) as f64;
    let restart: Vec<f64> =
        seeds.iter().map(|seed| if *seed == Some(side) { 1.0 / n_seeds } else { 0.0 }).collect();
    let mut held = restart.clone();
    for _ in 0..Walk::default().rounds {
        let mut next: Vec<f64> = restart.iter().map(|share| share * (1.0 - 0.85)).collect();
        for from in 0..NODES {
            let total: f64 = matrix[from].iter().sum();
            for to in 0..NODES {
                if total > 0.0 {
                    next[to] += 0.85 * held[from] * matrix[from][to] / total;
                }
            }
        }
        held = next;
    }
    held
}

fn sides() -> impl Strategy<Value = Vec<Option<Side>>> {
    proptest::collection::vec(
        prop_oneof![Just(None), Just(Some(Side::Illicit)), Just(Some(Side::Licit))],
        NODES,
    )
}

proptest! {
    #[test]
    fn walks_equal_a_dense_reference(
        pairs in proptest::collection::vec((0..=LAST, 0..=LAST), 0..40),
        seeds in sides(),
    ) {
        let edges: Vec<Edge> = pairs.iter().map(|(from, to)| edge(*from, *to)).collect();
        let graph = Graph::new(NODES, &edges).unwrap();
        for direction in [Direction::Both, Direction::Forward, Direction::Backward] {
            let masses = graph.walk(&seeds, &Walk { direction, ..Walk::default() });
            let illicit = dense(&pairs, direction, &seeds, Side::Illicit);
            let licit = dense(&pairs, direction, &seeds, Side::Licit);
            for (node, mass) in masses.iter().enumerate() {
                prop_assert!((mass.illicit - illicit[node]).abs() < 1e-12);
                prop_assert!((mass.licit - licit[node]).abs() < 1e-12);
            }
        }
    }

    /// Contributions of all seeds add up to what the walk says reached the node, and paths are paths.
    #[test]
    fn evidence_explains_the_mass(
        pairs in proptest::collection::vec((0..=LAST, 0..=LAST), 0..40),
        seeds in sides(),
        node in 0..=LAST,
    ) {
        let edges: Vec<Edge> = pairs.iter().map(|(from, to)| edge(*from, *to)).collect();
        let graph = Graph::new(NODES, &edges).unwrap();
        let mass = graph.walk(&seeds, &Walk::default())[node as usize];
        let evidence = graph.evidence(&seeds, &Walk::default(), node, NODES);
        prop_assert!(!evidence.is_cut);
        let sum = |side| evidence.contributions.iter().filter(|found| found.side == side).map(|found| found.mass).sum::<f64>();
        prop_assert!((sum(Side::Illicit) - mass.illicit).abs() < 1e-5, "{} {}", sum(Side::Illicit), mass.illicit);
        prop_assert!((sum(Side::Licit) - mass.licit).abs() < 1e-5);
        for found in &evidence.contributions {
            prop_assert_eq!((found.path.first(), found.path.last()), (Some(&found.seed), Some(&node)));
            for step in found.path.windows(2) {
                prop_assert!(pairs.iter().any(|pair| *pair == (step[0], step[1]) || *pair == (step[1], step[0])));
            }
        }
    }
}

#[test]
fn features_have_their_names() {
    let graph = Graph::new(3, &[edge(0, 1), edge(1, 2)]).unwrap();
    let rows = features::features(&graph, &[Some(Side::Illicit), None, Some(Side::Licit)]);
    let at = |name| rows[1][features::NAMES.iter().position(|other| *other == name).unwrap()];
    assert_eq!((at("senders"), at("receivers")), (1.0, 1.0));
    assert_eq!(
        (at("paid_by_illicit"), at("paid_by_licit"), at("pays_illicit"), at("pays_licit")),
        (1.0, 0.0, 0.0, 1.0)
    );
    assert!((at("middle_share") - 0.5).abs() < 1e-6);
    assert!((at("downstream_share") - 1.0).abs() < 1e-6 && at("upstream_share").abs() < 1e-6);
    assert!(rows.iter().flatten().all(|value| value.is_finite()));
}

#[test]
fn bad_edges_are_refused() {
    assert!(Graph::new(2, &[edge(0, 2)]).unwrap_err().to_string().contains("edge 0 names node 2"));
}
