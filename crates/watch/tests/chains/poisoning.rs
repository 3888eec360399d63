//! Real victims, and everybody else.

use chain::poisoning::counterfeit::{Registry, Standing};
use domain::{ChainFamily, Network};
use watch::{
    evaluate::poisoning::{PAYOFF_COLUMNS, organic, payoffs},
    table::Wanted,
};

use crate::support::{stream, table};

#[test]
fn real_victims_would_have_been_warned() {
    let Some(table) = table("poisoning/payoffs.csv.zst", PAYOFF_COLUMNS) else { return };
    let found = payoffs(table).unwrap();
    assert!(found.payments > 5_000);
    assert!(found.alarms as f64 >= 0.99 * found.payments as f64, "{} of {}", found.alarms, found.payments);
    assert!(found.noticed >= found.alarms);
}

#[test]
fn borrowed_names_are_recognised() {
    const COLUMNS: &[Wanted] =
        &[Wanted::required("token_address"), Wanted::required("token_symbol"), Wanted::required("set")];
    let Some(mut table) = table("poisoning/counterfeit_tokens.csv.zst", COLUMNS) else { return };
    let registries = [Network::Ethereum, Network::Bnb].map(Registry::of_network);
    let (mut confirmed, mut found) = (0, 0);
    while let Some(row) = table.next_row().unwrap() {
        if row.bytes(2) != b"confirmed" {
            continue;
        }
        let contract = chain::address::decode(ChainFamily::Evm, row.text(0).unwrap()).unwrap();
        let symbol = row.text(1).unwrap();
        let borrowed =
            registries.iter().any(|registry| registry.standing(&contract, symbol) == Standing::Counterfeit);
        if !borrowed {
            eprintln!("not recognised: {symbol:?} ({})", symbol.escape_unicode());
        }
        confirmed += 1;
        found += u32::from(borrowed);
    }
    assert!(confirmed > 0 && found * 10 >= confirmed * 9, "{found} of {confirmed}");
}

#[test]
#[ignore = "nightly: 1.4 million rows"]
fn others_are_left_alone() {
    let Some(mut stream) = stream() else { return };
    let found = organic(&mut stream, Network::Ethereum).unwrap();
    let figures = found.to_json();
    eprintln!("{figures:#}");
    assert_eq!(found.alarms(), 0, "{figures:#}");
}
