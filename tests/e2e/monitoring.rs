//! What is shipped for Prometheus and Grafana speaks of counters that exist, and its alerts do what they say.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::{
    operations::scrape,
    support::{House, ROOT, Settings, finish, skipped},
};

const RULES: &str = "docs/operating/prometheus/caponier.rules.yml";
const DASHBOARD: &str = "docs/operating/grafana/caponier.json";

/// Words that begin with `caponier_`.
fn names(text: &str) -> BTreeSet<String> {
    text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'))
        .filter(|word| word.starts_with("caponier_"))
        .map(str::to_owned)
        .collect()
}

/// The names in the program's source, wherever it registers them.
fn exposed(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            exposed(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(names(&fs::read_to_string(path).unwrap()));
        }
    }
}

#[test]
fn alerts_and_dashboard_name_counters_that_exist() {
    let mut there = BTreeSet::new();
    exposed(&Path::new(ROOT).join("crates/caponier/src"), &mut there);
    for file in [RULES, DASHBOARD] {
        let used = names(&fs::read_to_string(Path::new(ROOT).join(file)).unwrap());
        assert!(used.len() >= 8, "{file} names {used:?}");
        for name in used {
            let base = ["_total", "_bucket"].iter().find_map(|suffix| name.strip_suffix(suffix));
            assert!(there.contains(base.unwrap_or(&name)), "{file}: the program exposes no {name}");
        }
    }
    let dashboard = fs::read_to_string(Path::new(ROOT).join(DASHBOARD)).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 10);
}

/// Not only in the source: an installation that serves tells each of them, whatever it was asked so far. Counters of chains
/// are there where a chain is followed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serving_process_tells_every_counter_that_is_named() {
    let house = House::build(Settings {
        more: "[api.permissions]\nexchange = \"read_health, read_metrics\"\n",
        ..Settings::default()
    })
    .await;
    let serving = house.serve();
    let (status, told) = scrape(serving.api(), house.token()).await;
    assert_eq!(status, 200, "{told}");
    let families: BTreeSet<&str> = told
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    for file in [RULES, DASHBOARD] {
        for name in names(&fs::read_to_string(Path::new(ROOT).join(file)).unwrap()) {
            let base = ["_total", "_bucket"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let is_told = families.contains(base.unwrap_or(&name));
            assert!(
                is_told || name.starts_with("caponier_chain_"),
                "{file}: nothing tells {name} among {families:?}"
            );
        }
    }
}

#[test]
fn promtool_accepts_the_alerts_and_sees_them_fire() {
    if finish(Command::new("sh").args(["-c", "command -v promtool"])).code != 0 {
        return skipped("promtool is not installed; Debian has it in the package prometheus");
    }
    let rules = Path::new(ROOT).join(RULES);
    finish(Command::new("promtool").args(["check", "rules"]).arg(&rules)).exits(0);
    let tests = rules.with_file_name("caponier.rules.test.yml");
    finish(Command::new("promtool").args(["test", "rules"]).arg(&tests)).exits(0);
    // The check can fail: alerts that never fire.
    let folder = crate::support::folder();
    let text = fs::read_to_string(&rules).unwrap().replace("== 0", "== 17");
    fs::write(folder.path().join("caponier.rules.yml"), text).unwrap();
    let copy = folder.path().join("caponier.rules.test.yml");
    fs::copy(&tests, &copy).unwrap();
    finish(Command::new("promtool").args(["test", "rules"]).arg(&copy)).exits(1);
}
