//! `caponier doctor`: looks at an installation from the machine it is on, and says what is wrong with it.
//!
//! Reads and asks only: files and their modes, room on disks, and what the process that serves says of itself. A process that
//! does not serve is no fault of its own: then only what lies on the disk is looked at, and that is said.

use std::{io, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::json;

use super::config_file;
use crate::{
    cli::Place,
    config::Config,
    control::{Request, Response},
    core::control_socket,
    exit::{Exit, Failure},
    output, secret_file, socket,
};

/// Less room than this on the disk of the data or of its backup is worth a look.
const ROOM_MIN: u64 = 5 << 30;
/// Less than this stops the journal soon.
const ROOM_NEEDED: u64 = 256 << 20;
/// A backup further behind than this is not keeping up.
const BEHIND_MAX: u64 = 1_000;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    Well,
    Look,
    Wrong,
}

impl Grade {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Look => "look",
            Self::Wrong => "wrong",
        }
    }
}

/// What was looked at, how it is, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    what: &'static str,
    grade: Grade,
    words: String,
}

#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, what: &'static str, grade: Grade, words: impl Into<String>) {
        self.0.push(Finding { what, grade, words: words.into() });
    }

    fn worst(&self) -> Grade {
        self.0.iter().map(|finding| finding.grade).max().unwrap_or(Grade::Well)
    }

    fn json(&self) -> serde_json::Value {
        let found: Vec<_> = self
            .0
            .iter()
            .map(|finding| json!({ "what": finding.what, "grade": finding.grade.as_str(), "words": finding.words }))
            .collect();
        json!({ "ok": self.worst() < Grade::Wrong, "findings": found })
    }
}

/// What an installation looks like from its own machine: what, `ok`, `look` or `wrong`, and in words.
pub(crate) async fn examine(config: &Config) -> Vec<(&'static str, &'static str, String)> {
    let all = look(config).await.0.into_iter();
    all.map(|Finding { what, grade, words }| (what, grade.as_str(), words)).collect()
}

async fn look(config: &Config) -> Findings {
    let mut findings = Findings::default();
    findings.add("configuration", Grade::Well, "every key is understood");
    secrets(config, &mut findings);
    disks(config, &mut findings);
    exposure(config, &mut findings);
    serving(config, &mut findings).await;
    findings
}

pub(super) async fn doctor(place: &Place, as_json: bool) -> Result<Exit, Failure> {
    let config = config_file(place)?;
    let findings = look(&config).await;
    if as_json {
        output::line(findings.json());
    } else {
        for Finding { what, grade, words } in &findings.0 {
            output::line(format!("{:<6} {what}: {words}", grade.as_str()));
        }
    }
    Ok(if findings.worst() == Grade::Wrong { Exit::No } else { Exit::Ok })
}

fn mode_of(path: &Path) -> io::Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o7777)
}

