//! What the tests share.

use std::{path::Path, sync::Arc};

use domain::{Address, AddressKind, ChainFamily, UnixNanos};
use watch::{
    Format, ListName, SourceFile, Watch,
    flows::{BlockFlows, Call, Config, Flows, Movement, Party, Seen},
};

pub(crate) const NOW: UnixNanos = UnixNanos::from_secs(1_727_395_200);

pub(crate) fn address(number: u8) -> Address {
    Address::new(AddressKind::Evm, &[number; 20]).unwrap()
}

pub(crate) fn text(number: u8) -> String {
    chain::address::encode(&address(number))
}

/// Lists of `address,category` pairs under one name.
pub(crate) fn import(watch: &Watch, name: &str, labels: &[(u8, &str)]) {
    let mut csv = "address,category\n".to_owned();
    for (number, category) in labels {
        csv.push_str(&format!("{},{category}\n", text(*number)));
    }
    let format: Format = "csv:address=address,network=:ETH,category=category".parse().unwrap();
    let file = SourceFile { name: format!("{name}.csv"), bytes: csv.into_bytes() };
    watch.import(&ListName::parse(name).unwrap(), &format, &[file], NOW).unwrap();
}

pub(crate) fn watch(dir: &Path) -> Arc<Watch> {
    Arc::new(Watch::open(watch::Config { dir: dir.join("labels") }).unwrap())
}

pub(crate) fn config(dir: &Path) -> Config {
    Config {
        dir: dir.join("flows"),
        chain: "test".to_owned(),
        family: ChainFamily::Evm,
        tokens: vec![address(200)],
        transfers_max: 1_000_000,
    }
}

pub(crate) fn flows(dir: &Path, watch: &Arc<Watch>) -> Flows {
    Flows::open(config(dir), Arc::clone(watch)).unwrap()
}

pub(crate) fn payment(from: u8, to: u8, value: u128) -> Movement {
    let call = Call { gas_used: 21_000, failed: false, creates: false, input_bytes: 0, method: None };
    Movement {
        transaction: [from.wrapping_mul(31) ^ to; 32],
        asset: None,
        from: Party::Address(address(from)),
        to: Party::Address(address(to)),
        value,
        call: Some(call),
    }
}

pub(crate) fn block(height: u64, branch: u8, movements: Vec<Movement>) -> BlockFlows {
    BlockFlows {
        height,
        hash: [branch; 32],
        time_s: 1_600_000_000 + height * 12,
        followed: true,
        movements,
        ..BlockFlows::default()
    }
}

/// What is known of addresses 0 to 15, the name of clusters apart: that depends on branches that were given up.
pub(crate) fn known(flows: &Flows) -> Vec<Option<Seen>> {
    let plain = |mut seen: Seen| {
        if let Some(cluster) = &mut seen.cluster {
            cluster.name = address(0);
        }
        seen
    };
    (0..16).map(|number| flows.seen(&address(number), 5, 1e-9).map(plain)).collect()
}
