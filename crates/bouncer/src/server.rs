//! The socket of the privileged process: one client at a time, checked by its user id, one batch per interval.
//!
//! Now and then it is looked whether the rules are still there, also while nobody speaks: whoever reloads the system's
//! rules flushes ours, and gets them back with the bans in force.
//!
//! Bounds: a line, a batch, the bans and their rate (see [`crate::protocol`] and [`crate::table`]); a client that says
//! nothing for [`IDLE_MAX`] is let go, so that the next in line gets its turn.

use std::{
    fmt, fs, io,
    io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _},
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use domain::{Clock, UnixNanos};
use rustix::{
    fs::Mode,
    net::sockopt::{Timeout, set_socket_timeout, socket_peercred},
    process::{Uid, umask},
};

use crate::{
    nft::Firewall,
    protocol::{BATCH_COMMANDS_MAX, Command, GREETING, LINE_BYTES_MAX, Refusal, Reply},
    table::Table,
};

/// A client that says nothing for so long is let go; so is one that does not read its answers.
pub const IDLE_MAX: Duration = Duration::from_secs(30);

/// Shortest time between two batches.
pub const BATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Batches' worth of time between two looks at the packet filter.
const LOOK_EVERY: u32 = 10;

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Session {
    /// The client closed it, fell silent or broke off.
    Ended {
        /// Batches carried out.
        n_batches: u64,
    },
    /// What the client said is not the protocol.
    Misspoken {
        /// What was told to it.
        text: String,
    },
    /// Another user's process.
    Refused {
        /// Its user id.
        uid: u32,
    },
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { n_batches } => write!(f, "connection ended after {n_batches} batches"),
            Self::Misspoken { text } => write!(f, "connection ended: {text}"),
            Self::Refused { uid } => write!(f, "connection of user {uid} refused"),
        }
    }
}

/// The listening socket, the bans and the packet filter.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    peer_uid: u32,
    interval: Duration,
    table: Table,
    firewall: Box<dyn Firewall>,
    clock: Arc<dyn Clock>,
    /// The packet filter may differ from the table.
    astray: bool,
    last_batch: Option<UnixNanos>,
    looked_at: UnixNanos,
}

