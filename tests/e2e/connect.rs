//! A gateway in front of an API it knows nothing of, written by one command: everything passes as it came.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    operations::{scrape, value},
    support::{PATIENCE, Serving, caponier, folder},
};

/// Every byte somebody's own API was sent.
type Heard = Arc<Mutex<Vec<String>>>;

/// An API of somebody's own, of which only the framing is known.
async fn somebodys_api() -> (SocketAddr, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, heard) = (listener.local_addr().unwrap(), Heard::default());
    let into = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&into)));
        }
    });
    (at, heard)
}

async fn serve(mut stream: TcpStream, into: Heard) {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
        bytes.extend_from_slice(&chunk[..read]);
        while let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let whole = end + length.unwrap_or(0);
            if bytes.len() < whole {
                break;
            }
            into.lock().unwrap().push(String::from_utf8_lossy(&bytes[..whole]).into_owned());
            bytes.drain(..whole);
            if stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 4\r\n\r\nmine").await.is_err() {
                return;
            }
        }
    }
}

/// Sends bytes on a connection of their own; what comes back.
async fn say(gateway: SocketAddr, request: &str) -> String {
    let talk = async {
        let mut stream = TcpStream::connect(gateway).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = Vec::new();
        drop(stream.read_to_end(&mut text).await);
        String::from_utf8_lossy(&text).into_owned()
    };
    tokio::time::timeout(PATIENCE, talk).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_passes_an_observing_gateway_as_it_came() {
    let (upstream, heard) = somebodys_api().await;
    let home = folder();
    let dir = home.path().join("guard");
    let dir_text = dir.to_str().unwrap();
    let url = format!("http://{upstream}");
    let loopback = ["--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"];
    let connect = [&["--json", "connect", &url, "--dir", dir_text][..], &loopback].concat();
    let told = caponier(&connect).exits(0).json();
    assert_eq!(told["upstream_answers"], "HTTP/1.1 201 Created");
    let token = dir.join("exchange.token");
    assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    // What is there is somebody's work.
    let before = fs::read(dir.join("caponier.toml")).unwrap();
    assert!(caponier(&connect).exits(64).stdout.contains("replaces nothing"));
    assert_eq!(fs::read(dir.join("caponier.toml")).unwrap(), before);
    heard.lock().unwrap().clear();

    let config = dir.join("caponier.toml");
    let serving = Serving::start(&["--json", "run", "--config", config.to_str().unwrap()], home.path());
    let gateway = serving.gateway();
    let close = "Host: api.example\r\nConnection: close\r\n";
    let passing = [
        // Credentials of the exchange's own, which nobody here knows; identities only a gateway may state.
        format!(
            "GET /api/v5/account/balance?ccy=BTC HTTP/1.1\r\n{close}OK-ACCESS-KEY: theirs\r\nOK-ACCESS-SIGN: c2ln\r\n\
             OK-ACCESS-TIMESTAMP: 2020-01-01T00:00:00.000Z\r\nOK-ACCESS-PASSPHRASE: hush\r\n\
             X-Caponier-Account: root\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"
        ),
        // Nothing OKX has.
        format!("PUT /v2/th%20ings HTTP/1.1\r\n{close}X-API-KEY: k\r\nContent-Length: 0\r\n\r\n"),
        format!(
            "POST /login HTTP/1.1\r\n{close}Authorization: Bearer t\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: 7\r\n\r\nname=jo"
        ),
        format!("DELETE /v2/things/1 HTTP/1.1\r\n{close}\r\n"),
    ];
    for request in &passing {
        let answer = say(gateway, request).await;
        assert!(answer.starts_with("HTTP/1.1 201"), "{request}{answer}");
        assert!(answer.ends_with("mine"), "{answer}");
    }
    {
        let heard = heard.lock().unwrap();
        let [balance, put, login, delete] = &heard[..] else { panic!("{heard:?}") };
        assert!(balance.starts_with("GET /api/v5/account/balance?ccy=BTC HTTP/1.1\r\n"), "{balance}");
        let folded = balance.to_ascii_lowercase();
        for kept in ["ok-access-key: theirs", "ok-access-sign: c2ln", "ok-access-passphrase: hush"] {
            assert!(folded.contains(kept), "{balance}");
        }
        assert!(!folded.contains("caponier") && !folded.contains("10.0.0.1"), "{balance}");
        assert!(folded.contains("x-forwarded-for: 127.0.0.1"), "{balance}");
        assert!(put.starts_with("PUT /v2/th%20ings HTTP/1.1\r\n") && put.contains("X-API-KEY: k"), "{put}");
        assert!(login.contains("Authorization: Bearer t") && login.ends_with("\r\n\r\nname=jo"), "{login}");
        assert!(delete.starts_with("DELETE /v2/things/1 "), "{delete}");
    }

    // What two servers may read differently is let through by nobody.
    let smuggled = format!(
        "POST /a HTTP/1.1\r\n{close}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    let twice = "GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n".to_owned();
    let huge = format!("POST /a HTTP/1.1\r\n{close}Content-Length: 1048577\r\n\r\n");
    for request in [smuggled, twice, huge, format!("TRACE / HTTP/1.1\r\n{close}\r\n")] {
        let answer = say(gateway, &request).await;
        assert!(!answer.starts_with("HTTP/1.1 201"), "{request}{answer}");
    }
    assert_eq!(heard.lock().unwrap().len(), passing.len());

    // Each is counted under what it would have been refused for.
    let (status, text) = scrape(serving.api(), fs::read_to_string(&token).unwrap().trim()).await;
    assert_eq!(status, 200);
    for reason in ["api_key_unknown", "content_type", "method_invalid", "path_not_canonical"] {
        let series = format!("caponier_gateway_shadows_total{{reason=\"{reason}\"}}");
        assert_eq!(value(&text, &series), 1, "{text}");
    }
    assert_eq!(serving.stop(), 0);
}

/// A gateway that vouches for requests nobody proved would be believed.
#[test]
fn an_observing_gateway_has_no_token_of_the_exchange() {
    let home = folder();
    let config = home.path().join("caponier.toml");
    crate::support::secret(&home.path().join("token"), "0123456789abcdef");
    fs::write(&config, "version = 1\n[gateway]\nmode = \"observe\"\nupstream_token_file = \"token\"\n")
        .unwrap();
    let done = caponier(&["config", "check", config.to_str().unwrap()]).exits(64);
    assert!(done.text().contains("gateway.upstream_token_file"), "{done:?}");
    assert!(done.text().contains("observe"), "{done:?}");
}

#[test]
fn an_upstream_that_cannot_be_is_named_and_nothing_is_written() {
    let home = folder();
    let dir = home.path().join("guard");
    let dir_text = dir.to_str().unwrap();
    for (url, says) in [
        ("https://example.com", "plain HTTP"),
        ("127.0.0.1:9000", "http://HOST:PORT"),
        ("http://127.0.0.1:9000/api", "without a path"),
        ("http://exa mple:9000", "http://HOST:PORT"),
    ] {
        let done = caponier(&["connect", url, "--dir", dir_text]).exits(64);
        assert!(done.stderr.contains(says), "{done:?}");
        assert!(!dir.join("caponier.toml").exists(), "{url}");
        assert!(!dir.join("exchange.token").exists(), "{url}");
    }
}
