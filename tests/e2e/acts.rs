//! Decisions about logins, orders, API calls and admin acts: asked, repeated, in shadow, explained, after a kill.

use http::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};

use crate::support::{HOME, House, Serving, Settings, assert_sound, control_api, tron_address};

/// Whose token it is.
const CALLER: &str = "service:exchange";

/// Asks with headers; the status and the answer.
async fn ask(
    house: &House,
    serving: &Serving,
    query: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> (u16, Value) {
    let mut request = asking(serving, query);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.header("authorization", format!("Bearer {}", house.token()));
    send(serving, request.header(CONTENT_TYPE, "application/json"), body).await
}

fn asking(serving: &Serving, query: &str) -> http::request::Builder {
    let path = format!("/v1/decisions{query}");
    http::Request::builder().method(Method::POST).uri(path).header("host", serving.api().to_string())
}

async fn send(serving: &Serving, request: http::request::Builder, body: &Value) -> (u16, Value) {
    use http_body_util::{BodyExt as _, Full};
    let stream = tokio::net::TcpStream::connect(serving.api()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = request.body(Full::new(hyper::body::Bytes::from(body.to_string()))).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    drop(sender);
    connection.await.unwrap().unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

fn call(key: &str, ip: &str) -> Value {
    json!({
        "type": "api_call",
        "api_call": { "account": "berta", "api_key": key, "method": "GET", "path": "/api/v5/account/balance", "ip": ip },
    })
}

fn codes(answer: &Value) -> Vec<&str> {
    answer["reasons"].as_array().unwrap().iter().map(|reason| reason["code"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acts_are_decided_repeated_explained_and_survive_a_kill() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    house.open_account("berta").await;
    let key = house.key("berta");
    let key = key["key"].as_str().unwrap();

    // The same key and the same request: the same decision. Another request, or another mode: refused.
    let good = call(key, &HOME.to_string());
    let headers = [("idempotency-key", "\"call-1\""), ("x-deadline-ms", "400")];
    let (status, first) = ask(&house, &serving, "", &headers, &good).await;
    assert_eq!(
        (status, &first["verdict"], &first["type"]),
        (200, &json!("allow"), &json!("api_call")),
        "{first}"
    );
    let (_, again) = ask(&house, &serving, "", &headers, &good).await;
    assert_eq!(again, first);
    for (query, body) in [("", call(key, "192.0.2.8")), ("?mode=shadow", good.clone())] {
        let (status, problem) = ask(&house, &serving, query, &headers, &body).await;
        assert_eq!(status, 422, "{problem}");
        assert_eq!(problem["type"], "urn:caponier:problem:idempotency-conflict");
        assert_eq!(problem["decision_id"], first["id"], "{problem}");
    }
    let both = json!({ "type": "api_call", "idempotency_key": "other", "api_call": good["api_call"] });
    assert_eq!(ask(&house, &serving, "", &headers, &both).await.0, 400);
    assert_eq!(ask(&house, &serving, "", &[("x-deadline-ms", "soon")], &good).await.0, 400);
    assert_eq!(ask(&house, &serving, "?mode=silent", &[], &good).await.0, 400);

    // A key that is not the account's, a frozen one, a banned address.
    let (_, unknown) = ask(&house, &serving, "", &[], &call("no-such-key", "192.0.2.7")).await;
    assert_eq!((&unknown["verdict"], codes(&unknown)), (&json!("deny"), vec!["access.key_unknown"]));
    house.ask(&["keys", "freeze", key]).exits(0);
    let (_, frozen) = ask(&house, &serving, "", &[], &good).await;
    assert_eq!(codes(&frozen), ["access.key_not_active"], "{frozen}");
    let (_, shadow) = ask(&house, &serving, "?mode=shadow", &[], &good).await;
    assert_eq!((&shadow["verdict"], &shadow["would_be"]), (&json!("allow"), &json!("deny")), "{shadow}");
    house.ask(&["keys", "unfreeze", key]).exits(0);
    house.ask(&["bans", "add", "192.0.2.7", "--minutes", "30"]).exits(0);
    let login = json!({
        "type": "login",
        "login": {
            "type": "login", "id": "ev-l-1", "account": "berta", "occurred_at": "2026-11-22T10:00:00Z",
            "ip": "192.0.2.7", "success": true, "second_factor": true,
        },
    });
    let (_, banned) = ask(&house, &serving, "", &[], &login).await;
    assert_eq!((&banned["verdict"], codes(&banned)), (&json!("deny"), vec!["access.banned"]));
    let admin = json!({
        "type": "admin_act",
        "admin_act": { "actor": "user:nobody", "capability": "work_cases", "act": "raise a limit", "account": "berta" },
    });
    let (_, stranger) = ask(&house, &serving, "", &[], &admin).await;
    assert_eq!(codes(&stranger), ["access.actor_unknown"]);

    // Explained by its id, step by step, with a receipt.
    let id = banned["id"].as_str().unwrap();
    let get = |path: String| {
        let (api, token) = (serving.api(), house.token().to_owned());
        async move { control_api(api, &token, "GET", &path, String::new()).await.unwrap() }
    };
    let (status, shown) = get(format!("/v1/decisions/{id}")).await;
    assert_eq!((status, &shown["act"]["account"]), (200, &json!("berta")), "{shown}");
    let (status, told) = get(format!("/v1/decisions/{id}/explain")).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["trace"][0]["step"], "access");
    assert!(told["sentence"].as_str().unwrap().starts_with("Denied. Requests from this network address"));
    assert!(told["proof"]["receipt"].as_str().unwrap().contains("c2sp.org/tlog-proof"), "{told}");
    assert_eq!(get(format!("/v1/decisions/{id}x/explain")).await.0, 404);

    // All of them stand in the list, by type, verdict and customer; withdrawals alone if nothing is asked for.
    let kinds = |page: &Value| -> Vec<String> {
        let all = page["decisions"].as_array().unwrap().iter();
        all.map(|one| one["type"].as_str().unwrap_or("withdrawal").to_owned()).collect()
    };
    assert_eq!(kinds(&get("/v1/decisions".to_owned()).await.1), [""; 0]);
    let (_, every) = get("/v1/decisions?type=all".to_owned()).await;
    assert_eq!(kinds(&every), ["api_call", "api_call", "api_call", "api_call", "login", "admin_act"]);
    let (_, denied) =
        get("/v1/decisions?type=login,api_call&verdict=deny,hold&account=berta".to_owned()).await;
    assert_eq!(kinds(&denied), ["api_call", "api_call", "login"], "{denied}");
    assert_eq!(denied["decisions"][2]["id"], banned["id"]);
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let (status, page) = get(format!("/v1/decisions?type=all&limit=2{after}")).await;
        assert_eq!(status, 200, "{page}");
        found.extend(kinds(&page));
        after = format!("&after={}", page["next"].as_str().unwrap());
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(found, kinds(&every));
    for bad in ["type=gossip", "verdict=maybe", "account=", "type=login,"] {
        assert_eq!(get(format!("/v1/decisions?{bad}")).await.0, 400, "{bad}");
    }

    // A withdrawal in shadow goes ahead and says what it would have been.
    let withdrawal = json!({
        "type": "withdrawal",
        "withdrawal": {
            "account": "berta", "asset": "USDT", "amount": "5", "network": "tron",
            "address": tron_address("friend"), "ip": "192.0.2.9",
        },
    });
    let (_, decided) = ask(&house, &serving, "?mode=shadow", &[], &withdrawal).await;
    assert_eq!((&decided["verdict"], &decided["mode"]), (&json!("allow"), &json!("shadow")), "{decided}");
    let id = decided["id"].as_str().unwrap();
    let (_, told) = get(format!("/v1/decisions/{id}/explain")).await;
    assert_eq!((&told["type"], &told["would_be"]), (&json!("withdrawal"), &decided["would_be"]));

    // The parts of the installation, as the command line tells them.
    let (_, keys) = get("/v1/keys?account=berta".to_owned()).await;
    assert_eq!(keys["keys"][0]["key"], key, "{keys}");
    assert_eq!(get(format!("/v1/keys/{key}")).await.1["account"], "berta");
    assert_eq!(get("/v1/keys/no-such-key".to_owned()).await.0, 404);
    let (_, bans) = get("/v1/bans".to_owned()).await;
    assert_eq!(bans["bans"].as_array().map(Vec::len), Some(1), "{bans}");
    let post = |path: &'static str, body: Value| {
        let (api, token) = (serving.api(), house.token().to_owned());
        async move { control_api(api, &token, "POST", path, body.to_string()).await.unwrap() }
    };
    assert_eq!(bans["bans"][0]["by"], "operator:local", "{bans}");
    let lifted = post("/v1/bans/lift", json!({ "target": "192.0.2.7" })).await;
    assert_eq!(lifted, (200, json!({ "target": "192.0.2.7", "lifted": true })));
    let (_, allowed) = ask(&house, &serving, "", &[], &login).await;
    assert_eq!(allowed["verdict"], "allow", "{allowed}");
    assert_eq!(post("/v1/bans", json!({ "target": "all of them" })).await.0, 400);
    let (status, ban) = post("/v1/bans", json!({ "target": "198.51.100.7", "minutes": 5 })).await;
    assert_eq!((status, &ban["by"]), (200, &json!(CALLER)), "{ban}");
    // Who did what with a key stands at the key, and in the journal.
    let path = |what: &str| format!("/v1/keys/{key}/{what}");
    let do_with_key = |what: &str, body: Value| {
        let (api, token, path) = (serving.api(), house.token().to_owned(), path(what));
        async move { control_api(api, &token, "POST", &path, body.to_string()).await.unwrap() }
    };
    assert_eq!(do_with_key("freeze", json!({})).await.1["state"], "frozen");
    assert_eq!(do_with_key("unfreeze", json!({})).await.1["state"], "active");
    let limits = json!({ "instruments": "BTC-USDT, ETH-*", "hours": "Mon-Fri 08-18; Sat,Sun 10-12" });
    let (status, restricted) = do_with_key("restrict", limits).await;
    assert_eq!(
        (status, &restricted["restrictions"]["instruments"]),
        (200, &json!(["BTC-USDT", "ETH-*"])),
        "{restricted}"
    );
    let acts = |shown: &Value| -> Vec<(String, String)> {
        let acts = shown["acts"].as_array().unwrap().iter();
        acts.map(|act| (act["what"].as_str().unwrap().to_owned(), act["by"].as_str().unwrap().to_owned()))
            .collect()
    };
    let said = |what: &str, by: &str| (what.to_owned(), by.to_owned());
    let done = [
        said("restricted", CALLER),
        said("unfrozen", CALLER),
        said("frozen", CALLER),
        said("unfrozen", "operator:local"),
        said("frozen", "operator:local"),
        said("created", "operator:local"),
    ];
    assert_eq!(acts(&restricted), done);
    let (status, problem) = do_with_key("restrict", json!({ "hours": "at night" })).await;
    assert_eq!(status, 400, "{problem}");
    assert_eq!(do_with_key("restrict", json!({})).await.1["restricted"], false);
    let (_, told) = get("/v1/audit/entries?kind=api_key,ban&limit=1000".to_owned()).await;
    let by: Vec<&Value> = told["entries"].as_array().unwrap().iter().map(|entry| &entry["by"]).collect();
    assert!(by.iter().filter(|by| **by == CALLER).count() >= 5, "{told}");
    let (_, entries) = get("/v1/audit/entries?kind=judgement&limit=1000".to_owned()).await;
    assert!(entries["entries"].as_array().is_some_and(|entries| entries.len() >= 6), "{entries}");
    assert_eq!(get("/v1/audit/entries?kind=gossip".to_owned()).await.0, 400);
    let (_, checkpoint) = get("/v1/audit/checkpoint".to_owned()).await;
    assert!(checkpoint["checkpoint"].as_str().is_some_and(|text| text.lines().count() > 4), "{checkpoint}");
    assert_eq!(get("/v1/audit/receipts/0".to_owned()).await.0, 200);
    assert_eq!(get("/v1/audit/receipts/999999999".to_owned()).await.0, 404);
    assert_eq!(get("/v1/lists".to_owned()).await.0, 200);
    assert_eq!(get("/v1/backup".to_owned()).await.0, 200);

    // What was answered survives a kill, and the key goes on to give the first decision.
    serving.kill();
    let serving = house.serve();
    let (_, again) = ask(&house, &serving, "", &headers, &good).await;
    assert_eq!(again, first);
    // So is who banned and who changed the key.
    let (api, token) = (serving.api(), house.token());
    let get =
        |path: String| async move { control_api(api, token, "GET", &path, String::new()).await.unwrap().1 };
    assert_eq!(get("/v1/bans".to_owned()).await["bans"][0]["by"], CALLER);
    assert_eq!(get(format!("/v1/keys/{key}")).await["acts"].as_array().map(Vec::len), Some(7));
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
}
