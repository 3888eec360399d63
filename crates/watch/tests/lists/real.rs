//! Real lists: counts, and equality with a map for every label.

use std::collections::{BTreeMap, HashMap};

use chain::{
    address,
    label::{Category, Confidence, Label},
    segment::{Builder, Key, Segment},
};
use domain::{Address, ChainFamily, UnixNanos, Verdict};
use tempfile::TempDir;
use watch::{Format, read_sources};

use crate::support::{NOW, archive, data, list, open};

#[test]
fn the_sanctions_lists_of_a_day() {
    let Some(source) = archive("ofac_2024-09-27.tar.zst") else { return };
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let format = Format::Ofac { ticker: None };
    let files = read_sources(source.path(), &format).unwrap();
    let report = watch.import(&list("ofac"), &format, &files, NOW).unwrap();
    assert_eq!((report.files, report.entries), (17, 654));
    let mut hits = 0;
    for file in &files {
        for line in std::str::from_utf8(&file.bytes).unwrap().lines() {
            let screening = watch.screen(line, None);
            assert_eq!(screening.verdict, Verdict::Deny, "{}: {line}", file.name);
            hits += 1;
        }
    }
    assert_eq!(hits, 654);
    let kept: BTreeMap<_, _> =
        report.kept_as_text.iter().map(|kept| (kept.asset.as_str(), kept.entries)).collect();
    assert_eq!(
        kept,
        BTreeMap::from([("BSV", 1), ("BTG", 1), ("DASH", 3), ("XMR", 3), ("XVG", 1), ("ZEC", 3)])
    );
}

#[test]
fn every_tag_of_every_pack_is_counted() {
    let (Some(source), Some(counts)) =
        (archive("tagpacks_subset.tar.zst"), data("tagpacks_subset_counts.csv"))
    else {
        return;
    };
    let counts = String::from_utf8(counts).unwrap();
    let dir = TempDir::new().unwrap();
    let watch = open(&dir);
    let mut files = read_sources(source.path(), &Format::TagPack).unwrap();
    assert_eq!(files.len(), 76);
    // The actors have a test of their own.
    files.retain(|file| !file.name.ends_with(".actorpack.yaml"));
    let mut packs = 0;
    for row in counts.lines().skip(1) {
        let (pack, tags) = row.split_once(',').unwrap();
        let file = files
            .iter()
            .find(|file| file.name.ends_with(pack))
            .unwrap_or_else(|| panic!("{pack} is missing"));
        let report = watch
            .import(&list("one"), &Format::TagPack, std::slice::from_ref(file), NOW)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(report.entries, tags.parse::<u64>().unwrap(), "{pack}");
        packs += 1;
    }
    assert_eq!(packs, 75);
    watch.remove(&list("one")).unwrap();
    let report = watch.import(&list("all"), &Format::TagPack, &files, NOW).unwrap();
    assert_eq!((report.files, report.entries), (75, 70_943));
    assert_eq!((report.undecodable, report.other_family, report.case_ignored), (5, 1, 1));
    let hydra = watch.screen("1BCWMwpR4M1nYUuuYe2bmzrNuwGoF9ZAbA", None);
    assert_eq!(hydra.labels[0].category, Category::DarknetMarket);
    assert_eq!(hydra.labels[0].text, "Hydra Market");
}

/// The fields of one line of CSV with quotes.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().unwrap().push(c),
        }
    }
    fields
}

#[test]
fn half_a_million_labels_equal_a_map() {
    let Some(csv) = data("labels_unified.csv.zst") else { return };
    let csv = String::from_utf8(csv).unwrap();
    let mut builder = Builder::new("unified", [9; 16], UnixNanos(1), [0; 32]).unwrap();
    let mut addresses: HashMap<Address, Vec<(Category, String, String)>> = HashMap::new();
    let mut texts: HashMap<String, Vec<(Category, String, String)>> = HashMap::new();
    let (mut rows, mut undecodable) = (0, 0);
    let mut decoded: BTreeMap<ChainFamily, u32> = BTreeMap::new();
    for line in csv.lines().skip(1) {
        let fields = fields(line);
        let [chain, text, category, name, source, licence, confidence] = fields.as_slice() else {
            panic!("{line}");
        };
        let label = Label {
            category: Category::from_word(category).unwrap_or(Category::Other),
            confidence: Confidence::from_word(confidence),
            text: name,
            source,
            asset: chain,
            licence,
            first_seen: None,
            last_seen: None,
        };
        let family = match chain.as_str() {
            "btc" => Some(ChainFamily::Bitcoin),
            "avax" | "bep20" | "bsc" | "etc" | "eth" | "ftm" | "matic" => Some(ChainFamily::Evm),
            "bch" => Some(ChainFamily::BitcoinCash),
            "ltc" => Some(ChainFamily::Litecoin),
            "ripple" | "xrp" => Some(ChainFamily::Xrp),
            "sol" => Some(ChainFamily::Solana),
            "trx" => Some(ChainFamily::Tron),
            _ => None,
        };
        let entry = (label.category, name.clone(), source.clone());
        match family.map(|family| address::decode(family, text)) {
            Some(Ok(address)) => {
                let canonical = address::encode(&address);
                assert_eq!(address::decode(address.family(), &canonical), Ok(address), "{text}");
                *decoded.entry(address.family()).or_insert(0) += 1;
                builder.push(Key::Address(&address), &label).unwrap();
                addresses.entry(address).or_default().push(entry);
            }
            other => {
                // Filed under a chain they are not of, all of them.
                undecodable += usize::from(other.is_some());
                builder.push(Key::Text(text), &label).unwrap();
                texts.entry(text.clone()).or_default().push(entry);
            }
        }
        rows += 1;
    }
    assert_eq!(rows, 593_382);
    assert_eq!(
        decoded,
        BTreeMap::from([
            (ChainFamily::Bitcoin, 499_673),
            (ChainFamily::BitcoinCash, 24),
            (ChainFamily::Evm, 93_316),
            (ChainFamily::Litecoin, 64),
            (ChainFamily::Solana, 5),
            (ChainFamily::Tron, 47),
            (ChainFamily::Xrp, 6),
        ])
    );
    assert_eq!(undecodable, 51);
    eprintln!(
        "{} addresses, {} texts, {undecodable} of them on chains with a codec",
        addresses.len(),
        texts.len()
    );
    let segment = Segment::parse(builder.finish().unwrap()).unwrap();
    segment.verify().unwrap();
    assert_eq!((segment.address_count(), segment.text_count()), (addresses.len(), texts.len()));
    let found = |key| {
        let mut found: Vec<_> = segment
            .labels(key)
            .map(|label| (label.category, label.text.to_owned(), label.source.to_owned()))
            .collect();
        found.sort();
        found.dedup();
        found
    };
    for (address, labels) in &mut addresses {
        labels.sort();
        labels.dedup();
        assert_eq!(&found(Key::Address(address)), labels);
    }
    for (text, labels) in &mut texts {
        labels.sort();
        labels.dedup();
        assert_eq!(&found(Key::Text(text)), labels);
    }
    // No false positive: neighbours that differ in one bit are listed only where the map has them.
    let false_hits = addresses
        .keys()
        .filter_map(|address| {
            let mut payload = address.payload().to_vec();
            *payload.first_mut()? ^= 0x80;
            Address::new(address.kind(), &payload)
        })
        .filter(|neighbour| {
            segment.labels(Key::Address(neighbour)).next().is_some() != addresses.contains_key(neighbour)
        })
        .count();
    assert_eq!(false_hits, 0);
}
