//! What the tests share.

use std::{fs, path::PathBuf, process::Command};

use domain::{AccountId, Asset, Channel, Destination, Network, UnixNanos, WithdrawalRequest};
use tempfile::TempDir;
use watch::{Config, Format, ImportError, ImportReport, ListName, SourceFile, Watch};

pub(crate) const NOW: UnixNanos = UnixNanos::from_secs(1_727_395_200); // 2024-09-27

pub(crate) fn open(dir: &TempDir) -> Watch {
    Watch::open(Config { dir: dir.path().join("labels") }).unwrap()
}

pub(crate) fn list(name: &str) -> ListName {
    ListName::parse(name).unwrap()
}

pub(crate) fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.to_owned(), bytes: text.as_bytes().to_vec() }
}

pub(crate) fn ofac(watch: &Watch, ticker: &str, lines: &str) -> Result<ImportReport, ImportError> {
    let name = format!("sanctioned_addresses_{ticker}.txt");
    watch.import(&list("ofac"), &Format::Ofac { ticker: None }, &[file(&name, lines)], NOW)
}

pub(crate) fn tagpack(watch: &Watch, yaml: &str) -> Result<ImportReport, ImportError> {
    watch.import(&list("tags"), &Format::TagPack, &[file("pack.yaml", yaml)], NOW)
}

pub(crate) fn withdrawal(destination: Destination) -> WithdrawalRequest {
    WithdrawalRequest {
        account: AccountId::parse("alice").unwrap(),
        channel: Channel::Exchange,
        asset: Asset::parse("BTC").unwrap(),
        amount: domain::Amount::parse("1").unwrap(),
        fee: None,
        destination,
        client_id: None,
        ip: "192.0.2.1".parse().unwrap(),
        device: None,
        client_ja4: None,
        requested_at: NOW,
    }
}

pub(crate) fn on_chain(network: Network, address: &str) -> WithdrawalRequest {
    withdrawal(Destination::OnChain { network, address: address.to_owned(), tag: None })
}

/// The content of a compressed data file, or `None`, visibly, where it is not at hand.
pub(crate) fn data(name: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/chain")).join(name);
    if !path.exists() {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    if path.extension().is_none_or(|extension| extension != "zst") {
        return Some(fs::read(path).unwrap());
    }
    let Ok(output) = Command::new("zstd").arg("-dc").arg(&path).output() else {
        eprintln!("skipped: zstd is not installed");
        return None;
    };
    assert!(output.status.success(), "{} does not unpack", path.display());
    Some(output.stdout)
}

/// Unpacks an archive into a scratch directory.
pub(crate) fn archive(name: &str) -> Option<TempDir> {
    let tar = data(name)?;
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("archive.tar");
    fs::write(&path, tar).unwrap();
    let status = Command::new("tar").arg("-xf").arg(&path).arg("-C").arg(dir.path()).status().unwrap();
    assert!(status.success());
    fs::remove_file(path).unwrap();
    Some(dir)
}
