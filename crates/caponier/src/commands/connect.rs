//! From nothing to a gateway in front of one's own API that refuses nobody: a folder with a configuration in which
//! every part only looks.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::Write as _,
    net::SocketAddr,
    path::Path,
    time::Duration,
};

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::{
    cli::Connect,
    config::Config,
    exit::{Exit, Failure},
    output, secret_file,
};

/// The configuration within the folder.
const FILE: &str = "caponier.toml";
/// By which the exchange reports and asks, within the folder.
const TOKEN: &str = "exchange.token";
/// Longest wait for the first line of the upstream's answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longest first line of an answer that is looked at.
const STATUS_LINE_BYTES_MAX: u64 = 256;

pub(super) async fn connect(options: Connect, as_json: bool) -> Result<Exit, Failure> {
    let Connect { url, dir, listen, api_listen } = options;
    let upstream = authority(&url)?;
    fs::create_dir_all(&dir).map_err(|error| Failure::io(dir.display(), error))?;
    let (config, token) = (dir.join(FILE), dir.join(TOKEN));
    for file in [&config, &token] {
        if file.exists() {
            let says = format!("{} is there already, and connect replaces nothing", file.display());
            return Err(Failure::new(Exit::Usage, says));
        }
    }
    write(&config, &configuration(&upstream, listen, api_listen))?;
    let secret = hex::encode(crypto::random::array::<32>());
    let written = secret_file::create(&token, secret.as_bytes())
        .map_err(|error| Failure::io(token.display(), error))
        .and_then(|()| Config::load(&config).map(drop).map_err(Failure::from));
    if let Err(failure) = written {
        // What does not work must not be in the way of the next attempt.
        drop((fs::remove_file(&config), fs::remove_file(&token)));
        return Err(failure);
    }
    let answers = probe(&upstream).await;
    let path = config.display();
    let next = [
        format!("caponier run --config {path}"),
        format!("curl -i http://{listen}/"),
        format!("caponier console link --role security_engineer --name YOUR-NAME --config {path}"),
        format!("caponier doctor --config {path}"),
    ];
    if as_json {
        output::line(json!({
            "ok": true, "config_file": config, "api_token_file": token, "upstream": upstream,
            "upstream_answers": answers.as_ref().ok(), "gateway": format!("http://{listen}"),
            "api": format!("http://{api_listen}"), "next": next,
        }));
        return Ok(Exit::Ok);
    }
    match &answers {
        Ok(status) => output::line(format!("{upstream} answers: {status}")),
        Err(error) => output::line(format!("{upstream} does not answer yet: {error}")),
    }
    output::line(format!(
        "{path} written: everything looks, nothing refuses. What would have been refused is counted by reason on \
         the console's live page and in caponier_gateway_shadows_total. When you are ready, change \"observe\" and \"shadow\" \
         in the file to \"enforce\", one at a time.\n\nnext:"
    ));
    for command in next {
        output::line(format!("  {command}"));
    }
    Ok(Exit::Ok)
}

/// Host and port of an upstream.
fn authority(url: &str) -> Result<String, Failure> {
    let bad = |what: &str| Failure::new(Exit::Usage, format!("{url:?}: {what}"));
    let Some(rest) = url.strip_prefix("http://") else {
        return Err(bad(match url.starts_with("https://") {
            true => {
                "the way from the gateway to the exchange is plain HTTP: run Caponier on the exchange's machine or in \
                 its private network, and name the API's plain port"
            }
            false => "must be http://HOST:PORT",
        }));
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#', '@']) {
        return Err(bad("must be http://HOST:PORT without a path: requests keep their own"));
    }
    let has_port = rest.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(if has_port { rest.to_owned() } else { format!("{rest}:80") })
}

/// The status line of what the upstream answers to a plain request.
async fn probe(upstream: &str) -> Result<String, String> {
    let asked = async {
        let mut stream = TcpStream::connect(upstream).await?;
        let request = format!("GET / HTTP/1.1\r\nhost: {upstream}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(stream.take(STATUS_LINE_BYTES_MAX)).read_line(&mut line).await?;
        Ok::<_, std::io::Error>(line)
    };
    match timeout(PATIENCE, asked).await {
        Err(_) => Err(format!("no word within {} seconds", PATIENCE.as_secs())),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(line)) if line.starts_with("HTTP/1.") => Ok(line.trim_end().to_owned()),
        Ok(Ok(_)) => Err("what it says is not HTTP/1.1".to_owned()),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error| Failure::io(path.display(), error);
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

fn configuration(upstream: &str, listen: SocketAddr, api: SocketAddr) -> String {
    let mut text = String::from(
        "# Written by caponier connect: everything looks, nothing refuses.\n\
         # `caponier config default` explains every key, also those that are not here.\nversion = 1\n",
    );
    let _ = write!(
        text,
        r#"
[data]
dir = "data"

[gateway]
listen = "{listen}"
upstream = "http://{upstream}"
# Requests keep their senders' own credentials, which the exchange checks as before.
mode = "observe"

[abuse]
mode = "shadow"

[keys]
first_seen = "shadow"
withdrawal_cool_down = "shadow"

[api]
listen = "{api}"
[api.tokens]
exchange = "{TOKEN}"

[decide]
address_book = "shadow"

[fraud]
mode = "shadow"

[watch]
shadow = ["address_poisoning", "resembling_address", "shared_fresh_address", "association", "exposure", "stale_chain"]
suspected = "report"
"#
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_host_and_port() {
        assert_eq!(authority("http://127.0.0.1:9000").unwrap(), "127.0.0.1:9000");
        assert_eq!(authority("http://exchange.internal/").unwrap(), "exchange.internal:80");
        assert_eq!(authority("http://[::1]:9000").unwrap(), "[::1]:9000");
        for (url, says) in [
            ("https://example.com", "plain HTTP"),
            ("example.com:80", "must be http://HOST:PORT"),
            ("http://a:1/path", "without a path"),
            ("http://user@a:1", "without a path"),
        ] {
            assert!(authority(url).unwrap_err().message.contains(says), "{url}");
        }
    }
}
