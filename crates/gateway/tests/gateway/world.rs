//! A gateway with everything around it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use auth::{
    ApiKey, Authenticator, Change, Environment, IpAllowList, KeyChange, NewApiKey, NewV2Key, Permission,
    Permissions, Registry, ReplayWindow,
    authority::{DestinationId, Restrictions},
    key, okx,
    v2::{PublicKey, generate_key_id},
};
use caponier_client::Signer;
use crypto::{SecretBytes, SigningKey};
use domain::{
    AccountId, ApiKeyId, Clock as _, Destination, ManualClock, ReasonCode, UnixNanos, Verdict,
    WithdrawalRequest,
};
use gateway::{
    Answer, Ban, Bans, BoxFuture, Changes, Config, Connections, DecisionUnavailable, Deps, Metrics,
    NotRecorded, Observer, Target, Withdrawals,
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
    task::JoinHandle,
};

pub(crate) const PASSPHRASE: &str = "Correct-Horse-1";
/// 2026-11-22T10:00:00Z.
pub(crate) const NOW: UnixNanos = UnixNanos::from_secs(1_795_341_600);
pub(crate) const OK: &str = r#"{"code":"0","msg":"","data":[]}"#;

/// The name the gateway is reached by.
pub(crate) const HOST: &str = "api.example";

/// A key as its holder knows it.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: Vec<u8>,
    pub(crate) passphrase: String,
    pub(crate) demo: bool,
}

pub(crate) struct KeySpec<'a> {
    pub(crate) account: &'a str,
    pub(crate) permissions: &'a [Permission],
    pub(crate) ips: &'a [&'a str],
    pub(crate) environment: Environment,
    pub(crate) created_at: UnixNanos,
}

pub(crate) const TRADER: KeySpec<'static> = KeySpec {
    account: "alice",
    permissions: &[Permission::Read, Permission::Trade],
    ips: &[],
    environment: Environment::Live,
    created_at: NOW,
};
pub(crate) const WITHDRAWER: KeySpec<'static> = KeySpec {
    account: "alice",
    permissions: &Permission::ALL,
    ips: &["127.0.0.1"],
    environment: Environment::Live,
    // Old enough to withdraw.
    created_at: UnixNanos::from_secs(1_795_341_600 - 2 * 86_400),
};

/// One request as the exchange got it.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    /// Request line, without its line end.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(other, _)| other == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is repeated");
        value
    }
}

/// An exchange that keeps what it gets and answers by path.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) address: SocketAddr,
    pub(crate) got: Arc<Mutex<Vec<Got>>>,
    /// Ends the wait of requests to `/api/v5/test/wait`.
    pub(crate) release: Arc<Notify>,
    /// Told when a waiting request has arrived.
    pub(crate) waiting: Arc<Notify>,
}

impl Exchange {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let exchange = Self {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
            release: Arc::default(),
            waiting: Arc::default(),
        };
        let (got, release, waiting) =
            (Arc::clone(&exchange.got), Arc::clone(&exchange.release), Arc::clone(&exchange.waiting));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serve = serve(stream, Arc::clone(&got), Arc::clone(&release), Arc::clone(&waiting));
                tokio::spawn(serve);
            }
        });
        exchange
    }

    pub(crate) fn count(&self) -> usize {
        self.got.lock().len()
    }

    pub(crate) fn last(&self) -> Got {
        self.got.lock().last().expect("the exchange got a request").clone()
    }
}

