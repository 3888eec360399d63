//! Gateways to attack: the program in a process of its own, in a temporary folder, ended when dropped.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::client::Door;
use crate::signing::Key;

/// Limits high enough that the attack itself is measured, not the limits.
const GENEROUS: &str = "source = \"100000 / 1s\"\nkey = \"100000 / 1s\"\nread = \"100000 / 1s\"\n\
                        public = \"100000 / 1s\"\nplace = \"100000 / 1s\"\norders = \"100000 / 1s\"\nwrite = \"100000 / 1s\"\n";

/// A running program.
#[derive(Debug)]
pub struct House {
    child: Child,
    /// Held open: the program may write to it.
    _output: BufReader<std::process::ChildStdout>,
    dir: tempfile::TempDir,
    program: PathBuf,
    ready: Value,
    /// Its gateway.
    pub door: Door,
}

impl House {
    /// `caponier run` without TLS in front of `upstream`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn plain(program: &Path, upstream: SocketAddr, has_generous_limits: bool) -> Result<Self> {
        let limits = if has_generous_limits { GENEROUS } else { "" };
        Self::run(program, upstream, "", limits, |_, addr| Ok(Door::plain(addr)))
    }

    fn run(
        program: &Path,
        upstream: SocketAddr,
        tls: &str,
        limits: &str,
        door: impl FnOnce(&Value, SocketAddr) -> Result<Door>,
    ) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let token = dir.path().join("upstream.token");
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(token)?;
        file.write_all(b"0123456789abcdef0123456789abcdef")?;
        let config = format!(
            "version = 1\n[data]\ndir = \"data\"\n[gateway]\nlisten = \"127.0.0.1:0\"\n\
             upstream = \"http://{upstream}\"\nupstream_token_file = \"upstream.token\"\n{tls}[limits]\n{limits}\
             [api]\nlisten = \"127.0.0.1:0\"\n"
        );
        let path = dir.path().join("caponier.toml");
        std::fs::write(&path, config)?;
        let mut command = Command::new(program);
        command.args(["run", "--json", "--config"]).arg(&path);
        Self::start(program, command, dir, door)
    }

    /// `caponier run` that speaks TLS 1.3 alone, with the certificate of [`House::demo`].
    ///
    /// # Errors
    /// When it does not start.
    pub fn modern(program: &Path, upstream: SocketAddr, demo: &Self) -> Result<Self> {
        let authority = PathBuf::from(demo.authority().context("the demo has no authority")?);
        let files = authority.parent().context("no folder of certificates")?.display();
        let tls = format!(
            "certificate_file = \"{files}/server.pem\"\nprivate_key_file = \"{files}/server.key\"\ntls_min = \"1.3\"\n"
        );
        Self::run(program, upstream, &tls, "", |_, addr| Door::tls(addr, &authority))
    }

    /// `caponier demo --serve`: TLS, a simulated exchange, a funded account.
    ///
    /// # Errors
    /// When it does not start.
    pub fn demo(program: &Path) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut command = Command::new(program);
        command.args(["demo", "--serve", "--json", "--data-dir"]).arg(dir.path().join("demo"));
        Self::start(program, command, dir, |ready, addr| {
            let file = ready["ca_file"].as_str().context("no ca_file")?;
            Door::tls(addr, Path::new(file))
        })
    }

    fn start(
        program: &Path,
        mut command: Command,
        dir: tempfile::TempDir,
        door: impl FnOnce(&Value, SocketAddr) -> Result<Door>,
    ) -> Result<Self> {
        let log = std::fs::File::create(dir.path().join("stderr"))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().with_context(|| format!("start {}", program.display()))?;
        let stdout = child.stdout.take().context("no output")?;
        let mut output = BufReader::new(stdout);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        if ready["ready"] != true {
            drop(child.kill());
            let said = std::fs::read_to_string(dir.path().join("stderr")).unwrap_or_default();
            bail!("the program did not start: {line}{said}");
        }
        let addr = ready["gateway"].as_str().and_then(|url| url.rsplit('/').next()).context("no gateway")?;
        let door = door(&ready, addr.parse()?)?;
        let program = program.to_owned();
        Ok(Self { child, _output: output, dir, program, ready, door })
    }

    /// Has [`House::plain`] read its configuration again, in which the rate of reads is now `reads`.
    ///
    /// # Errors
    /// When it refuses.
    pub fn reload(&self, reads: u32) -> Result<()> {
        let path = self.dir.path().join("caponier.toml");
        let text = std::fs::read_to_string(&path)?;
        let lines = text.lines().map(|line| match line.split_once(" = ") {
            Some(("read", _)) => format!("read = \"{reads} / 1s\"\n"),
            _ => format!("{line}\n"),
        });
        std::fs::write(&path, lines.collect::<String>())?;
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(path);
        let output = command.arg("reload").output()?;
        if !output.status.success() {
            bail!("reload: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file with the certificate authority of [`House::demo`].
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.ready["ca_file"].as_str()
    }

    /// The key that may do everything: made now, or the demo's trader.
    ///
    /// # Errors
    /// When the program refuses.
    pub fn key(&self, account: &str) -> Result<Key> {
        if let Some(key) = self.ready["api_keys"].get(0) {
            return Key::read(key).context("no key in the ready line");
        }
        let output = Command::new(&self.program)
            .args(["--json", "--config"])
            .arg(self.dir.path().join("caponier.toml"))
            .args(["keys", "create", "--account", account, "--permissions", "read", "--permissions", "trade"])
            .args(["--permissions", "withdraw", "--ip", "127.0.0.0/8"])
            .output()?;
        let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Key::read(&json).with_context(|| format!("no key: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // Ended already, or to be ended now: either is well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
