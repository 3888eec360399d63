//! The map: the crates that ARCHITECTURE.md lists are the crates that exist.

use std::collections::BTreeSet;

use crate::tree;

/// The section of ARCHITECTURE.md that lists the crates.
const SECTION: &str = "## Code map";

/// The names that open a heading or list item with code marks, inside the section.
fn listed(text: &str) -> BTreeSet<String> {
    let lines = text.lines().skip_while(|line| line.trim_end() != SECTION).skip(1);
    lines
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| line.starts_with("###") || line.starts_with("- ") || line.starts_with("* "))
        .filter_map(|line| {
            let name = line.trim_start_matches(['#', '-', '*', ' ']).strip_prefix('`')?;
            let (name, _) = name.split_once('`')?;
            Some(name.trim_start_matches("crates/").trim_end_matches('/').to_owned())
        })
        .collect()
}

#[test]
fn the_map_lists_the_crates_that_exist() {
    let path = tree::root().join("ARCHITECTURE.md");
    if !path.exists() {
        eprintln!("skipped: ARCHITECTURE.md is not there");
        return;
    }
    let listed = listed(&tree::read(&path));
    let folders = tree::crate_folders();
    // The map may also name the packages that stand outside crates/.
    let outside: BTreeSet<String> =
        ["bench-peers", "benches", "fuzz", "tests/e2e", "xtask"].map(str::to_owned).into();
    let mut faults: Vec<String> =
        folders.difference(&listed).map(|name| format!("{name}: not on the map")).collect();
    for name in listed.difference(&folders) {
        if !(outside.contains(name) && tree::root().join(name).exists()) {
            faults.push(format!("{name}: on the map but not there"));
        }
    }
    tree::assert_no_faults("ARCHITECTURE.md, section Code map", &faults);
}

#[test]
fn the_map_reader_reads_headings_and_items() {
    let text = "# A\n- `early`\n## Code map\n### `domain`: words\n- `auth` checks\n- **`tlog`** bold\ntext `no`\n\
                * `crates/watch/`\n## Later\n- `late`\n";
    let expected: BTreeSet<String> = ["auth", "domain", "tlog", "watch"].map(str::to_owned).into();
    assert_eq!(listed(text), expected);
}