async fn serve(mut stream: TcpStream, got: Arc<Mutex<Vec<Got>>>, release: Arc<Notify>, waiting: Arc<Notify>) {
    let mut buffer = Vec::new();
    while let Some((line, headers, body)) = read_message(&mut stream, &mut buffer).await {
        let path = line.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
        got.lock().push(Got { line, headers, body });
        let answer = match path.as_str() {
            "/api/v5/test/silent" => {
                std::future::pending::<()>().await;
                return;
            }
            "/api/v5/test/break" => return,
            "/api/v5/test/wait" => {
                waiting.notify_one();
                release.notified().await;
                with_body("", OK)
            }
            "/api/v5/test/last" => {
                stream.write_all(with_body("Connection: close\r\n", OK).as_bytes()).await.unwrap();
                return;
            }
            // Says it stays, and goes.
            "/api/v5/test/leave" => {
                stream.write_all(with_body("", OK).as_bytes()).await.unwrap();
                return;
            }
            "/api/v5/test/chunked" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5\r\n\
                 x-caponier-account: mallory\r\nx-kept: yes\r\n\r\n5\r\n{\"cod\r\n7\r\ne\":\"0\"}\r\n0\r\n\r\n"
                .to_owned(),
            "/api/v5/test/half" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
                return;
            }
            "/api/v5/test/large" => with_body("", &"x".repeat(4 << 20)),
            _ => with_body("", OK),
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn with_body(headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Reads one HTTP/1.1 message with a `Content-Length` or chunked body; `None` when the stream ends before it does.
pub(crate) async fn read_message(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> Option<(String, Vec<(String, String)>, Vec<u8>)> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head: Vec<u8> = buffer.drain(..head_end).collect();
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: Vec<_> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let header =
        |name: &str| headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    if header("transfer-encoding").is_some() {
        while !buffer.ends_with(b"0\r\n\r\n") {
            if stream.read_buf(buffer).await.ok()? == 0 {
                return None;
            }
        }
        return Some((line, headers.clone(), std::mem::take(buffer)));
    }
    let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    Some((line, headers.clone(), buffer.drain(..length).collect()))
}

/// The answer a client got.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// Code of a well-formed OKX answer, with the HTTP status.
    pub(crate) fn code(&self) -> (String, u16) {
        let json = self.json();
        assert_eq!(self.headers["content-type"], "application/json");
        assert!(json["msg"].is_string() && json["data"].is_array(), "{json}");
        assert_eq!(self.headers.contains_key("retry-after"), self.status == 429);
        (json["code"].as_str().unwrap().to_owned(), self.status)
    }
}

/// What [`Decide`] does with the next withdrawals.
pub(crate) type Decision = Result<(Verdict, &'static str), &'static str>;

#[derive(Debug)]
pub(crate) struct Decide {
    pub(crate) next: Mutex<Decision>,
    pub(crate) asked: Mutex<Vec<WithdrawalRequest>>,
}

impl Withdrawals for Decide {
    fn decide(&self, request: WithdrawalRequest) -> BoxFuture<'_, Result<Answer, DecisionUnavailable>> {
        self.asked.lock().push(request);
        let next = *self.next.lock();
        Box::pin(async move {
            match next {
                Ok((verdict, code)) => Ok(Answer {
                    id: "d-17".to_owned(),
                    verdict,
                    code: ReasonCode::new(code),
                    message: "because".to_owned(),
                }),
                Err("never") => std::future::pending().await,
                Err(reason) => Err(DecisionUnavailable { reason: reason.to_owned() }),
            }
        })
    }

    /// The address book has one entry, the same for everybody.
    fn entry(&self, _: &AccountId, destination: &Destination) -> Option<DestinationId> {
        match destination {
            Destination::OnChain { address, .. } if address == "TXabc" => DestinationId::parse("cold-1").ok(),
            _ => None,
        }
    }
}

/// What requests change about their keys, in force at once.
#[derive(Debug)]
pub(crate) struct Ledger {
    registry: Arc<Registry>,
    pub(crate) recorded: Mutex<Vec<KeyChange>>,
    pub(crate) fails: AtomicBool,
}

impl Ledger {
    fn apply(&self, change: Change) -> Result<(), NotRecorded> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(NotRecorded { reason: "the disk is full".to_owned() });
        }
        // From where an app is used: nothing here depends on it.
        let Change::Key(change) = change else { return Ok(()) };
        self.recorded.lock().push(change.clone());
        self.registry.apply(change).map_err(|error| NotRecorded { reason: error.to_string() })
    }
}

impl Changes for Ledger {
    fn record(&self, _: &AccountId, change: Change, _: UnixNanos) -> BoxFuture<'_, Result<(), NotRecorded>> {
        Box::pin(std::future::ready(self.apply(change)))
    }

    fn note(&self, _: &AccountId, change: Change, _: UnixNanos) {
        drop(self.apply(change));
    }
}

