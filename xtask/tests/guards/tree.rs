//! The checkout as the guards see it: files, parsed manifests, workspace members. Read only.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand};

/// The repository root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root")
}

/// The workspace members and their declared dependencies, without resolving third parties.
pub(crate) fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata reads the workspace")
}

/// A file as text; panics with its path.
pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A manifest as a table; panics with its path.
pub(crate) fn manifest(path: &Path) -> toml::Table {
    read(path).parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every `Cargo.toml` of a workspace member, with the member's name.
pub(crate) fn member_manifests() -> Vec<(String, PathBuf)> {
    metadata()
        .packages
        .iter()
        .map(|package| (package.name.to_string(), package.manifest_path.clone().into_std_path_buf()))
        .collect()
}

/// The folder names in `crates/`.
pub(crate) fn crate_folders() -> BTreeSet<String> {
    let folder = root().join("crates");
    std::fs::read_dir(&folder)
        .expect("crates/ is there")
        .map(|entry| entry.expect("crates/ can be listed"))
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Every Rust source of ours, in a stable order.
pub(crate) fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for top in ["crates", "tests", "benches", "xtask", "fuzz"] {
        collect_rust_files(&root().join(top), &mut files);
    }
    files.sort();
    assert!(files.len() > 20, "the walk found only {} Rust files", files.len());
    files
}

fn collect_rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a folder of ours can be listed").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect_rust_files(&path, files);
            }
        } else if name.ends_with(".rs") {
            files.push(path);
        }
    }
}

/// A path as a reader of the repository would write it.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Fails with every fault at once, one a line.
pub(crate) fn assert_no_faults(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}:\n  {}", faults.join("\n  "));
}
