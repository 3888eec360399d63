//! Importers: what they accept, what they refuse, and whether they say where.

use chain::label::{Category, Confidence};
use proptest::prelude::*;
use tempfile::TempDir;
use watch::{Format, ImportError, ImportReport, KeptAsText, Watch};

use crate::support::{NOW, file, list, ofac, open, tagpack};

const BTC: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
const EVM: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const TRON: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";

fn check_refused(
    import: impl Fn(&Watch) -> Result<ImportReport, ImportError>,
    line: usize,
    field: &str,
    words: &str,
) {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    match import(&watch) {
        Err(ImportError::Malformed { line: l, field: f, reason, .. }) => {
            assert_eq!((l, f), (line, field), "{reason}");
            assert!(reason.contains(words), "{reason:?} does not say {words:?}");
        }
        other => panic!("expected a malformed source, got {other:?}"),
    }
    assert_eq!(watch.lists(), Vec::new());
}

#[test]
fn a_ticker_is_not_a_chain() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let report = ofac(&watch, "USDT", &format!("{BTC}\r\n\n{EVM}\n{TRON}\n{BTC}")).unwrap();
    assert_eq!((report.entries, report.addresses, report.texts), (4, 3, 0));
    for text in [BTC, EVM, TRON] {
        let screening = watch.screen(text, None);
        assert_eq!(screening.labels.len(), 1, "{text}");
        assert_eq!(screening.labels[0].category, Category::Sanctions);
        assert_eq!(screening.labels[0].asset, "USDT");
    }
    assert_eq!(watch.screen(&EVM.to_lowercase(), None).labels.len(), 1);
}

#[test]
fn networks_without_a_codec_are_kept_as_text() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let monero =
        "49HqitRzdnhYjgTEAhgGpCfsjdTeMbUTU6cyR4JV1R7k2Eej9rGT8JpFiYDa4tZM6RZiFrHmMzgSrhHEqpDYKBe5B2ufNsL";
    let report = ofac(&watch, "XMR", monero).unwrap();
    assert_eq!((report.addresses, report.texts), (0, 1));
    assert_eq!(report.kept_as_text, [KeptAsText { asset: "XMR".to_owned(), entries: 1 }]);
    assert_eq!(watch.screen(monero, None).labels.len(), 1);
    assert_eq!(watch.screen(&monero.to_lowercase(), None).labels.len(), 0);
}

#[test]
fn what_is_listed_under_one_of_two_names_is_found_under_both() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let legacy = "18M8bJWMzWHDBMxoLqjHHAffdRy4SrzkfB";
    let report = ofac(&watch, "BCH", legacy).unwrap();
    assert_eq!((report.addresses, report.texts), (1, 0));
    let cash = watch.screen(legacy, None);
    assert_eq!(cash.labels.len(), 1);
    let as_bitcoin = chain::address::decode(domain::ChainFamily::Bitcoin, legacy).unwrap();
    assert_eq!(watch.listing(&as_bitcoin).unwrap().labels, 1);
    // In bulk too, far beyond one chunk.
    let clean = chain::address::decode_any(TRON).unwrap();
    let mut many = vec![clean; 1000];
    many[777] = as_bitcoin;
    let mut found = Vec::new();
    watch.for_each_listed(&many, |idx, listing| found.push((idx, listing.category)));
    assert_eq!(found, [(777, Category::Sanctions)]);
    let as_cash = chain::address::decode(domain::ChainFamily::BitcoinCash, legacy).unwrap();
    assert_eq!(watch.screen(&chain::address::encode(&as_cash), None).labels.len(), 1);
}

#[test]
fn a_damaged_sanctions_file_is_refused_by_line() {
    let lines = |bad: &str| format!("{BTC}\n{bad}\n");
    let damaged = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb";
    check_refused(|watch| ofac(watch, "XBT", &lines(damaged)), 2, "address", "checksum");
    check_refused(|watch| ofac(watch, "XBT", &lines(&format!("{BTC} "))), 2, "address", "white space");
    check_refused(
        |watch| ofac(watch, "XMR", "<html>404 not found</html>"),
        1,
        "address",
        "cannot be an address",
    );
    check_refused(|watch| ofac(watch, "XMR", "short"), 1, "address", "cannot be an address");
    check_refused(
        |watch| {
            let mut source = file("sanctioned_addresses_XMR.txt", "x");
            source.bytes = vec![0xff; 30];
            watch.import(&list("ofac"), &Format::Ofac { ticker: None }, &[source], NOW)
        },
        1,
        "address",
        "UTF-8",
    );
}

#[test]
fn a_ticker_may_be_given_and_must_be_known() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let source = [file("today.txt", BTC)];
    let import = |ticker| watch.import(&list("ofac"), &Format::Ofac { ticker }, &source, NOW);
    assert!(matches!(import(None), Err(ImportError::TickerUnknown { file }) if file == "today.txt"));
    assert_eq!(import(Some("XBT".to_owned())).unwrap().addresses, 1);
}

#[test]
fn an_empty_source_does_not_lift_blocks() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    ofac(&watch, "XBT", BTC).unwrap();
    assert!(matches!(ofac(&watch, "XBT", "\n\n"), Err(ImportError::NoEntries)));
    assert!(matches!(tagpack(&watch, "title: none\ntags: []\n"), Err(ImportError::NoEntries)));
    assert_eq!(watch.screen(BTC, None).labels.len(), 1);
}

