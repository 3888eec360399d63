//! Withdrawals: decided first, forwarded only when allowed, explained when not.

use std::time::Duration;

use domain::{Channel, Destination, Network, Verdict};

use crate::world::{NOW, TRADER, WITHDRAWER, World, code};

const TARGET: &str = "/api/v5/asset/withdrawal";
const BODY: &str = r#"{"ccy": "USDT", "amt": "10.50", "dest": "4", "toAddr": "TXabc", "chain": "USDT-TRC20", "fee": 1,
 "clientId": "w1", "tag": "159881cb7207BCDE"}"#;

#[tokio::test]
async fn an_allowed_withdrawal_is_forwarded_with_its_decision() {
    let world = World::start().await;
    let key = world.key(&WITHDRAWER);
    let reply = world.post(&key, TARGET, BODY).await;
    assert_eq!(reply.code(), code("0", 200));
    assert_eq!(reply.headers["x-caponier-decision"], "d-17");
    let got = world.exchange.last();
    assert_eq!(got.header("x-caponier-decision"), Some("d-17"));
    assert_eq!(got.header("x-caponier-account"), Some("alice"));
    assert_eq!(got.body, BODY.as_bytes());

    let asked = world.decide.asked.lock();
    let [request] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(request.account.as_str(), "alice");
    assert_eq!(request.channel, Channel::ApiKey(domain::ApiKeyId::parse(&key.id).unwrap()));
    assert_eq!(request.amount.to_string(), "10.5");
    assert_eq!(request.fee.unwrap().to_string(), "1");
    assert_eq!(request.client_id.as_deref(), Some("w1"));
    assert_eq!(request.ip, std::net::Ipv4Addr::LOCALHOST);
    assert_eq!(request.requested_at, NOW);
    assert_eq!(
        request.destination,
        Destination::OnChain { network: Network::Tron, address: "TXabc".to_owned(), tag: None }
    );
}

#[tokio::test]
async fn any_other_verdict_stops_it_and_says_why() {
    let world = World::start().await;
    let key = world.key(&WITHDRAWER);
    for (verdict, reason, expected, text) in [
        (Verdict::Deny, "watch.sanctioned_address", "58217", "Withdrawals are temporarily suspended"),
        (Verdict::Deny, "watch.invalid_address", "58222", "Invalid withdrawal address"),
        (Verdict::Hold, "decide.address_not_in_book", "58207", "Withdrawal address isn't on the verified"),
        (Verdict::Hold, "fraud.balance_drain", "58204", "Withdrawal suspended due to your account"),
        (Verdict::Deny, "fraud.balance_drain", "58204", "Withdrawal suspended due to your account"),
        (Verdict::Challenge, "fraud.new_device", "58254", "Due to local compliance requirements"),
    ] {
        *world.decide.next.lock() = Ok((verdict, reason));
        world.clock.advance(Duration::from_secs(1));
        let reply = world.post(&key, TARGET, BODY).await;
        assert_eq!(reply.code(), code(expected, 200), "{reason}");
        assert_eq!(reply.headers["x-caponier-decision"], "d-17");
        let json = reply.json();
        let message = json["msg"].as_str().unwrap();
        assert!(message.starts_with(text) && message.ends_with(" (decision d-17)"), "{message}");
        assert_eq!(json["data"], serde_json::json!([]));
    }
    assert_eq!(world.exchange.count(), 0);
    assert!(world.watcher.refused.lock().contains(&(Some("alice".to_owned()), "address_risk")));
}

#[tokio::test]
async fn without_a_decision_nothing_leaves() {
    let world = World::configured(|config| config.timeouts.decision = Duration::from_millis(50)).await;
    let key = world.key(&WITHDRAWER);
    for failure in ["disk full", "never"] {
        *world.decide.next.lock() = Err(failure);
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(world.post(&key, TARGET, BODY).await.code(), code("50001", 503), "{failure}");
    }
    assert_eq!(world.exchange.count(), 0);
    assert_eq!(world.refusals("decision_unavailable"), 2);
}

#[tokio::test]
async fn a_body_that_two_readers_may_read_differently_is_never_decided() {
    let world = World::start().await;
    let key = world.key(&WITHDRAWER);
    for (body, expected) in [
        (r#"{"ccy":"BTC","amt":"1","dest":"4","toAddr":"good","toAddr":"evil"}"#, "50002"),
        (r#"{"ccy":"BTC","amt":"1","dest":"4","toAddr":"good","TOADDR":"evil"}"#, "50002"),
        (r#"{"ccy":"BTC","amt":"1","dest":"4","toAddr":"good","\u0074oAddr":"evil"}"#, "50002"),
        (r#"{"ccy":"BTC","amt":"1","dest":"4","ToAddr":"evil"}"#, "51000"),
        (r#"[{"ccy":"BTC","amt":"1","dest":"4","toAddr":"evil"}]"#, "50002"),
        (r#"{"ccy":"BTC","amt":"1","dest":"4"}"#, "50014"),
        (r#"{"ccy":"USDT","amt":"1","dest":"4","toAddr":"T"}"#, "51000"),
        (r#"{"ccy":"BTC","amt":1e3,"dest":"4","toAddr":"b"}"#, "51000"),
    ] {
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(world.post(&key, TARGET, body).await.code(), code(expected, 400), "{body}");
    }
    let named = world.post(&key, TARGET, r#"{"ccy":"BTC","amt":"1","dest":"4"}"#).await;
    assert_eq!(named.json()["msg"], "Parameter toAddr can not be empty.");
    assert!(world.decide.asked.lock().is_empty());
    assert_eq!(world.exchange.count(), 0);
}

#[tokio::test]
async fn other_ways_out_are_closed() {
    let world = World::start().await;
    let key = world.key(&WITHDRAWER);
    for target in [
        "/api/v5/asset/withdrawal-lightning",
        "/api/v5/fiat/create-withdrawal",
        "/api/v5/users/subaccount/apikey",
        "/api/v5/asset/Withdrawal",
        "/API/v5/asset/withdrawal",
    ] {
        assert_eq!(world.post(&key, target, BODY).await.code(), code("50005", 410), "{target}");
    }
    for target in [
        "/api/v5/asset/withdrawal/",
        "/api/v5/asset/./withdrawal",
        "/api/v5/asset//withdrawal",
        "/api/v5/asset/%77ithdrawal",
        "/api/v5/asset/withdrawal;x=1",
        "/api/v5/asset/withdrawal.json",
        "/api/v5/asset/withdrawal?",
    ] {
        assert_eq!(world.post(&key, target, BODY).await.code(), code("51000", 400), "{target}");
    }
    assert!(world.decide.asked.lock().is_empty());
    assert_eq!(world.exchange.count(), 0);
}

#[tokio::test]
async fn cancelling_needs_the_permission_and_no_decision() {
    let world = World::start().await;
    let trader = world.key(&TRADER);
    let target = "/api/v5/asset/cancel-withdrawal";
    assert_eq!(world.post(&trader, target, "{}").await.code(), code("50035", 403));
    let key = world.key(&WITHDRAWER);
    let cancel = world.post(&key, target, r#"{"wdId":"1"}"#).await;
    assert_eq!(cancel.code(), code("0", 200));
    assert!(!cancel.headers.contains_key("x-caponier-decision"));
    assert!(world.decide.asked.lock().is_empty());
    assert_eq!(world.exchange.count(), 1);
}
