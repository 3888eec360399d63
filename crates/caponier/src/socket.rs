//! The control socket: one JSON line in, JSON lines out, for processes of the same user on the same machine.

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc},
};

use crate::{
    control::{LINE_BYTES_MAX, Line, Request, Response},
    core::Core,
    exit::{Exit, Failure},
};

/// Requests served at a time.
const CONNECTIONS_MAX: usize = 16;

/// Longest wait for a request after connecting.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest path of a unix socket on Linux, in bytes, less the closing zero.
const PATH_BYTES_MAX: usize = 107;

/// A bound control socket; its file is removed when dropped.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "control socket was gone already");
        }
    }
}

impl ControlSocket {
    /// Binds. The caller holds the data directory's lock, so a file left behind belongs to a dead process.
    pub(crate) fn bind(path: PathBuf) -> io::Result<Self> {
        if path.as_os_str().len() > PATH_BYTES_MAX {
            let message =
                format!("{}: longer than a socket's path may be, {PATH_BYTES_MAX} bytes", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Serves until dropped.
    pub(crate) async fn serve(self, core: Arc<Core>) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let own = rustix::process::geteuid().as_raw();
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "control socket");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            // The file's mode keeps others out already; root may come too.
            let allowed = stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0);
            if !allowed {
                tracing::warn!("control socket: another user was refused");
                continue;
            }
            let core = Arc::clone(&core);
            tokio::spawn(async move {
                if let Err(error) = answer(stream, &core).await {
                    tracing::debug!(%error, "control connection broke");
                }
                drop(slot);
            });
        }
    }
}

async fn answer(mut stream: UnixStream, core: &Core) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut text = String::new();
    let mut reader = BufReader::new(read.take(LINE_BYTES_MAX));
    tokio::time::timeout(PATIENCE, reader.read_line(&mut text)).await??;
    let request: Request = match serde_json::from_str(&text) {
        Ok(request) => request,
        Err(error) => {
            let line = Line::Failed { exit: Exit::Usage.code(), message: format!("request: {error}") };
            return send(&mut write, &line).await;
        }
    };
    // Progress is a courtesy: what does not fit the channel is left out.
    let (progress, mut reports) = mpsc::channel::<Line>(16);
    let mut last = u64::MAX;
    let mut report = move |what: &str, done: u64, total: u64| {
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
        if percent != last {
            last = percent;
            drop(progress.try_send(Line::Progress { what: what.to_owned(), done, total }));
        }
    };
    let work = async {
        let result = core.handle(request, &mut report).await;
        drop(report);
        result
    };
    let forward = async {
        while let Some(line) = reports.recv().await {
            send(&mut write, &line).await?;
        }
        Ok::<_, io::Error>(())
    };
    let (result, forwarded) = tokio::join!(work, forward);
    forwarded?;
    let line = match result {
        Ok(response) => Line::Done(Box::new(response)),
        Err(failure) => Line::Failed { exit: failure.exit.code(), message: failure.message },
    };
    send(&mut write, &line).await
}

async fn send(write: &mut (impl AsyncWriteExt + Unpin), line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    write.write_all(&text).await
}

/// Asks the process that holds a data directory; `None` when there is none.
pub(crate) async fn ask(
    path: &Path,
    request: &Request,
    progress: &mut (dyn FnMut(&str, u64, u64) + Send),
) -> Option<Result<Response, Failure>> {
    let stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return None;
        }
        Err(error) => return Some(Err(Failure::io(path.display(), error))),
    };
    Some(
        converse(stream, request, progress)
            .await
            .unwrap_or_else(|error| Err(Failure::io(path.display(), error))),
    )
}

async fn converse(
    mut stream: UnixStream,
    request: &Request,
    progress: &mut (dyn FnMut(&str, u64, u64) + Send),
) -> io::Result<Result<Response, Failure>> {
    let (read, mut write) = stream.split();
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    write.write_all(&text).await?;
    let mut reader = BufReader::new(read);
    loop {
        let mut text = String::new();
        if (&mut reader).take(LINE_BYTES_MAX).read_line(&mut text).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match serde_json::from_str(&text)? {
            Line::Progress { what, done, total } => progress(&what, done, total),
            Line::Done(response) => return Ok(Ok(*response)),
            Line::Failed { exit, message } => return Ok(Err(Failure::new(Exit::from_code(exit), message))),
        }
    }
}
