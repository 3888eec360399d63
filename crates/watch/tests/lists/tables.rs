//! Tables, the files of `ScamSniffer`, and what is written out again.

use chain::label::{Category, Confidence};
use proptest::prelude::*;
use tempfile::TempDir;
use watch::{Format, ImportError, ImportReport, ListedLabel, SourceFile, Watch, read_sources};

use crate::support::{NOW, archive, file, list, ofac, open, tagpack};

const BTC: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
const EVM: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

fn csv(watch: &Watch, format: &str, text: &str) -> Result<ImportReport, ImportError> {
    watch.import(&list("table"), &format.parse().unwrap(), &[file("table.csv", text)], NOW)
}

#[test]
fn columns_mean_what_the_operator_says() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let table = format!(
        "\u{feff}kind,addr,name,seen,net,how\r\nScam,{EVM},\"Smith, \"\"Bob\"\"\nand son\",2024-05-06T07:08:09Z,eth,forensic\r\n\r\n\
         ransomware,{BTC},,2024-05-06,btc,\r\nmixer,not an address,x,,btc,web_crawl\n"
    );
    let format = "csv:address=addr,network=net,category=kind,label=name,last_seen=seen,confidence=how,licence=:MIT,source=:us";
    let report = csv(&watch, format, &table).unwrap();
    assert_eq!((report.format, report.entries, report.addresses, report.texts), ("csv", 3, 2, 1));
    assert_eq!((report.undecodable, report.undecodable_first[0].line), (1, 6));
    let label = &watch.screen(EVM, None).labels[0];
    assert_eq!((label.category, label.confidence), (Category::Scam, Confidence::Forensic));
    assert_eq!((label.text.as_str(), label.source.as_str()), ("Smith, \"Bob\" and son", "us"));
    assert_eq!((label.asset.as_str(), label.licence.as_str()), ("ETH", "MIT"));
    assert_eq!(label.last_seen.unwrap().to_string(), "2024-05-06T07:08:09.000Z");
    let label = &watch.screen(BTC, None).labels[0];
    assert_eq!((label.category, label.confidence), (Category::Ransomware, Confidence::Unstated));
    assert_eq!(label.last_seen.unwrap().to_string(), "2024-05-06T00:00:00.000Z");
}

#[test]
fn what_is_asked_for_and_not_there_is_named() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let refused = |format: &str| format.parse::<Format>().unwrap_err().to_string();
    assert!(refused("csv:adress=a,network=n,category=c").contains("no field \"adress\""));
    assert!(refused("csv:address=a,network=n,category=c,address=b").contains("address is given twice"));
    assert!(refused("csv:address").contains("in place of \"address\""));
    let format = "csv:address=addr,network=:ETH,category=:scam";
    let missing = csv(&watch, format, "address\n").unwrap_err().to_string();
    assert_eq!(missing, "table.csv, line 1, address: the header has no column \"addr\"");
    let packed = |bytes: &[u8]| {
        let source = SourceFile { name: "table.csv".to_owned(), bytes: bytes.to_vec() };
        let done = watch.import(&list("table"), &format.parse().unwrap(), &[source], NOW);
        done.unwrap_err().to_string()
    };
    assert!(packed(&[0x1f, 0x8b, 8, 0]).starts_with("table.csv: compressed with gzip"));
    assert!(packed(&[0x28, 0xb5, 0x2f, 0xfd]).contains("zstd -dc FILE"));
}

#[test]
fn a_damaged_table_is_refused_by_line_and_field() {
    let check = |text: &str, line: usize, field: &str| {
        let dir = TempDir::new().unwrap();
        match csv(&open(&dir), "csv:address=a,network=:ETH,category=c,first_seen=t", text) {
            Err(ImportError::Malformed { line: l, field: f, reason, .. }) => {
                assert_eq!((l, f), (line, field), "{reason}");
            }
            other => panic!("expected a malformed source, got {other:?}"),
        }
    };
    check("a,b,t\n", 1, "category");
    check(&format!("a,c,t\n{EVM},scam\n"), 2, "record");
    check(&format!("a,c,t\n{EVM},scam,\n{EVM},submarine,\n"), 3, "category");
    check(&format!("a,c,t\n{EVM},,\n"), 2, "category");
    check("a,c,t\n,scam,\n", 2, "address");
    check(&format!("a,c,t\n{EVM},scam,yesterday\n"), 2, "first_seen");
    check("a,c,t\n\"open,scam,\n", 2, "table");
    check("a,c,t\nhalf\"quoted,scam,\n", 2, "table");
    check("a,c,t\n\"x\"y,scam,\n", 2, "table");
}

#[test]
fn formats_have_one_spelling() {
    for text in ["ofac", "scamsniffer", "tagpack", "csv:address=a,network=:BTC,category=:scam"] {
        let format: Format = text.parse().unwrap();
        assert!(text.starts_with(format.as_str()));
    }
    for text in [
        "",
        "csv",
        "csv:",
        "csv:address=a",
        "csv:address=a,network=n,category=c,size=s",
        "csv:address=a,network=n,category=c,category=d",
        "csv:address",
        "TagPack",
    ] {
        assert!(text.parse::<Format>().is_err(), "{text}");
    }
}

