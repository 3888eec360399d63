//! Somebody changes files of a stopped installation: the audit finds it and names the file.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use exchange::random::SplitMix64;
use serde_json::{Value, json};

use crate::support::{House, Settings, assert_sound, audit_verify, copy, files, tron_address};

/// Bits flipped, one at a time, in files of each kind.
const FLIPS_PER_KIND: usize = 24;

/// What kind of file it is, from its path within the data directory.
fn kind(file: &str) -> &'static str {
    match file {
        "journal/LOCK" | "LOCK" => "lock",
        "keys/table" => "key table",
        "keys/log-key" => "log key",
        "log/checkpoint" => "checkpoint",
        "log/vkey" => "verifier key",
        "labels/CURRENT" => "list manifest",
        _ if file.starts_with("journal/") => "segment",
        _ if file.starts_with("labels/") => "label segment",
        _ if file.starts_with("log/tile/entries/") => "bundle",
        _ if file.starts_with("log/tile/") => "tile",
        _ => "none of a data directory",
    }
}

/// A stopped installation with several segments, several levels of tiles and several lists, in a folder with its key.
async fn stopped() -> (House, PathBuf) {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    house.open_account("anna").await;
    house.key("anna");
    for list in ["first", "second"] {
        let file = house.path("sanctioned_addresses_TRX.txt");
        let addresses: Vec<String> =
            (0..40).map(|number| tron_address(&format!("{list} {number}"))).collect();
        fs::write(&file, addresses.join("\n")).unwrap();
        let name = ["lists", "import", "--format", "ofac", "--name", list, file.to_str().unwrap()];
        house.ask(&name).exits(0);
    }
    for batch in 0..7 {
        let lines = (0..1000).map(|line| {
            json!({
                "id": format!("tamper-{batch}-{line}"), "account": format!("person-{}", line % 11),
                "occurred_at": "2026-01-02T03:04:05Z", "type": "address_added", "network": "tron",
                "address": tron_address(&line.to_string()),
            })
            .to_string()
                + "\n"
        });
        let (status, answer) =
            house.control_api(&serving, "POST", "/v1/events", lines.collect()).await.unwrap();
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(serving.stop(), 0);
    assert_sound(house.data());
    let data = house.data().to_owned();
    (house, data)
}

/// Demands that the audit says no and names the file.
#[track_caller]
fn assert_named(data: &Path, file: &str, what: &str) {
    let (code, report) = audit_verify(data);
    assert_eq!((code, &report["ok"]), (1, &json!(false)), "{what} went unnoticed: {report}");
    let blames = |fault: &Value| {
        let (named, what) = (fault["file"].as_str().unwrap(), fault["what"].as_str().unwrap());
        named == file
            || match kind(file) {
                // A key table cut at the end of a slot is a good table with too few slots: what shows it is the
                // journal's entry whose key is gone, and the message says where it should have been.
                "key table" => what.starts_with("the key table has no slot"),
                // A missing segment is named by the one that stands in its place, or by the entries that are due.
                "segment" => named.starts_with("journal/") && !data.join(file).exists(),
                _ => false,
            }
    };
    let named = report["faults"].as_array().unwrap().iter().any(blames);
    assert!(named, "{what} was not blamed on {file}: {:.2000}", report.to_string());
}

/// An intruder, or a dying disk, changes one bit anywhere; or a file is cut short, taken away, or slipped in. The
/// auditor names the file every time, and is content again when it is put back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_changed_file_is_named() {
    let (house, original) = stopped().await;
    let data = house.path("copy");
    copy(&original, &data);
    fs::copy(house.path("data.kek"), house.path("copy.kek")).unwrap();
    assert_sound(&data);

    let mut kinds = BTreeMap::<_, Vec<String>>::new();
    for file in files(&data) {
        kinds.entry(kind(&file)).or_default().push(file);
    }
    let of = |kind: &str| kinds.get(kind).unwrap_or_else(|| panic!("no {kind} in {kinds:?}"));
    for kind in [
        "bundle",
        "checkpoint",
        "key table",
        "label segment",
        "list manifest",
        "segment",
        "tile",
        "verifier key",
    ] {
        assert!(!of(kind).is_empty());
    }
    assert!(of("segment").len() > 1 && of("tile").len() > 5 && of("bundle").len() > 5, "{kinds:?}");

    let mut random = SplitMix64::named(5, "flips");
    let (mut flips, mut bytes_of_kinds) = (0, BTreeMap::new());
    for (kind, files) in &kinds {
        for _ in 0..FLIPS_PER_KIND {
            let file = random.pick(files).unwrap();
            let whole = fs::read(data.join(file)).unwrap();
            if whole.is_empty() {
                continue;
            }
            let mut changed = whole.clone();
            let bit = random.below(u64::try_from(whole.len()).unwrap() * 8);
            changed[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
            fs::write(data.join(file), changed).unwrap();
            assert_named(&data, file, &format!("bit {bit} of {file}, a {kind}"));
            fs::write(data.join(file), &whole).unwrap();
            *bytes_of_kinds.entry(kind).or_insert(0) += whole.len();
            flips += 1;
        }
    }
    assert_sound(&data);
    assert!(flips >= 8 * FLIPS_PER_KIND, "{flips} flips");

    for (kind, files) in &kinds {
        let file = random.pick(files).unwrap();
        let whole = fs::read(data.join(file)).unwrap();
        if *kind != "lock" {
            fs::remove_file(data.join(file)).unwrap();
            assert_named(&data, file, &format!("deletion of {file}"));
            fs::write(data.join(file), &whole[..whole.len() / 2]).unwrap();
            assert_named(&data, file, &format!("first half of {file}"));
        }
        fs::write(data.join(file), [&whole[..], b"x"].concat()).unwrap();
        assert_named(&data, file, &format!("one byte more in {file}"));
        fs::write(data.join(file), &whole).unwrap();
    }

    for file in ["notes.txt", "journal/notes.txt", "keys/notes.txt", "labels/notes.txt", "log/notes.txt"] {
        fs::write(data.join(file), "slipped in").unwrap();
        assert_named(&data, file, &format!("unknown file {file}"));
        fs::remove_file(data.join(file)).unwrap();
    }
    assert_sound(&data);
    eprintln!("{flips} flipped bits in {kinds:?}");
}

/// The newest entries are cut off cleanly, checkpoint and all, and an older state is put in their place: the program
/// does not notice from the directory alone, but whoever kept the newer checkpoint does, and the directory
/// cannot be passed off under another log's key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_is_bound_to_its_key_and_its_journal_to_its_checkpoint() {
    let house = House::build(Settings::default()).await;
    let serving = house.serve();
    let vkey = serving.text("log_vkey").to_owned();
    house.open_account("anna").await;
    assert_eq!(serving.stop(), 0);
    let older = house.path("older");
    copy(house.data(), &older);

    let serving = house.serve();
    house.open_account("ben").await;
    assert_eq!(serving.stop(), 0);
    let verify = |vkey: &str| {
        crate::support::caponier(&[
            "--json",
            "audit",
            "verify",
            house.data().to_str().unwrap(),
            "--vkey",
            vkey,
        ])
    };
    verify(&vkey).exits(0);

    // The journal of yesterday under the checkpoint of today.
    let segment = "journal/00000000000000000000.seg";
    let today = fs::read(house.data().join(segment)).unwrap();
    fs::copy(older.join(segment), house.data().join(segment)).unwrap();
    let (code, report) = audit_verify(house.data());
    assert_eq!(code, 1, "{report}");
    let refused = house.ask(&["lists", "status"]).exits(74).json();
    assert!(refused["error"].as_str().unwrap().contains("journal"), "{refused}");
    fs::write(house.data().join(segment), today).unwrap();
    assert_sound(house.data());

    // The key of another log.
    let other = House::build(Settings { data: None, more: "[log]\norigin = \"other.example/log\"" }).await;
    let serving = other.serve();
    let other_vkey = serving.text("log_vkey").to_owned();
    assert_eq!(serving.stop(), 0);
    verify(&other_vkey).exits(1);
}
