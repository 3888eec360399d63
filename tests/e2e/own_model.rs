//! The page that goes from the journal to a model in force: its commands, run as they stand there.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::{
    journal_models::{decide, report, story},
    support::{House, PROGRAM, ROOT, Settings, assert_sound, finish, skipped},
};

const SETTINGS: &str = "[fraud]\nbundles = \"bundles\"\nbundle = \"exchange\"\nmode = \"enforce\"\n";

/// The commands of a page, all in one script.
fn script(page: &str) -> String {
    let text = fs::read_to_string(Path::new(ROOT).join(page)).unwrap();
    text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_on_a_model_of_ones_own_does_what_it_says() {
    if finish(Command::new("sh").args(["-c", "command -v jq"])).code != 0 {
        return skipped("jq is not installed");
    }
    let house = House::build(Settings { more: SETTINGS, ..Settings::default() }).await;
    fs::create_dir(house.path("bundles")).unwrap();
    house.ask(&["fraud", "bundle", "new", house.path("bundles/exchange").to_str().unwrap()]).exits(0);
    let serving = house.serve();
    report(&house, &serving, &story(60)).await;

    // What the page says of aliases: every command is about this installation.
    let programs = house.path("bin");
    fs::create_dir(&programs).unwrap();
    let wrapper = format!("#!/bin/sh\nexec '{PROGRAM}' --config '{}' \"$@\"\n", house.config());
    fs::write(programs.join("caponier"), wrapper).unwrap();
    finish(Command::new("chmod").arg("+x").arg(programs.join("caponier"))).exits(0);
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display());
    let script = script("docs/operating/own-model.md");
    assert!(script.matches("caponier ").count() >= 12, "{script}");
    let done =
        finish(Command::new("sh").args(["-euxc", &script]).env("PATH", path).current_dir(house.path(".")))
            .exits(0);
    assert!(done.stdout.contains("own-1"), "{}", done.text());

    // Afterwards it judges, by a model of this journal, and may have an effect.
    let status = house.ask(&["fraud", "bundle", "status"]).exits(0).json();
    let bundles = status["bundles"].as_array().unwrap();
    assert_eq!(bundles.len(), 1, "{status}");
    let active = &bundles[0];
    assert_eq!((&active["place"], &active["promoted"]), (&json!("active"), &json!(true)), "{status}");
    let champion = house.ask(&["fraud", "models", "list"]).exits(0).json();
    let champion = champion["models"].as_array().unwrap().iter().find(|model| model["state"] == "champion");
    let champion = champion.unwrap()["digest"].clone();
    assert_eq!(active["bundle"]["model"]["sha256"], champion, "{status}");
    let decision: Value = decide(&house, &serving).await;
    let says =
        |code: &str| decision["reasons"].as_array().unwrap().iter().any(|reason| reason["code"] == code);
    assert!(says("fraud.model_score") || says("fraud.bundle_quiet"), "{decision}");
    let verified = house.ask(&["fraud", "bundle", "verify"]).exits(0).json();
    assert_eq!((&verified["compared"], &verified["different"]), (&json!(1), &json!(0)), "{verified}");
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
}
