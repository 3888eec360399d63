//! Rate limits by source, account and budget.

use std::time::Duration;

use admission::Quota;

use crate::world::{KeySpec, TRADER, World, code};

const BALANCE: &str = "/api/v5/account/balance";
const ORDER: &str = "/api/v5/trade/order";

fn quota(burst: u32, millis: u64) -> Quota {
    Quota::new(burst, Duration::from_millis(millis)).unwrap()
}

#[tokio::test]
async fn a_source_is_limited_before_anything_else() {
    let world = World::configured(|config| config.limits.source = quota(3, 3_000)).await;
    for _ in 0..3 {
        let reply = world.send("GET", "/api/v5/account/balance", &[], "").await;
        assert_eq!(reply.code(), code("50103", 401));
    }
    let reply = world.send("GET", "/not/even/../a/path", &[], "").await;
    assert_eq!(reply.code(), code("50011", 429));
    assert_eq!(reply.headers["retry-after"], "1");
    assert_eq!(reply.json()["msg"], "Too Many Requests");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.send("GET", "/api/v5/account/balance", &[], "").await.code(), code("50103", 401));
    assert_eq!(world.refusals("source_rate_limited"), 1);
}

#[tokio::test]
async fn budgets_are_independent_and_shared_by_the_keys_of_an_account() {
    let world = World::configured(|config| {
        config.limits.place = quota(2, 2_000);
        config.limits.cancel = quota(1, 2_000);
        config.limits.read = quota(2, 2_000);
    })
    .await;
    let (first, second) = (world.key(&TRADER), world.key(&TRADER));
    let other = world.key(&KeySpec { account: "bob", ..TRADER });
    assert_eq!(world.post(&first, ORDER, r#"{"n":1}"#).await.code(), code("0", 200));
    assert_eq!(world.post(&second, ORDER, r#"{"n":2}"#).await.code(), code("0", 200));
    assert_eq!(world.post(&first, ORDER, r#"{"n":3}"#).await.code(), code("50011", 429));
    // New orders are used up, and yet the customer can cancel and look.
    assert_eq!(world.post(&first, "/api/v5/trade/cancel-order", "{}").await.code(), code("0", 200));
    assert_eq!(world.get(&first, BALANCE).await.code(), code("0", 200));
    assert_eq!(world.post(&other, ORDER, r#"{"n":4}"#).await.code(), code("0", 200));
    // What a limit refused may be sent again as it is: it was not remembered as seen.
    let retried = world.signed(&first, "POST", ORDER, r#"{"n":5}"#);
    assert_eq!(world.send("POST", ORDER, &retried, r#"{"n":5}"#).await.code(), code("50011", 429));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.send("POST", ORDER, &retried, r#"{"n":5}"#).await.code(), code("0", 200));
    assert!(world.watcher.refused.lock().contains(&(Some("alice".to_owned()), "place_rate_limited")));
}

#[tokio::test]
async fn each_order_of_a_batch_counts() {
    let world = World::configured(|config| {
        config.limits.place = quota(10, 2_000);
        config.limits.orders = quota(12, 2_000);
    })
    .await;
    let key = world.key(&TRADER);
    let batch = |orders: usize| format!("[{}]", vec!["{}"; orders].join(","));
    let target = "/api/v5/trade/batch-orders";
    assert_eq!(world.post(&key, target, &batch(9)).await.code(), code("0", 200));
    assert_eq!(world.post(&key, target, &batch(2)).await.code(), code("50011", 429));
    assert_eq!(world.post(&key, target, &batch(1)).await.code(), code("0", 200));
    // Amending draws on its own budget and on the account's order rate, which is used up after two more.
    assert_eq!(world.post(&key, "/api/v5/trade/amend-batch-orders", &batch(2)).await.code(), code("0", 200));
    let reply = world.post(&key, "/api/v5/trade/amend-order", "{}").await;
    assert_eq!(reply.code(), code("50061", 200));
    assert_eq!(world.post(&key, target, "[{},").await.code(), code("50002", 400));
    // More than a whole burst never passes.
    world.clock.advance(Duration::from_secs(20));
    assert_eq!(world.post(&key, target, &batch(11)).await.code(), code("50011", 429));
}
