//! What the tests share: the program as a child, an installation around it, and clients.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
        mpsc,
    },
    time::Duration,
};

use caponier::{
    clock::SystemClock,
    demo::client::{Client, Credentials},
};
use domain::{AccountId, Amount, Asset, DeviceId, Network};
use exchange::{EventsTarget, Exchange, Token, ledger::Person, random::SplitMix64};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::Value;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_caponier");

/// Longest wait for anything that should happen at once; only a failing test waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Longest output or log read into memory.
const OUTPUT_BYTES_MAX: u64 = 64 << 20;

/// Where everybody is: this machine.
pub(crate) const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The repository.
pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// Demands an exit code, showing everything when it is another.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in {:?} (stderr {:?})", self.stdout, self.stderr))
    }

    /// Both streams.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Runs a command of any program to its end.
pub(crate) fn finish(command: &mut Command) -> Done {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a command of the program to its end.
pub(crate) fn caponier(arguments: &[&str]) -> Done {
    finish(Command::new(PROGRAM).args(arguments))
}

/// The same, about a data directory.
pub(crate) fn caponier_on(data: &Path, arguments: &[&str]) -> Done {
    finish(Command::new(PROGRAM).arg("--data-dir").arg(data).args(arguments))
}

/// `audit verify --json`: the exit code and the report.
pub(crate) fn audit_verify(data: &Path) -> (i32, Value) {
    let done = finish(Command::new(PROGRAM).args(["--json", "audit", "verify"]).arg(data));
    (done.code, done.json())
}

/// Demands that a data directory is sound, with every entry under the checkpoint.
#[track_caller]
pub(crate) fn assert_sound(data: &Path) -> Value {
    let (code, report) = audit_verify(data);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["faults"], serde_json::json!([]));
    assert_eq!(report["entries"], report["checkpoint_entries"], "{report}");
    assert_eq!(report["unacknowledged_tail"], Value::Null);
    assert_eq!(report["payloads_opened"], true);
    report
}

/// A serving program. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Serving {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    /// The line it prints when it is ready.
    pub(crate) ready: Value,
}

impl Serving {
    /// Starts `caponier ARGUMENTS` and waits for the line that says it serves. `logs` takes both streams.
    pub(crate) fn start(arguments: &[&str], logs: &Path) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(arguments);
        Self::start_command(command, logs)
    }

    /// The same for a command that becomes the program, such as a shell that sets a limit first.
    pub(crate) fn start_command(command: Command, logs: &Path) -> Self {
        Self::try_start(command, logs).unwrap_or_else(|done| panic!("did not start: {done:?}"))
    }

    /// Starts, or returns what the program said instead of serving.
    pub(crate) fn try_start(mut command: Command, logs: &Path) -> Result<Self, Done> {
        fs::create_dir_all(logs).unwrap();
        let (stdout, stderr) = (logs.join("stdout"), logs.join("stderr"));
        let append = |path: &Path| fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(append(&stderr))
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut lines = BufReader::new(child.stdout.take().unwrap().take(OUTPUT_BYTES_MAX));
        let mut kept = append(&stdout);
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
                std::io::Write::write_all(&mut kept, line.as_bytes()).unwrap();
                // Only the first line is waited for.
                drop(tell.send(std::mem::take(&mut line)));
            }
        });
        let first = match told.recv_timeout(PATIENCE) {
            Ok(first) => first,
            Err(mpsc::RecvTimeoutError::Disconnected) => String::new(),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                child.kill().unwrap();
                panic!("{command:?} said nothing: {}", fs::read_to_string(&stderr).unwrap());
            }
        };
        match serde_json::from_str::<Value>(&first) {
            Ok(ready) if ready["ready"] == true => Ok(Self { child, stdout, stderr, ready }),
            _ => {
                let code = child.wait().unwrap().code().unwrap_or(-1);
                Err(Done { code, stdout: first, stderr: fs::read_to_string(&stderr).unwrap() })
            }
        }
    }

    /// A text of the ready line.
    #[track_caller]
    pub(crate) fn text(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.ready))
    }

    /// Where the gateway is.
    pub(crate) fn gateway(&self) -> SocketAddr {
        let url = self.text("gateway");
        url.rsplit('/').next().unwrap().parse().unwrap()
    }

    /// Where the control API is.
    pub(crate) fn api(&self) -> SocketAddr {
        self.text("api").rsplit('/').next().unwrap().parse().unwrap()
    }

    /// Everything it wrote, on both streams, over all its lives.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap() + &fs::read_to_string(&self.stderr).unwrap()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn stop(mut self) -> i32 {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        if code != 0 {
            eprintln!("ended with {code}: {}", self.log());
        }
        code
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Ended already, or to be ended now: either is well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A new temporary directory for one test.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("caponier-e2e-").tempdir().unwrap()
}

