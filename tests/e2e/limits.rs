//! Routes and limits: from files, refused with their lines, changed while customers are served.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use http::Method;

use crate::support::{BALANCE, House, ORDER, Settings, caponier, order};

const MORE: &str = "[limits]\nsource = \"100000 / 1s\"\nkey = \"100000 / 1s\"\nread = \"100000 / 1s\"\n";

/// A customer asks without a pause while routes and limits are changed and changed back: not one request fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_of_routes_and_limits_fails_nobody() {
    let house = House::build(Settings { more: MORE, ..Settings::default() }).await;
    let serving = house.serve();
    house.open_account("anna").await;
    let key = house.key("anna");
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let mut client = house.client(&serving, &key);
    let looping = tokio::spawn({
        let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
        async move {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(client.call(Method::GET, BALANCE, "").await.unwrap().code(), "0");
                asked.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let config = fs::read_to_string(house.config()).unwrap();
    let routes = caponier(&["routes", "default"]).exits(0).stdout;
    fs::write(house.path("routes.toml"), &routes).unwrap();
    let with_routes = config.replace("[gateway]\n", "[gateway]\nroutes_file = \"routes.toml\"\n");
    assert_ne!(with_routes, config);
    for round in 1..=5_u32 {
        let tighter = with_routes.replace("[limits]\n", &format!("[limits]\nplace = \"{round} / 1h\"\n"));
        fs::write(house.config(), tighter).unwrap();
        let reloaded = house.ask(&["reload"]).exits(0).json();
        assert_eq!(reloaded["in_force"], serde_json::json!(["gateway.routes_file", "limits.place"]));
        fs::write(house.config(), &config).unwrap();
        house.ask(&["reload"]).exits(0);
    }
    stop.store(true, Ordering::Relaxed);
    looping.await.unwrap();
    assert!(asked.load(Ordering::Relaxed) > 0);

    // The changes are real: one order an hour, and no reads of the balance.
    let closed = format!(
        "{routes}\n[[route]]\nmethod = \"get\"\npath = \"{BALANCE}\"\nclass = \"read\"\nhandling = \"unavailable\"\n"
    );
    fs::write(house.path("routes.toml"), closed).unwrap();
    let tighter = with_routes.replace("[limits]\n", "[limits]\nplace = \"1 / 1h\"\n");
    fs::write(house.config(), &tighter).unwrap();
    house.ask(&["reload"]).exits(0);
    let mut client = house.client(&serving, &key);
    assert_eq!(client.call(Method::POST, ORDER, &order("first")).await.unwrap().code(), "0");
    assert_eq!(client.call(Method::POST, ORDER, &order("second")).await.unwrap().code(), "50011");
    assert_eq!(client.call(Method::GET, BALANCE, "").await.unwrap().code(), "50005");
    // Only the file of routes changes, under the same name.
    fs::write(house.path("routes.toml"), &routes).unwrap();
    let reloaded = house.ask(&["reload"]).exits(0).json();
    assert_eq!(reloaded["in_force"], serde_json::json!(["gateway.routes_file"]));
    assert_eq!(client.call(Method::GET, BALANCE, "").await.unwrap().code(), "0");

    // A fault in the file of routes is told with its line, by both commands, and changes nothing.
    fs::write(house.path("routes.toml"), routes.replacen("\"place\"", "\"plaice\"", 1)).unwrap();
    let line = 1 + routes.lines().position(|line| line.contains("\"place\"")).unwrap();
    // The line of its `[[route]]`, in words and as a member.
    let line = line - 4;
    let told = [
        (house.ask(&["reload"]), format!("routes.toml:{line}")),
        (house.ask(&["config", "check"]), format!("\"line\":{line}")),
    ];
    for (refused, place) in told {
        let refused = refused.exits(64);
        assert!(refused.text().contains(&place) && refused.text().contains("plaice"), "{refused:?}");
    }
    assert_eq!(client.call(Method::POST, ORDER, &order("third")).await.unwrap().code(), "50011");
    assert_eq!(serving.stop(), 0);
}

/// Traffic is recorded without a name in it; the recording says whom a tighter limit would have refused, and whom not.
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_tells_what_a_change_would_have_done() {
    let more = "[telemetry]\ntraffic_file = \"traffic\"\n[limits]\nplace = \"10 / 1h\"\n";
    let house = House::build(Settings { more, ..Settings::default() }).await;
    let serving = house.serve();
    let mut keys = Vec::new();
    for account in ["anna", "ben"] {
        house.open_account(account).await;
        let key = house.key(account);
        let mut client = house.client(&serving, &key);
        let orders = if account == "anna" { 15 } else { 4 };
        for number in 0..orders {
            let body = order(&format!("{account}{number}"));
            let expected = if number < 10 { "0" } else { "50011" };
            assert_eq!(client.call(Method::POST, ORDER, &body).await.unwrap().code(), expected);
        }
        assert_eq!(client.call(Method::GET, BALANCE, "").await.unwrap().code(), "0");
        keys.push(key["key"].as_str().or(key["id"].as_str()).unwrap_or_default().to_owned());
    }
    assert_eq!(serving.stop(), 0);
    let recording = house.path("traffic");
    let text = fs::read_to_string(&recording).unwrap();
    assert_eq!(text.lines().count(), 21, "{text}");
    for name in keys.iter().filter(|name| !name.is_empty()).map(String::as_str).chain(["anna", "127.0.0.1"]) {
        assert!(!text.contains(name), "{name} in {text}");
    }

    let config = fs::read_to_string(house.config()).unwrap();
    let run = |place: &str| {
        let changed = house.path("changed.toml");
        fs::write(&changed, config.replace("10 / 1h", place)).unwrap();
        let (changed, recording) = (changed.to_str().unwrap(), recording.to_str().unwrap());
        caponier(&["--json", "--config", changed, "policy", "dry-run", "--traffic", recording])
    };
    // As it was: everything is as it was.
    let same = run("10 / 1h").exits(0).json();
    assert_eq!((&same["requests"], &same["unchanged"]), (&21.into(), &21.into()));
    // Half of it: five more of one customer are refused, nobody else is met.
    let tighter = run("5 / 1h").exits(1).json();
    let [change] = tighter["changes"].as_array().unwrap().as_slice() else { panic!("{tighter}") };
    assert_eq!(
        (&change["before"], &change["after"], &change["route"], &change["requests"], &change["keys"]),
        (&"admitted".into(), &"place_rate_limited".into(), &ORDER.into(), &5.into(), &1.into())
    );
    // Twice as much: the five that were refused are let through.
    let wider = run("20 / 1h").exits(0).json();
    assert_eq!(wider["changes"][0]["after"], "admitted");
    assert_eq!(wider["changes"][0]["requests"], 5);
    fs::write(&recording, text.replacen("{", "[", 1)).unwrap();
    assert!(run("5 / 1h").exits(65).text().contains("line 1"));
}