fn secrets(config: &Config, findings: &mut Findings) {
    let kek = &config.data.kek_file;
    match mode_of(kek) {
        Ok(mode) if mode & 0o077 == 0 => {
            let words =
                format!("{} is only its owner's; keep a copy where the backups are not", kek.display());
            findings.add("key-encryption key", Grade::Well, words);
        }
        Ok(mode) => {
            let words = format!("{} has mode {mode:04o}: run chmod 600", kek.display());
            findings.add("key-encryption key", Grade::Wrong, words);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && !config.data.dir.exists() => {
            findings.add("key-encryption key", Grade::Well, "is made at the first start");
        }
        Err(error) => findings.add("key-encryption key", Grade::Wrong, format!("{}: {error}", kek.display())),
    }
    let tokens = config.api.tokens.iter().map(|(_, path)| path);
    for path in tokens.chain(&config.gateway.upstream_token_file) {
        if let Err(failure) = secret_file::read_line(path, 16) {
            findings.add("secrets", Grade::Wrong, failure.message);
        }
    }
    if config.gateway.upstream_token_file.is_none() {
        let words =
            "gateway.upstream_token_file is not set: the exchange cannot tell the gateway from anybody else";
        findings.add("secrets", Grade::Look, words);
    }
}

/// Bytes free to us where a path is, or will be.
fn room(path: &Path) -> io::Result<u64> {
    let there = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or_else(|| Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let stat = rustix::fs::statvfs(there)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn device(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let there = path.ancestors().find(|ancestor| ancestor.exists())?;
    std::fs::metadata(there).ok().map(|metadata| metadata.dev())
}

fn disks(config: &Config, findings: &mut Findings) {
    let folders = [("data disk", Some(&config.data.dir)), ("backup disk", config.backup.target.as_ref())];
    for (what, folder) in folders {
        let Some(folder) = folder else { continue };
        match room(folder) {
            Ok(free) => {
                let grade = match free {
                    0..ROOM_NEEDED => Grade::Wrong,
                    ROOM_NEEDED..ROOM_MIN => Grade::Look,
                    _ => Grade::Well,
                };
                findings.add(what, grade, format!("{} has {} MiB of room", folder.display(), free >> 20));
            }
            Err(error) => findings.add(what, Grade::Wrong, format!("{}: {error}", folder.display())),
        }
    }
    match &config.backup.target {
        None => {
            findings.add("backup", Grade::Wrong, "backup.target is not set: a lost disk loses everything")
        }
        Some(target) if device(target).is_some() && device(target) == device(&config.data.dir) => {
            let words = "backup.target is on the disk of the data: they are lost together";
            findings.add("backup", Grade::Look, words);
        }
        Some(_) => {}
    }
}

fn exposure(config: &Config, findings: &mut Findings) {
    if config.gateway.tls.is_none() && config.gateway.acme.is_none() {
        findings.add("gateway", Grade::Look, "serves plain HTTP, on loopback only");
    }
    if config.api.tokens.is_empty() && config.identity.origin.is_none() {
        let words = "neither api.tokens nor identity.origin is set: behaviour cannot be reported, and nobody signs in";
        findings.add("control API", Grade::Look, words);
    }
}

async fn serving(config: &Config, findings: &mut Findings) {
    let socket = control_socket(&config.data.dir);
    let asked = async |request| socket::ask(&socket, &request, &mut |_, _, _| ()).await;
    match asked(Request::BackupStatus).await {
        None => {
            let words = format!(
                "no process serves {}: its lists, backup and chains were not looked at",
                config.data.dir.display()
            );
            return findings.add("process", Grade::Look, words);
        }
        Some(Err(failure)) => return findings.add("process", Grade::Wrong, failure.message),
        Some(Ok(response)) => {
            findings.add("process", Grade::Well, "serves");
            if let Response::Backup(state) = response {
                backup(&state, findings);
            }
        }
    }
    if let Some(Ok(Response::Lists(lists))) = asked(Request::ListsStatus).await {
        if lists.is_empty() {
            let words = "no list is imported: destinations are not screened; see caponier lists import";
            findings.add("lists", Grade::Look, words);
        } else {
            findings.add("lists", Grade::Well, format!("{} in force", lists.len()));
        }
    }
    if let Some(Ok(Response::Chains(chains))) = asked(Request::ChainsStatus).await {
        for chain in chains {
            let grade = if chain_works(&chain.phase) { Grade::Well } else { Grade::Wrong };
            findings.add("chain", grade, format!("{} is {}", chain.chain, chain.phase.replace('_', " ")));
        }
    }
}

/// Whether a chain in this phase is followed, or about to be.
pub(crate) fn chain_works(phase: &str) -> bool {
    matches!(phase, "following" | "catching_up" | "starting")
}

/// Whether a backup that lacks so many entries does not keep up.
pub(crate) const fn is_behind(entries: u64) -> bool {
    entries > BEHIND_MAX
}

fn backup(state: &crate::control::BackupState, findings: &mut Findings) {
    if state.target.is_none() {
        return;
    }
    let behind = state.entries.saturating_sub(state.entries_shipped);
    let grade = if is_behind(behind) { Grade::Wrong } else { Grade::Well };
    findings.add("backup", grade, format!("{behind} entries behind"));
    match &state.last_drill {
        Some(drill) if drill.ok => findings.add("restore drill", Grade::Well, "the last one succeeded"),
        Some(drill) => findings.add("restore drill", Grade::Wrong, format!("failed: {}", drill.detail)),
        None => {
            findings.add("restore drill", Grade::Look, "none was made yet; caponier backup drill makes one")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, dir: &Path) -> Findings {
        let config = Config::parse("c.toml", text, dir).unwrap();
        let mut findings = Findings::default();
        secrets(&config, &mut findings);
        disks(&config, &mut findings);
        exposure(&config, &mut findings);
        findings
    }

    fn grade(findings: &Findings, words: &str) -> Option<Grade> {
        findings.0.iter().find(|finding| finding.words.contains(words)).map(|finding| finding.grade)
    }

    #[test]
    fn keys_for_everybody_and_no_backup_are_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let text = "version = 1\n[data]\ndir = \"data\"\n[api.tokens]\nexchange = \"token\"\n";
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let before = found(text, dir.path());
        assert_eq!(grade(&before, "data.kek"), Some(Grade::Wrong), "data without its key: {before:?}");
        secret_file::create(&dir.path().join("data.kek"), b"x").unwrap();
        secret_file::create(&dir.path().join("token"), b"0123456789abcdef").unwrap();
        let well = found(text, dir.path());
        assert_eq!(grade(&well, "only its owner's"), Some(Grade::Well), "{well:?}");
        assert_eq!(grade(&well, "backup.target is not set"), Some(Grade::Wrong));
        assert_eq!(grade(&well, "mode"), None);
        for name in ["data.kek", "token"] {
            let open = std::fs::Permissions::from_mode(0o644);
            std::fs::set_permissions(dir.path().join(name), open).unwrap();
        }
        let open = found(text, dir.path());
        assert_eq!(
            open.0.iter().filter(|finding| finding.words.contains("mode 0644")).count(),
            2,
            "{open:?}"
        );
        let same_disk = found(&format!("{text}[backup]\ntarget = \"backup\"\n"), dir.path());
        assert_eq!(grade(&same_disk, "they are lost together"), Some(Grade::Look), "{same_disk:?}");
    }
}