#[test]
fn tags_inherit_the_header_wherever_it_stands() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let yaml = format!(
        "%YAML 1.1\n---\ntitle: A pack\nunknown: {{deep: [1, {{a: b}}]}}\ntags:\n- address: {BTC}\n  currency: BTC\n\
         - address: '{EVM}'\n  network: ETH\n  currency: USDC\n  abuse: phishing\n  label: Another\n  lastmod: 2020-02-29\n\
         - tx_hash: 0000\n  currency: BTC\n\
         - address: d7b87c94a3ba5ce2d3ee6d4b7b2f7d0b3c8c4a3f5f5e0e4d1b2a3c4d5e6f7a8b\n  currency: BTC\n\
         - address: eosbetcasino\n  currency: EOS\n\
         label: Inherited\nsource: https://example.org\nconfidence: forensic\ncategory: exchange\nlastmod: 2021-11-14\n"
    );
    let report = tagpack(&watch, &yaml).unwrap();
    assert_eq!((report.entries, report.addresses, report.texts, report.transactions_skipped), (5, 2, 1, 2));
    assert_eq!(report.kept_as_text, [KeptAsText { asset: "EOS".to_owned(), entries: 1 }]);

    let inherited = &watch.screen(BTC, None).labels[0];
    assert_eq!((inherited.category, inherited.confidence), (Category::Exchange, Confidence::Forensic));
    assert_eq!((inherited.text.as_str(), inherited.source.as_str()), ("Inherited", "https://example.org"));
    assert_eq!(inherited.last_seen.unwrap().to_string(), "2021-11-14T00:00:00.000Z");

    let own = watch.screen(EVM, None).labels;
    assert_eq!(
        own.iter().map(|label| label.category).collect::<Vec<_>>(),
        [Category::Phishing, Category::Exchange]
    );
    assert_eq!((own[0].text.as_str(), own[0].asset.as_str()), ("Another", "USDC"));
    assert_eq!(own[0].last_seen.unwrap().to_string(), "2020-02-29T00:00:00.000Z");
    assert_eq!(watch.screen("eosbetcasino", None).labels.len(), 1);
}

#[test]
fn digits_in_arbitrary_case_are_taken_and_counted() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let sloppy = "0x5aAeb6053f3E94C9b9A09f33669435E7Ef1BeAed";
    let report =
        tagpack(&watch, &format!("label: x\ncurrency: ETH\ntags:\n- address: '{sloppy}'\n")).unwrap();
    assert_eq!((report.case_ignored, report.addresses), (1, 1));
    assert_eq!(watch.screen(EVM, None).labels.len(), 1);
}

#[test]
fn a_valid_address_under_the_wrong_ticker_is_taken_and_counted() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let report = ofac(&watch, "XBT", &format!("{BTC}\n{TRON}\n{EVM}\n")).unwrap();
    assert_eq!((report.addresses, report.other_family), (3, 2));
    assert_eq!(watch.screen(TRON, None).labels.len(), 1);
}

#[test]
fn a_damaged_address_in_a_pack_is_kept_as_text_and_reported() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let damaged = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb";
    let yaml = format!("label: x\ncurrency: BTC\ntags:\n- address: {BTC}\n- address: {damaged}\n");
    let report = tagpack(&watch, &yaml).unwrap();
    assert_eq!((report.addresses, report.texts, report.undecodable), (1, 1, 1));
    let [first] = report.undecodable_first.as_slice() else { panic!("{report:?}") };
    assert_eq!((first.file.as_str(), first.line), ("pack.yaml", 5));
    assert!(first.reason.contains("checksum"), "{}", first.reason);
    assert_eq!(watch.screen(damaged, None).labels.len(), 1);
}

#[test]
fn a_damaged_pack_is_refused_by_line_and_field() {
    let pack = |tag: &str| format!("label: x\ncurrency: BTC\ntags:\n- address: {BTC}\n- {tag}\n");
    let check =
        |tag: &str, line, field, words| check_refused(|watch| tagpack(watch, &pack(tag)), line, field, words);
    check("label: nothing", 5, "address", "neither an address nor a transaction");
    check("address: [a]", 5, "address", "not a scalar");
    check("address: \"a\\nb\"", 5, "address", "on one line");
    check("scalar", 5, "tags", "not a mapping");
    check(&format!("address: {BTC}\n  abuse: {{}}"), 6, "abuse", "not a scalar");
    check("address: *alias", 5, "pack", "");
    let refused =
        |yaml: &str, line, field, words| check_refused(|watch| tagpack(watch, yaml), line, field, words);
    refused("- a\n- b\n", 1, "pack", "mapping");
    refused("a: [b\n", 2, "pack", "");
    refused("label: &x y\ntags:\n- label: *x\n", 3, "pack", "aliases");
    refused(&format!("x: {}", "[".repeat(100)), 1, "pack", "nested too deep");
    refused(&format!("tags:\n- address: {BTC}\n"), 2, "currency", "neither the tag nor the header");
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut yaml = String::from("a0: &a0 [x, x]\n");
    for n in 1..40 {
        yaml.push_str(&format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1));
    }
    check_refused(|watch| tagpack(watch, &yaml), 2, "pack", "aliases");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn no_source_panics(text in "[-a-z:\\[\\]{}'\"&*!%#|> \n0-9]{0,200}", ticker in "[A-Z]{2,4}") {
        let dir = TempDir::new().unwrap();
        let watch = open(&dir);
        let accepted = tagpack(&watch, &text).is_ok();
        let sanctioned = ofac(&watch, &ticker, &text).is_ok();
        prop_assert_eq!(watch.lists().len(), usize::from(accepted) + usize::from(sanctioned));
    }
}
