//! Who may hold connections, whom they belong to, and how they are ended.

use std::net::IpAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::{KeySpec, TRADER, World, code, reply, request};

const BALANCE: &str = "/api/v5/account/balance";

async fn is_closed(stream: &mut TcpStream) -> bool {
    stream.read(&mut [0; 1]).await.unwrap_or(0) == 0
}

fn v2(from: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend_from_slice(&from);
    header.extend_from_slice(&[127, 0, 0, 1, 0, 80, 1, 187]);
    header
}

#[tokio::test]
async fn a_trusted_proxy_says_whose_connection_it_is() {
    let world = World::configured(|config| {
        config.proxy_trusted = vec!["127.0.0.0/8".parse().unwrap()];
        config.connections_per_source_max = 1;
    })
    .await;
    let key = world.key(&KeySpec { ips: &["192.0.2.7"], ..TRADER });
    let send = async |header: &[u8]| {
        let text = request("GET", BALANCE, &world.signed(&key, "GET", BALANCE, ""), "");
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(&[header, text.as_bytes()].concat()).await.unwrap();
        (reply(&mut stream).await, stream)
    };
    let (answer, held) = send(b"PROXY TCP4 192.0.2.7 127.0.0.1 1234 443\r\n").await;
    assert_eq!(answer.unwrap().code(), code("0", 200));
    assert_eq!(world.exchange.last().header("x-forwarded-for"), Some("192.0.2.7"));
    // The cap is that of the client, not of the proxy.
    let (answer, _) = send(&v2([192, 0, 2, 7])).await;
    assert!(answer.is_none());
    assert_eq!(world.refusals("connections_per_source_max"), 1);
    let (answer, _) = send(&v2([192, 0, 2, 8])).await;
    assert_eq!(answer.unwrap().code(), code("50110", 401));
    drop(held);
    // Without a header nothing is served.
    let (answer, _) = send(b"").await;
    assert!(answer.is_none());
    assert_eq!(world.refusals("proxy_header"), 1);
}

#[tokio::test]
async fn nobody_else_may_say_so() {
    let world = World::start().await;
    for header in [b"PROXY TCP4 192.0.2.7 127.0.0.1 1234 443\r\n".to_vec(), v2([192, 0, 2, 7])] {
        let text = request("GET", BALANCE, &[], "");
        let answer = world.raw(&[&header, text.as_bytes()].concat()).await.expect("an answer");
        assert_eq!(answer.code(), code("51000", 400));
    }
    assert_eq!(world.exchange.count(), 0);
}

#[tokio::test]
async fn when_all_places_are_taken_the_worst_gives_way() {
    let world = World::configured(|config| config.connections_max = 2).await;
    let key = world.key(&TRADER);
    let mut good = TcpStream::connect(world.address).await.unwrap();
    let mut ask = async || {
        let headers = world.signed(&key, "GET", BALANCE, "");
        good.write_all(request("GET", BALANCE, &headers, "").as_bytes()).await.unwrap();
        reply(&mut good).await.unwrap().code()
    };
    assert_eq!(ask().await, code("0", 200));
    let mut silent = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(request("GET", "/", &[], "").as_bytes()).await.unwrap();
        assert_eq!(reply(&mut stream).await.unwrap().code(), code("50005", 410));
        silent.push(stream);
    }
    assert_eq!(ask().await, code("0", 200));
    assert_eq!(world.refusals("connection_evicted"), 19);
    for stream in silent.iter_mut().take(19) {
        assert!(is_closed(stream).await);
    }
}

#[tokio::test]
async fn a_source_can_be_cut_off_at_once() {
    let world = World::start().await;
    let mut idle = TcpStream::connect(world.address).await.unwrap();
    idle.write_all(request("GET", "/", &[], "").as_bytes()).await.unwrap();
    assert_eq!(reply(&mut idle).await.unwrap().code(), code("50005", 410));
    let elsewhere: IpAddr = "192.0.2.1".parse().unwrap();
    assert_eq!(world.connections.close_source(elsewhere), 0);
    assert_eq!(world.connections.close_source("::ffff:127.0.0.1".parse().unwrap()), 1);
    assert!(is_closed(&mut idle).await);
    assert_eq!(world.send("GET", "/", &[], "").await.code(), code("50005", 410));
}
