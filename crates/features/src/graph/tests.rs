use super::*;

const DAY_SECS: u64 = 86_400;

fn day(days: u64) -> UnixNanos {
    UnixNanos::from_secs(1_000_000_000 + days * DAY_SECS)
}

fn pay(graph: &mut Graph, from: u64, to: u64, minor: u64, days: u64) -> Option<Cycle> {
    graph.transfer(&Transfer { from, to, minor, at: day(days) }).unwrap()
}

fn fact(graph: &Graph, account: u64, days: u64, name: &str) -> f64 {
    graph.facts(account, day(days)).fact(name).unwrap()
}

#[test]
fn shared_things_make_components_and_hops() {
    let mut graph = Graph::new(GraphLimits::default());
    // 1 and 2 share device 100, 2 and 3 address 200; 4 is alone.
    for (account, thing) in [(1, 100), (2, 100), (2, 200), (3, 200), (4, 300)] {
        graph.link(account, thing, day(0));
    }
    let seen = |graph: &Graph, name: &str| [1, 2, 3, 4].map(|account| fact(graph, account, 1, name));
    assert_eq!(seen(&graph, "component_accounts"), [3.0, 3.0, 3.0, 1.0]);
    assert_eq!(seen(&graph, "shared_degree"), [1.0, 1.0, 1.0, 0.0]);
    assert!(seen(&graph, "hops_to_fraud").iter().all(|hops| hops.is_nan()));
    graph.mark(3, true);
    assert_eq!(seen(&graph, "hops_to_fraud")[..3], [2.0, 1.0, 0.0]);
    assert!(fact(&graph, 4, 1, "hops_to_fraud").is_nan());
    // Links run out after 90 days.
    assert!(fact(&graph, 1, 91, "hops_to_fraud").is_nan());
    assert_eq!(fact(&graph, 1, 91, "shared_degree"), 0.0);
    graph.mark(3, false);
    assert!(fact(&graph, 2, 1, "hops_to_fraud").is_nan());
}

#[test]
fn money_that_returns_closes_a_cycle() {
    let mut graph = Graph::new(GraphLimits::default());
    assert_eq!(pay(&mut graph, 1, 2, 1_000, 0), None);
    assert_eq!(pay(&mut graph, 2, 3, 950, 1), None);
    assert_eq!(pay(&mut graph, 3, 4, 900, 2), None);
    // Too little comes back to be the same money; then enough.
    assert_eq!(pay(&mut graph, 4, 1, 300, 3), None);
    let cycle = pay(&mut graph, 4, 1, 880, 3).unwrap();
    assert_eq!((cycle.accounts.as_slice(), cycle.began), ([1, 2, 3, 4].as_slice(), day(0)));
    assert_eq!([1, 2, 3, 4, 5].map(|account| fact(&graph, account, 4, "cycles")), [1.0, 1.0, 1.0, 1.0, 0.0]);
    // More than what came in is other money; a back payment is a cycle of two.
    assert_eq!(pay(&mut graph, 7, 8, 100, 5), None);
    assert_eq!(pay(&mut graph, 8, 7, 101, 5), None);
    assert_eq!(pay(&mut graph, 8, 7, 100, 5).unwrap().accounts, [7, 8]);
}

#[test]
fn a_cycle_is_bounded_in_hops_and_time() {
    let ring = |graph: &mut Graph, n: u64, days_per_hop: u64| {
        (0..n)
            .map(|hop| pay(graph, 100 + hop, 100 + (hop + 1) % n, 1_000, hop * days_per_hop))
            .last()
            .unwrap()
    };
    let found =
        |n, days| ring(&mut Graph::new(GraphLimits::default()), n, days).map(|cycle| cycle.accounts.len());
    assert_eq!([2, 3, 5].map(|n| found(n, 1)), [Some(2), Some(3), Some(5)]);
    assert_eq!(found(6, 1), None);
    assert_eq!((found(4, 10), found(4, 11)), (Some(4), None));
    let blind = GraphLimits { visits_max: 0, ..GraphLimits::default() };
    assert_eq!(ring(&mut Graph::new(blind), 3, 1), None);
}

