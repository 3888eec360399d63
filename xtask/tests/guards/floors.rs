//! Floors: edges between our crates go down only. Each crate states `package.metadata.floor.level`.
//!
//! 0 words, 1 engines, 2 ground, 3 pillars, 4 surface, 5 product. Crates of one floor may see each other only
//! on floors 1 and 2; on floor 0 `crypto` may see `domain`. Development dependencies are held to the
//! same rule, except that the product crate's own tests may use anything below it as before.

use std::collections::BTreeMap;

use cargo_metadata::{Dependency, DependencyKind, Package};

use crate::tree;

/// The floor of the pillars: no pillar sees another.
const PILLARS: u64 = 3;
/// Floors inside which crates may see each other.
const OPEN_FLOORS: [u64; 2] = [1, 2];
/// The one edge inside floor 0: the primitives speak the words.
const WORDS_EDGE: (&str, &str) = ("crypto", "domain");
/// What stands beside the house sees the words and nothing else of ours: the simulated exchange, and the privileged
/// process that drops packets.
const BESIDE: [&str; 2] = ["bouncer", "exchange"];
const BESIDE_SEES: &str = "domain";

/// What an engine must never be built on: no runtime, socket, file or system call reaches floor 0 or 1.
const NOT_IN_ENGINES: [&str; 9] =
    ["axum", "h2", "hyper", "hyper-util", "memmap2", "rustix", "rustls", "tokio", "tokio-rustls"];
/// The only crate of ours that may name the crypto provider.
const PROVIDER: (&str, &str) = ("aws-lc-rs", "crypto");

fn floor(package: &Package) -> Option<u64> {
    package.metadata.get("floor")?.get("level")?.as_u64()
}

fn is_in_crates(package: &Package) -> bool {
    package.manifest_path.as_std_path().starts_with(tree::root().join("crates"))
}

/// Whether it is one of the clients that customers use.
fn is_client(dependency: &Dependency) -> bool {
    dependency.path.as_ref().is_some_and(|path| path.as_std_path().starts_with(tree::root().join("clients")))
}

/// Whether an edge from a crate to another is allowed, with the reason if it is not.
fn fault(from: (&str, u64), to: (&str, u64)) -> Option<String> {
    let edge = format!("{} ({}) -> {} ({})", from.0, from.1, to.0, to.1);
    if BESIDE.contains(&from.0) && to.0 != BESIDE_SEES {
        return Some(format!("{edge}: {} stands beside the house", from.0));
    }
    if from.1 > to.1 || (from.0, to.0) == WORDS_EDGE {
        return None;
    }
    if from.1 == PILLARS && to.1 == PILLARS {
        return Some(format!("{edge}: a pillar declares a port instead of importing a pillar"));
    }
    if from.1 == to.1 && OPEN_FLOORS.contains(&from.1) {
        return None;
    }
    Some(format!("{edge}: edges go down only"))
}

#[test]
fn every_crate_states_its_floor() {
    let metadata = tree::metadata();
    let faults: Vec<String> = metadata
        .packages
        .iter()
        .filter(|package| is_in_crates(package) && floor(package).is_none_or(|level| level > 5))
        .map(|package| format!("{}: package.metadata.floor.level is not 0 to 5", package.name))
        .collect();
    tree::assert_no_faults("every crate states its floor", &faults);
}

#[test]
fn edges_go_down_only() {
    let metadata = tree::metadata();
    let floors: BTreeMap<&str, u64> = metadata
        .packages
        .iter()
        .filter(|package| is_in_crates(package))
        .filter_map(|package| Some((package.name.as_str(), floor(package)?)))
        .collect();
    assert!(floors.len() >= 18, "only {} crates state a floor", floors.len());
    let mut faults = Vec::new();
    for package in &metadata.packages {
        let Some(&from) = floors.get(package.name.as_str()) else { continue };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            match floors.get(dependency.name.as_str()) {
                Some(&to) => faults.extend(fault((package.name.as_str(), from), (&dependency.name, to))),
                // What customers use stands outside; only tests may take their part.
                None if is_client(dependency) && dependency.kind == DependencyKind::Development => {}
                None => {
                    faults.push(format!("{} -> {}: lies outside the floors", package.name, dependency.name))
                }
            }
        }
    }
    tree::assert_no_faults("edges between crates", &faults);
}

#[test]
fn the_rule_itself_refuses_what_it_should() {
    assert!(fault(("gateway", 3), ("auth", 1)).is_none());
    assert!(fault(("keyring", 1), ("tlog", 1)).is_none());
    assert!(fault(("crypto", 0), ("domain", 0)).is_none());
    assert!(fault(("exchange", 3), ("domain", 0)).is_none());
    assert!(fault(("domain", 0), ("crypto", 0)).is_some());
    assert!(fault(("gateway", 3), ("fraud", 3)).is_some());
    assert!(fault(("tlog", 1), ("journal", 2)).is_some());
    assert!(fault(("api", 4), ("api2", 4)).is_some());
    assert!(fault(("exchange", 3), ("crypto", 0)).is_some());
    assert!(fault(("bouncer", 3), ("admission", 1)).is_some());
}

#[test]
fn words_and_engines_are_built_on_no_io() {
    let metadata = tree::metadata();
    let mut faults = Vec::new();
    for package in metadata.packages.iter().filter(|package| floor(package).is_some_and(|level| level <= 1)) {
        for dependency in &package.dependencies {
            if dependency.kind != DependencyKind::Development
                && NOT_IN_ENGINES.contains(&dependency.name.as_str())
            {
                faults.push(format!("{} -> {}", package.name, dependency.name));
            }
        }
    }
    tree::assert_no_faults("words and engines see no runtime, socket or file", &faults);
}

#[test]
fn the_words_are_no_wire_types_and_the_provider_has_one_importer() {
    let metadata = tree::metadata();
    let mut faults = Vec::new();
    for package in &metadata.packages {
        for dependency in &package.dependencies {
            if package.name == "domain" && dependency.name == "serde" {
                faults.push("domain -> serde: wire types live at the edge".to_owned());
            }
            if dependency.name == PROVIDER.0 && package.name != PROVIDER.1 {
                faults.push(format!("{} -> {}: only {} does", package.name, PROVIDER.0, PROVIDER.1));
            }
        }
    }
    tree::assert_no_faults("serde and the crypto provider stay where they belong", &faults);
}
