//! Recorded transactions: whatever the tables, a replay ends with a report or with an error that names file and line, the
//! same every time.
#![no_main]

use domain::Network;
use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use watch::{
    replay::{
        self, ListedParties, Monitor, Options, Parties, Report, Stream, TOKEN_COLUMNS, TRANSACTION_COLUMNS,
    },
    table::Table,
};

const EXAMPLES: [&[u8]; 2] = [
    b"block,ts,txidx,from,to,value_wei,gas_price,gas_used,is_error,method_id,input_len,created\n0,1438269973,0,,0,400030000000000000000,0,0,0,,0,\n46383,1438922202,0,0,1,5000000000000000000,500000000000,21000,0,0x,0,\n46388,1438922290,0,1,2,1000000000000000000,500000000000,21000,1,0xa9059cbb,68,2\n",
    b"block,ts,txidx,from,to,value_wei,gas_used,is_error,method_id,input_len\n1,2,0,0x201d438022b74fb389b41d96bb2a7f7bf43d81f6,0x2017afe23eb6766988e2546fe88ee4ee16b781f6,1000000000000000000,21000,0,,0\n",
];
const TOKENS: &[u8] =
    b"block,ts,txidx,token,from,to,value,decimals,symbol\n46383,1438922202,0,2,1,0,7,18,\"U,S\"\n";
const ADDRESSES: [u8; 60] = [7; 60];

fuzz_target!(|data: &[u8]| {
    let transactions = edited(&EXAMPLES, data);
    let run = || {
        let table = Table::open("transactions", transactions.as_slice(), TRANSACTION_COLUMNS)?;
        let tokens = Table::open("tokens", TOKENS, TOKEN_COLUMNS)?;
        let parties = Parties::read(ADDRESSES.as_slice()).expect("three addresses");
        let mut stream = Stream::new(parties, table, Some(tokens));
        let mut monitor = Monitor::new(Options {
            labels: ListedParties::none(),
            network: Network::Ethereum,
            cross_customer: Some(watch::crosscustomer::Thresholds::default()),
            detector: None,
        });
        let mut report = Report::default();
        replay::run(&mut stream, &mut monitor, &mut report)?;
        Ok::<_, watch::table::TableError>(report.to_json(&monitor))
    };
    match run() {
        Ok(figures) => assert_eq!(run().ok(), Some(figures), "the same every time"),
        Err(error) => assert!(error.to_string().starts_with("t"), "{error}"),
    }
});