#[test]
fn both_files_of_the_scam_database() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let import = |source: &str| {
        watch.import(&list("scams"), &Format::ScamSniffer, &[file("combined.json", source)], NOW)
    };
    let report =
        import(&format!("{{\"phish.example\": [\"{EVM}\"], \"b.example\": [\"{BTC}\", \"junk\"]}}")).unwrap();
    assert_eq!((report.entries, report.addresses, report.undecodable, report.other_family), (3, 2, 1, 1));
    let label = &watch.screen(EVM, None).labels[0];
    assert_eq!((label.category, label.text.as_str()), (Category::Phishing, "phish.example"));
    for source in ["", "7", "[7]", "{\"a\": 1}", "[", "[\"\"]"] {
        assert!(matches!(import(source), Err(ImportError::Malformed { .. })), "{source}");
    }
    assert!(matches!(import("[]"), Err(ImportError::NoEntries)));
    assert_eq!(watch.screen(EVM, None).labels.len(), 1);

    let Some(source) = archive("scamsniffer_2026-08-22.tar.zst") else { return };
    let files = read_sources(source.path(), &Format::ScamSniffer).unwrap();
    assert_eq!(files.len(), 2);
    let report = watch.import(&list("scams"), &Format::ScamSniffer, &files, NOW).unwrap();
    assert_eq!(report.addresses + report.texts, 2_612);
}

/// Every label of these texts, without what an export does not keep: list and time of import.
fn labels(watch: &Watch, text: &str) -> Vec<ListedLabel> {
    let mut labels = watch.screen(text, None).labels;
    for label in &mut labels {
        label.list = list("x");
        label.list_imported_at = NOW;
    }
    labels.sort_by_key(|label| format!("{label:?}"));
    labels
}

fn check_exported(watch: &Watch, name: &str, texts: &[&str]) {
    let exported = watch.tagpack(&list(name)).unwrap();
    let dir = TempDir::new().unwrap();
    let again = open(&dir);
    tagpack(&again, &exported).unwrap();
    let (first, second) =
        (watch.lists().into_iter().find(|l| l.name.as_str() == name).unwrap(), &again.lists()[0]);
    assert_eq!((first.addresses, first.texts), (second.addresses, second.texts));
    for text in texts {
        assert_eq!(labels(watch, text), labels(&again, text), "{text}");
        assert!(!labels(watch, text).is_empty(), "{text}");
    }
}

#[test]
fn an_exported_pack_imports_to_the_same_labels() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    assert_eq!(watch.tagpack(&list("none")), None);
    let monero =
        "49HqitRzdnhYjgTEAhgGpCfsjdTeMbUTU6cyR4JV1R7k2Eej9rGT8JpFiYDa4tZM6RZiFrHmMzgSrhHEqpDYKBe5B2ufNsL";
    ofac(&watch, "XMR", monero).unwrap();
    check_exported(&watch, "ofac", &[monero]);

    let table = format!(
        "a,n,c,l,f,t\n{EVM},USDT,scam,\"tab\t\\ \"\"quote\"\": # ü 漢\",forensic,2020-01-02T03:04:05Z\n{EVM},ETH,exchange,yes,,\n\
         {BTC},BTC,other_abuse,null,unknown,\nrnXyVQzgxZe7TR1EPzTkGj2jxH4LMJYh66,XRP,sanction,~,authority_data,\n"
    );
    csv(&watch, "csv:address=a,network=n,category=c,label=l,confidence=f,first_seen=t", &table).unwrap();
    check_exported(&watch, "table", &[EVM, BTC, "rnXyVQzgxZe7TR1EPzTkGj2jxH4LMJYh66"]);

    // What was changed since the import is exported as it is in force.
    let format: Format = "csv:address=a,network=:BTC,category=:scam".parse().unwrap();
    let change = [file("change.csv", &format!("a\n{BTC}\n"))];
    watch.update(&list("table"), &format, &change, &change, NOW).unwrap();
    check_exported(&watch, "table", &[EVM, BTC]);
    assert_eq!(watch.screen(BTC, None).labels[0].category, Category::Scam);
}

#[test]
fn real_packs_survive_the_way_out_and_in() {
    let Some(source) = archive("tagpacks_subset.tar.zst") else { return };
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let mut files = read_sources(source.path(), &Format::TagPack).unwrap();
    // The larger ones add nothing but time.
    files.retain(|file| file.bytes.len() < 60_000);
    assert!(files.len() > 30);
    watch.import(&list("tags"), &Format::TagPack, &files, NOW).unwrap();
    check_exported(&watch, "tags", &[]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn no_table_and_no_json_panics(
        table in "[ac,\"\r\n0-9x]{0,100}",
        json in "[\\[\\]{}:,\"a-c0-9 ]{0,60}",
    ) {
        let dir = TempDir::new().unwrap();
        let watch = open(&dir);
        let a = csv(&watch, "csv:address=a,network=:ETH,category=:scam", &format!("a,c\n{table}")).is_ok();
        let b = watch.import(&list("s"), &Format::ScamSniffer, &[file("address.json", &json)], NOW).is_ok();
        prop_assert_eq!(watch.lists().len(), usize::from(a) + usize::from(b));
    }

    #[test]
    fn any_label_survives_the_way_out_and_in(text in "\\PC{0,40}", n in 1u64..1000) {
        let dir = TempDir::new().unwrap();
        let watch = open(&dir);
        let address = format!("0x{n:040x}");
        let quoted = text.replace('"', "\"\"");
        csv(
            &watch,
            "csv:address=a,network=:ETH,category=:phishing,label=l",
            &format!("a,l\n{address},\"{quoted}\"\n"),
        )
        .unwrap();
        check_exported(&watch, "table", &[&address]);
    }
}
