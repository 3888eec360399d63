//! Sources that misbehave, through the whole program: banned, listed, journalled, exported, let in again.

use std::{fs, net::SocketAddr, sync::Arc};

use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    operations::{scrape, value},
    support::{BALANCE, House, PATIENCE, Settings, trusting},
};

/// Connects as a client behind the proxy would; `None` when the connection ends before TLS is agreed on.
async fn connect(house: &House, gateway: SocketAddr, ip: &str) -> Option<TlsStream<TcpStream>> {
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    stream.write_all(format!("PROXY TCP4 {ip} 127.0.0.1 5000 443\r\n").as_bytes()).await.ok()?;
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(Arc::clone(&trusting(&house.path("ca.pem"))))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()
}

/// Sends a request with a signature that is none; the status, or `None` at the end of the connection.
async fn forge(stream: &mut TlsStream<TcpStream>, key: &str) -> Option<u16> {
    let at = domain::Clock::now(&caponier::clock::SystemClock);
    let request = format!(
        "GET {BALANCE} HTTP/1.1\r\nHost: localhost\r\nOK-ACCESS-KEY: {key}\r\nOK-ACCESS-SIGN: {}\r\n\
         OK-ACCESS-TIMESTAMP: {at}\r\nOK-ACCESS-PASSPHRASE: Passphrase1!\r\n\r\n",
        "A".repeat(43) + "="
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    while !answer.windows(2).any(|end| end == b"]}") {
        if stream.read_buf(&mut answer).await.ok()? == 0 {
            return None;
        }
    }
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forger_is_banned_within_two_seconds_and_an_operator_sees_it() {
    let house = House::build(Settings::default()).await;
    let config = fs::read_to_string(house.config()).unwrap();
    let trusted = "[gateway]\nproxy_trusted = [\"127.0.0.0/8\"]\n";
    fs::write(house.config(), config.replace("[gateway]\n", trusted)).unwrap();
    let serving = house.serve();
    house.open_account("anna").await;
    let key = house.key("anna");
    let key = key["key"].as_str().unwrap();

    let mut stream = connect(&house, serving.gateway(), "192.0.2.7").await.unwrap();
    let mut held = connect(&house, serving.gateway(), "192.0.2.7").await.unwrap();
    let onset = Instant::now();
    let mut answered = 0;
    while let Some(status) = forge(&mut stream, key).await {
        assert!(matches!(status, 401 | 429), "{status}");
        answered += 1;
        assert!(answered < 1_000, "still served");
    }
    assert!(onset.elapsed().as_secs_f64() < 2.0, "{:?} for {answered} requests", onset.elapsed());
    assert_eq!(held.read(&mut [0; 1]).await.unwrap_or(0), 0, "what was open has ended");
    assert!(connect(&house, serving.gateway(), "192.0.2.7").await.is_none());
    assert!(connect(&house, serving.gateway(), "192.0.2.8").await.is_some());

    let listed = house.ask(&["bans", "list"]).exits(0).json();
    let targets: Vec<&str> =
        listed["bans"].as_array().unwrap().iter().map(|ban| ban["target"].as_str().unwrap()).collect();
    assert!(targets.contains(&"192.0.2.7"), "{listed}");
    assert!(targets.contains(&format!("key \"{key}\" at 192.0.2.7").as_str()), "{listed}");
    assert!(listed["bans"].to_string().contains("bad_signature"), "{listed}");

    // What is exported can be taken in again.
    let exported = house.ask(&["bans", "export"]).exits(0).json();
    assert_eq!(exported[0]["value"], "192.0.2.7", "{exported}");
    assert_eq!(exported[0]["type"], "ban");
    assert_eq!(exported.as_array().unwrap().len(), 1, "keys are no business of a packet filter");
    let lifted = house.ask(&["bans", "lift", "192.0.2.7"]).exits(0).json();
    assert_eq!(lifted["lifted"], true);
    assert!(connect(&house, serving.gateway(), "192.0.2.7").await.is_some());
    fs::write(house.path("bans.json"), exported.to_string()).unwrap();
    let file = house.path("bans.json");
    let imported = house.ask(&["bans", "import", file.to_str().unwrap()]).exits(0).json();
    assert_eq!((&imported["banned"], &imported["skipped"]), (&Value::from(1), &Value::from(0)));
    assert!(connect(&house, serving.gateway(), "192.0.2.7").await.is_none());

    // By hand: a network, never this machine, never too wide.
    house.ask(&["bans", "add", "198.51.100.0/24", "--minutes", "5"]).exits(0);
    assert!(connect(&house, serving.gateway(), "198.51.100.200").await.is_none());
    house.ask(&["bans", "add", "127.0.0.1"]).exits(65);
    house.ask(&["bans", "add", "198.51.0.0/16"]).exits(65);
    house.ask(&["bans", "add", "nowhere"]).exits(65);

    let (status, counters) = scrape(serving.api(), house.token()).await;
    assert_eq!(status, 200);
    assert_eq!(value(&counters, "caponier_gateway_banned"), 3);
    assert!(value(&counters, "caponier_gateway_bans_total") >= 4, "{counters}");
    assert!(value(&counters, "caponier_gateway_refusals_total{reason=\"banned\"}") >= 3);
    assert_eq!(value(&counters, "caponier_gateway_shed_total{class=\"cancel\"}"), 0);
    assert_eq!(serving.stop(), 0);
    let log = house.ask(&["log", "--kind", "ban", "--reveal"]).exits(0).text();
    for what in ["\"banned\"", "\"lifted\"", "\"target\":\"198.51.100.0/24\"", "\"bad_signature\""] {
        assert!(log.contains(what), "{what} not in {log}");
    }
    let hidden = house.ask(&["log", "--kind", "ban"]).exits(0).text();
    assert!(!hidden.contains("192.0.2.7") && !hidden.contains(key), "{hidden}");
    assert_eq!(house.ask(&["bans", "list"]).code, 66, "nobody serves, so nobody knows");
}

/// A restart lets nobody in who is banned, and nobody out who was let in: what is in force comes from the journal, and
/// goes to the packet filter anew.
#[tokio::test(flavor = "multi_thread")]
async fn bans_survive_a_restart() {
    let house = House::build(Settings::default()).await;
    let socket = house.path("bouncer");
    let config = fs::read_to_string(house.config()).unwrap();
    let config = config.replace("[gateway]\n", "[gateway]\nproxy_trusted = [\"127.0.0.0/8\"]\n")
        + &format!("\n[bans]\nhelper_socket = \"{}\"\n", socket.display());
    fs::write(house.config(), &config).unwrap();
    let serving = house.serve();
    house.open_account("anna").await;
    let key = house.key("anna");
    let key = key["key"].as_str().unwrap();
    let mut stream = connect(&house, serving.gateway(), "192.0.2.7").await.unwrap();
    while forge(&mut stream, key).await.is_some() {}
    house.ask(&["bans", "add", "198.51.100.0/24", "--minutes", "30"]).exits(0);
    house.ask(&["bans", "add", "198.51.101.1"]).exits(0);
    house.ask(&["bans", "lift", "198.51.101.1"]).exits(0);
    let before = house.ask(&["bans", "list"]).exits(0).json();
    assert_eq!(before["bans"].as_array().unwrap().len(), 3, "the source, its key and the network: {before}");
    assert_eq!(serving.stop(), 0);

    // What the packet filter is told after the start, by a bouncer that only writes it down.
    let script = house.path("script");
    let clock = Arc::new(caponier::clock::SystemClock);
    let now = domain::Clock::now(&*clock);
    let table = bouncer::Table::new(bouncer::Limits::default(), bouncer::Setup::default(), now);
    let dry_run = Box::new(bouncer::DryRun(fs::File::create(&script).unwrap()));
    let uid = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&script).unwrap());
    let every = std::time::Duration::from_millis(10);
    let mut bouncer = bouncer::Server::start(&socket, uid, every, table, dry_run, clock).unwrap();
    let packets = std::thread::spawn(move || bouncer.serve_next().unwrap());
    let serving = house.serve();
    let after = house.ask(&["bans", "list"]).exits(0).json();
    assert_eq!(before, after);
    for (ip, is_let_in) in
        [("192.0.2.7", false), ("198.51.100.9", false), ("198.51.101.1", true), ("192.0.2.8", true)]
    {
        assert_eq!(connect(&house, serving.gateway(), ip).await.is_some(), is_let_in, "{ip}");
    }
    let told = async |what: [&str; 2]| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let script = fs::read_to_string(&script).unwrap();
            if what.into_iter().all(|what| script.contains(what)) {
                return script;
            }
            assert!(Instant::now() < deadline, "{what:?} not in {script}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    told(["net4 { 198.51.100.0/24 timeout", "ban4 { 192.0.2.7 timeout"]).await;
    house.ask(&["bans", "lift", "192.0.2.7"]).exits(0);
    assert!(connect(&house, serving.gateway(), "192.0.2.7").await.is_some());
    let said = told(["delete element inet caponier ban4 { 192.0.2.7 }"; 2]).await;
    assert!(!said.contains("198.51.101.1"), "{said}");
    assert_eq!(serving.stop(), 0);
    packets.join().unwrap();

    // Lifted stays lifted, and shadow mode sends nobody away but whom an operator banned.
    fs::write(house.config(), config + "\n[abuse]\nmode = \"shadow\"\n").unwrap();
    let serving = house.serve();
    assert!(connect(&house, serving.gateway(), "192.0.2.7").await.is_some());
    assert!(connect(&house, serving.gateway(), "198.51.100.9").await.is_none());
    assert_eq!(serving.stop(), 0);
}
