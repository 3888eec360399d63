//! Sanctions lists as the US Treasury publishes them, in both forms; every fixture is written here.

use domain::{Network, UnixNanos, Verdict};
use tempfile::TempDir;
use watch::{Format, ImportError, ImportReport, SourceFile, Watch, read_sources};

use crate::support::{NOW, archive, file, list, open};

const BITCOIN: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
const ETHER: &str = "0x52908400098527886E0F7030069857D2E4169EE7";
const TRON: &str = "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb";

fn import(watch: &Watch, xml: &str) -> Result<ImportReport, ImportError> {
    watch.import(&list("sdn"), &Format::OfacXml, &[file("SDN.XML", xml)], NOW)
}

fn refused(xml: &str) -> String {
    let dir = TempDir::new().unwrap();
    import(&open(&dir), xml).unwrap_err().to_string()
}

/// A party of the classic form: addresses by ticker.
fn entry(uid: u32, addresses: &[(&str, &str)]) -> String {
    let ids: String = addresses
        .iter()
        .map(|(ticker, address)| {
            format!(
                "<id><uid>9</uid><idType>Digital Currency Address - {ticker}</idType>\n<idNumber>{address}</idNumber></id>"
            )
        })
        .collect();
    format!(
        "<sdnEntry><uid>{uid}</uid><firstName>Ivan</firstName><lastName>M&amp;M &#x41;G</lastName><sdnType>Individual</sdnType>\
         <programList><program>CYBER2</program><program>DPRK3</program></programList>\
         <idList><id><uid>1</uid><idType>Passport</idType><idNumber>not an address</idNumber></id>{ids}</idList></sdnEntry>"
    )
}

fn classic(entries: &str) -> String {
    format!(
        "\u{feff}<?xml version=\"1.0\" standalone=\"yes\"?>\n<sdnList xmlns=\"http://tempuri.org/sdnList.xsd\">\n\
         <publshInformation><Publish_Date>09/27/2024</Publish_Date><Record_Count>2</Record_Count></publshInformation>\n\
         {entries}\n</sdnList>"
    )
}

fn advanced(parties: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><Sanctions xmlns=\"http://www.un.org/sanctions/1.0\">\
         <DateOfIssue><Year>2024</Year><Month>9</Month><Day>27</Day></DateOfIssue>\
         <ReferenceValueSets><FeatureTypeValues>\
         <FeatureType ID=\"8\" FeatureTypeGroupID=\"1\">Birthdate</FeatureType>\
         <FeatureType ID=\"344\" FeatureTypeGroupID=\"1\">Digital Currency Address - XBT</FeatureType>\
         <FeatureType ID=\"345\" FeatureTypeGroupID=\"1\">Digital Currency Address - ETH</FeatureType>\
         <FeatureType ID=\"998\" FeatureTypeGroupID=\"1\">Digital Currency Address - TRX</FeatureType>\
         </FeatureTypeValues></ReferenceValueSets><DistinctParties>{parties}</DistinctParties></Sanctions>"
    )
}

fn party(uid: u32, features: &[(u32, &str)]) -> String {
    let features: String = features
        .iter()
        .map(|(kind, detail)| {
            format!(
                "<Feature ID=\"1\" FeatureTypeID=\"{kind}\"><FeatureVersion ID=\"2\" ReliabilityID=\"1\">\
                 <VersionDetail DetailTypeID=\"1432\">\n  {detail}\n</VersionDetail></FeatureVersion></Feature>"
            )
        })
        .collect();
    let alias = |name: &str| {
        format!(
            "<Alias FixedRef=\"{uid}\"><DocumentedName ID=\"4\"><DocumentedNamePart><NamePartValue NamePartGroupID=\"5\">{name}\
             </NamePartValue></DocumentedNamePart></DocumentedName></Alias>"
        )
    };
    format!(
        "<DistinctParty FixedRef=\"{uid}\"><Profile ID=\"{uid}\"><Identity ID=\"3\">{}{}</Identity>{features}</Profile></DistinctParty>",
        alias("LAZARUS GROUP"),
        alias("APT38")
    )
}

