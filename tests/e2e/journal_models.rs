//! Models from the journal's own past: taught and judged by what live traffic was judged by, thresholds chosen by costs, and
//! drift seen when what comes in is not what it was.

use std::{fmt::Write as _, fs};

use domain::UnixNanos;
use exchange::random::SplitMix64;
use serde_json::{Value, json};

use crate::support::{House, Serving, Settings, assert_sound, tron_address};

const SETTINGS: &str = "[fraud]\nbundles = \"bundles\"\nbundle = \"own\"\n";
const MANIFEST: &str =
    "[bundle]\nname = \"own\"\nversion = \"1\"\npack = \"pack.toml\"\njudge = [\"transfer\"]\n";
const PACK: &str = r#"
[pack]
name = "own"
version = 1

[[field]]
name = "kind"
type = "category"

[[field]]
name = "account"
type = "entity"

[[field]]
name = "value"
type = "money"
scale = 2

[[feature]]
name = "moved"
kind = "field"
field = "value"

[[feature]]
name = "moved_1d"
kind = "sum"
key = "account"
value = "value"
filter = { field = "kind", equals = "transfer" }
window = "1d"
"#;
/// 2026-01-01, in seconds.
const START: u64 = 1_767_225_600;
const DAY: u64 = 86_400;
/// Most events of one call.
const BATCH: usize = 500;

async fn house() -> House {
    let house = House::build(Settings { more: SETTINGS, ..Settings::default() }).await;
    let dir = house.path("bundles").join("own");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("bundle.toml"), MANIFEST).unwrap();
    fs::write(dir.join("pack.toml"), PACK).unwrap();
    house
}

fn line(id: &str, account: u64, at: u64, more: &Value) -> String {
    let mut event = json!({
        "id": id, "account": format!("a-{account}"), "occurred_at": UnixNanos::from_secs(at).to_string(),
    });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event.to_string()
}

fn transfer(id: &str, account: u64, at: u64, value: u64) -> String {
    let more = json!({ "type": "transfer", "asset": "USDT", "amount": value.to_string(), "value": value.to_string(), "to": "sink" });
    line(id, account, at, &more)
}

/// Days of transfers; a few take much more, and two days later it is known which.
pub(crate) fn story(days: u64) -> Vec<String> {
    let mut random = SplitMix64::named(11, "transfers");
    let mut told: Vec<(u64, String)> = Vec::new();
    for day in 0..days {
        for n in 0..50 {
            let (at, account) = (START + day * DAY + n * (DAY / 50), random.below(40));
            let is_fraud = random.below(25) == 0;
            let value = 10 + random.below(900) + if is_fraud { 300 + random.below(3_000) } else { 0 };
            let id = format!("t-{day}-{n}");
            told.push((at, transfer(&id, account, at, value)));
            if is_fraud {
                let label = json!({ "type": "label", "label": "fraud", "event": id, "source": "customer" });
                told.push((at + 2 * DAY, line(&format!("l-{id}"), account, at + 2 * DAY, &label)));
            }
        }
    }
    told.sort_by_key(|(at, _)| *at);
    told.into_iter().map(|(_, line)| line).collect()
}

pub(crate) async fn report(house: &House, serving: &Serving, lines: &[String]) {
    for batch in lines.chunks(BATCH) {
        let (status, told) =
            house.control_api(serving, "POST", "/v1/events", batch.join("\n")).await.unwrap();
        assert_eq!((status, told["accepted"].as_u64()), (200, Some(batch.len() as u64)), "{told}");
    }
}

