use std::{io::Cursor, path::Path, process::Command};

use super::*;

fn read(rows: &str, guard: Guard) -> Result<Clustering, ClusteringError> {
    let text = format!("txid,height,coinjoin,inputs,outputs\n{rows}");
    let table = Table::open("t.csv", Cursor::new(text), TRANSACTION_COLUMNS)?;
    Clustering::read(table, guard, || Duration::ZERO)
}

fn compare(clustering: &Clustering, reference: &str) -> Comparison {
    let text = format!("address,cluster\n{reference}");
    clustering.compare(Table::open("r.csv", Cursor::new(text), REFERENCE_COLUMNS).unwrap()).unwrap()
}

#[test]
fn inputs_join_and_coinjoins_do_not() {
    // The second has two equal outputs and two signers; the third is said to be one; the fourth is said not to be.
    let rows = "1,1,,a b,x:1\n2,1,,b c,d:5 e:5 f:7\n3,2,1,c g,h:9\n4,3,0,i j,k:5 l:5 m:7\n5,3,,n+o p,q:1\n";
    let clustering = read(rows, Guard::On).unwrap();
    let of = |address| clustering.cluster_of(address).unwrap();
    assert_eq!([of("a"), of("b"), of("c"), of("g"), of("j"), of("p")], ["a", "a", "c", "g", "i", "p"]);
    assert_eq!(clustering.cluster_of("n+o"), None);
    let json = clustering.to_json();
    assert_eq!(json["coinjoins"], json!({"paired": 1, "marked": 1}));
    assert_eq!(json["marked_other"]["taken_for_coinjoin"], 1);
    assert_eq!(json["largest"]["name"], "a");
    let without = read(rows, Guard::Off).unwrap();
    assert_eq!(without.cluster_of("g"), Some("a"));
    assert!(compare(&clustering, "a,1\nb,1\nc,2\nzz,3\n").is_equal());
    let unequal = compare(&clustering, "a,1\nb,2\nc,2\n");
    assert_eq!((unequal.disagreeing, unequal.clusters_here, unequal.clusters_in_reference), (3, 2, 2));
}

#[test]
fn faults_are_named() {
    let error = |rows: &str| read(rows, Guard::On).unwrap_err().to_string();
    assert_eq!(error("1,1,,a,b\n"), "t.csv, line 2, column outputs: \"b\" is not address:satoshi");
    assert_eq!(error("1,2,,a,b:1\n2,1,,a,b:1\n"), "t.csv, line 3, column height: below 2, the height before");
    assert_eq!(error("1,1,yes,a,b:1\n"), "t.csv, line 2, column coinjoin: neither 0 nor 1");
}

/// A file of the recorded reference chain; lines of JSON.
fn fixture(name: &str) -> Option<Vec<Value>> {
    let archive =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/chain/graphsense_fixtures.tar.zst");
    if !Path::new(archive).exists() {
        eprintln!("skipped: no reference chain");
        return None;
    }
    let member = format!("utxo/{name}");
    match Command::new("tar").args(["--zstd", "-xOf", archive, &member]).output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8(output.stdout).unwrap();
            Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
        }
        _ => {
            eprintln!("skipped: tar or zstd could not read {name}");
            None
        }
    }
}

/// Clusters of a chain whose clusters were computed by other software, with the CoinJoin guard and without.
#[test]
fn clusters_equal_the_recorded_reference() {
    let Some(transactions) = fixture("test_txs.json") else { return };
    let mut rows = String::new();
    let addresses = |side: &Value| -> Vec<(String, String)> {
        let side = side.as_array().unwrap().iter();
        side.map(|part| {
            let keys: Vec<&str> =
                part["address"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
            (keys.join("+"), part["value"].to_string())
        })
        .collect()
    };
    for transaction in &transactions {
        let inputs: Vec<String> = addresses(&transaction["inputs"]).into_iter().map(|part| part.0).collect();
        let outputs: Vec<String> = addresses(&transaction["outputs"])
            .into_iter()
            .map(|(address, value)| format!("{address}:{value}"))
            .collect();
        let coinjoin = u8::from(transaction["coinjoin"].as_bool().unwrap());
        rows.push_str(&format!(
            "{},{},{coinjoin},{},{}\n",
            transaction["txId"],
            transaction["blockId"],
            inputs.join(" "),
            outputs.join(" ")
        ));
    }
    let names: BTreeMap<u64, String> = fixture("reference/address_ids.json")
        .unwrap()
        .iter()
        .map(|line| (line["addressId"].as_u64().unwrap(), line["address"].as_str().unwrap().to_owned()))
        .collect();
    for (guard, file) in [
        (Guard::On, "reference/address_cluster.json"),
        (Guard::Off, "reference/address_cluster_with_coinjoin.json"),
    ] {
        let clustering = read(&rows, guard).unwrap();
        let mut reference = String::new();
        for line in fixture(file).unwrap() {
            let (address, cluster) =
                (line["addressId"].as_u64().unwrap(), line["clusterId"].as_u64().unwrap());
            reference.push_str(&format!("{},{cluster}\n", names[&address]));
            if address > 0 {
                // The reference numbers addresses in the same order, after one for new coins.
                assert_eq!(clustering.cluster_of(&names[&address]), Some(names[&cluster].as_str()), "{file}");
            }
        }
        let comparison = compare(&clustering, &reference);
        assert!(comparison.is_equal(), "{file}: {comparison:?}");
        assert_eq!((comparison.compared, comparison.only_here, comparison.only_in_reference), (14, 0, 1));
    }
}
