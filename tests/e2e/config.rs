//! Mistakes in what an operator writes: all are named, none does harm.

use std::fs;

use serde_json::Value;

use crate::support::{House, Settings, caponier, caponier_on, files, folder, tron_address};

/// A configuration with a mistake in almost every line: the operator sees all of them at once, each with its place,
/// and nothing has been made on disk.
#[test]
fn every_mistake_is_named_with_its_place_and_nothing_is_made() {
    let dir = folder();
    let file = dir.path().join("caponier.toml");
    fs::write(
        &file,
        "version = 1\n\
         [data]\n\
         dir = \"data\"\n\
         segment_size = \"1 KiB\"\n\
         [gateway]\n\
         listen = \"everywhere\"\n\
         conections_max = 5\n\
         [limits]\n\
         withdraw = \"6 per second\"\n\
         [fraud]\n\
         shadow = [\"no_such_rule\"]\n\
         [backup]\n\
         target = \"data/backup\"\n",
    )
    .unwrap();
    let name = file.to_str().unwrap();
    let expected = [
        (4, "data.segment_size"),
        (6, "gateway.listen"),
        (7, "gateway.conections_max"),
        (9, "limits.withdraw"),
        (11, "fraud.shadow"),
        (13, "backup.target"),
    ];
    for command in [["config", "check"].as_slice(), &["run"], &["keys", "list"], &["lists", "status"]] {
        let done = caponier(&[command, &["--config", name]].concat()).exits(64);
        for (line, key) in expected {
            let named = done.stderr.lines().any(|text| {
                let place = text.split_once(name).map_or("", |(_, place)| place);
                place.starts_with(&format!(":{line}:")) && place.contains(&format!(": {key}: "))
            });
            assert!(named, "{command:?}: no {name}:{line}: {key} in {}", done.stderr);
        }
        assert_eq!(done.stderr.matches(&format!("{name}:")).count(), expected.len(), "{}", done.stderr);
    }
    let told = caponier(&["config", "check", "--config", name]).stderr;
    assert!(told.contains("gateway.connections_max"), "no suggestion in {told}");
    assert_eq!(files(dir.path()), ["caponier.toml"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a folder was made");

    let report = caponier(&["--json", "config", "check", "--config", name]).exits(64).json();
    let faults = report["faults"].as_array().unwrap();
    assert_eq!(faults.len(), expected.len(), "{report}");
    for ((line, key), fault) in expected.iter().zip(faults) {
        assert_eq!((&fault["line"], &fault["key"]), (&Value::from(*line), &Value::from(*key)), "{fault}");
        assert!(fault["column"].as_u64().unwrap() > 0, "{fault}");
    }

    fs::write(&file, "version = \n").unwrap();
    let broken = caponier(&["config", "check", "--config", name]).exits(64);
    assert!(broken.stderr.contains(&format!("{name}:1:")), "{}", broken.stderr);
    let absent = dir.path().join("absent.toml");
    let absent = caponier(&["run", "--config", absent.to_str().unwrap()]).exits(64);
    assert!(absent.stderr.contains("absent.toml"), "{}", absent.stderr);
}

/// The default file is a good file as it is printed.
#[test]
fn the_default_file_has_no_fault() {
    let dir = folder();
    let text = caponier(&["config", "default"]).exits(0).stdout;
    let file = dir.path().join("caponier.toml");
    fs::write(&file, &text).unwrap();
    caponier(&["config", "check", "--config", file.to_str().unwrap()]).exits(0);
    assert!(text.contains("[gateway]") && text.contains("connections_max"), "{text}");
}

/// A secret that other users of the machine can read is refused before anything is made, and so is a certificate
/// that is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unsafe_or_broken_files_are_refused_by_name() {
    let house = House::build(Settings::default()).await;
    let token = house.path("exchange.token");
    let refused = |name: &str| {
        let done = house.ask(&["run"]).exits(64);
        assert!(done.text().contains(name), "{done:?}");
        assert!(!house.data().exists(), "a data directory was made");
    };
    fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    refused("exchange.token");
    crate::support::secret(&token, "short");
    refused("exchange.token");
    crate::support::secret(&token, house.token());
    fs::write(house.path("server.pem"), "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n")
        .unwrap();
    refused("server.pem");
    fs::remove_file(house.path("server.pem")).unwrap();
    refused("server.pem");
}

/// A list arrives damaged: the import names file and line, nothing changes, and the list of yesterday still blocks.
#[test]
fn a_malformed_list_changes_nothing() {
    let dir = folder();
    let data = dir.path().join("data");
    let file = dir.path().join("sanctioned_addresses_TRX.txt");
    let listed = tron_address("listed yesterday");
    let import = ["lists", "import", "--format", "ofac", "--name", "sanctions", file.to_str().unwrap()];
    fs::write(&file, format!("{listed}\n")).unwrap();
    caponier_on(&data, &import).exits(0);
    let before = caponier_on(&data, &["--json", "lists", "status"]).exits(0).stdout;

    let mut mistyped = tron_address("listed today");
    let last = if mistyped.pop() == Some('1') { '2' } else { '1' };
    mistyped.push(last);
    fs::write(&file, format!("{}\n{mistyped}\n", tron_address("fine"))).unwrap();
    let refused = caponier_on(&data, &import).exits(65);
    assert!(refused.stderr.contains("sanctioned_addresses_TRX.txt"), "{}", refused.stderr);
    assert!(refused.stderr.contains(":2") || refused.stderr.contains("line 2"), "{}", refused.stderr);

    let pack = dir.path().join("pack.yaml");
    fs::write(&pack, "title: broken\ntags:\n  - address: [\n").unwrap();
    let import = ["lists", "import", "--format", "tagpack", "--name", "sanctions", pack.to_str().unwrap()];
    let refused = caponier_on(&data, &import).exits(65);
    assert!(refused.stderr.contains("pack.yaml"), "{}", refused.stderr);

    assert_eq!(caponier_on(&data, &["--json", "lists", "status"]).exits(0).stdout, before);
    caponier_on(&data, &["screen", &listed]).exits(1);
    caponier_on(&data, &["screen", &tron_address("fine")]).exits(0);
    caponier_on(&data, &["screen", &mistyped]).exits(65);
    crate::support::assert_sound(&data);
}