#[derive(Debug, Default)]
pub(crate) struct Watcher {
    pub(crate) refused: Mutex<Vec<(Option<String>, &'static str)>>,
    pub(crate) used: Mutex<Vec<String>>,
    /// What was banned (with whether it is in force), and what was lifted.
    pub(crate) bans: Mutex<Vec<String>>,
}

impl Observer for Watcher {
    fn refused(&self, ip: std::net::IpAddr, account: Option<&AccountId>, label: &'static str, at: UnixNanos) {
        assert!((ip.is_loopback() || ip.to_string().starts_with("192.0.2.")) && at >= NOW);
        self.refused.lock().push((account.map(ToString::to_string), label));
    }

    fn key_used(&self, key: &ApiKeyId, _: UnixNanos) {
        self.used.lock().push(key.to_string());
    }

    fn banned(&self, ban: &Ban) {
        self.bans.lock().push(format!("{} {}", ban.target, ban.enforced));
    }

    fn lifted(&self, target: &Target, _: Option<&domain::Actor>, _: UnixNanos) {
        self.bans.lock().push(format!("{target} lifted"));
    }
}

/// A running gateway.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) bans: Bans,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) control: gateway::Control,
    pub(crate) connections: Connections,
    pub(crate) decide: Arc<Decide>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) exchange: Exchange,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) stopped: JoinHandle<()>,
    pub(crate) watcher: Arc<Watcher>,
    ids: AtomicU64,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::configured(|_| {}).await
    }

    pub(crate) async fn configured(configure: impl FnOnce(&mut Config)) -> Self {
        let exchange = Exchange::start().await;
        let clock = Arc::new(ManualClock::new(NOW));
        let registry = Arc::new(Registry::new(100, 7));
        let authenticator =
            Arc::new(Authenticator::new(Arc::clone(&registry), ReplayWindow::new(10_000, 7), [9; 32]));
        let decide =
            Arc::new(Decide { next: Mutex::new(Ok((Verdict::Allow, "ok"))), asked: Mutex::default() });
        let watcher = Arc::new(Watcher::default());
        let ledger = Arc::new(Ledger {
            registry: Arc::clone(&registry),
            recorded: Mutex::default(),
            fails: AtomicBool::new(false),
        });
        let mut config = Config::new("127.0.0.1:0".parse().unwrap(), exchange.address.to_string());
        config.authorities = vec![HOST.to_owned()];
        config.upstream.token = Some(crypto::Secret::new("upstream-token".to_owned()));
        config.upstream.response_timeout = Duration::from_millis(300);
        configure(&mut config);
        let deps = Deps {
            authenticator,
            changes: Arc::clone(&ledger) as _,
            clock: Arc::clone(&clock) as _,
            observer: Arc::clone(&watcher) as _,
            withdrawals: Arc::clone(&decide) as _,
        };
        let gateway = config.build(deps).unwrap();
        let (stop, stopping) = oneshot::channel::<()>();
        let (address, metrics) = (gateway.local_addr(), gateway.metrics());
        let (bans, connections, control) = (gateway.bans(), gateway.connections(), gateway.control());
        let run = gateway.run(async move { drop(stopping.await) });
        Self {
            address,
            bans,
            clock,
            connections,
            control,
            decide,
            ledger,
            exchange,
            metrics,
            registry,
            stop: Some(stop),
            stopped: tokio::spawn(run),
            watcher,
            ids: AtomicU64::new(0),
        }
    }

    /// Registers a v2 key with these restrictions; its holder.
    pub(crate) fn signer(&self, spec: &KeySpec<'_>, restrictions: Restrictions) -> Signer {
        let number = u8::try_from(self.ids.fetch_add(1, Ordering::Relaxed)).unwrap();
        let pair = SigningKey::from_seed([number + 1; 32]);
        let new = NewV2Key {
            id: generate_key_id(spec.environment, [number; 16]),
            account: AccountId::parse(spec.account).unwrap(),
            label: String::new(),
            permissions: Permissions::new(spec.permissions).unwrap(),
            ip_allow: IpAllowList::parse(spec.ips).unwrap(),
            environment: spec.environment,
            public_key: PublicKey::ed25519(pair.verifying_key().0).unwrap(),
        };
        let signer = Signer::new(new.id.as_str(), pair).unwrap();
        let key = ApiKey::register(new, spec.created_at).unwrap().with_restrictions(restrictions);
        self.registry.apply(KeyChange::Created(Box::new(key))).unwrap();
        signer
    }

    /// Puts a change of a key in force and ends its connections; how many.
    pub(crate) fn change(&self, change: KeyChange) -> usize {
        let id = change.id().clone();
        self.registry.apply(change).unwrap();
        self.connections.close_key(&id)
    }

    pub(crate) fn key(&self, spec: &KeySpec<'_>) -> Key {
        let number = self.ids.fetch_add(1, Ordering::Relaxed);
        let secret = key::generate_secret([u8::try_from(number).unwrap(); 16]);
        let new = NewApiKey {
            id: ApiKeyId::parse(&format!("key-{number}")).unwrap(),
            account: AccountId::parse(spec.account).unwrap(),
            label: String::new(),
            permissions: Permissions::new(spec.permissions).unwrap(),
            ip_allow: IpAllowList::parse(spec.ips).unwrap(),
            environment: spec.environment,
            secret: SecretBytes::new(secret.expose().clone()),
        };
        let id = new.id.to_string();
        let created = ApiKey::create(new, PASSPHRASE.as_bytes(), [1; 16], spec.created_at).unwrap();
        self.registry.apply(KeyChange::Created(Box::new(created))).unwrap();
        Key {
            id,
            secret: secret.expose().clone(),
            passphrase: PASSPHRASE.to_owned(),
            demo: spec.environment == Environment::Demo,
        }
    }

    /// The headers of a signed request, made now.
    pub(crate) fn signed(&self, key: &Key, method: &str, target: &str, body: &str) -> Vec<(String, String)> {
        signed_at(key, &self.clock.now().to_string(), method, target, body)
    }

    pub(crate) async fn get(&self, key: &Key, target: &str) -> Reply {
        let headers = self.signed(key, "GET", target, "");
        self.send("GET", target, &headers, "").await
    }

    pub(crate) async fn post(&self, key: &Key, target: &str, body: &str) -> Reply {
        let headers = self.signed(key, "POST", target, body);
        self.send("POST", target, &headers, body).await
    }

    /// Sends a request on a new connection.
    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: &str,
    ) -> Reply {
        self.raw(request(method, target, headers, body).as_bytes()).await.expect("an answer")
    }

    /// Sends bytes on a new connection; `None` when it is closed without an answer.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Option<Reply> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        reply(&mut stream).await
    }

    pub(crate) fn refusals(&self, label: &str) -> u64 {
        self.metrics.snapshot().refusals.get(label).copied().unwrap_or_default()
    }
}

pub(crate) fn signed_at(
    key: &Key,
    timestamp: &str,
    method: &str,
    target: &str,
    body: &str,
) -> Vec<(String, String)> {
    let sign = okx::sign(&key.secret, timestamp, method, target, body.as_bytes());
    let simulated = if key.demo { "1" } else { "0" };
    [
        ("OK-ACCESS-KEY", key.id.as_str()),
        ("OK-ACCESS-SIGN", &sign),
        ("OK-ACCESS-TIMESTAMP", timestamp),
        ("OK-ACCESS-PASSPHRASE", &key.passphrase),
        ("x-simulated-trading", simulated),
        ("Content-Type", "application/json"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

pub(crate) fn request(method: &str, target: &str, headers: &[(String, String)], body: &str) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if method == "POST" {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text + "\r\n" + body
}

pub(crate) async fn reply(stream: &mut (impl AsyncRead + Unpin)) -> Option<Reply> {
    let (line, headers, body) = read_message(stream, &mut Vec::new()).await?;
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    Some(Reply { status, headers: headers.into_iter().collect(), body })
}

pub(crate) fn code(code: &str, status: u16) -> (String, u16) {
    (code.to_owned(), status)
}