#[test]
fn what_comes_in_goes_out() {
    let mut graph = Graph::new(GraphLimits::default());
    pay(&mut graph, 1, 9, 1_000, 0);
    pay(&mut graph, 2, 9, 1_000, 1);
    pay(&mut graph, 9, 3, 1_500, 2);
    // The first thousand stayed two days, the next five hundred one day.
    assert_eq!(fact(&graph, 9, 2, "pass_through"), 0.75);
    let stayed = (1_000.0 * 2.0 + 500.0) / 1_500.0 * DAY_SECS as f64;
    assert_eq!(fact(&graph, 9, 2, "time_to_forward_secs"), stayed);
    assert_eq!([fact(&graph, 9, 2, "fan_in"), fact(&graph, 9, 2, "fan_out")], [2.0, 1.0]);
    assert_eq!(fact(&graph, 9, 2, "reciprocal"), 0.0);
    pay(&mut graph, 3, 9, 10, 3);
    assert_eq!(fact(&graph, 9, 3, "reciprocal"), 1.0);
    assert!(fact(&graph, 1, 3, "pass_through").is_nan());
    // After 90 days only what is younger counts.
    assert_eq!([fact(&graph, 9, 91, "received"), fact(&graph, 9, 91, "fan_in")], [1.0, 1.0]);
    assert_eq!(fact(&graph, 9, 93, "received"), 0.0);
}

#[test]
fn a_transfer_out_of_the_ordinary_counts_on_both_sides() {
    let mut graph = Graph::new(GraphLimits::default());
    for days in 0..5 {
        pay(&mut graph, 1, 2, 1_000, days);
    }
    pay(&mut graph, 1, 3, 1_999, 5);
    pay(&mut graph, 1, 3, 500, 6);
    assert_eq!([fact(&graph, 1, 6, "odd_sent"), fact(&graph, 3, 6, "odd_received")], [1.0, 1.0]);
    assert_eq!(fact(&graph, 2, 6, "payer_odd_sum"), 1.0);
}

#[test]
fn bounds_hold_and_misuse_is_refused() {
    let limits = GraphLimits {
        accounts_max: 10,
        things_max: 5,
        transfers_max: 4,
        links_max: 3,
        visits_max: 8,
        ..GraphLimits::default()
    };
    let mut graph = Graph::new(limits);
    for step in 0..500_u64 {
        graph.link(step % 17, step % 11, day(step / 10));
        let _cycle = pay(&mut graph, step % 13, 20 + step % 7, step, step / 10);
    }
    assert_eq!(graph.accounts(), 10);
    for account in 0..30 {
        let facts = graph.facts(account, day(50));
        assert!(facts.fact("sent").unwrap() + facts.fact("received").unwrap() <= 4.0);
        assert!(facts.fact("things").unwrap() <= 3.0 && facts.fact("shared_degree").unwrap() <= 3.0);
    }
    let transfer = |from, to, minor| Transfer { from, to, minor, at: day(0) };
    assert_eq!(graph.transfer(&transfer(1, 1, 5)), Err(GraphError::ToItself));
    assert_eq!(graph.transfer(&transfer(1, 2, MINOR_MAX + 1)), Err(GraphError::OutOfRange(MINOR_MAX + 1)));
    assert!(graph.facts(999, day(0)).row().iter().all(|fact| fact.is_nan() || *fact <= 1.0));
}

proptest::proptest! {
    /// Degrees equal a count over all transfers of the window; forwarded money never exceeds what came in.
    #[test]
    fn degrees_are_as_defined(moves in proptest::collection::vec((0_u64..5, 0_u64..5, 1_u64..100, 0_u64..20), 1..60)) {
        let mut graph = Graph::new(GraphLimits { transfers_max: 1_000, ..GraphLimits::default() });
        let mut days = 0;
        let mut taken = Vec::new();
        for (from, to, minor, ahead) in moves {
            days += ahead;
            if graph.transfer(&Transfer { from, to, minor, at: day(days) }).is_ok() {
                taken.push((from, to, days));
            }
        }
        let live: Vec<_> = taken.into_iter().filter(|(_, _, at)| at + 90 > days).collect();
        for account in 0..5 {
            let out: std::collections::BTreeSet<u64> =
                live.iter().filter(|(from, ..)| *from == account).map(|(_, to, _)| *to).collect();
            let into: std::collections::BTreeSet<u64> =
                live.iter().filter(|(_, to, _)| *to == account).map(|(from, ..)| *from).collect();
            proptest::prop_assert_eq!(fact(&graph, account, days, "fan_out"), out.len() as f64);
            proptest::prop_assert_eq!(fact(&graph, account, days, "fan_in"), into.len() as f64);
            proptest::prop_assert_eq!(fact(&graph, account, days, "reciprocal"), out.intersection(&into).count() as f64);
            let pass = fact(&graph, account, days, "pass_through");
            proptest::prop_assert!(pass.is_nan() || (0.0..=1.0).contains(&pass));
        }
    }
}