/// Says that a test, or a part of one, does not run here.
pub(crate) fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// A folder beside the repository with data that is not part of it, if it is there.
pub(crate) fn shared_data(path: &str) -> Option<PathBuf> {
    let path = Path::new(ROOT).join("../shared/data").join(path);
    path.exists().then_some(path)
}

/// A seeded address.
pub(crate) fn tron_address(name: &str) -> String {
    exchange::address::draw(Network::Tron, &mut SplitMix64::named(7, name))
}

/// The body of a withdrawal request.
pub(crate) fn withdrawal(address: &str, amount: &str, client_id: &str) -> String {
    serde_json::json!({
        "ccy": "USDT", "amt": amount, "dest": "4", "toAddr": address, "chain": "USDT-TRC20", "fee": "1",
        "clientId": client_id,
    })
    .to_string()
}

/// Where withdrawals are asked for.
pub(crate) const WITHDRAWAL: &str = "/api/v5/asset/withdrawal";
/// A private read.
pub(crate) const BALANCE: &str = "/api/v5/account/balance";
/// Where orders are placed.
pub(crate) const ORDER: &str = "/api/v5/trade/order";

/// A limit order far from the market: it rests.
pub(crate) fn order(client_id: &str) -> String {
    serde_json::json!({
        "instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit",
        "px": "10000", "sz": "0.0001", "clOrdId": client_id,
    })
    .to_string()
}

/// An API key as `keys create --json` printed it.
pub(crate) fn credentials(key: &Value) -> Credentials {
    let text = |name: &str| key[name].as_str().unwrap_or_else(|| panic!("no {name} in {key}")).to_owned();
    Credentials { key: text("key"), secret: text("secret"), passphrase: text("passphrase") }
}

/// Trusts the authority in a file, and nobody else.
pub(crate) fn trusting(ca: &Path) -> Arc<rustls::RootCertStore> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    Arc::new(roots)
}

/// A signing client of a gateway.
pub(crate) fn client(gateway: SocketAddr, ca: &Path, credentials: Option<Credentials>) -> Client {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(gateway::tls::provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusting(ca))
        .with_no_client_auth();
    Client::new(gateway, HOME, Arc::new(tls), credentials, Arc::new(SystemClock))
}

/// Calls the control API once, on a connection of its own. An error means that no whole answer arrived.
pub(crate) async fn control_api(
    api: SocketAddr,
    token: &str,
    method: &str,
    path: &str,
    body: String,
) -> anyhow::Result<(u16, Value)> {
    let call = async {
        let stream = tokio::net::TcpStream::connect(api).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(Bytes::from(body)))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        drop(sender);
        connection.await??;
        Ok((status, serde_json::from_slice(&body)?))
    };
    tokio::time::timeout(PATIENCE, call).await?
}

/// How an installation of the tests differs from the default.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// Data directory, when it is not `data`.
    pub(crate) data: Option<PathBuf>,
    /// Further sections of the configuration file.
    pub(crate) more: &'static str,
}

/// An installation: `caponier run` in a process of its own, with a simulated exchange that outlives it.
pub(crate) struct House {
    dir: tempfile::TempDir,
    data: PathBuf,
    exchange: Exchange,
    token: String,
}

impl House {
    /// Makes everything but the data directory. Nothing runs yet except the exchange.
    pub(crate) async fn build(settings: Settings) -> Self {
        Self::build_in(folder(), settings).await
    }

    /// The same in a folder that is there already.
    pub(crate) async fn build_in(dir: tempfile::TempDir, settings: Settings) -> Self {
        let data = settings.data.unwrap_or_else(|| dir.path().join("data"));
        certificates(dir.path());
        let token = hex::encode([7_u8; 32]);
        let upstream_token = hex::encode([9_u8; 32]);
        secret(&dir.path().join("exchange.token"), &token);
        secret(&dir.path().join("upstream.token"), &upstream_token);
        let api = unused_address();
        let exchange = Exchange::start(exchange::Config {
            listen: SocketAddr::new(HOME, 0),
            upstream_token: Token::new(upstream_token),
            seed: 1,
            events: Some(EventsTarget { addr: api, token: Token::new(token.clone()) }),
            clock: Arc::new(SystemClock),
        })
        .await
        .unwrap();
        let config = format!(
            "version = 1\n[data]\ndir = {data:?}\nsegment_size = \"1 MiB\"\n\
             [gateway]\nlisten = \"127.0.0.1:0\"\ncertificate_file = \"server.pem\"\n\
             private_key_file = \"server.key\"\nupstream = \"http://{}\"\nupstream_token_file = \"upstream.token\"\n\
             [keys]\nwithdrawal_cool_down = \"off\"\n\
             [api]\nlisten = \"{api}\"\n[api.tokens]\nexchange = \"exchange.token\"\n\
             [backup]\ntarget = \"backup\"\n{}\n",
            exchange.local_addr(),
            settings.more,
        );
        fs::write(dir.path().join("caponier.toml"), config).unwrap();
        Self { dir, data, exchange, token }
    }

