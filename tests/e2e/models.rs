//! Models as an operator handles them: trained, compared, put in force, taken back; files that do not change.

use std::fmt::Write as _;

use crate::support::{House, Settings, assert_sound};

const MAPPING: &str = r#"
version = 1
name = "cards"
subject = "subject"
time = { column = "at", unit = "s", origin = "2026-01-01T00:00:00Z" }
id = { column = "id" }
label = { column = "fraud", positive = ["1"], delay = "7d" }
[field]
subject = { type = "entity", column = "card" }
counterparty = { type = "entity", column = "shop" }
amount = { type = "money", column = "cents", form = "minor" }
"#;

/// Purchases of 60 days; stolen cards buy for more, and from day 45 on everybody buys for three times as much.
fn purchases() -> String {
    let mut state = 7_u64;
    let mut below = move |n: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % n
    };
    let mut text = "id,at,card,shop,cents,fraud\n".to_owned();
    let mut id = 0;
    for day in 0..60 {
        for card in 0..90_u64 {
            for _ in 0..below(4) {
                let fraud = (card * 7 + day) % 41 < 2 && below(10) < 6;
                let dear = if day >= 45 { 3 } else { 1 };
                let cents = (500 + below(8_500)) * if fraud { 4 } else { 1 } * dear;
                let (at, shop) = (day * 86_400 + below(86_400), below(60));
                writeln!(text, "{id},{at},c{card},s{shop},{cents},{}", u8::from(fraud)).unwrap();
                id += 1;
            }
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_in_force_only_when_it_is_better_or_somebody_says_why() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    let file = |name: &str, text: &str| {
        std::fs::write(house.path(name), text).unwrap();
        house.path(name).display().to_string()
    };
    let (events, mapping) = (file("tx.csv", &purchases()), file("tx.toml", MAPPING));
    let params = |trees: u32| file(&format!("p{trees}.toml"), &format!("trees = {trees}\ndepth = 3\n"));
    let train = |from: &str, days: &str, params: &str| {
        let done = house.ask(&[
            "fraud",
            "models",
            "train",
            "--as",
            "ann",
            "--events",
            &events,
            "--mapping",
            &mapping,
            "--pack",
            "book",
            "--train-start",
            from,
            "--train-days",
            days,
            "--test-days",
            "5",
            "--params",
            params,
        ]);
        done.exits(0).json()["model"]["digest"].as_str().unwrap().to_owned()
    };
    let weak = train("2026-01-09", "3", &params(1));
    let strong = train("2026-01-09", "16", &params(30));
    let promote = |digest: &str, more: &[&str]| {
        house.ask(&[&["fraud", "models", "promote", digest, "--as", "ann"], more].concat())
    };
    house.ask(&["fraud", "models", "promote", "00000000", "--as", "ann"]).exits(66);
    let champion = promote(&weak, &[]).exits(0).json();
    assert_eq!(champion["state"], "champion", "a backtest is enough for the first one: {champion}");
    promote(&weak, &[]).exits(1);
    let refused = promote(&strong, &[]).exits(1).text();
    assert!(refused.contains("was not compared"), "{refused}");

    let challenge = |digest: &str, start: &str| {
        house.ask(&[
            "fraud",
            "models",
            "challenge",
            digest,
            "--as",
            "ben",
            "--events",
            &events,
            "--mapping",
            &mapping,
            "--pack",
            "book",
            "--test-start",
            start,
            "--test-days",
            "12",
            "--rounds",
            "200",
            "--capacity",
            "5",
        ])
    };
    let refused = challenge(&strong, "2026-01-20").exits(65).text();
    assert!(refused.contains("learned from events until"), "days it was taught: {refused}");
    let compared = challenge(&strong, "2026-02-02").exits(0).json();
    let low: f64 = compared["average_precision"]["low"].as_str().unwrap().parse().unwrap();
    assert!(low > 0.0, "{compared}");
    assert!(compared["value_found"]["observed"].is_string(), "{compared}");
    assert_eq!(promote(&strong, &[]).exits(0).json()["champions_before"][0], weak.as_str());

    // The other way round it is worse, which takes a reason.
    challenge(&weak, "2026-02-02").exits(0);
    let refused = promote(&weak, &[]).exits(1).text();
    assert!(refused.contains("not above the floor"), "{refused}");
    promote(&weak, &["--force"]).exits(64);
    promote(&weak, &["--force", "--reason", "the new one is too slow"]).exits(0);
    let back = ["fraud", "models", "rollback", &weak, "--as", "ben", "--reason", "it was not"];
    assert_eq!(house.ask(&back).exits(0).json()["digest"], strong.as_str());
    house.ask(&back).exits(1);
    serving.kill();

    // After a crash, without a process: the same, from the journal alone. A damaged file is told.
    let shown = house.ask(&["fraud", "models", "show", &strong[..12]]).exits(0).json();
    assert_eq!((&shown["state"], &shown["file_state"]), (&"champion".into(), &"there".into()), "{shown}");
    assert_eq!(shown["comparisons"].as_array().unwrap().len(), 2, "{shown}");
    let log = house.ask(&["log", "--kind", "model"]).exits(0).stdout;
    for what in ["registered", "compared", "promoted", "rolled_back", "the new one is too slow"] {
        assert!(log.contains(what), "{what} in {log}");
    }
    house.ask(&["backup", "drill"]).exits(0);
    // The backup keeps files by their digest.
    let copies = crate::support::files(&house.path("backup"));
    let sha256 = shown["file_sha256"].as_str().unwrap();
    assert!(copies.iter().any(|name| name.ends_with(sha256)), "the model is in the backup: {copies:?}");
    std::fs::write(shown["file"].as_str().unwrap(), "x").unwrap();
    let shown = house.ask(&["fraud", "models", "show", &strong]).exits(0).json();
    assert_eq!(shown["file_state"], "damaged");
    challenge(&weak, "2026-02-02").exits(74);
    assert_sound(house.data());

    // What goes in has moved: amounts tripled on day 45.
    let drift = house.ask(&[
        "fraud",
        "drift",
        "--events",
        &events,
        "--mapping",
        &mapping,
        "--pack",
        "book",
        "--window",
        "1000",
    ]);
    let drift = drift.exits(0).json();
    let first = drift["shifts"].as_array().unwrap().iter().find(|shift| shift["subject"] == "event_amount");
    let at = first.unwrap_or_else(|| panic!("{drift}"))["at"].as_str().unwrap();
    assert!(at > "2026-02-15" && at < "2026-02-28", "{at}");
    let none = house.ask(&["fraud", "drift"]).exits(0).json();
    assert_eq!(none["now"], serde_json::json!([]), "no bundle judges: {none}");
}
