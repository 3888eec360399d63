//! From a destination to findings.

use chain::{address::decode_any, label::Category};
use domain::{Destination, Finding, Network, Verdict};
use tempfile::TempDir;
use watch::Watch;

use crate::support::{ofac, on_chain, open, tagpack, withdrawal};

const SANCTIONED: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
const CLEAN: &str = "3P14159f73E4gFr7JterCCQh9QjiTjiZrG";
const EVM: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

fn codes(findings: &[Finding]) -> Vec<(&str, Verdict)> {
    findings.iter().map(|finding| (finding.code.as_str(), finding.verdict)).collect()
}

fn watch(dir: &TempDir) -> Watch {
    let watch = open(dir);
    ofac(&watch, "XBT", SANCTIONED).unwrap();
    tagpack(
        &watch,
        &format!(
            "currency: BTC\nlabel: Known one\nsource: https://example.org\nconfidence: forensic\nlastmod: 2022-01-02\ntags:\n\
             - {{address: {SANCTIONED}, abuse: ransomware, label: Locker}}\n\
             - {{address: '{EVM}', currency: ETH, category: mixing_service, label: Blender}}\n\
             - {{address: bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4, category: exchange, label: Some exchange}}\n\
             - {{address: 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2, abuse: scam, confidence: web_crawl}}\n\
             - {{address: t1MMXtBrSp1XG38Lx9cePcNUCJj5vdWfUWL, currency: ZEC, abuse: terrorism}}\n"
        ),
    )
    .unwrap();
    watch
}

#[test]
fn every_kind_of_destination() {
    let dir = TempDir::new().unwrap();
    let watch = watch(&dir);
    let check = |network, address: &str, expected: &[(&str, Verdict)]| {
        assert_eq!(codes(&watch.examine(&on_chain(network, address))), expected, "{address}");
    };
    use Verdict::{Allow, Deny, Hold};
    check(
        Network::Bitcoin,
        SANCTIONED,
        &[("watch.sanctioned_address", Deny), ("watch.ransomware_address", Deny)],
    );
    check(Network::Bitcoin, CLEAN, &[("watch.not_listed", Allow)]);
    // The same holder on every chain of the family, whatever the case.
    check(Network::Ethereum, EVM, &[("watch.mixer_address", Hold)]);
    check(Network::Polygon, &EVM.to_lowercase(), &[("watch.mixer_address", Hold)]);
    check(
        Network::Bitcoin,
        "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
        &[("watch.known_holder", Allow), ("watch.not_listed", Allow)],
    );
    check(Network::Bitcoin, "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", &[("watch.scam_address", Hold)]);
    check(Network::Bitcoin, EVM, &[("watch.invalid_address", Deny)]);
    check(Network::Tron, "", &[("watch.invalid_address", Deny)]);

    let unknown = |address: &str| {
        watch.examine(&withdrawal(Destination::UnknownNetwork {
            network: "Zcash\u{202e}".to_owned(),
            address: address.to_owned(),
        }))
    };
    assert_eq!(codes(&unknown("t1abc")), [("watch.unscreenable_network", Hold)]);
    assert_eq!(
        codes(&unknown("t1MMXtBrSp1XG38Lx9cePcNUCJj5vdWfUWL")),
        [("watch.terrorism_address", Deny), ("watch.unscreenable_network", Hold)]
    );
    assert_eq!(
        codes(&unknown("t1MMXtBrSp1XG38Lx9cePcNUCJj5vdWfUWL:1234")),
        [("watch.terrorism_address", Deny), ("watch.unscreenable_network", Hold)]
    );
    assert!(unknown("t1abc")[0].message.is_ascii());
    assert_eq!(watch.examine(&withdrawal(Destination::Internal { recipient: SANCTIONED.to_owned() })), []);
}

