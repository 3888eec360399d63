//! The puzzle for browsers in a real one: Chromium, told what to do over its own protocol (Chrome DevTools Protocol).
//!
//! The page, its script and its worker run under the policy the gateway sends with them; the browser, not we, says
//! whether anything was blocked.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use crate::support::{House, PATIENCE, Settings, folder, skipped};

/// As Debian installs it.
const CHROMIUM: &str = "/usr/bin/chromium";
/// A page that has a puzzle before it.
const LOG_IN: &str = "/account/login";

/// Notes what the policy blocks, where a new page finds it again.
pub(crate) const NOTES: &str = "addEventListener('securitypolicyviolation', (event) => {
    sessionStorage.blocked = (sessionStorage.blocked ?? '') + ' ' + event.effectiveDirective;
});";

/// What somebody who gets a word into the page would try.
const ATTEMPTS: &str = "addEventListener('DOMContentLoaded', () => {
    if (document.documentElement.dataset.challenge === undefined) return;
    const script = document.createElement('script');
    script.textContent = 'sessionStorage.ran = 1';
    document.head.append(script);
    new Image().src = 'https://127.0.0.1:1/x.png';
    fetch('https://127.0.0.1:1/').catch(() => {});
    try { (0, eval)('sessionStorage.ran = 2'); } catch {}
});";

/// What the protocol says of a question to a page that goes elsewhere meanwhile.
const NO_SUCH_CONTEXT: i64 = -32000;

/// A browser that is killed in the end.
pub(crate) struct Browser {
    process: Child,
    socket: WebSocketStream<TcpStream>,
    last_id: u64,
    /// What it told unasked.
    pub(crate) events: Vec<Value>,
    _folder: tempfile::TempDir,
}