    /// A file or folder of the installation.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> String {
        self.path("caponier.toml").display().to_string()
    }

    /// The control API's token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The people at the exchange.
    pub(crate) fn desk(&self) -> exchange::Desk {
        self.exchange.desk()
    }

    /// The command that serves.
    pub(crate) fn run_command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--json", "--config"]).arg(self.config());
        command
    }

    /// Serves.
    pub(crate) fn serve(&self) -> Serving {
        Serving::start_command(self.run_command(), &self.path("output"))
    }

    /// A command about this installation, by its configuration file.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Done {
        caponier(&[&["--json", "--config", &self.config()], arguments].concat())
    }

    /// Opens an account with funds; the exchange's reports about it are acknowledged when this returns.
    pub(crate) async fn open_account(&self, name: &str) {
        let account = AccountId::parse(name).unwrap();
        let person =
            Person { account: account.clone(), device: Some(DeviceId::parse("laptop").unwrap()), ip: HOME };
        let desk = self.desk();
        desk.open_account(&account).unwrap();
        desk.add_device(&person).unwrap();
        desk.login(&person, true, true).unwrap();
        let (asset, amount) = (Asset::parse("USDT").unwrap(), Amount::parse("1000000").unwrap());
        desk.deposit(&account, &asset, amount, Network::Tron, None).unwrap();
        self.settle().await;
    }

    /// Waits until the running program has acknowledged everything that happened at the exchange.
    pub(crate) async fn settle(&self) {
        tokio::time::timeout(PATIENCE, self.exchange.flush()).await.expect("events are acknowledged");
    }

    /// Creates a key that may do everything from this machine, the way an operator does.
    pub(crate) fn key(&self, account: &str) -> Value {
        self.ask(&[
            "keys",
            "create",
            "--account",
            account,
            "--permissions",
            "read,trade,withdraw",
            "--ip",
            "127.0.0.0/8",
        ])
        .exits(0)
        .json()
    }

    /// A client of a running program.
    pub(crate) fn client(&self, serving: &Serving, key: &Value) -> Client {
        client(serving.gateway(), &self.path("ca.pem"), Some(credentials(key)))
    }

    /// Calls the control API of a running program.
    pub(crate) async fn control_api(
        &self,
        serving: &Serving,
        method: &str,
        path: &str,
        body: String,
    ) -> anyhow::Result<(u16, Value)> {
        control_api(serving.api(), &self.token, method, path, body).await
    }
}

/// Writes a file only its owner can read.
pub(crate) fn secret(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Writes `ca.pem`, `server.pem` and `server.key`.
pub(crate) fn certificates(dir: &Path) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    // Of the same name as the server's, a certificate is self-signed to some libraries.
    ca.distinguished_name.push(rcgen::DnType::CommonName, "authority of the tests");
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(["localhost", "127.0.0.1"].map(String::from)).unwrap();
    let certificate = server.signed_by(&key, &issuer).unwrap();
    fs::write(dir.join("ca.pem"), ca_certificate.pem()).unwrap();
    fs::write(dir.join("server.pem"), certificate.pem()).unwrap();
    secret(&dir.join("server.key"), &key.serialize_pem());
}

/// An address that is free now and stays ours by custom: below the range from which the kernel takes ports, and
/// each test process begins to look at another place, each test behind the last one. The exchange must know it before
/// the program starts, and it must stay the same over restarts, so port 0 does not do.
fn unused_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() * 13 % 20_000).unwrap();
    std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed))
        .take_while(|port| *port < 32_000)
        .map(|port| SocketAddr::new(HOME, port))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("a port is free")
}

/// All regular files below a directory, by their path within it, in order.
pub(crate) fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.is_file() {
                found.push(path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Copies a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(&file);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(from.join(&file), target).unwrap();
    }
}

/// One signed POST over HTTP/2; it must be answered with code 0.
pub(crate) async fn over_http2(house: &House, serving: &Serving, key: &Value, target: &str, body: &str) {
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(gateway::tls::provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusting(&house.path("ca.pem")))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = tokio::net::TcpStream::connect(serving.gateway()).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .unwrap();
    let connection = tokio::spawn(connection);
    let credentials = credentials(key);
    let timestamp = auth::okx::timestamp_text(domain::Clock::now(&SystemClock));
    let signature =
        auth::okx::sign(credentials.secret.as_bytes(), &timestamp, "POST", target, body.as_bytes());
    let request = http::Request::post(format!("https://localhost:{}{target}", serving.gateway().port()))
        .header("ok-access-key", credentials.key)
        .header("ok-access-sign", signature)
        .header("ok-access-timestamp", timestamp)
        .header("ok-access-passphrase", credentials.passphrase)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["code"], "0", "{answer}");
    drop(sender);
    connection.abort();
}
