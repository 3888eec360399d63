//! Server and client over a real socket, with a packet filter that remembers.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bouncer::{
    Ban, Client, ClientStatus, Firewall, Limits, NeverBan, Prefix, Reason, Server, Setup, Table, Ttl,
    nft::FirewallError, server::Session,
};
use domain::{ManualClock, UnixNanos};

const START: UnixNanos = UnixNanos::from_secs(100);

/// Scripts taken, and how many are to be refused first.
#[derive(Debug, Clone, Default)]
struct Scripts(Arc<Mutex<(Vec<String>, usize)>>, Arc<AtomicBool>);

impl Firewall for Scripts {
    fn apply(&mut self, script: &str) -> Result<(), FirewallError> {
        let mut state = self.0.lock().unwrap();
        if state.1 > 0 {
            state.1 -= 1;
            return Err(FirewallError::Refused { text: "on purpose".to_owned() });
        }
        state.0.push(script.to_owned());
        if script.contains("delete table") {
            self.1.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    fn is_intact(&mut self) -> Result<bool, FirewallError> {
        Ok(!self.1.load(Ordering::Relaxed))
    }
}

impl Scripts {
    /// Somebody flushes the rules.
    fn flush(&self) {
        self.1.store(true, Ordering::Relaxed);
    }

    fn refuse_next(&self, count: usize) {
        self.0.lock().unwrap().1 = count;
    }

    fn last(&self) -> String {
        self.0.lock().unwrap().0.last().cloned().unwrap_or_default()
    }
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn start(path: &Path, uid: u32, scripts: &Scripts) -> std::io::Result<Server> {
    let clock = Arc::new(ManualClock::new(START));
    let setup = Setup { never: NeverBan::default(), syn_per_second: None };
    let table = Table::new(Limits::default(), setup, START);
    Server::start(path, uid, Duration::ZERO, table, Box::new(scripts.clone()), clock)
}

/// Says `text` and returns what comes back until the server ends the connection or everything is answered.
fn say(path: &Path, text: &str) -> Vec<String> {
    let mut stream = UnixStream::connect(path).unwrap();
    // A server that refuses us may have closed already.
    drop(stream.write_all(text.as_bytes()));
    drop(stream.shutdown(std::net::Shutdown::Write));
    BufReader::new(stream).lines().map_while(Result::ok).collect()
}

/// One conversation, and how the server saw it end.
fn converse(server: &mut Server, path: &Path, text: &str) -> (Vec<String>, Session) {
    std::thread::scope(|scope| {
        let said = scope.spawn(|| say(path, text));
        let session = server.serve_next().unwrap();
        (said.join().unwrap(), session)
    })
}

#[test]
fn a_batch_is_carried_out_and_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (path, scripts) = (dir.path().join("s"), Scripts::default());
    let mut server = start(&path, own_uid(), &scripts).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(scripts.last().starts_with("add table inet caponier\ndelete table"), "{}", scripts.last());
    let text = "add 203.0.113.7 60 scan\nadd 127.0.0.1 60 scan\nadd 10.0.0.0/8 60 scan\nlist\napply\n";
    let (said, session) = converse(&mut server, &path, text);
    assert_eq!(
        said,
        [
            "caponier-bouncer 1",
            "refused 1 protected",
            "refused 2 too-wide",
            "ban 203.0.113.7 60 scan",
            "applied 1 0 2 1"
        ]
    );
    assert_eq!(session, Session::Ended { n_batches: 1 });
    assert_eq!(scripts.last(), "add element inet caponier ban4 { 203.0.113.7 timeout 60s }\n");
    // The bans outlive the connection. What was not applied is not done.
    let (said, _) = converse(&mut server, &path, "flush\nlist\n");
    assert_eq!(said, ["caponier-bouncer 1"]);
    let (said, _) = converse(&mut server, &path, "list\napply\n");
    assert_eq!(said, ["caponier-bouncer 1", "ban 203.0.113.7 60 scan", "applied 0 0 0 1"]);
    drop(server);
    assert!(!path.exists());
}

#[test]
fn what_is_not_the_protocol_ends_the_connection_and_does_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (path, scripts) = (dir.path().join("s"), Scripts::default());
    let mut server = start(&path, own_uid(), &scripts).unwrap();
    let set_up = scripts.last();
    let long = format!("add 203.0.113.7 60 {}\napply\n", "x".repeat(300));
    let many = format!("{}apply\n", "list\n".repeat(4_097));
    let cut = "add 203.0.113.7 60 scan".to_owned();
    for text in [long, many, cut, "GET / HTTP/1.1\r\n\r\n".to_owned(), "add \u{e4}\n".to_owned()] {
        let (said, session) = converse(&mut server, &path, &text);
        assert!(matches!(session, Session::Misspoken { .. }), "{session:?}");
        assert!(said.last().unwrap().starts_with("error "), "{said:?}");
    }
    let mut raw = UnixStream::connect(&path).unwrap();
    raw.write_all(b"\xff\xfe\n").unwrap();
    assert!(matches!(server.serve_next().unwrap(), Session::Misspoken { .. }));
    assert_eq!(scripts.last(), set_up);
}

#[test]
fn other_users_are_refused() {
    if own_uid() != 0 {
        eprintln!("skipped: only root can hand a socket to another user");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut server = start(&path, 65_534, &Scripts::default()).unwrap();
    // Root may open any socket, and is not the user meant.
    let (said, session) = converse(&mut server, &path, "flush\napply\n");
    assert_eq!((said, session), (Vec::<String>::new(), Session::Refused { uid: 0 }));
}

#[test]
fn a_path_that_is_taken_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    std::fs::write(&path, "mine").unwrap();
    let error = start(&path, own_uid(), &Scripts::default()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    std::fs::remove_file(&path).unwrap();
    let first = start(&path, own_uid(), &Scripts::default()).unwrap();
    let error = start(&path, own_uid(), &Scripts::default()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    drop(first);
    // Left behind by a process that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    start(&path, own_uid(), &Scripts::default()).unwrap();
}

#[test]
fn a_packet_filter_that_went_astray_is_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let (path, scripts) = (dir.path().join("s"), Scripts::default());
    let mut server = start(&path, own_uid(), &scripts).unwrap();
    converse(&mut server, &path, "add 203.0.113.7 60 a\napply\n");
    scripts.refuse_next(1);
    let (said, _) = converse(&mut server, &path, "add 203.0.113.8 60 a\napply\n");
    assert_eq!(said.last().unwrap(), "applied 1 0 0 2");
    let rebuilt = scripts.last();
    assert!(rebuilt.contains("delete table") && rebuilt.contains("203.0.113.7 timeout 60s"), "{rebuilt}");
    // If even that fails the client is told, and the next batch, though empty, tries again.
    scripts.refuse_next(2);
    let (said, _) = converse(&mut server, &path, "add 203.0.113.9 60 a\napply\n");
    assert_eq!(said.last().unwrap(), "failed nft refused: on purpose");
    let (said, _) = converse(&mut server, &path, "apply\n");
    assert_eq!(said.last().unwrap(), "applied 0 0 0 3");
    assert!(scripts.last().contains("203.0.113.9 timeout 60s"));
}

/// Waits until the client's state is as wanted; gives up after many looks.
pub(crate) fn until(client: &Client, what: &str, wanted: impl Fn(&ClientStatus) -> bool) -> ClientStatus {
    for _ in 0..20_000 {
        let status = client.status();
        if wanted(&status) {
            return status;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    panic!("{what}: {:?}", client.status());
}

pub(crate) fn ban(text: &str, seconds: u32) -> Ban {
    Ban {
        prefix: Prefix::parse(text).unwrap(),
        ttl: Ttl::new(seconds).unwrap(),
        reason: Reason::parse("test").unwrap(),
    }
}

#[test]
fn the_client_tells_everything_again_to_a_server_that_came_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let every = Duration::from_millis(2);
    let client = Client::start(path.clone(), every, Arc::new(ManualClock::new(START))).unwrap();
    client.ban(ban("203.0.113.7", 60)).unwrap();
    client.ban(ban("127.0.0.1", 60)).unwrap();
    until(&client, "fails while nobody listens", |status| status.n_failures > 0);
    // A server that hears the batch and dies before it answers.
    let dying = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let (mut heard, _) = dying.accept().unwrap();
    heard.write_all(b"caponier-bouncer 1\n").unwrap();
    let lines: Vec<String> =
        BufReader::new(&heard).lines().map_while(Result::ok).take_while(|line| line != "apply").collect();
    assert_eq!(lines, ["flush", "add 127.0.0.1 60 test", "add 203.0.113.7 60 test"]);
    drop((heard, dying));
    client.ban(ban("203.0.113.8", 60)).unwrap();

    let scripts = Scripts::default();
    let mut server = start(&path, own_uid(), &scripts).unwrap();
    let serving = std::thread::spawn(move || server.serve_next());
    let told = until(&client, "is told all", |status| status.connected && status.in_force == 2);
    assert_eq!((told.wanted, told.n_refused), (2, 1));
    client.lift(&Prefix::parse("203.0.113.7").unwrap());
    until(&client, "is lifted", |status| status.in_force == 1);
    assert_eq!(scripts.last(), "delete element inet caponier ban4 { 203.0.113.7 }\n");
    drop(client);
    assert!(matches!(serving.join().unwrap().unwrap(), Session::Ended { n_batches: 2.. }));
}

/// Rules that somebody flushed come back with the bans in force, whether anybody speaks or not, and once.
#[test]
fn flushed_rules_come_back_without_news() {
    let dir = tempfile::tempdir().unwrap();
    let (path, scripts) = (dir.path().join("s"), Scripts::default());
    let clock = Arc::new(ManualClock::new(START));
    let table = Table::new(Limits::default(), Setup::default(), START);
    let every = Duration::from_millis(2);
    let firewall = Box::new(scripts.clone());
    let mut server = Server::start(&path, own_uid(), every, table, firewall, clock).unwrap();
    let count = || scripts.0.lock().unwrap().0.len();
    converse(&mut server, &path, "add 203.0.113.7 60 scan\napply\n");
    let before = count();
    // A client that only keeps its connection.
    converse(&mut server, &path, "apply\n");
    assert_eq!(count(), before);
    scripts.flush();
    converse(&mut server, &path, "apply\n");
    assert_eq!(count(), before + 1);
    let again = scripts.last();
    assert!(again.starts_with("add table") && again.contains("{ 203.0.113.7 timeout 60s }"), "{again}");
    // Nobody at all: the first look finds nothing to make them of, the second does.
    scripts.flush();
    scripts.refuse_next(1);
    let (said, _) = std::thread::scope(|scope| {
        let late = scope.spawn(|| {
            for _ in 0..2_000 {
                if count() == before + 2 {
                    break;
                }
                std::thread::park_timeout(Duration::from_millis(5));
            }
            say(&path, "list\napply\n")
        });
        (server.serve_next().unwrap(), late.join().unwrap())
    });
    assert_eq!(said, Session::Ended { n_batches: 1 });
    assert_eq!((count(), scripts.last()), (before + 2, again));
}
