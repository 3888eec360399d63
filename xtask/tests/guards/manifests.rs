//! Manifests: one place for versions, lints and reasons; a small tree; bans that are really switched on.

use std::collections::BTreeSet;
use std::process::Command;

use crate::tree;

/// Crates in the product binary, ours included, procedural macros included.
const PRODUCT_CRATES_MAX: usize = 300;

/// The tables of a manifest that hold dependencies.
const DEPENDENCY_TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Clocks and environment that clippy must refuse outside their one home.
const BANNED_METHODS: [&str; 4] =
    ["std::env::set_var", "std::env::var", "std::time::Instant::now", "std::time::SystemTime::now"];

/// Lints that must stay switched on for the whole workspace, by tool.
const REQUIRED_LINTS: [(&str, &str); 8] = [
    ("rust", "missing_docs"),
    ("rust", "unsafe_code"),
    ("clippy", "allow_attributes_without_reason"),
    ("clippy", "await_holding_lock"),
    ("clippy", "cast_possible_truncation"),
    ("clippy", "dbg_macro"),
    ("clippy", "todo"),
    ("clippy", "unwrap_used"),
];

#[test]
fn every_package_takes_the_lints_and_package_fields_of_the_workspace() {
    let mut faults = Vec::new();
    for (name, path) in tree::member_manifests() {
        let manifest = tree::manifest(&path);
        let inherits = |table: &str, field: &str| {
            let value = manifest.get(table).and_then(|table| table.get(field));
            let value =
                if field == "workspace" { value } else { value.and_then(|value| value.get("workspace")) };
            value.and_then(toml::Value::as_bool) == Some(true)
        };
        if !inherits("lints", "workspace") {
            faults.push(format!("{name}: [lints] workspace = true is missing"));
        }
        for field in ["edition", "license", "publish", "rust-version", "version"] {
            if !inherits("package", field) {
                faults.push(format!("{name}: package.{field} does not come from the workspace"));
            }
        }
    }
    tree::assert_no_faults("packages inherit", &faults);
}

#[test]
fn every_dependency_comes_from_the_workspace() {
    let mut faults = Vec::new();
    for (name, path) in tree::member_manifests() {
        let manifest = tree::manifest(&path);
        let mut tables = vec![&manifest];
        if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
            tables.extend(targets.values().filter_map(toml::Value::as_table));
        }
        for table in tables {
            for kind in DEPENDENCY_TABLES {
                let Some(dependencies) = table.get(kind).and_then(toml::Value::as_table) else { continue };
                for (dependency, value) in dependencies {
                    if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                        faults.push(format!("{name}: {kind}.{dependency} has no workspace = true"));
                    }
                }
            }
        }
    }
    tree::assert_no_faults("dependencies enter once, in the root manifest", &faults);
}

#[test]
fn every_third_party_has_a_reason() {
    let text = tree::read(&tree::root().join("Cargo.toml"));
    let lines = text.lines().skip_while(|line| *line != "[workspace.dependencies]").skip(1);
    let mut faults = Vec::new();
    let mut n_third_parties = 0;
    for line in lines.take_while(|line| !line.starts_with('[')) {
        let is_entry = line.contains('=') && !line.starts_with('#') && !line.contains("path = \"");
        if !is_entry {
            continue;
        }
        n_third_parties += 1;
        let reason = line.split_once("# ").map_or("", |(_, reason)| reason).trim();
        if reason.len() < 8 {
            faults.push(line.to_owned());
        }
    }
    assert!(n_third_parties > 30, "only {n_third_parties} third parties found");
    tree::assert_no_faults("each third party says on its line why it was hired", &faults);
}

#[test]
fn the_lints_and_bans_are_switched_on() {
    let manifest = tree::manifest(&tree::root().join("Cargo.toml"));
    let lints = manifest.get("workspace").and_then(|table| table.get("lints"));
    let mut faults = Vec::new();
    for (tool, lint) in REQUIRED_LINTS {
        let level = lints
            .and_then(|lints| lints.get(tool))
            .and_then(|tool| tool.get(lint))
            .and_then(toml::Value::as_str);
        if !matches!(level, Some("warn" | "deny" | "forbid")) {
            faults.push(format!("workspace.lints.{tool}.{lint}"));
        }
    }
    let clippy = tree::manifest(&tree::root().join("clippy.toml"));
    let bans = clippy.get("disallowed-methods").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    for method in BANNED_METHODS {
        let entry = bans.iter().find(|ban| ban.get("path").and_then(toml::Value::as_str) == Some(method));
        if entry.and_then(|ban| ban.get("reason")).is_none() {
            faults.push(format!("clippy.toml: {method} is not banned with a reason"));
        }
    }
    tree::assert_no_faults("lints and bans", &faults);
}

#[test]
fn the_product_binary_stays_small() {
    let output = Command::new(env!("CARGO"))
        .current_dir(tree::root())
        .args(["tree", "--package", "caponier", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .output()
        .expect("cargo tree runs");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    // A crate is shown once more wherever it is used; ` (*)` and ` (proc-macro)` are no part of its identity.
    let crates: BTreeSet<String> = text
        .lines()
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect();
    eprintln!("crates in the product binary: {} of at most {PRODUCT_CRATES_MAX}", crates.len());
    assert!(crates.len() > 20, "cargo tree named only {} crates", crates.len());
    assert!(
        crates.len() <= PRODUCT_CRATES_MAX,
        "{} crates in the product binary, at most {PRODUCT_CRATES_MAX}",
        crates.len()
    );
}
