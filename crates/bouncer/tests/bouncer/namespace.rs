//! The real program and the kernel's packet filter, in two network namespaces joined by a cable. Needs root,
//! `CAP_NET_ADMIN`, nft and ip; says so and skips without them.

use std::{
    net::{Ipv4Addr, SocketAddrV4, TcpListener},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bouncer::{Client, Prefix};
use domain::{Clock, ManualClock, UnixNanos};
use rustix::{
    net::{AddressFamily, SocketType, sockopt},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::conversation::{ban, until};

const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const HONEST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const HOSTILE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 3);
const PORT: u16 = 4_430;

/// How long a connection may take; a dropped one takes all of it.
const CONNECT_MAX: Duration = Duration::from_millis(200);

fn run(program: &str, arguments: &str) -> bool {
    let status = Command::new(program).args(arguments.split_whitespace()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn output(program: &str, arguments: &str) -> String {
    let output = Command::new(program).args(arguments.split_whitespace()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Two namespaces: a server with a listening port, a client with two addresses.
struct Cable {
    server: String,
    client: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Cable {
    /// Nothing if that is not allowed here.
    fn lay() -> Option<Self> {
        let tag = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let cable = Self { server: format!("cap-s-{tag}"), client: format!("cap-c-{tag}") };
        let Self { server, client } = &cable;
        let laid = run("nft", "--version")
            && run("ip", &format!("netns add {server}"))
            && run("ip", &format!("netns add {client}"))
            && run("ip", &format!("-n {server} link add v0 type veth peer name v0 netns {client}"))
            && run("ip", &format!("-n {server} address add {SERVER}/24 dev v0"))
            && run("ip", &format!("-n {client} address add {HONEST}/24 dev v0"))
            && run("ip", &format!("-n {client} address add {HOSTILE}/24 dev v0"))
            && run("ip", &format!("-n {server} link set v0 up"))
            && run("ip", &format!("-n {client} link set v0 up"))
            && run("ip", &format!("netns exec {server} nft list ruleset"));
        if !laid {
            eprintln!("skipped: network namespaces and nftables need root, CAP_NET_ADMIN, ip and nft");
        }
        laid.then_some(cable)
    }

    /// The program, listening.
    fn bouncer(&self, dir: &Path, more: &[&str]) -> (Running, PathBuf) {
        let socket = dir.join("bouncer");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.server, env!("CARGO_BIN_EXE_caponier-bouncer"), "--peer-uid"]);
        command.arg(rustix::process::geteuid().as_raw().to_string()).arg("--socket").arg(&socket).args(more);
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        (Running(child), socket)
    }

    fn nft(&self, arguments: &str) -> String {
        output("ip", &format!("netns exec {} nft {arguments}", self.server))
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        run("ip", &format!("netns delete {}", self.server));
        run("ip", &format!("netns delete {}", self.client));
    }
}

/// A process that is killed in the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Moves this thread into a namespace; its sockets stay there.
fn enter(namespace: &str) {
    let file = std::fs::File::open(Path::new("/run/netns").join(namespace)).unwrap();
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
}

fn within<T: Send>(namespace: &str, task: impl FnOnce() -> T + Send) -> T {
    let task = || {
        enter(namespace);
        task()
    };
    std::thread::scope(|scope| scope.spawn(task).join()).unwrap()
}

/// Whether a TCP connection from an address comes about.
fn connects(cable: &Cable, from: Ipv4Addr) -> bool {
    within(&cable.client, || {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(CONNECT_MAX)).unwrap();
        rustix::net::bind(&socket, &SocketAddrV4::new(from, 0)).unwrap();
        rustix::net::connect(&socket, &SocketAddrV4::new(SERVER, PORT)).is_ok()
    })
}

/// A listening port in the server's namespace; connections wait in its backlog.
fn listen(cable: &Cable) -> TcpListener {
    within(&cable.server, || TcpListener::bind((SERVER, PORT)).unwrap())
}

fn client(socket: PathBuf) -> Client {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(UnixNanos::from_secs(1)));
    Client::start(socket, Duration::from_millis(10), clock).unwrap()
}

#[test]
fn a_banned_source_is_dropped_others_pass_and_the_ban_runs_out() {
    let Some(cable) = Cable::lay() else { return };
    let _listener = listen(&cable);
    let dir = tempfile::tempdir().unwrap();
    let (_running, socket) = cable.bouncer(dir.path(), &[]);
    assert!(connects(&cable, HOSTILE) && connects(&cable, HONEST));
    let gateway = client(socket);
    gateway.ban(ban(&HOSTILE.to_string(), 4)).unwrap();
    until(&gateway, "ban is in force", |status| status.in_force == 1);
    assert!(!connects(&cable, HOSTILE), "{}", cable.nft("list table inet caponier"));
    assert!(connects(&cable, HONEST));
    // Nobody takes it back; each look takes at most as long as a connection may.
    let runs_out = (0..100).any(|_| connects(&cable, HOSTILE));
    assert!(runs_out, "{}", cable.nft("list table inet caponier"));
    // A network, and lifting it.
    gateway.ban(ban("198.51.100.2/31", 600)).unwrap();
    // The one that ran out counts until the next batch, so the number says nothing.
    let in_force = |_| cable.nft("list set inet caponier net4").contains("198.51.100.2/31");
    assert!((0..5_000).any(in_force), "{}", cable.nft("list table inet caponier"));
    assert!(!connects(&cable, HOSTILE) && !connects(&cable, HONEST));
    gateway.lift(&Prefix::parse("198.51.100.2/31").unwrap());
    until(&gateway, "network is lifted", |status| status.in_force == 0);
    assert!(connects(&cable, HONEST) && connects(&cable, HOSTILE));
}

#[test]
fn the_never_ban_list_holds_and_flushed_rules_come_back() {
    let Some(cable) = Cable::lay() else { return };
    let _listener = listen(&cable);
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("never");
    std::fs::write(&list, "# administrators\n198.51.100.2\n").unwrap();
    let (running, socket) = cable.bouncer(dir.path(), &["--never-ban-file", list.to_str().unwrap()]);
    let gateway = client(socket.clone());
    gateway.ban(ban(&HONEST.to_string(), 600)).unwrap();
    gateway.ban(ban("198.51.100.0/24", 600)).unwrap();
    gateway.ban(ban(&HOSTILE.to_string(), 600)).unwrap();
    let told = until(&gateway, "two are refused", |status| status.n_refused == 2);
    assert_eq!((told.in_force, told.wanted), (1, 1));
    assert!(!connects(&cable, HOSTILE) && connects(&cable, HONEST));
    // Somebody reloads the packet filter's rules: everything comes back by itself, whatever of it is gone.
    for flush in ["flush ruleset", "flush table inet caponier"] {
        cable.nft(flush);
        assert!(connects(&cable, HOSTILE), "{flush}");
        // Each look takes some milliseconds, and it takes a second or two.
        let is_back = |_| cable.nft("list chain inet caponier prerouting").contains("ip saddr @ban4");
        assert!((0..5_000).any(is_back), "{flush}: {}", cable.nft("list ruleset"));
        assert!(!connects(&cable, HOSTILE) && connects(&cable, HONEST), "{flush}");
    }
    gateway.ban(ban("203.0.113.9", 600)).unwrap();
    until(&gateway, "another is in force", |status| status.in_force == 2);
    assert!(!connects(&cable, HOSTILE) && connects(&cable, HONEST));
    // Both processes die: the ban stays, with its end.
    drop((running, gateway));
    assert!(!connects(&cable, HOSTILE));
    assert!(cable.nft("list set inet caponier ban4").contains("expires"));
    // A new one begins without bans, and replaces the socket that was left behind.
    let (_running, socket) = cable.bouncer(dir.path(), &[]);
    let gateway = client(socket);
    until(&gateway, "another server answers", |status| status.connected);
    assert!(connects(&cable, HOSTILE));
}

#[test]
fn a_flood_of_connection_attempts_is_cut_and_others_still_connect() {
    let Some(cable) = Cable::lay() else { return };
    if !run("hping3", "--version") {
        eprintln!("skipped: hping3 makes the flood");
        return;
    }
    let _listener = listen(&cable);
    let dir = tempfile::tempdir().unwrap();
    let (_running, socket) = cable.bouncer(dir.path(), &["--syn-per-second", "20"]);
    let gateway = client(socket);
    until(&gateway, "listens", |status| status.connected);
    let flood = format!("-S -q -p {PORT} -a {HOSTILE} -c 3000 -i u100 {SERVER}");
    let mut hping = Command::new("ip");
    hping.args(["netns", "exec", &cable.client, "hping3"]).args(flood.split_whitespace());
    let mut hping = Running(hping.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    assert!((0..5).all(|_| connects(&cable, HONEST)));
    hping.0.wait().unwrap();
    let rules = cable.nft("list chain inet caponier prerouting");
    let limit = rules.lines().find(|line| line.contains("@syn4")).unwrap();
    let dropped = limit.split_once("counter packets ").unwrap().1.split(' ').next().unwrap();
    let dropped: u32 = dropped.parse().unwrap();
    // 3,000 in some seconds at most, 20 a second and 40 at once pass.
    assert!(dropped > 2_000, "{rules}");
    assert!(connects(&cable, HONEST));
}