impl Server {
    /// Makes the socket, with mode 0600 and owned by the user whose processes may speak, and the table of the packet
    /// filter. A socket nobody listens on is replaced; anything else at the path is an error.
    ///
    /// # Errors
    /// As the operating system reports; `AddrInUse` if somebody listens already; the packet filter's refusal.
    pub fn start(
        path: &Path,
        peer_uid: u32,
        interval: Duration,
        table: Table,
        mut firewall: Box<dyn Firewall>,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        if let Ok(found) = fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path is taken by no socket"));
            }
            if UnixStream::connect(path).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            fs::remove_file(path)?;
        }
        firewall.apply(&table.rebuild(clock.now())).map_err(io::Error::other)?;
        let mask = umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(path);
        umask(mask);
        let listener = bound?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        if rustix::process::geteuid() != Uid::from_raw(peer_uid) {
            std::os::unix::fs::chown(path, Some(peer_uid), None)?;
        }
        // While nobody connects, waiting ends now and then.
        let look_every = Some(interval.saturating_mul(LOOK_EVERY)).filter(|time| !time.is_zero());
        set_socket_timeout(&listener, Timeout::Recv, look_every)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            peer_uid,
            interval,
            table,
            firewall,
            looked_at: clock.now(),
            clock,
            astray: false,
            last_batch: None,
        })
    }

    /// Waits for a client and serves it until it goes.
    ///
    /// # Errors
    /// As accepting reports.
    pub fn serve_next(&mut self) -> io::Result<Session> {
        let stream = loop {
            match self.listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.tend(),
                Err(error) => return Err(error),
            }
        };
        let peer = socket_peercred(&stream)?;
        if peer.uid != Uid::from_raw(self.peer_uid) {
            return Ok(Session::Refused { uid: peer.uid.as_raw() });
        }
        let mut n_batches = 0;
        match self.converse(&stream, &mut n_batches) {
            Ok(None) | Err(_) => Ok(Session::Ended { n_batches }),
            Ok(Some(text)) => Ok(Session::Misspoken { text }),
        }
    }

    /// Speaks with a client; returns what it was told if it does not speak the protocol.
    fn converse(&mut self, stream: &UnixStream, n_batches: &mut u64) -> io::Result<Option<String>> {
        stream.set_read_timeout(Some(IDLE_MAX))?;
        stream.set_write_timeout(Some(IDLE_MAX))?;
        let mut input = BufReader::new(stream);
        let mut output = BufWriter::new(stream);
        writeln!(output, "{GREETING}")?;
        output.flush()?;
        let mut batch = Vec::new();
        while let Some(line) = read_line(&mut input)? {
            let command = line.as_deref().map_err(|text| (*text).to_owned()).and_then(|line| {
                match Command::parse(line) {
                    Ok(command) => Ok(Ok(command)),
                    Err(error) => error.refusal().map(Err).ok_or_else(|| error.to_string()),
                }
            });
            match command {
                Ok(Ok(Command::Apply)) => {
                    self.wait_turn();
                    for reply in self.apply(&std::mem::take(&mut batch)) {
                        writeln!(output, "{reply}")?;
                    }
                    output.flush()?;
                    *n_batches += 1;
                }
                Ok(command) if batch.len() < BATCH_COMMANDS_MAX => batch.push(command),
                other => {
                    let text = other.err().unwrap_or_else(|| "a batch has at most 4096 commands".to_owned());
                    writeln!(output, "{}", Reply::Error(text.clone()))?;
                    output.flush()?;
                    return Ok(Some(text));
                }
            }
        }
        Ok(None)
    }

    fn wait_turn(&mut self) {
        let now = self.clock.now();
        if let Some(last) = self.last_batch {
            std::thread::sleep(self.interval.saturating_sub(now.since(last)));
        }
        self.last_batch = Some(self.clock.now());
    }

    /// Looks whether the rules are there, and makes them anew if not.
    fn tend(&mut self) {
        let now = self.clock.now();
        self.look(now);
        if self.astray {
            // What does not work now is tried again at the next look.
            self.astray = self.firewall.apply(&self.table.rebuild(now)).is_err();
        }
    }

    fn look(&mut self, now: UnixNanos) {
        self.looked_at = now;
        // Where nobody knows nothing is undone: a filter that is there keeps its counters.
        self.astray |= matches!(self.firewall.is_intact(), Ok(false));
    }

    /// Carries out a batch, rebuilding the packet filter's table if it does not take the change: an element may have
    /// run out meanwhile, or somebody may have flushed the rules.
    fn apply(&mut self, batch: &[Result<Command, Refusal>]) -> Vec<Reply> {
        let now = self.clock.now();
        let outcome = self.table.batch(batch, now);
        let changed = !outcome.script.is_empty();
        // A client without news says so now and then; one with news all the time must not keep us from looking.
        if !changed || now.since(self.looked_at) >= self.interval.saturating_mul(LOOK_EVERY) {
            self.look(now);
        }
        if self.astray || (changed && self.firewall.apply(&outcome.script).is_err()) {
            if let Err(error) = self.firewall.apply(&self.table.rebuild(now)) {
                self.astray = true;
                return vec![Reply::Failed(error.to_string())];
            }
            self.astray = false;
        }
        let mut replies = outcome.replies;
        replies.push(Reply::Applied(outcome.applied));
        replies
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The bans stay and run out by themselves.
        drop(fs::remove_file(&self.path));
    }
}

/// The next line without its end, or why it is none; `None` at the end.
fn read_line(input: &mut BufReader<&UnixStream>) -> io::Result<Option<Result<String, &'static str>>> {
    let mut line = Vec::new();
    input.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(match line.strip_suffix(b"\n") {
        Some(line) => String::from_utf8(line.to_vec()).map_err(|_| "a line is ASCII"),
        None => Err("a line is at most 256 bytes and ends with a newline"),
    }))
}
