//! The gateway's side of the socket: [`Client`] takes bans at any time and never blocks; a thread of its own tells the
//! privileged process once a second.
//!
//! While the other side is away bans wait in the [`Outbox`]; on a new connection everything still to be in force is
//! told anew. Losing the other side never stops the gateway: it goes on refusing by itself.

use std::{
    io,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use domain::Clock;
use parking_lot::{Condvar, Mutex};

use crate::{
    outbox::{Outbox, QueueFull},
    prefix::Prefix,
    protocol::{Ban, Command, GREETING, LINE_BYTES_MAX, Reply},
};

/// Time between two batches, and between two attempts to connect.
pub const BATCH_EVERY: Duration = Duration::from_secs(1);

/// With nothing to say, an empty batch is sent after so many intervals to keep the connection.
const KEEP_EVERY: u32 = 10;

/// Longest wait for an answer: the other side may have to rebuild a full table.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// How the conversation goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientStatus {
    /// Whether the last batch was answered.
    pub connected: bool,
    /// Bans in force on the other side, as it last said.
    pub in_force: usize,
    /// Bans that are to be in force.
    pub wanted: usize,
    /// Commands the other side refused.
    pub n_refused: u64,
    /// Bans dropped because the queue was full.
    pub n_dropped: u64,
    /// Connections that failed or broke.
    pub n_failures: u64,
    /// What went wrong last.
    pub last_error: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    outbox: Outbox,
    status: ClientStatus,
    stop: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    every: Duration,
}

/// The handle. Dropping it ends the thread; the bans said stay until they end.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Starts the thread that speaks with the process listening at `path`, one batch per `every`
    /// (use [`BATCH_EVERY`]).
    ///
    /// # Errors
    /// If no thread can be started. That nobody listens is no error: it tries again.
    pub fn start(path: PathBuf, every: Duration, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let state = Mutex::new(State::default());
        let shared = Arc::new(Shared { state, changed: Condvar::new(), clock, path, every });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("bans".to_owned()).spawn(move || speak(&theirs))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Asks for a ban, or for a longer one. Does not block on the other side.
    ///
    /// # Errors
    /// [`QueueFull`]; counted as dropped.
    pub fn ban(&self, ban: Ban) -> Result<(), QueueFull> {
        let now = self.shared.clock.now();
        let mut state = self.shared.state.lock();
        let done = state.outbox.ban(ban, now);
        state.status.n_dropped += u64::from(done.is_err());
        done
    }

    /// Takes a ban back.
    pub fn lift(&self, prefix: &Prefix) {
        self.shared.state.lock().outbox.lift(prefix);
    }

    /// How it goes.
    #[must_use]
    pub fn status(&self) -> ClientStatus {
        let state = self.shared.state.lock();
        ClientStatus { wanted: state.outbox.wanted(), ..state.status.clone() }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.state.lock().stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic there has ended it too.
            drop(thread.join());
        }
    }
}

type Connection = BufReader<UnixStream>;

fn speak(shared: &Shared) {
    let mut connection: Option<Connection> = None;
    let mut idle = 0;
    loop {
        {
            let mut state = shared.state.lock();
            if !state.stop {
                shared.changed.wait_for(&mut state, shared.every);
            }
            if state.stop {
                return;
            }
            idle = if state.outbox.is_empty() { idle + 1 } else { 0 };
        }
        if connection.is_some() && idle % KEEP_EVERY != 0 {
            continue;
        }
        if let Err(error) = step(shared, &mut connection) {
            connection = None;
            let mut state = shared.state.lock();
            state.status.connected = false;
            state.status.n_failures += 1;
            state.status.last_error = Some(error.to_string());
        }
    }
}

/// Connects if needed and says one batch.
fn step(shared: &Shared, connection: &mut Option<Connection>) -> io::Result<()> {
    let stream = match connection {
        Some(stream) => stream,
        None => {
            let mut stream = BufReader::new(UnixStream::connect(&shared.path)?);
            stream.get_ref().set_read_timeout(Some(ANSWER_MAX))?;
            stream.get_ref().set_write_timeout(Some(ANSWER_MAX))?;
            if read_line(&mut stream)? != GREETING {
                return Err(io::Error::other("the other side speaks another protocol"));
            }
            shared.state.lock().outbox.start_afresh();
            connection.insert(stream)
        }
    };
    let batch = shared.state.lock().outbox.next_batch(shared.clock.now());
    let mut text: String = batch.iter().map(|command| format!("{command}\n")).collect();
    text.push_str(&format!("{}\n", Command::Apply));
    stream.get_mut().write_all(text.as_bytes())?;
    let mut refused = Vec::new();
    loop {
        let line = read_line(stream)?;
        match Reply::parse(&line) {
            Some(Reply::Refused { idx, refusal }) if refused.len() < batch.len() => {
                refused.push((idx, refusal))
            }
            Some(Reply::Applied(applied)) => {
                let mut state = shared.state.lock();
                state.outbox.refused(&batch, &refused);
                state.status.connected = true;
                state.status.in_force = applied.in_force;
                state.status.n_refused += refused.len() as u64;
                return Ok(());
            }
            // The other side keeps trying; so that nothing is lost, we begin anew.
            Some(Reply::Failed(text) | Reply::Error(text)) => return Err(io::Error::other(text)),
            Some(Reply::Ban(_) | Reply::Refused { .. }) | None => {
                return Err(io::Error::other("an answer out of place"));
            }
        }
    }
}

fn read_line(stream: &mut Connection) -> io::Result<String> {
    let mut line = String::new();
    stream.by_ref().take(LINE_BYTES_MAX as u64).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
