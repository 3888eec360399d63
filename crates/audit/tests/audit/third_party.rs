//! A log written here is verified by a program on Go's own implementation (`tests/interop/verify.go`), and that program
//! notices what was changed. Skipped, and says so, where Go or its `golang.org/x/mod` package is not installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use audit::{LogSource, PublishError, Publisher};
use crypto::SigningKey;
use domain::UnixNanos;
use journal::disk::RealDisk;
use tlog::{Frontier, Hash, NoteSigner, leaf_hash};

const VERIFIER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interop/verify.go");
/// Where Debian's golang-golang-x-mod-dev puts its sources.
const GOPATH: &str = "/usr/share/gocode";
/// Crosses two tile levels, and leaves partial tiles at all of them.
const ENTRIES: u64 = 70_000;

/// Entries of 0 to 40 bytes.
#[derive(Debug)]
struct Entries {
    size: u64,
    root: Hash,
}

fn entry(index: u64) -> Vec<u8> {
    index.to_be_bytes().repeat(usize::try_from(index % 6).unwrap())
}

impl Entries {
    fn of(size: u64) -> Self {
        let mut frontier = Frontier::new();
        (0..size).for_each(|index| frontier.append(leaf_hash(&entry(index))));
        Self { size, root: frontier.root() }
    }
}

impl LogSource for Entries {
    fn tree(&self) -> (u64, Hash) {
        (self.size, self.root)
    }

    fn read(
        &self,
        from: u64,
        to: u64,
        visit: &mut dyn FnMut(&[u8]) -> Result<(), PublishError>,
    ) -> Result<(), PublishError> {
        (from..to).try_for_each(|index| visit(&entry(index)))
    }
}

fn go(dir: &Path, arguments: &[&str]) -> std::io::Result<Output> {
    Command::new("go")
        .args(arguments)
        .current_dir(dir)
        .env("GO111MODULE", "off")
        .env("GOPATH", GOPATH)
        .env("GOCACHE", dir.join("cache"))
        .env("HOME", dir)
        .output()
}

/// Builds the verifier; none where that is not possible here.
fn build(dir: &Path) -> Option<PathBuf> {
    if !Path::new(GOPATH).join("src/golang.org/x/mod/sumdb/tlog").exists() || go(dir, &["version"]).is_err() {
        eprintln!("skipped: Go or golang-golang-x-mod-dev is not installed");
        return None;
    }
    let program = dir.join("verify");
    let built = go(dir, &["build", "-o", &program.to_string_lossy(), VERIFIER]).unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(program)
}

/// Standard output if the log verifies, else what the verifier says is wrong.
fn run(program: &Path, arguments: &[&str], log: &Path) -> Result<String, String> {
    let output = Command::new(program).args(arguments).arg(log).output().unwrap();
    match output.status.code() {
        Some(0) => Ok(String::from_utf8(output.stdout).unwrap()),
        Some(1) => Err(String::from_utf8(output.stderr).unwrap()),
        other => panic!("verifier ended with {other:?}: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[test]
fn logs_verify_with_software_of_others() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(program) = build(scratch.path()) else { return };
    let disk = Arc::new(RealDisk::new(scratch.path().join("data")).unwrap());
    let dir = scratch.path().join("data/log");
    let signer = || NoteSigner::new("log.example/caponier", SigningKey::from_seed([7; 32])).unwrap();
    let vkey = signer().verifier().to_string();
    for size in [0, 1, 300, ENTRIES] {
        let (publisher, published) =
            Publisher::open(Entries::of(size), disk.clone(), signer(), UnixNanos(0)).unwrap();
        assert_eq!(published.size, size);
        let said = run(&program, &["-vkey", &vkey], &dir).unwrap();
        assert!(said.contains(&format!("full audit ok: {size} entries")), "{said}");
        if size < ENTRIES {
            continue;
        }
        let receipt = scratch.path().join("entry.tlog-proof");
        for seq in [0, 65_535, 65_536, ENTRIES - 1] {
            fs::write(&receipt, publisher.log().receipt(seq).unwrap().to_string()).unwrap();
            let index = seq.to_string();
            let arguments =
                ["-receipt", &receipt.to_string_lossy(), "-index", &index, "-old", "65537", "-full=false"];
            let said = run(&program, &arguments, &dir).unwrap();
            assert!(said.contains("receipt ok") && said.contains("65537 is a prefix of 70000"), "{said}");
        }
        let forged = fs::read_to_string(&receipt).unwrap().replace("index 69999", "index 69998");
        fs::write(&receipt, forged).unwrap();
        let arguments = ["-receipt", &*receipt.to_string_lossy(), "-full=false"];
        run(&program, &arguments, &dir).unwrap_err();
    }

    // One flipped bit in a file of each kind; ours and theirs agree.
    let flips = [
        ("checkpoint", 5),
        ("checkpoint", 23),
        ("checkpoint", 90),
        ("checkpoint", 150),
        ("tile/0/000", 8191),
        ("tile/0/273.p/112", 0),
        ("tile/1/000", 4000),
        ("tile/1/001.p/17", 40),
        ("tile/2/000.p/1", 31),
        ("tile/entries/000", 11),
        ("tile/entries/100", 1),
        ("tile/entries/273.p/112", 50),
    ];
    let known = signer();
    for (path, at) in flips {
        let path = dir.join(path);
        let sound = fs::read(&path).unwrap();
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        run(&program, &["-vkey", &vkey], &dir).unwrap_err();
        let report = audit::verify(&dir, known.verifier(), |_| {});
        assert!(!report.is_ok_and(|report| report.is_sound()), "{}", path.display());
        fs::write(&path, sound).unwrap();
    }
    run(&program, &["-vkey", &vkey], &dir).unwrap();
    assert!(audit::verify(&dir, known.verifier(), |_| {}).unwrap().is_sound());
}