#[test]
fn the_classic_form() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let xml =
        classic(&format!("{}{}", entry(7, &[("XBT", BITCOIN), ("ETH", ETHER)]), entry(8, &[("TRX", TRON)])));
    let report = import(&watch, &xml).unwrap();
    assert_eq!((report.format, report.entries, report.addresses), ("ofac-xml", 3, 3));
    let screening = watch.screen(ETHER, Some(Network::Ethereum));
    assert_eq!(screening.verdict, Verdict::Deny);
    let label = &screening.labels[0];
    assert_eq!(
        (label.text.as_str(), label.source.as_str()),
        ("M&M AG, Ivan", "OFAC entry 7 (CYBER2, DPRK3)")
    );
    assert_eq!(label.last_seen, Some(UnixNanos::from_secs(1_727_395_200)));
    assert_eq!(watch.screen(TRON, None).labels[0].asset, "TRX");
    // A newer state without somebody: that address blocks no more.
    import(&watch, &classic(&entry(8, &[("TRX", TRON)]))).unwrap();
    assert_eq!(watch.screen(ETHER, None).verdict, Verdict::Allow);
}

#[test]
fn the_advanced_form() {
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let parties =
        [party(11, &[(8, "1990"), (344, BITCOIN), (998, TRON)]), party(12, &[(345, ETHER)])].concat();
    let report = import(&watch, &advanced(&parties)).unwrap();
    assert_eq!((report.entries, report.addresses), (3, 3));
    let label = &watch.screen(BITCOIN, None).labels[0];
    assert_eq!((label.text.as_str(), label.source.as_str()), ("LAZARUS GROUP", "OFAC entry 11"));
    assert_eq!(label.last_seen, Some(UnixNanos::from_secs(1_727_395_200)));
}

#[test]
fn whatever_is_wrong_is_named_and_nothing_is_imported() {
    let wrong = |xml: &str, words: &[&str]| {
        let message = refused(xml);
        for word in words {
            assert!(message.contains(word), "{message}");
        }
    };
    let damaged = BITCOIN.replace("DMPT", "DMPU");
    wrong(&classic(&entry(7, &[("XBT", &damaged)])), &["SDN.XML, line 5, address", "checksum"]);
    wrong(&classic(&entry(7, &[("XMR", "short")])), &["line 5", "cannot be an address of XMR"]);
    wrong(&advanced(&party(1, &[(345, "0x12")])), &["address", "40 hexadecimal digits"]);
    wrong(&advanced(&party(1, &[(77, "x")])), &["FeatureTypeID", "\"77\" is not defined"]);
    wrong("<sanctionsData/>", &["the root is sanctionsData"]);
    wrong("", &["neither sdnList nor Sanctions is its root"]);
    wrong("<sdnList/><sdnList/>", &["second root"]);
    wrong("<sdnList><sdnEntry></sdnList>", &["not XML"]);
    wrong("<sdnList><sdnEntry>", &["ends within an element"]);
    wrong("<!DOCTYPE x [<!ENTITY a \"b\">]><sdnList/>", &["document types are not accepted"]);
    wrong(&classic("<sdnEntry><uid>&a;</uid></sdnEntry>"), &["an entity that XML does not define"]);
    wrong(&classic(&"<a>".repeat(100)), &["nested too deep"]);
    let endless = classic(&entry(7, &[("XBT", &"1".repeat(5_000))]));
    wrong(&endless, &["idNumber", "longer than 4096 bytes"]);
    wrong(&classic(&entry(7, &[])), &["no entries"]);
    let missing =
        "<sdnEntry><idList><id><idType>Digital Currency Address - XBT</idType></id></idList></sdnEntry>";
    wrong(&classic(missing), &["idNumber", "missing"]);
    wrong(&classic(&"x".repeat(10_000)), &["no entries"]);
}

/// The published text lists of a day, written as XML: the same addresses are listed.
#[test]
fn real_addresses_in_both_forms_are_those_of_the_text_lists() {
    let Some(source) = archive("ofac_2024-09-27.tar.zst") else { return };
    let format = Format::Ofac { ticker: None };
    let files = read_sources(source.path(), &format).unwrap();
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let text = watch.import(&list("text"), &format, &files, NOW).unwrap();
    let mut listed = Vec::new();
    for SourceFile { name, bytes } in &files {
        let ticker = name.trim_start_matches("sanctioned_addresses_").trim_end_matches(".txt");
        let lines = std::str::from_utf8(bytes).unwrap().lines().filter(|line| !line.is_empty());
        listed.extend(lines.map(|line| (ticker, line)));
    }
    let entries: String =
        listed.chunks(7).zip(1..).map(|(some, uid)| entry(uid, some)).collect::<Vec<_>>().concat();
    let report = import(&watch, &classic(&entries)).unwrap();
    assert_eq!((report.entries, report.addresses, report.texts), (text.entries, text.addresses, text.texts));
    for (_, address) in &listed {
        // Some stand under several tickers.
        let screening = watch.screen(address, None);
        assert!(screening.labels.iter().any(|label| label.list == list("sdn")), "{address}");
    }
}
