//! Browsers solve a puzzle before they are let at pages without credentials, while that is in force.

use std::time::Duration;

use gateway::{
    ChallengeMode,
    route::{Class, Handling, Route, RouteTable, Verb},
};
use serde_json::json;

use crate::world::{Reply, TRADER, World, code, request};

const LOG_IN: &str = "/account/login";

async fn world(mode: ChallengeMode) -> World {
    World::configured(|config| {
        config.abuse.challenge.mode = mode;
        config.abuse.challenge.bits = 8;
        let mut routes = RouteTable::okx_v5().routes().to_vec();
        routes.push(Route {
            handling: Handling::Browser,
            criticality: Class::Public.criticality(Handling::Browser),
            ..Route::new(Verb::Any, LOG_IN, Class::Public)
        });
        config.routes = RouteTable::new(routes).unwrap();
    })
    .await
}

async fn get(world: &World, path: &str, cookie: Option<&str>) -> Reply {
    let headers: Vec<_> = cookie.map(|cookie| ("Cookie".to_owned(), cookie.to_owned())).into_iter().collect();
    world.raw(request("GET", path, &headers, "").as_bytes()).await.unwrap()
}

/// What the page asks for.
fn challenge_of(page: &Reply) -> String {
    assert_eq!(page.status, 403);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers["cache-control"], "no-store");
    let text = String::from_utf8(page.body.clone()).unwrap();
    text.split("data-challenge=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// Solves a puzzle as the worker does.
fn solve(challenge: &str) -> String {
    let bits = u32::from_str_radix(&challenge[17..19], 16).unwrap();
    (0_u64..)
        .map(|n| n.to_string())
        .find(|n| {
            let hash = crypto::sha256(&[challenge.as_bytes(), b".", n.as_bytes()]);
            u64::from_be_bytes(hash[..8].try_into().unwrap()).leading_zeros() >= bits
        })
        .unwrap()
}

async fn hand_in(world: &World, challenge: &str, solution: &str) -> Reply {
    let body = json!({ "challenge": challenge, "solution": solution }).to_string();
    let headers = [("Content-Type".to_owned(), "application/json".to_owned())];
    world.raw(request("POST", "/_caponier/solved", &headers, &body).as_bytes()).await.unwrap()
}

#[tokio::test]
async fn a_browser_that_solved_the_puzzle_is_let_through() {
    let world = world(ChallengeMode::On).await;
    let challenge = challenge_of(&get(&world, LOG_IN, None).await);
    assert_eq!(world.exchange.count(), 0);
    assert_eq!(world.refusals("challenged"), 1);
    assert_eq!(hand_in(&world, &challenge, "1x").await.status, 403);
    let solved = hand_in(&world, &challenge, &solve(&challenge)).await;
    assert_eq!(solved.status, 200);
    let cookie = &solved.headers["set-cookie"];
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert!(pair.starts_with("__Host-caponier="));
    assert_eq!(attributes, "Path=/; Max-Age=1800; HttpOnly; Secure; SameSite=Strict");
    assert_eq!(get(&world, LOG_IN, Some(pair)).await.status, 200);
    assert_eq!(get(&world, LOG_IN, Some(&format!("a=b; {pair}; c=d"))).await.status, 200);
    // A solution is good once, a forged clearance never, and a clearance not for ever.
    assert_eq!(hand_in(&world, &challenge, &solve(&challenge)).await.status, 403);
    assert_eq!(get(&world, LOG_IN, Some(&pair.replace('0', "1"))).await.status, 403);
    world.clock.advance(Duration::from_secs(1_801));
    assert_eq!(get(&world, LOG_IN, Some(pair)).await.status, 403);
}

#[tokio::test]
async fn the_page_needs_nothing_but_its_own_two_scripts() {
    let world = world(ChallengeMode::On).await;
    let page = get(&world, LOG_IN, None).await;
    let text = String::from_utf8(page.body.clone()).unwrap();
    let policy = &page.headers["content-security-policy"];
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(text.matches("<script").count(), 1);
    assert!(text.contains("<script src=\"/_caponier/challenge\" defer></script>") && !text.contains(" on"));
    for file in ["/_caponier/challenge", "/_caponier/worker"] {
        let got = get(&world, file, None).await;
        assert_eq!(got.status, 200);
        assert_eq!(got.headers["content-type"], "text/javascript; charset=utf-8");
        assert_eq!(got.headers["x-content-type-options"], "nosniff");
    }
    assert_eq!(get(&world, "/_caponier/other", None).await.status, 410);
}

#[tokio::test]
async fn the_api_never_sees_it() {
    let world = world(ChallengeMode::On).await;
    let key = world.key(&TRADER);
    assert_eq!(world.get(&key, "/api/v5/account/balance").await.code(), code("0", 200));
    assert_eq!(get(&world, "/api/v5/public/time", None).await.status, 200);
    for mode in [ChallengeMode::Off, ChallengeMode::Auto] {
        let calm = self::world(mode).await;
        assert_eq!(get(&calm, LOG_IN, None).await.status, 200, "nothing was shed");
    }
}

/// The worker that browsers run, run by Node.
#[test]
fn the_worker_solves_puzzles() {
    let worker = concat!(env!("CARGO_MANIFEST_DIR"), "/src/pipeline/challenge/worker.js");
    let challenge = format!("1{:016x}0c{}", 1_800_000_000, "5a".repeat(32));
    let script = format!(
        "let said; globalThis.onmessage = null; globalThis.postMessage = (text) => {{ said = text; }};\
         require('node:vm').runInThisContext(require('node:fs').readFileSync({worker:?}, 'utf8'));\
         onmessage({{ data: {challenge:?} }}); console.log(said);"
    );
    let ran = match std::process::Command::new("node").args(["-e", &script]).output() {
        Ok(ran) => ran,
        Err(error) => {
            eprintln!("skipped: node cannot be run: {error}");
            return;
        }
    };
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(String::from_utf8(ran.stdout).unwrap().trim(), solve(&challenge));
}