/// The value of a series.
async fn metric(serving: &Serving, token: &str, series: &str) -> Option<f64> {
    let (status, text) = crate::operations::scrape(serving.api(), token).await;
    assert_eq!(status, 200, "{text}");
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_teaches_a_model_and_its_thresholds() {
    let house = house().await;
    let serving = house.serve();
    report(&house, &serving, &story(60)).await;
    let dir = house.path("bundles").join("own");
    let past = ["--from-journal", "--train-start", "2026-01-05", "--delay-days", "5", "--test-days", "10"];
    let train = |days: &str, more: &[&str]| {
        let asked = ["fraud", "models", "train", "--as", "ann", "--train-days", days];
        house.ask(&[&asked[..], &past[..], more].concat())
    };
    // Beside the serving process.
    let trained = train("21", &[]).exits(0).json();
    let evaluation = &trained["evaluation"];
    assert!(evaluation["mean"]["average_precision"].as_f64().unwrap() > 0.6, "{evaluation}");
    assert_eq!(evaluation["events"]["journal"], true, "{evaluation}");
    let strong = trained["model"]["digest"].as_str().unwrap().to_owned();
    let refused = train("21", &["--kind", "login"]).exits(64).text();
    assert!(refused.contains("does not judge"), "{refused}");
    serving.kill();

    // Without one: the same rows, and so the same figures.
    let evaluate = ["fraud", "evaluate", "--train-days", "21"];
    let again = house.ask(&[&evaluate[..], &past[..]].concat()).exits(0).json();
    assert_eq!(again["mean"], evaluation["mean"]);
    assert_eq!(again["folds"], evaluation["folds"]);
    // Days whose labels cannot have arrived are not taken for good ones.
    let early = ["fraud", "evaluate", "--train-days", "45", "--from-journal", "--train-start", "2026-01-02"];
    let refused = house.ask(&[&early[..], &["--delay-days", "5"]].concat()).exits(65).text();
    assert!(refused.contains("cannot be judged yet"), "{refused}");

    let weak = train("2", &["--params", &params(&house)]).exits(0).json();
    let weak = weak["model"]["digest"].as_str().unwrap().to_owned();
    house.ask(&["fraud", "models", "promote", &weak, "--as", "ann"]).exits(0);
    let challenge = |start: &str| {
        house.ask(&[
            "fraud",
            "models",
            "challenge",
            &strong,
            "--as",
            "ben",
            "--from-journal",
            "--delay-days",
            "5",
            "--test-start",
            start,
            "--test-days",
            "20",
            "--rounds",
            "200",
            "--capacity",
            "5",
        ])
    };
    let refused = challenge("2026-01-20").exits(65).text();
    assert!(refused.contains("learned from events until"), "{refused}");
    let compared = challenge("2026-02-01").exits(0).json();
    assert!(compared["frauds"].as_u64().unwrap() > 10, "{compared}");
    assert!(compared["value_found"]["observed"].is_string(), "{compared}");

    // Thresholds, on days that are new to the model; a tighter limit is told to bind.
    let shown = house.ask(&["fraud", "models", "show", &strong]).exits(0).json();
    let file = shown["file"].as_str().unwrap();
    let choose = |more: &[&str]| {
        let asked = [
            "fraud",
            "thresholds",
            "--from-journal",
            "--delay-days",
            "5",
            "--model",
            file,
            "--bundle",
            dir.to_str().unwrap(),
            "--test-start",
            "2026-02-01",
            "--test-days",
            "20",
        ];
        house.ask(&[&asked[..], more].concat())
    };
    let free = choose(&["--friction-max", "1"]).exits(0).json();
    assert_eq!(free["bound_by"], json!([]), "{free}");
    let from = free["thresholds"]["challenge_from"].as_f64().unwrap();
    assert!(from > 0.0 && free["thresholds"]["hold_from"].as_f64().unwrap() >= from, "{free}");
    let tight = choose(&["--friction-max", "1", "--alerts-per-day", "1", "--write"]).exits(0).json();
    assert_eq!(tight["bound_by"], json!(["alerts_per_day"]), "{tight}");
    assert!(tight["chosen"]["alerts"].as_u64().unwrap() <= 20, "{tight}");
    assert!(tight["thresholds"]["challenge_from"].as_f64().unwrap() > from);
    // Where questioning costs more than all fraud, nothing pays, and nothing is written.
    choose(&["--friction-minor", "100000000", "--alert-minor", "100000000"]).exits(1);
    let manifest = fs::read_to_string(dir.join("bundle.toml")).unwrap();
    assert!(manifest.contains("alerts_max = 20"), "{manifest}");
    fs::copy(file, dir.join("model.bin")).unwrap();
    let manifest = manifest.replace("pack = \"pack.toml\"", "pack = \"pack.toml\"\nmodel = \"model.bin\"");
    fs::write(dir.join("bundle.toml"), manifest).unwrap();
    let checked = house.ask(&["fraud", "bundle", "check", dir.to_str().unwrap()]).exits(0).json();
    assert!(checked["model"]["trees"].as_u64().unwrap() > 0, "{checked}");

    // It judges, in shadow, and is counted.
    let serving = house.serve();
    let more: Vec<String> =
        (0..20).map(|n| transfer(&format!("n-{n}"), 1, START + 62 * DAY + n, 4_000)).collect();
    report(&house, &serving, &more).await;
    let of = |name: &str, rest: &str| format!("caponier_fraud_{name}{{place=\"active\"{rest}}}");
    let scored = metric(&serving, house.token(), &of("score_count", "")).await.unwrap();
    assert!(scored >= 3_020.0, "{scored}");
    assert!(
        metric(&serving, house.token(), &of("alerts_total", ",outcome=\"raised\"")).await.unwrap() >= 1.0
    );
    assert!(
        metric(&serving, house.token(), &of("labels_total", ",outcome=\"applied\"")).await.unwrap() > 50.0
    );
    assert_eq!(metric(&serving, house.token(), &of("bundle_enforced", "")).await, Some(0.0));

    // A new champion judges at once, in shadow; decisions by the one before can still be computed again.
    decide(&house, &serving).await;
    let models = |what: &[&str]| house.ask(&[&["fraud", "models"], what].concat());
    let promote = ["promote", &strong, "--as", "ann", "--force", "--reason", "it ranks better"];
    let told = models(&promote).exits(0).json();
    assert!(told.get("judged_by").is_none(), "the bundle judges by it already: {told}");
    let told = models(&["rollback", &strong, "--as", "ann", "--reason", "to see"]).exits(0).json();
    assert_eq!(told["digest"], weak.as_str());
    assert_eq!(told["judged_by"]["bundle"]["model"]["sha256"], weak.as_str(), "{told}");
    decide(&house, &serving).await;
    let judged = |model: &str| {
        let active = house.ask(&["fraud", "bundle", "status"]).exits(0).json()["bundles"][0].clone();
        assert_eq!(active["bundle"]["model"]["sha256"], model, "{active}");
        assert_eq!((&active["judges_since_recorded"], &active["promoted"]), (&json!(true), &json!(false)));
        let verified = house.ask(&["fraud", "bundle", "verify"]).exits(0).json();
        (verified["compared"].clone(), verified["different"].clone(), verified["by_other_bundles"].clone())
    };
    assert_eq!(judged(&weak), (json!(2), json!(0), json!(0)));
    serving.kill();
    let serving = house.serve();
    assert_eq!(judged(&weak), (json!(2), json!(0), json!(0)), "the same after a crash");
    // A model whose file is damaged becomes no champion, and what judges goes on.
    let whole = fs::read(file).unwrap();
    fs::write(file, "x").unwrap();
    models(&promote).exits(74);
    assert_eq!(models(&["show", &weak]).exits(0).json()["state"], "champion");
    assert_eq!(judged(&weak).0, json!(1), "the other one's model is lost");
    fs::write(file, whole).unwrap();
    assert_eq!(serving.stop(), 0);
    // Without a process it judges from the next start on.
    let told = models(&promote).exits(0).json();
    assert_eq!(told["judged_by"]["judges"], "from the next start on, in shadow", "{told}");
    let serving = house.serve();
    assert_eq!(judged(&strong), (json!(2), json!(0), json!(0)));
    house.ask(&["backup", "drill"]).exits(0);
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
}

/// Asks about a withdrawal.
pub(crate) async fn decide(house: &House, serving: &Serving) -> Value {
    let body = json!({
        "type": "withdrawal", "deadline_ms": 5000,
        "withdrawal": {
            "account": "a-1", "asset": "USDT", "amount": "7", "network": "tron",
            "address": tron_address("friend"), "ip": "192.0.2.7",
        },
    });
    let (status, told) = house.control_api(serving, "POST", "/v1/decisions", body.to_string()).await.unwrap();
    assert_eq!(status, 200, "{told}");
    told
}

/// Parameters of a model that has hardly learned.
fn params(house: &House) -> String {
    let path = house.path("weak.toml");
    let mut text = String::new();
    writeln!(text, "trees = 1\ndepth = 1").unwrap();
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shift_of_live_traffic_is_told_and_none_where_nothing_moved() {
    let house = house().await;
    let serving = house.serve();
    let mut random = SplitMix64::named(12, "drift");
    let mut lines = |from: u64, count: u64, factor: u64| -> Vec<String> {
        (from..from + count)
            .map(|n| {
                transfer(
                    &format!("d-{n}"),
                    random.below(400),
                    START + n * 300,
                    (10 + random.below(900)) * factor,
                )
            })
            .collect()
    };
    // The reference, and a window like it.
    report(&house, &serving, &lines(0, 4_100, 1)).await;
    let told = house.ask(&["fraud", "bundle", "drift"]).exits(0).json();
    assert_eq!(told["now"][0]["has_reference"], true, "{told}");
    assert_eq!((&told["now"][0]["shifts"], &told["recorded"]), (&json!(0), &json!([])), "{told}");
    let shifts = "caponier_fraud_shifts_total";
    assert_eq!(metric(&serving, house.token(), shifts).await, Some(0.0));

    report(&house, &serving, &lines(4_100, 4_000, 9)).await;
    // The entry is made behind the answer.
    let mut recorded = json!([]);
    for _ in 0..600 {
        recorded = house.ask(&["fraud", "bundle", "drift"]).exits(0).json()["recorded"].clone();
        if recorded != json!([]) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let moved = recorded.as_array().unwrap().iter().find(|shift| shift["subject"] == "moved");
    assert!(moved.unwrap_or_else(|| panic!("{recorded}"))["psi"].as_f64().unwrap() > 0.25);
    assert!(metric(&serving, house.token(), shifts).await.unwrap() >= 1.0);
    let log = house.ask(&["log", "--kind", "model"]).exits(0).stdout;
    assert!(log.contains("drifted"), "{log}");
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
}
