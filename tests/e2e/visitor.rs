//! Somebody at the console who came by a link, as a browser without scripts would act for them.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::support::{House, PATIENCE, Serving};

/// What a browser says of a form of the same page.
const SAME_ORIGIN: &str = "Sec-Fetch-Site: same-origin\r\n";

pub(crate) struct Visitor {
    pub(crate) api: SocketAddr,
    pub(crate) cookie: String,
}

impl Visitor {
    /// Signs in by a link for roles, or for an account if `flag` says so.
    pub(crate) async fn enter(
        house: &House,
        serving: &Serving,
        (flag, what): (&str, &str),
        name: &str,
    ) -> Self {
        let told = house.ask(&["console", "link", flag, what, "--name", name]).exits(0).json();
        let (_, secret) = told["url"].as_str().unwrap().split_once("link=").unwrap();
        let nobody = Self { api: serving.api(), cookie: String::new() };
        let (status, answer) = nobody.post("/console/enter", &format!("link={secret}")).await;
        assert_eq!(status, 303, "{answer}");
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        Self { cookie: cookie.split(';').next().unwrap().to_owned(), ..nobody }
    }

    pub(crate) async fn with_role(house: &House, serving: &Serving, role: &str, name: &str) -> Self {
        Self::enter(house, serving, ("--role", role), name).await
    }

    /// Status, and the whole answer with its head.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        self.send("GET", path, "", "").await
    }

    /// Sends a form as a page of the console does.
    pub(crate) async fn post(&self, path: &str, body: &str) -> (u16, String) {
        self.send("POST", path, SAME_ORIGIN, body).await
    }

    /// The same with headers of one's own in place of what a browser says.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = self.ask(method, path, headers, body).await;
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer ends").unwrap();
        let answer = String::from_utf8(answer).unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }

    /// Sends a request, and leaves the answer to be read.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
        let (api, cookie) = (self.api, &self.cookie);
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\n{headers}Cookie: {cookie}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(api).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}