impl Browser {
    /// Nothing where there is none.
    pub(crate) async fn start() -> Option<Self> {
        if !Path::new(CHROMIUM).exists() {
            skipped("chromium is not installed; run cargo xtask setup");
            return None;
        }
        let folder = folder();
        let process = Command::new(CHROMIUM)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--disable-dev-shm-usage", "--remote-debugging-port=0", "about:blank"])
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Port and path stand in a file once it listens.
        let file = folder.path().join("DevToolsActivePort");
        let deadline = Instant::now() + PATIENCE;
        let (port, path) = loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            if let Some((port, path)) = text.split_once('\n').filter(|(_, path)| !path.is_empty()) {
                break (port.to_owned(), path.trim().to_owned());
            }
            assert!(Instant::now() < deadline, "chromium does not listen");
            sleep(Duration::from_millis(20)).await;
        };
        let stream = TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
        let (socket, _) = client_async(format!("ws://127.0.0.1:{port}{path}"), stream).await.unwrap();
        Some(Self { process, socket, last_id: 0, events: Vec::new(), _folder: folder })
    }

    pub(crate) async fn ask(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(message.to_string())).await.unwrap();
        loop {
            let heard = timeout(PATIENCE, self.socket.next()).await.expect("chromium says nothing");
            let Message::Text(text) = heard.unwrap().unwrap() else { continue };
            let mut heard: Value = serde_json::from_str(&text).unwrap();
            if heard["id"] == self.last_id {
                // A page that goes elsewhere takes its script context with it.
                let is_gone = method == "Runtime.evaluate" && heard["error"]["code"] == NO_SUCH_CONTEXT;
                assert!(is_gone || heard["error"].is_null(), "{method}: {heard}");
                return heard["result"].take();
            }
            self.events.push(heard);
        }
    }

    /// A page of a person nobody knows, in which `script` runs before anything else; its session.
    pub(crate) async fn page(&mut self, script: &str) -> String {
        let context = self.ask(None, "Target.createBrowserContext", json!({})).await;
        let target = json!({ "url": "about:blank", "browserContextId": context["browserContextId"] });
        let target = self.ask(None, "Target.createTarget", target).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.ask(None, "Target.attachToTarget", attach).await;
        let session = session["sessionId"].as_str().unwrap().to_owned();
        for method in ["Page.enable", "Log.enable", "Runtime.enable", "Network.enable"] {
            self.ask(Some(&session), method, json!({})).await;
        }
        // The authority of the tests is none that browsers know.
        self.ask(Some(&session), "Security.setIgnoreCertificateErrors", json!({ "ignore": true })).await;
        let early = json!({ "source": script });
        self.ask(Some(&session), "Page.addScriptToEvaluateOnNewDocument", early).await;
        session
    }

    /// What an expression is in the page; null while the page changes.
    pub(crate) async fn value(&mut self, session: &str, expression: &str) -> Value {
        let expression = json!({ "expression": expression, "returnByValue": true });
        let mut got = self.ask(Some(session), "Runtime.evaluate", expression).await;
        got["result"]["value"].take()
    }

    /// Opens an address and waits until the puzzle is solved; what the page behind it says.
    async fn open(&mut self, session: &str, url: &str) -> String {
        self.ask(Some(session), "Page.navigate", json!({ "url": url })).await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let behind = "document.readyState === 'complete' && location.href.startsWith('https:') \
                          && document.documentElement.dataset.challenge === undefined \
                          ? document.body.innerText : null";
            if let Value::String(text) = self.value(session, behind).await {
                return text;
            }
            assert!(Instant::now() < deadline, "the puzzle is not solved: {:?}", self.events);
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A browser solves the puzzle by itself, under a policy that blocks nothing of it and everything else, and is let at the
/// page behind it for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_solves_the_puzzle_under_its_policy() {
    let Some(mut browser) = Browser::start().await else { return };
    let more = "[abuse]\nchallenge = \"on\"\nchallenge_bits = 12\nchallenge_paths = [\"/account/login\"]\n";
    let house = House::build(Settings { more, ..Settings::default() }).await;
    let serving = house.serve();
    let url = format!("https://localhost:{}{LOG_IN}", serving.gateway().port());

    let page = browser.page(NOTES).await;
    let text = browser.open(&page, &url).await;
    assert!(text.contains("\"code\""), "the exchange answers in its own words: {text}");
    assert_eq!(browser.value(&page, "sessionStorage.blocked").await, Value::Null, "nothing was blocked");
    let cookies = browser.ask(Some(&page), "Network.getCookies", json!({ "urls": [url] })).await;
    let [cookie] = &cookies["cookies"].as_array().unwrap()[..] else { panic!("{cookies}") };
    assert_eq!((&cookie["name"], &cookie["path"]), (&json!("__Host-caponier"), &json!("/")));
    assert_eq!((&cookie["httpOnly"], &cookie["secure"]), (&json!(true), &json!(true)));
    assert_eq!(cookie["sameSite"], "Strict");
    let complaints = |browser: &Browser| {
        let is_policy = |event: &&Value| {
            event["method"] == "Log.entryAdded"
                && event["params"]["entry"]["text"].to_string().contains("Content Security Policy")
        };
        browser.events.iter().filter(is_policy).count()
    };
    assert_eq!(complaints(&browser), 0, "{:?}", browser.events);
    // It is not asked again.
    let requests = browser.events.len();
    assert!(browser.open(&page, &url).await.contains("\"code\""));
    let asked_again = browser.events[requests..].iter().any(|event| {
        event["method"] == "Network.requestWillBeSent"
            && event["params"]["request"]["url"].to_string().contains("_caponier")
    });
    assert!(!asked_again);

    // Whatever else is put into the page is blocked, and the puzzle is solved all the same.
    let page = browser.page(&format!("{NOTES}{ATTEMPTS}")).await;
    assert!(browser.open(&page, &url).await.contains("\"code\""));
    let blocked = browser.value(&page, "sessionStorage.blocked").await;
    let blocked = blocked.as_str().unwrap_or_default();
    for directive in ["script-src-elem", "script-src", "img-src", "connect-src"] {
        assert!(blocked.split(' ').any(|found| found == directive), "{directive} not in {blocked:?}");
    }
    assert_eq!(browser.value(&page, "sessionStorage.ran").await, Value::Null);
    assert!(complaints(&browser) > 0);
    drop(browser);
    assert_eq!(serving.stop(), 0);
}