#[test]
fn findings_say_which_list_label_and_date() {
    let dir = TempDir::new().unwrap();
    let watch = watch(&dir);
    let findings = watch.examine(&on_chain(Network::Bitcoin, SANCTIONED));
    assert_eq!(
        findings[0].message,
        "the destination is listed under sanctions: \"OFAC specially designated national\" on list ofac, by its state of 2024-09-27"
    );
    assert_eq!(
        findings[1].message,
        "the destination is listed for collecting ransom: \"Locker\" on list tags, last confirmed 2022-01-02"
    );
    let evidence: Vec<_> = findings[1].evidence.iter().map(|e| (e.name.as_ref(), e.value.as_str())).collect();
    let [labels @ .., state, category] = &evidence[..] else { panic!("{evidence:?}") };
    assert_eq!(*category, ("category", "ransomware"));
    assert!(state.0 == "list" && state.1.starts_with("tags: ") && state.1.contains("SHA-256"), "{state:?}");
    // What is judged again when a list changes is the gravest of what was said.
    let said = watch::rescreen::Answered::by_findings(decode_any(SANCTIONED).unwrap(), &findings);
    assert_eq!((said.told, said.exposed), (Some(Category::Sanctions), None));
    assert_eq!(
        labels,
        [
            ("address", SANCTIONED),
            (
                "label",
                "\"Locker\" on list tags, category ransomware, confidence forensic, asset BTC, source https://example.org, \
                 last confirmed 2022-01-02"
            )
        ]
    );
    assert_eq!(
        findings[0].would_pass_if.as_deref(),
        Some("a newer state of ofac no longer named this address")
    );
    let clean = watch.examine(&on_chain(Network::Bitcoin, CLEAN));
    assert_eq!(clean[0].message, "nothing on 2 lists speaks against the destination");
    assert!(
        clean[0].evidence[1]
            .value
            .starts_with("ofac: 1 addresses and 0 texts, imported 2024-09-27T00:00:00.000Z")
    );
}

#[test]
fn without_lists_that_is_said() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let findings = watch.examine(&on_chain(Network::Bitcoin, CLEAN));
    assert_eq!(codes(&findings), [("watch.no_lists", Verdict::Allow)]);
    assert_eq!(
        codes(&watch.examine(&on_chain(Network::Bitcoin, "3P14159f73E4gFr7JterCCQh9QjiTjiZrH"))),
        [("watch.invalid_address", Verdict::Deny)]
    );
}

#[test]
fn text_of_lists_and_clients_stays_on_one_line() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let long = "x".repeat(2000);
    tagpack(
        &watch,
        &format!("currency: BTC\nabuse: scam\ntags:\n- address: {CLEAN}\n  label: \"a\\nb\\e[31m{long}\"\n"),
    )
    .unwrap();
    let message = &watch.examine(&on_chain(Network::Bitcoin, CLEAN))[0].message;
    assert!(!message.chars().any(char::is_control) && message.len() < 700, "{message:?}");
    let spoofed = format!("{CLEAN}\n\u{202e}{long}");
    let finding = &watch.examine(&on_chain(Network::Bitcoin, &spoofed))[0];
    assert!(
        finding.evidence.iter().all(|e| e.value.is_ascii() && !e.value.contains('\n') && e.value.len() < 700)
    );
}

#[test]
fn sources_that_disagree_are_both_shown() {
    let dir = TempDir::new().unwrap();
    let watch = watch(&dir);
    ofac(&watch, "XBT", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4").unwrap();
    let address = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    let screening = watch.screen(address, None);
    assert!(screening.is_contradictory());
    assert_eq!(screening.categories(), [Category::Sanctions, Category::Exchange]);
    let findings = watch.examine(&on_chain(Network::Bitcoin, address));
    assert_eq!(
        codes(&findings),
        [("watch.sanctioned_address", Verdict::Deny), ("watch.known_holder", Verdict::Allow)]
    );
    assert!(
        findings[1].message.ends_with("which contradicts what is held against it"),
        "{}",
        findings[1].message
    );
    assert!(!watch.screen(SANCTIONED, None).is_contradictory());
}

#[test]
fn many_texts_are_answered_in_their_order() {
    let dir = TempDir::new().unwrap();
    let watch = watch(&dir);
    let asked = [
        (SANCTIONED, None),
        (CLEAN, Some(Network::Bitcoin)),
        (EVM, Some(Network::Polygon)),
        (EVM, Some(Network::Tron)),
        ("", None),
    ];
    let one_by_one: Vec<_> = asked.iter().map(|(text, network)| watch.screen(text, *network)).collect();
    assert_eq!(watch.screen_all(&asked), one_by_one);
    let verdicts: Vec<_> = one_by_one.iter().map(|screening| screening.verdict).collect();
    assert_eq!(verdicts, [Verdict::Deny, Verdict::Allow, Verdict::Hold, Verdict::Deny, Verdict::Allow]);
}
