//! The file of recorded traffic: one JSON object a line for each request, to try other routes and limits on.
//!
//! Sources, keys and accounts stand there under pseudonyms, made with a key that is random for each file, held in memory
//! only and never written: nobody can tell afterwards who was who, not even with a list of all accounts. Instruments,
//! paths and times are as they were.
//!
//! Bounds: [`WAITING_MAX`] requests wait for the writer, what comes on top is dropped and counted; two files of half the
//! configured size, the older one under the name with `.1` at its end. A start begins a new file.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufWriter, Write as _},
    net::{IpAddr, Ipv6Addr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
};

use crypto::MacKey;
use domain::UnixNanos;
use gateway::traffic::{Passed, Recorder, Replayed};
use serde::{Deserialize, Serialize};

/// Requests that wait for the writer.
const WAITING_MAX: usize = 8192;
/// Longest line that is read back, in bytes.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    /// Nanoseconds since 1970.
    pub(crate) at: u64,
    pub(crate) source: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) key: Option<String>,
    /// Whether it came over a web socket.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub(crate) ws: bool,
    pub(crate) post: bool,
    pub(crate) path: String,
    pub(crate) instruments: Vec<String>,
    pub(crate) outcome: String,
}

impl Line {
    fn of(passed: Passed, pseudonyms: &MacKey) -> Self {
        let pseudonym = |kind: &[u8], name: &[u8]| {
            let [a, b, c, d, e, f, g, h, ..] = pseudonyms.sign(&[kind, b"\0", name]);
            hex::encode([a, b, c, d, e, f, g, h])
        };
        let source = admission::reputation::Source::of(passed.source).to_string();
        let (account, key) = passed.proven.unzip();
        Self {
            at: passed.at.0,
            source: pseudonym(b"source", source.as_bytes()),
            account: account.map(|account| pseudonym(b"account", account.as_bytes())),
            key: key.map(|key| pseudonym(b"key", key.as_bytes())),
            ws: passed.is_operation,
            post: passed.is_post,
            path: passed.path,
            instruments: passed.instruments,
            outcome: passed.outcome.to_owned(),
        }
    }

    /// As a dry run takes it; an error in words if a pseudonym is none.
    pub(crate) fn replayed(&self) -> Result<Replayed<'_>, String> {
        let mut source = [0; 16];
        let network = source.get_mut(..8).unwrap_or_default();
        hex::decode_to_slice(&self.source, network)
            .map_err(|_| format!("source {:?} is no pseudonym of 16 digits", self.source))?;
        Ok(Replayed {
            at: UnixNanos(self.at),
            source: IpAddr::V6(Ipv6Addr::from(source)),
            proven: self.account.as_deref().zip(self.key.as_deref()),
            is_operation: self.ws,
            is_post: self.post,
            path: &self.path,
            instruments: &self.instruments,
            outcome: &self.outcome,
        })
    }
}

/// Calls `each` with the lines of a file, in order.
///
/// # Errors
/// What `each` says, or what is wrong with the file, with the line's number.
pub(crate) fn read(
    from: impl io::Read,
    mut each: impl FnMut(&Line) -> Result<(), String>,
) -> Result<(), String> {
    let mut from = io::BufReader::new(from);
    let mut bytes = Vec::new();
    for number in 1_u64.. {
        bytes.clear();
        let n = io::Read::take(&mut from, LINE_BYTES_MAX).read_until(b'\n', &mut bytes);
        let n = n.map_err(|error| format!("line {number}: {error}"))?;
        if n == 0 {
            return Ok(());
        }
        if !bytes.ends_with(b"\n") {
            // A recording that was cut off ends so; a line that is too long does not.
            let is_cut = (bytes.len() as u64) < LINE_BYTES_MAX;
            return if is_cut { Ok(()) } else { Err(format!("line {number}: is too long")) };
        }
        let line: Line = serde_json::from_slice(&bytes).map_err(|error| format!("line {number}: {error}"))?;
        each(&line).map_err(|message| format!("line {number}: {message}"))?;
    }
    Ok(())
}

/// Writes what passes.
#[derive(Debug)]
pub(crate) struct TrafficFile {
    writer: SyncSender<Passed>,
    dropped: Arc<AtomicU64>,
}

impl TrafficFile {
    /// Begins a file of which at most `bytes_max` are kept, the older half beside it.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn begin(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let (writer, waiting) = sync_channel(WAITING_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let mut writing = Writing::begin(path.to_owned(), bytes_max / 2)?;
        let lost = Arc::clone(&dropped);
        std::thread::Builder::new().name("traffic".to_owned()).spawn(move || {
            if let Err(error) = writing.all(&waiting, &lost) {
                tracing::error!(%error, file = %writing.path.display(), "traffic is recorded no more");
            }
        })?;
        Ok(Self { writer, dropped })
    }
}

impl Recorder for TrafficFile {
    fn record(&self, passed: Passed) {
        if let Err(TrySendError::Full(_)) = self.writer.try_send(passed) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Writing {
    path: PathBuf,
    file: BufWriter<File>,
    written: u64,
    bytes_max: u64,
    pseudonyms: MacKey,
}

impl Writing {
    fn begin(path: PathBuf, bytes_max: u64) -> io::Result<Self> {
        let mut older = path.clone().into_os_string();
        older.push(".1");
        #[allow(
            clippy::disallowed_methods,
            reason = "a recording may be lost with the machine: nothing depends on it"
        )]
        match std::fs::rename(&path, older) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let pseudonyms = MacKey::new(&crypto::random::array::<32>());
        Ok(Self { path, file: BufWriter::new(file), written: 0, bytes_max, pseudonyms })
    }

    /// Writes until nobody can send any more.
    fn all(&mut self, waiting: &Receiver<Passed>, dropped: &AtomicU64) -> io::Result<()> {
        loop {
            let passed = match waiting.try_recv() {
                Ok(passed) => passed,
                Err(TryRecvError::Disconnected) => return self.file.flush(),
                Err(TryRecvError::Empty) => {
                    // Whoever reads the file finds all there is.
                    self.file.flush()?;
                    let lost = dropped.swap(0, Ordering::Relaxed);
                    if lost > 0 {
                        tracing::warn!(requests = lost, "traffic came faster than it could be recorded");
                    }
                    match waiting.recv() {
                        Ok(passed) => passed,
                        Err(_) => return Ok(()),
                    }
                }
            };
            let mut text = serde_json::to_vec(&Line::of(passed, &self.pseudonyms))?;
            text.push(b'\n');
            if self.written > 0 && self.written + text.len() as u64 > self.bytes_max {
                self.file.flush()?;
                *self = Self::begin(self.path.clone(), self.bytes_max)?;
            }
            self.file.write_all(&text)?;
            self.written += text.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests;
