//! The disk is gone. What is left: the backup, and the key that was kept elsewhere.

use std::{collections::BTreeMap, fs};

use exchange::random::SplitMix64;
use http::Method;
use serde_json::{Value, json};

use crate::support::{
    BALANCE, Done, House, Settings, WITHDRAWAL, assert_sound, caponier_on, files, tron_address, withdrawal,
};

/// Bits flipped in each file of the backup.
const FLIPS_PER_FILE: usize = 3;

/// A morning's work: a key, two lists, decisions of several kinds. Returns the key and the decision ids.
async fn morning(house: &House) -> (Value, Vec<String>) {
    let serving = house.serve();
    house.open_account("anna").await;
    let key = house.key("anna");
    let listed = tron_address("listed");
    let list = house.path("sanctioned_addresses_TRX.txt");
    fs::write(&list, format!("{listed}\n")).unwrap();
    for name in ["sanctions", "partners"] {
        house.ask(&["lists", "import", "--format", "ofac", "--name", name, list.to_str().unwrap()]).exits(0);
    }
    let mut client = house.client(&serving, &key);
    let mut decisions = Vec::new();
    for (number, (address, amount)) in
        [(tron_address("a"), "10"), (listed, "10"), (tron_address("b"), "20"), (tron_address("c"), "999000")]
            .into_iter()
            .enumerate()
    {
        let body = withdrawal(&address, amount, &format!("wd{number}"));
        let answer = client.call(Method::POST, WITHDRAWAL, &body).await.unwrap();
        decisions.push(answer.decision_id().unwrap_or_else(|| panic!("{}", answer.json)).to_owned());
    }
    house.settle().await;
    assert_eq!(serving.stop(), 0);
    (key, decisions)
}

/// What an operator would ask to see whether everything is as before.
fn answers(house: &House, decisions: &[String]) -> Vec<Value> {
    let ask = |arguments: &[&str]| house.ask(arguments).exits(0).json();
    let mut answers = vec![ask(&["keys", "list"]), ask(&["lists", "status"])];
    answers.extend(decisions.iter().map(|id| ask(&["explain", id])));
    let screened = house.ask(&["screen", &tron_address("listed")]).exits(1).json();
    answers.push(screened);
    answers
}

fn restore(house: &House, from: &str) -> Done {
    house.ask(&["backup", "restore", "--from", house.path(from).to_str().unwrap()])
}

/// The data directory is deleted; restored from the backup it answers every question as before, passes the audit, and
/// serves: the customer's key works, and the list still blocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_disk_is_restored_and_serves_again() {
    let house = House::build(Settings::default()).await;
    let (key, decisions) = morning(&house).await;
    let before = answers(&house, &decisions);
    let verdicts: Vec<_> = before[2..6].iter().map(|answer| answer["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts[1], "deny", "{verdicts:?}");
    assert!(verdicts.contains(&"allow"), "{verdicts:?}");
    let entries = assert_sound(house.data())["entries"].as_u64().unwrap();

    fs::remove_dir_all(house.data()).unwrap();
    let restored = restore(&house, "backup").exits(0).json();
    assert!(restored["entries"].as_u64().unwrap() >= entries, "{restored}, of {entries}");
    assert_sound(house.data());
    assert_eq!(answers(&house, &decisions), before);

    // A second restore would bury what has been journalled since.
    let refused = restore(&house, "backup").exits(64).json();
    assert!(refused["error"].as_str().unwrap().contains("not empty"), "{refused}");

    let serving = house.serve();
    let mut client = house.client(&serving, &key);
    assert_eq!(client.call(Method::GET, BALANCE, "").await.unwrap().code(), "0");
    let body = withdrawal(&tron_address("listed"), "10", "afterwards");
    assert_eq!(client.call(Method::POST, WITHDRAWAL, &body).await.unwrap().code(), "58217");
    assert_eq!(house.ask(&["backup", "drill"]).exits(0).json()["ok"], true);
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
}

/// Restores that must not succeed: without the key, which no backup holds; from a place that holds no backup; and from a
/// backup in which any one bit is wrong, whose file is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_cannot_be_good_is_refused() {
    let house = House::build(Settings::default()).await;
    morning(&house).await;
    let backup = house.path("backup");
    let backup_arg = backup.to_str().unwrap();

    // Without the key.
    let elsewhere = house.path("elsewhere");
    let refused = caponier_on(&elsewhere, &["backup", "restore", "--from", backup_arg]).exits(66);
    assert!(refused.stderr.contains("elsewhere.kek"), "{}", refused.stderr);
    assert!(!elsewhere.exists());

    // From a folder without a backup, and from none.
    let kek = house.path("data.kek");
    let kek = kek.to_str().unwrap();
    let with_key = ["--kek-file", kek, "backup", "restore", "--from"];
    let empty = house.path("empty");
    fs::create_dir(&empty).unwrap();
    caponier_on(&elsewhere, &[&with_key[..], &[empty.to_str().unwrap()]].concat()).exits(66);
    let absent = caponier_on(&elsewhere, &[&with_key[..], &["/nonexistent/backup"]].concat());
    assert!(absent.code == 74 || absent.code == 66, "{absent:?}");
    assert!(absent.stderr.contains("/nonexistent/backup"), "{}", absent.stderr);

    // The backup's files are named by content; an operator knows them by what they are.
    let mut names = BTreeMap::new();
    for file in files(house.data()) {
        names.insert(fs::read(house.data().join(&file)).unwrap(), file);
    }
    let mut random = SplitMix64::named(3, "backup");
    let mut refused = 0;
    for file in files(&backup) {
        let path = backup.join(&file);
        let whole = fs::read(&path).unwrap();
        let name = if file.starts_with("files/") { names[&whole].clone() } else { file.clone() };
        for _ in 0..FLIPS_PER_FILE {
            let bit = random.below(u64::try_from(whole.len()).unwrap() * 8);
            let mut changed = whole.clone();
            changed[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
            fs::write(&path, changed).unwrap();
            let target = house.path(&format!("restored-{refused}"));
            let done = caponier_on(&target, &[&with_key[..], &[backup_arg]].concat());
            assert_eq!(done.code, 74, "bit {bit} of {file} ({name}): {done:?}");
            let lower = done.stderr.to_lowercase();
            assert!(lower.contains(&name.to_lowercase()), "bit {bit} of {file} ({name}): {}", done.stderr);
            refused += 1;
        }
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let target = house.path(&format!("short-{refused}"));
        let done = caponier_on(&target, &[&with_key[..], &[backup_arg]].concat());
        assert_eq!(done.code, 74, "half of {file} ({name}): {done:?}");
        fs::write(&path, &whole).unwrap();
    }
    assert!(refused >= 5 * FLIPS_PER_FILE);

    // Whole again, it restores.
    caponier_on(&house.path("good"), &[&with_key[..], &[backup_arg]].concat()).exits(0);
    let good = house.path("good");
    let report =
        crate::support::caponier(&["--json", "audit", "verify", good.to_str().unwrap(), "--kek-file", kek])
            .exits(0)
            .json();
    assert_eq!(report["faults"], json!([]));
    eprintln!("{refused} restores refused");
}
